//! `plan.env` and the gateway: its own reader of settings takes the file, and builds the policy that was planned.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use backpressure_gateway::settings::{DepthMode, JobBackoff, Keep, ReadinessChecks, RedisSettings, Settings};
use backpressure_sim::experiment::{self, Findings, Unattended};
use backpressure_sim::model::config::{Discipline, Failures, Observe};
use backpressure_sim::model::metric::Metric;
use backpressure_sim::plan::proof::Proof;
use backpressure_sim::plan::what_if::WhatIf;
use backpressure_sim::plan::{Choice, Criterion, Plan, SearchPath};
use backpressure_sim::scenario::Scenario;
use backpressure_sim::selection::Guarantee;
use backpressure_sim::study::grid::{Grid, GridSource};
use backpressure_sim::{report, scenario};
use contract::{Sets, variables};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::RngSeed;

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1000, rng_seed: RngSeed::Fixed(12), failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn the_gateway_builds_the_policy_that_was_planned(text in scenario_text(), queues in 1..=64u32) {
        let scenario = read(&text);
        let plan = plan(scenario.clone(), queues);
        let file = report::plan::emitted(&plan).env;
        let settings = settings(&file).map_err(|mistakes| TestCaseError::fail(format!("{mistakes}\n{file}")))?;
        check(&settings, &plan.choice.unwrap(), &file)?;
    }
}

#[track_caller]
fn check(settings: &Settings, choice: &Choice, file: &str) -> Result<(), TestCaseError> {
    let model = &choice.scenario.model;
    prop_assert_eq!(settings.policy, model.policy.config, "{}", file);
    for class in &model.classes {
        prop_assert_eq!(settings.priority_of(&class.name), class.priority);
        prop_assert!(settings.priorities.contains_key(&class.name));
    }
    prop_assert_eq!(settings.worker_concurrency, model.workers.concurrency);
    let is_instant = model.gateway.check_latency.0 == 0 && model.gateway.depth_age.0 == 0;
    let mode = match model.policy.observe {
        Observe::Every(_) => DepthMode::Sampled,
        _ if is_instant => DepthMode::Atomic,
        _ => DepthMode::Request,
    };
    prop_assert_eq!(settings.depth_mode, mode);
    let readiness =
        ReadinessChecks { database: false, redis: false, backpressure: model.gateway.readiness.is_some() };
    prop_assert_eq!(settings.readiness, readiness);
    let RedisSettings {
        cluster,
        shards,
        by_priority,
        keep_completed,
        keep_failed,
        attempts,
        backoff,
        allow_eviction,
        ..
    } = settings.redis.clone().expect("there is a REDIS_URL");
    prop_assert_eq!(shards, choice.queues);
    let masters = if model.redis.operations.is_some() { model.redis.shards } else { choice.queues };
    prop_assert_eq!(cluster, masters > 1);
    match model.queue.discipline {
        Discipline::Fifo => prop_assert!(!by_priority),
        Discipline::Priority => prop_assert!(by_priority),
        Discipline::Lanes(_) => prop_assert!(file.contains("queue.lane")),
    }
    let kept = |count: u64| if count == u64::MAX { Keep::All } else { Keep::Latest(count) };
    prop_assert_eq!(keep_completed, kept(model.redis.keep_completed.count));
    prop_assert_eq!(keep_failed, kept(model.redis.keep_failed.count));
    if let Some(Failures { attempts: planned, backoff: pause, exponential, .. }) = model.workers.failures {
        prop_assert_eq!(attempts, planned);
        let pause = std::time::Duration::from_nanos(pause.0);
        prop_assert_eq!(backoff, (!pause.is_zero()).then_some(JobBackoff { pause, doubles: exponential }));
    }
    prop_assert_eq!(allow_eviction, model.redis.on_full == backpressure_sim::model::config::OnFull::Evict);
    if let Some(share) = model.redis.watermark {
        prop_assert_eq!(settings.memory_watermarks_ppm.0, (share * 1e6).round() as u32);
    }
    Ok(())
}

/// Each variable that the contract says a scenario sets is in some plan's file.
#[test]
fn every_variable_that_a_scenario_sets_is_written() {
    let text = SMALL
        .replace("[workers]", "[workers]\nfailure_probability = 0.1\nattempts = 5\nretry_backoff = \"1s\"");
    let file = report::plan::emitted(&plan(read(&text), 2)).env;
    let written = variables_of(&file);
    for variable in variables::ALL {
        assert_eq!(
            written.contains_key(variable.name),
            variable.sets != Sets::Nothing,
            "{} in\n{file}",
            variable.name
        );
    }
}

#[test]
fn what_no_variable_says_is_named() {
    let odd = SMALL
        .replace("[policy]", "[policy]\nobserve = \"1500us\"")
        .replace("[queue]", "[queue]\ncapacity = 9000")
        .replace("[gateway]", "[gateway]\nin_flight_limit = 7\ndepth_age = \"1s\"")
        .replace("[redis]", "[redis]\nkeep_failed = 5\nkeep_failed_for = \"1h\"");
    let file = report::plan::emitted(&plan(read(&odd), 100)).env;
    for line in [
        "# No variable says:",
        "#   DEPTH_INTERVAL_MS = 1.5 ms (the variable takes whole milliseconds)",
        "#   queue.capacity = 9000 jobs (the gateway bounds the queue by its thresholds alone)",
        "#   gateway.in_flight_limit = 7 (the gateway bounds bytes and connections)",
        "#   gateway.depth_age = 1 s (the gateway caches no depth)",
        "#   redis.keep_failed_for = 1h (the gateway bounds the number of kept jobs alone)",
        "#   QUEUE_SHARDS = 100 (not a value that the variable takes)",
        "#   workers.processes = 5 (replicas of the workers: hpa.yaml or keda.yaml)",
    ] {
        assert!(file.lines().any(|found| found == line), "{line} in\n{file}");
    }
    assert!(settings(&file).is_ok());
}

/// The guards on memory stay where the plan does not reach them, and go where they would reject what it admits.
#[test]
fn guards_on_memory_do_not_reject_what_was_planned() {
    let watermarks = |maxmemory: &str, more: &str| {
        let text = SMALL.replace("maxmemory = \"64MiB\"", &format!("maxmemory = \"{maxmemory}\"\n{more}"));
        settings(&report::plan::emitted(&plan(read(&text), 1)).env).unwrap().memory_watermarks_ppm
    };
    assert_eq!(watermarks("64MiB", ""), (750_000, 900_000));
    // Empty it takes 2400 KiB.
    assert_eq!(watermarks("2401KiB", ""), (1_000_000, 1_000_000));
    assert_eq!(watermarks("64MiB", "watermark = 0.333333"), (333_333, 900_000));
    assert_eq!(watermarks("64MiB", "watermark = 0.95"), (950_000, 1_000_000));
}

/// As `docker run --env-file` reads it; `plan_report.rs` has a shell read it too.
fn variables_of(file: &str) -> BTreeMap<String, String> {
    let lines = file.lines().filter(|line| !line.starts_with('#'));
    let pair = |line: &str| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    lines.map(|line| pair(line).expect("a variable")).collect()
}

fn settings(file: &str) -> Result<Settings, backpressure_gateway::settings::Mistakes> {
    let mut variables = variables_of(file);
    for name in variables.keys() {
        assert!(variables::named(name).is_some(), "the gateway has no {name}");
    }
    variables.insert("REDIS_URL".to_owned(), "redis://localhost".to_owned());
    variables.insert("OPEN_ACCESS".to_owned(), "true".to_owned());
    Settings::read(|name| variables.get(name).cloned())
}

fn read(text: &str) -> Scenario {
    let loaded = scenario::from_str(text, "random.toml", Path::new("."), &[]);
    loaded.unwrap_or_else(|error| panic!("{error}\n{text}")).scenario
}

/// A plan that chose this scenario. What was found of it does not matter here, so all have the same.
fn plan(scenario: Scenario, queues: u32) -> Plan {
    static FOUND: LazyLock<(Grid, Findings)> = LazyLock::new(|| {
        let source = GridSource {
            file: "small.toml".to_owned(),
            text: SMALL.to_owned(),
            overrides: Vec::new(),
            axes: vec!["workers.processes=5".to_owned()],
            constraints: Vec::new(),
        };
        let grid = Grid::of(source).unwrap();
        let findings = experiment::run(grid.scenario(), &Unattended).unwrap();
        (grid, findings)
    });
    let (grid, findings) = FOUND.clone();
    let choice = Choice {
        id: 0,
        overrides: Vec::new(),
        scenario,
        findings: findings.clone(),
        cost: *findings.summary.metric(Metric::MeanDepth),
        criterion: Criterion::Cost,
        guarantee: Guarantee::None,
        undecided: Vec::new(),
        queues,
        what_if: WhatIf {
            loads: Vec::new(),
            headroom: None,
            knee: None,
            losses: Vec::new(),
            tornado: Vec::new(),
            oom_unprotected: None,
            part: None,
        },
        proof: Proof::default(),
    };
    Plan {
        grid,
        rate: None,
        peak_rate: 10.0,
        path: SearchPath::default(),
        choice: Some(choice),
        nearest: None,
        spec: Vec::new(),
    }
}

const SMALL: &str = r#"
duration = "2s"
replications = 2
[arrivals]
rate = "10/s"
[[class]]
name = "telemetry"
share = 1.0
[policy]
[gateway]
[queue]
[workers]
processes = 5
concurrency = 10
service_time = { distribution = "exponential", mean = "40ms" }
[redis]
maxmemory = "64MiB"
"#;

/// A scenario across all settings that have a variable, and some that have none.
fn scenario_text() -> impl Strategy<Value = String> {
    (policy(), classes(), section(GATEWAY), section(QUEUE), section(WORKERS), section(REDIS)).prop_map(
        |(policy, classes, gateway, queue, workers, redis)| {
            format!(
                "duration = \"1s\"\n[arrivals]\nrate = \"10/s\"\n{classes}[policy]\n{policy}[gateway]\n{gateway}[queue]\n{queue}\
                 [workers]\nservice_time = {{ distribution = \"deterministic\", mean = \"1ms\" }}\n{workers}\
                 [redis]\nmaxmemory = \"1GiB\"\n{redis}"
            )
        },
    )
}

/// One line of each, or none of it.
fn section(settings: &'static [&'static [&'static str]]) -> impl Strategy<Value = String> {
    let line = |lines: &'static [&'static str]| option::of(select(lines));
    settings
        .iter()
        .map(|lines| line(lines))
        .collect::<Vec<_>>()
        .prop_map(|lines| lines.into_iter().flatten().map(|line| format!("{line}\n")).collect())
}

const GATEWAY: &[&[&str]] = &[
    &["instances = 3"],
    &["check_latency = \"3ms\""],
    &["depth_age = \"100ms\""],
    &["in_flight_limit = 30"],
    &["readiness = \"circuit\""],
];

const WORKERS: &[&[&str]] = &[
    &["processes = 7"],
    &["concurrency = 20", "concurrency = 500"],
    &["failure_probability = 0.1"],
    &["attempts = 1", "attempts = 5", "attempts = 1000"],
    &["retry_backoff = \"250ms\"", "retry_backoff = \"1m\""],
    &["retry_backoff_kind = \"exponential\""],
    &["batch = 4"],
];

const REDIS: &[&[&str]] = &[
    &["on_full = \"evict\"", "on_full = \"crash\""],
    &["watermark = 0.75", "watermark = 0.333333", "watermark = 0.9", "watermark = 1.0"],
    &["keep_completed = 1000", "keep_completed = \"all\""],
    &["keep_failed = 12", "keep_failed = \"all\"", "keep_failed_for = \"1h\""],
    &["shards = 3\noperations.enqueue = \"16us\"", "operations.cycle = \"43us\""],
];

const QUEUE: &[&[&str]] =
    &[&["discipline = \"fifo\"", "discipline = \"priority\""], &["capacity = 100"], &["queues = 4"]];

fn classes() -> impl Strategy<Value = String> {
    const NAMES: [&str; 4] = ["telemetry-data", "scheduled", "Gerät_1", "a.b:c/d"];
    vec(option::of(1..=10u8), 0..=NAMES.len()).prop_map(|priorities| {
        let shares = [0.1, 0.2, 0.3, 0.4];
        let count = priorities.len();
        let mut text = String::new();
        for (index, priority) in priorities.into_iter().enumerate() {
            let share =
                if index + 1 == count { 1.0 - shares[..index].iter().sum::<f64>() } else { shares[index] };
            text += &format!("[[class]]\nname = \"{}\"\nshare = {share}\n", NAMES[index]);
            text += &priority.map_or(String::new(), |priority| format!("priority = {priority}\n"));
        }
        text
    })
}

/// Thresholds of all sizes, and every millionth of critical.
fn policy() -> impl Strategy<Value = String> {
    let thresholds = (1..=10u32, 1..=10u32, 1..=10u32).prop_flat_map(|(a, b, c)| {
        let up_to = |digits: u32| 1..10u64.pow(digits);
        (up_to(a), up_to(b), up_to(c))
    });
    let reopen = option::of(0.0..=1.0f64);
    let shed = option::of(1..=1_000_000u32);
    let others = section(&[
        &["enabled = false"],
        &[
            "observe = \"continuous\"",
            "observe = \"250ms\"",
            "observe = \"1s\"",
            "observe = \"10m\"",
            "observe = \"1ms\"",
        ],
        &["on_unknown_depth = \"urgent-only\"", "on_unknown_depth = \"reject\""],
        &["default_priority = 1", "default_priority = 10"],
    ]);
    let policies = (thresholds, reopen, shed, prop::bool::weighted(0.2), others);
    policies.prop_map(|((recovery, over, above), reopen, shed, is_graded, others)| {
        let (warning, critical) = (recovery + over, recovery + over + above);
        let mut text = format!("recovery = {recovery}\nwarning = {warning}\ncritical = {critical}\n{others}");
        if let Some(reopen) = reopen {
            let reopen_at = warning + (reopen * above as f64) as u64;
            text += &format!("reopen_at = {}\n", reopen_at.min(critical));
        }
        if is_graded {
            text += "kind = \"graded\"\n";
        } else if let Some(shed) = shed {
            text += &format!("shed_at = {}.{:06}\n", shed / 1_000_000, shed % 1_000_000);
        }
        text
    })
}
