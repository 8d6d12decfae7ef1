//! How long running sequences wait for their tokens while a long prompt of somebody else is prefilled.
//!
//! Sequences of different runs decode; when all of them do, the long prompt comes. *Quiet* gaps lie before it, *busy*
//! ones overlap the time from its submission to its first token.
//! Must not know: how a result is shown.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::Error;
use super::workflow::{ids, percentile};
use crate::engine::{Delta, Engine, Prompt, Request, TokenStream};
use crate::sample::Random;

/// Tokens of a sequence that come within this time were drawn in the same pass.
const SAME_PASS: Duration = Duration::from_micros(200);
/// Tokens that every sequence generates before the long prompt comes.
const N_QUIET: usize = 48;

/// The case to measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GapBench {
    /// Sequences that decode, each of a run of its own.
    pub n_sequences: usize,
    /// Tokens of their prompts.
    pub n_prompt: usize,
    /// Tokens of the prompt that comes while they decode.
    pub n_long: usize,
}

impl Default for GapBench {
    fn default() -> Self {
        Self { n_sequences: 4, n_prompt: 128, n_long: 4096 }
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GapReport {
    /// Seconds from the submission of the long prompt to its first token.
    pub long_s: f64,
    /// Median time between two tokens of a sequence before the long prompt came.
    pub quiet_p50_ms: f64,
    /// The longest of these.
    pub quiet_max_ms: f64,
    /// Median time between two tokens of a sequence while the long prompt was prefilled.
    pub busy_p50_ms: f64,
    /// 99th percentile of it.
    pub busy_p99_ms: f64,
    /// The longest.
    pub busy_max_ms: f64,
    /// The longest by the quiet median.
    pub max_to_quiet: f64,
    /// How many gaps there were while the long prompt was prefilled.
    pub n_busy: usize,
}

/// When a sequence got a token, by its number.
type Arrival = (usize, Result<Instant, Error>);

/// Measures the gaps on an engine.
///
/// # Errors
/// A case that does not fit the model's context, and whatever stops the engine.
pub fn run_gap(engine: &Engine, plan: &GapBench) -> Result<GapReport, Error> {
    for (what, n) in [
        ("the number of sequences", plan.n_sequences),
        ("the number of prompt tokens", plan.n_prompt),
        ("the number of tokens of the long prompt", plan.n_long),
    ] {
        if n == 0 {
            return Err(Error::Zero { what });
        }
    }
    let needed = plan.n_long.max(plan.n_prompt + 2 * N_QUIET) + 1;
    if needed > engine.n_ctx() {
        return Err(Error::Context { test: "gap".into(), needed, n_ctx: engine.n_ctx() });
    }
    let mut random = Random::new(13);
    let n_tokens = engine.n_ctx() - plan.n_prompt;
    let mut endless = |n_tokens| {
        let prompt = Prompt::Tokens(ids(&mut random, plan.n_prompt));
        Request { ignore_end: true, ..Request::new(prompt, n_tokens) }
    };
    // The first passes of an engine teach it what its passes cost.
    engine.submit(endless(N_QUIET))?.finish_blocking()?;
    let streams = engine.submit_all((0..plan.n_sequences).map(|_| endless(n_tokens)).collect())?;
    let long = Request::new(Prompt::Tokens(ids(&mut random, plan.n_long)), 1);
    let (arrivals, inbox) = channel();
    std::thread::scope(|scope| {
        for (number, stream) in streams.into_iter().enumerate() {
            let arrivals = arrivals.clone();
            scope.spawn(move || forward(number, stream, &arrivals));
        }
        // The readers end when nobody listens to them any more, and the sequences with them.
        watch(engine, long, plan.n_sequences, inbox)
    })
}

/// Passes on when a sequence's tokens come, until it ends or nobody listens.
fn forward(number: usize, mut stream: TokenStream, arrivals: &Sender<Arrival>) {
    while let Some(delta) = stream.recv_blocking() {
        let arrival = match delta {
            Delta::Token { .. } => Ok(Instant::now()),
            Delta::Done(_) => return,
            Delta::Failed(error) => Err(error.into()),
        };
        if arrivals.send((number, arrival)).is_err() {
            return;
        }
    }
}

/// Lets the sequences get going, sends the long prompt, and reads on until it has its first token.
fn watch(engine: &Engine, long: Request, n_sequences: usize, inbox: Receiver<Arrival>) -> Result<GapReport, Error> {
    let mut times: Vec<Vec<Instant>> = vec![Vec::new(); n_sequences];
    let note = |times: &mut Vec<Vec<Instant>>, (number, arrival): Arrival| -> Result<(), Error> {
        times[number].push(arrival?);
        Ok(())
    };
    while times.iter().any(|times| times.len() < N_QUIET) {
        let arrival = inbox.recv().map_err(|_| Error::Zero { what: "the number of tokens that came" })?;
        note(&mut times, arrival)?;
    }
    let submitted = Instant::now();
    let done = engine.submit(long)?.finish_blocking()?;
    let answered = submitted + Duration::from_secs_f64(done.usage.prefill_ms / 1e3);
    inbox.try_iter().try_for_each(|arrival| note(&mut times, arrival))?;
    Ok(report(&times, submitted, answered))
}

fn report(times: &[Vec<Instant>], submitted: Instant, answered: Instant) -> GapReport {
    // Before the last sequence has its first token, others wait for its prompt.
    let all_decode = times.iter().filter_map(|times| times.first()).max().copied().unwrap_or(submitted);
    let sorted = |is_one: &dyn Fn(Instant, Instant) -> bool| {
        let pairs = times.iter().flat_map(|times| times.windows(2)).map(|pair| (pair[0], pair[1]));
        // Tokens of the same pass, such as guesses that were right, come together.
        let gaps = pairs.filter(|&(from, to)| to - from >= SAME_PASS && is_one(from, to));
        let mut gaps: Vec<f64> = gaps.map(|(from, to)| (to - from).as_secs_f64() * 1e3).collect();
        gaps.sort_by(f64::total_cmp);
        gaps
    };
    let quiet = sorted(&|from, to| from >= all_decode && to <= submitted);
    let busy = sorted(&|from, to| to > submitted && from < answered);
    let of = |gaps: &[f64], percent| percentile(gaps, percent).unwrap_or(0.0);
    GapReport {
        long_s: (answered - submitted).as_secs_f64(),
        quiet_p50_ms: of(&quiet, 50),
        quiet_max_ms: of(&quiet, 100),
        busy_p50_ms: of(&busy, 50),
        busy_p99_ms: of(&busy, 99),
        busy_max_ms: of(&busy, 100),
        max_to_quiet: of(&busy, 100) / of(&quiet, 50).max(1e-9),
        n_busy: busy.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_sorted_into_quiet_and_busy_ones() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let times = [vec![at(0), at(50), at(60), at(70), at(95)], vec![at(40), at(50), at(90)]];
        let report = report(&times, at(72), at(92));
        let ms = |x: f64| x.round() as u64;
        assert_eq!((ms(report.quiet_p50_ms), ms(report.quiet_max_ms)), (10, 10));
        assert_eq!((ms(report.busy_p50_ms), ms(report.busy_max_ms), report.n_busy), (40, 40, 2));
        assert_eq!((ms(report.max_to_quiet), ms(1e3 * report.long_s)), (4, 20));
    }
}
