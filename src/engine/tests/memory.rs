//! What of keys and values is shared, kept, evicted and computed again.

use proptest::prelude::*;

use super::*;
use crate::engine::load::parse_available;

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
