//! What a run may do, from outside: `--ask` and `partita answer`, `--read-only`, and the settings in the home folder, which
//! no workspace can replace.

use serde_json::{Value, json};

use crate::run::{Place, after_chores, chores, report};

fn run(place: &Place, plan: &Value, more: &[&str]) -> (i32, String, String) {
    let args = place.run_args(plan, more);
    place.output(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

fn question() -> Value {
    json!({"steps": [
        {"for": "later", "do": "Which currency?", "tool": "ask", "from": []},
        {"for": "data.json", "do": "convert", "tool": "convert", "from": ["$1"], "arguments": {"from": "data.csv", "to": "data.json"}},
        {"for": "total.md", "do": "add", "tool": "calculate", "from": [], "arguments": {"expression": "20 + 22"}},
    ]})
}

#[test]
fn an_answer_is_recorded_and_the_run_goes_on() {
    let place = Place::new();
    let (code, stdout, stderr) = run(&place, &question(), &["--json"]);
    assert_eq!(code, 4, "{stderr}");
    let id = report(&stdout)["run_id"].as_str().unwrap().to_owned();
    assert!(stderr.contains(&format!("hint: partita answer {id} \"TEXT\"")), "{stderr}");
    let (code, _, stderr) = place.output(&["answer", &id, "  "]);
    assert!(code == 2 && stderr.contains("the answer is empty"), "{stderr}");

    let (code, stdout, stderr) = place.output(&["answer", "last", "euro", "--json"]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("Which currency?: euro"), "{stderr}");
    let report = report(&stdout);
    assert_eq!((&report["status"], &report["assumptions"]), (&json!("completed"), &json!([])));
    let events = place.journal().unwrap();
    let answered = events.iter().find(|event| event.kind == "answered").expect("the answer is journaled");
    assert_eq!((&answered.body["answer"], &answered.body["assumed"]), (&json!("euro"), &json!(false)));
    let proposed = events.iter().find(|event| event.kind == "step_proposed" && event.step == answered.step).unwrap();
    assert_eq!(proposed.body["output"]["value"]["text"], "euro", "the answer is the step's result");

    let (code, _, stderr) = place.output(&["answer", "last", "dollar"]);
    assert!(code == 2 && stderr.contains("is over: completed"), "{stderr}");
}

#[test]
fn an_answer_needs_a_question() {
    let place = Place::new();
    let (code, _, stderr) = place.output(&["answer", "last", "yes"]);
    assert!(code == 2 && stderr.contains("no run \"last\""), "{stderr}");
    // A run whose model could not be loaded has asked nothing yet.
    let args = place.run_args(&question(), &["--model", "/nowhere/model.gguf"]);
    let (code, _, stderr) = place.output(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(code, 5, "{stderr}");
    let (code, _, stderr) = place.output(&["answer", "last", "yes"]);
    assert!(code == 2 && stderr.contains("waits for no answer") && stderr.contains("partita resume"), "{stderr}");
}

#[test]
fn with_ask_a_run_waits_for_every_effect() {
    let place = Place::new();
    let untouched = place.files();
    let (mut code, _, mut stderr) = run(&place, &chores(), &["--ask", "--json"]);
    assert_eq!(place.files(), untouched);
    let mut n_asked = 0;
    while code == 4 {
        n_asked += 1;
        assert!(n_asked < 40, "it asks without end: {stderr}");
        (code, _, stderr) = place.output(&["answer", "last", "yes", "--json"]);
    }
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(place.files(), after_chores());
    // All of the eight steps make changes, and seven do something that is asked about before.
    assert_eq!(
        n_asked,
        15,
        "{:?}",
        place.journal().unwrap().iter().filter(|event| event.kind == "asked").collect::<Vec<_>>()
    );

    let place = Place::new();
    assert_eq!(run(&place, &chores(), &["--ask", "--max-tokens", "1"]).0, 4);
    let (code, stdout, _) = place.output(&["answer", "last", "no", "--yes"]);
    assert_eq!(code, 3);
    assert!(stdout.contains("not allowed: begin $1 with append_file"), "{stdout}");
    for conflict in [["--ask", "--yes"], ["--ask", "--read-only"]] {
        let (code, _, stderr) = run(&Place::new(), &chores(), &conflict);
        assert!(code == 2 && stderr.contains("cannot be used with"), "{stderr}");
    }
}

#[test]
fn read_only_changes_nothing_and_the_answer_says_so() {
    let place = Place::new();
    let untouched = place.files();
    let sql = "SELECT SUM(n) AS total FROM data";
    let plan = json!({"steps": [{"for": "total.md", "do": "add up", "tool": "query_table", "from": ["data.csv"],
        "arguments": {"files": ["data.csv"], "sql": sql}}]});
    let (code, stdout, stderr) = run(&place, &plan, &["--read-only", "--json"]);
    assert_eq!(code, 3, "{stderr}");
    let answer = report(&stdout)["answer"].as_str().unwrap().to_owned();
    assert!(answer.ends_with("Read-only: nothing was written or run."), "{answer}");
    assert!(answer.contains("total.md was not written"), "{answer}");
    assert_eq!(place.files(), untouched);

    let (code, stdout, stderr) = run(&place, &chores(), &["--read-only", "--json"]);
    assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
    assert!(stderr.contains("step $1 wants the tool `append_file`; there are "), "{stderr}");
    assert_eq!(place.files(), untouched);

    let (code, grammar, stderr) = place.output(&[
        "plan",
        "Tidy up.",
        "--read-only",
        "--grammar",
        "--workspace",
        place.workspace.path().to_str().unwrap(),
    ]);
    assert_eq!(code, 0, "{stderr}");
    assert!(
        grammar.contains("query_table") && !grammar.contains("move_file") && !grammar.contains("script"),
        "{grammar}"
    );
}

#[test]
fn settings_come_from_the_home_folder_alone() {
    let deny = "[tools]\nmove_file = \"deny\"\n";
    let place = Place::new();
    std::fs::write(place.workspace.path().join("config.toml"), deny).unwrap();
    let (code, _, stderr) = run(&place, &chores(), &["--yes"]);
    assert_eq!(code, 0, "a workspace carries no settings: {stderr}");

    let place = Place::new();
    std::fs::write(place.home.path().join("config.toml"), deny).unwrap();
    let (code, _, stderr) = run(&place, &chores(), &["--yes"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("step $6 wants the tool `move_file`"), "{stderr}");

    for (text, want) in [
        ("[tools]\nmove = \"deny\"\n", "there is no tool `move`; there are list_files, "),
        ("[tools]\nscript = \"sometimes\"\n", "line 2: unknown variant `sometimes`"),
        ("[limits]\n", "unknown field `limits`"),
    ] {
        std::fs::write(place.home.path().join("config.toml"), text).unwrap();
        let (code, stdout, stderr) = run(&place, &chores(), &["--yes"]);
        assert_eq!((code, stdout.as_str()), (2, ""), "{stderr}");
        assert!(stderr.contains("config.toml: ") && stderr.contains(want) && stderr.contains("hint: "), "{stderr}");
        assert_eq!(place.journal(), None, "no run was begun");
    }
}

#[test]
fn a_run_cannot_write_the_settings_of_the_next_one() {
    let place = Place::new();
    let home = place.workspace.path().join("inside/home");
    std::fs::create_dir_all(&home).unwrap();
    let plan = json!({"steps": [{"for": "later", "do": "allow all", "tool": "append_file", "from": [],
        "arguments": {"path": "inside/home/config.toml", "content": "[tools]\nscript = \"allow\"\n"}}]});
    let args = place.run_args(&plan, &["--yes", "--max-tokens", "1", "--home", home.to_str().unwrap()]);
    let (code, stdout, _) = place.output(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(code, 3);
    assert!(stdout.contains("belongs to this program"), "{stdout}");
    assert!(!home.join("config.toml").exists());
}
