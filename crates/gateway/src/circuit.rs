//! The policy crate, shared: one policy behind a lock, its gate for whoever only needs a yes, and the guards on memory.
//!
//! This is the only place that calls the policy. Whoever learns a depth observes under the lock and publishes the gate before
//! letting go of it, so the last gate is always that of the last observation (checked by `tests/loom.rs` of the policy crate).

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use backpressure::{
    AnyPolicy, Config, Decision, Event, MemoryGuard, Nanos, Observation, Policy, Request, SharedGate,
    Snapshot, State,
};
use tokio::time::Instant;

use crate::refusal::{Refusal, RefusalReason};

/// How much Redis may still be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// Everything.
    None,
    /// Priority 1 alone.
    Shedding,
    /// Nothing: priority 1 goes to the spill.
    Full,
}

/// The circuit of this process.
pub struct Circuit {
    policy: Mutex<AnyPolicy>,
    gate: SharedGate,
    /// For everybody, and for priority 1.
    guards: Mutex<(MemoryGuard, MemoryGuard)>,
    pressure: AtomicU8,
    started: Instant,
    started_at: SystemTime,
}

impl Circuit {
    /// A closed circuit; watermarks in millionths of the memory limit.
    #[must_use]
    pub fn new(config: Config, (watermark, urgent_watermark): (u32, u32)) -> Circuit {
        let policy = AnyPolicy::new(config, Nanos::ZERO);
        Circuit {
            gate: SharedGate::new(policy.gate()),
            policy: Mutex::new(policy),
            guards: Mutex::new((MemoryGuard::new(watermark), MemoryGuard::new(urgent_watermark))),
            pressure: AtomicU8::new(Pressure::None as u8),
            started: Instant::now(),
            started_at: SystemTime::now(),
        }
    }

    /// The policy's clock.
    #[must_use]
    pub fn now(&self) -> Nanos {
        Nanos(u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// The time since the start.
    #[must_use]
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// A moment of the policy's clock, by the wall clock.
    #[must_use]
    pub fn wall(&self, moment: Nanos) -> SystemTime {
        self.started_at + Duration::from_nanos(moment.0)
    }

    /// Takes in what is known of the queue, and tells the log what came of it.
    pub fn observe(&self, observation: impl Into<Observation>) {
        let mut policy = self.lock();
        policy.observe(observation, self.now());
        self.gate.publish(policy.gate());
        let events = drain(&mut policy);
        drop(policy);
        log(&events);
    }

    /// Takes in the depth found for one job, and decides about it.
    ///
    /// # Errors
    /// Why it may not come in.
    pub fn observe_and_decide(
        &self,
        observation: impl Into<Observation>,
        request: &Request,
    ) -> Result<(), Refusal> {
        self.observe(observation);
        self.decide(request)
    }

    /// Decides by the last observation.
    ///
    /// # Errors
    /// Why the job may not come in.
    pub fn decide(&self, request: &Request) -> Result<(), Refusal> {
        let now = self.now();
        if self.gate.admits(*request, now) {
            return Ok(());
        }
        // The gate has the yes or no; when to come back, the policy alone knows.
        match self.lock().decide(*request, now) {
            Decision::Admit => Ok(()),
            Decision::Reject(rejection) => Err(Refusal::of_policy(&rejection)),
        }
    }

    /// The depth from which the store must turn a job away; `None` for never.
    #[must_use]
    pub fn admits_below(&self, request: &Request) -> Option<u64> {
        Some(self.lock().admits_below(*request)).filter(|limit| *limit < u64::MAX)
    }

    /// Takes in the memory of the store; `limit` 0 for none.
    pub fn observe_memory(&self, used: u64, limit: u64) {
        let mut guards = self.guards.lock().unwrap_or_else(PoisonError::into_inner);
        guards.0.observe(used, limit);
        guards.1.observe(used, limit);
        let pressure = match (guards.0.is_shedding(), guards.1.is_shedding()) {
            (_, true) => Pressure::Full,
            (true, _) => Pressure::Shedding,
            _ => Pressure::None,
        };
        let before = self.pressure.swap(pressure as u8, Ordering::Relaxed);
        if before != pressure as u8 {
            tracing::warn!(?pressure, used, limit, "memory of Redis against its watermarks");
        }
    }

    /// How much Redis may still be given.
    #[must_use]
    pub fn pressure(&self) -> Pressure {
        match self.pressure.load(Ordering::Relaxed) {
            0 => Pressure::None,
            1 => Pressure::Shedding,
            _ => Pressure::Full,
        }
    }

    /// A refusal for a reason that is not the policy's own, with its hint when to come back.
    #[must_use]
    pub fn refuse(&self, reason: RefusalReason) -> Refusal {
        let mut policy = self.lock();
        let retry_after = Duration::from_nanos(policy.next_retry_after().0);
        Refusal { reason, state: policy.state(), retry_after }
    }

    /// How long until the queue is to be observed even if no event comes in.
    #[must_use]
    pub fn until_next_observation(&self) -> Duration {
        self.lock().poll_timeout().since(self.now()).into()
    }

    /// How things stand.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.lock().snapshot()
    }

    /// The state alone.
    #[must_use]
    pub fn state(&self) -> State {
        self.gate.load().state()
    }

    /// The settings in force.
    #[must_use]
    pub fn policy(&self) -> Config {
        *self.lock().config()
    }

    /// Closes the circuit by hand.
    pub fn reset(&self) -> Snapshot {
        let mut policy = self.lock();
        policy.reset(self.now());
        self.gate.publish(policy.gate());
        let snapshot = policy.snapshot();
        let events = drain(&mut policy);
        drop(policy);
        log(&events);
        snapshot
    }

    /// A panic while it was held cannot have left a policy half-way: its calls do not panic.
    fn lock(&self) -> MutexGuard<'_, AnyPolicy> {
        self.policy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn drain(policy: &mut AnyPolicy) -> Vec<Event> {
    std::iter::from_fn(|| policy.poll_event()).collect()
}

fn log(events: &[Event]) {
    for event in events {
        match *event {
            Event::Transition { from, to, depth, .. } if to == State::Open => {
                tracing::error!(%from, %to, depth, "circuit opened");
            }
            Event::Transition { from, to, depth, .. } => tracing::warn!(%from, %to, depth, "circuit moved"),
            Event::Health { from, to, depth, .. } => {
                tracing::warn!(%from, %to, depth, "health of the queue changed");
            }
            Event::Reset { from, .. } => tracing::warn!(%from, "circuit reset by hand"),
            _ => tracing::info!(?event, "circuit"),
        }
    }
}
