//! One workflow, cold: a planner, executors that all begin with what the planner has, a summarizer that reads them all.
//!
//! - Planner: a prompt of `n_prefix` tokens; `n_output` are generated, as in every role.
//! - Executors, all at once: the planner's tokens and `n_tail` of their own.
//! - Summarizer: the planner's tokens and the outputs of all executors.
//!
//! Prompts are token ids drawn from a seed, new in every sample; greedy, and end tokens are never drawn, so that every
//! engine does the same work. *Distinct* tokens are those that have to be prefilled once at least: the prompts, each
//! shared part counted once, and the outputs where the summarizer reads them.
//! Must not know: how a result is shown, what answers ([`Completer`]).

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::{Error, row::median};
use crate::engine::{Delta, Engine, Prompt, Request, Tag, TokenStream};
use crate::sample::Random;
use crate::types::{RunId, Token};

/// Ids that stand for text in all vocabularies of today's models.
const IDS: std::ops::Range<u64> = 1000..40_000;

/// The workflow to measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowBench {
    /// Executors.
    pub n_executors: usize,
    /// Tokens of the planner's prompt.
    pub n_prefix: usize,
    /// Tokens that an executor adds to what the planner has.
    pub n_tail: usize,
    /// Tokens that every role generates.
    pub n_output: usize,
    /// How often to measure; 1 or more.
    pub n_samples: usize,
    /// Executors only, from a cold cache: what all of them begin with is known to none.
    pub is_fan_out: bool,
}

impl Default for WorkflowBench {
    fn default() -> Self {
        Self { n_executors: 8, n_prefix: 1500, n_tail: 60, n_output: 64, n_samples: 1, is_fan_out: false }
    }
}

/// What one engine made of the workflow; of several samples the one with the median makespan.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorkflowReport {
    /// Who was measured.
    pub engine: String,
    /// Seconds from the first request to the last token.
    pub makespan_s: f64,
    /// Seconds of the planner.
    pub plan_s: f64,
    /// Seconds until the last executor was done.
    pub executors_s: f64,
    /// Seconds of the summarizer.
    pub summary_s: f64,
    /// Prompt tokens that were computed.
    pub prefilled_tokens: u64,
    /// Prompt tokens that have to be computed at least.
    pub distinct_tokens: u64,
    /// Tokens that were generated.
    pub decoded_tokens: u64,
    /// Generated tokens per second between the first and the last token of a phase, over all phases.
    pub decode_tokens_per_s: Option<f64>,
    /// Mean number of sequences in a pass.
    pub occupancy: Option<f64>,
    /// Mean number of sequences in a pass, in each tenth of the makespan; 0 where there was no pass.
    pub occupancy_over_time: Vec<f64>,
    /// Tokens per second in each tenth of the makespan.
    pub rate_over_time: Vec<f64>,
    /// Median time between two tokens of a sequence.
    pub gap_p50_ms: Option<f64>,
    /// 99th percentile of it.
    pub gap_p99_ms: Option<f64>,
    /// The longest.
    pub gap_max_ms: Option<f64>,
    /// Most KV memory in use.
    pub kv_peak_bytes: Option<u64>,
    /// Share of the generated tokens that a grammar forced.
    pub forced_share: Option<f64>,
    /// Share of the generated tokens that were guessed right beforehand.
    pub drafted_share: Option<f64>,
    /// Makespans of all samples, in order of time.
    pub samples_s: Vec<f64>,
}

/// Counters of an engine that only grow; `None` where it does not tell.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Totals {
    pub n_prefilled: u64,
    pub n_forced: Option<u64>,
    pub n_drafts_right: Option<u64>,
    pub n_passes: Option<u64>,
    pub n_spans: Option<u64>,
    pub kv_peak_bytes: Option<u64>,
}

/// A completed prompt.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Completed {
    pub tokens: Vec<Token>,
    /// When each token came; empty if unknown.
    pub times: Vec<Instant>,
}

/// What an engine had done at some moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Mark {
    at: Instant,
    n_passes: u64,
    n_spans: u64,
}

/// Something that continues token sequences greedily.
pub(super) trait Completer {
    /// Continues all prompts at once by `n_output` tokens each.
    fn complete(&mut self, prompts: Vec<Vec<Token>>, n_output: usize) -> Result<Vec<Completed>, Error>;

    /// Counters as they stand.
    fn totals(&self) -> Totals;

    /// What was done when, since this was asked last; nothing if it is not known.
    fn take_marks(&mut self) -> Vec<Mark> {
        Vec::new()
    }

    fn name(&self) -> String;
}

/// Measures the workflow on an engine of ours, telling after every sample how many of how many are done.
///
/// # Errors
/// A workflow that does not fit the model's context, and whatever stops the engine.
pub fn run_workflow(
    engine: &Engine,
    plan: &WorkflowBench,
    report: &mut dyn FnMut(usize, usize),
) -> Result<WorkflowReport, Error> {
    let needed = plan.n_prefix + plan.n_output * (plan.n_executors + 2);
    if needed > engine.n_ctx() {
        return Err(Error::Context { test: "workflow".into(), needed, n_ctx: engine.n_ctx() });
    }
    measure(&mut OwnEngine { engine, marks: Vec::new() }, plan, report)
}

/// As [`run_workflow`], for anything that completes.
pub(super) fn measure(
    completer: &mut dyn Completer,
    plan: &WorkflowBench,
    report: &mut dyn FnMut(usize, usize),
) -> Result<WorkflowReport, Error> {
    for (what, n) in [
        ("the number of executors", plan.n_executors),
        ("the number of prefix tokens", plan.n_prefix),
        ("the number of tokens to generate", plan.n_output),
        ("the number of samples", plan.n_samples),
    ] {
        if n == 0 {
            return Err(Error::Zero { what });
        }
    }
    let mut random = Random::new(7);
    completer.complete(vec![ids(&mut random, 8)], 2)?;
    let mut reports = Vec::new();
    for sample in 0..plan.n_samples {
        reports.push(sample_of(completer, plan, &mut random)?);
        report(sample + 1, plan.n_samples);
    }
    let samples_s: Vec<f64> = reports.iter().map(|report| report.makespan_s).collect();
    let mut sorted = samples_s.clone();
    sorted.sort_by(f64::total_cmp);
    let middle = median(&sorted);
    let distance = |report: &WorkflowReport| (report.makespan_s - middle).abs();
    let of_median = reports.into_iter().min_by(|a, b| distance(a).total_cmp(&distance(b)));
    of_median.map(|report| WorkflowReport { samples_s, ..report }).ok_or(Error::Zero { what: "the number of samples" })
}

/// Made-up text.
pub(super) fn ids(random: &mut Random, n: usize) -> Vec<Token> {
    (0..n).map(|_| (IDS.start + random.next_u64() % (IDS.end - IDS.start)) as Token).collect()
}

/// The three phases once, with prompts that were never seen before.
fn sample_of(
    completer: &mut dyn Completer,
    plan: &WorkflowBench,
    random: &mut Random,
) -> Result<WorkflowReport, Error> {
    let before = completer.totals();
    completer.take_marks();
    let mut base = ids(random, plan.n_prefix);
    let tails: Vec<Vec<Token>> = (0..plan.n_executors).map(|_| ids(random, plan.n_tail)).collect();
    let started = Instant::now();
    let planned = if plan.is_fan_out { Vec::new() } else { completer.complete(vec![base.clone()], plan.n_output)? };
    let after_plan = Instant::now();
    base.extend(planned.iter().flat_map(|done| &done.tokens));
    let prompts = tails.iter().map(|tail| [base.as_slice(), tail].concat()).collect();
    let executed = completer.complete(prompts, plan.n_output)?;
    let after_executors = Instant::now();
    base.extend(executed.iter().flat_map(|done| &done.tokens));
    let summary = if plan.is_fan_out { Vec::new() } else { completer.complete(vec![base], plan.n_output)? };
    let end = Instant::now();
    let phases = [planned, executed, summary];
    let after = completer.totals();
    let n_read_again = if plan.is_fan_out { 0 } else { plan.n_output };
    let n_distinct = plan.n_prefix + plan.n_executors * (plan.n_tail + n_read_again);
    let n_decoded: usize = phases.iter().flatten().map(|done| done.tokens.len()).sum();
    let grown = |of: fn(&Totals) -> Option<u64>| Some(of(&after)? - of(&before)?);
    let ratio = |a: Option<u64>, b: Option<u64>| Some(a? as f64 / b.filter(|&b| b > 0)? as f64);
    let gaps = sorted_gaps_ms(&phases);
    Ok(WorkflowReport {
        engine: completer.name(),
        makespan_s: (end - started).as_secs_f64(),
        plan_s: (after_plan - started).as_secs_f64(),
        executors_s: (after_executors - after_plan).as_secs_f64(),
        summary_s: (end - after_executors).as_secs_f64(),
        prefilled_tokens: after.n_prefilled - before.n_prefilled,
        distinct_tokens: n_distinct as u64,
        decoded_tokens: n_decoded as u64,
        decode_tokens_per_s: decode_rate(&phases),
        occupancy: ratio(grown(|totals| totals.n_spans), grown(|totals| totals.n_passes)),
        occupancy_over_time: occupancy_over_time(&completer.take_marks(), started, end),
        rate_over_time: rate_over_time(&phases, started, end),
        gap_p50_ms: percentile(&gaps, 50),
        gap_p99_ms: percentile(&gaps, 99),
        gap_max_ms: gaps.last().copied(),
        kv_peak_bytes: after.kv_peak_bytes,
        forced_share: ratio(grown(|totals| totals.n_forced), Some(n_decoded as u64)),
        drafted_share: ratio(grown(|totals| totals.n_drafts_right), Some(n_decoded as u64)),
        samples_s: Vec::new(),
    })
}

/// Milliseconds between neighbouring tokens of all sequences.
fn sorted_gaps_ms(phases: &[Vec<Completed>]) -> Vec<f64> {
    let pairs = phases.iter().flatten().flat_map(|done| done.times.windows(2));
    let mut gaps: Vec<f64> = pairs.map(|pair| (pair[1] - pair[0]).as_secs_f64() * 1e3).collect();
    gaps.sort_by(f64::total_cmp);
    gaps
}

pub(super) fn percentile(sorted: &[f64], percent: usize) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    Some(sorted[(last * percent).div_ceil(100)])
}

/// Tokens after the first of each phase, by the time that they took.
fn decode_rate(phases: &[Vec<Completed>]) -> Option<f64> {
    let (mut n_tokens, mut seconds) = (0, 0.0);
    for phase in phases.iter().filter(|phase| !phase.is_empty()) {
        let times = || phase.iter().flat_map(|done| &done.times);
        let (first, last) = (times().min()?, times().max()?);
        n_tokens += times().filter(|time| *time > first).count();
        seconds += (*last - *first).as_secs_f64();
    }
    (seconds > 0.0).then(|| n_tokens as f64 / seconds)
}

/// Parts that the makespan is shown in.
const PARTS: usize = 10;

/// The part that a moment falls into.
fn part_at(time: Instant, started: Instant, end: Instant) -> usize {
    let share = (time - started).as_secs_f64() / (end - started).as_secs_f64().max(1e-9);
    ((share * PARTS as f64) as usize).min(PARTS - 1)
}

fn occupancy_over_time(marks: &[Mark], started: Instant, end: Instant) -> Vec<f64> {
    if marks.is_empty() {
        return Vec::new();
    }
    let mut parts = vec![(0, 0); PARTS];
    for pair in marks.windows(2) {
        let part = &mut parts[part_at(pair[1].at, started, end)];
        *part = (part.0 + pair[1].n_spans - pair[0].n_spans, part.1 + pair[1].n_passes - pair[0].n_passes);
    }
    parts.into_iter().map(|(n_spans, n_passes)| n_spans as f64 / n_passes.max(1) as f64).collect()
}

fn rate_over_time(phases: &[Vec<Completed>], started: Instant, end: Instant) -> Vec<f64> {
    let part_s = (end - started).as_secs_f64() / PARTS as f64;
    let mut counts = vec![0usize; PARTS];
    for time in phases.iter().flatten().flat_map(|done| &done.times) {
        counts[part_at(*time, started, end)] += 1;
    }
    if counts.iter().all(|&n| n == 0) {
        return Vec::new();
    }
    counts.into_iter().map(|n| n as f64 / part_s).collect()
}

struct OwnEngine<'a> {
    engine: &'a Engine,
    marks: Vec<Mark>,
}

impl OwnEngine<'_> {
    /// Looks at the engine's counters every few milliseconds until `is_over`.
    fn watch(&self, is_over: &AtomicBool) -> Vec<Mark> {
        const PERIOD: Duration = Duration::from_millis(5);
        let mut marks = Vec::new();
        loop {
            let was_over = is_over.load(Ordering::Acquire);
            let stats = self.engine.stats();
            marks.push(Mark { at: Instant::now(), n_passes: stats.n_passes, n_spans: stats.n_spans });
            if was_over {
                return marks;
            }
            std::thread::sleep(PERIOD);
        }
    }
}

impl Completer for OwnEngine<'_> {
    fn complete(&mut self, prompts: Vec<Vec<Token>>, n_output: usize) -> Result<Vec<Completed>, Error> {
        let tag = Tag { role: "bench", step: None, run: Some(RunId("workflow".into())) };
        let request =
            |prompt| Request { ignore_end: true, tag: tag.clone(), ..Request::new(Prompt::Tokens(prompt), n_output) };
        let streams = self.engine.submit_all(prompts.into_iter().map(request).collect())?;
        // A thread per stream, so that a token's time is when it came and not when somebody looked.
        let is_over = AtomicBool::new(false);
        let (completed, marks) = std::thread::scope(|scope| {
            let watcher = scope.spawn(|| self.watch(&is_over));
            let readers: Vec<_> = streams.into_iter().map(|stream| scope.spawn(|| read(stream))).collect();
            let completed = readers.into_iter().map(join).collect();
            is_over.store(true, Ordering::Release);
            (completed, join(watcher))
        });
        self.marks.extend(marks);
        completed
    }

    fn totals(&self) -> Totals {
        let stats = self.engine.stats();
        Totals {
            n_prefilled: stats.n_prefilled,
            n_forced: Some(stats.n_forced),
            n_drafts_right: Some(stats.n_drafts_right),
            n_passes: Some(stats.n_passes),
            n_spans: Some(stats.n_spans),
            kv_peak_bytes: Some(stats.kv_blocks_peak as u64 * stats.kv_block_bytes),
        }
    }

    fn take_marks(&mut self) -> Vec<Mark> {
        std::mem::take(&mut self.marks)
    }

    fn name(&self) -> String {
        "partita".into()
    }
}

fn join<T>(thread: std::thread::ScopedJoinHandle<'_, T>) -> T {
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn read(mut stream: TokenStream) -> Result<Completed, Error> {
    let mut done = Completed::default();
    while let Some(delta) = stream.recv_blocking() {
        match delta {
            Delta::Token { .. } => done.times.push(Instant::now()),
            Delta::Done(completion) => done.tokens = completion.tokens,
            Delta::Failed(error) => return Err(error.into()),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn phases(times: &[&[&[u64]]]) -> (Instant, Vec<Vec<Completed>>) {
        let start = Instant::now();
        let done = |ms: &&[u64]| Completed {
            tokens: vec![7; ms.len()],
            times: ms.iter().map(|ms| start + Duration::from_millis(*ms)).collect(),
        };
        (start, times.iter().map(|phase| phase.iter().map(done).collect()).collect())
    }

    #[test]
    fn times_become_figures() {
        let (start, phases) = phases(&[&[&[100, 200, 400]], &[&[500, 600], &[500, 900]]]);
        let gaps: Vec<u64> = sorted_gaps_ms(&phases).into_iter().map(|gap| gap.round() as u64).collect();
        assert_eq!(gaps, [100, 100, 200, 400]);
        // Two tokens in 300 ms and two in 400 ms.
        assert!((decode_rate(&phases).unwrap() - 4.0 / 0.7).abs() < 1e-6);
        let (before, after) = (start - Duration::from_millis(50), start + Duration::from_millis(950));
        let rates = rate_over_time(&phases, before, after);
        assert_eq!(
            rates.iter().map(|rate| (rate / 10.0).round() as u64).collect::<Vec<_>>(),
            [0, 1, 1, 0, 1, 2, 1, 0, 0, 1]
        );
        let mark = |ms, n_passes, n_spans| Mark { at: start + Duration::from_millis(ms), n_passes, n_spans };
        let marks = [mark(0, 5, 5), mark(60, 6, 9), mark(90, 8, 11), mark(900, 9, 12)];
        let occupancy = occupancy_over_time(&marks, before, after);
        assert_eq!(occupancy, [0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
        assert_eq!((percentile(&[1.0, 2.0, 3.0], 50), percentile(&[1.0, 2.0, 3.0], 99)), (Some(2.0), Some(3.0)));
        assert_eq!((percentile(&[], 50), decode_rate(&[Vec::new()])), (None, None));
    }
}
