//! What templates take from Python: `json.dumps`, and what counts as a sequence.
//!
//! Must not know: conversations.
//! Source: the documentation of Python's `json` module and of Jinja's tests.

use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{Error, ErrorKind};
use serde_json::Value as Json;

use super::guard::MARKERS;

/// Python's `json.dumps(value, ensure_ascii=False, indent=.., separators=.., sort_keys=..)`.
pub(super) fn to_json(value: &Value, ensure_ascii: Option<bool>, options: Kwargs) -> Result<String, Error> {
    let indent: Option<Value> = options.get("indent")?;
    let separators: Option<Vec<String>> = options.get("separators")?;
    let (default_item, default_key) =
        if indent.as_ref().is_none_or(Value::is_none) { (", ", ": ") } else { (",", ": ") };
    let mut separators = separators.unwrap_or_default().into_iter();
    let writer = Writer {
        item: separators.next().unwrap_or_else(|| default_item.to_owned()),
        key: separators.next().unwrap_or_else(|| default_key.to_owned()),
        indent: indent.and_then(|indent| step(&indent)),
        sort_keys: options.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
        ensure_ascii: options.get::<Option<bool>>("ensure_ascii")?.or(ensure_ascii).unwrap_or(false),
    };
    options.assert_all_used()?;
    let json = serde_json::to_value(value)
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, format!("tojson: {error}")))?;
    let mut out = String::new();
    writer.write(&json, 0, &mut out);
    Ok(out)
}

/// Jinja's `sequence` test: whatever has a length and items, so text and mappings too.
pub(super) fn is_sequence(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Seq | ValueKind::String | ValueKind::Map)
}

/// Jinja's `iterable` test: nothing is not.
pub(super) fn is_iterable(value: &Value) -> bool {
    !value.is_none() && value.try_iter().is_ok()
}

/// One level of indentation: that many spaces, or the text itself. A negative number means none.
fn step(indent: &Value) -> Option<String> {
    const MOST: usize = 64;
    match indent.as_str() {
        Some(text) => Some(text.chars().take(MOST).collect()),
        None if indent.is_none() => None,
        None => Some(" ".repeat(indent.as_usize().unwrap_or(0).min(MOST))),
    }
}

struct Writer {
    item: String,
    key: String,
    indent: Option<String>,
    sort_keys: bool,
    ensure_ascii: bool,
}

impl Writer {
    fn write(&self, json: &Json, depth: usize, out: &mut String) {
        match json {
            Json::Array(items) => self.write_all('[', ']', items, depth, out, |item, out| {
                self.write(item, depth + 1, out);
            }),
            Json::Object(entries) => {
                let mut entries: Vec<_> = entries.iter().collect();
                if self.sort_keys {
                    entries.sort_by_key(|entry| entry.0);
                }
                self.write_all('{', '}', &entries, depth, out, |(key, value), out| {
                    self.write_text(key, out);
                    out.push_str(&self.key);
                    self.write(value, depth + 1, out);
                });
            }
            Json::String(text) => self.write_text(text, out),
            Json::Number(number) => out.push_str(&python_number(number)),
            Json::Bool(_) | Json::Null => out.push_str(&json.to_string()),
        }
    }

    fn write_all<T>(
        &self,
        open: char,
        close: char,
        items: &[T],
        depth: usize,
        out: &mut String,
        write: impl Fn(&T, &mut String),
    ) {
        out.push(open);
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                out.push_str(&self.item);
            }
            self.new_line(depth + 1, out);
            write(item, out);
        }
        if !items.is_empty() {
            self.new_line(depth, out);
        }
        out.push(close);
    }

    fn new_line(&self, depth: usize, out: &mut String) {
        if let Some(indent) = &self.indent {
            out.push('\n');
            out.push_str(&indent.repeat(depth));
        }
    }

    fn write_text(&self, text: &str, out: &mut String) {
        let quoted = Json::from(text).to_string();
        if !self.ensure_ascii {
            out.push_str(&quoted);
            return;
        }
        for character in quoted.chars() {
            // A marker of ours has to stay recognizable.
            if character.is_ascii() && character != '\u{7f}' || MARKERS.contains(&character) {
                out.push(character);
            } else {
                let mut units = [0; 2];
                character.encode_utf16(&mut units).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
            }
        }
    }
}

/// A number as Python's `repr` writes it: exponents with a sign and two digits.
fn python_number(number: &serde_json::Number) -> String {
    match number.as_f64().filter(|_| number.is_f64()) {
        Some(number) => {
            let text = format!("{number:?}");
            match text.split_once('e') {
                Some((digits, exponent)) => {
                    let (sign, size) = exponent.strip_prefix('-').map_or(('+', exponent), |size| ('-', size));
                    format!("{digits}e{sign}{size:0>2}")
                }
                None => text,
            }
        }
        None => number.to_string(),
    }
}
