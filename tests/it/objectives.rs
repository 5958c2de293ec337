//! Objectives: what can stand on their left side, what is a mistake, and what they find.

use backpressure_sim::experiment::summary::SloResult;
use backpressure_sim::experiment::{self, Unattended};
use backpressure_sim::model::metric::Metric;
use backpressure_sim::scenario::Scenario;
use backpressure_sim::scenario::slo::{Relation, Slo, Statistic};

use crate::support::{repository_scenario, scenario};

/// Two classes and a spike from 4 s to 6 s: one arrival in 250 ms of a class in turn, one in 50 ms in the spike, on two
/// slots that take 200 ms for each.
const SPIKE: &str = r#"
duration = "12s"
replications = 1
[arrivals]
process = "constant"
phases = [
    { name = "calm", for = "4s", rate = "4/s" },
    { name = "spike", for = "2s", rate = "20/s", spike = true },
    { name = "late", rate = "4/s" },
]
[[class]]
name = "critical-alarm"
share = 0.5
[[class]]
name = "user.login"
share = 0.5
[policy]
enabled = false
[workers]
processes = 1
concurrency = 2
overhead = "0s"
service_time = "200ms"
[queue]
capacity = 12
[gateway]
check_latency = "0s"
"#;

fn parsed(expression: &str) -> Result<Slo, String> {
    let slo = format!("slo=[{expression:?}]");
    let loaded = backpressure_sim::scenario::from_str(SPIKE, "x.toml", std::path::Path::new(""), &[slo]);
    loaded.map(|loaded| loaded.scenario.slo[0].clone()).map_err(|error| error.to_string())
}

#[track_caller]
fn check(expression: &str, expected: (Metric, Option<usize>, Statistic, Relation, f64)) {
    let slo = parsed(expression).unwrap_or_else(|error| panic!("{error}"));
    let (metric, class, statistic, relation, limit) = expected;
    assert_eq!(
        (slo.metric(), slo.class, slo.statistic, slo.relation),
        (Some(metric), class, statistic, relation)
    );
    assert!((slo.limit - limit).abs() < 1e-12, "{}", slo.limit);
}

/// The message says what is expected, and the part in question is underlined.
#[track_caller]
fn refuse(expression: &str, marked: &str, expected: &str) {
    let error = parsed(expression).expect_err("must be refused");
    assert!(error.contains(expected), "{error}");
    let underlined = error.lines().find(|line| line.contains('^')).unwrap_or_default();
    let length = underlined.chars().filter(|&c| c == '^').count();
    assert_eq!(length, marked.chars().count().max(1), "{error}");
}

fn run(slo: &[&str]) -> (Scenario, Vec<SloResult>) {
    let scenario = scenario(SPIKE, &[&format!("slo={slo:?}")]);
    let findings = experiment::run(&scenario, &Unattended).expect("nothing interrupts it");
    (scenario, findings.summary.slo)
}

/// What objectives observe, in their order.
#[track_caller]
fn observe(expected: &[(&str, f64)]) {
    let (subjects, figures): (Vec<&str>, Vec<f64>) = expected.iter().copied().unzip();
    let slo: Vec<String> = subjects.iter().map(|subject| format!("{subject} >= 0")).collect();
    let (_, results) = run(&slo.iter().map(String::as_str).collect::<Vec<_>>());
    for ((subject, figure), result) in subjects.iter().zip(figures).zip(&results) {
        let observed = result.observed.unwrap_or_else(|| panic!("{subject} has no value"));
        assert!(
            (observed - figure).abs() <= 1e-9 + 0.004 * figure.abs(),
            "{subject}: {observed}, not {figure}"
        );
    }
}

#[test]
fn expressions() {
    use Relation::{Equal, GreaterOrEqual, Less, LessOrEqual};
    check("recovery_seconds.p95 < 120", (Metric::Recovery, None, Statistic::P95, Less, 120.0));
    check("recovery_seconds < 2min", (Metric::Recovery, None, Statistic::Mean, Less, 120.0));
    check("peak_depth_jobs<=51k", (Metric::PeakDepth, None, Statistic::Mean, LessOrEqual, 51_000.0));
    check("lost_jobs{class=critical-alarm} == 0", (Metric::Lost, Some(0), Statistic::Mean, Equal, 0.0));
    check(
        "lost_jobs { class = \"user.login\" } .max == 0",
        (Metric::Lost, Some(1), Statistic::Max, Equal, 0.0),
    );
    check(
        "worker_utilisation >= 80%",
        (Metric::WorkerUtilisation, None, Statistic::Mean, GreaterOrEqual, 0.8),
    );
    check("redis_peak_bytes < 2GiB", (Metric::RedisPeak, None, Statistic::Mean, Less, 2_147_483_648.0));
    check("goodput_per_second >= 6k/s", (Metric::Goodput, None, Statistic::Mean, GreaterOrEqual, 6_000.0));
    check("mean_depth_jobs < 12.5", (Metric::MeanDepth, None, Statistic::Mean, Less, 12.5));
}

#[test]
fn mistakes_are_marked() {
    // Nothing at all: its quotes are underlined.
    refuse("", "\"\"", "expected the name of a metric");
    refuse("peak_dept_jobs < 1", "peak_dept_jobs", "did you mean `peak_depth_jobs`?");
    refuse(
        "peak_depth_jobs{class=critical-alarm} < 1",
        "peak_depth_jobs",
        "whole system and the whole run only",
    );
    refuse("lost_jobs{class=critical-alrm} < 1", "critical-alrm", "did you mean `critical-alarm`?");
    refuse("lost_jobs{prio=1} < 1", "prio", "only a class and a part");
    refuse("lost_jobs{class=critical-alarm < 1", "", "expected `}`");
    refuse("lost_jobs.p99 < 1", "p99", "not a statistic; did you mean `p95`?");
    refuse("lost_jobs = 1", "=", "expected a comparison");
    refuse("lost_jobs", "", "expected a comparison at the end");
    refuse("lost_jobs < 5s", "5s", "is a duration");
    refuse("lost_jobs < -1", "-1", "negative");
    refuse("lost_jobs < nan", "nan", "not a finite number");
    refuse("lost_jobs <", "", "empty");
    refuse("rejection_probability < 5", "5", "above the largest allowed");
    refuse("recovery_seconds < 5 parsecs", "5 parsecs", "not a unit of a duration");
}

#[test]
fn parts_shares_percentiles_and_budgets_are_read() {
    for expression in [
        "rejection_probability{phase=spike} < 5%",
        "rejection_probability{ class = user.login , phase = \"spike\" }.max < 5%",
        "wait_p99_seconds{from=4s, to=6s} < 2",
        "wait_p99_seconds{from=1min} < 2",
        "wait_mean_seconds{phase=before} < 2",
        "wait_mean_seconds{phase=after}.p95 < 2min",
        "share(wait_seconds < 2s){class=critical-alarm} >= 99%",
        "share( sojourn_seconds <= 1.5 ).min >= 99%",
        "wait_p80_seconds < 2",
        "wait_p99.9_seconds.max < 2",
        "sojourn_p50.5_seconds < 2",
        "error_budget(99.9%) < 25%",
        "error_budget(99.9%, wait_seconds < 2s){class=critical-alarm, phase=spike} < 25%",
    ] {
        let slo = parsed(expression);
        let is_late = expression.contains("1min");
        assert_eq!(slo.is_ok(), !is_late, "{expression}: {slo:?}");
    }
    // What is a metric as well is that metric.
    assert_eq!(parsed("wait_p99_seconds < 1").unwrap().metric(), Some(Metric::WaitP99));
}

#[test]
fn mistakes_in_parts_shares_percentiles_and_budgets_are_marked() {
    refuse("lost_jobs{phase=spke} < 1", "spke", "no phase `spke` lies within the run; did you mean `spike`?");
    refuse("lost_jobs{from=6s, to=4s} < 1", "from=6s, to=4s", "no time lies between");
    refuse("lost_jobs{from=20s} < 1", "from=20s", "no time lies between");
    refuse("lost_jobs{from=x} < 1", "x", "not a duration");
    refuse("lost_jobs{phase=spike, to=4s} < 1", "phase=spike, to=4s", "either a phase or a time");
    refuse("lost_jobs{phase=spike, phase=calm} < 1", "phase", "stands twice");
    refuse("peak_depth_jobs{phase=spike} < 1", "peak_depth_jobs", "the whole run only");
    refuse("wasted_jobs{phase=spike} < 1", "wasted_jobs", "outlast a part");
    refuse("share(wait < 2s) >= 99%", "wait", "not a time of a job");
    refuse("share(wait_seconds > 2s) >= 99%", ">", "expected `<` or `<=`");
    refuse("share(wait_seconds < 2jobs) >= 99%", "2jobs", "not a unit of a duration");
    refuse("share wait_seconds >= 99%", "w", "expected `(`");
    refuse("share(wait_seconds < 2s) >= 120%", "120%", "above the largest allowed");
    refuse("wait_p100_seconds < 1", "wait_p100_seconds", "is not a percentile");
    refuse("wait_p99.9 < 1", "wait_p99.9", "is not a percentile");
    refuse("error_budget(100%) < 1", "100%", "leaves nothing");
    refuse("error_budget(wait_seconds < 2s) < 1", "wait_seconds < 2s", "the target");
}

#[test]
fn a_part_has_the_jobs_that_arrive_in_it() {
    let (_, results) = run(&[
        "offered_jobs >= 0",
        "offered_jobs{phase=calm} >= 0",
        "offered_jobs{phase=spike} >= 0",
        "offered_jobs{phase=late} >= 0",
        "offered_jobs{from=4s, to=6s} >= 0",
        "offered_jobs{phase=before} >= 0",
        "offered_jobs{class=user.login, phase=spike} >= 0",
        "offered_jobs{class=critical-alarm, phase=spike} >= 0",
    ]);
    let found: Vec<f64> = results.iter().map(|result| result.observed.expect("a count")).collect();
    let [all, calm, spike, late, timed, before, logins, alarms] = found[..] else { panic!("eight figures") };
    assert!((spike - 40.0).abs() <= 1.0 && (calm - 16.0).abs() <= 1.0, "{found:?}");
    assert_eq!((all, spike, calm), (calm + spike + late, timed, before));
    assert_eq!(spike, logins + alarms);
}

#[test]
fn a_share_of_a_part_does_not_fall_with_a_longer_run() {
    let share = |overrides: &[&str]| {
        let slo = r#"slo=["rejection_probability{phase=spike} < 1", "rejection_probability < 1"]"#;
        let scenario = scenario(SPIKE, &[&[slo], overrides].concat());
        let findings = experiment::run(&scenario, &Unattended).expect("nothing interrupts it");
        [0, 1].map(|index: usize| findings.summary.slo[index].observed.expect("jobs arrive"))
    };
    let ([part, whole], [same, less]) = (share(&[]), share(&["duration=120s"]));
    assert!(part > 0.2 && (part - same).abs() < 1e-12, "{part} {same}");
    assert!(less < whole / 3.0, "{less} {whole}");
}

#[test]
fn shares_and_percentiles_agree_and_a_budget_counts_what_fails() {
    let (scenario, results) =
        run(&["rejected_jobs >= 0", "wait_p80_seconds >= 0", "share(wait_seconds < 150ms) >= 0"]);
    let rejected = results[0].observed.expect("a count");
    assert!(rejected > 5.0 && scenario.model.calm_rate(None) == Some(4.0), "{rejected}");
    let p80 = results[1].observed.expect("a wait");
    let share = format!("share(wait_seconds <= {p80})");
    let offered = run(&["offered_jobs >= 0"]).1[0].observed.expect("a count");
    let slow = (1.0 - results[2].observed.expect("a share")) * (offered - rejected);
    let month = 0.001 * 4.0 * 2_629_800.0;
    // Waits are few and far between, so a share jumps past the percentile.
    let found = run(&[&format!("{share} >= 0")]).1[0].observed.expect("a share");
    assert!((0.8..0.8 + 2.0 / (offered - rejected)).contains(&found), "{found}");
    observe(&[
        ("error_budget(99.9%)", rejected / month),
        ("error_budget(99.9%){phase=spike}", rejected / month),
        ("error_budget(99.9%){phase=before}", 0.0),
        ("error_budget(99.9%, wait_seconds < 150ms)", (rejected + slow) / month),
    ]);
}

#[test]
fn lost_jobs_are_in_no_share_and_use_up_the_budget() {
    let slo = r#"slo=["lost_jobs >= 0", "admitted_jobs >= 0", "share(sojourn_seconds < 10min) >= 0", "error_budget(99%) < 1"]"#;
    let scenario = repository_scenario("redis-full-wedge.toml", &[slo, "replications=1"]);
    let findings = experiment::run(&scenario, &Unattended).expect("nothing interrupts it");
    let found = findings.summary.slo.iter().map(|result| result.observed.expect("a figure"));
    let [lost, admitted, share, budget] = found.collect::<Vec<_>>()[..] else { panic!("four figures") };
    assert!(share < 1.0 - lost / admitted, "{share} of {admitted} less {lost}");
    assert!((budget - lost / (0.01 * 2_000.0 * 2_629_800.0)).abs() < 1e-9, "{budget}");
    // An error budget limits losses and refusals.
    assert!(findings.summary.traffic.unlimited.is_empty());
}

#[test]
fn a_share_counts_each_job_also_where_waits_repeat() {
    // Three jobs at once on one slot of a second: waits of 0, 1 and 2 s, a third each.
    let text = r#"
duration = "1h"
replications = 1
[arrivals]
process = "cron"
schedule = "* * * * *"
jobs = 3
[policy]
enabled = false
[workers]
processes = 1
concurrency = 1
overhead = "0s"
service_time = "1s"
[gateway]
check_latency = "0s"
"#;
    let slo = r#"slo=["share(wait_seconds < 1s) >= 0", "share(wait_seconds<=1s) >= 0", "share(sojourn_seconds < 3s) >= 0"]"#;
    let scenario = scenario(text, &[slo]);
    let findings = experiment::run(&scenario, &Unattended).expect("nothing interrupts it");
    let found = findings.summary.slo.iter().map(|result| result.observed.expect("a share"));
    for (found, thirds) in found.zip([1.0, 2.0, 2.0]) {
        assert!((found - thirds / 3.0).abs() < 1e-12, "{found}");
    }
    assert_eq!(findings.summary.slo[1].metric, "share(wait_seconds <= 1s)");
}

#[test]
fn goodput_of_a_part_is_of_its_own_jobs_whatever_the_warm_up() {
    let slo = r#"slo=["goodput_per_second{from=0s, to=4s} >= 0", "offered_jobs{from=0s, to=4s} >= 0"]"#;
    let scenario = scenario(SPIKE, &[slo, "warmup=4s"]);
    let findings = experiment::run(&scenario, &Unattended).expect("nothing interrupts it");
    let found = [0, 1].map(|index: usize| findings.summary.slo[index].observed.expect("a figure"));
    assert!((found[0] - found[1] / 4.0).abs() < 1e-12, "{found:?}");
}

#[test]
fn an_expected_miss_that_is_not_judged_is_no_success() {
    let text =
        SPIKE.replace("replications = 1", "replications = 1\nexpected_misses = [\"recovery_seconds{} < 1\"]");
    assert!(backpressure_sim::scenario::from_str(&text, "x.toml", std::path::Path::new(""), &[]).is_err());
    let text = text.replace("recovery_seconds{} < 1", "recovery_seconds < 1").replace(", spike = true", "");
    let scenario = scenario(&text, &[]);
    let findings = experiment::run(&scenario, &Unattended).expect("nothing interrupts it");
    let [miss] = &findings.summary.slo[..] else { panic!("one objective") };
    assert!(miss.expected_miss && !miss.judged && !miss.is_as_meant(), "{miss:?}");
}
