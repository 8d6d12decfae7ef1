//! `partita models`: the catalog, and what of it is on this machine.

use std::path::Path;

use serde_json::{Value as Json, json};

use super::render::{self, Style, Tone};
use super::transfer::{self, Transfer};
use super::{Failure, Kind, Settings};
use crate::catalog::{self, Catalog, Error, Listed, Located, Manifest, Place};
use crate::gguf::Gguf;

/// List, fetch, verify, show and remove models
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// The catalog, and what of it is on this machine
    List {
        /// Print a JSON array
        #[arg(long)]
        json: bool,
    },
    /// Fetch a model and check its digest; prints the path of its file
    Pull {
        /// Name in the catalog [default: the catalog's default model]
        #[arg(value_name = "MODEL")]
        model: Option<String>,
    },
    /// Read a model's file again and compare its digest
    Verify {
        /// Name in the catalog, or a GGUF file
        #[arg(value_name = "MODEL")]
        model: String,
    },
    /// What is known about a model
    Show {
        /// Name in the catalog, or a GGUF file
        #[arg(value_name = "MODEL")]
        model: String,
        /// Print a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Remove a model from this machine
    Rm {
        /// Name in the catalog
        #[arg(value_name = "MODEL")]
        model: String,
    },
}

/// Runs the command.
pub fn run(args: Args, settings: &Settings) -> Result<(), Failure> {
    match args.command {
        Command::List { json } => list(json, settings),
        Command::Pull { model } => pull(model.as_deref(), settings),
        Command::Verify { model } => verify(&model, settings),
        Command::Show { model, json } => show(&model, json, settings),
        Command::Rm { model } => rm(&model, settings),
    }
}

fn list(json: bool, settings: &Settings) -> Result<(), Failure> {
    let listed = catalog::list(&transfer::with_sources(settings))?;
    if json {
        return render::json_to_stdout(&listed);
    }
    render::to_stdout(&table(&listed, Style::stdout(), render::width()))
}

fn table(listed: &[Listed], style: Style, width: usize) -> String {
    let head = ["NAME", "PARAMETERS", "QUANTIZATION", "SIZE", "LICENCE", "VERIFIED", "HERE"];
    let mut rows = vec![head.map(|title| style.paint(Tone::Faint, title))];
    rows.extend(listed.iter().map(|model| {
        let manifest = &model.manifest;
        [
            manifest.name.clone(),
            render::clean(&manifest.parameters),
            render::clean(&manifest.quantization),
            manifest.bytes.map_or("?".to_owned(), render::bytes),
            render::clean(&manifest.licence),
            if manifest.verified { "yes" } else { "no" }.to_owned(),
            here(model, style),
        ]
    }));
    render::table(&rows, &[3], width)
}

fn here(model: &Listed, style: Style) -> String {
    match (model.place, model.partial_bytes) {
        (Some(Place::Home), _) => style.paint(Tone::Good, "data folder"),
        (Some(Place::HubCache), _) => style.paint(Tone::Good, "hub cache"),
        (None, 0) => "-".to_owned(),
        (None, bytes) => style.paint(Tone::Notice, &format!("{} fetched", render::bytes(bytes))),
    }
}

fn pull(model: Option<&str>, settings: &Settings) -> Result<(), Failure> {
    let located = transfer::ensure(model, settings)?;
    render::to_stdout(&located.path.display().to_string())
}

fn verify(model: &str, settings: &Settings) -> Result<(), Failure> {
    let located = catalog::resolve(model, &transfer::with_sources(settings))?;
    let mut transfer = Transfer::new();
    let verified = catalog::verify(&located, &mut |progress| transfer.tell(progress));
    transfer.end();
    let verified = verified?;
    let verdict = if verified.compared { "as stated" } else { "nothing states what it should be" };
    let (path, bytes) = (verified.path.display(), render::thousands(verified.bytes as usize));
    render::to_stdout(&format!("{path}: {bytes} bytes, sha256 {} ({verdict})", verified.sha256))
}

fn show(model: &str, json: bool, settings: &Settings) -> Result<(), Failure> {
    let settings = transfer::with_sources(settings);
    let (manifest, path) = match catalog::resolve(model, &settings) {
        Ok(Located { path, manifest }) => (manifest, Some(path)),
        Err(Error::Absent { name }) => (Catalog::load(&settings.home)?.find(&name).cloned(), None),
        Err(error) => return Err(error.into()),
    };
    let gguf = path.as_deref().map(Gguf::open).transpose();
    let gguf = gguf.map_err(|error| Failure::from_error(Kind::Machine, &error))?;
    if json {
        let header = gguf.as_ref().map(header);
        return render::json_to_stdout(&json!({ "manifest": manifest, "path": path, "gguf": header }));
    }
    let text = format!("{}{}", about(manifest.as_ref(), path.as_deref()), gguf.as_ref().map_or(String::new(), summary));
    render::to_stdout(&render::clean(&text))
}

/// What the catalog says, one line each.
fn about(manifest: Option<&Manifest>, path: Option<&Path>) -> String {
    let mut rows: Vec<[String; 2]> = Vec::new();
    let mut row = |title: &str, value: String| rows.push([title.to_owned(), value]);
    if let Some(manifest) = manifest {
        row("name", manifest.name.clone());
        row("aliases", manifest.aliases.join(", "));
        row("family", manifest.family.clone());
        row("parameters", manifest.parameters.clone());
        row("quantization", manifest.quantization.clone());
        row("licence", manifest.licence.clone());
        row("context", render::thousands(manifest.context as usize));
        row("size", manifest.bytes.map_or("unknown".to_owned(), render::bytes));
        row("sha256", manifest.sha256.clone().unwrap_or("unknown".to_owned()));
        row("verified", if manifest.verified { "yes: run here" } else { "no: not run here yet" }.to_owned());
        for source in &manifest.sources {
            row("source", source.label());
        }
    }
    row("file", path.map_or("not on this machine".to_owned(), |path| path.display().to_string()));
    render::table(&rows, &[], usize::MAX)
}

/// What the file's header says, one line each.
fn summary(gguf: &Gguf) -> String {
    let metadata = gguf.metadata();
    let row = |key: &str| [key.to_owned(), metadata.describe(key).unwrap_or_default().replace('\n', "\\n")];
    let rows: Vec<[String; 2]> = metadata.keys().map(row).collect();
    let tensors = encodings(gguf).into_iter().map(|(name, n)| format!("{n} {name}")).collect::<Vec<_>>().join(", ");
    format!("\n{}\n{} tensors: {tensors}\n", render::table(&rows, &[], usize::MAX), gguf.tensors().len())
}

fn header(gguf: &Gguf) -> Json {
    let metadata = gguf.metadata();
    let metadata: serde_json::Map<String, Json> =
        metadata.keys().map(|key| (key.to_owned(), json!(metadata.describe(key)))).collect();
    let tensors: serde_json::Map<String, Json> =
        encodings(gguf).into_iter().map(|(name, n)| (name.to_owned(), json!(n))).collect();
    json!({ "bytes": gguf.n_bytes(), "metadata": metadata, "tensors": tensors })
}

/// How many tensors there are of each encoding, the most frequent first.
fn encodings(gguf: &Gguf) -> Vec<(&'static str, usize)> {
    let mut counts: Vec<(&'static str, usize)> = Vec::new();
    for tensor in gguf.tensors() {
        match counts.iter_mut().find(|(name, _)| *name == tensor.dtype.name()) {
            Some((_, n)) => *n += 1,
            None => counts.push((tensor.dtype.name(), 1)),
        }
    }
    counts.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    counts
}

fn rm(model: &str, settings: &Settings) -> Result<(), Failure> {
    let settings = transfer::with_sources(settings);
    let catalog = Catalog::load(&settings.home)?;
    let manifest = catalog
        .find(model)
        .ok_or_else(|| Error::Unknown { name: model.to_owned(), nearest: catalog.nearest(model) })?;
    let removed = catalog::remove(manifest, &settings)?;
    let mut text = String::new();
    for path in &removed.paths {
        text += &format!("{}\n", path.display());
    }
    render::to_stdout(&format!("{text}freed {}", render::bytes(removed.bytes)))
}
