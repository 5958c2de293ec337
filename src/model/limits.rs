//! The limits that a service can run into, and when each was first reached.

use serde::{Deserialize, Serialize};

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
pub struct LimitsReached {
    reached: [Option<SimTime>; Limit::COUNT],
}

impl LimitsReached {
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
