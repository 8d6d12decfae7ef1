//! Finds the KV blocks that already hold the beginning of a token sequence.
//!
//! A radix tree over token ids at block granularity: a node is one block and the tokens whose keys and values it
//! holds. A node with fewer than [`BLOCK_TOKENS`] tokens is the tail of some sequence and has no children.
//!
//! Invariants: the tree owns its blocks once each; siblings hold different tokens and none of them is a prefix of
//! another, so the longest match is found by descending; a block's recorded tokens never change, they only grow.
//! Must not know: memory, sequences, the model. One tree serves one model with one KV layout.
//! Source: the radix cache of SGLang (arXiv:2312.07104), over block tables (arXiv:2309.06180).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::block::Blocks;
use crate::types::{BLOCK_TOKENS, BlockId, Token};

const ROOT: usize = 0;

/// The longest known prefix of some tokens. Its blocks have gained the caller as an owner.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Match {
    /// Full blocks, in order of position; they may be shared as they are.
    pub blocks: Vec<BlockId>,
    /// A block of which only the first positions match; to be copied, never written.
    pub tail: Option<Tail>,
}

/// The matching head of a block.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tail {
    /// Block to copy from.
    pub block: BlockId,
    /// Positions that match, in `1..BLOCK_TOKENS` or the whole of a partial block.
    pub n_tokens: usize,
}

impl Match {
    /// Tokens whose keys and values are known.
    pub fn n_tokens(&self) -> usize {
        self.blocks.len() * BLOCK_TOKENS + self.tail.map_or(0, |tail| tail.n_tokens)
    }
}

#[derive(Debug)]
struct Node {
    tokens: Vec<Token>,
    block: BlockId,
    parent: usize,
    children: Vec<usize>,
    last_use: u64,
}

/// Token prefixes and the blocks that hold them.
#[derive(Debug)]
pub struct Tree {
    /// Slab of nodes; [`ROOT`] stands for the empty prefix and owns no block.
    nodes: Vec<Option<Node>>,
    vacant: Vec<usize>,
    clock: u64,
}

impl Default for Tree {
    fn default() -> Self {
        Self::new()
    }
}

impl Tree {
    /// A tree that knows the empty prefix only.
    pub fn new() -> Self {
        let root =
            Node { tokens: Vec::new(), block: BlockId(u32::MAX), parent: ROOT, children: Vec::new(), last_use: 0 };
        Self { nodes: vec![Some(root)], vacant: Vec::new(), clock: 0 }
    }

    /// Blocks that the tree owns.
    pub fn n_blocks(&self) -> usize {
        self.nodes.len() - self.vacant.len() - 1
    }

    /// Every block that the tree owns.
    #[cfg(test)]
    pub(super) fn blocks(&self) -> impl Iterator<Item = BlockId> + '_ {
        self.nodes.iter().skip(1).flatten().map(|node| node.block)
    }

    /// The longest known prefix of `tokens`; the returned blocks are retained for the caller.
    pub fn match_prefix(&mut self, tokens: &[Token], blocks: &mut Blocks) -> Match {
        self.clock += 1;
        let mut found = Match::default();
        let mut at = ROOT;
        for chunk in tokens.chunks(BLOCK_TOKENS) {
            let Some((child, n_tokens)) = self.closest(at, chunk) else { break };
            self.node_mut(child).last_use = self.clock;
            let block = self.node(child).block;
            blocks.retain(block);
            if n_tokens < BLOCK_TOKENS {
                found.tail = Some(Tail { block, n_tokens });
                break;
            }
            found.blocks.push(block);
            at = child;
        }
        found
    }

    /// Tokens of the longest known prefix of `tokens`; nothing is retained, and nothing counts as used.
    pub fn n_known(&self, tokens: &[Token]) -> usize {
        let mut at = ROOT;
        let mut n_known = 0;
        for chunk in tokens.chunks(BLOCK_TOKENS) {
            let Some((child, n_tokens)) = self.closest(at, chunk) else { break };
            n_known += n_tokens;
            if n_tokens < BLOCK_TOKENS {
                break;
            }
            at = child;
        }
        n_known
    }

    /// Records that `held` holds the keys and values of `tokens`, position by position.
    ///
    /// The caller stays the owner of its blocks and may go on writing positions after `tokens.len()`; positions
    /// before that must not change as long as the tree owns the block. Where the tree knows a prefix already it
    /// keeps its own blocks.
    ///
    /// # Panics
    /// If `held` is too short for `tokens`.
    pub fn insert(&mut self, tokens: &[Token], held: &[BlockId], blocks: &mut Blocks) {
        assert!(held.len() * BLOCK_TOKENS >= tokens.len(), "{} blocks for {} tokens", held.len(), tokens.len());
        self.clock += 1;
        let mut at = ROOT;
        for (chunk, &block) in tokens.chunks(BLOCK_TOKENS).zip(held) {
            at = self.step(at, chunk, block, blocks);
            self.node_mut(at).last_use = self.clock;
        }
    }

    /// The child of `at` that holds `chunk`: an existing one, an existing one that `chunk` extends, or a new one.
    fn step(&mut self, at: usize, chunk: &[Token], block: BlockId, blocks: &mut Blocks) -> usize {
        if let Some((child, n_same)) = self.closest(at, chunk) {
            let known = self.node(child).tokens.len();
            if n_same == chunk.len() {
                return child;
            }
            if n_same == known {
                // `chunk` starts with all of this partial tail: the longer block replaces it.
                blocks.retain(block);
                let node = self.node_mut(child);
                node.tokens = chunk.to_vec();
                blocks.release(std::mem::replace(&mut node.block, block));
                return child;
            }
        }
        blocks.retain(block);
        let node = Node { tokens: chunk.to_vec(), block, parent: at, children: Vec::new(), last_use: self.clock };
        let id = match self.vacant.pop() {
            Some(id) => {
                self.nodes[id] = Some(node);
                id
            }
            None => {
                self.nodes.push(Some(node));
                self.nodes.len() - 1
            }
        };
        self.node_mut(at).children.push(id);
        id
    }

    /// Gives up to `n` blocks back to the free list, least recently used leaves first; returns how many.
    ///
    /// A leaf that a sequence owns too is passed over: forgetting it would free nothing.
    pub fn evict(&mut self, n: usize, blocks: &mut Blocks) -> usize {
        let mut leaves: BinaryHeap<Reverse<(u64, usize)>> =
            (1..self.nodes.len()).filter_map(|id| self.evictable(id, blocks)).map(Reverse).collect();
        let mut n_freed = 0;
        while n_freed < n {
            let Some(Reverse((_, id))) = leaves.pop() else { break };
            let parent = self.remove(id, blocks);
            n_freed += 1;
            leaves.extend(self.evictable(parent, blocks).map(Reverse));
        }
        n_freed
    }

    /// Blocks that [`Tree::evict`] could free now.
    pub fn n_evictable(&self, blocks: &Blocks) -> usize {
        // What somebody else owns stays, and so does every ancestor of it.
        let mut held = vec![false; self.nodes.len()];
        for id in 1..self.nodes.len() {
            let Some(node) = &self.nodes[id] else { continue };
            let mut at = if blocks.refcount(node.block) > 1 { id } else { ROOT };
            while at != ROOT && !held[at] {
                held[at] = true;
                at = self.node(at).parent;
            }
        }
        self.n_blocks() - held.iter().filter(|&&h| h).count()
    }

    /// Forgets everything and gives up all ownership.
    pub fn clear(&mut self, blocks: &mut Blocks) {
        for node in self.nodes.drain(..).flatten().skip(1) {
            blocks.release(node.block);
        }
        *self = Self { clock: self.clock, ..Self::new() };
    }

    /// The child of `at` that shares most leading tokens with `chunk`, at least one, and how many.
    fn closest(&self, at: usize, chunk: &[Token]) -> Option<(usize, usize)> {
        let same = |id: usize| self.node(id).tokens.iter().zip(chunk).take_while(|(a, b)| a == b).count();
        let children = self.node(at).children.iter();
        children.map(|&id| (id, same(id))).filter(|&(_, n)| n > 0).max_by_key(|&(_, n)| n)
    }

    /// `(last_use, id)` if this is a leaf that nobody but the tree owns.
    fn evictable(&self, id: usize, blocks: &Blocks) -> Option<(u64, usize)> {
        let node = self.nodes[id].as_ref().filter(|_| id != ROOT)?;
        (node.children.is_empty() && blocks.refcount(node.block) == 1).then_some((node.last_use, id))
    }

    /// Takes a leaf out and returns its parent.
    fn remove(&mut self, id: usize, blocks: &mut Blocks) -> usize {
        let node = self.nodes[id].take().expect("removed nodes exist");
        self.vacant.push(id);
        self.node_mut(node.parent).children.retain(|&child| child != id);
        blocks.release(node.block);
        node.parent
    }

    fn node(&self, id: usize) -> &Node {
        self.nodes[id].as_ref().expect("linked nodes exist")
    }

    fn node_mut(&mut self, id: usize) -> &mut Node {
        self.nodes[id].as_mut().expect("linked nodes exist")
    }
}
