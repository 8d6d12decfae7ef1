//! Next-token distributions against other programs: llama.cpp's through golden files, candle's models in process.
//!
//! Seeded models of every family and encoding are compared always; with `PARTITA_TEST_MODEL` naming a model file, so
//! is that model, if there is a golden file of its name. `benches/parity` prints the figures against llama.cpp itself.
//!
//! The families have `f32` weights, which leaves no room for rounding: a wrong rotation, norm, bias or window shows.
//! A real model's golden file is llama.cpp's with nothing rounded, on the same weights decoded to `f32`: activations of
//! 16 bits have to give the same distributions, those of 8 bits nearly so. Seeded encodings are bounded by a small
//! multiple of what llama.cpp shows against itself when only its own flash attention is turned off.

#[path = "../support/figures.rs"]
mod figures;

use std::path::PathBuf;
use std::sync::Arc;

use candle_core::quantized::gguf_file;
use candle_core::{Device, Tensor};
use candle_transformers::models::{quantized_llama, quantized_qwen2};
use figures::{Figures, Golden, all_logits};
use partita::gguf::Gguf;
use partita::model::{LoadOptions, Model, tiny};
use partita::types::{Dtype, Precision};

/// As `benches/parity`, which wrote the golden files.
const N_CTX: usize = 2048;

fn load(gguf: Gguf, precision: Precision) -> Model {
    let options = LoadOptions { n_ctx: Some(N_CTX), precision, ..LoadOptions::default() };
    Model::load(&Arc::new(gguf), options).unwrap()
}

fn check(name: &str, figures: &Figures, max_mean_kl: f64, min_top1: f64) {
    assert!(figures.mean_kl() <= max_mean_kl && figures.top1() >= min_top1, "{name}: {figures}");
}

#[test]
fn seeded_models_agree_with_llama_cpp() {
    for (name, spec) in [tiny::families(Dtype::F32), tiny::encodings()].concat() {
        let golden = Golden::load(&format!("tiny-{name}")).unwrap();
        let model = load(Gguf::from_bytes(name, tiny::to_bytes(&spec)).unwrap(), Precision::Bits8);
        let figures = golden.compare(&all_logits(&model, &golden.tokens, 64).unwrap());
        let (max_mean_kl, min_top1) = match spec.dtype {
            Dtype::F32 => (1e-6, 1.0),
            Dtype::F16 | Dtype::BF16 => (1e-3, 0.9),
            // llama.cpp shares one activation scale among 256 values, Partita among 32.
            Dtype::Q2_K | Dtype::Q3_K | Dtype::Q4_K | Dtype::Q5_K | Dtype::Q6_K | Dtype::IQ4_XS => (0.02, 0.8),
            // Codes of activations have other steps than llama.cpp's: each rounds by itself.
            Dtype::Q5_0 => (0.0075, 0.9),
            _ => (0.005, 0.9),
        };
        check(name, &figures, max_mean_kl, min_top1);
    }
}

/// The model to test with, if there is one.
fn real_model() -> Option<PathBuf> {
    std::env::var_os("PARTITA_TEST_MODEL").map(PathBuf::from)
}

#[test]
fn a_real_model_agrees_with_llama_cpp() {
    let Some(path) = real_model() else { return };
    let gguf = Gguf::open(&path).unwrap();
    let name = Golden::name(&gguf).unwrap();
    let Ok(golden) = Golden::load(&name) else { return };
    drop(gguf);
    for (precision, max_mean_kl, min_top1) in [(Precision::Bits16, 1e-4, 0.99), (Precision::Bits8, 0.01, 0.9)] {
        let model = load(Gguf::open(&path).unwrap(), precision);
        let figures = golden.compare(&all_logits(&model, &golden.tokens, 64).unwrap());
        check(&format!("{name}, {precision:?}"), &figures, max_mean_kl, min_top1);
    }
}

#[test]
fn a_real_model_agrees_with_candle() {
    let Some(path) = real_model() else { return };
    let model = load(Gguf::open(&path).unwrap(), Precision::Bits8);
    let tokens: Vec<u32> = (0..48).map(|i| (i * i * 37 + i * 11) % 4096 + 300).collect();
    let ours = all_logits(&model, &tokens, 64).unwrap();
    let n_vocab = model.config().n_vocab;
    // candle gives the logits of the last position only.
    let last = &ours[ours.len() - n_vocab..];
    let theirs = candle_logits(&path, &tokens, &model.config().architecture);
    check("candle", &Figures::between(&theirs, last, n_vocab), 0.02, 0.0);
}

fn candle_logits(path: &PathBuf, tokens: &[u32], architecture: &str) -> Vec<f32> {
    let mut file = std::fs::File::open(path).unwrap();
    let content = gguf_file::Content::read(&mut file).unwrap();
    let input = Tensor::new(tokens, &Device::Cpu).unwrap().unsqueeze(0).unwrap();
    let logits = match architecture {
        "llama" => {
            quantized_llama::ModelWeights::from_gguf(content, &mut file, &Device::Cpu).unwrap().forward(&input, 0)
        }
        "qwen2" => {
            quantized_qwen2::ModelWeights::from_gguf(content, &mut file, &Device::Cpu).unwrap().forward(&input, 0)
        }
        other => panic!("candle is not asked for {other}"),
    };
    logits.unwrap().flatten_all().unwrap().to_vec1().unwrap()
}
