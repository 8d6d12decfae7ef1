//! `partita bench plan`: a folder of goals with checkers.

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;

use crate::bench::{GoalRow, PlanBench, PlanReport, run_plan};
use crate::cli::loading::EngineArgs;
use crate::cli::{Failure, Settings, loading, render};
use crate::orchestrate::Mechanism;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Model of the catalog, or a GGUF file
    #[arg(long, value_name = "NAME|PATH")]
    model: String,
    /// Folder of cases, each a folder with goal.txt, workspace and check.py; the checkers run with python3
    #[arg(long, value_name = "DIR")]
    cases: PathBuf,
    /// Only the cases whose names begin like this
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    only: Vec<String>,
    /// Most minutes for one goal
    #[arg(long, value_name = "N", default_value_t = 5.0)]
    max_minutes: f64,
    /// Candidates of every doubtful result (queries, programs, answers, texts with demands)
    #[arg(long, value_name = "N")]
    width: Option<usize>,
    /// Leave these out, to see what they bring
    #[arg(long, value_name = "PART,…", value_delimiter = ',', value_parser = parts())]
    without: Vec<String>,
    /// Show the examples that ship with the program to the planner and the steps
    #[arg(long)]
    memory: bool,
    /// Leave every case's workspace and journal below this folder; `partita --home DIR/CASE show last` shows the run
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Print one JSON object on stdout: {n_passed, n_goals, goals_per_hour, median_s, rows}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

/// The names of what can be left out.
fn parts() -> PossibleValuesParser {
    PossibleValuesParser::new(Mechanism::ALL.map(|(name, _)| name))
}

/// Runs the command.
pub fn run(args: Args, settings: &Settings) -> Result<(), Failure> {
    let max_time = Duration::from_secs_f64(args.max_minutes.clamp(0.01, 1e6) * 60.0);
    let without = args.without.iter().filter_map(|name| Mechanism::find(name)).collect();
    let (cases, only, width, memory, keep) = (args.cases, args.only, args.width, args.memory, args.keep);
    let plan = PlanBench { cases, only, max_time, width, without, memory, keep };
    let engine = loading::open(Some(&args.model), settings, &args.engine.options(settings))?;
    let report = run_plan(&engine, &plan, &mut |row| render::to_stderr(&format!("{}\n", line(row))))?;
    if args.json {
        return render::json_to_stdout(&serde_json::to_value(&report).unwrap_or_default());
    }
    render::to_stdout(&summary(&report))
}

fn line(row: &GoalRow) -> String {
    let verdict = if row.passed { "pass" } else { "FAIL" };
    let (case, stats) = (render::clean(&row.case), &row.stats);
    let cost =
        format!("{:.0} s, {} calls, {} tokens prefilled", stats.wall_s, stats.model_calls, stats.prefilled_tokens);
    let why = if row.passed { String::new() } else { format!(", {}", render::clean(&row.why)) };
    format!("{verdict} {case}: {}, {cost}{why}", row.status)
}

fn summary(report: &PlanReport) -> String {
    format!(
        "{} of {} goals, {:.0} goals an hour, median {:.0} s",
        report.n_passed, report.n_goals, report.goals_per_hour, report.median_s
    )
}
