//! Text for people and scripts: lines on stdout and stderr, tables, durations, dates.
//!
//! Invariant: stdout carries results only, and a closed stdout ends the command quietly. Colour appears
//! only on a terminal, and never if `NO_COLOR` is set.

use std::io::{IsTerminal, Write};

use super::exit::Failure;

/// Writes a result to stdout, a line end added if the text has none.
pub fn to_stdout(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    if !text.ends_with('\n') {
        stdout.write_all(b"\n")?;
    }
    Ok(stdout.flush()?)
}

/// Writes one JSON value and a line end to stdout.
pub fn json_to_stdout(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).expect("results are maps with string keys");
    to_stdout(&text)
}

/// Writes to stderr as it is. There is nowhere left to report that stderr is closed.
pub fn to_stderr(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// How a piece of text is set off on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Headings.
    Strong,
    /// What matters less.
    Faint,
    /// What went well.
    Good,
    /// What did not.
    Bad,
    /// What waits or deserves attention.
    Notice,
}

/// Whether text may carry terminal codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Style {
    color: bool,
}

impl Style {
    /// The style for a stream, given whether it is a terminal.
    pub fn new(is_terminal: bool) -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        Self { color: is_terminal && set("NO_COLOR").is_none() && set("TERM").is_none_or(|term| term != "dumb") }
    }

    /// The style for stdout.
    pub fn stdout() -> Self {
        Self::new(std::io::stdout().is_terminal())
    }

    /// The style for stderr.
    pub fn stderr() -> Self {
        Self::new(std::io::stderr().is_terminal())
    }

    /// The text in that tone.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Strong => "1",
            Tone::Faint => "2",
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Notice => "33",
        };
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}
