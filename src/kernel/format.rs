//! The packed layouts: how the codes of 16 rows lie in memory, and how a register of them is taken apart.
//!
//! A *unit* is 32 columns of 16 rows. Its codes are `BITS` lines; in a line, dword lane = row, and the four bytes of a
//! dword are four neighbouring columns, a *quad*:
//! - 4 bits: line `i` holds quad `2i` in its low nibbles and quad `2i + 1` in its high ones;
//! - 5 bits: the same four lines, and one more with the fifth bits: bit `j` of a byte belongs to quad `j`;
//! - 6 bits: the same four lines, and two more: bits `2t` and `2t + 1` of line `4 + h` belong to quad `4h + t`;
//! - 8 bits: line `j` holds quad `j`.
//!
//! Codes of 4 bits may be indices of a codebook: they stay 4 bits in memory and are looked up when a unit is taken apart,
//! one shuffle of bytes per quad. As bytes they would take twice the memory, and decoding waits for memory.
//!
//! Units that lie together have the codes of all of them before the scales of all of them, so that a block of rows is
//! one stream of whole lines, read front to back. Scales are vectors, one element per row; minima, where the encoding
//! has them, are vectors that follow the scales of their unit:
//! - where a block of the encoding is one group of 32, a vector is 16 half-precision numbers, half a line; one or two
//!   units lie together, so that they fill lines;
//! - where it is 256 elements, a vector is 16 signed bytes, a quarter of a line; the eight units of a block lie
//!   together, and before their vectors is a line of half-precision factors: of the scales, then of the minima.
//!
//! Nothing is rounded: a packed weight is the weight of the file.

#![allow(unsafe_code)]

use super::encoding::{Codebook, NON_LINEAR};
use super::simd::{Line, Simd};
use crate::types::Dtype;
use std::marker::PhantomData;

/// Rows that are interleaved.
pub(super) const ROWS: usize = 16;
/// Columns of a unit.
pub(super) const UNIT: usize = 32;
/// Units of a block of 256 elements.
const SUPER: usize = 256 / UNIT;
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
    /// Whether scales are bytes with common factors.
    const IN_BYTES: bool;
    /// What the codes stand for, where they are not numbers themselves.
    const CODEBOOK: Option<Codebook>;
    /// Bits of a code that was taken apart.
    const WIDTH: u32 = if Self::CODEBOOK.is_some() { 8 } else { Self::BITS };
    /// Whether products in pairs take the codes: activations leave room for 5 bits, and a pair reaches over the unit.
    const PAIRS: bool = Self::WIDTH <= 5 && Self::GROUPS == 1;
    /// How the units lie in a block.
    const PLACES: Places = Places {
        code_lines: Self::BITS as usize,
        vectors: if Self::OFFSET_LOG2.is_some() { Self::GROUPS } else { 2 * Self::GROUPS },
        in_bytes: Self::IN_BYTES,
    };
}

/// Where the parts of a unit lie in its block of rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places {
    /// Lines of codes per unit; the bits of a code.
    pub code_lines: usize,
    /// Vectors of scales and minima per unit.
    vectors: usize,
    /// Whether scales are bytes with common factors.
    pub in_bytes: bool,
}

impl Places {
    /// Units that lie together.
    pub(super) const fn together(self) -> usize {
        if self.in_bytes { SUPER } else { 1 + self.vectors % 2 }
    }

    /// Lines of scales of the units that lie together.
    const fn scale_lines(self) -> usize {
        if self.in_bytes { 1 + SUPER * self.vectors / 4 } else { self.together() * self.vectors / 2 }
    }

    /// Lines from the first of the units that lie together to the first of the next ones.
    pub(super) const fn stride(self) -> usize {
        self.together() * self.code_lines + self.scale_lines()
    }

    /// Lines of so many units.
    pub(super) const fn n_lines(self, n_units: usize) -> usize {
        n_units.div_ceil(self.together()) * self.stride()
    }

    /// Lines per unit, rounded up.
    pub(super) const fn lines_per_unit(self) -> usize {
        self.stride().div_ceil(self.together())
    }

    /// The first line of a unit's codes.
    #[inline(always)]
    pub(super) const fn codes(self, unit: usize) -> usize {
        unit / self.together() * self.stride() + unit % self.together() * self.code_lines
    }

    /// The line of factors of a unit, for scales in bytes.
    #[inline(always)]
    pub(super) const fn factors(self, unit: usize) -> usize {
        unit / self.together() * self.stride() + self.together() * self.code_lines
    }

    /// The line of a unit's `i`th vector of scales, and which half or quarter of it.
    #[inline(always)]
    pub(super) const fn scale(self, unit: usize, i: usize) -> (usize, usize) {
        let (line, vector) = (self.factors(unit), unit % self.together() * self.vectors + i);
        if self.in_bytes { (line + 1 + vector / 4, vector % 4) } else { (line + vector / 2, vector % 2) }
    }
}

/// Codes of `BITS` bits in `GROUPS` groups per unit; an `OFFSET_LOG2` of 0 stands for groups with minima.
pub(super) struct Codes<const BITS: u32, const GROUPS: usize, const OFFSET_LOG2: u32, const IN_BYTES: bool>;

impl<const BITS: u32, const GROUPS: usize, const OFFSET_LOG2: u32, const IN_BYTES: bool> Format
    for Codes<BITS, GROUPS, OFFSET_LOG2, IN_BYTES>
{
    const BITS: u32 = BITS;
    const GROUPS: usize = GROUPS;
    const OFFSET_LOG2: Option<u32> = if OFFSET_LOG2 == 0 { None } else { Some(OFFSET_LOG2) };
    const IN_BYTES: bool = IN_BYTES;
    const CODEBOOK: Option<Codebook> = None;
}

/// Codes of 4 bits for the non-linear codebook, which counts from -128.
pub(super) struct NonLinear<const IN_BYTES: bool>;

impl<const IN_BYTES: bool> Format for NonLinear<IN_BYTES> {
    const BITS: u32 = 4;
    const GROUPS: usize = 1;
    const OFFSET_LOG2: Option<u32> = Some(7);
    const IN_BYTES: bool = IN_BYTES;
    const CODEBOOK: Option<Codebook> = Some(NON_LINEAR);
}

/// Calls `$then` with the layout of a quantized `$dtype` as the type `$format`.
macro_rules! with_format {
    ($dtype:expr, $format:ident => $then:expr, else $dense:expr) => {{
        use crate::kernel::format::{Codes, NonLinear};
        match $dtype {
            Dtype::Q4_0 => with_format!(@ $format = Codes<4, 1, 3, false>; $then),
            Dtype::Q4_1 => with_format!(@ $format = Codes<4, 1, 0, false>; $then),
            Dtype::Q4_K => with_format!(@ $format = Codes<4, 1, 0, true>; $then),
            Dtype::Q5_0 => with_format!(@ $format = Codes<5, 1, 4, false>; $then),
            Dtype::Q5_1 => with_format!(@ $format = Codes<5, 1, 0, false>; $then),
            Dtype::Q5_K => with_format!(@ $format = Codes<5, 1, 0, true>; $then),
            Dtype::Q8_0 => with_format!(@ $format = Codes<8, 1, 7, false>; $then),
            Dtype::Q2_K => with_format!(@ $format = Codes<4, 2, 0, true>; $then),
            Dtype::Q3_K => with_format!(@ $format = Codes<4, 2, 2, true>; $then),
            Dtype::Q6_K => with_format!(@ $format = Codes<6, 2, 5, true>; $then),
            Dtype::IQ4_NL => with_format!(@ $format = NonLinear<false>; $then),
            Dtype::IQ4_XS => with_format!(@ $format = NonLinear<true>; $then),
            Dtype::F32 | Dtype::F16 | Dtype::BF16 => $dense,
        }
    }};
    (@ $format:ident = $codes:ty; $then:expr) => {{
        type $format = $codes;
        $then
    }};
}
pub(super) use with_format;

/// Where the units of a quantized encoding lie.
pub(super) fn places(dtype: Dtype) -> Option<Places> {
    with_format!(dtype, F => Some(F::PLACES), else None)
}

/// Writes the 32 codes of one row into its unit.
pub(super) fn write_codes(row: usize, q: &[u8; UNIT], lines: &mut [Line]) {
    let bits = lines.len();
    let mut quads = [0u32; QUADS];
    for (quad, q) in quads.iter_mut().zip(q.as_chunks::<4>().0) {
        *quad = u32::from_le_bytes(*q);
    }
    let mut put = |line: usize, word: u32| lines[line].0.as_chunks_mut::<4>().0[row] = word.to_le_bytes();
    if bits == 8 {
        quads.iter().enumerate().for_each(|(line, quad)| put(line, *quad));
        return;
    }
    const LOW: u32 = 0x0f0f_0f0f;
    for (line, pair) in quads.as_chunks::<2>().0.iter().enumerate() {
        put(line, pair[0] & LOW | (pair[1] & LOW) << 4);
    }
    // What is left of a code, one or two bits, goes into as many further lines.
    let per_line = 8 / (bits - 4).max(1);
    for (line, quads) in quads.chunks(per_line).take(bits - 4).enumerate() {
        let word = quads.iter().enumerate().map(|(t, quad)| (quad >> 4 & LOW) << ((bits - 4) * t));
        put(4 + line, word.fold(0, |word, bits| word | bits));
    }
}

/// The 32 codes of one row of a unit: the inverse of [`write_codes`].
pub(super) fn read_codes(row: usize, lines: &[Line]) -> [u8; UNIT] {
    let bits = lines.len();
    let get = |line: usize| u32::from_le_bytes(lines[line].0.as_chunks::<4>().0[row]);
    let mut q = [0; UNIT];
    for (j, quad) in q.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let word = match bits - 4 {
            4 => get(j),
            0 => get(j / 2) >> (4 * (j % 2)) & 0x0f0f_0f0f,
            n_high => {
                let per_line = 8 / n_high;
                let mask = if n_high == 1 { 0x0101_0101 } else { 0x0303_0303 };
                let high = get(4 + j / per_line) >> (n_high * (j % per_line)) & mask;
                get(j / 2) >> (4 * (j % 2)) & 0x0f0f_0f0f | high << 4
            }
        };
        *quad = word.to_le_bytes();
    }
    q
}

/// The quads of a unit, one code per byte.
#[inline(always)]
fn unpack<S: Simd, F: Format>(simd: S, lines: &[Line]) -> [S::I; QUADS] {
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
    if let Some(codebook) = F::CODEBOOK {
        for quad in &mut quads {
            *quad = simd.look_up(&codebook, *quad);
        }
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

/// Units that lie together, ready to be taken apart.
#[derive(Clone, Copy)]
pub(super) struct Units<'a, S: Simd, F> {
    simd: S,
    /// Exactly those of the units.
    lines: &'a [Line],
    /// What all scales in bytes, and all minima, are multiplied with.
    factors: [S::F; 2],
    format: PhantomData<F>,
}

impl<'a, S: Simd, F: Format> Units<'a, S, F> {
    /// The `at`th units that lie together in a block.
    ///
    /// # Panics
    /// If the block ends before.
    #[inline(always)]
    pub fn new(simd: S, block: &'a [Line], at: usize) -> Self {
        let lines = &block[at * F::PLACES.stride()..][..F::PLACES.stride()];
        let mut factors = [simd.splat(0.0); 2];
        if F::IN_BYTES {
            let [scales, minima] = lines[F::PLACES.factors(0)].halves();
            factors = [simd.load_f16(scales), simd.load_f16(minima)];
        }
        Self { simd, lines, factors, format: PhantomData }
    }

    /// The quads of the `i`th unit, one code per byte.
    ///
    /// # Safety
    /// So many units lie together.
    #[inline(always)]
    pub unsafe fn quads(&self, i: usize) -> [S::I; QUADS] {
        let codes = F::PLACES.codes(i);
        debug_assert!(i < F::PLACES.together());
        // SAFETY: the caller says that the unit is there, and with it the lines of its codes.
        unpack::<S, F>(self.simd, unsafe { self.lines.get_unchecked(codes..codes + F::PLACES.code_lines) })
    }

    /// The scales of group `g` of the `i`th unit.
    ///
    /// # Safety
    /// So many units lie together, and a unit has so many groups.
    #[inline(always)]
    pub unsafe fn scale(&self, i: usize, g: usize) -> S::F {
        // SAFETY: passed on to the caller; scales are a unit's first vectors.
        unsafe { self.vector(i, g, self.factors[0]) }
    }

    /// The minima of group `g` of the `i`th unit.
    ///
    /// # Safety
    /// As for [`Units::scale`], and the format has minima.
    #[inline(always)]
    pub unsafe fn min(&self, i: usize, g: usize) -> S::F {
        // SAFETY: passed on to the caller; minima follow the scales.
        unsafe { self.vector(i, F::GROUPS + g, self.factors[1]) }
    }

    /// # Safety
    /// The `i`th unit is there and has so many vectors.
    #[inline(always)]
    unsafe fn vector(&self, i: usize, vector: usize, factor: S::F) -> S::F {
        let (line, part) = F::PLACES.scale(i, vector);
        debug_assert!(line < self.lines.len());
        // SAFETY: the caller says that the vector is there; it lies among the lines of its units.
        let line = unsafe { self.lines.get_unchecked(line) };
        if F::IN_BYTES {
            self.simd.mul(factor, self.simd.floats(self.simd.load_bytes(&line.quarters()[part])))
        } else {
            self.simd.load_f16(&line.halves()[part])
        }
    }
}
