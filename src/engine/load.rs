//! From a model file to a running engine, and how much KV memory it gets.
//!
//! Source of the memory figures: the kernel's `proc(5)` and control groups, version 2.

use std::path::Path;
use std::sync::Arc;

use super::{Engine, EngineOptions, Error};
use crate::cache::{Cache, KvPool, KvRest, KvShape};
use crate::catalog;
use crate::gguf::Gguf;
use crate::model::{LoadOptions, Model};
use crate::tokenizer::{self, ChatTemplate, Tokenizer};
use crate::types::BLOCK_TOKENS;

/// KV memory where the machine does not say what it has.
const FALLBACK_KV_BYTES: u64 = 1 << 30;

/// What [`load`] is about to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Check the file's header and map it.
    Opening,
    /// Build the tokenizer and the chat template.
    Tokenizer,
    /// Bring the weights into the form that the kernels read, or find them in that form.
    Weights,
    /// Nothing: the engine runs.
    Ready,
}

/// Opens a model file and starts an engine on it.
///
/// # Errors
/// Everything that can be wrong with the file, the options or the machine.
pub fn load(path: &Path, options: &EngineOptions, progress: &mut dyn FnMut(Progress)) -> Result<Engine, Error> {
    progress(Progress::Opening);
    let gguf = Arc::new(Gguf::open(path).map_err(|error| Error::Gguf(Arc::new(error)))?);
    progress(Progress::Tokenizer);
    let tokenizer = Tokenizer::from_gguf(gguf.metadata()).map_err(|error| Error::Tokenizer(Arc::new(error)))?;
    let template = match ChatTemplate::from_gguf(gguf.metadata()) {
        Ok(template) => Some(template),
        Err(tokenizer::Error::NoTemplate) => None,
        Err(error) => return Err(Error::Tokenizer(Arc::new(error))),
    };
    progress(Progress::Weights);
    let load = LoadOptions {
        n_ctx: options.n_ctx,
        precision: options.precision,
        tiles: options.tiles,
        packed_places: options.packed_home.iter().flat_map(|home| catalog::packed_paths(path, home)).collect(),
        ..LoadOptions::default()
    };
    let model = Model::load(&gguf, load).map_err(|error| Error::Model(Arc::new(error)))?;
    let engine = Engine::start(model, tokenizer, template, options)?;
    progress(Progress::Ready);
    Ok(engine)
}

/// What the options, or else the machine, give to the KV cache.
#[derive(Debug, PartialEq)]
pub(super) struct KvRoom {
    pub n_blocks: usize,
    /// Packed blocks beside them.
    pub n_slots: usize,
}

/// One in so many bytes of the budget is for packed blocks, if there are any.
const REST_SHARE: u64 = 2;

impl KvRoom {
    pub fn new(shape: KvShape, n_ctx: usize, options: &EngineOptions) -> Result<Self, Error> {
        let budget = options.kv_bytes.unwrap_or_else(|| available_bytes().map_or(FALLBACK_KV_BYTES, |bytes| bytes / 4));
        let rest_budget = if options.kv_rest == KvRest::Q8_0 { budget / REST_SHARE } else { 0 };
        let n_useful = options.max_running.saturating_mul(n_ctx.div_ceil(BLOCK_TOKENS));
        let fit =
            |budget: u64, bytes: usize| usize::try_from(budget / bytes as u64).unwrap_or(usize::MAX).min(n_useful);
        let n_blocks = fit(budget - rest_budget, KvPool::block_bytes(shape));
        match n_blocks {
            0 => Err(Error::Option { option: "kv_bytes", expected: "room for one block", found: budget as usize }),
            _ => Ok(Self { n_blocks, n_slots: fit(rest_budget, Cache::slot_bytes(shape)) }),
        }
    }
}

/// Memory that this process may still take.
fn available_bytes() -> Option<u64> {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").as_deref().and_then(parse_available);
    let number = |path: &str| read(path)?.trim().parse::<u64>().ok();
    let limit = number("/sys/fs/cgroup/memory.max").zip(number("/sys/fs/cgroup/memory.current"));
    let group = limit.map(|(most, used)| most.saturating_sub(used));
    machine.into_iter().chain(group).min()
}

/// Bytes in the `MemAvailable` line.
pub(super) fn parse_available(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}
