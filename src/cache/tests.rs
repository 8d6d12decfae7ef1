//! The tree against a naive model: every match is exact, and no block is lost or freed twice.

use proptest::prelude::*;

use super::*;

/// Fake memory: which token each position of each block was computed for.
type Memory = Vec<[Option<Token>; BLOCK_TOKENS]>;

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
    ]
}

#[derive(Default)]
struct Sequence {
    tokens: Vec<Token>,
    blocks: Vec<BlockId>,
}

struct World {
    blocks: Blocks,
    tree: Tree,
    memory: Memory,
    running: Vec<Sequence>,
    /// Everything ever inserted; `None` once something was evicted.
    known: Option<Vec<Vec<Token>>>,
}

impl World {
    fn new(n_blocks: usize) -> Self {
        Self {
            blocks: Blocks::new(n_blocks),
            tree: Tree::new(),
            memory: vec![[None; BLOCK_TOKENS]; n_blocks],
            running: Vec::new(),
            known: Some(Vec::new()),
        }
    }

    fn apply(&mut self, op: Op) {
        let pick = |i: usize, n: usize| if n == 0 { None } else { Some(i % n) };
        match op {
            Op::Start(tokens) => self.start(&tokens),
            Op::Extend(i, tokens) => {
                if let Some(i) = pick(i, self.running.len()) {
                    self.extend(i, &tokens);
                }
            }
            Op::Insert(i) => {
                if let Some(i) = pick(i, self.running.len()) {
                    let Sequence { tokens, blocks } = &self.running[i];
                    self.tree.insert(tokens, blocks, &mut self.blocks);
                    if let Some(known) = &mut self.known {
                        known.push(tokens.clone());
                    }
                }
            }
            Op::Release(i) => {
                if let Some(i) = pick(i, self.running.len()) {
                    for block in self.running.swap_remove(i).blocks {
                        self.blocks.release(block);
                    }
                }
            }
            Op::Evict(n) => {
                self.evict(n);
            }
        }
    }

    fn start(&mut self, tokens: &[Token]) {
        let found = self.tree.match_prefix(tokens, &mut self.blocks);
        if let Some(known) = &self.known {
            let same = |known: &Vec<Token>| known.iter().zip(tokens).take_while(|(a, b)| a == b).count();
            assert_eq!(found.n_tokens(), known.iter().map(same).max().unwrap_or(0), "longest match");
        }
        let mut sequence =
            Sequence { tokens: tokens[..found.blocks.len() * BLOCK_TOKENS].to_vec(), blocks: found.blocks };
        if let Some(tail) = found.tail {
            if let Some(copy) = self.alloc() {
                let (from, to) = (tail.block.0 as usize, copy.0 as usize);
                self.memory[to] = [None; BLOCK_TOKENS];
                let head = self.memory[from][..tail.n_tokens].to_vec();
                self.memory[to][..tail.n_tokens].copy_from_slice(&head);
                sequence.tokens.extend(&tokens[sequence.tokens.len()..][..tail.n_tokens]);
                sequence.blocks.push(copy);
            }
            self.blocks.release(tail.block);
        }
        let rest = tokens[sequence.tokens.len()..].to_vec();
        self.running.push(sequence);
        self.extend(self.running.len() - 1, &rest);
    }

    fn extend(&mut self, i: usize, tokens: &[Token]) {
        for &token in tokens {
            let position = self.running[i].tokens.len();
            if position.is_multiple_of(BLOCK_TOKENS) {
                let Some(block) = self.alloc() else { return };
                self.memory[block.0 as usize] = [None; BLOCK_TOKENS];
                self.running[i].blocks.push(block);
            }
            let block = self.running[i].blocks[position / BLOCK_TOKENS];
            let slot = &mut self.memory[block.0 as usize][position % BLOCK_TOKENS];
            assert_eq!(*slot, None, "a computed position is never written again");
            *slot = Some(token);
            self.running[i].tokens.push(token);
        }
    }

    fn alloc(&mut self) -> Option<BlockId> {
        if self.blocks.n_free() == 0 {
            self.evict(1);
        }
        self.blocks.alloc()
    }

    fn evict(&mut self, n: usize) -> usize {
        let (before, could) = (self.blocks.n_free(), self.tree.n_evictable(&self.blocks));
        let n_freed = self.tree.evict(n, &mut self.blocks);
        assert_eq!(n_freed, n.min(could), "evicts as many as it says it could");
        assert_eq!(self.blocks.n_free(), before + n_freed);
        if n_freed > 0 {
            self.known = None;
        }
        n_freed
    }

    fn check(&self) {
        let mut owners = vec![0; self.blocks.n_total()];
        let held = self.running.iter().flat_map(|sequence| &sequence.blocks).copied();
        held.chain(self.tree.blocks()).for_each(|block| owners[block.0 as usize] += 1);
        for (i, &n) in owners.iter().enumerate() {
            assert_eq!(self.blocks.refcount(BlockId(i as u32)), n, "owners of block {i}");
        }
        assert_eq!(self.blocks.n_free(), owners.iter().filter(|&&n| n == 0).count());
        for sequence in &self.running {
            for (position, &token) in sequence.tokens.iter().enumerate() {
                let block = sequence.blocks[position / BLOCK_TOKENS].0 as usize;
                assert_eq!(self.memory[block][position % BLOCK_TOKENS], Some(token), "position {position}");
            }
        }
    }
}

proptest! {
    #[test]
    fn agrees_with_a_naive_model(n_blocks in 1..40usize, ops in prop::collection::vec(op(), 1..60)) {
        let mut world = World::new(n_blocks);
        for op in ops {
            world.apply(op);
            world.check();
        }
        while !world.running.is_empty() {
            world.apply(Op::Release(0));
        }
        prop_assert_eq!(world.tree.n_evictable(&world.blocks), world.tree.n_blocks());
        world.tree.clear(&mut world.blocks);
        prop_assert_eq!(world.blocks.n_free(), n_blocks);
        prop_assert_eq!(world.tree.n_blocks(), 0);
    }
}

/// Inserts each of `known` as a sequence of its own, then matches `asked`: full blocks and tail that are found.
#[track_caller]
fn check_match(known: &[&[Token]], asked: &[Token], want: (usize, usize)) {
    let mut blocks = Blocks::new(64);
    let mut tree = Tree::new();
    for tokens in known {
        let held: Vec<_> = tokens.chunks(BLOCK_TOKENS).map(|_| blocks.alloc().unwrap()).collect();
        tree.insert(tokens, &held, &mut blocks);
        for block in held {
            blocks.release(block);
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

#[test]
fn evicts_the_least_recently_used_first() {
    let mut cache = Cache::new(4);
    let mut pool = KvPool::new(KvShape { n_layers: 1, n_kv_heads: 1, head_dim: 16 }, 4);
    let prompts: Vec<Vec<Token>> = (0..4).map(|i| vec![i; BLOCK_TOKENS]).collect();
    for prompt in &prompts {
        let mut blocks = Vec::new();
        cache.grow(&mut blocks, prompt.len()).unwrap();
        cache.insert(prompt, &blocks);
        cache.release(blocks);
    }
    let used = cache.reuse(&prompts[0], &mut pool);
    assert_eq!(used.n_tokens, BLOCK_TOKENS);
    cache.release(used.blocks);
    assert_eq!((cache.n_free(), cache.n_available()), (0, 4));
    cache.tree.evict(3, &mut cache.blocks);
    let left: Vec<_> =
        prompts.iter().map(|prompt| cache.tree.match_prefix(prompt, &mut cache.blocks).n_tokens()).collect();
    assert_eq!(left, [BLOCK_TOKENS, 0, 0, 0]);
}

#[test]
fn a_full_pool_is_an_error_and_changes_nothing() {
    let mut cache = Cache::new(2);
    let mut blocks = Vec::new();
    cache.grow(&mut blocks, BLOCK_TOKENS + 1).unwrap();
    let mut more = Vec::new();
    let full = cache.grow(&mut more, 1).unwrap_err();
    assert_eq!(full, Error::Full { wanted: 1, available: 0, total: 2 });
    assert!(more.is_empty());
    cache.release(blocks);
    assert_eq!(cache.n_free(), 2);
}
