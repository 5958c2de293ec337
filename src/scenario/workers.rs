//! The workers and the database behind them.

use super::classes::ReadClass;
use super::diagnostic::Code;
use super::distribution::{self, Of};
use super::interval::{MOST_TICKS, must_fit};
use super::log::Mistake;
use super::reader::Section;
use crate::engine::time::SimDuration;
use crate::model::config::{Batch, Contention, Crashes, Database, Failures, Stalls, Workers};
use crate::model::distribution::Distribution;

/// More slots are a mistake.
pub(super) const MOST_SLOTS: u64 = 1_000_000;

/// Reads `[workers]`: the workers without their database, and the service time of classes that set none.
pub(super) fn read(
    top: &mut Section<'_>,
    classes: &[ReadClass<'_>],
    duration: Option<SimDuration>,
) -> (Workers, Option<Distribution>) {
    let mut workers = top.section("workers", "The workers.");
    let processes = workers.key("processes", "Worker processes.").count(1, MOST_SLOTS).or("1");
    let concurrency =
        workers.key("concurrency", "Jobs that each process works on at once.").count(1, MOST_SLOTS).or("1");
    let overhead = workers
        .key(
            "overhead",
            "Time that a job holds its slot in addition to its service: fetch, finish, event loop.",
        )
        .span()
        .or("0s");
    let doc = "Service time of a job.";
    let service_time = distribution::optional(&mut workers, "service_time", doc, Of::TIME);
    let is_needed = classes.iter().any(|class| class.service_time.is_none() && !class.service_is_bad);
    if service_time.is_none() && is_needed && !workers.is_bad("service_time") {
        workers.miss(
            "service_time",
            "add it to [workers], such as `service_time = \"8ms\"` or \
             `service_time = { distribution = \"exponential\", mean = \"8ms\" }`",
        );
    }
    let contention = read_contention(&mut workers);
    let batch = read_batch(&mut workers);
    let failures = read_failures(&mut workers);
    let crashes = read_crashes(&mut workers);
    let stalls = read_stalls(&mut workers);
    workers.close();
    if workers.has("stalled_interval") {
        must_fit(&mut workers, "stalled_interval", stalls.interval, (duration, "`duration`"), MOST_TICKS);
    }
    if let Some(crashes) = &crashes {
        // Each process crashes on its own.
        let most = (MOST_TICKS / processes).max(1);
        must_fit(&mut workers, "crash_every", crashes.mean_time_between, (duration, "`duration`"), most);
    }
    if processes * concurrency > MOST_SLOTS {
        let message = format!(
            "{processes} processes x {concurrency} jobs are {} slots, more than the most allowed",
            processes * concurrency
        );
        let name = if workers.has("processes") { "processes" } else { "concurrency" };
        workers
            .complain(name, Mistake::new(Code::OutOfRange, message, format!("at most {MOST_SLOTS} in all")));
    }
    if !workers.has("overhead") {
        workers.log().warn(
            "`workers.overhead` is not given: 0s assumed; measured with BullMQ, a job holds its slot for 1.5 ms \
             in addition to its service",
        );
    }
    let workers = Workers {
        // Each is within its bounds; their product was checked above.
        processes: processes as u32,
        concurrency: concurrency as u32,
        overhead,
        contention,
        batch,
        failures,
        crashes,
        stalls,
        database: None,
    };
    (workers, service_time)
}

fn read_contention(workers: &mut Section<'_>) -> Contention {
    let contention = workers
        .key(
            "contention",
            "Universal Scalability Law, sigma: share of the work that cannot overlap within a process.",
        )
        .number(0.0, 1.0)
        .or("0");
    let coherency = workers
        .key(
            "coherency",
            "Universal Scalability Law, kappa: cost of keeping each pair of jobs of a process consistent.",
        )
        .number(0.0, 1.0)
        .or("0");
    Contention { contention, coherency }
}

fn read_batch(workers: &mut Section<'_>) -> Batch {
    let size = workers
        .key("batch", "Most jobs that a slot takes as one batch; a batch pays the overhead once.")
        .count(1, 10_000)
        .or("1");
    let marginal_cost = workers
        .key(
            "batch_marginal_cost",
            "Cost of each job of a batch after the first, as a fraction of its service.",
        )
        .number(0.0, 1.0)
        .or("1");
    Batch { size: size as u32, marginal_cost }
}

fn read_failures(workers: &mut Section<'_>) -> Option<Failures> {
    const KINDS: &[(&str, bool)] = &[("fixed", false), ("exponential", true)];
    let probability = workers
        .key("failure_probability", "Probability that an attempt at a job fails.")
        .number(0.0, 1.0)
        .or("0");
    let attempts = workers.key("attempts", "Attempts before a job counts as failed.").count(1, 1_000).or("1");
    let backoff = workers
        .key("retry_backoff", "Pause before the next attempt; the depth does not count a pausing job.")
        .span()
        .or("0s");
    let exponential = workers
        .key("retry_backoff_kind", "Whether the pause is constant or doubles with each attempt.")
        .choice(KINDS)
        .or("fixed");
    (probability > 0.0).then_some(Failures { probability, attempts: attempts as u32, backoff, exponential })
}

fn read_crashes(workers: &mut Section<'_>) -> Option<Crashes> {
    let mean_time_between = workers
        .key("crash_every", "Mean time between crashes of a process; default: never.")
        .positive_span()
        .optional();
    let restart_after = workers.key("restart_after", "How long a crashed process is down.").span().or("10s");
    mean_time_between.map(|mean_time_between| Crashes { mean_time_between, restart_after })
}

fn read_stalls(workers: &mut Section<'_>) -> Stalls {
    let lock = workers
        .key("lock", "Longest time that a job stays locked after its worker died (BullMQ lockDuration).")
        .positive_span()
        .or("30s");
    let interval = workers
        .key("stalled_interval", "Time between two checks for jobs without a lock (BullMQ stalledInterval).")
        .positive_span()
        .or("30s");
    let most = workers
        .key("max_stalled", "How often a job may lose its worker before it fails (BullMQ maxStalledCount).")
        .count(0, 1_000)
        .or("1");
    Stalls { lock, interval, most: most as u32 }
}

/// Reads `[database]`.
pub(super) fn read_database(mut database: Section<'_>) -> Database {
    let pool = database
        .key("pool", "Connections that all worker processes share; default: no limit.")
        .count(1, 1_000_000)
        .optional();
    let share = database
        .key("share", "Fraction of a job's service, at its end, for which it holds a connection.")
        .number(0.0, 1.0)
        .or("1");
    database.close();
    Database { pool: pool.map(|pool| pool as u32), share }
}

/// The longest time that a job can hold its slot, which the clock must be able to represent.
pub(super) fn longest_hold(workers: &Workers, service: f64) -> f64 {
    let batch = f64::from(workers.batch.size);
    service * batch * workers.contention.stretch(workers.concurrency) + workers.overhead.as_secs_f64()
}

/// For ever.
pub(super) const FOR_EVER: SimDuration = SimDuration(u64::MAX);
