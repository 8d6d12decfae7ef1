//! What happens in a run, as it is journaled.
//!
//! A run *is* its events: [`super::machine::State`] is folded from them and from nothing else, so a run
//! that was killed continues from its journal. An event that announces an effect (`StepProposed`) is
//! durable before the effect happens.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::brief::{Brief, Unmet};
use super::plan::Step;
use super::requirement::Entry;
use crate::tool::{Change, Output};
use crate::types::{StepId, Usage};

/// One entry of a run's journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// The workspace was looked at; `text` is what the planner reads.
    Surveyed {
        /// The survey as the prompts show it.
        text: String,
        /// Every file at the start of the run.
        paths: Vec<String>,
    },
    /// What the goal asks for was extracted.
    Briefed {
        /// Files to write, things to tell, whether tools are needed.
        brief: Brief,
    },
    /// The planner (or a plan file) gave steps; a later round only adds to them.
    Planned {
        /// 0 for the first plan.
        round: u32,
        /// New steps; their ids continue those of earlier rounds.
        steps: Vec<Step>,
    },
    /// The planner has written a step whole; it may begin while the rest of the plan is still being written.
    Sketched {
        /// The step; [`Event::Planned`] repeats it.
        step: Step,
    },
    /// No plan could be made.
    PlanFailed {
        /// Why.
        error: String,
    },
    /// A step is being worked on.
    StepStarted {
        /// Which.
        step: StepId,
        /// 1 for the first try.
        attempt: u32,
        /// The tool that is tried, which may differ from the plan's after failures.
        tool: String,
    },
    /// A tool was called (also by a script, then `by_script`).
    ToolCalled {
        /// For which step.
        step: StepId,
        /// Tool name.
        tool: String,
        /// Its arguments.
        arguments: Json,
        /// What came back, shortened, or the error.
        result: String,
        /// Whether it succeeded.
        ok: bool,
        /// Called by a running script.
        #[serde(default)]
        by_script: bool,
        /// Wall time.
        ms: f64,
    },
    /// The model was called.
    ModelCalled {
        /// For which step, if for one.
        step: Option<StepId>,
        /// `brief`, `plan`, `query`, `script`, `write`, `answer`, `arguments`, `summary`, ….
        purpose: String,
        /// Tokens and times.
        usage: Usage,
        /// The text it gave.
        text: String,
    },
    /// A step has a result and wants these changes made. Nothing is changed before this is durable.
    StepProposed {
        /// Which.
        step: StepId,
        /// Value, changes, notes.
        output: Output,
    },
    /// One change was made.
    Changed {
        /// By which step.
        step: StepId,
        /// The change's path.
        path: String,
        /// Size afterwards.
        bytes: u64,
        /// Digest afterwards, hexadecimal.
        sha256: String,
    },
    /// All changes of the step are made and its value can be used.
    StepDone {
        /// Which.
        step: StepId,
    },
    /// A try failed.
    StepFailed {
        /// Which.
        step: StepId,
        /// Which try.
        attempt: u32,
        /// Why, in words that help the next try.
        error: String,
        /// What was tried (the SQL, the code, the arguments), to be excluded from the next try.
        tried: String,
        /// No further try can help.
        fatal: bool,
    },
    /// The person is needed; the run waits.
    Asked {
        /// By which step.
        step: StepId,
        /// The question.
        question: String,
    },
    /// The person answered, or an assumption was made in the person's place.
    Answered {
        /// The asking step.
        step: StepId,
        /// The answer.
        answer: String,
        /// Made with `--yes`, without the person.
        assumed: bool,
    },
    /// An open question is put again, because a resumed run may find somebody to answer it.
    Reopened {
        /// The asking step.
        step: StepId,
    },
    /// A sub-goal got a plan of its own; the step waits for these and takes the last one's value.
    Expanded {
        /// The sub-goal's step.
        step: StepId,
        /// New steps at the end of the plan.
        steps: Vec<Step>,
    },
    /// The outcome was compared with the goal.
    Checked {
        /// What is missing or wrong; empty if all is well.
        unmet: Vec<Unmet>,
        /// Everything else that the goal asks of its files, and how it stands.
        #[serde(default)]
        ledger: Vec<Entry>,
    },
    /// A result is told in fewer words from now on, because the run has outgrown its prompts; it stays whole in the journal.
    Compacted {
        /// The step whose result it is.
        step: StepId,
        /// What prompts tell of it.
        text: String,
    },
    /// A hard limit was reached; only the summary follows.
    BudgetSpent {
        /// Which limit, in words.
        what: String,
    },
    /// The final text for the person.
    Summarized {
        /// The answer.
        answer: String,
    },
    /// The process was asked to stop; `resume` continues.
    Interrupted,
    /// `resume` took the run up again.
    Resumed,
}

impl Event {
    /// The step that the event belongs to.
    pub fn step(&self) -> Option<StepId> {
        match self {
            Self::StepStarted { step, .. }
            | Self::ToolCalled { step, .. }
            | Self::StepProposed { step, .. }
            | Self::Changed { step, .. }
            | Self::StepDone { step }
            | Self::StepFailed { step, .. }
            | Self::Asked { step, .. }
            | Self::Reopened { step }
            | Self::Expanded { step, .. }
            | Self::Compacted { step, .. }
            | Self::Answered { step, .. } => Some(*step),
            Self::ModelCalled { step, .. } => *step,
            _ => None,
        }
    }
}

/// How a run ended, as the command line reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Everything that the goal asks for was found in place.
    Completed,
    /// Something could not be done; the answer says what and why.
    Failed,
    /// The person has to answer a question; `resume` continues.
    NeedsInput,
    /// Stopped by the person; `resume` continues.
    Interrupted,
}

/// A file that the run made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Relative to the workspace.
    pub path: String,
    /// Size.
    pub bytes: u64,
    /// Digest, hexadecimal.
    pub sha256: String,
}

/// The paths that a list of changes writes.
pub fn written(changes: &[Change]) -> Vec<&str> {
    changes
        .iter()
        .filter_map(|change| match change {
            Change::Write { path, .. } | Change::Copy { to: path, .. } | Change::Move { to: path, .. } => {
                Some(path.as_str())
            }
            Change::MakeFolder { .. } => None,
        })
        .collect()
}
