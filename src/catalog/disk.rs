//! Files that are not finished yet: written, checked against their promise, and only then given their name.
//!
//! Invariant: a file under its final name is complete and has the promised digest; everything else ends in `.part`.
//! Must not know: where the bytes come from.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{Error, Progress, Report};

/// How often a waiting process asks for the lock again.
const LOCK_POLL: Duration = Duration::from_millis(200);
/// Bytes hashed or copied at a time.
pub(super) const CHUNK_BYTES: usize = 1 << 20;

/// What a finished file must be.
#[derive(Debug, Clone)]
pub(super) struct Promise {
    /// How messages name the file.
    pub(super) what: String,
    pub(super) bytes: Option<u64>,
    pub(super) sha256: Option<String>,
}

/// A file that grows at its end. Dropping it keeps what is there, for the next try.
#[derive(Debug)]
pub(super) struct Part {
    file: File,
    path: PathBuf,
    len: u64,
}

impl Part {
    /// Opens the file for appending, and creates it and its folders if they are not there.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        if let Some(folder) = path.parent() {
            make_folder(folder)?;
        }
        let file = OpenOptions::new().append(true).create(true).open(path).map_err(|e| io_error(path, e, 0))?;
        let len = file.metadata().map_err(|e| io_error(path, e, 0))?.len();
        Ok(Self { file, path: path.to_owned(), len })
    }

    /// Bytes written so far, by this and earlier processes.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Appends.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file.write_all(bytes).map_err(|e| io_error(&self.path, e, bytes.len() as u64))?;
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Drops everything after `len` bytes.
    pub(super) fn cut(&mut self, len: u64) -> Result<(), Error> {
        if len < self.len {
            self.file.set_len(len).map_err(|e| io_error(&self.path, e, 0))?;
            self.len = len;
        }
        Ok(())
    }

    /// Makes what was written survive a crash of the machine.
    pub(super) fn sync(&self) -> Result<(), Error> {
        self.file.sync_data().map_err(|e| io_error(&self.path, e, 0))
    }

    /// Checks the file against its promise and renames it. A file that breaks its promise is deleted.
    pub(super) fn finish(self, path: &Path, promise: &Promise, report: &mut Report<'_>) -> Result<(), Error> {
        self.sync()?;
        if let Err(error) = self.check(promise, report) {
            // The promise is broken whether or not the file can be deleted; it never had its final name.
            let _ = fs::remove_file(&self.path);
            return Err(error);
        }
        if let Some(folder) = path.parent() {
            make_folder(folder)?;
        }
        fs::rename(&self.path, path).map_err(|e| io_error(path, e, 0))
    }

    fn check(&self, promise: &Promise, report: &mut Report<'_>) -> Result<(), Error> {
        let what = || promise.what.clone();
        if let Some(expected) = promise.bytes.filter(|&bytes| bytes != self.len) {
            return Err(Error::WrongSize { what: what(), expected, actual: self.len });
        }
        let Some(expected) = promise.sha256.clone() else { return Ok(()) };
        let actual = sha256_file(&self.path, report)?;
        if actual == expected { Ok(()) } else { Err(Error::WrongHash { what: what(), expected, actual }) }
    }
}

/// Digest of a file in lower-case hex.
pub(super) fn sha256_file(path: &Path, report: &mut Report<'_>) -> Result<String, Error> {
    let mut file = File::open(path).map_err(|e| io_error(path, e, 0))?;
    let total = file.metadata().map_err(|e| io_error(path, e, 0))?.len();
    let (mut hash, mut chunk, mut done) = (Sha256::new(), vec![0; CHUNK_BYTES], 0);
    loop {
        let n = file.read(&mut chunk).map_err(|e| io_error(path, e, 0))?;
        if n == 0 {
            break;
        }
        hash.update(&chunk[..n]);
        done += n as u64;
        report(Progress::Checking { done, total });
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Refuses to start what cannot fit. A file system that does not say how much it has is taken at its word later.
pub(super) fn check_space(folder: &Path, needed: u64) -> Result<(), Error> {
    make_folder(folder)?;
    match free_bytes(folder) {
        Some(available) if available < needed => Err(Error::DiskFull { path: folder.to_owned(), needed, available }),
        _ => Ok(()),
    }
}

/// Bytes that may still be written below a folder, if the file system says.
#[cfg(unix)]
pub fn free_bytes(folder: &Path) -> Option<u64> {
    let about = rustix::fs::statvfs(folder).ok()?;
    about.f_bavail.checked_mul(about.f_frsize)
}

/// Bytes that may still be written below a folder, if the file system says.
#[cfg(not(unix))]
pub fn free_bytes(_folder: &Path) -> Option<u64> {
    None
}

/// Holds a lock file until it is dropped; it is also let go when the process dies.
pub(super) fn lock(path: &Path, report: &mut Report<'_>) -> Result<File, Error> {
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    let open = OpenOptions::new().write(true).create(true).truncate(false).open(path);
    let file = open.map_err(|e| io_error(path, e, 0))?;
    let mut told = false;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(e)) => return Err(io_error(path, e, 0)),
        }
        if !told {
            report(Progress::Waiting);
            told = true;
        }
        std::thread::sleep(LOCK_POLL);
    }
}

/// Creates a folder and those above it.
pub(super) fn make_folder(folder: &Path) -> Result<(), Error> {
    fs::create_dir_all(folder).map_err(|e| io_error(folder, e, 0))
}

/// Gives a failure of the file system its meaning; `needed` is how much was to be written.
pub(super) fn io_error(path: &Path, source: io::Error, needed: u64) -> Error {
    let path = path.to_owned();
    match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            let available = path.parent().and_then(free_bytes_of).unwrap_or(0);
            Error::DiskFull { path, needed, available }
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            Error::ReadOnly { path, why: source.to_string() }
        }
        _ => Error::Io { path, source },
    }
}

fn free_bytes_of(folder: &Path) -> Option<u64> {
    free_bytes(folder)
}
