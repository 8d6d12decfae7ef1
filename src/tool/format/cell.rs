//! One cell as text: numbers without noise, nothing for null, nested values as compact JSON.

use serde_json::{Number, Value as Json};

/// Significant digits from which a fraction counts as the noise of binary arithmetic.
const NOISY_DIGITS: usize = 16;

/// Significant digits that such a fraction is rounded to.
const KEPT_DIGITS: i32 = 12;

/// A cell as people write it: no quotes, no exponent, null as nothing.
pub fn cell_text(cell: &Json) -> String {
    match cell {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        Json::Number(number) => number_text(number),
        Json::Bool(_) | Json::Array(_) | Json::Object(_) => tidy(cell).to_string(),
    }
}

/// A number without exponent, `.0` and binary noise: `0.1 + 0.2` is `0.3`.
pub fn number_text(number: &Number) -> String {
    match (number.is_f64(), number.as_f64()) {
        (true, Some(float)) => plain(denoise(float)),
        _ => number.to_string(),
    }
}

/// Rust writes floats shortest and without exponent; only the sign of zero needs care.
fn plain(float: f64) -> String {
    if float == 0.0 { "0".to_owned() } else { float.to_string() }
}

/// `float` as it was meant: rounded if it has more digits than a person or a file would give it.
pub fn denoise(float: f64) -> f64 {
    let digits = format!("{float:e}");
    let mantissa = digits.split('e').next().unwrap_or_default();
    if mantissa.bytes().filter(u8::is_ascii_digit).count() < NOISY_DIGITS {
        return float;
    }
    let rounded = format!("{float:.precision$e}", precision = KEPT_DIGITS as usize - 1);
    rounded.parse().unwrap_or(float)
}

/// `json` with every number free of binary noise; types stay as they are.
pub fn tidy(json: &Json) -> Json {
    match json {
        Json::Number(number) if number.is_f64() => {
            number.as_f64().map(denoise).and_then(Number::from_f64).map_or(Json::Null, Json::Number)
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
