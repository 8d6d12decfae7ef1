//! Goal → plan → steps → summary.
//!
//! `survey` and `brief` read the workspace and the goal by code; `planner` decodes a plan under the grammar of
//! `score`; `machine` (pure) says what is due; `driver` does it and journals it first; `execute` knows how a
//! step of each kind is done; `summary` writes the answer. `mind` is the only way to the model.
//! Must not know: the command line, the server.

mod brief;
mod demand;
mod driver;
mod event;
mod execute;
mod machine;
mod mind;
mod plan;
mod planner;
mod prompt;
mod score;
mod stats;
mod summary;
mod survey;

pub use brief::{Brief, Deliverable, Unmet};
pub use driver::{Error, Observer, Options, Outcome, Run, drive, load, policy};
pub use event::{Artifact, Event, Status};
pub use machine::{Phase, State, StepState};
pub use mind::{Budget, Call, EngineMind, Mind, Reply, Thinking};
pub use plan::{Error as PlanError, Step, check as check_plan, parse as parse_plan, tree as plan_tree};
pub use planner::{Preview, chain, preview};
pub use score::Menu;
pub use stats::Stats;
pub use survey::{Survey, survey};
