//! Formats that programs read: separated values, JSON, YAML, TOML.

use serde_json::Value as Json;

use super::cell::data_text;
use super::{Error, Table};

/// A header and a line per row; quoted where needed (RFC 4180).
pub fn separated(table: &Table, delimiter: u8) -> String {
    let mut writer = csv::WriterBuilder::new().flexible(true).delimiter(delimiter).from_writer(Vec::new());
    let rows = table.rows.iter().map(|row| row.iter().map(data_text).collect::<Vec<_>>());
    for record in std::iter::once(table.columns.clone()).chain(rows) {
        writer.write_record(&record).expect("memory takes all");
    }
    let bytes = writer.into_inner().expect("memory takes all");
    String::from_utf8(bytes).expect("cells are UTF-8")
}

/// Two spaces per level.
pub fn pretty(json: &Json) -> String {
    format!("{json:#}")
}

/// The items of an array, or the value itself, one per line.
pub fn json_lines(json: &Json) -> String {
    match json {
        Json::Array(items) => items.iter().map(|item| format!("{item}\n")).collect(),
        other => format!("{other}\n"),
    }
}

/// YAML of any value.
pub fn yaml(json: &Json) -> Result<String, Error> {
    serde_norway::to_string(json).map_err(|error| Error::Failed(format!("writing YAML: {error}")))
}

/// TOML of an object without nulls, which TOML does not have; an array becomes `rows`.
pub fn toml(json: &Json) -> Result<String, Error> {
    let rows;
    let json = match json {
        Json::Object(_) => json,
        Json::Array(_) => {
            rows = serde_json::json!({ "rows": json });
            &rows
        }
        _ => return Err(Error::Arguments("a single value is no TOML document; write it as text or json".into())),
    };
    toml::to_string_pretty(&without_nulls(json)).map_err(|error| Error::Arguments(format!("writing TOML: {error}")))
}

fn without_nulls(json: &Json) -> Json {
    match json {
        Json::Array(items) => items.iter().filter(|item| !item.is_null()).map(without_nulls).collect(),
        Json::Object(fields) => {
            let fields = fields.iter().filter(|(_, value)| !value.is_null());
            fields.map(|(key, value)| (key.clone(), without_nulls(value))).collect()
        }
        other => other.clone(),
    }
}
