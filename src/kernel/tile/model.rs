//! The definition of every tile operation, in plain Rust.
//!
//! Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, `TDPBF16PS`.

use super::{N_REGISTERS, TILE_ROWS, Tile, TileRegisters};
use crate::kernel::simd::{LANES, Line};
use half::bf16;

/// Registers as arrays. Always available.
#[derive(Debug, Clone)]
pub(in crate::kernel) struct Model {
    /// Rows of every register; 0 where it may not be used.
    n_rows: [usize; N_REGISTERS],
    tiles: [Tile; N_REGISTERS],
}

impl Default for Model {
    fn default() -> Self {
        Self { n_rows: [0; N_REGISTERS], tiles: [[Line::ZERO; TILE_ROWS]; N_REGISTERS] }
    }
}

impl Model {
    fn n_rows(&self, register: usize) -> usize {
        let n_rows = self.n_rows[register];
        assert!(n_rows > 0, "tile register {register} is not configured");
        n_rows
    }
}

/// Zero in place of a number that is too small to be normal.
fn flush(x: f32) -> f32 {
    if x.is_subnormal() { 0.0f32.copysign(x) } else { x }
}

/// The numbers of a line in bfloat16.
fn brains(line: &Line) -> [f32; 2 * LANES] {
    let pairs = line.0.as_chunks::<2>().0;
    std::array::from_fn(|i| flush(bf16::from_le_bytes(pairs[i]).to_f32()))
}

/// One row of a product, added to `c`.
fn add_row(c: &Line, a: &Line, b: &[[f32; 2 * LANES]]) -> Line {
    let mut sums = [0.0; 2 * LANES];
    for (a, b) in brains(a).as_chunks::<2>().0.iter().zip(b) {
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = flush(a[i % 2].mul_add(b[i], *sum));
        }
    }
    let mut out = Line::ZERO;
    let columns = out.0.as_chunks_mut::<4>().0.iter_mut().zip(c.0.as_chunks::<4>().0);
    for ((out, c), sums) in columns.zip(sums.as_chunks::<2>().0) {
        let c = flush(f32::from_le_bytes(*c));
        *out = flush(c + flush(sums[0] + sums[1])).to_le_bytes();
    }
    out
}

impl TileRegisters for Model {
    fn configure(&mut self, n_rows: [u8; N_REGISTERS]) {
        assert!(n_rows.iter().all(|n| (1..=TILE_ROWS as u8).contains(n)), "tiles of {n_rows:?} rows");
        *self = Self { n_rows: n_rows.map(usize::from), ..Self::default() };
    }

    fn release(&mut self) {
        *self = Self::default();
    }

    fn zero<const T: usize>(&mut self) {
        self.n_rows(T);
        self.tiles[T] = [Line::ZERO; TILE_ROWS];
    }

    fn load<const T: usize>(&mut self, from: &Tile) {
        let n_rows = self.n_rows(T);
        self.tiles[T] = [Line::ZERO; TILE_ROWS];
        self.tiles[T][..n_rows].copy_from_slice(&from[..n_rows]);
    }

    fn store<const T: usize>(&mut self, to: &mut Tile) {
        let n_rows = self.n_rows(T);
        to[..n_rows].copy_from_slice(&self.tiles[T][..n_rows]);
    }

    fn dot<const C: usize, const A: usize, const B: usize>(&mut self) {
        let n_rows = self.n_rows(C);
        assert!(C != A && C != B && A != B, "registers {C}, {A}, {B} are not different ones");
        assert_eq!((self.n_rows(A), self.n_rows(B)), (n_rows, TILE_ROWS), "rows of registers {A} and {B}");
        let b = self.tiles[B].each_ref().map(brains);
        for m in 0..n_rows {
            self.tiles[C][m] = add_row(&self.tiles[C][m], &self.tiles[A][m], &b);
        }
    }
}
