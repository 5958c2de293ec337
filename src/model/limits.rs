//! The limits that a service can run into: when each was first reached, and how near it came.

use serde::{Deserialize, Serialize};

use super::config::ModelConfig;
use super::outcome::Outcome;
use crate::engine::time::SimTime;

macro_rules! limits {
    ($($variant:ident $name:literal $doc:literal;)*) => {
        /// Something that is full, used up or exceeded.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Limit {
            $(#[doc = $doc] $variant,)*
        }

        impl Limit {
            /// All of them.
            pub const ALL: &'static [Limit] = &[$(Limit::$variant,)*];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The name in reports.
            pub const fn name(self) -> &'static str {
                match self { $(Limit::$variant => $name,)* }
            }

            /// What it means to reach it.
            pub const fn meaning(self) -> &'static str {
                match self { $(Limit::$variant => $doc,)* }
            }
        }
    };
}

limits! {
    Workers "workers saturated" "All slots of the workers were busy for a whole step of the series.";
    Shed "shed level" "The depth reached the shed level of the policy.";
    Open "circuit open" "A circuit opened.";
    QueueLimit "queue limit" "The waiting line was at its capacity.";
    Connections "database pool" "A job needed a database connection, and none was free.";
    RedisCommands "Redis commands" "A shard of Redis ran commands for 99% of a step of the series.";
    RedisWatermark "Redis at 80% of maxmemory" "Redis used 80% of maxmemory.";
    MemoryShed "memory watermark" "A gateway turned jobs away because of Redis memory.";
    RedisFull "Redis full" "Redis had no room for a job.";
    InFlight "enqueues in flight" "A gateway had as many enqueues on their way as it may.";
    NoGateway "no gateway ready" "No gateway was there and ready.";
    RetryStorm "retry storm" "More retries than requests were sent in a step of the series.";
    AutoscalerMost "autoscaler maximum" "The autoscaler wanted as many workers as it may have.";
}

/// When each limit was first reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    reached: [Option<SimTime>; Limit::COUNT],
}

/// How near each limit came at the worst: 1 is reached; `None` where there is no such limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Nearness {
    worst: [Option<f64>; Limit::COUNT],
}

impl Limits {
    /// It is reached now, if not before.
    #[inline]
    pub fn reach(&mut self, limit: Limit, now: SimTime) {
        self.reached[limit as usize].get_or_insert(now);
    }

    /// The same at a time that may never have come.
    pub fn reach_at(&mut self, limit: Limit, time: Option<SimTime>) {
        self.reached[limit as usize] = time;
    }

    /// When it was first reached.
    pub fn at(&self, limit: Limit) -> Option<SimTime> {
        self.reached[limit as usize]
    }
}

impl Nearness {
    /// What an outcome says.
    pub fn of(outcome: &Outcome, config: &ModelConfig) -> Self {
        let mut nearness = Self::default();
        let mut set = |limit: Limit, used: f64, most: Option<f64>| {
            nearness.worst[limit as usize] = most.map(|most| used / most);
        };
        let peak = outcome.peak_depth as f64;
        let policy = &config.policy.config;
        let busy = outcome.series.busy.iter().zip(&outcome.series.slots);
        let shares = busy.filter(|(_, slots)| **slots > 0).map(|(&busy, &slots)| busy as f64 / slots as f64);
        set(Limit::Workers, shares.fold(0.0, f64::max), Some(1.0));
        set(Limit::Shed, peak, policy.enabled().then_some(policy.sheds_at() as f64));
        set(Limit::Open, peak, policy.enabled().then_some(policy.critical() as f64));
        set(Limit::QueueLimit, peak, config.queue.capacity.map(|most| most as f64));
        let maxmemory = config.redis.maxmemory.map(|most| most as f64);
        let memory = outcome.redis_peak as f64;
        set(Limit::RedisWatermark, memory, maxmemory.map(|most| most * super::redis::WATERMARK));
        set(Limit::RedisFull, memory, maxmemory);
        set(
            Limit::MemoryShed,
            memory,
            maxmemory.zip(config.redis.watermark).map(|(most, share)| most * share),
        );
        let parts = &outcome.parts;
        let pool = config.workers.database.and_then(|database| database.pool);
        set(Limit::Connections, parts.connections_peak as f64, pool.map(f64::from));
        let ppm = |millionths: u64| millionths as f64 / 1e6;
        set(Limit::RedisCommands, ppm(parts.redis_busy_peak), config.redis.operations.map(|_| 1.0));
        set(Limit::RetryStorm, ppm(parts.retry_share_peak), config.clients.map(|_| 1.0));
        set(
            Limit::InFlight,
            parts.in_flight_peak as f64,
            config.gateway.in_flight_limit.map(|most| most as f64),
        );
        let most = config.autoscaler.as_ref().map(|autoscaler| f64::from(autoscaler.max));
        let wanted = outcome.decisions.iter().map(|decision| decision.wanted).max().unwrap_or(0);
        set(Limit::AutoscalerMost, f64::from(wanted.max(config.workers.processes)), most);
        nearness
    }

    /// The share of the limit that was used at the worst.
    pub fn get(&self, limit: Limit) -> Option<f64> {
        self.worst[limit as usize]
    }
}
