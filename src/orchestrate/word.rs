//! The words of goals, tasks and documents, as code compares them.
//!
//! Must not know: what the words mean.

/// Letters of a word that are compared where its forms are to meet.
const STEM: usize = 6;

/// The words of a text, in order, in lower case.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// The beginning of a word, which its forms have in common.
pub fn stem(word: &str) -> String {
    word.chars().take(STEM).collect()
}

/// Whether one of `wanted` is among the words.
pub fn has(words: &[String], wanted: &[&str]) -> bool {
    words.iter().any(|word| wanted.contains(&word.as_str()))
}
