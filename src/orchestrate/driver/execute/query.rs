//! `query_table`: the model writes one SELECT under a grammar of the real columns; several candidates are
//! decoded in one batch, run, and compared by their results.

use std::collections::BTreeSet;
use std::time::Instant;

use serde_json::json;

use super::call::all;
use super::{Attempt, Miss, sql, words_of};
use crate::orchestrate::brief::Brief;
use crate::orchestrate::double::{self, Wish};
use crate::orchestrate::driver::Run;
use crate::orchestrate::driver::mind::Call;
use crate::orchestrate::driver::tool_deadline;
use crate::orchestrate::limit::{self, Limit};
use crate::orchestrate::machine::TRIES_PLANNED;
use crate::orchestrate::mechanism::Mechanism;
use crate::orchestrate::plan::Step;
use crate::orchestrate::word::{has, is_superlative, words};
use crate::orchestrate::{clause, damage, demand, ground, survey};
use crate::tool::format::Format;
use crate::tool::query::{self, ColumnInfo, Database, Shape, TableInfo, quote};
use crate::tool::table::ColumnType;
use crate::tool::{Error, Output, Table, Value, table};
use crate::types::Grammar;

/// Candidates per try: one greedy, the others warm.
const N_CANDIDATES: usize = 3;

/// Writes and runs the query of a step.
pub async fn query(attempt: &Attempt<'_>) -> Result<Output, Miss> {
    let (database, task, asked) = (open(attempt)?, attempt.task(), attempt.asked());
    let is_saved = attempt.step.file().is_some();
    if let [table] = database.tables()
        && table.n_bad > 0
        && !wants_rows(attempt)
        && damage::counts_damaged(&task)
    {
        return run(attempt, &database, &format!("SELECT COUNT(*) AS damaged FROM {};", quote(&table.bad_name())));
    }
    let is_of_rows = is_saved && database.tables().len() == 1;
    let sorted_out = if is_of_rows { sorted_out(attempt, &database) } else { None };
    if let Some(output) = sorted_out.or_else(|| without_doubles(attempt, &database, &task)) {
        return output;
    }
    let (may_group, of_damaged) = (is_saved || may_group(&task), damage::speaks_of_reasons(&task));
    let grammar = if is_of_rows && damage::keeps_rows(&task) {
        query::grammar_of_whole_rows(database.tables())
    } else {
        let may_limit = !(is_saved && speaks_of_groups(&task)) && asks_for_few(&asked);
        let has_damage = database.tables().iter().any(|table| table.n_bad > 0);
        let may_filter = !(has_damage && damage::computes_over_sound(&task));
        query::grammar_of(database.tables(), Shape { may_limit, may_group, may_filter, of_damaged })
    };
    let schema = format!("{}{}", schema(&database, of_damaged), counting(database.tables()));
    let said = format!("{} {task}", attempt.journal.run().goal);
    let known = format!("{said} {schema}");
    let queries = candidates(attempt, grammar, schema).await?;
    let (deadline, names) = (tool_deadline(attempt.journal.run()), attempt.names());
    let mut tried: Vec<Tried> = Vec::new();
    let categories = categories(database.tables());
    let limits = limit::limits(&asked);
    let is_of_extreme = speaks_of_extreme(&task);
    let is_choice = asks_for_few(&asked) && attempt.number <= TRIES_PLANNED && attempt.has(Mechanism::Grounding);
    for sql in queries {
        let sql = sql::as_meant(&sql, may_group);
        let ungrouped = sql::without_unnamed_groups(&sql).filter(|_| !is_of_extreme);
        let sql = ungrouped.unwrap_or(sql);
        let is_mended = attempt.number == 1 && attempt.has(Mechanism::Grounding);
        let mended = sql::without_conditions_of_nobody(&sql, &said, &categories).filter(|_| is_mended);
        let sql = limit::as_strict(&mended.unwrap_or(sql), &limits);
        if let Some(same) = tried.iter_mut().find(|tried| tried.sql == sql) {
            same.n_same += 1;
            continue;
        }
        let began = Instant::now();
        let mut result = database.run(&sql, deadline).and_then(|output| fits(attempt, output));
        if let Ok(Output { value: Value::Table(table), .. }) = &mut result {
            count_damaged(table, &sql, &database);
            name_files(table, &database);
            table.columns = sql::column_names(&table.columns);
        }
        let result = result.and_then(|output| attempt.about(&names, &sql, output));
        let result = result.and_then(|output| grounded(attempt, &sql, &said, &known, output));
        let result = result.and_then(|output| if is_choice { within(&sql, &limits, output) } else { Ok(output) });
        attempt.record("query_table", json!({ "sql": sql }), &result, began);
        tried.push(Tried { sql, n_same: 1, result });
    }
    let mut output = choose(tried, &task, &attempt.journal.run().goal)?;
    if demand::ignores_case(&attempt.journal.run().goal) && demand::wants_small_letters(&asked) {
        in_small_letters(&mut output.value);
    }
    if let Some(digits) = demand::decimals(&format!("{} {}", attempt.step.task, attempt.journal.run().goal)) {
        rounded(&mut output.value, digits);
    }
    Ok(output)
}

/// Whether the step's file is one of rows.
fn wants_rows(attempt: &Attempt<'_>) -> bool {
    let form = attempt.step.file().map(|path| attempt.step.form_for(path));
    matches!(form, Some(Format::Csv | Format::Tsv))
}

/// The damaged rows of the step's table, as they stand in its file, or all others, if the step is for nothing else: no
/// model is needed to tell which they are.
fn sorted_out(attempt: &Attempt<'_>, database: &Database) -> Option<Result<Output, Miss>> {
    let table = database.tables().first().filter(|table| table.n_bad > 0)?;
    let run_of = attempt.journal.run();
    let loaded = || table::load(&run_of.workspace, &table.path, &survey::options(&run_of.goal)).ok();
    let cells = || loaded().map_or_else(BTreeSet::new, |loaded| words_of(&loaded.table));
    let sql = match wish(run_of, &attempt.brief(), attempt.step, &table.path, &cells())? {
        Rows::Damaged => format!("SELECT text FROM {} ORDER BY line;", quote(&table.bad_name())),
        Rows::Sound => format!("SELECT * FROM {};", quote(&table.name)),
    };
    Some(run(attempt, database, &sql))
}

/// Some rows of a table with damaged ones.
pub enum Rows {
    /// Those, as they stand in its file.
    Damaged,
    /// All others.
    Sound,
}

/// The rows that the goal's own words for the step's file ask for, whatever the planner made of them, or else the step's.
/// `cells` are the words of the table that stands in `source`.
pub fn wish(run: &Run, brief: &Brief, step: &Step, source: &str, cells: &BTreeSet<String>) -> Option<Rows> {
    let path = step.file().filter(|_| run.options.has(Mechanism::OwnWords));
    if let Some(path) = path
        && let Some(demand) = clause::naming(&run.goal, path)
    {
        let paths = format!("{path} {source}");
        let rows = |own: &str| {
            if damage::wants_damaged(own) || damage::wants_left_out(own, &run.goal) {
                return Some(Rows::Damaged);
            }
            damage::wants_rest(own, &run.goal, &paths, cells).then_some(Rows::Sound)
        };
        if let Some(rows) = clause::beside(&demand, path, &brief.outputs()).into_iter().find_map(rows) {
            return Some(rows);
        }
    }
    if damage::wants_damaged(&step.task) {
        return Some(Rows::Damaged);
    }
    damage::wants_sound(&step.task, source, cells).then_some(Rows::Sound)
}

fn run(attempt: &Attempt<'_>, database: &Database, sql: &str) -> Result<Output, Miss> {
    let began = Instant::now();
    let result = database.run(sql, tool_deadline(attempt.journal.run()));
    attempt.record("query_table", json!({ "sql": sql }), &result, began);
    Ok(result?)
}

/// The rows of the step's table without those that repeat an earlier one, or how many do, if that is what the step is for.
fn without_doubles(attempt: &Attempt<'_>, database: &Database, task: &str) -> Option<Result<Output, Miss>> {
    let [table] = database.tables() else { return None };
    let columns: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
    let (wish, first) = double::first_of_same(&attempt.journal.run().goal, task, &columns)?;
    // A row without the value by which rows are the same is the same as none.
    let key = |name: &String| match (first.by.is_empty(), first.ignores_case) {
        (true, _) => format!("COALESCE({}, '')", quote(name)),
        (false, true) => format!("LOWER(TRIM({}))", quote(name)),
        (false, false) => quote(name),
    };
    let keys: Vec<String> = if first.by.is_empty() { &columns } else { &first.by }.iter().map(key).collect();
    let (row, name) = (keys.join(" || CHAR(31) || "), quote(&table.name));
    if wish == Wish::Count {
        let sql = format!("SELECT COUNT({row}) - COUNT(DISTINCT {row}) AS dropped FROM {name};");
        return Some(run(attempt, database, &sql));
    }
    attempt.step.file()?;
    let sql = format!(
        "SELECT * FROM {name} WHERE {row} IS NULL OR rowid IN (SELECT MIN(rowid) FROM {name} GROUP BY {row}) ORDER BY rowid;"
    );
    let told = |mut output: Output| {
        if let Value::Table(kept) = &output.value {
            let n_dropped = table.n_rows - kept.rows.len().min(table.n_rows);
            let by = if first.by.is_empty() { "all columns".to_owned() } else { first.by.join(", ") };
            output.notes.push(format!(
                "{n_dropped} of {} rows dropped, which have the same {by} as an earlier row",
                table.n_rows
            ));
        }
        output
    };
    Some(run(attempt, database, &sql).map(told))
}

/// The columns of a few names, more than two, by which rows are told apart: nobody means one of them without saying so.
fn categories(tables: &[TableInfo]) -> BTreeSet<String> {
    let is_category = |column: &&ColumnInfo| column.kind == ColumnType::Text && column.examples.len() > 2;
    let columns = tables.iter().flat_map(|table| &table.columns).filter(is_category);
    columns.map(|column| column.name.to_lowercase()).collect()
}

/// Gives a figure that counts damaged rows its value, where the query did not look at them.
fn count_damaged(table: &mut Table, sql: &str, database: &Database) {
    let mut damaged = database.tables().iter().filter(|table| table.n_bad > 0);
    let (Some(of), None) = (damaged.next(), damaged.next()) else { return };
    if table.rows.len() != 1 || sql.to_lowercase().contains(&of.bad_name().to_lowercase()) {
        return;
    }
    for (name, cell) in table.columns.iter().zip(&mut table.rows[0]) {
        if damage::is_count_of_damaged(name) && (cell.is_i64() || cell.is_null()) {
            *cell = json!(of.n_bad);
        }
    }
}

/// Puts the file's name in place of a table's, where a query gives that as a value: the names of tables are ours.
fn name_files(table: &mut Table, database: &Database) {
    let path = |text: &str| {
        let named = database.tables().iter().find(|info| !info.path.is_empty() && info.name.eq_ignore_ascii_case(text));
        named
            .filter(|_| text.contains('_') || text.contains(|c: char| c.is_ascii_digit()))
            .map(|info| info.path.clone())
    };
    let files: Vec<&String> = database.tables().iter().map(|info| &info.path).collect();
    let only = if let [file] = files.as_slice() { Some((*file).clone()).filter(|file| !file.is_empty()) } else { None };
    let is_of_file =
        |name: &String| ["file", "file_name", "filename", "source"].contains(&name.to_lowercase().as_str());
    let is_own = |name: &str| database.columns().iter().any(|(_, column)| *column == name);
    let of_file: Vec<bool> = table.columns.iter().map(|name| is_of_file(name) && !is_own(name)).collect();
    for (cell, of_file) in table.rows.iter_mut().flat_map(|row| row.iter_mut().zip(&of_file)) {
        let named = cell.as_str().and_then(path).or_else(|| only.clone().filter(|_| *of_file && cell.is_string()));
        if let Some(path) = named {
            *cell = json!(path);
        }
    }
}

/// A result, unless it was computed with a figure or compared with a name that was made up; later tries let that pass.
fn grounded(attempt: &Attempt<'_>, sql: &str, said: &str, known: &str, output: Output) -> Result<Output, Error> {
    if attempt.number == 1
        && attempt.has(Mechanism::Grounding)
        && let Some(what) = sql::condition_of_nobody(sql, said)
    {
        return Err(Error::Failed(what));
    }
    let made_up = ground::made_up(sql, known);
    if made_up.is_empty() || attempt.number > TRIES_PLANNED || !attempt.has(Mechanism::Grounding) {
        return Ok(output);
    }
    Err(Error::Failed(format!(
        "the query computes with {}, which stands neither in the goal nor in the tables",
        made_up.join(" and ")
    )))
}

/// What was chosen, unless a limit that the goal states was forgotten.
fn within(sql: &str, limits: &[Limit], output: Output) -> Result<Output, Error> {
    match limit::left_out(sql, limits) {
        Some(limit) => Err(Error::Failed(format!(
            "the query leaves out a condition: the goal states the limit {}; add it to WHERE",
            limit.value
        ))),
        None => Ok(output),
    }
}

/// A result in which a word stands in two spellings did not treat them as the same, where the goal asks for that.
fn fits(attempt: &Attempt<'_>, output: Output) -> Result<Output, Error> {
    let asked = format!("{} {}", attempt.step.task, attempt.journal.run().goal);
    match &output.value {
        Value::Table(table) if demand::ignores_case(&asked) => match two_spellings(table) {
            Some((one, other)) => Err(Error::Failed(format!(
                "the result has both `{one}` and `{other}`, which are to be treated as the same; group by LOWER(…)"
            ))),
            None => Ok(output),
        },
        _ => Ok(output),
    }
}

/// Two cells of a column that differ in upper and lower case only.
fn two_spellings(table: &Table) -> Option<(String, String)> {
    (0..table.columns.len()).find_map(|column| {
        let mut seen = std::collections::BTreeMap::new();
        table.rows.iter().filter_map(|row| row.get(column)?.as_str()).find_map(|cell| {
            let first = seen.entry(cell.to_lowercase()).or_insert(cell);
            (*first != cell).then(|| ((*first).to_owned(), cell.to_owned()))
        })
    })
}

fn in_small_letters(value: &mut Value) {
    let Value::Table(table) = value else { return };
    for cell in table.rows.iter_mut().flatten() {
        if let serde_json::Value::String(text) = cell {
            *text = text.to_lowercase();
        }
    }
}

/// Rounds every real number of a table; half away from zero, as people do.
fn rounded(value: &mut Value, digits: i32) {
    let Value::Table(table) = value else { return };
    for cell in table.rows.iter_mut().flatten() {
        if let Some(number) = cell.as_f64().filter(|_| cell.is_f64()) {
            let scale = 10f64.powi(digits);
            *cell = json!((number * scale * (1.0 + f64::EPSILON)).round() / scale);
        }
    }
}

/// The result that most candidates agree on, of those that compare with no name that was made up, if there are any; among
/// equals one without groups that nobody asked for, then the earliest, which the greedy one leads.
fn choose(tried: Vec<Tried>, task: &str, goal: &str) -> Result<Output, Miss> {
    let known = format!("{goal} {task}").to_lowercase();
    let votes = |value: &Value| {
        let agree =
            tried.iter().filter(|tried| tried.result.as_ref().is_ok_and(|output| is_same(&output.value, value)));
        agree.map(|tried| tried.n_same).sum::<usize>()
    };
    let mut best: Option<(&Output, (bool, usize, bool))> = None;
    for Tried { sql, result, .. } in &tried {
        let Ok(output) = result else { continue };
        let n_votes = if is_empty(&output.value) { 0 } else { votes(&output.value) };
        let is_asked = may_group(task) || !sql.to_uppercase().contains("GROUP BY");
        let rank = (n_votes > 0 && !sql::names_unknown(sql, &known), n_votes, is_asked);
        if best.is_none_or(|(_, most)| rank > most) {
            best = Some((output, rank));
        }
    }
    match best {
        Some((output, (_, n_votes, _))) if n_votes > 0 => Ok(output.clone()),
        Some(_) => Err(Miss::new("the query gave no rows", tried[0].sql.clone())),
        None => {
            let error = tried.iter().find_map(|tried| tried.result.as_ref().err()).map(Error::to_string);
            let sql = tried.first().map(|tried| tried.sql.clone()).unwrap_or_default();
            Err(Miss::new(error.unwrap_or_else(|| "no query was written".into()), sql))
        }
    }
}

/// Whether two results say the same, whatever their columns are called.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Table(one), Value::Table(other)) => one.rows == other.rows,
        _ => one == other,
    }
}

/// A query that was run, with how many candidates wrote it.
struct Tried {
    sql: String,
    n_same: usize,
    result: Result<Output, Error>,
}

/// Whether a step's words ask for the largest of several figures, or the smallest.
fn speaks_of_extreme(task: &str) -> bool {
    words(task).any(|word| ["most", "least", "top", "maximum", "minimum"].contains(&&*word) || is_superlative(&word))
}

/// Whether a step's words can mean groups of rows.
fn may_group(task: &str) -> bool {
    const GROUPS: &[&str] =
        &["per", "each", "every", "by", "group", "for", "which", "who", "whoever", "whom", "whose", "most", "least"];
    words(task).any(|word| {
        GROUPS.contains(&word.as_str()) || is_superlative(&word) || (word.ends_with('s') && word.starts_with("total"))
    })
}

/// Whether a step's words can mean some rows of many: they say how many, or which by a superlative.
fn asks_for_few(asked: &str) -> bool {
    const FEW: &[&str] =
        &["most", "least", "top", "first", "last", "best", "worst", "which", "who", "less", "pick", "choose"];
    words(asked).any(|word| FEW.contains(&word.as_str()) || word.ends_with("est") || demand::number(&word).is_some())
}

/// The tables for the prompt, with those of damaged rows only where they are of interest.
fn schema(database: &Database, of_damaged: bool) -> String {
    let is_shown = |line: &&str| of_damaged || !database.tables().iter().any(|table| line.contains(&table.bad_name()));
    database.schema_text().lines().filter(is_shown).map(|line| format!("{line}\n")).collect()
}

/// What a column of counts means, which models take for nothing but a column.
fn counting(tables: &[TableInfo]) -> String {
    const COUNTS: &[&str] = &["count", "quantity", "qty", "pieces", "copies", "units"];
    let mut text = String::new();
    for table in tables {
        let counts = table.columns.iter().find(|column| COUNTS.contains(&column.name.to_lowercase().as_str()));
        if let Some(column) = counts {
            let (table, column) = (&table.name, &column.name);
            text.push_str(&format!(
                "-- A row of {table} stands for as many as its {column}: SUM({column}) counts them.\n"
            ));
        }
    }
    text
}

/// Whether the step asks for a row per group, so that its result may not be cut to a few rows.
fn speaks_of_groups(task: &str) -> bool {
    const UNITS: &[&str] = &["night", "person", "piece", "unit", "head", "hour", "kg"];
    let words: Vec<String> = words(task).collect();
    // "300 euro per night" is a price.
    let is_of_price = |i: usize| {
        let before = &words[i.saturating_sub(2)..i];
        let is_rate = || {
            has(before, &["price", "rate", "fee"])
                && words.get(i + 1).is_some_and(|next| UNITS.contains(&next.as_str()))
        };
        before.iter().any(|word| demand::number(word).is_some()) || is_rate()
    };
    let begins = |i: usize, word: &str| match word {
        "per" | "each" => !is_of_price(i),
        _ => ["every", "totals", "counts", "averages"].contains(&word),
    };
    // "with the largest at the top" is an order.
    let is_few = |i: usize| match words[i].as_str() {
        "top" => !(i > 1 && words[i - 1] == "the" && ["at", "on"].contains(&words[i - 2].as_str())),
        word => ["only", "which", "best", "worst"].contains(&word),
    };
    words.iter().enumerate().any(|(i, word)| begins(i, word)) && !(0..words.len()).any(is_few)
}

/// Whether a result says nothing: it has no rows, or nothing stands in them.
fn is_empty(value: &Value) -> bool {
    matches!(value, Value::Table(table) if table.rows.iter().flatten().all(serde_json::Value::is_null))
}

/// The step's tables: files, and results of earlier steps under the names `result_1`, `result_2`, ….
fn open(attempt: &Attempt<'_>) -> Result<Database, Miss> {
    let files = attempt.tables()?;
    let options = survey::options(&attempt.journal.run().goal);
    let mut database = Database::open(&attempt.journal.run().workspace, &files, &options)?;
    for (name, value) in attempt.results() {
        if let Value::Table(rows) = value {
            let name = format!("result_{}", name.trim_start_matches('$'));
            database.add(&name, "", table::Loaded::from_values(rows.clone()))?;
        }
    }
    if database.tables().is_empty() {
        return Err(Miss::new("none of the step's inputs holds a table", ""));
    }
    Ok(database)
}

async fn candidates(attempt: &Attempt<'_>, grammar: String, schema: String) -> Result<Vec<String>, Miss> {
    let best = clause::best(&attempt.journal.run().goal).filter(|_| asks_for_few(&attempt.asked()));
    let best = best.map_or_else(String::new, |best| format!("\nOf the rows that fit, this decides: {best}"));
    let text = format!(
        "Tables (damaged rows are left out of them already):\n{schema}\n{}{}{best}\nWrite the one SQLite query that gives exactly the result of this step: only the columns that are wanted, with the filters, grouping, order and rounding that the goal states for it; no LIMIT unless a number of rows is asked for.",
        attempt.failures(),
        attempt.asked(),
    );
    let messages = attempt.focus("You write correct SQLite queries.", text);
    let calls = (0..attempt.width(N_CANDIDATES)).map(|candidate| Call {
        purpose: "query",
        step: Some(attempt.step.id),
        messages: messages.clone(),
        prefill: "```sql\n".into(),
        grammar: Some(Grammar::Lark(grammar.clone())),
        sampling: attempt.sampling(candidate),
        stop: Vec::new(),
        max_tokens: 300,
    });
    let mut queries = Vec::new();
    for reply in all(attempt.journal.run().mind.as_ref(), calls.collect()).await {
        let reply = reply?;
        attempt.said("query", &reply);
        queries.push(reply.text.trim().to_owned());
    }
    Ok(queries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tables_that_are_told_are_those_of_files() {
        let mut database = Database::empty().unwrap();
        let rows = Table { columns: vec!["n".into()], rows: vec![vec![json!(1)]] };
        database.add("food_2025_10", "in/food-2025-10.csv", table::Loaded::from_values(rows)).unwrap();
        let mut told = Table {
            columns: ["kg", "of", "file"].map(str::to_owned).to_vec(),
            rows: vec![
                vec![json!(5), json!("food_2025_10"), json!("food.csv")],
                vec![json!(2), json!("Other"), json!("october")],
            ],
        };
        name_files(&mut told, &database);
        let path = "in/food-2025-10.csv";
        assert_eq!(told.rows[0][1..], [json!(path), json!(path)]);
        assert_eq!(told.rows[1][1..], [json!("Other"), json!(path)], "there is only one file that it can be");
        let mut value = Value::Table(told);
        in_small_letters(&mut value);
        assert!(matches!(&value, Value::Table(table) if table.rows[1][1] == "other"));
    }

    #[test]
    fn candidates_that_are_the_same_vote_each() {
        let tried = |sql: &str, n_same: usize, n: i64| Tried {
            sql: sql.to_owned(),
            n_same,
            result: Ok(Value::Table(Table { columns: vec!["n".into()], rows: vec![vec![json!(n)]] }).into()),
        };
        let mut renamed = tried("SELECT 3", 1, 96);
        let table = Table { columns: vec!["other".into()], rows: vec![vec![json!(96)]] };
        renamed.result = Ok(Value::Table(table).into());
        let three = vec![tried("SELECT 1", 1, 4), tried("SELECT 2", 1, 96), renamed];
        let chosen = choose(three, "stays", "stays").unwrap();
        assert!(matches!(chosen.value, Value::Table(table) if table.rows[0][0] == 96), "under two names");
        let chosen = choose(vec![tried("SELECT 1", 1, 4), tried("SELECT 2", 2, 96)], "stays", "stays").unwrap();
        assert!(matches!(chosen.value, Value::Table(table) if table.rows[0][0] == 96));
    }

    #[test]
    fn a_few_rows_are_told_from_all() {
        assert!(speaks_of_groups("total price per region") && speaks_of_groups("mean of each kind"));
        assert!(
            speaks_of_groups("sum for each rider, the longest at the top") && !speaks_of_groups("top 3 of each kind")
        );
        assert!(!speaks_of_groups("the cheapest cabin for no more than 300 euro per night"));
        assert!(
            asks_for_few("the cheapest room") && asks_for_few("the three oldest") && !asks_for_few("total per region")
        );
    }
}
