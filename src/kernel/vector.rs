//! Row-wise functions: normalization, rotary positions, gated activations, softmax.
//!
//! A row's result depends on that row alone. Sums run over sixteen lanes, element `i` in lane `i % 16`, in order, and
//! are then added in pairs, on every instruction set alike.

use super::isa::{Isa, Kernel, isa, run};
use super::simd::{LANES, Simd};
use super::threads::Threads;

/// Elements that are worth handing to another thread: about 5 µs of work.
const PIECE: usize = 8192;

/// Applies `body` to a slice in vectors of sixteen; the last one is padded with `$pad`.
macro_rules! vectors {
    ($x:expr, $pad:expr, |$vector:ident| $body:expr) => {{
        let (whole, rest) = $x.as_chunks::<LANES>();
        for $vector in whole {
            $body;
        }
        if !rest.is_empty() {
            let mut padded = [$pad; LANES];
            padded[..rest.len()].copy_from_slice(rest);
            let $vector = &padded;
            $body;
        }
    }};
}

/// Sixteen values starting at `i`; past the end, 0.
#[inline(always)]
fn load_at<S: Simd>(simd: S, x: &[f32], i: usize) -> S::F {
    if let Some(x) = x[i..].first_chunk::<LANES>() {
        return simd.load(x);
    }
    let mut lanes = [0.0; LANES];
    lanes[..x.len() - i].copy_from_slice(&x[i..]);
    simd.load(&lanes)
}

/// Stores up to sixteen values starting at `i`.
#[inline(always)]
fn store_at<S: Simd>(simd: S, value: S::F, to: &mut [f32], i: usize) {
    if let Some(to) = to[i..].first_chunk_mut::<LANES>() {
        return simd.store(value, to);
    }
    let mut lanes = [0.0; LANES];
    simd.store(value, &mut lanes);
    let n = to.len() - i;
    to[i..].copy_from_slice(&lanes[..n]);
}

/// Root-mean-square normalization of every row of `x`: `out = x / sqrt(mean(x²) + eps) · weight`.
///
/// # Shapes
/// `x` and `out`: `[n, weight.len()]`.
/// # Panics
/// If the shapes do not fit.
/// # Source
/// arXiv:1910.07467.
pub fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32], threads: &Threads) {
    rms_norm_on(isa(), x, (weight, eps), out, threads);
}

pub(super) fn rms_norm_on(isa: Isa, x: &[f32], scale: (&[f32], f32), out: &mut [f32], threads: &Threads) {
    let (weight, eps) = scale;
    let dim = weight.len().max(1);
    assert!(x.len() == out.len() && x.len().is_multiple_of(dim), "normalizing {} by rows of {dim}", x.len());
    let piece = PIECE.div_ceil(dim) * dim;
    threads.for_chunks(out, piece, |i, out| {
        let x = &x[i * piece..][..out.len()];
        run(isa, RmsNorm { x, weight, eps, out });
    });
}

struct RmsNorm<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    eps: f32,
    out: &'a mut [f32],
}

impl Kernel for RmsNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let dim = self.weight.len();
        for (x, out) in self.x.chunks_exact(dim).zip(self.out.chunks_exact_mut(dim)) {
            let mut squares = simd.splat(0.0);
            vectors!(x, 0.0, |v| {
                let v = simd.load(v);
                squares = simd.fma(v, v, squares);
            });
            let factor = simd.splat(1.0 / (simd.sum(squares) / dim as f32 + self.eps).sqrt());
            for i in (0..dim).step_by(LANES) {
                let scaled = simd.mul(load_at(simd, x, i), factor);
                store_at(simd, simd.mul(scaled, load_at(simd, self.weight, i)), out, i);
            }
        }
    }
}

/// Which two elements of a head a rotation turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RopeStyle {
    /// Elements `2i` and `2i + 1`, as Llama models in GGUF have them.
    Adjacent,
    /// Elements `i` and `i + rotary_dim / 2`, as GPT-NeoX and Qwen models have them.
    Halves,
}

/// Rotates the heads of one token in place: `(a, b) = (a·cos − b·sin, a·sin + b·cos)`.
///
/// # Shapes
/// - `x`: `[n_heads, head_dim]`
/// - `cos`, `sin`: `[rotary_dim / 2]`, of the token's position; elements of a head past `rotary_dim` stay as they are
/// # Panics
/// If `cos` and `sin` differ in length or are longer than half a head, or `x` is not whole heads.
/// # Source
/// arXiv:2104.09864.
pub fn rope(x: &mut [f32], head_dim: usize, cos: &[f32], sin: &[f32], style: RopeStyle) {
    let half = cos.len();
    assert_eq!(half, sin.len(), "cosines and sines differ in number");
    assert!(2 * half <= head_dim && x.len().is_multiple_of(head_dim), "rotating {half} pairs of heads of {head_dim}");
    let turn = |a: f32, b: f32, i: usize| (a * cos[i] - b * sin[i], a * sin[i] + b * cos[i]);
    for head in x.chunks_exact_mut(head_dim) {
        match style {
            RopeStyle::Adjacent => {
                for (i, [a, b]) in head.as_chunks_mut::<2>().0[..half].iter_mut().enumerate() {
                    (*a, *b) = turn(*a, *b, i);
                }
            }
            RopeStyle::Halves => {
                let (first, second) = head[..2 * half].split_at_mut(half);
                for (i, (a, b)) in first.iter_mut().zip(second).enumerate() {
                    (*a, *b) = turn(*a, *b, i);
                }
            }
        }
    }
}

/// Rotates the heads of many tokens, as [`rope`] does those of one.
///
/// # Shapes
/// - `x`: `[n_tokens, n_heads, head_dim]`
/// - `cos`, `sin`: `[n_tokens, rotary_dim / 2]`, of every token's position
/// # Panics
/// As [`rope`], or if a token has no angles.
pub fn rope_rows(
    x: &mut [f32],
    [n_tokens, head_dim]: [usize; 2],
    (cos, sin): (&[f32], &[f32]),
    style: RopeStyle,
    threads: &Threads,
) {
    let (width, half) = (x.len() / n_tokens.max(1), cos.len() / n_tokens.max(1));
    assert!(x.len() == n_tokens * width && cos.len() == n_tokens * half, "{n_tokens} tokens are not whole rows");
    let tokens = PIECE.div_ceil(width.max(1));
    threads.for_chunks(x, (tokens * width).max(1), |i, x| {
        for (token, x) in (i * tokens..).zip(x.chunks_exact_mut(width)) {
            let at = token * half..(token + 1) * half;
            rope(x, head_dim, &cos[at.clone()], &sin[at], style);
        }
    });
}

/// `x = x + y`, element by element.
///
/// # Panics
/// If the lengths differ.
pub fn add(x: &mut [f32], y: &[f32], threads: &Threads) {
    assert_eq!(x.len(), y.len(), "what is added differs in length");
    threads.for_chunks(x, PIECE, |i, x| {
        let y = &y[i * PIECE..][..x.len()];
        x.iter_mut().zip(y).for_each(|(x, y)| *x += y);
    });
}

/// Gated SiLU: `gate = gate·sigmoid(gate)·up`, element by element.
///
/// # Panics
/// If the lengths differ.
pub fn silu_mul(gate: &mut [f32], up: &[f32], threads: &Threads) {
    gated_on(isa(), Gate::Silu, gate, up, threads);
}

/// Gated GELU, in its tanh form: `gate = gelu(gate)·up`, element by element.
///
/// # Panics
/// If the lengths differ.
/// # Source
/// arXiv:1606.08415.
pub fn gelu_mul(gate: &mut [f32], up: &[f32], threads: &Threads) {
    gated_on(isa(), Gate::Gelu, gate, up, threads);
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gate {
    Silu,
    Gelu,
}

pub(super) fn gated_on(isa: Isa, activation: Gate, gate: &mut [f32], up: &[f32], threads: &Threads) {
    assert_eq!(gate.len(), up.len(), "gate and up differ in length");
    threads.for_chunks(gate, PIECE, |i, gate| {
        let up = &up[i * PIECE..][..gate.len()];
        run(isa, Gated { activation, gate, up });
    });
}

struct Gated<'a> {
    activation: Gate,
    gate: &'a mut [f32],
    up: &'a [f32],
}

impl Kernel for Gated<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        for i in (0..self.gate.len()).step_by(LANES) {
            let (gate, up) = (load_at(simd, self.gate, i), load_at(simd, self.up, i));
            let active = match self.activation {
                Gate::Silu => simd.mul(gate, simd.sigmoid(gate)),
                Gate::Gelu => gelu(simd, gate),
            };
            store_at(simd, simd.mul(active, up), self.gate, i);
        }
    }
}

/// `x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))/2`, which is `x·sigmoid` of twice the argument.
#[inline(always)]
fn gelu<S: Simd>(simd: S, x: S::F) -> S::F {
    const TWICE_SQRT_2_OVER_PI: f32 = 1.595_769_2;
    let cubed = simd.mul(simd.mul(x, x), x);
    let inner = simd.fma(cubed, simd.splat(0.044_715), x);
    simd.mul(x, simd.sigmoid(simd.mul(inner, simd.splat(TWICE_SQRT_2_OVER_PI))))
}

/// Softmax of one row, in place. A row of nothing but negative infinities stays as it is.
pub fn softmax(x: &mut [f32]) {
    softmax_on(isa(), x);
}

pub(super) fn softmax_on(isa: Isa, x: &mut [f32]) {
    run(isa, Softmax { x });
}

struct Softmax<'a> {
    x: &'a mut [f32],
}

impl Kernel for Softmax<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let mut largest = simd.splat(f32::NEG_INFINITY);
        vectors!(self.x, f32::NEG_INFINITY, |v| largest = simd.max(simd.load(v), largest));
        let largest = simd.largest(largest);
        if largest == f32::NEG_INFINITY {
            return;
        }
        let shift = simd.splat(largest);
        for i in (0..self.x.len()).step_by(LANES) {
            store_at(simd, simd.exp(simd.sub(load_at(simd, self.x, i), shift)), self.x, i);
        }
        let mut total = simd.splat(0.0);
        vectors!(self.x, 0.0, |v| total = simd.add(total, simd.load(v)));
        let factor = simd.splat(1.0 / simd.sum(total));
        for i in (0..self.x.len()).step_by(LANES) {
            store_at(simd, simd.mul(load_at(simd, self.x, i), factor), self.x, i);
        }
    }
}
