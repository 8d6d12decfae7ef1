//! `script`: the model writes a short Python program; candidates are decoded in one batch and run in the
//! sandbox, where writes are only proposed; the result that most agree on is kept.

use std::time::Instant;

use serde_json::json;

use super::call::{Record, all};
use super::{Attempt, Miss};
use crate::orchestrate::driver::mind::Call;
use crate::orchestrate::event::written;
use crate::tool::{Change, Error, Output, Value};

/// Candidates per try: one greedy, the others warm.
const N_CANDIDATES: usize = 3;
/// Characters of inputs that the prompt shows.
const SHOWN: usize = 5000;

/// Writes and runs the program of a step.
pub async fn script(attempt: &Attempt<'_>) -> Result<Output, Miss> {
    let programs = candidates(attempt).await?;
    let names = attempt.names();
    let mut tried: Vec<(String, Result<Output, Error>)> = Vec::new();
    for code in programs {
        if tried.iter().any(|(other, _)| *other == code) {
            continue;
        }
        let began = Instant::now();
        let arguments = json!({ "code": code });
        let result =
            attempt.tool("script", arguments.clone(), Record::Later).await.and_then(|output| fits(attempt, output));
        let result = result.and_then(|output| attempt.about(&names, &code, output));
        attempt.record("script", arguments, &result, began);
        tried.push((code, result));
    }
    choose(tried)
}

/// A program that printed nothing and wrote nothing did not do the step.
fn fits(attempt: &Attempt<'_>, output: Output) -> Result<Output, Error> {
    let printed = !output.value.preview(100).trim().is_empty();
    let wrote = attempt.step.file().is_some_and(|path| written(&output.changes).contains(&path));
    if let (Some(path), Value::Text(text)) = (attempt.step.file(), &output.value)
        && let faults = attempt.faults(path, text)
        && !faults.is_empty()
    {
        return Err(Error::Failed(format!("what belongs into {path} is wrong: {}", faults.join("; "))));
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

/// Whether a step's words ask to see how its result comes about.
fn wants_steps(asked: &str) -> bool {
    let asked = asked.to_lowercase();
    ["step", "breakdown", "parts", "calculation", "working", "show how", "explain", "details"].iter().any(|word| {
        // "Do this step of it" stands in every prompt.
        asked.matches(word).count() > usize::from(*word == "step")
    })
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
    text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()
}

async fn candidates(attempt: &Attempt<'_>) -> Result<Vec<String>, Miss> {
    let step = attempt.step;
    let inputs = attempt.texts()?;
    let files = attempt.files()?;
    let end = match step.file() {
        Some(path) => format!("Print exactly the text that belongs into {path}, and nothing else; do not write files."),
        None => "Print the result with a few words that say what it is.".to_owned(),
    };
    let asked = attempt.asked();
    let steps = if wants_steps(&asked) { " Print every step of the calculation with its numbers, too." } else { "" };
    let results = attempt.results().iter().fold(String::new(), |text, (name, _)| {
        format!("{text}The text of {name} above has to be written into the program as a string.\n")
    });
    let text = format!(
        "Files:\n{}{}{results}{}\nWrite a short, plain Python program for this step. It reads the files with open({:?}) and the like, uses only csv, json, re, os, datetime, math and statistics, no input() and no classes. Follow every rule in the inputs and the goal. {end}{steps}",
        attempt.shown(&inputs, SHOWN),
        attempt.failures(),
        asked,
        files.first().map_or("file.txt", String::as_str),
    );
    let messages = attempt.focus("You write short, correct Python programs.", text);
    let calls = (0..attempt.width(N_CANDIDATES)).map(|candidate| Call {
        purpose: "script",
        step: Some(step.id),
        messages: messages.clone(),
        prefill: "```python\n".into(),
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
