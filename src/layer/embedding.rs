//! Token embeddings, decoded row by row when they are looked up: from the packed output head where the model has one
//! matrix for both, or else from the mapped model file.
//!
//! Invariant: no copy of the table exists, decoded or not.

use std::sync::Arc;

use candle_core::{Device, Tensor};

use super::{Error, Linear};
use crate::gguf::Gguf;
use crate::kernel::{self, Packed};
use crate::types::{Dtype, Token};

/// A table of one row per token.
pub struct Embedding {
    table: Table,
    n_vocab: usize,
    dim: usize,
    scale: f32,
}

/// Where the rows are.
enum Table {
    /// In the tensor of this name.
    File(Arc<Gguf>, String),
    /// In the weights of the output head.
    Head(Arc<Packed>),
}

impl Table {
    fn row(&self, row: usize, out: &mut [f32]) -> Result<(), Error> {
        match self {
            Self::File(gguf, name) => {
                let view = gguf.find_tensor(name).expect("found when this was made");
                kernel::dequantize_row(view.info.dtype, view.data, row, out)?;
            }
            Self::Head(head) => head.row(row, out),
        }
        Ok(())
    }
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
        Ok(Self { table: Table::File(gguf, name.to_owned()), n_vocab, dim, scale })
    }

    /// The rows of the output head, every element times `scale`: for a model that has one matrix for both.
    pub fn of_head(head: &Linear, scale: f32) -> Self {
        let packed = head.packed();
        Self { table: Table::Head(Arc::clone(packed)), n_vocab: packed.n_rows(), dim: packed.n_cols(), scale }
    }

    /// `[tokens.len(), dim]`.
    ///
    /// # Errors
    /// [`Error::Shape`] for a token without a row.
    pub fn forward(&self, tokens: &[Token]) -> Result<Tensor, Error> {
        let mut out = vec![0.0; tokens.len() * self.dim];
        for (&token, out) in tokens.iter().zip(out.chunks_exact_mut(self.dim)) {
            let row = token as usize;
            if row >= self.n_vocab {
                let (wanted, found) = (format!("tokens below {}", self.n_vocab), token.to_string());
                return Err(Error::Shape { part: "embedding", wanted, found });
            }
            self.table.row(row, out)?;
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
