//! The reader's end of a sequence.
//!
//! Invariants: deltas come in order; the last one is [`Delta::Done`] or [`Delta::Failed`], and nothing follows it;
//! the texts of all deltas, joined, are the completion's text. Dropping the stream cancels the sequence.
//! Must not know: how tokens come about, which runtime polls it.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::Error;
use crate::types::{Finish, SequenceId, Token, Usage};

/// One piece of news about a sequence.
#[derive(Debug, Clone)]
pub enum Delta {
    /// A token was generated. The end token comes too, with whatever text had been held back.
    Token {
        /// The token.
        token: Token,
        /// Text that is certain now: empty inside a character and while a stop string may be coming.
        text: String,
        /// Its log-probability under the mask; 0 for a token that the grammar forced.
        logprob: f32,
        /// The likeliest tokens at this place, as many as asked for, with their log-probabilities.
        top: Vec<(Token, f32)>,
    },
    /// The sequence ended.
    Done(Completion),
    /// The sequence could not be brought to an end.
    Failed(Error),
}

/// A sequence that has ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// Its name, to fork it.
    pub sequence: SequenceId,
    /// The generated text, without a stop string.
    pub text: String,
    /// The generated tokens, without the end token; they may reach past the text if a stop string cut it.
    pub tokens: Vec<Token>,
    /// Why it ended.
    pub finish: Finish,
    /// What it cost.
    pub usage: Usage,
    /// Mean log-probability of the tokens that were drawn; 0 if all were forced.
    pub mean_logprob: f32,
}

/// The news of one sequence, in order.
#[derive(Debug)]
pub struct TokenStream {
    sequence: SequenceId,
    deltas: UnboundedReceiver<Delta>,
    stop: Arc<AtomicBool>,
    is_over: bool,
}

/// The engine's end of a stream.
#[derive(Debug)]
pub(super) struct Sink {
    deltas: UnboundedSender<Delta>,
    stop: Arc<AtomicBool>,
}

/// The two ends of a new stream.
pub(super) fn channel(sequence: SequenceId) -> (Sink, TokenStream) {
    let (sender, deltas) = unbounded_channel();
    let stop = Arc::new(AtomicBool::new(false));
    (Sink { deltas: sender, stop: stop.clone() }, TokenStream { sequence, deltas, stop, is_over: false })
}

impl Sink {
    /// Sends a delta; nobody may be there to read it.
    pub fn send(&self, delta: Delta) {
        let _ = self.deltas.send(delta);
    }

    /// Whether the reader went away or asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.deltas.is_closed() || self.stop.load(Ordering::Relaxed)
    }
}

impl TokenStream {
    /// The sequence's name, to fork it while it runs.
    pub fn sequence(&self) -> SequenceId {
        self.sequence
    }

    /// Asks the engine to end the sequence soon; what was generated comes as [`Delta::Done`].
    pub fn cancel(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// The next delta; `None` after the last one.
    pub fn recv(&mut self) -> impl Future<Output = Option<Delta>> + Send {
        poll_fn(|context| self.poll_recv(context))
    }

    /// As [`TokenStream::recv`], for code that polls by hand.
    pub fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<Delta>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        self.deltas.poll_recv(context).map(|delta| self.check(delta))
    }

    /// As [`TokenStream::recv`], for code that is not async.
    ///
    /// # Panics
    /// If called from async code, which must not block.
    pub fn recv_blocking(&mut self) -> Option<Delta> {
        if self.is_over {
            return None;
        }
        let delta = self.deltas.blocking_recv();
        self.check(delta)
    }

    /// Reads to the end.
    ///
    /// # Errors
    /// What [`Delta::Failed`] said.
    pub fn finish(mut self) -> impl Future<Output = Result<Completion, Error>> + Send {
        poll_fn(move |context| {
            loop {
                if let Some(end) = ready!(self.poll_recv(context)).and_then(end) {
                    return Poll::Ready(end);
                }
            }
        })
    }

    /// As [`TokenStream::finish`], for code that is not async.
    ///
    /// # Errors
    /// What [`Delta::Failed`] said.
    ///
    /// # Panics
    /// If called from async code, which must not block.
    pub fn finish_blocking(mut self) -> Result<Completion, Error> {
        loop {
            if let Some(end) = self.recv_blocking().and_then(end) {
                return end;
            }
        }
    }

    /// Notes the last delta, and invents it where the engine's thread ended without one.
    fn check(&mut self, delta: Option<Delta>) -> Option<Delta> {
        let delta = delta.unwrap_or_else(|| Delta::Failed(Error::Stopped("it gave the sequence up".into())));
        self.is_over = !matches!(delta, Delta::Token { .. });
        Some(delta)
    }
}

fn end(delta: Delta) -> Option<Result<Completion, Error>> {
    match delta {
        Delta::Token { .. } => None,
        Delta::Done(completion) => Some(Ok(completion)),
        Delta::Failed(error) => Some(Err(error)),
    }
}
