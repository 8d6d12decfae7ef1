//! Reads a date as people write it and gives it as `YYYY-MM-DD`, the one spelling that sorts and computes.
//!
//! `3/4/2024` names two days; which one it is, is settled by the caller, who has seen the rest of the column.
//!
//! Must not know: columns, tables.

use std::sync::LazyLock;

use jiff::civil;
use regex::{Captures, Regex};

/// Whether the day or the month comes first where a date alone does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    DayMonth,
    MonthDay,
}

/// A date found in a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    /// Already spelled `YYYY-MM-DD`, perhaps with a time.
    Iso,
    /// Converted, a time kept as it was.
    Converted(String),
    /// Depends on the order: `(day first, month first)`, where they differ.
    Either(String, String),
}

const TIME: &str = r"([T ]\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?\s?(?:Z|[AaPp][Mm]|[-+]\d{2}:?\d{2})?)?";
static YEAR_FIRST: LazyLock<Regex> = LazyLock::new(|| pattern(r"(\d{4})([-/.])(\d{1,2})[-/.](\d{1,2})"));
static YEAR_LAST: LazyLock<Regex> = LazyLock::new(|| pattern(r"(\d{1,2})([-/.])(\d{1,2})[-/.](\d{4})"));
static DAY_NAME: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(\d{1,2})(?:st|nd|rd|th)?[-. ]+([A-Za-z]{3,9})\.?,?[- ]+(\d{4})"));
static NAME_DAY: LazyLock<Regex> = LazyLock::new(|| pattern(r"([A-Za-z]{3,9})\.? (\d{1,2})(?:st|nd|rd|th)?,? (\d{4})"));

fn pattern(date: &str) -> Regex {
    Regex::new(&format!("^{date}{TIME}$")).expect("a constant pattern")
}

/// The date that `text` is, without outer blanks, or `None`.
pub(super) fn parse(text: &str) -> Option<Found> {
    let bytes = text.as_bytes();
    if !(8..=35).contains(&bytes.len()) || !bytes.iter().any(u8::is_ascii_digit) {
        return None;
    }
    if let Some(parts) = YEAR_FIRST.captures(text) {
        let iso = iso(&parts[1], &parts[3], &parts[4], time(&parts, 5))?;
        return Some(if iso == text || is_iso(text, &parts) { Found::Iso } else { Found::Converted(iso) });
    }
    if let Some(parts) = YEAR_LAST.captures(text) {
        let day_first = iso(&parts[4], &parts[3], &parts[1], time(&parts, 5));
        let month_first = iso(&parts[4], &parts[1], &parts[3], time(&parts, 5));
        return match (day_first, month_first) {
            // 31.12.2024 is written by day everywhere that writes points.
            (Some(date), _) if &parts[2] == "." => Some(Found::Converted(date)),
            (Some(day), Some(month)) if day != month => Some(Found::Either(day, month)),
            (Some(date), _) | (None, Some(date)) => Some(Found::Converted(date)),
            (None, None) => None,
        };
    }
    let named = |year: &str, name: &str, day: &str, parts: &Captures<'_>| {
        iso(year, &month(name)?.to_string(), day, time(parts, 4)).map(Found::Converted)
    };
    if let Some(parts) = DAY_NAME.captures(text) {
        return named(&parts[3], &parts[2], &parts[1], &parts);
    }
    let parts = NAME_DAY.captures(text)?;
    named(&parts[3], &parts[1], &parts[2], &parts)
}

/// Which order a date proves, as `25/12/2024` does.
pub(super) fn order(text: &str) -> Option<Order> {
    let parts = YEAR_LAST.captures(text)?;
    let (first, second): (u8, u8) = (parts[1].parse().ok()?, parts[3].parse().ok()?);
    match (first > 12, second > 12) {
        (true, false) => Some(Order::DayMonth),
        (false, true) => Some(Order::MonthDay),
        _ => None,
    }
}

fn is_iso(text: &str, parts: &Captures<'_>) -> bool {
    &parts[2] == "-" && text.len() >= 10 && text.as_bytes()[7] == b'-' && !text.ends_with(['m', 'M'])
}

fn time<'a>(parts: &'a Captures<'_>, group: usize) -> &'a str {
    parts.get(group).map_or("", |time| time.as_str())
}

fn iso(year: &str, month: &str, day: &str, time: &str) -> Option<String> {
    let date = civil::Date::new(year.parse().ok()?, month.parse().ok()?, day.parse().ok()?).ok()?;
    Some(format!("{date}{}", clock(time)?))
}

/// A time of day on the 24-hour clock; anything else as it was.
fn clock(time: &str) -> Option<String> {
    let Some(half) = time.strip_suffix(['m', 'M']) else { return Some(time.to_owned()) };
    let afternoon = half.ends_with(['p', 'P']);
    let (hour, rest) = half[1..half.len() - 1].trim_end().split_once(':')?;
    let hour = hour.parse::<u8>().ok().filter(|hour| (1..=12).contains(hour))?;
    Some(format!(" {:02}:{rest}", hour % 12 + if afternoon { 12 } else { 0 }))
}

/// The months in small letters.
pub const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// The number of a month, from 1, by its name or the first letters of it.
pub fn month(name: &str) -> Option<u8> {
    let name = name.to_ascii_lowercase();
    let found =
        MONTHS.iter().position(|full| *full == name || full[..3] == name || name == "sept" && *full == "september")?;
    u8::try_from(found + 1).ok()
}
