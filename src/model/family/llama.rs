//! Llama 1 to 3, Mistral 7B, SmolLM2: the plain form that the other families vary.
//!
//! Llama 3 scales its frequencies by a tensor; Mistral 7B may have a sliding window. The weights of queries and keys
//! are stored so that adjacent dimensions form the rotated pairs.

use super::{Family, alike};
use crate::kernel::RopeStyle;
use crate::layer::Activation;

pub(super) static FAMILY: Family = Family {
    architecture: "llama",
    rope_style: RopeStyle::Adjacent,
    activation: Activation::Silu,
    qkv_bias: false,
    qk_norm: false,
    post_norm: false,
    fused: false,
    configure: alike,
};
