//! Texts that are too long to be read at once: they are read in overlapping pieces, all in one batch, and what was noted
//! of the pieces is read the same way again until it fits, as a tree whose root is what a prompt shows. Where the run's
//! time does not suffice for reading all of it, the passages that speak most of the task are shown instead.
//! Must not know: what the texts are needed for beyond the task's words.

use std::time::{Duration, Instant};

use super::call::best_of_rounds;
use super::inputs::{Input, named};
use super::{Attempt, Miss, passage};
use crate::orchestrate::driver::mind::{Call, Reply};
use crate::orchestrate::ground;
use crate::tool::Value;

/// Share of the context that inputs may fill, in percent.
const SHARE: usize = 60;
/// Tokens of inputs in one prompt, whatever the context: what small models hold in view.
const MAX_TOKENS: usize = 7000;
/// Tokens of a piece.
const PIECE_TOKENS: usize = 1500;
/// Tokens that a piece has in common with the one before it, so that what stands at a cut is read whole once.
const OVERLAP_TOKENS: usize = 120;
/// Words of what is noted of a piece.
const NOTE_WORDS: usize = 90;
/// Levels of the tree; every level is several times shorter than the one below.
const MAX_LEVELS: usize = 4;
/// Rounds for notes that say what does not stand in their piece.
const ROUNDS: u64 = 2;
/// Share of the time that is left which reading may take, as a divisor.
const TIME_SHARE: u32 = 3;

/// What a prompt shows of a step's inputs.
#[derive(Debug, Default)]
pub struct Fitted {
    /// The inputs, or what was noted of them.
    pub inputs: Vec<Input>,
    /// What the person should know about how they were read.
    pub notes: Vec<String>,
}

impl Attempt<'_> {
    /// Tokens of inputs that fit one prompt.
    pub fn room(&self) -> usize {
        (self.journal.run().mind.n_ctx() * SHARE / 100).min(MAX_TOKENS)
    }

    /// The inputs in at most [`Attempt::room`] tokens together: whole where they fit, else what of them matters for `task`.
    pub async fn fitted(&self, inputs: Vec<Input>, task: &str) -> Result<Fitted, Miss> {
        let (room, n_tokens) = (self.room(), self.n_tokens(&inputs));
        if n_tokens <= room {
            return Ok(Fitted { inputs, notes: Vec::new() });
        }
        if !self.can_read(n_tokens) {
            return Ok(self.passages(&inputs, room, task));
        }
        let each = room / inputs.len().max(1);
        if each < NOTE_WORDS {
            return self.digested(vec![merged(&inputs)], room, task).await;
        }
        let mut fitted = self.digested(inputs, each, task).await?;
        if self.n_tokens(&fitted.inputs) > room {
            fitted.inputs = self.digested(vec![merged(&fitted.inputs)], room, task).await?.inputs;
        }
        Ok(fitted)
    }

    /// Every text in at most `most` tokens: what is longer is read in pieces, those of all texts in one batch.
    pub async fn digested(&self, mut texts: Vec<Input>, most: usize, task: &str) -> Result<Fitted, Miss> {
        let mind = &self.journal.run().mind;
        let mut notes = Vec::new();
        for level in 0..MAX_LEVELS {
            let is_long = |text: &Input| mind.count(&text.text) > most;
            let long: Vec<usize> = (0..texts.len()).filter(|&i| is_long(&texts[i])).collect();
            let n_tokens = PIECE_TOKENS.min(mind.n_ctx() / 3);
            let cut = |&i: &usize| pieces(&texts[i].text, n_tokens, |text| mind.count(text));
            let cut: Vec<Vec<String>> = long.iter().map(cut).collect();
            if long.is_empty() {
                break;
            }
            if level == 0 {
                let line = |(&i, pieces): (&usize, &Vec<String>)| read_in(&texts[i].name, pieces.len());
                notes.extend(long.iter().zip(&cut).map(line));
            }
            let read = self.read(&long.iter().map(|&i| texts[i].name.clone()).collect::<Vec<_>>(), &cut, task).await?;
            for (i, text) in long.into_iter().zip(read) {
                texts[i].text = text;
            }
        }
        for text in texts.iter_mut().filter(|text| mind.count(&text.text) > most) {
            // A text is rarely more than this: about four characters are a token.
            text.text = Value::Text(std::mem::take(&mut text.text)).preview(3 * most);
        }
        Ok(Fitted { inputs: texts, notes })
    }

    /// What was noted of the pieces of every text.
    async fn read(&self, names: &[String], texts: &[Vec<String>], task: &str) -> Result<Vec<String>, Miss> {
        let pieces: Vec<(usize, &String)> =
            texts.iter().enumerate().flat_map(|(i, pieces)| pieces.iter().map(move |piece| (i, piece))).collect();
        let call = |k: usize, round: u64| note(self, &names[pieces[k].0], pieces[k].1, task, round);
        let judge = |k: usize, reply: &Reply| {
            let text = reply.text.trim().to_owned();
            let n_faults = ground::foreign(&text, &format!("{} {task}", pieces[k].1)).len();
            (!text.is_empty()).then_some((n_faults, text))
        };
        let noted = best_of_rounds(self, pieces.len(), ROUNDS, call, judge).await?;
        let mut read = vec![String::new(); texts.len()];
        for ((i, piece), note) in pieces.iter().zip(noted) {
            // A piece that was not read counts with its beginning rather than not at all.
            let note = note.unwrap_or_else(|| Value::Text((*piece).clone()).preview(300));
            if !is_nothing(&note) {
                read[*i].push_str(note.trim());
                read[*i].push('\n');
            }
        }
        Ok(read)
    }

    /// The passages of the inputs that speak most of the task.
    fn passages(&self, inputs: &[Input], room: usize, task: &str) -> Fitted {
        let mind = &self.journal.run().mind;
        let budget = self.n_readable().clamp(room.min(1000), room);
        let text = passage::choose(&named(inputs), &[task], budget, |text| mind.count(text));
        let name = "the passages that speak of it".to_owned();
        let note = "there was no time to read all of the documents; passages that speak of the task were chosen";
        Fitted { inputs: vec![Input { name, text }], notes: vec![note.into()] }
    }

    /// Whether so many tokens can be read in the time that is there for it.
    pub fn can_read(&self, n_tokens: usize) -> bool {
        self.n_readable() >= n_tokens
    }

    /// Tokens that can be read in that time.
    fn n_readable(&self) -> usize {
        const UNLIMITED: Duration = Duration::from_secs(24 * 3600);
        let run = self.journal.run();
        let left = |deadline: Instant| deadline.saturating_duration_since(Instant::now()) / TIME_SHARE;
        run.mind.n_readable(run.budget.deadline().map_or(UNLIMITED, left).as_secs_f64())
    }

    fn n_tokens(&self, inputs: &[Input]) -> usize {
        let mind = &self.journal.run().mind;
        inputs.iter().map(|input| mind.count(&input.text)).sum()
    }
}

/// All inputs as one text.
fn merged(inputs: &[Input]) -> Input {
    let text = inputs.iter().map(|input| format!("[{}]\n{}\n", input.name, input.text.trim_end())).collect();
    Input { name: format!("{} documents", inputs.len()), text }
}

fn read_in(name: &str, n_pieces: usize) -> String {
    format!("{name} is long; it was read in {n_pieces} pieces")
}

/// Whether a note says that its piece has nothing to do with the task.
fn is_nothing(note: &str) -> bool {
    let bare = note.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    bare.is_empty() || bare == "nothing" || bare == "none"
}

fn note(attempt: &Attempt<'_>, name: &str, piece: &str, task: &str, round: u64) -> Call {
    let text = format!(
        "[{name}, a part of it]\n{}\n\nIt is needed for this: {}.\nNote in at most {NOTE_WORDS} words what this part says that matters for it: facts, names and figures exactly as they stand there, nothing else. If nothing in it matters, write only: nothing",
        piece.trim(),
        task.trim_end_matches('.'),
    );
    Call {
        purpose: "note",
        step: Some(attempt.step.id),
        messages: attempt.focus("You read documents carefully and note what matters.", text),
        prefill: String::new(),
        grammar: None,
        sampling: attempt.sampling(round),
        stop: Vec::new(),
        max_tokens: 2 * NOTE_WORDS,
    }
}

/// A text in pieces of at most `most` tokens, cut between lines or, where a line is too long, between sentences; each
/// begins with the end of the one before. `count` tells the tokens of a text.
fn pieces(text: &str, most: usize, count: impl Fn(&str) -> usize) -> Vec<String> {
    let units: Vec<(&str, usize)> =
        text.split_inclusive('\n').flat_map(|line| units(line, most, &count)).map(|unit| (unit, count(unit))).collect();
    let mut pieces = Vec::new();
    let (mut start, mut end) = (0, 0);
    while end < units.len() {
        let mut n_tokens = 0;
        end = start;
        while end < units.len() && (n_tokens + units[end].1 <= most || end == start) {
            n_tokens += units[end].1;
            end += 1;
        }
        pieces.push(units[start..end].iter().map(|(unit, _)| *unit).collect());
        let mut n_shared = 0;
        let begun = start;
        start = end;
        while start > begun + 1 && n_shared + units[start - 1].1 <= OVERLAP_TOKENS.min(most / 4) {
            start -= 1;
            n_shared += units[start].1;
        }
    }
    pieces
}

/// A line that is too long for a piece in parts that are not: at the ends of sentences, else anywhere.
fn units<'a>(line: &'a str, most: usize, count: &impl Fn(&str) -> usize) -> Vec<&'a str> {
    if count(line) <= most {
        return vec![line];
    }
    let middle = line.floor_char_boundary(line.len() / 2);
    let sentence = line[..middle].rfind(['.', '!', '?', ' ']).map(|at| at + 1).filter(|at| *at > line.len() / 4);
    match line.split_at(sentence.unwrap_or(middle)) {
        ("", _) | (_, "") => vec![line],
        (head, tail) => [units(head, most, count), units(tail, most, count)].concat(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_overlap_and_hold_all_of_a_text() {
        let words = |text: &str| text.split_whitespace().count();
        let lines: Vec<String> = (0..40).map(|i| format!("line {i} has five words\n")).collect();
        let cut = pieces(&lines.concat(), 20, words);
        assert!(cut.iter().all(|piece| words(piece) <= 20));
        assert!(lines.iter().all(|line| cut.iter().any(|piece| piece.contains(line.as_str()))));
        let shares = |pair: &[String]| pair[1].starts_with(pair[0].lines().last().unwrap());
        assert!(cut.windows(2).all(shares), "every piece begins with the end of the one before: {cut:?}");
        assert_eq!(pieces("short", 20, words), ["short"]);
        assert!(pieces("", 20, words).is_empty());

        let endless = "word ".repeat(100);
        let cut = pieces(&endless, 20, words);
        assert!(cut.len() >= 5 && cut.iter().all(|piece| words(piece) <= 20), "{cut:?}");
        let cut = pieces(&"x".repeat(100), 20, str::len);
        assert!(cut.len() >= 5 && cut.iter().all(|piece| piece.len() <= 20), "cut where nothing ends: {cut:?}");
    }

    #[test]
    fn a_note_of_nothing_is_told_from_others() {
        for (note, want) in [("nothing", true), ("Nothing.", true), ("", true), ("Nothing is due before May.", false)] {
            assert_eq!(is_nothing(note), want, "{note}");
        }
    }
}
