//! Renders a step's value into the text of a file: Markdown table, CSV, JSON, list, plain text, ….
//!
//! Pure and deterministic. A value keeps its types where the format has them; numbers are written
//! without the noise of binary fractions and, in text, without an exponent.
//! Must not know: the workspace, tools, models.

mod cell;
mod data;
mod markup;
mod parse;
mod shape;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{Error, Table, Value};
pub use cell::{cell_text, is_number, number_text};
pub use markup::compact_table;
pub use parse::{Parsed, parse};
pub use shape::{to_json, to_table};

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// As it is. A table of one column: a line per row; of one row: `column: cell` lines; otherwise
    /// tab-separated lines with header.
    Text,
    /// A Markdown table with header.
    MarkdownTable,
    /// Comma-separated values with header.
    Csv,
    /// Tab-separated values with header.
    Tsv,
    /// JSON: a table becomes an array of objects.
    Json,
    /// JSON: a table of one row becomes an object of its columns; otherwise its first column becomes the
    /// keys of one object, the second (or an object of the rest) the values.
    JsonObject,
    /// One JSON object per line.
    JsonLines,
    /// YAML.
    Yaml,
    /// TOML; a table becomes an array of tables named `rows`.
    Toml,
    /// A bullet per row or line.
    BulletList,
    /// A number per row or line.
    NumberedList,
}

/// The text of `value` in `format`, with a final newline.
///
/// # Errors
/// [`Error::Arguments`] if the value cannot take that form; says which forms it can.
pub fn render(value: &Value, format: Format) -> Result<String, Error> {
    let mut text = match format {
        Format::Text => text_of(value),
        Format::MarkdownTable => markup::markdown_table(&to_table(value)?),
        Format::Csv => data::separated(&to_table(value)?, b','),
        Format::Tsv => data::separated(&to_table(value)?, b'\t'),
        Format::Json => data::pretty(&to_json(value)),
        Format::JsonObject => data::pretty(&shape::to_object(value)?),
        Format::JsonLines => data::json_lines(&to_json(value)),
        Format::Yaml => data::yaml(&to_json(value))?,
        Format::Toml => data::toml(&to_json(value))?,
        Format::BulletList => markup::list(value, |_| "- ".to_owned()),
        Format::NumberedList => markup::list(value, |i| format!("{}. ", i + 1)),
    };
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}

impl Format {
    /// The name that plans and arguments use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::MarkdownTable => "markdown_table",
            Self::Csv => "csv",
            Self::Tsv => "tsv",
            Self::Json => "json",
            Self::JsonObject => "json_object",
            Self::JsonLines => "json_lines",
            Self::Yaml => "yaml",
            Self::Toml => "toml",
            Self::BulletList => "bullet_list",
            Self::NumberedList => "numbered_list",
        }
    }
}

/// The format that a file's extension asks for, or `None` if it says nothing.
pub fn detect(path: &str) -> Option<Format> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let (_, extension) = name.rsplit_once('.')?;
    Some(match extension.to_ascii_lowercase().as_str() {
        "txt" | "text" | "log" => Format::Text,
        "md" | "markdown" => Format::MarkdownTable,
        "csv" => Format::Csv,
        "tsv" | "tab" => Format::Tsv,
        "json" => Format::Json,
        "jsonl" | "ndjson" => Format::JsonLines,
        "yaml" | "yml" => Format::Yaml,
        "toml" => Format::Toml,
        _ => return None,
    })
}

/// Whether a file of this name holds a text for readers, as far as its extension says.
pub fn holds_text(path: &str) -> bool {
    matches!(detect(path), None | Some(Format::Text | Format::MarkdownTable))
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Text(text) => text.clone(),
        Value::Table(table) => table_text(table),
        Value::Json(Json::Array(items)) if items.iter().all(|item| !item.is_array() && !item.is_object()) => {
            items.iter().map(|item| cell_text(item) + "\n").collect()
        }
        Value::Json(json @ (Json::Array(_) | Json::Object(_))) => data::pretty(&cell::tidy(json)),
        Value::Json(scalar) => cell_text(scalar),
    }
}

fn table_text(table: &Table) -> String {
    let mut lines: Vec<String> = Vec::new();
    match (table.columns.len(), table.rows.as_slice()) {
        (1, rows) => lines.extend(rows.iter().map(|row| cell_text(&row[0]))),
        (_, [row]) => {
            let pairs = table.columns.iter().zip(row);
            lines.extend(pairs.map(|(column, cell)| format!("{column}: {}", markup::one_line(&cell_text(cell)))));
        }
        _ => return data::separated(table, b'\t'),
    }
    lines.join("\n")
}
