//! `script`: the model writes a short Python program; candidates are decoded in one batch and run in the
//! sandbox, where writes are only proposed; the result that most agree on is kept.

use std::time::Instant;

use serde_json::json;

use super::call::{Record, all};
use super::{Attempt, Miss};
use crate::orchestrate::demand;
use crate::orchestrate::driver::mind::Call;
use crate::orchestrate::event::written;
use crate::tool::{Error, Output, Value};

/// Candidates per try: one greedy, the others warm.
const N_CANDIDATES: u64 = 3;
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
        let result = match attempt.misses(&names, &code) {
            Some(why) if result.is_ok() => Err(Error::Failed(why)),
            _ => result,
        };
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
        && path.ends_with(".csv")
        && let Some(fault) = demand::csv_fault(text, &attempt.journal.run().goal)
    {
        return Err(Error::Failed(format!("what belongs into {path} is wrong: {fault}")));
    }
    if printed || wrote || (attempt.step.file().is_none() && !output.changes.is_empty()) {
        Ok(output)
    } else {
        Err(Error::Failed("the program printed nothing; print the result".into()))
    }
}

fn choose(tried: Vec<(String, Result<Output, Error>)>) -> Result<Output, Miss> {
    let same = |a: &Output, b: &Output| a.value == b.value && a.changes == b.changes;
    let votes = |output: &Output| {
        tried.iter().filter(|(_, result)| result.as_ref().is_ok_and(|other| same(output, other))).count()
    };
    let mut best: Option<(&Output, usize)> = None;
    for output in tried.iter().filter_map(|(_, result)| result.as_ref().ok()) {
        let n_votes = votes(output);
        if best.is_none_or(|(_, most)| n_votes > most) {
            best = Some((output, n_votes));
        }
    }
    if let Some((output, _)) = best {
        return Ok(output.clone());
    }
    let (code, result) = tried
        .into_iter()
        .next()
        .unwrap_or_else(|| (String::new(), Err(Error::Failed("no program was written".into()))));
    Err(Miss::new(result.err().map(|error| error.to_string()).unwrap_or_default(), code))
}

async fn candidates(attempt: &Attempt<'_>) -> Result<Vec<String>, Miss> {
    let step = attempt.step;
    let inputs = attempt.texts()?;
    let files = attempt.files()?;
    let end = match step.file() {
        Some(path) => format!("Print exactly the text that belongs into {path}, and nothing else; do not write files."),
        None => "Print the result with a few words that say what it is.".to_owned(),
    };
    let results = attempt.results().iter().fold(String::new(), |text, (name, _)| {
        format!("{text}The text of {name} above has to be written into the program as a string.\n")
    });
    let text = format!(
        "Files:\n{}{}{results}{}\nWrite a short, plain Python program for this step. It reads the files with open({:?}) and the like, uses only csv, json, re, os, datetime, math and statistics, no input() and no classes. Follow every rule in the inputs and the goal. {end}",
        attempt.shown(&inputs, SHOWN),
        attempt.failures(),
        attempt.asked(),
        files.first().map_or("file.txt", String::as_str),
    );
    let messages = attempt.focus("You write short, correct Python programs.", text);
    let calls = (0..N_CANDIDATES).map(|candidate| Call {
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
