//! How a model on its way looks on stderr: a bar on a terminal, a line now and then elsewhere.
//!
//! Invariant: stdout is not touched, so results stay alone there. Must not know: where models come from.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::render;
use super::{Failure, Kind, Settings};
use crate::catalog::{self, Catalog, Located, Progress};

/// Time between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);
/// What the bar shows.
const BAR: &str = "{msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";

/// The model's file, fetched first if it is not on this machine; without a name, the default model's.
///
/// # Errors
/// Those of the catalog, with a hint.
pub fn ensure(name: Option<&str>, settings: &Settings) -> Result<Located, Failure> {
    let settings = with_sources(settings);
    let default = Catalog::load(&settings.home)?.default_model().name.clone();
    let mut transfer = Transfer::new();
    let located = catalog::ensure(name.unwrap_or(&default), &settings, &mut |progress| transfer.tell(progress));
    transfer.end();
    Ok(located?)
}

/// The catalog's settings: those of the command line and of the environment.
pub fn with_sources(settings: &Settings) -> catalog::Settings {
    catalog::Settings::from_env(settings.home.clone(), settings.offline)
}

/// One transfer on stderr.
pub struct Transfer {
    bar: ProgressBar,
    is_terminal: bool,
    doing: &'static str,
    last_line: Option<Instant>,
}

impl Transfer {
    /// Shows nothing yet.
    pub fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let is_terminal = !bar.is_hidden();
        bar.set_style(ProgressStyle::with_template(BAR).expect("the template is constant"));
        Self { bar, is_terminal, doing: "", last_line: None }
    }

    /// Shows what is going on.
    pub fn tell(&mut self, progress: Progress<'_>) {
        match progress {
            Progress::Trying { source } => self.line(&format!("fetching from {source}")),
            Progress::Skipped { source, why } => self.line(&format!("{source}: {why}")),
            Progress::Waiting => self.line("another process is fetching this model; waiting for it"),
            Progress::Fetched { done, total } => self.advance("fetching", done, total.unwrap_or(done)),
            Progress::Checking { done, total } => self.advance("checking", done, total),
        }
    }

    /// Takes the bar away.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }

    fn line(&self, text: &str) {
        let text = format!("{}\n", render::clean(text));
        self.bar.suspend(|| render::to_stderr(&text));
    }

    fn advance(&mut self, doing: &'static str, done: u64, total: u64) {
        if self.doing != doing {
            self.doing = doing;
            self.last_line = None;
            self.bar.reset();
            self.bar.set_message(doing);
        }
        if self.is_terminal {
            self.bar.set_length(total);
            self.bar.set_position(done);
        } else if self.last_line.is_none_or(|at| at.elapsed() >= LINE_EVERY) {
            self.last_line = Some(Instant::now());
            self.line(&format!("{doing}: {} of {}", render::bytes(done), render::bytes(total)));
        }
    }
}

impl From<catalog::Error> for Failure {
    fn from(error: catalog::Error) -> Self {
        use catalog::Error;
        let hint = match &error {
            Error::Unknown { .. } => {
                Some("`partita models list` lists the models; any GGUF file can be named by its path".into())
            }
            Error::Absent { name } => Some(format!("fetch it: partita models pull {name}")),
            Error::Offline { name } => Some(format!("with a network: partita models pull {name}")),
            Error::Unreachable { .. } | Error::Pip { .. } | Error::NoSource { .. } => {
                Some("any GGUF file that is on this machine can be named by its path".into())
            }
            _ => None,
        };
        let failure = Self::from_error(Kind::Machine, &error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}
