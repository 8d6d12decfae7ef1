//! Runs a model for many sequences at once: `admit → schedule → forward → sample → commit → send`, on one thread.
//!
//! 1. [`Engine::submit`] checks a request and compiles its grammar on the caller's thread, and queues it.
//! 2. The engine's thread ([`worker`]) admits it: keys and values of a known prefix are shared, not computed. A
//!    sequence whose prefix another one is computing right now waits for that one.
//! 3. Every pass runs what `schedule` picks: all decoding sequences, and prompts in chunks.
//!    Meanwhile the grammars say what may be drawn after it ([`lookahead`]); where that is little, only its logits are
//!    computed.
//! 4. Sequences whose tokens are all computed draw the next one; tokens that a grammar forces join the next pass as
//!    a chunk.
//! 5. Each token goes out as a [`Delta`]; dropping the [`TokenStream`] ends the sequence and frees its blocks.
//!
//! Invariants: a stream always ends with [`Delta::Done`] or [`Delta::Failed`], also if the engine's thread panics;
//! when nothing runs, every block is free or held by the prefix tree alone; what a sequence says does not depend on
//! what else runs, unless [`KvRest::Q8_0`] or [`EngineOptions::tiles`] is asked for.
//! Must not know: goals, plans, HTTP, terminals.

mod history;
mod load;
mod lookahead;
mod pin;
mod sequence;
mod stats;
mod stop;
mod stream;
#[cfg(test)]
mod tests;
mod worker;

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, OnceLock};

pub use load::{Progress, load};
pub use pin::Pin;
pub use stats::Stats;
pub use stream::{Completion, Delta, TokenStream};

pub use crate::cache::KvRest;
use crate::cache::{Clerk, Keep};
use crate::model::{self, Kept, Model};
use crate::sample::{self, Grammars, Sampler};
use crate::tokenizer::{self, ChatTemplate, Tokenizer};
use crate::types::{BLOCK_TOKENS, Grammar, Precision, RunId, Sampling, SequenceId, StepId, TileUse, Token};
use crate::{cache, gguf};
use sequence::Sequence;
use worker::{Command, Submission, Worker};

/// Why a request cannot be served.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// There is nothing to continue.
    #[error("the prompt is empty")]
    EmptyPrompt,
    /// The prompt does not fit into the context.
    #[error("the prompt has {n_tokens} tokens, but the context holds {n_ctx}")]
    PromptTooLong {
        /// Tokens of the prompt.
        n_tokens: usize,
        /// Tokens of the context.
        n_ctx: usize,
    },
    /// A prompt token does not exist.
    #[error("prompt token {token} at position {position} is not in the vocabulary of {n_vocab} tokens")]
    Token {
        /// The token.
        token: Token,
        /// Where it stands.
        position: usize,
        /// Size of the vocabulary.
        n_vocab: usize,
    },
    /// An option of the request or of the engine is outside its range.
    #[error("{option} is {found}, expected {expected}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// What it may be.
        expected: &'static str,
        /// What it was.
        found: usize,
    },
    /// An option that changes what is said was given together with [`EngineOptions::deterministic`].
    #[error("deterministic does not go with {0}, which may change what is said; leave one of them out")]
    Inexact(&'static str),
    /// The sequence to fork is not running, and too long ago to be remembered.
    #[error("sequence {0} cannot be forked: it is not running and not remembered")]
    UnknownParent(u64),
    /// Sampling options or grammar.
    #[error(transparent)]
    Sample(#[from] sample::Error),
    /// One sequence needs more KV memory than there is.
    #[error(
        "a sequence of {n_tokens} tokens needs {} blocks of KV memory, but there are {n_blocks}; \
         raise the KV budget or shorten the prompt", .n_tokens.div_ceil(BLOCK_TOKENS)
    )]
    OutOfMemory {
        /// Tokens it had when memory ran out.
        n_tokens: usize,
        /// All blocks of the pool.
        n_blocks: usize,
    },
    /// The KV memory cannot be had.
    #[error("KV memory")]
    Cache(#[source] Arc<cache::Error>),
    /// The model refused a batch or cannot be loaded.
    #[error("model")]
    Model(#[source] Arc<model::Error>),
    /// The model file cannot be read.
    #[error("model file")]
    Gguf(#[source] Arc<gguf::Error>),
    /// The tokenizer or the chat template cannot be built.
    #[error("tokenizer")]
    Tokenizer(#[source] Arc<tokenizer::Error>),
    /// The engine's thread is gone.
    #[error("the engine has stopped: {0}")]
    Stopped(String),
}

/// How an engine uses its machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineOptions {
    /// Bytes of KV memory; `None` takes a quarter of what the machine has available. Never more than
    /// `max_running` sequences of full context can use.
    pub kv_bytes: Option<u64>,
    /// Tokens of one forward pass. More prefill faster, and make decoding sequences wait longer.
    pub max_batch_tokens: usize,
    /// Sequences that run at once; the others wait.
    pub max_running: usize,
    /// Lowers the context from what the model was trained for.
    pub n_ctx: Option<usize>,
    /// How finely activations are rounded.
    pub precision: Precision,
    /// The data folder whose `packed` holds a model's packed weights where nothing can be written beside the model; `None`
    /// neither reads nor writes them in either place.
    pub packed_home: Option<PathBuf>,
    /// Whether passes of many tokens take tiles of bfloat16, where the CPU has them: several times as fast, and closer
    /// to exact arithmetic, but rounded other than passes of few tokens. Then the batch decides between tokens that are
    /// almost equally likely: a token may be another one with other company, another chunking of the prompt, or other
    /// guesses beside it. Each is still drawn from the model's distribution after the very tokens before it.
    pub tiles: TileUse,
    /// Where prefixes are kept for later processes; see [`Request::n_keep`].
    pub kv_folder: Option<PathBuf>,
    /// Bytes that they may take there, those of other models included.
    pub kv_folder_bytes: u64,
    /// What becomes of keys and values that have to make room. Packing them changes what is said after them.
    pub kv_rest: KvRest,
    /// What a sequence says must depend on its request alone, never on what else runs or ran: whatever would break
    /// this is refused, and grammars share no state.
    pub deterministic: bool,
    /// What the engine does to save work.
    pub features: Features,
}

/// What an engine does to save work; all of it, unless a measurement wants to see what a part brings. None of it
/// changes what a sequence says, unless [`EngineOptions::tiles`] lets the size of a pass do so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// A sequence takes over the keys and values of a prefix that is known.
    pub reuse: bool,
    /// A sequence waits for another one that is just computing a prefix that both have.
    pub join: bool,
    /// Tokens that are easily guessed are checked instead of drawn one by one.
    pub draft: bool,
    /// What a grammar allows is found beside the forward pass, and only the logits of that are computed where it is
    /// little.
    pub mask_ahead: bool,
}

impl Default for Features {
    fn default() -> Self {
        Self { reuse: true, join: true, draft: true, mask_ahead: true }
    }
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            kv_bytes: None,
            max_batch_tokens: 256,
            max_running: 64,
            n_ctx: None,
            precision: Precision::default(),
            tiles: TileUse::Never,
            features: Features::default(),
            packed_home: None,
            kv_folder: None,
            kv_folder_bytes: 2 << 30,
            kv_rest: KvRest::default(),
            deterministic: false,
        }
    }
}

impl EngineOptions {
    /// Refuses what an option may not be, and what does not go together.
    fn check(&self) -> Result<(), Error> {
        for (option, found) in [("max_batch_tokens", self.max_batch_tokens), ("max_running", self.max_running)] {
            if found == 0 {
                return Err(Error::Option { option, expected: "1 or more", found });
            }
        }
        // Everything else that an engine can do gives a sequence the same tokens in every batch.
        if self.deterministic && self.kv_rest != KvRest::F16 {
            return Err(Error::Inexact("packed keys and values (kv-rest q8_0)"));
        }
        if self.deterministic && self.tiles != TileUse::Never {
            return Err(Error::Inexact("products on tiles"));
        }
        Ok(())
    }
}

/// What to continue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prompt {
    /// These tokens.
    Tokens(Vec<Token>),
    /// Everything that a sequence of this engine has, prompt and generated so far (without its end token), and then
    /// these tokens. Nothing that is still in the cache is computed again.
    Fork {
        /// The sequence to fork.
        parent: SequenceId,
        /// What follows; at least one token.
        tokens: Vec<Token>,
    },
}

/// What a request is for. Requests of one run are one program to the scheduler.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tag {
    /// The role that speaks, such as `planner`.
    pub role: &'static str,
    /// The step it works on.
    pub step: Option<StepId>,
    /// The run it belongs to.
    pub run: Option<RunId>,
}

/// One sequence to generate.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// What to continue.
    pub prompt: Prompt,
    /// How to draw.
    pub sampling: Sampling,
    /// What the text must conform to.
    pub grammar: Option<Grammar>,
    /// Texts that end the generation and are cut off.
    pub stop: Vec<String>,
    /// The most tokens to generate, forced ones included; 0 computes the prompt only, for those who come later.
    pub max_tokens: usize,
    /// Tokens that the work which waits for this one will take: the rest of its plan's critical path. More goes first.
    pub urgency: u64,
    /// Never draw an end token, so that a measurement gets the length it asks for. Without a grammar only.
    pub ignore_end: bool,
    /// How many leading tokens of the prompt (a forked one included) later processes will want again, such as standing
    /// instructions: their keys and values go to [`EngineOptions::kv_folder`]. What is there already is used whether
    /// or not a request says this.
    pub n_keep: usize,
    /// What it is for.
    pub tag: Tag,
}

impl Request {
    /// Greedy, without a grammar or stop strings.
    pub fn new(prompt: Prompt, max_tokens: usize) -> Self {
        Self {
            prompt,
            sampling: Sampling::default(),
            grammar: None,
            stop: Vec::new(),
            max_tokens,
            urgency: 0,
            ignore_end: false,
            n_keep: 0,
            tag: Tag::default(),
        }
    }
}

/// A handle to a running engine. Clones share it; when the last one is gone, the engine finishes the sequences that
/// somebody still reads, and ends.
#[derive(Clone)]
pub struct Engine(Arc<Handle>);

struct Handle {
    commands: Sender<Command>,
    shared: Arc<Shared>,
    grammars: Grammars,
    tokenizer: Tokenizer,
    template: Option<ChatTemplate>,
    n_ctx: usize,
    kept: Kept,
    next_id: AtomicU64,
    next_pin: AtomicU64,
    clerk: Option<Clerk>,
}

impl Drop for Handle {
    /// What was worth keeping outlives this process.
    fn drop(&mut self) {
        self.clerk.iter().for_each(Clerk::flush);
    }
}

/// What the engine's thread tells its handles without being asked.
#[derive(Default)]
struct Shared {
    stats: Mutex<Stats>,
    /// Why the thread is gone.
    failure: OnceLock<String>,
}

impl Engine {
    /// Starts the thread that owns `model`.
    ///
    /// # Errors
    /// [`Error::Option`] if the options leave no room for a single block or token, [`Error::Stopped`] if the machine
    /// refuses a thread.
    pub fn start(
        model: Model,
        tokenizer: Tokenizer,
        template: Option<ChatTemplate>,
        options: &EngineOptions,
    ) -> Result<Self, Error> {
        let (engine, worker, inbox) = Self::assemble(model, tokenizer, template, options)?;
        let spawned = std::thread::Builder::new().name("engine".into()).spawn(move || worker.run(&inbox));
        spawned.map_err(|error| Error::Stopped(error.to_string()))?;
        Ok(engine)
    }

    /// The parts of an engine, not yet moving.
    fn assemble(
        model: Model,
        tokenizer: Tokenizer,
        template: Option<ChatTemplate>,
        options: &EngineOptions,
    ) -> Result<(Self, Worker, Receiver<Command>), Error> {
        let (n_ctx, kept) = (model.config().n_ctx, model.kept().clone());
        let shared = Arc::new(Shared::default());
        let (commands, inbox) = mpsc::channel();
        let worker = Worker::new(model, options, shared.clone())?;
        let grammars = Grammars::new(&tokenizer).with_own_states(options.deterministic);
        let (next_id, next_pin) = (AtomicU64::new(1), AtomicU64::new(1));
        let clerk = worker.clerk();
        let handle = Handle { commands, shared, grammars, tokenizer, template, n_ctx, kept, next_id, next_pin, clerk };
        Ok((Self(Arc::new(handle)), worker, inbox))
    }

    /// Queues a request. The first use of a grammar compiles it, on this thread.
    ///
    /// # Errors
    /// What can be told without the engine's thread: tokens, options, grammar. The rest comes as [`Delta::Failed`].
    pub fn submit(&self, request: Request) -> Result<TokenStream, Error> {
        let (submission, stream) = self.prepare(request)?;
        self.send(vec![submission])?;
        Ok(stream)
    }

    /// Queues several requests that arrive at the same moment, so that their first pass is one pass.
    ///
    /// # Errors
    /// As [`Engine::submit`]; then none of them is queued.
    pub fn submit_all(&self, requests: Vec<Request>) -> Result<Vec<TokenStream>, Error> {
        let prepared: Result<Vec<_>, _> = requests.into_iter().map(|request| self.prepare(request)).collect();
        let (submissions, streams) = prepared?.into_iter().unzip();
        self.send(submissions)?;
        Ok(streams)
    }

    fn send(&self, submissions: Vec<Submission>) -> Result<(), Error> {
        self.0.commands.send(Command::Submit(submissions)).map_err(|_| self.stopped())
    }

    fn prepare(&self, request: Request) -> Result<(Submission, TokenStream), Error> {
        let handle = &*self.0;
        let (Prompt::Tokens(tokens) | Prompt::Fork { tokens, .. }) = &request.prompt;
        self.check_tokens(tokens)?;
        let sampler = Sampler::new(&request.sampling)?;
        let constraint = request.grammar.as_ref().map(|grammar| handle.grammars.compile(grammar)).transpose()?;
        let id = SequenceId(handle.next_id.fetch_add(1, Ordering::Relaxed));
        let (sink, stream) = stream::channel(id);
        let (tokens, parent) = match request.prompt {
            Prompt::Tokens(tokens) => (tokens, None),
            Prompt::Fork { parent, tokens } => (tokens, Some(parent)),
        };
        let mut sequence = Sequence::new(id, sink, sampler, &handle.tokenizer);
        sequence.constraint = constraint;
        sequence.stop = stop::StopFilter::new(request.stop);
        sequence.max_tokens = request.max_tokens;
        sequence.ignores_end = request.ignore_end && request.grammar.is_none();
        sequence.program = request.tag.run.as_ref().map_or(id.0, program);
        sequence.urgency = request.urgency;
        sequence.keep = Keep::new(request.n_keep);
        sequence.tag = request.tag;
        sequence.tokens = tokens;
        Ok((Submission { sequence, parent }, stream))
    }

    fn check_tokens(&self, tokens: &[Token]) -> Result<(), Error> {
        if tokens.is_empty() {
            return Err(Error::EmptyPrompt);
        }
        let (n_tokens, n_ctx) = (tokens.len(), self.0.n_ctx);
        if n_tokens > n_ctx {
            return Err(Error::PromptTooLong { n_tokens, n_ctx });
        }
        let n_vocab = self.0.tokenizer.n_vocab();
        match tokens.iter().position(|&token| token as usize >= n_vocab) {
            Some(position) => Err(Error::Token { token: tokens[position], position, n_vocab }),
            None => Ok(()),
        }
    }

    fn stopped(&self) -> Error {
        Error::Stopped(self.0.shared.failure.get().cloned().unwrap_or_else(|| "its thread ended".into()))
    }

    /// The model's tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.0.tokenizer
    }

    /// The model's chat template, if its file has one.
    pub fn template(&self) -> Option<&ChatTemplate> {
        self.0.template.as_ref()
    }

    /// Tokens of the context, prompt and generated together.
    pub fn n_ctx(&self) -> usize {
        self.0.n_ctx
    }

    /// What became of the file of packed weights when the model was loaded.
    pub fn kept(&self) -> &Kept {
        &self.0.kept
    }

    /// What the engine has done so far.
    pub fn stats(&self) -> Stats {
        let mut stats = self.0.shared.stats.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        stats.archive = self.0.clerk.as_ref().map(Clerk::stats).unwrap_or_default();
        stats
    }
}

/// A run as the scheduler knows it. Numbers of single sequences count up from 1, so the highest bit keeps them apart.
fn program(run: &RunId) -> u64 {
    let mut hasher = DefaultHasher::new();
    run.hash(&mut hasher);
    hasher.finish() | 1 << 63
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("n_ctx", &self.n_ctx()).field("stats", &self.stats()).finish_non_exhaustive()
    }
}
