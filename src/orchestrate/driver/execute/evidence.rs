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
    let words: Vec<String> = word::words(question).collect();
    let begins = |first: &String| ["whether", "if"].contains(&first.as_str()) || word::AUXILIARIES.contains(&&**first);
    words.first().is_some_and(begins) && !words.iter().any(|word| word == "or")
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
pub struct Evidence(Vec<Sentence>);

struct Sentence {
    /// The place of its document.
    document: usize,
    text: String,
    words: Vec<String>,
    quantities: Vec<(String, String)>,
}

impl Sentence {
    fn new(document: usize, text: String) -> Self {
        Self { document, words: word::words(&text).collect(), quantities: quantities(&text), text }
    }

    /// Whether a name stands inside it: not as the word that it begins with.
    fn has_name(&self) -> bool {
        let words = self.text.split_whitespace().skip(1);
        words.map(|word| word.trim_matches(|c: char| !c.is_alphanumeric())).any(is_name)
    }

    /// Whether it states money, or a number of the unit, that a question asks for.
    fn states_what(&self, question: &str) -> bool {
        let is_asked = |(_, of): &(String, String)| word::words(question).any(|word| unit(&word) == *of);
        if asks_for_money(question) {
            self.words.iter().any(|word| word::is_money(word)) && self.text.contains(|c: char| c.is_ascii_digit())
        } else {
            self.quantities.iter().any(is_asked)
        }
    }

    /// Whether it states a quantity, or another one of that unit.
    fn states(&self, (number, unit): &(String, String), is_own: bool) -> bool {
        self.quantities.iter().any(|(other, of)| of == unit && (other == number) == is_own)
    }
}

/// A question, with the document that is about what it calls "it", if that is known.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// Its words.
    pub text: &'a str,
    /// The place of that document.
    pub home: Option<usize>,
}

impl Evidence {
    /// Of documents, names and texts; headings and tables have none.
    pub fn of(documents: &[(&str, &str)]) -> Self {
        let prose = |text: &str| -> String {
            let is_prose = |line: &&str| !line.trim_start().starts_with(['#', '|']);
            text.lines().map(|line| if is_prose(&line) { format!("{line}\n") } else { "\n".to_owned() }).collect()
        };
        let shown = |words: Vec<&str>| {
            let n_marks = words.iter().take_while(|word| word::is_marker(word)).count();
            words[n_marks..].join(" ").replace("**", "")
        };
        let of_document = |(at, (_, text)): (usize, &(&str, &str))| -> Vec<Sentence> {
            let text = prose(text);
            let sentences = word::sentences(&text).into_iter().map(shown);
            sentences.filter(|sentence| !sentence.is_empty()).map(|sentence| Sentence::new(at, sentence)).collect()
        };
        Self(documents.iter().enumerate().flat_map(of_document).collect())
    }

    /// Whether the documents say yes to a question, with the sentence that does; `None` if no sentence speaks of nearly all
    /// of it, or some say yes and others no.
    pub fn verdict(&self, question: Question<'_>) -> Option<(bool, &str)> {
        if !is_polar(question.text) {
            return None;
        }
        let denials = |words: &[String]| -> Vec<String> {
            words.iter().filter(|word| NO.contains(&word.as_str())).cloned().collect()
        };
        let asked = denials(&word::words(question.text).collect::<Vec<_>>());
        // "without asking" has to stand in both, or the sentence is about another case.
        let is_of_case = |sentence: &Sentence| asked.iter().all(|word| sentence.words.contains(word));
        let speaking = self.speaking(question, &is_of_case);
        let (best, first) = *speaking.first().filter(|(share, _)| *share >= MIN_SHARE_OF_PROSE)?;
        let says_yes = |sentence: &Sentence| denials(&sentence.words).iter().all(|word| asked.contains(word));
        let mut leading = speaking.iter().take_while(|(share, _)| *share >= best).map(|(_, sentence)| *sentence);
        leading.all(|other| says_yes(other) == says_yes(first)).then(|| (says_yes(first), first.text.as_str()))
    }

    /// Whether the documents speak clearly more of the question where they state another number of the same thing, name
    /// somebody else, or say something else.
    pub fn is_outdone(&self, answer: &str, question: Question<'_>) -> bool {
        let said: Vec<String> = word::words(question.text).collect();
        let own: Vec<String> = word::content(answer).filter(|word| !word::has_form(&said, word)).collect();
        let has_own =
            |sentence: &Sentence| !own.is_empty() && own.iter().all(|word| word::has_form(&sentence.words, word));
        match asked(question.text) {
            Asked::Verdict => false,
            Asked::Person => {
                let names_other = |sentence: &Sentence| !has_own(sentence) && sentence.has_name();
                let other = self.share(question, &names_other);
                other >= MIN_SHARE && self.share(question, &has_own) + MARGIN < other
            }
            Asked::Other => {
                let other = self.share(question, &|sentence| !has_own(sentence));
                let own = self.share(question, &has_own);
                own > 0.0 && other >= MIN_SHARE_OF_PROSE && own + MARGIN < other
            }
            Asked::Figure => {
                let known = quantities(question.text);
                let mut stated = quantities(answer).into_iter().filter(|own| !known.contains(own));
                stated.any(|quantity| {
                    let (own, other) = self.shares(question, &quantity);
                    own > 0.0 && other >= MIN_SHARE && own + MARGIN < other
                })
            }
        }
    }

    /// Whether the sentence that speaks most of a question states a number of the answer, and none comes near it that states
    /// another one of the same thing.
    pub fn supports(&self, answer: &str, question: Question<'_>) -> bool {
        quantities(answer).iter().any(|quantity| {
            let (own, other) = self.shares(question, quantity);
            own >= MIN_SHARE && other + MARGIN < own
        })
    }

    /// The sentence that answers a question, as far as its words tell.
    pub fn answer(&self, question: Question<'_>) -> Option<String> {
        let best = |is_kept: &dyn Fn(&Sentence) -> bool, least: f64| {
            let first = self.speaking(question, is_kept).into_iter().next();
            first.filter(|(share, _)| *share >= least).map(|(_, sentence)| sentence.text.clone())
        };
        let found = match asked(question.text) {
            Asked::Verdict => self
                .verdict(question)
                .map(|(says_yes, sentence)| format!("{}. {sentence}", if says_yes { "Yes" } else { "No" })),
            Asked::Person => best(&Sentence::has_name, MIN_SHARE),
            Asked::Figure => best(&|sentence| sentence.states_what(question.text), MIN_SHARE),
            Asked::Other => best(&|_| true, MIN_SHARE_OF_PROSE),
        };
        found.filter(|answer| answer.chars().count() <= MAX_QUOTED)
    }

    /// How much of a question the sentences have that state a quantity, and those that state another one of its unit alone.
    fn shares(&self, question: Question<'_>, quantity: &(String, String)) -> (f64, f64) {
        let is_other = |sentence: &Sentence| sentence.states(quantity, false) && !sentence.states(quantity, true);
        (self.share(question, &|sentence| sentence.states(quantity, true)), self.share(question, &is_other))
    }

    /// The most that a sentence has of a question's words.
    fn share(&self, question: Question<'_>, is_kept: &dyn Fn(&Sentence) -> bool) -> f64 {
        self.0.iter().filter(|sentence| is_kept(sentence)).map(self.weigher(question)).fold(0.0, f64::max)
    }

    /// The sentences that have any of the question's words, with the share that they have, most first and then shortest.
    fn speaking(&self, question: Question<'_>, is_kept: &dyn Fn(&Sentence) -> bool) -> Vec<(f64, &Sentence)> {
        let weigh = self.weigher(question);
        let kept = self.0.iter().filter(|sentence| is_kept(sentence));
        let mut found: Vec<(f64, &Sentence)> = kept.map(|sentence| (weigh(sentence), sentence)).collect();
        found.retain(|(share, _)| *share > 0.0);
        found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.text.len().cmp(&b.1.text.len())));
        found
    }

    /// Tells the share of a question's words that a sentence has. Where a figure is stated in the document about what the
    /// question calls "it", and in words of the question, what other documents say counts less.
    fn weigher(&self, question: Question<'_>) -> impl Fn(&Sentence) -> f64 {
        /// What of it counts that is said elsewhere.
        const ELSEWHERE: f64 = 0.3;
        /// Share of the words that a sentence at home has to have.
        const MIN_AT_HOME: f64 = 0.5;
        let asked: Vec<String> = word::content(question.text).collect();
        let share = move |sentence: &Sentence| {
            let n_said = asked.iter().filter(|word| word::has_form(&sentence.words, word)).count();
            n_said as f64 / asked.len().max(1) as f64
        };
        let is_home = move |sentence: &Sentence| question.home == Some(sentence.document);
        let speaks = |sentence: &Sentence| {
            is_home(sentence) && !sentence.quantities.is_empty() && share(sentence) >= MIN_AT_HOME
        };
        let has_home = question.home.is_some() && self.0.iter().any(speaks);
        move |sentence| share(sentence) * if has_home && !is_home(sentence) { ELSEWHERE } else { 1.0 }
    }
}

/// Whether a question calls what it is about "it" or the like.
pub fn refers(question: &str) -> bool {
    const BACK: &[&str] = &["it", "this", "that", "them", "there", "these", "those"];
    word::words(question).any(|word| BACK.contains(&word.as_str()))
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
    pairs.filter_map(|pair| Some((number(&pair[0])?, unit(&pair[1])))).collect()
}

/// A unit as units are compared.
fn unit(word: &str) -> String {
    word::stem(word.trim_end_matches('s'))
}

/// Whether a word is written as a name is.
fn is_name(word: &str) -> bool {
    let mut letters = word.chars();
    word.len() > 2 && letters.next().is_some_and(char::is_uppercase) && letters.all(char::is_lowercase)
}

/// Whether an answer states a number, or that nothing is asked for.
pub fn has_figure(answer: &str) -> bool {
    const FREE: &[&str] = &["free", "nothing", "no", "none", "half", "double"];
    word::words(answer).any(|word| demand::is_number(&word) || FREE.contains(&word.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(text: &str) -> Evidence {
        Evidence::of(&[("a.md", text)])
    }

    fn plain(text: &str) -> Question<'_> {
        Question { text, home: None }
    }

    #[test]
    fn sentences_say_yes_or_no_to_a_question() {
        let dogs = "## Dogs\nA dog may come along to any pitch without telling us beforehand, as long as it stays on a lead.\n\n## Scores\nThe old parts may not be taken home.";
        let evidence = evidence(dogs);
        let verdict = |question: &str| evidence.verdict(plain(question)).map(|(says_yes, _)| says_yes);
        assert_eq!(verdict("Can our dog come along without telling them beforehand?"), Some(true));
        assert_eq!(verdict("Whether I can take the old parts home?"), Some(false));
        assert_eq!(verdict("Can the cat come along?"), None);
        assert_eq!(verdict("What may be taken home?"), None);
    }

    #[test]
    fn a_number_or_a_person_from_another_sentence_is_outdone() {
        let text = "Those who signed up and cannot come must say so 60 days ahead.\n\nA singer who cannot be there tells the conductor at least **12 days** before the concert.\n\nThe head is Ines Okon. The volunteers are looked after by Marek Dufre, who also draws up the rota.";
        let evidence = evidence(text);
        assert!(evidence.is_outdone("The head office looks after them.", plain("Who looks after the volunteers?")));
        let days = plain("How many days before a concert must I say so if I can't sing in it?");
        assert!(evidence.is_outdone("You must say so 60 days ahead.", days));
        assert!(!evidence.is_outdone("It is 12 days before.", days));
        assert!(evidence.supports("It is 12 days before.", days) && !evidence.supports("60 days ahead", days));
        let who = plain("Who looks after the volunteers?");
        assert!(evidence.is_outdone("Ines Okon looks after the volunteers.", who));
        assert!(!evidence.is_outdone("Marek Dufre looks after them.", who));
        assert_eq!(
            evidence.answer(who).as_deref(),
            Some("The volunteers are looked after by Marek Dufre, who also draws up the rota.")
        );
        assert!(evidence.answer(days).unwrap().contains("12 days"));
        assert_eq!(evidence.answer(plain("Where is the key to the cellar?")), None);
    }

    #[test]
    fn what_it_is_about_is_said_where_it_is_spoken_of() {
        let rooms = "Book at least **12 days** before the party.";
        let laundry = "The drying room is booked at least 6 days in advance.";
        let evidence = Evidence::of(&[("rooms.md", rooms), ("laundry.md", laundry)]);
        let text = "How many days in advance do I have to book it?";
        let (at_home, anywhere) = (Question { text, home: Some(0) }, plain(text));
        assert!(evidence.is_outdone("At least 6 days in advance.", at_home));
        assert!(evidence.supports("It is 12 days.", at_home) && !evidence.supports("It is 12 days.", anywhere));
        assert!(evidence.answer(at_home).unwrap().contains("12 days") && refers(text) && !refers("Who pays?"));
        let things = "As for things left behind, the service counts the chairs.\n\nThings that visitors leave behind are kept in the green cabinet.";
        let evidence = Evidence::of(&[("a.md", things)]);
        let place = plain("Where are things kept that visitors leave behind?");
        assert!(evidence.is_outdone("The service counts the chairs.", place));
        assert!(!evidence.is_outdone("In the green cabinet.", place) && !evidence.is_outdone("In the cellar.", place));
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
