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
use super::format::{Format, QUADS, ROWS, UNIT, unpack, with_format};
use super::isa::{Isa, Kernel, isa, run};
use super::packed::Packed;
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

    /// Whether [`Packed::matmul_quantized`] takes these weights.
    pub fn is_quantized(&self) -> bool {
        !matches!(self.dtype(), Dtype::F32 | Dtype::F16 | Dtype::BF16)
    }

    pub(super) fn matmul_on(&self, isa: Isa, x: &[f32], out: &mut [f32], threads: &Threads) {
        let m = out.len() / self.n_rows().max(1);
        assert_eq!(out.len(), m * self.n_rows(), "the output is not whole rows of {}", self.n_rows());
        assert_eq!(x.len(), m * self.n_cols(), "the activations are not [{m}, {}]", self.n_cols());
        if self.is_quantized() {
            let x = QuantizedRows::quantize_on(isa, x, [m, self.n_cols()], threads);
            return self.matmul_quantized_on(isa, &x, out, threads);
        }
        let out = SharedMut::new(out);
        self.for_blocks(threads, |blocks| {
            run(isa, DenseProduct { weights: self, x, blocks, out: &out });
        });
    }

    pub(super) fn matmul_quantized_on(&self, isa: Isa, x: &QuantizedRows, out: &mut [f32], threads: &Threads) {
        assert_eq!(x.n_cols(), self.n_cols(), "the activations do not have the columns of the weights");
        assert_eq!(out.len(), x.n_rows() * self.n_rows(), "the output is not [{}, {}]", x.n_rows(), self.n_rows());
        let out = SharedMut::new(out);
        with_format!(self.dtype(), F => self.for_blocks(threads, |blocks| {
            run(isa, Product::<F> { weights: self, x, blocks, out: &out, format: std::marker::PhantomData });
        }), else panic!("dense weights take activations of full precision"));
    }

    /// Splits the blocks of rows among the threads.
    fn for_blocks(&self, threads: &Threads, run: impl Fn(Range<usize>) + Sync) {
        /// Pieces per thread: enough to even out threads that the system slows down.
        const PIECES: usize = 8;
        let n_blocks = self.n_blocks();
        let piece = (n_blocks / (threads.n_threads() * PIECES)).max(1);
        threads.parallel_for(n_blocks.div_ceil(piece), |i| run(i * piece..((i + 1) * piece).min(n_blocks)));
    }
}

/// The rows of some blocks, for all rows of activations.
struct Product<'a, F> {
    weights: &'a Packed,
    x: &'a QuantizedRows,
    blocks: Range<usize>,
    out: &'a SharedMut<'a, f32>,
    format: std::marker::PhantomData<F>,
}

impl<F: Format> Kernel for Product<'_, F> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for block in self.blocks.clone() {
            let mut row = 0;
            while row < self.x.n_rows() {
                let left = self.x.n_rows() - row;
                row += if S::MAX_ROWS >= 8 && left >= 8 {
                    self.tile::<S, 8>(simd, block, row)
                } else if S::MAX_ROWS >= 4 && left >= 4 {
                    self.tile::<S, 4>(simd, block, row)
                } else if S::MAX_ROWS >= 2 && left >= 2 {
                    self.tile::<S, 2>(simd, block, row)
                } else {
                    self.tile::<S, 1>(simd, block, row)
                };
            }
        }
    }
}

impl<F: Format> Product<'_, F> {
    /// Computes `M` rows of activations against one block; returns `M`.
    #[inline(always)]
    fn tile<S: Simd, const M: usize>(&self, simd: S, block: usize, row: usize) -> usize {
        let lines = self.weights.block(block);
        let x: [&[Group]; M] = std::array::from_fn(|m| self.x.row(row + m));
        let sums = products::<S, F, M>(simd, lines, x);
        for (m, sum) in sums.into_iter().enumerate() {
            // SAFETY: this thread alone computes this block, so nobody else touches these columns of the output.
            unsafe { store_block(simd, sum, self.out, [row + m, block, self.weights.n_rows()]) };
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
    let n_units = x[0].len();
    let (codes, scales) = lines.split_at(n_units * F::LINES);
    let mut sums = [simd.splat(0.0); M];
    for unit in 0..n_units {
        let quads = unpack::<S, F>(simd, &codes[unit * F::LINES..(unit + 1) * F::LINES]);
        let scale: [S::F; 2] = std::array::from_fn(|g| load_scale::<S, F>(simd, scales, unit, g % F::GROUPS));
        let min: [S::F; 2] = std::array::from_fn(|g| match F::OFFSET_LOG2 {
            None => load_scale::<S, F>(simd, scales, unit, F::GROUPS + g % F::GROUPS),
            Some(_) => simd.splat(0.0),
        });
        for m in 0..M {
            let group = &x[m][unit];
            let mut weighted = simd.splat(0.0);
            for g in 0..F::GROUPS {
                let minus_sum = simd.splat_int(group.minus_sums[if F::GROUPS == 1 { 2 } else { g }]);
                let mut dot = match F::OFFSET_LOG2 {
                    Some(log2) => simd.shl(minus_sum, log2),
                    None => simd.splat_int(0),
                };
                for j in g * QUADS / F::GROUPS..(g + 1) * QUADS / F::GROUPS {
                    dot = dot4::<S, F>(simd, dot, quads[j], group.codes[j]);
                }
                let dot = simd.from_int(dot);
                weighted = if g == 0 { simd.mul(dot, scale[g]) } else { simd.fma(dot, scale[g], weighted) };
                if F::OFFSET_LOG2.is_none() {
                    weighted = simd.fma(min[g], simd.from_int(minus_sum), weighted);
                }
            }
            sums[m] = simd.fma(weighted, simd.splat(group.scale), sums[m]);
        }
    }
    sums
}

#[inline(always)]
fn load_scale<S: Simd, F: Format>(simd: S, scales: &[Line], unit: usize, i: usize) -> S::F {
    let vector = unit * F::SCALES + i;
    simd.load_f16(&scales[vector / 2].halves()[vector % 2])
}

/// [`Simd::dot4`] with the bits of the format, which a constant expression cannot yet pass on.
#[inline(always)]
fn dot4<S: Simd, F: Format>(simd: S, acc: S::I, w: S::I, x: [i8; 4]) -> S::I {
    if F::BITS == 8 { simd.dot4::<8>(acc, w, x) } else { simd.dot4::<6>(acc, w, x) }
}

const _: () = assert!(UNIT == super::activation::GROUP);
