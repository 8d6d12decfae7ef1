//! How a command ends: the kind of a failure, its message, its hint, and the exit code that scripts rely on.
//!
//! Library errors carry what was expected and what came; this file adds what the person can do about it.

use std::error::Error;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::render::{self, Style, Tone};
use crate::store;

/// What went wrong, as far as a caller needs to tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// What was typed cannot be carried out.
    Usage,
    /// The goal was worked on and not reached.
    GoalFailed,
    /// The run waits for an answer of the person.
    NeedsInput,
    /// A model, a file, the disk, the memory or the network.
    Machine,
    /// Ctrl-C.
    Interrupted,
    /// Whoever read stdout has gone away; nothing is reported.
    ReaderGone,
}

impl Kind {
    /// The exit code of the stable contract.
    pub fn code(self) -> u8 {
        match self {
            Self::ReaderGone => 0,
            Self::Usage => 2,
            Self::GoalFailed => 3,
            Self::NeedsInput => 4,
            Self::Machine => 5,
            Self::Interrupted => 130,
        }
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    message: String,
    hint: Option<String>,
}

impl Failure {
    /// A failure with a message of its own.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None }
    }

    /// A failure that tells a library error with all its sources.
    pub fn from_error(kind: Kind, error: &dyn Error) -> Self {
        Self::new(kind, chain(error))
    }

    /// Adds what the person can do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What kind of failure this is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The text for stderr: `error: …` and, where there is one, `hint: …`. Empty if nothing is to be said.
    pub fn text(&self, style: Style) -> String {
        if self.kind == Kind::ReaderGone {
            return String::new();
        }
        let error = format!("{} {}\n", style.paint(Tone::Bad, "error:"), self.message);
        let hint = self.hint.as_ref().map(|hint| format!("{} {hint}\n", style.paint(Tone::Notice, "hint:")));
        error + &hint.unwrap_or_default()
    }

    /// Prints the failure on stderr and returns the exit code.
    pub fn report(&self) -> ExitCode {
        render::to_stderr(&self.text(Style::stderr()));
        ExitCode::from(self.kind.code())
    }
}

/// The error and its sources as `a: b: c`, leaving out a source that its parent's text already ends with.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut told = text.clone();
    let mut next = error.source();
    while let Some(source) = next {
        let part = source.to_string();
        if !told.ends_with(&part) {
            text = format!("{text}: {part}");
        }
        told = part;
        next = source.source();
    }
    text
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        let kind = if error.kind() == std::io::ErrorKind::BrokenPipe { Kind::ReaderGone } else { Kind::Machine };
        Self::from_error(kind, &error)
    }
}

impl From<store::Error> for Failure {
    fn from(error: store::Error) -> Self {
        use store::Error as E;
        let (kind, hint) = match &error {
            E::Folder { .. } | E::Open { .. } | E::Lock { .. } => {
                (Kind::Machine, "choose a folder that can be written: --home DIR, or set PARTITA_HOME")
            }
            E::Newer { .. } | E::Foreign { .. } => {
                (Kind::Machine, "choose another folder for runs and models: --home DIR, or set PARTITA_HOME")
            }
            E::Damaged { .. } => {
                (Kind::Machine, "move the file away to start a new journal; models are kept elsewhere")
            }
            E::Full { .. } => (Kind::Machine, "make space and `partita resume` the run: what was recorded is kept"),
            E::Busy { .. } => (Kind::Machine, "another partita is writing: try again when it is done"),
            E::NoRun { .. } => (Kind::Usage, "`partita runs` lists the runs"),
            E::Ambiguous { .. } => (Kind::Usage, "give more of the id"),
            E::Locked { .. } => (Kind::Usage, "let it finish or stop it first; `partita show RUN` says how far it is"),
            _ => return Self::from_error(Kind::Machine, &error),
        };
        Self::from_error(kind, &error).hint(hint)
    }
}

/// Prints help, version or a usage error of the command line's parser and returns the exit code.
pub fn reject(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        // A reader of the help text that has gone away is nobody to report to.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    render::to_stderr(&rejection(error));
    ExitCode::from(Kind::Usage.code())
}

/// The parser's message with a hint of our own in place of its closing line.
fn rejection(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let text = text.split("\n\nFor more information").next().unwrap_or_default().trim_end();
    match error.kind() {
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => format!("{text}\n"),
        ErrorKind::InvalidSubcommand => {
            let typed = match error.get(ContextKind::InvalidSubcommand) {
                Some(ContextValue::String(typed)) => typed.as_str(),
                _ => "GOAL",
            };
            format!(
                "{text}\nhint: a goal follows `run`: partita run \"{typed}\"; `partita --help` lists the commands\n"
            )
        }
        _ => format!("{text}\nhint: `partita help COMMAND` says what a command accepts\n"),
    }
}
