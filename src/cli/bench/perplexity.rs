//! `partita bench perplexity`: how well a model foretells a text.

use std::path::PathBuf;

use serde_json::json;

use super::show_line;
use crate::bench::{PerplexityBench, PerplexityReport, run_perplexity};
use crate::cli::{Failure, Kind, Settings, render, transfer};
use crate::types::Precision;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// Model of the catalog, or a GGUF file
    #[arg(long, value_name = "NAME|PATH")]
    model: String,
    /// Text to foretell, UTF-8; a line end at its end is not part of it
    #[arg(long, value_name = "FILE")]
    text: PathBuf,
    /// Tokens of a chunk; the second half of each is scored
    #[arg(long, value_name = "N", default_value_t = PerplexityBench::default().n_ctx)]
    ctx: usize,
    /// The most chunks to take [default: all]
    #[arg(long, value_name = "N")]
    chunks: Option<usize>,
    /// Compute with activations of 16 bits instead of 8
    #[arg(long)]
    precise: bool,
    /// Neither read nor write the file of packed weights beside the model; loading takes longer
    #[arg(long)]
    no_packed_file: bool,
    /// Print one JSON object on stdout: {model, perplexity, error, n_ctx, n_chunks, n_scored, n_tokens, seconds}
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(args: Args, settings: &Settings) -> Result<(), Failure> {
    let text = std::fs::read_to_string(&args.text).map_err(|error| {
        Failure::new(Kind::Usage, format!("reading {}: {error}", args.text.display())).hint("name a file of UTF-8 text")
    })?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let plan = PerplexityBench {
        n_ctx: args.ctx,
        n_chunks: args.chunks,
        precision: if args.precise { Precision::Bits16 } else { Precision::Bits8 },
        packed_home: (!args.no_packed_file).then(|| settings.home.clone()),
    };
    let path = transfer::ensure(Some(&args.model), settings)?.path;
    let report = run_perplexity(&path, text, &plan, &mut |done, all, perplexity| {
        show_line(&format!("{done} of {all} chunks, perplexity {perplexity:.4}"));
    });
    show_line("");
    let report = report?;
    report.warnings.iter().for_each(|warning| render::warn(warning));
    if args.json {
        let mut object = json!({ "model": args.model });
        if let (Some(object), Ok(serde_json::Value::Object(figures))) =
            (object.as_object_mut(), serde_json::to_value(&report))
        {
            object.extend(figures);
        }
        return render::json_to_stdout(&object);
    }
    render::to_stdout(&lines(&report))
}

fn lines(report: &PerplexityReport) -> String {
    let n_run = report.n_chunks * report.n_ctx;
    let rows = [
        ["perplexity", &format!("{:.4} +/- {:.5}", report.perplexity, report.error)],
        ["chunks", &format!("{} of {} tokens; {} tokens scored", report.n_chunks, report.n_ctx, report.n_scored)],
        ["time", &format!("{:.1} s, {:.0} tokens/s", report.seconds, n_run as f64 / report.seconds.max(1e-9))],
    ];
    render::table(&rows.map(|row| row.map(str::to_owned)), &[], render::width())
}
