//! What a pass costs beside the model: drawing, scheduling, and the engine's loop around a model of two small layers.
//!
//! `cargo bench --bench decode`, or `-- draw` for a part. Draws are over a vocabulary of 151,936, as Qwen2.5's head has;
//! `elem` = one logit. The engine's rows count tokens drawn, all sequences together. The rows of `grammar` are the mean time
//! of a pass, prompts and drawing included, with the models that `PARTITA_TEST_MODEL` names; `mask` is one mask.

#![allow(missing_docs)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use partita::engine::{EngineOptions, Features, Prompt, Request, load};
use partita::model::tiny::{self, TinySpec};
use partita::sample::{Grammars, Mask, Random, Sampler};
use partita::schedule::{Budget, Running, next};
use partita::types::{Grammar, Sampling, SequenceId, Token};
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

fn engines(c: &mut Criterion) {
    const N_TOKENS: usize = 32;
    let folder = tempfile::tempdir().expect("a folder for the model");
    let path = folder.path().join("tiny.gguf");
    tiny::write(&path, &TinySpec::default()).expect("the folder can be written");
    let engine = load(&path, &EngineOptions::default(), &mut |_| ()).expect("the model loads");
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

criterion_group! { name = decode; config = config(); targets = draws, schedules, engines, grammars }
criterion_main!(decode);
