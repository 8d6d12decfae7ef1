//! Which tokens may be drawn: one bit per token id.
//!
//! Invariant: ids past the end of the mask are not allowed, so ids that only pad the output head never pass.

use crate::types::Token;

/// Tokens are few if there are this many times as many in the vocabulary. An output head is computed in blocks of 16 rows;
/// with every token in a block of its own, twice as many tokens would take longer than a row's share of a whole product of
/// eight rows (8.8 against 6.7 ms: 151,936 rows of 896 `Q8_0` weights, two cores, AVX2).
const FEW: usize = 128;
/// So many always are.
const VERY_FEW: usize = 4;
const WORD_BITS: usize = u32::BITS as usize;

/// A set of allowed tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    words: Vec<u32>,
    n_tokens: usize,
}

impl Mask {
    /// Allows nothing of a vocabulary of `n_tokens`.
    pub fn none(n_tokens: usize) -> Self {
        Self { words: vec![0; n_tokens.div_ceil(WORD_BITS)], n_tokens }
    }

    /// Allows the listed tokens of a vocabulary of `n_tokens`; ids outside it are ignored.
    pub fn of(tokens: &[Token], n_tokens: usize) -> Self {
        let mut mask = Self::none(n_tokens);
        for &token in tokens.iter().filter(|&&token| (token as usize) < n_tokens) {
            mask.words[token as usize / WORD_BITS] |= 1 << (token as usize % WORD_BITS);
        }
        mask
    }

    /// Allows the set bits of `words`, lowest bit first, as far as `n_tokens` goes.
    pub(super) fn from_words(mut words: Vec<u32>, n_tokens: usize) -> Self {
        words.resize(n_tokens.div_ceil(WORD_BITS), 0);
        let n_spare = words.len() * WORD_BITS - n_tokens;
        if let Some(last) = words.last_mut() {
            *last &= u32::MAX >> n_spare;
        }
        Self { words, n_tokens }
    }

    /// Whether `token` may be drawn.
    pub fn allows(&self, token: Token) -> bool {
        let idx = token as usize;
        idx < self.n_tokens && self.words[idx / WORD_BITS] >> (idx % WORD_BITS) & 1 == 1
    }

    /// How many tokens may be drawn.
    pub fn n_allowed(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The allowed tokens, ascending, if they are so few that it is cheaper to go through them than through the
    /// vocabulary.
    pub fn few(&self) -> Option<Vec<Token>> {
        if self.n_allowed() > (self.n_tokens / FEW).max(VERY_FEW) {
            return None;
        }
        let bits = |(i, &word): (usize, &u32)| {
            let mut left = word;
            std::iter::from_fn(move || {
                let bit = (left != 0).then(|| left.trailing_zeros())?;
                left &= left - 1;
                Some((i * WORD_BITS) as Token + bit)
            })
        };
        Some(self.words.iter().enumerate().flat_map(bits).collect())
    }

    /// Sets the logits of all other tokens to minus infinity.
    pub fn apply(&self, logits: &mut [f32]) {
        let n_covered = logits.len().min(self.n_tokens);
        let (covered, padding) = logits.split_at_mut(n_covered);
        padding.fill(f32::NEG_INFINITY);
        for (chunk, &word) in covered.chunks_mut(WORD_BITS).zip(&self.words) {
            match word {
                0 => chunk.fill(f32::NEG_INFINITY),
                u32::MAX => {}
                _ => {
                    for (i, x) in chunk.iter_mut().enumerate() {
                        *x = if word >> i & 1 == 1 { *x } else { f32::NEG_INFINITY };
                    }
                }
            }
        }
    }
}

/// What may be drawn next, in the form that suits the draw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// These tokens, ascending.
    Few(Vec<Token>),
    /// Those of a mask.
    Many(Mask),
}

impl From<Mask> for Allowed {
    fn from(mask: Mask) -> Self {
        mask.few().map_or(Self::Many(mask), Self::Few)
    }
}
