//! Where models are kept and how the network may be used.
//!
//! Invariant: the environment is read here, once, and nowhere else in this module; what the hub's own tools honour
//! (`HF_HOME`, `HF_HUB_CACHE`, `HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE`) means the same here.

use std::path::PathBuf;
use std::time::Duration;

/// The hub, where the environment names no other.
const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// Where models are kept and how the network may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The data folder. It need not exist yet.
    pub home: PathBuf,
    /// Whether the network is out of bounds.
    pub offline: bool,
    /// How the hub is used.
    pub hub: HubSettings,
    /// The command that fetches packages; found on the path if absent.
    pub pip: Option<PathBuf>,
}

/// How the hub is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubSettings {
    /// Base URL.
    pub endpoint: String,
    /// Folder of the hub's cache, shared with the hub's other tools.
    pub cache: PathBuf,
    /// Who asks.
    pub token: Option<String>,
    /// Whether the hub alone is out of bounds.
    pub offline: bool,
    /// How long to wait.
    pub patience: Patience,
}

/// How long to wait for the hub, and how often to ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For the first answer of all. Whoever is not connected learns it after this time.
    pub first_answer: Duration,
    /// For the next bytes of a transfer.
    pub stall: Duration,
    /// Before the first further try; doubled before each one after it.
    pub retry: Duration,
    /// Longest wait that the hub may ask for.
    pub retry_after: Duration,
    /// Further tries in a row that bring no bytes.
    pub n_retries: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first_answer: Duration::from_secs(6),
            stall: Duration::from_secs(30),
            retry: Duration::from_millis(500),
            retry_after: Duration::from_secs(60),
            n_retries: 4,
        }
    }
}

impl Settings {
    /// The settings of this process.
    pub fn from_env(home: PathBuf, offline: bool) -> Self {
        Self::new(home, offline, |name| std::env::var(name).ok())
    }

    /// The settings that an environment gives; a variable that is empty counts as absent.
    pub fn new(home: PathBuf, offline: bool, env: impl Fn(&str) -> Option<String>) -> Self {
        let var = |name: &str| env(name).filter(|value| !value.is_empty());
        let path = |name: &str| var(name).map(PathBuf::from);
        let user = path("HOME").or_else(|| path("USERPROFILE")).unwrap_or_else(|| home.clone());
        let hub_home = path("HF_HOME")
            .or_else(|| path("XDG_CACHE_HOME").map(|cache| cache.join("huggingface")))
            .unwrap_or_else(|| user.join(".cache").join("huggingface"));
        let token_file = path("HF_TOKEN_PATH").unwrap_or_else(|| hub_home.join("token"));
        let stored = || std::fs::read_to_string(token_file).ok().map(|token| token.trim().to_owned());
        let hub = HubSettings {
            endpoint: var("HF_ENDPOINT").unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned()),
            cache: path("HF_HUB_CACHE").or_else(|| path("HUGGINGFACE_HUB_CACHE")).unwrap_or(hub_home.join("hub")),
            token: var("HF_TOKEN").or_else(stored).filter(|token| !token.is_empty()),
            offline: var("HF_HUB_OFFLINE").is_some_and(|value| is_true(&value)),
            patience: Patience::default(),
        };
        Self { home, offline, hub, pip: path("PARTITA_PIP") }
    }

    /// Folder of the models that do not lie in the hub's cache.
    pub(super) fn models(&self) -> PathBuf {
        self.home.join("models")
    }
}

fn is_true(value: &str) -> bool {
    matches!(value.to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "on")
}
