//! `y = x W^T + b` with quantized weights.
//!
//! Invariant: the weights exist once, in the kernels' packed layout. A row's result depends on that row alone, unless
//! many rows may take tiles ([`Linear::set_tiles_from`]): then on how many rows there are, too, a little.
//! Must not know: what the matrix is for.

use std::sync::Arc;

use candle_core::Tensor;

use super::{Error, host};
use crate::kernel::{self, Packed, QuantizedRows, Threads, TiledRows};
use crate::types::{Dtype, Precision};

/// A matrix of `[n_out, n_in]` weights, and maybe a bias per output.
pub struct Linear {
    packed: Arc<Packed>,
    bias: Option<Vec<f32>>,
    precision: Precision,
    tiles_from: Option<usize>,
    threads: Arc<Threads>,
}

/// Rows of activations in the forms that some matrices take.
struct Rows<'a> {
    x: &'a [f32],
    n_rows: usize,
    codes: Option<QuantizedRows>,
    tiles: Option<TiledRows>,
}

impl<'a> Rows<'a> {
    /// Prepares `x`, `[n_rows, n_in]`, for every one of `linears`, whose activations are rounded alike.
    fn new(x: &'a [f32], n_rows: usize, linears: &[&Linear]) -> Self {
        let tiled = linears.iter().find(|linear| linear.takes_tiles(n_rows));
        let tiles = tiled.map(|linear| TiledRows::new(x, n_rows, linear.packed.n_cols(), &linear.threads));
        let coded = linears.iter().find(|linear| linear.takes_codes(n_rows));
        Self { x, n_rows, codes: coded.map(|linear| linear.quantize(x, n_rows)), tiles }
    }
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
        Self { packed, bias: None, precision: Precision::default(), tiles_from: None, threads: Arc::clone(threads) }
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

    /// From how many rows on a product may take tiles of bfloat16 in place of activations of 8 bits; `None` for never.
    /// Activations of 16 bits and dense weights never take them.
    pub fn set_tiles_from(&mut self, n_rows: Option<usize>) {
        self.tiles_from = n_rows;
    }

    /// The number of rows from which on tiles are faster for matrices such as these, of one shape: measured, in a few
    /// milliseconds. `None` where the CPU has no tiles.
    pub fn measure_tiles_from(linears: &[&Self]) -> Option<usize> {
        let packed: Vec<&Packed> = linears.iter().map(|linear| linear.packed.as_ref()).collect();
        linears.first().and_then(|first| kernel::tiles_from(&packed, &first.threads))
    }

    fn takes_tiles(&self, n_rows: usize) -> bool {
        let many = self.tiles_from.is_some_and(|from| n_rows >= from);
        many && self.precision == Precision::Bits8 && self.packed.is_quantized()
    }

    fn takes_codes(&self, n_rows: usize) -> bool {
        self.packed.is_quantized() && !self.takes_tiles(n_rows)
    }

    fn quantize(&self, x: &[f32], n_rows: usize) -> QuantizedRows {
        QuantizedRows::quantize(x, n_rows, self.packed.n_cols(), self.precision, &self.threads)
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
        let outputs = host::read("linear", x, |x| Self::multiply_each(linears, &Rows::new(x, n_tokens, &linears)))?;
        let tensors = outputs
            .into_iter()
            .zip(linears)
            .map(|(output, linear)| Tensor::from_vec(output, (n_tokens, linear.n_out()), x.device()));
        let tensors: Vec<Tensor> = tensors.collect::<Result<_, _>>()?;
        Ok(tensors.try_into().unwrap_or_else(|_| unreachable!("one tensor per matrix")))
    }

    /// The outputs of some rows of `x`: all outputs, or those in `wanted`, ascending, which take no tiles. Each is what
    /// [`Linear::forward`] gives without tiles, bit for bit; with them, all outputs are what it gives for as many rows.
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
        Ok(host::read("linear", &x, |x| match wanted {
            Some(wanted) => self.multiply_some(x, wanted, n_rows),
            None => {
                let [y] = Self::multiply_each([self], &Rows::new(x, n_rows, &[self]));
                y
            }
        })?)
    }

    fn multiply_some(&self, x: &[f32], wanted: &[u32], n_rows: usize) -> Vec<f32> {
        let mut out = if self.packed.is_quantized() {
            self.packed.matmul_quantized_some(&self.quantize(x, n_rows), wanted, &self.threads)
        } else {
            self.packed.matmul_some(x, n_rows, wanted, &self.threads)
        };
        if let Some(bias) = &self.bias {
            for row in out.chunks_exact_mut(wanted.len().max(1)) {
                row.iter_mut().zip(wanted).for_each(|(y, &output)| *y += bias[output as usize]);
            }
        }
        out
    }

    /// All outputs of every one of `linears`; together, where all of them take codes.
    fn multiply_each<const N: usize>(linears: [&Self; N], rows: &Rows<'_>) -> [Vec<f32>; N] {
        let mut outputs = match (&rows.codes, linears.first()) {
            (Some(codes), Some(first)) if linears.iter().all(|linear| linear.takes_codes(rows.n_rows)) => {
                Packed::matmul_quantized_each(linears.map(|linear| linear.packed.as_ref()), codes, &first.threads)
            }
            _ => linears.map(|linear| linear.multiply(rows)),
        };
        for (out, linear) in outputs.iter_mut().zip(linears) {
            if let Some(bias) = &linear.bias {
                for row in out.chunks_exact_mut(bias.len()) {
                    row.iter_mut().zip(bias).for_each(|(y, b)| *y += b);
                }
            }
        }
        outputs
    }

    /// All outputs, without the bias.
    fn multiply(&self, rows: &Rows<'_>) -> Vec<f32> {
        match rows {
            Rows { tiles: Some(tiles), .. } if self.takes_tiles(rows.n_rows) => {
                self.packed.matmul_tiled(tiles, &self.threads)
            }
            Rows { codes: Some(codes), .. } if self.takes_codes(rows.n_rows) => {
                self.packed.matmul_quantized(codes, &self.threads)
            }
            _ => self.packed.matmul(rows.x, rows.n_rows, &self.threads),
        }
    }
}
