//! Shows a run while it happens, on stderr: the plan as it forms, each step's state, the pace, the answer's files.
//!
//! On a terminal the last line is live; elsewhere only plain lines appear, one per event.
//! Must not know: how anything is done.

use std::io::{BufRead, IsTerminal};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::render::{self, Style, Tone};
use crate::orchestrate::{Artifact, Event, Observer, plan_tree};
use crate::types::StepId;

/// Characters of the live line.
const LIVE_CHARS: usize = 100;
/// The live line is redrawn at most this often.
const REDRAW: Duration = Duration::from_millis(80);

/// The limits that are shown as what is left of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Of the whole run.
    pub time: Option<Duration>,
    /// Read and written.
    pub tokens: Option<u64>,
}

/// What the live line is made from.
#[derive(Debug, Default)]
struct Live {
    /// Tail of the text that is being decoded.
    tail: String,
    purpose: &'static str,
    n_decoded: u64,
    n_prompt: u64,
    n_cached: u64,
    drawn: Option<Instant>,
    first_token: Option<Instant>,
}

/// The person's view of a run.
pub struct View {
    style: Style,
    is_terminal: bool,
    may_ask: bool,
    began: Instant,
    limits: Limits,
    live: Mutex<Live>,
    /// One question at a time, or nobody knows which one an answer is for.
    asking: Mutex<()>,
}

impl View {
    /// A view on stderr. `may_ask`: whether the person at the terminal may be asked.
    pub fn new(may_ask: bool, limits: Limits) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let may_ask = may_ask && is_terminal && std::io::stdin().is_terminal();
        let (live, asking) = (Mutex::default(), Mutex::default());
        Self { style: Style::stderr(), is_terminal, may_ask, began: Instant::now(), limits, live, asking }
    }

    /// Tells what went wrong and cost nothing but time.
    pub fn warn(&self, what: Option<&str>) {
        what.into_iter().for_each(|what| self.line(Some(Tone::Notice), &format!("warning: {}", render::clean(what))));
    }

    /// Takes a piece of decoded text.
    pub fn token(&self, purpose: &'static str, _step: Option<StepId>, text: &str) {
        let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        if live.purpose != purpose {
            live.tail.clear();
            live.purpose = purpose;
        }
        live.n_decoded += 1;
        live.first_token.get_or_insert_with(Instant::now);
        live.tail.push_str(&render::clean(text));
        if self.is_terminal && live.drawn.is_none_or(|drawn| drawn.elapsed() > REDRAW) {
            live.drawn = Some(Instant::now());
            render::to_stderr(&format!("\r\x1b[2K{}", self.style.paint(Tone::Faint, &self.live_line(&live))));
        }
    }

    fn live_line(&self, live: &Live) -> String {
        let pace = self.pace(live);
        let room = LIVE_CHARS.saturating_sub(pace.chars().count() + live.purpose.len() + 3);
        let skip = live.tail.chars().count().saturating_sub(room);
        let tail: String = live.tail.chars().skip(skip).collect();
        format!("{pace} {}: {tail}", live.purpose)
    }

    /// Seconds, tokens per second, cached share, what is left of the limits.
    fn pace(&self, live: &Live) -> String {
        let seconds = self.began.elapsed().as_secs_f64();
        let mut text = format!("{seconds:.0} s");
        if let Some(first) = live.first_token {
            text.push_str(&format!(" · {:.0} tok/s", live.n_decoded as f64 / first.elapsed().as_secs_f64().max(0.1)));
        }
        if let Some(percent) = (live.n_cached * 100).checked_div(live.n_prompt) {
            text.push_str(&format!(" · {percent} % cached"));
        }
        if let Some(time) = self.limits.time {
            text.push_str(&format!(" · {:.0} s left", (time.as_secs_f64() - seconds).max(0.0)));
        }
        if let Some(tokens) = self.limits.tokens {
            let used = live.n_decoded + live.n_prompt - live.n_cached;
            text.push_str(&format!(" · {} tokens left", tokens.saturating_sub(used)));
        }
        text
    }

    fn line(&self, tone: Option<Tone>, text: &str) {
        let clear = if self.is_terminal { "\r\x1b[2K" } else { "" };
        let text = tone.map_or_else(|| text.to_owned(), |tone| self.style.paint(tone, text));
        render::to_stderr(&format!("{clear}{text}\n"));
    }

    /// The run's end: pace, then the files that were written.
    pub fn end(&self, artifacts: &[Artifact]) {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        self.line(Some(Tone::Faint), &self.pace(&live));
        for artifact in artifacts {
            self.line(None, &format!("  {} ({} bytes)", render::clean(&artifact.path), artifact.bytes));
        }
    }
}

impl Observer for View {
    fn event(&self, event: &Event) {
        match event {
            Event::Planned { steps, .. } if steps.is_empty() => self.line(None, "plan: answered at once"),
            Event::Planned { round, steps } => {
                self.line(Some(Tone::Strong), if *round == 0 { "plan" } else { "what is still to be done" });
                plan_tree(steps).lines().for_each(|line| self.line(None, &render::clean(line)));
            }
            Event::PlanFailed { error } => self.line(Some(Tone::Bad), &format!("no plan: {}", render::clean(error))),
            Event::StepStarted { step, attempt, tool } => {
                let again = if *attempt > 1 { format!(", try {attempt}") } else { String::new() };
                self.line(None, &format!("▶ {step} {tool}{again}"));
            }
            Event::ModelCalled { usage, .. } => {
                let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
                live.n_prompt += usage.prompt_tokens as u64;
                live.n_cached += usage.cached_tokens as u64;
            }
            Event::StepDone { step } => self.line(Some(Tone::Good), &format!("✓ {step}")),
            Event::StepFailed { step, error, .. } => {
                let first = render::clean(error.lines().next().unwrap_or_default());
                self.line(Some(Tone::Bad), &format!("✗ {step} {first}"));
            }
            Event::Answered { answer, assumed: true, .. } => {
                self.line(Some(Tone::Notice), &format!("assumed: {}", render::clean(answer)));
            }
            Event::Checked { unmet, .. } => {
                unmet.iter().for_each(|unmet| {
                    self.line(Some(Tone::Notice), &format!("missing: {}", render::clean(&unmet.what)))
                });
            }
            Event::BudgetSpent { what } => self.line(Some(Tone::Notice), &format!("stopped: {what}")),
            _ => {}
        }
    }

    fn ask(&self, question: &str) -> Option<String> {
        if !self.may_ask {
            return None;
        }
        let _turn = self.asking.lock().unwrap_or_else(PoisonError::into_inner);
        self.line(Some(Tone::Notice), &format!("? {}", render::clean(question)));
        let mut answer = String::new();
        let n_bytes = std::io::stdin().lock().read_line(&mut answer).ok()?;
        (n_bytes > 0).then(|| answer.trim().to_owned())
    }
}
