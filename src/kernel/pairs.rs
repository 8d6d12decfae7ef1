//! Products of many rows in pairs of columns: half of the multiplications.
//!
//! Two weights and two activations take one multiplication instead of two,
//! `x1·w1 + x2·w2 = (x1 + w2)·(x2 + w1) − x1·x2 − w1·w2`,
//! where what is taken off depends on the activations alone and on the weights alone: the one is kept with the
//! activations, the other computed once for all rows. In integers this is exact, so outputs are those of
//! [`super::matmul`] bit for bit. With what makes one of two factors an unsigned byte, and the other a signed one, `u`
//! and `s`, it reads
//! `x1·w1 + x2·w2 = (x1 + w2 + u)·(x2 + w1 + s) − (x1·x2 + s·x1 + u·x2) − (w2 + u)·(w1 + s)`.
//! Codes of activations lie in -127..=96 and weights in -16..16: all factors fit.
//!
//! It pays where additions of bytes go beside multiplications: on CPUs that multiply on two of four pipes, a unit and a
//! row take 17 operations on four pipes instead of 11 on two. Where they share the pipes it does not; which of both a
//! CPU is, is measured once.
//!
//! Eight units are taken apart into the first-level cache, where up to 128 rows of activations, which stay in the
//! second-level one, meet them strip by strip.
//!
//! Source: S. Winograd, "A New Algorithm for Inner Product", IEEE Transactions on Computers, 1968.

#![allow(unsafe_code)]

use super::activation::{ALL, BIAS, GROUP, Group, PAIRS, QuantizedRows, STRIP};
use super::format::{Format, QUADS, ROWS, Units};
use super::isa::Isa;
use super::matmul::{AT_ONCE, Product, store_block};
use super::packed::{Packed, View};
use super::simd::{Line, Simd};
use super::threads::Threads;
use crate::types::{Dtype, Precision};
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Units that are taken apart at once: a whole number of those that lie together.
const PANEL: usize = 8;
/// Lines by which weights are fetched before they are taken apart: more than a panel.
const AHEAD: usize = 72;

/// Whether products of so many full strips are faster in pairs. Which of both a CPU is gets measured when the first
/// product comes that has strips enough.
pub(super) fn pay(isa: Isa, n_strips: usize) -> bool {
    /// With fewer, taking weights apart for them costs what is gained. Measured.
    const FROM: usize = 3;
    static FASTER: OnceLock<bool> = OnceLock::new();
    n_strips >= FROM && isa >= Isa::Avx512Vnni && *FASTER.get_or_init(|| are_faster(isa))
}

/// Compares both kinds of product on weights and activations that stay in the caches, in about a millisecond.
///
/// On CPUs where additions share the pipes pairs take half as long again; elsewhere a noisy neighbour may make them seem
/// a tenth slower. So they are taken unless they are a quarter slower.
fn are_faster(isa: Isa) -> bool {
    /// Products of each kind; the fastest counts.
    const TRIES: usize = 10;
    const SHAPE: [usize; 2] = [4 * ROWS, 16 * GROUP];
    let threads = Threads::new(1);
    let bytes = vec![0; SHAPE[0] * SHAPE[1] / Dtype::Q4_K.block_elements() * Dtype::Q4_K.block_bytes()];
    let weights = Packed::pack(Dtype::Q4_K, &bytes, SHAPE[0], SHAPE[1]).expect("the length is that of the shape");
    let n_rows = AT_ONCE[1] * STRIP;
    let x = QuantizedRows::quantize(&vec![0.0; n_rows * SHAPE[1]], n_rows, SHAPE[1], Precision::Bits8, &threads);
    let time = |in_pairs: bool| {
        let start = Instant::now();
        std::hint::black_box(View::all(&weights).matmul_in_pairs(in_pairs, isa, &x, &threads));
        start.elapsed()
    };
    let mut best = [Duration::MAX; 2];
    for _ in 0..TRIES {
        best = [best[0].min(time(false)), best[1].min(time(true))];
    }
    best[1] < best[0] * 5 / 4
}

impl<F: Format> Product<'_, F> {
    /// Computes some strips of activations, which are full.
    #[inline(always)]
    pub(super) fn in_pairs<S: Simd>(&self, simd: S, strips: Range<usize>) {
        assert!(strips.len() <= AT_ONCE[1], "more strips than there are sums for");
        let mut panel = [const { MaybeUninit::uninit() }; PANEL];
        let mut sums = [const { MaybeUninit::uninit() }; AT_ONCE[1]];
        for block in self.blocks.clone() {
            self.block_in_pairs(simd, block, strips.clone(), &mut panel, &mut sums);
        }
    }

    /// Computes strips against a block; `panel` and `sums` are room to work in.
    #[inline(always)]
    fn block_in_pairs<S: Simd>(
        &self,
        simd: S,
        block: usize,
        strips: Range<usize>,
        panel: &mut [MaybeUninit<Unit<S>>; PANEL],
        sums: &mut [MaybeUninit<[S::F; STRIP]>; AT_ONCE[1]],
    ) {
        let (lines, n_units) = (self.weights.block(block), self.x.strip(strips.start).n_groups);
        for first in (0..n_units).step_by(PANEL) {
            let panel = take_apart::<S, F>(simd, lines, first, &mut panel[..PANEL.min(n_units - first)]);
            for (strip, sums) in strips.clone().zip(sums.iter_mut()) {
                let x = self.x.strip(strip);
                assert!(x.n_rows == STRIP && x.n_groups == n_units, "a strip that is not full");
                // SAFETY: the first panel wrote the sums of every strip.
                let mut to = if first == 0 { [simd.splat(0.0); STRIP] } else { unsafe { sums.assume_init() } };
                for (u, unit) in panel.iter().enumerate() {
                    if strip == strips.start {
                        simd.prefetch(lines, F::PLACES.codes(first + u) + AHEAD, F::PLACES.lines_per_unit());
                    }
                    if first == 0 && u < STRIP {
                        self.fetch_output(simd, strip * STRIP + u, block);
                    }
                    // SAFETY: the strip is full and has as many groups as there are units, as asserted.
                    let groups = unsafe { x.get::<STRIP>(first + u, 0) };
                    to = Tile::<S, F>::new(simd, unit, groups, to).run();
                }
                sums.write(to);
                if first + panel.len() == n_units {
                    for (m, sum) in to.into_iter().enumerate() {
                        let at = [strip * STRIP + m, block, self.weights.n_rows()];
                        // SAFETY: this thread alone computes this block: nobody else touches these outputs.
                        unsafe { store_block(simd, sum, self.out, at) };
                    }
                }
            }
        }
    }

    /// Asks for the memory of a block's outputs for a row, which would else be waited for: many rows of outputs are
    /// stored in turn, each in another page.
    #[inline(always)]
    fn fetch_output<S: Simd>(&self, simd: S, row: usize, block: usize) {
        let first = row * self.weights.n_rows() + block * ROWS;
        simd.fetch(self.out.address(first));
        simd.fetch(self.out.address(first + ROWS - 1));
    }
}

/// A unit of weights, ready for pairs.
#[derive(Clone, Copy)]
struct Unit<S: Simd> {
    /// Factors where activations are zero: weights, in the first half with the bias of signed bytes, in the other with
    /// that of unsigned ones.
    quads: [S::I; QUADS],
    /// What the factors give where activations are zero, negated.
    minus_own: S::I,
    scale: S::F,
    min: S::F,
}

/// Logarithm of what is taken off a code without an offset so that it fits, and made good with the sums of activations.
const fn centre_log2<F: Format>() -> Option<u32> {
    if F::OFFSET_LOG2.is_none() && F::WIDTH > 4 { Some(F::WIDTH - 1) } else { None }
}

/// What is added to the codes of the first and of the second of each pair.
const fn to_factors<F: Format>() -> [i8; 2] {
    let minus = match (F::OFFSET_LOG2, centre_log2::<F>()) {
        (Some(log2), _) | (None, Some(log2)) => 1 << log2,
        (None, None) => 0,
    };
    [(BIAS[1] - minus) as i8, (BIAS[0] - minus) as i8]
}

/// Takes apart the units of a block from `first` on, as many as there is room for.
#[inline(always)]
fn take_apart<'a, S: Simd, F: Format>(
    simd: S,
    lines: &[Line],
    first: usize,
    panel: &'a mut [MaybeUninit<Unit<S>>],
) -> &'a [Unit<S>] {
    let [to_first, to_second] = to_factors::<F>();
    let (to_first, to_second) = (simd.splat_bytes([to_first; 4]), simd.splat_bytes([to_second; 4]));
    for (u, unit) in panel.iter_mut().enumerate() {
        let together = F::PLACES.together();
        let (units, i) = (Units::<S, F>::new(simd, lines, (first + u) / together), (first + u) % together);
        // SAFETY: `i` is below `together`.
        let mut quads = unsafe { units.quads(i) };
        let mut own = simd.splat_int(0);
        for p in 0..PAIRS {
            quads[p] = simd.add_bytes(quads[p], to_first);
            quads[PAIRS + p] = simd.add_bytes(quads[PAIRS + p], to_second);
            own = simd.dot_bytes(own, quads[PAIRS + p], quads[p]);
        }
        // SAFETY: as above; every format has a first group, and one without an offset has minima.
        let (scale, min) =
            unsafe { (units.scale(i, 0), if F::OFFSET_LOG2.is_none() { units.min(i, 0) } else { simd.splat(0.0) }) };
        unit.write(Unit { quads, minus_own: simd.sub_int(simd.splat_int(0), own), scale, min });
    }
    // SAFETY: the loop wrote all of them.
    unsafe { panel.assume_init_ref() }
}

/// A unit of weights and a group of eight rows.
struct Tile<'a, S: Simd, F> {
    simd: S,
    unit: &'a Unit<S>,
    groups: &'a [Group; STRIP],
    sums: [S::F; STRIP],
    dots: [S::I; STRIP],
    format: PhantomData<F>,
}

impl<'a, S: Simd, F: Format> Tile<'a, S, F> {
    #[inline(always)]
    fn new(simd: S, unit: &'a Unit<S>, groups: &'a [Group; STRIP], sums: [S::F; STRIP]) -> Self {
        Self { simd, unit, groups, sums, dots: [simd.splat_int(0); STRIP], format: PhantomData }
    }

    /// The sums with those of the tile added.
    ///
    /// Four rows follow the other four at a distance, so that the conversions and multiplications at the end of the
    /// ones go beside the additions of the others; the chain of each row overlaps with those of its four.
    #[inline(always)]
    fn run(mut self) -> [S::F; STRIP] {
        const HALF: usize = STRIP / 2;
        for m in 0..HALF {
            self.start(m);
            self.pair(0, m);
        }
        for m in 0..HALF {
            self.pair(1, m);
        }
        for m in 0..HALF {
            self.pair(2, m);
            self.start(HALF + m);
            self.pair(0, HALF + m);
        }
        for m in 0..HALF {
            self.pair(3, m);
            self.pair(1, HALF + m);
        }
        for m in 0..HALF {
            self.finish(m);
            self.pair(2, HALF + m);
        }
        for m in HALF..STRIP {
            self.pair(3, m);
        }
        for m in HALF..STRIP {
            self.finish(m);
        }
        self.sums
    }

    /// Begins the dot product with row `m` from what is not in the pairs, and adds the minima.
    #[inline(always)]
    fn start(&mut self, m: usize) {
        let (simd, group) = (self.simd, &self.groups[m]);
        self.dots[m] = simd.add_int(self.unit.minus_own, simd.splat_int(group.minus_pairs));
        if let Some(log2) = centre_log2::<F>() {
            let minus_centres = simd.shl(simd.splat_int(group.minus_sums[ALL]), log2);
            self.dots[m] = simd.sub_int(self.dots[m], minus_centres);
        }
        if F::OFFSET_LOG2.is_none() {
            self.sums[m] = simd.fma(self.unit.min, simd.splat(group.minus_values[ALL]), self.sums[m]);
        }
    }

    /// Adds the `p`th pair of quads.
    #[inline(always)]
    fn pair(&mut self, p: usize, m: usize) {
        let (simd, codes) = (self.simd, &self.groups[m].codes);
        let unsigned = simd.add_bytes(self.unit.quads[PAIRS + p], simd.splat_bytes(codes[p]));
        let signed = simd.add_bytes(self.unit.quads[p], simd.splat_bytes(codes[PAIRS + p]));
        self.dots[m] = simd.dot_bytes(self.dots[m], unsigned, signed);
    }

    /// Weighs the dot product and adds it.
    #[inline(always)]
    fn finish(&mut self, m: usize) {
        let weighted = self.simd.mul(self.simd.floats(self.dots[m]), self.unit.scale);
        self.sums[m] = self.simd.fma(weighted, self.simd.splat(self.groups[m].scale), self.sums[m]);
    }
}

const _: () = assert!(PANEL >= STRIP && GROUP == 4 * QUADS && PAIRS == 4);
