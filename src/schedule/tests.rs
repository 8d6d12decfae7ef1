//! Tables of decisions, and days of random traffic in a simulation without a model.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// `id:tokens/computed@blocks`, with `d` in front for a decoding sequence, `*rank` and `~program` behind if not 0.
fn parse(text: &str) -> Vec<Running> {
    let number = |text: &str| text.parse::<usize>().unwrap();
    let sequence = |word: &str| {
        let (word, program) = word.split_once('~').unwrap_or((word, "0"));
        let (word, rank) = word.split_once('*').unwrap_or((word, "0"));
        let (id, rest) = word.trim_start_matches('d').split_once(':').unwrap();
        let (tokens, rest) = rest.split_once('/').unwrap();
        let (computed, blocks) = rest.split_once('@').unwrap();
        Running {
            id: SequenceId(number(id) as u64),
            n_tokens: number(tokens),
            n_computed: number(computed),
            n_blocks: number(blocks),
            is_decoding: word.starts_with('d'),
            program: number(program) as u64,
            rank: number(rank) as u64,
        }
    };
    text.split_whitespace().map(sequence).collect()
}

#[test]
fn decisions() {
    let check = |running: &str, n_tokens: usize, n_blocks: usize, want: &str| {
        let got = match next(&parse(running), Budget { n_tokens, n_gentle: 8, n_blocks }) {
            Decision::Batch(shares) => {
                shares.iter().map(|s| format!("{}:{}", s.id.0, s.n_tokens)).collect::<Vec<_>>().join(" ")
            }
            Decision::Preempt(id) => format!("preempt {}", id.0),
            Decision::OutOfBlocks(id) => format!("fail {}", id.0),
        };
        assert_eq!(got, want, "{running} tokens {n_tokens} blocks {n_blocks}");
    };
    check("", 64, 8, "");
    // A prompt runs in chunks; a second one takes what is left.
    check("1:100/0@0", 64, 8, "1:64");
    check("1:100/64@2 2:50/0@0", 64, 8, "1:36 2:28");
    // Decoding comes first, whatever its age, and a long forced chunk leaves a token for the others.
    check("1:500/0@0 d2:40/39@2 d3:70/69@3", 64, 30, "2:1 3:1 1:62");
    check("d1:200/100@4 d2:40/39@2 d3:70/69@3", 16, 30, "1:14 2:1 3:1");
    // Blocks limit a chunk before they stop it.
    check("1:100/0@0", 64, 1, "1:32");
    check("1:100/20@1", 64, 1, "1:44");
    check("d1:40/39@2", 64, 0, "1:1");
    // Without a block for an older sequence, the youngest gives way; itself it only waits.
    check("d1:65/64@2 d2:65/64@2", 64, 0, "preempt 2");
    check("d1:64/63@2 d2:65/64@2", 64, 0, "1:1");
    check("1:90/64@2 d2:60/50@2 d3:65/64@2", 64, 0, "preempt 3");
    check("d1:33/32@1 d2:33/32@1", 64, 1, "1:1");
    // More work behind it goes first; age decides among equals.
    check("1:100/0@0 2:50/0@0*900", 64, 8, "2:50 1:14");
    check("1:100/0@0*7 2:50/0@0*7", 64, 8, "1:64");
    // Sequences of another program are kept waiting for a few tokens only, all prompts together.
    check("d1:40/39@2~1 2:500/0@0~2", 64, 30, "1:1 2:8");
    check("d1:40/39@2~1 2:6/0@0~2 3:500/0@0~3", 64, 30, "1:1 2:6 3:2");
    check("d1:40/39@2~1 2:500/0@0~1", 64, 30, "1:1 2:63");
    check("d1:40/39@2~1 2:20/0@0~1 3:500/0@0~3", 64, 30, "1:1 2:20 3:8");
    // A decoding sequence that waits for a block waits for no prompt.
    check("1:500/32@2~1 d2:65/64@2~2", 64, 0, "1:32");
    // Alone and stuck.
    check("d1:65/64@2", 64, 0, "fail 1");
    check("1:65/0@0", 64, 0, "fail 1");
}

#[test]
fn admission_leaves_room_to_grow() {
    for (n_missing, n_available, n_running, want) in
        [(100, 0, 0, true), (3, 4, 1, false), (3, 5, 1, true), (0, 1, 1, false), (0, 2, 1, true)]
    {
        assert_eq!(may_admit(n_missing, n_available, n_running), want, "{n_missing} {n_available} {n_running}");
    }
    for (n_known, n_shared, alone, following) in [
        (0, 31, false, true),
        (0, 32, true, true),
        (64, 90, false, true),
        (64, 96, true, true),
        (96, 96, false, false),
        (96, 0, false, false),
    ] {
        assert_eq!(should_follow(n_known, n_shared, false), alone, "{n_known} {n_shared}");
        assert_eq!(should_follow(n_known, n_shared, true), following, "{n_known} {n_shared}");
    }
}

/// Passes after which the simulated cost model lets prompts pause: fewer than the real one, so that it happens often.
const PAUSE: usize = 5;

/// Runs sequences of `(arrival, prompt, output)` to their end as the engine would, without a tree.
struct Simulation {
    waiting: Vec<(Running, usize)>,
    running: Vec<(Running, usize)>,
    /// Passes in a row without a token of a sequence, and the most there ever were.
    passed_over: HashMap<SequenceId, u64>,
    most_passed_over: u64,
    /// Passes with prompts since the latest one without; after `PAUSE` of them prompts pause, as the cost model has it.
    n_since_pause: usize,
    n_free: usize,
    n_total: usize,
    n_failed: usize,
}

impl Simulation {
    fn admit(&mut self) {
        while let Some((first, _)) = self.waiting.first() {
            let n_missing = first.n_missing_blocks(first.n_tokens);
            if !may_admit(n_missing, self.n_free, self.running.len()) {
                return;
            }
            let admitted = self.waiting.remove(0);
            self.running.push(admitted);
            self.running.sort_by_key(|(r, _)| r.id);
        }
    }

    fn take_out(&mut self, id: SequenceId) -> (Running, usize) {
        let at = self.running.iter().position(|(r, _)| r.id == id).expect("decisions are about running sequences");
        let mut out = self.running.remove(at);
        self.n_free += out.0.n_blocks;
        out.0.n_blocks = 0;
        out
    }

    fn step(&mut self, n_tokens: usize) -> Result<(), TestCaseError> {
        self.admit();
        while !self.decide(n_tokens)? {}
        let n_owned: usize = self.running.iter().map(|(r, _)| r.n_blocks).sum();
        prop_assert_eq!(self.n_free + n_owned, self.n_total);
        Ok(())
    }

    /// Carries one decision out; true if it was a batch.
    fn decide(&mut self, n_tokens: usize) -> Result<bool, TestCaseError> {
        let rank_of = |r: &Running| rank(r.rank, self.passed_over.get(&r.id).copied().unwrap_or(0));
        let view: Vec<Running> = self.running.iter().map(|(r, _)| Running { rank: rank_of(r), ..r.clone() }).collect();
        let n_gentle = if self.n_since_pause < PAUSE { 4 } else { 0 };
        match next(&view, Budget { n_tokens, n_gentle, n_blocks: self.n_free }) {
            Decision::Preempt(id) => {
                prop_assert!(view.len() > 1 && view.last().unwrap().id == id);
                let (mut back, left) = self.take_out(id);
                (back.n_computed, back.is_decoding) = (0, false);
                self.waiting.push((back, left));
                self.waiting.sort_by_key(|(r, _)| r.id);
            }
            Decision::OutOfBlocks(id) => {
                prop_assert_eq!(view.len(), 1);
                prop_assert!(view[0].n_computed + 1 > self.n_total * BLOCK_TOKENS);
                self.take_out(id);
                self.n_failed += 1;
            }
            Decision::Batch(shares) => {
                self.run(&shares, n_tokens)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn run(&mut self, shares: &[Share], n_tokens: usize) -> Result<(), TestCaseError> {
        prop_assert!(shares.iter().map(|s| s.n_tokens).sum::<usize>() <= n_tokens);
        prop_assert_eq!(shares.is_empty(), self.running.is_empty(), "a pass without tokens is a pass without end");
        let is_prompt = |r: &Running| !r.is_decoding && shares.iter().any(|share| share.id == r.id);
        let has_prompts = self.running.iter().any(|(r, _)| is_prompt(r));
        self.n_since_pause = if has_prompts { self.n_since_pause + 1 } else { 0 };
        for (sequence, _) in &self.running {
            let is_in = shares.iter().any(|share| share.id == sequence.id);
            let n_passes = self.passed_over.entry(sequence.id).or_default();
            *n_passes = if is_in { 0 } else { *n_passes + 1 };
            self.most_passed_over = self.most_passed_over.max(*n_passes);
        }
        for share in shares {
            let (sequence, left) = self.running.iter_mut().find(|(r, _)| r.id == share.id).unwrap();
            let n_new = sequence.n_missing_blocks(share.n_tokens);
            prop_assert!(share.n_tokens > 0 && n_new <= self.n_free);
            self.n_free -= n_new;
            sequence.n_blocks += n_new;
            sequence.n_computed += share.n_tokens;
            prop_assert!(sequence.n_computed <= sequence.n_tokens);
            if sequence.n_computed == sequence.n_tokens {
                sequence.is_decoding = true;
                sequence.n_tokens += 1;
                *left -= 1;
            }
        }
        let ended: Vec<SequenceId> = self.running.iter().filter(|(_, left)| *left == 0).map(|(r, _)| r.id).collect();
        ended.into_iter().for_each(|id| {
            self.take_out(id);
        });
        Ok(())
    }
}

proptest! {
    #[test]
    fn every_sequence_ends(
        traffic in prop::collection::vec((0_usize..200, 1_usize..300, 1_usize..80, 0_u64..4, 0_u64..5000), 1..40),
        n_total in 1_usize..40,
        n_tokens in 41_usize..300,
    ) {
        let mut arrivals: Vec<(usize, Running, usize)> = traffic.iter().zip(0..).map(|(&(at, prompt, output, program, rank), id)| {
            let id = SequenceId(id);
            let fresh = Running { id, n_tokens: prompt, n_computed: 0, n_blocks: 0, is_decoding: false, program, rank };
            (at, fresh, output)
        }).collect();
        let mut simulation =
            Simulation { waiting: vec![], running: vec![], passed_over: HashMap::new(), most_passed_over: 0, n_since_pause: 0, n_free: n_total, n_total, n_failed: 0 };
        let mut n_steps = 0;
        while !(arrivals.is_empty() && simulation.waiting.is_empty() && simulation.running.is_empty()) {
            arrivals.retain(|(at, sequence, output)| {
                let is_due = *at <= n_steps;
                if is_due {
                    simulation.waiting.push((sequence.clone(), *output));
                }
                !is_due
            });
            simulation.waiting.sort_by_key(|(r, _)| r.id);
            simulation.step(n_tokens)?;
            n_steps += 1;
            prop_assert!(n_steps < 100_000, "no end in sight");
        }
        prop_assert_eq!(simulation.n_free, n_total);
        let too_long = traffic.iter().filter(|(_, p, o, ..)| p + o - 1 > n_total * BLOCK_TOKENS).count();
        prop_assert_eq!(simulation.n_failed, too_long, "only what can never fit fails");
        // The most urgent prompts are 5,000 tokens ahead, which is 79 passes; then age decides, a few tokens a pass.
        prop_assert!(simulation.most_passed_over < 79 + 40 * 300, "{} passes", simulation.most_passed_over);
    }
}
