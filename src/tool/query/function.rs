//! The functions of a query: SQLite's own that are offered, and those that models expect from other systems.
//!
//! `round` works on the decimal digits, half away from zero, as people round money; SQLite's own works on
//! the binary value. `lower` and `upper` know all letters.
//!
//! Must not know: tables, grammars' syntax.

use std::str::FromStr as _;

use jiff::civil;
use regex::Regex;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Error, Result};
use rust_decimal::{Decimal, RoundingStrategy};

use super::aggregate;

/// What a function is, which decides where a grammar allows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Scalar,
    /// One value for a group of rows.
    Aggregate,
    /// Only with `OVER (…)`.
    Window,
}

/// `(name, kind, least and most arguments)`; most is at least the least.
pub(super) const FUNCTIONS: [(&str, Kind, usize, usize); 68] = [
    ("count", Kind::Aggregate, 1, 1),
    ("sum", Kind::Aggregate, 1, 1),
    ("avg", Kind::Aggregate, 1, 1),
    ("min", Kind::Aggregate, 1, 1),
    ("max", Kind::Aggregate, 1, 1),
    ("total", Kind::Aggregate, 1, 1),
    ("median", Kind::Aggregate, 1, 1),
    ("stddev", Kind::Aggregate, 1, 1),
    ("stddev_pop", Kind::Aggregate, 1, 1),
    ("variance", Kind::Aggregate, 1, 1),
    ("group_concat", Kind::Aggregate, 1, 2),
    ("string_agg", Kind::Aggregate, 2, 2),
    ("row_number", Kind::Window, 0, 0),
    ("rank", Kind::Window, 0, 0),
    ("dense_rank", Kind::Window, 0, 0),
    ("percent_rank", Kind::Window, 0, 0),
    ("ntile", Kind::Window, 1, 1),
    ("lag", Kind::Window, 1, 3),
    ("lead", Kind::Window, 1, 3),
    ("first_value", Kind::Window, 1, 1),
    ("last_value", Kind::Window, 1, 1),
    ("round", Kind::Scalar, 1, 2),
    ("abs", Kind::Scalar, 1, 1),
    ("ceil", Kind::Scalar, 1, 1),
    ("floor", Kind::Scalar, 1, 1),
    ("sign", Kind::Scalar, 1, 1),
    ("sqrt", Kind::Scalar, 1, 1),
    ("power", Kind::Scalar, 2, 2),
    ("mod", Kind::Scalar, 2, 2),
    ("greatest", Kind::Scalar, 2, 8),
    ("least", Kind::Scalar, 2, 8),
    ("coalesce", Kind::Scalar, 2, 8),
    ("ifnull", Kind::Scalar, 2, 2),
    ("nullif", Kind::Scalar, 2, 2),
    ("iif", Kind::Scalar, 3, 3),
    ("lower", Kind::Scalar, 1, 1),
    ("upper", Kind::Scalar, 1, 1),
    ("initcap", Kind::Scalar, 1, 1),
    ("trim", Kind::Scalar, 1, 2),
    ("ltrim", Kind::Scalar, 1, 2),
    ("rtrim", Kind::Scalar, 1, 2),
    ("length", Kind::Scalar, 1, 1),
    ("substr", Kind::Scalar, 2, 3),
    ("substring", Kind::Scalar, 2, 3),
    ("left", Kind::Scalar, 2, 2),
    ("right", Kind::Scalar, 2, 2),
    ("instr", Kind::Scalar, 2, 2),
    ("replace", Kind::Scalar, 3, 3),
    ("split_part", Kind::Scalar, 3, 3),
    ("regexp_replace", Kind::Scalar, 3, 3),
    ("regexp_substr", Kind::Scalar, 2, 2),
    ("concat", Kind::Scalar, 1, 8),
    ("concat_ws", Kind::Scalar, 2, 8),
    ("printf", Kind::Scalar, 2, 8),
    ("format", Kind::Scalar, 2, 8),
    ("date", Kind::Scalar, 1, 4),
    ("datetime", Kind::Scalar, 1, 4),
    ("strftime", Kind::Scalar, 2, 4),
    ("julianday", Kind::Scalar, 1, 3),
    ("unixepoch", Kind::Scalar, 1, 3),
    ("datediff", Kind::Scalar, 2, 2),
    ("year", Kind::Scalar, 1, 1),
    ("month", Kind::Scalar, 1, 1),
    ("day", Kind::Scalar, 1, 1),
    ("quarter", Kind::Scalar, 1, 1),
    ("dayname", Kind::Scalar, 1, 1),
    ("monthname", Kind::Scalar, 1, 1),
    ("typeof", Kind::Scalar, 1, 1),
];

/// Names of all functions, lower-case.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|row| row.0)
}

/// How many arguments a function takes, in words.
pub(super) fn arity(name: &str) -> Option<String> {
    let (_, _, least, most) = FUNCTIONS.iter().find(|row| row.0.eq_ignore_ascii_case(name))?;
    Some(if least == most { least.to_string() } else { format!("{least} to {most}") })
}

/// Adds ours to SQLite's own.
pub(super) fn register(connection: &Connection) -> Result<()> {
    register_numbers(connection)?;
    register_texts(connection)?;
    register_dates(connection)?;
    aggregate::register(connection)
}

/// Adds a function of `n` arguments that gives null if its first argument is null.
fn add<F>(connection: &Connection, name: &str, n: i32, function: F) -> Result<()>
where
    F: Fn(&Context<'_>) -> Result<Value> + Send + Sync + std::panic::RefUnwindSafe + std::panic::UnwindSafe + 'static,
{
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function(name, n, flags, move |context| match context.get_raw(0) {
        ValueRef::Null => Ok(Value::Null),
        _ => function(context),
    })
}

fn register_numbers(connection: &Connection) -> Result<()> {
    add(connection, "round", 1, |context| Ok(number(context, 0).map_or(Value::Null, |x| Value::Real(round(x, 0)))))?;
    add(connection, "round", 2, |context| {
        let Some((x, places)) = number(context, 0).zip(number(context, 1)) else { return Ok(Value::Null) };
        #[allow(clippy::cast_possible_truncation)] // saturates, and `round` clamps
        Ok(Value::Real(round(x, places as i32)))
    })?;
    for (name, keep_second) in [("greatest", std::cmp::Ordering::Less), ("least", std::cmp::Ordering::Greater)] {
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
        connection.create_scalar_function(name, -1, flags, move |context| {
            let mut best = Value::Null;
            for idx in 0..context.len() {
                let value: Value = context.get(idx)?;
                if best == Value::Null || value != Value::Null && compare(&best, &value) == keep_second {
                    best = value;
                }
            }
            Ok(best)
        })?;
    }
    Ok(())
}

/// Numbers before texts, as SQLite orders them.
fn compare(a: &Value, b: &Value) -> std::cmp::Ordering {
    let number = |value: &Value| match value {
        #[allow(clippy::cast_precision_loss)]
        Value::Integer(whole) => Some(*whole as f64),
        Value::Real(x) => Some(*x),
        _ => None,
    };
    match (number(a), number(b), a, b) {
        (Some(a), Some(b), ..) => a.total_cmp(&b),
        (Some(_), None, ..) => std::cmp::Ordering::Less,
        (None, Some(_), ..) => std::cmp::Ordering::Greater,
        (.., Value::Text(a), Value::Text(b)) => a.cmp(b),
        _ => std::cmp::Ordering::Equal,
    }
}

fn register_texts(connection: &Connection) -> Result<()> {
    add(connection, "lower", 1, |context| Ok(text(context, 0).to_lowercase().into()))?;
    add(connection, "upper", 1, |context| Ok(text(context, 0).to_uppercase().into()))?;
    add(connection, "initcap", 1, |context| Ok(initcap(&text(context, 0)).into()))?;
    add(connection, "left", 2, |context| {
        Ok(text(context, 0).chars().take(size(context, 1)).collect::<String>().into())
    })?;
    add(connection, "right", 2, |context| {
        let chars: Vec<char> = text(context, 0).chars().collect();
        Ok(chars[chars.len().saturating_sub(size(context, 1))..].iter().collect::<String>().into())
    })?;
    add(connection, "split_part", 3, |context| {
        Ok(split_part(&text(context, 0), &text(context, 1), number(context, 2)).into())
    })?;
    // `text REGEXP pattern` calls regexp(pattern, text).
    add(connection, "regexp", 2, |context| match context.get_raw(1) {
        ValueRef::Null => Ok(Value::Null),
        _ => Ok(i64::from(pattern(context, 0)?.is_match(&text(context, 1))).into()),
    })?;
    add(connection, "regexp_replace", 3, |context| {
        Ok(pattern(context, 1)?.replace_all(&text(context, 0), text(context, 2)).into_owned().into())
    })?;
    add(connection, "regexp_substr", 2, |context| {
        Ok(pattern(context, 1)?.find(&text(context, 0)).map_or(Value::Null, |found| found.as_str().to_owned().into()))
    })
}

fn register_dates(connection: &Connection) -> Result<()> {
    type Part = fn(civil::Date) -> Value;
    let parts: [(&str, Part); 6] = [
        ("year", |date| i64::from(date.year()).into()),
        ("month", |date| i64::from(date.month()).into()),
        ("day", |date| i64::from(date.day()).into()),
        ("quarter", |date| i64::from((date.month() + 2) / 3).into()),
        ("dayname", |date| date.strftime("%A").to_string().into()),
        ("monthname", |date| date.strftime("%B").to_string().into()),
    ];
    for (name, part) in parts {
        add(connection, name, 1, move |context| Ok(date(context, 0).map_or(Value::Null, part)))?;
    }
    add(connection, "datediff", 2, |context| {
        let Some((later, earlier)) = date(context, 0).zip(date(context, 1)) else { return Ok(Value::Null) };
        Ok(later.since(earlier).map_or(Value::Null, |span| i64::from(span.get_days()).into()))
    })
}

/// An argument as a number; texts that are none give `None`.
pub(super) fn number(context: &Context<'_>, idx: usize) -> Option<f64> {
    match context.get_raw(idx) {
        #[allow(clippy::cast_precision_loss)]
        ValueRef::Integer(whole) => Some(whole as f64),
        ValueRef::Real(x) => Some(x),
        ValueRef::Text(text) => std::str::from_utf8(text).ok()?.trim().parse().ok(),
        _ => None,
    }
}

fn text(context: &Context<'_>, idx: usize) -> String {
    match context.get_raw(idx) {
        ValueRef::Null => String::new(),
        ValueRef::Integer(whole) => whole.to_string(),
        ValueRef::Real(x) => x.to_string(),
        ValueRef::Text(text) | ValueRef::Blob(text) => String::from_utf8_lossy(text).into_owned(),
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates, and negative is none
fn size(context: &Context<'_>, idx: usize) -> usize {
    number(context, idx).unwrap_or(0.0).max(0.0) as usize
}

fn date(context: &Context<'_>, idx: usize) -> Option<civil::Date> {
    let text = text(context, idx);
    civil::Date::from_str(text.get(..10)?).ok()
}

/// The pattern in an argument, compiled once per query.
fn pattern(context: &Context<'_>, idx: usize) -> Result<std::sync::Arc<Regex>> {
    #[allow(clippy::cast_possible_wrap, clippy::cast_possible_truncation)] // an argument number
    context.get_or_create_aux(idx as i32, |value| -> std::result::Result<Regex, Error> {
        let pattern = value.as_str().unwrap_or_default();
        Regex::new(pattern).map_err(|error| {
            Error::UserFunctionError(format!("`{pattern}` is not a regular expression: {error}").into())
        })
    })
}

/// Rounds the decimal digits of `x`, half away from zero; negative `places` round to tens, hundreds, ….
pub(super) fn round(x: f64, places: i32) -> f64 {
    // 15 digits: what lies behind them is noise of binary fractions.
    let Ok(decimal) = Decimal::from_scientific(&format!("{x:.14e}")) else { return x };
    let strategy = RoundingStrategy::MidpointAwayFromZero;
    let places = places.clamp(-15, 15);
    let rounded = if places >= 0 {
        decimal.round_dp_with_strategy(places.unsigned_abs(), strategy)
    } else {
        let unit = Decimal::from(10_i64.pow(places.unsigned_abs()));
        (decimal / unit).round_dp_with_strategy(0, strategy) * unit
    };
    rounded.to_string().parse().unwrap_or(x)
}

fn initcap(text: &str) -> String {
    let mut at_start = true;
    text.chars()
        .flat_map(|c| {
            let cased = if at_start { c.to_uppercase().collect::<String>() } else { c.to_lowercase().collect() };
            at_start = !c.is_alphanumeric() && c != '\'';
            cased.chars().collect::<Vec<_>>()
        })
        .collect()
}

/// The part with this 1-based number; negative numbers count from the end.
fn split_part(text: &str, delimiter: &str, number: Option<f64>) -> String {
    let parts: Vec<&str> = if delimiter.is_empty() { vec![text] } else { text.split(delimiter).collect() };
    #[allow(clippy::cast_possible_truncation)] // saturates
    let number = number.unwrap_or(0.0) as isize;
    let idx = if number < 0 { parts.len().checked_add_signed(number) } else { usize::try_from(number - 1).ok() };
    idx.and_then(|idx| parts.get(idx)).map_or_else(String::new, |part| (*part).to_owned())
}
