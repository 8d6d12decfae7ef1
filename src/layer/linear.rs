//! `y = x W^T + b` with quantized weights.
//!
//! Invariant: the weights exist once, in the kernels' packed layout.
//! Must not know: what the matrix is for.

use std::sync::Arc;

use candle_core::Tensor;

use super::{Error, host};
use crate::kernel::{Packed, QuantizedRows, Threads};
use crate::types::{Dtype, Precision};

/// A matrix of `[n_out, n_in]` weights, and maybe a bias per output.
pub struct Linear {
    packed: Arc<Packed>,
    bias: Option<Vec<f32>>,
    precision: Precision,
    threads: Arc<Threads>,
}

impl Linear {
    /// Packs `n_out` rows of `n_in` weights, encoded as `dtype` says.
    ///
    /// # Errors
    /// [`Error::Weights`] for a shape that cannot be packed.
    pub fn pack(dtype: Dtype, rows: &[u8], n_out: usize, n_in: usize, threads: &Arc<Threads>) -> Result<Self, Error> {
        Ok(Self::new(Arc::new(Packed::pack(dtype, rows, n_out, n_in)?), threads))
    }

    /// With weights that are packed already, without a bias.
    pub fn new(packed: Arc<Packed>, threads: &Arc<Threads>) -> Self {
        Self { packed, bias: None, precision: Precision::default(), threads: Arc::clone(threads) }
    }

    /// The weights.
    pub fn packed(&self) -> &Arc<Packed> {
        &self.packed
    }

    /// Adds a bias.
    ///
    /// # Errors
    /// [`Error::Shape`] if there is not one number per output.
    pub fn with_bias(self, bias: Vec<f32>) -> Result<Self, Error> {
        if bias.len() != self.n_out() {
            let wanted = format!("a bias of {}", self.n_out());
            return Err(Error::Shape { part: "linear", wanted, found: format!("a bias of {}", bias.len()) });
        }
        Ok(Self { bias: Some(bias), ..self })
    }

    /// How finely activations are rounded where the weights are quantized.
    pub fn with_precision(self, precision: Precision) -> Self {
        Self { precision, ..self }
    }

    /// Outputs per row.
    pub fn n_out(&self) -> usize {
        self.packed.n_rows()
    }

    /// # Shapes
    /// `x`: `[n_tokens, n_in]`; returns `[n_tokens, n_out]`.
    ///
    /// # Errors
    /// Another shape.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, Error> {
        let [y] = Self::forward_each([self], x)?;
        Ok(y)
    }

    /// As [`Linear::forward`] for several matrices, which share the preparation of `x`.
    ///
    /// # Errors
    /// As [`Linear::forward`].
    pub fn forward_each<const N: usize>(linears: [&Self; N], x: &Tensor) -> Result<[Tensor; N], Error> {
        let (n_tokens, n_in) = x.dims2()?;
        if let Some(linear) = linears.iter().find(|linear| linear.packed.n_cols() != n_in) {
            let wanted = format!("rows of {}", linear.packed.n_cols());
            return Err(Error::Shape { part: "linear", wanted, found: format!("rows of {n_in}") });
        }
        let outputs = host::read("linear", x, |x| {
            let codes = linears
                .iter()
                .find(|linear| linear.packed.is_quantized())
                .map(|linear| QuantizedRows::quantize(x, n_tokens, n_in, linear.precision, &linear.threads));
            linears.map(|linear| linear.multiply(x, codes.as_ref(), n_tokens))
        })?;
        let tensors = outputs
            .into_iter()
            .zip(linears)
            .map(|(output, linear)| Tensor::from_vec(output, (n_tokens, linear.n_out()), x.device()));
        let tensors: Vec<Tensor> = tensors.collect::<Result<_, _>>()?;
        Ok(tensors.try_into().unwrap_or_else(|_| unreachable!("one tensor per matrix")))
    }

    /// The outputs of some rows of `x`: all outputs, or those in `wanted`, ascending. Each is what [`Linear::forward`]
    /// gives, bit for bit.
    ///
    /// # Shapes
    /// `x`: `[n_tokens, n_in]`; returns `[rows.len(), n_out or wanted.len()]`, row by row.
    ///
    /// # Errors
    /// Another shape, or a row past the last one.
    ///
    /// # Panics
    /// If a wanted output does not exist.
    pub fn select(&self, x: &Tensor, rows: &[usize], wanted: Option<&[u32]>) -> Result<Vec<f32>, Error> {
        let x = host::gather(x, rows)?;
        let (n_rows, n_in) = x.dims2()?;
        if self.packed.n_cols() != n_in {
            let wanted = format!("rows of {}", self.packed.n_cols());
            return Err(Error::Shape { part: "linear", wanted, found: format!("rows of {n_in}") });
        }
        Ok(host::read("linear", &x, |x| {
            let is_quantized = self.packed.is_quantized();
            let codes = is_quantized.then(|| QuantizedRows::quantize(x, n_rows, n_in, self.precision, &self.threads));
            match wanted {
                Some(wanted) => self.multiply_some(x, codes.as_ref(), wanted, n_rows),
                None => self.multiply(x, codes.as_ref(), n_rows),
            }
        })?)
    }

    fn multiply_some(&self, x: &[f32], codes: Option<&QuantizedRows>, wanted: &[u32], n_rows: usize) -> Vec<f32> {
        let mut out = vec![0.0; n_rows * wanted.len()];
        match codes {
            Some(codes) => self.packed.matmul_quantized_some(codes, wanted, &mut out, &self.threads),
            None => self.packed.matmul_some(x, wanted, &mut out, &self.threads),
        }
        if let Some(bias) = &self.bias {
            for row in out.chunks_exact_mut(wanted.len().max(1)) {
                row.iter_mut().zip(wanted).for_each(|(y, &output)| *y += bias[output as usize]);
            }
        }
        out
    }

    fn multiply(&self, x: &[f32], codes: Option<&QuantizedRows>, n_tokens: usize) -> Vec<f32> {
        let mut out = vec![0.0; n_tokens * self.n_out()];
        match codes {
            Some(codes) if self.packed.is_quantized() => self.packed.matmul_quantized(codes, &mut out, &self.threads),
            _ => self.packed.matmul(x, &mut out, &self.threads),
        }
        if let Some(bias) = &self.bias {
            for row in out.chunks_exact_mut(bias.len()) {
                row.iter_mut().zip(bias).for_each(|(y, b)| *y += b);
            }
        }
        out
    }
}
