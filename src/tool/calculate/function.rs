//! The functions of expressions.

use jiff::civil::Date;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive as _;

use super::moment::{self, Moment};
use super::quantity::{Duration, Number, Quantity, combine, divide, order};

/// Every name, in the order in which an error lists them.
const NAMES: [&str; 22] = [
    "round",
    "floor",
    "ceil",
    "abs",
    "min",
    "max",
    "sum",
    "avg",
    "sqrt",
    "days_between",
    "working_days_between",
    "add_days",
    "add_working_days",
    "add_months",
    "add_years",
    "weekday",
    "today",
    "days",
    "hours",
    "minutes",
    "seconds",
    "date",
];

/// Calls the function `name`.
pub fn call(name: &str, arguments: &[Quantity]) -> Result<Quantity, String> {
    match (name, arguments) {
        ("round", [x]) => Ok(number(x)?.round(0)?.into()),
        ("round", [x, n_places]) => Ok(number(x)?.round(whole(n_places)?)?.into()),
        ("floor", [x]) => Ok(Number::from(number(x)?.value.floor()).into()),
        ("ceil" | "ceiling", [x]) => Ok(Number::from(number(x)?.value.ceil()).into()),
        ("sqrt", [x]) => Ok(number(x)?.sqrt()?.into()),
        ("abs", [x]) => {
            let negated = x.clone().negated()?;
            Ok(if order(&negated, x).is_some_and(std::cmp::Ordering::is_gt) { negated } else { x.clone() })
        }
        ("min" | "max", [first, rest @ ..]) => extreme(name, first, rest),
        ("sum", [first, rest @ ..]) => sum(first, rest),
        ("avg" | "average" | "mean", [first, rest @ ..]) => {
            divide(sum(first, rest)?, Number::from(arguments.len() as i64).into())
        }
        ("days" | "hours" | "minutes" | "seconds", [x]) => in_unit(name, x),
        ("today", []) => Ok(Quantity::Moment(Moment::today())),
        _ => call_date(name, arguments),
    }
}

fn call_date(name: &str, arguments: &[Quantity]) -> Result<Quantity, String> {
    let shifted = |x: &Quantity, n: &Quantity, unit| {
        moment::shifted(date(x)?, whole(n)?, unit).map(|date| Quantity::Moment(Moment::Date(date)))
    };
    match (name, arguments) {
        ("date", [x]) => date(x).map(|date| Quantity::Moment(Moment::Date(date))),
        ("weekday", [x]) => date(x).map(|date| Quantity::Text(moment::weekday(date))),
        ("days_between", [from, to]) => {
            let n_days =
                Moment::Date(date(to)?).seconds_since(Moment::Date(date(from)?)).map_or(0, |(s, _)| s / 86_400);
            Ok(Number::from(n_days).into())
        }
        ("working_days_between", [from, to]) => {
            Ok(Number::from(moment::working_days_between(date(from)?, date(to)?)).into())
        }
        ("add_working_days", [x, n]) => {
            moment::add_working_days(date(x)?, whole(n)?).map(|date| Quantity::Moment(Moment::Date(date)))
        }
        ("add_days", [x, n]) => shifted(x, n, "days"),
        ("add_months", [x, n]) => shifted(x, n, "months"),
        ("add_years", [x, n]) => shifted(x, n, "years"),
        (known, _) if NAMES.contains(&known) => Err(format!("{known} does not take {} arguments", arguments.len())),
        (unknown, _) => Err(format!("there is no function {unknown}; there are {}", NAMES.join(", "))),
    }
}

/// The unit of time of that name as a length of time.
pub fn unit(name: &str) -> Option<Duration> {
    let (seconds, is_days) = match name {
        "s" | "sec" | "secs" | "second" | "seconds" => (1, false),
        "min" | "mins" | "minute" | "minutes" => (60, false),
        "h" | "hr" | "hrs" | "hour" | "hours" => (3600, false),
        "d" | "day" | "days" => (86_400, true),
        "w" | "week" | "weeks" => (7 * 86_400, true),
        _ => return None,
    };
    Some(Duration { seconds: seconds.into(), is_days })
}

fn number(quantity: &Quantity) -> Result<Number, String> {
    match quantity {
        Quantity::Number(number) => Ok(*number),
        other => Err(format!("expected a number, got {}", other.kind())),
    }
}

fn whole(quantity: &Quantity) -> Result<i64, String> {
    let value = match quantity {
        Quantity::Number(number) if number.value.fract().is_zero() => number.value.to_i64(),
        // `add_days(…, 30 days)` says the same as `add_days(…, 30)`.
        Quantity::Duration(Duration { seconds, is_days: true }) => (seconds.value / Decimal::from(86_400)).to_i64(),
        _ => None,
    };
    value.ok_or_else(|| format!("expected a whole number, got {}", quantity.kind()))
}

fn date(quantity: &Quantity) -> Result<Date, String> {
    let found = match quantity {
        Quantity::Moment(moment) => moment.date(),
        _ => None,
    };
    found.ok_or_else(|| format!("expected a date such as 2025-03-01, got {}", quantity.kind()))
}

fn extreme(name: &str, first: &Quantity, rest: &[Quantity]) -> Result<Quantity, String> {
    let mut best = first;
    for quantity in rest {
        let order = order(quantity, best)
            .ok_or_else(|| format!("units do not match: {} and {}", best.kind(), quantity.kind()))?;
        if (name == "min" && order.is_lt()) || (name == "max" && order.is_gt()) {
            best = quantity;
        }
    }
    Ok(best.clone())
}

fn sum(first: &Quantity, rest: &[Quantity]) -> Result<Quantity, String> {
    rest.iter().try_fold(first.clone(), |sum, quantity| combine("+", sum, quantity.clone()))
}

/// A length of time as a number of units.
fn in_unit(name: &str, quantity: &Quantity) -> Result<Quantity, String> {
    let (Quantity::Duration(_), Some(unit)) = (quantity, unit(name)) else {
        return Err(format!("expected a time such as 90 min, got {}", quantity.kind()));
    };
    divide(quantity.clone(), Quantity::Duration(unit))
}
