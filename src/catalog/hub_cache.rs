//! The layout of the hub's cache: `models--OWNER--NAME/{blobs/DIGEST, snapshots/COMMIT/FILE, refs/main}`.
//!
//! Invariant: a snapshot entry is a relative link to a blob, as the hub's other tools make it, so files fetched here
//! are found by them and the other way round. Method: the layout that the hub documents for its cache.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::Error;
use super::disk::{io_error, make_folder};
use super::manifest::{HubSource, Manifest, is_hex};

/// The part of the cache that belongs to one file of one repository.
#[derive(Debug, Clone)]
pub(super) struct CachedFile {
    cache: PathBuf,
    folder: String,
    file: String,
}

impl CachedFile {
    /// Where a source of a model is kept in this cache.
    pub(super) fn new(cache: &Path, source: &HubSource, manifest: &Manifest) -> Self {
        let file = source.file.clone().unwrap_or_else(|| manifest.file.clone());
        Self { cache: cache.to_owned(), folder: format!("models--{}", source.repo.replace('/', "--")), file }
    }

    /// Path of the file in the repository.
    pub(super) fn file(&self) -> &str {
        &self.file
    }

    fn repo(&self) -> PathBuf {
        self.cache.join(&self.folder)
    }

    /// The content with this digest.
    pub(super) fn blob(&self, sha256: &str) -> PathBuf {
        self.repo().join("blobs").join(sha256)
    }

    /// The content with this digest while it is being fetched.
    pub(super) fn part(&self, sha256: &str) -> PathBuf {
        self.repo().join("blobs").join(format!("{sha256}.part"))
    }

    /// The lock that the hub's tools hold while they write that content.
    pub(super) fn lock(&self, sha256: &str) -> PathBuf {
        self.cache.join(".locks").join(&self.folder).join(format!("{sha256}.lock"))
    }

    /// The file as a commit has it.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.repo().join("snapshots").join(commit).join(&self.file)
    }

    /// The commits in which the file may be here: the pinned one, or `main` as last seen and then all others.
    pub(super) fn candidates(&self, revision: Option<&str>) -> Vec<PathBuf> {
        if let Some(commit) = revision {
            return vec![self.snapshot(commit)];
        }
        let main = fs::read_to_string(self.repo().join("refs").join("main")).unwrap_or_default();
        let main = Some(main.trim().to_owned()).filter(|commit| is_hex(commit, 40));
        let mut commits: Vec<String> = self.commits();
        commits.sort_by_key(|commit| Some(commit) != main.as_ref());
        commits.iter().map(|commit| self.snapshot(commit)).collect()
    }

    fn commits(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.repo().join("snapshots")) else { return Vec::new() };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let mut commits: Vec<String> = names.filter(|name| is_hex(name, 40)).collect();
        commits.sort();
        commits
    }

    /// Makes the file of a commit point to a blob, and `main` to the commit if that is how it was found.
    pub(super) fn link(&self, sha256: &str, commit: &str, is_main: bool) -> Result<PathBuf, Error> {
        let path = self.snapshot(commit);
        let folder = path.parent().unwrap_or(&self.cache);
        make_folder(folder)?;
        if fs::symlink_metadata(&path).is_ok() {
            fs::remove_file(&path).map_err(|e| io_error(&path, e, 0))?;
        }
        let n_up = 2 + Path::new(&self.file).components().count() - 1;
        let target: PathBuf = std::iter::repeat_n(Component::ParentDir, n_up).collect();
        place(&self.blob(sha256), &target.join("blobs").join(sha256), &path).map_err(|e| io_error(&path, e, 0))?;
        if is_main {
            let refs = self.repo().join("refs");
            make_folder(&refs)?;
            fs::write(refs.join("main"), commit).map_err(|e| io_error(&refs, e, 40))?;
        }
        Ok(path)
    }

    /// Everything that has to go for the file to be gone: its entries in all commits, their blobs, and other entries
    /// of the same blobs, each with the bytes that it frees.
    pub(super) fn traces(&self, sha256: Option<&str>) -> Vec<PathBuf> {
        let blobs_folder = self.repo().join("blobs");
        let own: Vec<PathBuf> = self.commits().iter().map(|commit| self.snapshot(commit)).collect();
        let blob_of = |path: &PathBuf| {
            let target = fs::canonicalize(path).ok()?;
            let name = target.file_name()?.to_owned();
            let blob = blobs_folder.join(name);
            (fs::canonicalize(&blob).ok()? == target).then_some(blob)
        };
        let mut blobs: Vec<PathBuf> = own.iter().filter_map(blob_of).collect();
        blobs.extend(sha256.map(|sha256| self.blob(sha256)));
        let linked = files_under(&self.repo().join("snapshots"))
            .into_iter()
            .filter(|path| own.contains(path) || blob_of(path).is_some_and(|blob| blobs.contains(&blob)));
        let mut traces: Vec<PathBuf> = linked.collect();
        traces.extend(sha256.map(|sha256| self.part(sha256)));
        traces.extend(blobs);
        traces.retain(|path| fs::symlink_metadata(path).is_ok());
        traces.sort();
        traces.dedup();
        traces
    }
}

#[cfg(unix)]
fn place(_blob: &Path, relative: &Path, path: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(relative, path)
}

/// Links need a privilege here; the hub's tools move the blob in this case.
#[cfg(not(unix))]
fn place(blob: &Path, _relative: &Path, path: &Path) -> std::io::Result<()> {
    fs::rename(blob, path)
}

fn files_under(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    paths
        .flat_map(|path| match fs::symlink_metadata(&path) {
            Ok(about) if about.is_dir() => files_under(&path),
            _ => vec![path],
        })
        .collect()
}
