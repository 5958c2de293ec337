//! The simulated world: thousands of schedules of what can happen to gateways, their Redis, their disks and their clients.
//!
//! ```text
//! clients -->  Bus, Circuit, Line  --> connections --> Redis      real code | simulated: `redis`
//!                     |                                  |
//!                   Spill, journal --> disk            workers    real code | simulated: `spill::simulated`
//! ```
//!
//! A seed decides everything: one thread, one runtime, a clock that stands still until all tasks wait for it. `schedule` says what
//! happens, `invariants` what has to hold after it.
//!
//! `WORLD_SCHEDULES=1000000` runs more schedules, `WORLD_SEED=...` one alone, and tells its steps.

mod invariants;
mod redis;
mod schedule;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use schedule::Run;

#[test]
fn whatever_happens_each_event_is_where_its_answer_says() {
    if let Some(seed) = number("WORLD_SEED") {
        println!("{}", run(seed));
        return;
    }
    let schedules = number("WORLD_SCHEDULES").unwrap_or(SCHEDULES);
    let next = AtomicU64::new(0);
    let unseen = Mutex::new(TOLD.to_vec());
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(seed) = Some(next.fetch_add(1, Ordering::Relaxed)).filter(|n| *n < schedules) {
                    let told = TellSeed(seed);
                    let text = run(seed);
                    std::mem::forget(told);
                    unseen.lock().expect("no panic").retain(|word| !text.contains(word));
                }
            });
        }
    });
    let unseen = unseen.into_inner().expect("no panic");
    assert!(unseen.is_empty() || schedules < SCHEDULES, "a world in which this never happens: {unseen:?}");
}

#[test]
fn a_seed_decides_everything() {
    for seed in 0..20 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}

/// Runs one schedule, and tells what happened.
fn run(seed: u64) -> String {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().expect("a runtime");
    let tasks = tokio::task::LocalSet::new();
    // Made inside, where the clock is.
    tasks.block_on(&runtime, async move { Run::new(seed).go().await })
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

/// Says how to run a schedule again when its assertion fails.
struct TellSeed(u64);

impl Drop for TellSeed {
    fn drop(&mut self) {
        eprintln!(
            "again: WORLD_SEED={} cargo test -p backpressure-gateway --lib world -- --nocapture",
            self.0
        );
    }
}

const SCHEDULES: u64 = 10_000;
/// What has to happen in some of them, or the world is too calm to find anything.
const TOLD: [&str; 15] = [
    "cannot start",
    ": nothing",
    ": accepted",
    ": spilled",
    ": unknown",
    ": rejected memory",
    ": rejected queue_unavailable",
    ": rejected queue_full",
    ": rejected spill_full",
    ": rejected spill_failed",
    ": rejected busy",
    ": rejected too_many_keys",
    ": rejected open",
    ": rejected half_open",
    ": rejected priority_cut",
];
