//! Products of packed weights and rows of activations: `out[m, n] = sum over k of x[m, k]·w[n, k]`.
//!
//! Per unit of 32 columns, with `s` and `min` the weights' scales and minima and `a` the activations' scale:
//! `acc = acc + a·(s·dot(q, x) − min·sum(x))`, the dot product exact in integers, the rest one rounding per operation
//! in this order. An output element's operations depend on its own row of weights and of activations alone: not on the
//! other rows, the threads or the instruction set.
//!
//! A thread takes blocks of 16 weight rows; a unit is loaded and taken apart once for up to 8 rows of activations.

#![allow(unsafe_code)]

use super::activation::{Group, QuantizedRows};
use super::dense::DenseProduct;
use super::format::{Format, QUADS, ROWS, UNIT, load_scale, unpack, with_format};
use super::isa::{Isa, Kernel, isa, run};
use super::packed::{Packed, View};
use super::simd::{LANES, Line, Simd};
use super::threads::{SharedMut, Threads};
use crate::types::Dtype;
use std::ops::Range;

impl Packed {
    /// Multiplies `x`, `[m, n_cols]`, with the transpose of this matrix into `out`, `[m, n_rows]`.
    ///
    /// Quantized weights meet activations of 8 bits (see [`QuantizedRows`]), dense ones full activations.
    ///
    /// # Panics
    /// If `x` or `out` is not whole rows, or they differ in the number of rows.
    pub fn matmul(&self, x: &[f32], out: &mut [f32], threads: &Threads) {
        self.matmul_on(isa(), x, out, threads);
    }

    /// As [`Packed::matmul`], with activations that were quantized before.
    ///
    /// # Panics
    /// If the weights are dense, or a shape does not fit.
    pub fn matmul_quantized(&self, x: &QuantizedRows, out: &mut [f32], threads: &Threads) {
        self.matmul_quantized_on(isa(), x, out, threads);
    }

    /// As [`Packed::matmul`], but the outputs `wanted` alone, ascending; `out`: `[m, wanted.len()]`. Each is what
    /// [`Packed::matmul`] gives, bit for bit.
    ///
    /// # Panics
    /// As [`Packed::matmul`], or if an output does not exist.
    pub fn matmul_some(&self, x: &[f32], wanted: &[u32], out: &mut [f32], threads: &Threads) {
        self.gather(wanted, out, |view, out| view.matmul_on(isa(), x, out, threads));
    }

    /// As [`Packed::matmul_some`], with activations that were quantized before.
    ///
    /// # Panics
    /// As [`Packed::matmul_quantized`], or if an output does not exist.
    pub fn matmul_quantized_some(&self, x: &QuantizedRows, wanted: &[u32], out: &mut [f32], threads: &Threads) {
        self.gather(wanted, out, |view, out| view.matmul_quantized_on(isa(), x, out, threads));
    }

    /// Whether [`Packed::matmul_quantized`] takes these weights.
    pub fn is_quantized(&self) -> bool {
        !matches!(self.dtype(), Dtype::F32 | Dtype::F16 | Dtype::BF16)
    }

    pub(super) fn matmul_on(&self, isa: Isa, x: &[f32], out: &mut [f32], threads: &Threads) {
        View::all(self).matmul_on(isa, x, out, threads);
    }

    pub(super) fn matmul_quantized_on(&self, isa: Isa, x: &QuantizedRows, out: &mut [f32], threads: &Threads) {
        View::all(self).matmul_quantized_on(isa, x, out, threads);
    }

    /// Computes the blocks that hold the outputs `wanted`, and takes these out of them.
    fn gather(&self, wanted: &[u32], out: &mut [f32], product: impl FnOnce(View<'_>, &mut [f32])) {
        if wanted.is_empty() {
            return;
        }
        let last = *wanted.last().expect("it is not empty") as usize;
        assert!(wanted.is_sorted() && last < self.n_rows(), "output {last} of {}", self.n_rows());
        let mut blocks: Vec<usize> = wanted.iter().map(|&row| row as usize / ROWS).collect();
        blocks.dedup();
        let view = View::of(self, &blocks);
        let mut computed = vec![0.0; out.len() / wanted.len() * view.n_rows()];
        product(view, &mut computed);
        for (out, computed) in out.chunks_exact_mut(wanted.len()).zip(computed.chunks_exact(view.n_rows())) {
            let mut slot = 0;
            for (out, &row) in out.iter_mut().zip(wanted) {
                slot += usize::from(blocks[slot] != row as usize / ROWS);
                *out = computed[slot * ROWS + row as usize % ROWS];
            }
        }
    }
}

impl View<'_> {
    fn matmul_on(self, isa: Isa, x: &[f32], out: &mut [f32], threads: &Threads) {
        let n_cols = self.weights().n_cols();
        let m = out.len() / self.n_rows().max(1);
        assert_eq!(out.len(), m * self.n_rows(), "the output is not whole rows of {}", self.n_rows());
        assert_eq!(x.len(), m * n_cols, "the activations are not [{m}, {n_cols}]");
        if self.weights().is_quantized() {
            let x = QuantizedRows::quantize_on(isa, x, [m, n_cols], threads);
            return self.matmul_quantized_on(isa, &x, out, threads);
        }
        let out = SharedMut::new(out);
        self.for_blocks(threads, |blocks| {
            run(isa, DenseProduct { weights: self, x, blocks, out: &out });
        });
    }

    fn matmul_quantized_on(self, isa: Isa, x: &QuantizedRows, out: &mut [f32], threads: &Threads) {
        assert_eq!(x.n_cols(), self.weights().n_cols(), "the activations do not have the columns of the weights");
        assert_eq!(out.len(), x.n_rows() * self.n_rows(), "the output is not [{}, {}]", x.n_rows(), self.n_rows());
        if x.n_terms() == x.n_rows() {
            return self.multiply(isa, x, out, threads);
        }
        let mut terms = vec![0.0; x.n_terms() * self.n_rows()];
        self.multiply(isa, x, &mut terms, threads);
        let (first, second) = terms.split_at(out.len());
        for (out, (first, second)) in out.iter_mut().zip(first.iter().zip(second)) {
            *out = first + second;
        }
    }

    /// Every row of codes with every row of weights; `out`: `[x.n_terms(), n_rows]`.
    fn multiply(self, isa: Isa, x: &QuantizedRows, out: &mut [f32], threads: &Threads) {
        let out = SharedMut::new(out);
        with_format!(self.weights().dtype(), F => self.for_blocks(threads, |blocks| {
            run(isa, Product::<F> { weights: self, x, blocks, out: &out, format: std::marker::PhantomData });
        }), else panic!("dense weights take activations of full precision"));
    }

    /// Splits the blocks of rows among the threads.
    pub(super) fn for_blocks(self, threads: &Threads, run: impl Fn(Range<usize>) + Sync) {
        /// Pieces per thread: enough to even out threads that the system slows down.
        const PIECES: usize = 8;
        let n_blocks = self.n_blocks();
        let piece = (n_blocks / (threads.n_threads() * PIECES)).max(1);
        threads.parallel_for(n_blocks.div_ceil(piece), |i| run(i * piece..((i + 1) * piece).min(n_blocks)));
    }
}

/// The rows of some blocks, for all rows of activations.
struct Product<'a, F> {
    weights: View<'a>,
    x: &'a QuantizedRows,
    blocks: Range<usize>,
    out: &'a SharedMut<'a, f32>,
    format: std::marker::PhantomData<F>,
}

impl<F: Format> Kernel for Product<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        /// Bytes of weights that stay in the second-level cache while rows of activations pass by.
        const RESIDENT: usize = 256 << 10;
        let at_once = (RESIDENT / size_of_val(self.weights.block(0)).max(1)).max(1);
        for first in self.blocks.clone().step_by(at_once) {
            let blocks = first..(first + at_once).min(self.blocks.end);
            let mut row = 0;
            while row < self.x.n_terms() {
                let left = self.x.n_terms() - row;
                row += if S::MAX_ROWS >= 8 && left >= 8 {
                    self.tile::<S, 8>(simd, blocks.clone(), row)
                } else if S::MAX_ROWS >= 4 && left >= 4 {
                    self.tile::<S, 4>(simd, blocks.clone(), row)
                } else if S::MAX_ROWS >= 2 && left >= 2 {
                    self.tile::<S, 2>(simd, blocks.clone(), row)
                } else {
                    self.tile::<S, 1>(simd, blocks.clone(), row)
                };
            }
        }
    }
}

impl<F: Format> Product<'_, F> {
    /// Computes `M` rows of activations against some blocks; returns `M`.
    #[inline(always)]
    fn tile<S: Simd, const M: usize>(&self, simd: S, blocks: Range<usize>, row: usize) -> usize {
        let x: [&[Group]; M] = std::array::from_fn(|m| self.x.row(row + m));
        for block in blocks {
            let sums = products::<S, F, M>(simd, self.weights.block(block), x);
            for (m, sum) in sums.into_iter().enumerate() {
                // SAFETY: this thread alone computes this block, so nobody else touches these columns of the output.
                unsafe { store_block(simd, sum, self.out, [row + m, block, self.weights.n_rows()]) };
            }
        }
        M
    }
}

/// Stores the outputs of `block` for activation row `row`; `at` is `[row, block, n_rows]`.
///
/// # Safety
/// No other thread accesses these elements at the same time.
#[inline(always)]
pub(super) unsafe fn store_block<S: Simd>(simd: S, x: S::F, out: &SharedMut<'_, f32>, at: [usize; 3]) {
    let [row, block, n_rows] = at;
    let (start, end) = (row * n_rows + block * ROWS, row * n_rows + ((block + 1) * ROWS).min(n_rows));
    // SAFETY: passed on to the caller.
    let out = unsafe { out.slice(start, end) };
    match out.as_mut_array::<LANES>() {
        Some(out) => simd.store(x, out),
        None => {
            let mut lanes = [0.0; LANES];
            simd.store(x, &mut lanes);
            out.copy_from_slice(&lanes[..out.len()]);
        }
    }
}

/// The dot products of 16 rows of weights with `M` rows of activations.
#[inline(always)]
fn products<S: Simd, F: Format, const M: usize>(simd: S, lines: &[Line], x: [&[Group]; M]) -> [S::F; M] {
    /// How far ahead weights are fetched: what a core reads during one access to memory.
    const AHEAD: usize = 64;
    let n_units = x[0].len();
    assert!(x.iter().all(|x| x.len() == n_units), "rows of activations of different lengths");
    assert_eq!(lines.len(), F::PLACES.n_lines(n_units), "a block of other columns");
    let mut sums = [simd.splat(0.0); M];
    for unit in 0..n_units {
        let codes = F::PLACES.codes(unit);
        simd.prefetch(lines, codes + AHEAD, F::PLACES.lines_per_unit());
        // SAFETY: `unit` is below `n_units`, and the block has the lines of that many units, asserted above.
        let quads = unpack::<S, F>(simd, unsafe { lines.get_unchecked(codes..codes + F::PLACES.code_lines) });
        // SAFETY: `unit` is below `n_units`, the length of every `x`, asserted above.
        let groups: [&Group; M] = std::array::from_fn(|m| unsafe { x[m].get_unchecked(unit) });
        let mut weighted = [simd.splat(0.0); M];
        for g in 0..F::GROUPS {
            // SAFETY: as above; the scales of that many units are there.
            let scale = unsafe { load_scale::<S, F>(simd, lines, unit, (g, false)) };
            let quads = &quads[g * QUADS / F::GROUPS..(g + 1) * QUADS / F::GROUPS];
            let dots = dots::<S, F, M>(simd, quads, groups, g);
            for m in 0..M {
                weighted[m] = if g == 0 { simd.mul(dots[m], scale) } else { simd.fma(dots[m], scale, weighted[m]) };
            }
            if F::OFFSET_LOG2.is_none() {
                // SAFETY: as above; the minima of a unit follow its scales.
                let min = unsafe { load_scale::<S, F>(simd, lines, unit, (g, true)) };
                for m in 0..M {
                    let minus_sum = simd.floats(simd.splat_int(minus_sum::<F>(groups[m], g)));
                    weighted[m] = simd.fma(min, minus_sum, weighted[m]);
                }
            }
        }
        for m in 0..M {
            sums[m] = simd.fma(weighted[m], simd.splat(groups[m].scale), sums[m]);
        }
    }
    sums
}

/// Dot products of group `g` of a unit with `M` rows of activations. Row after row for every quad: the chains of
/// additions of the rows overlap.
#[inline(always)]
fn dots<S: Simd, F: Format, const M: usize>(simd: S, quads: &[S::I], groups: [&Group; M], g: usize) -> [S::F; M] {
    let mut dots = [simd.splat_int(0); M];
    if let Some(log2) = F::OFFSET_LOG2 {
        for m in 0..M {
            dots[m] = simd.shl(simd.splat_int(minus_sum::<F>(groups[m], g)), log2);
        }
    }
    let codes: [&[[i8; 4]]; M] = std::array::from_fn(|m| &groups[m].codes[g * QUADS / F::GROUPS..][..quads.len()]);
    dot_rows::<S, F, M>(simd, dots, quads, codes).map(|dot| simd.floats(dot))
}

#[inline(always)]
fn minus_sum<F: Format>(group: &Group, g: usize) -> i32 {
    group.minus_sums[if F::GROUPS == 1 { 2 } else { g }]
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
