//! What a goal asks for: the files to be written, the things to be told, the files it names.
//!
//! Read by code from the goal's own words, before any model sees it; [`unmet`] compares it with the
//! workspace at the end, so that "done" is never merely believed.
//! Must not know: the engine, plans, steps.

mod folder;
mod mention;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use folder::{folders, is_written_into};
use mention::{Change, Mention, Part, mentions};

use super::{replacement, word};
use crate::tool::Workspace;

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

/// What a goal asks for, as far as its words say it. `existing` are the files of the workspace.
pub fn read(goal: &str, existing: &[String]) -> Brief {
    let mut brief = Brief { folders: folders(goal), ..Brief::default() };
    // What is there already is where the items come from, if another folder is named too.
    let is_inside = |path: &String, folder: &str| path.to_lowercase().starts_with(&format!("{folder}/"));
    let is_new = |folder: &String| !existing.iter().any(|path| is_inside(path, folder));
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
        if mention.change != Change::No {
            brief.may_replace.push(mention.path.clone());
        }
        match mention.part {
            Part::Output if mention.change == Change::Content || (mention.change == Change::No && !exists) => {
                brief.write.push(Deliverable { path: mention.path })
            }
            Part::Input if !exists => brief.missing.push(mention.path),
            _ => {}
        }
    }
    let is_new = |path: &String| !brief.may_replace.contains(path);
    let replaced: Vec<String> = replacement::scope(goal, existing).into_iter().filter(is_new).collect();
    brief.may_replace.extend(replaced);
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
    if sets_aside(goal) {
        return false;
    }
    // "No need to look at any files" points at nothing.
    let goal = goal.split_inclusive(['.', '?', '!']).filter(|sentence| !waives(sentence)).collect::<String>();
    let words: Vec<String> = word::words(&goal).collect();
    let there: BTreeSet<String> =
        word::words(survey).filter(|word| word.len() > 3).map(|word| word::stem(&word)).collect();
    let is_there =
        |word: &String| word.len() > 3 && !COMMON.contains(&word.as_str()) && there.contains(&word::stem(word));
    word::has(&words, POINTING) || words.iter().any(is_there)
}

/// Whether a goal says that nothing of what lies there matters for it: "nothing in the folder matters for it".
fn sets_aside(goal: &str) -> bool {
    const NOTHING: &[&str] = &["nothing", "none", "no", "not", "don", "without", "ignore", "leave"];
    const THERE: &[&str] = &["file", "files", "folder", "workspace", "directory", "documents"];
    const ANY: &[&str] = &["any", "the", "this", "these", "no", "my", "our"];
    const MATTERS: &[&str] =
        &["matters", "matter", "needed", "need", "relevant", "look", "looking", "necessary", "alone", "aside"];
    let all: Vec<String> = word::words(goal).collect();
    let is_set_aside = |at: usize| {
        let (from, to) = (at.saturating_sub(6), (at + 6).min(all.len()));
        let is_of_all = ANY.contains(&all[at - 1].as_str());
        is_of_all && word::has(&all[from..at], NOTHING) && word::has(&all[from..to], MATTERS)
    };
    (1..all.len()).filter(|&at| THERE.contains(&all[at].as_str())).any(is_set_aside)
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
            ("A quiz, nothing in the folder matters for it: which planet of our solar system is the largest?", false),
            ("While I cook, leave my files alone: which metal is liquid?", false),
            ("Is nothing in the folder larger than 5 MB?", true),
        ] {
            assert_eq!(speaks_of(goal, survey), want, "{goal}");
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
}
