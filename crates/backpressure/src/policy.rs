//! The three calls behind which every policy stands.

use crate::controller::Controller;
use crate::decision::Decision;
use crate::event::Event;
use crate::priority::Priority;
use crate::snapshot::Snapshot;
use crate::state::{Depth, State};
use crate::time::Nanos;

/// An admission policy: it is told the depth, it is asked about jobs, and it says how it stands.
///
/// A policy keeps the promises of [`Controller`], the policy called `spec`: time comes in as an argument, only
/// [`observe`](Policy::observe) moves the state, a more urgent job is never treated worse than a less urgent one, and equal
/// calls give equal answers.
///
/// ```
/// use backpressure::{Config, Controller, Depth, Nanos, Policy, Priority};
///
/// fn admitted(policy: &mut impl Policy, depths: &[u64]) -> usize {
///     let admit = |&&depth: &&u64| {
///         policy.observe(Depth::Known(depth), Nanos(0));
///         policy.decide(Priority::LEAST_URGENT, Nanos(0)).is_admit()
///     };
///     depths.iter().filter(admit).count()
/// }
///
/// let mut spec = Controller::new(Config::default(), Nanos(0));
/// assert_eq!(admitted(&mut spec, &[39_999, 40_000, 50_000, 9_999, 5_000]), 2);
/// ```
pub trait Policy {
    /// Takes in the depth at `now`.
    fn observe(&mut self, depth: Depth, now: Nanos);

    /// Decides about one job at `now`, by the last observation, and counts it.
    fn decide(&mut self, priority: Priority, now: Nanos) -> Decision;

    /// How things stand.
    fn snapshot(&self) -> Snapshot;

    /// The state of the circuit; the same as in the snapshot.
    fn state(&self) -> State {
        self.snapshot().state
    }

    /// The oldest event not polled yet. A policy without events has none.
    fn poll_event(&mut self) -> Option<Event> {
        None
    }
}

impl Policy for Controller {
    #[inline]
    fn observe(&mut self, depth: Depth, now: Nanos) {
        Controller::observe(self, depth, now);
    }

    #[inline]
    fn decide(&mut self, priority: Priority, now: Nanos) -> Decision {
        Controller::decide(self, priority, now)
    }

    fn snapshot(&self) -> Snapshot {
        Controller::snapshot(self)
    }

    #[inline]
    fn state(&self) -> State {
        Controller::state(self)
    }

    fn poll_event(&mut self) -> Option<Event> {
        Controller::poll_event(self)
    }
}
