//! SQLite files: every table and view, read from a copy in memory, so the file is never opened for writing.
//!
//! Must not know: what cells mean ([`super::infer`]).

use std::time::{Duration, Instant};

use rusqlite::types::ValueRef;
use rusqlite::{Connection, MAIN_DB};
use serde_json::Value as Json;

use super::{Error, Loaded, MAX_ROWS, Options, Raw, RawRow, fix_columns, infer};
use crate::tool::Workspace;

/// First bytes of every SQLite file.
pub(super) const MAGIC: &[u8] = b"SQLite format 3\0";
/// Tables read from one file.
const MAX_TABLES: u32 = 50;
/// A view can compute without end.
const MAX_TIME: Duration = Duration::from_secs(20);

/// Reads all tables and views.
pub(super) fn read(
    workspace: &Workspace,
    path: &str,
    mut bytes: Vec<u8>,
    options: &Options,
) -> Result<Vec<(String, Loaded)>, Error> {
    // A file in write-ahead mode cannot be used from memory; the two version bytes alone say that it is one.
    if let Some(versions) = bytes.get_mut(18..20) {
        versions.fill(1);
    }
    let wrong = |error: rusqlite::Error| Error::Failed(format!("reading {path}: {error}"));
    let mut connection = Connection::open_in_memory().map_err(wrong)?;
    connection.deserialize_read_exact(MAIN_DB, bytes.as_slice(), bytes.len(), true).map_err(wrong)?;
    drop(bytes);
    let started = Instant::now();
    connection.progress_handler(10_000, Some(move || started.elapsed() > MAX_TIME)).map_err(wrong)?;
    let names = names(&connection).map_err(wrong)?;
    if names.is_empty() {
        return Err(Error::Arguments(format!("{path} is an SQLite file without tables")));
    }
    let wal = format!("{path}-wal");
    let has_wal = workspace.metadata(&wal).is_ok_and(|entry| entry.bytes > 0);
    let mut tables = Vec::new();
    for name in names {
        let mut raw = table(&connection, path, &name)?;
        if has_wal {
            raw.notes.push(format!("{wal} may hold newer rows that are not read"));
        }
        tables.push((name, infer::finish(raw, options)));
    }
    Ok(tables)
}

fn names(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite~_%' ESCAPE '~' \
               ORDER BY type, rootpage LIMIT ?1";
    let mut statement = connection.prepare(sql)?;
    statement.query_map([MAX_TABLES], |row| row.get(0))?.collect()
}

fn table(connection: &Connection, path: &str, name: &str) -> Result<Raw, Error> {
    let wrong = |error: rusqlite::Error| Error::Failed(format!("reading table `{name}` of {path}: {error}"));
    let sql = format!("SELECT * FROM \"{}\"", name.replace('"', "\"\""));
    let mut statement = connection.prepare(&sql).map_err(wrong)?;
    let mut raw = Raw::default();
    let columns = statement.column_names().into_iter().map(str::to_owned).collect();
    raw.columns = fix_columns(columns, &mut raw.notes);
    let mut rows = statement.query([]).map_err(wrong)?;
    while let Some(row) = rows.next().map_err(wrong)? {
        if raw.rows.len() == MAX_ROWS {
            return Err(Error::Limit(format!("table `{name}` of {path} has more than {MAX_ROWS} rows")));
        }
        let cells =
            (0..raw.columns.len()).map(|idx| row.get_ref(idx).map(cell)).collect::<Result<_, _>>().map_err(wrong)?;
        raw.rows.push(RawRow { line: raw.rows.len() + 1, span: None, cells });
    }
    Ok(raw)
}

fn cell(value: ValueRef<'_>) -> Json {
    match value {
        ValueRef::Null => Json::Null,
        ValueRef::Integer(number) => number.into(),
        ValueRef::Real(number) => number.into(),
        ValueRef::Text(text) => match String::from_utf8_lossy(text).trim() {
            "" => Json::Null,
            text => text.into(),
        },
        ValueRef::Blob(bytes) => format!("({} bytes)", bytes.len()).into(),
    }
}
