//! `partita run` and `resume` from outside, on a small model of seeded noise: the JSON contract, exit codes, what a
//! terminal is spared, plan files that are refused, and how such runs are listed and shown.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use partita::model::tiny::{self, TinySpec};
use partita::store::{Record, Store};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

const DATA: &str = "name,n\nAda,20\nBob,22\n";

pub const GOAL: &str = "Keep the books of data.csv: convert them to data.json and add them up in total.md.";

/// Steps with every kind of side effect, none of which needs a model.
pub fn chores() -> Value {
    let step = |target: &str, tool: &str, from: &[&str], arguments: Value| json!({"for": target, "do": format!("{tool} for {target}"), "tool": tool, "from": from, "arguments": arguments});
    let sql = "SELECT SUM(n) AS total FROM data";
    json!({"steps": [
        step("later", "append_file", &[], json!({"path": "log.txt", "content": "begun"})),
        step("data.json", "convert", &["data.csv"], json!({"from": "data.csv", "to": "data.json"})),
        step("later", "make_folder", &[], json!({"path": "out"})),
        step("later", "copy_file", &["$3"], json!({"from": "data.csv", "to": "out/copy.csv"})),
        step("total.md", "query_table", &["data.csv"], json!({"files": ["data.csv"], "sql": sql})),
        step("later", "move_file", &["$4"], json!({"from": "out/copy.csv", "to": "out/moved.csv"})),
        step("sum.txt", "calculate", &[], json!({"expression": "6 * 7"})),
        step("later", "append_file", &["$5"], json!({"path": "log.txt", "content": "ended"})),
    ]})
}

/// What [`chores`] leaves behind.
pub fn after_chores() -> BTreeMap<String, String> {
    let json =
        "[\n  {\n    \"name\": \"Ada\",\n    \"n\": 20\n  },\n  {\n    \"name\": \"Bob\",\n    \"n\": 22\n  }\n]\n";
    [
        ("data.csv", DATA),
        ("data.json", json),
        ("log.txt", "begun\nended"),
        ("out/moved.csv", DATA),
        ("sum.txt", "42\n"),
        ("total.md", "| total |\n| ---: |\n| 42 |\n"),
    ]
    .map(|(path, text)| (path.to_owned(), text.to_owned()))
    .into()
}

/// A model of two layers that says noise; written once.
fn tiny_model() -> &'static Path {
    static MODEL: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = MODEL.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiny.gguf");
        tiny::write(&path, &TinySpec { n_ctx: 32_768, ..TinySpec::default() }).unwrap();
        (folder, path)
    });
    path
}

/// A home and a workspace of their own.
pub struct Place {
    pub home: TempDir,
    pub workspace: TempDir,
    model: PathBuf,
}

impl Place {
    /// With the data that [`chores`] works on, and the tiny model.
    pub fn new() -> Self {
        Self::with_model(tiny_model())
    }

    pub fn with_model(model: &Path) -> Self {
        let (home, workspace) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        std::fs::write(workspace.path().join("data.csv"), DATA).unwrap();
        Self { home, workspace, model: model.to_owned() }
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_partita"));
        command.args(args).env_clear().env("PARTITA_HOME", self.home.path()).env("PARTITA_MODEL", &self.model);
        command.env("TZ", "UTC").stdin(Stdio::null());
        command
    }

    /// The arguments of `run` with a plan file.
    pub fn run_args(&self, plan: &Value, more: &[&str]) -> Vec<String> {
        let file = self.home.path().join("plan.json");
        std::fs::write(&file, plan.to_string()).unwrap();
        let fixed =
            ["run", GOAL, "--workspace", self.workspace.path().to_str().unwrap(), "--plan", file.to_str().unwrap()];
        fixed.iter().chain(more).map(|&arg| arg.to_owned()).collect()
    }

    pub fn output(&self, args: &[&str]) -> (i32, String, String) {
        let Output { status, stdout, stderr } = self.command(args).output().expect("partita starts");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        (status.code().expect("an exit code"), text(stdout), text(stderr))
    }

    fn run(&self, plan: &Value, more: &[&str]) -> (i32, String, String) {
        let args = self.run_args(plan, more);
        self.output(&args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The events of the newest run, if there is one.
    pub fn journal(&self) -> Option<Vec<Record>> {
        let store = Store::open(self.home.path()).unwrap();
        let row = store.runs(1).unwrap().pop()?;
        Some(store.events(&row.id).unwrap())
    }

    /// Every file of the workspace with its text.
    pub fn files(&self) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        collect(self.workspace.path(), "", &mut files);
        files
    }
}

fn collect(folder: &Path, prefix: &str, files: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{name}/"), files);
        } else {
            files.insert(name, std::fs::read_to_string(entry.path()).unwrap());
        }
    }
}

fn keys(object: &Value) -> Vec<&str> {
    object.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// The one JSON object that stdout holds.
pub fn report(stdout: &str) -> Value {
    assert_eq!(stdout.trim_end().lines().count(), 1, "stdout is one line: {stdout:?}");
    serde_json::from_str(stdout).unwrap_or_else(|error| panic!("{error}: {stdout:?}"))
}

#[test]
fn a_run_reports_one_json_object_and_its_files() {
    let place = Place::new();
    let (code, stdout, stderr) = place.run(&chores(), &["--yes", "--json"]);
    assert_eq!(code, 0, "{stderr}");
    let report = report(&stdout);
    assert_eq!(keys(&report), ["run_id", "status", "answer", "artifacts", "plan", "assumptions", "stats"]);
    assert_eq!((&report["status"], &report["assumptions"]), (&json!("completed"), &json!([])));
    assert!(!report["answer"].as_str().unwrap().is_empty());
    assert_eq!(place.files(), after_chores());

    let mut paths = Vec::new();
    for artifact in report["artifacts"].as_array().unwrap() {
        assert_eq!(keys(artifact), ["path", "bytes", "sha256"]);
        let path = artifact["path"].as_str().unwrap();
        let bytes = std::fs::read(place.workspace.path().join(path)).unwrap();
        assert_eq!(artifact["bytes"], bytes.len(), "{path}");
        let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(artifact["sha256"], digest, "{path}");
        paths.push(path);
    }
    paths.sort_unstable();
    assert_eq!(paths, ["data.json", "log.txt", "out/moved.csv", "sum.txt", "total.md"]);

    let steps = report["plan"]["steps"].as_array().unwrap();
    assert_eq!(steps.len(), 8);
    assert_eq!(keys(&steps[1])[..4], ["id", "for", "do", "tool"]);
    for (count, want) in [("tool_calls", 8), ("model_calls", 1), ("steps", 8), ("failed_tries", 0)] {
        assert_eq!(report["stats"][count], want, "{count}");
    }
    for tokens in ["prompt_tokens", "cached_tokens", "decoded_tokens", "prefilled_tokens", "wall_s"] {
        assert!(report["stats"][tokens].is_number(), "{tokens}");
    }
    assert_eq!(place.journal().unwrap().last().unwrap().kind, "summarized");
}

#[test]
fn without_json_the_answer_is_all_that_stdout_holds_and_stderr_has_plain_lines() {
    let place = Place::new();
    let (code, stdout, stderr) = place.run(&chores(), &["--yes"]);
    assert_eq!(code, 0, "{stderr}");
    let events = place.journal().unwrap();
    // What a terminal would take for a command is shown as unreadable.
    let answer = events.last().unwrap().body["answer"].as_str().unwrap();
    let shown = answer.replace(|c: char| c.is_control() && c != '\n' && c != '\t', "\u{fffd}");
    assert_eq!(stdout.trim_end(), shown.trim_end());
    for want in ["plan\n", "├─ $2 convert: ", "▶ $2 convert\n", "✓ $2\n", "  data.json ("] {
        assert!(stderr.contains(want), "{want:?} is not in\n{stderr}");
    }
    assert!(!stderr.contains(['\x1b', '\r']), "{stderr:?}");
}

#[test]
fn a_limit_of_steps_ends_the_run_with_what_was_done_and_why() {
    let place = Place::new();
    let (code, stdout, stderr) = place.run(&chores(), &["--yes", "--json", "--max-steps", "2"]);
    assert_eq!(code, 3, "{stderr}");
    let report = report(&stdout);
    assert_eq!(report["status"], "failed");
    let answer = report["answer"].as_str().unwrap();
    assert!(answer.contains("the limit of 2 steps was reached") && answer.contains("data.json"), "{answer}");
    assert_eq!(place.files().into_keys().collect::<Vec<_>>(), ["data.csv", "data.json", "log.txt"]);
    assert!(
        stderr.contains("error: the limit of 2 steps was reached") && stderr.contains("hint: partita show "),
        "{stderr}"
    );
    let id = report["run_id"].as_str().unwrap();
    let (code, _, stderr) = place.output(&["resume", id]);
    assert_eq!(code, 2);
    assert!(stderr.contains("is over: failed"), "{stderr}");
}

#[test]
fn limits_of_tokens_and_time_end_the_run_too() {
    for (limit, why) in [
        (&["--max-tokens", "0"], "the limit of 0 tokens was reached"),
        (&["--max-minutes", "0"], "the time limit was reached"),
    ] {
        let place = Place::new();
        let (code, stdout, stderr) = place.run(&chores(), &[&["--yes", "--json"][..], limit].concat());
        assert_eq!(code, 3, "{stderr}");
        assert!(report(&stdout)["answer"].as_str().unwrap().contains(why), "{stdout}");
        assert_eq!(place.files().into_keys().collect::<Vec<_>>(), ["data.csv"]);
    }
}

#[test]
fn a_question_needs_input_and_resume_goes_on() {
    let plan = json!({"steps": [
        {"for": "later", "do": "Which currency?", "tool": "ask", "from": []},
        {"for": "data.json", "do": "convert", "tool": "convert", "from": ["$1"], "arguments": {"from": "data.csv", "to": "data.json"}},
        {"for": "total.md", "do": "add", "tool": "calculate", "from": [], "arguments": {"expression": "20 + 22"}},
    ]});
    let place = Place::new();
    let (code, stdout, stderr) = place.run(&plan, &["--json"]);
    assert_eq!(code, 4, "{stderr}");
    let first = report(&stdout);
    assert_eq!((&first["status"], &first["answer"]), (&json!("needs_input"), &json!("Which currency?")));
    assert!(stderr.contains("hint: ") && stderr.contains("partita resume "), "{stderr}");
    assert_eq!(place.files().into_keys().collect::<Vec<_>>(), ["data.csv", "total.md"]);

    let id = first["run_id"].as_str().unwrap();
    let (code, stdout, stderr) = place.output(&["resume", id, "--yes", "--json"]);
    assert_eq!(code, 0, "{stderr}");
    let second = report(&stdout);
    assert_eq!((&second["status"], &second["run_id"]), (&json!("completed"), &first["run_id"]));
    assert!(second["assumptions"][0].as_str().unwrap().contains("Which currency?"), "{stdout}");
    let started: Vec<u32> = place
        .journal()
        .unwrap()
        .iter()
        .filter(|event| event.kind == "step_started")
        .map(|event| event.step.unwrap().0)
        .collect();
    assert_eq!(started.iter().filter(|&&step| step == 3).count(), 1, "what was done is not done again: {started:?}");
}

#[test]
fn ctrl_c_ends_cleanly_and_says_how_to_go_on() {
    let plan = json!({"steps": [
        {"for": "total.md", "do": "add", "tool": "calculate", "from": [], "arguments": {"expression": "20 + 22"}},
        {"for": "data.json", "do": "convert", "tool": "convert", "from": ["$1"], "arguments": {"from": "data.csv", "to": "data.json"}},
    ]});
    // Many layers on one thread: the summary takes long enough to be interrupted.
    let slow = tempfile::tempdir().unwrap();
    let model = slow.path().join("slow.gguf");
    tiny::write(&model, &TinySpec { n_ctx: 32_768, n_layers: 120, ..TinySpec::default() }).unwrap();
    let place = Place::with_model(&model);
    let args = place.run_args(&plan, &["--yes", "--json"]);
    let mut command = place.command(&args.iter().map(String::as_str).collect::<Vec<_>>());
    command.env("PARTITA_ISA", "scalar").env("PARTITA_THREADS", "1").stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !place.journal().is_some_and(|events| events.iter().any(|event| event.kind == "checked")) {
        assert!(Instant::now() < deadline, "the run does not get to its check");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(Command::new("sh").args(["-c", &format!("kill -INT {}", child.id())]).status().unwrap().success());
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    let (stdout, stderr) = (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap());
    assert_eq!(status.code(), Some(130), "{stderr}");
    let report = report(&stdout);
    assert_eq!(report["status"], "interrupted");
    let id = report["run_id"].as_str().unwrap();
    assert!(stderr.contains(&format!("hint: go on with: partita resume {id}")), "{stderr}");
    assert_eq!(place.journal().unwrap().last().unwrap().kind, "interrupted");
    let (code, stdout, stderr) = place.output(&["resume", id, "--json", "--model", tiny_model().to_str().unwrap()]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stdout.contains("\"completed\""), "{stdout}");
}

#[test]
fn plan_files_are_checked_before_anything_is_done() {
    let step = |fields: Value| {
        let mut step = json!({"for": "reply", "do": "x", "tool": "calculate", "from": []});
        fields.as_object().unwrap().iter().for_each(|(name, value)| step[name] = value.clone());
        json!({"steps": [step]})
    };
    for (plan, want) in [
        (json!({"steps": []}), "the plan has no step"),
        (json!({"step": []}), "missing field `steps`"),
        (step(json!({"tool": "fly"})), "step $1 wants the tool `fly`; there are answer, "),
        (step(json!({"from": ["$1"]})), "step $1 refers to $1, which is not an earlier step"),
        (step(json!({"each": "row of $7"})), "step $1 refers to $7"),
        (step(json!({"id": 5})), "step number $1 has the id $5"),
        (step(json!({"colour": "red"})), "unknown field `colour`"),
        (step(json!({"as": "painting"})), "unknown variant `painting`"),
    ] {
        let place = Place::new();
        let (code, stdout, stderr) = place.run(&plan, &["--yes", "--json"]);
        assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
        assert!(stderr.contains(want) && stderr.contains("hint: `partita plan --json GOAL`"), "{want}: {stderr}");
        assert_eq!(place.journal(), None, "{want}: a run was begun");
    }
    let place = Place::new();
    let (code, _, stderr) = place.output(&["run", "x", "--plan", "/nowhere/plan.json"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("plan /nowhere/plan.json: "), "{stderr}");
    let (code, _, stderr) = place.output(&["run", "  "]);
    assert_eq!(code, 2, "{stderr}");
    let (code, _, stderr) = place.output(&["run", "x", "--workspace", "/nowhere"]);
    assert!(code == 2 && stderr.contains("the workspace /nowhere is not a folder"), "{stderr}");
}

#[test]
fn a_model_that_cannot_be_loaded_is_a_machine_error_and_the_run_can_go_on() {
    let place = Place::with_model(Path::new("/nowhere/model.gguf"));
    let (code, stdout, stderr) = place.run(&chores(), &["--yes", "--json"]);
    assert_eq!((code, stdout.as_str()), (5, ""), "{stderr}");
    assert!(stderr.contains("/nowhere/model.gguf"), "{stderr}");
    let model = tiny_model().to_str().unwrap();
    let (code, stdout, stderr) = place.output(&["resume", "last", "--json", "--model", model]);
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(report(&stdout)["status"], "completed");
    assert_eq!(place.files(), after_chores());
}

#[test]
fn a_run_is_listed_and_shown_with_its_steps_calls_and_files() {
    let place = Place::new();
    let (code, _, stderr) = place.run(&chores(), &["--yes"]);
    assert_eq!(code, 0, "{stderr}");
    let (_, stdout, _) = place.output(&["runs", "--json"]);
    let runs: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&runs[0]["status"], &runs[0]["goal"]), (&json!("completed"), &json!(GOAL)));

    let (code, stdout, stderr) = place.output(&["show", "last"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    for want in [
        "completed after ",
        "survey, 1 file\n",
        "data.csv: table, 2 rows; columns: name (Ada|Bob), n number",
        "plan, 8 steps\n",
        "$2 convert: convert for data.json  ← data.csv  → data.json  done in ",
        "$8 append_file: append_file for later  ← $5  done in ",
        "query_table {\"files\":[\"data.csv\"],\"sql\":\"SELECT SUM(n) AS total FROM data\"}  ok, ",
        "total\n",
        "wrote total.md, 26 B\n",
        "made the folder out\n",
        "check: all that the goal asks for is there\n",
        "model, summary: ",
        "summary\n",
        "\nfiles\n",
        "  sum.txt",
        "\nanswer\n",
    ] {
        assert!(stdout.contains(want), "{want:?} is not in\n{stdout}");
    }
    let (_, stdout, _) = place.output(&["show", "last", "--json"]);
    let shown: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(shown["events"].as_array().unwrap().len(), place.journal().unwrap().len());
    let paths: BTreeSet<&str> =
        shown["artifacts"].as_array().unwrap().iter().filter_map(|file| file["path"].as_str()).collect();
    assert_eq!(paths, ["data.json", "log.txt", "out/moved.csv", "sum.txt", "total.md"].into());
}

#[test]
fn one_process_at_a_time_works_on_a_run() {
    let place = Place::new();
    let args = place.run_args(&chores(), &["--yes", "--json", "--max-steps", "0"]);
    let store = Store::open(place.home.path()).unwrap();
    let id = store
        .create_run(&partita::store::NewRun {
            goal: "x",
            workspace: place.workspace.path(),
            model: "m",
            settings: &json!({}),
        })
        .unwrap();
    let lock = store.lock_run(&id).unwrap();
    let (code, _, stderr) = place.output(&["resume", &id.0, "--yes"]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("hint: let it finish or stop it first"), "{stderr}");
    assert_eq!(store.events(&id).unwrap(), [], "a run that another process works on is left alone");
    drop(lock);
    let (code, _, _) = place.output(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(code, 3, "another run is not held up");
}

/// Tokens of the prompt of a plan, and how many of them were cached.
fn planned(place: &Place, more: &[&str]) -> (u64, u64, String) {
    let args = [&["run", GOAL, "--yes", "--json", "--max-steps", "1", "--workspace"], more].concat();
    let workspace = place.workspace.path().to_str().unwrap();
    let (_, _, stderr) = place.output(&[&args[..7], &[workspace], &args[7..]].concat());
    let journal = place.journal().expect("a run");
    let plan = journal.iter().find(|record| record.body["purpose"] == "plan").expect("a plan was asked for");
    let count = |key: &str| plan.body["usage"][key].as_u64().unwrap();
    (count("prompt_tokens"), count("cached_tokens"), stderr)
}

#[test]
fn a_second_process_begins_where_the_first_one_stood() {
    let place = Place::new();
    let kv = place.home.path().join("kv");
    let (_, n_cached, _) = planned(&place, &["--no-kv-disk"]);
    assert!(n_cached == 0 && !kv.exists());
    let (_, n_cached, stderr) = planned(&place, &[]);
    assert!(n_cached == 0 && kv.exists() && !stderr.contains("warning"), "{stderr}");
    // All but the turn with survey and goal, which has less than a thousand bytes.
    let (n_prompt, n_cached, stderr) = planned(&place, &[]);
    assert!(n_prompt - n_cached < 1000 && n_cached > 3000, "{n_cached} of {n_prompt}: {stderr}");
    assert!(!stderr.contains("warning"), "{stderr}");
    assert_eq!(planned(&place, &["--no-kv-disk"]).1, 0);

    for entry in std::fs::read_dir(&kv).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, bytes).unwrap();
    }
    let (_, n_cached, stderr) = planned(&place, &[]);
    assert_eq!(n_cached, 0, "nothing is taken from a damaged file");
    assert!(stderr.contains("warning: ") && stderr.contains("its checksum does not fit"), "{stderr}");
    let (_, n_cached, stderr) = planned(&place, &[]);
    assert!(n_cached > 3000 && !stderr.contains("warning"), "the files were replaced: {n_cached}, {stderr}");
}
