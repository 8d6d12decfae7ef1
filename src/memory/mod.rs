//! Recall across runs: steps that worked become examples, and the nearest of them are shown to later runs.
//!
//! What is remembered is data: the words of the goal, what a step was to do, its tool and its arguments. Names of files are
//! replaced by what kind of file they are, so that no run takes the files of another for its own; texts of documents are
//! not kept, and what is long is not kept at all.
//! A small general set ships with the program; it is shown like what was learnt.
//! Must not know: runs, events, prompts.

pub mod rank;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde::Deserialize;

use crate::store::{self, Example, NewExample, Store};

/// Examples that are kept; those that were not used for longest go first.
pub const MAX_EXAMPLES: usize = 2000;
/// Longest task and longest arguments that are remembered, in characters.
const MAX_TASK: usize = 200;
const MAX_ARGUMENTS: usize = 400;
/// Words of a goal that are kept.
const MAX_WORDS: usize = 30;

/// Something that worked.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Lesson {
    /// Words of the goal, for finding it again.
    #[serde(default)]
    pub words: String,
    /// What the step was to do.
    pub task: String,
    /// Its tool.
    pub tool: String,
    /// The tool's arguments as JSON; empty for a kind of step that has none.
    pub arguments: String,
}

impl Lesson {
    /// What can be kept of a step; `None` if it is too long to be an example. `paths` are the files that it may name.
    pub fn new(goal: &str, task: &str, (tool, arguments): (&str, &str), paths: &[String]) -> Option<Self> {
        let (task, arguments) = (one_line(&without_files(task, paths)), without_files(arguments, paths));
        let arguments = one_line(&without_tables(&arguments, paths));
        let fits = |text: &str, most: usize| text.chars().count() <= most;
        let mut words = rank::words(&without_files(goal, paths));
        words.truncate(MAX_WORDS);
        (fits(&task, MAX_TASK) && fits(&arguments, MAX_ARGUMENTS)).then(|| Self {
            words: words.join(" "),
            task,
            tool: tool.to_owned(),
            arguments,
        })
    }
}

/// Remembers lessons; one that is known already counts as used again.
///
/// # Errors
/// Those of the store.
pub fn remember(store: &Store, lessons: &[Lesson]) -> Result<(), store::Error> {
    let new: Vec<NewExample<'_>> = lessons
        .iter()
        .map(|Lesson { words, task, tool, arguments }| NewExample { words, task, tool, arguments })
        .collect();
    store.remember(&new, MAX_EXAMPLES)
}

/// The examples that ship with the program.
fn general() -> &'static [Lesson] {
    #[derive(Deserialize)]
    struct General {
        example: Vec<Lesson>,
    }
    static GENERAL: LazyLock<General> =
        LazyLock::new(|| toml::from_str(include_str!("general.toml")).expect("a constant file, read in a test"));
    &GENERAL.example
}

/// Whether a general example has enough in common with a text to be worth its place: one word may be there by chance.
fn is_near(query: &str, lesson: &Lesson) -> bool {
    const MIN_SHARED: usize = 2;
    let of = |text: &str| rank::words(text).into_iter().collect::<BTreeSet<String>>();
    of(query).intersection(&of(&lesson.task)).count() >= MIN_SHARED
}

/// The lessons nearest to a text, best first, at most `n`, of one tool or of all: those of earlier runs, which count as
/// used, and the general ones.
///
/// # Errors
/// Those of the store.
pub fn recall(store: &Store, query: &str, tool: Option<&str>, n: usize) -> Result<Vec<Lesson>, store::Error> {
    let learnt = store.examples()?.into_iter().map(|example| (Some(example.id), Lesson::from(&example)));
    let near = general().iter().filter(|lesson| is_near(query, lesson));
    let all = learnt.chain(near.map(|lesson| (None, lesson.clone())));
    let known: Vec<(Option<i64>, Lesson)> =
        all.filter(|(_, lesson)| tool.is_none_or(|tool| lesson.tool == tool)).collect();
    let texts: Vec<String> = known.iter().map(|(_, lesson)| format!("{} {}", lesson.task, lesson.words)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let nearest: Vec<&(Option<i64>, Lesson)> =
        rank::nearest(query, &texts, n).into_iter().map(|idx| &known[idx]).collect();
    store.touch_examples(&nearest.iter().filter_map(|(id, _)| *id).collect::<Vec<i64>>())?;
    Ok(nearest.into_iter().map(|(_, lesson)| lesson.clone()).collect())
}

impl From<&Example> for Lesson {
    fn from(example: &Example) -> Self {
        let Example { words, task, tool, arguments, .. } = example.clone();
        Self { words, task, tool, arguments }
    }
}

fn one_line(text: &str) -> String {
    text.split(char::is_control).collect::<Vec<_>>().join(" ").trim().to_owned()
}

/// The text with the names of files replaced by the kinds of files.
fn without_files(text: &str, paths: &[String]) -> String {
    static FILE: LazyLock<Regex> = LazyLock::new(|| {
        let endings =
            "txt|md|csv|tsv|json|jsonl|ndjson|yaml|yml|toml|xml|html|htm|pdf|docx|xlsx|py|rs|js|sqlite|db|ini";
        Regex::new(&format!(r"(?i)[\w./~-]*\w\.({endings})\b")).expect("a constant expression")
    });
    let mut known: Vec<&String> = paths.iter().filter(|path| path.chars().count() > 2).collect();
    known.sort_by_key(|path| std::cmp::Reverse(path.len()));
    let text = known.into_iter().fold(text.to_owned(), |text, path| without(&text, path));
    FILE.replace_all(&text, |found: &Captures<'_>| kind(&found[0])).into_owned()
}

/// The text with the kind of file in place of a path, where it does not stand inside of a word or of a longer path.
fn without(text: &str, path: &str) -> String {
    let is_apart = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != '/');
    let (mut kept, mut done) = (String::new(), 0);
    for (at, _) in text.match_indices(path) {
        let end = at + path.len();
        if is_apart(text[..at].chars().next_back()) && is_apart(text[end..].chars().next()) {
            kept.push_str(&text[done..at]);
            kept.push_str(&kind(path));
            done = end;
        }
    }
    kept + &text[done..]
}

/// What stands for a file.
fn kind(path: &str) -> String {
    match path.rsplit('/').next().and_then(|name| name.rsplit_once('.')) {
        Some((_, ending)) => format!("‹{} file›", ending.to_lowercase()),
        None => "‹file›".to_owned(),
    }
}

/// A query with the tables that are called like files replaced too.
fn without_tables(arguments: &str, paths: &[String]) -> String {
    let stem = |path: &String| {
        let name = path.rsplit('/').next()?;
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        (stem.chars().count() > 1).then(|| stem.replace(|c: char| !c.is_alphanumeric(), "_"))
    };
    let stems = paths.iter().filter_map(stem);
    stems.fold(arguments.to_owned(), |text, stem| {
        let stem = regex::escape(&stem);
        let table = format!(r#"(?i)\b(FROM|JOIN)\s+(?:\\?"{stem}\\?"|{stem}\b)"#);
        match Regex::new(&table) {
            Ok(table) => table.replace_all(&text, "$1 ‹table›").into_owned(),
            Err(_) => text,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lesson(task: &str, tool: &str, arguments: &str) -> Lesson {
        let paths = ["data/sales 2024.csv", "data.csv", "Ünï.txt", "Makefile", "out"].map(str::to_owned);
        Lesson::new("Add up data.csv by region into totals.md", task, (tool, arguments), &paths).unwrap()
    }

    #[test]
    fn no_file_of_a_workspace_is_named() {
        for (task, arguments, want) in [
            (
                "totals of data.csv",
                r#"{"sql":"SELECT x FROM data"}"#,
                r#"totals of ‹csv file› {"sql":"SELECT x FROM ‹table›"}"#,
            ),
            ("read data/sales 2024.csv", "", "read ‹csv file› "),
            (
                "see Ünï.txt and other/new.md",
                r#"{"path":"a/b.json"}"#,
                r#"see ‹txt file› and ‹md file› {"path":"‹json file›"}"#,
            ),
            ("from Makefile", "", "from ‹file› "),
            (
                "a\nb",
                r#"{"sql":"SELECT d.name FROM \"data\" d JOIN data e"}"#,
                r#"a b {"sql":"SELECT d.name FROM ‹table› d JOIN ‹table› e"}"#,
            ),
            ("walk about out/x.md", r#"{"path":"out"}"#, r#"walk about ‹md file› {"path":"‹file›"}"#),
            ("1.5 times", r#"{"expression":"1.5*2"}"#, r#"1.5 times {"expression":"1.5*2"}"#),
        ] {
            let lesson = lesson(task, "t", arguments);
            assert_eq!(format!("{} {}", lesson.task, lesson.arguments), want);
            assert_eq!(lesson.words, "add csv region");
        }
    }

    #[test]
    fn the_general_examples_are_such_as_could_have_been_learnt() {
        assert!(general().len() > 20);
        let total = &general()[0];
        assert!(is_near("What is the total amount per region?", total) && !is_near("the total of all", total));
        for lesson in general() {
            let learnt = Lesson::new("", &lesson.task, (&lesson.tool, &lesson.arguments), &[]).unwrap();
            assert_eq!(learnt, *lesson, "short, and without the name of any file");
            assert!(
                lesson.arguments.is_empty() || serde_json::from_str::<serde_json::Value>(&lesson.arguments).is_ok()
            );
        }
    }

    #[test]
    fn what_is_long_is_not_remembered() {
        let long = |n: usize| "é".repeat(n);
        let new = |task: usize, arguments: usize| Lesson::new("g", &long(task), ("t", &long(arguments)), &[]);
        assert!(new(MAX_TASK, MAX_ARGUMENTS).is_some());
        assert!(new(MAX_TASK + 1, 0).is_none() && new(0, MAX_ARGUMENTS + 1).is_none());
    }

    #[test]
    fn what_was_learnt_comes_back_to_like_tasks() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).unwrap();
        let learnt = [lesson("totals per region", "query_table", "{}"), lesson("find whales", "search_text", "{}")];
        remember(&store, &learnt).unwrap();
        remember(&store, &learnt[..1]).unwrap();
        assert_eq!(store.examples().unwrap().len(), 2, "the same lesson is kept once");
        assert_eq!(recall(&store, "total by region, please", None, 1).unwrap(), learnt[..1]);
        assert_eq!(recall(&store, "where are whales", Some("search_text"), 1).unwrap(), learnt[1..]);
        assert_eq!(recall(&store, "where are whales", Some("query_table"), 1).unwrap(), Vec::new());
        let used = store.examples().unwrap().into_iter().find(|example| example.tool == "search_text").unwrap();
        assert_eq!(used.n_used, 1);
    }
}
