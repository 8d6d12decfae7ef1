//! Tile registers against their definition, products on them against plain sums in `f64`, and how far each family of
//! products is from exact.

use super::super::packed::{Packed, View};
use super::super::simd::Line;
use super::super::tile::{Model, TILE_ROWS, Tile, TileRegisters, TiledRows};
use super::super::{Isa, QuantizedRows, Threads, dequantize, isa};
use super::{ENCODINGS, Random, assert_same_bits, on_every_isa};
use crate::types::{Dtype, Precision};
use half::{bf16, f16};
use proptest::prelude::*;

/// Lines of numbers in bfloat16.
fn tile(numbers: &[[f32; 32]]) -> Tile {
    let mut tile = [Line::ZERO; TILE_ROWS];
    for (line, numbers) in tile.iter_mut().zip(numbers) {
        for (pair, number) in line.0.as_chunks_mut::<2>().0.iter_mut().zip(numbers) {
            *pair = bf16::from_f32(*number).to_le_bytes();
        }
    }
    tile
}

fn sums(tile: &Tile) -> Vec<[f32; 16]> {
    tile.iter().map(|line| *line.floats()).collect()
}

/// `n_rows` rows of `a`, times `b`, added `n_times` to `c`.
fn dot<T: TileRegisters>(mut registers: T, n_rows: usize, operands: [&Tile; 3], n_times: usize) -> Tile {
    let [c, a, b] = operands;
    let mut rows = [16; 8];
    (rows[2], rows[6]) = (n_rows as u8, n_rows as u8);
    registers.configure(rows);
    registers.load::<2>(c);
    registers.load::<6>(a);
    registers.load::<3>(b);
    for _ in 0..n_times {
        registers.dot::<2, 6, 3>();
    }
    let mut out = [Line([0x55; 64]); TILE_ROWS];
    registers.store::<2>(&mut out);
    registers.release();
    out
}

#[test]
fn a_pair_of_the_first_operand_meets_a_pair_of_the_second() {
    let (mut a, mut b) = ([[0.0; 32]; 16], [[0.0; 32]; 16]);
    // Row 3 of A, pair 5; row 5 of B, column 7.
    (a[3][10], a[3][11]) = (2.0, 3.0);
    (b[5][14], b[5][15]) = (10.0, 100.0);
    let mut c = [Line::ZERO; TILE_ROWS];
    c[3].0[28..32].copy_from_slice(&0.5f32.to_le_bytes());
    let mut want = [[0.0; 16]; 16];
    want[3][7] = 0.5 + 2.0 * (20.0 + 300.0);
    assert_eq!(sums(&dot(Model::default(), 16, [&c, &tile(&a), &tile(&b)], 2)), want);
    // Rows that a register does not have are not written.
    let few = dot(Model::default(), 3, [&c, &tile(&a), &tile(&b)], 1);
    assert_eq!((sums(&few)[..3].to_vec(), few[3]), (vec![[0.0; 16]; 3], Line([0x55; 64])));
}

#[test]
fn numbers_too_small_to_be_normal_are_zero() {
    let tiny = f32::from_bits(0x0040_0000);
    for (a, b, c, want) in [
        (tiny, 1e38, 0.0, 0.0),
        (1e38, tiny, 0.0, 0.0),
        (1.0, 1.0, tiny, 1.0),
        (1e-20, 1e-19, 0.0, 0.0),
        (-1e-20, 1e-19, 0.0, 0.0),
        (f32::MIN_POSITIVE, 1.0, 0.0, f32::MIN_POSITIVE),
        (1e38, 1e38, 0.0, f32::INFINITY),
    ] {
        let (mut x, mut w, mut start) = ([[0.0; 32]; 16], [[0.0; 32]; 16], [Line::ZERO; TILE_ROWS]);
        (x[0][0], w[0][0]) = (a, b);
        start[0].0[..4].copy_from_slice(&c.to_le_bytes());
        let got = sums(&dot(Model::default(), 1, [&start, &tile(&x), &tile(&w)], 1))[0][0];
        assert_eq!(got, want, "{c} + {a}·{b}");
    }
}

/// The definition once more, element by element.
fn naive(c: &Tile, a: &[[f32; 32]], b: &[[f32; 32]], m: usize, n: usize) -> f32 {
    let round = |x: f32| bf16::from_f32(x).to_f32();
    let sum =
        |odd: usize| (0..16).fold(0.0, |sum: f32, k| round(a[m][2 * k + odd]).mul_add(round(b[k][2 * n + odd]), sum));
    c[m].floats()[n] + (sum(0) + sum(1))
}

#[test]
fn the_model_is_the_definition() {
    let mut random = Random(41);
    for n_rows in [1, 2, 7, 15, 16] {
        let mut rows = || std::array::from_fn::<[f32; 32], 16, _>(|_| std::array::from_fn(|_| random.float()));
        let (a, b) = (rows(), rows());
        let c: Tile = std::array::from_fn(|i| {
            let mut line = Line::ZERO;
            line.0.as_chunks_mut::<4>().0.iter_mut().for_each(|x| *x = (i as f32 - 7.3).to_le_bytes());
            line
        });
        let got = dot(Model::default(), n_rows, [&c, &tile(&a), &tile(&b)], 1);
        for (m, got) in got.iter().enumerate().take(n_rows) {
            let want: Vec<f32> = (0..16).map(|n| naive(&c, &a, &b, m, n)).collect();
            assert_same_bits(&format!("row {m} of {n_rows}"), got.floats(), &want);
        }
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
#[allow(clippy::print_stderr)]
fn instructions_do_what_the_model_does() {
    let Some(amx) = super::super::tile::Amx::find() else {
        eprintln!("skipped: this CPU has no tiles, or the system does not grant them");
        return;
    };
    let mut random = Random(43);
    let mut rows = || std::array::from_fn::<[f32; 32], 16, _>(|_| std::array::from_fn(|_| random.float()));
    let (a, b) = (tile(&rows()), tile(&rows()));
    for n_rows in 1..=16 {
        let [got, want] = [
            dot(amx, n_rows, [&[Line::ZERO; TILE_ROWS], &a, &b], 3),
            dot(Model::default(), n_rows, [&[Line::ZERO; TILE_ROWS], &a, &b], 3),
        ];
        assert_eq!(got[n_rows..], want[n_rows..], "{n_rows} rows: the others are not touched");
        for (got, want) in sums(&got).iter().zip(sums(&want)).take(n_rows) {
            assert!(got.iter().zip(want).all(|(got, want)| (got - want).abs() < 1e-4), "{n_rows} rows");
        }
    }
    let threads = Threads::new(2);
    for (dtype, _) in quantized() {
        let (packed, _) = matrix(dtype, [37, 512], 51);
        let x = TiledRows::new(&Random(52).floats(70 * 512), 70, 512, &threads);
        let got = View::all(&packed).matmul_tiled_on((isa(), amx), &x, &threads);
        let want = View::all(&packed).matmul_tiled_on((isa(), Model::default()), &x, &threads);
        let want: Vec<f64> = want.into_iter().map(f64::from).collect();
        assert!(relative_error(&got, &want) < 1e-5, "{dtype:?}");
    }
}

fn quantized() -> impl Iterator<Item = (Dtype, &'static [usize])> {
    ENCODINGS.into_iter().filter(|(dtype, _)| !matches!(dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16))
}

/// Of how many scales the mean minimum of a group should be, so that weights lie around zero; 0 where there are
/// offsets.
fn center(dtype: Dtype) -> f32 {
    match dtype {
        Dtype::Q4_1 => -7.5,
        Dtype::Q5_1 => -15.5,
        Dtype::Q2_K => 1.5,
        Dtype::Q4_K => 7.5,
        Dtype::Q5_K => 15.5,
        _ => 0.0,
    }
}

/// A packed matrix of random codes around zero, of one magnitude, with its weights.
fn matrix(dtype: Dtype, [n_rows, n_cols]: [usize; 2], seed: u64) -> (Packed, Vec<f32>) {
    let mut random = Random(seed);
    let mut bytes = random.blocks(dtype, n_rows * n_cols / dtype.block_elements());
    let (_, factors) = quantized().find(|(known, _)| *known == dtype).expect("it is quantized");
    for block in bytes.chunks_exact_mut(dtype.block_bytes()) {
        let scale = 0.01 * (1.5 + random.float());
        for (at, factor) in factors.iter().zip([scale, scale * center(dtype)]) {
            block[*at..*at + 2].copy_from_slice(&f16::from_f32(factor).to_le_bytes());
        }
    }
    let mut weights = vec![0.0; n_rows * n_cols];
    dequantize(dtype, &bytes, &mut weights).expect("the lengths fit");
    (Packed::pack(dtype, &bytes, n_rows, n_cols).expect("the lengths fit"), weights)
}

/// Normal numbers, one in 256 of them twelve times as large: what activations look like.
fn activations(seed: u64, n: usize) -> Vec<f32> {
    let mut random = Random(seed);
    (0..n).map(|i| random.floats(12).iter().sum::<f32>() * if i % 256 == 17 { 6.0 } else { 0.5 }).collect()
}

fn exact(weights: &[f32], x: &[f32], n_cols: usize) -> Vec<f64> {
    let sum = |w: &[f32], x: &[f32]| w.iter().zip(x).map(|(w, x)| f64::from(*w) * f64::from(*x)).sum();
    x.chunks(n_cols).flat_map(|x| weights.chunks(n_cols).map(move |w| sum(w, x))).collect()
}

/// The root of the summed squares of the differences, over that of `want`.
fn relative_error(got: &[f32], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    let differences: f64 = got.iter().zip(want).map(|(got, want)| (f64::from(*got) - want).powi(2)).sum();
    (differences / want.iter().map(|want| want * want).sum::<f64>()).sqrt()
}

/// A product on the model's registers and the lanes of `isa`.
fn product(packed: &Packed, isa: Isa, x: &[f32], threads: &Threads) -> Vec<f32> {
    let m = x.len() / packed.n_cols();
    let x = TiledRows::new_on(isa, x, [m, packed.n_cols()], threads);
    View::all(packed).matmul_tiled_on((isa, Model::default()), &x, threads)
}

/// Rows of activations, and the shape of a matrix: whole and broken tiles, one to five passes, units that lie together
/// in eights, in pairs and alone.
const SHAPES: [(usize, [usize; 2]); 6] =
    [(1, [16, 256]), (5, [37, 512]), (16, [1, 256]), (33, [50, 768]), (64, [15, 512]), (70, [33, 256])];

#[test]
fn both_families_are_as_close_to_exact_as_they_say() {
    let threads = Threads::new(2);
    for (dtype, _) in quantized() {
        let (mut tiled, mut coded, mut want) = (Vec::new(), Vec::new(), Vec::new());
        for (m, shape) in SHAPES {
            let (packed, weights) = matrix(dtype, shape, 60);
            let x = activations(61, m * shape[1]);
            let exact = exact(&weights, &x, shape[1]);
            let got = on_every_isa(dtype.name(), |isa| product(&packed, isa, &x, &threads));
            let error = relative_error(&got, &exact);
            // Over few outputs the error is not steady; what two roundings can do at most holds for any.
            let limit = if exact.len() < 100 { 8e-3 } else { 4e-3 };
            assert!(error < limit, "{dtype:?} {m} x {shape:?}: tiles are off by {error:.2e}");
            let rows = QuantizedRows::quantize(&x, m, shape[1], Precision::Bits8, &threads);
            tiled.extend(got);
            coded.extend(packed.matmul_quantized(&rows, &threads));
            want.extend(exact);
        }
        let [tiled, coded] = [tiled, coded].map(|got| relative_error(&got, &want));
        assert!(tiled < 4e-3, "{dtype:?}: tiles are off by {tiled:.2e}");
        // With integers an outlier coarsens its whole group: only over many products is the error steady.
        assert!(coded < 1e-2, "{dtype:?}: integers are off by {coded:.2e}");
        assert!(tiled < coded, "{dtype:?}: {tiled:.2e} is no closer than {coded:.2e}");
    }
}

#[test]
fn an_odd_number_of_units_is_multiplied_too() {
    let threads = Threads::new(1);
    for dtype in [Dtype::Q4_0, Dtype::Q4_1, Dtype::Q5_0, Dtype::Q5_1, Dtype::Q8_0] {
        for n_units in [1, 2, 3, 5, 7] {
            let (packed, weights) = matrix(dtype, [17, 32 * n_units], 62);
            let x = activations(63, 18 * 32 * n_units);
            let got = product(&packed, isa(), &x, &threads);
            let error = relative_error(&got, &exact(&weights, &x, 32 * n_units));
            assert!(error < 4e-3, "{dtype:?}, {n_units} units: {error:.2e}");
        }
    }
}

#[test]
fn weights_are_rounded_to_the_nearest() {
    let threads = Threads::new(1);
    // Row `k` of the activations picks column `k` out of the weights.
    let x: Vec<f32> = (0..256 * 256).map(|i| if i / 256 == i % 256 { 1.0 } else { 0.0 }).collect();
    for (dtype, _) in quantized() {
        let (packed, weights) = matrix(dtype, [19, 256], 64);
        let got = product(&packed, isa(), &x, &threads);
        for (row, weights) in weights.chunks(256).enumerate() {
            let spread = weights.iter().fold(0.0f32, |spread, w| spread.max(w.abs()));
            for (k, weight) in weights.iter().enumerate() {
                let error = (got[k * 19 + row] - weight).abs();
                // Half a unit of the last of 8 bits, and what one more rounding in `f32` of up to 256 scales adds.
                let limit = weight.abs() / 256.0 + if center(dtype) == 0.0 { 0.0 } else { spread / 65536.0 };
                assert!(error <= limit, "{dtype:?}: {weight} became {}", got[k * 19 + row]);
            }
        }
    }
}

#[test]
fn a_row_does_not_depend_on_the_others_or_on_the_threads() {
    let pools = [Threads::new(1), Threads::new(3)];
    for (dtype, _) in quantized() {
        let (packed, _) = matrix(dtype, [37, 256], 65);
        let x = activations(66, 70 * 256);
        let alone: Vec<f32> = x.chunks(256).flat_map(|x| product(&packed, isa(), x, &pools[0])).collect();
        for threads in &pools {
            for m in [2, 16, 17, 47, 64, 70] {
                let got = product(&packed, isa(), &x[..m * 256], threads);
                assert_same_bits(&format!("{dtype:?}, {m} rows"), &got, &alone[..m * 37]);
            }
        }
    }
}

#[test]
fn broken_activations_stay_in_their_row() {
    let threads = Threads::new(1);
    let (packed, _) = matrix(Dtype::Q4_K, [16, 256], 67);
    for value in [f32::NAN, f32::INFINITY, f32::from_bits(0x7fff_ffff), f32::from_bits(0xff80_0001)] {
        let mut x = activations(68, 3 * 256);
        let clean = product(&packed, isa(), &x, &threads);
        x[256 + 77] = value;
        let got = on_every_isa("broken", |isa| product(&packed, isa, &x, &threads));
        assert_same_bits("before", &got[..16], &clean[..16]);
        assert_same_bits("after", &got[32..], &clean[32..]);
        assert!(got[16..32].iter().all(|x| !x.is_finite()), "{value}: {:?}", &got[16..32]);
    }
}

#[test]
fn one_rounding_serves_several_matrices_in_public() {
    let threads = Threads::new(2);
    let x = activations(69, 20 * 256);
    let rows = TiledRows::new(&x, 20, 256, &threads);
    assert_eq!((rows.n_rows(), rows.n_cols()), (20, 256));
    for dtype in [Dtype::Q4_K, Dtype::Q6_K, Dtype::Q8_0] {
        let (packed, weights) = matrix(dtype, [20, 256], 70);
        assert!(relative_error(&packed.matmul_tiled(&rows, &threads), &exact(&weights, &x, 256)) < 4e-3, "{dtype:?}");
    }
    let empty = Packed::pack(Dtype::Q8_0, &[], 5, 0).expect("nothing is a shape too");
    assert_eq!(empty.matmul_tiled(&TiledRows::new(&[], 2, 0, &threads), &threads), [0.0; 10]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_shape_is_as_close_to_exact_as_two_roundings(
        which in 0usize..10, n_rows in 1usize..50, n_blocks in 1usize..4, m in 1usize..71, seed: u64,
    ) {
        let (dtype, _) = quantized().nth(which).expect("ten encodings are quantized");
        let n_cols = n_blocks * dtype.block_elements();
        let (packed, weights) = matrix(dtype, [n_rows, n_cols], seed);
        let x = activations(!seed, m * n_cols);
        let got = on_every_isa(dtype.name(), |isa| product(&packed, isa, &x, &Threads::new(2)));
        // A term is off by two roundings to 8 bits at most, and the rounding in `f32` of minima.
        let magnitude = |x: &[f32]| -> Vec<f32> { x.iter().map(|x| x.abs()).collect() };
        let (all, least) = (exact(&magnitude(&weights), &magnitude(&x), n_cols), vec![1e-4; weights.len()]);
        let limits = all.iter().zip(exact(&least, &magnitude(&x), n_cols)).map(|(all, least)| all / 126.0 + least);
        for ((got, want), limit) in got.iter().zip(exact(&weights, &x, n_cols)).zip(limits) {
            prop_assert!((f64::from(*got) - want).abs() <= limit, "{:?}: {} for {}, within {}", dtype, got, want, limit);
        }
    }
}
