//! Tests of the journal. A kill at random moments is tested from outside, in `tests/it/store.rs`.

use std::path::Path;

use proptest::prelude::*;
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Entry, Error, NewExample, NewRun, Record, Store, schema};
use crate::types::{RunId, StepId};

fn home() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn new_run(store: &Store) -> RunId {
    let new = NewRun { goal: "sum it", workspace: Path::new("/w"), model: "small", settings: &json!({"yes": true}) };
    store.create_run(&new).expect("a run")
}

/// Behind the store's back, as another program or a later version would do it.
fn raw(home: &TempDir) -> Connection {
    Connection::open(home.path().join(schema::FILE_NAME)).expect("the journal")
}

#[test]
fn a_run_is_read_back_as_it_was_written() {
    let home = home();
    let run = {
        let store = Store::open(home.path()).unwrap();
        let run = new_run(&store);
        assert_eq!(store.append(&run, "planned", None, &json!({"steps": []})).unwrap(), 1);
        let body = json!({"b": 1, "a": 2});
        let pair =
            [Entry { kind: "x", step: Some(StepId(3)), body: &body }, Entry { kind: "y", step: None, body: &body }];
        assert_eq!(store.append_all(&run, &pair).unwrap(), 3);
        store.set_status(&run, "completed").unwrap();
        run
    };
    let store = Store::open(home.path()).unwrap();
    let told: Vec<_> = store
        .events(&run)
        .unwrap()
        .into_iter()
        .map(|Record { seq, kind, step, body, .. }| (seq, kind, step, body.to_string()))
        .collect();
    let body = r#"{"b":1,"a":2}"#;
    assert_eq!(
        told,
        [
            (1, "planned".to_owned(), None, r#"{"steps":[]}"#.to_owned()),
            (2, "x".to_owned(), Some(StepId(3)), body.to_owned()),
            (3, "y".to_owned(), None, body.to_owned()),
        ]
    );
    let row = store.run(&run).unwrap();
    assert_eq!((row.goal.as_str(), row.model.as_str(), row.status.as_str()), ("sum it", "small", "completed"));
    assert_eq!((row.workspace.as_path(), &row.settings), (Path::new("/w"), &json!({"yes": true})));
    assert_eq!(store.runs(9).unwrap(), [row]);
}

#[test]
fn long_strings_are_kept_once_and_come_back() {
    let home = home();
    let store = Store::open(home.path()).unwrap();
    let run = new_run(&store);
    let long = "ä".repeat(3000);
    let body = json!({"out": long, "again": [long, {"in": long}], "$blob": "not a reference"});
    store.append(&run, "a", None, &body).unwrap();
    store.append(&run, "b", None, &json!(long)).unwrap();
    let events = store.events(&run).unwrap();
    assert_eq!((&events[0].body, &events[1].body), (&body, &json!(long)));
    let (n_blobs, n_bytes): (i64, i64) = raw(&home)
        .query_row("SELECT (SELECT count(*) FROM blobs), (SELECT sum(length(body)) FROM events)", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .unwrap();
    assert_eq!(n_blobs, 1);
    assert!(n_bytes < 600, "the events hold {n_bytes} bytes");
}

fn any_json() -> impl Strategy<Value = Value> {
    let key = prop_oneof!["[a-z]{0,3}", Just("$blob".into()), Just("$$blob".into()), Just("$".into())];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
        ("[a-c]", 4090_usize..4100).prop_map(|(text, n)| Value::from(text.repeat(n))),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key.clone(), inner), 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

#[test]
fn any_body_comes_back() {
    let home = home();
    let store = Store::open(home.path()).unwrap();
    let run = new_run(&store);
    proptest!(ProptestConfig::with_cases(60), |(body in any_json())| {
        store.append(&run, "k", None, &body).unwrap();
        let last = store.events(&run).unwrap().pop().unwrap();
        prop_assert_eq!(last.body.to_string(), body.to_string());
    });
}

#[test]
fn nobody_rewrites_the_journal() {
    let home = home();
    let store = Store::open(home.path()).unwrap();
    let run = new_run(&store);
    store.append(&run, "a", None, &json!("x".repeat(5000))).unwrap();
    let before = store.events(&run).unwrap();
    for sql in [
        "UPDATE events SET body = '0'",
        "DELETE FROM events",
        "UPDATE blobs SET content = ''",
        "DELETE FROM blobs",
        "INSERT INTO events SELECT run_id, 3, at_ms, kind, step, body FROM events",
        "INSERT OR REPLACE INTO events SELECT run_id, 1, at_ms, 'b', step, body FROM events",
    ] {
        let refused = raw(&home).execute_batch(sql).expect_err(sql).to_string();
        assert!(refused.contains("the journal"), "{sql}: {refused}");
    }
    assert_eq!(store.events(&run).unwrap(), before);
}

#[test]
fn a_batch_is_appended_whole_or_not_at_all() {
    let home = home();
    let store = Store::open(home.path()).unwrap();
    let run = new_run(&store);
    raw(&home)
        .execute_batch(
            "CREATE TRIGGER refuse BEFORE INSERT ON events WHEN NEW.kind = 'bad' BEGIN SELECT raise(ABORT, 'no'); END",
        )
        .unwrap();
    let entry = |kind| Entry { kind, step: None, body: &Value::Null };
    store.append_all(&run, &[entry("good"), entry("bad")]).unwrap_err();
    assert_eq!(store.events(&run).unwrap(), []);
    assert_eq!(store.append(&run, "good", None, &Value::Null).unwrap(), 1);
}

#[test]
fn runs_are_found_by_a_prefix_or_as_the_last_one() {
    let home = home();
    let store = Store::open(home.path()).unwrap();
    assert_eq!(store.find_run("last").unwrap_err().to_string(), "no run \"last\"");
    let ids = [(); 3].map(|()| new_run(&store));
    assert!(ids.is_sorted(), "{ids:?}");
    let listed: Vec<_> = store.runs(2).unwrap().into_iter().map(|row| row.id).collect();
    assert_eq!(listed, [ids[2].clone(), ids[1].clone()]);
    let check = |wanted: &str, want: Result<&RunId, &str>| match (store.find_run(wanted), want) {
        (Ok(found), Ok(want)) => assert_eq!(found, *want, "{wanted}"),
        (Err(found), Err(want)) => assert_eq!(found.to_string(), want, "{wanted}"),
        (found, want) => panic!("{wanted}: {found:?}, not {want:?}"),
    };
    check("last", Ok(&ids[2]));
    check(&ids[1].0, Ok(&ids[1]));
    check("", Err("no run \"\""));
    check("%", Err("no run \"%\""));
    check("nine", Err("no run \"nine\""));
    let year = &ids[0].0[..4];
    let all = format!("{year:?} is the beginning of several runs: {}, {}, {}", ids[2], ids[1], ids[0]);
    check(year, Err(&all));
}

#[test]
fn an_unknown_run_is_named() {
    let home = home();
    let store = Store::open(home.path()).unwrap();
    let nobody = RunId("nobody".into());
    for error in [
        store.append(&nobody, "a", None, &Value::Null).unwrap_err(),
        store.set_status(&nobody, "completed").unwrap_err(),
        store.run(&nobody).unwrap_err(),
    ] {
        assert_eq!(error.to_string(), "no run \"nobody\"");
    }
}

/// Prepares a home, then opens it and lists its runs and their events; the error must say `want`.
fn check_refused(prepare: impl FnOnce(&TempDir), want: &str) {
    let home = home();
    prepare(&home);
    let refused = Store::open(home.path())
        .and_then(|store| store.runs(9)?.iter().try_for_each(|row| store.events(&row.id).map(drop)));
    let refused = refused.expect_err(want).to_string();
    let refused = refused.replace(&home.path().join(schema::FILE_NAME).display().to_string(), "DB");
    assert!(refused.starts_with(want), "{refused:?} does not start with {want:?}");
}

fn filled(home: &TempDir) {
    let store = Store::open(home.path()).unwrap();
    let run = new_run(&store);
    for i in 0..200 {
        store.append(&run, "k", None, &json!({"i": i, "text": "x".repeat(400)})).unwrap();
    }
    store.append(&run, "k", None, &json!("y".repeat(9000))).unwrap();
}

#[test]
fn a_file_that_cannot_be_used_is_explained() {
    check_refused(
        |home| std::fs::write(home.path().join(schema::FILE_NAME), [7; 4096]).unwrap(),
        "DB is damaged: file is not a database",
    );
    check_refused(|home| raw(home).execute_batch("CREATE TABLE t (x)").unwrap(), "DB is a database of another program");
    check_refused(
        |home| {
            filled(home);
            raw(home).execute_batch("PRAGMA user_version = 9").unwrap();
        },
        "DB has schema 9, this program knows schemas up to 2: a newer partita wrote it",
    );
    check_refused(
        |home| std::fs::create_dir(home.path().join(schema::FILE_NAME)).unwrap(),
        "DB cannot be opened for writing",
    );
    check_refused(
        |home| {
            filled(home);
            scribble(home);
        },
        "DB is damaged: ",
    );
    check_refused(
        |home| {
            filled(home);
            swap_blob(home);
        },
        "DB is damaged: content ",
    );
}

/// Overwrites the middle of the file, as a failing disk would.
fn scribble(home: &TempDir) {
    raw(home).execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let path = home.path().join(schema::FILE_NAME);
    let mut bytes = std::fs::read(&path).unwrap();
    let n = bytes.len();
    bytes[4096 * 8..n].fill(0x5a);
    std::fs::write(&path, bytes).unwrap();
}

fn swap_blob(home: &TempDir) {
    raw(home).execute_batch("DROP TRIGGER blobs_stay; UPDATE blobs SET content = 'z'").unwrap();
}

#[test]
fn a_home_that_is_no_folder_is_explained() {
    let home = home();
    let file = home.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = Store::open(&file.join("home")).unwrap_err();
    assert_eq!(error.to_string(), format!("creating the folder {}", file.join("home").display()));
}

#[test]
fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let home = home();
    let store = Store::open(home.path()).unwrap();
    let run = new_run(&store);
    // SQLite answers a page limit as it answers a disk without space.
    let n_pages: i64 = store.connection().pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    store.connection().pragma_update(None, "max_page_count", n_pages + 8).unwrap();
    let body = json!("x".repeat(2000));
    let acknowledged = (1..1000).take_while(|_| store.append(&run, "k", None, &body).is_ok()).count();
    let error = store.append(&run, "k", None, &body).unwrap_err();
    assert!(matches!(error, Error::Full { .. }), "{error:?}");
    assert!(acknowledged > 2 && store.events(&run).unwrap().len() == acknowledged);
    store.connection().pragma_update(None, "max_page_count", 100_000).unwrap();
    assert_eq!(store.append(&run, "k", None, &body).unwrap(), acknowledged as u64 + 1);
}

#[test]
fn a_run_has_one_worker_at_a_time() {
    let home = home();
    let store = Store::open(home.path()).unwrap();
    let (run, other) = (new_run(&store), new_run(&store));
    assert!(!store.is_locked(&run));
    let lock = store.lock_run(&run).unwrap();
    assert!(store.is_locked(&run) && !store.is_locked(&other));
    let refused = Store::open(home.path()).unwrap().lock_run(&run).unwrap_err().to_string();
    assert_eq!(refused, format!("run {run} is being worked on by process {}", std::process::id()));
    store.lock_run(&other).unwrap();
    drop(lock);
    assert!(!store.is_locked(&run));
    store.lock_run(&run).unwrap();
}

#[test]
fn processes_that_start_together_share_a_new_home() {
    for _ in 0..10 {
        let home = home();
        std::thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    let store = Store::open(home.path()).unwrap();
                    let run = new_run(&store);
                    for i in 1..=5 {
                        assert_eq!(store.append(&run, "k", None, &json!(i)).unwrap(), i);
                    }
                });
            }
        });
        let store = Store::open(home.path()).unwrap();
        let runs = store.runs(99).unwrap();
        assert_eq!(runs.len(), 6);
        assert!(runs.iter().all(|row| store.events(&row.id).unwrap().len() == 5));
    }
}

// -- examples ----------------------------------------------------------------------------------------

fn example(task: &str) -> NewExample<'_> {
    NewExample { words: "sum it", task, tool: "calculate", arguments: "{}" }
}

fn tasks(store: &Store) -> Vec<String> {
    store.examples().unwrap().into_iter().map(|example| example.task).collect()
}

#[test]
fn what_was_not_used_for_longest_is_forgotten_first() {
    let home = home();
    let store = Store::open(home.path()).unwrap();
    let wait = || std::thread::sleep(std::time::Duration::from_millis(3));
    store.remember(&["a", "b", "c"].map(example), 3).unwrap();
    wait();
    store.remember(&[example("a")], 3).unwrap();
    let b = store.examples().unwrap().into_iter().find(|example| example.task == "b").unwrap();
    store.touch_examples(&[b.id]).unwrap();
    wait();
    store.remember(&[example("d")], 3).unwrap();
    assert_eq!(tasks(&store), ["d", "b", "a"], "the newest first, without the one that nobody used");
    let used: Vec<i64> = store.examples().unwrap().iter().map(|example| example.n_used).collect();
    assert_eq!(used, [0, 1, 1]);

    assert_eq!(store.forget_examples(Some(b.id)).unwrap(), 1);
    assert_eq!(store.forget_examples(Some(b.id)).unwrap(), 0);
    assert_eq!(tasks(&store), ["d", "a"]);
    assert_eq!(store.forget_examples(None).unwrap(), 2);
    assert_eq!(tasks(&store), [""; 0]);
}

#[test]
fn a_journal_without_examples_gets_room_for_them() {
    let home = home();
    let run = new_run(&Store::open(home.path()).unwrap());
    raw(&home).execute_batch("DROP TABLE examples; PRAGMA user_version = 1").unwrap();
    let store = Store::open(home.path()).unwrap();
    store.remember(&[example("a")], 9).unwrap();
    assert_eq!((tasks(&store), store.run(&run).unwrap().id), (vec!["a".to_owned()], run));
}
