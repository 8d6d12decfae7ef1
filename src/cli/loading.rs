//! From the name of a model to an engine that runs it, with what happens meanwhile on stderr.
//!
//! Must not know: what the engine is for.

use std::io::IsTerminal;

use super::{Failure, Kind, Settings, render, transfer};
use crate::engine::{self, Engine, EngineOptions, Error, Progress};
use crate::sample;

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
    Ok(engine?)
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
