//! Whether tile registers do what the model does: asked once before they are trusted.
//!
//! Whole numbers that are summed without rounding must come out equal, byte by byte, and no line past a register's rows
//! may be touched. Of fractions only closeness is asked: a CPU that summed in another order would serve as well.

use super::{Model, N_REGISTERS, TILE_ROWS, Tile, TileRegisters};
use crate::kernel::simd::Line;
use half::{bf16, f16};

/// Rows of the smaller of the two products.
const FEW: usize = 5;

/// Compares `registers` with [`Model`].
pub(super) fn agrees<T: TileRegisters>(registers: T) -> bool {
    let whole = |i: usize| (i * 7919 % 17) as f32 - 8.0;
    let fraction = |i: usize| (i * 7919 % 1009) as f32 / 504.0 - 1.0;
    trial(registers.clone(), whole) == trial(Model::default(), whole)
        && are_close(&trial(registers, fraction), &trial(Model::default(), fraction))
}

/// Two products of 16 and [`FEW`] rows with the same second operand, each added twice to zero.
fn trial<T: TileRegisters>(mut registers: T, number: impl Fn(usize) -> f32) -> [Tile; 2] {
    let tile = |first: usize| tile(|i| number(first + i));
    let (a, b) = ([tile(0), tile(1000)], tile(2000));
    let mut out = [[Line([0xaa; 64]); TILE_ROWS]; 2];
    let mut n_rows = [TILE_ROWS as u8; N_REGISTERS];
    (n_rows[1], n_rows[7]) = (FEW as u8, FEW as u8);
    registers.configure(n_rows);
    registers.zero::<0>();
    registers.zero::<1>();
    for _ in 0..2 {
        registers.load::<4>(&b);
        registers.load::<5>(&a[0]);
        registers.dot::<0, 5, 4>();
        registers.load::<7>(&a[1]);
        registers.dot::<1, 7, 4>();
    }
    registers.store::<0>(&mut out[0]);
    registers.store::<1>(&mut out[1]);
    registers.release();
    out
}

/// Lines of numbers in bfloat16.
pub(super) fn tile(number: impl Fn(usize) -> f32) -> Tile {
    let mut tile = [Line::ZERO; TILE_ROWS];
    for (i, line) in tile.iter_mut().enumerate() {
        for (j, half) in line.halves_mut().as_flattened_mut().iter_mut().enumerate() {
            *half = f16::from_bits(bf16::from_f32(number(2 * TILE_ROWS * i + j)).to_bits());
        }
    }
    tile
}

/// Whether the numbers in `f32` differ by no more than what a sum of 64 products below 1 may be off by.
fn are_close(a: &[Tile; 2], b: &[Tile; 2]) -> bool {
    let numbers = |tiles: &[Tile; 2]| tiles.as_flattened().iter().flat_map(|line| *line.floats()).collect::<Vec<f32>>();
    numbers(a).iter().zip(numbers(b)).all(|(a, b)| (a - b).abs() <= 64.0 * 64.0 * f32::EPSILON)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The model with one mistake.
    #[derive(Clone)]
    struct Wrong(Model, &'static str);

    impl TileRegisters for Wrong {
        fn configure(&mut self, n_rows: [u8; N_REGISTERS]) {
            self.0.configure(if self.1 == "rows" { [TILE_ROWS as u8; N_REGISTERS] } else { n_rows });
        }
        fn release(&mut self) {
            self.0.release();
        }
        fn zero<const T: usize>(&mut self) {
            self.0.zero::<T>();
        }
        fn load<const T: usize>(&mut self, from: &Tile) {
            let mut from = *from;
            if self.1 == "pairs" && T == 4 {
                from.iter_mut()
                    .for_each(|line| line.0.as_chunks_mut::<4>().0.iter_mut().for_each(|b| b.rotate_left(2)));
            }
            self.0.load::<T>(&from);
        }
        fn store<const T: usize>(&mut self, to: &mut Tile) {
            self.0.store::<T>(to);
        }
        fn dot<const C: usize, const A: usize, const B: usize>(&mut self) {
            match self.1 {
                // The second operand has 16 rows, so the small product cannot be turned round.
                "operands" if A != 7 => self.0.dot::<C, B, A>(),
                "sums" => {
                    self.0.zero::<C>();
                    self.0.dot::<C, A, B>();
                }
                _ => self.0.dot::<C, A, B>(),
            }
        }
    }

    #[test]
    fn mistakes_are_seen() {
        assert!(agrees(Wrong(Model::default(), "none")));
        for mistake in ["rows", "pairs", "operands", "sums"] {
            assert!(!agrees(Wrong(Model::default(), mistake)), "{mistake}");
        }
    }
}
