//! `partita plan`: the plan only, as a tree, as JSON, or the grammar that it is decoded under.

use std::path::PathBuf;
use std::sync::Arc;

use super::loading::KeepingArgs;
use super::session::Terms;
use super::view::{Limits, View};
use super::{Failure, Kind, Settings, render, session};
use crate::orchestrate::{self, Budget, plan_tree, preview};
use crate::tool::{Policy, Registry, Workspace};
use crate::types::RunId;

/// Plan a goal without executing it
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What is to be done, in plain words
    #[arg(value_name = "GOAL")]
    pub goal: String,
    /// Folder that the plan is for
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub workspace: PathBuf,
    /// Model of the catalog, or a GGUF file [default: the catalog's default model]
    #[arg(long, value_name = "NAME|PATH", env = "PARTITA_MODEL", hide_env_values = true)]
    pub model: Option<String>,
    /// Print the plan as one JSON object, as `partita run --plan` reads it
    #[arg(long)]
    pub json: bool,
    /// Print the grammar that the planner decodes under, and stop
    #[arg(long)]
    pub grammar: bool,
    /// Plan with tools that read only
    #[arg(long)]
    pub read_only: bool,
    #[command(flatten)]
    engine: KeepingArgs,
}

/// Runs the command.
pub fn run(args: Args, settings: &Settings) -> Result<(), Failure> {
    let folder = session::workspace(&args.workspace)?;
    let workspace =
        Workspace::open(&folder, Policy::default()).map_err(|error| Failure::from_error(Kind::Usage, &error))?;
    let terms = Terms { model: args.model, read_only: args.read_only, engine: args.engine, ..Terms::default() };
    let registry = Registry::builtin().permitted(&terms.permissions(settings)?);
    let preview =
        preview(&workspace, &registry, &args.goal).map_err(|error| Failure::from_error(Kind::Machine, &error))?;
    if args.grammar {
        return render::to_stdout(&preview.grammar);
    }
    let budget = Arc::new(Budget::new(None, None));
    let view = Arc::new(View::new(false, Limits::default()));
    let (mind, engine) = session::mind(&RunId("plan".into()), &terms, settings, budget, view.clone())?;
    let steps = session::runtime()?.block_on(preview.plan(mind.as_ref()));
    view.warn(engine.stats().archive.warning.as_deref());
    let steps = steps.map_err(|error| Failure::new(Kind::Machine, orchestrate::chain(&error)))?;
    if args.json {
        return render::json_to_stdout(&serde_json::json!({ "steps": steps }));
    }
    if steps.is_empty() {
        return render::to_stdout("no steps: the goal is answered at once");
    }
    render::to_stdout(&plan_tree(&steps))
}
