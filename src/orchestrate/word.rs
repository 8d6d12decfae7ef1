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

/// The beginning of a word without the ending of a verb's form or a plural: "looked" and "looks" are one.
pub fn root(word: &str) -> String {
    const MIN_ROOT: usize = 3;
    let bare = ["ing", "ers", "er", "ed", "es", "s", "e"]
        .iter()
        .find_map(|ending| word.strip_suffix(ending).filter(|root| root.chars().count() >= MIN_ROOT));
    stem(bare.unwrap_or(word))
}

/// Endings by which forms of one word differ.
const ENDINGS: &[&str] = &["", "s", "es", "e", "ed", "d", "ing", "er", "ers", "en", "n", "led", "ling"];

/// Whether two words in small letters are forms of one: "take" and "taken", "sing" and "singer".
pub fn is_alike(one: &str, other: &str) -> bool {
    const MIN_COMMON: usize = 3;
    let common = one.char_indices().zip(other.chars()).take_while(|((_, a), b)| a == b);
    let (n_common, at) = common.fold((0, 0), |(n, _), ((at, c), _)| (n + 1, at + c.len_utf8()));
    one == other || (n_common >= MIN_COMMON && ENDINGS.contains(&&one[at..]) && ENDINGS.contains(&&other[at..]))
}

/// Whether a form of a word is among others, all in small letters.
pub fn has_form(words: &[String], word: &str) -> bool {
    words.iter().any(|other| is_alike(other, word))
}

/// Whether a word is written in capitals alone, as marks in texts are.
pub fn is_capitals(word: &str) -> bool {
    word.chars().count() > 2 && word.chars().all(char::is_uppercase)
}

/// Verbs that begin a question which is answered by yes or no.
pub const AUXILIARIES: &[&str] = &[
    "can", "could", "may", "must", "do", "does", "did", "am", "is", "are", "was", "were", "will", "would", "should",
    "has", "have",
];

/// The words of a text that say what it is about, in lower case.
pub fn content(text: &str) -> impl Iterator<Item = String> {
    const EMPTY: &[&str] = &[
        "the", "and", "or", "for", "with", "from", "that", "this", "these", "those", "are", "is", "was", "were", "be",
        "been", "am", "it", "its", "we", "us", "our", "you", "your", "they", "them", "their", "he", "she", "his",
        "her", "my", "me", "i", "a", "an", "of", "on", "in", "at", "to", "by", "as", "up", "so", "if", "do", "does",
        "did", "can", "could", "may", "must", "should", "will", "would", "shall", "have", "has", "had", "what",
        "which", "who", "whom", "whose", "when", "where", "whether", "why", "how", "much", "many", "not", "no", "any",
        "anything", "anybody", "anyone", "all", "there", "here", "own", "also", "please", "first", "most", "least",
        "than", "then", "into", "after", "one", "get", "need", "t", "s", "m", "d", "ll", "ve", "re",
    ];
    words(text).filter(|word| !EMPTY.contains(&word.as_str()))
}

/// Whether a word in small letters speaks of money.
pub fn is_money(word: &str) -> bool {
    const MONEY: &[&str] = &[
        "cost",
        "costs",
        "pay",
        "price",
        "prices",
        "fee",
        "fees",
        "charge",
        "charges",
        "allowance",
        "dues",
        "rent",
        "deposit",
        "rate",
        "tariff",
        "fare",
        "toll",
        "expensive",
        "euro",
        "euros",
        "eur",
        "dollars",
        "usd",
        "pounds",
        "gbp",
        "francs",
        "chf",
        "cents",
        "pence",
    ];
    MONEY.contains(&word)
}

/// Whether one of `wanted` is among the words.
pub fn has(words: &[String], wanted: &[&str]) -> bool {
    words.iter().any(|word| wanted.contains(&word.as_str()))
}
