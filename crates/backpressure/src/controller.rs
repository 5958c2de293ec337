//! The policy called `spec`: a circuit over queue depth.
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
//! Observing moves the circuit and works out the rule for the time until the next observation, as a [`Gate`]; deciding
//! compares one number with that rule and counts. Nothing here reads a clock, allocates, locks, calls back or rounds.

use crate::config::Config;
use crate::decision::{Decision, Rejection};
use crate::drain::{self, DrainMeter};
use crate::event::{Event, EventQueue};
use crate::gate::Gate;
use crate::priority::Priority;
use crate::snapshot::{Counters, Snapshot};
use crate::state::{Depth, Health, OnUnknownDepth, State};
use crate::time::Nanos;

/// The circuit, with one owner. Share decisions among threads through [`Controller::gate`] and a
/// [`SharedGate`](crate::SharedGate).
///
/// **Order of calls.** `observe` the depth, without the job in question, then `decide`. How often to observe is the caller's
/// choice: at each arrival, or on a timer. Observe at least by [`poll_timeout`](Controller::poll_timeout) even when no job
/// arrives: a circuit that nobody shows an empty queue cannot close.
///
/// **Time** may stand still. A `now` earlier than one before it counts as that one, and is counted.
///
/// **Equal calls, equal answers.** Two controllers with equal settings and equal calls are equal, events and hints included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Controller {
    /// The rule until the next observation, as if enabled. A decision needs this, `now`, and a counter.
    rule: Gate,
    now: Nanos,
    state: State,
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
    config: Config,
    drain: DrainMeter,
    events: EventQueue,
    at_reset: Counters,
    reset_at: Nanos,
    resets: u64,
}

impl Controller {
    /// A CLOSED circuit that has observed nothing yet.
    #[must_use]
    pub fn new(config: Config, now: Nanos) -> Controller {
        Controller::starting_in(config, State::Closed, now)
    }

    /// A circuit that begins in `state`: after a restart, or for a simulation that begins in the middle of things.
    ///
    /// Until the first observation the stricter of two rules holds: that of `state`, and that of `on_unknown_depth`.
    /// Beginning in OPEN is no opening and leaves no event.
    #[must_use]
    pub fn starting_in(config: Config, state: State, now: Nanos) -> Controller {
        let mut controller = Controller {
            rule: Gate::ADMIT_ALL,
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
        controller.rule = controller.rule_now();
        controller
    }

    /// Takes in the depth at `now`: jobs waiting plus jobs in service, without the one about to be decided on.
    ///
    /// This alone moves the circuit. One observation may half-open and close it, which are two events at one moment.
    /// [`Depth::Unknown`] moves nothing; from then on `on_unknown_depth` decides, until the next known depth.
    #[inline]
    pub fn observe(&mut self, depth: Depth, now: Nanos) {
        let now = self.advance(now);
        self.observed_at = now;
        self.counters.observations += 1;
        match depth {
            Depth::Known(jobs) if self.calm.contains(jobs) && !self.drain.is_due(now) => {
                self.observed = Some(depth);
                self.last_known_depth = Some(jobs);
                self.rule = self.rule.holding_until(self.depth_holds_until());
            }
            _ => self.observe_change(depth, now),
        }
    }

    /// Decides about one job by the last observation, and counts it. Moves nothing.
    ///
    /// When disabled the answer is always [`Decision::Admit`], and what would have been rejected is counted apart.
    #[inline]
    pub fn decide(&mut self, priority: Priority, now: Nanos) -> Decision {
        let now = self.advance(now);
        if self.rule.admits(priority, now) {
            self.counters.admitted_by_priority[priority.index()] += 1;
            Decision::Admit
        } else {
            self.refuse(priority, now)
        }
    }

    /// The state of the circuit.
    #[inline]
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// The health of the queue by its last known depth; healthy before the first.
    #[inline]
    #[must_use]
    pub fn health(&self) -> Health {
        self.health
    }

    /// The settings in force.
    #[inline]
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The rule that [`decide`](Controller::decide) follows until the next observation, in one word: for other threads.
    /// Decisions made with it are not counted here.
    #[inline]
    #[must_use]
    pub fn gate(&self) -> Gate {
        if self.config.enabled() { self.rule } else { Gate::new(10, 10, self.state, Nanos::MAX) }
    }

    /// The depth from which a job of this priority is turned away in the present state: for a store that compares the depth
    /// and takes the job in one step, so that no other job can come in between.
    ///
    /// To admit exactly the depths below it is to [`observe`](Controller::observe) the depth and then
    /// [`decide`](Controller::decide). [`u64::MAX`] means at any depth.
    #[must_use]
    pub fn admits_below(&self, priority: Priority) -> u64 {
        if !self.config.enabled() || priority.get() <= URGENT {
            return u64::MAX;
        }
        let may_pass_half_open = priority.get() <= NOT_BATCH;
        match self.state {
            State::Closed if may_pass_half_open => self.config.critical(),
            State::Closed => self.config.shed_at(),
            State::HalfOpen if may_pass_half_open => self.config.reopen_at(),
            State::Open if may_pass_half_open => self.config.warning(),
            // A depth that closes the circuit, and is not to be shed once it is.
            State::HalfOpen | State::Open => (self.config.recovery() + 1).min(self.config.shed_at()),
        }
    }

    /// The retry-after hint that the next rejection carries, jitter included, for whoever turns a job away for a reason of
    /// its own. Each call gives another one; nothing is counted.
    pub fn next_retry_after(&mut self) -> Nanos {
        self.rejections += 1;
        drain::retry_after(
            self.drain_time(),
            self.config.retry_after_min(),
            self.config.retry_after_max(),
            self.config.jitter_seed(),
            self.rejections,
        )
    }

    /// The oldest event not polled yet. At most [`CAPACITY`](crate::event::CAPACITY) wait; then the oldest are lost and
    /// counted in [`Snapshot::events_dropped`].
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// When to observe next even if no job arrives: `observe_every` after the last observation, or at once before the
    /// first. Without this a circuit whose queue has drained would stay OPEN for as long as nobody dares to send.
    #[must_use]
    pub fn poll_timeout(&self) -> Nanos {
        match self.observed {
            Some(_) => self.observed_at.plus(self.config.observe_every()),
            None => self.observed_at,
        }
    }

    /// How things stand.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
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

    /// Closes the circuit by hand and begins the counters since reset anew; those since the start go on. Always takes
    /// effect at once, in any state, and leaves an [`Event::Reset`].
    ///
    /// The last depth stays known, so at a depth from the shedding depth on batch work stays out, and if the next observation
    /// is at `critical` or above the circuit opens again.
    pub fn reset(&mut self, now: Nanos) {
        let now = self.advance(now);
        self.events.push(Event::Reset { from: self.state, at: now });
        if self.state != State::Closed {
            self.enter(State::Closed, now);
        }
        self.at_reset = self.counters;
        self.reset_at = now;
        self.resets += 1;
        self.calm = Calm::NOWHERE;
        self.rule = self.rule_now();
    }

    /// Puts other settings in force. The state, the counters, the measured drain rates and the last observation stay; the
    /// rule, and the health by the last known depth, follow the new settings at once. The next observation moves the circuit
    /// by them. Handing in the settings already in force does nothing at all.
    pub fn reconfigure(&mut self, config: Config, now: Nanos) {
        if config == self.config {
            return;
        }
        let now = self.advance(now);
        self.config = config;
        if let Some(jobs) = self.last_known_depth {
            self.update_health(jobs, now);
        }
        self.calm = Calm::NOWHERE;
        self.rule = self.rule_now();
    }

    /// The whole of an observation: every rule about states and health is here.
    #[inline(never)]
    fn observe_change(&mut self, depth: Depth, now: Nanos) {
        self.observed = Some(depth);
        match depth {
            Depth::Known(jobs) => {
                self.last_known_depth = Some(jobs);
                self.calm = Calm::around(jobs, &self.config);
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
        self.rule = self.rule_now();
    }

    /// The rule that follows from the state, the last observation and the settings.
    #[inline]
    fn rule_now(&self) -> Gate {
        let by_state = match (self.state, self.observed) {
            (State::Closed, Some(Depth::Known(jobs))) if jobs >= self.config.shed_at() => NOT_BATCH,
            (State::Closed, _) => EVERYBODY,
            (State::HalfOpen, _) => NOT_BATCH,
            (State::Open, _) => URGENT,
        };
        let when_unknown = match self.config.on_unknown_depth() {
            OnUnknownDepth::Admit => EVERYBODY,
            OnUnknownDepth::UrgentOnly => URGENT,
            OnUnknownDepth::Reject => NOBODY,
        };
        match self.observed {
            Some(Depth::Known(_)) => Gate::new(by_state, when_unknown, self.state, self.depth_holds_until()),
            Some(Depth::Unknown) => Gate::depth_unknown(when_unknown, self.state),
            None if when_unknown < by_state => Gate::depth_unknown(when_unknown, self.state),
            None => Gate::new(by_state, when_unknown, self.state, self.depth_holds_until()),
        }
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

    /// Rejects a job that the rule does not admit, or, when disabled, admits it after all.
    fn refuse(&mut self, priority: Priority, now: Nanos) -> Decision {
        let Some(reason) = self.rule.refusal(priority, now).filter(|_| self.config.enabled()) else {
            self.counters.would_reject += 1;
            self.counters.admitted_by_priority[priority.index()] += 1;
            return Decision::Admit;
        };
        self.counters.rejected_by_priority[priority.index()] += 1;
        self.counters.rejected_by_reason[reason as usize] += 1;
        let retry_after = self.next_retry_after();
        let disposition = self.config.disposition(priority);
        Decision::Reject(Rejection { reason, state: self.state, retry_after, disposition })
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
/// Every rule compares the depth with a threshold, so all depths between two of them have the same effect. And the same
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

    fn around(jobs: u64, config: &Config) -> Calm {
        // Where the answer to some comparison changes. `recovery` is the only threshold that still belongs below.
        let after_recovery = config.recovery() + 1;
        let edges = [
            after_recovery,
            config.warning(),
            config.shed_at(),
            config.reopen_at(),
            config.critical(),
            u64::MAX,
        ];
        let mut from = 0;
        let mut to = u64::MAX;
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

// Cuts: the largest priority number admitted.
const NOBODY: u8 = 0;
const URGENT: u8 = Priority::MOST_URGENT.get();
const NOT_BATCH: u8 = Priority::DEFAULT.get();
const EVERYBODY: u8 = Priority::LEAST_URGENT.get();
