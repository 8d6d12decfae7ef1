//! `partita run`: not built yet.

use std::path::PathBuf;

use super::{Failure, Kind, Settings};

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
}

/// Runs the command.
pub fn run(_args: Args, _settings: &Settings) -> Result<(), Failure> {
    Err(Failure::new(Kind::Machine, "`partita run` is not built yet"))
}
