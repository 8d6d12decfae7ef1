//! From how many rows on tiles are faster than integers: measured where both are.
//!
//! The answer depends on the machine (memory, cores, clock under load) and on the matrix (size, encoding), so it is
//! asked of a model's own matrices once they are packed. Each product takes the next matrix, so that weights come from
//! memory as they do in a forward pass.

use super::TiledRows;
use crate::kernel::activation::QuantizedRows;
use crate::kernel::isa::{Isa, isa};
use crate::kernel::packed::Packed;
use crate::kernel::threads::Threads;
use crate::types::Precision;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Numbers of rows that are tried, most first.
const CANDIDATES: [usize; 5] = [16, 12, 8, 6, 4];
/// Products per number of rows and kind; the fastest counts.
const TRIES: usize = 3;
/// What holds where there is nothing to measure: between the crossovers of a large and of a small model on a machine
/// with two cores.
const ESTIMATE: usize = 8;

/// The number of rows from which on [`Packed::matmul_tiled`] is faster than [`Packed::matmul_quantized`], measured in a
/// few milliseconds on `matrices` of one shape; `None` where the CPU has no tiles or they are not worth it.
pub fn tiles_from(matrices: &[&Packed], threads: &Threads) -> Option<usize> {
    if isa() < Isa::Avx512Amx {
        return None;
    }
    match matrices.iter().find(|packed| packed.is_quantized()) {
        Some(first) => {
            let shape = |packed: &Packed| (packed.is_quantized(), packed.n_rows(), packed.n_cols());
            let alike: Vec<&Packed> = matrices.iter().copied().filter(|packed| shape(packed) == shape(first)).collect();
            crossover(|m| times(&alike, m, threads))
        }
        None => Some(ESTIMATE),
    }
}

/// What a product of `m` rows takes with integers and with tiles, the preparation of the activations included.
///
/// `matrices` are quantized and of one shape, and there is one.
pub(super) fn times(matrices: &[&Packed], m: usize, threads: &Threads) -> [Duration; 2] {
    let n_cols = matrices[0].n_cols();
    let x: Vec<f32> = (0..m * n_cols).map(|i| (i * 7919 % 1000) as f32 / 500.0 - 1.0).collect();
    let mut turn = matrices.iter().cycle();
    let mut next = || turn.next().expect("there is a matrix");
    let mut best = [Duration::MAX; 2];
    for _ in 0..TRIES {
        best[0] = best[0].min(time(|| {
            let x = QuantizedRows::quantize(&x, m, n_cols, Precision::Bits8, threads);
            black_box(next().matmul_quantized(&x, threads));
        }));
        best[1] = best[1].min(time(|| {
            let x = TiledRows::new(&x, m, n_cols, threads);
            black_box(next().matmul_tiled(&x, threads));
        }));
    }
    best
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// The smallest candidate at which, and at all larger ones, tiles are faster; `times(m)`: of integers, of tiles.
pub(super) fn crossover(mut times: impl FnMut(usize) -> [Duration; 2]) -> Option<usize> {
    let faster = CANDIDATES.into_iter().take_while(|&m| {
        let [integers, tiles] = times(m);
        tiles < integers
    });
    faster.last()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Dtype;

    #[test]
    fn the_crossover_is_where_tiles_begin_to_win_for_good() {
        // Tiles win at these numbers of rows.
        for (wins, want) in [
            (&[16, 12, 8, 6, 4][..], Some(4)),
            (&[16, 12, 8], Some(8)),
            (&[16, 12, 6, 4], Some(12)),
            (&[16], Some(16)),
            (&[12, 8], None),
            (&[], None),
        ] {
            let times = |m| if wins.contains(&m) { [2, 1] } else { [1, 1] }.map(Duration::from_micros);
            assert_eq!(crossover(times), want, "{wins:?}");
        }
    }

    #[test]
    fn matrices_are_measured_in_turn_and_asked_only_where_there_are_tiles() {
        let threads = Threads::new(1);
        let pack = |dtype: Dtype| Packed::pack(dtype, &vec![0; 32 * dtype.block_bytes()], 32, 32).expect("it fits");
        let (coded, dense) = (pack(Dtype::Q8_0), Packed::pack(Dtype::F32, &[0; 4096], 32, 32).expect("it fits"));
        let [integers, tiles] = times(&[&coded, &coded], 4, &threads);
        assert!(integers < Duration::MAX && tiles < Duration::MAX);
        let has_tiles = isa() >= Isa::Avx512Amx;
        assert_eq!(tiles_from(&[&dense], &threads), has_tiles.then_some(ESTIMATE));
        assert!(has_tiles || tiles_from(&[&coded], &threads).is_none());
    }
}
