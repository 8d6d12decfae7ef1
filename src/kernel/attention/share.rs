//! What a segment of the past contributes to the rows of an item, and how contributions are merged.
//!
//! The past of a query is cut into segments of [`SEGMENT`] positions, counted from the start of its sequence. Each
//! segment gives its own maximum, sum and weighted values. So a query's arithmetic depends on its position and its past
//! alone: not on the other rows of the item, not on which thread reduces which segment, not on where blocks lie.

#![allow(unsafe_code)]

use super::{Attention, Tile};
use crate::kernel::isa::{Isa, Kernel, run};
use crate::kernel::simd::{LANES, Simd};
use crate::kernel::threads::SharedMut;
use crate::types::{BLOCK_TOKENS, BlockId};
use half::f16;

/// Positions that are reduced together; whole blocks.
const SEGMENT: usize = 8 * BLOCK_TOKENS;

/// The query heads of one KV head, for the tokens of one tile.
#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    pub attention: &'a Attention<'a>,
    pub tile: &'a Tile,
    pub kv_head: usize,
    pub q: &'a [f32],
    pub out: &'a SharedMut<'a, f32>,
}

/// What some positions contribute to every row of an item.
pub(super) struct Share {
    /// The largest score; negative infinity for a row that sees none of the positions.
    largest: Vec<f32>,
    /// The sum of `e^(score - largest)`.
    sum: Vec<f32>,
    /// `[rows][value_stride]`: the values, each times its `e^(score - largest)`.
    weighted: Vec<f32>,
}

impl Share {
    fn none(n_rows: usize, stride: usize) -> Self {
        Self { largest: vec![f32::NEG_INFINITY; n_rows], sum: vec![0.0; n_rows], weighted: vec![0.0; n_rows * stride] }
    }
}

impl Item<'_> {
    /// Computes the item's rows of the output.
    pub(super) fn attend(self, isa: Isa) {
        run(isa, Attend(self));
    }

    /// Computes the share of one segment.
    pub(super) fn share(self, isa: Isa, segment: usize) -> Share {
        run(isa, Reduce(self, segment))
    }

    /// Computes the item's rows of the output from the shares of its segments, in order.
    pub(super) fn merge<'s>(self, isa: Isa, shares: impl Iterator<Item = &'s Share>) {
        run(isa, Merge(self, shares));
    }

    /// Where the segments start that some row of the item sees.
    pub(super) fn segments(&self) -> impl Iterator<Item = usize> + use<> {
        let (first, end) = self.seen();
        (first / SEGMENT * SEGMENT..end).step_by(SEGMENT)
    }
}

struct Attend<'a>(Item<'a>);

impl Kernel for Attend<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self(item) = self;
        let mut total = item.none();
        let (mut share, mut scores) = (item.none(), vec![0.0; item.n_rows() * SEGMENT]);
        for segment in item.segments() {
            item.reduce(simd, segment, &mut scores, &mut share);
            item.add(simd, &share, &mut total);
        }
        item.finish(simd, &total);
    }
}

struct Reduce<'a>(Item<'a>, usize);

impl Kernel for Reduce<'_> {
    type Output = Share;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Share {
        let Self(item, segment) = self;
        let (mut share, mut scores) = (item.none(), vec![0.0; item.n_rows() * SEGMENT]);
        item.reduce(simd, segment, &mut scores, &mut share);
        share
    }
}

struct Merge<'a, I>(Item<'a>, I);

impl<'s, I: Iterator<Item = &'s Share>> Kernel for Merge<'_, I> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self(item, shares) = self;
        let mut total = item.none();
        for share in shares {
            item.add(simd, share, &mut total);
        }
        item.finish(simd, &total);
    }
}

impl Item<'_> {
    fn n_rows(&self) -> usize {
        self.tile.n_tokens * self.attention.group()
    }

    fn none(&self) -> Share {
        Share::none(self.n_rows(), self.attention.layout.value_stride())
    }

    /// Where row `row` of the item (its tokens, then the heads of the group) lies in `q` and `out`.
    #[inline(always)]
    fn row_start(&self, row: usize) -> usize {
        let (a, group) = (self.attention, self.attention.group());
        ((self.tile.row + row / group) * a.n_heads + self.kv_head * group + row % group) * a.layout.head_dim
    }

    /// Positions that some row sees.
    fn seen(&self) -> (usize, usize) {
        let last = self.tile.position + self.tile.n_tokens - 1;
        (self.attention.visible(self.tile.position).0, self.attention.visible(last).1)
    }

    /// Computes what the positions of a segment contribute. `scores`: `[rows][SEGMENT]`, of any content.
    #[inline(always)]
    fn reduce<S: Simd>(&self, simd: S, segment: usize, scores: &mut [f32], share: &mut Share) {
        let (first, end) = self.seen();
        let seen = (first.max(segment), end.min(segment + SEGMENT));
        self.score(simd, segment, seen, scores);
        self.exponentiate(simd, segment, scores, share);
        share.weighted.fill(0.0);
        self.weigh(simd, segment, (seen, scores), &mut share.weighted);
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

    /// Turns every row's scores into `e^(score - largest)`, 0 where the row does not see the position.
    #[inline(always)]
    fn exponentiate<S: Simd>(&self, simd: S, segment: usize, scores: &mut [f32], share: &mut Share) {
        for (row, scores) in scores.chunks_exact_mut(SEGMENT).enumerate() {
            let (first, end) = self.visible(row, segment);
            if first >= end {
                scores.fill(0.0);
                (share.largest[row], share.sum[row]) = (f32::NEG_INFINITY, 0.0);
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
            (share.largest[row], share.sum[row]) = (largest, simd.sum(sum));
        }
    }

    /// Adds up the values at positions `seen`, weighted with the exponentials `p`, `(seen, p)`.
    #[inline(always)]
    fn weigh<S: Simd>(&self, simd: S, segment: usize, (seen, p): ((usize, usize), &[f32]), weighted: &mut [f32]) {
        let a = self.attention;
        let blocks = &a.spans[self.tile.span].blocks;
        let stride = a.layout.value_stride();
        for (block_idx, block) in blocks_of(blocks, seen) {
            let position = block_idx * BLOCK_TOKENS;
            let start = a.layout.v_offset(a.layer, block, self.kv_head);
            // Positions past the last query are not written yet: whatever is there must not be read.
            let n = (seen.1 - position).min(BLOCK_TOKENS);
            let values = a.pool[start..start + n * stride].as_chunks::<LANES>().0;
            let p = &p[position - segment..];
            let mut row = 0;
            while row < self.n_rows() {
                let (p, weighted) = (&p[row * SEGMENT..], &mut weighted[row * stride..]);
                row += match rows_at_once::<S>(self.n_rows() - row) {
                    8 => weigh_rows::<S, 8>(simd, values, p, weighted, stride),
                    4 => weigh_rows::<S, 4>(simd, values, p, weighted, stride),
                    2 => weigh_rows::<S, 2>(simd, values, p, weighted, stride),
                    _ => weigh_rows::<S, 1>(simd, values, p, weighted, stride),
                };
            }
        }
    }

    /// Adds the share of later positions to a total.
    #[inline(always)]
    fn add<S: Simd>(&self, simd: S, share: &Share, total: &mut Share) {
        let stride = self.attention.layout.value_stride();
        for row in 0..self.n_rows() {
            let (old, new) = (total.largest[row], share.largest[row]);
            if new == f32::NEG_INFINITY {
                continue;
            }
            let largest = if new > old { new } else { old };
            let factor = [exp_of(simd, old - largest), exp_of(simd, new - largest)];
            total.largest[row] = largest;
            total.sum[row] = total.sum[row] * factor[0] + share.sum[row] * factor[1];
            let from = share.weighted[row * stride..(row + 1) * stride].as_chunks::<LANES>().0;
            let to = total.weighted[row * stride..(row + 1) * stride].as_chunks_mut::<LANES>().0;
            for (from, to) in from.iter().zip(to) {
                let kept = simd.mul(simd.load(to), simd.splat(factor[0]));
                simd.store(simd.fma(simd.load(from), simd.splat(factor[1]), kept), to);
            }
        }
    }

    /// Divides by the sums and writes the item's rows of the output.
    #[inline(always)]
    fn finish<S: Simd>(&self, simd: S, total: &Share) {
        let (head_dim, stride) = (self.attention.layout.head_dim, self.attention.layout.value_stride());
        for row in 0..self.n_rows() {
            let start = self.row_start(row);
            // SAFETY: every (token, head) belongs to one item, and every item is finished by one thread.
            let out = unsafe { self.out.slice(start, start + head_dim) };
            let factor = simd.splat(1.0 / total.sum[row]);
            for (out, weighted) in out.chunks_mut(LANES).zip(total.weighted[row * stride..].as_chunks::<LANES>().0) {
                let mut lanes = [0.0; LANES];
                simd.store(simd.mul(simd.load(weighted), factor), &mut lanes);
                out.copy_from_slice(&lanes[..out.len()]);
            }
        }
    }
}

#[inline(always)]
fn exp_of<S: Simd>(simd: S, x: f32) -> f32 {
    let mut lanes = [0.0; LANES];
    simd.store(simd.exp(simd.splat(x)), &mut lanes);
    lanes[0]
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

/// Adds a block's values, weighted, to `M` rows and returns `M`. `p` and `weighted` start at the first row.
#[inline(always)]
fn weigh_rows<S: Simd, const M: usize>(
    simd: S,
    values: &[[f16; LANES]],
    p: &[f32],
    weighted: &mut [f32],
    stride: usize,
) -> usize {
    let per_position = stride / LANES;
    let n = values.len() / per_position;
    let p: [&[f32]; M] = std::array::from_fn(|m| &p[m * SEGMENT..][..n]);
    let weighted = weighted.as_chunks_mut::<LANES>().0;
    for i in 0..per_position {
        let mut sums: [S::F; M] = std::array::from_fn(|m| simd.load(&weighted[m * per_position + i]));
        for t in 0..n {
            let v = simd.load_f16(&values[t * per_position + i]);
            for m in 0..M {
                sums[m] = simd.fma(simd.splat(p[m][t]), v, sums[m]);
            }
        }
        for m in 0..M {
            simd.store(sums[m], &mut weighted[m * per_position + i]);
        }
    }
    M
}
