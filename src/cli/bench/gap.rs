//! `partita bench gap`: how steadily tokens come while somebody else's long prompt is prefilled.

use crate::bench::{GapBench, GapReport, run_gap};
use crate::cli::loading::EngineArgs;
use crate::cli::{Failure, Settings, loading, render};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Model of the catalog, or a GGUF file
    #[arg(long, value_name = "NAME|PATH")]
    model: String,
    /// Sequences that decode, each of a run of its own
    #[arg(long, value_name = "N", default_value_t = GapBench::default().n_sequences)]
    sequences: usize,
    /// Tokens of their prompts
    #[arg(long, value_name = "N", default_value_t = GapBench::default().n_prompt)]
    prompt: usize,
    /// Tokens of the prompt that comes while they decode
    #[arg(long, value_name = "N", default_value_t = GapBench::default().n_long)]
    long: usize,
    /// Print one JSON object on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

/// Runs the command.
pub fn run(args: Args, settings: &Settings) -> Result<(), Failure> {
    let plan = GapBench { n_sequences: args.sequences, n_prompt: args.prompt, n_long: args.long };
    let engine = loading::open(Some(&args.model), settings, &args.engine.options(settings))?;
    let report = run_gap(&engine, &plan)?;
    if args.json {
        return render::json_to_stdout(&serde_json::to_value(&report).unwrap_or_default());
    }
    render::to_stdout(&lines(&report))
}

fn lines(report: &GapReport) -> String {
    let rows = [
        ["long prompt".into(), format!("{:.2} s to its first token", report.long_s)],
        ["gap before".into(), format!("median {:.1} ms, longest {:.1} ms", report.quiet_p50_ms, report.quiet_max_ms)],
        [
            "gap meanwhile".into(),
            format!(
                "median {:.1} ms, p99 {:.1} ms, longest {:.1} ms ({} gaps)",
                report.busy_p50_ms, report.busy_p99_ms, report.busy_max_ms, report.n_busy
            ),
        ],
        ["longest".into(), format!("{:.2} times the median before", report.max_to_quiet)],
    ];
    render::table(&rows, &[], render::width())
}
