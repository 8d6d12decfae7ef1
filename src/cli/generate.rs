//! `partita generate`: not built yet.

use super::{Failure, Kind, Settings};

/// Complete one prompt
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The prompt [default: what comes in on stdin]
    #[arg(value_name = "PROMPT")]
    pub prompt: Option<String>,
    /// Model of the catalog, or a GGUF file [default: the catalog's default model]
    #[arg(long, value_name = "NAME|PATH", env = "PARTITA_MODEL", hide_env_values = true)]
    pub model: Option<String>,
    /// Print exactly one JSON object on stdout, at the end
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub fn run(_args: Args, _settings: &Settings) -> Result<(), Failure> {
    Err(Failure::new(Kind::Machine, "`partita generate` is not built yet"))
}
