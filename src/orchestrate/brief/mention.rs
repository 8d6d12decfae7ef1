//! The files that a goal names, each with what the words around it say it is for.
//!
//! A name that exists is read, unless the goal says to change it. For one that does not exist the nearest word decides that
//! says what becomes of it: "put … in", "goes in", "as given in". Where none does, a name that is like one that is there
//! was meant to be read, and any other is to be made.
//! Must not know: the workspace, plans, steps.

use std::collections::BTreeSet;

use super::super::word;
use crate::tool::workspace::similar_names;

/// What a file named in a goal is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// To be read.
    Input,
    /// To be written.
    Output,
}

/// What the words before a name say of the file itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// It stays as it is.
    No,
    /// It goes elsewhere, or away.
    Place,
    /// Something else will stand in it.
    Content,
}

/// A file name that stands in a goal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mention {
    /// As it is written there.
    pub path: String,
    /// What the words around it say about it.
    pub part: Part,
    /// What is to become of a file that is there.
    pub change: Change,
}

/// Extensions that make a word a file name even if no such file exists.
const EXTENSIONS: &[&str] = &[
    "txt", "md", "markdown", "rst", "csv", "tsv", "json", "jsonl", "ndjson", "yaml", "yml", "toml", "xml", "html",
    "htm", "css", "js", "mjs", "ts", "tsx", "jsx", "py", "rs", "go", "java", "c", "h", "cpp", "hpp", "cs", "rb", "php",
    "sh", "bash", "sql", "db", "sqlite", "sqlite3", "log", "ini", "cfg", "conf", "env", "tex", "svg", "pdf", "dat",
    "out", "diff", "patch", "ics", "eml", "srt", "vtt", "bib", "text", "adoc", "org",
];

/// Words that announce a file to be written when they stand right before its name.
const INTO: &[&str] = &["into", "to", "as", "called", "named", "onto", "need", "want"];
/// Words for the place where something is, or goes; what it does there decides.
const PLACES: &[&str] = &["in", "under", "at", "inside", "within", "on"];
/// Verbs after which a file named in the same clause is written, with any preposition.
const WRITES: &[&str] = &[
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
    "output",
    "deliver",
    "draft",
    "prepare",
    "compose",
    "summarize",
    "summarise",
    "report",
    "print",
    "dump",
    "place",
    "copy",
    "list",
    "leave",
    "translate",
    "convert",
    "document",
    "note",
    "pop",
    "drop",
    "stick",
    "jot",
    "log",
    "keep",
    "file",
    "enter",
    "type",
    "set",
    "collate",
    "gather",
    "capture",
    "register",
    "build",
];
/// Words of [`WRITES`] that are often nouns, or adjectives.
const NOUNS: &[&str] = &[
    "list", "report", "record", "note", "document", "copy", "place", "output", "draft", "export", "print", "dump",
    "pop", "log", "file", "type", "set", "build", "drop", "register",
];
/// Verbs of which what is written is the subject: "the names go in", "it should end up in".
const ARRIVES: &[&str] =
    &["go", "goes", "belong", "belongs", "land", "lands", "end", "ends", "saved", "stored", "kept"];
/// Words after which a file is read, whatever verb came before.
const READS: &[&str] =
    &["from", "using", "of", "read", "per", "open", "with", "than", "like", "see", "against", "about", "use", "by"];
/// Verbs by which something is looked for in a file, or computed from it.
const LOOKS: &[&str] = &[
    "from",
    "using",
    "read",
    "open",
    "look",
    "check",
    "find",
    "see",
    "consult",
    "search",
    "combine",
    "take",
    "study",
    "compare",
    "use",
    "total",
    "sum",
    "count",
    "calculate",
    "compute",
    "average",
    "determine",
];
/// What becomes of what is to be written.
const MADE: &[&str] = &["listed", "written", "recorded", "noted", "saved", "stored", "kept", "put", "collected"];
/// Forms that a file has.
const FORMS: &[&str] = &["json", "csv", "markdown", "text", "yaml", "html", "table", "list"];
/// Verbs that leave open whether what follows is read or written.
const TELLS: &[&str] = &["answer", "give", "show", "state", "mention", "explain"];
/// Words by which something is said to stand in a file that is there.
const STANDS: &[&str] = &[
    "is",
    "are",
    "was",
    "were",
    "listed",
    "stands",
    "stand",
    "described",
    "written",
    "found",
    "recorded",
    "noted",
    "defined",
    "explained",
    "given",
    "used",
    "lives",
    "lies",
    "sits",
];
/// Words by which something is wished for, so that it is not there yet.
const WANTS: &[&str] = &["want", "like", "need", "expect"];
/// Verbs of which a file that is there is the subject.
const HOLDS: &[&str] =
    &["has", "holds", "lists", "contains", "tells", "gives", "shows", "says", "is", "records", "describes", "explains"];
/// Verbs of which a file that is not there yet is the subject.
const RECEIVES: &[&str] = &["gets", "receives", "takes", "becomes", "should", "must", "shall", "will"];
/// Verbs that change an existing file in place.
const CHANGES: &[&str] = &[
    "update",
    "overwrite",
    "replace",
    "modify",
    "edit",
    "fix",
    "correct",
    "append",
    "add",
    "change",
    "rewrite",
    "extend",
    "insert",
    "rename",
    "move",
    "delete",
    "remove",
    "reformat",
    "sort",
    "complete",
];
/// Those of [`CHANGES`] after which a file is no longer where it was.
const MOVES: &[&str] = &["rename", "move", "delete", "remove"];

fn is_file_name(word: &str, existing: &BTreeSet<&str>) -> bool {
    if existing.contains(word) {
        return true;
    }
    let Some((stem, extension)) = word.rsplit_once('.') else { return false };
    !stem.is_empty()
        && !stem.starts_with('.')
        && !word.contains("://")
        && !word.contains("..")
        && word.chars().all(|c| c.is_alphanumeric() || "._-/ ".contains(c))
        && EXTENSIONS.contains(&extension.to_lowercase().as_str())
        && !is_framework(stem, extension)
}

/// Whether a word is the name of something like Node.js, and of no file.
fn is_framework(stem: &str, extension: &str) -> bool {
    extension == "js" && stem.starts_with(char::is_uppercase)
}

/// A word without the marks around it, the ending `'s`, and a leading `./`.
pub fn trim_word(word: &str) -> &str {
    let is_mark = |c: char| "\"'`()[]{}<>,;:!?*“”‘’«»".contains(c);
    let word = word.trim_start_matches(is_mark).trim_end_matches(|c| is_mark(c) || c == '.');
    word.trim_end_matches("'s").trim_start_matches("./")
}

/// A word in small letters without its marks; an arrow is the word that it stands for.
pub fn plain_word(word: &str) -> String {
    let is_arrow = ["->", "→", "=>", ">", "-->"].contains(&word);
    if is_arrow { "into".to_owned() } else { trim_word(word).to_lowercase() }
}

/// The file names that stand in a goal, in order, each once, with what the words around them say.
///
/// `existing` are the files of the workspace. A name that exists is an input unless the goal says to change it.
pub fn mentions(goal: &str, existing: &[String]) -> Vec<Mention> {
    let odd = odd_names(existing);
    let goal = odd.iter().enumerate().fold(goal.to_owned(), |goal, (k, name)| goal.replace(*name, &stand_in(k)));
    let existing: BTreeSet<&str> = existing.iter().map(String::as_str).collect();
    let mut found: Vec<Mention> = Vec::new();
    for clause in word::sentences(&goal) {
        let mut previous: Option<(usize, Part)> = None;
        for (i, word) in clause.iter().enumerate() {
            let word = trim_word(word);
            let path = (0..odd.len()).find(|k| word == stand_in(*k)).map_or(word, |k| odd[k]);
            if !is_file_name(path, &existing) {
                continue;
            }
            let place = Place::of(&clause, i, previous);
            let change = place.change();
            let part = match place.part() {
                _ if existing.contains(path) && change == Change::No => Part::Input,
                Some(part) => part,
                None if change != Change::No => Part::Output,
                None if is_taken_for_another(path, &existing) => Part::Input,
                None => Part::Output,
            };
            previous = Some((i, part));
            let change = if existing.contains(path) { change } else { Change::No };
            match found.iter_mut().find(|mention| mention.path == path) {
                Some(known) if part == Part::Output => (known.part, known.change) = (part, known.change.max(change)),
                Some(known) => known.change = known.change.max(change),
                None => found.push(Mention { path: path.to_owned(), part, change }),
            }
        }
    }
    found
}

/// Whether a name that is not there is like one that is, of the same kind: rows are not looked for in prose.
fn is_taken_for_another(path: &str, existing: &BTreeSet<&str>) -> bool {
    const PROSE: &[&str] = &["txt", "md", "markdown", "rst", "text", "adoc", "org", "html", "htm", "tex"];
    let is_prose = |path: &str| {
        let extension = path.rsplit_once('.').map_or("", |(_, extension)| extension);
        PROSE.contains(&extension.to_lowercase().as_str())
    };
    similar_names(path, existing.iter().copied()).iter().any(|other| is_prose(other) == is_prose(path))
}

/// Where a name stands: the words around it.
struct Place {
    /// Those before it in its sentence, without what stands between commas right before it.
    before: Vec<String>,
    /// The two after it.
    after: Vec<String>,
    /// Where the name before it in the same sentence stands, and what that is for.
    previous: Option<(usize, Part)>,
    /// Whether they are a question.
    asks: bool,
    /// Whether an item of a list begins with it and says what it is: "- good.csv: the good rows".
    is_headed: bool,
}

impl Place {
    fn of(sentence: &[&str], i: usize, previous: Option<(usize, Part)>) -> Self {
        let is_item = sentence[..i].iter().all(|word| word::is_marker(word)) && i > 0;
        let is_headed = is_item && sentence[i].ends_with(':');
        let n_marks = sentence[..i].iter().take_while(|word| word::is_marker(word)).count();
        let end = aside(&sentence[..i]).unwrap_or(i..i);
        let kept = (n_marks..i).filter(|k| !end.contains(k));
        let asks = sentence.last().is_some_and(|last| last.ends_with('?'))
            && sentence.get(n_marks).is_some_and(|first| begins_question(first));
        let previous = previous.filter(|(at, _)| !end.contains(at)).map(|(at, part)| {
            let n_dropped = end.clone().filter(|k| *k < at).count() + n_marks;
            (at - n_dropped.min(at), part)
        });
        Self {
            // "remarks marked CHECK": what is in capitals is no verb.
            before: kept
                .map(|k| if is_mark(sentence[k]) { String::new() } else { verb_or_word(sentence[k]) })
                .collect(),
            after: sentence[i + 1..].iter().take(2).map(|word| trim_word(word).to_lowercase()).collect(),
            previous,
            asks,
            is_headed,
        }
    }

    fn change(&self) -> Change {
        if self.is_subject() {
            return Change::No;
        }
        let verbs = (0..self.before.len()).filter(|k| changes(&self.before, *k));
        let kind = |k: usize| if MOVES.contains(&&*self.before[k]) { Change::Place } else { Change::Content };
        verbs.map(kind).max().unwrap_or(Change::No)
    }

    /// "a.csv has …"
    fn is_subject(&self) -> bool {
        self.after.first().is_some_and(|next| HOLDS.contains(&next.as_str()))
    }

    /// What the words say, if they do.
    fn part(&self) -> Option<Part> {
        if self.is_to_be() || self.is_headed {
            return Some(Part::Output);
        }
        if let Some((at, part)) = self.previous
            && self.before[at + 1..].iter().all(|word| word.is_empty() || ["and", "or", "&"].contains(&word.as_str()))
        {
            return Some(part); // "a.csv, b.csv and c.csv"
        }
        let filler = ["the", "a", "an", "file", "new", "one", "text", "single", "also", "too", "csv", "json", "and"];
        let mut near = self.before.iter().rev().filter(|word| !filler.contains(&word.as_str()));
        let [last, previous] = [near.next(), near.next()].map(|word| word.map_or("", String::as_str));
        if ["according", "compared", "relative", "due", "close"].contains(&previous) && last == "to" {
            return Some(Part::Input);
        }
        // "it is called …"; but "a file called …".
        if last == "called" && ["is", "was", "are", "were"].contains(&previous) {
            return Some(Part::Input);
        }
        let is_name = ["it", "this", "them"].contains(&last) && ["name", "call", "title"].contains(&previous);
        // "I'd like a.md with …" wishes for it, "a table like a.md" has it.
        let wishes = last == "like" && ["i'd", "we'd", "would", "i", "we", "i’d", "we’d"].contains(&previous);
        if INTO.contains(&last) || is_name || wishes {
            return Some(Part::Output);
        }
        if READS.contains(&last) || self.is_subject() {
            return Some(Part::Input);
        }
        if PLACES.contains(&last) { self.part_in_place() } else { self.nearest() }
    }

    /// What a name is for that stands behind a word for a place.
    fn part_in_place(&self) -> Option<Part> {
        let before = &self.before;
        let n_near = before.len().saturating_sub(4);
        // "they are all in …", "as listed in …"; but "is to go in".
        let has_near = |words: &[&str]| before[n_near..].iter().any(|word| words.contains(&word.as_str()));
        if has_near(&["be"]) && has_near(&["should", "must", "needs", "has", "ought", "shall", "will"]) {
            return None; // as it is to be, or as somebody thinks that it is
        }
        // "is to be recorded in …", "as JSON in …"
        let has = |word: &str| before.iter().any(|other| other == word);
        let is_made = has("be") && (has("to") || has("should") || has("must")) && has_near(MADE);
        let is_form = |two: &[String]| two[0] == "as" && FORMS.contains(&two[1].as_str());
        if is_made || before[n_near..].windows(2).any(is_form) {
            return Some(Part::Output);
        }
        let stands = (n_near..before.len()).any(|k| STANDS.contains(&before[k].as_str()) && !self.describes(k));
        if stands && !has_near(ARRIVES) {
            return Some(Part::Input);
        }
        self.nearest().or_else(|| {
            let is_wanted = before.iter().any(|word| WANTS.contains(&word.as_str()));
            match (self.asks, is_wanted) {
                (true, _) => Some(Part::Input),
                (false, true) => Some(Part::Output),
                (false, false) => None,
            }
        })
    }

    /// Whether the `k`-th word before the name says how something is, and not where: "save the lines that are fine in".
    fn describes(&self, k: usize) -> bool {
        let word = |k: usize| self.before.get(k).map_or("", String::as_str);
        let is_relative = k > 0 && ["that", "which", "who"].contains(&word(k - 1));
        let is_copula = ["is", "are", "was", "were"].contains(&word(k));
        let is_place = |word: &str| PLACES.contains(&word) || STANDS.contains(&word) || ["all", "to"].contains(&word);
        is_relative && is_copula && !is_place(word(k + 1))
    }

    /// What the nearest verb says: one that writes, of the whole sentence, or one that looks
    /// something up, which speaks of the next name only.
    fn nearest(&self) -> Option<Part> {
        let before = &self.before;
        let verb = (0..before.len()).rposition(|k| writes(before, k) || ARRIVES.contains(&before[k].as_str()));
        let start = self.previous.map_or(0, |(at, _)| at + 1);
        // "leave what you find in …" tells nobody to look there.
        let is_told = |k: usize| k == 0 || !["you", "i", "we"].contains(&&*before[k - 1]);
        let read = (start..before.len()).rfind(|&k| LOOKS.contains(&before[k].as_str()) && is_told(k));
        // "answer it in a.md": in a new one, or those that stand in one?
        let tells = (0..before.len()).rfind(|&k| TELLS.contains(&before[k].as_str()) && begins(before, k));
        match (verb, read) {
            _ if tells > verb.max(read) => None,
            // Both can be meant.
            (Some(verb), Some(read)) if read > verb => None,
            (Some(_), _) => Some(Part::Output),
            (None, Some(_)) => Some(Part::Input),
            (None, None) => None,
        }
    }

    /// Whether the words say what the file has to be: "… is to hold", "… should have", "in … I want", "in …, list".
    fn is_to_be(&self) -> bool {
        let after: Vec<&str> = self.after.iter().map(String::as_str).collect();
        let is_first = self.before.len() == 1 && self.before[0] == "in";
        match after[..] {
            [verb, ..] if RECEIVES.contains(&verb) => true,
            [verb, ..] if is_first && (WRITES.contains(&verb) || ["give", "show", "say"].contains(&verb)) => true,
            ["i" | "we", verb] => is_first && (WANTS.contains(&verb) || verb == "would"),
            ["i'd" | "we'd", ..] => is_first,
            [verb, to] => {
                ["is", "has", "needs", "ought", "supposed"].contains(&verb) && ["to", "supposed"].contains(&to)
            }
            _ => false,
        }
    }
}

/// A word without its marks, in small letters; of "it's" the verb.
fn verb_or_word(word: &str) -> String {
    let lower = word.to_lowercase().replace('’', "'");
    let lower = lower.trim_matches(|c: char| !c.is_alphanumeric() && c != '\'');
    match lower {
        "it's" | "that's" | "there's" | "what's" | "here's" => "is".into(),
        "they're" | "these're" => "are".into(),
        _ => plain_word(word),
    }
}

/// Whether a sentence that begins with this word and ends with a question mark is a question as a whole.
fn begins_question(first: &str) -> bool {
    const FIRST: &[&str] = &[
        "what", "which", "who", "whose", "where", "when", "why", "how", "is", "are", "was", "were", "do", "does",
        "did", "has", "have", "can", "could", "in", "from", "and", "so",
    ];
    FIRST.contains(&plain_word(first).as_str())
}

/// Whether a word is all capitals, as marks in texts are.
fn is_mark(word: &str) -> bool {
    let word = trim_word(word);
    let is_form = FORMS.contains(&word.to_lowercase().as_str());
    !is_form && word::is_capitals(word)
}

/// Where the words stand that are put in between commas right before the last one: "store it, with what you found, in".
fn aside(before: &[&str]) -> Option<std::ops::Range<usize>> {
    const OPENING: &[&str] = &["along", "together", "with", "including", "which", "as", "if", "when", "next"];
    let last = before.len().checked_sub(1)?;
    let ends = last > 0 && before[last - 1].ends_with(',') && PLACES.contains(&plain_word(before[last]).as_str());
    let begins = before[..last].iter().rev().skip(1).position(|word| word.ends_with(','))?;
    let first = last - 1 - begins;
    (ends && OPENING.contains(&plain_word(before[first]).as_str())).then_some(first..last)
}

/// Whether the `k`-th of the words before a file is a verb that changes it; one that is "added up" stays as it is, and what
/// is added to a file goes to or into it.
fn changes(words: &[String], k: usize) -> bool {
    const INTO: &[&str] = &["to", "into", "in", "at", "onto"];
    const PLACE: &[&str] =
        &["the", "a", "file", "end", "top", "beginning", "of", "my", "our", "table", "list", "existing"];
    let adds = ["add", "append", "insert"].contains(&words[k].as_str());
    let last = words[k + 1..].iter().rev().find(|word| !PLACE.contains(&word.as_str()));
    let goes_in = last.is_some_and(|word| INTO.contains(&word.as_str()));
    let adds_up = words.get(k + 1).is_some_and(|word| ["up", "together", "all"].contains(&word.as_str()));
    CHANGES.contains(&words[k].as_str()) && !(words[k] == "add" && adds_up) && (!adds || goes_in)
}

/// Whether the `k`-th word is a verb that writes a file. Some are nouns as well, as in "the planting list in …": these
/// are verbs where a demand begins.
fn writes(words: &[String], k: usize) -> bool {
    /// What is done by writing: "clean it up by storing the good rows in …".
    const WRITING: &[&str] =
        &["writing", "saving", "storing", "putting", "creating", "keeping", "collecting", "recording", "leaving"];
    let word = words[k].as_str();
    WRITING.contains(&word) || (WRITES.contains(&word) && (!NOUNS.contains(&word) || begins(words, k)))
}

/// Whether a demand begins at the `k`-th word.
fn begins(words: &[String], k: usize) -> bool {
    let before = k.checked_sub(1).map_or("", |k| words[k].as_str());
    ["", "and", "then", "please", "to", "also", "or", "finally"].contains(&before)
}

/// Whether a clause of a goal has a verb that writes or moves something.
pub fn puts(words: &[String]) -> bool {
    let moves = |k: usize| ["move", "sort", "split", "file"].contains(&words[k].as_str());
    // "It has to print in color."
    let prints = |k: usize| words[k] == "print";
    (0..words.len()).any(|k| (writes(words, k) && !prints(k)) || moves(k) || ARRIVES.contains(&words[k].as_str()))
}

/// Names that are not one plain word, longest first: they are looked for before the goal is split into words.
fn odd_names(existing: &[String]) -> Vec<&str> {
    let is_odd = |name: &&str| name.split_whitespace().count() != 1 || trim_word(name) != *name;
    let mut odd: Vec<&str> = existing.iter().map(String::as_str).filter(is_odd).collect();
    odd.sort_by_key(|name| std::cmp::Reverse(name.len()));
    odd
}

/// A word that stands for the `k`-th odd name and for nothing else.
fn stand_in(k: usize) -> String {
    format!("\u{1}{k}\u{1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(goal: &str, existing: &[&str], want: &str) {
        let existing: Vec<String> = existing.iter().map(|&path| path.to_owned()).collect();
        let got: Vec<String> = mentions(goal, &existing)
            .iter()
            .map(|m| {
                format!(
                    "{}{}{}",
                    if m.part == Part::Output { ">" } else { "<" },
                    if m.change == Change::No { "" } else { "!" },
                    m.path
                )
            })
            .collect();
        assert_eq!(got.join(" "), want, "{goal}");
    }

    #[test]
    fn file_names_in_goals_are_found_with_their_part() {
        check("Read a.csv and write the sum to out.txt.", &["a.csv"], "<a.csv >out.txt");
        check("Save a list in notes/list.md, please.", &[], ">notes/list.md");
        check("What is the total according to data/x.csv? Put it into y.json too.", &[], "<data/x.csv >y.json");
        check(
            "Use rates.json to compute it, as described in terms.txt.",
            &["rates.json", "terms.txt"],
            "<rates.json <terms.txt",
        );
        check(
            "Read the planting list in beds-25.csv and write the number per bed to p.md.",
            &["beds_25.csv"],
            "<beds-25.csv >p.md",
        );
        check("Add up the costs in costs.csv, and list them in l.md.", &["costs.csv"], "<costs.csv >l.md");
        check("Append one line to log.txt.", &["log.txt"], ">!log.txt");
        check("I need a file sum.csv with the sums of a.csv.", &["a.csv"], ">sum.csv <a.csv");
        check("a.csv = our stock. what is under 5? -> low.txt", &["a.csv"], "<a.csv >low.txt");
        check("Write a note; what to say is in n.md. Name it note.txt.", &["n.md"], "<n.md >note.txt");
        check("I also want a title, five words at most, in title.txt.", &["n.md"], ">title.txt");
        check("Total up the costs in cost.csv.", &["costs_2024.csv"], "<cost.csv");
        check("stock.csv has the pieces; add them up.", &[], "<stock.csv");
        check("i need the number and when it opens, it's all in docs/b.csv", &[], "<docs/b.csv");
        check("i need the hours, they are all in docs/b.csv", &[], "<docs/b.csv");
        check("It weighs 1.5 kg, e.g. less than 2.0 pounds.", &[], "");
        let terms = "Take off the rebate and add the tax to it the way t.txt says, with the rates from r.json.";
        check(terms, &["t.txt", "r.json"], "<t.txt <r.json");
        check("In p.txt I want nothing but the name.", &["p.csv"], ">p.txt");
        check("I'd like it in r.md, with the name of the document.", &["moving.md"], ">r.md");
        check("Then put a paragraph about the mood of the song in m.md.", &["w.txt"], ">m.md");
        check("It used to be in a/food.csv - if you can't find it, say so.", &["b.txt"], "<a/food.csv");
        check("Gather all remarks marked CHECK in one list, open.md: a bullet each.", &[], ">open.md");
        check("I'd like yields.md with a table like old.md.", &[], ">yields.md <old.md");
        check("The good rows go in a.csv and the others in b.csv.", &["c.csv"], ">a.csv >b.csv");
        check("It needs to end up in s/p.json. The list should be in l.txt.", &[], ">s/p.json >l.txt");
        check(
            "Look up the sum in a/june.csv and store it, with the name of what you read it in, in o.txt.",
            &[],
            "<a/june.csv >o.txt",
        );
        check("Combine p.csv with q.csv and say so.", &["q.csv"], "<p.csv <q.csv");
        check("Put down the mail, as given in c.json, in lead.txt.", &[], "<c.json >lead.txt");
        check("It supports Node.js 20. Name and price in van.txt.", &["vans.csv"], ">van.txt");
        check("In all.md, list what they say. tidy.csv gets the good rows.", &[], ">all.md >tidy.csv");
        check("Should be in a/b.csv. Leave what you find in g.txt.", &["a/b_2.csv"], "<a/b.csv >g.txt");
        check("Read the papers and answer this in reply.md.", &["g/a.md"], ">reply.md");
        check("Read the papers and answer what stands in q.txt.", &["q2.txt"], "<q.txt");
        check("It is to be counted in l.csv and recorded in sum.json.", &["l.csv"], "<l.csv >sum.json");
        check("The mean per day from wait.csv, as JSON in wait_avg.json.", &["wait.csv"], "<wait.csv >wait_avg.json");
        check("I think it is called members.csv, the ending is .short.txt", &["a.csv"], "<members.csv");
        check("Wanted:\n* x.fixed.csv: the good rows\n* x.bad.csv: the others", &["x.csv"], ">x.fixed.csv >x.bad.csv");
        check("Clean it up by storing the good rows in p-clean.csv.", &["p.csv"], ">p-clean.csv");
        check("Please answer, in a.md and from b.txt alone: how long is it?", &["b.txt"], ">a.md <b.txt");
        check("Save one line per answer in round1_answers.txt.", &["round1.txt"], ">round1_answers.txt");
        check("Save the lines that are fine in l_ok.csv, header included.", &["l.csv"], ">l_ok.csv");
        check("Add up the costs that are in old.csv.", &["new.csv"], "<old.csv");
        check("Make from this a table in t.md please.", &["c.csv", "about.txt"], ">t.md");
        check("I'd like to have it in durations.json: an object.", &["consultations.csv"], ">durations.json");
        check("Store it under web/mug.html as plain text.", &[], ">web/mug.html");
        check("Rename a.txt to b.txt.", &["a.txt"], ">!a.txt >b.txt");
        check("Add the tax in the way t.txt lays down.", &["t.txt"], "<t.txt");
        check("Pick one from a.csv. p.txt is to hold nothing but its name.", &["a.csv"], "<a.csv >p.txt");
        check("b.txt should show the sum and t.txt has the rates.", &["t.txt"], ">b.txt <t.txt");
        check("Create a file called \"plan.md\".", &[], ">plan.md");
        check("Write hello.txt with the content of a.md", &["a.md"], ">hello.txt <a.md");
        check(
            "Create a report from in.txt, with the averages in a.txt and the outliers in b.md.",
            &["in.txt"],
            "<in.txt >a.txt >b.md",
        );
        check("Read a.csv, b.csv and c.csv.", &["a.csv"], "<a.csv <b.csv <c.csv");
        check("Write the totals of a.csv and b.csv to c.md and d.md", &["a.csv"], "<a.csv <b.csv >c.md >d.md");
        check(
            "Sum up my sales 2024.csv into sum.txt",
            &["my sales 2024.csv", "2024.csv"],
            "<my sales 2024.csv >sum.txt",
        );
        check("Add a line to \"{a}.json\".", &["{a}.json", "a.json"], ">!{a}.json");
        check("The files in old.csv are described at www.example.com", &["old.csv"], "<old.csv");
    }
}
