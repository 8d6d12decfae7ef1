//! How keys and values lie in a block of KV memory.
//!
//! The pool is one array of `f16`; block `b` is the range `b·block_len .. (b + 1)·block_len`, so that copying a block
//! copies one range. Inside a block, for every layer and then every KV head:
//! - keys, `[head_dim][BLOCK_TOKENS]`: transposed, so that a vector lane of `q·K` is a position;
//! - values, `[BLOCK_TOKENS][value_stride]`: so that a vector lane of `p·V` is an element of the head.
//!
//! Must not know: who owns a block.

#![allow(unsafe_code)]

use super::isa::{Kernel, isa, run};
use super::simd::{LANES, Simd};
use super::threads::{SharedMut, Threads};
use crate::types::{BLOCK_TOKENS, BlockId, Span};
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
        for head in 0..self.n_kv_heads {
            let start = self.k_offset(layer, blocks[position / BLOCK_TOKENS], head);
            self.store_head(&mut pool[start..start + self.head_len()], position % BLOCK_TOKENS, self.head(head, kv));
        }
    }

    /// As [`KvLayout::store`] for the new tokens of `spans`, in order: `[n_tokens, n_kv_heads, head_dim]` of keys and as
    /// many values.
    ///
    /// # Panics
    /// If there are other numbers of keys or values, or a position lies outside its span's blocks or the pool.
    pub fn store_rows(
        &self,
        pool: &mut [f16],
        layer: usize,
        spans: &[Span],
        (k, v): (&[f32], &[f32]),
        threads: &Threads,
    ) {
        let width = self.n_kv_heads * self.head_dim;
        let n = spans.iter().map(|span| span.n_tokens).sum::<usize>() * width;
        assert!(k.len() == n && v.len() == n, "keys and values are {} and {}, not {n}", k.len(), v.len());
        let pool = SharedMut::new(pool);
        threads.parallel_for(self.n_kv_heads, |head| {
            let mut rows = k.chunks_exact(width).zip(v.chunks_exact(width));
            for span in spans {
                for (position, kv) in (span.start..).zip(rows.by_ref().take(span.n_tokens)) {
                    let start = self.k_offset(layer, span.blocks[position / BLOCK_TOKENS], head);
                    // SAFETY: every head comes once, and what different heads have in a block does not overlap.
                    let to = unsafe { pool.slice(start, start + self.head_len()) };
                    self.store_head(to, position % BLOCK_TOKENS, self.head(head, kv));
                }
            }
        });
    }

    /// What one head has of a token's keys and values.
    fn head<'a>(&self, head: usize, (k, v): (&'a [f32], &'a [f32])) -> (&'a [f32], &'a [f32]) {
        let at = head * self.head_dim..(head + 1) * self.head_dim;
        (&k[at.clone()], &v[at])
    }

    /// Writes one head's key and value into its part of a block.
    fn store_head(&self, block: &mut [f16], slot: usize, (k, v): (&[f32], &[f32])) {
        let (keys, values) = block.split_at_mut(BLOCK_TOKENS * self.head_dim);
        run(isa(), Convert { x: k, to: &mut keys[slot..], stride: BLOCK_TOKENS });
        run(isa(), Convert { x: v, to: &mut values[slot * self.value_stride()..][..self.head_dim], stride: 1 });
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
