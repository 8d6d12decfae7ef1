//! Attention against its definition in `f64`, and its independence of batch, chunks, threads and blocks.

use super::super::attention::attention_on;
use super::super::{Attention, Isa, KvLayout, Stacks, Threads, attention};
use super::{Random, assert_close, assert_same_bits, on_every_isa};
use crate::types::{BLOCK_TOKENS, BlockId, Span};
use half::f16;

/// A batch over a pool of random keys and values.
struct Case {
    layout: KvLayout,
    n_heads: usize,
    softcap: Option<f32>,
    window: Option<usize>,
    pool: Vec<f16>,
    /// Per sequence, all keys and values, `[n_positions][n_kv_heads * head_dim]`.
    past: Vec<Vec<(Vec<f32>, Vec<f32>)>>,
    spans: Vec<Span>,
    q: Vec<f32>,
}

const LAYER: usize = 1;

impl Case {
    /// `sequences`: of each, positions in all and new tokens among them. `heads`: query heads, KV heads, elements.
    fn new(heads: [usize; 3], sequences: &[(usize, usize)]) -> Self {
        let [n_heads, n_kv_heads, head_dim] = heads;
        let layout = KvLayout { n_layers: 2, n_kv_heads, head_dim };
        let mut random = Random(11);
        let n_blocks: usize = sequences.iter().map(|(n, _)| n.div_ceil(BLOCK_TOKENS)).sum();
        // What no token was stored in must not matter.
        let mut pool = vec![f16::NAN; n_blocks * layout.block_len()];
        let (mut past, mut spans, mut n_used) = (Vec::new(), Vec::new(), 0);
        for &(n_positions, n_tokens) in sequences {
            let n = n_positions.div_ceil(BLOCK_TOKENS);
            // Blocks from the end of the pool backwards: order in the pool is not order in the sequence.
            let blocks: Vec<_> = (0..n).map(|i| BlockId((n_blocks - 1 - n_used - i) as u32)).collect();
            n_used += n;
            let rows: Vec<_> = (0..n_positions)
                .map(|_| (random.floats(n_kv_heads * head_dim), random.floats(n_kv_heads * head_dim)))
                .collect();
            let span = Span { start: n_positions - n_tokens, n_tokens, blocks, logit_rows: vec![] };
            for (position, (k, v)) in rows.iter().enumerate().take(span.start) {
                layout.store(&mut pool, LAYER, (&span.blocks, position), (k, v));
            }
            past.push(rows);
            spans.push(span);
        }
        let n_tokens: usize = sequences.iter().map(|(_, n)| n).sum();
        let new = past.iter().zip(&spans).flat_map(|(rows, span): (&Vec<_>, _)| &rows[span.start..]);
        let (keys, values): (Vec<&[f32]>, Vec<&[f32]>) = new.map(|(k, v): &(Vec<_>, Vec<_>)| (&k[..], &v[..])).unzip();
        layout.store_rows(&mut pool, LAYER, &spans, (&keys.concat(), &values.concat()), &Threads::new(2));
        let q = random.floats(n_tokens * n_heads * head_dim).iter().map(|x| x * 4.0).collect();
        Self { layout, n_heads, softcap: None, window: None, pool, past, spans, q }
    }

    fn attention<'a>(&'a self, stacks: &'a Stacks<'a>) -> Attention<'a> {
        Attention {
            layout: self.layout,
            layer: LAYER,
            n_heads: self.n_heads,
            scale: 0.3,
            softcap: self.softcap,
            window: self.window,
            pool: &self.pool,
            stacks,
        }
    }

    fn stacks<'a>(&self, spans: &'a [Span]) -> Stacks<'a> {
        Stacks::new(spans, self.n_heads / self.layout.n_kv_heads)
    }

    /// Makes the first blocks of sequence `child` those of `parent`.
    fn share(&mut self, parent: usize, child: usize, n_blocks: usize) {
        let blocks = self.spans[parent].blocks[..n_blocks].to_vec();
        self.spans[child].blocks[..n_blocks].copy_from_slice(&blocks);
        let rows = self.past[parent][..n_blocks * BLOCK_TOKENS].to_vec();
        self.past[child][..n_blocks * BLOCK_TOKENS].clone_from_slice(&rows);
    }

    fn token_len(&self) -> usize {
        self.n_heads * self.layout.head_dim
    }

    /// By the definition, in `f64`.
    fn reference(&self) -> Vec<f64> {
        let mut out = Vec::new();
        let mut rows = self.q.chunks(self.token_len());
        for (span, past) in self.spans.iter().zip(&self.past) {
            for position in span.start..span.start + span.n_tokens {
                let q = rows.next().expect("one row per token");
                let first = self.window.map_or(0, |w| (position + 1).saturating_sub(w));
                for head in 0..self.n_heads {
                    out.extend(self.attend(&q[head * self.layout.head_dim..], head, &past[first..=position]));
                }
            }
        }
        out
    }

    fn attend(&self, q: &[f32], head: usize, past: &[(Vec<f32>, Vec<f32>)]) -> Vec<f64> {
        let dim = self.layout.head_dim;
        let start = head / (self.n_heads / self.layout.n_kv_heads) * dim;
        let stored = |x: &[f32], d: usize| f64::from(f16::from_f32(x[start + d]).to_f32());
        let scores: Vec<f64> = past
            .iter()
            .map(|(k, _)| {
                let score = (0..dim).map(|d| f64::from(q[d]) * stored(k, d)).sum::<f64>() * f64::from(0.3f32);
                self.softcap.map_or(score, |cap| f64::from(cap) * (score / f64::from(cap)).tanh())
            })
            .collect();
        let largest = scores.iter().fold(f64::MIN, |a, &b| a.max(b));
        let weights: Vec<f64> = scores.iter().map(|s| (s - largest).exp()).collect();
        let sum: f64 = weights.iter().sum();
        (0..dim).map(|d| past.iter().zip(&weights).map(|((_, v), w)| w * stored(v, d)).sum::<f64>() / sum).collect()
    }
}

fn run(case: &Case, isa: Isa, spans: &[Span], q: &[f32], threads: &Threads) -> Vec<f32> {
    let mut out = vec![f32::NAN; q.len()];
    attention_on(isa, &case.attention(&case.stacks(spans)), q, &mut out, threads);
    out
}

#[test]
fn attention_equals_its_definition_on_every_instruction_set() {
    let threads = Threads::new(2);
    type Row<'a> = ([usize; 3], &'a [(usize, usize)], Option<f32>, Option<usize>);
    let rows: [Row<'_>; 11] = [
        ([1, 1, 8], &[(1, 1)], None, None),
        ([3, 3, 16], &[(5, 5)], None, None),
        ([9, 3, 64], &[(33, 33), (40, 1)], None, None),
        ([14, 2, 64], &[(300, 2)], None, None),
        ([12, 2, 128], &[(257, 1), (256, 1), (64, 64)], None, None),
        ([8, 1, 256], &[(70, 3)], None, None),
        ([4, 2, 72], &[(65, 65)], None, None),
        ([4, 2, 24], &[(600, 40)], None, Some(33)),
        ([4, 4, 16], &[(600, 300)], None, Some(1)),
        ([4, 2, 32], &[(50, 10)], Some(2.0), None),
        ([64, 1, 16], &[(40, 3)], Some(50.0), Some(700)),
    ];
    for (heads, sequences, softcap, window) in rows {
        let case = Case { softcap, window, ..Case::new(heads, sequences) };
        let name = format!("{heads:?} {sequences:?}");
        let got = on_every_isa(&name, |isa| run(&case, isa, &case.spans, &case.q, &threads));
        assert_close(&name, &got, &case.reference(), 1e-5);
    }
}

/// Every token in a pass of its own.
fn one_by_one(case: &Case, isa: Isa, threads: &Threads) -> Vec<f32> {
    let mut alone = Vec::new();
    let mut q = case.q.chunks(case.token_len());
    for span in &case.spans {
        for i in 0..span.n_tokens {
            let span = Span { start: span.start + i, n_tokens: 1, ..span.clone() };
            alone.extend(run(case, isa, &[span], q.next().expect("one row per token"), threads));
        }
    }
    alone
}

#[test]
fn a_token_does_not_depend_on_batch_chunks_or_threads() {
    let (one, many) = (Threads::new(1), Threads::new(3));
    for window in [None, Some(100)] {
        let case = Case { window, ..Case::new([6, 2, 40], &[(310, 200), (600, 1), (45, 45)]) };
        for isa in Isa::available() {
            let whole = run(&case, isa, &case.spans, &case.q, &many);
            // A few rows on many threads are cut up by segments, on one thread they are not.
            for threads in [&one, &many] {
                assert_same_bits(isa.name(), &whole, &one_by_one(&case, isa, threads));
            }
        }
    }
}

/// Ragged sequences, most of which are forks of an earlier one, within a segment or past some.
fn random_forks(seed: u64, heads: [usize; 3]) -> Case {
    let mut random = Random(seed);
    let mut below = |n: usize| (usize::from(u16::from_le_bytes([random.byte(), random.byte()])) * n) >> 16;
    let sequences: Vec<(usize, usize)> = (0..2 + below(8))
        .map(|_| {
            let n_tokens = 1 + [0, 0, 4, 40][below(4)];
            (n_tokens + below(800), n_tokens)
        })
        .collect();
    let mut case = Case::new(heads, &sequences);
    for child in 1..sequences.len() {
        let parent = below(child);
        let n_full = sequences[child].0.min(sequences[parent].0) / BLOCK_TOKENS;
        if below(4) > 0 {
            case.share(parent, child, below(n_full + 1));
        }
    }
    case
}

#[test]
fn a_token_does_not_depend_on_who_shares_its_past() {
    let threads = [1, 2, 5].map(Threads::new);
    for seed in 0..12 {
        let heads = [[6, 1, 16], [7, 1, 24], [4, 2, 40], [3, 3, 8]][seed % 4];
        let window = [None, Some(300), Some(40)][seed % 3];
        let softcap = (seed % 5 == 4).then_some(2.0);
        let case = Case { window, softcap, ..random_forks(seed as u64, heads) };
        let name = format!("seed {seed}");
        let got = on_every_isa(&name, |isa| one_by_one(&case, isa, &threads[0]));
        assert_close(&name, &got, &case.reference(), 1e-5);
        for threads in &threads {
            let together = on_every_isa(&name, |isa| run(&case, isa, &case.spans, &case.q, threads));
            assert_same_bits(&format!("{name}, {} threads", threads.n_threads()), &together, &got);
        }
    }
}

#[test]
fn forks_of_a_long_prefix_get_what_copies_of_it_give() {
    let threads = [1, 2, 5].map(Threads::new);
    for (heads, n_forks) in [([12, 2, 16], 17), ([9, 3, 16], 5), ([4, 4, 16], 33)] {
        let sequences: Vec<(usize, usize)> = (0..n_forks).map(|i| (600 + 7 * i, 1)).collect();
        let copies = Case::new(heads, &sequences);
        let mut forks = Case::new(heads, &sequences);
        for child in 1..n_forks {
            forks.share(0, child, 600 / BLOCK_TOKENS);
        }
        let mut pool = copies.pool.clone();
        let len = copies.layout.block_len();
        for (fork, copy) in forks.spans.iter().zip(&copies.spans) {
            for (from, to) in fork.blocks.iter().zip(&copy.blocks) {
                let from = &forks.pool[from.0 as usize * len..][..len];
                pool[to.0 as usize * len..][..len].copy_from_slice(from);
            }
        }
        let copies = Case { pool, ..copies };
        for threads in &threads {
            let run = |case: &Case| on_every_isa("forks", |isa| run(case, isa, &case.spans, &case.q, threads));
            assert_same_bits(&format!("{heads:?}"), &run(&forks), &run(&copies));
        }
    }
}

#[test]
fn where_a_block_lies_does_not_matter() {
    let case = Case::new([4, 2, 16], &[(100, 10)]);
    let threads = Threads::new(1);
    let mut got = vec![0.0; case.q.len()];
    attention(&case.attention(&case.stacks(&case.spans)), &case.q, &mut got, &threads);
    // The same sequence, block by block in the opposite order in memory.
    let len = case.layout.block_len();
    let pool: Vec<f16> = case.pool.chunks(len).rev().flatten().copied().collect();
    let n_blocks = pool.len() / len;
    let mut spans = case.spans.clone();
    for block in &mut spans[0].blocks {
        block.0 = n_blocks as u32 - 1 - block.0;
    }
    let mut want = vec![0.0; case.q.len()];
    attention(&Attention { pool: &pool, ..case.attention(&case.stacks(&spans)) }, &case.q, &mut want, &threads);
    assert_same_bits("moved blocks", &got, &want);
}

#[test]
fn layers_heads_and_positions_do_not_overlap() {
    let layout = KvLayout { n_layers: 2, n_kv_heads: 3, head_dim: 24 };
    let blocks = [BlockId(1), BlockId(0)];
    let mut pool = vec![f16::ZERO; 2 * layout.block_len()];
    let mut n_written = 0;
    for layer in 0..2 {
        for position in 0..2 * BLOCK_TOKENS {
            let before = pool.iter().filter(|x| **x != f16::ZERO).count();
            layout.store(&mut pool, layer, (&blocks, position), (&[1.0; 72], &[2.0; 72]));
            n_written = pool.iter().filter(|x| **x != f16::ZERO).count();
            assert_eq!(n_written, before + 144, "layer {layer}, position {position}");
        }
    }
    assert_eq!(n_written, 2 * 2 * BLOCK_TOKENS * 144);
    assert_eq!(pool.iter().filter(|x| **x == f16::ONE).count(), n_written / 2);
}
