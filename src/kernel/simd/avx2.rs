//! Lanes in two AVX2 registers: lanes 0 to 7 and 8 to 15.

#![allow(unsafe_code)]

use super::{LANES, Line, Simd};
use half::f16;
use std::arch::x86_64::*;

/// Proof that this CPU has AVX2, FMA and F16C.
#[derive(Debug, Clone, Copy)]
pub(in crate::kernel) struct Avx2(());

impl Avx2 {
    /// # Safety
    /// The CPU has AVX2, FMA and F16C.
    #[inline(always)]
    pub(in crate::kernel) unsafe fn new() -> Self {
        Self(())
    }
}

type F = (__m256, __m256);
type I = (__m256i, __m256i);

/// Runs intrinsics on behalf of the token.
macro_rules! avx2 {
    ($body:expr) => {{
        // SAFETY: `self` exists, so the CPU has the features; pointers come from references to arrays of the full
        // width, offsets stay inside them, and every load and store used is an unaligned one or of an aligned `Line`.
        unsafe { $body }
    }};
}

/// Applies a two-operand intrinsic to both halves.
macro_rules! halves {
    ($op:ident, $a:expr, $b:expr) => {
        avx2!(($op($a.0, $b.0), $op($a.1, $b.1)))
    };
}

impl Avx2 {
    /// One half of [`Simd::dot_bytes`] of `w`, whose bytes have `BITS` bits, and `quad`.
    #[inline(always)]
    fn dot4_half<const BITS: u32>(self, acc: __m256i, w: __m256i, quad: __m256i) -> __m256i {
        if BITS <= 7 {
            // A pair of products is at most 2·127·127 = 32258: the 16-bit sums do not saturate.
            return avx2!(_mm256_add_epi32(
                acc,
                _mm256_madd_epi16(_mm256_maddubs_epi16(w, quad), _mm256_set1_epi16(1))
            ));
        }
        // Full bytes would saturate: multiply even and odd bytes apart, as 16-bit numbers.
        avx2!({
            let even = _mm256_madd_epi16(
                _mm256_and_si256(w, _mm256_set1_epi16(0xff)),
                _mm256_srai_epi16::<8>(_mm256_slli_epi16::<8>(quad)),
            );
            let odd = _mm256_madd_epi16(_mm256_srli_epi16::<8>(w), _mm256_srai_epi16::<8>(quad));
            _mm256_add_epi32(acc, _mm256_add_epi32(even, odd))
        })
    }
}

impl Avx2 {
    /// [`Simd::transpose`] of eight vectors of eight lanes.
    #[inline(always)]
    fn transpose_eight(self, x: &mut [__m256i; 8]) {
        // First the dwords of four vectors, within 128-bit halves; then the halves of twice four.
        let mut quads = *x;
        for (x, quads) in x.as_chunks::<4>().0.iter().zip(quads.as_chunks_mut::<4>().0) {
            avx2!({
                let (low, high) = (_mm256_unpacklo_epi32(x[0], x[1]), _mm256_unpacklo_epi32(x[2], x[3]));
                (quads[0], quads[1]) = (_mm256_unpacklo_epi64(low, high), _mm256_unpackhi_epi64(low, high));
                let (low, high) = (_mm256_unpackhi_epi32(x[0], x[1]), _mm256_unpackhi_epi32(x[2], x[3]));
                (quads[2], quads[3]) = (_mm256_unpacklo_epi64(low, high), _mm256_unpackhi_epi64(low, high));
            });
        }
        for j in 0..4 {
            x[j] = avx2!(_mm256_permute2x128_si256::<0x20>(quads[j], quads[4 + j]));
            x[4 + j] = avx2!(_mm256_permute2x128_si256::<0x31>(quads[j], quads[4 + j]));
        }
    }
}

impl Avx2 {
    /// One half of [`Simd::dot_rows`], without what it starts from, for codes of at most 6 bits.
    #[inline(always)]
    fn half_rows<const BITS: u32, const M: usize>(
        self,
        w: impl Fn(usize) -> __m256i,
        n_quads: usize,
        x: [&[[i8; 4]]; M],
    ) -> [__m256i; M] {
        // A pair of products is at most 2·(2^BITS - 1)·127; so many of them stay below 2^15.
        let n_pairs = match BITS {
            4 => 8,
            5 => 4,
            _ => 2,
        };
        let ones = avx2!(_mm256_set1_epi16(1));
        let mut acc = [avx2!(_mm256_setzero_si256()); M];
        for first in (0..n_quads).step_by(n_pairs) {
            let mut sums = [avx2!(_mm256_setzero_si256()); M];
            for j in first..(first + n_pairs).min(n_quads) {
                let quad = w(j);
                for m in 0..M {
                    let pairs = avx2!(_mm256_maddubs_epi16(
                        quad,
                        _mm256_set1_epi32(i32::from_le_bytes(x[m][j].map(|x| x as u8)))
                    ));
                    sums[m] = if j == first { pairs } else { avx2!(_mm256_add_epi16(sums[m], pairs)) };
                }
            }
            for m in 0..M {
                let dots = avx2!(_mm256_madd_epi16(sums[m], ones));
                acc[m] = if first == 0 { dots } else { avx2!(_mm256_add_epi32(acc[m], dots)) };
            }
        }
        acc
    }

    /// One half of [`Simd::store_bf16`]: the rounded numbers in the low halves of the lanes.
    #[inline(always)]
    fn bf16_half(self, x: __m256) -> __m256i {
        avx2!({
            let bits = _mm256_castps_si256(x);
            let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), _mm256_set1_epi32(1));
            let nearest = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
            // Rounding would carry a NaN away: it is made quiet instead.
            let quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x0040_0000));
            let is_nan = _mm256_castps_si256(_mm256_cmp_ps::<_CMP_UNORD_Q>(x, x));
            _mm256_srli_epi32::<16>(_mm256_blendv_epi8(nearest, quiet, is_nan))
        })
    }
}

impl Simd for Avx2 {
    type F = F;
    type I = I;
    const MAX_ROWS: usize = 4;
    const N_VECTORS: usize = 8;

    #[inline(always)]
    fn splat(self, x: f32) -> F {
        avx2!((_mm256_set1_ps(x), _mm256_set1_ps(x)))
    }
    #[inline(always)]
    fn load(self, x: &[f32; LANES]) -> F {
        avx2!((_mm256_loadu_ps(x.as_ptr()), _mm256_loadu_ps(x.as_ptr().add(8))))
    }
    #[inline(always)]
    fn store(self, x: F, to: &mut [f32; LANES]) {
        avx2!({
            _mm256_storeu_ps(to.as_mut_ptr(), x.0);
            _mm256_storeu_ps(to.as_mut_ptr().add(8), x.1);
        })
    }
    #[inline(always)]
    fn load_f16(self, x: &[f16; LANES]) -> F {
        let from: *const __m128i = x.as_ptr().cast();
        avx2!((_mm256_cvtph_ps(_mm_loadu_si128(from)), _mm256_cvtph_ps(_mm_loadu_si128(from.add(1)))))
    }
    #[inline(always)]
    fn load_bf16(self, x: &[f16; LANES]) -> F {
        let from: *const __m128i = x.as_ptr().cast();
        avx2!({
            let low = _mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(_mm_loadu_si128(from)));
            let high = _mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(_mm_loadu_si128(from.add(1))));
            (_mm256_castsi256_ps(low), _mm256_castsi256_ps(high))
        })
    }
    #[inline(always)]
    fn store_f16(self, x: F, to: &mut [f16; LANES]) {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT;
        let to: *mut __m128i = to.as_mut_ptr().cast();
        avx2!({
            _mm_storeu_si128(to, _mm256_cvtps_ph::<NEAREST>(x.0));
            _mm_storeu_si128(to.add(1), _mm256_cvtps_ph::<NEAREST>(x.1));
        })
    }
    #[inline(always)]
    fn store_bf16(self, x: F, to: &mut [f16; LANES]) {
        let (low, high) = (self.bf16_half(x.0), self.bf16_half(x.1));
        avx2!({
            // Packing works within 128-bit halves: the permutation puts the 64-bit quarters back in order.
            let words = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packus_epi32(low, high));
            _mm256_storeu_si256(to.as_mut_ptr().cast(), words);
        })
    }
    #[inline(always)]
    fn add(self, a: F, b: F) -> F {
        halves!(_mm256_add_ps, a, b)
    }
    #[inline(always)]
    fn sub(self, a: F, b: F) -> F {
        halves!(_mm256_sub_ps, a, b)
    }
    #[inline(always)]
    fn mul(self, a: F, b: F) -> F {
        halves!(_mm256_mul_ps, a, b)
    }
    #[inline(always)]
    fn div(self, a: F, b: F) -> F {
        halves!(_mm256_div_ps, a, b)
    }
    #[inline(always)]
    fn fma(self, a: F, b: F, c: F) -> F {
        avx2!((_mm256_fmadd_ps(a.0, b.0, c.0), _mm256_fmadd_ps(a.1, b.1, c.1)))
    }
    #[inline(always)]
    fn max(self, a: F, b: F) -> F {
        halves!(_mm256_max_ps, a, b)
    }
    #[inline(always)]
    fn min(self, a: F, b: F) -> F {
        halves!(_mm256_min_ps, a, b)
    }
    #[inline(always)]
    fn zero_below(self, x: F, limit: f32, y: F) -> F {
        avx2!({
            let limit = _mm256_set1_ps(limit);
            let low = _mm256_cmp_ps::<_CMP_NLT_UQ>(x.0, limit);
            let high = _mm256_cmp_ps::<_CMP_NLT_UQ>(x.1, limit);
            (_mm256_and_ps(low, y.0), _mm256_and_ps(high, y.1))
        })
    }
    #[inline(always)]
    fn to_int(self, x: F) -> I {
        avx2!((_mm256_cvtps_epi32(x.0), _mm256_cvtps_epi32(x.1)))
    }
    #[inline(always)]
    fn floats(self, x: I) -> F {
        avx2!((_mm256_cvtepi32_ps(x.0), _mm256_cvtepi32_ps(x.1)))
    }
    #[inline(always)]
    fn bits(self, x: F) -> I {
        avx2!((_mm256_castps_si256(x.0), _mm256_castps_si256(x.1)))
    }
    #[inline(always)]
    fn of_bits(self, x: I) -> F {
        avx2!((_mm256_castsi256_ps(x.0), _mm256_castsi256_ps(x.1)))
    }
    #[inline(always)]
    fn splat_int(self, x: i32) -> I {
        avx2!((_mm256_set1_epi32(x), _mm256_set1_epi32(x)))
    }
    #[inline(always)]
    fn load_line(self, x: &Line) -> I {
        let from: *const __m256i = x.0.as_ptr().cast();
        avx2!((_mm256_load_si256(from), _mm256_load_si256(from.add(1))))
    }
    #[inline(always)]
    fn store_line(self, x: I, to: &mut Line) {
        let to: *mut __m256i = to.0.as_mut_ptr().cast();
        avx2!({
            _mm256_store_si256(to, x.0);
            _mm256_store_si256(to.add(1), x.1);
        })
    }
    #[inline(always)]
    fn load_bytes(self, x: &[i8; LANES]) -> I {
        let bytes = avx2!(_mm_loadu_si128(x.as_ptr().cast()));
        avx2!((_mm256_cvtepi8_epi32(bytes), _mm256_cvtepi8_epi32(_mm_srli_si128::<8>(bytes))))
    }
    #[inline(always)]
    fn store_int(self, x: I, to: &mut [i32; LANES]) {
        let to: *mut __m256i = to.as_mut_ptr().cast();
        avx2!({
            _mm256_storeu_si256(to, x.0);
            _mm256_storeu_si256(to.add(1), x.1);
        })
    }
    #[inline(always)]
    fn transpose(self, x: &mut [I; LANES]) {
        let (mut first, mut last) = ([self.splat_int(0).0; LANES], [self.splat_int(0).0; LANES]);
        for i in 0..LANES {
            (first[i], last[i]) = x[i];
        }
        for (first, last) in first.as_chunks_mut().0.iter_mut().zip(last.as_chunks_mut().0) {
            self.transpose_eight(first);
            self.transpose_eight(last);
        }
        for i in 0..8 {
            (x[i], x[8 + i]) = ((first[i], first[8 + i]), (last[i], last[8 + i]));
        }
    }
    #[inline(always)]
    fn and(self, a: I, b: I) -> I {
        halves!(_mm256_and_si256, a, b)
    }
    #[inline(always)]
    fn or(self, a: I, b: I) -> I {
        halves!(_mm256_or_si256, a, b)
    }
    #[inline(always)]
    fn shl(self, a: I, n: u32) -> I {
        avx2!({
            let n = _mm_cvtsi32_si128(n as i32);
            (_mm256_sll_epi32(a.0, n), _mm256_sll_epi32(a.1, n))
        })
    }
    #[inline(always)]
    fn shr(self, a: I, n: u32) -> I {
        avx2!({
            let n = _mm_cvtsi32_si128(n as i32);
            (_mm256_srl_epi32(a.0, n), _mm256_srl_epi32(a.1, n))
        })
    }
    #[inline(always)]
    fn look_up(self, table: &[u8; 16], x: I) -> I {
        avx2!({
            let table = _mm256_broadcastsi128_si256(_mm_loadu_si128(table.as_ptr().cast()));
            (_mm256_shuffle_epi8(table, x.0), _mm256_shuffle_epi8(table, x.1))
        })
    }
    #[inline(always)]
    fn add_int(self, a: I, b: I) -> I {
        halves!(_mm256_add_epi32, a, b)
    }
    #[inline(always)]
    fn sub_int(self, a: I, b: I) -> I {
        halves!(_mm256_sub_epi32, a, b)
    }
    #[inline(always)]
    fn add_bytes(self, a: I, b: I) -> I {
        halves!(_mm256_add_epi8, a, b)
    }
    #[inline(always)]
    fn max_int(self, a: I, b: I) -> I {
        halves!(_mm256_max_epi32, a, b)
    }
    /// Sums of pairs are added up in 16 bits as long as they cannot saturate, which halves the multiplications; one half
    /// of the lanes after the other, so that the sums of all rows stay in registers.
    #[inline(always)]
    fn dot_rows<const BITS: u32, const M: usize>(self, mut acc: [I; M], w: &[I], x: [&[[i8; 4]]; M]) -> [I; M] {
        if BITS > 6 {
            return self.dot_rows_by_dot4::<BITS, M>(acc, w, x);
        }
        let low = self.half_rows::<BITS, M>(|j| w[j].0, w.len(), x);
        let high = self.half_rows::<BITS, M>(|j| w[j].1, w.len(), x);
        for m in 0..M {
            acc[m] = halves!(_mm256_add_epi32, acc[m], (low[m], high[m]));
        }
        acc
    }
    #[inline(always)]
    fn dot_bytes(self, acc: I, a: I, b: I) -> I {
        (self.dot4_half::<8>(acc.0, a.0, b.0), self.dot4_half::<8>(acc.1, a.1, b.1))
    }
    #[inline(always)]
    fn dot4<const BITS: u32>(self, acc: I, w: I, x: [i8; 4]) -> I {
        let quad = avx2!(_mm256_set1_epi32(i32::from_le_bytes(x.map(|x| x as u8))));
        (self.dot4_half::<BITS>(acc.0, w.0, quad), self.dot4_half::<BITS>(acc.1, w.1, quad))
    }
}
