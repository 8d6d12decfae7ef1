//! The events of a run as a tree: what concerns a step stands under it, each step under its plan.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::leaf::{Leaf, Limit, leaf, plain};
use crate::cli::render::{self, Style, Tone};
use crate::store::Record;
use crate::types::StepId;

/// A line, the text that explains it, and what belongs under it.
#[derive(Debug, Default)]
pub struct Node {
    leaf: Leaf,
    children: Vec<Node>,
}

/// What is known of a step while its events pass by.
#[derive(Default)]
struct Progress {
    state: State,
    first_ms: Option<i64>,
    last_ms: i64,
    children: Vec<Node>,
}

#[derive(Default, Clone, Copy)]
enum State {
    #[default]
    Waiting,
    Started,
    Done,
    Failed,
    Asks,
}

/// Builds the tree; a run in progress has steps that wait or are under way.
pub fn build(events: &[Record], limit: Limit, style: Style) -> Vec<Node> {
    let mut steps = progress(events, limit, style);
    let mut nodes = Vec::new();
    for event in events.iter().filter(|event| event.step.is_none()) {
        if event.kind == "planned" {
            nodes.push(plan_node(&event.body, &mut steps, style));
        } else {
            nodes.extend(leaf(event, limit, style).map(|leaf| Node { leaf, children: Vec::new() }));
        }
    }
    let unplanned = std::mem::take(&mut steps);
    nodes.extend(unplanned.into_iter().map(|(id, progress)| progress.node(&format!("step {id}"), style)));
    nodes
}

fn progress(events: &[Record], limit: Limit, style: Style) -> BTreeMap<StepId, Progress> {
    let mut steps: BTreeMap<StepId, Progress> = BTreeMap::new();
    for event in events {
        let Some(id) = event.step else { continue };
        let step = steps.entry(id).or_default();
        step.first_ms.get_or_insert(event.at_ms);
        step.last_ms = event.at_ms;
        step.state = match event.kind.as_str() {
            "step_done" => State::Done,
            "step_failed" => State::Failed,
            "asked" => State::Asks,
            "step_started" | "answered" => State::Started,
            _ => step.state,
        };
        step.children.extend(leaf(event, limit, style).map(|leaf| Node { leaf, children: Vec::new() }));
    }
    steps
}

fn plan_node(plan: &Json, steps: &mut BTreeMap<StepId, Progress>, style: Style) -> Node {
    let planned = plan["steps"].as_array().map_or(&[][..], Vec::as_slice);
    let title = match plan["round"].as_u64() {
        None | Some(0) => format!("plan, {} steps", planned.len()),
        Some(round) => format!("plan, round {}, {} more steps", round + 1, planned.len()),
    };
    let children = planned.iter().map(|step| {
        let id = StepId(step["id"].as_u64().unwrap_or_default() as u32);
        steps.remove(&id).unwrap_or_default().node(&step_title(id, step), style)
    });
    Node { leaf: Leaf { line: style.paint(Tone::Strong, &title), text: Vec::new() }, children: children.collect() }
}

fn step_title(id: StepId, step: &Json) -> String {
    let mut title = format!("{id} {}: {}", plain(&step["tool"]), plain(&step["do"]));
    let from: Vec<String> = step["from"].as_array().into_iter().flatten().map(plain).collect();
    if !from.is_empty() {
        title += &format!("  ← {}", from.join(", "));
    }
    for (field, label) in [("for_each", "  for each of the "), ("into", "  → ")] {
        if let Some(text) = step[field].as_str() {
            title += &format!("{label}{text}");
        }
    }
    title
}

impl Progress {
    fn node(self, title: &str, style: Style) -> Node {
        let took = render::duration((self.last_ms - self.first_ms.unwrap_or(self.last_ms)) as f64);
        let state = match self.state {
            State::Waiting => style.paint(Tone::Faint, "not started"),
            State::Started => style.paint(Tone::Notice, &format!("under way after {took}")),
            State::Done => style.paint(Tone::Good, &format!("done in {took}")),
            State::Failed => style.paint(Tone::Bad, &format!("failed after {took}")),
            State::Asks => style.paint(Tone::Notice, "waits for an answer"),
        };
        let line = format!("{}  {state}", style.paint(Tone::Strong, title));
        Node { leaf: Leaf { line, text: Vec::new() }, children: self.children }
    }
}

/// The tree as text, with branches.
pub fn draw(nodes: &[Node]) -> String {
    let mut text = String::new();
    draw_under("", nodes, &mut text);
    text
}

fn draw_under(stem: &str, nodes: &[Node], text: &mut String) {
    for (i, node) in nodes.iter().enumerate() {
        let (branch, below) = if i + 1 == nodes.len() { ("└─", "   ") } else { ("├─", "│  ") };
        let mut lines = node.leaf.line.lines();
        text.push_str(&format!("{stem}{branch} {}\n", lines.next().unwrap_or_default()));
        let trunk = if node.children.is_empty() { "" } else { "│" };
        for line in lines.chain(node.leaf.text.iter().map(String::as_str)) {
            let line = format!("{stem}{below}{trunk}  {line}");
            text.push_str(line.trim_end());
            text.push('\n');
        }
        draw_under(&format!("{stem}{below}"), &node.children, text);
    }
}
