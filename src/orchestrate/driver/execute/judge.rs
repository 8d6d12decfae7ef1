//! Which of several answers to a question is the best, as far as code can tell: one that is whole, speaks of what was
//! asked, and has its figures and names from where the documents speak of that.
//!
//! Must not know: how answers are made, the engine.

use std::cell::LazyCell;
use std::collections::BTreeSet;

use super::evidence::{self, Evidence, NO, Question, quantities};
use super::lookup::{self, Lookup};
use super::passage::{self, Passage};
use crate::memory::rank;
use crate::orchestrate::{demand, ground, word};

/// What answers are held against.
pub struct Judge<'a> {
    documents: String,
    /// Each with the heading that it stands under.
    paragraphs: Vec<String>,
    passages: Vec<Passage<'a>>,
    evidence: Evidence,
    lookups: Vec<Lookup>,
    goal: &'a str,
}

impl<'a> Judge<'a> {
    /// Over documents, by name and text, for questions of a goal.
    pub fn new(documents: &[(&'a str, &'a str)], goal: &'a str) -> Self {
        let whole = documents.iter().map(|(name, text)| format!("{name}\n{text}\n")).collect();
        Self {
            documents: whole,
            paragraphs: documents.iter().flat_map(|&(name, text)| paragraphs(name, text)).collect(),
            passages: passage::of(documents),
            evidence: Evidence::of(documents),
            lookups: lookup::of(documents, goal),
            goal,
        }
    }

    /// What rows hold for what the goal names, of those that a question asks for.
    pub fn lookups(&self, question: &str) -> impl Iterator<Item = &Lookup> {
        self.lookups.iter().filter(move |lookup| lookup.is_asked_by(question))
    }

    /// A question with the document that is about what it calls "it": the one with the row of what the goal names.
    fn asked<'q>(&self, question: &'q str) -> Question<'q> {
        let mut homes = self.lookups.iter().map(|lookup| lookup.document);
        let home = homes.next().filter(|home| evidence::refers(question) && homes.all(|other| other == *home));
        Question { text: question, home }
    }

    /// An answer in the documents' own words, if one stands there that has no fault.
    pub fn quoted(&self, question: &str) -> Option<String> {
        let of_row = || self.lookups(question).next().map(|lookup| format!("{}.", lookup.said()));
        let is_good = |answer: &String| self.n_faults(answer, question) == 0;
        of_row().or_else(|| self.evidence.answer(self.asked(question))).filter(is_good)
    }

    /// The place of the answer with the fewest faults; among equals of the one that most agree with, and of those of the
    /// first, which the greedy one is. `None` without any.
    ///
    /// That an answer seems to be taken from elsewhere is a guess: it is let pass where three agree, and no two with each
    /// other that have fewer faults.
    pub fn best(&self, answers: &[&str], question: &str) -> Option<usize> {
        const SETTLED: usize = 3;
        let votes: Vec<usize> = answers
            .iter()
            .map(|answer| answers.iter().filter(|other| agree(other, answer, question)).count())
            .collect();
        let faults: Vec<usize> = answers.iter().map(|answer| self.n_faults(answer, question)).collect();
        let is_challenged = |i: usize| (0..answers.len()).any(|j| faults[j] < faults[i] && votes[j] > 1);
        let n_faults = |i: usize| {
            let is_settled = faults[i] == 1 && votes[i] >= SETTLED && !is_challenged(i);
            if is_settled && self.is_elsewhere(answers[i], question) { 0 } else { faults[i] }
        };
        (0..answers.len()).min_by_key(|&i| (n_faults(i), std::cmp::Reverse(votes[i])))
    }

    /// Whether an answer is cut off, whether it speaks of something else than its question, which weighs more, and what of
    /// it stands in no source.
    pub fn n_faults(&self, answer: &str, question: &str) -> usize {
        let is_cut = !answer.trim_end().ends_with(['.', '!', '?', '"', ')']);
        let n_beside = usize::from(is_beside(answer, question))
            + usize::from(counts_nothing(answer, question))
            + usize::from(says_nothing(answer, question));
        let of_question = ground::foreign(answer, question);
        let foreign = ground::foreign(answer, &self.documents);
        let n_foreign = foreign.iter().filter(|what| of_question.contains(what)).count();
        let is_misplaced = n_foreign == 0 && self.is_elsewhere(answer, question);
        let is_of_other_row = self.lookups(question).any(|lookup| lookup.is_missed(answer));
        let says_no = || gist(answer, question).1;
        let verdict = self.evidence.verdict(self.asked(question));
        let is_contradicted = verdict.is_some_and(|(says_yes, _)| says_yes == says_no());
        usize::from(is_cut)
            + 2 * n_beside
            + n_foreign
            + usize::from(is_misplaced)
            + 2 * usize::from(is_of_other_row)
            + 2 * usize::from(is_contradicted)
    }

    /// Whether an answer seems to be taken from where something else is said.
    fn is_elsewhere(&self, answer: &str, question: &str) -> bool {
        let is_guessed = || self.is_misplaced(answer, question) || self.is_beaten(answer, question);
        let asked = self.asked(question);
        self.evidence.is_outdone(answer, asked) || (!self.evidence.supports(answer, asked) && is_guessed())
    }

    /// Whether another passage states a number of the same thing, as "21 days" for "45 days", and speaks clearly more of the
    /// question and the goal: then the answer was taken from where something else is said.
    fn is_beaten(&self, answer: &str, question: &str) -> bool {
        /// How much more a passage has to speak of them.
        const MARGIN: f64 = 1.25;
        let asked = quantities(question);
        let scores = LazyCell::new(|| passage::scores(&self.passages, &format!("{question} {}", self.goal)));
        quantities(answer).into_iter().filter(|own| !asked.contains(own)).any(|(number, unit)| {
            let (mut best, mut own) = (0.0_f64, 0.0_f64);
            for (passage, score) in self.passages.iter().zip(scores.iter()) {
                for (other, _) in quantities(passage.text).into_iter().filter(|(_, of)| *of == unit) {
                    best = best.max(*score);
                    own = if other == number { own.max(*score) } else { own };
                }
            }
            own > 0.0 && best > own * MARGIN
        })
    }

    /// Whether an answer has a number that stands only where nothing is said of what the question is about.
    fn is_misplaced(&self, answer: &str, question: &str) -> bool {
        let numbers = |text: &str| -> Vec<String> {
            let parts = text.split(|c: char| !c.is_ascii_digit()).filter(|part| !part.is_empty());
            parts.map(str::to_owned).collect()
        };
        let (asked, own) = (stems(question), numbers(question));
        let stands = |number: &String| {
            let mut with = self.paragraphs.iter().filter(|paragraph| numbers(paragraph).contains(number)).peekable();
            with.peek().is_none() || with.any(|paragraph| !stems(paragraph).is_disjoint(&asked))
        };
        numbers(answer).iter().filter(|number| !own.contains(number)).any(|number| !stands(number))
    }
}

fn paragraphs(name: &str, text: &str) -> Vec<String> {
    let mut heading = name;
    let mut found = Vec::new();
    for paragraph in text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty()) {
        if paragraph.lines().count() == 1 && !paragraph.ends_with(['.', '!', '?']) {
            heading = paragraph;
        }
        found.push(format!("{heading}\n{paragraph}"));
    }
    found
}

fn stems(text: &str) -> BTreeSet<String> {
    rank::words(text).iter().map(|word| word::stem(word)).collect()
}

/// Whether a question asks how many there are of something, or for money, and the answer has no number, or one of something
/// else.
fn counts_nothing(answer: &str, question: &str) -> bool {
    /// Words after "how many" that say what is counted.
    const MAX_NAME: usize = 2;
    let asked: Vec<String> = word::words(question).collect();
    let Some(at) = asked.windows(2).position(|pair| pair[0] == "how" && pair[1] == "many") else {
        return evidence::asks_for_money(question) && !evidence::has_figure(answer);
    };
    let of: Vec<String> = asked[at + 2..].iter().take(MAX_NAME).map(|word| word::stem(word)).collect();
    let said: Vec<String> = word::words(answer).collect();
    let is_number = |word: &String| demand::is_number(word);
    let is_named = said.iter().any(|word| of.contains(&word::stem(word)));
    let is_none = word::has(&said, &["no", "none", "nobody"]);
    let is_of_other = !is_named && said.iter().any(|word| !is_number(word)) && said.len() < 4;
    (!said.iter().any(is_number) && !is_none) || is_of_other
}

/// Whether a whole sentence has no word of the question that it is to answer.
fn is_beside(answer: &str, question: &str) -> bool {
    const MIN_WORDS: usize = 5;
    let asked = stems(question);
    answer.split_whitespace().count() >= MIN_WORDS && asked.len() > 1 && stems(answer).is_disjoint(&asked)
}

/// Whether an answer to a question for somebody or something has no word but the question's: "Who looks after the
/// volunteers?", "The person looks after the volunteers."
fn says_nothing(answer: &str, question: &str) -> bool {
    const ASKING: &[&str] = &["who", "whom", "what", "which", "where", "when"];
    const NOBODY: &[&str] = &["person", "people", "somebody", "someone", "something", "thing", "they", "one"];
    let asks = word::words(question).next().is_some_and(|first| ASKING.contains(&first.as_str()));
    let asked: BTreeSet<String> = word::words(question).map(|word| word::stem(&word)).collect();
    let is_old = |word: &String| {
        asked.contains(&word::stem(word))
            || NOBODY.contains(&word.as_str())
            || ["the", "a", "an", "is", "are", "in", "it"].contains(&word.as_str())
    };
    asks && word::words(answer).all(|word| is_old(&word))
}

/// Whether two answers to a question say the same: yes or no, and the same figures, or one of them where one says more than
/// the other.
fn agree(one: &str, other: &str, question: &str) -> bool {
    let ((one, is_no), (other, is_other_no)) = (gist(one, question), gist(other, question));
    let share = one.iter().any(|number| other.contains(number));
    if one.is_empty() || other.is_empty() { one == other && is_no == is_other_no } else { share }
}

/// What an answer comes to: its numbers, and whether it says no. It says so where it begins by yes or no, or else in words
/// that its question has not: "without asking" is no denial where the question is whether one can do without.
fn gist(answer: &str, question: &str) -> (Vec<String>, bool) {
    let words = |text: &str| -> Vec<String> {
        let words = text.split(|c: char| !c.is_alphanumeric() && c != '.');
        words.map(|word| word.trim_matches('.').to_lowercase()).filter(|word| !word.is_empty()).collect()
    };
    let (said, asked) = (words(answer), words(question));
    let numbers = said.iter().filter(|word| word.chars().any(|c| c.is_ascii_digit())).cloned().collect();
    let denies = |word: &String| NO.contains(&word.as_str()) && !asked.contains(word);
    let is_no = match said.first().map(String::as_str) {
        Some("yes") => false,
        Some("no") => true,
        _ => said.iter().any(denies),
    };
    (numbers, is_no)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_in_the_words_of_its_question_says_nothing() {
        assert!(says_nothing("The person looks after the volunteers.", "Who looks after the volunteers?"));
        assert!(!says_nothing("Ada looks after the volunteers.", "Who looks after the volunteers?"));
        assert!(!says_nothing("The scores may be taken home.", "May the scores be taken home?"));
    }

    #[test]
    fn answers_that_are_whole_and_grounded_and_agreed_on_win() {
        let text = "Volunteers arrive 25 minutes before. Paid staff 10 minutes. No photographs in the east wing.";
        let judge = Judge::new(&[("a.md", text)], "");
        let question = "How many minutes or days is it, and do they come?";
        for (answers, want) in [
            (&["They arrive 25 minutes before and then they"][..], 0),
            (&["They arrive 25 minutes before and then they", "They arrive 25 minutes before."], 1),
            (&["They arrive 40 minutes before.", "They arrive 25 minutes before."], 1),
            (&["They arrive 10 minutes before.", "It is 25 minutes.", "They come 25 minutes before."], 1),
            (&["Yes, it is allowed.", "No, it is not.", "It is forbidden."], 1),
            (&["It is 10.", "It is 25."], 0),
            (&["It takes 10 days.", "It takes 25 days, or 10 euro.", "In 25 days."], 1),
        ] {
            assert_eq!(judge.best(answers, question), Some(want), "{answers:?}");
        }
        assert_eq!(judge.best(&[], question), None);
        let dogs = ["No, a dog cannot come without asking.", "A dog may come without asking.", "Yes, without asking."];
        assert_eq!(judge.best(&dogs, "Can a dog come without asking?"), Some(1), "two say yes");
    }

    #[test]
    fn a_number_counts_where_the_documents_speak_of_the_question() {
        let documents = [("time.md", "Group II: 22 weeks"), ("copies.md", "Four are printed, in 2 colours.")];
        let judge = Judge::new(&documents, "");
        assert!(judge.is_misplaced("It is 22 of them.", "How many printed copies are there?"));
        assert!(!judge.is_misplaced("It takes 22.", "How many weeks does it take?"));
        assert!(!judge.is_misplaced("In 2.", "In how many colours is it printed?"));
    }

    #[test]
    fn a_number_from_where_something_else_is_said_loses() {
        let rooms = "# Booking a room\n\n## Private parties\n\nBook at least **21 days** ahead at the desk.";
        let garden = "# Garden\n\nIt is open until dusk. Games have to be booked 45 days ahead.";
        let documents = [("garden.md", garden), ("rooms.md", rooms)];
        let judge = Judge::new(&documents, "We want to have a party in the blue room.");
        let question = "How many days ahead do we have to book it?";
        assert!(judge.is_beaten("We have to book it 45 days ahead.", question));
        assert!(!judge.is_beaten("We have to book it 21 days ahead.", question));
        assert!(!judge.is_beaten("It is booked 4 weeks ahead.", question));
        let (said, other) = ("We have to book it 45 days ahead.", "It is 21 days.");
        assert_eq!(judge.best(&[said, said, other], question), Some(2));
        assert_eq!(judge.best(&[said, said, said, other], question), Some(0), "three against one");
        assert_eq!(judge.best(&[said, said, said, other, other], question), Some(3), "against two");
    }

    #[test]
    fn an_answer_speaks_of_what_was_asked() {
        let copies = "How many printed copies do I need?";
        assert!(counts_nothing("22 weeks", copies) && counts_nothing("It has to be bound.", copies));
        assert!(!counts_nothing("four printed copies", copies) && !counts_nothing("4", copies));
        assert!(!counts_nothing("You hand in four of them.", copies) && !counts_nothing("22 weeks", "How long is it?"));
        let question = "Who looks after the water pump?";
        assert!(is_beside("The board puts the lamps back on their hooks.", question));
        assert!(!is_beside("The pump is looked after by Ada.", question) && !is_beside("Ada Dahl.", question));
    }
}
