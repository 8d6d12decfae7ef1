//! Attention of new tokens to the cached keys and values of their own sequences.
//!
//! The past of a query is cut into segments of [`SEGMENT`] positions, counted from the start of its sequence. Each
//! segment gives its own maximum, sum and weighted values; the segments are merged in order. So a query's arithmetic
//! depends on its position and its past alone, and segments could be computed anywhere, once for several sequences.
//!
//! Work is cut into items: the query heads that share a KV head, for a few neighbouring tokens of one sequence, so that
//! keys and values are read and converted once per item.
//! Source: grouping of heads arXiv:2305.13245; block tables arXiv:2309.06180; merging of partial softmaxes arXiv:2205.14135.

#![allow(unsafe_code)]

use super::isa::{Isa, Kernel, isa, run};
use super::kv::KvLayout;
use super::simd::{LANES, Simd};
use super::threads::{SharedMut, Threads};
use crate::types::{BLOCK_TOKENS, BlockId, Span};
use half::f16;

/// Positions that are reduced together; whole blocks.
const SEGMENT: usize = 8 * BLOCK_TOKENS;
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
    let tiles = a.tiles();
    let out = SharedMut::new(out);
    let n_kv_heads = a.layout.n_kv_heads;
    // The last tiles of a long prompt see the most positions: they go first.
    threads.parallel_for(tiles.len() * n_kv_heads, |i| {
        let (tile, kv_head) = (&tiles[tiles.len() - 1 - i / n_kv_heads], i % n_kv_heads);
        run(isa, Item { attention: a, tile, kv_head, q, out: &out });
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

struct Item<'a> {
    attention: &'a Attention<'a>,
    tile: &'a Tile,
    kv_head: usize,
    q: &'a [f32],
    out: &'a SharedMut<'a, f32>,
}

/// What is known of the item's rows so far.
struct State {
    /// `[rows][SEGMENT]`: scores, then probabilities not yet divided by their sum.
    scores: Vec<f32>,
    /// `[rows][value_stride]`: weighted values of the segment.
    partial: Vec<f32>,
    /// `[rows][value_stride]`: weighted values of all segments so far.
    total: Vec<f32>,
    /// Per row, over all segments so far: the largest score, and the sum of the probabilities.
    largest: Vec<f32>,
    sum: Vec<f32>,
}

impl Kernel for Item<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let a = self.attention;
        let n_rows = self.tile.n_tokens * a.group();
        let stride = a.layout.value_stride();
        let mut state = State {
            scores: vec![0.0; n_rows * SEGMENT],
            partial: vec![0.0; n_rows * stride],
            total: vec![0.0; n_rows * stride],
            largest: vec![f32::NEG_INFINITY; n_rows],
            sum: vec![0.0; n_rows],
        };
        let first = a.visible(self.tile.position).0;
        let end = a.visible(self.tile.position + self.tile.n_tokens - 1).1;
        for segment in (first / SEGMENT * SEGMENT..end).step_by(SEGMENT) {
            let seen = (first.max(segment), end.min(segment + SEGMENT));
            self.score(simd, segment, seen, &mut state.scores);
            state.partial.fill(0.0);
            let merged = self.normalize(simd, segment, &mut state);
            self.weigh(simd, segment, seen, &mut state);
            self.merge(simd, &merged, &mut state);
        }
        for row in 0..n_rows {
            self.finish(simd, row, &state);
        }
    }
}

/// How a row's segment joins the segments before it: factors of the total and of the segment.
type Factors = [f32; 2];

impl Item<'_> {
    fn n_rows(&self) -> usize {
        self.tile.n_tokens * self.attention.group()
    }

    /// Where row `row` of the item (its tokens, then the heads of the group) lies in `q` and `out`.
    #[inline(always)]
    fn row_start(&self, row: usize) -> usize {
        let (a, group) = (self.attention, self.attention.group());
        ((self.tile.row + row / group) * a.n_heads + self.kv_head * group + row % group) * a.layout.head_dim
    }

    /// Positions that row `row` sees of a segment, relative to its start.
    #[inline(always)]
    fn visible(&self, row: usize, segment: usize) -> (usize, usize) {
        let (first, end) = self.attention.visible(self.tile.position + row / self.attention.group());
        (first.max(segment).min(segment + SEGMENT) - segment, end.max(segment).min(segment + SEGMENT) - segment)
    }

    /// Scores of all rows against the blocks that hold positions `seen`.
    #[inline(always)]
    fn score<S: Simd>(&self, simd: S, segment: usize, seen: (usize, usize), scores: &mut [f32]) {
        let a = self.attention;
        let blocks = &a.spans[self.tile.span].blocks;
        for (block_idx, block) in blocks_of(blocks, seen) {
            let start = a.layout.k_offset(a.layer, block, self.kv_head);
            let keys = a.pool[start..start + a.layout.head_dim * BLOCK_TOKENS].as_chunks::<BLOCK_TOKENS>().0;
            let at = block_idx * BLOCK_TOKENS - segment;
            let mut row = 0;
            while row < self.n_rows() {
                row += match rows_at_once::<S>(self.n_rows() - row) {
                    8 => self.score_rows::<S, 8>(simd, keys, (row, at), scores),
                    4 => self.score_rows::<S, 4>(simd, keys, (row, at), scores),
                    2 => self.score_rows::<S, 2>(simd, keys, (row, at), scores),
                    _ => self.score_rows::<S, 1>(simd, keys, (row, at), scores),
                };
            }
        }
    }

    /// Scores of `M` rows against one block; returns `M`. `(row, at)`: first row, position in the segment.
    #[inline(always)]
    fn score_rows<S: Simd, const M: usize>(
        &self,
        simd: S,
        keys: &[[f16; BLOCK_TOKENS]],
        (row, at): (usize, usize),
        scores: &mut [f32],
    ) -> usize {
        let a = self.attention;
        let q: [&[f32]; M] = std::array::from_fn(|m| &self.q[self.row_start(row + m)..][..keys.len()]);
        let mut sums = [[simd.splat(0.0); 2]; M];
        for (d, keys) in keys.iter().enumerate() {
            let (halves, _) = keys.as_chunks::<LANES>();
            let k = [simd.load_f16(&halves[0]), simd.load_f16(&halves[1])];
            for m in 0..M {
                let q = simd.splat(q[m][d]);
                sums[m] = [simd.fma(q, k[0], sums[m][0]), simd.fma(q, k[1], sums[m][1])];
            }
        }
        for m in 0..M {
            let to = &mut scores[(row + m) * SEGMENT + at..][..BLOCK_TOKENS];
            for (sum, to) in sums[m].into_iter().zip(to.as_chunks_mut::<LANES>().0) {
                let mut score = simd.mul(sum, simd.splat(a.scale));
                if let Some(cap) = a.softcap {
                    score = simd.mul(simd.tanh(simd.div(score, simd.splat(cap))), simd.splat(cap));
                }
                simd.store(score, to);
            }
        }
        M
    }

    /// Turns every row's scores of a segment into probabilities, and joins its maximum and sum to those so far.
    #[inline(always)]
    fn normalize<S: Simd>(&self, simd: S, segment: usize, state: &mut State) -> Vec<Factors> {
        let mut factors = vec![[1.0, 0.0]; self.n_rows()];
        for (row, scores) in state.scores.chunks_exact_mut(SEGMENT).enumerate() {
            let (first, end) = self.visible(row, segment);
            if first >= end {
                scores.fill(0.0);
                continue;
            }
            scores[..first].fill(f32::NEG_INFINITY);
            scores[end..].fill(f32::NEG_INFINITY);
            let (vectors, _) = scores.as_chunks_mut::<LANES>();
            let mut largest = simd.splat(f32::NEG_INFINITY);
            for vector in vectors.iter() {
                largest = simd.max(simd.load(vector), largest);
            }
            let largest = simd.largest(largest);
            let mut sum = simd.splat(0.0);
            for vector in vectors {
                let p = simd.exp(simd.sub(simd.load(vector), simd.splat(largest)));
                simd.store(p, vector);
                sum = simd.add(sum, p);
            }
            let merged = if largest > state.largest[row] { largest } else { state.largest[row] };
            let factor = |x: f32| simd.largest(simd.exp(simd.splat(x - merged)));
            factors[row] = [factor(state.largest[row]), factor(largest)];
            state.sum[row] = state.sum[row] * factors[row][0] + simd.sum(sum) * factors[row][1];
            state.largest[row] = merged;
        }
        factors
    }

    /// Adds up the values at positions `seen`, weighted with the probabilities, into `partial`.
    #[inline(always)]
    fn weigh<S: Simd>(&self, simd: S, segment: usize, seen: (usize, usize), state: &mut State) {
        let a = self.attention;
        let blocks = &a.spans[self.tile.span].blocks;
        let stride = a.layout.value_stride();
        for (block_idx, block) in blocks_of(blocks, seen) {
            let position = block_idx * BLOCK_TOKENS;
            let start = a.layout.v_offset(a.layer, block, self.kv_head);
            // Positions past the last query are not written yet: whatever is there must not be read.
            let n = (seen.1 - position).min(BLOCK_TOKENS);
            let values = a.pool[start..start + n * stride].as_chunks::<LANES>().0;
            let at = position - segment;
            let mut row = 0;
            while row < self.n_rows() {
                row += match rows_at_once::<S>(self.n_rows() - row) {
                    8 => weigh_rows::<S, 8>(simd, values, (row, at, stride), state),
                    4 => weigh_rows::<S, 4>(simd, values, (row, at, stride), state),
                    2 => weigh_rows::<S, 2>(simd, values, (row, at, stride), state),
                    _ => weigh_rows::<S, 1>(simd, values, (row, at, stride), state),
                };
            }
        }
    }

    #[inline(always)]
    fn merge<S: Simd>(&self, simd: S, factors: &[Factors], state: &mut State) {
        let stride = self.attention.layout.value_stride();
        for (row, [old, new]) in factors.iter().enumerate() {
            let partial = state.partial[row * stride..(row + 1) * stride].as_chunks::<LANES>().0;
            let total = state.total[row * stride..(row + 1) * stride].as_chunks_mut::<LANES>().0;
            for (partial, total) in partial.iter().zip(total) {
                let kept = simd.mul(simd.load(total), simd.splat(*old));
                simd.store(simd.fma(simd.load(partial), simd.splat(*new), kept), total);
            }
        }
    }

    #[inline(always)]
    fn finish<S: Simd>(&self, simd: S, row: usize, state: &State) {
        let head_dim = self.attention.layout.head_dim;
        let start = self.row_start(row);
        // SAFETY: every (token, head) belongs to one item, and every item runs on one thread.
        let out = unsafe { self.out.slice(start, start + head_dim) };
        let factor = simd.splat(1.0 / state.sum[row]);
        let total = &state.total[row * self.attention.layout.value_stride()..];
        for (out, total) in out.chunks_mut(LANES).zip(total.as_chunks::<LANES>().0) {
            let mut lanes = [0.0; LANES];
            simd.store(simd.mul(simd.load(total), factor), &mut lanes);
            out.copy_from_slice(&lanes[..out.len()]);
        }
    }
}

/// The blocks that hold positions `seen`, with their places in the sequence.
#[inline(always)]
fn blocks_of(blocks: &[BlockId], seen: (usize, usize)) -> impl Iterator<Item = (usize, BlockId)> {
    let (first, end) = (seen.0 / BLOCK_TOKENS, seen.1.div_ceil(BLOCK_TOKENS));
    (first..end).zip(blocks[first..end].iter().copied())
}

/// How many of the rows that are left are computed together: as many as the registers hold.
#[inline(always)]
fn rows_at_once<S: Simd>(left: usize) -> usize {
    match S::MAX_ROWS {
        8.. if left >= 8 => 8,
        8.. if left >= 4 => 4,
        4.. if left >= 2 => 2,
        _ => 1,
    }
}

/// Adds a block's values, weighted, to `M` rows and returns `M`. `(row, at, stride)`: first row, position in the segment, value stride.
#[inline(always)]
fn weigh_rows<S: Simd, const M: usize>(
    simd: S,
    values: &[[f16; LANES]],
    (row, at, stride): (usize, usize, usize),
    state: &mut State,
) -> usize {
    let per_position = stride / LANES;
    let n = values.len() / per_position;
    let p: [&[f32]; M] = std::array::from_fn(|m| &state.scores[(row + m) * SEGMENT + at..][..n]);
    let partial = state.partial.as_chunks_mut::<LANES>().0;
    for i in 0..per_position {
        let mut sums: [S::F; M] = std::array::from_fn(|m| simd.load(&partial[(row + m) * per_position + i]));
        for t in 0..n {
            let v = simd.load_f16(&values[t * per_position + i]);
            for m in 0..M {
                sums[m] = simd.fma(simd.splat(p[m][t]), v, sums[m]);
            }
        }
        for m in 0..M {
            simd.store(sums[m], &mut partial[(row + m) * per_position + i]);
        }
    }
    M
}
