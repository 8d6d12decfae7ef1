//! The command line from outside: options of the contract, exit codes, what goes to stdout and to stderr.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use partita::store::{NewRun, Store};
use partita::types::{RunId, StepId};
use serde_json::{Value, json};
use tempfile::TempDir;

fn partita(home: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_partita"));
    command.args(args).env_clear().env("PARTITA_HOME", home).env("TZ", "UTC").stdin(Stdio::null());
    command
}

fn output(home: &Path, args: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = partita(home, args).output().expect("partita starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (status.code().expect("an exit code"), text(stdout), text(stderr))
}

/// Runs a command in an empty home and compares its exit code and what stderr holds.
fn check_refused(args: &[&str], code: i32, wants: &[&str]) {
    let home = tempfile::tempdir().unwrap();
    let (found, stdout, stderr) = output(home.path(), args);
    assert_eq!((found, stdout.as_str()), (code, ""), "{args:?}: {stderr}");
    for want in wants.iter().chain(&["error: ", "\nhint: "]) {
        assert!(stderr.contains(want), "{args:?}: {want:?} is not in {stderr:?}");
    }
}

#[test]
fn help_names_every_option_of_the_contract() {
    let home = tempfile::tempdir().unwrap();
    for (command, wants) in [
        (
            &[][..],
            &["run", "plan", "resume", "answer", "generate", "models", "runs", "show", "bench", "130 interrupted"][..],
        ),
        (
            &["run"],
            &["<GOAL>", "--workspace <DIR>", "--model <NAME|PATH>", "--yes", "--offline", "--json", "--plan <FILE>"],
        ),
        (&["run"], &["--max-minutes <N>", "--max-tokens <N>", "--max-steps <N>", "--home <DIR>", "PARTITA_HOME"]),
        (&["run"], &["--ask", "--read-only", "--yes", "--memory", "--no-memory"]),
        (&["answer"], &["<RUN>", "<TEXT>", "--yes", "--json"]),
        (&["plan"], &["<GOAL>", "--workspace <DIR>", "--model <NAME|PATH>", "--json", "--grammar"]),
        (&["resume"], &["<RUN>", "--yes", "--json", "--offline"]),
        (&["generate"], &["[PROMPT]", "--model <NAME|PATH>", "--json", "--schema"]),
        (&["memory"], &["list", "export", "forget"]),
        (&["models"], &["list", "pull", "verify", "show", "rm"]),
        (&["runs"], &["--json", "--limit <N>"]),
        (&["show"], &["<RUN>", "--json", "--full"]),
        (&["bench"], &["model"]),
        (&["bench", "model"], &["--model <NAME|PATH>", "--json"]),
    ] {
        let args = [command, &["--help"]].concat();
        let (code, stdout, stderr) = output(home.path(), &args);
        assert_eq!((code, stderr.as_str()), (0, ""), "{args:?}");
        for want in wants {
            assert!(stdout.contains(want), "{args:?}: {want:?} is not in\n{stdout}");
        }
        assert!(!stdout.contains("__script-child") && !stdout.contains('\x1b'), "{args:?}:\n{stdout}");
    }
}

#[test]
fn the_version_is_the_crates() {
    let home = tempfile::tempdir().unwrap();
    let (code, stdout, _) = output(home.path(), &["--version"]);
    assert_eq!((code, stdout), (0, format!("partita {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn what_cannot_be_carried_out_is_a_usage_error_with_a_hint() {
    check_refused(&["sum the numbers"], 2, &["partita run \"sum the numbers\""]);
    check_refused(&["run"], 2, &["<GOAL>", "partita help COMMAND"]);
    check_refused(&["run", "--frobnicate", "goal"], 2, &["--frobnicate"]);
    check_refused(&["run", "--max-minutes", "soon", "goal"], 2, &["soon", "--max-minutes"]);
    check_refused(&["models"], 2, &[]);
    check_refused(&["show", "nine"], 2, &["no run \"nine\"", "`partita runs` lists the runs"]);
    check_refused(&["show", "last"], 2, &["no run \"last\""]);
    check_refused(&["resume", "nine"], 2, &["no run \"nine\""]);
}

#[test]
fn an_unknown_model_is_a_machine_error() {
    for command in [&["generate", "hello"][..], &["run", "--yes", "goal"], &["plan", "goal"]] {
        check_refused(&[command, &["--offline", "--model", "no-such-model"]].concat(), 5, &["no-such-model"]);
    }
    for command in ["pull", "verify", "rm", "show"] {
        check_refused(&["models", command, "no-such-model"], 5, &["no-such-model"]);
    }
}

#[test]
fn a_home_that_cannot_be_used_is_a_machine_error() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (code, _, stderr) = output(&file.join("home"), &["runs"]);
    assert_eq!(code, 5);
    assert!(stderr.contains("error: creating the folder ") && stderr.contains("hint: choose a folder"), "{stderr}");
    std::fs::write(place.path().join("partita.db"), "not a database, but long enough to be one".repeat(99)).unwrap();
    let (code, _, stderr) = output(place.path(), &["runs"]);
    assert_eq!(code, 5);
    assert!(stderr.contains("is damaged: ") && stderr.contains("hint: move the file away"), "{stderr}");
}

/// A home with one finished run and one that was killed.
fn home_with_runs() -> (TempDir, RunId, RunId) {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(home.path()).unwrap();
    let create = |goal| {
        let new =
            NewRun { goal, workspace: Path::new("/w"), model: "/models/small.gguf", settings: &json!({"yes": true}) };
        store.create_run(&new).unwrap()
    };
    let done = create("sum\nthe \u{1b}[31mnumbers");
    let usage =
        json!({"prompt_tokens": 900, "cached_tokens": 100, "decoded_tokens": 99, "prefill_ms": 1.0, "decode_ms": 1.0});
    for (kind, step, body) in [
        ("planned", None, json!({"round": 0, "steps": [{"id": 1, "do": "add", "tool": "calculate", "from": []}]})),
        ("model_called", Some(StepId(1)), json!({"purpose": "arguments", "usage": usage, "text": "1+2"})),
        ("changed", Some(StepId(1)), json!({"path": "sum.txt", "bytes": 2, "sha256": "c0ffee"})),
        ("step_done", Some(StepId(1)), json!({})),
        ("summarized", None, json!({"answer": "It is 3."})),
    ] {
        store.append(&done, kind, step, &body).unwrap();
    }
    store.set_status(&done, "completed").unwrap();
    (home, done, create("count"))
}

#[test]
fn runs_are_listed_newest_first() {
    let (home, done, killed) = home_with_runs();
    let (code, stdout, stderr) = output(home.path(), &["runs"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    let lines: Vec<Vec<&str>> = stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["RUN", "STARTED", "STATUS", "SECONDS", "TOKENS", "MODEL", "GOAL"]);
    assert_eq!(
        (lines[1][0], lines[1][3], &lines[1][5..]),
        (killed.0.as_str(), "interrupted", &["0", "small.gguf", "count"][..])
    );
    assert_eq!((lines[2][0], lines[2][3], lines[2][5]), (done.0.as_str(), "completed", "999"));
    assert!(!stdout.contains('\x1b'), "{stdout:?}");
    assert_eq!(output(home.path(), &["runs", "--limit", "1"]).1.lines().count(), 2);

    let (_, stdout, _) = output(home.path(), &["runs", "--json"]);
    let listed: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(listed[0]["status"], "interrupted");
    assert_eq!(listed[1]["usage"]["cached_tokens"], 100);
    assert_eq!(listed[1]["run_id"], done.0);

    let _lock = Store::open(home.path()).unwrap().lock_run(&killed).unwrap();
    let (_, stdout, _) = output(home.path(), &["runs", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&stdout).unwrap()[0]["status"], "running");
}

#[test]
fn a_home_without_runs_says_how_to_start_one() {
    let home = tempfile::tempdir().unwrap();
    assert_eq!(
        output(home.path(), &["runs"]),
        (0, String::new(), "no runs yet: start one with `partita run \"GOAL\"`\n".into())
    );
    assert_eq!(output(home.path(), &["runs", "--json"]).1, "[]\n");
}

#[test]
fn a_run_is_shown_as_a_tree_and_as_json() {
    let (home, done, _) = home_with_runs();
    let (code, stdout, stderr) = output(home.path(), &["show", &done.0]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    for want in [
        "completed",
        "900 read (100 cached",
        "└─ $1 calculate: add  done in ",
        "wrote sum.txt, 2 B",
        "\nfiles\n  sum.txt  2 B  sha256 c0ffee\n",
        "\nanswer\nIt is 3.\n",
    ] {
        assert!(stdout.contains(want), "{want:?} is not in\n{stdout}");
    }
    assert!(!stdout.contains('\x1b'), "the goal's control characters reached the terminal: {stdout:?}");

    let (_, stdout, _) = output(home.path(), &["show", &done.0, "--json"]);
    let shown: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(shown["answer"], "It is 3.");
    assert_eq!(shown["settings"], json!({"yes": true}));
    assert_eq!(shown["artifacts"], json!([{"path": "sum.txt", "bytes": 2, "sha256": "c0ffee"}]));
    let kinds: Vec<&str> =
        shown["events"].as_array().unwrap().iter().filter_map(|event| event["kind"].as_str()).collect();
    assert_eq!(kinds, ["planned", "model_called", "changed", "step_done", "summarized"]);
}

#[test]
fn a_run_is_found_by_the_beginning_of_its_id() {
    let (home, done, killed) = home_with_runs();
    let (_, stdout, _) = output(home.path(), &["show", "last", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&stdout).unwrap()["run_id"], killed.0);
    let (code, _, stderr) = output(home.path(), &["show", &done.0[..8]]);
    assert_eq!(code, 2);
    assert!(
        stderr.contains("is the beginning of several runs") && stderr.contains("hint: give more of the id"),
        "{stderr}"
    );
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let (home, done, _) = home_with_runs();
    let store = Store::open(home.path()).unwrap();
    store.append(&done, "note", None, &json!("x".repeat(1_000_000))).unwrap();
    let mut command = partita(home.path(), &["show", &done.0, "--json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut first = [0; 1];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap(); // and closes the pipe
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    assert_eq!((status.code(), String::from_utf8(stderr).unwrap().as_str()), (Some(0), ""));
}
