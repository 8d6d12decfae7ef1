//! A decoder-only language model: tokens and cached keys and values in, logits out.
//!
//! There is one forward pass, in `decoder`; a [`Family`] says as data which of its parts a model has. It takes a ragged
//! batch: any number of sequences, any number of new tokens each, every sequence at its own position. A row's result
//! depends on that row's own past only, bit for bit: not on the batch, the chunking or the threads. The exception is
//! asked for by name: with [`TileUse`](crate::types::TileUse) the number of rows in a pass decides how they are
//! rounded.
//! Must not know: text, sampling, scheduling, who owns a block.

mod batch;
mod config;
mod decoder;
mod family;
mod fingerprint;
mod packed;
mod rope;
pub mod tiny;
mod weights;

#[cfg(test)]
mod tests;

pub use config::{Config, LayerConfig};
pub use decoder::{LoadOptions, Logits, Model, Wanted};
pub use family::Family;
pub use packed::Kept;
pub use rope::RopeConfig;

use crate::types::Token;
use crate::{gguf, layer};

/// Why a model cannot be loaded or a batch cannot be run.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum Error {
    #[error("architecture {found} is not supported, expected one of {known}")]
    Architecture { found: String, known: String },
    #[error("metadata key {key} is {value}, which is not supported; expected {wanted}")]
    Unsupported { key: String, value: String, wanted: String },
    #[error("tensor {name} has shape {found:?}, expected {wanted:?}")]
    TensorShape { name: String, found: Vec<usize>, wanted: Vec<usize> },
    #[error(
        "tensor {name} is not part of a {architecture} model as Partita knows it, so running without it would be wrong"
    )]
    TensorUnknown { name: String, architecture: String },
    #[error("tensor {name}: {source}")]
    Tensor { name: String, source: layer::Error },
    #[error(transparent)]
    Gguf(#[from] gguf::Error),
    #[error(transparent)]
    Layer(#[from] layer::Error),
    #[error("token {token} at row {row} is not in the vocabulary of {n_vocab} tokens")]
    Token { token: Token, row: usize, n_vocab: usize },
    #[error("span {span}: positions end at {end}, but the context has {n_ctx}")]
    Context { span: usize, end: usize, n_ctx: usize },
    #[error("span {span}: {why}")]
    Span { span: usize, why: String },
    #[error("the spans have {spans} tokens together, but the batch has {tokens}")]
    BatchSize { spans: usize, tokens: usize },
    #[error("the KV pool was made for {found}, but the model needs {wanted}")]
    Pool { found: String, wanted: String },
}
