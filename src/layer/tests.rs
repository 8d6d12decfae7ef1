//! Parts against their formulas on numbers that can be checked by hand.

use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::*;
use crate::kernel::{RopeStyle, Threads};
use crate::types::{Dtype, Precision};

fn threads() -> Arc<Threads> {
    Arc::new(Threads::new(2))
}

fn tensor(rows: usize, data: &[f32]) -> Tensor {
    Tensor::from_slice(data, (rows, data.len() / rows), &Device::Cpu).unwrap()
}

fn check(got: Result<Tensor, Error>, want: &[f32]) {
    let got = to_vec(&got.unwrap()).unwrap();
    assert_eq!(got.len(), want.len());
    for (got, want) in got.iter().zip(want) {
        assert!((got - want).abs() < 1e-5, "got {got}, expected {want}");
    }
}

/// A dense matrix with `rows` outputs.
fn linear(rows: usize, weights: &[f32]) -> Linear {
    let bytes: Vec<u8> = weights.iter().flat_map(|w| w.to_le_bytes()).collect();
    Linear::pack(Dtype::F32, &bytes, rows, weights.len() / rows, &threads()).unwrap()
}

#[test]
fn linear_multiplies_and_adds_its_bias() {
    let plain = linear(2, &[1.0, 2.0, 3.0, 4.0]);
    let biased = linear(1, &[1.0, 1.0]).with_bias(vec![10.0]).unwrap();
    let x = tensor(2, &[1.0, 0.0, 1.0, 1.0]);
    let [first, second] = Linear::forward_each([&plain, &biased], &x).unwrap();
    check(Ok(first), &[1.0, 3.0, 3.0, 7.0]);
    check(Ok(second), &[11.0, 12.0]);
}

#[test]
fn norm_of_heads_treats_each_on_its_own() {
    let norm = RmsNorm::new(vec![1.0, 2.0], 0.0, &threads());
    let half = 0.5f32.sqrt();
    check(norm.forward(&tensor(1, &[3.0, 3.0, 0.0, 5.0])), &[1.0, 2.0, 0.0, 2.0 / half]);
}

#[test]
fn mlp_gates() {
    let mlp = Mlp {
        gate: linear(1, &[1.0]),
        up: linear(1, &[2.0]),
        down: linear(1, &[3.0]),
        activation: Activation::Silu,
        threads: threads(),
    };
    let silu = |x: f32| x / (1.0 + (-x).exp());
    check(mlp.forward(&tensor(2, &[1.5, -2.0])), &[silu(1.5) * 9.0, silu(-2.0) * -12.0]);
}

#[test]
fn rotation_turns_pairs_by_position() {
    use std::f32::consts::FRAC_PI_2;
    for (style, want) in [
        (RopeStyle::Adjacent, [1.0, 2.0, 3.0, 4.0, -2.0, 1.0, 3.0, 4.0]),
        (RopeStyle::Halves, [1.0, 2.0, 3.0, 4.0, -3.0, 2.0, 1.0, 4.0]),
    ] {
        let rotary = Rotary { freqs: vec![FRAC_PI_2, 0.0], magnitude: 1.0, style };
        let x = tensor(2, &[1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, 4.0]);
        rotary.angles(&[0, 1]).rotate(&x, 4, &Threads::new(1)).unwrap();
        check(Ok(x), &want);
    }
}

#[test]
fn wrong_shapes_are_errors() {
    let x = tensor(1, &[1.0, 2.0, 3.0]);
    for (got, want) in [
        (linear(1, &[1.0, 1.0]).forward(&x), "linear takes rows of 2, got rows of 3"),
        (RmsNorm::new(vec![1.0; 2], 0.0, &threads()).forward(&x), "norm takes rows of a multiple of 2, got rows of 3"),
        (gather(&x, &[1]), "gather takes rows below 1, got row 1"),
    ] {
        assert_eq!(got.unwrap_err().to_string(), want);
    }
}

/// Codes from -8 to 7 in steps of an eighth, with their weights.
fn coded(n_out: usize, n_in: usize) -> (Linear, Vec<f64>) {
    let code = |i: usize| (i * 7919 % 251 % 16) as u8;
    let byte = |block: usize, i: usize| code(32 * block + i) | code(32 * block + i + 16) << 4;
    // Q4_0: a scale in half precision, then 32 codes, those of the second half in the high nibbles.
    let block = |block: usize| [0x00, 0x30].into_iter().chain((0..16).map(move |i| byte(block, i)));
    let bytes: Vec<u8> = (0..n_out * n_in / 32).flat_map(block).collect();
    let weights = (0..n_out * n_in).map(|i| (f64::from(code(i)) - 8.0) / 8.0).collect();
    (Linear::pack(Dtype::Q4_0, &bytes, n_out, n_in, &threads()).unwrap(), weights)
}

#[test]
fn many_rows_take_tiles_where_they_may_and_few_never() {
    let (n_out, n_in, n_rows) = (40, 64, 20);
    let x: Vec<f32> = (0..n_rows * n_in).map(|i| (i * 7919 % 1009) as f32 / 504.0 - 1.0).collect();
    let (plain, weights) = coded(n_out, n_in);
    let (mut tiled, _) = coded(n_out, n_in);
    tiled.set_tiles_from(Some(3));
    let dense = linear(1, &vec![1.0; n_in]);
    let product = |linear: &Linear, n_rows: usize| {
        let [first, second] = Linear::forward_each([linear, &dense], &tensor(n_rows, &x[..n_rows * n_in])).unwrap();
        assert!((to_vec(&second).unwrap()[0] - x[..n_in].iter().sum::<f32>()).abs() < 1e-4, "the neighbour's product");
        to_vec(&first).unwrap()
    };
    assert_eq!(product(&tiled, 2), product(&plain, 2));
    let rows = x.chunks(n_in).flat_map(|x| weights.chunks(n_in).map(move |w| (x, w)));
    let exact = rows.map(|(x, w)| x.iter().zip(w).map(|(x, w)| f64::from(*x) * w).sum::<f64>());
    let exact: Vec<f64> = exact.collect();
    let error = |got: &[f32]| {
        let square = |x: f64| x * x;
        let off: f64 = got.iter().zip(&exact).map(|(got, want)| square(f64::from(*got) - want)).sum();
        (off / exact.iter().map(|x| square(*x)).sum::<f64>()).sqrt()
    };
    let [few, many] = [product(&plain, n_rows), product(&tiled, n_rows)];
    // These weights are exact in bfloat16: only the activations are rounded.
    assert!(error(&many) < 4e-3 && error(&few) < 1e-2 && many != few, "{:.2e}, {:.2e}", error(&many), error(&few));
    let mixed = Linear::forward_each([&tiled, &plain], &tensor(n_rows, &x)).unwrap().map(|y| to_vec(&y).unwrap());
    assert_eq!(mixed, [many.clone(), few.clone()], "each its own way in one call");
    // The outputs of chosen rows are those of a call with as many rows; single outputs take no tiles.
    let all: Vec<usize> = (0..n_rows).collect();
    assert_eq!(tiled.select(&tensor(n_rows, &x), &all, None).unwrap(), many);
    let some = tiled.select(&tensor(n_rows, &x), &all, Some(&[0, 7, 39])).unwrap();
    let want: Vec<f32> = few.chunks(n_out).flat_map(|row| [row[0], row[7], row[39]]).collect();
    assert_eq!(some, want);
    let precise = coded(n_out, n_in).0.with_precision(Precision::Bits16);
    let mut both = coded(n_out, n_in).0.with_precision(Precision::Bits16);
    both.set_tiles_from(Some(3));
    assert_eq!(product(&both, n_rows), product(&precise, n_rows));
}
