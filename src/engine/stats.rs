//! What an engine has done so far, in numbers.

use std::time::Duration;

use super::sequence::Draws;
use crate::cache::ArchiveStats;

/// Counts since the engine started, and its state after the latest pass.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stats {
    /// Prompt tokens whose keys and values were computed, a second time after preemption included.
    pub n_prefilled: u64,
    /// Prompt tokens whose keys and values were there already.
    pub n_cached: u64,
    /// Tokens drawn from logits, end tokens included.
    pub n_decoded: u64,
    /// Tokens that a grammar forced.
    pub n_forced: u64,
    /// Rows of the output head that were computed for few tokens alone, because a grammar allows no others.
    pub n_few_rows: u64,
    /// Tokens that were guessed and computed along.
    pub n_drafted: u64,
    /// Those of them that were right.
    pub n_drafts_right: u64,
    /// Forward passes.
    pub n_passes: u64,
    /// Sequences in all passes together.
    pub n_spans: u64,
    /// Sequences that lost their blocks to older ones and had to start again.
    pub n_preempted: u64,
    /// Sequences that have ended, in whatever way.
    pub n_ended: u64,
    /// Time spent in passes, sampling included.
    pub busy: Duration,
    /// Time spent on the books of these passes: admission, schedule, cache, and telling the readers.
    pub overhead: Duration,
    /// Sequences that run now.
    pub n_running: usize,
    /// Sequences that wait now.
    pub n_waiting: usize,
    /// Sequences that are decoded in at most twice the time that one takes, once enough passes were measured.
    pub n_abreast: Option<usize>,
    /// KV blocks that running sequences or the prefix tree hold now.
    pub kv_blocks_used: usize,
    /// The most they ever held.
    pub kv_blocks_peak: usize,
    /// KV blocks in all.
    pub kv_blocks_total: usize,
    /// KV blocks that were packed to make room; see [`KvRest`](crate::cache::KvRest).
    pub n_rested: u64,
    /// KV blocks that were unpacked again.
    pub n_revived: u64,
    /// Bytes of one KV block.
    pub kv_block_bytes: u64,
    /// What was read from and written to the folder of kept prefixes.
    pub archive: ArchiveStats,
}

impl Stats {
    /// Counts the draws of one sequence in a pass, that had so many guesses.
    pub(super) fn count(&mut self, draws: &Draws, n_drafts: usize) {
        self.n_decoded += draws.drawn.len() as u64;
        self.n_forced += draws.n_forced() as u64;
        self.n_drafted += n_drafts as u64;
        self.n_drafts_right += draws.n_right as u64;
    }

    /// Mean number of sequences in a pass.
    pub fn occupancy(&self) -> f64 {
        self.n_spans as f64 / (self.n_passes.max(1)) as f64
    }

    /// Tokens generated per second of work, forced ones included.
    pub fn tokens_per_s(&self) -> f64 {
        (self.n_decoded + self.n_forced) as f64 / self.busy.as_secs_f64().max(1e-9)
    }
}
