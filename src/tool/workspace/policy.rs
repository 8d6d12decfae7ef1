//! Which changes a run may make: new files freely, its own files again, input files only if the goal says so.
//!
//! Decides and changes nothing. Links are resolved first, so that a file has one name here.

use std::collections::BTreeSet;
use std::path::PathBuf;

use cap_std::fs::Metadata;

use super::path::check_new;
use super::{Change, Error, Workspace, path};

/// What a run may change besides making new files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Policy {
    /// Input files that the goal says to change, move or replace. A folder stands for all that is in it.
    pub may_replace: BTreeSet<String>,
    /// Files and folders that this run made; free to be changed again. [`Workspace::apply`] adds to it.
    /// To resume a run, fill it with the targets of the changes that its journal holds.
    pub created: BTreeSet<String>,
    /// Changes of `may_replace` need no question.
    pub yes: bool,
    /// Files and folders that are never changed, whatever the goal says.
    pub fenced: BTreeSet<String>,
}

/// Whether a change may be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Apply it.
    Allow,
    /// The workspace is already as the change would leave it.
    AlreadyDone,
    /// Ask the person first; the text says what would happen.
    Ask(String),
}

impl Policy {
    /// Whether the goal allows to change `path` or a folder that holds it.
    fn permits(&self, path: &str) -> bool {
        let folders = path.match_indices('/').map(|(end, _)| &path[..end]);
        folders.chain(["", path]).any(|covering| self.may_replace.contains(covering))
    }

    /// Whether `path` is something that is never changed, or lies in it.
    fn is_fenced(&self, path: &str) -> bool {
        self.fenced.iter().any(|fenced| is_within(path, fenced))
    }

    /// Keeps what is known about `from` and everything below it when it becomes `to`.
    pub(super) fn rename(&mut self, from: &str, to: &str) {
        for paths in [&mut self.created, &mut self.may_replace] {
            let renamed = paths.iter().filter_map(|path| match path.strip_prefix(from) {
                Some(rest) if rest.is_empty() || rest.starts_with('/') => Some((path.clone(), format!("{to}{rest}"))),
                _ => None,
            });
            for (old, new) in renamed.collect::<Vec<_>>() {
                paths.remove(&old);
                paths.insert(new);
            }
        }
    }
}

/// Whether `path` is `folder` or lies in it.
pub fn is_within(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Workspace {
    /// Puts files and folders, absolute and with links resolved, out of reach of changes, as far as they lie in here.
    pub fn fence(&self, paths: &[PathBuf]) {
        let inside = paths.iter().filter_map(|path| path.strip_prefix(self.root()).ok()?.to_str());
        let inside = inside.filter(|path| !path.is_empty()).map(|path| path.replace('\\', "/"));
        self.lock().fenced.extend(inside);
    }

    /// What is fenced is not written, and no folder that holds it is moved away.
    fn check_fence(&self, change: &Change) -> Result<(), Error> {
        let policy = self.policy();
        if policy.fenced.is_empty() {
            return Ok(());
        }
        let to = self.resolve(change.target())?;
        let from = if let Change::Move { from, .. } = change { self.resolve(from)? } else { to.clone() };
        let is_moved = |fenced: &String| from != to && is_within(fenced, &from);
        let path = [&to, &from].into_iter().find(|path| policy.is_fenced(path));
        match path.or(policy.fenced.iter().find(|fenced| is_moved(fenced))) {
            Some(path) => Err(Error::Denied(format!("{path} belongs to this program; choose another place"))),
            None => Ok(()),
        }
    }

    /// Whether the run may make this change now.
    ///
    /// # Errors
    /// [`Error::Denied`] if it would change an input file that the goal does not name or leads outside,
    /// [`Error::Missing`] and [`Error::Arguments`] if it cannot be made at all.
    pub fn check(&self, change: &Change) -> Result<Verdict, Error> {
        self.check_fence(change)?;
        match change {
            Change::Write { path, content } => {
                self.check_file(&self.resolve(path)?, |file| self.holds(file, content.as_bytes()))
            }
            Change::Copy { from, to } => {
                let from = self.normalize(from)?;
                let source = self.metadata(&from)?;
                if source.is_folder {
                    return Err(Error::Arguments(format!("{from} is a folder; only files are copied, one by one")));
                }
                self.check_file(&self.resolve(to)?, |file| self.same_content(&from, file))
            }
            Change::MakeFolder { path } => {
                let path = self.resolve(path)?;
                match self.find(&path)? {
                    None => check_new(&path).map(|()| Verdict::Allow),
                    Some(metadata) if metadata.is_dir() => Ok(Verdict::AlreadyDone),
                    Some(_) => Err(Error::Arguments(format!("{path} is a file; choose another name for the folder"))),
                }
            }
            Change::Move { from, to } => self.check_move(&self.normalize(from)?, &self.resolve(to)?),
        }
    }

    /// `path`: resolved. `done`: whether the file that is there needs no change.
    fn check_file(&self, path: &str, done: impl FnOnce(&str) -> Result<bool, Error>) -> Result<Verdict, Error> {
        match self.find(path)? {
            None => check_new(path).map(|()| Verdict::Allow),
            Some(metadata) if metadata.is_dir() => {
                Err(Error::Arguments(format!("{} is a folder; expected the name of a file", path::shown(path))))
            }
            Some(_) if done(path)? => Ok(Verdict::AlreadyDone),
            Some(_) => self.check_input(path, "replace", "write to another name"),
        }
    }

    fn check_move(&self, from: &str, to: &str) -> Result<Verdict, Error> {
        let (source, target) = (self.find(from)?, self.find(to)?);
        if to == from || to.starts_with(&format!("{from}/")) {
            return Err(Error::Arguments(format!("{from} cannot be moved to {to}, which is the same or inside it")));
        }
        if source.is_some() && self.is_link(from) {
            return Err(Error::Arguments(format!("{from} is a link; move the file that it points to")));
        }
        match (source, target) {
            (Some(_), Some(_)) => Err(Error::Denied(format!("{to} exists already; move {from} to another name"))),
            (Some(_), None) => {
                check_new(to)?;
                self.check_input(&self.resolve(from)?, "move", "leave it where it is, or copy it")
            }
            (None, Some(_)) => Ok(Verdict::AlreadyDone),
            (None, None) => Err(Error::Missing { path: from.to_owned(), similar: self.similar(from) }),
        }
    }

    /// Whether the existing `path` may be changed.
    fn check_input(&self, path: &str, verb: &str, instead: &str) -> Result<Verdict, Error> {
        let policy = self.policy();
        if self.is_own(path, &policy)? {
            return Ok(Verdict::Allow);
        }
        match (policy.permits(path), policy.yes) {
            (true, true) => Ok(Verdict::Allow),
            (true, false) => Ok(Verdict::Ask(format!("{verb} {path}, which was there before this run"))),
            (false, _) => Err(Error::Denied(format!("{path} is an input file; {instead}"))),
        }
    }

    /// Whether the run made `path`: the file itself, or every file below the folder.
    fn is_own(&self, path: &str, policy: &Policy) -> Result<bool, Error> {
        if !self.find(path)?.is_some_and(|metadata| metadata.is_dir()) {
            return Ok(policy.created.contains(path));
        }
        let (mut n_files, mut foreign) = (0, false);
        self.walk(path, true, &mut |entry| {
            n_files += usize::from(!entry.is_folder);
            foreign = !entry.is_folder && !policy.created.contains(&entry.path);
            !foreign
        })?;
        Ok(!foreign && (n_files > 0 || policy.created.contains(path)))
    }

    /// What is at the normalized `path`, if anything; an error if it cannot be known or leads outside.
    pub(super) fn find(&self, path: &str) -> Result<Option<Metadata>, Error> {
        match self.stat(path) {
            Ok(metadata) => Ok(Some(metadata)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.explain(path, &error)),
        }
    }

    /// `path` normalized and with all links in it followed, so that every file has one name.
    pub(super) fn resolve(&self, path: &str) -> Result<String, Error> {
        let path = self.normalize(path)?;
        if path.is_empty() {
            return Ok(path);
        }
        match self.dir.canonicalize(&path) {
            Ok(real) => {
                let real = real.to_str().map(str::to_owned);
                real.ok_or_else(|| Error::Denied(format!("{path} leads to a name that is not Unicode")))
            }
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(self.explain(&path, &error)),
            Err(_) if self.is_link(&path) => {
                Err(Error::Denied(format!("{path} is a link that leads nowhere; use another name")))
            }
            Err(_) => match path.rsplit_once('/') {
                Some((folder, name)) => Ok(format!("{}/{name}", self.resolve(folder)?)),
                None => Ok(path),
            },
        }
    }
}
