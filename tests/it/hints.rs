//! Hints: each fires where it should, and not beside it.

use std::collections::BTreeMap;
use std::fs;

use backpressure_sim::scenario::{Hint, HintKind};
use serde_json::Value;

use crate::support::{folder_with, repository, repository_scenario, scenario, simulate, text};

/// Ten slots of 100 ms do 100 jobs a second; the calm is half of it, the spike three times as much.
const BASE: &str = r#"
duration = "5m"
replications = 2

[arrivals]
phases = [
    { name = "calm", for = "60s", rate = "50/s" },
    { name = "spike", for = "60s", rate = "300/s", spike = true },
    { name = "after", rate = "50/s" },
]

[policy]
recovery = 50
warning = 100
critical = 500

[workers]
concurrency = 10
overhead = "0s"
service_time = { distribution = "exponential", mean = "100ms" }

[alerts]
depth_critical_for = "10s"

[clients]
retries = 1
backoff = "exponential"
"#;

fn hints(overrides: &[&str]) -> Vec<Hint> {
    scenario(BASE, overrides).hints
}

/// The hint of that kind.
#[track_caller]
fn hint(kind: HintKind, overrides: &[&str]) -> Hint {
    let found = hints(overrides);
    let of_kind = found.iter().find(|hint| hint.kind == kind);
    of_kind.unwrap_or_else(|| panic!("{overrides:?}: {found:?}")).clone()
}

/// It fires with the first settings, naming the place and all these words, and not with any of the others.
#[track_caller]
fn check(kind: HintKind, fires: &[&str], words: &[&str], beside: &[&[&str]]) {
    let told = hint(kind, fires).to_string();
    for word in words {
        assert!(told.contains(word), "no `{word}` in: {told}");
    }
    for overrides in beside {
        let found = hints(overrides);
        assert!(found.iter().all(|hint| hint.kind != kind), "{overrides:?}: {found:?}");
    }
}

#[test]
fn a_scenario_without_contradictions_has_none() {
    assert_eq!(hints(&[]), []);
}

#[test]
fn an_autoscaler_above_the_policy_never_acts() {
    check(
        HintKind::AutoscalerNeverActs,
        &["autoscaler.max=4", "autoscaler.target=500"],
        &["--set autoscaler.target", "550 jobs", "`policy.critical` lets the depth reach 500", "Below 455"],
        &[
            &["autoscaler.max=4", "autoscaler.target=454"],
            &["autoscaler.max=1", "autoscaler.target=500"],
            &["autoscaler.max=4", "autoscaler.target=500", "policy.enabled=false"],
            &[
                "autoscaler.max=4",
                "autoscaler.target=500",
                "autoscaler.tolerance_up=0",
                "policy.critical=501",
            ],
        ],
    );
    let of_two = hint(
        HintKind::AutoscalerNeverActs,
        &["workers.processes=2", "autoscaler.max=4", "autoscaler.target=230"],
    );
    assert!(of_two.message.contains("x 2 processes"), "{of_two}");
    let total =
        ["workers.processes=2", "autoscaler.max=4", "autoscaler.target=230", "autoscaler.target_type=value"];
    assert!(hints(&total).is_empty());
}

#[test]
fn a_flood_that_no_policy_turns_away_has_no_bound() {
    let urgent = ["autoscaler.max=2", "autoscaler.target=500", "policy.default_priority=1"];
    assert!(hints(&urgent).iter().all(|hint| hint.kind != HintKind::AutoscalerNeverActs));
}

#[test]
fn a_recovery_threshold_beyond_patience_keeps_clients_away() {
    let waiting = ["clients.timeout=800ms", "clients.wait_for=completion"];
    check(
        HintKind::RecoveryBeyondPatience,
        &waiting,
        &["line 13, `policy.recovery`", "50 jobs are 0.5 s of work", "At most 40"],
        &[&["clients.timeout=1s", "clients.wait_for=completion"], &["clients.timeout=800ms"]],
    );
}

#[test]
fn a_redis_below_critical_is_full_first() {
    check(
        HintKind::RedisBelowCritical,
        &["redis.maxmemory=3MiB", "policy.critical=2000"],
        &["--set redis.maxmemory", "2000 jobs", "MiB"],
        &[
            &["redis.maxmemory=3MiB"],
            &["redis.maxmemory=6MiB", "policy.critical=2000"],
            &["redis.maxmemory=3MiB", "policy.critical=2000", "redis.watermark=0.8"],
            &["redis.maxmemory=3MiB", "policy.critical=2000", "policy.enabled=false"],
        ],
    );
}

#[test]
fn workers_below_the_calm_never_catch_up() {
    check(
        HintKind::WorkersBelowCalm,
        &["arrivals.phases.calm.rate=101/s"],
        &["default, `workers.processes`", "1 process can do 100/s", "101/s arrive", "At least 2"],
        &[&["arrivals.phases.calm.rate=100/s"], &["arrivals.phases.calm.rate=101/s", "autoscaler.max=2"]],
    );
}

#[test]
fn refused_jobs_come_back() {
    let alone = BASE.split("[clients]").next().expect("a text");
    let of = |overrides: &[&str]| scenario(alone, overrides).hints;
    let found = of(&[]);
    assert!(matches!(&found[..], [one] if one.kind == HintKind::ClientsMissing), "{found:?}");
    let told = found[0].to_string();
    assert!(
        told.starts_with("`clients` is not in the file: up to 300/s arrive and 100/s can be done"),
        "{told}"
    );
    // Nothing is refused where the spike fits, or is over before the queue is that deep, or where the policy is off.
    for overrides in [["workers.processes=3"], ["arrivals.phases.spike.for=1500ms"], ["policy.enabled=false"]]
    {
        assert_eq!(of(&overrides), [], "{overrides:?}");
    }
}

#[test]
fn alerts_that_wait_longer_than_the_overload_call_nobody() {
    check(
        HintKind::AlertsBeyondIncident,
        &["alerts.depth_critical_for=2m"],
        &[
            "--set alerts.depth_critical_for",
            "QueueDepthCritical waits 2m",
            "lasts 1m 10s",
            "At most a third of it",
        ],
        &[
            &["alerts.depth_critical_for=1m"],
            &["alerts.depth_critical_for=2m", "workers.processes=3"],
            &["alerts.depth_critical_for=2m", "duration=125s"],
        ],
    );
    assert!(hints(&["alerts.enabled=false"]).is_empty());
}

#[test]
fn hints_are_in_the_text_the_page_and_the_document() {
    let folder = folder_with("x.toml", BASE);
    let run = |more: &[&str]| {
        let arguments = [&["x.toml", "--set", "alerts.depth_critical_for=2m"], more].concat();
        simulate(folder.path(), &arguments)
    };
    let told = run(&[]);
    assert!(
        text(&told.stdout).contains("█ HINTS\n  → --set alerts.depth_critical_for: "),
        "{}",
        text(&told.stdout)
    );
    let page = fs::read_to_string(folder.path().join("reports/x/report.html")).expect("a page");
    assert!(page.contains("<h2>Hints</h2>") && page.contains("nobody is called before it is over"));
    let document: Value = serde_json::from_slice(&run(&["--json"]).stdout).expect("a document");
    let hint = &document["hints"][0];
    assert_eq!(hint["hint"], "alerts-beyond-incident");
    assert_eq!(hint["setting"], "alerts.depth_critical_for");
    for field in ["place", "message", "reason", "advice"] {
        assert!(hint[field].as_str().is_some_and(|text| !text.is_empty()), "{field} in {hint}");
    }
}

/// What the scenarios of the repository are told. Most refuse jobs without clients that come back, as their questions are
/// about the policy; the others show what they are hinted at.
#[test]
fn the_scenarios_of_the_repository_have_the_hints_that_they_show() {
    use HintKind::{AlertsBeyondIncident, ClientsMissing, RedisBelowCritical};
    let expected: [(&str, &[HintKind]); 14] = [
        ("alerts-too-late", &[RedisBelowCritical]),
        ("capacity-100k", &[ClientsMissing]),
        ("contention", &[ClientsMissing]),
        ("daily-cycle", &[ClientsMissing]),
        ("frozen-depth", &[ClientsMissing, AlertsBeyondIncident]),
        ("launch-ramp", &[ClientsMissing]),
        ("overload-cycling", &[ClientsMissing]),
        ("overload-graded", &[ClientsMissing]),
        ("readiness-deadlock", &[ClientsMissing, AlertsBeyondIncident]),
        ("redis-evicts", &[RedisBelowCritical]),
        ("redis-failover", &[AlertsBeyondIncident]),
        ("redis-full-wedge", &[RedisBelowCritical]),
        ("retry-storm", &[AlertsBeyondIncident]),
        ("spike-20k", &[ClientsMissing, AlertsBeyondIncident]),
    ];
    let mut expected: BTreeMap<String, Vec<HintKind>> =
        expected.iter().map(|(name, kinds)| ((*name).to_owned(), kinds.to_vec())).collect();
    for name in ["spike-priority-one-flood", "stale-depth"] {
        expected.insert(name.to_owned(), vec![ClientsMissing, AlertsBeyondIncident]);
    }
    let folder = fs::read_dir(repository("scenarios")).expect("a folder");
    let paths = folder.map(|entry| entry.expect("an entry").path());
    for path in paths.filter(|path| path.extension().is_some_and(|extension| extension == "toml")) {
        let file = path.file_name().expect("a name").to_string_lossy().into_owned();
        let hints = repository_scenario(&file, &[]).hints;
        let kinds: Vec<HintKind> = hints.iter().map(|hint| hint.kind).collect();
        let name = file.trim_end_matches(".toml");
        assert_eq!(kinds, expected.remove(name).unwrap_or_default(), "{name}: {hints:#?}");
    }
    assert!(expected.is_empty(), "no such scenarios: {expected:?}");
}
