//! Renders a step's value into the text of a file: Markdown table, CSV, JSON, list, plain text.

use serde::{Deserialize, Serialize};

use super::{Error, Value};

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// As it is; tables as tab-separated lines without header if they have one column.
    Text,
    /// A Markdown table with header.
    MarkdownTable,
    /// Comma-separated values with header.
    Csv,
    /// JSON: a table becomes an array of objects.
    Json,
    /// JSON: a table's first column becomes the keys of one object, the second (or an object of the rest) the values.
    JsonObject,
    /// One JSON object per line.
    JsonLines,
    /// YAML.
    Yaml,
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
    let _ = (value, format);
    Err(Error::Failed("not built yet".into()))
}
