//! Which files a person's version control leaves out: what a build made, downloaded packages, caches.
//!
//! Must not know: why somebody asks.
//! Source: the rules of `.gitignore` files, nested ones included, by the crate `ignore`.

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::{Entry, Workspace};

/// The rules of all `.gitignore` files of a workspace.
#[derive(Debug, Default)]
pub struct Ignored {
    /// Those of folders come after those of the folders that they lie in.
    rules: Vec<Gitignore>,
}

impl Ignored {
    /// The rules that stand in the root and in those `entries` that are folders, outer ones first.
    pub fn read(workspace: &Workspace, entries: &[Entry]) -> Self {
        let mut ignored = Self::default();
        ignored.add(workspace, "");
        for folder in entries.iter().filter(|entry| entry.is_folder) {
            // What lies in an ignored folder says nothing about other files.
            if !ignored.covers(&folder.path, true) {
                ignored.add(workspace, &folder.path);
            }
        }
        ignored
    }

    /// Whether a file or folder, or a folder that it lies in, is left out. The innermost rule decides.
    pub fn covers(&self, path: &str, is_folder: bool) -> bool {
        let decided = self.rules.iter().rev().filter(|rules| std::path::Path::new(path).starts_with(rules.path()));
        decided
            .map(|rules| rules.matched_path_or_any_parents(path, is_folder))
            .find(|m| !m.is_none())
            .is_some_and(|m| m.is_ignore())
    }

    fn add(&mut self, workspace: &Workspace, folder: &str) {
        let path = if folder.is_empty() { ".gitignore".to_owned() } else { format!("{folder}/.gitignore") };
        let Ok(text) = workspace.read_text(&path) else { return };
        let mut builder = GitignoreBuilder::new(folder);
        for line in text.lines() {
            // A line that is no pattern is skipped, as everybody does.
            let _ = builder.add_line(None, line);
        }
        self.rules.extend(builder.build());
    }
}
