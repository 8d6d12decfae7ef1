//! Exact numeric routines on slices, dispatched by CPU features.
//!
//! Every routine is written once, over the lanes of [`simd::Simd`], and compiled per instruction set: the portable
//! lanes are the definition, the AVX2 and AVX-512 lanes execute the same operations in the same order, so results
//! are equal bit for bit on every instruction set.
//!
//! Invariants:
//! - Batch invariance: the arithmetic of one output element never depends on how many rows are computed with it,
//!   on the number of threads, or on where its KV blocks lie. Products on tiles keep this among themselves, but round
//!   other than the rest: whoever takes them for many rows only (see [`tiles_from`]) gives it up.
//! - Nothing here panics on data; a wrong length is a broken invariant of the caller and is asserted.
//!
//! `unsafe` lives here (and in the memory map of `gguf`) and nowhere else.
//! Must not know: models, tensors, sequences; of files, only that packed weights may be mapped from one.

mod activation;
mod attention;
mod dense;
mod encoding;
mod format;
mod isa;
mod kv;
mod limit;
mod matmul;
mod memory;
mod packed;
mod pairs;
mod simd;
mod threads;
mod tile;
mod vector;

#[cfg(test)]
mod tests;

use crate::types::Dtype;

pub use activation::QuantizedRows;
pub use attention::{Attention, Stacks, attention};
pub use encoding::{dequantize, dequantize_row};
pub use isa::{Isa, isa};
pub use kv::KvLayout;
pub use limit::Limits;
pub use memory::{Mapping, keep_freed_memory};
pub use packed::Packed;
pub use threads::Threads;
pub use tile::{TiledRows, tiles_from};
pub use vector::{RopeStyle, add, gelu_mul, rms_norm, rope, rope_rows, silu_mul, softmax};

/// Names the arithmetic of the routines: to be raised with any change of a bit that one of them gives.
pub const ARITHMETIC: u32 = 3;

/// Why weights could not be read or packed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A row does not consist of whole blocks.
    #[error("a row of {n_cols} elements is not a whole number of {} blocks of {}", dtype.name(), dtype.block_elements())]
    Columns {
        /// Encoding of the matrix.
        dtype: Dtype,
        /// Elements of one row.
        n_cols: usize,
    },
    /// The bytes are not those of the shape.
    #[error("{} [{n_rows}, {n_cols}] takes {want} bytes, got {got}", dtype.name())]
    Length {
        /// Encoding of the matrix.
        dtype: Dtype,
        /// Rows of the matrix.
        n_rows: usize,
        /// Elements of one row.
        n_cols: usize,
        /// Bytes that the shape takes.
        want: usize,
        /// Bytes that came.
        got: usize,
    },
}
