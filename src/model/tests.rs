//! What is refused when a model is loaded or a batch is run, and by which words.

use std::sync::Arc;

use super::tiny::{self, TinySpec};
use super::*;
use crate::cache::{KvPool, KvShape};
use crate::gguf::Gguf;
use crate::gguf::write::Value;
use crate::kernel::Threads;
use crate::types::{Batch, BlockId, Dtype, Precision, Span, TileUse};

fn load(spec: &TinySpec) -> Result<Model, Error> {
    let gguf = Gguf::from_bytes("tiny.gguf", tiny::to_bytes(spec)).unwrap();
    Model::load(&Arc::new(gguf), LoadOptions::default())
}

fn with(architecture: &'static str, key: &'static str, value: impl Into<Value>) -> TinySpec {
    TinySpec { architecture, keys: vec![(key, value.into())], ..TinySpec::default() }
}

#[test]
fn refuses_what_it_does_not_know() {
    let own_vector = |name, n| TinySpec { vectors: vec![(name, vec![1.0; n])], ..TinySpec::default() };
    for (spec, want) in [
        (
            TinySpec { architecture: "mamba", ..TinySpec::default() },
            "architecture mamba is not supported, expected one of llama, qwen2, qwen3, gemma3, phi3, smollm3",
        ),
        (
            with("llama", "rope.scaling.type", "dynamic"),
            "metadata key llama.rope.scaling.type is dynamic, which is not supported; expected none, linear, yarn or longrope",
        ),
        (
            with("qwen2", "rope.scaling.factor", -1.0f32),
            "metadata key qwen2.rope.scaling.factor is -1, which is not supported; expected a positive number",
        ),
        (
            with("qwen3", "expert_count", 8u32),
            "metadata key qwen3.expert_count is 8, which is not supported; expected 0: models with experts are not supported",
        ),
        (
            with("llama", "rope.dimension_count", 65u32),
            "metadata key llama.rope.dimension_count is 65, which is not supported; expected an even number up to 64",
        ),
        (own_vector("rope_freqs.weight", 3), "tensor rope_freqs.weight has shape [3], expected [32]"),
        (
            own_vector("blk.0.attn_sinks.weight", 4),
            "tensor blk.0.attn_sinks.weight is not part of a llama model as Partita knows it, so running without it would be wrong",
        ),
        (
            with("llama", "rope.scaling.type", "longrope"),
            "metadata key llama.rope.scaling.original_context_length is missing",
        ),
    ] {
        let got = load(&spec).err().expect("refused").to_string();
        assert!(got.starts_with(want), "got {got}\nexpected {want}");
    }
}

#[test]
fn a_missing_tensor_is_named() {
    // Without the biases of Qwen2, and with queries that would be normed in Qwen3.
    for (architecture, want) in [("qwen2", "blk.0.attn_q.bias"), ("qwen3", "blk.0.attn_q_norm.weight")] {
        let mut bytes = tiny::to_bytes(&TinySpec { architecture: "llama", ..TinySpec::default() });
        let text = b"llama";
        let renamed = [architecture.as_bytes()];
        replace(&mut bytes, text, renamed[0]);
        let gguf = Arc::new(Gguf::from_bytes("tiny.gguf", bytes).unwrap());
        let got = Model::load(&gguf, LoadOptions::default()).err().expect("refused").to_string();
        assert!(got.contains(want), "got {got}");
    }
}

/// Replaces every occurrence of one word by another of the same length.
fn replace(bytes: &mut [u8], word: &[u8], by: &[u8]) {
    assert_eq!(word.len(), by.len());
    for start in 0..bytes.len() - word.len() {
        if bytes[start..].starts_with(word) {
            bytes[start..start + word.len()].copy_from_slice(by);
        }
    }
}

#[test]
fn refuses_batches_that_do_not_add_up() {
    let model = load(&TinySpec { n_ctx: 40, ..TinySpec::default() }).unwrap();
    let mut pool = KvPool::new(model.kv_shape(), 2);
    let good = || Span { start: 0, n_tokens: 2, blocks: vec![BlockId(0)], logit_rows: vec![1] };
    let batch = |tokens: &[u32], spans: Vec<Span>| Batch { tokens: tokens.to_vec(), spans };
    for (batch, want) in [
        (batch(&[1], vec![good()]), "the spans have 2 tokens together, but the batch has 1"),
        (batch(&[1, 9999], vec![good()]), "token 9999 at row 1 is not in the vocabulary of 271 tokens"),
        (batch(&[], vec![Span { n_tokens: 0, ..good() }]), "span 0: has no tokens, expected at least 1"),
        (batch(&[1, 2], vec![Span { start: 39, ..good() }]), "span 0: positions end at 41, but the context has 40"),
        (batch(&[1, 2], vec![Span { start: 31, ..good() }]), "span 0: has 1 blocks, but 33 positions take 2"),
        (
            batch(&[1, 2], vec![Span { blocks: vec![BlockId(2)], ..good() }]),
            "span 0: names block 2, but the pool has 2",
        ),
        (
            batch(&[1, 2], vec![Span { logit_rows: vec![2], ..good() }]),
            "span 0: wants the logits of [2], expected ascending offsets below 2",
        ),
        (
            batch(&[1, 2], vec![Span { logit_rows: vec![1, 0], ..good() }]),
            "span 0: wants the logits of [1, 0], expected ascending offsets below 2",
        ),
        (batch(&[1, 2, 3, 4], vec![good(), good()]), "span 1: writes into block 0 as another span or position does"),
    ] {
        assert_eq!(model.forward(&batch, &mut pool).unwrap_err().to_string(), want);
    }
    let mut small = KvPool::new(KvShape { n_layers: 1, ..model.kv_shape() }, 2);
    let got = model.forward(&batch(&[1, 2], vec![good()]), &mut small).unwrap_err().to_string();
    assert_eq!(
        got,
        "the KV pool was made for 1 layers of 2 heads of 64, but the model needs 2 layers of 2 heads of 64"
    );
    assert_eq!(model.forward(&batch(&[1, 2], vec![good()]), &mut pool).unwrap().n_rows(), 1);
}

#[test]
fn rotations_follow_the_metadata() {
    let rope = |spec: &TinySpec| load(spec).unwrap().config().layers[0].rope.clone().unwrap();
    let plain = rope(&TinySpec::default());
    let linear = rope(&with("llama", "rope.scaling.factor", 4.0f32));
    let none = rope(&TinySpec {
        keys: vec![("rope.scaling.factor", Value::F32(4.0)), ("rope.scaling.type", Value::from("none"))],
        ..TinySpec::default()
    });
    let factors = TinySpec { vectors: vec![("rope_freqs.weight", vec![2.0; 32])], ..TinySpec::default() };
    assert_eq!(plain.freqs.len(), 32);
    assert_eq!((plain.freqs[0], plain.magnitude), (1.0, 1.0));
    assert_eq!(none, plain);
    for (scaled, factor) in [(linear, 4.0), (rope(&factors), 2.0)] {
        assert!(scaled.freqs.iter().zip(&plain.freqs).all(|(a, b)| (a * factor - b).abs() < 1e-6));
    }
    let smollm3 = load(&TinySpec { architecture: "smollm3", n_layers: 4, ..TinySpec::default() }).unwrap();
    let rotated: Vec<bool> = smollm3.config().layers.iter().map(|layer| layer.rope.is_some()).collect();
    assert_eq!(rotated, [true, true, true, false]);
}

#[test]
fn mutated_files_give_errors_or_models() {
    let threads = Arc::new(Threads::new(1));
    let good = tiny::to_bytes(&TinySpec { architecture: "gemma3", n_layers: 1, ..TinySpec::default() });
    let n_header = good.windows(16).position(|bytes| bytes == b"tokenizer.ggml.m").expect("keys come first");
    let mut state = 1u64;
    let mut random = |n: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % n
    };
    let (mut n_read, mut n_loaded) = (0, 0);
    for _ in 0..400 {
        let mut bytes = good.clone();
        // A value of the configuration, most of the time: what the reader of the file itself cannot refuse.
        for _ in 0..1 + random(2) {
            bytes[24 + random(n_header - 24)] = [0, 1, 0x7f, 0x80, 0xff][random(5)];
        }
        let Ok(gguf) = Gguf::from_bytes("mutated.gguf", bytes) else { continue };
        n_read += 1;
        let options = LoadOptions { threads: Some(Arc::clone(&threads)), ..LoadOptions::default() };
        n_loaded += usize::from(Model::load(&Arc::new(gguf), options).is_ok());
    }
    assert!(n_read > 100 && n_loaded > 10 && n_loaded < n_read, "{n_read} read, {n_loaded} loaded");
}

#[test]
fn whatever_changes_keys_and_values_changes_the_fingerprint() {
    let of = |spec: &TinySpec, n_ctx: Option<usize>, precision: Precision| {
        let gguf = Arc::new(Gguf::from_bytes("tiny", tiny::to_bytes(spec)).unwrap());
        Model::load(&gguf, LoadOptions { n_ctx, precision, ..LoadOptions::default() }).unwrap().fingerprint()
    };
    let plain = || of(&TinySpec::default(), None, Precision::Bits8);
    assert_eq!(plain(), plain());
    assert_eq!(of(&TinySpec::default(), Some(100), Precision::Bits8), plain(), "its rotation is the same");
    assert_ne!(of(&TinySpec::default(), None, Precision::Bits16), plain());
    let with_tiles = |precision, tiles| {
        let gguf = Arc::new(Gguf::from_bytes("tiny", tiny::to_bytes(&TinySpec::default())).unwrap());
        Model::load(&gguf, LoadOptions { precision, tiles, ..LoadOptions::default() }).unwrap().fingerprint()
    };
    assert_ne!(with_tiles(Precision::Bits8, TileUse::From(4)), plain());
    assert_eq!(with_tiles(Precision::Bits8, TileUse::From(8)), with_tiles(Precision::Bits8, TileUse::From(4)));
    let exact = of(&TinySpec::default(), None, Precision::Bits16);
    assert_eq!(with_tiles(Precision::Bits16, TileUse::From(4)), exact, "16 bits take no tiles");
    assert_ne!(of(&TinySpec { seed: 2, ..TinySpec::default() }, None, Precision::Bits8), plain());
    let key = vec![("rope.freq_base", Value::F32(5e5))];
    assert_ne!(of(&TinySpec { keys: key, ..TinySpec::default() }, None, Precision::Bits8), plain());
    // LongRoPE has factors for short and for long contexts.
    let (_, phi3) = tiny::families(Dtype::Q8_0).into_iter().find(|(name, _)| *name == "phi3").unwrap();
    let [long, less, short] = [None, Some(500), Some(256)].map(|n_ctx| of(&phi3, n_ctx, Precision::Bits8));
    assert!(long == less && long != short);
}

#[test]
fn passes_of_many_rows_take_tiles_and_others_do_not_change() {
    let load = |tiles| {
        let gguf = Gguf::from_bytes("tiny", tiny::to_bytes(&TinySpec::default())).unwrap();
        Model::load(&Arc::new(gguf), LoadOptions { tiles, ..LoadOptions::default() }).unwrap()
    };
    let models = [TileUse::Never, TileUse::From(4), TileUse::From(31)].map(load);
    // The logits of 30 tokens, in passes of this many.
    let logits = |model: &Model, n_tokens: usize| {
        let mut pool = KvPool::new(model.kv_shape(), 1);
        let rows = (0..30).step_by(n_tokens).flat_map(|start| {
            let logit_rows = (0..n_tokens).collect();
            let span = Span { start, n_tokens, blocks: vec![BlockId(0)], logit_rows };
            let tokens = (start..start + n_tokens).map(|i| (i * 37 % 256) as u32).collect();
            model.forward(&Batch { tokens, spans: vec![span] }, &mut pool).unwrap().rows
        });
        rows.collect::<Vec<f32>>()
    };
    let exact = logits(&models[0], 30);
    for n_tokens in [1, 2, 3] {
        assert_eq!(logits(&models[1], n_tokens), exact, "passes of {n_tokens}");
    }
    assert_eq!(logits(&models[2], 30), exact);
    let tiled = logits(&models[1], 30);
    let square = |x: f32| f64::from(x) * f64::from(x);
    let off: f64 = tiled.iter().zip(&exact).map(|(a, b)| square(a - b)).sum();
    let error = (off / exact.iter().map(|x| square(*x)).sum::<f64>()).sqrt();
    assert!(error > 1e-5 && error < 0.05, "{error:.2e}");
}
