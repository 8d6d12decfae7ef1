//! `partita runs`: not built yet.

use super::{Failure, Kind, Settings};

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
pub fn run(_args: Args, _settings: &Settings) -> Result<(), Failure> {
    Err(Failure::new(Kind::Machine, "`partita runs` is not built yet"))
}
