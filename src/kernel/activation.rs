//! Activations as 8-bit integers: the right-hand side of every product with quantized weights.
//!
//! A row is cut into groups of 32 that share a scale; a value is `scale·code` with a code from -127 to 127. The sums of
//! the codes are kept beside them, because a weight's offset or minimum multiplies only the sum. With 16 bits a row has
//! two terms: what the first one rounds away is quantized again, as a row of its own, and the two products are added.
//! Invariant: a row's groups depend on that row alone.

#![allow(unsafe_code)]

use super::isa::{Isa, Kernel, isa, run};
use super::simd::{LANES, Simd};
use super::threads::Threads;
use crate::types::Precision;
use std::mem::MaybeUninit;

/// Values that share a scale.
pub(super) const GROUP: usize = 32;

/// 32 activations.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
pub(super) struct Group {
    pub codes: [[i8; 4]; GROUP / 4],
    pub scale: f32,
    /// Negated sums of the codes: of the first 16, of the last 16, of all.
    pub minus_sums: [i32; 3],
    /// The same sums of what the codes stand for: each times the scale.
    pub minus_values: [f32; 3],
}

impl Group {
    const ZERO: Group = Group { codes: [[0; 4]; GROUP / 4], scale: 0.0, minus_sums: [0; 3], minus_values: [0.0; 3] };
}

/// Rows of activations, quantized once for every matrix that they are multiplied with.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantizedRows {
    n_rows: usize,
    n_cols: usize,
    terms_per_row: usize,
    /// The first terms of all rows, then the second ones if there are any.
    groups: Vec<Group>,
}

impl QuantizedRows {
    /// Quantizes `x`, `[n_rows, n_cols]`.
    ///
    /// A group that holds a NaN or an infinity becomes NaN as a whole.
    ///
    /// # Panics
    /// If `n_cols` is not a multiple of 32 or `x` is not of that shape.
    pub fn quantize(x: &[f32], n_rows: usize, n_cols: usize, precision: Precision, threads: &Threads) -> Self {
        let mut rows = Self::quantize_on(isa(), x, [n_rows, n_cols], threads);
        if precision == Precision::Bits16 {
            let rest = Self::quantize_on(isa(), &rows.rest(x), [n_rows, n_cols], threads);
            rows.groups.extend(rest.groups);
            rows.terms_per_row = 2;
        }
        rows
    }

    /// What rounding took away from `x`.
    fn rest(&self, x: &[f32]) -> Vec<f32> {
        let mut rest = x.to_vec();
        for (group, rest) in self.groups.iter().zip(rest.as_chunks_mut::<GROUP>().0) {
            for (code, rest) in group.codes.as_flattened().iter().zip(rest) {
                *rest -= group.scale * f32::from(*code);
            }
        }
        rest
    }

    pub(super) fn quantize_on(isa: Isa, x: &[f32], [n_rows, n_cols]: [usize; 2], threads: &Threads) -> Self {
        /// Groups that are worth a fork: about 4 µs of work.
        const CHUNK: usize = 256;
        assert!(n_cols.is_multiple_of(GROUP), "{n_cols} columns are not a multiple of {GROUP}");
        assert_eq!(x.len(), n_rows * n_cols, "activations do not have the shape [{n_rows}, {n_cols}]");
        let quantize = |i: usize, groups: &mut [MaybeUninit<Group>]| {
            let x = &x[i * CHUNK * GROUP..][..groups.len() * GROUP];
            run(isa, Quantize { x: x.as_chunks().0, groups });
        };
        // SAFETY: `x` has as many groups as are written.
        let groups = unsafe { threads.collect_chunks(x.len() / GROUP, CHUNK, quantize) };
        Self { n_rows, n_cols, terms_per_row: 1, groups }
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Activations of one row.
    pub fn n_cols(&self) -> usize {
        self.n_cols
    }

    /// Rows of codes: each row once per term.
    pub(super) fn n_terms(&self) -> usize {
        self.n_rows * self.terms_per_row
    }

    pub(super) fn row(&self, row: usize) -> &[Group] {
        let n = self.n_cols / GROUP;
        &self.groups[row * n..(row + 1) * n]
    }
}

struct Quantize<'a> {
    x: &'a [[f32; GROUP]],
    /// As many, all of which are written.
    groups: &'a mut [MaybeUninit<Group>],
}

impl Kernel for Quantize<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for (x, group) in self.x.iter().zip(self.groups) {
            group.write(quantize_group(simd, x));
        }
    }
}

#[inline(always)]
fn quantize_group<S: Simd>(simd: S, x: &[f32; GROUP]) -> Group {
    let (halves, _) = x.as_chunks::<LANES>();
    let (a, b) = (simd.load(&halves[0]), simd.load(&halves[1]));
    // Magnitudes are compared as integers: the order is the same, and an infinity or a NaN comes out on top.
    let magnitude = simd.splat_int(0x7fff_ffff);
    let largest = simd.max_int(simd.and(simd.bits(a), magnitude), simd.and(simd.bits(b), magnitude));
    let largest = f32::from_bits(simd.largest_int(largest) as u32);
    if !largest.is_finite() {
        return Group { scale: f32::NAN, minus_values: [f32::NAN; 3], ..Group::ZERO };
    }
    // Below this, `127 / largest` would overflow; such a group is zero for every purpose.
    if largest < 1e-36 {
        return Group::ZERO;
    }
    let (scale, inverse) = (largest / 127.0, simd.splat(127.0 / largest));
    // One by one, not by `map`: closures given to it are not always compiled for this instruction set.
    let (first, last) = (simd.to_int(simd.mul(a, inverse)), simd.to_int(simd.mul(b, inverse)));
    let mut codes = [[0; LANES]; 2];
    simd.store_low_bytes(first, &mut codes[0]);
    simd.store_low_bytes(last, &mut codes[1]);
    // Sums of codes are exact as floating-point numbers too.
    let (first, last) = (-simd.sum(simd.floats(first)), -simd.sum(simd.floats(last)));
    let all = first + last;
    let mut group = Group {
        scale,
        minus_sums: [first as i32, last as i32, all as i32],
        minus_values: [scale * first, scale * last, scale * all],
        ..Group::ZERO
    };
    group.codes.copy_from_slice(codes.as_flattened().as_chunks::<4>().0);
    group
}
