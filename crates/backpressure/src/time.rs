//! Time as the crate sees it: a count of nanoseconds that the caller hands in.
//!
//! The crate never reads a clock. Where zero lies is the caller's choice (process start, boot, start of a simulation);
//! only differences matter, and all arithmetic saturates.

use core::fmt;
use core::time::Duration;

/// A moment on the caller's monotonic clock, or a span between two, in nanoseconds.
///
/// `u64` nanoseconds last 584 years. Every operation saturates: the end of time is [`Nanos::MAX`], and a difference that
/// would be negative is zero.
///
/// ```
/// use backpressure::Nanos;
/// assert_eq!(Nanos::from_millis(1_500), Nanos(1_500_000_000));
/// assert_eq!(Nanos::from_millis(1_500).as_secs_ceil(), 2); // an HTTP Retry-After is in whole seconds
/// assert_eq!(Nanos(3).since(Nanos(5)), Nanos::ZERO);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

impl Nanos {
    /// No time at all.
    pub const ZERO: Nanos = Nanos(0);
    /// The last moment that can be told, and the longest span.
    pub const MAX: Nanos = Nanos(u64::MAX);

    /// A span of `seconds`.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Nanos {
        Nanos(seconds.saturating_mul(1_000_000_000))
    }

    /// A span of `milliseconds`.
    #[must_use]
    pub const fn from_millis(milliseconds: u64) -> Nanos {
        Nanos(milliseconds.saturating_mul(1_000_000))
    }

    /// A span of `microseconds`.
    #[must_use]
    pub const fn from_micros(microseconds: u64) -> Nanos {
        Nanos(microseconds.saturating_mul(1_000))
    }

    /// Whole milliseconds, rounded down.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0 / 1_000_000
    }

    /// Whole seconds, rounded up: what an HTTP `Retry-After` header wants, so that nobody comes back too early.
    #[must_use]
    pub const fn as_secs_ceil(self) -> u64 {
        self.0.div_ceil(1_000_000_000)
    }

    /// The span from `earlier` to `self`; zero when `earlier` is in fact later.
    #[must_use]
    pub const fn since(self, earlier: Nanos) -> Nanos {
        Nanos(self.0.saturating_sub(earlier.0))
    }

    /// The moment `span` after `self`.
    #[must_use]
    pub const fn plus(self, span: Nanos) -> Nanos {
        Nanos(self.0.saturating_add(span.0))
    }
}

impl From<Duration> for Nanos {
    /// Saturates at [`Nanos::MAX`], 584 years.
    fn from(duration: Duration) -> Nanos {
        Nanos(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl From<Nanos> for Duration {
    fn from(nanos: Nanos) -> Duration {
        Duration::from_nanos(nanos.0)
    }
}

impl fmt::Display for Nanos {
    /// As [`Duration`] prints itself: `1.5s`, `250ms`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&Duration::from_nanos(self.0), f)
    }
}
