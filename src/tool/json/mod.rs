//! The tool that takes a value out of a JSON, JSONL, YAML or TOML file by its path.
//!
//! The path language is the part of JSONPath that people write without looking it up: `a.b[0].c`,
//! `a[*].b`, `a[-1]`, `a["key with. dot"]`, an optional `$` in front; or a JSON pointer, `/a/b/0`.

mod path;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::call::{Arguments, existing_path, schema, text, tool};
use super::format::{Format, detect, parse, to_json};
use super::{Context, Effect, Error, Output, Spec, Tool, Value};

/// The tools of this file.
pub fn tools() -> Vec<Arc<dyn Tool>> {
    vec![tool(spec(), get)]
}

fn spec() -> Spec {
    Spec {
        name: "json_get",
        description: "Takes one value, or one from every item, out of a JSON, JSONL, YAML or TOML file by its path.",
        schema: schema(
            2,
            &[
                ("path", existing_path("file to read")),
                ("query", text(200, "where the value is, e.g. rates.anna, items[0].name, items[*].price, items[-1]")),
            ],
        ),
        effects: &[Effect::Reads],
    }
}

fn get(arguments: &Arguments<'_>, context: &Context<'_>) -> Result<Output, Error> {
    let file = arguments.text("path")?;
    let (text, note) = context.workspace.read_text_noted(file)?;
    let format = detect(file).filter(|format| *format != Format::Text).unwrap_or(Format::Json);
    let parsed = parse(&text, format).map_err(|error| Error::Arguments(format!("{file}: {error}")))?;
    let found = path::get(&to_json(&parsed.value), arguments.text("query")?)?;
    let notes = note.into_iter().chain(found.n_without.map(|n| format!("{n} items have no such value"))).collect();
    Ok(Output { value: Value::Json(found.json), changes: Vec::new(), notes })
}
