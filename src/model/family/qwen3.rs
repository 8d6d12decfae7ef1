//! Qwen3, dense: no bias, queries and keys are normed head by head.

use super::{Family, alike};
use crate::kernel::RopeStyle;
use crate::layer::Activation;

pub(super) static FAMILY: Family = Family {
    architecture: "qwen3",
    rope_style: RopeStyle::Halves,
    activation: Activation::Silu,
    qkv_bias: false,
    qk_norm: true,
    post_norm: false,
    fused: false,
    configure: alike,
};
