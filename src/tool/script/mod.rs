//! `script`: a short Python program of a model, run in a sandboxed interpreter in a process of its own.
//!
//! The program sees the workspace through `open`, `os`, `glob`, `pathlib`, `csv`, `json`, …, gets the rows of a table as
//! dictionaries with `table`, those of a SELECT with `query`, the lines of a list with `lines`, and can put questions to
//! the model with `ask` and `ask_each`. What it writes comes back as [`Change`](super::Change)s and is seen
//! by its own later reads; nothing reaches the disk here. The interpreter is monty; what it lacks of the
//! Python that models write is put in by [`rewrite`] and [`prelude`].
//!
//! Invariant: whatever the program does, it ends by the deadline and cannot harm this process.
//! Must not know: models, prompts, plans.

mod child;
mod explain;
mod overlay;
mod parent;
mod prelude;
mod protocol;
mod rewrite;
#[cfg(test)]
mod tests;
mod value;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use super::{Context, Effect, Error, Output, Spec, Tool, Value};
pub use child::child_main;

/// The hidden subcommand under which the program calls [`child_main`].
pub const ARGUMENT: &str = "__script-child";
/// Most that is kept of what a script prints, in bytes.
const MAX_PRINTED: usize = 64 << 10;
/// Longest script, in bytes.
const MAX_CODE: usize = 64 << 10;

/// The tool.
struct Script {
    spec: Spec,
    program: Option<PathBuf>,
}

/// The tools of this file.
pub fn tools() -> Vec<Arc<dyn Tool>> {
    vec![tool(None)]
}

/// The tool with a certain program for its child; `None` finds the one that is running.
pub fn tool(program: Option<PathBuf>) -> Arc<dyn Tool> {
    let schema = json!({
        "type": "object",
        "properties": {
            "code": { "type": "string", "maxLength": 6000, "description": "Python; print() the answer" },
            "inputs": { "type": "object", "description": "global variables of the program" },
        },
        "required": ["code"],
        "additionalProperties": false,
    });
    let description = "Runs a short Python program over the files (loops, text, dates, JSON, many files at once) when no \
                       other tool does it; open(), csv, json, re, os, glob, datetime work, ask(question) asks a language \
                       model about a text.";
    Arc::new(Script {
        spec: Spec { name: "script", description, schema, effects: &[Effect::Reads, Effect::Writes, Effect::Runs] },
        program,
    })
}

impl Tool for Script {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn call(&self, arguments: &Json, context: &Context<'_>) -> Result<Output, Error> {
        let code = arguments["code"].as_str().ok_or_else(|| {
            Error::Arguments(format!("`code` is {}; expected the text of a program", arguments["code"]))
        })?;
        let inputs = match &arguments["inputs"] {
            Json::Null => Map::new(),
            Json::Object(inputs) => inputs.clone(),
            other => return Err(Error::Arguments(format!("`inputs` is {other}; expected an object"))),
        };
        if let Some(name) = inputs.keys().find(|name| !is_identifier(name)) {
            return Err(Error::Arguments(format!("`{name}` cannot be the name of a variable")));
        }
        let code = strip(code);
        if code.len() > MAX_CODE {
            return Err(Error::Limit(format!("the program has {} bytes; at most {MAX_CODE} are run", code.len())));
        }
        let program = match &self.program {
            Some(program) => program.clone(),
            None => own_program()?,
        };
        let outcome = parent::run(&program, code, inputs, context)?;
        Ok(output(outcome))
    }
}

fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first.is_alphabetic()) && chars.all(|c| c.is_alphanumeric() || c == '_')
}

/// The program without a code fence around it.
fn strip(code: &str) -> &str {
    let trimmed = code.trim();
    let Some(fenced) = trimmed.strip_prefix("```") else { return code };
    let body = fenced.split_once('\n').map_or("", |(_, body)| body);
    body.trim_end().strip_suffix("```").unwrap_or(body)
}

/// The file of the running program; for a test or another program that uses the library, the one beside it.
fn own_program() -> Result<PathBuf, Error> {
    let own =
        std::env::current_exe().map_err(|error| Error::Failed(format!("finding the running program: {error}")))?;
    let name = format!("partita{}", std::env::consts::EXE_SUFFIX);
    if own.file_name().is_some_and(|own| *own == *name) {
        return Ok(own);
    }
    let near = own.ancestors().skip(1).take(2).map(|folder| folder.join(&name)).find(|path| Path::is_file(path));
    near.ok_or_else(|| Error::Failed(format!("no program {name} beside {} to run scripts with", own.display())))
}

/// What was printed is the result, as JSON if it is; else the value; else nothing, and a note says if nothing was done either.
fn output(outcome: parent::Outcome) -> Output {
    let parent::Outcome { finished, changes } = outcome;
    let mut notes = Vec::new();
    if finished.n_cut > 0 {
        notes
            .push(format!("the output was cut after {MAX_PRINTED} bytes; {} more characters are lost", finished.n_cut));
    }
    let printed = finished.printed.trim_end();
    let parsed = serde_json::from_str(printed).ok().filter(|json: &Json| json.is_array() || json.is_object());
    let value = match (parsed, finished.value) {
        (Some(json), _) => Value::Json(json),
        (None, _) if !printed.is_empty() => Value::Text(printed.to_owned()),
        (None, Json::String(text)) => Value::Text(text),
        (None, Json::Null) => {
            if changes.is_empty() {
                notes.push("the program printed nothing".to_owned());
            }
            Value::Text(String::new())
        }
        (None, value) => Value::Json(value),
    };
    Output { value, changes, notes }
}
