//! A run in which everything is real, journal and workspace included, except the model, which is a script.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value as Json, json};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::orchestrate::driver::mind::{self, Budget, Call, Mind, Reply, Thinking};
use crate::orchestrate::driver::{Error, Observer, Options, Outcome, Recollection, Run, append, drive, load, policy};
use crate::orchestrate::event::Event;
use crate::orchestrate::machine::State;
use crate::orchestrate::plan::{self, Step};
use crate::store::{NewRun, Store};
use crate::tool::{Permissions, Registry, Workspace};
use crate::types::{Finish, RunId, StepId, Usage};

/// What the model says to a call; `None`: it never comes back.
pub type Say = dyn Fn(&Call) -> Option<String> + Send + Sync;
/// Time that a call takes.
pub type Pace = dyn Fn(&Call) -> Duration + Send + Sync;
/// Why a call fails.
pub type Fault = dyn Fn(&Call) -> Option<mind::Error> + Send + Sync;
/// What is done when an event was journaled.
pub type OnEvent = dyn Fn(&Event) + Send + Sync;

/// How one part of a run, from its start or a resumption to its end, is played.
pub struct Setup {
    pub yes: bool,
    pub plan: Option<Vec<Step>>,
    pub max_steps: Option<u32>,
    pub max_tokens: Option<u64>,
    pub max_time: Option<Duration>,
    pub say: Arc<Say>,
    pub on_event: Arc<OnEvent>,
    /// The person's answer to every question, if there is a person.
    pub answer: Option<&'static str>,
    /// Ctrl-C comes right after this event.
    pub interrupt: Option<fn(&Event) -> bool>,
    pub permissions: Permissions,
    pub recollection: Recollection,
    /// Time that a call takes; nobody waits for it.
    pub pace: Arc<Pace>,
    /// Why a call fails, if it does.
    pub fault: Arc<Fault>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            yes: false,
            plan: None,
            max_steps: None,
            max_tokens: None,
            max_time: None,
            say: Arc::new(|call| Some(ordinary(call))),
            on_event: Arc::new(|_| {}),
            answer: None,
            interrupt: None,
            permissions: Permissions::default(),
            recollection: Recollection::default(),
            pace: Arc::new(|_| Duration::ZERO),
            fault: Arc::new(|_| None),
        }
    }
}

/// What a model says that does as it is asked and no more.
pub fn ordinary(call: &Call) -> String {
    match call.purpose {
        "plan" => r#"{"steps":[]}"#.into(),
        purpose => format!("The text of {purpose}."),
    }
}

/// Tokens that every call of the scripted model reads.
pub const PROMPT_TOKENS: usize = 100;

/// Tokens that a text counts for.
pub fn n_tokens(text: &str) -> usize {
    text.len().div_ceil(4)
}

struct ScriptedMind {
    say: Arc<Say>,
    pace: Arc<Pace>,
    fault: Arc<Fault>,
    budget: Arc<Budget>,
    /// One call at a time, so that what is exceeded is exceeded by one call at most.
    turn: Mutex<()>,
}

impl ScriptedMind {
    fn reply(&self, call: &Call) -> Result<Option<Reply>, mind::Error> {
        let _turn = self.turn.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(what) = self.budget.spent() {
            return Err(mind::Error::Budget(what));
        }
        if let Some(error) = (self.fault)(call) {
            return Err(error);
        }
        let Some(text) = (self.say)(call) else { return Ok(None) };
        self.budget.skip((self.pace)(call));
        let (text, finish) = cut(text, call.max_tokens);
        let usage = Usage { prompt_tokens: PROMPT_TOKENS, decoded_tokens: n_tokens(&text), ..Usage::default() };
        self.budget.take((usage.prompt_tokens + usage.decoded_tokens) as u64);
        Ok(Some(Reply { text, finish, usage, mean_logprob: 0.0 }))
    }
}

/// A text as it is after so many tokens.
fn cut(mut text: String, max_tokens: usize) -> (String, Finish) {
    if n_tokens(&text) <= max_tokens {
        return (text, Finish::Stop);
    }
    text.truncate(text.floor_char_boundary(4 * max_tokens));
    (text, Finish::Length)
}

impl Mind for ScriptedMind {
    fn complete(&self, call: Call) -> Thinking<'_> {
        Box::pin(async move {
            match self.reply(&call)? {
                Some(reply) => Ok(reply),
                None => std::future::pending().await,
            }
        })
    }

    fn count(&self, text: &str) -> usize {
        n_tokens(text)
    }

    fn n_ctx(&self) -> usize {
        8192
    }
}

struct Watch {
    on_event: Arc<OnEvent>,
    answer: Option<&'static str>,
    interrupt: Option<fn(&Event) -> bool>,
    stop: UnboundedSender<()>,
}

impl Observer for Watch {
    fn event(&self, event: &Event) {
        if self.interrupt.is_some_and(|is_moment| is_moment(event)) {
            self.stop.send(()).expect("the run listens");
        }
        (self.on_event)(event);
    }

    fn ask(&self, _question: &str) -> Option<String> {
        self.answer.map(str::to_owned)
    }
}

/// A goal in a workspace, with a journal; both lie in a folder that holds things that are nobody's business.
pub struct Rig {
    pub folder: TempDir,
    pub home: TempDir,
    pub id: RunId,
    goal: String,
    outer: TempDir,
}

impl Rig {
    pub fn new(goal: &str, files: &[(&str, &str)]) -> Self {
        let outer = tempfile::tempdir().unwrap();
        std::fs::write(outer.path().join("secret.txt"), "the neighbour's").unwrap();
        let inside = || tempfile::tempdir_in(outer.path()).unwrap();
        let (folder, home) = (inside(), inside());
        for (path, text) in files {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let store = Store::open(home.path()).unwrap();
        let new = NewRun { goal, workspace: folder.path(), model: "script", settings: &json!({}) };
        let id = store.create_run(&new).unwrap();
        Self { folder, home, id, goal: goal.to_owned(), outer }
    }

    /// Names and texts of what lies beside workspace and home.
    pub fn outside(&self) -> BTreeMap<String, String> {
        let entries = std::fs::read_dir(self.outer.path()).unwrap().map(|entry| entry.unwrap().path());
        let beside = entries.filter(|path| path != self.folder.path() && path != self.home.path());
        let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
        beside.map(|path| (name(&path), std::fs::read_to_string(&path).unwrap_or_default())).collect()
    }

    /// What the journal holds.
    pub fn events(&self) -> Vec<Event> {
        load(&Store::open(self.home.path()).unwrap(), &self.id).unwrap()
    }

    /// Every file of the workspace with its text.
    pub fn files(&self) -> BTreeMap<String, String> {
        let mut files = BTreeMap::new();
        collect(self.folder.path(), "", &mut files);
        files
    }

    /// Answers the first open question, as `partita answer` does before it goes on.
    pub fn answer(&self, answer: &str) {
        let store = Store::open(self.home.path()).unwrap();
        let state = State::fold(&load(&store, &self.id).unwrap());
        let (step, _) = state.open_questions().next().expect("a question is open");
        let body = json!({ "step": step, "answer": answer, "assumed": false });
        store.append(&self.id, "answered", Some(step), &body).unwrap();
    }

    pub fn file(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.folder.path().join(path)).ok()
    }

    /// Plays the run from where its journal stands; as `resume` does if it has begun.
    pub fn play(&self, setup: Setup) -> Result<Outcome, Error> {
        self.play_run(setup).map(|(outcome, _)| outcome)
    }

    /// As [`Self::play`], with the run as it was at its end.
    pub fn play_run(&self, setup: Setup) -> Result<(Outcome, Arc<Run>), Error> {
        let store = Arc::new(Store::open(self.home.path())?);
        let events = load(&store, &self.id)?;
        let (sender, stop) = unbounded_channel();
        let budget = Arc::new(Budget::new(setup.max_time, setup.max_tokens));
        let policy = policy(&self.goal, &events, setup.yes);
        let run = Arc::new(Run {
            id: self.id.clone(),
            goal: self.goal.clone(),
            workspace: Workspace::open(self.folder.path(), policy).unwrap(),
            registry: Registry::builtin().permitted(&setup.permissions),
            mind: Arc::new(ScriptedMind {
                say: setup.say,
                pace: setup.pace,
                fault: setup.fault,
                budget: budget.clone(),
                turn: Mutex::new(()),
            }),
            budget,
            options: Options {
                yes: setup.yes,
                plan: setup.plan,
                max_steps: setup.max_steps,
                permissions: setup.permissions,
                recollection: setup.recollection,
                ..Options::default()
            },
            store,
            observer: Arc::new(Watch {
                on_event: setup.on_event,
                answer: setup.answer,
                interrupt: setup.interrupt,
                stop: sender,
            }),
        });
        let events = resumed(&run, events)?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let outcome = runtime.block_on(async {
            let limit = Duration::from_secs(60);
            tokio::time::timeout(limit, drive(run.clone(), events, stop)).await.expect("the run comes to its end")
        })?;
        Ok((outcome, run))
    }
}

fn resumed(run: &Run, mut events: Vec<Event>) -> Result<Vec<Event>, Error> {
    if events.is_empty() {
        return Ok(events);
    }
    let state = State::fold(&events);
    let reopened = state.open_questions().map(|(step, _)| Event::Reopened { step });
    for event in [Event::Resumed].into_iter().chain(reopened) {
        append(&run.store, &run.id, &event)?;
        events.push(event);
    }
    Ok(events)
}

fn collect(folder: &Path, prefix: &str, files: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{name}/"), files);
        } else {
            files.insert(name, std::fs::read_to_string(entry.path()).unwrap());
        }
    }
}

/// A plan of `(target, tool, sources, arguments or null)`.
pub fn plan(rows: &[(&str, &str, &[&str], Json)]) -> Option<Vec<Step>> {
    let step = |(k, (target, tool, from, arguments)): (usize, &(&str, &str, &[&str], Json))| {
        let mut step = json!({"for": target, "do": format!("part {}", k + 1), "tool": tool, "from": from});
        if !arguments.is_null() {
            step["arguments"] = arguments.clone();
        }
        step
    };
    let steps: Vec<Json> = rows.iter().enumerate().map(step).collect();
    Some(plan::parse(&json!({ "steps": steps }).to_string(), StepId(1)).unwrap())
}

/// The same as the planner's text.
pub fn plan_text(rows: &[(&str, &str, &[&str], Json)]) -> String {
    let mut steps = serde_json::to_value(plan(rows).unwrap()).unwrap();
    for step in steps.as_array_mut().unwrap() {
        step.as_object_mut().unwrap().shift_remove("id");
    }
    json!({ "steps": steps }).to_string()
}
