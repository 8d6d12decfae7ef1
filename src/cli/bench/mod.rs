//! `partita bench`: what this machine does with a model, as a table or as JSON.

mod gap;
mod perplexity;
mod plan;
mod workflow;

use std::io::IsTerminal;
use std::time::Instant;

use serde_json::json;

use super::loading::EngineArgs;
use super::render::{self, Style, Tone};
use super::{Failure, Kind, Settings, loading, transfer};
use crate::bench::{self, ModelBench, Peer, Prefix, Row, run_model};
use crate::engine::{EngineOptions, Features};
use crate::kernel;

/// Measure models and workflows on this machine
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Tokens per second of prefill and decode, alone and batched, at several depths
    Model(ModelArgs),
    /// A planner, executors that share its prompt, and a summarizer, from a cold cache
    Workflow(workflow::Args),
    /// Success and speed on a folder of goals with checkers
    Plan(plan::Args),
    /// Time between the tokens of running sequences while a long prompt of another run is prefilled
    Gap(gap::Args),
    /// How well a model foretells a text, counted as llama.cpp's llama-perplexity does
    Perplexity(perplexity::Args),
}

#[derive(Debug, clap::Args)]
struct ModelArgs {
    /// Model of the catalog, or a GGUF file
    #[arg(long, value_name = "NAME|PATH")]
    model: String,
    /// Tokens of the prompts to prefill [default: 128,512]
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    prompt: Option<Vec<usize>>,
    /// Tokens to generate
    #[arg(long, value_name = "N", default_value_t = ModelBench::default().n_generate)]
    generate: usize,
    /// Numbers of sequences that decode at once [default: 1,4,8,16]
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    batch: Option<Vec<usize>>,
    /// Tokens that sequences have before they decode [default: 0,512; with one --prompt, 0 and its tokens]
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    depth: Option<Vec<usize>>,
    /// Whether these are the same for all of them [default: shared]
    #[arg(long, value_name = "PREFIX,…", value_delimiter = ',')]
    prefix: Option<Vec<PrefixName>>,
    /// Every case where nothing else is said: prompts of 128,512,2048; 1,2,4,8,16,32 sequences; depths of 0,512,2048; both
    /// kinds of prefix
    #[arg(long)]
    full: bool,
    /// How often to measure each case
    #[arg(long, value_name = "N", default_value_t = ModelBench::default().n_samples)]
    samples: usize,
    /// Measure another engine on the same file, in turns with this one
    #[arg(long, value_name = "NAME")]
    peer: Option<PeerName>,
    /// Print one JSON object on stdout: {model, machine, load, rows: [{test, engine, sequences, depth, prefix, tokens_per_s,
    /// spread, samples}]}
    #[arg(long)]
    json: bool,
    /// Print the rows as CSV on stdout, the samples separated by spaces
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum PeerName {
    /// candle's own quantized models, which run one sequence at a time
    Candle,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum PrefixName {
    /// All sequences go on from the same tokens
    Shared,
    /// Each goes on from tokens of its own
    Own,
}

impl ModelArgs {
    /// What was typed, and for the rest the usual or the full choice.
    fn plan(&self) -> ModelBench {
        let base = if self.full { ModelBench::full() } else { ModelBench::default() };
        let plain_depth = match self.prompt.as_deref() {
            Some(&[n_prompt]) => n_prompt,
            _ => base.plain_depth,
        };
        let depths = if self.full { base.depths } else { vec![0, plain_depth] };
        let prefix = |name: &PrefixName| match name {
            PrefixName::Shared => Prefix::Shared,
            PrefixName::Own => Prefix::Own,
        };
        let prefixes = self.prefix.as_ref().map(|names| names.iter().map(prefix).collect());
        ModelBench {
            prompts: self.prompt.clone().unwrap_or(base.prompts),
            n_generate: self.generate,
            widths: self.batch.clone().unwrap_or(base.widths),
            depths: self.depth.clone().unwrap_or(depths),
            prefixes: prefixes.unwrap_or(base.prefixes),
            plain_depth,
            n_samples: self.samples,
        }
    }
}

/// Runs the command.
pub fn run(args: Args, settings: &Settings) -> Result<(), Failure> {
    match args.command {
        Command::Model(args) => model(args, settings),
        Command::Workflow(args) => workflow::run(args, settings),
        Command::Plan(args) => plan::run(args, settings),
        Command::Gap(args) => gap::run(args, settings),
        Command::Perplexity(args) => perplexity::run(args, settings),
    }
}

fn model(args: ModelArgs, settings: &Settings) -> Result<(), Failure> {
    let plan = args.plan();
    let path = transfer::ensure(Some(&args.model), settings)?.path;
    let began = Instant::now();
    // Whether what a model says of random tokens repeats itself is luck, and no speed of the machine.
    let features = Features { draft: false, ..Features::default() };
    let options = EngineOptions { features, ..args.engine.options(settings) };
    let engine = loading::open(Some(&args.model), settings, &options)?;
    let load = json!({ "seconds": began.elapsed().as_secs_f64(), "mapped": engine.kept().mapped.is_some() });
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
        return render::json_to_stdout(&json!({ "model": args.model, "machine": machine, "load": load, "rows": rows }));
    }
    if args.csv {
        return render::to_stdout(&csv(&rows));
    }
    render::to_stdout(&table(&rows, Style::stdout()))
}

/// One line per row below a line of titles.
fn csv(rows: &[Row]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let titles = ["test", "engine", "sequences", "depth", "prefix", "tokens_per_s", "spread", "samples"];
    let written = std::iter::once(titles.map(str::to_owned))
        .chain(rows.iter().map(fields))
        .try_for_each(|fields| writer.write_record(fields));
    written.expect("every record has as many fields, and memory takes them all");
    String::from_utf8(writer.into_inner().expect("memory takes all of it")).expect("the fields are text")
}

fn fields(row: &Row) -> [String; 8] {
    let samples: Vec<String> = row.samples.iter().map(|sample| format!("{sample:.3}")).collect();
    let prefix = match row.prefix {
        Some(Prefix::Shared) => "shared",
        Some(Prefix::Own) => "own",
        None => "",
    };
    [
        row.test.clone(),
        row.engine.to_owned(),
        row.sequences.to_string(),
        row.depth.to_string(),
        prefix.to_owned(),
        format!("{:.3}", row.tokens_per_s),
        format!("{:.4}", row.spread),
        samples.join(" "),
    ]
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
            bench::Error::Memory { .. } => {
                return Self::from_error(Kind::Usage, &error)
                    .hint("give it more memory, --kv-memory 4G, or choose fewer sequences or tokens");
            }
            bench::Error::Context { .. }
            | bench::Error::Zero { .. }
            | bench::Error::Text { .. }
            | bench::Error::Cases(_) => Kind::Usage,
            bench::Error::Engine(_) | bench::Error::Peer(_) | bench::Error::Endpoint(_) => Kind::Machine,
        };
        Self::from_error(kind, &error)
    }
}
