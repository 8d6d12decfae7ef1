//! Decides what the cells of each column are, converts them, and sets aside the rows that do not fit.
//!
//! A column is numeric if nearly all of its filled cells are numbers; a row with another cell there is a
//! bad row, and so is one with an empty cell where nearly all others have a value, if gaps are refused. Words that stand for "no value" (`n/a`, `unknown`, …) do not count against a numeric column,
//! but still make bad rows: whether a missing number means zero is not for a loader to say.
//! A column of dates is converted to `YYYY-MM-DD`; a row whose date cannot be read stays, with a note.
//!
//! Must not know: file formats.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::number::{self, Decimal, Marks};
use super::{BadRow, ColumnType, Loaded, Options, Raw, RawRow, Table, date};

/// Examples named in a note.
const MAX_NAMED: usize = 3;
/// Distinct texts up to which a column is searched for two spellings of one word.
const MAX_SPELLINGS: usize = 60;

/// Types the columns and sorts out the rows.
pub(super) fn finish(raw: Raw, options: &Options) -> Loaded {
    let n_rows = raw.rows.len() + raw.bad_rows.len();
    let columns: Vec<Column> = (0..raw.columns.len()).map(|idx| Column::of(&raw, idx)).collect();
    let mut notes = raw.notes.clone();
    for (column, name) in columns.iter().zip(&raw.columns) {
        column.describe(name, &mut notes);
    }
    let mut raw = raw;
    let mut bad_rows = std::mem::take(&mut raw.bad_rows);
    let mut good = Vec::with_capacity(raw.rows.len());
    for mut row in std::mem::take(&mut raw.rows) {
        let wrong: Vec<String> = columns
            .iter()
            .zip(&raw.columns)
            .zip(&row.cells)
            .filter_map(|((column, name), cell)| {
                column.refuse(name, cell).or_else(|| column.refuse_gap(name, cell).filter(|_| options.refuses_gaps))
            })
            .collect();
        if wrong.is_empty() {
            for (column, cell) in columns.iter().zip(&mut row.cells) {
                column.convert(cell);
            }
            good.push(row);
        } else {
            bad_rows.push(BadRow { line: row.line, text: raw.text(&row), why: wrong.join("; ") });
        }
    }
    bad_rows.sort_by_key(|row| row.line);
    note_bad_rows(&bad_rows, n_rows, &mut notes);
    note_rows(&good, &raw.columns, &columns, &mut notes);
    let types = columns.iter().map(|column| column.kind).collect();
    let rows = good.into_iter().map(|row| row.cells).collect();
    Loaded { table: Table { columns: raw.columns, rows }, types, bad_rows, n_rows, notes }
}

/// What is known about a column once all of it was seen.
#[derive(Debug)]
struct Column {
    kind: ColumnType,
    /// Nearly all of its cells hold something.
    is_filled: bool,
    decimal: Decimal,
    order: Option<date::Order>,
    /// Everything that was taken off its numbers, with one cell as an example.
    marks: BTreeMap<&'static str, String>,
    /// For a text column: `(numbers, filled cells)`, if it nearly was a numeric one.
    nearly: Option<(usize, usize)>,
    converted_dates: Option<(String, String)>,
}

#[derive(Default)]
struct Counts {
    filled: usize,
    numbers: usize,
    fractions: usize,
    dates: usize,
    booleans: usize,
    missing: usize,
    codes: usize,
}

impl Column {
    fn of(raw: &Raw, idx: usize) -> Self {
        let cells = || raw.rows.iter().map(|row| &row.cells[idx]);
        let decimal = decimal_of(cells());
        let counts = count(cells(), decimal);
        let mut column = Self {
            kind: kind_of(&counts),
            is_filled: counts.filled * 10 >= raw.rows.len() * 8,
            decimal,
            order: None,
            marks: BTreeMap::new(),
            nearly: None,
            converted_dates: None,
        };
        match column.kind {
            ColumnType::Integer | ColumnType::Real => column.collect_marks(cells()),
            ColumnType::Date => column.collect_dates(cells()),
            ColumnType::Text if counts.numbers * 2 >= counts.filled && counts.codes == 0 && counts.numbers > 0 => {
                column.nearly = Some((counts.numbers, counts.filled));
            }
            _ => {}
        }
        column
    }

    fn is_numeric(&self) -> bool {
        self.kind.is_numeric()
    }

    /// Why this cell does not fit the column.
    fn refuse(&self, name: &str, cell: &Json) -> Option<String> {
        let fits = match cell {
            Json::Null | Json::Number(_) => true,
            Json::String(text) => number::parse(text, self.decimal).is_some(),
            _ => false,
        };
        (self.is_numeric() && !fits).then(|| match cell {
            Json::String(text) => format!("{name}: `{text}` is not a number"),
            other => format!("{name}: {other} is not a number"),
        })
    }

    /// Why an empty cell is missed here.
    fn refuse_gap(&self, name: &str, cell: &Json) -> Option<String> {
        (self.is_filled && cell.is_null()).then(|| format!("{name}: nothing stands there"))
    }

    fn convert(&self, cell: &mut Json) {
        let Json::String(text) = &*cell else { return };
        if self.is_numeric() {
            if let Some(numeral) = number::parse(text, self.decimal) {
                *cell = number::cell(&numeral);
            }
        } else if self.kind == ColumnType::Date
            && let Some(iso) = self.iso(text)
        {
            *cell = Json::String(iso);
        }
    }

    /// The date in one spelling, if it is one and had another.
    fn iso(&self, text: &str) -> Option<String> {
        match (date::parse(text)?, self.order) {
            (date::Found::Converted(iso), _)
            | (date::Found::Either(iso, _), Some(date::Order::DayMonth))
            | (date::Found::Either(_, iso), Some(date::Order::MonthDay)) => Some(iso),
            _ => None,
        }
    }

    fn collect_marks<'a>(&mut self, cells: impl Iterator<Item = &'a Json>) {
        for text in cells.filter_map(Json::as_str) {
            let Some(numeral) = number::parse(text, self.decimal) else { continue };
            let Marks { currency, percent, grouped, decimal_comma, .. } = numeral.marks;
            let found = [
                (currency, "currency signs dropped"),
                (percent, "percent signs dropped"),
                (grouped, "thousands separators dropped"),
                (decimal_comma, "decimal comma read as point"),
            ];
            for (_, what) in found.into_iter().filter(|(is_found, _)| *is_found) {
                self.marks.entry(what).or_insert_with(|| format!("`{text}` is {}", numeral.value));
            }
        }
    }

    fn collect_dates<'a>(&mut self, cells: impl Iterator<Item = &'a Json> + Clone) {
        let texts = || cells.clone().filter_map(Json::as_str);
        let count = |wanted| texts().filter(|text| date::order(text) == Some(wanted)).count();
        self.order = match (count(date::Order::DayMonth), count(date::Order::MonthDay)) {
            (days, months) if days > months => Some(date::Order::DayMonth),
            (days, months) if months > days => Some(date::Order::MonthDay),
            _ => None,
        };
        self.converted_dates = texts().find_map(|text| Some((text.to_owned(), self.iso(text)?)));
    }

    /// Says what was done to the cells of the column.
    fn describe(&self, name: &str, notes: &mut Vec<String>) {
        for (what, example) in &self.marks {
            notes.push(format!("`{name}`: {what} ({example})"));
        }
        if let Some((numbers, filled)) = self.nearly {
            notes.push(format!("`{name}` is text: only {numbers} of its {filled} cells are numbers"));
        }
        if let Some((text, iso)) = &self.converted_dates {
            notes.push(format!("`{name}`: dates are given as YYYY-MM-DD (`{text}` is {iso})"));
        }
    }
}

/// Which decimal sign the column uses, from the numbers that can be read in one way only.
fn decimal_of<'a>(cells: impl Iterator<Item = &'a Json>) -> Decimal {
    let (mut commas, mut points) = (0, 0);
    for text in cells.filter_map(Json::as_str) {
        if let Some(numeral) = number::parse(text, Decimal::Point) {
            commas += usize::from(numeral.marks.decimal_comma);
            points += usize::from(numeral.marks.decimal_point);
        }
    }
    if commas > points { Decimal::Comma } else { Decimal::Point }
}

fn count<'a>(cells: impl Iterator<Item = &'a Json>, decimal: Decimal) -> Counts {
    let mut counts = Counts::default();
    for cell in cells.filter(|cell| !cell.is_null()) {
        counts.filled += 1;
        let is_fraction = |number: &serde_json::Number| number.as_i64().is_none();
        match cell {
            Json::Number(number) => {
                counts.numbers += 1;
                counts.fractions += usize::from(is_fraction(number));
            }
            Json::Bool(_) => counts.booleans += 1,
            Json::String(text) => {
                counts.codes += usize::from(number::is_code(text));
                counts.booleans += usize::from(text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false"));
                if let Some(numeral) = number::parse(text, decimal) {
                    counts.numbers += 1;
                    counts.fractions += usize::from(is_fraction(&numeral.value));
                } else if date::parse(text).is_some() {
                    counts.dates += 1;
                } else {
                    counts.missing += usize::from(stands_for_nothing(text));
                }
            }
            _ => {}
        }
    }
    counts
}

fn kind_of(counts: &Counts) -> ColumnType {
    let known = counts.filled - counts.missing;
    let mostly = |n: usize| n > 0 && n * 10 >= known * 8 && n * 2 >= counts.filled;
    if counts.codes == 0 && mostly(counts.numbers) {
        return if counts.fractions > 0 { ColumnType::Real } else { ColumnType::Integer };
    }
    if mostly(counts.dates) {
        return ColumnType::Date;
    }
    if counts.filled > 0 && counts.booleans == counts.filled { ColumnType::Boolean } else { ColumnType::Text }
}

/// Words that people write where they have no value.
fn stands_for_nothing(text: &str) -> bool {
    const WORDS: [&str; 22] = [
        "n/a",
        "na",
        "#n/a",
        "nan",
        "null",
        "none",
        "nil",
        "-",
        "--",
        "---",
        "—",
        "?",
        "??",
        "???",
        "unknown",
        "missing",
        "tbd",
        "error",
        "#error",
        "#value!",
        "pending",
        "not recorded",
    ];
    WORDS.contains(&text.to_lowercase().as_str())
}

fn note_bad_rows(bad_rows: &[BadRow], n_rows: usize, notes: &mut Vec<String>) {
    if bad_rows.is_empty() {
        return;
    }
    let mut named: Vec<String> =
        bad_rows.iter().take(MAX_NAMED).map(|row| format!("line {} ({})", row.line, row.why)).collect();
    if bad_rows.len() > MAX_NAMED {
        named.push(format!("{} more", bad_rows.len() - MAX_NAMED));
    }
    let noun = if n_rows == 1 { "row" } else { "rows" };
    notes.push(format!("{} of {n_rows} {noun} left out: {}", bad_rows.len(), named.join("; ")));
}

/// Notes on rows that stay in the table: unreadable dates, doubles, one word in two spellings.
fn note_rows(rows: &[RawRow], names: &[String], columns: &[Column], notes: &mut Vec<String>) {
    for (idx, (column, name)) in columns.iter().zip(names).enumerate() {
        if column.kind == ColumnType::Date {
            note_unread_dates(rows, idx, name, notes);
        } else if column.kind == ColumnType::Text {
            note_spellings(rows, idx, name, notes);
        }
    }
    let mut seen = std::collections::HashSet::new();
    let doubles: Vec<String> = rows
        .iter()
        .filter(|row| !seen.insert(Json::Array(row.cells.clone()).to_string()))
        .map(|row| row.line.to_string())
        .collect();
    if !doubles.is_empty() {
        let named = doubles.iter().take(MAX_NAMED).cloned().collect::<Vec<_>>().join(", ");
        let more = if doubles.len() > MAX_NAMED { ", …" } else { "" };
        notes.push(format!("{} rows repeat an earlier row exactly and are kept: line {named}{more}", doubles.len()));
    }
}

fn note_unread_dates(rows: &[RawRow], idx: usize, name: &str, notes: &mut Vec<String>) {
    let unread = |row: &&RawRow| {
        row.cells[idx].as_str().is_some_and(|text| !matches!(date::parse(text), Some(date::Found::Iso)))
    };
    let named: Vec<String> = rows
        .iter()
        .filter(unread)
        .take(MAX_NAMED)
        .map(|row| format!("line {} `{}`", row.line, row.cells[idx].as_str().unwrap_or_default()))
        .collect();
    if !named.is_empty() {
        let n_unread = rows.iter().filter(unread).count();
        notes.push(format!("`{name}`: {n_unread} cells cannot be read as one date and are kept: {}", named.join(", ")));
    }
}

fn note_spellings(rows: &[RawRow], idx: usize, name: &str, notes: &mut Vec<String>) {
    let mut spellings: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for text in rows.iter().filter_map(|row| row.cells[idx].as_str()) {
        let key = text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
        let known = spellings.entry(key).or_default();
        if !known.contains(&text) {
            known.push(text);
        }
        if spellings.len() > MAX_SPELLINGS {
            return;
        }
    }
    let several: Vec<String> = spellings
        .values()
        .filter(|texts| texts.len() > 1)
        .map(|texts| texts.iter().map(|text| format!("`{text}`")).collect::<Vec<_>>().join(" and "))
        .collect();
    if !several.is_empty() {
        let named = several.iter().take(MAX_NAMED).cloned().collect::<Vec<_>>().join("; ");
        notes.push(format!("`{name}` spells the same text in several ways: {named}"));
    }
}
