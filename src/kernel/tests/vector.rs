//! Row-wise functions against `f64`, on every instruction set.

use super::super::vector::{Gate, gated_on, rms_norm_on, softmax_on};
use super::super::{RopeStyle, Threads, add, rope, rope_rows};
use super::{Random, assert_close, assert_same_bits, on_every_isa};

/// Lengths around the width of a vector, and real ones.
const LENGTHS: [usize; 8] = [1, 15, 16, 17, 64, 576, 1536, 8960];

#[test]
fn rows_are_normalized() {
    let threads = Threads::new(2);
    for dim in LENGTHS {
        let (x, weight) = (Random(1).floats(3 * dim), Random(2).floats(dim));
        let got = on_every_isa("rms_norm", |isa| {
            let mut out = vec![0.0; 3 * dim];
            rms_norm_on(isa, &x, (&weight, 1e-5), &mut out, &threads);
            out
        });
        let want = x.chunks(dim).flat_map(|x| {
            let squares: f64 = x.iter().map(|x| f64::from(*x).powi(2)).sum();
            let norm = (squares / dim as f64 + 1e-5).sqrt();
            x.iter().zip(&weight).map(move |(x, w)| f64::from(*x) / norm * f64::from(*w)).collect::<Vec<_>>()
        });
        assert_close("rms_norm", &got, &want.collect::<Vec<_>>(), 1e-6);
    }
}

#[test]
fn gates_are_applied() {
    let threads = Threads::new(2);
    let silu = |x: f64| x / (1.0 + (-x).exp());
    let gelu = |x: f64| 0.5 * x * (1.0 + (0.797_884_560_802_865_4 * (x + 0.044715 * x * x * x)).tanh());
    for n in LENGTHS {
        for (gate, want) in [(Gate::Silu, &silu as &dyn Fn(f64) -> f64), (Gate::Gelu, &gelu)] {
            let x: Vec<f32> = Random(3).floats(n).iter().map(|x| x * 20.0).collect();
            let up = Random(4).floats(n);
            let got = on_every_isa("gate", |isa| {
                let mut x = x.clone();
                gated_on(isa, gate, &mut x, &up, &threads);
                x
            });
            let want: Vec<f64> = x.iter().zip(&up).map(|(&x, &up)| want(x.into()) * f64::from(up)).collect();
            // The argument of the GELU is rounded before it is exponentiated.
            assert_close("gate", &got, &want, 5e-6);
        }
    }
}

#[test]
fn gates_survive_extremes() {
    let threads = Threads::new(1);
    let x = [1e30, -1e30, f32::INFINITY, 0.0, -0.0, 1e-40];
    for gate in [Gate::Silu, Gate::Gelu] {
        let got = on_every_isa("extremes", |isa| {
            let mut x = x.to_vec();
            gated_on(isa, gate, &mut x, &[1.0; 6], &threads);
            x
        });
        assert_eq!((got[0], got[3]), (1e30, 0.0), "{gate:?}");
        assert!(got[1].abs() < 1e-8, "{gate:?}: {}", got[1]);
    }
}

#[test]
fn softmax_sums_to_one() {
    for n in LENGTHS {
        let x: Vec<f32> = Random(5).floats(n).iter().map(|x| x * 50.0).collect();
        let got = on_every_isa("softmax", |isa| {
            let mut x = x.clone();
            softmax_on(isa, &mut x);
            x
        });
        let largest = x.iter().fold(f32::MIN, |a, &b| a.max(b));
        let terms: Vec<f64> = x.iter().map(|&x| f64::from(x - largest).exp()).collect();
        let sum: f64 = terms.iter().sum();
        assert_close("softmax", &got, &terms.iter().map(|t| t / sum).collect::<Vec<_>>(), 1e-6);
    }
}

#[test]
fn softmax_of_masked_rows() {
    const OUT: f32 = f32::NEG_INFINITY;
    for (mut x, want) in [(vec![OUT, 3.0, OUT], vec![0.0, 1.0, 0.0]), (vec![OUT; 17], vec![OUT; 17]), (vec![], vec![])]
    {
        super::super::softmax(&mut x);
        assert_eq!(x, want);
    }
}

#[test]
fn pairs_are_rotated() {
    let (cos, sin) = ([0.0, 0.6], [1.0, 0.8]);
    for (style, want) in [
        (RopeStyle::Adjacent, [-2.0, 1.0, 3.0 * 0.6 - 4.0 * 0.8, 3.0 * 0.8 + 4.0 * 0.6, 5.0, 6.0]),
        (RopeStyle::Halves, [-3.0, 2.0 * 0.6 - 4.0 * 0.8, 1.0, 2.0 * 0.8 + 4.0 * 0.6, 5.0, 6.0]),
    ] {
        let mut x = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        rope(&mut x, 6, &cos, &sin, style);
        for head in x.chunks(6) {
            assert_close("rope", head, &want.map(f64::from), 1e-6);
        }
    }
}

#[test]
fn many_tokens_are_rotated_as_each_alone() {
    let (n_tokens, head_dim, n_heads) = (700, 8, 3);
    let mut random = Random(4);
    let [cos, sin] = [(); 2].map(|()| random.floats(n_tokens * 3));
    let x = random.floats(n_tokens * n_heads * head_dim);
    for (n_threads, style) in [(1, RopeStyle::Adjacent), (3, RopeStyle::Halves)] {
        let (mut all, mut each) = (x.clone(), x.clone());
        rope_rows(&mut all, [n_tokens, head_dim], (&cos, &sin), style, &Threads::new(n_threads));
        for (x, (cos, sin)) in each.chunks_mut(n_heads * head_dim).zip(cos.chunks(3).zip(sin.chunks(3))) {
            rope(x, head_dim, cos, sin, style);
        }
        assert_same_bits("rotated", &all, &each);
    }
    rope_rows(&mut [], [0, head_dim], (&[], &[]), RopeStyle::Halves, &Threads::new(1));
}

#[test]
fn long_rows_are_added() {
    let [x, y] = [5, 6].map(|seed| Random(seed).floats(20_001));
    let want: Vec<f32> = x.iter().zip(&y).map(|(x, y)| x + y).collect();
    let mut got = x;
    add(&mut got, &y, &Threads::new(2));
    assert_same_bits("sum", &got, &want);
}
