//! Changes of a text, collected in any order and applied at once, with a map of its lines.
//!
//! Must not know: Python.

use ruff_text_size::{TextRange, TextSize};

/// A change: `range` becomes `text`. Insertions are empty ranges.
struct Edit {
    range: TextRange,
    /// At one place: what closes an inner expression, then what opens an outer one, then replacements.
    rank: u8,
    text: String,
}

/// Changes of one source.
pub(super) struct Edits<'a> {
    source: &'a str,
    edits: Vec<Edit>,
}

impl<'a> Edits<'a> {
    pub fn new(source: &'a str) -> Self {
        Self { source, edits: Vec::new() }
    }

    /// The source there.
    pub fn text(&self, range: TextRange) -> &'a str {
        &self.source[range]
    }

    /// The line's text up to `at`.
    pub fn line_before(&self, at: TextSize) -> &'a str {
        let before = &self.source[..at.to_usize()];
        &before[before.rfind('\n').map_or(0, |end| end + 1)..]
    }

    /// Inserts what opens something; of two at one place, the first one made stands outside.
    pub fn open(&mut self, at: TextSize, text: impl Into<String>) {
        self.edits.push(Edit { range: TextRange::empty(at), rank: 1, text: text.into() });
    }

    /// Inserts what closes something; of two at one place, the first one made stands inside.
    pub fn close(&mut self, at: TextSize, text: impl Into<String>) {
        self.edits.push(Edit { range: TextRange::empty(at), rank: 0, text: text.into() });
    }

    /// Replaces; changes within the range, made for its parts, are dropped.
    pub fn replace(&mut self, range: TextRange, text: impl Into<String>) {
        self.edits.push(Edit { range, rank: 2, text: text.into() });
    }

    /// Where `sign` stands between two expressions, comments left out.
    pub fn find(&self, from: TextSize, to: TextSize, sign: &str) -> Option<TextRange> {
        let text = &self.source[TextRange::new(from, to)];
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            let code = line.split('#').next().unwrap_or_default();
            if let Some(found) = code.find(sign) {
                let start = from + TextSize::try_from(at + found).ok()?;
                return Some(TextRange::at(start, TextSize::of(sign)));
            }
            at += line.len();
        }
        None
    }

    /// The changed text, and for each of its lines the 1-based line of the source.
    pub fn apply(mut self) -> (String, Vec<usize>) {
        self.edits.sort_by_key(|edit| (edit.range.start(), edit.rank));
        let mut made = Made { code: String::with_capacity(self.source.len() * 2), lines: vec![1], line: 1 };
        let mut at = 0;
        for edit in &self.edits {
            let (start, end) = (edit.range.start().to_usize(), edit.range.end().to_usize());
            if start < at {
                continue;
            }
            made.copy(&self.source[at..start]);
            made.insert(&edit.text);
            made.line += self.source[start..end].matches('\n').count();
            at = end;
        }
        made.copy(&self.source[at..]);
        (made.code, made.lines)
    }
}

/// The text so far.
struct Made {
    code: String,
    lines: Vec<usize>,
    /// Of the source, 1-based.
    line: usize,
}

impl Made {
    fn copy(&mut self, text: &str) {
        self.code.push_str(text);
        for _ in text.matches('\n') {
            self.line += 1;
            self.lines.push(self.line);
        }
    }

    fn insert(&mut self, text: &str) {
        self.code.push_str(text);
        self.lines.extend(text.matches('\n').map(|_| self.line));
    }
}
