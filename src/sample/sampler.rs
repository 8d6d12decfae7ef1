//! One sequence's way from logits to a token.
//!
//! Order: mask → log-probabilities → repetition penalty → temperature → top-k → min-p → top-p → draw. The reported
//! log-probabilities are those of the masked distribution as the model gave it, before penalty and temperature, so
//! they compare across settings. Where a mask allows few tokens, all steps run over these alone, whether or not the other
//! logits are there: which way is taken depends on the mask only, so the draw is the same. No full sort: candidates are
//! gathered from the top in widening bands until enough of them are there, which is the first band for nearly every
//! token a language model draws.
//!
//! Sources: top-p, arXiv:1904.09751; min-p, arXiv:2407.01082; repetition penalty, arXiv:1909.05858.

use std::collections::VecDeque;

use super::{Allowed, Error, Random, numeric};
use crate::types::{Sampling, Token};

/// How many of the latest tokens the repetition penalty looks at.
const PENALTY_WINDOW: usize = 64;
/// Widths of the bands below the best logit, in units of the temperature; the last band holds everything.
const BANDS: [f32; 11] = [3.0, 5.0, 8.0, 11.0, 14.0, 18.0, 24.0, 32.0, 50.0, 88.0, f32::INFINITY];

/// A drawn token.
#[derive(Debug, Clone, PartialEq)]
pub struct Pick {
    /// The token.
    pub token: Token,
    /// Its log-probability in the masked distribution, before penalty and temperature.
    pub logprob: f32,
    /// The likeliest tokens of that distribution, best first, with their log-probabilities.
    pub top: Vec<(Token, f32)>,
}

/// Draws the tokens of one sequence.
#[derive(Debug, Clone)]
pub struct Sampler {
    sampling: Sampling,
    random: Random,
    recent: VecDeque<Token>,
    candidates: Vec<(f32, Token)>,
}

impl Sampler {
    /// A sampler in its first state.
    ///
    /// # Errors
    /// [`Error::Option`] if an option is outside its range.
    pub fn new(sampling: &Sampling) -> Result<Self, Error> {
        let s = sampling;
        for (option, ok, expected, found) in [
            ("temperature", s.temperature.is_finite() && s.temperature >= 0.0, "0 or more", s.temperature),
            ("top_p", s.top_p > 0.0 && s.top_p <= 1.0, "more than 0 and at most 1", s.top_p),
            ("min_p", (0.0..=1.0).contains(&s.min_p), "0 to 1", s.min_p),
            (
                "repetition_penalty",
                s.repetition_penalty.is_finite() && s.repetition_penalty > 0.0,
                "more than 0",
                s.repetition_penalty,
            ),
        ] {
            if !ok {
                return Err(Error::Option { option, expected, found: found.to_string() });
            }
        }
        Ok(Self {
            sampling: sampling.clone(),
            random: Random::new(sampling.seed),
            recent: VecDeque::with_capacity(PENALTY_WINDOW),
            candidates: Vec::new(),
        })
    }

    /// Notes a token of the sequence (of its prompt too) for the repetition penalty.
    pub fn accept(&mut self, token: Token) {
        if self.recent.len() == PENALTY_WINDOW {
            self.recent.pop_front();
        }
        self.recent.push_back(token);
    }

    /// Draws the next token. `logits` (one per token id) are scratch space afterwards.
    ///
    /// # Errors
    /// [`Error::NoCandidate`] if no allowed token has a finite logit.
    pub fn pick(&mut self, logits: &mut [f32], allowed: Option<&Allowed>) -> Result<Pick, Error> {
        match allowed {
            None => self.pick_named(logits, Names(None)),
            Some(Allowed::Many(mask)) => {
                mask.apply(logits);
                self.pick_named(logits, Names(None))
            }
            Some(Allowed::Few(tokens)) => {
                let n_there = tokens.partition_point(|&token| (token as usize) < logits.len());
                let tokens = &tokens[..n_there];
                let mut few: Vec<f32> = tokens.iter().map(|&token| logits[token as usize]).collect();
                self.pick_among(tokens, &mut few)
            }
        }
    }

    /// Draws one of `tokens`, ascending; `logits` holds theirs alone and is scratch space afterwards. A single token is
    /// certain whatever its logit, and needs none.
    ///
    /// # Errors
    /// As [`Sampler::pick`].
    pub fn pick_among(&mut self, tokens: &[Token], logits: &mut [f32]) -> Result<Pick, Error> {
        match tokens {
            [_] => self.pick_named(&mut [0.0], Names(Some(tokens))),
            _ => self.pick_named(logits, Names(Some(tokens))),
        }
    }

    fn pick_named(&mut self, logits: &mut [f32], names: Names<'_>) -> Result<Pick, Error> {
        numeric::sanitize(logits);
        let max = numeric::max(logits);
        if max == f32::NEG_INFINITY {
            return Err(Error::NoCandidate { n_logits: logits.len() });
        }
        let normalizer = max + numeric::sum_exp(logits, max, 1.0).ln() as f32;
        let mut top = self.top(logits, max, normalizer);
        top.iter_mut().for_each(|(token, _)| *token = names.token(*token));
        let unpenalized = self.penalize(logits, names);
        let drawn = self.draw(logits)?;
        let logit = unpenalized.iter().find(|(at, _)| *at == drawn).map_or(logits[drawn as usize], |(_, logit)| *logit);
        Ok(Pick { token: names.token(drawn), logprob: logit - normalizer, top })
    }

    fn top(&mut self, logits: &[f32], max: f32, normalizer: f32) -> Vec<(Token, f32)> {
        let n = self.sampling.n_logprobs;
        if n == 0 {
            return Vec::new();
        }
        gather(logits, &mut self.candidates, |width| max - width, |found| found.len() >= n);
        keep_best(&mut self.candidates, n);
        self.candidates.iter().map(|&(logit, token)| (token, logit - normalizer)).collect()
    }

    /// Applies the repetition penalty and returns the places and the logits that it replaced.
    fn penalize(&self, logits: &mut [f32], names: Names<'_>) -> Vec<(Token, f32)> {
        let penalty = self.sampling.repetition_penalty;
        let mut replaced: Vec<(Token, f32)> = Vec::new();
        if penalty == 1.0 {
            return replaced;
        }
        for &token in &self.recent {
            let Some(at) = names.find(token) else { continue };
            let Some(logit) = logits.get_mut(at as usize) else { continue };
            if replaced.iter().any(|(seen, _)| *seen == at) {
                continue;
            }
            replaced.push((at, *logit));
            *logit = if *logit > 0.0 { *logit / penalty } else { *logit * penalty };
        }
        replaced
    }

    /// The place of the drawn logit.
    fn draw(&mut self, logits: &[f32]) -> Result<Token, Error> {
        let best = numeric::argmax(logits).ok_or(Error::NoCandidate { n_logits: logits.len() })?;
        let Sampling { temperature, top_k, top_p, min_p, .. } = self.sampling;
        // A temperature whose inverse is not a number is as good as 0.
        let scale = temperature.recip();
        if temperature == 0.0 || !scale.is_finite() {
            return Ok(best as Token);
        }
        let max = logits[best];
        let unit = self.random.next_unit();
        if top_k == 0 && top_p == 1.0 && min_p == 0.0 {
            let total = numeric::sum_exp(logits, max, scale);
            let weighted = logits.iter().zip(0..).map(|(&x, token)| (numeric::exp((x - max) * scale), token));
            return Ok(walk(weighted, unit * total).unwrap_or(best as Token));
        }
        self.shortlist(logits, max, scale);
        let total = mass(&self.candidates);
        Ok(walk(self.candidates.iter().copied(), unit * total).unwrap_or(best as Token))
    }

    /// Leaves the tokens that pass top-k, min-p and top-p in `candidates`, best first, with weights relative to the
    /// best token's.
    fn shortlist(&mut self, logits: &[f32], max: f32, scale: f32) {
        let Sampling { top_k, top_p, min_p, .. } = self.sampling;
        let weight = |x: f32| numeric::exp((x - max) * scale);
        // Alone, top-p needs the mass of the whole vocabulary; after top-k or min-p it speaks about what they left.
        let is_nucleus = top_k == 0 && min_p == 0.0;
        let needed = if is_nucleus { f64::from(top_p) * numeric::sum_exp(logits, max, scale) } else { 0.0 };
        let enough = |found: &[(f32, Token)]| match top_k {
            0 if is_nucleus => found.iter().map(|&(x, _)| f64::from(weight(x))).sum::<f64>() >= needed,
            0 => false,
            k => found.len() >= k,
        };
        // No token below the min-p line is needed, however few lie above it. The line is rounded down; the exact
        // test follows.
        let line = if min_p > 0.0 { max + min_p.ln() / scale - 1e-3 * (1.0 + max.abs()) } else { f32::NEG_INFINITY };
        gather(logits, &mut self.candidates, |width| (max - width / scale).max(line), enough);
        keep_best(&mut self.candidates, if top_k == 0 { usize::MAX } else { top_k });
        for candidate in &mut self.candidates {
            candidate.0 = weight(candidate.0);
        }
        self.candidates.retain(|c| c.0 >= min_p);
        if top_p < 1.0 {
            let target = if is_nucleus { needed } else { f64::from(top_p) * mass(&self.candidates) };
            let mut sum = 0.0;
            let last = self.candidates.iter().position(|c| {
                sum += f64::from(c.0);
                sum >= target
            });
            self.candidates.truncate(last.map_or(usize::MAX, |last| last + 1));
        }
    }
}

/// Which tokens the logits belong to: these, ascending, or every logit to the token whose id is its place.
#[derive(Clone, Copy)]
struct Names<'a>(Option<&'a [Token]>);

impl Names<'_> {
    fn token(self, at: Token) -> Token {
        self.0.map_or(at, |tokens| tokens[at as usize])
    }

    fn find(self, token: Token) -> Option<Token> {
        self.0.map_or(Some(token), |tokens| tokens.binary_search(&token).ok().map(|at| at as Token))
    }
}

/// The sum of the weights.
fn mass(candidates: &[(f32, Token)]) -> f64 {
    candidates.iter().map(|c| f64::from(c.0)).sum()
}

/// Collects the tokens above a floor that `floor` lowers band by band, until they are `enough` or all.
fn gather(
    logits: &[f32],
    found: &mut Vec<(f32, Token)>,
    floor: impl Fn(f32) -> f32,
    enough: impl Fn(&[(f32, Token)]) -> bool,
) {
    let mut last = f32::INFINITY;
    for width in BANDS {
        let next = floor(width);
        if next == last {
            return;
        }
        numeric::collect_from(logits, next, found);
        if enough(found) {
            return;
        }
        last = next;
    }
}

/// Higher values first, lower ids first among equals.
fn best_first(a: &(f32, Token), b: &(f32, Token)) -> std::cmp::Ordering {
    b.0.total_cmp(&a.0).then(a.1.cmp(&b.1))
}

/// Keeps the `n` best candidates, sorted.
fn keep_best(candidates: &mut Vec<(f32, Token)>, n: usize) {
    if candidates.len() > n {
        candidates.select_nth_unstable_by(n, best_first);
        candidates.truncate(n);
    }
    candidates.sort_unstable_by(best_first);
}

/// The token at which the running sum of the weights passes `target`; the last one with any weight if none does.
fn walk(weighted: impl Iterator<Item = (f32, Token)>, target: f64) -> Option<Token> {
    let mut mass = 0.0_f64;
    let mut last = None;
    for (weight, token) in weighted.filter(|(weight, _)| *weight > 0.0) {
        mass += f64::from(weight);
        last = Some(token);
        if mass > target {
            break;
        }
    }
    last
}
