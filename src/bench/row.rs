//! One line of a report.

use serde::Serialize;

use super::Prefix;

/// The samples of one case, and what they say.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The case: `pp512`, `tg64`, `tg64@b8`.
    pub test: String,
    /// Who was measured.
    pub engine: &'static str,
    /// Sequences at once.
    pub sequences: usize,
    /// Tokens that were there already.
    pub depth: usize,
    /// Whose these were.
    pub prefix: Option<Prefix>,
    /// The median of the samples.
    pub tokens_per_s: f64,
    /// Distance of the fastest sample from the slowest, as a part of the median.
    pub spread: f64,
    /// Tokens per second of every sample, in order of time.
    pub samples: Vec<f64>,
}

impl Row {
    /// The row of a case that moves `n_tokens` in each of these times.
    pub fn new(test: &str, engine: &'static str, n_tokens: usize, seconds: &[f64]) -> Self {
        let samples: Vec<f64> = seconds.iter().map(|seconds| n_tokens as f64 / seconds.max(1e-9)).collect();
        let mut sorted = samples.clone();
        sorted.sort_by(f64::total_cmp);
        let median = median(&sorted);
        let range = sorted.last().zip(sorted.first()).map_or(0.0, |(most, least)| most - least);
        let spread = if median > 0.0 { range / median } else { 0.0 };
        let test = test.to_owned();
        Self { test, engine, sequences: 1, depth: 0, prefix: None, tokens_per_s: median, spread, samples }
    }

    /// The same row, of so many sequences with so many tokens before them.
    pub fn of(self, sequences: usize, depth: usize, prefix: Option<Prefix>) -> Self {
        Self { sequences, depth, prefix, ..self }
    }
}

/// The middle of sorted values, or the mean of the two in the middle; 0 for none.
pub(super) fn median(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => 0.0,
        n if n.is_multiple_of(2) => (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0,
        n => sorted[n / 2],
    }
}
