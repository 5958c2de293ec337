//! `simulate import`: what other tools recorded becomes a trace and a scenario that runs, or an error that names the place.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use backpressure_sim::import::FORMATS;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{check_code, check_refusal, command, files, interrupt, repository, simulate, text};

fn data(file: &str) -> String {
    // The guide shows this one.
    let folder = if file == "friday.json" { "scenarios/data" } else { "tests/data/import" };
    repository(folder).join(file).display().to_string()
}

/// An empty folder.
fn empty() -> TempDir {
    TempDir::new().unwrap()
}

/// What an import of these words says as JSON, and checks that `simulate` offers exactly its jobs.
#[track_caller]
fn import(folder: &Path, words: &[&str]) -> Value {
    let output = simulate(folder, &[&["import", "--json"], words].concat());
    check_code(&output, 0, &[]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let scenario = told["scenario"].as_str().unwrap();
    let run = simulate(folder, &[scenario, "--json", "-q", "-n", "1", "-o", "report"]);
    let summary: Value =
        serde_json::from_slice(&run.stdout).unwrap_or_else(|_| panic!("{}", text(&run.stderr)));
    let offered = summary["metrics"]["offered_jobs"]["mean"].as_f64().unwrap();
    assert_eq!(offered, told["jobs"].as_u64().unwrap() as f64, "{told}");
    for class in told["classes"].as_array().unwrap() {
        let name = if told["classes"].as_array().unwrap().len() == 1 && class["name"] == "none" {
            "default"
        } else {
            class["name"].as_str().unwrap()
        };
        let offered = summary["classes"][name]["offered_jobs"]["mean"].as_f64().unwrap();
        assert_eq!(offered, class["jobs"].as_u64().unwrap() as f64, "{name}");
    }
    told
}

/// An import of a file of that content.
#[track_caller]
fn import_text(name: &str, content: &str, words: &[&str]) -> (Value, TempDir) {
    let folder = empty();
    fs::write(folder.path().join(name), content).unwrap();
    (import(folder.path(), &[&[name], words].concat()), folder)
}

/// The content is refused with these words, and nothing is left behind.
#[track_caller]
fn refuse(name: &str, content: &[u8], words: &[&str], expected: &[&str]) {
    let folder = empty();
    fs::write(folder.path().join(name), content).unwrap();
    check_refusal(folder.path(), &[&["import", name], words].concat(), 3, expected);
    assert_eq!(files(folder.path()).len(), 1, "something is left behind");
}

fn classes(told: &Value) -> Vec<(String, u64)> {
    let pair = |class: &Value| (class["name"].as_str().unwrap().to_owned(), class["jobs"].as_u64().unwrap());
    told["classes"].as_array().unwrap().iter().map(pair).collect()
}

fn pairs(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    expected.iter().map(|(name, jobs)| ((*name).to_owned(), *jobs)).collect()
}

/// A scenario or a trace that was written.
fn written(folder: &TempDir, name: &str) -> String {
    fs::read_to_string(folder.path().join(name)).unwrap()
}

/// A matrix of one series for each pair of labels and values, every 15 s.
fn matrix(series: &[(&str, &[&str])]) -> String {
    let one = |(labels, values): &(&str, &[&str])| {
        let values: Vec<String> =
            values.iter().enumerate().map(|(i, v)| format!("[{},\"{v}\"]", 1_714_730_400 + 15 * i)).collect();
        format!("{{\"metric\":{{{labels}}},\"values\":[{}]}}", values.join(","))
    };
    let list: Vec<String> = series.iter().map(one).collect();
    format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{}]}}}}"#, list.join(","))
}

/// A file, more words of the command line, its jobs, and those of each class.
type Case = (&'static str, &'static [&'static str], u64, &'static [(&'static str, u64)]);

#[test]
fn every_kind_becomes_a_scenario_that_offers_exactly_its_jobs() {
    let cases: [Case; 9] = [
        ("friday.json", &[], 3_900_000, &[("none", 3_900_000)]),
        ("k6.json", &["--class-by", "method"], 3, &[("POST", 2), ("GET", 1)]),
        ("k6.csv", &["--class-by", "method"], 2, &[("GET", 1), ("POST", 1)]),
        ("bullmq.json", &[], 2, &[("job", 2)]),
        ("azure_fn.csv", &[], 522, &[("queue", 500), ("http", 22)]),
        ("azure-invocations.csv", &[], 3, &[("f1", 2), ("f2", 1)]),
        ("azure_llm.csv", &[], 3, &[("none", 3)]),
        ("nasa.log", &[], 3, &[("GET", 3)]),
        ("nginx.jsonl", &[], 3, &[("POST", 2), ("GET", 1)]),
    ];
    for (file, words, jobs, expected) in cases {
        let folder = empty();
        let told = import(folder.path(), &[&[data(file).as_str()], words].concat());
        assert_eq!(told["jobs"].as_u64(), Some(jobs), "{file}");
        assert_eq!(classes(&told), pairs(expected), "{file}");
        assert_eq!(told["left_out"].as_array().unwrap().len(), 0, "{file}: {told}");
        let name = told["scenario"].as_str().unwrap();
        let scenario = written(&folder, name);
        for part in ["# Learnt from the recording:", "# Left out of it:\n# - nothing", "ASSUMED", file] {
            assert!(scenario.contains(part), "{file}: no `{part}` in\n{scenario}");
        }
        // The same bytes again, for who imports the same file.
        let again = empty();
        import(again.path(), &[&[data(file).as_str()], words].concat());
        assert_eq!(scenario, written(&again, name));
    }
}

#[test]
fn rates_of_prometheus_become_counts() {
    let folder = empty();
    let told = import(folder.path(), &[&data("friday.json")]);
    assert_eq!(
        (told["began"].as_str(), told["seconds"].as_f64()),
        (Some("2024-05-03T10:00:00Z"), Some(600.0))
    );
    assert_eq!((told["mean_rate"].as_f64(), told["peak_rate"].as_f64()), (Some(6_500.0), Some(15_000.0)));
    let trace = written(&folder, "friday.trace.csv");
    assert!(trace.contains("\ntime_s,count\n0,75000\n15,75000\n"), "{trace}");
    assert!(trace.contains("\n120,225000\n"), "{trace}");
    assert!(written(&folder, "friday.toml").contains("interval = \"15s\""));

    // What a run says of the load is the load of the bins, whatever the steps of the report are.
    let run = simulate(folder.path(), &["friday.toml", "-n", "1", "--set", "workers.processes=6"]);
    assert!(text(&run.stdout).contains("against 15k/s offered for 90 s"), "{}", text(&run.stdout));

    // A job and a half each: fractions are summed before they are rounded.
    let (told, _folder) = import_text("a.json", &matrix(&[("", &["0.1", "0.1", "0.1", "0.1"])]), &[]);
    assert_eq!(told["jobs"], 6);
    // The bare data, as `jq .data` gives them.
    let bare = matrix(&[("", &["2", "1"])]).replace(r#"{"status":"success","data":"#, "");
    let (told, _folder) = import_text("bare.json", &bare[..bare.len() - 1], &[]);
    assert_eq!(told["jobs"], 45);
}

#[test]
fn series_are_classes_by_the_label_that_differs() {
    let a: (&str, &[&str]) = (r#""job":"x","tenant":"a""#, &["1", "2"]);
    let b: (&str, &[&str]) = (r#""job":"x","tenant":"b, \"c\"""#, &["3", "4"]);
    let (told, folder) = import_text("p.json", &matrix(&[a, b]), &[]);
    assert_eq!(classes(&told), pairs(&[("b___c_", 105), ("a", 45)]));
    assert!(written(&folder, "p.toml").contains("The class `b, \\\"c\\\"` is called `b___c_`"));
    let c: (&str, &[&str]) = (r#""job":"y","tenant":"a""#, &["10", "10"]);
    refuse(
        "p.json",
        matrix(&[a, b, c]).as_bytes(),
        &[],
        &["differ in more than one label: job (2 values), tenant (2 values)", "--class-by job", "none"],
    );
    let (told, _folder) = import_text("p.json", &matrix(&[a, b, c]), &["--class-label", "job"]);
    assert_eq!(classes(&told), pairs(&[("y", 300), ("x", 150)]));
    let (told, _folder) = import_text("p.json", &matrix(&[a, b, c]), &["--class-by", "none"]);
    assert_eq!(told["jobs"], 450);
    refuse(
        "p.json",
        matrix(&[a]).as_bytes(),
        &["--class-by", "pod"],
        &["`pod`", "allowed: none, job, tenant"],
    );
}

#[test]
fn a_counter_is_not_taken_for_a_rate() {
    let rising: Vec<String> = (0..12).map(|i| (1_000_000 + 30 * i).to_string()).collect();
    let rising: Vec<&str> = rising.iter().map(String::as_str).collect();
    let counter = matrix(&[("", &rising)]);
    refuse(
        "c.json",
        counter.as_bytes(),
        &[],
        &["c.json: data.result[0].values", "looks like a counter", "--counter", "--rate"],
    );
    let (told, _folder) = import_text("c.json", &counter, &["--counter"]);
    assert_eq!(told["jobs"], 330);
    let (told, _folder) = import_text("c.json", &counter, &["--rate"]);
    assert_eq!(told["jobs"].as_u64(), Some(15 * (12 * 1_000_000 + 30 * 66)));
    let named = matrix(&[(r#""__name__":"jobs_total""#, &["5", "6"])]);
    refuse("c.json", named.as_bytes(), &[], &["jobs_total{} looks like a counter"]);
    // A restart: 7 before it, 2 after it.
    let reset = matrix(&[("", &["10", "17", "2", "4", "6"])]);
    let (told, _folder) = import_text("c.json", &reset, &["--counter"]);
    assert_eq!(told["jobs"], 7 + 2 + 4);
    assert!(told["learnt"].to_string().contains("fell: 1;"), "{told}");
    refuse(
        "c.json",
        matrix(&[("", &["9", "1", "9", "1", "9"])]).as_bytes(),
        &["--counter"],
        &["this is no counter"],
    );
    // One reset, without a name: 1,151 jobs, not 39 million.
    let restarted = fs::read(data("counter-reset.json")).unwrap();
    let expected = [
        "one fall to almost nothing, from 123456 to",
        "`--counter` counts the differences, 1151 jobs",
        "`--rate` takes the values as jobs per second, 39",
    ];
    refuse("c.json", &restarted, &[], &expected);
    let (told, _folder) = import_text("c.json", text(&restarted), &["--counter"]);
    assert_eq!(told["jobs"], 1_151);
    // Two processes that both began again, and one that was named otherwise.
    let both =
        matrix(&[(r#""pod":"a""#, &["90", "95", "2", "4"]), (r#""pod":"b""#, &["80", "85", "1", "4"])]);
    refuse("c.json", both.as_bytes(), &[], &[r#"{pod="a"} looks like a counter"#, ", 18 jobs in all"]);
    let short = matrix(&[("", &["100", "130", "160", "190", "220"])]);
    refuse(
        "c.json",
        short.as_bytes(),
        &[],
        &["only rise, from 100 to 220", ", 120 jobs in all", ", 12000 jobs"],
    );
    refuse("c.json", matrix(&[("", &["1", "1", "2"])]).as_bytes(), &[], &["looks like a counter"]);
    // Rates: parts of a job, a fall that is no reset, too many falls, no rise, too few to tell.
    let rates: [&[&str]; 6] = [
        &["1", "2.5", "4"],
        &["10", "20", "5"],
        &["50", "1", "50", "1", "50"],
        &["7", "7", "7"],
        &["7", "6", "5"],
        &["1", "2"],
    ];
    for values in rates {
        import_text("c.json", &matrix(&[("", values)]), &[]);
    }
}

#[test]
fn gaps_have_to_be_explained() {
    let gap = fs::read(data("gap.json")).unwrap();
    refuse(
        "g.json",
        &gap,
        &[],
        &["g.json: data.result[0].values[2]", "`NaN`", "--gaps empty", "--gaps hold"],
    );
    let gap = text(&gap);
    let (told, folder) = import_text("g.json", gap, &["--gaps", "empty"]);
    assert_eq!(told["jobs"].as_u64(), Some(15 * (131 + 120 + 250)));
    assert_eq!(told["left_out"][0]["count"], 1);
    assert!(written(&folder, "g.toml").contains("# - 1 × samples that are NaN: no jobs came then"));
    let (told, _folder) = import_text("g.json", gap, &["--gaps", "hold"]);
    assert_eq!(told["jobs"].as_u64(), Some(15 * (131 + 120 + 120 + 250)));

    let missing = matrix(&[("", &["1", "1", "1", "1", "1"])]).replace("[1714730430,\"1\"],", "");
    refuse("g.json", missing.as_bytes(), &[], &["values[1]", "one is missing", "the step is 15s"]);
    let (told, _folder) = import_text("g.json", &missing, &["--gaps", "hold"]);
    assert_eq!(told["jobs"], 75);
    // The same where another class has a sample then.
    let two = format!("{missing}#").replace(
        "]}]}}#",
        &format!(
            "]}},{{\"metric\":{{\"code\":\"500\"}},\"values\":[{}]}}]}}}}",
            "[1714730400,\"1\"],[1714730415,\"1\"],[1714730430,\"1\"],[1714730445,\"1\"],[1714730460,\"1\"]"
        ),
    );
    refuse("g.json", two.as_bytes(), &[], &["result[0].values[1]", "one is missing", "--gaps hold"]);
    for (gaps, jobs) in [("empty", 60 + 75), ("hold", 75 + 75)] {
        let (told, _folder) = import_text("g.json", &two, &["--gaps", gaps]);
        assert_eq!((&told["jobs"], &told["left_out"][0]["count"]), (&Value::from(jobs), &Value::from(1)));
    }
    // A series that lacks 20 of 40 samples, where the other has all.
    let hole = fs::read(data("hole.json")).unwrap();
    refuse("h.json", &hole, &[], &["data.result[1].values[9]", "20 are missing"]);
    let (told, _folder) = import_text("h.json", text(&hole), &["--gaps", "hold"]);
    assert_eq!(classes(&told), pairs(&[("b", 600_000), ("a", 6_000)]));
    let (told, _folder) = import_text("h.json", text(&hole), &["--gaps", "empty"]);
    assert_eq!(classes(&told), pairs(&[("b", 300_000), ("a", 6_000)]));
}

#[test]
fn each_series_has_its_own_step() {
    let steps = fs::read_to_string(data("two-steps.json")).unwrap();
    let (told, _folder) = import_text("s.json", &steps, &[]);
    assert_eq!(classes(&told), pairs(&[("b", 2 * 180), ("a", 150)]));
    assert!(told["learnt"].to_string().contains("15s (1 series), 60s (1 series)"), "{told}");
    // One that begins later has no jobs before.
    let late = matrix(&[(r#""c":"a""#, &["1", "1", "1", "1"]), (r#""c":"b""#, &["9", "9", "2", "2"])])
        .replace("[1714730400,\"9\"],[1714730415,\"9\"],", "");
    let (told, _folder) = import_text("s.json", &late, &[]);
    assert_eq!(classes(&told), pairs(&[("a", 60), ("b", 60)]));
    assert!(told["learnt"].to_string().contains("begin later or end earlier than others: 1;"), "{told}");
}

/// A matrix of one series, with these times as they are written.
fn matrix_at(samples: &[(&str, &str)]) -> String {
    let values: Vec<String> = samples.iter().map(|(at, value)| format!("[{at},\"{value}\"]")).collect();
    let values = values.join(",");
    format!(r#"{{"resultType":"matrix","result":[{{"metric":{{}},"values":[{values}]}}]}}"#)
}

#[test]
fn samples_may_come_sooner_than_usual() {
    // The third step is half as long, as where an export begins again or a scrape was late.
    let jitter = matrix_at(&["0", "15", "30", "37", "52"].map(|at| (at, "2")));
    let (told, _folder) = import_text("j.json", &jitter, &[]);
    assert_eq!(told["jobs"], 2 * (52 + 15));
    let (told, _folder) = import_text("j.json", &jitter, &["--gaps", "hold"]);
    assert_eq!(told["jobs"], 2 * (52 + 15));
}

#[test]
fn times_and_counts_beyond_all_bounds_are_refused_at_their_place() {
    let far = matrix_at(&[("0", "1"), ("8000000000", "1")]);
    refuse("p.json", far.as_bytes(), &[], &["result[0].values[1]", "`8000000000` is not a time", "2100"]);
    let far = matrix_at(&[("0", "1"), ("4000000000", "1")]);
    refuse("p.json", far.as_bytes(), &[], &["p.json", "the step from sample to sample", "100 years"]);
    let much = matrix_at(&["0", "15", "30"].map(|at| (at, "1e14")));
    refuse("p.json", much.as_bytes(), &[], &["result[0].values[0]", "more than 1e15 jobs"]);
    let rising = matrix_at(&[("0", "0"), ("15", "9e14"), ("30", "1"), ("45", "9e14")]);
    refuse("p.json", rising.as_bytes(), &["--counter"], &["result[0].values[2]", "more than 1e15 jobs"]);

    let invocations = |rows: &str| format!("app,func,end_timestamp,duration\n{rows}\n");
    for (rows, expected) in [
        ("a,f,1,9e9\na,f,8.9e9,0", ["i.csv:2", "duration: `9e9` is not a number of seconds"]),
        ("a,f,1,0\na,f,8.9e9,0", ["i.csv:3", "end_timestamp: `8.9e9` is not a number of seconds"]),
        ("a,f,1,4e9\na,f,4e9,0", ["i.csv", "it lasts more than 100 years"]),
    ] {
        refuse("i.csv", invocations(rows).as_bytes(), &[], &expected);
    }

    let minutes: Vec<String> = (1..=1440).map(|minute| minute.to_string()).collect();
    let header = format!("HashOwner,HashApp,HashFunction,Trigger,{}\n", minutes.join(","));
    let row = format!("o,a,f,http{}\n", ",1000000000000000".repeat(1440));
    for words in [&[][..], &["--from", "2000-01-01T00:00:00Z"]] {
        let table = format!("{header}{}", row.repeat(13));
        refuse("f.csv", table.as_bytes(), words, &["f.csv:2", "more than 1e15 jobs"]);
    }

    let log = "h - - [03/May/2150:10:00:01 +0200] \"GET / HTTP/1.1\" 200 1\n";
    refuse("a.log", log.as_bytes(), &[], &["a.log:1", "`03/May/2150:10:00:01 +0200` is not a date"]);
    let json = "{\"time\":\"2150-05-03T10:00:00Z\",\"status\":200}\n";
    refuse("a.log", json.as_bytes(), &[], &["a.log:1", "is not a time", "before the year 2100"]);
    let jobs = r#"[{"name":"x","opts":{},"timestamp":8900000000000}]"#;
    refuse("b.json", jobs.as_bytes(), &[], &["[0].timestamp", "before the year 2100"]);
    let table = "metric_name,timestamp,metric_value\nhttp_reqs,8900000000,1\n";
    refuse("k.csv", table.as_bytes(), &[], &["k.csv:2", "before the year 2100"]);
}

#[test]
fn bins_are_bounded_while_a_file_is_read() {
    // A line each hour of two days: 172,800,001 bins of a millisecond. The place is where they are too many.
    let line = |day: u32, hour: u32| {
        format!("h - - [{day:02}/May/2024:{hour:02}:00:01 +0200] \"GET / HTTP/1.1\" 200 1\n")
    };
    let log: String = (1..3).flat_map(|day| (0..24).map(move |hour| line(day, hour))).collect();
    refuse("a.log", log.as_bytes(), &["--bin", "1ms"], &["a.log:2", "bins of 1ms are more than 1000000"]);
    let (told, _folder) = import_text("a.log", &log, &["--bin", "1s"]);
    assert_eq!(told["jobs"], 48);
}

#[test]
fn answers_without_a_course_of_rates_are_told() {
    let cases: [(&str, &[&str]); 8] = [
        (r#"{"status":"error","errorType":"bad_data","error":"parse error"}"#, &["parse error (bad_data)"]),
        (
            r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"2"]}]}}"#,
            &["data.resultType", "single instant", "query_range"],
        ),
        (
            r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#,
            &["data.result", "matched nothing"],
        ),
        (&matrix(&[("", &["1"])]), &["no series has two samples"]),
        (
            &matrix(&[("", &["1", "-2"])]),
            &["data.result[0].values[1]", "`\"-2\"`", "0 to 1e15", "--skip-bad"],
        ),
        (&matrix(&[("", &["1", "1e18"])]), &["`\"1e18\"` is not a value"]),
        (&matrix(&[("", &["1", "x"])]), &["`\"x\"` is not a value"]),
        (&matrix(&[("", &["0", "0"])]), &["there are no jobs in it"]),
    ];
    for (content, expected) in cases {
        refuse("p.json", content.as_bytes(), &[], expected);
    }
    let whole = matrix(&[("", &["1", "2"])]);
    refuse("p.json", &whole.as_bytes()[..whole.len() - 9], &[], &["p.json:1:", "the JSON ends too early"]);
    let types = whole.replace("\"1\"", "[1]");
    refuse("p.json", types.as_bytes(), &[], &["data.result[0].values[0]", "`[1]` is not a value"]);
}

#[test]
fn access_logs_are_read_with_their_zones_and_sorted() {
    let folder = empty();
    let told = import(folder.path(), &[&data("nginx.log")]);
    assert_eq!(classes(&told), pairs(&[("POST", 2), ("GET", 1), ("-", 1)]));
    assert_eq!(told["began"], "2024-05-03T08:00:00Z");
    let learnt = told["learnt"].to_string();
    for part in ["200 1, 202 1, 400 1, 503 1", "not in order of time and were sorted: 2", "upper bound"] {
        assert!(learnt.contains(part), "{learnt}");
    }
    let trace = written(&folder, "nginx.trace.csv");
    assert!(trace.ends_with("time_s,class,service_ms\n0,GET,4\n1,-,\n2,POST,12\n2,POST,8\n"), "{trace}");
    let (told, _folder) =
        import_text("b.log", &fs::read_to_string(data("nginx.log")).unwrap(), &["--class-by", "path"]);
    assert_eq!(classes(&told), pairs(&[("/events", 2), ("/health", 1), ("/-", 1)]));

    // The address of an upstream is no number of seconds, and what follows it may be one.
    let upstream = "h - - [03/May/2024:10:00:01 +0200] \"GET / HTTP/1.1\" 200 17 10.0.0.5 0.123\n";
    let (told, folder) = import_text("u.log", upstream, &[]);
    assert!(told["learnt"].to_string().contains("upper bound"), "{told}");
    let trace = written(&folder, "u.trace.csv");
    assert!(trace.ends_with("service_ms\n0,123\n"), "{trace}");

    let json = fs::read_to_string(data("nginx.jsonl")).unwrap();
    let (told, folder) = import_text("j.log", &json, &["--class-by", "tenant"]);
    assert_eq!(classes(&told), pairs(&[("a___b_", 1), ("total-jobs", 1), ("größe", 1)]));
    let trace = written(&folder, "j.trace.csv");
    assert!(trace.contains("0,a___b_,12\n1250,total-jobs,4\n2000,größe,\n"), "{trace}");
}

#[test]
fn lines_that_cannot_be_read_are_refused_or_counted() {
    let line =
        |second: u32| format!("h - - [03/May/2024:10:00:{second:02} +0200] \"GET / HTTP/1.1\" 200 1\r\n");
    let log = format!("{}oops\n{}{}", line(1), line(0), line(3));
    refuse("a.log", log.as_bytes(), &[], &["a.log:2", "`oops` is no line of an access log", "--skip-bad"]);
    let (told, folder) = import_text("a.log", &log, &["--skip-bad"]);
    assert_eq!((&told["jobs"], &told["left_out"][0]["count"]), (&Value::from(3), &Value::from(1)));
    assert!(written(&folder, "a.toml").contains("a.log:2"));
    let mostly = format!("{}oops\noops\n", line(1));
    refuse("a.log", mostly.as_bytes(), &["--skip-bad"], &["2 of 3 records", "more than half", "a.log:2"]);
    // A record is a row, a sample or a line, whatever it says of jobs.
    let table = fs::read_to_string(data("azure_fn.csv")).unwrap();
    let (told, _folder) = import_text("f.csv", &table.replace(",90,", ",-9,"), &["--skip-bad"]);
    assert_eq!((told["jobs"].as_u64(), &told["left_out"][0]["count"]), (Some(22), &Value::from(1)));
    let series = matrix(&[("", &["1", "x", "1", "1"])]);
    let (told, _folder) = import_text("p.json", &series, &["--skip-bad", "--gaps", "hold"]);
    assert_eq!((&told["jobs"], &told["left_out"][0]["count"]), (&Value::from(60), &Value::from(1)));
    refuse("p.json", series.as_bytes(), &["--skip-bad"], &["values[0]", "one is missing"]);
    let points = fs::read_to_string(data("k6.json")).unwrap();
    let (told, _folder) = import_text("k.json", &format!("{points}oops\noops\noops\n"), &["--skip-bad"]);
    assert_eq!((&told["jobs"], &told["left_out"][0]["count"]), (&Value::from(3), &Value::from(3)));
    let bad_date = format!("{}{}", line(1), line(2).replace("03/May", "33/May"));
    refuse("a.log", bad_date.as_bytes(), &[], &["a.log:2", "`33/May/2024:10:00:02 +0200` is not a date"]);
    refuse("a.log", line(1).as_bytes(), &["--class-by", "tenant"], &["--class-by tenant", "method, path"]);
    let json = "{\"time\":\"2024-05-03T10:00:00Z\",\"status\":200}\n{\"time\":\"soon\",\"status\":200}\n";
    refuse("a.log", json.as_bytes(), &[], &["a.log:2", "`soon` is not a time"]);
    let cut = "{\"time\":\"2024-05-03T10:00:00Z\",\"status\":200}\n{\"time\":\"2024-05-0";
    refuse("a.log", cut.as_bytes(), &[], &["a.log:2", "not JSON"]);
}

#[test]
fn latency_of_a_client_is_no_service_time() {
    let folder = empty();
    let told = import(folder.path(), &[&data("k6.json")]);
    let learnt = told["learnt"].to_string();
    assert!(learnt.contains("http_req_duration is 12.50 ms") && learnt.contains("not used"), "{learnt}");
    assert!(written(&folder, "k6.toml").contains("# ASSUMED: measure it."));
    assert!(written(&folder, "k6.trace.csv").ends_with("time_ms\n0\n0\n250\n"));
    let point = fs::read_to_string(data("k6.json")).unwrap();
    refuse(
        "k.json",
        point.replace("\"value\":2", "\"value\":1.5").as_bytes(),
        &[],
        &["k.json:4", "data.value: `1.5`"],
    );
    refuse(
        "k.json",
        point.replace("2024-05-03T08:00:00Z", "then").as_bytes(),
        &[],
        &["k.json:4", "`\"then\"`"],
    );
    refuse(
        "k.json",
        point.as_bytes(),
        &["--class-by", "tenant"],
        &["no tag `tenant`", "method, name, status"],
    );
    let table = fs::read_to_string(data("k6.csv")).unwrap();
    refuse("k.csv", table.replace("9,1.0", "9,-1").as_bytes(), &[], &["k.csv:2", "metric_value: `-100000`"]);
    refuse("k.csv", table.as_bytes(), &["--class-by", "tenant"], &["no column `tenant`", "metric_name"]);
    refuse("k.json", &fs::read(data("k6-summary.json")).unwrap(), &[], &["45765 requests", "--out json"]);
}

#[test]
fn jobs_of_bullmq_bring_service_times_priorities_and_payloads() {
    let job = |at: u32, name: &str, priority: u32, more: &str| {
        format!(
            r#"{{"name":"{name}","data":{{"x":"{}"}},"opts":{{"priority":{priority}}},"timestamp":1700000000{at:03}{more}}}"#,
            "é".repeat(4)
        )
    };
    let done = r#","processedOn":1700000001000,"finishedOn":1700000001040,"attemptsMade":2"#;
    let list = [job(500, "mail", 0, done), job(0, "mail", 7, done), job(250, "a \\\"b\\\", c", 20, "")];
    let (told, folder) = import_text("jobs.json", &format!("[{}]", list.join(",\n")), &[]);
    assert_eq!(classes(&told), pairs(&[("mail:p0", 1), ("mail:p7", 1), ("a__b___c", 1)]));
    let learnt = told["learnt"].to_string();
    for part in
        ["Jobs that are not finished: 1;", "Jobs that took more than one attempt: 2;", "and were sorted: 2"]
    {
        assert!(learnt.contains(part), "{learnt}");
    }
    let trace = written(&folder, "jobs.trace.csv");
    assert!(
        trace.ends_with("time_ms,class,service_ms\n0,mail:p7,40\n250,a__b___c,\n500,mail:p0,40\n"),
        "{trace}"
    );
    let scenario = written(&folder, "jobs.toml");
    for part in [
        "queue_priority = 7 ",
        "priority = 10 ",
        "payload = \"16B\"",
        "service_time = \"40ms\"",
        "discipline = \"priority\"",
    ] {
        assert!(scenario.contains(part), "no `{part}` in\n{scenario}");
    }
    // One after another, on lines or not.
    let (lines, _folder) = import_text("jobs.json", &list.join("\n"), &["--class-by", "none"]);
    assert_eq!((&lines["jobs"], lines["classes"].as_array().unwrap().len()), (&Value::from(3), 1));

    let wrong = |from: &str, to: &str, expected: &[&str]| {
        refuse("jobs.json", format!("[{}]", list.join(",")).replace(from, to).as_bytes(), &[], expected);
    };
    wrong("1700000000000", "-5", &["jobs.json: [1].timestamp", "`-5` is not a time", "milliseconds"]);
    wrong("1700000001040", "1700000000040", &["[0].finishedOn", "before processedOn"]);
    wrong("\"priority\":7", "\"priority\":-7", &["[1].opts.priority", "`-7`", "0 to 2097151"]);
    wrong("\"timestamp\":1700000000250", "\"x\":1", &["[2].timestamp", "does not say when it was added"]);
    let whole = format!("[{}]", list.join(","));
    refuse(
        "jobs.json",
        &whole.as_bytes()[..whole.len() - 9],
        &[],
        &["jobs.json:1:", "ends too early", "cut off"],
    );
}

#[test]
fn jobs_of_bullmq_that_are_put_together_keep_their_priorities() {
    let job = |name: usize, priority: u32| {
        format!(r#"{{"name":"job{name}","opts":{{"priority":{priority}}},"timestamp":1700000000000}}"#)
    };
    // Ten classes in the middle, and smaller ones that are more and less urgent.
    let mut list: Vec<String> = (0..10).flat_map(|name| vec![job(name, 10); 9]).collect();
    list.extend([job(10, 1), job(11, 1), job(10, 1_000), job(12, 1_000), job(13, 1_000), job(14, 10)]);
    let (told, folder) = import_text("o.json", &format!("[{}]", list.join(",")), &[]);
    let found = classes(&told);
    assert_eq!(found[10..], pairs(&[("other:p1", 2), ("other:p1000", 3), ("other:p10", 1)]), "{found:?}");
    assert!(told["learnt"].to_string().contains("in `other`, one for each priority"), "{told}");
    let scenario = written(&folder, "o.toml");
    for (class, gateway, queue) in [("p1", "1 ", "1 "), ("p10", "10 ", "10 "), ("p1000", "10 ", "1000 ")] {
        let own = scenario.split(&format!("name = \"other:{class}\"\n")).nth(1).unwrap();
        let mut lines = own.lines();
        assert!(lines.next().unwrap().starts_with(&format!("priority = {gateway}")), "{scenario}");
        assert!(lines.next().unwrap().starts_with(&format!("queue_priority = {queue}")), "{scenario}");
    }
    // One priority: one class.
    let same: Vec<String> = (0..20).map(|name| job(name, 4)).collect();
    let (told, folder) = import_text("o.json", &format!("[{}]", same.join(",")), &["--top", "2"]);
    assert_eq!(classes(&told)[2..], pairs(&[("other", 18)]));
    assert_eq!(written(&folder, "o.toml").matches("queue_priority = 4 ").count(), 3);
    // As many as a scenario has, and more.
    let many: Vec<String> = (0..64).map(|priority| job(0, priority)).collect();
    let (told, _folder) = import_text("o.json", &many.join("\n"), &[]);
    assert_eq!(told["classes"].as_array().unwrap().len(), 64);
    let many: Vec<String> = (0..65).map(|priority| job(0, priority)).collect();
    refuse(
        "o.json",
        many.join("\n").as_bytes(),
        &[],
        &["more than 64 different priorities", "--class-by none"],
    );
    let many: Vec<String> = (0..3_000).map(|name| job(name, name as u32)).collect();
    refuse("o.json", many.join("\n").as_bytes(), &[], &["more than 64 different priorities"]);
}

#[test]
fn what_is_listed_twice_or_cannot_be_used_is_told() {
    let job = |id: u32, at: &str| format!(r#"{{"id":"{id}","name":"x","opts":{{}},"timestamp":{at}}}"#);
    let (first, again) = (job(1, "1714730400000"), job(1, "1714730401000"));
    // Twice the same, and an id that was used again later.
    let list = format!("[{first},{},{first},{again},{first}]", job(2, "1714730400000"));
    let (told, folder) = import_text("b.json", &list, &[]);
    assert_eq!((&told["jobs"], &told["left_out"][0]["count"]), (&Value::from(3), &Value::from(2)));
    assert!(written(&folder, "b.toml").contains("b.json: [2]"));
    let learnt = told["learnt"].to_string();
    assert!(learnt.contains("not finished: 3; no service time is known"), "{learnt}");
    assert!(!learnt.contains("drawn from") && !learnt.contains("finishedOn"), "{learnt}");

    let seconds = format!("[{first},{}]", job(3, "1714730402"));
    refuse(
        "b.json",
        seconds.as_bytes(),
        &[],
        &["b.json: [1].timestamp", "`1714730402` is not a time: it looks like seconds", "milliseconds"],
    );
    let (told, _folder) = import_text("b.json", &seconds, &["--skip-bad"]);
    assert_eq!(told["jobs"], 1);

    let log = fs::read_to_string(data("request-times.log")).unwrap();
    let (told, folder) = import_text("r.log", &log, &[]);
    assert_eq!((&told["jobs"], &told["left_out"][0]["count"]), (&Value::from(7), &Value::from(3)));
    let what = told["left_out"][0]["what"].as_str().unwrap();
    assert!(what.contains("the first at r.log:5: `-1`"), "{what}");
    assert!(told["learnt"].to_string().contains("without a request time: 1;"), "{told}");
    assert!(written(&folder, "r.trace.csv").ends_with("4,\n5,\n6,\n"));
    for odd in ["1e308", "nan", "1234", "99999999"] {
        let (told, _folder) = import_text("r.log", &log.replace(" -1\n", &format!(" {odd}\n")), &[]);
        assert!(
            told["left_out"][0]["what"].as_str().unwrap().contains(&format!("r.log:5: `{odd}`")),
            "{told}"
        );
    }

    let folder = empty();
    fs::write(folder.path().join("r.log"), &log).unwrap();
    check_refusal(folder.path(), &["import", "r.log", "./r.log"], 3, &["the file is given twice", "./r.log"]);
}

#[test]
fn the_mean_is_no_more_than_the_busiest_second() {
    let line =
        |second: u32| format!("h - - [03/May/2024:10:00:{second:02} +0200] \"GET / HTTP/1.1\" 200 1\n");
    for (seconds, mean) in [(1, 1.0), (2, 1.0), (40, 1.0)] {
        let log: String = (0..seconds).map(line).collect();
        let (told, _folder) = import_text("a.log", &log, &[]);
        assert_eq!((told["mean_rate"].as_f64(), told["peak_rate"].as_f64()), (Some(mean), Some(1.0)));
        assert_eq!(told["seconds"].as_f64(), Some(f64::from(seconds)));
    }
    // 7,201 s are 1,441 windows of 5 s, the last of which is not over.
    let hours = |hour: u32| format!("h - - [03/May/2024:{hour:02}:00:00 +0200] \"GET / HTTP/1.1\" 200 1\n");
    let (told, _folder) = import_text("a.log", &(10..13).map(hours).collect::<String>(), &[]);
    assert!(told["mean_rate"].as_f64() <= told["peak_rate"].as_f64(), "{told}");
}

#[test]
fn texts_count_as_english_does() {
    let line = "h - - [03/May/2024:10:00:01 +0200] \"GET / HTTP/1.1\" 200 1\n";
    let (told, _folder) = import_text("a.log", line, &[]);
    assert_eq!(told["read"], "1 line");
    let table = "metric_name,timestamp,metric_value\nhttp_reqs,1714723199,1\n";
    let (told, _folder) = import_text("k.csv", table, &[]);
    assert_eq!(told["read"], "1 point of http_reqs");
    assert!(!told["learnt"].to_string().contains("other metrics"), "{told}");
    let folder = empty();
    fs::write(folder.path().join("p.json"), matrix(&[("", &["2", "1"])])).unwrap();
    let output = simulate(folder.path(), &["import", "p.json", "--class-by", "nope"]);
    check_code(&output, 3, &["`nope`", "allowed: none\n"]);
}

#[test]
fn tables_of_functions_are_counts_by_the_minute() {
    let folder = empty();
    import(folder.path(), &[&data("azure_fn.csv")]);
    assert!(
        written(&folder, "azure_fn.trace.csv")
            .contains("time_s,class,count\n0,queue,100\n60,queue,120\n60,http,12\n")
    );
    let table = fs::read_to_string(data("azure_fn.csv")).unwrap();
    let (told, _folder) =
        import_text("f.csv", &table, &["--class-by", "function", "--top", "1", "--bin", "2m"]);
    assert_eq!(classes(&told), pairs(&[("dd", 500), ("cc", 22)]), "one more than --top needs no `other`");
    let crlf = format!("\u{feff}{}", table.replace('\n', "\r\n"));
    let (told, _folder) = import_text("f.csv", &crlf, &["--class-by", "none"]);
    assert_eq!(told["jobs"], 522);
    refuse(
        "f.csv",
        table.replace(",90,", ",-9,").as_bytes(),
        &[],
        &["f.csv:3", "column 3: `-9` is not a count", "0 to"],
    );
    refuse("f.csv", table.replace(",90,", ",1e18,").as_bytes(), &[], &["f.csv:3", "`1e18`"]);
    refuse("f.csv", table.replace(",110", "").as_bytes(), &[], &["f.csv:3", "8 fields", "9"]);
    refuse("f.csv", table.as_bytes(), &["--bin", "1s"], &["`--bin 1s` is finer", "60s"]);
    refuse("f.csv", table.as_bytes(), &["--class-by", "pod"], &["allowed: trigger, function"]);
    refuse(
        "d.csv",
        b"HashOwner,HashApp,HashFunction,Average,Count\na,b,c,1,2\n",
        &[],
        &["durations or memory"],
    );

    // It ended 15 ms before it could have begun: it began before the recording.
    let folder = empty();
    let told = import(folder.path(), &[&data("azure-invocations.csv")]);
    assert_eq!(told["learnt"].as_array().unwrap().len(), 2);
    let trace = written(&folder, "azure-invocations.trace.csv");
    assert!(
        trace.ends_with("time_ms,class,service_us\n0,f2,30500\n16,f1,78000\n10515,f1,2000000\n"),
        "{trace}"
    );
}

#[test]
fn bytes_are_text_however_they_are_packed() {
    let json = fs::read(data("friday.json")).unwrap();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&json).unwrap();
    let packed = gzip.finish().unwrap();
    let utf16: Vec<u8> = text(&json).encode_utf16().flat_map(u16::to_le_bytes).collect();
    let marked = [b"\xef\xbb\xbf", &json[..]].concat();
    for bytes in [&packed, &[b"\xff\xfe", &utf16[..]].concat(), &marked] {
        let folder = empty();
        fs::create_dir(folder.path().join("a b")).unwrap();
        fs::write(folder.path().join("a b/my file.json.gz"), bytes).unwrap();
        let told = import(folder.path(), &["a b/my file.json.gz", "-o", "to be"]);
        assert_eq!(
            (&told["jobs"], &told["scenario"]),
            (&Value::from(3_900_000), &Value::from("to be/my-file.toml"))
        );
    }
    refuse("p.json", &packed[..packed.len() - 12], &[], &["p.json", "gzip data are truncated or damaged"]);
    let half = [b"\xff\xfe", &utf16[..], b"x"].concat();
    refuse("p.json", &half, &[], &["p.json", "begins as UTF-16 and goes on as something else"]);
    refuse("p.bz2", b"BZh91AY", &[], &["compressed by bzip2", "bunzip2"]);

    // A long log that ends within its gzip data: the place is where it was read to.
    let line = "h - - [03/May/2024:10:00:01 +0200] \"GET /%d HTTP/1.1\" 200 1\n";
    let log: String = (0..9_000).map(|i| line.replace("%d", &(i * 7919 % 9973).to_string())).collect();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(log.as_bytes()).unwrap();
    let packed = gzip.finish().unwrap();
    refuse("a.log.gz", &packed[..packed.len() - 100], &[], &["a.log.gz, after line ", "truncated"]);
}

/// An import of what comes by standard input.
fn import_piped(folder: &Path, content: &[u8]) -> Output {
    let mut child = command(folder, &["import", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(content).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn standard_input_is_read() {
    let folder = empty();
    let output = import_piped(folder.path(), &fs::read(data("nasa.log")).unwrap());
    let told = text(&output.stdout);
    for part in
        ["read      standard input: an access log, 3 lines", "left out  nothing", "scenario  imported.toml"]
    {
        assert!(told.contains(part), "no `{part}` in\n{told}");
    }
    assert_eq!(files(folder.path()).len(), 2);

    // A trace is one, and no file of the folder is meant.
    let folder = empty();
    let output = import_piped(folder.path(), b"time_s,count\n0,10\n");
    check_code(&output, 3, &["this is a trace already", "file = \"FILE\""]);
    assert!(!text(&output.stderr).contains("read `"), "{}", text(&output.stderr));
}

#[test]
fn jobs_are_cut_and_counted() {
    let log = fs::read_to_string(data("nasa.log")).unwrap();
    let (told, _folder) =
        import_text("n.log", &log, &["--from", "1995-07-01T04:00:05Z", "--to", "804571209"]);
    assert_eq!((&told["jobs"], &told["left_out"][0]["count"]), (&Value::from(1), &Value::from(2)));
    assert_eq!(told["began"], "1995-07-01T04:00:05Z");
    refuse(
        "n.log",
        log.as_bytes(),
        &["--from", "2001-01-01T00:00:00Z"],
        &["none of its 3 jobs lies between"],
    );
    let (told, folder) = import_text("n.log", &log, &["--bin", "5s"]);
    assert_eq!(told["jobs"], 3);
    assert!(written(&folder, "n.trace.csv").ends_with("time_s,count\n0,1\n5,2\n"));
    let folder = empty();
    for words in
        [&["--from", "soon"][..], &["--bin", "0s"], &["--from", "9", "--to", "9"], &["--kind", "xml"]]
    {
        check_refusal(folder.path(), &[&["import", "x"], words].concat(), 2, &[words[words.len() - 1]]);
    }
}

#[test]
fn few_jobs_or_all_at_once_are_a_scenario_too() {
    // One job that took three years needs one slot.
    let long =
        r#"[{"timestamp":1700000000000,"processedOn":1700000000000,"finishedOn":1790000000000,"name":"x"}]"#;
    let (told, folder) = import_text("long.json", long, &[]);
    assert_eq!(told["jobs"], 1);
    assert!(written(&folder, "long.toml").contains("takes 1 slots"));
    let gap = matrix(&[("", &["1", "2"])]).replace("]]}", "],[4000000000,\"5\"]]}");
    for words in [&["--counter"][..], &["--rate", "--gaps", "hold"], &["--rate", "--gaps", "empty"]] {
        refuse("gap.json", gap.as_bytes(), words, &["gap.json", "1000000"]);
    }
    let line = "h - - [03/May/2024:10:00:01 +0200] \"GET / HTTP/1.1\" 200 1\n";
    let (told, _folder) = import_text("one.log", line, &[]);
    assert_eq!(told["jobs"], 1);
    let (told, folder) = import_text("same.log", &line.repeat(50), &[]);
    assert_eq!(told["jobs"], 50);
    assert!(written(&folder, "same.trace.csv").ends_with(&format!("time_s
{}", "0
".repeat(50))));
    // Too many for exact times: bins whose sum is exact.
    let far = "h - - [03/May/2024:22:00:01 +0200] \"POST / HTTP/1.1\" 200 1\n";
    let (told, folder) = import_text("many.log", &format!("{far}{}", line.repeat(1_000_001)), &[]);
    assert_eq!(classes(&told), pairs(&[("GET", 1_000_001), ("POST", 1)]));
    assert!(written(&folder, "many.toml").contains("interval = \"10s\""), "12 h in at most 5,000 bins");
}

#[test]
fn one_record_cannot_take_all_memory() {
    let more = "x".repeat(17 << 20);
    let table =
        format!("app,func,end_timestamp,duration\na,f,1,0\na,\"f,2,0\n{}", more.replace("xxxx", "xxx\n"));
    refuse("i.csv", table.as_bytes(), &[], &["i.csv:3", "the record is longer than 16 MiB", "quote"]);
    let jobs = format!("[{{\"timestamp\":1,\"opts\":{{}},\"name\":\"{more}");
    refuse("j.json", jobs.as_bytes(), &[], &["j.json:1:", "record is longer than 16 MiB"]);

    // A status may be any text, so those beyond a thousand are counted together.
    let line = |status: usize| {
        format!("{{\"time\":\"2024-05-03T10:00:00Z\",\"path\":\"/\",\"status\":\"failed {status}\"}}\n")
    };
    let log: String = (0..1_200).map(line).collect();
    let (told, _folder) = import_text("a.log", &log, &[]);
    assert!(told["learnt"].to_string().contains("others 1180."), "{told}");
}

#[test]
fn smaller_classes_are_put_together() {
    let line = |path: usize| format!("h - - [03/May/2024:10:00:01 +0200] \"GET /{path} HTTP/1.1\" 200 1\n");
    let log: String = (0..20).flat_map(|path| (0..=path).map(move |_| line(path))).collect();
    let (told, _folder) = import_text("a.log", &log, &["--class-by", "path", "--top", "2"]);
    assert_eq!(classes(&told), pairs(&[("/19", 20), ("/18", 19), ("other", 171)]));
    assert!(told["learnt"].to_string().contains("18 smaller classes are together in `other`"), "{told}");
    let lines: String = (0..1_500).map(line).collect();
    let (told, _folder) = import_text("a.log", &lines, &["--class-by", "path", "--top", "3"]);
    assert_eq!(told["jobs"], 1_500);
    let told_of = |told: &Value| told["learnt"].to_string();
    assert!(told_of(&told).contains("after the first 1000"), "{told}");
    // With priorities as well, and names that are whole texts.
    let job =
        |name: &str| format!(r#"{{"name":"{name}","opts":{{"priority":3}},"timestamp":1700000000000}}"#);
    let long = "x".repeat(1_001);
    let jobs: Vec<String> =
        (0..1_500).map(|name| job(&name.to_string())).chain([job(&long), job(&long)]).collect();
    let (told, _folder) = import_text("jobs.json", &jobs.join("\n"), &["--top", "900"]);
    assert_eq!(classes(&told)[0], ("other".to_owned(), 603));
    assert!(told_of(&told).contains("102 smaller classes"), "1,000 names and one `other`: {told}");
}

#[test]
fn several_files_are_one_recording() {
    let folder = empty();
    let log = fs::read_to_string(data("nasa.log")).unwrap();
    let (first, rest) = log.split_at(log.find('\n').unwrap() + 1);
    fs::write(folder.path().join("access.log.1"), first).unwrap();
    fs::write(folder.path().join("access.log"), rest).unwrap();
    let told = import(folder.path(), &["access.log", "access.log.1"]);
    assert_eq!((&told["jobs"], &told["scenario"]), (&Value::from(3), &Value::from("access.toml")));
    check_refusal(
        folder.path(),
        &["import", "access.log", &data("azure_fn.csv"), "--name", "x"],
        3,
        &["`access.log` is an access log", "is a table of Azure Functions", "one kind"],
    );
}

#[test]
fn what_is_no_recording_is_answered() {
    refuse("empty.csv", b"", &[], &["the file is empty", "prometheus", "access-log"]);
    refuse("x.bin", b"\x00\x01hello\n", &[], &["x.bin:1", "no known kind", "time_s,count"]);
    refuse("wiki.txt", &fs::read(data("wiki.txt")).unwrap(), &[], &["page views", "44243"]);
    refuse(
        "t.csv",
        b"time_s,count\n0,10\n60,20\n",
        &[],
        &["a trace already", "process = \"trace\"", "file = \"t.csv\""],
    );
    refuse("t.csv", b"time_s,class\n0,a\n", &[], &["a trace already"]);
    refuse("t.csv", b"time_s,count\n0,10.5\n", &[], &["t.csv:2:3", "`10.5` is not a count"]);
    refuse("t.csv", b"time_s,rate\n0,1\n", &[], &["counts of jobs, not rates"]);
    let folder = empty();
    check_refusal(folder.path(), &["import", "nowhere.json"], 3, &["no such file", "nowhere.json"]);
    check_refusal(folder.path(), &["import", "."], 3, &["it is a folder"]);
    check_refusal(folder.path(), &["import"], 2, &["<FILE>"]);
    // What is asked for as another kind than it is.
    let log = fs::read(data("nasa.log")).unwrap();
    refuse("n.log", &log, &["--kind", "prometheus"], &["n.log:1:1", "not JSON"]);
    refuse("n.log", &log, &["--kind", "k6"], &["n.log:1", "not JSON"]);
}

#[test]
fn files_that_exist_are_not_touched() {
    let folder = empty();
    check_code(&simulate(folder.path(), &["import", &data("nasa.log")]), 0, &[]);
    let before = files(folder.path());
    let words = ["import", &data("bullmq.json"), "--name", "nasa"];
    check_refusal(folder.path(), &words, 1, &["`nasa.toml` exists already", "--force"]);
    assert_eq!(files(folder.path()).len(), before.len());
    assert_eq!(files(folder.path())["nasa.toml"], before["nasa.toml"]);
    let told = import(folder.path(), &[words[1], "--name", "nasa", "--force"]);
    assert_eq!(told["jobs"], 2);
    // Nor a link that leads nowhere yet.
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink("nowhere", folder.path().join("linked.toml")).unwrap();
        let words = ["import", words[1], "--name", "linked"];
        check_refusal(folder.path(), &words, 1, &["`linked.toml` exists already", "--force"]);
        assert!(fs::symlink_metadata(folder.path().join("linked.toml")).unwrap().is_symlink());
        fs::remove_file(folder.path().join("linked.toml")).unwrap();
    }
    // What is read is not replaced, whatever is asked.
    fs::copy(data("nasa.log"), folder.path().join("own.toml")).unwrap();
    check_refusal(
        folder.path(),
        &["import", "own.toml", "--force"],
        1,
        &["`own.toml` is read and would be replaced"],
    );
    check_refusal(folder.path(), &["import", words[1], "-o", "own.toml/x"], 3, &["`own.toml/x`", "--output"]);
    check_refusal(folder.path(), &["import", words[1], "--name", "../x"], 2, &["../x"]);
}

#[test]
fn an_interrupt_leaves_nothing() {
    let folder = empty();
    let mut child = command(folder.path(), &["import", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    // Held open: at its end the input would be read, and refused, before the interrupt is seen.
    let input = child.stdin.take();
    let output = interrupt(child, Duration::from_secs(1));
    drop(input);
    assert_eq!(output.status.code(), Some(130));
    assert_eq!(files(folder.path()).len(), 0);
}

#[test]
fn an_interrupt_that_ends_the_input_too_is_an_interrupt() {
    for content in ["", "h - - [03/May/2024:10:00:01 +0200] \"GET / HTTP/1.1\" 200 1\n"] {
        let folder = empty();
        let mut child = command(folder.path(), &["import", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(content.as_bytes()).unwrap();
        // As of a pipe all of which Ctrl-C ends: with the signal the input is over.
        let feeder = Command::new("sh")
            .args(["-c", &format!("sleep 1; kill -INT {}", child.id())])
            .stdout(input)
            .status();
        assert!(feeder.unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130));
        assert_eq!(text(&output.stderr), "interrupted; nothing was written\n");
        assert_eq!(files(folder.path()).len(), 0);
    }
}

#[test]
fn a_trace_reader_names_the_same_kinds_and_the_command() {
    for file in [
        "friday.json",
        "k6.json",
        "k6-summary.json",
        "k6.csv",
        "bullmq.json",
        "azure_fn.csv",
        "azure-invocations.csv",
        "nasa.log",
        "nginx.jsonl",
        "wiki.txt",
    ] {
        let folder = empty();
        fs::copy(data(file), folder.path().join(file)).unwrap();
        let scenario = format!(
            "duration = \"1h\"\n[arrivals]\nprocess = \"trace\"\nfile = \"{file}\"\n[workers]\nservice_time = \"1s\"\n"
        );
        fs::write(folder.path().join("a.toml"), scenario).unwrap();
        let content = fs::read_to_string(data(file)).unwrap();
        let kind = backpressure_sim::import::recognise(&content).unwrap();
        assert!(FORMATS.iter().any(|format| format.kind == kind.kind));
        // What that command would refuse is answered as it would.
        let command = format!("simulate import {file}");
        let way_on = match file {
            "k6-summary.json" => "k6 run --out json=k6.json SCRIPT",
            "wiki.txt" => "a line for the sum of each hourly file",
            _ => &command,
        };
        check_refusal(folder.path(), &["a.toml"], 3, &[kind.what, way_on, "a.toml:4:8"]);
    }
    // Both look at no more of a file than at its beginning.
    let late = format!("{{{}\"resultType\":\"matrix\"}}", " ".repeat(64 << 10));
    assert!(backpressure_sim::import::recognise(&late).is_none());
}
