//! Prefixes in files: what one process computed, a later one reads.
//!
//! A file holds one block and is named after everything that the block depends on ([`mod@file`]); so the chain of a
//! prompt's blocks is found by name, without an index. Blocks are read on the caller's thread, between passes, and
//! written by a [`Clerk`]. The last block of what is kept may be partly filled: it is found by whoever keeps the same
//! prefix.
//!
//! Invariants: a file is taken over only if every byte of it is as it was written for exactly this model and these
//! tokens; nothing that happens to a file or a disk is an error of a sequence.
//! Must not know: what a model is, why a prefix is worth keeping.

mod clerk;
mod file;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::PathBuf;

use half::f16;

pub use clerk::{ArchiveStats, Clerk};

use super::{Cache, KvPool, KvShape};
use crate::types::{BLOCK_TOKENS, BlockId, Token};
use file::{Flaw, Label, Name, Origin};

/// Fewer blocks are computed again: they are not worth the files.
const LEAST_BLOCKS: usize = 2;

/// The folder of one model's prefixes.
#[derive(Debug)]
pub struct Archive {
    folder: PathBuf,
    origin: Origin,
    clerk: Clerk,
    /// Blocks that were read or handed to the clerk.
    filed: HashSet<Name>,
    buffer: Vec<u8>,
}

/// How much of a sequence is worth keeping, and how much of that is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keep {
    /// Leading tokens that later processes will want; 0 for none.
    pub n_tokens: usize,
    n_filed: usize,
}

impl Keep {
    /// Nothing of it is kept yet.
    pub fn new(n_tokens: usize) -> Self {
        Self { n_tokens, n_filed: 0 }
    }
}

/// One block of a prefix.
struct Link {
    label: Label,
    name: Name,
    /// Tokens up to and with this block.
    end: usize,
}

impl Archive {
    /// The folder need not exist. `model` stands for all that keys and values depend on besides the tokens. When the
    /// folder holds more than `budget_bytes`, files that were of no use for longest are removed.
    pub fn open(folder: PathBuf, budget_bytes: u64, model: [u8; 32], shape: KvShape) -> Self {
        let clerk = Clerk::start(folder.clone(), budget_bytes);
        Self { folder, origin: Origin { model, shape }, clerk, filed: HashSet::new(), buffer: Vec::new() }
    }

    /// A handle to ask what was done, and to wait for it.
    pub fn clerk(&self) -> Clerk {
        self.clerk.clone()
    }

    /// Brings what files hold of the beginning of `tokens` into `cache`, as far as it is not there already. Besides
    /// full blocks that is the part of a block that ends where the first `n_keep` tokens end.
    pub fn recall(&mut self, tokens: &[Token], n_keep: usize, cache: &mut Cache, pool: &mut KvPool) {
        let n_known = cache.n_known(tokens) / BLOCK_TOKENS;
        let mut chain = self.find(tokens, n_keep, n_known);
        if chain.len() < n_known + LEAST_BLOCKS {
            return;
        }
        // Held, so that making room does not forget the blocks that the new ones follow.
        let mut held = cache.reuse(&tokens[..n_known * BLOCK_TOKENS], pool).blocks;
        chain.truncate(n_known + cache.n_available());
        let wanted = chain.len() * BLOCK_TOKENS;
        if held.len() == n_known && cache.grow(&mut held, wanted, pool).is_ok() {
            let read = |(link, block): (&Link, &BlockId)| self.take_over(link, pool.block_mut(*block));
            let n_read = chain[n_known..].iter().zip(&held[n_known..]).map(read).take_while(|is_read| *is_read).count();
            chain.truncate(n_known + n_read);
            let end = chain.last().map_or(0, |link| link.end);
            cache.insert(&tokens[..end], &held[..chain.len()]);
            self.clerk.touch(chain.iter().map(|link| link.name).collect());
        }
        cache.release(held);
    }

    /// Hands blocks to the clerk that are complete by now and worth keeping. `blocks` hold the first `n_computed` of
    /// `tokens`. What finds no room in the queue is tried again with the next call.
    pub fn keep(&mut self, keep: &mut Keep, tokens: &[Token], blocks: &[BlockId], n_computed: usize, pool: &KvPool) {
        let n_tokens = keep.n_tokens.min(tokens.len());
        let next = (keep.n_filed + BLOCK_TOKENS).min(n_tokens);
        if n_tokens < LEAST_BLOCKS * BLOCK_TOKENS || keep.n_filed >= n_tokens || next > n_computed {
            return;
        }
        let mut names = Vec::new();
        for (link, &block) in self.chain(&tokens[..n_tokens]).collect::<Vec<_>>().into_iter().zip(blocks) {
            if link.end > n_computed {
                return;
            }
            names.push(link.name);
            if !self.filed.contains(&link.name) {
                if !self.clerk.file(link.label, || pool.block(block).to_vec()) {
                    return;
                }
                self.filed.insert(link.name);
            }
            keep.n_filed = keep.n_filed.max(link.end);
        }
        self.clerk.touch(names);
    }

    /// The blocks of `tokens`, each named after the one before.
    fn chain(&self, tokens: &[Token]) -> impl Iterator<Item = Link> {
        let origin = self.origin;
        tokens.chunks(BLOCK_TOKENS).scan((Name::ROOT, 0), move |(parent, end), chunk| {
            let label = Label::new(&origin, *parent, chunk);
            let name = label.name();
            (*parent, *end) = (name, *end + chunk.len());
            Some(Link { label, name, end: *end })
        })
    }

    /// The first `n_known` blocks, and those after them that have files.
    fn find(&self, tokens: &[Token], n_keep: usize, n_known: usize) -> Vec<Link> {
        let n_full = tokens.len() / BLOCK_TOKENS;
        let is_there = |link: &Link| clerk::path(&self.folder, link.name).exists();
        let full = self.chain(&tokens[..n_full * BLOCK_TOKENS]).enumerate();
        let known = full.take_while(|(i, link)| *i < n_known || is_there(link));
        let mut chain: Vec<Link> = known.map(|(_, link)| link).collect();
        let end = chain.len() * BLOCK_TOKENS;
        if (end + 1..end + BLOCK_TOKENS).contains(&n_keep) && n_keep <= tokens.len() {
            let parent = chain.last().map_or(Name::ROOT, |link| link.name);
            let label = Label::new(&self.origin, parent, &tokens[end..n_keep]);
            let tail = Link { name: label.name(), label, end: n_keep };
            chain.extend(Some(tail).filter(is_there));
        }
        chain
    }

    /// Reads a block; false if its file is not what it should be.
    fn take_over(&mut self, link: &Link, block: &mut [f16]) -> bool {
        match self.read(link, block) {
            Ok(()) => {
                self.filed.insert(link.name);
                self.clerk.count_read((link.end - 1) % BLOCK_TOKENS + 1);
                true
            }
            Err(flaw) => {
                let path = clerk::path(&self.folder, link.name);
                self.clerk.count_ignored(format!("{} is ignored: {flaw}", path.display()));
                false
            }
        }
    }

    fn read(&mut self, link: &Link, block: &mut [f16]) -> Result<(), Flaw> {
        let path = clerk::path(&self.folder, link.name);
        // Before it is read: what is there may be larger than memory.
        let (found, wanted) = (fs::metadata(&path)?.len(), link.label.file_len(block.len()));
        if found != wanted {
            return Err(Flaw::Length { found, wanted });
        }
        self.buffer.clear();
        File::open(&path)?.take(wanted).read_to_end(&mut self.buffer)?;
        link.label.decode(&self.buffer, block)
    }
}
