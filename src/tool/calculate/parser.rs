//! Tokens → value, by recursive descent.
//!
//! ```text
//! comparison = sum [("<" | "<=" | ">" | ">=" | "=" | "!=") sum]
//! sum        = product {("+" | "-") product}
//! product    = unary {("*" | "/" | "//" | "%" | "of") unary}
//! unary      = ("-" | "+") unary | power
//! power      = postfix ["^" unary]
//! postfix    = primary ["%"]
//! primary    = number [unit {number unit}] | text | name "(" [arguments] ")" | "(" comparison ")"
//! ```

use super::Mistake;
use super::function::{call, unit};
use super::moment::Moment;
use super::quantity::{Number, Quantity, combine};
use super::token::{Kind, Token};

/// Brackets and signs inside each other; the stack is finite.
const MAX_DEPTH: usize = 60;

pub struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser {
    /// `tokens` end with [`Kind::End`].
    pub fn new(tokens: Vec<Token>) -> Self {
        Self { tokens, at: 0, depth: 0 }
    }

    /// The value of the whole expression.
    pub fn evaluate(mut self) -> Result<Quantity, Mistake> {
        let quantity = self.comparison()?;
        match &self.peek(0).kind {
            Kind::End => Ok(quantity),
            Kind::Symbol(",") => {
                Err(self.mistake("a comma outside of a function; decimals have a point, thousands no separator"))
            }
            Kind::Symbol(":") => Err(self.mistake("a colon does not divide; write /")),
            _ => Err(self.mistake(&format!("expected an operator or the end, found {}", self.found()))),
        }
    }

    fn peek(&self, ahead: usize) -> &Token {
        &self.tokens[(self.at + ahead).min(self.tokens.len() - 1)]
    }

    fn take(&mut self, symbols: &[&'static str]) -> Option<(&'static str, usize)> {
        let token = self.peek(0);
        let column = token.column;
        match token.kind {
            Kind::Symbol(symbol) if symbols.contains(&symbol) => {
                self.at += 1;
                Some((symbol, column))
            }
            _ => None,
        }
    }

    fn mistake(&self, problem: &str) -> Mistake {
        Mistake { column: self.peek(0).column, problem: problem.to_owned() }
    }

    fn found(&self) -> String {
        match &self.peek(0).kind {
            Kind::Number(number) => format!("the number {number}"),
            Kind::Name(name) => format!("`{name}`"),
            Kind::Text(text) => format!("the text {text:?}"),
            Kind::Symbol(symbol) => format!("`{symbol}`"),
            Kind::End => "the end".to_owned(),
        }
    }

    fn comparison(&mut self) -> Result<Quantity, Mistake> {
        let left = self.sum()?;
        match self.take(&["<", "<=", ">", ">=", "=", "!="]) {
            None => Ok(left),
            Some((operator, column)) => {
                let right = self.sum()?;
                combined(operator, column, left, right)
            }
        }
    }

    fn sum(&mut self) -> Result<Quantity, Mistake> {
        let mut left = self.product()?;
        while let Some((operator, column)) = self.take(&["+", "-"]) {
            let right = self.product()?;
            left = combined(operator, column, left, right)?;
        }
        Ok(left)
    }

    fn product(&mut self) -> Result<Quantity, Mistake> {
        let mut left = self.unary()?;
        loop {
            let (operator, column) = match self.take(&["*", "/", "//", "%"]) {
                Some(taken) => taken,
                None if self.peek(0).kind == Kind::Name("of".to_owned()) => {
                    self.at += 1;
                    ("*", self.peek(0).column)
                }
                None => return Ok(left),
            };
            let right = self.unary()?;
            left = combined(operator, column, left, right)?;
        }
    }

    fn unary(&mut self) -> Result<Quantity, Mistake> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.mistake("too many brackets or signs inside each other; compute it in parts"));
        }
        let quantity = match self.take(&["-", "+"]) {
            Some((sign, column)) => {
                let quantity = self.unary()?;
                if sign == "-" { quantity.negated().map_err(|problem| Mistake { column, problem })? } else { quantity }
            }
            None => self.power()?,
        };
        self.depth -= 1;
        Ok(quantity)
    }

    fn power(&mut self) -> Result<Quantity, Mistake> {
        let base = self.postfix()?;
        match self.take(&["^"]) {
            None => Ok(base),
            Some((operator, column)) => {
                let exponent = self.unary()?;
                combined(operator, column, base, exponent)
            }
        }
    }

    fn postfix(&mut self) -> Result<Quantity, Mistake> {
        let quantity = self.primary()?;
        if !self.is_percent() {
            return Ok(quantity);
        }
        let column = self.peek(0).column;
        self.at += 1;
        quantity.percent().map_err(|problem| Mistake { column, problem })
    }

    /// Whether the next token is a percent sign after a value, and not the operator of a remainder: `5% + 1`,
    /// `(5%)` and `5 % of 3` against `7 % 3` and `7 % -3`.
    fn is_percent(&self) -> bool {
        let (sign, next) = (self.peek(0), self.peek(1));
        let is_operand = |token: &Token| match &token.kind {
            Kind::Number(_) | Kind::Text(_) | Kind::Symbol("(") => true,
            Kind::Name(name) => name != "of",
            _ => false,
        };
        let is_signed_operand =
            matches!(next.kind, Kind::Symbol("-" | "+")) && sign.is_spaced && next.is_spaced && !self.peek(2).is_spaced;
        sign.kind == Kind::Symbol("%") && !is_operand(next) && !is_signed_operand
    }

    fn primary(&mut self) -> Result<Quantity, Mistake> {
        let token = self.peek(0).clone();
        match token.kind {
            Kind::Number(value) => {
                self.at += 1;
                self.number(value.into())
            }
            Kind::Text(text) => {
                self.at += 1;
                Ok(Moment::parse(&text).map_or(Quantity::Text(text), Quantity::Moment))
            }
            Kind::Name(name) => self.call(&name, token.column),
            Kind::Symbol("(") => {
                self.at += 1;
                let quantity = self.comparison()?;
                self.close(")")?;
                Ok(quantity)
            }
            _ => Err(self.mistake(&format!("expected a number, found {}", self.found()))),
        }
    }

    fn close(&mut self, bracket: &'static str) -> Result<(), Mistake> {
        match self.take(&[bracket]) {
            Some(_) => Ok(()),
            None => Err(self.mistake(&format!("expected {bracket}, found {}", self.found()))),
        }
    }

    /// A number, or a length of time such as `1h 30min`.
    fn number(&mut self, number: Number) -> Result<Quantity, Mistake> {
        let Some(mut total) = self.timed(number)? else { return Ok(number.into()) };
        loop {
            let (Kind::Number(value), Kind::Name(name)) = (&self.peek(0).kind, &self.peek(1).kind) else {
                return Ok(total);
            };
            if unit(name).is_none() {
                return Ok(total);
            }
            let (number, column) = (Number::from(*value), self.peek(0).column);
            self.at += 1;
            if let Some(part) = self.timed(number)? {
                total = combined("+", column, total, part)?;
            }
        }
    }

    /// `number` times the unit that follows it, if one does.
    fn timed(&mut self, number: Number) -> Result<Option<Quantity>, Mistake> {
        let column = self.peek(0).column;
        let Kind::Name(name) = self.peek(0).kind.clone() else { return Ok(None) };
        if name == "of" {
            return Ok(None);
        }
        let Some(unit) = unit(&name) else {
            let hint = if name == "m" { "write min for minutes" } else { "leave other units out" };
            return Err(
                self.mistake(&format!("unknown unit `{name}`; units of time are h, min, s, days, weeks; {hint}"))
            );
        };
        self.at += 1;
        combined("*", column, number.into(), Quantity::Duration(unit)).map(Some)
    }

    fn call(&mut self, name: &str, column: usize) -> Result<Quantity, Mistake> {
        self.at += 1;
        if self.take(&["("]).is_none() {
            let problem = format!("`{name}` is not a number; names stand only for functions, as in round(2.5)");
            return Err(Mistake { column, problem });
        }
        let arguments = self.arguments(")")?;
        call(name, &arguments).map_err(|problem| Mistake { column, problem })
    }

    /// Values between commas; a list in square brackets gives all of its values.
    fn arguments(&mut self, end: &'static str) -> Result<Vec<Quantity>, Mistake> {
        let mut arguments = Vec::new();
        if self.take(&[end]).is_some() {
            return Ok(arguments);
        }
        loop {
            if self.take(&["["]).is_some() {
                self.depth += 1;
                if self.depth > MAX_DEPTH {
                    return Err(self.mistake("too many brackets inside each other"));
                }
                arguments.extend(self.arguments("]")?);
                self.depth -= 1;
            } else {
                arguments.push(self.comparison()?);
            }
            if self.take(&[","]).is_none() {
                self.close(end)?;
                return Ok(arguments);
            }
        }
    }
}

fn combined(operator: &str, column: usize, left: Quantity, right: Quantity) -> Result<Quantity, Mistake> {
    combine(operator, left, right).map_err(|problem| Mistake { column, problem })
}
