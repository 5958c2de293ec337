//! The planner's forecast against simulations: what it screens by must be near what happens.

use backpressure_sim::experiment::{self, Unattended};
use backpressure_sim::model::metric::Metric;
use backpressure_sim::plan::forecast::Forecast;
use backpressure_sim::scenario::Scenario;

use crate::support::repository_scenario;

#[track_caller]
fn check(scenario: &Scenario, metric: Metric, class: Option<usize>, tolerance: f64) {
    let forecast = Forecast::of(&scenario.model).expect("it applies");
    let forecast = forecast.get(&scenario.model, metric, class).expect("it knows the metric");
    let findings = experiment::run(scenario, &Unattended).expect("nothing interrupts it");
    let simulated =
        experiment::summary::estimate(&findings.replications, class, metric).mean.expect("a value");
    let name = metric.name();
    println!("{name} {class:?}: forecast {forecast:.4}, simulated {simulated:.4}");
    assert!(
        (forecast - simulated).abs() <= tolerance * simulated.abs().max(1.0),
        "{name}: {forecast} is not within {tolerance} of {simulated}"
    );
}

#[test]
fn the_spike_is_forecast_within_two_per_cent() {
    let spike = repository_scenario("spike-20k.toml", &["replications=2"]);
    for metric in
        [Metric::Offered, Metric::Rejected, Metric::PeakDepth, Metric::CircuitOpenings, Metric::MeanDepth]
    {
        check(&spike, metric, None, 0.02);
    }
    check(&spike, Metric::NormalAgain, None, 0.15); // and 2.5 s for the 5,000 jobs of the recovery threshold
    check(&spike, Metric::Recovery, None, 0.15); // 4.9 s, give or take the phase of the cycle
    check(&spike, Metric::Rejected, Some(2), 0.02);
    check(&spike, Metric::Rejected, Some(3), 0.02);
    check(&spike, Metric::Rejected, Some(0), 0.0);
}

#[test]
fn without_the_policy_the_backlog_is_forecast() {
    let off = repository_scenario(
        "spike-20k.toml",
        &["replications=1", "policy.enabled=false", "workers.processes=8"],
    );
    for metric in [Metric::PeakDepth, Metric::Recovery, Metric::RedisPeak] {
        check(&off, metric, None, 0.02);
    }
}

#[test]
fn near_a_limit_there_is_no_forecast() {
    let full = repository_scenario("spike-20k.toml", &["redis.maxmemory=64MiB"]);
    assert_eq!(Forecast::of(&full.model), None);
    let flapping = repository_scenario("spike-20k.toml", &["policy.warning=10000", "policy.reopen_at=10001"]);
    assert_eq!(Forecast::of(&flapping.model), None);
}
