//! Gemma 3, text: scaled embeddings, norms before and after, a GELU gate, and sliding-window layers with a rotation
//! of their own between the global ones.
//!
//! The file's norm weights already contain the `1 +` of the paper's formula.

use super::super::{Error, config::Config, config::Keys, config::LayerConfig, rope::RopeConfig, weights::Weights};
use super::Family;
use crate::kernel::RopeStyle;
use crate::layer::Activation;

pub(super) static FAMILY: Family = Family {
    architecture: "gemma3",
    rope_style: RopeStyle::Halves,
    activation: Activation::GeluTanh,
    qkv_bias: false,
    qk_norm: true,
    post_norm: true,
    fused: false,
    configure,
};

/// Every sixth layer is global unless the file says otherwise.
const PERIOD: usize = 6;
/// Frequency base of the sliding-window layers unless the file says otherwise.
const LOCAL_BASE: f32 = 10_000.0;
/// Layers of the 27B model, which scales its queries by the width per head instead of the head's width.
const LAYERS_27B: usize = 62;

fn configure(keys: &Keys<'_>, weights: &Weights<'_>, config: &mut Config) -> Result<(), Error> {
    config.embedding_scale = (config.dim as f32).sqrt();
    if config.n_layers == LAYERS_27B {
        config.attention_scale = 1.0 / ((config.dim / config.n_heads) as f32).sqrt();
    }
    let global = RopeConfig::parse(keys, weights, config.head_dim, config.n_ctx)?;
    let local_base = keys.find_f32("rope.freq_base_swa")?.unwrap_or(LOCAL_BASE);
    let local = RopeConfig::plain(local_base, global.freqs.len() * 2);
    let window = keys.find_count("attention.sliding_window")?;
    let period = keys.find_size("attention.sliding_window_pattern")?.unwrap_or(PERIOD);
    config.layers = (0..config.n_layers)
        .map(|layer| match window {
            Some(window) if layer % period < period - 1 => {
                LayerConfig { window: Some(window), rope: Some(local.clone()) }
            }
            _ => LayerConfig { window: None, rope: Some(global.clone()) },
        })
        .collect();
    Ok(())
}
