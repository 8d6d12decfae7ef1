//! The worker, turned by hand on a small seeded model: no thread, no clock, every interleaving repeatable.

use proptest::prelude::*;
use serde_json::json;

use super::load::parse_available;
use super::stop::StopFilter;
use super::*;
use crate::model::tiny::{self, TinySpec};
use crate::sample::Random;
use crate::types::{Batch, BlockId, Finish, Span, Usage};

/// An engine that moves only when told to.
struct Bench {
    engine: Engine,
    worker: Worker,
    inbox: Receiver<Command>,
}

impl Bench {
    fn new(options: &EngineOptions) -> Self {
        Self::with_spec(options, &TinySpec::default())
    }

    fn with_spec(options: &EngineOptions, spec: &TinySpec) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiny.gguf");
        tiny::write(&path, spec).unwrap();
        let gguf = Arc::new(gguf::Gguf::open(&path).unwrap());
        let tokenizer = Tokenizer::from_gguf(gguf.metadata()).unwrap();
        let EngineOptions { n_ctx, precision, tiles, .. } = *options;
        let load = model::LoadOptions { n_ctx, precision, tiles, ..Default::default() };
        let model = Model::load(&gguf, load).unwrap();
        let (engine, mut worker, inbox) = Engine::assemble(model, tokenizer, None, options).unwrap();
        worker.n_drafts = Some(0);
        Self { engine, worker, inbox }
    }

    /// With a pool of `n_blocks`.
    fn with_blocks(n_blocks: usize, max_running: usize) -> Self {
        Self::with_blocks_and_folder(n_blocks, max_running, None)
    }

    fn with_blocks_and_folder(n_blocks: usize, max_running: usize, kv_folder: Option<PathBuf>) -> Self {
        let probe = Self::new(&EngineOptions::default());
        let block_bytes = cache::KvPool::block_bytes(probe.worker.kv_shape()) as u64;
        let kv_bytes = Some(n_blocks as u64 * block_bytes);
        let options = EngineOptions { kv_bytes, max_running, max_batch_tokens: 48, ..EngineOptions::default() };
        Self::new(&EngineOptions { kv_folder, ..options })
    }

    fn obey(&mut self) {
        while let Ok(command) = self.inbox.try_recv() {
            self.worker.obey(command);
        }
    }

    /// Turns until nothing is left to do.
    fn drain(&mut self) {
        for _ in 0..100_000 {
            self.obey();
            self.worker.turn();
            if self.worker.is_idle() {
                return;
            }
        }
        panic!("no end in sight: {:?}", self.engine.stats());
    }

    /// Runs requests that arrive at once.
    fn all(&mut self, requests: Vec<Request>) -> Vec<Result<Completion, Error>> {
        let streams: Vec<_> = requests.into_iter().map(|request| self.engine.submit(request)).collect();
        self.drain();
        streams.into_iter().map(|stream| stream?.finish_blocking()).collect()
    }

    fn one(&mut self, request: Request) -> Completion {
        self.all(vec![request]).remove(0).unwrap()
    }

    /// Every block is free once the tree has let go of what it remembers.
    fn check_balance(&mut self) {
        assert!(self.worker.is_idle());
        assert_eq!(self.worker.forget_and_count(), (self.engine.stats().kv_blocks_total, true));
    }
}

fn noise(n: usize, seed: u64) -> Vec<Token> {
    let mut random = Random::new(seed);
    (0..n).map(|_| (random.next_u64() % 256) as Token).collect()
}

/// A request that generates exactly `max_tokens`, if nothing else ends it.
fn tokens(tokens: Vec<Token>, max_tokens: usize) -> Request {
    Request { ignore_end: true, ..Request::new(Prompt::Tokens(tokens), max_tokens) }
}

fn fork(parent: SequenceId, tokens: Vec<Token>, max_tokens: usize) -> Request {
    Request { ignore_end: true, ..Request::new(Prompt::Fork { parent, tokens }, max_tokens) }
}

/// Prompts of many lengths, half of them with common beginnings, greedy and sampled.
fn mixed(n: usize, seed: u64) -> Vec<Request> {
    let shared = noise(90, seed);
    let request = |i: usize| {
        let n_shared = if i.is_multiple_of(2) { (i * 17) % 91 } else { 0 };
        let prompt = [&shared[..n_shared], &noise(1 + (i * 29) % 120, seed + i as u64)].concat();
        let mut request = tokens(prompt, 1 + (i * 7) % 40);
        request.ignore_end = !i.is_multiple_of(5);
        if i % 3 == 1 {
            request.sampling = Sampling { temperature: 0.8, top_p: 0.95, seed: i as u64, ..Sampling::default() };
        }
        request
    };
    (0..n).map(request).collect()
}

fn said(ends: &[Result<Completion, Error>]) -> Vec<(Vec<Token>, Finish)> {
    ends.iter().map(|end| end.as_ref().map(|c| (c.tokens.clone(), c.finish)).unwrap()).collect()
}

#[test]
fn together_they_say_what_each_says_alone() {
    let alone: Vec<_> = mixed(14, 5)
        .into_iter()
        .map(|request| said(&[Ok(Bench::new(&EngineOptions::default()).one(request))]).remove(0))
        .collect();
    for (max_running, max_batch_tokens, n_blocks) in
        [(16, 256, None), (16, 17, None), (3, 64, None), (16, 64, Some(12))]
    {
        let mut bench = match n_blocks {
            None => Bench::new(&EngineOptions { max_running, max_batch_tokens, ..Default::default() }),
            Some(n_blocks) => Bench::with_blocks(n_blocks, max_running),
        };
        let ends = bench.all(mixed(14, 5));
        assert_eq!(said(&ends), alone, "{max_running} {max_batch_tokens} {n_blocks:?}");
        if n_blocks.is_some() {
            assert!(bench.engine.stats().n_preempted > 0, "the case is there to preempt");
        }
        bench.check_balance();
    }
}

#[test]
fn a_common_beginning_is_computed_once() {
    let shared = noise(200, 1);
    let fan = |i: usize| tokens([&shared[..], &noise(5, 100 + i as u64)].concat(), 8);
    let mut bench = Bench::new(&EngineOptions { max_batch_tokens: 64, ..Default::default() });
    let ends = bench.all((0..8).map(fan).collect());
    let stats = bench.engine.stats();
    let n_prompt: usize = ends.iter().map(|end| end.as_ref().unwrap().usage.prompt_tokens).sum();
    assert_eq!((n_prompt, stats.n_prefilled + stats.n_cached), (8 * 205, 8 * 205));
    assert_eq!(stats.n_prefilled, 200 + 8 * 5, "computed: the beginning once, and each end");
    // Later, everything but the last token is there.
    let again = bench.one(fan(3));
    assert_eq!(again.usage.cached_tokens, 204);
    bench.check_balance();
}

#[test]
fn a_prompt_can_be_computed_for_those_who_come_later() {
    let mut bench = Bench::new(&EngineOptions { max_batch_tokens: 64, ..Default::default() });
    let ahead = bench.one(tokens(noise(150, 3), 0));
    assert_eq!((ahead.tokens.len(), ahead.finish), (0, Finish::Length));
    assert_eq!(bench.engine.stats().n_prefilled, 150);
    let later = bench.one(tokens([noise(150, 3), noise(9, 4)].concat(), 5));
    assert_eq!((later.usage.cached_tokens, later.tokens.len()), (150, 5));
    let want = Bench::new(&EngineOptions::default()).one(tokens([noise(150, 3), noise(9, 4)].concat(), 5));
    assert_eq!(later.tokens, want.tokens);
    bench.check_balance();
}

#[test]
fn who_shares_what_is_known_starts_first_among_equals() {
    let mut bench = Bench::new(&EngineOptions { max_running: 1, ..Default::default() });
    let (first, second) = (noise(128, 1), noise(128, 2));
    bench.one(tokens(second.clone(), 1));
    // Of two families that wait, the one whose beginning is known runs before the other, which came first.
    let family = |prefix: &[Token], seed| tokens([prefix, &noise(5, seed)].concat(), 2);
    let requests = vec![family(&first, 3), family(&second, 4), family(&first, 5), family(&second, 6)];
    let streams = bench.engine.submit_all(requests).unwrap();
    bench.obey();
    let mut ended = Vec::new();
    let mut streams: Vec<_> = streams.into_iter().map(Some).collect();
    while !bench.worker.is_idle() {
        bench.worker.turn();
        for (i, place) in streams.iter_mut().enumerate() {
            let Some(stream) = place else { continue };
            let mut said = Vec::new();
            if read_ready(stream, &mut said) {
                ended.push(i);
                *place = None;
            }
        }
    }
    assert_eq!(ended, [1, 3, 0, 2]);
    bench.check_balance();
}

#[test]
fn a_fork_goes_on_where_its_parent_stands() {
    let mut bench = Bench::new(&EngineOptions::default());
    let parent = bench.one(tokens(noise(50, 1), 20));
    let tail = noise(4, 2);
    let request = fork(parent.sequence, tail.clone(), 10);
    let whole = tokens([noise(50, 1), parent.tokens.clone(), tail].concat(), 10);
    let mut other = Bench::new(&EngineOptions::default());
    let (forked, want) = (bench.one(request), other.one(whole));
    assert_eq!(forked.tokens, want.tokens);
    assert_eq!(forked.usage.prompt_tokens, 74);
    // The last generated token of the parent was never computed.
    assert_eq!((forked.usage.cached_tokens, want.usage.cached_tokens), (69, 0));

    // A running parent can be forked too, and is not disturbed.
    let stream = bench.engine.submit(tokens(noise(60, 9), 30)).unwrap();
    bench.obey();
    (0..5).for_each(|_| bench.worker.turn());
    let forked = bench.one(fork(stream.sequence(), noise(3, 4), 5));
    assert_eq!(forked.usage.prompt_tokens, 60 + 5 + 3);
    let want = other.one(tokens(noise(60, 9), 30));
    assert_eq!(stream.finish_blocking().unwrap().tokens, want.tokens);

    let error = bench.all(vec![fork(SequenceId(999), vec![1], 5)]).remove(0);
    assert_eq!(error.unwrap_err().to_string(), "sequence 999 cannot be forked: it is not running and not remembered");
    bench.check_balance();
}

#[test]
fn requests_that_cannot_be_served_say_why() {
    let bench = Bench::new(&EngineOptions { n_ctx: Some(100), ..Default::default() });
    let check = |request: Request, want: &str| {
        assert_eq!(bench.engine.submit(request).unwrap_err().to_string(), want);
    };
    check(tokens(vec![], 1), "the prompt is empty");
    check(tokens(noise(101, 1), 1), "the prompt has 101 tokens, but the context holds 100");
    check(tokens(vec![5, 9999], 1), "prompt token 9999 at position 1 is not in the vocabulary of 271 tokens");
    let mut hot = tokens(vec![5], 1);
    hot.sampling.temperature = -1.0;
    check(hot, "sampling option temperature is -1, expected 0 or more");
    let mut broken = tokens(vec![5], 1);
    broken.grammar = Some(Grammar::Regex("(".into()));
    assert!(matches!(bench.engine.submit(broken), Err(Error::Sample(sample::Error::Compile { .. }))));

    for (options, want) in [
        (EngineOptions { kv_bytes: Some(10), ..Default::default() }, "kv_bytes is 10, expected room for one block"),
        (
            EngineOptions { deterministic: true, kv_rest: KvRest::Q8_0, ..Default::default() },
            "deterministic does not go with packed keys and values (kv-rest q8_0), which may change what is said; leave one of them out",
        ),
        (
            EngineOptions { deterministic: true, tiles: TileUse::WhereFaster, ..Default::default() },
            "deterministic does not go with products on tiles, which may change what is said; leave one of them out",
        ),
        (EngineOptions { max_running: 0, ..Default::default() }, "max_running is 0, expected 1 or more"),
        (EngineOptions { max_batch_tokens: 0, ..Default::default() }, "max_batch_tokens is 0, expected 1 or more"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tiny.gguf");
        tiny::write(&path, &TinySpec::default()).unwrap();
        assert_eq!(load(&path, &options, &mut |_| ()).unwrap_err().to_string(), want);
    }
}

#[test]
fn a_full_context_ends_a_sequence() {
    let mut bench = Bench::new(&EngineOptions { n_ctx: Some(100), ..Default::default() });
    for (n_prompt, n_generated) in [(90, 11), (100, 1)] {
        let end = bench.one(tokens(noise(n_prompt, 3), 1000));
        assert_eq!((end.finish, end.tokens.len()), (Finish::Context, n_generated));
    }
    let parent = bench.one(tokens(noise(90, 3), 5));
    let error = bench.all(vec![fork(parent.sequence, noise(20, 1), 5)]).remove(0).unwrap_err();
    assert_eq!(error.to_string(), "the prompt has 115 tokens, but the context holds 100");
    bench.check_balance();
}

#[test]
fn a_sequence_larger_than_the_memory_fails_and_others_go_on() {
    let mut bench = Bench::with_blocks(4, 4);
    let ends = bench.all(vec![tokens(noise(129, 1), 5), tokens(noise(120, 2), 50), tokens(noise(20, 3), 20)]);
    let want = "a sequence of 129 tokens needs 5 blocks of KV memory, but there are 4; \
                raise the KV budget or shorten the prompt";
    assert_eq!(ends[0].as_ref().unwrap_err().to_string(), want, "refused at once");
    assert_eq!(ends[1].as_ref().unwrap_err().to_string(), want, "after 8 tokens");
    assert_eq!(ends[2].as_ref().unwrap().tokens.len(), 20);
    bench.check_balance();
}

#[test]
fn a_reader_that_goes_away_frees_its_blocks() {
    let mut bench = Bench::new(&EngineOptions::default());
    let [kept, dropped, stopped, waiting] =
        [1, 2, 3, 4].map(|seed| bench.engine.submit(tokens(noise(100, seed), 200)).unwrap());
    bench.obey();
    drop(waiting);
    (0..6).for_each(|_| bench.worker.turn());
    assert_eq!(bench.engine.stats().n_running, 3);
    drop(dropped);
    stopped.cancel();
    bench.worker.turn();
    assert_eq!(bench.engine.stats().n_running, 1);
    bench.drain();
    let end = stopped.finish_blocking().unwrap();
    assert_eq!(end.finish, Finish::Cancelled);
    assert!((1..10).contains(&end.tokens.len()) && !end.text.is_empty());
    assert_eq!(kept.finish_blocking().unwrap().finish, Finish::Length);
    bench.check_balance();
}

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
fn a_model_error_reaches_the_streams_of_its_batch() {
    // The head of a model may have more rows than its tokenizer has tokens, never fewer; so a token can only be
    // wrong for the model if somebody corrupts a sequence.
    let mut bench = Bench::new(&EngineOptions::default());
    let stream = bench.engine.submit(tokens(noise(10, 1), 5)).unwrap();
    bench.obey();
    bench.worker.corrupt_first();
    bench.drain();
    let error = stream.finish_blocking().unwrap_err();
    assert!(matches!(&error, Error::Model(source) if source.to_string().contains("token 4294967295")), "{error:?}");
    assert_eq!(bench.one(tokens(noise(10, 1), 5)).tokens.len(), 5);
    bench.check_balance();
}

#[test]
fn a_panic_ends_every_stream_and_every_later_request() {
    let Bench { engine, worker, inbox } = Bench::new(&EngineOptions::default());
    let streams: Vec<_> = (0..3).map(|seed| engine.submit(tokens(noise(10, seed), 400)).unwrap()).collect();
    engine.0.commands.send(Command::Panic).unwrap();
    let after = engine.submit(tokens(noise(10, 9), 5)).unwrap();
    let thread = std::thread::spawn(move || worker.run(&inbox));
    let why = "the engine has stopped: asked to panic";
    for stream in streams {
        assert_eq!(stream.finish_blocking().unwrap_err().to_string(), why);
    }
    assert!(after.finish_blocking().is_err(), "queued behind the panic");
    thread.join().unwrap();
    assert_eq!(engine.submit(tokens(noise(10, 9), 5)).unwrap_err().to_string(), why);
}

#[test]
fn the_thread_ends_with_the_last_handle() {
    let Bench { engine, worker, inbox } = Bench::new(&EngineOptions::default());
    let thread = std::thread::spawn(move || worker.run(&inbox));
    let clone = engine.clone();
    let stream = clone.submit(tokens(noise(10, 1), 30)).unwrap();
    drop((engine, clone));
    assert_eq!(stream.finish_blocking().unwrap().tokens.len(), 30, "a sequence with a reader is finished");
    thread.join().unwrap();
}

#[test]
fn usage_and_log_probabilities_add_up() {
    let mut bench = Bench::new(&EngineOptions::default());
    let mut request = tokens(noise(70, 1), 12);
    request.sampling.n_logprobs = 3;
    let mut stream = bench.engine.submit(request).unwrap();
    bench.drain();
    let mut n_tokens = 0;
    while let Some(Delta::Token { token, logprob, top, .. }) = stream.recv_blocking() {
        n_tokens += 1;
        assert_eq!((top[0].0, top[0].1), (token, logprob), "greedy takes the likeliest");
        assert!(top.len() == 3 && top.iter().map(|t| t.1.exp()).sum::<f32>() <= 1.0 + 1e-5);
    }
    let again = bench.one(tokens(noise(70, 1), 12));
    assert_eq!((n_tokens, again.tokens.len()), (12, 12));
    let Usage { prompt_tokens, cached_tokens, decoded_tokens, prefill_ms, decode_ms } = again.usage;
    assert_eq!((prompt_tokens, cached_tokens, decoded_tokens), (70, 69, 12));
    assert!(prefill_ms > 0.0 && decode_ms > 0.0);
    let stats = bench.engine.stats();
    assert_eq!((stats.n_prefilled, stats.n_cached, stats.n_decoded), (71, 69, 24));
    assert_eq!((stats.n_passes, stats.n_ended, stats.n_running), (24, 2, 0));
    assert!((stats.occupancy() - 1.0).abs() < 1e-9 && stats.tokens_per_s() > 0.0);
    assert_eq!(stats.kv_blocks_peak, 4, "three, and a copy of the last for the second time");
}

/// Asks an engine with this folder, and gives what it said and what the engine did.
fn ask(request: &Request, options: &EngineOptions, spec: &TinySpec) -> (Completion, Stats) {
    let mut bench = Bench::with_spec(options, spec);
    let end = bench.one(request.clone());
    bench.engine.0.clerk.iter().for_each(Clerk::flush);
    let stats = bench.engine.stats();
    bench.check_balance();
    (end, stats)
}

#[test]
fn a_second_process_computes_nothing_of_what_the_first_one_kept() {
    let folder = tempfile::tempdir().unwrap();
    let options = EngineOptions {
        kv_folder: Some(folder.path().join("kv")),
        max_batch_tokens: 48,
        max_running: 4,
        ..Default::default()
    };
    let standing = noise(150, 1);
    let request = |seed| Request { n_keep: 150, ..tokens([&standing[..], &noise(20, seed)].concat(), 12) };
    let spec = TinySpec::default();
    for (seed, want_read) in [(2, 0), (2, 150), (3, 150)] {
        let (alone, _) = ask(&request(seed), &EngineOptions::default(), &spec);
        let (end, stats) = ask(&request(seed), &options, &spec);
        assert_eq!((&end.tokens, end.mean_logprob), (&alone.tokens, alone.mean_logprob));
        assert_eq!((end.usage.prompt_tokens, end.usage.cached_tokens as u64), (170, want_read));
        assert_eq!((stats.n_prefilled, stats.n_cached), (170 - want_read, want_read));
        let archive = stats.archive;
        assert_eq!((archive.n_tokens_read, archive.n_ignored, archive.warning), (want_read, 0, None));
        assert_eq!(archive.n_blocks_written, if want_read == 0 { 5 } else { 0 });
    }
    // Without the mark full blocks are found; without the folder nothing.
    let unmarked = Request { n_keep: 0, ..request(4) };
    assert_eq!(ask(&unmarked, &options, &spec).0.usage.cached_tokens, 128);
    assert_eq!(ask(&request(4), &EngineOptions::default(), &spec).0.usage.cached_tokens, 0);
    // Whatever changes keys and values: other weights, other rounding.
    let read = |options: &EngineOptions, spec: &TinySpec| ask(&request(5), options, spec).1.archive.n_tokens_read;
    assert_eq!(read(&options, &TinySpec { seed: 2, ..TinySpec::default() }), 0);
    assert_eq!(read(&EngineOptions { precision: Precision::Bits16, ..options.clone() }, &spec), 0);
    assert_eq!(read(&options, &spec), 150);
}

#[test]
fn what_is_kept_is_on_disk_when_the_last_handle_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let options = EngineOptions { kv_folder: Some(folder.path().to_owned()), ..Default::default() };
    let request = Request { n_keep: 1000, ..tokens(noise(200, 1), 3) };
    let Bench { engine, worker, inbox } = Bench::new(&options);
    let thread = std::thread::spawn(move || worker.run(&inbox));
    engine.submit(request.clone()).unwrap().finish_blocking().unwrap();
    drop(engine);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 7, "the prompt, not what was generated");
    thread.join().unwrap();
    let (end, stats) = ask(&request, &options, &TinySpec::default());
    assert_eq!((end.usage.cached_tokens, stats.n_prefilled), (199, 1), "the last token's logits are wanted");
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

/// What a sequence has said since the last look: token, and the bits of what was reported with it. `None`: it failed.
type Said = Option<(Token, u32, Vec<(Token, u32)>)>;

/// Reads what is there; true when nothing more will come.
fn read_ready(stream: &mut TokenStream, said: &mut Vec<Said>) -> bool {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    while let std::task::Poll::Ready(delta) = stream.poll_recv(&mut context) {
        match delta {
            Some(Delta::Token { token, logprob, top, .. }) => {
                let top = top.into_iter().map(|(token, logprob)| (token, logprob.to_bits())).collect();
                said.push(Some((token, logprob.to_bits(), top)));
            }
            Some(Delta::Failed(_)) => said.push(None),
            Some(Delta::Done(_)) => {}
            None => return true,
        }
    }
    false
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

#[test]
fn a_preempted_sequence_computes_only_what_was_evicted() {
    let requests = || vec![tokens(noise(100, 1), 60), tokens(noise(90, 2), 60)];
    let alone: Vec<_> = requests().into_iter().map(|request| Bench::with_blocks(100, 1).one(request).tokens).collect();
    for (n_blocks, n_turns) in [(100, 20), (8, 100)] {
        let mut bench = Bench::with_blocks(n_blocks, 4);
        let streams: Vec<_> = requests().into_iter().map(|request| bench.engine.submit(request).unwrap()).collect();
        bench.obey();
        let mut known = Vec::new();
        for turn in 0..n_turns {
            bench.worker.turn();
            if n_blocks == 100 && turn == 15 {
                bench.worker.preempt_youngest();
            }
            known = bench.worker.waiting_and_known();
            if !known.is_empty() {
                break;
            }
        }
        // All of it is known at first, but the block that an older sequence needed at once.
        let (n_tokens, n_known) = known[0];
        assert!(n_tokens - 1 - n_known <= if n_blocks == 100 { 0 } else { BLOCK_TOKENS }, "{n_known} of {n_tokens}");
        let before = bench.engine.stats().n_prefilled;
        let mut n_known = n_known;
        while let Some(&(_, n)) = bench.worker.waiting_and_known().first() {
            n_known = n;
            bench.worker.turn();
        }
        assert!(n_known >= 64, "{n_known} of {n_tokens} tokens outlived the wait");
        bench.drain();
        let stats = bench.engine.stats();
        assert_eq!((stats.n_preempted, stats.n_prefilled - before), (1, (n_tokens - n_known) as u64));
        let said: Vec<_> = streams.into_iter().map(|stream| stream.finish_blocking().unwrap().tokens).collect();
        assert_eq!(said, alone);
        bench.check_balance();
    }
}

/// Eight prompts that begin like an earlier one, then a flood of others, then the eight again: prompt tokens that were
/// computed for these.
fn after_a_flood(pinned: &[u64]) -> (Vec<usize>, Bench) {
    let mut bench = Bench::with_blocks(32, 4);
    let standing = |seed: u64| noise(128, seed);
    let pins: Vec<Pin> = pinned.iter().map(|&seed| bench.engine.pin(standing(seed))).collect();
    bench.all((1..4).map(|seed| tokens(standing(seed), 2)).collect());
    bench.all((10..40).map(|seed| tokens(noise(150, seed), 8)).collect());
    let again = |seed| tokens([standing(seed), noise(5, seed)].concat(), 2);
    let ends = bench.all((1..4).map(again).collect());
    drop(pins);
    (ends.into_iter().map(|end| end.unwrap().usage.cached_tokens).collect(), bench)
}

#[test]
fn what_is_pinned_outlives_what_is_not() {
    for (pinned, want) in [(&[][..], [0, 0, 0]), (&[2], [0, 128, 0]), (&[3, 1], [128, 0, 128])] {
        let (cached, mut bench) = after_a_flood(pinned);
        assert_eq!(cached, want, "{pinned:?}");
        // Pins that are gone keep nothing.
        bench.all((50..80).map(|seed| tokens(noise(150, seed), 8)).collect());
        let ends = bench.all((1..4).map(|seed| tokens(noise(128, seed), 2)).collect());
        assert!(ends.iter().all(|end| end.as_ref().unwrap().usage.cached_tokens == 0));
        bench.check_balance();
    }
    // A pin outlives its engine, or the other way round.
    let Bench { engine, worker, inbox } = Bench::new(&EngineOptions::default());
    let pin = engine.pin(noise(40, 1));
    let thread = std::thread::spawn(move || worker.run(&inbox));
    drop(engine);
    thread.join().unwrap();
    drop(pin);
}

#[test]
fn packed_keys_and_values_save_prefilling_under_pressure() {
    let run = |kv_rest: KvRest| {
        let probe = Bench::new(&EngineOptions::default());
        let block_bytes = cache::KvPool::block_bytes(probe.worker.kv_shape()) as u64;
        let kv_bytes = Some(40 * block_bytes);
        let mut bench = Bench::new(&EngineOptions { kv_bytes, kv_rest, max_running: 4, ..Default::default() });
        for round in 0..3 {
            for seed in 0..11 {
                bench.one(tokens([noise(128, seed), noise(9, 100 * round + seed)].concat(), 3));
            }
        }
        bench.check_balance();
        bench.engine.stats()
    };
    let (plain, packed) = (run(KvRest::F16), run(KvRest::Q8_0));
    assert_eq!((plain.n_rested, plain.n_revived), (0, 0));
    assert!(packed.n_rested > 0 && packed.n_revived > 0, "{packed:?}");
    assert!(2 * packed.n_prefilled < plain.n_prefilled, "{} against {}", packed.n_prefilled, plain.n_prefilled);
    assert_eq!(packed.n_prefilled + packed.n_cached, plain.n_prefilled + plain.n_cached);
}

#[test]
fn available_memory_is_read_from_meminfo() {
    for (text, want) in [
        ("MemTotal: 100 kB\nMemAvailable:    2048 kB\n", Some(2 << 20)),
        ("MemTotal: 100 kB\n", None),
        ("MemAvailable: lots\n", None),
    ] {
        assert_eq!(parse_available(text), want);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Arrivals, forks and cancellations at random, in a pool that is too small for all of them.
    #[test]
    fn random_traffic_ends_and_every_block_comes_back(
        seed in 0_u64..1000,
        n_blocks in 8_usize..40,
        max_running in 1_usize..9,
        moves in prop::collection::vec((0_usize..4, 0_usize..6), 4..16),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let kv_folder = seed.is_multiple_of(2).then(|| folder.path().to_owned());
        let mut requests = mixed(moves.len(), seed);
        requests.iter_mut().enumerate().for_each(|(i, request)| request.n_keep = i % 4 * 35);
        if kv_folder.is_some() {
            // An earlier process left some of it.
            let mut bench = Bench::with_blocks_and_folder(40, 4, kv_folder.clone());
            bench.all(requests.iter().step_by(2).cloned().collect());
        }
        let mut bench = Bench::with_blocks_and_folder(n_blocks, max_running, kv_folder);
        bench.worker.n_drafts = Some(seed as usize % 4);
        let mut streams: Vec<(usize, TokenStream)> = Vec::new();
        for (i, &(kind, n_turns)) in moves.iter().enumerate() {
            match (kind, streams.len()) {
                (3, n) if n > 0 => drop(streams.remove(i % n)),
                (2, n) if n > 0 => {
                    let parent = streams[i % n].1.sequence();
                    let request = fork(parent, noise(3, seed), 6);
                    // Only that it ends is checked: how long its parent is at this moment depends on the timing.
                    streams.push((usize::MAX, bench.engine.submit(request).unwrap()));
                }
                _ => streams.push((i, bench.engine.submit(requests[i].clone()).unwrap())),
            }
            bench.obey();
            (0..n_turns).for_each(|_| bench.worker.turn());
        }
        bench.drain();
        let mut alone = Bench::new(&EngineOptions { max_running: 1, ..Default::default() });
        for (i, stream) in streams {
            let end = stream.finish_blocking();
            if let (Some(request), Ok(end)) = (requests.get(i), &end) {
                let want = alone.one(request.clone());
                prop_assert_eq!((&end.tokens, end.finish), (&want.tokens, want.finish));
            } else if !matches!(end, Ok(_) | Err(Error::OutOfMemory { .. })) {
                prop_assert!(false, "{:?}", end);
            }
        }
        bench.check_balance();
    }
}
