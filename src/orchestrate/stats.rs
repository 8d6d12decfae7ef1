//! What a run cost, counted from its events.

use serde::{Deserialize, Serialize};

use super::event::Event;
use crate::types::Usage;

/// Counts over all events of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// Calls of the model.
    pub model_calls: usize,
    /// Calls of tools, those of scripts included.
    pub tool_calls: usize,
    /// Steps of all rounds.
    pub steps: usize,
    /// Tries that failed.
    pub failed_tries: usize,
    /// Tokens of all model calls.
    #[serde(flatten)]
    pub usage: Usage,
    /// Prompt tokens that had to be computed.
    pub prefilled_tokens: usize,
    /// Seconds from start to end of this process's part of the run.
    pub wall_s: f64,
}

impl Stats {
    /// Counts the events.
    pub fn of(events: &[Event], wall_s: f64) -> Self {
        let mut stats = Self { wall_s, ..Self::default() };
        for event in events {
            match event {
                Event::ModelCalled { usage, .. } => {
                    stats.model_calls += 1;
                    stats.usage += *usage;
                }
                Event::ToolCalled { .. } => stats.tool_calls += 1,
                Event::Planned { steps, .. } => stats.steps += steps.len(),
                Event::StepFailed { .. } => stats.failed_tries += 1,
                _ => {}
            }
        }
        stats.prefilled_tokens = stats.usage.prompt_tokens - stats.usage.cached_tokens;
        stats
    }
}
