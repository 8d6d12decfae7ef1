//! The score that a plan is played from: the grammar under which the planner decodes.
//!
//! Built from the live tools, the files that exist and the files that the goal asks for. It is a small
//! automaton over `(number of steps so far, files of the goal done so far)`: every file that the goal
//! asks for gets exactly one step, in order; a reference can only name an earlier step; a tool can only be
//! given sources that it can read. A plan that does not parse, names an unknown tool or file, waits for
//! itself or forgets a file cannot be produced, by whatever model.
//! Must not know: the engine, prompts, the state of a run.

use std::fmt::Write as _;

use super::plan::{self, LATER, REPLY};
use crate::tool::Registry;
use crate::types::StepId;

/// What a plan may be made of.
pub struct Menu<'a> {
    /// The live tools.
    pub registry: &'a Registry,
    /// Files that hold tables.
    pub tables: &'a [String],
    /// Files that hold text, and folders, which end in `/`.
    pub texts: &'a [String],
    /// What `each` may run over, besides earlier results; empty if the goal speaks of no repetition.
    pub items: &'a [String],
    /// Files that the goal asks for and that no step has made yet.
    pub outputs: &'a [String],
    /// Folders that may receive a file per item.
    pub folders: &'a [String],
    /// The goal asks for something to be written but names no file.
    pub free_output: bool,
    /// Steps that are done and may be referred to.
    pub done: &'a [StepId],
    /// Id of the first new step.
    pub first: StepId,
    /// At most this many new steps.
    pub max_steps: usize,
    /// Whether a plan without steps is allowed: the goal is answered at once.
    pub may_be_empty: bool,
    /// Whether a step may be there for its result to be told: the goal asks to be told something, or for no file.
    pub tells: bool,
    /// Tools that may not be used: they failed at this goal, or do not fit it.
    pub excluded: Vec<String>,
}

/// Forms that a file's content may take.
const FORMS: &[&str] =
    &["text", "markdown_table", "bullet_list", "numbered_list", "csv", "json", "json_object", "json_lines", "yaml"];

/// Files that one step may name; more are named by their folder.
const MAX_FILES: usize = 8;

/// What a tool can read.
enum Reads {
    Tables,
    Texts,
    Anything,
    Nothing,
}

fn reads(tool: &str) -> Reads {
    match tool {
        "query_table" => Reads::Tables,
        "answer" | "search_text" => Reads::Texts,
        "calculate" | "ask" | "make_folder" => Reads::Nothing,
        _ => Reads::Anything,
    }
}

/// Tools whose result can be what the person is told; prose is written by the summary itself.
fn tells(tool: &str) -> bool {
    !["write", "make_folder", "append_file", "move_file", "copy_file", "convert", "goal"].contains(&tool)
}

/// Tools that make a file of every item.
fn makes_files(tool: &str) -> bool {
    matches!(tool, "write" | "move_file" | "copy_file" | "convert")
}

/// Tools that can be repeated over items.
fn repeats(tool: &str) -> bool {
    matches!(tool, "write" | "answer" | "move_file" | "copy_file" | "convert" | "json_get" | "append_file")
}

impl Menu<'_> {
    /// The grammar in llguidance's dialect of Lark.
    pub fn grammar(&self) -> String {
        let n_steps = self.max_steps.max(self.outputs.len() + 1);
        let mut rules = String::from("start: \"{\\\"steps\\\":[\" s0_0 \"]}\"\n");
        rules.push_str("TEXT: /[^\"\\\\\\x00-\\x1f]{3,200}/\n");
        rule(&mut rules, "form", FORMS.iter().map(|form| quoted(form)));
        self.sources(&mut rules, n_steps);
        for k in 0..n_steps {
            self.step(&mut rules, k);
        }
        for k in 0..=n_steps {
            for j in 0..=self.outputs.len() {
                self.state(&mut rules, k, j, n_steps);
            }
        }
        rules
    }

    /// The state after `k` steps and `j` files of the goal: what may come next.
    fn state(&self, rules: &mut String, k: usize, j: usize, n_steps: usize) {
        let n_outputs = self.outputs.len();
        let comma = if k == 0 { "" } else { "\",\" " };
        let mut next = Vec::new();
        if j == n_outputs && (k > 0 || self.may_be_empty) {
            next.push("\"\"".to_owned());
        }
        if k < n_steps && j < n_outputs {
            next.push(format!("{comma}file{k}_{j} s{}_{}", k + 1, j + 1));
        }
        if k < n_steps && n_steps - k > n_outputs - j {
            next.push(format!("{comma}other{k} s{}_{j}", k + 1));
        }
        if next.is_empty() {
            next.push("\"\"".to_owned()); // cannot be reached
        }
        let _ = writeln!(rules, "s{k}_{j}: {}", next.join(" | "));
    }

    fn results(&self, k: usize) -> Vec<String> {
        let new = (0..k).map(|i| StepId(self.first.0 + i as u32));
        self.done.iter().copied().chain(new).map(|id| id.to_string()).collect()
    }

    /// Rules for the lists of sources: `tables_k`, `texts_k`, `any_k`.
    fn sources(&self, rules: &mut String, n_steps: usize) {
        rule(rules, "table", self.tables.iter().map(|path| quoted(path)));
        rule(rules, "textual", self.texts.iter().map(|path| quoted(path)));
        for k in 0..n_steps {
            let results: Vec<String> = self.results(k).iter().map(|id| quoted(id)).collect();
            // Results follow files, in order, each at most once: small models like to repeat themselves.
            for i in 0..=results.len() {
                let later = (i..results.len()).map(|next| format!("\",\" {} after{k}_{}", results[next], next + 1));
                rule(rules, &format!("after{k}_{i}"), std::iter::once("\"\"".to_owned()).chain(later));
            }
            let kinds = [
                ("tables", vec![("table", !self.tables.is_empty())]),
                ("texts", vec![("textual", !self.texts.is_empty())]),
                ("any", vec![("table", !self.tables.is_empty()), ("textual", !self.texts.is_empty())]),
            ];
            let n_files = |rule: &str| if rule == "table" { self.tables.len() } else { self.texts.len() };
            for (name, parts) in kinds {
                let most = parts.iter().map(|(rule, _)| n_files(rule)).sum::<usize>().min(MAX_FILES);
                let files = parts.iter().filter(|(_, exists)| *exists).map(|(rule, _)| (*rule).to_owned());
                let files: Vec<String> = files.collect();
                let none = name == "any" || (files.is_empty() && results.is_empty());
                let mut lists = if none { vec!["\"[]\"".to_owned()] } else { Vec::new() };
                if !files.is_empty() {
                    let file = files.join(" | ");
                    let _ = writeln!(rules, "{name}{k}_file: {file}");
                    let more = (1..most).fold(String::new(), |more, _| format!("(\",\" {name}{k}_file {more})?"));
                    lists.push(format!("\"[\" {name}{k}_file {more} after{k}_0 \"]\""));
                }
                lists.extend((0..results.len()).map(|i| format!("\"[\" {} after{k}_{} \"]\"", results[i], i + 1)));
                let _ = writeln!(rules, "{name}{k}: {}", lists.join(" | "));
            }
        }
    }

    /// Rules for the `k`-th step: one that makes a file of the goal, and any other.
    fn step(&self, rules: &mut String, k: usize) {
        let each = self.each(k);
        let once = self.some_bodies(k, |_| true);
        let repeated: Vec<String> = each
            .as_ref()
            .map(|each| self.bodies(k, repeats).iter().map(|b| format!("{b} {each}")).collect())
            .unwrap_or_default();
        rule(rules, &format!("body{k}"), once.iter().cloned());
        rule(rules, &format!("told{k}"), self.some_bodies(k, tells).into_iter());
        rule(rules, &format!("fan{k}"), repeated.iter().cloned());
        let for_files: Vec<String> = each
            .map(|each| self.bodies(k, makes_files).iter().map(|body| format!("{body} {each}")).collect())
            .unwrap_or_default();
        rule(rules, &format!("files{k}"), for_files.iter().cloned());
        let fan = if repeated.is_empty() { String::new() } else { format!(" | fan{k}") };
        let form = "\",\\\"as\\\":\" form";
        for (j, path) in self.outputs.iter().enumerate() {
            let head = literal(&format!("{{\"for\":{},\"do\":\"", json(path)));
            let _ = writeln!(rules, "file{k}_{j}: {head} TEXT \"\\\"\" (body{k}{fan}) {form} \"}}\"");
        }
        let mut others = vec![format!(
            "{} TEXT \"\\\"\" (body{k}{fan}) \"}}\"",
            literal(&format!("{{\"for\":\"{LATER}\",\"do\":\""))
        )];
        if self.tells {
            let head = literal(&format!("{{\"for\":\"{REPLY}\",\"do\":\""));
            others.insert(0, format!("{head} TEXT \"\\\"\" told{k} \"}}\""));
        }
        if !for_files.is_empty() {
            others.extend(self.folders.iter().map(|folder| {
                let head = literal(&format!("{{\"for\":{},\"do\":\"", json(&format!("{folder}/*"))));
                format!("{head} TEXT \"\\\"\" files{k} \"}}\"")
            }));
        }
        if self.free_output {
            let name = "/[a-z][a-z0-9_-]{1,30}\\.(md|txt|csv|json)/";
            others.push(format!(
                "\"{{\\\"for\\\":\\\"\" {name} \"\\\",\\\"do\\\":\\\"\" TEXT \"\\\"\" body{k} {form} \"}}\""
            ));
        }
        rule(rules, &format!("other{k}"), others.into_iter());
    }

    /// `,"each":…` over what exists before the `k`-th step.
    fn each(&self, k: usize) -> Option<String> {
        if self.items.is_empty() {
            return None;
        }
        let rows = self.results(k).into_iter().map(|id| format!("row of {id}"));
        let items: Vec<String> = self.items.iter().cloned().chain(rows).map(|item| quoted(&item)).collect();
        Some(format!("\",\\\"each\\\":\" ({})", items.join(" | ")))
    }

    /// As [`Self::bodies`]; where all of them are excluded, those that are, for a plan has to be made of something.
    fn some_bodies(&self, k: usize, pass: impl Fn(&str) -> bool) -> Vec<String> {
        let bodies = self.bodies(k, &pass);
        if bodies.is_empty() { self.bodies_of(k, pass) } else { bodies }
    }

    /// `,"tool":…,"from":[…]` for every tool that passes, is not excluded and has something to read.
    fn bodies(&self, k: usize, pass: impl Fn(&str) -> bool) -> Vec<String> {
        self.bodies_of(k, |tool| pass(tool) && !self.excluded.iter().any(|name| name == tool))
    }

    /// `,"tool":…,"from":[…]` for every tool that passes and has something to read.
    fn bodies_of(&self, k: usize, pass: impl Fn(&str) -> bool) -> Vec<String> {
        let has_results = !self.results(k).is_empty();
        let has_any = !self.tables.is_empty() || !self.texts.is_empty();
        let mut bodies = Vec::new();
        for (tool, _) in plan::tool_names(self.registry) {
            let (source, possible) = match reads(tool) {
                Reads::Tables => (format!("tables{k}"), !self.tables.is_empty()),
                Reads::Texts => (format!("texts{k}"), !self.texts.is_empty() || has_results),
                Reads::Anything => (format!("any{k}"), has_any || has_results || tool == "write" || tool == "script"),
                Reads::Nothing => ("\"[]\"".to_owned(), true),
            };
            if possible && pass(tool) {
                bodies.push(format!("{} {source}", literal(&format!(",\"tool\":{},\"from\":", json(tool)))));
            }
        }
        bodies
    }
}

/// `text` as a JSON string.
fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A Lark literal that matches exactly `text`.
fn literal(text: &str) -> String {
    json(text)
}

/// A Lark literal that matches `text` as a JSON string.
fn quoted(text: &str) -> String {
    literal(&json(text))
}

fn rule(rules: &mut String, name: &str, alternatives: impl Iterator<Item = String>) {
    let alternatives: Vec<String> = alternatives.collect();
    if !alternatives.is_empty() {
        let _ = writeln!(rules, "{name}: {}", alternatives.join("\n  | "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rules that a grammar uses and does not have.
    fn undefined(grammar: &str) -> Vec<String> {
        let quoted = regex::Regex::new(r#""(?:[^"\\]|\\.)*"|/(?:[^/\\]|\\.)+/"#).unwrap();
        let bare = quoted.replace_all(grammar, " ");
        let name = regex::Regex::new(r"\b[a-zA-Z]\w*\b").unwrap();
        let defined: Vec<&str> = bare.lines().filter_map(|line| Some(line.split_once(':')?.0.trim())).collect();
        let used = name.find_iter(&bare).map(|found| found.as_str());
        used.filter(|name| !defined.contains(name)).map(str::to_owned).collect()
    }

    #[test]
    fn whatever_is_left_out_no_rule_is_missing() {
        let (registry, none) = (Registry::builtin(), Vec::new());
        let (tables, items) = (vec!["a.csv".to_owned()], vec!["file in in".to_owned()]);
        let texts = vec!["in/a.txt".to_owned(), "in/".to_owned()];
        let files = vec!["out.md".to_owned(), "list.csv".to_owned()];
        let folders = vec!["short".to_owned()];
        let every: Vec<String> = plan::tool_names(&registry).iter().map(|(name, _)| (*name).to_owned()).collect();
        let writing = ["write", "move_file", "copy_file", "convert"].map(str::to_owned).to_vec();
        for excluded in [Vec::new(), writing, every[..every.len() - 1].to_vec()] {
            for (tables, texts, items, outputs) in
                [(&tables, &texts, &items, &files), (&none, &texts, &items, &none), (&tables, &none, &none, &files)]
            {
                let menu = Menu {
                    registry: &registry,
                    tables,
                    texts,
                    items,
                    outputs,
                    folders: &folders,
                    free_output: true,
                    done: &[],
                    first: StepId(1),
                    max_steps: 3,
                    may_be_empty: false,
                    tells: true,
                    excluded: excluded.clone(),
                };
                assert_eq!(undefined(&menu.grammar()), [""; 0], "{excluded:?}");
            }
        }
    }
}
