//! What keys and values depend on besides the tokens, in 32 bytes.
//!
//! Invariant: whatever changes a bit of a key or a value changes the fingerprint: the model file, the rounding of
//! activations, the rotation (LongRoPE chooses it by the context), the kernels of this CPU and their arithmetic, the
//! version of this crate.
//! Where many rows take tiles, bits depend on the batch anyway; that they do is part of the fingerprint, so that nobody
//! who promises exact results goes on from such keys and values.
//! Must not know: who keeps keys and values, and where.

use sha2::{Digest, Sha256};

use super::config::Config;
use crate::kernel;
use crate::types::Precision;

/// The fingerprint of a model as it is about to run; `file` is that of its file.
pub(super) fn of(file: &[u8; 32], config: &Config, precision: Precision, with_tiles: bool) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(file);
    let tiles = if with_tiles { " tiles" } else { "" };
    let kernels = format!("{} {}", kernel::isa().name(), kernel::ARITHMETIC);
    let choices = format!("{precision:?}{tiles} {kernels} {}", env!("CARGO_PKG_VERSION"));
    hash.update((choices.len() as u64).to_le_bytes());
    hash.update(choices);
    for rope in config.layers.iter().map(|layer| layer.rope.as_ref()) {
        let numbers = rope.into_iter().flat_map(|rope| rope.freqs.iter().chain([&rope.magnitude]));
        let bytes: Vec<u8> = numbers.flat_map(|number| number.to_le_bytes()).collect();
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    }
    hash.finalize().into()
}
