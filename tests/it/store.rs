//! The journal under `kill -9`: what was acknowledged is there afterwards, in order, with nothing between.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use partita::store::{NewRun, Store};
use partita::types::{RunId, StepId};
use serde_json::{Value, json};

const HOME: &str = "PARTITA_TEST_JOURNAL_HOME";
const RUN: &str = "PARTITA_TEST_JOURNAL_RUN";
const N_KILLS: u64 = 20;

/// The body of event `seq`: some are long enough to be kept out of line.
fn body(seq: u64) -> Value {
    json!({ "seq": seq, "text": "x".repeat(if seq.is_multiple_of(5) { 6000 + seq as usize } else { 50 }) })
}

/// The child: appends and acknowledges on stdout until it is killed.
#[test]
#[ignore = "runs only as the child process of `every_acknowledged_event_outlives_a_kill`"]
fn child_that_appends_until_it_is_killed() {
    let home = std::env::var_os(HOME).expect("the parent names a home");
    let run = RunId(std::env::var(RUN).expect("the parent names a run"));
    let store = Store::open(Path::new(&home)).unwrap();
    let _lock = store.lock_run(&run).unwrap();
    let mut next = store.events(&run).unwrap().len() as u64 + 1;
    loop {
        let seq = store.append(&run, "tick", Some(StepId(1)), &body(next)).unwrap();
        assert_eq!(seq, next);
        writeln!(std::io::stdout(), "\nack {seq}").unwrap();
        next += 1;
    }
}

/// Lets a child append for a while, kills it, and returns the last number that it acknowledged.
fn append_until_killed(home: &Path, run: &RunId, after: Duration) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "store::child_that_appends_until_it_is_killed", "--nocapture"])
        .env(HOME, home)
        .env(RUN, &run.0)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let acknowledged = |line: std::io::Result<String>| line.ok()?.strip_prefix("ack ")?.parse().ok();
    let first: Option<u64> = lines.by_ref().find_map(acknowledged);
    let killer = std::thread::spawn(move || {
        std::thread::sleep(after);
        child.kill().unwrap();
        child.wait().unwrap();
    });
    // The pipe still holds what the child said before its death.
    let last = lines.filter_map(acknowledged).last().or(first);
    killer.join().unwrap();
    last.expect("the child appended something")
}

#[test]
fn every_acknowledged_event_outlives_a_kill() {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path()).unwrap();
    let new = NewRun { goal: "count", workspace: Path::new("/w"), model: "none", settings: &Value::Null };
    let run = store.create_run(&new).unwrap();
    for round in 0..N_KILLS {
        // Spread over the phases of a commit: a few milliseconds apart, in no step with it.
        let acknowledged = append_until_killed(home.path(), &run, Duration::from_micros(round * 7_919 % 40_000));
        let events = store.events(&run).unwrap();
        let n_events = events.len() as u64;
        // One event may be on disk without the child having lived to say so.
        assert!((acknowledged..=acknowledged + 1).contains(&n_events), "{acknowledged} acknowledged, {n_events} there");
        for (event, seq) in events.iter().zip(1..) {
            assert_eq!((event.seq, &event.body), (seq, &body(seq)));
        }
        assert!(!store.is_locked(&run), "the killed child still holds the run");
    }
}
