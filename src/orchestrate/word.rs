//! The words of goals, tasks and documents, as code compares them.
//!
//! Must not know: what the words mean.

/// Letters of a word that are compared where its forms are to meet.
const STEM: usize = 6;

/// The words of a text, in order, in lower case.
pub fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase)
}

/// The sentences of a text as words with their marks; a full stop inside a file name ends nothing.
pub fn sentences(text: &str) -> Vec<Vec<&str>> {
    let mut sentences = vec![Vec::new()];
    for word in text.split_whitespace() {
        sentences.last_mut().expect("there is always a sentence").push(word);
        if word.ends_with(['.', '!', '?', ';']) {
            sentences.push(Vec::new());
        }
    }
    sentences
}

/// The beginning of a word, which its forms have in common.
pub fn stem(word: &str) -> String {
    word.chars().take(STEM).collect()
}

/// Whether one of `wanted` is among the words.
pub fn has(words: &[String], wanted: &[&str]) -> bool {
    words.iter().any(|word| wanted.contains(&word.as_str()))
}
