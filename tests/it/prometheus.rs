//! Prometheus itself, on loopback, agrees with what the simulator says of alerts and rates.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use backpressure_sim::alerts::{processing_rate, rejection_rate};
use backpressure_sim::engine::time::{SimDuration, SimTime};
use backpressure_sim::experiment::{self, Findings, Unattended};
use backpressure_sim::model::config::PrometheusVersion;
use backpressure_sim::model::scrape::Scrape;
use backpressure_sim::report::{Options, run};
use backpressure_sim::scenario::{self, Scenario};
use serde_json::Value;

/// Time zero of the samples.
const EPOCH: u64 = 1_767_571_200;

/// Overload, a gateway that is gone for a while, and a Redis that does not answer: alerts that fire, fire again, and miss samples.
const EVENTFUL: &str = r#"
name = "eventful"
duration = "20m"
replications = 1
recovery_hold = "1s"
[arrivals]
phases = [
  { name = "calm", for = "2m", rate = "500/s" },
  { name = "spike", for = "5m", rate = "2k/s", spike = true },
  { name = "after", rate = "500/s" },
]
[[class]]
name = "alarm"
priority = 1
share = 0.1
[[class]]
name = "telemetry"
priority = 5
share = 0.6
[[class]]
name = "batch"
priority = 10
share = 0.3
[policy]
recovery = 500
warning = 1000
critical = 5000
[gateway]
instances = 3
check_latency = "1ms"
[workers]
processes = 4
concurrency = 5
overhead = "1ms"
service_time = { distribution = "exponential", mean = "20ms" }
[alerts]
circuit_open_for = "10s"
depth_critical_for = "30s"
depth_critical = 4000
rejection_rate = "40/s"
rejection_window = "1m"
rejection_for = "1m"
depth_warning_for = "1m"
least_workers = 3
[[fault]]
kind = "gateway-loss"
at = "3m"
for = "1m"
count = 1
[[fault]]
kind = "worker-loss"
at = "10m"
for = "90s"
count = 2
[[fault]]
kind = "redis-outage"
at = "13m"
for = "45s"
"#;

fn run(text: &str) -> (Scenario, Findings) {
    let overrides = [format!("alerts.prometheus_version={}", version_number())];
    let scenario = scenario::from_str(text, "eventful.toml", Path::new(""), &overrides)
        .unwrap_or_else(|error| panic!("{error}"));
    let findings = experiment::run(&scenario.scenario, &Unattended).unwrap();
    (scenario.scenario, findings)
}

/// Writes the report with its files for Prometheus.
fn write(folder: &Path, scenario: &Scenario, findings: &Findings) {
    let options = Options { prometheus: Some(EPOCH), ..Options::default() };
    run::write(folder, scenario, findings, &options).unwrap();
}

/// Runs promtool; what it printed, and whether it was content.
fn promtool(folder: &Path, arguments: &[&str]) -> (String, bool) {
    let output =
        Command::new("promtool").args(arguments).current_dir(folder).output().unwrap_or_else(|error| {
            panic!("promtool: {error}; `tests/run` installs it, as does any package of Prometheus")
        });
    let text = [output.stdout, output.stderr].concat();
    (String::from_utf8(text).unwrap(), output.status.success())
}

/// The major version of the Prometheus at hand.
fn version_number() -> u64 {
    let (text, _) = promtool(Path::new("."), &["--version"]);
    let number = text.split("version ").nth(1).and_then(|rest| rest.split('.').next());
    number.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no version in {text}"))
}

fn version() -> PrometheusVersion {
    if version_number() == 2 { PrometheusVersion::Two } else { PrometheusVersion::Three }
}

/// A server on the data in a folder; it ends with the test.
struct Server {
    process: Child,
    url: String,
}

impl Server {
    fn start(folder: &Path) -> Self {
        std::fs::write(folder.join("prometheus.yml"), "").unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = Command::new("prometheus")
            .args([
                "--config.file=prometheus.yml",
                "--storage.tsdb.path=data",
                "--storage.tsdb.retention.time=100y",
            ])
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("prometheus: {error}; `tests/run` installs it"));
        let server = Self { process, url: format!("http://127.0.0.1:{port}") };
        let patience = Instant::now() + Duration::from_secs(60);
        while !promtool(folder, &["query", "instant", &server.url, "vector(1)"]).1 {
            assert!(Instant::now() < patience, "prometheus does not answer");
            std::thread::sleep(Duration::from_millis(100));
        }
        server
    }

    /// An expression at every `step` seconds from `from` on to `to`, as pairs of seconds of the run and a value.
    fn query(&self, folder: &Path, expression: &str, (from, to, step): (u64, u64, u64)) -> Vec<(u64, f64)> {
        let arguments = [
            "query".to_owned(),
            "range".to_owned(),
            format!("--start={}", EPOCH + from),
            format!("--end={}", EPOCH + to),
            format!("--step={step}s"),
            "--format=json".to_owned(),
            self.url.clone(),
            expression.to_owned(),
        ];
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let (text, good) = promtool(folder, &arguments);
        assert!(good, "{expression}: {text}");
        let answer: Value = serde_json::from_str(&text).unwrap();
        let series = answer.as_array().unwrap();
        assert!(series.len() <= 1, "{expression} is one series: {text}");
        let values = series.iter().flat_map(|series| series["values"].as_array().unwrap());
        let point = |value: &Value| {
            let time = value[0].as_f64().unwrap() as u64 - EPOCH;
            (time, value[1].as_str().unwrap().parse().unwrap())
        };
        values.map(point).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
fn the_dashboards_of_the_specification_show_the_simulators_numbers() {
    let (scenario, findings) = run(EVENTFUL);
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &scenario, &findings);
    let (printed, good) =
        promtool(folder.path(), &["tsdb", "create-blocks-from", "openmetrics", "metrics.om", "data"]);
    assert!(good, "{printed}");
    // promtool drops what it does not like without a word: it must have taken every sample.
    let text = std::fs::read_to_string(folder.path().join("metrics.om")).unwrap();
    let samples = text.lines().filter(|line| !line.starts_with('#')).count() as u64;
    let taken: Vec<u64> = printed
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().rev().nth(3).unwrap().parse().unwrap())
        .collect();
    assert_eq!(taken.iter().sum::<u64>(), samples, "{printed}");

    let server = Server::start(folder.path());
    let scrapes = &findings.scrapes;
    let minute = SimDuration(60_000_000_000);
    let version = version();
    // Text has no markers of staleness: here a series that is gone is remembered for five minutes, in a live database it is not.
    let queue = |now: SimTime| {
        let young = |scrape: &&Scrape| scrape.at <= now && now.since(scrape.at).as_secs_f64() < 300.0;
        scrapes.iter().rev().filter(young).find_map(|scrape| scrape.queue)
    };
    let critical = scenario.model.policy.config.critical() as f64;
    type Own<'a> = Box<dyn Fn(SimTime) -> Option<f64> + 'a>;
    let queries: [(&str, Own<'_>); 7] = [
        (
            "rule_engine_queue_waiting + rule_engine_queue_active",
            Box::new(|now| Some(queue(now)?.pending as f64)),
        ),
        (
            "((rule_engine_queue_waiting + rule_engine_queue_active) / rule_engine_backpressure_threshold_critical) * 100",
            Box::new(|now| Some(queue(now)?.pending as f64 / critical * 100.0)),
        ),
        // The specification has one counter; ours has one for each class.
        (
            "sum(rate(rule_engine_backpressure_rejected_total[1m]))",
            Box::new(|now| rejection_rate(scrapes, now, minute, version)),
        ),
        (
            "sum(rate(rule_engine_backpressure_rejected_total[5m]))",
            Box::new(|now| rejection_rate(scrapes, now, SimDuration(5 * minute.0), version)),
        ),
        (
            "rate(rule_engine_queue_completed[1m])",
            Box::new(|now| processing_rate(scrapes, now, minute, version)),
        ),
        (
            "rule_engine_queue_active / (rule_engine_workers * 5)",
            Box::new(|now| Some(queue(now)?.active as f64 / (f64::from(queue(now)?.workers) * 5.0))),
        ),
        (
            "max(rule_engine_backpressure_circuit_state)",
            Box::new(|now| {
                let last = scrapes.iter().rfind(|scrape| scrape.at <= now)?;
                last.circuits.iter().flatten().max().map(|state| f64::from(*state))
            }),
        ),
    ];
    for (expression, own) in queries {
        let theirs = server.query(folder.path(), expression, (0, 1200, 7));
        let ours: Vec<(u64, f64)> = (0..=1200)
            .step_by(7)
            .filter_map(|second| Some((second, own(SimTime(second * 1_000_000_000))?)))
            .filter(|(_, value)| value.is_finite())
            .collect();
        // A maximum over the gateways remembers those that are gone; the last scrape does not. They agree where all are there.
        let is_gone = |second: u64| expression.starts_with("max") && (180..550).contains(&second);
        let keep = |list: Vec<(u64, f64)>| -> Vec<(u64, f64)> {
            list.into_iter().filter(|(second, value)| !is_gone(*second) && value.is_finite()).collect()
        };
        let (theirs, ours) = (keep(theirs), keep(ours));
        assert_eq!(
            theirs.iter().map(|point| point.0).collect::<Vec<_>>(),
            ours.iter().map(|point| point.0).collect::<Vec<_>>(),
            "{expression}"
        );
        assert!(ours.len() > 100 && ours.iter().any(|point| point.1 > 0.0), "{expression}");
        for ((second, theirs), (_, ours)) in theirs.into_iter().zip(ours) {
            assert!(
                (theirs - ours).abs() <= 1e-9 * ours.abs().max(1.0),
                "{expression} at {second} s: {theirs} {ours}"
            );
        }
    }
}

#[test]
fn prometheus_raises_the_same_alerts_at_the_same_times() {
    let (scenario, findings) = run(EVENTFUL);
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &scenario, &findings);
    let fired: Vec<_> =
        findings.summary.alerts.iter().filter(|alert| alert.fired_in > 0).map(|alert| alert.alert).collect();
    assert_eq!(
        fired,
        [
            "CircuitBreakerOpen",
            "QueueDepthCritical",
            "HighRejectionRate",
            "QueueDepthWarning",
            "WorkerCountLow"
        ],
        "the scenario shows all of them"
    );
    let (printed, good) = promtool(folder.path(), &["check", "rules", "alerts.yaml"]);
    assert!(good && printed.contains("5 rules found"), "{printed}");
    let (printed, good) = promtool(folder.path(), &["test", "rules", "alerts-test.yaml"]);
    assert!(good, "{printed}");

    // And it would have said so otherwise: every alert a little later, or earlier, is refused.
    let test = folder.path().join("alerts-test.yaml");
    let rules = folder.path().join("alerts.yaml");
    let (text, original) =
        (std::fs::read_to_string(&test).unwrap(), std::fs::read_to_string(&rules).unwrap());
    for (was, is) in [
        ("for: 10s", "for: 30s"),
        ("for: 30s", "for: 15s"),
        ("> 40", "> 90"),
        ("> 1000", "> 3500"),
        ("< 3", "< 2"),
    ] {
        assert!(original.contains(was), "{was}");
        std::fs::write(&rules, original.replacen(was, is, 1)).unwrap();
        assert!(
            !promtool(folder.path(), &["test", "rules", "alerts-test.yaml"]).1,
            "{was} -> {is} goes unnoticed"
        );
    }
    assert!(text.contains("instance: gateway-2"));
}

#[test]
fn a_report_for_prometheus_says_when_it_begins() {
    let (scenario, findings) = run(EVENTFUL);
    let folder = tempfile::tempdir().unwrap();
    let options = Options { prometheus: Some(1_000), ..Options::default() };
    run::write(folder.path(), &scenario, &findings, &options).unwrap();
    let text = std::fs::read_to_string(folder.path().join("metrics.om")).unwrap();
    assert!(text.starts_with("# TYPE rule_engine_queue_waiting gauge\n"), "{text}");
    assert!(text.lines().nth(2).unwrap().ends_with(" 1007.500") && text.ends_with("# EOF\n"));
}

/// A scenario with random intervals, thresholds, times and faults, some of which put samples on the edge of a window.
fn random_scenario(case: u64) -> String {
    let mut state = case.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
    // Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
    let mut draw = move |bound: u64| {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % bound
    };
    let mut text = format!(
        "name = \"random\"\nduration = \"12m\"\nreplications = 1\nseed = {}\n[arrivals]\nphases = [\
         {{ for = \"{}s\", rate = \"100/s\" }}, {{ for = \"{}s\", rate = \"{}/s\", spike = true }}, {{ rate = \"60/s\" }}]\n\
         [policy]\nrecovery = 50\nwarning = 100\ncritical = {}\n[gateway]\ninstances = {}\n\
         [workers]\nprocesses = 4\nconcurrency = 5\noverhead = \"1ms\"\nservice_time = \"150ms\"\n",
        draw(1_000),
        5 + draw(120),
        60 + draw(200),
        200 + draw(400),
        300 + draw(3_000),
        1 + draw(3),
    );
    // Multiples of half a second, of one and of 15 put scrapes, evaluations and edges on the same instants; others do not.
    let scrape = [1_000, 1_500, 2_000, 5_000, 7_001, 10_000, 15_000, 30_000, 60_000][draw(9) as usize];
    let evaluation = [1_000, 1_500, 2_500, 4_999, 7_500, 15_000, 30_000, 60_000][draw(8) as usize];
    let windows = [2 * scrape, 2 * scrape + scrape / 2, 3 * scrape + 500, 4 * scrape, 60_000, 300_000];
    let window = windows[draw(6) as usize];
    let mut wait = || [0, 1_000, 7_500, 15_000, 45_000, 60_000, 120_000, 300_000][draw(8) as usize];
    text += &format!(
        "[alerts]\nscrape_interval = \"{scrape}ms\"\nevaluation_interval = \"{evaluation}ms\"\n\
         rejection_window = \"{window}ms\"\ncircuit_open_for = \"{}ms\"\ndepth_critical_for = \"{}ms\"\n\
         rejection_for = \"{}ms\"\ndepth_warning_for = \"{}ms\"\nrejection_rate = \"{}/s\"\nleast_workers = {}\n",
        wait(),
        wait(),
        wait(),
        wait(),
        1 + draw(200),
        1 + draw(4),
    );
    let faults = ["depth-missing", "redis-outage", "depth-frozen", "gateway-loss", "worker-loss"];
    for _ in 0..draw(4) {
        let kind = faults[draw(5) as usize];
        let count = if kind.ends_with("loss") { "count = 1\n" } else { "" };
        let (at, length) = (draw(600), 1 + draw(240));
        text += &format!("[[fault]]\nkind = \"{kind}\"\n{count}at = \"{at}s\"\nfor = \"{length}s\"\n");
    }
    text
}

/// How many alerts fire in it; Prometheus must say the same of every rule.
fn agree(case: u64) -> usize {
    let text = random_scenario(case);
    let (scenario, findings) = run(&text);
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &scenario, &findings);
    let (printed, good) = promtool(folder.path(), &["test", "rules", "alerts-test.yaml"]);
    assert!(good, "case {case}: {printed}\n\n{text}");
    findings.summary.alerts.iter().filter(|alert| alert.fired_in > 0).count()
}

#[test]
fn prometheus_agrees_on_random_intervals() {
    let fired: usize = (0..40).map(agree).sum();
    assert!(fired > 40, "only {fired} alerts fire in 40 cases");
}

#[test]
#[ignore = "takes minutes: cargo test --test it prometheus -- --ignored"]
fn prometheus_agrees_on_500_random_intervals() {
    let fired: usize = (0..500).map(agree).sum();
    assert!(fired > 500, "only {fired} alerts fire in 500 cases");
}

/// The depth cannot be read from 30 s on, two scrapes after it was far above critical: nobody knows it any more.
#[test]
fn an_alert_does_not_fire_on_a_depth_that_is_no_longer_read() {
    let text = r#"
duration = "10m"
replications = 1
[start]
depth = 60000
[arrivals]
rate = "0/s"
[policy]
enabled = false
[workers]
processes = 3
service_time = "10h"
[[fault]]
kind = "depth-missing"
at = "30s"
"#;
    let (scenario, findings) = run(text);
    for alert in &findings.summary.alerts {
        let waits =
            scenario.model.monitoring.rules.iter().any(|rule| rule.name == alert.alert && rule.wait.0 > 0);
        assert!(!waits || alert.fired_in == 0, "{alert:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &scenario, &findings);
    let (printed, good) = promtool(folder.path(), &["test", "rules", "alerts-test.yaml"]);
    assert!(good, "{printed}");
    assert!(std::fs::read_to_string(folder.path().join("alerts-test.yaml")).unwrap().contains(" stale "));
}
