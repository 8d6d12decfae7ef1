//! The parts that all models share: embedding, norm, linear, rotary, attention over the KV pool, gated MLP.
//!
//! Activations are candle tensors of `f32`, `[n_tokens, width]`, so that one model definition serves every device.
//! Each part decides inside its `forward` how to run on the device of its input; in main memory that is a kernel of
//! ours on the tensor's slice (`host`), on any other device candle says by name which part it has no code for.
//! Invariant: a row of a result depends on the same row of the input only (attention: on the row's own past too), bit
//! for bit, unless a [`Linear`] is told to take tiles for many rows.
//! Must not know: families, layers of a model, batches of sequences beyond their block tables.

mod attention;
mod embedding;
mod host;
mod linear;
mod mlp;
mod norm;
mod rotary;

#[cfg(test)]
mod tests;

pub use attention::Attention;
pub use embedding::{Embedding, decode};
pub use host::{add, gather, to_vec};
pub use linear::Linear;
pub use mlp::{Activation, Mlp};
pub use norm::RmsNorm;
pub use rotary::{Angles, Rotary};

use crate::kernel;

/// Why a part cannot be made or run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Shapes or devices that do not go together.
    #[error(transparent)]
    Tensor(#[from] candle_core::Error),
    /// Weights that cannot be decoded or packed.
    #[error(transparent)]
    Weights(#[from] kernel::Error),
    /// A shape that a part cannot take.
    #[error("{part} takes {wanted}, got {found}")]
    Shape {
        /// The part.
        part: &'static str,
        /// What it takes.
        wanted: String,
        /// What came.
        found: String,
    },
}
