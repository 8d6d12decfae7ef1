//! Rotary position embedding of queries and keys.
//!
//! Invariant: the angle of a pair depends on the position and the pair only.
//! Source: arXiv:2104.09864.

use candle_core::Tensor;

use super::{Error, host};
use crate::kernel::{self, RopeStyle, Threads};

/// Turns every pair of a head's first dimensions by an angle that grows with the position.
#[derive(Debug, Clone, PartialEq)]
pub struct Rotary {
    /// Radians per position of every pair.
    pub freqs: Vec<f32>,
    /// Factor of the rotated vectors' length.
    pub magnitude: f32,
    /// Which dimensions form a pair.
    pub style: RopeStyle,
}

/// Cosines and sines for the rows of one batch: `[n_tokens, n_pairs]` each, times the magnitude.
pub struct Angles {
    cos: Vec<f32>,
    sin: Vec<f32>,
    style: RopeStyle,
}

impl Rotary {
    /// The angles of rows at these positions.
    pub fn angles(&self, positions: &[usize]) -> Angles {
        let n = positions.len() * self.freqs.len();
        let mut angles = Angles { cos: Vec::with_capacity(n), sin: Vec::with_capacity(n), style: self.style };
        for &position in positions {
            for &freq in &self.freqs {
                let (sin, cos) = (position as f64 * f64::from(freq)).sin_cos();
                angles.cos.push(cos as f32 * self.magnitude);
                angles.sin.push(sin as f32 * self.magnitude);
            }
        }
        angles
    }
}

impl Angles {
    /// Rotates every head of every row in place.
    ///
    /// # Shapes
    /// `x`: `[n_tokens, n_heads * head_dim]`, with the rows that the angles were made for.
    ///
    /// # Errors
    /// Another number of rows, or rows that are not whole heads.
    pub fn rotate(&self, x: &Tensor, head_dim: usize, threads: &Threads) -> Result<(), Error> {
        let (n_tokens, width) = x.dims2()?;
        let n_pairs = self.cos.len() / n_tokens.max(1);
        if n_pairs * n_tokens != self.cos.len() || !width.is_multiple_of(head_dim) || 2 * n_pairs > head_dim {
            let wanted = format!("rows of whole heads of {head_dim}, {} angles in all", self.cos.len());
            return Err(Error::Shape { part: "rotary", wanted, found: format!("[{n_tokens}, {width}]") });
        }
        Ok(host::update("rotary", x, |x| {
            kernel::rope_rows(x, [n_tokens, head_dim], (&self.cos, &self.sin), self.style, threads);
        })?)
    }
}
