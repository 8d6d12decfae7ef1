//! What a goal asks for: the files to be written, the things to be told, the files it names.
//!
//! Read by code from the goal's own words, before any model sees it; [`unmet`] compares it with the
//! workspace at the end, so that "done" is never merely believed.
//! Must not know: the engine, plans, steps.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::word;
use crate::tool::workspace::similar_names;
use crate::tool::{Workspace, table};

/// What the goal asks for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Brief {
    /// Files to be written.
    pub write: Vec<Deliverable>,
    /// Existing files that the goal names.
    #[serde(default)]
    pub named: Vec<String>,
    /// Files that the goal names and that do not exist, though they are not to be written.
    #[serde(default)]
    pub missing: Vec<String>,
    /// Existing files that the goal says to change.
    #[serde(default)]
    pub may_replace: Vec<String>,
    /// Folders that may receive one file per item.
    #[serde(default)]
    pub folders: Vec<String>,
}

/// A file that the goal wants written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Deliverable {
    /// Relative path; `folder/*` stands for one file per item.
    pub path: String,
}

impl Brief {
    /// The paths of the files to be written.
    pub fn outputs(&self) -> Vec<&str> {
        self.write.iter().map(|file| file.path.as_str()).collect()
    }
}

/// Something that the goal asks for and that is not there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unmet {
    /// The file concerned.
    pub path: String,
    /// What is wrong with it.
    pub what: String,
}

/// What a file named in a goal is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// To be read.
    Input,
    /// To be written.
    Output,
}

/// A file name that stands in a goal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// As it is written there.
    pub path: String,
    /// What the words before it say about it.
    pub part: Part,
    /// Whether the words before it say that the file itself is to be changed.
    pub change: bool,
}

/// Extensions that make a word a file name even if no such file exists.
const EXTENSIONS: &[&str] = &[
    "txt", "md", "markdown", "rst", "csv", "tsv", "json", "jsonl", "ndjson", "yaml", "yml", "toml", "xml", "html",
    "htm", "css", "js", "mjs", "ts", "tsx", "jsx", "py", "rs", "go", "java", "c", "h", "cpp", "hpp", "cs", "rb", "php",
    "sh", "bash", "sql", "db", "sqlite", "sqlite3", "log", "ini", "cfg", "conf", "env", "tex", "svg", "pdf", "dat",
    "out", "diff", "patch", "ics", "eml", "srt", "vtt", "bib", "text", "adoc", "org",
];

/// Words that announce a file to be written when they stand right before its name.
const INTO: &[&str] = &["into", "to", "as", "called", "named", "onto", "need", "want"];
/// Verbs after which a file named in the same clause is written, with any preposition.
const WRITES: &[&str] = &[
    "write",
    "save",
    "create",
    "put",
    "store",
    "produce",
    "export",
    "generate",
    "make",
    "collect",
    "record",
    "output",
    "deliver",
    "draft",
    "prepare",
    "compose",
    "summarize",
    "summarise",
    "report",
    "print",
    "dump",
    "place",
    "copy",
    "list",
    "leave",
    "translate",
    "convert",
    "document",
    "note",
];
/// Words of [`WRITES`] that are often nouns.
const NOUNS: &[&str] =
    &["list", "report", "record", "note", "document", "copy", "place", "output", "draft", "export", "print", "dump"];
/// Words after which a file is read, whatever verb came before.
const READS: &[&str] = &[
    "from", "using", "of", "read", "per", "open", "with", "than", "like", "see", "under", "against", "about", "use",
    "by",
];
/// Words by which something is said to stand in a file that is there.
const STANDS: &[&str] = &[
    "is",
    "are",
    "it's",
    "they're",
    "listed",
    "stands",
    "stand",
    "kept",
    "stored",
    "described",
    "written",
    "found",
    "recorded",
    "noted",
    "defined",
    "explained",
];
/// Words by which something is wished for, so that it is not there yet.
const WANTS: &[&str] = &["want", "like", "need", "expect"];
/// Verbs of which a file that is there is the subject.
const HOLDS: &[&str] =
    &["has", "holds", "lists", "contains", "tells", "gives", "shows", "says", "is", "records", "describes", "explains"];
/// Verbs that change an existing file in place.
const CHANGES: &[&str] = &[
    "update",
    "overwrite",
    "replace",
    "modify",
    "edit",
    "fix",
    "correct",
    "append",
    "add",
    "change",
    "rewrite",
    "extend",
    "insert",
    "rename",
    "move",
    "delete",
    "remove",
    "reformat",
    "sort",
    "complete",
];

fn is_file_name(word: &str, existing: &BTreeSet<&str>) -> bool {
    if existing.contains(word) {
        return true;
    }
    let Some((stem, extension)) = word.rsplit_once('.') else { return false };
    !stem.is_empty()
        && !word.contains("://")
        && !word.contains("..")
        && word.chars().all(|c| c.is_alphanumeric() || "._-/ ".contains(c))
        && EXTENSIONS.contains(&extension.to_lowercase().as_str())
}

fn trim_word(word: &str) -> &str {
    let is_mark = |c: char| "\"'`()[]{}<>,;:!?*“”‘’«»".contains(c);
    let word = word.trim_start_matches(is_mark).trim_end_matches(|c| is_mark(c) || c == '.');
    word.trim_end_matches("'s").trim_start_matches("./")
}

/// A word in small letters without its marks; an arrow is the word that it stands for.
fn plain_word(word: &str) -> String {
    let is_arrow = ["->", "→", "=>", ">", "-->"].contains(&word);
    if is_arrow { "into".to_owned() } else { trim_word(word).to_lowercase() }
}

/// The file names that stand in a goal, in order, each once, with what the words before them say.
///
/// `existing` are the files of the workspace. A name that exists is an input unless the goal says to change it.
pub fn mentions(goal: &str, existing: &[String]) -> Vec<Mention> {
    let odd = odd_names(existing);
    let goal = odd.iter().enumerate().fold(goal.to_owned(), |goal, (k, name)| goal.replace(*name, &stand_in(k)));
    let existing: BTreeSet<&str> = existing.iter().map(String::as_str).collect();
    let mut found: Vec<Mention> = Vec::new();
    for clause in word::sentences(&goal) {
        let mut previous: Option<(usize, Part)> = None;
        for (i, word) in clause.iter().enumerate() {
            let word = trim_word(word);
            let path = (0..odd.len()).find(|k| word == stand_in(*k)).map_or(word, |k| odd[k]);
            if !is_file_name(path, &existing) {
                continue;
            }
            let before: Vec<String> = clause[..i].iter().map(|word| plain_word(word)).collect();
            let follows = clause.get(i + 1).map_or(String::new(), |next| trim_word(next).to_lowercase());
            let is_subject = HOLDS.contains(&follows.as_str());
            let change = !is_subject && (0..before.len()).any(|k| changes(&before, k));
            let is_to_be = is_to_be(&before, &clause[i + 1..]);
            let part = match part_by_words(&before, previous) {
                _ if existing.contains(path) && !change => Part::Input,
                _ if is_to_be => Part::Output,
                Some(part) => part,
                None if change => Part::Output,
                // Nothing says what it is for. What is not there and is like nothing that is there is to be made.
                None if is_subject || !similar_names(path, existing.iter().copied()).is_empty() => Part::Input,
                None => Part::Output,
            };
            previous = Some((i, part));
            let change = change && existing.contains(path);
            match found.iter_mut().find(|mention| mention.path == path) {
                Some(known) if part == Part::Output => (known.part, known.change) = (part, known.change || change),
                Some(known) => known.change |= change,
                None => found.push(Mention { path: path.to_owned(), part, change }),
            }
        }
    }
    found
}

/// Whether the words around a file's name say what it has to be: "… is to hold", "… should have", "in … I want".
fn is_to_be(before: &[String], after: &[&str]) -> bool {
    let after: Vec<String> = after.iter().take(2).map(|word| trim_word(word).to_lowercase()).collect();
    let after: Vec<&str> = after.iter().map(String::as_str).collect();
    let is_first = before.len() == 1 && before[0] == "in";
    match after[..] {
        ["should" | "must" | "shall" | "will", ..] => true,
        ["i" | "we", verb] => is_first && (WANTS.contains(&verb) || verb == "would"),
        ["i'd" | "we'd", ..] => is_first,
        [verb, to] => ["is", "has", "needs", "ought", "supposed"].contains(&verb) && ["to", "supposed"].contains(&to),
        _ => false,
    }
}

/// Whether the `k`-th of the words before a file is a verb that changes it; one that is "added up" stays as it is, and what
/// is added to a file goes to or into it.
fn changes(words: &[String], k: usize) -> bool {
    const INTO: &[&str] = &["to", "into", "in", "at", "onto"];
    const PLACE: &[&str] =
        &["the", "a", "file", "end", "top", "beginning", "of", "my", "our", "table", "list", "existing"];
    let adds = ["add", "append", "insert"].contains(&words[k].as_str());
    let last = words[k + 1..].iter().rev().find(|word| !PLACE.contains(&word.as_str()));
    let goes_in = last.is_some_and(|word| INTO.contains(&word.as_str()));
    let adds_up = words.get(k + 1).is_some_and(|word| ["up", "together", "all"].contains(&word.as_str()));
    CHANGES.contains(&words[k].as_str()) && !(words[k] == "add" && adds_up) && (!adds || goes_in)
}

/// Whether the `k`-th word is a verb that writes a file. Some are nouns as well, as in "the planting list in …": these
/// are verbs where a demand begins.
fn writes(words: &[String], k: usize) -> bool {
    let begins = |k: usize| {
        let before = k.checked_sub(1).map_or("", |k| words[k].as_str());
        ["", "and", "then", "please", "to", "also", "or", "finally"].contains(&before)
    };
    WRITES.contains(&words[k].as_str()) && (!NOUNS.contains(&words[k].as_str()) || begins(k))
}

/// Names that are not one plain word, longest first: they are looked for before the goal is split into words.
fn odd_names(existing: &[String]) -> Vec<&str> {
    let is_odd = |name: &&str| name.split_whitespace().count() != 1 || trim_word(name) != *name;
    let mut odd: Vec<&str> = existing.iter().map(String::as_str).filter(is_odd).collect();
    odd.sort_by_key(|name| std::cmp::Reverse(name.len()));
    odd
}

/// A word that stands for the `k`-th odd name and for nothing else.
fn stand_in(k: usize) -> String {
    format!("\u{1}{k}\u{1}")
}

/// What the words before a file name say about it, if they do; `named` is the file named before it in the same clause.
fn part_by_words(before: &[String], named: Option<(usize, Part)>) -> Option<Part> {
    if let Some((at, part)) = named
        && before[at + 1..].iter().all(|word| word.is_empty() || ["and", "or", "&"].contains(&word.as_str()))
    {
        return Some(part); // "a.csv, b.csv and c.csv"
    }
    let filler = ["the", "a", "an", "file", "new", "one", "text", "single", "also", "too", "csv", "json", "and"];
    let mut near = before.iter().rev().filter(|word| !filler.contains(&word.as_str()));
    let last = near.next().map_or("", String::as_str);
    let previous = near.next().map_or("", String::as_str);
    if ["according", "compared", "relative", "due", "close"].contains(&previous) && last == "to" {
        return Some(Part::Input);
    }
    let is_name = ["it", "this", "them"].contains(&last) && ["name", "call", "title"].contains(&previous);
    if INTO.contains(&last) || is_name {
        return Some(Part::Output);
    }
    if READS.contains(&last) {
        return Some(Part::Input);
    }
    // "they are all in …", "as listed in …".
    let has_before = |words: &[&str]| before.iter().rev().skip(1).take(3).any(|word| words.contains(&word.as_str()));
    if last == "in" && has_before(STANDS) {
        return Some(Part::Input);
    }
    let verb = (0..before.len()).rposition(|k| writes(before, k));
    let is_wanted = || before.iter().any(|word| WANTS.contains(&word.as_str()));
    // "I'd like it in …"; but "I need the hours, it's all in …".
    let is_wanted_there = before.len() > 2
        && WANTS.contains(&before[before.len() - 3].as_str())
        && ["it", "them", "this", "that", "these", "everything", "all"].contains(&previous);
    if last == "in" && is_wanted_there {
        return Some(Part::Output);
    }
    let is_said_of = || has_before(&["it", "they", "that", "all"]);
    if last == "in" && verb.is_none() {
        return Some(if is_wanted() && !is_said_of() { Part::Output } else { Part::Input });
    }
    // A word like "from" speaks of the next file only.
    let start = named.map_or(0, |(at, _)| at + 1);
    let read = before.iter().rposition(|word| ["from", "using", "read", "open"].contains(&word.as_str()));
    let read = read.filter(|read| *read >= start);
    match (verb, read) {
        (Some(verb), Some(read)) if read > verb => Some(Part::Input),
        (Some(_), _) => Some(Part::Output),
        (None, Some(_)) => Some(Part::Input),
        (None, None) => None,
    }
}

/// What a goal asks for, as far as its words say it. `existing` are the files of the workspace.
pub fn read(goal: &str, existing: &[String]) -> Brief {
    let mut brief = Brief { folders: folders(goal), ..Brief::default() };
    // What is there already is where the items come from, if another folder is named too.
    let is_new = |folder: &String| !existing.iter().any(|path| path.starts_with(&format!("{folder}/")));
    if brief.folders.iter().any(is_new) {
        brief.folders.retain(is_new);
    } else {
        brief.folders.retain(|folder| is_written_into(goal, folder));
    }
    // "… under the same name, so short/a.txt and so on" names no file of its own.
    let is_example = |mention: &Mention| {
        let (folder, name) = mention.path.rsplit_once('/').unwrap_or_default();
        brief.folders.iter().any(|known| known == folder)
            && existing.iter().any(|path| path.rsplit('/').next() == Some(name) && *path != mention.path)
    };
    let mentions: Vec<Mention> = mentions(goal, existing).into_iter().filter(|mention| !is_example(mention)).collect();
    for mention in mentions {
        let exists = existing.contains(&mention.path);
        if exists {
            brief.named.push(mention.path.clone());
        }
        if mention.change {
            brief.may_replace.push(mention.path.clone());
        }
        match mention.part {
            Part::Output if mention.change || !exists => brief.write.push(Deliverable { path: mention.path }),
            Part::Input if !exists => brief.missing.push(mention.path),
            _ => {}
        }
    }
    brief
}

/// Words that point at what lies in the workspace.
const POINTING: &[&str] = &[
    "file",
    "files",
    "folder",
    "folders",
    "document",
    "documents",
    "workspace",
    "directory",
    "data",
    "table",
    "tables",
    "notes",
    "here",
    "text",
    "texts",
    "this",
    "these",
    "those",
    "my",
    "our",
    "we",
    "us",
    "project",
    "repository",
    "code",
    "save",
    "write",
    "report",
    "reports",
    "list",
    "log",
    "logs",
    "csv",
    "json",
    "sheet",
    "letters",
    "mails",
    "readme",
];

/// Whether a goal can be about what lies in the workspace: it points there, or has a word of it. `survey` describes what is
/// there. A question of general knowledge does not.
pub fn speaks_of(goal: &str, survey: &str) -> bool {
    const COMMON: &[&str] =
        &["what", "which", "just", "answer", "many", "with", "does", "have", "tell", "that", "from", "most", "after"];
    // "No need to look at any files" points at nothing.
    let goal = goal.split_inclusive(['.', '?', '!']).filter(|sentence| !waives(sentence)).collect::<String>();
    let words: Vec<String> = word::words(&goal).collect();
    let there: BTreeSet<String> =
        word::words(survey).filter(|word| word.len() > 3).map(|word| word::stem(&word)).collect();
    let is_there =
        |word: &String| word.len() > 3 && !COMMON.contains(&word.as_str()) && there.contains(&word::stem(word));
    word::has(&words, POINTING) || words.iter().any(is_there)
}

/// Whether a sentence says that the files do not matter.
fn waives(sentence: &str) -> bool {
    let sentence = sentence.to_lowercase();
    [
        "no need",
        "not need",
        "don't need",
        "without looking",
        "do not matter",
        "don't matter",
        "no files",
        "ignore the files",
    ]
    .iter()
    .any(|phrase| sentence.contains(phrase))
}

/// Words that say that something is done for every item of a list.
const EVERY: &[&str] = &["each", "every", "per", "all", "them"];

/// Folders that the goal may want to receive one file per item: `summaries` in "each … to summaries".
fn folders(goal: &str) -> Vec<String> {
    let written: Vec<&str> = goal.split_whitespace().collect();
    let words: Vec<String> = written.iter().map(|word| trim_word(word).to_lowercase()).collect();
    if !words.iter().any(|word| EVERY.contains(&word.as_str())) {
        return Vec::new();
    }
    // "to full euros", "in the Python files": what a noun follows is no name.
    let stands_alone = |i: usize| {
        if written[i].starts_with('(') {
            return false; // a remark on what stands before it
        }
        let next = words.get(i + 1).map_or("", String::as_str);
        next.is_empty() || written[i].ends_with([',', '.', ';', ':', '?', '!', ')']) || JOINING.contains(&next)
    };
    let mut folders = Vec::new();
    for (i, word) in words.iter().enumerate().skip(1) {
        let before = (0..i).rev().find(|k| !["the", "a", "new"].contains(&words[*k].as_str()));
        // "in the plans folder: what is …" ends at its mark.
        let is_end = |k: usize| written[k].ends_with([',', '.', ';', ':', '?', '!', ')']);
        // "into a flat", "under the header": what has an article is a thing.
        let is_bare = before.is_some_and(|k| k + 1 == i);
        let announced = before.is_some_and(|k| match words[k].as_str() {
            "folder" => !is_end(k),
            "to" | "into" | "in" | "under" => !is_end(k) && is_bare,
            "called" => k > 0 && ["folder", "directory"].contains(&words[k - 1].as_str()),
            _ => false,
        });
        let named = word.trim_end_matches('/');
        let like_a_name = named.len() > 2 && named.chars().all(|c| c.is_ascii_alphanumeric() || "_-/".contains(c));
        let followed = words.get(i + 1).is_some_and(|word| word == "folder" || word == "directory");
        let known = folders.iter().any(|folder| folder == named);
        if (followed || (announced && stands_alone(i))) && like_a_name && is_folder(named) && !known {
            folders.push(named.to_owned());
        }
    }
    folders
}

/// Whether a word that follows a preposition can name a folder.
fn is_folder(word: &str) -> bool {
    !NOT_FOLDERS.contains(&word) && !table::MONTHS.contains(&word)
}

/// Whether a goal puts something into a folder, and does not only speak of what is in it.
fn is_written_into(goal: &str, folder: &str) -> bool {
    let words: Vec<String> = goal.split_whitespace().map(|word| trim_word(word).to_lowercase()).collect();
    let is_it = |word: &String| word.trim_end_matches('/') == folder;
    let before = |i: usize| words[..i].iter().rev().find(|word| !["the", "a", "folder"].contains(&word.as_str()));
    (0..words.len())
        .any(|i| is_it(&words[i]) && before(i).is_some_and(|word| ["to", "into", "under"].contains(&word.as_str())))
}

/// Words that can follow the name of a folder.
const JOINING: &[&str] = &[
    "and", "then", "or", "but", "with", "under", "using", "by", "as", "for", "from", "where", "while", "so", "which",
    "into", "to", "in", "keeping", "each", "one", "is", "are", "that", "has", "have",
];

/// Words that follow a preposition and name no folder.
const NOT_FOLDERS: &[&str] = &[
    "the",
    "each",
    "every",
    "all",
    "one",
    "which",
    "that",
    "this",
    "these",
    "them",
    "same",
    "file",
    "files",
    "folder",
    "it",
    "csv",
    "json",
    "yaml",
    "markdown",
    "order",
    "english",
    "french",
    "german",
    "spanish",
    "total",
    "your",
    "our",
    "words",
    "sentence",
    "sentences",
    "case",
    "lower",
    "upper",
    "tell",
    "say",
    "write",
    "list",
    "table",
    "form",
    "both",
];

/// What the goal asks for and the workspace lacks. `written` are the paths that the run wrote.
pub fn unmet(brief: &Brief, workspace: &Workspace, written: &BTreeSet<String>) -> Vec<Unmet> {
    let mut unmet = Vec::new();
    for wanted in &brief.write {
        let what = match wanted.path.strip_suffix("/*") {
            Some(folder) => {
                let any = written.iter().any(|path| path.starts_with(&format!("{folder}/")));
                (!any).then(|| format!("no file was written to {folder}"))
            }
            None => fault(workspace, &wanted.path, written.contains(&wanted.path)),
        };
        if let Some(what) = what {
            unmet.push(Unmet { path: wanted.path.clone(), what });
        }
    }
    unmet
}

fn fault(workspace: &Workspace, path: &str, written: bool) -> Option<String> {
    if !workspace.exists(path) {
        return Some(format!("{path} was not written"));
    }
    if !written {
        return Some(format!("{path} was not changed"));
    }
    let text = workspace.read_text(path).ok()?;
    if text.trim().is_empty() {
        return Some(format!("{path} is empty"));
    }
    let why = match path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("json") => serde_json::from_str::<serde_json::Value>(&text).err().map(|error| error.to_string()),
        Some("toml") => toml::from_str::<toml::Table>(&text).err().map(|error| error.message().to_owned()),
        Some("yaml" | "yml") => {
            serde_norway::from_str::<serde_norway::Value>(&text).err().map(|error| error.to_string())
        }
        _ => None,
    };
    why.map(|why| format!("{path} is not valid: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(goal: &str, existing: &[&str], want: &str) {
        let existing: Vec<String> = existing.iter().map(|&path| path.to_owned()).collect();
        let got: Vec<String> = mentions(goal, &existing)
            .iter()
            .map(|m| {
                format!(
                    "{}{}{}",
                    if m.part == Part::Output { ">" } else { "<" },
                    if m.change { "!" } else { "" },
                    m.path
                )
            })
            .collect();
        assert_eq!(got.join(" "), want, "{goal}");
    }

    #[test]
    fn questions_of_general_knowledge_are_about_no_file() {
        let survey =
            "- notes.txt: text, 2 lines: buy milk; mow the lawn\n- moon/rates.csv: table; columns: tariff, price";
        for (goal, want) in [
            ("Which planet has the most rings? Just answer.", false),
            ("Which of my plans comes first?", true),
            ("What is in this folder?", true),
            ("Which tariffs are cheaper than 3 euro?", true),
            ("How far away is the moon?", true),
            ("Who painted the Night Watch?", false),
            ("What is the tallest mountain? No need to look at any files, just answer.", false),
        ] {
            assert_eq!(speaks_of(goal, survey), want, "{goal}");
        }
    }

    #[test]
    fn folders_for_a_file_per_item_are_found() {
        for (goal, want) in [
            (
                "Translate each note in notes, saved under the same name in briefs, and count them.",
                &["notes", "briefs"][..],
            ),
            ("Save a summary of every file to the folder short.", &["short"]),
            ("Put one line per day into the summaries folder.", &["summaries"]),
            ("Divide it by the members, each pays the same, rounded up to full euros.", &[]),
            ("Collect every FIXME in the Python files below src into fixmes.md.", &[]),
            ("Save the notes in short.", &[]),
            ("Each of us moves into a flat, and every line stands under the header.", &[]),
            ("Say for each fact which file of the plot called Rowan it is from, in a folder called facts.", &["facts"]),
            ("Look through every paper in the town-info folder: what is the fee?", &["town-info"]),
            ("Add up what every member lent in May, by the branch each belongs to (member_no is in both).", &[]),
        ] {
            assert_eq!(folders(goal), want, "{goal}");
        }
    }

    #[test]
    fn a_folder_that_is_only_read_from_receives_nothing() {
        let existing = ["mails/a.txt".to_owned(), "out/old.txt".to_owned()];
        let folders = |goal: &str| read(goal, &existing).folders;
        assert_eq!(folders("Make a list of the mails in the folder mails, not every one counts: list.csv"), [""; 0]);
        assert_eq!(folders("Shorten each mail in mails and save it into the folder out."), ["out"]);
    }

    #[test]
    fn an_example_of_a_name_is_no_file_of_its_own() {
        let goal = "Shorten each note in in/ and save it in out/ under the same name (so out/a.txt and so on), then add \
                    out/all.txt with the number of notes.";
        let brief = read(goal, &["in/a.txt".into(), "in/b.txt".into()]);
        assert_eq!((brief.outputs(), brief.missing.len()), (vec!["out/all.txt"], 0));
    }

    #[test]
    fn file_names_in_goals_are_found_with_their_part() {
        check("Read a.csv and write the sum to out.txt.", &["a.csv"], "<a.csv >out.txt");
        check("Save a list in notes/list.md, please.", &[], ">notes/list.md");
        check("What is the total according to data/x.csv? Put it into y.json too.", &[], "<data/x.csv >y.json");
        check(
            "Use rates.json to compute it, as described in terms.txt.",
            &["rates.json", "terms.txt"],
            "<rates.json <terms.txt",
        );
        check(
            "Read the planting list in beds-25.csv and write the number per bed to p.md.",
            &["beds_25.csv"],
            "<beds-25.csv >p.md",
        );
        check("Add up the costs in costs.csv, and list them in l.md.", &["costs.csv"], "<costs.csv >l.md");
        check("Append one line to log.txt.", &["log.txt"], ">!log.txt");
        check("I need a file sum.csv with the sums of a.csv.", &["a.csv"], ">sum.csv <a.csv");
        check("a.csv = our stock. what is under 5? -> low.txt", &["a.csv"], "<a.csv >low.txt");
        check("Write a note; what to say is in n.md. Name it note.txt.", &["n.md"], "<n.md >note.txt");
        check("I also want a title, five words at most, in title.txt.", &["n.md"], ">title.txt");
        check("Total up the costs in cost.csv.", &["costs_2024.csv"], "<cost.csv");
        check("stock.csv has the pieces; add them up.", &[], "<stock.csv");
        check("i need the number and when it opens, it's all in docs/b.csv", &[], "<docs/b.csv");
        check("i need the hours, they are all in docs/b.csv", &[], "<docs/b.csv");
        check("It weighs 1.5 kg, e.g. less than 2.0 pounds.", &[], "");
        let terms = "Take off the rebate and add the tax to it the way t.txt says, with the rates from r.json.";
        check(terms, &["t.txt", "r.json"], "<t.txt <r.json");
        check("In p.txt I want nothing but the name.", &["p.csv"], ">p.txt");
        check("I'd like it in r.md, with the name of the document.", &["moving.md"], ">r.md");
        check("Then put a paragraph about the mood of the song in m.md.", &["w.txt"], ">m.md");
        check("Add the tax in the way t.txt lays down.", &["t.txt"], "<t.txt");
        check("Pick one from a.csv. p.txt is to hold nothing but its name.", &["a.csv"], "<a.csv >p.txt");
        check("b.txt should show the sum and t.txt has the rates.", &["t.txt"], ">b.txt <t.txt");
        check("Create a file called \"plan.md\".", &[], ">plan.md");
        check("Write hello.txt with the content of a.md", &["a.md"], ">hello.txt <a.md");
        check(
            "Create a report from in.txt, with the averages in a.txt and the outliers in b.md.",
            &["in.txt"],
            "<in.txt >a.txt >b.md",
        );
        check("Read a.csv, b.csv and c.csv.", &["a.csv"], "<a.csv <b.csv <c.csv");
        check("Write the totals of a.csv and b.csv to c.md and d.md", &["a.csv"], "<a.csv <b.csv >c.md >d.md");
        check(
            "Sum up my sales 2024.csv into sum.txt",
            &["my sales 2024.csv", "2024.csv"],
            "<my sales 2024.csv >sum.txt",
        );
        check("Add a line to \"{a}.json\".", &["{a}.json", "a.json"], ">!{a}.json");
        check("The files in old.csv are described at www.example.com", &["old.csv"], "<old.csv");
    }
}
