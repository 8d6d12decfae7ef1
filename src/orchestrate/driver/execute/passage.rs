//! Which passages of documents speak of some questions: BM25 over paragraphs, each with its heading.
//!
//! Must not know: the engine, steps.

use crate::memory::rank::{self, Bag};
use crate::orchestrate::word;

/// How much long passages are held against their length.
const B: f64 = 0.6;
/// Words of a passage after which it may end.
const PIECE_WORDS: usize = 90;
/// Words that every question has.
const COMMON: &[&str] = &[
    "what", "which", "when", "where", "does", "must", "have", "that", "this", "with", "from", "there", "their", "they",
    "long", "much", "many", "the", "and", "for", "are", "how", "who", "why", "can", "you", "was", "has", "its",
];

/// A paragraph, or a piece of a long one.
pub struct Passage<'a> {
    file: &'a str,
    /// The headings that it stands under, the widest first.
    heading: String,
    /// Its own text.
    pub text: &'a str,
    words: Bag,
}

/// The passages of `documents`, names and texts, that fit into `budget` tokens, in their order in the documents. Every
/// question chooses in turn, its best passage first. `count` tells the tokens of a text.
pub fn choose(documents: &[(&str, &str)], questions: &[&str], budget: usize, count: impl Fn(&str) -> usize) -> String {
    let passages = of(documents);
    let mut ranked: Vec<std::vec::IntoIter<usize>> =
        questions.iter().map(|question| ranking(&passages, question).into_iter()).collect();
    if ranked.iter().all(|ranking| ranking.len() == 0) {
        ranked = vec![(0..passages.len()).collect::<Vec<_>>().into_iter()];
    }
    let mut kept = std::collections::BTreeSet::new();
    let mut left = budget;
    'full: loop {
        let mut any = false;
        for ranking in &mut ranked {
            let Some(next) = ranking.find(|idx| !kept.contains(idx)) else { continue };
            let n_tokens = count(&passages[next].shown());
            if n_tokens > left && !kept.is_empty() {
                break 'full;
            }
            left = left.saturating_sub(n_tokens);
            any |= kept.insert(next);
        }
        if !any {
            break;
        }
    }
    kept.into_iter().map(|idx| passages[idx].shown()).collect()
}

/// The passages of documents, names and texts.
pub fn of<'a>(documents: &[(&'a str, &'a str)]) -> Vec<Passage<'a>> {
    documents.iter().flat_map(|&(file, text)| split(file, text)).collect()
}

/// How much each passage speaks of what a question asks.
pub fn scores(passages: &[Passage<'_>], question: &str) -> Vec<f64> {
    let bags: Vec<&Bag> = passages.iter().map(|passage| &passage.words).collect();
    rank::scores(stems(question), &bags, B)
}

/// Documents by line, to look up where something stands.
pub struct Lines<'a>(Vec<Passage<'a>>);

impl<'a> Lines<'a> {
    /// The lines of `documents`, names and texts.
    pub fn of(documents: &[(&'a str, &'a str)]) -> Self {
        let by_line =
            |&(file, text): &(&'a str, &'a str)| text.lines().map(move |line| Passage::new(file, String::new(), line));
        Self(documents.iter().flat_map(by_line).collect())
    }

    /// The document and the line, counted from 1, that has most of what `text` says; `None` if nothing of it stands
    /// anywhere.
    pub fn source(&self, text: &str) -> Option<(String, usize)> {
        let best = *ranking(&self.0, text).first()?;
        let file = self.0[best].file;
        let line = self.0[..=best].iter().filter(|passage| passage.file == file).count();
        Some((file.to_owned(), line))
    }
}

impl<'a> Passage<'a> {
    fn new(file: &'a str, heading: String, text: &'a str) -> Self {
        let words = stems(&format!("{heading} {text}")).collect();
        Self { file, heading, text, words }
    }
}

impl Passage<'_> {
    fn shown(&self) -> String {
        let is_own = self.heading.lines().last().is_some_and(|last| self.text.starts_with(last));
        let heading = if is_own { "" } else { self.heading.as_str() };
        format!("[{}] {heading}\n{}\n\n", self.file, self.text)
    }
}

fn split<'a>(file: &'a str, text: &'a str) -> Vec<Passage<'a>> {
    let level = |line: &str| line.chars().take_while(|c| *c == '#').count();
    let mut headings: Vec<&str> = Vec::new();
    let mut passages = Vec::new();
    for paragraph in text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty()) {
        for line in paragraph.lines().filter(|line| line.starts_with('#')) {
            headings.retain(|heading| level(heading) < level(line));
            headings.push(line);
        }
        if headings.last() == Some(&paragraph) {
            continue;
        }
        let heading = headings.join("\n");
        passages.extend(pieces(paragraph).into_iter().map(|text| Passage::new(file, heading.clone(), text)));
    }
    passages
}

/// A paragraph that is too long to be read for one of its sentences, cut at the ends of lines and sentences.
fn pieces(paragraph: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut start, mut n_words) = (0, 0);
    let ends = paragraph.char_indices().filter(|(_, c)| c.is_whitespace()).map(|(at, _)| at);
    for at in ends.chain([paragraph.len()]) {
        n_words += 1;
        let is_end = paragraph[..at].ends_with(['.', '!', '?']) || paragraph[at..].starts_with('\n');
        if at == paragraph.len() || (n_words >= PIECE_WORDS && is_end) || n_words >= 2 * PIECE_WORDS {
            pieces.push(paragraph[start..at].trim());
            (start, n_words) = (at, 0);
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// The passages, the one that speaks most of the question first; those without any word of it are left out.
fn ranking(passages: &[Passage<'_>], question: &str) -> Vec<usize> {
    let bags: Vec<&Bag> = passages.iter().map(|passage| &passage.words).collect();
    rank::ranking(stems(question), &bags, B)
}

fn stems(text: &str) -> impl Iterator<Item = String> {
    let says = |word: &str| word.chars().count() > 2 || word.starts_with(|c: char| c.is_ascii_digit());
    word::words(text).filter(move |word| says(word) && !COMMON.contains(&word.as_str())).map(|word| word::root(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_gets_its_best_passages_in_the_order_of_the_documents() {
        let handbook = "# Leave\n\nEveryone has 28 days of leave.\n\n# Keys\n\nLost keys cost 40 euro.\n\n# Pets\n\nDogs need a permit.";
        let documents = [("h.md", handbook), ("b.md", "Bikes stand in the cellar.")];
        let choose =
            |questions: &[&str], budget| choose(&documents, questions, budget, |text| text.split_whitespace().count());
        let both = choose(&["What does a lost key cost?", "How many days of leave are there?"], 20);
        assert_eq!(
            both,
            "[h.md] # Leave\nEveryone has 28 days of leave.\n\n[h.md] # Keys\nLost keys cost 40 euro.\n\n"
        );
        assert_eq!(choose(&["Who permits dogs?"], 5), "[h.md] # Pets\nDogs need a permit.\n\n", "one at least");
        assert!(choose(&["xylophone"], 10).starts_with("[h.md] # Leave"), "the beginning where nothing fits");
    }

    #[test]
    fn the_line_that_an_answer_comes_from_is_found() {
        let documents = [
            ("a.md", "# Hours\n\nOpen from 9.\nClosed in August."),
            ("b.md", "Visits cost 7 euro.\nThe key is with Ada Dahl."),
        ];
        let lines = Lines::of(&documents);
        let source = |text: &str| lines.source(text);
        assert_eq!(source("Ada Dahl keeps the key."), Some(("b.md".to_owned(), 2)));
        assert_eq!(source("It is closed in August."), Some(("a.md".to_owned(), 4)));
        assert_eq!(source("It is 9."), Some(("a.md".to_owned(), 3)), "figures are words");
        assert_eq!(source("Nothing."), None);
    }

    #[test]
    fn long_paragraphs_are_cut_at_the_ends_of_sentences() {
        let sentence = "one two three four five six seven eight nine ten. ";
        let long = sentence.repeat(30);
        let pieces = pieces(long.trim());
        assert_eq!(pieces.iter().map(|piece| piece.split_whitespace().count()).collect::<Vec<_>>(), [90, 90, 90, 30]);
        assert_eq!(super::pieces("short"), ["short"]);
    }
}
