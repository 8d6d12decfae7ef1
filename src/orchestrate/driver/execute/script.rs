//! `script`: the model writes a short Python program; candidates are decoded in one batch and run in the
//! sandbox, where writes are only proposed; the result that most agree on is kept.

use std::cell::LazyCell;
use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Instant;

use regex::{Captures, Regex};
use serde_json::{Value as Json, json};

use super::call::{Record, all};
use super::program::AtHand;
use super::{Attempt, Miss, form, reduce};
use crate::orchestrate::driver::mind::Call;
use crate::orchestrate::event::written;
use crate::orchestrate::machine::TRIES_PLANNED;
use crate::tool::format::{self, Format};
use crate::tool::{Change, Error, Output, Value, table};
use crate::types::Message;

/// Lines of a calculation that is shown step by step.
const MIN_STEPS: usize = 3;
/// Candidates per try: one greedy, the others warm.
const N_CANDIDATES: usize = 4;

/// Writes and runs the program of a step.
pub async fn script(attempt: &Attempt<'_>) -> Result<Output, Miss> {
    if attempt.step.file().is_none()
        && let Some(counted) = reduce::count(attempt, &attempt.task())
    {
        return Ok(Value::Text(counted).into());
    }
    let at_hand = AtHand::of(attempt)?;
    let messages = messages(attempt, &at_hand);
    let mut tried: Vec<(String, Result<Output, Error>)> = Vec::new();
    if let Some(form) = form::of(attempt, &at_hand).filter(|_| attempt.number <= TRIES_PLANNED) {
        let filled = form::fill(attempt, &at_hand, &form, messages.clone()).await;
        match filled {
            Ok(code) => tried.push((code.clone(), run(attempt, &at_hand, &code).await)),
            Err(miss) if miss.fatal || miss.spent => return Err(miss),
            Err(_) => {}
        }
        if let [(_, Ok(output))] = &tried[..] {
            return Ok(settled(attempt, output.clone()));
        }
    }
    for own in candidates(attempt, &at_hand, messages).await? {
        let own = format!("{}{own}", at_hand.opening());
        if tried.iter().any(|(other, _)| *other == own) {
            continue;
        }
        let result = run(attempt, &at_hand, &own).await;
        tried.push((own, result));
    }
    choose(tried).map(|output| settled(attempt, output))
}

/// Runs what a program has besides the lines that load its inputs, and holds its result against what is asked.
async fn run(attempt: &Attempt<'_>, at_hand: &AtHand, own: &str) -> Result<Output, Error> {
    let began = Instant::now();
    let arguments = json!({ "code": format!("{}{own}", at_hand.code) });
    let result = attempt.tool("script", arguments.clone(), Record::Later).await;
    let result = result.and_then(|output| fits(attempt, output));
    let result = result.and_then(|output| attempt.about(&at_hand.about, own, output));
    let result = result.and_then(|output| unchanged(attempt, own, output));
    let result = result.and_then(|output| uses_all(attempt, at_hand, own, output));
    attempt.record("script", arguments, &result, began);
    result
}

/// A result, unless an amount that is told in several places was changed after it was computed: then it stands for two
/// things. The last tries let that pass.
fn unchanged(attempt: &Attempt<'_>, code: &str, output: Output) -> Result<Output, Error> {
    match overwritten(code).filter(|_| attempt.number <= TRIES_PLANNED) {
        Some(name) => Err(Error::Failed(format!(
            "`{name}` is changed after it was computed, and then printed as if it were not; give every amount a name of its own"
        ))),
        None => Ok(output),
    }
}

/// A result, unless the first try left out one of the tables and data that the step is to compute with.
fn uses_all(attempt: &Attempt<'_>, at_hand: &AtHand, code: &str, output: Output) -> Result<Output, Error> {
    match at_hand.unused(code).filter(|_| attempt.number == 1) {
        Some(name) => Err(Error::Failed(format!("the program does not use `{name}`, which the result depends on"))),
        None => Ok(output),
    }
}

/// A variable that is changed outside of any loop and stands in at least two lines that print or write.
fn overwritten(code: &str) -> Option<&str> {
    let mut loops: Vec<usize> = Vec::new();
    let mut changed = Vec::new();
    for line in code.lines().filter(|line| !line.trim().is_empty()) {
        let indent = line.len() - line.trim_start().len();
        loops.retain(|of| *of < indent);
        let mut words = line.split_whitespace();
        match (words.next(), words.next()) {
            (Some("for" | "while" | "def"), _) => loops.push(indent),
            (Some(name), Some("*=" | "-=" | "/=" | "+=")) if loops.is_empty() => changed.push(name),
            (Some(name), Some("=")) if loops.is_empty() && is_computed_from(line, name) => changed.push(name),
            _ => {}
        }
    }
    let is_told = |name: &&str| {
        let tells = |line: &&str| line.contains("print(") || line.contains(".write(");
        let holds = |line: &&str| line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == *name);
        code.lines().filter(tells).filter(holds).count() > 1
    };
    changed.into_iter().find(is_told)
}

/// Whether a line that sets `name` computes it from what it was; rounding changes nothing.
fn is_computed_from(line: &str, name: &str) -> bool {
    let Some((_, value)) = line.split_once('=') else { return false };
    let holds = value.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == name);
    holds && value.contains(['*', '+', '-', '/']) && !value.trim_start().starts_with("round(")
}

/// A result as it is kept: what belongs into a file of rows stays the text that it is, and is a table for the steps that
/// follow; what is a number in the files that the program read is one in JSON.
fn settled(attempt: &Attempt<'_>, mut output: Output) -> Output {
    let numeric: LazyCell<BTreeSet<String>, _> = LazyCell::new(|| {
        let workspace = &attempt.journal.run().workspace;
        let files = attempt.files().unwrap_or_default();
        let peeks = files.iter().filter_map(|path| table::peek(workspace, path).ok());
        peeks.flat_map(|peek| peek.numeric_columns()).collect()
    });
    match &mut output.value {
        Value::Json(json) => _ = as_numbers(json, &numeric),
        Value::Text(text) => *text = without_noise(text),
        Value::Table(_) => {}
    }
    for change in &mut output.changes {
        if let Change::Write { path, content } = change
            && format::detect(path) == Some(Format::Json)
            && let Ok(mut json) = serde_json::from_str::<Json>(content)
            && as_numbers(&mut json, &numeric)
            && let Ok(text) = format::render(&Value::Json(json), Format::Json)
        {
            *content = text;
        }
    }
    let Some(own) = attempt.step.file() else { return output };
    if let Value::Text(printed) = &output.value
        && !written(&output.changes).contains(&own)
        && matches!(format::detect(own), Some(Format::Csv | Format::Tsv))
    {
        output.changes.push(Change::Write { path: own.to_owned(), content: format!("{}\n", printed.trim_end()) });
    }
    let text = written_to(&output, own).cloned();
    if let (Some(text), Value::Text(_)) = (text, &output.value) {
        let rows = format::detect(own).and_then(|_| table::read(own, text.clone(), &table::Options::default()).ok());
        output.value = rows.map_or(Value::Text(text), |loaded| Value::Table(loaded.table));
    }
    output
}

/// Turns the texts under `names` that are numbers into numbers; tells whether there were any.
fn as_numbers(json: &mut Json, names: &BTreeSet<String>) -> bool {
    let mut any = false;
    match json {
        Json::Array(items) => items.iter_mut().for_each(|item| any |= as_numbers(item, names)),
        Json::Object(fields) => {
            for (name, value) in fields {
                let number = value.as_str().and_then(|text| text.trim().parse::<serde_json::Number>().ok());
                match number.filter(|_| names.contains(name)) {
                    Some(number) => (*value, any) = (Json::Number(number), true),
                    None => any |= as_numbers(value, names),
                }
            }
        }
        _ => {}
    }
    any
}

/// The text that a program wrote into a file.
fn written_to<'a>(output: &'a Output, path: &str) -> Option<&'a String> {
    output.changes.iter().find_map(|change| match change {
        Change::Write { path: other, content } if other == path => Some(content),
        _ => None,
    })
}

/// A program that printed nothing and wrote nothing did not do the step.
fn fits(attempt: &Attempt<'_>, output: Output) -> Result<Output, Error> {
    let printed = !output.value.preview(100).trim().is_empty();
    let wrote = attempt.step.file().is_some_and(|path| written(&output.changes).contains(&path));
    if let Some(path) = attempt.step.file() {
        let printed = if let Value::Text(text) = &output.value { Some(text) } else { None };
        let text = written_to(&output, path).or(printed);
        let faults = text.map_or_else(Vec::new, |text| attempt.faults(path, text));
        if !faults.is_empty() {
            return Err(Error::Failed(format!("what belongs into {path} is wrong: {}", faults.join("; "))));
        }
    }
    if printed && output.value.preview(usize::MAX).trim().lines().count() < MIN_STEPS && wants_steps(attempt) {
        return Err(Error::Failed("the program has to print every step of the calculation, one a line".into()));
    }
    if is_all_zero(&output.value) {
        return Err(Error::Failed(
            "every number of the result is 0: a name that is compared, or the name of a column, does not match the files".into(),
        ));
    }
    if printed || wrote || (attempt.step.file().is_none() && !output.changes.is_empty()) {
        Ok(output)
    } else {
        Err(Error::Failed("the program printed nothing; print the result".into()))
    }
}

/// Whether a text has several figures with decimals and all of them are 0: sums over rows that no condition let through.
fn is_all_zero(value: &Value) -> bool {
    let Value::Text(text) = value else { return false };
    let words = text.split(|c: char| !c.is_ascii_digit() && c != '.').filter(|word| word.contains('.'));
    let figures: Vec<f64> = words.filter_map(|word| word.parse().ok()).collect();
    figures.len() > 1 && figures.iter().all(|figure| *figure == 0.0)
}

/// Whether a step's words ask to see how its result comes about. One that only tells what earlier steps found has no
/// calculation of its own.
fn wants_steps(attempt: &Attempt<'_>) -> bool {
    const STEPS: &[&str] = &["step", "breakdown", "parts", "calculation", "working", "show how", "explain", "details"];
    if attempt.step.paths().next().is_none() {
        return false;
    }
    let asked = attempt.asked().to_lowercase();
    // "Do this step of it" stands in every prompt.
    STEPS.iter().any(|word| asked.matches(word).count() > usize::from(*word == "step"))
}

/// The result whose lines most others have too: programs that differ in one rule agree on the rest, and a wrong rule
/// seldom finds company. Among equals the one with more lines, then the first.
fn choose(tried: Vec<(String, Result<Output, Error>)>) -> Result<Output, Miss> {
    let worked: Vec<(&Output, Vec<String>)> =
        tried.iter().filter_map(|(_, result)| result.as_ref().ok()).map(|output| (output, lines(output))).collect();
    let shared = |own: &[String]| {
        let n_others = |line: &String| worked.iter().filter(|(_, lines)| lines.contains(line)).count() - 1;
        own.iter().map(n_others).sum::<usize>()
    };
    let best = worked.iter().rev().max_by_key(|(_, lines)| (shared(lines), lines.len()));
    if let Some((output, _)) = best {
        return Ok((*output).clone());
    }
    let (code, result) = tried
        .into_iter()
        .next()
        .unwrap_or_else(|| (String::new(), Err(Error::Failed("no program was written".into()))));
    Err(Miss::new(result.err().map(|error| error.to_string()).unwrap_or_default(), code))
}

/// What a program printed and wrote, line by line.
fn lines(output: &Output) -> Vec<String> {
    let written = output.changes.iter().filter_map(|change| match change {
        Change::Write { content, .. } => Some(content.clone()),
        _ => None,
    });
    let text: String = std::iter::once(output.value.preview(usize::MAX)).chain(written).collect::<Vec<_>>().join("\n");
    text.lines().map(|line| with_plain_numbers(line.trim())).filter(|line| !line.is_empty()).collect()
}

/// A line with its decimal numbers as they are compared: `5`, `5.00` and `4.999999999999` are the same.
fn with_plain_numbers(line: &str) -> String {
    static DECIMAL: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\d+\.\d+").expect("a constant expression"));
    with_rounded(line, &DECIMAL, 1e2)
}

/// A text without the digits that come from computing in binary: `4.999999999999` is 5.
fn without_noise(text: &str) -> String {
    static NOISE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\d+\.\d{10,}").expect("a constant expression"));
    with_rounded(text, &NOISE, 1e8)
}

/// A text with the numbers that `pattern` finds rounded to the `scale`-th part of 1.
fn with_rounded(text: &str, pattern: &Regex, scale: f64) -> String {
    let plain = |found: &Captures<'_>| {
        let rounded = found[0].parse().map(|number: f64| (number * scale).round() / scale);
        rounded.map_or_else(|_| found[0].to_owned(), |number| number.to_string())
    };
    pattern.replace_all(text, plain).into_owned()
}

/// What asks for a program.
fn messages(attempt: &Attempt<'_>, at_hand: &AtHand) -> Vec<Message> {
    let end = match attempt.step.file() {
        Some(path) => format!("Print exactly the text that belongs into {path}, and nothing else; do not write files."),
        None => "Print the result with a few words that say what it is.".to_owned(),
    };
    let asked = attempt.asked();
    let steps = if wants_steps(attempt) { " Print every step of the calculation with its numbers, too." } else { "" };
    let text = format!(
        "Files:\n{}{}{asked}\nWrite a short, plain Python program for this step.{} It uses only csv, json, re, os, datetime, math and statistics, no input() and no classes. Every amount has a variable of its own, which is never changed afterwards. Follow every rule in the inputs and the goal. {end}{steps}",
        at_hand.shown,
        attempt.failures(),
        at_hand.remarks(),
    );
    attempt.focus("You write short, correct Python programs.", text)
}

/// What the model writes after the lines that load the inputs.
async fn candidates(attempt: &Attempt<'_>, at_hand: &AtHand, messages: Vec<Message>) -> Result<Vec<String>, Miss> {
    let calls = (0..attempt.width(N_CANDIDATES)).map(|candidate| Call {
        purpose: "script",
        step: Some(attempt.step.id),
        messages: messages.clone(),
        prefill: format!("```python\n{}{}", at_hand.code, at_hand.opening()),
        grammar: None,
        sampling: attempt.sampling(candidate),
        stop: vec!["```".into()],
        max_tokens: 700,
    });
    let mut programs = Vec::new();
    for reply in all(attempt.journal.run().mind.as_ref(), calls.collect()).await {
        let reply = reply?;
        attempt.said("script", &reply);
        programs.push(reply.text.trim_end().to_owned());
    }
    Ok(programs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_over_nothing_are_told_from_results() {
        let is_zero = |text: &str| is_all_zero(&Value::Text(text.to_owned()));
        assert!(is_zero("Subtotal: 0.00 EUR\nTotal for 3 rows: 0.00"));
        assert!(!is_zero("Subtotal: 0.00\nTotal: 1.50") && !is_zero("0.0") && !is_zero("1. It is."));
    }

    #[test]
    fn numbers_are_compared_as_what_they_are() {
        assert_eq!(with_plain_numbers("Meals: 154.00 EUR"), with_plain_numbers("Meals: 154 EUR"));
        assert_eq!(with_plain_numbers("0.30000000000000004"), "0.3");
        assert_eq!(without_noise("a: 752.6999999999999, b: 1.25, c: 3.141592653"), "a: 752.7, b: 1.25, c: 3.141592653");
    }

    #[test]
    fn an_amount_that_stands_for_two_things_is_found() {
        let told = "print(f'Subtotal: {total}')\nprint(f'VAT: {total * VAT}')";
        for (code, want) in [
            (format!("total = 5\nif total > 4:\n    total *= 2\n{told}"), Some("total")),
            (format!("total = 0\nfor row in rows:\n    total += row\n{told}"), None),
            ("total = 5\ntotal += 1\nprint(total)".to_owned(), None),
            (format!("total = 5\ntotal = total * 2\n{told}"), Some("total")),
            (format!("total = 5\ntotal = round(total * 1, 2)\n{told}"), None),
        ] {
            assert_eq!(overwritten(&code), want, "{code}");
        }
    }

    #[test]
    fn numbers_of_the_files_are_numbers_in_json() {
        let names = BTreeSet::from(["age".to_owned(), "kg".to_owned()]);
        let mut json = json!([{"name": "12", "age": "7", "kg": "heavy"}, {"age": 8, "of": {"kg": "2.5"}}]);
        assert!(as_numbers(&mut json, &names));
        assert_eq!(json, json!([{"name": "12", "age": 7, "kg": "heavy"}, {"age": 8, "of": {"kg": 2.5}}]));
        assert!(!as_numbers(&mut json, &names));
    }

    #[test]
    fn programs_that_agree_in_part_win_over_one_that_stands_alone() {
        let ran = |text: &str| (text.to_owned(), Ok(Output::from(Value::Text(text.to_owned()))));
        for (printed, want) in [
            (&["cost 486\nfees 57\ntotal 623", "cost 390\nfees 57", "cost 390\nfees 57\ntotal 513"][..], 2),
            (&["1", "2", "2"], 1),
            (&["1", "2", "3"], 0),
        ] {
            let chosen = choose(printed.iter().map(|text| ran(text)).collect()).unwrap();
            assert_eq!(chosen.value, Value::Text(printed[want].to_owned()));
        }
        let failed = || ("x".to_owned(), Err(Error::Failed("no".into())));
        assert!(choose(vec![failed(), ran("9")]).is_ok());
        assert_eq!(choose(vec![failed()]).unwrap_err().error, "no");
    }
}
