//! Products of quantized weights and many rows of activations, on tiles of bfloat16.
//!
//! A tile register holds 16 lines. One instruction multiplies 16 rows of 32 activations with 16 rows of 32 weights and
//! adds the 256 sums to a third register, ten times as fast as integer lanes. In the packed layout a dword lane is a
//! row of weights and its bytes are neighbouring columns, which is what the instruction wants of its second operand: a
//! unit of 16 rows and 32 columns becomes a tile without a shuffle. So weights are expanded to bfloat16 a unit at a
//! time, in a ring that stays in the first-level cache, and sums stay in registers over all columns.
//!
//! [`TileRegisters`] is what a register can do: [`Model`] is the definition in plain Rust, [`Amx`] the instructions.
//! The product is written over it and over the lanes of [`Simd`](super::simd::Simd), so that everything but the
//! instructions themselves is tested on every machine.
//!
//! Invariants:
//! - A row's result does not depend on the other rows of the product, the threads or the lanes. But it is rounded other
//!   than in the products of [`Packed::matmul_quantized`], so whoever takes tiles from some number of rows on gets
//!   results that depend on that number.
//! - Registers are a thread's own, and the compiler does not know of them: they are configured where a product starts,
//!   released where it ends, and nothing in between calls code that is not in this crate.
//!
//! Must not know: who decides which product is taken.

#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod amx;
mod check;
mod crossover;
mod model;
mod product;
mod row;

#[cfg(target_arch = "x86_64")]
pub(super) use amx::Amx;
pub use crossover::tiles_from;
pub(super) use model::Model;
pub use row::TiledRows;

use super::format::{UNIT, with_format};
use super::isa::{Isa, isa, run};
use super::matmul::Outputs;
use super::packed::{Packed, View};
use super::simd::Line;
use super::threads::{Threads, collect};
use crate::types::Dtype;
use product::TileProduct;
use std::marker::PhantomData;

/// Rows of a tile.
pub(super) const TILE_ROWS: usize = 16;
/// Tile registers.
pub(super) const N_REGISTERS: usize = 8;

/// The content of a register: lines of 32 numbers in bfloat16 or of 16 in `f32`.
pub(super) type Tile = [Line; TILE_ROWS];

/// What eight tile registers can do. The number of a register is part of an instruction, hence a constant.
///
/// All lines are 64 bytes wide. Between `configure` and `release` only; a use that does not fit the configuration is a
/// fault of the CPU, and a panic of the model.
pub(super) trait TileRegisters: Clone + Sync {
    /// Gives every register its rows, 1 to 16, and clears it.
    fn configure(&mut self, n_rows: [u8; N_REGISTERS]);
    /// Ends the use of all registers.
    fn release(&mut self);
    /// Clears register `T`.
    fn zero<const T: usize>(&mut self);
    /// Fills the rows of register `T`.
    fn load<const T: usize>(&mut self, from: &Tile);
    /// Writes the rows of register `T`, and nothing to the lines after them.
    fn store<const T: usize>(&mut self, to: &mut Tile);
    /// For every row `m` of `C` and `A`, which have as many, and every `n` below 16:
    /// `C[m][n] += sum over k of A[m][2k]·B[k][2n] + A[m][2k + 1]·B[k][2n + 1]`, with `B` of 16 rows.
    ///
    /// The numbers of `A` and `B` are bfloat16, those of `C` `f32`. The even and the odd terms are summed apart, one
    /// fused multiply-add each, in the order of `k`; then both sums are added, and the total to `C`. Numbers too small
    /// to be normal count as zero, coming and going.
    fn dot<const C: usize, const A: usize, const B: usize>(&mut self);
}

impl Packed {
    /// Multiplies the rows of `x` with the transpose of this matrix: `[x.n_rows(), outputs]`; weights and activations are
    /// rounded to bfloat16, sums are `f32`.
    ///
    /// The error, as root of the summed squares relative to that of the outputs, is below 4e-3 for normally distributed
    /// activations of which one in 256 is twelve times as large; that of [`Packed::matmul_quantized`] is below 1e-2.
    /// Where the CPU has no tiles, software does what they would, slowly.
    ///
    /// # Panics
    /// If the weights are dense, or a shape does not fit.
    pub fn matmul_tiled(&self, x: &TiledRows, threads: &Threads) -> Vec<f32> {
        let view = View::all(self);
        #[cfg(target_arch = "x86_64")]
        if let Some(amx) = Amx::in_use() {
            return view.matmul_tiled_on((isa(), amx), x, threads);
        }
        view.matmul_tiled_on((isa(), Model::default()), x, threads)
    }
}

impl View<'_> {
    /// As [`Packed::matmul_tiled`] for the blocks of this view, on these lanes and registers.
    pub(super) fn matmul_tiled_on<T: TileRegisters>(
        self,
        (isa, registers): (Isa, T),
        x: &TiledRows,
        threads: &Threads,
    ) -> Vec<f32> {
        assert_eq!(x.n_cols(), self.weights().n_cols(), "the activations do not have the columns of the weights");
        let multiply = |out: Outputs<'_>| {
            with_format!(self.weights().dtype(), F => self.for_blocks(threads, |blocks| {
                let registers = registers.clone();
                run(isa, TileProduct::<F, T> { weights: self, x, blocks, out: &out, registers, format: PhantomData });
            }), else panic!("dense weights take activations of full precision"));
        };
        // SAFETY: every block is computed, and a product stores the outputs of its blocks for every row of every tile.
        unsafe { collect(x.n_rows() * self.n_rows(), multiply) }
    }
}

/// Products of tiles that lie in the nearest cache, `4 * n_rounds` of them: how many multiplications and additions they
/// are, and what does them on the calling thread. `None` where tiles are not in use.
#[cfg(target_arch = "x86_64")]
pub(super) fn tile_products(n_rounds: usize) -> Option<(usize, impl Fn() + Sync)> {
    let amx = Amx::in_use()?;
    let fraction = |first: usize| check::tile(move |i| ((first + i) * 7919 % 1009) as f32 / 504.0 - 1.0);
    let operands = [0, 1000, 2000, 3000].map(fraction);
    let n_ops = 4 * n_rounds * 2 * TILE_ROWS * TILE_ROWS * UNIT;
    Some((n_ops, move || {
        std::hint::black_box(multiply_tiles(amx, &operands, n_rounds));
    }))
}

/// As above: there are none.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn tile_products(_n_rounds: usize) -> Option<(usize, fn())> {
    None
}

/// Two tiles with two others, `n_rounds` times; returns the last sum.
#[cfg(target_arch = "x86_64")]
fn multiply_tiles<T: TileRegisters>(mut registers: T, [a, b, c, d]: &[Tile; 4], n_rounds: usize) -> Tile {
    registers.configure([TILE_ROWS as u8; N_REGISTERS]);
    for _ in 0..n_rounds {
        registers.load::<4>(a);
        registers.load::<5>(b);
        registers.dot::<0, 4, 5>();
        registers.load::<6>(c);
        registers.dot::<1, 6, 5>();
        registers.load::<7>(d);
        registers.dot::<2, 4, 7>();
        registers.dot::<3, 6, 7>();
    }
    let mut sum = [Line::ZERO; TILE_ROWS];
    registers.store::<3>(&mut sum);
    registers.release();
    sum
}
