//! A program that is filled in like a form: one named amount after the other, each under the rules that are its own, each
//! decoded several times at once, run, and settled by what most of them come to before the next one is asked for.

use serde_json::{Value as Json, json};

use super::call::{Record, all};
use super::program::{AtHand, Rows};
use super::{Attempt, Miss};
use crate::orchestrate::amount::{self, Amount};
use crate::orchestrate::clause;
use crate::orchestrate::driver::mind::Call;
use crate::tool::{Output, Value};
use crate::types::Message;

/// Candidates of every amount: one greedy, the others warm.
const N_CANDIDATES: usize = 4;
/// Tokens of an expression at most.
const MAX_TOKENS: usize = 120;

/// The amounts of the step's file, each with its rules; `None` if the step is about something else.
pub fn of(attempt: &Attempt<'_>, at_hand: &AtHand) -> Option<Vec<Amount>> {
    let goal = &attempt.journal.run().goal;
    let demand = clause::naming(goal, attempt.step.file()?)?;
    let names = amount::wanted_of(goal, &demand).filter(|_| !at_hand.rules().is_empty())?;
    let rules: Vec<String> = match &at_hand.about[..] {
        [name] => at_hand.rules().iter().map(|rule| amount::about(rule, name)).collect(),
        _ => at_hand.rules().to_vec(),
    };
    Some(amount::with_rules(&names, &rules))
}

/// The program that fills in a form, without the lines that load its inputs. `messages` ask for a program.
pub async fn fill(
    attempt: &Attempt<'_>,
    at_hand: &AtHand,
    form: &[Amount],
    messages: Vec<Message>,
) -> Result<String, Miss> {
    let names: Vec<String> = form.iter().map(|amount| at_hand.variable(&amount.name)).collect();
    let mut code = String::from("# The amounts, each in one expression:\n");
    let mut prints = String::new();
    let mut values = Vec::new();
    for (at, amount) in form.iter().enumerate() {
        let rules: String = amount.rules.iter().map(|rule| format!("# {rule}\n")).collect();
        let (known, name) = (&names[..at], &names[at]);
        // The model's first token has the blank in it: after one it would go on with what follows blanks, a bare 0.
        code.push_str(&format!("# {}:\n{rules}{}{name} =", amount.name, hint(at_hand, amount, known)));
        let begun = format!("{}{code}", at_hand.code);
        let rows = at_hand.rows().filter(|rows| at == 0 && !rows.is_own(&amount.name));
        let slot = Slot { amount, name, known, values: &values, rows };
        let (expression, value) = slot.settle(attempt, messages.clone(), begun).await?;
        values.push(value);
        code.push_str(&format!(" {expression}\n"));
        let label = Json::from(format!("{}: ", capital(&amount.name)));
        prints.push_str(&format!("print({label} + f\"{{{name}:.2f}}\")\n"));
    }
    Ok(format!("{code}{prints}"))
}

/// What an amount depends on, where that is certain: the first one on what the rows got from elsewhere, a later one on those
/// before it that its rules speak of.
fn hint(at_hand: &AtHand, amount: &Amount, known: &[String]) -> String {
    let from: Vec<&str> = amount.from.iter().filter_map(|at| known.get(*at)).map(String::as_str).collect();
    let taken = at_hand.taken();
    let whole =
        if amount::is_of_whole_above(amount) { "# It is the percentage of the whole, or else 0.\n" } else { "" };
    let hint = match (known.is_empty(), from.is_empty(), taken.is_empty()) {
        (true, _, false) => format!("# It takes {} of every row into account.\n", taken.join(" and ")),
        (false, false, _) => {
            let is_sum = amount.rules.iter().any(|rule| rule.contains("together"));
            format!("# It takes {} into account.\n", from.join(if is_sum { " + " } else { " and " }))
        }
        _ => String::new(),
    };
    format!("{hint}{whole}")
}

/// The place of one amount in a form.
struct Slot<'a> {
    amount: &'a Amount,
    /// Its variable.
    name: &'a str,
    /// Variables and values of the amounts before it.
    known: &'a [String],
    values: &'a [f64],
    /// Where it is the first amount, the rows that it is computed from, if it is certain which these are.
    rows: Option<Rows<'a>>,
}

impl Slot<'_> {
    /// The expression that has the fewest faults, and among those the one that most candidates agree with in what it comes
    /// to, with its value. `begun` is the program up to there.
    async fn settle(
        &self,
        attempt: &Attempt<'_>,
        messages: Vec<Message>,
        begun: String,
    ) -> Result<(String, f64), Miss> {
        let name = self.name;
        let mut tried: Vec<Tried> = Vec::new();
        let mut fault = format!("`{name}` is not computed");
        let mut expressions = candidates(attempt, messages, &begun).await?;
        // Without a vote it wins only where all others have faults.
        let of_rows = || self.rows.as_ref().filter(|_| self.amount.rules.is_empty()).map(Rows::product);
        let by_words = amount::by_words(self.amount, self.known).or_else(of_rows);
        let is_new = |own: &String| !expressions.iter().any(|(other, _)| other == own);
        let by_words = by_words.filter(is_new);
        expressions.extend(by_words.map(|expression| (expression, 0)));
        for (expression, n_votes) in expressions {
            let code = json!({ "code": format!("{begun} {expression}\nprint(float({name}))\n") });
            let value = attempt.tool("script", code, Record::Later).await.map(|output| number(&output));
            match value {
                Ok(Some(value)) => {
                    let n_faults = self.n_faults(&expression, value);
                    tried.push(Tried { expression, value, n_votes, n_faults });
                }
                Ok(None) => fault = format!("`{name} = {expression}` is no number"),
                Err(error) => fault = error.to_string(),
            }
        }
        best(tried).ok_or_else(|| Miss::new(fault, format!("{name} =")))
    }

    fn n_faults(&self, expression: &str, value: f64) -> usize {
        let most = amount::most(self.amount, self.values);
        let is_too_much = most.is_some_and(|most| value.abs() > most * 1.001);
        let n_left_out = self.rows.as_ref().map_or(0, |rows| rows.n_left_out(expression));
        amount::n_faults(self.amount, expression, self.known) + usize::from(is_too_much) + n_left_out
    }
}

/// The expressions that the model goes on with, each once, with how often it came; a bare 0 is none.
async fn candidates(attempt: &Attempt<'_>, messages: Vec<Message>, begun: &str) -> Result<Vec<(String, usize)>, Miss> {
    let calls = (0..attempt.width(N_CANDIDATES)).map(|candidate| Call {
        purpose: "amount",
        step: Some(attempt.step.id),
        messages: messages.clone(),
        prefill: format!("```python\n{begun}"),
        grammar: None,
        sampling: attempt.sampling(candidate),
        stop: vec!["\n".into(), " #".into(), "```".into()],
        max_tokens: MAX_TOKENS,
    });
    let mut expressions: Vec<(String, usize)> = Vec::new();
    for reply in all(attempt.journal.run().mind.as_ref(), calls.collect()).await {
        let reply = reply?;
        attempt.said("amount", &reply);
        let expression = reply.text.trim().to_owned();
        match expressions.iter_mut().find(|(other, _)| *other == expression) {
            Some((_, n_votes)) => *n_votes += 1,
            None => expressions.push((expression, 1)),
        }
    }
    expressions.retain(|(expression, _)| expression != "0");
    Ok(expressions)
}

/// An expression that gave a number.
struct Tried {
    expression: String,
    value: f64,
    n_votes: usize,
    n_faults: usize,
}

fn best(tried: Vec<Tried>) -> Option<(String, f64)> {
    let agrees = |one: &Tried, other: &Tried| (one.value - other.value).abs() < 0.005;
    let n_votes = |of: &Tried| tried.iter().filter(|other| agrees(of, other)).map(|other| other.n_votes).sum::<usize>();
    let best = tried.iter().min_by_key(|of| (of.n_faults, std::cmp::Reverse(n_votes(of))));
    best.map(|best| (best.expression.clone(), best.value))
}

fn number(output: &Output) -> Option<f64> {
    let number = match &output.value {
        Value::Text(text) => text.trim().parse().ok(),
        Value::Json(json) => json.as_f64(),
        Value::Table(_) => None,
    };
    number.filter(|number: &f64| number.is_finite())
}

fn capital(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| format!("{}{}", first.to_uppercase(), letters.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_without_faults_wins_and_then_the_one_with_most_votes() {
        let tried = |expression: &str, value: f64, n_votes: usize, n_faults: usize| Tried {
            expression: expression.to_owned(),
            value,
            n_votes,
            n_faults,
        };
        let best_of = |tried| best(tried).map(|(expression, _)| expression);
        assert_eq!(best_of(vec![tried("a", 1.0, 3, 1), tried("b", 2.0, 1, 0)]).as_deref(), Some("b"));
        let split = vec![tried("a", 1.0, 1, 0), tried("b", 2.0, 1, 0), tried("c", 2.001, 1, 0)];
        assert_eq!(best_of(split).as_deref(), Some("b"));
        assert_eq!(best(Vec::new()), None);
        assert_eq!(capital("sum of all"), "Sum of all");
    }
}
