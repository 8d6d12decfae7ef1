//! Plans by models that cannot plan: whatever they say, what comes out parses, names known tools and existing files,
//! refers only to earlier steps, and has a step for every file that the goal asks for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use partita::engine::{self, EngineOptions};
use partita::model::tiny::{self, TinySpec};
use partita::orchestrate::{
    Budget, Call, EngineMind, Mind, Step, Thinking, check_plan, parse_plan, plan_tree, preview,
};
use partita::tool::{Policy, Registry, Workspace};
use partita::types::{RunId, Sampling, StepId};
use serde_json::json;
use tempfile::TempDir;

/// Files of a workspace: names, and a text for each kind of name.
const WORKSPACES: &[&[&str]] = &[
    &["sales.csv", "rates.json", "terms.txt"],
    &["notes/monday.md", "notes/tuesday.md", "notes/friday.md", "topics.txt"],
    &["src/main.py", "src/parse.py", "README.md", "TODO"],
    &[],
    &["my sales 2024.csv", "Übersicht – März.txt", "she said \"no\".md", "back\\slash.txt", "it's.csv", "{a}.json"],
    &["legal/flat.txt", "legal/garage.txt", "questions.txt"],
    &["rooms.json", "bookings.jsonl", "people.tsv", "config.toml"],
    &["data/2023/q1.csv", "data/2023/q2.csv", "data/2024/q1.csv", "data/readme.md"],
    &["words.txt"],
    &["log.txt", "events.csv", "photo.bin"],
];

/// `{in}` is a file of the workspace, `{also}` another, `{folder}` a folder, `{out}` and `{out2}` files to write.
const GOALS: &[&str] = &[
    "Add up the amounts in {in} by region and save the totals in {out}.",
    "What is the highest value in {in}?",
    "Which customers of {in} do not stand in {also}? Write their names to {out}, one per line, and tell me how many.",
    "Summarize {in} in three sentences and put the summary into {out}.",
    "What is the capital of Australia?",
    "Write a poem of four lines about the sea to {out}.",
    "Read all files in {folder} and write the most important dates to {out} as a table.",
    "Translate each file in {folder} into German and save it under the same name in german.",
    "Convert {in} to {out}.",
    "Compute the price of 3 items at 19.99 with 20 % discount and tell me the result.",
    "Find every line that mentions Ada in {folder} and save the places in {out}.",
    "For each line of {in} write one sentence to the folder sentences.",
    "Append a line with today's total of {also} to {in}.",
    "Compare {in} with {also}; write what differs to {out} and a short letter about it to {out2}.",
    "Copy {in} to {out} and count its rows.",
    "Create a report from {in}, with the averages in {out} and the outliers in {out2}, and tell me the worst one.",
    "Ask me which currency I want, then convert the amounts of {in} and store them in {out}.",
    "Move the files of {folder} that are older than a year into a folder called old.",
    "Plan a birthday party for twelve children with a budget of 200 euros and write the plan to {out}.",
    "Sort {in} by date, newest first, and write the ten newest entries to {out} as JSON and tell me their sum.",
];

const OUTPUTS: &[&str] = &["out.md", "result.csv", "totals.json", "answer.txt", "reports/summary.md", "list.yaml"];

fn text_of(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("csv") => "region,customer,amount,date\nNorth,Ada,20.5,2024-03-01\nSouth,Bob,22,2024-04-01\n",
        Some("tsv") => "name\tteam\nAda\tred\nBob\tblue\n",
        Some("json") => "[{\"name\": \"Ada\", \"seats\": 30}, {\"name\": \"Bob\", \"seats\": 12}]",
        Some("jsonl") => "{\"room\": \"Ada\", \"day\": \"2024-03-01\"}\n{\"room\": \"Bob\", \"day\": \"2024-03-02\"}\n",
        Some("bin") => "\0\u{1}\u{2}\0\0",
        _ => "moon\nriver\nThe notice period is three months.\nWho pays for repairs?\n",
    }
}

/// A goal, its workspace, and the files that it wants written.
struct Case {
    goal: String,
    folder: TempDir,
    wanted: Vec<&'static str>,
}

impl Case {
    fn new(i: usize) -> Self {
        let files = WORKSPACES[(i * 7 + i / GOALS.len()) % WORKSPACES.len()];
        let folder = tempfile::tempdir().unwrap();
        for name in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text_of(name)).unwrap();
        }
        let file = |k: usize| files.get((i + k) % files.len().max(1)).copied().unwrap_or("missing.csv");
        let parent = files.iter().find_map(|name| name.rsplit_once('/').map(|(parent, _)| parent)).unwrap_or(".");
        let outputs = [OUTPUTS[i % OUTPUTS.len()], OUTPUTS[(i + 1) % OUTPUTS.len()]];
        let template = GOALS[i % GOALS.len()];
        let wanted = ["{out}", "{out2}"].iter().zip(outputs).filter(|(mark, _)| template.contains(*mark));
        let wanted = wanted.map(|(_, path)| path).collect();
        let filled = [("{in}", file(0)), ("{also}", file(1)), ("{folder}", parent), ("{out}", outputs[0])];
        let goal = filled.iter().fold(template.to_owned(), |goal, (mark, name)| goal.replace(mark, name));
        Self { goal: goal.replace("{out2}", outputs[1]), folder, wanted }
    }
}

/// A model whose calls are shortened and warmed, so that plans differ and end soon.
struct Hasty {
    inner: EngineMind,
    max_tokens: usize,
    temperature: f32,
}

impl Mind for Hasty {
    fn complete(&self, mut call: Call) -> Thinking<'_> {
        call.max_tokens = self.max_tokens;
        let seed = call.messages.iter().map(|message| message.content.len() as u64).sum();
        call.sampling = Sampling { temperature: self.temperature, seed, ..call.sampling };
        self.inner.complete(call)
    }

    fn count(&self, text: &str) -> usize {
        self.inner.count(text)
    }

    fn n_ctx(&self) -> usize {
        self.inner.n_ctx()
    }
}

fn hasty(model: &Path, max_tokens: usize, temperature: f32) -> Arc<Hasty> {
    let options = EngineOptions { max_running: 32, ..EngineOptions::default() };
    let engine = engine::load(model, &options, &mut |_| ()).unwrap();
    let inner =
        EngineMind::new(engine, RunId("plans".into()), Arc::new(Budget::new(None, None)), Box::new(|_, _, _| ()))
            .unwrap();
    Arc::new(Hasty { inner, max_tokens, temperature })
}

/// Plans all goals in one batch.
fn plans(minds: &[Arc<Hasty>], cases: &[Case]) -> Vec<Result<Vec<Step>, String>> {
    let registry = Registry::builtin();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let begun = cases.iter().enumerate().map(|(i, case)| {
            let workspace = Workspace::open(case.folder.path(), Policy::default()).unwrap();
            let preview = preview(&workspace, &registry, &case.goal).unwrap();
            let mind = minds[i % minds.len()].clone();
            tokio::spawn(async move {
                preview.plan(mind.as_ref()).await.map_err(|error| partita::orchestrate::chain(&error))
            })
        });
        let begun: Vec<_> = begun.collect();
        let mut plans = Vec::new();
        for plan in begun {
            plans.push(plan.await.unwrap());
        }
        plans
    })
}

/// What is wrong with a plan, if anything.
fn fault(case: &Case, steps: &[Step]) -> Option<String> {
    if steps.is_empty() {
        return (!case.wanted.is_empty()).then(|| "no steps, but files are wanted".into());
    }
    if let Err(error) = check_plan(steps, &[], &Registry::builtin()) {
        return Some(error.to_string());
    }
    let text = json!({ "steps": steps }).to_string();
    if parse_plan(&text, StepId(1)).ok().as_deref() != Some(steps) {
        return Some("it does not parse to itself".into());
    }
    for (k, step) in steps.iter().enumerate() {
        let earlier: BTreeSet<StepId> = steps[..k].iter().map(|step| step.id).collect();
        if let Some(later) = step.needs().into_iter().find(|id| !earlier.contains(id)) {
            return Some(format!("step {} needs {later}, which is not earlier", step.id));
        }
        let missing = step.paths().find(|path| !case.folder.path().join(path).exists());
        if let Some(path) = missing {
            return Some(format!("step {} reads {path}, which does not exist", step.id));
        }
        if step.task.trim().is_empty() {
            return Some(format!("step {} says nothing", step.id));
        }
    }
    let writes = |path: &str| {
        steps.iter().any(|step| {
            step.file() == Some(path)
                || ["convert", "copy_file", "append_file", "move_file", "script"].contains(&step.tool.as_str())
        })
    };
    case.wanted.iter().find(|path| !writes(path)).map(|path| format!("no step writes {path}"))
}

fn check_plans(label: &str, minds: &[Arc<Hasty>], n: usize) {
    let began = Instant::now();
    let cases: Vec<Case> = (0..n).map(Case::new).collect();
    let mut tools = BTreeSet::new();
    let mut n_steps = 0;
    let mut faults = Vec::new();
    for (case, plan) in cases.iter().zip(plans(minds, &cases)) {
        let found = plan.as_ref().map_or_else(|error| Some(error.clone()), |steps| fault(case, steps));
        let steps = plan.unwrap_or_default();
        n_steps += steps.len();
        tools.extend(steps.iter().map(|step| step.tool.clone()));
        faults.extend(found.map(|fault| format!("{}\n{fault}\n{}", case.goal, plan_tree(&steps))));
    }
    let (n_valid, seconds) = (n - faults.len(), began.elapsed().as_secs());
    println!("{label}: {n_valid} of {n} plans valid, {n_steps} steps, {} kinds of tools, {seconds} s", tools.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn plans_of_a_model_that_says_noise_are_valid() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    tiny::write(&path, &TinySpec { n_ctx: 32_768, ..TinySpec::default() }).unwrap();
    check_plans("noise", &[hasty(&path, 500, 1.0)], 50);
}

/// The models that the environment names.
fn real_models() -> Vec<PathBuf> {
    std::env::var_os("PARTITA_TEST_MODEL").map(|paths| std::env::split_paths(&paths).collect()).unwrap_or_default()
}

#[test]
fn real_plans_of_varied_goals_are_valid() {
    for path in real_models().iter().take(1) {
        check_plans(&path.display().to_string(), &[hasty(path, 240, 0.8)], 200);
    }
}
