//! What all kinds of policy share: a circuit over queue depth, and the books.
//!
//! ```text
//!                       depth >= critical
//!        +--------+ ------------------------> +--------+
//!        | CLOSED |                           |  OPEN  |
//!        +--------+                           +--------+
//!             ^                                 |    ^
//!             | depth <= recovery    depth < warning | depth >= reopen_at
//!             |                                 v    |
//!             |                            +-----------+
//!             +--------------------------- | HALF_OPEN |
//!                                          +-----------+
//! ```
//!
//! Observing moves the circuit and asks the [`Rule`] for the cut until the next observation, as a [`Gate`]; deciding compares
//! one number with it and counts. Nothing here reads a clock, allocates, locks, calls back or rounds.

use crate::config::Config;
use crate::cut::Cut;
use crate::decision::{Decision, Reason, Rejection};
use crate::drain::{self, DrainMeter};
use crate::event::{Event, EventQueue};
use crate::gate::Gate;
use crate::policy::Rule;
use crate::request::Request;
use crate::snapshot::{Counters, Snapshot};
use crate::state::{Depth, Health, OnUnknownDepth, State};
use crate::time::Nanos;

/// The circuit, its settings and its books; the rule is an argument where it has a say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Circuit {
    /// What admits until the next observation, as if enabled. A decision needs this, `now`, and a counter.
    gate: Gate,
    now: Nanos,
    pub(crate) state: State,
    health: Health,
    /// Depths that would change nothing: those between the same two thresholds as the last one.
    calm: Calm,
    /// The last observation; `None` before the first.
    observed: Option<Depth>,
    observed_at: Nanos,
    last_known_depth: Option<u64>,
    since: Nanos,
    counters: Counters,
    rejections: u64,
    clock_backwards: u64,
    pub(crate) config: Config,
    drain: DrainMeter,
    events: EventQueue,
    at_reset: Counters,
    reset_at: Nanos,
    resets: u64,
}

impl Circuit {
    /// A circuit that begins in `state`.
    pub(crate) fn starting_in(config: Config, rule: &impl Rule, state: State, now: Nanos) -> Circuit {
        let mut circuit = Circuit {
            gate: Gate::ADMIT_ALL,
            now,
            state,
            health: Health::Healthy,
            calm: Calm::NOWHERE,
            observed: None,
            observed_at: now,
            last_known_depth: None,
            since: now,
            counters: Counters::default(),
            rejections: 0,
            clock_backwards: 0,
            config,
            drain: DrainMeter::new(),
            events: EventQueue::new(),
            at_reset: Counters::default(),
            reset_at: now,
            resets: 0,
        };
        circuit.gate = circuit.gate_now(rule);
        circuit
    }

    /// Puts other settings in force, with the rule that they choose.
    pub(crate) fn reconfigure(&mut self, config: Config, rule: &impl Rule, now: Nanos) {
        let now = self.advance(now);
        self.config = config;
        if let Some(jobs) = self.last_known_depth {
            self.update_health(jobs, now);
        }
        self.calm = Calm::NOWHERE;
        self.gate = self.gate_now(rule);
    }

    /// Takes in a depth. Whether it may change something: then [`Circuit::follow`] is to come next.
    #[inline]
    #[must_use]
    pub(crate) fn observe(&mut self, depth: Depth, now: Nanos) -> bool {
        let now = self.advance(now);
        self.observed_at = now;
        self.counters.observations += 1;
        self.observed = Some(depth);
        match depth {
            Depth::Known(jobs) if self.calm.contains(jobs) && !self.drain.is_due(now) => {
                self.last_known_depth = Some(jobs);
                self.gate = self.gate.holding_until(self.depth_holds_until());
                false
            }
            _ => true,
        }
    }

    /// Counts a job that the gate admits. `None` if it does not: then [`Circuit::refuse`] says why.
    #[inline]
    pub(crate) fn admit(&mut self, request: &Request, now: Nanos) -> Option<Decision> {
        let now = self.advance(now);
        let admits = self.gate.admits(*request, now);
        if admits {
            self.counters.admitted_by_priority[request.priority.index()] += 1;
        }
        admits.then_some(Decision::Admit)
    }

    /// Rejects a job that the gate has not admitted, or, when disabled, admits it after all.
    pub(crate) fn refuse(&mut self, request: &Request, rule: &impl Rule) -> Decision {
        let priority = request.priority;
        if !self.config.enabled() {
            self.counters.would_reject += 1;
            self.counters.admitted_by_priority[priority.index()] += 1;
            return Decision::Admit;
        }
        let reason = self.reason(rule);
        self.counters.rejected_by_priority[priority.index()] += 1;
        self.counters.rejected_by_reason[reason as usize] += 1;
        let retry_after = self.next_retry_after();
        let disposition = reason.disposition().unwrap_or(self.config.disposition(priority));
        Decision::Reject(Rejection { reason, state: self.state, retry_after, disposition })
    }

    #[inline]
    pub(crate) fn gate(&self) -> Gate {
        if self.config.enabled() {
            self.gate
        } else {
            Gate::new(Cut::EVERYBODY, OnUnknownDepth::Admit, self.state, Nanos::MAX)
        }
    }

    pub(crate) fn next_retry_after(&mut self) -> Nanos {
        self.rejections += 1;
        drain::retry_after(
            self.drain_time(),
            self.config.retry_after_min(),
            self.config.retry_after_max(),
            self.config.jitter_seed(),
            self.rejections,
        )
    }

    /// `observe_every` after the last observation, or at once before the first.
    pub(crate) fn poll_timeout(&self) -> Nanos {
        match self.observed {
            Some(_) => self.observed_at.plus(self.config.observe_every()),
            None => self.observed_at,
        }
    }

    pub(crate) fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// Takes effect at once, in any state, and leaves an [`Event::Reset`]. The counters since the start go on.
    ///
    /// The last depth stays known, so the rule for that depth holds, and if the next observation is at `critical` or above
    /// the circuit opens again.
    pub(crate) fn reset(&mut self, rule: &impl Rule, now: Nanos) {
        let now = self.advance(now);
        self.events.push(Event::Reset { from: self.state, at: now });
        if self.state != State::Closed {
            self.enter(State::Closed, now);
        }
        self.at_reset = self.counters;
        self.reset_at = now;
        self.resets += 1;
        self.calm = Calm::NOWHERE;
        self.gate = self.gate_now(rule);
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            kind: self.config.kind().name(),
            levels: self.config.levels(),
            at: self.now,
            enabled: self.config.enabled(),
            state: self.state,
            since: self.since,
            health: self.health,
            depth: self.observed.unwrap_or(Depth::Unknown),
            last_known_depth: self.last_known_depth,
            observed_at: self.observed.map(|_| self.observed_at),
            drain_millijobs_per_second: self.drain.rate(self.state),
            retry_after: drain::within(
                self.drain_time(),
                self.config.retry_after_min(),
                self.config.retry_after_max(),
            ),
            since_start: self.counters,
            since_reset: self.counters.minus(&self.at_reset),
            reset_at: self.reset_at,
            resets: self.resets,
            clock_backwards: self.clock_backwards,
            events_dropped: self.events.dropped(),
        }
    }

    /// What follows from the last observation: every rule about states and health is here.
    #[inline(never)]
    pub(crate) fn follow(&mut self, depth: Depth, rule: &impl Rule) {
        let now = self.now;
        match depth {
            Depth::Known(jobs) => {
                self.last_known_depth = Some(jobs);
                self.calm = Calm::around(jobs, &self.config, rule);
                self.drain.observe(self.state, jobs, now);
                self.update_health(jobs, now);
                match self.state {
                    State::Closed => {
                        if jobs >= self.config.critical() {
                            self.move_to(State::Open, jobs, now);
                        }
                    }
                    State::Open => {
                        if jobs < self.config.warning() {
                            self.move_to(State::HalfOpen, jobs, now);
                            if jobs <= self.config.recovery() {
                                self.move_to(State::Closed, jobs, now);
                            }
                        }
                    }
                    State::HalfOpen => {
                        if jobs >= self.config.reopen_at() {
                            self.move_to(State::Open, jobs, now);
                        } else if jobs <= self.config.recovery() {
                            self.move_to(State::Closed, jobs, now);
                        }
                    }
                }
            }
            Depth::Unknown => {
                self.calm = Calm::NOWHERE;
                self.counters.unknown_observations += 1;
            }
        }
        self.gate = self.gate_now(rule);
    }

    /// The gate that follows from the state, the last observation and the settings.
    #[inline]
    fn gate_now(&self, rule: &impl Rule) -> Gate {
        let when_unknown = self.config.on_unknown_depth();
        let gate = |cut, until| Gate::new(cut, when_unknown, self.state, until);
        match self.observed {
            Some(Depth::Known(jobs)) => {
                gate(rule.cut(&self.config, self.state, jobs), self.depth_holds_until())
            }
            Some(Depth::Unknown) => gate(Cut::when_unknown(when_unknown), Nanos::MAX),
            None if self.is_unknown_stricter() => gate(Cut::when_unknown(when_unknown), Nanos::MAX),
            None => gate(Cut::of_state(self.state), self.depth_holds_until()),
        }
    }

    /// Whether `on_unknown_depth` admits fewer than the state by itself: then it rules before the first observation.
    #[inline]
    fn is_unknown_stricter(&self) -> bool {
        Cut::when_unknown(self.config.on_unknown_depth()) < Cut::of_state(self.state)
    }

    /// Why the gate turned a job away.
    fn reason(&self, rule: &impl Rule) -> Reason {
        let is_known = match self.observed {
            Some(depth) => depth.known().is_some(),
            None => !self.is_unknown_stricter(),
        };
        if !is_known || self.gate.is_stale(self.now) { Reason::DepthUnknown } else { rule.reason(self.state) }
    }

    /// The last moment at which the last observation may still be believed.
    #[inline]
    fn depth_holds_until(&self) -> Nanos {
        match self.config.depth_valid_for() {
            Some(span) => self.observed_at.plus(span),
            None => Nanos::MAX,
        }
    }

    /// The time from the last known depth down to `recovery`. A queue never seen counts as empty.
    #[inline]
    fn drain_time(&self) -> Nanos {
        let jobs = self.last_known_depth.unwrap_or(0).saturating_sub(self.config.recovery());
        self.drain.time_for(self.state, jobs)
    }

    #[inline]
    fn update_health(&mut self, jobs: u64, now: Nanos) {
        let health = if jobs >= self.config.critical() {
            Health::Critical
        } else if jobs >= self.config.warning() {
            Health::Warning
        } else {
            Health::Healthy
        };
        if health != self.health {
            self.events.push(Event::Health { from: self.health, to: health, depth: jobs, at: now });
            self.health = health;
        }
    }

    #[cold]
    fn move_to(&mut self, to: State, jobs: u64, now: Nanos) {
        self.events.push(Event::Transition { from: self.state, to, depth: jobs, at: now });
        self.counters.openings += u64::from(to == State::Open);
        self.enter(to, now);
    }

    fn enter(&mut self, state: State, now: Nanos) {
        self.state = state;
        self.since = now;
        if let Some(jobs) = self.last_known_depth {
            self.drain.restart(jobs, now);
        }
    }

    /// The present moment: `now`, unless that is earlier than one before it.
    #[inline]
    fn advance(&mut self, now: Nanos) -> Nanos {
        if now < self.now {
            self.clock_backwards += 1;
        } else {
            self.now = now;
        }
        self.now
    }
}

/// The depths between two neighbouring thresholds.
///
/// The circuit compares the depth with thresholds, and the rule says over which depths its cut stays the same, so all depths
/// between two such edges have the same effect. And the same
/// effect twice is the same as once: no state is left by the depth that entered it (recovery < warning <= reopen_at <=
/// critical). So after one complete observation, another depth of its stretch needs none of the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Calm {
    from: u64,
    /// How many depths; zero when there is no such stretch because no observation came last.
    len: u64,
}

impl Calm {
    const NOWHERE: Calm = Calm { from: 0, len: 0 };

    fn around(jobs: u64, config: &Config, rule: &impl Rule) -> Calm {
        // Where the answer to some comparison changes. `recovery` is the only threshold that still belongs below.
        let edges =
            [config.recovery() + 1, config.warning(), config.reopen_at(), config.critical(), u64::MAX];
        let (mut from, last) = rule.stretch(config, jobs);
        let mut to = last.saturating_add(1);
        for edge in edges {
            if edge <= jobs {
                from = from.max(edge);
            } else {
                to = to.min(edge);
            }
        }
        Calm { from, len: to - from }
    }

    #[inline]
    fn contains(self, jobs: u64) -> bool {
        jobs.wrapping_sub(self.from) < self.len
    }
}
