//! The tokens of sequences that have ended, so that they can be forked.
//!
//! Invariant: never more than [`MAX_TOKENS`] tokens; the oldest sequences are forgotten first. A sequence that is
//! remembered need not be in the cache any more; forking it then computes it again.

use std::collections::{HashMap, VecDeque};

use crate::types::{SequenceId, Token};

/// 16 MB of token ids.
const MAX_TOKENS: usize = 4 << 20;

/// Ended sequences.
#[derive(Debug, Default)]
pub(super) struct History {
    tokens: HashMap<SequenceId, Vec<Token>>,
    order: VecDeque<SequenceId>,
    n_tokens: usize,
}

impl History {
    /// Remembers a sequence that has ended.
    pub fn add(&mut self, id: SequenceId, tokens: Vec<Token>) {
        self.n_tokens += tokens.len();
        self.tokens.insert(id, tokens);
        self.order.push_back(id);
        while self.n_tokens > MAX_TOKENS {
            let Some(oldest) = self.order.pop_front() else { break };
            self.n_tokens -= self.tokens.remove(&oldest).map_or(0, |tokens| tokens.len());
        }
    }

    /// The tokens of an ended sequence.
    pub fn find(&self, id: SequenceId) -> Option<&[Token]> {
        self.tokens.get(&id).map(Vec::as_slice)
    }
}
