//! The scenarios of the repository say what a run of them shows: what they claim, held against one replication or two.

use backpressure_sim::experiment::summary::{AlertSummary, Summary};
use backpressure_sim::experiment::{self, Unattended};

use backpressure_sim::model::metric::Metric;

use crate::support::repository_scenario;

/// Runs `scenarios/NAME.toml` with a small number of replications and these overrides.
#[track_caller]
fn run(name: &str, overrides: &[&str]) -> Summary {
    let overrides = [&["replications=2"], overrides].concat();
    let scenario = repository_scenario(&format!("{name}.toml"), &overrides);
    experiment::run(&scenario, &Unattended).expect("nobody interrupts").summary
}

/// The mean of a metric, of a class if one is named.
fn mean(summary: &Summary, metric: &str, class: Option<&str>) -> f64 {
    let metrics = class.map_or(&summary.metrics, |class| summary.classes.get(class).expect(class));
    metrics.get(metric).and_then(|estimate| estimate.mean).unwrap_or(f64::NAN)
}

/// The mean of a metric is within a part of what is claimed.
#[track_caller]
fn is_about(summary: &Summary, metric: &str, class: Option<&str>, claimed: f64, part: f64) {
    let found = mean(summary, metric, class);
    assert!((found - claimed).abs() <= part * claimed, "{metric} {class:?}: {found}, claimed {claimed}");
}

#[track_caller]
fn is_below(summary: &Summary, metric: &str, class: Option<&str>, most: f64) {
    let found = mean(summary, metric, class);
    assert!(found <= most, "{metric} {class:?}: {found}, at most {most}");
}

/// When a limit was reached, in seconds.
fn reached(summary: &Summary, limit: &str) -> f64 {
    summary
        .limits_reached
        .iter()
        .find(|reached| reached.limit == limit)
        .map_or(f64::NAN, |reached| reached.seconds)
}

fn alert<'a>(summary: &'a Summary, name: &str) -> &'a AlertSummary {
    summary.alerts.iter().find(|alert| alert.alert == name).expect(name)
}

#[test]
fn launch_ramp_shows_late() {
    let summary = run("launch-ramp", &[]);
    // 6,667/s are passed (6,667 - 3,000) / 6,000 of the way through the five minutes.
    let passed = 60.0 + 300.0 * (60.0 / 0.009 - 3000.0) / 6000.0;
    assert!((reached(&summary, "workers saturated") - passed).abs() < 4.0);
    assert!((reached(&summary, "shed level") - passed - 62.0).abs() < 3.0);
    assert!((reached(&summary, "circuit open") - passed - 93.0).abs() < 3.0);
    assert!((alert(&summary, "QueueDepthWarning").fired_seconds.unwrap() - passed - 341.0).abs() < 16.0);
}

#[test]
fn a_graded_cut_ends_the_cycle_and_refuses_as_many() {
    let short = ["duration=3m"];
    let (spec, graded) = (run("overload-cycling", &short), run("overload-graded", &short));
    assert!(mean(&spec, "circuit_openings", None) > 5.0);
    is_below(&graded, "circuit_openings", None, 0.0);
    // The depth settles where the cut admits what the workers do: 10k/s less 150/s of priority 1, of 12.6k/s.
    let admitted = (100.0 / 0.010 - 150.0) / 12_600.0;
    is_about(&graded, "mean_depth_jobs", None, 5_000.0 + 5_000.0 * (6.0 - admitted), 0.01);
    is_about(&graded, "wait_p50_seconds", Some("critical-alarm"), 3.1, 0.02);
    is_below(&graded, "wait_p99_seconds", Some("critical-alarm"), 3.2);
    assert!(mean(&spec, "wait_p99_seconds", Some("critical-alarm")) > 4.7);
    is_below(&graded, "rejected_jobs", Some("critical-alarm"), 0.0);
    let refused = mean(&spec, "rejection_probability", None);
    is_about(&graded, "rejection_probability", None, refused, 0.06);
}

#[test]
fn daily_cycle_needs_what_its_peak_needs() {
    let summary = run("daily-cycle", &["replications=1"]);
    is_about(&summary, "rejection_probability", None, 0.082, 0.05);
    let more = run("daily-cycle", &["replications=1", "workers.processes=4"]);
    is_below(&more, "rejected_jobs", None, 0.0);
    is_about(&more, "worker_utilisation", None, 0.6, 0.01);
}

#[test]
fn bursts_are_not_their_mean() {
    let summary = run("bursts-mmpp", &["replications=8"]);
    is_about(&summary, "rejection_probability", None, 0.122, 0.1);
    let calm = run("bursts-mmpp", &["arrivals={process=\"poisson\",rate=\"1000/s\"}"]);
    is_below(&calm, "rejected_jobs", None, 0.0);
    is_below(&calm, "wait_p99_seconds", None, 0.01);
}

#[test]
fn nightly_batch_does_not_hurt_alarms_by_priority() {
    let summary = run("nightly-batch", &[]);
    is_below(&summary, "wait_p99_seconds", Some("critical-alarm"), 0.001);
    is_about(&summary, "offered_jobs", Some("nightly-report"), 200_000.0, 0.0);
    is_about(&summary, "rejected_jobs", Some("nightly-report"), 21_130.0, 0.05);
    let fifo = run("nightly-batch", &["queue.discipline=fifo"]);
    is_about(&fifo, "wait_p99_seconds", Some("critical-alarm"), 12.0, 0.05);
    let slow = run("nightly-batch", &["class.nightly-report.arrivals.within=10m"]);
    is_below(&slow, "rejected_jobs", None, 0.0);
}

#[test]
fn recorded_hour_is_replayed() {
    let summary = run("trace-replay", &[]);
    is_about(&summary, "offered_jobs", None, 609_565.0, 0.0);
    is_about(&summary, "rejection_probability", None, 0.061, 0.05);
}

#[test]
fn a_cluster_does_not_help_one_queue() {
    let rejected = |overrides: &[&str]| {
        let overrides: Vec<&str> =
            ["replications=1", "duration=15s"].iter().chain(overrides).copied().collect();
        mean(&run("capacity-100k", &overrides), "rejection_probability", None)
    };
    assert!(rejected(&[]) > 0.7);
    assert!(rejected(&["queue.queues=6"]) > 0.3);
    assert!(rejected(&["queue.queues=7", "redis.shards=7"]) == 0.0);
    assert!(rejected(&["queue.queues=7", "redis.shards=7", "workers.concurrency=30"]) > 0.2);
}

#[test]
fn a_full_redis_wedges_unless_a_watermark_prevents_it() {
    let wedged = run("redis-full-wedge", &[]);
    assert_eq!(wedged.metric(Metric::Recovery).censored, 2);
    is_below(&wedged, "completed_jobs", None, 300_000.0);
    assert!((reached(&wedged, "Redis full") - 94.0).abs() < 2.0);
    let saved = run("redis-full-wedge", &["redis.watermark=0.75"]);
    is_below(&saved, "lost_jobs", None, 0.0);
    is_about(&saved, "recovery_seconds", None, 12.1, 0.1);
}

#[test]
fn a_high_recovery_threshold_recovers_to_a_backlog() {
    // After the spike as many jobs arrive as the workers do: at the threshold the circuit closes, and the backlog stays.
    let phases = "arrivals.phases=[{name=\"calm\",for=\"60s\",rate=\"8k/s\"},\
                  {name=\"spike\",for=\"60s\",rate=\"20k/s\",spike=true},{name=\"after\",rate=\"10k/s\"}]";
    let high = ["policy.recovery=22500", "policy.warning=30000", phases];
    let summary = run("spike-20k", &high);
    let censored = |metric| summary.metric(metric).censored;
    assert_eq!((censored(Metric::Recovery), censored(Metric::NormalAgain)), (0, 2));
    // As it is, everything is back to normal soon after it has recovered.
    let usual = run("spike-20k", &[]);
    assert_eq!(usual.metric(Metric::NormalAgain).censored, 0);
    assert!(mean(&usual, "normal_again_seconds", None) < mean(&usual, "recovery_seconds", None) + 5.0);
}

#[test]
fn an_evicting_redis_loses_in_silence() {
    let summary = run("redis-evicts", &[]);
    is_about(&summary, "lost_jobs", None, 82_400.0, 0.05);
    is_below(&summary, "rejected_jobs", None, 0.0);
    assert!(summary.alerts.iter().all(|alert| alert.fired_in == 0 && alert.too_late_in == 2));
}

#[test]
fn lanes_feed_batch_jobs() {
    let batch = Some("batch-operation");
    let lanes = run("priority-lanes", &[]);
    is_about(&lanes, "goodput_per_second", batch, 678.0, 0.03);
    is_below(&lanes, "wait_p99_seconds", Some("critical-alarm"), 0.003);
    let strict = run("priority-lanes", &["queue.discipline=priority", "queue.lane=[]"]);
    // Those of the calm alone.
    is_about(&strict, "completed_jobs", batch, 18_000.0, 0.03);
    is_about(&strict, "wait_p99_seconds", Some("telemetry-data"), 12.0, 0.1);
    let fifo = run("priority-lanes", &["queue.discipline=fifo", "queue.lane=[]"]);
    is_about(&fifo, "wait_p99_seconds", Some("critical-alarm"), 32.0, 0.05);
}

#[test]
fn contention_has_a_best_concurrency() {
    let goodput = |concurrency: &str| mean(&run("contention", &[concurrency]), "goodput_per_second", None);
    // Gunther's law: N / (1 + 0.05 (N - 1) + 0.002 N (N - 1)) of what one does, in three processes; overhead is beside it.
    let law = |n: f64| 3.0 * n / (0.0075 * (1.0 + 0.05 * (n - 1.0) + 0.002 * n * (n - 1.0)) + 0.0015);
    for n in [10.0, 20.0, 40.0] {
        let found = goodput(&format!("workers.concurrency={n}"));
        assert!((found - law(n)).abs() < 0.01 * law(n), "{n}: {found} {}", law(n));
    }
}

#[test]
fn a_pool_of_connections_is_the_limit() {
    let summary = run("database-pool", &[]);
    is_about(&summary, "rejection_probability", None, 0.0445, 0.05);
    assert_eq!(summary.limits_reached[0].limit, "database pool");
    assert!((reached(&summary, "circuit open") - 101.0).abs() < 2.0);
    is_below(&run("database-pool", &["database.pool=100"]), "rejected_jobs", None, 0.0);
}

#[test]
fn batches_carry_more() {
    let summary = run("batching", &[]);
    is_below(&summary, "rejected_jobs", None, 0.0);
    is_below(&summary, "wait_p99_seconds", None, 0.001);
    // After the warm-up; in the long run it is 1 - 6.67 / 9 = 0.26, but the queue fills for another 20 s.
    is_about(&run("batching", &["workers.batch=1"]), "rejection_probability", None, 0.24, 0.05);
}

#[test]
fn jobs_of_a_dead_worker_come_back_late() {
    let redelivered = |duration: &str| mean(&run("worker-crash", &[duration]), "redelivered_jobs", None);
    assert_eq!(redelivered("duration=119s"), 0.0);
    assert!(redelivered("duration=121s") >= 10.0);
    let summary = run("worker-crash", &[]);
    is_below(&summary, "lost_jobs", None, 0.0);
    is_below(&summary, "failed_jobs", None, 0.0);
    is_about(&summary, "recovery_seconds", None, 7.0, 0.1);
    assert!(mean(&run("worker-crash", &["workers.max_stalled=0"]), "failed_jobs", None) >= 10.0);
}

#[test]
fn failing_jobs_cost_their_attempts() {
    let summary = run("failing-jobs", &[]);
    let [attempts, completed, failed] =
        ["failed_attempts", "completed_jobs", "failed_jobs"].map(|name| mean(&summary, name, None));
    let per_job = (attempts + completed) / (completed + failed);
    assert!((per_job - 1.1111).abs() < 0.001, "{per_job}");
    is_below(&summary, "rejected_jobs", None, 0.0);
    assert!(mean(&run("failing-jobs", &["workers.failure_probability=0.2"]), "rejected_jobs", None) > 0.0);
}

#[test]
fn an_autoscaler_on_depth_is_late() {
    is_about(&run("autoscaler-lag", &["replications=5"]), "rejection_probability", None, 0.075, 0.05);
    is_about(&run("autoscaler-lag", &["autoscaler.max=3"]), "rejection_probability", None, 0.138, 0.05);
    is_about(
        &run("autoscaler-lag", &["autoscaler.metric_age=0s"]),
        "rejection_probability",
        None,
        0.041,
        0.2,
    );
    let enough = run("autoscaler-lag", &["workers.processes=6", "autoscaler.min=6"]);
    is_below(&enough, "rejected_jobs", None, 0.0);
}

#[test]
fn a_fleet_can_shut_itself_out() {
    let dead = run("readiness-deadlock", &[]);
    is_about(&dead, "rejection_probability", None, 0.82, 0.02);
    let alarms = mean(&dead, "rejected_jobs", Some("critical-alarm"));
    is_about(&dead, "rejected_no_gateway_jobs", Some("critical-alarm"), alarms, 0.0);
    assert!(
        dead.warnings.iter().any(|warning| warning.contains("Observe on a timer")),
        "{:?}",
        dead.warnings
    );
    is_about(&run("readiness-deadlock", &["policy.observe=1s"]), "recovery_seconds", None, 39.3, 0.1);
    let ignored = run("readiness-deadlock", &["gateway.readiness=ignore"]);
    is_below(&ignored, "rejected_jobs", Some("critical-alarm"), 0.0);
}

#[test]
fn a_failover_loses_what_was_not_replicated() {
    is_about(&run("redis-failover", &[]), "lost_jobs", None, 8000.0 * 0.5, 0.05);
    is_about(&run("redis-failover", &["clients.retries=0"]), "lost_jobs", None, 104_000.0, 0.05);
}

#[test]
fn a_frozen_depth_blinds_everybody() {
    let summary = run("frozen-depth", &[]);
    is_about(&summary, "peak_depth_jobs", None, 294_000.0, 0.03);
    assert!(summary.alerts.iter().all(|alert| alert.fired_in == 0));
    is_about(&run("frozen-depth", &["fault=[]"]), "peak_depth_jobs", None, 20_000.0, 0.01);
}

#[test]
fn a_game_day_is_survived() {
    let summary = run("game-day", &[]);
    is_about(&summary, "lost_jobs", None, 4500.0 * 15.0, 0.01);
    is_about(&summary, "recovery_seconds", None, 5.8, 0.2);
    assert!((reached(&summary, "circuit open") - 564.0).abs() < 2.0);
    is_below(&summary, "rejected_jobs", Some("critical-alarm"), 0.0);
}

#[test]
fn retries_multiply_the_load() {
    let summary = run("retry-storm", &[]);
    is_about(&summary, "retry_amplification", None, 1.93, 0.03);
    is_about(&summary, "recovery_seconds", None, 7.5, 0.1);
    is_about(&run("retry-storm", &["clients.retry_budget=0.1"]), "retry_amplification", None, 1.018, 0.01);
    let patient = run("retry-storm", &["clients.honour_retry_after=true"]);
    is_about(&patient, "recovery_seconds", None, 54.0, 0.1);
    is_about(&patient, "abandoned_requests", None, 170_000.0, 0.05);
}

#[test]
fn alerts_can_be_too_late() {
    let summary = run("alerts-too-late", &[]);
    is_about(&summary, "lost_jobs", None, 349_000.0, 0.05);
    assert!(summary.alerts.iter().all(|alert| alert.fired_in == 0 && alert.too_late_in == 2));
    assert_eq!(alert(&summary, "QueueDepthWarning").longest_seconds, Some(45.0));
    let earlier = run("alerts-too-late", &["alerts.depth_warning=20000", "alerts.depth_warning_for=1m"]);
    assert!((alert(&earlier, "QueueDepthWarning").lead_seconds.unwrap() - 141.0).abs() < 16.0);
}
