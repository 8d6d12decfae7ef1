//! The types of metadata values, and a value as the header stores it.
//!
//! Invariant: text and arrays are ranges into the file, never copies, so the header costs no memory that the file
//! could choose. Must not know: which keys exist.

use std::fmt;
use std::ops::Range;

/// Type of a metadata value. Numbers are those of the GGUF specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Kind {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    Str,
    Array,
    U64,
    I64,
    F64,
}

/// `(type, name, bytes of one value; of its length prefix for text and arrays)`, at its number in the specification.
const KINDS: [(Kind, &str, usize); 13] = [
    (Kind::U8, "u8", 1),
    (Kind::I8, "i8", 1),
    (Kind::U16, "u16", 2),
    (Kind::I16, "i16", 2),
    (Kind::U32, "u32", 4),
    (Kind::I32, "i32", 4),
    (Kind::F32, "f32", 4),
    (Kind::Bool, "bool", 1),
    (Kind::Str, "string", 8),
    (Kind::Array, "array", 12),
    (Kind::U64, "u64", 8),
    (Kind::I64, "i64", 8),
    (Kind::F64, "f64", 8),
];

impl Kind {
    /// The type with this number.
    pub fn from_number(number: u32) -> Option<Self> {
        KINDS.get(usize::try_from(number).ok()?).map(|row| row.0)
    }

    /// Number in the specification.
    pub fn number(self) -> u32 {
        KINDS.iter().position(|row| row.0 == self).expect("every type has a row") as u32
    }

    /// The name that messages use.
    pub fn name(self) -> &'static str {
        KINDS[self.number() as usize].1
    }

    /// Fewest bytes that one value of this type takes in a file.
    pub(super) fn least_bytes(self) -> usize {
        KINDS[self.number() as usize].2
    }
}

/// A value as the header stores it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Value {
    pub(super) kind: Kind,
    pub(super) data: Data,
}

/// What a [`Value`] holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Data {
    /// Any integer or boolean.
    Int(i128),
    /// Either float; an `f32` is held exactly.
    Float(f64),
    /// Valid UTF-8 in this range of the file.
    Text(Range<usize>),
    /// `count` values of `of` in this range of the file, checked end to end.
    Array { of: Kind, count: usize, at: Range<usize> },
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.data {
            Data::Array { of, count, .. } => write!(f, "array of {count} {}", of.name()),
            _ => f.write_str(self.kind.name()),
        }
    }
}

/// Decodes one number or boolean; `bytes` has exactly the size of `kind`. `None` for text and arrays, and for a
/// boolean that is neither 0 nor 1.
pub(super) fn scalar(kind: Kind, bytes: &[u8]) -> Option<Data> {
    macro_rules! number {
        ($type:ty) => {
            <$type>::from_le_bytes(bytes.try_into().ok()?)
        };
    }
    Some(match kind {
        Kind::U8 => Data::Int(number!(u8).into()),
        Kind::I8 => Data::Int(number!(i8).into()),
        Kind::U16 => Data::Int(number!(u16).into()),
        Kind::I16 => Data::Int(number!(i16).into()),
        Kind::U32 => Data::Int(number!(u32).into()),
        Kind::I32 => Data::Int(number!(i32).into()),
        Kind::U64 => Data::Int(number!(u64).into()),
        Kind::I64 => Data::Int(number!(i64).into()),
        Kind::Bool if bytes[0] <= 1 => Data::Int(bytes[0].into()),
        Kind::F32 => Data::Float(number!(f32).into()),
        Kind::F64 => Data::Float(number!(f64)),
        Kind::Bool | Kind::Str | Kind::Array => return None,
    })
}
