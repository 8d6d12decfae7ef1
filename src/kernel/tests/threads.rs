//! The pool of compute threads: every item once, panics, nesting, sleep.

use super::super::Threads;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

fn count_items(threads: &Threads, n_items: usize) {
    let counts: Vec<AtomicUsize> = (0..n_items).map(|_| AtomicUsize::new(0)).collect();
    threads.parallel_for(n_items, |i| {
        counts[i].fetch_add(1, Ordering::Relaxed);
    });
    assert!(counts.iter().all(|count| count.load(Ordering::Relaxed) == 1), "{n_items} items");
}

#[test]
fn every_item_runs_once() {
    for n_threads in [0, 1, 2, 3, 9] {
        let threads = Threads::new(n_threads);
        assert_eq!(threads.n_threads(), n_threads.max(1));
        for n_items in (0..20).chain([1000]) {
            count_items(&threads, n_items);
        }
    }
}

#[test]
fn sleepers_wake_up() {
    let threads = Threads::new(3);
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(1));
        count_items(&threads, 100);
    }
}

#[test]
fn short_regions_follow_each_other() {
    let threads = Threads::new(4);
    let total = AtomicUsize::new(0);
    for _ in 0..20_000 {
        threads.parallel_for(4, |i| {
            total.fetch_add(i, Ordering::Relaxed);
        });
    }
    assert_eq!(total.into_inner(), 20_000 * 6);
}

#[test]
fn all_threads_take_part() {
    let threads = Threads::new(3);
    let inside = AtomicUsize::new(0);
    // Each item waits for the others, so that one thread alone would never finish.
    threads.parallel_for(3, |_| {
        inside.fetch_add(1, Ordering::SeqCst);
        while inside.load(Ordering::SeqCst) < 3 {
            std::thread::yield_now();
        }
    });
}

#[test]
fn regions_nest_and_callers_share() {
    let threads = Threads::new(3);
    let total = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..200 {
                    threads.parallel_for(5, |_| {
                        threads.parallel_for(7, |_| {
                            total.fetch_add(1, Ordering::Relaxed);
                        });
                    });
                }
            });
        }
    });
    assert_eq!(total.into_inner(), 3 * 200 * 35);
}

#[test]
fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
    let threads = Threads::new(3);
    for bad in [0, 7, 99] {
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            threads.parallel_for(100, |i| assert_ne!(i, bad, "item {bad} is bad"));
        }));
        let message = outcome.expect_err("the panic is passed on").downcast::<String>().expect("a message");
        assert!(message.contains(&format!("item {bad} is bad")), "{message}");
        count_items(&threads, 50);
    }
}

#[test]
fn chunks_cover_the_slice() {
    let threads = Threads::new(2);
    for (n, chunk) in [(0, 4), (3, 4), (4, 4), (1001, 10)] {
        let mut x = vec![0; n];
        threads.for_chunks(&mut x, chunk, |i, part| part.iter_mut().for_each(|x| *x += i + 1));
        assert!(x.iter().enumerate().all(|(at, &x)| x == at / chunk + 1), "{n} in chunks of {chunk}");
    }
}
