//! Counts the owners of every KV block.
//!
//! Invariants: a block is either free or has at least one owner; `n_free + owned == n_total`, a shared block
//! counted once. Releasing or retaining a free block is a bug of the caller and stops the program.
//! Must not know: what the blocks hold, which sequence owns them, when to evict.

use crate::types::BlockId;

/// The reference counts of a fixed number of blocks.
#[derive(Debug)]
pub struct Blocks {
    owners: Vec<u32>,
    free: Vec<BlockId>,
}

impl Blocks {
    /// `n_blocks` free blocks.
    ///
    /// # Panics
    /// If `n_blocks` does not fit in a block id.
    pub fn new(n_blocks: usize) -> Self {
        let n = u32::try_from(n_blocks).expect("the number of KV blocks fits in 32 bits");
        Self { owners: vec![0; n_blocks], free: (0..n).rev().map(BlockId).collect() }
    }

    /// Takes a free block, with the caller as its one owner; `None` when all are owned.
    pub fn alloc(&mut self) -> Option<BlockId> {
        let block = self.free.pop()?;
        self.owners[block.0 as usize] = 1;
        Some(block)
    }

    /// Adds an owner to a block that has one already.
    pub fn retain(&mut self, block: BlockId) {
        let owners = &mut self.owners[block.0 as usize];
        assert!(*owners > 0, "retained free {block:?}");
        *owners += 1;
    }

    /// Takes an owner away; true if it was the last one and the block is free again.
    pub fn release(&mut self, block: BlockId) -> bool {
        let owners = &mut self.owners[block.0 as usize];
        assert!(*owners > 0, "released free {block:?}");
        *owners -= 1;
        if *owners == 0 {
            self.free.push(block);
        }
        *owners == 0
    }

    /// Owners of a block; 0 if it is free.
    pub fn refcount(&self, block: BlockId) -> u32 {
        self.owners[block.0 as usize]
    }

    /// Blocks without an owner.
    pub fn n_free(&self) -> usize {
        self.free.len()
    }

    /// All blocks.
    pub fn n_total(&self) -> usize {
        self.owners.len()
    }
}
