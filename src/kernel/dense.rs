//! Products with weights in `F32`, `F16` or `BF16`: full activations, single-precision sums.
//!
//! Even and odd columns are summed apart, in order, and added at the end; every step is one fused multiply-add. As with
//! quantized weights, an output element's operations depend on its two rows alone.

#![allow(unsafe_code)]

use super::isa::Kernel;
use super::matmul::store_block;
use super::packed::Packed;
use super::simd::{Line, Simd};
use super::threads::SharedMut;
use crate::types::Dtype;
use std::ops::Range;

/// The rows of some blocks, for all rows of activations.
pub(super) struct DenseProduct<'a> {
    pub weights: &'a Packed,
    /// `[m, n_cols]`
    pub x: &'a [f32],
    pub blocks: Range<usize>,
    pub out: &'a SharedMut<'a, f32>,
}

impl Kernel for DenseProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        match self.weights.dtype() {
            Dtype::F32 => self.with_load(simd, |line, _| simd.load(line.floats()), 1),
            Dtype::F16 => self.with_load(simd, |line, i| simd.load_f16(&line.halves()[i]), 2),
            _ => self.with_load(simd, |line, i| simd.load_bf16(&line.halves()[i]), 2),
        }
    }
}

impl DenseProduct<'_> {
    /// `per_line`: columns in a line.
    #[inline(always)]
    fn with_load<S: Simd>(&self, simd: S, load: impl Fn(&Line, usize) -> S::F + Copy, per_line: usize) {
        let n_cols = self.weights.n_cols();
        let m = self.x.len() / n_cols.max(1);
        for block in self.blocks.clone() {
            let mut row = 0;
            while row < m {
                row += if S::MAX_ROWS >= 8 && m - row >= 8 {
                    self.tile::<S, 8>(simd, load, per_line, [row, block])
                } else if S::MAX_ROWS >= 4 && m - row >= 2 {
                    self.tile::<S, 2>(simd, load, per_line, [row, block])
                } else {
                    self.tile::<S, 1>(simd, load, per_line, [row, block])
                };
            }
        }
    }

    /// Computes `M` rows of activations against one block, `at = [row, block]`; returns `M`.
    #[inline(always)]
    fn tile<S: Simd, const M: usize>(
        &self,
        simd: S,
        load: impl Fn(&Line, usize) -> S::F,
        per_line: usize,
        at: [usize; 2],
    ) -> usize {
        let [row, block] = at;
        let lines = self.weights.block(block);
        let n_cols = self.weights.n_cols();
        let x: [&[f32]; M] = std::array::from_fn(|m| &self.x[(row + m) * n_cols..(row + m + 1) * n_cols]);
        let mut sums = [[simd.splat(0.0); M]; 2];
        let column = |k: usize, sums: &mut [S::F; M]| {
            let w = load(&lines[k / per_line], k % per_line);
            for m in 0..M {
                sums[m] = simd.fma(w, simd.splat(x[m][k]), sums[m]);
            }
        };
        for k in (0..n_cols / 2).map(|k| 2 * k) {
            column(k, &mut sums[0]);
            column(k + 1, &mut sums[1]);
        }
        if n_cols % 2 == 1 {
            column(n_cols - 1, &mut sums[0]);
        }
        for m in 0..M {
            let sum = simd.add(sums[0][m], sums[1][m]);
            // SAFETY: this thread alone computes this block, so nobody else touches these columns of the output.
            unsafe { store_block(simd, sum, self.out, [row + m, block, self.weights.n_rows()]) };
        }
        M
    }
}
