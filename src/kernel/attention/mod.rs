//! Attention of new tokens to the cached keys and values of their own sequences.
//!
//! Work is cut into items: the query heads that share a KV head, for one of the [`Stacks`] of tokens. An item's past is
//! cut into segments ([`share`]) that are reduced one by one and merged in order. A block of keys and values is read
//! once for all rows of the item whose sequences share it, be they neighbours in one sequence or forks of one prefix.
//! Where there are fewer items than threads to feed, the segments of an item are spread over the threads and merged
//! afterwards. However the work is cut, a row's operations are the same, so its bits are.
//!
//! Source: grouping of heads arXiv:2305.13245; block tables arXiv:2309.06180; merging of partial softmaxes
//! arXiv:2205.14135.

mod product;
mod share;
mod stack;

use super::isa::{Isa, isa};
use super::kv::KvLayout;
use super::threads::{SharedMut, Threads};
use half::f16;
use share::{Item, Share};
use std::cmp::Reverse;

pub use stack::Stacks;

/// What queries attend to, and how.
#[derive(Debug, Clone, Copy)]
pub struct Attention<'a> {
    /// Layout of the pool.
    pub layout: KvLayout,
    /// The layer whose keys and values are read.
    pub layer: usize,
    /// Query heads; a multiple of the KV heads.
    pub n_heads: usize,
    /// Multiplies `q·k`.
    pub scale: f32,
    /// Bounds the scaled scores softly: `cap·tanh(score / cap)`.
    pub softcap: Option<f32>,
    /// A query sees this many positions at most, its own included.
    pub window: Option<usize>,
    /// The KV memory. Keys and values of the new tokens are stored already.
    pub pool: &'a [f16],
    /// The new tokens of the batch.
    pub stacks: &'a Stacks<'a>,
}

/// Attends every new token to its sequence's past and to itself.
///
/// # Shapes
/// - `q`: `[n_tokens, n_heads, head_dim]`, rotated, not yet scaled, in order of the spans
/// - `out`: as `q`
/// # Panics
/// If the shapes do not fit, a span has fewer blocks than positions, or a block lies outside the pool.
pub fn attention(attention: &Attention<'_>, q: &[f32], out: &mut [f32], threads: &Threads) {
    attention_on(isa(), attention, q, out, threads);
}

pub(super) fn attention_on(isa: Isa, attention: &Attention<'_>, q: &[f32], out: &mut [f32], threads: &Threads) {
    let a = attention;
    let n_tokens = a.stacks.n_tokens();
    let token_len = a.n_heads * a.layout.head_dim;
    assert!(a.n_heads.is_multiple_of(a.layout.n_kv_heads), "{} heads for {}", a.n_heads, a.layout.n_kv_heads);
    assert!(a.window != Some(0), "a window of no positions");
    assert!(
        q.len() == n_tokens * token_len && out.len() == q.len(),
        "queries of {n_tokens} tokens are {} and {} numbers, not {token_len} each",
        q.len(),
        out.len()
    );
    let out = SharedMut::new(out);
    let n_kv_heads = a.layout.n_kv_heads;
    let item = |i: usize| {
        let (queries, kv_head) = (a.stacks.stack(i / n_kv_heads), i % n_kv_heads);
        Item { attention: a, queries, kv_head, q, out: &out }
    };
    let n_items = a.stacks.len() * n_kv_heads;
    if threads.n_threads() > 1 && n_items < ITEMS_PER_THREAD * threads.n_threads() {
        return attend_split(isa, n_items, item, threads);
    }
    threads.parallel_for(n_items, |i| item(i).attend(isa));
}

/// Below this, threads would wait for the last items: it is the segments that are spread.
const ITEMS_PER_THREAD: usize = 8;

/// Reduces the segments of all items on all threads, then merges every item's in order.
fn attend_split<'a>(isa: Isa, n_items: usize, item: impl Fn(usize) -> Item<'a> + Sync, threads: &Threads) {
    let segments = |i: usize| item(i).segments().map(move |segment| (i, segment));
    let mut places: Vec<(usize, usize)> = (0..n_items).flat_map(segments).collect();
    // The latest ones first: where sequences part, they take longest.
    places.sort_by_key(|&(_, segment)| Reverse(segment));
    let mut shares: Vec<Option<Share>> = places.iter().map(|_| None).collect();
    threads.for_chunks(&mut shares, 1, |at, share| {
        let (i, segment) = places[at];
        share[0] = Some(item(i).share(isa, segment));
    });
    threads.parallel_for(n_items, |i| {
        let own = places.iter().zip(&shares).rev().filter(|((of, _), _)| *of == i);
        item(i).merge(isa, own.filter_map(|(_, share)| share.as_ref()));
    });
}

impl Attention<'_> {
    fn group(&self) -> usize {
        self.n_heads / self.layout.n_kv_heads
    }

    /// Positions that the token at `position` sees, as `first..end`.
    fn visible(&self, position: usize) -> (usize, usize) {
        (self.window.map_or(0, |window| (position + 1).saturating_sub(window)), position + 1)
    }
}
