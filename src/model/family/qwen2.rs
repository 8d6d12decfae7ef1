//! Qwen2 and Qwen2.5: queries, keys and values have a bias.

use super::{Family, alike};
use crate::kernel::RopeStyle;
use crate::layer::Activation;

pub(super) static FAMILY: Family = Family {
    architecture: "qwen2",
    rope_style: RopeStyle::Halves,
    activation: Activation::Silu,
    qkv_bias: true,
    qk_norm: false,
    post_norm: false,
    fused: false,
    configure: alike,
};
