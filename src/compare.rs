//! Two scenarios or results side by side: what differs, by how much, and whether it can be chance.
//!
//! Runs with the same seed see the same jobs (common random numbers). Where the replications are known, differences are
//! taken pair by pair, so that common noise cancels; where only estimates are known, as between independent means.
//! Since many differences are tested at once, one matters only if its p-value passes Holm's correction over all.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::experiment::Findings;
use crate::experiment::earlier::{Earlier, Judged};
use crate::experiment::replication::Replication;
use crate::experiment::summary::{CONFIDENCE, Estimate, Named, SloResult, Verdict};
use crate::model::metric::{Direction, Metric, Unit};
use crate::scenario::slo::name_of;
use crate::scenario::{self, Loaded, Setting};
use crate::stats::holm;
use crate::stats::paired::PairedDifference;
use crate::stats::welch::{MeanOf, WelchDifference};

/// Version of the JSON document; a change that breaks readers counts it up.
pub const SCHEMA: &str = "backpressure-sim/compare/1";

/// What `simulate compare A B --json` prints.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Version of this document.
    pub schema: &'static str,
    /// Version of the program.
    pub version: &'static str,
    /// The command line that makes it again.
    pub command: String,
    /// The first side.
    pub a: Side,
    /// The second side.
    pub b: Side,
    /// Confidence of each interval, and that all differences that matter are real.
    pub confidence: f64,
    /// How the p-values are corrected for multiple tests.
    pub correction: &'static str,
    /// Whether differences are taken replication by replication.
    pub pairing: Pairing,
    /// Settings that differ; `None` if those of a side are not known.
    pub settings: Option<Vec<SettingDifference>>,
    /// How many of the differences matter.
    pub matter: usize,
    /// What matters comes first, then the larger relative difference.
    pub differences: Vec<Difference>,
    /// What the reader should know about the comparison.
    pub remarks: Vec<String>,
}

/// One of the two.
#[derive(Clone, Debug, Serialize)]
pub struct Side {
    /// What it is called in reports.
    pub label: String,
    /// The file or folder that it is from.
    pub source: String,
    /// Master seed.
    pub seed: u64,
    /// Replications.
    pub replications: u32,
    /// Hash of all results.
    pub digest: String,
    /// Whether it meets its objectives.
    pub verdict: Verdict,
    /// Its objectives.
    pub objectives: Vec<Judged>,
    /// Whether traffic was refused or lost that no objective limits.
    pub has_unlimited: bool,
    /// Its settings; `None` if they are not known.
    #[serde(skip)]
    settings: Option<Vec<Setting>>,
    #[serde(skip)]
    system: Named<Figure>,
    #[serde(skip)]
    classes: Named<Named<Figure>>,
    #[serde(skip)]
    remarks: Vec<String>,
}

/// A metric of a side.
#[derive(Clone, Debug)]
struct Figure {
    estimate: Estimate,
    /// One value a replication, where they are known.
    values: Option<Vec<Option<f64>>>,
}

/// Whether differences are taken replication by replication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Pairing {
    /// All of them.
    Paired,
    /// Some of them.
    Partly,
    /// None of them.
    Independent,
}

/// A setting that is not the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SettingDifference {
    /// Where it is, as `--set` names it.
    pub path: String,
    /// Its value in A as TOML; `None` if it is absent there.
    pub a: Option<String>,
    /// Its value in B.
    pub b: Option<String>,
}

/// A metric that both sides have.
#[derive(Clone, Debug, Serialize)]
pub struct Difference {
    /// What is measured.
    #[serde(serialize_with = "by_name")]
    pub metric: Metric,
    /// Of which job class; `None` is the whole system.
    pub class: Option<String>,
    /// What A says.
    pub a: Estimate,
    /// What B says.
    pub b: Estimate,
    /// Mean of B minus mean of A.
    pub difference: f64,
    /// Half the interval of the difference; `None` with fewer than two replications.
    pub half_width: Option<f64>,
    /// The difference as a share of the size of A's mean; `None` if that is zero and B's is not.
    pub relative: Option<f64>,
    /// Probability of a difference at least as large if there were none.
    pub p_value: Option<f64>,
    /// The same, adjusted for the number of differences looked at.
    pub p_adjusted: Option<f64>,
    /// Whether it is real, by the corrected p-value.
    pub matters: bool,
    /// How large it is, real or not.
    pub size: Size,
    /// What it means for the service.
    pub effect: Effect,
    /// Whether it was taken replication by replication.
    pub paired: bool,
    /// Correlation of A and B over the replications: the closer to 1 the more pairing helped. `None` if a side
    /// does not vary, or they are not paired.
    pub correlation: Option<f64>,
}

/// What B is compared with A.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Better, and not by chance.
    Improved,
    /// Worse, and not by chance.
    Worse,
    /// Different, and not by chance, in a metric of which neither more nor less is worse.
    Changed,
    /// Chance may explain the difference.
    WithinNoise,
    /// No replication differs.
    Same,
}

impl Effect {
    fn of(metric: Metric, difference: f64, matters: bool, size: Size) -> Self {
        match (matters, size, metric.direction()) {
            (_, Size::Same, _) => Self::Same,
            (false, ..) => Self::WithinNoise,
            (true, _, Direction::Neutral) => Self::Changed,
            (true, _, Direction::HigherIsWorse) if difference > 0.0 => Self::Worse,
            (true, _, Direction::LowerIsWorse) if difference < 0.0 => Self::Worse,
            (true, ..) => Self::Improved,
        }
    }

    /// In a word or two.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Improved => "improved",
            Self::Worse => "worse",
            Self::Changed => "changed",
            Self::WithinNoise => "within noise",
            Self::Same => "same",
        }
    }
}

/// The size of a difference relative to the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Size {
    /// Nothing differs.
    Same,
    /// Less than a hundredth.
    Slight,
    /// Less than a tenth.
    Moderate,
    /// A tenth or more, or something where there was nothing.
    Large,
}

impl Side {
    /// A side that has just been run.
    pub fn of_run(label: String, source: String, loaded: &Loaded, findings: &Findings) -> Self {
        let Findings { summary, replications, .. } = findings;
        let values_of = |class: Option<usize>, metric: &str| -> Option<Vec<Option<f64>>> {
            let metric = Metric::from_name(metric)?;
            let of_one = |run: &Replication| match class {
                None => Some(run.system.get(metric)),
                Some(class) => run.classes.get(class).map(|metrics| metrics.get(metric)),
            };
            replications.iter().map(of_one).collect()
        };
        let figures = |class: Option<usize>, estimates: &Named<Estimate>| {
            estimates.map(|name, &estimate| Figure { estimate, values: values_of(class, name) })
        };
        let classes = summary
            .classes
            .0
            .iter()
            .enumerate()
            .map(|(index, (name, of_class))| (name.clone(), figures(Some(index), of_class)));
        Self {
            label,
            source,
            seed: summary.seed,
            replications: summary.replications,
            digest: summary.digest.clone(),
            verdict: summary.verdict,
            objectives: summary.slo.iter().map(judged).collect(),
            has_unlimited: !summary.traffic.unlimited.is_empty(),
            settings: Some(loaded.settings.clone()),
            system: figures(None, &summary.metrics),
            classes: Named(classes.collect()),
            remarks: Vec::new(),
        }
    }

    /// A side read from the results of an earlier run.
    pub fn of_earlier(label: String, source: String, earlier: &Earlier) -> Self {
        let values_of = |name: &str| {
            let table = earlier.table.as_ref()?;
            table.get(Metric::from_name(name)?).map(<[Option<f64>]>::to_vec)
        };
        let mut remarks = Vec::new();
        if earlier.interrupted {
            remarks.push(format!("The run of {} was interrupted.", earlier.path.display()));
        }
        remarks.extend(
            earlier
                .no_table
                .as_ref()
                .map(|why| format!("Of {} only the estimates are known: {why}.", earlier.path.display())),
        );
        Self {
            label,
            source,
            seed: earlier.seed,
            replications: earlier.replications,
            digest: earlier.digest.clone(),
            verdict: earlier.verdict,
            objectives: earlier.slo.clone(),
            has_unlimited: earlier.has_unlimited(),
            settings: None,
            system: earlier.metrics.map(|name, &estimate| Figure { estimate, values: values_of(name) }),
            classes: earlier
                .classes
                .map(|_, estimates| estimates.map(|_, &estimate| Figure { estimate, values: None })),
            remarks,
        }
    }
}

impl Side {
    /// Adds what the reader should know about this side.
    pub fn remark(&mut self, remark: String) {
        self.remarks.push(remark);
    }
}

fn judged(result: &SloResult) -> Judged {
    Judged {
        expression: result.expression.clone(),
        pass: result.pass,
        expected_miss: result.expected_miss,
        judged: result.judged,
        observed: result.observed,
        metric: result.metric.clone().into_owned(),
        unit: Some(result.unit),
        censored: result.censored,
    }
}

/// Compares B with A in all metrics that both have, or only in `wanted` if there are any.
///
/// A metric's name includes its unit, so equal names are comparable. Metrics and classes that only one side has are
/// listed in a remark.
pub fn compare(a: Side, b: Side, wanted: &[Metric], command: String) -> Comparison {
    let is_wanted = |metric: &Metric| wanted.is_empty() || wanted.contains(metric);
    // With one seed, replication i of both sides sees the same jobs. Otherwise pairing gains nothing.
    let may_pair = a.seed == b.seed && a.replications == b.replications;
    let mut one_sided = Vec::new();
    let mut differences = Vec::new();
    for (class, of_a, of_b) in common(&a, &b) {
        for metric in Metric::ALL.iter().copied().filter(is_wanted) {
            let figures = (of_a.get(metric.name()), of_b.get(metric.name()));
            let (Some(figure_a), Some(figure_b)) = figures else { continue };
            match difference(metric, class, figure_a, figure_b, may_pair) {
                Some(difference) => differences.push(difference),
                None if figure_a.estimate.mean.is_some() != figure_b.estimate.mean.is_some() => {
                    let letter = if figure_a.estimate.mean.is_some() { 'A' } else { 'B' };
                    one_sided.push((name_of(metric, class), letter));
                }
                None => {}
            }
        }
    }
    adjust(&mut differences);
    // What a person asks first comes first, then the largest. A stable sort, so that equals stay in the order of reports.
    differences.sort_by(|one, other| {
        let by_importance = one.metric.importance().cmp(&other.metric.importance());
        let by_size = other.relative_size().total_cmp(&one.relative_size());
        other.matters.cmp(&one.matters).then(by_importance).then(by_size)
    });
    let settings = setting_differences(&a, &b);
    let remarks = remarks(&a, &b, settings.as_deref(), &differences, &one_sided);
    let paired = differences.iter().filter(|difference| difference.paired).count();
    Comparison {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        command,
        confidence: CONFIDENCE,
        correction: "holm",
        pairing: match paired {
            0 => Pairing::Independent,
            paired if paired < differences.len() => Pairing::Partly,
            _ => Pairing::Paired,
        },
        settings,
        matter: differences.iter().filter(|difference| difference.matters).count(),
        differences,
        remarks,
        a,
        b,
    }
}

/// The system and the common classes. If both sides have a single class, it would only repeat the system.
fn common<'a>(
    a: &'a Side,
    b: &'a Side,
) -> impl Iterator<Item = (Option<&'a str>, &'a Named<Figure>, &'a Named<Figure>)> {
    let is_single = a.classes.0.len() == 1 && b.classes.0.len() == 1;
    let classes = a
        .classes
        .0
        .iter()
        .filter(move |_| !is_single)
        .filter_map(|(name, of_a)| b.classes.get(name).map(|of_b| (Some(name.as_str()), of_a, of_b)));
    std::iter::once((None, &a.system, &b.system)).chain(classes)
}

fn difference(
    metric: Metric,
    class: Option<&str>,
    a: &Figure,
    b: &Figure,
    may_pair: bool,
) -> Option<Difference> {
    let (mean_a, mean_b) = (a.estimate.mean?, b.estimate.mean?);
    let mut found = Difference {
        metric,
        class: class.map(str::to_owned),
        a: a.estimate,
        b: b.estimate,
        difference: mean_b - mean_a,
        half_width: None,
        relative: None,
        p_value: None,
        p_adjusted: None,
        matters: false,
        size: Size::Same,
        effect: Effect::Same,
        paired: false,
        correlation: None,
    };
    if let Some(paired) = paired(a, b).filter(|_| may_pair) {
        found.difference = paired.mean;
        found.half_width = Some(paired.half_width);
        found.p_value = Some(paired.p_value);
        found.correlation = paired.correlation;
        found.paired = true;
    } else if let Some(welch) = independent(&a.estimate, &b.estimate) {
        found.half_width = Some(welch.half_width);
        found.p_value = Some(welch.p_value);
    }
    found.relative = match (mean_a.abs(), found.difference.abs()) {
        (size, _) if size > 0.0 => Some(found.difference / size),
        (_, difference) if difference > 0.0 => None,
        _ => Some(0.0),
    };
    found.size = match found.relative_size() {
        size if size >= LARGE => Size::Large,
        size if size >= SLIGHT => Size::Moderate,
        size if size > 0.0 || found.half_width.is_some_and(|half_width| half_width > 0.0) => Size::Slight,
        _ => Size::Same,
    };
    Some(found)
}

/// Only if every replication has a value on both sides: the means shown are then those of the pairs.
fn paired(a: &Figure, b: &Figure) -> Option<PairedDifference> {
    let values = |figure: &Figure| -> Option<Vec<f64>> { figure.values.as_ref()?.iter().copied().collect() };
    let (a, b) = (values(a)?, values(b)?);
    if a.len() == b.len() { PairedDifference::of(&a, &b, CONFIDENCE) } else { None }
}

fn independent(a: &Estimate, b: &Estimate) -> Option<WelchDifference> {
    let mean_of = |of: &Estimate| Some(MeanOf { mean: of.mean?, half_width: of.half_width?, n: of.n });
    WelchDifference::of(mean_of(a)?, mean_of(b)?, CONFIDENCE)
}

/// Finds what matters among all differences.
fn adjust(differences: &mut [Difference]) {
    let p_values: Vec<f64> = differences.iter().filter_map(|difference| difference.p_value).collect();
    let tested = differences.iter_mut().filter(|difference| difference.p_value.is_some());
    for (difference, adjusted) in tested.zip(holm::adjusted(&p_values)) {
        difference.p_adjusted = Some(adjusted);
        difference.matters = adjusted <= 1.0 - CONFIDENCE;
    }
    for one in differences {
        one.effect = Effect::of(one.metric, one.difference, one.matters, one.size);
    }
}

/// All differences but the name, which is not a property of the system.
fn setting_differences(a: &Side, b: &Side) -> Option<Vec<SettingDifference>> {
    let found = scenario::differences(
        &values(a.settings.as_ref()?),
        &values(b.settings.as_ref()?),
        a.settings.as_ref()?,
    );
    let found = found.into_iter().filter(|difference| difference.path != "name");
    Some(found.map(|found| SettingDifference { path: found.path, a: found.before, b: found.after }).collect())
}

/// The settings that have a value, by path.
fn values(settings: &[Setting]) -> BTreeMap<String, String> {
    settings.iter().filter_map(|setting| Some((setting.path.clone(), setting.value.clone()?))).collect()
}

fn remarks(
    a: &Side,
    b: &Side,
    settings: Option<&[SettingDifference]>,
    differences: &[Difference],
    one_sided: &[(String, char)],
) -> Vec<String> {
    let mut remarks: Vec<String> = a.remarks.iter().chain(&b.remarks).cloned().collect();
    let list = |names: &[&str]| names.join(", ");
    if settings.is_none() {
        remarks.push(
            "Which settings differ is unknown: the results of an earlier run do not contain them.".to_owned(),
        );
    }
    if settings.unwrap_or_default().iter().any(|setting| setting.path == "duration") {
        remarks.push("The runs have different durations, so counts cover different times.".to_owned());
    }
    if a.seed != b.seed {
        remarks.push(format!(
            "The seeds differ ({} and {}), so A and B saw different jobs and are compared as independent.",
            a.seed, b.seed
        ));
    } else if a.replications != b.replications {
        remarks.push(format!(
            "A rests on {} replications and B on {}, so they are compared as independent.",
            a.replications, b.replications
        ));
    }
    match a.replications.min(b.replications) {
        1 => remarks.push(
            "One replication has no interval, so nothing can be distinguished from chance. Run more with `-n`."
                .to_owned(),
        ),
        few @ 2..FEW => remarks.push(format!(
            "With only {few} replications, intervals are wide, and a value that did not vary may still vary."
        )),
        _ => {}
    }
    for (letter, one, other) in [("A", a, b), ("B", b, a)] {
        let only = names_only_in(&one.classes, &other.classes);
        if !only.is_empty() {
            remarks.push(format!("Job classes that only {letter} has: {}.", list(&only)));
        }
        let only = names_only_in(&one.system, &other.system);
        if !only.is_empty() {
            remarks.push(format!("Metrics that only {letter} has: {}.", list(&only)));
        }
        let only: Vec<&str> = one_sided
            .iter()
            .filter(|(_, side)| side.to_string() == letter)
            .map(|(name, _)| name.as_str())
            .collect();
        if !only.is_empty() {
            remarks.push(format!("Only {letter} has a value for: {}.", list(&only)));
        }
        let differing = differences.iter().filter(|difference| !difference.is_same());
        let censored: Vec<String> = differing
            .filter_map(|difference| {
                let of = if letter == "A" { difference.a } else { difference.b };
                let counts = (of.censored, of.n);
                (of.censored > 0).then(|| format!("{} ({} of {})", difference.name(), counts.0, counts.1))
            })
            .collect();
        if !censored.is_empty() {
            remarks.push(format!(
                "Had not happened by the end of the run of {letter}, which counts instead: {}.",
                censored.join(", ")
            ));
        }
    }
    remarks
}

fn names_only_in<'a, T>(one: &'a Named<T>, other: &Named<T>) -> Vec<&'a str> {
    one.0.iter().map(|(name, _)| name.as_str()).filter(|name| other.get(name).is_none()).collect()
}

impl Difference {
    /// The metric and its class, as objectives name them.
    pub fn name(&self) -> String {
        name_of(self.metric, self.class.as_deref())
    }

    /// What the metric counts in.
    pub fn unit(&self) -> Unit {
        self.metric.unit()
    }

    /// The relative difference without its sign; infinite for something where there was nothing.
    pub fn relative_size(&self) -> f64 {
        self.relative.map_or(f64::INFINITY, f64::abs)
    }

    /// Half the interval of the relative difference, taking A's mean as it is.
    pub fn relative_half_width(&self) -> Option<f64> {
        let mean = self.a.mean?.abs();
        self.half_width.filter(|_| mean > 0.0).map(|half_width| half_width / mean)
    }

    /// Whether A and B agree in full: no replication differs.
    pub fn is_same(&self) -> bool {
        self.size == Size::Same
    }
}

fn by_name<S: serde::Serializer>(metric: &Metric, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(metric.name())
}

/// Below this share a difference is slight.
const SLIGHT: f64 = 0.01;
/// From this share on a difference is large.
const LARGE: f64 = 0.1;
/// Fewer replications than this are few.
const FEW: u32 = 5;
