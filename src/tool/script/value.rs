//! Values of the interpreter as JSON and back.
//!
//! Must not know: hosts, files.

use monty_types::MontyObject;
use serde_json::{Map, Value as Json};

/// A JSON value for the interpreter.
pub(super) fn from_json(value: Json) -> MontyObject {
    match value {
        Json::Null => MontyObject::None,
        Json::Bool(is_true) => MontyObject::Bool(is_true),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => MontyObject::Int(whole),
            None => MontyObject::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Json::String(text) => MontyObject::String(text),
        Json::Array(items) => MontyObject::List(items.into_iter().map(from_json).collect()),
        Json::Object(members) => {
            let pairs = members.into_iter().map(|(key, value)| (MontyObject::String(key), from_json(value)));
            MontyObject::Dict(pairs.collect::<Vec<_>>().into())
        }
    }
}

/// A value of the interpreter as JSON; what JSON lacks becomes the text that `str()` gives.
pub(super) fn to_json(value: MontyObject) -> Json {
    match value {
        MontyObject::None => Json::Null,
        MontyObject::Bool(is_true) => is_true.into(),
        MontyObject::Int(whole) => whole.into(),
        MontyObject::Float(x) => tidy(x),
        MontyObject::String(text) | MontyObject::Path(text) => text.into(),
        MontyObject::Bytes(bytes) => String::from_utf8_lossy(&bytes).into(),
        MontyObject::List(items)
        | MontyObject::Tuple(items)
        | MontyObject::Set(items)
        | MontyObject::FrozenSet(items) => items.into_iter().map(to_json).collect(),
        MontyObject::NamedTuple { field_names, values, .. } => {
            field_names.into_iter().zip(values.into_iter().map(to_json)).collect::<Map<_, _>>().into()
        }
        MontyObject::Dict(pairs) => {
            pairs.into_iter().map(|(key, value)| (key_text(key), to_json(value))).collect::<Map<_, _>>().into()
        }
        MontyObject::Date(date) => format!("{:04}-{:02}-{:02}", date.year, date.month, date.day).into(),
        MontyObject::DateTime(at) => {
            let (date, time) = ((at.year, at.month, at.day), (at.hour, at.minute, at.second));
            let date = format!("{:04}-{:02}-{:02}", date.0, date.1, date.2);
            format!("{date} {:02}:{:02}:{:02}", time.0, time.1, time.2).into()
        }
        other => other.to_string().into(),
    }
}

fn key_text(key: MontyObject) -> String {
    match to_json(key) {
        Json::String(text) => text,
        other => other.to_string(),
    }
}

/// A number with the 15 digits that a float carries for certain; a whole one stays a float, as in Python.
fn tidy(x: f64) -> Json {
    let rounded: f64 = format!("{x:.14e}").parse().unwrap_or(x);
    serde_json::Number::from_f64(rounded).map_or(Json::Null, Json::Number)
}
