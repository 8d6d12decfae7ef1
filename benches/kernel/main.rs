//! Speed of the kernels on the shapes of the catalog's models.
//!
//! `cargo bench --bench kernel`, or `-- product/Q4_K` for a part. Each row is the median of 20 samples. The weights of
//! a product come from memory, as in a decode step: every call uses the next of enough copies to fill any cache. The
//! first line printed names the machine, the instruction set and the number of its threads; the table at the end gives
//! for every row its rate and the share of what the machine can do, measured in the same run (`report`).
//! Attention is held against arithmetic alone: how much of its keys and values caches hold differs from row to row.

#![allow(missing_docs, clippy::print_stderr)]

mod report;

use criterion::Criterion;
use half::f16;
use partita::kernel::{
    Attention, Isa, KvLayout, Packed, QuantizedRows, RopeStyle, Stacks, Threads, TiledRows, attention, gelu_mul, isa,
    rms_norm, rope, silu_mul, softmax,
};
use partita::types::{BLOCK_TOKENS, BlockId, Dtype, Precision, Span};
use report::{Group, Limit, Report, SAMPLES};
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

fn products(c: &mut Criterion, report: &mut Report) {
    for (dtype, n_rows, n_cols) in MATRICES {
        let bytes = blocks(dtype, n_rows * n_cols);
        let first = pack(dtype, &bytes, n_rows, n_cols);
        let n_bytes = first.n_bytes();
        let n_copies = COLD_BYTES.div_ceil(n_bytes);
        let mut copies = vec![first];
        copies.extend((1..n_copies).map(|_| pack(dtype, &bytes, n_rows, n_cols)));
        let mut group = report.group(c, format!("product/{}/{n_rows}x{n_cols}", dtype.name()));
        for (m, n_threads) in [1, 8, 64].into_iter().flat_map(|m| [(m, 1), (m, 2)]) {
            let (threads, x) = (Threads::new(n_threads), floats(m * n_cols));
            let work = |limit| vec![(n_bytes, Limit::Memory), (2 * m * n_rows * n_cols, limit)];
            let mut turn = copies.iter().cycle();
            group.row(&format!("rows {m}/threads {n_threads}"), n_threads, work(Limit::Int8), || {
                black_box(turn.next().expect("there is a copy").matmul(&x, m, &threads));
            });
            if isa() >= Isa::Avx512Amx {
                group.row(&format!("rows {m}/tiles/threads {n_threads}"), n_threads, work(Limit::Tiles), || {
                    let x = TiledRows::new(&x, m, n_cols, &threads);
                    black_box(turn.next().expect("there is a copy").matmul_tiled(&x, &threads));
                });
            }
        }
    }
}

/// The output head of a 0.5B model: whole, and for some outputs, each in a block of its own and other ones every time.
fn heads(c: &mut Criterion, report: &mut Report) {
    let (n_rows, n_cols) = (151_936, 896);
    let head = pack(Dtype::Q8_0, &blocks(Dtype::Q8_0, n_rows * n_cols), n_rows, n_cols);
    let threads = Threads::new(2);
    let mut group = report.group(c, "head/Q8_0/151936x896");
    for m in [1, 8] {
        let x = floats(m * n_cols);
        let work = vec![(head.n_bytes(), Limit::Memory), (2 * m * n_rows * n_cols, Limit::Int8)];
        group.row(&format!("rows {m}/whole"), 2, work, || {
            black_box(head.matmul(&x, m, &threads));
        });
    }
    for n in [1, 16, 594, 2374, 4748, 9496] {
        let x = floats(n_cols);
        let (step, mut turn) = (n_rows / 16 / n * 16, 0);
        // An output costs its block of 16 rows.
        let work = vec![(head.n_bytes() / n_rows * 16 * n, Limit::Memory), (2 * 16 * n * n_cols, Limit::Int8)];
        group.row(&format!("rows 1/{n} outputs"), 2, work, || {
            turn = (turn + 16) % step;
            let wanted: Vec<u32> = (0..n).map(|i| (i * step + turn) as u32).collect();
            black_box(head.matmul_some(&x, 1, &wanted, &threads));
        });
    }
}

fn packing(c: &mut Criterion, report: &mut Report) {
    let n_threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut group = report.group(c, "pack");
    for dtype in [Dtype::Q4_K, Dtype::Q6_K, Dtype::Q5_0, Dtype::Q4_1, Dtype::Q8_0] {
        let bytes = blocks(dtype, 8960 * 1536);
        let n_written = pack(dtype, &bytes, 8960, 1536).n_bytes();
        group.row(dtype.name(), n_threads, vec![(bytes.len() + n_written, Limit::Memory)], || {
            black_box(pack(dtype, &bytes, 8960, 1536));
        });
    }
}

/// `(name, query heads, KV heads, elements of a head)`.
const HEADS: [(&str, usize, usize, usize); 3] = [("1.5B", 12, 2, 128), ("0.5B", 14, 2, 64), ("135M", 9, 3, 64)];

/// Attention of some sequences to their own past, `n_pairs` of a token and a position in all; `(layout, query heads)`,
/// `(keys and values, sequences)`.
fn attend(
    group: &mut Group<'_>,
    id: &str,
    (layout, n_heads): (KvLayout, usize),
    (pool, spans): (&[f16], &[Span]),
    n_pairs: usize,
) {
    let stacks = Stacks::new(spans, n_heads / layout.n_kv_heads);
    let (scale, softcap, window) = (0.1, None, None);
    let what = Attention { layout, layer: 0, n_heads, scale, softcap, window, pool, stacks: &stacks };
    let n_tokens: usize = spans.iter().map(|span| span.n_tokens).sum();
    let q = floats(n_tokens * n_heads * layout.head_dim);
    let mut out = vec![0.0; q.len()];
    for n_threads in [1, 2] {
        let threads = Threads::new(n_threads);
        let work = vec![(4 * n_pairs * n_heads * layout.head_dim, Limit::F32)];
        group.row(&format!("{id}/threads {n_threads}"), n_threads, work, || attention(&what, &q, &mut out, &threads));
    }
}

fn attentions(c: &mut Criterion, report: &mut Report) {
    let mut group = report.group(c, "attention");
    for (name, n_heads, n_kv_heads, head_dim) in HEADS {
        for (context, n_tokens) in [(2048, 1), (512, 512)] {
            let layout = KvLayout { n_layers: 1, n_kv_heads, head_dim };
            let n_blocks = context / BLOCK_TOKENS;
            let pool: Vec<f16> = floats(n_blocks * layout.block_len()).into_iter().map(f16::from_f32).collect();
            let blocks = (0..n_blocks as u32).map(BlockId).collect();
            let spans = [Span { start: context - n_tokens, n_tokens, blocks, logit_rows: vec![] }];
            let n_pairs = (context - n_tokens + 1..=context).sum();
            let id = format!("{name} {n_tokens} of {context}");
            attend(&mut group, &id, (layout, n_heads), (&pool, &spans), n_pairs);
        }
    }
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

fn shared_prefixes(c: &mut Criterion, report: &mut Report) {
    let mut group = report.group(c, "attention");
    for (name, n_heads, n_kv_heads, head_dim) in HEADS {
        let layout = KvLayout { n_layers: 1, n_kv_heads, head_dim };
        for (n, shared) in [1, 8, 16, 32].into_iter().flat_map(|n| [(n, true), (n, false)]) {
            let (pool, spans) = forks(layout, n, shared);
            let n_pairs = n * (spans[0].start + 1);
            let blocks = if shared { "one prefix" } else { "copies" };
            attend(&mut group, &format!("{name} {n} on {blocks}"), (layout, n_heads), (&pool, &spans), n_pairs);
        }
    }
}

fn vectors(c: &mut Criterion, report: &mut Report) {
    let threads = Threads::new(1);
    let mut group = report.group(c, "vector");
    // So many vectors of `n` numbers are read or written.
    let moved = |n_vectors: usize, n: usize| vec![(4 * n_vectors * n, Limit::Cache)];
    for n in [1536, 8960] {
        let (x, mut y) = (floats(n), floats(n));
        group.row(&format!("rms_norm/{n}"), 1, moved(3, n), || rms_norm(&x, &x, 1e-6, &mut y, &threads));
        group.row(&format!("silu_mul/{n}"), 1, moved(3, n), || silu_mul(&mut y, &x, &threads));
        group.row(&format!("gelu_mul/{n}"), 1, moved(3, n), || gelu_mul(&mut y, &x, &threads));
        group.row(&format!("softmax/{n}"), 1, moved(2, n), || softmax(&mut y));
        group.row(&format!("quantize/{n}"), 1, moved(1, n), || {
            black_box(QuantizedRows::quantize(&x, 1, n, Precision::Bits8, &threads));
        });
        let many = x.repeat(16);
        group.row(&format!("to tiles, 16 rows/{n}"), 1, moved(16, n), || {
            black_box(TiledRows::new(&many, 16, n, &threads));
        });
    }
    let (mut heads, angles) = (floats(12 * 128), floats(64));
    for style in [RopeStyle::Adjacent, RopeStyle::Halves] {
        let work = moved(2, heads.len());
        group.row(&format!("rope {style:?}"), 1, work, || rope(&mut heads, 128, &angles, &angles, style));
    }
    let both = Threads::new(2);
    group.row("fork-join of 2 empty items", 2, vec![], || {
        both.parallel_for(2, |i| {
            black_box(i);
        });
    });
}

fn main() {
    machine();
    let mut c = Criterion::default()
        .sample_size(SAMPLES)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    let mut report = Report::new();
    for rows in [products, heads, packing, attentions, shared_prefixes, vectors] {
        rows(&mut c, &mut report);
    }
    c.final_summary();
    report.print();
}
