//! Takes a model's tensors out of its file, each with the shape that the configuration asks for.
//!
//! Invariant: a tensor that nobody took is noticed ([`Weights::finish`]), so a model with parts that Partita does not
//! know is refused instead of run without them.
//! Must not know: what the tensors do.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use super::Error;
use super::packed::{Kept, Matrices};
use crate::gguf::{Gguf, TensorView};
use crate::kernel::{Packed, Threads};
use crate::layer::{self, Embedding, Linear, RmsNorm};
use crate::types::Precision;

/// The tensors of a file, and which of them have been taken.
pub(super) struct Weights<'a> {
    gguf: &'a Arc<Gguf>,
    threads: &'a Arc<Threads>,
    precision: Precision,
    matrices: Matrices<'a>,
    taken: RefCell<HashSet<String>>,
}

impl<'a> Weights<'a> {
    pub fn new(gguf: &'a Arc<Gguf>, threads: &'a Arc<Threads>, precision: Precision, matrices: Matrices<'a>) -> Self {
        Self { gguf, threads, precision, matrices, taken: RefCell::default() }
    }

    /// Numbers of a one-dimensional tensor.
    pub fn vector(&self, name: &str, n: usize) -> Result<Vec<f32>, Error> {
        let view = self.take(name, &[n])?;
        layer::decode(view.info.dtype, view.data).map_err(|source| Error::Tensor { name: name.to_owned(), source })
    }

    /// As [`Weights::vector`], if the file has the tensor.
    pub fn find_vector(&self, name: &str, n: usize) -> Result<Option<Vec<f32>>, Error> {
        self.has(name).then(|| self.vector(name, n)).transpose()
    }

    pub fn norm(&self, name: &str, n: usize, eps: f32) -> Result<RmsNorm, Error> {
        Ok(RmsNorm::new(self.vector(name, n)?, eps, self.threads))
    }

    /// A matrix with `n_out` rows of `n_in` weights, and its bias if asked for.
    pub fn linear(&self, name: &str, n_in: usize, n_out: usize, with_bias: bool) -> Result<Linear, Error> {
        let [linear] = self.split(name, n_in, [n_out])?;
        if !with_bias {
            return Ok(linear);
        }
        let bias = self.vector(&format!("{name}.bias"), n_out)?;
        Ok(linear.with_bias(bias)?)
    }

    /// The matrices whose rows are stored one after the other in one tensor; `n_out` rows each.
    pub fn split<const N: usize>(&self, name: &str, n_in: usize, n_out: [usize; N]) -> Result<[Linear; N], Error> {
        let name = format!("{name}.weight");
        let TensorView { info, data } = self.take(&name, &[n_out.iter().sum(), n_in])?;
        let row_bytes = info.n_bytes / info.shape[0];
        let mut rest = data;
        let mut linears = Vec::with_capacity(N);
        for (part, n_out) in n_out.into_iter().enumerate() {
            let (rows, after) = rest.split_at(n_out * row_bytes);
            let key = if N == 1 { name.clone() } else { format!("{name}#{part}") };
            let pack = || Packed::pack(info.dtype, rows, n_out, n_in);
            let packed = self.matrices.get(&key, info.dtype, [n_out, n_in], pack);
            let packed = packed.map_err(|error| Error::Tensor { name: name.clone(), source: error.into() })?;
            linears.push(Linear::new(packed, self.threads).with_precision(self.precision));
            rest = after;
        }
        self.gguf.release(&name);
        Ok(linears.try_into().unwrap_or_else(|_| unreachable!("one matrix per row count")))
    }

    /// The embedding of `n_vocab` tokens, decoded from the file when looked up.
    pub fn embedding(&self, name: &str, n_vocab: usize, dim: usize, scale: f32) -> Result<Embedding, Error> {
        self.take(name, &[n_vocab, dim])?;
        Ok(Embedding::new(Arc::clone(self.gguf), name, scale)?)
    }

    pub fn threads(&self) -> &Arc<Threads> {
        self.threads
    }

    /// Rows of a matrix, whose width the metadata says.
    pub fn n_rows(&self, name: &str) -> Result<usize, Error> {
        Ok(self.gguf.tensor(name)?.info.shape[0])
    }

    pub fn has(&self, name: &str) -> bool {
        self.gguf.find_tensor(name).is_some()
    }

    /// Keeps the packed weights for the next time.
    ///
    /// # Errors
    /// [`Error::TensorUnknown`] if a tensor was never taken.
    pub fn finish(self, architecture: &str) -> Result<Kept, Error> {
        let taken = self.taken.into_inner();
        match self.gguf.tensors().iter().find(|info| !taken.contains(&info.name)) {
            None => Ok(self.matrices.keep()),
            Some(info) => Err(Error::TensorUnknown { name: info.name.clone(), architecture: architecture.to_owned() }),
        }
    }

    fn take(&self, name: &str, shape: &[usize]) -> Result<TensorView<'a>, Error> {
        let view = self.gguf.tensor(name)?;
        if view.info.shape != shape {
            let (found, wanted) = (view.info.shape.clone(), shape.to_vec());
            return Err(Error::TensorShape { name: name.to_owned(), found, wanted });
        }
        self.taken.borrow_mut().insert(name.to_owned());
        Ok(view)
    }
}
