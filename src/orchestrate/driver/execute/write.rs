//! `write`: prose from inputs. What the goal says about length and words is read by code, enforced by the
//! grammar where a grammar can (lines), and checked on several candidates that are decoded in one batch.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::json;

use super::call::{all, best_of_rounds};
use super::digest::Fitted;
use super::inputs::{Input, named};
use super::{Attempt, Miss};
use crate::orchestrate::content::Content;
use crate::orchestrate::demand::{self, Demand};
use crate::orchestrate::driver::mind::{Call, Reply};
use crate::orchestrate::machine::TRIES;
use crate::orchestrate::plan::Step;
use crate::orchestrate::{clause, plan, word};
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
    // What this run has written before is spoken of, not said again.
    let is_of_lines = |input: &&Input| input.name.starts_with('$') && !verses(&input.text).is_empty();
    let written: Vec<Input> = inputs.iter().filter(is_of_lines).cloned().collect();
    let Fitted { inputs, notes } = attempt.fitted(inputs, &attempt.asked()).await?;
    let brief = attempt.brief();
    let files: Vec<&str> = brief.outputs().into_iter().chain(brief.named.iter().map(String::as_str)).collect();
    let is_free = demand.is_empty() && content.is_empty() && written.is_empty();
    let n = if is_free { 1 } else { attempt.width(N_CANDIDATES) };
    let hidden = without_verses(attempt, &inputs, &written);
    let calls = (0..n).map(|candidate| {
        // Who sees verses says them again: half of the candidates are told what they were written for instead.
        let is_blind = !written.is_empty() && (candidate >= n / 2 || attempt.number > 1);
        let inputs = if is_blind { &hidden } else { &inputs };
        let text = format!("{}{}", attempt.shown(inputs, usize::MAX), instruction(attempt, &demand, &content));
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
        faults.extend(odd(&text, &files));
        faults.extend(scanty(&text, &attempt.step.task));
        faults.extend(written.iter().find_map(|input| repeats(&text, &input.text)));
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

/// The inputs with what was asked for in place of those that this run has written in lines.
fn without_verses(attempt: &Attempt<'_>, inputs: &[Input], written: &[Input]) -> Vec<Input> {
    let made_for = |input: &Input| {
        let step = plan::reference(&input.name).and_then(|id| attempt.state.find(id))?;
        written.iter().any(|other| other.name == input.name).then(|| step.step.task.clone())
    };
    let hidden = |input: &Input| match made_for(input) {
        Some(task) => Input { text: format!("(A text that was written for this: {task})"), ..input.clone() },
        None => input.clone(),
    };
    inputs.iter().map(hidden).collect()
}

/// What is demanded of the text: by the step's task, else by the goal's words about its file.
fn demanded(attempt: &Attempt<'_>, inputs: &[Input]) -> Demand {
    let mut demand = demand::read(&attempt.step.task, &attempt.journal.run().goal, &named(inputs));
    if !demand.has_counts()
        && let Some(words) = attempt.step.file().and_then(|path| said_of(attempt, path))
    {
        demand.take_counts(demand::of_whole(&words));
    }
    demand
}

/// The goal's words about a file, or about the folder of `folder/*`, and no other.
fn said_of(attempt: &Attempt<'_>, path: &str) -> Option<String> {
    clause::of_file_alone(&attempt.journal.run().goal, path, &attempt.brief().outputs())
}

/// What is demanded of the text of an item: by the step's task, else by the goal's words about the folder.
fn demanded_of_each(attempt: &Attempt<'_>) -> Demand {
    let mut demand = demand::read(&attempt.step.task, "", &[]);
    let target = Some(&attempt.step.target).filter(|target| target.ends_with("/*"));
    if !demand.has_counts()
        && let Some(words) = target.and_then(|target| said_of(attempt, target))
    {
        demand.take_counts(demand::read(&words, "", &[]));
    }
    demand
}

/// What is wrong with a verse that has a line of next to nothing.
fn scanty(text: &str, asked: &str) -> Option<String> {
    const VERSES: &[&str] = &["poem", "song", "rhyme", "verse", "verses", "ballad", "lullaby", "shanty", "limerick"];
    const MIN_WORDS: usize = 3;
    let is_verse = word::words(asked).any(|word| VERSES.contains(&word.as_str()));
    let is_scanty = |line: &str| !line.trim().is_empty() && line.split_whitespace().count() < MIN_WORDS;
    (is_verse && text.lines().count() > 2 && text.lines().any(is_scanty))
        .then(|| "it has a line of fewer than three words".into())
}

/// What no text of a file should be: talk about the files of the goal, a string of hashtags, the same again and again.
fn odd(text: &str, files: &[&str]) -> Option<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let mut seen = BTreeSet::new();
    if let Some(path) = files.iter().find(|path| clause::names(text, path)) {
        Some(format!("it speaks of the file {path} instead of being a text by itself"))
    } else if words.windows(4).any(|four| four.iter().all(|word| *word == four[0])) {
        Some("it says the same word again and again".into())
    } else if text.split_whitespace().filter(|word| word.starts_with('#') && word.len() > 1).count() > 2 {
        Some("it has hashtags".into())
    } else if let Some(place) = placeholder(text) {
        Some(format!("it has the placeholder {place}; leave out what is not known"))
    } else if lines.iter().any(|line| line.len() > 20 && !seen.insert(*line)) {
        Some("it has the same line twice".into())
    } else if !lines.is_empty() && lines.iter().all(|line| is_heading(line)) {
        Some("it is nothing but a heading".into())
    } else if is_refusal(text) {
        Some("it refuses to be written".into())
    } else {
        None
    }
}

/// What is wrong with a text that repeats lines of another one, which is made of a few.
fn repeats(text: &str, other: &str) -> Option<String> {
    let lines = verses(other);
    let text = plain_words(text);
    let n_repeated = lines.iter().filter(|line| text.contains(line.as_str())).count();
    let is_much = n_repeated > 1 && n_repeated * 4 >= lines.len();
    is_much.then(|| "it repeats lines of the text that it speaks of; say it in other words".into())
}

/// The lines of several words of a text that has some, in plain words.
fn verses(text: &str) -> Vec<String> {
    /// Words of the shortest line that counts.
    const MIN_WORDS: usize = 4;
    let lines: Vec<String> =
        text.lines().map(plain_words).filter(|line| line.split(' ').count() >= MIN_WORDS).collect();
    if lines.len() > 2 { lines } else { Vec::new() }
}

fn plain_words(text: &str) -> String {
    word::words(text).collect::<Vec<_>>().join(" ")
}

fn is_heading(line: &str) -> bool {
    line.starts_with('#') || (line.starts_with("**") && line.ends_with("**"))
}

fn is_refusal(text: &str) -> bool {
    let text = text.to_lowercase().replace('’', "'");
    ["i'm sorry, but", "i am sorry, but", "as an ai"].iter().any(|phrase| text.starts_with(phrase))
        || text.contains("as an ai language model")
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
    let demand = demanded_of_each(attempt);
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
        let is_of_other = is_copy(&text, &items[i].text) || is_beside(&text, &items[i].text, &attempt.step.task);
        let n_faults = demand.faults(&text).len() + usize::from(is_of_other);
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

/// Whether a text says next to nothing of what its source says and others do not: two words at least, besides those of
/// the task.
fn is_beside(text: &str, source: &str, task: &str) -> bool {
    /// A shorter source may well be told in other words.
    const MIN_SOURCE: usize = 15;
    const MIN_SHARED: usize = 2;
    let stems = |text: &str| -> BTreeSet<String> {
        let is_of_content = |word: &String| word.chars().count() > 3 && word.chars().all(char::is_alphabetic);
        word::words(text).filter(is_of_content).map(|word| word::stem(&word)).collect()
    };
    let (of_task, own) = (stems(task), stems(source));
    let n_shared = stems(text).iter().filter(|stem| own.contains(*stem) && !of_task.contains(*stem)).count();
    own.len() >= MIN_SOURCE && n_shared < MIN_SHARED
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
    fn a_line_of_a_verse_has_a_few_words() {
        assert!(scanty("The keys are cold and old,\nthe boiler sings,\nGoodbye, all!", "write a rhyme").is_some());
        assert_eq!(scanty("Dear all,\nthe boiler is gone.\nBest wishes", "write a letter"), None);
    }

    #[test]
    fn a_text_about_another_one_does_not_repeat_it() {
        let song =
            "In the quiet of the night\nthe owl sits on a wall\nand all the snow is white\nwhile stars begin to fall\n";
        let copied = "It tells how the owl sits on a wall, and all the snow is white.";
        assert!(repeats(copied, song).is_some());
        assert_eq!(repeats("It is about an owl that sits on a wall in the snow.", song), None);
    }

    #[test]
    fn a_summary_has_something_of_its_source() {
        let source = "Very well planned, with a clear list of what to bring. My son still talks about the archery \
                      lessons every day, and about supper around the camp fire beside that little lake.";
        assert!(is_beside("The feedback of the family is overwhelmingly positive.", source, "sum up the feedback"));
        assert!(!is_beside("Well planned, and the archery lessons were a hit.", source, "sum up the feedback"));
    }

    #[test]
    fn what_no_text_should_be_is_found() {
        for (text, want) in [
            ("Best regards,\n[Your Name]", Some("it has the placeholder [Your Name]; leave out what is not known")),
            ("See [Mill Museum](map.png) and [1].", None),
            ("It is the text of a.txt.", Some("it speaks of the file a.txt instead of being a text by itself")),
            ("Good #day to #all #people", Some("it has hashtags")),
            ("the same line again and again\nthe same line again and again", Some("it has the same line twice")),
            ("# On the mood", Some("it is nothing but a heading")),
            ("I'm sorry, but as an AI I cannot.", Some("it refuses to be written")),
            ("It is so so so so good.", Some("it says the same word again and again")),
            ("A plain text.", None),
        ] {
            assert_eq!(odd(text, &["a.txt"]).as_deref(), want, "{text}");
        }
        assert_eq!(without_blanks_to_fill("Dear all,\n[Date]\nCome!\n\n[Your Name]\n"), "Dear all,\nCome!");
    }
}
