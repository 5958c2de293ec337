//! What the policy answers, and everything a rejected job is told.

use core::fmt;

use crate::state::State;
use crate::time::Nanos;

/// The answer to "may this job come in?".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a decision that nobody looks at admits nothing and rejects nothing"]
pub enum Decision {
    /// Yes.
    Admit,
    /// No, for the reasons given.
    Reject(Rejection),
}

impl Decision {
    /// Whether the job may come in.
    #[inline]
    #[must_use]
    pub const fn is_admit(&self) -> bool {
        matches!(self, Decision::Admit)
    }

    /// The rejection, `None` when admitted.
    #[inline]
    #[must_use]
    pub const fn rejection(&self) -> Option<Rejection> {
        match self {
            Decision::Admit => None,
            Decision::Reject(rejection) => Some(*rejection),
        }
    }
}

/// Why a job was turned away, and what is to become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rejection {
    /// The rule that turned it away.
    pub reason: Reason,
    /// The state of the circuit at that moment.
    pub state: State,
    /// When to come back: the expected drain time to `recovery`, between `retry_after_min` and `retry_after_max`, plus up
    /// to half of it as deterministic jitter, so that the rejected do not return in one wave. See [`drain`](crate::drain).
    pub retry_after: Nanos,
    /// What the settings want done with jobs of this priority.
    pub disposition: Disposition,
}

macro_rules! reasons {
    ($($reason:ident $name:literal $title:literal $disposition:expr, $words:literal;)*) => {
        /// The rule that turned a job away.
        ///
        /// Consumers index counters with `reason as usize`, list [`Reason::ALL`], and print [`Reason::as_str`], [`Reason::title`]
        /// or [`Reason::words`]: a further reason needs no change of theirs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Reason {
            $(#[doc = $words] $reason,)*
        }

        impl Reason {
            /// All reasons, in the order in which counters list them.
            pub const ALL: &[Reason] = &[$(Reason::$reason,)*];
            /// How many there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The name: fit for a metric label.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Reason::$reason => $name,)* }
            }

            /// The reason in two or three words: fit for the head of a column.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Reason::$reason => $title,)* }
            }

            /// The reason in a sentence.
            #[must_use]
            pub const fn words(self) -> &'static str {
                match self { $(Reason::$reason => $words,)* }
            }

            /// What becomes of a job turned away for this reason; `None` where the settings for its priority decide.
            #[must_use]
            pub const fn disposition(self) -> Option<Disposition> {
                match self { $(Reason::$reason => $disposition,)* }
            }
        }
    };
}

reasons! {
    Open "open" "circuit open" None, "the circuit is open: only priority 1 is accepted";
    HalfOpen "half_open" "half-open" None, "the circuit is half open: only priorities 1 to 5 are accepted";
    Shed "shed" "shed" None, "the queue is at its shed level: only priorities 1 to 5 are accepted";
    DepthUnknown "depth_unknown" "depth unknown" None, "the depth of the queue is unknown";
    PriorityCut "priority_cut" "priority cut" None, "the priority is above the cut at this depth of the queue";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What is to become of a rejected job. Advice to the caller, chosen per priority by
/// [`ConfigBuilder::disposition`](crate::ConfigBuilder::disposition).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Disposition {
    /// Forget it: it is not worth sending again.
    Drop,
    /// Have the sender try again after `retry_after`.
    Retry,
    /// Keep it aside for replay: it must not be lost.
    DeadLetter,
}

impl Disposition {
    /// `"drop"`, `"retry"` or `"dead-letter"`, as written in settings.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Disposition::Drop => "drop",
            Disposition::Retry => "retry",
            Disposition::DeadLetter => "dead-letter",
        }
    }
}

impl fmt::Display for Disposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
