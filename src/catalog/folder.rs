//! The source that is a file or a folder on this machine or on a mounted disk: it is copied, checked like any other.
//!
//! Must not know: how the file came there.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::disk::{self, CHUNK_BYTES, Part, Promise};
use super::manifest::Manifest;
use super::{Error, Progress, Report, Settings, shelf};

/// Copies the model into the data folder.
pub(super) fn pull(
    manifest: &Manifest,
    source: &Path,
    settings: &Settings,
    report: &mut Report<'_>,
) -> Result<PathBuf, Error> {
    let source = settings.home.join(source);
    let source = if source.is_dir() { source.join(&manifest.file) } else { source };
    let mut from =
        File::open(&source).map_err(|source_error| Error::Io { path: source.clone(), source: source_error })?;
    let total = from.metadata().map_err(|e| disk::io_error(&source, e, 0))?.len();
    let path = shelf::home_path(manifest, settings);
    let _lock = disk::lock(&shelf::lock_path(manifest, settings), report)?;
    if shelf::is_whole(&path, manifest) {
        return Ok(path);
    }
    let mut part = Part::open(&shelf::part_path(manifest, settings))?;
    part.cut(0)?;
    disk::check_space(path.parent().unwrap_or(&settings.home), total)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let n = from.read(&mut chunk).map_err(|e| disk::io_error(&source, e, 0))?;
        if n == 0 {
            break;
        }
        part.write(&chunk[..n])?;
        report(Progress::Fetched { done: part.len(), total: Some(total) });
    }
    let what = source.display().to_string();
    part.finish(&path, &Promise { what, bytes: manifest.bytes, sha256: manifest.sha256.clone() }, report)?;
    Ok(path)
}
