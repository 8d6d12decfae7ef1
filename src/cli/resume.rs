//! `partita resume`: goes on with a run from its journal.

use super::session::{Session, Terms};
use super::{Failure, Kind, Settings};
use crate::orchestrate::{self, Event, Phase, State};
use crate::store::{Entry, Store};

/// Go on with a run that was interrupted or waits for an answer
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's id, a unique prefix of it, or `last`
    #[arg(value_name = "RUN")]
    pub run: String,
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
    let store = Store::open(&settings.home)?;
    let id = store.find_run(&args.run)?;
    let lock = store.lock_run(&id)?;
    let row = store.run(&id)?;
    let mut events = orchestrate::load(&store, &id).map_err(|error| Failure::from_error(Kind::Machine, &error))?;
    let mut terms: Terms = serde_json::from_value(row.settings).unwrap_or_default();
    terms.yes |= args.yes;
    terms.model = args.model.or(terms.model);
    // With an answer but no status it was killed between the two: going on sets the status and reports.
    if ["completed", "failed"].contains(&row.status.as_str()) {
        return Err(
            Failure::new(Kind::Usage, format!("run {id} is over: {}", row.status)).hint(format!("partita show {id}"))
        );
    }
    let mut news = vec![Event::Resumed];
    news.extend(reopened(&events));
    for event in news {
        let mut body = serde_json::to_value(&event).unwrap_or_default();
        let kind = body.as_object_mut().and_then(|fields| fields.remove("kind"));
        let kind = kind.as_ref().and_then(|kind| kind.as_str()).unwrap_or_default().to_owned();
        store.append_all(&id, &[Entry { kind: &kind, step: event.step(), body: &body }])?;
        events.push(event);
    }
    let (goal, workspace) = (row.goal, row.workspace);
    Session { id, goal, workspace, terms, store, lock, events, json: args.json }.carry_out(settings)
}

/// Open questions are put again.
fn reopened(events: &[Event]) -> Vec<Event> {
    let state = State::fold(events);
    let asking = state.steps.iter().filter(|step| step.phase == Phase::Asking);
    asking.map(|step| Event::Reopened { step: step.step.id }).collect()
}
