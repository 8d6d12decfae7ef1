//! `partita run`: the main job.

use std::path::{Path, PathBuf};

use super::loading::KeepingArgs;
use super::session::{self, Terms};
use super::{Failure, Kind, Settings};
use crate::orchestrate::{Step, check_plan, parse_plan};
use crate::tool::Registry;
use crate::types::StepId;

/// Plan a goal, execute it in a workspace folder and answer
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What is to be done, in plain words
    #[arg(value_name = "GOAL")]
    pub goal: String,
    /// Folder to work in; nothing outside it is read or written
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub workspace: PathBuf,
    /// Model of the catalog, or a GGUF file [default: the catalog's default model]
    #[arg(long, value_name = "NAME|PATH", env = "PARTITA_MODEL", hide_env_values = true)]
    pub model: Option<String>,
    /// Never ask: record an assumption instead, and allow the writes that the goal calls for
    #[arg(long)]
    pub yes: bool,
    /// Ask before every step that reads or runs something, and before every change; with no terminal the run waits
    #[arg(long, conflicts_with_all = ["yes", "read_only"])]
    pub ask: bool,
    /// Write nothing and run nothing: plan with tools that read, and tell the results
    #[arg(long)]
    pub read_only: bool,
    /// Print exactly one JSON object on stdout, at the end
    #[arg(long)]
    pub json: bool,
    /// Execute this plan (as `partita plan --json` prints it) instead of making one
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// Stop after this many minutes, with what is done by then
    #[arg(long, value_name = "N")]
    pub max_minutes: Option<f64>,
    /// Stop after this many tokens, read and written
    #[arg(long, value_name = "N")]
    pub max_tokens: Option<u64>,
    /// Stop after this many steps
    #[arg(long, value_name = "N")]
    pub max_steps: Option<u32>,
    /// Show the planner and the steps what worked in earlier runs
    #[arg(long, conflicts_with = "no_memory")]
    pub memory: bool,
    /// Neither show what worked in earlier runs nor remember what works in this one
    #[arg(long)]
    pub no_memory: bool,
    #[command(flatten)]
    engine: KeepingArgs,
}

/// Runs the command.
pub fn run(args: Args, settings: &Settings) -> Result<(), Failure> {
    let workspace = session::workspace(&args.workspace)?;
    let mut terms = Terms {
        model: args.model,
        yes: args.yes,
        ask: args.ask,
        read_only: args.read_only,
        max_minutes: args.max_minutes,
        max_tokens: args.max_tokens,
        max_steps: args.max_steps,
        memory: args.memory,
        no_memory: args.no_memory,
        plan: None,
        engine: args.engine,
    };
    let registry = Registry::builtin().permitted(&terms.permissions(settings)?);
    terms.plan = args.plan.as_deref().map(|path| read_plan(path, &registry)).transpose()?;
    session::begin(&args.goal, workspace, terms, args.json, settings)?.carry_out(settings)
}

/// The steps of a plan file, checked as far as it can be without running it.
fn read_plan(path: &Path, registry: &Registry) -> Result<Vec<Step>, Failure> {
    let about = |error: &dyn std::error::Error| {
        Failure::new(Kind::Usage, format!("plan {}: {error}", path.display()))
            .hint("`partita plan --json GOAL` prints a plan of the right shape")
    };
    let text = std::fs::read_to_string(path).map_err(|error| about(&error))?;
    let steps = parse_plan(&text, StepId(1)).map_err(|error| about(&error))?;
    check_plan(&steps, &[], registry).map_err(|error| about(&error))?;
    Ok(steps)
}
