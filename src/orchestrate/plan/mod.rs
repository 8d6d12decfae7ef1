//! Plans: the steps of a run, the grammar they are decoded under, and how they are shown.
//!
//! A plan is coarse: a step says what to do, with which tool, from which files and earlier results, and
//! where the result goes. Arguments are bound later, when the inputs are known. Under the grammar
//! of [`super::score`] a plan that does not parse, names an unknown tool or file, or refers to a later step
//! cannot be produced. [`check`] holds the same for plans that a person wrote.
//! Must not know: the engine, prompts, the state of a run.

mod settle;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

pub use settle::{Sketch, settle};

use crate::tool::Registry;
use crate::tool::format::{self, Format};
use crate::types::StepId;

/// Step kinds that are no tools of the registry.
pub const KINDS: &[(&str, &str)] = &[
    ("answer", "reads documents and answers questions from their text; names the source file"),
    ("write", "writes prose: summary, letter, poem, explanation, translation, description"),
    ("ask", "asks the person a question that the goal cannot be done without"),
    ("goal", "hands a large part of the work to a plan of its own"),
];

/// The tool that replaces a text wherever it stands: its calls for several sources do not meet.
pub const REPLACE: &str = "replace_text";

/// Tools that no plan needs: files that stand in `from` are read, and results are saved, without a step.
const UNPLANNED: &[&str] = &["write_file", "read_file"];

/// The most steps that one round of planning may add.
pub const MAX_STEPS: usize = 7;

/// One unit of work.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Position in the run's plan, from 1.
    pub id: StepId,
    /// Where the result goes: a file, `folder/*` (a file per item), [`REPLY`] or [`LATER`].
    #[serde(rename = "for")]
    pub target: String,
    /// What to do, in words.
    #[serde(rename = "do")]
    pub task: String,
    /// A tool of the registry or one of [`KINDS`].
    pub tool: String,
    /// Files (`data/a.csv`), folders (`notes/`) and earlier results (`$1`).
    #[serde(default)]
    pub from: Vec<String>,
    /// `file in notes`, `line of list.txt` or `row of $1`: the step is done once for each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub each: Option<String>,
    /// Form of the file that receives the result.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub form: Option<Format>,
    /// Arguments of the tool, if they are known already (plan files); otherwise bound when the step runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arguments: Option<Json>,
}

/// Target of a step whose result the person wants to be told.
pub const REPLY: &str = "reply";
/// Target of a step whose result only later steps need.
pub const LATER: &str = "later";

/// A plan that cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not JSON, or not of a plan's shape.
    #[error("the plan is not readable: {0}")]
    Parse(String),
    /// No step at all.
    #[error("the plan has no step")]
    Empty,
    /// A tool that is not there.
    #[error("step {step} wants the tool `{tool}`; there are {known}")]
    UnknownTool {
        /// Its id.
        step: StepId,
        /// The name.
        tool: String,
        /// The names that exist.
        known: String,
    },
    /// A reference to itself, a later step or a step that does not exist.
    #[error("step {step} refers to {reference}, which is not an earlier step")]
    Reference {
        /// Its id.
        step: StepId,
        /// The reference.
        reference: String,
    },
    /// Ids must count from 1 without gaps.
    #[error("step number {expected} has the id {found}")]
    Id {
        /// The id it should have.
        expected: StepId,
        /// The id it has.
        found: StepId,
    },
}

impl Step {
    /// The earlier steps whose results this one uses.
    pub fn needs(&self) -> Vec<StepId> {
        let each = self.each.as_deref().and_then(|items| items.strip_prefix("row of "));
        let mut ids: Vec<StepId> = self.from.iter().map(String::as_str).chain(each).filter_map(reference).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// The files and folders it reads.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.from.iter().map(String::as_str).filter(|source| reference(source).is_none())
    }

    /// The file that receives its result.
    pub fn file(&self) -> Option<&str> {
        (self.target != REPLY && self.target != LATER).then_some(self.target.as_str())
    }

    /// The file that the text of one item goes into, if each item gets one.
    pub fn file_of_item(&self, name: &str) -> Option<String> {
        let folder = self.file()?.strip_suffix("/*")?;
        Some(format!("{folder}/{name}"))
    }

    /// The form in which its result goes into a file of that name.
    pub fn form_for(&self, path: &str) -> Format {
        let natural = format::detect(path);
        match (self.form, natural) {
            (Some(form), Some(natural)) if !fits(form, natural) => natural,
            (Some(form), _) => form,
            (None, Some(natural)) => natural,
            (None, None) => Format::Text,
        }
    }
}

/// Whether a file whose extension asks for `natural` can hold `form`.
fn fits(form: Format, natural: Format) -> bool {
    match natural {
        Format::Json | Format::JsonObject => matches!(form, Format::Json | Format::JsonObject),
        Format::Csv | Format::JsonLines | Format::Yaml => form == natural,
        _ => !matches!(form, Format::Json | Format::JsonObject | Format::JsonLines | Format::Yaml),
    }
}

/// The step that a reference like `$2` means.
pub fn reference(source: &str) -> Option<StepId> {
    source.strip_prefix('$')?.parse().ok().map(StepId)
}

/// Steps of a plan text: `{"steps":[…]}`, numbered from `first`.
///
/// # Errors
/// [`Error::Parse`]; [`Error::Id`] if ids are given and do not count from `first`.
pub fn parse(text: &str, first: StepId) -> Result<Vec<Step>, Error> {
    #[derive(Deserialize)]
    struct Raw {
        steps: Vec<serde_json::Map<String, Json>>,
    }
    let raw: Raw = serde_json::from_str(text).map_err(|error| Error::Parse(error.to_string()))?;
    let mut steps = Vec::with_capacity(raw.steps.len());
    for (k, mut fields) in raw.steps.into_iter().enumerate() {
        let expected = StepId(first.0 + k as u32);
        fields.entry("id").or_insert(json!(expected.0));
        let step: Step = serde_json::from_value(Json::Object(fields))
            .map_err(|error| Error::Parse(format!("step {expected}: {error}")))?;
        if step.id != expected {
            return Err(Error::Id { expected, found: step.id });
        }
        steps.push(step);
    }
    Ok(steps)
}

/// Holds of every plan before it is run, whoever wrote it.
///
/// # Errors
/// The first fault found.
pub fn check(steps: &[Step], done: &[StepId], registry: &Registry) -> Result<(), Error> {
    if steps.is_empty() {
        return Err(Error::Empty);
    }
    let known: Vec<&str> =
        KINDS.iter().map(|kind| kind.0).chain(registry.tools().iter().map(|tool| tool.spec().name)).collect();
    for (k, step) in steps.iter().enumerate() {
        if !known.contains(&step.tool.as_str()) {
            return Err(Error::UnknownTool { step: step.id, tool: step.tool.clone(), known: known.join(", ") });
        }
        for id in step.needs() {
            if !done.contains(&id) && !steps[..k].iter().any(|earlier| earlier.id == id) {
                return Err(Error::Reference { step: step.id, reference: id.to_string() });
            }
        }
    }
    Ok(())
}

/// Tools whose arguments name the files they write.
pub fn writes_by_itself(tool: &str) -> bool {
    ["convert", "move_file", "copy_file", "append_file", "make_folder", "script"].contains(&tool)
}

/// Tools that most goals need, shown first: small models take what stands first.
const FIRST: &[&str] = &["query_table", "answer", "write", "script", "search_text"];

/// Every name a step's `tool` may have in a plan, with its description, in the planner's order.
pub fn tool_names(registry: &Registry) -> Vec<(&str, &str)> {
    let tools = registry.tools().iter().map(|tool| (tool.spec().name, tool.spec().description));
    let mut names: Vec<_> = tools.chain(KINDS.iter().copied()).filter(|(name, _)| !UNPLANNED.contains(name)).collect();
    let rank = |name: &str| FIRST.iter().position(|&first| first == name).unwrap_or(FIRST.len());
    names.sort_by_key(|(name, _)| rank(name));
    names
}

/// The plan as an indented text tree, one line a step.
pub fn tree(steps: &[Step]) -> String {
    let mut text = String::new();
    for (k, step) in steps.iter().enumerate() {
        let branch = if k + 1 == steps.len() { "└─" } else { "├─" };
        let mut line = format!("{branch} {} {}: {}", step.id, step.tool, step.task);
        if !step.from.is_empty() {
            line.push_str(&format!("  ← {}", step.from.join(", ")));
        }
        if let Some(items) = &step.each {
            line.push_str(&format!("  each {items}"));
        }
        if let Some(into) = step.file() {
            line.push_str(&format!("  → {into}"));
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
}
