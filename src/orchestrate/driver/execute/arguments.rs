//! Tools of the registry: the arguments are decoded under the tool's own schema, in which existing paths
//! are enumerations, when the inputs are known; then the tool is called.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use super::call::{Record, all};
use super::inputs::Input;
use super::{Attempt, Miss};
use crate::orchestrate::driver::mind::Call;
use crate::orchestrate::event::written;
use crate::orchestrate::plan::REPLACE;
use crate::orchestrate::prompt::Segment;
use crate::orchestrate::word::{has, words};
use crate::orchestrate::{clause, demand, replacement};
use crate::tool::format::Format;
use crate::tool::{Change, Output, Spec, Table, Value};
use crate::types::{Grammar, Role};

/// Paths that an enumeration lists at most.
const MAX_PATHS: usize = 200;
/// Rounds of arguments for items whose call failed.
const ROUNDS: usize = 2;
/// Characters of inputs that the prompt shows.
const SHOWN: usize = 3000;

/// Binds the arguments of a step's tool and calls it, once or for every item.
pub async fn call(attempt: &Attempt<'_>) -> Result<Output, Miss> {
    if let Some(arguments) = &attempt.step.arguments {
        return Ok(attempt.tool(attempt.tool, arguments.clone(), Record::Now).await?);
    }
    let pinned = pinned(attempt);
    if let Some(items) = attempt.items()? {
        return over_items(attempt, items, pinned.as_ref()).await;
    }
    let arguments = bind(attempt, &[(None, "")], pinned.as_ref()).await?.remove(0)?;
    let is_replacing = attempt.tool == REPLACE;
    let (mut outputs, mut missed) = (Vec::new(), None);
    for (path, arguments) in per_source(arguments, pinned.as_ref()) {
        match run(attempt, arguments).await {
            Ok(output) => outputs.push((path, output)),
            // There may be nothing to replace in one of the places.
            Err(miss) if is_replacing => missed = Some(miss),
            Err(miss) => return Err(miss),
        }
    }
    if let (true, Some(miss)) = (outputs.is_empty(), missed) {
        return Err(miss);
    }
    let mut output = stacked(outputs);
    if is_replacing {
        output.changes.extend(list_of_changed(attempt, &output));
    }
    Ok(output)
}

/// Calls the tool for every item. An item whose call failed gets other arguments, with the error in view; what fails again
/// is set aside and named, unless that is all.
async fn over_items(attempt: &Attempt<'_>, items: Vec<Input>, pinned: Option<&Pinned>) -> Result<Output, Miss> {
    let mut open: Vec<(&Input, String)> = items.iter().map(|item| (item, String::new())).collect();
    let (mut outputs, mut missed) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let of_items: Vec<(Option<&Input>, &str)> = open.iter().map(|(item, miss)| (Some(*item), &**miss)).collect();
        let bound = bind(attempt, &of_items, pinned).await?;
        let mut calls = Vec::new();
        missed.clear();
        for ((item, _), arguments) in open.iter().zip(bound) {
            match arguments {
                Ok(arguments) => {
                    calls.extend(per_source(arguments, pinned).into_iter().map(|(_, arguments)| (*item, arguments)));
                }
                Err(miss) => missed.push((*item, miss)),
            }
        }
        if attempt.tool == "append_file" {
            calls = merged(calls);
        }
        for (item, arguments) in calls {
            match run(attempt, arguments).await {
                Ok(output) => outputs.push((item.name.clone(), output)),
                Err(miss) => missed.push((item, miss)),
            }
        }
        if missed.is_empty() {
            break;
        }
        open = missed.iter().map(|(item, miss)| (*item, miss.in_words())).collect();
    }
    match missed.first() {
        Some((_, miss)) if outputs.is_empty() => return Err(miss.clone()),
        _ => {}
    }
    let mut output = joined(outputs);
    output.notes.extend(missed.into_iter().map(|(item, miss)| format!("{} was set aside: {}", item.name, miss.error)));
    Ok(output)
}

/// The calls that arguments stand for: one for each source that the plan settles, with its path.
fn per_source(arguments: Json, pinned: Option<&Pinned>) -> Vec<(String, Json)> {
    let Some(Pinned { name, paths }) = pinned else { return vec![(String::new(), arguments)] };
    let with = |path: &String| {
        let mut arguments = arguments.clone();
        arguments.as_object_mut().into_iter().for_each(|fields| {
            fields.insert(name.clone(), json!(path));
        });
        (path.clone(), arguments)
    };
    paths.iter().map(with).collect()
}

/// Results for several sources as one: tables of the same columns are one table.
fn stacked(mut outputs: Vec<(String, Output)>) -> Output {
    if outputs.len() == 1 {
        return outputs.remove(0).1;
    }
    let columns = |output: &Output| match &output.value {
        Value::Table(table) => Some(table.columns.clone()),
        _ => None,
    };
    let first = outputs.first().and_then(|(_, output)| columns(output));
    let (Some(columns), true) = (&first, outputs.iter().all(|(_, output)| columns(output) == first)) else {
        return joined(outputs);
    };
    let mut table = Table { columns: columns.clone(), rows: Vec::new() };
    let mut all = Output::from(Value::Text(String::new()));
    for (_, output) in outputs {
        if let Value::Table(part) = output.value {
            table.rows.extend(part.rows);
        }
        all.changes.extend(output.changes);
        all.notes.extend(output.notes);
    }
    all.value = Value::Table(table);
    all
}

async fn run(attempt: &Attempt<'_>, mut arguments: Json) -> Result<Output, Miss> {
    if attempt.tool == "list_files" && attempt.step.file().is_some() {
        arguments["show"] = json!(listed(&attempt.asked()));
    }
    if attempt.tool == "search_text" {
        as_searched(&mut arguments, &attempt.journal.run().goal);
        for_marks(&mut arguments, &attempt.step.task);
        in_all_files(&mut arguments, &format!("{} {}", attempt.journal.run().goal, attempt.step.task));
    }
    if attempt.tool == REPLACE {
        return replace(attempt, arguments).await;
    }
    let tried = arguments.to_string();
    attempt.tool(attempt.tool, arguments, Record::Now).await.map_err(|error| Miss::new(error.to_string(), tried))
}

/// Replaces a text, but not in what the goal says to leave as it is, nor in what it wants written anew.
async fn replace(attempt: &Attempt<'_>, mut arguments: Json) -> Result<Output, Miss> {
    let run = attempt.journal.run();
    let tried = arguments.to_string();
    let text = |name: &str| arguments[name].as_str().unwrap_or_default().to_owned();
    let (find, put) = (text("find"), text("replace"));
    if run.goal.contains(&find) && !run.goal.contains(&put) {
        let error = format!("the goal does not speak of {put:?}; give the new text exactly as it stands in the goal");
        return Err(Miss::new(error, tried));
    }
    let existing: Vec<String> = run.workspace.list("", None)?.into_iter().map(|entry| entry.path).collect();
    let mut except = replacement::kept(&run.goal, &existing);
    except.extend(attempt.brief().outputs().into_iter().map(str::to_owned));
    arguments["except"] = json!(except.join(", "));
    // Small models set every switch that they see.
    arguments["ignore_case"] = json!(demand::ignores_case(&run.goal));
    arguments["inside_words"] = json!(attempt.number > 1 && arguments["inside_words"] == json!(true));
    let replaced = attempt.tool(REPLACE, arguments, Record::Now).await;
    replaced.map_err(|error| Miss::new(error.to_string(), tried))
}

/// The list of the changed files for the step's file, where the goal does not want to see how often in each.
fn list_of_changed(attempt: &Attempt<'_>, output: &Output) -> Option<Change> {
    const COUNTED: &[&str] = &["number", "many", "count", "counts", "replacements", "often", "times"];
    let path = attempt.step.file()?;
    let demand = clause::naming(&attempt.journal.run().goal, path)?;
    let own = clause::beside(&demand, path, &attempt.brief().outputs()).join(" ");
    let is_counted = words(&own).any(|word| COUNTED.contains(&word.as_str()));
    let mark = match attempt.step.form_for(path) {
        _ if is_counted => return None,
        Format::BulletList => "- ",
        Format::Text => "",
        _ => return None,
    };
    let content = written(&output.changes).into_iter().map(|file| format!("{mark}{file}\n")).collect();
    Some(Change::Write { path: path.to_owned(), content })
}

/// Searches for all marks that a task names, where it is marks that are looked for: of "comments marked XXX or HACK" models
/// like to make the ones that they know.
fn for_marks(arguments: &mut Json, task: &str) {
    const FORMS: &[&str] = &["CSV", "JSON", "YAML", "HTML", "PDF", "URL", "API", "SQL"];
    let is_mark = |word: &&str| word.len() > 2 && word.chars().all(char::is_uppercase) && !FORMS.contains(word);
    let marks = |text: &str| -> BTreeSet<String> {
        text.split(|c: char| !c.is_alphanumeric()).filter(is_mark).map(str::to_owned).collect()
    };
    let Some(pattern) = arguments["pattern"].as_str() else { return };
    let (searched, named) = (marks(pattern), marks(task));
    let is_for_marks = pattern.split('|').all(|part| !marks(part).is_empty());
    if is_for_marks && searched == named {
        arguments["ignore_case"] = json!(false);
    }
    if is_for_marks && !named.is_empty() && searched != named {
        arguments["pattern"] = json!(named.into_iter().collect::<Vec<_>>().join("|"));
        (arguments["regex"], arguments["whole_word"]) = (json!(true), json!(true));
    }
}

/// Searches in files of every kind, unless what is `said` speaks of the kind: models like to take the first one that they
/// see for all.
fn in_all_files(arguments: &mut Json, said: &str) {
    let Some(ending) = arguments["files"].as_str().and_then(|pattern| pattern.strip_prefix("*.")) else { return };
    const SPOKEN: &[(&str, &str)] = &[
        ("py", "python"),
        ("md", "markdown"),
        ("rs", "rust"),
        ("js", "javascript"),
        ("ts", "typescript"),
        ("txt", "text"),
        ("htm", "html"),
        ("yml", "yaml"),
    ];
    let name = SPOKEN.iter().find(|(short, _)| *short == ending).map_or(ending, |(_, name)| name);
    let is_said = words(said).any(|word| word == ending || word == name);
    if !is_said {
        arguments["files"] = json!("*");
    }
}

/// Searches for words as a person does who looks for things: small letters stand for both, and the plural for the singular
/// too. What the goal puts in quotes is searched for as it is.
fn as_searched(arguments: &mut Json, goal: &str) {
    let Some(pattern) = arguments["pattern"].as_str().map(str::to_owned) else { return };
    let is_quoted = ['"', '\'', '`', '”', '’'].iter().any(|mark| goal.contains(&format!("{pattern}{mark}")));
    if is_quoted || pattern.contains(char::is_uppercase) {
        return;
    }
    arguments["ignore_case"] = json!(true);
    let words: Vec<&str> = pattern.split('|').collect();
    if words.iter().all(|word| word.chars().all(char::is_alphabetic)) && words.iter().any(|word| is_plural(word)) {
        let both =
            words.iter().flat_map(|word| is_plural(word).then(|| &word[..word.len() - 1]).into_iter().chain([*word]));
        arguments["pattern"] = json!(both.collect::<Vec<_>>().join("|"));
        arguments["regex"] = json!(true);
    }
}

fn is_plural(word: &str) -> bool {
    const OTHERS: &[&str] = &["ss", "us", "is", "as", "os", "ies"];
    word.len() > 4 && word.ends_with('s') && !OTHERS.iter().any(|ending| word.ends_with(ending))
}

/// What a list of files that is saved is to show besides the paths: what the words about it speak of.
fn listed(asked: &str) -> String {
    const COLUMNS: &[(&str, &[&str])] = &[
        ("title", &["title", "titles", "heading", "headings", "headline", "headlines"]),
        ("bytes", &["size", "sizes", "bytes", "large", "largest", "big", "biggest", "smallest"]),
        ("modified", &["date", "dates", "modified", "changed", "newest", "oldest", "recent"]),
        ("lines", &["lines"]),
        ("words", &["words"]),
    ];
    let words: Vec<String> = words(asked).collect();
    let shown = COLUMNS.iter().filter(|(_, said)| has(&words, said)).map(|(column, _)| *column);
    shown.collect::<Vec<_>>().join(", ")
}

/// Texts for the same file as one: each call alone would add to the file as it is now, and the last would win.
fn merged(calls: Vec<(&Input, Json)>) -> Vec<(&Input, Json)> {
    let mut merged: Vec<(&Input, Json)> = Vec::new();
    for (item, arguments) in calls {
        let known = merged.iter_mut().find(|(_, known)| known["path"] == arguments["path"]);
        match (known, arguments["content"].as_str()) {
            (Some((_, known)), Some(added)) => {
                let so_far = known["content"].as_str().unwrap_or_default().trim_end_matches('\n');
                known["content"] = json!(format!("{so_far}\n{added}"));
            }
            _ => merged.push((item, arguments)),
        }
    }
    merged
}

fn joined(outputs: Vec<(String, Output)>) -> Output {
    let mut table = Table { columns: vec!["item".into(), "result".into()], rows: Vec::new() };
    let mut all = Output::from(Value::Text(String::new()));
    for (name, output) in outputs {
        table.rows.push(vec![json!(name), json!(output.value.preview(2000))]);
        all.changes.extend(output.changes);
        all.notes.extend(output.notes);
    }
    all.value = Value::Table(table);
    all
}

/// Arguments for every item but the pinned one, decoded in one batch; with each item stands what an earlier call for it
/// came to, if there was one.
async fn bind(
    attempt: &Attempt<'_>,
    items: &[(Option<&Input>, &str)],
    pinned: Option<&Pinned>,
) -> Result<Vec<Result<Json, Miss>>, Miss> {
    let run = attempt.journal.run();
    let Some(tool) = run.registry.find(attempt.tool) else {
        return Err(Miss::fatal(format!("there is no tool `{}`", attempt.tool)));
    };
    let paths: Vec<String> =
        run.workspace.list("", None)?.into_iter().map(|entry| entry.path).take(MAX_PATHS).collect();
    let grammar = Grammar::JsonSchema(bound_schema(tool.spec(), &paths, pinned));
    let shown = attempt.shown(&attempt.texts().unwrap_or_default(), SHOWN);
    let calls = items.iter().map(|(item, missed)| {
        let item = item.map_or(String::new(), |item| {
            format!("This time for [{}]\n{}\n", item.name, Value::Text(item.text.clone()).preview(SHOWN).trim())
        });
        let text = format!(
            "{shown}{item}{}{missed}Step {}: {}\nThe arguments of the tool {} ({}) for this step, as JSON with the keys {}:",
            attempt.failures(),
            attempt.step.id,
            attempt.step.task,
            tool.spec().name,
            tool.spec().description,
            keys(tool.spec()),
        );
        Call {
            purpose: "arguments",
            step: Some(attempt.step.id),
            messages: attempt.prompt().push(Segment::Step, Role::User, text).messages(),
            prefill: String::new(),
            grammar: Some(grammar.clone()),
            sampling: attempt.sampling(u64::from(!missed.is_empty())),
            stop: Vec::new(),
            max_tokens: 400,
        }
    });
    let mut bound = Vec::new();
    for reply in all(run.mind.as_ref(), calls.collect()).await {
        let reply = reply?;
        attempt.said("arguments", &reply);
        let cut_off = |error| Miss::new(format!("the arguments were cut off: {error}"), reply.text.clone());
        bound.push(serde_json::from_str(&reply.text).map_err(cut_off));
    }
    Ok(bound)
}

/// Names and descriptions of a tool's arguments, for the prompt.
fn keys(spec: &Spec) -> String {
    let properties = spec.schema.get("properties").and_then(Json::as_object);
    let described = properties.into_iter().flatten().map(|(name, property)| {
        let about = property.get("description").and_then(Json::as_str).unwrap_or_default();
        format!("\"{name}\" ({about})")
    });
    described.collect::<Vec<_>>().join(", ")
}

/// An argument that the plan settles already: the tool's only existing path is one of the step's sources.
struct Pinned {
    name: String,
    /// One for a call each.
    paths: Vec<String>,
}

/// What the plan settles; several sources only for a tool that changes nothing, and not for items.
fn pinned(attempt: &Attempt<'_>) -> Option<Pinned> {
    let run = attempt.journal.run();
    let spec = run.registry.find(attempt.tool)?.spec();
    let paths = outermost(attempt.step.paths());
    let properties = spec.schema.get("properties")?.as_object()?;
    let mut existing = properties.iter().filter(|(_, property)| property.get("x-path") == Some(&json!("existing")));
    let (name, None) = (existing.next()?.0.clone(), existing.next()) else { return None };
    let is_for_all = !spec.writes() || spec.name == REPLACE;
    let is_settled = paths.len() == 1 || (paths.len() > 1 && is_for_all && attempt.step.each.is_none());
    is_settled.then_some(Pinned { name, paths })
}

/// Paths without those that lie in a folder that is among them, and without the slash at the end of a folder.
fn outermost<'a>(paths: impl Iterator<Item = &'a str>) -> Vec<String> {
    let paths: Vec<&str> = paths.collect();
    let is_inside =
        |path: &str| paths.iter().any(|other| *other != path && other.ends_with('/') && path.starts_with(*other));
    let mut outermost: Vec<String> =
        paths.iter().filter(|path| !is_inside(path)).map(|path| path.trim_end_matches('/').to_owned()).collect();
    outermost.dedup();
    outermost
}

/// The tool's schema with `"x-path": "existing"` properties turned into enumerations of what exists, without
/// the pinned one, and with every text bounded.
fn bound_schema(spec: &Spec, paths: &[String], pinned: Option<&Pinned>) -> Json {
    let mut schema = spec.schema.clone();
    if let (Some(Pinned { name, .. }), Some(fields)) = (pinned, schema.as_object_mut()) {
        if let Some(properties) = fields.get_mut("properties").and_then(Json::as_object_mut) {
            properties.shift_remove(name);
        }
        if let Some(required) = fields.get_mut("required").and_then(Json::as_array_mut) {
            required.retain(|other| other != name.as_str());
        }
    }
    if !paths.is_empty() {
        enumerate(&mut schema, paths);
    }
    strip(&mut schema);
    schema
}

/// Characters of a text argument; what is longer is a model that repeats itself.
const MAX_TEXT: u64 = 1000;

fn enumerate(schema: &mut Json, paths: &[String]) {
    match schema {
        Json::Object(fields) => {
            if fields.get("x-path").and_then(Json::as_str) == Some("pattern") {
                *schema = json!({ "enum": patterns(paths) });
                return;
            }
            if fields.get("x-path").and_then(Json::as_str) == Some("existing") {
                if fields.get("type").and_then(Json::as_str) == Some("array") {
                    fields.insert("items".into(), json!({ "enum": paths }));
                } else {
                    *schema = json!({ "enum": paths });
                }
                return;
            }
            fields.values_mut().for_each(|value| enumerate(value, paths));
        }
        Json::Array(items) => items.iter_mut().for_each(|item| enumerate(item, paths)),
        _ => {}
    }
}

/// The patterns of names that say something about these files: all, and one per ending.
fn patterns(paths: &[String]) -> Vec<String> {
    let ending = |path: &String| path.rsplit('/').next()?.rsplit_once('.').map(|(_, ending)| format!("*.{ending}"));
    let endings: BTreeSet<String> = paths.iter().filter_map(ending).collect();
    std::iter::once("*".to_owned()).chain(endings).collect()
}

/// Removes what the grammar compiler does not need and bounds texts.
fn strip(schema: &mut Json) {
    match schema {
        Json::Object(fields) => {
            fields.shift_remove("x-path");
            if fields.get("type").and_then(Json::as_str) == Some("string") {
                let most = fields.get("maxLength").and_then(Json::as_u64).unwrap_or(MAX_TEXT);
                fields.insert("maxLength".into(), json!(most.min(MAX_TEXT)));
            }
            fields.values_mut().for_each(strip);
        }
        Json::Array(items) => items.iter_mut().for_each(strip),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_the_outermost_and_patterns_those_of_files_that_are_there() {
        let of = |paths: &[&str]| outermost(paths.iter().copied());
        assert_eq!(of(&["notes/", "notes/old/", "notes/a.txt"]), ["notes"]);
        assert_eq!(of(&["a.txt", "b/"]), ["a.txt", "b"]);
        assert_eq!(
            patterns(&["a/x.rs".into(), "y.rs".into(), "z.md".into(), "Makefile".into()]),
            ["*", "*.md", "*.rs"]
        );
    }

    #[test]
    fn all_marks_that_a_task_names_are_searched_for() {
        for (pattern, want) in [
            ("XXX|FIXME", json!({"pattern": "HACK|XXX", "regex": true, "whole_word": true})),
            ("XXX|HACK", json!({"pattern": "XXX|HACK", "ignore_case": false})),
            ("comment", json!({"pattern": "comment"})),
        ] {
            let mut arguments = json!({ "pattern": pattern });
            for_marks(&mut arguments, "list all comments marked XXX or HACK as CSV");
            assert_eq!(arguments, want);
        }
    }

    #[test]
    fn files_of_one_kind_are_searched_only_where_the_kind_is_spoken_of() {
        for (said, files, want) in [
            ("every mark below src", "*.py", "*"),
            ("every mark in the Python files", "*.py", "*.py"),
            ("every mark in the .css files", "*.css", "*.css"),
            ("every mark in a.css", "*.css", "*.css"),
        ] {
            let mut arguments = json!({ "files": files });
            in_all_files(&mut arguments, said);
            assert_eq!(arguments["files"], want, "{said}");
        }
    }

    #[test]
    fn words_are_searched_for_as_people_mean_them() {
        for (pattern, goal, want) in [
            (
                "walnuts|pecans",
                "Which recipes have walnuts or pecans?",
                json!({"pattern": "walnut|walnuts|pecan|pecans", "ignore_case": true, "regex": true}),
            ),
            ("status", "Find the status.", json!({"pattern": "status", "ignore_case": true})),
            ("TODO|FIXME", "Find them.", json!({"pattern": "TODO|FIXME"})),
            ("errors", "Find \"errors\".", json!({"pattern": "errors"})),
        ] {
            let mut arguments = json!({ "pattern": pattern });
            as_searched(&mut arguments, goal);
            assert_eq!(arguments, want);
        }
    }

    #[test]
    fn tables_of_several_sources_are_one() {
        let table = |rows: usize| {
            let rows = (0..rows).map(|row| vec![json!(row)]).collect();
            Output::from(Value::Table(Table { columns: vec!["n".into()], rows }))
        };
        let Value::Table(stacked) = stacked(vec![("a".into(), table(2)), ("b".into(), table(1))]).value else {
            panic!("no table")
        };
        assert_eq!((stacked.columns, stacked.rows.len()), (vec!["n".to_owned()], 3));
    }
}
