//! Prefill, decode, and decode of many sequences at once.
//!
//! - `ppN`: N new tokens to the first token drawn.
//! - `tgN`: N tokens drawn one after the other, from a prompt of one token.
//! - `tgN@bB`: N tokens drawn by each of B sequences that share a prompt which is computed already; the total rate.
//!
//! Greedy, and end tokens are never drawn, so that every case has the length it says.

use std::time::Instant;

use super::{Error, Peer, Row};
use crate::engine::{Engine, Prompt, Request};
use crate::sample::Random;
use crate::types::Token;

/// What to measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelBench {
    /// Tokens of a prompt, the shared one of the wide cases included.
    pub n_prompt: usize,
    /// Tokens to generate.
    pub n_generate: usize,
    /// Numbers of sequences of the wide cases.
    pub widths: Vec<usize>,
    /// How often to measure each case.
    pub n_samples: usize,
}

impl Default for ModelBench {
    fn default() -> Self {
        Self { n_prompt: 512, n_generate: 64, widths: vec![1, 4, 8, 16], n_samples: 3 }
    }
}

/// One thing that can be timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    Prefill,
    Decode,
    Wide(usize),
}

struct Bench<'a> {
    engine: &'a Engine,
    plan: &'a ModelBench,
    random: Random,
}

/// Measures, telling after every sample how many of how many are done.
///
/// # Errors
/// A case that does not fit the model, and whatever stops the engine or the peer.
pub fn run_model(
    engine: &Engine,
    mut peer: Option<Peer>,
    plan: &ModelBench,
    report: &mut dyn FnMut(usize, usize),
) -> Result<Vec<Row>, Error> {
    let cases: Vec<Case> =
        [Case::Prefill, Case::Decode].into_iter().chain(plan.widths.iter().map(|&width| Case::Wide(width))).collect();
    plan.check(&cases, engine.n_ctx())?;
    let mut bench = Bench { engine, plan, random: Random::new(7) };
    let mut ours = vec![Vec::new(); cases.len()];
    let mut theirs = vec![Vec::new(); cases.len()];
    bench.warm_up()?;
    for round in 0..plan.n_samples {
        for (i, &case) in cases.iter().enumerate() {
            ours[i].push(bench.time(case)?);
            if let Some(peer) = &mut peer {
                theirs[i].extend(bench.time_peer(peer, case)?);
            }
            report(round * cases.len() + i + 1, plan.n_samples * cases.len());
        }
    }
    let rows = |name, seconds: &[Vec<f64>]| -> Vec<Row> {
        let measured = cases.iter().zip(seconds).filter(|(_, seconds)| !seconds.is_empty());
        measured.map(|(case, seconds)| Row::new(&plan.name(*case), name, plan.n_tokens(*case), seconds)).collect()
    };
    Ok([rows("partita", &ours), rows("candle", &theirs)].concat())
}

impl ModelBench {
    fn name(&self, case: Case) -> String {
        match case {
            Case::Prefill => format!("pp{}", self.n_prompt),
            Case::Decode => format!("tg{}", self.n_generate),
            Case::Wide(width) => format!("tg{}@b{width}", self.n_generate),
        }
    }

    /// Tokens that one sample of a case moves.
    fn n_tokens(&self, case: Case) -> usize {
        match case {
            Case::Prefill => self.n_prompt,
            Case::Decode => self.n_generate,
            Case::Wide(width) => self.n_generate * width,
        }
    }

    fn check(&self, cases: &[Case], n_ctx: usize) -> Result<(), Error> {
        let n_narrowest = self.widths.iter().copied().min().unwrap_or(1);
        for (what, n) in [
            ("the number of prompt tokens", self.n_prompt),
            ("the number of tokens to generate", self.n_generate),
            ("the number of samples", self.n_samples),
            ("the number of sequences", n_narrowest),
        ] {
            if n == 0 {
                return Err(Error::Zero { what });
            }
        }
        for &case in cases {
            let needed = match case {
                Case::Prefill => self.n_prompt,
                Case::Decode => 1 + self.n_generate,
                Case::Wide(_) => self.n_prompt + self.n_generate,
            };
            if needed > n_ctx {
                return Err(Error::Context { test: self.name(case), needed, n_ctx });
            }
        }
        Ok(())
    }
}

impl Bench<'_> {
    /// Seconds of one sample.
    fn time(&mut self, case: Case) -> Result<f64, Error> {
        let n_generate = self.plan.n_generate;
        match case {
            Case::Prefill => {
                let prompt = self.noise(self.plan.n_prompt);
                self.time_requests(vec![request(prompt, 1)])
            }
            Case::Decode => {
                let prompt = self.noise(1);
                self.time_requests(vec![request(prompt, n_generate)])
            }
            Case::Wide(width) => {
                let shared = self.noise(self.plan.n_prompt - 1);
                if !shared.is_empty() {
                    self.time_requests(vec![request(shared.clone(), 1)])?;
                }
                // Each sequence begins with a token of its own, so that they do not say the same.
                let prompts = (0..width).map(|_| [shared.clone(), self.noise(1)].concat());
                let requests = prompts.map(|prompt| request(prompt, n_generate)).collect();
                self.time_requests(requests)
            }
        }
    }

    /// Seconds of one sample of the peer, or nothing where it has no such case.
    fn time_peer(&mut self, peer: &mut Peer, case: Case) -> Result<Option<f64>, Error> {
        match case {
            Case::Prefill => {
                let prompt = self.noise(self.plan.n_prompt);
                peer.time_prefill(&prompt).map(Some)
            }
            Case::Decode => {
                let prompt = self.noise(1);
                peer.time_decode(prompt[0], self.plan.n_generate).map(Some)
            }
            Case::Wide(_) => Ok(None),
        }
    }

    fn warm_up(&mut self) -> Result<(), Error> {
        let prompt = self.noise(self.plan.n_prompt.min(32));
        self.time_requests(vec![request(prompt, 2)]).map(|_| ())
    }

    fn time_requests(&self, requests: Vec<Request>) -> Result<f64, Error> {
        let started = Instant::now();
        for stream in self.engine.submit_all(requests)? {
            stream.finish_blocking()?;
        }
        Ok(started.elapsed().as_secs_f64())
    }

    /// Tokens that stand for text; the first one is new in every prompt of a run, as far as the vocabulary goes.
    fn noise(&mut self, n: usize) -> Vec<Token> {
        let tokenizer = self.engine.tokenizer();
        let n_vocab = tokenizer.n_vocab() as u64;
        let mut draw = || loop {
            let token = (self.random.next_u64() % n_vocab) as Token;
            if !tokenizer.is_control(token) {
                return token;
            }
        };
        (0..n).map(|_| draw()).collect()
    }
}

fn request(prompt: Vec<Token>, max_tokens: usize) -> Request {
    Request { ignore_end: true, ..Request::new(Prompt::Tokens(prompt), max_tokens) }
}
