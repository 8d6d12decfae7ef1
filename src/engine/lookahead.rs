//! Finds what the grammars allow next while the forward pass runs.
//!
//! What a sequence may draw first in a pass depends on where it stands in its grammar alone. So the constraints of a pass
//! go to a thread of their own as the pass begins; when it reaches the output head, the compute threads find what is
//! still missing, from the other end, and the head computes only what is allowed.
//!
//! Invariants: a constraint is in its sequence or in a round, never in both, and back before its sequence draws; if the
//! thread is not there, what it would have done is done at the head.
//! Must not know: the model, how a token is drawn.

use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::kernel::Threads;
use crate::model::Wanted;
use crate::sample::{Allowed, Constraint, Error};

/// What a sequence may draw, or why its grammar cannot go on.
pub(super) type First = Result<Allowed, Error>;

/// The thread that works beside the pass. It starts with the first grammar, and ends with this handle.
#[derive(Default)]
pub(super) struct Lookahead {
    rounds: Option<Sender<Arc<Round>>>,
}

/// The constraints of one pass, one place for each of its parts.
pub(super) struct Round {
    places: Vec<Mutex<Place>>,
    /// Whether there is nothing to find.
    is_empty: bool,
}

#[derive(Default)]
struct Place {
    constraint: Option<Constraint>,
    first: Option<First>,
}

impl Place {
    fn fill(&mut self) {
        if let (Some(constraint), None) = (&mut self.constraint, &self.first) {
            self.first = Some(constraint.mask().map(Allowed::from));
        }
    }
}

impl Lookahead {
    /// Begins with the constraints of a pass; none for a part that draws nothing or has no grammar.
    pub fn begin(&mut self, constraints: Vec<Option<Constraint>>) -> Arc<Round> {
        let is_empty = constraints.iter().all(Option::is_none);
        let place = |constraint| Mutex::new(Place { constraint, first: None });
        let round = Arc::new(Round { places: constraints.into_iter().map(place).collect(), is_empty });
        if !is_empty {
            self.rounds = self.rounds.take().or_else(spawn);
            // A thread that is gone, after a panic in a grammar, leaves its work to the head.
            self.rounds.as_ref().map(|rounds| rounds.send(round.clone()));
        }
        round
    }
}

fn spawn() -> Option<Sender<Arc<Round>>> {
    let (rounds, inbox) = mpsc::channel::<Arc<Round>>();
    let serve = move || inbox.iter().for_each(|round| round.places.iter().for_each(|place| lock(place).fill()));
    std::thread::Builder::new().name("grammar".into()).spawn(serve).ok().map(|_| rounds)
}

impl Round {
    /// Finds what is missing, and waits for what is just being found.
    pub fn complete(&self, threads: &Threads) {
        let n = if self.is_empty { 0 } else { self.places.len() };
        threads.parallel_for(n, |i| lock(&self.places[n - 1 - i]).fill());
    }

    /// The tokens whose logits a part's first row needs, once the round is complete.
    pub fn wanted(&self, part: usize) -> Wanted {
        match &lock(&self.places[part]).first {
            None | Some(Ok(Allowed::Many(_))) => None,
            // What is certain or impossible takes no logits.
            Some(Err(_)) => Some(Vec::new()),
            Some(Ok(Allowed::Few(tokens))) => Some(if tokens.len() == 1 { Vec::new() } else { tokens.clone() }),
        }
    }

    /// Gives a part's constraint back, with what was found.
    pub fn take(&self, part: usize) -> (Option<Constraint>, Option<First>) {
        let Place { constraint, first } = std::mem::take(&mut *lock(&self.places[part]));
        (constraint, first)
    }
}

/// A place is valid at every moment; a panic of a grammar leaves it unfilled.
fn lock(place: &Mutex<Place>) -> MutexGuard<'_, Place> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}
