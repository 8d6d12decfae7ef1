//! What a pass costs beside the model: drawing, scheduling, and the engine's loop around a model of two small layers.
//!
//! `cargo bench --bench decode`, or `-- draw` for a part, `-- books` for what the cache and the schedule take. Draws are over
//! a vocabulary of 151,936, as Qwen2.5's head has; `elem` = one logit. The engine's rows count tokens drawn, all sequences
//! together. The rows of `grammar` are the mean time of a pass, prompts and drawing included, with the models that
//! `PARTITA_TEST_MODEL` names; `mask` is one mask.

#![allow(missing_docs)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use partita::cache::{Cache, KvPool, KvShape};
use partita::engine::{Engine, EngineOptions, Features, Prompt, Request, load};
use partita::model::tiny::{self, TinySpec};
use partita::sample::{Grammars, Mask, Random, Sampler};
use partita::schedule::{Budget, Cost, Decision, Load, Running, next};
use partita::types::{BLOCK_TOKENS, BlockId, Grammar, Sampling, SequenceId, Token};
use serde_json::json;

const N_VOCAB: usize = 151_936;

/// Logits with the long tail of a language model's: a few likely tokens, thousands within reach, the rest far below.
fn logits() -> Vec<f32> {
    let mut random = Random::new(1);
    let mut gauss = || (0..6).map(|_| random.next_unit()).sum::<f64>() as f32 - 3.0;
    (0..N_VOCAB).map(|i| 3.0 * gauss() + if i % 9973 == 0 { 12.0 } else { 0.0 }).collect()
}

fn draws(c: &mut Criterion) {
    let mut group = c.benchmark_group("draw");
    group.throughput(Throughput::Elements(N_VOCAB as u64));
    let logits = logits();
    let few = Mask::of(&(0..200).map(|i| i * 613).collect::<Vec<Token>>(), N_VOCAB).into();
    let base = Sampling { temperature: 0.8, ..Sampling::default() };
    for (name, sampling, mask) in [
        ("greedy", Sampling::default(), None),
        ("greedy masked", Sampling::default(), Some(&few)),
        ("temperature", base.clone(), None),
        ("top-p", Sampling { top_p: 0.95, ..base.clone() }, None),
        ("top-k", Sampling { top_k: 40, ..base.clone() }, None),
        ("min-p", Sampling { min_p: 0.05, ..base }, None),
        ("logprobs", Sampling { n_logprobs: 20, ..Sampling::default() }, None),
    ] {
        let mut sampler = Sampler::new(&sampling).expect("options in range");
        group.bench_function(name, |b| {
            let draw = |mut logits: Vec<f32>| sampler.pick(&mut logits, mask).expect("something is allowed");
            b.iter_batched(|| logits.clone(), draw, BatchSize::LargeInput);
        });
    }
    group.finish();
}

fn schedules(c: &mut Criterion) {
    let sequence = |id: u64| Running {
        id: SequenceId(id),
        n_tokens: 1500 + id as usize,
        n_computed: if id.is_multiple_of(8) { 700 } else { 1499 + id as usize },
        n_blocks: 48,
        is_decoding: !id.is_multiple_of(8),
        program: id % 4,
        rank: id * 7 % 13,
    };
    let running: Vec<Running> = (0..64).map(sequence).collect();
    c.bench_function("schedule/64 sequences", |b| {
        b.iter(|| next(black_box(&running), Budget { n_tokens: 256, n_gentle: 32, n_blocks: 1000 }));
    });
}

/// The books of 64 decoding sequences of 768 to 2,048 tokens that share the first 768, in a pool that old prefixes fill.
struct Books {
    cache: Cache,
    pool: KvPool,
    cost: Cost,
    running: Vec<Decoding>,
    /// A prompt that has no room.
    waiting: Vec<Token>,
    n_prompts: u32,
}

struct Decoding {
    tokens: Vec<Token>,
    blocks: Vec<BlockId>,
}

impl Books {
    const N_NODES: usize = 4096;
    const N_SHARED: usize = 768;

    fn new() -> Self {
        let (shape, n_blocks) = (KvShape { n_layers: 1, n_kv_heads: 1, head_dim: 16 }, Self::N_NODES + 64);
        let mut cost = Cost::default();
        for i in 1..=64 {
            cost.observe(Load::default().with(i, 100 * (i % 7)), Load::default(), 20.0 + i as f64);
        }
        let (cache, pool) = (Cache::new(n_blocks), KvPool::new(shape, n_blocks));
        let mut books = Self { cache, pool, cost, running: Vec::new(), waiting: Vec::new(), n_prompts: 0 };
        while books.cache.n_free() > 64 * 64 / 2 {
            let Decoding { blocks, .. } = books.begin(0, 512);
            books.cache.release(blocks);
        }
        books.running = (0..64).map(|i| books.begin(Self::N_SHARED, 800 + i * 13)).collect();
        while books.cache.n_free() > 0 {
            let Decoding { blocks, .. } = books.begin(0, 512.min(books.cache.n_free() * BLOCK_TOKENS));
            books.cache.release(blocks);
        }
        books.waiting = books.prompt(Self::N_SHARED, 1500);
        books
    }

    /// A prompt whose first `n_shared` tokens others have too.
    fn prompt(&mut self, n_shared: usize, n_tokens: usize) -> Vec<Token> {
        self.n_prompts += 1;
        let seed = self.n_prompts * 4096;
        (0..n_tokens as u32).map(|i| if (i as usize) < n_shared { i } else { seed + i }).collect()
    }

    /// A sequence whose prompt has just been computed.
    fn begin(&mut self, n_shared: usize, n_tokens: usize) -> Decoding {
        let tokens = self.prompt(n_shared, n_tokens);
        let mut blocks = self.cache.reuse(&tokens, &mut self.pool).blocks;
        self.cache.grow(&mut blocks, n_tokens, &self.pool).expect("old prefixes make room");
        self.cache.insert(&tokens, &blocks);
        Decoding { tokens, blocks }
    }

    /// All that happens to the books in a pass.
    fn pass(&mut self) {
        black_box(self.cache.n_known(&self.waiting));
        let shares = self.shares();
        let mut spans = Vec::with_capacity(shares.len());
        for i in 0..shares.len() {
            let sequence = &mut self.running[i];
            self.cache
                .grow(&mut sequence.blocks, sequence.tokens.len() + 1, &self.pool)
                .expect("old prefixes make room");
            spans.push(sequence.blocks.clone());
            sequence.tokens.push(i as Token);
            if sequence.tokens.len().is_multiple_of(BLOCK_TOKENS) {
                self.cache.insert(&sequence.tokens, &sequence.blocks);
            }
            if sequence.tokens.len() == 2048 {
                self.cache.release(std::mem::take(&mut sequence.blocks));
                self.running[i] = self.begin(Self::N_SHARED, 1024);
            }
        }
        black_box(spans);
    }

    /// What every sequence gets in this pass.
    fn shares(&self) -> Vec<partita::schedule::Share> {
        let view = |(i, sequence): (usize, &Decoding)| Running {
            id: SequenceId(i as u64),
            n_tokens: sequence.tokens.len() + 1,
            n_computed: sequence.tokens.len(),
            n_blocks: sequence.blocks.len(),
            is_decoding: true,
            program: i as u64 % 4,
            rank: 0,
        };
        let running: Vec<Running> = self.running.iter().enumerate().map(view).collect();
        let load = running.iter().fold(Load::default(), |load, sequence| load.with(1, sequence.n_computed));
        let n_gentle = self.cost.room(load, 0, 256);
        match next(&running, Budget { n_tokens: 256, n_gentle, n_blocks: self.cache.n_available() }) {
            Decision::Batch(shares) if shares.len() == running.len() => shares,
            decision => panic!("everybody has room: {decision:?}"),
        }
    }
}

fn books(c: &mut Criterion) {
    c.bench_function("schedule/books of 64 sequences, 4096 nodes", |b| {
        let mut books = Books::new();
        b.iter(|| books.pass());
    });
}

/// The engine's own figure, with a tree of 4,000 nodes and as many sequences waiting as running.
fn overhead(c: &mut Criterion) {
    c.bench_function("schedule/overhead of an engine's pass, 64 running and 64 waiting", |b| {
        let (engine, _folder) = tiny_engine(&TinySpec { n_ctx: 2048, ..TinySpec::default() });
        let run = |n_requests: u32, n_shared: u32, n_own: u32, n_tokens: usize| {
            let request = |i: u32| {
                let own = (0..n_own).map(|k| (k * k * 7 + i * (k + 3) + i / 256) % 256);
                let prompt = Prompt::Tokens((0..n_shared).map(|k| k % 251).chain(own).collect());
                Request { ignore_end: true, ..Request::new(prompt, n_tokens) }
            };
            let streams = engine.submit_all((0..n_requests).map(request).collect()).expect("requests in range");
            streams.into_iter().for_each(|stream| drop(stream.finish_blocking().expect("sequences end")));
        };
        run(260, 0, 500, 1);
        let mut seed = 1000;
        b.iter_custom(|n| {
            let before = engine.stats();
            run(128, 256 + seed % 251, 20, 32);
            seed += 1;
            let after = engine.stats();
            let n_passes = (after.n_passes - before.n_passes) as u32;
            (after.overhead - before.overhead) * n as u32 / n_passes
        });
    });
}

/// An engine, and the folder that its model lies in.
fn tiny_engine(spec: &TinySpec) -> (Engine, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder for the model");
    let path = folder.path().join("tiny.gguf");
    tiny::write(&path, spec).expect("the folder can be written");
    (load(&path, &EngineOptions::default(), &mut |_| ()).expect("the model loads"), folder)
}

fn engines(c: &mut Criterion) {
    const N_TOKENS: usize = 32;
    let (engine, _folder) = tiny_engine(&TinySpec::default());
    let request = |i: u32| {
        let prompt = Prompt::Tokens((0..40).map(|k| (k * 7 + i) % 256).collect());
        Request { ignore_end: true, ..Request::new(prompt, N_TOKENS) }
    };
    let mut group = c.benchmark_group("engine");
    for n in [1, 8, 64_u32] {
        group.throughput(Throughput::Elements(u64::from(n) * N_TOKENS as u64));
        group.bench_function(BenchmarkId::new("sequences", n), |b| {
            b.iter(|| {
                let streams = engine.submit_all((0..n).map(request).collect()).expect("requests in range");
                streams.into_iter().for_each(|stream| drop(stream.finish_blocking().expect("sequences end")));
            });
        });
    }
    group.finish();
}

fn call() -> Grammar {
    Grammar::JsonSchema(json!({
        "type": "array", "minItems": 9, "items": {
            "type": "object", "additionalProperties": false, "required": ["tool", "needs", "limit", "why"],
            "properties": {
                "tool": { "enum": ["read_text", "read_table", "query", "write_text", "list_files", "search_text"] },
                "needs": { "type": "array", "minItems": 1, "maxItems": 2, "items": { "enum": ["$1", "$2", "$3"] } },
                "limit": { "type": "integer", "minimum": 1, "maximum": 500 },
                "why": { "type": "string", "minLength": 5, "maxLength": 30 }
            }
        }
    }))
}

/// The time that `n_masks` masks of a text under the grammar take.
fn mask_time(grammars: &Grammars, n_masks: u64) -> Duration {
    let mut constraint = grammars.compile(&call()).expect("it compiles");
    let (mut random, mut taken) = (Random::new(1), Duration::ZERO);
    for _ in 0..n_masks {
        if constraint.is_stopped() {
            constraint = grammars.compile(&call()).expect("it compiles");
        }
        constraint.forced().expect("the grammar goes on");
        let started = Instant::now();
        let mask = constraint.mask().expect("the grammar goes on");
        taken += started.elapsed();
        let n_vocab = 49_152;
        let first = (random.next_u64() % n_vocab) as Token;
        let token = (first..n_vocab as Token).chain(0..first).find(|&token| mask.allows(token));
        constraint.accept(token.expect("something is allowed")).expect("it is allowed");
    }
    taken
}

/// A decode step of the models in `PARTITA_TEST_MODEL` under a grammar, and the mask that it takes.
fn grammars(c: &mut Criterion) {
    let paths = std::env::var_os("PARTITA_TEST_MODEL").unwrap_or_default();
    for path in std::env::split_paths(&paths).filter(|path| path.is_file()) {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut group = c.benchmark_group(format!("grammar/{name}"));
        group.sample_size(10);
        for (variant, mask_ahead, deterministic) in
            [("after", false, false), ("ahead", true, false), ("ahead, deterministic", true, true)]
        {
            let features = Features { mask_ahead, ..Features::default() };
            let options = EngineOptions { features, deterministic, ..EngineOptions::default() };
            let engine = load(&path, &options, &mut |_| ()).expect("the model loads");
            let request = |i: u64| Request {
                grammar: Some(call()),
                sampling: Sampling { temperature: 0.8, seed: i, ..Sampling::default() },
                ..Request::new(Prompt::Tokens((0..40).map(|k| 1000 + k * 7 + i as Token).collect()), 60)
            };
            let pass = |n: u64| {
                let before = engine.stats();
                let streams = engine.submit_all((0..n).map(request).collect()).expect("requests in range");
                streams.into_iter().for_each(|stream| drop(stream.finish_blocking().expect("sequences end")));
                let after = engine.stats();
                (after.busy - before.busy) / (after.n_passes - before.n_passes) as u32
            };
            for n in [1, 8] {
                group.bench_function(BenchmarkId::new(variant, n), |b| {
                    b.iter_custom(|n_iters| (0..n_iters).map(|_| pass(n)).sum());
                });
            }
            if variant == "after" {
                let grammars = Grammars::new(engine.tokenizer());
                group.bench_function("mask", |b| b.iter_custom(|n_iters| mask_time(&grammars, n_iters)));
            }
        }
        group.finish();
    }
}

fn config() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
}

criterion_group! { name = decode; config = config(); targets = draws, schedules, books, overhead, engines, grammars }
criterion_main!(decode);
