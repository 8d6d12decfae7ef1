//! Which nodes may go, and which goes first.
//!
//! A block may go when nobody but the tree owns it and nothing that has a block follows it. First goes what no pin
//! covers, and of that what is worth least: a node's worth is the tree's *level* at its last use plus what computing
//! it again costs; the level is the largest worth that ever had to go. So everything is forgotten some day, what is
//! costly later. All blocks have one size, so cost per byte is cost.
//!
//! Invariants: `n_kept` counts nodes with blocks, `n_bound` those of them that have a reason to stay; both change with
//! every owner, so nothing is ever counted by looking at the tree. A change touches the nodes whose state changes, and
//! takes `O(log n)` for each.
//! Source: GreedyDual, Young, Algorithmica 11 (1994); with sizes, Cao and Irani, USITS 1997.

use std::collections::BTreeSet;

use super::{Place, ROOT, Slot, Tree};
use crate::cache::Blocks;
use crate::types::{BLOCK_TOKENS, BlockId};

/// Positions that take as long to attend to as the rest of a token's arithmetic: `2·parameters` against
/// `4·layers·width` a position. 3,000 for models of 135 M parameters, 8,000 for 500 M, 18,000 for 1.5 B.
const EVEN_POSITIONS: usize = 8192;

/// By which nodes are sorted; the least goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    is_pinned: bool,
    worth: u64,
    last_use: u64,
    id: usize,
}

/// The nodes that may go, in order, and the counts.
#[derive(Debug)]
pub(super) struct Order {
    pub clock: u64,
    level: u64,
    /// Nodes with blocks.
    pub n_kept: usize,
    /// Nodes whose blocks have a reason to stay.
    pub n_bound: usize,
    /// Nodes whose blocks may go.
    leaves: BTreeSet<Key>,
    /// Resting nodes that nothing follows.
    resting: BTreeSet<Key>,
    /// Slots that no node rests in.
    slots: Vec<Slot>,
    pub n_slots: usize,
    /// Blocks to pack, in order, before anybody writes into them.
    moves: Vec<(BlockId, Slot)>,
    pub n_rested: u64,
    pub n_revived: u64,
}

impl Order {
    pub fn new(n_slots: usize) -> Self {
        Self {
            clock: 0,
            level: 0,
            n_kept: 0,
            n_bound: 0,
            leaves: BTreeSet::new(),
            resting: BTreeSet::new(),
            slots: (0..n_slots).rev().map(Slot).collect(),
            n_slots,
            moves: Vec::new(),
            n_rested: 0,
            n_revived: 0,
        }
    }

    /// Goes on with another one's counts.
    pub fn inherit(&mut self, old: &Self) {
        (self.clock, self.level) = (old.clock, old.level);
        (self.n_rested, self.n_revived) = (old.n_rested, old.n_revived);
    }
}

/// What computing a block again takes, in units of a token's attention to one position.
fn cost(depth: usize, n_tokens: usize) -> u64 {
    (n_tokens * (EVEN_POSITIONS + depth * BLOCK_TOKENS)) as u64
}

impl Tree {
    /// Gives up to `n` blocks back to the free list, those worth least first; returns how many. Where there are slots
    /// for it, what they hold has to be packed before they are used: see [`Tree::moves`].
    ///
    /// What a sequence owns too is passed over, with all that it follows: forgetting it would free nothing.
    pub fn evict(&mut self, n: usize, blocks: &mut Blocks) -> usize {
        for n_freed in 0..n {
            let Some(key) = self.order.leaves.first().copied() else { return n_freed };
            self.order.level = self.order.level.max(key.worth);
            match self.free_slot(blocks) {
                Some(slot) => self.lay_down(key.id, slot, blocks),
                None => self.forget(key.id, blocks),
            }
        }
        n
    }

    /// Blocks whose contents belong into slots from now on, in order.
    pub fn moves(&mut self) -> std::vec::Drain<'_, (BlockId, Slot)> {
        self.order.moves.drain(..)
    }

    /// Blocks that were packed, and blocks that were unpacked again.
    pub fn n_rested_and_revived(&self) -> (u64, u64) {
        (self.order.n_rested, self.order.n_revived)
    }

    /// Notes that a node is wanted now.
    pub(super) fn touch(&mut self, id: usize) {
        let (clock, level) = (self.order.clock, self.order.level);
        let node = self.node_mut(id);
        (node.last_use, node.level) = (clock, level);
        self.refile(id);
    }

    /// Notes one more reason for a node to stay.
    pub(super) fn bind(&mut self, mut id: usize) {
        while id != ROOT {
            let node = self.node_mut(id);
            node.n_reasons += 1;
            if node.n_reasons > 1 {
                return;
            }
            let parent = node.parent;
            self.order.n_bound += 1;
            self.refile(id);
            id = parent;
        }
    }

    /// Notes one reason less.
    pub(super) fn unbind(&mut self, mut id: usize) {
        while id != ROOT {
            let node = self.node_mut(id);
            node.n_reasons -= 1;
            if node.n_reasons > 0 {
                return;
            }
            let parent = node.parent;
            self.order.n_bound -= 1;
            self.refile(id);
            id = parent;
        }
    }

    /// Makes `block`, which somebody owns already, the one that holds a node's keys and values.
    pub(super) fn settle(&mut self, id: usize, block: BlockId, blocks: &mut Blocks) {
        if self.node(id).block() == Some(block) {
            return;
        }
        self.vacate(id, blocks);
        blocks.retain(block);
        self.node_mut(id).place = Place::Block(block);
        self.node_of[block.0 as usize] = Some(id);
        self.order.n_kept += 1;
        let parent = self.node(id).parent;
        self.node_mut(parent).n_kept += 1;
        self.refile(parent);
        self.bind(id);
    }

    /// Gives up a node's block or slot.
    fn vacate(&mut self, id: usize, blocks: &mut Blocks) {
        let (place, parent) = (self.node(id).place, self.node(id).parent);
        if let Place::Block(block) = place {
            if blocks.refcount(block) > 1 {
                self.unbind(id);
            }
            self.node_of[block.0 as usize] = None;
            blocks.release(block);
            self.order.n_kept -= 1;
            self.node_mut(parent).n_kept -= 1;
        }
        self.unfile(id);
        self.node_mut(id).place = Place::Nowhere;
        match place {
            Place::Block(_) => self.refile(parent),
            Place::Rest(slot) => self.order.slots.push(slot),
            Place::Nowhere => {}
        }
    }

    /// A slot, whose node is forgotten if it has one; `None` if there are none at all.
    fn free_slot(&mut self, blocks: &mut Blocks) -> Option<Slot> {
        if self.order.slots.is_empty() {
            let least = self.order.resting.first().copied()?;
            self.forget(least.id, blocks);
        }
        self.order.slots.pop()
    }

    /// Lets a node rest.
    fn lay_down(&mut self, id: usize, slot: Slot, blocks: &mut Blocks) {
        if let Some(block) = self.node(id).block() {
            self.order.moves.push((block, slot));
        }
        self.pass_on_use(id);
        self.vacate(id, blocks);
        self.node_mut(id).place = Place::Rest(slot);
        self.order.n_rested += 1;
        self.refile(id);
    }

    /// Takes out a node that nothing follows.
    fn forget(&mut self, id: usize, blocks: &mut Blocks) {
        self.pass_on_use(id);
        self.uncover(id, |tree| {
            tree.vacate(id, blocks);
            let node = tree.nodes[id].take().expect("forgotten nodes exist");
            tree.vacant.push(id);
            let children = &mut tree.node_mut(node.parent).children;
            if let Ok(at) = children.binary_search(&(node.tokens[0], id)) {
                children.remove(at);
            }
            tree.refile(node.parent);
        });
    }

    /// Whoever used a node used what comes before it.
    fn pass_on_use(&mut self, id: usize) {
        let node = self.node(id);
        let (parent, last_use, level) = (node.parent, node.last_use, node.level);
        let parent = self.node_mut(parent);
        parent.last_use = parent.last_use.max(last_use);
        parent.level = parent.level.max(level);
    }

    /// Puts a node where it belongs among those that may go.
    pub(super) fn refile(&mut self, id: usize) {
        if id == ROOT {
            return;
        }
        let node = self.node(id);
        let worth = node.level + cost(node.depth, node.tokens.len());
        let key = Key { is_pinned: node.n_pins > 0, worth, last_use: node.last_use, id };
        let may_go = match node.place {
            Place::Nowhere => false,
            Place::Block(_) => node.n_kept == 0 && node.n_reasons == 0,
            Place::Rest(_) => node.children.is_empty(),
        };
        if node.filed != may_go.then_some(key) {
            self.unfile(id);
            if may_go {
                self.shelf(id).insert(key);
                self.node_mut(id).filed = Some(key);
            }
        }
    }

    fn unfile(&mut self, id: usize) {
        if let Some(key) = self.node_mut(id).filed.take() {
            self.shelf(id).remove(&key);
        }
    }

    fn shelf(&mut self, id: usize) -> &mut BTreeSet<Key> {
        match self.node(id).place {
            Place::Rest(_) => &mut self.order.resting,
            _ => &mut self.order.leaves,
        }
    }
}

#[cfg(test)]
impl Tree {
    /// Nodes, those at rest included.
    pub(in crate::cache) fn n_nodes(&self) -> usize {
        self.nodes.iter().skip(1).flatten().count()
    }

    /// Blocks that pins cover, and how many others may go before them.
    pub(in crate::cache) fn pinned_blocks_and_others(&self) -> (Vec<BlockId>, usize) {
        let pinned = self.nodes.iter().flatten().filter(|node| node.n_pins > 0).filter_map(|node| node.block());
        let others = self.nodes.iter().flatten().filter(|node| node.n_pins == 0 && node.n_reasons == 0);
        (pinned.collect(), others.filter(|node| node.block().is_some()).count())
    }

    /// The counts by looking at every node; nodes that may go are where they belong.
    pub(in crate::cache) fn check(&self, blocks: &Blocks) {
        let ids = || (1..self.nodes.len()).filter(|&id| self.nodes[id].is_some());
        let mut is_bound = vec![false; self.nodes.len()];
        for id in ids() {
            let mut at = match self.node(id).block() {
                Some(block) if blocks.refcount(block) > 1 => id,
                _ => ROOT,
            };
            while at != ROOT && !is_bound[at] {
                is_bound[at] = true;
                at = self.node(at).parent;
            }
        }
        let n_kept = ids().filter(|&id| self.node(id).block().is_some()).count();
        let n_bound = is_bound.iter().filter(|&&is_bound| is_bound).count();
        assert_eq!((self.n_blocks(), self.n_evictable()), (n_kept, n_kept - n_bound));
        for id in ids() {
            let node = self.node(id);
            assert!(node.block().is_none_or(|block| self.node_of[block.0 as usize] == Some(id)));
            assert_eq!(node.n_reasons > 0, is_bound[id], "node {id} is bound if anything is that follows");
            let is_kept = |&&(_, child): &&(u32, usize)| self.node(child).block().is_some();
            assert_eq!(node.n_kept, node.children.iter().filter(is_kept).count());
            assert!(node.block().is_some() || node.n_kept == 0, "what follows a resting node rests");
            let may_go =
                if node.block().is_some() { node.n_kept == 0 && !is_bound[id] } else { node.children.is_empty() };
            assert_eq!(node.filed.is_some(), may_go);
        }
        let n_filed = ids().filter(|&id| self.node(id).filed.is_some()).count();
        assert_eq!(self.order.leaves.len() + self.order.resting.len(), n_filed);
        let n_resting = ids().filter(|&id| self.node(id).block().is_none()).count();
        assert_eq!(self.order.slots.len() + n_resting, self.order.n_slots);
        self.check_pins();
    }
}
