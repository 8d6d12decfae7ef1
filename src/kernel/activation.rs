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

use super::format::QUADS;
use super::isa::{Isa, Kernel, isa, run};
use super::simd::{LANES, Simd};
use super::threads::Threads;
use crate::types::Precision;
use std::mem::MaybeUninit;

/// Values that share a scale.
pub(super) const GROUP: usize = 32;

/// Rows of a strip.
pub(super) const STRIP: usize = 8;

/// A quad of codes pairs with that of the other half of the group.
pub(super) const PAIRS: usize = QUADS / 2;

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
        /// Groups that are worth a fork: about 2 µs of work.
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
        for groups in self.groups.chunks_mut(LANES) {
            let mut batch = Batch { x: [&[0.0; GROUP]; LANES], second: [0.0; LANES] };
            for (x, second) in batch.x.iter_mut().zip(&mut batch.second).take(groups.len()) {
                let mut term = strip * STRIP + row;
                if term >= self.n_rows {
                    (term, *second) = (term - self.n_rows, 1.0);
                }
                *x = &self.x[term * n_groups + i];
                row += 1;
                if row == n_rows {
                    (i, row) = (i + 1, 0);
                }
                if i == n_groups && strip * STRIP + n_rows < self.n_terms {
                    (strip, i) = (strip + 1, 0);
                    n_rows = rows_of(strip);
                }
            }
            batch.quantize(simd, groups);
        }
    }
}

/// Sixteen groups, a lane each.
struct Batch<'a> {
    x: [&'a [f32; GROUP]; LANES],
    /// 1 where it is the second term that is wanted: what the first one takes away from `x`. Else 0.
    second: [f32; LANES],
}

impl Batch<'_> {
    /// Writes as many groups as there are in `to`.
    #[inline(always)]
    fn quantize<S: Simd>(self, simd: S, to: &mut [MaybeUninit<Group>]) {
        let mut columns = [simd.splat(0.0); GROUP];
        for (half, columns) in columns.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            let mut rows = [simd.splat_int(0); LANES];
            for (row, x) in rows.iter_mut().zip(self.x) {
                *row = simd.bits(simd.load(&x.as_chunks().0[half]));
            }
            simd.transpose(&mut rows);
            for (column, row) in columns.iter_mut().zip(rows) {
                *column = simd.of_bits(row);
            }
        }
        let mut scales = Scales::new(simd, &columns);
        if self.second.contains(&1.0) {
            let taken = simd.mul(scales.scale, simd.load(&self.second));
            for column in &mut columns {
                let code = simd.to_int(simd.mul(*column, scales.inverse));
                *column = simd.sub(*column, simd.mul(taken, simd.floats(code)));
            }
            scales = Scales::new(simd, &columns);
        }
        let mut largest = [0; LANES];
        simd.store_int(scales.largest, &mut largest);
        for ((group, own), largest) in to.iter_mut().zip(dwords(simd, &columns, &scales)).zip(largest) {
            let mut lanes = [0; LANES];
            simd.store_int(own, &mut lanes);
            // SAFETY: a group is sixteen dwords without padding, and whatever they are, they are one.
            group.write(unsafe { std::mem::transmute::<[i32; LANES], Group>(lanes) });
            if !f32::from_bits(largest as u32).is_finite() {
                group.write(Group { scale: f32::NAN, minus_values: [f32::NAN; 3], ..Group::ZERO });
            }
        }
    }
}

/// The scale of every lane's group, its inverse, and the bits of its largest magnitude.
struct Scales<S: Simd> {
    scale: S::F,
    inverse: S::F,
    largest: S::I,
}

impl<S: Simd> Scales<S> {
    #[inline(always)]
    fn new(simd: S, columns: &[S::F; GROUP]) -> Self {
        /// Below this, the inverse of the scale would overflow; such a group is zero for every purpose.
        const LEAST_MAGNITUDE: f32 = 1e-36;
        let sign = simd.splat_int(i32::MIN);
        // Upwards and downwards. The order of values that are not negative is that of their bits as integers; an
        // infinity or a NaN comes out on top.
        let (mut up, mut down) = (simd.splat_int(0), simd.splat_int(0));
        for column in columns {
            let bits = simd.bits(*column);
            (up, down) = (simd.max_int(up, bits), simd.max_int(down, simd.add_int(bits, sign)));
        }
        let largest = simd.max_int(up, down);
        let (larger, smaller) = (simd.of_bits(largest), simd.min(simd.of_bits(up), simd.of_bits(down)));
        let size = simd.max(simd.mul(larger, simd.splat(1.0 / LEAST)), simd.mul(smaller, simd.splat(1.0 / MOST)));
        // Negative where the larger one is upwards.
        let scale = simd.of_bits(simd.or(simd.bits(size), simd.and(simd.sub_int(down, up), sign)));
        let inverse = simd.div(simd.splat(1.0), scale);
        Self {
            scale: simd.zero_below(larger, LEAST_MAGNITUDE, scale),
            inverse: simd.zero_below(larger, LEAST_MAGNITUDE, inverse),
            largest,
        }
    }
}

/// The sixteen dwords of every lane's [`Group`], a group in each vector; garbage where it is not finite.
#[inline(always)]
fn dwords<S: Simd>(simd: S, columns: &[S::F; GROUP], scales: &Scales<S>) -> [S::I; LANES] {
    let zero = simd.splat_int(0);
    let (mut dwords, mut sums, mut products) = ([zero; LANES], [zero; 2], zero);
    for (q, quad) in columns.as_chunks::<4>().0.iter().enumerate() {
        for (j, column) in quad.iter().enumerate() {
            let code = simd.to_int(simd.mul(*column, scales.inverse));
            dwords[q] = simd.or(dwords[q], simd.shl(simd.and(code, simd.splat_int(0xff)), 8 * j as u32));
        }
        sums[q / PAIRS] = simd.dot_bytes(sums[q / PAIRS], simd.splat_bytes([1; 4]), dwords[q]);
        if q >= PAIRS {
            let unsigned = simd.add_bytes(dwords[q - PAIRS], simd.splat_bytes([-128; 4]));
            products = simd.dot_bytes(products, unsigned, dwords[q]);
        }
    }
    dwords[QUADS] = simd.bits(scales.scale);
    let [first, last] = [simd.sub_int(zero, sums[0]), simd.sub_int(zero, sums[1])];
    for (i, sum) in [first, last, simd.add_int(first, last)].into_iter().enumerate() {
        dwords[QUADS + 1 + i] = sum;
        dwords[QUADS + 4 + i] = simd.bits(simd.mul(scales.scale, simd.floats(sum)));
    }
    // The products hold 128 times the last codes, which leaves of both biases the smaller one.
    dwords[QUADS + 7] = simd.sub_int(simd.shl(dwords[QUADS + 1 + ALL], BIAS[1].ilog2()), products);
    simd.transpose(&mut dwords);
    dwords
}

const _: () = assert!(size_of::<Group>() == 64 && GROUP == 2 * LANES && BIAS[1].count_ones() == 1);
