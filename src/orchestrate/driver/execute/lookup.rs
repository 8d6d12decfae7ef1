//! Answers that take two steps through documents: one says which group somebody belongs to, "Group B: Paris, Lisbon",
//! another what holds for each group, "| B | 58 euro |". Small models read the wrong row, or none; code follows the names.
//!
//! Must not know: how answers are made, the engine.

use std::collections::BTreeSet;

use crate::orchestrate::word;

/// Words of the longest key of a row.
const MAX_KEY: usize = 4;
/// Letters of a key that is no word by itself: "B" is found in keys and cells only.
const SHORT: usize = 2;

/// A row that holds for what the goal names, found by way of another line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lookup {
    /// The place of the document that the row stands in.
    pub document: usize,
    /// The line that says where it belongs.
    by: String,
    /// What the row is found by.
    key: String,
    /// What the row is about, where it stands in a table with a head.
    title: String,
    /// What it says.
    value: String,
    /// What the other rows say.
    others: Vec<String>,
}

/// A line that begins with what it is about, or a row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Row<'a> {
    line: &'a str,
    cells: Vec<&'a str>,
}

/// Rows that stand together.
#[derive(Debug, Default)]
struct Block<'a> {
    document: usize,
    head: Vec<&'a str>,
    rows: Vec<Row<'a>>,
}

impl Lookup {
    /// Whether a question can be answered by the row: it asks for money and the row has it, or for the unit that stands
    /// there, or in the words of the table's head.
    pub fn is_asked_by(&self, question: &str) -> bool {
        let asked: Vec<String> = word::content(question).collect();
        let has = |word: &String| word::has_form(&asked, word);
        let asks_money = word::words(question).any(|word| word::is_money(&word));
        let has_money =
            word::words(&self.value).any(|word| word::is_money(&word)) || self.value.contains(['€', '$', '£']);
        let units: Vec<String> =
            word::content(&self.value).filter(|word| word.chars().all(char::is_alphabetic)).collect();
        let title: Vec<String> = word::content(&self.title).collect();
        let n_said = title.iter().filter(|word| has(word)).count();
        (asks_money && has_money)
            || (!has_money && units.iter().any(has))
            || (!title.is_empty() && n_said * 2 > title.len())
    }

    /// Whether an answer has a number of another row, and none of this one.
    pub fn is_missed(&self, answer: &str) -> bool {
        let has_any = |text: &str| word::numbers(text).iter().any(|number| word::numbers(answer).contains(number));
        !has_any(&self.value) && self.others.iter().any(|other| has_any(other))
    }

    /// What it says, for somebody who has to answer from it.
    pub fn hint(&self) -> String {
        format!("\"{}\", and for {}: {}", self.by, self.key, self.said())
    }

    /// What it says, by itself.
    pub fn said(&self) -> String {
        if self.title.is_empty() { self.value.clone() } else { format!("{}: {}", self.title, self.value) }
    }
}

/// The rows that hold for something which the goal names, one at most of every block of rows; where different words lead
/// to different rows of a block, those lead that stand in fewest lines.
pub fn of(documents: &[(&str, &str)], goal: &str) -> Vec<Lookup> {
    let lines: Vec<&str> = documents.iter().flat_map(|(_, text)| text.lines()).map(str::trim).collect();
    let blocks: Vec<Block<'_>> = documents.iter().enumerate().flat_map(|(at, (_, text))| blocks(at, text)).collect();
    let words: BTreeSet<String> = word::content(goal).filter(|word| word.chars().count() > 2).collect();
    // For every word of the goal the lines that have it.
    let said: Vec<Vec<String>> = lines.iter().map(|line| word::words(line).collect()).collect();
    let mut weights = vec![0.0; lines.len()];
    for word in &words {
        let with: Vec<usize> = (0..lines.len()).filter(|&line| word::has_form(&said[line], word)).collect();
        with.iter().for_each(|&line| weights[line] += 1.0 / with.len() as f64);
    }
    let is_way = |(line, weight): &(&str, f64)| *weight > 0.0 && !line.starts_with('#');
    let ways: Vec<(&str, f64)> = lines.into_iter().zip(weights).filter(is_way).collect();
    blocks.iter().filter_map(|block| block.lookup(&ways)).collect()
}

impl Block<'_> {
    /// The row that the weightiest of the lines `ways`, of those that lead to one row alone, leads to.
    fn lookup(&self, ways: &[(&str, f64)]) -> Option<Lookup> {
        let led = |line: &str| {
            let is_own = self.rows.iter().any(|row| row.line == line);
            let mut led = self.rows.iter().enumerate().filter(|(_, row)| !is_own && self.leads(line, row));
            led.next().filter(|_| led.next().is_none()).map(|(at, _)| at)
        };
        let mut found: Vec<(f64, usize, &str)> =
            ways.iter().filter_map(|&(line, weight)| Some((weight, led(line)?, line))).collect();
        found.sort_by(|a, b| b.0.total_cmp(&a.0));
        let &(weight, at, by) = found.first()?;
        if found.iter().any(|(other, row, _)| *row != at && *other >= weight) {
            return None;
        }
        let value = |row: &Row<'_>| row.cells[1..].join(", ");
        let others = (0..self.rows.len()).filter(|&other| other != at).map(|other| value(&self.rows[other]));
        Some(Lookup {
            document: self.document,
            by: unmarked(by).to_owned(),
            key: self.rows[at].cells[0].to_owned(),
            title: self.head.get(1..).unwrap_or_default().join(", "),
            value: value(&self.rows[at]),
            others: others.collect(),
        })
    }

    /// Whether a line names the row: it begins with the row's key, has it as a cell, or, where that is a word, has it
    /// anywhere.
    fn leads(&self, line: &str, row: &Row<'_>) -> bool {
        let own = self.own_words(row.cells[0]);
        let is_own = |text: &str| self.own_words(text) == own && !own.is_empty();
        let is_short = own.iter().any(|word| word.chars().count() <= SHORT);
        let cells = cells(line).unwrap_or_default();
        let begins =
            cells.first().is_some_and(|key| is_own(key)) || (cells.len() > 2 && cells.iter().any(|cell| is_own(cell)));
        // "students are Green members"
        let says: Vec<&str> = line.split(|c: char| !c.is_alphanumeric()).collect();
        begins || (!is_short && !own.is_empty() && own.iter().all(|word| says.contains(&word.as_str())))
    }

    /// The words of a key that not all keys have, nor the head of their column: of "Group B" the letter.
    fn own_words(&self, key: &str) -> Vec<String> {
        let keys: Vec<&str> = self.rows.iter().map(|row| row.cells[0]).collect();
        let split = |text: &str| -> Vec<String> {
            text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect()
        };
        let head = self.head.first().map(|head| split(&head.to_lowercase())).unwrap_or_default();
        let is_common = |word: &String| {
            head.contains(&word.to_lowercase()) || (keys.len() > 1 && keys.iter().all(|key| split(key).contains(word)))
        };
        split(key).into_iter().filter(|word| !is_common(word)).collect()
    }
}

/// The cells of a row of a table, or of "Key: value"; `None` of another line.
fn cells(line: &str) -> Option<Vec<&str>> {
    if let Some(row) = line.strip_prefix('|') {
        return Some(row.trim_end_matches('|').split('|').map(bare).collect())
            .filter(|cells: &Vec<&str>| cells.len() > 1);
    }
    let line = unmarked(line);
    let (key, value) = [": ", " – ", " - "].iter().find_map(|mark| line.split_once(mark))?;
    let is_key = (1..=MAX_KEY).contains(&key.split_whitespace().count());
    (is_key && !value.trim().is_empty()).then(|| vec![bare(key), bare(value)])
}

/// An item of a list without its mark.
fn unmarked(line: &str) -> &str {
    line.trim_start_matches(['-', '*', '•', ' '])
}

fn bare(cell: &str) -> &str {
    cell.trim_matches(|c: char| c.is_whitespace() || "*_`".contains(c))
}

/// The blocks of at least two rows of a text.
fn blocks(document: usize, text: &str) -> Vec<Block<'_>> {
    let new = || Block { document, ..Block::default() };
    let mut blocks = vec![new()];
    for line in text.lines().map(str::trim) {
        let is_rule = line.starts_with('|') && line.chars().all(|c| "|-: ".contains(c));
        let last = blocks.last_mut().expect("there is always a block");
        match cells(line) {
            // What stands above the rule is the head.
            _ if is_rule => last.head = last.rows.pop().map(|row| row.cells).unwrap_or_default(),
            Some(cells) => last.rows.push(Row { line, cells }),
            None => blocks.push(new()),
        }
    }
    blocks.retain(|block| block.rows.len() > 1);
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEMBERS: &str = "# Members\n\n- Blue members: everybody who earns\n- Green members: students, apprentices\n- White members: friends of the choir who do not sing";
    const DUES: &str = "# Dues\n\n| Kind | Dues per half-year |\n|---|---|\n| Blue | 96 euro |\n| Green | 54 euro |\n| White | 33 euro |\n";

    fn values(documents: &[(&str, &str)], goal: &str) -> Vec<String> {
        of(documents, goal).into_iter().map(|lookup| format!("{} {}", lookup.key, lookup.value)).collect()
    }

    #[test]
    fn a_row_is_found_by_way_of_the_line_that_says_where_something_belongs() {
        let documents = [("members.md", MEMBERS), ("dues.md", DUES), ("a.md", "The choir sings. A choir.")];
        assert_eq!(values(&documents, "I'm a student and joined the choir. What do I pay?"), ["Green 54 euro"]);
        assert_eq!(values(&documents, "What is there to eat?"), [""; 0]);
        let cities = "- Group A: Oslo, Bern\n- Group B: Paris, Lisbon\n- Group C: all others";
        let rates = "| Group | Per day |\n|---|---|\n| A | 72 euro |\n| B | 58 euro |\n| C | 41 euro |";
        assert_eq!(values(&[("c.md", cities), ("t.md", rates)], "A trip to Lisbon"), ["B 58 euro"]);
        let towns = "| Town | Zone | Since |\n|---|---|---|\n| Ely | C | 2020 |\n| Bath | A | 2021 |";
        assert_eq!(values(&[("z.md", towns), ("t.md", rates)], "A trip to Ely"), ["C 41 euro"]);
        let seasons = "- Peak: July and August\n- Middle: May, September";
        let prices = "Peak: 43 euro a night\nMiddle: 31 euro a night";
        assert_eq!(values(&[("s.md", seasons), ("p.md", prices)], "A week in September"), ["Middle 31 euro a night"]);
    }

    #[test]
    fn a_row_answers_what_its_table_is_about() {
        let documents = [("members.md", MEMBERS), ("dues.md", DUES)];
        let lookup = of(&documents, "I'm a student.").remove(0);
        assert!(lookup.is_asked_by("What do I pay per half-year?"));
        assert!(!lookup.is_asked_by("How many days before a concert do I have to say so?"));
        assert!(lookup.is_missed("It is 96 euro.") && !lookup.is_missed("It is 54 euro.") && !lookup.is_missed("No."));
        assert_eq!(
            lookup.hint(),
            "\"Green members: students, apprentices\", and for Green: Dues per half-year: 54 euro"
        );
        let loans = "| Class | Longest loan |\n|---|---|\n| Red | 12 weeks |\n| Amber | 26 weeks |";
        let lookup = of(&[("c.md", "- Amber: prints\n- Red: wax"), ("l.md", loans)], "Lend us a print").remove(0);
        assert!(lookup.is_asked_by("For how many weeks can it be lent?") && !lookup.is_asked_by("What does it cost?"));
    }
}
