//! Not built yet.

use std::sync::Arc;

use super::Tool;

/// The tools of this file.
pub fn tools() -> Vec<Arc<dyn Tool>> {
    Vec::new()
}
