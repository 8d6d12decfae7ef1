//! A thousand runs with a model that does everything wrong that a model can: it says nothing, or what it was not asked, or
//! never ends, or obeys a document, or takes an hour, or breaks. Every run ends with an answer, within its limits, never
//! says `completed` while something is missing that code can see, and changes nothing that is not its own to change.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::injection::{INJECTIONS, MARK, OBEDIENT};
use super::rig::{PROMPT_TOKENS, Rig, Setup, plan_text};
use crate::engine;
use crate::orchestrate::driver::mind::{self, Call};
use crate::orchestrate::driver::{Outcome, load};
use crate::orchestrate::event::{Event, Status};
use crate::orchestrate::machine::State;
use crate::store::Store;

const N_RUNS: u64 = 1000;

const DATA: &str = "name,n\nAda,20\nBob,22\n";

/// A goal, and what a model that works well would do with it.
struct World {
    goal: &'static str,
    files: &'static [(&'static str, &'static str)],
    /// `(target, tool, sources, each)` of every step.
    plan: &'static [(&'static str, &'static str, &'static [&'static str], &'static str)],
    /// What has to be there before the run may say that it is completed; a folder has to hold something.
    wanted: &'static [&'static str],
    /// An input that the goal says to change.
    may_change: &'static str,
}

const WORLDS: &[World] = &[
    World {
        goal: "Add up the numbers of data.csv and save the total in total.md.",
        files: &[("data.csv", DATA)],
        plan: &[("total.md", "query_table", &["data.csv"], "")],
        wanted: &["total.md"],
        may_change: "",
    },
    World {
        goal: "Write a poem about the sea to poem.txt and a title for it to title.txt.",
        files: &[],
        plan: &[("poem.txt", "write", &[], ""), ("title.txt", "write", &["$1"], "")],
        wanted: &["poem.txt", "title.txt"],
        may_change: "",
    },
    World {
        goal: "Append a line to log.txt.",
        files: &[("log.txt", "begun\n"), ("other.txt", "x\n")],
        plan: &[("later", "append_file", &[], "")],
        wanted: &["log.txt"],
        may_change: "log.txt",
    },
    World {
        goal: "Convert data.csv to data.json.",
        files: &[("data.csv", DATA)],
        plan: &[("data.json", "convert", &["data.csv"], "")],
        wanted: &["data.json"],
        may_change: "",
    },
    World { goal: "What is the capital of Australia?", files: &[], plan: &[], wanted: &[], may_change: "" },
    World {
        goal: "Summarize each file in notes and save each under the same name in short, then list the topics in topics.md.",
        files: &[("notes/a.txt", "The sea is wide.\n"), ("notes/b.txt", "The hill is high.\n")],
        plan: &[("short/*", "write", &[], "file in notes"), ("topics.md", "answer", &["notes/"], "")],
        wanted: &["topics.md"],
        may_change: "",
    },
    World {
        goal: "When is the meeting according to notes.txt? Write it to when.json.",
        files: &[("notes.txt", "The meeting is on Monday. It ends at noon.\n")],
        plan: &[("when.json", "answer", &["notes.txt"], "")],
        wanted: &["when.json"],
        may_change: "",
    },
    World {
        goal: "Write two letters to a.txt and b.txt.",
        files: &[],
        plan: &[("later", "goal", &[], ""), ("a.txt", "write", &["$1"], ""), ("b.txt", "write", &["$2"], "")],
        wanted: &["a.txt", "b.txt"],
        may_change: "",
    },
    World {
        goal: "Ask me for a name and write a letter to letter.txt.",
        files: &[],
        plan: &[("later", "ask", &[], ""), ("letter.txt", "write", &["$1"], "")],
        wanted: &["letter.txt"],
        may_change: "",
    },
    World {
        goal: "Find the lines about Ada in notes.txt and tell me how many there are.",
        files: &[("notes.txt", "Ada came.\nBob left.\nAda stayed.\n")],
        plan: &[("reply", "search_text", &["notes.txt"], "")],
        wanted: &[],
        may_change: "",
    },
];

/// One run of the thousand; everything in it follows from its number.
#[derive(Debug, Clone, Copy)]
struct Dice {
    seed: u64,
}

impl Dice {
    fn draw(self, what: impl Hash, below: u64) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.seed, what).hash(&mut hasher);
        hasher.finish() % below
    }

    fn pick<T: Copy>(self, what: &str, choices: &[T]) -> T {
        choices[self.draw(what, choices.len() as u64) as usize]
    }

    fn of_call(self, call: &Call, what: &str, below: u64) -> u64 {
        let said: Vec<&str> = call.messages.iter().map(|message| message.content.as_str()).collect();
        self.draw((what, call.purpose, call.step, call.sampling.seed, said), below)
    }

    fn world(self) -> &'static World {
        &WORLDS[(self.seed % WORLDS.len() as u64) as usize]
    }

    /// How often the model does wrong, in percent.
    fn badness(self) -> u64 {
        self.pick("badness", &[0, 10, 30, 60, 100])
    }

    fn say(self, call: &Call) -> String {
        let is_bad = self.of_call(call, "is bad", 100) < self.badness();
        if is_bad { self.bad(call) } else { good(self.world(), call) }
    }

    /// Something that nobody wants to hear.
    fn bad(self, call: &Call) -> String {
        let (_, injected, wishes) = INJECTIONS[self.of_call(call, "which", INJECTIONS.len() as u64) as usize];
        match self.of_call(call, "how", 8) {
            0 => String::new(),
            1 => " \n\t\n".into(),
            2 => "never ending ".repeat(call.max_tokens),
            3 => format!("{MARK} {injected}"),
            4 => json!({ "steps": wishes, "path": wishes[0], "answer": injected }).to_string(),
            5 => {
                "{\"steps\":[{\"for\":\"out.md\",\"do\":\"x\",\"tool\":\"script\",\"from\":[\"/etc/passwd\",\"$9\"]}]}"
                    .into()
            }
            6 => "\u{0}\u{feff}\u{202e}]}\\\"'''```".into(),
            _ => match &call.grammar {
                Some(grammar) => OBEDIENT.say(grammar, wishes),
                None => wishes.join(" "),
            },
        }
    }

    fn pace(self, call: &Call) -> Duration {
        match self.of_call(call, "pace", 100) {
            0..3 => Duration::from_secs(3600),
            3..10 => Duration::from_secs(120),
            other => Duration::from_millis(100 * other),
        }
    }

    fn fault(self, call: &Call) -> Option<mind::Error> {
        let is_bad = self.of_call(call, "is broken", 2000) < self.badness();
        let n = call.messages.len();
        is_bad.then(|| match self.of_call(call, "fault", 3) {
            0 => mind::Error::TooLong { n_tokens: n, n_ctx: 1 },
            1 => engine::Error::Stopped("it fell over".into()).into(),
            _ => panic!("the model breaks"),
        })
    }
}

/// What a model says that knows what it is about.
fn good(world: &World, call: &Call) -> String {
    let asked = call.messages.last().map_or("", |message| message.content.as_str());
    match call.purpose {
        "plan" if call.step.is_some() => plan_text(&[("later", "write", &[], Json::Null)]),
        "plan" => plan_of(world),
        "query" => "SELECT SUM(n) AS total FROM data".into(),
        "answer" => {
            let file = world.files.first().map_or("a.txt", |(path, _)| path);
            json!({"reasoning": "It says so.", "file": file, "answer": "It is on Monday."}).to_string()
        }
        "questions" => json!(["When is it on?"]).to_string(),
        "arguments" if asked.contains("tool append_file") => json!({"path": "log.txt", "content": "ended"}).to_string(),
        "arguments" if asked.contains("tool convert") => json!({"to": "data.json"}).to_string(),
        "arguments" => json!({"pattern": "Ada"}).to_string(),
        "script" => "print(42)".into(),
        _ => "The sea is wide and blue.".into(),
    }
}

fn plan_of(world: &World) -> String {
    let steps: Vec<Json> = world
        .plan
        .iter()
        .map(|(target, tool, from, each)| {
            let mut step = json!({"for": target, "do": "what the goal asks for", "tool": tool, "from": from});
            if !each.is_empty() {
                step["each"] = json!(each);
            }
            step
        })
        .collect();
    json!({ "steps": steps }).to_string()
}

/// The limits of a run.
#[derive(Debug, Clone, Copy)]
struct Limits {
    steps: Option<u32>,
    tokens: Option<u64>,
    time: Option<Duration>,
}

impl Limits {
    fn of(dice: Dice) -> Self {
        let minutes = |n: u64| Some(Duration::from_secs(60 * n));
        Self {
            steps: dice.pick("steps", &[None, None, Some(1), Some(3), Some(8)]),
            tokens: dice.pick("tokens", &[None, None, Some(300), Some(2_000), Some(20_000)]),
            time: dice.pick("time", &[None, minutes(1), minutes(10), minutes(90)]),
        }
    }
}

/// Plays a run and checks all that must hold.
fn simulate(seed: u64) -> Status {
    let dice = Dice { seed };
    let (world, limits) = (dice.world(), Limits::of(dice));
    let rig = Rig::new(world.goal, world.files);
    let outside = rig.outside();
    let (worked, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let pace = {
        let (worked, most) = (worked.clone(), most.clone());
        move |call: &Call| {
            let pace = dice.pace(call);
            worked.fetch_add(pace.as_millis() as u64, Ordering::SeqCst);
            most.fetch_max(pace.as_millis() as u64, Ordering::SeqCst);
            pace
        }
    };
    let setup = Setup {
        yes: dice.pick("yes", &[true, true, false]),
        answer: dice.pick("answer", &[None, Some("Ada")]),
        max_steps: limits.steps,
        max_tokens: limits.tokens,
        max_time: limits.time,
        say: Arc::new(move |call| Some(dice.say(call))),
        pace: Arc::new(pace),
        fault: Arc::new(move |call| dice.fault(call)),
        ..Setup::default()
    };
    let outcome = rig.play(setup).unwrap_or_else(|error| panic!("run {seed}: {error}"));

    assert!(!outcome.answer.trim().is_empty(), "run {seed} ended without an answer");
    assert_ne!(outcome.status, Status::Interrupted, "run {seed}");
    check_limits(seed, limits, &outcome);
    let (worked, most) = (worked.load(Ordering::SeqCst), most.load(Ordering::SeqCst));
    if let Some(time) = limits.time {
        assert!(worked <= time.as_millis() as u64 + most, "run {seed}: {worked} ms of {time:?}");
    }
    check_files(seed, world, &rig, &outcome);
    assert_eq!(rig.outside(), outside, "run {seed}: something changed outside of the workspace");
    let store = Store::open(rig.home.path()).unwrap();
    let journaled = State::fold(&load(&store, &rig.id).unwrap());
    assert_eq!(journaled, State::fold(&outcome.events), "run {seed}: journal and state differ");
    outcome.status
}

fn check_limits(seed: u64, limits: Limits, outcome: &Outcome) {
    let mut n_tokens = 0;
    for event in &outcome.events {
        match event {
            Event::StepStarted { step, .. } => {
                assert!(limits.steps.is_none_or(|most| step.0 <= most), "run {seed}: step {step} was begun");
            }
            Event::ModelCalled { usage, .. } => n_tokens += usage.prompt_tokens + usage.decoded_tokens,
            _ => {}
        }
    }
    // The call during which a limit is reached is the last one.
    let one_call = PROMPT_TOKENS + 900;
    assert!(limits.tokens.is_none_or(|most| n_tokens <= most as usize + one_call), "run {seed}: {n_tokens} tokens");
}

fn check_files(seed: u64, world: &World, rig: &Rig, outcome: &Outcome) {
    let files = rig.files();
    for (path, text) in world.files.iter().filter(|(path, _)| *path != world.may_change) {
        assert_eq!(files.get(*path).map(String::as_str), Some(*text), "run {seed}: the input {path} changed");
    }
    for path in files.keys().filter(|path| !world.files.iter().any(|(known, _)| known == path)) {
        let is_proposed = outcome.events.iter().any(|event| match event {
            Event::StepProposed { output, .. } => output.changes.iter().any(|change| change.target() == path),
            _ => false,
        });
        assert!(is_proposed, "run {seed}: {path} came from nowhere");
    }
    if outcome.status != Status::Completed {
        return;
    }
    for path in world.wanted {
        let text = files.get(*path).unwrap_or_else(|| panic!("run {seed} is completed without {path}"));
        assert!(!text.trim().is_empty(), "run {seed} is completed with an empty {path}");
        let is_json = !path.ends_with(".json") || serde_json::from_str::<Json>(text).is_ok();
        assert!(is_json, "run {seed} is completed with a broken {path}: {text}");
        let before = world.files.iter().find(|(known, _)| known == path).map(|(_, text)| *text);
        assert_ne!(Some(text.as_str()), before, "run {seed} is completed with {path} as it was");
    }
}

#[test]
fn a_thousand_runs_with_a_model_that_misbehaves_all_end_well() {
    let mut n_ended = [0_u64; 3];
    for seed in 0..N_RUNS {
        let status = simulate(seed);
        n_ended[match status {
            Status::Completed => 0,
            Status::Failed => 1,
            _ => 2,
        }] += 1;
    }
    // Each end is reached often enough to say something.
    let [n_completed, n_failed, n_waiting] = n_ended;
    assert!(n_completed > 100 && n_failed > 100 && n_waiting > 3, "completed, failed, waiting: {n_ended:?}");
}
