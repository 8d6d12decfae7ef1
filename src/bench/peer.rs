//! The peer in the same process: candle's own quantized models, on the same file.
//!
//! They run one sequence, or several of equal length; only the two cases that need one are measured. Their weights
//! are a copy of their own.
//! Must not know: what Partita's models look like.

use std::path::Path;
use std::time::Instant;

use candle_core::quantized::gguf_file::Content;
use candle_core::{Device, Tensor};
use candle_transformers::models::{quantized_llama, quantized_qwen2, quantized_qwen3};

use super::Error;
use crate::types::Token;

/// A model of candle's that has been loaded.
pub struct Peer(Family);

enum Family {
    Llama(quantized_llama::ModelWeights),
    Qwen2(quantized_qwen2::ModelWeights),
    Qwen3(quantized_qwen3::ModelWeights),
}

impl Peer {
    /// Loads a file, if candle knows its architecture.
    ///
    /// # Errors
    /// [`Error::Peer`].
    pub fn load(path: &Path) -> Result<Self, Error> {
        let mut file = std::fs::File::open(path).map_err(|error| Error::Peer(error.to_string()))?;
        let content = Content::read(&mut file)?;
        let architecture = content.metadata.get("general.architecture").and_then(|value| value.to_string().ok());
        let device = Device::Cpu;
        let family = match architecture.map(String::as_str) {
            Some("llama") => Family::Llama(quantized_llama::ModelWeights::from_gguf(content, &mut file, &device)?),
            Some("qwen2") => Family::Qwen2(quantized_qwen2::ModelWeights::from_gguf(content, &mut file, &device)?),
            Some("qwen3") => Family::Qwen3(quantized_qwen3::ModelWeights::from_gguf(content, &mut file, &device)?),
            other => {
                let found = other.unwrap_or("unnamed");
                return Err(Error::Peer(format!("architecture is {found}, expected llama, qwen2 or qwen3")));
            }
        };
        Ok(Self(family))
    }

    /// Seconds from a prompt to its first token.
    ///
    /// # Errors
    /// [`Error::Peer`].
    pub fn time_prefill(&mut self, prompt: &[Token]) -> Result<f64, Error> {
        let started = Instant::now();
        self.next(prompt, 0)?;
        Ok(started.elapsed().as_secs_f64())
    }

    /// Seconds for `n_tokens` drawn one after the other.
    ///
    /// # Errors
    /// [`Error::Peer`].
    pub fn time_decode(&mut self, first: Token, n_tokens: usize) -> Result<f64, Error> {
        let started = Instant::now();
        let mut token = first;
        for position in 0..n_tokens {
            token = self.next(&[token], position)?;
        }
        Ok(started.elapsed().as_secs_f64())
    }

    /// The likeliest token after these, which stand at `position`; 0 begins a new sequence.
    fn next(&mut self, tokens: &[Token], position: usize) -> Result<Token, Error> {
        let input = Tensor::new(tokens, &Device::Cpu)?.unsqueeze(0)?;
        let logits = match &mut self.0 {
            Family::Llama(model) => model.forward(&input, position),
            Family::Qwen2(model) => model.forward(&input, position),
            Family::Qwen3(model) => {
                if position == 0 {
                    model.clear_kv_cache();
                }
                model.forward(&input, position)
            }
        }?;
        Ok(logits.flatten_all()?.argmax(0)?.to_scalar::<u32>()?)
    }
}

impl From<candle_core::Error> for Error {
    fn from(error: candle_core::Error) -> Self {
        Self::Peer(error.to_string())
    }
}
