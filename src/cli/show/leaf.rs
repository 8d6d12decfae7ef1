//! One event as a line and the text under it.
//!
//! Events are read by their fields' names, so a journal of an earlier version can be shown too; an event
//! that is not known here is shown field by field.

use serde_json::Value as Json;

use crate::cli::render::{self, Style, Tone};
use crate::store::Record;
use crate::types::Usage;

/// How much of a text is shown.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    n_lines: usize,
    n_chars: usize,
}

impl Limit {
    /// What fits on a screen.
    pub const SHORT: Self = Self { n_lines: 8, n_chars: 160 };
    /// All of it.
    pub const NONE: Self = Self { n_lines: usize::MAX, n_chars: usize::MAX };
}

/// An event as it is shown: nothing for those that only change the state of their step.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Leaf {
    /// What happened.
    pub line: String,
    /// The details, line by line.
    pub text: Vec<String>,
}

/// How an event is shown; `None` if its step's own line says it all.
pub fn leaf(event: &Record, limit: Limit, style: Style) -> Option<Leaf> {
    let body = &event.body;
    let field = |name: &str| plain(&body[name]);
    let plain_leaf = |line: String, text: &str| Some(Leaf { line, text: block(text, limit) });
    match event.kind.as_str() {
        "step_done" | "reopened" | "sketched" => None,
        "step_started" if body["attempt"] == 1 => None,
        "step_started" => plain_leaf(format!("attempt {} with {}", field("attempt"), field("tool")), ""),
        "surveyed" => {
            let n_files = body["paths"].as_array().map_or(0, Vec::len);
            let files = if n_files == 1 { "file" } else { "files" };
            plain_leaf(format!("survey, {n_files} {files}"), &field("text"))
        }
        "briefed" => plain_leaf("brief".into(), &outline(&body["brief"])),
        "plan_failed" => plain_leaf(style.paint(Tone::Bad, &format!("no plan: {}", field("error"))), ""),
        "tool_called" => plain_leaf(tool_line(body, style), &field("result")),
        "model_called" => plain_leaf(model_line(body), &field("text")),
        "step_proposed" => plain_leaf("result".into(), &output_text(&body["output"])),
        "changed" if body["sha256"] == "" => plain_leaf(format!("made the folder {}", field("path")), ""),
        "changed" => plain_leaf(format!("wrote {}, {}", field("path"), size(&body["bytes"])), ""),
        "step_failed" => {
            let what = if body["attempt"] == 0 {
                "making the changes".into()
            } else {
                format!("attempt {}", field("attempt"))
            };
            let line = format!("{what} failed: {}", field("error"));
            plain_leaf(style.paint(Tone::Bad, &line), &field("tried"))
        }
        "asked" => plain_leaf(style.paint(Tone::Notice, &format!("asked: {}", field("question"))), ""),
        "answered" => {
            let who = if body["assumed"] == true { "assumed" } else { "answered" };
            plain_leaf(format!("{who}: {}", field("answer")), "")
        }
        "checked" => check_leaf(body, limit, style),
        "budget_spent" => plain_leaf(style.paint(Tone::Notice, &format!("budget spent: {}", field("what"))), ""),
        "compacted" => plain_leaf("told shorter from here on".into(), &field("text")),
        "summarized" => plain_leaf("summary".into(), &field("answer")),
        "interrupted" => plain_leaf(style.paint(Tone::Notice, "interrupted"), ""),
        "resumed" => plain_leaf("resumed".into(), ""),
        other => plain_leaf(other.replace('_', " "), &outline(body)),
    }
}

fn tool_line(body: &Json, style: Style) -> String {
    let is_ok = body["ok"] == true;
    let outcome = if is_ok { style.paint(Tone::Good, "ok") } else { style.paint(Tone::Bad, "error") };
    let by = if body["by_script"] == true { "script: " } else { "" };
    let ms = render::duration(body["ms"].as_f64().unwrap_or_default());
    format!("{by}{} {}  {outcome}, {ms}", plain(&body["tool"]), body["arguments"])
}

fn model_line(body: &Json) -> String {
    let usage: Usage = serde_json::from_value(body["usage"].clone()).unwrap_or_default();
    format!("model, {}: {}", plain(&body["purpose"]), cost(&usage))
}

/// What a call of the model, or all calls of a run, cost.
pub fn cost(usage: &Usage) -> String {
    // A rate of a few tokens would tell more about waiting than about reading or writing.
    let per_second = |n: usize, ms: f64| match ms > 0.0 && n >= 16 {
        true => format!(", {:.1}/s", n as f64 * 1000.0 / ms),
        false => String::new(),
    };
    let n_new = usage.prompt_tokens.saturating_sub(usage.cached_tokens);
    format!(
        "{} read ({} cached{}), {} written{}",
        render::thousands(usage.prompt_tokens),
        render::thousands(usage.cached_tokens),
        per_second(n_new, usage.prefill_ms),
        render::thousands(usage.decoded_tokens),
        per_second(usage.decoded_tokens, usage.decode_ms)
    )
}

fn check_leaf(body: &Json, limit: Limit, style: Style) -> Option<Leaf> {
    let unmet = &body["unmet"];
    let n_unmet = unmet.as_array().map_or(0, Vec::len);
    let line = match n_unmet {
        0 => style.paint(Tone::Good, "check: all that the goal asks for is there"),
        n => style.paint(Tone::Bad, &format!("check: {n} unmet")),
    };
    let ledger: Vec<String> = body["ledger"].as_array().into_iter().flatten().map(entry_text).collect();
    let unmet = if n_unmet == 0 { String::new() } else { outline(unmet) + "\n" };
    Some(Leaf { line, text: block(&(unmet + &ledger.join("\n")), limit) })
}

/// A line of the ledger of requirements.
fn entry_text(entry: &Json) -> String {
    let standing = match &entry["standing"] {
        Json::String(standing) if standing == "met" => "met".to_owned(),
        Json::String(_) => "not checkable".to_owned(),
        unmet => format!("not met, {}", plain(&unmet["unmet"])),
    };
    format!("{} {}: {standing}", plain(&entry["path"]), plain(&entry["what"]))
}

/// A result: its value, what is to be changed, notes.
fn output_text(output: &Json) -> String {
    let value = output["value"].as_object().and_then(|value| value.values().next()).unwrap_or(&output["value"]);
    let mut parts = vec![if value.get("columns").is_some() { rows_text(value) } else { outline(value) }];
    parts.extend(output["changes"].as_array().into_iter().flatten().map(change_text));
    parts.extend(output["notes"].as_array().into_iter().flatten().map(|note| format!("note: {}", plain(note))));
    parts.retain(|part| !part.trim().is_empty());
    parts.join("\n")
}

/// What is to be changed, without the content: that is in the file.
fn change_text(change: &Json) -> String {
    let Some((verb, fields)) = change.as_object().and_then(|change| change.iter().next()) else { return plain(change) };
    let names = ["from", "path", "to"].map(|name| plain(&fields[name]));
    let paths: Vec<String> = names.into_iter().filter(|name| !name.is_empty()).collect();
    format!("change: {} {}", verb.replace('_', " "), paths.join(" → "))
}

fn rows_text(table: &Json) -> String {
    let line = |cells: &Json| cells.as_array().into_iter().flatten().map(plain).collect::<Vec<_>>().join(" | ");
    let rows = table["rows"].as_array().into_iter().flatten();
    std::iter::once(line(&table["columns"])).chain(rows.map(line)).collect::<Vec<_>>().join("\n")
}

fn size(bytes: &Json) -> String {
    bytes.as_u64().map(render::bytes).unwrap_or_default()
}

/// A string without its quotes and control characters, nothing for null, JSON for the rest.
pub fn plain(value: &Json) -> String {
    match value {
        Json::Null => String::new(),
        Json::String(text) => render::clean(text),
        other => other.to_string(),
    }
}

/// Any JSON as indented lines: `key: value`, `- item`.
fn outline(value: &Json) -> String {
    let nested = |value: &Json| {
        let text = outline(value);
        let is_nested = text.contains('\n') || value.is_object() || value.is_array();
        if is_nested { format!("\n  {}", text.replace('\n', "\n  ")) } else { format!(" {text}") }
    };
    match value {
        Json::Object(fields) => {
            let lines = fields.iter().filter(|(_, value)| !value.is_null() && **value != Json::Array(Vec::new()));
            lines.map(|(name, value)| format!("{name}:{}", nested(value))).collect::<Vec<_>>().join("\n")
        }
        Json::Array(items) => {
            let line = |item| format!("- {}", outline(item).replace('\n', "\n  "));
            items.iter().map(line).collect::<Vec<_>>().join("\n")
        }
        other => plain(other),
    }
}

/// The lines of a text, as many and as long as the limit allows.
fn block(text: &str, limit: Limit) -> Vec<String> {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    // One line that says "1 more line" takes the place of the line itself.
    let n_shown = if lines.len() <= limit.n_lines.saturating_add(1) { lines.len() } else { limit.n_lines };
    let mut block: Vec<String> = lines[..n_shown].iter().map(|line| render::shorten(line, limit.n_chars)).collect();
    if n_shown < lines.len() {
        block.push(format!("… {} more lines (--full shows them)", lines.len() - n_shown));
    }
    block
}
