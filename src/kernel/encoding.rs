//! The block encodings of GGUF, read as affine groups: `w = d·scale·q − dmin·min` with unsigned `q` and small integers
//! `scale` and `min`.
//!
//! Symmetric encodings count from an offset, a power of two: `w = d·scale·(q − offset)`. Where an encoding has a codebook,
//! `codebook[q]` stands in the place of `q`. Here is the one place that knows how an encoding lays out its bits; packing
//! and [`dequantize`] both read through [`Encoding`].
//!
//! Invariant: a block is read only as a slice of exactly `Dtype::block_bytes` bytes.
//! Source of the encodings: the GGUF and ggml format descriptions; checked against values computed independently.

use super::Error;
use crate::types::Dtype;
use half::{bf16, f16};

/// Elements of the longest block.
pub(super) const MAX_BLOCK: usize = 256;

/// One decoded block.
#[derive(Debug, Clone)]
pub(super) struct Block {
    /// Unsigned codes: numbers, or indices of the encoding's codebook.
    pub q: [u8; MAX_BLOCK],
    /// One scale per group; 1 where the block is one group.
    pub scale: [i8; MAX_BLOCK / 16],
    /// One minimum per group; unused by symmetric encodings.
    pub min: [i8; MAX_BLOCK / 16],
    /// Factor of the scales.
    pub d: f16,
    /// Factor of the minima.
    pub dmin: f16,
}

impl Block {
    pub(super) const ONES: Block = Block {
        q: [0; MAX_BLOCK],
        scale: [1; MAX_BLOCK / 16],
        min: [1; MAX_BLOCK / 16],
        d: f16::ZERO,
        dmin: f16::ZERO,
    };
}

/// How the codes of an encoding turn into weights.
#[derive(Debug, Clone, Copy)]
pub(super) struct Encoding {
    /// Elements that share a scale: 16 or 32.
    pub group: usize,
    /// Logarithm of what is subtracted from every code, or `None` if each group has its own minimum.
    pub offset_log2: Option<u32>,
    /// What the codes stand for, where they are not numbers themselves.
    pub codebook: Option<&'static Codebook>,
    /// Fills in a block from its bytes. Blocks of one group leave its scale and minimum alone, at 1.
    pub decode: fn(&[u8], &mut Block),
}

/// The values of codes of 4 bits, each counted from the encoding's offset.
pub(super) type Codebook = [u8; 16];

/// The non-linear codebook of IQ4_NL and IQ4_XS, counted from -128: the values lie denser around zero, as weights do.
pub(super) const NON_LINEAR: Codebook = {
    const VALUES: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];
    let mut codebook = [0; 16];
    let mut i = 0;
    while i < codebook.len() {
        codebook[i] = (VALUES[i] as i16 + 128) as u8;
        i += 1;
    }
    codebook
};

impl Encoding {
    /// The encoding of a quantized type; `None` for `F32`, `F16` and `BF16`.
    pub(super) fn of(dtype: Dtype) -> Option<Self> {
        let encoding = |group, offset_log2, decode| Some(Self { group, offset_log2, codebook: None, decode });
        let non_linear = |decode| Some(Self { group: 32, offset_log2: Some(7), codebook: Some(&NON_LINEAR), decode });
        match dtype {
            Dtype::F32 | Dtype::F16 | Dtype::BF16 => None,
            Dtype::Q4_0 => encoding(32, Some(3), decode_q4_0),
            Dtype::Q4_1 => encoding(32, None, decode_q4_1),
            Dtype::Q5_0 => encoding(32, Some(4), decode_q5_0),
            Dtype::Q5_1 => encoding(32, None, decode_q5_1),
            Dtype::Q8_0 => encoding(32, Some(7), decode_q8_0),
            Dtype::Q2_K => encoding(16, None, decode_q2_k),
            Dtype::Q3_K => encoding(16, Some(2), decode_q3_k),
            Dtype::Q4_K => encoding(32, None, decode_q4_k),
            Dtype::Q5_K => encoding(32, None, decode_q5_k),
            Dtype::Q6_K => encoding(16, Some(5), decode_q6_k),
            Dtype::IQ4_NL => non_linear(decode_iq4_nl),
            Dtype::IQ4_XS => non_linear(decode_iq4_xs),
        }
    }
}

fn half(bytes: &[u8], at: usize) -> f16 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]])
}

/// 32 codes from 16 bytes: low nibbles first, then high ones.
fn nibbles(bytes: &[u8], q: &mut [u8]) {
    for (i, byte) in bytes[..16].iter().enumerate() {
        q[i] = byte & 15;
        q[i + 16] = byte >> 4;
    }
}

/// Adds bit `i` of `bits` to code `i` as its fifth bit.
fn fifth_bits(bits: &[u8], q: &mut [u8]) {
    let bits = u32::from_le_bytes([bits[0], bits[1], bits[2], bits[3]]);
    for (i, q) in q[..32].iter_mut().enumerate() {
        *q |= ((bits >> i) as u8 & 1) << 4;
    }
}

fn decode_q4_0(bytes: &[u8], block: &mut Block) {
    block.d = half(bytes, 0);
    nibbles(&bytes[2..], &mut block.q);
}

fn decode_q4_1(bytes: &[u8], block: &mut Block) {
    block.d = half(bytes, 0);
    block.dmin = -half(bytes, 2);
    nibbles(&bytes[4..], &mut block.q);
}

fn decode_q5_0(bytes: &[u8], block: &mut Block) {
    block.d = half(bytes, 0);
    nibbles(&bytes[6..], &mut block.q);
    fifth_bits(&bytes[2..6], &mut block.q);
}

fn decode_q5_1(bytes: &[u8], block: &mut Block) {
    block.d = half(bytes, 0);
    block.dmin = -half(bytes, 2);
    nibbles(&bytes[8..], &mut block.q);
    fifth_bits(&bytes[4..8], &mut block.q);
}

fn decode_q8_0(bytes: &[u8], block: &mut Block) {
    block.d = half(bytes, 0);
    for (q, byte) in block.q[..32].iter_mut().zip(&bytes[2..34]) {
        *q = byte ^ 0x80;
    }
}

/// Two-bit codes: half `h` of the block is in bytes `32h..32h+32`, its quarter `j` in their bits `2j` and `2j + 1`.
fn two_bits(bytes: &[u8], q: &mut [u8; MAX_BLOCK]) {
    for (i, q) in q.iter_mut().enumerate() {
        let (h, j, l) = (i / 128, i % 128 / 32, i % 32);
        *q = (bytes[32 * h + l] >> (2 * j)) & 3;
    }
}

/// `scales[16] | codes[64] | d | dmin`
fn decode_q2_k(bytes: &[u8], block: &mut Block) {
    two_bits(&bytes[16..80], &mut block.q);
    (block.d, block.dmin) = (half(bytes, 80), half(bytes, 82));
    for (i, scales) in bytes[..16].iter().enumerate() {
        block.scale[i] = (scales & 15) as i8;
        block.min[i] = (scales >> 4) as i8;
    }
}

/// `third bits[32] | low bits[64] | scales[12] | d`
fn decode_q3_k(bytes: &[u8], block: &mut Block) {
    two_bits(&bytes[32..96], &mut block.q);
    for (i, q) in block.q.iter_mut().enumerate() {
        *q |= ((bytes[i % 32] >> (i / 32)) & 1) << 2;
    }
    block.d = half(bytes, 108);
    let scales = &bytes[96..108];
    for i in 0..16 {
        let low = if i < 8 { scales[i] & 15 } else { scales[i - 8] >> 4 };
        let high = (scales[8 + i % 4] >> (2 * (i / 4))) & 3;
        block.scale[i] = (low | high << 4) as i8 - 32;
    }
}

/// The eight 6-bit scales and minima that Q4_K and Q5_K keep in 12 bytes.
fn six_bit_scales(bytes: &[u8], block: &mut Block) {
    (block.d, block.dmin) = (half(bytes, 0), half(bytes, 2));
    let packed = &bytes[4..16];
    for i in 0..8 {
        let (scale, min) = if i < 4 {
            (packed[i] & 63, packed[i + 4] & 63)
        } else {
            let high = |byte: u8| byte >> 6 << 4;
            (packed[i + 4] & 15 | high(packed[i - 4]), packed[i + 4] >> 4 | high(packed[i]))
        };
        block.scale[i] = scale as i8;
        block.min[i] = min as i8;
    }
}

/// Groups `2c` and `2c + 1` are the low and the high nibbles of 32 bytes.
fn nibble_pairs(bytes: &[u8], q: &mut [u8; MAX_BLOCK]) {
    for (bytes, q) in bytes.chunks_exact(32).zip(q.chunks_exact_mut(64)) {
        for (l, byte) in bytes.iter().enumerate() {
            q[l] = byte & 15;
            q[l + 32] = byte >> 4;
        }
    }
}

/// `d | dmin | scales[12] | nibbles[128]`
fn decode_q4_k(bytes: &[u8], block: &mut Block) {
    six_bit_scales(bytes, block);
    nibble_pairs(&bytes[16..144], &mut block.q);
}

/// `d | dmin | scales[12] | fifth bits[32] | nibbles[128]`
fn decode_q5_k(bytes: &[u8], block: &mut Block) {
    six_bit_scales(bytes, block);
    nibble_pairs(&bytes[48..176], &mut block.q);
    for (group, q) in block.q.chunks_exact_mut(32).enumerate() {
        for (q, bits) in q.iter_mut().zip(&bytes[16..48]) {
            *q |= ((bits >> group) & 1) << 4;
        }
    }
}

/// `low nibbles[128] | high pairs of bits[64] | scales[16] (signed) | d`
fn decode_q6_k(bytes: &[u8], block: &mut Block) {
    for (h, q) in block.q.chunks_exact_mut(128).enumerate() {
        let (low, high) = (&bytes[64 * h..64 * h + 64], &bytes[128 + 32 * h..160 + 32 * h]);
        for l in 0..32 {
            q[l] = low[l] & 15 | (high[l] & 3) << 4;
            q[l + 32] = low[l + 32] & 15 | (high[l] >> 2 & 3) << 4;
            q[l + 64] = low[l] >> 4 | (high[l] >> 4 & 3) << 4;
            q[l + 96] = low[l + 32] >> 4 | (high[l] >> 6) << 4;
        }
    }
    block.d = half(bytes, 208);
    for (scale, byte) in block.scale.iter_mut().zip(&bytes[192..208]) {
        *scale = *byte as i8;
    }
}

/// `d | nibbles[16]`
fn decode_iq4_nl(bytes: &[u8], block: &mut Block) {
    block.d = half(bytes, 0);
    nibbles(&bytes[2..], &mut block.q);
}

/// `d | high pairs of bits of the scales, 16 bits | low nibbles of the scales[4] | nibbles[128]`
fn decode_iq4_xs(bytes: &[u8], block: &mut Block) {
    block.d = half(bytes, 0);
    let high = u16::from_le_bytes([bytes[2], bytes[3]]);
    for i in 0..8 {
        let low = bytes[4 + i / 2] >> (4 * (i % 2)) & 15;
        block.scale[i] = (low | ((high >> (2 * i)) as u8 & 3) << 4) as i8 - 32;
        nibbles(&bytes[8 + 16 * i..], &mut block.q[32 * i..]);
    }
}

/// Decodes a whole tensor, or any number of whole rows of one, to `f32`.
///
/// # Errors
/// [`Error::Columns`] if `out` is not a whole number of blocks, [`Error::Length`] if `bytes` is not their length.
pub fn dequantize(dtype: Dtype, bytes: &[u8], out: &mut [f32]) -> Result<(), Error> {
    check_length(dtype, bytes, 1, out.len())?;
    match (dtype, Encoding::of(dtype)) {
        (_, Some(encoding)) => {
            let mut block = Block::ONES;
            let blocks = bytes.chunks_exact(dtype.block_bytes());
            for (bytes, out) in blocks.zip(out.chunks_exact_mut(dtype.block_elements())) {
                (encoding.decode)(bytes, &mut block);
                weights(&encoding, &block, out);
            }
        }
        (Dtype::F32, None) => {
            for (bytes, out) in bytes.as_chunks::<4>().0.iter().zip(out) {
                *out = f32::from_le_bytes(*bytes);
            }
        }
        (Dtype::F16, None) => {
            for (bytes, out) in bytes.as_chunks::<2>().0.iter().zip(out) {
                *out = f16::from_le_bytes(*bytes).to_f32();
            }
        }
        (_, None) => {
            for (bytes, out) in bytes.as_chunks::<2>().0.iter().zip(out) {
                *out = bf16::from_le_bytes(*bytes).to_f32();
            }
        }
    }
    Ok(())
}

/// Decodes row `row` of a matrix with `out.len()` columns: an embedding lookup.
///
/// # Errors
/// [`Error::Columns`] if `out` is not a whole number of blocks, [`Error::Length`] if the matrix ends before that row.
pub fn dequantize_row(dtype: Dtype, bytes: &[u8], row: usize, out: &mut [f32]) -> Result<(), Error> {
    let n_cols = out.len();
    let row_bytes = row_bytes(dtype, n_cols)?;
    let end = row_bytes.saturating_mul(row.saturating_add(1));
    let start = end.saturating_sub(row_bytes);
    let length = || Error::Length { dtype, n_rows: row.saturating_add(1), n_cols, want: end, got: bytes.len() };
    dequantize(dtype, bytes.get(start..end).ok_or_else(length)?, out)
}

/// The weights of a block; `out` is as long as the block.
pub(super) fn weights(encoding: &Encoding, block: &Block, out: &mut [f32]) {
    let value = |q: u8| encoding.codebook.map_or(q, |codebook| codebook[usize::from(q)]);
    for (group, out) in out.chunks_exact_mut(encoding.group).enumerate() {
        let q = &block.q[group * encoding.group..];
        let scale = block.d.to_f32() * f32::from(block.scale[group]);
        match encoding.offset_log2 {
            Some(log2) => {
                let offset = 1 << log2;
                for (out, q) in out.iter_mut().zip(q) {
                    *out = scale * (i32::from(value(*q)) - offset) as f32;
                }
            }
            None => {
                let min = block.dmin.to_f32() * f32::from(block.min[group]);
                for (out, q) in out.iter_mut().zip(q) {
                    *out = scale * f32::from(value(*q)) - min;
                }
            }
        }
    }
}

/// Bytes of one row.
pub(super) fn row_bytes(dtype: Dtype, n_cols: usize) -> Result<usize, Error> {
    if !n_cols.is_multiple_of(dtype.block_elements()) {
        return Err(Error::Columns { dtype, n_cols });
    }
    Ok((n_cols / dtype.block_elements()).saturating_mul(dtype.block_bytes()))
}

/// Checks that `bytes` holds exactly a matrix of this shape.
pub(super) fn check_length(dtype: Dtype, bytes: &[u8], n_rows: usize, n_cols: usize) -> Result<(), Error> {
    let want = row_bytes(dtype, n_cols)?.saturating_mul(n_rows);
    if bytes.len() == want {
        return Ok(());
    }
    Err(Error::Length { dtype, n_rows, n_cols, want, got: bytes.len() })
}
