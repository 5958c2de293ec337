//! Faults that overlap: what several do together, for each target that they can share.

use std::path::Path;

use backpressure::Reason;
use backpressure_sim::model::Simulation;
use backpressure_sim::model::config::ModelConfig;
use backpressure_sim::model::outcome::{Outcome, RejectionReason};
use backpressure_sim::model::probe::Probe;
use backpressure_sim::{engine, model, scenario};
use engine::time::SimTime;

/// A fault of `lasts` seconds.
fn fault(kind: &str, at: &str, lasts: &str) -> String {
    let (kind, setting) = kind.split_once(' ').unwrap_or((kind, ""));
    format!("[[fault]]\nkind = \"{kind}\"\nat = \"{at}\"\nfor = \"{lasts}\"\n{setting}\n")
}

fn read(tables: &str) -> ModelConfig {
    let text = format!("duration = \"60500ms\"\nreport.step = \"1s\"\n{tables}");
    let loaded = scenario::from_str(&text, "faults.toml", Path::new("."), &[]);
    loaded.unwrap_or_else(|error| panic!("{text}\n{error}")).scenario.model
}

/// A job each second.
const CLOCKWORK: &str = "[arrivals]\nprocess = \"constant\"\nrate = \"1/s\"\n[policy]\nenabled = false\n";

const QUICK: &str = "[workers]\nservice_time = \"100ms\"\n";

/// Times from arrival to completion by the second of the arrival.
#[derive(Debug, Default)]
struct Sojourns(Vec<(f64, f64)>);

impl Probe for Sojourns {
    fn completed(&mut self, now: SimTime, arrived: SimTime) {
        self.0.push((arrived.as_secs_f64(), now.since(arrived).as_secs_f64()));
    }
}

/// Holds the time in the system of each job against what it should be by its arrival.
#[track_caller]
fn check_sojourns(tables: &str, expected: impl Fn(f64) -> f64) {
    let config = read(&format!("{CLOCKWORK}{tables}"));
    let mut found = Sojourns::default();
    Simulation::new(&config, 1, 0, &mut found).run();
    assert_eq!(found.0.len(), 60);
    for (arrived, sojourn) in found.0 {
        let expected = expected(arrived);
        assert!((sojourn - expected).abs() < 1e-9, "arrived {arrived}: {sojourn}, expected {expected}");
    }
}

/// Slow from 10 s to 30 s by one fault, from 20 s to 40 s by another.
fn factor(arrived: f64, first: f64, second: f64) -> f64 {
    let first = if (10.0..30.0).contains(&arrived) { first } else { 1.0 };
    let second = if (20.0..40.0).contains(&arrived) { second } else { 1.0 };
    first * second
}

#[test]
fn factors_of_a_slow_database_multiply() {
    let faults =
        fault("database-slow factor = 2", "10s", "20s") + &fault("database-slow factor = 3", "20s", "20s");
    let tables =
        format!("[workers]\nconcurrency = 9\nservice_time = \"100ms\"\n[database]\nshare = 1\n{faults}");
    check_sojourns(&tables, |arrived| 0.1 * factor(arrived, 2.0, 3.0));
}

#[test]
fn factors_of_a_slow_redis_multiply() {
    let faults = fault("redis-slow factor = 4", "10s", "20s") + &fault("redis-slow factor = 2", "20s", "20s");
    let tables = format!(
        "[workers]\nconcurrency = 9\nservice_time = \"100ms\"\n[gateway]\ncheck_latency = \"20ms\"\n{faults}"
    );
    check_sojourns(&tables, |arrived| 0.1 + 0.02 * factor(arrived, 4.0, 2.0));
}

/// 100 jobs a second that are admitted whenever the gateways see a depth: how many are rejected.
fn rejected_without_depth(faults: &str) -> u64 {
    let tables = format!(
        "[arrivals]\nprocess = \"constant\"\nrate = \"100/s\"\n[policy]\non_unknown_depth = \"reject\"\n\
         [workers]\nconcurrency = 100\nservice_time = \"10ms\"\n{faults}"
    );
    let total = model::run(&read(&tables), 1, 0).total();
    assert_eq!(total.rejected(), total.rejected[RejectionReason::Policy(Reason::DepthUnknown).index()]);
    total.rejected()
}

#[test]
fn a_depth_that_is_missing_and_frozen_is_missing() {
    let missing = fault("depth-missing", "20s", "30s");
    assert_eq!(rejected_without_depth(&missing), 3_000);
    // The first freeze ends, or begins, in the middle of it.
    for frozen in [("10s", "20s"), ("30s", "30s"), ("25s", "5s"), ("10s", "50s")] {
        let frozen = fault("depth-frozen", frozen.0, frozen.1);
        assert_eq!(rejected_without_depth(&(frozen.clone() + &missing)), 3_000, "{frozen}");
        assert_eq!(rejected_without_depth(&(missing.clone() + &frozen)), 3_000, "{frozen}");
    }
    // Two that are missing are missing until the later end.
    assert_eq!(rejected_without_depth(&(missing + &fault("depth-missing", "10s", "20s"))), 4_000);
    // A reading frozen while Redis does not answer is none, for as long as it is frozen; another freeze prolongs it.
    let outage = fault("redis-outage", "20s", "5s");
    let frozen = fault("depth-frozen", "22s", "8s");
    assert_eq!(rejected_without_depth(&(outage.clone() + &frozen)), 1_000);
    assert_eq!(rejected_without_depth(&(outage + &frozen + &fault("depth-frozen", "28s", "12s"))), 2_000);
}

#[test]
fn a_frozen_depth_is_that_of_the_first_freeze_until_the_last_ends() {
    // A burst before 15 s fills the queue far above critical; frozen before it, nobody sees that.
    let rejected = |faults: &str| {
        let tables = format!(
            "[arrivals]\nprocess = \"constant\"\nphases = [{{ for = \"12s\", rate = \"1/s\" }}, {{ for = \"3s\", rate = \"100/s\" }}, {{ rate = \"1/s\" }}]\n\
             [policy]\nrecovery = 10\nwarning = 20\ncritical = 50\n\
             [workers]\nservice_time = \"1h\"\n{faults}"
        );
        let outcome = model::run(&read(&tables), 1, 0);
        outcome.total().rejected()
    };
    // Seen again from 40 s on: 20 arrivals more are rejected than with a freeze to the end.
    assert_eq!(rejected(&fault("depth-frozen", "10s", "51s")), 0);
    let both = fault("depth-frozen", "10s", "10s") + &fault("depth-frozen", "18s", "22s");
    assert_eq!(rejected(&both), rejected(&fault("depth-frozen", "10s", "30s")));
    assert_eq!(rejected(&both), 21);
    // One that begins when the other is over holds what is there then.
    let apart = fault("depth-frozen", "10s", "10s") + &fault("depth-frozen", "20s", "20s");
    assert_eq!(rejected(&apart), 41);
}

/// The processes that take jobs at each of these seconds.
#[track_caller]
fn check_workers(settings: &str, faults: &str, expected: &[(usize, u32)]) -> Outcome {
    let outcome = model::run(&read(&format!("{CLOCKWORK}[workers]\n{settings}\n{faults}")), 1, 0);
    for &(second, workers) in expected {
        assert_eq!(outcome.series.details[second - 1].workers, workers, "at {second} s\n{faults}");
    }
    outcome
}

#[test]
fn workers_taken_twice_are_back_when_the_last_fault_ends() {
    let four = "processes = 4\nservice_time = \"100ms\"";
    let loss = |count: &str, at: &str, lasts: &str| fault(&format!("worker-loss count = {count}"), at, lasts);
    let restart = |at: &str, lasts: &str| fault("worker-restart", at, lasts);
    // Losses add up while there are workers to lose.
    let (one, other) = (loss("1", "9500ms", "20s"), loss("2", "19500ms", "20s"));
    check_workers(four, &(one.clone() + &other), &[(9, 4), (10, 3), (20, 1), (30, 2), (39, 2), (40, 4)]);
    // All is all: the one that was lost first does not come back before.
    let all = loss("\"all\"", "19500ms", "20s");
    check_workers(four, &(one.clone() + &all), &[(10, 3), (20, 0), (30, 0), (39, 0), (40, 4)]);
    // The shorter one within the longer one.
    let within = loss("\"all\"", "12500ms", "5s");
    check_workers(four, &(one.clone() + &within), &[(10, 3), (13, 0), (18, 3), (29, 3), (30, 4)]);
    // A deployment within a loss, a loss within a deployment, and two deployments.
    check_workers(four, &(one + &restart("19500ms", "20s")), &[(10, 3), (20, 0), (30, 0), (40, 4)]);
    let within = restart("9500ms", "30s") + &loss("1", "19500ms", "10s");
    check_workers(four, &within, &[(10, 0), (20, 0), (30, 0), (39, 0), (40, 4)]);
    let later = restart("9500ms", "20s") + &loss("1", "19500ms", "20s");
    check_workers(four, &later, &[(10, 0), (29, 0), (30, 3), (39, 3), (40, 4)]);
    let two = restart("9500ms", "20s") + &restart("19500ms", "20s");
    check_workers(four, &two, &[(10, 0), (30, 0), (39, 0), (40, 4)]);
}

#[test]
fn a_loss_kills_what_a_restart_lets_finish() {
    // One job, from 1 s on, that a deployment at 2 s would let finish at 41 s.
    let restart = fault("worker-restart", "2s", "58s");
    let done = |faults: &str| {
        check_workers("service_time = \"40s\"\nlock = \"1s\"\nstalled_interval = \"2s\"", faults, &[])
            .total()
            .completed
    };
    assert_eq!(done(&restart), 1);
    assert_eq!(done(&(restart + &fault("worker-loss count = 1", "10s", "5s"))), 0);
}

#[test]
fn a_loss_of_all_holds_those_that_crash() {
    let crashing = "processes = 3\nservice_time = \"100ms\"\ncrash_every = \"4s\"\nrestart_after = \"3s\"";
    let loss = fault("worker-loss count = \"all\"", "9500ms", "40s");
    let all_down: Vec<(usize, u32)> = (10..49).map(|second| (second, 0)).collect();
    check_workers(crashing, &loss, &all_down);
}

#[test]
fn gateways_taken_twice_are_back_when_the_last_fault_ends() {
    let refused = |faults: &str| {
        let outcome =
            model::run(&read(&format!("{CLOCKWORK}{QUICK}[gateway]\ninstances = 3\n{faults}")), 1, 0);
        outcome.total().rejected[RejectionReason::NoGateway.index()]
    };
    let loss =
        |count: &str, at: &str, lasts: &str| fault(&format!("gateway-loss count = {count}"), at, lasts);
    let all = loss("\"all\"", "20s", "20s");
    assert_eq!(refused(&all), 20);
    assert_eq!(refused(&(loss("1", "10s", "20s") + &all)), 20);
    assert_eq!(refused(&(loss("2", "30s", "20s") + &all)), 20);
    // Two of three and one of three are all of them.
    assert_eq!(refused(&(loss("2", "10s", "20s") + &loss("1", "20s", "20s"))), 10);
}

#[test]
fn redis_answers_when_the_last_outage_is_over() {
    let lost = |faults: &str| model::run(&read(&format!("{CLOCKWORK}{QUICK}{faults}")), 1, 0).total().lost;
    let outage = |at: &str, lasts: &str| fault("redis-outage", at, lasts);
    assert_eq!(lost(&outage("10s", "10s")), 10);
    assert_eq!(lost(&(outage("10s", "10s") + &outage("15s", "15s"))), 20);
    assert_eq!(lost(&(outage("10s", "20s") + &fault("redis-failover", "15s", "5s"))), 20);
    assert_eq!(lost(&(fault("redis-failover", "10s", "10s") + &fault("redis-failover", "15s", "15s"))), 20);
}

#[test]
fn steps_of_the_clock_add_up() {
    // Clients come back when they are told to, which follows from the drain rate, and that from the gateways' clock.
    let run = |faults: &str| {
        let tables = format!(
            "{}[start]\ndepth = 100\ncircuit = \"open\"\n[clients]\nretries = 3\nhonour_retry_after = true\n{QUICK}{faults}",
            CLOCKWORK.replace("enabled = false", "recovery = 5\nwarning = 20\ncritical = 50")
        );
        model::run(&read(&tables), 1, 0).digest()
    };
    let step = |step: &str, at: &str, lasts: &str| fault(&format!("clock-step step = \"{step}\""), at, lasts);
    // Two of 30 s from one moment on are one of a minute.
    assert_ne!(run(&step("60s", "2s", "20s")), run(""), "a step is seen at all");
    let two = step("30s", "10s", "20s") + &step("30s", "10s", "20s");
    assert_eq!(run(&two), run(&step("60s", "10s", "20s")));
    let back = step("30s", "10s", "20s") + &step("-30s", "10s", "20s");
    assert_eq!(run(&back), run(&step("0s", "10s", "20s")));
}
