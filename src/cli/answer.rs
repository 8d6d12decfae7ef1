//! `partita answer`: the person's answer to the question that a run waits for.

use super::resume::{self, Manner};
use super::{Failure, Kind, Settings, render};
use crate::orchestrate::{Event, State};

/// Answer the question that a run waits for, and go on with it
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run's id, a unique prefix of it, or `last`
    #[arg(value_name = "RUN")]
    pub run: String,
    /// The answer; `yes` or `no` where the run asks for leave
    #[arg(value_name = "TEXT")]
    pub answer: String,
    #[command(flatten)]
    manner: Manner,
}

/// Runs the command.
pub fn run(args: Args, settings: &Settings) -> Result<(), Failure> {
    let answer = args.answer.trim();
    if answer.is_empty() {
        return Err(Failure::new(Kind::Usage, "the answer is empty").hint("partita answer RUN \"TEXT\""));
    }
    let mut session = resume::open(&args.run, args.manner, settings)?;
    let state = State::fold(&session.events);
    // Of several questions the first one: that is the one that the run ended with.
    let Some((step, question)) = state.open_questions().next() else {
        let id = &session.id;
        return Err(Failure::new(Kind::Usage, format!("run {id} waits for no answer"))
            .hint(format!("partita resume {id} goes on with it; partita show {id} says how far it is")));
    };
    render::to_stderr(&format!("{}: {}\n", render::clean(question), render::clean(answer)));
    session.take_in(vec![Event::Resumed, Event::Answered { step, answer: answer.to_owned(), assumed: false }])?;
    session.reopen()?;
    session.carry_out(settings)
}
