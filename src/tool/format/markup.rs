//! Formats that people read: Markdown tables, bullet and numbered lists.

use serde_json::Value as Json;

use super::cell::{cell_text, is_number};
use super::shape::to_table;
use super::{Table, Value};

/// Columns of what search_text finds; such rows read best as `file:line: text`.
const FINDINGS: [&str; 3] = ["file", "line", "text"];

/// A Markdown table; columns that hold only numbers are aligned to the right.
pub fn markdown_table(table: &Table) -> String {
    let is_right = |i: usize| table.rows.iter().all(|row| is_number(&row[i])) && !table.rows.is_empty();
    let rules = (0..table.columns.len()).map(|i| if is_right(i) { "---:" } else { "---" }.to_owned());
    let mut text = line(table.columns.iter().map(|column| escaped(column)));
    text += &line(rules);
    for row in &table.rows {
        text += &line(row.iter().map(|cell| escaped(&cell_text(cell))));
    }
    text
}

fn line(cells: impl Iterator<Item = String>) -> String {
    format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
}

/// A cell must not end its column or its line.
fn escaped(text: &str) -> String {
    text.trim().replace("\r\n", "\n").replace('|', "\\|").replace(['\n', '\r'], "<br>").replace('\t', " ")
}

/// The first `n_rows` rows without rules and padding, for a reader who counts tokens.
pub fn compact_table(table: &Table, n_rows: usize) -> String {
    let cells = |cells: Vec<String>| cells.join(" | ") + "\n";
    let rows = table.rows.iter().take(n_rows).map(|row| row.iter().map(|cell| one_line(&cell_text(cell))).collect());
    std::iter::once(table.columns.clone()).chain(rows).map(cells).collect()
}

/// A list of the lines of a text, the rows of a table, or the items or fields of JSON.
pub fn list(value: &Value, mark: impl Fn(usize) -> String) -> String {
    let items = match value {
        Value::Text(text) => text.lines().filter(|line| !line.trim().is_empty()).map(unmarked).collect(),
        Value::Json(Json::Array(items)) if items.iter().any(|item| !item.is_object()) => {
            items.iter().map(|item| one_line(&cell_text(item))).collect()
        }
        Value::Json(Json::Object(fields)) => {
            fields.iter().map(|(key, value)| format!("{key}: {}", one_line(&cell_text(value)))).collect()
        }
        Value::Json(scalar @ (Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_))) => {
            vec![one_line(&cell_text(scalar))]
        }
        Value::Json(_) | Value::Table(_) => to_table(value).map(|table| items(&table)).unwrap_or_default(),
    };
    items.iter().enumerate().map(|(i, item)| format!("{}{item}\n", mark(i))).collect()
}

/// One line per row: `file:line: text`, `a`, `a – b`, or `a – name: b, name: c`.
fn items(table: &Table) -> Vec<String> {
    let is_finding = table.columns == FINDINGS;
    let item = |row: &Vec<Json>| {
        let cells: Vec<String> = row.iter().map(|cell| one_line(&cell_text(cell))).collect();
        match cells.as_slice() {
            [file, line, text] if is_finding => format!("{file}:{line}: {text}"),
            [first, second] => format!("{first} – {second}"),
            [first, rest @ ..] if !rest.is_empty() => {
                let named = table.columns[1..].iter().zip(rest).filter(|(_, cell)| !cell.is_empty());
                let named: Vec<String> = named.map(|(name, cell)| format!("{name}: {cell}")).collect();
                format!("{first} – {}", named.join(", "))
            }
            cells => cells.concat(),
        }
    };
    table.rows.iter().map(item).collect()
}

/// A line without the bullet or number that it may already have.
fn unmarked(line: &str) -> String {
    let line = line.trim();
    let bare = ["- ", "* ", "+ ", "• "].iter().find_map(|mark| line.strip_prefix(mark));
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let numbered = line[digits..].strip_prefix(". ").or_else(|| line[digits..].strip_prefix(") "));
    let numbered = numbered.filter(|_| (1..=3).contains(&digits));
    bare.or(numbered).unwrap_or(line).trim().to_owned()
}

/// Line breaks become spaces.
pub fn one_line(text: &str) -> String {
    text.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}
