//! Goal → plan → steps → summary.
//!
//! `survey` and `brief` read the workspace and the goal by code; `score` compiles the grammar of plans; `machine`
//! (pure) says what is due; `driver` does it and journals it first. All that waits lies in `driver`: `planner`
//! decodes a plan, `execute` knows how a step of each kind is done, `summary` writes the answer, which `ground` holds against the results, and `mind` is
//! the only way to the model.
//! Must not know: the command line, the server.

mod amount;
mod brief;
mod clause;
mod content;
mod damage;
mod demand;
mod double;
mod driver;
mod event;
mod ground;
mod limit;
mod machine;
mod mechanism;
mod plan;
mod prompt;
mod replacement;
mod requirement;
mod score;
mod stats;
mod substitute;
mod survey;
mod word;

pub use brief::{Brief, Deliverable, Unmet};
pub use driver::mind::{Budget, Call, EngineMind, Mind, Reply, Thinking};
pub use driver::planner::{Preview, chain, preview};
pub use driver::{Error, Observer, Options, Outcome, Recollection, Run, append, drive, load, policy};
pub use event::{Artifact, Event, Status};
pub use machine::{Phase, Question, State, StepState};
pub use mechanism::Mechanism;
pub use plan::{Error as PlanError, Step, check as check_plan, parse as parse_plan, tree as plan_tree};
pub use requirement::{Entry, Standing};
pub use score::Menu;
pub use stats::Stats;
pub use survey::{Survey, survey};
