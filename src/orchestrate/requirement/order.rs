//! The order of rows: read from a goal's words, checked, and made.

use std::cmp::Ordering;

use serde_json::Value as Json;

use crate::orchestrate::word::words;
use crate::tool::Table;
use crate::tool::format::cell_text;

/// Words that begin "… first" for an order from much to little, and from little to much.
const MUCH: &[&str] = &[
    "largest",
    "biggest",
    "highest",
    "most",
    "greatest",
    "longest",
    "best",
    "dearest",
    "newest",
    "latest",
    "heaviest",
    "strongest",
    "costliest",
    "large",
    "high",
    "big",
    "long",
    "old",
];
const LITTLE: &[&str] = &[
    "smallest", "lowest", "least", "fewest", "shortest", "cheapest", "earliest", "lightest", "youngest", "nearest",
    "closest", "small", "low", "short", "cheap", "young",
];
/// Words between the superlative and "first", as in "largest total amount first".
const MAX_BETWEEN: usize = 3;

/// An order of rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// By a number or date that falls from row to row.
    Falling,
    /// By a number or date that rises.
    Rising,
    /// By words, in upper or lower case.
    Alphabetical,
}

impl Order {
    /// The order that a goal's words ask for; `None` if they ask for none or for more than one.
    pub fn read(text: &str) -> Option<Self> {
        let of_sentence = |sentence: &str| {
            let words: Vec<String> = words(sentence).collect();
            (0..words.len()).filter_map(|i| at(&words, i)).collect::<Vec<_>>()
        };
        let mut found: Vec<Self> = text.split(['.', '!', '?', ';']).flat_map(of_sentence).collect();
        found.dedup();
        (found.len() == 1).then(|| found.remove(0))
    }

    /// In words.
    pub fn in_words(&self) -> &'static str {
        match self {
            Self::Falling => "from the largest to the smallest",
            Self::Rising => "from the smallest to the largest",
            Self::Alphabetical => "alphabetically",
        }
    }

    /// Whether the rows are in this order by one of the columns that it can mean.
    pub fn holds(&self, table: &Table) -> bool {
        let columns = self.columns(table);
        let in_order =
            |column: &usize| table.rows.windows(2).all(|pair| self.compare(&pair[0], &pair[1], *column).is_le());
        columns.is_empty() || columns.iter().any(in_order)
    }

    /// Sorts the rows if one column alone can be meant; rows that are equal stay as they were.
    pub fn sort(&self, table: &mut Table) {
        if let [column] = self.columns(table)[..] {
            table.rows.sort_by(|one, other| self.compare(one, other, column));
        }
    }

    /// The columns that the order can go by.
    fn columns(&self, table: &Table) -> Vec<usize> {
        let cells = |column: usize| table.rows.iter().filter_map(move |row| row.get(column));
        let fits = |column: &usize| match self {
            Self::Alphabetical => cells(*column).all(|cell| number(cell).is_none()),
            Self::Falling | Self::Rising => cells(*column).all(|cell| number(cell).is_some()),
        };
        (0..table.columns.len()).filter(fits).collect()
    }

    fn compare(&self, one: &[Json], other: &[Json], column: usize) -> Ordering {
        let (Some(one), Some(other)) = (one.get(column), other.get(column)) else { return Ordering::Equal };
        let by_number = || number(one).partial_cmp(&number(other)).unwrap_or(Ordering::Equal);
        match self {
            Self::Alphabetical => cell_text(one).to_lowercase().cmp(&cell_text(other).to_lowercase()),
            Self::Rising => by_number(),
            Self::Falling => by_number().reverse(),
        }
    }
}

/// The order that is asked for with the `i`-th word.
fn at(words: &[String], i: usize) -> Option<Order> {
    let of = |word: &str| match word {
        _ if MUCH.contains(&word) => Some(Order::Falling),
        _ if LITTLE.contains(&word) => Some(Order::Rising),
        _ => None,
    };
    match words[i].as_str() {
        "descending" | "decreasing" => Some(Order::Falling),
        "ascending" | "increasing" => Some(Order::Rising),
        "alphabetical" | "alphabetically" => Some(Order::Alphabetical),
        "first" => words[i.saturating_sub(MAX_BETWEEN + 1)..i].iter().rev().find_map(|word| of(word)),
        // "from high to low", "smallest to largest"
        "to" if i > 0 && i + 1 < words.len() => {
            of(&words[i - 1]).filter(|order| of(&words[i + 1]).is_some_and(|end| end != *order))
        }
        _ => None,
    }
}

/// A cell as a number; a date as the number of its digits, which orders dates.
fn number(cell: &Json) -> Option<f64> {
    let text = cell_text(cell);
    let text = text.trim().trim_start_matches(['€', '$', '£']).trim_end_matches(['%', '€']).trim();
    text.replace(',', "").parse().ok().or_else(|| {
        let is_date = text.len() == 10 && text.chars().all(|c| c.is_ascii_digit() || c == '-');
        is_date.then(|| text.replace('-', "").parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_from_goals() {
        for (words, want) in [
            ("largest total first", Some(Order::Falling)),
            ("most errors first", Some(Order::Falling)),
            ("the cheapest room first", Some(Order::Rising)),
            ("sorted by age from young to old", Some(Order::Rising)),
            ("in alphabetical order", Some(Order::Alphabetical)),
            ("highest to lowest", Some(Order::Falling)),
            ("in descending order of price", Some(Order::Falling)),
            ("alphabetically, largest first", None),
            ("first read a.csv", None),
            ("the first three rows with the largest sums", None),
            ("the highest price", None),
            ("from Rome to Oslo", None),
        ] {
            assert_eq!(Order::read(words), want, "{words}");
        }
    }

    #[test]
    fn dates_and_prices_are_ordered_as_numbers() {
        let table = |cells: &[&str]| Table {
            columns: vec!["x".into()],
            rows: cells.iter().map(|&cell| vec![cell.into()]).collect(),
        };
        assert!(Order::Rising.holds(&table(&["2024-12-31", "2025-01-02"])));
        assert!(!Order::Rising.holds(&table(&["€1,200.50", "€90"])));
        assert!(Order::Falling.holds(&table(&["12", "9.5", "9.5"])));
        assert!(Order::Falling.holds(&table(&["no number", "at all"])));
    }
}
