//! Reports of made-up findings: complete, escaped, the same bytes each time, and never half-written.

use std::fs;
use std::path::Path;

use backpressure::{Config, Priority, State};
use backpressure_sim::engine::time::{SimDuration, SimTime};
use backpressure_sim::experiment::Findings;
use backpressure_sim::experiment::replication::Replication;
use backpressure_sim::experiment::series::{Band, Series};
use backpressure_sim::experiment::summary::{
    Estimate, LimitReached, Named, SCHEMA, SloResult, Summary, Verdict,
};
use backpressure_sim::experiment::traffic::{Fates, First, Harm, Load, Overload, Part, Traffic, Unlimited};
use backpressure_sim::model::config::{
    ArrivalProcess, ArrivalSource, Curve, Gateway, JobClass, MemoryModel, ModelConfig, Observe, Phase,
    PolicyConfig, Queue, Redis, Start, Workers,
};
use backpressure_sim::model::distribution::Distribution;
use backpressure_sim::model::metric::{Metric, Metrics, Unit};
use backpressure_sim::report::{Chart, Options, run};
use backpressure_sim::scenario::slo::{Relation, Slo, Statistic, Subject};
use backpressure_sim::scenario::{self, Scenario};

use crate::support::without_own_scripts;

/// What a made-up case looks like; `spike()` is the usual one.
#[derive(Clone)]
struct Case {
    classes: Vec<(String, u8, f64)>,
    replications: u32,
    points: usize,
    horizon: f64,
    /// Factor on every depth and rate.
    load: f64,
    maxmemory: Option<u64>,
    waits: bool,
    /// How many replications do not recover.
    censored: u32,
    objectives: bool,
    /// Whether the policy is switched on.
    enabled: bool,
}

fn spike() -> Case {
    let class = |name: &str, priority, share| (name.to_owned(), priority, share);
    Case {
        classes: vec![
            class("critical-alarm", 1, 0.01),
            class("scheduled", 1, 0.04),
            class("telemetry-data", 5, 0.65),
            class("batch-operation", 10, 0.3),
        ],
        replications: 10,
        points: 300,
        horizon: 300.0,
        load: 1.0,
        maxmemory: Some(256 << 20),
        waits: true,
        censored: 0,
        objectives: true,
        enabled: true,
    }
}

fn small() -> Case {
    Case {
        classes: vec![("telemetry".to_owned(), 5, 1.0)],
        replications: 1,
        points: 6,
        horizon: 6.0,
        objectives: false,
        ..spike()
    }
}

/// The cases that are known to be awkward to show.
fn cases() -> Vec<(&'static str, Case)> {
    let many =
        (1..=12).map(|i| (format!("a-class-with-a-rather-long-name-{i}"), 1 + (i % 10) as u8, 1.0 / 12.0));
    vec![
        ("spike", spike()),
        ("small", small()),
        ("zero", Case { load: 0.0, waits: false, ..spike() }),
        ("no-waits", Case { waits: false, ..spike() }),
        ("deep", Case { load: 14.0, maxmemory: None, ..spike() }),
        ("shallow", Case { load: 0.02, ..spike() }),
        ("many-classes", Case { classes: many.collect(), ..spike() }),
        ("censored", Case { censored: 4, ..spike() }),
        ("unprotected", Case { enabled: false, censored: 10, ..spike() }),
        ("long", Case { horizon: 10_800.0, points: 1_080, ..spike() }),
    ]
}

fn scenario(case: &Case) -> Scenario {
    let seconds = |s: f64| SimTime::ZERO + SimDuration::from_secs_f64(s);
    let phase = |name: &str, end, rate: f64, spike| Phase {
        name: name.to_owned(),
        end,
        rate: rate * case.load,
        curve: Curve::Flat,
        spike,
    };
    let objective = |expression: &str, metric, statistic, relation, limit| Slo {
        expression: expression.to_owned(),
        subject: Subject::Metric(metric),
        class: None,
        statistic,
        relation,
        limit,
    };
    let least = "duration = '1s'\n[arrivals]\nrate = '1/s'\n[workers]\nservice_time = '1ms'";
    let usual = scenario::from_str(least, "least.toml", Path::new(""), &[]).expect("it is valid").scenario;
    Scenario {
        name: "spike-20k".to_owned(),
        question:
            "Does the spec's configuration survive a spike of 20k req/s for a minute?\nExpected: yes, with \
                   rejections of batch work."
                .to_owned(),
        source: "name = \"spike-20k\"\nduration = \"5m\"\n# a <script>alert(1)</script> in a comment\n"
            .to_owned(),
        command: "simulate scenarios/spike-20k.toml --set 'slo=recovery_seconds.p95 < 120'".to_owned(),
        seed: 42,
        replications: case.replications,
        slo: if case.objectives {
            vec![
                objective(
                    "recovery_seconds.p95 < 120",
                    Metric::Recovery,
                    Statistic::P95,
                    Relation::Less,
                    120.0,
                ),
                objective(
                    "peak_depth_jobs <= 51000",
                    Metric::PeakDepth,
                    Statistic::Mean,
                    Relation::LessOrEqual,
                    51_000.0,
                ),
            ]
        } else {
            Vec::new()
        },
        sweep: usual.sweep,
        cost: usual.cost,
        plan: usual.plan,
        expected_misses: Vec::new(),
        model: ModelConfig {
            horizon: SimDuration::from_secs_f64(case.horizon),
            warmup: SimDuration::ZERO,
            recovery_hold: SimDuration::ZERO,
            series_step: SimDuration::from_secs_f64(case.horizon / case.points as f64),
            classes: case
                .classes
                .iter()
                .map(|(name, priority, _)| JobClass {
                    name: name.clone(),
                    priority: Priority::new(*priority).expect("a priority of 1 to 10"),
                    queue_priority: u32::from(*priority),
                    payload: Distribution::Deterministic { mean: 512.0 },
                    service_time: Distribution::Lognormal { mean: 0.008, cv: 0.5 },
                })
                .collect(),
            sources: vec![ArrivalSource {
                process: ArrivalProcess::Poisson,
                phases: vec![
                    phase("calm", seconds(case.horizon * 0.2), 6e3, false),
                    phase("spike", seconds(case.horizon * 0.4), 2e4, true),
                    phase("after", SimTime::NEVER, 6e3, false),
                ],
                classes: case.classes.iter().enumerate().map(|(i, (_, _, share))| (i, *share)).collect(),
            }],
            start: Start { jobs: 0, circuit: State::Closed },
            policy: PolicyConfig {
                config: Config::builder().enabled(case.enabled).build().expect("settings that fit together"),
                observe: Observe::Arrival,
            },
            gateway: Gateway {
                instances: 4,
                check_latency: SimDuration::from_secs_f64(0.003),
                ..Gateway::default()
            },
            queue: Queue::default(),
            workers: Workers {
                processes: 5,
                concurrency: 20,
                overhead: SimDuration::from_secs_f64(0.0015),
                ..Workers::default()
            },
            redis: Redis {
                maxmemory: case.maxmemory,
                memory: MemoryModel::Line { job_overhead: 1500.0, payload_factor: 1.0 },
                ..Redis::default()
            },
            clients: None,
            faults: Vec::new(),
            autoscaler: None,
            parts: Vec::new(),
            questions: Vec::new(),
            monitoring: usual.model.monitoring,
        },
        warnings: vec!["worker capacity is below the offered load of the spike".to_owned()],
        hints: Vec::new(),
    }
}

/// A depth that rises in the spike, cycles between the thresholds and drains; all else follows from it.
fn findings(case: &Case) -> Findings {
    let step = case.horizon / case.points as f64;
    let seconds: Vec<f64> = (1..=case.points).map(|i| i as f64 * step).collect();
    let depth: Vec<f64> = seconds.iter().map(|t| depth_at(t / case.horizon) * case.load).collect();
    let share = |wanted: u8| -> Vec<f64> {
        let mut state = 0;
        let after = |depth: &f64| {
            state = match (state, *depth) {
                (_, depth) if depth >= 49_500.0 => 2,
                (2, depth) if depth < 10_000.0 => 1,
                (1, depth) if depth <= 5_000.0 => 0,
                (state, _) => state,
            };
            if state == wanted { 1.0 } else { 0.0 }
        };
        depth.iter().map(after).collect()
    };
    let rate = |t: f64| if (0.2..0.4).contains(&(t / case.horizon)) { 2e4 } else { 6e3 } * case.load;
    let open = share(2);
    let totals = |of: &dyn Fn(f64, f64, usize) -> f64| -> Vec<Vec<f64>> {
        case.classes
            .iter()
            .enumerate()
            .map(|(class, (_, _, share))| {
                let mut sum = 0.0;
                let mut add = |(t, index): (&f64, usize)| {
                    sum += of(*t, *share, class) * step * if index == usize::MAX { 0.0 } else { 1.0 };
                    sum
                };
                seconds.iter().zip(0..).map(&mut add).collect()
            })
            .collect()
    };
    let is_open = |t: f64| open[((t / step).round() as usize - 1).min(open.len() - 1)] > 0.5;
    let admitted = |t: f64, share: f64, class: usize| {
        let wobble = 1.0 + 0.05 * (t * 1.7 + class as f64).sin();
        if is_open(t) && case.classes[class].1 > 1 { 0.0 } else { rate(t) * share * wobble }
    };
    let offered =
        |t: f64, share: f64, class: usize| rate(t) * share * (1.0 + 0.05 * (t * 1.7 + class as f64).sin());
    let wait = |factor: f64| -> Vec<Option<f64>> {
        let one = |depth: &f64| {
            case.waits.then_some((depth * factor / 1e4).max(0.0008 * factor)).filter(|_| *depth >= 0.0)
        };
        depth
            .iter()
            .enumerate()
            .map(|(i, depth)| if (200..215).contains(&i) { None } else { one(depth) })
            .collect()
    };
    let band = |scale: f64, base: f64| Band {
        mean: depth.iter().map(|depth| base + depth * scale).collect(),
        p05: depth.iter().map(|depth| base + depth * scale * 0.85).collect(),
        p50: depth.iter().map(|depth| base + depth * scale).collect(),
        p95: depth.iter().map(|depth| base + depth * scale * 1.08).collect(),
    };
    let peak = depth.iter().copied().fold(0.0, f64::max);
    let series = Series {
        step_seconds: step,
        depth: band(1.0, 0.0),
        depth_max: depth.iter().map(|depth| depth * 1.1 + 20.0 * case.load).collect(),
        closed_share: share(0),
        half_open_share: share(1),
        open_share: open.clone(),
        offered: totals(&offered),
        admitted: totals(&admitted),
        rejected: totals(&|t, share, class| offered(t, share, class) - admitted(t, share, class)),
        completed: totals(&|t, share, _| rate(t).min(1e4) * share),
        lost: totals(&|_, _, _| 0.0),
        redis_bytes: band(2012.0, 1024.0 * 1024.0),
        utilisation: seconds.iter().map(|t| Some((rate(*t) / 1.05e4).min(1.0))).collect(),
        wait_p50: wait(0.5),
        wait_p95: wait(1.3),
        wait_p99: wait(1.9),
        details: None,
        seconds,
    };
    let replications: Vec<Metrics> =
        (0..case.replications).map(|index| metrics(case, index, peak, &series)).collect();
    let last = |totals: &[Vec<f64>]| totals.iter().filter_map(|class| class.last()).sum::<f64>();
    let class_metrics = |class: usize| {
        let of = |totals: &[Vec<f64>]| last(&totals[class..=class]).round();
        let (offered, admitted) = (of(&series.offered), of(&series.admitted));
        let completed = of(&series.completed).min(admitted);
        Metric::ALL
            .iter()
            .filter(|metric| metric.per_class())
            .map(|metric| {
                let value = match metric {
                    Metric::Offered => Some(offered),
                    Metric::Admitted => Some(admitted),
                    Metric::Rejected => Some(offered - admitted),
                    Metric::Completed => Some(completed),
                    Metric::InSystem => Some(admitted - completed),
                    Metric::Failed | Metric::Lost => Some(0.0),
                    _ => case.waits.then_some(0.4 * (class + 1) as f64),
                };
                (metric.name().to_owned(), estimate(&[value], 0))
            })
            .collect()
    };
    let summary = Summary {
        alerts: Vec::new(),
        scaling: Vec::new(),
        schema: SCHEMA,
        version: "0.1.0",
        scenario: "spike-20k".to_owned(),
        command: "simulate scenarios/spike-20k.toml".to_owned(),
        seed: 42,
        replications: case.replications,
        digest: "9c41e07a".to_owned(),
        verdict: if case.objectives { Verdict::Fail } else { Verdict::Pass },
        traffic: traffic(case, &replications, &class_metrics, peak > 49_500.0),
        interrupted: false,
        metrics: Named(
            Metric::ALL
                .iter()
                .map(|&metric| {
                    let values: Vec<Option<f64>> = replications.iter().map(|one| one.get(metric)).collect();
                    let censored = replications.iter().filter(|one| one.is_censored(metric)).count();
                    (metric.name().to_owned(), estimate(&values, censored as u32))
                })
                .collect(),
        ),
        classes: Named(
            case.classes
                .iter()
                .enumerate()
                .map(|(i, (name, ..))| (name.clone(), Named(class_metrics(i))))
                .collect(),
        ),
        slo: if case.objectives {
            vec![
                SloResult {
                    expression: "recovery_seconds.p95 < 120".to_owned(),
                    pass: true,
                    observed: Some(96.2),
                    expected_miss: false,
                    judged: true,
                    statistic: Statistic::P95,
                    runs: 10,
                    absent: "no value",
                    limit: 120.0,
                    metric: "recovery_seconds".into(),
                    unit: Unit::Seconds,
                    censored: case.censored,
                },
                SloResult {
                    expression: "peak_depth_jobs <= 51000".to_owned(),
                    pass: false,
                    observed: Some(peak),
                    expected_miss: false,
                    judged: true,
                    statistic: Statistic::Mean,
                    runs: 10,
                    absent: "no value",
                    limit: 51_000.0,
                    metric: "peak_depth_jobs".into(),
                    unit: Unit::Jobs,
                    censored: 0,
                },
            ]
        } else {
            Vec::new()
        },
        limits_ahead: Vec::new(),
        limits_reached: if peak > 49_500.0 {
            vec![
                LimitReached { limit: "workers saturated", seconds: 60.4, replications: case.replications },
                LimitReached { limit: "shed level", seconds: 64.0, replications: case.replications },
                LimitReached { limit: "circuit open", seconds: 65.1, replications: case.replications },
            ]
        } else {
            Vec::new()
        },
        warnings: vec!["worker capacity is below the offered load of the spike".to_owned()],
        hints: Vec::new(),
    };
    let replications =
        replications.into_iter().map(|system| Replication::bare(0, system, Vec::new())).collect();
    Findings { summary, series, replications, scrapes: Vec::new() }
}

/// What became of the jobs of these figures; where the circuit opens, nothing limits what is refused.
fn traffic(
    case: &Case,
    replications: &[Metrics],
    of_class: &dyn Fn(usize) -> Vec<(String, Estimate)>,
    opens: bool,
) -> Traffic {
    let fates = |mean: &dyn Fn(Metric) -> f64| {
        let offered = mean(Metric::Offered);
        let part = |metric| Part { jobs: mean(metric), share: mean(metric) / offered };
        Fates {
            offered,
            completed_in_time: part(Metric::Completed),
            refused: part(Metric::Rejected),
            lost: part(Metric::Lost),
            failed: part(Metric::Failed),
            in_system: part(Metric::InSystem),
            ..Fates::default()
        }
    };
    let classes = case.classes.iter().enumerate().map(|(class, (name, ..))| {
        let metrics = Named(of_class(class));
        let mean = |metric: Metric| metrics.get(metric.name()).and_then(|one| one.mean).unwrap_or(0.0);
        (name.clone(), fates(&mean))
    });
    let total = fates(&|metric| replications[0].get(metric).unwrap_or(0.0));
    let first = First { seconds: 64.0, replications: case.replications };
    let unlimited = Unlimited { what: Harm::Refused, part: total.refused, classes: Vec::new() };
    Traffic {
        classes: Named(classes.collect()),
        unlimited: if opens { vec![unlimited] } else { Vec::new() },
        first_refusal: opens.then_some(first),
        first_loss: None,
        load: Load {
            capacity_per_second: Some(10_000.0),
            autoscaled_capacity_per_second: None,
            bound_by: "workers",
            peak_per_second: 20_000.0,
            overload: Some(Overload {
                begins_seconds: 60.0,
                seconds: 60.0,
                offered_per_second: 20_000.0,
                excess_jobs: 600_000.0,
            }),
        },
        faults: Vec::new(),
        total,
    }
}

/// Depth at a share of the horizon: 300, then a saw between 10,000 and 50,000, then a drain.
fn depth_at(share: f64) -> f64 {
    match share {
        s if s < 0.2 => 300.0 + 200.0 * (s * 200.0).sin(),
        s if s < 0.22 => 300.0 + (s - 0.2) / 0.02 * 49_700.0,
        s if s < 0.4 => {
            let phase = ((s - 0.22) / 0.045).fract();
            if phase < 0.5 {
                50_000.0 - phase * 2.0 * 42_000.0
            } else {
                8_000.0 + (phase - 0.5) * 2.0 * 42_000.0
            }
        }
        s => (50_000.0 * (1.0 - (s - 0.4) / 0.08)).max(300.0 + 200.0 * (s * 200.0).sin()),
    }
}

fn metrics(case: &Case, index: u32, peak: f64, series: &Series) -> Metrics {
    let mut metrics = Metrics::default();
    let wobble = 1.0 + 0.02 * f64::from(index).sin();
    let last =
        |totals: &[Vec<f64>]| totals.iter().filter_map(|class| class.last()).map(|v| v.round()).sum::<f64>();
    let (offered, admitted) = (last(&series.offered), last(&series.admitted));
    let completed: f64 = (0..series.offered.len())
        .map(|class| {
            let of = |totals: &[Vec<f64>]| last(&totals[class..=class]);
            of(&series.completed).min(of(&series.admitted))
        })
        .sum();
    metrics.set(Metric::MeanDepth, peak * 0.2 * wobble);
    metrics.set(Metric::PeakDepth, (peak * wobble).round());
    metrics.set(Metric::Overshoot, (peak * wobble - 5e4).max(0.0).round());
    let recovery =
        (peak > 5_000.0).then_some(24.0 * wobble + f64::from(index)).filter(|_| index >= case.censored);
    let recovery = if peak <= 5_000.0 { Some(0.0) } else { recovery };
    metrics.set_or_censor(Metric::Recovery, recovery, case.horizon);
    metrics.set_or_censor(
        Metric::TimeToOpen,
        (peak > 4.9e4).then_some(case.horizon * 0.217 * wobble),
        case.horizon,
    );
    metrics.set_or_censor(
        Metric::TimeToShed,
        (peak > 4e4).then_some(case.horizon * 0.213 * wobble),
        case.horizon,
    );
    metrics.set_or_censor(Metric::TimeToOom, None, case.horizon);
    metrics.set(Metric::OpenFraction, if peak > 4.9e4 { 0.13 * wobble } else { 0.0 });
    metrics.set(Metric::CircuitOpenings, if peak > 4.9e4 { 4.0 } else { 0.0 });
    metrics.set(Metric::Offered, offered);
    metrics.set(Metric::Admitted, admitted);
    metrics.set(Metric::Rejected, offered - admitted);
    metrics.set(Metric::Completed, completed);
    metrics.set(Metric::Failed, 0.0);
    metrics.set(Metric::Lost, 0.0);
    metrics.set(Metric::InSystem, admitted - completed);
    metrics.set(Metric::WorkerUtilisation, 0.613 * wobble);
    metrics.set(Metric::RedisPeak, f64::from(1 << 20) + peak * wobble * 2012.0);
    if case.waits {
        metrics.set(Metric::WaitP50, 0.41 * wobble);
        metrics.set(Metric::WaitP95, 4.9 * wobble);
        metrics.set(Metric::WaitP99, 5.6 * wobble);
    }
    metrics
}

fn estimate(values: &[Option<f64>], censored: u32) -> Estimate {
    let mut known: Vec<f64> = values.iter().flatten().copied().collect();
    known.sort_by(f64::total_cmp);
    let n = known.len();
    let mean = (n > 0).then(|| known.iter().sum::<f64>() / n as f64);
    let spread = known.last().zip(known.first()).map(|(high, low)| (high - low) / 4.0);
    Estimate {
        mean,
        half_width: spread.filter(|_| n > 1),
        min: known.first().copied(),
        max: known.last().copied(),
        p95: known.get((n * 95).div_ceil(100).saturating_sub(1)).copied(),
        n: n as u32,
        censored,
    }
}

fn page(case: &Case) -> String {
    let (scenario, findings) = (scenario(case), findings(case));
    run::page(&scenario, &findings, &run::charts(&scenario, &findings))
}

fn charts(case: &Case) -> Vec<Chart> {
    run::charts(&scenario(case), &findings(case))
}

/// Fails unless every element that is opened is closed in order, and attributes and text hold no bare sign.
#[track_caller]
pub(crate) fn check_xml(name: &str, xml: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = xml;
    while let Some(start) = rest.find('<') {
        let end = start + rest[start..].find('>').expect("every tag ends");
        let tag = &rest[start + 1..end];
        rest = &rest[end + 1..];
        if tag.ends_with('/') || tag.starts_with('!') {
            continue;
        }
        assert_eq!(tag.matches('"').count() % 2, 0, "{name}: quotes in <{tag}>");
        match tag.strip_prefix('/') {
            Some(closed) => assert_eq!(open.pop(), Some(closed), "{name}"),
            None => open.push(tag.split_whitespace().next().expect("a tag has a name")),
        }
    }
    assert!(open.is_empty(), "{name}: {open:?} stay open");
}

#[test]
fn every_chart_is_a_complete_svg_with_title_and_description() {
    for (name, case) in cases() {
        for chart in charts(&case) {
            let svg = chart.svg();
            check_xml(&format!("{name}/{}", chart.name), &svg);
            assert!(svg.contains("<title>") && svg.contains("<desc>") && svg.contains("role=\"img\""));
            assert!(!svg.contains("NaN") && !svg.contains("inf\""), "{name}/{}", chart.name);
            assert!(chart.table.rows.iter().all(|row| row.len() == chart.table.header.len()));
        }
    }
}

#[test]
fn labels_of_thresholds_never_overlap() {
    for (name, case) in cases().into_iter().filter(|(_, case)| case.enabled) {
        let svg = charts(&case)[0].svg();
        let lines: Vec<&str> = svg.lines().collect();
        let mut heights: Vec<f64> = lines
            .windows(2)
            .filter(|pair| {
                let text = pair[1].trim_start_matches("↑ ");
                ["critical ", "shed ", "warning ", "recovery "].iter().any(|label| text.starts_with(label))
            })
            .map(|pair| {
                let after = pair[0].split(" y=\"").nth(1).expect("a label has a height");
                after.split('"').next().expect("quoted").parse().expect("a number")
            })
            .collect();
        heights.sort_by(f64::total_cmp);
        assert_eq!(heights.len(), 4, "{name}");
        // Four device units a pixel, letters of twelve pixels.
        assert!(heights.windows(2).all(|pair| pair[1] - pair[0] >= 4.0 * 12.0), "{name}: {heights:?}");
    }
}

#[test]
fn recovery_is_drawn_from_two_replications_on() {
    let names = |case: &Case| charts(case).iter().map(|chart| chart.name).collect::<Vec<_>>();
    assert_eq!(names(&small()), ["depth", "rates", "memory", "utilisation", "waits"]);
    assert!(names(&spike()).contains(&"recovery"));
}

#[test]
fn page_loads_nothing_and_escapes_what_the_scenario_says() {
    let hostile = "<script>alert('x')</script>&\"";
    let mut case = spike();
    hostile.clone_into(&mut case.classes[0].0);
    let page = page(&case);
    assert!(page.contains("&lt;script&gt;"));
    // The name of a class is data of the page's own script as well.
    assert!(page.contains("\\u003cscript>alert('x')\\u003c/script>"));
    let addresses = page.matches("http").count();
    assert_eq!(addresses, page.matches("xmlns=\"http://www.w3.org/2000/svg\"").count());
    let page = without_own_scripts(&page);
    assert!(
        !page.contains("src=")
            && !page.contains("href=")
            && !page.contains("url(")
            && !page.contains("@import")
    );
}

#[test]
fn page_shows_the_command_that_was_given() {
    let page = page(&small());
    let command = "simulate scenarios/spike-20k.toml --set 'slo=recovery_seconds.p95 &lt; 120'";
    assert!(page.contains(&format!("Reproduce: <code>{command}</code>")), "{page}");
}

#[test]
fn same_findings_give_the_same_bytes() {
    for (_, case) in cases() {
        assert_eq!(page(&case), page(&case));
    }
}

#[test]
fn page_says_what_became_of_the_traffic_and_how_it_ended_before_anything_else() {
    let page = page(&spike());
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("`{text}` is not in the page"));
    // On the card what was refused, lost or waits stands before what was done, and all of it before the verdict.
    let tiles = ["</i>refused", "</i>lost", "</i>still waiting", "</i>done"].map(place);
    assert!(tiles.is_sorted() && tiles[3] < place("✗ FAIL"), "{tiles:?}");
    assert!(place("Capacity 10k/s against 20k/s offered for 60 s") < place("✗ FAIL"));
    assert!(place("✗ FAIL") < place("simulate scenarios/spike-20k.toml --set"));
    assert!(place("scenarios/spike-20k.toml") < place("What broke first"));
    assert!(place("What broke first") < place("<svg"));
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a readable folder");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

const FILES_OF_SMALL: [&str; 10] = [
    "depth.svg",
    "memory.svg",
    "rates.svg",
    "replications.csv",
    "report.html",
    "summary.json",
    "summary.svg",
    "timeseries.csv",
    "utilisation.svg",
    "waits.svg",
];

#[track_caller]
fn write(folder: &Path, case: &Case, options: &Options) {
    run::write(folder, &scenario(case), &findings(case), options).expect("the report is written");
}

#[test]
fn report_folder_holds_page_charts_and_tables() {
    let parent = folder();
    let folder = parent.path().join("deep/er/spike-20k");
    write(&folder, &small(), &Options::default());
    assert_eq!(names_in(&folder), FILES_OF_SMALL);
    assert_eq!(names_in(&parent.path().join("deep/er")), ["spike-20k"], "nothing is left beside the report");
    let summary = fs::read_to_string(folder.join("summary.json")).expect("a summary");
    assert!(summary.ends_with("}\n"));
    let summary: serde_json::Value = serde_json::from_str(&summary).expect("JSON");
    assert_eq!(summary["schema"], "backpressure-sim/summary/2");
}

#[test]
fn the_card_is_a_picture_that_tells_what_is_bad_first() {
    let parent = folder();
    let folder = parent.path().join("r");
    write(&folder, &spike(), &Options::default());
    let card = fs::read_to_string(folder.join("summary.svg")).expect("a card");
    check_xml("summary.svg", &card);
    let drawn = &card[card.find("</desc>").expect("a description")..];
    let place = |text: &str| drawn.find(text).unwrap_or_else(|| panic!("`{text}` is not on the card"));
    let order = ["\nrefused\n", "\nlost\n", "\nstill waiting\n", "\ndone\n", "✗ FAIL", "critical is 50 000"];
    assert!(order.map(place).is_sorted(), "{drawn}");
}

#[test]
fn all_plots_over_time_have_one_axis() {
    let page = page(&spike());
    let datas = page.split("<script type=\"application/json\">").skip(1);
    let mut axes: Vec<String> = Vec::new();
    for data in datas {
        let data: serde_json::Value =
            serde_json::from_str(data.split("</script>").next().expect("an end")).expect("JSON");
        for (index, plot) in data["plots"].as_array().expect("plots").iter().enumerate() {
            let edges: Vec<_> = (0..2).map(|sheet| &data["edges"][sheet][index]).collect();
            let edges: Vec<String> = edges.iter().map(|edge| format!("{} to {}", edge[0], edge[1])).collect();
            axes.push(format!("{} {} {edges:?}", plot["axis"], plot["x"]));
        }
    }
    assert!(axes.len() > 5, "{axes:?}");
    assert!(axes.windows(2).all(|pair| pair[0] == pair[1]), "{axes:?}");
}

#[test]
fn csv_has_a_row_a_point_and_a_row_a_replication() {
    let parent = folder();
    let folder = parent.path().join("r");
    let mut case = Case { censored: 4, waits: false, ..spike() };
    "odd, \"name\"".clone_into(&mut case.classes[0].0);
    write(&folder, &case, &Options::default());
    let read = |name: &str| fs::read_to_string(folder.join(name)).expect("a table");
    let series = read("timeseries.csv");
    let lines: Vec<&str> = series.lines().collect();
    assert_eq!(lines.len(), 1 + 300);
    assert!(lines[0].starts_with("time_seconds,depth_mean_jobs,"));
    assert!(lines[0].contains(r#""offered_jobs_total{class=odd, ""name""}""#));
    assert!(lines[1..].iter().all(|line| line.split(',').count() == 17 + 5 * 4));
    assert!(lines[1].contains(",,,"), "waits of nobody are empty");
    let replications = read("replications.csv");
    let lines: Vec<&str> = replications.lines().collect();
    assert_eq!(lines.len(), 1 + 10);
    assert!(lines.iter().all(|line| line.split(',').count() == Metric::COUNT + 2));
    assert!(lines[1].ends_with("recovery_seconds time_to_oom_seconds"));
}

#[test]
fn png_comes_on_request_and_goes_with_the_next_report() {
    let parent = folder();
    let folder = parent.path().join("r");
    write(&folder, &spike(), &Options { png: true, ..Options::default() });
    for name in ["recovery.png", "summary.png"] {
        let png = fs::read(folder.join(name)).expect("a picture");
        assert!(png.starts_with(b"\x89PNG"), "{name}");
    }
    write(&folder, &small(), &Options::default());
    assert_eq!(names_in(&folder), FILES_OF_SMALL, "nothing of the old report stays");
    assert_eq!(names_in(parent.path()), ["r"]);
}

#[test]
fn files_of_others_survive() {
    let parent = folder();
    let folder = parent.path().join("r");
    write(&folder, &spike(), &Options::default());
    fs::write(folder.join("notes.txt"), "mine").expect("a note");
    write(&folder, &small(), &Options::default());
    assert_eq!(fs::read_to_string(folder.join("notes.txt")).expect("the note"), "mine");
    assert!(!folder.join("recovery.svg").exists(), "the old report's file is gone");
    assert_eq!(names_in(&folder).len(), FILES_OF_SMALL.len() + 1);
    assert_eq!(names_in(parent.path()), ["r"]);
}

#[test]
fn failure_leaves_everything_as_it_was() {
    let parent = folder();
    let folder = parent.path().join("r");
    fs::write(&folder, "a file where a folder should be").expect("a file");
    let error = run::write(&folder, &scenario(&small()), &findings(&small()), &Options::default())
        .expect_err("a file is no folder");
    assert!(error.to_string().contains("`") && error.to_string().contains("/r"), "{error}");
    assert_eq!(names_in(parent.path()), ["r"]);

    let below_a_file = parent.path().join("r/sub/report");
    run::write(&below_a_file, &scenario(&small()), &findings(&small()), &Options::default())
        .expect_err("nothing can be below a file");
    assert_eq!(names_in(parent.path()), ["r"]);

    // A folder of somebody else's with the name of one of our files cannot be replaced.
    let folder = parent.path().join("s");
    write(&folder, &spike(), &Options::default());
    let old = fs::read(folder.join("summary.json")).expect("a summary");
    fs::remove_file(folder.join("waits.svg")).expect("removed");
    fs::create_dir_all(folder.join("waits.svg/theirs")).expect("a folder");
    run::write(&folder, &scenario(&small()), &findings(&small()), &Options::default())
        .expect_err("a folder stands in the way");
    assert_eq!(fs::read(folder.join("summary.json")).expect("a summary"), old);
    assert!(folder.join("recovery.svg").exists() && folder.join("waits.svg/theirs").is_dir());
    assert_eq!(names_in(parent.path()), ["r", "s"]);
}

#[test]
fn terminal_shows_a_small_case_in_full() {
    let case = small();
    let shown = run::terminal::render(&scenario(&case), &findings(&case), 120, false);
    let golden = include_str!("../data/report-small.txt");
    assert_eq!(shown, golden, "if this is meant, tests/data/report-small.txt becomes:\n{shown}");
}

#[test]
fn terminal_fits_its_width_and_colours_only_when_asked() {
    for (name, case) in cases() {
        let (scenario, findings) = (scenario(&case), findings(&case));
        for width in [80, 120, 200] {
            let shown = run::terminal::render(&scenario, &findings, width, false);
            let widest = shown.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(width), "{name} at {width}:\n{shown}");
            assert!(!shown.contains('\u{1b}'));
        }
        assert!(run::terminal::render(&scenario, &findings, 100, true).contains('\u{1b}'));
    }
}

/// Writes every case into the folder that `REPORT_GALLERY` names, for people to look at.
#[test]
#[ignore = "makes pictures for people"]
fn gallery() {
    let folder = std::env::var("REPORT_GALLERY").expect("REPORT_GALLERY names a folder");
    for (name, case) in cases() {
        let (scenario, findings) = (scenario(&case), findings(&case));
        let folder = Path::new(&folder).join(name);
        run::write(&folder, &scenario, &findings, &Options { png: true, ..Options::default() })
            .expect("the report is written");
        for width in [80, 120] {
            println!(
                "---- {name} at {width} columns\n{}",
                run::terminal::render(&scenario, &findings, width, false)
            );
        }
    }
}
