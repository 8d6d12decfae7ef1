//! Lines of a program that bring together what belongs together in its data: the rows of what the goal names, the part of
//! JSON data that a column is a key to, the row of another table that a column points to. Small models compute well and
//! join badly; what is found in the values need not be found by them.
//!
//! Must not know: how data is loaded (`program`).

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json};

use super::program::plain;
use super::{Miss, named};
use crate::tool::query::Database;
use crate::tool::table::Loaded;

/// Columns that the rows of a table get from the rows that they point to.
const MAX_TAKEN: usize = 6;

/// Lines of a program, and what is at hand by them.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// Python.
    pub code: String,
    /// What the rows of tables get from elsewhere.
    pub taken: Vec<Taken>,
}

/// A column that the rows of a table get from what they point to.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken {
    /// The table's name in the program.
    pub table: String,
    /// The column's name.
    pub column: String,
    /// Whether it holds numbers.
    pub is_number: bool,
}

/// The variables with the rows of a table that are of something which the goal names, if it names one alone of its kind,
/// each with the line that sets it.
pub fn narrowed(names: &[String], table: &str, loaded: &Loaded) -> Vec<(String, String)> {
    let rows = &loaded.table.rows;
    let mut lines = Vec::new();
    for (idx, column) in loaded.table.columns.iter().enumerate() {
        // A text, or the number of "flat 7" in a column of flats.
        let value = |name: &String| match named::numbered(name) {
            Some((kind, number)) => named::is_column_of(column, kind).then(|| Json::from(number)),
            None => Some(Json::from(name.as_str())),
        };
        let is_equal = |cell: &Json, value: &Json| match value {
            Json::Number(number) => cell.as_f64() == number.as_f64(),
            _ => cell == value,
        };
        let n_rows = |name: &String| {
            value(name).map_or(0, |value| rows.iter().filter(|row| is_equal(&row[idx], &value)).count())
        };
        let mut named = names.iter().map(|name| (name, n_rows(name))).filter(|(_, n_rows)| *n_rows > 0);
        let (Some((name, n_rows)), None) = (named.next(), named.next()) else { continue };
        if n_rows > 1 && n_rows < rows.len() {
            let variable = format!("{table}_of_{}", plain(name));
            let (column, value) = (Json::from(column.as_str()), value(name).unwrap_or_default());
            let line = format!(
                "{variable} = [row for row in {table} if row[{column}] == {value}]  # the {n_rows} rows of {name}\n"
            );
            lines.push((variable, line));
        }
    }
    lines
}

/// Lines for every part of `data`, by name, that a column of a table is a key to: a part of single values is a new column.
pub fn pointed(data: &[(String, Json)], tables: &[(String, Loaded)]) -> Lines {
    let columns: Vec<(&(String, Loaded), &String, BTreeSet<&str>)> = tables
        .iter()
        .flat_map(|of| {
            let columns = of.1.table.columns.iter().enumerate();
            columns.map(move |(idx, column)| (of, column, texts_of(&of.1, idx)))
        })
        .collect();
    let mut lines = Lines::default();
    for (variable, json) in data {
        for (path, part) in parts(json) {
            let is_key = |texts: &BTreeSet<&str>| texts.len() > 1 && texts.iter().all(|text| part.contains_key(*text));
            for ((table, loaded), column, _) in columns.iter().filter(|(_, _, texts)| is_key(texts)) {
                let keys: String = path.iter().map(|key| format!("[{}]", Json::from(*key))).collect();
                let what = path.last().unwrap_or(&variable.as_str()).to_owned();
                let map = format!("{}_by_{}", plain(what), plain(column));
                let is_single = part.values().all(|value| !value.is_object() && !value.is_array());
                let is_new = !loaded.table.columns.iter().any(|known| known == what);
                let is_number = part.values().all(Json::is_number);
                lines.code.push_str(&format!("{map} = {variable}{keys}\n"));
                if is_single && is_new {
                    lines.take((table, column), &map, &[(what, is_number)], &|_| String::new());
                }
            }
        }
    }
    lines
}

/// Lines that let a row find its row of another table, where a column points there, and give it the columns of that row.
pub fn linked(tables: Vec<(String, Loaded)>) -> Result<Lines, Miss> {
    let mut lines = Lines::default();
    if tables.len() < 2 {
        return Ok(lines);
    }
    let (mut database, mut variables) = (Database::empty()?, Vec::new());
    for (name, loaded) in tables {
        database.add(&name, "", loaded)?;
        variables.push(name);
    }
    for link in database.links() {
        let (rows, of) = (&variables[link.to.0], &variables[link.from.0]);
        let (key, column) = (database.column_name(link.to), database.column_name(link.from));
        let map = format!("{rows}_by_{}", plain(key));
        let line = format!("{map} = {{row[{key:?}]: row for row in {rows}}}");
        if !lines.code.contains(&line) {
            lines.code.push_str(&format!("{line}  # the row of {rows} that {column:?} of a row of {of} means\n"));
        }
        let columns = |table: usize| database.tables()[table].columns.iter();
        let own: BTreeSet<&str> = columns(link.from.0).map(|column| column.name.as_str()).collect();
        let others = columns(link.to.0).filter(|column| column.name != key && !own.contains(column.name.as_str()));
        let others: Vec<(&str, bool)> = others.map(|column| (column.name.as_str(), column.kind.is_numeric())).collect();
        if !others.is_empty() && others.len() <= MAX_TAKEN {
            lines.take((of, column), &map, &others, &|name| format!("[{}]", Json::from(name)));
        }
    }
    Ok(lines)
}

impl Lines {
    /// Adds lines that give every row of a table what it points to by a column: `map` leads to it, `names` are those that
    /// it is called by there, each with whether it is a number, and `place` tells where one stands in a value of the map.
    fn take(
        &mut self,
        (table, column): (&str, &str),
        map: &str,
        names: &[(&str, bool)],
        place: &dyn Fn(&str) -> String,
    ) {
        let column = Json::from(column);
        let quoted = |name: &str| Json::from(name).to_string();
        let line = |name: &str| format!("        row[{}] = {map}[row[{column}]]{}\n", quoted(name), place(name));
        let lines: String = names.iter().map(|(name, _)| line(name)).collect();
        let listed = names.iter().map(|(name, _)| quoted(name)).collect::<Vec<_>>().join(", ");
        let head = format!("for row in {table}:  # every row gets {listed} too\n    if row[{column}] in {map}:\n");
        self.code.push_str(&head);
        self.code.push_str(&lines);
        self.taken.extend(names.iter().map(|&(name, is_number)| Taken {
            table: table.to_owned(),
            column: name.to_owned(),
            is_number,
        }));
    }
}

/// The different texts of a column.
fn texts_of(loaded: &Loaded, column: usize) -> BTreeSet<&str> {
    loaded.table.rows.iter().filter_map(|row| row[column].as_str()).collect()
}

/// The objects in data that is one, with the keys that lead there.
pub fn parts(json: &Json) -> Vec<(Vec<&str>, &Map<String, Json>)> {
    let Some(fields) = json.as_object() else { return Vec::new() };
    let mut found = vec![(Vec::new(), fields)];
    for (key, value) in fields {
        found.extend(parts(value).into_iter().map(|(path, part)| ([vec![key.as_str()], path].concat(), part)));
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tool::Table;

    fn loaded(columns: &[&str], rows: &[&[Json]]) -> Loaded {
        let columns = columns.iter().map(|&name| name.to_owned()).collect();
        Loaded::from_values(Table { columns, rows: rows.iter().map(|row| row.to_vec()).collect() })
    }

    #[test]
    fn rows_of_what_the_goal_names_are_at_hand() {
        let trips = loaded(
            &["who", "by"],
            &[&[json!("Ada"), json!("van")], &[json!("Bob"), json!("car")], &[json!("Ada"), json!("car")]],
        );
        let of =
            |names: &[&str]| narrowed(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>(), "trips", &trips);
        let want = "trips_of_ada = [row for row in trips if row[\"who\"] == \"Ada\"]  # the 2 rows of Ada\n";
        assert_eq!(of(&["Ada"]), [("trips_of_ada".to_owned(), want.to_owned())]);
        assert_eq!(of(&["Ada", "Bob"]), [], "both are meant");
    }

    #[test]
    fn a_column_that_is_a_key_to_data_brings_a_column() {
        let trips = loaded(&["by"], &[&[json!("van")], &[json!("car")], &[json!("van")]]);
        let data = json!({"since": 2020, "per_km": {"car": 0.3, "van": 0.4, "bus": 1}});
        let lines = pointed(&[("rates".into(), data)], &[("trips".into(), trips)]);
        assert_eq!(lines.taken, [Taken { table: "trips".into(), column: "per_km".into(), is_number: true }]);
        assert_eq!(
            lines.code,
            "per_km_by_by = rates[\"per_km\"]\n\
             for row in trips:  # every row gets \"per_km\" too\n    \
             if row[\"by\"] in per_km_by_by:\n        row[\"per_km\"] = per_km_by_by[row[\"by\"]]\n"
        );
    }

    #[test]
    fn a_row_gets_the_columns_of_the_row_that_it_points_to() {
        let usage = loaded(
            &["time", "kwh"],
            &[&[json!("day"), json!(5)], &[json!("night"), json!(2)], &[json!("day"), json!(1)]],
        );
        let prices = loaded(&["time", "price"], &[&[json!("day"), json!(0.3)], &[json!("night"), json!(0.2)]]);
        let lines = linked(vec![("usage".into(), usage), ("prices".into(), prices)]).unwrap();
        assert_eq!(lines.taken, [Taken { table: "usage".into(), column: "price".into(), is_number: true }]);
        assert_eq!(
            lines.code,
            "prices_by_time = {row[\"time\"]: row for row in prices}  # the row of prices that \"time\" of a row of usage means\n\
             for row in usage:  # every row gets \"price\" too\n    \
             if row[\"time\"] in prices_by_time:\n        row[\"price\"] = prices_by_time[row[\"time\"]][\"price\"]\n"
        );
    }
}
