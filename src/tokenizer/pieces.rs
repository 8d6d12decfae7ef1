//! SentencePiece's byte-pair encoding by scores: the pair that makes the best-scored token merges first.
//!
//! Characters outside the vocabulary fall back to byte tokens, then to the unknown token. Control, unknown and byte
//! tokens are not in the merge table, so text can never spell one.
//! Must not know: special tokens, templates.
//! Source: Kudo and Richardson, arXiv:1808.06226; the merge order of the reference implementation (highest score,
//! then leftmost).

use std::cmp::Ordering;
use std::collections::{BinaryHeap, HashMap};

use super::Error;
use super::vocabulary::{Kind, SPACE_MARK, Vocabulary, spelled_byte};
use crate::gguf::Metadata;
use crate::types::Token;

/// A SentencePiece encoder.
pub(super) struct Pieces {
    ids: HashMap<Box<str>, Token>,
    scores: Vec<f32>,
    bytes: [Option<Token>; 256],
    unknown: Option<Token>,
    /// Whether text starts as if a space stood before it.
    pub(super) space_prefix: bool,
}

/// A run of text that is one token so far; `len == 0` once it was merged into its left neighbour.
struct Symbol {
    start: usize,
    len: usize,
    left: Option<usize>,
    right: Option<usize>,
}

/// Two neighbours whose joined text is a token. `len` tells a stale candidate.
struct Candidate {
    score: f32,
    left: usize,
    right: usize,
    len: usize,
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(other.left.cmp(&self.left))
    }
}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Candidate {}

impl Pieces {
    pub(super) fn from_gguf(metadata: &Metadata, vocabulary: &Vocabulary) -> Result<Self, Error> {
        let scores = metadata.get_f32s("tokenizer.ggml.scores")?;
        if scores.len() != vocabulary.len() {
            let (expected, found) = (vocabulary.len(), scores.len());
            return Err(Error::Length { key: "tokenizer.ggml.scores", expected, found });
        }
        let ids = vocabulary.ids(|kind| matches!(kind, Kind::Normal | Kind::UserDefined | Kind::Unused));
        let ids = ids.into_iter().map(|(text, id)| (Box::from(text), id)).collect();
        let mut bytes = [None; 256];
        for (id, text, kind) in vocabulary.iter() {
            if let (Kind::Byte, Some(byte)) = (kind, spelled_byte(text)) {
                bytes[usize::from(byte)] = Some(id);
            }
        }
        let space_prefix = metadata.find_bool("tokenizer.ggml.add_space_prefix")?.unwrap_or(true);
        Ok(Self { ids, scores, bytes, unknown: vocabulary.unknown(), space_prefix })
    }

    /// Appends the tokens of text that holds no special token. `is_start`: nothing, or a special token, is before it.
    pub(super) fn encode(&self, text: &str, is_start: bool, tokens: &mut Vec<Token>) {
        let prefix = if self.space_prefix && is_start { " " } else { "" };
        let text = [prefix, text].concat().replace(' ', SPACE_MARK.encode_utf8(&mut [0; 4]));
        let mut symbols = symbols(&text);
        self.merge(&text, &mut symbols);
        for symbol in symbols.iter().filter(|symbol| symbol.len > 0) {
            self.push(&text[symbol.start..symbol.start + symbol.len], tokens);
        }
    }

    fn merge(&self, text: &str, symbols: &mut [Symbol]) {
        let mut candidates: BinaryHeap<Candidate> =
            (1..symbols.len()).filter_map(|i| self.candidate(text, symbols, i - 1, i)).collect();
        while let Some(Candidate { left, right, len, .. }) = candidates.pop() {
            let is_stale = symbols[left].len == 0 || symbols[right].len == 0;
            if is_stale || symbols[left].len + symbols[right].len != len {
                continue;
            }
            symbols[left].len = len;
            symbols[right].len = 0;
            symbols[left].right = symbols[right].right;
            if let Some(next) = symbols[left].right {
                symbols[next].left = Some(left);
                candidates.extend(self.candidate(text, symbols, left, next));
            }
            if let Some(before) = symbols[left].left {
                candidates.extend(self.candidate(text, symbols, before, left));
            }
        }
    }

    fn candidate(&self, text: &str, symbols: &[Symbol], left: usize, right: usize) -> Option<Candidate> {
        let len = symbols[left].len + symbols[right].len;
        let start = symbols[left].start;
        let id = self.ids.get(&text[start..start + len])?;
        Some(Candidate { score: self.scores[*id as usize], left, right, len })
    }

    fn push(&self, piece: &str, tokens: &mut Vec<Token>) {
        if let Some(id) = self.ids.get(piece) {
            tokens.push(*id);
            return;
        }
        let bytes: Option<Vec<Token>> = piece.bytes().map(|byte| self.bytes[usize::from(byte)]).collect();
        tokens.extend(bytes.unwrap_or_else(|| self.unknown.into_iter().collect()));
    }
}

/// One symbol per character, chained.
fn symbols(text: &str) -> Vec<Symbol> {
    let n_symbols = text.chars().count();
    let one = |(i, (start, character)): (usize, (usize, char))| Symbol {
        start,
        len: character.len_utf8(),
        left: i.checked_sub(1),
        right: (i + 1 < n_symbols).then_some(i + 1),
    };
    text.char_indices().enumerate().map(one).collect()
}
