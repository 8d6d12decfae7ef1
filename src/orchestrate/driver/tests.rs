//! Runs with a real journal and a real workspace under a model that is a script: what is durable when, what a panic,
//! a limit, a refusal or a broken journal leaves, and how a run goes on from there.

mod growth;
mod injection;
mod permission;
mod recollection;
mod rig;
mod simulation;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rig::{PROMPT_TOKENS, Rig, Setup, n_tokens, ordinary, plan, plan_text};
use serde_json::{Value as Json, json};

use super::*;
use crate::orchestrate::driver::mind::Call;
use crate::orchestrate::machine::Phase;
use crate::tool::Change;

const DATA: &str = "name,n\nAda,20\nBob,22\n";
const DATA_JSON: &str = r#"[
  {
    "name": "Ada",
    "n": 20
  },
  {
    "name": "Bob",
    "n": 22
  }
]
"#;

/// Files that [`chores`] starts with.
const CHORE_FILES: &[(&str, &str)] = &[("data.csv", DATA)];

const CHORE_GOAL: &str = "Keep the books of data.csv and write a letter about them to letter.txt.";

/// Steps with every kind of side effect; only the last one needs the model.
fn chores() -> Option<Vec<Step>> {
    plan(&[
        ("later", "append_file", &[], json!({"path": "log.txt", "content": "begun"})),
        ("data.json", "convert", &[], json!({"from": "data.csv", "to": "data.json"})),
        ("later", "make_folder", &[], json!({"path": "out"})),
        ("later", "copy_file", &["$3"], json!({"from": "data.csv", "to": "out/copy.csv"})),
        (
            "total.md",
            "query_table",
            &["data.csv"],
            json!({"files": ["data.csv"], "sql": "SELECT SUM(n) AS total FROM data"}),
        ),
        ("later", "move_file", &["$4"], json!({"from": "out/copy.csv", "to": "out/moved.csv"})),
        ("sum.txt", "calculate", &[], json!({"expression": "6 * 7"})),
        ("later", "append_file", &[], json!({"path": "log.txt", "content": "ended"})),
        ("letter.txt", "write", &["$5"], Json::Null),
    ])
}

fn after_chores() -> BTreeMap<String, String> {
    [
        ("data.csv", DATA),
        ("data.json", DATA_JSON),
        ("letter.txt", "The text of write.\n"),
        ("log.txt", "begun\nended"),
        ("out/moved.csv", DATA),
        ("sum.txt", "42\n"),
        ("total.md", "| total |\n| ---: |\n| 42 |\n"),
    ]
    .map(|(path, text)| (path.to_owned(), text.to_owned()))
    .into()
}

/// Files of the workspace that no change in the journal accounts for.
fn unaccounted(rig: &Rig, at_start: &[(&str, &str)]) -> Vec<String> {
    let proposed: BTreeSet<String> = rig
        .events()
        .iter()
        .filter_map(|event| if let Event::StepProposed { output, .. } = event { Some(output) } else { None })
        .flat_map(|output| output.changes.iter().map(|change| change.target().to_owned()))
        .collect();
    let is_known = |path: &String| proposed.contains(path) || at_start.iter().any(|(known, _)| known == path);
    rig.files().into_keys().filter(|path| !is_known(path)).collect()
}

/// No step is begun again, and nothing more is said of it, once it is done.
fn assert_nothing_is_done_twice(events: &[Event]) {
    let mut done = BTreeSet::new();
    for event in events {
        let Some(step) = event.step() else { continue };
        assert!(!done.contains(&step), "{event:?} after step {step} was done");
        if matches!(event, Event::StepDone { .. }) {
            done.insert(step);
        }
    }
}

/// An event without the time that a call took.
fn timeless(event: &Event) -> Json {
    let mut json = serde_json::to_value(event).unwrap();
    json.as_object_mut().unwrap().shift_remove("ms");
    json
}

fn n_events(events: &[Event], is_one: impl Fn(&Event) -> bool) -> usize {
    events.iter().filter(|event| is_one(event)).count()
}

// -- the journal -----------------------------------------------------------------------------------

#[test]
fn a_plan_is_carried_out() {
    let rig = Rig::new(CHORE_GOAL, CHORE_FILES);
    let outcome = rig.play(Setup { plan: chores(), ..Setup::default() }).unwrap();
    assert_eq!((outcome.status, outcome.answer.as_str()), (Status::Completed, "The text of summary."));
    assert_eq!(rig.files(), after_chores());
    let timeless = |events: &[Event]| events.iter().map(timeless).collect::<Vec<_>>();
    assert_eq!(timeless(&outcome.events), timeless(&rig.events()), "the outcome's events are the journal's");
    let artifacts: BTreeSet<&str> = outcome.artifacts.iter().map(|artifact| artifact.path.as_str()).collect();
    assert_eq!(artifacts, ["data.json", "letter.txt", "log.txt", "out/moved.csv", "sum.txt", "total.md"].into());
    for artifact in &outcome.artifacts {
        let text = rig.file(&artifact.path).unwrap();
        assert_eq!(artifact.bytes, text.len() as u64, "{}", artifact.path);
    }
    assert_nothing_is_done_twice(&outcome.events);
}

#[test]
fn an_event_is_durable_before_anything_follows_from_it() {
    let rig = Rig::new(CHORE_GOAL, CHORE_FILES);
    let (home, folder, id) = (rig.home.path().to_owned(), rig.folder.path().to_owned(), rig.id.clone());
    let n_seen = AtomicUsize::new(0);
    let on_event = move |event: &Event| {
        let journal = load(&Store::open(&home).unwrap(), &id).unwrap();
        assert_eq!(journal.len(), n_seen.fetch_add(1, Ordering::SeqCst) + 1);
        assert_eq!(journal.last().map(timeless), Some(timeless(event)));
        let Event::StepProposed { output, .. } = event else { return };
        for change in &output.changes {
            // Nothing else writes these files, except the log, which two steps append to.
            let path = change.target();
            assert!(path == "log.txt" || path == "out" || !folder.join(path).exists(), "{path} was there before");
        }
    };
    let setup = Setup { plan: chores(), on_event: Arc::new(on_event), ..Setup::default() };
    assert_eq!(rig.play(setup).unwrap().status, Status::Completed);
}

/// Makes every further write to the journal fail, or no longer.
fn break_journal(rig_home: &std::path::Path, is_broken: bool) {
    let db = rusqlite::Connection::open(rig_home.join("partita.db")).unwrap();
    db.busy_timeout(Duration::from_secs(10)).unwrap();
    db.execute_batch(if is_broken {
        "CREATE TRIGGER halt BEFORE INSERT ON events BEGIN SELECT raise(ABORT, 'broken'); END"
    } else {
        "DROP TRIGGER halt"
    })
    .unwrap();
}

/// Breaks the journal after every one of a run's events in turn, mends it, goes on, and compares the end.
fn check_breaks(goal: &str, files: &[(&str, &str)], setup: impl Fn() -> Setup, after: &BTreeMap<String, String>) {
    let whole = Rig::new(goal, files);
    let n_events = whole.play(setup()).unwrap().events.len();
    assert!(n_events > 20, "{n_events} events");
    for n in 0..n_events {
        let rig = Rig::new(goal, files);
        let home = rig.home.path().to_owned();
        if n == 0 {
            break_journal(&home, true);
        }
        let n_seen = AtomicUsize::new(0);
        let on_event = {
            let home = home.clone();
            move |_: &Event| {
                if n_seen.fetch_add(1, Ordering::SeqCst) + 1 == n {
                    break_journal(&home, true);
                }
            }
        };
        let broken = rig.play(Setup { on_event: Arc::new(on_event), ..setup() });
        let error = broken.expect_err("the journal is broken");
        assert!(matches!(error, Error::Store(_)), "after {n} events: {error}");
        assert_eq!(rig.events().len(), n, "events of a broken journal");
        assert_eq!(unaccounted(&rig, files), Vec::<String>::new(), "after {n} events");
        break_journal(&home, false);
        let outcome = rig.play(setup()).unwrap();
        assert_eq!(outcome.status, Status::Completed, "after {n} events: {}", outcome.answer);
        assert_eq!(&rig.files(), after, "after {n} events");
        assert_nothing_is_done_twice(&outcome.events);
    }
}

#[test]
fn a_run_whose_journal_breaks_after_any_event_goes_on_to_the_same_end() {
    check_breaks(CHORE_GOAL, CHORE_FILES, || Setup { plan: chores(), ..Setup::default() }, &after_chores());
}

#[test]
fn a_run_that_breaks_while_items_are_in_flight_goes_on_to_the_same_end() {
    let goal = "Summarize each file in notes into the folder short, copy each line of list.txt to log.txt and write a letter \
                to letter.txt.";
    let files = [("list.txt", "one\ntwo\n"), ("notes/a.txt", "The sea.\n"), ("notes/b.txt", "The hill.\n")];
    let say = |call: &Call| {
        let said = &call.messages.last().unwrap().content;
        let item = ["one", "two"].into_iter().find(|item| said.contains(&format!("\n{item}\n")));
        let arguments = || json!({"path": "log.txt", "content": item.expect("an item is shown")}).to_string();
        Some(if call.purpose == "arguments" { arguments() } else { ordinary(call) })
    };
    let setup = || {
        let mut steps = plan(&[
            ("short/*", "write", &[], Json::Null),
            ("later", "append_file", &[], Json::Null),
            ("letter.txt", "write", &["$1"], Json::Null),
        ])
        .unwrap();
        steps[0].each = Some("file in notes".into());
        steps[1].each = Some("line of list.txt".into());
        Setup { plan: Some(steps), say: Arc::new(say), ..Setup::default() }
    };
    let made = [
        ("letter.txt", "The text of write.\n"),
        ("log.txt", "one\ntwo"),
        ("short/a.txt", "The text of write.\n"),
        ("short/b.txt", "The text of write.\n"),
    ];
    let after = files.iter().chain(&made).map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    check_breaks(goal, &files, setup, &after);
}

#[test]
fn a_journal_that_is_not_readable_is_named() {
    let rig = Rig::new("x", &[]);
    let store = Store::open(rig.home.path()).unwrap();
    store.append(&rig.id, "step_done", None, &json!({"step": "one"})).unwrap();
    let error = load(&store, &rig.id).unwrap_err().to_string();
    assert!(error.starts_with(&format!("event 1 of run {} is not readable: ", rig.id)), "{error}");
}

// -- panics ----------------------------------------------------------------------------------------

#[test]
fn a_panic_in_the_model_ends_the_action_and_not_the_run() {
    let write =
        || plan(&[("a.txt", "write", &[], Json::Null), ("sum.txt", "calculate", &[], json!({"expression": "1+1"}))]);
    for (purpose, steps, want) in
        [("plan", None, Status::Failed), ("write", write(), Status::Failed), ("summary", write(), Status::Completed)]
    {
        let rig = Rig::new("Write a poem to a.txt.", &[]);
        let say = move |call: &Call| {
            assert_ne!(call.purpose, purpose, "the model breaks");
            Some(ordinary(call))
        };
        let is_planned = steps.is_some();
        let outcome = rig.play(Setup { plan: steps, say: Arc::new(say), ..Setup::default() }).unwrap();
        assert_eq!(outcome.status, want, "{purpose}: {}", outcome.answer);
        assert!(!outcome.answer.is_empty(), "{purpose}");
        assert_eq!(rig.file("sum.txt").is_some(), is_planned, "{purpose}: what does not depend on it is done");
        assert_eq!(State::fold(&rig.events()), State::fold(&outcome.events), "{purpose}");
    }
}

#[test]
fn a_panic_in_the_display_does_not_keep_the_run_from_its_end() {
    for kind in ["briefed", "surveyed", "planned", "step_started", "step_proposed", "changed", "step_done", "checked"] {
        let rig = Rig::new(CHORE_GOAL, CHORE_FILES);
        let on_event = move |event: &Event| assert_ne!(serde_json::to_value(event).unwrap()["kind"], kind);
        let setup = Setup { plan: chores(), on_event: Arc::new(on_event), ..Setup::default() };
        let outcome = rig.play(setup).unwrap();
        assert!(!outcome.answer.is_empty(), "{kind}");
        assert_eq!(State::fold(&rig.events()), State::fold(&outcome.events), "{kind}: state and journal differ");
        assert_eq!(unaccounted(&rig, CHORE_FILES), Vec::<String>::new(), "{kind}");
    }
}

// -- limits ----------------------------------------------------------------------------------------

/// Four texts, two of them from the first two.
fn texts() -> Option<Vec<Step>> {
    plan(&[
        ("a.txt", "write", &[], Json::Null),
        ("b.txt", "write", &[], Json::Null),
        ("c.txt", "write", &["$1", "$2"], Json::Null),
        ("d.txt", "write", &["$3"], Json::Null),
    ])
}

const TEXT_GOAL: &str = "Write four poems to a.txt, b.txt, c.txt and d.txt.";

#[test]
fn tokens_are_a_hard_limit() {
    let call_tokens = PROMPT_TOKENS + n_tokens("The text of summary.");
    let mut n_completed = 0;
    for max_tokens in (0..=700).step_by(35) {
        let rig = Rig::new(TEXT_GOAL, &[]);
        let outcome = rig.play(Setup { plan: texts(), max_tokens: Some(max_tokens), ..Setup::default() }).unwrap();
        let used: usize = outcome
            .events
            .iter()
            .filter_map(|event| if let Event::ModelCalled { usage, .. } = event { Some(usage) } else { None })
            .map(|usage| usage.prompt_tokens + usage.decoded_tokens)
            .sum();
        assert!(used <= max_tokens as usize + call_tokens, "{used} tokens under a limit of {max_tokens}");
        assert!(!outcome.answer.is_empty());
        if outcome.status == Status::Completed {
            n_completed += 1;
            assert_eq!(rig.files().len(), 4);
        } else {
            assert_eq!(outcome.status, Status::Failed);
            let reason = format!("the limit of {max_tokens} tokens was reached");
            assert!(outcome.answer.contains(&reason), "{max_tokens}: {}", outcome.answer);
            for path in rig.files().keys() {
                assert!(outcome.answer.contains(path), "{max_tokens}: {path} was made: {}", outcome.answer);
            }
        }
    }
    assert!(n_completed > 0, "five calls of {call_tokens} tokens fit the largest limit");
}

#[test]
fn a_resumed_run_has_no_more_tokens_than_were_left() {
    let rig = Rig::new(TEXT_GOAL, &[]);
    let interrupt: fn(&Event) -> bool = |event| matches!(event, Event::StepStarted { step: StepId(4), .. });
    let say = |call: &Call| (call.step != Some(StepId(4))).then(|| ordinary(call));
    let max_tokens = Some(400);
    let setup = Setup { plan: texts(), max_tokens, say: Arc::new(say), interrupt: Some(interrupt), ..Setup::default() };
    assert_eq!(rig.play(setup).unwrap().status, Status::Interrupted);
    // Three calls were made; there is room for one more, and none for the summary.
    let outcome = rig.play(Setup { plan: texts(), max_tokens, ..Setup::default() }).unwrap();
    assert_eq!(n_events(&outcome.events, |event| matches!(event, Event::ModelCalled { .. })), 4);
    assert_eq!((outcome.status, rig.files().len()), (Status::Failed, 4));
    assert!(outcome.answer.contains("the limit of 400 tokens was reached"), "{}", outcome.answer);
}

#[test]
fn time_is_a_hard_limit() {
    let rig = Rig::new(TEXT_GOAL, &[]);
    let say = |call: &Call| {
        std::thread::sleep(Duration::from_millis(60));
        Some(ordinary(call))
    };
    let max_time = Some(Duration::from_millis(100));
    let began = Instant::now();
    let outcome = rig.play(Setup { plan: texts(), max_time, say: Arc::new(say), ..Setup::default() }).unwrap();
    assert_eq!(outcome.status, Status::Failed);
    assert!(outcome.answer.contains("the time limit was reached"), "{}", outcome.answer);
    assert!(n_events(&outcome.events, |event| matches!(event, Event::ModelCalled { .. })) <= 3);
    assert!(began.elapsed() < Duration::from_secs(20));
}

#[test]
fn steps_are_a_hard_limit() {
    for max_steps in 0..=5 {
        let rig = Rig::new(TEXT_GOAL, &[]);
        let outcome = rig.play(Setup { plan: texts(), max_steps: Some(max_steps), ..Setup::default() }).unwrap();
        let started: BTreeSet<StepId> = outcome
            .events
            .iter()
            .filter_map(|event| if let Event::StepStarted { step, .. } = event { Some(*step) } else { None })
            .collect();
        assert_eq!(started.len(), max_steps.min(4) as usize, "under a limit of {max_steps}");
        assert_eq!(rig.files().len(), started.len());
        let is_enough = max_steps >= 4;
        assert_eq!(outcome.status == Status::Completed, is_enough, "{max_steps}: {}", outcome.answer);
        let reason = format!("the limit of {max_steps} steps was reached");
        assert_eq!(outcome.answer.contains(&reason), !is_enough, "{max_steps}: {}", outcome.answer);
    }
}

// -- what may be changed ---------------------------------------------------------------------------

#[test]
fn input_files_change_only_if_goal_and_person_say_so() {
    let append = || plan(&[("later", "append_file", &[], json!({"path": "log.txt", "content": "new"}))]);
    let (named, unnamed) = ("Append a line to log.txt.", "Tell me about the log.");
    for (goal, yes, answer, want, why) in [
        (named, true, None, Status::Completed, ""),
        (named, false, Some("y"), Status::Completed, ""),
        (named, false, Some("no"), Status::Failed, "--yes allows it"),
        (named, false, None, Status::Failed, "--yes allows it"),
        (unnamed, true, Some("y"), Status::Failed, "log.txt is an input file"),
    ] {
        let rig = Rig::new(goal, &[("log.txt", "old\n")]);
        let outcome = rig.play(Setup { yes, answer, plan: append(), ..Setup::default() }).unwrap();
        assert_eq!(outcome.status, want, "{goal} {yes} {answer:?}: {}", outcome.answer);
        assert!(outcome.answer.contains(why), "{goal} {yes} {answer:?}: {}", outcome.answer);
        let text = if want == Status::Completed { "old\nnew" } else { "old\n" };
        assert_eq!(rig.file("log.txt").as_deref(), Some(text), "{goal} {yes} {answer:?}");
    }
}

#[test]
fn steps_that_add_to_one_file_lose_nothing() {
    let add = |text: &str| json!({"path": "log.txt", "content": text});
    let rig = Rig::new("Keep a log.", &[]);
    let steps = plan(&[
        ("later", "append_file", &[], add("one")),
        ("later", "append_file", &[], add("two")),
        ("later", "append_file", &[], add("three")),
    ]);
    assert_eq!(rig.play(Setup { plan: steps, ..Setup::default() }).unwrap().status, Status::Completed);
    assert_eq!(rig.file("log.txt").as_deref(), Some("one\ntwo\nthree"));

    let rig = Rig::new("Copy each line of list.txt to log.txt.", &[("list.txt", "one\ntwo\nthree\n")]);
    let say = move |call: &Call| {
        let item = ["one", "two", "three"]
            .into_iter()
            .find(|item| call.messages.last().unwrap().content.contains(&format!("\n{item}\n")));
        Some(if call.purpose == "arguments" { add(item.unwrap()).to_string() } else { ordinary(call) })
    };
    let mut steps = plan(&[("later", "append_file", &[], Json::Null)]).unwrap();
    steps[0].each = Some("line of list.txt".into());
    let outcome = rig.play(Setup { plan: Some(steps), say: Arc::new(say), ..Setup::default() }).unwrap();
    assert_eq!(outcome.status, Status::Completed, "{}", outcome.answer);
    assert_eq!(rig.file("log.txt").as_deref(), Some("one\ntwo\nthree"));
}

#[test]
fn what_a_run_made_stays_its_own_after_a_failed_commit() {
    let write = |path: &str| Change::Write { path: path.into(), content: "x".into() };
    let output = tool::Output {
        changes: vec![write("a.txt"), write("in.txt")],
        ..tool::Output::from(tool::Value::Text("x".into()))
    };
    let step = StepId(1);
    let events = [
        Event::Briefed { brief: brief::Brief::default() },
        Event::Surveyed { text: String::new(), paths: vec!["in.txt".into()] },
        Event::Planned { round: 0, steps: plan(&[("a.txt", "write", &[], Json::Null)]).unwrap() },
        Event::StepProposed { step, output },
        Event::Changed { step, path: "a.txt".into(), bytes: 1, sha256: String::new() },
        Event::StepFailed { step, attempt: 0, error: "disk".into(), tried: String::new(), fatal: false },
    ];
    let policy = policy("x", &events, false);
    assert_eq!(policy.created, ["a.txt".to_owned()].into(), "what was there at the start is not the run's own");
}

// -- failures --------------------------------------------------------------------------------------

#[test]
fn nothing_is_done_with_the_result_of_a_failed_step() {
    let rig = Rig::new("Write the sum to sum.txt and a letter to letter.txt.", &[("data.csv", DATA)]);
    let steps = plan(&[
        (
            "sum.txt",
            "query_table",
            &["data.csv"],
            json!({"files": ["data.csv"], "sql": "SELECT SUM(missing) FROM data"}),
        ),
        ("letter.txt", "write", &["$1"], Json::Null),
        ("later", "calculate", &[], json!({"expression": "2 * 3"})),
    ]);
    let outcome = rig.play(Setup { plan: steps, ..Setup::default() }).unwrap();
    assert_eq!(outcome.status, Status::Failed);
    let state = State::fold(&outcome.events);
    let phases: Vec<Phase> = state.steps.iter().map(|step| step.phase).collect();
    assert_eq!(phases[..3], [Phase::Failed, Phase::Skipped, Phase::Done]);
    let tries = state.steps[0].failures.iter().map(|failure| &failure.error);
    assert!(tries.clone().all(|error| error.contains("missing")), "{:?}", tries.collect::<Vec<_>>());
    assert_eq!(n_events(&outcome.events, |event| matches!(event, Event::StepStarted { step: StepId(2), .. })), 0);
    assert!(outcome.answer.contains("sum.txt was not written"), "{}", outcome.answer);
    assert!(outcome.answer.contains("letter.txt was not written"), "{}", outcome.answer);
}

#[test]
fn what_the_goal_lacks_is_planned_once_more_before_the_run_fails() {
    let write = |target: &str| plan_text(&[(target, "write", &[], Json::Null)]);
    for (second, text, want) in [
        (write("out.txt"), "42", Status::Completed),
        (write("later"), "42", Status::Completed), // a last step writes what no other does
        (write("out.txt"), "", Status::Failed),
        ("nonsense".into(), "42", Status::Failed),
    ] {
        let rig = Rig::new("Compute 6 * 7 and write it to out.txt.", &[]);
        let n_plans = Arc::new(AtomicUsize::new(0));
        let say = {
            let (n_plans, second) = (n_plans.clone(), second.clone());
            move |call: &Call| {
                if call.purpose != "plan" {
                    return Some(if call.purpose == "write" { text.to_owned() } else { ordinary(call) });
                }
                n_plans.fetch_add(1, Ordering::SeqCst);
                let asked = &call.messages.last().unwrap().content;
                assert!(asked.contains("out.txt was not written"), "the planner is told what is missing: {asked}");
                Some(second.clone())
            }
        };
        let steps = plan(&[("reply", "calculate", &[], json!({"expression": "6 * 7"}))]);
        let outcome = rig.play(Setup { plan: steps, say: Arc::new(say), ..Setup::default() }).unwrap();
        assert_eq!(outcome.status, want, "{second}: {}", outcome.answer);
        assert_eq!(n_plans.load(Ordering::SeqCst), 1, "{second}");
        assert_eq!(rig.file("out.txt").is_some(), want == Status::Completed, "{second}");
        assert_eq!(outcome.answer.contains("out.txt was not written"), want == Status::Failed, "{}", outcome.answer);
    }
}

#[test]
fn a_goal_without_steps_is_answered_at_once() {
    let rig = Rig::new("What is the capital of Australia?", &[]);
    let outcome = rig.play(Setup::default()).unwrap();
    assert_eq!((outcome.status, outcome.answer.as_str()), (Status::Completed, "The text of summary."));
    assert!(outcome.steps.is_empty() && outcome.artifacts.is_empty());
}

#[test]
fn sub_goals_that_are_planned_at_the_same_time_get_steps_of_their_own() {
    let rig = Rig::new("Write two poems.", &[]);
    let say = |call: &Call| {
        let number = call.step.map_or(0, |step| step.0);
        let part = |name: &str| format!("{name}{number}.txt");
        Some(match call.purpose {
            "plan" => plan_text(&[(&part("a"), "write", &[], Json::Null), (&part("b"), "write", &[], Json::Null)]),
            _ => ordinary(call),
        })
    };
    let steps = plan(&[
        ("later", "goal", &[], Json::Null),
        ("later", "goal", &[], Json::Null),
        ("end.txt", "write", &["$1", "$2"], Json::Null),
    ]);
    let outcome = rig.play(Setup { plan: steps, say: Arc::new(say), ..Setup::default() }).unwrap();
    assert_eq!(outcome.status, Status::Completed, "{}", outcome.answer);
    let ids: Vec<u32> = outcome.steps.iter().map(|step| step.id.0).collect();
    assert_eq!(ids, [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(rig.files().into_keys().collect::<Vec<_>>(), ["a1.txt", "a2.txt", "b1.txt", "b2.txt", "end.txt"]);
}

// -- the person ------------------------------------------------------------------------------------

fn question() -> Option<Vec<Step>> {
    plan(&[
        ("later", "ask", &[], Json::Null),
        ("sum.txt", "calculate", &[], json!({"expression": "1 + 1"})),
        ("letter.txt", "write", &["$1"], Json::Null),
    ])
}

#[test]
fn a_question_waits_for_the_person_and_the_rest_is_done() {
    let rig = Rig::new("Write a letter to letter.txt.", &[]);
    let outcome = rig.play(Setup { plan: question(), ..Setup::default() }).unwrap();
    assert_eq!(outcome.status, Status::NeedsInput);
    assert_eq!((outcome.question.as_deref(), outcome.answer.as_str()), (Some("part 1"), "part 1"));
    assert!(rig.file("sum.txt").is_some() && rig.file("letter.txt").is_none());

    let again = rig.play(Setup { plan: question(), ..Setup::default() }).unwrap();
    assert_eq!(again.status, Status::NeedsInput, "nobody has answered yet");

    let heard = Arc::new(Mutex::new(String::new()));
    let say = {
        let heard = heard.clone();
        move |call: &Call| {
            if call.purpose == "write" {
                *heard.lock().unwrap() = call.messages.last().unwrap().content.clone();
            }
            Some(ordinary(call))
        }
    };
    let setup = Setup { plan: question(), answer: Some("to Ada"), say: Arc::new(say), ..Setup::default() };
    let outcome = rig.play(setup).unwrap();
    assert_eq!(outcome.status, Status::Completed, "{}", outcome.answer);
    assert!(heard.lock().unwrap().contains("to Ada"), "the answer reaches the step that needs it");
    assert!(outcome.assumptions.is_empty());
    assert_nothing_is_done_twice(&outcome.events);
}

#[test]
fn without_a_person_an_assumption_is_recorded() {
    let rig = Rig::new("Write a letter to letter.txt.", &[]);
    let outcome = rig.play(Setup { plan: question(), yes: true, ..Setup::default() }).unwrap();
    assert_eq!(outcome.status, Status::Completed, "{}", outcome.answer);
    assert_eq!(outcome.assumptions.len(), 1);
    assert!(outcome.assumptions[0].contains("part 1"), "{:?}", outcome.assumptions);
}

#[test]
fn an_interrupted_run_goes_on_where_it_was() {
    let rig = Rig::new(CHORE_GOAL, CHORE_FILES);
    // The model never comes back, so the run is still at work when the person stops it.
    let setup = Setup {
        plan: chores(),
        say: Arc::new(|_| None),
        interrupt: Some(|event| matches!(event, Event::StepStarted { step: StepId(9), .. })),
        ..Setup::default()
    };
    let outcome = rig.play(setup).unwrap();
    assert_eq!(outcome.status, Status::Interrupted);
    let store = Store::open(rig.home.path()).unwrap();
    assert_eq!(store.run(&rig.id).unwrap().status, "interrupted");
    assert!(rig.events().contains(&Event::Interrupted));
    assert!(rig.file("letter.txt").is_none());
    let outcome = rig.play(Setup { plan: chores(), ..Setup::default() }).unwrap();
    assert_eq!(outcome.status, Status::Completed, "{}", outcome.answer);
    assert_eq!(rig.files(), after_chores());
    assert_nothing_is_done_twice(&outcome.events);
}
