//! What every admission policy answers, and the kinds there are.
//!
//! [`Policy`] is what callers use: observe, decide, ask how things stand. A *kind* of policy is a [`Rule`]: who may come in at
//! a depth. The circuit does for each of them what is the same for all: states, health, counters, events, time. To add
//! a kind: write its rule in a file of this folder, and name it in the one list below.
//!
//! Calls are dispatched statically: [`AnyPolicy`] is an enumeration, so a decision costs a predictable branch and no pointer.

pub mod graded;
pub mod spec;

use core::fmt;

use crate::circuit::Circuit;
use crate::config::{Config, ConfigBuilder};
use crate::cut::Cut;
use crate::decision::{Decision, Reason};
use crate::event::Event;
use crate::gate::Gate;
use crate::observation::Observation;
use crate::request::Request;
use crate::snapshot::{Level, Snapshot};
use crate::state::{Depth, State};
use crate::time::Nanos;

pub use graded::Graded;
pub use spec::Spec;

/// An admission policy: it observes the queue, it decides about jobs, and it says how things stand.
///
/// Every policy keeps these promises. Time comes in as an argument. [`observe`](Policy::observe) and
/// [`reset`](Policy::reset) alone move the state. A more urgent job is never treated worse than a less urgent one that is
/// otherwise equal. Equal calls give equal answers, events and hints included.
///
/// ```
/// use backpressure::{AnyPolicy, Config, Nanos, Policy, Priority};
///
/// fn admitted(policy: &mut impl Policy, depths: &[u64]) -> usize {
///     let admit = |&&depth: &&u64| {
///         policy.observe(depth, Nanos(0));
///         policy.decide(Priority::LEAST_URGENT, Nanos(0)).is_admit()
///     };
///     depths.iter().filter(admit).count()
/// }
///
/// let mut spec = AnyPolicy::new(Config::default(), Nanos(0));
/// assert_eq!(admitted(&mut spec, &[39_999, 40_000, 50_000, 9_999, 5_000]), 2);
/// ```
pub trait Policy {
    /// Takes in what is known of the queue at `now`, without the job that is about to be decided on.
    fn observe(&mut self, observation: impl Into<Observation>, now: Nanos);

    /// Decides about one job by the last observation, and counts it. Moves nothing.
    fn decide(&mut self, request: impl Into<Request>, now: Nanos) -> Decision;

    /// The state of the circuit.
    fn state(&self) -> State;

    /// The settings in force.
    fn config(&self) -> &Config;

    /// The rule that [`decide`](Policy::decide) follows until the next observation, in one word: for other threads.
    /// Decisions made with it are not counted here.
    fn gate(&self) -> Gate;

    /// The depth from which this job is turned away in the present state: for a store that compares the depth and takes the
    /// job in one step, so that no other job can come in between. [`u64::MAX`] means at any depth it is admitted.
    ///
    /// To admit exactly the depths below it is to [`observe`](Policy::observe) the depth and then
    /// [`decide`](Policy::decide).
    fn admits_below(&self, request: impl Into<Request>) -> u64;

    /// The retry-after hint that the next rejection carries, jitter included: for a caller that turns a job away for a
    /// reason of its own. Each call gives another one; nothing is counted.
    fn next_retry_after(&mut self) -> Nanos;

    /// When to observe next even if no job arrives. Without this, a circuit whose queue has drained stays OPEN for as long
    /// as nobody dares to send.
    fn poll_timeout(&self) -> Nanos;

    /// The oldest event not polled yet. At most [`CAPACITY`](crate::event::CAPACITY) wait; then the oldest are lost and
    /// counted in [`Snapshot::events_dropped`].
    fn poll_event(&mut self) -> Option<Event>;

    /// Closes the circuit by hand and begins the counters since reset anew.
    fn reset(&mut self, now: Nanos);

    /// How things stand.
    fn snapshot(&self) -> Snapshot;
}

/// A kind of policy: who may come in at a depth. Everything else is the circuit's.
///
/// A rule must give a more urgent priority at least what it gives a less urgent one, which a [`Cut`] does by itself, and must
/// be a function of its arguments alone.
pub trait Rule: Copy + Eq + fmt::Debug {
    /// Who may come in at a known depth in a state. The state has already followed the depth.
    fn cut(&self, config: &Config, state: State, depth: u64) -> Cut;

    /// The first and the last depth of a stretch around `depth` over which [`Rule::cut`] stays the same in each state.
    fn stretch(&self, config: &Config, depth: u64) -> (u64, u64);

    /// The smallest depth at which a request is turned away when the circuit is in `state` and observes that depth first;
    /// [`u64::MAX`] for never.
    fn admits_below(&self, config: &Config, state: State, request: &Request) -> u64;

    /// The smallest depth at which a CLOSED circuit turns anybody away.
    fn sheds_at(&self, config: &Config) -> u64;

    /// The largest depth at which an overload that does not end may come to rest: deep enough to turn away what is too much.
    fn rests_at(&self, config: &Config) -> u64;

    /// Why a job is turned away in a state, at a known depth.
    fn reason(&self, state: State) -> Reason;

    /// The level of this kind beside recovery, warning and critical, if it has one.
    fn level(&self) -> Option<Level> {
        None
    }
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $name:literal;)*) => {
        /// The kinds of policy by name, as settings choose among them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum KindName {
            $($(#[$doc])* $kind,)*
        }

        impl KindName {
            /// All kinds.
            pub const ALL: &[KindName] = &[$(KindName::$kind,)*];

            /// The name in settings.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(KindName::$kind => $name,)* }
            }
        }

        /// A kind with its own settings.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind {
            $($(#[$doc])* $kind($kind),)*
        }

        impl Kind {
            /// Which kind it is.
            #[must_use]
            pub const fn name(&self) -> KindName {
                match self { $(Kind::$kind(_) => KindName::$kind,)* }
            }

            /// The smallest depth at which a CLOSED circuit turns anybody away.
            pub(crate) fn sheds_at(&self, config: &Config) -> u64 {
                match self { $(Kind::$kind(rule) => rule.sheds_at(config),)* }
            }

            /// The largest depth at which an overload that does not end may come to rest.
            pub(crate) fn rests_at(&self, config: &Config) -> u64 {
                match self { $(Kind::$kind(rule) => rule.rests_at(config),)* }
            }

            /// The level of its own.
            pub(crate) fn level(&self) -> Option<Level> {
                match self { $(Kind::$kind(rule) => rule.level(),)* }
            }

            /// The kind that valid settings choose.
            pub(crate) fn of(settings: &ConfigBuilder) -> Kind {
                match settings.kind_name() { $(KindName::$kind => Kind::$kind($kind::of(settings)),)* }
            }
        }

        /// A policy of any kind, with one owner. Share its decisions among threads through [`Policy::gate`] and a
        /// [`SharedGate`](crate::SharedGate).
        ///
        /// **Order of calls.** `observe` the depth, without the job in question, then `decide`. How often to observe is the caller's
        /// choice: at each arrival, or on a timer. Observe at least by [`poll_timeout`](Policy::poll_timeout) even when no job
        /// arrives: a circuit that nobody shows an empty queue cannot close.
        ///
        /// **Time** may stand still. A `now` earlier than one before it counts as that one, and is counted.
        ///
        /// **Equal calls, equal answers.** Two policies with equal settings and equal calls are equal, events and hints included.
        #[derive(Clone, Debug, PartialEq, Eq)]
        // With a tag of its own, and the circuit first in every `Controller`, all kinds keep the circuit at the same place:
        // what does not ask the rule is the same code for all of them, and costs no branch.
        #[repr(u8)]
        pub enum AnyPolicy {
            $($(#[$doc])* $kind(Controller<$kind>),)*
        }

        impl AnyPolicy {
            /// A circuit that begins in `state`: after a restart, or for a simulation that begins in the middle of things.
            ///
            /// Until the first observation the stricter of two rules holds: that of `state`, and that of
            /// `on_unknown_depth`. Beginning in OPEN is no opening and leaves no event.
            #[must_use]
            pub fn starting_in(config: Config, state: State, now: Nanos) -> AnyPolicy {
                match config.kind() {
                    $(Kind::$kind(rule) => AnyPolicy::$kind(Controller::starting_in(config, rule, state, now)),)*
                }
            }

            /// Puts other settings in force, also of another kind. The state, the counters, the measured drain rates and
            /// the last observation stay; the rule, and the health by the last known depth, follow the new settings at
            /// once. The next observation moves the circuit by them. Settings already in force change nothing at all.
            pub fn reconfigure(&mut self, config: Config, now: Nanos) {
                if config == *self.config() {
                    return;
                }
                *self = match (self.clone(), config.kind()) {
                    $((AnyPolicy::$kind(old), kind) => old.reconfigured(config, kind, now),)*
                };
            }
        }

        impl<R: Rule> Controller<R> {
            fn reconfigured(self, config: Config, kind: Kind, now: Nanos) -> AnyPolicy {
                match kind {
                    $(Kind::$kind(rule) => AnyPolicy::$kind(self.with(config, rule, now)),)*
                }
            }
        }

        impl AnyPolicy {
            #[inline]
            fn circuit(&self) -> &Circuit {
                match self { $(AnyPolicy::$kind(policy) => &policy.circuit,)* }
            }

            #[inline]
            fn circuit_mut(&mut self) -> &mut Circuit {
                match self { $(AnyPolicy::$kind(policy) => &mut policy.circuit,)* }
            }

            #[inline]
            fn follow(&mut self, depth: Depth) {
                match self { $(AnyPolicy::$kind(policy) => policy.circuit.follow(depth, &policy.rule),)* }
            }

            // Out of line, so that what admits stays small enough to be inlined.
            #[inline(never)]
            fn refuse(&mut self, request: &Request) -> Decision {
                match self { $(AnyPolicy::$kind(policy) => policy.circuit.refuse(request, &policy.rule),)* }
            }

            fn limit_of(&self, request: &Request) -> u64 {
                match self {
                    $(AnyPolicy::$kind(policy) => {
                        policy.rule.admits_below(self.config(), self.state(), request)
                    })*
                }
            }

            fn close(&mut self, now: Nanos) {
                match self { $(AnyPolicy::$kind(policy) => policy.circuit.reset(&policy.rule, now),)* }
            }
        }
    };
}

kinds! {
    /// The circuit of the specification: three states, each with its own set of priorities.
    Spec "spec";
    /// A cut that moves with the depth: no on/off cycle.
    Graded "graded";
}

impl AnyPolicy {
    /// A CLOSED circuit that has observed nothing yet.
    #[must_use]
    pub fn new(config: Config, now: Nanos) -> AnyPolicy {
        AnyPolicy::starting_in(config, State::Closed, now)
    }
}

impl Policy for AnyPolicy {
    #[inline]
    fn observe(&mut self, observation: impl Into<Observation>, now: Nanos) {
        let depth = observation.into().depth;
        if self.circuit_mut().observe(depth, now) {
            self.follow(depth);
        }
    }

    #[inline]
    fn decide(&mut self, request: impl Into<Request>, now: Nanos) -> Decision {
        let request = request.into();
        match self.circuit_mut().admit(&request, now) {
            Some(admitted) => admitted,
            None => self.refuse(&request),
        }
    }

    #[inline]
    fn state(&self) -> State {
        self.circuit().state
    }

    #[inline]
    fn config(&self) -> &Config {
        &self.circuit().config
    }

    #[inline]
    fn gate(&self) -> Gate {
        self.circuit().gate()
    }

    fn admits_below(&self, request: impl Into<Request>) -> u64 {
        if self.config().enabled() { self.limit_of(&request.into()) } else { u64::MAX }
    }

    fn next_retry_after(&mut self) -> Nanos {
        self.circuit_mut().next_retry_after()
    }

    fn poll_timeout(&self) -> Nanos {
        self.circuit().poll_timeout()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.circuit_mut().poll_event()
    }

    fn reset(&mut self, now: Nanos) {
        self.close(now);
    }

    fn snapshot(&self) -> Snapshot {
        self.circuit().snapshot()
    }
}

/// A circuit with the rule of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Controller<R> {
    circuit: Circuit,
    rule: R,
}

impl<R: Rule> Controller<R> {
    fn starting_in(config: Config, rule: R, state: State, now: Nanos) -> Controller<R> {
        Controller { circuit: Circuit::starting_in(config, &rule, state, now), rule }
    }

    /// The same circuit with other settings and the rule that they choose.
    fn with<Q: Rule>(mut self, config: Config, rule: Q, now: Nanos) -> Controller<Q> {
        self.circuit.reconfigure(config, &rule, now);
        Controller { circuit: self.circuit, rule }
    }
}

impl fmt::Display for KindName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
