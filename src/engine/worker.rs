//! The engine's thread: owns the model, the KV memory and all sequences.
//!
//! [`Worker::step`] is the specification of the engine. Everything it calls either changes one sequence, or moves
//! blocks between a sequence and the cache.
//!
//! Invariants: a sequence is in exactly one of `waiting`, `running`, `history`; both lists are sorted by age;
//! `waiting` owns no block.

use std::cmp::Reverse;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::history::History;
use super::load::KvRoom;
use super::lookahead::{Lookahead, Round};
use super::sequence::{Draws, Sequence};
use super::{EngineOptions, Error, Features, Shared, Stats};
use crate::cache::{Archive, Cache, Clerk, KvPool, KvRest, PinId, n_common};
use crate::model::{Logits, Model, Wanted};
use crate::schedule::{self, Budget, Cost, Decision, Load, Share};
use crate::types::{BLOCK_TOKENS, Batch, Finish, SequenceId, Span, Token};

/// What handles ask for.
pub(super) enum Command {
    /// Run these.
    Submit(Vec<Submission>),
    /// Keep this prefix, as far as it is or will be known.
    Pin(PinId, Vec<Token>),
    /// It need not be kept any more.
    Unpin(PinId),
    /// Panic, as a defect in a kernel would.
    #[cfg(test)]
    Panic,
}

/// A sequence to run.
pub(super) struct Submission {
    pub sequence: Sequence,
    /// The sequence that it forks.
    pub parent: Option<SequenceId>,
}

/// Everything that the thread owns.
pub(super) struct Worker {
    model: Model,
    pool: KvPool,
    cache: Cache,
    /// Prefixes in files.
    archive: Option<Archive>,
    waiting: Vec<Sequence>,
    running: Vec<Sequence>,
    /// Sequences that have just ended and how; their readers are told when the books are closed.
    ended: Vec<(Sequence, Result<Finish, Error>)>,
    history: History,
    stats: Stats,
    cost: Cost,
    n_batch_tokens: usize,
    max_running: usize,
    n_ctx: usize,
    features: Features,
    lookahead: Lookahead,
    /// So many guesses whatever they are worth, so that a test does not hang on the clock.
    #[cfg(test)]
    pub n_drafts: Option<usize>,
    shared: Arc<Shared>,
}

/// The tokens that one pass computes.
struct Pass {
    parts: Vec<Part>,
    batch: Batch,
}

/// What one sequence has in a pass.
struct Part {
    /// Index in `running`.
    at: usize,
    share: Share,
    /// Whether these are tokens of a prompt.
    is_prompt: bool,
    /// Guesses at the tokens after those of the share.
    drafts: Vec<Token>,
}

impl Pass {
    /// The tokens whose logits each row needs. What is allowed after a guess is not known yet.
    fn wanted(&self, round: &Round) -> Vec<Wanted> {
        let mut wanted = Vec::new();
        for (part, span) in self.batch.spans.iter().enumerate().filter(|(_, span)| !span.logit_rows.is_empty()) {
            wanted.push(round.wanted(part));
            wanted.resize(wanted.len() + span.logit_rows.len() - 1, None);
        }
        wanted
    }

    /// The load of its prompts, or of all else.
    fn load(&self, of_prompts: bool) -> Load {
        let spans = self.parts.iter().zip(&self.batch.spans).filter(|(part, _)| part.is_prompt == of_prompts);
        spans.fold(Load::default(), |load, (_, span)| load.with(span.n_tokens, span.start))
    }
}

impl Worker {
    pub fn new(model: Model, options: &EngineOptions, shared: Arc<Shared>) -> Result<Self, Error> {
        options.check()?;
        let n_ctx = model.config().n_ctx;
        let KvRoom { n_blocks, n_slots } = KvRoom::new(model.kv_shape(), n_ctx, options)?;
        let pool = KvPool::new(model.kv_shape(), n_blocks);
        let origin = origin(&model, options);
        let archive = options
            .kv_folder
            .clone()
            .map(|folder| Archive::open(folder, options.kv_folder_bytes, origin, model.kv_shape()));
        let kv_block_bytes = KvPool::block_bytes(model.kv_shape()) as u64;
        let stats = Stats { kv_blocks_total: n_blocks, kv_block_bytes, ..Stats::default() };
        Ok(Self {
            cache: Cache::with_rest(model.kv_shape(), n_blocks, n_slots),
            model,
            pool,
            archive,
            waiting: Vec::new(),
            running: Vec::new(),
            ended: Vec::new(),
            history: History::default(),
            stats,
            cost: Cost::default(),
            // Every running sequence gets its token, and a prompt gets on beside them.
            n_batch_tokens: options.max_batch_tokens.max(options.max_running + 1),
            max_running: options.max_running,
            n_ctx,
            features: options.features,
            lookahead: Lookahead::default(),
            #[cfg(test)]
            n_drafts: None,
            shared,
        })
    }

    /// Writes what the engine keeps in files.
    pub fn clerk(&self) -> Option<Clerk> {
        self.archive.as_ref().map(Archive::clerk)
    }

    /// Serves until all handles and all sequences are gone.
    pub fn run(mut self, inbox: &Receiver<Command>) {
        let served = catch_unwind(AssertUnwindSafe(|| {
            while self.receive(inbox) {
                self.turn();
            }
        }));
        if let Err(panic) = served {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            let why = text.unwrap_or_else(|| "a panic without a message".into());
            let _ = self.shared.failure.set(why.clone());
            self.send_ends();
            for mut sequence in self.waiting.into_iter().chain(self.running) {
                sequence.finish(Err(Error::Stopped(why.clone())));
            }
        }
    }

    /// One step, and the news of it.
    pub(super) fn turn(&mut self) {
        self.step();
        self.publish();
        self.send_ends();
    }

    fn step(&mut self) {
        let begun = Instant::now();
        self.drop_cancelled();
        self.admit();
        let pass = self.schedule();
        if pass.parts.is_empty() {
            return;
        }
        let started = Instant::now();
        self.stats.overhead += started - begun;
        let round = self.look_ahead(&pass);
        let computed = self.model.forward_wanted(&pass.batch, &mut self.pool, |_| {
            round.complete(self.model.threads());
            let wanted = pass.wanted(&round);
            self.stats.n_few_rows += wanted.iter().flatten().count() as u64;
            wanted
        });
        self.cost.observe(pass.load(false), pass.load(true), started.elapsed().as_secs_f64() * 1e3);
        match computed {
            Ok(mut logits) => {
                let drawn = self.sample(&pass, &round, &mut logits);
                let drawn_at = Instant::now();
                self.commit(&pass, drawn);
                self.stats.overhead += drawn_at.elapsed();
            }
            Err(error) => self.fail_all(&pass, &Error::Model(Arc::new(error))),
        }
        self.stats.busy += started.elapsed();
    }

    /// Takes new commands, and waits for one if there is nothing else to do; false when nobody is left to serve.
    fn receive(&mut self, inbox: &Receiver<Command>) -> bool {
        if self.is_idle() {
            match inbox.recv() {
                Ok(command) => self.obey(command),
                Err(_) => return false,
            }
        }
        loop {
            match inbox.try_recv() {
                Ok(command) => self.obey(command),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return !self.is_idle(),
            }
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    pub(super) fn obey(&mut self, command: Command) {
        match command {
            Command::Submit(submissions) => {
                for Submission { mut sequence, parent } in submissions {
                    match self.begin(&mut sequence, parent).transpose() {
                        None => {
                            self.recall(&sequence);
                            self.enqueue(sequence);
                        }
                        Some(end) => self.retire(sequence, end),
                    }
                }
            }
            Command::Pin(id, tokens) => self.cache.pin(id, tokens),
            Command::Unpin(id) => self.cache.unpin(id),
            #[cfg(test)]
            Command::Panic => panic!("asked to panic"),
        }
    }

    fn begin(&mut self, sequence: &mut Sequence, parent: Option<SequenceId>) -> Result<Option<Finish>, Error> {
        let parent = match parent {
            None => &[],
            Some(id) => self.find_tokens(id).ok_or(Error::UnknownParent(id.0))?,
        };
        let finish = sequence.begin(parent, self.n_ctx)?;
        self.stats.n_forced += sequence.usage.decoded_tokens as u64;
        let (n_tokens, n_blocks) = (sequence.tokens.len(), self.cache.n_total());
        if finish.is_none() && n_tokens > n_blocks * BLOCK_TOKENS {
            return Err(Error::OutOfMemory { n_tokens, n_blocks });
        }
        Ok(finish)
    }

    /// Brings what files hold of a prompt into the cache.
    fn recall(&mut self, sequence: &Sequence) {
        if let Some(archive) = self.archive.as_mut().filter(|_| self.features.reuse) {
            archive.recall(&sequence.tokens, sequence.keep.n_tokens, &mut self.cache, &mut self.pool);
        }
    }

    fn find_tokens(&self, id: SequenceId) -> Option<&[Token]> {
        let mut here = self.running.iter().chain(&self.waiting);
        here.find(|sequence| sequence.id == id).map(|s| s.tokens.as_slice()).or_else(|| self.history.find(id))
    }

    fn enqueue(&mut self, sequence: Sequence) {
        let at = self.waiting.partition_point(|other| other.id < sequence.id);
        self.waiting.insert(at, sequence);
    }

    fn drop_cancelled(&mut self) {
        let waiting = self.waiting.extract_if(.., |sequence| sequence.is_cancelled());
        let running = self.running.extract_if(.., |sequence| sequence.is_cancelled());
        for sequence in waiting.chain(running).collect::<Vec<_>>() {
            self.retire(sequence, Ok(Finish::Cancelled));
        }
    }

    /// Starts waiting sequences, those with the highest rank first, as long as there is room.
    fn admit(&mut self) {
        if self.running.len() < self.max_running {
            self.start_waiting();
        }
        self.waiting.iter_mut().for_each(|sequence| sequence.n_passed_over += 1);
    }

    fn start_waiting(&mut self) {
        for id in self.order_of_waiting() {
            if self.running.len() >= self.max_running {
                break;
            }
            let at = self.waiting.partition_point(|other| other.id < id);
            let leader = self.find_leader(&self.waiting[at]);
            self.waiting[at].follows = leader;
            if leader.is_none() && !self.start(at) {
                break;
            }
        }
    }

    /// The waiting sequences in the order in which they may start: by rank; where not all can start, among equals those of
    /// which most is known, so that what shares a prefix runs while the prefix is there; then by age.
    fn order_of_waiting(&self) -> Vec<SequenceId> {
        /// Sequences that are looked up in the tree at most: a bound on what a long queue costs.
        const MAX_LOOKED_UP: usize = 32;
        let mut order: Vec<_> = self.waiting.iter().enumerate().map(|(at, s)| (Reverse(s.rank()), at)).collect();
        order.sort_unstable();
        let n_places = self.max_running - self.running.len();
        let n_blocks: usize = self.waiting.iter().map(|sequence| sequence.tokens.len().div_ceil(BLOCK_TOKENS)).sum();
        if self.features.reuse && (order.len() > n_places || n_blocks > self.cache.n_available()) {
            let n_looked_up = order.len().min(MAX_LOOKED_UP);
            let n_known = |at: usize| self.cache.n_known(self.waiting[at].reusable());
            order[..n_looked_up].sort_by_cached_key(|&(rank, at)| (rank, Reverse(n_known(at)), at));
        }
        order.into_iter().map(|(_, at)| self.waiting[at].id).collect()
    }

    /// Starts the waiting sequence at `at` with what is known of it; false if there is no room.
    fn start(&mut self, at: usize) -> bool {
        let tokens = if self.features.reuse { self.waiting[at].reusable() } else { &[] };
        let n_blocks = self.waiting[at].tokens.len().div_ceil(BLOCK_TOKENS);
        let n_running = self.running.len();
        let fits = |n_held, cache: &Cache| schedule::may_admit(n_blocks - n_held, cache.n_available(), n_running);
        // First a look that costs nothing; what is to be reused may still count as available in it.
        if !fits(self.cache.n_known(tokens) / BLOCK_TOKENS, &self.cache) {
            return false;
        }
        let prefix = self.cache.reuse(tokens, &mut self.pool);
        if !fits(prefix.blocks.len(), &self.cache) {
            self.cache.release(prefix.blocks);
            return false;
        }
        let mut sequence = self.waiting.remove(at);
        if !std::mem::replace(&mut sequence.was_admitted, true) {
            sequence.usage.cached_tokens = prefix.n_tokens.min(sequence.n_prompt);
            self.stats.n_cached += sequence.usage.cached_tokens as u64;
        }
        (sequence.blocks, sequence.n_computed) = (prefix.blocks, prefix.n_tokens);
        let at = self.running.partition_point(|other| other.id < sequence.id);
        self.running.insert(at, sequence);
        true
    }

    /// The running sequence that is just computing what this one could share, and how many tokens that are.
    fn find_leader(&self, sequence: &Sequence) -> Option<(SequenceId, usize)> {
        if !(self.features.reuse && self.features.join) {
            return None;
        }
        let is_leading = |leader: &Sequence, n_shared| !leader.is_decoding && leader.n_computed < n_shared;
        // Neither of them gets other tokens meanwhile, so they are compared once.
        if let Some((id, n_shared)) = sequence.follows {
            let at = self.running.partition_point(|leader| leader.id < id);
            let leader = self.running.get(at).filter(|leader| leader.id == id);
            if leader.is_some_and(|leader| is_leading(leader, n_shared)) {
                return sequence.follows;
            }
        }
        let tokens = sequence.reusable();
        let leaders = self.running.iter().filter(|leader| is_leading(leader, tokens.len()));
        let shared = leaders.map(|leader| (leader, n_common(&leader.tokens, tokens)));
        let shared = shared.filter(|&(leader, n_shared)| is_leading(leader, n_shared));
        let (leader, n_shared) = shared.max_by_key(|&(_, n_shared)| n_shared)?;
        let follows_already = sequence.follows.is_some();
        let must_follow = schedule::should_follow(self.cache.n_known(tokens), n_shared, follows_already);
        must_follow.then_some((leader.id, n_shared))
    }

    /// The next pass; sequences that must make room for it are put back or given up.
    fn schedule(&mut self) -> Pass {
        loop {
            let view: Vec<_> = self.running.iter().map(|sequence| sequence.view()).collect();
            let (n_tokens, n_blocks) = (self.n_batch_tokens, self.cache.n_available());
            let budget = Budget { n_tokens, n_gentle: self.n_gentle(), n_blocks };
            match schedule::next(&view, budget) {
                Decision::Batch(shares) => return self.plan(shares),
                Decision::Preempt(id) => self.preempt(id),
                Decision::OutOfBlocks(id) => {
                    let sequence = self.take_running(id);
                    let (n_tokens, n_blocks) = (sequence.tokens.len(), self.cache.n_total());
                    self.retire(sequence, Err(Error::OutOfMemory { n_tokens, n_blocks }));
                }
            }
        }
    }

    /// Prompt tokens of a pass that decoding sequences of other programs wait for.
    fn n_gentle(&self) -> usize {
        let decoding = self.running.iter().filter(|sequence| sequence.is_decoding);
        let prefilling = self.running.iter().filter(|sequence| !sequence.is_decoding);
        let load = decoding.fold(Load::default(), |load, s| load.with(s.tokens.len() - s.n_computed, s.n_computed));
        let n_attended = prefilling.map(|sequence| sequence.n_computed).max().unwrap_or(0);
        self.cost.room(load, n_attended, self.n_batch_tokens)
    }

    fn plan(&mut self, shares: Vec<Share>) -> Pass {
        let mut parts = Vec::with_capacity(shares.len());
        self.running.iter_mut().for_each(|sequence| sequence.n_passed_over += 1);
        for share in shares {
            let at = self.running.partition_point(|sequence| sequence.id < share.id);
            let sequence = &mut self.running[at];
            let end = sequence.n_computed + share.n_tokens;
            self.cache
                .grow(&mut sequence.blocks, end, &self.pool)
                .expect("the schedule stays within the available blocks");
            sequence.n_passed_over = 0;
            parts.push(Part { at, share, is_prompt: !sequence.is_decoding, drafts: Vec::new() });
        }
        // Rows of a pass that prompts share are not to be had for nearly nothing.
        if self.features.draft && !parts.iter().any(|part| part.is_prompt) {
            self.add_drafts(&mut parts);
        }
        let mut batch = Batch::default();
        for part in &parts {
            let sequence = &self.running[part.at];
            let (start, n_tokens) = (sequence.n_computed, part.share.n_tokens);
            let end = start + n_tokens;
            let draws = end == sequence.tokens.len() && !sequence.is_prefill_only();
            batch.tokens.extend(sequence.tokens[start..end].iter().chain(&part.drafts));
            batch.spans.push(Span {
                start,
                n_tokens: n_tokens + part.drafts.len(),
                blocks: sequence.blocks.clone(),
                logit_rows: if draws { (n_tokens - 1..n_tokens + part.drafts.len()).collect() } else { vec![] },
            });
        }
        Pass { parts, batch }
    }

    /// Guesses for the sequences that decode, where they are worth their rows and there is room for them.
    fn add_drafts(&mut self, parts: &mut [Part]) {
        let n_sequences = parts.len();
        let add = |load: Load, part: &Part| load.with(part.share.n_tokens, self.running[part.at].n_computed);
        let load = parts.iter().fold(Load::default(), add);
        for Part { at, share, drafts, .. } in parts {
            let sequence = &mut self.running[*at];
            if !sequence.is_decoding || sequence.n_computed + share.n_tokens < sequence.tokens.len() {
                continue;
            }
            let n_worth = self.cost.n_drafts(load, sequence.n_computed, n_sequences, sequence.luck.rate());
            #[cfg(test)]
            let n_worth = self.n_drafts.unwrap_or(n_worth);
            let n_most = n_worth.min(self.n_ctx.saturating_sub(sequence.tokens.len()));
            if n_most == 0 {
                // Looking for a guess reads the whole text.
                continue;
            }
            *drafts = sequence.draft(n_most);
            let end = sequence.tokens.len() + drafts.len();
            if self.cache.grow(&mut sequence.blocks, end, &self.pool).is_err() {
                drafts.clear();
            }
        }
    }

    /// Begins to find what the grammars allow after this pass. The constraints come back in [`Worker::sample`].
    fn look_ahead(&mut self, pass: &Pass) -> Arc<Round> {
        let is_on = self.features.mask_ahead;
        let parts = pass.parts.iter().zip(&pass.batch.spans);
        let constraints = parts.map(|(part, span)| {
            let draws = is_on && !span.logit_rows.is_empty();
            draws.then(|| self.running[part.at].constraint.take()).flatten()
        });
        self.lookahead.begin(constraints.collect())
    }

    /// The draws of each sequence whose tokens are all computed, in order of parts.
    fn sample(&mut self, pass: &Pass, round: &Round, logits: &mut Logits) -> Vec<Option<Result<Draws, Error>>> {
        let mut rows = logits.rows_mut().into_iter();
        let mut sequences: Vec<Option<&mut Sequence>> = self.running.iter_mut().map(Some).collect();
        let mut jobs = Vec::with_capacity(pass.parts.len());
        for (i, (part, span)) in pass.parts.iter().zip(&pass.batch.spans).enumerate() {
            let (constraint, first) = round.take(i);
            let mut sequence = sequences[part.at].take().filter(|_| !span.logit_rows.is_empty());
            sequence.as_mut().zip(constraint).into_iter().for_each(|(s, constraint)| s.constraint = Some(constraint));
            let rows: Vec<&mut [f32]> = rows.by_ref().take(span.logit_rows.len()).collect();
            jobs.push(Mutex::new((sequence, rows, first, None)));
        }
        self.model.threads().parallel_for(jobs.len(), |i| {
            let (sequence, rows, first, draws) = &mut *jobs[i].lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(sequence) = sequence {
                *draws = Some(sequence.draw_all(rows, &pass.parts[i].drafts, first.take()).map_err(Error::Sample));
            }
        });
        jobs.into_iter().map(|job| job.into_inner().unwrap_or_else(PoisonError::into_inner).3).collect()
    }

    /// Notes what was computed and drawn, and ends what has ended.
    fn commit(&mut self, pass: &Pass, draws: Vec<Option<Result<Draws, Error>>>) {
        self.stats.n_passes += 1;
        self.stats.n_spans += pass.parts.len() as u64;
        let mut ended: Vec<(SequenceId, Result<Finish, Error>)> = Vec::new();
        for (part, draws) in pass.parts.iter().zip(draws) {
            let sequence = &mut self.running[part.at];
            let (was_decoding, n_full) = (sequence.is_decoding, sequence.n_computed / BLOCK_TOKENS);
            self.stats.n_prefilled += if was_decoding { 0 } else { part.share.n_tokens as u64 };
            sequence.n_computed += part.share.n_tokens;
            match draws {
                None if sequence.is_prefill_only() && sequence.n_computed == sequence.tokens.len() => {
                    ended.push((part.share.id, Ok(Finish::Length)));
                }
                None => {}
                Some(Err(error)) => ended.push((part.share.id, Err(error))),
                Some(Ok(draws)) => {
                    self.stats.count(&draws, part.drafts.len());
                    let finish = sequence.commit_all(draws, part.drafts.len(), self.n_ctx);
                    ended.extend(finish.map(|finish| (part.share.id, Ok(finish))));
                }
            }
            // Others may join from here on; a decoding sequence is recorded block by block.
            if !was_decoding || sequence.n_computed / BLOCK_TOKENS > n_full {
                let known = &sequence.tokens[..sequence.n_computed];
                self.cache.insert(known, &sequence.blocks);
            }
            if let Some(archive) = &mut self.archive {
                let Sequence { keep, tokens, blocks, n_computed, .. } = sequence;
                archive.keep(keep, tokens, blocks, *n_computed, &self.pool);
            }
        }
        for (id, end) in ended {
            let sequence = self.take_running(id);
            self.retire(sequence, end);
        }
    }

    fn fail_all(&mut self, pass: &Pass, error: &Error) {
        for part in &pass.parts {
            let sequence = self.take_running(part.share.id);
            self.retire(sequence, Err(error.clone()));
        }
    }

    fn take_running(&mut self, id: SequenceId) -> Sequence {
        let at = self.running.iter().position(|sequence| sequence.id == id);
        self.running.remove(at.expect("decisions are about running sequences"))
    }

    /// Puts a running sequence back to the waiting ones. What it computed stays in the cache until that is full.
    fn preempt(&mut self, id: SequenceId) {
        let mut sequence = self.take_running(id);
        self.stats.n_preempted += 1;
        self.release(&mut sequence);
        sequence.is_decoding = false;
        self.enqueue(sequence);
    }

    /// Takes a sequence out of service.
    fn retire(&mut self, mut sequence: Sequence, end: Result<Finish, Error>) {
        self.release(&mut sequence);
        self.stats.n_ended += 1;
        self.ended.push((sequence, end));
    }

    /// Gives a sequence's blocks back, and leaves what they hold to those who come later.
    fn release(&mut self, sequence: &mut Sequence) {
        let known = &sequence.tokens[..sequence.n_computed];
        self.cache.insert(known, &sequence.blocks);
        self.cache.release(std::mem::take(&mut sequence.blocks));
        sequence.n_computed = 0;
    }

    fn publish(&mut self) {
        /// Positions behind a sequence, for what is told of many: a usual step's prompt.
        const TYPICAL_CONTEXT: usize = 700;
        self.stats.n_abreast = self.cost.n_abreast(TYPICAL_CONTEXT);
        let n_used = self.cache.n_total() - self.cache.n_free();
        self.stats.kv_blocks_used = n_used;
        self.stats.kv_blocks_peak = self.stats.kv_blocks_peak.max(n_used);
        (self.stats.n_rested, self.stats.n_revived) = self.cache.n_rested_and_revived();
        (self.stats.n_running, self.stats.n_waiting) = (self.running.len(), self.waiting.len());
        *self.shared.stats.lock().unwrap_or_else(PoisonError::into_inner) = self.stats.clone();
    }

    /// Tells the readers of ended sequences.
    fn send_ends(&mut self) {
        for (mut sequence, end) in self.ended.drain(..) {
            sequence.finish(end);
            self.history.add(sequence.id, sequence.tokens);
        }
    }
}

/// What keys and values in files depend on. What was packed meanwhile is not what the model computes.
fn origin(model: &Model, options: &EngineOptions) -> [u8; 32] {
    let mut origin = model.fingerprint();
    if options.kv_rest == KvRest::Q8_0 {
        origin.iter_mut().for_each(|byte| *byte = !*byte);
    }
    origin
}

#[cfg(test)]
impl Worker {
    pub fn kv_shape(&self) -> crate::cache::KvShape {
        self.model.kv_shape()
    }

    /// Clears the tree; the blocks that are free then, and whether that are all.
    pub fn forget_and_count(&mut self) -> (usize, bool) {
        self.cache.clear();
        (self.cache.n_free(), self.cache.n_free() == self.cache.n_total())
    }

    /// Tokens of each waiting sequence, and how many of them are known.
    pub fn waiting_and_known(&self) -> Vec<(usize, usize)> {
        let known = |sequence: &Sequence| (sequence.tokens.len(), self.cache.n_known(sequence.reusable()));
        self.waiting.iter().map(known).collect()
    }

    /// Puts the youngest running sequence back, as if an older one needed its room.
    pub fn preempt_youngest(&mut self) {
        self.preempt(self.running[self.running.len() - 1].id);
    }

    /// Puts a token that does not exist into the first sequence.
    pub fn corrupt_first(&mut self) {
        self.waiting[0].tokens[0] = Token::MAX;
    }
}
