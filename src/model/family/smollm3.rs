//! SmolLM3: Llama without rotation in every fourth layer (NoPE).

use super::super::{Error, config::Config, config::Keys, weights::Weights};
use super::{Family, alike};
use crate::kernel::RopeStyle;
use crate::layer::Activation;

pub(super) static FAMILY: Family = Family {
    architecture: "smollm3",
    rope_style: RopeStyle::Adjacent,
    activation: Activation::Silu,
    qkv_bias: false,
    qk_norm: false,
    post_norm: false,
    fused: false,
    configure,
};

/// The file does not say which layers; the paper and every implementation use this period.
const PERIOD: usize = 4;

fn configure(keys: &Keys<'_>, weights: &Weights<'_>, config: &mut Config) -> Result<(), Error> {
    alike(keys, weights, config)?;
    config.layers.iter_mut().skip(PERIOD - 1).step_by(PERIOD).for_each(|layer| layer.rope = None);
    Ok(())
}
