//! Grammars: JSON Schema, Lark and regular expressions, compiled to masks over the vocabulary by llguidance.
//!
//! The trie over the vocabulary is built on first use, once per tokenizer; a compiled grammar is kept and shared by
//! all its users, so the second sequence starts with the lexer states that the first one has built.
//!
//! Invariants: whatever the text of a grammar, compiling and following it ends in bounded time and memory; a mask
//! allows at least one token; a token of the padding is never allowed; JSON comes without optional white space.
//! Must not know: sequences, batches, the model.
//! Source of the forced-token rule (healing): llguidance, docs/fast_forward.md.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use llguidance::api::{ParserLimits, TopLevelGrammar};
use llguidance::{Matcher, ParserFactory};
use toktrie::{TokEnv, TokRxInfo, TokTrie, TokenizerEnv};

use super::{Error, Mask, schema};
use crate::tokenizer::Tokenizer;
use crate::types::{Grammar, Token};

/// Compiled grammars that are kept; the oldest goes first.
const MAX_KEPT: usize = 64;
/// Bytes of a grammar's text.
const MAX_TEXT_BYTES: usize = 1 << 20;
/// Levels of arrays and objects in a schema. The compiler recurses over them on the caller's stack.
const MAX_SCHEMA_DEPTH: usize = 100;

/// Turns text into token ids the way the model was trained on; control tokens are never produced.
pub(super) type Encode = Box<dyn Fn(&str) -> Vec<Token> + Send + Sync>;

/// What a grammar needs to know about a tokenizer.
pub(super) struct Vocabulary {
    /// The bytes of every token; control tokens start with [`TokTrie::SPECIAL_TOKEN_MARKER`].
    pub words: Vec<Vec<u8>>,
    /// The tokens that end a sequence.
    pub ends: Vec<Token>,
    /// Text to tokens.
    pub encode: Encode,
}

impl Vocabulary {
    fn of_tokenizer(tokenizer: Tokenizer) -> Self {
        let word = |token| {
            let bytes = tokenizer.token_bytes(token);
            // An end token is never text, whatever kind the file gives it.
            let is_text = bytes.is_empty() || !(tokenizer.is_control(token) || tokenizer.is_end(token));
            if is_text { bytes.to_vec() } else { [&[TokTrie::SPECIAL_TOKEN_MARKER], bytes].concat() }
        };
        Self {
            words: (0..tokenizer.n_vocab() as Token).map(word).collect(),
            ends: tokenizer.end_tokens().to_vec(),
            encode: Box::new(move |text| tokenizer.encode_inside(text)),
        }
    }
}

/// Compiles grammars for one tokenizer.
pub struct Grammars {
    vocabulary: Mutex<Option<Box<dyn FnOnce() -> Vocabulary + Send>>>,
    n_vocab: usize,
    factory: OnceLock<Result<ParserFactory, Error>>,
    kept: Mutex<Kept>,
    has_own_states: bool,
}

#[derive(Default)]
struct Kept {
    compiled: HashMap<String, Compiled>,
    n_compiled: u64,
}

struct Compiled {
    matcher: Matcher,
    spoiled: Arc<AtomicBool>,
    age: u64,
}

impl Grammars {
    /// For texts of `tokenizer`. Cheap: the trie waits for the first grammar.
    pub fn new(tokenizer: &Tokenizer) -> Self {
        let tokenizer = tokenizer.clone();
        Self::of_vocabulary(tokenizer.n_vocab(), move || Vocabulary::of_tokenizer(tokenizer))
    }

    pub(super) fn of_vocabulary(n_vocab: usize, build: impl FnOnce() -> Vocabulary + Send + 'static) -> Self {
        Self {
            vocabulary: Mutex::new(Some(Box::new(build))),
            n_vocab,
            factory: OnceLock::new(),
            kept: Mutex::default(),
            has_own_states: false,
        }
    }

    /// Whether every sequence builds lexer states of its own. Shared ones are built once, but count against the limits
    /// of all who share them: whether a costly grammar can be followed then depends on who followed it before.
    pub fn with_own_states(self, has_own_states: bool) -> Self {
        Self { has_own_states, ..self }
    }

    /// A grammar in its first state, ready for one sequence.
    ///
    /// # Errors
    /// [`Error::Compile`] with the compiler's words, [`Error::TooLarge`], or [`Error::Vocabulary`] if the tokenizer
    /// cannot carry grammars at all.
    pub fn compile(&self, grammar: &Grammar) -> Result<Constraint, Error> {
        let (kind, text) = match grammar {
            Grammar::JsonSchema(json) => ("JSON schema", json.to_string()),
            Grammar::Lark(text) => ("Lark grammar", text.clone()),
            Grammar::Regex(text) => ("regular expression", text.clone()),
        };
        let key = format!("{kind}\n{text}");
        if let Some((matcher, spoiled)) = self.find(&key) {
            return Ok(self.begin(matcher, spoiled));
        }
        check_size(kind, "its length in bytes", text.len(), MAX_TEXT_BYTES)?;
        let source = match grammar {
            Grammar::JsonSchema(json) => {
                check_size(kind, "its nesting", schema::depth(json), MAX_SCHEMA_DEPTH)?;
                TopLevelGrammar::from_json_schema(schema::prepare(json))
            }
            Grammar::Lark(_) => TopLevelGrammar::from_lark(text),
            Grammar::Regex(_) => TopLevelGrammar::from_regex(&text),
        };
        let factory = self.factory.get_or_init(|| self.build_factory()).as_ref().map_err(Clone::clone)?;
        let matcher = Matcher::new(factory.create_parser(source));
        if let Some(why) = matcher.get_error() {
            return Err(Error::Compile { kind, why: plain(&why) });
        }
        let spoiled = self.keep(key, matcher.clone());
        Ok(self.begin(matcher, spoiled))
    }

    /// A constraint that starts where the kept `matcher` stands.
    fn begin(&self, matcher: Matcher, spoiled: Arc<AtomicBool>) -> Constraint {
        let matcher = if self.has_own_states { matcher.deep_clone() } else { matcher };
        Constraint { matcher, spoiled, n_vocab: self.n_vocab, n_tokens: 0 }
    }

    fn build_factory(&self) -> Result<ParserFactory, Error> {
        let fail = |why: String| Error::Vocabulary { n_vocab: self.n_vocab, why };
        let taken = self.vocabulary.lock().unwrap_or_else(PoisonError::into_inner).take();
        let vocabulary = taken.ok_or_else(|| fail("building its trie was interrupted".into()))?();
        let Some(&end) = vocabulary.ends.first() else {
            return Err(fail("it has no end token".into()));
        };
        let info = TokRxInfo::new(self.n_vocab as u32, end);
        let trie = TokTrie::from(&info, &vocabulary.words).with_eos_tokens(&vocabulary.ends);
        let environment: TokEnv = Arc::new(Environment { trie, encode: vocabulary.encode });
        let mut factory = ParserFactory::new_simple(&environment).map_err(|why| fail(plain(&why.to_string())))?;
        factory.set_stderr_log_level(0);
        *factory.limits_mut() = limits();
        Ok(factory)
    }

    #[cfg(test)]
    pub(super) fn n_kept(&self) -> usize {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).compiled.len()
    }

    fn find(&self, key: &str) -> Option<(Matcher, Arc<AtomicBool>)> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.compiled.get(key)?.spoiled.load(Ordering::Relaxed) {
            kept.compiled.remove(key);
            return None;
        }
        kept.compiled.get(key).map(|found| (found.matcher.clone(), found.spoiled.clone()))
    }

    fn keep(&self, key: String, matcher: Matcher) -> Arc<AtomicBool> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.compiled.len() >= MAX_KEPT {
            let oldest = kept.compiled.iter().min_by_key(|(_, compiled)| compiled.age).map(|(key, _)| key.clone());
            oldest.map(|key| kept.compiled.remove(&key));
        }
        kept.n_compiled += 1;
        let spoiled = Arc::new(AtomicBool::new(false));
        let age = kept.n_compiled;
        kept.compiled.insert(key, Compiled { matcher, spoiled: spoiled.clone(), age });
        spoiled
    }
}

/// Where one sequence stands in its grammar.
pub struct Constraint {
    matcher: Matcher,
    /// Tells the compiler's cache that the lexer states shared with this constraint ran into a limit.
    spoiled: Arc<AtomicBool>,
    n_vocab: usize,
    n_tokens: usize,
}

impl Constraint {
    /// The tokens that may come next; the end tokens once the grammar is complete.
    ///
    /// # Errors
    /// [`Error::Constraint`] if the grammar can go neither on nor end, or is too costly to follow.
    pub fn mask(&mut self) -> Result<Mask, Error> {
        let set = self.matcher.compute_mask_or_eos();
        let set = set.map_err(|why| self.fail(&why.to_string()))?;
        Ok(Mask::from_words(set.into(), self.n_vocab))
    }

    /// Moves on by a token that [`Constraint::mask`] allows.
    ///
    /// # Errors
    /// [`Error::Constraint`] if the token is not allowed.
    pub fn accept(&mut self, token: Token) -> Result<(), Error> {
        self.matcher.consume_token(token).map_err(|why| self.fail(&why.to_string()))?;
        self.n_tokens += 1;
        Ok(())
    }

    /// The tokens that must come next whatever the model says, already accepted; often none.
    ///
    /// They are the tokens that the tokenizer itself would use for the forced bytes. A last token that could also
    /// be the beginning of a longer one is left to the model.
    ///
    /// # Errors
    /// [`Error::Constraint`] if the grammar is too costly to follow.
    pub fn forced(&mut self) -> Result<Vec<Token>, Error> {
        if self.is_stopped() {
            return Ok(Vec::new());
        }
        let tokens = self.matcher.consume_ff_tokens();
        match self.matcher.get_error() {
            Some(why) => Err(self.fail(&why)),
            None => {
                self.n_tokens += tokens.len();
                Ok(tokens)
            }
        }
    }

    /// Whether the text so far is a complete sentence of the grammar.
    pub fn is_complete(&mut self) -> bool {
        self.matcher.stop_reason().is_ok()
            && (self.matcher.is_stopped() || self.matcher.is_accepting().unwrap_or(false))
    }

    /// Whether nothing but an end token can follow.
    pub fn is_stopped(&self) -> bool {
        self.matcher.is_stopped()
    }

    fn fail(&self, why: &str) -> Error {
        self.spoiled.store(true, Ordering::Relaxed);
        Error::Constraint { n_tokens: self.n_tokens, why: plain(why) }
    }
}

/// The tokenizer as llguidance sees it.
struct Environment {
    trie: TokTrie,
    encode: Encode,
}

impl TokenizerEnv for Environment {
    fn tok_trie(&self) -> &TokTrie {
        &self.trie
    }

    fn tokenize_bytes(&self, bytes: &[u8]) -> Vec<Token> {
        self.trie.tokenize_with_greedy_fallback(bytes, |text| {
            let tokens = (self.encode)(text);
            // A tokenizer that normalizes its input (a space put in front, say) must not change what is forced.
            if self.trie.decode_raw(&tokens) == text.as_bytes() {
                tokens
            } else {
                self.trie.greedy_tokenize(text.as_bytes())
            }
        })
    }
}

/// What a grammar may cost. Measured on two cores: the worst compile that stays within them takes about a second
/// and a hundred megabytes.
fn limits() -> ParserLimits {
    ParserLimits {
        max_lexer_states: 50_000,
        max_grammar_size: 300_000,
        verbose_errors: false,
        ..ParserLimits::default()
    }
}

fn check_size(kind: &'static str, what: &'static str, found: usize, limit: usize) -> Result<(), Error> {
    if found > limit { Err(Error::TooLarge { kind, what, found, limit }) } else { Ok(()) }
}

/// A message of the compiler without the dumps it appends, as one line of bounded length.
fn plain(why: &str) -> String {
    const MAX_CHARS: usize = 300;
    let end = ["<non-verbose/>", "<state>", "<backtrace>"].iter().filter_map(|mark| why.find(mark)).min();
    let text = why[..end.unwrap_or(why.len())].split_whitespace().collect::<Vec<_>>().join(" ");
    match (text.as_str(), text.char_indices().nth(MAX_CHARS)) {
        ("NoExtensionBias" | "NoExtension", _) => "no token can follow".into(),
        (_, Some((cut, _))) => format!("{} …", &text[..cut]),
        _ => text,
    }
}
