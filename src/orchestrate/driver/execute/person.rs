//! `ask`: the person decides; with `--yes` an assumption is recorded instead.

use super::{Attempt, Miss};
use crate::orchestrate::event::Event;
use crate::orchestrate::machine::StepState;
use crate::tool::{Output, Value};

/// The answer as the step's value, or `None` while the question is open.
pub fn ask(attempt: &Attempt<'_>, of_step: &StepState) -> Result<Option<Output>, Miss> {
    let (run, step) = (attempt.journal.run(), attempt.step);
    let question = step.task.clone();
    if let Some(answer) = of_step.answer_to(&question) {
        return Ok(Some(Value::Text(answer.to_owned()).into()));
    }
    if run.options.yes {
        let answer = format!("Not asked ({question}): the most ordinary reading of the goal was taken.");
        attempt.journal.emit(Event::Answered { step: step.id, answer: answer.clone(), assumed: true });
        return Ok(Some(Value::Text(answer).into()));
    }
    match tokio::task::block_in_place(|| run.observer.ask(&question)) {
        Some(answer) => {
            attempt.journal.emit(Event::Answered { step: step.id, answer: answer.clone(), assumed: false });
            Ok(Some(Value::Text(answer).into()))
        }
        None => {
            attempt.journal.emit(Event::Asked { step: step.id, question });
            Ok(None)
        }
    }
}
