//! Examples of what worked, for later runs: a bounded table that forgets what was not used for longest.
//!
//! Must not know: what makes a good example, who reads it.

use rusqlite::params;
use serde::Serialize;

use super::{Error, Store, now_ms};

/// An example that is to be kept.
#[derive(Debug, Clone, Copy)]
pub struct NewExample<'a> {
    /// Words of the goal.
    pub words: &'a str,
    /// What was to be done.
    pub task: &'a str,
    /// With which tool.
    pub tool: &'a str,
    /// With which arguments, as JSON.
    pub arguments: &'a str,
}

/// An example as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Example {
    /// Its number.
    pub id: i64,
    /// Words of the goal.
    pub words: String,
    /// What was to be done.
    pub task: String,
    /// With which tool.
    pub tool: String,
    /// With which arguments, as JSON.
    pub arguments: String,
    /// When it was first kept, in milliseconds since 1970 UTC.
    pub created_ms: i64,
    /// When it last worked or was read.
    pub used_ms: i64,
    /// How often that was, after the first time.
    pub n_used: i64,
}

impl Store {
    /// Keeps examples, each once, and at most `limit` in all.
    ///
    /// # Errors
    /// As [`Store::append`].
    pub fn remember(&self, examples: &[NewExample<'_>], limit: usize) -> Result<(), Error> {
        self.write("keeping examples", |tx| {
            let mut insert = tx.prepare_cached(
                "INSERT INTO examples (words, task, tool, arguments, created_ms, used_ms, n_used)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?5, 0)
                 ON CONFLICT (task, tool, arguments) DO UPDATE SET used_ms = ?5, n_used = n_used + 1",
            )?;
            for example in examples {
                insert.execute(params![example.words, example.task, example.tool, example.arguments, now_ms()])?;
            }
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            tx.prepare_cached(
                "DELETE FROM examples WHERE id IN
                 (SELECT id FROM examples ORDER BY used_ms DESC, id DESC LIMIT -1 OFFSET ?)",
            )?
            .execute([limit])?;
            Ok(())
        })
    }

    /// All examples, the newest first.
    ///
    /// # Errors
    /// [`Error::Damaged`], [`Error::Sql`].
    pub fn examples(&self) -> Result<Vec<Example>, Error> {
        self.read("reading examples", |db| {
            let mut statement = db.prepare_cached(
                "SELECT id, words, task, tool, arguments, created_ms, used_ms, n_used FROM examples ORDER BY id DESC",
            )?;
            let rows = statement.query_map([], |row| {
                Ok(Example {
                    id: row.get(0)?,
                    words: row.get(1)?,
                    task: row.get(2)?,
                    tool: row.get(3)?,
                    arguments: row.get(4)?,
                    created_ms: row.get(5)?,
                    used_ms: row.get(6)?,
                    n_used: row.get(7)?,
                })
            })?;
            Ok(rows.collect::<rusqlite::Result<_>>()?)
        })
    }

    /// Notes that these examples were read.
    ///
    /// # Errors
    /// As [`Store::append`].
    pub fn touch_examples(&self, ids: &[i64]) -> Result<(), Error> {
        if ids.is_empty() {
            return Ok(());
        }
        self.write("noting the use of examples", |tx| {
            let mut update = tx.prepare_cached("UPDATE examples SET used_ms = ?, n_used = n_used + 1 WHERE id = ?")?;
            ids.iter().try_for_each(|id| update.execute(params![now_ms(), id]).map(|_| ()))?;
            Ok(())
        })
    }

    /// Forgets one example, or all of them; how many there were.
    ///
    /// # Errors
    /// As [`Store::append`].
    pub fn forget_examples(&self, id: Option<i64>) -> Result<usize, Error> {
        self.write("forgetting examples", |tx| {
            Ok(match id {
                Some(id) => tx.execute("DELETE FROM examples WHERE id = ?", [id])?,
                None => tx.execute("DELETE FROM examples", [])?,
            })
        })
    }
}
