//! The packed layouts: how the codes of 16 rows lie in memory, and how a register of them is taken apart.
//!
//! A *unit* is 32 columns of 16 rows. Its codes are `BITS` lines; in a line, dword lane = row, and the four bytes of a
//! dword are four neighbouring columns, a *quad*:
//! - 4 bits: line `i` holds quad `2i` in its low nibbles and quad `2i + 1` in its high ones;
//! - 5 bits: the same four lines, and one more with the fifth bits: bit `j` of a byte belongs to quad `j`;
//! - 6 bits: the same four lines, and two more: bits `2t` and `2t + 1` of line `4 + h` belong to quad `4h + t`;
//! - 8 bits: line `j` holds quad `j`.
//!
//! Its scales, and its minima where the encoding has them, are vectors of 16 half-precision numbers: one scale per
//! group of 16 or 32 columns, then as many minima. Half precision loses nothing that matters: every scale in a GGUF
//! file is an `f16` times an integer, so it is a multiple of 2^-24 and below 2^-14 exact, above rounded by 2^-12 of
//! itself at most.

use super::simd::{Line, Simd};
use crate::types::Dtype;

/// Rows that are interleaved.
pub(super) const ROWS: usize = 16;
/// Columns of a unit.
pub(super) const UNIT: usize = 32;
/// Quads of a unit.
pub(super) const QUADS: usize = UNIT / 4;

/// A packed layout, known to the compiler.
pub(super) trait Format: Send + Sync {
    /// Bits of a code, and lines of codes per unit.
    const BITS: u32;
    /// Groups per unit: 1 or 2.
    const GROUPS: usize;
    /// Logarithm of the offset, or `None` where groups have minima.
    const OFFSET_LOG2: Option<u32>;
    /// Lines of codes per unit.
    const LINES: usize = Self::BITS as usize;
    /// Vectors of scales and minima per unit.
    const SCALES: usize = if Self::OFFSET_LOG2.is_some() { Self::GROUPS } else { 2 * Self::GROUPS };
}

/// Codes of `BITS` bits in `GROUPS` groups per unit; an `OFFSET_LOG2` of 0 stands for groups with minima.
pub(super) struct Codes<const BITS: u32, const GROUPS: usize, const OFFSET_LOG2: u32>;

impl<const BITS: u32, const GROUPS: usize, const OFFSET_LOG2: u32> Format for Codes<BITS, GROUPS, OFFSET_LOG2> {
    const BITS: u32 = BITS;
    const GROUPS: usize = GROUPS;
    const OFFSET_LOG2: Option<u32> = if OFFSET_LOG2 == 0 { None } else { Some(OFFSET_LOG2) };
}

/// Calls `$then` with the layout of a quantized `$dtype` as the type `$format`.
macro_rules! with_format {
    ($dtype:expr, $format:ident => $then:expr, else $dense:expr) => {{
        use crate::kernel::format::Codes;
        match $dtype {
            Dtype::Q4_0 => with_format!(@ $format = Codes<4, 1, 3>; $then),
            Dtype::Q4_1 | Dtype::Q4_K => with_format!(@ $format = Codes<4, 1, 0>; $then),
            Dtype::Q5_0 => with_format!(@ $format = Codes<5, 1, 4>; $then),
            Dtype::Q5_1 | Dtype::Q5_K => with_format!(@ $format = Codes<5, 1, 0>; $then),
            Dtype::Q8_0 => with_format!(@ $format = Codes<8, 1, 7>; $then),
            Dtype::Q2_K => with_format!(@ $format = Codes<4, 2, 0>; $then),
            Dtype::Q3_K => with_format!(@ $format = Codes<4, 2, 2>; $then),
            Dtype::Q6_K => with_format!(@ $format = Codes<6, 2, 5>; $then),
            Dtype::F32 | Dtype::F16 | Dtype::BF16 => $dense,
        }
    }};
    (@ $format:ident = $codes:ty; $then:expr) => {{
        type $format = $codes;
        $then
    }};
}
pub(super) use with_format;

/// Bits per code and vectors of scales per unit, of a quantized encoding.
pub(super) fn unit_size(dtype: Dtype) -> Option<(usize, usize)> {
    with_format!(dtype, F => Some((F::LINES, F::SCALES)), else None)
}

/// Writes the 32 codes of one row into its unit. The lines are zero in the row's lane before.
pub(super) fn write_codes(bits: usize, row: usize, q: &[u8; UNIT], lines: &mut [Line]) {
    let lane = 4 * row..4 * row + 4;
    for (j, quad) in q.as_chunks::<4>().0.iter().enumerate() {
        if bits == 8 {
            lines[j].0[lane.clone()].copy_from_slice(quad);
            continue;
        }
        for (i, code) in lane.clone().zip(quad) {
            lines[j / 2].0[i] |= (code & 15) << (4 * (j % 2));
            match bits {
                5 => lines[4].0[i] |= (code >> 4) << j,
                6 => lines[4 + j / 4].0[i] |= (code >> 4) << (2 * (j % 4)),
                _ => {}
            }
        }
    }
}

/// The quads of a unit, one code per byte.
#[inline(always)]
pub(super) fn unpack<S: Simd, F: Format>(simd: S, lines: &[Line]) -> [S::I; QUADS] {
    let mut quads = [simd.splat_int(0); QUADS];
    if F::BITS == 8 {
        for j in 0..QUADS {
            quads[j] = simd.load_line(&lines[j]);
        }
        return quads;
    }
    let low = simd.splat_int(0x0f0f_0f0f);
    for i in 0..4 {
        let line = simd.load_line(&lines[i]);
        quads[2 * i] = simd.and(line, low);
        quads[2 * i + 1] = simd.and(simd.shr(line, 4), low);
    }
    if F::BITS == 5 {
        let line = simd.load_line(&lines[4]);
        for j in 0..QUADS as u32 {
            let moved = if j < 4 { simd.shl(line, 4 - j) } else { simd.shr(line, j - 4) };
            quads[j as usize] = simd.or(quads[j as usize], simd.and(moved, simd.splat_int(0x1010_1010)));
        }
    }
    if F::BITS == 6 {
        for j in 0..QUADS as u32 {
            let (line, at) = (simd.load_line(&lines[4 + j as usize / 4]), 2 * (j % 4));
            let moved = if at < 4 { simd.shl(line, 4 - at) } else { simd.shr(line, at - 4) };
            quads[j as usize] = simd.or(quads[j as usize], simd.and(moved, simd.splat_int(0x3030_3030)));
        }
    }
    quads
}
