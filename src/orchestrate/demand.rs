//! Demands on a text that code can read from a goal and check: its number of lines, sentences, words,
//! paragraphs, and words that have to appear.
//!
//! Must not know: the engine, steps, the workspace.

use super::word::{has, words};
use crate::tool::format::Format;

/// The unit of a count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Line,
    Sentence,
    Paragraph,
    Word,
    Bullet,
}

/// How a count is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    Exactly,
    AtMost,
    AtLeast,
    /// An order of magnitude, as in "in 50 words": checked as a generous upper bound.
    About,
}

/// What a text has to satisfy.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Demand {
    counts: Vec<(Bound, usize, Unit)>,
    words: Vec<String>,
}

const NUMBERS: &[&str] = &[
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
];

/// Rows of a CSV text that are looked at.
const MAX_CSV_ROWS: usize = 10_000;
/// A file with more words is a text, not a list of words.
const MAX_LISTED_WORDS: usize = 40;

/// Demands that stand in the task of a step, and words listed in an input that the task or goal says have
/// to appear. `inputs` are names and texts.
pub fn read(task: &str, goal: &str, inputs: &[(&str, &str)]) -> Demand {
    let words: Vec<String> = words(task).collect();
    let mut counts = Vec::new();
    for (i, pair) in words.windows(2).enumerate() {
        let (Some(n), Some(unit)) = (counted(&pair[0]), unit(&pair[1])) else { continue };
        let before = words[i.saturating_sub(3)..i].join(" ");
        if before.ends_with("first") || before.ends_with("last") {
            continue;
        }
        match from(&words[..i]) {
            Some(least) => counts.extend([(Bound::AtLeast, least, unit), (Bound::AtMost, n, unit)]),
            None => counts.push((bound(&before, unit), n, unit)),
        }
    }
    Demand { counts, words: listed_words(task, goal, inputs) }
}

/// The lower end of a range of which the upper one follows: "80 to", "between 80 and", "80-".
fn from(before: &[String]) -> Option<usize> {
    match before {
        [.., least, to] if to == "to" => number(least),
        [.., between, least, and] if between == "between" && and == "and" => number(least),
        [.., least] if least.chars().all(|c| c.is_ascii_digit()) => number(least),
        _ => None,
    }
}

/// Counts that a goal's words about one file state of its whole text, and not of parts or items of it.
pub fn of_whole(text: &str) -> Demand {
    // "a one-sentence reason" is a part of the text.
    let is_letter = |c: Option<char>| c.is_some_and(char::is_alphabetic);
    let joins = |at: usize| is_letter(text[..at].chars().next_back()) && is_letter(text[at + 1..].chars().next());
    let text: String = text.char_indices().filter(|(at, c)| *c != '-' || !joins(*at)).map(|(_, c)| c).collect();
    // "a short paragraph" is one as well.
    let adjectives = ["short", "brief", "little", "small", "plain"];
    let text = adjectives.iter().fold(text, |text, adjective| {
        text.replace(&format!("a {adjective} paragraph"), "one paragraph").replace(&format!("{adjective} "), "")
    });
    let words: Vec<String> = words(&text).collect();
    // "with every one of the words" speaks of no item.
    let is_of_words = |i: usize| words[i + 1..].iter().take(4).any(|word| ["word", "words"].contains(&word.as_str()));
    let is_of_items = |i: usize| ["each", "every", "per", "apiece"].contains(&words[i].as_str()) && !is_of_words(i);
    if (0..words.len()).any(is_of_items) {
        return Demand::default();
    }
    let mut demand = read(&text, "", &[]);
    demand.counts.retain(|(bound, n, unit)| *bound != Bound::Exactly || is_of_text(&words, *n, unit.name()));
    demand
}

/// Whether "of exactly four lines", "in two sentences" or the like stands there, and not "with two lines of …".
fn is_of_text(words: &[String], n: usize, unit: &str) -> bool {
    words.windows(2).enumerate().any(|(i, pair)| {
        let before = words[..i].last().map_or("", String::as_str);
        // "put a paragraph about it": a text is made of paragraphs.
        let is_whole = ["of", "in", "exactly"].contains(&before) || unit == "paragraph";
        counted(&pair[0]) == Some(n) && pair[1].trim_end_matches('s') == unit && is_whole
    })
}

/// The number of decimals that a goal wants figures rounded to, if it says so.
pub fn decimals(text: &str) -> Option<i32> {
    let words: Vec<String> = words(text).collect();
    let speaks = words.iter().any(|word| word.starts_with("round") || word == "decimals" || word == "decimal");
    let place = |word: &str| word.starts_with("decimal") || word == "places" || word == "digits";
    let counted = words.windows(2).find(|pair| place(&pair[1])).and_then(|pair| number(&pair[0]));
    let unit =
        words.windows(2).find(|pair| pair[0] == "to" && ["cents", "cent"].contains(&pair[1].as_str())).map(|_| 2);
    speaks.then_some(counted.or(unit)).flatten().and_then(|n| i32::try_from(n).ok()).filter(|n| *n <= 10)
}

/// Whether a goal asks to treat words as the same that differ in upper and lower case only.
pub fn ignores_case(text: &str) -> bool {
    if quotes_one_word_twice(text) || shows_spellings(text) {
        return true;
    }
    let text = text.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    has(&["capital", "upper", "lower case", "lower-case", "lowercase", "spelling", "spelled", "spelt"])
        && has(&["same", "ignor", "regardless", "different", "irrespective", "no matter", "together", "insensitive"])
        || text.contains("case-insensitive")
}

/// Whether a text quotes two words that differ in upper and lower case only: they are examples of what is the same.
fn quotes_one_word_twice(text: &str) -> bool {
    let quoted: Vec<&str> = text.split(['"', '“', '”', '\'', '‘', '’']).map(str::trim).collect();
    let same = |one: &str, other: &str| one != other && one.to_lowercase() == other.to_lowercase();
    quoted.iter().enumerate().any(|(i, one)| !one.is_empty() && quoted[i + 1..].iter().any(|other| same(one, other)))
}

/// Whether a text lists one word in several spellings, one of them in capitals: "DRAMA, Drama and drama are all one".
fn shows_spellings(text: &str) -> bool {
    const NEAR: usize = 3;
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).filter(|word| word.len() > 2).collect();
    let is_loud = |word: &str| word.chars().all(char::is_uppercase);
    let same = |one: &str, other: &str| one != other && one.to_lowercase() == other.to_lowercase();
    words.iter().enumerate().any(|(i, one)| {
        let mut near = words[i + 1..].iter().take(NEAR);
        near.any(|other| same(one, other) && (is_loud(one) || is_loud(other)))
    })
}

/// Whether a goal wants names in small letters.
pub fn wants_small_letters(text: &str) -> bool {
    let text = text.to_lowercase();
    ["in small letters", "in lower case", "in lower-case", "in lowercase"].iter().any(|phrase| text.contains(phrase))
}

/// The form of list that a goal's words ask for, if they do.
pub fn list_form(words: &str) -> Option<Format> {
    let words = words.to_lowercase();
    if words.contains("numbered") {
        Some(Format::NumberedList)
    } else if words.contains("bullet") {
        Some(Format::BulletList)
    } else {
        None
    }
}

/// Whether a goal wants one JSON object, from a key to a value each, and not a list of rows.
pub fn wants_object(goal: &str) -> bool {
    let words: Vec<String> = words(goal).collect();
    let is_one = |triple: &[String]| {
        ["one", "a", "single"].contains(&triple[0].as_str()) && triple[1] == "json" && triple[2] == "object"
    };
    words.windows(3).any(is_one) && has(&words, &["from", "mapping", "maps", "keys", "key", "keyed"])
}

/// What is wrong with a text that is to be a CSV file: rows of different lengths, or no header where the goal speaks of one.
pub fn csv_fault(text: &str, goal: &str) -> Option<String> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
    let rows: Vec<csv::StringRecord> = reader.records().take(MAX_CSV_ROWS).filter_map(Result::ok).collect();
    let first = rows.first()?;
    if let Some((i, row)) = rows.iter().enumerate().find(|(_, row)| row.len() != first.len()) {
        return Some(format!("row {} has {} fields, the first row has {}", i + 1, row.len(), first.len()));
    }
    let wants_header = words(goal).any(|word| word.starts_with("header"));
    let is_number = |cell: &str| cell.trim().parse::<f64>().is_ok();
    (wants_header && first.iter().any(is_number))
        .then(|| "its first row has to be the header, the names of the columns".into())
}

/// The number that a word spells, in digits or letters.
pub fn number(word: &str) -> Option<usize> {
    let word = word.to_lowercase();
    let n = word.parse().ok().or_else(|| NUMBERS.iter().position(|&name| name == word))?;
    (1..=2000).contains(&n).then_some(n)
}

/// Whether a word begins with a digit or spells a number.
pub fn is_number(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_digit()) || number(word).is_some()
}

/// As [`number`], and 1 for "a single".
fn counted(word: &str) -> Option<usize> {
    if word == "single" { Some(1) } else { number(word) }
}

fn unit(word: &str) -> Option<Unit> {
    Some(match word.trim_end_matches('s') {
        "line" | "verse" => Unit::Line,
        "sentence" => Unit::Sentence,
        "paragraph" => Unit::Paragraph,
        "word" => Unit::Word,
        "bullet" => Unit::Bullet,
        _ => return None,
    })
}

fn bound(before: &str, unit: Unit) -> Bound {
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| before.ends_with(phrase));
    if says(&["at most", "no more than", "up to", "under", "below", "fewer than", "less than", "maximum"]) {
        Bound::AtMost
    } else if says(&["at least", "more than", "over", "minimum"]) {
        Bound::AtLeast
    } else if unit == Unit::Word && !says(&["exactly"]) {
        Bound::About
    } else {
        Bound::Exactly
    }
}

/// Words of an input that is a mere list, if task or goal says that its words have to appear.
fn listed_words(task: &str, goal: &str, inputs: &[(&str, &str)]) -> Vec<String> {
    let all = format!("{task} {goal}").to_lowercase();
    let speaks = ["words", "terms", "keywords", "names"].iter().any(|word| all.contains(word));
    let of_all = ["each", "all", "every", "contain", "include", "appear", "using the", "with the"]
        .iter()
        .any(|w| all.contains(w));
    if !speaks || !of_all {
        return Vec::new();
    }
    let list = inputs.iter().find(|(name, text)| {
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        !name.starts_with('$')
            && (2..=MAX_LISTED_WORDS).contains(&lines.len())
            && lines.iter().all(|line| line.split_whitespace().count() <= 2)
    });
    let clean = |line: &str| line.trim().trim_start_matches(['-', '*', '•']).trim().trim_matches([',', '.']).to_owned();
    list.map(|(_, text)| text.lines().map(clean).filter(|word| !word.is_empty()).collect()).unwrap_or_default()
}

impl Demand {
    /// Whether it says how much of something the text has.
    pub fn has_counts(&self) -> bool {
        !self.counts.is_empty()
    }

    /// Takes the counts of another.
    pub fn take_counts(&mut self, other: Self) {
        self.counts = other.counts;
    }

    /// Whether nothing is demanded.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.words.is_empty()
    }

    /// The demands for a prompt, one a line.
    pub fn in_words(&self) -> String {
        let mut text = String::new();
        for (bound, n, unit) in &self.counts {
            let bound = match bound {
                Bound::Exactly => "exactly",
                Bound::AtMost => "at most",
                Bound::AtLeast => "at least",
                Bound::About => "about",
            };
            text.push_str(&format!("It has {bound} {n} {}s.\n", unit.name()));
        }
        if !self.words.is_empty() {
            text.push_str(&format!("Every one of these words appears in it: {}.\n", self.words.join(", ")));
        }
        text
    }

    /// What a writer should aim at to meet the demands: small models count badly and run over.
    pub fn advice(&self) -> String {
        let most = self.counts.iter().find(|(bound, _, unit)| *bound == Bound::AtMost && *unit == Unit::Word);
        most.map_or_else(String::new, |(_, n, _)| format!("Aim at {} words.\n", n * 7 / 10))
    }

    /// The most words that the text may have, if that is bounded.
    fn most_words(&self) -> Option<usize> {
        let most = self.counts.iter().filter(|(bound, _, unit)| *bound != Bound::AtLeast && *unit == Unit::Word);
        most.map(|(_, n, _)| *n).min()
    }

    /// A regular expression that enforces what a grammar can: an exact number of lines or paragraphs, or one sentence's
    /// single line. A paragraph gets its share of the words.
    pub fn regex(&self) -> Option<String> {
        let lines = self.counts.iter().find(|(bound, _, unit)| *bound == Bound::Exactly && *unit == Unit::Line);
        if let Some((_, n, _)) = lines {
            let line = r"[^\n]{8,180}";
            return Some(if *n == 1 { line.to_owned() } else { format!(r"({line}\n){{{}}}{line}", n - 1) });
        }
        let paragraphs =
            self.counts.iter().find(|(bound, n, unit)| *bound == Bound::Exactly && *unit == Unit::Paragraph && *n > 1);
        if let Some((_, n, _)) = paragraphs {
            /// Characters of a word with the blank behind it, in the middle.
            const PER_WORD: usize = 6;
            let most = self.most_words().map_or(900, |words| (words * PER_WORD / n).clamp(60, 900));
            let paragraph = format!(r"[^\n]{{30,{most}}}");
            return Some(format!(r"({paragraph}\n\n){{{}}}{paragraph}", n - 1));
        }
        let one = |unit| self.counts.contains(&(Bound::Exactly, 1, unit));
        // No heading, which would take the one line that there is.
        let of_length = |least: usize| format!(r"[^\n#*_ `>~|-][^\n]{{{least},900}}");
        let paragraph = || one(Unit::Paragraph).then(|| of_length(60));
        one(Unit::Sentence).then(|| of_length(8)).or_else(paragraph)
    }

    /// What the text lacks, in words.
    pub fn faults(&self, text: &str) -> Vec<String> {
        let mut faults = Vec::new();
        for (bound, n, unit) in &self.counts {
            let found = unit.count(text);
            let is_met = match bound {
                Bound::Exactly => found == *n,
                Bound::About => found * 10 <= n * 12,
                Bound::AtMost => found <= *n,
                Bound::AtLeast => found >= *n,
            };
            if !is_met {
                faults.push(format!("it has {found} {}s, wanted {n}", unit.name()));
            }
        }
        let there = text.to_lowercase();
        let missing: Vec<&str> =
            self.words.iter().filter(|word| !there.contains(&word.to_lowercase())).map(String::as_str).collect();
        if !missing.is_empty() {
            faults.push(format!("these words are missing: {}", missing.join(", ")));
        }
        faults
    }
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Line => "line",
            Self::Sentence => "sentence",
            Self::Paragraph => "paragraph",
            Self::Word => "word",
            Self::Bullet => "bullet",
        }
    }

    fn count(self, text: &str) -> usize {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        match self {
            Self::Line => lines.count(),
            Self::Bullet => lines.filter(|line| line.starts_with(['-', '*', '•'])).count(),
            Self::Paragraph => text.split("\n\n").filter(|part| !part.trim().is_empty()).count(),
            Self::Word => text.split_whitespace().count(),
            Self::Sentence => {
                let ends = text.trim().char_indices().filter(|(i, c)| {
                    let next = text.trim()[i + c.len_utf8()..].chars().next();
                    ".!?".contains(*c) && next.is_none_or(|next| next.is_whitespace() || "\"')”".contains(next))
                });
                ends.count().max(1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(task: &str, text: &str, want: &[&str]) {
        assert_eq!(read(task, "", &[]).faults(text), want, "{task}: {text}");
    }

    #[test]
    fn counts_are_read_from_tasks_and_checked() {
        check("a poem of exactly two lines", "a\nb", &[]);
        check("a poem of exactly three lines", "a\nb", &["it has 2 lines, wanted 3"]);
        check("a summary of one sentence", "It rained. We left.", &["it has 2 sentences, wanted 1"]);
        check("a summary of one sentence", "It cost 3.5 euro.", &[]);
        check("sum it up in a single sentence", "It rained. We left.", &["it has 2 sentences, wanted 1"]);
        check("a text of at most 3 words", "one two three four", &["it has 4 words, wanted 3"]);
        check("a text in 10 words", &"word ".repeat(12), &[]);
        check("read the first 2 lines", "x", &[]);
        check("write a letter", "anything", &[]);
    }

    #[test]
    fn what_is_the_same_and_what_is_an_object_is_read_from_goals() {
        for (goal, same, object) in [
            ("ignoring upper and lower case in the species", true, false),
            ("typed in different capitalisation, treat those as the same", true, false),
            ("typed carelessly, \"Sidamo\", \"SIDAMO \" and so on", true, false),
            ("it was noted sloppily, so DRAMA, Drama and drama are all one genre", true, false),
            ("names in upper case", false, false),
            ("the capital of France", false, false),
            ("save it as one JSON object from the species to its height", false, true),
            ("as one JSON object with the herbs as keys, please", false, true),
            ("save the rows as JSON", false, false),
        ] {
            assert_eq!((ignores_case(goal), wants_object(goal)), (same, object), "{goal}");
        }
    }

    #[test]
    fn csv_texts_have_equal_rows_and_the_header_that_was_asked_for() {
        for (text, goal, want) in [
            ("a,b\n1,2\n", "the good rows with the header", None),
            ("1,2\n3,4\n", "the good rows", None),
            (
                "1,2\n3,4\n",
                "the good rows with the header",
                Some("its first row has to be the header, the names of the columns"),
            ),
            ("a,b\n1,2,3\n", "", Some("row 2 has 3 fields, the first row has 2")),
            ("a,b\n\"1,5\",2\n", "", None),
            ("", "with a header", None),
        ] {
            assert_eq!(csv_fault(text, goal).as_deref(), want, "{text}");
        }
    }

    #[test]
    fn decimals_are_read_from_goals() {
        assert_eq!(decimals("rounded to one decimal"), Some(1));
        assert_eq!(decimals("give the mean to two decimals"), Some(2));
        assert_eq!(decimals("rounded to cents"), Some(2));
        assert_eq!(decimals("the two largest"), None);
    }

    #[test]
    fn paragraphs_are_counted_by_the_grammar() {
        let demand = of_whole("in exactly three paragraphs, between 100 and 250 words all together");
        assert_eq!(demand.regex().as_deref(), Some(r"([^\n]{30,500}\n\n){2}[^\n]{30,500}"));
    }

    #[test]
    fn a_range_has_two_ends() {
        for words in ["It should be 80 to 140 words long.", "80-140 words", "between 80 and 140 words"] {
            let demand = of_whole(words);
            assert_eq!(demand.in_words(), "It has at least 80 words.\nIt has at most 140 words.\n", "{words}");
        }
        assert_eq!(of_whole("put a single paragraph about it into m.md").in_words(), "It has exactly 1 paragraphs.\n");
        assert_eq!(of_whole("put a short paragraph in m.md on it").in_words(), "It has exactly 1 paragraphs.\n");
        assert_eq!(of_whole("a one-sentence reason in 2 lines").in_words(), "It has exactly 2 lines.\n");
    }

    #[test]
    fn listed_words_have_to_appear() {
        let inputs = [("w.txt", "moon\n- river\n")];
        let demand = read("a story with all the words", "", &inputs);
        assert_eq!(demand.faults("The Moon rose."), ["these words are missing: river"]);
        assert!(read("a story", "about a river", &inputs).is_empty());
    }
}
