//! Limits that a goal states for figures: "under 2 km", "120 people or more", "must not cost more than 300".
//!
//! Small models take "under 2" for "2 at most", and forget one limit of three; both can be seen in a query.
//! Must not know: steps, models, tables.

use std::sync::LazyLock;

use regex::{Captures, Regex};

use super::demand;
use super::word::{self, plain};
use crate::tool::query::{Kind, tokens};

/// How figures compare with the one that is stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// Smaller ones only.
    Less,
    /// Smaller ones and it.
    AtMost,
    /// Larger ones only.
    More,
    /// Larger ones and it.
    AtLeast,
}

/// A limit that is stated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// The figure.
    pub value: f64,
    /// On which side of it others have to be.
    pub compare: Compare,
}

impl Compare {
    fn sign(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::More => ">",
            Self::AtLeast => ">=",
        }
    }

    fn without(self) -> Self {
        match self {
            Self::Less => Self::AtLeast,
            Self::AtMost => Self::More,
            Self::More => Self::AtMost,
            Self::AtLeast => Self::Less,
        }
    }
}

/// Words before a figure.
const BEFORE: &[(&str, Compare)] = &[
    ("at least", Compare::AtLeast),
    ("minimum", Compare::AtLeast),
    ("at most", Compare::AtMost),
    ("up to", Compare::AtMost),
    ("maximum", Compare::AtMost),
    ("max", Compare::AtMost),
    ("min", Compare::AtLeast),
    ("exceed", Compare::More),
    ("exceeding", Compare::More),
    ("less than", Compare::Less),
    ("fewer than", Compare::Less),
    ("cheaper than", Compare::Less),
    ("shorter than", Compare::Less),
    ("smaller than", Compare::Less),
    ("lower than", Compare::Less),
    ("under", Compare::Less),
    ("below", Compare::Less),
    ("more than", Compare::More),
    ("longer than", Compare::More),
    ("larger than", Compare::More),
    ("higher than", Compare::More),
    ("greater than", Compare::More),
    ("over", Compare::More),
    ("above", Compare::More),
];

/// Words behind a figure and its unit.
const BEHIND: &[(&str, Compare)] = &[
    ("or more", Compare::AtLeast),
    ("or higher", Compare::AtLeast),
    ("or above", Compare::AtLeast),
    ("or better", Compare::AtLeast),
    ("or larger", Compare::AtLeast),
    ("and up", Compare::AtLeast),
    ("at least", Compare::AtLeast),
    ("or less", Compare::AtMost),
    ("or fewer", Compare::AtMost),
    ("or under", Compare::AtMost),
    ("or below", Compare::AtMost),
    ("or cheaper", Compare::AtMost),
    ("at most", Compare::AtMost),
];

/// Units of texts, whose limits are none of what stands in a table.
const OF_TEXTS: &[&str] =
    &["word", "words", "line", "lines", "sentence", "sentences", "paragraph", "paragraphs", "decimals", "characters"];

/// The limits of a text, in order.
pub fn limits(text: &str) -> Vec<Limit> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let plain: Vec<String> = words.iter().map(|word| plain(word)).collect();
    let of_text = |i: usize| plain.get(i + 1).is_some_and(|unit| OF_TEXTS.contains(&unit.as_str()));
    let limit = |i: usize| {
        let ends = |word: &&str| word.ends_with([',', ';', ':', '.']) && !["max.", "min."].contains(word);
        let start = words[..i].iter().rposition(ends).map_or(0, |at| at + 1);
        let value = figure(words[i]).filter(|_| !of_text(i))?;
        let is_open_ended = words[i].trim_end_matches([',', '.']).ends_with('+');
        let compare = if is_open_ended { Some(Compare::AtLeast) } else { before(&plain[start..i]) };
        let compare = compare.or_else(|| behind(&words[i..]))?;
        Some(Limit { value, compare })
    };
    (0..words.len()).filter_map(limit).collect()
}

/// The figure that a word is: `£2,500`, `6+`, `five`; "one" is most often none.
fn figure(word: &str) -> Option<f64> {
    let bare = word.trim_matches(|c: char| !c.is_ascii_digit());
    let is_number = bare.chars().all(|c| c.is_ascii_digit() || c == '.' || c == ',') && !bare.is_empty();
    let is_plain = word.chars().filter(|c| c.is_alphabetic()).count() <= 2;
    if is_number && is_plain {
        bare.replace(',', "").parse().ok()
    } else {
        demand::number(&plain(word)).filter(|n| *n > 1).map(|n| n as f64)
    }
}

/// What the words right before a figure say of it, with what denies it before them.
fn before(words: &[String]) -> Option<Compare> {
    const DENIALS: &[&str] = &["no", "not", "never", "mustn't", "can't", "cannot", "shouldn't", "don't", "isn't"];
    const FILLERS: &[&str] = &["a", "the", "of", "about", "eur", "usd", ""];
    let end = words.len() - words.iter().rev().take_while(|word| FILLERS.contains(&word.as_str())).count();
    let text = words[..end].join(" ");
    let is_last = |phrase: &str| text == phrase || text.ends_with(&format!(" {phrase}"));
    let (phrase, compare) = *BEFORE.iter().find(|(phrase, _)| is_last(phrase))?;
    let rest = &words[..end - phrase.split(' ').count()];
    let is_denied = rest.iter().rev().take(3).any(|word| DENIALS.contains(&word.as_str()));
    Some(if is_denied && compare != Compare::AtLeast { compare.without() } else { compare })
}

/// What the words behind a figure say of it; a unit of two words may stand between, and no comma.
fn behind(words: &[&str]) -> Option<Compare> {
    let n_open = words.iter().take_while(|word| !word.ends_with([',', ';', ':', '.'])).count();
    (1..=3).filter(|at| *at <= n_open && at + 1 < words.len()).find_map(|at| {
        // "6 beds at least 3 of them" speaks of the next figure.
        let is_of_next = words.get(at + 2).is_some_and(|next| figure(next).is_some());
        let text = format!("{} {}", plain(words[at]), plain(words[at + 1]));
        let found = BEHIND.iter().find(|(phrase, _)| *phrase == text && !is_of_next);
        found.map(|(_, compare)| *compare)
    })
}

/// A query whose comparisons with figures that are limits are as strict as those: `km <= 2` for "under 2 km" is not.
pub fn as_strict(sql: &str, limits: &[Limit]) -> String {
    static COMPARISON: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"(<>|<=|>=|<|>)(\s*)(\d+(?:\.\d+)?)\b").expect("a constant expression"));
    let only = |value: f64| {
        let mut found = limits.iter().filter(|limit| limit.value == value);
        found.next().filter(|_| found.next().is_none())
    };
    let strict = |found: &Captures<'_>| {
        let limit = found[3].parse().ok().and_then(only);
        let sign =
            limit.map(|limit| limit.compare.sign()).filter(|sign| found[1] != *"<>" && sign[..1] == found[1][..1]);
        format!("{}{}{}", sign.unwrap_or(&found[1]), &found[2], &found[3])
    };
    let mut outside = String::new();
    let mut text = String::with_capacity(sql.len());
    for (kind, token) in tokens(sql).into_iter().chain([(Kind::Text, "")]) {
        match kind {
            Kind::Text | Kind::Comment => {
                text.push_str(&COMPARISON.replace_all(&std::mem::take(&mut outside), strict));
                text.push_str(token);
            }
            Kind::Name | Kind::Sign => outside.push_str(token),
        }
    }
    text
}

/// The first limit whose figure a query does not have, in whatever unit.
pub fn left_out(sql: &str, limits: &[Limit]) -> Option<Limit> {
    const UNITS: &[f64] = &[1.0, 24.0, 60.0, 100.0, 1000.0];
    let there = word::numbers(sql);
    let near = |one: f64, other: f64| (one - other).abs() < 1e-9 * one.abs().max(1.0);
    let is_there = |value: f64| {
        there.iter().any(|other| {
            // `>= 121` and `> 120` are the same for whole numbers.
            let is_next = near((value - other).abs(), 1.0);
            is_next || UNITS.iter().any(|unit| near(value * unit, *other) || near(value / unit, *other))
        })
    };
    limits.iter().find(|limit| !is_there(limit.value)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> String {
        limits(text)
            .iter()
            .map(|limit| format!("{}{}", limit.compare.sign(), limit.value))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn limits_are_read_from_goals() {
        for (text, want) in [
            ("room for 120 people or more, under 2 km to walk, no fewer than 20 spaces", ">=120 <2 >=20"),
            ("It must not cost more than 300 euro and seat at least 6.", "<=300 >=6"),
            ("sleeps 6+, under £900 a week, a minimum of five beds", ">=6 <900 >=5"),
            ("over 1,500 m, at most 3.5 kg, 40 litres or less", ">1500 <=3.5 <=40"),
            ("Take 3 of them, in 2024, to two decimals, at least 100 words.", ""),
            ("the cheapest one that has at least 16 GB; max. 12 kg", ">=16 <=12"),
            ("not under 18, up to 12 people", ">=18 <=12"),
        ] {
            assert_eq!(said(text), want, "{text}");
        }
    }

    #[test]
    fn comparisons_are_as_strict_as_what_was_said() {
        let limits = limits("under 2 km, 120 people or more, over 5 m");
        let sql = "SELECT a FROM t WHERE km <= 2 AND n > 120 AND m>=5 AND x < 5 AND b = '<= 2' LIMIT 1;";
        let want = "SELECT a FROM t WHERE km < 2 AND n >= 120 AND m>5 AND x < 5 AND b = '<= 2' LIMIT 1;";
        assert_eq!(as_strict(sql, &limits), want);
    }

    #[test]
    fn a_limit_that_a_query_leaves_out_is_found() {
        let limits = limits("under 2 km, 130 people or more, at most 90 minutes");
        assert_eq!(left_out("SELECT a FROM t WHERE km < 2000 AND n > 129 AND h <= 1.5", &limits), None);
        let left = left_out("SELECT a FROM t WHERE km < 2 AND h <= 90", &limits);
        assert_eq!(left.map(|limit| limit.value), Some(130.0));
    }
}
