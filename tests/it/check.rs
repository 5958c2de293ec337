//! The gate: what it catches, what it lets pass, and how it meets people, scripts and CI servers.

use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use backpressure_sim::check::gate::{FAMILY_WISE_ERROR, Judgement, MetricCheck, compare, settle};
use backpressure_sim::check::settings::{Part, part_of};
use backpressure_sim::check::tolerances::Tolerances;
use backpressure_sim::experiment::replication::Replication;
use backpressure_sim::experiment::{self, Unattended};
use backpressure_sim::model::metric::Metric;
use backpressure_sim::scenario::{self, Scenario};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{
    SIMULATE, SMALL, check_refusal, command, folder_with, interrupt, repository, simulate, text,
};

/// A spike that ends the circuit's peace neither before nor after: it drains in seven seconds.
fn small() -> String {
    SMALL.replace("critical = 500", "critical = 5000").replace("300/s", "180/s")
}

/// A folder with the small scenario and its baseline.
fn workplace() -> TempDir {
    let folder = folder_with("small.toml", &small());
    let recorded = check(folder.path(), &["small.toml", "--update-baseline"]);
    assert_eq!(recorded.status.code(), Some(0), "{}", text(&recorded.stderr));
    folder
}

/// `simulate check` against `base.json`.
fn check(folder: &Path, arguments: &[&str]) -> Output {
    simulate(folder, &[&["check", "--baseline", "base.json"], arguments].concat())
}

#[track_caller]
fn refuse(folder: &Path, arguments: &[&str], code: i32, messages: &[&str]) {
    check_refusal(folder, &[&["check", "--baseline", "base.json"], arguments].concat(), code, messages);
}

/// The check ends with that code and says all of `messages` on stdout.
#[track_caller]
fn expect(folder: &Path, arguments: &[&str], code: i32, messages: &[&str]) -> Output {
    let output = check(folder, arguments);
    let stdout = text(&output.stdout);
    assert_eq!(output.status.code(), Some(code), "{stdout}{}", text(&output.stderr));
    for message in messages {
        assert!(stdout.contains(message), "no `{message}` in:\n{stdout}");
    }
    output
}

fn read(folder: &TempDir, file: &str) -> String {
    fs::read_to_string(folder.path().join(file)).unwrap()
}

const SLOWER: [&str; 2] = ["--set", "workers.service_time.mean=104ms"];

#[test]
fn the_same_program_and_scenario_is_unchanged() {
    let folder = workplace();
    let output = expect(folder.path(), &["small.toml"], 0, &["same digest", "PASS"]);
    assert_eq!(text(&output.stderr), "");
    expect(folder.path(), &["small.toml", "--limit", "0%"], 0, &["PASS"]);
    expect(folder.path(), &["small.toml", "-v"], 0, &["recovery_seconds", "offered_jobs", "not gated"]);
    expect(folder.path(), &["small.toml", "--seed", "1", "-n", "6"], 0, &["PASS"]);
    assert_eq!(text(&check(folder.path(), &["small.toml", "-q"]).stdout), "");
}

#[test]
fn a_regression_is_told_to_everybody() {
    let folder = workplace();
    let exports = ["--export-junit", "out/junit.xml", "--export-md", "out/check.md"];
    let arguments = [&["small.toml"], &SLOWER[..], &exports[..]].concat();
    expect(
        folder.path(),
        &arguments,
        10,
        &["✗ peak_depth_jobs", "REGRESSED", "workers.service_time.mean: 100ms -> 104ms", "FAIL"],
    );
    let junit = read(&folder, "out/junit.xml");
    let report = quick_junit::Report::deserialize_from_str(&junit).unwrap();
    let suite = &report.test_suites[0];
    assert_eq!((suite.name.as_str(), report.tests), ("small", suite.test_cases.len()));
    assert!(suite.failures > 0 && junit.contains("slo: lost_jobs == 0"), "{junit}");
    assert!(junit.contains("peak_depth_jobs REGRESSED, p"), "{junit}");
    assert!(!junit.contains("offered_jobs"), "what is not gated is no test case: {junit}");
    let page = read(&folder, "out/check.md");
    assert!(page.contains("❌") && page.contains("| ✗ | <code>peak&#95;depth&#95;jobs</code> |"), "{page}");
}

#[test]
fn json_is_one_document_also_with_annotations() {
    let folder = workplace();
    let arguments = [&["small.toml", "--json", "--github"], &SLOWER[..]].concat();
    let output = check(folder.path(), &arguments);
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["schema"], "backpressure-sim/check/1");
    assert_eq!((&document["verdict"], &document["baseline"]), (&"fail".into(), &"base.json".into()));
    let scenario = &document["scenarios"][0];
    assert_eq!(scenario["changes"][0]["setting"], "workers.service_time.mean");
    let metrics = scenario["metrics"].as_array().unwrap();
    let depth = metrics.iter().find(|row| row["metric"] == "peak_depth_jobs").unwrap();
    assert_eq!((&depth["judgement"], &depth["pairs"]), (&"regressed".into(), &6.into()));
    assert!(depth["adjusted_p"].as_f64() > depth["p_value"].as_f64());
    assert!(
        text(&output.stderr).contains("::error file=small.toml,title=small%3A peak_depth_jobs regressed::")
    );
}

#[test]
fn the_step_summary_of_github_is_appended_to() {
    let folder = workplace();
    fs::write(folder.path().join("summary.md"), "before\n").unwrap();
    let output = command(folder.path(), &["check", "small.toml", "--baseline", "base.json", "--github"])
        .env("GITHUB_STEP_SUMMARY", "summary.md")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let summary = read(&folder, "summary.md");
    assert!(summary.starts_with("before\n## ✅ simulate check: PASS"), "{summary}");
}

#[test]
fn without_a_baseline_the_command_that_makes_one_is_told() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("small.toml"), small()).unwrap();
    let command = "simulate check small.toml --baseline base.json --update-baseline";
    refuse(folder.path(), &["small.toml"], 4, &["no baseline `base.json`", command]);
    let output = check(folder.path(), &["small.toml", "--github"]);
    assert!(text(&output.stdout).starts_with("::error title=simulate check::there is no baseline"));
}

#[test]
fn an_update_keeps_the_other_scenarios_and_the_bytes() {
    let folder = workplace();
    let alone = read(&folder, "base.json");
    let other = small().replace("name = \"small\"", "name = \"another\"");
    fs::write(folder.path().join("another.toml"), other).unwrap();
    expect(folder.path(), &["another.toml", "--update-baseline"], 0, &["recorded  another"]);
    let both = read(&folder, "base.json");
    assert!(both.find("\"another\"") < both.find("\"small\""), "in the order of their names");
    let entry = alone.split_once("\"small\"").unwrap().1;
    assert!(both.ends_with(entry), "what is not updated stays byte for byte");
    expect(folder.path(), &["small.toml", "another.toml", "--update-baseline"], 0, &["PASS"]);
    assert_eq!(read(&folder, "base.json"), both);
    expect(folder.path(), &["small.toml", "another.toml"], 0, &["of 14 gated metrics"]);
    let all = ["small.toml", "another.toml", "--gate", "all"];
    expect(folder.path(), &all, 0, &["of 52 gated metrics"]);
    let files: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files.len(), 3, "nothing half-written is left: {files:?}");
    assert!(both.lines().all(|line| line.len() < 300), "a metric is a line, whatever the replications");
}

#[test]
fn an_update_shows_what_it_accepts() {
    let folder = workplace();
    let arguments = [&["small.toml", "--update-baseline"], &SLOWER[..]].concat();
    expect(folder.path(), &arguments, 0, &["REGRESSED", "recorded  small"]);
    expect(folder.path(), &[&["small.toml"], &SLOWER[..]].concat(), 0, &["same digest"]);
}

#[test]
fn seed_and_replications_are_those_of_the_baseline() {
    let folder = workplace();
    refuse(
        folder.path(),
        &["small.toml", "--seed", "7"],
        4,
        &["--seed 7 (or SIMULATE_SEED) contradicts", "recorded with 1;"],
    );
    refuse(
        folder.path(),
        &["small.toml", "-n", "5"],
        4,
        &["--replications 5 (or SIMULATE_REPLICATIONS) contradicts", "recorded with 6;"],
    );
    let flags = ["small.toml", "-s", "7", "-n", "4", "--update-baseline"];
    expect(folder.path(), &flags, 0, &["seed 7 · 4 replications"]);
    expect(folder.path(), &["small.toml"], 0, &["seed 7 · 4 replications", "same digest"]);
    expect(folder.path(), &["small.toml", "--update-baseline"], 0, &["seed 7 · 4 replications"]);
    // The file itself says something new.
    fs::write(folder.path().join("small.toml"), small().replace("replications = 6", "replications = 5"))
        .unwrap();
    refuse(folder.path(), &["small.toml"], 4, &["replications: 6 -> 5", "--update-baseline"]);
    expect(folder.path(), &["small.toml", "--update-baseline"], 0, &["5 replications"]);
}

#[test]
fn another_experiment_is_not_compared_and_another_system_is() {
    let folder = workplace();
    let edit = |from: &str, to: &str| {
        assert!(small().contains(from));
        fs::write(folder.path().join("small.toml"), small().replace(from, to)).unwrap();
    };
    edit("rate = \"180/s\"", "rate = \"170/s\"");
    refuse(folder.path(), &["small.toml"], 4, &["arrivals.phases.spike.rate: 180/s -> 170/s"]);
    edit("duration = \"20s\"", "duration = \"21s\"\nwarmup = \"1s\"");
    refuse(folder.path(), &["small.toml"], 4, &["duration: 20s -> 21s", "warmup: 0s -> 1s"]);
    edit("[policy]", "[[class]]\nname = \"a\"\nshare = 1\n\n[policy]");
    refuse(folder.path(), &["small.toml"], 4, &["class.a.share: not set -> 1"]);
    // The same in other words, and what is no part of either.
    edit("duration = \"20s\"", "duration = \"20000ms\"\n[report]\nstep = \"1s\"");
    refuse(folder.path(), &["small.toml"], 3, &[]);
    edit("for = \"5s\", rate = \"50/s\"", "for = \"5000ms\", rate = \"50/s\"");
    expect(folder.path(), &["small.toml"], 0, &["same digest"]);
    edit("critical = 5000", "critical = 6000");
    let output = check(folder.path(), &["small.toml", "--inconclusive", "warn"]);
    assert!(
        text(&output.stdout).contains("changed policy.critical: 5000 -> 6000"),
        "{}",
        text(&output.stdout)
    );
}

#[test]
fn what_a_recorded_trace_holds_is_part_of_the_experiment() {
    let folder = TempDir::new().unwrap();
    let scenario = "duration = \"9s\"\n[arrivals]\nprocess = \"trace\"\nfile = \"jobs.csv\"\n\
                    [workers]\nservice_time = \"8ms\"\n";
    fs::write(folder.path().join("traced.toml"), scenario).unwrap();
    fs::write(folder.path().join("jobs.csv"), "time_s\n1\n2\n3\n").unwrap();
    expect(folder.path(), &["traced.toml", "--update-baseline"], 0, &["recorded  traced"]);
    expect(folder.path(), &["traced.toml"], 0, &["same digest"]);
    fs::write(folder.path().join("jobs.csv"), "time_s\n1\n2\n4\n").unwrap();
    refuse(folder.path(), &["traced.toml"], 4, &["recorded trace", "3 values"]);
}

#[test]
fn missed_objectives_fail_unless_they_are_expected() {
    let folder = TempDir::new().unwrap();
    let missed = small().replace("lost_jobs == 0", "recovery_seconds < 1");
    fs::write(folder.path().join("small.toml"), missed).unwrap();
    expect(folder.path(), &["small.toml", "--update-baseline"], 0, &["recorded"]);
    expect(folder.path(), &["small.toml"], 10, &["✗ recovery_seconds < 1", "as in the baseline", "FAIL"]);
    // What the scenario is meant to miss is no failure, unless it is met.
    let meant = small().replace("slo = ", "expected_misses = ");
    fs::write(folder.path().join("small.toml"), meant.replace("lost_jobs == 0", "recovery_seconds < 1"))
        .unwrap();
    let shown = ["! recovery_seconds < 1", "missed as expected", "PASS"];
    expect(folder.path(), &["small.toml", "--github"], 0, &shown);
    fs::write(folder.path().join("small.toml"), meant).unwrap();
    let shown = ["✗ lost_jobs == 0", "::error file=small.toml", "meant to be missed"];
    expect(folder.path(), &["small.toml", "--github"], 10, &shown);
}

#[test]
fn what_is_not_proven_is_inconclusive() {
    let folder = workplace();
    // Another distribution of the same mean: more noise than difference.
    let lognormal = "workers.service_time={ distribution = \"lognormal\", mean = \"100ms\", cv = 1 }";
    let noise = ["small.toml", "--set", lognormal, "--limit", "off"];
    let noisy = [&noise[..], &["--limit", "recovery_seconds=0.1%"]].concat();
    expect(folder.path(), &noisy, 11, &["? recovery_seconds", "inconclusive", "INCONCLUSIVE"]);
    let warned = [&noisy[..], &["--inconclusive", "warn", "--github"]].concat();
    expect(folder.path(), &warned, 0, &["INCONCLUSIVE", "::warning file=small.toml"]);
    let generous = [&noise[..], &["--limit", "recovery_seconds=90%"]].concat();
    expect(folder.path(), &generous, 0, &["PASS", "None of 1 gated metric has regressed"]);
}

#[test]
fn wrong_command_lines_scenarios_and_files_are_told_apart() {
    let folder = workplace();
    refuse(folder.path(), &[], 2, &["SCENARIO"]);
    refuse(folder.path(), &["small.toml", "--limit", "recovery=3%"], 2, &["`recovery` is not a metric"]);
    refuse(folder.path(), &["small.toml", "--limit", "offered_jobs=3%"], 2, &["neither better nor worse"]);
    refuse(
        folder.path(),
        &["small.toml", "--limit", "lost_jobs{class=x}=3%"],
        2,
        &["no scenario has a class `x`"],
    );
    refuse(folder.path(), &["small.toml", "./small.toml"], 2, &["two scenarios are called `small`"]);
    check_refusal(folder.path(), &["check", "small.toml"], 2, &["--baseline"]);
    refuse(folder.path(), &["small.toml", "--set", "policy.critcal=1"], 3, &["`critical`"]);
    refuse(
        folder.path(),
        &["small.toml", "--export-md", "small.toml/x"],
        3,
        &["small.toml/x", "cannot be written"],
    );
    let renamed = small().replace("name = \"small\"", "name = \"smal\"");
    fs::write(folder.path().join("renamed.toml"), renamed).unwrap();
    refuse(folder.path(), &["renamed.toml"], 4, &["no scenario `smal`; did you mean `small`?"]);
}

#[test]
fn a_file_that_is_no_baseline_is_neither_compared_nor_overwritten() {
    let folder = workplace();
    let good = read(&folder, "base.json");
    let try_with = |content: &str, message: &str, update_too: bool| {
        fs::write(folder.path().join("base.json"), content).unwrap();
        refuse(folder.path(), &["small.toml"], 4, &[message]);
        if update_too {
            refuse(folder.path(), &["small.toml", "--update-baseline"], 4, &[message]);
            assert_eq!(read(&folder, "base.json"), content);
        }
    };
    try_with("{}", "is not a baseline", true);
    try_with(&good[..good.len() / 2], "is not a baseline", true);
    try_with(&good.replace("baseline/1", "baseline/2"), "schema `backpressure-sim/baseline/2`", true);
    try_with(&good.replacen("\"replications\": 6,", "\"replications\": 7,", 1), "6 digests of 7", false);
    let shortened = good.replacen("\"lost_jobs\": [0.0, ", "\"lost_jobs\": [", 1);
    try_with(&shortened, "5 values of `lost_jobs` in 6 replications", false);
}

#[test]
fn a_metric_that_the_baseline_does_not_know_is_left_out() {
    let folder = workplace();
    let good = read(&folder, "base.json");
    let older: String = good
        .lines()
        .filter(|line| !line.contains("\"priority_inversion_fraction\""))
        .fold(String::new(), |text, line| text + line + "\n");
    let older = older
        .replace("[0.0, 0.0, 0.0, 0.0, 0.0, 0.0],\n        },", "[0.0, 0.0, 0.0, 0.0, 0.0, 0.0]\n        },");
    fs::write(folder.path().join("base.json"), older).unwrap();
    expect(
        folder.path(),
        &["small.toml", "--gate", "all"],
        0,
        &["not compared: priority_inversion_fraction", "25 gated metrics"],
    );
}

#[test]
fn the_verdict_does_not_depend_on_the_number_of_threads() {
    let folder = workplace();
    let with = |jobs: &str| {
        let arguments = [&["small.toml", "--json", "-j", jobs], &SLOWER[..]].concat();
        check(folder.path(), &arguments).stdout
    };
    assert!(with("1") == with("3"));
}

#[test]
fn an_interrupt_writes_nothing() {
    let folder = workplace();
    let before = read(&folder, "base.json");
    let long = ["check", "small.toml", "-b", "base.json", "-n", "100000", "--update-baseline"];
    let child = command(folder.path(), &long).stdout(Stdio::piped()).spawn().unwrap();
    let output = interrupt(child, Duration::from_secs(1));
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(read(&folder, "base.json"), before);
}

#[test]
fn every_setting_belongs_to_a_part_on_purpose() {
    let pattern = |path: &str| path.split(['.', '[']).next().unwrap().to_owned();
    let schema: Value = serde_json::from_str(&scenario::schema::json()).unwrap();
    let mut experiment: Vec<String> = schema["properties"].as_object().unwrap().keys().cloned().collect();
    experiment.retain(|section| part_of(&pattern(section)) == Part::Experiment);
    experiment.sort();
    let expected = [
        "arrivals",
        "class",
        "clients",
        "duration",
        "fault",
        "recovery_hold",
        "replications",
        "seed",
        "start",
        "warmup",
    ];
    assert_eq!(experiment, expected, "decide what a new section is in check/settings.rs");
}

/// One class, a spike of ten seconds, a threshold out of reach: the fluid limit is a straight line.
///
/// At the end of the spike (`SPIKE_RATE` - mu) x 10 s jobs are there, which then drain at mu - `CALM_RATE` until
/// `LEFT` of them are left: T = ((200 - mu) 10 - 20) / (mu - 60), which is 24.5 s at mu = 100/s.
const SPIKE: &str = r#"
name = "spike"
duration = "60s"
replications = 10

[arrivals]
phases = [
    { name = "calm", for = "5s", rate = "60/s" },
    { name = "spike", for = "10s", rate = "200/s", spike = true },
    { name = "after", rate = "60/s" },
]

[policy]
recovery = 20
warning = 100
critical = 100000

[workers]
concurrency = 10
overhead = "0s"
service_time = { distribution = "exponential", mean = "100ms" }
"#;
const SPIKE_RATE: f64 = 200.0;
const CALM_RATE: f64 = 60.0;
const SPIKE_SECONDS: f64 = 10.0;
const LEFT: f64 = 20.0;
const SLOTS: f64 = 10.0;

/// How many seeds the gate is tried with.
const SEEDS: u64 = 100;

fn spike(seed: u64, service_ms: f64) -> Scenario {
    let overrides = [format!("seed={seed}"), format!("workers.service_time.mean={service_ms}ms")];
    match scenario::from_str(SPIKE, "spike.toml", Path::new(""), &overrides) {
        Ok(loaded) => loaded.scenario,
        Err(error) => panic!("{error}"),
    }
}

/// All seeds at a service time, by seed.
fn runs(seeds: impl Iterator<Item = u64>, service_ms: f64) -> Vec<Vec<Replication>> {
    let scenarios: Vec<Scenario> = seeds.map(|seed| spike(seed, service_ms)).collect();
    experiment::run_each(&scenarios.iter().collect::<Vec<_>>(), &Unattended).unwrap()
}

/// The gate on the values alone, without the way out of equal digests.
fn judged(before: &[Replication], now: &[Replication]) -> Vec<MetricCheck> {
    let mut comparisons = compare(&["default"], before, now, &Tolerances::default(), &[]);
    settle(&mut comparisons.iter_mut().collect::<Vec<_>>());
    comparisons
}

fn any(comparisons: &[MetricCheck], judgement: Judgement) -> bool {
    comparisons.iter().any(|comparison| comparison.judgement == judgement)
}

fn recovery(comparisons: &[MetricCheck]) -> &MetricCheck {
    comparisons.iter().find(|comparison| comparison.metric == Metric::Recovery).unwrap()
}

/// The statistical bar: a recovery 5% longer is caught, a commit that changes nothing passes, whatever the seed;
/// and one that only draws other random numbers is hardly ever accused.
#[test]
fn a_recovery_five_percent_longer_is_caught_and_no_change_never_fails() {
    // The fluid's recovery at mu, solved for the mu at which it is 5% longer.
    let fluid = |mu: f64| ((SPIKE_RATE - mu) * SPIKE_SECONDS - LEFT) / (mu - CALM_RATE);
    let longer = 1.05 * fluid(100.0);
    let slower = (SPIKE_RATE * SPIKE_SECONDS - LEFT + longer * CALM_RATE) / (SPIKE_SECONDS + longer);
    assert!((fluid(slower) / fluid(100.0) - 1.05).abs() < 1e-12);
    let service_ms = 1000.0 * SLOTS / slower;

    let before = runs(1..=SEEDS, 100.0);
    let now = runs(1..=SEEDS, service_ms);
    let (mut caught, mut smallest, mut total, mut base) = (0, f64::INFINITY, 0.0, 0.0);
    for (before, now) in before.iter().zip(&now) {
        let comparisons = judged(before, now);
        let recovery = recovery(&comparisons);
        caught += u32::from(recovery.judgement == Judgement::Regressed);
        let change = recovery.difference.unwrap().mean;
        smallest = smallest.min(change / recovery.baseline.unwrap());
        total += change;
        base += recovery.baseline.unwrap();
    }
    let shift = total / base;
    println!("fluid: {:.2} s, +5% at a service time of {service_ms:.3} ms instead of 100 ms", fluid(100.0));
    println!(
        "simulated: {:.2} s, {:+.2}% over {SEEDS} seeds x 10 replications",
        base / SEEDS as f64,
        100.0 * shift
    );
    println!("caught in {caught} of {SEEDS} seeds; the smallest change seen is {:+.2}%", 100.0 * smallest);
    assert!((shift - 0.05).abs() < 0.003, "the seeded regression is of {shift}, not 5%");
    assert_eq!(caught, SEEDS as u32);

    let again = runs(1..=SEEDS, 100.0);
    let failed = before.iter().zip(&again).filter(|(before, again)| {
        judged(before, again)
            .iter()
            .any(|row| !matches!(row.judgement, Judgement::Unchanged | Judgement::NotGated))
    });
    let failed = failed.count();
    println!("unchanged: {failed} of {SEEDS} seeds are anything but unchanged");
    assert_eq!(failed, 0);

    // Equal in law: of a class by another name other demands are drawn for the same arrivals, of another seed all.
    let renamed: Vec<Scenario> = (1..=SEEDS).map(|seed| renamed(spike(seed, 100.0))).collect();
    let renamed = experiment::run_each(&renamed.iter().collect::<Vec<_>>(), &Unattended).unwrap();
    null("other service demands", &before, &renamed);
    null("everything drawn anew", &before, &runs(1_000_001..=1_000_000 + SEEDS, 100.0));
}

fn renamed(mut scenario: Scenario) -> Scenario {
    scenario.model.classes[0].name = "another".to_owned();
    scenario
}

/// Counts what the gate says where only the random numbers differ.
fn null(what: &str, before: &[Vec<Replication>], now: &[Vec<Replication>]) {
    let judged: Vec<Vec<MetricCheck>> =
        before.iter().zip(now).map(|(before, now)| judged(before, now)).collect();
    let count = |judgement| judged.iter().filter(|comparisons| any(comparisons, judgement)).count();
    let regressed = count(Judgement::Regressed);
    println!(
        "equal in law, {what}: {regressed} regressed, {} improved, {} inconclusive, of {SEEDS} checks; expected are at \
         most {} that regress",
        count(Judgement::Improved),
        count(Judgement::Inconclusive),
        // The family-wise error is two-sided: half of it is regressions.
        SEEDS as f64 * FAMILY_WISE_ERROR / 2.0
    );
    // More than 8 of 100 with a probability of 2.5% each come up once in a thousand.
    assert!(regressed <= 8, "{what}: {regressed} of {SEEDS} regressed");
}

/// Runs the script of the GitHub Action as the runner does, with the built binary.
fn action(folder: &Path, inputs: &[(&str, &str)]) -> Output {
    let script = repository(".github/actions/check/check.sh");
    std::process::Command::new("bash")
        .arg(script)
        .current_dir(folder)
        .env("INPUT_BINARY", SIMULATE)
        .env("INPUT_BASELINE", "base.json")
        .env("INPUT_REPORTS", "out of the way/check")
        .env("GITHUB_OUTPUT", "output.txt")
        .env("GITHUB_STEP_SUMMARY", "summary.md")
        .envs(inputs.iter().copied())
        .output()
        .unwrap()
}

#[track_caller]
fn check_action(folder: &TempDir, inputs: &[(&str, &str)], code: i32, verdict: &str, log: &str) {
    let _ = fs::remove_file(folder.path().join("output.txt"));
    let output = action(folder.path(), inputs);
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{stdout}{stderr}");
    assert!(stdout.contains(log), "no `{log}` in {stdout}{stderr}");
    let expected = format!("verdict={verdict}\nexit-code={code}\nreports=out of the way/check\n");
    assert_eq!(read(folder, "output.txt"), expected);
}

#[test]
fn the_action_passes_inputs_and_tells_the_verdict() {
    let folder = workplace();
    fs::write(folder.path().join("another one.toml"), small().replace("\"small\"", "\"another\"")).unwrap();
    let both = ["small.toml", "another one.toml", "--update-baseline"];
    expect(folder.path(), &both, 0, &["recorded  another"]);
    check_action(&folder, &[("INPUT_SCENARIOS", "small.toml")], 0, "pass", "of 7 gated metrics");
    check_action(&folder, &[("INPUT_SCENARIOS", "*.toml")], 0, "pass", "of 14 gated metrics");
    assert!(read(&folder, "summary.md").contains("### another"));
    for file in ["junit.xml", "check.md"] {
        assert!(folder.path().join("out of the way/check").join(file).is_file(), "{file}");
    }
    let slower = ("INPUT_ARGS", "--set workers.service_time.mean=104ms\n--color never");
    let scenario = ("INPUT_SCENARIOS", "small.toml");
    check_action(&folder, &[scenario, slower], 10, "fail", "::error file=small.toml");
    let limits = ("INPUT_LIMIT", "off recovery_seconds=90%");
    check_action(&folder, &[scenario, slower, limits], 0, "pass", "of 1 gated metric");
    let uncertain = ("INPUT_LIMIT", "off\nlost_jobs=1% recovery_seconds=19%");
    check_action(&folder, &[scenario, slower, uncertain], 11, "inconclusive", "1 metric inconclusive");
}

#[test]
fn the_action_tells_why_there_is_no_verdict() {
    let folder = workplace();
    let scenario = ("INPUT_SCENARIOS", "small.toml");
    check_action(&folder, &[("INPUT_SCENARIOS", "no*.toml")], 3, "invalid-scenario", "::error");
    check_action(&folder, &[scenario, ("INPUT_BASELINE", "none.json")], 4, "not-comparable", "::error");
    check_action(&folder, &[("INPUT_SCENARIOS", " ")], 2, "error", "::error title=simulate check::the input");
    check_action(&folder, &[scenario, ("INPUT_BASELINE", "")], 2, "error", "::error");
    check_action(&folder, &[scenario, ("INPUT_LIMIT", "$(touch pwned)")], 2, "error", "");
    assert!(!folder.path().join("pwned").exists() && !folder.path().join("touch").exists());
}
