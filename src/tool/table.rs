//! Tables: named columns and rows of JSON cells, and how they are read from files.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

/// Named columns and rows of cells.
///
/// Invariant: every row has as many cells as there are columns. A cell is a string, number, boolean or null.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// Names in order.
    pub columns: Vec<String>,
    /// Cells, row by row.
    pub rows: Vec<Vec<Json>>,
}
