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
    let mut writer = Writer {
        out: String::new(),
        depth: 0,
        item: separators.next().unwrap_or_else(|| default_item.to_owned()),
        key: separators.next().unwrap_or_else(|| default_key.to_owned()),
        indent: indent.and_then(|indent| step(&indent)),
        sort_keys: options.get::<Option<bool>>("sort_keys")?.unwrap_or(false),
        ensure_ascii: options.get::<Option<bool>>("ensure_ascii")?.or(ensure_ascii).unwrap_or(false),
    };
    options.assert_all_used()?;
    let json = serde_json::to_value(value)
        .map_err(|error| Error::new(ErrorKind::InvalidOperation, format!("tojson: {error}")))?;
    writer.write(&json);
    Ok(writer.out)
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
    out: String,
    depth: usize,
    item: String,
    key: String,
    indent: Option<String>,
    sort_keys: bool,
    ensure_ascii: bool,
}

impl Writer {
    fn write(&mut self, json: &Json) {
        match json {
            Json::Array(items) => self.write_all(['[', ']'], items, Self::write),
            Json::Object(entries) => {
                let mut entries: Vec<_> = entries.iter().collect();
                if self.sort_keys {
                    entries.sort_by_key(|entry| entry.0);
                }
                self.write_all(['{', '}'], &entries, |writer, (key, value)| {
                    writer.write_text(key);
                    writer.out.push_str(&writer.key);
                    writer.write(value);
                });
            }
            Json::String(text) => self.write_text(text),
            Json::Number(number) => self.out.push_str(&python_number(number)),
            Json::Bool(_) | Json::Null => self.out.push_str(&json.to_string()),
        }
    }

    fn write_all<T>(&mut self, brackets: [char; 2], items: &[T], write: impl Fn(&mut Self, &T)) {
        self.out.push(brackets[0]);
        self.depth += 1;
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.out.push_str(&self.item);
            }
            self.new_line();
            write(self, item);
        }
        self.depth -= 1;
        if !items.is_empty() {
            self.new_line();
        }
        self.out.push(brackets[1]);
    }

    fn new_line(&mut self) {
        if let Some(indent) = &self.indent {
            self.out.push('\n');
            self.out.push_str(&indent.repeat(self.depth));
        }
    }

    fn write_text(&mut self, text: &str) {
        let quoted = Json::from(text).to_string();
        if !self.ensure_ascii {
            self.out.push_str(&quoted);
            return;
        }
        for character in quoted.chars() {
            // A marker of ours has to stay recognizable.
            if (character.is_ascii() && character != '\u{7f}') || MARKERS.contains(&character) {
                self.out.push(character);
            } else {
                let mut units = [0; 2];
                let units = character.encode_utf16(&mut units).iter();
                units.for_each(|unit| self.out.push_str(&format!("\\u{unit:04x}")));
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
