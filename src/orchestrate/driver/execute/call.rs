//! Calls a tool for a step, journaled, on a thread where blocking is allowed.

use std::time::Instant;

use serde_json::Value as Json;

use super::{Attempt, Miss};
use crate::orchestrate::driver::mind::{self, Call, Mind, Reply};
use crate::orchestrate::driver::tool_deadline;
use crate::orchestrate::event::Event;
use crate::tool::{self, Context, Host, Output};
use crate::types::{Message, Role, Sampling, StepId};

/// Characters of a result that the journal's tool call shows; the whole value stands in the step's result.
pub const SHOWN: usize = 600;

/// How calls are entered in the journal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// As a call of its own.
    Now,
    /// Not: the caller tries candidates and records the one it keeps.
    Later,
}

impl Attempt<'_> {
    /// Calls a tool of the registry.
    pub async fn tool(&self, name: &str, arguments: Json, record: Record) -> Result<Output, tool::Error> {
        let run = self.journal.run();
        let Some(tool) = run.registry.find(name).cloned() else {
            return Err(tool::Error::Arguments(format!("there is no tool `{name}`")));
        };
        let host = StepHost { step: self.step.id, journal: self.journal, runtime: tokio::runtime::Handle::current() };
        let began = Instant::now();
        let deadline = tool_deadline(run);
        let result = tokio::task::block_in_place(|| {
            tool.call(&arguments, &Context { workspace: &run.workspace, host: &host, deadline })
        });
        if record == Record::Now {
            self.record(name, arguments, &result, began);
        }
        result
    }

    /// Enters a call in the journal.
    pub fn record(&self, name: &str, arguments: Json, result: &Result<Output, tool::Error>, began: Instant) {
        let shown = match result {
            Ok(output) => output.value.preview(SHOWN),
            Err(error) => error.to_string(),
        };
        self.journal.emit(Event::ToolCalled {
            step: self.step.id,
            tool: name.to_owned(),
            arguments,
            result: shown,
            ok: result.is_ok(),
            by_script: false,
            ms: began.elapsed().as_secs_f64() * 1000.0,
        });
    }
}

/// Serves the host calls of a running script: questions go to the model in one batch, calls to the journal.
struct StepHost<'a> {
    step: StepId,
    journal: &'a crate::orchestrate::driver::Journal,
    runtime: tokio::runtime::Handle,
}

impl Host for StepHost<'_> {
    fn ask(&self, questions: &[String]) -> Result<Vec<String>, tool::Error> {
        let mind = &self.journal.run().mind;
        let calls: Vec<Call> = questions.iter().map(|question| asked(self.step, question)).collect();
        let replies = self.runtime.block_on(all(mind.as_ref(), calls));
        let mut answers = Vec::with_capacity(replies.len());
        for reply in replies {
            let reply = reply.map_err(|error| tool::Error::Failed(crate::orchestrate::chain(&error)))?;
            let (usage, text) = (reply.usage, reply.text.clone());
            self.journal.emit(Event::ModelCalled { step: Some(self.step), purpose: "ask".into(), usage, text });
            answers.push(reply.text.trim().to_owned());
        }
        Ok(answers)
    }

    fn record(&self, name: &str, arguments: &Json, result: &Json) {
        self.journal.emit(Event::ToolCalled {
            step: self.step,
            tool: name.to_owned(),
            arguments: arguments.clone(),
            result: tool::Value::Json(result.clone()).preview(SHOWN),
            ok: true,
            by_script: true,
            ms: 0.0,
        });
    }
}

fn asked(step: StepId, question: &str) -> Call {
    let system = "Answer the question from the text that it contains. Answer with the bare answer, nothing else.";
    Call {
        purpose: "ask",
        step: Some(step),
        messages: vec![Message::new(Role::System, system), Message::new(Role::User, question)],
        prefill: String::new(),
        grammar: None,
        sampling: Sampling::default(),
        stop: vec!["\n\n".into()],
        max_tokens: 120,
    }
}

/// Completes all calls at the same time; the engine decodes them in one batch.
pub async fn all(mind: &dyn Mind, calls: Vec<Call>) -> Vec<Result<Reply, mind::Error>> {
    let mut pending: Vec<_> = calls.into_iter().map(|call| (mind.complete(call), None)).collect();
    std::future::poll_fn(|context| {
        let mut is_over = true;
        for (future, reply) in &mut pending {
            if reply.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(done) => *reply = Some(done),
                    std::task::Poll::Pending => is_over = false,
                }
            }
        }
        if is_over { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    pending.into_iter().filter_map(|(_, reply)| reply).collect()
}

/// Asks for a result for each of `n_items`, all in one batch; those with faults are asked for again, together, until
/// `n_rounds` are over. Of each item the result with the fewest faults; `None` for one that `judge` never took or that the
/// model could not be asked about. A limit of the run ends the rounds: what is there by then is kept, if anything is.
///
/// `call` makes the call for an item and a round, `judge` tells the faults and the result of a reply.
pub async fn best_of_rounds<T: Send>(
    attempt: &Attempt<'_>,
    n_items: usize,
    n_rounds: u64,
    call: impl Fn(usize, u64) -> Call + Send + Sync,
    judge: impl Fn(usize, &Reply) -> Option<(usize, T)> + Send + Sync,
) -> Result<Vec<Option<T>>, Miss> {
    let mut best: Vec<Option<(usize, T)>> = std::iter::repeat_with(|| None).take(n_items).collect();
    for round in 0..n_rounds {
        let is_open = |i: &usize| best[*i].as_ref().is_none_or(|(n_faults, _)| *n_faults > 0);
        let open: Vec<usize> = (0..n_items).filter(is_open).collect();
        let calls: Vec<Call> = open.iter().map(|&i| call(i, round)).collect();
        let purposes: Vec<&str> = calls.iter().map(|call| call.purpose).collect();
        let replies = all(attempt.journal.run().mind.as_ref(), calls).await;
        for ((&i, purpose), reply) in open.iter().zip(purposes).zip(replies) {
            let reply = match reply {
                Ok(reply) => reply,
                Err(mind::Error::TooLong { .. } | mind::Error::CutOff { .. }) => continue,
                Err(mind::Error::Budget(_)) if best.iter().any(Option::is_some) => continue,
                Err(error) => return Err(error.into()),
            };
            attempt.said(purpose, &reply);
            if let Some((n_faults, result)) = judge(i, &reply)
                && best[i].as_ref().is_none_or(|(fewest, _)| n_faults < *fewest)
            {
                best[i] = Some((n_faults, result));
            }
        }
    }
    Ok(best.into_iter().map(|best| best.map(|(_, result)| result)).collect())
}
