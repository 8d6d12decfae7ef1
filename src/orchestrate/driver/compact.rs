//! Keeps what a prompt tells of a run within bounds, however long the run: results that no longer fit are summarized,
//! oldest first, and stay by reference; the goal, what it asks for and the plan never leave.
//! Must not know: what the prompts ask.

use serde_json::json;

use super::mind::Call;
use super::{Journal, execute};
use crate::orchestrate::event::Event;
use crate::orchestrate::machine::{Phase, State, StepState};
use crate::orchestrate::plan::{REPLY, Step};
use crate::tool::Value;
use crate::types::{Message, Role, Sampling, StepId};

/// Characters of all results that one prompt tells.
const SHOWN: usize = 6000;
/// Characters of all of them where summaries alone are more.
const MAX_SHOWN: usize = 2 * SHOWN;
/// Characters of one of them.
const SHOWN_EACH: usize = 1800;
/// Characters that a result is summarized in at most; shorter ones stay as they are.
const SUMMARY: usize = 240;
/// Characters of a result that its summary is made from.
const READ: usize = 6000;
/// Characters of a plan for every token of the context: a quarter of it, as about four characters are a token.
const PLAN_CHARS_PER_TOKEN: usize = 1;

/// The result of a step as prompts tell it: as it is up to [`SHOWN_EACH`], or its summary.
fn told(state: &State, step: &StepState) -> Option<String> {
    let output = step.output.as_ref().filter(|_| step.phase == Phase::Done)?;
    let summary = state.compacted.get(&step.step.id);
    Some(summary.cloned().unwrap_or_else(|| output.value.preview(SHOWN_EACH)))
}

/// The results of the first `n` steps as prompts tell them; `None` for what is not done. Where even the summaries are too
/// many, the oldest are told by reference only.
pub fn results(state: &State, n: usize) -> Vec<Option<String>> {
    let mut told: Vec<Option<String>> = state.steps.iter().take(n).map(|step| told(state, step)).collect();
    let n_chars: usize = told.iter().flatten().map(|text| text.chars().count()).sum();
    let mut n_over = n_chars.saturating_sub(MAX_SHOWN);
    for text in told.iter_mut().flatten() {
        if n_over == 0 {
            break;
        }
        n_over = n_over.saturating_sub(text.chars().count());
        *text = "done; the journal has the result".into();
    }
    told
}

/// The steps whose results have to be summarized before all are told: those that are not told to the person first, among
/// them the oldest.
fn due(state: &State) -> Vec<StepId> {
    let sizes = state.steps.iter().filter_map(|step| Some((step, told(state, step)?.chars().count())));
    let mut sizes: Vec<(&StepState, usize)> = sizes.collect();
    let mut total: usize = sizes.iter().map(|(_, n_chars)| n_chars).sum();
    sizes.sort_by_key(|(step, _)| (step.step.target == REPLY, step.step.id));
    let mut due = Vec::new();
    for (step, n_chars) in sizes {
        if total <= SHOWN {
            break;
        }
        if n_chars > SUMMARY {
            total -= n_chars - SUMMARY;
            due.push(step.step.id);
        }
    }
    due
}

/// Summarizes the results that are too many for one prompt, all in one batch; each summary is journaled.
pub async fn compact(journal: &Journal, state: &mut State) {
    let due = due(state);
    let steps: Vec<&StepState> = due.iter().filter_map(|id| state.find(*id)).collect();
    let calls = steps.iter().map(|step| call(step)).collect();
    let replies = execute::all(journal.run().mind.as_ref(), calls).await;
    let mut events = Vec::new();
    for (step, reply) in steps.iter().zip(replies) {
        let said = match reply {
            Ok(reply) => {
                let (usage, text) = (reply.usage, reply.text.trim().to_owned());
                let purpose = "compact".to_owned();
                journal.emit(Event::ModelCalled { step: Some(step.step.id), purpose, usage, text: text.clone() });
                text
            }
            Err(_) => String::new(),
        };
        // Without a summary, the beginning stands for the whole.
        let beginning = || step.output.as_ref().map_or(String::new(), |output| output.value.preview(SUMMARY));
        let text = if said.is_empty() { beginning() } else { Value::Text(said).preview(SUMMARY) };
        events.push(Event::Compacted { step: step.step.id, text });
    }
    for event in events {
        state.apply(&event);
        journal.emit(event);
    }
}

fn call(step: &StepState) -> Call {
    let result = step.output.as_ref().map_or(String::new(), |output| output.value.preview(READ));
    let text = format!(
        "The result of the step \"{}\":\n{result}\n\nSay in one or two short sentences what it comes to, with its most important figures and names exactly as they stand there. Invent nothing.",
        step.step.task
    );
    Call {
        purpose: "compact",
        step: Some(step.step.id),
        messages: vec![Message::new(Role::System, "You shorten texts faithfully."), Message::new(Role::User, text)],
        prefill: String::new(),
        grammar: None,
        sampling: Sampling::default(),
        stop: Vec::new(),
        max_tokens: 80,
    }
}

/// All steps as the planner writes them, in a quarter of the context: where the plan outgrows it, those that are done and
/// that nothing waits for lose all but their place, oldest first.
pub fn plan(state: &State, n_ctx: usize, shown: impl Fn(&Step) -> serde_json::Value) -> serde_json::Value {
    let mut steps: Vec<serde_json::Value> = state.steps.iter().map(|step| shown(&step.step)).collect();
    let is_awaited = |id: StepId| {
        let mut waiting = state.steps.iter().filter(|step| step.phase == Phase::Waiting);
        waiting.any(|step| step.step.needs().contains(&id))
    };
    let size = |steps: &[serde_json::Value]| steps.iter().map(|step| step.to_string().len()).sum::<usize>();
    let mut n_over = size(&steps).saturating_sub(n_ctx * PLAN_CHARS_PER_TOKEN);
    for (of_step, step) in state.steps.iter().zip(&mut steps) {
        if n_over == 0 {
            break;
        }
        if of_step.phase == Phase::Done && !is_awaited(of_step.step.id) {
            let short = json!({ "for": of_step.step.target, "done": true });
            n_over = n_over.saturating_sub(step.to_string().len().saturating_sub(short.to_string().len()));
            *step = short;
        }
    }
    json!({ "steps": steps })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool::Output;

    fn step(id: u32, target: &str, from: &[&str]) -> Step {
        Step {
            id: StepId(id),
            target: target.into(),
            task: "task".into(),
            tool: "write".into(),
            from: from.iter().map(|&source| source.into()).collect(),
            each: None,
            form: None,
            arguments: None,
        }
    }

    fn state(steps: &[(&str, usize)]) -> State {
        let mut events = Vec::new();
        for (id, (target, n_chars)) in (1..).zip(steps) {
            let (step, output) = (step(id, target, &[]), Output::from(Value::Text("x".repeat(*n_chars))));
            let id = step.id;
            events.extend([
                Event::Sketched { step },
                Event::StepProposed { step: id, output },
                Event::StepDone { step: id },
            ]);
        }
        State::fold(&events)
    }

    #[test]
    fn the_oldest_results_that_nobody_is_told_are_summarized_first() {
        let check = |steps: &[(&str, usize)], want: &[u32]| {
            let due: Vec<u32> = due(&state(steps)).iter().map(|id| id.0).collect();
            assert_eq!(due, want, "{steps:?}");
        };
        check(&[("later", 1500), (REPLY, 1500), ("a.txt", 1500)], &[]);
        check(&[(REPLY, 1700), ("later", 1700), ("a.txt", 1700), ("b.txt", 1700)], &[2]);
        check(&[(REPLY, 1800), ("later", 100), (REPLY, 1800), (REPLY, 1800), (REPLY, 1800)], &[1]);
    }

    #[test]
    fn what_is_too_much_even_in_short_is_told_by_reference() {
        let told = results(&state(&[("later", 1800); 8]), 8);
        let n_by_reference = told.iter().flatten().filter(|text| text.starts_with("done;")).count();
        assert_eq!(n_by_reference, 2, "14,400 characters, of which 12,000 fit");
        assert!(told[0].as_ref().unwrap().starts_with("done;") && told[7].as_ref().unwrap().starts_with("xx"));
    }

    #[test]
    fn a_long_plan_keeps_what_is_not_done_and_what_is_waited_for() {
        let mut state = state(&[("a.txt", 1), ("later", 1), ("c.txt", 1)]);
        state.apply(&Event::Sketched { step: step(4, REPLY, &["$2"]) });
        let whole = |step: &Step| json!({ "for": step.target, "do": step.task, "from": step.from });
        let short = |n_ctx| plan(&state, n_ctx, whole)["steps"].as_array().unwrap().clone();
        assert!(short(1000).iter().all(|step| step.get("done").is_none()));
        let done: Vec<bool> = short(0).iter().map(|step| step.get("done").is_some()).collect();
        assert_eq!(done, [true, false, true, false]);
    }
}
