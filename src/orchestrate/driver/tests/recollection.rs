//! What runs leave to later ones: only what worked, without the names of files; and that without memory, or with an empty
//! one, no prompt changes by a byte.

use std::sync::{Arc, Mutex};

use serde_json::json;

use super::rig::{Rig, Setup, ordinary, plan};
use crate::memory::{self, Lesson};
use crate::orchestrate::driver::Recollection;
use crate::orchestrate::driver::mind::Call;
use crate::orchestrate::event::Status;
use crate::store::Store;

const FILES: &[(&str, &str)] =
    &[("rivers.csv", "name,km\nAlda,20\nBrod,22\n"), ("notes.txt", "Ada came.\nBob left.\n")];
const GOAL: &str =
    "Find the lines about Ada in notes.txt, add up the lengths in rivers.csv and save the sum in sum.md.";

const ON: Recollection = Recollection { keeps: true, shows: true };

fn reply(call: &Call) -> String {
    match call.purpose {
        "plan" => json!({"steps": [
            {"for": "reply", "do": "lines about Ada", "tool": "search_text", "from": ["notes.txt"]},
            {"for": "sum.md", "do": "sum of the lengths", "tool": "query_table", "from": ["rivers.csv"]},
        ]})
        .to_string(),
        "arguments" => json!({"pattern": "Ada"}).to_string(),
        "query" => "SELECT SUM(km) AS total FROM rivers".into(),
        _ => ordinary(call),
    }
}

/// Plays a goal in a new workspace with the memory of `rig`'s home; the prompts of all calls.
fn prompts(rig: &Rig, recollection: Recollection) -> Vec<String> {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let say = {
        let seen = seen.clone();
        move |call: &Call| {
            let text: Vec<&str> = call.messages.iter().map(|message| message.content.as_str()).collect();
            seen.lock().unwrap().push(format!("{} {:?} {}", call.purpose, call.sampling.seed, text.join("\n---\n")));
            Some(reply(call))
        }
    };
    let outcome = rig.play(Setup { say: Arc::new(say), recollection, ..Setup::default() }).unwrap();
    assert_eq!(outcome.status, Status::Completed, "{}", outcome.answer);
    let mut seen = seen.lock().unwrap().clone();
    // Steps that run at the same time call in any order.
    seen.sort();
    seen
}

#[test]
fn what_worked_is_kept_without_names_of_files() {
    let rig = Rig::new(GOAL, FILES);
    prompts(&rig, Recollection { keeps: true, shows: false });
    let kept = Store::open(rig.home.path()).unwrap().examples().unwrap();
    let mut kept: Vec<(&str, &str, &str)> =
        kept.iter().map(|kept| (kept.task.as_str(), kept.tool.as_str(), kept.arguments.as_str())).collect();
    kept.sort_unstable();
    assert_eq!(
        kept,
        [
            ("lines about Ada", "search_text", r#"{"pattern":"Ada","path":"‹txt file›"}"#),
            ("sum of the lengths", "query_table", r#"{"sql":"SELECT SUM(km) AS total FROM ‹table›"}"#),
        ]
    );
}

#[test]
fn nothing_is_kept_of_what_failed_or_where_it_is_not_wanted() {
    for (recollection, expression, want) in [
        (Recollection::default(), "6 * 7", 0),
        (Recollection { keeps: false, shows: true }, "6 * 7", 0),
        (ON, "6 * * 7", 0),
        (ON, "6 * 7", 1),
    ] {
        let rig = Rig::new("Work it out.", &[]);
        let steps = plan(&[("reply", "calculate", &[], json!({ "expression": expression }))]);
        rig.play(Setup { plan: steps, recollection, ..Setup::default() }).unwrap();
        let kept = Store::open(rig.home.path()).unwrap().examples().unwrap();
        assert_eq!(kept.len(), want, "{recollection:?} {expression}: {kept:?}");
    }
}

#[test]
fn prompts_are_the_same_to_the_byte_unless_there_is_something_to_recall() {
    let plain = prompts(&Rig::new(GOAL, FILES), Recollection::default());
    let keeping = prompts(&Rig::new(GOAL, FILES), Recollection { keeps: true, shows: false });
    assert_eq!(plain, keeping);
    // A memory that holds nothing that is like this goal or its steps.
    let strange = Rig::new(GOAL, FILES);
    let lesson = Lesson { words: "xyzzy".into(), task: "plugh".into(), tool: "convert".into(), arguments: "{}".into() };
    memory::remember(&Store::open(strange.home.path()).unwrap(), &[lesson]).unwrap();
    assert_eq!(prompts(&strange, Recollection { keeps: false, shows: true }), plain);
    assert_eq!(prompts(&Rig::new(GOAL, FILES), Recollection { keeps: false, shows: true }), plain, "an empty memory");
}

#[test]
fn what_is_like_the_task_is_shown_below_what_all_runs_share() {
    let rig = Rig::new(GOAL, FILES);
    let lesson = |task: &str, tool: &str, arguments: &str| Lesson {
        words: "find add lengths".into(),
        task: task.into(),
        tool: tool.into(),
        arguments: arguments.into(),
    };
    let learnt = [
        lesson("lines about a person", "search_text", r#"{"pattern":"Eve"}"#),
        lesson("sum of a part", "query_table", r#"{"sql":"SELECT SUM(m) FROM ‹table›"}"#),
    ];
    memory::remember(&Store::open(rig.home.path()).unwrap(), &learnt).unwrap();
    let plain = prompts(&Rig::new(GOAL, FILES), Recollection::default());
    let with = prompts(&rig, ON);
    let of = |prompts: &[String], purpose: &str| prompts.iter().find(|text| text.starts_with(purpose)).unwrap().clone();
    let (before, after) = (of(&plain, "plan"), of(&with, "plan"));
    let shared = before.find("Workspace:\n").unwrap();
    assert_eq!(before[..shared], after[..shared], "the standing instructions are those of every run");
    assert!(after.contains("- \"lines about a person\": search_text\n"), "{after}");
    assert!(!after.contains("\"Eve\""), "a plan needs no arguments");
    let survey = after.find("- \"lines about").unwrap();
    assert!(survey > shared && survey < after.rfind("Goal: ").unwrap());
    let arguments = of(&with, "arguments");
    assert!(arguments.contains("- \"lines about a person\": {\"pattern\":\"Eve\"}"), "{arguments}");
    assert!(of(&with, "query").contains("SELECT SUM(m) FROM ‹table›"));
}
