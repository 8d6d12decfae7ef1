//! Byte-level byte-pair encoding: words to bytes spelled as characters to merged tokens.
//!
//! The merging is the `tokenizers` crate's; this file feeds it a vocabulary that cannot produce a control token.
//! Must not know: special tokens, templates.
//! Source: Sennrich et al., arXiv:1508.07909; the byte alphabet of GPT-2.

use rayon::prelude::*;
use tokenizers::Model;
use tokenizers::models::bpe::{BPE, Merges, Vocab};

use super::Error;
use super::split::Splitter;
use super::vocabulary::{Kind, Vocabulary, byte_alphabet};
use crate::gguf::Metadata;
use crate::types::Token;

/// Words from which several threads share the merging: below it, waking them costs more than they save.
const PARALLEL_WORDS: usize = 4096;
/// Words that one thread takes at a time.
const WORDS_PER_TASK: usize = 1024;

/// A byte-level encoder.
pub(super) struct ByteLevel {
    model: BPE,
    splitter: Splitter,
    alphabet: [char; 256],
}

impl ByteLevel {
    pub(super) fn from_gguf(metadata: &Metadata, vocabulary: &Vocabulary) -> Result<Self, Error> {
        let name = metadata.find_str("tokenizer.ggml.pre")?.unwrap_or_default();
        let splitter = Splitter::find(name).ok_or_else(|| Error::UnknownPre {
            found: name.to_owned(),
            supported: Splitter::names().collect::<Vec<_>>().join(", "),
        })?;
        let ids = vocabulary.ids(|kind| matches!(kind, Kind::Normal | Kind::UserDefined | Kind::Unused));
        let others = vocabulary.ids(|kind| matches!(kind, Kind::Control | Kind::Unknown | Kind::Byte));
        let lines = metadata.get_strs("tokenizer.ggml.merges")?;
        let merges = lines.par_iter().map(|line| {
            let (left, right) = parse_merge(line)?;
            let merged = [left, right].concat();
            let texts = [left, right, &merged];
            if texts.iter().all(|text| ids.contains_key(text)) {
                Ok(Some((left.to_owned(), right.to_owned())))
            } else if texts.iter().any(|text| others.contains_key(text)) {
                Ok(None)
            } else {
                Err(Error::Merge { line: (*line).to_owned(), merged })
            }
        });
        let merges: Merges = merges.filter_map(Result::transpose).collect::<Result<_, _>>()?;
        let vocab: Vocab = ids.into_iter().map(|(text, id)| (text.to_owned(), id)).collect();
        let model = BPE::builder().vocab_and_merges(vocab, merges).ignore_merges(splitter.whole_words).build();
        let model = model.map_err(|error| Error::Merges(error.to_string()))?;
        Ok(Self { model, splitter, alphabet: byte_alphabet() })
    }

    pub(super) fn add_bos(&self) -> bool {
        self.splitter.add_bos
    }

    /// Appends the tokens of text that holds no special token.
    pub(super) fn encode(&self, text: &str, tokens: &mut Vec<Token>) {
        let words = self.splitter.split(text);
        if words.len() < PARALLEL_WORDS {
            self.merge(text, &words, tokens);
            return;
        }
        let parts = words.par_chunks(WORDS_PER_TASK).map(|words| {
            let mut tokens = Vec::with_capacity(2 * words.len());
            self.merge(text, words, &mut tokens);
            tokens
        });
        for part in parts.collect::<Vec<_>>() {
            tokens.extend(part);
        }
    }

    fn merge(&self, text: &str, words: &[std::ops::Range<usize>], tokens: &mut Vec<Token>) {
        let mut spelled = String::new();
        for word in words {
            spelled.clear();
            spelled.extend(text[word.clone()].bytes().map(|byte| self.alphabet[usize::from(byte)]));
            let merged =
                self.model.tokenize(&spelled).expect("merging fails only on an unknown token, which is not set");
            tokens.extend(merged.into_iter().map(|token| token.id));
        }
    }
}

/// The two sides of a merge; the first may itself start with a space in vocabularies that are not byte-level.
fn parse_merge(line: &str) -> Result<(&str, &str), Error> {
    let first = line.chars().next().map_or(0, char::len_utf8);
    line[first..]
        .find(' ')
        .map(|at| (&line[..first + at], &line[first + at + 1..]))
        .ok_or_else(|| Error::Merges(format!("merge `{line}` is not two texts with a space between")))
}
