//! `partita models`: not built yet.

use super::{Failure, Kind, Settings};

/// List, fetch, verify, show and remove models
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// The catalog, and what of it is on this machine
    List,
    /// Fetch a model and check its digest
    Pull {
        /// Name in the catalog
        #[arg(value_name = "MODEL")]
        model: String,
    },
    /// Check the digest of a model on this machine
    Verify {
        /// Name in the catalog
        #[arg(value_name = "MODEL")]
        model: String,
    },
    /// What is known about a model
    Show {
        /// Name in the catalog, or a GGUF file
        #[arg(value_name = "MODEL")]
        model: String,
    },
    /// Remove a model from this machine
    Rm {
        /// Name in the catalog
        #[arg(value_name = "MODEL")]
        model: String,
    },
}

/// Runs the command.
pub fn run(_args: Args, _settings: &Settings) -> Result<(), Failure> {
    Err(Failure::new(Kind::Machine, "`partita models` is not built yet"))
}
