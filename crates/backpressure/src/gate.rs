//! The decision rule of one moment, packed into one word.
//!
//! All that a policy ever answers is "ranks below this cut may come in" ([`Cut`]). A [`Gate`] holds the cut, the cut for when
//! the observation has grown too old, and until when the first one holds. One owner observes and publishes gates through a
//! [`SharedGate`]; any thread decides by one load and one comparison.
//!
//! A gate counts nothing, knows no reason and calculates no retry-after hint: it is for callers who need the yes or no alone.

#[cfg(all(target_has_atomic = "64", not(loom)))]
use core::sync::atomic::{AtomicU64, Ordering};
#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering};

use core::fmt;

use crate::cut::Cut;
use crate::request::Request;
use crate::state::{OnUnknownDepth, State};
use crate::time::Nanos;

/// The decision rule of one moment in one word, to copy anywhere.
///
/// ```text
///   63                                 18   17..16   15..14   13........0
///  +-------------------------------------+--------+--------+-----------+
///  | cut holds until, in 262.144 us steps |  state | stale  |    cut    |
///  +-------------------------------------+--------+--------+-----------+
/// ```
///
/// ```
/// use backpressure::{AnyPolicy, Config, Nanos, Policy, Priority};
/// let mut policy = AnyPolicy::new(Config::default(), Nanos(0));
/// policy.observe(45_000, Nanos(0));
/// let gate = policy.gate();
/// assert!(gate.admits(Priority::DEFAULT, Nanos(1)));
/// assert!(!gate.admits(Priority::LEAST_URGENT, Nanos(1)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Gate(u64);

impl Gate {
    /// Admits everybody for ever: the rule of a circuit that is CLOSED and has nothing to fear.
    pub const ADMIT_ALL: Gate = Gate::new(Cut::EVERYBODY, OnUnknownDepth::Admit, State::Closed, Nanos::MAX);

    /// A gate that admits by `cut` through `holds_until`, and as with an unknown depth after it.
    ///
    /// `holds_until` is rounded up by less than 262.144 us, and [`Nanos::MAX`] means for ever.
    #[inline]
    #[must_use]
    pub const fn new(cut: Cut, when_stale: OnUnknownDepth, state: State, holds_until: Nanos) -> Gate {
        Gate(
            holds_until.0 & TIME_MASK
                | (state.code() as u64) << STATE_SHIFT
                | (when_stale as u64) << STALE_SHIFT
                | cut.parts() as u64,
        )
    }

    /// Whether this job may come in at `now`.
    #[inline]
    #[must_use]
    pub fn admits(self, request: impl Into<Request>, now: Nanos) -> bool {
        self.cut_at(now).admits(&request.into())
    }

    /// The cut at `now`.
    #[inline]
    #[must_use]
    pub const fn cut_at(self, now: Nanos) -> Cut {
        if self.is_stale(now) {
            Cut::when_unknown(self.when_stale())
        } else {
            Cut::from_bits((self.0 & CUT_MASK) as u16)
        }
    }

    /// Whether the observation behind this gate is too old at `now`, so that it admits as with an unknown depth.
    #[inline]
    #[must_use]
    pub const fn is_stale(self, now: Nanos) -> bool {
        now.0 > self.holds_until().0
    }

    /// The last moment at which the first cut rules; [`Nanos::MAX`] when it rules for ever.
    #[inline]
    #[must_use]
    pub const fn holds_until(self) -> Nanos {
        // Setting the bits below the time gives the last nanosecond of its step, and of the last step the end of time.
        Nanos(self.0 | !TIME_MASK)
    }

    /// The same gate, with the first cut ruling through `holds_until`.
    #[inline]
    #[must_use]
    pub(crate) const fn holding_until(self, holds_until: Nanos) -> Gate {
        Gate(self.0 & !TIME_MASK | holds_until.0 & TIME_MASK)
    }

    /// The state of the circuit when this gate was made.
    #[inline]
    #[must_use]
    pub const fn state(self) -> State {
        match (self.0 >> STATE_SHIFT) & TWO_BITS {
            0 => State::Closed,
            1 => State::HalfOpen,
            _ => State::Open,
        }
    }

    /// The word itself, to be sent through memory that other processes share.
    #[inline]
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The gate in a word made by [`Gate::to_bits`]. Any other word is a gate as well, if not a sensible one.
    #[inline]
    #[must_use]
    pub const fn from_bits(bits: u64) -> Gate {
        Gate(bits)
    }

    #[inline]
    const fn when_stale(self) -> OnUnknownDepth {
        match (self.0 >> STALE_SHIFT) & TWO_BITS {
            0 => OnUnknownDepth::Admit,
            1 => OnUnknownDepth::UrgentOnly,
            _ => OnUnknownDepth::Reject,
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("cut", &self.cut_at(Nanos::ZERO))
            .field("when_stale", &self.when_stale())
            .field("state", &self.state())
            .field("holds_until", &self.holds_until())
            .finish()
    }
}

/// The gate that one owner publishes and every thread reads; alone in its cache lines, so that reading it costs nothing
/// while it does not change.
///
/// Readers see the last published gate, or for a moment the one before. Each gate is complete in itself, so there is no
/// order to keep with other memory.
#[cfg(target_has_atomic = "64")]
#[derive(Debug)]
#[repr(align(128))] // 64 bytes is a line on x86, but lines are fetched in pairs; on many 64-bit Arm a line has 128
pub struct SharedGate(AtomicU64);

#[cfg(target_has_atomic = "64")]
impl SharedGate {
    /// Shares `gate`.
    #[cfg(not(loom))]
    #[must_use]
    pub const fn new(gate: Gate) -> SharedGate {
        SharedGate(AtomicU64::new(gate.to_bits()))
    }

    /// Shares `gate`, under the model checker.
    #[cfg(loom)]
    #[must_use]
    pub fn new(gate: Gate) -> SharedGate {
        SharedGate(AtomicU64::new(gate.to_bits()))
    }

    /// Replaces the gate. To be called by one owner, after each observation.
    #[inline]
    pub fn publish(&self, gate: Gate) {
        // A store makes every reader fetch the line again, and most observations change nothing.
        if self.load() != gate {
            self.0.store(gate.to_bits(), Ordering::Relaxed);
        }
    }

    /// The gate as last published.
    #[inline]
    #[must_use]
    pub fn load(&self) -> Gate {
        Gate::from_bits(self.0.load(Ordering::Relaxed))
    }

    /// Whether this job may come in at `now`.
    #[inline]
    #[must_use]
    pub fn admits(&self, request: impl Into<Request>, now: Nanos) -> bool {
        self.load().admits(request, now)
    }
}

#[cfg(target_has_atomic = "64")]
impl Default for SharedGate {
    /// Admits everybody until a gate is published.
    fn default() -> SharedGate {
        SharedGate::new(Gate::ADMIT_ALL)
    }
}

const CUT_MASK: u64 = (1 << STALE_SHIFT) - 1;
const STALE_SHIFT: u32 = 14;
const STATE_SHIFT: u32 = 16;
const TWO_BITS: u64 = 0b11;
const TIME_MASK: u64 = !0 << 18;

const _: () = assert!(Cut::EVERYBODY.parts() as u64 <= CUT_MASK, "every cut fits into its bits");
