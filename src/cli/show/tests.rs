//! Journals and the trees that are drawn of them.

use serde_json::{Value as Json, json};

use super::leaf::Limit;
use super::tree::{build, draw};
use super::{answer, artifacts};
use crate::cli::render::Style;
use crate::store::Record;
use crate::types::StepId;

/// Events 100 ms apart: `(kind, step or 0, body)`.
fn events(rows: &[(&str, u32, Json)]) -> Vec<Record> {
    let record = |(i, (kind, step, body)): (usize, &(&str, u32, Json))| Record {
        seq: i as u64 + 1,
        at_ms: i as i64 * 100,
        kind: (*kind).to_owned(),
        step: (*step > 0).then_some(StepId(*step)),
        body: body.clone(),
    };
    rows.iter().enumerate().map(record).collect()
}

fn check(rows: &[(&str, u32, Json)], want: &str) {
    let text = draw(&build(&events(rows), Limit::SHORT, Style::new(false)));
    assert_eq!(text, want, "\n{text}");
}

fn journal() -> Vec<(&'static str, u32, Json)> {
    let usage = json!({"prompt_tokens": 1412, "cached_tokens": 1400, "decoded_tokens": 28, "prefill_ms": 40.0, "decode_ms": 900.0});
    vec![
        ("surveyed", 0, json!({"text": "a.csv: 3 rows", "paths": ["a.csv"]})),
        (
            "planned",
            0,
            json!({"round": 0, "steps": [
                {"id": 1, "do": "total by region", "tool": "query_table", "from": ["a.csv"], "into": "out.md"},
                {"id": 2, "do": "say it", "tool": "write", "from": ["$1"]},
            ]}),
        ),
        ("step_started", 1, json!({"attempt": 1, "tool": "query_table"})),
        ("model_called", 1, json!({"purpose": "query", "usage": usage, "text": "SELECT"})),
        (
            "tool_called",
            1,
            json!({"tool": "query_table", "arguments": {"sql": "SELECT"}, "result": "no such table", "ok": false, "ms": 4.2}),
        ),
        ("step_failed", 1, json!({"attempt": 1, "error": "no such table", "tried": "SELECT"})),
        ("step_started", 1, json!({"attempt": 2, "tool": "query_table"})),
        (
            "step_proposed",
            1,
            json!({"output": {"value": {"table": {"columns": ["r", "n"], "rows": [["N", 1], ["S", null]]}}, "notes": ["one row left out"]}}),
        ),
        ("changed", 1, json!({"path": "out.md", "bytes": 412, "sha256": "ab"})),
        ("step_done", 1, json!({})),
        ("checked", 0, json!({"unmet": []})),
        ("summarized", 0, json!({"answer": "N leads."})),
    ]
}

#[test]
fn a_run_is_drawn_as_a_tree() {
    check(
        &journal(),
        "\
├─ survey, 1 files
│    a.csv: 3 rows
├─ plan, 2 steps
│  ├─ $1 query_table: total by region  ← a.csv  → out.md  done in 700 ms
│  │  ├─ model, query: 1,412 read (1,400 cached, 300.0/s), 28 written, 31.1/s
│  │  │    SELECT
│  │  ├─ query_table {\"sql\":\"SELECT\"}  error, 4 ms
│  │  │    no such table
│  │  ├─ attempt 1 failed: no such table
│  │  │    SELECT
│  │  ├─ attempt 2 with query_table
│  │  ├─ result
│  │  │    r | n
│  │  │    N | 1
│  │  │    S |
│  │  │    note: one row left out
│  │  └─ wrote out.md, 412 B
│  └─ $2 write: say it  ← $1  not started
├─ check: all that the goal asks for is there
└─ summary
     N leads.
",
    );
}

#[test]
fn what_is_not_known_is_shown_field_by_field() {
    check(
        &[
            ("some_news", 0, json!({"a": 1, "none": null, "list": ["x", {"y": "two\nlines"}]})),
            ("asked", 7, json!({"question": "which?"})),
        ],
        "\
├─ some news
│    a: 1
│    list:
│      - x
│      - y:
│          two
│          lines
└─ step $7  waits for an answer
   └─ asked: which?
",
    );
}

#[test]
fn long_texts_are_cut_unless_all_is_wanted() {
    let long: Vec<String> = (1..=12).map(|i| format!("line {i} {}", "x".repeat(200))).collect();
    let rows = events(&[("summarized", 0, json!({"answer": long.join("\n")}))]);
    let short = draw(&build(&rows, Limit::SHORT, Style::new(false)));
    assert_eq!(short.lines().count(), 10, "{short}");
    assert!(short.ends_with("     … 4 more lines (--full shows them)\n"), "{short}");
    assert!(short.lines().all(|line| line.chars().count() <= 165), "{short}");
    let full = draw(&build(&rows, Limit::NONE, Style::new(false)));
    assert!(long.iter().all(|line| full.contains(line)), "{full}");
}

#[test]
fn files_are_told_once_as_they_were_last() {
    let change =
        |path: &str, bytes: u64| ("changed", 1, json!({"path": path, "bytes": bytes, "sha256": "ab", "step": 1}));
    let rows = events(&[change("b", 1), change("a", 2), change("b", 3)]);
    let want = [json!({"path": "b", "bytes": 3, "sha256": "ab"}), json!({"path": "a", "bytes": 2, "sha256": "ab"})];
    assert_eq!(artifacts(&rows), want);
    assert_eq!(answer(&events(&journal())), Some("N leads."));
    assert_eq!(answer(&rows), None);
}
