//! Large cache-line-aligned buffers for packed weights, filled in parallel and backed by huge pages where there are any.

#![allow(unsafe_code)]

use super::simd::Line;
use rayon::prelude::*;
use std::mem::MaybeUninit;

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
