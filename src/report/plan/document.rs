//! `plan.json`: everything that a plan knows, for other programs.

use serde::Serialize;

use super::files::files;
use super::view::{Ending, View};

use crate::engine::time::SimDuration;
use crate::experiment::summary::{Estimate, Named, SloResult, Summary};
use crate::experiment::traffic::Fates;
use crate::model::config::TargetType;
use crate::plan::proof::Proof;
use crate::plan::scaling::Scaling;
use crate::plan::what_if::{Effect, Shift, WhatIf};
use crate::plan::{Choice, Criterion, Fate, Plan, SearchPath};
use crate::report::kit::document::Axis;
use crate::selection::Guarantee;
use crate::study::grid::VariantId;

/// Version of the document; a change that breaks readers counts it up.
pub(super) const SCHEMA: &str = "backpressure-sim/plan/2";

#[derive(Serialize)]
struct Document<'a> {
    schema: &'static str,
    version: &'static str,
    /// The files that the report consists of, besides the charts as PNG.
    files: Vec<String>,
    plans: Vec<Planned<'a>>,
}

#[derive(Serialize)]
struct Planned<'a> {
    scenario: &'a str,
    /// Peak rate that was asked for.
    rate_per_second: Option<f64>,
    peak_rate_per_second: f64,
    /// `planned`, `undecided`, `refuted` (the files miss an objective) or `nothing`.
    ending: &'static str,
    command: String,
    seed: u64,
    fingerprint: String,
    objectives: Vec<&'a str>,
    axes: Vec<Axis<'a>>,
    choice: Option<Chosen<'a>>,
    nearest: Option<Near<'a>>,
    path: Path<'a>,
    spec: Vec<Recommendation<'a>>,
}

#[derive(Serialize)]
struct Chosen<'a> {
    id: VariantId,
    overrides: &'a [String],
    command: &'a str,
    settings: Settings,
    autoscaling: Autoscaling,
    cost: Estimate,
    criterion: &'static str,
    guarantee: Sure,
    undecided: Vec<Candidate>,
    capacity: Option<Capacity>,
    warnings: Vec<String>,
    summary: &'a Summary,
    what_if: Changes<'a>,
    files: Proven<'a>,
}

#[derive(Serialize)]
struct Settings {
    enabled: bool,
    kind: &'static str,
    recovery_jobs: u64,
    warning_jobs: u64,
    critical_jobs: u64,
    /// Of the kind `spec` alone.
    shed_at_jobs: Option<u64>,
    reopen_at_jobs: u64,
    on_unknown_depth: &'static str,
    default_priority: u8,
    worker_processes: u32,
    worker_concurrency: u32,
    gateways: u32,
    redis_maxmemory_bytes: Option<u64>,
    /// Simulated where the scenario has `redis.operations`, else arithmetic.
    queues: u32,
}

#[derive(Serialize)]
struct Autoscaling {
    min_replicas: u32,
    max_replicas: u32,
    target_jobs: u64,
    target_type: &'static str,
    cpu_percent: Option<u32>,
    /// Whether the search planned with it; else it was added to the planned workers. The files are simulated in any case.
    simulated: bool,
}

/// What the files do, read back and simulated.
#[derive(Serialize)]
struct Proven<'a> {
    holds: bool,
    unreadable: Option<&'a str>,
    manifests: Vec<Manifest<'a>>,
    alerts: Vec<&'static str>,
    incidents: Vec<Incident<'a>>,
}

#[derive(Serialize)]
struct Manifest<'a> {
    name: &'static str,
    traffic: &'a Fates,
    cost: f64,
    digest: &'a str,
    slo: &'a [SloResult],
}

#[derive(Serialize)]
struct Incident<'a> {
    name: &'a str,
    traffic: &'a Fates,
    missed: &'a [String],
    used_up_seconds: Option<f64>,
    used_up_objective: Option<&'a str>,
    /// For each alert.
    fired_seconds: &'a [Option<f64>],
    in_time: Option<bool>,
}

/// Arithmetic, not simulated; of services whose clients send again.
#[derive(Serialize)]
struct Capacity {
    advertised_per_second: f64,
    hidden_per_second: f64,
    attempts_per_request: f64,
}

#[derive(Serialize)]
struct Sure {
    /// `correct selection`, `good selection` or `none`.
    kind: &'static str,
    probability: Option<f64>,
    delta: Option<f64>,
    sentence: String,
}

#[derive(Serialize)]
struct Candidate {
    id: VariantId,
    settings: Named<String>,
}

#[derive(Serialize)]
struct Near<'a> {
    id: VariantId,
    settings: Named<String>,
    slo: &'a [SloResult],
}

#[derive(Serialize)]
struct Path<'a> {
    candidates: usize,
    excluded: Vec<Excluded<'a>>,
    screen: Option<Screened<'a>>,
    spared: usize,
    overloaded: usize,
    too_dear: usize,
    not_better: usize,
    beyond_finalists: usize,
    simulated: Vec<Simulated<'a>>,
    replications: u64,
    exhaustive_replications: u64,
}

#[derive(Serialize)]
struct Excluded<'a> {
    reason: &'a str,
    candidates: usize,
}

#[derive(Serialize)]
struct Screened<'a> {
    pilots: usize,
    discarded: usize,
    audited: usize,
    widened: u32,
    objectives: Vec<Margin<'a>>,
}

#[derive(Serialize)]
struct Margin<'a> {
    expression: &'a str,
    relative_margin: f64,
    discarded: usize,
}

#[derive(Serialize)]
struct Simulated<'a> {
    id: VariantId,
    settings: Named<String>,
    replications: u32,
    /// Seconds of the run that were simulated, where not all of it was.
    seconds: Option<f64>,
    /// Of a part of the run the least that it can be.
    cost: f64,
    /// Of a part of the run unknown.
    tie_break: Option<f64>,
    fate: &'static str,
    /// The objective that it misses, or may miss.
    objective: Option<&'a str>,
    /// The candidate that it is worse than.
    than: Option<VariantId>,
}

#[derive(Serialize)]
struct Changes<'a> {
    /// Largest multiple of the load that meets the objectives.
    headroom: Option<f64>,
    knee: Option<f64>,
    /// The part that stands for the whole of a steady run; `null` where every change was simulated in full.
    part_seconds: Option<f64>,
    oom_unprotected_seconds: Option<f64>,
    loads: Vec<Load<'a>>,
    losses: Vec<Loss<'a>>,
    tornado: Vec<Influence>,
}

#[derive(Serialize)]
struct Load<'a> {
    factor: f64,
    simulated_seconds: f64,
    peak_rate_per_second: f64,
    missed: &'a [String],
    limits_reached: Vec<Reached>,
    worker_utilisation: f64,
    rejection_probability: f64,
    lost_fraction: f64,
    recovery_seconds: Option<f64>,
    recovery_censored: bool,
    sojourn_p95_seconds: f64,
    peak_depth_jobs: f64,
    redis_peak_bytes: f64,
    time_to_oom_seconds: Option<f64>,
}

#[derive(Serialize)]
struct Reached {
    limit: &'static str,
    seconds: f64,
}

#[derive(Serialize)]
struct Loss<'a> {
    name: &'a str,
    worker_processes: u32,
    missed: &'a [String],
    rejection_probability: f64,
    lost_fraction: f64,
    recovery_seconds: Option<f64>,
    recovery_censored: bool,
}

#[derive(Serialize)]
struct Influence {
    input: &'static str,
    metric: &'static str,
    base: f64,
    lower: Change,
    higher: Change,
}

/// Paired difference to the base.
#[derive(Serialize)]
struct Change {
    factor: f64,
    mean: f64,
    /// Nothing where there is one replication.
    half_width: Option<f64>,
}

#[derive(Serialize)]
struct Recommendation<'a> {
    name: &'a str,
    overrides: &'a [String],
    cost: f64,
    summary: &'a Summary,
}

/// The document of these plans.
pub(super) fn of(plans: &[Plan]) -> impl Serialize {
    let views = View::all(plans);
    Document {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION"),
        files: files(&views),
        plans: views.iter().map(planned).collect(),
    }
}

fn planned<'a>(view: &View<'a>) -> Planned<'a> {
    let plan = view.plan;
    let scenario = view.scenario();
    let spec = plan.spec.iter().map(|verdict| Recommendation {
        name: &verdict.name,
        overrides: &verdict.overrides,
        cost: verdict.cost,
        summary: &verdict.summary,
    });
    Planned {
        scenario: &scenario.name,
        rate_per_second: plan.rate,
        peak_rate_per_second: plan.peak_rate,
        ending: match view.ending() {
            Ending::Planned => "planned",
            Ending::Undecided => "undecided",
            Ending::Refuted => "refuted",
            Ending::Nothing => "nothing",
        },
        command: view.command(),
        seed: scenario.seed,
        fingerprint: plan.grid.fingerprint(),
        objectives: scenario.slo.iter().map(|slo| slo.expression.as_str()).collect(),
        axes: Axis::all(&plan.grid.axes),
        choice: plan.choice.as_ref().map(|choice| chosen(view, choice)),
        nearest: plan.nearest.as_ref().map(|nearest| Near {
            id: nearest.id,
            settings: settings_of(plan, nearest.id),
            slo: &nearest.slo,
        }),
        path: path(plan, &plan.path),
        spec: spec.collect(),
    }
}

fn chosen<'a>(view: &View<'a>, choice: &'a Choice) -> Chosen<'a> {
    let model = &choice.scenario.model;
    let policy = &model.policy.config;
    let scaling = Scaling::of(choice).config;
    Chosen {
        id: choice.id,
        overrides: &choice.overrides,
        command: &choice.scenario.command,
        settings: Settings {
            enabled: policy.enabled(),
            kind: policy.kind().name().as_str(),
            recovery_jobs: policy.recovery(),
            warning_jobs: policy.warning(),
            critical_jobs: policy.critical(),
            shed_at_jobs: policy.levels().get("shed"),
            reopen_at_jobs: policy.reopen_at(),
            on_unknown_depth: policy.on_unknown_depth().as_str(),
            default_priority: policy.default_priority().get(),
            worker_processes: model.workers.processes,
            worker_concurrency: model.workers.concurrency,
            gateways: model.gateway.instances,
            redis_maxmemory_bytes: model.redis.maxmemory,
            queues: choice.queues,
        },
        autoscaling: Autoscaling {
            min_replicas: scaling.min,
            max_replicas: scaling.max,
            target_jobs: scaling.target,
            target_type: match scaling.target_type {
                TargetType::AverageValue => "average-value",
                TargetType::Value => "value",
            },
            cpu_percent: scaling.cpu_percent,
            simulated: model.autoscaler.is_some(),
        },
        cost: choice.cost,
        criterion: match choice.criterion {
            Criterion::Cost => "cost",
            Criterion::TieBreak(metric) => metric.name(),
        },
        guarantee: sure(view, choice),
        undecided: choice
            .undecided
            .iter()
            .map(|&id| Candidate { id, settings: settings_of(view.plan, id) })
            .collect(),
        capacity: model.retry_capacity().map(|capacity| Capacity {
            advertised_per_second: capacity.advertised,
            hidden_per_second: capacity.hidden,
            attempts_per_request: capacity.attempts,
        }),
        warnings: model
            .recovery_beyond_patience()
            .into_iter()
            .chain(choice.scenario.warnings.clone())
            .collect(),
        summary: &choice.findings.summary,
        what_if: changes(&choice.what_if),
        files: proven(&choice.proof),
    }
}

fn proven(proof: &Proof) -> Proven<'_> {
    let manifests = proof.manifests.iter().map(|tested| Manifest {
        name: tested.name,
        traffic: &tested.fates,
        cost: tested.cost,
        digest: &tested.digest,
        slo: &tested.slo,
    });
    let incidents = proof.incidents.iter().map(|alarm| Incident {
        name: &alarm.name,
        traffic: &alarm.fates,
        missed: &alarm.missed,
        used_up_seconds: alarm.used_up.as_ref().map(|(at, _)| *at),
        used_up_objective: alarm.used_up.as_ref().map(|(_, objective)| objective.as_str()),
        fired_seconds: &alarm.fired,
        in_time: alarm.in_time,
    });
    Proven {
        holds: proof.holds(),
        unreadable: proof.unreadable.as_deref(),
        manifests: manifests.collect(),
        alerts: proof.rules.iter().map(|rule| rule.name).collect(),
        incidents: incidents.collect(),
    }
}

fn sure(view: &View<'_>, choice: &Choice) -> Sure {
    let (kind, probability, delta) = match choice.guarantee {
        Guarantee::CorrectSelection { probability, delta } => {
            ("correct selection", Some(probability), Some(delta))
        }
        Guarantee::GoodSelection { probability, delta } => ("good selection", Some(probability), Some(delta)),
        Guarantee::None => ("none", None, None),
    };
    Sure { kind, probability, delta, sentence: view.guarantee(choice) }
}

fn settings_of(plan: &Plan, id: VariantId) -> Named<String> {
    let paths = plan.grid.axes.iter().map(|axis| axis.path.clone());
    Named(paths.zip(plan.grid.values(id)).collect())
}

fn path<'a>(plan: &Plan, path: &'a SearchPath) -> Path<'a> {
    let excluded = path.excluded.iter();
    let screen = path.screen.as_ref().map(|screen| Screened {
        pilots: screen.pilots,
        discarded: screen.discarded,
        audited: screen.audited,
        widened: screen.widened,
        objectives: screen
            .objectives
            .iter()
            .map(|objective| Margin {
                expression: &objective.expression,
                relative_margin: objective.margin,
                discarded: objective.discarded,
            })
            .collect(),
    });
    let simulated = path.simulated.iter().map(|one| {
        let (fate, objective, than) = match &one.fate {
            Fate::Chosen => ("chosen", None, None),
            Fate::Misses(objective) => ("misses", Some(objective.as_str()), None),
            Fate::Undecided(objective) => ("undecided", Some(objective.as_str()), None),
            Fate::Worse(than) => ("worse", None, Some(*than)),
            Fate::Equal => ("equal", None, None),
            Fate::Open => ("open", None, None),
            Fate::Dearer => ("dearer", None, None),
            Fate::Probe => ("probe", None, None),
        };
        Simulated {
            id: one.id,
            settings: settings_of(plan, one.id),
            replications: one.replications,
            seconds: one.seconds,
            cost: one.cost,
            tie_break: one.tie_break,
            fate,
            objective,
            than,
        }
    });
    Path {
        candidates: path.candidates,
        excluded: excluded.map(|(reason, candidates)| Excluded { reason, candidates: *candidates }).collect(),
        screen,
        spared: path.spared,
        overloaded: path.overloaded,
        too_dear: path.too_dear,
        not_better: path.not_better,
        beyond_finalists: path.beyond_finalists,
        simulated: simulated.collect(),
        replications: path.replications,
        exhaustive_replications: path.exhaustive,
    }
}

fn changes(what_if: &WhatIf) -> Changes<'_> {
    let loads = what_if.loads.iter().map(|load| Load {
        factor: load.factor,
        simulated_seconds: load.simulated.as_secs_f64(),
        peak_rate_per_second: load.peak_rate,
        missed: &load.missed,
        limits_reached: load.limits.iter().map(|&(limit, seconds)| Reached { limit, seconds }).collect(),
        worker_utilisation: load.utilisation,
        rejection_probability: load.rejected,
        lost_fraction: load.lost,
        recovery_seconds: load.recovery.0,
        recovery_censored: load.recovery.1,
        sojourn_p95_seconds: load.sojourn_p95,
        peak_depth_jobs: load.peak_depth,
        redis_peak_bytes: load.redis_peak,
        time_to_oom_seconds: load.oom,
    });
    let losses = what_if.losses.iter().map(|loss| Loss {
        name: &loss.name,
        worker_processes: loss.processes,
        missed: &loss.missed,
        rejection_probability: loss.rejected,
        lost_fraction: loss.lost,
        recovery_seconds: loss.recovery.0,
        recovery_censored: loss.recovery.1,
    });
    let influence = |effect: &Effect| {
        let change = |factor, Shift { mean, half_width }| Change { factor, mean, half_width };
        Influence {
            input: effect.input,
            metric: effect.metric.name(),
            base: effect.base,
            lower: change(0.9, effect.lower),
            higher: change(1.1, effect.higher),
        }
    };
    Changes {
        headroom: what_if.headroom,
        knee: what_if.knee,
        part_seconds: what_if.part.map(SimDuration::as_secs_f64),
        oom_unprotected_seconds: what_if.oom_unprotected,
        loads: loads.collect(),
        losses: losses.collect(),
        tornado: what_if.tornado.iter().map(influence).collect(),
    }
}
