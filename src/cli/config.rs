//! The person's own settings: `config.toml` in the home folder, and nowhere else.
//!
//! Invariant: a workspace carries no settings, so that no folder can widen what runs in it may do.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;

use super::{Failure, Kind};
use crate::tool::{Leave, Registry};

/// The file's name in the home folder.
pub const FILE_NAME: &str = "config.toml";

/// What the file says; all of it may be left out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether a tool may be used, by its name.
    pub tools: BTreeMap<String, Leave>,
}

/// The settings of a home folder; without a file, none.
///
/// # Errors
/// [`Kind::Usage`] if the file cannot be read or says something unknown.
pub fn load(home: &Path) -> Result<Config, Failure> {
    let path = home.join(FILE_NAME);
    let fail = |why: String| {
        Failure::new(Kind::Usage, format!("{}: {why}", path.display()))
            .hint("it may hold: [tools], then lines such as script = \"ask\"; values are allow, ask and deny")
    };
    match std::fs::read_to_string(&path) {
        Ok(text) => parse(&text).map_err(fail),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Config::default()),
        Err(error) => Err(fail(error.to_string())),
    }
}

fn parse(text: &str) -> Result<Config, String> {
    let config: Config = toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| text[..span.start].matches('\n').count() + 1);
        line.map_or_else(String::new, |line| format!("line {line}: ")) + error.message()
    })?;
    let registry = Registry::builtin();
    let known: Vec<&str> = registry.tools().iter().map(|tool| tool.spec().name).collect();
    match config.tools.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(format!("there is no tool `{name}`; there are {}", known.join(", "))),
        None => Ok(config),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_named() {
        for (text, want) in [
            ("", Ok(vec![])),
            (
                "[tools]\nscript = \"ask\"\nmove_file = \"deny\"\n",
                Ok(vec![("move_file", Leave::Deny), ("script", Leave::Ask)]),
            ),
            ("[tools]\nquery_table = \"allow\"", Ok(vec![("query_table", Leave::Allow)])),
            ("[tools]\nscrpt = \"ask\"", Err("there is no tool `scrpt`; there are list_files, ")),
            (
                "[tools]\n\nscript = \"maybe\"",
                Err("line 3: unknown variant `maybe`, expected one of `allow`, `ask`, `deny`"),
            ),
            ("[tool]\nscript = \"ask\"", Err("unknown field `tool`, expected `tools`")),
            ("tools = 3", Err("invalid type: integer `3`")),
            ("[tools", Err("line 1: ")),
        ] {
            match (parse(text), want) {
                (Ok(config), Ok(want)) => {
                    let got: Vec<(&str, Leave)> =
                        config.tools.iter().map(|(name, leave)| (name.as_str(), *leave)).collect();
                    assert_eq!(got, want, "{text}");
                }
                (Err(why), Err(want)) => assert!(why.contains(want), "{text}: {why}"),
                (got, want) => panic!("{text}: {got:?}, wanted {want:?}"),
            }
        }
    }
}
