//! The answer that the person reads: written by the model from the results, completed by code.

use super::mind::{self, Call};
use super::{Journal, compact, permission};
use crate::orchestrate::clause;
use crate::orchestrate::event::Event;
use crate::orchestrate::ground;
use crate::orchestrate::machine::{Phase, State, StepState};
use crate::orchestrate::mechanism::Mechanism;
use crate::orchestrate::plan::REPLY;
use crate::orchestrate::requirement::Standing;
use crate::tool::Value;
use crate::tool::format::cell_text;
use crate::types::{Finish, Message, Role, Sampling};

/// Tries to find words without a number or a name that stands in no result.
const N_CANDIDATES: u64 = 3;
/// Notes of tools that the answer repeats.
const MAX_NOTES: usize = 6;
/// What asks for the report.
const REPORT: &str = "Report to the person now, in one to four plain sentences. Tell every number, name and fact that the goal asks to be told, exactly as the results have them, and which files were written. Invent nothing.";

/// Writes the answer. Without a model to ask (a limit was reached), code says what was done and what not.
pub async fn summarize(journal: &Journal, state: &State) {
    // Where nothing came of any step there is nothing to tell in other words.
    let is_empty = !state.steps.is_empty() && state.steps.iter().all(|step| step.phase != Phase::Done);
    let answer = match state.spent {
        None if is_empty => Ok(String::new()),
        Some(_) => Err(mind::Error::Budget(String::new())),
        None => {
            let mut state = state.clone();
            compact::compact(journal, &mut state).await;
            written(journal, &state).await
        }
    };
    let answer = match answer {
        Ok(text) if !text.is_empty() => complete(text, state),
        _ => by_code(state),
    };
    let answer = permission::closing(journal.run(), state, answer);
    journal.emit(Event::Summarized { answer });
}

async fn written(journal: &Journal, state: &State) -> Result<String, mind::Error> {
    let run = journal.run();
    let text = if state.steps.is_empty() {
        run.goal.clone()
    } else {
        format!("{}{}{REPORT}", head(&run.goal), results(state))
    };
    let known = format!("{} {text}", run.goal);
    let is_checked = !state.steps.is_empty() && run.options.has(Mechanism::Grounding);
    let mut best: Option<(usize, Vec<String>, String)> = None;
    for candidate in 0..N_CANDIDATES {
        let reply = run.mind.complete(call(&text, state.steps.is_empty(), candidate)).await?;
        let (usage, said) = (reply.usage, without_lead(reply.text.trim()).to_owned());
        journal.emit(Event::ModelCalled { step: None, purpose: "summary".into(), usage, text: said.clone() });
        // A report that found no end is no report, nor is a copy of what it was to be made from.
        let is_copy = said.contains("[$") || repeats_task(&said);
        let is_none = usize::from(reply.finish == Finish::Length || is_copy || asks_back(&said));
        let n_foreign = if is_checked { ground::foreign(&said, &known).len() + is_none } else { 0 };
        let untold = if is_checked { untold(&run.goal, state, &said) } else { Vec::new() };
        let is_perfect = n_foreign == 0 && untold.is_empty();
        if best.as_ref().is_none_or(|(fewest, lines, _)| (n_foreign, untold.len()) < (*fewest, lines.len())) {
            best = Some((n_foreign, untold, said));
        }
        if is_perfect {
            break;
        }
    }
    // Numbers and names that stand in no result are made up; then the results speak for themselves.
    Ok(match best {
        Some((0, untold, text)) => untold.iter().fold(text, |text, line| format!("{text}\n{line}")),
        _ => by_code(state),
    })
}

/// Whether a report asks for what it was given, as models do that lost sight of it.
fn asks_back(report: &str) -> bool {
    let report = report.to_lowercase();
    [
        "please provide",
        "please share",
        "i cannot fulfill",
        "i can't fulfill",
        "i apologize",
        "let me know",
        "can't assist",
        "cannot assist",
        "i'm sorry",
    ]
    .iter()
    .any(|phrase| report.contains(phrase))
}

/// Whether a report is the words that asked for it.
fn repeats_task(report: &str) -> bool {
    REPORT.split_inclusive(". ").any(|sentence| report.contains(sentence.trim()))
}

/// Results that the person asked to be told and that a report does not have, each as a line: what is told is not left to
/// the model's taste. Of results that are a row or a word; a report may choose from longer ones.
fn untold(goal: &str, state: &State, report: &str) -> Vec<String> {
    let is_told = |step: &&StepState| step.phase == Phase::Done && step.step.target == REPLY;
    let brief = state.brief.clone().unwrap_or_default();
    let outputs = brief.outputs();
    let line = |step: &StepState| {
        let cells = told_cells(&step.output.as_ref()?.value)?;
        // In the middle of a sentence a capital begins a name.
        let facts: String = cells.iter().map(|cell| format!("is {cell}, ")).collect();
        let is_told = ground::foreign(&facts, report).is_empty();
        let task = clause::task_to_tell(goal, &outputs, &step.step.task);
        (!is_told).then(|| format!("{}: {}", task.trim_end_matches(['.', '?']), cells.join(", ")))
    };
    state.steps.iter().filter(is_told).filter_map(line).collect()
}

/// The values of a short result.
fn told_cells(value: &Value) -> Option<Vec<String>> {
    const MAX_CHARS: usize = 120;
    let cells: Vec<String> = match value {
        Value::Table(table) if table.rows.len() == 1 => {
            // What was asked need not be said again.
            let is_answer = |name: &&String| !["question", "source"].contains(&name.as_str());
            let cells = table.columns.iter().zip(&table.rows[0]).filter(|(name, _)| is_answer(name));
            cells.map(|(_, cell)| cell_text(cell)).collect()
        }
        Value::Text(text) => vec![text.trim().to_owned()],
        _ => return None,
    };
    (cells.iter().map(|cell| cell.chars().count()).sum::<usize>() <= MAX_CHARS).then_some(cells)
}

/// A report without a first line that only announces it.
fn without_lead(text: &str) -> &str {
    match text.split_once('\n') {
        Some((first, rest)) if first.ends_with(':') && first.to_lowercase().contains("report") => rest.trim_start(),
        _ => text,
    }
}

/// The beginning of the summary's call as far as it is certain while steps still run; `None` if nothing is.
pub fn ahead(goal: &str, state: &State) -> Option<Call> {
    let is_done = |step: &&StepState| step.phase == Phase::Done;
    let n_certain = state.steps.iter().take_while(is_done).count();
    (n_certain > 0).then(|| call(&format!("{}{}", head(goal), of_steps(state, n_certain)), false, 0))
}

fn head(goal: &str) -> String {
    format!("Goal: {goal}\n\nResults:\n")
}

fn call(text: &str, is_direct: bool, candidate: u64) -> Call {
    // A short context of its own: with plan and survey in view, small models mix up what was planned and what is.
    let system = "You report the outcome of finished work truthfully and briefly, or answer simple questions.";
    let temperature = if candidate == 0 { 0.0 } else { 0.6 };
    Call {
        purpose: "summary",
        step: None,
        messages: vec![Message::new(Role::System, system), Message::new(Role::User, text)],
        prefill: String::new(),
        grammar: None,
        sampling: Sampling { repetition_penalty: 1.02, temperature, seed: candidate, ..Sampling::default() },
        stop: Vec::new(),
        max_tokens: if is_direct { 700 } else { 300 },
    }
}

/// What all steps came to, and what was assumed.
fn results(state: &State) -> String {
    let mut text = of_steps(state, state.steps.len());
    for assumption in &state.assumptions {
        text.push_str(&format!("Assumption: {assumption}\n"));
    }
    text.push('\n');
    text
}

/// Results of the first `n` steps with their notes, in the order of the plan, so that what is done can be read before
/// the rest is.
fn of_steps(state: &State, n: usize) -> String {
    let mut text = String::new();
    for (step, told) in state.steps.iter().zip(compact::results(state, n)) {
        let head = format!("[{}] {}", step.step.id, step.step.task);
        let from: Vec<&str> = step.step.paths().collect();
        let from = if from.is_empty() { String::new() } else { format!(" from {}", from.join(", ")) };
        let into = step.saved_in().map(|path| format!("{from} (saved in {path})")).unwrap_or(from);
        match told {
            Some(told) => {
                text.push_str(&format!("{head}{into}:\n{}\n", told.trim_end()));
                for note in step.output.iter().flat_map(|output| &output.notes).take(MAX_NOTES) {
                    text.push_str(&format!("Note: {note}\n"));
                }
            }
            None => text.push_str(&format!("{head}: NOT DONE\n")),
        }
    }
    text
}

/// Adds what the model's text must not hide: what was not done, and why.
fn complete(mut text: String, state: &State) -> String {
    let notes = notes(state, &text);
    for line in notes.into_iter().chain(replacements(state)).chain(shortfalls(state)).chain(ledger(state)) {
        text.push_str(&format!("\n{line}"));
    }
    text
}

/// What the tools noted about the results, as rows that were left out; each once, and none that the text has already.
fn notes(state: &State, text: &str) -> Vec<String> {
    let done = state.steps.iter().filter(|step| step.phase == Phase::Done);
    let mut notes: Vec<&str> = Vec::new();
    for note in done.filter_map(|step| step.output.as_ref()).flat_map(|output| &output.notes) {
        if !text.contains(note.as_str()) && !notes.contains(&note.as_str()) && notes.len() < MAX_NOTES {
            notes.push(note);
        }
    }
    notes.into_iter().map(|note| format!("Note: {note}")).collect()
}

/// Which files were read in place of one that the goal names and that is not there.
fn replacements(state: &State) -> Option<String> {
    let missing = &state.brief.as_ref()?.missing;
    let done = state.steps.iter().filter(|step| step.phase == Phase::Done);
    let read: std::collections::BTreeSet<&str> = done.flat_map(|step| step.step.paths()).collect();
    let read: Vec<&str> = read.into_iter().collect();
    (!missing.is_empty() && !read.is_empty())
        .then(|| format!("There is no file {}; read instead: {}.", missing.join(", "), read.join(", ")))
}

/// What the goal asks of its files beyond their being there: what holds, and what the person has to judge.
fn ledger(state: &State) -> Vec<String> {
    let of = |standing: &Standing| {
        let entries = state.ledger.iter().filter(|entry| entry.standing == *standing);
        entries.map(|entry| format!("{} {}", entry.path, entry.what)).collect::<Vec<_>>().join("; ")
    };
    [("Checked", of(&Standing::Met)), ("Not checkable", of(&Standing::Unchecked))]
        .into_iter()
        .filter(|(_, entries)| !entries.is_empty())
        .map(|(head, entries)| format!("{head}: {entries}."))
        .collect()
}

fn shortfalls(state: &State) -> Vec<String> {
    let mut lines = Vec::new();
    for unmet in state.unmet.iter().flatten() {
        lines.push(format!("Not done: {}.", unmet.what));
    }
    if state.has_failures() {
        for step in state.steps.iter().filter(|step| step.phase == Phase::Failed) {
            let why = step.failures.last().map_or("unknown", |failure| failure.error.as_str());
            lines.push(format!("Step {} ({}) failed: {why}", step.step.id, step.step.task));
        }
        lines.extend(state.plan_error.iter().map(|error| format!("No plan could be made: {error}")));
    }
    lines.extend(state.spent.iter().map(|what| format!("Stopped early: {what}.")));
    lines
}

/// The answer without a model.
fn by_code(state: &State) -> String {
    let mut text = String::new();
    for step in state.steps.iter().filter(|step| step.phase == Phase::Done) {
        let value = step.output.as_ref().map(|output| output.value.preview(400)).unwrap_or_default();
        let into = step.saved_in().map(|path| format!(" (saved in {path})")).unwrap_or_default();
        text.push_str(&format!("{}{into}: {}\n", step.step.task, value.trim()));
    }
    text.push_str(&shortfalls(state).join("\n"));
    if text.trim().is_empty() { "Nothing was done.".into() } else { text.trim().to_owned() }
}
