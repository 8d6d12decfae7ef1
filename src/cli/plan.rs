//! `partita plan`: not built yet.

use std::path::PathBuf;

use super::{Failure, Kind, Settings};

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
}

/// Runs the command.
pub fn run(_args: Args, _settings: &Settings) -> Result<(), Failure> {
    Err(Failure::new(Kind::Machine, "`partita plan` is not built yet"))
}
