//! `query_table`: the model writes one SELECT under a grammar of the real columns; several candidates are
//! decoded in one batch, run, and compared by their results.

use std::time::Instant;

use serde_json::json;

use super::call::all;
use super::{Attempt, Miss};
use crate::orchestrate::demand;
use crate::orchestrate::driver::mind::Call;
use crate::orchestrate::driver::tool_deadline;
use crate::orchestrate::word::{has, words};
use crate::tool::query::{self, Database, TableInfo};
use crate::tool::{Error, Output, Table, Value, table};
use crate::types::Grammar;

/// Candidates per try: one greedy, the others warm.
const N_CANDIDATES: usize = 3;

/// Writes and runs the query of a step.
pub async fn query(attempt: &Attempt<'_>) -> Result<Output, Miss> {
    let database = open(attempt)?;
    let wants_all = speaks_of_groups(&attempt.step.task) && attempt.step.file().is_some();
    let may_limit = !wants_all && asks_for_few(&attempt.asked());
    let keeps_rows = attempt.step.file().is_some() && database.tables().len() == 1 && keeps_rows(&attempt.step.task);
    let grammar = match (keeps_rows, may_limit) {
        (true, _) => query::grammar_of_whole_rows(database.tables()),
        (_, true) => query::grammar(database.tables()),
        _ => query::grammar_of_all_rows(database.tables()),
    };
    let schema = format!("{}{}", database.schema_text(), counting(database.tables()));
    let queries = candidates(attempt, grammar, schema).await?;
    let (deadline, names) = (tool_deadline(attempt.journal.run()), attempt.names());
    let mut tried: Vec<(String, Result<Output, Error>)> = Vec::new();
    for sql in queries {
        let sql = as_meant(&sql);
        if tried.iter().any(|(other, _)| *other == sql) {
            continue;
        }
        let began = Instant::now();
        let result = database.run(&sql, deadline).and_then(|output| fits(attempt, output));
        let result = result.and_then(|output| attempt.about(&names, &sql, output));
        attempt.record("query_table", json!({ "sql": sql }), &result, began);
        tried.push((sql, result));
    }
    let mut output = choose(tried, &attempt.step.task)?;
    if let Some(digits) = demand::decimals(&format!("{} {}", attempt.step.task, attempt.journal.run().goal)) {
        rounded(&mut output.value, digits);
    }
    Ok(output)
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

/// The result that most candidates agree on; among equals one without groups that nobody asked for, then the earliest,
/// which the greedy one leads.
fn choose(tried: Vec<(String, Result<Output, Error>)>, task: &str) -> Result<Output, Miss> {
    let votes = |value: &Value| {
        tried.iter().filter(|(_, result)| result.as_ref().is_ok_and(|output| output.value == *value)).count()
    };
    let mut best: Option<(&Output, (usize, bool))> = None;
    for (sql, result) in &tried {
        let Ok(output) = result else { continue };
        let n_votes = if is_empty(&output.value) { 0 } else { votes(&output.value) };
        let is_asked = may_group(task) || !sql.to_uppercase().contains("GROUP BY");
        if best.is_none_or(|(_, most)| (n_votes, is_asked) > most) {
            best = Some((output, (n_votes, is_asked)));
        }
    }
    match best {
        Some((output, (n_votes, _))) if n_votes > 0 => Ok(output.clone()),
        Some(_) => Err(Miss::new("the query gave no rows", tried[0].0.clone())),
        None => {
            let error = tried.iter().find_map(|(_, result)| result.as_ref().err()).map(Error::to_string);
            let sql = tried.first().map(|(sql, _)| sql.clone()).unwrap_or_default();
            Err(Miss::new(error.unwrap_or_else(|| "no query was written".into()), sql))
        }
    }
}

/// Whether a step's words can mean groups of rows.
fn may_group(task: &str) -> bool {
    const GROUPS: &[&str] =
        &["per", "each", "every", "by", "group", "for", "which", "most", "least", "highest", "lowest"];
    words(task).any(|word| GROUPS.contains(&word.as_str()) || (word.ends_with('s') && word.starts_with("total")))
}

/// Whether a step's words can mean some rows of many: they say how many, or which by a superlative.
fn asks_for_few(asked: &str) -> bool {
    const FEW: &[&str] =
        &["most", "least", "top", "first", "last", "best", "worst", "which", "who", "less", "pick", "choose"];
    words(asked).any(|word| FEW.contains(&word.as_str()) || word.ends_with("est") || demand::number(&word).is_some())
}

/// Whether a step's words ask for some rows of a table as they are, and for nothing that is computed from them.
fn keeps_rows(task: &str) -> bool {
    const ROWS: &[&str] = &["rows", "lines", "records", "entries"];
    const KEPT: &[&str] = &[
        "keep", "skip", "without", "drop", "remove", "leave", "copy", "only", "damaged", "valid", "good", "clean",
        "faulty", "broken", "header", "filter",
    ];
    const COMPUTED: &[&str] = &[
        "total", "totals", "sum", "average", "averages", "mean", "count", "counts", "number", "per", "each", "group",
        "column", "columns", "names", "bad",
    ];
    let words: Vec<String> = words(task).collect();
    has(&words, ROWS) && has(&words, KEPT) && !has(&words, COMPUTED)
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
    let words: Vec<String> = words(task).collect();
    has(&words, &["per", "each", "every", "totals", "counts", "averages"])
        && !has(&words, &["top", "only", "which", "best", "worst"])
}

/// The query as it was meant: `GROUP BY name` of a computed column that shadows a real one groups by what was
/// computed, as people who write `LOWER(kind) AS kind … GROUP BY kind` expect and SQLite does not do.
fn as_meant(sql: &str) -> String {
    let computed = regex::Regex::new(r"(?i)\b(\w+\([^()]*\)) AS (\w+)").expect("a constant expression");
    let mut meant = sql.to_owned();
    for found in computed.captures_iter(sql) {
        let group = regex::Regex::new(&format!(r"(?i)\bGROUP BY {}\b", regex::escape(&found[2])));
        let is_aggregate = ["SUM", "AVG", "COUNT", "MIN", "MAX", "TOTAL", "ROUND"]
            .iter()
            .any(|name| found[1].to_uppercase().starts_with(name));
        if let (Ok(group), false) = (group, is_aggregate) {
            meant = group.replace_all(&meant, regex::NoExpand(&format!("GROUP BY {}", &found[1]))).into_owned();
        }
    }
    meant
}

/// Whether a result says nothing: it has no rows, or nothing stands in them.
fn is_empty(value: &Value) -> bool {
    matches!(value, Value::Table(table) if table.rows.iter().flatten().all(serde_json::Value::is_null))
}

/// The step's tables: files, and results of earlier steps under the names `result_1`, `result_2`, ….
fn open(attempt: &Attempt<'_>) -> Result<Database, Miss> {
    let files = attempt.tables()?;
    let mut database = Database::open(&attempt.journal.run().workspace, &files)?;
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
    let text = format!(
        "Tables (damaged rows are left out of them already):\n{schema}\n{}{}\nWrite the one SQLite query that gives exactly the result of this step: only the columns that are wanted, with the filters, grouping, order and rounding that the goal states for it; no LIMIT unless a number of rows is asked for.",
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
    fn rows_that_are_kept_are_told_from_what_is_computed() {
        for (task, want) in [
            ("skip damaged rows, keep the header", true),
            ("copy only the good rows with the header", true),
            ("all rows that are not faulty, with every column", false),
            ("mean of the valid rows", false),
            ("the broken lines of bad rows", false),
            ("total per region", false),
        ] {
            assert_eq!(keeps_rows(task), want, "{task}");
        }
        assert!(
            asks_for_few("the cheapest room") && asks_for_few("the three oldest") && !asks_for_few("total per region")
        );
    }
}
