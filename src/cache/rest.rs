//! Keys and values at rest: packed to 8 bits, in memory of their own.
//!
//! 32 elements of a head, at one position, share a scale: the largest magnitude over 127, as in GGUF's `Q8_0`, but in
//! `f32`. What comes back is off by half a scale at most, before it is rounded to `f16`; so it is not what was there.
//! Must not know: which tokens a slot holds.

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::{KvShape, Slot};
use crate::types::BLOCK_TOKENS;

/// Elements that share a scale.
const GROUP: usize = 32;

/// What becomes of keys and values that have to make room.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KvRest {
    /// They are forgotten, and computed again when they are wanted.
    #[default]
    F16,
    /// They are packed, and unpacked when they are wanted. That changes them a little, and with them what is said after
    /// them: it then depends on what else ran.
    Q8_0,
}

/// Room for the packed keys and values of some blocks.
pub(super) struct Rest {
    shape: KvShape,
    values: Vec<i8>,
    scales: Vec<f32>,
    /// One head, unpacked.
    head: Vec<f32>,
}

impl Rest {
    /// Room for `n_slots` blocks. The operating system hands out pages when they are first written.
    pub fn new(shape: KvShape, n_slots: usize) -> Self {
        let values = vec![0; n_slots * shape.block_len()];
        let scales = vec![0.0; n_slots * n_scales(shape)];
        Self { shape, values, scales, head: vec![0.0; head_len(shape)] }
    }

    /// Bytes of one slot.
    pub fn slot_bytes(shape: KvShape) -> usize {
        shape.block_len() + n_scales(shape) * size_of::<f32>()
    }

    /// Packs a block.
    pub fn pack(&mut self, block: &[f16], slot: Slot) {
        let (shape, n_head) = (self.shape, head_len(self.shape));
        let values = &mut self.values[slot.0 * block.len()..][..block.len()];
        let scales = &mut self.scales[slot.0 * n_scales(shape)..][..n_scales(shape)];
        let heads = values.chunks_exact_mut(n_head).zip(scales.chunks_exact_mut(head_scales(shape)));
        for (block, (values, scales)) in block.chunks_exact(n_head).zip(heads) {
            block.convert_to_f32_slice(&mut self.head);
            let n_keys = shape.head_dim * BLOCK_TOKENS;
            let n_key_scales = scales.len() / 2;
            pack_keys(&self.head[..n_keys], &mut values[..n_keys], &mut scales[..n_key_scales]);
            pack_values(shape, &self.head[n_keys..], &mut values[n_keys..], &mut scales[n_key_scales..]);
        }
    }

    /// Unpacks a block.
    pub fn unpack(&mut self, slot: Slot, block: &mut [f16]) {
        let (shape, n_head) = (self.shape, head_len(self.shape));
        let values = &self.values[slot.0 * block.len()..][..block.len()];
        let scales = &self.scales[slot.0 * n_scales(shape)..][..n_scales(shape)];
        let heads = values.chunks_exact(n_head).zip(scales.chunks_exact(head_scales(shape)));
        for (block, (values, scales)) in block.chunks_exact_mut(n_head).zip(heads) {
            let n_keys = shape.head_dim * BLOCK_TOKENS;
            let (key_scales, value_scales) = scales.split_at(scales.len() / 2);
            for (i, (x, &value)) in self.head.iter_mut().zip(values).enumerate() {
                let scale = match i.checked_sub(n_keys) {
                    None => key_scales[i / BLOCK_TOKENS / GROUP * BLOCK_TOKENS + i % BLOCK_TOKENS],
                    Some(i) => {
                        let (position, dim) = (i / shape.value_stride(), i % shape.value_stride());
                        value_scales[position * n_groups(shape) + dim.min(shape.head_dim - 1) / GROUP]
                    }
                };
                *x = f32::from(value) * scale;
            }
            block.convert_from_f32_slice(&self.head);
        }
    }
}

/// `[head_dim][BLOCK_TOKENS]`, so that a group is a column of 32 rows. `scales`: `[n_groups][BLOCK_TOKENS]`.
fn pack_keys(x: &[f32], values: &mut [i8], scales: &mut [f32]) {
    let groups = x.chunks(GROUP * BLOCK_TOKENS).zip(values.chunks_mut(GROUP * BLOCK_TOKENS));
    for ((x, values), scales) in groups.zip(scales.chunks_exact_mut(BLOCK_TOKENS)) {
        let mut largest = [0f32; BLOCK_TOKENS];
        for x in x.chunks_exact(BLOCK_TOKENS) {
            largest.iter_mut().zip(x).for_each(|(largest, x)| *largest = largest.max(x.abs()));
        }
        scales.iter_mut().zip(largest).for_each(|(scale, largest)| *scale = largest / 127.0);
        let inverse: [f32; BLOCK_TOKENS] = std::array::from_fn(|i| inverse(scales[i]));
        for (x, values) in x.chunks_exact(BLOCK_TOKENS).zip(values.chunks_exact_mut(BLOCK_TOKENS)) {
            let columns = values.iter_mut().zip(x).zip(&inverse);
            columns.for_each(|((value, x), inverse)| *value = (x * inverse).round() as i8);
        }
    }
}

/// `[BLOCK_TOKENS][value_stride]`, so that a group is a piece of a row. `scales`: `[BLOCK_TOKENS][n_groups]`.
fn pack_values(shape: KvShape, x: &[f32], values: &mut [i8], scales: &mut [f32]) {
    let stride = shape.value_stride();
    let rows = x.chunks_exact(stride).zip(values.chunks_exact_mut(stride));
    for ((x, values), scales) in rows.zip(scales.chunks_exact_mut(n_groups(shape))) {
        let groups = x[..shape.head_dim].chunks(GROUP).zip(values.chunks_mut(GROUP));
        for ((x, values), scale) in groups.zip(scales) {
            *scale = x.iter().fold(0f32, |largest, x| largest.max(x.abs())) / 127.0;
            let inverse = inverse(*scale);
            values.iter_mut().zip(x).for_each(|(value, x)| *value = (x * inverse).round() as i8);
        }
    }
}

fn inverse(scale: f32) -> f32 {
    if scale > 0.0 { scale.recip() } else { 0.0 }
}

fn n_groups(shape: KvShape) -> usize {
    shape.head_dim.div_ceil(GROUP)
}

/// Elements of one head of one layer.
fn head_len(shape: KvShape) -> usize {
    BLOCK_TOKENS * (shape.head_dim + shape.value_stride())
}

/// Scales of one head of one layer, those of keys first.
fn head_scales(shape: KvShape) -> usize {
    2 * BLOCK_TOKENS * n_groups(shape)
}

fn n_scales(shape: KvShape) -> usize {
    shape.n_layers * shape.n_kv_heads * head_scales(shape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::KvPool;

    #[test]
    fn what_comes_back_is_off_by_half_a_scale_at_most() {
        for head_dim in [16, 32, 64, 80, 128] {
            let shape = KvShape { n_layers: 2, n_kv_heads: 3, head_dim };
            let mut pool = KvPool::new(shape, 2);
            let mut rest = Rest::new(shape, 3);
            // Magnitudes from 1e-3 to 1e3, some groups without anything.
            let noise = |i: usize| ((i * 7919 + i / 13 * 104_729) % 2003) as f32 / 1001.0 - 1.0;
            for layer in 0..2 {
                for slot in 0..BLOCK_TOKENS {
                    let scale = 10f32.powi((slot % 7) as i32 - 3) * (slot % 11).min(1) as f32;
                    let k: Vec<f32> = (0..3 * head_dim).map(|i| noise(i + slot * 1000 + layer) * scale).collect();
                    let v: Vec<f32> = (0..3 * head_dim).map(|i| noise(i * 3 + slot * 777) * scale).collect();
                    shape.store(pool.data_mut(), layer, (&[crate::types::BlockId(1)], slot), (&k, &v));
                }
            }
            let before = pool.block(crate::types::BlockId(1)).to_vec();
            rest.pack(&before, Slot(2));
            let mut after = vec![f16::ZERO; before.len()];
            rest.unpack(Slot(2), &mut after);
            check_groups(shape, &before, &after);
        }
    }

    /// Every element against the largest of its group.
    fn check_groups(shape: KvShape, before: &[f16], after: &[f16]) {
        let (dim, stride) = (shape.head_dim, shape.value_stride());
        for head in (0..before.len()).step_by(head_len(shape)) {
            for position in 0..BLOCK_TOKENS {
                let key = |d: usize| head + d * BLOCK_TOKENS + position;
                let value = |d: usize| head + dim * BLOCK_TOKENS + position * stride + d;
                for at in [&key as &dyn Fn(usize) -> usize, &value] {
                    for group in (0..dim).step_by(GROUP) {
                        let ids: Vec<usize> = (group..dim.min(group + GROUP)).map(at).collect();
                        let largest = ids.iter().map(|&i| before[i].to_f32().abs()).fold(0f32, f32::max);
                        for i in ids {
                            let (want, got) = (before[i].to_f32(), after[i].to_f32());
                            // Half a scale, and what `f16` rounds.
                            let bound = largest / 127.0 / 2.0 * 1.001 + want.abs().max(1e-4) / 1024.0;
                            assert!((got - want).abs() <= bound, "{got} is not {want}, of {largest} at most");
                        }
                    }
                }
            }
        }
    }
}
