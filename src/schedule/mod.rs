//! Decides which sequences run in the next forward pass, and with how many of their tokens.
//!
//! Pure: a call sees counts and returns a decision. It never reads a clock, touches a tensor or waits, so a whole day
//! of traffic can be replayed in a unit test.
//!
//! One picture for everything: a sequence has tokens, and keys and values for the first of them. The rest is
//! *pending*: the prompt at first, one token while decoding, a few when a grammar forces them. A pass computes some
//! pending tokens of some sequences; a sequence without pending tokens left draws its next one.
//!
//! Order: decoding sequences first; then prompts, those with the most work behind them first (the critical path of a
//! plan), and by age among equals. The engine starts waiting ones in the same order, but among equals those first of
//! which most is known. Who is passed over gains urgency with every pass.
//!
//! Invariants: a batch stays within its token budget and within the blocks that can be had; nobody is passed over for
//! ever and the oldest is never thrown out, so every sequence ends; a sequence that has begun to decode is in every
//! batch, and a prompt of another program keeps it waiting only as long as the budget says. Age is the order of ids.
//! Must not know: model, tokenizer, the tree, channels.
//! Source: iteration-level scheduling, Orca, OSDI 2022; chunked prefill, arXiv:2308.16369; leaders and followers,
//! the waiting-queue deduplication of SGLang's scheduler; critical path first, as in any scheduler of task graphs.

mod cost;
#[cfg(test)]
mod tests;

pub use cost::{Cost, Load};

use std::cmp::Reverse;

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
    /// Whom it works for. Sequences of one program wait for the last of them, not for single tokens.
    pub program: u64,
    /// What puts it before others; see [`rank`].
    pub rank: u64,
}

/// What a pass may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Tokens of one batch.
    pub n_tokens: usize,
    /// Prompt tokens of one batch that decoding sequences of other programs wait for; 0 lets prompts wait for once. Where
    /// no sequence decodes in the batch nobody waits for them, and they are not limited.
    pub n_gentle: usize,
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
    /// Run these, decoding ones by age, then the others by rank; empty only if nothing runs.
    Batch(Vec<Share>),
    /// Take the blocks of this sequence, let it wait, and decide again.
    Preempt(SequenceId),
    /// This sequence runs alone and still lacks a block: it cannot be served.
    OutOfBlocks(SequenceId),
}

/// What puts a prompt before others: `urgency`, the tokens that the work behind it will take, and more the longer it was
/// passed over.
pub fn rank(urgency: u64, n_passed_over: u64) -> u64 {
    /// Tokens that one pass of waiting is worth.
    const AGE: u64 = 64;
    urgency.saturating_add(n_passed_over.saturating_mul(AGE))
}

/// The next batch. `running` is sorted by age and every sequence has a pending token.
pub fn next(running: &[Running], budget: Budget) -> Decision {
    let mut free = budget;
    let mut shares = Vec::with_capacity(running.len());
    let (decoding, mut prefilling): (Vec<_>, Vec<_>) = running.iter().partition(|sequence| sequence.is_decoding);
    prefilling.sort_by_key(|sequence| (Reverse(sequence.rank), sequence.id));
    let n_decoding = decoding.len();
    let first = decoding.first().map(|sequence| sequence.program);
    let is_mixed = decoding.iter().any(|sequence| Some(sequence.program) != first);
    let mut decodes = false;
    for (i, sequence) in decoding.iter().chain(&prefilling).enumerate() {
        let keeps_others = is_mixed || first.is_some_and(|program| program != sequence.program);
        let keeps_waiting = !sequence.is_decoding && keeps_others && decodes;
        // One token is kept for every decoding sequence that comes after this one.
        let n_reserved = n_decoding.saturating_sub(i + 1);
        let n_budget = free.n_tokens.saturating_sub(n_reserved);
        let n_budget = if keeps_waiting { n_budget.min(free.n_gentle) } else { n_budget };
        let n_room = (sequence.n_blocks + free.n_blocks) * BLOCK_TOKENS - sequence.n_computed;
        let n_tokens = sequence.n_pending().min(n_budget).min(n_room);
        if n_tokens > 0 {
            free.n_tokens -= n_tokens;
            free.n_gentle -= if keeps_waiting { n_tokens } else { 0 };
            free.n_blocks -= sequence.n_missing_blocks(n_tokens);
            shares.push(Share { id: sequence.id, n_tokens });
            decodes |= sequence.is_decoding;
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
