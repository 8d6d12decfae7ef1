//! What a file of the archive holds: which block it is, the block's bytes, and a checksum over both.
//!
//! Little endian: magic, version, model (32 bytes), shape and block size (4 numbers), name of the block before
//! (32 bytes, zeros for the first), number of tokens, tokens; then the block as [`KvShape`] lays it out, in `f16`; then
//! the SHA-256 of everything before it. All but the block and the checksum is the label, and the SHA-256 of the label
//! is the name: a chain of names stands for a prefix, as in a Merkle tree.
//!
//! Invariant: bytes are taken over only if the whole label is the expected one and the checksum fits.
//! Must not know: folders, threads, who owns a block.

use std::ops::Range;

use half::f16;
use sha2::{Digest, Sha256};

use crate::cache::KvShape;
use crate::types::{BLOCK_TOKENS, Token};

/// Changes with the layout of the file or of a block.
const VERSION: u32 = 1;
const MAGIC: [u8; 8] = *b"PARTITKV";
const N_CHECKSUM: usize = 32;

const AT_VERSION: Range<usize> = 8..12;
/// Parts of the label that messages tell apart; the tokens come after them.
const PARTS: [(Range<usize>, &str); 3] = [(12..44, "model"), (44..60, "KV shape"), (60..92, "beginning")];
const AT_TOKENS: usize = 92;

/// The name of a block: it stands for the model, the block's tokens and all tokens before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Name(pub(super) [u8; 32]);

impl Name {
    /// What comes before the first block.
    pub(super) const ROOT: Self = Self([0; 32]);
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What all files of one engine have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    /// What keys and values depend on besides the tokens.
    pub(super) model: [u8; 32],
    pub(super) shape: KvShape,
}

/// Why a file is not taken over.
#[derive(Debug, thiserror::Error)]
pub(super) enum Flaw {
    #[error("it is not a KV file")]
    Magic,
    #[error("it has format version {0}, expected {VERSION}")]
    Version(u32),
    #[error("it has {found} bytes, expected {wanted}")]
    Length { found: u64, wanted: u64 },
    #[error("it belongs to another {0}")]
    Foreign(&'static str),
    #[error("its checksum does not fit its content")]
    Checksum,
    #[error("{0}")]
    Io(#[from] std::io::Error),
}

/// The label of one block: its beginning as bytes.
#[derive(Debug, Clone)]
pub(super) struct Label(Vec<u8>);

impl Label {
    /// For the block that holds `tokens`, at most [`BLOCK_TOKENS`], after the block `parent`.
    pub(super) fn new(origin: &Origin, parent: Name, tokens: &[Token]) -> Self {
        let KvShape { n_layers, n_kv_heads, head_dim } = origin.shape;
        let mut bytes = Vec::with_capacity(AT_TOKENS + 4 + 4 * BLOCK_TOKENS);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(origin.model);
        for number in [n_layers, n_kv_heads, head_dim, BLOCK_TOKENS] {
            bytes.extend((number as u32).to_le_bytes());
        }
        bytes.extend(parent.0);
        bytes.extend((tokens.len() as u32).to_le_bytes());
        bytes.extend(tokens.iter().flat_map(|token| token.to_le_bytes()));
        Self(bytes)
    }

    /// The digest of the label.
    pub(super) fn name(&self) -> Name {
        Name(Sha256::digest(&self.0).into())
    }

    /// Bytes of the file with a block of `n_elements`.
    pub(super) fn file_len(&self, n_elements: usize) -> u64 {
        (self.0.len() + n_elements * size_of::<f16>() + N_CHECKSUM) as u64
    }

    /// The file with this block.
    pub(super) fn encode(&self, block: &[f16]) -> Vec<u8> {
        let start = self.0.len();
        let mut bytes = Vec::with_capacity(start + size_of_val(block) + N_CHECKSUM);
        bytes.extend(&self.0);
        bytes.resize(start + size_of_val(block), 0);
        for (to, x) in bytes[start..].as_chunks_mut().0.iter_mut().zip(block) {
            *to = x.to_le_bytes();
        }
        let checksum = Sha256::digest(&bytes);
        bytes.extend(checksum);
        bytes
    }

    /// Takes the block of a file over; after an error `block` is as it was.
    ///
    /// # Errors
    /// What is wrong with the file, or whose it is.
    pub(super) fn decode(&self, bytes: &[u8], block: &mut [f16]) -> Result<(), Flaw> {
        self.check(bytes, block.len())?;
        for (x, from) in block.iter_mut().zip(bytes[self.0.len()..].as_chunks().0) {
            *x = f16::from_le_bytes(*from);
        }
        Ok(())
    }

    fn check(&self, bytes: &[u8], n_elements: usize) -> Result<(), Flaw> {
        if bytes.get(..MAGIC.len()) != Some(&MAGIC) {
            return Err(Flaw::Magic);
        }
        let (found, wanted) = (bytes.len() as u64, self.file_len(n_elements));
        let version = bytes.get(AT_VERSION).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
        match version {
            None => return Err(Flaw::Length { found, wanted }),
            Some(VERSION) => {}
            Some(version) => return Err(Flaw::Version(version)),
        }
        if found != wanted {
            return Err(Flaw::Length { found, wanted });
        }
        for (range, what) in PARTS.into_iter().chain([(AT_TOKENS..self.0.len(), "text")]) {
            if bytes[range.clone()] != self.0[range] {
                return Err(Flaw::Foreign(what));
            }
        }
        let (content, checksum) = bytes.split_at(bytes.len() - N_CHECKSUM);
        if Sha256::digest(content)[..] == *checksum { Ok(()) } else { Err(Flaw::Checksum) }
    }
}
