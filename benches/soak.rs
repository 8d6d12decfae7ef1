//! Many runs at once for a long time: does memory stay flat, does everything end, does anything stand still?
//!
//! `cargo bench --bench soak -- [--minutes 10] [--runs 200] [MODEL.gguf]`; without a model, a tiny seeded one. Every run
//! is a planner's prompt, a few sequences that fork it with tails, grammars and temperatures of their own, and one that
//! reads on from one of them; one sequence in six is given up half-way. KV memory holds a fraction of them, so that
//! eviction and preemption are at work throughout.
//!
//! Fails if a sequence fails, if for 30 s no token comes, or if the memory at the end is more than a tenth above that of
//! the second quarter; in the first one, memory is touched for the first time. `--test` (as CI runs every bench) takes a second.

#![allow(missing_docs, clippy::print_stdout)]

use std::error::Error;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use partita::engine::{Delta, Engine, EngineOptions, Prompt, Request, Tag, TokenStream, load};
use partita::model::tiny::{self, TinySpec};
use partita::sample::Random;
use partita::types::{Grammar, RunId, Sampling, SequenceId, Token};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// KV memory with a real model: about 40 sequences of the lengths that occur.
const KV_BYTES: u64 = 300 << 20;
/// How long nothing may come.
const STALL: Duration = Duration::from_secs(30);
/// How often a reader looks for news.
const LOOK: Duration = Duration::from_millis(10);

struct Arguments {
    time: Duration,
    n_runs: usize,
    model: Option<PathBuf>,
}

fn arguments() -> Result<Arguments> {
    let mut found = Arguments { time: Duration::from_secs(600), n_runs: 200, model: None };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--minutes" => found.time = Duration::from_secs_f64(60.0 * value()?.parse::<f64>()?),
            "--runs" => found.n_runs = value()?.parse()?,
            "--test" => (found.time, found.n_runs) = (Duration::from_secs(1), 20),
            "--bench" => {}
            _ => found.model = Some(argument.into()),
        }
    }
    Ok(found)
}

/// What all runs count together.
#[derive(Default)]
struct Tally {
    is_over: AtomicBool,
    n_tokens: AtomicU64,
    n_sequences: AtomicU64,
    n_runs: AtomicU64,
    failure: Mutex<Option<String>>,
}

impl Tally {
    fn fail(&self, why: String) {
        self.failure.lock().unwrap_or_else(std::sync::PoisonError::into_inner).get_or_insert(why);
        self.is_over.store(true, Ordering::Relaxed);
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}

/// One run after the other, until time is up.
fn runs(engine: &Engine, tally: &Tally, seed: u64) {
    let mut random = Random::new(seed);
    for round in 0.. {
        if tally.is_over() {
            return;
        }
        if let Err(error) = one_run(engine, tally, &mut random, RunId(format!("{seed}-{round}"))) {
            return tally.fail(error.to_string());
        }
        tally.n_runs.fetch_add(1, Ordering::Relaxed);
    }
}

fn one_run(engine: &Engine, tally: &Tally, random: &mut Random, run: RunId) -> Result<()> {
    let n_vocab = engine.tokenizer().n_vocab() as u64;
    // Tiny models have short contexts: all lengths are parts of it.
    let unit = (engine.n_ctx() as u64 / 16).min(64);
    let some = |random: &mut Random, n: u64| -> Vec<Token> {
        (0..1 + random.next_u64() % n).map(|_| (random.next_u64() % n_vocab) as Token).collect()
    };
    // A third of the runs begin with what another one begins with.
    let mut head = Random::new(random.next_u64() % 24);
    let prefix = if random.next_u64().is_multiple_of(3) { some(&mut head, 6 * unit) } else { some(random, 6 * unit) };
    let request = |random: &mut Random, prompt| Request {
        tag: Tag { role: "soak", step: None, run: Some(run.clone()) },
        urgency: random.next_u64() % 5000,
        grammar: random.next_u64().is_multiple_of(4).then(|| Grammar::Regex("[a-z ]{20,60}".into())),
        sampling: Sampling { temperature: (random.next_u64() % 3) as f32 * 0.4, ..Sampling::default() },
        ..Request::new(prompt, 1 + (random.next_u64() % unit) as usize)
    };
    let planner = engine.submit(request(random, Prompt::Tokens(prefix)))?;
    let parent = planner.sequence();
    read(planner, tally, random)?;
    let mut forks = Vec::new();
    if tally.is_over() {
        return Ok(());
    }
    for _ in 0..1 + random.next_u64() % 5 {
        let prompt = Prompt::Fork { parent, tokens: some(random, unit) };
        forks.push(request(random, prompt));
    }
    let mut last: SequenceId = parent;
    for stream in engine.submit_all(forks)? {
        last = stream.sequence();
        read(stream, tally, random)?;
    }
    if tally.is_over() {
        return Ok(());
    }
    let prompt = Prompt::Fork { parent: last, tokens: some(random, 2 * unit) };
    read(engine.submit(request(random, prompt))?, tally, random)
}

/// Reads a sequence to its end, or gives it up on the way.
fn read(mut stream: TokenStream, tally: &Tally, random: &mut Random) -> Result<()> {
    let patience = if random.next_u64().is_multiple_of(6) { random.next_u64() % 20 } else { u64::MAX };
    tally.n_sequences.fetch_add(1, Ordering::Relaxed);
    let mut n_read = 0;
    while let Some(delta) = next(&mut stream, tally) {
        match delta {
            Delta::Token { .. } => n_read += 1,
            Delta::Done(_) => return Ok(()),
            Delta::Failed(error) => return Err(error.into()),
        }
        tally.n_tokens.fetch_add(1, Ordering::Relaxed);
        if n_read > patience || tally.is_over() {
            // Cancelled, not dropped: a sequence that others may fork has to end in an orderly way.
            stream.cancel();
        }
    }
    Ok(())
}

/// The next delta. A sequence that still waits for its turn when time is up is cancelled there.
fn next(stream: &mut TokenStream, tally: &Tally) -> Option<Delta> {
    loop {
        match stream.poll_recv(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(delta) => return delta,
            Poll::Pending if tally.is_over() => stream.cancel(),
            Poll::Pending => {}
        }
        std::thread::sleep(LOOK);
    }
}

/// Bytes that the process has in memory.
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)).and_then(|number| number.parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}

/// Watches until time is up; the memory in use at every look.
fn watch(engine: &Engine, tally: &Tally, time: Duration) -> Vec<u64> {
    let started = Instant::now();
    let (mut last_tokens, mut last_news, mut looks) = (0, Instant::now(), Vec::new());
    while started.elapsed() < time && !tally.is_over() {
        std::thread::sleep(time / 60);
        looks.push(resident_bytes());
        let n_tokens = tally.n_tokens.load(Ordering::Relaxed);
        if n_tokens > last_tokens {
            (last_tokens, last_news) = (n_tokens, Instant::now());
        } else if last_news.elapsed() > STALL {
            tally.fail(format!("no token came for {} s", STALL.as_secs()));
        }
        let stats = engine.stats();
        println!(
            "{:5.0} s  {:6.1} MB  {n_tokens} tokens, {} sequences of {} runs, {} running, {} waiting, {} preempted, {} of {} blocks",
            started.elapsed().as_secs_f64(),
            *looks.last().unwrap_or(&0) as f64 / 1e6,
            tally.n_sequences.load(Ordering::Relaxed),
            tally.n_runs.load(Ordering::Relaxed),
            stats.n_running,
            stats.n_waiting,
            stats.n_preempted,
            stats.kv_blocks_used,
            stats.kv_blocks_total,
        );
    }
    tally.is_over.store(true, Ordering::Relaxed);
    looks
}

fn main() -> Result<()> {
    let arguments = arguments()?;
    let folder = tempfile::tempdir()?;
    let (path, kv_bytes) = match &arguments.model {
        Some(path) => (path.clone(), KV_BYTES),
        None => {
            let path = folder.path().join("tiny.gguf");
            tiny::write(&path, &TinySpec::default())?;
            (path, 1 << 20)
        }
    };
    let options = EngineOptions { kv_bytes: Some(kv_bytes), ..EngineOptions::default() };
    let engine = load(&path, &options, &mut |_| ())?;
    let tally = Tally::default();
    let looks = std::thread::scope(|scope| {
        for seed in 0..arguments.n_runs as u64 {
            let (engine, tally) = (&engine, &tally);
            scope.spawn(move || runs(engine, tally, seed));
        }
        watch(&engine, &tally, arguments.time)
    });
    if let Some(why) = tally.failure.into_inner()? {
        return Err(why.into());
    }
    let most = |looks: &[u64]| looks.iter().max().copied().unwrap_or(0);
    let quarter = |n: usize| &looks[looks.len() * (n - 1) / 4..looks.len() * n / 4];
    let (early, late) = (most(quarter(2)), most(quarter(4)));
    println!(
        "memory: at most {:.1} MB in the second quarter, {:.1} MB in the last",
        early as f64 / 1e6,
        late as f64 / 1e6
    );
    let stats = engine.stats();
    println!(
        "{} sequences ended, {} preempted, {} tokens prefilled, {} cached",
        stats.n_ended, stats.n_preempted, stats.n_prefilled, stats.n_cached
    );
    let per_pass = |time: Duration| time.as_secs_f64() * 1e6 / stats.n_passes.max(1) as f64;
    println!(
        "{} passes of {:.1} sequences and {:.0} us; the books took {:.0} us of each",
        stats.n_passes,
        stats.occupancy(),
        per_pass(stats.busy),
        per_pass(stats.overhead)
    );
    if late > early + early / 10 {
        return Err("the memory grew by more than a tenth".into());
    }
    Ok(())
}
