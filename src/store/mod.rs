//! The journal: every run and every event of it, in one SQLite file that survives a kill at any moment; and beside it the
//! examples that runs leave to later ones.
//!
//! Invariants: an event is on disk when [`Store::append`] returns; events are numbered 1, 2, 3, … within
//! their run and never change or vanish (triggers of the schema hold this against any writer); one process
//! at a time works on a run ([`Store::lock_run`]), and one that is killed gives it free.
//! Must not know: what an event means. Kinds, statuses and bodies are the caller's.
//!
//! Source of the settings: SQLite's own pages on write-ahead logging. With `synchronous=FULL` every
//! commit syncs the log, so it outlives a power cut as well as a killed process.

mod blob;
mod error;
mod example;
mod lock;
mod schema;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use serde::Serialize;
use serde_json::Value;

pub use error::Error;
pub use example::{Example, NewExample};
pub use lock::RunLock;

use crate::types::{RunId, StepId};

/// The status of a run from its start until someone sets another one.
pub const STATUS_RUNNING: &str = "running";

/// The name that stands for the newest run.
pub const LAST: &str = "last";

/// What is known of a run when it starts.
#[derive(Debug, Clone, Copy)]
pub struct NewRun<'a> {
    /// What is to be done.
    pub goal: &'a str,
    /// The folder that is worked in.
    pub workspace: &'a Path,
    /// The model's name or path.
    pub model: &'a str,
    /// Whatever the caller needs to go on with the run later.
    pub settings: &'a Value,
}

/// A run as the journal knows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunRow {
    /// Its id.
    pub id: RunId,
    /// When it was created, in milliseconds since 1970 UTC.
    pub created_ms: i64,
    /// [`STATUS_RUNNING`], or what [`Store::set_status`] was last given.
    pub status: String,
    /// What is to be done.
    pub goal: String,
    /// The folder that is worked in.
    pub workspace: PathBuf,
    /// The model's name or path.
    pub model: String,
    /// What [`NewRun::settings`] held.
    pub settings: Value,
}

/// An event that is to be appended.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// What kind of event it is.
    pub kind: &'a str,
    /// The step it belongs to, if it belongs to one.
    pub step: Option<StepId>,
    /// All that is known about it.
    pub body: &'a Value,
}

/// An event of the journal.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Record {
    /// Its number within the run, from 1.
    pub seq: u64,
    /// When it was appended, in milliseconds since 1970 UTC.
    pub at_ms: i64,
    /// What kind of event it is.
    pub kind: String,
    /// The step it belongs to, if it belongs to one.
    pub step: Option<StepId>,
    /// All that is known about it.
    pub body: Value,
}

/// The journal of one home folder. Threads may share it; their calls follow one another.
#[derive(Debug)]
pub struct Store {
    connection: Mutex<Connection>,
    home: PathBuf,
}

impl Store {
    /// Opens the journal of a home folder; creates folder and journal where they are missing.
    ///
    /// # Errors
    /// [`Error::Folder`] and [`Error::Open`] if the home cannot be written, [`Error::Newer`],
    /// [`Error::Foreign`] and [`Error::Damaged`] if the file is not a journal that this build can use.
    pub fn open(home: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(home).map_err(|source| Error::Folder { path: home.to_owned(), source })?;
        let connection = schema::open(&home.join(schema::FILE_NAME))?;
        Ok(Self { connection: Mutex::new(connection), home: home.to_owned() })
    }

    /// Starts a run.
    ///
    /// # Errors
    /// As [`Store::append`].
    pub fn create_run(&self, new: &NewRun<'_>) -> Result<RunId, Error> {
        self.write("creating a run", |tx| {
            let mut created_ms = now_ms();
            while find_exact(tx, &stamp(created_ms))?.is_some() {
                created_ms += 1; // two runs of one millisecond: ids stay unique and in order
            }
            let id = stamp(created_ms);
            tx.prepare_cached(
                "INSERT INTO runs (id, created_ms, status, goal, workspace, model, settings) VALUES (?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                id,
                created_ms,
                STATUS_RUNNING,
                new.goal,
                new.workspace.to_string_lossy(),
                new.model,
                new.settings.to_string()
            ])?;
            Ok(RunId(id))
        })
    }

    /// Appends one event and returns its number. It is on disk when this returns.
    ///
    /// # Errors
    /// [`Error::NoRun`] if there is no such run, [`Error::Full`], [`Error::Busy`], [`Error::Damaged`] and
    /// [`Error::Sql`] for what the disk did; nothing is appended then.
    pub fn append(&self, run: &RunId, kind: &str, step: Option<StepId>, body: &Value) -> Result<u64, Error> {
        self.append_all(run, &[Entry { kind, step, body }])
    }

    /// Appends events, all or none, and returns the number of the last one.
    ///
    /// # Errors
    /// As [`Store::append`].
    pub fn append_all(&self, run: &RunId, entries: &[Entry<'_>]) -> Result<u64, Error> {
        self.write("appending to the journal", |tx| {
            if find_exact(tx, &run.0)?.is_none() {
                return Err(Error::NoRun { wanted: run.0.clone() });
            }
            let mut seq = tx
                .prepare_cached("SELECT coalesce(max(seq), 0) FROM events WHERE run_id = ?")?
                .query_row([&run.0], |row| row.get::<_, i64>(0))?;
            for entry in entries {
                seq += 1;
                let body = blob::detach(tx, entry.body)?.to_string();
                tx.prepare_cached(
                    "INSERT INTO events (run_id, seq, at_ms, kind, step, body) VALUES (?, ?, ?, ?, ?, ?)",
                )?
                .execute(params![
                    run.0,
                    seq,
                    now_ms(),
                    entry.kind,
                    entry.step.map(|step| step.0),
                    body
                ])?;
            }
            Ok(seq.unsigned_abs())
        })
    }

    /// The events of a run in their order.
    ///
    /// # Errors
    /// [`Error::Damaged`] if an event cannot be read back as it was written; [`Error::Sql`].
    pub fn events(&self, run: &RunId) -> Result<Vec<Record>, Error> {
        self.read("reading the journal", |db| {
            let mut statement =
                db.prepare_cached("SELECT seq, at_ms, kind, step, body FROM events WHERE run_id = ? ORDER BY seq")?;
            let rows = statement.query_map([&run.0], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get::<_, Option<u32>>(3)?, row.get::<_, String>(4)?))
            })?;
            rows.map(|row| {
                let (seq, at_ms, kind, step, body): (i64, _, _, _, _) = row?;
                let body = blob::attach(db, parse(&body, || format!("event {seq} of run {run}"))?)?;
                Ok(Record { seq: seq.unsigned_abs(), at_ms, kind, step: step.map(StepId), body })
            })
            .collect()
        })
    }

    /// The newest runs, newest first.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Sql`].
    pub fn runs(&self, limit: usize) -> Result<Vec<RunRow>, Error> {
        self.select_runs("ORDER BY created_ms DESC LIMIT ?", &i64::try_from(limit).unwrap_or(i64::MAX))
    }

    /// The run with exactly this id.
    ///
    /// # Errors
    /// [`Error::NoRun`], [`Error::Damaged`], [`Error::Sql`].
    pub fn run(&self, run: &RunId) -> Result<RunRow, Error> {
        let found = self.select_runs("WHERE id = ?", &run.0)?.pop();
        found.ok_or_else(|| Error::NoRun { wanted: run.0.clone() })
    }

    /// The one run whose id starts with `wanted`, or the newest one for [`LAST`].
    ///
    /// # Errors
    /// [`Error::NoRun`] if there is none, [`Error::Ambiguous`] if there are several, [`Error::Sql`].
    pub fn find_run(&self, wanted: &str) -> Result<RunId, Error> {
        let mut found = match wanted {
            LAST => self.runs(1)?,
            // An empty prefix would fit any run: it is what a script passes when its variable is empty.
            "" => Vec::new(),
            prefix => {
                self.select_runs("WHERE substr(id, 1, length(?1)) = ?1 ORDER BY created_ms DESC LIMIT 4", &prefix)?
            }
        };
        match found.len() {
            0 => Err(Error::NoRun { wanted: wanted.to_owned() }),
            1 => Ok(found.remove(0).id),
            _ => Err(Error::Ambiguous {
                wanted: wanted.to_owned(),
                matches: found.into_iter().map(|row| row.id.0).collect(),
            }),
        }
    }

    /// Records how a run stands.
    ///
    /// # Errors
    /// As [`Store::append`].
    pub fn set_status(&self, run: &RunId, status: &str) -> Result<(), Error> {
        self.write("setting a run's status", |tx| {
            match tx.execute("UPDATE runs SET status = ? WHERE id = ?", params![status, run.0])? {
                0 => Err(Error::NoRun { wanted: run.0.clone() }),
                _ => Ok(()),
            }
        })
    }

    /// Takes a run for this process until the lock is dropped or the process ends, however it ends.
    ///
    /// # Errors
    /// [`Error::Locked`] if a living process has it; [`Error::Lock`] if the lock file cannot be used.
    pub fn lock_run(&self, run: &RunId) -> Result<RunLock, Error> {
        RunLock::take(&self.home, run)
    }

    /// Whether a living process works on the run.
    pub fn is_locked(&self, run: &RunId) -> bool {
        RunLock::is_taken(&self.home, run)
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic under the lock rolled its transaction back, so the connection is as good as before.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self) -> PathBuf {
        self.home.join(schema::FILE_NAME)
    }

    fn read<T>(&self, doing: &'static str, work: impl FnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        work(&self.connection()).map_err(|error| error.at(&self.path(), doing))
    }

    fn write<T>(
        &self,
        doing: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut connection = self.connection();
        let attempt = || {
            // Taking the write lock at once: a transaction that starts by reading could not wait for it.
            let tx = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let result = work(&tx)?;
            tx.commit()?;
            Ok(result)
        };
        attempt().map_err(|error: Error| error.at(&self.path(), doing))
    }

    fn select_runs(&self, rest: &str, parameter: &dyn rusqlite::ToSql) -> Result<Vec<RunRow>, Error> {
        self.read("listing runs", |db| {
            let sql = format!("SELECT id, created_ms, status, goal, workspace, model, settings FROM runs {rest}");
            let mut statement = db.prepare_cached(&sql)?;
            let rows = statement.query_map([parameter], |row| Ok((run_row(row)?, row.get::<_, String>(6)?)))?;
            rows.map(|row| {
                let (row, settings) = row?;
                let settings = parse(&settings, || format!("the settings of run {}", row.id))?;
                Ok(RunRow { settings, ..row })
            })
            .collect()
        })
    }
}

/// Everything but the settings, which need parsing.
fn run_row(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    Ok(RunRow {
        id: RunId(row.get(0)?),
        created_ms: row.get(1)?,
        status: row.get(2)?,
        goal: row.get(3)?,
        workspace: PathBuf::from(row.get::<_, String>(4)?),
        model: row.get(5)?,
        settings: Value::Null,
    })
}

fn find_exact(db: &Connection, id: &str) -> rusqlite::Result<Option<String>> {
    db.prepare_cached("SELECT id FROM runs WHERE id = ?")?.query_row([id], |row| row.get(0)).optional()
}

fn parse(text: &str, what: impl FnOnce() -> String) -> Result<Value, Error> {
    serde_json::from_str(text)
        .map_err(|source| Error::Damaged { path: PathBuf::new(), what: format!("{} is not JSON: {source}", what()) })
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// A run's id: its start in UTC, readable, and in order when sorted as text.
fn stamp(ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(ms).unwrap_or_default();
    time.strftime("%Y%m%d-%H%M%S-%3f").to_string()
}
