//! The product itself: blocks of 16 rows of weights, for up to 64 rows of activations at a time.
//!
//! Registers 0 to 3 hold the sums, one for each tile of 16 rows of activations, over all columns; register 4 a unit of
//! weights; 5 and 6 activations in turn; 7 those of the last tile, which may have fewer rows. More than 64 rows are
//! several passes over the blocks of a thread: weights are expanded again for each, which the multiplication hides.

#![allow(unsafe_code)]

use super::row::TiledRows;
use super::{N_REGISTERS, TILE_ROWS, Tile, TileRegisters};
use crate::kernel::format::{Format, QUADS, UNIT, Units};
use crate::kernel::isa::Kernel;
use crate::kernel::matmul::{Outputs, store_block};
use crate::kernel::packed::View;
use crate::kernel::simd::{Line, Simd};
use std::marker::PhantomData;
use std::ops::Range;

/// Tiles of activations in one pass.
const MAX_TILES: usize = 4;
/// The register of weights.
const WEIGHTS: usize = 4;
/// The register of the last tile of activations.
const LAST: usize = 7;
/// Expanded units in memory: one is written while the one before is read, and a line is not written again soon after it
/// was read.
const RING: usize = 4;

/// The rows of some blocks, for all rows of activations.
pub(super) struct TileProduct<'a, F, T> {
    pub weights: View<'a>,
    pub x: &'a TiledRows,
    pub blocks: Range<usize>,
    pub out: &'a Outputs<'a>,
    pub registers: T,
    pub format: PhantomData<F>,
}

impl<F: Format, T: TileRegisters> Kernel for TileProduct<'_, F, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        for first in (0..self.x.n_tiles()).step_by(MAX_TILES) {
            match self.x.n_tiles() - first {
                1 => self.pass::<S, 1>(simd, first),
                2 => self.pass::<S, 2>(simd, first),
                3 => self.pass::<S, 3>(simd, first),
                _ => self.pass::<S, MAX_TILES>(simd, first),
            }
        }
    }
}

impl<F: Format, T: TileRegisters> TileProduct<'_, F, T> {
    /// All blocks for `M` tiles of activations.
    #[inline(always)]
    fn pass<S: Simd, const M: usize>(&mut self, simd: S, first: usize) {
        let mut n_rows = [TILE_ROWS as u8; N_REGISTERS];
        let n_last = self.x.n_rows_of(first + M - 1) as u8;
        (n_rows[M - 1], n_rows[LAST]) = (n_last, n_last);
        let mut ring = [[Line::ZERO; TILE_ROWS]; RING];
        self.registers.configure(n_rows);
        for block in self.blocks.clone() {
            self.add_up::<S, M>(simd, &mut ring, first, block);
            self.store::<S, M>(simd, first, block);
        }
        self.registers.release();
    }

    /// The sums of one block, left in the registers.
    #[inline(always)]
    fn add_up<S: Simd, const M: usize>(&mut self, simd: S, ring: &mut [Tile; RING], first: usize, block: usize) {
        /// How far ahead weights are fetched, in lines.
        const AHEAD: usize = 48;
        let (lines, x) = (self.weights.block(block), self.x);
        let n_units = x.n_cols() / UNIT;
        assert_eq!(lines.len(), F::PLACES.n_lines(n_units), "a block of other columns");
        self.registers.zero::<0>();
        self.registers.zero::<1>();
        self.registers.zero::<2>();
        self.registers.zero::<3>();
        for unit in 0..=n_units {
            // One unit is expanded while the one before is multiplied.
            if unit < n_units {
                simd.prefetch(lines, F::PLACES.codes(unit) + AHEAD, F::PLACES.lines_per_unit());
                expand::<S, F>(simd, lines, unit, &mut ring[unit % RING]);
            }
            if let Some(unit) = unit.checked_sub(1) {
                add_unit::<T, M>(&mut self.registers, &ring[unit % RING], |tile| x.tile(first + tile, unit));
            }
        }
    }

    /// Writes the sums of one block where they belong.
    #[inline(always)]
    fn store<S: Simd, const M: usize>(&mut self, simd: S, first: usize, block: usize) {
        let mut sums = [Line::ZERO; TILE_ROWS];
        for tile in 0..M {
            match tile {
                0 => self.registers.store::<0>(&mut sums),
                1 => self.registers.store::<1>(&mut sums),
                2 => self.registers.store::<2>(&mut sums),
                _ => self.registers.store::<3>(&mut sums),
            }
            for (row, sums) in sums[..self.x.n_rows_of(first + tile)].iter().enumerate() {
                let at = [(first + tile) * TILE_ROWS + row, block, self.weights.n_rows()];
                // SAFETY: this thread alone computes this block, so nobody else touches these columns of the output.
                unsafe { store_block(simd, simd.load(sums.floats()), self.out, at) };
            }
        }
    }
}

/// Multiplies one unit of weights with `M` tiles of activations.
#[inline(always)]
fn add_unit<'a, T: TileRegisters, const M: usize>(to: &mut T, weights: &Tile, x: impl Fn(usize) -> &'a Tile) {
    to.load::<WEIGHTS>(weights);
    match M {
        1 => add_tile::<T, 0, LAST>(to, x(0)),
        2 => {
            add_tile::<T, 0, 5>(to, x(0));
            add_tile::<T, 1, LAST>(to, x(1));
        }
        3 => {
            add_tile::<T, 0, 5>(to, x(0));
            add_tile::<T, 1, 6>(to, x(1));
            add_tile::<T, 2, LAST>(to, x(2));
        }
        _ => {
            add_tile::<T, 0, 5>(to, x(0));
            add_tile::<T, 1, 6>(to, x(1));
            add_tile::<T, 2, 5>(to, x(2));
            add_tile::<T, 3, LAST>(to, x(3));
        }
    }
}

#[inline(always)]
fn add_tile<T: TileRegisters, const C: usize, const A: usize>(to: &mut T, x: &Tile) {
    to.load::<A>(x);
    to.dot::<C, A, WEIGHTS>();
}

/// Expands one unit of weights to bfloat16: line `i` of `to` holds columns `2i` and `2i + 1` of all rows.
///
/// A code `q` becomes the number `1 + q/256` by being written into its mantissa, and that becomes the weight with one
/// fused multiply-add: by `256·scale`, plus what makes up for the 1 and for the offset or the minimum. With offsets
/// this is exact, with minima rounded once more than the weight is by itself, 16 bits below it. Then weights are
/// rounded to the nearest number in bfloat16, ties away from zero: of four operations that ties to even would take,
/// one. A scale that is not finite gives numbers without meaning.
///
/// # Panics
/// If the block ends before the unit.
#[inline(always)]
fn expand<S: Simd, F: Format>(simd: S, block: &[Line], unit: usize, to: &mut Tile) {
    let (units, i) = (Units::<S, F>::new(simd, block, unit / F::PLACES.together()), unit % F::PLACES.together());
    // SAFETY: `i` is one of the units that lie together.
    let quads = unsafe { units.quads(i) };
    for g in 0..F::GROUPS {
        // SAFETY: as above; `g` is a group of the format.
        let scale = unsafe { units.scale(i, g) };
        let factor = simd.mul(scale, simd.splat(256.0));
        let rest = match F::OFFSET_LOG2 {
            Some(log2) => simd.mul(scale, simd.splat(-256.0 - (1u32 << log2) as f32)),
            None => {
                // SAFETY: as above; the format has minima.
                let min = unsafe { units.min(i, g) };
                simd.sub(simd.mul(scale, simd.splat(-256.0)), min)
            }
        };
        for j in g * QUADS / F::GROUPS..(g + 1) * QUADS / F::GROUPS {
            let number = |bits: S::I| {
                let mantissa = simd.and(bits, simd.splat_int(0xff << 15));
                let number = simd.of_bits(simd.or(mantissa, simd.splat_int(0x3f80_0000)));
                simd.add_int(simd.bits(simd.fma(number, factor, rest)), simd.splat_int(0x8000))
            };
            let [a, b] = [number(simd.shl(quads[j], 15)), number(simd.shl(quads[j], 7))];
            let [c, d] = [number(simd.shr(quads[j], 1)), number(simd.shr(quads[j], 9))];
            let pair = |even, odd| simd.or(simd.shr(even, 16), simd.and(odd, simd.splat_int(-0x1_0000)));
            simd.store_line(pair(a, b), &mut to[2 * j]);
            simd.store_line(pair(c, d), &mut to[2 * j + 1]);
        }
    }
}
