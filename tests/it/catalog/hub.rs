//! What a hub can do to us, one row each.

use std::time::{Duration, Instant};

use partita::catalog::{Located, Place, Settings, list, remove, resolve, verify};

use super::mock::{Answer, Request, Server};
use super::{files, manifest, model, quietly, settings, sha256};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

fn pinned() -> String {
    format!("[[source]]\nkind = \"hub\"\nrepo = \"o/m\"\nrevision = \"{COMMIT}\"\n")
}

/// What a hub says about a file.
fn described(answer: Answer) -> Answer {
    let model = model();
    answer
        .header("X-Repo-Commit", COMMIT)
        .header("X-Linked-Etag", format!("\"{}\"", sha256(&model)))
        .header("X-Linked-Size", model.len())
}

/// The file itself, from where the client wants it on.
fn content(request: &Request) -> Answer {
    let model = model();
    match request.from {
        Some(from) => Answer::new(206, &model[from..]),
        None => Answer::new(200, &model),
    }
}

/// A hub that keeps the file itself.
fn plain(request: &Request) -> Answer {
    if request.method == "HEAD" { described(Answer::new(200, &[])) } else { content(request) }
}

/// Pulls from a hub; the result is the message of the error, if any, and what lies in the cache afterwards.
struct Outcome {
    error: String,
    files: Vec<String>,
    log: Vec<String>,
}

fn outcome(sources: &str, answer: impl Fn(&Request, usize) -> Option<Answer> + Send + Sync + 'static) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(answer);
    let settings = settings(folder.path(), &server.url);
    let pulled = quietly(&manifest(sources), &settings);
    if let Ok(path) = &pulled {
        assert_eq!(std::fs::read(path).unwrap(), model());
    }
    let error = pulled.err().map(|e| e.to_string().replace(&server.url, "HUB")).unwrap_or_default();
    Outcome { error, files: files(&settings.hub.cache), log: server.log() }
}

/// The files of a cache that holds the model.
fn whole() -> Vec<String> {
    let (repo, sha, n) = ("models--o--m", sha256(&model()), model().len());
    let target = 6 + "blobs/".len() + 64;
    vec![format!("{repo}/blobs/{sha} {n}"), format!("{repo}/snapshots/{COMMIT}/m.gguf {target}")]
}

fn part(n_bytes: usize) -> Vec<String> {
    vec![format!("models--o--m/blobs/{}.part {n_bytes}", sha256(&model()))]
}

#[test]
fn a_file_is_fetched_linked_and_found_again_without_a_request() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Server::start(|request, _| Some(content(request)));
    let location = format!("{}/storage", storage.url);
    let server = Server::start(move |request, _| {
        Some(if request.path.starts_with("/o/m/") {
            // A renamed repository.
            Answer::new(307, &[]).header("Location", request.path.replace("/o/m/", "/o/new/"))
        } else {
            described(Answer::new(302, b"elsewhere")).header("Location", &location)
        })
    });
    let settings = settings(folder.path(), &server.url);
    let manifest = manifest(&pinned());
    let path = quietly(&manifest, &settings).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), model());
    assert_eq!(files(&settings.hub.cache), whole());
    let requests = server.requests();
    assert!(requests.iter().all(|request| request.token.as_deref() == Some("secret")), "{requests:?}");
    assert!(storage.requests().iter().all(|request| request.token.is_none()), "the token went to another host");
    let n_requests = requests.len();
    assert_eq!(quietly(&manifest, &Settings { offline: true, ..settings.clone() }).unwrap(), path);
    assert_eq!(server.log().len(), n_requests);
}

#[test]
fn a_lost_connection_is_taken_up_where_it_broke() {
    let got = outcome(&pinned(), |request, nth| {
        let answer = plain(request);
        Some(if request.method == "GET" && nth == 0 { answer.cut_at(40_000) } else { answer })
    });
    assert_eq!((got.error.as_str(), got.files), ("", whole()));
    let gets: Vec<&String> = got.log.iter().filter(|line| line.starts_with("GET")).collect();
    assert_eq!(gets.len(), 2, "{gets:?}");
    // How much of a cut answer arrives is up to the operating system.
    assert!(gets[1].contains(" from "), "{gets:?}");
}

#[test]
fn a_later_pull_goes_on_with_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|request, _| Some(plain(request)));
    let settings = settings(folder.path(), &server.url);
    let part = settings.hub.cache.join(format!("models--o--m/blobs/{}.part", sha256(&model())));
    std::fs::create_dir_all(part.parent().unwrap()).unwrap();
    std::fs::write(&part, &model()[..70_000]).unwrap();
    let manifest = manifest(&pinned());
    quietly(&manifest, &settings).unwrap();
    let path = format!("/o/m/resolve/{COMMIT}/m.gguf");
    let want = [format!("HEAD {path}"), format!("HEAD {path}"), format!("GET {path} from 70000")];
    assert_eq!(server.log(), want);
    assert_eq!(files(&settings.hub.cache), whole());
}

#[test]
fn what_goes_wrong_is_said_in_one_sentence_and_leaves_nothing_that_looks_done() {
    let (sha, n) = (sha256(&model()), model().len());
    let mut wrong = model();
    *wrong.last_mut().unwrap() ^= 1;
    let wrong_sha = sha256(&wrong);
    let refused = |status: u16| {
        format!(
            "o/m refuses access (HTTP {status}); if its licence has to be accepted, do that on its page and set HF_TOKEN"
        )
    };
    type Behaviour = Box<dyn Fn(&Request, usize) -> Option<Answer> + Send + Sync>;
    let is_get = |request: &Request| request.method == "GET";
    let rows: Vec<(Behaviour, String, Vec<String>)> = vec![
        (Box::new(|_, _| Some(Answer::new(401, b"who?"))), refused(401), vec![]),
        (
            Box::new(move |r, _| Some(if is_get(r) { Answer::new(403, b"<html>no</html>") } else { plain(r) })),
            refused(403),
            part(0),
        ),
        (
            Box::new(|_, _| Some(Answer::new(404, b"?"))),
            format!("o/m has no file m.gguf at revision {COMMIT} (HTTP 404)"),
            vec![],
        ),
        (
            Box::new(|_, _| Some(Answer::new(429, b"slow").header("Retry-After", 3600))),
            "o/m limits the rate of requests (HTTP 429) and asks to come back in 3600 s".to_owned(),
            vec![],
        ),
        (
            Box::new(move |r, _| Some(if is_get(r) { Answer::new(429, b"slow") } else { plain(r) })),
            "o/m limits the rate of requests (HTTP 429); try again later".to_owned(),
            part(0),
        ),
        (
            Box::new(|_, _| Some(Answer::new(503, b"busy"))),
            "HUB/o/m answered HTTP 503 Service Unavailable, expected the file".to_owned(),
            vec![],
        ),
        (
            Box::new(move |r, _| Some(if is_get(r) { plain(r).cut_at(0) } else { plain(r) })),
            format!("the connection was lost after 0 of {n} bytes (end of file before message length reached); "),
            part(0),
        ),
        (
            // A hub that states nothing: only the manifest's digest is left to notice.
            Box::new(move |_, _| Some(Answer::new(200, &wrong))),
            String::new(),
            vec![],
        ),
        (
            Box::new(|_, _| Some(Answer::new(200, &[]).header("X-Linked-Etag", "0".repeat(64)))),
            format!("m.gguf of o/m has sha256 {}, expected {sha}; it was not kept", "0".repeat(64)),
            vec![],
        ),
        (
            Box::new(|_, _| Some(Answer::new(200, &[]).header("X-Linked-Size", 5))),
            format!("m.gguf of o/m has 5 bytes, expected {n}; it was not kept"),
            vec![],
        ),
    ];
    for (behaviour, want, left) in rows {
        let got = outcome(&pinned(), behaviour);
        let want = if want.is_empty() {
            format!("m.gguf of o/m has sha256 {wrong_sha}, expected {sha}; it was not kept")
        } else {
            want
        };
        assert!(got.error.starts_with(&want), "{}\n{want}", got.error);
        assert_eq!(got.files, left, "{want}");
    }
}

#[test]
fn what_passes_by_itself_is_waited_for() {
    type Obstacle = fn() -> Answer;
    let rows: [(&str, Obstacle); 3] = [
        ("429", || Answer::new(429, b"slow").header("Retry-After", 0)),
        ("503", || Answer::new(503, b"busy")),
        ("nothing", || Answer::new(200, &model()).cut_at(0)),
    ];
    for (name, obstacle) in rows {
        let got = outcome(&pinned(), move |request, nth| {
            let in_the_way = nth == 0 && (request.method == "GET" || name == "429");
            Some(if in_the_way { obstacle() } else { plain(request) })
        });
        assert_eq!((got.error.as_str(), got.files), ("", whole()), "{name}");
    }
}

#[test]
fn a_server_that_does_not_resume_sends_it_all_again() {
    let got = outcome(&pinned(), |request, nth| {
        let whole = Request { from: None, ..request.clone() };
        Some(if request.method == "GET" && nth == 0 { plain(&whole).cut_at(40_000) } else { plain(&whole) })
    });
    assert_eq!((got.error.as_str(), got.files), ("", whole()));
}

#[test]
fn main_is_resolved_to_its_commit_and_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|request, _| Some(plain(request)));
    let settings = settings(folder.path(), &server.url);
    let manifest = manifest("[[source]]\nkind = \"hub\"\nrepo = \"o/m\"\n");
    let path = quietly(&manifest, &settings).unwrap();
    assert!(path.ends_with(format!("snapshots/{COMMIT}/m.gguf")), "{}", path.display());
    assert!(server.log()[0].starts_with("HEAD /o/m/resolve/main/"), "{:?}", server.log());
    assert!(server.log()[1..].iter().all(|line| line.contains(COMMIT)), "{:?}", server.log());
    let head = settings.hub.cache.join("models--o--m/refs/main");
    assert_eq!(std::fs::read_to_string(head).unwrap(), COMMIT);
    assert_eq!(quietly(&manifest, &Settings { offline: true, ..settings }).unwrap(), path);
}

#[test]
fn offline_asks_nobody_and_a_dead_hub_is_noticed_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|request, _| Some(plain(request)));
    let mut settings = settings(folder.path(), &server.url);
    let message = |settings: &Settings| quietly(&manifest(&pinned()), settings).unwrap_err().to_string();
    settings.hub.offline = true;
    assert_eq!(message(&settings), format!("{} cannot be reached: HF_HUB_OFFLINE is set", server.url));
    settings.offline = true;
    assert_eq!(message(&settings), "model m is not on this machine, and the network may not be used (offline)");
    assert_eq!(server.log(), Vec::<String>::new());
    settings = super::settings(folder.path(), "http://127.0.0.1:1");
    let start = Instant::now();
    assert!(message(&settings).starts_with("http://127.0.0.1:1 cannot be reached: "), "{}", message(&settings));
    assert!(start.elapsed() < Duration::from_secs(10));
    assert_eq!(files(folder.path()), Vec::<String>::new());
    let mute = Server::start(|_, _| None);
    settings = super::settings(folder.path(), &mute.url);
    settings.hub.patience.first_answer = Duration::from_millis(200);
    assert_eq!(message(&settings), format!("{} cannot be reached: no answer within 200ms", mute.url));
}

#[cfg(target_os = "linux")]
#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|request, _| Some(plain(request)));
    let mut settings = settings(folder.path(), &server.url);
    // Not even the superuser may create a folder there.
    settings.hub.cache = "/sys/partita".into();
    let error = quietly(&manifest(&pinned()), &settings).unwrap_err().to_string();
    assert!(error.starts_with("/sys/partita/.locks/models--o--m cannot be written ("), "{error}");
    assert!(error.ends_with("; choose another folder with --home or HF_HUB_CACHE"), "{error}");
}

#[test]
fn an_error_page_kept_by_another_tool_is_not_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|request, _| Some(plain(request)));
    let settings = settings(folder.path(), &server.url);
    let snapshot = settings.hub.cache.join(format!("models--o--m/snapshots/{COMMIT}/m.gguf"));
    std::fs::create_dir_all(snapshot.parent().unwrap()).unwrap();
    let page = vec![b'<'; model().len()];
    std::fs::write(&snapshot, page).unwrap();
    assert_eq!(std::fs::read(quietly(&manifest(&pinned()), &settings).unwrap()).unwrap(), model());
    assert_eq!(files(&settings.hub.cache), whole());
}

#[test]
fn pulls_at_the_same_time_fetch_once() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|request, _| {
        // Long enough for the second pull to find the lock taken.
        std::thread::sleep(Duration::from_millis(100));
        Some(plain(request))
    });
    let settings = settings(folder.path(), &server.url);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| quietly(&manifest(&pinned()), &settings).unwrap());
        }
    });
    assert_eq!(server.log().iter().filter(|line| line.starts_with("GET")).count(), 1, "{:?}", server.log());
}

#[test]
fn a_model_is_checked_listed_and_removed_with_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(|request, _| Some(plain(request)));
    let settings = settings(folder.path(), &server.url);
    let manifest = manifest(&pinned());
    std::fs::create_dir_all(settings.home.join("catalog")).unwrap();
    let text = toml::to_string(&manifest).unwrap();
    std::fs::write(settings.home.join("catalog/m.toml"), text).unwrap();
    let listed = || list(&settings).unwrap().into_iter().find(|listed| listed.manifest.name == "m").unwrap();
    assert_eq!((listed().place, listed().partial_bytes), (None, 0));

    let path = quietly(&manifest, &settings).unwrap();
    assert_eq!((listed().place, listed().path), (Some(Place::HubCache), Some(path.clone())));
    let located = resolve("m", &settings).unwrap();
    assert_eq!(located, Located { path: path.clone(), manifest: Some(manifest.clone()) });
    let verified = verify(&located, &mut |_| {}).unwrap();
    assert_eq!((verified.sha256, verified.compared), (sha256(&model()), true));

    let mut damaged = model();
    damaged[50_000] ^= 1;
    std::fs::write(&path, damaged).unwrap();
    let error = verify(&located, &mut |_| {}).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{} has sha256 ", path.display())), "{error}");
    assert!(
        error.ends_with(&format!(", expected {}; remove it and pull the model again", sha256(&model()))),
        "{error}"
    );

    let other = settings.hub.cache.join("models--o--m/blobs").join("1".repeat(64));
    std::fs::write(&other, b"of another program").unwrap();
    let removed = remove(&manifest, &settings).unwrap();
    assert_eq!(removed.bytes, model().len() as u64);
    assert_eq!(files(&settings.hub.cache), [format!("models--o--m/blobs/{} 18", "1".repeat(64))]);
    assert_eq!(remove(&manifest, &settings).unwrap_err().to_string(), "model m is not on this machine");
}
