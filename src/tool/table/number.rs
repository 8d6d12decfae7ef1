//! Reads a number as people write it: currency signs, percent, thousands separators, decimal comma.
//!
//! Conservative: what could be a code, a range or a measure with a unit is not a number. The one true
//! ambiguity, `1,234` and `1.234`, is settled by the caller, who has seen the rest of the column.
//!
//! Must not know: columns, tables.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Number, Value as Json};

/// Which character separates decimals where a number alone does not tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Decimal {
    #[default]
    Point,
    Comma,
}

/// What had to be taken off or reread to get the number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Marks {
    pub currency: bool,
    pub percent: bool,
    pub grouped: bool,
    pub decimal_comma: bool,
    /// A point that can only be the decimal one, as in `2.5` or `1,234.50`.
    pub decimal_point: bool,
}

/// A number found in a cell.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Numeral {
    pub value: Number,
    pub marks: Marks,
}

/// Sign, currency before, sign, digits, percent or currency behind.
static SHAPE: LazyLock<Regex> = LazyLock::new(|| {
    let currency = r"[$€£¥₹₩₽]|(?:USD|EUR|GBP|CHF|JPY|CAD|AUD|INR|CNY|SEK|NOK|DKK|PLN|CZK|US\$|A\$|C\$)";
    Regex::new(&format!(
        r"^([-+−]?)\s?(?:({currency})\s?)?([-+−]?)([0-9.][0-9.,' \u{{a0}}\u{{2009}}\u{{202f}}_]*(?:[eE][-+]?\d+)?)\s?(?:(%)|({currency}))?$"
    ))
    .expect("a constant pattern")
});
static POINT: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?:\d{1,3}(?:(?:,\d{3})+|(?:['_ \u{a0}\u{2009}\u{202f}]\d{3})+)|\d+)?(\.\d*)?(?:[eE][-+]?\d+)?$")
        .expect("a constant pattern")
});
static COMMA: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^(?:\d{1,3}(?:(?:\.\d{3})+|(?:['_ \u{a0}\u{2009}\u{202f}]\d{3})+)|\d+)(,\d+)?$")
        .expect("a constant pattern")
});

/// The number that `text` is, without outer blanks, or `None`.
pub(super) fn parse(text: &str, decimal: Decimal) -> Option<Numeral> {
    let first = *text.as_bytes().first()?;
    if text.len() > 40 || first.is_ascii_alphabetic() && !first.is_ascii_uppercase() {
        return None;
    }
    if let Some(value) = plain(text) {
        let ambiguous = decimal == Decimal::Comma && is_group_of_three(text, '.');
        let decimal_point = text.contains('.') && !is_group_of_three(text, '.');
        if !ambiguous {
            return Some(Numeral { value, marks: Marks { decimal_point, ..Marks::default() } });
        }
    }
    let parts = SHAPE.captures(text)?;
    let sign = (&parts[1], &parts[3]);
    if !sign.0.is_empty() && !sign.1.is_empty() || parts.get(2).is_some() && parts.get(6).is_some() {
        return None;
    }
    let negative = [sign.0, sign.1].iter().any(|sign| matches!(*sign, "-" | "−"));
    let (digits, mut marks) = normalize(&parts[4], decimal)?;
    marks.currency = parts.get(2).or(parts.get(6)).is_some();
    marks.percent = parts.get(5).is_some();
    let value = plain(&format!("{}{digits}", if negative { "-" } else { "" }))?;
    Some(Numeral { value, marks })
}

/// Whether this is a run of digits that a number would not keep as it is: `007`, or longer than 18 digits.
pub(super) fn is_code(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().all(u8::is_ascii_digit) && (bytes.len() > 1 && bytes[0] == b'0' || bytes.len() > 18)
}

/// A number as programs write it.
fn plain(text: &str) -> Option<Number> {
    let body = text.strip_prefix(['-', '+']).unwrap_or(text);
    let starts = body.as_bytes().first()?;
    if !(starts.is_ascii_digit() || *starts == b'.') || !body.bytes().any(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if let Ok(whole) = text.parse::<i64>() {
        return Some(whole.into());
    }
    text.parse::<f64>().ok().filter(|value| value.is_finite()).and_then(Number::from_f64)
}

/// `1,234` or `1.234`: one separator with exactly three digits behind and one to three before.
fn is_group_of_three(digits: &str, separator: char) -> bool {
    let digits = digits.trim_start_matches(['-', '+']);
    digits.split_once(separator).is_some_and(|(before, behind)| {
        (1..=3).contains(&before.len())
            && behind.len() == 3
            && behind.bytes().all(|byte| byte.is_ascii_digit())
            && before.bytes().all(|byte| byte.is_ascii_digit())
            && !before.starts_with('0')
    })
}

/// The digits with a decimal point and nothing else.
fn normalize(digits: &str, decimal: Decimal) -> Option<(String, Marks)> {
    let digits = digits.trim();
    let by_comma = match decimal {
        Decimal::Comma => COMMA.is_match(digits),
        Decimal::Point => !POINT.is_match(digits) && COMMA.is_match(digits),
    };
    let keep = if by_comma { ',' } else { '.' };
    if !by_comma && !POINT.is_match(digits) {
        return None;
    }
    let plain: String =
        digits.chars().filter(|c| c.is_ascii_alphanumeric() || *c == keep || matches!(c, '-' | '+')).collect();
    let marks = Marks {
        grouped: plain.len() != digits.len(),
        decimal_comma: by_comma && plain.contains(','),
        decimal_point: !by_comma && plain.contains('.') && !is_group_of_three(digits, '.'),
        ..Marks::default()
    };
    Some((plain.replace(',', "."), marks))
}

/// The cell for a number.
pub(super) fn cell(numeral: &Numeral) -> Json {
    Json::Number(numeral.value.clone())
}
