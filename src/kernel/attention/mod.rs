//! Attention of new tokens to the cached keys and values of their own sequences.
//!
//! Work is cut into items: the query heads that share a KV head, for a few neighbouring tokens of one sequence, so that
//! keys and values are read and converted once per item. An item's past is cut into segments ([`share`]) that are
//! reduced one by one and merged in order. Where there are fewer items than threads to feed, the segments of an item
//! are spread over the threads and merged afterwards: the same operations, so the same bits.
//!
//! Source: grouping of heads arXiv:2305.13245; block tables arXiv:2309.06180; merging of partial softmaxes
//! arXiv:2205.14135.

mod share;

use super::isa::{Isa, isa};
use super::kv::KvLayout;
use super::threads::{SharedMut, Threads};
use crate::types::Span;
use half::f16;
use share::{Item, Share};

/// Query rows of one item.
const ITEM_ROWS: usize = 32;

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
    /// The sequences of the batch.
    pub spans: &'a [Span],
}

/// Attends every new token to its sequence's past and to itself.
///
/// # Shapes
/// - `q`: `[n_tokens, n_heads, head_dim]`, rotated, not yet scaled, in order of `spans`
/// - `out`: as `q`
/// # Panics
/// If the shapes do not fit, a span has fewer blocks than positions, or a block lies outside the pool.
pub fn attention(attention: &Attention<'_>, q: &[f32], out: &mut [f32], threads: &Threads) {
    attention_on(isa(), attention, q, out, threads);
}

pub(super) fn attention_on(isa: Isa, attention: &Attention<'_>, q: &[f32], out: &mut [f32], threads: &Threads) {
    let a = attention;
    let n_tokens: usize = a.spans.iter().map(|span| span.n_tokens).sum();
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
    let tiles = a.tiles();
    let n_kv_heads = a.layout.n_kv_heads;
    // The last tiles of a long prompt see the most positions: they go first.
    let item = |i: usize| {
        let (tile, kv_head) = (&tiles[tiles.len() - 1 - i / n_kv_heads], i % n_kv_heads);
        Item { attention: a, tile, kv_head, q, out: &out }
    };
    let n_items = tiles.len() * n_kv_heads;
    if threads.n_threads() > 1 && n_items < ITEMS_PER_THREAD * threads.n_threads() {
        return attend_split(isa, n_items, item, threads);
    }
    threads.parallel_for(n_items, |i| item(i).attend(isa));
}

/// Below this, threads would wait for the last items: it is the segments that are spread.
const ITEMS_PER_THREAD: usize = 4;

/// Reduces the segments of all items on all threads, then merges every item's in order.
fn attend_split<'a>(isa: Isa, n_items: usize, item: impl Fn(usize) -> Item<'a> + Sync, threads: &Threads) {
    let places: Vec<(usize, usize)> =
        (0..n_items).flat_map(|i| item(i).segments().map(move |segment| (i, segment))).collect();
    let mut shares: Vec<Option<Share>> = places.iter().map(|_| None).collect();
    threads.for_chunks(&mut shares, 1, |at, share| {
        let (i, segment) = places[at];
        share[0] = Some(item(i).share(isa, segment));
    });
    threads.parallel_for(n_items, |i| {
        let first = places.partition_point(|(of, _)| *of < i);
        let end = places.partition_point(|(of, _)| *of <= i);
        item(i).merge(isa, shares[first..end].iter().flatten());
    });
}

/// Neighbouring tokens of one span.
#[derive(Debug)]
struct Tile {
    span: usize,
    /// Row of the first token in the batch.
    row: usize,
    /// Position of the first token in its sequence.
    position: usize,
    n_tokens: usize,
}

impl Attention<'_> {
    fn group(&self) -> usize {
        self.n_heads / self.layout.n_kv_heads
    }

    fn tiles(&self) -> Vec<Tile> {
        let per_tile = (ITEM_ROWS / self.group()).max(1);
        let mut tiles = Vec::new();
        let mut row = 0;
        for (span_idx, span) in self.spans.iter().enumerate() {
            for first in (0..span.n_tokens).step_by(per_tile) {
                let n_tokens = per_tile.min(span.n_tokens - first);
                tiles.push(Tile { span: span_idx, row: row + first, position: span.start + first, n_tokens });
            }
            row += span.n_tokens;
        }
        tiles
    }

    /// Positions that the token at `position` sees, as `first..end`.
    fn visible(&self, position: usize) -> (usize, usize) {
        (self.window.map_or(0, |window| (position + 1).saturating_sub(window)), position + 1)
    }
}
