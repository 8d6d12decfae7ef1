//! Questions over many documents that no single passage answers: an average, a total, what comes up most
//! often. Every document is asked for its share, all in one batch; code adds up, or the shares are counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;
use serde::Deserialize;
use serde_json::json;

use super::call::all;
use super::inputs::Input;
use super::{Attempt, Miss, passage};
use crate::orchestrate::driver::mind::Call;
use crate::orchestrate::{plan, word};
use crate::tool::Value;
use crate::tool::format::number_text;
use crate::types::Grammar;

/// The answer to a question for how many there are, where an earlier step has listed them: the number of its rows.
pub fn count(attempt: &Attempt<'_>, question: &str) -> Option<String> {
    let mut tables = attempt.results().into_iter().filter_map(|(id, value)| match value {
        Value::Table(table) => Some((id, table.rows.len())),
        _ => None,
    });
    let ((id, n_rows), None) = (tables.next()?, tables.next()) else { return None };
    let listed = &attempt.state.find(plan::reference(&id)?)?.step.task;
    let (marks, known) = (marks(question), marks(listed));
    let is_of_list = (marks.is_empty() || marks == known) && is_of(&counted(question), listed);
    (asks_for_count(question) && is_of_list).then(|| format!("There are {n_rows}."))
}

/// What a question wants counted: the words behind "how many" or "number of", without those that name nothing.
fn counted(question: &str) -> Vec<String> {
    const EMPTY: &[&str] = &[
        "the", "of", "them", "it", "there", "are", "were", "is", "did", "do", "you", "find", "found", "in", "all",
        "such",
    ];
    let question = question.to_lowercase();
    let phrases = ["how many", "number of", "count of", "count the"];
    let Some(rest) = phrases.iter().find_map(|phrase| question.split_once(phrase).map(|(_, rest)| rest)) else {
        return Vec::new();
    };
    word::words(rest).take(3).filter(|word| !EMPTY.contains(&word.as_str())).collect()
}

/// Whether a list that was made by `listed` is one of these things.
fn is_of(things: &[String], listed: &str) -> bool {
    let stem = |word: &str| word::stem(word.trim_end_matches('s'));
    let listed: Vec<String> = word::words(listed).map(|word| stem(&word)).collect();
    things.is_empty() || things.iter().any(|thing| listed.contains(&stem(thing)))
}

/// The words of a text in capitals: a question with others than the list was made for asks for a part of the list.
fn marks(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
    words.filter(|word| word.len() > 1 && word.chars().all(|c| c.is_uppercase() || c == '_')).collect()
}

/// Whether a question asks how many things there are, and not for a sum or for different ones among them.
fn asks_for_count(question: &str) -> bool {
    let text = question.to_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    has(&["how many", "number of", "count of", "count the"])
        && !has(&[
            "different",
            "distinct",
            "unique",
            " per ",
            " each",
            "every",
            "hours",
            "days",
            "euro",
            "total",
            "sum",
        ])
}

/// How the shares of the documents become an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduction {
    /// Mean of one number per document.
    Mean,
    /// Sum of one number per document.
    Sum,
    /// What most documents share.
    MostFrequent,
}

/// Tokens of one document that are read for its share; of a longer one, the passages that speak most of the question.
const MAX_TOKENS: usize = 1500;
/// Fewer documents are simply read together.
const MIN_DOCUMENTS: usize = 3;

/// Phrases that ask for what comes up in more documents than anything else.
const MOST_FREQUENT: &[&str] = &[
    "most often",
    "most common",
    "most frequent",
    "most popular",
    "most mentioned",
    "most reported",
    "more than any other",
    "more than anything",
    "more often than",
    "at the most ",
    "by the most ",
    "in the most ",
    "commonest",
    "biggest complaint",
    "main complaint",
    "biggest problem",
    "main problem",
];

/// "what they grumble about most", "the thing that comes up most"
static SAID_MOST: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"\b(about|up|mention\w*|nam(e|ed)|prais\w+|criti\w+|complain\w*|report(ed)?|lik(e|ed)|lov(e|ed)|miss(ed)?|wish(ed)? for)( it| them| the)?,? (the )?most\b")
        .expect("a constant expression")
});

/// The reductions that a question over so many documents needs, if it needs any; it may ask for several things.
pub fn of(question: &str, n_documents: usize) -> Vec<Reduction> {
    if n_documents < MIN_DOCUMENTS {
        return Vec::new();
    }
    let text = question.to_lowercase();
    let has = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
    [
        (Reduction::Mean, has(&["average", " mean "])),
        (Reduction::Sum, has(&["in total", "sum of", "total of", "altogether", "the total"])),
        (Reduction::MostFrequent, has(MOST_FREQUENT) || SAID_MOST.is_match(&text)),
    ]
    .into_iter()
    .filter_map(|(reduction, is_asked)| is_asked.then_some(reduction))
    .collect()
}

#[derive(Debug, Deserialize)]
struct Number {
    #[serde(default)]
    passage: String,
    number: Option<f64>,
}

impl Number {
    /// The only number of the passage that was chosen, whatever was made of it; else the one that was named.
    fn value(&self) -> Option<f64> {
        match figures(&self.passage)[..] {
            [only] => Some(only),
            _ => self.number,
        }
    }
}

#[derive(Debug, Deserialize)]
struct Phrase {
    phrase: String,
}

/// The answer to `question` from the shares of all documents.
pub async fn reduce(
    attempt: &Attempt<'_>,
    reduction: Reduction,
    documents: &[Input],
    question: &str,
) -> Result<String, Miss> {
    let bodies: Vec<Input>;
    let documents = if reduction == Reduction::MostFrequent {
        bodies = without_labels(documents);
        &bodies
    } else {
        documents
    };
    let calls = documents.iter().map(|document| call(attempt, reduction, document, question)).collect();
    let mut shares = Vec::new();
    for reply in all(attempt.journal.run().mind.as_ref(), calls).await {
        let reply = reply?;
        attempt.said("share", &reply);
        shares.push(reply.text);
    }
    match reduction {
        Reduction::MostFrequent => Ok(most_frequent(attempt, documents, &shares, question).await?),
        Reduction::Mean | Reduction::Sum => numeric(reduction, &shares, question),
    }
}

fn numeric(reduction: Reduction, shares: &[String], question: &str) -> Result<String, Miss> {
    let numbers: Vec<f64> =
        shares.iter().filter_map(|share| serde_json::from_str::<Number>(share).ok()?.value()).collect();
    if numbers.is_empty() {
        return Err(Miss::new(format!("no document gives a number for: {question}"), shares.join("\n")));
    }
    let sum: f64 = numbers.iter().sum();
    let (name, value) = match reduction {
        Reduction::Mean => ("average", sum / numbers.len() as f64),
        _ => ("total", sum),
    };
    let shown = serde_json::Number::from_f64(value).map(|number| number_text(&number)).unwrap_or_default();
    Ok(format!("The {name} over {} documents is {shown}.", numbers.len()))
}

/// What most documents name: counted by code over the words of their phrases, else left to the model.
async fn most_frequent(
    attempt: &Attempt<'_>,
    documents: &[Input],
    shares: &[String],
    question: &str,
) -> Result<String, Miss> {
    let phrase = |share: &String| serde_json::from_str::<Phrase>(share).map(|share| share.phrase).unwrap_or_default();
    let phrases: Vec<String> = shares.iter().map(phrase).collect();
    let texts: Vec<&str> = documents.iter().map(|document| document.text.as_str()).collect();
    if let Some(answer) = shared_word(&phrases, &texts) {
        return Ok(answer);
    }
    let list: String =
        documents.iter().zip(&phrases).map(|(document, phrase)| format!("- {}: {phrase}\n", document.name)).collect();
    let text = format!(
        "What every document says to the question:\n{list}\nQuestion: {question}\nAnswer in one short sentence with the thing that most of them name."
    );
    let call = Call { grammar: None, max_tokens: 80, stop: vec!["\n".into()], ..base(attempt, text) };
    let reply = attempt.journal.run().mind.complete(call).await?;
    attempt.said("answer", &reply);
    Ok(reply.text.trim().to_owned())
}

/// Words that name nothing.
const EMPTY_WORDS: &[&str] =
    &["nothing", "the", "and", "are", "very", "not", "too", "was", "for", "with", "but", "its"];

/// Documents without the lines "Rating: …" that all of them have: they are about each document, and nobody names them.
fn without_labels(documents: &[Input]) -> Vec<Input> {
    const MAX_WORDS: usize = 4;
    let label = |line: &str| -> Option<String> {
        let (label, _) = line.split_once(':')?;
        (1..=MAX_WORDS).contains(&label.split_whitespace().count()).then(|| label.trim().to_lowercase())
    };
    let labels = |document: &Input| document.text.lines().filter_map(label).collect::<BTreeSet<String>>();
    let of_all = documents.iter().map(labels).reduce(|all, own| all.intersection(&own).cloned().collect());
    let of_all = of_all.unwrap_or_default();
    let is_kept = |line: &&str| label(line).is_none_or(|label| !of_all.contains(&label));
    let body = |document: &Input| document.text.lines().filter(is_kept).map(|line| format!("{line}\n")).collect();
    documents.iter().map(|document| Input { text: body(document), ..document.clone() }).collect()
}

/// Words that can be what a phrase names, without the plural's ending.
fn naming_words(text: &str) -> BTreeSet<String> {
    let words = word::words(text).filter(|word| word.chars().count() > 2 && !EMPTY_WORDS.contains(&word.as_str()));
    words.map(|word| word.strip_suffix('s').map_or(word.clone(), str::to_owned)).collect()
}

/// The word that most documents speak of, of those that stand in several phrases, or in one where most documents by far
/// speak of it, with the phrases that it stands in. A document that says several things has one phrase; what else it says
/// counts too.
fn shared_word(phrases: &[String], texts: &[&str]) -> Option<String> {
    /// Documents that have to speak of a word that one phrase alone has.
    const MIN_HELD: usize = 3;
    let mut named: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for phrase in phrases {
        for word in naming_words(phrase) {
            named.entry(word).or_default().push(phrase);
        }
    }
    let held: Vec<BTreeSet<String>> =
        phrases.iter().zip(texts).map(|(phrase, text)| naming_words(&format!("{phrase} {text}"))).collect();
    let n_held = |word: &String| held.iter().filter(|words| words.contains(word)).count();
    let ranked: Vec<(usize, usize, &String)> = named.iter().map(|(word, of)| (n_held(word), of.len(), word)).collect();
    let leader = |n_phrases: usize| {
        let mut ranked: Vec<_> = ranked.iter().filter(|(_, n_named, _)| *n_named >= n_phrases).collect();
        ranked.sort_unstable_by_key(|(n_held, n_named, _)| std::cmp::Reverse((*n_held, *n_named)));
        let (first, second) = (*ranked.first()?, ranked.get(1));
        let is_far_ahead = first.0 >= MIN_HELD && second.is_none_or(|second| second.0 + 1 < first.0);
        let is_ahead = second.is_none_or(|second| (second.0, second.1) < (first.0, first.1));
        (is_ahead && (n_phrases > 1 || is_far_ahead)).then_some(first)
    };
    let &(n_held, _, word) = leader(2).or_else(|| leader(1))?;
    Some(format!("{word}: named by {n_held} of {} ({}).", phrases.len(), named[word].join("; ")))
}

fn call(attempt: &Attempt<'_>, reduction: Reduction, document: &Input, question: &str) -> Call {
    let mind = &attempt.journal.run().mind;
    let is_long = mind.count(&document.text) > MAX_TOKENS;
    let passages = || passage::choose(&[("", &document.text)], &[question], MAX_TOKENS, |text| mind.count(text));
    let read = if is_long { passages() } else { document.text.clone() };
    let (asked, property) = match reduction {
        Reduction::MostFrequent => (
            "What does this one document name in answer to it? A phrase of one to six words, or \"nothing\".",
            json!({ "phrase": { "type": "string", "pattern": "^[^\"\\\\\\n]{2,60}$" } }),
        ),
        Reduction::Mean | Reduction::Sum => (
            "Which number of this one document counts for it? Give the passage that states it, then the number; null if there is none.",
            json!({ "passage": passages_of(&read), "number": numbers_of(&read) }),
        ),
    };
    let names: &[&str] = if reduction == Reduction::MostFrequent { &["phrase"] } else { &["passage", "number"] };
    let schema = json!({
        "type": "object", "properties": property, "required": names, "additionalProperties": false
    });
    let text =
        format!("[{}]\n{}\n\nA question over many such documents: {question}\n{asked}", document.name, read.trim());
    Call { grammar: Some(Grammar::JsonSchema(schema)), max_tokens: 70, ..base(attempt, text) }
}

/// The sentences of a text that hold a number, as an enumeration: what does not stand there cannot be quoted.
fn passages_of(text: &str) -> serde_json::Value {
    let sentences = text.split(['\n', ';']).flat_map(|line| line.split_inclusive(". ")).map(str::trim);
    let has_number = |sentence: &&str| sentence.chars().any(|c| c.is_ascii_digit()) && sentence.len() < 200;
    let mut passages: Vec<&str> = sentences.filter(has_number).take(40).collect();
    passages.dedup();
    passages.push("none");
    json!({ "enum": passages })
}

/// The numbers that stand in a text, as an enumeration: a number that is not there cannot be named.
fn numbers_of(text: &str) -> serde_json::Value {
    let whole = |number: f64| if number.fract() == 0.0 { json!(number as i64) } else { json!(number) };
    let mut numbers: Vec<serde_json::Value> = figures(text).into_iter().map(whole).take(40).collect();
    numbers.dedup();
    numbers.push(serde_json::Value::Null);
    json!({ "enum": numbers })
}

/// The numbers of a text. Of "8/10" and "8 out of 10" the second says what the scale is.
fn figures(text: &str) -> Vec<f64> {
    static SCORE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(^|[^\d./])(\d+(?:\.\d+)?)(?: ?/ ?| out of )\d+($|[^\d/])").expect("a constant expression")
    });
    word::numbers(&SCORE.replace_all(text, "$1$2$3"))
}

fn base(attempt: &Attempt<'_>, text: String) -> Call {
    Call {
        purpose: "share",
        step: Some(attempt.step.id),
        messages: attempt.focus("You read documents carefully and answer from them alone.", text),
        prefill: String::new(),
        grammar: None,
        sampling: attempt.sampling(0),
        stop: Vec::new(),
        max_tokens: 80,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_is_no_number_of_its_own() {
        for (text, want) in [
            ("Score: 8/10", json!([8, null])),
            ("I give 7.5 out of 10, though 3 things broke.", json!([7.5, 3, null])),
            ("On 12/15/2024.", json!([12, 15, 2024, null])),
        ] {
            assert_eq!(numbers_of(text)["enum"], want, "{text}");
        }
    }

    #[test]
    fn questions_over_many_documents_are_told_from_others() {
        for (question, n_documents, want) in [
            ("What is the average rating?", 8, &[Reduction::Mean][..]),
            ("What is the average rating?", 1, &[]),
            ("Which complaint comes up most often?", 5, &[Reduction::MostFrequent]),
            ("the average rating and the most common complaint", 5, &[Reduction::Mean, Reduction::MostFrequent]),
            ("what problem is reported at the most sites", 5, &[Reduction::MostFrequent]),
            ("What is the sum of the fees?", 4, &[Reduction::Sum]),
            ("How long is the notice period?", 4, &[]),
        ] {
            assert_eq!(of(question, n_documents), want, "{question}");
        }
    }

    #[test]
    fn questions_for_how_many_are_told_from_others() {
        for (question, want) in [
            ("the number of decisions", true),
            ("How many did you find?", true),
            ("How many different authors are there?", false),
            ("the number of loans per branch", false),
            ("What is the longest one?", false),
        ] {
            assert_eq!(asks_for_count(question), want, "{question}");
        }
    }

    #[test]
    fn what_is_counted_has_to_be_what_was_listed() {
        for (question, listed, want) in [
            ("the number of FIXME lines", "every line with FIXME in src", true),
            ("How many did you find?", "all notes", true),
            ("tell me how many there are", "file, sender", true),
            ("count of complaints in o.csv", "file, sender, kind", false),
            ("number of markdown files", "list all markdown files", true),
        ] {
            assert_eq!(is_of(&counted(question), listed), want, "{question}");
        }
    }

    #[test]
    fn what_most_phrases_name_is_counted() {
        let phrases = ["lid sticks", "nothing", "stiff lids", "leaks"].map(str::to_owned);
        assert_eq!(shared_word(&phrases, &[""; 4]).unwrap(), "lid: named by 2 of 4 (lid sticks; stiff lids).");
        assert_eq!(shared_word(&["a red car", "blue car", "red bus"].map(str::to_owned), &[""; 3]), None);
        let phrases = ["spring is broken", "broken glass", "gate latch", "gate", "torn seat"].map(str::to_owned);
        let texts = ["The gate's spring is broken.", "Broken glass.", "Gate, latch", "gate", "A torn seat; the gate."];
        let want = "gate: named by 4 of 5 (gate latch; gate).";
        assert_eq!(shared_word(&phrases, &texts).unwrap(), want, "what a text says besides counts");
        let phrases = ["shower", "nothing", "lights out too early", "water"].map(str::to_owned);
        let texts = ["A cold shower.", "The shower, again; thin soup.", "No light.", "The shower gave no water."];
        assert_eq!(shared_word(&phrases, &texts).unwrap(), "shower: named by 3 of 4 (shower).");
        let input = |text: &str| Input { name: "a".into(), text: text.into() };
        let bodies = without_labels(&[input("Wait: 5 min\nNote: loud\n"), input("Wait: 9 min\nAll well: yes\n")]);
        assert_eq!(
            bodies.iter().map(|body| body.text.as_str()).collect::<Vec<_>>(),
            ["Note: loud\n", "All well: yes\n"]
        );
        assert_eq!(
            passages_of("Fine room. Rating: 4/5\nNoisy; 3 nights"),
            json!({ "enum": ["Rating: 4/5", "3 nights", "none"] })
        );
        assert_eq!(numbers_of("4/5 and 3.5."), json!({ "enum": [4, 3.5, null] }));
    }

    #[test]
    fn numbers_of_documents_are_added_by_code() {
        let shares = ["{\"number\":4}", "{\"number\":null}", "{\"number\":3.5}", "cut"].map(str::to_owned);
        let got = numeric(Reduction::Mean, &shares, "q").unwrap();
        assert_eq!(got, "The average over 2 documents is 3.75.");
        assert!(numeric(Reduction::Sum, &shares[1..2], "q").is_err());
        let passage = ["{\"passage\":\"Score: 6/10\",\"number\":null}".to_owned()];
        assert_eq!(numeric(Reduction::Mean, &passage, "q").unwrap(), "The average over 1 documents is 6.");
    }
}
