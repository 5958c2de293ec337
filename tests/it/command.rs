//! The command as people and scripts meet it: streams, files, exit codes.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;

use crate::support::{
    SMALL, check_code, check_refusal, command, interrupt, repository, simulate, text, workplace,
};

#[test]
fn a_run_writes_its_report_and_says_where() {
    let folder = workplace();
    let output = simulate(folder.path(), &["small.toml"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "", "no terminal, no progress");
    assert!(text(&output.stdout).contains("report  reports/small/report.html"));
    for file in ["report.html", "summary.json", "timeseries.csv", "replications.csv", "depth.svg"] {
        assert!(folder.path().join("reports/small").join(file).is_file(), "{file}");
    }
}

#[test]
fn json_is_one_document_and_equals_the_file() {
    let folder = workplace();
    let output = simulate(folder.path(), &["small.toml", "--json", "--output", "out", "--seed", "7"]);
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["schema"], "backpressure-sim/summary/2");
    assert_eq!((summary["seed"].as_u64(), summary["replications"].as_u64()), (Some(7), Some(6)));
    assert_eq!(summary["verdict"], "pass");
    let recovery = &summary["metrics"]["recovery_seconds"];
    for field in ["mean", "half_width", "min", "max", "p95", "n", "censored"] {
        assert!(recovery[field].is_number(), "{field} in {recovery}");
    }
    assert!(summary["classes"]["default"]["offered_jobs"]["mean"].is_number());
    assert_eq!(fs::read(folder.path().join("out/summary.json")).unwrap(), output.stdout);
}

#[test]
fn results_are_the_same_bytes_on_any_number_of_threads() {
    let folder = workplace();
    let results = ["1", "2", "8"].map(|jobs| {
        let out = format!("out{jobs}");
        simulate(folder.path(), &["small.toml", "-q", "-j", jobs, "-o", &out]);
        let read = |file: &str| fs::read(folder.path().join(&out).join(file)).unwrap();
        [read("summary.json"), read("timeseries.csv"), read("replications.csv"), read("report.html")]
    });
    assert!(results[0] == results[1] && results[1] == results[2]);
}

#[test]
fn a_missed_objective_is_exit_code_10() {
    let folder = workplace();
    let output = simulate(folder.path(), &["small.toml", "--set", "slo=peak_depth_jobs < 10"]);
    assert_eq!(output.status.code(), Some(10));
    assert!(text(&output.stdout).contains("✗ peak_depth_jobs < 10"), "{}", text(&output.stdout));
}

#[test]
fn quiet_says_nothing_at_all() {
    let folder = workplace();
    let output = simulate(folder.path(), &["small.toml", "--quiet"]);
    assert_eq!((output.status.code(), text(&output.stdout), text(&output.stderr)), (Some(0), "", ""));
}

#[test]
fn colour_is_for_those_who_want_it() {
    let folder = workplace();
    let coloured = |arguments: &[&str]| simulate(folder.path(), arguments).stdout.contains(&0x1b);
    assert!(!coloured(&["small.toml"]), "stdout is no terminal here");
    assert!(coloured(&["small.toml", "--color", "always"]));
}

#[test]
fn png_charts_come_on_request() {
    let folder = workplace();
    simulate(folder.path(), &["small.toml", "-q", "--png", "-o", "out"]);
    let png = fs::read(folder.path().join("out/depth.png")).unwrap();
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
}

#[test]
fn config_prints_every_setting_with_its_origin() {
    let folder = workplace();
    let output = simulate(folder.path(), &["config", "small.toml", "--set", "policy.critical=600"]);
    let stdout = text(&output.stdout);
    assert!(stdout.contains("policy.critical = 600  # --set policy.critical=600"), "{stdout}");
    assert!(stdout.contains("policy.warning = 100  # line"), "{stdout}");
    assert!(stdout.contains("policy.shed_at = 0.8  # default"), "{stdout}");
}

#[test]
fn schema_and_reference_page_are_printed() {
    let folder = workplace();
    let schema = simulate(folder.path(), &["schema"]);
    assert_eq!(text(&schema.stdout), backpressure_sim::scenario::schema::json());
    let page = simulate(folder.path(), &["schema", "--markdown"]);
    assert_eq!(text(&page.stdout), backpressure_sim::scenario::schema::markdown());
    assert_eq!((schema.status.code(), text(&schema.stderr)), (Some(0), ""));
}

#[test]
fn the_report_tells_the_command_of_its_run() {
    let folder = workplace();
    simulate(folder.path(), &["small.toml", "-q", "-o", "out", "--set", "queue.capacity=1k", "--seed", "7"]);
    let page = fs::read_to_string(folder.path().join("out/report.html")).unwrap();
    assert!(page.contains("<code>simulate small.toml --set queue.capacity=1k --set seed=7</code>"), "{page}");
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    let folder = workplace();
    check_refusal(folder.path(), &[], 2, &["<SCENARIO>"]);
    check_refusal(folder.path(), &["small.toml", "--job", "2"], 2, &["--jobs"]);
    check_refusal(folder.path(), &["small.toml", "-j", "0"], 2, &["1..=1024"]);
}

#[test]
fn an_invalid_scenario_is_exit_code_3_and_leaves_nothing_behind() {
    let folder = workplace();
    fs::write(folder.path().join("bad.toml"), SMALL.replace("critical = 500", "critcal = 500\nwarnig = 1"))
        .unwrap();
    check_refusal(
        folder.path(),
        &["bad.toml"],
        3,
        &["`critcal`", "`warnig`", "bad.toml:18", "did you mean `critical`"],
    );
    check_refusal(folder.path(), &["smal.toml"], 3, &["smal.toml", "small.toml"]);
    check_refusal(folder.path(), &["small.toml", "--seed", "-1"], 3, &["seed"]);
    check_refusal(folder.path(), &["small.toml", "--replications", "many"], 3, &["replications"]);
    check_refusal(folder.path(), &["small.toml", "--set", "policy.critical"], 3, &["policy.critical"]);
    assert!(!folder.path().join("reports").exists());
}

#[test]
fn an_output_folder_that_cannot_be_written_is_refused_before_the_run() {
    let folder = workplace();
    fs::write(folder.path().join("file"), "").unwrap();
    check_refusal(folder.path(), &["small.toml", "-o", "file/out"], 3, &["`file/out`", "--output"]);
    check_refusal(folder.path(), &["small.toml", "-o", "/proc/out"], 3, &["`/proc/out`", "allowed"]);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2, "nothing half-written is left");
}

#[test]
fn an_interrupt_keeps_the_finished_replications() {
    let folder = workplace();
    let long = ["small.toml", "--json", "-j", "1", "--set", "duration=10000s", "--replications", "100000"];
    let child = command(folder.path(), &long).stdout(Stdio::piped()).spawn().unwrap();
    let output = interrupt(child, Duration::from_secs(3));
    assert_eq!(output.status.code(), Some(130));
    if !output.stdout.is_empty() {
        let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(summary["interrupted"], true);
        assert!(summary["replications"].as_u64().unwrap() < 100_000);
    }
}

#[test]
fn a_part_of_a_run_does_not_take_the_place_of_a_whole_one() {
    let folder = workplace();
    assert_eq!(simulate(folder.path(), &["small.toml", "-o", "out"]).status.code(), Some(0));
    let whole = fs::read(folder.path().join("out/summary.json")).unwrap();
    // Each replication takes some milliseconds, so that some have finished.
    let long = ["small.toml", "-o", "out", "-j", "1", "--replications", "100000"];
    let child = command(folder.path(), &long).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let output = interrupt(child, Duration::from_secs(3));
    check_code(&output, 130, &["`out` has a complete run and stays as it is"]);
    assert_eq!(fs::read(folder.path().join("out/summary.json")).unwrap(), whole);
    let part = fs::read(folder.path().join("out-interrupted/summary.json")).unwrap();
    let part: Value = serde_json::from_slice(&part).unwrap();
    assert_eq!(part["interrupted"], true);
}

#[test]
fn a_report_of_another_scenario_with_the_same_name_is_not_replaced_without_a_word() {
    let folder = workplace();
    fs::create_dir(folder.path().join("b")).unwrap();
    fs::copy(folder.path().join("small.toml"), folder.path().join("b/small.toml")).unwrap();
    let run = |arguments: &[&str]| text(&simulate(folder.path(), arguments).stderr).to_owned();
    assert_eq!(run(&["small.toml"]), "");
    let note = run(&["b/small.toml"]);
    assert!(note.contains("`reports/small` held the report of `simulate small.toml`"), "{note}");
    assert_eq!(run(&["b/small.toml"]), "");
    assert_eq!(run(&["small.toml", "-o", "reports/small"]), "", "asked for by name");
}

#[test]
fn every_scenario_of_the_repository_is_valid_and_asks_its_question() {
    let folder = repository("scenarios");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let loaded = backpressure_sim::scenario::load(&path, &[]).unwrap_or_else(|error| panic!("{error}"));
        assert!(loaded.scenario.question.contains('?'), "{}: no question", path.display());
        assert!(loaded.scenario.question.contains("Expected"), "{}: no expectation", path.display());
        assert_eq!(Some(loaded.scenario.name.as_ref()), path.file_stem().and_then(|stem| stem.to_str()));
        count += 1;
    }
    assert!(count >= 8, "only {count} scenarios");
}
