//! Products with weights in `F32`, `F16` or `BF16`: full activations, single-precision sums.
//!
//! Even and odd columns are summed apart, in order, and added at the end; every step is one fused multiply-add. As with
//! quantized weights, an output element's operations depend on its two rows alone.

#![allow(unsafe_code)]

use super::isa::Kernel;
use super::matmul::{Outputs, store_block};
use super::packed::View;
use super::simd::{Line, Simd};
use crate::types::Dtype;
use std::ops::Range;

/// The rows of some blocks, for all rows of activations.
pub(super) struct DenseProduct<'a> {
    pub weights: View<'a>,
    /// `[n_rows, n_cols]`
    pub x: &'a [f32],
    pub n_rows: usize,
    pub blocks: Range<usize>,
    pub out: &'a Outputs<'a>,
}

/// A kind of dense weights: 16 of them, one per row of a block, are a vector.
trait Element {
    /// Columns in a line.
    const PER_LINE: usize;
    /// The weights of column `k`.
    fn load<S: Simd>(simd: S, lines: &[Line], k: usize) -> S::F;
}

/// `F32`.
struct Single;
/// `F16`.
struct Half;
/// `BF16`.
struct Brain;

impl Element for Single {
    const PER_LINE: usize = 1;
    #[inline(always)]
    fn load<S: Simd>(simd: S, lines: &[Line], k: usize) -> S::F {
        simd.load(lines[k].floats())
    }
}

impl Element for Half {
    const PER_LINE: usize = 2;
    #[inline(always)]
    fn load<S: Simd>(simd: S, lines: &[Line], k: usize) -> S::F {
        simd.load_f16(&lines[k / 2].halves()[k % 2])
    }
}

impl Element for Brain {
    const PER_LINE: usize = 2;
    #[inline(always)]
    fn load<S: Simd>(simd: S, lines: &[Line], k: usize) -> S::F {
        simd.load_bf16(&lines[k / 2].halves()[k % 2])
    }
}

impl Kernel for DenseProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        match self.weights.weights().dtype() {
            Dtype::F32 => self.product::<S, Single>(simd),
            Dtype::F16 => self.product::<S, Half>(simd),
            _ => self.product::<S, Brain>(simd),
        }
    }
}

impl DenseProduct<'_> {
    #[inline(always)]
    fn product<S: Simd, E: Element>(&self, simd: S) {
        let m = self.n_rows;
        for block in self.blocks.clone() {
            let mut row = 0;
            while row < m {
                row += if S::MAX_ROWS >= 8 && m - row >= 8 {
                    self.tile::<S, E, 8>(simd, row, block)
                } else if S::MAX_ROWS >= 4 && m - row >= 2 {
                    self.tile::<S, E, 2>(simd, row, block)
                } else {
                    self.tile::<S, E, 1>(simd, row, block)
                };
            }
        }
    }

    /// Computes `M` rows of activations against one block; returns `M`.
    #[inline(always)]
    fn tile<S: Simd, E: Element, const M: usize>(&self, simd: S, row: usize, block: usize) -> usize {
        /// How far ahead weights are fetched, in lines.
        const AHEAD: usize = 64;
        let lines = self.weights.block(block);
        let n_cols = self.weights.weights().n_cols();
        let x: [&[f32]; M] = std::array::from_fn(|m| &self.x[(row + m) * n_cols..(row + m + 1) * n_cols]);
        let mut even = [simd.splat(0.0); M];
        let mut odd = even;
        for k in (0..n_cols / 2).map(|k| 2 * k) {
            simd.prefetch(lines, k / E::PER_LINE + AHEAD, 2 / E::PER_LINE);
            add_column::<S, M>(simd, E::load(simd, lines, k), x, k, &mut even);
            add_column::<S, M>(simd, E::load(simd, lines, k + 1), x, k + 1, &mut odd);
        }
        if n_cols % 2 == 1 {
            add_column::<S, M>(simd, E::load(simd, lines, n_cols - 1), x, n_cols - 1, &mut even);
        }
        for (m, (even, odd)) in even.into_iter().zip(odd).enumerate() {
            let sum = simd.add(even, odd);
            // SAFETY: this thread alone computes this block, so nobody else touches these columns of the output.
            unsafe { store_block(simd, sum, self.out, [row + m, block, self.weights.n_rows()]) };
        }
        M
    }
}

#[inline(always)]
fn add_column<S: Simd, const M: usize>(simd: S, w: S::F, x: [&[f32]; M], k: usize, sums: &mut [S::F; M]) {
    for m in 0..M {
        sums[m] = simd.fma(w, simd.splat(x[m][k]), sums[m]);
    }
}
