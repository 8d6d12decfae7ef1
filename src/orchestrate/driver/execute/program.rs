//! What a program finds at hand: lines that load the inputs of its step, with what they give, and what of the inputs the
//! model reads by itself. Small models know how to compute, and fail at how a file is laid out.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::inputs::Input;
use super::{Attempt, Miss};
use crate::orchestrate::{survey, word};
use crate::tool::Value;
use crate::tool::format::{self, Format};
use crate::tool::query::Database;
use crate::tool::table::{self, Loaded};

/// Characters of inputs that the prompt shows.
const SHOWN: usize = 5000;
/// Characters of an earlier result that is written into the program.
const MAX_LITERAL: usize = 2500;
/// Rows of a table that is given to a program at once.
const MAX_ROWS: usize = 20_000;
/// Words of a line in a list of names; a text with longer lines is prose.
const MAX_LISTED: usize = 4;
/// What every program begins with: an author who forgets an import fails for nothing.
const IMPORTS: &str = "import csv, datetime, json, math, os, re, statistics\n";
/// Names that mean something else in a program.
const RESERVED: &[&str] = &[
    "all",
    "and",
    "any",
    "ask",
    "class",
    "csv",
    "date",
    "datetime",
    "def",
    "dict",
    "filter",
    "for",
    "from",
    "id",
    "if",
    "import",
    "in",
    "input",
    "is",
    "json",
    "len",
    "lines",
    "list",
    "map",
    "math",
    "max",
    "min",
    "not",
    "open",
    "or",
    "os",
    "print",
    "query",
    "range",
    "re",
    "result",
    "round",
    "set",
    "sorted",
    "statistics",
    "str",
    "sum",
    "table",
    "time",
    "type",
    "with",
];

/// What a program begins with, and what its author is told of it.
#[derive(Debug, Default)]
pub struct AtHand {
    /// Python, a line for each input that is loaded.
    pub code: String,
    /// The inputs, for the prompt.
    pub shown: String,
    /// Files that the program has to open by itself.
    unopened: Vec<String>,
    /// Texts whose figures the author takes from the prompt.
    prose: Vec<String>,
    /// Whether other files are texts with figures in their sentences.
    has_sentences: bool,
    names: Vec<String>,
    /// Data that is written into the program, by its name there.
    data: Vec<(String, Json)>,
}

impl AtHand {
    /// Of a step's inputs.
    pub fn of(attempt: &Attempt<'_>) -> Result<Self, Miss> {
        let mut at_hand = Self::default();
        let named: Vec<&str> = attempt.step.paths().collect();
        let (mut texts, mut tables, mut n_chars) = (Vec::new(), Vec::new(), 0);
        for input in attempt.texts()?.into_iter().filter(|input| !input.name.starts_with('$')) {
            // Files of a folder are worked through by the program.
            let is_named = named.contains(&input.name.as_str());
            if is_named && at_hand.load(attempt, &input, &mut tables) {
                continue;
            }
            n_chars += input.text.chars().count();
            texts.push(input);
        }
        let is_whole = n_chars <= SHOWN;
        let mut quoted = String::new();
        texts.retain(|input| {
            let is_prose = is_whole && !is_list(&input.text) && !is_data(&input.name);
            let is_quoted = is_prose && named.contains(&input.name.as_str());
            if is_quoted {
                at_hand.prose.push(input.name.clone());
                quoted.push_str(&quote(input));
            } else {
                at_hand.unopened.push(input.name.clone());
                at_hand.has_sentences |= is_prose && holds_sentences(&input.text);
            }
            !is_quoted
        });
        at_hand.shown.push_str(&attempt.shown(&texts, SHOWN));
        at_hand.code.insert_str(0, IMPORTS);
        let names = attempt.names();
        tables.iter().for_each(|(name, loaded)| at_hand.narrow(&names, name, loaded));
        at_hand.point(&tables);
        at_hand.link(tables)?;
        at_hand.code.push_str(&quoted);
        if let ([name], false) = (names.as_slice(), quoted.is_empty()) {
            at_hand
                .code
                .push_str(&format!("# It is about {name} alone: what the text says of others does not count.\n"));
        }
        for (id, value) in attempt.results() {
            at_hand.write_down(&id, value);
        }
        at_hand.code.push_str(&demands(&attempt.journal.run().goal));
        Ok(at_hand)
    }

    /// What the author has to know besides.
    pub fn rules(&self) -> String {
        let mut text = String::new();
        if self.code != IMPORTS {
            text.push_str(" It begins with the lines that load the data; go on after them.");
        }
        if let Some(file) = self.unopened.first() {
            text.push_str(&format!(" It reads the other files with open({file:?}) and the like."));
        }
        if !self.prose.is_empty() {
            let prose = self.prose.join(" and ");
            text.push_str(&format!(
                " It does not open {prose}, whose text stands there as a comment: write its figures into the program as constants, and do what it says."
            ));
        }
        if self.has_sentences {
            text.push_str(" It takes no figures out of sentences: write those that the texts above state into the program as constants, and leave out what they say nothing of.");
        }
        text
    }

    /// A line that loads a table or a list, if the file is one. A table is added to `tables`, by its name in the program.
    fn load(&mut self, attempt: &Attempt<'_>, input: &Input, tables: &mut Vec<(String, Loaded)>) -> bool {
        let workspace = &attempt.journal.run().workspace;
        let path = &input.name;
        let is_json = path.ends_with(".json");
        let is_of_several =
            || table::load_all(workspace, path, &table::Options::default()).is_ok_and(|all| all.len() > 1);
        let data = survey::nested_data(workspace, path)
            .or_else(|| serde_json::from_str(&input.text).ok().filter(|_| is_json && is_of_several()));
        if let Some(data) = data.filter(|data| python(data).chars().count() <= MAX_LITERAL) {
            self.shown.push_str(&format!("[{path}]\n{}\n\n", python(&data)));
            let name = self.name(path);
            self.code.push_str(&format!("{name} = {}  # {path}\n", python(&data)));
            self.data.push((name, data));
            return true;
        }
        if (is_data(path) || survey::is_table(workspace, path))
            && let Ok(mut found) = table::load_all(workspace, path, &table::Options::default())
        {
            let (1, Some((_, loaded))) = (found.len(), found.pop()) else { return false };
            let Some(example) = example(&loaded).filter(|_| loaded.table.rows.len() <= MAX_ROWS) else { return false };
            self.shown.push_str(&survey::describe_table(path, &loaded.peek()));
            self.shown.push_str("\n\n");
            let name = self.name(path);
            let n_rows = loaded.table.rows.len();
            self.code.push_str(&format!("{name} = table({path:?})  # a list of {n_rows} dicts like {example}\n"));
            tables.push((name, loaded));
            return true;
        }
        if !is_list(&input.text) {
            return false;
        }
        let lines: Vec<&str> = input.text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let Some(first) = lines.first() else { return false };
        let name = self.name(path);
        self.shown.push_str(&format!("[{path}]\n{}\n\n", Value::Text(lines.join("\n")).preview(600)));
        self.code.push_str(&format!(
            "{name} = lines({path:?})  # a list of {} texts like {}\n",
            lines.len(),
            python(&Json::from(*first))
        ));
        true
    }

    /// A line with the rows of a table that are of something which the goal names, if it names one alone of its kind.
    fn narrow(&mut self, names: &[String], table: &str, loaded: &Loaded) {
        let rows = &loaded.table.rows;
        for (idx, column) in loaded.table.columns.iter().enumerate() {
            let n_rows = |name: &String| rows.iter().filter(|row| row[idx].as_str() == Some(name)).count();
            let mut named = names.iter().map(|name| (name, n_rows(name))).filter(|(_, n_rows)| *n_rows > 0);
            let (Some((name, n_rows)), None) = (named.next(), named.next()) else { continue };
            if n_rows > 1 && n_rows < rows.len() {
                let (of, column, value) = (plain(name), Json::from(column.as_str()), Json::from(name.as_str()));
                self.code.push_str(&format!(
                    "{table}_of_{of} = [row for row in {table} if row[{column}] == {value}]  # the {n_rows} rows of {name}\n"
                ));
            }
        }
    }

    /// A line for every part of data that a column of a table is a key to.
    fn point(&mut self, tables: &[(String, Loaded)]) {
        for (data, json) in std::mem::take(&mut self.data) {
            let parts = parts(&json);
            for (table, loaded) in tables {
                for (idx, column) in loaded.table.columns.iter().enumerate() {
                    let cells: BTreeSet<&str> = loaded.table.rows.iter().filter_map(|row| row[idx].as_str()).collect();
                    let is_key = |part: &serde_json::Map<String, Json>| {
                        cells.len() > 1 && cells.iter().all(|cell| part.contains_key(*cell))
                    };
                    for (path, _) in parts.iter().filter(|(_, part)| is_key(part)) {
                        let keys: String = path.iter().map(|key| format!("[{}]", Json::from(*key))).collect();
                        let name = format!("{}_by_{}", plain(path.last().unwrap_or(&data.as_str())), plain(column));
                        let column = Json::from(column.as_str());
                        self.code.push_str(&format!(
                            "{name} = {data}{keys}  # {name}[row[{column}]] is that of a row of {table}\n"
                        ));
                    }
                }
            }
        }
    }

    /// Lines that let a row find its row of another table, where a column points there.
    fn link(&mut self, tables: Vec<(String, Loaded)>) -> Result<(), Miss> {
        if tables.len() < 2 {
            return Ok(());
        }
        let (mut database, mut variables) = (Database::empty()?, Vec::new());
        for (name, loaded) in tables {
            database.add(&name, "", loaded)?;
            variables.push(name);
        }
        let mut code = String::new();
        for link in database.links() {
            let (rows, of) = (&variables[link.to.0], &variables[link.from.0]);
            let (key, column) = (database.column_name(link.to), database.column_name(link.from));
            let line = format!("{rows}_by_{} = {{row[{key:?}]: row for row in {rows}}}", plain(key));
            if code.contains(&line) {
                continue;
            }
            code.push_str(&format!("{line}  # the row of {rows} that {column:?} of a row of {of} means\n"));
        }
        self.code.push_str(&code);
        Ok(())
    }

    /// An earlier result as a value of the program.
    fn write_down(&mut self, id: &str, value: &Value) {
        let json = match value {
            Value::Table(table) => table.objects().map(Json::Object).collect(),
            Value::Text(text) => Json::from(text.as_str()),
            Value::Json(json) => json.clone(),
        };
        self.shown.push_str(&format!("[{id}]\n{}\n\n", value.preview(SHOWN / 2).trim_end()));
        let literal = python(&json);
        if literal.chars().count() <= MAX_LITERAL {
            self.code.push_str(&format!("result_{} = {literal}\n", id.trim_start_matches('$')));
        }
    }

    /// A name for what a file holds that no other has.
    fn name(&mut self, path: &str) -> String {
        let stem = path.rsplit('/').next().and_then(|name| name.split('.').next()).unwrap_or_default();
        let mut name = plain(stem);
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
            name.insert_str(0, "data_");
        }
        while RESERVED.contains(&name.as_str()) || self.names.contains(&name) {
            name.push_str("_rows");
        }
        self.names.push(name.clone());
        name
    }
}

/// What a goal demands point by point, as comments: a program is written along them.
fn demands(goal: &str) -> String {
    let points: String = word::items(goal).iter().map(|point| format!("#   - {point}\n")).collect();
    if points.is_empty() { points } else { format!("# What is demanded:\n{points}# The program, without further comments:\n") }
}

/// A text as comments, where the author has its rules at hand.
fn quote(input: &Input) -> String {
    let lines = input.text.lines().map(str::trim).filter(|line| !line.is_empty());
    let comments: String = lines.map(|line| format!("#   {line}\n")).collect();
    format!("# {} says:\n{comments}# Its figures as constants:\n", input.name)
}

/// A text as part of a variable's name.
fn plain(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    text.chars().map(plain).collect()
}

/// The objects in data that is one, with the keys that lead there.
fn parts(json: &Json) -> Vec<(Vec<&str>, &serde_json::Map<String, Json>)> {
    let Some(fields) = json.as_object() else { return Vec::new() };
    let mut found = vec![(Vec::new(), fields)];
    for (key, value) in fields {
        found.extend(parts(value).into_iter().map(|(path, part)| ([vec![key.as_str()], path].concat(), part)));
    }
    found
}

/// Whether a file's name says that it is made for programs.
fn is_data(path: &str) -> bool {
    survey::holds_table(path) || format::detect(path) == Some(Format::Yaml)
}

/// Whether a text is a list of names or the like, one a line.
fn is_list(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).peekable();
    lines.peek().is_some() && lines.all(|line| line.split_whitespace().count() <= MAX_LISTED)
}

/// Whether a text states figures in sentences.
fn holds_sentences(text: &str) -> bool {
    let is_one = |line: &str| {
        line.split_whitespace().count() > MAX_LISTED
            && line.ends_with(['.', '!'])
            && line.contains(|c: char| c.is_ascii_digit())
    };
    text.lines().any(|line| is_one(line.trim()))
}

/// The first row as a program sees it.
fn example(loaded: &Loaded) -> Option<String> {
    loaded.table.objects().next().map(|row| python(&Json::Object(row)))
}

/// A value as Python spells it.
fn python(json: &Json) -> String {
    match json {
        Json::Null => "None".to_owned(),
        Json::Bool(true) => "True".to_owned(),
        Json::Bool(false) => "False".to_owned(),
        Json::Array(items) => format!("[{}]", items.iter().map(python).collect::<Vec<_>>().join(", ")),
        Json::Object(fields) => {
            let field = |(name, value): (&String, &Json)| format!("{}: {}", Json::from(name.as_str()), python(value));
            format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_spelled_as_python_does() {
        let json = json!([{"a": null, "b\"": true}, "l\n", 2.5, false]);
        assert_eq!(python(&json), r#"[{"a": None, "b\"": True}, "l\n", 2.5, False]"#);
    }

    #[test]
    fn names_are_free_and_mean_one_thing() {
        let mut at_hand = AtHand::default();
        let names = ["a/hours.csv", "hours.json", "list.txt", "2024 sales.csv"].map(|path| at_hand.name(path));
        assert_eq!(names, ["hours", "hours_rows", "list_rows", "data_2024_sales"]);
    }

    #[test]
    fn rows_of_what_the_goal_names_are_at_hand() {
        let rows = [["Ada", "van"], ["Bob", "car"], ["Ada", "car"]].map(|row| row.map(Json::from).to_vec()).to_vec();
        let loaded = Loaded::from_values(crate::tool::Table { columns: vec!["who".into(), "by".into()], rows });
        let narrowed = |names: &[&str]| {
            let mut at_hand = AtHand::default();
            at_hand.narrow(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>(), "trips", &loaded);
            at_hand.code
        };
        let want = "trips_of_ada = [row for row in trips if row[\"who\"] == \"Ada\"]  # the 2 rows of Ada\n";
        assert_eq!(narrowed(&["Ada"]), want);
        assert_eq!(narrowed(&["Ada", "Bob"]), "", "both are meant");
    }

    #[test]
    fn a_column_that_is_a_key_to_data_points_there() {
        let rows = ["van", "car", "van"].map(|cell| vec![Json::from(cell)]).to_vec();
        let loaded = Loaded::from_values(crate::tool::Table { columns: vec!["by".into()], rows });
        let data = json!({"since": 2020, "per_km": {"car": 0.3, "van": 0.4, "bus": 1}});
        let mut at_hand = AtHand { data: vec![("rates".into(), data)], ..AtHand::default() };
        at_hand.point(&[("trips".into(), loaded)]);
        assert_eq!(
            at_hand.code,
            "per_km_by_by = rates[\"per_km\"]  # per_km_by_by[row[\"by\"]] is that of a row of trips\n"
        );
    }

    #[test]
    fn prose_stands_in_the_program_as_comments() {
        let input = Input { name: "t.txt".into(), text: "Terms\n\n1. VAT is 21 percent.\n".into() };
        assert_eq!(quote(&input), "# t.txt says:\n#   Terms\n#   1. VAT is 21 percent.\n# Its figures as constants:\n");
    }

    #[test]
    fn what_is_demanded_point_by_point_stands_in_the_program() {
        let goal = "Convert a.csv.\n- names in lower case\n- no blanks\nTell me how many.";
        assert_eq!(demands(goal), "# What is demanded:\n#   - names in lower case\n#   - no blanks\n# The program, without further comments:\n");
        assert_eq!(demands("Add it up - all of it."), "");
    }

    #[test]
    fn lists_are_told_from_prose() {
        assert!(holds_sentences("Hello,\nit takes 4 days to get there.") && !holds_sentences("ERROR 4 at line 7"));
        assert!(is_list("Ada Dahl\n\nBen Roe\n") && !is_list("") && !is_list("A fee of 5 percent is added."));
    }
}
