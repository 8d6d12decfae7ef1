//! How far two models' next-token distributions are apart; shared by the parity bench and the parity tests.
//!
//! A golden file keeps, for some positions of a token sequence, the likeliest tokens of llama.cpp with their
//! log-probabilities, so that parity can be held where llama.cpp is not at hand.

// Each of the two programs that include this file uses a part of it.
#![allow(dead_code)]

use partita::cache::KvPool;
use partita::gguf::Gguf;
use partita::model::{Error, Model};
use partita::types::{BLOCK_TOKENS, Batch, BlockId, Span, Token};

/// Likeliest tokens that a golden file keeps per position.
pub const N_TOP: usize = 20;

/// Distances summed up over positions.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    pub n_positions: usize,
    pub n_same_top: usize,
    /// KL(reference || ours) in nats, one per position.
    pub kl: Vec<f64>,
}

impl Figures {
    /// Compares row by row; both `[n_positions, n_vocab]`.
    pub fn between(reference: &[f32], ours: &[f32], n_vocab: usize) -> Self {
        let mut figures = Self::default();
        for (reference, ours) in reference.chunks_exact(n_vocab).zip(ours.chunks_exact(n_vocab)) {
            figures.add(kl(reference, ours), top(reference) == top(ours));
        }
        figures
    }

    pub fn add(&mut self, kl: f64, same_top: bool) {
        self.n_positions += 1;
        self.n_same_top += usize::from(same_top);
        self.kl.push(kl);
    }

    pub fn mean_kl(&self) -> f64 {
        self.kl.iter().sum::<f64>() / self.kl.len() as f64
    }

    pub fn max_kl(&self) -> f64 {
        self.kl.iter().copied().fold(0.0, f64::max)
    }

    /// Share of positions at which both find the same token likeliest.
    pub fn top1(&self) -> f64 {
        self.n_same_top as f64 / self.n_positions as f64
    }
}

impl std::fmt::Display for Figures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (mean, max, top1) = (self.mean_kl(), self.max_kl(), 100.0 * self.top1());
        write!(f, "{:>5} positions  mean KL {mean:.6}  max KL {max:.5}  top-1 {top1:.2} %", self.n_positions)
    }
}

/// Natural logarithms of the probabilities.
pub fn log_softmax(logits: &[f32]) -> Vec<f64> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let total: f64 = logits.iter().map(|&x| f64::from(x - largest).exp()).sum();
    logits.iter().map(|&x| f64::from(x - largest) - total.ln()).collect()
}

/// Index of the first largest element.
pub fn top(logits: &[f32]) -> usize {
    (0..logits.len()).reduce(|best, i| if logits[i] > logits[best] { i } else { best }).unwrap_or(0)
}

/// KL(reference || ours) over the whole vocabulary.
pub fn kl(reference: &[f32], ours: &[f32]) -> f64 {
    let (p, q) = (log_softmax(reference), log_softmax(ours));
    p.iter().zip(&q).map(|(p, q)| p.exp() * (p - q)).sum::<f64>().max(0.0)
}

/// What llama.cpp says about some positions of a token sequence.
#[derive(Debug, Clone, PartialEq)]
pub struct Golden {
    pub tokens: Vec<Token>,
    /// Position, then tokens with their log-probabilities, likeliest first.
    pub rows: Vec<(usize, Vec<(Token, f32)>)>,
}

impl Golden {
    /// `logits`: `[tokens.len(), n_vocab]`; keeps every `step`th position.
    pub fn new(tokens: &[Token], logits: &[f32], step: usize) -> Self {
        let n_vocab = logits.len() / tokens.len();
        let row = |position: usize| {
            let probs = log_softmax(&logits[position * n_vocab..][..n_vocab]);
            let mut top: Vec<(Token, f32)> = probs.iter().enumerate().map(|(i, &p)| (i as Token, p as f32)).collect();
            top.sort_by(|a, b| b.1.total_cmp(&a.1));
            top.truncate(N_TOP);
            (position, top)
        };
        Self { tokens: tokens.to_vec(), rows: (step - 1..tokens.len()).step_by(step).map(row).collect() }
    }

    /// One line of tokens, then one line per position: `position token:log-probability …`.
    pub fn to_text(&self) -> String {
        let mut text = join(self.tokens.iter().map(Token::to_string)) + "\n";
        for (position, top) in &self.rows {
            text += &format!("{position} {}\n", join(top.iter().map(|(token, p)| format!("{token}:{p:.5}"))));
        }
        text
    }

    /// Name of the golden file of a model: its `general.name`, which does not depend on what the file is called.
    pub fn name(gguf: &Gguf) -> Option<String> {
        let name = gguf.metadata().find_str("general.name").ok()??.to_lowercase();
        Some(name.replace(|c: char| !c.is_ascii_alphanumeric(), "-"))
    }

    /// Reads `tests/data/golden/{name}.txt`.
    pub fn load(name: &str) -> Result<Self, String> {
        let path = format!("{}/tests/data/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).map_err(|e| format!("reading {path}: {e}"))?;
        Self::parse(&text).ok_or_else(|| format!("{path} is not a golden file"))
    }

    /// Reads what [`Golden::to_text`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let tokens = lines.next()?.split(' ').map(|token| token.parse().ok()).collect::<Option<_>>()?;
        let entry = |entry: &str| {
            let (token, p) = entry.split_once(':')?;
            Some((token.parse().ok()?, p.parse().ok()?))
        };
        let row = |line: &str| {
            let (position, top) = line.split_once(' ')?;
            Some((position.parse().ok()?, top.split(' ').map(entry).collect::<Option<_>>()?))
        };
        Some(Self { tokens, rows: lines.map(row).collect::<Option<_>>()? })
    }

    /// Compares with `ours`, `[tokens.len(), n_vocab]`; what is not among the likeliest counts as one outcome.
    pub fn compare(&self, ours: &[f32]) -> Figures {
        let n_vocab = ours.len() / self.tokens.len();
        let mut figures = Figures::default();
        for (position, reference) in &self.rows {
            let logits = &ours[position * n_vocab..][..n_vocab];
            let q = log_softmax(logits);
            let (mut kl, mut p_rest, mut q_rest) = (0.0, 1.0, 1.0);
            for &(token, p) in reference {
                let (p, q) = (f64::from(p), q[token as usize]);
                kl += p.exp() * (p - q);
                p_rest -= p.exp();
                q_rest -= q.exp();
            }
            if p_rest > 1e-6 {
                kl += p_rest * (p_rest / q_rest.max(1e-12)).ln();
            }
            figures.add(kl.max(0.0), top(logits) == reference[0].0 as usize);
        }
        figures
    }
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(" ")
}

/// The logits of every position, `[tokens.len(), n_vocab]`, computed in chunks of `chunk` tokens.
pub fn all_logits(model: &Model, tokens: &[Token], chunk: usize) -> Result<Vec<f32>, Error> {
    let n_blocks = tokens.len().div_ceil(BLOCK_TOKENS);
    let mut pool = KvPool::new(model.kv_shape(), n_blocks);
    let blocks: Vec<BlockId> = (0..n_blocks as u32).map(BlockId).collect();
    let mut rows = Vec::new();
    for (i, part) in tokens.chunks(chunk).enumerate() {
        let span = Span {
            start: i * chunk,
            n_tokens: part.len(),
            blocks: blocks.clone(),
            logit_rows: (0..part.len()).collect(),
        };
        rows.extend(model.forward(&Batch { tokens: part.to_vec(), spans: vec![span] }, &mut pool)?.rows);
    }
    Ok(rows)
}
