//! `simulate compare`: pairs, independent results, what is told of differences, and the files that hold them.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use backpressure_sim::model::metric::Metric;
use serde_json::Value;

use crate::support::{check_refusal, command, interrupt, simulate, text, without_own_scripts, workplace};

/// Runs `simulate compare ... --json` and reads the document.
#[track_caller]
fn compare(folder: &Path, arguments: &[&str]) -> Value {
    let arguments = [&["compare", "--json", "-o", "out"], arguments].concat();
    let output = simulate(folder, &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(fs::read(folder.join("out/comparison.json")).unwrap(), output.stdout);
    serde_json::from_slice(&output.stdout).unwrap()
}

fn difference<'a>(comparison: &'a Value, metric: &str) -> &'a Value {
    let all = comparison["differences"].as_array().unwrap();
    all.iter().find(|one| one["metric"] == metric && one["class"].is_null()).unwrap()
}

fn write_like_small(folder: &Path, name: &str, changes: &[(&str, &str)]) {
    let mut scenario = fs::read_to_string(folder.join("small.toml")).unwrap();
    for (from, to) in changes {
        assert!(scenario.contains(from), "{from}");
        scenario = scenario.replace(from, to);
    }
    fs::write(folder.join(name), scenario).unwrap();
}

#[test]
fn a_change_is_compared_with_the_scenario_itself() {
    let folder = workplace();
    let found = compare(folder.path(), &["small.toml", "--set-b", "workers.concurrency=20"]);
    assert_eq!(found["schema"], "backpressure-sim/compare/1");
    assert_eq!(found["pairing"], "paired");
    assert_eq!(
        found["settings"],
        serde_json::json!([{ "path": "workers.concurrency", "a": "10", "b": "20" }])
    );
    let wait = difference(&found, "wait_mean_seconds");
    assert!(wait["matters"].as_bool().unwrap() && wait["paired"].as_bool().unwrap(), "{wait}");
    assert!(wait["difference"].as_f64().unwrap() < 0.0 && wait["size"] == "large", "{wait}");
    let mean = |side: &str| wait[side]["mean"].as_f64().unwrap();
    assert!((wait["difference"].as_f64().unwrap() - (mean("b") - mean("a"))).abs() < 1e-12);
    // Common random numbers: the same jobs arrive.
    let offered = difference(&found, "offered_jobs");
    assert_eq!((&offered["size"], &offered["matters"]), (&"same".into(), &false.into()));
    assert!(offered["correlation"].as_f64().unwrap() > 1.0 - 1e-9, "{offered}");
}

#[test]
fn a_difference_is_worse_improved_or_within_noise() {
    let folder = workplace();
    let effect_of = |change: &str, metric: &str| {
        let found = compare(folder.path(), &["small.toml", "--set-b", change]);
        difference(&found, metric)["effect"].as_str().unwrap().to_owned()
    };
    assert_eq!(effect_of("workers.concurrency=20", "wait_mean_seconds"), "improved");
    assert_eq!(effect_of("workers.concurrency=9", "wait_mean_seconds"), "worse");
    assert_eq!(effect_of("workers.concurrency=9", "worker_utilisation"), "changed");
    assert_eq!(effect_of("workers.concurrency=9", "offered_jobs"), "same");
    simulate(
        folder.path(),
        &["compare", "small.toml", "--set-b", "workers.concurrency=9", "--export-md", "a/b.md"],
    );
    let page = fs::read_to_string(folder.path().join("a/b.md")).unwrap();
    assert!(
        page.contains("| ✗ | <code>wait&#95;p99&#95;seconds</code> |") && page.contains("| worse |"),
        "{page}"
    );
    assert!(
        page.contains("| <code>workers.concurrency</code> | <code>10</code> | <code>9</code> |"),
        "{page}"
    );
}

#[test]
fn what_matters_comes_first_then_what_a_person_asks_first_then_the_largest() {
    let folder = workplace();
    let found = compare(folder.path(), &["small.toml", "--set-b", "workers.concurrency=12"]);
    let rank = |one: &Value| {
        let size = one["relative"].as_f64().map_or(f64::INFINITY, f64::abs);
        let metric = Metric::from_name(one["metric"].as_str().unwrap()).unwrap();
        (!one["matters"].as_bool().unwrap(), metric.importance(), -size)
    };
    let ranks: Vec<_> = found["differences"].as_array().unwrap().iter().map(rank).collect();
    assert!(ranks.windows(2).all(|pair| pair[0] <= pair[1]), "{ranks:?}");
    assert_eq!(found["matter"].as_u64().unwrap() as usize, ranks.iter().filter(|rank| !rank.0).count());
}

#[test]
fn the_same_scenario_twice_does_not_differ() {
    let folder = workplace();
    let found = compare(folder.path(), &["small.toml", "small.toml"]);
    assert_eq!((&found["matter"], &found["a"]["digest"]), (&0.into(), &found["b"]["digest"]));
    assert!(found["differences"].as_array().unwrap().iter().all(|one| one["size"] == "same"));
    let output = simulate(folder.path(), &["compare", "small.toml", "small.toml"]);
    assert!(text(&output.stdout).contains("Nothing differs"), "{}", text(&output.stdout));
}

#[test]
fn b_runs_with_the_seed_and_replications_of_a() {
    let folder = workplace();
    let changes = [("replications = 6", "replications = 9\nseed = 5"), ("\"small\"", "\"other\"")];
    write_like_small(folder.path(), "other.toml", &changes);
    let found = compare(folder.path(), &["small.toml", "other.toml"]);
    assert_eq!((&found["b"]["seed"], &found["b"]["replications"]), (&1.into(), &6.into()));
    assert_eq!((&found["pairing"], &found["matter"]), (&"paired".into(), &0.into()));
    assert!(found["remarks"].to_string().contains("not with its own 5 and 9"), "{}", found["remarks"]);
    let found = compare(folder.path(), &["small.toml", "other.toml", "--seed", "3", "-n", "2"]);
    assert_eq!((&found["a"]["seed"], &found["b"]["seed"]), (&3.into(), &3.into()));
    assert_eq!((&found["a"]["replications"], &found["b"]["replications"]), (&2.into(), &2.into()));
}

#[test]
fn other_seeds_are_independent() {
    let folder = workplace();
    let found = compare(folder.path(), &["small.toml", "--set-b", "seed=99"]);
    assert_eq!(found["pairing"], "independent");
    assert!(found["remarks"].to_string().contains("The seeds differ (1 and 99)"), "{}", found["remarks"]);
    assert!(difference(&found, "wait_mean_seconds")["correlation"].is_null());
}

#[test]
fn earlier_runs_are_paired_by_their_replications() {
    let folder = workplace();
    simulate(folder.path(), &["small.toml", "-q", "-o", "one"]);
    simulate(folder.path(), &["small.toml", "-q", "-o", "two", "--set", "workers.concurrency=20"]);
    let of_results = compare(folder.path(), &["one", "two/summary.json"]);
    let of_runs = compare(folder.path(), &["small.toml", "--set-b", "workers.concurrency=20"]);
    assert!(of_results["settings"].is_null());
    for metric in ["wait_mean_seconds", "recovery_seconds", "peak_depth_jobs", "offered_jobs"] {
        assert_eq!(difference(&of_results, metric), difference(&of_runs, metric), "{metric}");
    }
    let mixed = compare(folder.path(), &["one", "small.toml", "--set-b", "workers.concurrency=20"]);
    assert_eq!(mixed["differences"], of_runs["differences"]);
    assert!(!folder.path().join("out/depth.svg").exists(), "an earlier run left no series to draw");
}

#[test]
fn estimates_alone_are_compared_as_independent() {
    let folder = workplace();
    simulate(folder.path(), &["small.toml", "-q", "-o", "one"]);
    fs::remove_file(folder.path().join("one/replications.csv")).unwrap();
    let found = compare(folder.path(), &["one", "small.toml", "--set-b", "workers.concurrency=20"]);
    assert_eq!(found["pairing"], "independent");
    assert!(found["remarks"].to_string().contains("replications.csv"), "{}", found["remarks"]);
    let wait = difference(&found, "wait_mean_seconds");
    assert!(wait["half_width"].as_f64().unwrap() > 0.0 && wait["correlation"].is_null(), "{wait}");
}

#[test]
fn replications_of_another_run_are_not_believed() {
    let folder = workplace();
    simulate(folder.path(), &["small.toml", "-q", "-o", "one"]);
    simulate(folder.path(), &["small.toml", "-q", "-o", "two", "--seed", "9"]);
    fs::copy(folder.path().join("two/replications.csv"), folder.path().join("one/replications.csv")).unwrap();
    let found = compare(folder.path(), &["one", "small.toml"]);
    assert_eq!(found["pairing"], "independent");
    assert!(found["remarks"].to_string().contains("is of another run"), "{}", found["remarks"]);
}

#[test]
fn classes_that_only_one_has_are_told() {
    let folder = workplace();
    let class = |name: &str| format!("[[class]]\nname = '{name}'\nshare = 0.5\n");
    for (file, other) in [("one.toml", "red"), ("two.toml", "blue")] {
        let classes = format!("{}{}[arrivals]", class("both"), class(other));
        write_like_small(folder.path(), file, &[("[arrivals]", &classes)]);
    }
    let found = compare(folder.path(), &["one.toml", "two.toml"]);
    let remarks = found["remarks"].to_string();
    assert!(remarks.contains("only A has: red") && remarks.contains("only B has: blue"), "{remarks}");
    let classes: Vec<_> = found["differences"].as_array().unwrap().iter().map(|one| &one["class"]).collect();
    assert!(classes.contains(&&Value::from("both")) && !classes.contains(&&Value::from("red")));
}

#[test]
fn one_replication_has_no_intervals_and_says_so() {
    let folder = workplace();
    let found = compare(folder.path(), &["small.toml", "-n", "1", "--set-b", "workers.concurrency=20"]);
    assert_eq!(found["matter"], 0);
    assert!(difference(&found, "wait_mean_seconds")["half_width"].is_null());
    assert!(found["remarks"].to_string().contains("One replication"), "{}", found["remarks"]);
}

#[test]
fn only_wanted_metrics_are_compared() {
    let folder = workplace();
    let found = compare(
        folder.path(),
        &["small.toml", "--set-b", "workers.concurrency=20", "--metric", "recovery_seconds,peak_depth_jobs"],
    );
    assert_eq!(found["differences"].as_array().unwrap().len(), 2);
    let arguments = ["compare", "small.toml", "small.toml", "--metric", "recovry_seconds"];
    check_refusal(folder.path(), &arguments, 2, &["did you mean `recovery_seconds`"]);
}

#[test]
fn the_folder_is_complete_and_the_same_bytes_on_any_number_of_threads() {
    let folder = workplace();
    let files =
        ["report.html", "comparison.json", "differences.csv", "depth.svg", "differences.svg", "summary.svg"];
    let results = ["1", "3"].map(|jobs| {
        let set_b = "workers.concurrency=20";
        let output = simulate(folder.path(), &["compare", "small.toml", "--set-b", set_b, "-j", jobs]);
        assert!(text(&output.stdout).contains("report  reports/small-vs-workers.concurrency=20/report.html"));
        let read = |file: &str| {
            fs::read(folder.path().join("reports/small-vs-workers.concurrency=20").join(file)).unwrap()
        };
        (files.map(read), output.stdout)
    });
    assert!(results[0] == results[1]);
    let page = text(&results[0].0[0]);
    assert!(page.contains("simulate compare small.toml --set-b workers.concurrency=20"), "{page}");
    let page = without_own_scripts(page);
    assert!(!page.contains("href=") && !page.contains("src="));
    assert!(page.contains("<svg") && page.contains("Queue depth of A and B"));
    let csv = text(&results[0].0[2]);
    let columns = |line: &str| line.split(',').count();
    assert!(csv.lines().all(|line| columns(line) == columns(csv.lines().next().unwrap())), "{csv}");
}

#[test]
fn the_terminal_tells_what_was_changed_and_what_came_of_it() {
    let folder = workplace();
    let arguments = ["compare", "small.toml", "--set-b", "workers.concurrency=20", "-o", "out"];
    let output = simulate(folder.path(), &arguments);
    let stdout = text(&output.stdout);
    for expected in [
        "A  small  seed 1 · 6 replications",
        "B  small (workers.concurrency=20)",
        "workers.concurrency  10 → 20",
        "lost_jobs == 0",
        "█ WHAT MATTERS",
        "✓ wait_mean_seconds",
        "improved",
        "Each meets its objective.",
    ] {
        let in_words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(in_words(stdout).contains(&in_words(expected)), "no `{expected}` in:\n{stdout}");
    }
    assert!(stdout.lines().all(|line| line.chars().count() <= 100), "{stdout}");
    let all = simulate(folder.path(), &[&arguments[..], &["--all"]].concat());
    assert!(text(&all.stdout).contains("initial_jobs") && !stdout.contains("initial_jobs"));
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let folder = workplace();
    check_refusal(folder.path(), &["compare", "small.toml"], 2, &["--set-b"]);
    check_refusal(folder.path(), &["compare", "small.toml", "smal.toml"], 3, &["smal.toml"]);
    check_refusal(folder.path(), &["compare", "small.toml", "."], 3, &["summary.json", "allowed"]);
    let bad = ["compare", "small.toml", "--set-b", "policy.critcal=3"];
    check_refusal(folder.path(), &bad, 3, &["`critcal`", "critical"]);
    simulate(folder.path(), &["small.toml", "-q", "-o", "one"]);
    let earlier = ["compare", "small.toml", "one", "--set-b", "seed=3"];
    check_refusal(folder.path(), &earlier, 2, &["`one` is an earlier run"]);
    check_refusal(folder.path(), &["compare", "one", "one", "--set", "seed=3"], 2, &["earlier runs"]);
    let summary = fs::read_to_string(folder.path().join("one/summary.json")).unwrap();
    fs::write(folder.path().join("one/summary.json"), summary.replace("summary/2", "summary/9")).unwrap();
    check_refusal(folder.path(), &["compare", "small.toml", "one"], 3, &["summary/9"]);
}

#[test]
fn an_interrupt_leaves_nothing_behind() {
    let folder = workplace();
    let set_b = "workers.concurrency=20";
    let long =
        ["compare", "small.toml", "--set-b", set_b, "-j", "1", "--set", "duration=10000s", "-n", "9999"];
    let child = command(folder.path(), &long).stderr(Stdio::piped()).spawn().unwrap();
    let output = interrupt(child, Duration::from_secs(2));
    assert_eq!(output.status.code(), Some(130));
    assert!(text(&output.stderr).contains("nothing was written"), "{}", text(&output.stderr));
    assert!(!folder.path().join("reports").exists());
}
