//! What a pass costs beside the model: drawing, scheduling, and the engine's loop around a model of two small layers.
//!
//! `cargo bench --bench decode`, or `-- draw` for a part. Draws are over a vocabulary of 151,936, as Qwen2.5's head has;
//! `elem` = one logit. The engine's rows count tokens drawn, all sequences together.

#![allow(missing_docs)]

use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use partita::engine::{EngineOptions, Prompt, Request, load};
use partita::model::tiny::{self, TinySpec};
use partita::sample::{Mask, Random, Sampler};
use partita::schedule::{Budget, Running, next};
use partita::types::{Sampling, SequenceId, Token};

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

fn config() -> Criterion {
    Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
}

criterion_group! { name = decode; config = config(); targets = draws, schedules, engines }
criterion_main!(decode);
