//! `partita memory`: what earlier runs left to later ones, to be looked at, taken along and forgotten.

use super::render::{self, Style, Tone};
use super::{Failure, Kind, Settings};
use crate::store::{Example, Store};

/// List, export and forget what worked in earlier runs
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Steps that worked, newest first
    List,
    /// All of it as JSON, one example a line
    Export,
    /// Forget one example, or all of them
    #[command(group = clap::ArgGroup::new("which").required(true).args(["id", "all"]))]
    Forget {
        /// Its number, as `list` shows it
        #[arg(value_name = "ID")]
        id: Option<i64>,
        /// Forget everything
        #[arg(long)]
        all: bool,
    },
}

/// Runs the command.
pub fn run(args: Args, settings: &Settings) -> Result<(), Failure> {
    let store = Store::open(&settings.home)?;
    match args.command {
        Command::List => list(&store.examples()?),
        Command::Export => export(&store.examples()?),
        Command::Forget { id, .. } => forget(&store, id),
    }
}

fn list(examples: &[Example]) -> Result<(), Failure> {
    if examples.is_empty() {
        render::to_stderr("nothing is remembered yet\n");
        return Ok(());
    }
    let style = Style::stdout();
    let mut rows = vec![["ID", "TOOL", "USED", "TASK"].map(|title| style.paint(Tone::Faint, title))];
    rows.extend(examples.iter().map(|example| {
        let task = format!("{}  {}", example.task, example.arguments);
        [example.id.to_string(), example.tool.clone(), example.n_used.to_string(), render::clean(task.trim_end())]
    }));
    render::to_stdout(&render::table(&rows, &[0, 2], render::width()))
}

fn export(examples: &[Example]) -> Result<(), Failure> {
    examples.iter().try_for_each(render::json_to_stdout)
}

fn forget(store: &Store, id: Option<i64>) -> Result<(), Failure> {
    match (store.forget_examples(id)?, id) {
        (0, Some(id)) => Err(Failure::new(Kind::Usage, format!("there is no example {id}"))
            .hint("`partita memory list` shows their numbers")),
        (n, _) => {
            render::to_stderr(&format!("forgot {n} {}\n", if n == 1 { "example" } else { "examples" }));
            Ok(())
        }
    }
}
