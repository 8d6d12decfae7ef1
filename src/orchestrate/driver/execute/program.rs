//! What a program finds at hand: lines that load the inputs of its step, with what they give, and what of the inputs the
//! model reads by itself. Small models know how to compute, and fail at how a file is laid out.

use serde_json::Value as Json;

use super::inputs::Input;
use super::{Attempt, Miss, relation};
use crate::orchestrate::{amount, survey, word};
use crate::tool::Value;
use crate::tool::format::{self, Format};
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
    /// What these say, rule by rule, where they state rules.
    rules: Vec<String>,
    /// Whether other files are texts with figures in their sentences.
    has_sentences: bool,
    names: Vec<String>,
    /// The names that the step is about.
    pub about: Vec<String>,
    /// Data that is written into the program, by its name there.
    data: Vec<(String, Json)>,
    /// Tables and data by their names in the program, with the words by which they are used there.
    sources: Vec<(String, Vec<String>)>,
    /// What the rows of tables get from elsewhere.
    taken: Vec<relation::Taken>,
    /// The rows of what the goal names, by the table that they are of.
    narrowed: Vec<(String, String)>,
    /// The columns of tables that hold numbers.
    numeric: Vec<(String, Vec<String>)>,
}

/// Rows that have one number of their own and one that they get from what they point to, as hours and a rate.
pub struct Rows<'a> {
    /// The variable that holds them.
    variable: &'a str,
    own: &'a str,
    taken: &'a str,
}

impl Rows<'_> {
    /// Whether an amount is called as the number is that they have of their own: "hours" is no sum of money.
    pub fn is_own(&self, amount: &str) -> bool {
        let stems = |text: &str| word::words(text).map(|word| word::stem(&word)).collect::<Vec<_>>();
        let own = stems(&self.own.replace('_', " "));
        stems(amount).iter().any(|stem| own.contains(stem))
    }

    /// The sum over the rows of the one number times the other.
    pub fn product(&self) -> String {
        format!("sum(row[{:?}] * row[{:?}] for row in {})", self.own, self.taken, self.variable)
    }

    /// How many of these rows, their number and that from elsewhere an expression leaves out.
    pub fn n_left_out(&self, expression: &str) -> usize {
        [self.variable, self.own, self.taken].iter().filter(|what| !expression.contains(**what)).count()
    }
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
                at_hand.rules.extend(amount::rules(&input.text));
                quoted.push_str(&quote(input));
            } else {
                at_hand.unopened.push(input.name.clone());
                at_hand.has_sentences |= is_prose && holds_sentences(&input.text);
            }
            !is_quoted
        });
        at_hand.shown.push_str(&attempt.shown(&texts, SHOWN));
        at_hand.code.insert_str(0, IMPORTS);
        at_hand.about = attempt.names();
        at_hand.sources = sources(&at_hand.data, &tables);
        at_hand.bring_together(tables)?;
        for (id, value) in attempt.results() {
            at_hand.write_down(&id, value);
        }
        // A model goes on as a text ends: the last line has to call for code.
        at_hand.code.push_str(&demands(&attempt.journal.run().goal));
        if !quoted.is_empty() {
            let about = if let [name] = &at_hand.about[..] { about(name) } else { String::new() };
            at_hand.code.push_str(&format!("{quoted}{about}"));
        }
        Ok(at_hand)
    }

    /// What calls for the code that comes after [`Self::code`].
    pub fn opening(&self) -> &'static str {
        if self.prose.is_empty() { "" } else { "# Its figures as constants:\n" }
    }

    /// Adds the lines by which rows find what belongs to them.
    fn bring_together(&mut self, tables: Vec<(String, Loaded)>) -> Result<(), Miss> {
        for (table, loaded) in &tables {
            self.numeric.push((table.clone(), loaded.peek().numeric_columns()));
            for (variable, line) in relation::narrowed(&self.about, table, loaded) {
                self.code.push_str(&line);
                self.narrowed.push((table.clone(), variable));
            }
        }
        let pointed = relation::pointed(&self.data, &tables);
        for lines in [pointed, relation::linked(tables)?] {
            self.code.push_str(&lines.code);
            self.taken.extend(lines.taken);
        }
        Ok(())
    }

    /// The columns that rows get from what they point to.
    pub fn taken(&self) -> Vec<&str> {
        self.taken.iter().map(|taken| taken.column.as_str()).collect()
    }

    /// The rows that the step is about, where those of one table get one number from elsewhere.
    pub fn rows(&self) -> Option<Rows<'_>> {
        let mut numbers = self.taken.iter().filter(|taken| taken.is_number);
        let (Some(taken), None) = (numbers.next(), numbers.next()) else { return None };
        let mut narrowed = self.narrowed.iter().filter(|(table, _)| *table == taken.table);
        let variable = match (narrowed.next(), narrowed.next()) {
            (None, _) => &taken.table,
            (Some((_, variable)), None) => variable,
            _ => return None,
        };
        let (_, columns) = self.numeric.iter().find(|(table, _)| *table == taken.table)?;
        let [own] = &columns[..] else { return None };
        Some(Rows { variable, own, taken: &taken.column })
    }

    /// A name for an amount that means nothing else in the program.
    pub fn variable(&self, amount: &str) -> String {
        let name = plain(amount);
        let is_set = |line: &str| line.split_once(" = ").is_some_and(|(set, _)| set == name);
        let is_taken = RESERVED.contains(&name.as_str()) || self.code.lines().any(is_set);
        if is_taken { format!("{name}_amount") } else { name }
    }

    /// The rules that stand in its texts.
    pub fn rules(&self) -> &[String] {
        &self.rules
    }

    /// What of several tables and data a program does not use.
    pub fn unused(&self, code: &str) -> Option<&str> {
        let uses = |marks: &[String]| marks.iter().any(|mark| code.contains(mark.as_str()));
        let mut unused = self.sources.iter().filter(|(_, marks)| !uses(marks)).map(|(name, _)| name.as_str());
        unused.next().filter(|_| self.sources.len() > 1)
    }

    /// What the author has to know besides.
    pub fn remarks(&self) -> String {
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
        let mut found = table::load_all(workspace, path, &table::Options::default()).unwrap_or_default();
        let json: Option<Json> = path.ends_with(".json").then(|| serde_json::from_str(&input.text).ok()).flatten();
        let data = json.filter(|json| survey::is_nested(json) || found.len() > 1);
        if let Some((literal, data)) = data.map(|data| (python(&data), data))
            && literal.chars().count() <= MAX_LITERAL
        {
            self.shown.push_str(&format!("[{path}]\n{literal}\n\n"));
            let name = self.name(path);
            self.code.push_str(&format!("{name} = {literal}  # {path:?}\n"));
            self.data.push((name, data));
            return true;
        }
        let is_table = found.first().is_some_and(|(_, first)| is_data(path) || survey::is_table(path, &first.peek()));
        if is_table {
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

/// Tables and data with the words by which a program uses them: their names, and those of columns and keys that no other
/// has.
fn sources(data: &[(String, Json)], tables: &[(String, Loaded)]) -> Vec<(String, Vec<String>)> {
    let keys = |json: &Json| -> Vec<String> {
        relation::parts(json).iter().flat_map(|(_, part)| part.keys().cloned()).collect()
    };
    let of_tables = tables.iter().map(|(name, loaded)| (name.clone(), loaded.table.columns.clone()));
    let all: Vec<(String, Vec<String>)> =
        of_tables.chain(data.iter().map(|(name, json)| (name.clone(), keys(json)))).collect();
    let own = |(name, words): &(String, Vec<String>)| {
        let is_own = |word: &&String| !all.iter().any(|(other, words)| other != name && words.contains(word));
        (name.clone(), std::iter::once(name.clone()).chain(words.iter().filter(is_own).cloned()).collect())
    };
    all.iter().map(own).collect()
}

/// What a goal demands point by point, as comments: a program is written along them.
fn demands(goal: &str) -> String {
    let points: String = word::items(goal).iter().map(|point| format!("#   - {point}\n")).collect();
    if points.is_empty() { points } else { format!("# What is demanded:\n{points}# The program:\n") }
}

/// Whom alone a text of rules is read for.
fn about(name: &str) -> String {
    format!("# It is about {name} alone: what the text says of others does not count.\n")
}

/// A text as comments, where the author has its rules at hand.
fn quote(input: &Input) -> String {
    let lines = input.text.lines().map(str::trim).filter(|line| !line.is_empty());
    let comments: String = lines.map(|line| format!("#   {line}\n")).collect();
    format!("# {} says:\n{comments}", input.name)
}

/// A text as part of a variable's name.
pub fn plain(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    text.chars().map(plain).collect()
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
    fn what_a_program_does_not_use_is_found() {
        let loaded = |columns: &[&str]| {
            let columns = columns.iter().map(|&name| name.to_owned()).collect();
            Loaded::from_values(crate::tool::Table { columns, rows: Vec::new() })
        };
        let tables =
            [("usage".to_owned(), loaded(&["time", "kwh"])), ("prices".to_owned(), loaded(&["time", "price"]))];
        let data = [("rates".to_owned(), json!({"since": 2020, "per_km": {"car": 1}}))];
        let at_hand = AtHand { sources: sources(&data, &tables), ..AtHand::default() };
        for (code, want) in [
            ("sum(row['kwh'] for row in usage) * rates['per_km']['car']", Some("prices")),
            ("sum(row['kwh'] * row['price'] for row in usage)", Some("rates")),
            ("sum(row['kwh'] * row['price'] * row['per_km'] for row in usage)", None),
        ] {
            assert_eq!(at_hand.unused(code), want, "{code}");
        }
    }

    #[test]
    fn what_is_demanded_point_by_point_stands_in_the_program() {
        let goal = "Convert a.csv.\n- names in lower case\n- no blanks\nTell me how many.";
        assert_eq!(demands(goal), "# What is demanded:\n#   - names in lower case\n#   - no blanks\n# The program:\n");
        assert_eq!(demands("Add it up - all of it."), "");
    }

    #[test]
    fn lists_are_told_from_prose() {
        assert!(holds_sentences("Hello,\nit takes 4 days to get there.") && !holds_sentences("ERROR 4 at line 7"));
        assert!(is_list("Ada Dahl\n\nBen Roe\n") && !is_list("") && !is_list("A fee of 5 percent is added."));
    }
}
