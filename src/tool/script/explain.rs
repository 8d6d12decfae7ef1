//! Says to a model what stopped its script, on which line, and what there is instead.
//!
//! Must not know: the interpreter's types, how scripts run.

use std::collections::BTreeSet;

use super::prelude;
use super::protocol::Failure;
use crate::tool::{Error, Workspace, table};

/// A script that does not end.
pub(super) const TOO_LONG: &str = "TimeoutError: the script did not end in time; look for a loop that never stops";

/// Characters of earlier output that are shown.
const MAX_SHOWN: usize = 300;

/// Parts of the language that a script cannot use, by the words of the interpreter, and what to do instead.
const INSTEAD: [(&str, &str); 7] = [
    ("class inheritance", "classes cannot have a base class; use plain functions and dictionaries"),
    ("method decorators", "methods cannot be decorated; call a plain method or function"),
    ("pattern matching", "`match` is not supported; use if and elif"),
    ("class bodies", "a class holds methods and plain values only; define inner classes outside"),
    ("complex constants", "complex numbers are not supported"),
    ("async", "async is not supported; call ask_each([...]) for many questions at once"),
    ("type parameters", "type parameters are not supported; leave them out"),
];

/// The error for a script that raised.
pub(super) fn error(failure: &Failure, workspace: &Workspace, read: &BTreeSet<String>) -> Error {
    let message = message(failure);
    let place = match failure.line {
        Some(line) => format!("line {line}, `{}`: ", failure.text),
        None => String::new(),
    };
    let hint = hint(failure, workspace, read).map_or_else(String::new, |hint| format!("; {hint}"));
    let printed = failure.printed.trim();
    let shown = match printed.char_indices().rev().nth(MAX_SHOWN) {
        _ if printed.is_empty() => String::new(),
        Some((at, _)) => format!("\nprinted before: …{}", &printed[at..]),
        None => format!("\nprinted before: {printed}"),
    };
    let text = format!("{place}{message}{hint}{shown}");
    match failure.exception.kind.as_str() {
        "MemoryError" | "TimeoutError" | "RecursionError" => Error::Limit(text),
        _ => Error::Failed(text),
    }
}

fn message(failure: &Failure) -> String {
    let (kind, message) = (failure.exception.kind.as_str(), failure.exception.message.as_str());
    if kind == "NotImplementedError"
        && let Some((_, instead)) = INSTEAD.iter().find(|(words, _)| message.contains(words))
    {
        return format!("NotImplementedError: {instead}");
    }
    let message = message
        .strip_prefix("The monty syntax parser does not yet support ")
        .map_or_else(|| message.to_owned(), |what| format!("{what} are not supported here; write it in a simpler way"));
    if kind == "KeyError" && !message.starts_with('\'') {
        return format!("KeyError: '{message}'");
    }
    if message.is_empty() { kind.to_owned() } else { format!("{kind}: {message}") }
}

/// What the script could have used.
fn hint(failure: &Failure, workspace: &Workspace, read: &BTreeSet<String>) -> Option<String> {
    match failure.exception.kind.as_str() {
        "ModuleNotFoundError" => Some(format!("these modules can be imported: {}", prelude::modules().join(", "))),
        "KeyError" => {
            let columns = read.iter().filter_map(|path| {
                let columns = table::peek(workspace, path).ok()?.columns;
                Some(format!("{path} has the columns {}", columns.join(", ")))
            });
            let columns: Vec<String> = columns.take(4).collect();
            (!columns.is_empty()).then(|| columns.join("; "))
        }
        "TypeError" if failure.exception.message.contains("'bool'") => {
            Some("write int(...) around the condition".to_owned())
        }
        _ => None,
    }
}
