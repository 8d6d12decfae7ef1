//! Asks the person before a step does what the run may not do unasked.
//!
//! A step that may not be begun, and changes that may not be made, are held up by a question. On a terminal it is answered
//! at once; else it stays open and the run waits, or the step fails where nobody said that questions are wanted. Question
//! and answer are journaled, so that nothing is asked twice.
//! Must not know: how a step is done, what a change may touch (the workspace's policy).

use super::{Journal, Run};
use crate::orchestrate::event::Event;
use crate::orchestrate::machine::{State, StepState};
use crate::orchestrate::plan::Step;
use crate::tool::workspace::Verdict;
use crate::tool::{Change, Effect, Leave, Mode, Output};
use crate::types::StepId;

/// The tool by which the results of steps are saved, whatever tool gave them.
const SAVING: &str = "write_file";

/// What follows every question for leave.
const CHOICE: &str = " (yes or no)";

/// What a tool of the registry, or a kind of step, does besides giving a value; `None` if the run has no such tool.
fn effects(run: &Run, tool: &str) -> Option<&'static [Effect]> {
    match (run.registry.find(tool), tool) {
        (Some(found), _) => Some(found.spec().effects),
        (None, "answer" | "write") => Some(&[Effect::Reads]),
        (None, "ask" | "goal") => Some(&[]),
        (None, _) => None,
    }
}

/// Whether the run may use a tool.
pub fn leave(run: &Run, tool: &str) -> Leave {
    effects(run, tool).map_or(Leave::Deny, |effects| run.options.permissions.leave(tool, effects))
}

/// The tool that makes the changes of a step with this tool.
fn writer<'a>(run: &Run, tool: &'a str) -> &'a str {
    let writes = effects(run, tool).is_some_and(|effects| effects.contains(&Effect::Writes));
    if writes { tool } else { SAVING }
}

/// Whether what a tool gave may not be saved in a file.
pub fn withholds(run: &Run, tool: &str) -> bool {
    leave(run, writer(run, tool)) == Leave::Deny
}

/// A result that is told and not saved.
pub fn unsaved(mut output: Output, step: &Step) -> Output {
    let paths: Vec<&str> = output.changes.iter().map(Change::target).chain(step.file()).collect();
    if let Some(path) = paths.first() {
        output.notes.push(format!("{path} was not written, because this run may not write"));
    }
    output.changes.clear();
    output
}

/// Whether a step may be begun. If not, what holds it up is journaled.
pub fn may_begin(journal: &Journal, state: &State, id: StepId) -> bool {
    let Some(of_step) = state.find(id) else { return false };
    let (run, tool) = (journal.run(), of_step.step.tool.as_str());
    match leave(run, tool) {
        _ if is_refused(journal, of_step) => false,
        Leave::Allow => true,
        Leave::Deny => refuse(journal, of_step, &format!("{tool} may not be used in this run")),
        Leave::Ask => {
            let effects: Vec<&str> = effects(run, tool).into_iter().flatten().map(|effect| effect.name()).collect();
            let what = format!("begin {id} with {tool} ({}): {}", effects.join(", "), of_step.step.task);
            Asking { journal, of_step, waits: true }.is_granted(&what)
        }
    }
}

/// Whether the changes of a step's result may be made. If not, what holds them up is journaled.
pub fn may_change(journal: &Journal, state: &State, id: StepId) -> bool {
    let run = journal.run();
    let Some(of_step) = state.find(id) else { return false };
    let Some(output) = &of_step.output else { return false };
    if is_refused(journal, of_step) {
        return false;
    }
    let tool = writer(run, &of_step.step.tool);
    let leave = leave(run, tool);
    let mut wanted = Vec::new();
    for change in &output.changes {
        match run.workspace.check(change) {
            Ok(Verdict::AlreadyDone) => {}
            Ok(_) if leave == Leave::Deny => {
                return refuse(journal, of_step, &format!("{tool} may not be used in this run"));
            }
            Ok(Verdict::Ask(what)) if !run.options.permissions.is_trusted(tool) => wanted.push(what),
            Ok(_) if leave == Leave::Ask => wanted.push(described(change)),
            Ok(_) => {}
            Err(error) => {
                fail(journal, id, error.to_string(), format!("writing {}", change.target()), false);
                return false;
            }
        }
    }
    wanted.is_empty() || Asking { journal, of_step, waits: leave == Leave::Ask }.is_granted(&wanted.join("; "))
}

/// A question about a step.
struct Asking<'a> {
    journal: &'a Journal,
    of_step: &'a StepState,
    /// With nobody at a terminal, the run waits for an answer.
    waits: bool,
}

impl Asking<'_> {
    fn is_granted(&self, what: &str) -> bool {
        let question = format!("{what}{CHOICE}");
        if self.of_step.answer_to(&question).is_some() {
            return true; // a refusal has ended the step
        }
        let step = self.of_step.step.id;
        match tokio::task::block_in_place(|| self.journal.run().observer.ask(&question)) {
            Some(answer) => {
                self.journal.emit(Event::Asked { step, question });
                self.journal.emit(Event::Answered { step, answer: answer.clone(), assumed: false });
                is_yes(&answer) || not_allowed(self.journal, self.of_step, what)
            }
            None if self.waits => {
                self.journal.emit(Event::Asked { step, question });
                false
            }
            None => not_allowed(self.journal, self.of_step, what),
        }
    }
}

/// Whether the person has said no to something that the step wants, whatever the run may do by now; then it is over.
fn is_refused(journal: &Journal, of_step: &StepState) -> bool {
    let asked = of_step.questions.iter().filter(|_| of_step.step.tool != "ask");
    let mut refused = asked.filter(|asked| asked.answer.as_deref().is_some_and(|answer| !is_yes(answer)));
    let what = refused.find_map(|asked| asked.text.strip_suffix(CHOICE));
    what.is_some_and(|what| !not_allowed(journal, of_step, what))
}

fn not_allowed(journal: &Journal, of_step: &StepState, what: &str) -> bool {
    refuse(journal, of_step, &format!("not allowed: {what}; --yes allows it"))
}

fn is_yes(answer: &str) -> bool {
    let answer = answer.trim().to_lowercase();
    ["y", "yes", "ok", "allow"].contains(&answer.trim_end_matches(['.', '!']))
}

/// Ends the step; gives `false`, as the answer to whether it may go on.
fn refuse(journal: &Journal, of_step: &StepState, why: &str) -> bool {
    fail(journal, of_step.step.id, why.to_owned(), String::new(), true);
    false
}

fn fail(journal: &Journal, step: StepId, error: String, tried: String, fatal: bool) {
    journal.emit(Event::StepFailed { step, attempt: 0, error, tried, fatal });
}

fn described(change: &Change) -> String {
    match change {
        Change::Write { path, content } => format!("write {path}, {} bytes", content.len()),
        Change::MakeFolder { path } => format!("make the folder {path}"),
        Change::Move { from, to } => format!("move {from} to {to}"),
        Change::Copy { from, to } => format!("copy {from} to {to}"),
    }
}

/// The answer with what the person has to know of how the run was allowed to work.
pub fn closing(run: &Run, state: &State, mut answer: String) -> String {
    for assumption in &state.assumptions {
        answer.push_str(&format!("\nAssumed: {assumption}"));
    }
    if run.options.permissions.mode == Mode::ReadOnly {
        answer.push_str("\nRead-only: nothing was written or run.");
    }
    answer
}

/// Why nothing more can be planned: the run only reads, and what is missing would have to be written.
pub fn end_of_planning(run: &Run, state: &State) -> Option<String> {
    let is_read_only = run.options.permissions.mode == Mode::ReadOnly;
    let is_all_done = state.steps.iter().all(|step| step.failures.is_empty());
    (is_read_only && !state.steps.is_empty() && is_all_done).then(|| "the run is read-only".to_owned())
}
