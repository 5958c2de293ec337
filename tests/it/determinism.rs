//! The same scenario, seed and version give the same bytes, whatever the number of threads.

use backpressure_sim::experiment::{self, Unattended};
use backpressure_sim::report::{Options, run};

use crate::support::scenario;

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

/// Every part of the detailed level, at once.
const ALL_PARTS: &str = r#"
name = "all-parts"
duration = "40s"
seed = 5
replications = 30

[arrivals]
process = "mmpp"
states = [
    { name = "quiet", rate = "40/s", mean = "4s" },
    { name = "burst", rate = "160/s", mean = "2s" },
]

[[class]]
name = "alarm"
priority = 1
arrivals = { phases = [{ for = "20s", rate = "2/s", ramp_to = "20/s" }, { rate = "5/s", cycle = { amplitude = 1.0, period = "7s" } }] }

[[class]]
name = "telemetry"
priority = 5
share = 1
payload = { distribution = "lognormal", mean = "2KiB", cv = 1 }

[[class]]
name = "nightly"
priority = 10
arrivals = { process = "cron", schedule = "*/10 * * * * *", jobs = 100, within = "2s" }

[policy]
recovery = 20
warning = 40
critical = 110
observe = "500ms"

[gateway]
instances = 3
check_latency = "5ms"
in_flight_limit = 50
readiness = "circuit"
readiness_period = "1s"
readiness_failures = 2

[queue]
discipline = "lanes"
queues = 3
lane = [{ weight = 3, classes = ["alarm"] }, { weight = 2, classes = ["telemetry"] }, { weight = 1, classes = ["nightly"] }]

[workers]
processes = 2
concurrency = 4
overhead = "1ms"
service_time = { distribution = "exponential", mean = "60ms" }
contention = 0.02
coherency = 0.001
batch = 2
batch_marginal_cost = 0.7
failure_probability = 0.1
attempts = 3
retry_backoff = "200ms"
retry_backoff_kind = "exponential"
crash_every = "30s"
restart_after = "2s"
lock = "2s"
stalled_interval = "2s"

[database]
pool = 8
share = 0.5

[autoscaler]
min = 2
max = 6
target = 30
sync = "3s"
metric_age = "2s"
start_up = { distribution = "lognormal", mean = "2s", cv = 0.5 }

[redis]
maxmemory = "5MiB"
watermark = 0.95
keep_completed = 100
keep_failed = "all"
shards = 2
operations = { enqueue = "100us", cycle = "200us", depth = "50us" }

[clients]
timeout = "2s"
wait_for = "completion"
retries = 3
backoff = "exponential"
retry_budget = 0.5

[[fault]]
kind = "redis-failover"
at = "15s"
for = "2s"
lag = "200ms"

[[fault]]
kind = "worker-loss"
at = "22s"
for = "3s"
count = 1

[[fault]]
kind = "gateway-loss"
at = "26s"
for = "3s"
count = 1

[[fault]]
kind = "clock-step"
at = "30s"
for = "2s"
step = "-10s"
"#;

#[test]
fn the_number_of_threads_changes_no_byte() {
    for text in [PLAIN, ALL_FEATURES, ALL_PARTS] {
        let alone = bytes(text, 1);
        for threads in [2, 8] {
            assert!(alone == bytes(text, threads), "{threads} threads differ from 1: {text}");
        }
    }
}

#[test]
fn all_features_happen_in_the_scenario_of_that_name() {
    let scenario = scenario(ALL_FEATURES, &[]);
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

#[test]
fn all_parts_happen_in_the_scenario_of_that_name() {
    let findings = experiment::run(&scenario(ALL_PARTS, &[]), &Unattended).expect("nobody interrupts");
    for metric in [
        "retried_jobs",
        "timed_out_jobs",
        "abandoned_requests",
        "wasted_jobs",
        "failed_attempts",
        "redelivered_jobs",
        "redis_utilisation",
        "database_utilisation",
        "rejected_enqueue_jobs",
        "lost_jobs",
        "circuit_openings",
    ] {
        let estimate = findings.summary.metrics.get(metric).expect(metric);
        assert!(estimate.max > Some(0.0), "{metric}: {estimate:?}");
    }
    assert!(!findings.summary.scaling.is_empty());
}

/// Pinned: generators, streams, the order of draws and the engine. If it moves, the commit says why.
#[test]
fn small_runs_are_pinned() {
    check_digest(PLAIN, "f0eddbe53c32cac7");
    check_digest(ALL_FEATURES, "c9e3a61ce0ad5ad9");
    check_digest(ALL_PARTS, "f840aace3b88372a");
}

#[track_caller]
fn check_digest(text: &str, expected: &str) {
    let findings = experiment::run(&scenario(text, &[]), &Unattended).expect("nobody interrupts");
    assert_eq!(findings.summary.digest, expected);
}

/// The summary as JSON and the series as CSV, as the report has them.
fn bytes(text: &str, threads: usize) -> [Vec<u8>; 2] {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool of threads");
    let scenario = scenario(text, &[]);
    let findings = pool.install(|| experiment::run(&scenario, &Unattended)).expect("nobody interrupts");
    let folder = tempfile::tempdir().expect("a folder for the report");
    let report = folder.path().join("report");
    run::write(&report, &scenario, &findings, &Options::default()).expect("a report");
    ["summary.json", "timeseries.csv"].map(|name| std::fs::read(report.join(name)).expect("a written file"))
}
