//! The folder that a run works in: reading, listing and changing files, with no way out of it.
//!
//! Every access goes through a capability to the root folder (cap-std), so neither `..`, an absolute
//! path nor a link, also one put in place while the run works, leads outside. Changes are applied whole
//! or not at all and can be applied again after a crash ([`Workspace::apply`]); which of them a run may
//! make is decided by its [`Policy`].
//!
//! Invariant: paths in and out are relative to the root, `/`-separated and normalized.
//! Must not know: tools, formats, plans.

mod apply;
mod encoding;
mod ignored;
mod list;
mod path;
mod policy;

#[cfg(test)]
mod tests;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cap_std::fs::{Dir, Metadata};
use serde::{Deserialize, Serialize};

use super::Error;
pub use apply::Applied;
pub use ignored::Ignored;
pub use list::{Entry, LIST_LIMIT};
pub use path::similar as similar_names;
pub use policy::{Policy, Verdict, is_within};

/// Largest file that [`Workspace::read_text`] takes whole, in bytes.
pub const TEXT_LIMIT: u64 = 16 << 20;

/// One change to the workspace. Paths are relative, `/`-separated, normalized.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The file holds exactly this text afterwards; parent folders are made.
    Write {
        /// File to be written.
        path: String,
        /// Its whole content.
        content: String,
    },
    /// The folder exists afterwards.
    MakeFolder {
        /// Folder to be made, parents included.
        path: String,
    },
    /// `to` holds what `from` held; `from` is gone.
    Move {
        /// Existing file or folder.
        from: String,
        /// Path that does not exist yet.
        to: String,
    },
    /// `to` holds what `from` holds.
    Copy {
        /// Existing file.
        from: String,
        /// Path to be written.
        to: String,
    },
}

impl Change {
    /// The path that exists afterwards.
    pub fn target(&self) -> &str {
        match self {
            Self::Write { path, .. } | Self::MakeFolder { path } => path,
            Self::Move { to, .. } | Self::Copy { to, .. } => to,
        }
    }
}

/// The folder that a run works in. Shared by all steps of the run.
#[derive(Debug)]
pub struct Workspace {
    dir: Dir,
    root: PathBuf,
    /// Also the lock under which changes are applied, one at a time.
    policy: Mutex<Policy>,
}

impl Workspace {
    /// Opens an existing folder for a run that may change what `policy` says.
    ///
    /// # Errors
    /// [`Error::Missing`] if there is no such folder, [`Error::Failed`] if it cannot be opened.
    pub fn open(root: &Path, policy: Policy) -> Result<Self, Error> {
        let shown = root.display().to_string();
        let opened = std::fs::canonicalize(root)
            .and_then(|root| Ok((Dir::open_ambient_dir(&root, cap_std::ambient_authority())?, root)));
        let (dir, root) = opened.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => Error::Missing { path: shown.clone(), similar: Vec::new() },
            _ => Error::Failed(format!("opening the workspace {shown}: {error}")),
        })?;
        Ok(Self { dir, root, policy: Mutex::new(policy) })
    }

    /// The folder itself, absolute, links resolved.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What the run may change now, the files that it has made included.
    pub fn policy(&self) -> Policy {
        self.lock().clone()
    }

    /// Lets the run change these input files too, because the goal says so.
    pub fn permit(&self, paths: &[String]) {
        self.lock().may_replace.extend(paths.iter().cloned());
    }

    fn lock(&self) -> MutexGuard<'_, Policy> {
        self.policy.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `path` as this workspace spells it: relative, `/`-separated, without `.` and `..`; the root is `""`.
    ///
    /// # Errors
    /// [`Error::Denied`] if it leads outside, [`Error::Arguments`] for characters that no path may hold.
    pub fn normalize(&self, path: &str) -> Result<String, Error> {
        path::normalize(&self.root, path)
    }

    /// Whether something exists at `path`; a path that leads outside does not.
    pub fn exists(&self, path: &str) -> bool {
        self.normalize(path).is_ok_and(|path| self.stat(&path).is_ok())
    }

    /// Kind, size and age of what is at `path`.
    ///
    /// # Errors
    /// [`Error::Missing`], or [`Error::Denied`] if it leads outside.
    pub fn metadata(&self, path: &str) -> Result<Entry, Error> {
        let path = self.normalize(path)?;
        let metadata = self.stat(&path).map_err(|error| self.explain(&path, &error))?;
        Ok(Entry::new(path, &metadata))
    }

    /// Opens a file for reading.
    ///
    /// # Errors
    /// As [`Workspace::metadata`]; [`Error::Arguments`] if it is not a file.
    pub fn open_file(&self, path: &str) -> Result<std::fs::File, Error> {
        let path = self.normalize(path)?;
        let metadata = self.stat(&path).map_err(|error| self.explain(&path, &error))?;
        if metadata.is_dir() {
            return Err(Error::Arguments(format!("{} is a folder; expected a file", path::shown(&path))));
        }
        if !metadata.is_file() {
            return Err(Error::Denied(format!("{path} is a device, pipe or socket; expected a file")));
        }
        self.dir.open(&path).map(cap_std::fs::File::into_std).map_err(|error| self.explain(&path, &error))
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// As [`Workspace::open_file`]; [`Error::Limit`] if it has more than `max_bytes`.
    pub fn read(&self, path: &str, max_bytes: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let mut file = self.open_file(path)?.take(max_bytes.saturating_add(1));
        file.read_to_end(&mut bytes).map_err(|error| Error::Failed(format!("reading {path}: {error}")))?;
        if bytes.len() as u64 > max_bytes {
            let size = self.metadata(path)?.bytes;
            return Err(Error::Limit(format!("{path} has {size} bytes; at most {max_bytes} can be read at once")));
        }
        Ok(bytes)
    }

    /// The text of a file of at most [`TEXT_LIMIT`] bytes, without a byte order mark.
    ///
    /// # Errors
    /// As [`Workspace::read`]; [`Error::Arguments`] if it is not text, naming what it is.
    pub fn read_text(&self, path: &str) -> Result<String, Error> {
        self.read_text_noted(path).map(|(text, _)| text)
    }

    /// As [`Workspace::read_text`], with a note if the file was not plain UTF-8.
    ///
    /// # Errors
    /// As [`Workspace::read_text`].
    pub fn read_text_noted(&self, path: &str) -> Result<(String, Option<String>), Error> {
        let bytes = self.read(path, TEXT_LIMIT)?;
        decode(path, &bytes)
    }

    /// Existing paths that `path` may have meant, best first, at most five.
    pub fn similar(&self, path: &str) -> Vec<String> {
        let wanted = self.normalize(path).unwrap_or_else(|_| path.to_owned());
        let entries = self.list("", None).unwrap_or_default();
        path::similar(&wanted, entries.iter().map(|entry| entry.path.as_str()))
    }

    /// Follows links, but only inside the root.
    fn stat(&self, path: &str) -> std::io::Result<Metadata> {
        if path.is_empty() { self.dir.dir_metadata() } else { self.dir.metadata(path) }
    }

    /// Says in the caller's terms why the system refused `path`.
    fn explain(&self, path: &str, error: &std::io::Error) -> Error {
        use std::io::ErrorKind as Kind;
        match error.kind() {
            Kind::NotFound => Error::Missing { path: path.to_owned(), similar: self.similar(path) },
            // cap-std's own refusal carries no error number of the system.
            Kind::PermissionDenied if error.raw_os_error().is_none() => {
                Error::Denied(format!("{path} is a link that leads out of the workspace; use a path inside it"))
            }
            Kind::PermissionDenied => Error::Denied(format!("no permission for {path}: {error}")),
            Kind::ReadOnlyFilesystem => {
                Error::Denied(format!("the workspace is read-only, so {path} cannot be changed"))
            }
            Kind::StorageFull | Kind::QuotaExceeded => {
                Error::Failed(format!("the disk is full, so {path} was not written; free some space and try again"))
            }
            Kind::NotADirectory => Error::Arguments(format!("a part of {path} is a file; expected a folder there")),
            _ => Error::Failed(format!("{}: {error}", path::shown(path))),
        }
    }
}

/// The text in the bytes of the file `path`, and a note if they were not plain UTF-8.
///
/// # Errors
/// [`Error::Arguments`] if they are not text, naming what they are.
pub fn decode(path: &str, bytes: &[u8]) -> Result<(String, Option<String>), Error> {
    encoding::decode(bytes).map(|(text, note)| (text, note.map(|note| format!("{path} {note}")))).map_err(|kind| {
        Error::Arguments(format!("{path} is not text but {kind} of {} bytes; expected a text file", bytes.len()))
    })
}
