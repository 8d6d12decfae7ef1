//! Packed weights in a file: what one process packed, a later one maps, so that it starts in a fraction of the time and
//! shares the memory with others.
//!
//! # When a file is trusted
//! The header tells version, layout, model and the length of the file, and is held by a SHA-256; a file that was cut off,
//! is of another model or was written by another version is known by it without reading on. The matrices have a CRC-32
//! each, and all of them are compared before the first one is used. That reads the whole file, which costs no more than
//! what comes anyway: the first forward pass reads every weight, from the disk if need be, and faults every page in. A
//! CRC runs at the speed of memory and on all cores; a digest would take ten times as long. It finds what happens to
//! files by accident. Against somebody who may write beside the model no sum in the file would help: they could as well
//! change the model.
//!
//! Invariants: a file under its final name was written whole, and was on the disk, before it got that name; it is never
//! changed, only replaced, so that who has it mapped keeps what was mapped. Whatever is wrong with a file or a disk is a
//! warning and costs time, never an answer.
//! Must not know: what the matrices are for, how they are packed.

mod file;
#[cfg(test)]
mod tests;
mod write;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::kernel::{self, Mapping, Packed};
use crate::types::Dtype;
use file::{Flaw, Named, Section};

/// What became of the file of a model's packed weights.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// The file that the weights were mapped from; nothing if they were packed.
    pub mapped: Option<PathBuf>,
    /// The file that they were written to, for the next time.
    pub written: Option<PathBuf>,
    /// What was ignored, or could not be written; the weights are right all the same.
    pub warnings: Vec<String>,
}

/// The matrices of one model: mapped as far as there is a file with them, packed otherwise.
pub(super) struct Matrices<'a> {
    /// Where the file may be, best first; empty if none is kept.
    places: &'a [PathBuf],
    fingerprint: [u8; 32],
    found: Option<Found>,
    handed_out: RefCell<Vec<Named>>,
    n_packed: Cell<usize>,
    kept: Kept,
}

/// A file that was found and checked.
struct Found {
    mapping: Arc<Mapping>,
    sections: HashMap<String, Section>,
}

impl<'a> Matrices<'a> {
    /// Looks for the file of the model with this fingerprint.
    pub fn open(places: &'a [PathBuf], fingerprint: [u8; 32]) -> Self {
        let mut kept = Kept::default();
        let mut found = None;
        for path in places {
            match Found::open(path, &fingerprint) {
                Ok(file) => {
                    kept.mapped = Some(path.clone());
                    found = Some(file);
                    break;
                }
                Err(Flaw::Io(error)) if is_absence(&error) => {}
                Err(flaw) => kept.warnings.push(format!("{} is ignored: {flaw}", path.display())),
            }
        }
        Self { places, fingerprint, found, handed_out: RefCell::default(), n_packed: Cell::new(0), kept }
    }

    /// The matrix of this name, mapped if the file has it as it is wanted, or else packed.
    ///
    /// # Errors
    /// Those of `pack`.
    pub fn get(
        &self,
        name: &str,
        dtype: Dtype,
        shape: [usize; 2],
        pack: impl FnOnce() -> Result<Packed, kernel::Error>,
    ) -> Result<Arc<Packed>, kernel::Error> {
        let mapped = self.found.as_ref().and_then(|found| found.get(name, dtype, shape));
        let packed = Arc::new(match mapped {
            Some(mapped) => mapped,
            None => {
                self.n_packed.set(self.n_packed.get() + 1);
                pack()?
            }
        });
        self.handed_out.borrow_mut().push((name.to_owned(), Arc::clone(&packed)));
        Ok(packed)
    }

    /// Writes the file if it is wanted and was not there as a whole, and tells what came of all.
    pub fn keep(self) -> Kept {
        let n_packed = self.n_packed.get();
        let mut kept = self.kept;
        if n_packed == 0 || self.places.is_empty() {
            return kept;
        }
        if let Some(path) = kept.mapped.take() {
            let flaw = Flaw::Incomplete { n: n_packed };
            kept.warnings.push(format!("{} is ignored in part: {flaw}", path.display()));
        }
        let matrices = self.handed_out.into_inner();
        let header = file::encode(&self.fingerprint, &matrices);
        let mut refusals = Vec::new();
        for path in self.places {
            match write::write(path, &header, &matrices) {
                Ok(is_written) => {
                    kept.written = is_written.then(|| path.clone());
                    return kept;
                }
                Err(error) => refusals.push(format!("{}: {error}", path.display())),
            }
        }
        kept.warnings.push(format!("packed weights are not kept, loading takes longer: {}", refusals.join("; ")));
        kept
    }
}

impl Found {
    fn open(path: &Path, fingerprint: &[u8; 32]) -> Result<Self, Flaw> {
        // Asked by name first: opening a pipe would wait for its writer.
        let about = fs::metadata(path)?;
        if !about.is_file() || about.len() == 0 {
            return Err(Flaw::Magic);
        }
        let mapping = Arc::new(Mapping::new(&File::open(path)?)?);
        let sections = file::parse(&mapping, fingerprint)?;
        mapping.prefetch();
        for Section { name, place, checksum, .. } in &sections {
            if file::checksum(&mapping[place.clone()]) != *checksum {
                return Err(Flaw::Checksum { section: name.clone() });
            }
        }
        let sections = sections.into_iter().map(|section| (section.name.clone(), section)).collect();
        Ok(Self { mapping, sections })
    }

    fn get(&self, name: &str, dtype: Dtype, shape: [usize; 2]) -> Option<Packed> {
        let section = self.sections.get(name)?;
        let packed = Packed::map(dtype, shape, &self.mapping, section.place.start)?;
        let fits = section.dtype == dtype && section.shape == shape && section.place.len() == packed.n_bytes();
        fits.then_some(packed)
    }
}

/// Whether there is no such file, which is nothing to speak of.
fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
