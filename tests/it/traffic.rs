//! The headline: what became of the traffic stands first, adds up, and nothing that hides it is green.

use backpressure_sim::experiment::traffic::{Fates, Harm};
use backpressure_sim::experiment::{self, Findings, Unattended};
use backpressure_sim::report::run;
use backpressure_sim::scenario::Scenario;

use crate::support::{folder_with, repository_scenario, scenario, simulate, text};

/// A scenario with what came of it.
fn with_findings(scenario: Scenario) -> (Scenario, Findings) {
    let findings = experiment::run(&scenario, &Unattended).expect("nothing interrupts it");
    (scenario, findings)
}

fn repository_run(file: &str, overrides: &[&str]) -> (Scenario, Findings) {
    with_findings(repository_scenario(file, overrides))
}

#[test]
fn no_limit_on_waits_holds_where_most_jobs_are_lost() {
    let slo = "slo=[\"wait_p99_seconds.max < 30\", \"sojourn_p95_seconds < 1h\"]";
    let (_, findings) = repository_run("redis-full-wedge.toml", &[slo, "replications=1"]);
    let [waits, sojourns] = &findings.summary.slo[..] else { panic!("two objectives") };
    assert_eq!((waits.pass, waits.judged, waits.observed), (false, true, Some(600.0)));
    // For ever is longer than the run, but the run does not tell whether it is longer than an hour.
    assert_eq!((sojourns.pass, sojourns.judged, sojourns.observed), (false, false, Some(600.0)));
}

/// A launch at twice the capacity, with clients that retry and an autoscaler, whose objectives say nothing of telemetry.
const LAUNCH: &str = r#"
duration = "5m"
seed = 1
replications = 1
slo = ["recovery_seconds.p95 < 60", "lost_jobs.max == 0", "rejected_jobs{class=alarm}.max == 0"]
[arrivals]
process = "poisson"
phases = [
    { name = "normal", for = "60s", rate = "500/s" },
    { name = "launch", for = "90s", rate = "1500/s", spike = true },
    { name = "after", rate = "500/s" },
]
[[class]]
name = "alarm"
priority = 1
share = 0.01
[[class]]
name = "telemetry"
priority = 5
share = 0.99
[policy]
recovery = 500
warning = 1000
critical = 5000
[workers]
processes = 4
concurrency = 25
overhead = "15ms"
service_time = { distribution = "lognormal", mean = "120ms", cv = 0.5 }
[redis]
maxmemory = "1GiB"
[clients]
retries = 3
[autoscaler]
min = 4
max = 12
"#;

fn launch(slo: Option<&str>) -> (Scenario, Findings) {
    let slo = slo.map(|slo| format!("slo={slo}"));
    with_findings(scenario(LAUNCH, slo.as_deref().as_slice()))
}

const GREEN: &str = "\u{1b}[1;32mPASS";
const CAUTION: &str = "\u{1b}[1;33mPASS";

#[track_caller]
fn adds_up(fates: &Fates) {
    let parts = [
        fates.completed_in_time,
        fates.completed_too_late,
        fates.refused,
        fates.lost,
        fates.failed,
        fates.in_system,
    ];
    let jobs: f64 = parts.iter().map(|part| part.jobs).sum();
    let shares: f64 = parts.iter().map(|part| part.share).sum();
    assert!((jobs - fates.all()).abs() < 1e-6 * fates.all(), "{fates:?}");
    assert!((shares - 1.0).abs() < 1e-9, "{fates:?}");
    if let Some(requests) = fates.requests {
        let (given_up, rest) = (requests.given_up, requests.answered_or_open);
        assert!((given_up.jobs + rest.jobs - requests.sent).abs() < 1e-6 * requests.sent);
        assert!((given_up.share + rest.share - 1.0).abs() < 1e-9);
    }
}

/// Terminal, page and JSON name these words before anything green, and neither is green.
#[track_caller]
fn is_honest(scenario: &Scenario, findings: &Findings, words: &[&str]) {
    let traffic = &findings.summary.traffic;
    adds_up(&traffic.total);
    traffic.classes.0.iter().for_each(|(_, fates)| adds_up(fates));
    let terminal = run::terminal::render(scenario, findings, 200, true);
    let page = run::page(scenario, findings, &[]);
    let green = terminal.find("\u{1b}[1;32m").unwrap_or(terminal.len());
    let badge = page.find("class=\"badge\"").expect("a badge");
    // What a reader sees: text without its elements.
    let above: String = page[..badge].split('<').filter_map(|part| Some(part.split_once('>')?.1)).collect();
    for word in words {
        assert!(terminal[..green].contains(word), "`{word}` is not in the headline:\n{terminal}");
        assert!(above.contains(word), "`{word}` is not before the badge:\n{above}");
    }
    assert!(!terminal.contains(GREEN), "{terminal}");
    assert!(!page.contains("header class=\"verdict pass\""), "the page is green");
}

#[test]
fn the_launch_that_turns_requests_away_is_not_green() {
    let (scenario, findings) = launch(None);
    let total = &findings.summary.traffic.total;
    let requests = total.requests.expect("there are clients");
    assert!(requests.given_up.share > 0.1 && total.refused.share > 0.3, "{total:?}");
    let given_up = format!("{:.1} % given up by their clients", 100.0 * requests.given_up.share);
    let refused = format!("{:.1} % refused", 100.0 * total.refused.share);
    let why = "apacity 741/s, 2.2k/s once scaled to the maximum, against 1.5k/s offered for 90 s";
    is_honest(&scenario, &findings, &[&given_up, &refused, "none lost", why]);
    let terminal = run::terminal::render(&scenario, &findings, 200, true);
    assert!(terminal.contains(CAUTION) && terminal.contains("no objective limits them"), "{terminal}");
    let json: serde_json::Value =
        serde_json::from_str(&run::json(&findings.summary).expect("JSON")).expect("JSON");
    assert_eq!(
        (&json["verdict"], &json["traffic"]["unlimited"][0]["what"]),
        (&"pass".into(), &"refused".into())
    );
    assert_eq!(json["traffic"]["unlimited"][0]["classes"], serde_json::json!(["telemetry"]));
    assert_eq!(json["traffic"]["unlimited"][1]["what"], "given-up");
    let warning = json["warnings"][0].as_str().expect("a warning");
    let what = "refused jobs of telemetry and requests given up";
    assert!(warning.contains(what) && !warning.contains("lost jobs"), "{warning}");
    let line = "slo = [..., \"rejection_probability <= 1%\", \"abandoned_requests == 0\"]";
    assert!(warning.contains(line), "{warning}");
}

#[test]
fn with_an_objective_on_refusal_it_is_judged() {
    // However few are refused, clients may give up what waits too long.
    let (scenario, findings) = launch(Some(r#"["rejection_probability <= 90%", "lost_jobs == 0"]"#));
    is_honest(&scenario, &findings, &["given up by their clients"]);
    let slo = r#"["rejection_probability <= 90%", "lost_jobs == 0", "abandoned_requests < 1M"]"#;
    let (scenario, findings) = launch(Some(slo));
    let traffic = &findings.summary.traffic;
    assert!(traffic.unlimited.is_empty());
    assert!(findings.summary.warnings.iter().all(|warning| !warning.contains("no objective limits")));
    assert!(run::terminal::render(&scenario, &findings, 200, true).contains(GREEN));
    let (_, strict) = launch(Some(r#"["rejection_probability <= 1%", "lost_jobs == 0"]"#));
    assert!(!strict.summary.slo[0].pass);
}

#[test]
fn an_objective_that_bounds_nothing_does_not_count() {
    for slo in [
        r#"["rejected_jobs.min < 1M"]"#,
        r#"["rejection_probability <= 100%"]"#,
        r#"["rejected_jobs > 0"]"#,
        r#"["rejected_jobs{class=alarm} == 0"]"#,
    ] {
        let (_, findings) = launch(Some(slo));
        assert_eq!(findings.summary.traffic.unlimited[0].what, Harm::Refused, "{slo}");
    }
    // What is refused is sent again or given up, so a limit on the latter is one on both.
    let (_, findings) = launch(Some(r#"["abandoned_requests < 1M"]"#));
    assert!(findings.summary.traffic.unlimited.is_empty());
}

#[test]
fn a_wedged_redis_names_what_it_loses() {
    let (scenario, findings) = repository_run("redis-full-wedge.toml", &["replications=1"]);
    is_honest(&scenario, &findings, &["73.", "% lost", "none refused", "after Redis full at 94"]);
    let terminal = run::terminal::render(&scenario, &findings, 200, false);
    assert!(terminal.contains("█ BREAKS FIRST\n  !  first job lost"), "{terminal}");
    assert!(terminal.contains("CCCCxxxx"), "a closed circuit over lost jobs is no good sign\n{terminal}");
}

#[test]
fn a_game_day_names_each_cause() {
    let (scenario, findings) = repository_run("game-day.toml", &["replications=1"]);
    let causes = ["% refused after worker-loss at 540 s", "% lost after redis-outage at 420 s"];
    is_honest(&scenario, &findings, &causes);
    let terminal = run::terminal::render(&scenario, &findings, 200, false);
    assert!(terminal.contains("fault redis-outage") && terminal.contains("for 15 s"), "{terminal}");
    let depth = run::charts(&scenario, &findings).remove(0).svg();
    assert!(depth.contains("Where the lane of closed is hatched"), "the strip shows it");
}

#[test]
fn the_spike_is_green_only_with_its_objective_on_refusal() {
    let (scenario, with) = repository_run("spike-20k.toml", &["replications=1"]);
    assert!(with.summary.traffic.unlimited.is_empty());
    let terminal = run::terminal::render(&scenario, &with, 200, true);
    let (headline, green) = (terminal.find("18.8 % refused"), terminal.find("\u{1b}[1;32m"));
    assert!(headline < green && headline.is_some(), "{terminal}");
    let without = r#"slo=["lost_jobs.max == 0"]"#;
    let (scenario, findings) = repository_run("spike-20k.toml", &["replications=1", without]);
    let why = "apacity 10k/s against 20k/s offered for 60 s";
    is_honest(&scenario, &findings, &["18.8 % refused", "none lost", why]);
}

#[test]
fn lost_jobs_are_drawn_as_lost() {
    let (scenario, findings) = repository_run("redis-full-wedge.toml", &["replications=1"]);
    let charts = run::charts(&scenario, &findings);
    let rates = charts.iter().find(|chart| chart.name == "rates").expect("rates");
    let column = rates.table.header.iter().position(|name| name == "lost/s").expect("a column");
    let last = rates.table.rows.last().expect("rows");
    assert_ne!(last[column], "0", "{last:?}");
}

#[test]
fn the_long_form_tells_when_and_what_would_move_it() {
    let folder = folder_with("launch.toml", LAUNCH);
    let output = simulate(folder.path(), &["launch.toml", "--explain"]);
    let told = text(&output.stdout).to_owned();
    for expected in [
        "4 processes x 25 slots do 741/s",
        "an autoscaler may start up to 12 processes",
        "launch",
        "retry storm",
        "A circuit opened.",
        "--set workers.processes=9",
        "--set policy.critical=10000",
        "without clients, faults and autoscaler",
        "try: simulate launch.toml --set workers.processes=9",
    ] {
        assert!(told.contains(expected), "no `{expected}`:\n{told}");
    }
}
