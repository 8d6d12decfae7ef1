//! `write`: prose from inputs. What the goal says about length and words is read by code, enforced by the
//! grammar where a grammar can (lines), and checked on several candidates that are decoded in one batch.

use std::sync::LazyLock;

use regex::Regex;
use serde_json::json;

use super::call::{all, best_of_rounds};
use super::digest::Fitted;
use super::inputs::{Input, named};
use super::{Attempt, Miss};
use crate::orchestrate::clause;
use crate::orchestrate::content::Content;
use crate::orchestrate::demand::{self, Demand};
use crate::orchestrate::driver::mind::{Call, Reply};
use crate::orchestrate::machine::TRIES;
use crate::orchestrate::plan::Step;
use crate::tool::{Change, Output, Table, Value};
use crate::types::{Grammar, Sampling};

/// Candidates of a text for which the goal states demands that code can check.
const N_CANDIDATES: usize = 4;
/// Writes the text of a step, or one text per item.
pub async fn write(attempt: &Attempt<'_>) -> Result<Output, Miss> {
    match attempt.items()? {
        Some(items) => each(attempt, items).await,
        None => once(attempt).await,
    }
}

async fn once(attempt: &Attempt<'_>) -> Result<Output, Miss> {
    let inputs = attempt.texts()?;
    let demand = demanded(attempt, &inputs);
    let content = Content::read(&attempt.asked(), &named(&inputs));
    let Fitted { inputs, notes } = attempt.fitted(inputs, &attempt.asked()).await?;
    let n = if demand.is_empty() && content.is_empty() { 1 } else { attempt.width(N_CANDIDATES) };
    let calls = (0..n).map(|candidate| {
        let text = format!("{}{}", attempt.shown(&inputs, usize::MAX), instruction(attempt, &demand, &content));
        call(attempt, text, &demand, candidate)
    });
    let replies = all(attempt.journal.run().mind.as_ref(), calls.collect()).await;
    let mut best: Option<(usize, String, String)> = None;
    for reply in replies {
        let reply = reply?;
        attempt.said("write", &reply);
        let text = clean(&reply);
        let mut faults = demand.faults(&text);
        faults.extend(content.faults(&text));
        faults.extend(odd(&text, attempt.step.file()));
        if let Some(path) = attempt.step.file() {
            faults.extend(attempt.faults(path, &text));
            faults.sort();
            faults.dedup();
        }
        if !text.is_empty() && best.as_ref().is_none_or(|(fewest, _, _)| faults.len() < *fewest) {
            best = Some((faults.len(), text, faults.join("; ")));
        }
    }
    match best {
        // At last the best there is; what it lacks is noted when it is held against the goal.
        Some((n_faults, text, _)) if n_faults == 0 || attempt.number >= TRIES => {
            Ok(Output { notes, ..Value::Text(text).into() })
        }
        Some((_, text, faults)) => Err(Miss::new(faults, text)),
        None => Err(Miss::new("the text is empty", "")),
    }
}

/// What is demanded of the text: by the step's task, else by the goal's words about its file.
fn demanded(attempt: &Attempt<'_>, inputs: &[Input]) -> Demand {
    let goal = &attempt.journal.run().goal;
    let mut demand = demand::read(&attempt.step.task, goal, &named(inputs));
    let brief = attempt.brief();
    if !demand.has_counts()
        && let Some(words) = attempt.step.file().and_then(|path| clause::of_file(goal, path, &brief.outputs()))
    {
        demand.take_counts(demand::of_whole(&words));
    }
    demand
}

/// What no text of a file should be: talk about the file itself, a string of hashtags, the same line again and again.
fn odd(text: &str, path: Option<&str>) -> Option<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let mut seen = std::collections::BTreeSet::new();
    if path.is_some_and(|path| text.contains(path)) {
        Some("it speaks of its own file instead of being its text".into())
    } else if text.split_whitespace().filter(|word| word.starts_with('#') && word.len() > 1).count() > 2 {
        Some("it has hashtags".into())
    } else if let Some(place) = placeholder(text) {
        Some(format!("it has the placeholder {place}; leave out what is not known"))
    } else if lines.iter().any(|line| line.len() > 20 && !seen.insert(*line)) {
        Some("it has the same line twice".into())
    } else {
        None
    }
}

/// A placeholder like `[Your Name]`, which a reader would have to fill in.
fn placeholder(text: &str) -> Option<&str> {
    static PATTERN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"\[(?:[Yy]our|[Ii]nsert|[Tt]he|[Nn]ame|[Dd]ate|[A-Z][a-z]+) ?[A-Za-z' ]*\]")
            .expect("a constant expression")
    });
    let found = PATTERN.find_iter(text).find(|found| !text[found.end()..].starts_with('('))?;
    Some(found.as_str())
}

/// Rounds of writing for items whose text has faults.
const ROUNDS: u64 = 3;

/// One text per item, all in one batch; a folder target gives each a file of its own name. Texts with faults
/// are written again, together and warmer; the one with the fewest is kept. Items that get none are set aside and named;
/// those whose file an earlier round has written are left as they are.
async fn each(attempt: &Attempt<'_>, mut items: Vec<Input>) -> Result<Output, Miss> {
    let demand = demand::read(&attempt.step.task, "", &[]);
    let is_open =
        |item: &Input| attempt.step.file_of_item(&item.name).is_none_or(|path| !attempt.state.written.contains(&path));
    if items.iter().any(is_open) {
        items.retain(is_open);
    }
    let Fitted { inputs: shown, notes } = attempt.digested(items.clone(), attempt.room(), &attempt.step.task).await?;
    let call = |i: usize, round: u64| {
        let again = match round {
            0 => "",
            1 => "Use other words than the text above, and fewer.\n",
            _ => "Use at most 15 words, and begin in another way than the text above.\n",
        };
        // Without the goal: it speaks of all items, and small models then write about it.
        let asked = format!(
            "{}{again}Do this with the text above: {}.\n{}Give only the resulting text, in your own words.",
            attempt.failures(),
            attempt.step.task.trim_end_matches('.'),
            demand.in_words()
        );
        call(attempt, format!("{}\n\n{asked}", shown[i].text.trim()), &demand, round)
    };
    let judge = |i: usize, reply: &Reply| {
        let text = clean(reply);
        let n_faults = demand.faults(&text).len() + usize::from(is_copy(&text, &items[i].text));
        (!text.is_empty()).then_some((n_faults, text))
    };
    let best = best_of_rounds(attempt, items.len(), ROUNDS, call, judge).await?;
    let mut output = collected(attempt.step, &items, best)?;
    output.notes.extend(notes);
    Ok(output)
}

/// Whether a text repeats most of what it was made from, word for word.
fn is_copy(text: &str, source: &str) -> bool {
    let words = |text: &str| text.split_whitespace().map(str::to_lowercase).collect::<Vec<_>>().join(" ");
    let (text, source) = (words(text), words(source));
    text.len() > 60 && (source.contains(&text) || text.contains(&source))
}

/// The texts as a table and, where each gets a file, as changes; an item without a text has none in the table either.
fn collected(step: &Step, items: &[Input], texts: Vec<Option<String>>) -> Result<Output, Miss> {
    if texts.iter().all(Option::is_none) {
        return Err(Miss::new("no item got a text", ""));
    }
    let mut table = Table { columns: vec!["item".into(), "text".into()], rows: Vec::new() };
    let (mut changes, mut notes) = (Vec::new(), Vec::new());
    for (item, text) in items.iter().zip(texts) {
        match (&text, step.file_of_item(&item.name)) {
            (Some(text), Some(path)) => changes.push(Change::Write { path, content: format!("{text}\n") }),
            (Some(_), None) => {}
            (None, _) => notes.push(format!("{} was set aside: no text was found for it", item.name)),
        }
        table.rows.push(vec![json!(item.name), json!(text)]);
    }
    Ok(Output { value: Value::Table(table), changes, notes })
}

fn instruction(attempt: &Attempt<'_>, demand: &Demand, content: &Content) -> String {
    let place = match attempt.step.file() {
        Some(path) => format!("Give only the text of {path}."),
        None => "Give only the text.".to_owned(),
    };
    let demands = format!("{}{}{}", content.in_words(), demand.in_words(), demand.advice());
    // Who sees a text that failed writes it again; what was wrong with it is enough.
    let faults = attempt.missed().last().map_or_else(String::new, |failure| {
        format!("An earlier text was not good: {}. Write another.\n", failure.error.trim_end_matches('.'))
    });
    format!("{}{faults}{}\n{demands}{place}", attempt.recalled(), attempt.asked())
}

fn call(attempt: &Attempt<'_>, text: String, demand: &Demand, candidate: u64) -> Call {
    let sampling = Sampling { repetition_penalty: 1.05, ..attempt.sampling(candidate) };
    Call {
        purpose: "write",
        step: Some(attempt.step.id),
        messages: attempt.focus("You are a good writer. You give the text that is asked for and nothing else.", text),
        prefill: String::new(),
        grammar: demand.regex().map(Grammar::Regex),
        sampling,
        stop: Vec::new(),
        max_tokens: 700,
    }
}

/// The text without the code fence or the quotes that models like to put around it.
fn clean(reply: &Reply) -> String {
    let mut text = reply.text.trim();
    if let Some(inner) = text.strip_prefix("```") {
        let inner = inner.split_once('\n').map_or(inner, |(_, rest)| rest);
        text = inner.trim_end().strip_suffix("```").unwrap_or(inner).trim();
    }
    if text.len() > 2 && text.starts_with('"') && text.ends_with('"') && text.matches('"').count() == 2 {
        text = &text[1..text.len() - 1];
    }
    without_blanks_to_fill(text)
}

/// The text without lines that are nothing but a placeholder, as models put them under a letter.
fn without_blanks_to_fill(text: &str) -> String {
    let is_blank =
        |line: &&str| placeholder(line).is_some_and(|place| line.trim().trim_end_matches([',', '.']) == place);
    let lines: Vec<&str> = text.lines().filter(|line| !is_blank(line)).collect();
    lines.join("\n").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_text_should_be_is_found() {
        for (text, want) in [
            ("Best regards,\n[Your Name]", Some("it has the placeholder [Your Name]; leave out what is not known")),
            ("See [Mill Museum](map.png) and [1].", None),
            ("It is the text of a.txt.", Some("it speaks of its own file instead of being its text")),
            ("Good #day to #all #people", Some("it has hashtags")),
            ("the same line again and again\nthe same line again and again", Some("it has the same line twice")),
            ("A plain text.", None),
        ] {
            assert_eq!(odd(text, Some("a.txt")).as_deref(), want, "{text}");
        }
        assert_eq!(without_blanks_to_fill("Dear all,\n[Date]\nCome!\n\n[Your Name]\n"), "Dear all,\nCome!");
    }
}
