//! The text of a data file → value: the way back from [`super::render`].
//!
//! Faithful rather than clever: every cell is kept, and it becomes a number only if it reads the same when
//! written again. [`super::super::table::load`] is the reader that judges messy tables.

use serde_json::{Map, Value as Json};

use super::super::table::{fix_columns, markdown};
use super::{Error, Format, Table, Value};

/// Rows with a wrong number of cells that are named one by one.
const NAMED_ROWS: usize = 5;

/// A value read from a text, and what was lost or assumed on the way.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed {
    /// A table for CSV, TSV and Markdown, otherwise JSON or text.
    pub value: Value,
    /// One sentence each.
    pub notes: Vec<String>,
}

impl From<Value> for Parsed {
    fn from(value: Value) -> Self {
        Self { value, notes: Vec::new() }
    }
}

/// Reads `text`, without a byte order mark, as `format`.
///
/// # Errors
/// [`Error::Arguments`] if it is not valid, naming the line; or if `format` is one that is only written.
pub fn parse(text: &str, format: Format) -> Result<Parsed, Error> {
    match format {
        Format::Text => Ok(Value::Text(text.to_owned()).into()),
        Format::Csv => separated(text, sniff(text)),
        Format::Tsv => separated(text, b'\t'),
        Format::MarkdownTable => markdown_table(text),
        Format::Json | Format::JsonObject => {
            let json = serde_json::from_str(text);
            json.map(|json| Value::Json(json).into()).map_err(|error| invalid("JSON", &error))
        }
        Format::JsonLines => json_lines(text),
        Format::Yaml => yaml(text),
        Format::Toml => toml(text),
        Format::BulletList | Format::NumberedList => {
            Err(Error::Arguments(format!("{} is not a format of data files", format.name())))
        }
    }
}

fn invalid(what: &str, error: &dyn std::fmt::Display) -> Error {
    let reason = error.to_string();
    Error::Arguments(format!("the file is not valid {what}: {}", reason.trim_end().replace('\n', "; ")))
}

/// The separator that occurs most in the first line.
fn sniff(text: &str) -> u8 {
    let header = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let count = |separator: &u8| header.bytes().filter(|byte| byte == separator).count();
    // The last maximum wins, so the usual separator stands last.
    [b'|', b'\t', b';', b','].into_iter().max_by_key(count).unwrap_or(b',')
}

fn separated(text: &str, separator: u8) -> Result<Parsed, Error> {
    let mut reader =
        csv::ReaderBuilder::new().delimiter(separator).flexible(true).has_headers(false).from_reader(text.as_bytes());
    let mut notes = Vec::new();
    if !matches!(separator, b',' | b'\t') {
        notes.push(format!("its cells are separated by {:?}", char::from(separator)));
    }
    let mut rows = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| invalid("CSV", &error))?;
        let line = record.position().map_or(0, csv::Position::line);
        rows.push((line, record.iter().map(str::to_owned).collect()));
    }
    if rows.is_empty() {
        return Err(Error::Arguments("the file is empty; expected a line of column names".into()));
    }
    let (_, header) = rows.remove(0);
    Ok(Parsed { value: Value::Table(table(header, rows, &mut notes)), notes })
}

fn markdown_table(text: &str) -> Result<Parsed, Error> {
    let lines: Vec<&str> = text.lines().collect();
    let Some(start) = markdown::header(&lines) else {
        return Err(Error::Arguments(
            "the file holds no Markdown table; expected a header and a line of dashes".into(),
        ));
    };
    let cells = |line: &str| -> Vec<String> {
        markdown::split(line).into_iter().map(|cell| cell.replace("<br>", "\n")).collect()
    };
    let end = (start + 2..lines.len()).find(|&i| !lines[i].contains('|')).unwrap_or(lines.len());
    let rows = (start + 2..end).map(|i| (i as u64 + 1, cells(lines[i]))).collect();
    let mut notes = Vec::new();
    let table = table(cells(lines[start]), rows, &mut notes);
    if lines[..start].iter().chain(&lines[end..]).any(|line| !line.trim().is_empty()) {
        notes.push("the text around the table was left out".to_owned());
    }
    Ok(Parsed { value: Value::Table(table), notes })
}

/// Rows of text, each with its line, as a table with typed cells.
fn table(header: Vec<String>, rows: Vec<(u64, Vec<String>)>, notes: &mut Vec<String>) -> Table {
    let columns = fix_columns(header, notes);
    let mut uneven = Vec::new();
    let mut texts: Vec<Vec<String>> = Vec::with_capacity(rows.len());
    for (line, mut cells) in rows {
        if cells.len() != columns.len() {
            let left_out = cells.get(columns.len()..).map(|extra| format!("{:?} was left out", extra.join(" | ")));
            let what = left_out.unwrap_or_else(|| "the rest was left empty".to_owned());
            uneven.push(format!("line {line} has {} cells, expected {}: {what}", cells.len(), columns.len()));
            cells.resize(columns.len(), String::new());
        }
        texts.push(cells);
    }
    let n_more = uneven.len().saturating_sub(NAMED_ROWS);
    notes.extend(uneven.into_iter().take(NAMED_ROWS));
    if n_more > 0 {
        notes.push(format!("{n_more} more lines have a wrong number of cells"));
    }
    let kinds: Vec<Kind> = (0..columns.len()).map(|i| Kind::of(texts.iter().map(|row| row[i].as_str()))).collect();
    let row = |row: &Vec<String>| row.iter().zip(&kinds).map(|(cell, kind)| kind.cell(cell)).collect();
    Table { columns, rows: texts.iter().map(row).collect() }
}

/// What the cells of a column become.
enum Kind {
    /// All stay text: words, or codes such as 007 whose digits would not survive as numbers.
    Text,
    /// Those that can become numbers or booleans do; empty cells are null.
    Typed,
}

impl Kind {
    fn of<'a>(cells: impl Iterator<Item = &'a str> + Clone) -> Self {
        let is_code = |cell: &str| {
            let digits = cell.strip_prefix(['-', '+']).unwrap_or(cell);
            digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit())
        };
        let has_scalar = cells.clone().any(|cell| scalar(cell).is_some());
        if has_scalar && !cells.clone().any(is_code) { Self::Typed } else { Self::Text }
    }

    fn cell(&self, cell: &str) -> Json {
        match self {
            Self::Text => cell.into(),
            Self::Typed if cell.is_empty() => Json::Null,
            Self::Typed => scalar(cell).unwrap_or_else(|| cell.into()),
        }
    }
}

/// The number or boolean that `cell` is, if writing it again gives the same, final zeros aside.
fn scalar(cell: &str) -> Option<Json> {
    if cell == "true" || cell == "false" {
        return Some((cell == "true").into());
    }
    if let Ok(whole) = cell.parse::<i64>() {
        return (whole.to_string() == cell).then(|| whole.into());
    }
    let (whole, fraction) = cell.split_once('.')?;
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    let is_plain = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_plain(digits) || !is_plain(fraction) || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    let number: f64 = cell.parse().ok()?;
    let again = number.to_string();
    let shortest = cell.trim_end_matches('0').trim_end_matches('.');
    (again == shortest).then(|| number.into())
}

fn json_lines(text: &str) -> Result<Parsed, Error> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let items = lines.map(|(i, line)| {
        serde_json::from_str::<Json>(line).map_err(|error| {
            let reason = error.to_string().replace(" at line 1 column", " at column");
            Error::Arguments(format!("line {} is not valid JSON: {reason}", i + 1))
        })
    });
    items.collect::<Result<Vec<Json>, Error>>().map(|items| Value::Json(Json::Array(items)).into())
}

fn yaml(text: &str) -> Result<Parsed, Error> {
    let value: serde_norway::Value = serde_norway::from_str(text).map_err(|error| invalid("YAML", &error))?;
    Ok(Value::Json(from_yaml(value)?).into())
}

/// Keys may be anything in YAML and are texts in JSON.
fn from_yaml(value: serde_norway::Value) -> Result<Json, Error> {
    use serde_norway::Value as Yaml;
    Ok(match value {
        Yaml::Null => Json::Null,
        Yaml::Bool(flag) => flag.into(),
        Yaml::Number(number) => serde_json::to_value(&number).map_err(|error| invalid("YAML", &error))?,
        Yaml::String(text) => text.into(),
        Yaml::Sequence(items) => Json::Array(items.into_iter().map(from_yaml).collect::<Result<_, _>>()?),
        Yaml::Mapping(fields) => {
            let mut object = Map::new();
            for (key, value) in fields {
                let key = from_yaml(key)?;
                object.insert(key.as_str().map_or_else(|| key.to_string(), str::to_owned), from_yaml(value)?);
            }
            Json::Object(object)
        }
        Yaml::Tagged(tagged) => from_yaml(tagged.value)?,
    })
}

/// The one key of the object that stands for a date when the `toml` crate fills foreign types.
const TOML_DATE: &str = "$__toml_private_datetime";

fn toml(text: &str) -> Result<Parsed, Error> {
    // Straight into JSON, which keeps the order of the keys; `toml::Table` sorts them.
    let json: Json = toml::from_str(text).map_err(|error| invalid("TOML", &error))?;
    let mut has_dates = false;
    let json = with_plain_dates(json, &mut has_dates);
    let notes = has_dates.then(|| "its dates and times became texts".to_owned()).into_iter().collect();
    Ok(Parsed { value: Value::Json(json), notes })
}

fn with_plain_dates(json: Json, has_dates: &mut bool) -> Json {
    match json {
        Json::Array(items) => items.into_iter().map(|item| with_plain_dates(item, has_dates)).collect(),
        Json::Object(mut fields) => match fields.remove(TOML_DATE) {
            Some(moment) => {
                *has_dates = true;
                moment
            }
            None => {
                let fields = fields.into_iter().map(|(key, value)| (key, with_plain_dates(value, has_dates)));
                Json::Object(fields.collect())
            }
        },
        other => other,
    }
}
