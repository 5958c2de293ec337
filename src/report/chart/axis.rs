//! Axes: from values to places, with ticks at numbers that people like.

use crate::model::metric::Unit;
use crate::report::number::{self, Scale};

/// A range of values along one side of a plot.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    logarithmic: bool,
    /// Values that get a grid line, and what is written beside them.
    pub(super) ticks: Vec<(f64, String)>,
    /// What the numbers at the ticks count in.
    pub(super) unit: String,
}

impl Axis {
    /// Time from the start of the run, in seconds, minutes, hours or days.
    pub(super) fn time(horizon: f64) -> Self {
        let (divisor, unit, steps): (f64, _, &[f64]) = match horizon {
            h if h <= 1.0 => (1e-3, "ms", &[]),
            h if h <= 300.0 => (1.0, "s", &[1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0]),
            h if h <= 7_200.0 => (60.0, "min", &[0.5, 1.0, 2.0, 5.0, 10.0, 15.0]),
            h if h <= 172_800.0 => (3_600.0, "h", &[0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0]),
            _ => (86_400.0, "days", &[]),
        };
        let shown = horizon / divisor;
        let step = steps
            .iter()
            .copied()
            .find(|step| shown / step <= TIME_TICKS)
            .unwrap_or_else(|| decimal_step(shown, TIME_TICKS));
        let ticks = multiples(step, shown).map(|tick| (tick * divisor, number::trimmed(tick, 3))).collect();
        Self { low: 0.0, high: positive(horizon), logarithmic: false, ticks, unit: format!("time ({unit})") }
    }

    /// From zero to a little above `highest`.
    pub(super) fn linear(unit: Unit, highest: f64) -> Self {
        let high = positive(highest * HEADROOM);
        let Scale { divisor, suffix } = number::scale(unit, high);
        let shown = high / divisor;
        let step = decimal_step(shown, VALUE_TICKS);
        let write = |tick: f64| match unit {
            Unit::Jobs | Unit::Count | Unit::PerSecond => number::short_count(tick),
            _ => number::trimmed(tick, 6),
        };
        let ticks = multiples(step, shown).map(|tick| (tick * divisor, write(tick))).collect();
        let unit = match unit {
            Unit::Jobs => "jobs".to_owned(),
            Unit::Count => String::new(),
            Unit::PerSecond => "jobs/s".to_owned(),
            _ => suffix.trim().to_owned(),
        };
        Self { low: 0.0, high, logarithmic: false, ticks, unit }
    }

    /// From 0 % to 100 %.
    pub(super) fn share() -> Self {
        let ticks = [0.0, 0.25, 0.5, 0.75, 1.0].map(|share| (share, number::trimmed(share * 100.0, 0)));
        Self { low: 0.0, high: 1.0, logarithmic: false, ticks: ticks.to_vec(), unit: "%".to_owned() }
    }

    /// Seconds on a logarithmic scale over whole decades around `low..=high`, both positive.
    pub(super) fn logarithmic_seconds(low: f64, high: f64) -> Self {
        let (from, to) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        let to = to.max(from + 1);
        let ticks = (from..=to).map(|decade| {
            let seconds = 10f64.powi(decade);
            // A hair more, or 10^-3 would be read as less than a millisecond.
            let Scale { divisor, suffix } = match decade {
                ..-3 => Scale { divisor: 1e-6, suffix: " µs" },
                -3..0 => Scale { divisor: 1e-3, suffix: " ms" },
                _ => Scale { divisor: 1.0, suffix: " s" },
            };
            (seconds, format!("{}{suffix}", number::trimmed(seconds / divisor, 3)))
        });
        Self {
            low: 10f64.powi(from),
            high: 10f64.powi(to),
            logarithmic: true,
            ticks: ticks.collect(),
            unit: "log scale".to_owned(),
        }
    }

    /// Where a value is between the low (0) and the high end (1); values beyond are at the end.
    pub(super) fn position(&self, value: f64) -> f64 {
        let share = if self.logarithmic {
            (value.max(self.low) / self.low).ln() / (self.high / self.low).ln()
        } else {
            (value - self.low) / (self.high - self.low)
        };
        share.clamp(0.0, 1.0)
    }

    /// Whether a value is off the high end.
    pub(super) fn is_beyond(&self, value: f64) -> bool {
        value > self.high
    }
}

/// Where an axis ends that shows `values` and, of the `limits`, those that do not flatten the values: at most
/// four times as high. With nothing to show, the lowest limit gives the size.
pub(super) fn reach(values: impl IntoIterator<Item = f64>, limits: &[f64]) -> f64 {
    let highest = values.into_iter().filter(|value| value.is_finite()).fold(0.0, f64::max);
    if highest <= 0.0 {
        return limits.iter().copied().reduce(f64::min).unwrap_or(1.0);
    }
    limits.iter().copied().filter(|&limit| limit <= 4.0 * highest).fold(highest, f64::max)
}

fn positive(high: f64) -> f64 {
    if high.is_finite() && high > 0.0 { high } else { 1.0 }
}

fn multiples(step: f64, high: f64) -> impl Iterator<Item = f64> {
    let count = (high / step + 1e-9).floor() as u32;
    (0..=count).map(move |index| f64::from(index) * step)
}

/// The smallest of 1, 2, 5 times a power of ten that gives at most `most` steps.
pub(super) fn decimal_step(range: f64, most: f64) -> f64 {
    let raw = range / most;
    let power = 10f64.powf(raw.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= raw * 0.999_999)
        .unwrap_or(raw)
}

const TIME_TICKS: f64 = 10.0;
const VALUE_TICKS: f64 = 6.0;
const HEADROOM: f64 = 1.05;

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> String {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn ticks_are_numbers_that_people_like() {
        assert_eq!(labels(&Axis::time(300.0)), "0 30 60 90 120 150 180 210 240 270 300");
        assert_eq!(labels(&Axis::time(1_800.0)), "0 5 10 15 20 25 30");
        assert_eq!(Axis::time(1_800.0).unit, "time (min)");
        assert_eq!(labels(&Axis::time(0.5)), "0 50 100 150 200 250 300 350 400 450 500");
        assert_eq!(labels(&Axis::linear(Unit::Jobs, 52_000.0)), "0 10k 20k 30k 40k 50k");
        assert_eq!(labels(&Axis::linear(Unit::Bytes, 1.5 * number::GIB)), "0 0.5 1 1.5");
        assert_eq!(Axis::linear(Unit::Bytes, 1.5 * number::GIB).unit, "GiB");
        assert_eq!(labels(&Axis::logarithmic_seconds(0.002, 8.0)), "1 ms 10 ms 100 ms 1 s 10 s");
    }

    #[test]
    fn limits_far_above_the_data_do_not_flatten_it() {
        let reaches =
            [reach([100.0, 900.0], &[5_000.0, 2_000.0]), reach([0.0], &[5_000.0, 50_000.0]), reach([], &[])];
        assert_eq!(reaches.map(|reach| reach as u64), [2_000, 5_000, 1]);
    }
}
