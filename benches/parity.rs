//! Prints how far Partita's next-token distributions are from llama.cpp's on the same model files.
//!
//! `cargo bench --bench parity -- [--exact] [--golden DIR] MODEL.gguf…` with `PARTITA_LLAMA` naming a llama.cpp source
//! folder that was built in its `build` folder. Each model reads `tests/data/parity.txt` (prose, code, JSON) and two other
//! texts that show how far the figures depend on the text; then come the seeded models of every family (`f32` weights: no rounding in between) and every encoding. Without `PARTITA_LLAMA` the seeded models run against their golden
//! files. `--golden DIR` writes golden files from what llama.cpp says; those of real models with `--exact` only.
//!
//! Both programs round activations to 8 bits by default, so neither is the truth: the rounding alone changes the
//! likeliest token at some positions. The other rows take that apart: Partita with activations of 16 bits, llama.cpp
//! with attention in `f32`, and, with `--exact` (takes 4 bytes per weight of disk), llama.cpp on the same weights decoded
//! to `f32`, where it rounds nothing. How far llama.cpp's default is from that is what no other program can undercut.
//!
//! Unit: KL(reference || other) in nats per position; share of positions with the same likeliest token.

#![allow(clippy::print_stdout)]

#[path = "../tests/support/figures.rs"]
mod figures;

use std::error::Error;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use figures::{Figures, Golden, all_logits};
use partita::gguf::Gguf;
use partita::model::{LoadOptions, Model, tiny};
use partita::tokenizer::{Special, Tokenizer};
use partita::types::{Dtype, Precision, Token};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The text that the figures are about, and that golden files begin with: prose, code and JSON.
const TEXT: &str = include_str!("../tests/data/parity.txt");
/// Texts that put its figures in proportion. The second one replaced `TEXT` for a while after the figures on `TEXT`
/// had been seen: it is more regular, agreement on it is higher, and no claim may rest on it.
const OTHERS: [(&str, &[&str]); 2] = [
    (
        "files of this repository",
        &[
            include_str!("../README.md"),
            include_str!("../src/cache/block.rs"),
            include_str!("../tests/data/tokenizer/conversations.json"),
        ],
    ),
    ("regular text, chosen after the first row was seen", &[include_str!("../tests/data/parity-regular.txt")]),
];
/// Bytes of each file of another text.
const N_BYTES: usize = 2500;
/// Context of both programs; some rotations depend on it.
const N_CTX: usize = 2048;
const CHUNK: usize = 128;
/// Tokens of a real model's golden file.
const N_GOLDEN: usize = 192;

struct Arguments {
    models: Vec<PathBuf>,
    golden: Option<PathBuf>,
    exact: bool,
}

fn main() -> Result<()> {
    let arguments = arguments();
    let Some(llama) = std::env::var_os("PARTITA_LLAMA") else {
        println!("PARTITA_LLAMA names no llama.cpp folder: seeded models against their golden files only");
        return against_golden();
    };
    let scratch = tempfile::tempdir()?;
    let peer = Peer::build(Path::new(&llama), scratch.path())?;
    for path in &arguments.models {
        real_model(&peer, path, &arguments)?;
    }
    for (name, spec) in [tiny::families(Dtype::F32), tiny::encodings()].concat() {
        seeded_model(&peer, name, &spec, &arguments)?;
    }
    Ok(())
}

fn arguments() -> Arguments {
    let mut given = std::env::args_os().skip(1);
    let mut arguments = Arguments { models: Vec::new(), golden: None, exact: false };
    while let Some(argument) = given.next() {
        match argument.to_str() {
            Some("--golden") => arguments.golden = given.next().map(PathBuf::from),
            Some("--exact") => arguments.exact = true,
            // What cargo itself passes on.
            Some(option) if option.starts_with("--") => {}
            _ => arguments.models.push(argument.into()),
        }
    }
    arguments
}

fn real_model(peer: &Peer, path: &Path, arguments: &Arguments) -> Result<()> {
    let gguf = Gguf::open(path)?;
    let tokens = Tokenizer::from_gguf(gguf.metadata())?.encode(TEXT, Special::AsText);
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let golden_name = Golden::name(&gguf).ok_or("a model without general.name has no golden file")?;
    let reference = peer.logits(path, &tokens, "auto")?;
    let n_vocab = reference.len() / tokens.len();
    let gguf = Arc::new(gguf);
    let ours = our_logits(&gguf, &tokens, Precision::Bits8)?;
    let fine = our_logits(&gguf, &tokens, Precision::Bits16)?;
    let compare = |what: &str, reference: &[f32], other: &[f32]| {
        println!("{name:<14} {what:<46} {}", Figures::between(reference, other, n_vocab));
    };
    compare("llama.cpp || partita", &reference, &ours);
    let precise = peer.logits(path, &tokens, "exact")?;
    compare("llama.cpp || partita, 16 bits", &reference, &fine);
    compare("llama.cpp || llama.cpp, f32 attention", &reference, &precise);
    compare("llama.cpp, f32 attention || partita", &precise, &ours);
    compare("llama.cpp, f32 attention || partita, 16 bits", &precise, &fine);
    if arguments.exact {
        let decoded = peer.decode(path)?;
        let exact = peer.logits(&decoded, &tokens, "exact")?;
        std::fs::remove_file(decoded)?;
        compare("llama.cpp, all f32 || partita, 16 bits", &exact, &fine);
        compare("llama.cpp, all f32 || partita", &exact, &ours);
        compare("llama.cpp, all f32 || llama.cpp", &exact, &reference);
        compare("llama.cpp, all f32 || llama.cpp, f32 attention", &exact, &precise);
        if let Some(folder) = &arguments.golden {
            let golden = Golden::new(&tokens[..N_GOLDEN], &exact[..N_GOLDEN * n_vocab], 6);
            std::fs::write(folder.join(format!("{golden_name}.txt")), golden.to_text())?;
        }
    }
    for (what, files) in OTHERS {
        other_text(peer, path, what, files)?;
    }
    Ok(())
}

/// One row over the beginnings of `files`.
fn other_text(peer: &Peer, path: &Path, what: &str, files: &[&str]) -> Result<()> {
    let gguf = Gguf::open(path)?;
    let head =
        |file: &&str| file.char_indices().take_while(|(at, _)| *at < N_BYTES).map(|(_, c)| c).collect::<String>();
    let text: String = if files.len() == 1 { files[0].to_owned() } else { files.iter().map(head).collect() };
    let mut tokens = Tokenizer::from_gguf(gguf.metadata())?.encode(&text, Special::AsText);
    tokens.truncate(N_CTX);
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let reference = peer.logits(path, &tokens, "auto")?;
    let ours = our_logits(&Arc::new(gguf), &tokens, Precision::Bits8)?;
    let figures = Figures::between(&reference, &ours, reference.len() / tokens.len());
    println!("{name:<14} {:<46} {figures} ({} positions; {what})", "llama.cpp || partita", tokens.len());
    Ok(())
}

fn seeded_model(peer: &Peer, name: &str, spec: &tiny::TinySpec, arguments: &Arguments) -> Result<()> {
    let path = peer.scratch.join("tiny.gguf");
    tiny::write(&path, spec)?;
    let tokens = tiny::bytes_as_tokens(TEXT, spec.n_ctx);
    let reference = peer.logits(&path, &tokens, "auto")?;
    let ours = our_logits(&Arc::new(Gguf::open(&path)?), &tokens, Precision::Bits8)?;
    let figures = Figures::between(&reference, &ours, tiny::N_VOCAB);
    println!("seeded {name:<14} {figures}");
    if let Some(folder) = &arguments.golden {
        std::fs::write(folder.join(format!("tiny-{name}.txt")), Golden::new(&tokens, &reference, 24).to_text())?;
    }
    Ok(())
}

fn our_logits(gguf: &Arc<Gguf>, tokens: &[Token], precision: Precision) -> Result<Vec<f32>> {
    let options = LoadOptions { n_ctx: Some(N_CTX), precision, ..LoadOptions::default() };
    Ok(all_logits(&Model::load(gguf, options)?, tokens, CHUNK)?)
}

fn against_golden() -> Result<()> {
    for (name, spec) in [tiny::families(Dtype::F32), tiny::encodings()].concat() {
        let Ok(golden) = Golden::load(&format!("tiny-{name}")) else {
            println!("seeded {name:<14} has no golden file");
            continue;
        };
        let gguf = Gguf::from_bytes(name, tiny::to_bytes(&spec))?;
        println!(
            "seeded {name:<14} {}",
            golden.compare(&our_logits(&Arc::new(gguf), &golden.tokens, Precision::Bits8)?)
        );
    }
    Ok(())
}

/// The programs of `tests/peer`, compiled against a llama.cpp build.
struct Peer {
    scratch: PathBuf,
}

impl Peer {
    fn build(llama: &Path, scratch: &Path) -> Result<Self> {
        let libraries = llama.join("build/bin");
        for program in ["llama_logits", "llama_decode"] {
            let source = format!("{}/tests/peer/{program}.c", env!("CARGO_MANIFEST_DIR"));
            let mut command = Command::new("cc");
            command.args(["-O1", "-o"]).arg(scratch.join(program)).arg(&source);
            command.arg("-I").arg(llama.join("include")).arg("-I").arg(llama.join("ggml/include"));
            command.arg("-L").arg(&libraries).args(["-lllama", "-lggml", "-lggml-base", "-lggml-cpu"]);
            command.arg(format!("-Wl,-rpath,{}", libraries.display()));
            if !command.status()?.success() {
                return Err(format!("{source} does not build against {}", llama.display()).into());
            }
        }
        Ok(Self { scratch: scratch.to_owned() })
    }

    /// `[tokens.len(), n_vocab]`.
    fn logits(&self, model: &Path, tokens: &[Token], flash_attention: &str) -> Result<Vec<f32>> {
        let (input, output) = (self.scratch.join("tokens"), self.scratch.join("logits"));
        std::fs::write(&input, tokens.iter().flat_map(|token| token.to_ne_bytes()).collect::<Vec<u8>>())?;
        let n_ctx = N_CTX.to_string();
        let arguments = [model.as_os_str(), input.as_ref(), output.as_ref(), n_ctx.as_ref(), flash_attention.as_ref()];
        self.run("llama_logits", &arguments)?;
        let bytes = std::fs::read(output)?;
        Ok(bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_ne_bytes(*bytes)).collect())
    }

    /// A copy of the model with its weights in `f32`.
    fn decode(&self, model: &Path) -> Result<PathBuf> {
        let decoded = self.scratch.join("decoded.gguf");
        self.run("llama_decode", &[model.as_os_str(), decoded.as_ref()])?;
        Ok(decoded)
    }

    fn run(&self, program: &str, arguments: &[&OsStr]) -> Result<()> {
        let status = Command::new(self.scratch.join(program)).args(arguments).status()?;
        if status.success() { Ok(()) } else { Err(format!("{program} {arguments:?} ended with {status}").into()) }
    }
}
