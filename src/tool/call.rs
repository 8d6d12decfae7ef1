//! A tool as a description and a function, and the typed reading of its arguments.
//!
//! Grammars hold models to the schema; plans written by people and other programs are checked here, with
//! errors that name the argument, what was expected and what came.

use std::sync::Arc;

use serde_json::{Map, Value as Json, json};

use super::{Context, Error, Output, Spec, Tool};

/// What a tool does with arguments that fit its schema.
type Function = fn(&Arguments<'_>, &Context<'_>) -> Result<Output, Error>;

/// A tool without state.
struct Builtin {
    spec: Spec,
    function: Function,
}

impl Tool for Builtin {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn call(&self, arguments: &Json, context: &Context<'_>) -> Result<Output, Error> {
        (self.function)(&Arguments::new(&self.spec, arguments)?, context)
    }
}

/// A tool that calls `function`.
pub fn tool(spec: Spec, function: Function) -> Arc<dyn Tool> {
    Arc::new(Builtin { spec, function })
}

/// The schema of an object with these properties, of which the first `n_required` must be given.
pub fn schema(n_required: usize, properties: &[(&str, Json)]) -> Json {
    let required: Vec<&str> = properties.iter().take(n_required).map(|(name, _)| *name).collect();
    let properties: Map<String, Json> =
        properties.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

/// The schema of a path that exists.
pub fn existing_path(description: &str) -> Json {
    json!({ "type": "string", "maxLength": 200, "description": description, "x-path": "existing" })
}

/// The schema of a path that is written.
pub fn new_path(description: &str) -> Json {
    json!({ "type": "string", "minLength": 1, "maxLength": 200, "description": description, "x-path": "new" })
}

/// The schema of a pattern for the names of files.
pub fn file_pattern(description: &str) -> Json {
    json!({ "type": "string", "maxLength": 100, "description": description, "x-path": "pattern" })
}

/// The schema of a bounded text.
pub fn text(max_chars: usize, description: &str) -> Json {
    json!({ "type": "string", "maxLength": max_chars, "description": description })
}

/// The schema of a whole number from 1.
pub fn count(description: &str) -> Json {
    json!({ "type": "integer", "minimum": 1, "description": description })
}

/// The schema of a switch that is off if not given.
pub fn flag(description: &str) -> Json {
    json!({ "type": "boolean", "description": description })
}

/// The arguments of one call; only names that the schema knows.
pub struct Arguments<'a> {
    tool: &'static str,
    fields: &'a Map<String, Json>,
}

impl<'a> Arguments<'a> {
    fn new(spec: &Spec, arguments: &'a Json) -> Result<Self, Error> {
        let Some(fields) = arguments.as_object() else {
            return Err(Error::Arguments(format!("{}: expected an object of arguments, got {arguments}", spec.name)));
        };
        let known = spec.schema["properties"].as_object();
        if let Some(name) = fields.keys().find(|name| known.is_some_and(|known| !known.contains_key(*name))) {
            let known = known.map(|known| known.keys().map(String::as_str).collect::<Vec<_>>().join(", "));
            let known = known.unwrap_or_default();
            return Err(Error::Arguments(format!("{}: unknown argument {name}; expected {known}", spec.name)));
        }
        Ok(Self { tool: spec.name, fields })
    }

    /// A text that must be given.
    pub fn text(&self, name: &str) -> Result<&'a str, Error> {
        self.find_text(name)?
            .ok_or_else(|| Error::Arguments(format!("{}: {name} is missing; expected a text", self.tool)))
    }

    /// A text, if given.
    pub fn find_text(&self, name: &str) -> Result<Option<&'a str>, Error> {
        self.find(name).map(|value| value.as_str().ok_or_else(|| self.unfit(name, "a text", value))).transpose()
    }

    /// A whole number from 1, if given.
    pub fn find_count(&self, name: &str) -> Result<Option<usize>, Error> {
        let count = |value: &Json| value.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n > 0);
        self.find(name)
            .map(|value| count(value).ok_or_else(|| self.unfit(name, "a whole number from 1", value)))
            .transpose()
    }

    /// A switch, if given.
    pub fn find_flag(&self, name: &str) -> Result<Option<bool>, Error> {
        self.find(name).map(|value| value.as_bool().ok_or_else(|| self.unfit(name, "true or false", value))).transpose()
    }

    /// Null is the same as not given.
    fn find(&self, name: &str) -> Option<&'a Json> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    fn unfit(&self, name: &str, expected: &str, got: &Json) -> Error {
        Error::Arguments(format!("{}: {name} must be {expected}, got {got}", self.tool))
    }
}

/// Calls of a tool over a workspace, for the tests beside each tool.
#[cfg(test)]
pub mod testing {
    use std::time::{Duration, Instant};

    use super::super::{Change, NoHost, Policy, Registry, Value, Workspace, format};
    use super::*;

    /// A workspace that holds `files`.
    pub fn workspace(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Workspace) {
        let folder = tempfile::tempdir().unwrap();
        for (path, bytes) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        let workspace = Workspace::open(folder.path(), Policy::default()).unwrap();
        (folder, workspace)
    }

    /// The output or the error of a built-in tool.
    pub fn call(workspace: &Workspace, name: &str, arguments: Json) -> Result<Output, Error> {
        let context = Context { workspace, host: &NoHost, deadline: Instant::now() + Duration::from_secs(60) };
        Registry::builtin().find(name).unwrap().call(&arguments, &context)
    }

    /// Value, notes and changes as text: `value (note) -> change`; `!error`.
    pub fn shown(result: Result<Output, Error>) -> String {
        let output = match result {
            Ok(output) => output,
            Err(error) => return format!("!{error}"),
        };
        let mut text = match &output.value {
            Value::Text(text) => text.clone(),
            Value::Json(json) => json.to_string(),
            Value::Table(_) => format::render(&output.value, format::Format::Csv).unwrap(),
        };
        text.extend(output.notes.iter().map(|note| format!(" ({note})")));
        text.extend(output.changes.iter().map(|change| match change {
            Change::Write { path, content } => format!(" -> {path}: {content}"),
            Change::MakeFolder { path } => format!(" -> folder {path}"),
            Change::Move { from, to } => format!(" -> {from} to {to}"),
            Change::Copy { from, to } => format!(" -> {from} as {to}"),
        }));
        text
    }

    /// Calls and compares; `want` starting with `…` is a part of what is shown.
    pub fn check(workspace: &Workspace, name: &str, arguments: Json, want: &str) {
        let got = shown(call(workspace, name, arguments.clone()));
        let fits = want.strip_prefix('…').map_or(got == want, |part| got.contains(part));
        assert!(fits, "{name} {arguments}:\n{got}\nwanted:\n{want}");
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Effect, Registry};
    use super::testing::{check, workspace};
    use super::*;

    #[test]
    fn arguments_are_checked() {
        let (_folder, workspace) = workspace(&[("a.txt", b"x")]);
        for (arguments, want) in [
            (json!("a.txt"), "!read_file: expected an object of arguments, got \"a.txt\""),
            (json!({}), "!read_file: path is missing; expected a text"),
            (json!({"path": null}), "!read_file: path is missing; expected a text"),
            (json!({"path": 3}), "!read_file: path must be a text, got 3"),
            (json!({"path": "a.txt", "from_line": 0}), "!read_file: from_line must be a whole number from 1, got 0"),
            (json!({"file": "a.txt"}), "!read_file: unknown argument file; expected path, from_line, n_lines"),
            (json!({"path": "a.txt", "from_line": null}), "x"),
        ] {
            check(&workspace, "read_file", arguments, want);
        }
        check(&workspace, "search_text", json!({"pattern": "x", "regex": "yes"}), "…regex must be true or false");
    }

    #[test]
    fn specs_are_complete() {
        let registry = Registry::builtin();
        let mut names = std::collections::BTreeSet::new();
        for tool in registry.tools() {
            let Spec { name, description, schema, .. } = tool.spec();
            assert!(names.insert(*name), "{name} twice");
            assert!(description.len() > 20 && description.len() < 400, "{name}: {} bytes", description.len());
            assert_eq!(schema["type"], "object", "{name}");
            assert_eq!(schema["additionalProperties"], false, "{name}");
            let properties = schema["properties"].as_object().unwrap();
            for required in schema["required"].as_array().unwrap() {
                assert!(properties.contains_key(required.as_str().unwrap()), "{name}: {required}");
            }
            let has = |kind: &str| properties.values().any(|property| property["x-path"] == kind);
            assert!(!has("new") || tool.spec().writes(), "{name} has a path to write and does not say that it writes");
            let reads = tool.spec().effects.contains(&Effect::Reads);
            assert!(!has("pattern") || reads, "{name} has names to read and does not say that it reads");
            assert!(!tool.spec().effects.contains(&Effect::Network), "{name}: nothing built in leaves the machine");
            for (property, schema) in properties {
                assert!(schema["description"].is_string(), "{name}.{property} has no description");
                let is_bounded =
                    schema["type"] != "string" || schema["maxLength"].is_number() || schema["enum"].is_array();
                assert!(is_bounded, "{name}.{property} is a text without end");
            }
        }
    }
}
