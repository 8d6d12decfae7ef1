//! How a step is done: binds its inputs, asks the model for what only a model can give, calls the tool.
//!
//! Every kind of step gives the same thing: an [`Output`] whose changes are only proposed, or a [`Miss`]
//! that says why and what was tried. A later try differs: the failure is in view, what failed is excluded,
//! the sampling is warmer, and the last try takes another tool where there is one.
//! Must not know: what is due next (`machine`), the journal's format.

mod answer;
mod arguments;
mod call;
mod digest;
mod evidence;
mod extract;
mod form;
mod inputs;
mod items;
mod judge;
mod lookup;
mod named;
mod passage;
mod person;
mod program;
mod query;
mod reduce;
mod relation;
mod script;
mod sql;
mod write;

use std::collections::BTreeSet;

pub use call::{SHOWN, all};
use serde_json::Value as Json;

use super::mind::{self, Reply};
use super::{Journal, Run, permission, planner, recollection};
use crate::orchestrate::brief::Brief;
use crate::orchestrate::event::{Event, written};
use crate::orchestrate::machine::{Failure, State, StepState, TRIES, TRIES_PLANNED};
use crate::orchestrate::mechanism::Mechanism;
use crate::orchestrate::plan::{REPLY, Step, writes_by_itself};
use crate::orchestrate::prompt::{self, Prompt, Segment};
use crate::orchestrate::requirement;
use crate::orchestrate::word::words;
use crate::orchestrate::{clause, damage, demand, survey};
use crate::tool::format::{self, Format};
use crate::tool::{self, Change, Leave, Output, Table, Value, table};
use crate::types::{Message, Role, Sampling, StepId};

/// Documents that are enough for a question over all of them.
const MANY: usize = 10;
/// Results of a step that are few enough for all their candidates at once.
const FEW_RESULTS: usize = 4;
/// Candidates of one result at most, however cheap.
const MAX_WIDTH: usize = 8;

/// A try that gave nothing.
#[derive(Debug, Clone)]
pub struct Miss {
    /// Why, in words that help the next try.
    error: String,
    /// What was tried.
    tried: String,
    /// No further try can help.
    fatal: bool,
    /// A limit of the run was reached.
    spent: bool,
}

impl Miss {
    fn new(error: impl Into<String>, tried: impl Into<String>) -> Self {
        Self { error: error.into(), tried: tried.into(), fatal: false, spent: false }
    }

    fn fatal(error: impl Into<String>) -> Self {
        Self { fatal: true, ..Self::new(error, "") }
    }

    /// As the next try reads it.
    fn in_words(&self) -> String {
        said_of(&self.tried, &self.error)
    }
}

impl From<mind::Error> for Miss {
    fn from(error: mind::Error) -> Self {
        let spent = matches!(error, mind::Error::Budget(_));
        Self { spent, fatal: matches!(error, mind::Error::Engine(_)), ..Self::new(planner::chain(&error), "") }
    }
}

impl From<tool::Error> for Miss {
    fn from(error: tool::Error) -> Self {
        Self::new(error.to_string(), "")
    }
}

/// What a try has at hand.
struct Attempt<'a> {
    journal: &'a Journal,
    state: &'a State,
    step: &'a Step,
    number: u32,
    tool: &'a str,
}

/// Tries a step once, and reports how it went.
pub async fn execute(journal: &Journal, state: &State, id: StepId, number: u32) {
    let Some(of_step) = state.find(id) else { return };
    let tool = tool_for(journal.run(), state, of_step, number);
    journal.emit(Event::StepStarted { step: id, attempt: number, tool: tool.clone() });
    let attempt = Attempt { journal, state, step: &of_step.step, number, tool: &tool };
    let done = match attempt.run(of_step).await {
        Ok(Some(output)) => attempt.finish(output),
        Ok(None) => return, // a question to the person is open
        Err(miss) => Err(miss),
    };
    journal.emit(match done {
        Ok(output) => Event::StepProposed { step: id, output },
        Err(miss) if miss.spent => Event::BudgetSpent { what: miss.error },
        Err(Miss { error, tried, fatal, .. }) => {
            let fatal = fatal || !attempt.has(Mechanism::Retry);
            Event::StepFailed { step: id, attempt: number, error, tried, fatal }
        }
    });
}

/// The planned tool, or after enough failures another that can do the same.
fn tool_for(run: &Run, state: &State, of_step: &StepState, number: u32) -> String {
    let planned = of_step.step.tool.as_str();
    let other = match planned {
        "query_table" => "script",
        "script" if of_step.step.from.is_empty() => "write",
        "script" => "answer",
        "calculate" if of_step.step.paths().next().is_some() => "query_table",
        // What is to be left out or put in order on the way, a conversion cannot do.
        "convert" if of_step.step.file().is_some() => "query_table",
        "search_text" | "calculate" | "json_get" => "script",
        other => other,
    };
    if sorts_out(run, state, &of_step.step) {
        return "query_table".to_owned();
    }
    if planned == "script" && reads_documents(run, &of_step.step) {
        return "answer".to_owned();
    }
    // Arguments that stand in the plan are those of the planned tool.
    let may_differ =
        number > TRIES_PLANNED && of_step.step.arguments.is_none() && permission::leave(run, other) == Leave::Allow;
    if may_differ { other.to_owned() } else { planned.to_owned() }
}

/// Whether a step is there to part the damaged rows of a table from the others, whatever tool the plan names for it: code
/// knows which they are.
fn sorts_out(run: &Run, state: &State, step: &Step) -> bool {
    let copies = ["write", "append_file", "copy_file", "search_text", "convert", "answer", "script"]
        .contains(&step.tool.as_str());
    let ([path], true) = (step.from.as_slice(), copies && step.file().is_some() && step.arguments.is_none()) else {
        return false;
    };
    // Loading reads the whole file.
    if ![&run.goal, &step.task].into_iter().any(|text| damage::speaks_of_rows(text)) {
        return false;
    }
    let Ok(loaded) = table::load(&run.workspace, path, &survey::options(&run.goal)) else { return false };
    let brief = state.brief.clone().unwrap_or_default();
    let is_meant = || query::wish(run, &brief, step, path, &words_of(&loaded.table)).is_some();
    is_meant() && !loaded.bad_rows.is_empty() && survey::is_table(path, &loaded.peek())
}

/// The words that stand in a table.
fn words_of(table: &Table) -> BTreeSet<String> {
    damage::cell_words(&table.columns, table.rows.iter().flatten().filter_map(Json::as_str))
}

/// Whether a step is planned as a program over a folder of documents that asks for something over all of them: figures and
/// problems in sentences are read, not parsed.
fn reads_documents(run: &Run, step: &Step) -> bool {
    let is_asked = !reduce::of(&step.task, MANY).is_empty() && step.arguments.is_none();
    let mut folders = step.paths().filter_map(|path| path.strip_suffix('/'));
    let (Some(folder), None) = (folders.next(), folders.next()) else { return false };
    let entries = run.workspace.list(folder, None).unwrap_or_default();
    let files: Vec<String> = entries.into_iter().filter(|entry| !entry.is_folder).map(|entry| entry.path).collect();
    is_asked && files.len() > 1 && files.iter().all(|path| format::holds_text(path))
}

impl Attempt<'_> {
    async fn run(&self, of_step: &StepState) -> Result<Option<Output>, Miss> {
        let output = match self.tool {
            "ask" => return person::ask(self, of_step),
            "goal" => return self.sub_goal().await,
            "write" => write::write(self).await,
            "answer" => match extract::wanted(self)? {
                Some(wanted) => extract::extract(self, wanted).await,
                None => answer::answer(self).await,
            },
            "query_table" if self.step.arguments.is_none() => query::query(self).await,
            "script" if self.step.arguments.is_none() => script::script(self).await,
            _ => arguments::call(self).await,
        };
        output.map(Some)
    }

    /// A sub-goal is planned when its turn comes; when its steps are done, the last one's value is its own.
    async fn sub_goal(&self) -> Result<Option<Output>, Miss> {
        let parts: Vec<StepId> = self.step.needs().into_iter().filter(|id| *id > self.step.id).collect();
        let Some(last) = parts.last() else {
            let steps = planner::expand(self.journal, self.state, self.step).await?;
            if steps.is_empty() {
                return Err(Miss::new("the sub-goal got no plan", ""));
            }
            self.journal.emit(Event::Expanded { step: self.step.id, steps });
            return Ok(None);
        };
        let value = self.state.find(*last).and_then(|step| step.output.as_ref()).map(|output| output.value.clone());
        Ok(value.map(Output::from))
    }

    /// Saves the value in the step's file and holds the changes against the run's policy.
    fn finish(&self, mut output: Output) -> Result<Output, Miss> {
        if permission::withholds(self.journal.run(), self.tool) {
            return Ok(permission::unsaved(output, self.step));
        }
        if let Some(path) = self.step.file()
            && self.has(Mechanism::Ledger)
        {
            requirement::put_in_shape(&self.journal.run().goal, &self.brief(), path, &mut output.value);
        }
        if let Some(path) = self.step.file()
            && !path.ends_with("/*")
            && !written(&output.changes).contains(&path)
            && (!writes_by_itself(self.tool) || output.changes.is_empty())
        {
            let content = self.content(&output.value, path)?;
            output.changes.push(Change::Write { path: path.to_owned(), content });
        }
        if self.tool == "script" {
            output.changes.retain(|change| !matches!(change, Change::Write { path, .. } if self.is_of_other(path)));
        }
        // A stand-in for the planned tool may do no more than the plan says: give a value, and fill the step's file.
        let is_planned = |change: &Change| match change {
            _ if self.tool == self.step.tool => true,
            Change::Write { path, .. } => Some(path.as_str()) == self.step.file(),
            _ => false,
        };
        if let Some(change) = output.changes.iter().find(|change| !is_planned(change)) {
            return Err(Miss::new(format!("this step does not write {}", change.target()), ""));
        }
        self.hold_against_the_goal(&mut output)?;
        // Whether the person has to be asked is seen to when the changes are made.
        for change in &output.changes {
            self.journal.run().workspace.check(change)?;
        }
        Ok(output)
    }

    /// Whether a file is another step's result: what is to stand there is not for a program to say that has seen the whole
    /// goal and does more of it than its step.
    fn is_of_other(&self, path: &str) -> bool {
        let others = self.state.steps.iter().filter(|other| other.step.id != self.step.id);
        self.step.file() != Some(path) && others.map(|other| &other.step).any(|other| other.file() == Some(path))
    }

    /// A text that does not have what the goal asks of its file is tried again while there are tries; after that it is
    /// kept as the best there is, and the check at the end tells.
    fn hold_against_the_goal(&self, output: &mut Output) -> Result<(), Miss> {
        let mut notes = Vec::new();
        for change in &output.changes {
            let Change::Write { path, content } = change else { continue };
            let faults = self.faults(path, content);
            if !faults.is_empty() && self.number < TRIES {
                return Err(Miss::new(format!("the text of {path}: {}", faults.join("; ")), content.clone()));
            }
            notes.extend(faults.iter().map(|fault| format!("{path}: {fault}")));
        }
        output.notes.extend(notes);
        Ok(())
    }

    /// What the text of a file lacks of what the goal asks of it.
    fn faults(&self, path: &str, text: &str) -> Vec<String> {
        if !self.has(Mechanism::Ledger) {
            return Vec::new();
        }
        requirement::faults(&self.journal.run().goal, &self.brief(), path, text)
    }

    fn has(&self, mechanism: Mechanism) -> bool {
        self.journal.run().options.has(mechanism)
    }

    /// How many candidates of a result are decoded, where its kind is usually given `n`: more where the machine takes
    /// little longer for them.
    fn width(&self, n: usize) -> u64 {
        let run = self.journal.run();
        let adapted = || run.mind.n_abreast().map_or(n, |abreast| (abreast / 2).clamp(n, MAX_WIDTH));
        run.options.width.unwrap_or_else(adapted).max(1) as u64
    }

    /// How many candidates of each of so many results are decoded at once, `n` at most, and all of them where the results
    /// are few: agreement is worth the wait.
    fn width_of_each(&self, n: usize, n_results: usize) -> u64 {
        let run = self.journal.run();
        if n_results <= FEW_RESULTS {
            return run.options.width.unwrap_or(n).max(1) as u64;
        }
        let adapted = || run.mind.n_abreast().map_or(n, |abreast| (abreast / n_results.max(1)).clamp(1, n));
        run.options.width.unwrap_or_else(adapted).max(1) as u64
    }

    /// What the goal asks for, as it was read at the start.
    fn brief(&self) -> Brief {
        self.state.brief.clone().unwrap_or_default()
    }

    /// The text of the step's file, after what earlier steps put into the same file.
    fn content(&self, value: &Value, path: &str) -> Result<String, Miss> {
        let form = form_for(self.step, path, value, &self.journal.run().goal);
        let mut text = match format::render(value, form) {
            Ok(text) => text,
            Err(_) => format::render(value, format::detect(path).unwrap_or(Format::Text))?,
        };
        // The goal named a file that is not there: its reader has to know which one was read instead.
        let is_prose = matches!(form, Format::Text | Format::BulletList | Format::NumberedList);
        let is_replacement = self.state.brief.as_ref().is_some_and(|brief| !brief.missing.is_empty());
        if is_prose
            && is_replacement
            && self.tool != "write"
            && let Some(source) = self.step.paths().next()
        {
            text.push_str(&format!("Source: {source}\n"));
        }
        if text.trim().is_empty() {
            return Err(Miss::new(format!("the result is empty, but {path} must hold something"), ""));
        }
        Ok(text)
    }

    /// The prefix of every prompt of this run, up to the plan.
    fn prompt(&self) -> Prompt {
        let run = self.journal.run();
        let survey = self.state.survey.as_ref().map_or("", |(text, _)| text.as_str());
        planner::with_plan(
            prompt::planning(prompt::system(&run.registry), survey, &run.goal),
            self.state,
            run.mind.n_ctx(),
        )
    }

    /// A short context of its own for work that needs the goal but neither plan nor survey: small models hold
    /// one thing in view at a time. Steps of a run share its head.
    fn focus(&self, role: &str, text: String) -> Vec<Message> {
        Prompt::default().push(Segment::System, Role::System, role).push(Segment::Step, Role::User, text).messages()
    }

    /// Whether the step tells what the goal asks to be told, in the goal's words.
    fn is_told(&self) -> bool {
        self.step.target == REPLY && self.has(Mechanism::OwnWords)
    }

    /// What the step is to do: the planner's words, or the goal's where the planner lost sight of what is to be told.
    fn task(&self) -> String {
        if !self.is_told() {
            return self.step.task.clone();
        }
        clause::task_to_tell(&self.journal.run().goal, &self.brief().outputs(), &self.step.task)
    }

    /// The step in words, with where its result goes and what of the goal concerns it.
    fn asked(&self) -> String {
        let goal = &self.journal.run().goal;
        let brief = self.brief();
        let outputs = brief.outputs();
        let task = self.task();
        match self.step.file() {
            Some(path) => {
                // A computation needs what is said of it where it is asked for first.
                let of_file = if self.tool == "write" { clause::of_file_alone } else { clause::of_file };
                let words = of_file(goal, path, &outputs).filter(|_| self.has(Mechanism::OwnWords));
                let words = words.map_or_else(
                    || format!("The whole goal, for its conditions: {goal}"),
                    |words| format!("The goal: {words}"),
                );
                format!("{words}\n\nDo this step of it: {}. Its result goes into {path}.", task.trim_end_matches('.'))
            }
            None => {
                let told = clause::told(goal, &outputs).filter(|_| self.is_told());
                let task = match &told {
                    Some(told) if *told != task => {
                        format!("{} (in the goal's words: {told})", task.trim_end_matches('.'))
                    }
                    _ => task,
                };
                let context = told.map_or_else(|| goal.clone(), |_| clause::without_saved_questions(goal, &outputs));
                format!(
                    "The whole goal, for its conditions: {context}\n\nDo only this step of it: {}. Its result is told to the person.",
                    task.trim_end_matches('.')
                )
            }
        }
    }

    /// The step's tries that failed, in order.
    fn missed(&self) -> &[Failure] {
        self.state.find(self.step.id).map_or(&[], |of_step| &of_step.failures)
    }

    /// What earlier runs teach; without memory, empty.
    fn recalled(&self) -> String {
        recollection::for_step(self.journal.run(), &self.step.task, self.tool)
    }

    /// What earlier runs and earlier tries teach, for the prompt of this try; without memory, empty on the first.
    fn failures(&self) -> String {
        let mut text = self.recalled();
        for failure in self.missed().iter().rev().take(2).rev() {
            text.push_str(&said_of(&failure.tried, &failure.error));
        }
        text
    }

    /// Warmer with every try, so that a retry differs.
    fn sampling(&self, candidate: u64) -> Sampling {
        let warm = candidate > 0 || self.number > 1;
        let temperature = if warm { 0.5 + 0.1 * self.number as f32 } else { 0.0 };
        let seed = u64::from(self.step.id.0) * 1000 + u64::from(self.number) * 100 + candidate;
        Sampling { temperature, top_p: 0.95, seed, ..Sampling::default() }
    }

    fn said(&self, purpose: &str, reply: &Reply) {
        self.journal.emit(Event::ModelCalled {
            step: Some(self.step.id),
            purpose: purpose.to_owned(),
            usage: reply.usage,
            text: reply.text.clone(),
        });
    }
}

/// A try that failed, for the prompt of the next one.
fn said_of(tried: &str, error: &str) -> String {
    let tried = if tried.is_empty() { String::new() } else { format!("\n{}\n", tried.trim()) };
    format!("An earlier try failed:{tried} Error: {error}\n")
}

/// The form of a step's file: the plan's if the file and the value can take it.
fn form_for(step: &Step, path: &str, value: &Value, goal: &str) -> Format {
    let form = step.form_for(path);
    let wants_header = || words(goal).any(|word| ["header", "headers", "table", "columns"].contains(&word.as_str()));
    match (form, value) {
        // A list of names is no table because the planner calls it one.
        (Format::Csv | Format::Tsv | Format::MarkdownTable, Value::Table(table))
            if table.columns.len() == 1 && format::detect(path) == Some(Format::Text) && !wants_header() =>
        {
            Format::Text
        }
        (Format::MarkdownTable, Value::Text(_)) => Format::Text,
        (Format::MarkdownTable, Value::Json(_)) => Format::BulletList,
        (Format::Json, Value::Table(table))
            if table.columns.len() == 2 && (step.form == Some(Format::JsonObject) || demand::wants_object(goal)) =>
        {
            Format::JsonObject
        }
        (form, _) => form,
    }
}
