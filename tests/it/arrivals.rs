//! How a scenario says when jobs arrive, beyond rates that stay.

use std::io::Write;

use backpressure_sim::engine::time::{SimDuration, SimTime};
use backpressure_sim::model::config::{ArrivalBatch, ArrivalProcess, ArrivalSource, Curve, Spread};
use backpressure_sim::model::distribution::Distribution;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::scenario::{TWO_CLASSES, check_set, folder, good, load_from, seconds};

/// A scenario with these arrivals.
fn with(duration: &str, arrivals: &str) -> String {
    format!("duration = \"{duration}\"\n[arrivals]\n{arrivals}\n[workers]\nservice_time = \"8ms\"\n")
}

#[track_caller]
fn source(duration: &str, arrivals: &str) -> ArrivalSource {
    let model = good(&with(duration, arrivals), &[]).model;
    let [source] = &model.sources[..] else { panic!("one source") };
    source.clone()
}

#[track_caller]
fn refuse(arrivals: &str, expected: &[&str]) {
    check_set(&with("60s", arrivals), &[], expected);
}

#[test]
fn phases_ramp_and_cycle() {
    let source = source(
        "60s",
        r#"phases = [
            { name = "up", for = "10s", rate = "1k/s", ramp_to = "3k/s" },
            { name = "day", for = "20s", rate = "3k/s", cycle = { amplitude = 0.5, period = "8s", peak_at = "12s" } },
            { name = "down", rate = "3k/s", ramp_to = "0/s" },
        ]"#,
    );
    assert_eq!(source.phases[0].curve, Curve::Ramp(3000.0));
    assert_eq!(source.phases[1].curve, Curve::Cycle { amplitude: 0.5, period: 8.0, peak_at: 12.0 });
    // A ramp to the end ends with the run.
    assert_eq!(source.phases[2].end, SimTime::ZERO + seconds(60.0));
    for (time, rate) in
        [(0.0, 1000.0), (5.0, 2000.0), (12.0, 4500.0), (16.0, 1500.0), (30.0, 3000.0), (45.0, 1500.0)]
    {
        assert!((source.rate_at(SimTime::ZERO + seconds(time)) - rate).abs() < 1e-9, "{time}");
    }
    refuse(
        "phases = [{ rate = \"1/s\", ramp_to = \"2/s\", cycle = { amplitude = 1.5 } }]",
        &[
            "`arrivals.phases.0.ramp_to`: a phase cannot both ramp and cycle",
            "`1.5` is above the largest allowed, 1",
        ],
    );
    refuse("phases = [{ rate = \"1/s\", cycle = {} }]", &["`arrivals.phases.0.cycle.amplitude` is missing"]);
}

#[test]
fn the_highest_rate_is_found_wherever_it_is() {
    let peak = |arrivals: &str| good(&with("100s", arrivals), &[]).model.peak_rate();
    let near = |a: f64, b: f64| (a - b).abs() < 1e-3;
    assert!(near(
        peak("phases = [{ for = \"10s\", rate = \"1/s\", ramp_to = \"9/s\" }, { rate = \"2/s\" }]"),
        9.0
    ));
    let cycle =
        "phases = [{ rate = \"10/s\", cycle = { amplitude = 0.4, period = \"70s\", peak_at = \"65s\" } }]";
    assert!(near(peak(cycle), 14.0));
    let mut model = good(&with("100s", cycle), &[]).model;
    let jobs = model.offered_jobs(0);
    model.scale_load(3.0);
    assert!(near(model.peak_rate(), 42.0) && near(model.offered_jobs(0), 3.0 * jobs));
}

#[test]
fn states_take_turns() {
    let ArrivalProcess::Modulated(modulation) = source(
        "60s",
        r#"process = "mmpp"
        start = "calm"
        [[arrivals.states]]
        name = "calm"
        rate = "100/s"
        mean = "9s"
        next = [{ state = "busy", probability = 0.75 }, { state = "mad", probability = 0.25 }]
        [[arrivals.states]]
        name = "busy"
        rate = "500/s"
        mean = "2s"
        [[arrivals.states]]
        name = "mad"
        rate = "5k/s"
        mean = "1s"
        next = [{ state = "calm", probability = 1 }]"#,
    )
    .process
    else {
        panic!("modulated")
    };
    assert_eq!(modulation.start, Some(0));
    assert_eq!(modulation.states[0].next, [0.0, 0.75, 0.25]);
    assert_eq!(modulation.states[1].next, [0.5, 0.0, 0.5]);
    // Visits v: v0 = v1 / 2 + v2, v1 = 3/4 v0, v2 = v0 / 4 + v1 / 2, so v is as 8 : 6 : 5, and time as 72 : 12 : 5.
    let mean = (72.0 * 100.0 + 12.0 * 500.0 + 5.0 * 5000.0) / 89.0;
    assert!((modulation.mean_rate() - mean).abs() < 1e-6, "{}", modulation.mean_rate());

    let on_off = source(
        "60s",
        "process = \"on-off\"\nrate = \"4k/s\"\non = \"2s\"\noff = { distribution = \"exponential\", mean = \"6s\" }",
    );
    assert_eq!(on_off.phases[0].rate, 1000.0);
    let ArrivalProcess::Modulated(modulation) = on_off.process else { panic!("modulated") };
    assert_eq!(modulation.states[0].sojourn, Distribution::Deterministic { mean: 2.0 });
    assert_eq!(modulation.start, None);

    let state = |more: &str| format!("[[arrivals.states]]\nrate = \"1/s\"\nmean = \"1s\"\n{more}\n");
    let states = |list: [&str; 2]| format!("process = \"mmpp\"\n{}{}", state(list[0]), state(list[1]));
    refuse("process = \"mmpp\"", &["`arrivals.states` is missing"]);
    refuse(&format!("process = \"mmpp\"\n{}", state("")), &["1 states are not from 2 to 100"]);
    refuse(&states(["name = \"a\"", "name = \"a\""]), &["there is already a state `a`"]);
    refuse(
        &states(["name = \"a\"\nnext = [{ state = \"bee\", probability = 1 }]", "name = \"been\""]),
        &["there is no state `bee`; did you mean `been`?", "states: a, been"],
    );
    refuse(
        &states(["name = \"a\"\nnext = [{ state = \"b\", probability = 0.5 }]", "name = \"b\""]),
        &["the probabilities add up to 0.5, not 1"],
    );
    refuse(
        &format!(
            "{}{}",
            states([
                "name = \"a\"\nnext = [{ state = \"b\", probability = 1 }]",
                "name = \"b\"\nnext = [{ state = \"a\", probability = 1 }]"
            ]),
            state("name = \"c\"")
        ),
        &["the state `c` cannot be reached"],
    );
    refuse("process = \"on-off\"\nrate = \"1/s\"\non = \"1s\"", &["`arrivals.off` is missing"]);
    refuse(
        "process = \"on-off\"\nrate = \"1/s\"\non = \"1s\"\noff = \"1s\"\nstart = \"offf\"",
        &["there is no state `offf`; did you mean `off`?"],
    );
}

fn batches(source: &ArrivalSource) -> Vec<ArrivalBatch> {
    let ArrivalProcess::Batches { batches, .. } = &source.process else { panic!("batches") };
    batches.to_vec()
}

#[test]
fn schedules_start_when_cron_would() {
    let starts = |duration: &str, schedule: &str, start: &str| -> Vec<f64> {
        let arrivals =
            format!("process = \"cron\"\nschedule = \"{schedule}\"\njobs = 10\nstarts_at = \"{start}\"");
        batches(&source(duration, &arrivals)).iter().map(|batch| batch.at.as_secs_f64()).collect()
    };
    let hour = 3600.0;
    // crontab(5): minute, hour, day of month, month, day of week; a step counts from the beginning of its range.
    assert_eq!(starts("2d", "0 2 * * *", "2026-01-05 00:00"), [2.0 * hour, 26.0 * hour]);
    assert_eq!(starts("1h", "*/20 * * * *", "2026-01-05T00:10:00"), [600.0, 1800.0, 3000.0]);
    assert_eq!(starts("1m", "15,45 * * * * *", "2026-01-05T00:00:30"), [15.0, 45.0]);
    assert_eq!(starts("3d", "30 8 * * 1-5", "2026-01-09 00:00"), [8.5 * hour]);
    // 2028 is a leap year.
    assert_eq!(starts("3d", "0 0 29 2 *", "2028-02-28 00:00"), [24.0 * hour]);
    // Both days given: either of them (crontab(5)). 2026-01-13 is a Tuesday, the 16th a Friday.
    assert_eq!(starts("5d", "0 0 13 * 5", "2026-01-12 00:00"), [24.0 * hour, 96.0 * hour]);
    assert_eq!(starts("1h", "0 2 * * *", "2026-01-05 00:00"), [0.0; 0]);

    let nightly = source(
        "1d",
        "process = \"cron\"\nschedule = \"0 2 * * *\"\njobs = \"50k\"\nwithin = \"10m\"\nspread = \"even\"",
    );
    let batch = ArrivalBatch {
        at: SimTime::ZERO + seconds(7200.0),
        within: seconds(600.0),
        count: 50_000,
        class: None,
    };
    assert_eq!(batches(&nightly), [batch]);
    assert!(matches!(nightly.process, ArrivalProcess::Batches { spread: Spread::Even, .. }));

    refuse(
        "process = \"cron\"\nschedule = \"0 25 * * *\"\njobs = 1",
        &["`arrivals.schedule`: `0 25 * * *`:"],
    );
    refuse("process = \"cron\"\nschedule = \"0 2 * *\"\njobs = 1", &["`arrivals.schedule`: `0 2 * *`:"]);
    refuse(
        "process = \"cron\"\nschedule = \"0 2 * * *\"\njobs = 1\nstarts_at = \"monday\"",
        &["`monday` is not a date and time of day", "such as \"2026-01-05T08:30:00\""],
    );
}

#[test]
fn counts_are_of_the_time_up_to_the_next() {
    let read = |csv: &[u8], more: &str| {
        let text = TWO_CLASSES.replace("\"trace.csv\"", &format!("\"trace.csv\"{more}"));
        load_from(&folder(&[("trace.csv", csv), ("a.toml", text.as_bytes())]), "a.toml")
    };
    let batch = |at: f64, within: f64, count, class| ArrivalBatch {
        at: SimTime::ZERO + seconds(at),
        within: seconds(within),
        count,
        class: Some(class),
    };
    let csv = b"time_s,class,count\n0,alarm,2\n0,telemetry,70\n10,telemetry,0\n15,alarm,8\n";
    let loaded = read(csv, "").unwrap();
    let source = &loaded.scenario.model.sources[0];
    let expected =
        [batch(0.0, 10.0, 2, 0), batch(0.0, 10.0, 70, 1), batch(10.0, 5.0, 0, 1), batch(15.0, 5.0, 8, 0)];
    assert_eq!(batches(source), expected);
    assert_eq!(source.classes, [(0, 0.125), (1, 0.875)]);
    let with_interval = read(csv, ", interval = \"1s\", spread = \"even\"").unwrap();
    assert!(
        batches(&with_interval.scenario.model.sources[0])
            .iter()
            .all(|batch| batch.within == SimDuration::SECOND)
    );

    // The same bytes out of a gzip file, whatever its name.
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(csv).unwrap();
    let packed = gzip.finish().unwrap();
    assert_eq!(batches(&read(&packed, "").unwrap().scenario.model.sources[0]), expected);
    let broken = read(&packed[..packed.len() / 2], "").unwrap_err();
    assert!(broken.contains("its gzip data are truncated or damaged"), "{broken}");

    let refused = |csv: &str, more: &str, expected: &str| {
        let error = read(csv.as_bytes(), more).unwrap_err();
        assert!(error.contains(expected), "`{expected}` is not in\n{error}");
    };
    refused("time_s,class,count\n0,alarm,2\n1,alarm,-3\n", "", "trace.csv:3:9");
    refused("time_s,class,count\n0,alarm,2.5\n", "", "`2.5` is not a count");
    refused("time_s,class,count\n0,alarm,2\n", "", "`arrivals.interval` is missing");
    refused("time_s,class,count,service_ms\n0,alarm,2,5\n", "", "a count cannot have a service demand");
    refused("time_s,class,count,count\n0,alarm,2,5\n", "", "two columns hold the count");
    refused("time_s,class\n0,alarm\n", ", spread = \"even\"", "there is no column `count` in the file");
}
