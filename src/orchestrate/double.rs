//! What words say of rows that stand in a table more than once, and by which columns they are the same.
//!
//! Must not know: the engine, steps, the workspace.

use super::demand;
use super::word::{has, words};

const DOUBLE: &[&str] = &["duplicate", "duplicates", "duplicated", "twice", "double", "doubles", "doubled", "repeated"];

/// The rows that are wanted of those that are the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct First {
    /// Columns by which rows are the same; all of them if empty.
    pub by: Vec<String>,
    /// Whether they are without regard to upper and lower case.
    pub ignores_case: bool,
}

/// What a step wants of the rows that are there more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// The table with the first of them alone.
    First,
    /// How many are dropped then.
    Count,
}

/// What a step wants whose words are `task`, if the goal speaks of rows that are there more than once and wants the first
/// of them kept. `columns` are the names of the table's columns.
pub fn first_of_same(goal: &str, task: &str, columns: &[String]) -> Option<(Wish, First)> {
    const DROPS: &[&str] = &[
        "drop",
        "remove",
        "delete",
        "keep",
        "unique",
        "only",
        "first",
        "without",
        "clean",
        "deduplicate",
        "once",
        "leave",
        "skip",
    ];
    const COMPUTED: &[&str] = &["number", "many", "count", "total", "sum", "average", "mean", "per"];
    let (spoken, of_task): (Vec<String>, Vec<String>) = (words(goal).collect(), words(task).collect());
    let is_of_rows = has(&of_task, DOUBLE) || has(&of_task, &["unique", "first", "once", "deduplicate"]);
    let is_of_dropped = has(&of_task, DOUBLE) || has(&of_task, &["dropped", "removed", "deleted"]);
    let wish = match has(&of_task, COMPUTED) {
        true if is_of_dropped && has(&of_task, &["number", "many", "count"]) => Wish::Count,
        false if is_of_rows => Wish::First,
        _ => return None,
    };
    if !has(&spoken, DOUBLE) || !has(&spoken, DROPS) {
        return None;
    }
    let goal = goal.replace("e-mail", "email").replace("E-mail", "email");
    let is_about = |sentence: &&str| {
        let words: Vec<String> = words(sentence).collect();
        has(&words, DOUBLE) || has(&words, &["same", "each", "every"])
    };
    let told: Vec<String> = goal.split(['.', ';', '!', '?']).filter(is_about).flat_map(words).collect();
    let is_named = |column: &&String| {
        let own: Vec<String> = words(&column.replace("e-mail", "email")).collect();
        !own.is_empty() && own.iter().all(|word| told.contains(word) || told.contains(&format!("{word}s")))
    };
    let by = columns.iter().filter(is_named).cloned().collect();
    let ignores_case = demand::ignores_case(&goal) || has(&told, &["capitals", "case", "capital"]);
    Some((wish, First { by, ignores_case }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_the_same_are_told_by_what_the_goal_names() {
        let columns = ["name", "email", "since"].map(str::to_owned);
        let first = |wish, by: &[&str], ignores_case| {
            Some((wish, First { by: by.iter().map(|&name| name.to_owned()).collect(), ignores_case }))
        };
        for (goal, task, want) in [
            (
                "Some people are there twice (the same e-mail address, sometimes in capitals). Keep the first of each.",
                "drop duplicates based on email address",
                first(Wish::First, &["email"], true),
            ),
            (
                "Remove duplicate rows from a.csv and save the rest.",
                "rows without duplicates",
                first(Wish::First, &[], false),
            ),
            ("Remove duplicate rows and tell me how many.", "number of duplicate rows", first(Wish::Count, &[], false)),
            ("List the names that are there twice.", "names that occur twice", None),
            ("Sort a.csv by name.", "rows by name, first to last", None),
        ] {
            assert_eq!(first_of_same(goal, task, &columns), want, "{goal}");
        }
    }
}
