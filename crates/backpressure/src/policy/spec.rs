//! The policy called `spec`: each state of the circuit admits its own set of priorities.
//!
//! | state | admits |
//! |---|---|
//! | CLOSED | everything below the shedding depth; priorities 1 to 5 from it on |
//! | HALF_OPEN | priorities 1 to 5 |
//! | OPEN | priority 1 |

use crate::config::{Config, ConfigBuilder};
use crate::cut::Cut;
use crate::decision::Reason;
use crate::policy::Rule;
use crate::request::Request;
use crate::snapshot::Level;
use crate::state::State;

/// The rule of the specification, with its one setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    shed_at: u64,
    shed_at_ppm: u32,
}

impl Spec {
    pub(crate) fn of(settings: &ConfigBuilder) -> Spec {
        let shed_at_ppm = settings.shed_at_ppm_set();
        Spec { shed_at: fraction_rounded_up(settings.critical_set(), shed_at_ppm), shed_at_ppm }
    }

    /// The depth from which a CLOSED circuit admits priorities 1 to 5 only, in jobs: the smallest whole number not below
    /// the set fraction of `critical`. Default 40,000.
    #[must_use]
    pub const fn shed_at(&self) -> u64 {
        self.shed_at
    }

    /// That fraction of `critical`, in millionths, as it was set. Default 800,000.
    #[must_use]
    pub const fn shed_at_ppm(&self) -> u32 {
        self.shed_at_ppm
    }
}

impl Rule for Spec {
    #[inline]
    fn cut(&self, _config: &Config, state: State, depth: u64) -> Cut {
        match state {
            State::Closed if depth >= self.shed_at => Cut::of_state(State::HalfOpen),
            state => Cut::of_state(state),
        }
    }

    #[inline]
    fn stretch(&self, _config: &Config, depth: u64) -> (u64, u64) {
        if depth < self.shed_at { (0, self.shed_at - 1) } else { (self.shed_at, u64::MAX) }
    }

    fn admits_below(&self, config: &Config, state: State, request: &Request) -> u64 {
        if Cut::of_state(State::Open).admits(request) {
            return u64::MAX;
        }
        let may_pass_half_open = Cut::of_state(State::HalfOpen).admits(request);
        match state {
            State::Closed if may_pass_half_open => config.critical(),
            State::Closed => self.shed_at,
            State::HalfOpen if may_pass_half_open => config.reopen_at(),
            State::Open if may_pass_half_open => config.warning(),
            // A depth that closes the circuit, and is not to be shed once it is.
            State::HalfOpen | State::Open => (config.recovery() + 1).min(self.shed_at),
        }
    }

    fn sheds_at(&self, _config: &Config) -> u64 {
        self.shed_at
    }

    /// It never rests: the circuit takes the depth down to `recovery` again and again.
    fn rests_at(&self, config: &Config) -> u64 {
        config.recovery()
    }

    fn reason(&self, state: State) -> Reason {
        match state {
            State::Closed => Reason::Shed,
            State::HalfOpen => Reason::HalfOpen,
            State::Open => Reason::Open,
        }
    }

    fn level(&self) -> Option<Level> {
        Some(Level { name: "shed", depth: self.shed_at })
    }
}

/// The smallest whole number not below `critical` x `ppm` / 1,000,000.
fn fraction_rounded_up(critical: u64, ppm: u32) -> u64 {
    // With ppm at most a million the result is at most `critical`, so it fits.
    (u128::from(critical) * u128::from(ppm)).div_ceil(1_000_000) as u64
}
