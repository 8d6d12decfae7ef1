//! What is done to a JSON Schema before it is compiled.
//!
//! - White space is one blank behind a comma or a colon, as models learned to write JSON: where they must do without, what a
//!   text begins with is not what they mean to say.
//! - An integer without bounds gets those that every JSON reader keeps exactly, ±(2^53 − 1). Without them a small
//!   model may write digits until it runs out of tokens.
//!
//! Invariant: every text that fits a prepared schema fits the schema.
//! Source of the bounds: RFC 7493, I-JSON, 2.2.

use serde_json::{Map, Value, json};

const MAX_EXACT: i64 = (1 << 53) - 1;
/// Keywords whose values are data, not schemas.
const DATA: [&str; 5] = ["const", "enum", "default", "examples", "x-guidance"];
/// Keywords that bound an integer, or leave it to a list.
const BOUNDS: [&str; 6] = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "const", "enum"];

/// The schema to compile. It must not be nested so deeply that recursion over it is unsafe.
pub(super) fn prepare(schema: &Value) -> Value {
    let mut schema = match schema {
        Value::Bool(true) => json!({}),
        other => other.clone(),
    };
    bound_integers(&mut schema);
    if let Some(object) = schema.as_object_mut() {
        let options = object.entry("x-guidance").or_insert_with(|| json!({}));
        if let Some(options) = options.as_object_mut() {
            options.insert("whitespace_flexible".into(), false.into());
            options.insert("item_separator".into(), ", ".into());
            options.insert("key_separator".into(), ": ".into());
            options.remove("whitespace_pattern");
        }
    }
    schema
}

/// Levels of arrays and objects, without recursion: a schema may be as deep as whoever sent it likes.
pub(super) fn depth(value: &Value) -> usize {
    let mut deepest = 0;
    let mut open = vec![(value, 1)];
    while let Some((value, level)) = open.pop() {
        deepest = deepest.max(level);
        match value {
            Value::Array(items) => open.extend(items.iter().map(|item| (item, level + 1))),
            Value::Object(fields) => open.extend(fields.values().map(|field| (field, level + 1))),
            _ => {}
        }
    }
    deepest
}

fn bound_integers(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(bound_integers),
        Value::Object(fields) => {
            if is_unbounded_integer(fields) {
                fields.insert("minimum".into(), (-MAX_EXACT).into());
                fields.insert("maximum".into(), MAX_EXACT.into());
            }
            // A property may be called `const`, so the names under `properties` are not keywords.
            let named = ["properties", "$defs", "definitions", "patternProperties"];
            for (key, value) in fields.iter_mut().filter(|(key, _)| !DATA.contains(&key.as_str())) {
                match value {
                    Value::Object(schemas) if named.contains(&key.as_str()) => {
                        schemas.values_mut().for_each(bound_integers);
                    }
                    value => bound_integers(value),
                }
            }
        }
        _ => {}
    }
}

fn is_unbounded_integer(fields: &Map<String, Value>) -> bool {
    fields.get("type").is_some_and(|kind| kind == "integer") && BOUNDS.iter().all(|key| !fields.contains_key(*key))
}
