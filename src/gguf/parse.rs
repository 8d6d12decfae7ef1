//! Walks the header of a model file once and checks everything in it.
//!
//! Invariant: every number that the file states is compared with the bytes that are there before it is used as a
//! length, an index or a factor. Must not know: what keys and tensors mean, except `general.alignment`.

use std::collections::HashMap;
use std::ops::Range;

use super::value::{self, Data, Kind, Value};
use super::{Error, TensorInfo};
use crate::types::Dtype;

/// Alignment of tensor data where the file names none.
const DEFAULT_ALIGNMENT: u64 = 32;
/// Most dimensions that the format allows.
const MAX_DIMS: u32 = 4;
/// Fewest bytes of one metadata entry: the key's length, the type, one byte.
const LEAST_ENTRY_BYTES: u64 = 13;
/// Fewest bytes of one tensor entry: the name's length, the number of dimensions, one of them, type, offset.
const LEAST_TENSOR_BYTES: u64 = 32;
/// Longest name that a message repeats in full.
const SHOWN_CHARS: usize = 80;
/// What to suggest in place of an encoding that is not read.
const SUPPORTED: &str = "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2_K, Q3_K, Q4_K, Q5_K, Q6_K, IQ4_NL or IQ4_XS";

/// What a header holds.
pub(super) struct Header {
    pub(super) entries: Vec<(String, Value)>,
    pub(super) tensors: Vec<TensorInfo>,
    pub(super) by_name: HashMap<String, usize>,
}

/// Reads and checks a whole header.
pub(super) fn header(bytes: &[u8]) -> Result<Header, Error> {
    let mut cursor = Cursor::new(bytes, 0);
    preamble(&mut cursor)?;
    let n_tensors = cursor.count(LEAST_TENSOR_BYTES, &|| "the tensor count".into())?;
    let n_entries = cursor.count(LEAST_ENTRY_BYTES, &|| "the metadata count".into())?;
    let entries = entries(&mut cursor, n_entries)?;
    let alignment = alignment(&entries)?;
    let mut tensors = Vec::new();
    let mut by_name = HashMap::new();
    for i in 0..n_tensors {
        let tensor = tensor(&mut cursor, i, alignment)?;
        if by_name.insert(tensor.name.clone(), i).is_some() {
            return Err(invalid(label("tensor", &tensor.name), "appears twice"));
        }
        tensors.push(tensor);
    }
    place(&mut tensors, cursor.at as u64, alignment, bytes.len() as u64)?;
    Ok(Header { entries, tensors, by_name })
}

fn preamble(cursor: &mut Cursor<'_>) -> Result<(), Error> {
    let magic = &cursor.bytes[..cursor.bytes.len().min(4)];
    if magic != b"GGUF" {
        return Err(Error::Magic { found: shown(magic, 4) });
    }
    cursor.at = 4;
    let version = cursor.u32(&|| "the version".into())?;
    let hint = match version {
        2 | 3 => return Ok(()),
        _ if matches!(version.swap_bytes(), 1..=3) => "; it is a big-endian file",
        1 => "; convert it again with a current tool",
        _ => "",
    };
    Err(Error::Version { found: version, hint })
}

fn entries(cursor: &mut Cursor<'_>, n_entries: usize) -> Result<Vec<(String, Value)>, Error> {
    let mut entries: Vec<(String, Value)> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for i in 0..n_entries {
        let nth = || format!("the key of metadata entry {i}");
        let at = cursor.text(&nth)?;
        let key = std::str::from_utf8(&cursor.bytes[at]).map_err(|_| invalid(nth(), "is not UTF-8"))?;
        let what = || label("metadata key", key);
        if !seen.insert(key) {
            return Err(invalid(what(), "appears twice"));
        }
        let kind = cursor.kind(&what)?;
        let data = match kind {
            Kind::Str => Data::Text(cursor.utf8(&what)?),
            Kind::Array => array(cursor, &what)?,
            _ => cursor.scalar(kind, &what)?,
        };
        entries.push((key.to_owned(), Value { kind, data }));
    }
    Ok(entries)
}

/// Arrays of arrays are refused: no known file has one, and depth is a way to exhaust the stack.
fn array(cursor: &mut Cursor<'_>, what: What<'_>) -> Result<Data, Error> {
    let of = cursor.kind(what)?;
    if of == Kind::Array {
        return Err(invalid(what(), "is an array of arrays, which is not supported"));
    }
    let count = cursor.count(of.least_bytes() as u64, what)?;
    let start = cursor.at;
    match of {
        Kind::Str => {
            for _ in 0..count {
                cursor.utf8(what)?;
            }
        }
        // `count` made sure that the product is less than the file.
        _ => drop(cursor.take((count * of.least_bytes()) as u64, what)?),
    }
    if of == Kind::Bool && cursor.bytes[start..cursor.at].iter().any(|&b| b > 1) {
        return Err(invalid(what(), "holds a boolean that is neither 0 nor 1"));
    }
    Ok(Data::Array { of, count, at: start..cursor.at })
}

fn alignment(entries: &[(String, Value)]) -> Result<u64, Error> {
    let key = "general.alignment";
    let Some((_, value)) = entries.iter().find(|(k, _)| k == key) else { return Ok(DEFAULT_ALIGNMENT) };
    match value.data {
        Data::Int(n) if value.kind != Kind::Bool => match u64::try_from(n) {
            Ok(n) if n.is_power_of_two() => Ok(n),
            _ => Err(invalid(label("metadata key", key), &format!("is {n}, expected a power of two"))),
        },
        _ => Err(Error::KeyType { key: key.into(), wanted: "u32", found: value.to_string() }),
    }
}

/// Reads one row of the tensor table; its offset is still relative to the data.
fn tensor(cursor: &mut Cursor<'_>, i: usize, alignment: u64) -> Result<TensorInfo, Error> {
    let nth = || format!("the name of tensor {i}");
    let at = cursor.utf8(&nth)?;
    let name = String::from_utf8_lossy(&cursor.bytes[at]).into_owned();
    let what = || label("tensor", &name);
    let n_dims = cursor.u32(&what)?;
    if !(1..=MAX_DIMS).contains(&n_dims) {
        return Err(invalid(what(), &format!("has {n_dims} dimensions, expected 1 to {MAX_DIMS}")));
    }
    let dims = (0..n_dims).map(|_| cursor.u64(&what)).collect::<Result<Vec<_>, _>>()?;
    let number = cursor.u32(&what)?;
    let dtype = Dtype::from_gguf(number).ok_or_else(|| Error::Encoding {
        name: escaped(&name),
        number,
        supported: SUPPORTED,
    })?;
    let offset = cursor.u64(&what)?;
    if !offset.is_multiple_of(alignment) {
        return Err(invalid(what(), &format!("starts at offset {offset}, which is not a multiple of {alignment}")));
    }
    let n_bytes = n_bytes(&dims, dtype, &what)?;
    let shape = dims.iter().rev().map(|&dim| dim as usize).collect();
    let offset = usize::try_from(offset).map_err(|_| invalid(what(), "starts beyond the address space"))?;
    Ok(TensorInfo { name, shape, dtype, offset, n_bytes })
}

/// Bytes of a tensor; `dims` with the fastest first, as the file has them.
fn n_bytes(dims: &[u64], dtype: Dtype, what: What<'_>) -> Result<usize, Error> {
    let columns = dims[0];
    if dims.contains(&0) {
        return Err(invalid(what(), &format!("has an empty dimension in {dims:?}")));
    }
    if !columns.is_multiple_of(dtype.block_elements() as u64) {
        let (name, block) = (dtype.name(), dtype.block_elements());
        let rule = format!("has rows of {columns} elements, but {name} needs a multiple of {block}");
        return Err(invalid(what(), &rule));
    }
    let elements = dims.iter().try_fold(1u64, |product, &dim| product.checked_mul(dim));
    elements
        .and_then(|n| (n / dtype.block_elements() as u64).checked_mul(dtype.block_bytes() as u64))
        .and_then(|n| usize::try_from(n).ok())
        .ok_or_else(|| invalid(what(), &format!("has dimensions {dims:?}, whose product overflows")))
}

/// Turns offsets relative to the data into offsets into the file, and checks that every tensor lies inside it.
fn place(tensors: &mut [TensorInfo], header_end: u64, alignment: u64, len: u64) -> Result<(), Error> {
    for tensor in tensors {
        let end_of = |start: u64| start.checked_add(tensor.offset as u64)?.checked_add(tensor.n_bytes as u64);
        let start = header_end.checked_next_multiple_of(alignment);
        let end = start.and_then(end_of).unwrap_or(u64::MAX);
        if end > len {
            return Err(Error::Truncated { what: label("tensor", &tensor.name), end, len });
        }
        tensor.offset = end as usize - tensor.n_bytes;
    }
    Ok(())
}

/// Names what is being read, for messages only.
type What<'a> = &'a dyn Fn() -> String;

/// A position in the bytes that only moves forward and never past the end.
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Starts at byte `at`, which must lie inside.
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    fn take(&mut self, n: u64, what: What<'_>) -> Result<&'a [u8], Error> {
        let left = (self.bytes.len() - self.at) as u64;
        if n > left {
            let end = (self.at as u64).saturating_add(n);
            return Err(Error::Truncated { what: what(), end, len: self.bytes.len() as u64 });
        }
        let start = self.at;
        self.at += n as usize;
        Ok(&self.bytes[start..self.at])
    }

    fn u32(&mut self, what: What<'_>) -> Result<u32, Error> {
        let bytes = self.take(4, what)?;
        Ok(u32::from_le_bytes(bytes.try_into().expect("four bytes were taken")))
    }

    fn u64(&mut self, what: What<'_>) -> Result<u64, Error> {
        let bytes = self.take(8, what)?;
        Ok(u64::from_le_bytes(bytes.try_into().expect("eight bytes were taken")))
    }

    /// Reads a count of entries that take at least `least_bytes` each.
    fn count(&mut self, least_bytes: u64, what: What<'_>) -> Result<usize, Error> {
        let count = self.u64(what)?;
        let left = (self.bytes.len() - self.at) as u64;
        let most = left / least_bytes;
        if count > most {
            return Err(Error::Count { what: what(), count, left, most });
        }
        Ok(count as usize)
    }

    fn kind(&mut self, what: What<'_>) -> Result<Kind, Error> {
        let number = self.u32(what)?;
        Kind::from_number(number).ok_or_else(|| invalid(what(), &format!("has type number {number}, expected 0 to 12")))
    }

    fn scalar(&mut self, kind: Kind, what: What<'_>) -> Result<Data, Error> {
        let bytes = self.take(kind.least_bytes() as u64, what)?;
        value::scalar(kind, bytes).ok_or_else(|| invalid(what(), "holds a boolean that is neither 0 nor 1"))
    }

    /// Reads a length and as many bytes, and says where they are.
    pub(super) fn text(&mut self, what: What<'_>) -> Result<Range<usize>, Error> {
        let n = self.u64(what)?;
        let start = self.at;
        self.take(n, what)?;
        Ok(start..self.at)
    }

    fn utf8(&mut self, what: What<'_>) -> Result<Range<usize>, Error> {
        let at = self.text(what)?;
        match std::str::from_utf8(&self.bytes[at.clone()]) {
            Ok(_) => Ok(at),
            Err(_) => Err(invalid(what(), "holds text that is not UTF-8")),
        }
    }
}

fn invalid(what: String, rule: &str) -> Error {
    Error::Invalid { what, rule: rule.to_owned() }
}

fn label(kind: &str, name: &str) -> String {
    format!("{kind} {}", escaped(name))
}

fn escaped(name: &str) -> String {
    shown(name.as_bytes(), SHOWN_CHARS)
}

/// Bytes from a file in a form that is safe to print: no control characters, not too long.
pub(super) fn shown(bytes: &[u8], max_chars: usize) -> String {
    // Four bytes are the most that one character takes, so the cut costs no more than it shows.
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * max_chars + 4)]);
    let mut shown = String::new();
    for c in head.chars().take(max_chars) {
        match c {
            '\'' | '"' | '\\' => shown.push(c),
            _ => shown.extend(c.escape_debug()),
        }
    }
    if head.chars().nth(max_chars).is_some() {
        shown.push('…');
    }
    shown
}
