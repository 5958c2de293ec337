//! Axes: map values to positions, with ticks at round numbers.

use super::number::{self, Scale};
use crate::model::metric::Unit;

/// A range of values along one side of a plot.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    low: f64,
    high: f64,
    spacing: Spacing,
    /// Values with a grid line, and their labels.
    pub(crate) ticks: Vec<(f64, String)>,
    /// Unit of the tick labels.
    pub(crate) unit: String,
    /// Size of the shown unit in the unit of the data.
    divisor: f64,
    /// The unit after a single value, with a leading space where one belongs.
    suffix: String,
}

/// How values map to positions.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Spacing {
    Linear,
    /// For positive values.
    Logarithmic,
    /// Linear from zero to the given value, logarithmic above it.
    LogarithmicFromZero(f64),
    /// Linear around zero and logarithmic on both sides of it.
    SignedLogarithmic,
}

impl Axis {
    /// Time from the start of the run, in seconds, minutes, hours or days, with at most `most_ticks` steps.
    pub(crate) fn time(horizon: f64, most_ticks: f64) -> Self {
        let (divisor, unit, steps): (f64, _, &[f64]) = match horizon {
            h if h <= 1.0 => (1e-3, "ms", &[]),
            h if h <= 300.0 => (1.0, "s", &[1.0, 2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 60.0]),
            h if h <= 7_200.0 => (60.0, "min", &[0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0]),
            h if h <= 172_800.0 => (3_600.0, "h", &[0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 12.0]),
            _ => (86_400.0, "days", &[]),
        };
        let shown = horizon / divisor;
        let step = steps
            .iter()
            .copied()
            .find(|step| shown / step <= most_ticks)
            .unwrap_or_else(|| decimal_step(shown, most_ticks));
        let ticks = multiples(step, shown).map(|tick| (tick * divisor, number::trimmed(tick, 3))).collect();
        Self {
            low: 0.0,
            high: positive(horizon),
            spacing: Spacing::Linear,
            ticks,
            unit: format!("time ({unit})"),
            divisor,
            suffix: format!(" {unit}"),
        }
    }

    /// From zero to slightly above `highest`.
    pub(crate) fn linear(unit: Unit, highest: f64) -> Self {
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
        let suffix = if unit.is_empty() { String::new() } else { format!(" {unit}") };
        Self { low: 0.0, high, spacing: Spacing::Linear, ticks, unit, divisor, suffix }
    }

    /// From slightly below `low` to slightly above `high`, or from zero if `low` is close to it.
    pub(crate) fn around(unit: Unit, low: f64, high: f64) -> Self {
        if low < high * NEAR_ZERO || high - low < high * 0.02 {
            return Self::linear(unit, high);
        }
        let margin = ((high - low) * 0.08).max(high * 0.01);
        let (low, high) = (low - margin, high + margin);
        let Scale { divisor, .. } = number::scale(unit, high);
        let step = decimal_step((high - low) / divisor, VALUE_TICKS);
        let all = Self::linear(unit, high);
        let first = (low / divisor / step).ceil();
        let write = |tick: f64| match unit {
            Unit::Jobs | Unit::Count | Unit::PerSecond => number::short_count(tick),
            _ => number::trimmed(tick, 6),
        };
        let ticks = multiples(step, high / divisor - first * step)
            .map(|tick| ((tick + first * step) * divisor, write(tick + first * step)));
        Self { low, high, ticks: ticks.collect(), ..all }
    }

    /// Equally spaced positions from 0, with a label at every `every`th.
    pub(crate) fn places(labels: &[String], every: usize, unit: String) -> Self {
        let ticks =
            labels.iter().enumerate().step_by(every).map(|(place, label)| (place as f64, label.clone()));
        Self {
            low: -0.5,
            high: labels.len() as f64 - 0.5,
            spacing: Spacing::Linear,
            ticks: ticks.collect(),
            unit,
            divisor: 1.0,
            suffix: String::new(),
        }
    }

    /// From 0 % to 100 %.
    pub(crate) fn share() -> Self {
        let ticks = [0.0, 0.25, 0.5, 0.75, 1.0].map(|share| (share, number::trimmed(share * 100.0, 0)));
        Self {
            low: 0.0,
            high: 1.0,
            spacing: Spacing::Linear,
            ticks: ticks.to_vec(),
            unit: "%".to_owned(),
            divisor: 0.01,
            suffix: " %".to_owned(),
        }
    }

    /// Seconds on a logarithmic scale over whole decades around `low..=high`, both positive.
    pub(crate) fn logarithmic_seconds(low: f64, high: f64) -> Self {
        let (from, to) = (low.log10().floor() as i32, high.log10().ceil() as i32);
        let to = to.max(from + 1);
        let ticks = (from..=to).map(|decade| {
            let seconds = 10f64.powi(decade);
            // By decade, not by value: rounding could put 10^-3 s below a millisecond.
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
            spacing: Spacing::Logarithmic,
            ticks: ticks.collect(),
            unit: "log scale".to_owned(),
            divisor: 1.0,
            suffix: " s".to_owned(),
        }
    }

    /// The same with zero at its lower end: up to the lowest decade the scale is linear, so that a wait of zero stands at
    /// zero, and a short one between.
    pub(crate) fn logarithmic_seconds_from_zero(low: f64, high: f64) -> Self {
        let above = Self::logarithmic_seconds(low, high);
        let mut ticks = vec![(0.0, "0".to_owned())];
        ticks.extend(above.ticks);
        let unit = format!("log scale above {}", ticks[1].1);
        Self { low: 0.0, spacing: Spacing::LogarithmicFromZero(above.low), ticks, unit, ..above }
    }

    /// Relative differences that cover `low..=high` and zero; logarithmic on both sides if the range is wide.
    pub(crate) fn relative(low: f64, high: f64) -> Self {
        let (low, high) = (low.min(0.0), high.max(0.0));
        let room = positive(high - low) * 0.04;
        if high.max(-low) <= SIGNED_LINEAR_REACH {
            let (low, high) = (low - room, high + room);
            let step = decimal_step((high - low) * 100.0, RELATIVE_TICKS);
            let (first, last) = ((low * 100.0 / step).ceil() as i32, (high * 100.0 / step).floor() as i32);
            let tick = |index: i32| {
                let percent = f64::from(index) * step;
                (percent / 100.0, number::signed(percent, &number::trimmed(percent.abs(), 3)))
            };
            let ticks = (first..=last).map(tick).collect();
            let (divisor, suffix) = (0.01, " %".to_owned());
            return Self {
                low,
                high,
                spacing: Spacing::Linear,
                ticks,
                unit: "%".to_owned(),
                divisor,
                suffix,
            };
        }
        // Ticks at whole decades; -100 % means that nothing is left.
        let low = if low < 0.0 { low * 1.15 } else { -SIGNED_LINEAR };
        let high = (high * 1.15).clamp(SIGNED_LINEAR, MOST_RELATIVE);
        let decades = [0.1, 1.0, 10.0, 100.0];
        let all = decades.iter().rev().map(|share| -share).chain([0.0]).chain(decades);
        let ticks = all.filter(|share| (low..=high).contains(share)).map(|share| {
            let percent = share * 100.0;
            (share, number::signed(percent, &number::short_count(percent.abs())))
        });
        let unit = "%, logarithmic beyond 10 %".to_owned();
        let (divisor, suffix) = (0.01, " %".to_owned());
        Self { low, high, spacing: Spacing::SignedLogarithmic, ticks: ticks.collect(), unit, divisor, suffix }
    }

    /// Drops every second tick, for a small plot.
    pub(crate) fn thin(&mut self) {
        let mut index = 0;
        self.ticks.retain(|_| {
            index += 1;
            index % 2 == 1
        });
    }

    /// The lowest and the highest value.
    pub(crate) fn range(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// Size of the shown unit in the unit of the data.
    pub(crate) fn divisor(&self) -> f64 {
        self.divisor
    }

    /// The unit after a single value, with a leading space where one belongs.
    pub(crate) fn suffix(&self) -> &str {
        &self.suffix
    }

    /// How values map to positions, for the script of a page.
    pub(crate) fn spacing(&self) -> &'static str {
        match self.spacing {
            Spacing::Linear | Spacing::SignedLogarithmic => "linear",
            Spacing::Logarithmic => "log",
            Spacing::LogarithmicFromZero(_) => "zero-log",
        }
    }

    /// Where the scale stops to be linear from zero on.
    pub(crate) fn linear_to(&self) -> f64 {
        if let Spacing::LogarithmicFromZero(linear) = self.spacing { linear } else { 0.0 }
    }

    /// Position of a value between the low (0) and the high end (1); values outside are clamped.
    pub(crate) fn position(&self, value: f64) -> f64 {
        let between =
            |at: fn(f64) -> f64, value: f64| (at(value) - at(self.low)) / (at(self.high) - at(self.low));
        let share = match self.spacing {
            Spacing::Linear => between(|value| value, value),
            Spacing::Logarithmic => between(f64::ln, value.max(self.low)),
            Spacing::SignedLogarithmic => between(|value| (value / SIGNED_LINEAR).asinh(), value),
            Spacing::LogarithmicFromZero(linear) if value <= linear => ZERO_SHARE * value / linear,
            Spacing::LogarithmicFromZero(linear) => {
                ZERO_SHARE + (1.0 - ZERO_SHARE) * (value / linear).ln() / (self.high / linear).ln()
            }
        };
        share.clamp(0.0, 1.0)
    }

    /// Whether a value is beyond the high end.
    pub(crate) fn is_beyond(&self, value: f64) -> bool {
        value > self.high
    }
}

/// Upper end of an axis that shows `values` and those `limits` that do not flatten them: limits at most
/// four times the highest value. Without values, the lowest limit.
pub(crate) fn reach(values: impl IntoIterator<Item = f64>, limits: &[f64]) -> f64 {
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
pub(crate) fn decimal_step(range: f64, most: f64) -> f64 {
    let raw = range / most;
    let power = 10f64.powf(raw.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= raw * 0.999_999)
        .unwrap_or(raw)
}

/// Up to this size relative differences are shown on a linear scale.
const SIGNED_LINEAR_REACH: f64 = 0.6;
/// Up to about this size a signed logarithmic scale is linear.
const SIGNED_LINEAR: f64 = 0.1;
/// The largest relative difference that an axis reaches.
const MOST_RELATIVE: f64 = 100.0;
const RELATIVE_TICKS: f64 = 10.0;
/// Share of a logarithmic axis from zero that is linear. The script of a page has the same number.
const ZERO_SHARE: f64 = 0.12;
const VALUE_TICKS: f64 = 6.0;
const HEADROOM: f64 = 1.05;
/// If the lowest value is below this share of the highest, the axis starts at zero.
const NEAR_ZERO: f64 = 0.6;

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> String {
        axis.ticks.iter().map(|(_, label)| label.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn ticks_are_numbers_that_people_like() {
        assert_eq!(labels(&Axis::time(300.0, 10.0)), "0 30 60 90 120 150 180 210 240 270 300");
        assert_eq!(labels(&Axis::time(1_800.0, 10.0)), "0 5 10 15 20 25 30");
        assert_eq!(Axis::time(1_800.0, 10.0).unit, "time (min)");
        assert_eq!(labels(&Axis::time(0.5, 10.0)), "0 50 100 150 200 250 300 350 400 450 500");
        assert_eq!(labels(&Axis::linear(Unit::Jobs, 52_000.0)), "0 10k 20k 30k 40k 50k");
        assert_eq!(labels(&Axis::linear(Unit::Bytes, 1.5 * number::GIB)), "0 0.5 1 1.5");
        assert_eq!(Axis::linear(Unit::Bytes, 1.5 * number::GIB).unit, "GiB");
        assert_eq!(labels(&Axis::logarithmic_seconds(0.002, 8.0)), "1 ms 10 ms 100 ms 1 s 10 s");
    }

    #[test]
    fn zero_is_at_the_bottom_of_a_logarithmic_axis_that_has_it() {
        let axis = Axis::logarithmic_seconds_from_zero(0.002, 8.0);
        assert_eq!(labels(&axis), "0 1 ms 10 ms 100 ms 1 s 10 s");
        assert_eq!(axis.unit, "log scale above 1 ms");
        let places = [0.0, 0.0005, 0.001, 0.1, 10.0].map(|seconds| axis.position(seconds));
        assert!(places.windows(2).all(|pair| pair[0] < pair[1]), "{places:?}");
        assert!(places[0] == 0.0 && places[4] > 0.999, "{places:?}");
    }

    #[test]
    fn relative_differences_have_zero_on_their_axis() {
        assert_eq!(labels(&Axis::relative(0.02, 0.11)), "0 +2 +4 +6 +8 +10");
        assert_eq!(labels(&Axis::relative(-0.3, 0.1)), "−30 −25 −20 −15 −10 −5 0 +5 +10");
        assert_eq!(labels(&Axis::relative(-1.0, 7.0)), "−100 −10 0 +10 +100");
        assert_eq!(labels(&Axis::relative(-0.2, 1e9)), "−10 0 +10 +100 +1k +10k");
        let axis = Axis::relative(-1.0, 7.0);
        assert!(axis.position(-0.5) < axis.position(0.0) && axis.position(0.0) < axis.position(0.5));
    }

    #[test]
    fn limits_far_above_the_data_do_not_flatten_it() {
        let reaches =
            [reach([100.0, 900.0], &[5_000.0, 2_000.0]), reach([0.0], &[5_000.0, 50_000.0]), reach([], &[])];
        assert_eq!(reaches.map(|reach| reach as u64), [2_000, 5_000, 1]);
    }
}
