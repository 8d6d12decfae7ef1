//! Runs that outgrow what one prompt holds: documents that are too long, items of which some fail, more results than a
//! report can tell.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::Value as Json;

use super::n_events;
use super::rig::{Rig, Setup, ordinary, plan};
use crate::orchestrate::driver::mind::{self, Call};
use crate::orchestrate::event::{Event, Status};
use crate::orchestrate::plan::Step;

/// What a call is told last.
fn told(call: &Call) -> &str {
    &call.messages.last().unwrap().content
}

#[test]
fn a_document_that_is_too_long_is_read_in_pieces() {
    let lines: Vec<String> =
        (0..1200).map(|i| format!("Entry {i} of the log: the pump ran and stopped again.\n")).collect();
    let rig = Rig::new("Write a report about log.txt to report.md.", &[("log.txt", &lines.concat())]);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let say = {
        let heard = heard.clone();
        move |call: &Call| {
            heard.lock().unwrap().push((call.purpose, told(call).to_owned()));
            Some(if call.purpose == "note" { "The pump ran.".into() } else { ordinary(call) })
        }
    };
    let plan = plan(&[("report.md", "write", &["log.txt"], Json::Null)]);
    let outcome = rig.play(Setup { yes: true, plan, say: Arc::new(say), ..Setup::default() }).unwrap();
    assert_eq!(outcome.status, Status::Completed);
    assert!(outcome.answer.contains("log.txt is long; it was read in"), "{}", outcome.answer);
    let heard = heard.lock().unwrap();
    let of =
        |purpose: &str| heard.iter().filter(|(other, _)| *other == purpose).map(|(_, text)| text).collect::<Vec<_>>();
    assert!(lines.iter().all(|line| of("note").iter().any(|text| text.contains(line.as_str()))), "all of it is read");
    assert!(of("note").iter().all(|text| text.len() < 8192), "a piece fits the context");
    assert!(of("write").iter().all(|text| text.contains("The pump ran.") && !text.contains("Entry")));
}

const FAN_GOAL: &str = "Shorten each file in notes and save it under the same name in short.";
const NOTES: &[(&str, &str)] =
    &[("notes/a.txt", "The sea.\n"), ("notes/b.txt", "The hill.\n"), ("notes/c.txt", "Sky.\n")];

fn fan() -> Option<Vec<Step>> {
    let mut steps = plan(&[("short/*", "write", &[], Json::Null)]).unwrap();
    steps[0].each = Some("file in notes".into());
    Some(steps)
}

/// A run over [`NOTES`] in which the first `n` calls about the hill fail.
fn fan_out(n: usize) -> (Rig, crate::orchestrate::driver::Outcome) {
    let rig = Rig::new(FAN_GOAL, NOTES);
    let n_failed = AtomicUsize::new(0);
    let fault = move |call: &Call| {
        let is_hit = call.purpose == "write" && told(call).contains("hill");
        let is_first = || n_failed.fetch_add(1, Ordering::Relaxed) < n;
        (is_hit && is_first()).then_some(mind::Error::TooLong { n_tokens: 9000, n_ctx: 8192 })
    };
    let setup = Setup { yes: true, plan: fan(), fault: Arc::new(fault), ..Setup::default() };
    let outcome = rig.play(setup).unwrap();
    (rig, outcome)
}

fn is_written(event: &Event, wanted: &str) -> bool {
    matches!(event, Event::Changed { path, .. } if path == wanted)
}

#[test]
fn an_item_that_fails_is_tried_again_and_the_others_are_not() {
    for n_faults in [1, 3, 4] {
        let (rig, outcome) = fan_out(n_faults);
        assert_eq!(outcome.status, Status::Completed, "{n_faults}: {}", outcome.answer);
        for path in ["short/a.txt", "short/b.txt", "short/c.txt"] {
            assert_eq!(n_events(&rig.events(), |event| is_written(event, path)), 1, "{path}");
        }
    }
}

#[test]
fn an_item_that_always_fails_is_set_aside_and_named() {
    let (rig, outcome) = fan_out(usize::MAX);
    assert_eq!(outcome.status, Status::Failed);
    assert!(outcome.answer.contains("short/b.txt was not written"), "{}", outcome.answer);
    assert_eq!(rig.file("short/a.txt").as_deref(), Some("The text of write.\n"));
    assert_eq!((rig.file("short/b.txt"), rig.file("short/c.txt").is_some()), (None, true));
}

#[test]
fn what_is_there_of_the_items_when_a_limit_is_reached_is_kept() {
    let rig = Rig::new(FAN_GOAL, NOTES);
    let setup = Setup { yes: true, plan: fan(), max_tokens: Some(150), ..Setup::default() };
    let outcome = rig.play(setup).unwrap();
    assert_eq!(outcome.status, Status::Failed);
    assert!(outcome.answer.contains("the limit of 150 tokens was reached"), "{}", outcome.answer);
    let n_written = NOTES.iter().filter(|(path, _)| rig.file(&path.replace("notes", "short")).is_some()).count();
    assert_eq!(n_written, 2, "a call takes about a hundred tokens");
}

#[test]
fn results_that_no_report_can_tell_whole_are_summarized_oldest_first() {
    let rig = Rig::new("Write five chapters.", &[]);
    let targets = ["a.txt", "b.txt", "c.txt", "d.txt", "e.txt"];
    let heard = Arc::new(Mutex::new(String::new()));
    let say = {
        let heard = heard.clone();
        move |call: &Call| {
            Some(match call.purpose {
                "write" => format!("{} ends.", "The chapter goes on. ".repeat(80)),
                "compact" => "It goes on.".into(),
                "summary" => {
                    *heard.lock().unwrap() = told(call).to_owned();
                    "All is written.".into()
                }
                _ => ordinary(call),
            })
        }
    };
    let rows: Vec<(&str, &str, &[&str], Json)> =
        targets.iter().map(|&target| (target, "write", &[] as &[&str], Json::Null)).collect();
    let setup = Setup { yes: true, plan: plan(&rows), say: Arc::new(say), ..Setup::default() };
    let outcome = rig.play(setup).unwrap();
    let compacted: Vec<u32> = rig
        .events()
        .iter()
        .filter_map(|event| if let Event::Compacted { step, .. } = event { Some(step.0) } else { None })
        .collect();
    assert_eq!(compacted, [1, 2], "8,425 characters, of which 6,000 are shown");
    let heard = heard.lock().unwrap();
    assert!(heard.contains("Write five chapters.") && heard.matches("It goes on.").count() == 2, "{heard}");
    assert!(outcome.answer.contains("All is written."));
}
