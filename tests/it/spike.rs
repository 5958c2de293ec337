//! The full-size spike against its fluid limit: what the scenario predicts must be what a sheet of paper says.
//!
//! The fluid leaves out noise: the spike ends at a random point of a cycle, give or take 0.06 sqrt(k) s after k
//! cycles, so the recovery is compared by its interval and everything else to 1%. And it leaves out the 3 ms
//! between a gateway's decision and the enqueue, which let the depth run past its thresholds and lengthen each
//! cycle by 12 ms (`fluid::stale`): the last cycle is cut 70 ms earlier and recovery begins 500 jobs lower.

use backpressure_sim::experiment::{self, Findings, Unattended};
use backpressure_sim::fluid::{
    self, EventKind, Fluid, Level, PerClass, Regime, Segment, Stale, StaleOutcome, System,
};
use backpressure_sim::model::metric::Metric;

use crate::support::repository_scenario;

const SYSTEM: System = System {
    recovery: 5_000.0,
    warning: 10_000.0,
    critical: 50_000.0,
    reopen_at: 50_000.0,
    shed_depth: 40_000.0,
    servers: 100.0,
    // 8.5 ms of service and 1.5 ms of overhead hold a slot for 10 ms.
    service_rate: 100.0,
};
const CALM: PerClass = PerClass { urgent: 80.0, normal: 6_720.0, batch: 1_200.0 };
const SPIKE: PerClass = PerClass { urgent: 200.0, normal: 16_800.0, batch: 3_000.0 };
const LATENCY: f64 = 0.003;

fn run(overrides: &[&str]) -> Findings {
    let scenario = repository_scenario("spike-20k.toml", overrides);
    experiment::run(&scenario, &Unattended).unwrap()
}

fn fluid_limit() -> fluid::FluidSolution {
    let segment = |seconds, rates| Segment { seconds, rates };
    fluid::solve(&Fluid {
        system: SYSTEM,
        initial_depth: 0.0,
        initial_state: Regime::Closed,
        segments: vec![segment(60.0, CALM), segment(60.0, SPIKE), segment(180.0, CALM)],
    })
}

fn with_latency() -> StaleOutcome {
    let overload = Stale { system: SYSTEM, initial_depth: 80.0, rates: SPIKE, latency: LATENCY };
    fluid::stale(&overload).expect("the spike makes the circuit cycle")
}

fn mean(findings: &Findings, metric: Metric) -> f64 {
    findings.summary.metric(metric).mean.unwrap()
}

fn rejected(findings: &Findings, class: &str) -> f64 {
    findings.summary.classes.get(class).unwrap().get("rejected_jobs").unwrap().mean.unwrap()
}

/// The simulated value lies within 1% of what the fluid says.
#[track_caller]
fn check(what: &str, simulated: f64, fluid: f64) {
    let difference = simulated / fluid - 1.0;
    println!("{what:<24} fluid {fluid:>12.3}  simulated {simulated:>12.3}  {:+.2}%", 100.0 * difference);
    assert!(difference.abs() <= 0.01, "{what}: fluid {fluid}, simulated {simulated}");
}

/// The fluid's value lies in the 99.9% interval of the simulated mean of ten replications.
#[track_caller]
fn check_interval(findings: &Findings, metric: Metric, fluid: f64) {
    let estimate = findings.summary.metric(metric);
    let (simulated, half_width) = (estimate.mean.unwrap(), estimate.half_width.unwrap());
    assert_eq!(estimate.n, 10, "the quantiles below are those of 9 degrees of freedom");
    // Student-t quantiles, 9 degrees of freedom: 2.262 at 95%, 4.781 at 99.9%.
    let half_width = half_width * 4.781 / 2.262;
    println!("{:<24} fluid {fluid:>12.3}  simulated {simulated:>12.3} +- {half_width:.3}", metric.name());
    assert!(
        (simulated - fluid).abs() <= half_width,
        "{}: fluid {fluid}, simulated {simulated}",
        metric.name()
    );
}

#[test]
fn the_ideal_spike_agrees_with_the_fluid_limit() {
    // One circuit: with no latency there is no overshoot either, so of several circuits the first to open keep
    // the depth from the others, which then differ in state.
    let findings = run(&["gateway.check_latency=0s", "gateway.instances=1"]);
    let fluid = fluid_limit();
    let end = fluid.segments.last().unwrap();
    let time_of = |kind| fluid.events.iter().find(|event| event.kind == kind).unwrap().time;
    check("time to shed", mean(&findings, Metric::TimeToShed), time_of(EventKind::Reaches(Level::Shed)));
    check("time to critical", mean(&findings, Metric::TimeToOpen), time_of(EventKind::Opens));
    check("cycle", mean(&findings, Metric::CircuitCycle), fluid.limit_cycles[1].as_ref().unwrap().period);
    check("peak", mean(&findings, Metric::PeakDepth), fluid.peak);
    check("openings", mean(&findings, Metric::CircuitOpenings), end.opens.unwrap() as f64);
    check("rejected telemetry", rejected(&findings, "telemetry-data"), end.rejected.normal);
    check("rejected batch", rejected(&findings, "batch-operation"), end.rejected.batch);
    check("seconds open", mean(&findings, Metric::OpenFraction) * end.time, end.open_seconds);
    check("mean depth", mean(&findings, Metric::MeanDepth), end.depth_area / end.time);
    check_interval(&findings, Metric::Recovery, fluid.recovery.unwrap());
}

#[test]
fn the_spike_with_latency_agrees_with_the_stale_fluid() {
    let findings = run(&[]);
    let stale = with_latency();
    let cycle = stale.cycle.as_ref().unwrap();
    check("time to critical", mean(&findings, Metric::TimeToOpen), 60.0 + stale.critical_time);
    check("cycle", mean(&findings, Metric::CircuitCycle), cycle.period);
    check("peak", mean(&findings, Metric::PeakDepth), stale.peak);

    let fluid = fluid_limit();
    let ideal_period = fluid.limit_cycles[1].as_ref().unwrap().period;
    let cycles = fluid.segments.last().unwrap().opens.unwrap() - 1;
    // In HALF_OPEN the depth climbs by `climb` during the spike and falls by `fall` after it.
    let capacity = SYSTEM.servers * SYSTEM.service_rate;
    let climb = SPIKE.urgent + SPIKE.normal - capacity;
    let fall = capacity - CALM.urgent - CALM.normal;
    let later =
        cycles as f64 * (cycle.period - ideal_period) + (stale.peak - cycle.depth_min - 40_000.0) / climb;
    check_interval(&findings, Metric::Recovery, fluid.recovery.unwrap() - later * climb / fall);
}
