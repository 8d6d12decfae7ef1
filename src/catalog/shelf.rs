//! What of the catalog is on this machine: finding, listing, checking and removing it.
//!
//! Invariants: nothing here uses the network; only files in the model's own folders are deleted.
//! Must not know: how files come here.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::disk::{io_error, sha256_file};
use super::hub_cache::CachedFile;
use super::manifest::{Manifest, is_hex};
use super::{Catalog, Error, Located, Report, Settings};

/// First bytes of every model file.
const MAGIC: &[u8] = b"GGUF";

/// Where a model lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// In the data folder.
    Home,
    /// In the hub's cache, which other programs share.
    HubCache,
}

/// A model of the catalog and what of it is here.
#[derive(Debug, Clone, Serialize)]
pub struct Listed {
    /// What the catalog says.
    #[serde(flatten)]
    pub manifest: Manifest,
    /// The file, if it is here.
    pub path: Option<PathBuf>,
    /// Where that is.
    pub place: Option<Place>,
    /// Bytes of a pull that did not finish.
    pub partial_bytes: u64,
}

/// Every model of the catalog and what of it is here.
///
/// # Errors
/// Those of [`Catalog::load`].
pub fn list(settings: &Settings) -> Result<Vec<Listed>, Error> {
    let listed = |manifest: Manifest| {
        let found = find(&manifest, settings);
        let (path, place) = found.map_or((None, None), |(path, place)| (Some(path), Some(place)));
        let partial_bytes = if path.is_some() { 0 } else { partial_bytes(&manifest, settings) };
        Listed { manifest, path, place, partial_bytes }
    };
    Ok(Catalog::load(&settings.home)?.manifests().iter().cloned().map(listed).collect())
}

fn partial_bytes(manifest: &Manifest, settings: &Settings) -> u64 {
    let cached = manifest.hub_sources().filter_map(|source| {
        Some(CachedFile::new(&settings.hub.cache, source, manifest).part(manifest.sha256.as_deref()?))
    });
    let parts = cached.chain([part_path(manifest, settings)]);
    parts.filter_map(|path| fs::metadata(path).ok()).map(|about| about.len()).max().unwrap_or(0)
}

/// The model's file, if it is here: in the data folder, or in the hub's cache whoever put it there.
pub(super) fn find(manifest: &Manifest, settings: &Settings) -> Option<(PathBuf, Place)> {
    let home = home_path(manifest, settings);
    if is_whole(&home, manifest) {
        return Some((home, Place::Home));
    }
    let cached = manifest.hub_sources().flat_map(|source| {
        CachedFile::new(&settings.hub.cache, source, manifest).candidates(source.revision.as_deref())
    });
    cached.into_iter().find(|path| is_whole(path, manifest)).map(|path| (path, Place::HubCache))
}

/// Whether the file is there, has the size it should have and starts as a model file does. A hub's error page that
/// another tool kept under the model's name is not whole.
pub(super) fn is_whole(path: &Path, manifest: &Manifest) -> bool {
    let Ok(mut file) = File::open(path) else { return false };
    let Ok(about) = file.metadata() else { return false };
    let mut magic = [0; 4];
    about.is_file()
        && manifest.bytes.is_none_or(|bytes| bytes == about.len())
        && file.read_exact(&mut magic).is_ok()
        && magic == MAGIC
}

/// Where the model lies in the data folder.
pub(super) fn home_path(manifest: &Manifest, settings: &Settings) -> PathBuf {
    settings.models().join(&manifest.name).join(&manifest.file)
}

/// Where it is while it is being fetched.
pub(super) fn part_path(manifest: &Manifest, settings: &Settings) -> PathBuf {
    settings.models().join(&manifest.name).join(format!("{}.part", manifest.file))
}

/// Held by the process that fetches it. It lies beside the model's folder, so that removing that is safe.
pub(super) fn lock_path(manifest: &Manifest, settings: &Settings) -> PathBuf {
    settings.models().join(format!(".{}.lock", manifest.name))
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its digest.
    pub sha256: String,
    /// Whether the digest was compared with one that the manifest or the hub states.
    pub compared: bool,
}

/// Reads the whole file again and compares its digest with the manifest's, or with the one under which the hub keeps
/// it.
///
/// # Errors
/// [`Error::Damaged`] if they differ, [`Error::Io`].
pub fn verify(located: &Located, report: &mut Report<'_>) -> Result<Verified, Error> {
    let path = &located.path;
    let stated = located.manifest.as_ref().and_then(|manifest| manifest.sha256.clone());
    let expected = stated.or_else(|| {
        let blob = fs::canonicalize(path).ok()?;
        let name = blob.file_name()?.to_str()?.to_owned();
        is_hex(&name, 64).then_some(name)
    });
    let bytes = fs::metadata(path).map_err(|e| io_error(path, e, 0))?.len();
    let actual = sha256_file(path, report)?;
    match expected {
        Some(expected) if expected != actual => Err(Error::Damaged { path: path.clone(), expected, actual }),
        expected => Ok(Verified { path: path.clone(), bytes, sha256: actual, compared: expected.is_some() }),
    }
}

/// Where the packed weights of a model file are kept, best first: beside it, or below the data folder `home` where
/// nothing can be written beside it.
pub fn packed_paths(model: &Path, home: &Path) -> [PathBuf; 2] {
    let name = model.file_name().unwrap_or_default();
    let with = |tail: &str| {
        let mut name = name.to_owned();
        name.push(tail);
        name
    };
    // Files of the same name in different folders are different models.
    let absolute = std::path::absolute(model).unwrap_or_else(|_| model.to_owned());
    let digest = Sha256::digest(absolute.as_os_str().as_encoded_bytes());
    let digest: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    [model.with_file_name(with(".packed")), home.join("packed").join(with(&format!(".{digest}.packed")))]
}

/// What a removal deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// The files.
    pub paths: Vec<PathBuf>,
    /// Bytes that they took.
    pub bytes: u64,
}

/// Deletes a model from the data folder and from the hub's cache, unfinished pulls and packed weights included.
///
/// # Errors
/// [`Error::Absent`] if there was nothing, [`Error::ReadOnly`], [`Error::Io`].
pub fn remove(manifest: &Manifest, settings: &Settings) -> Result<Removed, Error> {
    let folder = settings.models().join(&manifest.name);
    let own = fs::read_dir(&folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut paths: Vec<PathBuf> = own.collect();
    paths.sort();
    for source in manifest.hub_sources() {
        let cached = CachedFile::new(&settings.hub.cache, source, manifest);
        paths.extend(cached.traces(manifest.sha256.as_deref()));
    }
    let packed = paths.iter().flat_map(|path| packed_paths(path, &settings.home));
    let packed: Vec<PathBuf> = packed.filter(|path| path.is_file() && !paths.contains(path)).collect();
    paths.extend(packed);
    if paths.is_empty() {
        return Err(Error::Absent { name: manifest.name.clone() });
    }
    let mut removed = Removed::default();
    for path in paths {
        let about = fs::symlink_metadata(&path).map_err(|e| io_error(&path, e, 0))?;
        let delete = if about.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        delete.map_err(|e| io_error(&path, e, 0))?;
        removed.bytes += if about.is_file() { about.len() } else { 0 };
        removed.paths.push(path);
    }
    // An empty folder does no harm, and may have been filled again by another process.
    let _ = fs::remove_dir(&folder);
    Ok(removed)
}
