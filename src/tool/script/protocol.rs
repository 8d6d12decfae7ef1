//! What parent and child say to each other: one JSON value per line.
//!
//! The child speaks first after it got its [`Job`]: any number of [`Said::Call`], each answered with one
//! [`Reply`], then [`Said::Done`] or [`Said::Failed`] as the last line.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

/// What the child is to run; the first line.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Job {
    pub code: String,
    /// Global variables.
    pub inputs: Map<String, Json>,
    /// Longest that the interpreter may compute, in milliseconds, host calls aside.
    pub compute_ms: u64,
}

/// A line of the child.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Said {
    Call { name: String, arguments: Vec<Json> },
    Done(Finished),
    Failed(Failure),
}

/// A line of the parent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reply {
    Value(Json),
    Raise(Exception),
}

/// A Python exception, by the name of its type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Exception {
    pub kind: String,
    pub message: String,
}

impl Exception {
    pub fn new(kind: &str, message: impl Into<String>) -> Self {
        Self { kind: kind.to_owned(), message: message.into() }
    }
}

/// The script came to its end.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Finished {
    /// What it printed, cut at the limit.
    pub printed: String,
    /// Value of the last expression, else of the variable `result`, else null.
    pub value: Json,
    /// Characters that were printed beyond the limit.
    pub n_cut: usize,
}

/// The script raised, or is not Python.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failure {
    pub exception: Exception,
    /// 1-based line of the script.
    pub line: Option<usize>,
    /// That line.
    pub text: String,
    pub printed: String,
}
