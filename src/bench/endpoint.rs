//! The same workflow through an OpenAI-compatible server: `POST /v1/completions` with token ids as the prompt.
//!
//! What was computed is read from the server's own figures: llama-server's `timings.prompt_n`, or the usage's prompt
//! tokens without the cached ones. Where a server does not return the ids that it generated, ids of the same number
//! stand for them in the prompts that follow.
//!
//! The HTTP client is async; nothing outside this file sees that.
//! Must not know: the workflow's phases, our own engine.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use serde_json::{Value as Json, json};

use super::Error;
use super::workflow::{Completed, Completer, Totals, WorkflowBench, WorkflowReport, ids, measure};
use crate::sample::Random;
use crate::types::Token;

/// Longer than any sensible request takes.
const TIMEOUT: Duration = Duration::from_secs(1800);

/// Measures the workflow on the server at `url`, which may end in `/v1` or not.
///
/// # Errors
/// [`Error::Endpoint`] for a server that cannot be reached or answers something else.
pub fn run_workflow_at(
    url: &str,
    model: &str,
    plan: &WorkflowBench,
    report: &mut dyn FnMut(usize, usize),
) -> Result<WorkflowReport, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::Endpoint(error.to_string()))?;
    let client = reqwest::Client::builder().timeout(TIMEOUT).build().map_err(|error| fault(&error))?;
    let base = url.trim_end_matches('/').trim_end_matches("/v1");
    let url = format!("{base}/v1/completions");
    let random = Random::new(11);
    measure(&mut Endpoint { runtime, client, url, model: model.to_owned(), n_prefilled: 0, random }, plan, report)
}

struct Endpoint {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    url: String,
    model: String,
    n_prefilled: u64,
    random: Random,
}

impl Completer for Endpoint {
    fn complete(&mut self, prompts: Vec<Vec<Token>>, n_output: usize) -> Result<Vec<Completed>, Error> {
        let bodies = prompts.iter().map(|prompt| body(&self.model, prompt, n_output));
        let requests: Vec<_> = bodies
            .map(|body| self.client.post(&self.url).header(CONTENT_TYPE, "application/json").body(body.to_string()))
            .collect();
        let answers = self.runtime.block_on(async {
            let tasks: Vec<_> = requests.into_iter().map(|request| tokio::spawn(send(request))).collect();
            let mut answers = Vec::new();
            for task in tasks {
                answers.push(task.await.map_err(|error| Error::Endpoint(error.to_string()))??);
            }
            Ok::<_, Error>(answers)
        })?;
        let mut completed = Vec::new();
        for answer in &answers {
            self.n_prefilled += n_prefilled(answer)
                .ok_or_else(|| Error::Endpoint("the answer has neither timings nor usage".into()))?;
            let tokens = tokens(answer).unwrap_or_default();
            let is_whole = tokens.len() == n_output;
            let tokens = if is_whole { tokens } else { ids(&mut self.random, n_output) };
            completed.push(Completed { tokens, times: Vec::new() });
        }
        Ok(completed)
    }

    fn totals(&self) -> Totals {
        Totals { n_prefilled: self.n_prefilled, ..Totals::default() }
    }

    fn name(&self) -> String {
        self.url.clone()
    }
}

/// Greedy, of exactly `n_output` tokens where the server knows how to ignore end tokens.
fn body(model: &str, prompt: &[Token], n_output: usize) -> Json {
    json!({
        "model": model, "prompt": prompt, "max_tokens": n_output, "temperature": 0, "ignore_eos": true,
        "cache_prompt": true, "return_tokens": true, "stream": false,
    })
}

async fn send(request: reqwest::RequestBuilder) -> Result<Json, Error> {
    let response = request.send().await.map_err(|error| fault(&error))?;
    let status = response.status();
    let text = response.text().await.map_err(|error| fault(&error))?;
    if !status.is_success() {
        let start: String = text.chars().take(200).collect();
        return Err(Error::Endpoint(format!("answered {status}: {start}")));
    }
    serde_json::from_str(&text).map_err(|error| Error::Endpoint(format!("the answer is not JSON: {error}")))
}

fn n_prefilled(answer: &Json) -> Option<u64> {
    let usage = &answer["usage"];
    let cached = usage["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap_or(0);
    answer["timings"]["prompt_n"].as_u64().or_else(|| Some(usage["prompt_tokens"].as_u64()?.saturating_sub(cached)))
}

/// Generated ids, where servers put them.
fn tokens(answer: &Json) -> Option<Vec<Token>> {
    let choice = &answer["choices"][0];
    let listed = [&answer["tokens"], &answer["__verbose"]["tokens"], &choice["tokens"], &choice["token_ids"]];
    let listed = listed.into_iter().find_map(|ids| ids.as_array().filter(|ids| !ids.is_empty()))?;
    listed.iter().map(|id| id.as_u64().and_then(|id| Token::try_from(id).ok())).collect()
}

/// The deepest reason, which says what is wrong with the address or the server.
fn fault(error: &reqwest::Error) -> Error {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    Error::Endpoint(deepest.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_where_servers_put_them() {
        let llama =
            json!({"timings": {"prompt_n": 12}, "usage": {"prompt_tokens": 90}, "__verbose": {"tokens": [5, 6]}});
        assert_eq!((n_prefilled(&llama), tokens(&llama)), (Some(12), Some(vec![5, 6])));
        let other = json!({"usage": {"prompt_tokens": 90, "prompt_tokens_details": {"cached_tokens": 64}}});
        assert_eq!((n_prefilled(&other), tokens(&other)), (Some(26), None));
        assert_eq!(n_prefilled(&json!({})), None);
    }

    #[test]
    fn a_server_that_is_not_there_is_named() {
        // Port 9 of this machine: nobody listens there in a test environment, and nothing leaves the machine.
        let plan = WorkflowBench { n_executors: 1, n_prefix: 4, n_tail: 1, n_output: 1, ..WorkflowBench::default() };
        let error = run_workflow_at("http://127.0.0.1:9/v1", "any", &plan, &mut |_, _| ()).unwrap_err();
        assert!(matches!(error, Error::Endpoint(_)), "{error}");
    }
}
