//! Which of many short texts say most of what another one says: Okapi BM25 over their words.
//!
//! Pure. Must not know: what the texts are.
//! Source: Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond (2009); the idf that cannot be
//! negative is Lucene's.

use std::collections::{BTreeMap, BTreeSet};

/// How soon a word that is repeated stops to count.
const K1: f64 = 1.2;
/// How much a long text has to say more for the same score.
const B: f64 = 0.75;

/// Words that stand in every text and say nothing about it.
const EMPTY: &[&str] = &[
    "the", "and", "for", "with", "from", "that", "this", "all", "are", "into", "what", "which", "how", "each", "every",
    "file", "them", "their", "there", "have", "has", "per", "one", "not", "you", "was", "were", "will", "than", "then",
    "also", "only",
];

/// Words of three letters and more, in lower case, without the plural's ending, unless they say nothing.
pub fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
    let words = words.filter(|word| !EMPTY.contains(&word.as_str())).map(|word| word.trim_end_matches('s').to_owned());
    words.filter(|word| word.chars().count() > 2 && !EMPTY.contains(&word.as_str())).collect()
}

/// Indices of the texts that share words with `query`, best first, at most `n`; equally good ones in their order.
pub fn nearest(query: &str, texts: &[&str], n: usize) -> Vec<usize> {
    let wanted: BTreeSet<String> = words(query).into_iter().collect();
    let bags: Vec<Bag> = texts.iter().map(|text| words(text).into_iter().collect()).collect();
    let mut order = ranking(wanted, &bags.iter().collect::<Vec<_>>(), B);
    order.truncate(n);
    order
}

/// A text as its words, with how often each stands in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bag {
    counts: BTreeMap<String, usize>,
    n_words: usize,
}

impl FromIterator<String> for Bag {
    fn from_iter<I: IntoIterator<Item = String>>(words: I) -> Self {
        let mut bag = Self::default();
        for word in words {
            *bag.counts.entry(word).or_insert(0) += 1;
            bag.n_words += 1;
        }
        bag
    }
}

/// Indices of the texts that have words of `query`, best first; equally good ones in their order. A word that comes twice
/// counts twice. `b`, from 0 to 1, is how much a long text has to say more for the same score.
pub fn ranking(query: impl IntoIterator<Item = String>, texts: &[&Bag], b: f64) -> Vec<usize> {
    // Where no text has a word, no score is a number, and none is above 0.
    let scores = scores(query, texts, b).into_iter().zip(0..);
    let mut scored: Vec<(f64, usize)> = scores.filter(|(score, _)| *score > 0.0).collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    scored.into_iter().map(|(_, idx)| idx).collect()
}

/// How much each text has of the words of `query`, as in [`ranking`].
pub fn scores(query: impl IntoIterator<Item = String>, texts: &[&Bag], b: f64) -> Vec<f64> {
    let n_words: usize = texts.iter().map(|text| text.n_words).sum();
    let mean = n_words as f64 / texts.len().max(1) as f64;
    let weighed = |word: String| {
        let n_with = texts.iter().filter(|text| text.counts.contains_key(&word)).count() as f64;
        (word, (1.0 + (texts.len() as f64 - n_with + 0.5) / (n_with + 0.5)).ln())
    };
    let wanted: Vec<(String, f64)> = query.into_iter().map(weighed).collect();
    let score = |text: &&Bag| {
        let room = K1 * (1.0 - b + b * text.n_words as f64 / mean);
        let of_word = |(word, weight): &(String, f64)| {
            let n_times = text.counts.get(word).copied().unwrap_or(0) as f64;
            weight * n_times * (K1 + 1.0) / (n_times + room)
        };
        wanted.iter().map(of_word).sum::<f64>()
    };
    texts.iter().map(score).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_words_and_short_texts_weigh_most() {
        let texts = [
            "total of the sales per region",
            "total per customer",
            "find every line that mentions a customer in the letters of last year and the year before",
            "translate the letter",
            "",
        ];
        for (query, want) in [
            ("Totals per region", &[0, 1][..]),
            ("which customers", &[1, 2]),
            ("letters", &[3, 2]),
            ("translate every letter", &[3, 2]),
            ("of in to", &[]),
            ("nothing alike", &[]),
            ("every one of them", &[]),
            ("", &[]),
        ] {
            assert_eq!(nearest(query, &texts, 2), want, "{query}");
        }
        assert_eq!(nearest("total", &[], 2), [0_usize; 0]);
        assert_eq!(nearest("total", &["total", "total", "total"], 2), [0, 1], "equals keep their order");
    }

    /// A second, plainer way to the same score.
    fn naive(query: &str, texts: &[&str], idx: usize) -> f64 {
        let split: Vec<Vec<String>> = texts.iter().map(|text| words(text)).collect();
        let n = split.len() as f64;
        let mean = (split.iter().map(|text| text.len() as f64).sum::<f64>() / n).max(1.0);
        let mut seen = BTreeSet::new();
        let mut score = 0.0;
        for word in words(query) {
            if !seen.insert(word.clone()) {
                continue;
            }
            let with = split.iter().filter(|text| text.contains(&word)).count() as f64;
            let times = split[idx].iter().filter(|other| **other == word).count() as f64;
            let idf = (1.0 + (n - with + 0.5) / (with + 0.5)).ln();
            score += idf * times * 2.2 / (times + 1.2 * (0.25 + 0.75 * split[idx].len() as f64 / mean));
        }
        score
    }

    #[test]
    fn the_order_is_that_of_the_formula() {
        let texts = ["the cat sat", "cat cat cat dog", "dog bites man on the long road home", "road", "man and dog"];
        for query in ["cat dog", "man road", "long dog road home", "cat", "dog"] {
            let order = nearest(query, &texts, 9);
            assert!(!order.is_empty());
            for pair in order.windows(2) {
                assert!(naive(query, &texts, pair[0]) >= naive(query, &texts, pair[1]), "{query}: {order:?}");
            }
            let left_out = (0..texts.len()).filter(|idx| !order.contains(idx));
            left_out.for_each(|idx| assert_eq!(naive(query, &texts, idx), 0.0, "{query}: {idx}"));
        }
    }
}
