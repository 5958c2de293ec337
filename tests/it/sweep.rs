//! Sweeps: the report of made-up ones of every size, and the command as people and schedulers meet it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use backpressure_sim::experiment::Unattended;
use backpressure_sim::experiment::summary::Estimate;
use backpressure_sim::model::metric::Metric;
use backpressure_sim::report::{Options, sweep as reports};
use backpressure_sim::study::grid::{Grid, GridSource};
use backpressure_sim::study::sweep::Sweep;
use backpressure_sim::study::{Criteria, Study, VariantResult};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::Field;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{self, check_code, command, files, without_own_scripts};

/// Runs in no time: the best few of a made-up sweep are simulated for their course over time.
const TINY: &str = r#"
# How many workers, and which threshold? <b>&
#
# Expected: some.
name = "tiny"
duration = "20s"
replications = 3
slo = ["recovery_seconds < 40", "peak_depth_jobs <= 900", "lost_jobs == 0"]

[arrivals]
phases = [
    { name = "calm", for = "5s", rate = "50/s" },
    { name = "spike", for = "5s", rate = "300/s", spike = true },
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

[cost]
currency = "$"
worker = 95
slot = 2
"#;

/// A made-up sweep: its axes, constraints and what is changed in the scenario.
struct Case {
    axes: &'static [&'static str],
    constraints: &'static [&'static str],
    overrides: &'static [&'static str],
}

fn cases() -> Vec<(&'static str, Case)> {
    let case = |axes, constraints, overrides| Case { axes, constraints, overrides };
    vec![
        ("two", case(&["workers.processes=1,2"], &[], &[])),
        (
            "twenty",
            case(
                &["policy.critical=500,1000,2000,4000,8000", "workers.processes=1..4"],
                &["workers.processes * workers.concurrency <= 0.06 * policy.critical"],
                &[],
            ),
        ),
        (
            "thousands",
            case(
                &[
                    "policy.critical=1000..20000:1000",
                    "workers.processes=1..10",
                    "policy.warning=0.1..0.5:0.1 of policy.critical",
                    "queue.discipline=fifo,priority",
                ],
                &["workers.processes * 400 <= policy.critical"],
                &[],
            ),
        ),
        ("wide", case(&["policy.critical=500..100000:500", "workers.processes=1..10"], &[], &[])),
        ("long", case(&["gateway.check_latency=1ms..200ms:1ms"], &[], &["slo=recovery_seconds.p95 < 41"])),
        (
            "names",
            case(
                &["queue.discipline=fifo,priority", "policy.on_unknown_depth=admit,urgent-only,reject"],
                &[],
                &["cost.currency=EUR", "slo=[]"],
            ),
        ),
        (
            "hopeless",
            case(
                &["redis.maxmemory=none,1GiB,2GiB", "workers.processes=1..6"],
                &[],
                &["slo=recovery_seconds < 1"],
            ),
        ),
        ("level", case(&["policy.shed_at=0.5..0.9:0.1", "workers.processes=2,3"], &[], &["replications=1"])),
        ("alone", case(&["workers.processes=3"], &[], &[])),
        ("huge", case(&["policy.critical=200..100000:200", "workers.processes=1..20"], &[], &[])),
    ]
}

fn sweep(name: &str) -> Sweep {
    let case = cases().into_iter().find(|(known, _)| *known == name).expect("a known case").1;
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    let grid = Grid::of(GridSource {
        file: "tiny.toml".to_owned(),
        text: TINY.to_owned(),
        overrides: texts(case.overrides),
        axes: texts(case.axes),
        constraints: texts(case.constraints),
    });
    let study = Study::of(grid.unwrap_or_else(|error| panic!("{name}: {error}")));
    let results = study.variants.ids.iter().map(|&id| result(&study, name, id)).collect();
    Sweep::of(study, results, &Unattended).expect("nobody interrupts")
}

/// Numbers that follow from the settings as those of a queue do, roughly.
fn result(study: &Study, name: &str, id: u32) -> VariantResult {
    let grid = &study.grid;
    let values: Vec<(&str, f64)> = grid
        .axes
        .iter()
        .zip(grid.numbers(id))
        .zip(grid.place(id))
        .map(|((axis, number), place)| (axis.path.as_str(), number.unwrap_or(place as f64)))
        .collect();
    let value = |path: &str, otherwise: f64| {
        values.iter().find(|(known, _)| *known == path).map_or(otherwise, |(_, value)| *value)
    };
    let (critical, workers) = (value("policy.critical", 5_000.0), value("workers.processes", 3.0));
    let wobble = 1.0 + 0.01 * f64::from(id % 7) + 0.02 * value("queue.discipline", 0.0);
    let recovery = (critical / (100.0 * workers) + 1_000.0 * value("gateway.check_latency", 0.0).sin())
        .min(300.0)
        * wobble;
    let rejection = (0.5 - 0.04 * workers - critical / 4e5 + 0.01 * value("policy.on_unknown_depth", 0.0))
        .clamp(0.0, 1.0)
        / wobble;
    let level = name == "level";
    let estimate = |mean: f64| {
        let mean = if level { 1.0 } else { mean };
        Estimate {
            mean: Some(mean),
            half_width: (!level).then_some(mean * 0.03),
            min: Some(mean * 0.95),
            max: Some(mean * 1.05),
            p95: Some(mean * 1.04),
            n: 3,
            censored: u32::from(mean >= 290.0),
        }
    };
    let none = Estimate { mean: None, half_width: None, min: None, max: None, p95: None, n: 0, censored: 0 };
    let metrics = Metric::ALL.iter().map(|metric| match metric {
        Metric::Recovery => estimate(recovery),
        Metric::RejectionProbability => estimate(rejection),
        Metric::Offered => estimate(1e5),
        Metric::Rejected => estimate(1e5 * rejection),
        Metric::PeakDepth => estimate(critical * 1.02),
        Metric::CircuitCycle => none,
        _ => estimate(0.0),
    });
    let slo = grid.scenario().slo.iter().map(|slo| {
        let observed = match slo.metric() {
            Some(Metric::Recovery) => recovery,
            Some(Metric::PeakDepth) => critical * 0.2 - 300.0 * workers,
            _ => 0.0,
        };
        (Some(observed), slo.relation.holds(observed, slo.limit))
    });
    let cost = 115.0 * workers + 7.0 * value("policy.shed_at", 0.0);
    VariantResult {
        id,
        cost: Estimate { half_width: Some(0.0), ..estimate(cost) },
        slo: slo.collect(),
        metrics: metrics.collect(),
        criteria: Criteria {
            harm: vec![if level { 1.0 } else { rejection }; 3],
            cost: vec![if level { 1.0 } else { cost }; 3],
            tie_break: vec![if level { 1.0 } else { rejection }; 3],
        },
        digest: format!("{:016x}", u64::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
    }
}

/// The texts of an SVG with their places: left, top, right and bottom in device units, roughly.
fn texts(svg: &str) -> Vec<(String, [f64; 4])> {
    let lines: Vec<&str> = svg.lines().collect();
    let place = |line: &str, name: &str| -> Option<f64> {
        line.split(&format!(" {name}=\"")).nth(1)?.split('"').next()?.parse().ok()
    };
    let text = |pair: &[&str]| {
        let tag = pair[0].strip_prefix("<text ").filter(|tag| !tag.contains("rotate"))?;
        let tag = format!(" {tag}");
        let (x, y, size) = (place(&tag, "x")?, place(&tag, "y")?, place(&tag, "font-size")?);
        // Letters of the usual fonts are narrower than this on average.
        let width = pair[1].chars().count() as f64 * size * 0.62;
        let left = match () {
            () if tag.contains("text-anchor=\"end\"") => x - width,
            () if tag.contains("text-anchor=\"middle\"") => x - width / 2.0,
            () => x,
        };
        Some((pair[1].to_owned(), [left, y - size * 0.4, left + width, y + size * 0.4]))
    };
    lines.windows(2).filter_map(text).collect()
}

#[test]
fn every_chart_is_an_svg_with_numbers_in_it() {
    for (name, _) in cases() {
        for chart in reports::charts(&sweep(name)) {
            let (svg, name) = (chart.svg(), format!("{name}/{}", chart.name));
            assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"), "{name}");
            assert!(!svg.contains("NaN") && !svg.contains("inf") && !svg.contains("-0 "), "{name}");
            assert!(svg.contains("<title>") && svg.contains("<desc>"), "{name}");
            assert!(chart.table.rows.iter().all(|row| row.len() == chart.table.header.len()), "{name}");
            assert!(svg.len() < 600_000, "{name} has {} bytes", svg.len());
        }
    }
}

#[test]
fn no_label_covers_another() {
    for (name, _) in cases() {
        for chart in reports::charts(&sweep(name)) {
            let texts = texts(&chart.svg());
            assert!(texts.len() > 3, "{name}/{}", chart.name);
            for (index, (text, place)) in texts.iter().enumerate() {
                for (other, beside) in &texts[..index] {
                    let apart = place[0] >= beside[2]
                        || beside[0] >= place[2]
                        || place[1] >= beside[3]
                        || beside[1] >= place[3];
                    assert!(
                        apart,
                        "{name}/{}: `{text}` at {place:?} covers `{other}` at {beside:?}",
                        chart.name
                    );
                }
            }
        }
    }
}

#[test]
fn which_charts_there_are_depends_on_the_axes() {
    let names = |name: &str| reports::charts(&sweep(name)).iter().map(|chart| chart.name).collect::<Vec<_>>();
    let all = ["map-recovery", "map-rejection", "map-objective", "front", "effects", "courses"];
    assert_eq!(names("thousands"), all);
    assert_eq!(names("two"), all);
    assert_eq!(names("names"), ["map-recovery", "map-rejection", "front", "effects", "courses"]);
    assert_eq!(names("alone"), ["courses"]);
}

#[test]
fn maps_mark_what_is_missed_excluded_and_best() {
    let caption = |name: &str| reports::charts(&sweep(name))[0].caption.clone();
    assert!(caption("twenty").contains("Hatched") && caption("twenty").contains("Empty"));
    assert!(caption("thousands").contains("best-ranked variant over policy.warning, queue.discipline"));
    assert!(caption("huge").contains("best-ranked of 3 neighbouring values of critical"));
    let key = |name: &str| reports::charts(&sweep(name))[0].svg().contains("an objective is missed");
    assert!(key("twenty") && !key("names"));
}

#[test]
fn the_page_says_what_is_best_first_and_loads_nothing() {
    let page = reports::html(&sweep("twenty"));
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("`{text}` is not in the page"));
    // What the best does stands before the verdict.
    assert!(place("Best: policy.critical = 8k, workers.processes = 4") < place("✓ 16 OF 19 PASS"));
    assert!(place("✓ 16 OF 19 PASS") < place("simulate sweep tiny.toml --grid"));
    assert!(
        place("✓ 16 OF 19 PASS") < place("The cheapest that meets every objective: critical 1k, processes 1")
    );
    assert!(place("simulate sweep tiny.toml") < place("1 of 20 combinations were excluded"));
    assert!(place("were excluded") < place("<svg"));
    assert!(page.contains("&lt;b&gt;&amp;") && !page.contains("<b>"));
    let page = without_own_scripts(&page);
    for forbidden in ["<script", "src=", "href=", "url(", "@import", "NaN"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    let page = reports::html(&sweep("thousands"));
    assert!(page.contains("The best 50 of 1 840") && page.contains("variants.csv"));
    assert!(reports::html(&sweep("hopeless")).contains("✗ NONE PASSES"));
    assert!(reports::html(&sweep("names")).contains("NO OBJECTIVES"));
}

#[test]
fn text_fits_the_terminal_and_is_coloured_on_request() {
    for (name, _) in cases() {
        let sweep = sweep(name);
        for width in [40, 60, 80, 120, 200] {
            let text = reports::terminal::render(&sweep, width, false);
            let widest = text.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(width), "{name} at {width}:\n{text}");
            assert!(!text.contains('\u{1b}') && !text.contains('\u{e000}'));
        }
        let coloured = reports::terminal::render(&sweep, 100, true);
        assert!(coloured.contains('\u{1b}'), "{name}");
        let mut plain = String::new();
        for (index, part) in coloured.split('\u{1b}').enumerate() {
            plain += if index == 0 { part } else { part.split_once('m').expect("a sequence ends").1 };
        }
        assert_eq!(
            plain,
            reports::terminal::render(&sweep, 100, false),
            "{name}: colour changes colours alone"
        );
    }
}

fn written(sweep: &Sweep, options: &Options) -> TempDir {
    let folder = TempDir::new().unwrap();
    reports::write(&folder.path().join("r"), sweep, options).expect("the report is written");
    folder
}

#[test]
fn csv_and_parquet_are_the_same_table() {
    for name in ["twenty", "thousands", "hopeless"] {
        let sweep = sweep(name);
        let folder = written(&sweep, &Options::default());
        let csv = fs::read_to_string(folder.path().join("r/variants.csv")).unwrap();
        let mut lines = csv.lines();
        let header: Vec<&str> = lines.next().unwrap().split(',').collect();
        let reader =
            SerializedFileReader::new(fs::File::open(folder.path().join("r/variants.parquet")).unwrap())
                .unwrap();
        let mut rows = 0;
        for (line, row) in lines.zip(reader.get_row_iter(None).unwrap()) {
            rows += 1;
            let row = row.unwrap();
            let cells: Vec<&str> = line.split(',').collect();
            assert_eq!((cells.len(), row.len()), (header.len(), header.len()));
            for ((cell, column), (name, field)) in cells.iter().zip(&header).zip(row.get_column_iter()) {
                assert_eq!(name, column);
                let same = match field {
                    Field::Null => cell.is_empty(),
                    Field::Double(number) => cell.parse() == Ok(*number),
                    Field::Long(number) => cell.parse() == Ok(*number),
                    Field::Bool(flag) => cell.parse() == Ok(*flag),
                    Field::Str(text) => text == cell,
                    other => panic!("{other} in {name}"),
                };
                assert!(same, "{name}: {cell} is not {field}");
            }
        }
        assert_eq!(rows, sweep.results.len(), "{name}");
    }
}

#[test]
fn the_table_has_numbers_in_base_units_and_names_as_written() {
    let cells = |name: &str| -> Vec<BTreeMap<String, String>> {
        let folder = written(&sweep(name), &Options::default());
        let csv = fs::read_to_string(folder.path().join("r/variants.csv")).unwrap();
        let rows: Vec<Vec<String>> =
            csv.lines().map(|line| line.split(',').map(str::to_owned).collect()).collect();
        rows[1..].iter().map(|row| rows[0].iter().cloned().zip(row.iter().cloned()).collect()).collect()
    };
    let thousands = cells("thousands");
    let last = thousands.last().unwrap();
    assert_eq!((last["policy.critical"].as_str(), last["policy.warning"].as_str()), ("20000", "10000"));
    assert_eq!((last["queue.discipline"].as_str(), last["id"].as_str()), ("priority", "1999"));
    assert_eq!(last["pass{peak_depth_jobs <= 900}"], "false");
    assert_eq!(cells("long")[7]["gateway.check_latency"], "0.008");
    assert_eq!(cells("hopeless")[0]["redis.maxmemory"], "none");
    let winner = thousands.iter().find(|row| row["rank"] == "1").unwrap();
    assert_eq!((winner["policy.critical"].as_str(), winner["cost_mean"].as_str()), ("19000", "1150"));
    assert!(winner["recovery_seconds_half_width"].parse::<f64>().unwrap() > 0.0);
    assert_eq!(winner["circuit_cycle_seconds_mean"], "", "nothing where there is no value");
}

#[test]
fn the_document_has_every_variant_on_a_line() {
    let sweep = sweep("twenty");
    let mut text = Vec::new();
    reports::json(&sweep, &mut text).unwrap();
    let document: Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(document["schema"], "backpressure-sim/sweep/1");
    assert_eq!(document["variants"].as_array().unwrap().len(), 19);
    assert_eq!(document["ranking"].as_array().unwrap().len(), 19);
    let best = document["best"].as_u64().unwrap();
    let winner = document["variants"].as_array().unwrap().iter().find(|one| one["id"] == best).unwrap();
    assert_eq!(
        (winner["rank"].as_u64(), winner["settings"]["policy.critical"].as_str()),
        (Some(1), Some("8000"))
    );
    let folder = written(&sweep, &Options::default());
    assert_eq!(fs::read(folder.path().join("r/sweep.json")).unwrap(), text);
    assert!(
        String::from_utf8(text).unwrap().lines().filter(|line| line.starts_with("    {\"id\":")).count()
            == 19
    );
}

#[test]
fn equal_sweeps_give_equal_files_and_png_on_request() {
    let read = |folder: &TempDir| files(&folder.path().join("r"));
    let (one, other) =
        (written(&sweep("twenty"), &Options::default()), written(&sweep("twenty"), &Options::default()));
    assert!(read(&one) == read(&other));
    let with_png = written(&sweep("two"), &Options { png: true, ..Options::default() });
    let png = fs::read(with_png.path().join("r/map-recovery.png")).unwrap();
    assert!(png.starts_with(b"\x89PNG"));
    reports::write(&with_png.path().join("r"), &sweep("alone"), &Options::default()).unwrap();
    let names: Vec<String> = read(&with_png).into_keys().collect();
    let expected =
        ["courses.svg", "report.html", "summary.svg", "sweep.json", "variants.csv", "variants.parquet"];
    assert_eq!(names, expected);
}

/// A real one: six configurations of the tiny scenario.
const AXES: &[&str] = &["--grid", "workers.processes=1..3", "--grid", "policy.critical=250,500"];

/// A folder of its own with the tiny scenario in it.
fn workplace() -> TempDir {
    support::folder_with("tiny.toml", TINY)
}

fn simulate(folder: &Path, arguments: &[&str], more: &[&str]) -> Output {
    support::simulate(folder, &[arguments, more].concat())
}

#[test]
fn a_sweep_writes_the_same_files_on_any_number_of_threads() {
    let folder = workplace();
    let output = simulate(folder.path(), &["sweep", "tiny.toml", "-j", "1", "-o", "one"], AXES);
    check_code(&output, 0, &[]);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.contains("█ RANKING") && stdout.contains("report  one/report.html"), "{stdout}");
    simulate(folder.path(), &["sweep", "tiny.toml", "-j", "3", "-o", "three", "-q"], AXES);
    let (one, three) = (files(&folder.path().join("one")), files(&folder.path().join("three")));
    assert!(one == three);
    let expected = [
        "courses.svg",
        "effects.svg",
        "front.svg",
        "map-objective.svg",
        "map-recovery.svg",
        "map-rejection.svg",
        "report.html",
        "summary.svg",
        "sweep.json",
        "variants.csv",
        "variants.parquet",
    ];
    assert_eq!(one.into_keys().collect::<Vec<_>>(), expected);
    assert!(!folder.path().join("one.partial.jsonl").exists());
    let json = simulate(folder.path(), &["sweep", "tiny.toml", "-o", "one", "--json"], AXES);
    assert_eq!(json.stdout, three["sweep.json"]);
}

#[test]
fn a_variant_has_the_digest_of_a_run_with_its_settings() {
    let folder = workplace();
    let output = simulate(folder.path(), &["sweep", "tiny.toml", "--json"], AXES);
    let sweep: Value = serde_json::from_slice(&output.stdout).unwrap();
    let variant = &sweep["variants"][4];
    let settings = variant["settings"].as_object().unwrap();
    let changes: Vec<String> =
        settings.iter().map(|(path, value)| format!("--set={path}={}", value.as_str().unwrap())).collect();
    let changes: Vec<&str> = changes.iter().map(String::as_str).collect();
    let alone = simulate(folder.path(), &["tiny.toml", "--json"], &changes);
    let alone: Value = serde_json::from_slice(&alone.stdout).unwrap();
    assert_eq!(variant["digest"], alone["digest"]);
    assert_eq!(variant["metrics"], alone["metrics"]);
}

/// Long enough to be killed half way: some seconds of processor time.
const LONG: &[&str] =
    &["--set", "duration=4000s", "--replications", "40", "--grid", "workers.processes=1..3"];

/// Waits until a journal has some whole lines, and kills who writes it.
fn kill_half_way(mut child: Child, journal: &Path) {
    let began = Instant::now();
    while fs::read_to_string(journal).unwrap_or_default().lines().count() < 6 {
        assert!(began.elapsed() < Duration::from_secs(60), "no line after a minute");
        assert!(child.try_wait().unwrap().is_none(), "it ended before it could be killed");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_killed_sweep_goes_on_where_it_was() {
    let folder = workplace();
    let arguments = ["sweep", "tiny.toml", "-j", "2", "-o"];
    simulate(folder.path(), &arguments, &[&["whole.1", "-q"], LONG].concat());
    let journal = folder.path().join("killed.1.partial.jsonl");
    let start = || command(folder.path(), &[&arguments[..], &["killed.1"], LONG].concat());
    let child = start().stdout(Stdio::null()).spawn().unwrap();
    kill_half_way(child, &journal);
    assert!(!folder.path().join("killed.1").exists());
    let output = start().output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("resuming: ") && stderr.contains(" of 120 replications"), "{stderr}");
    assert!(files(&folder.path().join("whole.1")) == files(&folder.path().join("killed.1")));
    assert!(!journal.exists());
}

#[test]
fn two_runs_do_not_write_one_journal() {
    let folder = workplace();
    let journal = folder.path().join("out.partial.jsonl");
    let arguments = [&["sweep", "tiny.toml", "-j", "1", "-o", "out"], LONG].concat();
    let mut child = command(folder.path(), &arguments).stdout(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while fs::read_to_string(&journal).unwrap_or_default().lines().count() < 1 {
        assert!(began.elapsed() < Duration::from_secs(60), "no line after a minute");
        std::thread::sleep(Duration::from_millis(2));
    }
    let second = simulate(folder.path(), &arguments, &[]);
    child.kill().unwrap();
    child.wait().unwrap();
    check_code(&second, 1, &["out.partial.jsonl", "another run"]);
}

/// Runs all three shards and returns their files.
fn shards(folder: &Path) -> Vec<PathBuf> {
    let run = |index: u32| {
        let shard = format!("{index}/3");
        let output = simulate(folder, &["sweep", "tiny.toml", "-o", "shards", "--shard", &shard], AXES);
        check_code(&output, 0, &[]);
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(stdout.contains(&format!("shard {shard} is complete: 6 replications")), "{stdout}");
        folder.join(format!("shards/shard-{index}-of-3.jsonl"))
    };
    (0..3).map(run).collect()
}

fn merge(folder: &Path, shards: &[PathBuf], output: &str) -> Output {
    let shards: Vec<&str> = shards.iter().map(|path| path.to_str().unwrap()).collect();
    simulate(folder, &["merge", "-o", output], &shards)
}

#[test]
fn merged_shards_equal_one_run() {
    let folder = workplace();
    let mut shards = shards(folder.path());
    simulate(folder.path(), &["sweep", "tiny.toml", "-o", "whole", "-q"], AXES);
    shards.reverse();
    check_code(&merge(folder.path(), &shards, "merged"), 0, &[]);
    let whole = files(&folder.path().join("whole"));
    assert!(whole == files(&folder.path().join("merged")));

    // A shard too many is no harm, nor is a torn last line after all results.
    let mut text = fs::read_to_string(&shards[1]).unwrap();
    text.push_str("{\"variant\":0,\"repl");
    fs::write(&shards[1], text).unwrap();
    let again = [shards.clone(), vec![shards[0].clone()]].concat();
    check_code(&merge(folder.path(), &again, "again"), 0, &[]);
    assert!(whole == files(&folder.path().join("again")));
}

#[test]
fn a_merge_tells_what_is_missing() {
    let folder = workplace();
    let shards = shards(folder.path());
    let two = [shards[0].clone(), shards[2].clone()];
    check_code(
        &merge(folder.path(), &two, "merged"),
        1,
        &["6 of 18 replications are missing", "shard 1 of 3"],
    );
    assert!(!folder.path().join("merged").exists());

    // A result in a torn last line is not there; the shard run again has it.
    let text = fs::read_to_string(&shards[1]).unwrap();
    fs::write(&shards[1], &text[..text.len() - 10]).unwrap();
    check_code(&merge(folder.path(), &shards, "merged"), 1, &["1 of 18", "a shard is not complete"]);
    let again = simulate(folder.path(), &["sweep", "tiny.toml", "-o", "shards", "--shard", "1/3"], AXES);
    check_code(&again, 0, &["resuming: 5 of 6"]);
    check_code(&merge(folder.path(), &shards, "merged"), 0, &[]);

    let other = simulate(
        folder.path(),
        &["sweep", "tiny.toml", "-o", "other", "--shard", "1/3", "--seed", "9"],
        AXES,
    );
    check_code(&other, 0, &[]);
    let mixed = [shards[0].clone(), folder.path().join("other/shard-1-of-3.jsonl")];
    check_code(&merge(folder.path(), &mixed, "mixed"), 1, &["different sweeps"]);
}

#[test]
fn launchers_say_which_shard_it_is() {
    let folder = workplace();
    let launched = |variables: &[(&str, &str)], more: &[&str]| {
        let arguments = [&["sweep", "tiny.toml", "-o", "auto", "--shard", "auto"], more, AXES].concat();
        command(folder.path(), &arguments).envs(variables.iter().copied()).output().unwrap()
    };
    let slurm = [
        ("SLURM_ARRAY_TASK_ID", "1"),
        ("SLURM_ARRAY_TASK_COUNT", "3"),
        ("SLURM_ARRAY_TASK_MIN", "0"),
        ("SLURM_ARRAY_TASK_MAX", "2"),
    ];
    check_code(&launched(&slurm, &[]), 0, &["shard 1/3 from SLURM_ARRAY_TASK_ID (Slurm array)"]);
    for name in ["JOB_COMPLETION_INDEX", "HQ_TASK_ID", "AWS_BATCH_JOB_ARRAY_INDEX", "PBS_ARRAY_INDEX"] {
        let told = format!("shard 2/3 from {name}");
        check_code(&launched(&[(name, "2")], &["--shard-count", "3"]), 0, &[&told]);
        check_code(&launched(&[(name, "2"), ("SIMULATE_SHARD_COUNT", "3")], &[]), 0, &[&told]);
        check_code(
            &launched(&[(name, "2")], &[]),
            2,
            &["error: invalid value 'auto' for '--shard", "--shard-count"],
        );
        check_code(&launched(&[(name, "3")], &["--shard-count", "3"]), 2, &["numbered from 0"]);
    }
    check_code(&launched(&[], &[]), 2, &["no launcher says which shard this is", "--help"]);
}

#[test]
fn mistakes_in_shards_are_mistakes_of_usage() {
    let folder = workplace();
    for (shard, message) in [("3/3", "no shard 3 of 3"), ("one", "INDEX/COUNT"), ("1/0", "no shard 1 of 0")] {
        let output = simulate(folder.path(), &["sweep", "tiny.toml", "--shard", shard], AXES);
        check_code(&output, 2, &["error: invalid value", "--shard <I/N|auto>", message, "--help"]);
    }
    check_code(&simulate(folder.path(), &["sweep", "tiny.toml"], &[]), 2, &["nothing to vary", "--grid"]);
    assert!(!folder.path().join("reports").exists());
}

#[test]
fn mistakes_in_grids_are_mistakes_of_the_scenario() {
    let folder = workplace();
    let check = |options: &[&str], code: i32, messages: &[&str]| {
        check_code(&simulate(folder.path(), &["sweep", "tiny.toml"], options), code, messages);
    };
    check(
        &["--grid", "policy.critcal=1,2", "--grid", "workers.processes=3..1"],
        3,
        &["did you mean `policy.critical`?", "ends before it begins"],
    );
    check(&["--grid", "workers.processes=1,2", "--where", "policy.critical < wrning"], 3, &["wrning"]);
    check(&["--grid", "workers.processes=1,2", "--grid", "workers.processes=3"], 3, &["two axes"]);
    check(
        &["--grid", "workers.processes=1,2", "--where", "workers.processes > 5"],
        1,
        &["no configuration of the grid can be run"],
    );
    assert!(!folder.path().join("reports").exists());
}

/// Writes every case into the folder that `REPORT_GALLERY` names, for people to look at.
#[test]
#[ignore = "makes pictures for people"]
fn gallery() {
    let folder = std::env::var("REPORT_GALLERY").expect("REPORT_GALLERY names a folder");
    for (name, _) in cases() {
        let sweep = sweep(name);
        let began = std::time::Instant::now();
        reports::write(&Path::new(&folder).join(name), &sweep, &Options::default())
            .expect("the report is written");
        println!("==== {name}: {} variants, {} ms", sweep.results.len(), began.elapsed().as_millis());
        for width in [80, 120] {
            println!("{}", reports::terminal::render(&sweep, width, false));
        }
    }
}
