//! Products of packed weights and rows of activations: `out[m, n] = sum over k of x[m, k]·w[n, k]`.
//!
//! Per unit of 32 columns, with `s` and `min` the weights' scales and minima and `a` the activations' scale:
//! `acc = acc − min·(a·sum(x))`, then `acc = acc + a·(s·dot(q, x))`, the dot product exact in integers, the rest one
//! rounding per operation in this order. An output element's operations depend on its own row of weights and of
//! activations alone: not on the other rows, the threads or the instruction set.
//!
//! A thread takes blocks of 16 weight rows; a unit is loaded and taken apart once for up to 8 rows of activations, or,
//! where that is faster, once for up to 128 of them, which are then multiplied in pairs (see [`super::pairs`]).
//!
//! What bounds a few rows that do not wait for memory: a unit and a row are eight dot products of four, two
//! multiplications for the scales, and one more where there are minima. On CPUs with two pipes for multiplications all
//! of these compete for them, integers or not, while additions, conversions, shifts and taking apart go beside: at best
//! 8 in 10 of the rate of dot products, 8 in 11 with minima, 8 in 11 with two groups per unit.

#![allow(unsafe_code)]

use super::activation::{ALL, Group, QuantizedRows, STRIP, Strip};
use super::dense::DenseProduct;
use super::format::{Format, QUADS, ROWS, UNIT, Units, with_format};
use super::isa::{Isa, Kernel, isa, run};
use super::packed::{Packed, View};
use super::pairs;
use super::simd::{LANES, Line, Simd};
use super::threads::{SharedMut, Threads, collect, collect_each};
use crate::types::{Dtype, Precision};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::Range;

/// Strips of activations that a thread takes at once, where there are more: at least and at most.
pub(super) const AT_ONCE: [usize; 2] = [4, 16];

impl Packed {
    /// Multiplies `x`, `[n_rows, n_cols]`, with the transpose of this matrix: `[n_rows, outputs]`.
    ///
    /// Quantized weights meet activations of 8 bits (see [`QuantizedRows`]), dense ones full activations.
    ///
    /// # Panics
    /// If `x` is not of that shape.
    pub fn matmul(&self, x: &[f32], n_rows: usize, threads: &Threads) -> Vec<f32> {
        self.matmul_on(isa(), x, n_rows, threads)
    }

    /// As [`Packed::matmul`], with activations that were quantized before.
    ///
    /// # Panics
    /// If the weights are dense, or a shape does not fit.
    pub fn matmul_quantized(&self, x: &QuantizedRows, threads: &Threads) -> Vec<f32> {
        View::all(self).matmul_quantized_on(isa(), x, threads)
    }

    /// [`Packed::matmul_quantized`] of several matrices, which the threads share as if they were one.
    ///
    /// # Panics
    /// As [`Packed::matmul_quantized`].
    pub fn matmul_quantized_each<const N: usize>(
        weights: [&Self; N],
        x: &QuantizedRows,
        threads: &Threads,
    ) -> [Vec<f32>; N] {
        multiply_each(weights.map(View::all), pairs::pay(isa(), x.n_strips().1), isa(), x, threads)
    }

    /// As [`Packed::matmul`], but the outputs `wanted` alone, ascending: `[n_rows, wanted.len()]`. Each is what
    /// [`Packed::matmul`] gives, bit for bit.
    ///
    /// # Panics
    /// As [`Packed::matmul`], or if an output does not exist.
    pub fn matmul_some(&self, x: &[f32], n_rows: usize, wanted: &[u32], threads: &Threads) -> Vec<f32> {
        self.gather(wanted, |view| view.matmul_on(isa(), x, n_rows, threads))
    }

    /// As [`Packed::matmul_some`], with activations that were quantized before.
    ///
    /// # Panics
    /// As [`Packed::matmul_quantized`], or if an output does not exist.
    pub fn matmul_quantized_some(&self, x: &QuantizedRows, wanted: &[u32], threads: &Threads) -> Vec<f32> {
        self.gather(wanted, |view| view.matmul_quantized_on(isa(), x, threads))
    }

    /// Whether [`Packed::matmul_quantized`] takes these weights.
    pub fn is_quantized(&self) -> bool {
        !matches!(self.dtype(), Dtype::F32 | Dtype::F16 | Dtype::BF16)
    }

    pub(super) fn matmul_on(&self, isa: Isa, x: &[f32], n_rows: usize, threads: &Threads) -> Vec<f32> {
        View::all(self).matmul_on(isa, x, n_rows, threads)
    }

    /// Computes the blocks that hold the outputs `wanted`, and takes these out of them.
    fn gather(&self, wanted: &[u32], product: impl FnOnce(View<'_>) -> Vec<f32>) -> Vec<f32> {
        let Some(&last) = wanted.last() else { return Vec::new() };
        assert!(wanted.is_sorted() && (last as usize) < self.n_rows(), "output {last} of {}", self.n_rows());
        let mut blocks: Vec<usize> = wanted.iter().map(|&row| row as usize / ROWS).collect();
        blocks.dedup();
        let view = View::of(self, &blocks);
        let place = |row: usize| blocks.partition_point(|&block| block < row / ROWS) * ROWS + row % ROWS;
        let places: Vec<usize> = wanted.iter().map(|&row| place(row as usize)).collect();
        let computed = product(view);
        computed.chunks_exact(view.n_rows()).flat_map(|row| places.iter().map(|&place| row[place])).collect()
    }
}

impl View<'_> {
    fn matmul_on(self, isa: Isa, x: &[f32], n_rows: usize, threads: &Threads) -> Vec<f32> {
        let n_cols = self.weights().n_cols();
        assert_eq!(x.len(), n_rows * n_cols, "the activations are not [{n_rows}, {n_cols}]");
        if self.weights().is_quantized() {
            let codes = QuantizedRows::quantize_on(isa, x, [n_rows, n_cols], Precision::Bits8, threads);
            return self.matmul_quantized_on(isa, &codes, threads);
        }
        let multiply = |out: Outputs<'_>| {
            self.for_blocks(threads, |blocks| run(isa, DenseProduct { weights: self, x, n_rows, blocks, out: &out }));
        };
        // SAFETY: every block is computed, and a product stores the outputs of its blocks for every row.
        unsafe { collect(n_rows * self.n_rows(), multiply) }
    }

    pub(super) fn matmul_quantized_on(self, isa: Isa, x: &QuantizedRows, threads: &Threads) -> Vec<f32> {
        self.matmul_in_pairs(pairs::pay(isa, x.n_strips().1), isa, x, threads)
    }

    /// As [`View::matmul_quantized_on`], full strips in pairs or not, where there are such products; the results are the
    /// same.
    pub(super) fn matmul_in_pairs(self, in_pairs: bool, isa: Isa, x: &QuantizedRows, threads: &Threads) -> Vec<f32> {
        let [out] = multiply_each([self], in_pairs, isa, x, threads);
        out
    }

    /// Splits the blocks of rows among the threads.
    pub(super) fn for_blocks(self, threads: &Threads, run: impl Fn(Range<usize>) + Sync) {
        for_pieces(&[self], 1, threads, |_, _, blocks| run(blocks));
    }
}

/// The products of every one of `weights`: `[x.n_rows(), outputs]`.
fn multiply_each<const N: usize>(
    weights: [View<'_>; N],
    in_pairs: bool,
    isa: Isa,
    x: &QuantizedRows,
    threads: &Threads,
) -> [Vec<f32>; N] {
    for view in weights {
        assert_eq!(x.n_cols(), view.weights().n_cols(), "the activations do not have the columns of the weights");
    }
    let in_pairs = in_pairs && x.n_cols() > 0;
    let multiply = |outs: [Outputs<'_>; N]| {
        for_parts(&weights, x, threads, |i, strips, blocks| {
            let (weights, out) = (weights[i], &outs[i]);
            with_format!(weights.weights().dtype(), F => {
                run(isa, Product::<F> { weights, x, strips, blocks, in_pairs, out, format: PhantomData });
            }, else panic!("dense weights take activations of full precision"));
        });
    };
    // SAFETY: the parts are all strips with all blocks of all matrices, and a product stores all outputs of its part.
    let mut outs = unsafe { collect_each(weights.map(|view| x.n_terms() * view.n_rows()), multiply) };
    if x.n_terms() > x.n_rows() {
        for out in &mut outs {
            let n = out.len() / x.n_terms() * x.n_rows();
            let (first, second) = out.split_at_mut(n);
            first.iter_mut().zip(second).for_each(|(first, second)| *first += *second);
            out.truncate(n);
        }
    }
    outs
}

/// Splits the strips, and the blocks of rows of all `weights`, among the threads: `run(i, strips, blocks)` for those of the
/// `i`th.
///
/// So many strips at once that they stay in the second-level cache while a thread streams the blocks: one part after
/// another has the same strips.
fn for_parts(
    weights: &[View<'_>],
    x: &QuantizedRows,
    threads: &Threads,
    run: impl Fn(usize, Range<usize>, Range<usize>) + Sync,
) {
    /// Bytes of activations.
    const RESIDENT: usize = 704 << 10;
    let (n_strips, _) = x.n_strips();
    let strip_bytes = x.n_cols() / UNIT * STRIP * size_of::<Group>();
    let at_once = (RESIDENT / strip_bytes.max(1)).clamp(AT_ONCE[0], AT_ONCE[1]);
    let n_times = n_strips.div_ceil(at_once);
    let at_once = n_strips.div_ceil(n_times.max(1));
    for_pieces(weights, n_times, threads, |time, i, blocks| {
        run(i, time * at_once..((time + 1) * at_once).min(n_strips), blocks);
    });
}

/// Runs `run(time, i, blocks)` for all blocks of the `i`th of all `weights` in pieces, first with 0 for `time`, at last with
/// `n_times - 1`.
fn for_pieces(
    weights: &[View<'_>],
    n_times: usize,
    threads: &Threads,
    run: impl Fn(usize, usize, Range<usize>) + Sync,
) {
    /// Pieces per thread, over all times: enough to even out threads that the system slows down.
    const PIECES: usize = 8;
    let n_blocks: usize = weights.iter().map(|view| view.n_blocks()).sum();
    let piece = (n_blocks / (threads.n_threads() * PIECES.div_ceil(n_times.max(1)))).max(1);
    let n_pieces_of = |view: &View<'_>| view.n_blocks().div_ceil(piece);
    let n_pieces: usize = weights.iter().map(n_pieces_of).sum();
    threads.parallel_for(n_times * n_pieces, |at| {
        let mut piece_idx = at % n_pieces;
        for (i, view) in weights.iter().enumerate() {
            if let Some(later) = piece_idx.checked_sub(n_pieces_of(view)) {
                piece_idx = later;
                continue;
            }
            let first = piece_idx * piece;
            return run(at / n_pieces, i, first..(first + piece).min(view.n_blocks()));
        }
    });
}

/// Where products store what they compute.
pub(super) type Outputs<'a> = SharedMut<'a, MaybeUninit<f32>>;

/// Some strips of activations with some blocks of weights.
pub(super) struct Product<'a, F> {
    pub weights: View<'a>,
    pub x: &'a QuantizedRows,
    /// At most so many as a thread takes at once.
    pub strips: Range<usize>,
    pub blocks: Range<usize>,
    /// Whether full strips are multiplied in pairs, where there are such products.
    in_pairs: bool,
    pub out: &'a Outputs<'a>,
    format: PhantomData<F>,
}

impl<F: Format> Kernel for Product<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let ((_, n_full), Range { start, end }) = (self.x.n_strips(), self.strips.clone());
        let in_pairs = if S::PAIRS && F::PAIRS && self.in_pairs { end.min(n_full) } else { start };
        if in_pairs > start {
            self.in_pairs(simd, start..in_pairs);
        }
        for block in self.blocks.clone() {
            for strip in in_pairs..end {
                self.strip(simd, block, strip);
            }
        }
    }
}

impl<F: Format> Product<'_, F> {
    /// Computes a strip of activations against a block.
    #[inline(always)]
    fn strip<S: Simd>(&self, simd: S, block: usize, strip: usize) {
        let (x, mut row) = (self.x.strip(strip), 0);
        while row < x.n_rows {
            let (left, at) = (x.n_rows - row, [strip * STRIP, row]);
            row += if S::MAX_ROWS >= 8 && left >= 8 {
                self.tile::<S, 8>(simd, block, x, at)
            } else if S::MAX_ROWS >= 4 && left >= 4 {
                self.tile::<S, 4>(simd, block, x, at)
            } else if S::MAX_ROWS >= 2 && left >= 2 {
                self.tile::<S, 2>(simd, block, x, at)
            } else {
                self.tile::<S, 1>(simd, block, x, at)
            };
        }
    }

    /// Computes `M` rows of a strip, from `row` of it on, against a block; returns `M`.
    #[inline(always)]
    fn tile<S: Simd, const M: usize>(&self, simd: S, block: usize, x: Strip<'_>, at: [usize; 2]) -> usize {
        let [strip_at, row] = at;
        let sums = products::<S, F, M>(simd, self.weights.block(block), x, row);
        for (m, sum) in sums.into_iter().enumerate() {
            // SAFETY: this thread alone computes these rows of this block: nobody else touches these outputs.
            unsafe { store_block(simd, sum, self.out, [strip_at + row + m, block, self.weights.n_rows()]) };
        }
        M
    }
}

/// Stores the outputs of `block` for activation row `row`; `at` is `[row, block, n_rows]`.
///
/// # Safety
/// No other thread accesses these elements at the same time.
#[inline(always)]
pub(super) unsafe fn store_block<S: Simd>(simd: S, x: S::F, out: &Outputs<'_>, at: [usize; 3]) {
    let [row, block, n_rows] = at;
    let (start, end) = (row * n_rows + block * ROWS, row * n_rows + ((block + 1) * ROWS).min(n_rows));
    // SAFETY: passed on to the caller.
    let out = unsafe { out.slice(start, end) };
    let mut lanes = [0.0; LANES];
    simd.store(x, &mut lanes);
    match out.as_mut_array::<LANES>() {
        Some(out) => _ = out.write_copy_of_slice(&lanes),
        None => _ = out.write_copy_of_slice(&lanes[..out.len()]),
    }
}

/// The dot products of 16 rows of weights with `M` rows of a strip of activations, from `row` on.
#[inline(always)]
fn products<S: Simd, F: Format, const M: usize>(simd: S, lines: &[Line], x: Strip<'_>, row: usize) -> [S::F; M] {
    let (n_units, together) = (x.n_groups, F::PLACES.together());
    assert!(row + M <= x.n_rows, "rows beyond the strip");
    assert_eq!(lines.len(), F::PLACES.n_lines(n_units), "a block of other columns");
    assert!(!F::IN_BYTES || n_units.is_multiple_of(together), "scales in bytes come with whole blocks");
    let mut sums = [simd.splat(0.0); M];
    for (first, lines) in (0..n_units).step_by(together).zip(lines.chunks_exact(F::PLACES.stride())) {
        let units = Units::<S, F>::new(simd, lines, 0);
        for i in 0..if F::IN_BYTES { together } else { together.min(n_units - first) } {
            fetch_ahead::<S, F, M>(simd, lines, i);
            // SAFETY: `i` is below `together`.
            let quads = unsafe { units.quads(i) };
            // SAFETY: `first + i` is below the strip's groups, and the strip has the rows: both asserted above.
            let groups = unsafe { x.get::<M>(first + i, row) };
            let mut weighted = [simd.splat(0.0); M];
            for g in 0..F::GROUPS {
                // SAFETY: as above; `g` is a group of the format.
                let scale = unsafe { units.scale(i, g) };
                let quads = &quads[g * QUADS / F::GROUPS..(g + 1) * QUADS / F::GROUPS];
                let dots = dots::<S, F, M>(simd, quads, groups, g);
                for m in 0..M {
                    weighted[m] = if g == 0 { simd.mul(dots[m], scale) } else { simd.fma(dots[m], scale, weighted[m]) };
                }
            }
            for g in 0..if F::OFFSET_LOG2.is_none() { F::GROUPS } else { 0 } {
                // SAFETY: as above; a format without an offset has minima.
                let min = unsafe { units.min(i, g) };
                for m in 0..M {
                    sums[m] = simd.fma(min, simd.splat(groups[m].minus_values[sum_of::<F>(g)]), sums[m]);
                }
            }
            for m in 0..M {
                sums[m] = simd.fma(weighted[m], simd.splat(groups[m].scale), sums[m]);
            }
        }
    }
    sums
}

/// Asks for weights that are needed soon, on behalf of the `i`th of the units that begin `lines`.
///
/// More rows than one leave memory idle unless every line is asked for. One row is done with a line faster than memory
/// is, and CPUs follow the stream of codes by themselves: there it pays to ask for what breaks the stream alone, the
/// scales where they lie apart. All distances are measured.
#[inline(always)]
fn fetch_ahead<S: Simd, F: Format, const M: usize>(simd: S, lines: &[Line], i: usize) {
    /// In lines: what a core reads during one access to memory.
    const AHEAD: usize = 64;
    /// In groups of units that lie together.
    const SCALES_AHEAD: usize = 4;
    if M > 1 {
        simd.prefetch(lines, F::PLACES.codes(i) + AHEAD, F::PLACES.lines_per_unit());
    } else if F::IN_BYTES && i == 0 {
        let (scales, stride) = (F::PLACES.factors(0), F::PLACES.stride());
        simd.prefetch(lines, SCALES_AHEAD * stride + scales, stride - scales);
    }
}

/// Dot products of group `g` of a unit with `M` rows of activations. Row after row for every quad: the chains of
/// additions of the rows overlap.
#[inline(always)]
fn dots<S: Simd, F: Format, const M: usize>(simd: S, quads: &[S::I], groups: &[Group; M], g: usize) -> [S::F; M] {
    let mut dots = [simd.splat_int(0); M];
    if let Some(log2) = F::OFFSET_LOG2 {
        for m in 0..M {
            dots[m] = simd.shl(simd.splat_int(groups[m].minus_sums[sum_of::<F>(g)]), log2);
        }
    }
    let codes: [&[[i8; 4]]; M] = std::array::from_fn(|m| &groups[m].codes[g * QUADS / F::GROUPS..][..quads.len()]);
    let dots = dot_rows::<S, F, M>(simd, dots, quads, codes);
    // Not by `map`: a closure given to it is not always compiled for the instruction set, and then costs a call.
    let mut numbers = [simd.splat(0.0); M];
    for m in 0..M {
        numbers[m] = simd.floats(dots[m]);
    }
    numbers
}

/// Which of the sums of 32 activations goes with group `g` of a unit.
const fn sum_of<F: Format>(g: usize) -> usize {
    if F::GROUPS == 1 { ALL } else { g }
}

/// [`Simd::dot_rows`] with the bits of the format, which a constant expression cannot yet pass on.
#[inline(always)]
fn dot_rows<S: Simd, F: Format, const M: usize>(simd: S, acc: [S::I; M], w: &[S::I], x: [&[[i8; 4]]; M]) -> [S::I; M] {
    match F::WIDTH {
        4 => simd.dot_rows::<4, M>(acc, w, x),
        5 => simd.dot_rows::<5, M>(acc, w, x),
        6 => simd.dot_rows::<6, M>(acc, w, x),
        _ => simd.dot_rows::<8, M>(acc, w, x),
    }
}

const _: () = assert!(UNIT == super::activation::GROUP);
