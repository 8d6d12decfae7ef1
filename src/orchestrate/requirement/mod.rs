//! The ledger of what a goal asks of its files, as far as code can read it from the goal's words and hold a file's text
//! against it: that it is there and readable, how much it holds, in which order.
//!
//! A result is held against its file's entries before it is saved, so that a candidate which meets them wins; all
//! entries are checked again at the end, on the files as they are. What code cannot judge is entered as such.
//! Must not know: the engine, steps, who wrote a text.

mod fields;
mod order;

use serde::{Deserialize, Serialize};

use super::brief::Brief;
use super::clause;
use super::demand::{self, Demand};
use super::word;
use crate::tool::format::{self, Format};
use crate::tool::{Table, Value};
use fields::Fields;
use order::Order;

/// Words that ask for a manner of writing, which no code can judge.
const TONES: &[&str] = &[
    "friendly",
    "formal",
    "polite",
    "funny",
    "humorous",
    "persuasive",
    "professional",
    "cheerful",
    "serious",
    "warm",
    "casual",
    "encouraging",
    "neutral",
];

/// What the goal asks of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Requirement {
    /// The file.
    pub path: String,
    /// In words.
    pub what: String,
    want: Want,
}

#[derive(Debug, Clone, PartialEq)]
enum Want {
    Counts(Demand),
    Order(Order),
    Fields(Fields),
    /// Rows of equal length, with a header where the goal speaks of one; keeps the goal's words.
    Csv(String),
    Tone,
}

/// How a requirement stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Code found it to hold.
    Met,
    /// Code found that it does not hold; says what is there instead.
    Unmet(String),
    /// Code cannot judge it.
    Unchecked,
}

/// A line of the ledger, as it is journaled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The file.
    pub path: String,
    /// What is asked of it.
    pub what: String,
    /// How it stands.
    pub standing: Standing,
}

/// What the goal asks of `path`; nothing if it does not name it.
pub fn of_file(goal: &str, brief: &Brief, path: &str) -> Vec<Requirement> {
    let outputs = brief.outputs();
    let Some(words) = clause::of_file_alone(goal, path, &outputs).filter(|_| outputs.contains(&path)) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    let mut add = |what: String, want: Want| found.push(Requirement { path: path.to_owned(), what, want });
    let counts = demand::of_whole(&words);
    if !counts.is_empty() {
        add(counts.in_words().trim().trim_end_matches('.').replace(".\n", ", ").to_lowercase(), Want::Counts(counts));
    }
    if let Some(order) = Order::read(&words) {
        add(format!("in order, {}", order.in_words()), Want::Order(order));
    }
    let has_fields = !matches!(format::detect(path), None | Some(Format::Text));
    if let Some(fields) = Fields::read(&words).filter(|_| has_fields) {
        add(format!("has the fields {}", fields.in_words()), Want::Fields(fields));
    }
    if format::detect(path) == Some(Format::Csv) {
        add("rows of equal length with their header".into(), Want::Csv(words.clone()));
    }
    let tones = word::words(&words).filter(|word| TONES.contains(&word.as_str()));
    tones.for_each(|tone| add(format!("{tone} in tone"), Want::Tone));
    found
}

/// The fields that the goal wants the rows of `path` to have, if it names them and the file can hold rows.
pub fn fields(goal: &str, brief: &Brief, path: &str) -> Option<Vec<String>> {
    of_file(goal, brief, path).into_iter().find_map(|requirement| match requirement.want {
        Want::Fields(fields) => Some(fields.names().to_vec()),
        _ => None,
    })
}

/// What of the file's requirements a text does not meet, in words.
pub fn faults(goal: &str, brief: &Brief, path: &str, text: &str) -> Vec<String> {
    let standings = of_file(goal, brief, path).into_iter().map(|requirement| requirement.check(text));
    let unmet = |standing| match standing {
        Standing::Unmet(what) => Some(what),
        _ => None,
    };
    standings.filter_map(unmet).collect()
}

/// Gives a table that belongs into `path` the order and the columns that the goal asks for, where they are certain: the
/// rows are not in order, and one column alone can be meant by it; the columns are there, with others.
pub fn put_in_shape(goal: &str, brief: &Brief, path: &str, value: &mut Value) {
    let Value::Table(table) = value else { return };
    for requirement in of_file(goal, brief, path) {
        match requirement.want {
            Want::Order(order) if !order.holds(table) => order.sort(table),
            Want::Fields(fields) if !fields.holds(table) => fields.choose(table),
            _ => {}
        }
    }
}

impl Requirement {
    /// Holds a file's text against it.
    pub fn check(&self, text: &str) -> Standing {
        let fault = match &self.want {
            Want::Counts(demand) => demand.faults(text).into_iter().next(),
            Want::Csv(words) => demand::csv_fault(text, words),
            Want::Order(order) => match table(&self.path, text) {
                Some(table) if table.rows.is_empty() => return Standing::Unchecked,
                Some(table) if order.holds(&table) => None,
                Some(_) => Some(format!("the rows are not in order, {}", order.in_words())),
                None => return Standing::Unchecked,
            },
            Want::Fields(fields) => match table(&self.path, text) {
                Some(table) if fields.holds(&table) => None,
                Some(table) => {
                    Some(format!("its fields are {}, wanted {}", table.columns.join(", "), fields.in_words()))
                }
                None => return Standing::Unchecked,
            },
            Want::Tone => return Standing::Unchecked,
        };
        fault.map_or(Standing::Met, Standing::Unmet)
    }

    /// As it is journaled.
    pub fn entry(&self, text: &str) -> Entry {
        Entry { path: self.path.clone(), what: self.what.clone(), standing: self.check(text) }
    }
}

/// The rows that a file's text holds, if it is a table or a list of single words or names.
fn table(path: &str, text: &str) -> Option<Table> {
    let value = match format::detect(path)? {
        Format::Text => return lines(text),
        form => format::parse(text, form).ok()?.value,
    };
    match &value {
        Value::Text(text) => lines(text),
        Value::Table(table) => Some(table.clone()),
        Value::Json(json) if json.is_array() => format::to_table(&value).ok(),
        Value::Json(_) => None,
    }
}

/// A list as a table of one column; prose is none.
fn lines(text: &str) -> Option<Table> {
    const MAX_WORDS: usize = 6;
    let marks = |c: char| "-*•".contains(c) || c.is_whitespace();
    let lines: Vec<&str> =
        text.lines().map(|line| line.trim_start_matches(marks).trim()).filter(|line| !line.is_empty()).collect();
    let is_list = lines.len() > 1 && lines.iter().all(|line| line.split_whitespace().count() <= MAX_WORDS);
    let rows = lines.into_iter().map(|line| vec![line.into()]).collect();
    is_list.then(|| Table { columns: vec!["line".into()], rows })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orchestrate::brief;

    fn check(goal: &str, path: &str, text: &str, want: &[&str]) {
        let brief = brief::read(goal, &[]);
        assert_eq!(faults(goal, &brief, path, text), want, "{goal}: {text}");
    }

    #[test]
    fn texts_are_held_against_what_the_goal_asks_of_their_file() {
        let sums = "Write the sums per site to s.md, largest sum first, and write a notice of two lines to n.txt.";
        let wrong = ["the rows are not in order, from the largest to the smallest"];
        check(sums, "s.md", "| site | sum |\n|---|---|\n| a | 5 |\n| b | 3 |\n", &[]);
        check(sums, "s.md", "| site | sum |\n|---|---|\n| a | 3 |\n| b | 5 |\n", &wrong);
        check(sums, "s.md", "The largest sum is that of site b, and then there is a.", &[]);
        check(sums, "n.txt", "one\ntwo\n", &[]);
        check(sums, "n.txt", "one\n", &["it has 1 lines, wanted 2"]);
        let fields = "Write them to o.csv with the columns file and kind.";
        check(fields, "o.csv", "path\n", &["its fields are path, wanted file, kind"]);
        check(fields, "o.csv", "Kind,File\na,b\n", &[]);
        let names = "Who is older than 6? Write their names in alphabetical order, one per line, to n.txt.";
        check(names, "n.txt", "Ada\nben\nCy\n", &[]);
        check(names, "n.txt", "Cy\nAda\n", &["the rows are not in order, alphabetically"]);
        check("Save it with a one-sentence reason to v.md.", "v.md", "It is. So there.", &[]);
        check("Write one line for each guest to g.txt.", "g.txt", "a\nb\n", &[]);
    }

    #[test]
    fn rows_are_put_in_the_order_that_is_asked_for() {
        let goal = "Write site and sum to s.csv, highest sum first.";
        let brief = brief::read(goal, &[]);
        let row = |site: &str, sum: f64| vec![site.into(), sum.into()];
        let mut value = Value::Table(Table {
            columns: vec!["site".into(), "sum".into()],
            rows: vec![row("a", 2.0), row("b", 10.0), row("c", 9.5)],
        });
        put_in_shape(goal, &brief, "s.csv", &mut value);
        assert_eq!(format::render(&value, Format::Csv).unwrap(), "site,sum\nb,10\nc,9.5\na,2\n");
    }

    #[test]
    fn what_no_code_can_judge_is_entered() {
        let goal = "Write a friendly letter of at most 90 words to l.txt.";
        let entries: Vec<(String, Standing)> = of_file(goal, &brief::read(goal, &[]), "l.txt")
            .iter()
            .map(|requirement| (requirement.what.clone(), requirement.check("Dear all, come!")))
            .collect();
        assert_eq!(
            entries,
            [
                ("it has at most 90 words".to_owned(), Standing::Met),
                ("friendly in tone".to_owned(), Standing::Unchecked)
            ]
        );
    }
}
