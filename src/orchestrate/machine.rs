//! The state of a run and what is to be done next: pure and total.
//!
//! [`State`] is folded from events by [`State::apply`]; [`next`] reads it and says which actions are due.
//! Nothing here waits, reads a clock or touches a file, so every course of a run is a table in a test, and
//! a run that was killed continues by folding its journal and asking `next` again.
//!
//! Invariants: a step is executed only when all it needs is done; a step that failed or was skipped is
//! never an input; a step that is done is never executed again; after a limit was reached only the
//! summary follows. Must not know: the engine, the workspace, the store.

use std::collections::{BTreeMap, BTreeSet};

use super::brief::{Brief, Unmet};
use super::event::{Event, Status, written};
use super::plan::{LATER, Step, writes_by_itself};
use super::requirement::Entry;
use crate::tool::{Output, Value};
use crate::types::StepId;

/// Tries of a step with the tool that the plan names.
pub const TRIES_PLANNED: u32 = 2;
/// Tries in all; the last ones use another tool where there is one.
pub const TRIES: u32 = 3;
/// Rounds of planning in all.
pub const ROUNDS: u32 = 2;

/// Tokens that a step reads and writes, in the middle: what runs of small models on ordinary goals took.
const TOKENS_PER_STEP: u64 = 600;

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Not begun, or to be tried again.
    Waiting,
    /// A question to the person is open.
    Asking,
    /// Its result is journaled; its changes are being made.
    Proposed,
    /// Done; its value can be used.
    Done,
    /// Every try failed.
    Failed,
    /// Something that it needs failed.
    Skipped,
}

/// One failed try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub error: String,
    /// What was tried.
    pub tried: String,
}

/// Something that the person was asked about a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// As it was asked.
    pub text: String,
    /// What the person said, or what was assumed.
    pub answer: Option<String>,
}

/// A step and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct StepState {
    /// The step as planned.
    pub step: Step,
    /// The round of planning that it came with.
    pub round: u32,
    /// Where it stands.
    pub phase: Phase,
    /// Failed tries, oldest first.
    pub failures: Vec<Failure>,
    /// Its result, once proposed.
    pub output: Option<Output>,
    /// What the person was asked about it, oldest first.
    pub questions: Vec<Question>,
}

/// A run, as far as its events tell.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    /// The survey's text and the files at the start.
    pub survey: Option<(String, Vec<String>)>,
    /// What the goal asks for.
    pub brief: Option<Brief>,
    /// All steps of all rounds.
    pub steps: Vec<StepState>,
    /// The latest plan in the planner's words.
    pub plan_text: Option<String>,
    /// Rounds of planning so far.
    pub rounds: u32,
    /// Steps of a plan are known of which the rest is still being written.
    pub is_planning: bool,
    /// Why the last attempt at a plan failed.
    pub plan_error: Option<String>,
    /// The last check's findings; `None` if something happened since.
    pub unmet: Option<Vec<Unmet>>,
    /// What else the last check found the goal to ask of its files, and how it stands.
    pub ledger: Vec<Entry>,
    /// The limit that was reached.
    pub spent: Option<String>,
    /// The final answer.
    pub answer: Option<String>,
    /// What was assumed in the person's place.
    pub assumptions: Vec<String>,
    /// What prompts tell of results that are too long for them.
    pub compacted: BTreeMap<StepId, String>,
    /// Paths that the run wrote.
    pub written: BTreeSet<String>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Look at the workspace and read the goal's demands.
    Survey,
    /// Make a plan (round 0) or add to it.
    Plan {
        /// 0 for the first.
        round: u32,
    },
    /// Work on a step.
    Execute {
        /// Which.
        step: StepId,
        /// 1 for the first try.
        attempt: u32,
    },
    /// Make the changes of a proposed step.
    Commit {
        /// Which.
        step: StepId,
    },
    /// Compare the outcome with the goal.
    Check,
    /// Write the answer.
    Summarize,
    /// Nothing is left to do.
    End(End),
}

/// How it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// All is in place.
    Completed,
    /// Something is missing.
    Failed,
    /// The person is needed.
    NeedsInput,
}

impl From<End> for Status {
    fn from(end: End) -> Self {
        match end {
            End::Completed => Self::Completed,
            End::Failed => Self::Failed,
            End::NeedsInput => Self::NeedsInput,
        }
    }
}

impl State {
    /// The state after these events.
    pub fn fold<'a>(events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut state = Self::default();
        for event in events {
            state.apply(event);
        }
        state
    }

    /// The step with that id.
    pub fn find(&self, id: StepId) -> Option<&StepState> {
        self.steps.iter().find(|state| state.step.id == id)
    }

    fn find_mut(&mut self, id: StepId) -> Option<&mut StepState> {
        self.steps.iter_mut().find(|state| state.step.id == id)
    }

    /// The questions that wait for the person, by step.
    pub fn open_questions(&self) -> impl Iterator<Item = (StepId, &str)> {
        let asking = self.steps.iter().filter(|state| state.phase == Phase::Asking);
        asking.filter_map(|state| Some((state.step.id, state.questions.last()?.text.as_str())))
    }

    /// The id that the next new step gets.
    pub fn next_id(&self) -> StepId {
        StepId(self.steps.len() as u32 + 1)
    }

    /// Takes one event in. Events that do not fit the state change nothing.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::Surveyed { text, paths } => self.survey = Some((text.clone(), paths.clone())),
            Event::Briefed { brief } => self.brief = Some(brief.clone()),
            Event::Sketched { step } => {
                self.is_planning = true;
                self.settle_steps(std::slice::from_ref(step));
            }
            Event::Planned { round, steps } => self.planned(*round, steps),
            Event::Expanded { step, steps } => self.expanded(*step, steps),
            Event::Reopened { step } => {
                if let Some(state) = self.find_mut(*step).filter(|state| state.phase == Phase::Asking) {
                    state.go_on();
                }
            }
            Event::PlanFailed { error } => {
                (self.rounds, self.is_planning) = (self.rounds + 1, false);
                self.plan_error = Some(error.clone());
            }
            Event::StepProposed { step, output } => {
                if let Some(state) = self.find_mut(*step) {
                    (state.phase, state.output) = (Phase::Proposed, Some(output.clone()));
                }
            }
            Event::StepDone { step } => self.done(*step),
            Event::StepFailed { step, error, tried, fatal, .. } => self.failed(*step, error, tried, *fatal),
            Event::Asked { step, question } => {
                if let Some(state) = self.find_mut(*step) {
                    state.phase = Phase::Asking;
                    state.questions.retain(|other| other.answer.is_some() || other.text != *question);
                    state.questions.push(Question { text: question.clone(), answer: None });
                }
            }
            Event::Answered { step, answer, assumed } => self.answered(*step, answer, *assumed),
            Event::Checked { unmet, ledger } => (self.unmet, self.ledger) = (Some(unmet.clone()), ledger.clone()),
            Event::Compacted { step, text } => {
                self.compacted.insert(*step, text.clone());
            }
            Event::BudgetSpent { what } => self.spent = Some(what.clone()),
            Event::Summarized { answer } => self.answer = Some(answer.clone()),
            Event::ModelCalled { step: None, purpose, text, .. } if purpose == "plan" => {
                self.plan_text = Some(text.clone());
            }
            Event::StepStarted { .. }
            | Event::ToolCalled { .. }
            | Event::ModelCalled { .. }
            | Event::Changed { .. }
            | Event::Interrupted
            | Event::Resumed => {}
        }
    }

    /// The first id of the steps that the round of planning gives that is due or under way.
    pub fn first_of_round(&self) -> StepId {
        let of_round = self.steps.iter().position(|state| state.round == self.rounds);
        StepId(of_round.unwrap_or(self.steps.len()) as u32 + 1)
    }

    /// The plan is whole. A planner that was interrupted may have written other steps before: those go.
    fn planned(&mut self, round: u32, steps: &[Step]) {
        let last = steps.last().map_or(StepId(0), |step| step.id);
        self.steps.retain(|state| state.round < round || state.step.id <= last);
        (self.rounds, self.is_planning) = (round, false);
        self.settle_steps(steps);
        self.rounds = round + 1;
        (self.plan_error, self.unmet) = (None, None);
    }

    /// Takes in steps of the round that is being planned; those that are known already stay as they are,
    /// and those that need one that failed meanwhile are skipped.
    fn settle_steps(&mut self, steps: &[Step]) {
        self.unmet = None;
        let round = self.rounds;
        for step in steps {
            let fresh = StepState::new(step.clone(), round);
            match self.find_mut(step.id) {
                Some(known) if known.step == *step || known.round < round => {}
                Some(known) => *known = fresh,
                None => self.steps.push(fresh),
            }
        }
        self.skip_dependants();
    }

    fn expanded(&mut self, id: StepId, steps: &[Step]) {
        self.add_steps(steps);
        if let Some(state) = self.find_mut(id) {
            state.step.from = steps.iter().map(|step| step.id.to_string()).collect();
        }
        self.skip_dependants();
    }

    fn add_steps(&mut self, steps: &[Step]) {
        (self.plan_error, self.unmet) = (None, None);
        let round = self.rounds.saturating_sub(1);
        self.steps.extend(steps.iter().map(|step| StepState::new(step.clone(), round)));
        self.skip_dependants();
    }

    fn done(&mut self, id: StepId) {
        let Some(state) = self.find_mut(id) else { return };
        state.phase = Phase::Done;
        let paths: Vec<String> =
            state.output.iter().flat_map(|output| written(&output.changes)).map(str::to_owned).collect();
        self.written.extend(paths);
    }

    fn failed(&mut self, id: StepId, error: &str, tried: &str, fatal: bool) {
        let Some(state) = self.find_mut(id) else { return };
        state.failures.push(Failure { error: error.to_owned(), tried: tried.to_owned() });
        state.output = None;
        let over = fatal || state.failures.len() as u32 >= TRIES;
        state.phase = if over { Phase::Failed } else { Phase::Waiting };
        if over {
            self.skip_dependants();
        }
    }

    fn answered(&mut self, id: StepId, answer: &str, assumed: bool) {
        if let Some(state) = self.find_mut(id) {
            match state.questions.iter_mut().rev().find(|question| question.answer.is_none()) {
                Some(question) => question.answer = Some(answer.to_owned()),
                None => {
                    let text = state.step.task.clone();
                    state.questions.push(Question { text, answer: Some(answer.to_owned()) });
                }
            }
            state.go_on();
        }
        if assumed {
            self.assumptions.push(answer.to_owned());
        }
    }

    /// Marks every waiting step that needs a failed or skipped one.
    fn skip_dependants(&mut self) {
        loop {
            let is_lost = |state: &&StepState| matches!(state.phase, Phase::Failed | Phase::Skipped);
            let lost: BTreeSet<StepId> = self.steps.iter().filter(is_lost).map(|state| state.step.id).collect();
            let next = self
                .steps
                .iter_mut()
                .find(|state| state.phase == Phase::Waiting && state.step.needs().iter().any(|id| lost.contains(id)));
            match next {
                Some(state) => state.phase = Phase::Skipped,
                None => return,
            }
        }
    }

    /// For every step the tokens that the longest chain of steps behind it will take: its place on the plan's critical
    /// path.
    pub fn tokens_behind(&self) -> BTreeMap<StepId, u64> {
        let mut behind: BTreeMap<StepId, u64> = self.steps.iter().map(|state| (state.step.id, 0)).collect();
        // A chain is no longer than the plan, so as many rounds reach its beginning.
        for _ in &self.steps {
            for state in &self.steps {
                let with_this = behind[&state.step.id] + TOKENS_PER_STEP;
                for needed in state.step.needs() {
                    behind.entry(needed).and_modify(|tokens| *tokens = with_this.max(*tokens));
                }
            }
        }
        behind
    }

    fn is_ready(&self, state: &StepState) -> bool {
        let is_done = |id: &StepId| self.find(*id).is_some_and(|needed| needed.phase == Phase::Done);
        state.phase == Phase::Waiting && state.step.needs().iter().all(is_done) && self.has_its_turn(state)
    }

    /// Whether no earlier step has to be over first, though this one does not read its result.
    fn has_its_turn(&self, state: &StepState) -> bool {
        let place = self.place(state);
        let mut earlier = self.steps.iter().filter(|other| !other.is_over() && self.place(other) < place);
        if writes_by_itself(&state.step.tool) {
            // Steps that change files of their own choice would lose each other's changes, and a file that is moved
            // may be one that an earlier step reads. A script's writes are its own: it waits for no reader.
            return earlier.all(|other| state.step.tool == "script" && !writes_by_itself(&other.step.tool));
        }
        // Sub-goals get their parts one at a time and of a whole plan, because the ids of new steps count on from the last.
        !state.lacks_parts() || !self.is_planning && !earlier.any(|other| other.lacks_parts() && self.is_ready(other))
    }

    /// Where a step stands in the plan: the parts of a sub-goal right before it, whenever they were added. What a step
    /// needs always stands before it, so steps that wait for their turn never wait for each other.
    fn place(&self, state: &StepState) -> (StepId, bool, StepId) {
        let id = state.step.id;
        let whole = self.steps.iter().find(|other| other.step.id < id && other.step.needs().contains(&id));
        (whole.map_or(id, |whole| whole.step.id), whole.is_none(), id)
    }

    /// Whether something that was planned is not done and nothing else made up for it.
    pub fn has_failures(&self) -> bool {
        self.plan_error.is_some()
            || self.steps.iter().any(|state| state.phase != Phase::Done && !self.is_made_good(state))
    }

    /// A step is made good when a later round gave a step, done, with the same target; one whose result only
    /// later steps need also when each of these is done or made good.
    fn is_made_good(&self, failed: &StepState) -> bool {
        let replaces = |other: &StepState| {
            other.round > failed.round && other.phase == Phase::Done && other.step.target == failed.step.target
        };
        let mut readers = self.steps.iter().filter(|other| other.step.needs().contains(&failed.step.id)).peekable();
        self.steps.iter().any(replaces)
            || (failed.step.target == LATER
                && readers.peek().is_some()
                && readers.all(|reader| reader.phase == Phase::Done || self.is_made_good(reader)))
    }
}

impl StepState {
    fn new(step: Step, round: u32) -> Self {
        Self { step, round, phase: Phase::Waiting, failures: Vec::new(), output: None, questions: Vec::new() }
    }

    /// The answer to a question, if it was asked and answered.
    pub fn answer_to(&self, question: &str) -> Option<&str> {
        let asked = self.questions.iter().rev().filter(|asked| asked.text == question);
        asked.filter_map(|asked| asked.answer.as_deref()).next()
    }

    /// The file that its result was saved in, or is to be.
    pub fn saved_in(&self) -> Option<&str> {
        let is_withheld = self.output.as_ref().is_some_and(|output| output.changes.is_empty());
        self.step.file().filter(|_| !is_withheld)
    }

    /// Files of the items that got no result while others did.
    pub fn set_aside(&self) -> Vec<String> {
        let (Some(Value::Table(table)), Some(_)) = (self.output.as_ref().map(|output| &output.value), &self.step.each)
        else {
            return Vec::new();
        };
        let without = table.rows.iter().filter(|row| row.get(1).is_some_and(serde_json::Value::is_null));
        without.filter_map(|row| self.step.file_of_item(row[0].as_str()?)).collect()
    }

    /// A question holds it up no longer: it is begun, or the changes of its result are made.
    fn go_on(&mut self) {
        self.phase = if self.output.is_some() { Phase::Proposed } else { Phase::Waiting };
    }

    /// Whether nothing more will be done for it.
    fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Done | Phase::Failed | Phase::Skipped)
    }

    /// Whether it is a sub-goal that has no plan yet.
    fn lacks_parts(&self) -> bool {
        self.step.tool == "goal" && !self.step.needs().iter().any(|part| *part > self.step.id)
    }
}

/// The actions that are due in this state; those that are already being carried out are among them.
///
/// Never empty, unless a step waits for the person while others are being worked on.
pub fn next(state: &State) -> Vec<Action> {
    let commits: Vec<Action> = of_phase(state, Phase::Proposed).map(|step| Action::Commit { step }).collect();
    if state.spent.is_some() || state.answer.is_some() {
        return if commits.is_empty() { vec![finish(state)] } else { commits };
    }
    if state.survey.is_none() || state.brief.is_none() {
        return vec![Action::Survey];
    }
    let mut actions = commits;
    if state.rounds == 0 || state.is_planning {
        actions.push(Action::Plan { round: state.rounds });
    }
    actions.extend(
        state
            .steps
            .iter()
            .filter(|step| state.is_ready(step))
            .map(|step| Action::Execute { step: step.step.id, attempt: step.failures.len() as u32 + 1 }),
    );
    if !actions.is_empty() {
        return actions;
    }
    if of_phase(state, Phase::Asking).next().is_some() {
        return vec![Action::End(End::NeedsInput)];
    }
    let Some(unmet) = &state.unmet else { return vec![Action::Check] };
    let is_short = !unmet.is_empty() || state.has_failures();
    if is_short && state.rounds < ROUNDS {
        return vec![Action::Plan { round: state.rounds }];
    }
    vec![finish(state)]
}

fn of_phase(state: &State, phase: Phase) -> impl Iterator<Item = StepId> {
    state.steps.iter().filter(move |step| step.phase == phase).map(|step| step.step.id)
}

fn finish(state: &State) -> Action {
    if state.answer.is_none() {
        return Action::Summarize;
    }
    let is_met = state.unmet.as_ref().is_some_and(Vec::is_empty);
    let is_whole = is_met && !state.has_failures() && state.spent.is_none();
    Action::End(if is_whole { End::Completed } else { End::Failed })
}

#[cfg(test)]
mod tests;
