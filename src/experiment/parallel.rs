//! Tasks on all threads of the current rayon pool, taken one by one in their order.
//!
//! An idle thread takes the next task, so no thread idles while there is work, and tasks that belong
//! together run close together. Results come in any order: `take` must not depend on it, or sort them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Threads to run tasks on.
#[derive(Debug)]
pub struct Pool(rayon::ThreadPool);

impl Pool {
    /// So many threads, or one for each core.
    ///
    /// # Errors
    ///
    /// If the system starts no further threads.
    pub fn new(threads: Option<u16>) -> Result<Self, impl std::error::Error + Send + Sync + 'static> {
        let threads = threads.map_or(0, usize::from);
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().map(Self)
    }

    /// Runs `work`, and all tasks that it begins, on these threads.
    pub fn install<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.0.install(work)
    }
}

/// Calls `work` for each of `0..tasks` and hands what it returns to `take`, one at a time. A task that
/// returns nothing was interrupted: no further one is begun. True if all were done.
pub fn run<T: Send>(
    tasks: usize,
    work: impl Fn(usize) -> Option<T> + Sync,
    take: impl FnMut(usize, T) + Send,
) -> bool {
    let next = AtomicUsize::new(0);
    let interrupted = AtomicBool::new(false);
    let take = Mutex::new(take);
    rayon::scope(|scope| {
        for _ in 0..rayon::current_num_threads().min(tasks) {
            scope.spawn(|_| {
                while !interrupted.load(Ordering::Relaxed) {
                    let task = next.fetch_add(1, Ordering::Relaxed);
                    if task >= tasks {
                        break;
                    }
                    match work(task) {
                        Some(result) => {
                            (*take.lock().expect("a taker that panicked has ended the scope"))(task, result);
                        }
                        None => interrupted.store(true, Ordering::Relaxed),
                    }
                }
            });
        }
    });
    !interrupted.into_inner()
}

/// Two pieces of work side by side: a thread for which one has no task left takes those of the other.
pub fn both<A: Send, B: Send>(first: impl FnOnce() -> A + Send, second: impl FnOnce() -> B + Send) -> (A, B) {
    rayon::join(first, second)
}

/// The results of all tasks in their order; `None` if one was interrupted.
pub fn map<T: Send>(tasks: usize, work: impl Fn(usize) -> Option<T> + Sync) -> Option<Vec<T>> {
    let mut results: Vec<Option<T>> = (0..tasks).map(|_| None).collect();
    run(tasks, work, |task, result| results[task] = Some(result));
    results.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_stand_in_the_order_of_the_tasks() {
        assert_eq!(map(100, |task| Some(task * task)), Some((0..100).map(|task| task * task).collect()));
    }

    #[test]
    fn an_interrupt_stops_the_rest() {
        let begun = AtomicUsize::new(0);
        let done = map(10_000, |task| {
            begun.fetch_add(1, Ordering::Relaxed);
            (task < 5).then_some(task)
        });
        assert_eq!(done, None);
        assert!(begun.into_inner() < 10_000);
    }
}
