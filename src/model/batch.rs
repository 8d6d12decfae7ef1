//! Checks a batch against a model and a pool before anything is computed.
//!
//! Invariant: a [`Plan`] exists only for a batch that can run to its end.
//! Must not know: weights, how layers run.

use super::Error;
use super::config::Config;
use crate::cache::KvPool;
use crate::kernel::Stacks;
use crate::types::{BLOCK_TOKENS, Batch, Span};

/// A checked batch, with what every layer needs to know of it.
pub(super) struct Plan<'a> {
    /// The rows, as attention takes them.
    pub stacks: Stacks<'a>,
    /// Position of every row in its sequence.
    pub positions: Vec<usize>,
    /// Rows whose logits are wanted, ascending.
    pub logit_rows: Vec<usize>,
}

impl<'a> Plan<'a> {
    pub fn new(batch: &'a Batch, config: &Config, pool: &KvPool) -> Result<Self, Error> {
        check_pool(config, pool)?;
        check_tokens(batch, config)?;
        let (mut positions, mut logit_rows) = (Vec::new(), Vec::new());
        for (span_idx, span) in batch.spans.iter().enumerate() {
            check_span(span_idx, span, config, pool)?;
            let first_row = positions.len();
            logit_rows.extend(span.logit_rows.iter().map(|offset| first_row + offset));
            positions.extend(span.start..span.start + span.n_tokens);
        }
        check_writes(batch)?;
        let stacks = Stacks::new(&batch.spans, config.n_heads / config.n_kv_heads);
        Ok(Self { stacks, positions, logit_rows })
    }
}

fn check_pool(config: &Config, pool: &KvPool) -> Result<(), Error> {
    let wanted = (config.n_layers, config.n_kv_heads, config.head_dim);
    let shape = pool.shape();
    let found = (shape.n_layers, shape.n_kv_heads, shape.head_dim);
    let show = |(layers, heads, dim)| format!("{layers} layers of {heads} heads of {dim}");
    if found == wanted { Ok(()) } else { Err(Error::Pool { found: show(found), wanted: show(wanted) }) }
}

fn check_tokens(batch: &Batch, config: &Config) -> Result<(), Error> {
    let spans = batch.spans.iter().map(|span| span.n_tokens).sum();
    if spans != batch.tokens.len() {
        return Err(Error::BatchSize { spans, tokens: batch.tokens.len() });
    }
    let n_vocab = config.n_vocab;
    match batch.tokens.iter().position(|&token| token as usize >= n_vocab) {
        Some(row) => Err(Error::Token { token: batch.tokens[row], row, n_vocab }),
        None => Ok(()),
    }
}

fn check_span(span_idx: usize, span: &Span, config: &Config, pool: &KvPool) -> Result<(), Error> {
    let wrong = |why: String| Err(Error::Span { span: span_idx, why });
    let end = span.start.saturating_add(span.n_tokens);
    if end > config.n_ctx {
        return Err(Error::Context { span: span_idx, end, n_ctx: config.n_ctx });
    }
    if span.n_tokens == 0 {
        return wrong("has no tokens, expected at least 1".into());
    }
    let needed = end.div_ceil(BLOCK_TOKENS);
    if span.blocks.len() < needed {
        return wrong(format!("has {} blocks, but {end} positions take {needed}", span.blocks.len()));
    }
    if let Some(block) = span.blocks.iter().find(|block| block.0 as usize >= pool.n_blocks()) {
        return wrong(format!("names block {}, but the pool has {}", block.0, pool.n_blocks()));
    }
    let ascending = span.logit_rows.windows(2).all(|pair| pair[0] < pair[1]);
    if !ascending || span.logit_rows.last().is_some_and(|&row| row >= span.n_tokens) {
        return wrong(format!(
            "wants the logits of {:?}, expected ascending offsets below {}",
            span.logit_rows, span.n_tokens
        ));
    }
    Ok(())
}

/// Two spans must not write into one block: the result would depend on their order.
fn check_writes(batch: &Batch) -> Result<(), Error> {
    let mut written = std::collections::HashSet::new();
    for (span_idx, span) in batch.spans.iter().enumerate() {
        let blocks = span.start / BLOCK_TOKENS..(span.start + span.n_tokens).div_ceil(BLOCK_TOKENS);
        for block in &span.blocks[blocks] {
            if !written.insert(*block) {
                return Err(Error::Span {
                    span: span_idx,
                    why: format!("writes into block {} as another span or position does", block.0),
                });
            }
        }
    }
    Ok(())
}
