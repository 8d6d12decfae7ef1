//! What a file of packed weights holds: whose weights they are, where each matrix lies, and sums over all of it.
//!
//! Little endian: magic, version, [`Packed::LAYOUT`], bytes of the header, bytes of the file, the model's fingerprint
//! (32 bytes), the number of sections; of every section the length of its name, the name, encoding, rows, columns, place
//! and CRC-32; the SHA-256 of the header up to here; zeros up to the first section. A section is a matrix as
//! [`Packed::bytes`] gives it, on a boundary of [`Packed::ALIGNMENT`].
//!
//! Invariant: a header is taken only if it is whole, of this version, this layout and this model, and describes exactly
//! the file that it stands in.
//! Must not know: folders, how a file is written, what the matrices are for.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::kernel::Packed;
use crate::types::Dtype;

const MAGIC: [u8; 8] = *b"PARTITPW";
/// Changes with the layout of the header.
const VERSION: u32 = 1;
const N_DIGEST: usize = 32;
/// Magic, version, layout, two lengths, fingerprint, number of sections.
const N_FIXED: usize = 8 + 4 + 4 + 8 + 8 + 32 + 4;
/// Bytes that one thread sums up at a time.
const CHUNK: usize = 4 << 20;

/// A matrix by its name; of a tensor that was split, its parts have names of their own.
pub(super) type Named = (String, Arc<Packed>);

/// Why a file is not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Flaw {
    #[error("it is not a file of packed weights")]
    Magic,
    #[error("it has format version {found}, expected {VERSION}")]
    Version { found: u32 },
    #[error("its weights are packed in layout {found}, expected {}", Packed::LAYOUT)]
    Layout { found: u32 },
    #[error("it has {found} bytes, expected {wanted}")]
    Length { found: u64, wanted: u64 },
    #[error("it belongs to another model file")]
    Foreign,
    #[error("the checksum of its header does not fit")]
    Header,
    #[error("the checksum of {section} does not fit its content")]
    Checksum { section: String },
    #[error("it lacks {n} of the model's matrices")]
    Incomplete { n: usize },
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// Where a matrix lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    pub name: String,
    pub dtype: Dtype,
    /// Rows, columns.
    pub shape: [usize; 2],
    pub place: Range<usize>,
    pub checksum: u32,
}

/// The header of a file with these matrices, up to the first of them.
pub(super) fn encode(fingerprint: &[u8; 32], matrices: &[Named]) -> Vec<u8> {
    let n_names: usize = matrices.iter().map(|(name, _)| name.len()).sum();
    let n_header = N_FIXED + matrices.len() * entry_bytes(0) + n_names + N_DIGEST;
    let start = n_header.next_multiple_of(Packed::ALIGNMENT);
    let n_file = start + matrices.iter().map(|(_, packed)| packed.n_bytes()).sum::<usize>();
    let mut out = Vec::with_capacity(start);
    out.extend(MAGIC);
    out.extend(VERSION.to_le_bytes());
    out.extend(Packed::LAYOUT.to_le_bytes());
    out.extend((n_header as u64).to_le_bytes());
    out.extend((n_file as u64).to_le_bytes());
    out.extend(fingerprint);
    out.extend((matrices.len() as u32).to_le_bytes());
    let mut place = start;
    for (name, packed) in matrices {
        out.extend((name.len() as u32).to_le_bytes());
        out.extend(name.as_bytes());
        out.extend(packed.dtype().gguf_number().to_le_bytes());
        for number in [packed.n_rows(), packed.n_cols(), place, packed.n_bytes()] {
            out.extend((number as u64).to_le_bytes());
        }
        out.extend(checksum(packed.bytes()).to_le_bytes());
        place += packed.n_bytes();
    }
    out.extend(Sha256::digest(&out));
    out.resize(start, 0);
    out
}

/// Bytes of a section's entry in the header.
const fn entry_bytes(n_name: usize) -> usize {
    4 + n_name + 4 + 4 * 8 + 4
}

/// Reads and checks the header of a file; the content of the sections is not looked at.
pub(super) fn parse(file: &[u8], fingerprint: &[u8; 32]) -> Result<Vec<Section>, Flaw> {
    if file.get(..MAGIC.len()) != Some(&MAGIC) {
        return Err(Flaw::Magic);
    }
    let found = file.len() as u64;
    let cut = |wanted: u64| Flaw::Length { found, wanted };
    let mut fields = Fields(&file[MAGIC.len()..]);
    let fixed = || cut(N_FIXED as u64);
    let version = fields.u32().ok_or_else(fixed)?;
    if version != VERSION {
        return Err(Flaw::Version { found: version });
    }
    let layout = fields.u32().ok_or_else(fixed)?;
    if layout != Packed::LAYOUT {
        return Err(Flaw::Layout { found: layout });
    }
    let n_header = fields.u64().ok_or_else(fixed)?;
    let wanted = fields.u64().ok_or_else(fixed)?;
    if found != wanted {
        return Err(cut(wanted));
    }
    if n_header > found || n_header < (N_FIXED + N_DIGEST) as u64 {
        return Err(Flaw::Header);
    }
    let (header, digest) = file[..n_header as usize].split_at(n_header as usize - N_DIGEST);
    if Sha256::digest(header)[..] != *digest {
        return Err(Flaw::Header);
    }
    // From here on the header is as it was written; what does not fit all the same was written by something else.
    let mut fields = Fields(&header[N_FIXED - 4 - fingerprint.len()..]);
    if fields.take(fingerprint.len()) != Some(fingerprint) {
        return Err(Flaw::Foreign);
    }
    sections(fields, file.len()).ok_or(Flaw::Header)
}

fn sections(mut fields: Fields<'_>, n_file: usize) -> Option<Vec<Section>> {
    let n_sections = fields.u32()? as usize;
    // Not more than there is room for, whatever the number says.
    let mut sections = Vec::with_capacity(n_sections.min(fields.0.len() / entry_bytes(0)));
    for _ in 0..n_sections {
        let n_name = fields.u32()? as usize;
        let name = String::from_utf8(fields.take(n_name)?.to_vec()).ok()?;
        let dtype = Dtype::from_gguf(fields.u32()?)?;
        let mut number = || usize::try_from(fields.u64()?).ok();
        let shape = [number()?, number()?];
        let (start, n_bytes) = (number()?, number()?);
        let end = start.checked_add(n_bytes).filter(|&end| end <= n_file)?;
        sections.push(Section { name, dtype, shape, place: start..end, checksum: fields.u32()? });
    }
    Some(sections)
}

/// CRC-32 of a section, on all cores.
pub(super) fn checksum(bytes: &[u8]) -> u32 {
    let sum = |chunk: &[u8]| {
        let mut sum = crc32fast::Hasher::new();
        sum.update(chunk);
        sum
    };
    let join = |mut left: crc32fast::Hasher, right: crc32fast::Hasher| {
        left.combine(&right);
        left
    };
    bytes.par_chunks(CHUNK).map(sum).reduce(crc32fast::Hasher::new, join).finalize()
}

/// What is left of a header.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        self.0.split_off(..n)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }
}
