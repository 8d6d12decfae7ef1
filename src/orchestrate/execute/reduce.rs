//! Questions over many documents that no single passage answers: an average, a total, what comes up most
//! often. Every document is asked for its share, all in one batch; code adds up, or the shares are counted.

use serde::Deserialize;
use serde_json::json;

use super::call::all;
use super::inputs::Input;
use super::{Attempt, Miss};
use crate::orchestrate::mind::Call;
use crate::tool::format::number_text;
use crate::types::Grammar;

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

/// Fewer documents are simply read together.
const MIN_DOCUMENTS: usize = 3;

/// The reduction that a question over so many documents needs, if it needs one.
pub fn of(question: &str, n_documents: usize) -> Option<Reduction> {
    if n_documents < MIN_DOCUMENTS {
        return None;
    }
    let text = question.to_lowercase();
    let has = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
    if has(&["average", " mean "]) {
        Some(Reduction::Mean)
    } else if has(&["most often", "most common", "most frequent", "most popular"]) {
        Some(Reduction::MostFrequent)
    } else if has(&["in total", "sum of", "total of", "altogether", "the total"]) {
        Some(Reduction::Sum)
    } else {
        None
    }
}

#[derive(Debug, Deserialize)]
struct Number {
    number: Option<f64>,
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
        shares.iter().filter_map(|share| serde_json::from_str::<Number>(share).ok()?.number).collect();
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

async fn most_frequent(
    attempt: &Attempt<'_>,
    documents: &[Input],
    shares: &[String],
    question: &str,
) -> Result<String, Miss> {
    let mut list = String::new();
    for (document, share) in documents.iter().zip(shares) {
        let phrase = serde_json::from_str::<Phrase>(share).map(|share| share.phrase).unwrap_or_default();
        list.push_str(&format!("- {}: {phrase}\n", document.name));
    }
    let text = format!(
        "What every document says to the question:\n{list}\nQuestion: {question}\nGroup the lines that mean the same thing, and answer in one short sentence with the thing that most of them name."
    );
    let call = Call { grammar: None, max_tokens: 80, stop: vec!["\n".into()], ..base(attempt, text) };
    let reply = attempt.journal.run().mind.complete(call).await?;
    attempt.said("answer", &reply);
    Ok(reply.text.trim().to_owned())
}

fn call(attempt: &Attempt<'_>, reduction: Reduction, document: &Input, question: &str) -> Call {
    let (asked, property) = match reduction {
        Reduction::MostFrequent => (
            "What does this one document name in answer to it? A phrase of one to six words, or \"nothing\".",
            json!({ "phrase": { "type": "string", "pattern": "^[^\"\\\\\\n]{2,60}$" } }),
        ),
        Reduction::Mean | Reduction::Sum => (
            "Which number of this one document counts for it? null if there is none.",
            json!({ "number": { "type": ["number", "null"] } }),
        ),
    };
    let name = if reduction == Reduction::MostFrequent { "phrase" } else { "number" };
    let schema = json!({
        "type": "object", "properties": property, "required": [name], "additionalProperties": false
    });
    let text = format!(
        "[{}]\n{}\n\nA question over many such documents: {question}\n{asked}",
        document.name,
        document.text.trim()
    );
    Call { grammar: Some(Grammar::JsonSchema(schema)), max_tokens: 40, ..base(attempt, text) }
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
    fn questions_over_many_documents_are_told_from_others() {
        for (question, n_documents, want) in [
            ("What is the average rating?", 8, Some(Reduction::Mean)),
            ("What is the average rating?", 1, None),
            ("Which complaint comes up most often?", 5, Some(Reduction::MostFrequent)),
            ("What is the sum of the fees?", 4, Some(Reduction::Sum)),
            ("How long is the notice period?", 4, None),
        ] {
            assert_eq!(of(question, n_documents), want, "{question}");
        }
    }

    #[test]
    fn numbers_of_documents_are_added_by_code() {
        let shares = ["{\"number\":4}", "{\"number\":null}", "{\"number\":3.5}", "cut"].map(str::to_owned);
        let got = numeric(Reduction::Mean, &shares, "q").unwrap();
        assert_eq!(got, "The average over 2 documents is 3.75.");
        assert!(numeric(Reduction::Sum, &shares[1..2], "q").is_err());
    }
}
