//! Sixteen lanes of 32 bits: the vocabulary in which every kernel is written.
//!
//! [`Portable`] is the definition: plain loops over arrays. The other implementations execute the same operation on
//! every lane with the same rounding, so that a kernel gives the same bits on all of them; the tests of this module
//! compare them operation by operation.
//!
//! A value of a type that implements [`Simd`] is a token: it exists only where its instruction set was detected,
//! which is what makes the methods safe to call.

#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
pub(super) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(super) mod avx512;
mod portable;

#[cfg(test)]
mod tests;

use half::f16;
pub(super) use portable::Portable;

/// Lanes of a vector.
pub(super) const LANES: usize = 16;

/// 64 bytes that lie on a 64-byte boundary: 16 dwords, one per lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(64))]
pub(super) struct Line(pub [u8; 64]);

impl Line {
    pub(super) const ZERO: Line = Line([0; 64]);

    /// The line as two vectors of sixteen half-precision numbers.
    #[inline(always)]
    pub(super) fn halves(&self) -> &[[f16; LANES]; 2] {
        // SAFETY: both types are 64 bytes, `Line` has the larger alignment, and every bit pattern is an `f16`.
        unsafe { &*std::ptr::from_ref(self).cast() }
    }

    /// As [`Line::halves`], to be written.
    #[inline(always)]
    pub(super) fn halves_mut(&mut self) -> &mut [[f16; LANES]; 2] {
        // SAFETY: as for `halves`; and every `f16` is 2 bytes that are valid in a `Line`.
        unsafe { &mut *std::ptr::from_mut(self).cast() }
    }

    /// The line as four vectors of sixteen bytes.
    #[inline(always)]
    pub(super) fn quarters(&self) -> &[[i8; LANES]; 4] {
        // SAFETY: both types are 64 bytes without padding, and every bit pattern is an `i8`.
        unsafe { &*std::ptr::from_ref(self).cast() }
    }

    /// The line as sixteen numbers.
    #[inline(always)]
    pub(super) fn floats(&self) -> &[f32; LANES] {
        // SAFETY: both types are 64 bytes, `Line` has the larger alignment, and every bit pattern is an `f32`.
        unsafe { &*std::ptr::from_ref(self).cast() }
    }
}

/// Operations on sixteen lanes of `f32` (`F`) or of `i32`, seen also as 64 bytes (`I`).
///
/// All roundings are to nearest, ties to even.
pub(super) trait Simd: Copy + Send + Sync {
    type F: Copy;
    type I: Copy;
    /// Rows of activations that the registers of this instruction set hold at once in a matrix product.
    const MAX_ROWS: usize;
    /// Vectors that the registers hold at once.
    const N_VECTORS: usize;
    /// Whether products in pairs may be faster than others, as where one instruction is a [`Simd::dot_bytes`].
    const PAIRS: bool = false;

    fn splat(self, x: f32) -> Self::F;
    fn load(self, x: &[f32; LANES]) -> Self::F;
    fn store(self, x: Self::F, to: &mut [f32; LANES]);
    fn load_f16(self, x: &[f16; LANES]) -> Self::F;
    /// Sixteen numbers in bfloat16, held as if they were `f16`.
    fn load_bf16(self, x: &[f16; LANES]) -> Self::F;
    fn store_f16(self, x: Self::F, to: &mut [f16; LANES]);
    /// Rounds to bfloat16, held as if it were `f16`; a NaN stays one.
    fn store_bf16(self, x: Self::F, to: &mut [f16; LANES]);
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a * b + c`, rounded once.
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// `a` where `a > b`, else `b`.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a` where `a < b`, else `b`.
    fn min(self, a: Self::F, b: Self::F) -> Self::F;
    /// 0 where `x < limit`, else `y`.
    fn zero_below(self, x: Self::F, limit: f32, y: Self::F) -> Self::F;
    /// The nearest integers; lanes outside the range of `i32` are unspecified.
    fn to_int(self, x: Self::F) -> Self::I;
    /// The integers as floating-point numbers.
    fn floats(self, x: Self::I) -> Self::F;
    fn bits(self, x: Self::F) -> Self::I;
    /// The inverse of `bits`.
    fn of_bits(self, x: Self::I) -> Self::F;

    fn splat_int(self, x: i32) -> Self::I;
    fn load_line(self, x: &Line) -> Self::I;
    fn store_line(self, x: Self::I, to: &mut Line);
    fn load_bytes(self, x: &[i8; LANES]) -> Self::I;
    fn store_int(self, x: Self::I, to: &mut [i32; LANES]);
    /// Lane `j` of vector `i` becomes lane `i` of vector `j`.
    fn transpose(self, x: &mut [Self::I; LANES]);
    fn and(self, a: Self::I, b: Self::I) -> Self::I;
    fn or(self, a: Self::I, b: Self::I) -> Self::I;
    /// Shifts to the left by `n` bits, a constant once the caller is unrolled.
    fn shl(self, a: Self::I, n: u32) -> Self::I;
    /// Shifts to the right by `n` bits, filling with zeros.
    fn shr(self, a: Self::I, n: u32) -> Self::I;
    /// Every byte of `x`, which is below 16, replaced by that entry of `table`.
    fn look_up(self, table: &[u8; 16], x: Self::I) -> Self::I;
    fn add_int(self, a: Self::I, b: Self::I) -> Self::I;
    fn sub_int(self, a: Self::I, b: Self::I) -> Self::I;
    /// Adds byte by byte, modulo 256.
    fn add_bytes(self, a: Self::I, b: Self::I) -> Self::I;
    fn max_int(self, a: Self::I, b: Self::I) -> Self::I;
    /// Per lane: `acc` plus the dot product of the lane's four unsigned bytes of `a` with its four signed bytes of `b`.
    fn dot_bytes(self, acc: Self::I, a: Self::I, b: Self::I) -> Self::I;

    /// [`Simd::dot_bytes`] of `w` with the same four bytes in every lane.
    ///
    /// `BITS` promises that every byte of `w` is below `1 << BITS`, and that no byte of `x` is -128.
    fn dot4<const BITS: u32>(self, acc: Self::I, w: Self::I, x: [i8; 4]) -> Self::I;

    /// Per row `m` of `x`: `acc[m]` plus [`Simd::dot4`] of every register of `w` with the row's four bytes of the same
    /// number, exactly.
    ///
    /// Row after row for every register: the chains of additions of the rows overlap.
    #[inline(always)]
    fn dot_rows<const BITS: u32, const M: usize>(
        self,
        acc: [Self::I; M],
        w: &[Self::I],
        x: [&[[i8; 4]]; M],
    ) -> [Self::I; M] {
        self.dot_rows_by_dot4::<BITS, M>(acc, w, x)
    }

    /// [`Simd::dot_rows`] as it is defined, where there is no faster way.
    #[inline(always)]
    fn dot_rows_by_dot4<const BITS: u32, const M: usize>(
        self,
        mut acc: [Self::I; M],
        w: &[Self::I],
        x: [&[[i8; 4]]; M],
    ) -> [Self::I; M] {
        for (j, quad) in w.iter().enumerate() {
            for m in 0..M {
                acc[m] = self.dot4::<BITS>(acc[m], *quad, x[m][j]);
            }
        }
        acc
    }

    /// The same four bytes in every lane.
    #[inline(always)]
    fn splat_bytes(self, x: [i8; 4]) -> Self::I {
        self.splat_int(i32::from_le_bytes([x[0] as u8, x[1] as u8, x[2] as u8, x[3] as u8]))
    }

    /// Starts to fetch `lines[first..first + n]` and whatever follows `lines` in memory into the caches.
    #[inline(always)]
    fn prefetch(self, lines: &[Line], first: usize, n: usize) {
        for i in first..first + n {
            self.fetch(lines.as_ptr().wrapping_add(i));
        }
    }

    /// Starts to fetch the line of memory that `address` lies in, if there is one.
    #[inline(always)]
    fn fetch<T>(self, address: *const T) {
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: a prefetch is a hint: it accesses nothing, wherever the address points.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = address;
    }

    /// The sum of all lanes, pairing lane `i` with lane `i + 8`, then `i + 4`, `i + 2`, `i + 1`.
    #[inline(always)]
    fn sum(self, x: Self::F) -> f32 {
        let mut lanes = [0.0; LANES];
        self.store(x, &mut lanes);
        let mut width = LANES / 2;
        while width > 0 {
            for i in 0..width {
                lanes[i] += lanes[i + width];
            }
            width /= 2;
        }
        lanes[0]
    }

    /// The largest lane.
    #[inline(always)]
    fn largest(self, x: Self::F) -> f32 {
        let mut lanes = [0.0; LANES];
        self.store(x, &mut lanes);
        let mut width = LANES / 2;
        while width > 0 {
            for i in 0..width {
                lanes[i] = if lanes[i] > lanes[i + width] { lanes[i] } else { lanes[i + width] };
            }
            width /= 2;
        }
        lanes[0]
    }

    /// The largest lane of non-negative integers.
    #[inline(always)]
    fn largest_int(self, x: Self::I) -> i32 {
        let mut lanes = [0; LANES];
        self.store_int(x, &mut lanes);
        lanes.into_iter().fold(0, i32::max)
    }

    /// `e^x`, within 2 units in the last place; exactly 0 below -87, 2^127·e^0.69 at most.
    ///
    /// Source: Cephes' `expf`: `x = n·ln 2 + r` with ln 2 in two parts, a polynomial in `r`, `n` added to the exponent.
    #[inline(always)]
    fn exp(self, x: Self::F) -> Self::F {
        const LOWEST: f32 = -87.0;
        const HIGHEST: f32 = 88.37;
        const LN2_HIGH: f32 = 0.693_359_4;
        const LN2_LOW: f32 = -2.121_944_4e-4;
        const TERMS: [f32; 6] = [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 0.166_666_65, 0.5];
        // The constants come first so that a NaN stays one.
        let inside = self.min(self.splat(HIGHEST), self.max(self.splat(LOWEST), x));
        let n = self.to_int(self.mul(inside, self.splat(std::f32::consts::LOG2_E)));
        let whole = self.floats(n);
        let r = self.fma(whole, self.splat(-LN2_HIGH), inside);
        let r = self.fma(whole, self.splat(-LN2_LOW), r);
        let mut poly = self.splat(TERMS[0]);
        for term in &TERMS[1..] {
            poly = self.fma(poly, r, self.splat(*term));
        }
        let poly = self.fma(poly, self.mul(r, r), self.add(r, self.splat(1.0)));
        let power = self.of_bits(self.shl(self.add_int(n, self.splat_int(127)), 23));
        self.zero_below(x, LOWEST, self.mul(poly, power))
    }

    /// `1 / (1 + e^-x)`.
    #[inline(always)]
    fn sigmoid(self, x: Self::F) -> Self::F {
        let one = self.splat(1.0);
        self.div(one, self.add(one, self.exp(self.sub(self.splat(0.0), x))))
    }

    /// Hyperbolic tangent, as `2·sigmoid(2x) - 1`: absolute error below 3e-7.
    #[inline(always)]
    fn tanh(self, x: Self::F) -> Self::F {
        let two = self.splat(2.0);
        self.fma(two, self.sigmoid(self.mul(two, x)), self.splat(-1.0))
    }
}
