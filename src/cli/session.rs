//! What `run`, `resume` and `plan` share: a model, a journal, a run that is carried out, its outcome told.
//!
//! Must not know: what a plan or a step is.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::loading::KeepingArgs;
use super::view::{Limits, View};
use super::{Failure, Kind, Settings, config, loading, render};
use crate::engine::Engine;
use crate::orchestrate::{
    self, Budget, EngineMind, Event, Mind, Options, Outcome, Recollection, Run, State, Stats, Status, Step, drive,
};
use crate::store::{NewRun, RunLock, Store};
use crate::tool::{Mode, Permissions, Registry, Workspace};
use crate::types::RunId;

/// How a run was started; kept in the journal so that `resume` goes on in the same way.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Terms {
    /// Name or path of the model.
    pub model: Option<String>,
    /// Never ask.
    pub yes: bool,
    /// Ask before every effect.
    pub ask: bool,
    /// Only read.
    pub read_only: bool,
    /// Show what worked in earlier runs.
    pub memory: bool,
    /// Neither show nor remember.
    pub no_memory: bool,
    /// Limit of time.
    pub max_minutes: Option<f64>,
    /// Limit of tokens.
    pub max_tokens: Option<u64>,
    /// Limit of steps.
    pub max_steps: Option<u32>,
    /// Steps given by the person.
    pub plan: Option<Vec<Step>>,
    /// How the engine uses the machine.
    pub engine: KeepingArgs,
}

/// A run that is to be carried out from where its journal stands.
pub struct Session {
    /// Its id.
    pub id: RunId,
    /// What is to be done.
    pub goal: String,
    /// Where.
    pub workspace: PathBuf,
    /// How.
    pub terms: Terms,
    /// The journal.
    pub store: Store,
    /// No other process works on the run, from before its events were read.
    pub lock: RunLock,
    /// What happened so far.
    pub events: Vec<Event>,
    /// Print one JSON object.
    pub json: bool,
}

/// A folder that exists, absolute.
///
/// # Errors
/// [`Kind::Usage`] if it is not one.
pub fn workspace(path: &Path) -> Result<PathBuf, Failure> {
    let absolute = path.canonicalize().ok().filter(|path| path.is_dir());
    absolute.ok_or_else(|| {
        Failure::new(Kind::Usage, format!("the workspace {} is not a folder", path.display()))
            .hint("name an existing folder: --workspace DIR")
    })
}

/// Creates the run in the journal.
///
/// # Errors
/// Those of the store.
pub fn begin(
    goal: &str,
    workspace: PathBuf,
    terms: Terms,
    json: bool,
    settings: &Settings,
) -> Result<Session, Failure> {
    let goal = goal.trim();
    if goal.is_empty() {
        return Err(Failure::new(Kind::Usage, "the goal is empty").hint("say what is to be done: partita run \"GOAL\""));
    }
    let store = Store::open(&settings.home)?;
    terms.permissions(settings)?; // settings that cannot be read are told before there is a run
    let model = terms.model.clone().unwrap_or_else(|| "default".into());
    let kept = serde_json::to_value(&terms).unwrap_or_default();
    let id = store.create_run(&NewRun { goal, workspace: &workspace, model: &model, settings: &kept })?;
    let lock = store.lock_run(&id)?;
    Ok(Session { id, goal: goal.to_owned(), workspace, terms, store, lock, events: Vec::new(), json })
}

impl Terms {
    /// What the tools of the run may do: as it was started, and as the person's settings are now.
    ///
    /// # Errors
    /// Those of the settings.
    pub fn permissions(&self, settings: &Settings) -> Result<Permissions, Failure> {
        let mode = match self {
            Self { read_only: true, .. } => Mode::ReadOnly,
            Self { yes: true, .. } => Mode::Yes,
            Self { ask: true, .. } => Mode::Ask,
            _ => Mode::Ordinary,
        };
        Ok(Permissions { mode, tools: config::load(&settings.home)?.tools })
    }
}

/// Files and folders of the program's own that a run must leave alone if they lie in its workspace: what it wrote there
/// would decide what later runs may do.
fn own_paths(home: &Path, workspace: &Path) -> Vec<PathBuf> {
    const NAMES: [&str; 7] =
        [config::FILE_NAME, "partita.db", "partita.db-wal", "partita.db-shm", "models", "kv", "locks"];
    let home = home.canonicalize().unwrap_or_else(|_| home.to_owned());
    if home == workspace { NAMES.iter().map(|name| home.join(name)).collect() } else { vec![home] }
}

impl Session {
    /// Carries the run out and tells its outcome.
    ///
    /// # Errors
    /// The exit code's reason: the goal failed, input is needed, the person stopped it, or the machine.
    pub fn carry_out(self, settings: &Settings) -> Result<(), Failure> {
        let is_json = self.json;
        let began = Instant::now();
        let id = self.id.clone();
        let (outcome, view, _lock) = self.play(settings)?;
        let stats = Stats::of(&outcome.events, began.elapsed().as_secs_f64());
        view.end(&outcome.artifacts);
        if is_json {
            render::json_to_stdout(&report(&id, &outcome, &stats))?;
        } else if !outcome.answer.is_empty() {
            render::to_stdout(&render::clean(&outcome.answer))?;
        }
        verdict(&id, &outcome)
    }

    fn play(self, settings: &Settings) -> Result<(Outcome, Arc<View>, RunLock), Failure> {
        let permissions = self.terms.permissions(settings)?;
        let time = self.terms.max_minutes.map(|minutes| Duration::from_secs_f64(minutes.clamp(0.0, 1e6) * 60.0));
        let view = Arc::new(View::new(!self.terms.yes, Limits { time, tokens: self.terms.max_tokens }));
        let budget = Arc::new(Budget::new(time, self.terms.max_tokens));
        let (mind, engine) = mind(&self.id, &self.terms, settings, budget.clone(), view.clone())?;
        let policy = orchestrate::policy(&self.goal, &self.events, self.terms.yes);
        let workspace =
            Workspace::open(&self.workspace, policy).map_err(|error| Failure::from_error(Kind::Usage, &error))?;
        workspace.fence(&own_paths(&settings.home, workspace.root()));
        let registry = Registry::builtin().permitted(&permissions);
        let (plan, max_steps) = (self.terms.plan.clone(), self.terms.max_steps);
        let recollection = Recollection { keeps: !self.terms.no_memory, shows: self.terms.memory };
        let options = Options { yes: self.terms.yes, plan, max_steps, permissions, recollection, ..Options::default() };
        let run = Arc::new(Run {
            id: self.id.clone(),
            goal: self.goal.clone(),
            workspace,
            registry,
            mind,
            budget,
            options,
            store: Arc::new(self.store),
            observer: view.clone(),
        });
        let outcome = runtime()?.block_on(async {
            let (sender, stop) = unbounded_channel();
            tokio::spawn(stop_on_signal(sender));
            drive(run, self.events, stop).await
        });
        view.warn(engine.stats().archive.warning.as_deref());
        Ok((outcome.map_err(|error| Failure::from_error(Kind::Machine, &error))?, view, self.lock))
    }
}

/// The model as the orchestrator talks to it, and the engine behind it.
///
/// # Errors
/// Those of loading it.
pub fn mind(
    run: &RunId,
    terms: &Terms,
    settings: &Settings,
    budget: Arc<Budget>,
    view: Arc<View>,
) -> Result<(Arc<dyn Mind>, Engine), Failure> {
    let engine = loading::open(terms.model.as_deref(), settings, &terms.engine.options(settings))?;
    let on_token = Box::new(move |purpose, step, text: &str| view.token(purpose, step, text));
    let mind = EngineMind::new(engine.clone(), run.clone(), budget, on_token).map_err(|error| {
        Failure::from_error(Kind::Machine, &error).hint("take a chat model: `partita models list` shows some")
    })?;
    Ok((Arc::new(mind), engine))
}

/// The runtime that steps run on; tools may block its threads.
///
/// # Errors
/// [`Kind::Machine`] if threads cannot be started.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let built = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    built.map_err(|error| Failure::from_error(Kind::Machine, &error))
}

async fn stop_on_signal(stop: UnboundedSender<()>) {
    if tokio::signal::ctrl_c().await.is_ok() {
        let _ = stop.send(());
    }
}

/// The object of the stable contract.
fn report(id: &RunId, outcome: &Outcome, stats: &Stats) -> serde_json::Value {
    json!({
        "run_id": id,
        "status": outcome.status,
        "answer": outcome.answer,
        "artifacts": outcome.artifacts,
        "plan": { "steps": outcome.steps },
        "assumptions": outcome.assumptions,
        "stats": stats,
    })
}

fn verdict(id: &RunId, outcome: &Outcome) -> Result<(), Failure> {
    match outcome.status {
        Status::Completed => Ok(()),
        Status::Failed => {
            let what = State::fold(&outcome.events);
            let what = what.spent.unwrap_or_else(|| "the goal was not reached".into());
            Err(Failure::new(Kind::GoalFailed, what).hint(format!("partita show {id}")))
        }
        Status::NeedsInput => Err(Failure::new(Kind::NeedsInput, "the run waits for an answer")
            .hint(format!("partita answer {id} \"TEXT\", or let it assume: partita resume {id} --yes"))),
        Status::Interrupted => {
            Err(Failure::new(Kind::Interrupted, "interrupted").hint(format!("go on with: partita resume {id}")))
        }
    }
}
