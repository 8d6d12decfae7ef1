//! Phi-3 and Phi-4-mini: fused weights; only part of a head may be rotated; LongRoPE factors for long contexts.

use super::{Family, alike};
use crate::kernel::RopeStyle;
use crate::layer::Activation;

pub(super) static FAMILY: Family = Family {
    architecture: "phi3",
    rope_style: RopeStyle::Halves,
    activation: Activation::Silu,
    qkv_bias: false,
    qk_norm: false,
    post_norm: false,
    fused: true,
    configure: alike,
};
