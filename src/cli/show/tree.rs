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
    children: Vec<Child>,
}

/// What stands under a step.
enum Child {
    Node(Node),
    /// The steps of its own plan, as the event told them, and when it did.
    Plan(Json, i64),
}

/// Steps whose plan has not come up yet.
type Steps = BTreeMap<StepId, Progress>;

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
            nodes.push(plan_node(&event.body, event.at_ms, &mut steps, style));
        } else {
            nodes.extend(leaf(event, limit, style).map(|leaf| Node { leaf, children: Vec::new() }));
        }
    }
    while let Some(id) = steps.keys().next().copied() {
        nodes.push(step_node(id, &format!("step {id}"), &mut steps, style));
    }
    nodes
}

fn progress(events: &[Record], limit: Limit, style: Style) -> Steps {
    let mut steps = Steps::new();
    for event in events {
        let Some(id) = event.step else { continue };
        let step = steps.entry(id).or_default();
        step.first_ms.get_or_insert(event.at_ms);
        step.last_ms = event.at_ms;
        step.state = match event.kind.as_str() {
            "step_done" => State::Done,
            "step_failed" => State::Failed,
            "asked" => State::Asks,
            "step_started" | "answered" | "reopened" => State::Started,
            _ => step.state,
        };
        if event.kind == "expanded" {
            step.children.push(Child::Plan(event.body.clone(), event.at_ms));
        } else {
            let leaf = leaf(event, limit, style);
            step.children.extend(leaf.map(|leaf| Child::Node(Node { leaf, children: Vec::new() })));
        }
    }
    steps
}

/// A plan with its steps; they leave `steps`.
fn plan_node(plan: &Json, at_ms: i64, steps: &mut Steps, style: Style) -> Node {
    let planned = plan["steps"].as_array().map_or(&[][..], Vec::as_slice);
    let n_steps = match planned.len() {
        0 => "answered at once".into(),
        1 => "1 step".into(),
        n => format!("{n} steps"),
    };
    let title = match plan["round"].as_u64() {
        None | Some(0) => format!("plan, {n_steps}"),
        Some(round) => format!("plan, round {}, {n_steps} more", round + 1),
    };
    let children = planned.iter().map(|step| {
        let id = StepId(step["id"].as_u64().unwrap_or_default() as u32);
        let began_ms = steps.get(&id).and_then(|progress| progress.first_ms).unwrap_or(at_ms);
        let early = match at_ms - began_ms {
            ms if ms > 0 => format!("  (begun {} before the plan was whole)", render::duration(ms as f64)),
            _ => String::new(),
        };
        step_node(id, &format!("{}{early}", step_title(id, step)), steps, style)
    });
    let children = children.collect();
    Node { leaf: Leaf { line: style.paint(Tone::Strong, &title), text: Vec::new() }, children }
}

fn step_node(id: StepId, title: &str, steps: &mut Steps, style: Style) -> Node {
    let progress = steps.remove(&id).unwrap_or_default();
    let line = format!("{}  {}", style.paint(Tone::Strong, title), progress.state_text(style));
    let child = |child| match child {
        Child::Node(node) => node,
        Child::Plan(plan, at_ms) => plan_node(&plan, at_ms, steps, style),
    };
    let children = progress.children.into_iter().map(child).collect();
    Node { leaf: Leaf { line, text: Vec::new() }, children }
}

fn step_title(id: StepId, step: &Json) -> String {
    let mut title = format!("{id} {}: {}", plain(&step["tool"]), plain(&step["do"]));
    let from: Vec<String> = step["from"].as_array().into_iter().flatten().map(plain).collect();
    if !from.is_empty() {
        title += &format!("  ← {}", from.join(", "));
    }
    if let Some(items) = step["each"].as_str() {
        title += &format!("  each {}", render::clean(items));
    }
    if let Some(target) = step["for"].as_str().filter(|target| !["reply", "later"].contains(target)) {
        title += &format!("  → {}", render::clean(target));
    }
    title
}

impl Progress {
    fn state_text(&self, style: Style) -> String {
        let took = render::duration((self.last_ms - self.first_ms.unwrap_or(self.last_ms)) as f64);
        match self.state {
            State::Waiting => style.paint(Tone::Faint, "not started"),
            State::Started => style.paint(Tone::Notice, &format!("under way after {took}")),
            State::Done => style.paint(Tone::Good, &format!("done in {took}")),
            State::Failed => style.paint(Tone::Bad, &format!("failed after {took}")),
            State::Asks => style.paint(Tone::Notice, "waits for an answer"),
        }
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
