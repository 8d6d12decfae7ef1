//! From the name of a model to an engine that runs it, with what happens meanwhile on stderr.
//!
//! Must not know: what the engine is for.

use std::io::IsTerminal;

use serde::{Deserialize, Serialize};

use super::{Failure, Kind, Settings, render, transfer};
use crate::engine::{self, Engine, EngineOptions, Error, KvRest, Progress};
use crate::sample;
use crate::types::{Precision, TileUse};

/// How the engine uses this machine, as typed; kept with a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, clap::Args)]
#[command(next_help_heading = "Engine")]
#[serde(default)]
pub struct EngineArgs {
    /// Memory for keys and values, such as 512M or 4G [default: a quarter of what is available]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    kv_memory: Option<u64>,
    /// What becomes of keys and values that have to make room: forgotten, or packed to 8 bits in half of that memory.
    /// Packing saves computing again under pressure, but answers then depend a little on what else ran
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t)]
    kv_rest: RestFormat,
    /// Compute with activations of 16 bits instead of 8: as exact as full precision, at half the speed for long prompts
    #[arg(long)]
    precise: bool,
    /// Neither read nor write the file of packed weights beside the model; loading takes longer
    #[arg(long)]
    no_packed_file: bool,
    /// Every answer depends on its request alone, never on what else runs; refuses options that would break this, and
    /// forgoes the CPU's tiles, which compute many tokens faster but round other than few
    #[arg(long)]
    deterministic: bool,
}

/// As typed for `--kv-rest`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
enum RestFormat {
    /// Forgotten
    #[default]
    #[serde(rename = "f16")]
    F16,
    /// Packed
    #[value(name = "q8_0")]
    #[serde(rename = "q8_0")]
    Q8_0,
}

impl EngineArgs {
    /// What was typed, for the engine.
    pub fn options(&self, settings: &Settings) -> EngineOptions {
        let precision = if self.precise { Precision::Bits16 } else { Precision::Bits8 };
        let tiles = if self.precise || self.deterministic { TileUse::Never } else { TileUse::WhereFaster };
        let kv_rest = match self.kv_rest {
            RestFormat::F16 => KvRest::F16,
            RestFormat::Q8_0 => KvRest::Q8_0,
        };
        EngineOptions {
            kv_bytes: self.kv_memory,
            precision,
            tiles,
            kv_rest,
            packed_home: (!self.no_packed_file).then(|| settings.home.clone()),
            deterministic: self.deterministic,
            ..EngineOptions::default()
        }
    }
}

/// As [`EngineArgs`], for commands whose prompts begin alike from one process to the next.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, clap::Args)]
#[command(next_help_heading = "Engine")]
#[serde(default)]
pub struct KeepingArgs {
    #[command(flatten)]
    #[serde(flatten)]
    engine: EngineArgs,
    /// Neither read nor write keys and values of common beginnings in the home folder
    #[arg(long)]
    no_kv_disk: bool,
}

impl KeepingArgs {
    /// What was typed, for the engine.
    pub fn options(&self, settings: &Settings) -> EngineOptions {
        let kv_folder = (!self.no_kv_disk).then(|| settings.home.join("kv"));
        EngineOptions { kv_folder, ..self.engine.options(settings) }
    }
}

/// A number of bytes: `4096`, `512M`, `4G`.
pub(super) fn bytes(text: &str) -> Result<u64, String> {
    let (number, shift) = match text.trim().to_ascii_uppercase().trim_end_matches("IB").trim_end_matches('B') {
        text if text.ends_with('K') => (text.trim_end_matches('K').to_owned(), 10),
        text if text.ends_with('M') => (text.trim_end_matches('M').to_owned(), 20),
        text if text.ends_with('G') => (text.trim_end_matches('G').to_owned(), 30),
        text => (text.to_owned(), 0),
    };
    let number: f64 = number.trim().parse().map_err(|_| "expected a number of bytes, such as 512M or 4G".to_owned())?;
    let n_bytes = number * f64::from(1u32 << shift);
    if n_bytes.is_finite() && n_bytes >= 1.0 { Ok(n_bytes as u64) } else { Err("expected more than no bytes".into()) }
}

/// Starts the model with this name or path, or the default model; fetches it first if it is not here.
///
/// # Errors
/// Those of the catalog and of the engine, with a hint.
pub fn open(model: Option<&str>, settings: &Settings, options: &EngineOptions) -> Result<Engine, Failure> {
    let path = transfer::ensure(model, settings)?.path;
    let is_terminal = std::io::stderr().is_terminal();
    let name = render::clean(&path.file_name().unwrap_or(path.as_os_str()).to_string_lossy());
    let show = |text: &str| {
        if is_terminal {
            // Back to the start of the line, and nothing after the text.
            render::to_stderr(&format!("\r{text}\x1b[K"));
        }
    };
    let engine = engine::load(&path, options, &mut |progress| match progress {
        Progress::Opening | Progress::Tokenizer | Progress::Weights => show(&format!("loading {name}")),
        Progress::Ready => show(""),
    });
    if engine.is_err() {
        show("");
    }
    let engine = engine?;
    for warning in &engine.kept().warnings {
        render::warn(warning);
    }
    Ok(engine)
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        use sample::Error as S;
        let (kind, hint) = match &error {
            Error::Option { .. } | Error::Sample(S::Option { .. }) => {
                (Kind::Usage, Some("`partita help COMMAND` says what an option accepts"))
            }
            Error::EmptyPrompt => (Kind::Usage, Some("say something")),
            Error::Sample(S::Compile { .. } | S::TooLarge { .. }) => {
                (Kind::Usage, Some("llguidance's documentation says what a schema or a Lark grammar may hold"))
            }
            Error::PromptTooLong { .. } => (Kind::Usage, Some("shorten the prompt, or name a model with more context")),
            _ => (Kind::Machine, None),
        };
        let failure = Self::from_error(kind, &error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}
