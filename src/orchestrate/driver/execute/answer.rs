//! `answer`: questions are answered from documents, each in its own short context over the same documents,
//! all in one batch; an answer reasons from passages first and names its file. Several candidates are decoded for every
//! question: those that are cut off or say what stands in no document lose, then those that few others agree with.

use serde::Deserialize;
use serde_json::json;

use super::call::all;
use super::evidence::is_polar;
use super::inputs::{Input, named};
use super::judge::Judge;
use super::{Attempt, MANY, Miss, passage, reduce};
use crate::orchestrate::driver::mind::Call;
use crate::orchestrate::mechanism::Mechanism;
use crate::orchestrate::plan::Step;
use crate::orchestrate::prompt::{Prompt, Segment};
use crate::orchestrate::{clause, demand, word};
use crate::tool::format::{self, Format};
use crate::tool::{Change, Output, Table, Value};
use crate::types::{Grammar, Message, Role};

/// Questions of one step at most.
const MAX_QUESTIONS: usize = 20;
/// Candidates of every answer: one greedy, the others warm.
const N_CANDIDATES: usize = 3;
/// Candidates over the passages that speak most of a question, where none over the whole documents is without fault.
const N_FOCUSED: u64 = 2;
/// Tokens of these passages.
const FOCUS_TOKENS: usize = 220;
/// Tokens of documents that are worth reading even where that takes long.
const MIN_DOCUMENT_TOKENS: usize = 1200;
/// How long reading documents may take before passages of them are chosen instead, in seconds.
const READING_SECONDS: f64 = 50.0;

/// What the model says in the end; what it reasoned before is for itself.
#[derive(Debug, Clone, Deserialize)]
struct Found {
    file: String,
    answer: String,
    /// What is wrong with the answer, as far as code can tell.
    #[serde(skip)]
    n_faults: usize,
}

/// A question with its answer and where it stands.
struct Row {
    question: String,
    answer: String,
    file: String,
    line: Option<usize>,
}

/// Answers the questions of a step.
pub async fn answer(attempt: &Attempt<'_>) -> Result<Output, Miss> {
    if let Some(counted) = reduce::count(attempt, &attempt.task()) {
        return Ok(Value::Text(counted).into());
    }
    let mut documents = attempt.texts()?;
    // What an earlier step made of documents is none of those that are counted over.
    let is_file = |document: &Input| !document.name.starts_with('$');
    if documents.iter().any(is_file) && !reduce::of(&attempt.task(), MANY).is_empty() {
        documents.retain(is_file);
    }
    let asked = match attempt.items()? {
        Some(items) => items.into_iter().map(|item| item.text).collect(),
        None => Some(listed(&mut documents)).filter(|asked| !asked.is_empty()).unwrap_or_else(|| named_list(attempt)),
    };
    if documents.is_empty() {
        return Err(Miss::fatal("there is no document to answer from"));
    }
    let asked = if asked.is_empty() { reductions_of_file(attempt, documents.len()) } else { asked };
    let mut asked = if asked.is_empty() { split(attempt).await? } else { asked };
    let mut seen = std::collections::BTreeSet::new();
    asked.retain(|question| seen.insert(question.clone()));
    let reduced = |question: &&String| !reduce::of(question, documents.len()).is_empty();
    let plain: Vec<&String> = asked.iter().filter(|question| !reduced(question)).collect();
    let found = candidates(attempt, &documents, &plain).await?;
    let mut rows = Vec::new();
    for question in asked.iter().filter(reduced) {
        let mut answers = Vec::new();
        for reduction in reduce::of(question, documents.len()) {
            answers.push(reduce::reduce(attempt, reduction, &documents, question).await?);
        }
        let answer = answers.join(" ");
        rows.push(Row { question: question.clone(), answer, file: "all".to_owned(), line: None });
    }
    let texts = named(&documents);
    let lines = passage::Lines::of(&texts);
    for (question, found) in plain.iter().zip(found) {
        // Models name badly, and reason about what is not there: where the answer comes from is looked up.
        let source = lines.source(&format!("{} {question}", found.answer));
        let (file, line) = source.map_or((found.file, None), |(file, line)| (file, Some(line)));
        rows.push(Row { question: (*question).clone(), answer: found.answer, file, line });
    }
    rows.sort_by_key(|row| asked.iter().position(|question| *question == row.question));
    let text = prose(attempt.step, &attempt.journal.run().goal, &rows, documents.len());
    let mut output = Output::from(Value::Table(table(rows, documents.len())));
    if let (Some(path), Some(content)) = (attempt.step.file(), text) {
        output.changes.push(Change::Write { path: path.to_owned(), content });
    }
    Ok(output)
}

/// The best answer to every question. Where the machine does not take several candidates of all of them at once, those
/// questions alone get more than one whose first answer has faults; where all have some, the question is asked again over
/// the passages alone that speak most of it.
async fn candidates(attempt: &Attempt<'_>, documents: &[Input], questions: &[&String]) -> Result<Vec<Found>, Miss> {
    let all_shown = shown(attempt, documents, questions).await?;
    let (named, goal) = (named(documents), &attempt.journal.run().goal);
    let judge = Judge::new(&named, goal);
    let mut found: Vec<Vec<Found>> = vec![Vec::new(); questions.len()];
    let mut cut_off = Miss::new("no answer was given", "");
    let (first, whole) = (attempt.width_of_each(N_CANDIDATES, questions.len()), attempt.width(N_CANDIDATES));
    let focused = |question: &String| {
        let count = |text: &str| attempt.journal.run().mind.count(text);
        let passages = passage::choose(&named, &[&format!("{question} {goal}")], FOCUS_TOKENS, count);
        format!("Passages of the documents:\n{passages}")
    };
    for (width, is_focused) in [(0..first, false), (first..whole, false), (whole..whole + N_FOCUSED, true)] {
        let is_open = |i: &usize| found[*i].iter().all(|found| found.n_faults > 0);
        let open: Vec<usize> =
            (0..questions.len()).filter(is_open).flat_map(|i| width.clone().map(move |_| i)).collect();
        let calls = open.iter().zip(width.clone().cycle()).map(|(&i, candidate)| Call {
            sampling: attempt.sampling(candidate),
            ..question_call(
                attempt,
                documents,
                questions[i],
                &judge,
                if is_focused { focused(questions[i]) } else { all_shown.clone() },
            )
        });
        let replies = all(attempt.journal.run().mind.as_ref(), calls.collect()).await;
        for (&i, reply) in open.iter().zip(replies) {
            let reply = reply?;
            attempt.said("answer", &reply);
            match serde_json::from_str::<Found>(&reply.text) {
                Ok(own) => {
                    found[i].push(Found { n_faults: judge.n_faults(&own.answer, questions[i]), ..own });
                }
                Err(error) => cut_off = Miss::new(format!("an answer was cut off: {error}"), reply.text),
            }
        }
    }
    let best = |(mut found, question): (Vec<Found>, &&String)| {
        // Where the model has no answer without fault, the documents may have one in so many words.
        let is_open = found.iter().all(|found| found.n_faults > 0);
        let quoted = if is_open { judge.quoted(question) } else { None };
        found.extend(quoted.map(|answer| Found { file: String::new(), answer, n_faults: 0 }));
        let answers: Vec<&str> = found.iter().map(|found| found.answer.as_str()).collect();
        judge.best(&answers, question).map(|best| found.swap_remove(best))
    };
    found.into_iter().zip(questions).map(best).collect::<Option<Vec<Found>>>().ok_or(cut_off)
}

/// Answers as a list for readers, unless the file is one for machines or a table.
fn prose(step: &Step, goal: &str, rows: &[Row], n_documents: usize) -> Option<String> {
    let form = step.form_for(step.file()?);
    let is_text = format::holds_text(step.file()?);
    let form = demand::list_form(goal).filter(|_| is_text).unwrap_or(form);
    // A table for answers is the planner's taste, unless the goal speaks of one.
    let wants_table = || word::words(goal).any(|word| ["table", "columns", "column"].contains(&word.as_str()));
    let is_list = matches!(form, Format::Text | Format::BulletList | Format::NumberedList)
        || (form == Format::MarkdownTable && !wants_table());
    let line = |i: usize, Row { answer, file, line, .. }: &Row| {
        let line = line.map_or_else(String::new, |line| format!("#L{line}"));
        let source = if n_documents > 1 { format!(" ({file}{line})") } else { String::new() };
        match form {
            Format::BulletList => format!("- {answer}{source}\n"),
            _ if rows.len() > 1 => format!("{}. {answer}{source}\n", i + 1),
            _ => format!("{answer}{source}\n"),
        }
    };
    is_list.then(|| rows.iter().enumerate().map(|(i, row)| line(i, row)).collect())
}

/// Question, answer and, where there are several documents, the source.
fn table(rows: Vec<Row>, n_documents: usize) -> Table {
    let n_columns = if n_documents > 1 { 3 } else { 2 };
    let columns = ["question", "answer", "source"][..n_columns].iter().map(|&name| name.to_owned()).collect();
    let cells = |row: Row| [row.question, row.answer, row.file].into_iter().take(n_columns).map(Into::into).collect();
    let rows = rows.into_iter().map(cells).collect();
    Table { columns, rows }
}

/// Takes a document that is a list of questions out of the documents and returns its questions.
fn listed(documents: &mut Vec<Input>) -> Vec<String> {
    if documents.len() < 2 {
        return Vec::new();
    }
    let Some(idx) = documents.iter().position(|document| list_of(&document.text).is_some()) else {
        return Vec::new();
    };
    list_of(&documents.remove(idx).text).unwrap_or_default()
}

/// The questions of a list that the goal names and the planner forgot to give to the only step that could answer them.
fn named_list(attempt: &Attempt<'_>) -> Vec<String> {
    let is_only = attempt.state.steps.iter().filter(|of_step| of_step.step.tool == "answer").count() == 1;
    let read = attempt.files().unwrap_or_default();
    let named = attempt.brief().named.into_iter().filter(|path| is_only && !read.contains(path));
    let workspace = &attempt.journal.run().workspace;
    let mut lists = named.filter_map(|path| list_of(&workspace.read_text(&path).ok()?));
    lists.next().unwrap_or_default()
}

/// The questions of a text that is a list of them.
fn list_of(text: &str) -> Option<Vec<String>> {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let all = lines.len() > 1 && lines.iter().filter(|line| line.ends_with('?')).count() * 5 >= lines.len() * 4;
    all.then(|| lines.into_iter().filter(|line| line.ends_with('?')).map(unnumbered).take(MAX_QUESTIONS).collect())
}

fn unnumbered(line: &str) -> String {
    line.trim_start_matches(|c: char| c.is_ascii_digit() || ".)-*• ".contains(c)).to_owned()
}

/// The questions of the goal, if this step is the one to answer them and there are several or its task lost one.
fn of_goal(attempt: &Attempt<'_>) -> Vec<String> {
    let others = attempt.state.steps.iter().map(|of_step| &of_step.step).filter(|step| step.id != attempt.step.id);
    let tasks: Vec<&str> = others.map(|step| step.task.as_str()).collect();
    let mut questions = clause::questions(&attempt.journal.run().goal);
    let is_own = |question: &str| clause::covers(&attempt.step.task, question);
    questions.retain(|question| is_own(question) || !tasks.iter().any(|task| clause::covers(task, question)));
    let is_lost = questions.iter().any(|question| !is_own(question));
    let is_whole = clause::ask_all(&questions, &attempt.step.task);
    if (is_lost || questions.len() > 1) && is_whole && attempt.has(Mechanism::OwnWords) {
        questions
    } else {
        Vec::new()
    }
}

/// What the goal wants of all documents in the step's file, part by part, where the planner lost a part of it: "with the mean
/// score and the defect that comes up most".
fn reductions_of_file(attempt: &Attempt<'_>, n_documents: usize) -> Vec<String> {
    let goal = &attempt.journal.run().goal;
    let Some((path, demand)) = attempt.step.file().and_then(|path| Some((path, clause::naming(goal, path)?))) else {
        return Vec::new();
    };
    let planned = reduce::of(&attempt.step.task, n_documents);
    let is_lost = |part: &String| reduce::of(part, n_documents).iter().any(|reduction| !planned.contains(reduction));
    let parts = demanded_of_all(&demand, path, n_documents);
    let is_any_lost = parts.iter().any(is_lost) && attempt.has(Mechanism::OwnWords);
    if is_any_lost { parts } else { Vec::new() }
}

/// The parts of a demand for a file that no single document answers.
fn demanded_of_all(demand: &str, path: &str, n_documents: usize) -> Vec<String> {
    let parts = |text: &str| -> Vec<String> {
        let parts = text.split(" and ").flat_map(|part| part.split([',', ';']));
        let bare = |part: &'_ str| -> String {
            let part = part.trim_matches(|c: char| !c.is_alphanumeric());
            part.strip_prefix("with ").unwrap_or(part).to_owned()
        };
        let parts = parts.map(bare);
        parts.filter(|part| !reduce::of(part, n_documents).is_empty()).collect()
    };
    let (before, behind) = demand.rsplit_once(path).unwrap_or((demand, ""));
    let behind = parts(behind);
    if behind.is_empty() { parts(before) } else { behind }
}

/// The separate questions of the step: those of the goal where they are known, else its task, taken apart by code at
/// question marks, or by the model if it lists several things.
async fn split(attempt: &Attempt<'_>) -> Result<Vec<String>, Miss> {
    let asked = of_goal(attempt);
    if !asked.is_empty() {
        return Ok(asked.into_iter().take(MAX_QUESTIONS).collect());
    }
    let task = &attempt.task();
    let parts: Vec<String> =
        task.split_inclusive('?').map(|part| part.trim().to_owned()).filter(|part| part.len() > 5).collect();
    if parts.iter().all(|part| part.ends_with('?')) && !parts.is_empty() {
        return Ok(parts.into_iter().take(MAX_QUESTIONS).collect());
    }
    let n_things = task.split([',', ';']).count() + task.matches(" and ").count();
    if n_things == 1 {
        return Ok(vec![task.clone()]);
    }
    let text = format!(
        "Goal: {}\nStep: {task}\nWrite down, as a JSON list, the separate questions that this step has to answer for the goal, each complete in itself, with every name and condition of the goal that it needs.",
        attempt.journal.run().goal,
    );
    let schema = json!({
        "type": "array", "minItems": 2, "maxItems": n_things.min(6),
        "items": { "type": "string", "pattern": "^[A-Z][^?\"\\\\\n]{8,160}\\?$" }
    });
    let role = "You take tasks apart into questions.";
    let call =
        Call { grammar: Some(Grammar::JsonSchema(schema)), ..bare(attempt, "questions", attempt.focus(role, text)) };
    let reply = attempt.journal.run().mind.complete(call).await?;
    attempt.said("questions", &reply);
    serde_json::from_str(&reply.text)
        .map_err(|error| Miss::new(format!("the questions were cut off: {error}"), reply.text))
}

/// A call in a short context of its own: the documents, which all questions share, then what is asked.
fn call(
    attempt: &Attempt<'_>,
    purpose: &'static str,
    documents: String,
    text: String,
    schema: serde_json::Value,
) -> Call {
    let messages = Prompt::default()
        .push(Segment::System, Role::System, "You read documents carefully and answer from them alone.")
        .push(Segment::Documents, Role::User, documents)
        .push(Segment::Step, Role::Assistant, "I have read them.")
        .push(Segment::Step, Role::User, text);
    Call { grammar: Some(Grammar::JsonSchema(schema)), ..bare(attempt, purpose, messages.messages()) }
}

fn bare(attempt: &Attempt<'_>, purpose: &'static str, messages: Vec<Message>) -> Call {
    Call {
        purpose,
        step: Some(attempt.step.id),
        messages,
        prefill: String::new(),
        grammar: None,
        sampling: attempt.sampling(0),
        stop: Vec::new(),
        max_tokens: 320,
    }
}

fn question_call(attempt: &Attempt<'_>, documents: &[Input], question: &str, judge: &Judge<'_>, shown: String) -> Call {
    let names: Vec<&str> = documents.iter().map(|document| document.name.as_str()).collect();
    let answer = if is_polar(question) {
        json!({ "type": "string", "pattern": "^(Yes|No), [^\"\\\\\n]{2,255}$" })
    } else {
        json!({ "type": "string", "minLength": 1, "maxLength": 260 })
    };
    let hints: String =
        judge.lookups(question).map(|lookup| format!("The documents say {}\n", lookup.hint())).collect();
    let schema = json!({
        "type": "object",
        "properties": {
            "reasoning": { "type": "string", "minLength": 20, "maxLength": 300 },
            "file": { "enum": names },
            "answer": answer
        },
        "required": ["reasoning", "file", "answer"],
        "additionalProperties": false
    });
    let text = format!(
        "{}The person's goal, for the context: {}\n{hints}Question: {question}\nGive as JSON: \"reasoning\", the passages that decide the question, quoted, and what follows from them step by step (one passage may refer to another); \"file\", the document that the answer stands in; \"answer\", one short, complete sentence that answers the question.",
        attempt.failures(),
        attempt.journal.run().goal,
    );
    call(attempt, "answer", shown, text, schema)
}

/// The documents as a turn that all questions share: whole where they fit the context and are read soon; else the
/// passages that speak most of the questions, or, where one asks about a document as a whole, what was noted of its pieces.
async fn shown(attempt: &Attempt<'_>, documents: &[Input], questions: &[&String]) -> Result<String, Miss> {
    let mind = &attempt.journal.run().mind;
    let room = attempt.room();
    let budget = mind.n_readable(READING_SECONDS).clamp(MIN_DOCUMENT_TOKENS.min(room), room);
    let whole = attempt.shown(documents, usize::MAX);
    let n_tokens = mind.count(&whole);
    let questions: Vec<&str> = questions.iter().map(|question| question.as_str()).collect();
    let is_of_whole = questions.iter().any(|question| is_of_whole(question)) && attempt.can_read(n_tokens);
    if n_tokens <= budget || (is_of_whole && n_tokens <= room) {
        return Ok(format!("Documents:\n{whole}"));
    }
    if is_of_whole {
        let noted = attempt.fitted(documents.to_vec(), &questions.join(" ")).await?;
        return Ok(format!("What was noted of the documents:\n{}", attempt.shown(&noted.inputs, usize::MAX)));
    }
    let passages = passage::choose(&named(documents), &questions, budget, |text| mind.count(text));
    Ok(format!("Passages of the documents:\n{passages}"))
}

/// Whether a question asks about documents as a whole, so that no passage alone answers it.
fn is_of_whole(question: &str) -> bool {
    let phrases =
        ["summar", "overview", "the gist", "main point", "key point", "main topic", "main theme", "main idea"];
    let question = question.to_lowercase();
    phrases.iter().any(|phrase| question.contains(phrase))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_file_is_to_tell_of_all_documents_is_taken_from_the_goal() {
        for (demand, want) in [
            (
                "add out/all.md with the mean score of all parks and the defect that I noted most often.",
                "the mean score of all parks; the defect that I noted most often",
            ),
            (
                "Put the average wait, and what they complain about more than any other, into out/all.md.",
                "Put the average wait; what they complain about more than any other",
            ),
            ("Then out/all.md with the names.", ""),
        ] {
            assert_eq!(demanded_of_all(demand, "out/all.md", 8).join("; "), want);
        }
    }

    #[test]
    fn questions_about_a_whole_are_told_from_those_about_a_part() {
        assert!(is_of_whole("Summarize the report.") && is_of_whole("What are the main points of the minutes?"));
        assert!(!is_of_whole("What is the main dish on Monday?"));
    }
}
