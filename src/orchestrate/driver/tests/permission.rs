//! What is asked before it is done: every effect with `Mode::Ask`, single tools by the settings, nothing at all where a run
//! only reads; how such a run waits, and how it goes on.

use serde_json::{Value as Json, json};

use super::rig::{Rig, Setup, ordinary, plan};
use crate::orchestrate::driver::mind::Call;
use crate::orchestrate::event::{Event, Status};
use crate::orchestrate::plan::Step;
use crate::tool::{Leave, Mode, Permissions};

const DATA: &str = "name,n\nAda,20\nBob,22\n";
const GOAL: &str = "Add up data.csv into sum.md, append a line to log.txt and tell me the sum.";
const FILES: &[(&str, &str)] = &[("data.csv", DATA), ("log.txt", "begun\n")];

fn steps() -> Option<Vec<Step>> {
    let sql = json!({"files": ["data.csv"], "sql": "SELECT SUM(n) AS total FROM data"});
    plan(&[
        ("sum.md", "query_table", &["data.csv"], sql),
        ("later", "append_file", &[], json!({"path": "log.txt", "content": "ended"})),
        ("reply", "calculate", &[], json!({"expression": "20 + 22"})),
    ])
}

fn permissions(mode: Mode, tools: &[(&str, Leave)]) -> Permissions {
    Permissions { mode, tools: tools.iter().map(|(tool, leave)| ((*tool).to_owned(), *leave)).collect() }
}

/// Plays to the end, answering one question after the other as `partita answer` does; returns what was asked.
fn answered(rig: &Rig, setup: impl Fn() -> Setup, answer: impl Fn(&str) -> &'static str) -> (Vec<String>, Status) {
    let mut asked = Vec::new();
    loop {
        let outcome = rig.play(setup()).unwrap();
        let Some(question) = outcome.question else { return (asked, outcome.status) };
        assert_eq!((outcome.status, &outcome.answer), (Status::NeedsInput, &question));
        assert!(asked.len() < 20, "it asks without end: {asked:?}");
        rig.answer(answer(&question));
        asked.push(question);
    }
}

#[test]
fn with_ask_every_effect_waits_for_its_answer_and_is_asked_once() {
    let rig = Rig::new(GOAL, FILES);
    let setup = || Setup { plan: steps(), permissions: permissions(Mode::Ask, &[]), ..Setup::default() };
    let untouched = rig.files();
    assert_eq!(rig.play(setup()).unwrap().status, Status::NeedsInput);
    assert_eq!(rig.files(), untouched, "nothing is done before the first answer");
    let (mut asked, status) = answered(&rig, setup, |_| "yes");
    assert_eq!(status, Status::Completed);
    asked.sort();
    assert_eq!(
        asked,
        [
            "begin $1 with query_table (reads): part 1 (yes or no)",
            "begin $2 with append_file (reads, writes): part 2 (yes or no)",
            "replace log.txt, which was there before this run (yes or no)",
            "write sum.md, 26 bytes (yes or no)",
        ]
    );
    assert_eq!(rig.file("log.txt").as_deref(), Some("begun\nended"));
    assert!(rig.file("sum.md").is_some_and(|text| text.contains("42")));
}

#[test]
fn what_is_refused_is_not_done_and_the_answer_says_so() {
    for refused in ["begin $1", "begin $2", "replace log.txt", "write sum.md"] {
        let rig = Rig::new(GOAL, FILES);
        let setup = || Setup { plan: steps(), permissions: permissions(Mode::Ask, &[]), ..Setup::default() };
        let (_, status) = answered(&rig, setup, |question| if question.starts_with(refused) { "no" } else { "y" });
        assert_eq!(status, Status::Failed, "{refused}");
        let is_log = refused.ends_with("log.txt") || refused.ends_with("$2");
        assert_eq!(rig.file("log.txt").as_deref() == Some("begun\n"), is_log, "{refused}");
        assert_eq!(rig.file("sum.md").is_none(), !is_log, "{refused}");
        let answer = rig.events().iter().rev().find_map(|event| match event {
            Event::Summarized { answer } => Some(answer.clone()),
            _ => None,
        });
        assert!(answer.unwrap().contains(&format!("not allowed: {refused}")), "{refused}");
    }
}

#[test]
fn a_no_stays_a_no_when_the_run_may_do_more() {
    let rig = Rig::new(GOAL, FILES);
    let setup =
        |mode| Setup { plan: steps(), permissions: permissions(mode, &[]), yes: mode == Mode::Yes, ..Setup::default() };
    let question = rig.play(setup(Mode::Ask)).unwrap().question.expect("a question");
    rig.answer("no");
    let outcome = rig.play(setup(Mode::Yes)).unwrap();
    assert_eq!(outcome.status, Status::Failed, "{}", outcome.answer);
    let what = question.trim_end_matches(" (yes or no)");
    assert!(outcome.answer.contains(&format!("not allowed: {what}")), "{}", outcome.answer);
    assert_eq!(rig.file("log.txt").as_deref(), Some("begun\nended"), "all else is done");
}

#[test]
fn somebody_at_the_terminal_is_asked_at_once() {
    let rig = Rig::new(GOAL, FILES);
    let permissions = permissions(Mode::Ask, &[]);
    let outcome = rig.play(Setup { plan: steps(), permissions, answer: Some("y"), ..Setup::default() }).unwrap();
    assert_eq!(outcome.status, Status::Completed, "{}", outcome.answer);
    let n_asked = outcome.events.iter().filter(|event| matches!(event, Event::Asked { .. })).count();
    let n_answered =
        outcome.events.iter().filter(|event| matches!(event, Event::Answered { assumed: false, .. })).count();
    assert_eq!((n_asked, n_answered), (4, 4));
}

#[test]
fn settings_decide_tool_by_tool() {
    use Leave::{Allow, Ask, Deny};
    for (mode, tools, want, log_is_written) in [
        (Mode::Ordinary, &[("append_file", Allow)][..], Status::Completed, true),
        (Mode::Ordinary, &[("append_file", Ask)], Status::NeedsInput, false),
        (Mode::Ordinary, &[("append_file", Deny)], Status::Failed, false),
        (Mode::Ordinary, &[("calculate", Deny), ("append_file", Allow)], Status::Failed, false),
        (Mode::Yes, &[("append_file", Ask)], Status::Completed, true),
        (Mode::Yes, &[("append_file", Deny)], Status::Failed, false),
        (Mode::Ordinary, &[("write_file", Ask), ("append_file", Allow)], Status::NeedsInput, false),
    ] {
        let rig = Rig::new(GOAL, FILES);
        let yes = mode == Mode::Yes;
        let permissions = permissions(mode, tools);
        let outcome = rig.play(Setup { plan: steps(), yes, permissions, ..Setup::default() }).unwrap();
        assert_eq!(outcome.status, want, "{mode:?} {tools:?}: {}", outcome.answer);
        assert_eq!(rig.file("log.txt").unwrap().contains("ended"), log_is_written, "{mode:?} {tools:?}");
    }
}

#[test]
fn results_that_may_not_be_saved_are_told() {
    let rig = Rig::new("Add up data.csv into sum.md.", FILES);
    let sql = json!({"files": ["data.csv"], "sql": "SELECT SUM(n) AS total FROM data"});
    let steps = plan(&[("sum.md", "query_table", &["data.csv"], sql)]);
    let permissions = permissions(Mode::Ordinary, &[("write_file", Leave::Deny)]);
    let outcome = rig.play(Setup { plan: steps, permissions, ..Setup::default() }).unwrap();
    assert_eq!(outcome.status, Status::Failed, "what the goal asks for is not there");
    assert!(rig.file("sum.md").is_none());
    assert!(outcome.answer.contains("sum.md was not written"), "{}", outcome.answer);
}

#[test]
fn a_run_that_only_reads_changes_nothing_and_says_so() {
    let sql = || json!({"files": ["data.csv"], "sql": "SELECT SUM(n) AS total FROM data"});
    for (goal, target, want) in [
        ("Add up data.csv and tell me the sum.", "reply", Status::Completed),
        ("Add up data.csv into sum.md.", "sum.md", Status::Failed),
    ] {
        let rig = Rig::new(goal, FILES);
        let untouched = rig.files();
        let say = |call: &Call| {
            assert_ne!(call.purpose, "plan", "what cannot be written is not planned again");
            assert!(!call.messages.iter().any(|message| message.content.contains("saved in sum.md")));
            Some(ordinary(call))
        };
        let steps = plan(&[(target, "query_table", &["data.csv"], sql())]);
        let permissions = permissions(Mode::ReadOnly, &[]);
        let setup = Setup { plan: steps, permissions, yes: true, say: std::sync::Arc::new(say), ..Setup::default() };
        let outcome = rig.play(setup).unwrap();
        assert_eq!(outcome.status, want, "{goal}: {}", outcome.answer);
        assert_eq!(rig.files(), untouched, "{goal}");
        assert!(outcome.answer.ends_with("Read-only: nothing was written or run."), "{goal}: {}", outcome.answer);
        assert_eq!(outcome.answer.contains("sum.md was not written"), target == "sum.md", "{goal}: {}", outcome.answer);
    }
}

#[test]
fn a_run_that_only_reads_is_planned_with_tools_that_read() {
    let rig = Rig::new("Tidy up the folder.", FILES);
    let seen = std::sync::Arc::new(std::sync::Mutex::new(None));
    let say = {
        let seen = seen.clone();
        move |call: &Call| {
            if call.purpose == "plan" {
                *seen.lock().unwrap() = Some(call.clone());
            }
            Some(ordinary(call))
        }
    };
    let permissions = permissions(Mode::ReadOnly, &[]);
    rig.play(Setup { permissions, say: std::sync::Arc::new(say), ..Setup::default() }).unwrap();
    let call = seen.lock().unwrap().take().expect("a plan was asked for");
    let grammar = format!("{:?}", call.grammar);
    for (tool, is_there) in [
        ("query_table", true),
        ("search_text", true),
        ("answer", true),
        ("script", false),
        ("move_file", false),
        ("convert", false),
    ] {
        assert_eq!(call.messages[0].content.contains(&format!("- {tool}: ")), is_there, "{tool}");
        assert_eq!(grammar.contains(tool), is_there, "{tool}");
    }
}

#[test]
fn no_stand_in_does_what_was_not_allowed() {
    for (tools, want) in [(&[][..], true), (&[("script", Leave::Ask)], false), (&[("script", Leave::Deny)], false)] {
        let rig = Rig::new("Find the line.", &[("notes.txt", "x")]);
        let say = |call: &Call| Some(if call.purpose == "arguments" { "{}".into() } else { ordinary(call) });
        let steps = plan(&[("reply", "search_text", &["notes.txt"], Json::Null)]);
        let setup = Setup {
            plan: steps,
            say: std::sync::Arc::new(say),
            permissions: permissions(Mode::Ordinary, tools),
            ..Setup::default()
        };
        let outcome = rig.play(setup).unwrap();
        let is_script = |event: &Event| matches!(event, Event::StepStarted { tool, .. } if tool == "script");
        assert_eq!(outcome.events.iter().any(is_script), want, "{tools:?}");
    }
}

#[test]
fn an_assumption_is_told() {
    let rig = Rig::new("Write a letter to letter.txt.", &[]);
    let steps = plan(&[("later", "ask", &[], Json::Null), ("letter.txt", "write", &["$1"], Json::Null)]);
    let outcome = rig.play(Setup { plan: steps, yes: true, ..Setup::default() }).unwrap();
    assert_eq!(outcome.status, Status::Completed, "{}", outcome.answer);
    assert!(outcome.answer.contains(&format!("Assumed: {}", outcome.assumptions[0])), "{}", outcome.answer);
}

#[test]
fn an_answer_reaches_the_step_that_asked() {
    let rig = Rig::new("Write a letter to letter.txt.", &[]);
    let steps = || plan(&[("later", "ask", &[], Json::Null), ("letter.txt", "write", &["$1"], Json::Null)]);
    let say = |call: &Call| {
        let is_told = call.messages.last().unwrap().content.contains("to Ada");
        Some(if call.purpose == "write" && is_told { "Dear Ada".into() } else { ordinary(call) })
    };
    let setup = || Setup { plan: steps(), say: std::sync::Arc::new(say), ..Setup::default() };
    let (asked, status) = answered(&rig, setup, |_| "to Ada");
    assert_eq!((asked, status), (vec!["part 1".to_owned()], Status::Completed));
    assert_eq!(rig.file("letter.txt").as_deref(), Some("Dear Ada\n"));
}
