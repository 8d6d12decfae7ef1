//! The KV cache: who owns which block, which prefixes are known, and the memory itself.
//!
//! [`Blocks`] counts owners, [`Tree`] knows which tokens a block holds, [`KvPool`] is the memory; none of the three
//! knows the others' business, so the bookkeeping is tested without a byte of memory. [`Cache`] joins the first two
//! for an engine: find what is known of a prompt, grow, remember, release. [`Archive`] keeps prefixes in files, for
//! later processes.
//!
//! Invariants: a sequence writes only into blocks it allocated itself, at positions it has not yet recorded in the
//! tree; `free + owned == total`, a shared block counted once. To go back to an earlier position a sequence releases
//! its blocks and starts again from [`Cache::reuse`].
//! Must not know: models, sequences' purposes, scheduling.

mod archive;
mod block;
mod pool;
mod tree;

#[cfg(test)]
mod tests;

pub use archive::{Archive, ArchiveStats, Clerk, Keep};
pub use block::Blocks;
pub use pool::{KvPool, KvShape};
pub use tree::{Match, Tail, Tree};

use crate::types::{BLOCK_TOKENS, BlockId, Token};

/// Why a sequence cannot grow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Every block is owned by a sequence.
    #[error(
        "out of kv memory: {wanted} more blocks of {BLOCK_TOKENS} tokens are needed, {available} of {total} can be had"
    )]
    Full {
        /// Blocks asked for.
        wanted: usize,
        /// Blocks that are free or could be evicted.
        available: usize,
        /// Blocks of the pool.
        total: usize,
    },
}

/// The bookkeeping of one pool.
#[derive(Debug)]
pub struct Cache {
    blocks: Blocks,
    tree: Tree,
}

/// What a new sequence starts from; it owns the blocks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prefix {
    /// Blocks of the first `n_tokens` positions; the last may be partly filled.
    pub blocks: Vec<BlockId>,
    /// Leading tokens whose keys and values are in the blocks.
    pub n_tokens: usize,
}

impl Cache {
    /// For a pool of `n_blocks`.
    pub fn new(n_blocks: usize) -> Self {
        Self { blocks: Blocks::new(n_blocks), tree: Tree::new() }
    }

    /// The longest prefix of `tokens` whose keys and values are known.
    ///
    /// Full blocks are shared; the matching head of a further block is copied into a fresh one, so reuse is exact to
    /// the token. An engine that wants the logits of the last token asks for all tokens but that one.
    pub fn reuse(&mut self, tokens: &[Token], pool: &mut KvPool) -> Prefix {
        let found = self.tree.match_prefix(tokens, &mut self.blocks);
        let mut prefix = Prefix { n_tokens: found.n_tokens(), blocks: found.blocks };
        if let Some(Tail { block: source, n_tokens }) = found.tail {
            match self.alloc() {
                Some(copy) => {
                    pool.copy_block(source, copy, n_tokens);
                    prefix.blocks.push(copy);
                }
                // No room for a copy: the tail is computed again when there is.
                None => prefix.n_tokens -= n_tokens,
            }
            self.blocks.release(source);
        }
        prefix
    }

    /// How many leading tokens [`Cache::reuse`] would find.
    pub fn n_known(&self, tokens: &[Token]) -> usize {
        self.tree.n_known(tokens)
    }

    /// Adds blocks until `blocks` has room for `n_tokens` positions; forgets old prefixes if it must.
    ///
    /// # Errors
    /// [`Error::Full`]; then `blocks` is unchanged.
    pub fn grow(&mut self, blocks: &mut Vec<BlockId>, n_tokens: usize) -> Result<(), Error> {
        let wanted = n_tokens.div_ceil(BLOCK_TOKENS).saturating_sub(blocks.len());
        if wanted > self.blocks.n_free() {
            let missing = wanted - self.blocks.n_free();
            // A few more than needed, because a search for victims looks at the whole tree.
            self.tree.evict(missing.max(EVICT_AT_ONCE), &mut self.blocks);
        }
        if wanted > self.blocks.n_free() {
            return Err(Error::Full { wanted, available: self.n_available(), total: self.n_total() });
        }
        blocks.extend((0..wanted).map(|_| self.blocks.alloc().expect("counted above")));
        Ok(())
    }

    /// Remembers that `blocks` hold the keys and values of `tokens`, prompt and generated alike; see [`Tree::insert`].
    pub fn insert(&mut self, tokens: &[Token], blocks: &[BlockId]) {
        self.tree.insert(tokens, blocks, &mut self.blocks);
    }

    /// Gives a sequence's blocks back; what was inserted stays known until it is evicted.
    pub fn release(&mut self, blocks: Vec<BlockId>) {
        for block in blocks {
            self.blocks.release(block);
        }
    }

    /// Forgets every prefix.
    pub fn clear(&mut self) {
        self.tree.clear(&mut self.blocks);
    }

    /// Blocks without an owner.
    pub fn n_free(&self) -> usize {
        self.blocks.n_free()
    }

    /// Blocks that [`Cache::grow`] could hand out: free ones and those that only the tree owns.
    pub fn n_available(&self) -> usize {
        self.blocks.n_free() + self.tree.n_evictable(&self.blocks)
    }

    /// All blocks.
    pub fn n_total(&self) -> usize {
        self.blocks.n_total()
    }

    fn alloc(&mut self) -> Option<BlockId> {
        if self.blocks.n_free() == 0 {
            self.tree.evict(EVICT_AT_ONCE, &mut self.blocks);
        }
        self.blocks.alloc()
    }
}

const EVICT_AT_ONCE: usize = 8;
