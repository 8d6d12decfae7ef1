//! `partita resume`: goes on with a run from its journal. What it shares with `answer` is here.

use super::session::{Session, Terms};
use super::{Failure, Kind, Settings};
use crate::orchestrate::{self, Event, State};
use crate::store::Store;

/// Go on with a run that was interrupted or waits for an answer
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's id, a unique prefix of it, or `last`
    #[arg(value_name = "RUN")]
    pub run: String,
    #[command(flatten)]
    manner: Manner,
}

/// How a run is gone on with.
#[derive(Debug, clap::Args)]
pub struct Manner {
    /// Never ask: record an assumption instead, and allow the writes that the goal calls for
    #[arg(long)]
    pub yes: bool,
    /// Print exactly one JSON object on stdout, at the end
    #[arg(long)]
    pub json: bool,
    /// Model of the catalog, or a GGUF file [default: the model that the run started with]
    #[arg(long, value_name = "NAME|PATH")]
    pub model: Option<String>,
}

/// Runs the command.
pub fn run(args: Args, settings: &Settings) -> Result<(), Failure> {
    let mut session = open(&args.run, args.manner, settings)?;
    session.take_in(vec![Event::Resumed])?;
    session.reopen()?;
    session.carry_out(settings)
}

/// A run that is not over, taken for this process, as its journal has it.
///
/// # Errors
/// [`Kind::Usage`] if it is over; those of the store.
pub fn open(wanted: &str, manner: Manner, settings: &Settings) -> Result<Session, Failure> {
    let store = Store::open(&settings.home)?;
    let id = store.find_run(wanted)?;
    let lock = store.lock_run(&id)?;
    let row = store.run(&id)?;
    let events = orchestrate::load(&store, &id).map_err(|error| Failure::from_error(Kind::Machine, &error))?;
    let mut terms: Terms = serde_json::from_value(row.settings).unwrap_or_default();
    terms.yes |= manner.yes;
    terms.model = manner.model.or(terms.model);
    // With an answer but no status it was killed between the two: going on sets the status and reports.
    if ["completed", "failed"].contains(&row.status.as_str()) {
        return Err(
            Failure::new(Kind::Usage, format!("run {id} is over: {}", row.status)).hint(format!("partita show {id}"))
        );
    }
    let (goal, workspace) = (row.goal, row.workspace);
    Ok(Session { id, goal, workspace, terms, store, lock, events, json: manner.json })
}

impl Session {
    /// Journals what happened between the run's processes.
    ///
    /// # Errors
    /// Those of the store.
    pub fn take_in(&mut self, news: Vec<Event>) -> Result<(), Failure> {
        for event in news {
            orchestrate::append(&self.store, &self.id, &event)?;
            self.events.push(event);
        }
        Ok(())
    }

    /// Open questions are put again: there may be somebody at the terminal now.
    ///
    /// # Errors
    /// Those of the store.
    pub fn reopen(&mut self) -> Result<(), Failure> {
        let state = State::fold(&self.events);
        let reopened = state.open_questions().map(|(step, _)| Event::Reopened { step }).collect();
        self.take_in(reopened)
    }
}
