//! The archive against everything that can happen to files: nothing but what was written is ever read.

use std::path::Path;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::*;

const SHAPE: KvShape = KvShape { n_layers: 1, n_kv_heads: 1, head_dim: 16 };
const MODEL: [u8; 32] = [7; 32];
/// More than any test writes.
const ROOMY: u64 = 1 << 30;

/// One process: a cache, its memory and its archive.
struct Process {
    cache: Cache,
    pool: KvPool,
    archive: Archive,
}

impl Process {
    fn new(folder: &Path, n_blocks: usize) -> Self {
        Self::with(folder, n_blocks, ROOMY, MODEL)
    }

    fn with(folder: &Path, n_blocks: usize, budget_bytes: u64, model: [u8; 32]) -> Self {
        let archive = Archive::open(folder.to_owned(), budget_bytes, model, SHAPE);
        Self { cache: Cache::new(n_blocks), pool: KvPool::new(SHAPE, n_blocks), archive }
    }

    /// Computes a prompt and keeps its first `n_keep` tokens.
    fn keep(&mut self, tokens: &[Token], n_keep: usize) {
        let mut blocks = Vec::new();
        self.cache.grow(&mut blocks, tokens.len(), &self.pool).unwrap();
        for (&block, chunk) in blocks.iter().zip(tokens.chunks(BLOCK_TOKENS)) {
            self.pool.block_mut(block).copy_from_slice(&memory(chunk));
        }
        let mut keep = Keep::new(n_keep);
        for n_computed in 1..=tokens.len() {
            self.archive.keep(&mut keep, tokens, &blocks, n_computed, &self.pool);
        }
        self.archive.clerk.flush();
        self.cache.insert(tokens, &blocks);
        self.cache.release(blocks);
    }

    /// How many tokens of a prompt are known after a look into the files; their memory must be right.
    fn recall(&mut self, tokens: &[Token], n_keep: usize) -> usize {
        self.archive.recall(tokens, n_keep, &mut self.cache, &mut self.pool);
        let found = self.cache.reuse(tokens, &mut self.pool);
        for (&block, chunk) in found.blocks.iter().zip(tokens.chunks(BLOCK_TOKENS)) {
            // A tail comes from a longer or a shorter block; its first token tells.
            assert_eq!(self.pool.block(block)[0], memory(chunk)[0]);
            if chunk.len() == BLOCK_TOKENS && found.n_tokens.is_multiple_of(BLOCK_TOKENS) {
                assert_eq!(self.pool.block(block), memory(chunk));
            }
        }
        self.cache.release(found.blocks);
        self.archive.clerk.flush();
        assert_eq!(self.cache.n_available(), self.cache.n_total(), "nobody owns a block");
        found.n_tokens
    }

    fn stats(&self) -> ArchiveStats {
        self.archive.clerk.stats()
    }
}

/// What a block of these tokens would hold, if the model were a very simple one.
fn memory(tokens: &[Token]) -> Vec<f16> {
    (0..SHAPE.block_len()).map(|i| f16::from_f32((tokens[0] + i as u32 % 100) as f32)).collect()
}

fn prompt(n: u32, seed: u32) -> Vec<Token> {
    (0..n).map(|i| (i * 7 + seed) % 1000).collect()
}

/// The names of the folder's files, in order.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A folder in which the first 70 tokens of a prompt of 100 are kept, and the prompt.
fn filled() -> (TempDir, Vec<Token>) {
    let folder = tempfile::tempdir().unwrap();
    let tokens = prompt(100, 1);
    Process::new(folder.path(), 8).keep(&tokens, 70);
    (folder, tokens)
}

#[test]
fn what_one_process_keeps_another_reads() {
    let (folder, tokens) = filled();
    assert_eq!(names(folder.path()).len(), 3, "two blocks and the beginning of a third");
    let other = [&tokens[..70], &prompt(30, 500)].concat();
    for (asked, n_keep, want) in [
        (&tokens[..], 70, 70),
        (&other, 70, 70),
        // Who keeps another prefix finds the full blocks.
        (&other, 71, 64),
        (&other, 0, 64),
        (&tokens[..70], 70, 70),
        (&tokens[..66], 70, 64),
        // Not worth reading.
        (&tokens[..63], 63, 0),
        (&tokens[1..], 69, 0),
    ] {
        let mut process = Process::new(folder.path(), 8);
        assert_eq!(process.recall(asked, n_keep), want, "{} tokens, {n_keep} to keep", asked.len());
        let stats = process.stats();
        assert_eq!((stats.n_tokens_read, stats.n_ignored, stats.warning), (want as u64, 0, None));
        // The second time it is in memory.
        assert_eq!((process.recall(asked, n_keep), process.stats().n_tokens_read), (want, want as u64));
    }
}

#[test]
fn a_block_is_written_once() {
    let (folder, tokens) = filled();
    let mut process = Process::new(folder.path(), 8);
    process.recall(&tokens, 70);
    process.keep(&tokens, 70);
    process.keep(&tokens, 40);
    assert_eq!(process.stats().n_blocks_written, 0, "what was read is there; fewer than two blocks are not worth it");
    process.keep(&tokens, 100);
    process.keep(&tokens, 1000);
    assert_eq!(process.stats().n_blocks_written, 2, "the whole third block and the rest");
    assert_eq!(process.stats().n_blocks_read, 3);
}

#[test]
fn a_pool_without_room_takes_what_fits() {
    let (folder, tokens) = filled();
    let mut process = Process::new(folder.path(), 3);
    let mut held = Vec::new();
    process.cache.grow(&mut held, 1, &process.pool).unwrap();
    process.archive.recall(&tokens, 70, &mut process.cache, &mut process.pool);
    assert_eq!((process.cache.n_known(&tokens), process.cache.n_free()), (64, 0));
    process.cache.grow(&mut held, 3 * BLOCK_TOKENS, &process.pool).unwrap();
    process.archive.recall(&tokens, 70, &mut process.cache, &mut process.pool);
    assert_eq!(process.cache.n_known(&tokens), 0);
    process.cache.release(held);
    assert_eq!(process.cache.n_free(), 3);
}

#[test]
fn no_single_changed_byte_is_accepted() {
    let origin = Origin { model: MODEL, shape: SHAPE };
    let tokens = prompt(32, 3);
    let label = Label::new(&origin, Name::ROOT, &tokens);
    let block = memory(&tokens);
    let good = label.encode(&block);
    let mut read = vec![f16::ZERO; block.len()];
    label.decode(&good, &mut read).unwrap();
    assert_eq!(read, block);
    let untouched = vec![f16::ONE; block.len()];
    for at in 0..good.len() {
        for change in [1, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[at] ^= change;
            let mut read = untouched.clone();
            assert!(label.decode(&bad, &mut read).is_err() && read == untouched, "byte {at}");
        }
    }
    for n in 0..good.len() {
        assert!(label.decode(&good[..n], &mut read).is_err(), "cut to {n} bytes");
    }
    assert!(label.decode(&[&good[..], &[0]].concat(), &mut read).is_err(), "one byte too many");
}

/// Replaces one kept file with `change` of it, and checks that a process reads up to that file only and says why.
#[track_caller]
fn check_ignored(change: impl Fn(&Origin, &[u8]) -> Vec<u8>, why: &str) {
    let (folder, tokens) = filled();
    let origin = Origin { model: MODEL, shape: SHAPE };
    let first = Label::new(&origin, Name::ROOT, &tokens[..32]).name();
    let second = Label::new(&origin, first, &tokens[32..64]).name();
    let path = clerk::path(folder.path(), second);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, change(&origin, &bytes)).unwrap();
    let mut process = Process::new(folder.path(), 8);
    assert_eq!(process.recall(&tokens, 70), 32);
    let stats = process.stats();
    assert_eq!((stats.n_ignored, stats.n_blocks_read), (1, 1));
    let warning = stats.warning.unwrap();
    assert!(warning.contains(&second.to_string()) && warning.ends_with(&format!("is ignored: {why}")), "{warning}");
    // Whoever computes the block again replaces the file.
    process.keep(&tokens, 70);
    assert_eq!(fs::read(&path).unwrap(), bytes);
    assert_eq!(Process::new(folder.path(), 8).recall(&tokens, 70), 70);
}

/// The file with its checksum set right, as somebody else's program would have written it.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let n_content = bytes.len() - 32;
    let checksum = Sha256::digest(&bytes[..n_content]);
    bytes[n_content..].copy_from_slice(&checksum);
    bytes
}

#[test]
fn damaged_and_foreign_files_are_ignored_with_a_reason() {
    let at = |at: usize| move |_: &Origin, good: &[u8]| [&good[..at], &[good[at] ^ 1], &good[at + 1..]].concat();
    let foreign = |change: fn(&mut Origin, &mut Name, &mut Vec<Token>)| {
        move |origin: &Origin, _: &[u8]| {
            let first = Label::new(origin, Name::ROOT, &prompt(100, 1)[..32]).name();
            let (mut origin, mut parent, mut tokens) = (*origin, first, prompt(100, 1)[32..64].to_vec());
            change(&mut origin, &mut parent, &mut tokens);
            Label::new(&origin, parent, &tokens).encode(&memory(&tokens))
        }
    };
    let n = Label::new(&Origin { model: MODEL, shape: SHAPE }, Name::ROOT, &[0; 32]).file_len(SHAPE.block_len());
    check_ignored(|_, _| Vec::new(), &format!("it has 0 bytes, expected {n}"));
    check_ignored(|_, good| good[..good.len() / 2].to_vec(), &format!("it has {} bytes, expected {n}", n / 2));
    check_ignored(|_, good| vec![0; good.len()], "it is not a KV file");
    check_ignored(|origin, good| sealed(at(8)(origin, good)), "it has format version 0, expected 1");
    check_ignored(at(1500), "its checksum does not fit its content");
    check_ignored(foreign(|origin, _, _| origin.model[0] += 1), "it belongs to another model");
    check_ignored(
        foreign(|origin, _, _| (origin.shape.n_layers, origin.shape.n_kv_heads) = (2, 0)),
        "it belongs to another KV shape",
    );
    check_ignored(foreign(|_, parent, _| parent.0[5] += 1), "it belongs to another beginning");
    check_ignored(foreign(|_, _, tokens| tokens[31] += 1), "it belongs to another text");
}

#[test]
fn another_model_and_another_shape_find_nothing() {
    let (folder, tokens) = filled();
    let mut other = Process::with(folder.path(), 8, ROOMY, [8; 32]);
    assert_eq!((other.recall(&tokens, 70), other.stats()), (0, ArchiveStats::default()));
    let mut process = Process::new(folder.path(), 8);
    process.archive.origin.shape.n_layers = 2;
    assert_eq!((process.recall(&tokens, 70), process.stats()), (0, ArchiveStats::default()));
}

#[test]
fn unfinished_files_are_not_read_and_go_away() {
    let (folder, tokens) = filled();
    let kept = names(folder.path());
    // Killed between write and rename, once long ago and once just now.
    let part = |name: &str, age: u64| {
        let path = folder.path().join(kept[0].replace("kv", name));
        fs::rename(folder.path().join(&kept[0]), &path).or_else(|_| fs::write(&path, b"half")).unwrap();
        let file = File::options().append(true).open(&path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
    };
    part("77-1.part", 3600);
    part("78-1.part", 5);
    fs::write(folder.path().join("notes.part"), b"not ours").unwrap();
    let mut process = Process::new(folder.path(), 8);
    let known = process.recall(&tokens, 70);
    assert!(known < 70, "one of the three files is not there: {known}");
    process.keep(&tokens, 70);
    let mut want = [kept.clone(), vec!["notes.part".into(), kept[0].replace("kv", "78-1.part")]].concat();
    want.sort();
    assert_eq!(names(folder.path()), want);
    assert_eq!(Process::new(folder.path(), 8).recall(&tokens, 70), 70);
}

#[test]
fn over_budget_the_least_recently_used_go_first_and_ends_before_beginnings() {
    let folder = tempfile::tempdir().unwrap();
    let prompts: Vec<_> = (0..3).map(|i| prompt(128, 100 + i)).collect();
    let file_bytes = {
        let mut process = Process::new(folder.path(), 32);
        prompts.iter().for_each(|tokens| process.keep(tokens, 128));
        fs::metadata(folder.path().join(&names(folder.path())[0])).unwrap().len()
    };
    assert_eq!(names(folder.path()).len(), 12);
    // The first is used again; then a fourth comes, for which there is no room.
    assert_eq!(Process::new(folder.path(), 32).recall(&prompts[0], 128), 128);
    let mut process = Process::with(folder.path(), 32, 12 * file_bytes, MODEL);
    process.keep(&prompt(64, 500), 64);
    // Above 12 files it goes down to 10.8, twice at most.
    let stats = process.stats();
    assert_eq!((stats.n_blocks_written, stats.n_removed, stats.warning), (2, 3, None));
    let left = |tokens: &[Token]| Process::new(folder.path(), 32).recall(tokens, 0);
    assert_eq!([left(&prompts[0]), left(&prompts[2]), left(&prompt(64, 500))], [128, 128, 64]);
    assert_eq!(left(&prompts[1]), 0, "of one block alone nothing is read");
    assert_eq!(names(folder.path()).len(), 11, "the beginning is left");
    // Also when the budget was lowered.
    let process = Process::with(folder.path(), 32, 4 * file_bytes, MODEL);
    process.archive.clerk.touch(Vec::new());
    process.archive.clerk.flush();
    assert_eq!(names(folder.path()).len(), 3);
}

#[test]
fn a_disk_that_takes_nothing_is_one_warning() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kv");
    fs::write(&file, b"a file in the place of the folder").unwrap();
    let mut process = Process::new(&file, 16);
    let tokens = prompt(100, 1);
    process.keep(&tokens, 70);
    let stats = process.stats();
    assert!(stats.warning.as_ref().unwrap().starts_with("KV is not kept in "), "{stats:?}");
    process.keep(&prompt(100, 2), 70);
    assert_eq!((process.recall(&tokens, 70), process.stats()), (100, stats), "memory is not concerned");
    assert_eq!(fs::read(&file).unwrap(), b"a file in the place of the folder");
}
