//! The gate of continuous integration: is a scenario worse than it was when its baseline was accepted?
//!
//! Every metric is compared replication by replication. Seed and number are those of the baseline, so both sides
//! see the same jobs (common random numbers) and only their differences count. Let L be how much worse is
//! tolerated: by default 2% of the baseline's mean, and never less than what nobody notices
//! ([`tolerances::floor`]). A metric with a bad direction ([`gate::direction`]) has
//!
//! - **regressed** if it is proven that it is worse at all, and the mean difference is above L;
//! - **improved** if it is proven that it is better at all, and the mean difference is above L;
//! - not changed (**unchanged**) if the bad end of the 95% Student-t interval of the difference is within L;
//! - else the check is **inconclusive**: it may be worse by more than L, but that is not proven.
//!
//! **Errors.** Many metrics are looked at, and one in twenty would seem changed by chance. So *proven* means that
//! the two-sided t-test of the paired differences rejects with Holm's correction over all gated metrics of all
//! scenarios of the check, at a family-wise error of 5% under any dependence between them: where nothing has changed
//! but the random numbers, at most one check in twenty reports a regression or an improvement, at most about one in
//! forty fails by a regression, and less as the mean must also pass L. Like every t-test this takes means
//! of few replications for normal; counts of rare events are not, and for them it is an approximation: one that moves
//! by the same number in each of two or three replications is taken for proven.
//! *Unchanged* is a statement about one metric: of those worse by exactly L one in forty passes. A worse one is the
//! more likely to be called regressed or inconclusive the worse it is.
//!
//! The same results - equal digests - are unchanged whatever the limits. As a result depends on nothing but
//! scenario, seed and program, a commit always gets the same verdict, and one that changes no result never fails.
//!
//! **Bounds.** A recovery that did not come within the run counts as the horizon, and is marked. Replications in
//! which a metric has no value on one side are left out of its mean, and the metric is then at best
//! inconclusive. One replication proves nothing: what differs is inconclusive.
//!
//! **Comparable** is only what was put through the same ([`settings`]): load, duration, warm-up, start, seed. The
//! system under test may change, and the report says in what.

pub mod baseline;
pub mod gate;
pub mod settings;
pub mod tolerances;

use crate::experiment::replication::Replication;
use crate::experiment::summary::{SloResult, digest, judge};
use crate::model::metric::Metric;
use crate::scenario::Loaded;
use baseline::{BaselineError, Entry};
use gate::{Judgement, MetricCheck, compare, settle};
use settings::{Change, Part, changes, part_of};
use tolerances::Tolerances;

/// What came of a check.
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

/// What becomes of a check that can neither prove a regression nor rule it out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnInconclusive {
    /// It does not pass.
    #[default]
    Fail,
    /// It passes with a warning.
    Warn,
}

/// What came of one scenario.
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
    /// What has changed of the system under test.
    pub changes: Vec<Change>,
    /// Each expression of `slo`.
    pub objectives: Vec<Objective>,
    /// Each metric, of the system first.
    pub comparisons: Vec<MetricCheck>,
    /// Remarks on the comparison.
    pub notes: Vec<String>,
}

/// One expression of `slo`, now and in the baseline.
#[derive(Clone, Debug)]
pub struct Objective {
    /// Now.
    pub current: SloResult,
    /// What it would have said of the baseline.
    pub baseline: SloResult,
    /// Whether it fails the check.
    pub fails: bool,
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

/// What is held against a scenario.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// How much worse is tolerated.
    pub tolerances: Tolerances,
    /// Whether an objective that the baseline misses, too, is no failure.
    pub accept_known_misses: bool,
    /// What an inconclusive metric means.
    pub on_inconclusive: OnInconclusive,
}

/// A scenario, its baseline, and what it found now with the seed and number of replications of the baseline.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// As file and `--set` have it.
    pub loaded: &'a Loaded,
    /// The file, as given.
    pub file: &'a str,
    /// Its baseline.
    pub baseline: &'a Entry,
    /// What it found now.
    pub replications: &'a [Replication],
}

/// Why a scenario cannot be compared with its baseline: what differs in the experiment.
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
        let restored = baseline.restore(&scenario.name, &classes)?;
        let before = &restored.replications;
        let objectives = scenario.slo.iter().map(|slo| {
            let (current, baseline) = (judge(slo, replications), judge(slo, before));
            let is_known = rules.accept_known_misses && !baseline.pass;
            Objective { fails: !current.pass && !is_known, current, baseline }
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
            changes: changes(&baseline.settings, loaded).into_iter().filter(differs).collect(),
            objectives: objectives.collect(),
            comparisons: compare(&classes, before, replications, &rules.tolerances, &restored.unknown),
            notes: notes(&restored.unknown, before, replications),
        })
    }

    fn judge(&self) -> Ruling {
        let any = |wanted| self.comparisons.iter().any(|comparison| comparison.judgement == wanted);
        if self.objectives.iter().any(|objective| objective.fails) || any(Judgement::Regressed) {
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

    /// How many metrics the gate says that of.
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
    let offered = |replications: &[Replication]| -> Vec<Option<u64>> {
        replications.iter().map(|run| run.get(Metric::Offered).map(f64::to_bits)).collect()
    };
    if offered(before) != offered(now) {
        notes.push(
            "other jobs arrive than in the baseline, although no setting of the load has changed: the program draws \
             other random numbers, so the pairs have less in common and the intervals are wider"
                .to_owned(),
        );
    }
    notes
}
