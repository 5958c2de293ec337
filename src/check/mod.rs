//! The gate of continuous integration: is a scenario worse than it was when its baseline was accepted?
//!
//! Every metric is compared replication by replication. Seed and number of replications are those of the baseline, so
//! both sides see the same jobs (common random numbers) and only their differences count. Let L be the tolerance:
//! by default 2% of the baseline's mean, and never below a floor ([`tolerances::floor`]). A metric with a bad
//! direction ([`Metric::direction`](crate::model::metric::Metric::direction)) has
//!
//! - **regressed** if it is proven worse and the mean difference exceeds L;
//! - **improved** if it is proven better and the mean difference exceeds L;
//! - not changed (**unchanged**) if the bad end of the 95% Student-t interval of the difference is within L;
//! - else it is **inconclusive**: it may be worse by more than L, but that is not proven.
//!
//! **Errors.** A check tests many metrics, and one in twenty would differ by chance. So *proven* means that the
//! two-sided t-test of the paired differences rejects after Holm's correction over all gated metrics of all scenarios
//! of the check. The family-wise error is 5% under any dependence: if only the random numbers have changed, at most
//! one check in twenty reports a regression or an improvement, and at most about one in forty fails (fewer in
//! practice, since the mean must also exceed L). The t-test assumes normal means; for few replications and
//! rare events it is an approximation: a count that moves by the same number in each of two or three replications
//! counts as proven. *Unchanged* is a statement about one metric: of metrics worse by exactly L, one in forty passes;
//! the worse a metric is, the likelier it is called regressed or inconclusive.
//!
//! Identical results (equal digests) are unchanged whatever the tolerances. Since results depend only on scenario, seed
//! and program, a commit always gets the same ruling, and one that changes no result never fails.
//!
//! **Bounds.** A recovery that did not happen within the run counts as the horizon, and is marked. If a metric has no
//! value in a replication on one side, that replication is left out of the mean and the metric is at best
//! inconclusive. One replication proves nothing: any difference is inconclusive.
//!
//! **Comparable** are only runs of the same experiment ([`settings`]): load, duration, warm-up, start, seed. The system
//! under test may change, and the report lists how.

pub mod baseline;
pub mod gate;
pub mod settings;
pub mod tolerances;

use crate::experiment::replication::Replication;
use crate::experiment::summary::{LimitReached, SloResult, digest, judge, limits_reached};
use crate::experiment::traffic::Traffic;
use crate::model::metric::Metric;
use crate::scenario::Loaded;
use baseline::{BaselineError, Entry};
use gate::{Judgement, MetricCheck, compare, settle};
use settings::{Change, Part, changes, part_of};
use tolerances::Tolerances;

/// The result of a check.
#[derive(Clone, Debug)]
pub struct Check {
    /// The worst of all scenarios.
    pub verdict: Ruling,
    /// How many metrics are gated: the family of the tests.
    pub gated: usize,
    /// What an inconclusive metric means.
    pub on_inconclusive: OnInconclusive,
    /// In the order of the command line.
    pub scenarios: Vec<ScenarioCheck>,
}

/// What an inconclusive check does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnInconclusive {
    /// It does not pass.
    #[default]
    Fail,
    /// It passes with a warning.
    Warn,
}

/// The result of one scenario.
#[derive(Clone, Debug)]
pub struct ScenarioCheck {
    /// Its name.
    pub name: String,
    /// Its file, as given.
    pub file: String,
    /// Seed of both sides.
    pub seed: u64,
    /// Replications of each side.
    pub replications: u32,
    /// Hash of what it found.
    pub digest: String,
    /// Hash of what the baseline found.
    pub baseline_digest: String,
    /// The worst of it.
    pub verdict: Ruling,
    /// What became of all traffic now.
    pub traffic: Traffic,
    /// Limits that were reached now, the earliest first.
    pub limits_reached: Vec<LimitReached>,
    /// What has changed of the system under test.
    pub changes: Vec<Change>,
    /// Each expression of `slo`.
    pub objectives: Vec<Objective>,
    /// Each metric, of the system first.
    pub comparisons: Vec<MetricCheck>,
    /// Remarks on the comparison.
    pub notes: Vec<String>,
}

/// One objective, now and in the baseline.
#[derive(Clone, Debug)]
pub struct Objective {
    /// Now.
    pub current: SloResult,
    /// In the baseline.
    pub baseline: SloResult,
}

impl Objective {
    /// Whether it fails the check: it is missed, or met though the scenario is meant to miss it.
    pub fn fails(&self) -> bool {
        !self.current.is_as_meant()
    }
}

/// Whether a check has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ruling {
    /// Nothing is worse, every objective is met.
    Pass,
    /// Something may be worse.
    Inconclusive,
    /// A metric has regressed or an objective is missed.
    Fail,
}

/// The rules of a check.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// How much worse is tolerated.
    pub tolerances: Tolerances,
    /// What an inconclusive metric means.
    pub on_inconclusive: OnInconclusive,
}

/// A scenario, its baseline, and what it found now with the seed and number of replications of the baseline.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// As file and `--set` say.
    pub loaded: &'a Loaded,
    /// The file, as given.
    pub file: &'a str,
    /// Its baseline.
    pub baseline: &'a Entry,
    /// What it found now.
    pub replications: &'a [Replication],
}

/// The differences in the experiment that make a scenario incomparable with its baseline.
pub fn obstacles(loaded: &Loaded, entry: &Entry) -> Vec<Change> {
    let differs = |change: &Change| part_of(&change.setting) == Part::Experiment;
    changes(&entry.settings, loaded).into_iter().filter(differs).collect()
}

impl Check {
    /// Compares and judges.
    ///
    /// # Errors
    ///
    /// If a baseline contradicts itself.
    pub fn of(subjects: &[Subject<'_>], rules: &Rules) -> Result<Self, BaselineError> {
        let mut scenarios = Vec::with_capacity(subjects.len());
        for subject in subjects {
            scenarios.push(ScenarioCheck::of(subject, rules)?);
        }
        let mut family: Vec<&mut MetricCheck> =
            scenarios.iter_mut().flat_map(|scenario| &mut scenario.comparisons).collect();
        let gated = family.iter().filter(|comparison| comparison.limit.is_some()).count();
        settle(&mut family);
        for scenario in &mut scenarios {
            scenario.verdict = scenario.judge();
        }
        let verdict = scenarios.iter().map(|scenario| scenario.verdict).max().unwrap_or(Ruling::Pass);
        Ok(Self { verdict, gated, on_inconclusive: rules.on_inconclusive, scenarios })
    }
}

impl ScenarioCheck {
    fn of(subject: &Subject<'_>, rules: &Rules) -> Result<Self, BaselineError> {
        let Subject { loaded, file, baseline, replications } = *subject;
        let scenario = &loaded.scenario;
        let classes: Vec<&str> = scenario.model.classes.iter().map(|class| class.name.as_str()).collect();
        let restored = baseline.restore(scenario)?;
        let before = &restored.replications;
        let expected = scenario.expected_misses.iter().map(|slo| (slo, true));
        let all = scenario.slo.iter().map(|slo| (slo, false)).chain(expected);
        let objectives = all.map(|(slo, expected_miss)| {
            let [current, baseline] =
                [replications, before].map(|runs| SloResult { expected_miss, ..judge(slo, runs) });
            Objective { current, baseline }
        });
        let differs = |change: &Change| part_of(&change.setting) == Part::System;
        Ok(Self {
            name: scenario.name.clone(),
            file: file.to_owned(),
            seed: baseline.seed,
            replications: baseline.replications,
            digest: digest(replications),
            baseline_digest: digest(before),
            verdict: Ruling::Pass,
            traffic: Traffic::of(scenario, replications),
            limits_reached: limits_reached(replications),
            changes: changes(&baseline.settings, loaded).into_iter().filter(differs).collect(),
            objectives: objectives.collect(),
            comparisons: compare(&classes, before, replications, &rules.tolerances, &restored.unknown),
            notes: notes(&restored.unknown, before, replications),
        })
    }

    fn judge(&self) -> Ruling {
        let any = |wanted| self.comparisons.iter().any(|comparison| comparison.judgement == wanted);
        if self.objectives.iter().any(Objective::fails) || any(Judgement::Regressed) {
            Ruling::Fail
        } else if any(Judgement::Inconclusive) {
            Ruling::Inconclusive
        } else {
            Ruling::Pass
        }
    }

    /// Whether both sides are the same to the last count.
    pub fn is_identical(&self) -> bool {
        self.digest == self.baseline_digest
    }

    /// How many metrics have that judgement.
    pub fn count(&self, judgement: Judgement) -> usize {
        self.comparisons.iter().filter(|comparison| comparison.judgement == judgement).count()
    }
}

fn notes(unknown: &[Metric], before: &[Replication], now: &[Replication]) -> Vec<String> {
    let mut notes = Vec::new();
    if !unknown.is_empty() {
        let names: Vec<&str> = unknown.iter().map(|metric| metric.name()).collect();
        notes.push(format!("not in the baseline, so not compared: {}", names.join(", ")));
    }
    // What clients send again depends on the system; what they want done does not.
    let wanted = |run: &Replication| run.get(Metric::Requests).or_else(|| run.get(Metric::Offered));
    let offered = |replications: &[Replication]| -> Vec<Option<u64>> {
        replications.iter().map(|run| wanted(run).map(f64::to_bits)).collect()
    };
    if offered(before) != offered(now) {
        notes.push(
            "other jobs arrive than in the baseline, although no setting of the load has changed: the program draws \
             other random numbers, so the pairs correlate less and the intervals are wider"
                .to_owned(),
        );
    }
    notes
}
