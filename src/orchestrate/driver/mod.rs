//! Carries a run out: asks the machine what is due, does it, journals what happened, and asks again.
//!
//! Invariants: an event is durable before the state takes it in, so before anything follows from it;
//! actions that are due at the same time run at the same time, and their model calls share batches;
//! a panic or an error of one action ends that action, never the run without an answer.
//! Must not know: how a step of some kind is done (`execute`), what is due (`machine`).

mod compact;
mod execute;
pub mod mind;
mod permission;
pub mod planner;
mod recollection;
mod summary;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use mind::{Budget, Mind};
pub use recollection::Recollection;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::brief::{self, Unmet};
use super::event::{Artifact, Event, Status};
use super::machine::{self, Action, End, Phase, State};
use super::mechanism::Mechanism;
use super::plan::Step;
use super::requirement::{self, Standing};
use super::survey::survey;
use crate::store::{self, Store};
use crate::tool::{self, Permissions, Policy, Registry, Workspace};
use crate::types::{RunId, StepId};

/// What a run may do and how.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Options {
    /// Never ask: assume, and allow the changes that the goal calls for.
    pub yes: bool,
    /// Steps to run instead of planning.
    pub plan: Option<Vec<Step>>,
    /// Most steps in all.
    pub max_steps: Option<u32>,
    /// Candidates of a doubtful result, whatever the kind of step; `None`: as many as its kind is given.
    pub width: Option<usize>,
    /// What is left out, for a measurement.
    pub without: Vec<Mechanism>,
    /// What tools may do.
    pub permissions: Permissions,
    /// What is taken from earlier runs and left to later ones.
    pub recollection: Recollection,
}

impl Options {
    /// Whether the run has this part.
    pub fn has(&self, mechanism: Mechanism) -> bool {
        !self.without.contains(&mechanism)
    }
}

/// Watches a run, for display, and speaks for the person.
pub trait Observer: Send + Sync {
    /// Something happened; it is durable already.
    fn event(&self, event: &Event);

    /// Asks the person; `None` if there is nobody to ask.
    fn ask(&self, question: &str) -> Option<String>;
}

/// Why a run could not go on at all; what was done is in the journal.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The journal cannot be read or written.
    #[error("journal")]
    Store(#[from] store::Error),
    /// An event of the journal is not readable.
    #[error("event {seq} of run {run} is not readable: {why}")]
    Event {
        /// The run.
        run: RunId,
        /// Number of the event.
        seq: u64,
        /// What is wrong with it.
        why: String,
    },
    /// The workspace cannot be opened.
    #[error("workspace {path}", path = .path.display())]
    Workspace {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: tool::Error,
    },
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// How it ended.
    pub status: Status,
    /// What the person is told.
    pub answer: String,
    /// Files that it made, as they are now.
    pub artifacts: Vec<Artifact>,
    /// All steps.
    pub steps: Vec<Step>,
    /// What was assumed in the person's place.
    pub assumptions: Vec<String>,
    /// The open question, if it needs input.
    pub question: Option<String>,
    /// The whole course.
    pub events: Vec<Event>,
}

/// Everything that the actions of a run share.
pub struct Run {
    /// Its id in the journal.
    pub id: RunId,
    /// What is to be done.
    pub goal: String,
    /// Where.
    pub workspace: Workspace,
    /// With what.
    pub registry: Registry,
    /// The model.
    pub mind: Arc<dyn Mind>,
    /// The limits.
    pub budget: Arc<Budget>,
    /// The rest.
    pub options: Options,
    /// The journal.
    pub store: Arc<Store>,
    /// Who watches.
    pub observer: Arc<dyn Observer>,
}

/// Where actions report what happened; durable when `emit` returns.
pub struct Journal {
    run: Arc<Run>,
    sender: UnboundedSender<Message>,
    broken: Mutex<Option<store::Error>>,
}

enum Message {
    Event(Box<Event>),
    Over(Action),
}

impl Journal {
    /// Records an event and hands it to the machine.
    pub fn emit(&self, event: Event) {
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        if broken.is_some() {
            return;
        }
        match append(&self.run.store, &self.run.id, &event) {
            Ok(()) => {
                // The machine first: whatever a display does, the state follows the journal.
                let _ = self.sender.send(Message::Event(Box::new(event.clone())));
                self.run.observer.event(&event);
            }
            Err(error) => *broken = Some(error),
        }
    }

    /// The run that is journaled.
    pub fn run(&self) -> &Arc<Run> {
        &self.run
    }
}

/// Enters an event in the journal of a run.
///
/// # Errors
/// Those of the store.
pub fn append(store: &Store, run: &RunId, event: &Event) -> Result<(), store::Error> {
    let mut body = serde_json::to_value(event).unwrap_or_default();
    let kind = body.as_object_mut().and_then(|fields| fields.remove("kind"));
    let kind = kind.as_ref().and_then(|kind| kind.as_str()).unwrap_or("unknown");
    store.append(run, kind, event.step(), &body).map(|_| ())
}

/// The events of a run, as they were journaled.
///
/// # Errors
/// [`Error::Store`], [`Error::Event`].
pub fn load(store: &Store, run: &RunId) -> Result<Vec<Event>, Error> {
    let read = |record: store::Record| {
        let mut body = record.body;
        if let Some(fields) = body.as_object_mut() {
            fields.insert("kind".into(), record.kind.into());
        }
        serde_json::from_value(body).map_err(|error| Error::Event {
            run: run.clone(),
            seq: record.seq,
            why: error.to_string(),
        })
    };
    store.events(run)?.into_iter().map(read).collect()
}

/// What a run that goes on may change: its own files again, and what the goal says.
pub fn policy(goal: &str, events: &[Event], yes: bool) -> Policy {
    let state = State::fold(events);
    let mut policy = Policy { yes, ..Policy::default() };
    for event in events {
        // Also of tries that failed later: some of their changes may have been made.
        if let Event::StepProposed { output, .. } = event {
            policy.created.extend(output.changes.iter().map(|change| change.target().to_owned()));
        }
    }
    let existing = state.survey.map(|(_, paths)| paths).unwrap_or_default();
    for path in &existing {
        policy.created.remove(path);
    }
    let brief = state.brief.unwrap_or_else(|| brief::read(goal, &existing));
    policy.may_replace.extend(brief.may_replace);
    policy
}

/// Carries the run out to its end, from wherever its journal stands.
///
/// # Errors
/// [`Error::Store`] if the journal fails; everything else ends in an [`Outcome`].
pub async fn drive(run: Arc<Run>, mut events: Vec<Event>, stop: UnboundedReceiver<()>) -> Result<Outcome, Error> {
    let (sender, mut inbox) = unbounded_channel();
    let journal = Arc::new(Journal { run: run.clone(), sender, broken: Mutex::new(None) });
    let mut state = State::fold(&events);
    run.mind.weigh(state.tokens_behind());
    run.budget.take(used_tokens(&events));
    let end = conduct(&journal, &mut state, &mut events, &mut inbox, stop).await;
    if let Some(error) = journal.broken.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(error.into());
    }
    let status = end.map_or(Status::Interrupted, Status::from);
    let label = serde_json::to_value(status).ok().and_then(|value| value.as_str().map(str::to_owned));
    run.store.set_status(&run.id, label.as_deref().unwrap_or("failed"))?;
    if status == Status::Completed {
        recollection::keep(&run, &state, &events);
    }
    Ok(outcome(&run, status, state, events))
}

/// Tokens that a run has used; the limit counts those of its earlier processes too.
fn used_tokens(events: &[Event]) -> u64 {
    let used = events.iter().map(|event| match event {
        Event::ModelCalled { usage, .. } => usage.prompt_tokens - usage.cached_tokens + usage.decoded_tokens,
        _ => 0,
    });
    used.sum::<usize>() as u64
}

/// Whether the action would begin a step beyond the limit.
fn is_beyond(max_steps: Option<u32>, action: &Action) -> bool {
    matches!((action, max_steps), (Action::Execute { step, .. }, Some(most)) if step.0 > most)
}

/// The loop: what is due is started once, what happened is taken in. `None` if the person stopped it.
async fn conduct(
    journal: &Arc<Journal>,
    state: &mut State,
    events: &mut Vec<Event>,
    inbox: &mut UnboundedReceiver<Message>,
    mut stop: UnboundedReceiver<()>,
) -> Option<End> {
    let mut flying: BTreeSet<Action> = BTreeSet::new();
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        let max_steps = journal.run.options.max_steps;
        let (beyond, due): (Vec<Action>, _) =
            machine::next(state).into_iter().partition(|action| is_beyond(max_steps, action));
        if let (true, true, false, Some(most)) = (due.is_empty(), flying.is_empty(), beyond.is_empty(), max_steps) {
            journal.emit(Event::BudgetSpent { what: format!("the limit of {most} steps was reached") });
        }
        for action in due {
            // The answer tells what all others came to.
            let is_last = matches!(action, Action::Summarize | Action::End(_));
            if is_last && flying.iter().any(|other| *other != action) {
                continue;
            }
            if let Action::End(end) = action {
                return Some(end);
            }
            if flying.insert(action.clone()) {
                let (journal, state) = (journal.clone(), state.clone());
                tasks.spawn(async move { perform(journal, state, action).await });
            }
        }
        let message = tokio::select! {
            message = inbox.recv() => message,
            Some(()) = stop.recv() => {
                tasks.shutdown().await;
                journal.emit(Event::Interrupted);
                return None;
            }
        };
        match message {
            Some(Message::Event(event)) => {
                state.apply(&event);
                if let Event::StepDone { .. } = *event
                    && let Some(call) = summary::ahead(&journal.run.goal, state)
                {
                    let mind = journal.run.mind.clone();
                    tasks.spawn(async move { mind.prepare(call).await });
                }
                if matches!(*event, Event::Sketched { .. } | Event::Planned { .. } | Event::Expanded { .. }) {
                    journal.run.mind.weigh(state.tokens_behind());
                }
                events.push(*event);
            }
            Some(Message::Over(action)) => {
                flying.remove(&action);
            }
            None => return None,
        }
        if journal.broken.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            tasks.shutdown().await;
            return None;
        }
    }
}

/// Does one action. Whatever happens inside, the machine learns that it is over.
async fn perform(journal: Arc<Journal>, state: State, action: Action) {
    let inner = tokio::spawn(act(journal.clone(), state, action.clone()));
    let abort = AbortOnDrop(inner.abort_handle());
    if let Err(error) = inner.await
        && error.is_panic()
    {
        journal.emit(crash(&action));
    }
    drop(abort);
    let _ = journal.sender.send(Message::Over(action));
}

struct AbortOnDrop(tokio::task::AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The event by which the machine gets past an action that panicked.
fn crash(action: &Action) -> Event {
    let error = "an internal error; its text is on the terminal".to_owned();
    match action {
        Action::Plan { .. } => Event::PlanFailed { error },
        Action::Execute { step, attempt } => {
            Event::StepFailed { step: *step, attempt: *attempt, error, tried: String::new(), fatal: true }
        }
        Action::Commit { step } => {
            Event::StepFailed { step: *step, attempt: 0, error, tried: String::new(), fatal: true }
        }
        Action::Survey | Action::Check | Action::Summarize | Action::End(_) => {
            Event::Summarized { answer: format!("The run ended early: {error}.") }
        }
    }
}

async fn act(journal: Arc<Journal>, state: State, action: Action) {
    if let (Some(what), false) = (journal.run.budget.spent(), state.spent.is_some()) {
        journal.emit(Event::BudgetSpent { what });
        return;
    }
    match action {
        Action::Survey => look(&journal),
        Action::Plan { round } => planner::plan(&journal, &state, round).await,
        Action::Execute { step, attempt } => {
            if permission::may_begin(&journal, &state, step) {
                execute::execute(&journal, &state, step, attempt).await;
            }
        }
        Action::Commit { step } => {
            if permission::may_change(&journal, &state, step) {
                commit(&journal, &state, step);
            }
        }
        Action::Check => check(&journal, &state),
        Action::Summarize => summary::summarize(&journal, &state).await,
        Action::End(_) => {}
    }
}

fn look(journal: &Journal) {
    let run = &journal.run;
    let paths: Vec<String> = match run.workspace.list("", None) {
        Ok(entries) => entries.into_iter().filter(|entry| !entry.is_folder).map(|entry| entry.path).collect(),
        Err(error) => {
            return journal.emit(Event::Summarized { answer: format!("The workspace cannot be read: {error}.") });
        }
    };
    let brief = brief::read(&run.goal, &paths);
    run.workspace.permit(&brief.may_replace);
    match survey(&run.workspace, &brief, &run.goal) {
        Ok(found) => {
            journal.emit(Event::Briefed { brief });
            journal.emit(Event::Surveyed { text: found.text + &recollection::for_plan(run), paths });
        }
        Err(error) => journal.emit(Event::Summarized { answer: format!("The workspace cannot be read: {error}.") }),
    }
}

/// Makes the changes of a step. Each is idempotent, so a commit that was killed is simply done again.
fn commit(journal: &Journal, state: &State, id: StepId) {
    let Some(output) = state.find(id).and_then(|step| step.output.as_ref()) else { return };
    for change in &output.changes {
        match journal.run.workspace.apply(change) {
            Ok(applied) => journal.emit(Event::Changed {
                step: id,
                path: applied.path,
                bytes: applied.bytes,
                sha256: applied.sha256.unwrap_or_default(),
            }),
            Err(error) => {
                let (error, tried) = (error.to_string(), format!("writing {}", change.target()));
                return journal.emit(Event::StepFailed { step: id, attempt: 0, error, tried, fatal: false });
            }
        }
    }
    journal.emit(Event::StepDone { step: id });
}

fn check(journal: &Journal, state: &State) {
    let brief = state.brief.clone().unwrap_or_default();
    let (goal, workspace) = (&journal.run.goal, &journal.run.workspace);
    let mut unmet = brief::unmet(&brief, workspace, &state.written);
    let mut ledger = Vec::new();
    for path in brief.write.iter().map(|file| &file.path) {
        let Ok(text) = workspace.read_text(path) else { continue };
        ledger.extend(requirement::of_file(goal, &brief, path).iter().map(|requirement| requirement.entry(&text)));
    }
    for path in state.steps.iter().filter(|step| step.phase == Phase::Done).flat_map(|step| step.set_aside()) {
        if !state.written.contains(&path) && !workspace.exists(&path) {
            unmet.push(Unmet { what: format!("{path} was not written"), path });
        }
    }
    for entry in &ledger {
        if let Standing::Unmet(what) = &entry.standing {
            unmet.push(Unmet { path: entry.path.clone(), what: format!("{}: {what}", entry.path) });
        }
    }
    journal.emit(Event::Checked { unmet, ledger });
}

fn outcome(run: &Run, status: Status, state: State, events: Vec<Event>) -> Outcome {
    let question = state.open_questions().next().filter(|_| status == Status::NeedsInput);
    let question = question.map(|(_, question)| question.to_owned());
    let answer = state.answer.clone().or_else(|| question.clone()).unwrap_or_default();
    let artifacts = artifacts(run, &events);
    let steps = state.steps.into_iter().map(|state| state.step).collect();
    Outcome { status, answer, artifacts, steps, assumptions: state.assumptions, question, events }
}

/// The files that the run changed and that are still there, each once, as last written.
fn artifacts(run: &Run, events: &[Event]) -> Vec<Artifact> {
    let mut found: Vec<Artifact> = Vec::new();
    for event in events {
        let Event::Changed { path, bytes, sha256, .. } = event else { continue };
        found.retain(|artifact| artifact.path != *path);
        let is_file = run.workspace.metadata(path).is_ok_and(|entry| !entry.is_folder);
        if is_file {
            found.push(Artifact { path: path.clone(), bytes: *bytes, sha256: sha256.clone() });
        }
    }
    found
}

/// When a tool call that starts now has to be over.
pub fn tool_deadline(run: &Run) -> Instant {
    let most = Instant::now() + std::time::Duration::from_secs(60);
    run.budget.deadline().map_or(most, |deadline| deadline.min(most))
}

#[cfg(test)]
mod tests;
