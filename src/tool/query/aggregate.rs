//! Aggregates of a query: exact sums and means, and statistics that SQLite lacks.
//!
//! `sum`, `total` and `avg` replace SQLite's own. They add decimal digits, not binary fractions: equal sums
//! are equal, so an order and a comparison come out as on paper. A text that is no number is an error
//! instead of a silent zero.
//!
//! Must not know: tables.

use rusqlite::functions::{Aggregate, Context, FunctionFlags, WindowAggregate};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Error, Result};
use rust_decimal::Decimal;
use rust_decimal::prelude::{FromPrimitive as _, ToPrimitive as _};

use super::function::number;

/// Adds the aggregates, in place of SQLite's own where they have its names.
pub(super) fn register(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    for (name, mean) in [("sum", Mean::No), ("total", Mean::ZeroIfEmpty), ("avg", Mean::Yes)] {
        connection.create_window_function(name, 1, flags, Exact { name, mean })?;
    }
    for (name, statistic) in [
        ("median", median as fn(&mut [f64]) -> Option<f64>),
        ("stddev", |values| variance(values, 1).map(f64::sqrt)),
        ("stddev_samp", |values| variance(values, 1).map(f64::sqrt)),
        ("stddev_pop", |values| variance(values, 0).map(f64::sqrt)),
        ("variance", |values| variance(values, 1)),
        ("var_pop", |values| variance(values, 0)),
    ] {
        connection.create_aggregate_function(name, 1, flags, Statistic(statistic))?;
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mean {
    No,
    Yes,
    ZeroIfEmpty,
}

/// `sum`, `total` or `avg`.
struct Exact {
    name: &'static str,
    mean: Mean,
}

/// What has been added so far.
struct Sum {
    n: i64,
    /// `None` once a number or the sum left the range of a decimal.
    digits: Option<Decimal>,
    binary: f64,
    is_whole: bool,
}

impl Exact {
    fn value(&self, context: &Context<'_>) -> Result<Option<Value>> {
        match context.get_raw(0) {
            ValueRef::Null => Ok(None),
            ValueRef::Integer(whole) => Ok(Some(Value::Integer(whole))),
            ValueRef::Real(x) => Ok(Some(Value::Real(x))),
            ValueRef::Text(text) | ValueRef::Blob(text) => {
                number(context, 0).map(|x| Some(Value::Real(x))).ok_or_else(|| {
                    let shown = String::from_utf8_lossy(text);
                    Error::UserFunctionError(format!("{}: `{shown}` is not a number", self.name).into())
                })
            }
        }
    }

    fn finish(&self, sum: Option<&Sum>) -> Value {
        let Some(sum) = sum.filter(|sum| sum.n > 0) else {
            return if self.mean == Mean::ZeroIfEmpty { Value::Real(0.0) } else { Value::Null };
        };
        let exact = match self.mean {
            Mean::Yes => sum.digits.and_then(|digits| digits.checked_div(Decimal::from(sum.n))),
            _ => sum.digits,
        };
        if sum.is_whole
            && self.mean == Mean::No
            && let Some(whole) = exact.and_then(|digits| digits.to_i64())
        {
            return Value::Integer(whole);
        }
        #[allow(clippy::cast_precision_loss)]
        let binary = if self.mean == Mean::Yes { sum.binary / sum.n as f64 } else { sum.binary };
        Value::Real(exact.and_then(|digits| digits.to_f64()).unwrap_or(binary))
    }
}

impl Sum {
    /// Adds `value`, or takes it away again.
    fn add(&mut self, value: &Value, sign: i8) {
        let (digits, binary) = match value {
            #[allow(clippy::cast_precision_loss)]
            Value::Integer(whole) => (Some(Decimal::from(*whole)), *whole as f64),
            Value::Real(x) => (Decimal::from_f64(*x), *x),
            _ => return,
        };
        self.n += i64::from(sign);
        self.is_whole &= matches!(value, Value::Integer(_));
        self.binary += f64::from(sign) * binary;
        self.digits = self.digits.zip(digits).and_then(|(sum, x)| sum.checked_add(if sign < 0 { -x } else { x }));
    }
}

impl Aggregate<Sum, Value> for Exact {
    fn init(&self, _: &mut Context<'_>) -> Result<Sum> {
        Ok(Sum { n: 0, digits: Some(Decimal::ZERO), binary: 0.0, is_whole: true })
    }

    fn step(&self, context: &mut Context<'_>, sum: &mut Sum) -> Result<()> {
        if let Some(value) = self.value(context)? {
            sum.add(&value, 1);
        }
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, sum: Option<Sum>) -> Result<Value> {
        Ok(self.finish(sum.as_ref()))
    }
}

impl WindowAggregate<Sum, Value> for Exact {
    fn value(&self, sum: Option<&mut Sum>) -> Result<Value> {
        Ok(self.finish(sum.as_deref()))
    }

    fn inverse(&self, context: &mut Context<'_>, sum: &mut Sum) -> Result<()> {
        if let Some(value) = Exact::value(self, context)? {
            sum.add(&value, -1);
        }
        Ok(())
    }
}

/// An aggregate over all numbers of a group.
struct Statistic(fn(&mut [f64]) -> Option<f64>);

impl Aggregate<Vec<f64>, Option<f64>> for Statistic {
    fn init(&self, _: &mut Context<'_>) -> Result<Vec<f64>> {
        Ok(Vec::new())
    }

    fn step(&self, context: &mut Context<'_>, values: &mut Vec<f64>) -> Result<()> {
        values.extend(number(context, 0));
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, values: Option<Vec<f64>>) -> Result<Option<f64>> {
        Ok(values.and_then(|mut values| (self.0)(&mut values)))
    }
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// Mean squared distance from the mean, divided by the count less `lost`.
#[allow(clippy::cast_precision_loss)]
fn variance(values: &[f64], lost: usize) -> Option<f64> {
    let n = values.len();
    if n <= lost {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n as f64;
    Some(values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - lost) as f64)
}
