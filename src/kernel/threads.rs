//! The compute threads: a small pool for fork-join regions of a few microseconds.
//!
//! A general work-stealing pool costs 1 to 15 µs per region, and a decode step of a small model has 150 of them. Here
//! the caller publishes one job, works on it itself, and idle threads join in: they spin for [`SPIN`] after the last
//! job, then park, so that an idle pool costs nothing on a shared machine.
//!
//! Invariants:
//! - Joining is optional: a thread that the system has put to sleep never delays a region it did not enter.
//! - A job's closure is touched only between a successful [`Shared::enter`] and [`Shared::leave`], and the caller
//!   does not return before `active` is 0 on a closed job: that is what makes lending a borrowed closure sound.
//! - Results never depend on which thread runs an item.

#![allow(unsafe_code)]

use super::isa::isa;
use std::any::Any;
use std::cell::Cell;
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long an idle thread looks for work before it sleeps: longer than the serial parts of a decode step, shorter
/// than anyone else on the machine would notice.
const SPIN: Duration = Duration::from_micros(30);

thread_local! {
    /// Whether this thread is inside an item, so that a nested region runs inline.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// A pool of compute threads. Dropping it joins them.
#[derive(Debug)]
pub struct Threads {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Held by the caller of the region in progress.
    busy: Mutex<()>,
}

type Item<'a> = &'a (dyn Fn(usize) + Sync);

/// One region: which items there are, and which is next.
struct Job {
    run: *const (dyn Fn(usize) + Sync),
    n_items: usize,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("state", &self.state).finish_non_exhaustive()
    }
}

struct Shared {
    /// Bit 0: a job is open. Bits 1 to 15: threads inside it (`active`). Above: the number of jobs so far, so that a
    /// thread which slept through a whole job cannot mistake the next one for it.
    state: AtomicUsize,
    job: std::cell::UnsafeCell<Option<Job>>,
    next: AtomicUsize,
    sleepers: AtomicUsize,
    /// Guards nothing but the sleep itself: a sleeper checks `state` under it, a waker takes it before notifying.
    sleep: Mutex<()>,
    wake: Condvar,
    caller_waits: AtomicBool,
    done: Condvar,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    stop: AtomicBool,
}

const OPEN: usize = 1;
const ONE_ACTIVE: usize = 2;
const ACTIVE_MASK: usize = 0xfffe;
const ONE_JOB: usize = 0x1_0000;
/// Threads that the bits of `active` can count.
const MAX_THREADS: usize = 1024;

// SAFETY: `job` is written only by the caller that holds `Threads::busy`, while the job is closed and `active` is 0;
// it is read only between `enter` and `leave`. The closure it points to is `Sync`. Everything else is `Sync` already.
unsafe impl Sync for Shared {}
// SAFETY: as above; the pointer in `job` is only followed while its closure is borrowed by the caller.
unsafe impl Send for Shared {}

impl Threads {
    /// A pool that computes on `n_threads` threads, the caller's included.
    pub fn new(n_threads: usize) -> Self {
        // The permission to use tiles is asked for here, so that the threads below have it from their first
        // instruction.
        isa();
        let shared = Arc::new(Shared {
            state: AtomicUsize::new(0),
            job: std::cell::UnsafeCell::new(None),
            next: AtomicUsize::new(0),
            sleepers: AtomicUsize::new(0),
            sleep: Mutex::new(()),
            wake: Condvar::new(),
            caller_waits: AtomicBool::new(false),
            done: Condvar::new(),
            panic: Mutex::new(None),
            stop: AtomicBool::new(false),
        });
        let workers = (1..n_threads.clamp(1, MAX_THREADS))
            .map_while(|i| {
                let shared = Arc::clone(&shared);
                // A machine that refuses a thread gets a smaller pool.
                std::thread::Builder::new().name(format!("compute-{i}")).spawn(move || shared.serve()).ok()
            })
            .collect();
        Self { shared, workers, busy: Mutex::new(()) }
    }

    /// A pool of `PARTITA_THREADS` threads, or of as many as the machine runs at once.
    pub fn from_env() -> Self {
        let wanted = std::env::var("PARTITA_THREADS").ok().and_then(|n| n.parse().ok()).filter(|&n| n > 0);
        Self::new(wanted.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)))
    }

    /// Threads that compute, the caller's included.
    pub fn n_threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Runs `run(0)` to `run(n_items - 1)`, in any order, on any thread, and returns when all are done.
    ///
    /// Runs inline if called from inside an item or while another thread uses the pool. A panic in an item reaches
    /// the caller; items that had not started then may be skipped.
    pub fn parallel_for(&self, n_items: usize, run: impl Fn(usize) + Sync) {
        let busy =
            if n_items <= 1 || self.workers.is_empty() || INSIDE.get() { None } else { self.busy.try_lock().ok() };
        let Some(busy) = busy else {
            (0..n_items).for_each(run);
            return;
        };
        let shared = &*self.shared;
        shared.open(&run, n_items);
        shared.work(&run, n_items);
        shared.close();
        let panic = lock(&shared.panic).take();
        drop(busy);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

impl Threads {
    /// Runs `run(i, chunk)` for the `i`th chunk of `chunk` elements of `slice`; the last one may be shorter.
    pub(super) fn for_chunks<T: Send>(&self, slice: &mut [T], chunk: usize, run: impl Fn(usize, &mut [T]) + Sync) {
        self.for_shared_chunks(&SharedMut::new(slice), chunk, run);
    }

    fn for_shared_chunks<T: Send>(&self, all: &SharedMut<'_, T>, chunk: usize, run: impl Fn(usize, &mut [T]) + Sync) {
        self.parallel_for(all.len.div_ceil(chunk), |i| {
            let (start, end) = (i * chunk, ((i + 1) * chunk).min(all.len));
            // SAFETY: every `i` comes once, and chunks of different `i` do not overlap.
            run(i, unsafe { all.slice(start, end) });
        });
    }

    /// A vector of `n` elements; `write(i, chunk)` writes the `i`th chunk of `chunk` elements, the last one may be
    /// shorter.
    ///
    /// # Safety
    /// `write` writes every element of its chunk, or panics.
    pub(super) unsafe fn collect_chunks<T: Send>(
        &self,
        n: usize,
        chunk: usize,
        write: impl Fn(usize, &mut [MaybeUninit<T>]) + Sync,
    ) -> Vec<T> {
        // SAFETY: chunks cover all elements, and the caller says that `write` writes those of each.
        unsafe { collect(n, |all| self.for_shared_chunks(&all, chunk, write)) }
    }
}

/// A vector of `n` elements that `write` fills, on whatever threads, without clearing them first: what clears a matrix
/// of outputs is one thread while the others wait.
///
/// # Safety
/// `write` writes every element, or panics.
pub(super) unsafe fn collect<T>(n: usize, write: impl FnOnce(SharedMut<'_, MaybeUninit<T>>)) -> Vec<T> {
    // SAFETY: passed on to the caller.
    let [elements] = unsafe { collect_each([n], |[all]| write(all)) };
    elements
}

/// As [`collect`] for several vectors.
///
/// # Safety
/// As for [`collect`].
pub(super) unsafe fn collect_each<T, const N: usize>(
    lens: [usize; N],
    write: impl FnOnce([SharedMut<'_, MaybeUninit<T>>; N]),
) -> [Vec<T>; N] {
    let mut vectors = lens.map(Box::new_uninit_slice);
    write(vectors.each_mut().map(|vector| SharedMut::new(vector)));
    // SAFETY: the caller says that `write`, which has returned, wrote all elements.
    vectors.map(|vector| unsafe { vector.assume_init() }.into_vec())
}

/// A slice whose disjoint parts are written by different threads.
pub(super) struct SharedMut<'a, T> {
    start: *mut T,
    len: usize,
    slice: std::marker::PhantomData<&'a mut [T]>,
}

// SAFETY: it stands for `&mut [T]`, handed out piece by piece; the caller of `slice` keeps the pieces disjoint.
unsafe impl<T: Send> Sync for SharedMut<'_, T> {}

impl<'a, T> SharedMut<'a, T> {
    pub(super) fn new(slice: &'a mut [T]) -> Self {
        Self { start: slice.as_mut_ptr(), len: slice.len(), slice: std::marker::PhantomData }
    }

    /// Where element `i` lies, or would.
    pub(super) fn address(&self, i: usize) -> *const T {
        self.start.wrapping_add(i)
    }

    /// Elements `start..end`.
    ///
    /// # Safety
    /// No other part that is in use at the same time overlaps these elements.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)]
    pub(super) unsafe fn slice(&self, start: usize, end: usize) -> &mut [T] {
        assert!(start <= end && end <= self.len, "elements {start}..{end} of {}", self.len);
        // SAFETY: the range lies inside the slice that `self` borrows mutably; the caller excludes overlaps.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(start), end - start) }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.shared.stop.store(true, SeqCst);
        drop(lock(&self.shared.sleep));
        self.shared.wake.notify_all();
        for worker in self.workers.drain(..) {
            // A worker catches the panics of items and has no others.
            let _ = worker.join();
        }
    }
}

impl Shared {
    /// Publishes a job. The caller holds `Threads::busy` and calls [`Shared::close`] before `run` goes away.
    fn open(&self, run: Item<'_>, n_items: usize) {
        // SAFETY: only the lifetime changes. The pointer is followed only by threads that `enter`ed, and `close`,
        // which the caller runs before the borrow ends, returns when none is left.
        let run = unsafe { std::mem::transmute::<Item<'_>, Item<'static>>(run) };
        // SAFETY: the last job is closed with `active == 0`, so no thread reads the cell, and `busy` excludes writers.
        unsafe { *self.job.get() = Some(Job { run, n_items }) };
        self.next.store(0, SeqCst);
        self.state.fetch_add(ONE_JOB | OPEN, SeqCst);
        if self.sleepers.load(SeqCst) > 0 {
            drop(lock(&self.sleep));
            self.wake.notify_all();
        }
    }

    /// Ends the job and waits until no thread is inside it.
    fn close(&self) {
        self.state.fetch_sub(OPEN, SeqCst);
        if spin(|| self.n_active() == 0) {
            return;
        }
        let mut sleep = lock(&self.sleep);
        self.caller_waits.store(true, SeqCst);
        while self.n_active() > 0 {
            sleep = self.done.wait(sleep).unwrap_or_else(PoisonError::into_inner);
        }
        self.caller_waits.store(false, SeqCst);
    }

    fn n_active(&self) -> usize {
        (self.state.load(SeqCst) & ACTIVE_MASK) / ONE_ACTIVE
    }

    /// Joins the open job, if there is one.
    fn enter(&self) -> bool {
        let join = |state: usize| (state & OPEN != 0).then_some(state + ONE_ACTIVE);
        self.state.fetch_update(SeqCst, SeqCst, join).is_ok()
    }

    fn leave(&self) {
        self.state.fetch_sub(ONE_ACTIVE, SeqCst);
        if self.caller_waits.load(SeqCst) {
            drop(lock(&self.sleep));
            self.done.notify_all();
        }
    }

    /// Takes items until there are none left. A panic ends the job early and is kept for the caller.
    fn work(&self, run: Item<'_>, n_items: usize) {
        INSIDE.set(true);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            loop {
                let i = self.next.fetch_add(1, SeqCst);
                if i >= n_items {
                    break;
                }
                run(i);
            }
        }));
        INSIDE.set(false);
        if let Err(panic) = outcome {
            self.next.store(n_items, SeqCst);
            lock(&self.panic).get_or_insert(panic);
        }
    }

    /// The life of a worker.
    fn serve(&self) {
        let mut last_seen = 0;
        while !self.stop.load(SeqCst) {
            let fresh = || {
                let state = self.state.load(SeqCst);
                (state & OPEN != 0 && state / ONE_JOB != last_seen) || self.stop.load(SeqCst)
            };
            if !spin(fresh) {
                self.sleep_until(fresh);
            }
            if self.enter() {
                last_seen = self.state.load(SeqCst) / ONE_JOB;
                // SAFETY: `enter` succeeded and `leave` follows: the job is open or its caller waits for us, so the
                // cell holds it, nobody writes it, and the closure is still borrowed.
                let job = unsafe { (*self.job.get()).as_ref() };
                if let Some(job) = job {
                    // SAFETY: as above.
                    self.work(unsafe { &*job.run }, job.n_items);
                }
                self.leave();
            }
        }
    }

    fn sleep_until(&self, ready: impl Fn() -> bool) {
        let mut sleep = lock(&self.sleep);
        self.sleepers.fetch_add(1, SeqCst);
        while !ready() {
            sleep = self.wake.wait(sleep).unwrap_or_else(PoisonError::into_inner);
        }
        self.sleepers.fetch_sub(1, SeqCst);
    }
}

/// Waits for `ready` for [`SPIN`] at most; says whether it came.
fn spin(ready: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    loop {
        for _ in 0..32 {
            if ready() {
                return true;
            }
            std::hint::spin_loop();
        }
        if start.elapsed() > SPIN {
            return false;
        }
    }
}

/// A lock whose data is valid at every moment, whatever panicked while it was held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
