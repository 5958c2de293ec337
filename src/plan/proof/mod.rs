//! The files of a plan, read back and simulated: what an operator applies is what is shown to meet the objectives.
//!
//! ```text
//! choice --report--> plan.env, hpa.yaml, keda.yaml, alerts.yaml --read--> scenario --simulate--> objectives, alerts
//! ```
//!
//! The texts are read as the gateway, Kubernetes, KEDA and Prometheus would read them. A candidate whose files do not meet
//! the objectives is no plan, and the search goes on without it. In the incidents of the plan the alerts are looked at:
//! whether somebody is called before the objective on refused or lost jobs is used up.

pub mod alerts;
mod env;
mod manifests;
mod yaml;

use super::Choice;
use super::incidents::{self, Incident};
use super::scaling::Scaling;
use crate::engine::time::{MONTH, SimTime};
use crate::experiment::replication::Replication;
use crate::experiment::summary::{SloResult, Summary};
use crate::experiment::traffic::Fates;
use crate::experiment::{self, Findings, Progress, parallel};
use crate::model::config::{AlertRule, AutoscalerConfig, ModelConfig, Quantity, Severity};
use crate::model::metric::Metric;
use crate::scenario::Scenario;
use crate::scenario::slo::{Relation, Slo, Subject};
use crate::stats::interval::Sample;
use crate::study::cost::Monthly;

/// What a plan emits, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    /// The settings of the gateway.
    pub env: String,
    /// The autoscaler for Kubernetes.
    pub hpa: String,
    /// The same for KEDA.
    pub keda: String,
    /// The rules for Prometheus.
    pub alerts: String,
}

/// What became of the files.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    /// Why a file cannot be read; nothing was simulated then.
    pub unreadable: Option<String>,
    /// The gateway's settings with each of the autoscalers.
    pub manifests: Vec<Tested>,
    /// The rules of `alerts.yaml`.
    pub rules: Vec<AlertRule>,
    /// What they do: as planned, and in each incident. Empty where the scenario scrapes nothing.
    pub incidents: Vec<Alarm>,
}

/// `plan.env` with one of the manifests.
#[derive(Clone, Debug)]
pub struct Tested {
    /// The file: `hpa`, `keda`.
    pub name: &'static str,
    /// Each objective and what came of it.
    pub slo: Vec<SloResult>,
    /// What became of the traffic.
    pub fates: Fates,
    /// Mean cost a month.
    pub cost: f64,
    /// Hash of all results.
    pub digest: String,
}

/// What the alerts do in an incident.
#[derive(Clone, Debug)]
pub struct Alarm {
    /// The incident; `as planned` is the first.
    pub name: String,
    /// What became of the traffic.
    pub fates: Fates,
    /// Objectives that are missed.
    pub missed: Vec<String>,
    /// When the objective on refused or lost jobs was used up, in seconds, and which; `None` if none was.
    pub used_up: Option<(f64, String)>,
    /// For each rule when it fired, in seconds: the median over the runs in which it did.
    pub fired: Vec<Option<f64>>,
    /// Whether an alert that calls somebody fired before the objective was used up; `None` where none was.
    pub in_time: Option<bool>,
}

impl Proof {
    /// Reads the files and simulates them, in the current rayon pool. `None` if interrupted.
    pub fn of(choice: &Choice, files: &Files, progress: &impl Progress) -> Option<Self> {
        match read(choice, files) {
            Ok((rules, with_each)) => Self::simulated(rules, with_each, progress),
            Err(unreadable) => Some(Self { unreadable: Some(unreadable), ..Self::default() }),
        }
    }

    fn simulated(
        rules: Vec<AlertRule>,
        with_each: [(&'static str, Scenario); 2],
        progress: &impl Progress,
    ) -> Option<Self> {
        let [(first, with_hpa), (second, with_keda)] = with_each;
        let incidents = match with_hpa.model.monitoring.rules.is_empty() {
            true => Vec::new(),
            false => incidents::all(&with_hpa.model),
        };
        // Side by side: where one replication is enough, each keeps a single thread busy.
        let (as_planned, with_incidents) = parallel::both(
            || run(&with_hpa, progress),
            || {
                parallel::map(incidents.len(), |index| {
                    let mut scenario = with_hpa.clone();
                    scenario.replications = incidents::replications(&scenario);
                    incidents[index].change.apply(&mut scenario.model);
                    let found = run(&scenario, progress)?;
                    Some((scenario, found))
                })
            },
        );
        let (as_planned, with_incidents) = (as_planned?, with_incidents?);
        let mut manifests = vec![Tested::of(first, &with_hpa, &as_planned.replications)];
        // Two manifests that make the same autoscaler do the same.
        manifests.push(match with_hpa.model.autoscaler == with_keda.model.autoscaler {
            true => Tested { name: second, ..manifests[0].clone() },
            false => Tested::of(second, &with_keda, &run(&with_keda, progress)?.replications),
        });
        let mut alarms = Vec::new();
        if !incidents.is_empty() {
            let planned = Alarm::of("as planned", &with_hpa, &as_planned, &[]);
            let false_alarms: Vec<bool> = planned.fired.iter().map(Option::is_some).collect();
            alarms.push(planned);
            let found = incidents.iter().zip(&with_incidents);
            alarms.extend(found.map(|(Incident { name, .. }, (scenario, found))| {
                Alarm::of(name, scenario, found, &false_alarms)
            }));
        }
        Some(Self { unreadable: None, manifests, rules, incidents: alarms })
    }

    /// Whether the files meet every objective.
    pub fn holds(&self) -> bool {
        self.unreadable.is_none() && !self.manifests.is_empty() && self.missed().is_none()
    }

    /// The first objective that the files miss, and with which manifest.
    pub fn missed(&self) -> Option<(&'static str, &SloResult)> {
        let missed = |tested: &'_ Tested| tested.slo.iter().position(|result| !result.pass);
        self.manifests.iter().find_map(|tested| Some((tested.name, &tested.slo[missed(tested)?])))
    }
}

fn run(scenario: &Scenario, progress: &impl Progress) -> Option<Findings> {
    experiment::run(scenario, progress).filter(|findings| !findings.summary.interrupted)
}

/// The rules, and the scenario of each manifest.
type Read = (Vec<AlertRule>, [(&'static str, Scenario); 2]);

fn read(choice: &Choice, files: &Files) -> Result<Read, String> {
    let in_file = |name: &'static str| move |error: String| format!("{name}: {error}");
    let rules = alerts::read(&files.alerts).map_err(in_file("alerts.yaml"))?;
    let cluster = Scaling::cluster(choice);
    let hpa = manifests::hpa(&files.hpa, &cluster).map_err(in_file("hpa.yaml"))?;
    let keda = manifests::keda(&files.keda, &cluster).map_err(in_file("keda.yaml"))?;
    let with = |autoscaler: AutoscalerConfig| -> Result<Scenario, String> {
        let mut scenario = choice.scenario.clone();
        env::apply(&files.env, &mut scenario.model).map_err(in_file("plan.env"))?;
        scale(&mut scenario.model, autoscaler);
        if !scenario.model.monitoring.rules.is_empty() {
            scenario.model.monitoring.rules.clone_from(&rules);
        }
        Ok(scenario)
    };
    let both = [("hpa", with(hpa)?), ("keda", with(keda)?)];
    Ok((rules, both))
}

/// Puts workers under the autoscaler. The run begins with the fleet that it keeps in calm times.
fn scale(model: &mut ModelConfig, autoscaler: AutoscalerConfig) {
    let (min, max) = (autoscaler.min, autoscaler.max.max(autoscaler.min));
    model.autoscaler = Some(autoscaler);
    let calm = Monthly::calm_processes(model).unwrap_or(0.0);
    model.workers.processes = (calm.ceil() as u32).clamp(min, max);
}

impl Tested {
    fn of(name: &'static str, scenario: &Scenario, replications: &[Replication]) -> Self {
        let Summary { slo, traffic, digest, .. } = Summary::of(scenario, replications, false);
        let monthly = Monthly::of(scenario);
        let costs: Sample = replications.iter().map(|run| monthly.cost(run)).collect();
        Self { name, slo, fates: traffic.total, cost: costs.mean().unwrap_or(f64::NAN), digest }
    }
}

impl Alarm {
    /// An alert that fires as planned, too, calls nobody in time: `false_alarms` says of each rule whether it does.
    fn of(name: &str, scenario: &Scenario, findings: &Findings, false_alarms: &[bool]) -> Self {
        let summary = &findings.summary;
        let rules = &scenario.model.monitoring.rules;
        let fired: Vec<Option<f64>> = (0..rules.len())
            .map(|rule| {
                // A run in which it stays quiet calls nobody, however early it fires in others.
                let time =
                    |run: &Replication| run.alerts[rule].fired.map_or(f64::INFINITY, SimTime::as_secs_f64);
                let times: Sample = findings.replications.iter().map(time).collect();
                times.quantile(0.5).filter(|time| time.is_finite())
            })
            .collect();
        let used_up = used_up(scenario, findings);
        let tells = |rule: usize| {
            rules[rule].severity == Severity::Critical
                && !false_alarms.get(rule).is_some_and(|is_false| *is_false)
        };
        let calls = fired.iter().enumerate().filter(|(rule, _)| tells(*rule));
        let first = calls.filter_map(|(_, fired)| *fired).reduce(f64::min);
        let missed = summary.slo.iter().filter(|result| !result.pass);
        Self {
            name: name.to_owned(),
            fates: summary.traffic.total.clone(),
            missed: missed.map(|result| result.expression.clone()).collect(),
            in_time: used_up.as_ref().map(|(at, _)| first.is_some_and(|first| first <= *at)),
            used_up,
            fired,
        }
    }
}

/// When the first objective on refused or lost jobs was used up, in the mean over the replications.
fn used_up(scenario: &Scenario, findings: &Findings) -> Option<(f64, String)> {
    let times = scenario
        .slo
        .iter()
        .filter_map(|slo| Some((used_up_at(scenario, findings, slo)?, slo.expression.clone())));
    times.min_by(|a, b| a.0.total_cmp(&b.0))
}

fn used_up_at(scenario: &Scenario, findings: &Findings, slo: &Slo) -> Option<f64> {
    if !matches!(slo.relation, Relation::Less | Relation::LessOrEqual | Relation::Equal) {
        return None;
    }
    let series = &findings.series;
    let warmup = scenario.model.warmup.as_secs_f64();
    let before = series.seconds.iter().filter(|seconds| **seconds <= warmup + 1e-9).count();
    let sum = |counts: &[Vec<f64>], index: usize| -> f64 {
        let of_class =
            counts.iter().enumerate().filter(|(class, _)| slo.class.is_none_or(|own| own == *class));
        of_class.map(|(_, counts)| counts[index]).sum()
    };
    let last = series.seconds.len().checked_sub(1)?;
    let later = before.checked_sub(1);
    // Ratios and budgets are of what comes after the warm-up, counts of the whole run.
    let (counts, start, allowed): (&[&Vec<Vec<f64>>], _, _) = match &slo.subject {
        Subject::Metric(Metric::RejectionProbability) => {
            let offered = sum(&series.offered, last) - later.map_or(0.0, |index| sum(&series.offered, index));
            (&[&series.rejected], later, slo.limit * offered)
        }
        Subject::Metric(Metric::Rejected) => (&[&series.rejected], None, slo.limit),
        Subject::Metric(Metric::Lost) => (&[&series.lost], None, slo.limit),
        Subject::Question { question, .. } => match question.quantity {
            Quantity::ErrorBudget { allowed, .. } if question.part.is_none() => {
                let month = scenario.model.calm_rate(slo.class)? * MONTH.as_secs_f64();
                (&[&series.rejected, &series.lost], later, slo.limit * allowed * month)
            }
            _ => return None,
        },
        Subject::Metric(_) => return None,
    };
    let used = |index: usize| -> f64 { counts.iter().map(|counts| sum(counts, index)).sum() };
    let earlier = start.map_or(0.0, used);
    let first = start.map_or(0, |index| index + 1);
    (first..=last).find(|&index| used(index) - earlier > allowed).map(|index| series.seconds[index])
}
