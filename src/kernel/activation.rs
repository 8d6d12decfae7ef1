//! Activations as 8-bit integers: the right-hand side of every product with quantized weights.
//!
//! A row is cut into groups of 32 that share a scale; a value is `scale·code` with a code from -127 to 96: a code plus a
//! weight of up to 5 bits is then still a byte, which products in pairs need (see [`super::pairs`]). The sign of the
//! scale lets the value of the largest magnitude have the codes down to -127, so that a group with an outlier is as
//! fine as with codes from -127 to 127; where values are normally distributed the error is a twelfth larger.
//!
//! The sums of the codes are kept beside them, because a weight's offset or minimum multiplies only the sum, and so is
//! what products in pairs take off. With 16 bits a row has two terms: what the first one rounds away is quantized again,
//! as a row of its own, and the two products are added.
//! Invariant: a row's groups depend on that row alone.
//!
//! Rows lie in *strips* of eight, the last one maybe of fewer: the same group of all rows of a strip side by side, then
//! the next group. So a product that takes a strip at a time reads one stream.

#![allow(unsafe_code)]

use super::isa::{Isa, Kernel, isa, run};
use super::simd::{LANES, Simd};
use super::threads::Threads;
use crate::types::Precision;
use std::mem::MaybeUninit;

/// Values that share a scale.
pub(super) const GROUP: usize = 32;

/// Rows of a strip.
pub(super) const STRIP: usize = 8;

/// The largest code, and the size of the least one.
const MOST: f32 = 96.0;
const LEAST: f32 = 127.0;

/// What makes a code plus a weight from -16 to 15 an unsigned byte, and a signed one.
pub(super) const BIAS: [i32; 2] = [144, 16];

const _: () = assert!(BIAS[0] == LEAST as i32 + 17 && BIAS[0] + MOST as i32 + 15 == 255 && BIAS[0] - BIAS[1] == 128);

/// Which of the sums of a group is that of all codes.
pub(super) const ALL: usize = 2;

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
    /// The negated sum of what the codes give in a product in pairs where all weights are zero.
    pub minus_pairs: i32,
}

impl Group {
    const ZERO: Group =
        Group { codes: [[0; 4]; GROUP / 4], scale: 0.0, minus_sums: [0; 3], minus_values: [0.0; 3], minus_pairs: 0 };
}

/// Rows of activations, quantized once for every matrix that they are multiplied with.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantizedRows {
    n_rows: usize,
    n_cols: usize,
    /// The first terms of all rows, then the second ones if there are any: so many rows of codes.
    n_terms: usize,
    /// Strip after strip.
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
        Self::quantize_on(isa(), x, [n_rows, n_cols], precision, threads)
    }

    pub(super) fn quantize_on(
        isa: Isa,
        x: &[f32],
        [n_rows, n_cols]: [usize; 2],
        precision: Precision,
        threads: &Threads,
    ) -> Self {
        /// Groups that are worth a fork: about 5 µs of work.
        const CHUNK: usize = 256;
        assert!(n_cols.is_multiple_of(GROUP), "{n_cols} columns are not a multiple of {GROUP}");
        assert_eq!(x.len(), n_rows * n_cols, "activations do not have the shape [{n_rows}, {n_cols}]");
        let n_terms = if precision == Precision::Bits16 { 2 * n_rows } else { n_rows };
        let (x, _) = x.as_chunks();
        let quantize = |i: usize, groups: &mut [MaybeUninit<Group>]| {
            run(isa, Quantize { x, n_rows, n_terms, first: i * CHUNK, groups });
        };
        // SAFETY: a quantization writes all of its groups.
        let groups = unsafe { threads.collect_chunks(n_terms * (n_cols / GROUP), CHUNK, quantize) };
        Self { n_rows, n_cols, n_terms, groups }
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
        self.n_terms
    }

    /// Number of strips, and of those that are full.
    pub(super) fn n_strips(&self) -> (usize, usize) {
        (self.n_terms.div_ceil(STRIP), self.n_terms / STRIP)
    }

    /// The `i`th strip: of the rows of codes from `i·STRIP` on.
    pub(super) fn strip(&self, i: usize) -> Strip<'_> {
        let n_groups = self.n_cols / GROUP;
        let rows = i * STRIP..((i + 1) * STRIP).min(self.n_terms);
        Strip { n_rows: rows.len(), n_groups, groups: &self.groups[rows.start * n_groups..rows.end * n_groups] }
    }
}

/// Up to eight rows of codes.
#[derive(Clone, Copy)]
pub(super) struct Strip<'a> {
    pub n_rows: usize,
    /// Groups of a row.
    pub n_groups: usize,
    /// `[n_groups, n_rows]`.
    groups: &'a [Group],
}

impl<'a> Strip<'a> {
    /// The `i`th group of `M` rows, from row `row` of the strip on.
    ///
    /// # Safety
    /// The strip has the rows and the group.
    #[inline(always)]
    pub unsafe fn get<const M: usize>(self, i: usize, row: usize) -> &'a [Group; M] {
        debug_assert!(i < self.n_groups && row + M <= self.n_rows);
        // SAFETY: the caller says that the group and the rows are there, and `groups` holds all of them.
        unsafe { &*self.groups.as_ptr().add(i * self.n_rows + row).cast() }
    }
}

struct Quantize<'a> {
    /// All rows.
    x: &'a [[f32; GROUP]],
    n_rows: usize,
    n_terms: usize,
    /// Where among all groups of the strips those of `groups` begin.
    first: usize,
    /// All of which are written.
    groups: &'a mut [MaybeUninit<Group>],
}

impl Kernel for Quantize<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let n_groups = self.x.len() / self.n_rows.max(1);
        let rows_of = |strip: usize| STRIP.min(self.n_terms - strip * STRIP);
        let per_strip = (STRIP * n_groups).max(1);
        let mut strip = self.first / per_strip;
        let mut n_rows = rows_of(strip);
        let (mut i, mut row) = (self.first % per_strip / n_rows, self.first % per_strip % n_rows);
        for group in self.groups {
            let term = strip * STRIP + row;
            let group = group.write(Group::ZERO);
            if term < self.n_rows {
                quantize_group(simd, &self.x[term * n_groups + i], group);
            } else {
                quantize_rest(simd, &self.x[(term - self.n_rows) * n_groups + i], group);
            }
            row += 1;
            if row == n_rows {
                (i, row) = (i + 1, 0);
            }
            if i == n_groups && strip * STRIP + n_rows < self.n_terms {
                (strip, i) = (strip + 1, 0);
                n_rows = rows_of(strip);
            }
        }
    }
}

/// The second term, into a group of zeros: what the first one takes away from `x`.
#[inline(always)]
fn quantize_rest<S: Simd>(simd: S, x: &[f32; GROUP], to: &mut Group) {
    let (mut first, mut rest) = (Group::ZERO, *x);
    quantize_group(simd, x, &mut first);
    for (code, rest) in first.codes.as_flattened().iter().zip(&mut rest) {
        *rest -= first.scale * f32::from(*code);
    }
    quantize_group(simd, &rest, to);
}

/// Quantizes `x` into a group of zeros, in place: what is stored in small pieces is slow to be read as a whole.
#[inline(always)]
fn quantize_group<S: Simd>(simd: S, x: &[f32; GROUP], to: &mut Group) {
    let (halves, _) = x.as_chunks::<LANES>();
    let (a, b) = (simd.load(&halves[0]), simd.load(&halves[1]));
    let (up, down) = (largest(simd, a, b, 0), largest(simd, a, b, i32::MIN));
    if !(up.is_finite() && down.is_finite()) {
        (to.scale, to.minus_values) = (f32::NAN, [f32::NAN; 3]);
        return;
    }
    // Below this, the inverse of the scale would overflow; such a group is zero for every purpose.
    if up.max(down) < 1e-36 {
        return;
    }
    // Without branches, which would go either way by chance.
    let (larger, smaller, sign) = (up.max(down), up.min(down), u32::from(up > down) << 31);
    let scale = (larger * (1.0 / LEAST)).max(smaller * (1.0 / MOST));
    let scale = f32::from_bits(scale.to_bits() | sign);
    let inverse = simd.splat(1.0 / scale);
    // One by one, not by `map`: closures given to it are not always compiled for this instruction set.
    let (first, last) = (simd.to_int(simd.mul(a, inverse)), simd.to_int(simd.mul(b, inverse)));
    let (codes, _) = to.codes.as_flattened_mut().as_chunks_mut();
    simd.store_low_bytes(first, &mut codes[0]);
    simd.store_low_bytes(last, &mut codes[1]);
    // Sums of codes and of their products are exact as floating-point numbers too, two sums of codes in one.
    const PLACE_LOG2: u32 = 12;
    let place = (1 << PLACE_LOG2) as f32;
    let (first, last) = (simd.floats(first), simd.floats(last));
    let (both, products) = (simd.sum(simd.fma(last, simd.splat(place), first)), simd.sum(simd.mul(first, last)));
    let last = (both as i32 + (1 << (PLACE_LOG2 - 1))) >> PLACE_LOG2;
    let first = both as i32 - (last << PLACE_LOG2);
    to.scale = scale;
    to.minus_sums = [-first, -last, -first - last];
    for (value, sum) in to.minus_values.iter_mut().zip(to.minus_sums) {
        *value = scale * sum as f32;
    }
    to.minus_pairs = -(products as i32) - BIAS[1] * first - BIAS[0] * last;
}

/// The largest value, or 0 if that is larger; with the bit of the sign to be `turned`, of the negated values. An infinity
/// or a NaN comes out on top.
#[inline(always)]
fn largest<S: Simd>(simd: S, a: S::F, b: S::F, turned: i32) -> f32 {
    let turned = simd.splat_int(turned);
    // The order of values that are not negative is that of their bits as integers.
    let largest = simd.max_int(simd.add_int(simd.bits(a), turned), simd.add_int(simd.bits(b), turned));
    f32::from_bits(simd.largest_int(largest).max(0) as u32)
}

const _: () = assert!(size_of::<Group>() == 64 && GROUP == 2 * LANES);
