//! Lanes in one AVX-512 register.

#![allow(unsafe_code)]

use super::{LANES, Line, Simd};
use half::f16;
use std::arch::x86_64::*;

/// Proof that this CPU has AVX-512 F, BW, VL, DQ and VNNI.
#[derive(Debug, Clone, Copy)]
pub(in crate::kernel) struct Avx512(());

impl Avx512 {
    /// # Safety
    /// The CPU has AVX-512 F, BW, VL, DQ and VNNI.
    #[inline(always)]
    pub(in crate::kernel) unsafe fn new() -> Self {
        Self(())
    }
}

/// Runs intrinsics on behalf of the token.
macro_rules! avx512 {
    ($body:expr) => {{
        // SAFETY: `self` exists, so the CPU has the features; pointers come from references to arrays of the full
        // width, and every load and store used is an unaligned one or of an aligned `Line`.
        unsafe { $body }
    }};
}

impl Simd for Avx512 {
    type F = __m512;
    type I = __m512i;
    const MAX_ROWS: usize = 8;
    const N_VECTORS: usize = 32;
    const PAIRS: bool = true;

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        avx512!(_mm512_set1_ps(x))
    }
    #[inline(always)]
    fn load(self, x: &[f32; LANES]) -> __m512 {
        avx512!(_mm512_loadu_ps(x.as_ptr()))
    }
    #[inline(always)]
    fn store(self, x: __m512, to: &mut [f32; LANES]) {
        avx512!(_mm512_storeu_ps(to.as_mut_ptr(), x))
    }
    #[inline(always)]
    fn load_f16(self, x: &[f16; LANES]) -> __m512 {
        avx512!(_mm512_cvtph_ps(_mm256_loadu_si256(x.as_ptr().cast())))
    }
    #[inline(always)]
    fn load_bf16(self, x: &[f16; LANES]) -> __m512 {
        avx512!(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(_mm256_loadu_si256(
            x.as_ptr().cast()
        )))))
    }
    #[inline(always)]
    fn store_f16(self, x: __m512, to: &mut [f16; LANES]) {
        avx512!(_mm256_storeu_si256(
            to.as_mut_ptr().cast(),
            _mm512_cvtps_ph::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(x)
        ))
    }
    #[inline(always)]
    fn store_bf16(self, x: __m512, to: &mut [f16; LANES]) {
        avx512!({
            let bits = _mm512_castps_si512(x);
            let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
            let nearest = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
            // Rounding would carry a NaN away: it is made quiet instead.
            let quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x0040_0000));
            let rounded = _mm512_mask_mov_epi32(nearest, _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(x, x), quiet);
            let words = _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(rounded));
            _mm256_storeu_si256(to.as_mut_ptr().cast(), words);
        })
    }
    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_add_ps(a, b))
    }
    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_sub_ps(a, b))
    }
    #[inline(always)]
    fn mul(self, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_mul_ps(a, b))
    }
    #[inline(always)]
    fn div(self, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_div_ps(a, b))
    }
    #[inline(always)]
    fn fma(self, a: __m512, b: __m512, c: __m512) -> __m512 {
        avx512!(_mm512_fmadd_ps(a, b, c))
    }
    #[inline(always)]
    fn max(self, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_max_ps(a, b))
    }
    #[inline(always)]
    fn min(self, a: __m512, b: __m512) -> __m512 {
        avx512!(_mm512_min_ps(a, b))
    }
    #[inline(always)]
    fn zero_below(self, x: __m512, limit: f32, y: __m512) -> __m512 {
        avx512!(_mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_NLT_UQ>(x, _mm512_set1_ps(limit)), y))
    }
    #[inline(always)]
    fn to_int(self, x: __m512) -> __m512i {
        avx512!(_mm512_cvtps_epi32(x))
    }
    #[inline(always)]
    fn floats(self, x: __m512i) -> __m512 {
        avx512!(_mm512_cvtepi32_ps(x))
    }
    #[inline(always)]
    fn bits(self, x: __m512) -> __m512i {
        avx512!(_mm512_castps_si512(x))
    }
    #[inline(always)]
    fn of_bits(self, x: __m512i) -> __m512 {
        avx512!(_mm512_castsi512_ps(x))
    }
    #[inline(always)]
    fn splat_int(self, x: i32) -> __m512i {
        avx512!(_mm512_set1_epi32(x))
    }
    #[inline(always)]
    fn load_line(self, x: &Line) -> __m512i {
        avx512!(_mm512_load_si512(x.0.as_ptr().cast()))
    }
    #[inline(always)]
    fn store_line(self, x: __m512i, to: &mut Line) {
        avx512!(_mm512_store_si512(to.0.as_mut_ptr().cast(), x))
    }
    #[inline(always)]
    fn load_bytes(self, x: &[i8; LANES]) -> __m512i {
        avx512!(_mm512_cvtepi8_epi32(_mm_loadu_si128(x.as_ptr().cast())))
    }
    #[inline(always)]
    fn store_int(self, x: __m512i, to: &mut [i32; LANES]) {
        avx512!(_mm512_storeu_si512(to.as_mut_ptr().cast(), x))
    }
    #[inline(always)]
    fn transpose(self, x: &mut [__m512i; LANES]) {
        // First the dwords of four vectors, within 128-bit quarters; then the quarters of four times four.
        let mut quads = [self.splat_int(0); LANES];
        for (x, quads) in x.as_chunks::<4>().0.iter().zip(quads.as_chunks_mut::<4>().0) {
            avx512!({
                let (low, high) = (_mm512_unpacklo_epi32(x[0], x[1]), _mm512_unpacklo_epi32(x[2], x[3]));
                (quads[0], quads[1]) = (_mm512_unpacklo_epi64(low, high), _mm512_unpackhi_epi64(low, high));
                let (low, high) = (_mm512_unpackhi_epi32(x[0], x[1]), _mm512_unpackhi_epi32(x[2], x[3]));
                (quads[2], quads[3]) = (_mm512_unpacklo_epi64(low, high), _mm512_unpackhi_epi64(low, high));
            });
        }
        for j in 0..4 {
            let [a, b, c, d] = [quads[j], quads[4 + j], quads[8 + j], quads[12 + j]];
            avx512!({
                let (low, high) = (_mm512_shuffle_i32x4::<0x44>(a, b), _mm512_shuffle_i32x4::<0x44>(c, d));
                x[j] = _mm512_shuffle_i32x4::<0x88>(low, high);
                x[4 + j] = _mm512_shuffle_i32x4::<0xdd>(low, high);
                let (low, high) = (_mm512_shuffle_i32x4::<0xee>(a, b), _mm512_shuffle_i32x4::<0xee>(c, d));
                x[8 + j] = _mm512_shuffle_i32x4::<0x88>(low, high);
                x[12 + j] = _mm512_shuffle_i32x4::<0xdd>(low, high);
            });
        }
    }
    #[inline(always)]
    fn and(self, a: __m512i, b: __m512i) -> __m512i {
        avx512!(_mm512_and_si512(a, b))
    }
    #[inline(always)]
    fn or(self, a: __m512i, b: __m512i) -> __m512i {
        avx512!(_mm512_or_si512(a, b))
    }
    #[inline(always)]
    fn shl(self, a: __m512i, n: u32) -> __m512i {
        avx512!(_mm512_sll_epi32(a, _mm_cvtsi32_si128(n as i32)))
    }
    #[inline(always)]
    fn shr(self, a: __m512i, n: u32) -> __m512i {
        avx512!(_mm512_srl_epi32(a, _mm_cvtsi32_si128(n as i32)))
    }
    #[inline(always)]
    fn look_up(self, table: &[u8; 16], x: __m512i) -> __m512i {
        avx512!(_mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128(table.as_ptr().cast())), x))
    }
    #[inline(always)]
    fn add_int(self, a: __m512i, b: __m512i) -> __m512i {
        avx512!(_mm512_add_epi32(a, b))
    }
    #[inline(always)]
    fn sub_int(self, a: __m512i, b: __m512i) -> __m512i {
        avx512!(_mm512_sub_epi32(a, b))
    }
    #[inline(always)]
    fn add_bytes(self, a: __m512i, b: __m512i) -> __m512i {
        avx512!(_mm512_add_epi8(a, b))
    }
    #[inline(always)]
    fn max_int(self, a: __m512i, b: __m512i) -> __m512i {
        avx512!(_mm512_max_epi32(a, b))
    }
    #[inline(always)]
    fn sum(self, x: __m512) -> f32 {
        // Adds halves, then quarters, as the definition does; the tests of this module hold it to that.
        avx512!(_mm512_reduce_add_ps(x))
    }
    #[inline(always)]
    fn largest(self, x: __m512) -> f32 {
        avx512!(_mm512_reduce_max_ps(x))
    }
    #[inline(always)]
    fn dot_bytes(self, acc: __m512i, a: __m512i, b: __m512i) -> __m512i {
        avx512!(_mm512_dpbusd_epi32(acc, a, b))
    }
    #[inline(always)]
    fn dot4<const BITS: u32>(self, acc: __m512i, w: __m512i, x: [i8; 4]) -> __m512i {
        self.dot_bytes(acc, w, self.splat_bytes(x))
    }
}
