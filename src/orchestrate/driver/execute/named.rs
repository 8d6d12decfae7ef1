//! Names that the goal says and that stand in a table of the step: a program or a query that does not speak of them has
//! not read the goal to its end.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::{Attempt, program};
use crate::orchestrate::machine::TRIES_PLANNED;
use crate::tool::{Error, Output, Table, table};

/// What somebody does, or has, whom a sentence begins with.
const DOES: &[&str] = &[
    "wants", "needs", "has", "had", "is", "was", "asks", "asked", "orders", "ordered", "gets", "got", "would", "rents",
    "rented", "bought", "buys", "'s",
];

/// Names at most; a goal that says more speaks of all of them at once.
const MAX_NAMES: usize = 3;

impl Attempt<'_> {
    /// The names that the step is about, from what its task says, or the goal if no other step reads a table.
    pub fn names(&self) -> Vec<String> {
        let workspace = &self.journal.run().workspace;
        let reads_tables = |tool: &str| matches!(tool, "query_table" | "script" | "calculate");
        let n_readers = self.state.steps.iter().filter(|step| reads_tables(&step.step.tool)).count();
        let said = if n_readers > 1 { self.step.task.as_str() } else { &self.journal.run().goal };
        let paths = self.tables().unwrap_or_default();
        let tables = paths.iter().filter_map(|path| table::load(workspace, path, &table::Options::default()).ok());
        let names: BTreeSet<String> = tables.flat_map(|loaded| names_in(said, &loaded.table)).collect();
        if names.len() > MAX_NAMES { Vec::new() } else { names.into_iter().collect() }
    }

    /// What code gave, unless it leaves some of `names` out; the last tries let that pass.
    ///
    /// # Errors
    /// [`Error::Failed`], in words that help the next try.
    pub fn about(&self, names: &[String], code: &str, output: Output) -> Result<Output, Error> {
        // A variable for the rows of "Old Mill" is called `rows_of_old_mill`.
        let (code, variables) = (code.to_lowercase(), program::plain(code));
        let speaks_of = |name: &str| code.contains(&name.to_lowercase()) || variables.contains(&program::plain(name));
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

/// The cells of text columns that `said` holds as words of their own, written as there, if they are names.
fn names_in(said: &str, table: &Table) -> BTreeSet<String> {
    let cells = table.rows.iter().flatten().filter_map(Json::as_str).collect::<BTreeSet<&str>>();
    let is_name = |cell: &&str| cell.chars().next().is_some_and(char::is_uppercase) && cell.chars().count() > 2;
    let is_meant = |cell: &&str| stands_in(said, cell) && !is_spelled_in_several_ways(said, cell);
    cells.into_iter().filter(is_name).filter(is_meant).map(str::to_owned).collect()
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
}
