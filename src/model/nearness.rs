//! How near a replication came to each limit, whether or not it reached it.

use serde::{Deserialize, Serialize};

use super::config::ModelConfig;
use super::limits::Limit;
use super::outcome::Outcome;

/// How near each limit came at the worst: 1 is reached; `None` where there is no such limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Nearness {
    worst: [Option<f64>; Limit::COUNT],
}

impl Nearness {
    /// What an outcome says.
    pub fn of(outcome: &Outcome, config: &ModelConfig) -> Self {
        let peak = outcome.peak_depth as f64;
        let memory = outcome.redis_peak as f64;
        let details = &outcome.details;
        let policy = Some(&config.policy.config).filter(|policy| policy.enabled());
        let maxmemory = config.redis.maxmemory.map(|most| most as f64);
        let ppm = |millionths: u64| millionths as f64 / 1e6;
        // The largest use, and the limit, if there is one.
        let used_of = |limit: Limit| match limit {
            Limit::Workers => {
                let busy = outcome.series.busy.iter().zip(&outcome.series.slots);
                let shares =
                    busy.filter(|(_, slots)| **slots > 0).map(|(&busy, &slots)| busy as f64 / slots as f64);
                (shares.fold(0.0, f64::max), Some(1.0))
            }
            Limit::Shed => (peak, policy.map(|policy| policy.sheds_at() as f64)),
            Limit::Open => (peak, policy.map(|policy| policy.critical() as f64)),
            Limit::QueueLimit => (peak, config.queue.capacity.map(|most| most as f64)),
            Limit::Connections => {
                let pool = config.workers.database.and_then(|database| database.pool);
                (details.connections_peak as f64, pool.map(f64::from))
            }
            Limit::RedisCommands => (ppm(details.redis_busy_peak), config.redis.operations.map(|_| 1.0)),
            Limit::RedisWatermark => (memory, maxmemory.map(|most| most * super::redis::WATERMARK)),
            Limit::MemoryShed => {
                (memory, maxmemory.zip(config.redis.watermark).map(|(most, share)| most * share))
            }
            Limit::RedisFull => (memory, maxmemory),
            Limit::InFlight => {
                (details.in_flight_peak as f64, config.gateway.in_flight_limit.map(|most| most as f64))
            }
            // Either there is one or there is none.
            Limit::NoGateway => (0.0, None),
            Limit::RetryStorm => (ppm(details.retry_share_peak), config.clients.map(|_| 1.0)),
            Limit::AutoscalerMost => {
                let wanted = outcome.decisions.iter().map(|decision| decision.wanted).max().unwrap_or(0);
                let most = config.autoscaler.as_ref().map(|autoscaler| f64::from(autoscaler.max));
                (f64::from(wanted.max(config.workers.processes)), most)
            }
        };
        let mut nearness = Self::default();
        for &limit in Limit::ALL {
            let (used, most) = used_of(limit);
            nearness.worst[limit as usize] = most.map(|most| used / most);
        }
        nearness
    }

    /// The share of the limit that was used at the worst.
    pub fn get(&self, limit: Limit) -> Option<f64> {
        self.worst[limit as usize]
    }
}
