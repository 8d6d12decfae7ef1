//! Writes the archive's files on a thread of its own, and keeps the folder within its budget.
//!
//! Invariants: a file under its final name was written whole before it got that name; what cannot be written is a
//! warning, and nothing more is written then; never more than [`MAX_PENDING`] blocks wait in memory. Files that do not
//! have the archive's names are not touched.
//! Must not know: sequences, the tree, what a block means.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use half::f16;

use super::file::{Label, Name};

/// Jobs that may wait; a block is about a megabyte.
const MAX_PENDING: usize = 64;
/// How long [`Clerk::flush`] waits for a disk that does not answer.
const FLUSH_LIMIT: Duration = Duration::from_secs(10);
/// Unfinished files of this age have no writer any more.
const STALE: Duration = Duration::from_secs(600);
/// What is left of the budget when old files are removed, so that it does not happen with every file.
const REMAINS: f64 = 0.9;
/// Between a block's time of use and that of the block after it: of one prefix the end is removed first.
const DEPTH_STEP: Duration = Duration::from_micros(1);

const KEPT: &str = "kv";
const UNFINISHED: &str = "part";

/// What an archive has done so far, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArchiveStats {
    /// Blocks taken over from files.
    pub n_blocks_read: u64,
    /// Tokens in them.
    pub n_tokens_read: u64,
    /// Blocks written.
    pub n_blocks_written: u64,
    /// Files that were not taken over: damaged, or of something else.
    pub n_ignored: u64,
    /// Files that had to go because of the budget.
    pub n_removed: u64,
    /// The latest thing that went wrong, in words.
    pub warning: Option<String>,
}

/// A handle to the thread. The thread ends when all handles are gone and everything is written.
#[derive(Debug, Clone)]
pub struct Clerk {
    jobs: Sender<Job>,
    desk: Arc<Desk>,
}

/// What both sides see.
#[derive(Debug, Default)]
struct Desk {
    state: Mutex<State>,
    /// Told when a job is done.
    done: Condvar,
}

#[derive(Debug, Default)]
struct State {
    stats: ArchiveStats,
    n_pending: usize,
    /// Nothing can be written.
    is_closed: bool,
}

#[derive(Debug)]
enum Job {
    /// Write this block.
    File(Label, Vec<f16>),
    /// These blocks, each the parent of the next, were of use.
    Touch(Vec<Name>),
}

impl Clerk {
    /// Starts the thread. The folder need not exist; it is made with the first file.
    pub(super) fn start(folder: PathBuf, budget_bytes: u64) -> Self {
        let (jobs, inbox) = mpsc::channel();
        let clerk = Self { jobs, desk: Arc::default() };
        let writer = Writer { folder, budget_bytes, n_bytes: 0, n_parts: 0, desk: clerk.desk.clone() };
        if let Err(error) = std::thread::Builder::new().name("kv-files".into()).spawn(move || writer.run(&inbox)) {
            clerk.desk.close(format!("no thread for KV files can be had: {error}"));
        }
        clerk
    }

    /// Queues a block to be written; false if it is not, because too much waits or nothing can be written. `block` is
    /// asked for only if there is room.
    pub(super) fn file(&self, label: Label, block: impl FnOnce() -> Vec<f16>) -> bool {
        self.desk.reserve() && self.jobs.send(Job::File(label, block())).is_ok()
    }

    /// Notes that these blocks were of use, each the parent of the next.
    pub(super) fn touch(&self, names: Vec<Name>) {
        if self.desk.reserve() {
            // Without a thread the desk would be closed.
            let _ = self.jobs.send(Job::Touch(names));
        }
    }

    /// Counts a block that was taken over.
    pub(super) fn count_read(&self, n_tokens: usize) {
        let stats = &mut self.desk.lock().stats;
        stats.n_blocks_read += 1;
        stats.n_tokens_read += n_tokens as u64;
    }

    /// Counts a file that was not taken over.
    pub(super) fn count_ignored(&self, why: String) {
        let stats = &mut self.desk.lock().stats;
        stats.n_ignored += 1;
        stats.warning = Some(why);
    }

    /// Waits until everything that was queued is on disk; not for ever.
    pub fn flush(&self) {
        let waits = |state: &mut State| state.n_pending > 0 && !state.is_closed;
        drop(self.desk.done.wait_timeout_while(self.desk.lock(), FLUSH_LIMIT, waits));
    }

    /// What has been done so far.
    pub fn stats(&self) -> ArchiveStats {
        self.desk.lock().stats.clone()
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a place in the queue.
    fn reserve(&self) -> bool {
        let state = &mut *self.lock();
        let is_open = !state.is_closed && state.n_pending < MAX_PENDING;
        state.n_pending += usize::from(is_open);
        is_open
    }

    /// Gives up writing, for this reason.
    fn close(&self, why: String) {
        let state = &mut *self.lock();
        if !std::mem::replace(&mut state.is_closed, true) {
            state.stats.warning = Some(why);
        }
        self.done.notify_all();
    }
}

/// The thread's side.
struct Writer {
    folder: PathBuf,
    budget_bytes: u64,
    /// Bytes of the folder, as far as this process knows.
    n_bytes: u64,
    n_parts: u64,
    desk: Arc<Desk>,
}

impl Writer {
    fn run(mut self, inbox: &Receiver<Job>) {
        self.tidy_up();
        for job in inbox {
            match job {
                Job::File(label, block) => self.file(&label, &block),
                Job::Touch(names) => self.touch(&names),
            }
            self.desk.lock().n_pending -= 1;
            self.desk.done.notify_all();
        }
    }

    fn file(&mut self, label: &Label, block: &[f16]) {
        if self.desk.lock().is_closed {
            return;
        }
        match self.write(&path(&self.folder, label.name()), &label.encode(block)) {
            Ok(()) => self.desk.lock().stats.n_blocks_written += 1,
            Err(error) => self.desk.close(format!("KV is not kept in {}: {error}", self.folder.display())),
        }
        if self.n_bytes > self.budget_bytes {
            self.tidy_up();
        }
    }

    /// Writes under another name first, so that a kill leaves nothing that looks whole. A crash of the machine may;
    /// the checksum shows it.
    fn write(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        self.n_parts += 1;
        let part = path.with_extension(format!("{}-{}.{UNFINISHED}", std::process::id(), self.n_parts));
        let written = write_now(&part, bytes).and_then(|()| fs::rename(&part, path));
        if written.is_err() {
            // What stays of it is removed when it is stale.
            let _ = fs::remove_file(&part);
        }
        self.n_bytes += bytes.len() as u64;
        written
    }

    /// A file that is gone, or that is not ours, keeps its time: it is only removed sooner.
    fn touch(&self, names: &[Name]) {
        let mut time = SystemTime::now();
        for name in names {
            let file = OpenOptions::new().append(true).open(path(&self.folder, *name));
            let _ = file.and_then(|file| file.set_modified(time));
            time -= DEPTH_STEP;
        }
    }

    /// Counts the folder, and removes unfinished files and, over budget, those that were of no use for longest.
    fn tidy_up(&mut self) {
        let mut kept = BTreeMap::new();
        self.n_bytes = 0;
        for (path, n_bytes, modified) in list(&self.folder) {
            if path.extension().is_some_and(|extension| extension == UNFINISHED) {
                if modified.elapsed().is_ok_and(|age| age > STALE) {
                    let _ = fs::remove_file(path);
                }
            } else {
                self.n_bytes += n_bytes;
                kept.insert((modified, path), n_bytes);
            }
        }
        if self.n_bytes <= self.budget_bytes {
            return;
        }
        let most = (self.budget_bytes as f64 * REMAINS) as u64;
        for ((_, path), n_bytes) in kept {
            if self.n_bytes <= most {
                break;
            }
            // Another process may have removed it.
            if fs::remove_file(path).is_ok() {
                self.desk.lock().stats.n_removed += 1;
            }
            self.n_bytes -= n_bytes;
        }
    }
}

/// Writes a file whose time is this moment: the one that the system gives may lie before that of a file touched earlier.
fn write_now(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.set_modified(SystemTime::now())
}

/// Where a block lies.
pub(super) fn path(folder: &Path, name: Name) -> PathBuf {
    folder.join(format!("{name}.{KEPT}"))
}

/// The archive's files, finished or not: path, size, time of use.
fn list(folder: &Path) -> Vec<(PathBuf, u64, SystemTime)> {
    let one = |entry: fs::DirEntry| {
        let path = entry.path();
        let mut words = path.file_name()?.to_str()?.split('.');
        let (stem, extension) = (words.next()?, words.next_back()?);
        let is_name = stem.len() == 64 && stem.bytes().all(|byte| byte.is_ascii_hexdigit());
        let about = entry.metadata().ok().filter(fs::Metadata::is_file)?;
        let is_ours = is_name && [KEPT, UNFINISHED].contains(&extension);
        is_ours.then(|| Some((path.clone(), about.len(), about.modified().ok()?))).flatten()
    };
    fs::read_dir(folder).into_iter().flatten().flatten().filter_map(one).collect()
}
