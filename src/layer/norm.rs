//! Root-mean-square norm.
//!
//! Source: arXiv:1910.07467.

use std::sync::Arc;

use candle_core::Tensor;

use super::{Error, host};
use crate::kernel::{self, Threads};

/// Scales rows to a root mean square of 1, then every column by its weight.
pub struct RmsNorm {
    weight: Vec<f32>,
    eps: f32,
    threads: Arc<Threads>,
}

impl RmsNorm {
    /// `eps` is added to the mean square.
    pub fn new(weight: Vec<f32>, eps: f32, threads: &Arc<Threads>) -> Self {
        Self { weight, eps, threads: Arc::clone(threads) }
    }

    /// # Shapes
    /// `x`: `[n_tokens, k * width]` where `width` is that of the weights; every run of `width` is normed on its own,
    /// so the norm of a head takes all heads of a token as one row.
    ///
    /// # Errors
    /// Another shape.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, Error> {
        let (_, n_cols) = x.dims2()?;
        if !n_cols.is_multiple_of(self.weight.len()) {
            let wanted = format!("rows of a multiple of {}", self.weight.len());
            return Err(Error::Shape { part: "norm", wanted, found: format!("rows of {n_cols}") });
        }
        Ok(host::map("norm", x, x.shape(), |x, out| {
            kernel::rms_norm(x, &self.weight, self.eps, out, &self.threads);
        })?)
    }
}
