//! Weights rearranged for the matrix product: one copy, one layout family, for every encoding.
//!
//! 16 rows are interleaved into a *block*, so that a vector lane is an output row. A block of a quantized matrix is the
//! codes and scales of its units (see [`super::format`]); a block of a dense matrix is one vector of 16
//! weights per column. Rows are padded to a multiple of 16 with zeros.

use super::Error;
use super::encoding::{Block, Encoding, MAX_BLOCK, check_length, row_bytes, weights};
use super::format::{Places, ROWS, UNIT, places, read_codes, write_codes};
use super::memory::{Lines, Mapping, fill_lines};
use super::simd::Line;
use crate::types::Dtype;
use half::{bf16, f16};
use std::sync::Arc;

/// A matrix `[n_rows, n_cols]`, ready to be multiplied with.
#[derive(Debug)]
pub struct Packed {
    dtype: Dtype,
    n_rows: usize,
    n_cols: usize,
    lines_per_block: usize,
    lines: Lines,
}

impl Packed {
    /// Names the packed layout: what one program packed, another one may map if both say the same. It is the same for
    /// every instruction set, and has to change with any byte that packing gives.
    pub const LAYOUT: u32 = if cfg!(target_endian = "little") { 1 } else { 1 | 1 << 31 };
    /// What [`Packed::bytes`] must be aligned to where it is mapped from a file, in bytes.
    pub const ALIGNMENT: usize = align_of::<Line>();

    /// Packs the rows of a GGUF tensor, on all cores.
    ///
    /// # Errors
    /// [`Error::Columns`] if a row is not a whole number of blocks, [`Error::Length`] if `bytes` is not the tensor.
    pub fn pack(dtype: Dtype, bytes: &[u8], n_rows: usize, n_cols: usize) -> Result<Self, Error> {
        check_length(dtype, bytes, n_rows, n_cols)?;
        let row_bytes = row_bytes(dtype, n_cols)?;
        let n_blocks = n_rows.div_ceil(ROWS);
        let lines_per_block = lines_per_block(dtype, n_cols);
        let lines = fill_lines(n_blocks, lines_per_block, |block, lines| {
            let rows = bytes.chunks_exact(row_bytes.max(1)).skip(block * ROWS).take(ROWS);
            for (row, bytes) in rows.enumerate() {
                match (Encoding::of(dtype), places(dtype)) {
                    (Some(encoding), Some(places)) => pack_coded_row(dtype, &encoding, places, (row, bytes), lines),
                    _ => pack_dense_row(dtype, bytes, row, lines),
                }
            }
        });
        Ok(Self { dtype, n_rows, n_cols, lines_per_block, lines: Lines::Owned(lines) })
    }

    /// The matrix whose [`Packed::bytes`] lie at `offset` of a mapped file, where another process or an earlier one of
    /// the same [`Packed::LAYOUT`] put them; nothing is copied.
    ///
    /// `None` if there is no such shape, or they do not lie inside the file, or askew. That they are what was written is
    /// the caller's to check.
    pub fn map(dtype: Dtype, [n_rows, n_cols]: [usize; 2], mapping: &Arc<Mapping>, offset: usize) -> Option<Self> {
        row_bytes(dtype, n_cols).ok()?;
        let lines_per_block = lines_per_block(dtype, n_cols);
        let n_bytes = n_rows.div_ceil(ROWS).checked_mul(lines_per_block)?.checked_mul(size_of::<Line>())?;
        let lines = Lines::mapped(mapping, offset..offset.checked_add(n_bytes)?)?;
        Some(Self { dtype, n_rows, n_cols, lines_per_block, lines })
    }

    /// The packed weights as they lie in memory; their meaning is that of [`Packed::LAYOUT`].
    pub fn bytes(&self) -> &[u8] {
        self.lines.bytes()
    }

    /// Decodes row `row`, as [`super::dequantize_row`] does from the tensor that was packed, bit for bit.
    ///
    /// # Panics
    /// If there is no such row, or `out` is not one row.
    pub fn row(&self, row: usize, out: &mut [f32]) {
        assert!(row < self.n_rows, "row {row} of {}", self.n_rows);
        assert_eq!(out.len(), self.n_cols, "the output is not a row");
        let (lines, lane) = (self.block(row / ROWS), row % ROWS);
        match (Encoding::of(self.dtype), places(self.dtype)) {
            (Some(encoding), Some(places)) => read_coded_row(self.dtype, (&encoding, places), (lane, lines), out),
            _ => read_dense_row(self.dtype, lane, lines, out),
        }
    }

    /// Output features.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Input features.
    pub fn n_cols(&self) -> usize {
        self.n_cols
    }

    /// Encoding of the tensor that was packed.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Bytes that the packed weights take.
    pub fn n_bytes(&self) -> usize {
        self.lines.len() * size_of::<Line>()
    }

    fn n_blocks(&self) -> usize {
        self.n_rows.div_ceil(ROWS)
    }

    fn block(&self, block: usize) -> &[Line] {
        &self.lines[block * self.lines_per_block..(block + 1) * self.lines_per_block]
    }
}

/// The blocks of a matrix that a product computes: all of them, or some, whose rows then stand side by side.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    weights: &'a Packed,
    /// Indices of blocks, where not all of them are taken.
    some: Option<&'a [usize]>,
}

impl<'a> View<'a> {
    pub fn all(weights: &'a Packed) -> Self {
        Self { weights, some: None }
    }

    pub fn of(weights: &'a Packed, blocks: &'a [usize]) -> Self {
        Self { weights, some: Some(blocks) }
    }

    pub fn weights(self) -> &'a Packed {
        self.weights
    }

    pub fn n_blocks(self) -> usize {
        self.some.map_or(self.weights.n_blocks(), <[usize]>::len)
    }

    /// Outputs of the product; the padding of a last block counts where blocks are chosen.
    pub fn n_rows(self) -> usize {
        self.some.map_or(self.weights.n_rows, |blocks| blocks.len() * ROWS)
    }

    /// The `i`th block of the view.
    pub fn block(self, i: usize) -> &'a [Line] {
        self.weights.block(self.some.map_or(i, |blocks| blocks[i]))
    }
}

fn lines_per_block(dtype: Dtype, n_cols: usize) -> usize {
    match (places(dtype), dtype) {
        (Some(places), _) => places.n_lines(n_cols / UNIT),
        (None, Dtype::F32) => n_cols,
        (None, _) => n_cols.div_ceil(2),
    }
}

/// Writes one row, `(row, bytes)`, into its block.
fn pack_coded_row(dtype: Dtype, encoding: &Encoding, places: Places, row: (usize, &[u8]), lines: &mut [Line]) {
    let (row, bytes) = row;
    let groups = UNIT / encoding.group;
    let units_per_block = dtype.block_elements() / UNIT;
    let mut block = Block::ONES;
    for (i, bytes) in bytes.chunks_exact(dtype.block_bytes()).enumerate() {
        (encoding.decode)(bytes, &mut block);
        for (u, q) in block.q.as_chunks::<UNIT>().0[..units_per_block].iter().enumerate() {
            let codes = places.codes(i * units_per_block + u);
            write_codes(row, q, &mut lines[codes..codes + places.code_lines]);
        }
        let first = i * units_per_block;
        let has_min = encoding.offset_log2.is_none();
        if !places.in_bytes {
            write_half(lines, places.scale(first, 0), row, block.d);
            if has_min {
                write_half(lines, places.scale(first, 1), row, block.dmin);
            }
            continue;
        }
        write_half(lines, (places.factors(first), 0), row, block.d);
        write_half(lines, (places.factors(first), 1), row, block.dmin);
        for group in 0..units_per_block * groups {
            let (unit, g) = (first + group / groups, group % groups);
            write_byte(lines, places.scale(unit, g), row, block.scale[group]);
            if has_min {
                write_byte(lines, places.scale(unit, groups + g), row, block.min[group]);
            }
        }
    }
}

/// Writes lane `row` of the vector of 16 half-precision numbers in half `half` of a line.
fn write_half(lines: &mut [Line], (line, half): (usize, usize), row: usize, x: f16) {
    let at = 32 * half + 2 * row;
    lines[line].0[at..at + 2].copy_from_slice(&x.to_ne_bytes());
}

/// Writes lane `row` of the vector of 16 bytes in quarter `quarter` of a line.
fn write_byte(lines: &mut [Line], (line, quarter): (usize, usize), row: usize, x: i8) {
    lines[line].0[16 * quarter + row] = x as u8;
}

/// Reads one row, `(row, lines)`, out of its block.
fn read_coded_row(
    dtype: Dtype,
    (encoding, places): (&Encoding, Places),
    (row, lines): (usize, &[Line]),
    out: &mut [f32],
) {
    let groups = UNIT / encoding.group;
    let units_per_block = dtype.block_elements() / UNIT;
    let has_min = encoding.offset_log2.is_none();
    let mut block = Block::ONES;
    for (i, out) in out.chunks_exact_mut(dtype.block_elements()).enumerate() {
        let first = i * units_per_block;
        for (u, q) in block.q.as_chunks_mut::<UNIT>().0[..units_per_block].iter_mut().enumerate() {
            let codes = places.codes(first + u);
            *q = read_codes(row, &lines[codes..codes + places.code_lines]);
        }
        if places.in_bytes {
            block.d = read_half(lines, (places.factors(first), 0), row);
            block.dmin = read_half(lines, (places.factors(first), 1), row);
            for group in 0..units_per_block * groups {
                let (unit, g) = (first + group / groups, group % groups);
                block.scale[group] = read_byte(lines, places.scale(unit, g), row);
                if has_min {
                    block.min[group] = read_byte(lines, places.scale(unit, groups + g), row);
                }
            }
        } else {
            block.d = read_half(lines, places.scale(first, 0), row);
            if has_min {
                block.dmin = read_half(lines, places.scale(first, 1), row);
            }
        }
        weights(encoding, &block, out);
    }
}

/// The inverse of [`write_half`].
fn read_half(lines: &[Line], (line, half): (usize, usize), row: usize) -> f16 {
    lines[line].halves()[half][row]
}

/// The inverse of [`write_byte`].
fn read_byte(lines: &[Line], (line, quarter): (usize, usize), row: usize) -> i8 {
    lines[line].quarters()[quarter][row]
}

fn read_dense_row(dtype: Dtype, row: usize, lines: &[Line], out: &mut [f32]) {
    for (col, out) in out.iter_mut().enumerate() {
        *out = match dtype {
            Dtype::F32 => lines[col].floats()[row],
            Dtype::F16 => read_half(lines, (col / 2, col % 2), row).to_f32(),
            _ => bf16::from_bits(read_half(lines, (col / 2, col % 2), row).to_bits()).to_f32(),
        };
    }
}

fn pack_dense_row(dtype: Dtype, bytes: &[u8], row: usize, lines: &mut [Line]) {
    if dtype == Dtype::F32 {
        for (line, bytes) in lines.iter_mut().zip(bytes.as_chunks::<4>().0) {
            line.0[4 * row..4 * row + 4].copy_from_slice(&f32::from_le_bytes(*bytes).to_ne_bytes());
        }
        return;
    }
    for (col, bytes) in bytes.as_chunks::<2>().0.iter().enumerate() {
        write_half(lines, (col / 2, col % 2), row, f16::from_bits(u16::from_le_bytes(*bytes)));
    }
}

const _: () = assert!(MAX_BLOCK.is_multiple_of(UNIT));
