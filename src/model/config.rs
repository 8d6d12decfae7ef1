//! The numbers and choices that a model file's metadata fixes, checked before any weight is read.
//!
//! Invariants: every size is at least 1 and the sizes fit together; there is one [`LayerConfig`] per layer.
//! A key that is missing, of the wrong type or of a value that Partita does not implement is an error that
//! names it, never a default that happens to fit.
//! Must not know: weights, devices, tokens.
//! Source of the keys: the GGUF specification.

use super::{Error, family::Family, rope::RopeConfig, weights::Weights};
use crate::gguf::Metadata;

/// Shape and behaviour of one model.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// `general.architecture`.
    pub architecture: String,
    /// `general.name`, if the file has one.
    pub name: Option<String>,
    /// Decoder layers.
    pub n_layers: usize,
    /// Rows of the token embedding.
    pub n_vocab: usize,
    /// Positions that a sequence may use.
    pub n_ctx: usize,
    /// Width of the residual stream.
    pub dim: usize,
    /// Query heads.
    pub n_heads: usize,
    /// Key and value heads; divides `n_heads`.
    pub n_kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Width of the gated MLP.
    pub ffn_dim: usize,
    /// Added under the root of every norm.
    pub norm_eps: f32,
    /// Factor of the query-key products.
    pub attention_scale: f32,
    /// Factor of the token embeddings.
    pub embedding_scale: f32,
    /// Logits are squashed to `±cap` by a tanh.
    pub logit_cap: Option<f32>,
    /// Choices that may differ from layer to layer.
    pub layers: Vec<LayerConfig>,
}

/// Choices that may differ from layer to layer.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerConfig {
    /// How many of the latest positions are attended to, the own one included; `None` is all.
    pub window: Option<usize>,
    /// How queries and keys are rotated; `None` is not at all.
    pub rope: Option<RopeConfig>,
}

/// Metadata under the prefix of its architecture.
#[derive(Clone, Copy)]
pub(super) struct Keys<'a> {
    metadata: &'a Metadata,
    architecture: &'a str,
}

impl<'a> Keys<'a> {
    pub fn new(metadata: &'a Metadata, architecture: &'a str) -> Self {
        Self { metadata, architecture }
    }

    /// The full name of a key.
    pub fn name(&self, key: &str) -> String {
        format!("{}.{key}", self.architecture)
    }

    /// A count that must be there and positive.
    pub fn size(&self, key: &str) -> Result<usize, Error> {
        let value = self.metadata.get_u32(&self.name(key))? as usize;
        if value == 0 { Err(self.unsupported(key, 0, "at least 1")) } else { Ok(value) }
    }

    /// A count that may be absent; present it must be positive.
    pub fn find_size(&self, key: &str) -> Result<Option<usize>, Error> {
        match self.metadata.find_u32(&self.name(key))? {
            Some(0) => Err(self.unsupported(key, 0, "at least 1")),
            value => Ok(value.map(|v| v as usize)),
        }
    }

    /// A count that may be absent and where 0 means absent.
    pub fn find_count(&self, key: &str) -> Result<Option<usize>, Error> {
        Ok(self.metadata.find_u32(&self.name(key))?.filter(|&v| v > 0).map(|v| v as usize))
    }

    /// A finite number that may be absent.
    pub fn find_f32(&self, key: &str) -> Result<Option<f32>, Error> {
        match self.metadata.find_f32(&self.name(key))? {
            Some(value) if !value.is_finite() => Err(self.unsupported(key, value, "a finite number")),
            value => Ok(value),
        }
    }

    /// A finite number that must be there.
    pub fn get_f32(&self, key: &str) -> Result<f32, Error> {
        self.metadata.get_f32(&self.name(key))?;
        Ok(self.find_f32(key)?.unwrap_or_default())
    }

    /// A text that may be absent.
    pub fn find_str(&self, key: &str) -> Result<Option<&'a str>, Error> {
        Ok(self.metadata.find_str(&self.name(key))?)
    }

    /// An error that names a key, its value and what is implemented.
    pub fn unsupported(&self, key: &str, value: impl std::fmt::Display, wanted: &str) -> Error {
        Error::Unsupported { key: self.name(key), value: value.to_string(), wanted: wanted.to_owned() }
    }
}

impl Config {
    /// Reads the configuration of a model of `family`.
    ///
    /// `n_ctx` lowers the context from what the model was trained for.
    pub(super) fn parse(
        metadata: &Metadata,
        family: &Family,
        weights: &Weights<'_>,
        n_ctx: Option<usize>,
    ) -> Result<Self, Error> {
        let keys = Keys::new(metadata, family.architecture);
        let dim = keys.size("embedding_length")?;
        let n_heads = keys.size("attention.head_count")?;
        let head_dim = head_dim(&keys, dim, n_heads)?;
        let trained = keys.size("context_length")?;
        let mut config = Self {
            architecture: family.architecture.to_owned(),
            name: metadata.find_str("general.name")?.map(str::to_owned),
            n_layers: keys.size("block_count")?,
            n_vocab: weights.n_rows("token_embd.weight")?,
            n_ctx: n_ctx.unwrap_or(trained).clamp(1, trained),
            dim,
            n_heads,
            n_kv_heads: keys.find_size("attention.head_count_kv")?.unwrap_or(n_heads),
            head_dim,
            ffn_dim: keys.size("feed_forward_length")?,
            norm_eps: keys.get_f32("attention.layer_norm_rms_epsilon")?,
            attention_scale: 1.0 / (head_dim as f32).sqrt(),
            embedding_scale: 1.0,
            logit_cap: keys.find_f32("final_logit_softcapping")?.filter(|&cap| cap != 0.0),
            layers: Vec::new(),
        };
        config.check(&keys)?;
        (family.configure)(&keys, weights, &mut config)?;
        Ok(config)
    }

    fn check(&self, keys: &Keys<'_>) -> Result<(), Error> {
        if !self.n_heads.is_multiple_of(self.n_kv_heads) {
            let wanted = format!("a divisor of the {} query heads", self.n_heads);
            return Err(keys.unsupported("attention.head_count_kv", self.n_kv_heads, &wanted));
        }
        // Tables of these sizes are made before the tensors have confirmed them.
        if self.n_layers > 1 << 10 {
            return Err(keys.unsupported("block_count", self.n_layers, "at most 1024"));
        }
        if self.head_dim > 1 << 12 {
            return Err(keys.unsupported("attention.key_length", self.head_dim, "at most 4096"));
        }
        if let Some(n) = keys.find_count("expert_count")? {
            return Err(keys.unsupported("expert_count", n, "0: models with experts are not supported"));
        }
        for key in ["attn_logit_softcapping", "attention.temperature_scale", "attention.scale", "attention.clamp_kqv"] {
            if let Some(value) = keys.find_f32(key)?.filter(|&v| v != 0.0) {
                return Err(keys.unsupported(key, value, "0 or no such key"));
            }
        }
        Ok(())
    }
}

fn head_dim(keys: &Keys<'_>, dim: usize, n_heads: usize) -> Result<usize, Error> {
    let head_dim = match keys.find_size("attention.key_length")? {
        Some(head_dim) => head_dim,
        None if dim.is_multiple_of(n_heads) => dim / n_heads,
        None => return Err(keys.unsupported("attention.head_count", n_heads, &format!("a divisor of {dim}"))),
    };
    match keys.find_size("attention.value_length")? {
        Some(value) if value != head_dim => {
            Err(keys.unsupported("attention.value_length", value, &format!("the key length, {head_dim}")))
        }
        _ => Ok(head_dim),
    }
}
