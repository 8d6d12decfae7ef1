//! Guesses how tokens go on, from the tokens themselves: text that quotes its source, repeats a name or fills in a form
//! goes on as it did the last time.
//!
//! A guess is checked by the model in the pass that would have drawn its first token anyway, so it changes how long a
//! text takes and never what it says. (Where the model rounds by the number of rows in a pass, a guess adds rows: of
//! two tokens that are almost equally likely the other one may then be drawn. It is still the model's own choice after
//! the tokens before it: nothing is taken over that was not.)
//! Must not know: the model, what a guess costs.
//! Source: prompt look-up decoding; speculative verification, arXiv:2211.17192.

use crate::types::Token;

/// The end of the text is looked for with this many tokens first, then with fewer.
const LONGEST: usize = 5;
/// Fewer than this would find too much that has nothing to do with it.
const SHORTEST: usize = 3;
/// How far back a place is looked for.
const REACH: usize = 16 << 10;

/// What followed the last place where `tokens` went as they end now: at most `n_most` tokens, none if there is no such
/// place.
pub fn draft(tokens: &[Token], n_most: usize) -> &[Token] {
    let text = &tokens[tokens.len().saturating_sub(REACH)..];
    for n in (SHORTEST..=LONGEST).rev() {
        let Some(body) = text.len().checked_sub(n + 1) else { continue };
        let end = &text[text.len() - n..];
        // The place may overlap the end, so that a text that repeats itself is followed.
        if let Some(at) = (0..=body).rev().find(|&at| text[at..at + n] == *end) {
            let follows = &text[at + n..];
            return &follows[..follows.len().min(n_most)];
        }
    }
    &[]
}

/// How well the guesses of one sequence did lately.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Luck(f64);

impl Default for Luck {
    fn default() -> Self {
        Self(0.5)
    }
}

impl Luck {
    /// The share of guessed tokens that were right.
    pub fn rate(self) -> f64 {
        self.0
    }

    /// Takes in that the first `n_right` of `n` guessed tokens were right.
    pub fn note(&mut self, n_right: usize, n: usize) {
        /// What the latest guess counts.
        const NEWS: f64 = 0.25;
        // What comes after a wrong token was not looked at.
        let n_seen = (n_right + 1).min(n);
        if n_seen > 0 {
            self.0 += NEWS * (n_right as f64 / n_seen as f64 - self.0);
        }
    }

    /// Takes in that nothing was guessed; so hope comes back slowly.
    pub fn rest(&mut self) {
        self.0 = (self.0 + 0.01).min(0.9);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_goes_on_as_it_did() {
        let check = |text: &str, n_most: usize, want: &str| {
            let tokens: Vec<Token> = text.bytes().map(Token::from).collect();
            let got: String = draft(&tokens, n_most).iter().map(|&token| token as u8 as char).collect();
            assert_eq!(got, want, "{text}");
        };
        check("the cat sat; the ca", 4, "t sa");
        check("the cat sat; the ca", 100, "t sat; the ca");
        check("abcabc", 2, "ab");
        check("xyzxyzxyz", 9, "xyz");
        // The latest place counts, and a longer match before it.
        check("abc1 abc2 abc", 1, "2");
        check("deabc1 xxabc2 deabc", 1, "1");
        check("no such thing", 4, "");
        check("ab", 4, "");
        check("", 4, "");
        check("the cat sat; the ca", 0, "");
    }

    #[test]
    fn luck_follows_what_happens() {
        let mut luck = Luck::default();
        (0..20).for_each(|_| luck.note(4, 4));
        assert!(luck.rate() > 0.95);
        (0..20).for_each(|_| luck.note(0, 4));
        assert!(luck.rate() < 0.05);
        luck.note(0, 0);
        (0..200).for_each(|_| luck.rest());
        assert!((0.85..=0.9).contains(&luck.rate()));
        // One wrong token at the end of four is three quarters right; so is one of three that were not guessed further.
        let (mut a, mut b) = (Luck::default(), Luck::default());
        a.note(3, 4);
        b.note(3, 9);
        assert_eq!(a, b);
    }
}
