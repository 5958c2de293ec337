//! The same scenario, seed and version give the same bytes, whatever the number of threads.

use std::path::Path;

use backpressure_sim::experiment::{self, Unattended};
use backpressure_sim::report::{self, Options};
use backpressure_sim::scenario;

/// Spike, depth observed at each arrival, one gateway, first in first out: the plain case.
const PLAIN: &str = r#"
name = "plain"
duration = "20s"
seed = 7
replications = 5

[arrivals]
phases = [
    { name = "calm", for = "5s", rate = "80/s" },
    { name = "spike", for = "5s", rate = "200/s", spike = true },
    { name = "after", rate = "80/s" },
]

[policy]
recovery = 50
warning = 100
critical = 500

[workers]
concurrency = 10
overhead = "1ms"
service_time = { distribution = "lognormal", mean = "99ms", cv = 0.5 }
"#;

/// Every part that draws random numbers or keeps a history, at once.
const ALL_FEATURES: &str = r#"
name = "all-features"
duration = "20s"
warmup = "1s"
seed = 11
replications = 70
recovery_hold = "500ms"

[arrivals]
process = "renewal"
interarrival = { distribution = "gamma", shape = 0.5, mean = "10ms" }

[[class]]
name = "alarm"
priority = 1
payload = { distribution = "exponential", mean = "1KiB" }
arrivals = { process = "poisson", phases = [
    { for = "5s", rate = "5/s" },
    { for = "5s", rate = "40/s", spike = true },
    { rate = "5/s" },
] }

[[class]]
name = "telemetry"
priority = 5
share = 0.7
payload = { distribution = "lognormal", mean = "2KiB", cv = 1 }
service_time = { distribution = "hyperexponential", mean = "70ms", cv = 2 }

[[class]]
name = "batch"
priority = 10
share = 0.3

[policy]
recovery = 20
warning = 40
critical = 100
reopen_at = 60
observe = "100ms"
on_unknown_depth = "urgent-only"

[gateway]
instances = 3
check_latency = "5ms"
depth_age = "50ms"

[queue]
discipline = "priority"
capacity = 150

[workers]
processes = 2
concurrency = 4
overhead = "1ms"
service_time = { distribution = "erlang", shape = 3, mean = "90ms" }

[redis]
base = "1MiB"
job_overhead = "723B"
maxmemory = "1240KiB"
on_full = "crash"
restart_after = "1s"
"#;

#[test]
fn the_number_of_threads_changes_no_byte() {
    for text in [PLAIN, ALL_FEATURES] {
        let alone = bytes(text, 1);
        for threads in [2, 8] {
            assert!(alone == bytes(text, threads), "{threads} threads differ from 1: {text}");
        }
    }
}

#[test]
fn all_features_happen_in_the_scenario_of_that_name() {
    let scenario = load(ALL_FEATURES);
    let findings = experiment::run(&scenario, &Unattended).expect("nobody interrupts");
    for metric in [
        "circuit_openings",
        "lost_jobs",
        "rejected_open_jobs",
        "rejected_half_open_jobs",
        "rejected_depth_unknown_jobs",
        "priority_inversion_fraction",
    ] {
        let estimate = findings.summary.metrics.get(metric).expect("a known metric");
        assert!(estimate.max > Some(0.0), "{metric}: {estimate:?}");
    }
}

/// Pinned: generators, streams, the order of draws and the engine. If it moves, the commit says why.
#[test]
fn small_runs_are_pinned() {
    check_digest(PLAIN, "f0eddbe53c32cac7");
    check_digest(ALL_FEATURES, "a4c3e8736e68a08a");
}

#[track_caller]
fn check_digest(text: &str, expected: &str) {
    let findings = experiment::run(&load(text), &Unattended).expect("nobody interrupts");
    assert_eq!(findings.summary.digest, expected);
}

/// The summary as JSON and the series as CSV, as the report has them.
fn bytes(text: &str, threads: usize) -> [Vec<u8>; 2] {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool of threads");
    let scenario = load(text);
    let findings = pool.install(|| experiment::run(&scenario, &Unattended)).expect("nobody interrupts");
    let folder = tempfile::tempdir().expect("a folder for the report");
    let report = folder.path().join("report");
    report::write(&report, &scenario, &findings, &Options::default()).expect("a report");
    ["summary.json", "timeseries.csv"].map(|name| std::fs::read(report.join(name)).expect("a written file"))
}

fn load(text: &str) -> scenario::Scenario {
    match scenario::from_str(text, "test.toml", Path::new(""), &[]) {
        Ok(loaded) => loaded.scenario,
        Err(error) => panic!("{error:?}"),
    }
}
