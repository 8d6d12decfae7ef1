//! Token embeddings, decoded from the mapped model file row by row when they are looked up.
//!
//! Invariant: no decoded copy of the table exists.

use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::Error;
use crate::gguf::Gguf;
use crate::kernel;
use crate::types::{Dtype, Token};

/// A table of one row per token.
pub struct Embedding {
    gguf: Arc<Gguf>,
    name: String,
    n_vocab: usize,
    dim: usize,
    scale: f32,
}

impl Embedding {
    /// The two-dimensional tensor `name` of a file, every element times `scale`.
    ///
    /// # Errors
    /// [`Error::Shape`] if there is no such tensor.
    pub fn new(gguf: Arc<Gguf>, name: &str, scale: f32) -> Result<Self, Error> {
        let shape = gguf.find_tensor(name).map(|view| view.info.shape.clone()).unwrap_or_default();
        let &[n_vocab, dim] = shape.as_slice() else {
            return Err(Error::Shape { part: "embedding", wanted: "a matrix".into(), found: format!("{shape:?}") });
        };
        Ok(Self { gguf, name: name.to_owned(), n_vocab, dim, scale })
    }

    /// `[tokens.len(), dim]`.
    ///
    /// # Errors
    /// [`Error::Shape`] for a token without a row.
    pub fn forward(&self, tokens: &[Token]) -> Result<Tensor, Error> {
        let view = self.gguf.find_tensor(&self.name).expect("found when this was made");
        let mut out = vec![0.0; tokens.len() * self.dim];
        for (&token, out) in tokens.iter().zip(out.chunks_exact_mut(self.dim)) {
            let row = token as usize;
            if row >= self.n_vocab {
                let (wanted, found) = (format!("tokens below {}", self.n_vocab), token.to_string());
                return Err(Error::Shape { part: "embedding", wanted, found });
            }
            kernel::dequantize_row(view.info.dtype, view.data, row, out)?;
            out.iter_mut().for_each(|x| *x *= self.scale);
        }
        Ok(Tensor::from_vec(out, (tokens.len(), self.dim), &Device::Cpu)?)
    }
}

/// All elements of an encoded tensor.
///
/// # Errors
/// [`Error::Weights`] if the bytes are not whole blocks.
pub fn decode(dtype: Dtype, bytes: &[u8]) -> Result<Vec<f32>, Error> {
    let mut out = vec![0.0; bytes.len() / dtype.block_bytes() * dtype.block_elements()];
    kernel::dequantize(dtype, bytes, &mut out)?;
    Ok(out)
}
