//! Values of expressions and the arithmetic on them.

use rust_decimal::{Decimal, MathematicalOps as _, RoundingStrategy};
use serde_json::Value as Json;

use super::super::Value;
use super::moment::Moment;

/// Significant digits that are shown of a result that a division or root has rounded.
const SHOWN_DIGITS: u32 = 15;

/// Largest whole exponent.
const MAX_EXPONENT: u32 = 1000;

const SECONDS_PER_DAY: i64 = 86_400;

/// The value of an expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Quantity {
    Number(Number),
    Duration(Duration),
    Moment(Moment),
    Flag(bool),
    Text(String),
}

/// A decimal number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number {
    pub value: Decimal,
    /// Whether no digit was lost on the way.
    pub is_exact: bool,
    /// Whether it was written with a percent sign.
    pub is_percent: bool,
}

/// A length of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Duration {
    pub seconds: Number,
    /// Whether it was given in days, and so is shown in days.
    pub is_days: bool,
}

impl From<Decimal> for Number {
    fn from(value: Decimal) -> Self {
        Self { value: value.normalize(), is_exact: true, is_percent: false }
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Decimal::from(value).into()
    }
}

impl From<Number> for Quantity {
    fn from(number: Number) -> Self {
        Self::Number(number)
    }
}

fn too_large() -> String {
    "the result has more than 28 digits".to_owned()
}

impl Number {
    /// `value`, computed from numbers of which all were exact or not.
    fn computed(value: Decimal, is_exact: bool) -> Self {
        Self { value: value.normalize(), is_exact, is_percent: false }
    }

    fn plus(self, other: Self) -> Result<Self, String> {
        let value = self.value.checked_add(other.value).ok_or_else(too_large)?;
        let lost = value.scale() < self.value.scale().max(other.value.scale());
        Ok(Self::computed(value, self.is_exact && other.is_exact && !lost))
    }

    pub fn times(self, other: Self) -> Result<Self, String> {
        let value = self.value.checked_mul(other.value).ok_or_else(too_large)?;
        let lost = !value.is_zero() && value.scale() < self.value.scale() + other.value.scale();
        Ok(Self::computed(value, self.is_exact && other.is_exact && !lost))
    }

    pub fn over(self, other: Self) -> Result<Self, String> {
        if other.value.is_zero() {
            return Err("division by zero".to_owned());
        }
        let value = self.value.checked_div(other.value).ok_or_else(too_large)?;
        let back = Self::computed(value, true).times(other);
        let is_exact = back.is_ok_and(|back| back.is_exact && back.value == self.value);
        Ok(Self::computed(value, self.is_exact && other.is_exact && is_exact))
    }

    /// What is left after dividing; has the sign of the divisor, as in Python.
    fn modulo(self, other: Self) -> Result<Self, String> {
        if other.value.is_zero() {
            return Err("division by zero".to_owned());
        }
        let rest = self.value.checked_rem(other.value).ok_or_else(too_large)?;
        let is_same_side = rest.is_zero() || rest.is_sign_negative() == other.value.is_sign_negative();
        let value = if is_same_side { rest } else { rest + other.value };
        Ok(Self::computed(value, self.is_exact && other.is_exact))
    }

    fn power(self, exponent: Self) -> Result<Self, String> {
        let n = exponent.value;
        if !n.fract().is_zero() {
            if self.value.is_sign_negative() {
                return Err("a negative number has no power with a fraction".to_owned());
            }
            let value = self.value.checked_powd(n).ok_or_else(too_large)?;
            return Ok(Self::computed(value, false));
        }
        let n_times: u32 = n.abs().try_into().ok().filter(|n| *n <= MAX_EXPONENT).ok_or_else(too_large)?;
        let mut product = Self::from(Decimal::ONE);
        for _ in 0..n_times {
            product = product.times(self)?;
        }
        if n.is_sign_negative() { Self::from(Decimal::ONE).over(product) } else { Ok(product) }
    }

    pub fn sqrt(self) -> Result<Self, String> {
        let root = self.value.sqrt().ok_or_else(|| format!("{} has no square root", self.text()))?;
        let square = Self::computed(root, true).times(Self::computed(root, true));
        let is_exact = square.is_ok_and(|square| square.is_exact && square.value == self.value);
        Ok(Self::computed(root, self.is_exact && is_exact))
    }

    /// Rounded to `n_places` after the point, before it if negative; halves go away from zero.
    pub fn round(self, n_places: i64) -> Result<Self, String> {
        let strategy = RoundingStrategy::MidpointAwayFromZero;
        if (0..=28).contains(&n_places) {
            return Ok(self.value.round_dp_with_strategy(n_places as u32, strategy).into());
        }
        if !(-28..0).contains(&n_places) {
            return Err(format!("round takes -27 to 28 places, not {n_places}"));
        }
        let unit = Self::from(Decimal::TEN).power((-n_places).into())?;
        Self::from(self.over(unit)?.value.round_dp_with_strategy(0, strategy)).times(unit)
    }

    /// As shown: no exponent, no final zeros, digits that a division or root left over rounded away.
    fn text(self) -> String {
        let whole = self.value.trunc().abs();
        let whole_digits = if whole.is_zero() { 0 } else { whole.to_string().len() as u32 };
        let places = if self.is_exact { 28 } else { SHOWN_DIGITS.saturating_sub(whole_digits).max(4) };
        self.value.round_dp_with_strategy(places, RoundingStrategy::MidpointAwayFromZero).normalize().to_string()
    }
}

impl Duration {
    fn text(self) -> String {
        let day = Number::from(SECONDS_PER_DAY);
        if self.is_days && (self.seconds.value % day.value).is_zero() {
            let n_days = (self.seconds.value / day.value).normalize();
            return format!("{n_days} {}", if n_days.abs() == Decimal::ONE { "day" } else { "days" });
        }
        let total = Number { value: self.seconds.value.abs(), ..self.seconds };
        let hour = Decimal::from(3600);
        let minute = Decimal::from(60);
        let hours = (total.value / hour).trunc();
        let minutes = (total.value % hour / minute).trunc();
        let seconds = Number { value: total.value % minute, ..total };
        let mut parts = Vec::new();
        parts.extend((!hours.is_zero()).then(|| format!("{}h", hours.normalize())));
        parts.extend((!minutes.is_zero()).then(|| format!("{minutes}min")));
        if !seconds.value.is_zero() || parts.is_empty() {
            parts.push(format!("{}s", seconds.text()));
        }
        format!("{}{}", if self.seconds.value.is_sign_negative() { "-" } else { "" }, parts.join(" "))
    }
}

impl Quantity {
    /// What it is, for errors.
    pub fn kind(&self) -> String {
        match self {
            Self::Number(number) => format!("the number {}", number.text()),
            Self::Duration(duration) => format!("the time {}", duration.text()),
            Self::Moment(moment) => format!("{} {moment}", moment.kind()),
            Self::Flag(flag) => format!("the truth value {flag}"),
            Self::Text(text) => format!("the text {text:?}"),
        }
    }

    /// A number where JSON holds it exactly, otherwise text.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Number(number) => number_value(&number.text()),
            Self::Duration(duration) => Value::Text(duration.text()),
            Self::Moment(moment) => Value::Text(moment.to_string()),
            Self::Flag(flag) => Value::Json(Json::Bool(*flag)),
            Self::Text(text) => Value::Text(text.clone()),
        }
    }

    pub fn negated(self) -> Result<Self, String> {
        match self {
            Self::Number(number) => Ok(Self::Number(Number { value: -number.value, ..number })),
            Self::Duration(Duration { seconds, is_days }) => {
                Ok(Self::Duration(Duration { seconds: Number { value: -seconds.value, ..seconds }, is_days }))
            }
            other => Err(format!("{} has no negative", other.kind())),
        }
    }

    pub fn percent(self) -> Result<Self, String> {
        match self {
            Self::Number(number) => {
                let hundredth = number.times(Number::from(Decimal::new(1, 2)))?;
                Ok(Self::Number(Number { is_percent: true, ..hundredth }))
            }
            other => Err(format!("{} cannot be a percentage", other.kind())),
        }
    }
}

fn number_value(text: &str) -> Value {
    if let Ok(whole) = text.parse::<i64>() {
        return Value::Json(whole.into());
    }
    match text.parse::<f64>() {
        Ok(float) if float.to_string() == text => Value::Json(float.into()),
        _ => Value::Text(text.to_owned()),
    }
}

/// `left operator right`.
pub fn combine(operator: &str, left: Quantity, right: Quantity) -> Result<Quantity, String> {
    match operator {
        "+" | "-" => {
            let right = if operator == "-" && !matches!(right, Quantity::Moment(_)) { right.negated()? } else { right };
            add(operator, left, right)
        }
        "*" => multiply(left, right),
        "/" | "//" => {
            let quotient = divide(left, right)?;
            if operator == "/" { Ok(quotient) } else { floor(quotient) }
        }
        "%" => match (left, right) {
            (Quantity::Number(left), Quantity::Number(right)) => left.modulo(right).map(Quantity::Number),
            (left, right) => Err(mismatch("%", &left, &right)),
        },
        "^" => match (left, right) {
            (Quantity::Number(left), Quantity::Number(right)) => left.power(right).map(Quantity::Number),
            (left, right) => Err(mismatch("^", &left, &right)),
        },
        comparison => compare(comparison, &left, &right),
    }
}

fn mismatch(operator: &str, left: &Quantity, right: &Quantity) -> String {
    format!("units do not match: {} {operator} {}", left.kind(), right.kind())
}

/// For a subtraction `right` is already negated, unless it is a moment.
fn add(operator: &str, left: Quantity, right: Quantity) -> Result<Quantity, String> {
    match (left, right) {
        (Quantity::Number(left), Quantity::Number(right)) => add_numbers(operator, left, right),
        (Quantity::Duration(left), Quantity::Duration(right)) => {
            let seconds = left.seconds.plus(right.seconds)?;
            Ok(Quantity::Duration(Duration { seconds, is_days: left.is_days && right.is_days }))
        }
        (Quantity::Moment(moment), Quantity::Duration(duration)) => {
            moment.plus_seconds(duration.seconds.value).map(Quantity::Moment)
        }
        (Quantity::Duration(duration), Quantity::Moment(moment)) if operator == "+" => {
            moment.plus_seconds(duration.seconds.value).map(Quantity::Moment)
        }
        (Quantity::Moment(left), Quantity::Moment(right)) if operator == "-" => {
            let difference = left.seconds_since(right);
            let (seconds, is_days) =
                difference.ok_or_else(|| mismatch("-", &Quantity::Moment(left), &Quantity::Moment(right)))?;
            Ok(Quantity::Duration(Duration { seconds: seconds.into(), is_days }))
        }
        (left, right) => {
            let right = if operator == "-" { right.clone().negated().unwrap_or(right) } else { right };
            Err(mismatch(operator, &left, &right))
        }
    }
}

/// `100 + 5%` means 105 to some and 100.05 to others, so it is refused; both agree on `1 + 5%`.
fn add_numbers(operator: &str, left: Number, right: Number) -> Result<Quantity, String> {
    let sum = left.plus(right)?;
    let is_percent = left.is_percent && right.is_percent;
    let other = if left.is_percent { right } else { left };
    if left.is_percent != right.is_percent && other.value != Decimal::ONE {
        return Err(format!(
            "a percentage of what? to change {0} by a percentage write {0} * (1 {operator} …%)",
            other.text()
        ));
    }
    Ok(Quantity::Number(Number { is_percent, ..sum }))
}

fn multiply(left: Quantity, right: Quantity) -> Result<Quantity, String> {
    match (left, right) {
        (Quantity::Number(left), Quantity::Number(right)) => left.times(right).map(Quantity::Number),
        (Quantity::Duration(duration), Quantity::Number(number))
        | (Quantity::Number(number), Quantity::Duration(duration)) => {
            let seconds = duration.seconds.times(number)?;
            Ok(Quantity::Duration(Duration { seconds, ..duration }))
        }
        (left, right) => Err(mismatch("*", &left, &right)),
    }
}

pub fn divide(left: Quantity, right: Quantity) -> Result<Quantity, String> {
    match (left, right) {
        (Quantity::Number(left), Quantity::Number(right)) => left.over(right).map(Quantity::Number),
        (Quantity::Duration(left), Quantity::Duration(right)) => left.seconds.over(right.seconds).map(Quantity::Number),
        (Quantity::Duration(duration), Quantity::Number(number)) => {
            let seconds = duration.seconds.over(number)?;
            Ok(Quantity::Duration(Duration { seconds, ..duration }))
        }
        (left, right) => Err(mismatch("/", &left, &right)),
    }
}

fn floor(quotient: Quantity) -> Result<Quantity, String> {
    match quotient {
        Quantity::Number(number) => Ok(Quantity::Number(number.value.floor().into())),
        other => Err(format!("{} cannot be divided with //; use /", other.kind())),
    }
}

/// How two quantities of one kind are ordered; `None` if they have no common kind.
pub fn order(left: &Quantity, right: &Quantity) -> Option<std::cmp::Ordering> {
    match (left, right) {
        (Quantity::Number(left), Quantity::Number(right)) => Some(left.value.cmp(&right.value)),
        (Quantity::Duration(left), Quantity::Duration(right)) => Some(left.seconds.value.cmp(&right.seconds.value)),
        (Quantity::Moment(left), Quantity::Moment(right)) => left.seconds_since(*right).map(|(s, _)| s.cmp(&0)),
        (Quantity::Text(left), Quantity::Text(right)) => Some(left.cmp(right)),
        (Quantity::Flag(left), Quantity::Flag(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

fn compare(operator: &str, left: &Quantity, right: &Quantity) -> Result<Quantity, String> {
    let order = order(left, right).ok_or_else(|| mismatch(operator, left, right))?;
    Ok(Quantity::Flag(match operator {
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        ">=" => order.is_ge(),
        "!=" => order.is_ne(),
        _ => order.is_eq(),
    }))
}
