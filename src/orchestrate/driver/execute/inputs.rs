//! What a step works from: the files, folders and earlier results that it names, read and bounded.

use super::{Attempt, Miss};
use crate::tool::{Value, table};

/// One input, or one of the items that a step is repeated over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Path, `$1`, or the name that an item's own file would get.
    pub name: String,
    /// Its text, whole.
    pub text: String,
}

/// Characters of a table or of data among the inputs.
const MAX_CHARS: usize = 8000;
/// Files of a folder that one step reads at most.
const MAX_FILES: usize = 1000;

/// Names and texts.
pub fn named(inputs: &[Input]) -> Vec<(&str, &str)> {
    inputs.iter().map(|input| (input.name.as_str(), input.text.as_str())).collect()
}

impl Attempt<'_> {
    /// The files that the step names, folders opened, each once.
    pub fn files(&self) -> Result<Vec<String>, Miss> {
        let workspace = &self.journal.run().workspace;
        let mut files = Vec::new();
        for path in self.step.paths() {
            match path.strip_suffix('/') {
                Some(folder) => {
                    let entries = workspace.list(folder, None)?;
                    files.extend(
                        entries.into_iter().filter(|entry| !entry.is_folder).map(|entry| entry.path).take(MAX_FILES),
                    );
                }
                None => files.push(path.to_owned()),
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        files.retain(|file| seen.insert(file.clone()));
        Ok(files)
    }

    /// The values of earlier steps that the step names.
    pub fn results(&self) -> Vec<(String, &Value)> {
        let value = |id| self.state.find(id).and_then(|step| step.output.as_ref()).map(|output| &output.value);
        self.step.needs().into_iter().filter_map(|id| Some((id.to_string(), value(id)?))).collect()
    }

    /// Files and results as texts.
    pub fn texts(&self) -> Result<Vec<Input>, Miss> {
        let workspace = &self.journal.run().workspace;
        let mut inputs = Vec::new();
        for path in self.files()? {
            inputs.push(Input { text: workspace.read_text(&path)?, name: path });
        }
        for (name, value) in self.results() {
            // A text is shortened by who needs it; more rows than these are for a query or a program.
            let text = if let Value::Text(text) = value { text.clone() } else { value.preview(MAX_CHARS) };
            inputs.push(Input { name, text });
        }
        Ok(inputs)
    }

    /// Files that hold tables, among those that the step names.
    pub fn tables(&self) -> Result<Vec<String>, Miss> {
        let workspace = &self.journal.run().workspace;
        Ok(self.files()?.into_iter().filter(|path| table::peek(workspace, path).is_ok()).collect())
    }

    /// Inputs as a block of a prompt, at most `max_chars` together, each cut in proportion.
    pub fn shown(&self, inputs: &[Input], max_chars: usize) -> String {
        let total: usize = inputs.iter().map(|input| input.text.chars().count()).sum();
        let mut text = String::new();
        for input in inputs {
            let n_chars = input.text.chars().count();
            let share = if total <= max_chars { n_chars } else { (n_chars * max_chars / total).max(200) };
            let cut = Value::Text(input.text.clone()).preview(share.max(1));
            text.push_str(&format!("[{}]\n{}\n\n", input.name, cut.trim_end()));
        }
        text
    }
}
