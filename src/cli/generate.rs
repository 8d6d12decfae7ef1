//! `partita generate`: one completion, streamed.
//!
//! Everything that was typed is checked before the model is loaded. Ctrl-C ends the sequence in good order: what was
//! generated is on stdout, also as JSON, and the exit code says so; a second Ctrl-C does not wait.

use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use super::loading::EngineArgs;
use super::render::{self, Style, Tone};
use super::{Failure, Kind, Settings, loading};
use crate::engine::{self, Completion, Delta, Engine, Prompt, Request, TokenStream};
use crate::sample::Sampler;
use crate::tokenizer::{Special, Tokenizer};
use crate::types::{Grammar, Message, Role, Sampling, Token};

/// Complete one prompt
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The prompt; `-` or nothing reads it from stdin
    #[arg(value_name = "PROMPT")]
    pub prompt: Option<String>,
    /// Model of the catalog, or a GGUF file [default: the catalog's default model]
    #[arg(long, value_name = "NAME|PATH", env = "PARTITA_MODEL", hide_env_values = true)]
    pub model: Option<String>,
    /// Standing instructions, put before the prompt
    #[arg(long, value_name = "TEXT", conflicts_with = "raw")]
    system: Option<String>,
    /// Continue the prompt as it is, without the model's chat template; control tokens may be spelled out in it
    #[arg(long)]
    raw: bool,
    /// The most tokens to generate
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: u32,
    /// Text that ends the generation and is cut off; may be given several times
    #[arg(long, value_name = "TEXT")]
    stop: Vec<String>,
    /// A JSON Schema, or the file that holds it: the output is one JSON value on one line that fits it
    #[arg(long, value_name = "FILE|JSON", conflicts_with = "grammar")]
    schema: Option<String>,
    /// A file with a Lark grammar that the output follows
    #[arg(long, value_name = "FILE")]
    grammar: Option<PathBuf>,
    /// Report every token with its log-probability and N alternatives
    #[arg(long, value_name = "N", requires = "json", value_parser = clap::value_parser!(u8).range(0..=50))]
    logprobs: Option<u8>,
    /// Print exactly one JSON object on stdout, at the end: {text, finish, usage, tokens}
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    sampling: SamplingArgs,
    #[command(flatten)]
    engine: EngineArgs,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Sampling")]
struct SamplingArgs {
    /// 0 takes the likeliest token
    #[arg(long, value_name = "T", default_value_t = 0.0)]
    temperature: f32,
    /// Keep the K likeliest tokens; 0 keeps all
    #[arg(long, value_name = "K", default_value_t = 0)]
    top_k: usize,
    /// Keep the likeliest tokens that reach probability P together
    #[arg(long, value_name = "P", default_value_t = 1.0)]
    top_p: f32,
    /// Drop tokens less likely than P times the likeliest
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    min_p: f32,
    /// Above 1: make tokens less likely that came lately
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    repetition_penalty: f32,
    /// Seed of the random numbers
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

/// Runs the command.
pub fn run(args: Args, settings: &Settings) -> Result<(), Failure> {
    let mut request = Request::new(Prompt::Tokens(Vec::new()), args.max_tokens as usize);
    request.sampling = args.sampling();
    Sampler::new(&request.sampling).map_err(|error| Failure::from(engine::Error::from(error)))?;
    request.grammar = args.grammar()?;
    request.stop = args.stop.clone();
    let prompt = args.prompt_text()?;
    let engine = loading::open(args.model.as_deref(), settings, &args.engine.options(settings))?;
    request.prompt = Prompt::Tokens(args.tokens(&prompt, &engine)?);
    let stream = engine.submit(request)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut output = Output::new(&args, engine.tokenizer());
    let (completion, is_interrupted) = runtime.block_on(follow(stream, &mut output))?;
    output.end(&completion)?;
    if is_interrupted {
        let n_tokens = completion.tokens.len();
        return Err(Failure::new(Kind::Interrupted, format!("interrupted after {n_tokens} tokens")));
    }
    Ok(())
}

impl Args {
    fn sampling(&self) -> Sampling {
        let SamplingArgs { temperature, top_k, top_p, min_p, repetition_penalty, seed } = self.sampling;
        let n_logprobs = usize::from(self.logprobs.unwrap_or(0));
        Sampling { temperature, top_k, top_p, min_p, repetition_penalty, seed, n_logprobs }
    }

    fn grammar(&self) -> Result<Option<Grammar>, Failure> {
        if let Some(path) = &self.grammar {
            return Ok(Some(Grammar::Lark(read_file(path)?)));
        }
        let Some(schema) = &self.schema else { return Ok(None) };
        let text = if schema.trim_start().starts_with('{') { schema.clone() } else { read_file(schema.as_ref())? };
        let parsed = serde_json::from_str(&text);
        let schema = parsed.map_err(|error| {
            Failure::new(Kind::Usage, format!("the schema is not JSON: {error}"))
                .hint("give a JSON Schema itself, or the path of a file that holds one")
        })?;
        Ok(Some(Grammar::JsonSchema(schema)))
    }

    fn prompt_text(&self) -> Result<String, Failure> {
        match self.prompt.as_deref() {
            Some(text) if text != "-" => return Ok(text.to_owned()),
            None if std::io::stdin().is_terminal() => {
                return Err(Failure::new(Kind::Usage, "no prompt was given")
                    .hint("give one (partita generate \"…\") or pipe it in; `-` reads it from the terminal"));
            }
            _ => {}
        }
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes)?;
        let text = String::from_utf8(bytes).ok().filter(|text| !text.is_empty());
        text.ok_or_else(|| {
            Failure::new(Kind::Usage, "the prompt on stdin is empty, or not UTF-8 text").hint("pipe text in")
        })
    }

    fn tokens(&self, prompt: &str, engine: &Engine) -> Result<Vec<Token>, Failure> {
        let tokenizer = engine.tokenizer();
        if self.raw {
            let bos = tokenizer.bos().filter(|_| tokenizer.add_bos());
            return Ok(bos.into_iter().chain(tokenizer.encode(prompt, Special::Parse)).collect());
        }
        let template = engine.template().ok_or_else(|| {
            Failure::new(Kind::Usage, "this model has no chat template").hint("continue plain text with --raw")
        })?;
        let system = self.system.iter().map(|text| Message::new(Role::System, text.as_str()));
        let messages: Vec<Message> = system.chain([Message::new(Role::User, prompt)]).collect();
        let tokens = template.render_tokens(tokenizer, &messages, &[], true);
        tokens.map_err(|error| Failure::from_error(Kind::Machine, &error))
    }
}

fn read_file(path: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(path);
    text.map_err(|error| {
        Failure::new(Kind::Usage, format!("{}: {error}", path.display())).hint("name a text file that can be read")
    })
}

/// Shows the sequence until it ends; true if that was because of Ctrl-C.
async fn follow(mut stream: TokenStream, output: &mut Output<'_>) -> Result<(Completion, bool), Failure> {
    let mut is_interrupted = false;
    loop {
        let delta = tokio::select! {
            delta = stream.recv() => delta,
            _ = tokio::signal::ctrl_c() => {
                if std::mem::replace(&mut is_interrupted, true) {
                    return Err(Failure::new(Kind::Interrupted, "interrupted twice"));
                }
                stream.cancel();
                continue;
            }
        };
        match delta.expect("a stream ends with an end") {
            Delta::Token { token, text, logprob, top } => output.token(token, &text, logprob, &top)?,
            Delta::Done(completion) => return Ok((completion, is_interrupted)),
            Delta::Failed(error) => return Err(error.into()),
        }
    }
}

/// What goes to stdout and stderr.
struct Output<'a> {
    tokenizer: &'a Tokenizer,
    json: bool,
    /// The report on every token, if it is wanted.
    tokens: Option<Vec<Json>>,
    ends_line: bool,
}

impl<'a> Output<'a> {
    fn new(args: &Args, tokenizer: &'a Tokenizer) -> Self {
        Self { tokenizer, json: args.json, tokens: args.logprobs.map(|_| Vec::new()), ends_line: true }
    }

    fn token(&mut self, token: Token, text: &str, logprob: f32, top: &[(Token, f32)]) -> Result<(), Failure> {
        if self.tokens.is_some() {
            let report = |token, logprob| {
                let text = String::from_utf8_lossy(self.tokenizer.token_bytes(token));
                json!({ "token": token, "text": text, "logprob": logprob })
            };
            let mut object = report(token, logprob);
            object["top"] = top.iter().map(|&(token, logprob)| report(token, logprob)).collect();
            self.tokens.get_or_insert_default().push(object);
        }
        if self.json || text.is_empty() {
            return Ok(());
        }
        self.ends_line = text.ends_with('\n');
        let mut stdout = std::io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        Ok(stdout.flush()?)
    }

    fn end(self, completion: &Completion) -> Result<(), Failure> {
        let Completion { text, finish, usage, .. } = completion;
        if self.json {
            let mut object = json!({ "text": text, "finish": finish, "usage": usage });
            if let Some(tokens) = self.tokens {
                object["tokens"] = tokens.into();
            }
            return render::json_to_stdout(&object);
        }
        if !self.ends_line {
            render::to_stdout("\n")?;
        }
        if std::io::stderr().is_terminal() {
            let rate = usage.decoded_tokens as f64 / (usage.decode_ms / 1e3).max(1e-3);
            let line = format!(
                "prompt: {} tokens, {} of them cached, {}; generated: {} tokens, {} ({rate:.1}/s)",
                render::thousands(usage.prompt_tokens),
                render::thousands(usage.cached_tokens),
                render::duration(usage.prefill_ms),
                render::thousands(usage.decoded_tokens),
                render::duration(usage.decode_ms),
            );
            render::to_stderr(&format!("{}\n", Style::stderr().paint(Tone::Faint, &line)));
        }
        Ok(())
    }
}
