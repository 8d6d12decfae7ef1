//! A plan as it will be carried out: what code sees better than the model that planned.
//!
//! Small models forget sources, guess results, take the wrong tool for a question, and plan steps that nothing comes of. What
//! becomes of a step depends on those before it alone, so that a plan can be settled while it is still being written.
//! Must not know: the engine, prompts, the state of a run.

use super::super::brief::Brief;
use super::super::{amount, clause, demand, replacement, requirement, word};
use super::{LATER, REPLACE, REPLY, Step, parse, reference, writes_by_itself};
use crate::tool::format::{self, Format};
use crate::types::StepId;

/// The numbers that stand in a text in digits, as they are written.
fn numbers(text: &str) -> Vec<String> {
    let parts = text.split(|c: char| !c.is_ascii_digit() && c != '.' && c != ',');
    parts.map(|part| part.trim_matches(['.', ',']).to_owned()).filter(|part| !part.is_empty()).collect()
}

/// Closes the gaps that dropped steps left, in ids and references.
fn renumber(steps: &mut [Step], first: StepId) {
    let old: Vec<StepId> = steps.iter().map(|step| step.id).collect();
    let new = |id: StepId| old.iter().position(|&other| other == id).map(|k| StepId(first.0 + k as u32));
    let renamed = |source: &String| match reference(source) {
        Some(id) if id >= first => new(id).map(|id| id.to_string()),
        _ => Some(source.clone()),
    };
    for (k, step) in steps.iter_mut().enumerate() {
        step.id = StepId(first.0 + k as u32);
        step.from = step.from.iter().filter_map(renamed).collect();
        if let Some(id) = step.each.as_deref().and_then(|each| each.strip_prefix("row of ")).and_then(reference) {
            step.each = if id >= first { new(id).map(|id| format!("row of {id}")) } else { step.each.clone() };
        }
    }
}

/// Whether a step makes a row of certain fields for every document: that is read, document by document, and neither listed
/// nor parsed.
fn is_row_per_document(step: &Step, brief: &Brief, goal: &str) -> bool {
    let is_of_texts =
        |path: &str| path.ends_with('/') || matches!(format::detect(path), Some(Format::Text | Format::MarkdownTable));
    let words: Vec<String> = word::words(goal).collect();
    let speaks_of_each = word::has(&words, &["each", "every", "all"]);
    // Readers count badly.
    let is_counted = word::has(&words, &["count", "counts", "many", "lines", "words", "size", "sizes"]);
    let are_several = step.paths().count() > 1 || step.paths().any(|path| path.ends_with('/'));
    let is_of_documents = step.needs().is_empty() && are_several && step.paths().all(is_of_texts);
    let has_fields = || step.file().is_some_and(|path| requirement::fields(goal, brief, path).is_some());
    let is_other = match step.tool.as_str() {
        "list_files" | "script" => !is_counted,
        tool => tool == "write",
    };
    is_other && speaks_of_each && is_of_documents && has_fields()
}

/// Gives a computation the files that the goal names in one breath with its sources where it speaks of its result, and
/// that the planner forgot: what stands in them would have to be made up. A query cannot read texts, a program can.
fn add_named_sources(step: &mut Step, brief: &Brief, goal: &str) {
    let is_computation = ["query_table", "script"].contains(&step.tool.as_str()) && step.needs().is_empty();
    let outputs = brief.outputs();
    let Some(own) = step.file().filter(|_| is_computation).and_then(|path| clause::of_file(goal, path, &outputs))
    else {
        return;
    };
    let is_read =
        |path: &str| step.paths().any(|source| source == path || (source.ends_with('/') && path.starts_with(source)));
    let named = brief.named.iter().filter(|path| !outputs.contains(&path.as_str()) && clause::names(&own, path));
    let is_meant = |path: &&String| step.paths().any(|source| clause::names_together(goal, source, path));
    let forgotten: Vec<String> = named.filter(|path| !is_read(path)).filter(is_meant).cloned().collect();
    if step.tool == "query_table" && forgotten.iter().any(|path| format::holds_text(path)) {
        step.tool = "script".into();
    }
    step.from.extend(forgotten);
}

/// Gives answers the texts that the goal names and that the planner forgot, where one file is all that it wants: a list of
/// questions cannot be answered from itself.
fn add_named_documents(step: &mut Step, brief: &Brief) {
    let outputs = brief.outputs();
    let is_only = step.each.is_none() && step.needs().is_empty() && outputs.len() < 2 && brief.folders.is_empty();
    let named = || brief.named.iter().filter(|path| !outputs.contains(&path.as_str()));
    let is_of_texts = || named().chain(&step.from).all(|path| !path.ends_with('/') && format::holds_text(path));
    if step.tool == "answer" && is_only && is_of_texts() {
        let forgotten: Vec<String> = named().filter(|path| !step.from.contains(path)).cloned().collect();
        step.from.extend(forgotten);
    }
}

/// Whether a step that is to write what it does not know yet has questions to answer instead: the goal asks some, and does
/// not ask for prose.
fn asks_documents(step: &Step, goal: &str) -> bool {
    const PROSE: &[&str] = &[
        "letter",
        "mail",
        "poem",
        "story",
        "summary",
        "summarize",
        "summarise",
        "notice",
        "speech",
        "translate",
        "describe",
        "explain",
        "essay",
        "draft",
        "report",
    ];
    let is_prose = word::words(goal).any(|word| PROSE.contains(&word.as_str()));
    step.tool == "write"
        && step.each.is_none()
        && step.paths().next().is_some()
        && !is_prose
        && !clause::questions(goal).is_empty()
}

/// Whether a step is planned as a computation over texts alone, or a search in them, though the goal asks several questions
/// and wants no list of amounts: their answers are read there.
fn looks_answers_up(step: &Step, brief: &Brief, goal: &str) -> bool {
    const COUNTED: &[&str] = &["count", "counts", "lines", "words", "size", "sizes", "times", "letters", "characters"];
    let is_computation = ["query_table", "script", "calculate"].contains(&step.tool.as_str());
    let is_search = step.tool == "search_text" && !speaks_of_lines(goal);
    let is_of_texts = || step.paths().all(|path| path.ends_with('/') || format::holds_text(path));
    let demand = || step.file().and_then(|path| clause::naming(goal, path)).unwrap_or_default();
    (is_computation || is_search)
        && step.each.is_none()
        && step.arguments.is_none()
        && step.needs().is_empty()
        && step.paths().next().is_some()
        && is_of_texts()
        && brief.named.iter().all(|path| format::holds_text(path))
        && clause::questions(goal).len() > 1
        && amount::wanted_of(goal, &demand()).is_none()
        && !word::words(goal).any(|word| COUNTED.contains(&word.as_str()))
}

/// Whether a goal is about the lines of texts, or about marks in them: "all TODO comments".
fn speaks_of_lines(goal: &str) -> bool {
    const LINES: &[&str] =
        &["line", "lines", "comment", "comments", "remark", "remarks", "occurrence", "occurrences", "mark", "marks"];
    let is_form = |word: &str| ["CSV", "JSON", "HTML", "YAML"].contains(&word);
    word::words(goal).any(|word| LINES.contains(&word.as_str()))
        || goal.split(|c: char| !c.is_alphanumeric()).any(|word| word::is_capitals(word) && !is_form(word))
}

/// The folder that all of the sources lie in, if the goal speaks of it and of none of them: which of its documents answers a
/// question is seen when they are read, not from how they begin.
fn whole_folder(from: &[String], goal: &str) -> Option<Vec<String>> {
    let folder = from.first()?.rsplit_once('/')?.0;
    let is_inside = |path: &String| path.starts_with(&format!("{folder}/"));
    let name = folder.rsplit('/').next().unwrap_or(folder);
    let is_meant = clause::names(&goal.to_lowercase(), &name.to_lowercase());
    let is_chosen = |path: &String| clause::names(goal, path.rsplit('/').next().unwrap_or(path));
    (is_meant && from.iter().all(is_inside) && !from.iter().any(is_chosen)).then(|| vec![format!("{folder}/")])
}

/// Steps as they will be carried out. What becomes of a step depends on those before it alone.
///
/// A plan states no results: small models like to guess them, and then believe what they read. A step whose
/// words hold numbers that the goal does not is told to do what the goal asks for, in the goal's words.
fn tidied(mut steps: Vec<Step>, brief: &Brief, first: StepId, goal: &str) -> Vec<Step> {
    let spelled = word::words(goal).filter_map(|word| demand::number(&word)).map(|n| n.to_string());
    let known: Vec<String> = numbers(goal).into_iter().chain(spelled).collect();
    for step in &mut steps {
        let is_guess = numbers(&step.task).iter().any(|number| !known.contains(number));
        if is_guess {
            step.task = match step.file() {
                Some(path) => format!("what the goal wants to have in {path}"),
                None => "what the goal asks to be told".to_owned(),
            };
        }
        add_named_sources(step, brief, goal);
        if is_row_per_document(step, brief, goal) {
            step.tool = "answer".into();
        }
        if (is_guess && asks_documents(step, goal)) || looks_answers_up(step, brief, goal) {
            step.tool = "answer".into();
        }
        if step.tool == "answer" {
            step.from = whole_folder(&step.from, goal).unwrap_or_else(|| std::mem::take(&mut step.from));
        }
        add_named_documents(step, brief);
        let mut seen = std::collections::BTreeSet::new();
        step.from.retain(|source| seen.insert(source.clone()));
    }
    drop_told_by_file(&mut steps, goal);
    drop_answered_twice(&mut steps);
    replace_once(&mut steps, goal);
    // A file per item is made once: a second step would write over what the first one made.
    let mut filled = std::collections::BTreeSet::new();
    steps.retain(|step| !step.target.ends_with("/*") || filled.insert(step.target.clone()));
    steps.retain(|step| {
        step.target != REPLY || step.paths().next().is_some() || !["answer", "write"].contains(&step.tool.as_str())
    });
    renumber(&mut steps, first);
    steps
}

/// Lets the first step that speaks of what is changed do it, where a goal wants a text replaced and no step does; and drops
/// those that would count, by a look at what is there afterwards, what that step tells.
fn replace_once(steps: &mut Vec<Step>, goal: &str) {
    const CHANGED: &[&str] = &["chang", "replac", "swap", "substi", "exchan", "update", "correc"];
    const COUNTED: &[&str] = &["number", "total", "many", "count", "altogether", "sum"];
    let speaks_of_it =
        |step: &Step| word::words(&step.task).any(|word| CHANGED.iter().any(|stem| word.starts_with(stem)));
    let has_folder = |step: &Step| step.paths().next().is_some();
    if !steps.iter().any(|step| step.tool == REPLACE)
        && replacement::is_wanted(goal)
        && let Some(first) = steps.first_mut().filter(|first| has_folder(first) && speaks_of_it(first))
    {
        first.tool = REPLACE.into();
        first.each = None;
    }
    let mut is_done = false;
    steps.retain(|step| {
        let counts = step.target == REPLY && word::words(&step.task).any(|word| COUNTED.contains(&word.as_str()));
        let is_told = is_done && counts && speaks_of_it(step);
        is_done |= step.tool == REPLACE;
        !is_told
    });
}

/// Drops the computations of what is told where a program writes that very amount into a file before: the answer is taken
/// from there, and the two cannot differ.
fn drop_told_by_file(steps: &mut Vec<Step>, goal: &str) {
    let amounts = |step: &Step| {
        let demand = clause::naming(goal, step.file()?)?;
        amount::wanted_of(goal, &demand).filter(|_| step.tool == "script")
    };
    let mut listed: Vec<String> = Vec::new();
    steps.retain(|step| {
        listed.extend(amounts(step).unwrap_or_default());
        let is_listed = listed.iter().any(|name| name.to_lowercase() == bare_task(step));
        !(step.target == REPLY && is_listed && ["query_table", "script", "calculate"].contains(&&*step.tool))
    });
}

/// Drops answers that are to be told where the same ones, from the same documents, are written into a file before: they are
/// told from there.
fn drop_answered_twice(steps: &mut Vec<Step>) {
    let mut written: Vec<(String, Vec<String>)> = Vec::new();
    steps.retain(|step| {
        let own = (bare_task(step), step.from.clone());
        let is_answer = step.tool == "answer" && step.each.is_none();
        let is_again = is_answer && step.target == REPLY && written.contains(&own);
        written.extend((is_answer && step.file().is_some()).then_some(own));
        !is_again
    });
}

/// A step's task without its article.
fn bare_task(step: &Step) -> String {
    step.task.strip_prefix("the ").unwrap_or(&step.task).to_lowercase()
}

/// Of every step, whether anything comes of it: a file, a change, a word to the person, or what such a step needs. Small
/// models like to plan steps that prepare what nobody asks for again, and programs that work on a file once more which a
/// step has made.
fn is_of_use(steps: &[Step]) -> Vec<bool> {
    let mut is_of_use = vec![false; steps.len()];
    for (k, step) in steps.iter().enumerate().rev() {
        let is_once_more = step.tool == "script" && steps[..k].iter().any(|earlier| earlier.file().is_some());
        let acts = (writes_by_itself(&step.tool) || step.tool == REPLACE) && !is_once_more;
        let has_effect = step.target != LATER || acts || ["ask", "goal"].contains(&&*step.tool);
        let is_needed = || (k + 1..steps.len()).any(|next| is_of_use[next] && steps[next].needs().contains(&step.id));
        is_of_use[k] = has_effect || is_needed();
    }
    is_of_use
}

/// The steps of a plan as they will be carried out: those of which something comes, unless nothing would be left. A file
/// that is still `wanted` and that no step writes gets a last `write` step over all results.
pub fn settle(steps: Vec<Step>, brief: &Brief, wanted: &[&str], first: StepId, goal: &str) -> Vec<Step> {
    let mut steps = tidied(steps, brief, first, goal);
    for &path in wanted {
        let written = |step: &Step| step.file() == Some(path) || writes_by_itself(&step.tool);
        if steps.is_empty() || steps.iter().any(written) {
            continue;
        }
        steps.push(Step {
            id: StepId(first.0 + steps.len() as u32),
            target: path.to_owned(),
            task: format!("the content of {path}, as the goal asks for it"),
            tool: "write".into(),
            from: steps.iter().map(|step| step.id.to_string()).collect(),
            each: None,
            form: None,
            arguments: None,
        });
    }
    tell_last(&mut steps, brief, goal);
    steps.extend(untold(&steps, brief, goal));
    let mut kept = is_of_use(&steps).into_iter();
    if kept.clone().any(|is_of_use| is_of_use) {
        steps.retain(|_| kept.next() == Some(true));
        renumber(&mut steps, first);
    }
    steps
}

/// Lets the last step of a plan be told, where it is planned for later, nothing comes later, and the goal asks to be told
/// something that no other step is there for; unless [`untold`] knows better what to do for that.
fn tell_last(steps: &mut Vec<Step>, brief: &Brief, goal: &str) {
    let is_told = steps.iter().any(|step| step.target == REPLY);
    if is_told || clause::told(goal, &brief.outputs()).is_none() {
        return;
    }
    let finds_out = |tool: &str| ["query_table", "script", "answer", "calculate"].contains(&tool);
    let last = steps.pop_if(|last| last.target == LATER && finds_out(&last.tool));
    if let Some(last) = last.filter(|_| untold(steps, brief, goal).is_none()) {
        steps.push(Step { target: REPLY.into(), ..last });
    }
}

/// A last step for what the goal asks to be told and no step is there to tell, from the rows that the last computation
/// gives or chooses from. Without it the answer would have to be guessed.
fn untold(steps: &[Step], brief: &Brief, goal: &str) -> Option<Step> {
    const FIGURES: &[&str] = &[
        "total",
        "sum",
        "together",
        "altogether",
        "average",
        "mean",
        "many",
        "number",
        "count",
        "most",
        "least",
        "much",
    ];
    let told = clause::told(goal, &brief.outputs())?;
    let words: Vec<String> = word::words(&told).collect();
    let is_figure = word::has(&words, FIGURES) || words.iter().any(|word| word::is_superlative(word));
    let of = steps.iter().rfind(|step| step.file().is_some())?;
    let is_of_rows = matches!(of.file().and_then(format::detect), Some(Format::Csv | Format::Tsv));
    let from = match of.tool.as_str() {
        // What is told of rows that were chosen may stand in columns that were not.
        "query_table" if !word::has(&words, &["why", "explain", "reason", "because"]) => of.from.clone(),
        "script" if is_of_rows && is_figure => Vec::new(),
        _ => return None,
    };
    let is_told = steps.iter().any(|step| step.target == REPLY);
    (!is_told).then(|| Step {
        id: StepId(steps[0].id.0 + steps.len() as u32),
        target: REPLY.into(),
        task: told,
        tool: "query_table".into(),
        from: from.into_iter().chain([of.id.to_string()]).collect(),
        each: None,
        form: None,
        arguments: None,
    })
}

/// Follows a plan while it is being written, and gives out its steps as they are whole.
#[derive(Debug)]
pub struct Sketch<'a> {
    first: StepId,
    brief: &'a Brief,
    goal: &'a str,
    /// Bytes of the text up to the last whole step.
    n_read: usize,
    n_given: usize,
}

impl<'a> Sketch<'a> {
    /// Of a plan whose steps are numbered from `first`.
    pub fn new(first: StepId, brief: &'a Brief, goal: &'a str) -> Self {
        Self { first, brief, goal, n_read: 0, n_given: 0 }
    }

    /// The steps that became whole since the last call, as [`settle`] will leave them; `text` is the plan so far. A step
    /// that only later ones can need is held back, with all that follow it, until one is there that does.
    pub fn take(&mut self, text: &str) -> Vec<Step> {
        let Some(end) = text.rfind('}').map(|brace| brace + 1).filter(|end| *end > self.n_read) else {
            return Vec::new();
        };
        // A brace inside a word or inside arguments ends no step: then this is no plan.
        let whole = format!("{}]}}", &text[..end]);
        let Ok(steps) = parse(&whole, self.first).or_else(|_| parse(&text[..end], self.first)) else {
            return Vec::new();
        };
        self.n_read = end;
        let mut steps = tidied(steps, self.brief, self.first, self.goal);
        steps.truncate(is_of_use(&steps).iter().take_while(|is_of_use| **is_of_use).count());
        let fresh = steps.split_off(self.n_given.min(steps.len()));
        self.n_given += fresh.len();
        fresh
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orchestrate::brief;

    /// The steps of a plan for a goal, where these files are there.
    fn settled_for(goal: &str, files: &[&str], plan: &str) -> Vec<Step> {
        let files: Vec<String> = files.iter().map(|&path| path.to_owned()).collect();
        let brief = brief::read(goal, &files);
        settle(parse(plan, StepId(1)).unwrap(), &brief, &brief.outputs(), StepId(1), goal)
    }

    /// Byte by byte: where how many steps were given out, and the whole plan.
    fn followed(text: &str) -> (Vec<(usize, usize)>, Vec<String>) {
        let whole = settle(parse(text, StepId(4)).unwrap(), &Brief::default(), &[], StepId(4), "goal");
        let brief = Brief::default();
        let mut sketch = Sketch::new(StepId(4), &brief, "goal");
        let mut given = Vec::new();
        for end in 0..=text.len() {
            let steps = sketch.take(&text[..end]);
            if !steps.is_empty() {
                given.push((end, steps.len()));
            }
            assert!(steps.iter().all(|step| whole.contains(step)), "{steps:?}");
        }
        assert_eq!(sketch.take(text), []);
        (given, whole.iter().map(|step| format!("{} {} {:?}", step.id, step.target, step.from)).collect())
    }

    #[test]
    fn steps_are_given_out_as_their_objects_close() {
        let text = r#"{"steps":[{"for":"a.md","do":"a } b","tool":"answer","from":["a.md"]},{"for":"reply","do":"no file","tool":"write","from":[]},{"for":"x.md","do":"it","tool":"script","from":["$1"],"arguments":{"code":"{}"}}]}"#;
        let ends: Vec<usize> =
            [r#"["a.md"]}"#, r#"{"code":"{}"}}"#].map(|end| text.find(end).unwrap() + end.len()).to_vec();
        assert_eq!(followed(text).0, [(ends[0], 1), (ends[1], 1)]);
    }

    #[test]
    fn a_file_that_the_goal_names_for_a_result_is_read_for_it() {
        let files = ["flats.csv", "total.txt", "other.csv"];
        let goal = "Share the total in total.txt by the area in flats.csv and write it to costs.csv.";
        let settled = |tool: &str, from: &str| {
            let text = format!(r#"{{"steps":[{{"for":"costs.csv","do":"costs","tool":"{tool}","from":[{from}]}}]}}"#);
            let steps = settled_for(goal, &files, &text);
            format!("{} {}", steps[0].tool, steps[0].from.join(" "))
        };
        assert_eq!(settled("query_table", "\"flats.csv\""), "script flats.csv total.txt");
        assert_eq!(settled("query_table", "\"total.txt\""), "query_table total.txt flats.csv");
        assert_eq!(settled("script", "\"flats.csv\",\"total.txt\""), "script flats.csv total.txt");
        assert_eq!(settled("write", "\"flats.csv\""), "write flats.csv");
        assert_eq!(settled("query_table", "\"other.csv\""), "query_table other.csv");
    }

    #[test]
    fn questions_are_not_answered_from_their_list_alone() {
        let files = ["asked.txt", "guide.md", "other.md"];
        let goal = "Their questions are in asked.txt, all stands in guide.md. Write the replies to r.md.";
        let text = r#"{"steps":[{"for":"r.md","do":"replies","tool":"answer","from":["asked.txt"]}]}"#;
        let steps = settled_for(goal, &files, text);
        assert_eq!(steps[0].from, ["asked.txt", "guide.md"]);
    }

    #[test]
    fn an_amount_that_a_file_lists_is_told_from_there() {
        let goal = "Write bill.txt with the fee, the VAT and the total, one line each. Then tell me the total.";
        let n_steps = |tool: &str, task: &str| {
            let text = format!(
                r#"{{"steps":[{{"for":"bill.txt","do":"fee, VAT, total","tool":"{tool}","from":["a.csv"]}},{{"for":"reply","do":"{task}","tool":"query_table","from":["a.csv"]}}]}}"#
            );
            settled_for(goal, &[], &text).len()
        };
        assert_eq!([n_steps("script", "the total"), n_steps("script", "the number of rows")], [1, 2]);
        assert_eq!(n_steps("write", "the total"), 2, "only a program fills such a list in");
    }

    #[test]
    fn what_is_answered_in_a_file_is_told_from_there() {
        let goal = "What does it cost, and who pays? Write the answers to a.md.";
        let n_steps = |task: &str, from: &str| {
            let text = format!(
                r#"{{"steps":[{{"for":"a.md","do":"cost and payer","tool":"answer","from":["docs/"]}},{{"for":"reply","do":"{task}","tool":"answer","from":["{from}"]}}]}}"#
            );
            settled_for(goal, &[], &text).len()
        };
        assert_eq!(n_steps("the cost and payer", "docs/"), 1);
        assert_eq!([n_steps("the date", "docs/"), n_steps("cost and payer", "other/")], [2, 2]);
    }

    #[test]
    fn a_row_per_document_is_read_from_it() {
        let settled = |goal: &str, from: &str| {
            let text = format!(r#"{{"steps":[{{"for":"o.csv","do":"rows","tool":"list_files","from":["{from}"]}}]}}"#);
            settled_for(goal, &[], &text).remove(0).tool
        };
        let goal = "For each mail in inbox write who sent it to o.csv with the columns file and sender.";
        assert_eq!(
            (settled(goal, "inbox/"), settled(goal, "mails.csv")),
            ("answer".to_owned(), "list_files".to_owned())
        );
        assert_eq!(settled(goal, "mail.txt"), "list_files", "one document is none of many");
        assert_eq!(settled("List the path of every file in inbox in o.csv.", "inbox/"), "list_files");
        let counted = "Count the lines of each file in inbox and write them to o.csv with the columns file and lines.";
        assert_eq!(settled(counted, "inbox/"), "list_files");
    }

    #[test]
    fn questions_that_were_guessed_are_asked_of_the_documents() {
        let settled = |goal: &str| {
            let text =
                r#"{"steps":[{"for":"b.md","do":"deposit 150, key: Ole","tool":"write","from":["rules/boat.md"]}]}"#;
            let steps = settle(parse(text, StepId(1)).unwrap(), &Brief::default(), &[], StepId(1), goal);
            (steps[0].tool.clone(), steps[0].from.clone())
        };
        let asked = "According to the files in rules, how much is the deposit, and who has the key? Put it into b.md.";
        assert_eq!(settled(asked), ("answer".to_owned(), vec!["rules/".to_owned()]));
        assert_eq!(settled("Who has the key? Write a letter about it to b.md.").0, "write");
    }

    #[test]
    fn questions_about_texts_are_looked_up_and_not_computed() {
        let planned = |tool: &str, goal: &str, from: &str| {
            let text = format!(r#"{{"steps":[{{"for":"b.md","do":"the cost","tool":"{tool}","from":["{from}"]}}]}}"#);
            settled_for(goal, &["stock.csv"], &text).remove(0).tool
        };
        let settled = |goal: &str, from: &str| planned("script", goal, from);
        let asked = "What does the boat cost, and who has the key? Put it into b.md.";
        assert_eq!(settled(asked, "rules/boat.md"), "answer");
        assert_eq!(planned("search_text", asked, "rules/"), "answer");
        let marks = "Gather all XXX marks in b.md, saying which file it is and what it says. How many are there?";
        assert_eq!(planned("search_text", marks, "rules/"), "search_text");
        assert_eq!(settled(asked, "boats.csv"), "script");
        assert_eq!(settled("What does the boat cost? Put it into b.md.", "rules/boat.md"), "script");
        assert_eq!(settled("How many lines, and how many words? Put it into b.md.", "rules/boat.md"), "script");
        let of_table = "What do all boats of stock.csv cost, and who has the key? Put it into b.md.";
        assert_eq!(settled(of_table, "rules/boat.md"), "script");
    }

    #[test]
    fn a_last_step_for_later_is_told_where_something_is_to_be_told() {
        let plan = r#"{"steps":[{"for":"g.csv","do":"the good rows","tool":"query_table","from":["a.csv"]},{"for":"later","do":"their mean","tool":"script","from":["$1"]}]}"#;
        let goal = "Put the good rows into g.csv. Work out their mean and report it to me.";
        let targets =
            |goal: &str| settled_for(goal, &["a.csv"], plan).into_iter().map(|step| step.target).collect::<Vec<_>>();
        assert_eq!(targets(goal), ["g.csv", "reply"]);
        assert_eq!(targets("Put the good rows into g.csv."), ["g.csv"]);
    }

    #[test]
    fn a_figure_that_is_to_be_told_gets_a_step() {
        let goal = "Compute the bill of each car and write them to bills.csv. Tell me what they pay together.";
        let brief = brief::read(goal, &[]);
        let settled = |tool: &str, goal: &str| {
            let text = format!(r#"{{"steps":[{{"for":"bills.csv","do":"bills","tool":"{tool}","from":[]}}]}}"#);
            settle(parse(&text, StepId(3)).unwrap(), &brief, &brief.outputs(), StepId(3), goal)
        };
        let steps = settled("script", goal);
        assert_eq!((steps.len(), steps[1].id, &steps[1].from[..]), (2, StepId(4), &["$3".to_owned()][..]));
        assert_eq!(settled("query_table", "Choose one for bills.csv and tell me when it leaves.").len(), 2);
        assert_eq!(settled("write", goal).len(), 1, "what was written is no table");
        assert_eq!(settled("script", "Write the bills to bills.csv and tell me why.").len(), 1);
    }

    #[test]
    fn a_step_that_nothing_comes_of_is_dropped_and_none_is_begun_too_early() {
        let step = |target: &str, tool: &str, from: &str| {
            format!(r#"{{"for":"{target}","do":"this one","tool":"{tool}","from":[{from}]}}"#)
        };
        let plan = |steps: &[String]| format!(r#"{{"steps":[{}]}}"#, steps.join(","));
        let used = [step("later", "answer", "\"a.md\""), step("x.md", "script", "\"$4\"")];
        let (given, whole) = followed(&plan(&used));
        assert_eq!(given, [(plan(&used).len() - 2, 2)], "both, when the second is whole");
        assert_eq!(whole, ["$4 later [\"a.md\"]", "$5 x.md [\"$4\"]"]);
        let unused =
            [step("later", "answer", "\"a.md\""), step("x.md", "script", ""), step("later", "script", "\"$4\"")];
        let (given, whole) = followed(&plan(&unused));
        assert_eq!((given, whole), (vec![], vec!["$4 x.md []".to_owned()]));
        let nothing_else = [step("later", "answer", "\"a.md\"")];
        assert_eq!(followed(&plan(&nothing_else)).1, ["$4 later [\"a.md\"]"], "better than no step");
    }
}
