//! Finds the KV blocks that already hold the beginning of a token sequence.
//!
//! A radix tree over token ids at block granularity: a node is one block and the tokens whose keys and values it
//! holds. A node with fewer than [`BLOCK_TOKENS`] tokens is the tail of some sequence and has no children. Which node
//! goes when memory is short is decided in `order`, what a plan still wants is noted in `pin`.
//!
//! A node *rests* when its keys and values were packed and its block given back; what follows it rests too.
//!
//! Invariants: the tree owns its blocks once each; siblings hold different tokens and none of them is a prefix of
//! another, so the longest match is found by descending; a block's recorded tokens never change, they only grow.
//! Ownership of a block that the tree may know changes through [`Tree::retain`] and [`Tree::release`] only.
//! Must not know: memory, sequences, the model. One tree serves one model with one KV layout.
//! Source: the radix cache of SGLang (arXiv:2312.07104), over block tables (arXiv:2309.06180).

mod order;
mod pin;

pub use pin::PinId;

use super::block::Blocks;
use crate::types::{BLOCK_TOKENS, BlockId, Token};
use order::{Key, Order};
use pin::Pins;

const ROOT: usize = 0;

/// The longest known prefix of some tokens. Its blocks have gained the caller as an owner.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Match {
    /// Full blocks, in order of position; they may be shared as they are.
    pub blocks: Vec<BlockId>,
    /// A block of which only the first positions match; to be copied, never written.
    pub tail: Option<Tail>,
    /// The node of the last full block.
    at: usize,
}

/// The matching head of a block.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tail {
    /// Block to copy from.
    pub block: BlockId,
    /// Positions that match, in `1..BLOCK_TOKENS` or the whole of a partial block.
    pub n_tokens: usize,
}

/// A place for the packed keys and values of one block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot(pub usize);

/// A node that rests and matches what follows a [`Match`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Resting {
    node: usize,
    pub slot: Slot,
    pub n_tokens: usize,
}

impl Match {
    /// Tokens whose keys and values are known.
    pub fn n_tokens(&self) -> usize {
        self.blocks.len() * BLOCK_TOKENS + self.tail.map_or(0, |tail| tail.n_tokens)
    }
}

/// Where a node's keys and values are.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    /// The root's, and a new node's for a moment.
    Nowhere,
    Block(BlockId),
    Rest(Slot),
}

#[derive(Debug)]
struct Node {
    tokens: Vec<Token>,
    place: Place,
    parent: usize,
    /// Blocks before this one.
    depth: usize,
    /// First token and number of each child, sorted.
    children: Vec<(Token, usize)>,
    /// Children that have a block.
    n_kept: usize,
    /// Reasons why the block has to stay: owners besides the tree count as one, and so does each child with a reason.
    n_reasons: usize,
    /// Pins that cover it.
    n_pins: usize,
    last_use: u64,
    /// The tree's level at its last use; see [`Order`].
    level: u64,
    /// Under which it stands among those that may go.
    filed: Option<Key>,
}

/// Token prefixes and the blocks that hold them.
#[derive(Debug)]
pub struct Tree {
    /// Slab of nodes; [`ROOT`] stands for the empty prefix and owns no block.
    nodes: Vec<Option<Node>>,
    vacant: Vec<usize>,
    /// The node of every block of the pool.
    node_of: Vec<Option<usize>>,
    order: Order,
    pins: Pins,
}

impl Tree {
    /// A tree that knows the empty prefix only, for a pool of `n_blocks`, with places for `n_slots` blocks at rest.
    pub fn new(n_blocks: usize, n_slots: usize) -> Self {
        Self {
            nodes: vec![Some(Node::new(&[], ROOT, 0))],
            vacant: Vec::new(),
            node_of: vec![None; n_blocks],
            order: Order::new(n_slots),
            pins: Pins::new(n_blocks),
        }
    }

    /// Blocks that the tree owns.
    pub fn n_blocks(&self) -> usize {
        self.order.n_kept
    }

    /// Blocks that [`Tree::evict`] could free now.
    pub fn n_evictable(&self) -> usize {
        self.order.n_kept - self.order.n_bound
    }

    /// Every block that the tree owns.
    #[cfg(test)]
    pub(super) fn blocks(&self) -> impl Iterator<Item = BlockId> + '_ {
        self.nodes.iter().skip(1).flatten().filter_map(Node::block)
    }

    /// Adds an owner to a block.
    pub fn retain(&mut self, block: BlockId, blocks: &mut Blocks) {
        blocks.retain(block);
        if let Some(id) = self.node_of[block.0 as usize].filter(|_| blocks.refcount(block) == 2) {
            self.bind(id);
        }
    }

    /// Takes an owner away from a block; true if it is free again.
    pub fn release(&mut self, block: BlockId, blocks: &mut Blocks) -> bool {
        let is_free = blocks.release(block);
        if let Some(id) = self.node_of[block.0 as usize].filter(|_| blocks.refcount(block) == 1) {
            self.unbind(id);
        }
        is_free
    }

    /// The longest prefix of `tokens` that has blocks; they are retained for the caller.
    pub fn match_prefix(&mut self, tokens: &[Token], blocks: &mut Blocks) -> Match {
        self.order.clock += 1;
        let mut found = Match::default();
        for chunk in tokens.chunks(BLOCK_TOKENS) {
            let Some((child, n_tokens)) = self.closest(found.at, chunk) else { break };
            let Some(block) = self.node(child).block() else { break };
            self.retain(block, blocks);
            self.touch(child);
            if n_tokens < BLOCK_TOKENS {
                found.tail = Some(Tail { block, n_tokens });
                break;
            }
            found.blocks.push(block);
            found.at = child;
        }
        found
    }

    /// The resting node that goes on where `found` ends.
    pub(super) fn find_resting(&mut self, found: &Match, tokens: &[Token]) -> Option<Resting> {
        let chunk = tokens[found.n_tokens()..].chunks(BLOCK_TOKENS).next().filter(|_| found.tail.is_none())?;
        let (node, n_tokens) = self.closest(found.at, chunk)?;
        let Place::Rest(slot) = self.node(node).place else { return None };
        self.touch(node);
        Some(Resting { node, slot, n_tokens })
    }

    /// Gives a resting node the caller's block, into which it was unpacked, and appends it to the match.
    pub(super) fn revive(&mut self, resting: Resting, block: BlockId, found: &mut Match, blocks: &mut Blocks) {
        self.settle(resting.node, block, blocks);
        found.blocks.push(block);
        found.at = resting.node;
        self.order.n_revived += 1;
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
    /// keeps its own blocks. Takes time for what is new, not for what the tree has of `held` already.
    ///
    /// # Panics
    /// If `held` is too short for `tokens`.
    pub fn insert(&mut self, tokens: &[Token], held: &[BlockId], blocks: &mut Blocks) {
        assert!(held.len() * BLOCK_TOKENS >= tokens.len(), "{} blocks for {} tokens", held.len(), tokens.len());
        self.order.clock += 1;
        let (mut at, n_done) = self.deepest(&held[..tokens.len() / BLOCK_TOKENS]);
        if at != ROOT {
            debug_assert_eq!(self.node(at).tokens, tokens[(n_done - 1) * BLOCK_TOKENS..][..BLOCK_TOKENS]);
            self.touch(at);
        }
        for (chunk, &block) in tokens.chunks(BLOCK_TOKENS).zip(held).skip(n_done) {
            at = self.step(at, chunk, block, blocks);
            self.touch(at);
        }
    }

    /// The node of the last of these full blocks that the tree owns, and the number of blocks up to it. A block is
    /// written for one prefix only, so the way to that node need not be walked again.
    fn deepest(&self, held: &[BlockId]) -> (usize, usize) {
        let node_of = |block: BlockId| self.node_of[block.0 as usize];
        let is_full = |id: &usize| self.node(*id).tokens.len() == BLOCK_TOKENS;
        let last = (0..held.len()).rev().find_map(|i| node_of(held[i]).filter(is_full).map(|id| (id, i + 1)));
        last.unwrap_or((ROOT, 0))
    }

    /// The child of `at` that holds `chunk`: an existing one, an existing one that `chunk` extends, or a new one.
    fn step(&mut self, at: usize, chunk: &[Token], block: BlockId, blocks: &mut Blocks) -> usize {
        if let Some((child, n_same)) = self.closest(at, chunk) {
            let node = self.node(child);
            let (is_whole, rests) = (n_same == node.tokens.len(), node.block().is_none());
            if n_same == chunk.len() && !(is_whole && rests) {
                return child;
            }
            if is_whole {
                // `chunk` starts with all of this partial tail, or has fresh keys and values for what rests: the
                // caller's block replaces what is there.
                self.node_mut(child).tokens = chunk.to_vec();
                self.settle(child, block, blocks);
                self.note_child(child);
                return child;
            }
        }
        let depth = if at == ROOT { 0 } else { self.node(at).depth + 1 };
        let id = self.add(Node::new(chunk, at, depth));
        let children = &mut self.node_mut(at).children;
        let place = children.partition_point(|child| *child < (chunk[0], id));
        children.insert(place, (chunk[0], id));
        self.settle(id, block, blocks);
        self.note_child(id);
        id
    }

    fn add(&mut self, node: Node) -> usize {
        match self.vacant.pop() {
            Some(id) => {
                self.nodes[id] = Some(node);
                id
            }
            None => {
                self.nodes.push(Some(node));
                self.nodes.len() - 1
            }
        }
    }

    /// Forgets everything and gives up all ownership; pins stay.
    pub fn clear(&mut self, blocks: &mut Blocks) {
        for block in self.nodes.drain(..).skip(1).flatten().filter_map(|node| node.block()) {
            blocks.release(block);
        }
        let fresh = Self::new(self.node_of.len(), self.order.n_slots);
        let old = std::mem::replace(self, fresh);
        self.order.inherit(&old.order);
        self.pins = old.pins.forgotten();
    }

    /// The child of `at` that shares most leading tokens with `chunk`, at least one, and how many.
    fn closest(&self, at: usize, chunk: &[Token]) -> Option<(usize, usize)> {
        let first = *chunk.first()?;
        let children = &self.node(at).children;
        let start = children.partition_point(|child| child.0 < first);
        let alike = children[start..].iter().take_while(|child| child.0 == first);
        alike.map(|&(_, id)| (id, n_common(&self.node(id).tokens, chunk))).max_by_key(|&(_, n)| n)
    }

    fn node(&self, id: usize) -> &Node {
        self.nodes[id].as_ref().expect("linked nodes exist")
    }

    fn node_mut(&mut self, id: usize) -> &mut Node {
        self.nodes[id].as_mut().expect("linked nodes exist")
    }
}

impl Node {
    fn new(tokens: &[Token], parent: usize, depth: usize) -> Self {
        Self {
            tokens: tokens.to_vec(),
            place: Place::Nowhere,
            parent,
            depth,
            children: Vec::new(),
            n_kept: 0,
            n_reasons: 0,
            n_pins: 0,
            last_use: 0,
            level: 0,
            filed: None,
        }
    }

    fn block(&self) -> Option<BlockId> {
        match self.place {
            Place::Block(block) => Some(block),
            Place::Nowhere | Place::Rest(_) => None,
        }
    }
}

/// Leading tokens that two sequences have in common.
pub fn n_common(a: &[Token], b: &[Token]) -> usize {
    // Whole chunks are compared many tokens at a time.
    let chunks = a.chunks_exact(BLOCK_TOKENS).zip(b.chunks_exact(BLOCK_TOKENS));
    let n_equal = BLOCK_TOKENS * chunks.take_while(|(a, b)| a == b).count();
    n_equal + a[n_equal..].iter().zip(&b[n_equal..]).take_while(|(a, b)| a == b).count()
}
