//! Whether a goal wants one text replaced by another in files that are there, in which of them, and which have to stay as
//! they are.
//!
//! Must not know: how it is done, steps, the workspace.

use std::collections::BTreeSet;

use super::word::{self, has, plain};
use crate::tool::workspace::is_within;

/// Verbs for it.
const REPLACES: &[&str] = &["replace", "replaces", "replaced", "swap", "swapped", "substitute", "exchange"];
/// Verbs that mean it only where the next words say that every place is meant.
const CHANGES: &[&str] = &["change", "update", "rename", "correct", "turn", "edit", "fix"];
const EVERYWHERE: &[&str] =
    &["everywhere", "wherever", "throughout", "occurrence", "occurrences", "mention", "mentions", "anywhere"];
/// Words by which what a clause names stays as it is.
const KEEPS: &[&str] = &[
    "nothing",
    "not",
    "never",
    "except",
    "excluding",
    "without",
    "leave",
    "stay",
    "stays",
    "untouched",
    "unchanged",
    "skip",
    "keep",
    "hands",
    "don",
    "no",
];
/// More files are not listed one by one.
const MAX_FILES: usize = 500;

/// Whether the goal wants a text replaced wherever it stands.
pub fn is_wanted(goal: &str) -> bool {
    word::sentences(goal).into_iter().any(|sentence| asks(&sentence))
}

fn asks(sentence: &[&str]) -> bool {
    let words: Vec<String> = sentence.iter().map(|word| plain(word)).collect();
    let is_everywhere = has(&words, EVERYWHERE);
    let is_in_files = has(&words, &["files", "file", "below", "documents", "pages", "folder", "all", "every"]);
    (has(&words, REPLACES) && (is_everywhere || is_in_files)) || (has(&words, CHANGES) && is_everywhere)
}

/// What of `existing` the goal says to leave as it is: files, and folders.
pub fn kept(goal: &str, existing: &[String]) -> Vec<String> {
    let names = names(existing);
    let mut kept = Vec::new();
    for sentence in word::sentences(goal) {
        for clause in clauses(&sentence) {
            let words: Vec<String> = clause.iter().map(|word| plain(word)).collect();
            if has(&words, KEEPS) {
                kept.extend(clause.iter().filter_map(|word| named(word, &names)));
            }
        }
    }
    kept
}

/// The files in which the goal wants something replaced, or the folder that holds nothing else; nothing if it does not want
/// that, or does not say where.
pub fn scope(goal: &str, existing: &[String]) -> Vec<String> {
    let (names, kept) = (names(existing), kept(goal, existing));
    let asking = word::sentences(goal).into_iter().filter(|sentence| asks(sentence));
    let places: Vec<String> = asking
        .flat_map(|sentence| sentence.iter().filter_map(|word| named(word, &names)).collect::<Vec<_>>())
        .filter(|name| !kept.contains(name))
        .collect();
    let mut scope = Vec::new();
    for place in places {
        if !kept.iter().any(|kept| is_within(kept, &place)) {
            scope.push(place);
            continue;
        }
        let is_meant = |path: &&String| is_within(path, &place) && !kept.iter().any(|kept| is_within(path, kept));
        scope.extend(existing.iter().filter(is_meant).take(MAX_FILES).cloned());
    }
    scope
}

/// The paths and the folders of files.
fn names(existing: &[String]) -> BTreeSet<&str> {
    let folders = existing.iter().flat_map(|path| path.match_indices('/').map(|(at, _)| &path[..at]));
    folders.chain(existing.iter().map(String::as_str)).collect()
}

/// The path that a word of the goal names, if it does.
fn named(word: &str, names: &BTreeSet<&str>) -> Option<String> {
    let word = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '_').trim_end_matches('/');
    names.get(word).map(|name| (*name).to_owned())
}

/// The parts of a sentence in which something is said of what they name.
fn clauses<'a>(sentence: &[&'a str]) -> Vec<Vec<&'a str>> {
    let mut clauses = vec![Vec::new()];
    for word in sentence {
        if ["but", "except", "excluding", "without"].contains(&plain(word).as_str()) {
            clauses.push(Vec::new());
        }
        clauses.last_mut().expect("there is always a clause").push(*word);
        if word.ends_with([',', ';', ':']) {
            clauses.push(Vec::new());
        }
    }
    clauses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_a_text_is_replaced_is_read_from_the_goal() {
        let existing = ["site/a.md", "site/old/b.md", "notes.txt", "pages/c.html", "archive/d.txt"].map(str::to_owned);
        for (goal, want_scope, want_kept) in [
            (
                "The number is 2 instead of 1. Replace the old one wherever it appears in the files below site. Nothing below site/old may change, and no other text may either.",
                "site/a.md",
                "site/old",
            ),
            (
                "Would you swap the old one for the new one everywhere in the files below pages? Nothing else in them may change, and the folder archive has to stay as it was.",
                "pages",
                "archive",
            ),
            ("Replace Elm by Oak in all files of site but not in site/old.", "site/a.md", "site/old"),
            ("Change Elm to Oak throughout notes.txt.", "notes.txt", ""),
            ("Change the rate in notes.txt to 5.", "", ""),
            ("Replace me as chairman.", "", ""),
            ("Summarize the files below site.", "", ""),
        ] {
            assert_eq!(scope(goal, &existing).join(" "), want_scope, "{goal}");
            assert_eq!(kept(goal, &existing).join(" "), want_kept, "{goal}");
            assert_eq!(is_wanted(goal), !want_scope.is_empty(), "{goal}");
        }
    }
}
