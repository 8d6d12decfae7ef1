//! Holds what was measured against what the machine can do, in one table at the end.
//!
//! Each row moves some bytes or does some operations; the limits of the machine ([`Limits`], measured in the same run,
//! before and after the kernels) say how fast that can be done at all. The limit that takes longest is the one that
//! binds: its unit is the row's unit, and the share is its time over the measured one.

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion};
use partita::kernel::{Limits, Threads};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Samples per row.
pub const SAMPLES: usize = 20;
/// More than the caches of one socket hold.
const MEMORY_BYTES: usize = 512 << 20;
const EFFORT: Duration = Duration::from_millis(300);

/// What a machine has only so much of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// Bytes from memory.
    Memory,
    /// Bytes from the second-level cache.
    Cache,
    /// Operations on `f32`.
    F32,
    /// Operations on integers of 8 bits.
    Int8,
    /// Operations on tiles.
    Tiles,
}

impl Limit {
    fn per_s(self, limits: &Limits) -> f64 {
        match self {
            Self::Memory => limits.memory_bytes_per_s,
            Self::Cache => limits.cache_bytes_per_s,
            Self::F32 => limits.f32_ops_per_s,
            Self::Int8 => limits.int8_ops_per_s,
            Self::Tiles => limits.tile_ops_per_s.unwrap_or(f64::NAN),
        }
    }

    /// Its name and the unit of a thousand millions of it per second.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Memory => ("memory", "GB/s"),
            Self::Cache => ("cache", "GB/s"),
            Self::F32 => ("f32", "Gop/s"),
            Self::Int8 => ("int8", "Gop/s"),
            Self::Tiles => ("tiles", "Gop/s"),
        }
    }
}

/// Amounts that a row takes: bytes or operations per repetition.
pub type Work = Vec<(usize, Limit)>;

struct Row {
    name: String,
    n_threads: usize,
    work: Work,
    /// Seconds per repetition.
    samples: Vec<f64>,
}

/// All rows of a run.
pub struct Report {
    rows: Vec<Row>,
    limits: BTreeMap<usize, Limits>,
    /// Whether anything is measured, or all of it only tried once.
    is_real: bool,
}

/// Rows whose names begin alike.
pub struct Group<'a> {
    group: BenchmarkGroup<'a, WallTime>,
    name: String,
    report: &'a mut Report,
}

impl Report {
    /// An empty report, and the limits of one thread and of two.
    pub fn new() -> Self {
        let has = |name: &str| std::env::args().any(|arg| arg == name);
        let is_real = has("--bench") && !has("--test") && !has("--list");
        let mut report = Self { rows: Vec::new(), limits: BTreeMap::new(), is_real };
        report.measure(&[1, 2]);
        report
    }

    /// Measures the limits of these numbers of threads; the better of two measurements counts.
    fn measure(&mut self, n_threads: &[usize]) {
        let (bytes, effort) = if self.is_real { (MEMORY_BYTES, EFFORT) } else { (1 << 20, Duration::ZERO) };
        for &n in n_threads {
            let new = Limits::measure(&Threads::new(n), bytes, effort);
            let old = *self.limits.entry(n).or_insert(new);
            let best = Limits {
                memory_bytes_per_s: new.memory_bytes_per_s.max(old.memory_bytes_per_s),
                cache_bytes_per_s: new.cache_bytes_per_s.max(old.cache_bytes_per_s),
                f32_ops_per_s: new.f32_ops_per_s.max(old.f32_ops_per_s),
                int8_ops_per_s: new.int8_ops_per_s.max(old.int8_ops_per_s),
                tile_ops_per_s: new.tile_ops_per_s.zip(old.tile_ops_per_s).map(|(new, old)| new.max(old)),
            };
            self.limits.insert(n, best);
        }
    }

    pub fn group<'a>(&'a mut self, c: &'a mut Criterion, name: impl Into<String>) -> Group<'a> {
        let name = name.into();
        Group { group: c.benchmark_group(&name), name, report: self }
    }

    /// The limits and the table; nothing after a trial.
    pub fn print(mut self) {
        if self.rows.is_empty() || !self.is_real {
            return;
        }
        let used: std::collections::BTreeSet<usize> = self.rows.iter().map(|row| row.n_threads).collect();
        self.measure(&used.into_iter().collect::<Vec<_>>());
        eprintln!("\nlimits, the best of {} ms twice, memory {} MiB", EFFORT.as_millis(), MEMORY_BYTES >> 20);
        for (n, limits) in &self.limits {
            let all = [Limit::Memory, Limit::Cache, Limit::F32, Limit::Int8, Limit::Tiles];
            let known = all.into_iter().filter(|limit| limit.per_s(limits).is_finite());
            let texts: Vec<String> = known
                .map(|limit| format!("{} {:.1} {}", limit.words().0, limit.per_s(limits) / 1e9, limit.words().1))
                .collect();
            eprintln!("threads {n}: {}", texts.join(", "));
        }
        let width = self.rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
        eprintln!(
            "\n{:width$}  {:>11}  {:>7}  {:>14}  limit    share (n = {SAMPLES})",
            "row", "median", "spread", "rate"
        );
        for row in &self.rows {
            eprintln!("{:width$}  {}", row.name, row.columns(&self.limits[&row.n_threads]));
        }
    }
}

impl Group<'_> {
    /// Measures `repeat`, which runs on `n_threads` and takes `work` each time.
    pub fn row(&mut self, id: &str, n_threads: usize, work: Work, mut repeat: impl FnMut()) {
        let mut samples = Vec::new();
        self.group.bench_function(id, |b| {
            b.iter_custom(|n| {
                let start = Instant::now();
                (0..n).for_each(|_| repeat());
                let elapsed = start.elapsed();
                samples.push(elapsed.as_secs_f64() / n as f64);
                elapsed
            });
        });
        // What came before the last samples was to get warm.
        let samples = samples.split_off(samples.len().saturating_sub(SAMPLES));
        if !samples.is_empty() {
            self.report.rows.push(Row { name: format!("{}/{id}", self.name), n_threads, work, samples });
        }
    }
}

impl Row {
    /// Median time, half the distance of the middle half of the samples from each other, rate, limit and share.
    fn columns(&self, limits: &Limits) -> String {
        let mut samples = self.samples.clone();
        samples.sort_by(f64::total_cmp);
        let at = |part: f64| samples[((samples.len() - 1) as f64 * part).round() as usize];
        let (median, spread) = (at(0.5), (at(0.75) - at(0.25)) / 2.0);
        let time = format!("{:>8.2} us  {:>5.1} %", median * 1e6, spread / median * 100.0);
        let seconds = |(amount, limit): &(usize, Limit)| *amount as f64 / limit.per_s(limits);
        match self.work.iter().max_by(|a, b| seconds(a).total_cmp(&seconds(b))) {
            Some(binding @ (amount, limit)) => {
                let (name, unit) = limit.words();
                let (rate, share) = (*amount as f64 / median / 1e9, seconds(binding) / median * 100.0);
                format!("{time}  {rate:>8.2} {unit:<5}  {name:<7}  {share:>4.0} %")
            }
            None => time,
        }
    }
}
