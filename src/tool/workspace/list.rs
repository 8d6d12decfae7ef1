//! Listing of folders: recursive, sorted, bounded, without hidden files.

use std::time::UNIX_EPOCH;

use cap_std::fs::{Dir, Metadata};
use globset::{GlobBuilder, GlobMatcher};
use serde::{Deserialize, Serialize};

use super::{Error, Workspace};

/// Most entries that one listing returns. Folders near the root come first when it is reached.
pub const LIST_LIMIT: usize = 10_000;

/// A file or folder of the workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Relative to the root, `/`-separated.
    pub path: String,
    /// A folder, otherwise a file.
    pub is_folder: bool,
    /// Size of a file; 0 for a folder.
    pub bytes: u64,
    /// Last change, in milliseconds since 1970; 0 if the file system does not tell.
    pub modified_ms: i64,
}

impl Entry {
    pub(super) fn new(path: String, metadata: &Metadata) -> Self {
        let modified = metadata.modified().ok().and_then(|time| time.into_std().duration_since(UNIX_EPOCH).ok());
        Self {
            path,
            is_folder: metadata.is_dir(),
            bytes: if metadata.is_dir() { 0 } else { metadata.len() },
            modified_ms: modified.map_or(0, |age| i64::try_from(age.as_millis()).unwrap_or(i64::MAX)),
        }
    }
}

impl Workspace {
    /// Everything below the folder `under`, sorted by path, at most [`LIST_LIMIT`] entries.
    ///
    /// Left out: hidden entries, names that are not Unicode or hold control characters, links that lead outside or
    /// nowhere, and what lies below a linked folder. `pattern` is a glob over the name, the path or the path below `under`.
    ///
    /// # Errors
    /// [`Error::Missing`] or [`Error::Arguments`] if `under` is not a folder or `pattern` not a glob.
    pub fn list(&self, under: &str, pattern: Option<&str>) -> Result<Vec<Entry>, Error> {
        let under = self.normalize(under)?;
        let matcher = pattern.map(compile).transpose()?;
        let base_len = if under.is_empty() { 0 } else { under.len() + 1 };
        let mut found = Vec::new();
        self.walk(&under, false, &mut |entry| {
            if matcher.as_ref().is_none_or(|matcher| matches(matcher, &entry.path, base_len)) {
                found.push(entry);
            }
            found.len() < LIST_LIMIT
        })?;
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    /// Visits everything below `under`, breadth first, until `visit` returns false.
    pub(super) fn walk(&self, under: &str, hidden: bool, visit: &mut dyn FnMut(Entry) -> bool) -> Result<(), Error> {
        let mut folders = std::collections::VecDeque::from([under.to_owned()]);
        while let Some(folder) = folders.pop_front() {
            let dir = match self.open_dir(&folder) {
                Ok(dir) => dir,
                // A folder below the first one may vanish or be closed to us: that is not the caller's mistake.
                Err(_) if folder != under => continue,
                Err(error) => return Err(error),
            };
            for entry in self.entries(&dir, &folder, hidden) {
                if entry.is_folder && !self.is_link(&entry.path) {
                    folders.push_back(entry.path.clone());
                }
                if !visit(entry) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The entries of one folder, sorted by name.
    fn entries(&self, dir: &Dir, folder: &str, hidden: bool) -> Vec<Entry> {
        let names =
            dir.entries().into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
        // No call can name a file with a line break in its name, and in a prompt such a name would pass for other lines.
        let is_plain = |name: &str| !name.starts_with('.') && !name.contains(char::is_control);
        let mut names: Vec<String> = names.filter(|name| hidden || is_plain(name)).collect();
        names.sort();
        let entry = |name: String| {
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            let metadata = self.stat(&path).ok()?;
            (metadata.is_dir() || metadata.is_file()).then(|| Entry::new(path, &metadata))
        };
        names.into_iter().filter_map(entry).collect()
    }

    pub(super) fn open_dir(&self, path: &str) -> Result<Dir, Error> {
        let opened = if path.is_empty() { self.dir.try_clone() } else { self.dir.open_dir(path) };
        opened.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotADirectory => Error::Arguments(format!("{path} is a file; expected a folder")),
            _ => self.explain(path, &error),
        })
    }

    pub(super) fn is_link(&self, path: &str) -> bool {
        self.dir.symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink())
    }
}

fn compile(pattern: &str) -> Result<GlobMatcher, Error> {
    let pattern = pattern.strip_prefix("./").unwrap_or(pattern);
    let glob = GlobBuilder::new(pattern).literal_separator(true).build();
    glob.map(|glob| glob.compile_matcher()).map_err(|error| {
        Error::Arguments(format!("pattern {pattern:?} is not a glob such as *.csv or **/*.md: {}", error.kind()))
    })
}

/// `base_len`: bytes of the path that name the listed folder.
fn matches(matcher: &GlobMatcher, path: &str, base_len: usize) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    matcher.is_match(name) || matcher.is_match(path) || matcher.is_match(&path[base_len..])
}
