//! Which threshold should open the circuit?
//!
//! Runs one spike at several thresholds, on the same arrivals, and prints what each costs: a low one rejects jobs
//! that the workers could have served in time, a high one lets the queue grow.
//!
//! ```console
//! $ cargo run --release --example threshold_sweep
//! ```

use std::path::Path;

use backpressure_sim::experiment::{self, Unattended};
use backpressure_sim::model::metric::Metric;
use backpressure_sim::scenario::{self, ScenarioError};

const SPIKE: &str = r#"
duration = "60s"
replications = 5

[arrivals]
phases = [
    { name = "calm", for = "10s", rate = "50/s" },
    { name = "spike", for = "10s", rate = "300/s", spike = true },
    { name = "after", rate = "50/s" },
]

[policy]
recovery = 50
warning = 100

[workers]
concurrency = 10
overhead = "0s"
service_time = { distribution = "exponential", mean = "100ms" }
"#;

const THRESHOLDS: [u64; 4] = [250, 500, 1_000, 2_500];

pub(crate) fn main() -> Result<(), ScenarioError> {
    println!("critical  peak depth  rejected  recovery");
    for critical in THRESHOLDS {
        let [peak, rejected, recovery] = at(critical)?;
        println!("{critical:>8}  {peak:>10.0}  {rejected:>8.0}  {recovery:>6.1} s");
    }
    Ok(())
}

/// The means of peak depth, rejected jobs and recovery time with that threshold.
pub(crate) fn at(critical: u64) -> Result<[f64; 3], ScenarioError> {
    let threshold = format!("policy.critical={critical}");
    let loaded = scenario::from_str(SPIKE, "spike.toml", Path::new(""), &[threshold])?;
    let findings = experiment::run(&loaded.scenario, &Unattended).expect("nobody interrupts it");
    let mean = |metric| findings.summary.metric(metric).mean.expect("every run has one");
    Ok([Metric::PeakDepth, Metric::Rejected, Metric::Recovery].map(mean))
}
