//! Which file is meant by one that a goal names and that is not there: one of a like name, unless that lies where things
//! are put that are out of date; else one that speaks of what the goal is about.
//!
//! Must not know: the engine, plans.

use std::collections::BTreeSet;

use crate::memory::rank;
use crate::orchestrate::survey;
use crate::tool::{Workspace, table};

/// Words in the path of what is kept for the record only.
const PAST: &[&str] = &[
    "old",
    "archive",
    "archived",
    "archives",
    "backup",
    "backups",
    "bak",
    "obsolete",
    "outdated",
    "deprecated",
    "trash",
    "superseded",
    "expired",
];
/// Characters of a file that are looked at.
const READ: usize = 20_000;
/// Fewer words of the goal in a file say nothing.
const MIN_WORDS: usize = 3;

/// The files that can be meant, the likeliest first.
pub fn candidates(workspace: &Workspace, missing: &str, goal: &str) -> Vec<String> {
    let (past, mut found): (Vec<String>, Vec<String>) =
        workspace.similar(missing).into_iter().partition(|path| is_past(path) && !is_past(missing));
    if found.is_empty()
        && let Some(path) = by_content(workspace, missing, goal)
    {
        let siblings = siblings(workspace, &path);
        found.push(path);
        found.extend(siblings);
    }
    let past = past.into_iter().filter(|path| !found.contains(path)).collect::<Vec<_>>();
    found.extend(past);
    found
}

/// Other tables of the same columns, as those of other months.
fn siblings(workspace: &Workspace, path: &str) -> Vec<String> {
    let columns = |path: &str| table::peek(workspace, path).ok().map(|peek| peek.columns);
    let Some(own) = columns(path).filter(|_| survey::holds_table(path)) else { return Vec::new() };
    let others = workspace.list("", None).unwrap_or_default().into_iter().map(|entry| entry.path);
    let is_like = |other: &String| other != path && survey::holds_table(other) && columns(other).as_ref() == Some(&own);
    others.filter(is_like).collect()
}

/// The file of the same kind, none of the past, that has most of the goal's words; among equals the one whose name comes
/// last, as that of the newest does.
fn by_content(workspace: &Workspace, missing: &str, goal: &str) -> Option<String> {
    let wanted: BTreeSet<String> = rank::words(goal).into_iter().collect();
    let entries = workspace.list("", None).ok()?;
    let is_like = |path: &str| survey::holds_table(path) == survey::holds_table(missing) && !is_past(path);
    let files = entries.into_iter().filter(|entry| !entry.is_folder && is_like(&entry.path));
    let scored = files.filter_map(|entry| {
        let text = workspace.read_text(&entry.path).ok()?;
        let text = &text[..text.floor_char_boundary(READ)];
        let held: BTreeSet<String> = rank::words(&format!("{} {text}", entry.path)).into_iter().collect();
        Some((held.intersection(&wanted).count(), entry.path))
    });
    scored.filter(|(n_words, _)| *n_words >= MIN_WORDS).max().map(|(_, path)| path)
}

/// Whether a path says that what lies there is kept for the record only.
pub fn is_past(path: &str) -> bool {
    let path = path.to_lowercase();
    path.split(|c: char| !c.is_alphanumeric()).any(|word| PAST.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool::Policy;

    #[test]
    fn what_is_out_of_date_gives_way_to_what_the_goal_speaks_of() {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("old/prices_2019.csv", "boat,price\nrow boat,9\n"),
            ("hire/tariff-2023.csv", "boat,rent\nrow boat,10\n"),
            ("hire/tariff-2024.csv", "boat,rent\nrow boat,12\n"),
            ("hire/notes.txt", "The rent of a row boat is in the tariff."),
            ("crew.csv", "name,boat\nAda,row boat\n"),
            ("budget_2024.csv", "item,cost\nx,1\n"),
        ] {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let workspace = Workspace::open(folder.path(), Policy::default()).unwrap();
        let goal = "What is the rent of a row boat? Hire prices are in prices.csv.";
        let check = |missing: &str, goal: &str, want: &[&str]| assert_eq!(candidates(&workspace, missing, goal), want);
        check("prices.csv", goal, &["hire/tariff-2024.csv", "hire/tariff-2023.csv", "old/prices_2019.csv"]);
        check("old/prices.csv", goal, &["old/prices_2019.csv"]);
        check("prices.csv", "Add up prices.csv.", &["old/prices_2019.csv"]);
        check("budget.csv", "Add up budget.csv.", &["budget_2024.csv"]);
    }
}
