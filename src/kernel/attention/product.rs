//! The matrix product of both halves of attention: `q·K` and `p·V`, with keys or values read once for several rows.
//!
//! Invariant: an element of the result is a chain of fused multiply-adds in the order of its terms, however many rows
//! and columns are computed beside it.

use crate::kernel::simd::{LANES, Simd};
use half::f16;
use std::ops::Range;

/// Rows computed together at most: more would only wait for registers.
const MAX_ROWS: usize = 8;

/// A matrix of numbers in half precision, `[terms][n_vectors]`.
#[derive(Clone, Copy)]
pub(super) struct Halves<'a> {
    pub vectors: &'a [[f16; LANES]],
    pub n_vectors: usize,
    /// As much memory that is read soon: blocks lie anywhere, which CPUs do not foresee.
    pub soon: *const [f16; LANES],
}

/// A matrix whose row `r` starts at vector `r * stride`.
pub(super) struct Sums<'a> {
    pub vectors: &'a mut [[f32; LANES]],
    pub stride: usize,
}

/// Adds `a(row)·b` to row `row` of `sums`, for all `rows`.
///
/// # Shapes
/// - `a(row)`: at least as many numbers as `b` has terms
/// - `b`: `[terms][n_vectors]`
/// - `sums`: `[row][n_vectors]`; what stands behind `n_vectors` in a row is left alone
#[inline(always)]
pub(super) fn add_product<'a, S: Simd>(
    simd: S,
    rows: Range<usize>,
    a: impl Fn(usize) -> &'a [f32],
    b: Halves<'_>,
    sums: &mut Sums<'_>,
) {
    let mut row = rows.start;
    while row < rows.end {
        // Once is enough: the other rows ask for what they read themselves.
        let b = Halves { soon: if row == rows.start { b.soon } else { b.vectors.as_ptr() }, ..b };
        row += match rows_at_once::<S>(rows.end - row) {
            8 if limit::<S>() >= 8 => add_rows::<S, 8>(simd, row, &a, b, sums),
            7 if limit::<S>() >= 7 => add_rows::<S, 7>(simd, row, &a, b, sums),
            6 => add_rows::<S, 6>(simd, row, &a, b, sums),
            5 => add_rows::<S, 5>(simd, row, &a, b, sums),
            4 => add_rows::<S, 4>(simd, row, &a, b, sums),
            3 => add_rows::<S, 3>(simd, row, &a, b, sums),
            2 => add_rows::<S, 2>(simd, row, &a, b, sums),
            _ => add_rows::<S, 1>(simd, row, &a, b, sums),
        };
    }
}

/// Rows that the registers hold beside a vector of `b` and an element of `a`.
const fn limit<S: Simd>() -> usize {
    if S::N_VECTORS - 2 < MAX_ROWS { S::N_VECTORS - 2 } else { MAX_ROWS }
}

/// How many of the rows that are left are computed together: about as many as the next time.
#[inline(always)]
fn rows_at_once<S: Simd>(left: usize) -> usize {
    left.div_ceil(left.div_ceil(limit::<S>()))
}

/// Adds to `M` rows and returns `M`.
#[inline(always)]
fn add_rows<'a, S: Simd, const M: usize>(
    simd: S,
    row: usize,
    a: impl Fn(usize) -> &'a [f32],
    b: Halves<'_>,
    sums: &mut Sums<'_>,
) -> usize {
    let a: [&[f32]; M] = std::array::from_fn(|m| a(row + m));
    let mut at = 0;
    while at < b.n_vectors {
        at += if S::N_VECTORS > 2 * M + 2 && b.n_vectors - at >= 2 {
            add_vectors::<S, M, 2>(simd, a, b, (row, at), sums)
        } else {
            add_vectors::<S, M, 1>(simd, a, b, (row, at), sums)
        };
    }
    M
}

/// Adds to `V` vectors of `M` rows and returns `V`. `(row, at)`: first row, first vector.
#[inline(always)]
fn add_vectors<S: Simd, const M: usize, const V: usize>(
    simd: S,
    a: [&[f32]; M],
    b: Halves<'_>,
    (row, at): (usize, usize),
    sums: &mut Sums<'_>,
) -> usize {
    let n_terms = b.vectors.len() / b.n_vectors;
    // So the loop below needs no checks.
    let a: [&[f32]; M] = std::array::from_fn(|m| &a[m][..n_terms]);
    let start = |m| (row + m) * sums.stride + at;
    let mut totals: [[S::F; V]; M] =
        std::array::from_fn(|m| std::array::from_fn(|v| simd.load(&sums.vectors[start(m) + v])));
    for (term, vectors) in (0..n_terms).zip(b.vectors.chunks_exact(b.n_vectors)) {
        simd.fetch(b.soon.wrapping_add(term * b.n_vectors + at));
        let b: [S::F; V] = std::array::from_fn(|v| simd.load_f16(&vectors[at + v]));
        for m in 0..M {
            let a = simd.splat(a[m][term]);
            for v in 0..V {
                totals[m][v] = simd.fma(a, b[v], totals[m][v]);
            }
        }
    }
    for (m, totals) in totals.into_iter().enumerate() {
        let start = (row + m) * sums.stride + at;
        for (total, to) in totals.into_iter().zip(&mut sums.vectors[start..]) {
            simd.store(total, to);
        }
    }
    V
}
