//! The tables and how an older file becomes a current one.
//!
//! Invariant: `user_version` is the number of migrations that a file has been through. A migration that
//! has been released is never edited; a new one is added at the end.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::{Connection, TransactionBehavior};

use super::Error;

/// The journal's name in the home folder.
pub const FILE_NAME: &str = "partita.db";

/// Marks the file as ours (`PRAGMA application_id`): "prta".
const APPLICATION_ID: i64 = 0x7072_7461;

/// How long a writer waits for another process to finish its transaction.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Between two tries to open a file that others are opening.
const BETWEEN_TRIES: Duration = Duration::from_millis(5);

/// The schema that this build reads and writes.
pub const VERSION: i64 = MIGRATIONS.len() as i64;

const MIGRATIONS: [&str; 2] = [FIRST, EXAMPLES];

const FIRST: &str = "
    CREATE TABLE runs (
        id          TEXT PRIMARY KEY,
        created_ms  INTEGER NOT NULL,
        status      TEXT NOT NULL,
        goal        TEXT NOT NULL,
        workspace   TEXT NOT NULL,
        model       TEXT NOT NULL,
        settings    TEXT NOT NULL
    ) STRICT;
    CREATE INDEX runs_by_time ON runs (created_ms);

    CREATE TABLE events (
        run_id  TEXT NOT NULL REFERENCES runs (id),
        seq     INTEGER NOT NULL,
        at_ms   INTEGER NOT NULL,
        kind    TEXT NOT NULL,
        step    INTEGER,
        body    TEXT NOT NULL,
        PRIMARY KEY (run_id, seq)
    ) STRICT;

    CREATE TABLE blobs (
        sha256  TEXT PRIMARY KEY,
        content TEXT NOT NULL
    ) STRICT;

    CREATE TRIGGER events_follow_on BEFORE INSERT ON events
    WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM events WHERE run_id = NEW.run_id)
    BEGIN SELECT raise(ABORT, 'the journal has no gaps: an event follows the last one'); END;
    CREATE TRIGGER events_stay BEFORE UPDATE ON events
    BEGIN SELECT raise(ABORT, 'the journal is append-only: events are not changed'); END;
    CREATE TRIGGER events_last BEFORE DELETE ON events
    BEGIN SELECT raise(ABORT, 'the journal is append-only: events are not deleted'); END;
    CREATE TRIGGER blobs_stay BEFORE UPDATE ON blobs
    BEGIN SELECT raise(ABORT, 'the journal is append-only: contents are not changed'); END;
    CREATE TRIGGER blobs_last BEFORE DELETE ON blobs
    BEGIN SELECT raise(ABORT, 'the journal is append-only: contents are not deleted'); END;
";

const EXAMPLES: &str = "
    CREATE TABLE examples (
        id          INTEGER PRIMARY KEY AUTOINCREMENT,
        words       TEXT NOT NULL,
        task        TEXT NOT NULL,
        tool        TEXT NOT NULL,
        arguments   TEXT NOT NULL,
        created_ms  INTEGER NOT NULL,
        used_ms     INTEGER NOT NULL,
        n_used      INTEGER NOT NULL,
        UNIQUE (task, tool, arguments)
    ) STRICT;
    CREATE INDEX examples_by_use ON examples (used_ms);
";

/// Opens the file, creating it where it is missing, and brings its schema up to date.
///
/// # Errors
/// As [`super::Store::open`].
pub fn open(path: &Path) -> Result<Connection, Error> {
    let deadline = Instant::now() + BUSY_TIMEOUT;
    loop {
        match prepare(path).map_err(|error| error.at(path, "opening the journal")) {
            // SQLite does not wait for others that are switching a new file to the write-ahead log or recovering it.
            Err(Error::Busy { .. }) if Instant::now() < deadline => std::thread::sleep(BETWEEN_TRIES),
            opened => return opened,
        }
    }
}

fn prepare(path: &Path) -> Result<Connection, Error> {
    let mut connection = Connection::open(path)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    // Before anything is written to it: the file may belong to another program.
    check_owner(path, &connection)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    migrate(path, &mut connection)?;
    Ok(connection)
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

fn check_owner(path: &Path, connection: &Connection) -> Result<(), Error> {
    let is_empty = pragma(connection, "schema_version")? == 0;
    if !is_empty && pragma(connection, "application_id")? != APPLICATION_ID {
        return Err(Error::Foreign { path: path.to_owned() });
    }
    match pragma(connection, "user_version")? {
        found if found > VERSION => Err(Error::Newer { path: path.to_owned(), found }),
        _ => Ok(()),
    }
}

fn migrate(path: &Path, connection: &mut Connection) -> Result<(), Error> {
    if pragma(connection, "user_version")? == VERSION {
        return Ok(());
    }
    let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Again, now that nobody else can write: another process may have been faster.
    check_owner(path, &tx)?;
    let done = usize::try_from(pragma(&tx, "user_version")?).unwrap_or_default();
    for migration in MIGRATIONS.iter().skip(done) {
        tx.execute_batch(migration)?;
    }
    tx.pragma_update(None, "application_id", APPLICATION_ID)?;
    tx.pragma_update(None, "user_version", VERSION)?;
    Ok(tx.commit()?)
}
