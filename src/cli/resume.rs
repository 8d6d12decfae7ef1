//! `partita resume`: not built yet.

use super::{Failure, Kind, Settings};

/// Go on with a run that was interrupted or waits for an answer
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's id, a unique prefix of it, or `last`
    #[arg(value_name = "RUN")]
    pub run: String,
    /// Never ask: record an assumption instead, and allow the writes that the goal calls for
    #[arg(long)]
    pub yes: bool,
    /// Print exactly one JSON object on stdout, at the end
    #[arg(long)]
    pub json: bool,
    /// Model of the catalog, or a GGUF file [default: the model that the run started with]
    #[arg(long, value_name = "NAME|PATH")]
    pub model: Option<String>,
}

/// Runs the command.
pub fn run(_args: Args, _settings: &Settings) -> Result<(), Failure> {
    Err(Failure::new(Kind::Machine, "`partita resume` is not built yet"))
}
