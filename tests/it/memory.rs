//! `partita memory` from outside: what a run leaves, and that it can be looked at, taken along, forgotten and turned off.

use serde_json::Value;

use crate::run::{Place, chores};

fn run(place: &Place, more: &[&str]) {
    let args = place.run_args(&chores(), more);
    let (code, _, stderr) = place.output(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(code, 0, "{stderr}");
}

fn examples(place: &Place) -> Vec<Value> {
    let (code, stdout, stderr) = place.output(&["memory", "export"]);
    assert_eq!(code, 0, "{stderr}");
    stdout.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect()
}

#[test]
fn what_a_run_leaves_can_be_listed_exported_and_forgotten() {
    let place = Place::new();
    let (code, stdout, stderr) = place.output(&["memory", "list"]);
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (0, "", "nothing is remembered yet\n"));

    run(&place, &["--yes"]);
    let kept = examples(&place);
    assert_eq!(kept.len(), 8, "{kept:?}");
    let text = format!("{kept:?}");
    for file in ["data.csv", "data.json", "log.txt", "total.md", "copy.csv", "moved.csv"] {
        assert!(!text.contains(file), "{file} is named in {text}");
    }
    let (_, listed, _) = place.output(&["memory", "list"]);
    assert!(listed.starts_with("ID  TOOL"), "{listed}");
    assert!(listed.contains("\"sql\":\"SELECT SUM(n)"), "{listed}");
    assert_eq!(listed.lines().count(), 9, "{listed}");

    for made in ["data.json", "log.txt", "sum.txt", "total.md", "out/moved.csv"] {
        std::fs::remove_file(place.workspace.path().join(made)).unwrap();
    }
    std::fs::remove_dir(place.workspace.path().join("out")).unwrap();
    run(&place, &["--yes"]);
    assert_eq!(examples(&place).len(), 8, "what is known already is not kept twice");

    let id = kept[0]["id"].to_string();
    let (code, _, stderr) = place.output(&["memory", "forget", &id]);
    assert_eq!((code, stderr.as_str()), (0, "forgot 1 example\n"));
    let (code, _, stderr) = place.output(&["memory", "forget", &id]);
    assert!(code == 2 && stderr.contains(&format!("there is no example {id}")), "{stderr}");
    for wrong in [&["memory", "forget"][..], &["memory", "forget", "1", "--all"], &["memory", "forget", "all"]] {
        assert_eq!(place.output(wrong).0, 2, "{wrong:?}");
    }
    let (code, _, stderr) = place.output(&["memory", "forget", "--all"]);
    assert_eq!((code, stderr.as_str()), (0, "forgot 7 examples\n"));
    assert_eq!(examples(&place).len(), 0);
}

#[test]
fn no_memory_keeps_nothing() {
    let place = Place::new();
    run(&place, &["--yes", "--no-memory"]);
    assert_eq!(examples(&place).len(), 0);
    let (code, _, stderr) = place.output(&["run", "x", "--memory", "--no-memory"]);
    assert!(code == 2 && stderr.contains("cannot be used with"), "{stderr}");
}
