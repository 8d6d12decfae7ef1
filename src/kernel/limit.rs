//! What this machine can do at most, measured: the figures that the speed of a kernel is held against.
//!
//! The loops below do nothing but read, or nothing but multiply and add numbers that lie in the nearest cache, in the
//! form in which the kernels do it: a vector of weights with one activation for all lanes. Data is random, because the
//! clock of some CPUs depends on it. The best of many short repetitions counts: a limit is what was reached once.
//! Must not know: the kernels that are compared.

use super::isa::{Kernel, isa, run};
use super::memory::fill_lines;
use super::simd::{Line, Simd};
use super::threads::Threads;
use super::tile::tile_products;
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Rates of one number of threads.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Bytes read per second from an array that no cache holds.
    pub memory_bytes_per_s: f64,
    /// Bytes read per second from 128 KiB, again and again.
    pub cache_bytes_per_s: f64,
    /// Multiplications and additions per second of `f32`.
    pub f32_ops_per_s: f64,
    /// Multiplications and additions per second of codes below 7 bits with signed bytes, in sums of 32 bits.
    pub int8_ops_per_s: f64,
    /// Multiplications and additions per second of bfloat16 on tiles, where the CPU has them and they are in use.
    pub tile_ops_per_s: Option<f64>,
}

/// Lines that are read in one piece: 1 MiB of the large array, 128 KiB of the small one.
const PIECE: [usize; 2] = [(1 << 20) / 64, (128 << 10) / 64];
/// Lines of numbers that are multiplied: 4 KiB.
const N_OPERANDS: usize = 64;
/// Passes over what the nearest caches hold, so that one item is worth a fork.
const ROUNDS: usize = 64;
/// Activations per line of numbers.
const MAX_SUMS: usize = 12;

impl Limits {
    /// Measures on all of `threads`, each rate for `effort`; `memory_bytes` are read as memory.
    ///
    /// # Panics
    /// If `memory_bytes` is less than 1 MiB.
    pub fn measure(threads: &Threads, memory_bytes: usize, effort: Duration) -> Self {
        let n_pieces = memory_bytes / (PIECE[0] * size_of::<Line>());
        assert!(n_pieces > 0, "{memory_bytes} bytes are no memory to speak of");
        let memory = random_lines(n_pieces, PIECE[0]);
        let memory_rate = |fetches: bool| {
            let bytes = memory.len() * size_of::<Line>();
            rate(effort / 2, bytes, || {
                threads.parallel_for(n_pieces, |i| read(&memory[i * PIECE[0]..(i + 1) * PIECE[0]], 1, fetches));
            })
        };
        let n_items = threads.n_threads() * 8;
        let spread = |work: usize, item: &(dyn Fn() + Sync)| {
            rate(effort, work * n_items, || threads.parallel_for(n_items, |_| item()))
        };
        let small = random_lines(1, PIECE[1]);
        let operands = Operands::random();
        // A vector of weights meets so many activations, of 16 lanes and of 64 bytes, in a multiplication and an
        // addition.
        let n_products = n_sums() * N_OPERANDS * ROUNDS;
        Self {
            memory_bytes_per_s: memory_rate(false).max(memory_rate(true)),
            cache_bytes_per_s: spread(ROUNDS * PIECE[1] * size_of::<Line>(), &|| read(&small, ROUNDS, false)),
            f32_ops_per_s: spread(2 * 16 * n_products, &|| operands.multiply::<false>(ROUNDS)),
            int8_ops_per_s: spread(2 * 64 * n_products, &|| operands.multiply::<true>(ROUNDS)),
            tile_ops_per_s: tile_products(8 * ROUNDS).map(|(n_ops, work)| spread(n_ops, &work)),
        }
    }
}

/// What `work` per repetition comes to in a second, at best.
fn rate(effort: Duration, work: usize, mut repeat: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut best = Duration::MAX;
    while best == Duration::MAX || start.elapsed() < effort {
        let start = Instant::now();
        repeat();
        best = best.min(start.elapsed());
    }
    work as f64 / best.as_secs_f64().max(1e-9)
}

fn random_lines(n_pieces: usize, piece: usize) -> Vec<Line> {
    fill_lines(n_pieces, piece, |i, lines| {
        let mut state = i as u64;
        for byte in lines.iter_mut().flat_map(|line| &mut line.0) {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            *byte = (state >> 56) as u8;
        }
    })
}

fn read(lines: &[Line], n_rounds: usize, fetches: bool) {
    for _ in 0..n_rounds {
        black_box(run(isa(), Read { lines: black_box(lines), fetches }));
    }
}

/// The sum of all lines.
struct Read<'a> {
    lines: &'a [Line],
    /// Whether lines are asked for ahead, as the kernels do.
    fetches: bool,
}

impl Kernel for Read<'_> {
    type Output = i32;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> i32 {
        /// Lines from what is asked for to what is read.
        const AHEAD: usize = 64;
        let mut sums = [simd.splat_int(0); 4];
        for (i, lines) in self.lines.as_chunks::<4>().0.iter().enumerate() {
            if self.fetches {
                simd.prefetch(self.lines, 4 * i + AHEAD, 4);
            }
            for (sum, line) in sums.iter_mut().zip(lines) {
                *sum = simd.add_int(*sum, simd.load_line(line));
            }
        }
        let [a, b, c, d] = sums;
        simd.largest_int(simd.add_int(simd.add_int(a, b), simd.add_int(c, d)))
    }
}

/// Sums that the instruction set in use adds up at once: enough to hide an addition behind the others.
fn n_sums() -> usize {
    run(isa(), CountSums)
}

struct CountSums;

impl Kernel for CountSums {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) -> usize {
        if S::N_VECTORS >= 32 { MAX_SUMS } else { MAX_SUMS / 2 }
    }
}

/// What is multiplied.
struct Operands {
    floats: Vec<Line>,
    /// Codes below 64.
    codes: Vec<Line>,
    x: Vec<[f32; MAX_SUMS]>,
    quads: Vec<[[i8; 4]; MAX_SUMS]>,
}

impl Operands {
    fn random() -> Self {
        let lines = random_lines(1, N_OPERANDS);
        let byte = |i: usize, j: usize| lines[i].0[j % 64] as i8;
        let mut floats = lines.clone();
        for (line, codes) in floats.iter_mut().zip(&lines) {
            for (j, number) in line.0.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                *number = (f32::from(codes.0[j] as i8) / 127.0 + f32::from(codes.0[63 - j]) / 65536.0).to_ne_bytes();
            }
        }
        let mut codes = lines.clone();
        codes.iter_mut().flat_map(|line| &mut line.0).for_each(|byte| *byte &= 63);
        let x = (0..N_OPERANDS).map(|i| std::array::from_fn(|j| f32::from(byte(i, 7 * j)) / 127.0)).collect();
        let quad = |i, j| std::array::from_fn(|l| byte(i, 4 * j + l).max(-127));
        let quads = (0..N_OPERANDS).map(|i| std::array::from_fn(|j| quad(i, j))).collect();
        Self { floats, codes, x, quads }
    }

    fn multiply<const CODES: bool>(&self, n_rounds: usize) {
        black_box(run(isa(), Multiply::<CODES> { operands: black_box(self), n_rounds }));
    }
}

/// All weights with all activations, codes or `f32`.
struct Multiply<'a, const CODES: bool> {
    operands: &'a Operands,
    n_rounds: usize,
}

impl<const CODES: bool> Kernel for Multiply<'_, CODES> {
    type Output = f32;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> f32 {
        match (CODES, S::N_VECTORS >= 32) {
            (true, true) => self.codes::<S, MAX_SUMS>(simd),
            (true, false) => self.codes::<S, { MAX_SUMS / 2 }>(simd),
            (false, true) => self.floats::<S, MAX_SUMS>(simd),
            (false, false) => self.floats::<S, { MAX_SUMS / 2 }>(simd),
        }
    }
}

impl<const CODES: bool> Multiply<'_, CODES> {
    #[inline(always)]
    fn floats<S: Simd, const M: usize>(&self, simd: S) -> f32 {
        let mut sums = [simd.splat(0.0); M];
        for _ in 0..self.n_rounds {
            for (w, x) in self.operands.floats.iter().zip(&self.operands.x) {
                let w = simd.load(w.floats());
                for m in 0..M {
                    sums[m] = simd.fma(w, simd.splat(x[m]), sums[m]);
                }
            }
        }
        sums.into_iter().map(|sum| simd.sum(sum)).sum()
    }

    #[inline(always)]
    fn codes<S: Simd, const M: usize>(&self, simd: S) -> f32 {
        let mut sums = [simd.splat_int(0); M];
        for _ in 0..self.n_rounds {
            for (w, x) in self.operands.codes.iter().zip(&self.operands.quads) {
                let w = simd.load_line(w);
                for m in 0..M {
                    sums[m] = simd.dot4::<6>(sums[m], w, x[m]);
                }
            }
        }
        sums.into_iter().map(|sum| simd.sum(simd.floats(sum))).sum()
    }
}
