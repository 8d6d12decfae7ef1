//! One process at a time works on a run.
//!
//! The lock is the operating system's on an open file: it ends with the process, however that ends. The
//! file stays behind, empty of meaning; removing it would let two processes hold locks on two files of
//! one name.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::Error;
use crate::types::RunId;

/// A run that this process works on, until it is dropped.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

/// [`RunLock::is_taken`] of another process holds the lock for a moment; it is gone by the next try.
const TRIES: u32 = 5;
const BETWEEN_TRIES: Duration = Duration::from_millis(20);

fn path_of(home: &Path, run: &RunId) -> PathBuf {
    home.join("locks").join(&run.0)
}

impl RunLock {
    pub(super) fn take(home: &Path, run: &RunId) -> Result<Self, Error> {
        let path = path_of(home, run);
        let failed = |source| Error::Lock { path: path.clone(), source };
        std::fs::create_dir_all(home.join("locks")).map_err(failed)?;
        let mut file = open(&path).map_err(failed)?;
        for attempt in 1.. {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(source)) => return Err(failed(source)),
                Err(TryLockError::WouldBlock) if attempt < TRIES => std::thread::sleep(BETWEEN_TRIES),
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::Locked { run: run.0.clone(), holder: holder(&mut file) });
                }
            }
        }
        // Only for the message that others get; the lock holds without it.
        let _ = file.set_len(0).and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }

    pub(super) fn is_taken(home: &Path, run: &RunId) -> bool {
        let file = OpenOptions::new().read(true).open(path_of(home, run));
        file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
