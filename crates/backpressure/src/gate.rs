//! The decision rule of one moment, packed into one word.
//!
//! All the policy ever answers is "priorities up to this number may come in", so a rule is a *cut*: 0 lets nobody in, 1
//! the most urgent, 10 everybody. A cut can not treat a more urgent job worse than a less urgent one, whatever its value.
//! A [`Gate`] holds the cut, the cut for when the observation has grown too old, and until when the first one holds.
//! One owner observes and publishes gates through a [`SharedGate`]; any thread decides by one load and one comparison.
//!
//! A gate counts nothing and calculates no retry-after hint: it is for callers who need the yes or no alone.

#[cfg(all(target_has_atomic = "64", not(loom)))]
use core::sync::atomic::{AtomicU64, Ordering};
#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering};

use core::fmt;

use crate::decision::Reason;
use crate::priority::Priority;
use crate::state::State;
use crate::time::Nanos;

/// The decision rule of one moment in one word, to copy anywhere.
///
/// ```text
///   63                                  11   10      9..8     7..4        3..0
///  +--------------------------------------+---------+-------+-----------+-----+
///  | cut holds until, in 2.048 us steps    | unknown | state | stale cut | cut |
///  +--------------------------------------+---------+-------+-----------+-----+
/// ```
///
/// ```
/// use backpressure::{Config, Controller, Depth, Nanos, Priority};
/// let mut controller = Controller::new(Config::default(), Nanos(0));
/// controller.observe(Depth::Known(45_000), Nanos(0));
/// let gate = controller.gate();
/// assert!(gate.admits(Priority::DEFAULT, Nanos(1)));
/// assert!(!gate.admits(Priority::LEAST_URGENT, Nanos(1)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Gate(u64);

impl Gate {
    /// Admits everybody for ever: the rule of a circuit that is CLOSED and has nothing to fear.
    pub const ADMIT_ALL: Gate = Gate::new(10, 10, State::Closed, Nanos::MAX);

    /// A gate that admits priorities up to `cut` through `holds_until`, and priorities up to `stale_cut` after it.
    ///
    /// A cut of 0 admits nobody; a cut above 10 counts as 10. `holds_until` is rounded up by less than 2.048 us, and
    /// [`Nanos::MAX`] means for ever.
    #[inline]
    #[must_use]
    pub const fn new(cut: u8, stale_cut: u8, state: State, holds_until: Nanos) -> Gate {
        Gate::pack(cut, stale_cut, state, holds_until, false)
    }

    /// As [`Gate::new`], for a moment at which the depth is unknown: every refusal has the reason
    /// [`Reason::DepthUnknown`].
    #[inline]
    #[must_use]
    pub const fn depth_unknown(cut: u8, state: State) -> Gate {
        Gate::pack(cut, cut, state, Nanos::MAX, true)
    }

    /// Whether a job of this priority may come in at `now`.
    #[inline]
    #[must_use]
    pub const fn admits(self, priority: Priority, now: Nanos) -> bool {
        priority.get() <= self.cut_at(now)
    }

    /// Why a job of this priority may not come in at `now`; `None` when it may.
    #[inline]
    #[must_use]
    pub const fn refusal(self, priority: Priority, now: Nanos) -> Option<Reason> {
        if self.admits(priority, now) {
            return None;
        }
        Some(if self.0 & UNKNOWN != 0 || self.is_stale(now) {
            Reason::DepthUnknown
        } else {
            match self.state() {
                State::Closed => Reason::Shed,
                State::HalfOpen => Reason::HalfOpen,
                State::Open => Reason::Open,
            }
        })
    }

    /// The largest priority number admitted at `now`: 0 nobody, 1 the most urgent, 10 everybody.
    #[inline]
    #[must_use]
    pub const fn cut_at(self, now: Nanos) -> u8 {
        let shift = if self.is_stale(now) { STALE_CUT_SHIFT } else { CUT_SHIFT };
        ((self.0 >> shift) & CUT_MASK) as u8
    }

    /// Whether the observation behind this gate is too old at `now`, so that the stale cut rules.
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
        match (self.0 >> STATE_SHIFT) & STATE_MASK {
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
    const fn pack(cut: u8, stale_cut: u8, state: State, holds_until: Nanos, unknown: bool) -> Gate {
        Gate(
            holds_until.0 & TIME_MASK
                | (unknown as u64) << UNKNOWN_SHIFT
                | (state.code() as u64) << STATE_SHIFT
                | at_most_ten(stale_cut) << STALE_CUT_SHIFT
                | at_most_ten(cut) << CUT_SHIFT,
        )
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("cut", &(self.0 >> CUT_SHIFT & CUT_MASK))
            .field("stale_cut", &(self.0 >> STALE_CUT_SHIFT & CUT_MASK))
            .field("state", &self.state())
            .field("depth_unknown", &(self.0 & UNKNOWN != 0))
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

    /// Whether a job of this priority may come in at `now`.
    #[inline]
    #[must_use]
    pub fn admits(&self, priority: Priority, now: Nanos) -> bool {
        self.load().admits(priority, now)
    }
}

#[cfg(target_has_atomic = "64")]
impl Default for SharedGate {
    /// Admits everybody until a gate is published.
    fn default() -> SharedGate {
        SharedGate::new(Gate::ADMIT_ALL)
    }
}

const fn at_most_ten(cut: u8) -> u64 {
    if cut > 10 { 10 } else { cut as u64 }
}

const CUT_SHIFT: u32 = 0;
const STALE_CUT_SHIFT: u32 = 4;
const CUT_MASK: u64 = 0xf;
const STATE_SHIFT: u32 = 8;
const STATE_MASK: u64 = 0b11;
const UNKNOWN_SHIFT: u32 = 10;
const UNKNOWN: u64 = 1 << UNKNOWN_SHIFT;
const TIME_MASK: u64 = !0 << 11;
