//! Perplexity of a text: how well a model as it runs here foretells it, to be held against other engines on the same file.
//!
//! The text's tokens are cut into chunks of the context's length, what is left over at the end is not used. Each chunk is
//! a sequence of its own; where the model expects BOS, it stands in the place of the chunk's first token. Scored are the
//! tokens after the first half, so that each has at least that much before it.
//!
//! Method: that of llama.cpp's `llama-perplexity` without a stride, so that the figures can be compared.
//! Must not know: how the result is shown.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use rayon::prelude::*;
use serde::Serialize;

use super::Error;
use crate::cache::KvPool;
use crate::catalog;
use crate::engine;
use crate::gguf::Gguf;
use crate::model::{LoadOptions, Model};
use crate::tokenizer::{Special, Tokenizer};
use crate::types::{BLOCK_TOKENS, Batch, BlockId, Precision, Span, TileUse, Token};

/// Fewer tokens in a chunk leave none with a first half before it and another one to foretell.
const LEAST: usize = 4;
/// Tokens of one forward pass; their logits are in memory together.
const N_BATCH: usize = 128;

/// What to measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PerplexityBench {
    /// Tokens of a chunk; 4 or more.
    pub n_ctx: usize,
    /// The most chunks to take; `None` takes all.
    pub n_chunks: Option<usize>,
    /// How finely activations are rounded.
    pub precision: Precision,
    /// As [`engine::EngineOptions::packed_home`].
    pub packed_home: Option<PathBuf>,
}

impl Default for PerplexityBench {
    fn default() -> Self {
        Self { n_ctx: 512, n_chunks: None, precision: Precision::default(), packed_home: None }
    }
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PerplexityReport {
    /// `exp` of the mean negative log-likelihood of the scored tokens.
    pub perplexity: f64,
    /// Its standard error.
    pub error: f64,
    /// Tokens of a chunk.
    pub n_ctx: usize,
    /// Chunks.
    pub n_chunks: usize,
    /// Tokens that were scored.
    pub n_scored: usize,
    /// Tokens of the text.
    pub n_tokens: usize,
    /// Seconds without loading.
    pub seconds: f64,
    /// What went wrong while loading and cost nothing but time.
    #[serde(skip)]
    pub warnings: Vec<String>,
}

/// Sums over the scored tokens.
#[derive(Debug, Clone, Copy, Default)]
struct Scores {
    n: usize,
    nll: f64,
    nll_squared: f64,
}

impl Scores {
    fn add(&mut self, nll: f64) {
        self.n += 1;
        self.nll += nll;
        self.nll_squared += nll * nll;
    }

    fn perplexity(&self) -> f64 {
        (self.nll / self.n as f64).exp()
    }

    /// The standard error of the mean, carried over to its exponential.
    fn error(&self) -> f64 {
        let mean = self.nll / self.n as f64;
        let variance = (self.nll_squared / self.n as f64 - mean * mean).max(0.0);
        (variance / (self.n.max(2) - 1) as f64).sqrt() * self.perplexity()
    }
}

/// Loads a model file and measures a text, telling after every chunk how many of how many are done and the perplexity so
/// far.
///
/// # Errors
/// [`Error::Text`] if the text does not fill a chunk, [`Error::Context`], and whatever is wrong with the file.
pub fn run_perplexity(
    path: &Path,
    text: &str,
    plan: &PerplexityBench,
    report: &mut dyn FnMut(usize, usize, f64),
) -> Result<PerplexityReport, Error> {
    let gguf = Arc::new(Gguf::open(path).map_err(|error| engine::Error::Gguf(Arc::new(error)))?);
    let tokenizer = Tokenizer::from_gguf(gguf.metadata());
    let tokenizer = tokenizer.map_err(|error| engine::Error::Tokenizer(Arc::new(error)))?;
    let packed_places = plan.packed_home.iter().flat_map(|home| catalog::packed_paths(path, home)).collect();
    let n_ctx = Some(plan.n_ctx.max(LEAST));
    let tiles = TileUse::WhereFaster;
    let options = LoadOptions { precision: plan.precision, tiles, n_ctx, packed_places, threads: None };
    let model = Model::load(&gguf, options).map_err(|error| engine::Error::Model(Arc::new(error)))?;
    let n_ctx = model.config().n_ctx;
    if plan.n_ctx > n_ctx {
        return Err(Error::Context { test: "perplexity".into(), needed: plan.n_ctx, n_ctx });
    }
    let warnings = model.kept().warnings.clone();
    Ok(PerplexityReport { warnings, ..measure(&model, &tokenizer, text, plan, report)? })
}

/// As [`run_perplexity`], on a model that was loaded with a context of `plan.n_ctx`.
fn measure(
    model: &Model,
    tokenizer: &Tokenizer,
    text: &str,
    plan: &PerplexityBench,
    report: &mut dyn FnMut(usize, usize, f64),
) -> Result<PerplexityReport, Error> {
    let n_ctx = plan.n_ctx;
    let bos = tokenizer.bos().filter(|_| tokenizer.add_bos());
    let tokens: Vec<Token> = bos.into_iter().chain(tokenizer.encode(text, Special::AsText)).collect();
    if n_ctx < LEAST || tokens.len() < n_ctx || plan.n_chunks == Some(0) {
        return Err(Error::Text { found: tokens.len(), wanted: n_ctx.max(LEAST) });
    }
    let n_chunks = (tokens.len() / n_ctx).min(plan.n_chunks.unwrap_or(usize::MAX));
    let mut pool = KvPool::new(model.kv_shape(), n_ctx.div_ceil(BLOCK_TOKENS));
    let mut scores = Scores::default();
    let began = Instant::now();
    for (done, chunk) in tokens.chunks_exact(n_ctx).take(n_chunks).enumerate() {
        let mut chunk = chunk.to_vec();
        bos.iter().for_each(|&bos| chunk[0] = bos);
        for nll in score(model, &chunk, &mut pool)? {
            scores.add(nll);
        }
        report(done + 1, n_chunks, scores.perplexity());
    }
    Ok(PerplexityReport {
        perplexity: scores.perplexity(),
        error: scores.error(),
        n_ctx,
        n_chunks,
        n_scored: scores.n,
        n_tokens: tokens.len(),
        seconds: began.elapsed().as_secs_f64(),
        warnings: Vec::new(),
    })
}

/// Negative log-likelihood in nats of every token of a chunk that comes after its first half and one more.
fn score(model: &Model, chunk: &[Token], pool: &mut KvPool) -> Result<Vec<f64>, Error> {
    let first = chunk.len() / 2;
    let blocks: Vec<BlockId> = (0..chunk.len().div_ceil(BLOCK_TOKENS) as u32).map(BlockId).collect();
    let mut scores = Vec::with_capacity(chunk.len() - first);
    // Nothing follows the last token, so it needs no pass.
    let inputs = &chunk[..chunk.len() - 1];
    for (i, tokens) in inputs.chunks(N_BATCH).enumerate() {
        let start = i * N_BATCH;
        let logit_rows: Vec<usize> = (first.saturating_sub(start)..tokens.len()).collect();
        let next: Vec<Token> = logit_rows.iter().map(|row| chunk[start + row + 1]).collect();
        let span = Span { start, n_tokens: tokens.len(), blocks: blocks.clone(), logit_rows };
        let batch = Batch { tokens: tokens.to_vec(), spans: vec![span] };
        let logits = model.forward(&batch, pool).map_err(|error| engine::Error::Model(Arc::new(error)))?;
        let rows = logits.rows.par_chunks_exact(logits.n_vocab).zip(next);
        scores.extend(rows.map(|(row, next)| negative_log_likelihood(row, next)).collect::<Vec<f64>>());
    }
    Ok(scores)
}

/// `-ln softmax(logits)[token]`.
fn negative_log_likelihood(logits: &[f32], token: Token) -> f64 {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total: f64 = logits.iter().map(|&logit| f64::from((logit - largest).exp())).sum();
    total.ln() - f64::from(logits[token as usize] - largest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::write::Value;
    use crate::model::tiny::{self, TinySpec};

    const TEXT: &str = "The theory on the train, in the rain: her ring, all in all, rang on and on. ";

    fn perplexity(spec: &TinySpec, text: &str, plan: &PerplexityBench) -> Result<PerplexityReport, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiny.gguf");
        tiny::write(&path, spec).unwrap();
        run_perplexity(&path, text, plan, &mut |_, _, _| ())
    }

    #[test]
    fn the_second_half_of_every_chunk_is_scored() {
        let spec = TinySpec::default();
        let gguf = Arc::new(Gguf::from_bytes("tiny", tiny::to_bytes(&spec)).unwrap());
        let (model, tokenizer) =
            (Model::load(&gguf, LoadOptions::default()).unwrap(), Tokenizer::from_gguf(gguf.metadata()).unwrap());
        let text = TEXT.repeat(9);
        let tokens = tokenizer.encode(&text, Special::AsText);
        for n_ctx in [40, 41, 300] {
            // By the definition: every chunk in one pass, and the mean of all that is scored.
            let mut nlls = Vec::new();
            for chunk in tokens.chunks_exact(n_ctx) {
                let mut pool = KvPool::new(model.kv_shape(), n_ctx.div_ceil(BLOCK_TOKENS));
                let blocks = (0..n_ctx.div_ceil(BLOCK_TOKENS) as u32).map(BlockId).collect();
                let span = Span { start: 0, n_tokens: n_ctx, blocks, logit_rows: (0..n_ctx).collect() };
                let batch = Batch { tokens: chunk.to_vec(), spans: vec![span] };
                let logits = model.forward(&batch, &mut pool).unwrap();
                let rows: Vec<&[f32]> = logits.rows.chunks_exact(logits.n_vocab).collect();
                for i in n_ctx / 2..n_ctx - 1 {
                    let total: f64 = rows[i].iter().map(|&logit| f64::from(logit).exp()).sum();
                    nlls.push(total.ln() - f64::from(rows[i][chunk[i + 1] as usize]));
                }
            }
            let want = (nlls.iter().sum::<f64>() / nlls.len() as f64).exp();
            let mut told = Vec::new();
            let plan = PerplexityBench { n_ctx, ..PerplexityBench::default() };
            let got = measure(&model, &tokenizer, &text, &plan, &mut |done, all, _| told.push((done, all))).unwrap();
            assert!((got.perplexity / want - 1.0).abs() < 1e-6, "{n_ctx}: {} is not {want}", got.perplexity);
            assert_eq!((got.n_scored, got.n_chunks), (nlls.len(), tokens.len() / n_ctx), "{n_ctx}");
            assert_eq!(told.last(), Some(&(got.n_chunks, got.n_chunks)), "{n_ctx}");
            assert!(got.error > 0.0 && got.error < got.perplexity, "{n_ctx}: {}", got.error);
        }
    }

    #[test]
    fn every_chunk_begins_with_bos_where_the_model_expects_it() {
        let text = TEXT.repeat(3);
        let plan = PerplexityBench { n_ctx: 32, n_chunks: Some(2), ..PerplexityBench::default() };
        let without = perplexity(&TinySpec::default(), &text, &plan).unwrap();
        let mut bytes = tiny::to_bytes(&TinySpec::default());
        let key = b"tokenizer.ggml.add_bos_token";
        let at = bytes.windows(key.len()).position(|window| window == key).unwrap() + key.len() + 4;
        assert_eq!(bytes[at], 0);
        bytes[at] = 1;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bos.gguf");
        std::fs::write(&path, bytes).unwrap();
        let with = run_perplexity(&path, &text, &plan, &mut |_, _, _| ()).unwrap();
        assert_eq!((with.n_tokens, with.n_scored), (without.n_tokens + 1, without.n_scored));
        // The same tokens at other places, after another beginning.
        assert!((with.perplexity - without.perplexity).abs() > 1e-3, "{} {}", with.perplexity, without.perplexity);
    }

    #[test]
    fn what_cannot_be_scored_is_refused() {
        let check = |text: &str, n_ctx, n_chunks, want: &str| {
            let plan = PerplexityBench { n_ctx, n_chunks, ..PerplexityBench::default() };
            let key = vec![("rope.freq_base", Value::F32(1e4))];
            let spec = TinySpec { keys: key, ..TinySpec::default() };
            assert_eq!(perplexity(&spec, text, &plan).unwrap_err().to_string(), want);
        };
        check("abc", 512, None, "the text has 3 tokens, expected 512 or more: a chunk");
        check("abcdef", 3, None, "the text has 6 tokens, expected 4 or more: a chunk");
        check("abc", 513, None, "perplexity needs a context of 513 tokens, the model has 512");
    }
}
