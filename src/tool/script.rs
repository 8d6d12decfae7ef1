//! Not built yet.

use std::sync::Arc;

use super::Tool;

/// The tools of this file.
pub fn tools() -> Vec<Arc<dyn Tool>> {
    Vec::new()
}

/// Runs one program in this process, the sandboxed child of the `script` tool.
pub fn child_main() -> std::process::ExitCode {
    std::process::ExitCode::FAILURE
}
