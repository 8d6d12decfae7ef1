//! Turns logits into tokens: masks, penalties, temperature, cut-offs, one draw; and the grammars behind the masks.
//!
//! [`Sampler`] holds what one sequence needs to draw (its random state and the tokens it saw lately), [`Constraint`]
//! holds where one sequence stands in its grammar, [`Grammars`] compiles grammars once per tokenizer.
//!
//! Invariants: a draw depends on nothing but its logits, its mask and its own sampler, so it is the same in every
//! batch and on every machine; a masked token is never drawn; equal logits are resolved towards the lower id.
//! Must not know: the model, the KV cache, the scheduler, who reads the tokens.

mod draft;
mod grammar;
mod mask;
mod numeric;
mod random;
mod sampler;
mod schema;
#[cfg(test)]
mod tests;

pub use draft::{Luck, draft};
pub use grammar::{Constraint, Grammars};
pub use mask::{Allowed, Mask};
pub use random::Random;
pub use sampler::{Pick, Sampler};

/// Why a token could not be drawn or a grammar not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A sampling option is outside its range.
    #[error("sampling option {option} is {found}, expected {expected}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it was.
        found: String,
    },
    /// Nothing is left to draw from.
    #[error("no token is left to draw: all {n_logits} logits are masked, minus infinity or not a number")]
    NoCandidate {
        /// Logits offered.
        n_logits: usize,
    },
    /// The grammar does not compile.
    #[error("{kind} does not compile: {why}")]
    Compile {
        /// Which kind of grammar.
        kind: &'static str,
        /// The compiler's words.
        why: String,
    },
    /// The grammar is larger than what Partita accepts from anyone.
    #[error("{kind} is too large: {what} is {found}, the limit is {limit}")]
    TooLarge {
        /// Which kind of grammar.
        kind: &'static str,
        /// What is counted.
        what: &'static str,
        /// The count.
        found: usize,
        /// The most allowed.
        limit: usize,
    },
    /// The grammar's state cannot go on.
    #[error("the grammar stopped at token {n_tokens}: {why}")]
    Constraint {
        /// Tokens accepted so far.
        n_tokens: usize,
        /// What happened.
        why: String,
    },
    /// The vocabulary cannot be put into a trie.
    #[error("the vocabulary of {n_vocab} tokens cannot carry a grammar: {why}")]
    Vocabulary {
        /// Its size.
        n_vocab: usize,
        /// What is wrong with it.
        why: String,
    },
}
