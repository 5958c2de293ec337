//! Settings: defaults, all mistakes at once, and a documentation that says what the code does.

use std::collections::BTreeMap;
use std::process::Command;

use backpressure::Priority;
use backpressure_gateway::settings::{DepthMode, Settings, TABLE, markdown};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::support;

fn mistakes(variables: &[(&str, &str)]) -> Vec<String> {
    let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
    let result = Settings::read(|name| variables.get(name).map(|text| (*text).to_owned()));
    result.map(|_| ()).unwrap_err().0.iter().map(ToString::to_string).collect()
}

#[test]
fn defaults_are_those_of_the_specification() {
    let settings = support::settings(&[]);
    let policy = &settings.policy;
    assert!(policy.enabled());
    assert_eq!((policy.warning(), policy.critical(), policy.recovery()), (10_000, 50_000, 5_000));
    assert_eq!(policy.sheds_at(), 40_000);
    assert_eq!(policy.default_priority().get(), 5);
    assert_eq!(settings.worker_concurrency, 20);
    assert_eq!(settings.listen.port(), 3000);
    assert_eq!(settings.depth_mode, DepthMode::Atomic);
    for (name, priority) in
        [("scheduled", 1), ("critical-alarm", 1), ("telemetry-data", 5), ("batch-operation", 10)]
    {
        assert_eq!(settings.priority_of(name).get(), priority, "{name}");
    }
    assert_eq!(settings.priority_of("anything else").get(), 5);
}

#[test]
fn types_can_be_added_and_changed() {
    let settings = support::settings(&[
        ("EVENT_PRIORITIES", "fire = 1, telemetry-data=7"),
        ("DEFAULT_EVENT_PRIORITY", "9"),
    ]);
    assert_eq!(settings.priority_of("fire"), Priority::MOST_URGENT);
    assert_eq!(settings.priority_of("telemetry-data").get(), 7);
    assert_eq!(settings.priority_of("scheduled").get(), 1);
    assert_eq!(settings.priority_of("unheard-of").get(), 9);
}

#[test]
fn all_mistakes_are_told_at_once_without_secrets() {
    let told = mistakes(&[
        ("ENABLE_BACKPRESSURE", "yes"),
        ("QUEUE_WARNING_THRESHOLD", "60000"),
        ("DEFAULT_EVENT_PRIORITY", "11"),
        ("DEPTH_MODE", "guess"),
        ("EVENT_PRIORITIES", "a=1,b,c=99"),
        ("PORT", "70000"),
        ("REDIS_URL", "http://user:secret@host"),
        ("RESET_TOKEN", "short"),
        ("READINESS_CHECKS", "redis,mysql"),
        ("DEPTH_INTERVAL_MS", "0"),
    ]);
    let names: Vec<&str> = told.iter().map(|text| text.split(':').next().unwrap()).collect();
    assert_eq!(
        names,
        [
            "DEPTH_INTERVAL_MS",
            "ENABLE_BACKPRESSURE",
            "DEFAULT_EVENT_PRIORITY",
            "QUEUE_WARNING_THRESHOLD",
            "EVENT_PRIORITIES",
            "EVENT_PRIORITIES",
            "READINESS_CHECKS",
            "REDIS_URL",
            "RESET_TOKEN",
            "DEPTH_MODE",
            "PORT"
        ]
    );
    assert!(told.iter().all(|text| !text.contains("secret") && !text.contains("short")));
    assert!(told[3].contains("60000") && told[3].contains("below critical"), "{}", told[3]);
}

/// A wrong number must not drag the rules about order along with it.
#[test]
fn a_number_that_cannot_be_read_is_one_mistake() {
    assert_eq!(
        mistakes(&[("QUEUE_CRITICAL_THRESHOLD", "5e4")]),
        ["QUEUE_CRITICAL_THRESHOLD: found \"5e4\", allowed: above warning, jobs"]
    );
}

#[test]
fn the_documentation_has_the_table_of_the_code() {
    let page = include_str!("../../../../docs/gateway.md");
    assert!(page.contains(&markdown()), "run `gateway --settings` and put the table into docs/gateway.md");
}

#[test]
fn check_config_says_what_is_wrong_and_starts_nothing() {
    let run = |threshold: &str| {
        Command::new(env!("CARGO_BIN_EXE_gateway"))
            .arg("--check-config")
            .env("QUEUE_WARNING_THRESHOLD", threshold)
            .env("PORT", "1")
            .output()
            .unwrap()
    };
    let good = run("20000");
    assert!(good.status.success() && good.stdout == b"the settings are valid\n");
    let bad = run("50000");
    assert_eq!(bad.status.code(), Some(3));
    let told = String::from_utf8(bad.stderr).unwrap();
    assert!(told.contains("QUEUE_WARNING_THRESHOLD: found \"50000\""), "{told}");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000, rng_seed: RngSeed::Fixed(5), failure_persistence: None, ..ProptestConfig::default()
    })]

    /// Whatever stands in one variable, it is taken or told of under its name, and nothing panics.
    #[test]
    fn any_text_is_a_value_or_a_mistake(row in 0..TABLE.len(), text in "\\PC{0,20}|[0-9]{1,21}|redis://.{0,20}|[a-z]+=[0-9]+") {
        let name = TABLE[row].name;
        if let Err(mistakes) = Settings::read(|asked| (asked == name).then(|| text.clone())) {
            // A number can be good by itself and wrong beside its neighbours.
            let neighbours = ["QUEUE_", "DEPTH_", "MEMORY_", "MAX_"];
            for mistake in mistakes.0 {
                let is_near = neighbours.iter().any(|head| mistake.name.starts_with(head) && name.starts_with(head));
                prop_assert!(mistake.name == name || is_near, "{} for {}", mistake, name);
            }
        }
    }
}
