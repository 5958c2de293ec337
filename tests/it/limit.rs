//! The search for a limit: exact answers, what it refuses, and the command as people meet it.

use std::fs;

use backpressure_sim::experiment::Unattended;
use backpressure_sim::study::grid::{Grid, GridSource};
use backpressure_sim::study::limit::{
    Along, Asked, Bracket, CONFIDENCE, Direction, Found, Limit, LimitError, PRECISION,
};
use serde_json::Value;

use crate::support::{SMALL, check_refusal, files, folder_with, owned, simulate, text, workplace};

/// A queue with Poisson arrivals and exponential service on ten slots: M/M/10, which serves 100 jobs a second.
const MM10: &str = r#"
duration = "400s"
warmup = "20s"
replications = 10
slo = ["wait_mean_seconds < 0.02"]

[arrivals]
rate = "60/s"

[policy]
enabled = false

[alerts]
enabled = false

[workers]
concurrency = 10
overhead = "0s"
service_time = { distribution = "exponential", mean = "100ms" }
"#;

const SLOTS: u32 = 10;
const SERVICE_RATE: f64 = 10.0;

fn grid(text: &str, overrides: &[String]) -> Grid {
    let source = GridSource {
        file: "limit.toml".into(),
        text: text.into(),
        overrides: overrides.to_vec(),
        axes: Vec::new(),
        constraints: Vec::new(),
    };
    Grid::of(source).unwrap_or_else(|error| panic!("{error}"))
}

fn asked(grid: &Grid, along: Option<&str>) -> Asked {
    Asked {
        along: Along::read(along, &grid.base).unwrap_or_else(|error| panic!("{error}")),
        direction: None,
        from: None,
        to: None,
        precision: PRECISION,
        confidence: CONFIDENCE,
    }
}

fn search(text: &str, overrides: &[&str], along: Option<&str>) -> Limit {
    let grid = grid(text, &owned(overrides));
    let asked = asked(&grid, along);
    Limit::search(grid, asked, &Unattended).unwrap_or_else(|error| panic!("{error}"))
}

#[track_caller]
fn bracket(limit: &Limit) -> Bracket {
    match limit.found {
        Found::Limit(bracket) => bracket,
        ref other => panic!("{other:?}"),
    }
}

/// Probability that an arrival finds all slots busy: Erlang's C by the recursion for B (A. K. Erlang 1917).
fn erlang_c(rate: f64) -> f64 {
    let offered = rate / SERVICE_RATE;
    let blocked = (1..=SLOTS).fold(1.0, |b, n| offered * b / (f64::from(n) + offered * b));
    blocked / (1.0 - offered / f64::from(SLOTS) * (1.0 - blocked))
}

/// Mean wait in M/M/c: C / (c mu - lambda) (Kleinrock, "Queueing Systems" 1, 1975, sec. 3.5).
fn mean_wait(rate: f64) -> f64 {
    erlang_c(rate) / (f64::from(SLOTS) * SERVICE_RATE - rate)
}

/// The share of jobs that wait longer than `seconds`: C exp(-(c mu - lambda) t).
fn late(rate: f64, seconds: f64) -> f64 {
    erlang_c(rate) * (-(f64::from(SLOTS) * SERVICE_RATE - rate) * seconds).exp()
}

/// The rate at which an increasing figure reaches a limit.
fn rate_where(figure: impl Fn(f64) -> f64, limit: f64) -> f64 {
    let (mut low, mut high) = (0.0, f64::from(SLOTS) * SERVICE_RATE);
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if figure(middle) < limit { low = middle } else { high = middle }
    }
    low
}

/// How many of these seeds give an interval that has the exact limit, and their mean width as a share of it.
fn covered(slo: &str, exact: f64, seeds: std::ops::Range<u64>) -> (usize, f64) {
    let own = 60.0;
    let mut width = 0.0;
    let count = seeds.end - seeds.start;
    let mut hits = 0;
    for seed in seeds {
        let limit = search(MM10, &[&format!("slo=[\"{slo}\"]"), &format!("seed={seed}")], None);
        let Bracket { interval, as_written, second_half, .. } = bracket(&limit);
        let (low, high) = (interval.low.expect("it ends") * own, interval.high.expect("it ends") * own);
        width += (high - low) / exact / count as f64;
        let is_in = (low..=high).contains(&exact);
        if !is_in {
            println!("seed {seed}: {exact} is not in {low}..{high}, {as_written:?} {second_half:?}");
        }
        hits += usize::from(is_in);
    }
    (hits, width)
}

#[track_caller]
fn check_coverage(seeds: std::ops::Range<u64>, least: usize) {
    let cases = [
        ("wait_mean_seconds < 0.02", rate_where(mean_wait, 0.02)),
        ("wait_probability < 30%", rate_where(erlang_c, 0.3)),
        // The 95th percentile of all waits is 0.1 s where 5% wait longer.
        ("wait_p95_seconds < 0.1", rate_where(|rate| late(rate, 0.1), 0.05)),
    ];
    for (slo, exact) in cases {
        let (hits, width) = covered(slo, exact, seeds.clone());
        println!("{slo}: {hits} intervals have {exact:.2}/s, mean width {:.1}%", width * 100.0);
        assert!(hits >= least, "{slo}: {hits} of {seeds:?} have {exact}");
        assert!(width < 0.1, "{slo}: an interval of {width} of the limit says little");
    }
}

#[test]
fn the_capacity_of_a_queue_by_erlang_is_in_the_interval() {
    check_coverage(0..4, 4);
}

/// `cargo test --release --test it limit:: -- --ignored`
#[test]
#[ignore = "a hundred searches for each of three objectives"]
fn the_capacity_of_a_queue_by_erlang_is_in_95_of_100_intervals() {
    check_coverage(1_000..1_100, 95);
}

/// Seconds of work that arrive in each second may not exceed what the slots can do: a bound that no noise moves.
const CONSTANT: &str = r#"
duration = "20s"
replications = 4
slo = ["wait_mean_seconds < 0.01"]

[arrivals]
process = "constant"
rate = "50/s"

[policy]
enabled = false

[alerts]
enabled = false

[workers]
concurrency = 10
overhead = "0s"
service_time = "100ms"
"#;

#[test]
fn without_noise_the_interval_is_one_step_around_the_capacity() {
    let found = bracket(&search(CONSTANT, &[], None));
    // Ten slots do 100 jobs a second, twice the load; beyond it 20 s add up to a wait of 10 ms at 100.1/s.
    assert_eq!(found.direction, Direction::Up);
    assert!((1.98..=2.01).contains(&found.limit), "{found:?}");
    assert_eq!((found.interval.low, found.interval.high), (Some(found.limit), Some(found.next)));
    assert!(found.next / found.limit < 1.0 + 1.01 * PRECISION, "{found:?}");
}

#[test]
fn a_setting_is_searched_in_the_direction_in_which_it_gets_worse() {
    let slots = bracket(&search(CONSTANT, &[], Some("workers.concurrency")));
    assert_eq!((slots.direction, slots.limit, slots.next), (Direction::Down, 5.0, 4.0));
    let rate = bracket(&search(CONSTANT, &[], Some("arrivals.rate")));
    assert!(rate.direction == Direction::Up && (99.0..=101.0).contains(&rate.limit), "{rate:?}");
    let service = bracket(&search(CONSTANT, &[], Some("workers.service_time")));
    assert!(service.direction == Direction::Up && (0.198..=0.202).contains(&service.limit), "{service:?}");
    // A scenario that fails as it is: the least that would do is above.
    let few = bracket(&search(CONSTANT, &["workers.concurrency=2"], Some("workers.concurrency")));
    assert_eq!((few.direction, few.limit), (Direction::Down, 5.0));
}

#[test]
fn a_recording_is_multiplied_like_a_rate() {
    let times: String = (0..1000).map(|index| format!("{}.{:02}\n", index / 50, index % 50 * 2)).collect();
    let folder = folder_with("trace.csv", &format!("time_s\n{times}"));
    let arrivals = "process = \"constant\"\nrate = \"50/s\"";
    let scenario = CONSTANT.replace(arrivals, "process = \"trace\"\nfile = \"trace.csv\"");
    fs::write(folder.path().join("x.toml"), scenario).expect("a file");
    let output = simulate(folder.path(), &["limit", "x.toml", "--json", "-q"]);
    let document: Value = serde_json::from_slice(&output.stdout).expect("a document");
    let limit = document["limit"]["value"].as_f64().expect("a limit");
    assert!((1.9..=2.1).contains(&limit), "{limit}");
}

#[test]
fn where_the_load_changes_the_whole_run_counts() {
    let limit = search(SMALL, &["slo=[\"peak_depth_jobs < 450\"]"], None);
    let found = bracket(&limit);
    assert_eq!(found.second_half, None);
    // The spike is of 300 jobs a second on workers for 100: 5 s of it leave 1,000 at the load as it is.
    assert!(found.limit < 1.0 && found.interval.contains(found.limit), "{found:?}");
    let at = limit.point(found.limit).expect("it was tried");
    let next = limit.point(found.next).expect("it was tried");
    assert!(at.pass && !next.pass);
    assert_eq!(next.missed().count(), 1);
}

#[test]
fn an_objective_on_all_runs_is_proven_by_more_runs_than_a_check() {
    let limit = search(SMALL, &["slo=[\"peak_depth_jobs.max < 450\"]"], None);
    let found = bracket(&limit);
    let low = found.interval.low.expect("it is proven");
    // 2^(-n/6) <= 0.005 from 46 on.
    assert_eq!(limit.point(low).expect("it was tried").runs, 46);
    assert!(low <= found.limit && found.interval.high.expect("it is proven") >= found.next);
}

#[test]
fn what_does_not_turn_is_said_with_how_far_it_was_tried() {
    let everywhere = search(CONSTANT, &["slo=[\"lost_jobs == 0\"]"], None);
    assert_eq!(everywhere.found, Found::Everywhere(1.0, 16.0));
    let nowhere = search(CONSTANT, &["slo=[\"sojourn_mean_seconds < 0.05\"]"], None);
    assert!(matches!(nowhere.found, Found::Nowhere(low, high) if low < 0.02 && high >= 16.0));
}

#[test]
fn a_question_without_an_answer_is_refused() {
    let grid = grid(SMALL, &owned(&["slo=[]"]));
    let asked = asked(&grid, None);
    assert!(matches!(Limit::search(grid, asked, &Unattended), Err(LimitError::NoObjectives)));
    let folder = workplace();
    let refuse = |arguments: &[&str], code: i32, messages: &[&str]| {
        let all = [&["limit", "small.toml", "-q"], arguments].concat();
        check_refusal(folder.path(), &all, code, messages);
    };
    refuse(&["--set", "slo=[]"], 3, &["no objectives", "slo = ["]);
    refuse(&["-n", "1"], 2, &["--replications 2 or more"]);
    refuse(&["--along", "workers.proceses"], 2, &["did you mean `workers.processes`?"]);
    refuse(&["--along", "queue.discipline"], 2, &["is not a number"]);
    refuse(&["--along", "workers"], 2, &["a table"]);
    refuse(&["--along", "autoscaler.max"], 2, &["has no value to start from"]);
    refuse(&["--along", "start.depth"], 2, &["--to"]);
    refuse(&["--from", "2", "--to", "1"], 2, &["not below"]);
    refuse(&["--to", "20k/s"], 2, &["20k/s"]);
    refuse(&["--precision", "0"], 2, &["not a share"]);
}

#[test]
fn the_command_writes_the_same_report_on_any_number_of_threads() {
    let folder = workplace();
    let run = |jobs: &str| {
        let out = format!("out{jobs}");
        let arguments =
            ["limit", "small.toml", "--set", "slo=[\"peak_depth_jobs < 450\"]", "-j", jobs, "-o", &out];
        let output = simulate(folder.path(), &arguments);
        assert_eq!(output.status.code(), Some(10), "{}", text(&output.stderr));
        (text(&output.stdout).replace(&out, "out"), files(&folder.path().join(&out)))
    };
    let (told, written) = run("1");
    assert_eq!((told.clone(), written.clone()), run("2"));
    for expected in
        ["LIMIT  0.", "times the load", "99 % interval", "refused", "peak_depth_jobs < 450", "█ CURVE"]
    {
        assert!(told.contains(expected), "no {expected} in\n{told}");
    }
    let names: Vec<&str> = written.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["limit.json", "objective-1.svg", "points.csv", "report.html", "summary.svg", "traffic.svg"]
    );
    let document: Value = serde_json::from_slice(&written["limit.json"]).expect("a document");
    let limit = &document["limit"];
    assert!(
        limit["low"].as_f64() <= limit["value"].as_f64() && limit["value"].as_f64() < limit["high"].as_f64()
    );
    assert_eq!(document["schema"], "backpressure-sim/limit/1");
    let lines = text(&written["points.csv"]).lines().count();
    assert_eq!(lines, 1 + document["points"].as_array().expect("a list").len());
    assert!(lines > 10, "a curve needs points");
}

#[test]
fn a_scenario_within_its_limit_is_exit_code_0() {
    let folder = folder_with("x.toml", CONSTANT);
    let output = simulate(folder.path(), &["limit", "x.toml", "--along", "workers.concurrency"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let told = text(&output.stdout);
    assert!(told.contains("LIMIT  workers.concurrency = 5 is the smallest value"), "{told}");
    assert!(told.lines().all(|line| line.chars().count() <= 100), "{told}");
}
