//! The beginning of a value for a prompt: bounded, never splitting a character, saying what was left out.

use serde_json::Value as Json;

use super::format::{cell_text, compact_table};
use super::{Table, Value};

/// Longest cell shown in a table, in characters; a long text must not hide the other columns.
const CELL_CHARS: usize = 120;

impl Value {
    /// At most about `max_chars` characters of the value, ending in a count of what is not shown.
    ///
    /// Texts show their first lines, tables a header and their first rows as `a | b`, JSON its compact form.
    pub fn preview(&self, max_chars: usize) -> String {
        match self {
            Self::Text(text) => preview_text(text, max_chars),
            Self::Table(table) => preview_table(table, max_chars),
            Self::Json(Json::String(text)) => preview_text(text, max_chars),
            Self::Json(json) => preview_json(json, max_chars),
        }
    }
}

fn preview_text(text: &str, max_chars: usize) -> String {
    let text = text.trim_end();
    let head = prefix(text, max_chars);
    if head.len() == text.len() {
        return text.to_owned();
    }
    // Whole lines are easier to read; a text of one long line is cut within it.
    match head.rfind('\n') {
        Some(end) if end >= head.len() / 2 => {
            let n_left = text[end + 1..].lines().count();
            format!("{}\n… ({n_left} more {})", &head[..end], if n_left == 1 { "line" } else { "lines" })
        }
        _ => format!("{head}… ({} more characters)", text[head.len()..].chars().count()),
    }
}

fn preview_table(table: &Table, max_chars: usize) -> String {
    let shown = Table {
        columns: table.columns.clone(),
        rows: table.rows.iter().take(max_chars).map(|row| row.iter().map(short_cell).collect()).collect(),
    };
    let lines = compact_table(&shown, shown.rows.len());
    let mut text = String::new();
    let mut n_chars = 0;
    let mut n_rows = 0;
    for (i, line) in lines.lines().enumerate() {
        n_chars += line.chars().count() + 1;
        // The header and one row are shown even if they are long: without them a table says nothing.
        if i > 1 && n_chars > max_chars {
            break;
        }
        text += line;
        text.push('\n');
        n_rows = i;
    }
    match table.rows.len() - n_rows {
        0 => text + &format!("({} rows)", table.rows.len()),
        n_left => text + &format!("… ({n_left} more rows, {} in all)", table.rows.len()),
    }
}

fn short_cell(cell: &Json) -> Json {
    let text = cell_text(cell);
    let head = prefix(&text, CELL_CHARS);
    if head.len() == text.len() { cell.clone() } else { Json::String(format!("{head}…")) }
}

fn preview_json(json: &Json, max_chars: usize) -> String {
    let text = cell_text(json);
    let head = prefix(&text, max_chars);
    let n_left = text[head.len()..].chars().count();
    match (n_left, json) {
        (0, _) => text,
        (_, Json::Array(items)) => format!("{head}… ({n_left} more characters; an array of {} items)", items.len()),
        (_, Json::Object(fields)) => format!("{head}… ({n_left} more characters; an object of {} keys)", fields.len()),
        _ => format!("{head}… ({n_left} more characters)"),
    }
}

/// The first `max_chars` characters.
fn prefix(text: &str, max_chars: usize) -> &str {
    text.char_indices().nth(max_chars).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn previews() {
        let rows = |n: usize| (0..n).map(|i| vec![json!(format!("n{i}")), json!(i)]).collect();
        let table = |n| Value::Table(Table { columns: vec!["name".into(), "i".into()], rows: rows(n) });
        let text = |text: &str| Value::Text(text.into());
        for (value, max_chars, want) in [
            (text("a\nb"), 10, "a\nb"),
            (text("one\ntwo\nthree\nfour\n"), 9, "one\ntwo\n… (2 more lines)"),
            (text("one\ntwo\nthree"), 9, "one\ntwo\n… (1 more line)"),
            (text("äöüß long"), 3, "äöü… (6 more characters)"),
            (text("a\nlong last line"), 8, "a\nlong l… (8 more characters)"),
            (text(""), 3, ""),
            (Value::Json(json!("äöü")), 2, "äö… (1 more characters)"),
            (Value::Json(json!([1, 2])), 10, "[1,2]"),
            (Value::Json(json!([1, 2, 3])), 4, "[1,2… (3 more characters; an array of 3 items)"),
            (Value::Json(json!({"a": 1})), 3, "{\"a… (4 more characters; an object of 1 keys)"),
            (Value::Json(json!(0.1 + 0.2)), 9, "0.3"),
            (table(2), 80, "name | i\nn0 | 0\nn1 | 1\n(2 rows)"),
            (table(5), 20, "name | i\nn0 | 0\n… (4 more rows, 5 in all)"),
            (table(5), 0, "name | i\n… (5 more rows, 5 in all)"),
            (table(0), 20, "name | i\n(0 rows)"),
        ] {
            assert_eq!(value.preview(max_chars), want, "{value:?} in {max_chars}");
        }
        let long = Value::Table(Table { columns: vec!["t".into()], rows: vec![vec![json!("ä".repeat(500))]] });
        assert_eq!(long.preview(300), format!("t\n{}…\n(1 rows)", "ä".repeat(120)));
    }
}
