//! The cache against a naive model: every match is exact, no block is lost or freed twice, and every count is what
//! looking at all nodes gives.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

/// A prefix of a sequence, or something else.
#[derive(Debug, Clone)]
enum Op {
    /// Starts a sequence with these tokens.
    Start(Vec<Token>),
    /// Generates tokens at the end of a running sequence.
    Extend(usize, Vec<Token>),
    /// Records what a running sequence has computed.
    Insert(usize),
    /// Ends a running sequence.
    Release(usize),
    Evict(usize),
    Pin(u64, Vec<Token>),
    Unpin(u64),
}

/// Runs of equal tokens: short alphabets and long runs make prefixes meet, inside blocks and at their edges.
fn tokens() -> impl Strategy<Value = Vec<Token>> {
    let run = (0..3u32, prop_oneof![1..4usize, 30..35usize]).prop_map(|(token, n)| vec![token; n]);
    prop::collection::vec(run, 1..5).prop_map(|runs| runs.concat())
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => tokens().prop_map(Op::Start),
        3 => (any::<usize>(), tokens()).prop_map(|(sequence, tokens)| Op::Extend(sequence, tokens)),
        4 => any::<usize>().prop_map(Op::Insert),
        3 => any::<usize>().prop_map(Op::Release),
        1 => (1..4usize).prop_map(Op::Evict),
        1 => (0..4u64, tokens()).prop_map(|(id, tokens)| Op::Pin(id, tokens)),
        1 => (0..4u64).prop_map(Op::Unpin),
    ]
}

#[derive(Default)]
struct Sequence {
    tokens: Vec<Token>,
    blocks: Vec<BlockId>,
}

const SHAPE: KvShape = KvShape { n_layers: 1, n_kv_heads: 1, head_dim: 16 };

/// A cache whose memory tells, for each position of each block, which token it was computed for.
struct World {
    cache: Cache,
    pool: KvPool,
    running: Vec<Sequence>,
    /// Everything ever inserted; `None` once something was forgotten.
    known: Option<Vec<Vec<Token>>>,
}

impl World {
    fn new(n_blocks: usize, n_slots: usize) -> Self {
        let cache = Cache::with_rest(SHAPE, n_blocks, n_slots);
        Self { cache, pool: KvPool::new(SHAPE, n_blocks), running: Vec::new(), known: Some(Vec::new()) }
    }

    fn apply(&mut self, op: Op) {
        let n_nodes = self.cache.tree.n_nodes();
        let some = |i: usize, running: &[Sequence]| i.checked_rem(running.len());
        match op {
            Op::Start(tokens) => self.start(&tokens),
            Op::Extend(i, tokens) => {
                if let Some(i) = some(i, &self.running) {
                    self.extend(i, &tokens);
                }
            }
            Op::Insert(i) => {
                if let Some(i) = some(i, &self.running) {
                    let Sequence { tokens, blocks } = &self.running[i];
                    self.cache.insert(tokens, blocks);
                    self.known.iter_mut().for_each(|known| known.push(tokens.clone()));
                }
                return;
            }
            Op::Release(i) => {
                if let Some(i) = some(i, &self.running) {
                    self.cache.release(self.running.swap_remove(i).blocks);
                }
            }
            Op::Evict(n) => self.evict(n),
            Op::Pin(id, tokens) => self.cache.pin(PinId(id), tokens),
            Op::Unpin(id) => self.cache.unpin(PinId(id)),
        }
        if self.cache.tree.n_nodes() < n_nodes {
            self.known = None;
        }
    }

    fn start(&mut self, tokens: &[Token]) {
        let n_known = self.cache.n_known(tokens);
        if let Some(known) = &self.known {
            let same = |known: &Vec<Token>| known.iter().zip(tokens).take_while(|(a, b)| a == b).count();
            assert_eq!(n_known, known.iter().map(same).max().unwrap_or(0), "longest match");
        }
        let has_room = self.cache.n_free() > tokens.len().div_ceil(BLOCK_TOKENS);
        let Prefix { blocks, n_tokens } = self.cache.reuse(tokens, &mut self.pool);
        assert!(n_tokens == n_known || n_tokens < n_known && !has_room, "{n_tokens} of {n_known} tokens");
        assert_eq!(blocks.len(), n_tokens.div_ceil(BLOCK_TOKENS));
        self.running.push(Sequence { tokens: tokens[..n_tokens].to_vec(), blocks });
        self.extend(self.running.len() - 1, &tokens[n_tokens..]);
    }

    /// What the model would do: makes room, and writes what it computes.
    fn extend(&mut self, i: usize, tokens: &[Token]) {
        for &token in tokens {
            let sequence = &mut self.running[i];
            let position = sequence.tokens.len();
            let could = self.cache.n_available() > 0 || !position.is_multiple_of(BLOCK_TOKENS);
            let grown = self.cache.grow(&mut sequence.blocks, position + 1, &self.pool);
            assert_eq!(grown.is_ok(), could, "what is available can be had");
            if !could {
                return;
            }
            let block = self.pool.block_mut(sequence.blocks[position / BLOCK_TOKENS]);
            block[position % BLOCK_TOKENS] = half::f16::from_f32(token as f32 + 1.0);
            sequence.tokens.push(token);
        }
    }

    fn evict(&mut self, n: usize) {
        let (before, could) = (self.cache.n_free(), self.cache.tree.n_evictable());
        let (pinned, n_others) = self.cache.tree.pinned_blocks_and_others();
        self.cache.make_room(before + n, &self.pool);
        assert_eq!(self.cache.n_free(), before + n.min(could), "evicts as many as it says it could");
        let (still, _) = self.cache.tree.pinned_blocks_and_others();
        if n <= n_others {
            assert!(pinned.iter().all(|block| still.contains(block)), "pinned blocks go last");
        }
    }

    fn check(&mut self) {
        let blocks = &self.cache.blocks;
        let mut owners = vec![0; blocks.n_total()];
        let held = self.running.iter().flat_map(|sequence| &sequence.blocks).copied();
        held.chain(self.cache.tree.blocks()).for_each(|block| owners[block.0 as usize] += 1);
        for (i, &n) in owners.iter().enumerate() {
            assert_eq!(blocks.refcount(BlockId(i as u32)), n, "owners of block {i}");
        }
        assert_eq!(blocks.n_free(), owners.iter().filter(|&&n| n == 0).count());
        self.cache.tree.check(blocks);
        for sequence in &self.running {
            for (position, &token) in sequence.tokens.iter().enumerate() {
                let found = self.pool.block(sequence.blocks[position / BLOCK_TOKENS])[position % BLOCK_TOKENS];
                assert_eq!(found.to_f32().round(), token as f32 + 1.0, "position {position}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(4), ..ProptestConfig::with_cases(600) })]
    #[test]
    fn agrees_with_a_naive_model(
        n_blocks in 1..40usize,
        n_slots in prop_oneof![Just(0), 0..20usize],
        ops in prop::collection::vec(op(), 1..60),
    ) {
        let mut world = World::new(n_blocks, n_slots);
        for op in ops {
            world.apply(op);
            world.check();
        }
        while !world.running.is_empty() {
            world.apply(Op::Release(0));
        }
        world.check();
        prop_assert_eq!(world.cache.n_available(), n_blocks);
        world.cache.clear();
        world.check();
        prop_assert_eq!((world.cache.n_free(), world.cache.tree.n_nodes()), (n_blocks, 0));
    }
}

/// Inserts each of `known` as a sequence of its own, then matches `asked`: full blocks and tail that are found.
#[track_caller]
fn check_match(known: &[&[Token]], asked: &[Token], want: (usize, usize)) {
    let mut blocks = Blocks::new(64);
    let mut tree = Tree::new(64, 0);
    for tokens in known {
        let held: Vec<_> = tokens.chunks(BLOCK_TOKENS).map(|_| blocks.alloc().unwrap()).collect();
        tree.insert(tokens, &held, &mut blocks);
        for block in held {
            tree.release(block, &mut blocks);
        }
    }
    let found = tree.match_prefix(asked, &mut blocks);
    assert_eq!((found.blocks.len(), found.tail.map_or(0, |tail| tail.n_tokens)), want, "{} known", known.len());
}

#[test]
fn matches_to_the_token() {
    let a: Vec<Token> = (0..100).collect();
    let fork = |at: usize| [&a[..at], &[7; 50][..]].concat();
    for (known, asked, want) in [
        (vec![], &a[..], (0, 0)),
        (vec![&a[..]], &a[..], (3, 4)),
        (vec![&a[..]], &a[..96], (3, 0)),
        (vec![&a[..]], &a[..95], (2, 31)),
        (vec![&a[..]], &a[..1], (0, 1)),
        (vec![&a[..40]], &a[..], (1, 8)),
        (vec![&a[..40], &a[..70]], &a[..], (2, 6)),
        (vec![&a[..70], &a[..40]], &a[..], (2, 6)),
        (vec![&fork(33), &fork(50), &fork(40)], &a[..], (1, 18)),
        (vec![&fork(32)], &a[..], (1, 0)),
        (vec![&a[1..]], &a[..], (0, 0)),
    ] {
        check_match(&known, asked, want);
    }
}

/// A cache of `n_blocks` that has computed these prompts, one after the other, as far as it had room.
fn filled(n_blocks: usize, prompts: &[Vec<Token>]) -> (Cache, KvPool) {
    let (mut cache, mut pool) = (Cache::new(n_blocks), KvPool::new(SHAPE, n_blocks));
    prompts.iter().for_each(|prompt| compute(prompt, &mut cache, &mut pool));
    (cache, pool)
}

fn compute(prompt: &[Token], cache: &mut Cache, pool: &mut KvPool) {
    let mut blocks = cache.reuse(prompt, pool).blocks;
    cache.grow(&mut blocks, prompt.len(), pool).unwrap();
    cache.insert(prompt, &blocks);
    cache.release(blocks);
}

fn n_known(prompts: &[Vec<Token>], cache: &Cache) -> Vec<usize> {
    prompts.iter().map(|prompt| cache.n_known(prompt)).collect()
}

#[test]
fn among_equals_the_least_recently_used_goes_first() {
    let prompts: Vec<Vec<Token>> = (0..4).map(|i| vec![i; BLOCK_TOKENS]).collect();
    let (mut cache, mut pool) = filled(4, &prompts);
    let used = cache.reuse(&prompts[0], &mut pool);
    assert_eq!(used.n_tokens, BLOCK_TOKENS);
    cache.release(used.blocks);
    assert_eq!((cache.n_free(), cache.n_available()), (0, 4));
    cache.make_room(3, &pool);
    assert_eq!(n_known(&prompts, &cache), [BLOCK_TOKENS, 0, 0, 0]);
}

#[test]
fn what_is_costly_to_compute_again_stays_longer_but_not_for_ever() {
    // 512 blocks deep, a token costs three times as much as at the beginning.
    let deep: Vec<Token> = (0..512 * BLOCK_TOKENS as u32).collect();
    let (mut cache, mut pool) = filled(513, std::slice::from_ref(&deep));
    let newer = |i: u32| vec![i + 1_000_000; BLOCK_TOKENS];
    compute(&newer(0), &mut cache, &mut pool);
    let n_lost = |cache: &Cache| 512 - cache.n_known(&deep) / BLOCK_TOKENS;
    // A partial block is worth little, wherever it stands.
    (1..3).for_each(|i| compute(&newer(i), &mut cache, &mut pool));
    assert_eq!(n_lost(&cache), 0, "the newer but cheaper ones gave way to each other");
    (3..9).for_each(|i| compute(&newer(i), &mut cache, &mut pool));
    assert!(n_lost(&cache) > 0, "nobody has asked for it for long");
    assert!(cache.n_known(&newer(8)) > 0);
}

#[test]
fn pins_keep_half_of_the_pool_and_the_older_ones_come_first() {
    let prompts: Vec<Vec<Token>> = (0..4).map(|i| (i * 1000..i * 1000 + 96).collect()).collect();
    let flood: Vec<Vec<Token>> = (9..30).map(|i| vec![i * 1000; 64]).collect();
    // Three blocks each, and room for eight in all: four may be pinned.
    for (pins, want) in
        [(&[][..], [0, 0, 0, 0]), (&[1], [0, 96, 0, 0]), (&[1, 3], [0, 96, 0, 32]), (&[3, 1, 0], [0, 32, 0, 96])]
    {
        for pins_first in [false, true] {
            let (mut cache, mut pool) = filled(8, &[]);
            let pin = |cache: &mut Cache| {
                pins.iter().zip(0..).for_each(|(&i, id): (&usize, u64)| cache.pin(PinId(id), prompts[i].clone()));
            };
            if pins_first {
                pin(&mut cache);
            }
            // Those that are pinned last, so that they are there when the pins come.
            let rest = (0..4).filter(|i| !pins.contains(i));
            rest.chain(pins.iter().copied().rev()).for_each(|i| compute(&prompts[i], &mut cache, &mut pool));
            if !pins_first {
                pin(&mut cache);
            }
            flood.iter().for_each(|prompt| compute(prompt, &mut cache, &mut pool));
            assert_eq!(n_known(&prompts, &cache), want, "{pins:?} {pins_first}");
            // Nothing else can go: pinned blocks do.
            let mut all = Vec::new();
            cache.grow(&mut all, 8 * BLOCK_TOKENS, &pool).unwrap();
            assert_eq!(n_known(&prompts, &cache), [0; 4]);
            cache.release(all);
            pins.iter().zip(0..).for_each(|(_, id)| cache.unpin(PinId(id)));
            prompts.iter().chain(&flood).for_each(|prompt| compute(prompt, &mut cache, &mut pool));
            assert_eq!(n_known(&prompts, &cache), [0; 4], "nothing is pinned any more");
        }
    }
}

#[test]
fn what_rests_is_found_again_until_the_slots_are_full() {
    let prompts: Vec<Vec<Token>> = (0..4).map(|i| vec![i; 50]).collect();
    let (mut cache, mut pool) = (Cache::with_rest(SHAPE, 2, 4), KvPool::new(SHAPE, 2));
    for (n_tokens, want) in [(4, [0, 50, 50, 50]), (3, [50, 50, 50, 0])] {
        prompts[..n_tokens].iter().for_each(|prompt| compute(prompt, &mut cache, &mut pool));
        assert_eq!(n_known(&prompts, &cache), want);
        assert_eq!(cache.n_available(), 2);
    }
    // A block and a half; the half is the sequence's own.
    let found = cache.reuse(&prompts[1], &mut pool);
    assert_eq!((found.n_tokens, found.blocks.len()), (50, 2));
    cache.release(found.blocks);
    let (n_rested, n_revived) = cache.n_rested_and_revived();
    assert!(n_rested > 8 && n_revived == 1, "{n_rested} {n_revived}");
    cache.clear();
    assert_eq!((cache.n_free(), n_known(&prompts, &cache)), (2, vec![0; 4]));
}

#[test]
fn a_full_pool_is_an_error_and_changes_nothing() {
    let (mut cache, pool) = filled(2, &[]);
    let mut blocks = Vec::new();
    cache.grow(&mut blocks, BLOCK_TOKENS + 1, &pool).unwrap();
    let mut more = Vec::new();
    let full = cache.grow(&mut more, 1, &pool).unwrap_err();
    assert_eq!(full, Error::Full { wanted: 1, available: 0, total: 2 });
    assert!(more.is_empty());
    cache.release(blocks);
    assert_eq!(cache.n_free(), 2);
}
