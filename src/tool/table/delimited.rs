//! CSV, TSV and the like: finds the delimiter and the header, splits lines into cells.
//!
//! Own splitter, because a stray quote must cost one cell and not the rest of the file: a quoted cell
//! that does not end within a few lines is read as it stands. Cells are trimmed; an empty cell is null.
//!
//! Must not know: what cells mean ([`super::infer`]).

use std::ops::Range;

use serde_json::Value as Json;

use super::{BadRow, Error, Raw, RawRow, fix_columns, number};

const DELIMITERS: [char; 4] = [',', ';', '\t', '|'];
/// Records looked at to find the delimiter.
const SNIFF_RECORDS: usize = 200;
/// Lines that one quoted cell may span.
const QUOTED_LINES: usize = 50;

/// One record: a line, or several where a quoted cell holds line breaks.
#[derive(Debug)]
struct Record {
    /// 1-based, of its first line.
    line: usize,
    span: Range<usize>,
    cells: Vec<String>,
    /// Whether blanks around a cell were dropped.
    trimmed: bool,
}

impl Record {
    fn is_blank(&self) -> bool {
        self.cells.iter().all(String::is_empty)
    }

    fn is_comment(&self) -> bool {
        self.cells[0].starts_with('#')
    }
}

/// Splits `text`. With `certain`, one column is a table too; without, the text must look like one.
pub(super) fn parse(path: &str, text: String, certain: bool) -> Result<Raw, Error> {
    let (body, named) = declared_delimiter(&text);
    let delimiter = named.or_else(|| sniff(&text[body..], certain)).ok_or_else(|| {
        Error::Arguments(format!(
            "{path} is not a table: its lines do not split into the same number of columns; read or search it as text"
        ))
    })?;
    let mut records: Vec<Record> = Records::new(&text, body, delimiter).collect();
    let n_read = records.len();
    records.retain(|record| !record.is_blank());
    let n_blank = n_read - records.len();
    let mut notes = Vec::new();
    let width = usual_width(&records);
    let n_filled = records.len();
    let mut header = None;
    let is_comment = |record: &Record| record.is_comment() && !(record.cells.len() == width && width > 1);
    // Comments introduce a table; between its rows they are stray lines.
    let mut stray = records.split_off(records.iter().position(|record| !is_comment(record)).unwrap_or(n_filled));
    let n_comments = records.len();
    records = stray.extract_if(.., |record| !is_comment(record)).collect();
    if records.is_empty() {
        return Err(Error::Arguments(format!("{path} holds no rows; expected a table")));
    }
    drop_empty_edge(&mut records, width);
    let width = usual_width(&records);
    if let Some(at) = records.iter().position(|record| record.cells.len() == width)
        && !is_data(&records[at], &records[at + 1..], width)
    {
        header = Some((at, records.remove(at)));
    }
    if n_blank + n_comments > 0 {
        notes.push(format!("{path}: skipped {n_blank} blank and {n_comments} comment lines"));
    }
    let header_at = header.as_ref().map_or(0, |(at, _)| *at);
    let columns = match header {
        Some((_, mut record)) => {
            record.cells[0] = record.cells[0].trim_start_matches(['#', ' ']).to_owned();
            fix_columns(record.cells, &mut notes)
        }
        None => {
            notes.push(format!("{path} has no header; its columns are called c1 to c{width}"));
            (1..=width).map(|idx| format!("c{idx}")).collect()
        }
    };
    let mut raw = Raw { columns, notes, source: text, ..Raw::default() };
    stray.into_iter().for_each(|record| raw.set_aside(record, "is a comment"));
    sort_out(&mut raw, records, header_at);
    Ok(raw)
}

impl Raw {
    fn set_aside(&mut self, record: Record, why: &str) {
        let text = self.source[record.span].trim_end_matches(['\r', '\n']).to_owned();
        self.bad_rows.push(BadRow { line: record.line, text, why: why.to_owned() });
    }
}

/// Puts each record among the rows or the bad rows.
fn sort_out(raw: &mut Raw, records: Vec<Record>, header_at: usize) {
    let width = raw.columns.len();
    let mut n_trimmed = 0;
    let last = records.len().saturating_sub(1);
    for (idx, record) in records.into_iter().enumerate() {
        let why = if idx < header_at {
            "stands before the header".to_owned()
        } else if record.cells.len() != width {
            format!("{} cells, expected {width}", record.cells.len())
        } else if record.cells.iter().zip(&raw.columns).all(|(cell, name)| cell == name) {
            "repeats the header".to_owned()
        } else if idx == last && idx > 0 && is_total(&record) {
            "looks like a total of the rows above, not like a row".to_owned()
        } else {
            n_trimmed += usize::from(record.trimmed);
            let cells =
                record.cells.into_iter().map(|cell| if cell.is_empty() { Json::Null } else { Json::String(cell) });
            raw.rows.push(RawRow { line: record.line, span: Some(record.span), cells: cells.collect() });
            continue;
        };
        raw.set_aside(record, &why);
    }
    if n_trimmed > 0 {
        raw.notes.push(format!("blanks around cells were dropped in {n_trimmed} rows"));
    }
}

/// Excel's `sep=;` line: where the text goes on, and the delimiter it names.
fn declared_delimiter(text: &str) -> (usize, Option<char>) {
    let line = text.lines().next().unwrap_or_default();
    let mut named = line.trim_end_matches('\r').strip_prefix("sep=").unwrap_or_default().chars();
    match (named.next(), named.next()) {
        (Some(delimiter), None) => (text.find('\n').map_or(text.len(), |end| end + 1), Some(delimiter)),
        _ => (0, None),
    }
}

/// The delimiter under which most records have the same number of cells, at least two.
fn sniff(text: &str, certain: bool) -> Option<char> {
    let score = |delimiter: char| -> (usize, usize, usize) {
        let records: Vec<Record> = Records::new(text, 0, delimiter)
            .take(SNIFF_RECORDS)
            .filter(|record| !(record.is_blank() || record.is_comment() && record.cells.len() < 2))
            .collect();
        let width = usual_width(&records);
        let same = records.iter().filter(|record| record.cells.len() == width).count();
        if width < 2 { (0, 0, records.len()) } else { (same * 100 / records.len(), width, records.len()) }
    };
    let scored = DELIMITERS.map(|delimiter| (score(delimiter), delimiter));
    // On a tie the wider split, then the delimiter named first in `DELIMITERS`.
    let best = scored.into_iter().rev().max_by_key(|((share, width, _), _)| (*share, *width))?;
    let ((share, _, n_records), delimiter) = best;
    match (certain, share) {
        (true, 0) => Some(','),
        (true, _) => Some(delimiter),
        // Prose has commas too: ask for more agreement than it has by chance.
        (false, _) => (share >= 80 && n_records >= 2).then_some(delimiter),
    }
}

/// The number of cells that most records have; the greater one on a tie.
fn usual_width(records: &[Record]) -> usize {
    let mut counts = std::collections::BTreeMap::new();
    for record in records {
        *counts.entry(record.cells.len()).or_insert(0_usize) += 1;
    }
    counts.into_iter().max_by_key(|(width, count)| (*count, *width)).map_or(0, |(width, _)| width)
}

/// Drops the empty last cell of lines that all end with a delimiter.
fn drop_empty_edge(records: &mut [Record], width: usize) {
    let mut edges = records.iter().filter(|record| record.cells.len() == width);
    if width > 1 && edges.all(|record| record.cells[width - 1].is_empty()) {
        for record in records.iter_mut().filter(|record| record.cells.len() == width) {
            record.cells.pop();
        }
    }
}

/// Whether the first record is a row and not a header: all numbers, or a number where a whole column of numbers
/// follows. Years are let through, for they do head columns.
fn is_data(first: &Record, rest: &[Record], width: usize) -> bool {
    let number = |cell: &str| number::parse(cell, number::Decimal::Point).is_some();
    let filled: Vec<&String> = first.cells.iter().filter(|cell| !cell.is_empty()).collect();
    if filled.iter().all(|cell| number(cell)) {
        return true;
    }
    let is_year = |cell: &str| cell.len() == 4 && (cell.starts_with("19") || cell.starts_with("20"));
    (0..width).any(|column| {
        let cell = &first.cells[column];
        let mut below = rest.iter().filter(|record| record.cells.len() == width).map(|record| &record.cells[column]);
        number(cell) && !is_year(cell) && below.clone().next().is_some() && below.all(|cell| number(cell))
    })
}

/// Whether the first text of the record says that it adds up the others.
fn is_total(record: &Record) -> bool {
    const WORDS: [&str; 8] = ["total", "totals", "sum", "grand total", "subtotal", "sum total", "gesamt", "summe"];
    let first = record.cells.iter().find(|cell| !cell.is_empty());
    first.is_some_and(|cell| WORDS.contains(&cell.trim_end_matches(':').to_lowercase().as_str()))
}

/// Splits a text into records.
struct Records<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    delimiter: char,
}

impl<'a> Records<'a> {
    /// Starts at byte `at` of `text`.
    fn new(text: &'a str, at: usize, delimiter: char) -> Self {
        Self { text, at, line: 1 + text[..at].matches('\n').count(), delimiter }
    }

    /// One cell from the front of `rest`: its content, its length in bytes, whether blanks were dropped.
    fn cell(&self, rest: &str) -> (String, usize, bool) {
        let blanks = rest.len() - rest.trim_start_matches(|c: char| c == ' ' && c != self.delimiter).len();
        if let Some(quoted) = rest[blanks..].strip_prefix('"')
            && let Some((content, len)) = self.quoted(quoted)
        {
            let trimmed = content.trim();
            return (trimmed.to_owned(), blanks + 1 + len, trimmed.len() != content.len());
        }
        let end = rest.find([self.delimiter, '\n']).unwrap_or(rest.len());
        let content = rest[..end].trim_end_matches('\r');
        let trimmed = content.trim();
        (trimmed.to_owned(), end, trimmed.len() != content.len())
    }

    /// The content of a quoted cell and its length with the closing quote, from behind the opening one.
    /// `None` if no quote closes it before a delimiter or line end, within [`QUOTED_LINES`] lines.
    fn quoted(&self, rest: &str) -> Option<(String, usize)> {
        let mut content = String::new();
        let mut n_lines = 1;
        let mut chars = rest.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            n_lines += usize::from(c == '\n');
            if n_lines > QUOTED_LINES {
                return None;
            }
            if c != '"' {
                content.push(c);
            } else if chars.next_if(|(_, next)| *next == '"').is_some() {
                content.push('"');
            } else {
                let behind = &rest[at + 1..];
                let blanks = behind.len() - behind.trim_start_matches([' ', '\r']).len();
                let after = behind[blanks..].chars().next();
                if after.is_none_or(|next| next == '\n' || next == self.delimiter) {
                    return Some((content, at + 1 + blanks));
                }
                content.push('"');
            }
        }
        None
    }
}

impl Iterator for Records<'_> {
    type Item = Record;

    fn next(&mut self) -> Option<Record> {
        if self.at >= self.text.len() {
            return None;
        }
        let start = self.at;
        let (mut cells, mut trimmed) = (Vec::new(), false);
        loop {
            let (cell, len, blanks) = self.cell(&self.text[self.at..]);
            cells.push(cell);
            trimmed |= blanks;
            self.at += len;
            match self.text[self.at..].chars().next() {
                Some(next) if next == self.delimiter => self.at += next.len_utf8(),
                Some(_) => {
                    self.at += 1;
                    break;
                }
                None => break,
            }
        }
        let line = self.line;
        self.line += self.text[start..self.at].matches('\n').count();
        Some(Record { line, span: start..self.at, cells, trimmed })
    }
}
