//! Decides which sequences run in the next forward pass, and with how many of their tokens.
//!
//! Pure: a call sees counts and returns a decision. It never reads a clock, touches a tensor or waits, so a whole day
//! of traffic can be replayed in a unit test.
//!
//! One picture for everything: a sequence has tokens, and keys and values for the first of them. The rest is
//! *pending*: the prompt at first, one token while decoding, a few when a grammar forces them. A pass computes some
//! pending tokens of some sequences; a sequence without pending tokens left draws its next one.
//!
//! Invariants: a batch stays within its token budget and within the blocks that can be had; the oldest running
//! sequence makes progress in every batch, so every sequence ends; a sequence that has begun to decode is never kept
//! waiting by a prompt. Age is the order of ids.
//! Must not know: model, tokenizer, the tree, channels.
//! Source: iteration-level scheduling, Orca, OSDI 2022; chunked prefill, arXiv:2308.16369; leaders and followers,
//! the waiting-queue deduplication of SGLang's scheduler.

#[cfg(test)]
mod tests;

use crate::types::{BLOCK_TOKENS, SequenceId};

/// A sequence is held back when another one is computing at least this many tokens that it can share.
const MIN_SHARED: usize = 32;

/// A running sequence, as the scheduler sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// Its name and its age.
    pub id: SequenceId,
    /// Tokens it has, prompt and generated.
    pub n_tokens: usize,
    /// Tokens whose keys and values exist.
    pub n_computed: usize,
    /// KV blocks it holds.
    pub n_blocks: usize,
    /// Whether it has drawn a token since it was admitted.
    pub is_decoding: bool,
}

/// What a pass may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Tokens of one batch.
    pub n_tokens: usize,
    /// Blocks that are free or can be made free without touching a sequence.
    pub n_blocks: usize,
}

/// Some pending tokens of one sequence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Whose.
    pub id: SequenceId,
    /// How many, from its first pending one.
    pub n_tokens: usize,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Run these, oldest first among the decoding ones, then among the others; empty if nothing runs.
    Batch(Vec<Share>),
    /// Take the blocks of this sequence, let it wait, and decide again.
    Preempt(SequenceId),
    /// This sequence runs alone and still lacks a block: it cannot be served.
    OutOfBlocks(SequenceId),
}

/// The next batch. `running` is sorted by age and every sequence has a pending token.
pub fn next(running: &[Running], budget: Budget) -> Decision {
    let mut free = budget;
    let mut shares = Vec::with_capacity(running.len());
    let (decoding, prefilling): (Vec<_>, Vec<_>) = running.iter().partition(|sequence| sequence.is_decoding);
    let n_decoding = decoding.len();
    for (i, sequence) in decoding.into_iter().chain(prefilling).enumerate() {
        // One token is kept for every decoding sequence that comes after this one.
        let n_reserved = n_decoding.saturating_sub(i + 1);
        let n_budget = free.n_tokens.saturating_sub(n_reserved);
        let n_room = (sequence.n_blocks + free.n_blocks) * BLOCK_TOKENS - sequence.n_computed;
        let n_tokens = sequence.n_pending().min(n_budget).min(n_room);
        if n_tokens > 0 {
            free.n_tokens -= n_tokens;
            free.n_blocks -= sequence.n_missing_blocks(n_tokens);
            shares.push(Share { id: sequence.id, n_tokens });
        } else if n_room == 0 {
            match running.last().map(|youngest| youngest.id) {
                Some(youngest) if youngest != sequence.id => return Decision::Preempt(youngest),
                _ if running.len() == 1 => return Decision::OutOfBlocks(sequence.id),
                // The youngest waits, with what it has, until an older one ends or takes its place.
                _ => {}
            }
        }
    }
    Decision::Batch(shares)
}

impl Running {
    fn n_pending(&self) -> usize {
        self.n_tokens - self.n_computed
    }

    /// Blocks to add before `n_tokens` more can be computed.
    pub fn n_missing_blocks(&self, n_tokens: usize) -> usize {
        (self.n_computed + n_tokens).div_ceil(BLOCK_TOKENS).saturating_sub(self.n_blocks)
    }
}

/// Whether a waiting sequence may start.
///
/// It may if all its `n_missing_blocks` can be had with one more to grow into for itself and for each running
/// sequence; so it is not thrown out again at once. One that would run alone may always try.
pub fn may_admit(n_missing_blocks: usize, n_available_blocks: usize, n_running: usize) -> bool {
    n_running == 0 || n_missing_blocks + n_running < n_available_blocks
}

/// Whether a waiting sequence should let another one go first.
///
/// `n_known` tokens of it are computed already; `n_shared` tokens will be, once the sequence that computes them now
/// is through with them. One that follows already waits for the very last of them.
pub fn should_follow(n_known: usize, n_shared: usize, follows_already: bool) -> bool {
    n_shared >= n_known + if follows_already { 1 } else { MIN_SHARED }
}
