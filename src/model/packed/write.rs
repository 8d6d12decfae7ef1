//! Writes a file of packed weights beside its final name, brings it to the disk, and only then gives it the name.
//!
//! Every process writes under a name of its own, so several that start at once do not touch each other's files: each of
//! theirs is whole, and the last one stays.
//! Must not know: what a header says.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file::Named;
use crate::catalog::free_bytes;

/// Unfinished files of this age have no writer any more.
const STALE: Duration = Duration::from_secs(600);
const UNFINISHED: &str = "part";

/// Writes a file; false if this process is writing it already. After an error there is none of this call's making.
///
/// # Errors
/// Those of the file system; [`io::ErrorKind::StorageFull`] also where it would be left with less than the file takes.
pub(super) fn write(path: &Path, header: &[u8], matrices: &[Named]) -> io::Result<bool> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    remove_stale(path, folder);
    let n_bytes = (header.len() + matrices.iter().map(|(_, packed)| packed.n_bytes()).sum::<usize>()) as u64;
    if free_bytes(folder).is_some_and(|free| free / 2 < n_bytes) {
        return Err(io::ErrorKind::StorageFull.into());
    }
    let part = part_path(path);
    let file = match OpenOptions::new().write(true).create_new(true).open(&part) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(false),
        file => file?,
    };
    let written = fill(file, header, matrices).and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        // What is left is removed as stale later, if it cannot be removed now.
        let _ = fs::remove_file(&part);
    }
    written?;
    // The name is to survive a crash as well. Not every system can sync a folder, and the worst is to pack once more.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(true)
}

fn fill(mut file: File, header: &[u8], matrices: &[Named]) -> io::Result<()> {
    file.write_all(header)?;
    for (_, packed) in matrices {
        file.write_all(packed.bytes())?;
    }
    file.sync_all()
}

/// The name under which this process writes.
fn part_path(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.{UNFINISHED}", std::process::id()));
    path.with_file_name(name)
}

/// Removes what processes that died left of this file.
fn remove_stale(path: &Path, folder: &Path) {
    let own = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let middle = name.strip_prefix(&own).and_then(|rest| rest.strip_prefix('.')?.strip_suffix(UNFINISHED));
        let is_unfinished = middle.is_some_and(|middle| middle.trim_end_matches('.').parse::<u32>().is_ok());
        let age = || entry.metadata().ok()?.modified().ok()?.elapsed().ok();
        if is_unfinished && age().is_some_and(|age| age > STALE) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
