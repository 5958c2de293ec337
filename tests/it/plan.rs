//! The planner: it chooses what an exhaustive run finds best, says what it discarded and why, and comes to the
//! same choice alone, after an interrupt, and round by round on many machines.

use std::fs;

use backpressure_sim::experiment::Unattended;
use backpressure_sim::plan::recent::Recent;
use backpressure_sim::plan::search::{Decision, Search};
use backpressure_sim::plan::table::Table;
use backpressure_sim::plan::{self, Criterion, Fate};
use backpressure_sim::selection::Guarantee;
use backpressure_sim::study::grid::{Grid, GridSource};
use backpressure_sim::study::sweep::Sweep;
use backpressure_sim::study::{Fold, Study};

use crate::support::{files, folder_with, owned, simulate};

/// Small enough to be run exhaustively; a slot finishes 100 jobs a second.
const SPIKE: &str = r#"
duration = "60s"
seed = 7
replications = 5
slo = ["recovery_seconds.p95 < 20", "rejection_probability.max < 30%", "rejected_jobs{class=alarm}.max == 0", "lost_jobs.max == 0"]
[arrivals]
phases = [
    { name = "calm", for = "10s", rate = "300/s" },
    { name = "spike", for = "10s", rate = "900/s", spike = true },
    { name = "after", rate = "300/s" },
]
[[class]]
name = "alarm"
priority = 1
share = 0.01
[[class]]
name = "telemetry"
priority = 5
share = 0.84
[[class]]
name = "batch"
priority = 10
share = 0.15
[gateway]
check_latency = "3ms"
[workers]
processes = 4
overhead = "1.5ms"
service_time = { distribution = "lognormal", mean = "8.5ms", cv = 0.5 }
"#;
const AXES: [&str; 4] = [
    "workers.processes=2..10",
    "policy.critical=250,500,1000,2000",
    "policy.warning=0.2,0.4,0.6 of policy.critical",
    "policy.recovery=0.5,0.8 of policy.warning",
];

fn grid(text: &str, axes: &[&str], overrides: &[&str]) -> Grid {
    let (axes, overrides) = (owned(axes), owned(overrides));
    let source =
        GridSource { file: "spike.toml".into(), text: text.into(), overrides, axes, constraints: Vec::new() };
    Grid::of(source).unwrap_or_else(|error| panic!("{error}"))
}

fn decide(grid: &Grid) -> Decision {
    let search = Search::of(grid);
    plan::search(grid, &search, &mut Table::default(), |_| {}, &Recent::default(), &Unattended)
        .expect("nothing interrupts it")
}

fn exhaustive(grid: Grid) -> Sweep {
    let study = Study::of(grid);
    let mut fold = Fold::new(&study);
    let take = |entry| {
        fold.add(entry);
        Ok::<_, ()>(())
    };
    assert_eq!(study.run(&study.to_do(None), take, &Unattended), Ok(true));
    let results = fold.finish().expect("all of it was run");
    Sweep::of(study, results, &Unattended).expect("nothing interrupts it")
}

#[test]
fn the_choice_is_what_an_exhaustive_run_finds() {
    let sweep = exhaustive(grid(SPIKE, &AXES, &[]));
    let best = &sweep.results[sweep.cheapest().expect("some variant meets the objectives")];
    let decision = decide(&grid(SPIKE, &AXES, &[]));
    let chosen = decision.chosen.expect("it finds one too");
    let found = sweep.results.iter().find(|result| result.id == chosen.id).expect("it is of the same grid");
    let path = decision.path;
    println!("{} of {} replications, {:?}", path.replications, path.exhaustive, path.screen);
    assert!(found.passes());
    assert_eq!(found.cost.mean, best.cost.mean, "the fewest workers");
    assert_eq!(
        chosen.criterion,
        Criterion::TieBreak(backpressure_sim::model::metric::Metric::RejectionProbability)
    );
    assert!(matches!(chosen.guarantee, Guarantee::CorrectSelection { .. }), "{:?}", chosen.guarantee);
    // Nobody was forgotten: each candidate was discarded, left out for a reason, or simulated.
    let screen = path.screen.as_ref().expect("the fluid limit applies");
    let accounted = screen.discarded
        + path.overloaded
        + path.spared
        + path.too_dear
        + path.not_better
        + path.beyond_finalists;
    let verified = path.simulated.iter().filter(|simulated| simulated.fate != Fate::Probe).count();
    let is_survivor_unverified = path.candidates - accounted;
    assert_eq!(is_survivor_unverified, verified, "{path:#?}");
    // All that the screen discarded misses an objective in the exhaustive run.
    let feasible = sweep.results.iter().filter(|result| result.passes()).count();
    assert!(feasible <= path.candidates - screen.discarded);
    assert!(path.replications * 5 < path.exhaustive, "{} of {}", path.replications, path.exhaustive);
}

#[test]
fn what_was_discarded_would_have_missed() {
    // Every candidate that is cheaper than the choice misses an objective: checked against the exhaustive run.
    let sweep = exhaustive(grid(SPIKE, &AXES, &[]));
    let chosen = decide(&grid(SPIKE, &AXES, &[])).chosen.expect("it finds one");
    let cost = |id| sweep.results.iter().find(|result| result.id == id).and_then(|result| result.cost.mean);
    let limit = cost(chosen.id).expect("it was run");
    for result in sweep.results.iter().filter(|result| result.cost.mean.is_some_and(|cost| cost < limit)) {
        assert!(!result.passes(), "{} is cheaper and meets the objectives", result.id);
    }
}

#[test]
fn prices_of_jobs_make_cost_a_matter_of_chance() {
    let priced = ["cost.worker=10", "cost.rejected_job=0.01", "cost.occurrences=2"];
    let sweep = exhaustive(grid(SPIKE, &AXES, &priced));
    let best = sweep
        .cheapest()
        .and_then(|best| sweep.results[best].cost.mean)
        .expect("some variant meets the objectives");
    let decision = decide(&grid(SPIKE, &AXES, &priced));
    let chosen = decision.chosen.expect("it finds one too");
    assert_eq!(chosen.criterion, Criterion::Cost);
    let found = sweep.results.iter().find(|result| result.id == chosen.id).expect("it is of the same grid");
    let cost = found.cost.mean.expect("it was run");
    assert!(found.passes() && cost <= 1.01 * best, "{cost} against {best}");
}

#[test]
fn nothing_is_chosen_where_nothing_meets_the_objectives() {
    let decision = decide(&grid(SPIKE, &["workers.processes=1..3"], &["slo=[\"peak_depth_jobs.max < 10\"]"]));
    assert!(decision.chosen.is_none());
    assert!(decision.nearest.is_some(), "the nearest candidate is named");
    let missed = |fate: &Fate| matches!(fate, Fate::Misses(_) | Fate::Probe);
    assert!(decision.path.simulated.iter().all(|simulated| missed(&simulated.fate)));
}

#[test]
fn an_objective_at_its_limit_is_undecided() {
    // The mean itself is the limit: no number of replications puts its interval on one side.
    let sweep = exhaustive(grid(SPIKE, &["workers.processes=8"], &["replications=40"]));
    let mean =
        sweep.results[0].metric(backpressure_sim::model::metric::Metric::WaitMean).mean.expect("a mean");
    let slo = format!("slo=[\"wait_mean_seconds < {mean}\"]");
    let overrides = [slo.as_str(), "plan.most_replications=40"];
    let decision = decide(&grid(SPIKE, &["workers.processes=8"], &overrides));
    assert!(decision.chosen.is_none());
    let fates: Vec<&Fate> = decision.path.simulated.iter().map(|simulated| &simulated.fate).collect();
    assert!(matches!(fates.as_slice(), [Fate::Undecided(_) | Fate::Misses(_)]), "{fates:?}");
}

#[test]
fn recorded_arrivals_are_planned_without_the_fluid_limit() {
    let folder = tempfile::tempdir().expect("a folder");
    let times: String = (0..1_500).map(|arrival| format!("{}\n", f64::from(arrival) / 100.0)).collect();
    fs::write(folder.path().join("trace.csv"), format!("time_s\n{times}")).expect("a trace");
    let text = "duration = \"20s\"\nreplications = 3\nslo = [\"wait_p95_seconds.max < 1s\"]\n[arrivals]\nprocess = \"trace\"\nfile = \"trace.csv\"\n[workers]\nservice_time = { distribution = \"exponential\", mean = \"10ms\" }\n";
    let file = folder.path().join("trace.toml").display().to_string();
    let axes = vec!["workers.processes=1..6".to_string()];
    let source = GridSource { file, text: text.into(), overrides: Vec::new(), axes, constraints: Vec::new() };
    let decision = decide(&Grid::of(source).unwrap_or_else(|error| panic!("{error}")));
    assert_eq!(decision.path.screen, None);
    assert!(decision.chosen.is_some());
}

fn workplace() -> tempfile::TempDir {
    folder_with("spike.toml", SPIKE)
}

const GRID: [&str; 8] = [
    "--grid",
    "workers.processes=5..8",
    "--grid",
    "policy.critical=500,1000",
    "--grid",
    "policy.warning=0.5 of policy.critical",
    "--grid",
    "policy.recovery=0.5 of policy.warning",
];

#[test]
fn rounds_on_many_machines_give_the_same_plan() {
    let place = workplace();
    let alone = simulate(
        place.path(),
        &[&["plan", "spike.toml", "-q", "-o", "alone", "-j", "1"], &GRID[..]].concat(),
    );
    assert_eq!(alone.status.code(), Some(0), "{}", String::from_utf8_lossy(&alone.stderr));
    let mut rounds = 0;
    loop {
        let next = [&["plan", "spike.toml", "-q", "-o", "shared", "--rounds", "rounds"], &GRID[..]].concat();
        let next = simulate(place.path(), &next);
        if next.status.code() == Some(0) {
            break;
        }
        assert_eq!(next.status.code(), Some(20), "{}", String::from_utf8_lossy(&next.stderr));
        rounds += 1;
        assert!(rounds < 50, "it ends");
        for shard in ["0/3", "1/3", "2/3"] {
            let part = ["plan", "spike.toml", "-q", "--rounds", "rounds", "--shard", shard];
            let part = simulate(place.path(), &[&part[..], &GRID[..]].concat());
            assert_eq!(part.status.code(), Some(0), "{}", String::from_utf8_lossy(&part.stderr));
        }
    }
    assert!(rounds > 1, "there is more than one round");
    assert_eq!(files(&place.path().join("alone")), files(&place.path().join("shared")));
}

#[test]
fn a_rate_scales_all_arrivals() {
    let place = workplace();
    let output = ["plan", "spike.toml", "--json", "-o", "plan", "--rate", "450,900/s", "-n", "2"];
    let output = simulate(place.path(), &output);
    let text = String::from_utf8_lossy(&output.stdout);
    let document: serde_json::Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let plans = document["plans"].as_array().expect("a plan for each rate");
    let rates: Vec<f64> = plans.iter().filter_map(|plan| plan["peak_rate_per_second"].as_f64()).collect();
    assert_eq!(rates, [450.0, 900.0]);
}

#[test]
fn mistakes_are_told() {
    let place = workplace();
    for (arguments, expected) in [
        (&["--rate", "fast"][..], "not a rate above zero"),
        (&["--shard", "0/2"], "--rounds"),
        (&["--grid", "policy.critical=1k..2k:1k", "--where", "policy.critical < 10"], "no configuration"),
        (&["--rounds", "nowhere", "--shard", "0/2"], "failed to read"),
    ] {
        let output = simulate(place.path(), &[&["plan", "spike.toml", "-q"], arguments].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && stderr.contains(expected), "{arguments:?}: {stderr}");
    }
}

/// A spike that clients' own limits do not bound: what a plan would do with it is up to the objectives.
fn without(objectives: &str) -> String {
    let start = SPIKE.find("slo = [").expect("it has objectives");
    let end = start + SPIKE[start..].find('\n').expect("more follows");
    format!("{}slo = [{objectives}]{}", &SPIKE[..start], &SPIKE[end..])
}

#[test]
fn a_plan_without_a_limit_or_price_on_refusal_and_loss_is_refused_with_the_lines_to_write() {
    let both =
        ["\"rejection_probability <= 1%\", \"lost_jobs == 0\"", "rejected_job = 0.001 and lost_job = 0.01"];
    let loss = ["\"lost_jobs == 0\"", "[cost] with lost_job = 0.01"];
    let refusal = ["refused jobs of telemetry, batch", "\"rejection_probability <= 1%\""];
    for (objectives, options, lines) in [
        ("\"recovery_seconds.p95 < 20\"", &[][..], both),
        ("\"recovery_seconds.p95 < 20\"", &["cost.rejected_job=0.01"], loss),
        ("\"rejection_probability < 30%\"", &[], loss),
        ("\"rejected_jobs{class=alarm} == 0\", \"lost_jobs == 0\"", &[], refusal),
        ("\"rejection_probability < 100%\", \"lost_jobs == 0\"", &[], [refusal[1], "refused jobs"]),
        (
            "\"rejected_jobs > 5\", \"lost_jobs == 0\"",
            &["cost.rejected_job=1", "cost.occurrences=0"],
            [refusal[1], "refused jobs"],
        ),
    ] {
        let place = folder_with("spike.toml", &without(objectives));
        let set: Vec<&str> = options.iter().flat_map(|option| ["--set", option]).collect();
        let output = simulate(place.path(), &[&["plan", "spike.toml", "-q"], &set[..]].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{objectives}: {stderr}");
        assert!(stderr.contains("spike.toml:5:1"), "the line of the objectives: {stderr}");
        for line in lines {
            assert!(stderr.contains(line), "{objectives}: {line} in {stderr}");
        }
    }
}

/// In two minutes a backlog hides that a fleet never does what keeps coming; in an hour it refuses 13% of it.
#[test]
fn a_fleet_below_what_keeps_coming_is_no_plan() {
    let text = "duration = \"2min\"\nreplications = 3\nslo = [\"rejection_probability <= 1%\", \"lost_jobs == 0\"]\n\
                [arrivals]\nrate = \"300/s\"\n[workers]\nconcurrency = 10\nservice_time = \"80ms\"\noverhead = \"0s\"\n";
    let place = folder_with("steady.toml", text);
    let plan = |processes: &str| {
        let output = simulate(place.path(), &["plan", "steady.toml", "--grid", processes, "-o", "out"]);
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (code, text) = plan("workers.processes=1..5");
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("PLANNED"), "{text}");
    let document: serde_json::Value =
        serde_json::from_slice(&std::fs::read(place.path().join("out/plan.json")).expect("a plan"))
            .expect("JSON");
    let settings = &document["plans"][0]["choice"]["settings"];
    assert_eq!(settings["worker_processes"], 3, "{settings}");
    let (code, text) = plan("workers.processes=1..2");
    assert_eq!(code, Some(10), "{text}");
    assert!(text.contains("NO PLAN") && !text.contains("PLANNED"), "{text}");
}

/// With a price and no limit there is nothing to miss; what the plan itself refuses is then the measure of an incident.
#[test]
fn a_loss_that_refuses_more_than_the_plan_is_not_all_met() {
    let place = folder_with("spike.toml", &without("\"recovery_seconds.p95 < 60\""));
    let thresholds = ["policy.recovery=125", "policy.warning=250", "policy.critical=500"];
    let prices = ["cost.rejected_job=0.0001", "cost.lost_job=1", "cost.worker=10"];
    let set: Vec<&str> = thresholds.into_iter().chain(prices).flat_map(|option| ["--set", option]).collect();
    let options =
        ["plan", "spike.toml", "--json", "-o", "plan", "-n", "2", "--grid", "workers.processes=4..6"];
    let output = simulate(place.path(), &[&options[..], &set].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    let document: serde_json::Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let what_if = &document["plans"][0]["choice"]["what_if"];
    let zone = &what_if["losses"][1];
    assert!(zone["rejection_probability"].as_f64().expect("a share") > 0.2, "{zone}");
    let missed = zone["missed"].as_array().expect("a list");
    let is_implied = |objective: &serde_json::Value| {
        objective.as_str().is_some_and(|text| text.starts_with("rejection_probability <= "))
    };
    assert!(missed.iter().any(is_implied), "{missed:?}");
    assert!(what_if["headroom"].as_f64().is_none_or(|factor| factor < 1.5), "{what_if}");
    assert!(
        fs::read_to_string(place.path().join("plan/plan.md"))
            .expect("a summary")
            .contains("no objective limits it")
    );
}
