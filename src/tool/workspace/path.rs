//! Paths as text: normal form, what a new name may not hold, and which existing path was meant.
//!
//! Pure: nothing here touches a disk.

use std::collections::BTreeSet;
use std::path::Path;

use super::Error;
use crate::tool::table::month;

/// Characters that some system where the files may be taken does not allow in a name.
const ILLEGAL: [char; 8] = ['<', '>', ':', '"', '|', '?', '*', '\\'];

/// Names that are devices on Windows, with or without an extension.
const DEVICES: [&str; 4] = ["con", "prn", "aux", "nul"];

/// Longest name of a file in bytes, and longest path.
const NAME_LIMIT: usize = 255;
const PATH_LIMIT: usize = 2048;

/// How much alike two paths must be to be offered for one another, of 1.
const SIMILAR_ENOUGH: f64 = 0.35;

/// How a path is named in a message; the root has no name of its own.
pub fn shown(path: &str) -> &str {
    if path.is_empty() { "the workspace" } else { path }
}

/// `path` relative to `root`, `/`-separated, without `.`, `..` and empty parts.
pub fn normalize(root: &Path, path: &str) -> Result<String, Error> {
    if let Some(bad) = path.chars().find(|c| c.is_control()) {
        return Err(Error::Arguments(format!("the path {path:?} holds the control character {bad:?}; remove it")));
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in relative(root, path)?.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.pop().is_none() => return Err(outside(path)),
            ".." => {}
            _ => parts.push(part),
        }
    }
    if parts.iter().any(|part| part.len() > NAME_LIMIT) || path.len() > PATH_LIMIT {
        return Err(Error::Arguments(format!(
            "the path has {} bytes; a path may have {PATH_LIMIT}, each name in it {NAME_LIMIT}",
            path.len()
        )));
    }
    if parts.iter().any(|part| part.eq_ignore_ascii_case(".git")) {
        return Err(Error::Denied(format!("{path} belongs to git; the files of .git are out of bounds")));
    }
    Ok(parts.join("/"))
}

/// An absolute path inside the root, without the root.
fn relative<'a>(root: &Path, path: &'a str) -> Result<&'a str, Error> {
    if !path.starts_with('/') {
        return Ok(path);
    }
    let root = root.to_str().unwrap_or_default();
    match path.strip_prefix(root) {
        Some(rest) if rest.is_empty() || rest.starts_with('/') || root.ends_with('/') => Ok(rest),
        _ => Err(outside(path)),
    }
}

fn outside(path: &str) -> Error {
    Error::Denied(format!("{path} is outside of the workspace; use a path relative to it, such as notes/a.md"))
}

/// Checks that a file or folder of that name can be made and taken to any system. `path` is normalized.
pub fn check_new(path: &str) -> Result<(), Error> {
    if path.is_empty() {
        return Err(Error::Arguments("the path is empty; expected the name of a file or folder".into()));
    }
    for name in path.split('/') {
        let problem = if let Some(bad) = name.chars().find(|c| ILLEGAL.contains(c)) {
            format!("holds {bad:?}, which is not allowed in names")
        } else if let Some(bad) = name.chars().find(|c| is_invisible(*c)) {
            format!("holds {bad:?}, which nobody sees")
        } else if name.ends_with([' ', '.']) {
            "ends with a space or a dot".to_owned()
        } else if is_device(name) {
            "is the name of a device on Windows".to_owned()
        } else {
            continue;
        };
        return Err(Error::Arguments(format!("the name {name:?} {problem}; choose another, with `/` between folders")));
    }
    Ok(())
}

/// Marks of direction and blanks without width: with them a name reads as another one.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let port = |prefix| stem.strip_prefix(prefix).is_some_and(|n: &str| matches!(n.as_bytes(), [b'1'..=b'9']));
    DEVICES.contains(&stem.as_str()) || port("com") || port("lpt")
}

/// Those of `existing` that look like `wanted`, best first, at most five.
pub fn similar<'a>(wanted: &str, existing: impl Iterator<Item = &'a str>) -> Vec<String> {
    let wanted = Traits::of(wanted);
    let mut scored: Vec<(f64, &str)> = existing
        .map(|path| (wanted.likeness(&Traits::of(path)), path))
        .filter(|(score, _)| *score >= SIMILAR_ENOUGH)
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(b.1)));
    scored.into_iter().take(5).map(|(_, path)| path.to_owned()).collect()
}

/// What is compared between two paths.
struct Traits {
    folder: String,
    stem: Vec<char>,
    extension: String,
    words: BTreeSet<String>,
}

impl Traits {
    fn of(path: &str) -> Self {
        let path = path.to_lowercase();
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let (stem, extension) = name.rsplit_once('.').unwrap_or((name, ""));
        Self {
            folder: folder.to_owned(),
            stem: stem.chars().collect(),
            extension: extension.to_owned(),
            words: words(stem),
        }
    }

    /// 1 for the same path; names weigh most, by letters and by whole words and numbers in any order.
    fn likeness(&self, other: &Self) -> f64 {
        let longest = self.stem.len().max(other.stem.len()).max(1);
        let letters = 1.0 - edit_distance(&self.stem, &other.stem) as f64 / longest as f64;
        let shared = self.words.intersection(&other.words).count();
        let all = self.words.union(&other.words).count().max(1);
        let words = shared as f64 / all as f64;
        let bonus = |same: bool| if same { 1.0 } else { 0.0 };
        let name = 0.4 * letters + 0.4 * words;
        // Sharing only a folder or an extension is no likeness.
        if name < 0.2 {
            return 0.0;
        }
        name + 0.1 * bonus(self.extension == other.extension) + 0.1 * bonus(self.folder == other.folder)
    }
}

/// Runs of letters and runs of digits; a month is its number, as in "2025-05" for "may".
fn words(stem: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    let mut word = String::new();
    for c in stem.chars() {
        let same_kind = word.chars().last().is_none_or(|last| last.is_numeric() == c.is_numeric());
        if !c.is_alphanumeric() || !same_kind {
            words.insert(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.push(c);
        }
    }
    words.insert(word);
    words.remove("");
    words.into_iter().map(|word| month(&word).map_or(word, |number| format!("{number:02}"))).collect()
}

/// Insertions, deletions, substitutions and swaps of neighbours between two strings (optimal string alignment).
fn edit_distance(a: &[char], b: &[char]) -> usize {
    let mut before = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let substituted = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = substituted.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}
