//! The engine through its handle, as everything above it uses it: threads, streams, every family, and one real model.

#![allow(clippy::print_stdout)] // the figures of a real model belong in the log

use std::path::{Path, PathBuf};

use partita::engine::{self, Completion, Delta, Engine, EngineOptions, Progress, Prompt, Request};
use partita::model::tiny::{self, TinySpec};
use partita::tokenizer::Special;
use partita::types::{Finish, Grammar, Message, Role, Sampling, Token};

fn load(spec: &TinySpec, options: &EngineOptions) -> Engine {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    tiny::write(&path, spec).unwrap();
    let mut seen = Vec::new();
    let engine = engine::load(&path, options, &mut |progress| seen.push(progress)).unwrap();
    assert_eq!(seen, [Progress::Opening, Progress::Tokenizer, Progress::Weights, Progress::Ready]);
    engine
}

fn prompt(n: usize, seed: usize) -> Prompt {
    Prompt::Tokens((0..n).map(|i| ((i * i + seed * 7 + i * seed) % 256) as Token).collect())
}

fn requests() -> Vec<Request> {
    let request = |i: usize| Request { ignore_end: true, ..Request::new(prompt(5 + 31 * i % 90, i / 2), 4 + 3 * i) };
    (0..6).map(request).collect()
}

fn finish_all(engine: &Engine, requests: Vec<Request>) -> Vec<Completion> {
    let streams: Vec<_> = requests.into_iter().map(|request| engine.submit(request).unwrap()).collect();
    streams.into_iter().map(|stream| stream.finish_blocking().unwrap()).collect()
}

#[test]
fn every_family_says_the_same_alone_and_in_a_batch() {
    for (name, spec) in tiny::families(partita::types::Dtype::Q8_0) {
        let together = finish_all(&load(&spec, &EngineOptions::default()), requests());
        for (request, together) in requests().into_iter().zip(together) {
            let engine = load(&spec, &EngineOptions { max_batch_tokens: 11, max_running: 1, ..Default::default() });
            let alone = engine.submit(request).unwrap().finish_blocking().unwrap();
            assert_eq!((&together.tokens, &together.text), (&alone.tokens, &alone.text), "{name}");
            assert_eq!(together.mean_logprob.to_bits(), alone.mean_logprob.to_bits(), "{name}");
        }
    }
}

#[test]
fn streams_are_read_from_tasks_and_from_threads() {
    let engine = load(&TinySpec::default(), &EngineOptions::default());
    let want = finish_all(&engine, requests());
    let from_threads: Vec<_> = requests()
        .into_iter()
        .map(|request| {
            let engine = engine.clone();
            std::thread::spawn(move || engine.submit(request).unwrap().finish_blocking().unwrap())
        })
        .collect();
    for (thread, want) in from_threads.into_iter().zip(&want) {
        assert_eq!(thread.join().unwrap().tokens, want.tokens);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        for (request, want) in requests().into_iter().zip(&want) {
            let mut stream = engine.submit(request).unwrap();
            let mut text = String::new();
            loop {
                match stream.recv().await.unwrap() {
                    Delta::Token { text: piece, .. } => text += &piece,
                    Delta::Done(end) => break assert_eq!((&text, &end.tokens), (&want.text, &want.tokens)),
                    Delta::Failed(error) => panic!("{error}"),
                }
            }
            assert!(stream.recv().await.is_none());
        }
    });
    assert_eq!(engine.stats().n_running, 0);
}

#[test]
fn a_dropped_stream_is_noticed() {
    let engine = load(&TinySpec { n_ctx: 1 << 20, ..TinySpec::default() }, &EngineOptions::default());
    let mut stream = engine.submit(Request { ignore_end: true, ..Request::new(prompt(10, 1), 1 << 19) }).unwrap();
    assert!(matches!(stream.recv_blocking(), Some(Delta::Token { .. })));
    drop(stream);
    // The engine is free for others, which come after it has looked.
    finish_all(&engine, vec![Request::new(prompt(10, 2), 1)]);
    assert_eq!(engine.stats().n_running, 0);
}

#[test]
fn a_file_that_is_no_model_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let check = |path: &Path, want: &str| {
        let error = engine::load(path, &EngineOptions::default(), &mut |_| ()).unwrap_err();
        let mut text = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(inner) = source {
            text += &format!(": {inner}");
            source = inner.source();
        }
        assert!(text.contains(want), "{text}");
    };
    check(&folder.path().join("absent.gguf"), "absent.gguf");
    let noise = folder.path().join("noise.gguf");
    std::fs::write(&noise, b"this is not a model").unwrap();
    check(&noise, "noise.gguf");
}

/// The models that the environment names.
fn real_models() -> Vec<PathBuf> {
    std::env::var_os("PARTITA_TEST_MODEL").map(|paths| std::env::split_paths(&paths).collect()).unwrap_or_default()
}

fn chat(engine: &Engine, text: &str) -> Prompt {
    let messages = [Message::new(Role::User, text)];
    Prompt::Tokens(engine.template().unwrap().render_tokens(engine.tokenizer(), &messages, &[], true).unwrap())
}

#[test]
fn real_models_continue_text_and_obey_grammars() {
    for path in real_models() {
        let engine = engine::load(&path, &EngineOptions::default(), &mut |_| ()).unwrap();
        let text =
            engine.tokenizer().encode("Q: What is the capital of France? A: The capital of France is", Special::AsText);
        let mut request = Request::new(Prompt::Tokens(text), 8);
        let end = engine.submit(request.clone()).unwrap().finish_blocking().unwrap();
        assert!(end.text.contains("Paris"), "{}: {}", path.display(), end.text);

        let schema = serde_json::json!({"type": "object", "additionalProperties": false,
            "properties": {"city": {"type": "string", "maxLength": 20}, "inhabitants": {"type": "integer"}},
            "required": ["city", "inhabitants"]});
        let streams: Vec<_> = (0..6)
            .map(|seed| {
                request.prompt = chat(&engine, "Name a large city and its number of inhabitants.");
                request.grammar = Some(Grammar::JsonSchema(schema.clone()));
                request.max_tokens = 120;
                request.sampling = Sampling { temperature: 0.7, top_p: 0.95, seed, ..Sampling::default() };
                engine.submit(request.clone()).unwrap()
            })
            .collect();
        for stream in streams {
            let end = stream.finish_blocking().unwrap();
            if end.finish == Finish::Stop {
                let value: serde_json::Value = serde_json::from_str(&end.text).unwrap();
                assert!(value["city"].is_string() && value["inhabitants"].is_number(), "{}", end.text);
            }
        }
        println!("{}: {:?}", path.display(), engine.stats());
    }
}

#[test]
fn real_fan_out_computes_the_common_beginning_once() {
    for path in real_models().into_iter().take(1) {
        let engine = engine::load(&path, &EngineOptions::default(), &mut |_| ()).unwrap();
        let shared: Vec<Token> = (0..400).map(|i| 1000 + (i * 37) % 5000).collect();
        let fan = |i: u32| {
            let tail = (0..20).map(|k| 6000 + 50 * i + k);
            Request {
                ignore_end: true,
                ..Request::new(Prompt::Tokens(shared.iter().copied().chain(tail).collect()), 8)
            }
        };
        finish_all(&engine, (0..8).map(fan).collect());
        let stats = engine.stats();
        println!(
            "{}: fan-out of 8 prefilled {} tokens, {} are distinct",
            path.display(),
            stats.n_prefilled,
            400 + 8 * 20
        );
        assert_eq!(stats.n_prefilled, 400 + 8 * 20);
    }
}
