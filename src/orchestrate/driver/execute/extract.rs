//! Facts of many documents as a table: every document is asked for its row, all in one batch. What names the document is
//! filled in by code; a figure or a name that stands in no source is asked for once more.

use serde_json::{Value as Json, json};

use super::call::best_of_rounds;
use super::digest::Fitted;
use super::inputs::Input;
use super::{Attempt, Miss};
use crate::orchestrate::driver::mind::{Call, Reply};
use crate::orchestrate::machine::TRIES;
use crate::orchestrate::{ground, requirement};
use crate::tool::format;
use crate::tool::{Output, Table, Value};
use crate::types::Grammar;

/// Fewer documents are simply read together.
const MIN_DOCUMENTS: usize = 2;
/// Rounds for rows that have faults.
const ROUNDS: u64 = 2;
/// Fields that mean the document itself.
const OWN: &[&str] = &["file", "filename", "file name", "path", "document"];

/// A table that is to have a row for every document.
pub struct Wanted {
    fields: Vec<String>,
    items: Vec<Input>,
}

/// The row per document that the step's file is to hold, if that is what it is for.
pub fn wanted(attempt: &Attempt<'_>) -> Result<Option<Wanted>, Miss> {
    let Some(path) = attempt.step.file() else { return Ok(None) };
    let goal = &attempt.journal.run().goal;
    let Some(fields) = requirement::fields(goal, &attempt.brief(), path) else { return Ok(None) };
    let items = match attempt.items()? {
        Some(items) => items,
        None => {
            let documents = attempt.texts()?.into_iter().filter(|input| !input.name.starts_with('$'));
            let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
            documents.map(|input| Input { name: name(&input.name), text: input.text }).collect()
        }
    };
    let is_text = |item: &Input| format::holds_text(&item.name);
    Ok((items.len() >= MIN_DOCUMENTS && items.iter().all(is_text)).then_some(Wanted { fields, items }))
}

/// The table over all documents.
pub async fn extract(attempt: &Attempt<'_>, wanted: Wanted) -> Result<Output, Miss> {
    let Wanted { fields, items } = wanted;
    let about = format!("the values of {}", fields.join(", "));
    let Fitted { inputs: shown, mut notes } = attempt.digested(items.clone(), attempt.room() / 2, &about).await?;
    let is_own = |field: &&String| OWN.contains(&field.to_lowercase().as_str());
    let asked: Vec<&String> = fields.iter().filter(|field| !is_own(field)).collect();
    let judge = |i: usize, reply: &Reply| {
        let row: Json = serde_json::from_str(&reply.text).ok()?;
        let known = format!("{} {} {}", items[i].name, items[i].text, attempt.journal.run().goal);
        let said: String = asked.iter().map(|field| format!("is {}, ", text_of(&row, field))).collect();
        Some((ground::foreign(&said, &known).len(), row))
    };
    let call = |i: usize, round: u64| call(attempt, &shown[i], &asked, round);
    let best = best_of_rounds(attempt, items.len(), ROUNDS, call, judge).await?;
    let mut rows = Vec::new();
    for (item, row) in items.iter().zip(best) {
        let Some(row) = row else {
            let what = format!("no row was found for {}", item.name);
            if attempt.number < TRIES {
                return Err(Miss::new(what, ""));
            }
            notes.push(what);
            continue;
        };
        let cell = |field: &String| if is_own(&field) { item.name.clone() } else { text_of(&row, field) };
        rows.push(fields.iter().map(cell).map(Json::from).collect());
    }
    let mut table = Table { columns: fields, rows };
    (0..table.columns.len()).for_each(|column| as_figures(&mut table, column));
    Ok(Output { notes, ..Value::Table(table).into() })
}

fn text_of(row: &Json, field: &str) -> String {
    row[field].as_str().unwrap_or_default().trim().to_owned()
}

/// Turns a column of figures, with or without a currency, into numbers.
fn as_figures(table: &mut Table, column: usize) {
    const UNITS: [&str; 6] = ["€", "$", "£", "euro", "EUR", "USD"];
    let figure = |cell: &Json| {
        let text = UNITS
            .iter()
            .fold(cell.as_str()?.trim(), |text, unit| text.trim_start_matches(unit).trim_end_matches(unit).trim());
        let has_zero = text.len() > 1 && text.starts_with('0') && !text.starts_with("0.");
        text.parse::<serde_json::Number>().ok().filter(|_| !has_zero).map(Json::Number)
    };
    let figures: Option<Vec<Json>> = table.rows.iter().map(|row| figure(&row[column])).collect();
    for (row, figure) in table.rows.iter_mut().zip(figures.into_iter().flatten()) {
        row[column] = figure;
    }
}

fn call(attempt: &Attempt<'_>, document: &Input, fields: &[&String], round: u64) -> Call {
    let properties: serde_json::Map<String, Json> =
        fields.iter().map(|field| ((*field).clone(), json!({ "type": "string", "maxLength": 100 }))).collect();
    let schema = json!({
        "type": "object", "properties": properties, "required": fields, "additionalProperties": false
    });
    let names: Vec<&str> = fields.iter().map(|field| field.as_str()).collect();
    let text = format!(
        "[{}]\n{}\n\nThis is one of many such documents. The person's goal for all of them: {}\nGive for this document, as JSON, the value of {}: names and figures exactly as the document has them, a figure without its unit; \"\" for what it does not say.",
        document.name,
        document.text.trim(),
        attempt.journal.run().goal,
        names.join(", "),
    );
    Call {
        purpose: "row",
        step: Some(attempt.step.id),
        messages: attempt.focus("You read documents carefully and take facts from them.", text),
        prefill: String::new(),
        grammar: Some(Grammar::JsonSchema(schema)),
        sampling: attempt.sampling(round),
        stop: Vec::new(),
        max_tokens: 200,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_figures_become_numbers() {
        let row = |cells: [&str; 3]| cells.map(Json::from).to_vec();
        let mut table = Table {
            columns: vec!["total".into(), "number".into(), "code".into()],
            rows: vec![row(["145.50 euro", "R-1", "007"]), row(["€96", "2025-44", "012"])],
        };
        (0..3).for_each(|column| as_figures(&mut table, column));
        assert_eq!(table.rows[0], [json!(145.5), json!("R-1"), json!("007")]);
        assert_eq!(table.rows[1], [json!(96), json!("2025-44"), json!("012")]);
    }
}
