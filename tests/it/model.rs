//! The model by hand: clockwork scenarios whose every event one can follow on paper.
//!
//! Unless a test says otherwise, a job arrives every second from second 1 on, the horizon is 10 s, and what happens at the
//! horizon itself does not happen: jobs arrive at 1, 2, ... 9.

use std::path::Path;

use backpressure::Reason;
use backpressure_sim::model::metric::Metric;
use backpressure_sim::model::outcome::{Outcome, RejectionReason};
use backpressure_sim::{model, scenario};

/// Runs the clockwork with more settings; `top` stands before the first table.
fn run(top: &str, tables: &str) -> (Outcome, model::metric::Metrics) {
    let arrivals = if tables.contains("[class.arrivals]") {
        ""
    } else {
        "[arrivals]\nprocess = \"constant\"\nrate = \"1/s\""
    };
    let text = format!("duration = \"10s\"\n{top}\n{arrivals}\n{tables}\n");
    let loaded = scenario::from_str(&text, "clockwork.toml", Path::new("."), &[]);
    let scenario = loaded.unwrap_or_else(|error| panic!("{text}\n{error}")).scenario;
    let outcome = model::run(&scenario.model, 1, 0);
    let metrics = outcome.metrics(&scenario.model);
    (outcome, metrics)
}

const OFF: &str = "[policy]\nenabled = false\n";
const SLOW: &str = "[workers]\nservice_time = \"100s\"\n";
/// Room for three jobs of 200 bytes; Redis looks before it takes, so that a fourth one comes in as well.
const SMALL_REDIS: &str =
    "[redis]\nbase = \"0B\"\njob_overhead = \"100B\"\npayload_factor = 1.0\nmaxmemory = \"600B\"\n";
const PAYLOAD: &str = "[[class]]\nname = \"all\"\npayload = \"100B\"\n";

fn policy(settings: &str) -> String {
    format!("[policy]\nrecovery = 1\nwarning = 2\nshed_at = 1.0\n{settings}\n{SLOW}")
}

#[track_caller]
fn check(metrics: &model::metric::Metrics, expected: &[(Metric, f64)]) {
    for &(metric, expected) in expected {
        let found = metrics.get(metric).unwrap();
        assert!((found - expected).abs() < 1e-9, "{}: {found}, expected {expected}", metric.name());
    }
}

#[test]
fn a_clockwork_queue_is_exact() {
    let (_, metrics) = run("", &format!("{OFF}[workers]\nservice_time = \"500ms\"\n"));
    check(
        &metrics,
        &[
            (Metric::Offered, 9.0),
            (Metric::Completed, 9.0),
            (Metric::MeanDepth, 0.45),
            (Metric::PeakDepth, 1.0),
            (Metric::WorkerUtilisation, 0.45),
            (Metric::WaitMean, 0.0),
            (Metric::WaitProbability, 0.0),
            (Metric::SojournMean, 0.5),
            (Metric::Goodput, 0.9),
        ],
    );
}

#[test]
fn overhead_holds_the_slot_and_latency_delays_the_landing() {
    let workers =
        "[workers]\nservice_time = \"500ms\"\noverhead = \"250ms\"\n[gateway]\ncheck_latency = \"1500ms\"\n";
    let (_, metrics) = run("", &format!("{OFF}{workers}"));
    // Landings at 2.5, 3.5, ... 9.5; the last of them and one more are not through: one in flight, one in service.
    check(
        &metrics,
        &[
            // They count as long as they have been there.
            (Metric::SojournMean, (7.0 * 2.25 + 2.0 + 1.0) / 9.0),
            (Metric::WaitMean, 0.0),
            (Metric::Completed, 7.0),
            (Metric::InSystem, 2.0),
            (Metric::WorkerUtilisation, (7.0 * 0.75 + 0.5) / 10.0),
        ],
    );
}

#[test]
fn the_warmup_is_cut_from_averages_and_not_from_counts() {
    let (_, metrics) = run("warmup = \"5s\"", &format!("{OFF}[workers]\nservice_time = \"500ms\"\n"));
    check(
        &metrics,
        &[
            (Metric::Completed, 9.0),
            (Metric::Goodput, 1.0),
            (Metric::MeanDepth, 0.5),
            (Metric::WorkerUtilisation, 0.5),
        ],
    );
}

#[test]
fn a_full_redis_refuses_and_loses() {
    let (_, metrics) = run("", &format!("{PAYLOAD}{OFF}{SLOW}{SMALL_REDIS}"));
    check(
        &metrics,
        &[
            (Metric::Admitted, 9.0),
            (Metric::Lost, 5.0),
            (Metric::InSystem, 4.0),
            (Metric::TimeToOom, 5.0),
            (Metric::RedisPeak, 800.0),
            // One was served, three wait, five wait for ever: at least as long as the run.
            (Metric::WaitProbability, 8.0 / 9.0),
            (Metric::WaitP50, 10.0),
            (Metric::WaitMean, 10.0),
            (Metric::SojournP99, 10.0),
        ],
    );
    for metric in [Metric::WaitP50, Metric::WaitMean, Metric::SojournP99] {
        assert!(metrics.is_censored(metric), "{}", metric.name());
    }
}

#[test]
fn a_crashing_redis_takes_everything_and_comes_back_empty() {
    let redis = format!("{SMALL_REDIS}on_full = \"crash\"\nrestart_after = \"3s\"\n");
    let (_, metrics) = run("", &format!("{PAYLOAD}{OFF}{SLOW}{redis}"));
    // The fifth job crashes it with four inside; 6 and 7 find it down; 8 comes when it is back, 8 and 9 fit again.
    check(
        &metrics,
        &[(Metric::Lost, 7.0), (Metric::InSystem, 2.0), (Metric::TimeToOom, 5.0), (Metric::PeakDepth, 4.0)],
    );
}

#[test]
fn without_a_depth_the_setting_decides() {
    let redis = format!("{SMALL_REDIS}on_full = \"crash\"\nrestart_after = \"3s\"\n");
    let policy = policy("critical = 100\non_unknown_depth = \"reject\"");
    let (outcome, metrics) = run("", &format!("{PAYLOAD}{policy}{redis}"));
    check(&metrics, &[(Metric::Lost, 5.0), (Metric::Rejected, 2.0), (Metric::InSystem, 2.0)]);
    assert_eq!(outcome.total().rejected[RejectionReason::Policy(Reason::DepthUnknown).index()], 2);
}

#[test]
fn the_capacity_counts_jobs_on_their_way() {
    for latency in ["0s", "1500ms"] {
        let gateway = format!("[gateway]\ncheck_latency = \"{latency}\"\n[queue]\ncapacity = 2\n");
        let (outcome, metrics) = run("", &format!("{OFF}{SLOW}{gateway}"));
        check(&metrics, &[(Metric::Admitted, 2.0), (Metric::PeakDepth, 2.0)]);
        assert_eq!(outcome.total().rejected[RejectionReason::QueueLimit.index()], 7);
    }
}

#[test]
fn an_old_depth_opens_the_circuit_late() {
    let (_, metrics) = run("", &format!("{}[gateway]\ndepth_age = \"2500ms\"\n", policy("critical = 4")));
    // The job of second 7 is the first to see the four jobs of second 4.5.
    check(&metrics, &[(Metric::TimeToOpen, 7.0), (Metric::Admitted, 6.0), (Metric::Overshoot, 2.0)]);
}

#[test]
fn a_timer_observes_between_arrivals() {
    let (_, metrics) = run("", &policy("critical = 4\nobserve = \"2s\""));
    // It sees 3 jobs at second 4, before that second's arrival, and 5 at second 6.
    check(&metrics, &[(Metric::TimeToOpen, 6.0), (Metric::Admitted, 5.0), (Metric::ClosedFraction, 0.6)]);
}

#[test]
fn each_gateway_has_a_circuit_of_its_own() {
    let (_, metrics) = run("", &format!("{}[gateway]\ninstances = 2\n", policy("critical = 3")));
    // Gateways take the arrivals in turn: the second opens at second 4, the first at 5.
    check(
        &metrics,
        &[
            (Metric::CircuitOpenings, 1.0),
            (Metric::OpenFraction, (5.0 + 6.0) / 20.0),
            (Metric::Admitted, 3.0),
        ],
    );
}

#[test]
fn recovery_counts_from_a_start_with_jobs_and_must_hold() {
    let pair = |name: &str| {
        format!(
            "[[class]]\nname = \"{name}\"\n[class.arrivals]\nprocess = \"constant\"\n\
             phases = [{{ name = \"on\", for = \"5s\", rate = \"0.25/s\" }}, {{ name = \"off\", rate = \"0/s\" }}]\n"
        )
    };
    let rest = "[start]\ndepth = 3\n[policy]\nrecovery = 1\nwarning = 2\ncritical = 100\n[workers]\nservice_time = \"1s\"\n";
    let tables = format!("{}{}{rest}", pair("a"), pair("b"));
    // Three jobs leave at 1, 2 and 3; two arrive at 4, and one of them leaves at 5.
    check(&run("", &tables).1, &[(Metric::Recovery, 2.0), (Metric::Initial, 3.0), (Metric::Completed, 5.0)]);
    check(&run("recovery_hold = \"3s\"", &tables).1, &[(Metric::Recovery, 5.0)]);
    let never = run("recovery_hold = \"6s\"", &tables).1;
    check(&never, &[(Metric::Recovery, 10.0)]);
    assert!(never.is_censored(Metric::Recovery));
}

/// Ten seconds of one job a second, five of four a second, and one a second again, on a slot that takes half a second.
///
/// From 10 s on the slot is busy: 21 jobs until the end of the spike, and one a second that arrives later. The job of 23 s
/// starts at 24 s, when that of 24 s arrives and waits until 24.5 s; from 25 s on nobody waits.
fn spiked(horizon: &str, more: &str) -> model::metric::Metrics {
    let phases = |names: [&str; 3]| {
        let [calm, spike, after] = names;
        format!(
            "phases = [{{ name = \"a\", for = \"10s\", rate = \"1/s\" {calm}}}, \
             {{ name = \"b\", for = \"5s\", rate = \"4/s\" {spike}}}, {{ name = \"c\", rate = \"1/s\" {after}}}]"
        )
    };
    let phases = phases(if more.contains("no spike") { ["", "", ""] } else { ["", ", spike = true", ""] });
    let more = more.replace("no spike", "");
    let text = format!(
        "duration = \"{horizon}\"\n[arrivals]\nprocess = \"constant\"\n{phases}\n\
         [workers]\nservice_time = \"500ms\"\n{more}\n"
    );
    let loaded = scenario::from_str(&text, "spiked.toml", Path::new("."), &[]);
    let scenario = loaded.unwrap_or_else(|error| panic!("{text}\n{error}")).scenario;
    model::run(&scenario.model, 1, 0).metrics(&scenario.model)
}

const ONE_JOB: &str = "[policy]\nrecovery = 1\nwarning = 1000\ncritical = 2000\n";

#[test]
fn normal_again_is_when_no_more_wait_than_in_the_calm_before() {
    // Nobody waited in the calm. The half second from 24 s on is less than 5% of the time that is left of a minute.
    check(&spiked("60s", ONE_JOB), &[(Metric::Recovery, 9.0), (Metric::NormalAgain, 9.0)]);
    check(&spiked("30s", ONE_JOB), &[(Metric::NormalAgain, 9.5)]);
    // A threshold of six jobs is reached while five wait.
    let six = ONE_JOB.replace("recovery = 1", "recovery = 6");
    check(&spiked("60s", &six), &[(Metric::Recovery, 4.0), (Metric::NormalAgain, 9.0)]);
    // The run ends before.
    let never = spiked("20s", &six);
    check(&never, &[(Metric::Recovery, 4.0), (Metric::NormalAgain, 20.0)]);
    assert!(never.is_censored(Metric::NormalAgain) && !never.is_censored(Metric::Recovery));
}

#[test]
fn without_a_calm_as_many_may_wait_as_there_are_slots() {
    // The warm-up ends with the calm. At 23 s one job waits, and for half a second one more.
    check(&spiked("60s\"\nwarmup = \"10s", ONE_JOB), &[(Metric::NormalAgain, 8.0)]);
}

#[test]
fn what_was_not_disturbed_has_no_recovery_and_what_is_lost_never_returns() {
    let calm = spiked("60s", &format!("no spike{ONE_JOB}"));
    assert_eq!((calm.get(Metric::Recovery), calm.get(Metric::NormalAgain)), (None, None));
    // Redis is away for a second in the spike: one job at each quarter is lost.
    let fault = "[[fault]]\nkind = \"redis-outage\"\nat = \"12100ms\"\nfor = \"1s\"\n";
    let lost = spiked("60s", &format!("{ONE_JOB}{fault}"));
    assert_eq!(lost.get(Metric::Lost), Some(4.0));
    assert!(lost.is_censored(Metric::NormalAgain) && !lost.is_censored(Metric::Recovery));
    check(&lost, &[(Metric::NormalAgain, 60.0)]);
}

#[test]
fn inversions_are_urgent_rejections_in_seconds_with_batch_admissions() {
    // One place. In second 0 batch takes it and an alarm is turned away; in second 1 it is the other way round.
    let folder = tempfile::tempdir().unwrap();
    let trace = "time_ms,class\n100,batch\n200,alarm\n1100,alarm\n1200,batch\n1300,alarm\n";
    std::fs::write(folder.path().join("trace.csv"), trace).unwrap();
    let text = "duration = \"10s\"\n[arrivals]\nprocess = \"trace\"\nfile = \"trace.csv\"\n\
                [[class]]\nname = \"alarm\"\npriority = 1\n[[class]]\nname = \"batch\"\npriority = 10\n\
                [policy]\nenabled = false\n[queue]\ncapacity = 1\n[workers]\nservice_time = \"400ms\"\n";
    let loaded = scenario::from_str(text, "inversion.toml", folder.path(), &[]);
    let scenario = loaded.unwrap_or_else(|error| panic!("{error}")).scenario;
    let metrics = model::run(&scenario.model, 1, 0).metrics(&scenario.model);
    check(
        &metrics,
        &[(Metric::Admitted, 2.0), (Metric::Rejected, 3.0), (Metric::PriorityInversion, 1.0 / 3.0)],
    );
}

/// A reason without a metric of its own would be missing from every report.
#[test]
fn every_reason_of_a_rejection_has_a_metric_and_a_place() {
    let table = RejectionReason::table();
    assert_eq!(table.len(), RejectionReason::COUNT);
    for (place, (reason, metric, title)) in table.iter().enumerate() {
        assert_eq!(reason.index(), place);
        assert!(metric.name().starts_with("rejected_") && !title.is_empty(), "{metric:?}");
    }
}
