//! The tolerance of each metric: how much worse it may be, and the floor of that near zero.

use std::str::FromStr;

use crate::model::metric::{Direction, Metric, Unit};
use crate::scenario::slo::metric_named;
use crate::units;

/// The tolerances of all metrics.
#[derive(Clone, Debug, Default)]
pub struct Tolerances {
    gated: Gated,
    rules: Vec<ToleranceRule>,
}

/// Which metrics are gated where no limit names them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gated {
    /// [`Metric::KEY`]: one cause then shows as a handful of effects.
    #[default]
    Key,
    /// All that have a bad direction.
    All,
}

/// One `--limit`: for all metrics, for one, or for one of one class.
#[derive(Clone, Debug, PartialEq)]
pub struct ToleranceRule {
    metric: Option<Metric>,
    class: Option<String>,
    /// As a fraction of the baseline's mean; `None` takes the metric out of the gate.
    tolerance: Option<f64>,
}

/// The tolerance without a rule.
pub const DEFAULT_TOLERANCE: f64 = 0.02;

impl Tolerances {
    /// Of several rules that fit, the most specific one decides; of equally specific ones, the last.
    pub fn new(gated: Gated, rules: impl IntoIterator<Item = ToleranceRule>) -> Self {
        Self { gated, rules: rules.into_iter().collect() }
    }

    /// The tolerance of a metric as a fraction of the baseline's mean; `None` if it is not gated.
    pub fn tolerance(&self, metric: Metric, class: Option<&str>) -> Option<f64> {
        if metric.direction() == Direction::Neutral {
            return None;
        }
        let fits = |rule: &&ToleranceRule| {
            rule.metric.is_none_or(|known| known == metric)
                && rule.class.as_deref().is_none_or(|known| Some(known) == class)
        };
        // The last of the most specific ones, as `max_by_key` finds it.
        let rule = self.rules.iter().filter(fits).max_by_key(|rule| rule.specificity());
        let is_named = rule.is_some_and(|rule| rule.metric.is_some());
        if self.gated == Gated::Key && !is_named && !Metric::KEY.contains(&metric) {
            return None;
        }
        rule.map_or(Some(DEFAULT_TOLERANCE), |rule| rule.tolerance)
    }

    /// Whether a limit names the metric: then it decides alone, without a floor.
    pub fn names(&self, metric: Metric) -> bool {
        self.rules.iter().any(|rule| rule.metric == Some(metric))
    }

    /// The classes that rules name.
    pub fn classes(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().filter_map(|rule| rule.class.as_deref())
    }
}

impl ToleranceRule {
    fn specificity(&self) -> u8 {
        u8::from(self.metric.is_some()) + u8::from(self.class.is_some())
    }
}

/// Reads `5%`, `recovery_seconds=3%`, `wait_p99_seconds{class=NAME}=10%`, each also with `off`.
impl FromStr for ToleranceRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (of, tolerance) = match text.rsplit_once('=') {
            Some((of, tolerance)) => (Some(of.trim()), tolerance),
            None => (None, text),
        };
        let (metric, class) = of.map_or(Ok((None, None)), metric_of)?;
        let tolerance = match tolerance.trim() {
            "off" => None,
            written => Some(units::parse_fraction(written).map_err(|error| {
                format!("the limit {error}; write a fraction of the baseline such as 5%, or off")
            })?),
        };
        Ok(Self { metric, class, tolerance })
    }
}

fn metric_of(text: &str) -> Result<(Option<Metric>, Option<String>), String> {
    let (name, class) = match text.split_once('{') {
        Some((name, class)) => {
            let class = class.strip_suffix('}').and_then(|class| class.trim().strip_prefix("class="));
            let class = class.ok_or("only {class=NAME} can follow the metric")?;
            (name.trim(), Some(class.trim().trim_matches(['"', '\'']).to_owned()))
        }
        None => (text, None),
    };
    let metric = metric_named(name)?;
    if metric.direction() == Direction::Neutral {
        return Err(format!("`{name}` gets neither better nor worse when it changes, so it is not gated"));
    }
    if class.is_some() && !metric.per_class() {
        return Err(format!("`{name}` is measured for the whole system only"));
    }
    Ok((Some(metric), class))
}

/// The least tolerance in the metric's unit, since a fraction of nearly nothing is too strict: nobody acts on half a second of
/// recovery, a millisecond of a wait, a thousandth refused, ten jobs of a queue, or a mebibyte. With a baseline of exactly
/// zero this is the whole tolerance: one job lost or failed in a hundred replications matters, if it is significant.
pub fn floor(metric: Metric) -> f64 {
    match metric {
        Metric::Lost | Metric::Failed => 0.01,
        Metric::Recovery
        | Metric::NormalAgain
        | Metric::TimeToShed
        | Metric::TimeToOpen
        | Metric::TimeToOom => 0.5,
        _ => match metric.unit() {
            Unit::Jobs => 10.0,
            Unit::Count | Unit::PerSecond => 0.01,
            Unit::Seconds | Unit::Fraction => 1e-3,
            Unit::Bytes => 1024.0 * 1024.0,
        },
    }
}

/// The same for a metric that a limit names: what is nothing at all in its unit.
pub fn named_floor(unit: Unit) -> f64 {
    match unit {
        Unit::Jobs | Unit::Count | Unit::PerSecond => 0.01,
        Unit::Seconds | Unit::Fraction => 1e-4,
        Unit::Bytes => 1024.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(rules: &[&str], metric: Metric, class: Option<&str>, expected: Option<f64>) {
        let tolerances = Tolerances::new(Gated::Key, rules.iter().map(|rule| rule.parse().unwrap()));
        assert_eq!(tolerances.tolerance(metric, class), expected);
    }

    #[test]
    fn the_most_specific_limit_counts() {
        check(&[], Metric::Recovery, None, Some(0.02));
        check(&["5%"], Metric::Recovery, None, Some(0.05));
        check(&["recovery_seconds=3%", "5%"], Metric::Recovery, None, Some(0.03));
        check(&["off", "recovery_seconds=3%"], Metric::Lost, None, None);
        check(&["lost_jobs=off"], Metric::Lost, Some("a"), None);
        check(&["lost_jobs{class=a}=10%", "lost_jobs=1%"], Metric::Lost, Some("a"), Some(0.1));
        check(&["lost_jobs{class=a}=10%", "lost_jobs=1%"], Metric::Lost, Some("b"), Some(0.01));
        check(&["5%", "6%"], Metric::Lost, None, Some(0.06));
        check(&["5%"], Metric::Offered, None, None);
    }

    #[test]
    fn a_few_metrics_are_gated_unless_all_are_or_one_is_named() {
        check(&[], Metric::RejectionProbability, Some("a"), Some(0.02));
        check(&[], Metric::WaitP50, None, None);
        check(&["5%"], Metric::WaitP50, None, None);
        check(&["wait_p50_seconds=5%"], Metric::WaitP50, Some("a"), Some(0.05));
        let all = Tolerances::new(Gated::All, []);
        assert_eq!(all.tolerance(Metric::WaitP50, None), Some(0.02));
        assert_eq!(all.tolerance(Metric::Offered, None), None);
    }

    #[test]
    fn what_nobody_acts_on_is_below_the_floor() {
        // 11 ms of a recovery that took 0.1 s are 11%, and nothing.
        assert!(floor(Metric::Recovery) > 0.011);
        assert!(floor(Metric::Lost) < 0.1 && floor(Metric::PeakDepth) > 1.0);
    }

    #[test]
    fn mistakes_are_explained() {
        let refuse = |text: &str, expected: &str| {
            let fault = text.parse::<ToleranceRule>().expect_err(text);
            assert!(fault.contains(expected), "{text}: {fault}");
        };
        refuse("recovery_second=3%", "did you mean `recovery_seconds`");
        refuse("offered_jobs=3%", "neither better nor worse");
        refuse("recovery_seconds{class=a}=3%", "whole system only");
        refuse("lost_jobs{a}=3%", "{class=NAME}");
        refuse("recovery_seconds=3s", "such as 5%");
        refuse("-1%", "such as 5%");
    }
}
