//! Faults: when they begin, and how long they last. `detailed/faults.rs` defines what overlapping faults do together.

use crate::engine::time::{SimDuration, SimTime};

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Name in reports.
    pub name: String,
    /// When it begins.
    pub at: SimTime,
    /// How long it lasts; `SimDuration(u64::MAX)` is to the end.
    pub lasts: SimDuration,
    /// Its kind.
    pub kind: FaultKind,
}

/// The kind of a fault.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FaultKind {
    /// Worker processes die (`kill -9`) and are back at the end.
    WorkerLoss {
        /// How many.
        count: u32,
    },
    /// All worker processes stop in good order at once and are back at the end: a deployment without rolling.
    WorkerRestart,
    /// Database work takes longer.
    DatabaseSlow {
        /// How many times as long.
        factor: f64,
    },
    /// Redis does not answer; its data stays.
    RedisOutage,
    /// Commands and the way to Redis take longer.
    RedisSlow {
        /// How many times as long.
        factor: f64,
    },
    /// A replica takes over at the end. What was enqueued last had not reached it.
    RedisFailover {
        /// How far the replica was behind.
        lag: SimDuration,
    },
    /// The gateways keep seeing the depth of the beginning.
    DepthFrozen,
    /// The gateways see no depth.
    DepthMissing,
    /// Gateways die; at the end they are back with fresh circuits.
    GatewayLoss {
        /// How many.
        count: u32,
    },
    /// The gateways' clock jumps, and jumps back at the end.
    ClockStep {
        /// How far, in nanoseconds, backwards if negative.
        nanos: i64,
    },
}

impl Fault {
    /// When it is over; `SimTime::NEVER` if it lasts to the end.
    pub fn end(&self) -> SimTime {
        self.at + self.lasts
    }
}
