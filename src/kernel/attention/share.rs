//! What a segment of the past contributes to the rows of an item, and how contributions are merged.
//!
//! The past of a query is cut into segments of [`SEGMENT`] positions, counted from the start of its sequence. Each
//! segment gives its own maximum, sum and weighted values. So a query's arithmetic depends on its position and its past
//! alone: not on the other rows of the item, not on which thread reduces which segment, not on where blocks lie.

#![allow(unsafe_code)]

use super::Attention;
use super::product::{Halves, Sums, add_product};
use super::stack::Query;
use crate::kernel::isa::{Isa, Kernel, run};
use crate::kernel::simd::{LANES, Simd};
use crate::kernel::threads::SharedMut;
use crate::types::{BLOCK_TOKENS, BlockId};
use half::f16;
use std::ops::Range;

/// Positions that are reduced together; whole blocks.
const SEGMENT: usize = 8 * BLOCK_TOKENS;

/// The query heads of one KV head, for the tokens of one stack.
#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    pub attention: &'a Attention<'a>,
    pub queries: &'a [Query],
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

/// What the reduction of one segment leaves behind for the next one to use again.
#[derive(Default)]
struct Scratch {
    /// `[rows][SEGMENT]`: scores, then their exponentials.
    scores: Vec<f32>,
    reads: Vec<Read>,
}

/// A block that is read, and for whom.
struct Read {
    block: BlockId,
    /// Position of the block in the segment.
    at: usize,
    /// Positions that are read. Later ones may not be written yet: whatever is there must not be used.
    n_positions: usize,
    rows: Range<usize>,
}

struct Attend<'a>(Item<'a>);

impl Kernel for Attend<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self(item) = self;
        let (mut total, mut share, mut scratch) = (item.none(), item.none(), Scratch::default());
        for segment in item.segments() {
            item.reduce(simd, segment, &mut scratch, &mut share);
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
        let mut share = item.none();
        item.reduce(simd, segment, &mut Scratch::default(), &mut share);
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
        self.queries.len() * self.attention.group()
    }

    fn none(&self) -> Share {
        Share::none(self.n_rows(), self.attention.layout.value_stride())
    }

    /// Where row `row` of the item (its tokens, then the heads of the group) lies in `q` and `out`.
    #[inline(always)]
    fn row_start(&self, row: usize) -> usize {
        let (a, group) = (self.attention, self.attention.group());
        (self.queries[row / group].row * a.n_heads + self.kv_head * group + row % group) * a.layout.head_dim
    }

    /// Positions from the first to the last that some row sees.
    fn seen(&self) -> (usize, usize) {
        let visible = |query: &Query| self.attention.visible(query.position);
        let first = self.queries.iter().map(|query| visible(query).0).min();
        let end = self.queries.iter().map(|query| visible(query).1).max();
        (first.unwrap_or(0), end.unwrap_or(0))
    }

    /// Computes what the positions of a segment contribute.
    #[inline(always)]
    fn reduce<S: Simd>(&self, simd: S, segment: usize, scratch: &mut Scratch, share: &mut Share) {
        let Scratch { scores, reads } = scratch;
        reads.clear();
        (segment / BLOCK_TOKENS..(segment + SEGMENT) / BLOCK_TOKENS).for_each(|block_idx| self.plan(block_idx, reads));
        scores.clear();
        scores.resize(self.n_rows() * SEGMENT, 0.0);
        self.score(simd, reads, scores);
        self.exponentiate(simd, segment, scores, share);
        share.weighted.fill(0.0);
        self.weigh(simd, reads, scores, &mut share.weighted);
    }

    /// Lists which blocks are read as the `block_idx`th ones of their sequences: each once for neighbours that share it.
    fn plan(&self, block_idx: usize, reads: &mut Vec<Read>) {
        let (start, group) = (block_idx * BLOCK_TOKENS, self.attention.group());
        let mut before = None;
        for (i, query) in self.queries.iter().enumerate() {
            let (first, end) = self.attention.visible(query.position);
            if end <= start || start + BLOCK_TOKENS <= first {
                before = None;
                continue;
            }
            let block = self.attention.stacks.spans()[query.span].blocks[block_idx];
            if before != Some(block) {
                reads.push(Read { block, at: start % SEGMENT, n_positions: 0, rows: i * group..i * group });
            }
            before = Some(block);
            if let Some(read) = reads.last_mut() {
                read.rows.end += group;
                read.n_positions = read.n_positions.max((end - start).min(BLOCK_TOKENS));
            }
        }
    }

    /// Positions that row `row` sees of a segment, relative to its start.
    #[inline(always)]
    fn visible(&self, row: usize, segment: usize) -> (usize, usize) {
        let (first, end) = self.attention.visible(self.queries[row / self.attention.group()].position);
        (first.max(segment).min(segment + SEGMENT) - segment, end.max(segment).min(segment + SEGMENT) - segment)
    }

    /// The keys of a block, `[head_dim][BLOCK_TOKENS]`.
    #[inline(always)]
    fn keys(&self, read: &Read) -> &[[f16; LANES]] {
        let a = self.attention;
        let start = a.layout.k_offset(a.layer, read.block, self.kv_head);
        a.pool[start..start + a.layout.head_dim * BLOCK_TOKENS].as_chunks().0
    }

    /// The values of a block, `[n_positions][value_stride]`.
    #[inline(always)]
    fn values(&self, read: &Read) -> &[[f16; LANES]] {
        let a = self.attention;
        let start = a.layout.v_offset(a.layer, read.block, self.kv_head);
        a.pool[start..start + read.n_positions * a.layout.value_stride()].as_chunks().0
    }

    /// What is read a while after the `i`th of all keys and then all values: it takes so long to come.
    #[inline(always)]
    fn soon(&self, reads: &[Read], i: usize) -> *const [f16; LANES] {
        const AHEAD: usize = 2;
        let ahead = (i + AHEAD).min(2 * reads.len() - 1);
        match ahead.checked_sub(reads.len()) {
            None => self.keys(&reads[ahead]).as_ptr(),
            Some(ahead) => self.values(&reads[ahead]).as_ptr(),
        }
    }

    /// Adds the products of queries and keys to `scores`.
    #[inline(always)]
    fn score<S: Simd>(&self, simd: S, reads: &[Read], scores: &mut [f32]) {
        let scores = scores.as_chunks_mut().0;
        for (i, read) in reads.iter().enumerate() {
            let soon = self.soon(reads, i);
            let keys = Halves { vectors: self.keys(read), n_vectors: BLOCK_TOKENS / LANES, soon };
            let mut sums = Sums { vectors: &mut scores[read.at / LANES..], stride: SEGMENT / LANES };
            add_product(simd, read.rows.clone(), |row| &self.q[self.row_start(row)..], keys, &mut sums);
        }
    }

    /// Turns every row's products into `e^(score - largest)`, 0 where the row does not see the position. Blocks of
    /// which a row sees nothing are left as they are.
    #[inline(always)]
    fn exponentiate<S: Simd>(&self, simd: S, segment: usize, scores: &mut [f32], share: &mut Share) {
        for (row, scores) in scores.chunks_exact_mut(SEGMENT).enumerate() {
            let (first, end) = self.visible(row, segment);
            if first >= end {
                (share.largest[row], share.sum[row]) = (f32::NEG_INFINITY, 0.0);
                continue;
            }
            let start = first / BLOCK_TOKENS * BLOCK_TOKENS;
            let scores = &mut scores[start..end.next_multiple_of(BLOCK_TOKENS)];
            for vector in scores.as_chunks_mut().0 {
                simd.store(self.bounded(simd, simd.load(vector)), vector);
            }
            scores[..first - start].fill(f32::NEG_INFINITY);
            scores[end - start..].fill(f32::NEG_INFINITY);
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

    /// Scores of products: scaled, and bounded softly where there is a cap.
    #[inline(always)]
    fn bounded<S: Simd>(&self, simd: S, product: S::F) -> S::F {
        let score = simd.mul(product, simd.splat(self.attention.scale));
        match self.attention.softcap {
            Some(cap) => simd.mul(simd.tanh(simd.div(score, simd.splat(cap))), simd.splat(cap)),
            None => score,
        }
    }

    /// Adds the values, weighted with the exponentials `p`, to `weighted`.
    #[inline(always)]
    fn weigh<S: Simd>(&self, simd: S, reads: &[Read], p: &[f32], weighted: &mut [f32]) {
        let stride = self.attention.layout.value_stride() / LANES;
        let mut sums = Sums { vectors: weighted.as_chunks_mut().0, stride };
        for (i, read) in reads.iter().enumerate() {
            let soon = self.soon(reads, reads.len() + i);
            let values = Halves { vectors: self.values(read), n_vectors: stride, soon };
            add_product(simd, read.rows.clone(), |row| &p[row * SEGMENT + read.at..], values, &mut sums);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::attention::Stacks;
    use crate::kernel::kv::KvLayout;
    use crate::types::Span;

    /// What the only stack of `spans` (blocks, position of the one new token) reads for its `block_idx`th blocks, as
    /// `block: rows, positions`.
    #[track_caller]
    fn check(spans: &[(&[u32], usize)], window: Option<usize>, block_idx: usize, want: &str) {
        let span = |&(blocks, start): &(&[u32], usize)| {
            let blocks = blocks.iter().map(|&block| BlockId(block)).collect();
            Span { start, n_tokens: 1, blocks, logit_rows: vec![] }
        };
        let spans: Vec<Span> = spans.iter().map(span).collect();
        let (layout, stacks) = (KvLayout { n_layers: 1, n_kv_heads: 1, head_dim: 8 }, Stacks::new(&spans, 2));
        let attention =
            Attention { layout, layer: 0, n_heads: 2, scale: 1.0, softcap: None, window, pool: &[], stacks: &stacks };
        let out = SharedMut::new(&mut []);
        let item = Item { attention: &attention, queries: stacks.stack(0), kv_head: 0, q: &[], out: &out };
        let mut reads = Vec::new();
        item.plan(block_idx, &mut reads);
        let show = |read: &Read| format!("{}: {:?}, {}", read.block.0, read.rows, read.n_positions);
        assert_eq!(reads.iter().map(show).collect::<Vec<_>>().join(" | "), want);
    }

    #[test]
    fn a_shared_block_is_read_once() {
        let forks: [(&[u32], usize); 4] = [(&[0, 1, 2], 64), (&[0, 1, 3], 65), (&[0, 4], 40), (&[0, 5, 6], 95)];
        check(&forks, None, 0, "0: 0..8, 32");
        check(&forks, None, 1, "1: 0..4, 32 | 4: 4..6, 9 | 5: 6..8, 32");
        check(&forks, None, 2, "2: 0..2, 1 | 3: 2..4, 2 | 6: 6..8, 32");
        check(&forks, None, 3, "");
        // Windows end where they end: positions 25, 26, 1 and 56 are the first seen.
        check(&forks, Some(40), 0, "0: 0..6, 32");
        check(&forks, Some(33), 0, "0: 4..6, 32");
    }
}
