//! Parts against their formulas on numbers that can be checked by hand.

use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::*;
use crate::kernel::{RopeStyle, Threads};
use crate::types::Dtype;

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
        rotary.angles(&[0, 1]).rotate(&x, 4).unwrap();
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
