//! The workers, the database behind them, and how both fail.

use crate::engine::time::SimDuration;

/// The workers: `processes` x `concurrency` slots.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Workers {
    /// Worker processes, at the start where there is an autoscaler.
    pub processes: u32,
    /// Jobs that each process works on at a time.
    pub concurrency: u32,
    /// Time that a job holds its slot beside its service: fetch, finish, event loop.
    pub overhead: SimDuration,
    /// How jobs of one process slow each other down.
    pub contention: Contention,
    /// Jobs that a slot takes together.
    pub batch: Batch,
    /// What happens to an attempt that fails.
    pub failures: Option<Failures>,
    /// Processes that crash at random.
    pub crashes: Option<Crashes>,
    /// How the jobs of a dead process are found and handed out again.
    pub stalls: Stalls,
    /// The database that the jobs need.
    pub database: Option<Database>,
}

/// The Universal Scalability Law: with `n` jobs in service in its process a service takes
/// `1 + contention (n - 1) + coherency n (n - 1)` times as long, so that the process does `n / (that)` times the work of one
/// slot (Gunther, "Guerrilla Capacity Planning", 2007, eq. 4.20).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Contention {
    /// Share of the work that cannot overlap (sigma, also written alpha).
    pub contention: f64,
    /// Cost of keeping each pair of jobs consistent (kappa, also written beta).
    pub coherency: f64,
}

/// Several jobs taken together, of whatever classes: the overhead is paid once.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Batch {
    /// Most jobs that a slot takes; it does not wait for more to come.
    pub size: u32,
    /// What each job after the first costs, as a fraction of its service time.
    pub marginal_cost: f64,
}

/// Attempts that fail.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Failures {
    /// Probability that an attempt fails, whatever became of the earlier ones.
    pub probability: f64,
    /// Attempts until the job counts as failed.
    pub attempts: u32,
    /// Pause before the next attempt; the job is `delayed` meanwhile, which the depth does not count.
    pub backoff: SimDuration,
    /// Whether the pause doubles with each attempt.
    pub exponential: bool,
}

/// Processes that die at random.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Crashes {
    /// Mean time from the start of a process to its death, exponential.
    pub mean_time_between: SimDuration,
    /// How long until it is back.
    pub restart_after: SimDuration,
}

/// BullMQ's search for jobs whose worker has died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stalls {
    /// How long the lock on a job in service outlives its worker at the most; workers renew it at half of this.
    pub lock: SimDuration,
    /// Time between two checks. One marks the jobs in service, the next moves those of them that have no lock.
    pub interval: SimDuration,
    /// How often a job may be moved before it counts as failed.
    pub most: u32,
}

/// A pool of connections that all processes share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Database {
    /// Connections; `None` is no limit.
    pub pool: Option<u32>,
    /// Part of a job's service, at its end, for which it needs the database.
    pub share: f64,
}

impl Default for Workers {
    /// One slot that never fails.
    fn default() -> Self {
        Self {
            processes: 1,
            concurrency: 1,
            overhead: SimDuration::ZERO,
            contention: Contention::default(),
            batch: Batch::NONE,
            failures: None,
            crashes: None,
            stalls: Stalls::BULLMQ,
            database: None,
        }
    }
}

impl Workers {
    /// Slots of the processes that are there at the start.
    pub fn slots(&self) -> u32 {
        self.processes * self.concurrency
    }
}

impl Contention {
    /// How many times as long a service takes with that many jobs in the process.
    pub fn stretch(&self, jobs: u32) -> f64 {
        let jobs = f64::from(jobs);
        1.0 + self.contention * (jobs - 1.0) + self.coherency * jobs * (jobs - 1.0)
    }

    /// Whether it slows anything down.
    pub fn is_none(&self) -> bool {
        self.contention <= 0.0 && self.coherency <= 0.0
    }
}

impl Batch {
    /// One job at a time.
    pub const NONE: Self = Self { size: 1, marginal_cost: 1.0 };
}

impl Stalls {
    /// BullMQ's own settings.
    pub const BULLMQ: Self =
        Self { lock: SimDuration(30_000_000_000), interval: SimDuration(30_000_000_000), most: 1 };
}
