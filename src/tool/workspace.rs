//! The folder that a run works in: reading, listing, and applying changes, with no way out of it.

use serde::{Deserialize, Serialize};

/// One change to the workspace. Paths are relative, `/`-separated, normalized.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The file holds exactly this text afterwards; parent folders are made.
    Write {
        /// File to be written.
        path: String,
        /// Its whole content.
        content: String,
    },
    /// The folder exists afterwards.
    MakeFolder {
        /// Folder to be made, parents included.
        path: String,
    },
    /// `to` holds what `from` held; `from` is gone.
    Move {
        /// Existing file or folder.
        from: String,
        /// Path that does not exist yet.
        to: String,
    },
    /// `to` holds what `from` holds.
    Copy {
        /// Existing file.
        from: String,
        /// Path to be written.
        to: String,
    },
}

/// What a run may change.
#[derive(Debug, Clone, Default)]
pub struct Policy {}

/// The folder that a run works in.
#[derive(Debug)]
pub struct Workspace {}
