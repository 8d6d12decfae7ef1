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

/// Tells on stderr what went wrong and cost nothing but time.
pub fn warn(what: &str) {
    to_stderr(&format!("{} {}\n", Style::stderr().paint(Tone::Notice, "warning:"), clean(what)));
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

/// Columns of the terminal, or a page's width where there is none.
pub fn width() -> usize {
    terminal_size::terminal_size().map_or(120, |(width, _)| usize::from(width.0).max(40))
}

/// Rows of cells as aligned columns, two spaces apart; the last column is cut at `width`.
///
/// `right` names the columns of numbers. Cells may carry terminal codes.
pub fn table<const N: usize>(rows: &[[String; N]], right: &[usize], width: usize) -> String {
    let widths: [usize; N] = std::array::from_fn(|i| rows.iter().map(|row| shown(&row[i])).max().unwrap_or_default());
    let n_before_last: usize = widths[..N - 1].iter().map(|width| width + 2).sum();
    let mut text = String::new();
    for row in rows {
        for (i, cell) in row[..N - 1].iter().enumerate() {
            let gap = " ".repeat(widths[i] - shown(cell));
            text += &if right.contains(&i) { format!("{gap}{cell}  ") } else { format!("{cell}{gap}  ") };
        }
        text += shorten(&row[N - 1], width.saturating_sub(n_before_last).max(20)).as_str();
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}

/// Characters of a cell that take up space: all but terminal codes.
fn shown(cell: &str) -> usize {
    let mut in_code = false;
    cell.chars()
        .filter(|&c| {
            let counts = !in_code && c != '\x1b';
            in_code = c == '\x1b' || in_code && c != 'm';
            counts
        })
        .count()
}

/// The text, cut to `n_chars` characters with `…` in place of what is left out.
pub fn shorten(text: &str, n_chars: usize) -> String {
    match text.char_indices().nth(n_chars) {
        None => text.to_owned(),
        Some(_) => text.chars().take(n_chars.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// The text without control characters and marks of direction: what a file or a model says must not steer the terminal,
/// nor read as something that it is not.
pub fn clean(text: &str) -> String {
    let steers = |c: char| match c {
        '\n' | '\t' => false,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => true,
        other => other.is_control(),
    };
    text.replace("\r\n", "\n").replace(steers, "\u{fffd}")
}

/// A number with a comma between thousands.
pub fn thousands(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A time span in the unit that suits it.
pub fn duration(ms: f64) -> String {
    let seconds = ms / 1000.0;
    match seconds {
        s if s < 0.9995 => format!("{ms:.0} ms"),
        s if s < 59.95 => format!("{s:.1} s"),
        s if s < 3599.5 => format!("{} min {:02} s", s.round() as u64 / 60, s.round() as u64 % 60),
        s => format!("{} h {:02} min", s.round() as u64 / 3600, s.round() as u64 % 3600 / 60),
    }
}

/// A size in the unit that suits it.
pub fn bytes(n: u64) -> String {
    match n {
        0..1_000 => format!("{n} B"),
        1_000..1_000_000 => format!("{:.1} kB", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", n as f64 / 1e6),
        _ => format!("{:.2} GB", n as f64 / 1e9),
    }
}
