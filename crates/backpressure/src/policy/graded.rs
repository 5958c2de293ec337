//! The policy called `graded`: the cut moves linearly with the depth, from everybody at `recovery` to priority 1 alone at
//! `critical`.
//!
//! ```text
//!  cut
//!   10 |------------+                          x = (depth - recovery) / (critical - recovery), within 0..=1
//!      |             \                         cut = 10 - 9 x
//!      |               \
//!    1 |                 +-----------
//!      +------------+----+----------- depth
//!             recovery  critical
//! ```
//!
//! A whole class below the cut is admitted, a whole class above it is not. The class that the cut passes through is thinned
//! by a hash of the job's id, so that the same job gets the same answer at the same depth, whoever asks.
//!
//! The depth settles where the admitted load is what the workers do, instead of swinging between `warning` and `critical`:
//! a relay with hysteresis oscillates under a sustained overload, a proportional cut does not. States and health are those
//! of the circuit and only report.
//!
//! The cut is counted in parts of a class, [`PARTS`] to a class, all in integers.

use crate::config::{Config, ConfigBuilder};
use crate::cut::{Cut, PARTS};
use crate::decision::Reason;
use crate::policy::Rule;
use crate::request::Request;
use crate::state::State;

/// The rule of the graded cut. It has no settings beside those of the circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Graded;

impl Graded {
    pub(crate) fn of(_settings: &ConfigBuilder) -> Graded {
        Graded
    }
}

impl Rule for Graded {
    #[inline]
    fn cut(&self, config: &Config, _state: State, depth: u64) -> Cut {
        Cut::of_parts(Cut::EVERYBODY.parts() - steps(config, depth))
    }

    #[inline]
    fn stretch(&self, config: &Config, depth: u64) -> (u64, u64) {
        let steps = steps(config, depth);
        let first = if steps == 0 { 0 } else { depth_of_step(config, steps) };
        let last = if steps == STEPS { u64::MAX } else { depth_of_step(config, steps + 1) - 1 };
        (first, last)
    }

    fn admits_below(&self, config: &Config, _state: State, request: &Request) -> u64 {
        let rank = Cut::rank(request);
        // Turned away as soon as the cut is not above the rank.
        let steps = Cut::EVERYBODY.parts() - rank;
        if steps > STEPS { u64::MAX } else { depth_of_step(config, steps) }
    }

    fn sheds_at(&self, config: &Config) -> u64 {
        depth_of_step(config, 1)
    }

    /// Where the cut admits what the workers do; how deep that is depends on the load.
    fn rests_at(&self, config: &Config) -> u64 {
        config.critical()
    }

    fn reason(&self, _state: State) -> Reason {
        Reason::PriorityCut
    }
}

/// How many parts of a class are cut off at a depth: 9 classes x (depth - recovery) / (critical - recovery), rounded down.
#[inline]
fn steps(config: &Config, depth: u64) -> u16 {
    if depth >= config.critical() {
        return STEPS;
    }
    let (above, span) = (depth.saturating_sub(config.recovery()), config.critical() - config.recovery());
    let steps = match above.checked_mul(u64::from(STEPS)) {
        Some(scaled) => scaled / span,
        None => (u128::from(above) * u128::from(STEPS) / u128::from(span)) as u64,
    };
    steps as u16
}

/// The smallest depth at which so many parts are cut off.
fn depth_of_step(config: &Config, steps: u16) -> u64 {
    let span = config.critical() - config.recovery();
    // At most `span`, as there are no more steps than `STEPS`.
    let above = (u128::from(steps) * u128::from(span)).div_ceil(u128::from(STEPS)) as u64;
    config.recovery() + above
}

/// From everybody to priority 1 alone.
const STEPS: u16 = 9 * PARTS;
