//! Numbers as people read them: `17 412`, `50k`, `96.2 s`, `1.5 GiB`, `61 %`.
//!
//! One scale (a divisor and a suffix) is chosen for a value and its half-width together, so that `96.2 ± 1.2 s`
//! never mixes units. Files for programs use the shortest exact form instead.

use crate::experiment::summary::Estimate;
use crate::model::metric::{Metric, Unit};

/// Divisor and unit suffix with which values are shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    /// Size of the shown unit in the unit of the data.
    pub(crate) divisor: f64,
    /// The unit's sign with a leading space where one belongs; empty for plain numbers.
    pub(crate) suffix: &'static str,
}

/// The scale in which a value of that size reads best.
pub(crate) fn scale(unit: Unit, magnitude: f64) -> Scale {
    let size = magnitude.abs();
    let steps: &[(f64, f64, &str)] = match unit {
        Unit::Jobs | Unit::Count => &[(0.0, 1.0, "")],
        Unit::Seconds => &[
            (2.0 * 86_400.0, 86_400.0, " d"),
            (2.0 * 3_600.0, 3_600.0, " h"),
            (600.0, 60.0, " min"),
            (1.0, 1.0, " s"),
            (1e-3, 1e-3, " ms"),
            (1e-300, 1e-6, " µs"),
            (0.0, 1.0, " s"),
        ],
        Unit::Bytes => &[(GIB, GIB, " GiB"), (MIB, MIB, " MiB"), (KIB, KIB, " KiB"), (0.0, 1.0, " B")],
        Unit::Fraction => &[(0.0, 0.01, " %")],
        Unit::PerSecond => &[(0.0, 1.0, "/s")],
    };
    let &(_, divisor, suffix) =
        steps.iter().find(|&&(from, ..)| size >= from * ALMOST).unwrap_or(&steps[steps.len() - 1]);
    Scale { divisor, suffix }
}

/// The unit of the metric with that name; [`Unit::Count`] if there is none.
pub(crate) fn unit_of(metric: &str) -> Unit {
    Metric::from_name(metric).map_or(Unit::Count, Metric::unit)
}

/// A figure as text, marked where it is only a lower bound.
pub(crate) fn bounded(shown: &str, is_bound: bool) -> String {
    format!("{}{shown}", if is_bound { "≥ " } else { "" })
}

/// A single value with its unit, to three significant digits; large counts in full.
pub(crate) fn value(unit: Unit, value: f64) -> String {
    let scale = scale(unit, value);
    let shown = value / scale.divisor;
    format!("{}{}", grouped(shown, significant_decimals(shown, 3)), scale.suffix)
}

/// A value that may be missing.
pub(crate) fn optional(unit: Unit, figure: Option<f64>) -> String {
    figure.map_or_else(|| MISSING.to_owned(), |figure| value(unit, figure))
}

/// Mean ± half-width, with the precision that the half-width supports; the mean alone if there is no half-width.
pub(crate) fn estimate(unit: Unit, estimate: &Estimate) -> String {
    let Some(mean) = estimate.mean else { return MISSING.to_owned() };
    let scale = scale(unit, mean);
    match estimate.half_width {
        Some(half_width) if half_width > 0.0 => {
            let (mean, half_width) = (mean / scale.divisor, half_width / scale.divisor);
            let decimals = significant_decimals(half_width, 2).min(3);
            format!("{} ± {}{}", grouped(mean, decimals), grouped(half_width, decimals), scale.suffix)
        }
        _ => value(unit, mean),
    }
}

/// A signed difference ± half-width. For fractions in percentage points, so that nobody reads it as relative.
pub(crate) fn difference(unit: Unit, difference: f64, half_width: Option<f64>) -> String {
    let half_width = half_width.filter(|half_width| *half_width > 0.0);
    let scale = scale(unit, difference.abs().max(half_width.unwrap_or(0.0)));
    let suffix = if unit == Unit::Fraction { " pp" } else { scale.suffix };
    let shown = difference / scale.divisor;
    let with_decimals = |decimals| signed(shown, &grouped(shown.abs(), decimals));
    match half_width {
        _ if difference == 0.0 && half_width.is_none() => "0".to_owned(),
        None => format!("{}{suffix}", with_decimals(significant_decimals(shown, 3))),
        Some(half_width) => {
            let half_width = half_width / scale.divisor;
            let decimals = significant_decimals(half_width, 2).min(3);
            let rounded = grouped(half_width, decimals);
            let is_zero = !rounded.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
            let width = if is_zero { "<0.001".to_owned() } else { rounded };
            format!("{} ± {width}{suffix}", with_decimals(decimals))
        }
    }
}

/// A relative difference: `+12.3 %`; `×14.2` for large increases; `from 0` if the base is zero.
pub(crate) fn relative(relative: Option<f64>) -> String {
    let Some(relative) = relative else { return "from 0".to_owned() };
    let percent = relative * 100.0;
    match percent.abs() {
        0.0 => "0 %".to_owned(),
        size if size < 0.005 => signed(percent, "<0.01 %"),
        _ if relative >= 9.0 => {
            format!("×{}", grouped(1.0 + relative, significant_decimals(1.0 + relative, 3)))
        }
        size => signed(percent, &format!("{} %", grouped(size, significant_decimals(size, 3).min(2)))),
    }
}

/// A correlation, or that there is none.
pub(crate) fn correlation(correlation: Option<f64>) -> String {
    correlation.map_or_else(|| MISSING.to_owned(), |r| grouped(r, 2).replace('-', "−"))
}

/// Puts the sign of `value` before the text of its size; none before a zero.
pub(crate) fn signed(value: f64, size: &str) -> String {
    let is_zero = !size.bytes().any(|byte| (b'1'..=b'9').contains(&byte));
    match value {
        _ if is_zero => size.to_owned(),
        value if value < 0.0 => format!("−{size}"),
        _ => format!("+{size}"),
    }
}

/// A count for axes and lines: `500`, `5k`, `1.25M`.
pub(crate) fn short_count(value: f64) -> String {
    let (divisor, suffix) = match value.abs() {
        size if size >= 1e9 => (1e9, "G"),
        size if size >= 1e6 => (1e6, "M"),
        size if size >= 1e4 || (size >= 1e3 && size % 100.0 < 1e-9) => (1e3, "k"),
        _ => (1.0, ""),
    };
    let shown = value / divisor;
    format!("{}{suffix}", trimmed(shown, significant_decimals(shown, 3)))
}

/// A number with that many decimals and a space between groups of three digits.
pub(crate) fn grouped(value: f64, decimals: usize) -> String {
    let plain = format!("{value:.decimals$}");
    let plain = if plain.trim_start_matches('-').chars().all(|c| c == '0' || c == '.') {
        plain.trim_start_matches('-').to_owned()
    } else {
        plain
    };
    let (whole, rest) = plain.split_at(plain.find('.').unwrap_or(plain.len()));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |digits| ("-", digits));
    if digits.len() < 4 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return plain;
    }
    let mut text = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text + rest
}

/// A number with at most that many decimals, trailing zeros cut.
pub(crate) fn trimmed(value: f64, decimals: usize) -> String {
    let text = grouped(value, decimals);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// Decimals needed to show that many significant digits of a value; none for zero and for whole numbers.
pub(crate) fn significant_decimals(value: f64, digits: i32) -> usize {
    let size = value.abs();
    if !size.is_normal() || (size.fract() < 1e-9 && size >= 1.0) {
        return 0;
    }
    usize::try_from(digits - 1 - size.log10().floor() as i32).unwrap_or(0).min(9)
}

/// Rounds parts to whole units so that they add up to the rounded total (largest remainder method).
///
/// Parts that do not add up to the total are rounded independently: the result must not
/// hide a gap.
pub(crate) fn apportion(total: f64, parts: &[f64], unit: f64) -> (f64, Vec<f64>) {
    let rounded_total = (total / unit).round();
    let mut rounded: Vec<f64> = parts.iter().map(|part| (part / unit).round()).collect();
    let gap = rounded_total - rounded.iter().sum::<f64>();
    let adds_up = (parts.iter().sum::<f64>() - total).abs() < unit / 2.0;
    if adds_up && gap.abs() >= 0.5 {
        let mut order: Vec<usize> = (0..parts.len()).collect();
        order.sort_by(|&a, &b| {
            let residue = |index: usize| (parts[index] / unit - rounded[index]) * gap.signum();
            residue(b).total_cmp(&residue(a))
        });
        for &index in order.iter().take(gap.abs() as usize) {
            rounded[index] += gap.signum();
        }
    }
    (rounded_total * unit, rounded.into_iter().map(|part| part * unit).collect())
}

/// Shown where there is no value.
pub(crate) const MISSING: &str = "–";

/// Values that round up to the start of a scale are shown in that scale.
const ALMOST: f64 = 0.9995;

pub(crate) const KIB: f64 = 1024.0;
pub(crate) const MIB: f64 = 1024.0 * KIB;
pub(crate) const GIB: f64 = 1024.0 * MIB;

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(unit: Unit, figure: f64, expected: &str) {
        assert_eq!(value(unit, figure), expected);
    }

    #[test]
    fn values_read_as_people_write_them() {
        check(Unit::Jobs, 17_412.0, "17 412");
        check(Unit::Jobs, 0.0, "0");
        check(Unit::Jobs, 12.4, "12.4");
        check(Unit::Jobs, 1_234_567.8, "1 234 568");
        check(Unit::Seconds, 0.0, "0 s");
        check(Unit::Seconds, 96.21, "96.2 s");
        check(Unit::Seconds, 0.0075, "7.50 ms");
        check(Unit::Seconds, 754.0, "12.6 min");
        check(Unit::Seconds, 0.999_9, "1.000 s");
        check(Unit::Bytes, 1.5 * GIB, "1.50 GiB");
        check(Unit::Fraction, 0.613, "61.3 %");
        check(Unit::Fraction, 0.000_31, "0.0310 %");
        check(Unit::PerSecond, 6_021.4, "6 021/s");
    }

    #[test]
    fn mean_is_shown_to_the_precision_of_its_half_width() {
        let of = |mean, half_width| Estimate {
            mean: Some(mean),
            half_width,
            min: None,
            max: None,
            p95: None,
            n: 2,
            censored: 0,
        };
        assert_eq!(estimate(Unit::Jobs, &of(17_411.6, Some(96.2))), "17 412 ± 96");
        assert_eq!(estimate(Unit::Seconds, &of(96.213, Some(1.23))), "96.2 ± 1.2 s");
        assert_eq!(estimate(Unit::Seconds, &of(96.213, None)), "96.2 s");
        assert_eq!(estimate(Unit::Jobs, &of(3.0, Some(0.0))), "3");
    }

    #[test]
    fn differences_have_a_sign_and_fractions_are_in_points() {
        assert_eq!(difference(Unit::Seconds, 4.402, Some(0.31)), "+4.40 ± 0.31 s");
        assert_eq!(difference(Unit::Seconds, -0.0031, None), "−3.10 ms");
        assert_eq!(difference(Unit::Fraction, 0.032, Some(0.001)), "+3.20 ± 0.10 pp");
        assert_eq!(difference(Unit::Jobs, 0.001, Some(12.0)), "0 ± 12");
        assert_eq!(difference(Unit::Jobs, 0.0, Some(0.0)), "0");
        assert_eq!(difference(Unit::Bytes, 2.0 * GIB, Some(10.0)), "+2.000 ± <0.001 GiB");
    }

    #[test]
    fn relative_differences_are_read_at_a_glance() {
        let shown = [Some(0.1234), Some(-1.0), Some(0.0), Some(0.000_01), Some(4.5), Some(13.2), None];
        let expected = ["+12.3 %", "−100 %", "0 %", "+<0.01 %", "+450 %", "×14.2", "from 0"];
        assert_eq!(shown.map(relative), expected);
    }

    #[test]
    fn short_counts_fit_an_axis() {
        let shown: Vec<String> = [0.0, 500.0, 5_000.0, 50_000.0, 1_250_000.0].map(short_count).to_vec();
        assert_eq!(shown, ["0", "500", "5k", "50k", "1.25M"]);
    }

    #[test]
    fn apportioned_parts_add_up() {
        assert_eq!(apportion(10.0, &[3.333, 3.333, 3.334], 1.0), (10.0, vec![3.0, 3.0, 4.0]));
        assert_eq!(apportion(2.0, &[0.5, 0.5, 1.0], 1.0), (2.0, vec![0.0, 1.0, 1.0]));
        assert_eq!(apportion(10.0, &[3.0, 3.0], 1.0), (10.0, vec![3.0, 3.0]), "a real gap stays visible");
    }
}
