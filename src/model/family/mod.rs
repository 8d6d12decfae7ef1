//! What distinguishes one family of decoder models from another, as data.
//!
//! Every family is the same pre-norm decoder: norm, attention, norm, gated MLP, two residual sums per layer. A
//! [`Family`] says which of the known parts its layers have; the decoder has no other way to tell families apart.
//! Invariant: a model of an unknown architecture is refused by name.
//! Must not know: weights' values, devices, batches.

mod gemma3;
mod llama;
mod phi3;
mod qwen2;
mod qwen3;
mod smollm3;

use super::config::{Config, Keys, LayerConfig};
use super::rope::RopeConfig;
use super::{Error, weights::Weights};
use crate::kernel::RopeStyle;
use crate::layer::Activation;

/// The parts of a family's layers.
pub struct Family {
    /// `general.architecture` of its files, and the prefix of their keys.
    pub architecture: &'static str,
    /// Which dimensions of a head form a rotated pair.
    pub rope_style: RopeStyle,
    /// Activation of the MLP's gate.
    pub activation: Activation,
    /// Queries, keys and values have a bias.
    pub qkv_bias: bool,
    /// Queries and keys are normed head by head before they are rotated.
    pub qk_norm: bool,
    /// The results of attention and MLP are normed before they are added.
    pub post_norm: bool,
    /// Query, key and value weights are one tensor, gate and up weights another.
    pub fused: bool,
    /// Fills in `config.layers` and what else the family decides.
    pub(super) configure: fn(&Keys<'_>, &Weights<'_>, &mut Config) -> Result<(), Error>,
}

/// All families that Partita runs.
static FAMILIES: [&Family; 6] =
    [&llama::FAMILY, &qwen2::FAMILY, &qwen3::FAMILY, &gemma3::FAMILY, &phi3::FAMILY, &smollm3::FAMILY];

impl Family {
    /// The family of files with this `general.architecture`.
    pub(super) fn find(architecture: &str) -> Result<&'static Self, Error> {
        FAMILIES.iter().copied().find(|family| family.architecture == architecture).ok_or_else(|| Error::Architecture {
            found: architecture.to_owned(),
            known: FAMILIES.map(|family| family.architecture).join(", "),
        })
    }
}

/// All layers alike: one rotation, and one window if the file names one that is shorter than the context.
fn alike(keys: &Keys<'_>, weights: &Weights<'_>, config: &mut Config) -> Result<(), Error> {
    let rope = RopeConfig::parse(keys, weights, config.head_dim, config.n_ctx)?;
    let window = keys.find_count("attention.sliding_window")?.filter(|&window| window < config.n_ctx);
    config.layers = vec![LayerConfig { window, rope: Some(rope) }; config.n_layers];
    Ok(())
}
