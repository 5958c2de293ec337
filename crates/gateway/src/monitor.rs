//! Background work, independent of traffic: reads the depth, so that the circuit closes when its queue has drained; reads memory
//! and workers; and logs rejections once a second rather than once an event.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use backpressure::{Depth, Observation};
use tokio::time::{MissedTickBehavior, interval};

use crate::app::App;
use crate::queue::{Memory, QueueError};
use crate::spill::Spill;
use crate::status;

/// Starts the background work, which runs until the process ends. Memory and workers have been read once when this returns.
pub async fn start(app: &Arc<App>) {
    look(app, true).await;
    tokio::spawn(watch_depth(app.clone()));
    tokio::spawn(watch_the_rest(app.clone()));
    tokio::spawn(log_rejections(app.clone()));
    if let Some(spill) = app.spill.clone() {
        tokio::spawn(replay(app.clone(), spill));
    }
}

/// What is in the spill is acknowledged, so nothing may end its replay while the process lives.
async fn replay(app: Arc<App>, spill: Arc<Spill>) {
    loop {
        let (app, spill) = (app.clone(), spill.clone());
        let ended = tokio::spawn(async move { spill.replay(&*app.queue, &app.circuit).await }).await;
        tracing::error!(?ended, "the replay of the spill has ended; it begins again");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

pub(crate) async fn watch_depth(app: Arc<App>) {
    loop {
        // Events observe the depth as well: it is read here only when the policy has seen none for too long.
        let wait = app.circuit.until_next_observation();
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
            continue;
        }
        let depth = app.queue.depth().await.map_or(Depth::Unknown, Depth::Known);
        app.circuit.observe(Observation { workers: app.last_seen.workers(), ..Observation::of(depth) });
    }
}

pub(crate) async fn watch_the_rest(app: Arc<App>) {
    let mut ticks = every(MEMORY_INTERVAL);
    for tick in 0u64.. {
        ticks.tick().await;
        look(&app, tick.is_multiple_of(MEMORY_LOOKS)).await;
    }
}

/// Reads memory and, if `all`, workers and the database.
async fn look(app: &App, all: bool) {
    let memory = app.queue.memory().await;
    let is_memory_denied = is_denied(&memory);
    let memory = memory.ok();
    if let Some(memory) = &memory {
        app.circuit.observe_memory(memory.used, memory.max);
    }
    app.last_seen.update(|seen| {
        let evicts = |memory: &Option<Memory>| memory.as_ref().and_then(|memory| memory.evicts.clone());
        if let Some(policy) = evicts(&memory).filter(|_| evicts(&seen.memory).is_none()) {
            tracing::error!(policy, "Redis evicts at maxmemory: jobs will be lost silently; set noeviction");
        }
        let is_read_only =
            |memory: &Option<Memory>| memory.as_ref().is_some_and(|memory| memory.is_read_only);
        if is_read_only(&memory) && !is_read_only(&seen.memory) {
            tracing::error!("Redis does not take jobs: {}", status::READ_ONLY);
        }
        if is_memory_denied && !seen.denied.memory {
            tracing::error!("Redis: {}", status::NO_MEMORY);
        }
        (seen.memory, seen.denied.memory) = (memory, is_memory_denied);
    });
    if !all {
        return;
    }
    let workers = app.queue.workers().await;
    let are_workers_denied = is_denied(&workers);
    let workers = workers.ok();
    let database = match &app.settings.database {
        Some(database) => Some(database.answers(DATABASE_PATIENCE).await),
        None => None,
    };
    app.last_seen.update(|seen| {
        if are_workers_denied && !seen.denied.workers {
            tracing::error!("Redis: {}", status::NO_WORKERS);
        }
        seen.denied.workers = are_workers_denied;
        (seen.workers, seen.database) = (workers, database);
    });
    app.bus.forget_idle_organizations();
}

fn is_denied<T>(answer: &Result<T, QueueError>) -> bool {
    matches!(answer, Err(QueueError::Denied(_)))
}

async fn log_rejections(app: Arc<App>) {
    let mut ticks = every(Duration::from_secs(1));
    let mut told: BTreeMap<(String, String), u64> = BTreeMap::new();
    loop {
        ticks.tick().await;
        for (class, reason, count) in app.metrics.rejections() {
            let before = told.insert((class.clone(), reason.clone()), count).unwrap_or(0);
            if count > before {
                let state = app.circuit.state();
                tracing::warn!(class, reason, events = count - before, %state, "events rejected in the last second");
            }
        }
    }
}

fn every(time: Duration) -> tokio::time::Interval {
    let mut ticks = interval(time);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Short enough to see Redis fill at the highest rate it accepts: a watermark leaves a tenth of its memory or more.
const MEMORY_INTERVAL: Duration = Duration::from_millis(200);
/// Readings of memory for each one of workers, whose list costs Redis more.
const MEMORY_LOOKS: u64 = 5;
const DATABASE_PATIENCE: Duration = Duration::from_millis(500);
