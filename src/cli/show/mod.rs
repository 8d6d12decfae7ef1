//! `partita show`: one run as a tree of what happened, or as JSON.

mod leaf;
mod tree;

#[cfg(test)]
mod tests;

use serde_json::{Value as Json, json};

use super::render::{self, Style, Tone};
use super::runs::Summary;
use super::{Failure, Settings};
use crate::store::{Record, Store};

/// Show a run: its plan, steps, tool calls, timings, tokens, files and answer
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's id, a unique prefix of it, or `last`
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Print the run and its events as one JSON object
    #[arg(long)]
    pub json: bool,
    /// Shorten nothing
    #[arg(long)]
    pub full: bool,
}

/// Runs the command.
pub fn run(args: Args, settings: &Settings) -> Result<(), Failure> {
    let store = Store::open(&settings.home)?;
    let row = store.run(&store.find_run(&args.run)?)?;
    let events = store.events(&row.id)?;
    let summary = Summary::new(&store, &row, &events);
    if args.json {
        return render::json_to_stdout(&object(&summary, &row.settings, &events));
    }
    let style = Style::stdout();
    let limit = if args.full { leaf::Limit::NONE } else { leaf::Limit::SHORT };
    let tree = tree::draw(&tree::build(&events, limit, style));
    render::to_stdout(&format!("{}\n{tree}{}", head(&summary, style), tail(&events, style)))
}

/// All that is known about the run.
fn object(summary: &Summary, settings: &Json, events: &[Record]) -> Json {
    let mut object = json!(summary);
    object["settings"] = settings.clone();
    object["answer"] = json!(answer(events));
    object["artifacts"] = json!(artifacts(events));
    object["events"] = json!(events);
    object
}

fn head(run: &Summary, style: Style) -> String {
    let mut text = format!(
        "{} {}, {} after {}\n",
        style.paint(Tone::Strong, "run"),
        style.paint(Tone::Strong, &run.run_id),
        run.status_in(style),
        render::duration(run.seconds * 1000.0)
    );
    let rows = [
        ("goal", render::clean(&run.goal).replace('\n', "\n           ")),
        ("workspace", run.workspace.clone()),
        ("model", run.model.clone()),
        ("started", run.started_here()),
        ("tokens", leaf::cost(&run.usage)),
    ];
    for (name, value) in rows {
        text += &format!("{} {value}\n", style.paint(Tone::Faint, &format!("{name:<10}")));
    }
    text
}

/// The files that the run made and its answer.
fn tail(events: &[Record], style: Style) -> String {
    let mut text = String::new();
    let files = artifacts(events);
    if !files.is_empty() {
        text += &format!("\n{}\n", style.paint(Tone::Strong, "files"));
        let rows = files.iter().map(|file| {
            let sha256 = file["sha256"].as_str().unwrap_or_default();
            let size = render::bytes(file["bytes"].as_u64().unwrap_or_default());
            [format!("  {}", leaf::plain(&file["path"])), size, format!("sha256 {sha256}")]
        });
        text += &render::table(&rows.collect::<Vec<_>>(), &[1], usize::MAX);
    }
    if let Some(answer) = answer(events) {
        text += &format!("\n{}\n{}\n", style.paint(Tone::Strong, "answer"), render::clean(answer.trim_end()));
    }
    text
}

/// Each changed file as it was last, in the order in which they were first changed; none that was moved away, no folder.
fn artifacts(events: &[Record]) -> Vec<Json> {
    let mut files: Vec<Json> = Vec::new();
    let mut moves: Vec<&Json> = Vec::new();
    for event in events {
        moves.extend(event.body["output"]["changes"].as_array().into_iter().flatten().map(|change| &change["move"]));
        let change = &event.body;
        if event.kind != "changed" || change["sha256"] == "" {
            continue;
        }
        files
            .retain(|known| !moves.iter().any(|moved| moved["to"] == change["path"] && moved["from"] == known["path"]));
        let file = json!({"path": change["path"], "bytes": change["bytes"], "sha256": change["sha256"]});
        match files.iter_mut().find(|known| known["path"] == file["path"]) {
            Some(known) => *known = file,
            None => files.push(file),
        }
    }
    files
}

fn answer(events: &[Record]) -> Option<&str> {
    events.iter().rev().find(|event| event.kind == "summarized")?.body["answer"].as_str()
}
