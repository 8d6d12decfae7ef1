//! `partita bench`: not built yet.

use super::{Failure, Kind, Settings};

/// Measure models and workflows on this machine
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Tokens per second of prefill and decode, alone and batched
    Model {
        /// Model of the catalog, or a GGUF file
        #[arg(long, value_name = "NAME|PATH")]
        model: String,
        /// Print one JSON object on stdout
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command.
pub fn run(_args: Args, _settings: &Settings) -> Result<(), Failure> {
    Err(Failure::new(Kind::Machine, "`partita bench` is not built yet"))
}
