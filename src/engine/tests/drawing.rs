//! Which tokens are drawn: stop strings, grammars, guesses, tiles, and that nobody else decides.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::engine::stop::StopFilter;
use crate::types::{Batch, BlockId, Span};

#[test]
fn stop_strings_are_cut_off_wherever_they_fall() {
    let check = |pieces: &[&str], stops: &[&str], want: &[&str], is_stopped: bool| {
        let mut filter = StopFilter::new(stops.iter().map(|s| (*s).to_owned()).collect());
        let mut out: Vec<String> = pieces.iter().map(|piece| filter.push(piece)).collect();
        out.push(filter.finish());
        assert_eq!(out, want, "{pieces:?} {stops:?}");
        assert_eq!(filter.is_stopped(), is_stopped);
    };
    check(&["ab", "cd"], &[], &["ab", "cd", ""], false);
    check(&["ab", "cd"], &[""], &["ab", "cd", ""], false);
    check(&["abcd"], &["c"], &["ab", ""], true);
    check(&["ab", "cd", "ef"], &["bcde"], &["a", "", "", ""], true);
    check(&["ab", "cd", "xf"], &["bcde"], &["a", "", "bcdxf", ""], false);
    check(&["ab", "cd"], &["bcde"], &["a", "", "bcd"], false);
    check(&["aab"], &["ab"], &["a", ""], true);
    check(&["xab", "c"], &["abc", "b"], &["xa", "", ""], true);
    check(&["a\n", "\nb"], &["\n\n"], &["a", "", ""], true);
    check(&["日", "本語"], &["本x", "語"], &["日", "本", ""], true);
    check(&["END", "END!"], &["ENDEND"], &["", "", ""], true);
}

proptest! {
    #[test]
    fn any_split_of_a_text_stops_at_the_same_place(
        text in "[ab]{0,20}", stops in prop::collection::vec("[ab]{1,5}", 0..3), cuts in prop::collection::vec(0_usize..21, 0..6),
    ) {
        let first = stops.iter().filter_map(|stop| text.find(stop)).min();
        let mut filter = StopFilter::new(stops);
        let mut at: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).chain([0, text.len()]).collect();
        at.sort_unstable();
        let mut out: String = at.windows(2).map(|w| filter.push(&text[w[0]..w[1]])).collect();
        // Cut in pieces, a stop string that ends earlier may win over one that begins earlier.
        let wins_early = filter.is_stopped() && Some(out.len()) != first;
        out.push_str(&filter.finish());
        prop_assert_eq!(filter.is_stopped(), first.is_some());
        prop_assert!(wins_early || out == text[..first.unwrap_or(text.len())]);
        prop_assert!(text.starts_with(&out));
    }
}

#[test]
fn generated_text_ends_before_a_stop_string() {
    let mut bench = Bench::new(&EngineOptions::default());
    let free = bench.one(tokens(noise(30, 8), 60));
    // A stop string from the middle of what it says, across the border of two tokens.
    let text: Vec<char> = free.text.chars().collect();
    let stop: String = text[20..24].iter().collect();
    let first = free.text.find(&stop).unwrap();
    let mut request = tokens(noise(30, 8), 60);
    request.stop = vec![stop, "never said".into()];
    let stream = bench.engine.submit(request).unwrap();
    bench.drain();
    let (texts, end) = read(stream);
    assert_eq!((end.text.as_str(), end.finish), (&free.text[..first], Finish::StopString));
    assert_eq!(texts.concat(), end.text);
    assert!(free.tokens.starts_with(&end.tokens));
    bench.check_balance();
}

/// The texts of all tokens, and the end.
fn read(mut stream: TokenStream) -> (Vec<String>, Completion) {
    let mut texts = Vec::new();
    let mut sum = (0.0, 0);
    while let Some(delta) = stream.recv_blocking() {
        match delta {
            Delta::Token { text, logprob, .. } => {
                texts.push(text);
                sum = (sum.0 + f64::from(logprob), sum.1 + usize::from(logprob != 0.0));
            }
            Delta::Done(end) => {
                assert!(stream.recv_blocking().is_none(), "nothing follows the end");
                assert!((f64::from(end.mean_logprob) * sum.1.max(1) as f64 - sum.0).abs() < 1e-3);
                return (texts, end);
            }
            Delta::Failed(error) => panic!("{error}"),
        }
    }
    unreachable!("a stream ends with an end")
}

#[test]
fn text_under_a_grammar_parses_and_forced_tokens_are_not_decoded() {
    let schema = json!({"type": "object", "additionalProperties": false, "required": ["name", "done"],
        "properties": {"name": {"type": "string", "maxLength": 20}, "done": {"type": "boolean"}}});
    let mut bench = Bench::new(&EngineOptions::default());
    let request = |seed| {
        let mut request = tokens(noise(20, seed), 300);
        request.grammar = Some(Grammar::JsonSchema(schema.clone()));
        request.sampling = Sampling { temperature: 1.0, seed, ..Sampling::default() };
        request
    };
    let ends = bench.all((0..12).map(request).collect());
    for end in ends.iter().map(|end| end.as_ref().unwrap()) {
        assert_eq!(end.finish, Finish::Stop, "{}", end.text);
        let value: serde_json::Value = serde_json::from_str(&end.text).unwrap();
        assert!(value["name"].is_string() && value["done"].is_boolean());
        assert_eq!(end.tokens.len(), end.usage.decoded_tokens);
        assert_eq!(bench.engine.tokenizer().decode(&end.tokens), end.text);
    }
    let again = bench.one(request(3));
    assert_eq!((again.usage.prompt_tokens, again.usage.cached_tokens), (20, 20), "forced tokens come after the prompt");
    let ends = [ends, vec![Ok(again)]].concat();
    let stats = bench.engine.stats();
    let n_tokens: usize = ends.iter().map(|end| end.as_ref().unwrap().tokens.len()).sum();
    assert_eq!(stats.n_decoded + stats.n_forced, n_tokens as u64);
    assert!(stats.n_forced >= 12 * 8, "the keys of the object are forced: {stats:?}");

    // What is forced from beginning to end needs no pass at all.
    let mut fixed = tokens(noise(20, 1), 300);
    fixed.grammar = Some(Grammar::Regex("the answer".into()));
    let stream = bench.engine.submit(fixed.clone()).unwrap();
    bench.drain();
    let (texts, end) = read(stream);
    assert_eq!((texts.concat().as_str(), end.finish), ("the answer", Finish::Stop));
    assert_eq!(bench.engine.stats().n_passes, stats.n_passes);
    // Forced tokens count against the limit.
    fixed.max_tokens = 3;
    let end = bench.one(fixed);
    assert_eq!((end.tokens.len(), end.finish), (3, Finish::Length));
    bench.check_balance();
}

#[test]
fn a_grammar_forks_and_stops_like_any_other_text() {
    let mut bench = Bench::new(&EngineOptions::default());
    let mut request = tokens(noise(40, 6), 100);
    request.grammar = Some(Grammar::Regex("[ab]{10}".into()));
    let parent = bench.one(request.clone());
    assert_eq!((parent.text.len(), parent.finish), (10, Finish::Stop));
    request.prompt = Prompt::Fork { parent: parent.sequence, tokens: noise(1, 1) };
    request.stop = vec!["a".into(), "b".into()];
    let child = bench.one(request);
    assert_eq!((child.text.as_str(), child.finish), ("", Finish::StopString));
    bench.check_balance();
}

#[test]
fn guesses_change_no_token() {
    let run = |n_drafts: usize, requests: Vec<Request>| {
        let features = Features { draft: n_drafts > 0, ..Features::default() };
        let mut bench = Bench::new(&EngineOptions { features, max_batch_tokens: 64, ..Default::default() });
        bench.worker.n_drafts = Some(n_drafts);
        let ends = bench.all(requests);
        bench.check_balance();
        (ends, bench.engine.stats())
    };
    // Texts that repeat themselves, so that there is something to guess; greedy, drawn, under grammars, with stops.
    let mut requests = mixed(12, 5);
    for (i, request) in requests.iter_mut().enumerate() {
        let piece = noise(9, i as u64 % 3);
        request.prompt = Prompt::Tokens(piece.iter().cycle().take(40 + i).copied().collect());
        request.max_tokens = request.max_tokens.max(40);
    }
    // Forced tokens, choices among few, and an end that the grammar sets, in the middle of a guess.
    let schema = json!({
        "type": "array", "minItems": 2, "maxItems": 9,
        "items": { "type": "object", "properties": { "name": { "enum": ["abcabcabd", "abcabcabe", "x"] } },
                   "required": ["name"], "additionalProperties": false }
    });
    for (seed, temperature) in [(0, 0.0), (1, 0.9), (2, 0.9), (3, 0.9), (4, 1.5)] {
        requests.push(Request {
            grammar: Some(Grammar::JsonSchema(schema.clone())),
            sampling: Sampling { temperature, seed, ..Sampling::default() },
            ..Request::new(Prompt::Tokens(noise(20, seed)), 300)
        });
    }
    requests.push(tokens(noise(9, 1).iter().cycle().take(60).copied().collect::<Vec<_>>(), 200));
    let (plain, without) = run(0, requests.clone());
    assert_eq!((without.n_drafted, without.n_drafts_right), (0, 0));
    for n_drafts in [1, 3, 8] {
        let (guessed, stats) = run(n_drafts, requests.clone());
        assert!(stats.n_drafts_right > 20 && stats.n_drafts_right <= stats.n_drafted, "{stats:?}");
        assert!(stats.n_passes < without.n_passes, "{} passes, {} without", stats.n_passes, without.n_passes);
        for (i, (guessed, plain)) in guessed.iter().zip(&plain).enumerate() {
            let (guessed, plain) = (guessed.as_ref().unwrap(), plain.as_ref().unwrap());
            assert_eq!(
                (&guessed.tokens, &guessed.text),
                (&plain.tokens, &plain.text),
                "request {i}, {n_drafts} drafts"
            );
            assert_eq!((guessed.finish, guessed.mean_logprob), (plain.finish, plain.mean_logprob));
            if requests[i].grammar.is_some() {
                assert!(serde_json::from_str::<serde_json::Value>(&guessed.text).is_ok(), "{}", guessed.text);
            }
        }
    }
}

/// The logits of every token of one sequence, `[tokens.len(), n_vocab]`, in one pass.
fn logits(tokens: &[Token], tiles: TileUse) -> (Vec<f32>, usize) {
    let gguf = Arc::new(gguf::Gguf::from_bytes("tiny", tiny::to_bytes(&TinySpec::default())).unwrap());
    let model = Model::load(&gguf, model::LoadOptions { tiles, ..Default::default() }).unwrap();
    let n_blocks = tokens.len().div_ceil(BLOCK_TOKENS);
    let mut pool = cache::KvPool::new(model.kv_shape(), n_blocks);
    let blocks = (0..n_blocks as u32).map(BlockId).collect();
    let span = Span { start: 0, n_tokens: tokens.len(), blocks, logit_rows: (0..tokens.len()).collect() };
    let logits = model.forward(&Batch { tokens: tokens.to_vec(), spans: vec![span] }, &mut pool).unwrap();
    (logits.rows, logits.n_vocab)
}

#[test]
fn with_tiles_every_token_is_still_the_models_own_choice() {
    let mut bench = Bench::new(&EngineOptions { tiles: TileUse::From(4), max_batch_tokens: 64, ..Default::default() });
    bench.worker.n_drafts = Some(5);
    let prompts: Vec<Vec<Token>> = (0..3).map(|i| noise(9, i).iter().cycle().take(50).copied().collect()).collect();
    let ends = bench.all(prompts.iter().map(|prompt| Request::new(Prompt::Tokens(prompt.clone()), 60)).collect());
    let stats = bench.engine.stats();
    assert!(stats.n_drafts_right > 3 && stats.n_drafts_right < stats.n_drafted, "{stats:?}");
    for (prompt, end) in prompts.iter().zip(ends) {
        let said = end.unwrap().tokens;
        let tokens = [&prompt[..], &said].concat();
        let [(exact, n_vocab), (tiled, _)] = [TileUse::Never, TileUse::From(1)].map(|tiles| logits(&tokens, tiles));
        // How far the two ways of rounding are apart bounds by how much a token may be from the best.
        let apart = exact.iter().zip(&tiled).fold(0.0f32, |most, (a, b)| most.max((a - b).abs()));
        for (row, &token) in exact.chunks(n_vocab).skip(prompt.len() - 1).zip(&said) {
            let best = row.iter().fold(f32::MIN, |best, logit| best.max(*logit));
            let mean = row.iter().sum::<f32>() / n_vocab as f32;
            assert!(best - mean > 8.0 * apart, "a wrong token would not be noticed: {best}, {mean}, {apart}");
            assert!(best - row[token as usize] <= 4.0 * apart, "{} is not {best}", row[token as usize]);
        }
    }
}

/// Text with choices among few, free text, and numbers, so that masks are of every size.
fn form() -> Grammar {
    Grammar::JsonSchema(json!({
        "type": "object", "additionalProperties": false, "required": ["kind", "ok", "text", "rest"],
        "properties": {
            "kind": { "enum": ["abcabcabd", "abcabcabe", "x"] }, "ok": { "type": "boolean" },
            "text": { "type": "string", "maxLength": 12 },
            "rest": { "type": "array", "minItems": 1, "maxItems": 3, "items": { "enum": [1, 12, 123, "y"] } }
        }
    }))
}

#[test]
fn masks_beside_the_pass_change_nothing() {
    let run = |mask_ahead: bool, n_drafts: usize| {
        let features = Features { mask_ahead, ..Features::default() };
        let mut bench = Bench::new(&EngineOptions { features, max_batch_tokens: 48, ..Default::default() });
        bench.worker.n_drafts = Some(n_drafts);
        let requests = (0..20).map(|i| {
            let (temperature, repetition_penalty) = ([0.0, 0.9, 1.5][i % 3], [1.0, 1.4][i % 2]);
            let sampling =
                Sampling { temperature, repetition_penalty, seed: i as u64, n_logprobs: i % 4, ..Sampling::default() };
            // Some without a grammar, which never end by themselves.
            let grammar = (i % 5 != 4).then(form);
            let prompt = noise(9, i as u64 % 3).into_iter().cycle().take(20 + 7 * i).collect();
            Request { sampling, grammar, ..tokens(prompt, 60) }
        });
        let mut streams: Vec<_> = requests.map(|request| bench.engine.submit(request).unwrap()).collect();
        bench.drain();
        let mut said = vec![Vec::new(); streams.len()];
        assert!(streams.iter_mut().zip(&mut said).all(|(stream, said)| read_ready(stream, said)));
        assert!(said.iter().flatten().all(Option::is_some));
        (said, bench.engine.stats())
    };
    let (want, stats) = run(false, 0);
    assert_eq!(stats.n_few_rows, 0);
    for n_drafts in [0, 1, 4] {
        let (got, stats) = run(true, n_drafts);
        assert_eq!(got, want, "{n_drafts} drafts");
        assert!(stats.n_few_rows > 50 && stats.n_few_rows < stats.n_decoded, "{stats:?}");
    }
}

/// Strangers that arrive at random moments, and go on while a workflow runs.
struct Crowd {
    random: Random,
    requests: Vec<Request>,
    streams: Vec<TokenStream>,
}

impl Crowd {
    fn new(n: usize, seed: u64) -> Self {
        let mut requests = mixed(n, seed);
        for request in requests.iter_mut().step_by(3) {
            request.grammar = Some(form());
            request.max_tokens = 80;
        }
        Self { random: Random::new(seed), requests, streams: Vec::new() }
    }

    fn maybe_arrive(&mut self, bench: &Bench) {
        while self.random.next_u64().is_multiple_of(4) {
            let Some(request) = self.requests.pop() else { return };
            self.streams.push(bench.engine.submit(request).unwrap());
        }
    }
}

/// Runs a plan, executors that fork it, and a summary of what they said; returns the hash of every token with its
/// log-probabilities.
fn workflow_hash(bench: &mut Bench, crowd: &mut Crowd) -> u64 {
    let mut hasher = DefaultHasher::new();
    let mut stage = |bench: &mut Bench, requests: Vec<Request>| {
        let mut streams = bench.engine.submit_all(requests).unwrap();
        let mut said: Vec<Vec<Said>> = vec![Vec::new(); streams.len()];
        let mut is_over = false;
        while !is_over {
            crowd.maybe_arrive(bench);
            bench.obey();
            bench.worker.turn();
            is_over = streams.iter_mut().zip(&mut said).all(|(stream, said)| read_ready(stream, said));
        }
        said.hash(&mut hasher);
        let tokens = said.into_iter().map(|said| said.into_iter().map(|token| token.expect("it fits").0).collect());
        (streams.iter().map(TokenStream::sequence).collect::<Vec<_>>(), tokens.collect::<Vec<Vec<Token>>>())
    };
    let asks = |request: Request, i: u64| {
        let sampling =
            Sampling { temperature: [0.0, 0.8][i as usize % 2], seed: i, n_logprobs: 2, ..Sampling::default() };
        Request { sampling, grammar: i.is_multiple_of(3).then(form), ..request }
    };
    let (planner, _) = stage(bench, vec![asks(tokens(noise(100, 1), 60), 3)]);
    let executor = |i: u64| asks(fork(planner[0], noise(5 + 9 * i as usize, 10 + i), 20), i);
    let (_, outputs) = stage(bench, (0..5).map(executor).collect());
    stage(bench, vec![asks(fork(planner[0], outputs.concat(), 30), 1)]);
    hasher.finish()
}

#[test]
fn a_workflow_says_the_same_alone_and_in_a_crowd() {
    let options = EngineOptions { deterministic: true, ..Default::default() };
    let alone = workflow_hash(&mut Bench::new(&options), &mut Crowd::new(0, 1));
    let mut hashes = Vec::new();
    for seed in 1..7 {
        let mut bench = match seed % 3 {
            0 => Bench::with_blocks(40, 16),
            _ => Bench::new(&EngineOptions { max_batch_tokens: 20 + 30 * seed as usize, ..options.clone() }),
        };
        bench.worker.n_drafts = Some(seed as usize % 4);
        let mut crowd = Crowd::new(16, seed);
        hashes.push(workflow_hash(&mut bench, &mut crowd));
        assert!(crowd.streams.len() == 16, "{} have come", crowd.streams.len());
        bench.drain();
        bench.check_balance();
    }
    assert_eq!(hashes, [alone; 6]);
    // The hash sees what is said.
    let other = Bench::with_spec(&options, &TinySpec { seed: 2, ..TinySpec::default() });
    assert_ne!(workflow_hash(&mut { other }, &mut Crowd::new(0, 1)), alone);
}
