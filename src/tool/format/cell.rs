//! One cell as text: numbers without noise, nothing for null, nested values as compact JSON.

use serde_json::{Number, Value as Json};

/// A binary fraction that needs so many significant digits was computed, not written.
const COMPUTED_DIGITS: usize = 16;

/// Significant digits of a computed fraction that a reader is shown.
const SHOWN_DIGITS: usize = 12;

/// Significant digits that every decimal number keeps in binary.
const EXACT_DIGITS: usize = 15;

/// A cell for readers: no quotes, no exponent, null as nothing, at most 12 digits of a computed fraction.
pub fn cell_text(cell: &Json) -> String {
    match cell {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        Json::Number(number) => number_text(number),
        Json::Bool(_) | Json::Array(_) | Json::Object(_) => tidy(cell).to_string(),
    }
}

/// A cell for programs: as [`cell_text`], but a computed fraction keeps all digits that are not noise.
pub fn data_text(cell: &Json) -> String {
    match cell {
        Json::Number(number) => written(number, denoised),
        other => cell_text(other),
    }
}

/// A number without exponent, `.0` and binary noise: `0.1 + 0.2` is `0.3`.
pub fn number_text(number: &Number) -> String {
    written(number, shortened)
}

fn written(number: &Number, rounded: fn(f64) -> f64) -> String {
    match number.as_f64().filter(|_| number.is_f64()).map(rounded) {
        Some(0.0) => "0".to_owned(),
        // Rust writes floats shortest and without exponent.
        Some(float) => float.to_string(),
        None => number.to_string(),
    }
}

/// `float` for a reader.
fn shortened(float: f64) -> f64 {
    if n_digits(float) < COMPUTED_DIGITS { float } else { to_digits(float, SHOWN_DIGITS) }
}

/// `float` without the noise of binary arithmetic, if it is only that: 0.30000000000000004, but not 1/3.
fn denoised(float: f64) -> f64 {
    let exact = to_digits(float, EXACT_DIGITS);
    if n_digits(float) >= COMPUTED_DIGITS && n_digits(exact) <= SHOWN_DIGITS { exact } else { float }
}

/// Significant digits of the shortest decimal that gives `float`.
fn n_digits(float: f64) -> usize {
    let text = format!("{float:e}");
    text.split('e').next().unwrap_or_default().bytes().filter(u8::is_ascii_digit).count()
}

fn to_digits(float: f64, n_digits: usize) -> f64 {
    format!("{float:.precision$e}", precision = n_digits - 1).parse().unwrap_or(float)
}

/// `json` with every number free of binary noise; types stay as they are.
pub fn tidy(json: &Json) -> Json {
    match json {
        Json::Number(number) if number.is_f64() => {
            number.as_f64().map(denoised).and_then(Number::from_f64).map_or(Json::Null, Json::Number)
        }
        Json::Array(items) => items.iter().map(tidy).collect(),
        Json::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), tidy(value))).collect(),
        other => other.clone(),
    }
}

/// Whether a cell is a number, or nothing, so that its column can be aligned to the right.
pub fn is_number(cell: &Json) -> bool {
    cell.is_number() || cell.is_null()
}
