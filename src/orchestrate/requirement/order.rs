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
    "recent",
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
/// Words among them that speak of time: they order dates, and nothing else.
const TIMES: &[&str] = &["earliest", "latest", "newest", "recent"];
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
    /// By a date or a time of day, the latest first.
    Latest,
    /// By a date or a time of day, the earliest first.
    Earliest,
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
            Self::Latest => "from the latest to the earliest",
            Self::Earliest => "from the earliest to the latest",
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
            Self::Latest | Self::Earliest => cells(*column).all(|cell| time(&cell_text(cell)).is_some()),
        };
        (0..table.columns.len()).filter(fits).collect()
    }

    fn compare(&self, one: &[Json], other: &[Json], column: usize) -> Ordering {
        let (Some(one), Some(other)) = (one.get(column), other.get(column)) else { return Ordering::Equal };
        let by_number = || number(one).partial_cmp(&number(other)).unwrap_or(Ordering::Equal);
        match self {
            Self::Alphabetical => cell_text(one).to_lowercase().cmp(&cell_text(other).to_lowercase()),
            Self::Rising | Self::Earliest => by_number(),
            Self::Falling | Self::Latest => by_number().reverse(),
        }
    }
}

/// The order that is asked for with the `i`-th word.
fn at(words: &[String], i: usize) -> Option<Order> {
    let of = |word: &str| match word {
        _ if TIMES.contains(&word) && MUCH.contains(&word) => Some(Order::Latest),
        _ if TIMES.contains(&word) => Some(Order::Earliest),
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
    text.replace(',', "").parse().ok().or_else(|| time(text))
}

/// A date, a month, a date with a time, or a time of day as the number of its digits, which orders those of one form.
fn time(text: &str) -> Option<f64> {
    let form: String = text.trim().chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let is_time = ["0000-00", "0000-00-00", "00:00", "00:00:00"].contains(&form.as_str())
        || (form.starts_with("0000-00-00") && form.chars().all(|c| "0-: T.Z".contains(c)));
    let digits = || text.chars().filter(char::is_ascii_digit).collect::<String>().parse().ok();
    is_time.then(digits).flatten()
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
            ("earliest month first", Some(Order::Earliest)),
            ("most recent first", Some(Order::Latest)),
            ("the first three rows with the largest sums", None),
            ("the highest price", None),
            ("from Rome to Oslo", None),
        ] {
            assert_eq!(Order::read(words), want, "{words}");
        }
    }

    #[test]
    fn what_is_to_be_in_order_of_time_is_not_put_in_order_of_anything_else() {
        let rows = [["2025-01", "9"], ["2025-02", "5"]].map(|row| row.map(serde_json::Value::from).to_vec()).to_vec();
        let mut table = Table { columns: vec!["month".into(), "sum".into()], rows };
        assert!(Order::Earliest.holds(&table) && !Order::Latest.holds(&table));
        Order::Latest.sort(&mut table);
        assert_eq!(table.rows[0][0], "2025-02");
        let names = Table { columns: vec!["month".into()], rows: vec![vec!["May".into()], vec!["April".into()]] };
        assert!(Order::Earliest.holds(&names), "what cannot be told passes");
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
