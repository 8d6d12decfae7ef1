//! Names that the goal says and that stand in a table of the step: a program or a query that does not speak of them has
//! not read the goal to its end.

use std::collections::BTreeSet;

use regex::Regex;
use serde_json::Value as Json;

use super::{Attempt, program};
use crate::orchestrate::machine::TRIES_PLANNED;
use crate::orchestrate::word;
use crate::tool::{Error, Output, Table, table};

/// What somebody does, or has, whom a sentence begins with.
const DOES: &[&str] = &[
    "wants", "needs", "has", "had", "is", "was", "asks", "asked", "orders", "ordered", "gets", "got", "would", "rents",
    "rented", "bought", "buys", "'s",
];

/// Names at most; a goal that says more speaks of all of them at once.
const MAX_NAMES: usize = 3;

impl Attempt<'_> {
    /// The names that the step is about, from what its task says, or the goal if no other step reads a table or if no task
    /// has them; "flat 7" is one too.
    pub fn names(&self) -> Vec<String> {
        let (workspace, goal) = (&self.journal.run().workspace, &self.journal.run().goal);
        let readers = self.state.steps.iter().map(|of_step| &of_step.step);
        let readers = readers.filter(|step| matches!(step.tool.as_str(), "query_table" | "script" | "calculate"));
        let tasks: Vec<&str> = readers.map(|step| step.task.as_str()).collect();
        let is_shared = |name: &String| tasks.len() < 2 || !tasks.iter().any(|task| task.contains(name));
        let mut names = BTreeSet::new();
        for path in self.tables().unwrap_or_default() {
            let Ok(loaded) = table::load(workspace, &path, &table::Options::default()) else { continue };
            names.extend(names_in(goal, &loaded.table).into_iter().filter(is_shared));
            names.extend(names_in(&self.step.task, &loaded.table));
        }
        if names.len() > MAX_NAMES { Vec::new() } else { names.into_iter().collect() }
    }

    /// What code gave, unless it leaves some of `names` out; the last tries let that pass.
    ///
    /// # Errors
    /// [`Error::Failed`], in words that help the next try.
    pub fn about(&self, names: &[String], code: &str, output: Output) -> Result<Output, Error> {
        // A variable for the rows of "Old Mill" is called `rows_of_old_mill`.
        let (code, variables) = (code.to_lowercase(), program::plain(code));
        let speaks_of = |name: &str| {
            let is_there = || code.contains(&name.to_lowercase()) || variables.contains(&program::plain(name));
            numbered(name).map_or_else(is_there, |(kind, number)| compares(&variables, kind, number))
        };
        let left_out: Vec<&str> = names.iter().map(String::as_str).filter(|name| !speaks_of(name)).collect();
        if left_out.is_empty() || self.number > TRIES_PLANNED {
            return Ok(output);
        }
        Err(Error::Failed(format!(
            "it has to be about {} only, which the goal names: filter the rows for that",
            left_out.join(" and ")
        )))
    }
}

/// The two parts of a name like "flat 7".
pub fn numbered(name: &str) -> Option<(&str, i64)> {
    let (kind, number) = name.split_once(' ')?;
    Some((kind, number.parse().ok()?))
}

/// Whether a column of this name can be the one that says which "flat" a row is about.
pub fn is_column_of(column: &str, kind: &str) -> bool {
    word::words(&column.replace('_', " ")).any(|word| word == kind || word.strip_suffix('s') == Some(kind))
}

/// Whether code, as [`program::plain`] spells it, compares something of that name with the number.
fn compares(code: &str, kind: &str, number: i64) -> bool {
    let comparison = format!("{}[a-z_]*_{number}([^0-9]|$)", regex::escape(&program::plain(kind)));
    Regex::new(&comparison).is_ok_and(|comparison| comparison.is_match(code))
}

/// The rows that `said` means by the name of a column and a number that stands there, as "flat 7".
fn numbered_in(said: &str, table: &Table) -> BTreeSet<String> {
    let has = |column: usize, number: i64| {
        table.rows.iter().any(|row| row.get(column).and_then(Json::as_f64) == Some(number as f64))
    };
    // "older than age 18", "grade 4 and above": a limit names no row.
    const BEFORE: &[&str] = &[
        "than", "over", "under", "above", "below", "least", "most", "until", "before", "after", "since", "from",
        "between",
    ];
    const BEHIND: &[&str] =
        &["above", "below", "over", "up", "more", "later", "higher", "lower", "older", "younger", "less", "earlier"];
    let words: Vec<&str> = said.split_whitespace().collect();
    let is_one_of =
        |at: usize, list: &[&str]| words.get(at).is_some_and(|word| list.contains(&word::plain(word).as_str()));
    let is_limit = |at: usize| {
        (at > 0 && is_one_of(at - 1, BEFORE)) || (is_one_of(at + 2, &["and", "or"]) && is_one_of(at + 3, BEHIND))
    };
    let named = words.windows(2).enumerate().filter(|(at, _)| !is_limit(*at)).filter_map(|(_, pair)| {
        let is_whole = pair[0].chars().all(char::is_alphabetic);
        let number: i64 = pair[1].trim_matches(|c: char| !c.is_alphanumeric()).parse().ok()?;
        let kind = pair[0].to_lowercase();
        let mut columns = (0..table.columns.len()).filter(|&idx| is_column_of(&table.columns[idx], &kind));
        (is_whole && columns.any(|idx| has(idx, number))).then(|| format!("{kind} {number}"))
    });
    named.collect()
}

/// The cells of text columns that `said` holds as words of their own, written as there, if they are names; and numbered ones.
fn names_in(said: &str, table: &Table) -> BTreeSet<String> {
    let cells = table.rows.iter().flatten().filter_map(Json::as_str).collect::<BTreeSet<&str>>();
    let is_name = |cell: &&str| cell.chars().next().is_some_and(char::is_uppercase) && cell.chars().count() > 2;
    let is_meant = |cell: &&str| stands_in(said, cell) && !is_spelled_in_several_ways(said, cell);
    let names = cells.into_iter().filter(is_name).filter(is_meant).map(str::to_owned);
    names.chain(numbered_in(said, table)).collect()
}

/// Whether a text has a name in capitals and in small letters too, as in "DOG and Dog are the same": it speaks of how names
/// are written, and of no one of them.
fn is_spelled_in_several_ways(said: &str, name: &str) -> bool {
    let lower = name.to_lowercase();
    let is_part = |c: char| !c.is_alphanumeric();
    let mut spellings = said.split(is_part).filter(|word| word.to_lowercase() == lower);
    let first = spellings.next();
    spellings.any(|other| Some(other) != first)
}

/// Whether `name` stands in `said` between characters that belong to no word, and not as the beginning of a sentence, where
/// every word is written as names are, unless it does something there as only somebody can.
fn stands_in(said: &str, name: &str) -> bool {
    said.match_indices(name).any(|(at, _)| {
        let before = said[..at].chars().next_back();
        let after = said[at + name.len()..].chars().next();
        let is_apart = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
        let begins = said[..at].trim_end().chars().next_back().is_none_or(|c| ".!?:\"“".contains(c));
        let next = said[at + name.len()..].split_whitespace().next().unwrap_or_default();
        is_apart(before) && is_apart(after) && (!begins || DOES.contains(&next))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_of_the_goal_are_found_among_the_cells() {
        let rows = [["Maple", "open"], ["Cedar", "Paid"], ["Oak", "Late"]];
        let rows = rows.map(|row| row.iter().map(|cell| json!(cell)).collect()).to_vec();
        let table = Table { columns: vec!["flat".into(), "state".into()], rows };
        for (said, want) in [
            ("Work out the bill of the flat Maple.", &["Maple"][..]),
            ("the bills of Maple and Oak", &["Maple", "Oak"]),
            ("Paid bills of all flats, please. Late ones too.", &[]),
            ("what is open at Maplewood", &[]),
            ("Maple wants the bill for its repairs.", &["Maple"]),
            ("the bill of each flat; Maple, MAPLE and maple are the same", &[]),
        ] {
            assert_eq!(names_in(said, &table).into_iter().collect::<Vec<_>>(), want, "{said}");
        }
    }

    #[test]
    fn a_column_with_a_number_is_a_name() {
        let rows = [[json!(7), json!(12.5)], [json!(15), json!(3)]].map(|row| row.to_vec()).to_vec();
        let table = Table { columns: vec!["flat_no".into(), "hours".into()], rows };
        for (said, want) in [
            ("Send flat 7 its bill.", &["flat 7"][..]),
            ("the bill of Flat 15, please", &["flat 15"]),
            ("flat 8 and the 7 others", &[]),
            ("all flats but those below flat 15", &[]),
            ("flat 7 and above", &[]),
            ("7 flats", &[]),
        ] {
            assert_eq!(names_in(said, &table).into_iter().collect::<Vec<_>>(), want, "{said}");
        }
        for (code, want) in [
            ("SELECT * FROM meters WHERE flat_no = 7", true),
            ("[row for row in meters if row[\"flat_no\"] == 7]", true),
            ("sum(row[\"now\"] for row in meters_of_flat_7)", true),
            ("WHERE flat_no = 75", false),
            ("SELECT 7 FROM flats", false),
        ] {
            assert_eq!(compares(&program::plain(code), "flat", 7), want, "{code}");
        }
    }
}
