//! The result of an experiment, as reports and the JSON document show it.

use std::borrow::Cow;

pub use super::named::Named;
use super::replication::Replication;
use super::traffic::{self, Traffic};
use crate::engine::digest::Digest;
use crate::engine::time::SimTime;
use crate::model::answer::Answer;
use crate::model::config::AlertRule;
use crate::model::limits::Limit;
use crate::model::metric::{Metric, Metrics, Unit};
use crate::model::outcome::ScalingDecision;
use crate::scenario::slo::{Slo, Statistic};
use crate::scenario::{Hint, Scenario};
use crate::stats::interval::Sample;

/// Version of the JSON document; a change that breaks readers counts it up.
pub const SCHEMA: &str = "backpressure-sim/summary/2";

/// What `simulate SCENARIO --json` prints.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Summary {
    /// Version of this document.
    pub schema: &'static str,
    /// Version of the program.
    pub version: &'static str,
    /// Name of the scenario.
    pub scenario: String,
    /// The command that gives the same again.
    pub command: String,
    /// Master seed.
    pub seed: u64,
    /// Replications that the figures rest on.
    pub replications: u32,
    /// Hash of every count, histogram and series of every replication, in hex: equal digests, equal results.
    pub digest: String,
    /// Whether all of `slo` holds.
    pub verdict: Verdict,
    /// What became of all traffic.
    pub traffic: Traffic,
    /// True if the run was interrupted, so that `replications` are fewer than asked for.
    pub interrupted: bool,
    /// System-wide metrics.
    pub metrics: Named<Estimate>,
    /// Metrics by job class, for those with `Metric::per_class`.
    pub classes: Named<Named<Estimate>>,
    /// Each expression of `slo`.
    pub slo: Vec<SloResult>,
    /// Limits that were reached, the earliest first.
    pub limits_reached: Vec<LimitReached>,
    /// Limits that were not, the nearest first.
    pub limits_ahead: Vec<LimitAhead>,
    /// What the alerts did, in the order of the rules.
    pub alerts: Vec<AlertSummary>,
    /// What the autoscaler decided in the first replication, without repetitions.
    pub scaling: Vec<ScalingStep>,
    /// Remarks on settings that are legal but hazardous.
    pub warnings: Vec<String>,
    /// Settings that do not do what they are there for.
    pub hints: Vec<Hint>,
}

/// Whether a run met its objectives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Every objective holds, or there is none; those that the scenario is meant to miss are missed.
    Pass,
    /// An objective does not hold, or holds that the scenario is meant to miss.
    Fail,
}

/// One metric over the replications.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Estimate {
    /// Mean over the replications that have a value; `None` if none has.
    pub mean: Option<f64>,
    /// Half the 95% Student-t interval of the mean; `None` with fewer than two values.
    pub half_width: Option<f64>,
    /// Smallest value.
    pub min: Option<f64>,
    /// Largest value.
    pub max: Option<f64>,
    /// 95th percentile over the replications, the smallest value with at least 95% at or below it.
    pub p95: Option<f64>,
    /// Replications that have a value.
    pub n: u32,
    /// Replications whose value is only a bound.
    pub censored: u32,
}

/// One expression of `slo` and what came of it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct SloResult {
    /// As written.
    pub expression: String,
    /// Whether it holds for certain.
    pub pass: bool,
    /// Whether the scenario is meant to miss it.
    pub expected_miss: bool,
    /// False where the runs do not tell: no replication has a value, or some end before the value is known and the bound
    /// does not settle it. Such an objective is not met.
    pub judged: bool,
    /// The left side; `None` if no replication has a value.
    pub observed: Option<f64>,
    /// Which figure over the replications that is.
    pub statistic: Statistic,
    /// Replications that have a value.
    pub runs: u32,
    /// What it means that there is no value.
    #[serde(skip)]
    pub absent: &'static str,
    /// The right side.
    pub limit: f64,
    /// The metric, or what else is on the left side.
    pub metric: Cow<'static, str>,
    /// What it counts in.
    pub unit: Unit,
    /// Censored replications of the metric: `observed` is then a bound.
    pub censored: u32,
}

/// A limit that the system ran into.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct LimitReached {
    /// Which one, as shown to people: `shed level`, `circuit open`, `workers saturated`, `redis full`.
    pub limit: &'static str,
    /// Median over the replications that reached it of the first time, in seconds.
    pub seconds: f64,
    /// Replications that reached it.
    pub replications: u32,
}

/// A limit that the system did not run into.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct LimitAhead {
    /// Which one.
    pub limit: &'static str,
    /// The share of it that was used at the worst, the mean over the replications.
    pub used: f64,
}

/// An alert and when it would have fired.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct AlertSummary {
    /// Its name.
    pub alert: &'static str,
    /// How it is delivered.
    pub severity: &'static str,
    /// Its condition in PromQL.
    pub expression: String,
    /// Seconds for which that must be true.
    pub for_seconds: f64,
    /// Replications in which the condition was true at all.
    pub true_in: u32,
    /// Median over these of the longest time for which it was, in seconds.
    pub longest_seconds: Option<f64>,
    /// Replications in which it fired.
    pub fired_in: u32,
    /// Median over these of the first time, in seconds.
    pub fired_seconds: Option<f64>,
    /// Replications that lost a job.
    pub lost_in: u32,
    /// Of these, those in which it had not fired before the first one.
    pub too_late_in: u32,
    /// Median, over those that lost a job and in which it fired, of the seconds from then to the loss; negative if it fired later.
    pub lead_seconds: Option<f64>,
}

/// A decision of the autoscaler.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct ScalingStep {
    /// When.
    pub seconds: f64,
    /// The depth that it was based on; `None` if there was no reading yet.
    pub depth: Option<u64>,
    /// Worker processes that were there or ordered.
    pub current: u32,
    /// What the depth alone asked for.
    pub recommended: u32,
    /// The replicas it decided on.
    pub wanted: u32,
    /// What settled it.
    pub reason: &'static str,
}

impl ScalingStep {
    pub(crate) fn of(decision: &ScalingDecision) -> Self {
        Self {
            seconds: decision.at.as_secs_f64(),
            depth: decision.metric,
            current: decision.current,
            recommended: decision.recommended,
            wanted: decision.wanted,
            reason: decision.reason.as_str(),
        }
    }
}

/// Confidence of all intervals.
pub const CONFIDENCE: f64 = 0.95;

impl Summary {
    /// What the replications say, which are the first ones of the scenario in their order.
    ///
    /// # Panics
    ///
    /// Of no replications.
    pub fn of(scenario: &Scenario, replications: &[Replication], interrupted: bool) -> Self {
        assert!(!replications.is_empty(), "a summary needs at least one replication");
        let expected = scenario.expected_misses.iter().map(|slo| judge(slo, replications).expecting_a_miss());
        let slo: Vec<SloResult> =
            scenario.slo.iter().map(|slo| judge(slo, replications)).chain(expected).collect();
        let class_estimates = scenario.model.classes.iter().enumerate().map(|(index, class)| {
            (class.name.clone(), estimates(replications, Some(index), Metric::per_class))
        });
        Summary {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION"),
            scenario: scenario.name.clone(),
            command: scenario.command.clone(),
            seed: scenario.seed,
            replications: replications.len() as u32,
            digest: digest(replications),
            verdict: if slo.iter().all(SloResult::is_as_meant) { Verdict::Pass } else { Verdict::Fail },
            traffic: Traffic::of(scenario, replications),
            interrupted,
            metrics: estimates(replications, None, |_| true),
            classes: Named(class_estimates.collect()),
            slo,
            limits_reached: limits_reached(replications),
            limits_ahead: limits_ahead(replications),
            alerts: alerts(scenario, replications),
            scaling: Vec::new(),
            warnings: traffic::unjudged(scenario).into_iter().chain(scenario.warnings.clone()).collect(),
            hints: scenario.hints.clone(),
        }
    }

    /// A system-wide metric.
    pub fn metric(&self, metric: Metric) -> &Estimate {
        self.metrics.get(metric.name()).expect("every metric is in the summary")
    }
}

/// Hash of the hashes of all replications, in hex.
pub fn digest(replications: &[Replication]) -> String {
    let mut digest = Digest::default();
    digest.add_all(replications.iter().map(|replication| replication.digest));
    format!("{:016x}", digest.value())
}

/// Whether an objective is met, or missed for certain where the scenario is meant to miss it.
pub(super) const fn as_meant(expected_miss: bool, judged: bool, pass: bool) -> bool {
    if expected_miss { judged && !pass } else { pass }
}

impl SloResult {
    fn expecting_a_miss(self) -> Self {
        Self { expected_miss: true, ..self }
    }

    /// Whether it is met, or missed where that is what the scenario shows.
    pub fn is_as_meant(&self) -> bool {
        as_meant(self.expected_miss, self.judged, self.pass)
    }

    /// Whether the 95th percentile over the replications is the largest of them, because they are too few for any other.
    pub fn is_largest(&self) -> bool {
        self.statistic == Statistic::P95 && (2..Self::RUNS_FOR_P95).contains(&self.runs)
    }

    /// With fewer replications the 95th percentile is the largest value.
    pub const RUNS_FOR_P95: u32 = 20;
}

/// Whether an objective holds over these replications.
///
/// A censored value is a lower bound: what it bounds may be anything from there on. An objective holds if it holds
/// whatever that is, and is not judged if that decides.
pub fn judge(slo: &Slo, replications: &[Replication]) -> SloResult {
    let answers: Vec<Answer> =
        replications.iter().filter_map(|replication| replication.answer(slo)).collect();
    let least: Sample = answers.iter().map(|answer| answer.least).collect();
    let most: Sample = answers.iter().map(|answer| answer.most.unwrap_or(f64::INFINITY)).collect();
    let statistic = |sample: &Sample| match slo.statistic {
        Statistic::Mean => sample.mean(),
        Statistic::Min => sample.min(),
        Statistic::Max => sample.max(),
        Statistic::P95 => sample.quantile(0.95),
    };
    let holds = |sample: &Sample| statistic(sample).map(|value| slo.relation.holds(value, slo.limit));
    let verdict = holds(&least).filter(|_| holds(&least) == holds(&most));
    SloResult {
        expression: slo.expression.clone(),
        pass: verdict == Some(true),
        expected_miss: false,
        judged: verdict.is_some(),
        observed: statistic(&least),
        statistic: slo.statistic,
        runs: least.len() as u32,
        absent: slo.subject.when_absent(),
        limit: slo.limit,
        metric: slo.subject.name(),
        unit: slo.subject.unit(),
        censored: answers.iter().filter(|answer| answer.is_bound()).count() as u32,
    }
}

/// The left side of an objective over these replications.
pub fn estimate_of_left(slo: &Slo, replications: &[Replication]) -> Estimate {
    let answers = || replications.iter().filter_map(|replication| replication.answer(slo));
    let bounds = answers().filter(Answer::is_bound).count();
    estimate_of(&answers().map(|answer| answer.least).collect(), bounds as u32)
}

/// A metric of a class, or of the whole system, over these replications.
pub fn estimate(replications: &[Replication], class: Option<usize>, metric: Metric) -> Estimate {
    let of_class = || replications.iter().map(|replication| replication.metrics(class));
    let censored = of_class().filter(|metrics: &&Metrics| metrics.is_censored(metric)).count();
    estimate_of(&of_class().filter_map(|metrics| metrics.get(metric)).collect(), censored as u32)
}

/// Values of one quantity over replications, of which `censored` are only bounds.
pub fn estimate_of(sample: &Sample, censored: u32) -> Estimate {
    Estimate {
        mean: sample.mean(),
        half_width: sample.half_width(CONFIDENCE),
        min: sample.min(),
        max: sample.max(),
        p95: sample.quantile(0.95),
        n: sample.len() as u32,
        censored,
    }
}

fn estimates(
    replications: &[Replication],
    class: Option<usize>,
    wanted: impl Fn(Metric) -> bool,
) -> Named<Estimate> {
    let metrics = Metric::ALL.iter().copied().filter(|&metric| wanted(metric));
    Named(metrics.map(|metric| (metric.name().to_owned(), estimate(replications, class, metric))).collect())
}

fn alerts(scenario: &Scenario, replications: &[Replication]) -> Vec<AlertSummary> {
    let seconds = SimTime::as_secs_f64;
    let summary = |(index, rule): (usize, &AlertRule)| {
        let courses = || replications.iter().map(|run| (run.alerts[index], run.first_loss));
        let longest: Sample = courses()
            .filter(|(course, _)| course.first_true.is_some())
            .map(|(course, _)| course.longest.as_secs_f64())
            .collect();
        let fired: Sample = courses().filter_map(|(course, _)| course.fired.map(seconds)).collect();
        let lost = || courses().filter_map(|(course, loss)| Some((course.fired, loss?)));
        let leads: Sample =
            lost().filter_map(|(fired, loss)| Some(seconds(loss) - seconds(fired?))).collect();
        let too_late = lost().filter(|(fired, loss)| fired.is_none_or(|fired| fired >= *loss)).count();
        AlertSummary {
            alert: rule.name,
            severity: rule.severity.as_str(),
            expression: rule.condition.promql(),
            for_seconds: rule.wait.as_secs_f64(),
            true_in: longest.len() as u32,
            longest_seconds: longest.quantile(0.5),
            fired_in: fired.len() as u32,
            fired_seconds: fired.quantile(0.5),
            lost_in: lost().count() as u32,
            too_late_in: too_late as u32,
            lead_seconds: leads.quantile(0.5),
        }
    };
    let is_known = replications.iter().all(|run| run.alerts.len() == scenario.model.monitoring.rules.len());
    let rules = if is_known { &scenario.model.monitoring.rules[..] } else { &[] };
    rules.iter().enumerate().map(summary).collect()
}

/// The limits that any replication reached, the earliest first.
pub fn limits_reached(replications: &[Replication]) -> Vec<LimitReached> {
    let mut reached: Vec<LimitReached> = Limit::ALL
        .iter()
        .filter_map(|&limit| {
            let times: Sample = replications
                .iter()
                .filter_map(|run| run.limits.at(limit).map(SimTime::as_secs_f64))
                .collect();
            let seconds = times.quantile(0.5)?;
            Some(LimitReached { limit: limit.name(), seconds, replications: times.len() as u32 })
        })
        .collect();
    reached.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    reached
}

/// The limits that no replication reached, the nearest first.
pub fn limits_ahead(replications: &[Replication]) -> Vec<LimitAhead> {
    let is_ahead = |limit: Limit| replications.iter().all(|run| run.limits.at(limit).is_none());
    let mut ahead: Vec<LimitAhead> = Limit::ALL
        .iter()
        .filter(|&&limit| is_ahead(limit))
        .filter_map(|&limit| {
            let used: Sample = replications.iter().filter_map(|run| run.nearness.get(limit)).collect();
            Some(LimitAhead { limit: limit.name(), used: used.mean()? })
        })
        .collect();
    ahead.sort_by(|a, b| b.used.total_cmp(&a.used));
    ahead
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::slo::{Relation, Subject};

    /// Replications with these recovery times; `None` is one that does not recover within 100 s.
    fn runs(values: &[Option<f64>]) -> Vec<Replication> {
        let run = |&value: &Option<f64>| {
            let mut metrics = Metrics::default();
            metrics.set_or_censor(Metric::Recovery, value, 100.0);
            Replication::bare(0, metrics, Vec::new())
        };
        values.iter().map(run).collect()
    }

    /// An objective on the recovery of the whole system.
    fn recovery(statistic: Statistic, relation: Relation, limit: f64) -> Slo {
        let subject = Subject::Metric(Metric::Recovery);
        Slo { expression: String::new(), subject, class: None, statistic, relation, limit }
    }

    #[track_caller]
    fn check(
        statistic: Statistic,
        relation: Relation,
        limit: f64,
        values: &[Option<f64>],
        expected: Option<bool>,
    ) {
        let result = judge(&recovery(statistic, relation, limit), &runs(values));
        assert_eq!((result.pass, result.judged), (expected == Some(true), expected.is_some()), "{result:?}");
    }

    #[test]
    fn a_bound_meets_nothing_that_it_leaves_open() {
        use Relation::{Equal, Greater, Less, NotEqual};
        use Statistic::{Max, Mean, Min};
        let one_never = [Some(5.0), None, Some(7.0)];
        check(Max, Less, 10.0, &one_never, Some(false));
        check(Max, Less, 200.0, &one_never, None);
        check(Min, Less, 10.0, &one_never, Some(true));
        check(Mean, Less, 50.0, &one_never, None);
        check(Mean, Less, 20.0, &one_never, Some(false));
        check(Mean, Greater, 20.0, &one_never, Some(true));
        check(Mean, Greater, 120.0, &one_never, None);
        check(Mean, Equal, 112.0 / 3.0, &one_never, None);
        check(Mean, NotEqual, 112.0 / 3.0, &one_never, None);
        check(Max, Less, 10.0, &[Some(5.0)], Some(true));
    }

    #[test]
    fn what_has_no_value_is_neither_met_nor_judged() {
        let slo = recovery(Statistic::Max, Relation::Less, 10.0);
        let result = judge(&slo, &[Replication::bare(0, Metrics::default(), Vec::new())]);
        assert_eq!((result.pass, result.judged, result.observed), (false, false, None));
        assert_eq!(result.absent, "no spike or fault to recover from");
    }

    #[test]
    fn a_p95_of_few_runs_is_their_largest() {
        let largest = |count: usize| {
            let values: Vec<Option<f64>> = (0..count).map(|value| Some(value as f64)).collect();
            let (expression, statistic, relation) = (String::new(), Statistic::P95, Relation::Less);
            let slo = Slo {
                expression,
                subject: Subject::Metric(Metric::Recovery),
                class: None,
                statistic,
                relation,
                limit: 10.0,
            };
            let result = judge(&slo, &runs(&values));
            (result.is_largest(), result.observed == Some(count as f64 - 1.0))
        };
        assert_eq!([1, 2, 19, 20].map(largest), [(false, true), (true, true), (true, true), (false, false)]);
    }
}
