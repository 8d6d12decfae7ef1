//! What can go wrong with the journal, told so that the person knows which file and what to do.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use super::schema::VERSION;

/// Why the journal could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The home folder is missing and cannot be made.
    #[error("creating the folder {}", path.display())]
    Folder {
        /// The home folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file cannot be opened or written.
    #[error("{} cannot be opened for writing", path.display())]
    Open {
        /// The journal.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A later version wrote it.
    #[error(
        "{} has schema {found}, this program knows schemas up to {VERSION}: a newer partita wrote it, use that one",
        path.display()
    )]
    Newer {
        /// The journal.
        path: PathBuf,
        /// Its schema version.
        found: i64,
    },
    /// Another program's database.
    #[error("{} is a database of another program, not a journal of runs", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file's contents are not what was written.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// What was found.
        what: String,
    },
    /// No space left.
    #[error("{doing}: the disk that holds {} is full", path.display())]
    Full {
        /// The journal.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
    },
    /// Another process kept the file locked for longer than one waits.
    #[error("{doing}: another process keeps {} locked", path.display())]
    Busy {
        /// The journal.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
    },
    /// No such run.
    #[error("no run {wanted:?}")]
    NoRun {
        /// The id or prefix that was asked for.
        wanted: String,
    },
    /// Several such runs.
    #[error("{wanted:?} is the beginning of several runs: {}", matches.join(", "))]
    Ambiguous {
        /// The prefix that was asked for.
        wanted: String,
        /// Some of the runs, newest first.
        matches: Vec<String>,
    },
    /// A living process works on the run.
    #[error("run {run} is being worked on by {}", holder.map_or("another process".into(), |pid| format!("process {pid}")))]
    Locked {
        /// The run.
        run: String,
        /// The process, where it could be told.
        holder: Option<u32>,
    },
    /// The lock file cannot be used.
    #[error("locking {}", path.display())]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Anything else that SQLite said.
    #[error("{doing} in {}", path.display())]
    Sql {
        /// The journal.
        path: PathBuf,
        /// What was being done.
        doing: &'static str,
        /// What SQLite said.
        source: rusqlite::Error,
    },
}

impl From<rusqlite::Error> for Error {
    /// Place and purpose are added by [`Error::at`], which every public function passes through.
    fn from(source: rusqlite::Error) -> Self {
        Self::Sql { path: PathBuf::new(), doing: "", source }
    }
}

impl Error {
    /// Says which file and what was being done, and names SQLite's codes that have a meaning for people.
    pub(super) fn at(self, path: &Path, doing: &'static str) -> Self {
        let path = path.to_owned();
        let source = match self {
            Self::Sql { source, .. } => source,
            Self::Damaged { what, .. } => return Self::Damaged { path, what },
            other => return other,
        };
        match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged { path, what: source.to_string() }
            }
            Some(ErrorCode::DiskFull) => Self::Full { path, doing },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path, doing },
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
                Self::Open { path, source }
            }
            _ => Self::Sql { path, doing, source },
        }
    }
}
