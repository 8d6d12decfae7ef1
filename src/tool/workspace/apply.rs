//! Applies changes: whole or not at all, and again after a crash without harm.
//!
//! A file is written to a temporary name in its folder, flushed to the disk, renamed, and the folder
//! flushed: after a crash at any moment the target is the old file or the new one. The temporary name
//! depends only on the target, so the next attempt removes what a crash left behind.

use std::io::{self, Read, Write as _};

use cap_std::fs::{File, OpenOptions, Permissions};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::path::check_new;
use super::{Change, Error, Workspace};

/// What a change left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Applied {
    /// The path that exists now.
    pub path: String,
    /// Size of the file; 0 for a folder.
    pub bytes: u64,
    /// Digest of the file in lower-case hexadecimal; `None` for a folder.
    pub sha256: Option<String>,
}

impl Workspace {
    /// Makes the change, unless it is already made, and remembers that the run made it. What was there as the change wants
    /// it does not become the run's own by that.
    ///
    /// The caller has asked [`Workspace::check`]: this keeps to the workspace but not to the [`super::Policy`].
    ///
    /// # Errors
    /// [`Error::Denied`] on a read-only workspace or a path that leads outside, [`Error::Failed`] if the
    /// disk is full or refuses; then every file is as it was.
    pub fn apply(&self, change: &Change) -> Result<Applied, Error> {
        let mut policy = self.lock();
        let to = self.resolve(change.target())?;
        let is_made = match change {
            Change::Write { content, .. } => {
                let is_there = self.holds(&to, content.as_bytes())?;
                if !is_there {
                    self.replace(&to, &mut content.as_bytes(), None)?;
                }
                !is_there
            }
            Change::Copy { from, .. } => {
                let from = self.normalize(from)?;
                let is_there = self.same_content(&from, &to)?;
                if !is_there {
                    let mut source = self.open_file(&from)?;
                    let permissions = self.stat(&from).map_err(|error| self.explain(&from, &error))?.permissions();
                    self.replace(&to, &mut source, Some(permissions))?;
                }
                !is_there
            }
            Change::MakeFolder { .. } => {
                let is_there = self.find(&to)?.is_some();
                self.make_folders(&to)?;
                !is_there
            }
            Change::Move { from, .. } => {
                let from = self.normalize(from)?;
                self.rename(&from, &to)?;
                policy.rename(&from, &to);
                return self.describe(&to);
            }
        };
        let applied = self.describe(&to)?;
        if is_made {
            policy.created.insert(to);
        }
        Ok(applied)
    }

    /// Whether the file at `path` exists and has exactly these bytes.
    pub(super) fn holds(&self, path: &str, content: &[u8]) -> Result<bool, Error> {
        match self.find(path)? {
            Some(metadata) if metadata.is_file() && metadata.len() == content.len() as u64 => {
                Ok(self.read(path, metadata.len())? == content)
            }
            _ => Ok(false),
        }
    }

    /// Whether both files exist and have the same bytes.
    pub(super) fn same_content(&self, from: &str, to: &str) -> Result<bool, Error> {
        match (self.find(from)?, self.find(to)?) {
            (Some(a), Some(b)) if a.is_file() && b.is_file() && a.len() == b.len() => {
                Ok(self.digest(from)? == self.digest(to)?)
            }
            _ => Ok(false),
        }
    }

    fn describe(&self, path: &str) -> Result<Applied, Error> {
        let entry = self.metadata(path)?;
        let sha256 = if entry.is_folder { None } else { Some(self.digest(path)?) };
        Ok(Applied { path: entry.path, bytes: entry.bytes, sha256 })
    }

    fn digest(&self, path: &str) -> Result<String, Error> {
        let mut file = self.open_file(path)?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => return Ok(hex(&hasher.finalize())),
                Ok(n_bytes) => hasher.update(&buffer[..n_bytes]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::Failed(format!("reading {path}: {error}"))),
            }
        }
    }

    /// The file `path` (resolved) has the content of `source` afterwards, or is untouched if this fails.
    fn replace(&self, path: &str, source: &mut dyn Read, permissions: Option<Permissions>) -> Result<(), Error> {
        let (folder, temporary) = temporary_name(path);
        let old = self.find(path)?;
        if old.as_ref().is_some_and(|metadata| metadata.is_dir()) {
            return Err(Error::Arguments(format!("{path} is a folder; expected the name of a file")));
        }
        if old.is_none() {
            check_new(path)?;
            self.make_folders(folder)?;
        }
        let permissions = old.map(|metadata| metadata.permissions()).or(permissions);
        let written = self.write_temporary(&temporary, source, permissions).and_then(|()| {
            self.dir.rename(&temporary, &self.dir, path)?;
            self.sync_folder(folder)
        });
        written.map_err(|error| {
            let _ = self.dir.remove_file(&temporary);
            self.explain(path, &error)
        })
    }

    fn write_temporary(&self, path: &str, source: &mut dyn Read, permissions: Option<Permissions>) -> io::Result<()> {
        match self.dir.remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file: File = self.dir.open_with(path, OpenOptions::new().write(true).create_new(true))?;
        io::copy(source, &mut file)?;
        file.flush()?;
        if let Some(permissions) = permissions {
            file.set_permissions(permissions)?;
        }
        file.sync_all()
    }

    /// Moves a file or folder to a name that is free; done if `from` is gone and `to` there.
    fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        match (self.find(from)?, self.find(to)?) {
            (None, Some(_)) => return Ok(()),
            (None, None) => return Err(Error::Missing { path: from.to_owned(), similar: self.similar(from) }),
            (Some(_), Some(_)) => {
                return Err(Error::Denied(format!("{to} exists already; move {from} to another name")));
            }
            (Some(_), None) => check_new(to)?,
        }
        let folder_of = |path: &str| path.rsplit_once('/').map_or(String::new(), |(folder, _)| folder.to_owned());
        self.make_folders(&folder_of(to))?;
        let renamed = self.dir.rename(from, &self.dir, to);
        let synced =
            renamed.and_then(|()| self.sync_folder(&folder_of(to))).and_then(|()| self.sync_folder(&folder_of(from)));
        synced.map_err(|error| self.explain(to, &error))
    }

    /// Makes the folder and its parents, each flushed to the disk before the next.
    fn make_folders(&self, path: &str) -> Result<(), Error> {
        match self.find(path)? {
            Some(metadata) if metadata.is_dir() => return Ok(()),
            Some(_) => return Err(Error::Arguments(format!("{path} is a file; expected a folder there"))),
            None => check_new(path)?,
        }
        let parent = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        self.make_folders(parent)?;
        let made = self.dir.create_dir(path).and_then(|()| self.sync_folder(parent));
        made.map_err(|error| self.explain(path, &error))
    }

    /// Makes renames in a folder survive a power cut, where the file system can do that.
    fn sync_folder(&self, path: &str) -> io::Result<()> {
        let dir = self.dir.open(if path.is_empty() { "." } else { path })?;
        match dir.sync_all() {
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => Ok(()),
            synced => synced,
        }
    }
}

/// The folder of `path`, and a hidden name in it that no other target uses.
pub(super) fn temporary_name(path: &str) -> (&str, String) {
    let digest = hex(&Sha256::digest(path.as_bytes()));
    let name = format!(".partita-{}.tmp", &digest[..16]);
    match path.rsplit_once('/') {
        Some((folder, _)) => (folder, format!("{folder}/{name}")),
        None => ("", name),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
