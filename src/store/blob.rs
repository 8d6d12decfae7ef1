//! Long strings of event bodies, kept once each under their digest.
//!
//! The same file content passes through several events (a result, a proposed change, a later step's
//! input). In the stored body such a string is `{"$blob": DIGEST}`. A body that itself holds an object of
//! that shape comes back as it was: its key gets one more `$` on the way in and loses it on the way out.

use std::path::PathBuf;

use rusqlite::Connection;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::Error;

/// Strings of more bytes than this are kept out of line.
const INLINE_BYTES: usize = 4096;

const KEY: &str = "$blob";

/// Stores the long strings of `body` and returns it with references in their place.
pub fn detach(db: &Connection, body: &Value) -> rusqlite::Result<Value> {
    Ok(match body {
        Value::String(text) if text.len() > INLINE_BYTES => {
            let mut reference = Map::new();
            reference.insert(KEY.into(), Value::String(put(db, text)?));
            Value::Object(reference)
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| detach(db, item)).collect::<Result<_, _>>()?),
        Value::Object(fields) => {
            let escape = sole_key(fields).is_some();
            let key = |key: &String| if escape { format!("${key}") } else { key.clone() };
            let fields = fields.iter().map(|(name, value)| Ok((key(name), detach(db, value)?)));
            Value::Object(fields.collect::<rusqlite::Result<_>>()?)
        }
        other => other.clone(),
    })
}

/// The inverse of [`detach`].
pub fn attach(db: &Connection, body: Value) -> Result<Value, Error> {
    Ok(match body {
        Value::Array(items) => Value::Array(items.into_iter().map(|item| attach(db, item)).collect::<Result<_, _>>()?),
        Value::Object(fields) => match sole_key(&fields) {
            Some(KEY) => Value::String(get(db, fields[KEY].as_str().unwrap_or_default())?),
            escaped => {
                let n_dropped = usize::from(escaped.is_some());
                let fields =
                    fields.into_iter().map(|(name, value)| Ok((name[n_dropped..].to_owned(), attach(db, value)?)));
                Value::Object(fields.collect::<Result<_, Error>>()?)
            }
        },
        other => other,
    })
}

/// The key of an object that has only one, if it is [`KEY`] or an escaped form of it.
fn sole_key(fields: &Map<String, Value>) -> Option<&str> {
    let key = fields.keys().next().filter(|_| fields.len() == 1)?;
    (key.starts_with('$') && key.trim_start_matches('$') == &KEY[1..]).then_some(key)
}

fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn put(db: &Connection, text: &str) -> rusqlite::Result<String> {
    let sha256 = digest(text);
    db.prepare_cached("INSERT INTO blobs (sha256, content) VALUES (?, ?) ON CONFLICT DO NOTHING")?
        .execute([sha256.as_str(), text])?;
    Ok(sha256)
}

fn get(db: &Connection, sha256: &str) -> Result<String, Error> {
    let damaged = |what: &str| Error::Damaged { path: PathBuf::new(), what: format!("content {sha256} {what}") };
    let found = db.prepare_cached("SELECT content FROM blobs WHERE sha256 = ?")?.query_row([sha256], |row| row.get(0));
    let text: String = match found {
        Err(rusqlite::Error::QueryReturnedNoRows) => return Err(damaged("is missing")),
        found => found?,
    };
    if digest(&text) == sha256 { Ok(text) } else { Err(damaged("has another digest")) }
}
