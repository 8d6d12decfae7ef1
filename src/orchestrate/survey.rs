//! What lies in the workspace, found by code before any model is asked.
//!
//! Deterministic: the same folder and goal give the same text, so the text can be a cached prefix. Bounded: a
//! folder of ten thousand files costs no more of the context than one of fifty. What version control ignores is left
//! out, unless the goal names it; where there are too many files to describe, those that the goal speaks of come first.
//! Must not know: the engine, plans.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::brief::Brief;
use super::{damage, demand, substitute, word};
use crate::tool::table::{self, ColumnType};
use crate::tool::workspace::{Entry, Ignored};
use crate::tool::{Error, Workspace};

/// What was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Survey {
    /// What the prompts show.
    pub text: String,
    /// Every file, relative.
    pub paths: Vec<String>,
    /// Files that hold a table.
    pub tables: Vec<String>,
    /// Whether rows of one of them are damaged, as the goal means that.
    pub has_damage: bool,
    /// Files that hold text, then folders that hold files (`notes/`).
    pub texts: Vec<String>,
    /// What a step can be repeated over: `file in notes`, `line of list.txt`.
    pub items: Vec<String>,
    /// Files that could be taken for one that is meant: which one that is, is decided by names and contents, not by the
    /// model.
    pub rivals: Vec<String>,
}

/// Files described one by one; beyond it they are only counted.
const MAX_DESCRIBED: usize = 60;
/// Files that plans may name.
const MAX_NAMED: usize = 150;
/// Text files up to this size are shown whole.
const SHOWN_WHOLE: u64 = 400;
/// Tables of one file that are described besides its first.
const MAX_TABLES: usize = 3;
/// Characters of data that is no table.
const MAX_DATA_CHARS: usize = 300;
/// All descriptions together.
const MAX_CHARS: usize = 6000;
/// A file with more lines is no list of items.
const MAX_LIST_LINES: usize = 100;

/// How tables are read for a goal.
pub fn options(goal: &str) -> table::Options {
    table::Options {
        refuses_gaps: damage::covers_gaps(goal),
        ignores_case: demand::ignores_case(goal),
        ..table::Options::default()
    }
}

/// Looks at every file of the workspace.
///
/// # Errors
/// As [`Workspace::list`].
pub fn survey(workspace: &Workspace, brief: &Brief, goal: &str) -> Result<Survey, Error> {
    let entries = relevant(workspace, brief, goal)?;
    let options = options(goal);
    let mut found = Survey::default();
    let mut per_folder: BTreeMap<String, usize> = BTreeMap::new();
    let mut lines = Vec::new();
    for entry in &entries {
        found.paths.push(entry.path.clone());
        if let Some((folder, _)) = entry.path.rsplit_once('/') {
            *per_folder.entry(folder.to_owned()).or_default() += 1;
        }
        let (kind, line) = if lines.len() < MAX_DESCRIBED {
            describe(workspace, &entry.path, entry.bytes, &options)
        } else {
            (Kind::by_name(&entry.path), String::new())
        };
        if !line.is_empty() {
            lines.push(line);
        }
        if found.tables.len() + found.texts.len() < MAX_NAMED {
            match kind {
                Kind::Table { n_bad, has_more } => {
                    found.has_damage |= n_bad > 0;
                    found.tables.push(entry.path.clone());
                    if has_more {
                        found.texts.push(entry.path.clone());
                    }
                }
                Kind::Text { n_lines } => {
                    if (2..=MAX_LIST_LINES).contains(&n_lines) && is_list(&entry.path) {
                        found.items.push(format!("line of {}", entry.path));
                    }
                    found.texts.push(entry.path.clone());
                }
                Kind::Other => {}
            }
        }
    }
    for (folder, n_files) in &per_folder {
        found.texts.push(format!("{folder}/"));
        if *n_files > 1 {
            found.items.insert(0, format!("file in {folder}"));
        }
    }
    if found.paths.len() > 1 && found.paths.iter().any(|path| !path.contains('/')) {
        found.items.push("file in .".to_owned());
    }
    let meant = |path: &String| (path.clone(), substitute::candidates(workspace, path, goal));
    let meant: Vec<(String, Vec<String>)> = brief.missing.iter().map(meant).collect();
    found.text = text(&lines, found.paths.len(), &meant);
    found.rivals = rivals(workspace, brief, meant);
    Ok(found)
}

/// The files that the survey is about, in order of path, or of relevance if not all can be described.
fn relevant(workspace: &Workspace, brief: &Brief, goal: &str) -> Result<Vec<Entry>, Error> {
    let mut entries = workspace.list("", None)?;
    let ignored = Ignored::read(workspace, &entries);
    let is_named = |entry: &Entry| brief.named.contains(&entry.path);
    entries.retain(|entry| !entry.is_folder && (is_named(entry) || !ignored.covers(&entry.path, false)));
    if entries.len() > MAX_DESCRIBED {
        // Words of a file's own name speak of that file.
        let own = words(&brief.named.join(" "));
        let wanted: BTreeSet<String> = words(goal).difference(&own).cloned().collect();
        let n_wanted = |entry: &Entry| words(&entry.path).iter().filter(|word| wanted.contains(*word)).count();
        entries.sort_by_cached_key(|entry| std::cmp::Reverse((is_named(entry), n_wanted(entry))));
    }
    Ok(entries)
}

/// Words of three letters and more, without the plural's ending.
fn words(text: &str) -> BTreeSet<String> {
    word::words(text)
        .map(|word| word.trim_end_matches('s').to_owned())
        .filter(|word| word.chars().count() > 2)
        .collect()
}

/// Files that could be taken for one that is meant and are not: those that are less like a missing one than another, and
/// copies, kept for the record, of one that the goal names. `meant` has for every missing file those that it can be.
fn rivals(workspace: &Workspace, brief: &Brief, meant: Vec<(String, Vec<String>)>) -> Vec<String> {
    let similar = meant.into_iter().flat_map(|(_, files)| files.into_iter().skip(1));
    let copies = brief.named.iter().flat_map(|path| workspace.similar(path)).filter(|path| substitute::is_past(path));
    similar.chain(copies).filter(|path| !brief.named.contains(path)).collect()
}

fn text(lines: &[String], n_files: usize, meant: &[(String, Vec<String>)]) -> String {
    let mut text = String::new();
    let mut n_shown = 0;
    for line in lines {
        if text.chars().count() + line.chars().count() > MAX_CHARS {
            break;
        }
        text.push_str(line);
        text.push('\n');
        n_shown += 1;
    }
    if n_files == 0 {
        text.push_str("(no files)\n");
    } else if n_shown < n_files {
        text.push_str(&format!("… and {} more files\n", n_files - n_shown));
    }
    for (path, similar) in meant {
        if similar.is_empty() {
            text.push_str(&format!("There is no file {path}.\n"));
        } else {
            text.push_str(&format!("There is no file {path}; the most similar ones are {}.\n", similar.join(", ")));
        }
    }
    text
}

enum Kind {
    /// `has_more`: something to read stands beside it.
    Table {
        n_bad: usize,
        has_more: bool,
    },
    Text {
        n_lines: usize,
    },
    Other,
}

impl Kind {
    fn by_name(path: &str) -> Self {
        if holds_table(path) { Self::Table { n_bad: 0, has_more: false } } else { Self::Text { n_lines: 0 } }
    }
}

fn extension(path: &str) -> String {
    path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map(|(_, e)| e.to_lowercase()).unwrap_or_default()
}

/// Whether a file of this name can hold a table.
pub fn holds_table(path: &str) -> bool {
    matches!(
        extension(path).as_str(),
        "csv" | "tsv" | "tab" | "json" | "jsonl" | "ndjson" | "db" | "sqlite" | "sqlite3"
    )
}

/// Whether a file in which `peek` was found is a table: by its name, or by what it holds.
pub fn is_table(path: &str, peek: &table::Peek) -> bool {
    holds_table(path) || is_clear(path, peek)
}

/// Whether what was taken for a table in a text file is none by chance: it has a header of names, and figures or dates.
fn is_clear(path: &str, peek: &table::Peek) -> bool {
    const MIN_ROWS: usize = 4;
    const MAX_NAME: usize = 30;
    let is_text = matches!(extension(path).as_str(), "txt" | "text" | "log" | "dat" | "out" | "lst" | "");
    let is_name = |name: &String| {
        name.chars().count() <= MAX_NAME
            && name.starts_with(char::is_alphabetic)
            && name.chars().all(|c| c.is_alphanumeric() || " _-/()%€$.".contains(c))
    };
    let is_made_up = peek.columns.first().is_some_and(|name| name == "c1");
    let has_values = peek.types.iter().any(|kind| !matches!(kind, ColumnType::Text));
    is_text
        && peek.columns.len() > 1
        && peek.n_rows >= MIN_ROWS
        && has_values
        && !is_made_up
        && peek.columns.iter().all(is_name)
}

fn is_list(path: &str) -> bool {
    matches!(extension(path).as_str(), "txt" | "md" | "text" | "lst" | "")
}

fn describe(workspace: &Workspace, path: &str, bytes: u64, options: &table::Options) -> (Kind, String) {
    let text = || workspace.read_text(path).ok();
    let json: Option<Json> =
        (extension(path) == "json").then(text).flatten().and_then(|text| serde_json::from_str(&text).ok());
    if let Some(data) = json.as_ref().filter(|json| is_nested(json)) {
        let shown = format!("- {path}: data: {}", clip(&one_line(&data.to_string()), MAX_DATA_CHARS));
        return (Kind::Text { n_lines: 1 }, shown);
    }
    let tables = table::load_all(workspace, path, options).unwrap_or_default();
    let mut peeks = tables.iter().map(|(name, loaded)| (name, loaded.peek()));
    if let Some((_, first)) = peeks.next()
        && is_table(path, &first)
    {
        let mut shown = describe_table(path, &first);
        for (name, peek) in peeks.take(MAX_TABLES) {
            shown.push_str(&describe_table(&format!("in it {name}"), &peek).replacen("- ", "\n    ", 1));
        }
        let beside = json.and_then(beside);
        if let Some(beside) = &beside {
            shown.push_str(&format!("\n    beside it: {}", clip(&one_line(&beside.to_string()), MAX_DATA_CHARS)));
        }
        return (Kind::Table { n_bad: first.n_bad, has_more: beside.is_some() }, shown);
    }
    match workspace.read_text(path) {
        Ok(text) => {
            let n_lines = text.lines().filter(|line| !line.trim().is_empty()).count();
            let shown = if bytes <= SHOWN_WHOLE {
                format!("- {path}: text, {n_lines} lines:\n{}", indent(text.trim()))
            } else {
                let words = text.split_whitespace().count();
                let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
                format!("- {path}: text, {n_lines} lines, {words} words, begins: {}", clip(first, 80))
            };
            (Kind::Text { n_lines }, shown)
        }
        Err(_) => (Kind::Other, format!("- {path}: {bytes} bytes, not text")),
    }
}

/// Whether the data of a JSON file is no table: an object in which single values and further objects stand side by side,
/// and no list of objects.
pub fn is_nested(json: &Json) -> bool {
    let Some(fields) = json.as_object() else { return false };
    let is_list = table::is_list_of_objects;
    let has_list = fields
        .values()
        .any(|value| is_list(value) || value.as_object().is_some_and(|inner| inner.values().any(is_list)));
    let is_mixed = fields.values().any(Json::is_object) && !fields.values().all(Json::is_object);
    is_mixed && !has_list
}

/// What the data of a JSON file has beside its lists of objects, if that is more than single values.
fn beside(json: Json) -> Option<Json> {
    let Json::Object(mut members) = json else { return None };
    let is_list = table::is_list_of_objects;
    let has_list = members.values().any(is_list);
    members.retain(|_, value| !is_list(value));
    (has_list && members.values().any(Json::is_object)).then_some(Json::Object(members))
}

/// What a table looks like, as a line of the survey.
pub fn describe_table(path: &str, peek: &table::Peek) -> String {
    let columns: Vec<String> = peek
        .columns
        .iter()
        .zip(&peek.types)
        .zip(&peek.examples)
        .map(|((name, kind), examples)| {
            let kind = match kind {
                ColumnType::Text => "",
                ColumnType::Integer | ColumnType::Real => " number",
                ColumnType::Date => " date",
                ColumnType::Boolean => " boolean",
            };
            let examples = if examples.is_empty() { String::new() } else { format!(" ({})", examples.join("|")) };
            format!("{name}{kind}{examples}")
        })
        .collect();
    // A cell may hold line breaks, and must not pass for a line of ours.
    let columns = one_line(&columns.join(", "));
    let bad = if peek.n_bad == 0 { String::new() } else { format!(", {} of them damaged", peek.n_bad) };
    let mut text = format!("- {path}: table, {} rows{bad}; columns: {columns}", peek.n_rows);
    for row in peek.first_rows.iter().take(2) {
        let cells: Vec<String> = row.iter().map(crate::tool::format::cell_text).collect();
        text.push_str(&format!("\n    {}", clip(&one_line(&cells.join(", ")), 160)));
    }
    text
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

fn clip(text: &str, max_chars: usize) -> String {
    match text.char_indices().nth(max_chars) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool::Policy;

    fn surveyed(files: &[(&str, &str)], goal: &str) -> Survey {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let workspace = Workspace::open(folder.path(), Policy::default()).unwrap();
        let paths: Vec<String> = files.iter().map(|(path, _)| (*path).to_owned()).collect();
        let brief = crate::orchestrate::brief::read(goal, &paths);
        survey(&workspace, &brief, goal).unwrap()
    }

    #[test]
    fn what_version_control_ignores_is_left_out_unless_the_goal_names_it() {
        let files = [
            (".gitignore", "/target\n*.log\n!kept.log\n"),
            ("target/a.txt", "made"),
            ("sub/b.log", "noise"),
            ("sub/kept.log", "news"),
            ("sub/.gitignore", "c.txt\n"),
            ("sub/c.txt", "own"),
            ("c.txt", "root"),
        ];
        assert_eq!(surveyed(&files, "Sum it up.").paths, ["c.txt", "sub/kept.log"]);
        assert_eq!(surveyed(&files, "Sum up sub/b.log.").paths, ["c.txt", "sub/b.log", "sub/kept.log"]);
    }

    #[test]
    fn what_kind_of_data_a_file_holds_is_seen_in_it() {
        let files = [
            ("scale.txt", "time;lorry;kg\n07:10;A;500\n07:20;B;x\n07:30;A;520\n\n07:40;C;530\n07:50;C;540\n"),
            ("prose.txt", "Dear Ada,\nwe met, we ate,\nand we left at 10,\nwhich was late,\nas you know,\nBob\n"),
            ("people.txt", "Ada, plumber\nBob, baker\nCy, sailor\nDee, painter\nEve, diver\n"),
            ("config.json", r#"{"since": 2020, "rates": {"car": 0.3, "van": 0.4}}"#),
            ("prices.json", r#"{"pear": 2, "plum": 3}"#),
        ];
        let found = surveyed(&files, "Sum it up.");
        assert_eq!(found.tables, ["prices.json", "scale.txt"]);
        assert!(found.text.contains("config.json: data: {\"since\":2020"), "{}", found.text);
    }

    #[test]
    fn of_too_many_files_those_the_goal_speaks_of_come_first() {
        let names: Vec<String> = (0..300).map(|i| format!("data/part{i:03}.txt")).collect();
        let mut files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
        files.push(("zoo/invoices.csv", "a,b\n1,2\n"));
        let found = surveyed(&files, "Add up the invoice in zoo, then look at data/part250.txt.");
        assert_eq!(found.paths[..2], ["data/part250.txt", "zoo/invoices.csv"]);
        assert!(found.text.contains("zoo/invoices.csv: table, 1 rows"), "{}", found.text);
        assert!(found.text.contains("more files"), "{}", found.text);
    }
}
