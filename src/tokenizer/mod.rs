//! Text to token ids and back, and chat templates, all from what a model file says about itself.
//!
//! - `vocabulary`: the tokens, their kinds and bytes.
//! - `split`, `bpe`: byte-level byte-pair encoding (Llama 3, Qwen, SmolLM, GPT kinds).
//! - `pieces`: SentencePiece (Llama 2, Mistral 7B, Gemma).
//! - `detokenizer`: a stream of tokens to text.
//! - `template`, `python`, `guard`: a conversation to a prompt, and to tokens that no message can forge.
//!
//! Invariants: an unknown tokenizer or pre-tokenizer is an error, never a guess; text encoded with
//! [`Special::AsText`] never yields a control token.
//! Must not know: models, caches, requests.

mod bpe;
mod detokenizer;
mod guard;
mod pieces;
mod python;
mod split;
mod template;
#[cfg(test)]
mod tests;
mod vocabulary;

use std::sync::Arc;

pub use detokenizer::Detokenizer;
pub use template::ChatTemplate;

use crate::gguf::{self, Metadata};
use crate::types::Token;
use bpe::ByteLevel;
use guard::is_guarded;
use pieces::Pieces;
use vocabulary::{Finder, Kind, Spelling, Vocabulary};

/// Why a tokenizer could not be built from a model file, or a conversation not be written as a prompt.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file's metadata is not as it should be.
    #[error("reading the tokenizer")]
    Gguf(#[from] gguf::Error),
    /// `tokenizer.ggml.model` names a kind that is not built in.
    #[error("tokenizer.ggml.model is `{0}`; supported are gpt2 (byte-level BPE) and llama (SentencePiece)")]
    UnknownModel(String),
    /// `tokenizer.ggml.pre` names a split that is not built in.
    #[error("tokenizer.ggml.pre is `{found}`; supported are {supported}")]
    UnknownPre {
        /// The name in the file, empty if there is none.
        found: String,
        /// The names that would do.
        supported: String,
    },
    /// The vocabulary is empty.
    #[error("tokenizer.ggml.tokens is empty")]
    NoTokens,
    /// Two arrays that describe the same tokens differ in length.
    #[error("{key} has {found} entries, expected {expected}, one per token")]
    Length {
        /// The array.
        key: &'static str,
        /// Tokens in the vocabulary.
        expected: usize,
        /// Entries found.
        found: usize,
    },
    /// A special token's id is outside the vocabulary.
    #[error("{key} is {id}, but the vocabulary has {n_vocab} tokens")]
    TokenRange {
        /// The key.
        key: String,
        /// The id it gives.
        id: u32,
        /// Tokens in the vocabulary.
        n_vocab: usize,
    },
    /// A merge makes a text that is no token.
    #[error("merge `{line}` joins or makes a text that is not in the vocabulary (`{merged}`)")]
    Merge {
        /// The merge as stored.
        line: String,
        /// The text it makes.
        merged: String,
    },
    /// The merges cannot be used.
    #[error("tokenizer.ggml.merges: {0}")]
    Merges(String),
    /// The special tokens cannot be searched for.
    #[error("special tokens: {0}")]
    SpecialTokens(String),
    /// The file has no chat template, and its vocabulary does not suggest one.
    #[error(
        "the model file has no tokenizer.chat_template, and its vocabulary has no ChatML markers: give the prompt as plain text"
    )]
    NoTemplate,
    /// The chat template is not valid, refused the conversation or did not end.
    #[error("chat template: {0}")]
    Template(String),
}

impl Error {
    fn template(error: minijinja::Error) -> Self {
        let place = error.line().map(|line| format!(" (line {line} of the template)")).unwrap_or_default();
        let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
        Self::Template(detail + &place)
    }
}

/// What becomes of the text of a control token, such as `<|im_end|>`, where it occurs in text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Special {
    /// It is text like any other: for what a person, a file or a tool says.
    AsText,
    /// It is the token: for text of our own, such as a rendered template.
    Parse,
}

/// The tokenizer of one model. Cheap to clone.
#[derive(Clone)]
pub struct Tokenizer(Arc<Inner>);

struct Inner {
    vocabulary: Vocabulary,
    algorithm: Algorithm,
    /// Tokens that are matched whole in any text.
    user_defined: Finder,
    /// Those, and the tokens that are matched only under [`Special::Parse`].
    special: Finder,
    add_bos: bool,
    add_eos: bool,
}

enum Algorithm {
    ByteLevel(Box<ByteLevel>),
    Pieces(Box<Pieces>),
}

impl Tokenizer {
    /// Builds the tokenizer that a model file describes.
    ///
    /// # Errors
    /// A key that is missing, of the wrong type or inconsistent, and every kind of tokenizer that is not built in.
    pub fn from_gguf(metadata: &Metadata) -> Result<Self, Error> {
        let model = metadata.get_str("tokenizer.ggml.model")?;
        let (vocabulary, algorithm, add_bos) = match model {
            "gpt2" => {
                let vocabulary = Vocabulary::from_gguf(metadata, Spelling::ByteLevel)?;
                let encoder = ByteLevel::from_gguf(metadata, &vocabulary)?;
                let add_bos = encoder.add_bos();
                (vocabulary, Algorithm::ByteLevel(Box::new(encoder)), add_bos)
            }
            "llama" => {
                let vocabulary = Vocabulary::from_gguf(metadata, Spelling::Pieces)?;
                let encoder = Pieces::from_gguf(metadata, &vocabulary)?;
                (vocabulary, Algorithm::Pieces(Box::new(encoder)), true)
            }
            other => return Err(Error::UnknownModel(other.to_owned())),
        };
        let add_bos = metadata.find_bool("tokenizer.ggml.add_bos_token")?.unwrap_or(add_bos);
        let add_eos = metadata.find_bool("tokenizer.ggml.add_eos_token")?.unwrap_or(false);
        Ok(Self(Arc::new(Inner {
            user_defined: vocabulary.finder(|kind| kind == Kind::UserDefined)?,
            special: vocabulary.finder(|kind| matches!(kind, Kind::UserDefined | Kind::Control | Kind::Unknown))?,
            add_bos: add_bos && vocabulary.bos().is_some(),
            add_eos: add_eos && vocabulary.eos().is_some(),
            vocabulary,
            algorithm,
        })))
    }

    /// The tokens of `text`, without BOS or EOS around them.
    ///
    /// User-defined tokens (`<tool_call>`, runs of spaces) are matched either way, as the models were trained;
    /// control tokens only under [`Special::Parse`].
    pub fn encode(&self, text: &str, special: Special) -> Vec<Token> {
        self.encode_marked(text, special, None, true)
    }

    /// As [`Self::encode`] with [`Special::AsText`], for text that continues other text: SentencePiece puts no space
    /// before it.
    pub fn encode_inside(&self, text: &str) -> Vec<Token> {
        self.encode_marked(text, Special::AsText, None, false)
    }

    /// As [`Self::encode`], but a control token right after `marker` is text, and the markers are dropped.
    fn encode_marked(&self, text: &str, special: Special, marker: Option<char>, is_start: bool) -> Vec<Token> {
        let finder = match special {
            Special::AsText => &self.0.user_defined,
            Special::Parse => &self.0.special,
        };
        let is_marked = |token: Token, at: usize| {
            marker.is_some_and(|marker| text[..at].ends_with(marker) && is_guarded(self.0.vocabulary.kind(token)))
        };
        let mut tokens = Vec::with_capacity(text.len() / 3);
        let (mut at, mut is_start) = (0, is_start);
        for (token, range) in finder.find(text).filter(|(token, range)| !is_marked(*token, range.start)) {
            self.encode_plain(&text[at..range.start], is_start, marker, &mut tokens);
            tokens.push(token);
            (at, is_start) = (range.end, true);
        }
        self.encode_plain(&text[at..], is_start, marker, &mut tokens);
        tokens
    }

    fn encode_plain(&self, text: &str, is_start: bool, marker: Option<char>, tokens: &mut Vec<Token>) {
        let text = match marker {
            Some(marker) if text.contains(marker) => &text.replace(marker, ""),
            _ => text,
        };
        match &self.0.algorithm {
            _ if text.is_empty() => {}
            Algorithm::ByteLevel(encoder) => encoder.encode(text, tokens),
            Algorithm::Pieces(encoder) => encoder.encode(text, is_start, tokens),
        }
    }

    /// The text of `tokens`: control tokens left out, invalid bytes replaced by U+FFFD.
    pub fn decode(&self, tokens: &[Token]) -> String {
        let mut detokenizer = Detokenizer::new(self);
        let mut text: String = tokens.iter().map(|token| detokenizer.push(*token)).collect();
        text.push_str(&detokenizer.finish());
        text
    }

    /// What a token stands for: for a control token its name, for an id past the vocabulary nothing.
    pub fn token_bytes(&self, token: Token) -> &[u8] {
        self.0.vocabulary.bytes(token)
    }

    /// Whether a token is no text: control, unknown, unused or past the vocabulary.
    pub fn is_control(&self, token: Token) -> bool {
        matches!(self.0.vocabulary.kind(token), Kind::Control | Kind::Unknown | Kind::Unused)
    }

    /// Whether a model that emits this token has ended its turn.
    pub fn is_end(&self, token: Token) -> bool {
        self.end_tokens().binary_search(&token).is_ok()
    }

    /// The tokens that end a turn, ascending.
    pub fn end_tokens(&self) -> &[Token] {
        self.0.vocabulary.end_tokens()
    }

    /// The special token with exactly this text.
    pub fn find_special(&self, text: &str) -> Option<Token> {
        self.0.special.find(text).find(|(_, range)| range.len() == text.len()).map(|(token, _)| token)
    }

    /// Tokens in the vocabulary; a model's head may have more rows.
    pub fn n_vocab(&self) -> usize {
        self.0.vocabulary.len()
    }

    /// The token that starts a document.
    pub fn bos(&self) -> Option<Token> {
        self.0.vocabulary.bos()
    }

    /// The token that ends a document.
    pub fn eos(&self) -> Option<Token> {
        self.0.vocabulary.eos()
    }

    /// Whether the model expects BOS before everything; false if it has none.
    pub fn add_bos(&self) -> bool {
        self.0.add_bos
    }

    /// Whether the model expects EOS after a document; false if it has none.
    pub fn add_eos(&self) -> bool {
        self.0.add_eos
    }

    /// Whether `encode` starts text with a space that `decode` takes away.
    fn has_space_prefix(&self) -> bool {
        matches!(&self.0.algorithm, Algorithm::Pieces(encoder) if encoder.space_prefix)
    }
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer").field("n_vocab", &self.n_vocab()).finish_non_exhaustive()
    }
}
