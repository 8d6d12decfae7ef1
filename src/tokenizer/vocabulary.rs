//! What a model file says about its tokens: their texts, kinds, bytes and roles.
//!
//! Invariants: `texts`, `kinds` and `bytes` have one entry per token; every token id held here is below `n_vocab`.
//! Must not know: how text is split or merged.
//! Source: the `tokenizer.ggml.*` keys of the GGUF specification.

use std::collections::HashMap;

use aho_corasick::{AhoCorasick, MatchKind};

use super::Error;
use crate::gguf::Metadata;
use crate::types::Token;

/// The space mark of SentencePiece.
pub(super) const SPACE_MARK: char = '\u{2581}';

/// What an entry of the vocabulary is for, as GGUF numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Normal,
    Unknown,
    Control,
    UserDefined,
    Unused,
    Byte,
}

impl Kind {
    fn from_gguf(number: i32) -> Self {
        match number {
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            5 => Self::Unused,
            6 => Self::Byte,
            _ => Self::Normal,
        }
    }
}

/// How the text of a normal token stands for bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spelling {
    /// One printable character per byte (GPT-2).
    ByteLevel,
    /// Plain UTF-8 with [`SPACE_MARK`] for spaces; bytes outside the vocabulary are spelled `<0xAB>`.
    Pieces,
}

/// Texts that end a turn or a document in the models of today, whatever the file calls the token.
const END_TEXTS: [&str; 18] = [
    "<|eot_id|>",
    "<|eom_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<｜end▁of▁sentence｜>",
    "<end_of_turn>",
    "<turn|>",
    "<end_of_utterance>",
    "<EOT>",
    "[EOT]",
    "[EOS]",
    "<eos>",
    "</s>",
    "[e~[",
];

/// Texts that a code model emits where the file under the cursor ends.
const FILE_END_TEXTS: [&str; 7] =
    ["<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<|file_sep|>"];

/// The tokens of a model.
#[derive(Debug)]
pub(super) struct Vocabulary {
    texts: Vec<Box<str>>,
    kinds: Vec<Kind>,
    /// The bytes of all tokens; token `t` is `bytes[ends[t - 1]..ends[t]]`.
    bytes: Vec<u8>,
    ends: Vec<usize>,
    end_tokens: Vec<Token>,
    bos: Option<Token>,
    eos: Option<Token>,
    unknown: Option<Token>,
}

impl Vocabulary {
    pub(super) fn from_gguf(metadata: &Metadata, spelling: Spelling) -> Result<Self, Error> {
        let texts: Vec<Box<str>> = metadata.get_strs("tokenizer.ggml.tokens")?.into_iter().map(Box::from).collect();
        if texts.is_empty() {
            return Err(Error::NoTokens);
        }
        let kinds = kinds(metadata, &texts)?;
        let default = |id: Token| (spelling == Spelling::Pieces && (id as usize) < texts.len()).then_some(id);
        let bos = role(metadata, "bos", texts.len())?.or(default(1));
        let eos = role(metadata, "eos", texts.len())?.or(default(2));
        let unknown = role(metadata, "unknown", texts.len())?.or(default(0));
        let mut end_tokens: Vec<Token> = eos.into_iter().collect();
        for name in ["eot", "eom"] {
            end_tokens.extend(role(metadata, name, texts.len())?);
        }
        let mut bytes = Vec::with_capacity(8 * texts.len());
        let mut ends = Vec::with_capacity(texts.len());
        for (text, kind) in texts.iter().zip(&kinds) {
            push_bytes(text, *kind, spelling, &mut bytes);
            ends.push(bytes.len());
        }
        let mut vocabulary = Self { texts, kinds, bytes, ends, end_tokens, bos, eos, unknown };
        vocabulary.find_end_tokens();
        Ok(vocabulary)
    }

    /// Adds the control tokens that end a turn by their text.
    fn find_end_tokens(&mut self) {
        let is_control = |id: usize| self.kinds[id] == Kind::Control;
        let has = |wanted: &str| self.texts.iter().enumerate().any(|(id, text)| &**text == wanted && is_control(id));
        // Where messages end with `<|end|>` but turns with `<|return|>` or `<|call|>`, the former ends nothing.
        let keeps_end = !(has("<|return|>") && has("<|call|>"));
        let named = self.texts.iter().enumerate().filter(|(id, text)| {
            let ends = END_TEXTS.contains(&&***text) && (keeps_end || &***text != "<|end|>");
            is_control(*id) && (ends || FILE_END_TEXTS.contains(&&***text))
        });
        let mut found: Vec<Token> = named.map(|(id, _)| id as Token).collect();
        self.end_tokens.append(&mut found);
        self.end_tokens.sort_unstable();
        self.end_tokens.dedup();
    }

    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    /// The kind; an id outside the vocabulary (padding of the model's head) is unused.
    pub(super) fn kind(&self, token: Token) -> Kind {
        self.kinds.get(token as usize).copied().unwrap_or(Kind::Unused)
    }

    pub(super) fn bytes(&self, token: Token) -> &[u8] {
        let Some(&end) = self.ends.get(token as usize) else { return &[] };
        let start = (token as usize).checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..end]
    }

    pub(super) fn end_tokens(&self) -> &[Token] {
        &self.end_tokens
    }

    pub(super) fn bos(&self) -> Option<Token> {
        self.bos
    }

    pub(super) fn eos(&self) -> Option<Token> {
        self.eos
    }

    pub(super) fn unknown(&self) -> Option<Token> {
        self.unknown
    }

    /// Every token with its text and kind, by id.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Token, &str, Kind)> {
        self.texts.iter().zip(&self.kinds).enumerate().map(|(id, (text, kind))| (id as Token, &**text, *kind))
    }

    /// Text to id over the kinds wanted; the first of two equal texts wins.
    pub(super) fn ids(&self, wanted: impl Fn(Kind) -> bool) -> HashMap<&str, Token> {
        let mut ids = HashMap::with_capacity(self.len());
        for (id, text, kind) in self.iter() {
            if wanted(kind) {
                ids.entry(text).or_insert(id);
            }
        }
        ids
    }

    /// A finder of the tokens of these kinds in text.
    pub(super) fn finder(&self, wanted: impl Fn(Kind) -> bool) -> Result<Finder, Error> {
        let found: Vec<(Token, &str)> =
            self.iter().filter(|(_, text, kind)| wanted(*kind) && !text.is_empty()).map(|(id, t, _)| (id, t)).collect();
        let automaton = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(found.iter().map(|f| f.1));
        let automaton = automaton.map_err(|error| Error::SpecialTokens(error.to_string()))?;
        Ok(Finder { automaton, tokens: found.into_iter().map(|f| f.0).collect() })
    }
}

/// Finds whole tokens in text: the leftmost first, of several there the longest.
#[derive(Debug)]
pub(super) struct Finder {
    automaton: AhoCorasick,
    tokens: Vec<Token>,
}

impl Finder {
    /// The tokens found and the bytes they cover, from left to right.
    pub(super) fn find<'a>(&'a self, text: &'a str) -> impl Iterator<Item = (Token, std::ops::Range<usize>)> + 'a {
        self.automaton.find_iter(text).map(|found| (self.tokens[found.pattern()], found.range()))
    }
}

fn kinds(metadata: &Metadata, texts: &[Box<str>]) -> Result<Vec<Kind>, Error> {
    let Some(numbers) = metadata.find_i32s("tokenizer.ggml.token_type")? else {
        return Ok(vec![Kind::Normal; texts.len()]);
    };
    if numbers.len() != texts.len() {
        return Err(Error::Length { key: "tokenizer.ggml.token_type", expected: texts.len(), found: numbers.len() });
    }
    let kinds = numbers.into_iter().zip(texts).map(|(number, text)| match Kind::from_gguf(number) {
        // Some converters leave the markers of turns user-defined; in user text they would then be live.
        Kind::UserDefined if END_TEXTS.contains(&&**text) => Kind::Control,
        kind => kind,
    });
    Ok(kinds.collect())
}

/// The token that the file gives a role, if it does; an id past the vocabulary is an error.
fn role(metadata: &Metadata, name: &str, n_vocab: usize) -> Result<Option<Token>, Error> {
    let key = format!("tokenizer.ggml.{name}_token_id");
    match metadata.find_u32(&key)? {
        Some(id) if id as usize >= n_vocab => Err(Error::TokenRange { key, id, n_vocab }),
        found => Ok(found),
    }
}

/// Appends what a token stands for.
fn push_bytes(text: &str, kind: Kind, spelling: Spelling, bytes: &mut Vec<u8>) {
    match (kind, spelling) {
        (Kind::Byte, _) => bytes.extend(spelled_byte(text)),
        (Kind::Normal, Spelling::Pieces) => {
            bytes.extend_from_slice(text.replace(SPACE_MARK, " ").as_bytes());
        }
        (Kind::Normal, Spelling::ByteLevel) => {
            let start = bytes.len();
            for character in text.chars() {
                let Some(byte) = byte_of(character) else {
                    // Not in the alphabet, so the text was never spelled byte by byte.
                    bytes.truncate(start);
                    bytes.extend_from_slice(text.as_bytes());
                    return;
                };
                bytes.push(byte);
            }
        }
        _ => bytes.extend_from_slice(text.as_bytes()),
    }
}

/// The byte that `<0xAB>` spells.
pub(super) fn spelled_byte(text: &str) -> Option<u8> {
    let digits = text.strip_prefix("<0x")?.strip_suffix('>')?;
    if digits.len() == 2 { u8::from_str_radix(digits, 16).ok() } else { None }
}

/// The printable character that stands for each byte in GPT-2's alphabet: itself where it is printable in Latin-1,
/// else the next free one from U+0100.
pub(super) fn byte_alphabet() -> [char; 256] {
    let mut next = 0x100;
    std::array::from_fn(|byte| {
        let itself = byte as u8 as char;
        if matches!(itself, '!'..='~' | '¡'..='¬' | '®'..='ÿ') {
            return itself;
        }
        next += 1;
        char::from_u32(next - 1).expect("the 68 characters from U+0100 are assigned")
    })
}

fn byte_of(character: char) -> Option<u8> {
    match character as u32 {
        0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff => Some(character as u8),
        code @ 0x100..=0x120 => Some((code - 0x100) as u8),
        code @ 0x121..=0x142 => Some((code - 0x121 + 0x7f) as u8),
        0x143 => Some(0xad),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alphabet_and_its_inverse_agree_on_every_byte() {
        for (byte, character) in byte_alphabet().into_iter().enumerate() {
            assert_eq!(byte_of(character), Some(byte as u8), "{character:?}");
        }
        assert_eq!(byte_of('\u{144}'), None);
        assert_eq!(byte_of(' '), None);
    }
}
