//! The tool that rewrites a data file in another format.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::call::{Arguments, existing_path, new_path, schema, tool};
use super::files::propose;
use super::format::{Format, detect, parse, render, to_json, to_table};
use super::{Change, Context, Effect, Error, Output, Spec, Tool, Value};

/// The formats of data files, by the names that the schema lists.
const FORMATS: [(&str, Format); 7] = [
    ("csv", Format::Csv),
    ("tsv", Format::Tsv),
    ("json", Format::Json),
    ("jsonl", Format::JsonLines),
    ("yaml", Format::Yaml),
    ("toml", Format::Toml),
    ("markdown", Format::MarkdownTable),
];

/// The tools of this file.
pub fn tools() -> Vec<Arc<dyn Tool>> {
    vec![tool(spec(), convert)]
}

fn spec() -> Spec {
    let format = |description: &str| {
        let names = FORMATS.map(|(name, _)| name);
        json!({ "type": "string", "enum": names, "description": description })
    };
    Spec {
        name: "convert",
        description: "Rewrites a whole data file in another format: CSV, TSV, JSON, JSONL, YAML, TOML or a Markdown table.",
        schema: schema(
            2,
            &[
                ("from", existing_path("file to read")),
                ("to", new_path("file to write")),
                ("from_format", format("format of the file to read, if its name does not tell")),
                ("to_format", format("format to write, if the name does not tell")),
            ],
        ),
        effects: &[Effect::Reads, Effect::Writes],
    }
}

fn convert(arguments: &Arguments<'_>, context: &Context<'_>) -> Result<Output, Error> {
    let (from, to) = (arguments.text("from")?, arguments.text("to")?);
    let from_format = format_of(arguments, "from_format", from)?;
    let to_format = format_of(arguments, "to_format", to)?;
    let (text, note) = context.workspace.read_text_noted(from)?;
    let in_file = |error| match error {
        Error::Arguments(text) => Error::Arguments(format!("{from}: {text}")),
        other => other,
    };
    let parsed = parse(&text, from_format).map_err(in_file)?;
    let content = render(&parsed.value, to_format).map_err(in_file)?;
    let path = context.workspace.normalize(to)?;
    let mut output = propose(context.workspace, Change::Write { path, content })?;
    output.notes = note.into_iter().chain(parsed.notes).chain(losses(&parsed.value, to_format)).collect();
    Ok(output)
}

fn format_of(arguments: &Arguments<'_>, argument: &str, path: &str) -> Result<Format, Error> {
    let names = || FORMATS.map(|(name, _)| name).join(", ");
    if let Some(given) = arguments.find_text(argument)? {
        let found = FORMATS.iter().find(|(name, _)| *name == given);
        return found
            .map(|(_, format)| *format)
            .ok_or_else(|| Error::Arguments(format!("convert: {argument} must be one of {}, got {given}", names())));
    }
    detect(path).filter(|format| FORMATS.iter().any(|(_, known)| known == format)).ok_or_else(|| {
        Error::Arguments(format!("convert: the name {path} does not tell its format; give {argument}: {}", names()))
    })
}

/// What the target format cannot say as the source did.
fn losses(value: &Value, to: Format) -> Vec<String> {
    let mut notes = Vec::new();
    let is_flat = matches!(to, Format::Csv | Format::Tsv | Format::MarkdownTable);
    if is_flat {
        let n_nested = n_nested_cells(value);
        if n_nested > 0 {
            notes.push(format!("{n_nested} nested values were written as JSON text"));
        }
    }
    if (is_flat || to == Format::Toml) && has_null(&to_json(value)) {
        let written = if is_flat { "written as empty cells" } else { "left out, because TOML has none" };
        notes.push(format!("nulls were {written}"));
    }
    notes
}

/// Arrays and objects that a table can hold only as text.
fn n_nested_cells(value: &Value) -> usize {
    let (Value::Json(_), Ok(table)) = (value, to_table(value)) else { return 0 };
    let texts = table.rows.iter().flatten().filter_map(Json::as_str);
    texts.filter(|text| text.starts_with(['[', '{']) && serde_json::from_str::<Json>(text).is_ok()).count()
}

fn has_null(json: &Json) -> bool {
    match json {
        Json::Null => true,
        Json::Array(items) => items.iter().any(has_null),
        Json::Object(fields) => fields.values().any(has_null),
        _ => false,
    }
}
