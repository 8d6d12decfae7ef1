//! The fields that a goal wants every row to have: read from its words, checked, and chosen where it is clear which are
//! meant.

use crate::orchestrate::word::plain;
use crate::tool::Table;

/// Words that announce names of fields, and those before them by which the result is meant and not what it is made from.
const FIELDS: &[&str] = &["columns", "keys", "fields", "headings"];
const OF_RESULT: &[&str] =
    &["with", "only", "exactly", "has", "have", "having", "containing", "keep", "keeping", "contain"];
/// Words that turn it round.
const OMITS: &[&str] = &["without", "except", "drop", "dropping", "remove", "removing", "omit", "omitting"];
/// Words between the two, as in "with exactly the columns".
const MAX_BETWEEN: usize = 3;

/// Names of fields, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields(Vec<String>);

impl Fields {
    /// The fields that a goal's words ask for: "with the columns a, b (a number) and c".
    pub fn read(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let listed = (1..words.len()).filter(|&i| FIELDS.contains(&plain(words[i]).as_str())).find_map(|i| {
            let before: Vec<String> = words[i.saturating_sub(MAX_BETWEEN)..i].iter().map(|word| plain(word)).collect();
            let has = |wanted: &[&str]| before.iter().any(|word| wanted.contains(&word.as_str()));
            // "keys: a, b" needs neither verb nor "and".
            let announces = words[i].ends_with(':');
            let is_of_result = (announces || has(OF_RESULT)) && !has(OMITS);
            list(&words[i + 1..], announces).filter(|_| is_of_result).map(Self)
        });
        // "stalls.csv with name, metres and power (yes or no)"
        let is_table = |word: &str| word.ends_with(".csv") || word.ends_with(".tsv");
        let bare = || {
            let mut pairs = words.windows(2).enumerate().filter(|(_, pair)| is_table(pair[0]) && pair[1] == "with");
            pairs.find_map(|(i, _)| list(&words[i + 2..], false).filter(|names| names.len() > 2).map(Self))
        };
        listed.or_else(bare)
    }

    /// The names.
    pub fn names(&self) -> &[String] {
        &self.0
    }

    /// In words.
    pub fn in_words(&self) -> String {
        self.0.join(", ")
    }

    /// Whether a table has these columns and no others.
    pub fn holds(&self, table: &Table) -> bool {
        let names = |names: &[String]| names.iter().map(|name| folded(name)).collect::<std::collections::BTreeSet<_>>();
        names(&self.0) == names(&table.columns)
    }

    /// Leaves these columns alone in a table, in this order and spelling, if it has them all; one that has another name
    /// is taken if there is only one that it can be.
    pub fn choose(&self, table: &mut Table) {
        let position = |name: &String| table.columns.iter().position(|column| folded(column) == folded(name));
        let mut places: Vec<Option<usize>> = self.0.iter().map(position).collect();
        let mut free = (0..table.columns.len()).filter(|idx| !places.contains(&Some(*idx)));
        if let (Some(only), None) = (free.next(), free.next())
            && places.iter().filter(|place| place.is_none()).count() == 1
        {
            places.iter_mut().filter(|place| place.is_none()).for_each(|place| *place = Some(only));
        }
        let Some(places) = places.into_iter().collect::<Option<Vec<usize>>>() else { return };
        table.columns.clone_from(&self.0);
        for row in &mut table.rows {
            *row = places.iter().map(|idx| row.get(*idx).cloned().unwrap_or_default()).collect();
        }
    }
}

/// A name without what spellings differ in.
fn folded(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The names of a list "a, b (a number) and c", at least two, or `is_bare` "a, b, c"; `None` if the words are none.
fn list(words: &[&str], is_bare: bool) -> Option<Vec<String>> {
    let mut names = Vec::new();
    let mut is_last = false;
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        let name = word.trim_matches(|c: char| ",.:;!?\"'`“”‘’".contains(c));
        if name == "and" {
            is_last = true;
            continue;
        }
        let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-');
        if !is_name {
            return None;
        }
        names.push(name.to_owned());
        let mut ends_with_comma = word.ends_with(',');
        while words.peek().is_some_and(|next| next.starts_with('(')) {
            let closing = words.by_ref().find(|word| word.contains(')'))?;
            ends_with_comma = closing.ends_with(',');
        }
        let is_followed = words.peek().is_some_and(|next| **next == "and");
        if is_last || !(ends_with_comma || is_followed) {
            break;
        }
    }
    ((is_last || is_bare) && names.len() > 1).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_from_goals() {
        for (words, want) in [
            ("a list of objects with the keys name, kind and age (a number), sorted by age", "name, kind, age"),
            ("write it with exactly the columns `id` and `unit_price` to x.csv", "id, unit_price"),
            ("a CSV file with columns city, mean, and n.", "city, mean, n"),
            ("with the fields a (text), b (a whole number) and c", "a, b, c"),
            ("a JSON array, keys: name, email, paid - no blanks", "name, email, paid"),
            ("a list: s.csv with name (who signed), metres and power (yes/no), one row each", "name, metres, power"),
            ("to s.csv with date and total", ""),
            ("without the columns owner and age", ""),
            ("add up the columns lat and lon", ""),
            ("with the same columns as before", ""),
            ("with the column names in the first row", ""),
        ] {
            assert_eq!(Fields::read(words).map(|fields| fields.in_words()).unwrap_or_default(), want, "{words}");
        }
    }

    #[test]
    fn columns_are_chosen_where_it_is_clear_which_are_meant() {
        let table = |columns: &[&str]| {
            let rows = vec![(0..columns.len()).map(serde_json::Value::from).collect()];
            Table { columns: columns.iter().map(|&name| name.to_owned()).collect(), rows }
        };
        let fields = Fields(vec!["name".into(), "unit price".into()]);
        for (columns, want) in [
            (&["unit_price", "owner", "Name"][..], Some("name,unit price: 2 0")),
            (&["name", "total"], Some("name,unit price: 0 1")),
            (&["name", "total", "sum"], None),
        ] {
            let mut chosen = table(columns);
            fields.choose(&mut chosen);
            let shown = format!("{}: {} {}", chosen.columns.join(","), chosen.rows[0][0], chosen.rows[0][1]);
            assert_eq!(fields.holds(&chosen).then_some(shown.as_str()), want, "{columns:?}");
        }
    }
}
