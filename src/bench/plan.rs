//! Whole goals, from words to finished work: how many come out right, and how many an hour.
//!
//! A *case* is a folder with `goal.txt`, a `workspace` folder, and `check.py WORKSPACE RESULT_JSON`, which exits with 0 if
//! the outcome is right. Each case runs in a copy of its workspace with a journal of its own; the checker sees
//! `{"status", "answer"}`, as `partita run --json` prints them.
//! Must not know: how a result is shown, what makes an outcome right.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;
use tokio::sync::mpsc::unbounded_channel;

use super::{Error, row::median};
use crate::engine::Engine;
use crate::orchestrate::{
    self, Budget, EngineMind, Event, Mechanism, Observer, Options, Outcome, Recollection, Run, Stats, drive,
};
use crate::store::{NewRun, Store};
use crate::tool::{Registry, Workspace};

/// The goals to run.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanBench {
    /// The folder of the cases.
    pub cases: PathBuf,
    /// Beginnings of the names of those to run; empty for all.
    pub only: Vec<String>,
    /// Most time for one goal.
    pub max_time: Duration,
    /// Candidates of a doubtful result; `None`: as many as its kind is given.
    pub width: Option<usize>,
    /// What the runs do without.
    pub without: Vec<Mechanism>,
    /// Whether examples are shown to the planner and the steps.
    pub memory: bool,
    /// Where each case's workspace and journal are left; `None`: they are removed.
    pub keep: Option<PathBuf>,
}

/// What became of one goal.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GoalRow {
    /// The case's name.
    pub case: String,
    /// Whether the checker agreed.
    pub passed: bool,
    /// The checker's last line.
    pub why: String,
    /// How the run itself says it ended.
    pub status: String,
    /// What it cost.
    #[serde(flatten)]
    pub stats: Stats,
}

/// What became of all goals.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlanReport {
    /// Goals that came out right.
    pub n_passed: usize,
    /// Goals that were run.
    pub n_goals: usize,
    /// Goals an hour, right or not.
    pub goals_per_hour: f64,
    /// Median seconds of a goal.
    pub median_s: f64,
    /// One row per goal.
    pub rows: Vec<GoalRow>,
}

/// Runs the goals one after the other on one engine, telling each row as it comes.
///
/// # Errors
/// [`Error::Cases`] if there are none, a case is not complete, or its checker cannot be run.
pub fn run_plan(engine: &Engine, plan: &PlanBench, report: &mut dyn FnMut(&GoalRow)) -> Result<PlanReport, Error> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| Error::Cases(error.to_string()))?;
    let mut rows = Vec::new();
    for case in cases(plan)? {
        let row = run_case(engine, plan, &case, &runtime)?;
        report(&row);
        rows.push(row);
    }
    let mut seconds: Vec<f64> = rows.iter().map(|row| row.stats.wall_s).collect();
    seconds.sort_by(f64::total_cmp);
    Ok(PlanReport {
        n_passed: rows.iter().filter(|row| row.passed).count(),
        n_goals: rows.len(),
        goals_per_hour: 3600.0 * rows.len() as f64 / seconds.iter().sum::<f64>().max(1e-9),
        median_s: median(&seconds),
        rows,
    })
}

/// The folders of the cases, by name.
fn cases(plan: &PlanBench) -> Result<Vec<PathBuf>, Error> {
    let fault = |why: String| Error::Cases(format!("{}: {why}", plan.cases.display()));
    let entries = std::fs::read_dir(&plan.cases).map_err(|error| fault(error.to_string()))?;
    let is_wanted = |path: &PathBuf| {
        let only = &plan.only;
        let has_goal = path.join("goal.txt").is_file();
        has_goal && (only.is_empty() || only.iter().any(|start| name(path).starts_with(start.as_str())))
    };
    let mut cases: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_wanted).collect();
    cases.sort();
    if cases.is_empty() {
        return Err(fault("no case in it; expected folders with goal.txt, workspace and check.py".into()));
    }
    Ok(cases)
}

fn name(case: &Path) -> String {
    case.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn run_case(
    engine: &Engine,
    plan: &PlanBench,
    case: &Path,
    runtime: &tokio::runtime::Runtime,
) -> Result<GoalRow, Error> {
    let fault = |why: &dyn std::fmt::Display| Error::Cases(format!("{}: {why}", name(case)));
    let temporary = tempfile::tempdir().map_err(|error| fault(&error))?;
    let place = plan.keep.as_ref().map_or_else(|| temporary.path().to_owned(), |keep| keep.join(name(case)));
    if std::fs::read_dir(&place).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(fault(&format!("{} holds files already; name an empty folder", place.display())));
    }
    let goal = std::fs::read_to_string(case.join("goal.txt")).map_err(|error| fault(&error))?;
    let workspace = place.join("workspace");
    copy_folder(&case.join("workspace"), &workspace).map_err(|error| fault(&error))?;
    let began = Instant::now();
    let outcome = play(engine, plan, (goal.trim(), &workspace, &place), runtime).map_err(|why| fault(&why))?;
    let stats = Stats::of(&outcome.events, began.elapsed().as_secs_f64());
    let result = place.join("result.json");
    let told = json!({ "status": outcome.status, "answer": outcome.answer });
    std::fs::write(&result, told.to_string()).map_err(|error| fault(&error))?;
    let checked = Command::new("python3").arg(case.join("check.py")).arg(&workspace).arg(&result).output();
    let checked = checked.map_err(|error| fault(&format!("python3 check.py: {error}")))?;
    let said = String::from_utf8_lossy(if checked.stdout.is_empty() { &checked.stderr } else { &checked.stdout });
    let status = told["status"].as_str().unwrap_or_default().to_owned();
    let why = said.lines().last().unwrap_or_default().to_owned();
    Ok(GoalRow { case: name(case), passed: checked.status.success(), why, status, stats })
}

/// Carries out one goal; `(goal, workspace, home)`.
fn play(
    engine: &Engine,
    plan: &PlanBench,
    (goal, workspace, home): (&str, &Path, &Path),
    runtime: &tokio::runtime::Runtime,
) -> Result<Outcome, String> {
    let store = Store::open(home).map_err(|error| error.to_string())?;
    let new = NewRun { goal, workspace, model: "bench", settings: &json!({}) };
    let id = store.create_run(&new).map_err(|error| error.to_string())?;
    let budget = Arc::new(Budget::new(Some(plan.max_time), None));
    let mind = EngineMind::new(engine.clone(), id.clone(), budget.clone(), Box::new(|_, _, _| ()));
    let policy = orchestrate::policy(goal, &[], true);
    let run = Arc::new(Run {
        id,
        goal: goal.to_owned(),
        workspace: Workspace::open(workspace, policy).map_err(|error| error.to_string())?,
        registry: Registry::builtin(),
        mind: Arc::new(mind.map_err(|error| error.to_string())?),
        budget,
        options: Options {
            yes: true,
            width: plan.width,
            without: plan.without.clone(),
            recollection: Recollection { keeps: false, shows: plan.memory },
            ..Options::default()
        },
        store: Arc::new(store),
        observer: Arc::new(Nobody),
    });
    let (_stop, stopped) = unbounded_channel();
    runtime.block_on(drive(run, Vec::new(), stopped)).map_err(|error| error.to_string())
}

/// Watches nothing and answers nothing.
struct Nobody;

impl Observer for Nobody {
    fn event(&self, _event: &Event) {}

    fn ask(&self, _question: &str) -> Option<String> {
        None
    }
}

fn copy_folder(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
