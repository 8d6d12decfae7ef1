//! Prints how far Partita's next-token distributions are from llama.cpp's on the same model files.
//!
//! `cargo bench --bench parity -- [--golden DIR] MODEL.gguf…` with `PARTITA_LLAMA` naming a llama.cpp source folder
//! that was built in its `build` folder. Each model reads `tests/data/parity.txt` (prose, code, JSON); then come the
//! seeded models of every family. Without `PARTITA_LLAMA` only the seeded models run, against the golden files.
//! `--golden DIR` writes golden files from what llama.cpp says.
//!
//! Unit: KL(llama.cpp || Partita) in nats per position; share of positions with the same likeliest token.

#![allow(clippy::print_stdout)]

#[path = "../tests/support/figures.rs"]
mod figures;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use figures::{Figures, Golden, all_logits, kl, top};
use partita::gguf::Gguf;
use partita::model::{LoadOptions, Model, tiny};
use partita::tokenizer::{Special, Tokenizer};
use partita::types::Token;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const TEXT: &str = include_str!("../tests/data/parity.txt");
/// Context of both programs; some rotations depend on it.
const N_CTX: usize = 1024;
const CHUNK: usize = 128;
/// Tokens of a real model's golden file.
const N_GOLDEN: usize = 192;

fn main() -> Result<()> {
    let (models, golden) = arguments();
    let scratch = tempfile::tempdir()?;
    let peer =
        std::env::var_os("PARTITA_LLAMA").map(|llama| Peer::build(Path::new(&llama), scratch.path())).transpose()?;
    let Some(peer) = peer else {
        println!("PARTITA_LLAMA names no llama.cpp folder: seeded models against the golden files only");
        return against_golden();
    };
    for path in &models {
        let gguf = Gguf::open(path)?;
        let tokens = Tokenizer::from_gguf(gguf.metadata())?.encode(TEXT, Special::AsText);
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let logits = peer.logits(path, &tokens)?;
        report(&name, gguf, &tokens, &logits)?;
        if let Some(folder) = &golden {
            let n_vocab = logits.len() / tokens.len();
            let short = Golden::new(&tokens[..N_GOLDEN], &logits[..N_GOLDEN * n_vocab], 6);
            std::fs::write(folder.join(format!("{name}.txt")), short.to_text())?;
        }
    }
    for (name, spec) in tiny::families() {
        let path = scratch.path().join("tiny.gguf");
        tiny::write(&path, &spec)?;
        let tokens = tiny::bytes_as_tokens(TEXT, spec.n_ctx.min(600));
        let logits = peer.logits(&path, &tokens)?;
        report(name, Gguf::open(&path)?, &tokens, &logits)?;
        if let Some(folder) = &golden {
            std::fs::write(folder.join(format!("tiny-{name}.txt")), Golden::new(&tokens, &logits, 24).to_text())?;
        }
    }
    Ok(())
}

fn arguments() -> (Vec<PathBuf>, Option<PathBuf>) {
    let mut arguments = std::env::args_os().skip(1);
    let (mut models, mut golden) = (Vec::new(), None);
    while let Some(argument) = arguments.next() {
        if argument == "--golden" {
            golden = arguments.next().map(PathBuf::from);
        } else if !argument.to_string_lossy().starts_with("--") {
            models.push(argument.into());
        }
    }
    (models, golden)
}

fn report(name: &str, gguf: Gguf, tokens: &[Token], reference: &[f32]) -> Result<()> {
    let options = LoadOptions { n_ctx: Some(N_CTX), ..LoadOptions::default() };
    let model = Model::load(&Arc::new(gguf), options)?;
    let n_vocab = model.config().n_vocab;
    let ours = all_logits(&model, tokens, CHUNK)?;
    let mut figures = Figures::default();
    for (reference, ours) in reference.chunks_exact(n_vocab).zip(ours.chunks_exact(n_vocab)) {
        figures.add(kl(reference, ours), top(reference) == top(ours));
    }
    println!("{name:<32} {figures}");
    Ok(())
}

fn against_golden() -> Result<()> {
    for (name, spec) in tiny::families() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/golden/tiny-{name}.txt"));
        let golden = Golden::parse(&std::fs::read_to_string(file)?).ok_or("the golden file cannot be read")?;
        let gguf = Arc::new(Gguf::from_bytes(name, tiny::to_bytes(&spec))?);
        let model = Model::load(&gguf, LoadOptions { n_ctx: Some(N_CTX), ..LoadOptions::default() })?;
        println!("{name:<32} {}", golden.compare(&all_logits(&model, &golden.tokens, CHUNK)?));
    }
    Ok(())
}

/// `tests/peer/llama_logits.c`, compiled against a llama.cpp build.
struct Peer {
    program: PathBuf,
    scratch: PathBuf,
}

impl Peer {
    fn build(llama: &Path, scratch: &Path) -> Result<Self> {
        let program = scratch.join("llama_logits");
        let libraries = llama.join("build/bin");
        let status = Command::new("cc")
            .args(["-O1", "-o"])
            .arg(&program)
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peer/llama_logits.c"))
            .arg("-I")
            .arg(llama.join("include"))
            .arg("-I")
            .arg(llama.join("ggml/include"))
            .arg("-L")
            .arg(&libraries)
            .args(["-lllama", "-lggml", "-lggml-base", "-lggml-cpu"])
            .arg(format!("-Wl,-rpath,{}", libraries.display()))
            .status()?;
        if !status.success() {
            return Err(format!("tests/peer/llama_logits.c does not build against {}", llama.display()).into());
        }
        Ok(Self { program, scratch: scratch.to_owned() })
    }

    /// `[tokens.len(), n_vocab]`.
    fn logits(&self, model: &Path, tokens: &[Token]) -> Result<Vec<f32>> {
        let (input, output) = (self.scratch.join("tokens"), self.scratch.join("logits"));
        std::fs::write(&input, tokens.iter().flat_map(|token| token.to_ne_bytes()).collect::<Vec<u8>>())?;
        let status = Command::new(&self.program).arg(model).arg(input).arg(&output).arg(N_CTX.to_string()).status()?;
        if !status.success() {
            return Err(format!("llama.cpp does not run {}", model.display()).into());
        }
        let bytes = std::fs::read(output)?;
        Ok(bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_ne_bytes(*bytes)).collect())
    }
}
