//! The sentences of documents that speak of a question in its own words. Where one says nearly all that is asked, code can
//! tell yes from no, the right number or person from another one, and, where a model fails, quote it.
//!
//! Must not know: how answers are made, the engine.

use crate::orchestrate::{demand, word};

/// Share of a question's words that a sentence has to have.
const MIN_SHARE: f64 = 0.6;
/// The share for a sentence that is believed without a figure or a name.
const MIN_SHARE_OF_PROSE: f64 = 0.75;
/// How much more of a question one sentence has to say than another.
const MARGIN: f64 = 0.3;
/// Characters of a sentence that can be quoted as an answer.
const MAX_QUOTED: usize = 260;
/// Words that deny.
pub const NO: &[&str] = &["no", "not", "never", "forbidden", "cannot", "without", "nobody", "prohibited"];

/// What a question asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// Yes or no.
    Verdict,
    /// Somebody.
    Person,
    /// A number, or money.
    Figure,
    /// Anything else.
    Other,
}

/// Whether a question is answered by yes or no.
pub fn is_polar(question: &str) -> bool {
    const FIRST: &[&str] = &[
        "whether", "if", "can", "could", "may", "must", "do", "does", "did", "is", "are", "am", "was", "were",
        "should", "will", "would", "has", "have",
    ];
    let words: Vec<String> = word::words(question).collect();
    words.first().is_some_and(|first| FIRST.contains(&first.as_str())) && !words.iter().any(|word| word == "or")
}

fn asked(question: &str) -> Asked {
    let words: Vec<String> = word::words(question).collect();
    let first = words.iter().find(|word| !["by", "to", "with", "for", "and"].contains(&word.as_str()));
    let is_figure = |pair: &[String]| pair[0] == "how" && ["many", "much", "long"].contains(&pair[1].as_str());
    match first.map(String::as_str) {
        _ if is_polar(question) => Asked::Verdict,
        Some("who" | "whom") => Asked::Person,
        Some("what") if words.iter().any(|word| word::is_money(word)) => Asked::Figure,
        _ if words.windows(2).any(is_figure) => Asked::Figure,
        _ => Asked::Other,
    }
}

/// Whether a question asks for money.
pub fn asks_for_money(question: &str) -> bool {
    asked(question) == Asked::Figure && word::words(question).any(|word| word::is_money(&word))
}

/// The sentences of documents.
pub struct Evidence(Vec<String>);

impl Evidence {
    /// Of documents, names and texts; headings and tables have none.
    pub fn of(documents: &[(&str, &str)]) -> Self {
        let prose = |text: &str| -> String {
            let is_prose = |line: &&str| !line.trim_start().starts_with(['#', '|']);
            text.lines().map(|line| if is_prose(&line) { format!("{line}\n") } else { "\n".to_owned() }).collect()
        };
        let texts: Vec<String> = documents.iter().map(|(_, text)| prose(text)).collect();
        let sentences = texts.iter().flat_map(|text| word::sentences(text));
        let shown = |words: Vec<&str>| {
            let n_marks = words.iter().take_while(|word| word::is_marker(word)).count();
            words[n_marks..].join(" ").replace("**", "")
        };
        Self(sentences.map(shown).filter(|sentence| !sentence.is_empty()).collect())
    }

    /// Whether the documents say yes to a question, with the sentence that does; `None` if no sentence speaks of nearly all
    /// of it, or some say yes and others no.
    pub fn verdict(&self, question: &str) -> Option<(bool, &str)> {
        if !is_polar(question) {
            return None;
        }
        let denials =
            |text: &str| -> Vec<String> { word::words(text).filter(|word| NO.contains(&word.as_str())).collect() };
        let asked = denials(question);
        // "without asking" has to stand in both, or the sentence is about another case.
        let is_of_case = |sentence: &str| asked.iter().all(|word| denials(sentence).contains(word));
        let speaking = self.speaking(question, |sentence| is_of_case(sentence));
        let (best, _) = *speaking.first().filter(|(share, _)| *share >= MIN_SHARE_OF_PROSE)?;
        let says_yes = |sentence: &str| denials(sentence).iter().all(|word| asked.contains(word));
        let mut leading = speaking.iter().filter(|(share, _)| *share >= best).map(|(_, sentence)| *sentence);
        let first = leading.next()?;
        leading.all(|other| says_yes(other) == says_yes(first)).then(|| (says_yes(first), first))
    }

    /// Whether the documents speak clearly more of the question where they state another number of the same thing, or name
    /// somebody else.
    pub fn is_outdone(&self, answer: &str, question: &str) -> bool {
        let share_of =
            |is_kept: &dyn Fn(&str) -> bool| self.speaking(question, is_kept).first().map_or(0.0, |(share, _)| *share);
        let is_less = |own: f64, other: f64| own > 0.0 && other >= MIN_SHARE && own + MARGIN < other;
        if asked(question) == Asked::Person {
            let own = own_words(answer, question);
            let has_own = |sentence: &str| !own.is_empty() && own.iter().all(|word| has(sentence, word));
            let names_other = |sentence: &str| !has_own(sentence) && !names_inside(sentence).is_empty();
            let other = share_of(&names_other);
            return other >= MIN_SHARE && share_of(&has_own) + MARGIN < other;
        }
        let known = quantities(question);
        quantities(answer).into_iter().filter(|own| !known.contains(own)).any(|(number, unit)| {
            let states = |sentence: &str, is_own: bool| {
                quantities(sentence).iter().any(|(other, of)| *of == unit && (*other == number) == is_own)
            };
            let own = share_of(&|sentence| states(sentence, true));
            is_less(own, share_of(&|sentence| states(sentence, false) && !states(sentence, true)))
        })
    }

    /// Whether the sentence that speaks most of a question states a number of the answer, and none comes near it that states
    /// another one of the same thing.
    pub fn supports(&self, answer: &str, question: &str) -> bool {
        quantities(answer).into_iter().any(|(number, unit)| {
            let share = |is_own: bool| {
                let states = |sentence: &str| {
                    quantities(sentence).iter().any(|(other, of)| *of == unit && (*other == number) == is_own)
                };
                self.speaking(question, states).first().map_or(0.0, |(share, _)| *share)
            };
            let own = share(true);
            own >= MIN_SHARE && share(false) + MARGIN < own
        })
    }

    /// The sentence that answers a question, as far as its words tell.
    pub fn answer(&self, question: &str) -> Option<String> {
        let figure = |sentence: &str| {
            let is_asked = |(_, unit): &(String, String)| {
                word::words(question).any(|word| word::stem(word.trim_end_matches('s')) == *unit)
            };
            let has_money = || word::words(sentence).any(|word| word::is_money(&word));
            if asks_for_money(question) {
                has_money() && sentence.contains(|c: char| c.is_ascii_digit())
            } else {
                quantities(sentence).iter().any(is_asked)
            }
        };
        let best = |is_kept: &dyn Fn(&str) -> bool, least: f64| {
            let first = self.speaking(question, is_kept).into_iter().next();
            first.filter(|(share, _)| *share >= least).map(|(_, sentence)| sentence.to_owned())
        };
        let found = match asked(question) {
            Asked::Verdict => self
                .verdict(question)
                .map(|(says_yes, sentence)| format!("{}. {sentence}", if says_yes { "Yes" } else { "No" })),
            Asked::Person => best(&|sentence| !names_inside(sentence).is_empty(), MIN_SHARE),
            Asked::Figure => best(&figure, MIN_SHARE),
            Asked::Other => best(&|_| true, MIN_SHARE_OF_PROSE),
        };
        found.filter(|answer| answer.chars().count() <= MAX_QUOTED)
    }

    /// The sentences that have any of the question's words, with the share that they have, most first and then shortest.
    fn speaking(&self, question: &str, is_kept: impl Fn(&str) -> bool) -> Vec<(f64, &str)> {
        let asked: Vec<String> = word::content(question).collect();
        let share = |sentence: &str| {
            let said: Vec<String> = word::words(sentence).collect();
            let is_said = |word: &&String| said.iter().any(|other| word::is_alike(other, word));
            asked.iter().filter(is_said).count() as f64 / asked.len().max(1) as f64
        };
        let kept = self.0.iter().map(String::as_str).filter(|sentence| is_kept(sentence));
        let mut found: Vec<(f64, &str)> = kept.map(|sentence| (share(sentence), sentence)).collect();
        found.retain(|(share, _)| *share > 0.0);
        found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.len().cmp(&b.1.len())));
        found
    }
}

/// The numbers of a text with the word behind each, as they are compared.
pub fn quantities(text: &str) -> Vec<(String, String)> {
    let words: Vec<String> = word::words(text).collect();
    let number = |word: &String| match demand::number(word) {
        Some(number) => Some(number.to_string()),
        None => word.chars().all(|c| c.is_ascii_digit()).then(|| word.clone()),
    };
    let is_unit = |word: &str| word.chars().count() > 2 && word.chars().all(char::is_alphabetic);
    let pairs = words.windows(2).filter(|pair| is_unit(&pair[1]));
    pairs.filter_map(|pair| Some((number(&pair[0])?, word::stem(pair[1].trim_end_matches('s'))))).collect()
}

/// The words of an answer that are not its question's.
fn own_words(answer: &str, question: &str) -> Vec<String> {
    word::content(answer).filter(|word| !has(question, word)).collect()
}

/// Whether a text has a form of a word.
fn has(text: &str, word: &str) -> bool {
    word::words(text).any(|other| word::is_alike(&other, word))
}

/// The names inside a sentence: not the word that it begins with.
fn names_inside(sentence: &str) -> Vec<&str> {
    let words = sentence.split_whitespace().skip(1).map(|word| word.trim_matches(|c: char| !c.is_alphanumeric()));
    words.filter(|word| is_name(word)).collect()
}

fn is_name(word: &str) -> bool {
    let mut letters = word.chars();
    word.len() > 2 && letters.next().is_some_and(char::is_uppercase) && letters.all(char::is_lowercase)
}

/// Whether an answer states a number, or that nothing is asked for.
pub fn has_figure(answer: &str) -> bool {
    const FREE: &[&str] = &["free", "nothing", "no", "none", "half", "double"];
    let is_figure = |word: String| {
        word.starts_with(|c: char| c.is_ascii_digit())
            || demand::number(&word).is_some()
            || FREE.contains(&word.as_str())
    };
    word::words(answer).any(is_figure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(text: &str) -> Evidence {
        Evidence::of(&[("a.md", text)])
    }

    #[test]
    fn sentences_say_yes_or_no_to_a_question() {
        let dogs = "## Dogs\nA dog may come along to any pitch without telling us beforehand, as long as it stays on a lead.\n\n## Scores\nThe old parts may not be taken home.";
        let evidence = evidence(dogs);
        let verdict = |question: &str| evidence.verdict(question).map(|(says_yes, _)| says_yes);
        assert_eq!(verdict("Can our dog come along without telling them beforehand?"), Some(true));
        assert_eq!(verdict("Whether I can take the old parts home?"), Some(false));
        assert_eq!(verdict("Can the cat come along?"), None);
        assert_eq!(verdict("What may be taken home?"), None);
    }

    #[test]
    fn a_number_or_a_person_from_another_sentence_is_outdone() {
        let text = "Those who signed up and cannot come must say so 60 days ahead.\n\nA singer who cannot be there tells the conductor at least **12 days** before the concert.\n\nThe head is Ines Okon. The volunteers are looked after by Marek Dufre, who also draws up the rota.";
        let evidence = evidence(text);
        assert!(evidence.is_outdone("The head office looks after them.", "Who looks after the volunteers?"));
        let days = "How many days before a concert must I say so if I can't sing in it?";
        assert!(evidence.is_outdone("You must say so 60 days ahead.", days));
        assert!(!evidence.is_outdone("It is 12 days before.", days));
        assert!(evidence.supports("It is 12 days before.", days) && !evidence.supports("60 days ahead", days));
        let who = "Who looks after the volunteers?";
        assert!(evidence.is_outdone("Ines Okon looks after the volunteers.", who));
        assert!(!evidence.is_outdone("Marek Dufre looks after them.", who));
        assert_eq!(
            evidence.answer(who).as_deref(),
            Some("The volunteers are looked after by Marek Dufre, who also draws up the rota.")
        );
        assert!(evidence.answer(days).unwrap().contains("12 days"));
        assert_eq!(evidence.answer("Where is the key to the cellar?"), None);
    }

    #[test]
    fn questions_are_told_by_what_they_ask_for() {
        for (question, want) in [
            ("Can we come?", Asked::Verdict),
            ("Is it one or two?", Asked::Other),
            ("By whom is it kept?", Asked::Person),
            ("What do I pay?", Asked::Figure),
            ("What is it made of?", Asked::Other),
            ("For how many weeks is it lent?", Asked::Figure),
        ] {
            assert_eq!(asked(question), want, "{question}");
        }
        assert!(has_figure("It is free.") && has_figure("Two euro.") && !has_figure("Within the term."));
    }
}
