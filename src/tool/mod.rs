//! What a step can call: the [`Tool`] trait, its values, and the registry of built-in tools.
//!
//! A tool never changes anything. It reads the workspace and returns an [`Output`]: a value and the
//! [`Change`]s it wants made. The caller journals the changes, checks them against the run's
//! [`Policy`] and applies them through [`Workspace::apply`], which is idempotent. So a step can be
//! tried several times, compared and thrown away, and a crash between journal and disk repeats nothing.
//!
//! Must not know: models, prompts, plans.

pub mod check;
pub mod format;
pub mod permission;
pub mod table;
pub mod workspace;

mod calculate;
mod call;
mod convert;
mod files;
mod json;
mod preview;
pub mod query;
mod replace;
pub mod script;
mod search;

use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

pub use permission::{Effect, Leave, Mode, Permissions};
pub use table::Table;
pub use workspace::{Applied, Change, Entry, Policy, Verdict, Workspace};

/// Why a tool could not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The arguments do not fit; the text names the argument, what was expected and what came.
    #[error("{0}")]
    Arguments(String),
    /// A path does not exist; names the nearest existing ones.
    #[error("{path} does not exist{}", nearest(.similar))]
    Missing {
        /// The path as it was asked for.
        path: String,
        /// Existing paths that look like it, best first.
        similar: Vec<String>,
    },
    /// The policy forbids it: a path outside the workspace, an input file to be overwritten, ….
    #[error("{0}")]
    Denied(String),
    /// The tool ran and found that it cannot be done (bad SQL, an exception in a script, …).
    #[error("{0}")]
    Failed(String),
    /// A limit of size, rows or time was reached.
    #[error("{0}")]
    Limit(String),
}

fn nearest(similar: &[String]) -> String {
    if similar.is_empty() { String::new() } else { format!("; did you mean {}?", similar.join(" or ")) }
}

/// What a step produced, kept by reference and never retyped by a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// Plain text.
    Text(String),
    /// Named columns and rows.
    Table(Table),
    /// Any JSON value.
    Json(Json),
}

/// The result of a tool call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// What later steps can refer to.
    pub value: Value,
    /// What is to be changed in the workspace, in order; empty for tools that only read.
    #[serde(default)]
    pub changes: Vec<Change>,
    /// What the reader should know: rows left out and why, truncation, assumptions. One sentence each.
    #[serde(default)]
    pub notes: Vec<String>,
}

impl From<Value> for Output {
    fn from(value: Value) -> Self {
        Self { value, changes: Vec::new(), notes: Vec::new() }
    }
}

/// How a tool is described to the planner and how its arguments are constrained.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Name in plans and journals, `snake_case`.
    pub name: &'static str,
    /// One sentence for the planner: what it does and when to choose it.
    pub description: &'static str,
    /// JSON Schema of the arguments (an object). Properties that hold an existing path of the workspace
    /// carry `"x-path": "existing"`, paths to be written `"x-path": "new"`: the orchestrator turns the
    /// first into enumerations.
    pub schema: Json,
    /// What a call does besides giving a value; changes of files are proposed by it and made later.
    pub effects: &'static [Effect],
}

impl Spec {
    /// Whether a call can return [`Change`]s.
    pub fn writes(&self) -> bool {
        self.effects.contains(&Effect::Writes)
    }
}

/// What a call may use besides its arguments.
pub struct Context<'a> {
    /// The files.
    pub workspace: &'a Workspace,
    /// Answers questions of a running script; batched.
    pub host: &'a dyn Host,
    /// The call must return before this.
    pub deadline: Instant,
}

/// What the caller offers to a tool that runs a program (`script`).
pub trait Host: Sync {
    /// Asks the model one question per entry, all in one batch; answers come in the same order.
    ///
    /// # Errors
    /// [`Error::Failed`] if no model is attached or the run's budget is used up.
    fn ask(&self, questions: &[String]) -> Result<Vec<String>, Error>;

    /// Records one host call of a program (name, arguments, result) before its result is used.
    fn record(&self, name: &str, arguments: &Json, result: &Json);
}

/// A host without a model, for tools that never ask and for tests.
pub struct NoHost;

impl Host for NoHost {
    fn ask(&self, _questions: &[String]) -> Result<Vec<String>, Error> {
        Err(Error::Failed("no model is attached to answer ask(); use plain code instead".into()))
    }

    fn record(&self, _name: &str, _arguments: &Json, _result: &Json) {}
}

/// Something that a step can call.
pub trait Tool: Send + Sync {
    /// Name, description, arguments.
    fn spec(&self) -> &Spec;

    /// Does the work. Reads only; what is to be written is returned as [`Change`]s.
    ///
    /// # Errors
    /// [`Error`]; the text is shown to the model, so it says what was expected and what came.
    fn call(&self, arguments: &Json, context: &Context<'_>) -> Result<Output, Error>;
}

/// The tools of a run, by name.
#[derive(Clone)]
pub struct Registry {
    tools: Vec<Arc<dyn Tool>>,
}

impl Registry {
    /// Every built-in tool.
    pub fn builtin() -> Self {
        let mut tools = files::tools();
        tools.extend(search::tools());
        tools.extend(replace::tools());
        tools.extend(query::tools());
        tools.extend(script::tools());
        tools.extend(calculate::tools());
        tools.extend(json::tools());
        tools.extend(convert::tools());
        Self { tools }
    }

    /// Without the tools that may not be used at all.
    pub fn permitted(mut self, permissions: &Permissions) -> Self {
        self.tools.retain(|tool| permissions.leave(tool.spec().name, tool.spec().effects) != Leave::Deny);
        self
    }

    /// All tools, in the order in which they are shown to the planner.
    pub fn tools(&self) -> &[Arc<dyn Tool>] {
        &self.tools
    }

    /// The tool of that name.
    pub fn find(&self, name: &str) -> Option<&Arc<dyn Tool>> {
        self.tools.iter().find(|tool| tool.spec().name == name)
    }
}
