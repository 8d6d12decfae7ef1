//! `partita show`: not built yet.

use super::{Failure, Kind, Settings};

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
pub fn run(_args: Args, _settings: &Settings) -> Result<(), Failure> {
    Err(Failure::new(Kind::Machine, "`partita show` is not built yet"))
}
