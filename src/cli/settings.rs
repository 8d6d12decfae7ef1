//! What every command needs to know: where data lies and whether the network may be used.

use std::path::PathBuf;

use super::exit::{Failure, Kind};

/// Options that every command accepts.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder for runs and models [default: the platform's data folder]
    #[arg(long, global = true, value_name = "DIR", env = "PARTITA_HOME", hide_env_values = true)]
    home: Option<PathBuf>,
    /// Never use the network; what is missing is an error
    #[arg(long, global = true, env = "PARTITA_OFFLINE", hide_env_values = true)]
    #[arg(value_parser = clap::builder::FalseyValueParser::new())]
    offline: bool,
}

/// What was typed before and after the command's name, ready to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where runs and models are kept. It need not exist yet.
    pub home: PathBuf,
    /// Whether the network is out of bounds.
    pub offline: bool,
}

impl Settings {
    pub(super) fn new(args: Args) -> Result<Self, Failure> {
        let home = match args.home {
            Some(home) => home,
            None => default_home(|name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from))
                .ok_or_else(|| {
                    Failure::new(Kind::Usage, "no folder for runs and models is known: HOME is not set")
                        .hint("name one: --home DIR, or set PARTITA_HOME")
                })?,
        };
        Ok(Self { home, offline: args.offline })
    }
}

/// The platform's data folder for this program.
pub(super) fn default_home(env: impl Fn(&str) -> Option<PathBuf>) -> Option<PathBuf> {
    let base = if cfg!(windows) {
        env("LOCALAPPDATA")?
    } else if cfg!(target_os = "macos") {
        env("HOME")?.join("Library/Application Support")
    } else {
        // The XDG base directory specification ignores a relative path.
        env("XDG_DATA_HOME").filter(|path| path.is_absolute()).or_else(|| Some(env("HOME")?.join(".local/share")))?
    };
    Some(base.join("partita"))
}
