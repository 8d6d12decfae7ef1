//! The memory of the KV cache: keys and values of every layer, in `f16`, block by block.
//!
//! Invariant: a block's memory is read and written only through the layout that the attention kernel defines.
//! Must not know: who owns a block, which tokens it holds.
//! Source: arXiv:2309.06180.

use half::f16;
use half::vec::HalfBitsVecExt;

pub use crate::kernel::KvLayout as KvShape;
use crate::types::{BLOCK_TOKENS, BlockId};

/// The keys and values of a fixed number of blocks.
pub struct KvPool {
    shape: KvShape,
    n_blocks: usize,
    data: Vec<f16>,
}

impl KvPool {
    /// Room for `n_blocks` blocks. The operating system hands out pages when they are first written.
    ///
    /// # Panics
    /// If the address space has no room for them.
    pub fn new(shape: KvShape, n_blocks: usize) -> Self {
        // Zeros of an integer type come from the allocator untouched; zeros of `f16` would be written one by one.
        let data = vec![0u16; n_blocks * shape.block_len()].reinterpret_into();
        Self { shape, n_blocks, data }
    }

    /// Bytes of one block of a pool of this shape.
    pub fn block_bytes(shape: KvShape) -> usize {
        shape.block_len() * size_of::<f16>()
    }

    /// What is kept of a position.
    pub fn shape(&self) -> KvShape {
        self.shape
    }

    /// Blocks that there are.
    pub fn n_blocks(&self) -> usize {
        self.n_blocks
    }

    /// Copies the first `n_tokens` positions of a block, all layers; what `to` holds after them is undefined.
    ///
    /// # Panics
    /// If a block lies outside the pool or has fewer positions.
    pub fn copy_block(&mut self, from: BlockId, to: BlockId, n_tokens: usize) {
        assert!(n_tokens <= BLOCK_TOKENS, "{n_tokens} positions of a block of {BLOCK_TOKENS}");
        // Keys are stored with the position innermost, so copying fewer positions would not be less work.
        let len = self.shape.block_len();
        let start = from.0 as usize * len;
        self.data.copy_within(start..start + len, to.0 as usize * len);
    }

    /// All layers of one block.
    ///
    /// # Panics
    /// If the block lies outside the pool.
    pub fn block(&self, block: BlockId) -> &[f16] {
        let len = self.shape.block_len();
        &self.data[block.0 as usize * len..][..len]
    }

    /// As [`KvPool::block`], to fill it with what was computed elsewhere.
    ///
    /// # Panics
    /// If the block lies outside the pool.
    pub fn block_mut(&mut self, block: BlockId) -> &mut [f16] {
        let len = self.shape.block_len();
        &mut self.data[block.0 as usize * len..][..len]
    }

    /// All blocks, as [`KvShape`] lays them out.
    pub fn data(&self) -> &[f16] {
        &self.data
    }

    /// As [`KvPool::data`], to store new keys and values.
    pub fn data_mut(&mut self) -> &mut [f16] {
        &mut self.data
    }
}
