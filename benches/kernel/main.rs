//! Speed of the kernels on the shapes of the catalog's models.
//!
//! `cargo bench --bench kernel`, or `-- product/Q4_K` for a part. Each row is the median of 20 samples. Products of one
//! row of activations are counted in bytes of packed weights per second, to be held against the memory's bandwidth;
//! of more rows in operations per second (`elem` = one multiplication or addition). The weights of a product come from
//! memory, as in a decode step: every call uses the next of enough copies to fill any cache.
//! The first line printed names the machine, the instruction set and the number of its threads.

#![allow(missing_docs, clippy::print_stderr)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use half::f16;
use partita::kernel::{
    Attention, KvLayout, Packed, QuantizedRows, RopeStyle, Stacks, Threads, attention, gelu_mul, isa, rms_norm, rope,
    silu_mul, softmax,
};
use partita::types::{BLOCK_TOKENS, BlockId, Dtype, Precision, Span};
use std::hint::black_box;
use std::time::Duration;

/// `(encoding, rows, columns)`: MLP, head and attention matrices of 1.5B, 0.5B and 135M models.
const MATRICES: [(Dtype, usize, usize); 7] = [
    (Dtype::Q4_K, 8960, 1536),
    (Dtype::Q4_K, 1536, 8960),
    (Dtype::Q6_K, 8960, 1536),
    (Dtype::Q6_K, 1536, 8960),
    (Dtype::Q6_K, 151936, 1536),
    (Dtype::Q5_0, 4864, 896),
    (Dtype::Q4_1, 1536, 576),
];
/// More than the caches of one socket hold for one core.
const COLD_BYTES: usize = 128 << 20;

fn machine() {
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown processor");
    let n = std::thread::available_parallelism().map_or(1, usize::from);
    eprintln!("machine{model}, {n} threads, kernels for {}", isa().name());
}

fn floats(n: usize) -> Vec<f32> {
    (0..n).map(|i| (i * 7919 % 1000) as f32 / 500.0 - 1.0).collect()
}

/// Random blocks; every byte is below 0xc0, so that half-precision factors are finite.
fn blocks(dtype: Dtype, n_elements: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut byte = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 56) as u8 & 0xbf
    };
    (0..n_elements / dtype.block_elements() * dtype.block_bytes()).map(|_| byte()).collect()
}

fn pack(dtype: Dtype, bytes: &[u8], n_rows: usize, n_cols: usize) -> Packed {
    Packed::pack(dtype, bytes, n_rows, n_cols).expect("the bytes are those of the shape")
}

fn products(c: &mut Criterion) {
    machine();
    for (dtype, n_rows, n_cols) in MATRICES {
        let bytes = blocks(dtype, n_rows * n_cols);
        let first = pack(dtype, &bytes, n_rows, n_cols);
        let n_copies = COLD_BYTES.div_ceil(first.n_bytes());
        let mut copies = vec![first];
        copies.extend((1..n_copies).map(|_| pack(dtype, &bytes, n_rows, n_cols)));
        let mut group = c.benchmark_group(format!("product/{}/{n_rows}x{n_cols}", dtype.name()));
        for m in [1, 8, 64] {
            group.throughput(match m {
                1 => Throughput::Bytes(copies[0].n_bytes() as u64),
                _ => Throughput::Elements((2 * m * n_rows * n_cols) as u64),
            });
            for n_threads in [1, 2] {
                let (threads, x, mut out) = (Threads::new(n_threads), floats(m * n_cols), vec![0.0; m * n_rows]);
                let mut turn = copies.iter().cycle();
                group.bench_function(BenchmarkId::new(format!("rows {m}"), format!("threads {n_threads}")), |b| {
                    b.iter(|| turn.next().expect("there is a copy").matmul(&x, &mut out, &threads));
                });
            }
        }
        group.finish();
    }
}

/// The output head of a 0.5B model: whole, and for some outputs, each in a block of its own and other ones every time.
fn heads(c: &mut Criterion) {
    let (n_rows, n_cols) = (151_936, 896);
    let head = pack(Dtype::Q8_0, &blocks(Dtype::Q8_0, n_rows * n_cols), n_rows, n_cols);
    let threads = Threads::new(2);
    let mut group = c.benchmark_group("head/Q8_0/151936x896");
    for m in [1, 8] {
        let (x, mut out) = (floats(m * n_cols), vec![0.0; m * n_rows]);
        group.bench_function(format!("rows {m}/whole"), |b| b.iter(|| head.matmul(&x, &mut out, &threads)));
    }
    for n in [1, 16, 594, 2374, 4748, 9496] {
        let (x, mut out) = (floats(n_cols), vec![0.0; n]);
        let (step, mut turn) = (n_rows / 16 / n * 16, 0);
        group.bench_function(format!("rows 1/{n} outputs"), |b| {
            b.iter(|| {
                turn = (turn + 16) % step;
                let wanted: Vec<u32> = (0..n).map(|i| (i * step + turn) as u32).collect();
                head.matmul_some(&x, &wanted, &mut out, &threads);
            });
        });
    }
    group.finish();
}

fn packing(c: &mut Criterion) {
    let mut group = c.benchmark_group("pack");
    for dtype in [Dtype::Q4_K, Dtype::Q6_K, Dtype::Q5_0, Dtype::Q4_1, Dtype::Q8_0] {
        let bytes = blocks(dtype, 8960 * 1536);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(dtype.name(), |b| b.iter(|| pack(dtype, &bytes, 8960, 1536)));
    }
    group.finish();
}

/// `(name, query heads, KV heads, elements of a head)`.
const HEADS: [(&str, usize, usize, usize); 3] = [("1.5B", 12, 2, 128), ("0.5B", 14, 2, 64), ("135M", 9, 3, 64)];

fn attentions(c: &mut Criterion) {
    let mut group = c.benchmark_group("attention");
    for (name, n_heads, n_kv_heads, head_dim) in HEADS {
        for (context, n_tokens) in [(2048, 1), (512, 512)] {
            let layout = KvLayout { n_layers: 1, n_kv_heads, head_dim };
            let n_blocks = context / BLOCK_TOKENS;
            let pool: Vec<f16> = floats(n_blocks * layout.block_len()).into_iter().map(f16::from_f32).collect();
            let blocks = (0..n_blocks as u32).map(BlockId).collect();
            let spans = [Span { start: context - n_tokens, n_tokens, blocks, logit_rows: vec![] }];
            let stacks = Stacks::new(&spans, n_heads / n_kv_heads);
            let what = Attention {
                layout,
                layer: 0,
                n_heads,
                scale: 0.1,
                softcap: None,
                window: None,
                pool: &pool,
                stacks: &stacks,
            };
            let q = floats(n_tokens * n_heads * head_dim);
            let mut out = vec![0.0; q.len()];
            let n_pairs: usize = (context - n_tokens + 1..=context).sum();
            group.throughput(Throughput::Elements((4 * n_pairs * n_heads * head_dim) as u64));
            for n_threads in [1, 2] {
                let threads = Threads::new(n_threads);
                let id = BenchmarkId::new(format!("{name} {n_tokens} of {context}"), format!("threads {n_threads}"));
                group.bench_function(id, |b| b.iter(|| attention(&what, &q, &mut out, &threads)));
            }
        }
    }
    group.finish();
}

/// Positions of the prefix that the sequences of [`shared_prefixes`] have in common; a block each is their own.
const PREFIX: usize = 1536;

/// One pool, and the next token of each of `n` sequences with the same prefix: in shared blocks or in copies.
fn forks(layout: KvLayout, n: usize, shared: bool) -> (Vec<f16>, Vec<Span>) {
    let (n_prefix, n_copies) = (PREFIX / BLOCK_TOKENS, if shared { 1 } else { n });
    let half = |n_blocks| floats(n_blocks * layout.block_len()).into_iter().map(f16::from_f32);
    let mut pool: Vec<f16> = half(n_prefix).collect::<Vec<_>>().repeat(n_copies);
    pool.extend(half(n));
    let span = |i| {
        let first = if shared { 0 } else { i * n_prefix };
        let blocks = (first..first + n_prefix).chain([n_copies * n_prefix + i]);
        let blocks = blocks.map(|block| BlockId(block as u32)).collect();
        Span { start: PREFIX + BLOCK_TOKENS / 2, n_tokens: 1, blocks, logit_rows: vec![] }
    };
    (pool, (0..n).map(span).collect())
}

fn shared_prefixes(c: &mut Criterion) {
    let mut group = c.benchmark_group("attention");
    for (name, n_heads, n_kv_heads, head_dim) in HEADS {
        let layout = KvLayout { n_layers: 1, n_kv_heads, head_dim };
        for (n, shared) in [1, 8, 16, 32].into_iter().flat_map(|n| [(n, true), (n, false)]) {
            let (pool, spans) = forks(layout, n, shared);
            let stacks = Stacks::new(&spans, n_heads / n_kv_heads);
            let what = Attention {
                layout,
                layer: 0,
                n_heads,
                scale: 0.1,
                softcap: None,
                window: None,
                pool: &pool,
                stacks: &stacks,
            };
            let q = floats(n * n_heads * head_dim);
            let mut out = vec![0.0; q.len()];
            let n_pairs = n * (spans[0].start + 1);
            group.throughput(Throughput::Elements((4 * n_pairs * n_heads * head_dim) as u64));
            for n_threads in [1, 2] {
                let threads = Threads::new(n_threads);
                let blocks = if shared { "one prefix" } else { "copies" };
                let id = BenchmarkId::new(format!("{name} {n} on {blocks}"), format!("threads {n_threads}"));
                group.bench_function(id, |b| b.iter(|| attention(&what, &q, &mut out, &threads)));
            }
        }
    }
    group.finish();
}

fn vectors(c: &mut Criterion) {
    let threads = Threads::new(1);
    let mut group = c.benchmark_group("vector");
    for n in [1536, 8960] {
        let (x, mut y) = (floats(n), floats(n));
        group.throughput(Throughput::Elements(n as u64));
        group.bench_function(BenchmarkId::new("rms_norm", n), |b| b.iter(|| rms_norm(&x, &x, 1e-6, &mut y, &threads)));
        group.bench_function(BenchmarkId::new("silu_mul", n), |b| b.iter(|| silu_mul(&mut y, &x, &threads)));
        group.bench_function(BenchmarkId::new("gelu_mul", n), |b| b.iter(|| gelu_mul(&mut y, &x, &threads)));
        group.bench_function(BenchmarkId::new("softmax", n), |b| b.iter(|| softmax(&mut y)));
        group.bench_function(BenchmarkId::new("quantize", n), |b| {
            b.iter(|| black_box(QuantizedRows::quantize(&x, 1, n, Precision::Bits8, &threads)));
        });
    }
    let (mut heads, angles) = (floats(12 * 128), floats(64));
    for style in [RopeStyle::Adjacent, RopeStyle::Halves] {
        group.throughput(Throughput::Elements(heads.len() as u64));
        group.bench_function(format!("rope {style:?}"), |b| b.iter(|| rope(&mut heads, 128, &angles, &angles, style)));
    }
    group.finish();
    let both = Threads::new(2);
    c.bench_function("fork-join of 2 empty items", |b| {
        b.iter(|| {
            both.parallel_for(2, |i| {
                black_box(i);
            });
        });
    });
}

criterion_group! {
    name = kernel;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1));
    targets = products, heads, packing, attentions, shared_prefixes, vectors
}
criterion_main!(kernel);
