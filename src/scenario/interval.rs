//! How short an interval may be: a run must not consist of ticks alone, and what is kept for each tick must fit into memory.

use super::diagnostic::Code;
use super::log::Mistake;
use super::reader::Section;
use super::setting::shown;
use crate::engine::time::SimDuration;

/// Most ticks of one timer in a run.
pub(super) const MOST_TICKS: u64 = 100_000_000;
/// Most decisions, state changes or cycles in a run: each costs more than a tick.
pub(super) const MOST_TURNS: u64 = 1_000_000;

/// Complains if the interval `name`, as written, comes more than `most` times in `whole`, which messages call `what`.
pub(super) fn must_fit(
    section: &mut Section<'_>,
    name: &'static str,
    interval: SimDuration,
    (whole, what): (Option<SimDuration>, &str),
    most: u64,
) {
    let Some(whole) = whole else { return };
    if section.is_bad(name) || interval.0 == 0 || whole.0 / interval.0 <= most {
        return;
    }
    let count = whole.0 / interval.0;
    let message = format!(
        "{} is too short: it comes {count} times in {what}, {}, and at most {most} times are allowed",
        shown(interval),
        shown(whole)
    );
    let label = format!("at least \"{}\" here", least(whole, most));
    section.complain(name, Mistake::new(Code::OutOfRange, message, label));
}

/// The shortest interval allowed, rounded up to two digits so that it can be written.
fn least(whole: SimDuration, most: u64) -> String {
    let exact = whole.0.div_ceil(most).max(1);
    let mut unit = 1;
    while exact / unit >= 100 {
        unit *= 10;
    }
    shown(SimDuration(exact.div_ceil(unit) * unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_proposed_is_allowed() {
        for whole in [1, 999, 60_000_000_000, 12_345_678_901_234, 3_155_760_000_000_000_000] {
            for most in [200, MOST_TURNS, MOST_TICKS] {
                let shown = least(SimDuration(whole), most);
                let seconds = crate::units::Quantity::Duration.parse(&shown).expect("it can be written");
                let nanos = SimDuration::from_secs_f64(seconds).0;
                assert!(whole / nanos <= most, "{whole} {most} {shown}");
            }
        }
    }
}
