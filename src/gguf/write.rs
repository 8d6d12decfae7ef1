//! Writes small model files, version 3: what tests, benches and bundles need.
//!
//! Invariant: whatever it writes, [`super::Gguf`] reads back equal, as long as names are unique and the data of every
//! tensor has the size that its shape and encoding say. Neither is checked here, so that tests can write bad files.
//! Must not know: what keys and tensors mean, except `general.alignment`.

use std::io;
use std::path::Path;

use super::value::Kind;
use crate::types::Dtype;

/// A metadata value to write.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Value {
    U8(u8),
    I32(i32),
    U32(u32),
    I64(i64),
    U64(u64),
    F32(f32),
    F64(f64),
    Bool(bool),
    Str(String),
    Strs(Vec<String>),
    F32s(Vec<f32>),
    I32s(Vec<i32>),
    U32s(Vec<u32>),
    Bools(Vec<bool>),
}

macro_rules! from {
    ($($type:ty => $variant:ident),* $(,)?) => {$(
        impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        }
    )*};
}

from! {
    u8 => U8, i32 => I32, u32 => U32, i64 => I64, u64 => U64, f32 => F32, f64 => F64, bool => Bool,
    &str => Str, String => Str, Vec<String> => Strs, Vec<f32> => F32s, Vec<i32> => I32s, Vec<u32> => U32s,
    Vec<bool> => Bools,
}

impl From<Vec<&str>> for Value {
    fn from(texts: Vec<&str>) -> Self {
        Self::Strs(texts.into_iter().map(String::from).collect())
    }
}

/// Collects metadata and tensors, then writes them in the order given.
#[derive(Debug, Clone, Default)]
pub struct Writer {
    metadata: Vec<(String, Value)>,
    tensors: Vec<Tensor>,
}

#[derive(Debug, Clone)]
struct Tensor {
    name: String,
    shape: Vec<usize>,
    dtype: Dtype,
    data: Vec<u8>,
}

impl Writer {
    /// A file with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a metadata entry.
    pub fn set(&mut self, key: &str, value: impl Into<Value>) -> &mut Self {
        self.metadata.push((key.to_owned(), value.into()));
        self
    }

    /// Adds a tensor. `shape` is row-major (`[n_rows, n_cols]`); `data` is encoded as `dtype` says.
    pub fn tensor(&mut self, name: &str, shape: &[usize], dtype: Dtype, data: Vec<u8>) -> &mut Self {
        self.tensors.push(Tensor { name: name.to_owned(), shape: shape.to_vec(), dtype, data });
        self
    }

    /// Adds a tensor of `f32`.
    pub fn tensor_f32(&mut self, name: &str, shape: &[usize], data: &[f32]) -> &mut Self {
        self.tensor(name, shape, Dtype::F32, data.iter().flat_map(|x| x.to_le_bytes()).collect())
    }

    /// The file as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let alignment = self.alignment();
        let mut out = b"GGUF".to_vec();
        out.extend(3u32.to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.metadata.len() as u64).to_le_bytes());
        for (key, value) in &self.metadata {
            put_str(&mut out, key);
            put_value(&mut out, value);
        }
        let mut offset = 0usize;
        for tensor in &self.tensors {
            put_str(&mut out, &tensor.name);
            out.extend((tensor.shape.len() as u32).to_le_bytes());
            tensor.shape.iter().rev().for_each(|&dim| out.extend((dim as u64).to_le_bytes()));
            out.extend(tensor.dtype.gguf_number().to_le_bytes());
            out.extend((offset as u64).to_le_bytes());
            offset = (offset + tensor.data.len()).next_multiple_of(alignment);
        }
        for tensor in &self.tensors {
            out.resize(out.len().next_multiple_of(alignment), 0);
            out.extend(&tensor.data);
        }
        out
    }

    /// Writes the file, replacing what is there.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        std::fs::write(path, self.to_bytes())
    }

    fn alignment(&self) -> usize {
        let entry = self.metadata.iter().find(|(key, _)| key == "general.alignment");
        match entry {
            // A test may ask for an alignment of 0; the reader has to refuse it, the writer only has to go on.
            Some((_, Value::U32(alignment))) => (*alignment).max(1) as usize,
            _ => 32,
        }
    }
}

fn put_str(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    macro_rules! scalar {
        ($kind:ident, $bytes:expr) => {{
            out.extend(Kind::$kind.number().to_le_bytes());
            out.extend($bytes);
        }};
    }
    match value {
        Value::U8(x) => scalar!(U8, x.to_le_bytes()),
        Value::I32(x) => scalar!(I32, x.to_le_bytes()),
        Value::U32(x) => scalar!(U32, x.to_le_bytes()),
        Value::I64(x) => scalar!(I64, x.to_le_bytes()),
        Value::U64(x) => scalar!(U64, x.to_le_bytes()),
        Value::F32(x) => scalar!(F32, x.to_le_bytes()),
        Value::F64(x) => scalar!(F64, x.to_le_bytes()),
        Value::Bool(x) => scalar!(Bool, [u8::from(*x)]),
        Value::Str(text) => {
            out.extend(Kind::Str.number().to_le_bytes());
            put_str(out, text);
        }
        Value::Strs(texts) => put_array(out, Kind::Str, texts, |out, text| put_str(out, text)),
        Value::F32s(xs) => put_array(out, Kind::F32, xs, |out, x| out.extend(x.to_le_bytes())),
        Value::I32s(xs) => put_array(out, Kind::I32, xs, |out, x| out.extend(x.to_le_bytes())),
        Value::U32s(xs) => put_array(out, Kind::U32, xs, |out, x| out.extend(x.to_le_bytes())),
        Value::Bools(xs) => put_array(out, Kind::Bool, xs, |out, x| out.push(u8::from(*x))),
    }
}

fn put_array<T>(out: &mut Vec<u8>, of: Kind, items: &[T], put: impl Fn(&mut Vec<u8>, &T)) {
    out.extend(Kind::Array.number().to_le_bytes());
    out.extend(of.number().to_le_bytes());
    out.extend((items.len() as u64).to_le_bytes());
    items.iter().for_each(|item| put(out, item));
}
