//! Courses of runs, as tables: events in, actions out.

use super::*;
use crate::tool::Value;

fn step(id: u32, from: &[&str]) -> Step {
    Step {
        id: StepId(id),
        target: "reply".into(),
        task: format!("task {id}"),
        tool: "write".into(),
        from: from.iter().map(|&source| source.to_owned()).collect(),
        each: None,
        form: None,
        arguments: None,
    }
}

fn begun(steps: Vec<Step>) -> State {
    State::fold(&[
        Event::Briefed { brief: Brief::default() },
        Event::Surveyed { text: String::new(), paths: Vec::new() },
        Event::Planned { round: 0, steps },
    ])
}

fn proposed(id: u32) -> Event {
    Event::StepProposed { step: StepId(id), output: Output::from(Value::Text("x".into())) }
}

fn failed(id: u32) -> Event {
    Event::StepFailed { step: StepId(id), attempt: 1, error: "e".into(), tried: String::new(), fatal: true }
}

#[test]
fn steps_run_when_what_they_need_is_done() {
    let mut state = begun(vec![step(1, &[]), step(2, &[]), step(3, &["$1", "$2"])]);
    let ready = |state: &State| next(state).iter().filter(|action| matches!(action, Action::Execute { .. })).count();
    assert_eq!(ready(&state), 2);
    for id in [1, 2] {
        state.apply(&proposed(id));
        assert!(next(&state).contains(&Action::Commit { step: StepId(id) }));
        state.apply(&Event::StepDone { step: StepId(id) });
    }
    assert_eq!(next(&state), [Action::Execute { step: StepId(3), attempt: 1 }]);
}

#[test]
fn a_failed_step_is_never_an_input_and_leads_to_one_more_plan() {
    let mut state = begun(vec![step(1, &[]), step(2, &["$1"])]);
    state.apply(&failed(1));
    assert_eq!(state.find(StepId(2)).unwrap().phase, Phase::Skipped);
    assert_eq!(next(&state), [Action::Check]);
    state.apply(&Event::Checked { unmet: Vec::new() });
    assert_eq!(next(&state), [Action::Plan { round: 1 }]);
    state.apply(&Event::Planned { round: 1, steps: vec![step(3, &[])] });
    state.apply(&failed(3));
    state.apply(&Event::Checked { unmet: Vec::new() });
    assert_eq!(next(&state), [Action::Summarize]);
    state.apply(&Event::Summarized { answer: "no".into() });
    assert_eq!(next(&state), [Action::End(End::Failed)]);
}

#[test]
fn a_run_without_steps_is_answered_and_completed() {
    let mut state = begun(Vec::new());
    assert_eq!(next(&state), [Action::Check]);
    state.apply(&Event::Checked { unmet: Vec::new() });
    assert_eq!(next(&state), [Action::Summarize]);
    state.apply(&Event::Summarized { answer: "Canberra".into() });
    assert_eq!(next(&state), [Action::End(End::Completed)]);
}

#[test]
fn after_a_limit_only_the_summary_follows_and_the_run_has_failed() {
    let mut state = begun(vec![step(1, &[])]);
    state.apply(&Event::BudgetSpent { what: "time".into() });
    assert_eq!(next(&state), [Action::Summarize]);
    state.apply(&Event::Summarized { answer: "x".into() });
    assert_eq!(next(&state), [Action::End(End::Failed)]);
}
