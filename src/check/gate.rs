//! The gate: each metric of a scenario against its baseline, replication by replication.
//!
//! See [`super`] for the rule and its error probabilities. Here are the paired differences, and the correction for testing many of them.

use crate::experiment::replication::Replication;
use crate::model::metric::{Direction, Metric, Unit};
use crate::scenario::slo::name_of;
use crate::stats::holm;
use crate::stats::paired::PairedDifference;

use super::tolerances::{Tolerances, floor, named_floor};

/// What the gate says of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judgement {
    /// Proven worse, and by more than the limit.
    Regressed,
    /// May be worse by more than the limit, but that is not proven.
    Inconclusive,
    /// Proven better, and by more than the limit.
    Improved,
    /// Not worse by more than the limit.
    Unchanged,
    /// Neutral, or excluded from the gate.
    NotGated,
}

/// One metric now and in the baseline.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricCheck {
    /// Which one.
    pub metric: Metric,
    /// Name of the job class; `None` is the whole system.
    pub class: Option<String>,
    /// What the gate says.
    pub judgement: Judgement,
    /// Mean of the baseline over the pairs; with no pair, over the replications that have a value.
    pub baseline: Option<f64>,
    /// The same now.
    pub current: Option<f64>,
    /// How much more it is now, with its 95% interval; `None` with fewer than two pairs.
    pub difference: Option<PairedDifference>,
    /// Probability of a difference as large by chance alone, corrected for the number of metrics that are
    /// gated (Holm); `None` if not gated or not testable.
    pub adjusted_p: Option<f64>,
    /// How much worse is tolerated, in the metric's unit; `None` if not gated.
    pub limit: Option<f64>,
    /// Replications that have a value in both.
    pub pairs: u32,
    /// Replications that had a value and have none now.
    pub vanished: u32,
    /// Replications that had no value and have one now.
    pub appeared: u32,
    /// Values of the baseline that are only bounds: the event had not happened by the horizon, which counts instead.
    pub baseline_censored: u32,
    /// The same now.
    pub current_censored: u32,
    /// Whether every replication has exactly the same value, or none.
    pub identical: bool,
}

/// Probability that a check reports a regression or an improvement although nothing differs.
pub const FAMILY_WISE_ERROR: f64 = 0.05;

/// Confidence of the interval of each difference.
pub const CONFIDENCE: f64 = 0.95;

/// Compares all metrics but those in `skipped`; `baseline` and `current` hold the same replications, and the
/// classes in the order of `classes`. [`settle`] then judges them.
///
/// # Panics
///
/// If there are more replications of one than of the other.
pub fn compare(
    classes: &[&str],
    baseline: &[Replication],
    current: &[Replication],
    tolerances: &Tolerances,
    skipped: &[Metric],
) -> Vec<MetricCheck> {
    assert_eq!(baseline.len(), current.len(), "every replication has its partner");
    // The metrics of a single class are those of the system.
    let classes = if classes.len() > 1 { classes } else { &[] };
    let scopes = std::iter::once(None).chain(classes.iter().copied().enumerate().map(Some));
    let mut comparisons = Vec::new();
    for scope in scopes {
        for &metric in Metric::ALL.iter().filter(|metric| !skipped.contains(metric)) {
            let index = scope.map(|(index, _)| index);
            let has = |runs: &[Replication]| runs.iter().any(|run| run.metrics(index).get(metric).is_some());
            let is_of_scope = scope.is_none() || metric.per_class();
            // Metrics of components that the scenario does not use have no values and are not compared.
            if is_of_scope && (has(baseline) || has(current)) {
                comparisons.push(metric_check(metric, scope, baseline, current, tolerances));
            }
        }
    }
    comparisons
}

fn metric_check(
    metric: Metric,
    scope: Option<(usize, &str)>,
    baseline: &[Replication],
    current: &[Replication],
    tolerances: &Tolerances,
) -> MetricCheck {
    let index = scope.map(|(index, _)| index);
    let values = |replications: &[Replication]| -> Vec<Option<f64>> {
        replications.iter().map(|replication| replication.metrics(index).get(metric)).collect()
    };
    let censored = |replications: &[Replication]| {
        let censored = replications.iter().filter(|run| run.metrics(index).is_censored(metric));
        censored.count() as u32
    };
    let (before, now) = (values(baseline), values(current));
    let (mut before_paired, mut now_paired) = (Vec::new(), Vec::new());
    let (mut vanished, mut appeared) = (0, 0);
    for (before, now) in before.iter().zip(&now) {
        match (before, now) {
            (Some(before), Some(now)) => {
                before_paired.push(*before);
                now_paired.push(*now);
            }
            (Some(_), None) => vanished += 1,
            (None, Some(_)) => appeared += 1,
            (None, None) => {}
        }
    }
    let class = scope.map(|(_, name)| name.to_owned());
    let pairs = before_paired.len() as u32;
    let shown = |paired: &[f64], all: &[Option<f64>]| {
        if pairs > 0 { mean(paired) } else { mean(&all.iter().copied().flatten().collect::<Vec<_>>()) }
    };
    let baseline_mean = shown(&before_paired, &before);
    let tolerance = tolerances.tolerance(metric, class.as_deref());
    // A metric that is new has no baseline to take a fraction of.
    let least = if tolerances.names(metric) { named_floor(metric.unit()) } else { floor(metric) };
    let limit = tolerance.map(|share| (share * baseline_mean.unwrap_or(0.0).abs()).max(least));
    MetricCheck {
        metric,
        class,
        judgement: Judgement::NotGated,
        baseline: baseline_mean,
        current: shown(&now_paired, &now),
        difference: PairedDifference::of(&before_paired, &now_paired, CONFIDENCE),
        adjusted_p: None,
        limit,
        pairs,
        vanished,
        appeared,
        baseline_censored: censored(baseline),
        current_censored: censored(current),
        // Compared as bits, so that neither rounding nor NaN matters.
        identical: before
            .iter()
            .map(|value| value.map(f64::to_bits))
            .eq(now.iter().map(|value| value.map(f64::to_bits))),
    }
}

/// Judges all comparisons of a check as one family.
pub fn settle(family: &mut [&mut MetricCheck]) {
    let mut tested: Vec<&mut &mut MetricCheck> = family
        .iter_mut()
        .filter(|comparison| comparison.limit.is_some() && comparison.difference.is_some())
        .collect();
    let p_values: Vec<f64> =
        tested.iter().map(|comparison| comparison.difference.map_or(1.0, |d| d.p_value)).collect();
    for (comparison, adjusted) in tested.iter_mut().zip(holm::adjusted(&p_values)) {
        comparison.adjusted_p = Some(adjusted);
    }
    for comparison in family {
        comparison.judgement = comparison.judge();
    }
}

impl MetricCheck {
    /// How the metric is written: `lost_jobs{class=critical-alarm}`.
    pub fn name(&self) -> String {
        name_of(self.metric, self.class.as_deref())
    }

    /// The unit of its values.
    pub fn unit(&self) -> Unit {
        self.metric.unit()
    }

    /// Whether the metric has values in other replications than before.
    pub fn presence_changed(&self) -> bool {
        self.vanished + self.appeared > 0
    }

    fn judge(&self) -> Judgement {
        let Some(limit) = self.limit else { return Judgement::NotGated };
        if self.identical {
            return Judgement::Unchanged;
        }
        let Some(difference) = &self.difference else { return Judgement::Inconclusive };
        let worse = match self.metric.direction() {
            Direction::LowerIsWorse => -difference.mean,
            _ => difference.mean,
        };
        let is_proven = self.adjusted_p.is_some_and(|p| p <= FAMILY_WISE_ERROR);
        if is_proven && worse > limit {
            Judgement::Regressed
        } else if self.presence_changed() {
            // The missing values are unknown, so nothing better can be said.
            Judgement::Inconclusive
        } else if is_proven && worse < -limit {
            Judgement::Improved
        } else if worse + difference.half_width <= limit {
            Judgement::Unchanged
        } else {
            Judgement::Inconclusive
        }
    }
}

fn mean(values: &[f64]) -> Option<f64> {
    values.iter().copied().collect::<crate::stats::interval::Sample>().mean()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::tolerances::Gated;
    use crate::model::metric::Metrics;

    fn runs(metric: Metric, values: &[Option<f64>]) -> Vec<Replication> {
        let run = |value: &Option<f64>| {
            let mut system = Metrics::default();
            system.set(metric, *value);
            Replication::bare(0, system, Vec::new())
        };
        values.iter().map(run).collect()
    }

    /// The judgement of one metric alone, with the default limit.
    #[track_caller]
    fn check(metric: Metric, before: &[Option<f64>], now: &[Option<f64>], expected: Judgement) {
        let skipped: Vec<Metric> = Metric::ALL.iter().copied().filter(|known| *known != metric).collect();
        let tolerances = Tolerances::new(Gated::All, []);
        let mut found = compare(&[], &runs(metric, before), &runs(metric, now), &tolerances, &skipped);
        settle(&mut found.iter_mut().collect::<Vec<_>>());
        assert_eq!(found[0].judgement, expected, "{found:?}");
    }

    fn with(base: f64, offsets: [f64; 5]) -> Vec<Option<f64>> {
        offsets.iter().map(|offset| Some(base + offset)).collect()
    }

    #[test]
    fn judgements() {
        use Judgement::{Improved, Inconclusive, NotGated, Regressed, Unchanged};
        let before = with(100.0, [-2.0, -1.0, 0.0, 1.0, 2.0]);
        let later = |by: f64, noise: f64| {
            let noise = [noise, -noise, 0.0, noise, -noise];
            before.iter().zip(noise).map(|(value, noise)| value.map(|v| v + by + noise)).collect::<Vec<_>>()
        };
        check(Metric::Recovery, &before, &before, Unchanged);
        check(Metric::Recovery, &before, &later(5.0, 0.5), Regressed);
        check(Metric::Recovery, &before, &later(-5.0, 0.5), Improved);
        check(Metric::TimeToOpen, &before, &later(-5.0, 0.5), Regressed);
        // Proven worse, but within the limit.
        check(Metric::Recovery, &before, &later(1.0, 0.2), Unchanged);
        // As much worse, but it could also be chance.
        check(Metric::Recovery, &before, &later(5.0, 20.0), Inconclusive);
        // On average no worse, but it could be.
        check(Metric::Recovery, &before, &later(0.0, 20.0), Inconclusive);
        check(Metric::Offered, &before, &later(50.0, 0.5), NotGated);
    }

    #[test]
    fn the_first_loss_counts_once_it_is_proven() {
        let none = with(0.0, [0.0; 5]);
        check(Metric::Lost, &none, &with(0.0, [1.0; 5]), Judgement::Regressed);
        check(Metric::Lost, &none, &with(0.0, [1.0, 0.0, 0.0, 0.0, 0.0]), Judgement::Inconclusive);
    }

    #[test]
    fn a_metric_that_comes_or_goes_is_never_unchanged() {
        let full = with(1.0, [0.0; 5]);
        let mut partial = full.clone();
        partial[2] = None;
        check(Metric::WaitP99, &full, &partial, Judgement::Inconclusive);
        check(Metric::WaitP99, &partial, &full, Judgement::Inconclusive);
        check(Metric::WaitP99, &partial, &partial, Judgement::Unchanged);
        check(Metric::WaitP99, &[None; 5], &full, Judgement::Inconclusive);
        check(Metric::CircuitCycle, &[None; 5], &full, Judgement::NotGated);
    }

    #[test]
    fn one_replication_proves_nothing() {
        check(Metric::Recovery, &[Some(1.0)], &[Some(2.0)], Judgement::Inconclusive);
        check(Metric::Recovery, &[Some(1.0)], &[Some(1.0)], Judgement::Unchanged);
    }
}
