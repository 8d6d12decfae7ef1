//! Journals and the trees that are drawn of them.

use serde_json::{Value as Json, json};

use super::leaf::{Limit, leaf};
use super::tree::{build, draw};
use super::{answer, artifacts};
use crate::cli::render::Style;
use crate::orchestrate::{Brief, Event, Step, Unmet};
use crate::store::Record;
use crate::tool::{Output, Value};
use crate::types::{StepId, Usage};

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

#[test]
fn a_step_that_began_before_the_plan_was_whole_says_so() {
    let step = json!({"id": 1, "do": "it", "tool": "write", "from": [], "for": "reply"});
    check(
        &[
            ("sketched", 0, json!({ "step": step })),
            ("step_started", 1, json!({"attempt": 1, "tool": "write"})),
            ("step_done", 1, json!({})),
            ("planned", 0, json!({"round": 0, "steps": [step]})),
        ],
        "└─ plan, 1 step\n   └─ $1 write: it  (begun 200 ms before the plan was whole)  done in 100 ms\n",
    );
}

fn journal() -> Vec<(&'static str, u32, Json)> {
    let usage = json!({"prompt_tokens": 1412, "cached_tokens": 1392, "decoded_tokens": 28, "prefill_ms": 40.0, "decode_ms": 900.0});
    vec![
        ("surveyed", 0, json!({"text": "a.csv: 3 rows", "paths": ["a.csv"]})),
        (
            "planned",
            0,
            json!({"round": 0, "steps": [
                {"id": 1, "do": "total by region", "tool": "query_table", "from": ["a.csv"], "for": "out.md"},
                {"id": 2, "do": "say it", "tool": "write", "from": ["$1"], "for": "reply", "each": "row of $1"},
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
            json!({"output": {"value": {"table": {"columns": ["r", "n"], "rows": [["N", 1], ["S", null]]}}, "changes": [{"write": {"path": "out.md", "content": "| r | n |"}}], "notes": ["one row left out"]}}),
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
├─ survey, 1 file
│    a.csv: 3 rows
├─ plan, 2 steps
│  ├─ $1 query_table: total by region  ← a.csv  → out.md  done in 700 ms
│  │  ├─ model, query: 1,412 read (1,392 cached, 500.0/s), 28 written, 31.1/s
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
│  │  │    change: write out.md
│  │  │    note: one row left out
│  │  └─ wrote out.md, 412 B
│  └─ $2 write: say it  ← $1  each row of $1  not started
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

#[test]
fn a_sub_plan_stands_under_its_step() {
    let step = |id: u32, task: &str| json!({"id": id, "do": task, "tool": "write", "from": []});
    check(
        &[
            ("planned", 0, json!({"round": 0, "steps": [step(1, "the whole"), step(2, "the rest")]})),
            ("expanded", 1, json!({"steps": [step(3, "a part")]})),
            ("step_failed", 3, json!({"attempt": 1, "error": "no", "tried": ""})),
            ("step_done", 1, json!({})),
        ],
        "\
└─ plan, 2 steps
   ├─ $1 write: the whole  done in 200 ms
   │  └─ plan, 1 step
   │     └─ $3 write: a part  failed after 0 ms
   │        └─ attempt 1 failed: no
   └─ $2 write: the rest  not started
",
    );
}

/// An event as the journal keeps it.
fn journaled(event: &Event) -> Record {
    let mut body = serde_json::to_value(event).unwrap();
    let kind = body.as_object_mut().unwrap().remove("kind").unwrap();
    Record { seq: 1, at_ms: 0, kind: kind.as_str().unwrap().into(), step: event.step(), body }
}

/// The orchestrator's events and their lines; none falls back to the plain list of fields.
#[test]
fn every_event_has_a_line_of_its_own() {
    let step = StepId(1);
    let text = String::from;
    let usage = Usage { prompt_tokens: 12, cached_tokens: 2, decoded_tokens: 3, ..Usage::default() };
    let output = Output::from(Value::Text(text("v")));
    let steps: Vec<Step> = Vec::new();
    let rows = [
        (Event::Surveyed { text: text("t"), paths: vec![text("a")] }, "survey, 1 file|t"),
        (Event::Briefed { brief: Brief::default() }, "brief|"),
        (Event::PlanFailed { error: text("e") }, "no plan: e|"),
        (Event::StepStarted { step, attempt: 1, tool: text("t") }, ""),
        (Event::StepStarted { step, attempt: 2, tool: text("t") }, "attempt 2 with t|"),
        (
            Event::ToolCalled {
                step,
                tool: text("t"),
                arguments: json!({"a": 1}),
                result: text("r"),
                ok: true,
                by_script: true,
                ms: 2.0,
            },
            "script: t {\"a\":1}  ok, 2 ms|r",
        ),
        (
            Event::ModelCalled { step: None, purpose: text("p"), usage, text: text("t") },
            "model, p: 12 read (2 cached), 3 written|t",
        ),
        (Event::StepProposed { step, output }, "result|v"),
        (Event::Changed { step, path: text("p"), bytes: 9, sha256: text("s") }, "wrote p, 9 B|"),
        (Event::StepDone { step }, ""),
        (
            Event::StepFailed { step, attempt: 3, error: text("e"), tried: text("t"), fatal: true },
            "attempt 3 failed: e|t",
        ),
        (Event::Asked { step, question: text("q") }, "asked: q|"),
        (Event::Answered { step, answer: text("a"), assumed: true }, "assumed: a|"),
        (Event::Reopened { step }, ""),
        (Event::Checked { unmet: Vec::new(), ledger: Vec::new() }, "check: all that the goal asks for is there|"),
        (
            Event::Checked { unmet: vec![Unmet { path: text("p"), what: text("w") }], ledger: Vec::new() },
            "check: 1 unmet|- path: p|  what: w",
        ),
        (Event::Compacted { step, text: text("t") }, "told shorter from here on|t"),
        (Event::BudgetSpent { what: text("w") }, "budget spent: w|"),
        (Event::Summarized { answer: text("a") }, "summary|a"),
        (Event::Interrupted, "interrupted|"),
        (Event::Resumed, "resumed|"),
    ];
    for (event, want) in &rows {
        let shown = leaf(&journaled(event), Limit::SHORT, Style::new(false));
        let shown = shown.map(|leaf| format!("{}|{}", leaf.line, leaf.text.join("|"))).unwrap_or_default();
        assert_eq!(shown, *want, "{event:?}");
    }
    // Plans are drawn with their steps.
    for (event, want) in [
        (Event::Planned { round: 0, steps: steps.clone() }, "└─ plan, answered at once\n"),
        (Event::Expanded { step, steps }, "└─ step $1  not started\n   └─ plan, answered at once\n"),
    ] {
        assert_eq!(draw(&build(&[journaled(&event)], Limit::SHORT, Style::new(false))), want);
    }
}
