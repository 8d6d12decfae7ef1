//! The gated MLP: `down(act(gate(x)) * up(x))`.
//!
//! Source: arXiv:2002.05202.

use std::sync::Arc;

use candle_core::Tensor;

use super::{Error, Linear, host};
use crate::kernel::{self, Threads};

/// Activation of the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `x * sigmoid(x)`.
    Silu,
    /// GELU in its tanh approximation.
    GeluTanh,
}

/// Three projections around one activation.
pub struct Mlp {
    /// `[ffn_dim, dim]`, activated.
    pub gate: Linear,
    /// `[ffn_dim, dim]`.
    pub up: Linear,
    /// `[dim, ffn_dim]`.
    pub down: Linear,
    /// Applied to what `gate` gives.
    pub activation: Activation,
    /// Where the activation is computed.
    pub threads: Arc<Threads>,
}

impl Mlp {
    /// # Shapes
    /// `x`: `[n_tokens, dim]`; returns the same.
    ///
    /// # Errors
    /// Another shape.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, Error> {
        let [gated, up] = Linear::forward_each([&self.gate, &self.up], x)?;
        host::update_with("gate", &gated, &up, |gate, up| match self.activation {
            Activation::Silu => kernel::silu_mul(gate, up, &self.threads),
            Activation::GeluTanh => kernel::gelu_mul(gate, up, &self.threads),
        })?;
        self.down.forward(&gated)
    }
}
