//! `kill -9` at random moments of a run with side effects, then `resume`: every run completes, nothing that was
//! recorded as done is done again, and the files are those of a run that nobody killed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use partita::store::Store;
use serde_json::{Value, json};

use crate::run::{Place, after_chores, chores, report};

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % below.max(1)
    }
}

/// When a process is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// So long after its start.
    After(Duration),
    /// As soon as the journal holds so many events.
    Events(usize),
}

/// What an undisturbed run takes.
struct Measure {
    time: Duration,
    n_events: usize,
}

impl Measure {
    fn moment(&self, random: &mut Random) -> Moment {
        if random.next(2) == 0 {
            Moment::After(Duration::from_micros(random.next(self.time.as_micros() as u64)))
        } else {
            Moment::Events(1 + random.next(self.n_events as u64) as usize)
        }
    }
}

fn spawn(place: &Place, args: &[String]) -> Child {
    let mut command = place.command(&args.iter().map(String::as_str).collect::<Vec<_>>());
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("partita starts")
}

/// Kills the process at its moment; false if it was over before.
fn kill_at(place: &Place, mut child: Child, moment: Moment) -> bool {
    let began = Instant::now();
    let has_come = || match moment {
        Moment::After(time) => began.elapsed() >= time,
        Moment::Events(n) => place.journal().is_some_and(|events| events.len() >= n),
    };
    while !has_come() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_micros(300));
    }
    let is_alive = child.try_wait().unwrap().is_none();
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
    is_alive
}

/// Whether there is a run that has not come to its end.
fn is_open(place: &Place) -> bool {
    Store::open(place.home.path()).unwrap().runs(1).unwrap().iter().any(|run| run.status != "completed")
}

/// No step is begun again, and nothing more is said of it, once it is recorded as done. Returns the steps.
fn check_journal(place: &Place) -> BTreeSet<u32> {
    let mut done = BTreeSet::new();
    for event in place.journal().expect("a run") {
        let Some(step) = event.step else { continue };
        assert!(!done.contains(&step.0), "{} of step {step} after it was done", event.kind);
        if event.kind == "step_done" {
            done.insert(step.0);
        }
    }
    done
}

/// What items are made of, in the folder `books`.
const BOOKS: [(&str, &str); 3] = [
    ("whales.txt", "The book is about whales, and how they find their way in the dark."),
    ("trains.txt", "The book tells how the first railway was built across the mountains."),
    ("bread.txt", "The book has forty recipes for bread, most of them with rye."),
];

fn place_of(model: Option<&Path>) -> Place {
    let place = model.map_or_else(Place::new, Place::with_model);
    if model.is_some() {
        let folder = place.workspace.path().join("books");
        std::fs::create_dir(&folder).unwrap();
        BOOKS.iter().for_each(|(name, text)| std::fs::write(folder.join(name), text).unwrap());
    }
    place
}

/// Kills runs of the plan until so many kills have hit one, resumes each to its end and checks what it left.
fn check_kills(model: Option<&Path>, plan: &Value, n_kills: usize, check: impl Fn(&Place)) {
    let place = || place_of(model);
    let began = Instant::now();
    let whole = place();
    let args = whole.run_args(plan, &["--yes", "--json"]);
    let (code, _, stderr) = whole.output(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(code, 0, "{stderr}");
    let measure = Measure { time: began.elapsed(), n_events: whole.journal().unwrap().len() };
    check(&whole);

    let mut random = Random(7);
    let (mut n_killed, mut n_runs) = (0, 0);
    while n_killed < n_kills {
        let place = place();
        let mut args = place.run_args(plan, &["--yes", "--json"]);
        let mut kills = Vec::new();
        // A run may be killed several times.
        while kills.is_empty() || random.next(3) == 0 {
            let moment = measure.moment(&mut random);
            if kill_at(&place, spawn(&place, &args), moment) && is_open(&place) {
                kills.push(moment);
            }
            if place.journal().is_some() {
                args = ["resume", "last", "--yes", "--json"].map(str::to_owned).into();
            }
            if place.journal().is_some() && !is_open(&place) {
                break;
            }
        }
        if is_open(&place) {
            let (code, stdout, stderr) = place.output(&["resume", "last", "--yes", "--json"]);
            assert_eq!(code, 0, "killed at {kills:?}: {stderr}");
            assert_eq!(report(&stdout)["status"], "completed", "killed at {kills:?}: {stdout}");
        }
        n_killed += kills.len();
        n_runs += usize::from(!kills.is_empty());
        assert_eq!(check_journal(&place).len(), plan["steps"].as_array().unwrap().len(), "killed at {kills:?}");
        check(&place);
    }
    println!("{n_killed} kills of {n_runs} runs: every run completed, no step that was recorded as done ran twice");
}

#[test]
fn runs_killed_at_random_moments_complete_and_do_nothing_twice() {
    check_kills(None, &chores(), 50, |place| assert_eq!(place.files(), after_chores()));
}

/// The models that the environment names.
fn real_models() -> Vec<PathBuf> {
    std::env::var_os("PARTITA_TEST_MODEL").map(|paths| std::env::split_paths(&paths).collect()).unwrap_or_default()
}

#[test]
fn real_runs_killed_at_random_moments_complete_and_do_nothing_twice() {
    let mut plan = chores();
    let letter =
        json!({"for": "letter.txt", "do": "one sentence that thanks for the books", "tool": "write", "from": ["$5"]});
    let notes = json!({"for": "notes/*", "do": "say what the book is about", "tool": "write", "from": ["books/"], "each": "file in books"});
    plan["steps"].as_array_mut().unwrap().extend([letter, notes]);
    for model in real_models().iter().take(1) {
        check_kills(Some(model), &plan, 10, |place| {
            let mut files = place.files();
            let mut has_text = |path: &str| files.remove(path).is_some_and(|text| !text.trim().is_empty());
            assert!(has_text("letter.txt"));
            for (name, _) in BOOKS {
                assert!(has_text(&format!("books/{name}")) && has_text(&format!("notes/{name}")), "{name}");
            }
            assert_eq!(files, after_chores());
        });
    }
}
