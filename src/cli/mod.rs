//! The command line: what was typed becomes [`Settings`] and one call into the library.
//!
//! Invariants: results go to stdout, progress and errors to stderr; a kind, a hint and an exit code are
//! assigned here and nowhere else; a reader that goes away (`partita runs | head`) is not an error.
//! Must not know: how anything is done. A file of this folder holds the arguments of one command and the
//! call that serves it.

mod answer;
mod bench;
mod config;
mod exit;
mod generate;
mod loading;
mod memory;
mod models;
mod plan;
mod render;
mod resume;
mod run;
mod runs;
mod session;
mod settings;
mod show;
mod transfer;
mod view;

#[cfg(test)]
mod tests;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::kernel;

pub use exit::{Failure, Kind};
pub use settings::Settings;

/// One goal in, finished work out: plans a goal, executes it with local tools and answers, offline,
/// on an open model.
#[derive(Debug, Parser)]
#[command(name = "partita", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = "Exit codes: 0 completed, 2 usage, 3 goal failed, 4 needs input, 5 model or machine, \
                        130 interrupted.")]
struct Cli {
    #[command(flatten)]
    settings: settings::Args,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    Plan(plan::Args),
    Resume(resume::Args),
    Answer(answer::Args),
    Generate(generate::Args),
    Models(models::Args),
    Memory(memory::Args),
    Runs(runs::Args),
    Show(show::Args),
    Bench(bench::Args),
    /// The sandboxed child process of the `script` tool; speaks over stdin and stdout.
    #[command(name = "__script-child", hide = true)]
    ScriptChild,
}

/// Runs the command line of this process and returns its exit code.
pub fn main() -> ExitCode {
    kernel::keep_freed_memory();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return exit::reject(&error),
    };
    match dispatch(cli) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

fn dispatch(cli: Cli) -> Result<ExitCode, Failure> {
    if matches!(cli.command, Command::ScriptChild) {
        return Ok(crate::tool::script::child_main());
    }
    let settings = Settings::new(cli.settings)?;
    match cli.command {
        Command::Run(args) => run::run(args, &settings),
        Command::Plan(args) => plan::run(args, &settings),
        Command::Resume(args) => resume::run(args, &settings),
        Command::Answer(args) => answer::run(args, &settings),
        Command::Generate(args) => generate::run(args, &settings),
        Command::Models(args) => models::run(args, &settings),
        Command::Memory(args) => memory::run(args, &settings),
        Command::Runs(args) => runs::run(args, &settings),
        Command::Show(args) => show::run(args, &settings),
        Command::Bench(args) => bench::run(args, &settings),
        Command::ScriptChild => Ok(()), // served above: it needs no settings
    }
    .map(|()| ExitCode::SUCCESS)
}
