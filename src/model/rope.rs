//! Rotary position embedding as the metadata describes it: every known scaling becomes one table of frequencies.
//!
//! Invariant: `freqs` has one entry per rotated pair; a pair at position `p` turns by `p * freqs[pair]`.
//! Must not know: batches, devices, weights other than the frequency factors.
//! Source: RoPE arXiv:2104.09864, YaRN arXiv:2309.00071, LongRoPE arXiv:2402.13753; Llama 3 stores its factors as a
//! tensor. Defaults of absent keys are those of the GGUF specification.

use super::{Error, config::Keys, weights::Weights};

/// How one layer rotates its queries and keys.
#[derive(Debug, Clone, PartialEq)]
pub struct RopeConfig {
    /// Radians per position of every pair of dimensions.
    pub freqs: Vec<f32>,
    /// Factor of the rotated vectors' length.
    pub magnitude: f32,
}

/// Rotations per context at which YaRN starts and ends to interpolate.
const YARN_BETA_FAST: f64 = 32.0;
const YARN_BETA_SLOW: f64 = 1.0;

impl RopeConfig {
    /// The rotation that the metadata asks for, at the frequency base of `rope.freq_base`.
    ///
    /// `n_ctx` chooses between the short and the long factors of LongRoPE.
    pub(super) fn parse(keys: &Keys<'_>, weights: &Weights<'_>, head_dim: usize, n_ctx: usize) -> Result<Self, Error> {
        let n_rot = keys.find_size("rope.dimension_count")?.unwrap_or(head_dim);
        if n_rot > head_dim || !n_rot.is_multiple_of(2) {
            return Err(keys.unsupported("rope.dimension_count", n_rot, &format!("an even number up to {head_dim}")));
        }
        let plain = Self::plain(base(keys)?, n_rot);
        // Files of the Phi-3 family carry the factors without naming the method.
        let default = if weights.has("rope_factors_long.weight") { "longrope" } else { "linear" };
        match keys.find_str("rope.scaling.type")?.unwrap_or(default) {
            "none" => plain.divide(weights.find_vector("rope_freqs.weight", n_rot / 2)?),
            "linear" => plain.slow_down(factor(keys)?).divide(weights.find_vector("rope_freqs.weight", n_rot / 2)?),
            "yarn" => plain.yarn(keys, n_rot),
            "longrope" => plain.longrope(keys, weights, n_ctx),
            other => Err(keys.unsupported("rope.scaling.type", other, "none, linear, yarn or longrope")),
        }
    }

    /// Unscaled rotation of `n_rot` dimensions.
    pub(super) fn plain(base: f32, n_rot: usize) -> Self {
        let freq = |pair: usize| f64::from(base).powf(-2.0 * pair as f64 / n_rot as f64) as f32;
        Self { freqs: (0..n_rot / 2).map(freq).collect(), magnitude: 1.0 }
    }

    fn slow_down(mut self, factor: f64) -> Self {
        self.freqs.iter_mut().for_each(|freq| *freq = (f64::from(*freq) / factor) as f32);
        self
    }

    fn divide(mut self, factors: Option<Vec<f32>>) -> Result<Self, Error> {
        for (freq, factor) in self.freqs.iter_mut().zip(factors.into_iter().flatten()) {
            *freq /= factor;
        }
        Ok(self)
    }

    /// Fast pairs stay, slow pairs are slowed down, a linear ramp lies between.
    fn yarn(mut self, keys: &Keys<'_>, n_rot: usize) -> Result<Self, Error> {
        let factor = factor(keys)?;
        let base = f64::from(base(keys)?);
        let original = match keys.find_size("rope.scaling.original_context_length")? {
            Some(original) => original,
            None => keys.size("context_length")?,
        };
        let beta = |key, default| Ok::<_, Error>(keys.find_f32(key)?.map_or(default, f64::from));
        let pair_turning = |n_turns: f64| {
            let turns_at_1 = original as f64 / (n_turns * std::f64::consts::TAU);
            n_rot as f64 * turns_at_1.ln() / (2.0 * base.ln())
        };
        let low = pair_turning(beta("rope.scaling.yarn_beta_fast", YARN_BETA_FAST)?).floor().max(0.0);
        let high = pair_turning(beta("rope.scaling.yarn_beta_slow", YARN_BETA_SLOW)?).ceil().min(n_rot as f64 - 1.0);
        for (pair, freq) in self.freqs.iter_mut().enumerate() {
            let slowed = ((pair as f64 - low) / (high - low).max(0.001)).clamp(0.0, 1.0);
            *freq = (f64::from(*freq) * (slowed / factor + (1.0 - slowed))) as f32;
        }
        if let Some(value) = keys.find_f32("rope.scaling.yarn_log_multiplier")?.filter(|&v| v != 0.0) {
            return Err(keys.unsupported("rope.scaling.yarn_log_multiplier", value, "0 or no such key"));
        }
        let attention = keys.find_f32("rope.scaling.attn_factor")?.unwrap_or(1.0);
        self.magnitude = attention * (1.0 + 0.1 * factor.max(1.0).ln()) as f32;
        Ok(self)
    }

    fn longrope(mut self, keys: &Keys<'_>, weights: &Weights<'_>, n_ctx: usize) -> Result<Self, Error> {
        let original = keys.size("rope.scaling.original_context_length")?;
        let n_pairs = self.freqs.len();
        let long = weights.vector("rope_factors_long.weight", n_pairs)?;
        let short = weights.vector("rope_factors_short.weight", n_pairs)?;
        self.magnitude = keys.find_f32("rope.scaling.attn_factor")?.unwrap_or(1.0);
        self.divide(Some(if n_ctx > original { long } else { short }))
    }
}

/// Frequency base of the fastest to the slowest pair.
fn base(keys: &Keys<'_>) -> Result<f32, Error> {
    let key = "rope.freq_base";
    match keys.find_f32(key)?.unwrap_or(10_000.0) {
        base if base > 0.0 => Ok(base),
        base => Err(keys.unsupported(key, base, "a positive number")),
    }
}

/// How much longer than in training the context is; 1 when nothing is said.
fn factor(keys: &Keys<'_>) -> Result<f64, Error> {
    let key = "rope.scaling.factor";
    match keys.find_f32(key)?.or(keys.find_f32("rope.scale_linear")?) {
        None | Some(0.0) => Ok(1.0),
        Some(factor) if factor > 0.0 => Ok(f64::from(factor)),
        Some(factor) => Err(keys.unsupported(key, factor, "a positive number")),
    }
}
