//! Tables: named columns and rows of JSON cells, and how they are read from files.
//!
//! Reads CSV and its kin, JSON, JSON lines, Markdown tables and SQLite files into one shape. Real files
//! are messy, so the loader decides per column what its cells are and sets aside the rows that do not fit.
//! Invariant: nothing is dropped silently. Every line of the file is a row, a [`BadRow`] with the reason,
//! or counted in a note.
//!
//! Must not know: SQL, models, prompts.

mod date;
mod delimited;
mod infer;
mod json;
pub(super) mod markdown;
mod number;
mod sqlite;
#[cfg(test)]
mod tests;

pub use date::{MONTHS, month};
pub use json::is_list_of_objects;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use super::{Error, Workspace, workspace};

/// Largest file that is read as a table, in bytes.
pub const MAX_BYTES: u64 = 64 << 20;
/// Most rows of one table, bad ones included.
pub const MAX_ROWS: usize = 1_000_000;
/// Most distinct texts that [`Peek::examples`] lists for a column.
const MAX_EXAMPLES: usize = 8;
/// Rows shown by [`peek`].
const PEEK_ROWS: usize = 2;

/// Named columns and rows of cells.
///
/// Invariant: every row has as many cells as there are columns. A cell is a string, number, boolean or null.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Names in order.
    pub columns: Vec<String>,
    /// Cells, row by row.
    pub rows: Vec<Vec<Json>>,
}

impl Table {
    /// The rows, each as an object of its cells by column.
    pub fn objects(&self) -> impl Iterator<Item = Map<String, Json>> + '_ {
        self.rows.iter().map(|row| self.columns.iter().cloned().zip(row.iter().cloned()).collect())
    }
}

/// What the cells of a column are; empty cells aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// Whole numbers.
    Integer,
    /// Numbers, some with decimals.
    Real,
    /// Anything else.
    Text,
    /// Dates `YYYY-MM-DD`, perhaps with a time; other spellings were converted.
    Date,
    /// `true` and `false`, as the file spells them.
    Boolean,
}

impl ColumnType {
    /// Whether its cells are numbers.
    pub fn is_numeric(self) -> bool {
        matches!(self, Self::Integer | Self::Real)
    }
}

/// A line of the file that is not a row of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BadRow {
    /// 1-based line of the file; for JSON and SQLite, 1-based number of the item.
    pub line: usize,
    /// The line as the file has it.
    pub text: String,
    /// What is wrong with it.
    pub why: String,
}

/// A table read from a file, with everything that did not fit.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Loaded {
    /// The rows that fit.
    pub table: Table,
    /// One per column.
    pub types: Vec<ColumnType>,
    /// The rows that did not.
    pub bad_rows: Vec<BadRow>,
    /// Rows of the file, bad ones included.
    pub n_rows: usize,
    /// What the reader of a result should know, one sentence each.
    pub notes: Vec<String>,
}

/// How a file is read.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Which table of a file that holds several (SQLite); the first if `None`.
    pub table: Option<String>,
    /// A row without a value where nearly all others have one is a bad row.
    pub refuses_gaps: bool,
    /// Texts that differ in upper and lower case only are the same to a query.
    pub ignores_case: bool,
}

/// What a table looks like, for prompts.
#[derive(Debug, Clone, PartialEq)]
pub struct Peek {
    /// Names in order.
    pub columns: Vec<String>,
    /// One per column.
    pub types: Vec<ColumnType>,
    /// The first rows that fit.
    pub first_rows: Vec<Vec<Json>>,
    /// Rows of the file, bad ones included.
    pub n_rows: usize,
    /// How many of them are bad.
    pub n_bad: usize,
    /// Per column its distinct texts, if it is a text column with at most eight of them, else empty.
    pub examples: Vec<Vec<String>>,
}

impl Peek {
    /// The names of the columns that hold numbers.
    pub fn numeric_columns(&self) -> Vec<String> {
        let columns = self.columns.iter().zip(&self.types).filter(|(_, kind)| kind.is_numeric());
        columns.map(|(name, _)| name.clone()).collect()
    }
}

/// Reads the table in a file.
///
/// # Errors
/// [`Error::Missing`] or [`Error::Denied`] for the path, [`Error::Limit`] if it is too large,
/// [`Error::Arguments`] if it holds no table; says what it holds instead.
pub fn load(workspace: &Workspace, path: &str, options: &Options) -> Result<Loaded, Error> {
    let mut tables = load_all(workspace, path, options)?;
    let idx = match &options.table {
        None => 0,
        Some(name) => tables.iter().position(|(other, _)| other.eq_ignore_ascii_case(name)).ok_or_else(|| {
            let names: Vec<_> = tables.iter().map(|(name, _)| format!("`{name}`")).collect();
            Error::Arguments(format!("{path} has no table `{name}`; it has {}", names.join(", ")))
        })?,
    };
    let others: Vec<_> = tables.iter().map(|(name, _)| name.clone()).filter(|name| *name != tables[idx].0).collect();
    let mut loaded = tables.swap_remove(idx).1;
    if options.table.is_none() && !others.is_empty() {
        loaded.notes.push(format!("{path} holds other tables too: {}", others.join(", ")));
    }
    Ok(loaded)
}

/// Reads every table in a file, with the name it has there; a file that holds one table gives it its stem.
///
/// # Errors
/// As [`load`]. Never returns an empty list.
pub fn load_all(workspace: &Workspace, path: &str, options: &Options) -> Result<Vec<(String, Loaded)>, Error> {
    let bytes = workspace.read(path, MAX_BYTES)?;
    if bytes.starts_with(sqlite::MAGIC) {
        return sqlite::read(workspace, path, bytes, options);
    }
    let (text, note) = workspace::decode(path, &bytes)?;
    drop(bytes);
    if path.to_ascii_lowercase().ends_with(".json") && !text.trim().is_empty() {
        let mut tables = json::parse_all(path, &text)?;
        if let Some((_, first)) = tables.first_mut() {
            first.notes.splice(0..0, note);
        }
        return tables.into_iter().map(|(name, raw)| Ok((name, finished(path, raw, options)?))).collect();
    }
    let mut loaded = read(path, text, options)?;
    loaded.notes.splice(0..0, note);
    Ok(vec![(stem(path).to_owned(), loaded)])
}

/// Reads the table in the text of a file, whose name tells how.
///
/// # Errors
/// As [`load`].
pub fn read(path: &str, text: String, options: &Options) -> Result<Loaded, Error> {
    finished(path, parse(path, text)?, options)
}

fn finished(path: &str, raw: Raw, options: &Options) -> Result<Loaded, Error> {
    if raw.rows.len() + raw.bad_rows.len() > MAX_ROWS {
        return Err(Error::Limit(format!("{path} has more than {MAX_ROWS} rows; split it or use a script")));
    }
    Ok(infer::finish(raw, options))
}

/// Columns, types, the first rows and counts of the table in a file.
///
/// # Errors
/// As [`load`].
pub fn peek(workspace: &Workspace, path: &str) -> Result<Peek, Error> {
    load(workspace, path, &Options::default()).map(|loaded| loaded.peek())
}

/// Name of a file without folders and extension.
pub(super) fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    match name.rfind('.') {
        Some(dot) if dot > 0 => &name[..dot],
        _ => name,
    }
}

impl Loaded {
    /// A table that was computed, with the types of its cells.
    pub fn from_values(table: Table) -> Self {
        let kind = |column_idx: usize| {
            let mut cells = table.rows.iter().map(|row| &row[column_idx]).filter(|cell| !cell.is_null()).peekable();
            match cells.peek() {
                Some(_) => {}
                None => return ColumnType::Text,
            }
            let cells: Vec<&Json> = cells.collect();
            if cells.iter().all(|cell| cell.is_i64() || cell.is_u64()) {
                ColumnType::Integer
            } else if cells.iter().all(|cell| cell.is_number()) {
                ColumnType::Real
            } else if cells.iter().all(|cell| cell.is_boolean()) {
                ColumnType::Boolean
            } else {
                ColumnType::Text
            }
        };
        let types = (0..table.columns.len()).map(kind).collect();
        Self { n_rows: table.rows.len(), types, bad_rows: Vec::new(), notes: Vec::new(), table }
    }

    /// What the table looks like.
    pub fn peek(&self) -> Peek {
        Peek {
            columns: self.table.columns.clone(),
            types: self.types.clone(),
            first_rows: self.table.rows.iter().take(PEEK_ROWS).cloned().collect(),
            n_rows: self.n_rows,
            n_bad: self.bad_rows.len(),
            examples: (0..self.types.len()).map(|column_idx| self.examples(column_idx)).collect(),
        }
    }

    /// The distinct texts of a column in order of appearance; empty if it has more than eight or is not text.
    fn examples(&self, column_idx: usize) -> Vec<String> {
        let mut examples: Vec<String> = Vec::new();
        if !matches!(self.types[column_idx], ColumnType::Text | ColumnType::Boolean) {
            return examples;
        }
        for row in &self.table.rows {
            let Json::String(text) = &row[column_idx] else { continue };
            if examples.iter().any(|known| known == text) {
                continue;
            }
            if examples.len() == MAX_EXAMPLES {
                return Vec::new();
            }
            examples.push(text.clone());
        }
        examples
    }
}

/// A table as the file spells it: cells are text until [`infer::finish`] has seen whole columns.
#[derive(Debug, Default)]
struct Raw {
    columns: Vec<String>,
    /// Every row has one cell per column: `null`, a string without outer blanks, or what JSON had.
    rows: Vec<RawRow>,
    bad_rows: Vec<BadRow>,
    notes: Vec<String>,
    /// What [`RawRow::span`] points into.
    source: String,
}

#[derive(Debug)]
struct RawRow {
    line: usize,
    /// Where the row stands in the source, if it stands in one piece.
    span: Option<std::ops::Range<usize>>,
    cells: Vec<Json>,
}

impl Raw {
    /// The row as the file has it, or as one JSON array.
    fn text(&self, row: &RawRow) -> String {
        match &row.span {
            Some(span) => self.source[span.clone()].trim_end_matches(['\r', '\n']).to_owned(),
            None => Json::Array(row.cells.clone()).to_string(),
        }
    }
}

/// Decides by name and content which format the text is in, and splits it into cells.
fn parse(path: &str, text: String) -> Result<Raw, Error> {
    let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
    let start = text.trim_start();
    if start.is_empty() {
        return Err(Error::Arguments(format!("{path} is empty; expected a table")));
    }
    match extension.as_str() {
        "csv" | "tsv" | "tab" | "psv" => delimited::parse(path, text, true),
        "json" => json::parse(path, &text),
        "jsonl" | "ndjson" => Ok(json::parse_lines(&text)),
        _ if markdown::looks_like(&text) => Ok(markdown::parse(text)),
        _ if start.starts_with(['{', '[']) && json::looks_like(&text) => json::parse(path, &text),
        "md" | "markdown" => Err(Error::Arguments(format!("{path} holds no Markdown table; read it as text"))),
        _ => delimited::parse(path, text, false),
    }
}

/// Makes names unique without regard to case and gives names to columns without one; says so in `notes`.
pub(super) fn fix_columns(names: Vec<String>, notes: &mut Vec<String>) -> Vec<String> {
    let mut fixed: Vec<String> = Vec::with_capacity(names.len());
    for (idx, name) in names.into_iter().enumerate() {
        let base = name.split_whitespace().collect::<Vec<_>>().join(" ");
        let base = if base.is_empty() { format!("column_{}", idx + 1) } else { base };
        let taken =
            |name: &str, fixed: &[String]| fixed.iter().any(|other| other.to_lowercase() == name.to_lowercase());
        let mut unique = base.clone();
        let mut number = 2;
        while taken(&unique, &fixed) {
            unique = format!("{base}_{number}");
            number += 1;
        }
        if name.trim().is_empty() {
            notes.push(format!("column {} has no name in the file; it is called `{unique}`", idx + 1));
        } else if unique != base {
            notes.push(format!("column {} has a name that another column has; it is called `{unique}`", idx + 1));
        }
        fixed.push(unique);
    }
    fixed
}
