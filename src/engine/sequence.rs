//! One sequence: its tokens, how far they are computed, and how it goes on.
//!
//! Invariants: `n_computed <= tokens.len()`; blocks hold positions `0..n_computed`; drawing needs the sequence and
//! its logits only, so that several sequences draw at the same time.
//! Must not know: other sequences, the model, the tree.

use std::time::Instant;

use super::lookahead::First;
use super::stop::StopFilter;
use super::stream::{Completion, Delta, Sink};
use super::{Error, Tag};
use crate::cache::Keep;
use crate::sample::{self, Allowed, Constraint, Luck, Pick, Sampler};
use crate::schedule::{self, Running};
use crate::tokenizer::{Detokenizer, Tokenizer};
use crate::types::{BlockId, Finish, SequenceId, Token, Usage};

/// A sequence that waits or runs.
pub(super) struct Sequence {
    pub id: SequenceId,
    pub tag: Tag,
    /// Whom it works for, as the scheduler knows it.
    pub program: u64,
    /// Tokens that the work behind it will take.
    pub urgency: u64,
    /// How well its guesses did.
    pub luck: Luck,
    /// Passes since it last got on, or since it was submitted.
    pub n_passed_over: u64,
    /// Prompt and generated tokens.
    pub tokens: Vec<Token>,
    pub n_prompt: usize,
    /// Leading tokens whose keys and values are in `blocks`.
    pub n_computed: usize,
    pub blocks: Vec<BlockId>,
    /// Whether it has drawn since it was admitted.
    pub is_decoding: bool,
    /// Whether it has ever run; what it finds in the cache after preemption is its own work.
    pub was_admitted: bool,
    /// The sequence that it waits for to compute what both begin with, and how many tokens that are.
    pub follows: Option<(SequenceId, usize)>,
    /// Whether end tokens are never drawn.
    pub ignores_end: bool,
    pub constraint: Option<Constraint>,
    pub stop: StopFilter,
    pub max_tokens: usize,
    /// What of it later processes will want.
    pub keep: Keep,
    pub submitted: Instant,
    pub usage: Usage,
    sampler: Sampler,
    tokenizer: Tokenizer,
    detokenizer: Detokenizer,
    text: String,
    n_drawn: usize,
    logprob_sum: f64,
    first_token: Option<Instant>,
    sink: Sink,
}

/// What the draws of one pass brought.
#[derive(Default)]
pub(super) struct Draws {
    pub drawn: Vec<Drawn>,
    /// Leading tokens of the guess that turned out right.
    pub n_right: usize,
}

/// What a draw brought.
pub(super) struct Drawn {
    pick: Pick,
    /// Tokens that the grammar forces after it.
    forced: Vec<Token>,
    /// Whether nothing may follow these in the grammar. Later draws of the same pass move the grammar on, so that it has
    /// to be asked at once.
    is_complete: bool,
}

impl Draws {
    /// Tokens that the grammar forced.
    pub fn n_forced(&self) -> usize {
        self.drawn.iter().map(|drawn| drawn.forced.len()).sum()
    }
}

impl Sequence {
    /// A sequence without tokens.
    pub fn new(id: SequenceId, sink: Sink, sampler: Sampler, tokenizer: &Tokenizer) -> Self {
        Self {
            id,
            tag: Tag::default(),
            program: id.0,
            urgency: 0,
            luck: Luck::default(),
            n_passed_over: 0,
            tokens: Vec::new(),
            n_prompt: 0,
            n_computed: 0,
            blocks: Vec::new(),
            is_decoding: false,
            was_admitted: false,
            follows: None,
            ignores_end: false,
            constraint: None,
            stop: StopFilter::new(Vec::new()),
            max_tokens: 1,
            keep: Keep::default(),
            submitted: Instant::now(),
            usage: Usage::default(),
            sampler,
            tokenizer: tokenizer.clone(),
            detokenizer: Detokenizer::new(tokenizer),
            text: String::new(),
            n_drawn: 0,
            logprob_sum: 0.0,
            first_token: None,
            sink,
        }
    }

    /// Puts the tokens of a forked sequence in front, and whatever the grammar forces behind the prompt.
    ///
    /// # Errors
    /// [`Error::PromptTooLong`], or the grammar's.
    pub fn begin(&mut self, parent: &[Token], n_ctx: usize) -> Result<Option<Finish>, Error> {
        self.tokens.splice(0..0, parent.iter().copied());
        self.n_prompt = self.tokens.len();
        self.usage.prompt_tokens = self.n_prompt;
        self.keep.n_tokens = self.keep.n_tokens.min(self.n_prompt);
        if self.n_prompt > n_ctx {
            return Err(Error::PromptTooLong { n_tokens: self.n_prompt, n_ctx });
        }
        for i in self.n_prompt.saturating_sub(PENALTY_TAIL)..self.n_prompt {
            self.sampler.accept(self.tokens[i]);
        }
        let forced = self.forced()?;
        Ok(self.extend(&forced, self.is_complete(), n_ctx))
    }

    /// A guess at the next tokens, `n_most` at most, and never more than may be generated after the next one.
    pub fn draft(&self, n_most: usize) -> Vec<Token> {
        let n_left = self.max_tokens.saturating_sub(self.usage.decoded_tokens + 1);
        sample::draft(&self.tokens, n_most.min(n_left)).to_vec()
    }

    /// Draws from the logits after the last token and, as long as the guess was right, from those after each guessed
    /// one: just what drawing in one pass after the other gives. `rows`: one of logits after the last token and after
    /// each of `drafts`. `first`: what the grammar allows in the first row, if that is known; where it allows few tokens,
    /// that row holds their logits alone.
    ///
    /// # Errors
    /// Those of the first draw; a later one's comes again in the next pass.
    pub fn draw_all(
        &mut self,
        rows: &mut [&mut [f32]],
        drafts: &[Token],
        mut first: Option<First>,
    ) -> Result<Draws, sample::Error> {
        let mut draws = Draws::default();
        loop {
            let drawn = match self.draw(rows[draws.n_right], first.take()) {
                Ok(drawn) => drawn,
                Err(error) if draws.drawn.is_empty() => return Err(error),
                Err(_) => return Ok(draws),
            };
            let is_end = drawn.is_complete || self.tokenizer.is_end(drawn.pick.token);
            let appended = [&[drawn.pick.token], drawn.forced.as_slice()].concat();
            let n_same = appended.iter().zip(&drafts[draws.n_right..]).take_while(|(a, b)| a == b).count();
            draws.n_right += n_same;
            draws.drawn.push(drawn);
            if is_end || n_same < appended.len() {
                return Ok(draws);
            }
        }
    }

    /// Draws the next token. `logits` are scratch space afterwards.
    ///
    /// # Errors
    /// The grammar's, or that no token is left.
    fn draw(&mut self, logits: &mut [f32], first: Option<First>) -> Result<Drawn, sample::Error> {
        let pick = match first.transpose()? {
            Some(Allowed::Few(tokens)) => self.sampler.pick_among(&tokens, logits)?,
            Some(many) => self.pick(logits, Some(&many))?,
            None => {
                let allowed = self.constraint.as_mut().map(Constraint::mask).transpose()?.map(Allowed::from);
                self.pick(logits, allowed.as_ref())?
            }
        };
        self.sampler.accept(pick.token);
        if self.tokenizer.is_end(pick.token) {
            return Ok(Drawn { pick, forced: Vec::new(), is_complete: false });
        }
        if let Some(constraint) = &mut self.constraint {
            constraint.accept(pick.token)?;
        }
        let forced = self.forced()?;
        Ok(Drawn { pick, forced, is_complete: self.is_complete() })
    }

    /// Draws from the logits of a whole vocabulary.
    fn pick(&mut self, logits: &mut [f32], allowed: Option<&Allowed>) -> Result<Pick, sample::Error> {
        // The head may have more rows than there are tokens.
        let n_vocab = self.tokenizer.n_vocab().min(logits.len());
        if self.ignores_end {
            for &end in self.tokenizer.end_tokens() {
                logits[..n_vocab].get_mut(end as usize).into_iter().for_each(|logit| *logit = f32::NEG_INFINITY);
            }
        }
        self.sampler.pick(&mut logits[..n_vocab], allowed)
    }

    /// Appends what the draws of a pass brought, and says whether the sequence has ended.
    pub fn commit_all(&mut self, draws: Draws, n_drafts: usize, n_ctx: usize) -> Option<Finish> {
        match n_drafts {
            0 => self.luck.rest(),
            _ => self.luck.note(draws.n_right, n_drafts),
        }
        let finish = draws.drawn.into_iter().find_map(|drawn| self.commit(drawn, n_ctx));
        // A stop string may end it before the last of them.
        self.n_computed = (self.n_computed + draws.n_right).min(self.tokens.len());
        finish
    }

    /// Appends what was drawn, sends it, and says whether the sequence has ended.
    fn commit(&mut self, drawn: Drawn, n_ctx: usize) -> Option<Finish> {
        let Drawn { pick, forced, is_complete } = drawn;
        self.is_decoding = true;
        self.n_drawn += 1;
        self.logprob_sum += f64::from(pick.logprob);
        let now = Instant::now();
        let first = *self.first_token.get_or_insert(now);
        self.usage.prefill_ms = (first - self.submitted).as_secs_f64() * 1e3;
        self.usage.decode_ms = (now - first).as_secs_f64() * 1e3;
        let is_last = forced.is_empty();
        self.push(pick, is_last && is_complete, n_ctx).or_else(|| self.extend(&forced, is_complete, n_ctx))
    }

    fn forced(&mut self) -> Result<Vec<Token>, sample::Error> {
        let forced = self.constraint.as_mut().map(Constraint::forced).transpose()?.unwrap_or_default();
        forced.iter().for_each(|&token| self.sampler.accept(token));
        Ok(forced)
    }

    /// Whether the grammar, as it stands, lets nothing follow.
    fn is_complete(&self) -> bool {
        self.constraint.as_ref().is_some_and(Constraint::is_stopped)
    }

    /// Appends tokens that are certain. `is_complete`: the last one completes the text.
    fn extend(&mut self, forced: &[Token], is_complete: bool, n_ctx: usize) -> Option<Finish> {
        forced.iter().enumerate().find_map(|(i, &token)| {
            let pick = Pick { token, logprob: 0.0, top: Vec::new() };
            self.push(pick, is_complete && i + 1 == forced.len(), n_ctx)
        })
    }

    /// Appends and sends one token. `is_complete`: it completes the text that the grammar asks for.
    fn push(&mut self, pick: Pick, is_complete: bool, n_ctx: usize) -> Option<Finish> {
        let Pick { token, logprob, top } = pick;
        let is_end = self.tokenizer.is_end(token);
        let mut text = String::new();
        if !is_end {
            self.tokens.push(token);
            self.usage.decoded_tokens += 1;
            text = self.stop.push(&self.detokenizer.push(token));
        }
        let finish = if is_end {
            Some(Finish::Stop)
        } else if self.stop.is_stopped() {
            Some(Finish::StopString)
        } else if is_complete {
            Some(Finish::Stop)
        } else if self.usage.decoded_tokens >= self.max_tokens {
            Some(Finish::Length)
        } else if self.tokens.len() > n_ctx {
            Some(Finish::Context)
        } else {
            None
        };
        if finish.is_some() {
            text.push_str(&self.rest());
        }
        self.text.push_str(&text);
        self.sink.send(Delta::Token { token, text, logprob, top });
        finish
    }

    /// Text that was held back and is certain at the end.
    fn rest(&mut self) -> String {
        let tail = self.detokenizer.finish();
        let mut text = self.stop.push(&tail);
        text.push_str(&self.stop.finish());
        text
    }

    /// Tells the reader how it ended.
    pub fn finish(&mut self, end: Result<Finish, Error>) {
        self.sink.send(match end {
            Err(error) => Delta::Failed(error),
            Ok(finish) => Delta::Done(Completion {
                sequence: self.id,
                text: std::mem::take(&mut self.text),
                tokens: self.tokens[self.n_prompt..].to_vec(),
                finish,
                usage: self.usage,
                mean_logprob: (self.logprob_sum / self.n_drawn.max(1) as f64) as f32,
            }),
        });
    }

    /// The tokens whose keys and values it can take over: all but the last, whose logits are wanted.
    pub fn reusable(&self) -> &[Token] {
        &self.tokens[..self.tokens.len() - 1]
    }

    /// Whether it ends when its prompt is computed.
    pub fn is_prefill_only(&self) -> bool {
        self.max_tokens == 0
    }

    /// Whether nobody wants it any more.
    pub fn is_cancelled(&self) -> bool {
        self.sink.is_cancelled()
    }

    /// What puts it before others.
    pub fn rank(&self) -> u64 {
        schedule::rank(self.urgency, self.n_passed_over)
    }

    /// What the scheduler needs to know.
    pub fn view(&self) -> Running {
        Running {
            id: self.id,
            n_tokens: self.tokens.len(),
            n_computed: self.n_computed,
            n_blocks: self.blocks.len(),
            is_decoding: self.is_decoding,
            program: self.program,
            rank: self.rank(),
        }
    }
}

/// Prompt tokens that the repetition penalty may look at; the sampler keeps as many as it needs.
const PENALTY_TAIL: usize = 256;
