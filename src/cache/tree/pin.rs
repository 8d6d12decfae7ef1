//! Prefixes that somebody is going to ask for: what they cover goes last.
//!
//! A pin covers what a match of its tokens would find, now and when more of it is computed. All pins together cover no
//! more than half of the pool, older pins first, and what they cover still goes when nothing else can: so a pin never
//! stops a sequence.
//!
//! Invariants: the nodes that a pin covers are a way down from the root; `n_nodes` counts covered nodes once each;
//! without pins nothing here costs more than a comparison.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::{ROOT, Tree, n_common};
use crate::types::{BLOCK_TOKENS, Token};

/// A pin's name; pins with lower numbers come before others where there is not room for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PinId(pub u64);

#[derive(Debug)]
pub(super) struct Pins {
    all: BTreeMap<PinId, Pin>,
    n_nodes: usize,
    max_nodes: usize,
}

#[derive(Debug)]
struct Pin {
    tokens: Vec<Token>,
    /// The nodes it covers.
    path: Vec<usize>,
}

impl Pin {
    fn chunk(&self, depth: usize) -> &[Token] {
        let start = (depth * BLOCK_TOKENS).min(self.tokens.len());
        &self.tokens[start..self.tokens.len().min(start + BLOCK_TOKENS)]
    }
}

impl Pins {
    pub fn new(n_blocks: usize) -> Self {
        Self { all: BTreeMap::new(), n_nodes: 0, max_nodes: n_blocks / 2 }
    }

    /// The same pins for a tree that knows nothing.
    pub fn forgotten(mut self) -> Self {
        self.all.values_mut().for_each(|pin| pin.path.clear());
        Self { n_nodes: 0, ..self }
    }

    fn is_full(&self) -> bool {
        self.n_nodes >= self.max_nodes
    }

    /// The pins that go through `at` and may go on with a child of it.
    fn through(&self, at: usize, depth: usize) -> Vec<PinId> {
        let is_there = |pin: &Pin| {
            depth <= pin.path.len()
                && pin.path.len() <= depth + 1
                && depth.checked_sub(1).is_none_or(|last| pin.path[last] == at)
        };
        self.all.iter().filter(|(_, pin)| is_there(pin)).map(|(id, _)| *id).collect()
    }
}

impl Tree {
    /// Keeps the prefix `tokens`, as far as it is or will be known, until nothing else can go. A second pin of this
    /// name replaces the first.
    pub fn pin(&mut self, id: PinId, tokens: Vec<Token>) {
        self.unpin(id);
        self.pins.all.insert(id, Pin { tokens, path: Vec::new() });
        self.lengthen(id);
    }

    /// Takes a pin away; without effect if there is none of this name.
    pub fn unpin(&mut self, id: PinId) {
        if self.pins.all.contains_key(&id) {
            let was_full = self.pins.is_full();
            self.shorten(id, 0);
            self.pins.all.remove(&id);
            self.lengthen_each(&[], was_full);
        }
    }

    /// Lets pins cover a node that is new, or has new tokens.
    pub(super) fn note_child(&mut self, child: usize) {
        let (at, depth) = (self.node(child).parent, self.node(child).depth);
        if self.pins.all.is_empty() || (at != ROOT && self.node(at).n_pins == 0) {
            return;
        }
        let was_full = self.pins.is_full();
        let ids = self.pins.through(at, depth);
        ids.iter().for_each(|&id| self.shorten(id, depth));
        self.lengthen_each(&ids, was_full);
    }

    /// Lets a node that nothing follows and `remove` takes out go from under its pins.
    pub(super) fn uncover(&mut self, id: usize, remove: impl FnOnce(&mut Self)) {
        let was_full = self.pins.is_full();
        let ends_here = |pin: &Pin| pin.path.last() == Some(&id);
        let pins = self.pins.all.iter().filter(|(_, pin)| ends_here(pin));
        let ids: Vec<PinId> = pins.filter(|_| self.node(id).n_pins > 0).map(|(id, _)| *id).collect();
        let depth = self.node(id).depth;
        ids.iter().for_each(|&pin| self.shorten(pin, depth));
        remove(self);
        self.lengthen_each(&ids, was_full);
    }

    /// Lengthens these pins, and all others where there was no room before and is now.
    fn lengthen_each(&mut self, ids: &[PinId], was_full: bool) {
        ids.iter().for_each(|&id| self.lengthen(id));
        if was_full && !self.pins.is_full() {
            let all: Vec<PinId> = self.pins.all.keys().copied().collect();
            all.into_iter().for_each(|id| self.lengthen(id));
        }
    }

    /// Covers more of a pin's prefix, as far as it is known and there is room.
    fn lengthen(&mut self, id: PinId) {
        loop {
            let pin = &self.pins.all[&id];
            let depth = pin.path.len();
            let at = pin.path.last().copied().unwrap_or(ROOT);
            if at != ROOT && n_common(&self.node(at).tokens, pin.chunk(depth - 1)) < BLOCK_TOKENS {
                return;
            }
            let Some((child, _)) = self.closest(at, pin.chunk(depth)) else { return };
            if self.node(child).n_pins == 0 {
                if !self.make_room(id) {
                    return;
                }
                self.pins.n_nodes += 1;
            }
            self.node_mut(child).n_pins += 1;
            self.pins.all.entry(id).and_modify(|pin| pin.path.push(child));
            self.refile(child);
        }
    }

    /// Makes room for one more node of a pin, by shortening those that came later; false if there is none.
    fn make_room(&mut self, id: PinId) -> bool {
        while self.pins.is_full() {
            let later = (Bound::Excluded(id), Bound::Unbounded);
            let mut later = self.pins.all.range(later).rev();
            let Some((&last, pin)) = later.find(|(_, pin)| !pin.path.is_empty()) else { return false };
            self.shorten(last, pin.path.len() - 1);
        }
        true
    }

    /// Lets a pin cover its first `n_nodes` nodes only.
    fn shorten(&mut self, id: PinId, n_nodes: usize) {
        let Some(pin) = self.pins.all.get_mut(&id) else { return };
        for node in pin.path.split_off(n_nodes.min(pin.path.len())) {
            self.node_mut(node).n_pins -= 1;
            if self.node(node).n_pins == 0 {
                self.pins.n_nodes -= 1;
                self.refile(node);
            }
        }
    }
}

#[cfg(test)]
impl Tree {
    pub(super) fn check_pins(&self) {
        let mut n_pins = vec![0; self.nodes.len()];
        for pin in self.pins.all.values() {
            let mut at = ROOT;
            for &id in &pin.path {
                assert_eq!(self.node(id).parent, at, "a way down from the root");
                n_pins[id] += 1;
                at = id;
            }
        }
        for id in (1..self.nodes.len()).filter(|&id| self.nodes[id].is_some()) {
            assert_eq!(self.node(id).n_pins, n_pins[id]);
        }
        let n_nodes = n_pins.iter().filter(|&&n| n > 0).count();
        assert_eq!(self.pins.n_nodes, n_nodes);
        assert!(n_nodes <= self.pins.max_nodes);
        if n_nodes == self.pins.max_nodes {
            return;
        }
        // With room to spare, a pin covers what a match would find.
        for pin in self.pins.all.values() {
            let n_known = self.n_known(&pin.tokens);
            assert_eq!(pin.path.len(), n_known.div_ceil(BLOCK_TOKENS), "{n_known} tokens of a pin are known");
        }
    }
}
