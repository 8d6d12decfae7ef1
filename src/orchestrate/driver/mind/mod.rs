//! The orchestrator's view of the engine: conversations in, completions out, under the run's budget.
//!
//! [`Mind`] is what plans and steps talk to; [`EngineMind`] is the engine behind it. Every call passes
//! [`Budget`] first, so that no code path can exceed a limit.
//! Must not know: plans, steps, the workspace.

mod transcript;

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use transcript::Transcripts;

use crate::cache::n_common;
use crate::engine::{self, Delta, Engine, Prompt, Request, Tag};
use crate::tokenizer::{self, Special};
use crate::types::{Finish, Grammar, Message, RunId, Sampling, StepId, Token, Usage};

/// One call of the model.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// What the call is for: `plan`, `query`, `script`, ….
    pub purpose: &'static str,
    /// The step it is for.
    pub step: Option<StepId>,
    /// The conversation; the model speaks next.
    pub messages: Vec<Message>,
    /// What the model's turn begins with already.
    pub prefill: String,
    /// What its text must conform to, after `prefill`.
    pub grammar: Option<Grammar>,
    /// How tokens are drawn.
    pub sampling: Sampling,
    /// Texts that end the turn.
    pub stop: Vec<String>,
    /// Most tokens to generate.
    pub max_tokens: usize,
}

/// What the model said.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    /// The text, without `prefill`.
    pub text: String,
    /// Why it ended.
    pub finish: Finish,
    /// What it cost.
    pub usage: Usage,
    /// Mean log-probability of its tokens.
    pub mean_logprob: f32,
}

/// Why a call gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A hard limit of the run was reached; names the limit.
    #[error("{0}")]
    Budget(String),
    /// The prompt does not fit the model's context.
    #[error("the prompt has {n_tokens} tokens, but the model's context holds {n_ctx}")]
    TooLong {
        /// Tokens of the prompt.
        n_tokens: usize,
        /// Tokens of the context.
        n_ctx: usize,
    },
    /// The text ended at a limit before anything in it was whole.
    #[error("the {what} was cut off after {n_tokens} tokens")]
    CutOff {
        /// What was being written.
        what: &'static str,
        /// Tokens that were generated.
        n_tokens: usize,
    },
    /// The chat template cannot take the conversation.
    #[error("chat template")]
    Template(#[from] tokenizer::Error),
    /// The engine refused or failed.
    #[error("engine")]
    Engine(#[from] engine::Error),
}

/// A future of work that nobody waits for.
pub type Preparing<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A future of a boxed call.
pub type Thinking<'a> = Pin<Box<dyn Future<Output = Result<Reply, Error>> + Send + 'a>>;

/// Is told how a text grows.
pub type Watch<'a> = dyn Fn(&str) + Send + Sync + 'a;

/// Something that completes conversations.
pub trait Mind: Send + Sync {
    /// Completes one conversation; calls that run at the same time share batches and prefixes.
    fn complete(&self, call: Call) -> Thinking<'_>;

    /// As [`Mind::complete`]; `watch` is told the text so far, again and again, as it grows.
    fn complete_watched<'a>(&'a self, call: Call, watch: &'a Watch<'a>) -> Thinking<'a> {
        let whole = self.complete(call);
        Box::pin(async move { whole.await.inspect(|reply| watch(&reply.text)) })
    }

    /// Reads the beginning of a conversation that will come, so that less is left to read then; `call` ends with as much
    /// of it as is known.
    fn prepare(&self, _call: Call) -> Preparing<'_> {
        Box::pin(std::future::ready(()))
    }

    /// Says which steps have most work behind them, so that their calls go first; see [`State::tokens_behind`].
    ///
    /// [`State::tokens_behind`]: crate::orchestrate::State::tokens_behind
    fn weigh(&self, _behind: BTreeMap<StepId, u64>) {}

    /// Tokens of a prompt that are read within so many seconds, as far as the calls so far tell.
    fn n_readable(&self, _seconds: f64) -> usize {
        usize::MAX
    }

    /// Calls that are completed at the same time in at most twice the time that one takes, once that is known.
    fn n_abreast(&self) -> Option<usize> {
        None
    }

    /// Tokens of a text.
    fn count(&self, text: &str) -> usize;

    /// Tokens that fit a prompt and its completion.
    fn n_ctx(&self) -> usize;
}

/// The hard limits of a run, counted over all its calls.
#[derive(Debug)]
pub struct Budget {
    deadline: Mutex<Option<Instant>>,
    max_tokens: Option<u64>,
    used_tokens: AtomicU64,
}

impl Budget {
    /// A budget that begins now.
    pub fn new(max_time: Option<Duration>, max_tokens: Option<u64>) -> Self {
        let deadline = Mutex::new(max_time.map(|time| Instant::now() + time));
        Self { deadline, max_tokens, used_tokens: AtomicU64::new(0) }
    }

    /// When the time is up.
    pub fn deadline(&self) -> Option<Instant> {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets time pass without waiting for it.
    #[cfg(test)]
    pub fn skip(&self, time: Duration) {
        let mut deadline = self.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        *deadline = deadline.map(|at| at.checked_sub(time).unwrap_or_else(Instant::now));
    }

    /// The limit that is reached, if one is.
    pub fn spent(&self) -> Option<String> {
        if self.deadline().is_some_and(|deadline| Instant::now() >= deadline) {
            return Some("the time limit was reached".into());
        }
        let used = self.used_tokens.load(Ordering::Relaxed);
        self.max_tokens.filter(|most| used >= *most).map(|most| format!("the limit of {most} tokens was reached"))
    }

    /// Tokens left, or `None` without a limit.
    pub fn tokens_left(&self) -> Option<u64> {
        self.max_tokens.map(|most| most.saturating_sub(self.used_tokens.load(Ordering::Relaxed)))
    }

    /// Counts tokens that were read or written.
    pub fn take(&self, n_tokens: u64) {
        self.used_tokens.fetch_add(n_tokens, Ordering::Relaxed);
    }
}

/// Receives tokens as they come, for display.
pub type TokenSink = dyn Fn(&'static str, Option<StepId>, &str) + Send + Sync;

/// What the cache is asked to hold while steps still wait that will begin with it.
#[derive(Default)]
struct Holds {
    /// The latest planner's conversation, which steps go on from.
    plan: Option<engine::Pin>,
    /// The beginning of the summary's.
    ahead: Option<engine::Pin>,
}

/// How fast prompts were read so far.
#[derive(Debug)]
struct Pace {
    n_tokens: f64,
    seconds: f64,
}

impl Pace {
    /// What a machine of two cores does with the default model counts as one second of measurements.
    const PRIOR: Self = Self { n_tokens: 60.0, seconds: 1.0 };

    fn add(&mut self, usage: &Usage) {
        /// Fewer tokens tell more of the wait for a place in a pass than of reading.
        const LEAST: usize = 64;
        let n_fresh = usage.prompt_tokens - usage.cached_tokens;
        if n_fresh >= LEAST {
            self.n_tokens += n_fresh as f64;
            self.seconds += usage.prefill_ms / 1000.0;
        }
    }
}

/// The engine as a [`Mind`], under a budget.
pub struct EngineMind {
    engine: Engine,
    budget: Arc<Budget>,
    on_token: Box<TokenSink>,
    run: RunId,
    behind: Mutex<BTreeMap<StepId, u64>>,
    transcripts: Mutex<Transcripts>,
    holds: Mutex<Holds>,
    pace: Mutex<Pace>,
}

impl EngineMind {
    /// A mind over a running engine, for one run: its calls are one program to the scheduler.
    ///
    /// # Errors
    /// [`tokenizer::Error::NoTemplate`] if the model cannot hold conversations.
    pub fn new(engine: Engine, run: RunId, budget: Arc<Budget>, on_token: Box<TokenSink>) -> Result<Self, Error> {
        if engine.template().is_none() {
            return Err(Error::Template(tokenizer::Error::NoTemplate));
        }
        Ok(Self {
            engine,
            budget,
            on_token,
            run,
            behind: Mutex::default(),
            transcripts: Mutex::default(),
            holds: Mutex::default(),
            pace: Mutex::new(Pace::PRIOR),
        })
    }

    fn request(&self, call: Call) -> Result<Request, Error> {
        let mut tokens = self.render(&call.messages)?;
        let n_keep = self.n_shared(&call.messages, &tokens);
        tokens.extend(self.engine.tokenizer().encode(&call.prefill, Special::AsText));
        let n_ctx = self.engine.n_ctx();
        if tokens.len() + 1 >= n_ctx {
            return Err(Error::TooLong { n_tokens: tokens.len(), n_ctx });
        }
        let left = self.budget.tokens_left().map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
        if left <= tokens.len() {
            return Err(Error::Budget("the token limit leaves no room for another call".into()));
        }
        let mut request = Request::new(Prompt::Tokens(tokens), call.max_tokens.min(left).max(1));
        (request.sampling, request.grammar, request.stop) = (call.sampling, call.grammar, call.stop);
        request.urgency = match call.step {
            Some(step) => self.behind().get(&step).copied().unwrap_or(0),
            // Everything waits for a plan; nothing waits for the summary.
            None if call.purpose == "plan" => u64::from(u32::MAX),
            None => 0,
        };
        request.tag = Tag { role: call.purpose, step: call.step, run: Some(self.run.clone()) };
        request.n_keep = n_keep;
        Ok(request)
    }

    /// The conversation as tokens, up to where the model speaks. What it said itself, it said in these tokens.
    fn render(&self, messages: &[Message]) -> Result<Vec<Token>, Error> {
        let (template, tokenizer) =
            (self.engine.template().ok_or(tokenizer::Error::NoTemplate)?, self.engine.tokenizer());
        let rendered = template.render_tokens(tokenizer, messages, &[], true)?;
        let part = |messages: &[Message]| template.render_tokens(tokenizer, messages, &[], false).ok();
        Ok(self.transcripts().splice(messages, rendered, part, |token| tokenizer.is_end(token)))
    }

    /// Asks the cache to hold what calls to come begin with; after the summary, none come.
    fn hold(&self, purpose: &str, tokens: &[Token]) {
        let mut holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
        match purpose {
            "plan" => holds.plan = Some(self.engine.pin(tokens.to_vec())),
            "ahead" => holds.ahead = Some(self.engine.pin(tokens.to_vec())),
            "summary" => *holds = Holds::default(),
            _ => {}
        }
    }

    fn transcripts(&self) -> MutexGuard<'_, Transcripts> {
        self.transcripts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn behind(&self) -> MutexGuard<'_, BTreeMap<StepId, u64>> {
        self.behind.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tokens of a conversation before the content of its last turn. Prompts go from the stable to the volatile, so
    /// that is what other calls begin with: standing instructions, survey, goal and plan, documents.
    fn n_shared(&self, messages: &[Message], tokens: &[Token]) -> usize {
        let (Some(template), mut shared) = (self.engine.template(), messages.to_vec()) else { return 0 };
        let Some(last) = shared.last_mut().filter(|_| messages.len() > 1) else { return 0 };
        // Some templates refuse conversations without a last turn; a digit joins no token before or after it.
        last.content = "0".into();
        let rendered = template.render_tokens(self.engine.tokenizer(), &shared, &[], true).unwrap_or_default();
        n_common(&rendered, tokens)
    }

    /// Computes the prompt of a call up to where its last turn ends, in whatever room the passes have.
    async fn read_ahead(&self, call: Call) {
        let Ok(Request { prompt: Prompt::Tokens(mut tokens), .. }) = self.request(call) else { return };
        let tokenizer = self.engine.tokenizer();
        tokens.truncate(tokens.iter().rposition(|&token| tokenizer.is_end(token)).unwrap_or(tokens.len()));
        if self.budget.spent().is_some() || tokens.is_empty() {
            return;
        }
        self.hold("ahead", &tokens);
        // Not of the run: as a program of its own it takes no time from the run's sequences.
        let tag = Tag { role: "ahead", ..Tag::default() };
        let Ok(stream) = self.engine.submit(Request { tag, ..Request::new(Prompt::Tokens(tokens), 0) }) else { return };
        if let Ok(done) = stream.finish().await {
            self.budget.take((done.usage.prompt_tokens - done.usage.cached_tokens) as u64);
        }
    }

    async fn run(&self, call: Call, watch: &Watch<'_>) -> Result<Reply, Error> {
        if let Some(what) = self.budget.spent() {
            return Err(Error::Budget(what));
        }
        let (purpose, step) = (call.purpose, call.step);
        let (messages, prefill) = (call.messages.clone(), call.prefill.clone());
        let request = self.request(call)?;
        let Prompt::Tokens(prompt) = request.prompt.clone() else { unreachable!("a conversation is all tokens") };
        let mut stream = self.engine.submit(request)?;
        let mut so_far = String::new();
        loop {
            let delta = match self.budget.deadline() {
                None => stream.recv().await,
                Some(deadline) => match tokio::time::timeout_at(deadline.into(), stream.recv()).await {
                    Ok(delta) => delta,
                    Err(_) => return Err(Error::Budget("the time limit was reached".into())),
                },
            };
            match delta {
                Some(Delta::Token { text, .. }) => {
                    (self.on_token)(purpose, step, &text);
                    so_far.push_str(&text);
                    watch(&so_far);
                }
                Some(Delta::Done(done)) => {
                    let fresh = done.usage.prompt_tokens - done.usage.cached_tokens;
                    self.budget.take((fresh + done.usage.decoded_tokens) as u64);
                    let (finish, usage, mean_logprob) = (done.finish, done.usage, done.mean_logprob);
                    self.pace.lock().unwrap_or_else(PoisonError::into_inner).add(&usage);
                    self.hold(purpose, &[prompt.as_slice(), &done.tokens].concat());
                    // Steps go on from the plan's conversation alone; others would push it out.
                    if finish == Finish::Stop && purpose == "plan" {
                        self.transcripts().add(messages, format!("{prefill}{}", done.text), &prompt, &done.tokens);
                    }
                    return Ok(Reply { text: done.text, finish, usage, mean_logprob });
                }
                Some(Delta::Failed(error)) => return Err(error.into()),
                None => return Err(engine::Error::Stopped("the stream ended early".into()).into()),
            }
        }
    }
}

impl Mind for EngineMind {
    fn complete(&self, call: Call) -> Thinking<'_> {
        Box::pin(self.run(call, &|_| ()))
    }

    fn complete_watched<'a>(&'a self, call: Call, watch: &'a Watch<'a>) -> Thinking<'a> {
        Box::pin(self.run(call, watch))
    }

    fn prepare(&self, call: Call) -> Preparing<'_> {
        Box::pin(self.read_ahead(call))
    }

    fn weigh(&self, behind: BTreeMap<StepId, u64>) {
        *self.behind() = behind;
    }

    fn n_readable(&self, seconds: f64) -> usize {
        let pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        (pace.n_tokens / pace.seconds * seconds) as usize
    }

    fn n_abreast(&self) -> Option<usize> {
        self.engine.stats().n_abreast
    }

    fn count(&self, text: &str) -> usize {
        self.engine.tokenizer().encode(text, Special::AsText).len()
    }

    fn n_ctx(&self) -> usize {
        self.engine.n_ctx()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::engine::EngineOptions;
    use crate::model::tiny::{self, TinySpec};
    use crate::types::Role::{self, Assistant, System, User};

    /// A mind over a tiny model.
    fn tiny_mind() -> (Engine, EngineMind) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiny.gguf");
        tiny::write(&path, &TinySpec::default()).unwrap();
        let engine = engine::load(&path, &EngineOptions::default(), &mut |_| ()).unwrap();
        let budget = Arc::new(Budget::new(None, None));
        let mind = EngineMind::new(engine.clone(), RunId("test".into()), budget, Box::new(|_, _, _| ())).unwrap();
        (engine, mind)
    }

    fn call(turns: &[(Role, &str)]) -> Call {
        Call {
            purpose: "plan",
            step: None,
            messages: turns.iter().map(|(role, text)| Message::new(*role, *text)).collect(),
            prefill: "So".into(),
            grammar: None,
            sampling: Sampling::default(),
            stop: Vec::new(),
            max_tokens: 1,
        }
    }

    #[tokio::test]
    async fn a_conversation_that_goes_on_is_not_read_again() {
        let (_, mind) = tiny_mind();
        let grammar = Some(Grammar::Regex("[a-z]{12}".into()));
        let first = Call { grammar, max_tokens: 20, ..call(&[(System, "Do it."), (User, "Now.")]) };
        let reply = mind.complete(first).await.unwrap();
        assert_eq!(reply.finish, Finish::Stop);
        let said = format!("So{}", reply.text);
        let mut next = call(&[(System, "Do it."), (User, "Now."), (Assistant, &said), (User, "More.")]);
        next.prefill.clear();
        let more = mind.complete(next.clone()).await.unwrap();
        // All that the model read, and all that it wrote but the last token.
        let n_known = reply.usage.prompt_tokens + reply.usage.decoded_tokens - 1;
        assert_eq!(more.usage.cached_tokens, n_known);

        next.messages.push(Message::new(Assistant, more.text));
        next.messages.push(Message::new(User, "And now something that is longer by far."));
        mind.prepare(next.clone()).await;
        let last = mind.complete(next).await.unwrap().usage;
        assert!(last.prompt_tokens - last.cached_tokens < 20, "only the beginning of the model's turn: {last:?}");
    }

    #[test]
    fn all_before_the_last_turn_is_worth_keeping() {
        let (engine, mind) = tiny_mind();
        let check = |turns: &[(Role, &str)], want: &str| {
            let request = mind.request(call(turns)).unwrap();
            let Prompt::Tokens(tokens) = &request.prompt else { panic!("no prompt") };
            assert_eq!(tokens[..request.n_keep], engine.tokenizer().encode(want, Special::Parse));
        };
        check(&[(User, "Well?")], "");
        let system = "<|im_start|>system\nDo it.<|im_end|>\n";
        check(&[(System, "Do it."), (User, "Now.")], &format!("{system}<|im_start|>user\n"));
        check(&[(System, "Do it."), (User, "")], &format!("{system}<|im_start|>user\n"));
        check(
            &[(System, "Do it."), (User, "Goal"), (Assistant, "Plan"), (User, "Step")],
            &format!(
                "{system}<|im_start|>user\nGoal<|im_end|>\n<|im_start|>assistant\nPlan<|im_end|>\n<|im_start|>user\n"
            ),
        );
    }
}
