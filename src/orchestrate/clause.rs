//! Which words of a goal speak of which of its results.
//!
//! A goal that asks for a file and for something to be told is one text, and a small model that sees all of it does all
//! of it in every step. Code takes it apart at its sentences and at the verbs that begin a new demand, so that a step
//! sees the demands on its own result and what holds for all.
//! Must not know: the engine, plans, the workspace.

use super::word::{self, plain};

/// Verbs that begin a demand of their own after "and", "then" or a comma.
const COMMANDS: &[&str] = &[
    "write",
    "save",
    "create",
    "put",
    "store",
    "produce",
    "export",
    "generate",
    "make",
    "collect",
    "record",
    "tell",
    "say",
    "answer",
    "report",
    "give",
    "list",
    "draft",
    "add",
    "append",
    "copy",
    "move",
    "convert",
    "translate",
    "summarize",
    "summarise",
    "explain",
    "name",
    "show",
    "compute",
    "calculate",
    "work",
    "find",
    "let",
    "recommend",
    "leave",
    "jot",
    "pop",
    "mention",
    "confirm",
    "send",
];
/// Words by which a demand is to be told, and those that do so with "me" or "us" alone: one answers questions in a file.
const TELLS: &[&str] = &["tell", "say", "let", "name"];
const TELLS_ME: &[&str] = &["answer", "report", "show", "give"];
/// Phrases by which a demand is to be told, wherever they stand in it.
const WISHES: &[&str] = &[
    "like to know",
    "i want to know",
    "we want to know",
    "i need to know",
    "we need to know",
    "in your reply",
    "in the reply",
    "in your answer",
    "in the answer",
    "your reply",
    "answer here",
    "the answer should",
    "the reply should",
    "to hear",
    "tell me",
    "tell us",
    "let me know",
    "let us know",
    "confirm to me",
    "say me",
    "write me back",
];
/// Words that stand for what the words before them speak of.
const REFERRING: &[&str] = &[
    "it", "them", "this", "that", "these", "those", "answer", "answers", "reply", "replies", "result", "results",
    "list", "names", "their",
];
/// Verbs by which "you" are asked to do something.
const REQUESTS: &[&str] = &["could", "can", "would", "will"];
/// Words with which a question begins.
const QUESTIONS: &[&str] = &["what", "which", "who", "whom", "whose", "where", "when", "why", "how"];

/// One demand of a goal.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part<'a> {
    text: &'a str,
    /// A question, or a demand to be told something.
    is_told: bool,
}

/// The words of the goal that a step needs whose result goes into `path`: those that speak of it, and those that speak
/// of no other of the files in `outputs` and are not there to be told. `None` if the goal does not name the path.
pub fn of_file(goal: &str, path: &str, outputs: &[&str]) -> Option<String> {
    let parts = parts(goal);
    let own = parts.iter().position(|part| names(part.text, path))?;
    let is_kept = |(i, part): &(usize, &Part<'_>)| {
        let is_of_other = outputs.iter().any(|other| *other != path && names(part.text, other));
        names(part.text, path) || (!is_of_other && (!part.is_told || (*i < own && part.text.ends_with('?'))))
    };
    let kept = parts.iter().enumerate().filter(is_kept).map(|(_, part)| part.text);
    Some(kept.collect::<Vec<_>>().join(" "))
}

/// As [`of_file`], without what a sentence says of another of its files: in "write a poem of six lines and save it in
/// p.txt" the lines are those of the poem. What holds for all of a goal stands in a sentence that names none of its files.
pub fn of_file_alone(goal: &str, path: &str, outputs: &[&str]) -> Option<String> {
    let is_of_other = |sentence: &str| !names(sentence, path) && names_any(sentence, outputs);
    // "Write a verse into v.txt. It should be six lines long.": that is said of the file before.
    let goes_on =
        |sentence: &str| !names_any(sentence, outputs) && word::words(sentence).next().as_deref() == Some("it");
    let mut is_left_out = false;
    let mut whole_sentences: Vec<String> = Vec::new();
    for sentence in word::sentences(goal).into_iter().map(|words| words.join(" ")) {
        is_left_out = is_of_other(&sentence) || (is_left_out && goes_on(&sentence));
        if !is_left_out {
            whole_sentences.push(sentence);
        }
    }
    of_file(&whole_sentences.join(" "), path, outputs)
}

/// The demand of the goal that names a file, by itself; `None` if none does.
pub fn naming(goal: &str, path: &str) -> Option<String> {
    parts(goal).into_iter().find(|part| names(part.text, path)).map(|part| part.text.to_owned())
}

/// Of a demand the words for one of the files that it names: those between the name before it and its own, and those from
/// its own to the next; first those that speak of it.
pub fn beside<'a>(demand: &'a str, path: &str, outputs: &[&str]) -> Vec<&'a str> {
    /// Words behind a name that begin what is said of it: "a.csv for the good rows".
    const SAYING: &[&str] = &["for", "with", "without", "gets", "receives", "holds", "should", "shall", "must", "is"];
    let Some(start) = demand.find(path).filter(|_| names(demand, path)) else { return vec![demand] };
    let end = start + path.len();
    let others = || outputs.iter().filter(|other| **other != path && names(demand, other));
    let spans = || others().filter_map(|other| demand.find(other).map(|at| (at, at + other.len())));
    let from = spans().map(|(_, end)| end).filter(|end| *end <= start).max().unwrap_or(0);
    let to = spans().map(|(at, _)| at).filter(|at| *at >= end).min().unwrap_or(demand.len());
    // "certain rows are broken - save the others in": what stands before a dash is no part of it.
    let dash = ["— ", "– ", " - ", "; ", ": "]
        .iter()
        .filter_map(|mark| demand[from..start].rfind(mark).map(|at| at + mark.len()));
    let before = &demand[from + dash.max().unwrap_or(0)..end];
    let after = &demand[start..to];
    let follows = demand[end..].trim_start_matches(['"', '`', '\'', '*']);
    let next = follows.split_whitespace().next().unwrap_or_default();
    let is_said_behind = follows.starts_with(':') || SAYING.contains(&plain(next).as_str());
    if is_said_behind { vec![after, before] } else { vec![before, after] }
}

/// The words of the goal that ask to be told something and name no file that is to be written; `None` without any. A
/// question whose answer the next words want to have in a file is asked for that file.
pub fn told(goal: &str, outputs: &[&str]) -> Option<String> {
    let parts = parts(goal);
    let is_free = |(i, part): &(usize, &Part<'_>)| {
        // "How many landed in bad.csv?"
        let counts = || part.text.ends_with('?') && part.text.to_lowercase().starts_with("how many");
        part.is_told && (!names_any(part.text, outputs) || counts()) && !is_saved(&parts, *i, outputs)
    };
    // "Work out the mean and report it to me": what is told stands before.
    let speaks_of_last = |i: usize| {
        let object = word::words(parts[i].text).find(|word| !TELLS.contains(&&**word) && !TELLS_ME.contains(&&**word));
        object.is_some_and(|word| ["it", "them", "this", "both", "these", "that"].contains(&word.as_str()))
    };
    let is_needed = |i: usize| {
        let next = parts.get(i + 1).is_some_and(|next| is_free(&(i + 1, next)) && speaks_of_last(i + 1));
        next && !names_any(parts[i].text, outputs)
    };
    // "Could you add them up for me? … tell me the largest": what is only asked politely is no question.
    let is_question = |(i, part): (usize, &Part<'_>)| is_free(&(i, part)) && !is_request(part.text);
    let has_questions = parts.iter().enumerate().any(is_question);
    let is_kept = |(i, part): &(usize, &Part<'_>)| {
        (is_free(&(*i, part)) && !(has_questions && is_request(part.text))) || is_needed(*i)
    };
    let told: Vec<&str> = parts.iter().enumerate().filter(is_kept).map(|(_, part)| part.text).collect();
    (!told.is_empty()).then(|| told.join(" "))
}

/// What a step is to do whose result is told: the planner's task, or the goal's words where the task misses them.
pub fn task_to_tell(goal: &str, outputs: &[&str], task: &str) -> String {
    told(goal, outputs).filter(|told| !covers(task, told)).unwrap_or_else(|| task.to_owned())
}

/// The goal without the questions whose answers it wants to have in a file, and without the words that say so: what a
/// step has to know whose result is told.
pub fn without_saved_questions(goal: &str, outputs: &[&str]) -> String {
    let parts = parts(goal);
    let is_dropped = |i: usize| is_saved(&parts, i, outputs) || (i > 0 && is_saved(&parts, i - 1, outputs));
    (0..parts.len()).filter(|&i| !is_dropped(i)).map(|i| parts[i].text).collect::<Vec<_>>().join(" ")
}

/// Whether the `i`-th part is a question whose answer the words after it, and after other questions, want to have in a file.
fn is_saved(parts: &[Part<'_>], i: usize, outputs: &[&str]) -> bool {
    let refers = |next: &Part<'_>| word::has(&word::words(next.text).take(4).collect::<Vec<_>>(), REFERRING);
    let mut after = parts[i + 1..].iter().skip_while(|part| part.text.ends_with('?'));
    parts[i].text.ends_with('?') && after.next().is_some_and(|next| names_any(next.text, outputs) && refers(next))
}

/// The questions that a goal asks, direct and indirect ones, each by itself: "find out who pays, when it is due and whether
/// tips are allowed" asks three.
pub fn questions(goal: &str) -> Vec<String> {
    let questions = word::sentences(goal).into_iter().flat_map(|sentence| of_sentence(&sentence));
    questions.filter(|question| !is_about_source(question)).collect()
}

/// Whether a question is where an answer comes from, which every answer says: "which document it stands in".
fn is_about_source(question: &str) -> bool {
    const SOURCES: &[&str] = &["document", "documents", "file", "files", "paper", "papers", "source", "page"];
    const EMPTY: &[&str] = &[
        "which", "what", "where", "from", "stands", "stand", "found", "find", "comes", "come", "that", "each",
        "answer", "have", "taken", "name", "they", "this", "were",
    ];
    let words: Vec<String> = word::words(question).filter(|word| word.chars().count() > 3).collect();
    let is_empty = |word: &String| [SOURCES, EMPTY].iter().any(|list| list.contains(&word.as_str()));
    word::has(&words, SOURCES) && words.iter().all(is_empty)
}

/// Where the questions of a sentence begin.
fn starts(words: &[&str]) -> Vec<usize> {
    const PREPOSITIONS: &[&str] = &[
        "on", "at", "in", "by", "from", "for", "to", "with", "until", "of", "since", "after", "before", "under",
        "within",
    ];
    /// Words after which a question can begin.
    const OPENING: &[&str] = &[
        "and",
        "or",
        "out",
        "me",
        "us",
        "know",
        "say",
        "says",
        "saying",
        "stating",
        "answer",
        "questions",
        "question",
    ];
    /// Words after which one begins that is not about one of several: "look there for how much"; but "the room for which".
    const SEEKING: &[&str] =
        &["for", "see", "check", "find", "read", "state", "states", "explain", "establish", "determine"];
    let is_point = |i: usize| i > 0 && word::is_marker(words[i - 1]);
    let word_at = |i: usize| words.get(i).map_or_else(String::new, |word| plain(word));
    // "What I need: …" lists.
    let is_wish =
        |i: usize| ["i", "we"].contains(&&*word_at(i + 1)) && ["need", "want", "require"].contains(&&*word_at(i + 2));
    let is_asked = words.last().is_some_and(|word| word.ends_with('?'));
    let asks = |i: usize| {
        words
            .get(i)
            .is_some_and(|word| (is_question_word(&plain(word)) && !is_wish(i)) || (plain(word) == "if" && is_point(i)))
            || (is_asked && is_polar(words, i))
    };
    let opens = |i: usize| {
        let after = |before: &str| {
            before.ends_with([',', ':', ';']) || word::is_marker(before) || OPENING.contains(&plain(before).as_str())
        };
        // "Visitors told us what they think" asks nothing.
        let is_report = i > 1
            && ["me", "us", "them"].contains(&plain(words[i - 1]).as_str())
            && ["told", "asked", "showed", "gave"].contains(&plain(words[i - 2]).as_str());
        let is_sought = || {
            // "In the folder you find what they wrote" asks nothing, "can you find" does.
            let is_of_you = i > 1 && word_at(i - 2) == "you" && !(i > 2 && REQUESTS.contains(&word_at(i - 3).as_str()));
            let seeks = SEEKING.contains(&plain(words[i - 1]).as_str()) && !is_of_you;
            seeks && ["how", "what", "when", "where", "whether", "why"].contains(&plain(words[i]).as_str())
        };
        // "What they wrote is in notes.", "When that is done, add it." ask nothing.
        if i == 0 { is_asked || word_at(0) == "whether" } else { (after(words[i - 1]) && !is_report) || is_sought() }
    };
    let begins = |i: usize| opens(i) && (asks(i) || (PREPOSITIONS.contains(&plain(words[i]).as_str()) && asks(i + 1)));
    let mut starts: Vec<usize> = (0..words.len()).filter(|&i| begins(i)).collect();
    // "a file, in which each has its source" asks nothing.
    let is_relative = |i: usize| ["which", "whom", "whose"].contains(&&*word_at(i + 1)) && !asks(i);
    if !is_asked && starts.iter().all(|&i| is_relative(i)) {
        starts.clear();
    }
    starts
}

/// The questions of a sentence, each by itself.
fn of_sentence(words: &[&str]) -> Vec<String> {
    /// Words that speak of what an earlier question is about.
    const BACK: &[&str] = &["it", "its", "they", "them", "their", "he", "she", "his", "her", "this", "that", "there"];
    // "…, and leave the answers in a.txt" is no part of a question.
    let is_demand =
        |i: usize| COMMANDS.contains(&plain(words[i]).as_str()) && ["and", "then"].contains(&&*plain(words[i - 1]));
    let end_of = |first: usize, end: usize| (first + MIN_QUESTION..end).find(|&i| is_demand(i)).unwrap_or(end);
    let starts = starts(words);
    let mut found: Vec<String> = Vec::new();
    let mut first = match starts.first() {
        Some(first) => *first,
        None => return found,
    };
    for end in starts[1..].iter().copied().chain([words.len()]) {
        let refers = end < words.len() && {
            let next = starts.iter().copied().find(|&start| start > end).unwrap_or(words.len());
            // "…, and whether it …" is a question of its own.
            let is_apart = end > 1 && words[end - 2].ends_with(',');
            let is_joined = plain(words[end - 1]) == "and" && !is_apart;
            is_joined && words[end..next].iter().any(|word| BACK.contains(&plain(word).as_str()))
        };
        // "when and where is it" is one, and so is "who pays and how much does it cost".
        if end - first < MIN_QUESTION || refers {
            continue;
        }
        let is_left_over = |word: &&&str| word::is_marker(word) || **word == "and";
        let last = end_of(first, end);
        let n_left_over = words[first..last].iter().rev().take_while(is_left_over).count();
        let text = words[first..last - n_left_over].join(" ");
        let text = text.trim_end_matches(|c: char| ",.:;!? ".contains(c));
        let mut letters = text.chars();
        found.extend(letters.next().map(|head| format!("{}{}?", head.to_uppercase(), letters.as_str())));
        first = end;
    }
    found
}

/// Whether a question that is answered by yes or no begins at the `i`-th word: "can we …", "are dogs …". What "you" are
/// asked to do is no question.
fn is_polar(words: &[&str], i: usize) -> bool {
    let word = |i: usize| words.get(i).map_or(String::new(), |word| plain(word));
    let begins = words.get(i).is_some_and(|word| word::AUXILIARIES.contains(&plain(word).as_str()));
    // "the day it is, and is there" asks; "a room that is quiet and is cheap" goes on.
    const SUBJECTS: &[&str] = &[
        "i", "we", "they", "he", "she", "it", "one", "there", "the", "a", "an", "any", "my", "our", "your", "their",
        "this", "that", "these", "those",
    ];
    let is_first = i == 0 || word::is_marker(words[i - 1]) || words[i - 1].ends_with(':');
    // ", and can her basket come?"
    let is_apart = i > 1 && word(i - 1) == "and" && words[i - 2].ends_with(',');
    begins && word(i + 1) != "you" && (is_first || is_apart || SUBJECTS.contains(&word(i + 1).as_str()))
}

/// Words of the shortest question.
const MIN_QUESTION: usize = 3;

fn is_question_word(word: &str) -> bool {
    let word = word.trim_end_matches("'s").trim_end_matches("’s");
    QUESTIONS.contains(&word) || word == "whether"
}

/// The words of a goal that say what makes the best of several, where they do so in passing: "as close to it as we can".
pub fn best(goal: &str) -> Option<String> {
    const ENDS: &[&str] = &["possible", "we can", "i can", "you can", "they can"];
    /// Words between the two "as".
    const MAX_BETWEEN: usize = 6;
    let says = |sentence: &Vec<&str>| {
        let words: Vec<String> = sentence.iter().map(|word| plain(word)).collect();
        let starts = (0..words.len()).filter(|&i| words[i] == "as");
        let is_end = |i: usize| ENDS.iter().any(|end| words[i + 1..].join(" ").starts_with(end)) && words[i] == "as";
        starts.clone().any(|i| starts.clone().any(|j| j > i + 1 && j - i <= MAX_BETWEEN + 1 && is_end(j)))
    };
    word::sentences(goal).into_iter().find(says).map(|sentence| sentence.join(" "))
}

/// Whether a task speaks of what is asked: it has at least half of its words.
pub fn covers(task: &str, asked: &str) -> bool {
    let stems = |text: &str| -> std::collections::BTreeSet<String> {
        let is_of_content = |word: &String| {
            let is_verb = TELLS.contains(&word.as_str()) || QUESTIONS.contains(&word.as_str());
            word.len() > 2
                && !is_verb
                && !["the", "and", "also", "then", "them", "that", "are", "has"].contains(&word.as_str())
        };
        word::words(text).filter(is_of_content).map(|word| word::stem(&word)).collect()
    };
    let (task, asked) = (stems(task), stems(asked));
    asked.intersection(&task).count() * 2 >= asked.len()
}

/// Whether questions ask for everything that a task lists: every part of it has a word with one of them in common.
pub fn ask_all(questions: &[String], task: &str) -> bool {
    let stems = |text: &str| -> std::collections::BTreeSet<String> {
        word::words(text).filter(|word| word.chars().count() > 3).map(|word| word::stem(&word)).collect()
    };
    /// Of parts that say where answers go and come from.
    const ABOUT_ANSWERS: &[&str] =
        &["write", "save", "saved", "source", "file", "docume", "paper", "answer", "state", "tell"];
    let asked = stems(&questions.join(" "));
    let is_about_answers =
        |part: &std::collections::BTreeSet<String>| ABOUT_ANSWERS.iter().any(|word| part.contains(*word));
    let mut parts = task.split([',', ';']).flat_map(|part| part.split(" and ")).map(stems);
    parts.all(|part| part.len() < 2 || is_about_answers(&part) || !part.is_disjoint(&asked))
}

/// Whether one demand of the goal names both files, and so means them together.
pub fn names_together(goal: &str, path: &str, other: &str) -> bool {
    parts(goal).iter().any(|part| names(part.text, path) && names(part.text, other))
}

fn names_any(text: &str, paths: &[&str]) -> bool {
    paths.iter().any(|path| names(text, path))
}

/// Whether a text names a file, or the folder of `folder/*` and not another file in it.
pub fn names(text: &str, path: &str) -> bool {
    let name = path.trim_end_matches("/*");
    let is_folder = name.len() < path.len();
    text.match_indices(name).any(|(at, _)| {
        let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
        let before = text[..at].chars().next_back().is_some_and(|c| is_part(c) || c == '/');
        let behind = &text[at + name.len()..];
        let inside = if is_folder { behind.strip_prefix('/').unwrap_or(behind) } else { behind };
        let after = inside.chars().next().is_some_and(is_part);
        !before && !after
    })
}

/// The demands of a goal, in order; together they are the goal.
fn parts(goal: &str) -> Vec<Part<'_>> {
    let words: Vec<(usize, &str)> = words(goal);
    let mut parts = Vec::new();
    let mut first = 0;
    for i in 1..=words.len() {
        if i < words.len() && !begins(&words, i) && !is_of_list(goal, &words, i) {
            continue;
        }
        let end = words.get(i).map_or(goal.len(), |(at, _)| *at);
        let text = goal[words[first].0..end].trim();
        // The conjunction before the next demand belongs to neither.
        let text =
            [" and", " then", ","].iter().fold(text, |text, word| text.strip_suffix(word).unwrap_or(text).trim_end());
        let is_told = text.ends_with('?') || is_told(&words[first..i]);
        parts.push(Part { text, is_told });
        first = i;
    }
    parts
}

/// Words with where they begin.
fn words(text: &str) -> Vec<(usize, &str)> {
    text.split_whitespace().map(|word| (word.as_ptr() as usize - text.as_ptr() as usize, word)).collect()
}

/// Whether a demand begins at the `i`-th word.
fn begins(words: &[(usize, &str)], i: usize) -> bool {
    let before = words[i - 1].1;
    let is_end = before.ends_with(['.', '!', '?', ';']) && !word::is_marker(before);
    if is_end && !["e.g.", "i.e.", "etc."].contains(&before) {
        return true;
    }
    let word = plain(words[i].1);
    let joins = |word: &str| ["and", "then", "also"].contains(&plain(word).as_str()) || word.ends_with([',', ':']);
    // "…, and from you I'd like to hear"
    if plain(before) == "and" && is_wish(&words[i..]) {
        return true;
    }
    // "keys: name, age" lists.
    let is_listed = words[i].1.ends_with(',');
    COMMANDS.contains(&word.as_str()) && joins(before) && !is_listed
}

/// Whether words begin with what somebody wants to be told.
fn is_wish(words: &[(usize, &str)]) -> bool {
    /// Words up to the end of the wish.
    const MAX_WORDS: usize = 7;
    let text: Vec<String> = words.iter().take(MAX_WORDS).map(|(_, word)| plain(word)).collect();
    let begins = text.iter().any(|word| ["i", "we", "i'd", "we'd", "i’d", "we’d"].contains(&word.as_str()));
    begins && WISHES.iter().any(|wish| text.join(" ").contains(wish))
}

/// Whether a blank line or an item of a list begins at the `i`-th word.
fn is_of_list(text: &str, words: &[(usize, &str)], i: usize) -> bool {
    let gap = &text[words[i - 1].0 + words[i - 1].1.len()..words[i].0];
    gap.matches('\n').count() > 1 || (gap.contains('\n') && word::is_marker(words[i].1))
}

/// Whether a question asks for something to be done: "could you add them up?"
fn is_request(text: &str) -> bool {
    let mut words = word::words(text).filter(|word| !["hi", "hello", "please", "so", "and"].contains(&word.as_str()));
    let is_verb = words.next().is_some_and(|word| REQUESTS.contains(&word.as_str()));
    is_verb && words.next().as_deref() == Some("you") && !WISHES.iter().any(|wish| text.contains(wish))
}

fn is_told(words: &[(usize, &str)]) -> bool {
    let fillers = ["and", "then", "also", "please", "finally", "just"];
    let n_marks = words.iter().take_while(|(_, word)| word::is_marker(word)).count();
    let is_asked = words.last().is_some_and(|(_, word)| word.ends_with('?'));
    let lists = !is_asked && words.iter().any(|(_, word)| word.ends_with(':'));
    let words: Vec<String> = words[n_marks..].iter().map(|(_, word)| plain(word)).collect();
    let text = words.join(" ");
    if WISHES.iter().any(|wish| text.contains(wish)) || needs_figure(&words) {
        return true;
    }
    let mut words = words.into_iter().filter(|word| !fillers.contains(&word.as_str()));
    let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let is_to_me = TELLS_ME.contains(&first.as_str()) && ["me", "us"].contains(&second.as_str());
    let reports = (first == "report" && ["the", "how", "which", "what"].contains(&second.as_str()))
        || (first == "answer" && second == "with");
    // "report it to me", "send both of them to us"
    let hands_over = ["to me", "to us"].iter().any(|end| text.contains(&format!(" {end}")));
    let is_handed = ["report", "give", "send", "explain"].contains(&first.as_str()) && hands_over;
    // "What has to be met: …" says so itself.
    let asks = QUESTIONS.contains(&first.as_str()) && !lists;
    is_handed || is_to_me || reports || TELLS.contains(&first.as_str()) || asks
}

/// Whether somebody needs a figure: "I need the mean to two decimals".
fn needs_figure(words: &[String]) -> bool {
    const FIGURES: &[&str] = &["mean", "average", "number", "total", "sum", "count", "share", "percentage"];
    let is_need = |four: &[String]| {
        ["i", "we"].contains(&four[0].as_str())
            && ["need", "want"].contains(&four[1].as_str())
            && ["the", "its", "their", "both"].contains(&four[2].as_str())
            && FIGURES.contains(&four[3].as_str())
    };
    words.len() > 3 && is_need(&words[..4])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_sees_what_is_demanded_of_its_result() {
        let goal = "Read a.csv. Add up the costs per site, save them as a table in t.md, dearest first, and write the \
                    names of the sites to n.txt. Round to 2 decimals. Tell me the dearest and which is cheapest.";
        let outputs = ["t.md", "n.txt"];
        for (path, want) in [
            (
                "t.md",
                "Read a.csv. Add up the costs per site save them as a table in t.md, dearest first Round to 2 decimals.",
            ),
            (
                "n.txt",
                "Read a.csv. Add up the costs per site write the names of the sites to n.txt. Round to 2 decimals.",
            ),
        ] {
            assert_eq!(of_file(goal, path, &outputs).as_deref(), Some(want));
        }
        assert_eq!(of_file(goal, "other.md", &outputs), None);
        let list = "Look this up:\n1) What does it cost?\n2) Who pays for it?\nWrite the replies into n.txt.";
        assert_eq!(told(list, &["n.txt"]), None);
        let points = "Turn a.csv into b.json.\n\n- keys: name, age\n- no blanks\n\nReport the number of rows.";
        assert_eq!(
            of_file(points, "b.json", &["b.json"]).as_deref(),
            Some("Turn a.csv into b.json. - keys: name, age - no blanks")
        );
        assert_eq!(told(points, &["b.json"]).as_deref(), Some("Report the number of rows."));
        let wish = "Copy the bad lines to b.txt and add up all the others. I'd like to know the sum.";
        assert_eq!(told(wish, &["b.txt"]).as_deref(), Some("I'd like to know the sum."));
        assert_eq!(told(goal, &outputs).as_deref(), Some("Tell me the dearest and which is cheapest."));
        let need = "Save the good lines as g.csv. I need the mean to two decimals.";
        assert_eq!(told(need, &["g.csv"]).as_deref(), Some("I need the mean to two decimals."));
        let sent = "Keep the good lines in g.csv. Of those work out the mean and report it to me with their number.";
        let want = "Of those work out the mean report it to me with their number.";
        assert_eq!(told(sent, &["g.csv"]).as_deref(), Some(want));
        let asked = "The good lines should go to g.csv, header included, and from you I'd like to hear the mean.";
        assert_eq!(told(asked, &["g.csv"]).as_deref(), Some("from you I'd like to hear the mean."));
        assert!(names("Save each in short/ as it is.", "short/*") && !names("Make short/all.md.", "short/*"));
        assert_eq!(told("What has to be met: room for 9, 3 beds. Put it into h.txt.", &["h.txt"]), None);
        assert_eq!(told("We need the bill of Ada. Save it as b.txt.", &["b.txt"]), None);
    }

    #[test]
    fn what_a_sentence_says_of_another_file_is_left_out() {
        let goal = "Write a song of exactly six lines and save it in s.txt? The words should be plain. \
                    After that write one paragraph about it and save it in m.md.";
        let outputs = ["s.txt", "m.md"];
        assert_eq!(
            of_file_alone(goal, "m.md", &outputs).as_deref(),
            Some("The words should be plain. After that write one paragraph about it save it in m.md.")
        );
        assert!(of_file_alone(goal, "s.txt", &outputs).unwrap().contains("six lines"));
        assert_eq!(naming(goal, "m.md").as_deref(), Some("save it in m.md."));
        let demand = "Some rows are bad - valid rows go in g.csv, the incomplete ones in b.csv (as they are).";
        let own = |path: &str| beside(demand, path, &["g.csv", "b.csv"])[0];
        assert_eq!((own("g.csv"), own("b.csv")), ("valid rows go in g.csv", ", the incomplete ones in b.csv"));
        let behind = "Split a.csv in two: g.csv for the rows that are good and b.csv for the others.";
        let own = |path: &str| beside(behind, path, &["g.csv", "b.csv"])[0];
        assert_eq!((own("g.csv"), own("b.csv")), ("g.csv for the rows that are good and ", "b.csv for the others."));
    }

    #[test]
    fn what_makes_the_best_is_found_where_it_is_said_in_passing() {
        let goal = "We are seven, and we'd like to be as close to the lake as we can. Which hut should we book?";
        assert_eq!(best(goal).as_deref(), Some("We are seven, and we'd like to be as close to the lake as we can."));
        assert_eq!(best("Leave as early as possible.").as_deref(), Some("Leave as early as possible."));
        assert_eq!(best("Save it as a table, as I said."), None);
    }

    #[test]
    fn a_task_that_misses_what_is_asked_is_told_from_one_that_has_it() {
        let asked = "Also tell me the date of the longest delay.";
        assert!(!covers("the average delay of each line", asked));
        assert!(covers("date of the longest delay", asked));
        assert!(covers("the total weight", "tell me the total weight of the good rows"));
    }

    #[test]
    fn questions_that_leave_out_a_part_of_a_task_are_found() {
        let questions = ["What do they complain about most often?".to_owned()];
        assert!(!ask_all(&questions, "average score of all visitors and what they complain about most often"));
        assert!(ask_all(&questions, "what they complain about, most often"));
    }

    #[test]
    fn every_question_of_a_goal_is_found_by_itself() {
        for (goal, want) in [
            (
                "Read m.md and tell me: who buys the mower and how much may it cost, when and where is the next meeting, \
                 and who takes over the bees? Write the answers to a.md.",
                &[
                    "Who buys the mower and how much may it cost?",
                    "When and where is the next meeting?",
                    "Who takes over the bees?",
                ][..],
            ),
            (
                "From the notes, find out how long the notice is, on which day the rent is due and whether pets are allowed.",
                &["How long the notice is?", "On which day the rent is due?", "Whether pets are allowed?"],
            ),
            ("What is the mean delay? Save it to a.md.", &["What is the mean delay?"]),
            (
                "Find out what the rent of the plot is, and whether I may keep hens on it.",
                &["What the rent of the plot is?", "Whether I may keep hens on it?"],
            ),
            (
                "Can you look up 1. how many weeks I get, 2. how many copies they want and 3. if I can write in English?",
                &["How many weeks I get?", "How many copies they want?", "If I can write in English?"],
            ),
            (
                "Please look up:\n1) How wide is the gate?\n2) Until what time is it open?\n- Who has the key?",
                &["How wide is the gate?", "Until what time is it open?", "Who has the key?"],
            ),
            (
                "Search the papers for how much they pay, and when it is due, and leave that in g.txt, please.",
                &["How much they pay?", "When it is due?"],
            ),
            (
                "q.md\n\nQ1 is the fence covered?\nQ2 who's on call?\nanswers to a.md",
                &["Is the fence covered?", "Who's on call?"],
            ),
            (
                "What does a night cost, how many days before must we write, and can her own basket come along? \
                 With every point say which document it stands in.",
                &["What does a night cost?", "How many days before must we write?", "Can her own basket come along?"],
            ),
            ("What they wrote is in notes. When that's done, add it up. How it works is in a.md.", &[]),
            ("Choose the room which costs least. Tell me its name.", &[]),
            ("In the folder notes you find what guests wrote to us, each in a file of its own.", &[]),
            ("Visitors told us what they think, one file each.", &[]),
            (
                "Tell me how many days before the warden has to be told, and whether I can have the van for it.",
                &["How many days before the warden has to be told?", "Whether I can have the van for it?"],
            ),
            ("Could you add up the hours per site?", &[]),
            (
                "What is the fee, how long ahead do we have to book it, and can we bring a cake? Are dogs allowed, and am I late?",
                &[
                    "What is the fee?",
                    "How long ahead do we have to book it?",
                    "Can we bring a cake?",
                    "Are dogs allowed?",
                    "Am I late?",
                ],
            ),
        ] {
            assert_eq!(questions(goal), want, "{goal}");
        }
    }

    #[test]
    fn a_question_belongs_to_the_file_that_its_answer_is_saved_in() {
        let goal = "What is the mean delay of each line? Save it to mean.json. Which line is the slowest?";
        assert_eq!(
            of_file(goal, "mean.json", &["mean.json"]).as_deref(),
            Some("What is the mean delay of each line? Save it to mean.json.")
        );
        assert_eq!(told(goal, &["mean.json"]).as_deref(), Some("Which line is the slowest?"));
        assert_eq!(without_saved_questions(goal, &["mean.json"]), "Which line is the slowest?");
        assert_eq!(told("Who is oldest? Write a poem to p.txt.", &["p.txt"]).as_deref(), Some("Who is oldest?"));
        assert_eq!(told("Write a poem to p.txt.", &["p.txt"]), None);
        assert_eq!(told("Report the sums in p.txt.", &["p.txt"]), None);
        assert_eq!(told("Read h.md, and answer the questions in q.txt from it. Write them to a.md.", &["a.md"]), None);
        assert!(told("Write the sums to p.txt and report me the largest.", &["p.txt"]).is_some());
        let each = "Shorten every note in notes, save each in short, and tell me how many there are.";
        assert_eq!(of_file(each, "short/*", &["short/*"]).unwrap(), "Shorten every note in notes save each in short");
    }
}
