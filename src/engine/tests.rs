//! The worker, turned by hand on a small seeded model: no thread, no clock, every interleaving repeatable.

mod drawing;
mod memory;

use super::*;
use crate::model::tiny::{self, TinySpec};
use crate::sample::Random;
use crate::types::{Finish, Usage};

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
