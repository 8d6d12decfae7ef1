//! The words of goals, tasks and documents, as code compares them.
//!
//! Must not know: what the words mean.

/// Letters of a word that are compared where its forms are to meet.
const STEM: usize = 6;

/// The words of a text, in order, in lower case.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// The sentences of a text as words with their marks; a full stop inside a file name ends nothing, a blank line and an item
/// of a list do.
pub fn sentences(text: &str) -> Vec<Vec<&str>> {
    let mut sentences = vec![Vec::new()];
    for line in text.lines() {
        let mut words = line.split_whitespace().peekable();
        if words.peek().is_none_or(|first| is_marker(first)) {
            sentences.push(Vec::new());
        }
        for word in words {
            sentences.last_mut().expect("there is always a sentence").push(word);
            if word.ends_with(['.', '!', '?', ';']) && !is_marker(word) && !is_short_form(word) {
                sentences.push(Vec::new());
            }
        }
    }
    sentences
}

/// Whether a word ends with the full stop of a short form, and no sentence.
fn is_short_form(word: &str) -> bool {
    ["max.", "min.", "approx.", "incl.", "e.g.", "i.e.", "mr.", "mrs.", "ms.", "dr.", "vs."]
        .contains(&word.trim_start_matches('(').to_lowercase().as_str())
}

/// A word in small letters without its marks.
pub fn plain(word: &str) -> String {
    word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase()
}

/// Whether a word marks an item of a list, as `2)`, `b.` or a dash do.
pub fn is_marker(word: &str) -> bool {
    let bare = word.trim_start_matches('(').trim_end_matches([')', '.', ':']);
    // "it." and "me)" end sentences.
    let is_short = bare.len() == 1 || bare.chars().all(|c| c.is_ascii_digit());
    let is_number = bare.len() < word.len() && bare.len() <= 2 && is_short && bare.chars().all(char::is_alphanumeric);
    // "Q1", "Q2:"
    let is_question = bare
        .strip_prefix(['Q', 'q'])
        .is_some_and(|number| (1..=2).contains(&number.len()) && number.chars().all(|c| c.is_ascii_digit()));
    ["-", "*", "•", "–"].contains(&word) || (is_number && !bare.is_empty()) || is_question
}

/// The items of the list that a text has, without their marks; a list has two at least.
pub fn items(text: &str) -> Vec<&str> {
    let item = |line: &'_ str| -> Option<(usize, usize)> {
        let start = line.len() - line.trim_start().len();
        let marker = line[start..].split_whitespace().next().filter(|word| is_marker(word))?;
        Some((start + marker.len(), line.len()))
    };
    let items: Vec<&str> =
        text.lines().filter_map(|line| item(line).map(|(start, end)| line[start..end].trim())).collect();
    if items.len() > 1 { items } else { Vec::new() }
}

/// The numbers that stand in a text in digits.
pub fn numbers(text: &str) -> Vec<f64> {
    let parts = text.split(|c: char| !c.is_ascii_digit() && c != '.').map(|part| part.trim_matches('.'));
    parts.filter_map(|part| part.parse().ok()).collect()
}

/// Whether a word can be a superlative, as "highest" is.
pub fn is_superlative(word: &str) -> bool {
    word.len() > 4 && word.ends_with("est")
}

/// The beginning of a word, which its forms have in common.
pub fn stem(word: &str) -> String {
    word.chars().take(STEM).collect()
}

/// Whether one of `wanted` is among the words.
pub fn has(words: &[String], wanted: &[&str]) -> bool {
    words.iter().any(|word| wanted.contains(&word.as_str()))
}
