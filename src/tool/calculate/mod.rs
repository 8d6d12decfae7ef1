//! The tool that computes: exact decimals, percentages, times and dates.
//!
//! A small language of its own, because a model that does arithmetic in its head is wrong and a binary
//! fraction is not what an invoice means by 0.1. An expression is evaluated while it is parsed; every
//! error names the column at which it was found. Numbers have 28 digits; only what a division or a root
//! leaves over is rounded, and only when it is shown.

mod function;
mod moment;
mod parser;
mod quantity;
mod token;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::call::{Arguments, schema, text, tool};
use super::{Context, Error, Output, Spec, Tool, Value};

/// Longest expression, in characters.
const MAX_CHARS: usize = 2000;

/// What is wrong with an expression, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {problem}")]
struct Mistake {
    /// Counted in characters from 1.
    column: usize,
    problem: String,
}

/// The tools of this file.
pub fn tools() -> Vec<Arc<dyn Tool>> {
    vec![tool(spec(), calculate)]
}

fn spec() -> Spec {
    let expression = "e.g. round(3 * 19.99 * (1 - 10%), 2), 1h 30min + 45min, days_between(2025-03-01, 2025-04-15), \
                      working_days_between(a, b), add_days(2025-03-01, 30), weekday(2025-03-01)";
    Spec {
        name: "calculate",
        description: "Computes one expression exactly: + - * / % ^, percentages, round, floor, ceil, abs, min, max, sum, avg, \
                      sqrt, comparisons, times and dates.",
        schema: schema(1, &[("expression", text(MAX_CHARS, expression))]),
        effects: &[],
    }
}

fn calculate(arguments: &Arguments<'_>, _context: &Context<'_>) -> Result<Output, Error> {
    let expression = arguments.text("expression")?;
    if expression.chars().count() > MAX_CHARS {
        return Err(Error::Limit(format!("the expression has more than {MAX_CHARS} characters; compute it in parts")));
    }
    let result = evaluate(expression)
        .map_err(|mistake| Error::Arguments(format!("{expression:?} cannot be computed: {mistake}")))?;
    Ok(Output::from(result))
}

fn evaluate(expression: &str) -> Result<Value, Mistake> {
    parser::Parser::new(token::split(expression)?).evaluate().map(|quantity| quantity.to_value())
}
