//! Dates and times of the civil calendar, without time zones.

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::{Span, ToSpan as _};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;

const SECONDS_PER_DAY: i64 = 86_400;

/// A point of the calendar or the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    Date(Date),
    DateTime(DateTime),
    Time(Time),
}

impl Moment {
    /// `2025-03-01`, `2025-03-01 14:30`, `14:30`, with or without seconds.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        match text.len() {
            10 if !text.contains(':') => text.parse().ok().map(Self::Date),
            0..=8 if text.contains(':') => {
                let padded = if text.find(':') == Some(1) { format!("0{text}") } else { text.to_owned() };
                padded.parse().ok().map(Self::Time)
            }
            11.. if text.starts_with(|c: char| c.is_ascii_digit()) && text.is_char_boundary(10) => {
                let is_separated = text[10..].starts_with([' ', 'T']);
                is_separated.then(|| text.replacen(' ', "T", 1).parse().ok().map(Self::DateTime)).flatten()
            }
            _ => None,
        }
    }

    pub fn today() -> Self {
        Self::Date(jiff::Zoned::now().date())
    }

    pub fn kind(self) -> &'static str {
        match self {
            Self::Date(_) => "a date",
            Self::DateTime(_) => "a date with time",
            Self::Time(_) => "a time of day",
        }
    }

    /// Seconds from `earlier` to `self`, and whether that is a difference of whole dates.
    /// `None` if one has a date and the other has not.
    pub fn seconds_since(self, earlier: Self) -> Option<(i64, bool)> {
        let is_dates = matches!((self, earlier), (Self::Date(_), Self::Date(_)));
        let (to, from) = match (self, earlier) {
            (Self::Time(to), Self::Time(from)) => (to.on(2000, 1, 1), from.on(2000, 1, 1)),
            (to, from) => (to.with_time()?, from.with_time()?),
        };
        Some((to.duration_since(from).as_secs(), is_dates))
    }

    fn with_time(self) -> Option<DateTime> {
        match self {
            Self::Date(date) => Some(date.to_datetime(Time::midnight())),
            Self::DateTime(moment) => Some(moment),
            Self::Time(_) => None,
        }
    }

    /// `self` shifted; a date by whole days stays a date, a time of day runs around the clock.
    pub fn plus_seconds(self, seconds: Decimal) -> Result<Self, String> {
        let whole = seconds.to_i64().filter(|whole| Decimal::from(*whole) == seconds);
        let seconds = whole.ok_or_else(|| format!("{seconds} seconds cannot be added to {}", self.kind()))?;
        let span = Span::new().try_seconds(seconds).map_err(|_| out_of_calendar())?;
        match self {
            Self::Date(date) if seconds % SECONDS_PER_DAY == 0 => {
                date.checked_add(span).map(Self::Date).map_err(|_| out_of_calendar())
            }
            Self::Time(time) => Ok(Self::Time(time.wrapping_add(span))),
            other => {
                let moment = other.with_time().ok_or_else(out_of_calendar)?;
                moment.checked_add(span).map(Self::DateTime).map_err(|_| out_of_calendar())
            }
        }
    }

    /// The date of a date or of a date with time.
    pub fn date(self) -> Option<Date> {
        self.with_time().map(DateTime::date)
    }
}

fn out_of_calendar() -> String {
    "the result is outside of the years -9999 to 9999".to_owned()
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let clock = |time: Time| time.strftime(if time.second() == 0 { "%H:%M" } else { "%H:%M:%S" }).to_string();
        match self {
            Self::Date(date) => write!(f, "{date}"),
            Self::DateTime(moment) => write!(f, "{} {}", moment.date(), clock(moment.time())),
            Self::Time(time) => f.write_str(&clock(*time)),
        }
    }
}

/// `date` shifted by whole days, months or years; the last of a shorter month if the day is not in it.
pub fn shifted(date: Date, n: i64, unit: &str) -> Result<Date, String> {
    let span = match unit {
        "days" => Span::new().try_days(n),
        "months" => Span::new().try_months(n),
        _ => Span::new().try_years(n),
    };
    span.and_then(|span| date.checked_add(span)).map_err(|_| out_of_calendar())
}

fn is_working_day(date: Date) -> bool {
    !matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
}

/// Mondays to Fridays from `from` on up to, but without, `to`; negative if `to` is earlier.
pub fn working_days_between(from: Date, to: Date) -> i64 {
    if to < from {
        return -working_days_between(to, from);
    }
    let n_days = i64::from(from.until(to).map_or(0, |span| span.get_days()));
    let rest = (0..n_days % 7).filter_map(|i| from.checked_add(i.days()).ok());
    n_days / 7 * 5 + rest.filter(|date| is_working_day(*date)).count() as i64
}

/// The `n`th working day after `date`, or before it if negative.
pub fn add_working_days(date: Date, n: i64) -> Result<Date, String> {
    // Whole weeks at once; at most four single days are left.
    let mut date = shifted(date, n / 5 * 7, "days")?;
    let mut n_left = n % 5;
    let step = n_left.signum();
    while n_left != 0 {
        date = shifted(date, step, "days")?;
        n_left -= if is_working_day(date) { step } else { 0 };
    }
    // From a weekend, whole weeks end on a weekend: the working day before it is meant.
    while n != 0 && !is_working_day(date) {
        date = shifted(date, -n.signum(), "days")?;
    }
    Ok(date)
}

/// Monday, Tuesday, ….
pub fn weekday(date: Date) -> String {
    date.strftime("%A").to_string()
}
