//! Markdown tables: the first one of a text, lines with pipes under a header and a rule of dashes.
//!
//! Must not know: what cells mean ([`super::infer`]).

use serde_json::Value as Json;

use super::{BadRow, Raw, RawRow, fix_columns};

/// Whether the text holds a table.
pub(super) fn looks_like(text: &str) -> bool {
    let lines: Vec<&str> = text.lines().collect();
    header(&lines).is_some()
}

/// The first table of a text that holds one.
pub(super) fn parse(text: String) -> Raw {
    let mut raw = Raw::default();
    let lines: Vec<&str> = text.lines().collect();
    let Some(at) = header(&lines) else { return raw };
    raw.columns = fix_columns(split(lines[at]), &mut raw.notes);
    let width = raw.columns.len();
    let end = (at + 2..lines.len()).find(|idx| !lines[*idx].contains('|')).unwrap_or(lines.len());
    for (idx, line) in lines.iter().enumerate().take(end).skip(at + 2) {
        let cells = split(line);
        if cells.len() == width {
            let cells = cells.into_iter().map(|cell| if cell.is_empty() { Json::Null } else { Json::String(cell) });
            let start = line.as_ptr() as usize - text.as_ptr() as usize;
            raw.rows.push(RawRow { line: idx + 1, span: Some(start..start + line.len()), cells: cells.collect() });
        } else {
            let why = format!("{} cells, expected {width}", cells.len());
            raw.bad_rows.push(BadRow { line: idx + 1, text: (*line).to_owned(), why });
        }
    }
    if header(&lines[end..]).is_some() {
        raw.notes.push(format!("the first table is read, up to line {end}; the text holds more tables below"));
    }
    raw.source = text;
    raw
}

/// Index of the header of the first table.
pub(in crate::tool) fn header(lines: &[&str]) -> Option<usize> {
    let is_rule = |line: &str| {
        line.contains("--")
            && line.contains('|')
            && line.chars().all(|c| matches!(c, '-' | '|' | ':' | ' ' | '\t' | '\r'))
    };
    (1..lines.len())
        .find(|idx| {
            is_rule(lines[*idx])
                && lines[idx - 1].contains('|')
                && split(lines[idx - 1]).len() == split(lines[*idx]).len()
        })
        .map(|idx| idx - 1)
}

/// Cells between pipes; `\|` is a pipe, outer pipes are optional.
pub(in crate::tool) fn split(line: &str) -> Vec<String> {
    let line = line.trim();
    let line = line.strip_prefix('|').unwrap_or(line);
    let line = if line.ends_with("\\|") { line } else { line.strip_suffix('|').unwrap_or(line) };
    let mut cells = vec![String::new()];
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let cell = cells.last_mut().expect("starts with one cell");
        match c {
            '\\' if chars.peek() == Some(&'|') => cell.extend(chars.next()),
            '|' => cells.push(String::new()),
            c => cell.push(c),
        }
    }
    cells.into_iter().map(|cell| cell.trim().to_owned()).collect()
}
