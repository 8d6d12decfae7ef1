//! Reads a model file: the bytes of a GGUF file become typed metadata and a table of tensors over a memory map.
//!
//! Invariants: a [`Gguf`] exists only if every count, length, offset, type, shape and alignment in its header was
//! checked against the size of the file, so a [`TensorView`] always lies inside the map. Memory used for the header
//! is bounded by a small multiple of the header's own size; the file's claims are never trusted for an allocation.
//! Must not know: what the tensors mean, where the file came from, any device.
//!
//! Method: the GGUF specification, versions 2 and 3, little endian.

mod map;
mod metadata;
mod parse;
mod value;
pub mod write;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

pub use metadata::Metadata;
pub use value::Kind;

use crate::types::Dtype;
use map::Bytes;

/// Bytes of one sample of a tensor, at its beginning, middle and end.
const SAMPLE_BYTES: usize = 256;

/// What is wrong with a model file, or with a question asked of it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened, mapped or understood.
    #[error("opening {path}: {why}")]
    Open {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: Box<Error>,
    },
    /// The operating system refused.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The first four bytes are not `GGUF`.
    #[error("not a gguf file: it starts with \"{found}\", expected \"GGUF\"")]
    Magic {
        /// The first bytes, escaped.
        found: String,
    },
    /// A version of the format that is not read here.
    #[error("gguf version {found} is not supported, expected 2 or 3{hint}")]
    Version {
        /// The version in the file.
        found: u32,
        /// What the number gives away.
        hint: &'static str,
    },
    /// The file ends inside something.
    #[error("{what} ends at byte {end}, but the file has {len}")]
    Truncated {
        /// The tensor, key or part of the header.
        what: String,
        /// Where it would end.
        end: u64,
        /// Size of the file.
        len: u64,
    },
    /// More entries are claimed than the file has room for.
    #[error("{what} claims {count} entries, but the {left} bytes after it hold at most {most}")]
    Count {
        /// Whose count it is.
        what: String,
        /// The claim.
        count: u64,
        /// Bytes after the count.
        left: u64,
        /// Entries that these bytes can hold.
        most: u64,
    },
    /// A key, tensor or field breaks a rule of the format.
    #[error("{what} {rule}")]
    Invalid {
        /// The tensor or key.
        what: String,
        /// What it does that it must not.
        rule: String,
    },
    /// A tensor is encoded in a way that is not read here.
    #[error("tensor {name} has encoding number {number}, which is not supported; use a file quantized to {supported}")]
    Encoding {
        /// The tensor.
        name: String,
        /// The number in the file.
        number: u32,
        /// What to use instead.
        supported: &'static str,
    },
    /// A key that the caller needs is absent.
    #[error("metadata key {key} is missing, expected type {wanted}")]
    MissingKey {
        /// The key.
        key: String,
        /// The type asked for.
        wanted: &'static str,
    },
    /// A key has another type than the caller needs.
    #[error("metadata key {key} has type {found}, expected {wanted}")]
    KeyType {
        /// The key.
        key: String,
        /// The type asked for.
        wanted: &'static str,
        /// The type in the file.
        found: String,
    },
    /// A number does not fit the type that the caller needs.
    #[error("metadata key {key} has the value {value}, which does not fit {wanted}")]
    KeyRange {
        /// The key.
        key: String,
        /// The type asked for.
        wanted: &'static str,
        /// The value in the file.
        value: String,
    },
    /// A tensor that the caller needs is absent.
    #[error("tensor {name} is missing from {path}")]
    MissingTensor {
        /// The tensor.
        name: String,
        /// The file.
        path: PathBuf,
    },
}

/// One row of the tensor table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Unique within the file.
    pub name: String,
    /// Row-major, slowest dimension first: `[n_rows, n_cols]` for a matrix. 1 to 4 dimensions, none 0.
    pub shape: Vec<usize>,
    /// How the elements are encoded; blocks run along the last dimension.
    pub dtype: Dtype,
    /// First byte of the data, counted from the start of the file.
    pub offset: usize,
    /// Bytes of the data.
    pub n_bytes: usize,
}

impl TensorInfo {
    /// Product of the dimensions.
    pub fn n_elements(&self) -> usize {
        self.shape.iter().product()
    }

    fn range(&self) -> Range<usize> {
        self.offset..self.offset + self.n_bytes
    }
}

/// A tensor and its bytes, valid as long as the [`Gguf`] it came from.
#[derive(Debug, Clone, Copy)]
pub struct TensorView<'a> {
    /// Name, shape and encoding.
    pub info: &'a TensorInfo,
    /// Exactly `info.n_bytes` bytes.
    pub data: &'a [u8],
}

/// An open model file. Reading a tensor touches only that tensor's pages.
#[derive(Debug)]
pub struct Gguf {
    path: PathBuf,
    bytes: Arc<Bytes>,
    metadata: Metadata,
    tensors: Vec<TensorInfo>,
    by_name: HashMap<String, usize>,
}

impl Gguf {
    /// Maps a file and checks its whole header.
    ///
    /// # Errors
    /// [`Error::Open`] with the path and what is wrong, naming the tensor or key.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let open = |why| Error::Open { path: path.to_owned(), why: Box::new(why) };
        let bytes = Bytes::map(path).map_err(|e| open(Error::Io(e)))?;
        Self::parse(path, bytes).map_err(open)
    }

    /// Reads a file that is already in memory; `name` stands for its path in messages.
    ///
    /// # Errors
    /// As [`Gguf::open`].
    pub fn from_bytes(name: &str, bytes: Vec<u8>) -> Result<Self, Error> {
        let path = PathBuf::from(name);
        Self::parse(&path, Bytes::Owned(bytes)).map_err(|why| Error::Open { path, why: Box::new(why) })
    }

    fn parse(path: &Path, bytes: Bytes) -> Result<Self, Error> {
        let bytes = Arc::new(bytes);
        let header = parse::header(&bytes)?;
        let metadata = Metadata::new(Arc::clone(&bytes), header.entries);
        Ok(Self { path: path.to_owned(), bytes, metadata, tensors: header.tensors, by_name: header.by_name })
    }

    /// Where the file was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The key-value part of the header.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The tensor table, in file order.
    pub fn tensors(&self) -> &[TensorInfo] {
        &self.tensors
    }

    /// Bytes of the whole file.
    pub fn n_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Tells models apart without reading them: SHA-256 over the whole header, the file's size and a sample of every
    /// tensor. Not a proof against somebody who changes a few weights with care.
    pub fn fingerprint(&self) -> [u8; 32] {
        let data_start = self.tensors.iter().map(|tensor| tensor.offset).min().unwrap_or(self.bytes.len());
        let mut hash = Sha256::new();
        hash.update(&self.bytes[..data_start]);
        hash.update((self.bytes.len() as u64).to_le_bytes());
        for tensor in &self.tensors {
            let data = &self.bytes[tensor.range()];
            let n = data.len().min(SAMPLE_BYTES);
            for start in [0, (data.len() - n) / 2, data.len() - n] {
                hash.update(&data[start..start + n]);
            }
        }
        hash.finalize().into()
    }

    /// A tensor that the caller cannot do without.
    ///
    /// # Errors
    /// [`Error::MissingTensor`].
    pub fn tensor(&self, name: &str) -> Result<TensorView<'_>, Error> {
        self.find_tensor(name).ok_or_else(|| Error::MissingTensor { name: name.to_owned(), path: self.path.clone() })
    }

    /// A tensor, if the file has it.
    pub fn find_tensor(&self, name: &str) -> Option<TensorView<'_>> {
        let info = &self.tensors[*self.by_name.get(name)?];
        Some(TensorView { info, data: &self.bytes[info.range()] })
    }

    /// Lets go of the memory of the whole file, once what is needed of it was copied; what is read again costs disk access.
    pub fn release_all(&self) {
        self.bytes.release(0..self.bytes.len());
    }

    /// Lets go of the memory of a tensor that was copied and will not be read soon; reading it again costs disk access.
    pub fn release(&self, name: &str) {
        if let Some(&idx) = self.by_name.get(name) {
            self.bytes.release(self.tensors[idx].range());
        }
    }
}
