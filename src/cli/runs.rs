//! `partita runs`: the runs on this machine, newest first.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use serde_json::Value as Json;

use super::render::{self, Style, Tone};
use super::{Failure, Settings};
use crate::store::{self, Record, RunRow, Store};
use crate::types::Usage;

/// List the runs on this machine, newest first
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print a JSON array
    #[arg(long)]
    pub json: bool,
    /// How many runs to list
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: usize,
}

/// Runs the command.
pub fn run(args: Args, settings: &Settings) -> Result<(), Failure> {
    let store = Store::open(&settings.home)?;
    let rows = store.runs(args.limit)?;
    let runs = rows.into_iter().map(|row| Ok(Summary::new(&store, &row, &store.events(&row.id)?)));
    let runs = runs.collect::<Result<Vec<_>, Failure>>()?;
    if args.json {
        return render::json_to_stdout(&runs);
    }
    if runs.is_empty() {
        render::to_stderr("no runs yet: start one with `partita run \"GOAL\"`\n");
        return Ok(());
    }
    render::to_stdout(&table(&runs, Style::stdout(), render::width()))
}

/// A run in one line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Its id.
    pub run_id: String,
    /// Start, RFC 3339 in UTC.
    pub started: String,
    /// The journal's status; `interrupted` if nobody works on a run that was not ended.
    pub status: String,
    /// What is to be done.
    pub goal: String,
    /// The folder that is worked in.
    pub workspace: String,
    /// The model's name or path.
    pub model: String,
    /// Time worked on it, pauses between an interruption and `resume` left out.
    pub seconds: f64,
    /// Tokens and times of all calls of the model.
    pub usage: Usage,
}

impl Summary {
    /// Sums up a run from its events.
    pub fn new(store: &Store, row: &RunRow, events: &[Record]) -> Self {
        let is_abandoned = row.status == store::STATUS_RUNNING && !store.is_locked(&row.id);
        Self {
            run_id: row.id.0.clone(),
            started: Timestamp::from_millisecond(row.created_ms).unwrap_or_default().to_string(),
            status: if is_abandoned { "interrupted".into() } else { row.status.clone() },
            goal: row.goal.clone(),
            workspace: row.workspace.display().to_string(),
            model: row.model.clone(),
            seconds: worked_ms(row.created_ms, events) as f64 / 1000.0,
            usage: usage(events),
        }
    }

    /// Tokens read and written.
    pub fn n_tokens(&self) -> usize {
        self.usage.prompt_tokens + self.usage.decoded_tokens
    }

    /// The start in the machine's time zone.
    pub fn started_here(&self) -> String {
        let started: Timestamp = self.started.parse().unwrap_or_default();
        started.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
    }

    /// The status in its colour.
    pub fn status_in(&self, style: Style) -> String {
        let tone = match self.status.as_str() {
            "completed" => Tone::Good,
            "failed" => Tone::Bad,
            _ => Tone::Notice,
        };
        style.paint(tone, &self.status)
    }
}

fn worked_ms(created_ms: i64, events: &[Record]) -> i64 {
    let mut before = created_ms;
    let mut worked = 0;
    for event in events {
        if event.kind != "resumed" {
            worked += (event.at_ms - before).max(0);
        }
        before = event.at_ms;
    }
    worked
}

fn usage(events: &[Record]) -> Usage {
    let calls = events.iter().filter(|event| event.kind == "model_called");
    let each = calls.filter_map(|event| event.body.get("usage").and_then(parse_usage));
    each.fold(Usage::default(), |mut sum, usage| {
        sum += usage;
        sum
    })
}

fn parse_usage(usage: &Json) -> Option<Usage> {
    serde_json::from_value(usage.clone()).ok()
}

/// The runs as a table of at most `width` columns.
pub fn table(runs: &[Summary], style: Style, width: usize) -> String {
    let mut rows = vec![["RUN", "STARTED", "STATUS", "SECONDS", "TOKENS", "MODEL", "GOAL"].map(str::to_owned)];
    rows.extend(runs.iter().map(|run| {
        [
            run.run_id.clone(),
            run.started_here(),
            run.status_in(style),
            format!("{:.1}", run.seconds),
            run.n_tokens().to_string(),
            // A model that is a file is known by its name; the folder would push the goal off the line.
            run.model.rsplit(['/', '\\']).next().unwrap_or_default().to_owned(),
            render::clean(&run.goal).split_whitespace().collect::<Vec<_>>().join(" "),
        ]
    }));
    render::table(&rows, &[3, 4], width)
}
