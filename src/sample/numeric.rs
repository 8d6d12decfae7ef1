//! The arithmetic of a draw over a whole vocabulary, in loops that the compiler turns into vector code.
//!
//! Sums run in a fixed number of lanes, so a result depends on the values alone, not on the instruction set.
//! Minus infinity marks a token that may not be drawn; no function here sees a NaN ([`sanitize`] removes them).
//!
//! Source of `exp`: range reduction by Cody and Waite, "Software manual for the elementary functions", 1980, with
//! the Taylor polynomial, which is accurate enough on half an octave.

use crate::types::Token;

const LANES: usize = 16;
/// Below this, `exp` is not a normal f32 any more and counts as 0.
const EXP_MIN: f32 = -87.0;

/// `e^x` for `x <= 0`, within 3e-7 of the exact value in relative terms; exactly 0 below −87.
pub(super) fn exp(x: f32) -> f32 {
    // Adding 1.5·2^23 rounds to an integer and leaves it in the low bits of the mantissa.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let clamped = x.max(EXP_MIN);
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (clamped - n * LN_2_HIGH) - n * LN_2_LOW;
    let p = 1.0 / 720.0;
    let p = p * r + 1.0 / 120.0;
    let p = p * r + 1.0 / 24.0;
    let p = p * r + 1.0 / 6.0;
    let p = p * r + 0.5;
    let p = (p * r + 1.0) * r + 1.0;
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    if x < EXP_MIN { 0.0 } else { p * f32::from_bits(exponent) }
}

/// Turns NaN into minus infinity and plus infinity into the largest number.
#[allow(clippy::manual_clamp)] // `clamp` would keep NaN
pub(super) fn sanitize(xs: &mut [f32]) {
    for x in xs {
        // `max` returns the other operand when one is NaN.
        *x = x.max(f32::NEG_INFINITY).min(f32::MAX);
    }
}

/// The largest value, or minus infinity for none.
pub(super) fn max(xs: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = xs.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = if x > *lane { x } else { *lane };
        }
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |a, &b| a.max(b))
}

/// The lowest index of the largest value, or `None` if every value is minus infinity.
pub(super) fn argmax(xs: &[f32]) -> Option<usize> {
    let max = max(xs);
    if max == f32::NEG_INFINITY { None } else { xs.iter().position(|&x| x == max) }
}

/// `Σ e^((x − max) · scale)`; at least 1 if `max` is among the values and `scale` is positive.
pub(super) fn sum_exp(xs: &[f32], max: f32, scale: f32) -> f64 {
    let mut lanes = [0.0_f32; LANES];
    let mut total = 0.0_f64;
    // Each stretch is added up in f32 and is short enough not to lose small terms; the stretches are added in f64.
    for stretch in xs.chunks(LANES * 64) {
        let (chunks, rest) = stretch.as_chunks::<LANES>();
        for chunk in chunks {
            for (lane, &x) in lanes.iter_mut().zip(chunk) {
                *lane += exp((x - max) * scale);
            }
        }
        total += lanes.iter().map(|&lane| f64::from(lane)).sum::<f64>();
        total += rest.iter().map(|&x| f64::from(exp((x - max) * scale))).sum::<f64>();
        lanes = [0.0; LANES];
    }
    total
}

/// Replaces `found` by the tokens whose value is at least `floor` (and not minus infinity), in order of their ids.
pub(super) fn collect_from(xs: &[f32], floor: f32, found: &mut Vec<(f32, Token)>) {
    found.clear();
    let floor = floor.max(f32::MIN);
    for (chunk_idx, chunk) in xs.chunks(LANES).enumerate() {
        // One vector comparison dismisses nearly every chunk.
        if chunk.iter().fold(false, |any, &x| any | (x >= floor)) {
            let first = chunk_idx * LANES;
            let hits = chunk.iter().enumerate().filter(|(_, x)| **x >= floor);
            found.extend(hits.map(|(i, &x)| (x, (first + i) as Token)));
        }
    }
}
