//! The definition of every lane operation, in plain Rust.

use super::{LANES, Line, Simd};
use half::{bf16, f16};

/// Lanes as arrays. Always available.
#[derive(Debug, Clone, Copy)]
pub(in crate::kernel) struct Portable;

#[inline(always)]
fn zip<T: Copy, U: Copy>(a: [T; LANES], b: [T; LANES], f: impl Fn(T, T) -> U) -> [U; LANES] {
    std::array::from_fn(|i| f(a[i], b[i]))
}

impl Simd for Portable {
    type F = [f32; LANES];
    type I = [i32; LANES];
    const MAX_ROWS: usize = 1;
    const N_VECTORS: usize = 8;

    #[inline(always)]
    fn splat(self, x: f32) -> Self::F {
        [x; LANES]
    }
    #[inline(always)]
    fn load(self, x: &[f32; LANES]) -> Self::F {
        *x
    }
    #[inline(always)]
    fn store(self, x: Self::F, to: &mut [f32; LANES]) {
        *to = x;
    }
    #[inline(always)]
    fn load_f16(self, x: &[f16; LANES]) -> Self::F {
        x.map(f16::to_f32_const)
    }
    #[inline(always)]
    fn load_bf16(self, x: &[f16; LANES]) -> Self::F {
        x.map(|x| bf16::from_bits(x.to_bits()).to_f32())
    }
    #[inline(always)]
    fn store_f16(self, x: Self::F, to: &mut [f16; LANES]) {
        *to = x.map(f16::from_f32_const);
    }
    #[inline(always)]
    fn store_bf16(self, x: Self::F, to: &mut [f16; LANES]) {
        *to = x.map(|x| f16::from_bits(bf16::from_f32(x).to_bits()));
    }
    #[inline(always)]
    fn add(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F {
        std::array::from_fn(|i| a[i].mul_add(b[i], c[i]))
    }
    #[inline(always)]
    fn max(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| if a > b { a } else { b })
    }
    #[inline(always)]
    fn min(self, a: Self::F, b: Self::F) -> Self::F {
        zip(a, b, |a, b| if a < b { a } else { b })
    }
    #[inline(always)]
    fn zero_below(self, x: Self::F, limit: f32, y: Self::F) -> Self::F {
        zip(x, y, |x, y| if x < limit { 0.0 } else { y })
    }
    #[inline(always)]
    fn to_int(self, x: Self::F) -> Self::I {
        x.map(|x| x.round_ties_even() as i32)
    }
    #[inline(always)]
    fn floats(self, x: Self::I) -> Self::F {
        x.map(|x| x as f32)
    }
    #[inline(always)]
    fn bits(self, x: Self::F) -> Self::I {
        x.map(|x| x.to_bits() as i32)
    }
    #[inline(always)]
    fn of_bits(self, x: Self::I) -> Self::F {
        x.map(|x| f32::from_bits(x as u32))
    }
    #[inline(always)]
    fn splat_int(self, x: i32) -> Self::I {
        [x; LANES]
    }
    #[inline(always)]
    fn load_line(self, x: &Line) -> Self::I {
        std::array::from_fn(|i| i32::from_le_bytes([x.0[4 * i], x.0[4 * i + 1], x.0[4 * i + 2], x.0[4 * i + 3]]))
    }
    #[inline(always)]
    fn store_line(self, x: Self::I, to: &mut Line) {
        for (to, x) in to.0.as_chunks_mut::<4>().0.iter_mut().zip(x) {
            *to = x.to_le_bytes();
        }
    }
    #[inline(always)]
    fn load_bytes(self, x: &[i8; LANES]) -> Self::I {
        x.map(i32::from)
    }
    #[inline(always)]
    fn store_int(self, x: Self::I, to: &mut [i32; LANES]) {
        *to = x;
    }
    #[inline(always)]
    fn transpose(self, x: &mut [Self::I; LANES]) {
        *x = std::array::from_fn(|j| std::array::from_fn(|i| x[i][j]));
    }
    #[inline(always)]
    fn and(self, a: Self::I, b: Self::I) -> Self::I {
        zip(a, b, |a, b| a & b)
    }
    #[inline(always)]
    fn or(self, a: Self::I, b: Self::I) -> Self::I {
        zip(a, b, |a, b| a | b)
    }
    #[inline(always)]
    fn shl(self, a: Self::I, n: u32) -> Self::I {
        a.map(|a| a << n)
    }
    #[inline(always)]
    fn shr(self, a: Self::I, n: u32) -> Self::I {
        a.map(|a| ((a as u32) >> n) as i32)
    }
    #[inline(always)]
    fn look_up(self, table: &[u8; 16], x: Self::I) -> Self::I {
        x.map(|x| i32::from_le_bytes(x.to_le_bytes().map(|byte| table[usize::from(byte & 15)])))
    }
    #[inline(always)]
    fn add_int(self, a: Self::I, b: Self::I) -> Self::I {
        zip(a, b, i32::wrapping_add)
    }
    #[inline(always)]
    fn sub_int(self, a: Self::I, b: Self::I) -> Self::I {
        zip(a, b, i32::wrapping_sub)
    }
    #[inline(always)]
    fn add_bytes(self, a: Self::I, b: Self::I) -> Self::I {
        zip(a, b, |a, b| {
            let (a, b) = (a.to_le_bytes(), b.to_le_bytes());
            i32::from_le_bytes(std::array::from_fn(|i| a[i].wrapping_add(b[i])))
        })
    }
    #[inline(always)]
    fn max_int(self, a: Self::I, b: Self::I) -> Self::I {
        zip(a, b, i32::max)
    }
    #[inline(always)]
    fn dot_bytes(self, acc: Self::I, a: Self::I, b: Self::I) -> Self::I {
        std::array::from_fn(|lane| {
            let (a, b) = (a[lane].to_le_bytes(), b[lane].to_le_bytes());
            (0..4).fold(acc[lane], |acc, i| acc + i32::from(a[i]) * i32::from(b[i] as i8))
        })
    }
    #[inline(always)]
    fn dot4<const BITS: u32>(self, acc: Self::I, w: Self::I, x: [i8; 4]) -> Self::I {
        self.dot_bytes(acc, w, self.splat_bytes(x))
    }
}
