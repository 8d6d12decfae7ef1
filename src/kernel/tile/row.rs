//! Activations in bfloat16, as the first operands of products on tiles.
//!
//! 16 rows of 32 columns are a tile; the tiles of 16 rows follow one another in the order of their columns. Missing
//! rows of the last tiles are zeros.
//! Invariant: a row's numbers depend on that row alone.

use super::{TILE_ROWS, Tile};
use crate::kernel::format::UNIT;
use crate::kernel::isa::{Isa, Kernel, isa, run};
use crate::kernel::simd::{LANES, Line, Simd};
use crate::kernel::threads::Threads;

/// Rows of activations, rounded once for every matrix that they are multiplied with.
#[derive(Debug, Clone, PartialEq)]
pub struct TiledRows {
    n_rows: usize,
    n_cols: usize,
    lines: Vec<Line>,
}

impl TiledRows {
    /// Rounds `x`, `[n_rows, n_cols]`; a NaN stays one.
    ///
    /// # Panics
    /// If `n_cols` is not a multiple of 32 or `x` is not of that shape.
    pub fn new(x: &[f32], n_rows: usize, n_cols: usize, threads: &Threads) -> Self {
        Self::new_on(isa(), x, [n_rows, n_cols], threads)
    }

    pub(in crate::kernel) fn new_on(isa: Isa, x: &[f32], [n_rows, n_cols]: [usize; 2], threads: &Threads) -> Self {
        /// Tiles that are worth a fork: about 5 µs of work.
        const CHUNK: usize = 16;
        assert!(n_cols.is_multiple_of(UNIT), "{n_cols} columns are not a multiple of {UNIT}");
        assert_eq!(x.len(), n_rows * n_cols, "activations do not have the shape [{n_rows}, {n_cols}]");
        let n_tiles = n_rows.div_ceil(TILE_ROWS) * (n_cols / UNIT);
        let mut lines = vec![Line::ZERO; n_tiles * TILE_ROWS];
        threads.for_chunks(&mut lines, CHUNK * TILE_ROWS, |i, lines| {
            let tiles = lines.as_chunks_mut().0;
            run(isa, Fill { x, n_cols, first: i * CHUNK, tiles });
        });
        Self { n_rows, n_cols, lines }
    }

    /// Number of rows.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Activations of one row.
    pub fn n_cols(&self) -> usize {
        self.n_cols
    }

    /// Tiles that the rows take; each again for every unit of columns.
    pub(super) fn n_tiles(&self) -> usize {
        self.n_rows.div_ceil(TILE_ROWS)
    }

    /// Rows of tile `tile`: 16, or what is left for the last one.
    pub(super) fn n_rows_of(&self, tile: usize) -> usize {
        (self.n_rows - tile * TILE_ROWS).min(TILE_ROWS)
    }

    /// The unit `unit` of the rows of tile `tile`.
    #[inline(always)]
    pub(super) fn tile(&self, tile: usize, unit: usize) -> &Tile {
        &self.lines.as_chunks().0[tile * (self.n_cols / UNIT) + unit]
    }
}

/// Fills some of all tiles, from number `first` on.
struct Fill<'a> {
    x: &'a [f32],
    n_cols: usize,
    first: usize,
    tiles: &'a mut [Tile],
}

impl Kernel for Fill<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let n_units = self.n_cols / UNIT;
        for (i, tile) in self.tiles.iter_mut().enumerate() {
            let (at, unit) = ((self.first + i) / n_units, (self.first + i) % n_units);
            let rows = self.x[at * TILE_ROWS * self.n_cols..].chunks_exact(self.n_cols);
            for (row, line) in rows.zip(tile) {
                let x = row[unit * UNIT..][..UNIT].as_chunks::<LANES>().0;
                for (x, half) in x.iter().zip(line.halves_mut()) {
                    simd.store_bf16(simd.load(x), half);
                }
            }
        }
    }
}
