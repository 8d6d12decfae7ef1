//! Prefill, and decode of one or many sequences at some depth.
//!
//! - `ppN`: N new tokens to the first token drawn.
//! - `tgN`: N tokens drawn one after the other, from a prompt of one token.
//! - `tgN@bB`: N tokens drawn by each of B sequences whose shared prompt is computed already; the total rate.
//! - `/dD` after it: the prompt has D tokens, where that is not the usual number; 0 stands for one token of their own.
//! - `/own` after it: every sequence has a prompt of its own, which is computed already as well.
//!
//! Greedy, and end tokens are never drawn, so that every case has the length it says. The engine should draft nothing: how
//! often a text repeats itself says nothing of a machine.

use std::time::Instant;

use serde::Serialize;

use super::{Error, Peer, Row};
use crate::engine::{Engine, Prompt, Request};
use crate::sample::Random;
use crate::types::{BLOCK_TOKENS, Token};

/// What to measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelBench {
    /// Tokens of the prompts whose prefill is measured.
    pub prompts: Vec<usize>,
    /// Tokens to generate.
    pub n_generate: usize,
    /// Numbers of sequences that decode at once.
    pub widths: Vec<usize>,
    /// Tokens that are there when they begin to decode.
    pub depths: Vec<usize>,
    /// Whose these tokens are.
    pub prefixes: Vec<Prefix>,
    /// The depth that the names of shared cases leave out.
    pub plain_depth: usize,
    /// How often to measure each case.
    pub n_samples: usize,
}

/// Whose tokens come before what sequences decode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Prefix {
    /// All have the same.
    Shared,
    /// Each has others.
    Own,
}

impl Default for ModelBench {
    /// A choice that takes a minute or two on a small model.
    fn default() -> Self {
        Self {
            prompts: vec![128, 512],
            n_generate: 64,
            widths: vec![1, 4, 8, 16],
            depths: vec![0, 512],
            prefixes: vec![Prefix::Shared],
            plain_depth: 512,
            n_samples: 3,
        }
    }
}

impl ModelBench {
    /// Every length, width, depth and prefix.
    pub fn full() -> Self {
        Self {
            prompts: vec![128, 512, 2048],
            widths: vec![1, 2, 4, 8, 16, 32],
            depths: vec![0, 512, 2048],
            prefixes: vec![Prefix::Shared, Prefix::Own],
            ..Self::default()
        }
    }
}

/// One thing that can be timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Case {
    /// Tokens of the prompt.
    Prefill(usize),
    Decode {
        width: usize,
        depth: usize,
        prefix: Prefix,
    },
}

/// The case that a peer has as well.
const ALONE: Case = Case::Decode { width: 1, depth: 0, prefix: Prefix::Own };

struct Bench<'a> {
    engine: &'a Engine,
    plan: &'a ModelBench,
    random: Random,
    /// What sequences have before they decode: the beginning of one of these, as deep as the case says.
    texts: Vec<Vec<Token>>,
}

/// Measures, telling after every sample how many of how many are done.
///
/// # Errors
/// A case that does not fit the model or the KV memory, and whatever stops the engine or the peer.
pub fn run_model(
    engine: &Engine,
    mut peer: Option<Peer>,
    plan: &ModelBench,
    report: &mut dyn FnMut(usize, usize),
) -> Result<Vec<Row>, Error> {
    let cases = plan.cases();
    plan.check(&cases, engine.n_ctx())?;
    let mut bench = Bench { engine, plan, random: Random::new(7), texts: Vec::new() };
    let mut ours = vec![Vec::new(); cases.len()];
    let mut theirs = vec![Vec::new(); cases.len()];
    bench.warm_up()?;
    plan.check_memory(&cases, bench.n_kv())?;
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
        measured.map(|(&case, seconds)| plan.row(case, name, seconds)).collect()
    };
    Ok([rows("partita", &ours), rows("candle", &theirs)].concat())
}

impl ModelBench {
    fn cases(&self) -> Vec<Case> {
        let mut cases: Vec<Case> = self.prompts.iter().map(|&n_prompt| Case::Prefill(n_prompt)).collect();
        for &depth in &self.depths {
            if depth == 0 {
                cases.push(ALONE);
                let others = self.widths.iter().filter(|&&width| width != 1);
                cases.extend(others.map(|&width| Case::Decode { width, depth, prefix: Prefix::Own }));
                continue;
            }
            for &prefix in &self.prefixes {
                cases.extend(self.widths.iter().map(|&width| Case::Decode { width, depth, prefix }));
            }
        }
        cases
    }

    fn name(&self, case: Case) -> String {
        let (width, depth, prefix) = match case {
            Case::Prefill(n_prompt) => return format!("pp{n_prompt}"),
            ALONE => return format!("tg{}", self.n_generate),
            Case::Decode { width, depth, prefix } => (width, depth, prefix),
        };
        let own = if prefix == Prefix::Own && depth > 0 { "/own" } else { "" };
        let is_plain = depth == self.plain_depth && own.is_empty();
        let depth = if is_plain { String::new() } else { format!("/d{depth}") };
        format!("tg{}@b{width}{depth}{own}", self.n_generate)
    }

    fn row(&self, case: Case, engine: &'static str, seconds: &[f64]) -> Row {
        let row = Row::new(&self.name(case), engine, self.n_tokens(case), seconds);
        match case {
            Case::Prefill(_) => row,
            Case::Decode { width, depth, prefix } => row.of(width, depth, (depth > 0).then_some(prefix)),
        }
    }

    /// Tokens that one sample of a case moves.
    fn n_tokens(&self, case: Case) -> usize {
        match case {
            Case::Prefill(n_prompt) => n_prompt,
            Case::Decode { width, .. } => self.n_generate * width,
        }
    }

    /// Tokens that one sequence of a case has in the end.
    fn n_context(&self, case: Case) -> usize {
        match case {
            Case::Prefill(n_prompt) => n_prompt,
            Case::Decode { depth, .. } => depth.max(1) + self.n_generate,
        }
    }

    /// Tokens of KV memory that a case takes, in whole blocks.
    fn n_held(&self, case: Case) -> usize {
        let whole = |n: usize| n.next_multiple_of(BLOCK_TOKENS);
        match case {
            Case::Prefill(n_prompt) => whole(n_prompt),
            Case::Decode { width, prefix: Prefix::Own, .. } => width * whole(self.n_context(case)),
            // The block in which the sequences part is copied for each.
            Case::Decode { width, depth, .. } => whole(depth) + width * (BLOCK_TOKENS + whole(self.n_generate)),
        }
    }

    fn check(&self, cases: &[Case], n_ctx: usize) -> Result<(), Error> {
        let least = |numbers: &[usize]| numbers.iter().copied().min().unwrap_or(1);
        for (what, n) in [
            ("the number of prompt tokens", least(&self.prompts)),
            ("the number of tokens to generate", self.n_generate),
            ("the number of samples", self.n_samples),
            ("the number of sequences", least(&self.widths)),
            ("the number of cases", cases.len()),
        ] {
            if n == 0 {
                return Err(Error::Zero { what });
            }
        }
        let needed = |case: &Case| self.n_context(*case);
        match cases.iter().find(|case| needed(case) > n_ctx) {
            Some(case) => Err(Error::Context { test: self.name(*case), needed: needed(case), n_ctx }),
            None => Ok(()),
        }
    }

    fn check_memory(&self, cases: &[Case], n_kv: usize) -> Result<(), Error> {
        let needed = |case: &Case| self.n_held(*case);
        match cases.iter().find(|case| needed(case) > n_kv) {
            Some(case) => Err(Error::Memory { test: self.name(*case), needed: needed(case), n_kv }),
            None => Ok(()),
        }
    }
}

impl Bench<'_> {
    /// Seconds of one sample.
    fn time(&mut self, case: Case) -> Result<f64, Error> {
        match case {
            Case::Prefill(n_prompt) => {
                let prompt = self.noise(n_prompt);
                self.time_requests(vec![request(prompt, 1)])
            }
            Case::Decode { width, depth, prefix } => {
                let before = self.prefixes(width, depth.saturating_sub(1), prefix)?;
                // Each sequence begins with a token of its own, so that they do not say the same.
                let prompts: Vec<_> = before.into_iter().map(|prefix| [prefix, self.noise(1)].concat()).collect();
                let n_generate = self.plan.n_generate;
                let n_prefilled = self.engine.stats().n_prefilled;
                let requests = prompts.into_iter().map(|prompt| request(prompt, n_generate)).collect();
                let seconds = self.time_requests(requests)?;
                let n_computed = self.engine.stats().n_prefilled - n_prefilled;
                // Prompts that had to make room for each other were computed within the time that was measured.
                if n_computed as usize > width * BLOCK_TOKENS {
                    let (test, needed) = (self.plan.name(case), self.plan.n_held(case));
                    return Err(Error::Memory { test, needed, n_kv: self.n_kv() });
                }
                Ok(seconds)
            }
        }
    }

    /// The first `n_tokens` of so many sequences, whose keys and values are there when this returns.
    fn prefixes(&mut self, width: usize, n_tokens: usize, prefix: Prefix) -> Result<Vec<Vec<Token>>, Error> {
        if n_tokens == 0 {
            return Ok(vec![Vec::new(); width]);
        }
        let n_texts = if prefix == Prefix::Shared { 1 } else { width };
        let deepest = self.plan.depths.iter().copied().max().unwrap_or(0);
        while self.texts.len() < n_texts {
            let text = self.noise(deepest);
            self.texts.push(text);
        }
        let prefixes: Vec<Vec<Token>> = self.texts[..n_texts].iter().map(|text| text[..n_tokens].to_vec()).collect();
        self.time_requests(prefixes.iter().map(|prefix| request(prefix.clone(), 0)).collect())?;
        Ok(prefixes.into_iter().cycle().take(width).collect())
    }

    /// Seconds of one sample of the peer, or nothing where it has no such case.
    fn time_peer(&mut self, peer: &mut Peer, case: Case) -> Result<Option<f64>, Error> {
        match case {
            Case::Prefill(n_prompt) => {
                let prompt = self.noise(n_prompt);
                peer.time_prefill(&prompt).map(Some)
            }
            ALONE => {
                let prompt = self.noise(1);
                peer.time_decode(prompt[0], self.plan.n_generate).map(Some)
            }
            Case::Decode { .. } => Ok(None),
        }
    }

    /// Tokens of KV memory, as far as the engine has told: it has after a pass.
    fn n_kv(&self) -> usize {
        self.engine.stats().kv_blocks_total * BLOCK_TOKENS
    }

    fn warm_up(&mut self) -> Result<(), Error> {
        let n_prompt = self.plan.prompts.first().copied().unwrap_or(1);
        let prompt = self.noise(n_prompt.min(32));
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
