//! The tool that puts one text in the place of another wherever it stands in files.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use regex::{NoExpand, Regex, RegexBuilder};
use serde_json::json;

use super::call::{Arguments, existing_path, flag, schema, text, tool};
use super::workspace::{TEXT_LIMIT, is_within};
use super::{Change, Context, Effect, Error, Output, Spec, Table, Tool, Value};

/// Places inside of longer words that a note names at most.
const MAX_NAMED: usize = 3;

/// The tools of this file.
pub fn tools() -> Vec<Arc<dyn Tool>> {
    vec![tool(spec(), replace)]
}

fn spec() -> Spec {
    Spec {
        name: "replace_text",
        description: "Replaces a text by another one wherever it stands in the files below a folder, and lists the changed files with the number of replacements.",
        schema: schema(
            2,
            &[
                ("find", text(300, "the old text, exactly as it stands in the files")),
                ("replace", text(300, "the new text")),
                ("path", existing_path("file or folder to change; everything if left out")),
                ("except", text(400, "files and folders that stay as they are, separated by commas")),
                ("ignore_case", flag("upper and lower case are the same")),
                ("inside_words", flag("also inside of longer words and numbers")),
            ],
        ),
        effects: &[Effect::Reads, Effect::Writes],
    }
}

fn replace(arguments: &Arguments<'_>, context: &Context<'_>) -> Result<Output, Error> {
    let (find, put) = (arguments.text("find")?, arguments.text("replace")?);
    if find.trim().is_empty() || find == put {
        return Err(Error::Arguments(format!("replace_text: find is {find:?}; expected a text other than {put:?}")));
    }
    let ignore_case = arguments.find_flag("ignore_case")?.unwrap_or(false);
    let anywhere = compile(&regex::escape(find), ignore_case)?;
    let meant = match arguments.find_flag("inside_words")? {
        Some(true) => anywhere.clone(),
        _ => compile(&as_word(find), ignore_case)?,
    };
    let path = arguments.find_text("path")?.unwrap_or("");
    let mut table = Table { columns: vec!["file".into(), "replacements".into()], rows: Vec::new() };
    let mut output = Output::from(Value::Text(String::new()));
    let (mut n_all, mut inside) = (0, Vec::new());
    for file in files(context, path, arguments.find_text("except")?.unwrap_or(""))? {
        if Instant::now() >= context.deadline {
            return Err(Error::Limit("time is up; replace in a folder or in fewer files".into()));
        }
        // What is no UTF-8 could not be written back as it was.
        let Ok(content) = String::from_utf8(context.workspace.read(&file, TEXT_LIMIT)?) else { continue };
        let n_found = meant.find_iter(&content).count();
        if anywhere.find_iter(&content).count() > n_found {
            inside.push(file.clone());
        }
        if n_found == 0 {
            continue;
        }
        let change = Change::Write { path: file.clone(), content: meant.replace_all(&content, NoExpand(put)).into() };
        context.workspace.check(&change)?;
        output.changes.push(change);
        table.rows.push(vec![json!(file), json!(n_found)]);
        n_all += n_found;
    }
    if table.rows.is_empty() {
        return Err(Error::Failed(nowhere(find, path, &inside)));
    }
    output.notes.push(format!("{find:?} was replaced by {put:?} in {n_all} places in {} files", table.rows.len()));
    if !inside.is_empty() {
        inside.truncate(MAX_NAMED);
        output.notes.push(format!("it was left as it is inside of longer words, as in {}", inside.join(", ")));
    }
    output.value = Value::Table(table);
    Ok(output)
}

fn nowhere(find: &str, path: &str, inside: &[String]) -> String {
    let place = if path.is_empty() { "the workspace" } else { path };
    match inside.first() {
        Some(file) => {
            format!("{find:?} stands only inside of longer words, as in {file}; set inside_words to change these")
        }
        None => format!("no file in {place} holds {find:?}; give the old text exactly as it stands there"),
    }
}

fn compile(expression: &str, ignore_case: bool) -> Result<Regex, Error> {
    let compiled = RegexBuilder::new(expression).case_insensitive(ignore_case).size_limit(1 << 20).build();
    compiled.map_err(|error| Error::Arguments(format!("replace_text: the text cannot be searched for: {error}")))
}

/// An expression for a text that is no part of a longer word or number.
fn as_word(find: &str) -> String {
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let start = if is_word(find.chars().next()) { r"\b{start-half}" } else { "" };
    let end = if is_word(find.chars().next_back()) { r"\b{end-half}" } else { "" };
    format!("{start}{}{end}", regex::escape(find))
}

/// The files to change, without those that are excepted.
fn files(context: &Context<'_>, path: &str, except: &str) -> Result<Vec<String>, Error> {
    let entry = context.workspace.metadata(path)?;
    let excepted: Vec<&str> = except.split(',').map(|path| path.trim().trim_end_matches('/')).collect();
    let is_excepted = |file: &str| excepted.iter().any(|path| !path.is_empty() && is_within(file, path));
    let entries = if entry.is_folder { context.workspace.list(&entry.path, None)? } else { vec![entry] };
    let files = entries.into_iter().filter(|entry| !entry.is_folder).map(|entry| entry.path);
    Ok(files.filter(|file| !is_excepted(file)).collect())
}
