//! Typed access to the key-value part of a model file.
//!
//! `get_*` is for what the caller cannot do without; `find_*` gives `None` for an absent key, yet an error for a key
//! of the wrong type: a default must never hide what a file says.
//! Must not know: which keys an architecture has.

use std::collections::HashMap;
use std::sync::Arc;

use super::Error;
use super::map::Bytes;
use super::parse::{Cursor, shown};
use super::value::{self, Data, Kind, Value};

/// Longest text that [`Metadata::describe`] prints in full.
const DESCRIBED_CHARS: usize = 120;

/// The key-value part of the header.
#[derive(Debug)]
pub struct Metadata {
    bytes: Arc<Bytes>,
    entries: Vec<(String, Value)>,
    by_key: HashMap<String, usize>,
}

/// One `get`/`find` pair for a type of number: the name, and how the stored data becomes it.
macro_rules! numbers {
    ($($type:ty, $wanted:literal, $get:ident, $find:ident, $from:path;)*) => {$(
        #[doc = concat!("The ", $wanted, " under `key`.")]
        ///
        /// # Errors
        /// [`Error::MissingKey`], [`Error::KeyType`], [`Error::KeyRange`].
        pub fn $get(&self, key: &str) -> Result<$type, Error> {
            self.$find(key)?.ok_or_else(|| missing(key, $wanted))
        }

        #[doc = concat!("The ", $wanted, " under `key`, if the key is there.")]
        ///
        /// # Errors
        /// [`Error::KeyType`], [`Error::KeyRange`].
        pub fn $find(&self, key: &str) -> Result<Option<$type>, Error> {
            self.find(key).map(|value| $from(key, value, $wanted)).transpose()
        }
    )*};
}

/// As `numbers`, for arrays of them.
macro_rules! arrays {
    ($($type:ty, $wanted:literal, $get:ident, $find:ident, $from:path;)*) => {$(
        #[doc = concat!("The ", $wanted, " under `key`.")]
        ///
        /// # Errors
        /// [`Error::MissingKey`], [`Error::KeyType`], [`Error::KeyRange`].
        pub fn $get(&self, key: &str) -> Result<Vec<$type>, Error> {
            self.$find(key)?.ok_or_else(|| missing(key, $wanted))
        }

        #[doc = concat!("The ", $wanted, " under `key`, if the key is there.")]
        ///
        /// # Errors
        /// [`Error::KeyType`], [`Error::KeyRange`].
        pub fn $find(&self, key: &str) -> Result<Option<Vec<$type>>, Error> {
            let Some(value) = self.find(key) else { return Ok(None) };
            let Data::Array { of, at, .. } = &value.data else { return Err(wrong_type(key, value, $wanted)) };
            let item = |bytes| {
                let data = value::scalar(*of, bytes).ok_or_else(|| wrong_type(key, value, $wanted))?;
                $from(key, &Value { kind: *of, data }, $wanted)
            };
            let size = of.least_bytes();
            self.bytes[at.clone()].chunks_exact(size).map(item).collect::<Result<_, _>>().map(Some)
        }
    )*};
}

impl Metadata {
    pub(super) fn new(bytes: Arc<Bytes>, entries: Vec<(String, Value)>) -> Self {
        let by_key = entries.iter().enumerate().map(|(i, (key, _))| (key.clone(), i)).collect();
        Self { bytes, entries, by_key }
    }

    numbers! {
        u32, "u32", get_u32, find_u32, integer;
        u64, "u64", get_u64, find_u64, integer;
        i32, "i32", get_i32, find_i32, integer;
        f32, "f32", get_f32, find_f32, float;
        bool, "bool", get_bool, find_bool, boolean;
    }

    arrays! {
        f32, "array of f32", get_f32s, find_f32s, float;
        i32, "array of i32", get_i32s, find_i32s, integer;
        u32, "array of u32", get_u32s, find_u32s, integer;
        bool, "array of bool", get_bools, find_bools, boolean;
    }

    /// The text under `key`.
    ///
    /// # Errors
    /// [`Error::MissingKey`], [`Error::KeyType`].
    pub fn get_str(&self, key: &str) -> Result<&str, Error> {
        self.find_str(key)?.ok_or_else(|| missing(key, "string"))
    }

    /// The text under `key`, if the key is there.
    ///
    /// # Errors
    /// [`Error::KeyType`].
    pub fn find_str(&self, key: &str) -> Result<Option<&str>, Error> {
        let Some(value) = self.find(key) else { return Ok(None) };
        let Data::Text(at) = &value.data else { return Err(wrong_type(key, value, "string")) };
        text(key, &self.bytes[at.clone()]).map(Some)
    }

    /// The texts under `key`, in order, borrowed from the file.
    ///
    /// # Errors
    /// [`Error::MissingKey`], [`Error::KeyType`].
    pub fn get_strs(&self, key: &str) -> Result<Vec<&str>, Error> {
        self.find_strs(key)?.ok_or_else(|| missing(key, "array of string"))
    }

    /// The texts under `key`, if the key is there.
    ///
    /// # Errors
    /// [`Error::KeyType`].
    pub fn find_strs(&self, key: &str) -> Result<Option<Vec<&str>>, Error> {
        let Some(value) = self.find(key) else { return Ok(None) };
        let Data::Array { of: Kind::Str, count, at } = &value.data else {
            return Err(wrong_type(key, value, "array of string"));
        };
        let mut cursor = Cursor::new(&self.bytes[..at.end], at.start);
        let mut texts = Vec::with_capacity(*count);
        for _ in 0..*count {
            texts.push(text(key, &self.bytes[cursor.text(&|| key.to_owned())?])?);
        }
        Ok(Some(texts))
    }

    /// `general.architecture`, the prefix of the keys that describe the model.
    ///
    /// # Errors
    /// [`Error::MissingKey`], [`Error::KeyType`].
    pub fn architecture(&self) -> Result<&str, Error> {
        self.get_str("general.architecture")
    }

    /// Whether the key is there.
    pub fn contains(&self, key: &str) -> bool {
        self.by_key.contains_key(key)
    }

    /// The keys, in file order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(key, _)| key.as_str())
    }

    /// A value for people: numbers and short text as they are, long text cut, arrays by type and length.
    pub fn describe(&self, key: &str) -> Option<String> {
        let value = self.find(key)?;
        Some(match &value.data {
            Data::Int(n) if value.kind == Kind::Bool => (*n != 0).to_string(),
            Data::Int(n) => n.to_string(),
            Data::Float(x) if value.kind == Kind::F32 => (*x as f32).to_string(),
            Data::Float(x) => x.to_string(),
            Data::Text(at) => shown(&self.bytes[at.clone()], DESCRIBED_CHARS),
            Data::Array { .. } => value.to_string(),
        })
    }

    fn find(&self, key: &str) -> Option<&Value> {
        self.by_key.get(key).map(|&i| &self.entries[i].1)
    }
}

fn missing(key: &str, wanted: &'static str) -> Error {
    Error::MissingKey { key: key.to_owned(), wanted }
}

fn wrong_type(key: &str, value: &Value, wanted: &'static str) -> Error {
    Error::KeyType { key: key.to_owned(), wanted, found: value.to_string() }
}

/// Any integer type serves, as files differ in which one they use, if the value fits.
fn integer<T: TryFrom<i128>>(key: &str, value: &Value, wanted: &'static str) -> Result<T, Error> {
    match value.data {
        Data::Int(n) if value.kind != Kind::Bool => {
            T::try_from(n).map_err(|_| Error::KeyRange { key: key.to_owned(), wanted, value: n.to_string() })
        }
        _ => Err(wrong_type(key, value, wanted)),
    }
}

fn float(key: &str, value: &Value, wanted: &'static str) -> Result<f32, Error> {
    match value.data {
        Data::Float(x) => Ok(x as f32),
        _ => Err(wrong_type(key, value, wanted)),
    }
}

fn boolean(key: &str, value: &Value, wanted: &'static str) -> Result<bool, Error> {
    match value.data {
        Data::Int(n) if value.kind == Kind::Bool => Ok(n != 0),
        _ => Err(wrong_type(key, value, wanted)),
    }
}

/// Checked again on every read: the file under a map can change.
fn text<'a>(key: &str, bytes: &'a [u8]) -> Result<&'a str, Error> {
    std::str::from_utf8(bytes).map_err(|_| Error::Invalid {
        what: format!("metadata key {key}"),
        rule: "holds text that is not UTF-8".into(),
    })
}
