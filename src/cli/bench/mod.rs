//! `partita bench`: what this machine does with a model, as a table or as JSON.

mod gap;
mod plan;
mod workflow;

use std::io::IsTerminal;

use serde_json::json;

use super::loading::EngineArgs;
use super::render::{self, Style, Tone};
use super::{Failure, Kind, Settings, loading, transfer};
use crate::bench::{self, ModelBench, Peer, Row, run_model};
use crate::kernel;

/// Measure models and workflows on this machine
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Tokens per second of prefill and decode, alone and batched
    Model(ModelArgs),
    /// A planner, executors that share its prompt, and a summarizer, from a cold cache
    Workflow(workflow::Args),
    /// Success and speed on a folder of goals with checkers
    Plan(plan::Args),
    /// Time between the tokens of running sequences while a long prompt of another run is prefilled
    Gap(gap::Args),
}

#[derive(Debug, clap::Args)]
struct ModelArgs {
    /// Model of the catalog, or a GGUF file
    #[arg(long, value_name = "NAME|PATH")]
    model: String,
    /// Tokens of a prompt
    #[arg(long, value_name = "N", default_value_t = ModelBench::default().n_prompt)]
    prompt: usize,
    /// Tokens to generate
    #[arg(long, value_name = "N", default_value_t = ModelBench::default().n_generate)]
    generate: usize,
    /// Numbers of sequences that decode at once on a shared prompt
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = ModelBench::default().widths)]
    batch: Vec<usize>,
    /// How often to measure each case
    #[arg(long, value_name = "N", default_value_t = ModelBench::default().n_samples)]
    samples: usize,
    /// Measure another engine on the same file, in turns with this one
    #[arg(long, value_name = "NAME")]
    peer: Option<PeerName>,
    /// Print one JSON object on stdout: {model, machine, rows: [{test, engine, tokens_per_s, spread, samples}]}
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum PeerName {
    /// candle's own quantized models, which run one sequence at a time
    Candle,
}

/// Runs the command.
pub fn run(args: Args, settings: &Settings) -> Result<(), Failure> {
    match args.command {
        Command::Model(args) => model(args, settings),
        Command::Workflow(args) => workflow::run(args, settings),
        Command::Plan(args) => plan::run(args, settings),
        Command::Gap(args) => gap::run(args, settings),
    }
}

fn model(args: ModelArgs, settings: &Settings) -> Result<(), Failure> {
    let plan =
        ModelBench { n_prompt: args.prompt, n_generate: args.generate, widths: args.batch, n_samples: args.samples };
    let path = transfer::ensure(Some(&args.model), settings)?.path;
    let engine = loading::open(Some(&args.model), settings, &args.engine.options(settings))?;
    let peer = match args.peer {
        Some(PeerName::Candle) => Some(Peer::load(&path)?),
        None => None,
    };
    let rows = run_model(&engine, peer, &plan, &mut show_progress);
    show_line("");
    let rows = rows?;
    if args.json {
        let n_threads = kernel::Threads::from_env().n_threads();
        let machine = json!({ "kernels": kernel::isa().name(), "threads": n_threads });
        return render::json_to_stdout(&json!({ "model": args.model, "machine": machine, "rows": rows }));
    }
    render::to_stdout(&table(&rows, Style::stdout()))
}

/// How far a measurement is, on a line of its own that the next one overwrites.
fn show_progress(done: usize, all: usize) {
    show_line(&format!("{done} of {all} samples"));
}

fn show_line(text: &str) {
    if std::io::stderr().is_terminal() {
        render::to_stderr(&format!("\r{text}\x1b[K"));
    }
}

fn table(rows: &[Row], style: Style) -> String {
    let head = ["TEST", "ENGINE", "TOKENS/S", "SPREAD", "SAMPLES"].map(|title| style.paint(Tone::Faint, title));
    let line = |row: &Row| {
        let samples: Vec<String> = row.samples.iter().map(|sample| format!("{sample:.1}")).collect();
        [
            row.test.clone(),
            row.engine.to_owned(),
            format!("{:.1}", row.tokens_per_s),
            format!("{:.0} %", 100.0 * row.spread),
            samples.join(" "),
        ]
    };
    let lines: Vec<[String; 5]> = std::iter::once(head).chain(rows.iter().map(line)).collect();
    render::table(&lines, &[2, 3], render::width())
}

impl From<bench::Error> for Failure {
    fn from(error: bench::Error) -> Self {
        let kind = match &error {
            bench::Error::Context { .. } | bench::Error::Zero { .. } | bench::Error::Cases(_) => Kind::Usage,
            bench::Error::Engine(_) | bench::Error::Peer(_) | bench::Error::Endpoint(_) => Kind::Machine,
        };
        Self::from_error(kind, &error)
    }
}
