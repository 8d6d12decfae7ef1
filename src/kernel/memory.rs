//! Where packed weights lie: in a large cache-line-aligned buffer, filled in parallel and backed by huge pages where there
//! are any, or in a file that is mapped.
//!
//! Invariant: lines never change once they are made.
//!
//! And how this process keeps the memory that a forward pass uses again in the next layer.

#![allow(unsafe_code)]

use super::simd::Line;
use memmap2::{Mmap, MmapOptions};
use rayon::prelude::*;
use std::fs::File;
use std::mem::MaybeUninit;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// A file of packed weights, mapped privately and only to be read.
#[derive(Debug)]
pub struct Mapping(Mmap);

impl Mapping {
    /// Maps a whole file, which is not empty.
    ///
    /// # Errors
    /// Those of the operating system.
    pub fn new(file: &File) -> std::io::Result<Self> {
        // SAFETY: the map is read-only and handed out as plain bytes, of which every pattern is a weight. What stays is
        // what every mapped weight file asks of its user: not to change the file in place while it is open. Partita
        // replaces such files by rename.
        Ok(Self(unsafe { MmapOptions::new().map_copy_read_only(file)? }))
    }

    /// Tells the operating system that the whole file is wanted soon; a refusal costs time only.
    pub fn prefetch(&self) {
        #[cfg(unix)]
        let _ = self.0.advise(memmap2::Advice::WillNeed);
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// Lines of packed weights, wherever they lie.
#[derive(Debug)]
pub(super) enum Lines {
    /// In memory of our own.
    Owned(Vec<Line>),
    /// These bytes of a mapped file: whole lines on a boundary of lines.
    Mapped(Arc<Mapping>, Range<usize>),
}

impl Lines {
    /// The lines in these bytes of a mapped file; `None` if the bytes are not there, not whole lines or lie askew.
    pub(super) fn mapped(mapping: &Arc<Mapping>, bytes: Range<usize>) -> Option<Self> {
        let found = mapping.get(bytes.clone())?;
        let is_whole = found.len().is_multiple_of(size_of::<Line>());
        (is_whole && found.as_ptr().cast::<Line>().is_aligned()).then(|| Self::Mapped(Arc::clone(mapping), bytes))
    }

    /// The lines as bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        let lines: &[Line] = self;
        // SAFETY: a `Line` is 64 bytes without padding, and bytes need no alignment.
        unsafe { std::slice::from_raw_parts(lines.as_ptr().cast(), size_of_val(lines)) }
    }
}

impl Deref for Lines {
    type Target = [Line];

    #[inline]
    fn deref(&self) -> &[Line] {
        match self {
            Self::Owned(lines) => lines,
            Self::Mapped(mapping, range) => {
                let bytes = &mapping[range.clone()];
                // SAFETY: `mapped` saw that these bytes are whole lines on a boundary of lines, and a map neither moves
                // nor changes its size; every pattern of bytes is a `Line`.
                unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len() / size_of::<Line>()) }
            }
        }
    }
}

/// Allocates `n_chunks * chunk` zeroed lines and lets `fill(i, lines)` write chunk `i`, on all cores.
///
/// The memory is first touched by the thread that fills it, after the huge-page advice.
pub(super) fn fill_lines(n_chunks: usize, chunk: usize, fill: impl Fn(usize, &mut [Line]) + Sync) -> Vec<Line> {
    let n_lines = n_chunks * chunk;
    let mut lines = Vec::<Line>::with_capacity(n_lines);
    advise_huge_pages(&lines);
    if chunk > 0 {
        lines.spare_capacity_mut()[..n_lines].par_chunks_mut(chunk).enumerate().for_each(|(i, lines)| {
            fill(i, zeroed(lines));
        });
    }
    // SAFETY: the capacity is at least `n_lines`, and `zeroed` initialized every one of them: the chunks cover the
    // whole range. A panic in `fill` unwinds past this line.
    unsafe { lines.set_len(n_lines) };
    lines
}

fn zeroed(lines: &mut [MaybeUninit<Line>]) -> &mut [Line] {
    for line in &mut *lines {
        line.write(Line::ZERO);
    }
    // SAFETY: the loop above wrote every element, and `MaybeUninit<Line>` has the layout of `Line`.
    unsafe { &mut *(std::ptr::from_mut(lines) as *mut [Line]) }
}

/// Asks for huge pages: weights are read front to back once per token, and 4 KiB pages cost address translations.
#[cfg(target_os = "linux")]
fn advise_huge_pages(lines: &Vec<Line>) {
    const HUGE_PAGE: usize = 2 << 20;
    let (start, bytes) = (lines.as_ptr() as usize, lines.capacity() * size_of::<Line>());
    let (first, last) = (start.next_multiple_of(HUGE_PAGE), (start + bytes) / HUGE_PAGE * HUGE_PAGE);
    if last > first {
        // SAFETY: `first..last` lies inside the allocation; this advice changes how it is backed, never its content.
        // It may be refused, which costs speed only.
        unsafe { libc::madvise(first as *mut libc::c_void, last - first, libc::MADV_HUGEPAGE) };
    }
}

#[cfg(not(target_os = "linux"))]
fn advise_huge_pages(_lines: &Vec<Line>) {}

/// Lets the allocator keep what is freed, for as long as this process lives; for a program's start, before it has threads.
///
/// A layer allocates megabytes of activations and frees them. Given back to the operating system every time, they come
/// back as pages that are cleared one fault at a time: a third of a small model's prefill. Where the allocator is
/// another one than glibc's, nothing happens.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// The most that glibc takes; larger pieces are mapped each by itself, whatever is wished.
        const LARGEST: libc::c_int = 32 << 20;
        /// More than a pass ever frees at once.
        const NEVER: libc::c_int = 1 << 30;
        /// A whole heap of one thread, so that one which has become empty stays.
        const HEAP: libc::c_int = 64 << 20;
        for (parameter, bytes) in
            [(libc::M_MMAP_THRESHOLD, LARGEST), (libc::M_TRIM_THRESHOLD, NEVER), (libc::M_TOP_PAD, HEAP)]
        {
            // SAFETY: these parameters say when memory is taken and given back, not what is in it. A refusal costs
            // speed only.
            unsafe { libc::mallopt(parameter, bytes) };
        }
    }
}
