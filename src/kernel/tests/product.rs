//! Products against plain sums in `f64`, on every instruction set, batch size and number of threads.

use super::super::packed::View;
use super::super::{Error, Isa, Packed, QuantizedRows, Threads, dequantize, isa};
use super::{ENCODINGS, Random, assert_close, assert_same_bits, on_every_isa};
use crate::types::{Dtype, Precision};
use proptest::prelude::*;

/// A packed matrix of random blocks with its weights.
fn matrix(dtype: Dtype, n_rows: usize, n_cols: usize, seed: u64) -> (Packed, Vec<f32>) {
    let bytes = Random(seed).blocks(dtype, n_rows * n_cols / dtype.block_elements());
    let mut weights = vec![0.0; n_rows * n_cols];
    dequantize(dtype, &bytes, &mut weights).expect("the lengths fit");
    (Packed::pack(dtype, &bytes, n_rows, n_cols).expect("the lengths fit"), weights)
}

fn product(packed: &Packed, isa: Isa, x: &[f32], threads: &Threads) -> Vec<f32> {
    packed.matmul_on(isa, x, x.len() / packed.n_cols(), threads)
}

/// The product in `f64`, of the activations as they are quantized, and for every row the sum of magnitudes.
fn reference(weights: &[f32], x: &[f32], n_cols: usize, quantized: bool) -> (Vec<f64>, f64) {
    let x: Vec<f64> =
        if quantized { x.chunks(32).flat_map(round_to_codes).collect() } else { x.iter().map(|&x| x.into()).collect() };
    let mut largest = 0.0f64;
    let out = x.chunks(n_cols).flat_map(|x| {
        weights
            .chunks(n_cols)
            .map(|w| w.iter().zip(x).map(|(&w, x)| f64::from(w) * x).collect::<Vec<_>>())
            .collect::<Vec<_>>()
    });
    let out = out.map(|terms| {
        largest = largest.max(terms.iter().map(|t| t.abs()).sum());
        terms.iter().sum()
    });
    (out.collect(), largest)
}

/// Activations of one group after quantization, by the definition.
fn round_to_codes(x: &[f32]) -> Vec<f64> {
    let most = |sign: f32| x.iter().fold(0.0f32, |most, x| most.max(sign * x));
    let (up, down) = (most(1.0), most(-1.0));
    let scale = (up.max(down) * (1.0 / 127.0)).max(up.min(down) * (1.0 / 96.0));
    let scale = if up > down { -scale } else { scale };
    x.iter().map(|&x| f64::from(x * (1.0 / scale)).round_ties_even() * f64::from(scale)).collect()
}

/// Columns that suit every encoding, and a number of rows that is not whole blocks.
const SHAPE: [usize; 2] = [37, 512];

#[test]
fn products_equal_the_sum_of_their_terms_on_every_instruction_set() {
    let threads = Threads::new(2);
    for (dtype, _) in ENCODINGS {
        let (packed, weights) = matrix(dtype, SHAPE[0], SHAPE[1], 1);
        let x = Random(2).floats(3 * SHAPE[1]);
        let got = on_every_isa(dtype.name(), |isa| product(&packed, isa, &x, &threads));
        let (want, magnitude) = reference(&weights, &x, SHAPE[1], packed.is_quantized());
        let error = got.iter().zip(&want).fold(0.0f64, |error, (got, want)| error.max((f64::from(*got) - want).abs()));
        assert!(error <= magnitude * 1e-6, "{dtype:?}: error {error:.2e} of {magnitude:.2e}");
    }
}

#[test]
fn a_row_does_not_depend_on_the_others_or_on_the_threads() {
    const M: usize = 37;
    let pools = [Threads::new(1), Threads::new(2), Threads::new(5)];
    for (dtype, _) in ENCODINGS {
        let (packed, _) = matrix(dtype, SHAPE[0], SHAPE[1], 3);
        let x = Random(4).floats(M * SHAPE[1]);
        for isa in Isa::available() {
            let alone: Vec<f32> = x.chunks(SHAPE[1]).flat_map(|x| product(&packed, isa, x, &pools[0])).collect();
            for threads in &pools {
                let name = format!("{dtype:?} on {} and {} threads", isa.name(), threads.n_threads());
                assert_same_bits(&name, &product(&packed, isa, &x, threads), &alone);
            }
        }
    }
}

#[test]
fn many_blocks_are_the_same_as_one_by_one() {
    // More blocks per piece of work than stay in the cache at once, and a last one that is not full.
    let (n_rows, n_cols) = (1029, 4096);
    let (packed, weights) = matrix(Dtype::Q8_0, n_rows, n_cols, 12);
    let x = Random(13).floats(9 * n_cols);
    let got = product(&packed, isa(), &x, &Threads::new(2));
    let (want, magnitude) = reference(&weights, &x, n_cols, true);
    for (i, (got, want)) in got.iter().zip(&want).enumerate() {
        assert!((f64::from(*got) - want).abs() <= magnitude * 1e-6, "element {i}: {got} is not {want}");
    }
}

#[test]
fn products_in_pairs_are_the_same_bit_for_bit() {
    // Rows of nothing but the largest codes of either sign meet weights of any code; full strips, and one that is not.
    let threads = Threads::new(2);
    let pairs = Isa::available().into_iter().filter(|&isa| isa >= Isa::Avx512Vnni);
    for (isa, (dtype, _)) in pairs.flat_map(|isa| ENCODINGS.map(|encoding| (isa, encoding))) {
        // Not a whole number of panels, nor of blocks.
        let n_cols = 5 * dtype.block_elements().max(32);
        let (packed, _) = matrix(dtype, 37, n_cols, 40);
        if !packed.is_quantized() {
            continue;
        }
        for m in [8, 37, 72, 131] {
            let mut x = Random(41).floats(m * n_cols);
            x[..n_cols].fill(1.0);
            x[n_cols..2 * n_cols].fill(-1.0);
            let codes = QuantizedRows::quantize_on(isa, &x, [m, n_cols], Precision::Bits8, &threads);
            let [one, pairs] =
                [false, true].map(|in_pairs| View::all(&packed).matmul_in_pairs(in_pairs, isa, &codes, &threads));
            assert_same_bits(&format!("{dtype:?}, {m} rows on {}", isa.name()), &pairs, &one);
        }
    }
}

#[test]
fn one_quantization_serves_several_matrices() {
    let pools = [Threads::new(1), Threads::new(3)];
    // Of other formats and sizes, one without rows; few rows of activations, and more than a thread takes at once.
    let matrices = [(Dtype::Q4_K, 20), (Dtype::Q6_K, 300), (Dtype::Q8_0, 0), (Dtype::Q8_0, 37)];
    let matrices = matrices.map(|(dtype, n_rows)| matrix(dtype, n_rows, 256, 6).0);
    for (threads, m, precision) in [(&pools[0], 2, Precision::Bits8), (&pools[1], 300, Precision::Bits16)] {
        let x = Random(5).floats(m * 256);
        let rows = QuantizedRows::quantize(&x, m, 256, precision, threads);
        let together = Packed::matmul_quantized_each(matrices.each_ref(), &rows, threads);
        for (packed, together) in matrices.iter().zip(together) {
            let what = format!("{m} rows, {} outputs", packed.n_rows());
            assert_eq!(together.len(), m * packed.n_rows(), "{what}");
            assert_same_bits(&what, &together, &packed.matmul_quantized(&rows, &pools[0]));
            if precision == Precision::Bits8 {
                assert_same_bits(&what, &together, &packed.matmul(&x, m, threads));
            }
        }
    }
}

#[test]
fn some_outputs_are_those_of_the_whole_product() {
    let pools = [Threads::new(1), Threads::new(3)];
    let x = Random(31).floats(3 * SHAPE[1]);
    for (dtype, _) in ENCODINGS {
        let (packed, _) = matrix(dtype, SHAPE[0], SHAPE[1], 30);
        for (threads, precision) in [(&pools[0], Precision::Bits8), (&pools[1], Precision::Bits16)] {
            let codes = packed.is_quantized().then(|| QuantizedRows::quantize(&x, 3, SHAPE[1], precision, threads));
            let whole = match &codes {
                Some(codes) => packed.matmul_quantized(codes, threads),
                None => packed.matmul(&x, 3, threads),
            };
            for wanted in [vec![], vec![0], vec![36], vec![15, 16], vec![3, 5, 33, 34], (0..37).collect::<Vec<u32>>()] {
                let got = match &codes {
                    Some(codes) => packed.matmul_quantized_some(codes, &wanted, threads),
                    None => packed.matmul_some(&x, 3, &wanted, threads),
                };
                let rows = whole.chunks(SHAPE[0]);
                let want: Vec<f32> = rows.flat_map(|row| wanted.iter().map(|&i| row[i as usize])).collect();
                assert_same_bits(&format!("{dtype:?}, {precision:?}, {wanted:?}"), &got, &want);
            }
        }
    }
}

#[test]
fn sixteen_bits_lose_nothing_that_matters() {
    let threads = Threads::new(2);
    let x = Random(21).floats(3 * SHAPE[1]);
    for (dtype, _) in ENCODINGS {
        let (packed, weights) = matrix(dtype, SHAPE[0], SHAPE[1], 20);
        if !packed.is_quantized() {
            continue;
        }
        let (want, magnitude) = reference(&weights, &x, SHAPE[1], false);
        let error = |precision| {
            let rows = QuantizedRows::quantize(&x, 3, SHAPE[1], precision, &threads);
            let got = packed.matmul_quantized(&rows, &threads);
            assert_eq!(got.len(), want.len());
            got.iter().zip(&want).fold(0.0f64, |error, (got, want)| error.max((f64::from(*got) - want).abs()))
        };
        let (coarse, fine) = (error(Precision::Bits8), error(Precision::Bits16));
        assert!(fine <= magnitude * 1e-5, "{dtype:?}: error {fine:.2e} of {magnitude:.2e}");
        assert!(fine * 20.0 < coarse, "{dtype:?}: {fine:.2e} is no better than {coarse:.2e}");
    }
}

#[test]
fn outliers_and_broken_activations_stay_in_their_row() {
    let threads = Threads::new(1);
    let (packed, weights) = matrix(Dtype::Q4_K, 16, 256, 7);
    for (what, value) in [("nan", f32::NAN), ("inf", f32::INFINITY), ("huge", 1e38), ("tiny", 1e-40)] {
        let mut x = Random(8).floats(3 * 256);
        let clean = product(&packed, Isa::Scalar, &x, &threads);
        x[256 + 77] = value;
        let got = on_every_isa(what, |isa| product(&packed, isa, &x, &threads));
        assert_same_bits(what, &got[..16], &clean[..16]);
        assert_same_bits(what, &got[32..], &clean[32..]);
        let finite = got[16..32].iter().all(|x| x.is_finite());
        assert_eq!(finite, value.is_finite() && value.abs() < 1e30 || finite && value == 1e38, "{what}");
    }
    let (want, _) = reference(&weights, &[0.0; 256], 256, false);
    assert_close("zeros", &product(&packed, Isa::Scalar, &[0.0; 256], &threads), &want, 0.0);
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    for (dtype, n_bytes, shape, want) in [
        (Dtype::Q6_K, 210, [1, 128], "a row of 128 elements is not a whole number of Q6_K blocks of 256"),
        (Dtype::Q5_0, 44, [2, 64], "Q5_0 [2, 64] takes 88 bytes, got 44"),
        (Dtype::Q5_0, 0, [usize::MAX, 64], &format!("Q5_0 [{0}, 64] takes {0} bytes, got 0", usize::MAX)),
    ] {
        let error = Packed::pack(dtype, &vec![0; n_bytes], shape[0], shape[1]).expect_err(want);
        assert_eq!(error.to_string(), want);
        assert!(matches!(error, Error::Columns { .. } | Error::Length { .. }));
    }
    for (n_rows, n_cols) in [(0, 64), (5, 0)] {
        for (dtype, m) in [(Dtype::Q8_0, 1), (Dtype::Q5_0, 1), (Dtype::Q5_0, 70)] {
            let packed = Packed::pack(dtype, &[], n_rows, n_cols).expect("nothing is a shape too");
            assert_eq!(packed.matmul(&vec![0.0; m * n_cols], m, &Threads::new(1)), vec![0.0; m * n_rows]);
        }
    }
}

#[test]
fn packing_adds_little_to_the_file() {
    for (dtype, bits) in [
        (Dtype::Q4_0, 4.5),
        (Dtype::Q4_1, 5.0),
        (Dtype::Q4_K, 4.625),
        (Dtype::Q5_0, 5.5),
        (Dtype::Q5_K, 5.625),
        (Dtype::Q6_K, 6.625),
        (Dtype::Q8_0, 8.5),
        (Dtype::IQ4_NL, 4.5),
        (Dtype::IQ4_XS, 4.375),
        (Dtype::F16, 16.0),
        (Dtype::F32, 32.0),
    ] {
        let (packed, _) = matrix(dtype, 32, 512, 9);
        assert_eq!(packed.n_bytes() as f64 * 8.0 / (32.0 * 512.0), bits, "{dtype:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_shape_is_the_same_on_every_instruction_set(
        which in 0..ENCODINGS.len(), n_rows in 1usize..50, n_blocks in 1usize..4, m in 1usize..20, seed: u64,
    ) {
        let dtype = ENCODINGS[which].0;
        let n_cols = n_blocks * dtype.block_elements();
        let (packed, _) = matrix(dtype, n_rows, n_cols, seed);
        let x = Random(!seed).floats(m * n_cols);
        let threads = Threads::new(2);
        on_every_isa(dtype.name(), |isa| product(&packed, isa, &x, &threads));
    }
}
