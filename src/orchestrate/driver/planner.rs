//! Makes plans: the first one, and the one that completes what a first one left undone.

use std::sync::{Mutex, PoisonError};

use super::mind::{self, Call, Mind, Reply};
use super::{Journal, Run, compact, permission};
use crate::orchestrate::brief::{self, Brief, Deliverable};
use crate::orchestrate::event::Event;
use crate::orchestrate::machine::{Phase, State, StepState};
use crate::orchestrate::mechanism::Mechanism;
use crate::orchestrate::plan::{self, MAX_STEPS, Sketch, Step};
use crate::orchestrate::prompt::{self, Prompt, Segment};
use crate::orchestrate::score::Menu;
use crate::orchestrate::survey::{Survey, survey};
use crate::orchestrate::word::words;
use crate::orchestrate::{clause, damage, replacement};
use crate::tool::{self, Registry, Value, Workspace, format};
use crate::types::{Grammar, Message, Role, Sampling, StepId};

/// Words by which a goal asks for a file without naming one.
const WRITING: &[&str] = &["save", "write", "file", "store", "export", "create"];

/// Words by which a goal asks for a part of a file, or for another order.
const PARTS: &[&str] = &[
    "only",
    "without",
    "except",
    "rows",
    "row",
    "lines",
    "line",
    "columns",
    "column",
    "sorted",
    "sort",
    "order",
    "omit",
    "skip",
    "filter",
    "first",
    "duplicates",
    "broken",
    "damaged",
    "faulty",
    "invalid",
    "valid",
    "good",
    "bad",
];

/// Characters of an error that a later plan is told.
const MAX_ERROR: usize = 300;

/// Plans the run's goal, or the rest of it.
pub async fn plan(journal: &Journal, state: &State, round: u32) {
    let run = journal.run();
    if let (0, Some(steps)) = (round, &run.options.plan) {
        return journal.emit(match plan::check(steps, &[], &run.registry) {
            Ok(()) => Event::Planned { round, steps: steps.clone() },
            Err(error) => Event::PlanFailed { error: error.to_string() },
        });
    }
    if let Some(error) = permission::end_of_planning(run, state) {
        return journal.emit(Event::PlanFailed { error });
    }
    if round > 0 && !run.options.has(Mechanism::Replan) {
        return journal.emit(Event::PlanFailed { error: "nothing is planned again".into() });
    }
    if let Some(steps) = for_items_set_aside(state) {
        return journal.emit(Event::Planned { round, steps });
    }
    let brief = state.brief.clone().unwrap_or_default();
    let found = match survey(&run.workspace, &brief, &run.goal) {
        Ok(found) if round == 0 && is_of_general_knowledge(&found, &brief, &run.goal) => {
            return journal.emit(Event::Planned { round, steps: Vec::new() });
        }
        Ok(found) => without_rivals(found),
        Err(error) => return journal.emit(Event::PlanFailed { error: error.to_string() }),
    };
    let made = make(journal, state, &found, &brief, round).await;
    journal.emit(match made {
        Ok(steps) => Event::Planned { round, steps },
        Err(mind::Error::Budget(what)) => Event::BudgetSpent { what },
        Err(error) => Event::PlanFailed { error: chain(&error) },
    });
}

/// The steps that set items aside, once more, if files of such items are all that is missing: no planner is needed for
/// that, and what is written already is not written again.
fn for_items_set_aside(state: &State) -> Option<Vec<Step>> {
    let missing: Vec<&str> = state.unmet.iter().flatten().map(|unmet| unmet.path.as_str()).collect();
    let n_lacking = |step: &StepState| step.set_aside().iter().filter(|path| missing.contains(&path.as_str())).count();
    let again = state.steps.iter().map(|step| (&step.step, n_lacking(step))).filter(|(_, n_lacking)| *n_lacking > 0);
    let (again, n_lacking): (Vec<&Step>, Vec<usize>) = again.unzip();
    let is_all = !again.is_empty() && n_lacking.iter().sum::<usize>() == missing.len() && !state.has_failures();
    let first = state.next_id().0;
    is_all.then(|| (first..).zip(again).map(|(id, step)| Step { id: StepId(id), ..step.clone() }).collect())
}

/// Whether the goal is a question that what was found cannot answer, because it is about something else: it is answered
/// without any step.
fn is_of_general_knowledge(found: &Survey, brief: &Brief, goal: &str) -> bool {
    let is_of_files = !brief.write.is_empty() || !brief.named.is_empty() || !brief.missing.is_empty();
    !is_of_files && goal.contains('?') && !brief::speaks_of(goal, &found.text)
}

/// What was found, without the files that could be taken for one that is meant.
fn without_rivals(mut found: Survey) -> Survey {
    found.tables.retain(|path| !found.rivals.contains(path));
    found.texts.retain(|path| !found.rivals.contains(path));
    found
}

/// An error with its sources.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(&format!(": {source}"));
        next = source.source();
    }
    text
}

async fn make(
    journal: &Journal,
    state: &State,
    found: &Survey,
    brief: &Brief,
    round: u32,
) -> Result<Vec<Step>, mind::Error> {
    let run = journal.run();
    let mut done = done(state);
    done.retain(|id| *id < state.first_of_round());
    let outputs: Vec<String> = open_outputs(state, brief);
    let mut menu = menu(&run.registry, found, brief, &run.goal, &outputs);
    (menu.done, menu.first) = (&done, state.first_of_round());
    let n_steps = menu.first.0 as usize - 1;
    menu.max_steps = run.options.max_steps.map_or(MAX_STEPS, |most| (most as usize).saturating_sub(n_steps));
    menu.max_steps = menu.max_steps.clamp(1, MAX_STEPS);
    if round > 0 {
        menu.excluded.extend(failed_tools(state));
        (menu.free_output, menu.may_be_empty) = (false, false);
    }
    let messages = conversation(run, state, round);
    let sketch = Mutex::new(Sketch::new(menu.first, brief, &run.goal));
    let watch = |so_far: &str| {
        if !run.options.has(Mechanism::EarlyStart) {
            return;
        }
        let steps = sketch.lock().unwrap_or_else(PoisonError::into_inner).take(so_far);
        steps.into_iter().for_each(|step| journal.emit(Event::Sketched { step }));
    };
    let reply = run.mind.complete_watched(call(messages, menu.grammar(), round), &watch).await?;
    journal.emit(Event::ModelCalled {
        step: None,
        purpose: "plan".into(),
        usage: reply.usage,
        text: reply.text.clone(),
    });
    read(&reply, menu.first, brief, &outputs, &run.goal)
}

/// Tools that every one of their steps failed with.
fn failed_tools(state: &State) -> Vec<String> {
    let has = |tool: &str, phase: Phase| state.steps.iter().any(|step| step.step.tool == tool && step.phase == phase);
    let mut tools: Vec<String> = state.steps.iter().map(|step| step.step.tool.clone()).collect();
    tools.retain(|tool| has(tool, Phase::Failed) && !has(tool, Phase::Done));
    tools.dedup();
    tools
}

fn done(state: &State) -> Vec<StepId> {
    state.steps.iter().filter(|step| step.phase == Phase::Done).map(|step| step.step.id).collect()
}

/// What a first plan of this goal may be made of.
fn menu<'a>(
    registry: &'a Registry,
    found: &'a Survey,
    brief: &'a Brief,
    goal: &str,
    outputs: &'a [String],
) -> Menu<'a> {
    // Sums of numbers that stand in the goal; small models take it for data as well.
    let mut excluded: Vec<&str> = if goal.contains(|c: char| c.is_ascii_digit()) { vec![] } else { vec!["calculate"] };
    if speaks_of_parts(goal) {
        // These take a file as a whole: what is to be left out or put in order stays as it is.
        excluded.extend(["copy_file", "move_file", "convert"]);
    }
    if brief.may_replace.is_empty() {
        // Nothing that is there is to grow, and a file that is made has its text from its step.
        excluded.push("append_file");
    }
    if found.tables.iter().chain(&found.texts).all(|path| format::holds_text(path)) {
        // There is no data that a path leads into.
        excluded.push("json_get");
    }
    if replacement::is_wanted(goal) {
        // What small models make of it by other tools is a list of the files as they are.
        excluded.extend(["list_files", "search_text", "script", "write", "calculate", "append_file"]);
    } else {
        excluded.push(plan::REPLACE);
    }
    if found.has_damage && damage::is_spoken_of(goal) {
        // Loading a table sets its damaged rows aside; what small models write for that fails at the second rule.
        excluded.push("script");
    }
    let paths: Vec<&str> = outputs.iter().map(String::as_str).collect();
    let repeats = !brief.folders.is_empty() || speaks_of_items(goal);
    Menu {
        registry,
        tables: &found.tables,
        texts: &found.texts,
        items: if repeats { &found.items } else { &[] },
        outputs,
        folders: &brief.folders,
        free_output: brief.write.is_empty() && speaks_of_writing(goal),
        done: &[],
        first: StepId(1),
        max_steps: MAX_STEPS,
        may_be_empty: outputs.is_empty(),
        tells: outputs.is_empty() || clause::told(goal, &paths).is_some(),
        excluded: excluded.iter().map(|&tool| tool.to_owned()).collect(),
    }
}

fn call(messages: Vec<Message>, grammar: String, round: u32) -> Call {
    let temperature = if round == 0 { 0.0 } else { 0.4 };
    Call {
        purpose: "plan",
        step: None,
        messages,
        prefill: String::new(),
        grammar: Some(Grammar::Lark(grammar)),
        sampling: Sampling { temperature, seed: u64::from(round), ..Sampling::default() },
        stop: Vec::new(),
        max_tokens: 900,
    }
}

/// Steps for a sub-goal, appended to the plan.
///
/// # Errors
/// Those of the model's call.
pub async fn expand(journal: &Journal, state: &State, step: &Step) -> Result<Vec<Step>, mind::Error> {
    let run = journal.run();
    let brief = Brief {
        write: step.file().map(|path| Deliverable { path: path.to_owned() }).into_iter().collect(),
        ..Brief::default()
    };
    let Ok(found) = survey(&run.workspace, &brief, &step.task) else { return Ok(Vec::new()) };
    let (done, outputs) = (done(state), open_outputs(state, &brief));
    let mut menu = menu(&run.registry, &found, &brief, &step.task, &outputs);
    menu.excluded.push("goal".into());
    (menu.done, menu.first, menu.may_be_empty) = (&done, state.next_id(), false);
    let text = state.survey.as_ref().map_or("", |(text, _)| text.as_str());
    let prompt = with_plan(prompt::planning(prompt::system(&run.registry), text, &run.goal), state, run.mind.n_ctx());
    let asked = format!("Step {} is a goal of its own: {}\nIts plan:", step.id, step.task);
    let messages = prompt.push(Segment::Step, Role::User, asked).messages();
    let call = Call { step: Some(step.id), ..call(messages, menu.grammar(), 0) };
    let reply = run.mind.complete(call).await?;
    let (usage, text) = (reply.usage, reply.text.clone());
    journal.emit(Event::ModelCalled { step: Some(step.id), purpose: "plan".into(), usage, text });
    read(&reply, menu.first, &brief, &outputs, &step.task)
}

/// A plan that is made without a run: nothing is journaled or changed.
pub struct Preview {
    /// The grammar that the planner decodes under.
    pub grammar: String,
    messages: Vec<Message>,
    brief: Brief,
    goal: String,
    is_of_general_knowledge: bool,
}

/// Looks at the workspace and prepares the planner's call.
///
/// # Errors
/// As [`Workspace::list`].
pub fn preview(workspace: &Workspace, registry: &Registry, goal: &str) -> Result<Preview, tool::Error> {
    let entries = workspace.list("", None)?;
    let paths: Vec<String> = entries.into_iter().filter(|entry| !entry.is_folder).map(|entry| entry.path).collect();
    let brief = brief::read(goal, &paths);
    let found = without_rivals(survey(workspace, &brief, goal)?);
    let is_of_general_knowledge = is_of_general_knowledge(&found, &brief, goal);
    let outputs: Vec<String> = brief.write.iter().map(|wanted| wanted.path.clone()).collect();
    let grammar = menu(registry, &found, &brief, goal, &outputs).grammar();
    let messages = prompt::planning(prompt::system(registry), &found.text, goal).messages();
    Ok(Preview { grammar, messages, brief, goal: goal.to_owned(), is_of_general_knowledge })
}

impl Preview {
    /// Makes the plan.
    ///
    /// # Errors
    /// Those of the model's call.
    pub async fn plan(self, mind: &dyn Mind) -> Result<Vec<Step>, mind::Error> {
        if self.is_of_general_knowledge {
            return Ok(Vec::new());
        }
        let reply = mind.complete(call(self.messages, self.grammar, 0)).await?;
        let wanted: Vec<String> = self.brief.write.iter().map(|wanted| wanted.path.clone()).collect();
        read(&reply, StepId(1), &self.brief, &wanted, &self.goal)
    }
}

/// Steps of the planner's text. A text that was cut off at the token limit keeps its whole steps; without any it is
/// no plan, and above all not the plan that has no steps. `wanted` are the files that are still to be made.
fn read(reply: &Reply, first: StepId, brief: &Brief, wanted: &[String], goal: &str) -> Result<Vec<Step>, mind::Error> {
    let text = &reply.text;
    let mut steps = plan::parse(text, first).ok();
    let mut end = text.len();
    while steps.is_none() {
        let Some(brace) = text[..end].rfind('}') else { break };
        steps = plan::parse(&format!("{}]}}", &text[..=brace]), first).ok();
        end = brace;
    }
    let steps = steps.ok_or(mind::Error::CutOff { what: "plan", n_tokens: reply.usage.decoded_tokens })?;
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    Ok(plan::settle(steps, brief, &wanted, first, goal))
}

/// Files that the goal asks for and that no finished step has made.
fn open_outputs(state: &State, brief: &Brief) -> Vec<String> {
    let is_open = |path: &&String| match &state.unmet {
        Some(unmet) => unmet.iter().any(|unmet| unmet.path == **path) || failed(state, path),
        None => true,
    };
    brief.write.iter().map(|wanted| &wanted.path).filter(is_open).cloned().collect()
}

fn failed(state: &State, path: &str) -> bool {
    let of_path = state.steps.iter().filter(|step| step.step.file() == Some(path));
    of_path.clone().any(|step| step.phase != Phase::Done) && !of_path.clone().any(|step| step.phase == Phase::Done)
}

fn speaks_of_items(goal: &str) -> bool {
    words(goal).any(|word| ["each", "every"].contains(&word.as_str()))
}

/// Whether a goal speaks of some of the rows or columns of its files.
fn speaks_of_parts(goal: &str) -> bool {
    words(goal).any(|word| PARTS.contains(&word.as_str()))
}

fn speaks_of_writing(goal: &str) -> bool {
    words(goal).any(|word| WRITING.contains(&word.as_str()))
}

/// The first plan's conversation, and for a later round what came of it.
fn conversation(run: &Run, state: &State, round: u32) -> Vec<Message> {
    let survey = state.survey.as_ref().map_or("", |(text, _)| text.as_str());
    let prompt = prompt::planning(prompt::system(&run.registry), survey, &run.goal);
    if round == 0 {
        return prompt.messages();
    }
    with_plan(prompt, state, run.mind.n_ctx())
        .push(
            Segment::Step,
            Role::User,
            format!("{}\nPlan what is still to be done. The rest of the plan:", report(state)),
        )
        .messages()
}

/// Adds the plan as the model's own turn, as it stands in every prompt that follows it: in the planner's words, so that
/// the conversation is the one that it had, unless the plan was changed or added to.
pub fn with_plan(prompt: Prompt, state: &State, n_ctx: usize) -> Prompt {
    let as_planned = compact::plan(state, n_ctx, shown).to_string();
    let written =
        |steps: Vec<Step>| serde_json::json!({ "steps": steps.iter().map(shown).collect::<Vec<_>>() }).to_string();
    let in_its_words = state
        .plan_text
        .as_ref()
        .filter(|text| plan::parse(text, StepId(1)).is_ok_and(|steps| written(steps) == as_planned));
    prompt.push(Segment::Plan, Role::Assistant, in_its_words.unwrap_or(&as_planned))
}

/// A step as the planner writes it, without its id.
fn shown(step: &Step) -> serde_json::Value {
    let mut json = serde_json::to_value(step).unwrap_or_default();
    if let Some(fields) = json.as_object_mut() {
        fields.shift_remove("id");
    }
    json
}

/// What became of the steps so far, in words.
fn report(state: &State) -> String {
    let mut text = String::from("What happened so far:\n");
    for step in &state.steps {
        let what = match step.phase {
            Phase::Done => "done".to_owned(),
            Phase::Skipped => "skipped, because what it needs failed".to_owned(),
            _ => step.failures.last().map_or("not done".to_owned(), |failure| {
                format!("failed: {}", Value::Text(failure.error.clone()).preview(MAX_ERROR))
            }),
        };
        text.push_str(&format!("{} {}: {what}\n", step.step.id, step.step.tool));
    }
    for unmet in state.unmet.iter().flatten() {
        text.push_str(&format!("Still missing: {}\n", unmet.what));
    }
    text
}
