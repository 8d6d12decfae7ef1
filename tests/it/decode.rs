//! Decoding of one real model: the same tokens in every company, and what masks beside the pass bring.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::time::Duration;

use partita::engine::{self, Delta, Engine, EngineOptions, Features, Prompt, Request, TokenStream};
use partita::sample::Random;
use partita::types::{Grammar, Sampling, SequenceId, Token};
use serde_json::json;

/// The models that the environment names.
fn real_models() -> Vec<PathBuf> {
    std::env::var_os("PARTITA_TEST_MODEL").map(|paths| std::env::split_paths(&paths).collect()).unwrap_or_default()
}

fn load(path: &Path, options: &EngineOptions) -> Engine {
    engine::load(path, options, &mut |_| ()).unwrap()
}

/// A call as a planner writes it: names among few, references, numbers, and some free text.
fn call() -> Grammar {
    let tools = ["read_text", "read_table", "query", "write_text", "list_files", "search_text"];
    Grammar::JsonSchema(json!({
        "type": "object", "additionalProperties": false, "required": ["steps", "done"],
        "properties": {
            "steps": { "type": "array", "minItems": 3, "maxItems": 3, "items": {
                "type": "object", "additionalProperties": false, "required": ["tool", "needs", "limit", "why"],
                "properties": {
                    "tool": { "enum": tools },
                    "needs": { "type": "array", "minItems": 1, "maxItems": 2, "items": { "enum": ["$1", "$2", "$3"] } },
                    "limit": { "type": "integer", "minimum": 1, "maximum": 500 },
                    "why": { "type": "string", "minLength": 5, "maxLength": 30 }
                }
            } },
            "done": { "type": "boolean" }
        }
    }))
}

fn noise(n: usize, seed: u64) -> Vec<Token> {
    let mut random = Random::new(seed);
    (0..n).map(|_| (1000 + random.next_u64() % 5000) as Token).collect()
}

fn request(prompt: Prompt, max_tokens: usize, seed: u64) -> Request {
    let temperature = if seed.is_multiple_of(2) { 0.0 } else { 0.8 };
    let sampling = Sampling { temperature, top_p: 0.95, seed, n_logprobs: 2, ..Sampling::default() };
    Request { sampling, ignore_end: true, ..Request::new(prompt, max_tokens) }
}

/// Every token with the bits of its log-probability.
fn read(mut stream: TokenStream) -> Vec<(Token, u32)> {
    let mut said = Vec::new();
    while let Some(delta) = stream.recv_blocking() {
        match delta {
            Delta::Token { token, logprob, top, .. } => {
                said.push((token, logprob.to_bits()));
                said.extend(top.into_iter().map(|(token, logprob)| (token, logprob.to_bits())));
            }
            Delta::Done(_) => break,
            Delta::Failed(error) => panic!("{error}"),
        }
    }
    said
}

/// A plan, executors that fork it, and a summary; the hash of all they said.
fn workflow_hash(engine: &Engine) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut stage = |requests: Vec<Request>| {
        let streams = engine.submit_all(requests).unwrap();
        let names: Vec<SequenceId> = streams.iter().map(TokenStream::sequence).collect();
        streams.into_iter().for_each(|stream| read(stream).hash(&mut hasher));
        names
    };
    let mut plan = request(Prompt::Tokens(noise(300, 1)), 150, 2);
    plan.grammar = Some(call());
    let planner = stage(vec![plan])[0];
    let fork = |i: u64, max_tokens| {
        let prompt = Prompt::Fork { parent: planner, tokens: noise(10 + 9 * i as usize, 50 + i) };
        Request { grammar: i.is_multiple_of(2).then(call), ..request(prompt, max_tokens, i) }
    };
    stage((0..4).map(|i| fork(i, 30)).collect());
    stage(vec![fork(9, 30)]);
    hasher.finish()
}

#[test]
fn real_workflow_says_the_same_alone_and_in_a_crowd() {
    for path in real_models().into_iter().take(1) {
        let options = EngineOptions { deterministic: true, ..EngineOptions::default() };
        let alone = workflow_hash(&load(&path, &options));
        let engine = load(&path, &EngineOptions { max_batch_tokens: 100, ..options });
        let mut random = Random::new(7);
        let mut arrivals = || {
            for i in 0..16 {
                let prompt = Prompt::Tokens(noise(1 + random.next_u64() as usize % 150, i));
                let mut request = request(prompt, 1 + random.next_u64() as usize % 40, i);
                request.grammar = i.is_multiple_of(3).then(call);
                let stream = engine.submit(request).unwrap();
                std::thread::spawn(move || read(stream));
                std::thread::sleep(Duration::from_millis(random.next_u64() % 200));
            }
        };
        let crowded = std::thread::scope(|scope| {
            scope.spawn(&mut arrivals);
            workflow_hash(&engine)
        });
        let occupancy = engine.stats().occupancy();
        println!("{}: hash {alone:016x}, {occupancy:.1} sequences a pass in the crowd", path.display());
        assert!(crowded == alone && occupancy > 2.0, "{crowded:016x} is not {alone:016x}, or nobody came");
    }
}

/// Runs requests under the grammar at once: what they said, and milliseconds per pass.
fn pass_ms(engine: &Engine, n: u64) -> (Vec<Vec<(Token, u32)>>, f64) {
    let before = engine.stats();
    let ask = |i| Request { grammar: Some(call()), ..request(Prompt::Tokens(noise(40, i)), 80, i) };
    let streams = engine.submit_all((0..n).map(ask).collect()).unwrap();
    let said = streams.into_iter().map(read).collect();
    let after = engine.stats();
    (said, (after.busy - before.busy).as_secs_f64() * 1e3 / (after.n_passes - before.n_passes) as f64)
}

#[test]
fn real_masks_beside_the_pass_change_nothing_but_its_time() {
    const N_ROUNDS: usize = 3;
    for path in real_models().into_iter().take(1) {
        let engines = [false, true].map(|mask_ahead| {
            let features = Features { mask_ahead, ..Features::default() };
            load(&path, &EngineOptions { features, kv_bytes: Some(256 << 20), ..EngineOptions::default() })
        });
        for n in [1, 4] {
            // The first round, with cold caches, is not measured.
            let rounds = (0..=N_ROUNDS).map(|_| {
                let [(plain, plain_ms), (ahead, ahead_ms)] = engines.each_ref().map(|engine| pass_ms(engine, n));
                assert_eq!(ahead, plain, "{n} sequences");
                [plain_ms, ahead_ms]
            });
            let rounds: Vec<[f64; 2]> = rounds.skip(1).collect();
            let [plain, ahead] = [0, 1].map(|i| {
                let mut samples: Vec<f64> = rounds.iter().map(|round| round[i]).collect();
                samples.sort_by(f64::total_cmp);
                samples[N_ROUNDS / 2]
            });
            println!("{}: {n} sequences, median ms a pass: {plain:.2} without, {ahead:.2} with", path.display());
        }
        let stats = engines[1].stats();
        println!("{} of {} rows were drawn from few tokens", stats.n_few_rows, stats.n_decoded);
    }
}
