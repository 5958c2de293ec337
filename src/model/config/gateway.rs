//! The gateways and the depth that they see.

use crate::engine::time::SimDuration;

/// The gateways, each with a circuit of its own; arrivals take them in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// How many.
    pub instances: u32,
    /// Between reading the depth and the enqueue reaching Redis.
    pub check_latency: SimDuration,
    /// How old the depth is when it is read.
    pub depth_age: SimDuration,
    /// Most enqueues that a gateway has on their way; an arrival beyond is rejected.
    pub in_flight_limit: Option<u64>,
    /// Whether the load balancer takes a gateway out while its circuit is OPEN; `None` if readiness does not follow it.
    pub readiness: Option<Readiness>,
}

impl Default for Gateway {
    /// One that knows everything at once.
    fn default() -> Self {
        Self {
            instances: 1,
            check_latency: SimDuration::ZERO,
            depth_age: SimDuration::ZERO,
            in_flight_limit: None,
            readiness: None,
        }
    }
}

/// A readiness probe that fails while the circuit is OPEN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    /// Time between two probes.
    pub period: SimDuration,
    /// Failed probes in a row until the gateway is out.
    pub failures: u32,
    /// Passed probes in a row until it is back in.
    pub successes: u32,
}
