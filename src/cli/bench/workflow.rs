//! `partita bench workflow`: one workflow on the engine, or on a server for comparison.

use super::{show_line, show_progress};
use crate::bench::{WorkflowBench, WorkflowReport, run_workflow, run_workflow_at};
use crate::cli::loading::EngineArgs;
use crate::cli::{Failure, Settings, loading, render};
use crate::engine::{EngineOptions, Features};

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Model of the catalog, or a GGUF file; with --endpoint, the name that the server knows it by
    #[arg(long, value_name = "NAME|PATH")]
    model: String,
    /// Executors, all at once
    #[arg(long, value_name = "N", default_value_t = WorkflowBench::default().n_executors)]
    executors: usize,
    /// Tokens of the planner's prompt
    #[arg(long, value_name = "N", default_value_t = WorkflowBench::default().n_prefix)]
    prefix: usize,
    /// Tokens that an executor adds to the planner's
    #[arg(long, value_name = "N", default_value_t = WorkflowBench::default().n_tail)]
    tail: usize,
    /// Tokens that planner, executors and summarizer generate
    #[arg(long, value_name = "N", default_value_t = WorkflowBench::default().n_output)]
    output: usize,
    /// How often to measure; the sample with the median makespan is reported
    #[arg(long, value_name = "N", default_value_t = WorkflowBench::default().n_samples)]
    samples: usize,
    /// Executors only, all at once from a cold cache: no planner, no summarizer
    #[arg(long)]
    fan_out: bool,
    /// Measure a server with the OpenAI-compatible completions API instead, such as http://127.0.0.1:8080
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Turn something off, to see what it brings
    #[arg(long, value_name = "FEATURE,…", value_delimiter = ',')]
    without: Vec<Feature>,
    /// Print one JSON object on stdout
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engine: EngineArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Feature {
    /// Known prefixes are computed again
    Reuse,
    /// A prefix that another sequence is just computing is computed twice
    Join,
    /// Every token is drawn in a pass of its own
    Draft,
    /// What a grammar allows is found after the pass, which computes the logits of all tokens
    MaskAhead,
}

/// Runs the command.
pub fn run(args: Args, settings: &Settings) -> Result<(), Failure> {
    let plan = WorkflowBench {
        n_executors: args.executors,
        n_prefix: args.prefix,
        n_tail: args.tail,
        n_output: args.output,
        n_samples: args.samples,
        is_fan_out: args.fan_out,
    };
    let report = match &args.endpoint {
        Some(url) => run_workflow_at(url, &args.model, &plan, &mut show_progress),
        None => {
            let features = Features {
                reuse: !args.without.contains(&Feature::Reuse),
                join: !args.without.contains(&Feature::Join),
                draft: !args.without.contains(&Feature::Draft),
                mask_ahead: !args.without.contains(&Feature::MaskAhead),
            };
            let options = EngineOptions { features, ..args.engine.options(settings) };
            let engine = loading::open(Some(&args.model), settings, &options)?;
            run_workflow(&engine, &plan, &mut show_progress)
        }
    };
    show_line("");
    let report = report?;
    if args.json {
        return render::json_to_stdout(&serde_json::to_value(&report).unwrap_or_default());
    }
    render::to_stdout(&lines(&report))
}

fn list(values: &[f64]) -> String {
    let values: Vec<String> = values.iter().map(|value| format!("{value:.1}")).collect();
    if values.is_empty() { "unknown".into() } else { values.join(" ") }
}

fn lines(report: &WorkflowReport) -> String {
    let number = |value: Option<f64>, unit: &str| value.map_or("unknown".into(), |value| format!("{value:.1}{unit}"));
    let ratio = report.prefilled_tokens as f64 / report.distinct_tokens.max(1) as f64;
    let rows = [
        ["engine".into(), report.engine.clone()],
        [
            "makespan".into(),
            format!(
                "{:.2} s (plan {:.2}, executors {:.2}, summary {:.2})",
                report.makespan_s, report.plan_s, report.executors_s, report.summary_s
            ),
        ],
        [
            "prefilled".into(),
            format!("{} tokens, {} distinct, ratio {ratio:.3}", report.prefilled_tokens, report.distinct_tokens),
        ],
        [
            "decoded".into(),
            format!("{} tokens, {}", report.decoded_tokens, number(report.decode_tokens_per_s, " tokens/s")),
        ],
        [
            "occupancy".into(),
            format!(
                "{}; over time {}",
                number(report.occupancy, " sequences a pass"),
                list(&report.occupancy_over_time)
            ),
        ],
        ["tokens/s over time".into(), list(&report.rate_over_time)],
        [
            "gap between tokens".into(),
            format!(
                "median {}, p99 {}, longest {}",
                number(report.gap_p50_ms, " ms"),
                number(report.gap_p99_ms, " ms"),
                number(report.gap_max_ms, " ms")
            ),
        ],
        ["forced".into(), number(report.forced_share.map(|share| 100.0 * share), " % of the tokens")],
        ["guessed".into(), number(report.drafted_share.map(|share| 100.0 * share), " % of the tokens")],
        ["KV peak".into(), number(report.kv_peak_bytes.map(|n_bytes| n_bytes as f64 / 1e6), " MB")],
    ];
    render::table(&rows, &[], render::width())
}
