//! The KV cache: who owns which block, which prefixes are known, and the memory itself.
//!
//! [`Blocks`] counts owners, [`Tree`] knows which tokens a block holds, [`KvPool`] is the memory; none of the three
//! knows the others' business, so the bookkeeping is tested without a byte of memory. [`Cache`] joins the first two
//! for an engine: find what is known of a prompt, grow, remember, release. With [`KvRest::Q8_0`] what has to make room is
//! packed first. [`Archive`] keeps prefixes in files, for
//! later processes.
//!
//! Invariants: a sequence writes only into blocks it allocated itself, at positions it has not yet recorded in the
//! tree; `free + owned == total`, a shared block counted once. To go back to an earlier position a sequence releases
//! its blocks and starts again from [`Cache::reuse`].
//! Must not know: models, sequences' purposes, scheduling.

mod archive;
mod block;
mod pool;
mod rest;
mod tree;

#[cfg(test)]
mod tests;

pub use archive::{Archive, ArchiveStats, Clerk, Keep};
pub use block::Blocks;
pub use pool::{KvPool, KvShape};
pub use rest::KvRest;
pub use tree::{Match, PinId, Slot, Tail, Tree, n_common};

use crate::types::{BLOCK_TOKENS, BlockId, Token};
use rest::Rest;
use tree::Resting;

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
pub struct Cache {
    blocks: Blocks,
    tree: Tree,
    /// What the tree's slots hold.
    rest: Option<Rest>,
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
        Self { blocks: Blocks::new(n_blocks), tree: Tree::new(n_blocks, 0), rest: None }
    }

    /// For a pool of `n_blocks` of this shape, with room for `n_slots` packed blocks beside it.
    pub fn with_rest(shape: KvShape, n_blocks: usize, n_slots: usize) -> Self {
        let rest = (n_slots > 0).then(|| Rest::new(shape, n_slots));
        Self { tree: Tree::new(n_blocks, n_slots), rest, ..Self::new(n_blocks) }
    }

    /// Bytes of one packed block of this shape.
    pub fn slot_bytes(shape: KvShape) -> usize {
        Rest::slot_bytes(shape)
    }

    /// The longest prefix of `tokens` whose keys and values are known.
    ///
    /// Full blocks are shared; the matching head of a further block is copied into a fresh one, so reuse is exact to
    /// the token. What rests is unpacked into fresh blocks. An engine that wants the logits of the last token asks for
    /// all tokens but that one.
    pub fn reuse(&mut self, tokens: &[Token], pool: &mut KvPool) -> Prefix {
        let mut found = self.tree.match_prefix(tokens, &mut self.blocks);
        let rested = self.wake(tokens, &mut found, pool);
        let mut prefix = Prefix { n_tokens: found.n_tokens(), blocks: found.blocks };
        if let Some(Tail { block: source, n_tokens }) = found.tail {
            match self.alloc(pool) {
                Some(copy) => {
                    pool.copy_block(source, copy, n_tokens);
                    prefix.blocks.push(copy);
                }
                // No room for a copy: the tail is computed again when there is.
                None => prefix.n_tokens -= n_tokens,
            }
            self.tree.release(source, &mut self.blocks);
        }
        if let Some(Tail { block, n_tokens }) = rested {
            prefix.blocks.push(block);
            prefix.n_tokens += n_tokens;
        }
        prefix
    }

    /// Unpacks the resting nodes that go on where `found` ends, as far as there is room; a last one that matches in part
    /// into a block of the caller's own.
    fn wake(&mut self, tokens: &[Token], found: &mut Match, pool: &mut KvPool) -> Option<Tail> {
        while self.tree.find_resting(found, tokens).is_some() {
            let block = self.alloc(pool)?;
            // Making room may have pushed it out.
            let Some(resting) = self.tree.find_resting(found, tokens) else {
                self.blocks.release(block);
                return None;
            };
            let Resting { slot, n_tokens, .. } = resting;
            self.rest.as_mut()?.unpack(slot, pool.block_mut(block));
            if n_tokens < BLOCK_TOKENS {
                return Some(Tail { block, n_tokens });
            }
            self.tree.revive(resting, block, found, &mut self.blocks);
        }
        None
    }

    /// How many leading tokens [`Cache::reuse`] would find.
    pub fn n_known(&self, tokens: &[Token]) -> usize {
        self.tree.n_known(tokens)
    }

    /// Adds blocks until `blocks` has room for `n_tokens` positions; forgets old prefixes if it must.
    ///
    /// # Errors
    /// [`Error::Full`]; then `blocks` is unchanged.
    pub fn grow(&mut self, blocks: &mut Vec<BlockId>, n_tokens: usize, pool: &KvPool) -> Result<(), Error> {
        let wanted = n_tokens.div_ceil(BLOCK_TOKENS).saturating_sub(blocks.len());
        if wanted > self.n_available() {
            return Err(Error::Full { wanted, available: self.n_available(), total: self.n_total() });
        }
        self.make_room(wanted, pool);
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
            self.tree.release(block, &mut self.blocks);
        }
    }

    /// Keeps the prefix `tokens`, as far as it is or will be known, until nothing else can go; see [`Tree::pin`].
    pub fn pin(&mut self, id: PinId, tokens: Vec<Token>) {
        self.tree.pin(id, tokens);
    }

    /// Takes a pin away; without effect if there is none of this name.
    pub fn unpin(&mut self, id: PinId) {
        self.tree.unpin(id);
    }

    /// Forgets every prefix. Pins stay, for what becomes known later.
    pub fn clear(&mut self) {
        self.tree.clear(&mut self.blocks);
    }

    /// Blocks without an owner.
    pub fn n_free(&self) -> usize {
        self.blocks.n_free()
    }

    /// Blocks that [`Cache::grow`] could hand out: free ones and those that only the tree owns.
    pub fn n_available(&self) -> usize {
        self.blocks.n_free() + self.tree.n_evictable()
    }

    /// All blocks.
    pub fn n_total(&self) -> usize {
        self.blocks.n_total()
    }

    /// Blocks that were packed to make room, and blocks that were unpacked again, since the beginning.
    pub fn n_rested_and_revived(&self) -> (u64, u64) {
        self.tree.n_rested_and_revived()
    }

    fn alloc(&mut self, pool: &KvPool) -> Option<BlockId> {
        self.make_room(1, pool);
        self.blocks.alloc()
    }

    /// Frees blocks until there are `n`, as far as it can.
    fn make_room(&mut self, n: usize, pool: &KvPool) {
        let n_missing = n.saturating_sub(self.blocks.n_free());
        if n_missing == 0 {
            return;
        }
        self.tree.evict(n_missing, &mut self.blocks);
        for (block, slot) in self.tree.moves() {
            self.rest.iter_mut().for_each(|rest| rest.pack(pool.block(block), slot));
        }
    }
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("blocks", &self.blocks).field("tree", &self.tree).finish_non_exhaustive()
    }
}
