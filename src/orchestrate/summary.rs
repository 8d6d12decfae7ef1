//! The answer that the person reads: written by the model from the results, completed by code.

use super::driver::Journal;
use super::event::Event;
use super::machine::{Phase, State};
use super::mind::{self, Call};
use super::plan::REPLY;
use crate::types::{Message, Role, Sampling};

/// Characters of results that the summary reads.
const SHOWN: usize = 6000;
/// Characters of one result.
const SHOWN_EACH: usize = 1800;

/// Writes the answer. Without a model to ask (a limit was reached), code says what was done and what not.
pub async fn summarize(journal: &Journal, state: &State) {
    let answer = match state.spent {
        Some(_) => Err(mind::Error::Budget(String::new())),
        None => written(journal, state).await,
    };
    let answer = match answer {
        Ok(text) if !text.is_empty() => complete(text, state),
        _ => by_code(state),
    };
    journal.emit(Event::Summarized { answer });
}

async fn written(journal: &Journal, state: &State) -> Result<String, mind::Error> {
    let run = journal.run();
    let text = if state.steps.is_empty() {
        run.goal.clone()
    } else {
        format!(
            "Goal: {}\n\n{}Report to the person now, in one to four plain sentences. Tell every number, name and fact that the goal asks to be told, exactly as the results have them, and which files were written. Invent nothing.",
            run.goal,
            results(state)
        )
    };
    let max_tokens = if state.steps.is_empty() { 700 } else { 300 };
    // A short context of its own: with plan and survey in view, small models mix up what was planned and what is.
    let system = "You report the outcome of finished work truthfully and briefly, or answer simple questions.";
    let call = Call {
        purpose: "summary",
        step: None,
        messages: vec![Message::new(Role::System, system), Message::new(Role::User, text)],
        prefill: String::new(),
        grammar: None,
        sampling: Sampling { repetition_penalty: 1.02, ..Sampling::default() },
        stop: Vec::new(),
        max_tokens,
    };
    let reply = run.mind.complete(call).await?;
    let (usage, text) = (reply.usage, reply.text.clone());
    journal.emit(Event::ModelCalled { step: None, purpose: "summary".into(), usage, text });
    Ok(reply.text.trim().to_owned())
}

/// Results with their notes; those that the person wants to be told come first and are cut last.
fn results(state: &State) -> String {
    let mut steps: Vec<_> = state.steps.iter().collect();
    steps.sort_by_key(|step| (step.step.target != REPLY, step.step.id));
    let mut text = String::from("Results:\n");
    for step in steps {
        let head = format!("[{}] {}", step.step.id, step.step.task);
        let into = step.step.file().map(|path| format!(" (saved in {path})")).unwrap_or_default();
        match (&step.output, step.phase) {
            (Some(output), Phase::Done) => {
                let left = SHOWN.saturating_sub(text.chars().count()).min(SHOWN_EACH);
                text.push_str(&format!("{head}{into}:\n{}\n", output.value.preview(left.max(80)).trim_end()));
                for note in &output.notes {
                    text.push_str(&format!("Note: {note}\n"));
                }
            }
            _ => text.push_str(&format!("{head}: NOT DONE\n")),
        }
    }
    for assumption in &state.assumptions {
        text.push_str(&format!("Assumption: {assumption}\n"));
    }
    text.push('\n');
    text
}

/// Adds what the model's text must not hide: what was not done, and why.
fn complete(mut text: String, state: &State) -> String {
    for line in shortfalls(state) {
        text.push_str(&format!("\n{line}"));
    }
    text
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
        let into = step.step.file().map(|path| format!(" (saved in {path})")).unwrap_or_default();
        text.push_str(&format!("{}{into}: {}\n", step.step.task, value.trim()));
    }
    text.push_str(&shortfalls(state).join("\n"));
    if text.trim().is_empty() { "Nothing was done.".into() } else { text.trim().to_owned() }
}
