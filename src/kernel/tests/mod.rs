//! Tests across the kernels: encodings against independent values, products and attention against plain `f64` loops,
//! every instruction set against the portable one, bit for bit.

mod attention;
mod encoding;
mod product;
mod threads;
mod tile;
mod vector;

use super::isa::Isa;
use crate::types::Dtype;

/// Every encoding, with the offsets in a block of its half-precision factors.
const ENCODINGS: [(Dtype, &[usize]); 15] = [
    (Dtype::F32, &[]),
    (Dtype::F16, &[0]),
    (Dtype::BF16, &[0]),
    (Dtype::Q4_0, &[0]),
    (Dtype::Q4_1, &[0, 2]),
    (Dtype::Q5_0, &[0]),
    (Dtype::Q5_1, &[0, 2]),
    (Dtype::Q8_0, &[0]),
    (Dtype::Q2_K, &[80, 82]),
    (Dtype::Q3_K, &[108]),
    (Dtype::Q4_K, &[0, 2]),
    (Dtype::Q5_K, &[0, 2]),
    (Dtype::Q6_K, &[208]),
    (Dtype::IQ4_NL, &[0]),
    (Dtype::IQ4_XS, &[0]),
];

/// A linear congruential generator: the same bytes in any language.
struct Random(u64);

impl Random {
    fn byte(&mut self) -> u8 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 56) as u8
    }

    fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.byte()).collect()
    }

    /// Between -1 and 1.
    fn float(&mut self) -> f32 {
        let bits = u32::from_le_bytes([self.byte(), self.byte(), self.byte(), self.byte()]);
        bits as f32 / u32::MAX as f32 * 2.0 - 1.0
    }

    fn floats(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.float()).collect()
    }

    /// `n_blocks` blocks of any content whose factors are finite.
    fn blocks(&mut self, dtype: Dtype, n_blocks: usize) -> Vec<u8> {
        let (_, factors) = ENCODINGS.iter().find(|(d, _)| *d == dtype).expect("every encoding is in the table");
        let mut bytes = self.bytes(n_blocks * dtype.block_bytes());
        for block in bytes.chunks_exact_mut(dtype.block_bytes()) {
            if dtype == Dtype::F32 {
                block[3] &= 0xbf;
            }
            for at in *factors {
                block[at + 1] &= 0xbf;
            }
        }
        bytes
    }
}

/// Runs `compute` on every instruction set and checks that all give the bits of the portable one, which is returned.
#[track_caller]
fn on_every_isa(name: &str, compute: impl Fn(Isa) -> Vec<f32>) -> Vec<f32> {
    let want = compute(Isa::Scalar);
    for isa in Isa::available() {
        assert_same_bits(&format!("{name} on {}", isa.name()), &compute(isa), &want);
    }
    want
}

#[track_caller]
fn assert_same_bits(name: &str, got: &[f32], want: &[f32]) {
    assert_eq!(got.len(), want.len(), "{name}: lengths");
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let same = got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan();
        assert!(same, "{name}: element {i} is {got:?}, not {want:?}");
    }
}

/// Checks that `got` is within `tolerance` of `want`, relative to the largest element of `want`.
#[track_caller]
fn assert_close(name: &str, got: &[f32], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len(), "{name}: lengths");
    let largest = want.iter().fold(1e-30, |largest: f64, x| largest.max(x.abs()));
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let error = (f64::from(*got) - want).abs() / largest;
        assert!(error <= tolerance, "{name}: element {i} is {got}, not {want}: error {error:.2e}");
    }
}
