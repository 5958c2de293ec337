//! No setting makes a run that cannot be stopped or that fills the memory, and inputs as people have them are read or named.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use backpressure_sim::experiment::{self, Progress, Unattended};
use backpressure_sim::model::config::{ArrivalBatch, ArrivalProcess, ArrivalSource};
use backpressure_sim::scenario::{self, Scenario};

fn read(text: &str) -> Result<Scenario, String> {
    let loaded = scenario::from_str(text, "bounds.toml", std::path::Path::new("."), &[]);
    loaded.map(|loaded| loaded.scenario).map_err(|error| error.to_string())
}

const BASE: &str =
    "replications = 1\n[arrivals]\nrate = \"10/s\"\n[workers]\nservice_time = \"8ms\"\noverhead = \"0s\"\n";

#[track_caller]
fn refused(duration: &str, more: &str, expected: &[&str]) {
    let error = read(&format!("duration = \"{duration}\"\n{BASE}{more}")).expect_err("must be refused");
    for part in expected {
        assert!(error.contains(part), "`{part}` is not in\n{error}");
    }
}

#[test]
fn intervals_have_a_lower_bound_that_follows_from_the_duration() {
    let at_least = "at least \"";
    refused(
        "1h",
        "[policy]\nobserve = \"1ns\"",
        &["bounds.toml:9:11", "`policy.observe`: 1 ns is too short", "at least \"36 µs\""],
    );
    refused(
        "1h",
        "[autoscaler]\nmax = 3\nsync = \"1ns\"",
        &["bounds.toml:10:8", "`autoscaler.sync`: 1 ns", at_least],
    );
    // Short runs may look often, but what waits to be used must fit into the memory.
    refused("1ms", "[autoscaler]\nmax = 3\nsync = \"100ns\"", &["`metric_age`, 30 s", "at least \"300 µs\""]);
    refused(
        "1h",
        "[gateway]\nreadiness = \"circuit\"\nreadiness_period = \"1ns\"",
        &["readiness_period", at_least],
    );
    refused("1h", "crash_every = \"1ns\"", &["workers.crash_every", at_least]);
    refused("1h", "stalled_interval = \"1ns\"", &["workers.stalled_interval", at_least]);
    refused("1h", "[report]\nstep = \"1ns\"", &["report.step"]);
    refused(
        "1h",
        "[alerts]\nrejection_window = \"1ns\"",
        &["alerts.rejection_window", "in whole milliseconds"],
    );
    for arrivals in [
        "process = \"on-off\"\nrate = \"1/s\"\non = \"1ns\"\noff = \"1ns\"",
        "process = \"mmpp\"\nstates = [{ rate = \"0/s\", mean = \"1ns\" }, { rate = \"0/s\", mean = \"1ns\" }]",
        "phases = [{ rate = \"1/s\", cycle = { amplitude = 1.0, period = \"1ns\" } }]",
    ] {
        let text = format!("duration = \"1h\"\n[arrivals]\n{arrivals}\n[workers]\nservice_time = \"8ms\"\n");
        assert!(read(&text).expect_err("must be refused").contains(at_least), "{arrivals}");
    }
}

/// Settings at their extremes: each is refused, or begins and can be stopped.
#[test]
fn no_extreme_value_aborts_or_runs_for_ever() {
    const VALUES: [&str; 9] = ["1ns", "1us", "1ms", "1s", "1h", "30d", "10y", "99y", "0s"];
    const SETTINGS: [&str; 14] = [
        "policy.observe",
        "autoscaler.sync",
        "autoscaler.metric_age",
        "gateway.readiness_period",
        "gateway.check_latency",
        "gateway.depth_age",
        "workers.crash_every",
        "workers.restart_after",
        "workers.stalled_interval",
        "workers.lock",
        "alerts.scrape_interval",
        "alerts.evaluation_interval",
        "alerts.rejection_window",
        "report.step",
    ];
    let text =
        format!("duration = \"30d\"\n{BASE}[gateway]\nreadiness = \"circuit\"\n[autoscaler]\nmax = 3\n");
    let mut begun = 0;
    for setting in SETTINGS {
        for value in VALUES {
            let overrides = [format!("{setting}={value}")];
            let Ok(loaded) = scenario::from_str(&text, "x.toml", std::path::Path::new("."), &overrides)
            else {
                continue;
            };
            begun += 1;
            let stop = After::millis(2);
            let began = Instant::now();
            experiment::run(&loaded.scenario, &stop);
            assert!(began.elapsed() < Duration::from_secs(5), "{setting} = {value}: {:?}", began.elapsed());
        }
    }
    assert!(begun > 40, "{begun}");
}

/// Interrupts after some time, and remembers when it first said so.
struct After {
    began: Instant,
    patience: Duration,
    said: AtomicBool,
}

impl After {
    fn millis(millis: u64) -> Self {
        Self { began: Instant::now(), patience: Duration::from_millis(millis), said: AtomicBool::new(false) }
    }
}

impl Progress for After {
    fn interrupted(&self) -> bool {
        let over = self.began.elapsed() > self.patience;
        self.said.fetch_or(over, Ordering::Relaxed);
        over
    }
}

/// The bar is 0.5 s; 5 s do not depend on what else the machine does.
#[test]
fn an_interrupt_ends_any_long_run() {
    let runs = [
        format!("duration = \"30d\"\n{}", BASE.replace("10/s", "100k/s")),
        format!("duration = \"365d\"\n{BASE}[policy]\nobserve = \"500ms\"\n"),
        format!("duration = \"30d\"\n{BASE}[start]\ndepth = 20000000\n"),
        format!(
            "duration = \"30d\"\n{BASE}[gateway]\ninstances = 1000\n[policy]\nobserve = \"100ms\"\n[alerts]\nenabled = false\n"
        ),
        format!("duration = \"30d\"\n{BASE}[clients]\nretries = 1000\ntimeout = \"1ms\"\n"),
    ];
    for text in runs {
        let scenario = read(&text).unwrap_or_else(|error| panic!("{error}"));
        let stop = After::millis(100);
        let found = experiment::run(&scenario, &stop);
        let took = stop.began.elapsed().saturating_sub(stop.patience);
        println!("interrupted after {took:?}: {}", text.lines().last().unwrap_or_default());
        assert!(found.is_none() && stop.said.load(Ordering::Relaxed), "it ended by itself: {text}");
        assert!(took < Duration::from_secs(5), "{took:?}: {text}");
    }
}

/// However often a run is asked, it finds the same.
#[test]
fn being_asked_changes_nothing() {
    struct Patient;
    impl Progress for Patient {
        fn interrupted(&self) -> bool {
            std::hint::black_box(false)
        }
    }
    let scenario =
        read(&format!("duration = \"20s\"\n{}[start]\ndepth = 700\n", BASE.replace("10/s", "200/s")))
            .unwrap();
    let [asked, alone] =
        [experiment::run(&scenario, &Patient), experiment::run(&scenario, &Unattended)].map(Option::unwrap);
    assert_eq!(asked.summary.digest, alone.summary.digest);
    let outcome = backpressure_sim::model::run(&scenario.model, scenario.seed, 0);
    assert_eq!(outcome.digest(), alone.replications[0].digest);
}

/// What a trace of that content gives, with that duration and more lines in `[arrivals]`.
fn traced(
    duration: &str,
    more: &str,
    content: &[u8],
    tables: &str,
) -> Result<(ArrivalSource, Vec<String>), String> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("t.csv"), content).unwrap();
    let text = format!(
        "duration = \"{duration}\"\n[arrivals]\nprocess = \"trace\"\nfile = \"t.csv\"\n{more}\n\
         [workers]\nservice_time = \"1s\"\noverhead = \"0s\"\n{tables}"
    );
    let loaded =
        scenario::from_str(&text, "a.toml", folder.path(), &[]).map_err(|error| error.to_string())?;
    Ok((loaded.scenario.model.sources[0].clone(), loaded.scenario.warnings))
}

/// Times in milliseconds and counts.
fn counts(source: &ArrivalSource) -> Vec<(u64, u64)> {
    let pair = |at: u64, count| (at / 1_000_000, count);
    match &source.process {
        ArrivalProcess::Batches { batches, .. } => {
            batches.iter().map(|ArrivalBatch { at, count, .. }| pair(at.0, *count)).collect()
        }
        ArrivalProcess::Trace(arrivals) => arrivals.iter().map(|arrival| pair(arrival.at.0, 1)).collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_trace_is_read_as_others_write_it() {
    let tens = [(0, 10), (60_000, 20)];
    for content in [
        "time_s;count\n0;10\n60;20\n",
        "time_s\tcount\n0\t10\n60\t20\n",
        "Time_S,Count\n0,10\n60,20\n",
        "# exported by hand\n\ntime_s,count\n0,10\n60,20\n",
        "\u{feff}time_s,count\r\n0,10\r\n60,20\r\n",
        "time_s;count\n0,0;10\n60,0;20\n",
        "time_s,count\n0,1e1\n60,2e1\n",
        "timestamp,count\n1714730400,10\n1714730460,20\n",
        "time_s,count\n1714730400,10\n1714730460,20\n",
        "time_ms,count\n1714730400000,10\n1714730460000,20\n",
        "timestamp,count\n1714730400000,10\n1714730460000,20\n",
        "timestamp,count\n1714730400000000,10\n1714730460000000,20\n",
        "timestamp,count\n1714730400000000000,10\n1714730460000000000,20\n",
        "\"time\",\"count\"\n\"2024-05-03T10:00:00Z\",\"10\"\n\"2024-05-03T12:01:00+02:00\",\"20\"\n",
        "time_s,count\n2024-05-03 10:00:00,10\n2024-05-03 10:01:00,20\n",
        "timestamp,count\n03/May/2024:10:00:00 +0000,10\n03/May/2024:10:01:00 +0000,20\n",
    ] {
        let (source, _) =
            traced("10m", "", content.as_bytes(), "").unwrap_or_else(|error| panic!("{content}\n{error}"));
        assert_eq!(counts(&source), tens, "{content}");
    }
    let words: Vec<u8> = "time_s,count\n0,10\n60,20\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(counts(&traced("10m", "", &[&[0xff, 0xfe], &words[..]].concat(), "").unwrap().0), tens);

    let llm = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03.9799600,4808,10\n2023-11-16 18:17:04.0319600,3180,8\n";
    let (source, warnings) = traced("10m", "", llm.as_bytes(), "").unwrap();
    assert_eq!(counts(&source), [(0, 1), (52, 1)]);
    assert!(warnings.iter().any(|text| text.contains("`ContextTokens`, `GeneratedTokens`")), "{warnings:?}");
    assert!(warnings.iter().any(|text| text.contains("2023-11-16T18:17:03.97996Z")), "{warnings:?}");
}

#[test]
fn the_start_of_a_trace_can_be_chosen() {
    let friday = "time_s,count\n1714730400,10\n1714730460,20\n1714730520,30\n";
    let from = |start: &str| {
        traced("10m", &format!("start = {start}"), friday.as_bytes(), "").map(|(source, _)| counts(&source))
    };
    let later = vec![(0, 20), (60_000, 30)];
    assert_eq!(from("\"first\"").unwrap().len(), 3);
    for start in [
        "\"2024-05-03T10:01:00Z\"",
        "2024-05-03T10:01:00Z",
        "1714730460",
        "\"1714730460\"",
        "\"1714730460000\"",
    ] {
        assert_eq!(from(start).as_ref(), Ok(&later), "{start}");
    }
    assert!(from("\"soon\"").unwrap_err().contains("`soon` is not a time"));
    assert!(from("\"2025-01-01\"").unwrap_err().contains("come before `start`"));
    assert!(
        from("\"1970-01-02T00:00:00Z\"").unwrap_err().contains("none of its 60 arrivals falls into the run")
    );
    let late = traced("10m", "", b"time_s\n3600\n3700\n", "").unwrap_err();
    for part in ["a.toml:4", "none of its 2 arrivals falls into the run", "start = \"first\""] {
        assert!(late.contains(part), "{part}: {late}");
    }
    assert_eq!(
        counts(&traced("10m", "start = \"first\"", b"time_s\n3600\n3700\n", "").unwrap().0),
        [(0, 1), (100_000, 1)]
    );
}

#[test]
fn a_total_count_is_split_by_the_shares() {
    let tables = "[[class]]\nname = \"a\"\nshare = 0.25\n[[class]]\nname = \"b\"\nshare = 0.75\n";
    let (source, _) = traced("2m", "", b"time_s,count\n0,4000\n60,4000\n", tables).unwrap();
    assert_eq!(source.classes, [(0, 0.25), (1, 0.75)]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("t.csv"), "time_s,count\n0,4000\n60,4000\n").unwrap();
    let text = format!(
        "duration = \"2m\"\n[arrivals]\nprocess = \"trace\"\nfile = \"t.csv\"\n[workers]\nservice_time = \"1ms\"\n{tables}"
    );
    let scenario = scenario::from_str(&text, "a.toml", folder.path(), &[]).unwrap().scenario;
    let outcome = backpressure_sim::model::run(&scenario.model, 1, 0);
    let offered: Vec<u64> = outcome.classes.iter().map(|class| class.offered).collect();
    assert_eq!(offered.iter().sum::<u64>(), 8_000);
    // 2,000 expected, with a standard deviation of 39.
    assert!(offered[0].abs_diff(2_000) < 200, "{offered:?}");
}

#[test]
fn what_is_no_trace_is_named_with_the_way_to_convert_it() {
    let cases: [(&str, &[&str]); 9] = [
        (
            r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#,
            &["an answer of Prometheus", "simulate import "],
        ),
        (
            r#"[{"id":"1","timestamp":1700000000123,"processedOn":1,"finishedOn":2}]"#,
            &["BullMQ jobs", "simulate import"],
        ),
        (
            r#"{"metrics":{"http_reqs":{"count":45765}}}"#,
            &["the summary of a run of k6", "k6 run --out json"],
        ),
        (
            "h - - [01/Jul/1995:00:00:01 -0400] \"GET /a/ HTTP/1.0\" 200 6245\n",
            &["an access log", "simulate import"],
        ),
        (
            "HashOwner,HashApp,HashFunction,Trigger,1,2\naa,bb,cc,http,0,12\n",
            &["Azure Functions", "simulate import"],
        ),
        ("0.5\n1.5\n", &["the first line holds values", "time_s"]),
        ("time_s,rate\n0,1\n", &["counts of jobs, not rates"]),
        ("BZh91AY", &["compressed by bzip2", "bunzip2"]),
        ("time_s,count\n0,10.5\n", &["`10.5` is not a count", "t.csv:2:3"]),
    ];
    for (content, expected) in cases {
        let error = traced("10m", "", content.as_bytes(), "").expect_err(content);
        for part in expected {
            assert!(error.contains(part), "`{part}` is not in\n{error}");
        }
    }
}

#[test]
fn a_file_of_another_language_or_hand_is_told_so() {
    let cases: [(&str, &[&str]); 8] = [
        (
            "duration: 10s\narrivals:\n  rate: 1k/s\n",
            &["x.toml:1:1", "this is YAML", "duration = \"10s\"", "1 mistake"],
        ),
        ("{\"duration\": \"10s\"}\n", &["this is JSON", "1 mistake"]),
        ("duration = “10s”\n", &["x.toml:1:12", "`“` is not a quote of TOML", "write duration = \"10s\""]),
        ("[arrivals]\nrate = 10_000/s\n", &["x.toml:2:8", "`10_000/s` must be quoted", "write \"10_000/s\""]),
        ("duration = 1_000s # long\n", &["`1_000s` must be quoted"]),
        ("[redis]\nmaxmemory = 2GiB\n", &["write \"2GiB\""]),
        ("[policy]\nshed_at = 80%\n", &["write \"80%\""]),
        ("[workers]\nprocesses\u{a0}= 10\n", &["no-break space"]),
    ];
    for (text, expected) in cases {
        let error =
            scenario::from_str(text, "x.toml", std::path::Path::new("."), &[]).expect_err(text).to_string();
        for part in expected {
            assert!(error.contains(part), "`{part}` is not in\n{error}");
        }
    }
    let named = |name: &str| read(&format!("duration = \"10s\"\n{BASE}[[class]]\nname = \"{name}\"\n"));
    assert!(named("total").unwrap_err().contains("what reports call all classes together"));
    assert!(named("totals").is_ok());
}

#[test]
fn settings_without_effect_are_told() {
    let warnings =
        |more: &str| read(&format!("duration = \"60s\"\n{BASE}{more}")).unwrap().warnings.join("\n");
    assert!(warnings("[clients]\nretries = 3").contains("tries again in the same instant"));
    assert!(!warnings("[clients]\nretries = 3\nbackoff = \"exponential\"").contains("clients"));
    assert!(
        warnings("[clients]\nbackoff = \"fixed\"")
            .contains("`clients.backoff` has no effect without `retries`")
    );
    assert!(warnings("[clients]\nretries = 1\npause = \"1s\"").contains("`clients.pause` has no effect"));
    assert!(warnings("[[fault]]\nkind = \"redis-outage\"\nat = \"10s\"").contains("lasts to the end"));
    assert!(
        !warnings("[[fault]]\nkind = \"redis-outage\"\nat = \"10s\"\nfor = \"5s\"")
            .contains("lasts to the end")
    );
}
