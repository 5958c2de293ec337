//! What a configuration can carry, by arithmetic.

use super::{Batch, Clients, Database, ModelConfig, Operations, WaitFor, Workers};
use crate::engine::time::SimDuration;

/// The load that a service can carry when its clients retry (the terms are those of Bronson, Aghayev, Charapko and Zhu, "Metastable
/// Failures in Distributed Systems", HotOS 2021).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryCapacity {
    /// Requests per second that it carries as long as nothing goes wrong.
    pub advertised: f64,
    /// Requests per second up to which it gets out of an overload by itself, whatever caused that. Between the two it is
    /// vulnerable.
    pub hidden: f64,
    /// Attempts for each request while all of them time out.
    pub attempts: f64,
}

impl ModelConfig {
    /// Jobs per second that all workers do with every slot busy: the least of what slots, database connections and Redis
    /// can do. Attempts that fail count as work and not as jobs.
    pub fn capacity(&self) -> f64 {
        self.bottleneck().1
    }

    /// What bounds the capacity, as shown to people, and the capacity.
    pub fn bottleneck(&self) -> (&'static str, f64) {
        let of_pool = self.workers.database.map_or(f64::INFINITY, |Database { pool, share }| {
            let connections = pool.map_or(f64::INFINITY, f64::from);
            connections / (self.busy_service() * share)
        });
        let of_redis = self.redis.operations.map_or(f64::INFINITY, |Operations { enqueue, cycle, depth }| {
            let depth = if self.policy.reads_at_arrivals() { depth } else { SimDuration::ZERO };
            let per_job = enqueue + cycle + depth;
            f64::from(self.redis.shards.min(self.queue.queues)) / per_job.as_secs_f64()
        });
        let others = [("database pool", of_pool), ("Redis commands", of_redis)];
        let others = others.map(|(name, rate)| (name, rate / self.mean_attempts()));
        others.into_iter().fold(("workers", self.slot_capacity()), |least, other| {
            if other.1 < least.1 { other } else { least }
        })
    }

    /// The same of the slots alone.
    pub fn slot_capacity(&self) -> f64 {
        let batch = f64::from(self.workers.batch.size);
        let cycle = self.busy_service() + self.workers.overhead.as_secs_f64() / batch;
        f64::from(self.workers.slots()) / cycle / self.mean_attempts()
    }

    /// Seconds of service that a job takes in the mean while all slots are busy, alone or in a batch.
    fn busy_service(&self) -> f64 {
        let Workers {
            concurrency,
            contention,
            batch: Batch { size, marginal_cost },
            // The callers count these.
            processes: _,
            overhead: _,
            failures: _,
            database: _,
            // A capacity is that of a service in which nothing dies.
            crashes: _,
            stalls: _,
        } = self.workers;
        let service = self.mean_over_jobs(|class| class.service_time.mean());
        let size = f64::from(size);
        service * (1.0 + marginal_cost * (size - 1.0)) / size * contention.stretch(concurrency)
    }

    /// What is wrong with a recovery threshold above what clients wait for: at that depth a job takes longer than its client
    /// waits, so all work is wasted, the retries keep the queue as deep as it is, and the circuit closes on it. The
    /// bound is capacity x timeout, and half of it is a margin for noise (in simulations with a time-out of 4 s, recovery below half of it never got
    /// stuck, 1.25 times it did at a load of 80%).
    pub fn recovery_beyond_patience(&self) -> Option<String> {
        let (clients, timeout) = self.clients_that_wait()?;
        let (policy, capacity) = (&self.policy.config, self.capacity());
        let patience = capacity * timeout;
        let recovery = policy.recovery() as f64;
        if clients.retries == 0 || !policy.enabled() || !patience.is_finite() || recovery <= patience / 2.0 {
            return None;
        }
        let is = if recovery > patience { "above" } else { "more than half of" };
        Some(format!(
            "`policy.recovery`, {recovery} jobs, is {is} what clients wait for: {timeout} s at {capacity:.0} jobs/s are {patience:.0} \
             jobs. Retries may keep the system overloaded for ever; at most {:.0} is safe",
            (patience / 2.0).floor()
        ))
    }

    /// The clients, if they wait for completion with a time-out, and that time-out in seconds.
    fn clients_that_wait(&self) -> Option<(Clients, f64)> {
        let clients = self.clients.filter(|clients| clients.wait_for == WaitFor::Completion)?;
        Some((clients, clients.timeout?.as_secs_f64()))
    }

    /// Attempts that a job takes in the mean, the last one included: 1 + p + p^2 + ... over as many as it has.
    pub fn mean_attempts(&self) -> f64 {
        let Some(failures) = self.workers.failures else { return 1.0 };
        let attempts = f64::from(failures.attempts);
        if failures.probability >= 1.0 {
            return attempts;
        }
        (1.0 - failures.probability.powf(attempts)) / (1.0 - failures.probability)
    }

    /// Advertised and hidden capacity; `None` where no client sends work again that the workers have already done or will do.
    ///
    /// In an overload every attempt times out, so every request costs all its attempts, and the queue shrinks only if that is less
    /// than the capacity: hidden = advertised / attempts. A retry budget bounds the attempts. A policy
    /// under which an overload rests no deeper than half of what clients wait for bounds the queue instead, and nothing is
    /// hidden.
    pub fn retry_capacity(&self) -> Option<RetryCapacity> {
        let (clients, timeout) = self.clients_that_wait()?;
        let advertised = self.capacity();
        let retries = clients.retry_budget.unwrap_or(f64::INFINITY).min(f64::from(clients.retries));
        if retries == 0.0 || !advertised.is_finite() {
            return None;
        }
        let policy = &self.policy.config;
        let is_gated = policy.enabled() && policy.rests_at() as f64 <= advertised * timeout / 2.0;
        let attempts = if is_gated { 1.0 } else { 1.0 + retries };
        Some(RetryCapacity { advertised, hidden: advertised / attempts, attempts })
    }
}
