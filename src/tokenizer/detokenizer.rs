//! Tokens to text as they come, never half a character.
//!
//! Invariant: the texts returned by `push` and `finish`, joined, are `Tokenizer::decode` of the tokens pushed.
//! Must not know: how text became tokens.

use super::Tokenizer;
use crate::types::Token;

/// Turns a stream of tokens into text.
#[derive(Debug, Clone)]
pub struct Detokenizer {
    tokenizer: Tokenizer,
    /// Bytes of a character whose rest has not come yet; at most 3.
    held: Vec<u8>,
    /// The next text is the first: a space that the tokenizer put before it goes.
    is_start: bool,
}

impl Detokenizer {
    /// A detokenizer at the start of a text.
    pub fn new(tokenizer: &Tokenizer) -> Self {
        Self { tokenizer: tokenizer.clone(), held: Vec::new(), is_start: true }
    }

    /// The text that `token` completes; empty for a control token and inside a character.
    pub fn push(&mut self, token: Token) -> String {
        if self.tokenizer.is_control(token) {
            return String::new();
        }
        let mut bytes = self.tokenizer.token_bytes(token);
        if std::mem::replace(&mut self.is_start, false) && self.tokenizer.has_space_prefix() {
            bytes = bytes.strip_prefix(b" ").unwrap_or(bytes);
        }
        self.held.extend_from_slice(bytes);
        self.take_complete()
    }

    /// What is left: a character that never got its last byte becomes U+FFFD.
    pub fn finish(&mut self) -> String {
        self.is_start = true;
        String::from_utf8_lossy(&std::mem::take(&mut self.held)).into_owned()
    }

    /// Everything but an incomplete character at the end; bytes that can never be a character become U+FFFD.
    fn take_complete(&mut self) -> String {
        let mut text = String::new();
        let mut n_done = 0;
        for chunk in self.held.utf8_chunks() {
            text.push_str(chunk.valid());
            n_done += chunk.valid().len();
            let invalid = chunk.invalid();
            let is_last = n_done + invalid.len() == self.held.len();
            if is_last && could_continue(invalid) {
                break;
            }
            if !invalid.is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
                n_done += invalid.len();
            }
        }
        self.held.drain(..n_done);
        text
    }
}

/// Whether these bytes are the beginning of some character.
fn could_continue(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}
