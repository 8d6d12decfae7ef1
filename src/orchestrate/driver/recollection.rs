//! What a run takes from earlier ones, and what it leaves to later ones.
//!
//! Invariants: with nothing to recall, no prompt differs from that of a run without memory; what is recalled stands below
//! the instructions that all runs share, so that those are computed once. Remembering is never a reason to fail.
//! Must not know: how lessons are kept and found (`memory`).

use super::Run;
use crate::memory::{self, Lesson};
use crate::orchestrate::event::Event;
use crate::orchestrate::machine::{Phase, State, StepState};

/// What a run does with the memory of the home folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recollection {
    /// Steps that worked are remembered.
    pub keeps: bool,
    /// Examples are shown to the planner and to steps.
    pub shows: bool,
}

/// Examples for a plan.
const N_FOR_PLAN: usize = 4;
/// Examples for the arguments of a step.
const N_FOR_STEP: usize = 2;
/// Characters of all examples in one prompt.
const MAX_CHARS: usize = 800;

/// What the planner is shown after the survey.
pub fn for_plan(run: &Run) -> String {
    let line = |lesson: &Lesson| format!("- \"{}\": {}\n", lesson.task, lesson.tool);
    let lines = lines(run, &run.goal, None, (N_FOR_PLAN, &line));
    if lines.is_empty() {
        lines
    } else {
        format!("Steps that worked elsewhere, on other files, and their tools:\n{lines}")
    }
}

/// What a step is shown before it is asked for arguments, a query or a program.
pub fn for_step(run: &Run, task: &str, tool: &str) -> String {
    let line = |lesson: &Lesson| match lesson.arguments.as_str() {
        "" => String::new(),
        arguments => format!("- \"{}\": {arguments}\n", lesson.task),
    };
    let lines = lines(run, task, Some(tool), (N_FOR_STEP, &line));
    if lines.is_empty() { lines } else { format!("What {tool} was given elsewhere, for other files:\n{lines}") }
}

/// The nearest lessons as lines, as many as there is room for.
fn lines(run: &Run, about: &str, tool: Option<&str>, (n, line): (usize, &dyn Fn(&Lesson) -> String)) -> String {
    if !run.options.recollection.shows {
        return String::new();
    }
    let lessons = memory::recall(&run.store, about, tool, n).unwrap_or_default();
    let mut text = String::new();
    for line in lessons.iter().map(line) {
        if text.chars().count() + line.chars().count() <= MAX_CHARS {
            text.push_str(&line);
        }
    }
    text
}

/// Remembers the steps of a run that came to all that its goal asks for.
pub fn keep(run: &Run, state: &State, events: &[Event]) {
    if !run.options.recollection.keeps {
        return;
    }
    let lessons: Vec<Lesson> = state
        .steps
        .iter()
        .filter(|step| step.phase == Phase::Done && step.failures.is_empty())
        .filter_map(|step| lesson(run, state, step, events))
        .collect();
    // A run that is done is done, whether it can be remembered or not.
    let _ = memory::remember(&run.store, &lessons);
}

fn lesson(run: &Run, state: &State, of_step: &StepState, events: &[Event]) -> Option<Lesson> {
    let step = &of_step.step;
    if ["ask", "goal"].contains(&step.tool.as_str()) {
        return None;
    }
    let calls = events.iter().filter_map(|event| match event {
        Event::ToolCalled { step: id, tool, arguments, ok: true, by_script: false, result, .. }
            if *id == step.id && *tool == step.tool =>
        {
            Some((arguments.to_string(), result))
        }
        _ => None,
    });
    let calls: Vec<(String, &String)> = calls.collect();
    // Of several candidates the one whose result was kept.
    let value = of_step.output.as_ref().map(|output| output.value.preview(super::execute::SHOWN));
    let kept = calls.iter().find(|(_, result)| Some(*result) == value.as_ref()).or(calls.last());
    let arguments = kept.map(|(arguments, _)| arguments.as_str()).unwrap_or_default();
    let (_, mut paths) = state.survey.clone().unwrap_or_default();
    let changes = state.steps.iter().filter_map(|other| other.output.as_ref()).flat_map(|output| &output.changes);
    paths.extend(changes.map(|change| change.target().to_owned()));
    paths.extend(state.steps.iter().filter_map(|other| other.step.file().map(str::to_owned)));
    Lesson::new(&run.goal, &step.task, (&step.tool, arguments), &paths)
}
