//! The source that is a repository on the hub.
//!
//! Order: ask what the file is (one request that learns commit, digest and size, and whether anybody answers), refuse
//! what contradicts the manifest, take the lock, go on where the last pull stopped, check the digest, link.
//! The crate `hf-hub` streams the bytes. Its own download is not used: release 1.0 starts over after a lost
//! connection, keeps an error page as the file, and checks no digest. Its question about a file follows the redirect
//! to the storage host, which knows neither commit nor digest; so that one question is asked here.
//! Must not know: other sources.

use std::path::PathBuf;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use hf_hub::repository::{HFRepository, RepoTypeModel};
use hf_hub::{HFClient, HFError};
use reqwest::header::{HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{StatusCode, Url};
use tokio::time::timeout;

use super::disk::{self, Part, Promise};
use super::hub_cache::CachedFile;
use super::manifest::{HubSource, Manifest, is_hex};
use super::settings::{HubSettings, Patience};
use super::{Error, Progress, Report, Settings, shelf};

/// Redirects within the hub that are followed to learn what a file is.
const MAX_REDIRECTS: usize = 5;

/// Fetches the model into the hub's cache.
pub(super) fn pull(
    manifest: &Manifest,
    source: &HubSource,
    settings: &Settings,
    report: &mut Report<'_>,
) -> Result<PathBuf, Error> {
    let hub = &settings.hub;
    if hub.offline {
        return Err(Error::Unreachable { url: hub.endpoint.clone(), why: "HF_HUB_OFFLINE is set".to_owned() });
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Error::Io { path: settings.home.clone(), source: e })?;
    let pulled = runtime.block_on(async { Remote::new(manifest, source, hub)?.pull(report).await });
    // A name lookup that hangs must not keep us.
    runtime.shutdown_background();
    pulled
}

/// A failure, and whether asking again may help.
struct Fault {
    error: Error,
    retry: Retry,
}

/// Whether asking again may help.
enum Retry {
    Never,
    After(Option<Duration>),
}

impl Fault {
    fn last(error: Error) -> Self {
        Self { error, retry: Retry::Never }
    }
}

/// What the hub says about a file.
#[derive(Debug, Default)]
struct Statement {
    commit: Option<String>,
    sha256: Option<String>,
    bytes: Option<u64>,
}

/// What is going to be fetched, agreed between manifest and hub.
struct Goal {
    commit: String,
    sha256: String,
    bytes: u64,
}

/// The bytes of an answer as they come.
trait Chunks: Stream<Item = Result<Self::Chunk, HFError>> + Unpin {
    type Chunk: AsRef<[u8]>;
}

impl<T: AsRef<[u8]>, S: Stream<Item = Result<T, HFError>> + Unpin> Chunks for S {
    type Chunk = T;
}

/// One file of one repository.
struct Remote<'a> {
    manifest: &'a Manifest,
    source: &'a HubSource,
    hub: &'a HubSettings,
    cached: CachedFile,
    repo: HFRepository<RepoTypeModel>,
}

impl<'a> Remote<'a> {
    fn new(manifest: &'a Manifest, source: &'a HubSource, hub: &'a HubSettings) -> Result<Self, Error> {
        let mut client = HFClient::builder().endpoint(&hub.endpoint).cache_dir(&hub.cache).retry_max_attempts(0);
        if let Some(token) = &hub.token {
            client = client.token(token);
        }
        let unusable = |e: HFError| Error::Unreachable { url: hub.endpoint.clone(), why: e.to_string() };
        let (owner, name) = hf_hub::split_id(&source.repo);
        let repo = client.build().map_err(unusable)?.model(owner, name);
        Ok(Self { manifest, source, hub, cached: CachedFile::new(&hub.cache, source, manifest), repo })
    }

    fn revision(&self) -> &str {
        self.source.revision.as_deref().unwrap_or("main")
    }

    fn what(&self) -> String {
        format!("{} of {}", self.cached.file(), self.source.repo)
    }

    async fn pull(&self, report: &mut Report<'_>) -> Result<PathBuf, Error> {
        let goal = self.settle(self.ask().await?)?;
        let is_main = self.source.revision.is_none();
        let _lock = disk::lock(&self.cached.lock(&goal.sha256), report)?;
        let blob = self.cached.blob(&goal.sha256);
        if !shelf::is_whole(&blob, self.manifest) {
            let mut part = Part::open(&self.cached.part(&goal.sha256))?;
            let missing = goal.bytes.saturating_sub(part.len());
            disk::check_space(blob.parent().unwrap_or(&self.hub.cache), missing)?;
            self.fetch(&mut part, &goal, report).await?;
            let promise = Promise { what: self.what(), bytes: Some(goal.bytes), sha256: Some(goal.sha256.clone()) };
            part.finish(&blob, &promise, report)?;
        }
        self.cached.link(&goal.sha256, &goal.commit, is_main)
    }

    /// Asks what the file is. Nobody there is final at once; a busy hub is asked again.
    async fn ask(&self) -> Result<Statement, Error> {
        let mut tries = Tries::new(self.hub.patience);
        loop {
            let unanswered = || self.unreachable(format!("no answer within {:?}", self.hub.patience.first_answer));
            let fault = match timeout(self.hub.patience.first_answer, self.head()).await {
                Ok(Ok(statement)) => return Ok(statement),
                Ok(Err(fault)) => fault,
                Err(_) => Fault::last(unanswered()),
            };
            tokio::time::sleep(tries.again(fault)?).await;
        }
    }

    async fn head(&self) -> Result<Statement, Fault> {
        let unreachable = |e: reqwest::Error| Fault::last(self.unreachable(deepest(&e)));
        let client = reqwest::Client::builder().redirect(Policy::none()).build().map_err(unreachable)?;
        let mut url = self.url().map_err(Fault::last)?;
        for _ in 0..=MAX_REDIRECTS {
            let mut request = client.head(url.clone());
            if let Some(token) = &self.hub.token {
                request = request.bearer_auth(token);
            }
            let response = request.send().await.map_err(unreachable)?;
            let (status, headers) = (response.status(), response.headers());
            let location = headers.get(LOCATION).and_then(|location| location.to_str().ok()).unwrap_or_default();
            // A renamed repository redirects within the hub; the storage host is another one and is not asked.
            if status.is_redirection() && location.starts_with('/') && !location.starts_with("//") {
                url = url.join(location).map_err(|e| Fault::last(self.answer(&e.to_string())))?;
                continue;
            }
            if status.is_success() || status.is_redirection() {
                return Ok(Statement::read(headers, status.is_redirection()));
            }
            return Err(self.refusal(status, retry_after(headers)));
        }
        Err(Fault::last(self.answer("too many redirects")))
    }

    fn url(&self) -> Result<Url, Error> {
        let base = format!("{}/{}/resolve/{}", self.endpoint(), self.source.repo, self.revision());
        let mut url = Url::parse(&base).map_err(|e| self.unreachable(e.to_string()))?;
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(self.cached.file().split('/'));
        }
        Ok(url)
    }

    fn endpoint(&self) -> &str {
        self.hub.endpoint.trim_end_matches('/')
    }

    /// Brings manifest and hub together; a contradiction is refused before a byte is fetched.
    fn settle(&self, said: Statement) -> Result<Goal, Error> {
        let commit = self.source.revision.clone().or(said.commit);
        let commit = commit.ok_or_else(|| self.answer(&format!("no commit for {}", self.revision())))?;
        let sha256 = match (self.manifest.sha256.clone(), said.sha256) {
            (Some(expected), Some(actual)) if expected != actual => {
                return Err(Error::WrongHash { what: self.what(), expected, actual });
            }
            (expected, actual) => expected.or(actual).ok_or_else(|| Error::NoDigest {
                repo: self.source.repo.clone(),
                file: self.cached.file().to_owned(),
            })?,
        };
        let bytes = match (self.manifest.bytes, said.bytes) {
            (Some(expected), Some(actual)) if expected != actual => {
                return Err(Error::WrongSize { what: self.what(), expected, actual });
            }
            (expected, actual) => expected.or(actual).ok_or_else(|| self.answer("no size"))?,
        };
        Ok(Goal { commit, sha256, bytes })
    }

    /// Fetches what is missing of the file. Every try that brings bytes earns new tries.
    async fn fetch(&self, part: &mut Part, goal: &Goal, report: &mut Report<'_>) -> Result<(), Error> {
        if part.len() > goal.bytes {
            part.cut(0)?;
        }
        let mut tries = Tries::new(self.hub.patience);
        while part.len() < goal.bytes {
            let before = part.len();
            let Err(fault) = self.stream_into(part, goal, report).await else { continue };
            if part.len() > before {
                tries = Tries::new(self.hub.patience);
            }
            // What was fetched must be found again even if the wait is the last thing that happens.
            part.sync()?;
            tokio::time::sleep(tries.again(fault)?).await;
        }
        Ok(())
    }

    async fn stream_into(&self, part: &mut Part, goal: &Goal, report: &mut Report<'_>) -> Result<(), Fault> {
        let stall = self.hub.patience.stall;
        let lost = |part: &Part, why: String| Fault {
            error: Error::Lost { got: part.len(), total: goal.bytes, why },
            retry: Retry::After(None),
        };
        let slow = || format!("nothing came for {stall:?}");
        let (length, mut stream) = self.request(part, goal).await?;
        if length != Some(goal.bytes - part.len()) && part.len() > 0 {
            // The server does not resume, or does not say that it does: take the whole file instead.
            part.cut(0).map_err(Fault::last)?;
            stream = self.request(part, goal).await?.1;
        }
        while part.len() < goal.bytes {
            let chunk = match timeout(stall, stream.next()).await {
                Err(_) => return Err(lost(part, slow())),
                Ok(None) => return Err(lost(part, "the answer ended early".to_owned())),
                Ok(Some(Err(e))) => return Err(self.fault(e, part, goal)),
                Ok(Some(Ok(chunk))) => chunk,
            };
            let chunk = chunk.as_ref();
            let wanted = chunk.len().min((goal.bytes - part.len()) as usize);
            part.write(&chunk[..wanted]).map_err(Fault::last)?;
            report(Progress::Fetched { done: part.len(), total: Some(goal.bytes) });
        }
        Ok(())
    }

    /// Asks for the bytes that are missing; the answer's length, if it states one, and its bytes.
    async fn request(&self, part: &Part, goal: &Goal) -> Result<(Option<u64>, impl Chunks + use<>), Fault> {
        let range = (part.len() > 0).then(|| part.len()..goal.bytes);
        let request = self.repo.download_file_stream().filename(self.cached.file()).revision(&goal.commit);
        let stall = self.hub.patience.stall;
        match timeout(stall, request.maybe_range(range).send()).await {
            Ok(answer) => answer.map_err(|e| self.fault(e, part, goal)),
            Err(_) => {
                Err(Fault { error: self.unreachable(format!("no answer within {stall:?}")), retry: Retry::After(None) })
            }
        }
    }

    fn fault(&self, error: HFError, part: &Part, goal: &Goal) -> Fault {
        match error {
            HFError::AuthRequired { context } | HFError::Forbidden { context } | HFError::Http { context } => {
                self.refusal(context.status, None)
            }
            HFError::RateLimited { retry_after, .. } => self.refusal(StatusCode::TOO_MANY_REQUESTS, retry_after),
            HFError::EntryNotFound { .. } | HFError::RepoNotFound { .. } | HFError::RevisionNotFound { .. } => {
                self.refusal(StatusCode::NOT_FOUND, None)
            }
            HFError::Request { source, .. } => Fault {
                error: Error::Lost { got: part.len(), total: goal.bytes, why: deepest(&source) },
                retry: Retry::After(None),
            },
            other => Fault::last(self.answer(&other.to_string())),
        }
    }

    fn refusal(&self, status: StatusCode, retry_after: Option<Duration>) -> Fault {
        let repo = self.source.repo.clone();
        match status.as_u16() {
            status @ (401 | 403) => Fault::last(Error::Denied { repo, status }),
            404 => Fault::last(Error::NotFound {
                repo,
                file: self.cached.file().to_owned(),
                revision: self.revision().to_owned(),
            }),
            429 => {
                let retry_after_s = retry_after.map(|wait| wait.as_secs());
                Fault { error: Error::RateLimited { repo, retry_after_s }, retry: Retry::After(retry_after) }
            }
            408 | 500..=599 => Fault { error: self.answer(&format!("HTTP {status}")), retry: Retry::After(None) },
            _ => Fault::last(self.answer(&format!("HTTP {status}"))),
        }
    }

    fn unreachable(&self, why: String) -> Error {
        Error::Unreachable { url: self.endpoint().to_owned(), why }
    }

    fn answer(&self, answer: &str) -> Error {
        Error::Answer { url: format!("{}/{}", self.endpoint(), self.source.repo), answer: answer.to_owned() }
    }
}

impl Statement {
    /// The size of a redirect's own body says nothing about the file.
    fn read(headers: &HeaderMap, is_redirect: bool) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let etag = text("x-linked-etag").or_else(|| text("etag")).unwrap_or_default();
        let etag = etag.trim_start_matches("W/").trim_matches('"');
        let own_size = || if is_redirect { None } else { text("content-length") };
        Self {
            commit: text("x-repo-commit").filter(|commit| is_hex(commit, 40)).map(str::to_owned),
            sha256: Some(etag).filter(|etag| is_hex(etag, 64)).map(str::to_owned),
            bytes: text("x-linked-size").or_else(own_size).and_then(|size| size.parse().ok()),
        }
    }
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

/// The innermost cause is the one that says something.
fn deepest(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// Counts further tries and says how long to wait before each.
struct Tries {
    patience: Patience,
    n_used: u32,
}

impl Tries {
    fn new(patience: Patience) -> Self {
        Self { patience, n_used: 0 }
    }

    /// The wait before the next try, or the error if there is none.
    fn again(&mut self, fault: Fault) -> Result<Duration, Error> {
        let backoff = self.patience.retry.saturating_mul(1 << self.n_used.min(16));
        let wait = match fault.retry {
            Retry::After(asked) => asked.unwrap_or(backoff),
            Retry::Never => return Err(fault.error),
        };
        if self.n_used >= self.patience.n_retries || wait > self.patience.retry_after.max(backoff) {
            return Err(fault.error);
        }
        self.n_used += 1;
        Ok(wait)
    }
}
