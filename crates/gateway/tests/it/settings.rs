//! Settings: defaults, all mistakes at once, and a documentation that says what the code does.

use std::collections::BTreeMap;
use std::process::Command;

use backpressure::{KindName, Priority};
use backpressure_gateway::settings::{DepthMode, JobBackoff, Settings};
use contract::variables;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::support;

fn mistakes(variables: &[(&str, &str)]) -> Vec<String> {
    let mut variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
    if !variables.contains_key("REDIS_URL") {
        variables.entry("EMBEDDED_QUEUE").or_insert("true");
    }
    variables.entry("OPEN_ACCESS").or_insert("true");
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
    assert_eq!(settings.admin.port(), 3001);
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
            "ENABLE_BACKPRESSURE",
            "QUEUE_WARNING_THRESHOLD",
            "DEFAULT_EVENT_PRIORITY",
            "EVENT_PRIORITIES",
            "EVENT_PRIORITIES",
            "DEPTH_MODE",
            "DEPTH_INTERVAL_MS",
            "PORT",
            "REDIS_URL",
            "READINESS_CHECKS",
            "RESET_TOKEN"
        ]
    );
    assert!(told.iter().all(|text| !text.contains("secret") && !text.contains("short")));
    assert!(told[1].contains("60000") && told[1].contains("below QUEUE_CRITICAL_THRESHOLD"), "{}", told[1]);
}

/// A wrong number must not drag the rules about order along with it.
#[test]
fn a_number_that_cannot_be_read_is_one_mistake() {
    assert_eq!(
        mistakes(&[("QUEUE_CRITICAL_THRESHOLD", "5e4")]),
        ["QUEUE_CRITICAL_THRESHOLD: found \"5e4\", allowed: 1 to 10^15 jobs, above QUEUE_WARNING_THRESHOLD"]
    );
}

#[test]
fn each_kind_of_policy_can_be_chosen() {
    let words: Vec<&str> = KindName::ALL.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(contract::variables::QUEUE_POLICY.bounds, contract::Bounds::Choice(&["spec", "graded"]));
    assert_eq!(words, ["spec", "graded"]);
    for kind in KindName::ALL {
        assert_eq!(support::settings(&[("QUEUE_POLICY", kind.as_str())]).policy.kind().name(), *kind);
    }
}

/// Every millionth of critical can be said, as a scenario can.
#[test]
fn the_shed_level_is_a_percentage_with_decimals() {
    let shed_at = |percent: &str| {
        let variables = [("QUEUE_SHED_PERCENT", percent), ("QUEUE_CRITICAL_THRESHOLD", "1000000")];
        support::settings(&variables).policy.sheds_at()
    };
    assert_eq!(shed_at("33.3333"), 333_333);
    assert_eq!(shed_at("0.0001"), 1);
    assert_eq!(
        mistakes(&[("QUEUE_SHED_PERCENT", "33.33333")]),
        ["QUEUE_SHED_PERCENT: found \"33.33333\", allowed: above 0, up to 100, at most 4 decimals"]
    );
    // Also under a kind of policy that has no shed level: the mistake would come to light on the day the kind changes.
    assert_eq!(
        mistakes(&[("QUEUE_POLICY", "graded"), ("QUEUE_SHED_PERCENT", "all")]),
        ["QUEUE_SHED_PERCENT: found \"all\", allowed: above 0, up to 100, at most 4 decimals"]
    );
}

#[test]
fn values_are_compared_with_their_neighbours() {
    let one = |variables: &[(&str, &str)]| mistakes(variables).join("; ");
    assert!(one(&[("DEPTH_INTERVAL_MS", "3000")]).starts_with("DEPTH_VALID_MS: found \"2000\""));
    assert!(one(&[("MEMORY_WATERMARK_PERCENT", "90")]).starts_with("MEMORY_URGENT_WATERMARK_PERCENT"));
    assert!(one(&[("MAX_INFLIGHT_BYTES", "64")]).starts_with("MAX_INFLIGHT_BYTES"));
    let never = support::settings(&[("DEPTH_INTERVAL_MS", "3000"), ("DEPTH_VALID_MS", "never")]);
    assert_eq!(never.policy.depth_valid_for(), None);
    let full =
        support::settings(&[("MEMORY_WATERMARK_PERCENT", "100"), ("MEMORY_URGENT_WATERMARK_PERCENT", "100")]);
    assert_eq!(full.memory_watermarks_ppm, (1_000_000, 1_000_000));
}

#[test]
fn jobs_that_failed_pause_as_the_settings_say() {
    let backoff = |variables: &[(&str, &str)]| {
        let variables = [variables, &[("REDIS_URL", "redis://localhost")]].concat();
        support::settings(&variables).redis.unwrap().backoff
    };
    assert_eq!(backoff(&[("JOB_BACKOFF_KIND", "exponential")]), None);
    let pause = std::time::Duration::from_millis(250);
    assert_eq!(backoff(&[("JOB_BACKOFF_MS", "250")]), Some(JobBackoff { pause, doubles: false }));
    assert_eq!(
        backoff(&[("JOB_BACKOFF_MS", "250"), ("JOB_BACKOFF_KIND", "exponential")]),
        Some(JobBackoff { pause, doubles: true })
    );
}

/// The words of a choice are those that the code knows: each gives another setting.
#[test]
fn every_word_of_a_choice_is_read() {
    for variable in variables::ALL {
        if let contract::Bounds::Choice(words) = variable.bounds {
            for word in words {
                support::settings(&[(variable.name, word)]);
            }
        }
    }
    let mode = |word| support::settings(&[("DEPTH_MODE", word)]).depth_mode;
    assert_eq!(
        ["atomic", "request", "sampled"].map(mode),
        [DepthMode::Atomic, DepthMode::Request, DepthMode::Sampled]
    );
}

#[test]
fn the_documentation_has_the_table_of_the_code() {
    let page = include_str!("../../../../docs/gateway.md");
    assert!(
        page.contains(&variables::markdown()),
        "run `gateway --settings` and put the table into docs/gateway.md"
    );
}

#[test]
fn a_queue_in_memory_has_to_be_asked_for() {
    let missing = mistakes(&[("EMBEDDED_QUEUE", "false")]);
    assert!(
        missing[0].starts_with("REDIS_URL: found \"\"") && missing[0].ends_with(", or EMBEDDED_QUEUE=true"),
        "{missing:?}"
    );
    assert_eq!(mistakes(&[("EMBEDDED_QUEUE", "false"), ("REDIS_URL", " ")]), missing, "an empty one is none");
    let both = mistakes(&[("EMBEDDED_QUEUE", "true"), ("REDIS_URL", "redis://localhost")]);
    assert_eq!(both, ["EMBEDDED_QUEUE: found \"true\", allowed: false beside REDIS_URL"]);
    let check = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_gateway"))
            .env_clear()
            .arg("--check-config")
            .args(arguments)
            .output()
            .unwrap()
    };
    assert_eq!(check(&[]).status.code(), Some(3));
    assert!(check(&["--demo"]).status.success());
}

#[test]
fn a_variable_that_is_nearly_one_is_told() {
    let check = |name: &str| {
        let gateway = Command::new(env!("CARGO_BIN_EXE_gateway"))
            .env_clear()
            .env(name, "1")
            .args(["--check-config", "--demo"])
            .output()
            .unwrap();
        (gateway.status.code(), String::from_utf8(gateway.stderr).unwrap())
    };
    let (code, told) = check("QUEUE_CRITICAL_TRESHOLD");
    assert_eq!((code, told.contains("is QUEUE_CRITICAL_THRESHOLD meant?")), (Some(3), true), "{told}");
    let (code, told) = check("REDIS_SERVICE_HOST");
    assert_eq!((code, told.contains("REDIS_SERVICE_HOST is no variable")), (Some(0), true), "{told}");
}

#[test]
fn check_config_says_what_is_wrong_and_starts_nothing() {
    let run = |threshold: &str| {
        Command::new(env!("CARGO_BIN_EXE_gateway"))
            .args(["--check-config", "--demo"])
            .env("QUEUE_WARNING_THRESHOLD", threshold)
            .env("PORT", "1")
            .output()
            .unwrap()
    };
    let good = run("20000");
    assert!(good.status.success() && good.stdout.starts_with(b"the settings are valid\nmemory: at most "));
    let bad = run("50000");
    assert_eq!(bad.status.code(), Some(3));
    let told = String::from_utf8(bad.stderr).unwrap();
    assert!(told.contains("QUEUE_WARNING_THRESHOLD: found \"50000\""), "{told}");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000, rng_seed: RngSeed::Fixed(5), failure_persistence: None, ..ProptestConfig::default()
    })]

    /// Whatever stands in one variable, it is read or refused under its name, and nothing panics. What its bounds refuse is refused.
    #[test]
    fn any_text_is_a_value_or_a_mistake(
        row in 0..variables::ALL.len(),
        text in "\\PC{0,20}|[0-9]{1,21}|[0-9]{1,3}\\.[0-9]{1,5}|redis://.{0,20}|[a-z]+=[0-9]+",
    ) {
        let variable = &variables::ALL[row];
        let read = Settings::read(|asked| match asked {
            _ if asked == variable.name => Some(text.clone()),
            "EMBEDDED_QUEUE" | "OPEN_ACCESS" => Some("true".to_owned()),
            _ => None,
        });
        let mistakes = read.map_or_else(|mistakes| mistakes.0, |_| Vec::new());
        let is_refused = mistakes.iter().any(|mistake| mistake.name == variable.name);
        prop_assert!(is_refused || text.trim().is_empty() || variable.accepts(text.trim()), "{:?}", text);
        // A number can be good by itself and wrong beside its neighbours.
        let neighbours = ["QUEUE_", "DEPTH_", "MEMORY_", "MAX_"];
        for mistake in mistakes {
            let is_near = (variable.name == "REDIS_URL" && mistake.name == "EMBEDDED_QUEUE")
                || (variable.name == "EMBEDDED_QUEUE" && mistake.name == "REDIS_URL")
                || neighbours.iter().any(|head| mistake.name.starts_with(head) && variable.name.starts_with(head));
            prop_assert!(mistake.name == variable.name || is_near, "{} for {}", mistake, variable.name);
        }
    }
}

#[test]
fn two_listeners_have_two_ports() {
    let ports = |host, admin| {
        mistakes(&[("PORT", "4000"), ("ADMIN_PORT", "4000"), ("HOST", host), ("ADMIN_HOST", admin)])
    };
    for (host, admin) in [("0.0.0.0", "127.0.0.1"), ("127.0.0.1", "127.0.0.1"), ("127.0.0.1", "0.0.0.0")] {
        assert_eq!(ports(host, admin), ["ADMIN_PORT: found \"4000\", allowed: another port than PORT"]);
    }
}

#[test]
fn production_is_guarded_whatever_it_is_called() {
    for (environment, is_guarded) in [
        ("production", true),
        ("Production", true),
        (" PROD", true),
        ("staging", false),
        ("productive", false),
    ] {
        let variables =
            [("ENVIRONMENT", environment), ("HOST", "0.0.0.0"), ("REDIS_URL", "redis://localhost")];
        let find = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned())
        };
        assert_eq!(Settings::read(find).is_err(), is_guarded, "{environment}");
    }
}
