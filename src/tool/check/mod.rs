//! What code can say about a written file without reading it as a person does: whether it is what its
//! name says, how much of something it holds, which words it lacks.
//!
//! Pure. The checks look at form only; a text that passes them may still be wrong.
//! Must not know: the workspace, goals, models.

#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::format::{Format, detect, parse};
use super::table::markdown;
use super::{Error, Value};

/// What can be counted in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Lines that are not blank.
    Line,
    /// Lines that start with a bullet, at any depth.
    Bullet,
    /// Lines that start with a number and a point or bracket.
    NumberedItem,
    /// Runs of characters between blanks that hold a letter or digit.
    Word,
    /// Sentences of prose; headings and the marks of lists and tables are not counted.
    Sentence,
    /// Blocks of lines between blank lines, and items of lists; headings and tables are not counted.
    Paragraph,
    /// Characters, the final line break not counted.
    Character,
}

impl Unit {
    /// How many there are in `text`.
    pub fn count(self, text: &str) -> usize {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        match self {
            Self::Line => lines.count(),
            Self::Bullet => lines.filter(|line| bullet(line).is_some()).count(),
            Self::NumberedItem => lines.filter(|line| numbered(line).is_some()).count(),
            Self::Word => text.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)).count(),
            Self::Sentence => prose(text).iter().map(|block| n_sentences(block)).sum(),
            Self::Paragraph => prose(text).len(),
            Self::Character => text.trim_end_matches(['\n', '\r']).chars().count(),
        }
    }
}

/// The line without its bullet.
fn bullet(line: &str) -> Option<&str> {
    ["- ", "* ", "+ ", "• "].iter().find_map(|mark| line.strip_prefix(mark))
}

/// The line without its number.
fn numbered(line: &str) -> Option<&str> {
    let n_digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let rest = &line[n_digits..];
    (1..=3).contains(&n_digits).then(|| rest.strip_prefix(". ").or_else(|| rest.strip_prefix(") "))).flatten()
}

/// The paragraphs and list items of a text, each on one line, without headings, rules and tables.
fn prose(text: &str) -> Vec<String> {
    let mut blocks: Vec<String> = vec![String::new()];
    for line in text.lines().map(str::trim) {
        let is_heading = line.starts_with('#') && line.trim_start_matches('#').starts_with(' ');
        let is_rule = line.len() >= 3 && line.chars().all(|c| matches!(c, '-' | '=' | '*' | '_'));
        let item = bullet(line).or_else(|| numbered(line));
        let breaks = line.is_empty() || is_heading || is_rule || line.starts_with('|') || line.starts_with("```");
        if breaks || item.is_some() {
            blocks.push(String::new());
        }
        if !breaks && let Some(block) = blocks.last_mut() {
            *block += item.unwrap_or(line);
            block.push(' ');
        }
    }
    blocks.retain(|block| !block.trim().is_empty());
    blocks
}

/// Where a sentence may end: its mark, closing quotes or brackets, and a blank or the end.
static SENTENCE_END: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"[.!?…。！？]+["'”’»)\]*_]*(\s+|$)"#).expect("the expression is fixed"));

/// Words before a point that ends no sentence.
const ABBREVIATIONS: [&str; 24] = [
    "mr", "mrs", "ms", "dr", "prof", "st", "no", "nr", "vs", "etc", "e.g", "i.e", "z.b", "d.h", "ca", "approx", "jr",
    "sr", "inc", "ltd", "co", "fig", "vol", "p",
];

/// Sentences of one paragraph; what follows the last end mark counts as one.
fn n_sentences(block: &str) -> usize {
    let mut n_sentences = 0;
    let mut start = 0;
    for end in SENTENCE_END.find_iter(block) {
        let sentence = &block[start..end.start()];
        let next = block[end.end()..].chars().next();
        let is_inside =
            end.as_str().starts_with('.') && !end.as_str().starts_with("..") && is_abbreviated(sentence, next);
        if !is_inside && sentence.contains(char::is_alphanumeric) {
            n_sentences += 1;
            start = end.end();
        }
    }
    n_sentences + usize::from(block[start..].contains(char::is_alphanumeric))
}

/// Whether the point after `sentence` belongs to its last word: `e.g.`, `J.`, or more goes on in lower case.
fn is_abbreviated(sentence: &str, next: Option<char>) -> bool {
    let Some(next) = next else { return false };
    let word = sentence.rsplit([' ', '(', '"']).next().unwrap_or_default();
    let is_initial = word.chars().count() == 1 && word.chars().all(char::is_uppercase) && word != "I";
    // "etc. The" may end a sentence; "Dr. The…" does not begin one.
    let may_end = matches!(word.to_lowercase().as_str(), "etc" | "inc" | "ltd" | "co" | "no" | "p");
    let is_known = ABBREVIATIONS.contains(&word.to_lowercase().as_str()) && !(may_end && next.is_uppercase());
    is_initial || is_known || next.is_lowercase()
}

/// The rows of the data in a file, as its name says what it is: records without header, items of an array
/// or of the one array in an object, keys of an object, rows of the first Markdown table. `None` if it holds no rows.
pub fn n_rows(path: &str, text: &str) -> Option<usize> {
    let value = parse(text, detect(path)?).ok()?.value;
    match value {
        Value::Table(table) => Some(table.rows.len()),
        Value::Json(Json::Array(items)) => Some(items.len()),
        Value::Json(Json::Object(fields)) => match fields.values().collect::<Vec<_>>()[..] {
            [Json::Array(items)] => Some(items.len()),
            _ => Some(fields.len()),
        },
        Value::Json(_) | Value::Text(_) => None,
    }
}

/// Those of `words` that `text` does not hold as whole words or phrases, whatever their case.
pub fn missing_words<'a>(text: &str, words: &[&'a str]) -> Vec<&'a str> {
    let found = |word: &str| {
        let parts: Vec<String> = word.split_whitespace().map(regex::escape).collect();
        let pattern = format!(r"(?i)\b{{start-half}}{}\b{{end-half}}", parts.join(r"\s+"));
        parts.is_empty() || Regex::new(&pattern).is_ok_and(|regex| regex.is_match(text))
    };
    words.iter().copied().filter(|word| !found(word)).collect()
}

/// What is wrong with the form of a file, in one sentence; `None` if it is what its name says.
pub fn problem(path: &str, text: &str) -> Option<String> {
    if text.trim().is_empty() {
        return Some(format!("{path} is empty"));
    }
    let found = match detect(path) {
        Some(format @ (Format::Csv | Format::Tsv)) => uneven_rows(text, format),
        Some(Format::MarkdownTable) => fenced(text).or_else(|| broken_markdown(text)),
        Some(Format::Text) => fenced(text),
        Some(format) => parse(text, format).err().map(|error| match error {
            Error::Arguments(problem) => problem.replace("the file is ", ""),
            other => other.to_string(),
        }),
        None => None,
    };
    found.map(|problem| format!("{path}: {problem}"))
}

/// A program that reads the file expects the same cells in every row.
fn uneven_rows(text: &str, format: Format) -> Option<String> {
    if text.bytes().filter(|&byte| byte == b'"').count() % 2 == 1 {
        return Some("a quotation mark is never closed".to_owned());
    }
    let parsed = match parse(text, format) {
        Ok(parsed) => parsed,
        Err(error) => return Some(error.to_string()),
    };
    let uneven = parsed.notes.into_iter().find(|note| note.starts_with("line ") && note.contains(", expected "));
    uneven.map(|note| note.split_once(": ").map_or(note.clone(), |(head, _)| head.to_owned()))
}

/// Models like to put a whole file into a code fence.
fn fenced(text: &str) -> Option<String> {
    let text = text.trim();
    let is_fenced = text.starts_with("```") && text.ends_with("```") && text.matches("```").count() == 2;
    is_fenced.then(|| "the whole text stands in a code fence".to_owned())
}

fn broken_markdown(text: &str) -> Option<String> {
    let lines: Vec<&str> = text.lines().collect();
    if lines.iter().filter(|line| line.trim_start().starts_with("```")).count() % 2 == 1 {
        return Some("a code fence is never closed".to_owned());
    }
    let mut start = 0;
    while let Some(header) = markdown::header(&lines[start..]).map(|header| start + header) {
        let n_columns = markdown::split(lines[header]).len();
        let mut at = header + 2;
        while at < lines.len() && lines[at].contains('|') {
            let n_cells = markdown::split(lines[at]).len();
            if n_cells != n_columns {
                return Some(format!("line {} of its table has {n_cells} cells, expected {n_columns}", at + 1));
            }
            at += 1;
        }
        start = at;
    }
    None
}
