//! Throughput of models and of workflows, measured through the engine that everything else uses, and of a peer in the
//! same run; how well a model foretells a text.
//!
//! A case is measured several times, and the samples of all cases are interleaved, so that a machine that slows down
//! slows all of them. Nothing is warm except the weights and what a case says is there: every prompt is new.
//! Must not know: how results are shown.

mod endpoint;
mod gap;
mod model;
mod peer;
mod perplexity;
mod plan;
mod row;
#[cfg(test)]
mod tests;
mod workflow;

pub use endpoint::run_workflow_at;
pub use gap::{GapBench, GapReport, run_gap};
pub use model::{ModelBench, Prefix, run_model};
pub use peer::Peer;
pub use perplexity::{PerplexityBench, PerplexityReport, run_perplexity};
pub use plan::{GoalRow, PlanBench, PlanReport, run_plan};
pub use row::Row;
pub use workflow::{WorkflowBench, WorkflowReport, run_workflow};

use crate::engine;

/// Why a measurement failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The engine refused or lost a sequence.
    #[error(transparent)]
    Engine(#[from] engine::Error),
    /// The case does not fit into the model's context.
    #[error("{test} needs a context of {needed} tokens, the model has {n_ctx}")]
    Context {
        /// The case.
        test: String,
        /// Tokens it needs.
        needed: usize,
        /// Tokens there are.
        n_ctx: usize,
    },
    /// The case does not fit into the KV memory.
    #[error("{test} needs KV memory for {needed} tokens, there is room for {n_kv}")]
    Memory {
        /// The case.
        test: String,
        /// Tokens it needs.
        needed: usize,
        /// Tokens there are.
        n_kv: usize,
    },
    /// A number of tokens, sequences or samples is 0.
    #[error("{what} is 0, expected 1 or more")]
    Zero {
        /// Which number.
        what: &'static str,
    },
    /// A text is too short to be scored.
    #[error("the text has {found} tokens, expected {wanted} or more: a chunk")]
    Text {
        /// Tokens of the text.
        found: usize,
        /// Tokens of a chunk.
        wanted: usize,
    },
    /// A server that was to be measured cannot be reached or does not answer as it should.
    #[error("the endpoint: {0}")]
    Endpoint(String),
    /// The goals to be run are not as they should be.
    #[error("cases: {0}")]
    Cases(String),
    /// The peer cannot run this model.
    #[error("candle's own model: {0}")]
    Peer(String),
}
