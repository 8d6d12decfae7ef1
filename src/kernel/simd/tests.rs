//! Every operation of every instruction set against the portable lanes, on values that are easy to get wrong.

use super::{LANES, Line, Simd};
use crate::kernel::isa::{Isa, Kernel, run};
use half::f16;

/// Runs every operation on one triple of vectors and writes down the bits of every result.
struct AllOperations {
    a: [f32; LANES],
    b: [f32; LANES],
    line: Line,
}

impl Kernel for AllOperations {
    type Output = Vec<(&'static str, [i32; LANES])>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Self::Output {
        let (a, b) = (simd.load(&self.a), simd.load(&self.b));
        let (line, one) = (simd.load_line(&self.line), simd.splat(1.0));
        let halves = self.line.halves();
        let codes = simd.and(line, simd.splat_int(0x3f3f_3f3f));
        let nibbles = simd.splat_int(0x0f0f_0f0f);
        let mut rounded = [f16::ZERO; LANES];
        simd.store_f16(a, &mut rounded);
        let (mut brain, mut copy) = ([f16::ZERO; LANES], Line::ZERO);
        simd.store_bf16(a, &mut brain);
        simd.store_line(line, &mut copy);
        let mut out = vec![
            ("store_f16", rounded.map(|x| if x.is_nan() { 0x7e00 } else { i32::from(x.to_bits()) })),
            ("store_bf16", brain.map(|x| i32::from(x.to_bits()))),
            ("store_line", std::array::from_fn(|i| i32::from(copy.0[4 * i]) << 8 | i32::from(copy.0[4 * i + 3]))),
        ];
        let mut note = |name, x: S::I| {
            let mut bits = [0; LANES];
            simd.store_int(x, &mut bits);
            out.push((name, bits));
        };
        for (name, x) in [
            ("add", simd.add(a, b)),
            ("sub", simd.sub(a, b)),
            ("mul", simd.mul(a, b)),
            ("div", simd.div(a, b)),
            ("fma", simd.fma(a, b, one)),
            ("max", simd.max(a, b)),
            ("min", simd.min(a, b)),
            ("zero_below", simd.zero_below(a, 0.5, b)),
            ("floats", simd.floats(line)),
            ("load_f16", simd.load_f16(&halves[0])),
            ("load_bf16", simd.load_bf16(&halves[1])),
            ("exp", simd.exp(a)),
            ("sigmoid", simd.sigmoid(a)),
            ("tanh", simd.tanh(a)),
            ("sum", simd.splat(simd.sum(a))),
            ("sum of finite numbers", simd.splat(simd.sum(simd.mul(simd.floats(line), simd.splat(1.1))))),
            ("largest", simd.splat(simd.largest(a))),
            ("largest of finite numbers", simd.splat(simd.largest(simd.floats(line)))),
        ] {
            note(name, simd.bits(x));
        }
        for (name, x) in [
            ("load_bytes", simd.load_bytes(&self.line.quarters()[2])),
            ("and", simd.and(line, simd.bits(a))),
            ("or", simd.or(line, simd.bits(a))),
            ("shl", simd.shl(line, 3)),
            ("shr", simd.shr(line, 5)),
            ("look_up", simd.look_up(&std::array::from_fn(|i| (i * 37 + 200) as u8), simd.and(line, nibbles))),
            ("add_int", simd.add_int(line, simd.bits(a))),
            ("sub_int", simd.sub_int(line, simd.bits(a))),
            ("add_bytes", simd.add_bytes(line, simd.bits(a))),
            ("dot_bytes", simd.dot_bytes(line, simd.bits(a), line)),
            ("dot_bytes of equal ones", simd.dot_bytes(line, simd.splat_int(-1), simd.splat_int(i32::MAX))),
            ("max_int", simd.max_int(line, simd.bits(a))),
            ("largest_int", simd.splat_int(simd.largest_int(simd.shr(line, 1)))),
            ("dot4 of 6 bits", simd.dot4::<6>(line, codes, [127, -127, 3, -1])),
            ("dot4 of 8 bits", simd.dot4::<8>(codes, line, [-127, -127, 127, 127])),
            ("dot4 of equal signs", simd.dot4::<8>(codes, line, [127; 4])),
        ] {
            note(name, x);
        }
        for (name, x) in rows_of_dots(simd, line) {
            note(name, x);
        }
        let mut square: [S::I; LANES] = std::array::from_fn(|i| simd.add_int(line, simd.splat_int(i as i32 * 7919)));
        simd.transpose(&mut square);
        for column in square {
            note("transpose", column);
        }
        out
    }
}

/// [`Simd::dot_rows`] of the largest codes of all widths, and of any.
#[inline(always)]
fn rows_of_dots<S: Simd>(simd: S, line: S::I) -> [(&'static str, S::I); 8] {
    let (most, least, mixed) =
        ([[127; 4]; 8], [[-127; 4]; 8], std::array::from_fn::<_, 8, _>(|j| [j as i8 * 9, -127, 1, 127]));
    let full = |mask: i32| [simd.splat_int(mask); 8];
    let some = |mask: i32| std::array::from_fn::<_, 8, _>(|j| simd.and(simd.shr(line, j as u32), simd.splat_int(mask)));
    let [m4, m5, m6, m8] = [0x0f0f_0f0f, 0x1f1f_1f1f, 0x3f3f_3f3f, -1];
    [
        ("full rows of 4 bits", simd.dot_rows::<4, 2>([line; 2], &full(m4), [&most, &least])[0]),
        ("full rows of 5 bits", simd.dot_rows::<5, 2>([line; 2], &full(m5), [&most, &least])[1]),
        ("full rows of 6 bits", simd.dot_rows::<6, 2>([line; 2], &full(m6), [&most, &least])[0]),
        ("full rows of 8 bits", simd.dot_rows::<8, 2>([line; 2], &full(m8), [&most, &least])[1]),
        ("rows of 4 bits", simd.dot_rows::<4, 1>([line], &some(m4), [&mixed])[0]),
        ("rows of 5 bits", simd.dot_rows::<5, 1>([line], &some(m5), [&mixed])[0]),
        ("rows of 6 bits", simd.dot_rows::<6, 1>([line], &some(m6), [&mixed])[0]),
        ("half a unit of 6 bits", simd.dot_rows::<6, 1>([line], &some(m6)[..4], [&mixed[..4]])[0]),
    ]
}

/// NaNs of any payload are one value.
fn canonical(bits: [i32; LANES]) -> [i32; LANES] {
    bits.map(|bits| if f32::from_bits(bits as u32).is_nan() { 0x7fc0_0000 } else { bits })
}

#[test]
fn operations_equal_the_portable_ones() {
    let special = [
        0.0,
        -0.0,
        1.0,
        -1.5,
        0.5,
        2.5,
        -88.0,
        -87.0,
        88.5,
        1e-40,
        -1e-45,
        65519.0,
        1e38,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
    ];
    for turn in 0..LANES {
        let mut b = special;
        b.rotate_left(turn);
        let byte = |i: usize| (i * (37 + 2 * turn)) as u8 ^ (255 * (i % 2)) as u8;
        let line = Line(std::array::from_fn(byte));
        let want = run(Isa::Scalar, AllOperations { a: special, b, line });
        for isa in Isa::available() {
            let got = run(isa, AllOperations { a: special, b, line });
            for ((name, got), (_, want)) in got.into_iter().zip(&want) {
                assert_eq!(canonical(got), canonical(*want), "{name} on {}, turn {turn}", isa.name());
            }
        }
    }
}

struct Functions([f32; LANES]);

impl Kernel for Functions {
    type Output = [[f32; LANES]; 3];

    fn run<S: Simd>(self, simd: S) -> Self::Output {
        let x = simd.load(&self.0);
        let mut out = [[0.0; LANES]; 3];
        for (out, y) in out.iter_mut().zip([simd.exp(x), simd.sigmoid(x), simd.tanh(x)]) {
            simd.store(y, out);
        }
        out
    }
}

#[test]
fn exponentials_are_as_exact_as_they_say() {
    let mut worst = [0.0f64; 3];
    for i in 0..200_000 {
        let x = (i as f32 / 100_000.0 - 1.0) * 86.9;
        let got = run(Isa::Scalar, Functions([x; LANES])).map(|lanes| f64::from(lanes[0]));
        let wide = f64::from(x);
        let (exp, sigmoid) = (wide.exp(), 1.0 / (1.0 + (-wide).exp()));
        worst[0] = worst[0].max((got[0] / exp - 1.0).abs());
        worst[1] = worst[1].max((got[1] - sigmoid).abs());
        worst[2] = worst[2].max((got[2] - wide.tanh()).abs());
    }
    for (i, limit) in [2.4e-7, 1.2e-7, 3e-7].into_iter().enumerate() {
        assert!(worst[i] < limit, "function {i}: error {:.2e}", worst[i]);
    }
    let edges = [f32::NEG_INFINITY, -1000.0, -87.1, 0.0];
    for (x, want) in edges.into_iter().zip([0.0, 0.0, 0.0, 1.0]) {
        assert_eq!(run(Isa::Scalar, Functions([x; LANES]))[0][0], want, "exp({x})");
    }
    assert!(run(Isa::Scalar, Functions([f32::NAN; LANES]))[0][0].is_nan());
    assert!(run(Isa::Scalar, Functions([1000.0; LANES]))[0][0] > 2e38);
}
