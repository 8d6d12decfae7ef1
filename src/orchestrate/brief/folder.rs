//! The folders that a goal wants to have filled, one file per item.
//!
//! Must not know: the workspace, plans, steps.

use super::super::word;
use super::mention::{plain_word, puts, trim_word};
use crate::tool::table;

/// Words that say that something is done for every item of a list.
const EVERY: &[&str] = &["each", "every", "per", "all", "them"];

/// Words before a "to" that begins no place.
const AUXILIARY: &[&str] =
    &["had", "have", "has", "need", "needs", "needed", "want", "wants", "like", "going", "able", "how"];

/// Folders that the goal may want to receive one file per item: `summaries` in "each … to summaries".
pub fn folders(goal: &str) -> Vec<String> {
    let is_of_items = word::words(goal).any(|word| EVERY.contains(&word.as_str()));
    let mut folders: Vec<String> = Vec::new();
    for sentence in word::sentences(goal) {
        let words: Vec<String> = sentence.iter().map(|word| plain_word(word)).collect();
        for i in 0..words.len() {
            let found = of_pattern(sentence[i]).or_else(|| named(&sentence, &words, i).filter(|_| is_of_items));
            folders.extend(found.filter(|folder| !folders.contains(folder)));
        }
    }
    folders
}

/// The folder that the `i`-th word of a sentence names, if it does.
fn named(sentence: &[&str], words: &[String], i: usize) -> Option<String> {
    let before = (0..i).rev().find(|k| !["the", "a", "new"].contains(&words[*k].as_str()))?;
    // "in the plans folder: what is …" ends at its mark.
    let is_end = |k: usize| sentence[k].ends_with([',', '.', ';', ':', '?', '!', ')']);
    // "into a flat", "under the header": what has an article is a thing.
    let is_bare = before + 1 == i;
    // "to millimetres" behind "save it in a.json" is where nothing goes: the verb has its place.
    let is_put = || {
        let is_file = |word: &String| word.rsplit_once('.').is_some_and(|(stem, _)| !stem.is_empty());
        let start = words[..i].iter().rposition(is_file).map_or(0, |at| at + 1);
        let is_per_item = |three: &[String]| three[0] == "file" && ["per", "for"].contains(&&*three[1]);
        puts(&words[start..i]) || words.windows(3).any(is_per_item)
    };
    let announced = match words[before].as_str() {
        _ if is_end(before) => false,
        // "the folder scans"; but "in the guides folder somewhere".
        "folder" => before == 0 || ["the", "a", "new", "my", "our", "in", "to", "into"].contains(&&*words[before - 1]),
        // "the files you had to change in it.txt"
        "to" if before > 0 && AUXILIARY.contains(&words[before - 1].as_str()) => false,
        "to" | "into" | "in" | "under" => is_bare && is_put(),
        "called" => before > 0 && ["folder", "directory"].contains(&words[before - 1].as_str()),
        _ => false,
    };
    let word = words[i].trim_end_matches('/');
    let like_a_name = word.len() > 2 && word.chars().all(|c| c.is_ascii_alphanumeric() || "_-/".contains(c));
    let followed = words.get(i + 1).is_some_and(|word| word == "folder" || word == "directory");
    let is_meant = followed || (announced && stands_alone(sentence, words, i));
    (is_meant && like_a_name && is_folder(word)).then(|| word.to_owned())
}

/// `labels` of `labels/<name>.txt`: files of names to come.
fn of_pattern(word: &str) -> Option<String> {
    let at = ["/<", "/{", "/[", "/*"].iter().filter_map(|open| word.find(open)).min()?;
    let folder = trim_word(&word[..at]);
    let is_name = !folder.is_empty() && folder.chars().all(|c| c.is_ascii_alphanumeric() || "_-/".contains(c));
    is_name.then(|| folder.to_lowercase())
}

/// Whether nothing follows a word that would make it an adjective: "to full euros", "in the Python files" name nothing.
fn stands_alone(sentence: &[&str], words: &[String], i: usize) -> bool {
    if sentence[i].starts_with('(') {
        return false; // a remark on what stands before it
    }
    let next = words.get(i + 1).map_or("", String::as_str);
    let is_remarked = sentence.get(i + 1).is_some_and(|next| next.starts_with('('));
    next.is_empty()
        || sentence[i].ends_with([',', '.', ';', ':', '?', '!', ')', '/'])
        || is_remarked
        || JOINING.contains(&next)
}

/// Whether a word that follows a preposition can name a folder.
fn is_folder(word: &str) -> bool {
    !NOT_FOLDERS.contains(&word) && !table::MONTHS.contains(&word)
}

/// Whether a goal puts something into a folder, and does not only speak of what is in it.
pub fn is_written_into(goal: &str, folder: &str) -> bool {
    let is_into = |sentence: Vec<&str>| {
        let words: Vec<String> = sentence.iter().map(|word| plain_word(word)).collect();
        let is_it = |word: &String| word.trim_end_matches('/') == folder;
        let before = |i: usize| words[..i].iter().rev().find(|word| !["the", "a", "folder"].contains(&word.as_str()));
        let is_place = |word: &String| ["to", "into"].contains(&word.as_str());
        (0..words.len()).any(|i| is_it(&words[i]) && puts(&words[..i]) && before(i).is_some_and(is_place))
    };
    word::sentences(goal).into_iter().any(is_into)
}

/// Words that can follow the name of a folder.
const JOINING: &[&str] = &[
    "and", "then", "or", "but", "with", "under", "using", "by", "as", "for", "from", "where", "while", "so", "which",
    "into", "to", "in", "keeping", "each", "one", "is", "are", "that", "has", "have",
];

/// Words that follow a preposition and name no folder.
const NOT_FOLDERS: &[&str] = &[
    "the",
    "each",
    "every",
    "all",
    "one",
    "which",
    "that",
    "this",
    "these",
    "them",
    "same",
    "file",
    "files",
    "folder",
    "it",
    "csv",
    "json",
    "yaml",
    "markdown",
    "order",
    "english",
    "french",
    "german",
    "spanish",
    "total",
    "your",
    "our",
    "words",
    "sentence",
    "sentences",
    "case",
    "lower",
    "upper",
    "tell",
    "say",
    "write",
    "list",
    "table",
    "form",
    "both",
    "brackets",
    "parentheses",
    "quotes",
    "capitals",
    "front",
    "full",
    "detail",
    "advance",
    "turn",
    "place",
    "question",
    "addition",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_for_a_file_per_item_are_found() {
        for (goal, want) in [
            (
                "Translate each note in notes, saved under the same name in briefs, and count them.",
                &["notes", "briefs"][..],
            ),
            ("Save a summary of every file to the folder short.", &["short"]),
            ("Put one line per day into the summaries folder.", &["summaries"]),
            ("Divide it by the members, each pays the same, rounded up to full euros.", &[]),
            ("Collect every FIXME in the Python files below src into fixmes.md.", &[]),
            ("Save the notes in short.", &[]),
            ("Each of us moves into a flat, and every line stands under the header.", &[]),
            ("Say for each fact which file of the plot called Rowan it is from, in a folder called facts.", &["facts"]),
            ("Look through every paper in the town-info folder: what is the fee?", &["town-info"]),
            ("I need a blurb of each in \"blurbs\", one file per chapter.", &["blurbs"]),
            ("Classify each letter and leave the result in labels/<same name>.", &["labels"]),
            ("For each recipe make a list in lists/ (same name, .txt).", &["lists"]),
            ("Put all .jpg files into photos.", &["photos"]),
            ("The mean length in minutes for each kind, saved as m.json, name to millimetres.", &[]),
            (
                "What do they get to eat? It is all in the guides folder somewhere. It has to print in color.",
                &["guides"],
            ),
            ("Add up what every member lent in May, by the branch each belongs to (member_no is in both).", &[]),
        ] {
            assert_eq!(folders(goal), want, "{goal}");
        }
    }
}
