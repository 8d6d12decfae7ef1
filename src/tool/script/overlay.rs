//! The workspace as a running script sees it: the files, and over them what the script has written so far.
//!
//! Nothing is written to disk. Every change is checked against the run's policy when the script asks for
//! it, and kept in order; the caller gets the list when the script has ended well.
//!
//! Must not know: the interpreter, the protocol's lines.

use std::collections::{BTreeMap, BTreeSet};

use globset::GlobBuilder;

use super::protocol::Exception;
use crate::tool::{Change, Error, Workspace};

/// Most text that one script may write, in bytes.
const MAX_WRITTEN: usize = 32 << 20;
/// Most changes of one script.
const MAX_CHANGES: usize = 2000;

/// What stands at a path that the script has changed.
#[derive(Debug, Clone)]
enum Item {
    Text(String),
    /// The unchanged content of another file.
    Of(String),
    Folder,
}

/// Kind, size and age of what is at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stat {
    pub is_folder: bool,
    pub bytes: u64,
    pub modified_ms: i64,
}

/// The workspace under the changes of one script.
pub(super) struct Overlay<'a> {
    workspace: &'a Workspace,
    items: BTreeMap<String, Item>,
    gone: BTreeSet<String>,
    changes: Vec<Change>,
    n_written: usize,
}

impl<'a> Overlay<'a> {
    pub fn new(workspace: &'a Workspace) -> Self {
        let (items, gone) = (BTreeMap::new(), BTreeSet::new());
        Self { workspace, items, gone, changes: Vec::new(), n_written: 0 }
    }

    /// The changes, in order.
    pub fn into_changes(self) -> Vec<Change> {
        self.changes
    }

    fn normalize(&self, path: &str) -> Result<String, Exception> {
        self.workspace.normalize(path).map_err(|error| raise(&error))
    }

    fn is_gone(&self, path: &str) -> bool {
        self.gone.contains(path) || ancestors(path).any(|folder| self.gone.contains(folder))
    }

    /// The text of a file.
    pub fn read(&self, path: &str) -> Result<String, Exception> {
        let normal = self.normalize(path)?;
        match self.items.get(&normal) {
            Some(Item::Text(text)) => Ok(text.clone()),
            Some(Item::Of(origin)) => self.workspace.read_text(origin).map_err(|error| raise(&error)),
            Some(Item::Folder) => Err(is_a_folder(path)),
            None if self.is_gone(&normal) => Err(missing(path)),
            None => match self.workspace.read_text(&normal) {
                // Its own words: the script may show them, and code may look for the number.
                Err(Error::Missing { similar, .. }) => Err(missing_but(path, &similar)),
                Err(error) if self.workspace.metadata(&normal).is_ok_and(|entry| entry.is_folder) => {
                    drop(error);
                    Err(is_a_folder(path))
                }
                other => other.map_err(|error| raise(&error)),
            },
        }
    }

    /// What is at `path`, if anything.
    pub fn stat(&self, path: &str) -> Option<Stat> {
        let normal = self.workspace.normalize(path).ok()?;
        let text = |bytes: usize| Stat { is_folder: false, bytes: bytes as u64, modified_ms: 0 };
        let folder = Stat { is_folder: true, bytes: 0, modified_ms: 0 };
        match self.items.get(&normal) {
            Some(Item::Text(content)) => Some(text(content.len())),
            Some(Item::Of(origin)) => self.on_disk(origin),
            Some(Item::Folder) => Some(folder),
            None if self.items.keys().any(|other| ancestors(other).any(|folder| folder == normal)) => Some(folder),
            None if self.is_gone(&normal) => None,
            None => self.on_disk(&normal),
        }
    }

    fn on_disk(&self, path: &str) -> Option<Stat> {
        let entry = self.workspace.metadata(path).ok()?;
        Some(Stat { is_folder: entry.is_folder, bytes: entry.bytes, modified_ms: entry.modified_ms })
    }

    /// Whether the script may write to `path`, and the text that is there if `mode` keeps it.
    pub fn open(&mut self, path: &str, mode: &str) -> Result<String, Exception> {
        let exists = self.stat(path);
        if exists.is_some_and(|stat| stat.is_folder) {
            return Err(is_a_folder(path));
        }
        if mode.starts_with('x') && exists.is_some() {
            return Err(Exception::new("FileExistsError", format!("[Errno 17] File exists: '{path}'")));
        }
        let keeps = mode.starts_with('a') || mode.starts_with('r');
        let text = if keeps && (exists.is_some() || mode.starts_with('r')) { self.read(path)? } else { String::new() };
        self.write(path, text.clone())?;
        Ok(text)
    }

    /// The file holds `text` from now on.
    pub fn write(&mut self, path: &str, text: String) -> Result<(), Exception> {
        let path = self.normalize(path)?;
        if self.stat(&path).is_some_and(|stat| stat.is_folder) {
            return Err(is_a_folder(&path));
        }
        self.n_written += text.len();
        if self.n_written > MAX_WRITTEN {
            return Err(Exception::new("OSError", format!("a script can write {MAX_WRITTEN} bytes at most")));
        }
        let change = Change::Write { path: path.clone(), content: text.clone() };
        if !matches!(self.items.get(&path), Some(Item::Text(_))) {
            self.check(&change)?;
        }
        self.gone.remove(&path);
        self.items.insert(path.clone(), Item::Text(text));
        // A later content of the same file takes the place of an earlier one, if nothing looked at it between.
        let earlier = self
            .changes
            .iter_mut()
            .rev()
            .take_while(|change| matches!(change, Change::Write { .. } | Change::MakeFolder { .. }));
        for other in earlier {
            if other.target() == path {
                *other = change;
                return Ok(());
            }
        }
        self.push(change)
    }

    /// The folder is there from now on.
    pub fn make_folder(&mut self, path: &str, exist_ok: bool) -> Result<(), Exception> {
        let normal = self.normalize(path)?;
        match self.stat(&normal) {
            Some(stat) if stat.is_folder && exist_ok => return Ok(()),
            Some(_) => return Err(Exception::new("FileExistsError", format!("[Errno 17] File exists: '{path}'"))),
            None => {}
        }
        let change = Change::MakeFolder { path: normal.clone() };
        self.check(&change)?;
        self.items.insert(normal, Item::Folder);
        self.push(change)
    }

    /// Takes back a file that the script itself has made.
    pub fn remove(&mut self, path: &str) -> Result<(), Exception> {
        let normal = self.normalize(path)?;
        let is_own = matches!(self.items.get(&normal), Some(Item::Text(_))) && self.on_disk(&normal).is_none();
        let writes = |change: &Change| matches!(change, Change::Write { .. }) && change.target() == normal;
        let only_written = self.changes.iter().all(|change| change.target() != normal || writes(change));
        match self.stat(&normal) {
            None => Err(missing(path)),
            Some(_) if is_own && only_written => {
                self.items.remove(&normal);
                self.changes.retain(|change| !writes(change));
                Ok(())
            }
            Some(_) => {
                let message = format!("{path} was there before this script and is kept; files cannot be removed here");
                Err(Exception::new("PermissionError", message))
            }
        }
    }

    /// `to` holds what `from` held; `from` is gone unless `keeps`.
    pub fn transfer(&mut self, from: &str, to: &str, keeps: bool) -> Result<(), Exception> {
        let (source, target) = (self.normalize(from)?, self.normalize(to)?);
        let Some(stat) = self.stat(&source) else { return Err(missing_but(from, &self.workspace.similar(&source))) };
        let change = match keeps {
            true => Change::Copy { from: source.clone(), to: target.clone() },
            false => Change::Move { from: source.clone(), to: target.clone() },
        };
        if stat.is_folder {
            return Err(Exception::new("PermissionError", format!("{from} is a folder; move its files one by one")));
        }
        if source == target {
            return Ok(());
        }
        // A file of this script is not on disk yet, so its content is written under the other name.
        if let Some(Item::Text(text)) = self.items.get(&source).cloned() {
            self.write(&target, text)?;
            return if keeps { Ok(()) } else { self.remove(&source) };
        }
        self.check(&change)?;
        let origin = match self.items.get(&source) {
            Some(Item::Of(origin)) => origin.clone(),
            _ => source.clone(),
        };
        self.gone.remove(&target);
        self.items.insert(target, Item::Of(origin));
        if !keeps {
            self.items.remove(&source);
            self.gone.insert(source);
        }
        self.push(change)
    }

    fn check(&self, change: &Change) -> Result<(), Exception> {
        self.workspace.check(change).map(drop).map_err(|error| raise(&error))
    }

    fn push(&mut self, change: Change) -> Result<(), Exception> {
        if self.changes.len() == MAX_CHANGES {
            return Err(Exception::new("OSError", format!("a script can make {MAX_CHANGES} changes at most")));
        }
        self.changes.push(change);
        Ok(())
    }

    /// Every path under the root with whether it is a folder.
    fn tree(&self) -> Result<BTreeMap<String, bool>, Exception> {
        let entries = self.workspace.list("", None).map_err(|error| raise(&error))?;
        let mut tree: BTreeMap<String, bool> = entries
            .into_iter()
            .filter(|entry| !self.is_gone(&entry.path))
            .map(|entry| (entry.path, entry.is_folder))
            .collect();
        for (path, item) in &self.items {
            tree.insert(path.clone(), matches!(item, Item::Folder));
            for folder in ancestors(path) {
                tree.insert(folder.to_owned(), true);
            }
        }
        Ok(tree)
    }

    /// Names in a folder with whether they are folders, sorted.
    pub fn list(&self, path: &str) -> Result<Vec<(String, bool)>, Exception> {
        let folder = self.normalize(path)?;
        match self.stat(&folder) {
            Some(stat) if stat.is_folder => {}
            Some(_) => {
                return Err(Exception::new("NotADirectoryError", format!("[Errno 20] Not a directory: '{path}'")));
            }
            None => return Err(missing_but(path, &self.workspace.similar(&folder))),
        }
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let child = |(path, is_folder): (String, bool)| {
            let name = path.strip_prefix(&prefix)?;
            (!name.is_empty() && !name.contains('/')).then(|| (name.to_owned(), is_folder))
        };
        Ok(self.tree()?.into_iter().filter_map(child).collect())
    }

    /// Paths that match, spelled with the prefix that the pattern has, sorted.
    pub fn glob(&self, pattern: &str, is_recursive: bool) -> Result<Vec<String>, Exception> {
        let normal = self.normalize(pattern.trim_end_matches('/'))?;
        let as_written = pattern.trim_end_matches('/');
        let prefix = as_written.strip_suffix(&normal).unwrap_or_default();
        let normal = if is_recursive { normal } else { normal.replace("**", "*") };
        let matcher = GlobBuilder::new(&normal)
            .literal_separator(true)
            .build()
            .map_err(|error| Exception::new("ValueError", format!("{pattern}: {error}")))?
            .compile_matcher();
        let only_folders = pattern.ends_with('/');
        let tree = self
            .tree()?
            .into_iter()
            .filter(|(path, is_folder)| matcher.is_match(path) && (*is_folder || !only_folders));
        Ok(tree.map(|(path, _)| format!("{prefix}{path}")).collect())
    }
}

/// The folders that hold `path`, the root aside.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

fn missing(path: &str) -> Exception {
    missing_but(path, &[])
}

fn missing_but(path: &str, similar: &[String]) -> Exception {
    let hint = if similar.is_empty() { String::new() } else { format!("; did you mean {}?", similar.join(" or ")) };
    Exception::new("FileNotFoundError", format!("[Errno 2] No such file or directory: '{path}'{hint}"))
}

fn is_a_folder(path: &str) -> Exception {
    Exception::new("IsADirectoryError", format!("[Errno 21] Is a directory: '{path}'"))
}

/// An error of the workspace as Python has it.
pub(super) fn raise(error: &Error) -> Exception {
    let kind = match error {
        Error::Missing { .. } => "FileNotFoundError",
        Error::Denied(_) => "PermissionError",
        Error::Arguments(_) => "ValueError",
        Error::Failed(_) => "RuntimeError",
        Error::Limit(_) => "OSError",
    };
    Exception::new(kind, error.to_string())
}
