//! What a text has to say, as far as code can tell: figures of its sources that the goal wants mentioned, a name that it is
//! signed with, and what it may not have.
//!
//! Must not know: the engine, steps, how much a text holds (`demand`).

use std::collections::BTreeSet;

use super::word::{self, plain};

/// Words that announce what is to be mentioned.
const MENTIONS: &[&str] =
    &["mention", "mentions", "mentioning", "include", "includes", "including", "state", "stating", "give", "giving"];
/// Words of a phrase that name nothing.
const EMPTY: &[&str] = &["the", "number", "how", "many", "what", "which", "for", "and", "its", "our", "their", "with"];
/// Words of a key at most, as in "visitors: 412".
const MAX_KEY: usize = 3;

/// What is demanded of the content of a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// What a source says, as `visitors: 412`, with the figure that a text has to have of it.
    facts: Vec<(String, String)>,
    signed: Option<String>,
    banned: Vec<String>,
}

impl Content {
    /// What a goal's words demand; `inputs` are names and texts.
    pub fn read(asked: &str, inputs: &[(&str, &str)]) -> Self {
        let mut content = Self { banned: banned(asked), ..Self::default() };
        for sentence in word::sentences(asked) {
            let words: Vec<String> = sentence.iter().map(|word| plain(word)).collect();
            if let Some(at) = words.iter().position(|word| MENTIONS.contains(&word.as_str())) {
                let wanted = stems(&words[at + 1..].join(" "));
                content.facts.extend(inputs.iter().flat_map(|(_, text)| facts(text, &wanted)));
            }
            let by = words.windows(2).position(|pair| ["signed", "sign"].contains(&&*pair[0]) && pair[1] == "by");
            let name =
                by.and_then(|at| sentence.get(at + 2)).map(|name| name.trim_matches(|c: char| !c.is_alphanumeric()));
            content.signed = name.map(str::to_owned).or(content.signed);
        }
        content.facts.dedup();
        content
    }

    /// Whether nothing is demanded.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// For the writer.
    pub fn in_words(&self) -> String {
        let mut text = String::new();
        if !self.facts.is_empty() {
            let facts: Vec<&str> = self.facts.iter().map(|(fact, _)| fact.as_str()).collect();
            text.push_str(&format!("It mentions: {}.\n", facts.join("; ")));
        }
        if let Some(name) = &self.signed {
            text.push_str(&format!("Its last line is the name {name}.\n"));
        }
        if !self.banned.is_empty() {
            text.push_str(&format!("It does not have: {}\n", self.banned.join("  ")));
        }
        text
    }

    /// What a text lacks or has and should not, in words.
    pub fn faults(&self, text: &str) -> Vec<String> {
        let there = text.to_lowercase();
        let digits = there.replace([',', ' ', '\u{a0}'], "");
        let lacking = self.facts.iter().filter(|(_, figure)| !digits.contains(figure.as_str()));
        let mut faults: Vec<String> = lacking.map(|(fact, _)| format!("it does not mention {fact}")).collect();
        if let Some(name) = self.signed.as_ref().filter(|name| !text.contains(name.as_str())) {
            faults.push(format!("it is not signed by {name}"));
        }
        let has = self.banned.iter().filter(|banned| there.contains(banned.as_str()));
        faults.extend(has.map(|banned| format!("it has `{banned}`, which it should not")));
        faults
    }
}

/// The facts `key: value` of a text whose key is one of what is wanted and whose value has a figure.
fn facts(text: &str, wanted: &BTreeSet<String>) -> Vec<(String, String)> {
    let fact = |line: &str| {
        let line = line.trim().trim_start_matches(['-', '*', '•', '#']).trim();
        let (key, value) = line.split_once(':')?;
        let value = value.split('(').next().unwrap_or_default().split(". ").next().unwrap_or_default().trim();
        let is_wanted = key.split_whitespace().count() <= MAX_KEY && !stems(key).is_disjoint(wanted);
        let is_part = |c: char| c.is_ascii_digit() || c == ',' || c == '.';
        let mut figures = value.split(|c: char| !is_part(c)).map(|part| part.trim_matches([',', '.']).replace(',', ""));
        let figure = figures.find(|part| part.chars().any(|c| c.is_ascii_digit()))?;
        is_wanted.then(|| (format!("{key}: {value}"), figure))
    };
    text.lines().filter_map(fact).collect()
}

/// What a text may not have: "without exclamation marks", "do not use the word …".
fn banned(asked: &str) -> Vec<String> {
    let text = asked.to_lowercase();
    let mut banned = Vec::new();
    if ["without exclamation mark", "no exclamation mark", "without any exclamation"].iter().any(|no| text.contains(no))
    {
        banned.push("!".to_owned());
    }
    for phrase in ["without the word ", "not use the word ", "never use the word ", "avoid the word "] {
        let behind = text.split_once(phrase).and_then(|(_, rest)| rest.split_whitespace().next());
        let word = behind.map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()).to_owned());
        banned.extend(word.filter(|word| !word.is_empty()));
    }
    banned
}

fn stems(text: &str) -> BTreeSet<String> {
    let words = word::words(text).filter(|word| word.chars().count() > 2 && !EMPTY.contains(&word.as_str()));
    words.map(|word| word::stem(&word)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_mentioned_is_looked_up_and_checked() {
        let source = "# Fair\n- date: 7 May\n- guests: 412 (last year 365)\n- raised: 1,860 euros. It is for a roof\n- place: a meadow, plot 9\n";
        let asked = "Write a letter. Mention the date, the number of guests and the sum we raised; it is signed by Ada, \
                     without exclamation marks and without the word \"great\".";
        let content = Content::read(asked, &[("f.md", source)]);
        assert_eq!(
            content.in_words(),
            "It mentions: date: 7 May; guests: 412; raised: 1,860 euros.\nIts last line is the name Ada.\nIt does not have: !  great\n"
        );
        assert_eq!(content.faults("On 7 May 412 of you helped to raise 1,860 euros. Ada"), [""; 0]);
        assert_eq!(
            content.faults("On 7 May we had a great fair!"),
            [
                "it does not mention guests: 412",
                "it does not mention raised: 1,860 euros",
                "it is not signed by Ada",
                "it has `!`, which it should not",
                "it has `great`, which it should not"
            ]
        );
        assert!(Content::read("Write a poem about the sea.", &[]).is_empty());
    }
}
