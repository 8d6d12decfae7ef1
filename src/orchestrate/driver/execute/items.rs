//! What a repeated step runs over: files of a folder, lines of a file, rows of an earlier result.

use super::inputs::Input;
use super::{Attempt, Miss};
use crate::orchestrate::plan;
use crate::tool::format::cell_text;
use crate::tool::{Table, Value};

/// Items of one step at most.
const MAX_ITEMS: usize = 1000;

impl Attempt<'_> {
    /// The items that the step is repeated over, or `None` if it is done once.
    pub fn items(&self) -> Result<Option<Vec<Input>>, Miss> {
        let Some(each) = self.step.each.as_deref() else { return Ok(None) };
        let items = if let Some(folder) = each.strip_prefix("file in ") {
            self.files_of(folder)?
        } else if let Some(path) = each.strip_prefix("line of ") {
            let text = self.journal.run().workspace.read_text(path)?;
            numbered(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned))
        } else if let Some(id) = each.strip_prefix("row of ").and_then(plan::reference) {
            let value = self.state.find(id).and_then(|step| step.output.as_ref()).map(|output| &output.value);
            value.map(rows).unwrap_or_default()
        } else {
            return Err(Miss::fatal(format!("`{each}` is none of `file in …`, `line of …`, `row of $…`")));
        };
        if items.is_empty() {
            return Err(Miss::fatal(format!("there is no {each}")));
        }
        if items.len() > MAX_ITEMS {
            let n_items = items.len();
            return Err(Miss::fatal(format!(
                "{each}: there are {n_items}, and a step is repeated {MAX_ITEMS} times at most"
            )));
        }
        Ok(Some(items))
    }

    fn files_of(&self, folder: &str) -> Result<Vec<Input>, Miss> {
        let workspace = &self.journal.run().workspace;
        let folder = if folder == "." { "" } else { folder };
        let mut items = Vec::new();
        for entry in workspace.list(folder, None)?.into_iter().filter(|entry| !entry.is_folder) {
            let Ok(text) = workspace.read_text(&entry.path) else { continue };
            let name = entry.path.strip_prefix(folder).unwrap_or(&entry.path).trim_start_matches('/').to_owned();
            items.push(Input { name, text });
        }
        Ok(items)
    }
}

fn rows(value: &Value) -> Vec<Input> {
    match value {
        Value::Table(table) => numbered(table.rows.iter().map(|row| row_text(table, row))),
        Value::Text(text) => numbered(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned)),
        Value::Json(serde_json::Value::Array(items)) => numbered(items.iter().map(cell_text)),
        Value::Json(other) => numbered(std::iter::once(other.to_string())),
    }
}

fn row_text(table: &Table, row: &[serde_json::Value]) -> String {
    if row.len() == 1 {
        return cell_text(&row[0]);
    }
    let cells: Vec<String> =
        table.columns.iter().zip(row).map(|(column, cell)| format!("{column}: {}", cell_text(cell))).collect();
    cells.join("; ")
}

fn numbered(texts: impl Iterator<Item = String>) -> Vec<Input> {
    texts.enumerate().map(|(i, text)| Input { name: format!("{}.txt", i + 1), text }).collect()
}
