//! The tool that finds lines in files.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Instant;

use regex::{Regex, RegexBuilder};
use serde_json::Value as Json;

use super::call::{Arguments, existing_path, file_pattern, flag, schema, text, tool};
use super::workspace::LIST_LIMIT;
use super::{Context, Effect, Error, Output, Spec, Table, Tool, Value};

/// Most lines that one search returns.
const MATCH_LIMIT: usize = 1000;

/// Longest line shown, in characters; a longer one is cut around its match.
const LINE_CHARS: usize = 300;

/// The tools of this file.
pub fn tools() -> Vec<Arc<dyn Tool>> {
    vec![tool(spec(), search)]
}

fn spec() -> Spec {
    Spec {
        name: "search_text",
        description: "Finds the lines of text files that hold a word, phrase or regular expression, as a table of file, line and text.",
        schema: schema(
            1,
            &[
                ("pattern", text(200, "text to find, or a regular expression such as TODO|FIXME")),
                ("path", existing_path("file or folder to search; everything if left out")),
                ("files", file_pattern("only files named like this, e.g. *.py")),
                ("regex", flag("pattern is a regular expression")),
                ("ignore_case", flag("upper and lower case are the same")),
                ("whole_word", flag("no match inside of longer words")),
            ],
        ),
        effects: &[Effect::Reads],
    }
}

fn search(arguments: &Arguments<'_>, context: &Context<'_>) -> Result<Output, Error> {
    let pattern = arguments.text("pattern")?;
    if pattern.is_empty() {
        return Err(Error::Arguments("search_text: pattern is empty; expected the text to find".into()));
    }
    let options = Options {
        regex: arguments.find_flag("regex")?,
        ignore_case: arguments.find_flag("ignore_case")?.unwrap_or(false),
        whole_word: arguments.find_flag("whole_word")?.unwrap_or(false),
    };
    let files = files(arguments, context)?;
    let mut findings = Findings::default();
    findings.search_all(&files, &options.compile(pattern)?, context)?;
    // Models ask for TODO|FIXME without saying that it is an expression.
    let looks_like_regex = options.regex != Some(true) && regex::escape(pattern) != pattern;
    if findings.rows.is_empty()
        && looks_like_regex
        && let Ok(expression) = (Options { regex: Some(true), ..options }).compile(pattern)
    {
        findings = Findings::default();
        findings.search_all(&files, &expression, context)?;
        findings.notes.push(format!("no line holds {pattern:?}, so it was taken as a regular expression"));
    }
    Ok(findings.output(files.len()))
}

#[derive(Clone, Copy)]
struct Options {
    regex: Option<bool>,
    ignore_case: bool,
    whole_word: bool,
}

impl Options {
    fn compile(self, pattern: &str) -> Result<Regex, Error> {
        let expression = if self.regex == Some(true) { pattern.to_owned() } else { regex::escape(pattern) };
        let expression =
            if self.whole_word { format!(r"\b{{start-half}}(?:{expression})\b{{end-half}}") } else { expression };
        let compiled = RegexBuilder::new(&expression).case_insensitive(self.ignore_case).size_limit(1 << 20).build();
        compiled.map_err(|error| {
            Error::Arguments(format!(
                "search_text: pattern {pattern:?} is not a regular expression: {}",
                reason(&error)
            ))
        })
    }
}

/// The last line of the error: the ones before draw the expression.
fn reason(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

/// The files to search.
fn files(arguments: &Arguments<'_>, context: &Context<'_>) -> Result<Vec<String>, Error> {
    let path = arguments.find_text("path")?.unwrap_or("");
    let entry = context.workspace.metadata(path)?;
    if !entry.is_folder {
        return Ok(vec![entry.path]);
    }
    let pattern = arguments.find_text("files")?.filter(|pattern| !pattern.is_empty());
    let mut entries = context.workspace.list(&entry.path, pattern)?;
    if entries.is_empty() && pattern.is_some() {
        // Models repeat the folder here; a search of nothing helps nobody.
        entries = context.workspace.list(&entry.path, None)?;
    }
    Ok(entries.into_iter().filter(|entry| !entry.is_folder).map(|entry| entry.path).collect())
}

#[derive(Default)]
struct Findings {
    rows: Vec<Vec<Json>>,
    /// Matching lines beyond [`MATCH_LIMIT`].
    n_more: usize,
    n_binary: usize,
    notes: Vec<String>,
}

impl Findings {
    fn search_all(&mut self, files: &[String], regex: &Regex, context: &Context<'_>) -> Result<(), Error> {
        for (i, path) in files.iter().enumerate() {
            if Instant::now() >= context.deadline {
                return Err(Error::Limit(format!(
                    "time is up after {i} of {} files; search in a folder or in fewer files",
                    files.len()
                )));
            }
            match context.workspace.read_text(path) {
                Ok(text) => self.search(path, &text, regex),
                Err(Error::Arguments(_)) => self.n_binary += 1,
                Err(error) => self.notes.push(format!("{path} was not searched: {error}")),
            }
        }
        Ok(())
    }

    fn search(&mut self, path: &str, text: &str, regex: &Regex) {
        for (i, line) in text.lines().enumerate() {
            let Some(found) = regex.find(line) else { continue };
            if self.rows.len() >= MATCH_LIMIT {
                self.n_more += 1;
                continue;
            }
            self.rows.push(vec![path.into(), (i + 1).into(), excerpt(line, found.start()).into()]);
        }
    }

    fn output(mut self, n_files: usize) -> Output {
        if self.n_more > 0 {
            self.notes.push(format!("{} more lines match; only the first {MATCH_LIMIT} are listed", self.n_more));
        }
        if self.n_binary > 0 {
            self.notes.push(format!("{} of {n_files} files are not text and were skipped", self.n_binary));
        }
        if n_files >= LIST_LIMIT {
            self.notes.push(format!("only the first {LIST_LIMIT} files were searched; name a folder"));
        }
        let columns = ["file", "line", "text"].map(str::to_owned).to_vec();
        let value = Value::Table(Table { columns, rows: self.rows });
        Output { value, changes: Vec::new(), notes: self.notes }
    }
}

/// The line without surrounding blanks; a long one from shortly before its match, at byte `at`.
fn excerpt(line: &str, at: usize) -> String {
    let trimmed = line.trim();
    if trimmed.chars().count() <= LINE_CHARS {
        return trimmed.to_owned();
    }
    let before = line[..at].chars().rev().take(LINE_CHARS / 3).map(char::len_utf8).sum::<usize>();
    let start = at - before;
    let shown: String = line[start..].chars().take(LINE_CHARS).collect();
    let is_end = start + shown.len() == line.len();
    format!("{}{}{}", if start > 0 { "…" } else { "" }, shown.trim(), if is_end { "" } else { "…" })
}
