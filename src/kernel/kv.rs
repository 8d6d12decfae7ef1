//! How keys and values lie in a block of KV memory.
//!
//! The pool is one array of `f16`; block `b` is the range `b·block_len .. (b + 1)·block_len`, so that copying a block
//! copies one range. Inside a block, for every layer and then every KV head:
//! - keys, `[head_dim][BLOCK_TOKENS]`: transposed, so that a vector lane of `q·K` is a position;
//! - values, `[BLOCK_TOKENS][value_stride]`: so that a vector lane of `p·V` is an element of the head.
//!
//! Must not know: who owns a block.

use super::isa::{Kernel, isa, run};
use super::simd::{LANES, Simd};
use crate::types::{BLOCK_TOKENS, BlockId};
use half::f16;

/// Shape of the KV memory of one model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvLayout {
    /// Layers that keep KV.
    pub n_layers: usize,
    /// KV heads per layer.
    pub n_kv_heads: usize,
    /// Elements of a key and of a value.
    pub head_dim: usize,
}

impl KvLayout {
    /// Elements from one position's value to the next: `head_dim`, rounded up to whole vectors.
    pub fn value_stride(&self) -> usize {
        self.head_dim.next_multiple_of(LANES)
    }

    fn head_len(&self) -> usize {
        BLOCK_TOKENS * (self.head_dim + self.value_stride())
    }

    /// Elements of one block: all layers, heads and positions.
    pub fn block_len(&self) -> usize {
        self.n_layers * self.n_kv_heads * self.head_len()
    }

    /// Where in the pool the keys of `(layer, block, head)` start.
    pub fn k_offset(&self, layer: usize, block: BlockId, head: usize) -> usize {
        debug_assert!(layer < self.n_layers && head < self.n_kv_heads);
        block.0 as usize * self.block_len() + (layer * self.n_kv_heads + head) * self.head_len()
    }

    /// Where in the pool the values of `(layer, block, head)` start.
    pub fn v_offset(&self, layer: usize, block: BlockId, head: usize) -> usize {
        self.k_offset(layer, block, head) + BLOCK_TOKENS * self.head_dim
    }

    /// Writes the keys and values of one token and layer, `[n_kv_heads, head_dim]` each, at `position` of a sequence
    /// whose blocks are `blocks`.
    ///
    /// # Panics
    /// If `k` or `v` is not of that shape, or the position lies outside the blocks or the pool.
    pub fn store(&self, pool: &mut [f16], layer: usize, at: (&[BlockId], usize), kv: (&[f32], &[f32])) {
        let ((blocks, position), (k, v)) = (at, kv);
        let n = self.n_kv_heads * self.head_dim;
        assert!(k.len() == n && v.len() == n, "a token's keys and values are {} and {}, not {n}", k.len(), v.len());
        let (block, slot) = (blocks[position / BLOCK_TOKENS], position % BLOCK_TOKENS);
        for (head, (k, v)) in k.chunks_exact(self.head_dim).zip(v.chunks_exact(self.head_dim)).enumerate() {
            let k_start = self.k_offset(layer, block, head) + slot;
            let v_start = self.v_offset(layer, block, head) + slot * self.value_stride();
            let to = &mut pool[k_start..k_start + (self.head_dim - 1) * BLOCK_TOKENS + 1];
            run(isa(), Convert { x: k, to, stride: BLOCK_TOKENS });
            run(isa(), Convert { x: v, to: &mut pool[v_start..v_start + self.head_dim], stride: 1 });
        }
    }
}

/// Rounds `x` to `f16` and stores it with a stride.
struct Convert<'a> {
    x: &'a [f32],
    to: &'a mut [f16],
    stride: usize,
}

impl Kernel for Convert<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let mut to = self.to.iter_mut().step_by(self.stride);
        for x in self.x.chunks(LANES) {
            let mut padded = [0.0; LANES];
            padded[..x.len()].copy_from_slice(x);
            let mut halves = [f16::ZERO; LANES];
            simd.store_f16(simd.load(&padded), &mut halves);
            for (half, to) in halves[..x.len()].iter().zip(&mut to) {
                *to = *half;
            }
        }
    }
}
