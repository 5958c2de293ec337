//! Scenario files: a good one gives exactly these settings, a bad one exactly these messages.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use backpressure::{OnUnknownDepth, Priority, State};
use backpressure_sim::engine::time::{SimDuration, SimTime};
use backpressure_sim::model::config::{
    ArrivalProcess, Discipline, Gateway, MemoryModel, Observe, OnFull, Queue, Redis, Start, TracedArrival,
    Workers,
};
use backpressure_sim::model::distribution::Distribution;
use backpressure_sim::model::metric::Metric;
use backpressure_sim::scenario::slo::{Relation, Statistic};
use backpressure_sim::scenario::{Kind, Loaded, Origin, Scenario, ScenarioError, from_str, load};

const GOOD: &str = r#"#:schema ../schema.json
# Does a spike to 20k/s leave alarms unharmed?
# Expected: yes.

name = "spike-20k"
duration = "5m"
warmup = "5s"
seed = 42
replications = 20
recovery_hold = "1s"
slo = [ "recovery_seconds.p95 < 120", "peak_depth_jobs <= 51000", "lost_jobs{class=critical-alarm} == 0" ]

[report]
step = "500ms"

[arrivals]
process = "poisson"
phases = [
  { name = "calm",  for = "60s", rate = "6k/s" },
  { name = "spike", for = "60s", rate = "20k/s", spike = true },
  { name = "after",              rate = "6k/s" },
]

[[class]]
name = "critical-alarm"
priority = 1
share = 0.01
payload = "512B"

[[class]]
name = "telemetry"
share = "99%"
payload = { distribution = "lognormal", mean = "1KiB", cv = 2 }
service_time = { distribution = "erlang", shape = 4, mean = "5ms" }

[start]
depth = 100
circuit = "half_open"

[policy]
kind = "spec"
enabled = true
recovery = 5000
warning = "10k"
critical = 50_000
shed_at = 0.75
reopen_at = 40000
observe = "1s"
on_unknown_depth = "urgent-only"
default_priority = 7

[gateway]
instances = 4
check_latency = "3ms"
depth_age = "250ms"

[queue]
discipline = "priority"
capacity = "1M"

[workers]
processes = 5
concurrency = 20
overhead = "1.5ms"
service_time = { distribution = "lognormal", mean = "8ms", cv = 0.5 }

[redis]
maxmemory = "2GiB"
on_full = "crash"
base = "2MiB"
job_overhead = "700B"
payload_factor = 1.25
restart_after = "10s"
"#;

/// The least that is a scenario.
const SMALL: &str = r#"duration = "60s"
[arrivals]
rate = "6k/s"
[workers]
service_time = "8ms"
"#;

fn read(text: &str, set: &[&str]) -> Result<Loaded, ScenarioError> {
    let set: Vec<String> = set.iter().map(ToString::to_string).collect();
    let result = from_str(text, "scenarios/x.toml", Path::new("tests/data"), &set);
    if let Ok(loaded) = &result {
        crate::schema::knows(loaded);
        if set.is_empty() {
            crate::schema::check_accepts(text);
        }
    }
    result
}

#[track_caller]
pub(crate) fn good(text: &str, set: &[&str]) -> Scenario {
    read(text, set).unwrap_or_else(|error| panic!("{error}")).scenario
}

/// The rendering of the mistakes contains the fragments, in this order.
#[track_caller]
pub(crate) fn check_set(text: &str, set: &[&str], expected: &[&str]) {
    let rendered = match read(text, set) {
        Ok(_) => panic!("must be refused"),
        Err(error) => error.to_string(),
    };
    let mut rest = rendered.as_str();
    for fragment in expected {
        let at = rest.find(fragment).unwrap_or_else(|| panic!("`{fragment}` is not next in\n{rendered}"));
        rest = &rest[at + fragment.len()..];
    }
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    check_set(text, &[], expected);
}

/// The good file with a piece replaced.
#[track_caller]
fn but(piece: &str, replacement: &str) -> String {
    assert!(GOOD.contains(piece), "{piece}");
    GOOD.replace(piece, replacement)
}

pub(crate) fn seconds(seconds: f64) -> SimDuration {
    SimDuration::from_secs_f64(seconds)
}

/// A folder with data files beside a scenario.
pub(crate) fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

#[track_caller]
pub(crate) fn load_from(folder: &tempfile::TempDir, name: &str) -> Result<Loaded, String> {
    let result = load(&folder.path().join(name), &[]);
    if let Ok(loaded) = &result {
        crate::schema::knows(loaded);
        crate::schema::check_accepts(&loaded.scenario.source);
    }
    result.map_err(|error| error.to_string())
}

#[test]
fn a_full_file_gives_its_settings() {
    let scenario = good(GOOD, &[]);
    assert_eq!(scenario.name, "spike-20k");
    assert_eq!(scenario.question, "Does a spike to 20k/s leave alarms unharmed?\nExpected: yes.");
    assert_eq!(scenario.source, GOOD);
    assert_eq!((scenario.seed, scenario.replications), (42, 20));
    let slo: Vec<_> = scenario
        .slo
        .iter()
        .map(|s| (s.metric().expect("a metric"), s.class, s.statistic, s.relation, s.limit))
        .collect();
    assert_eq!(
        slo,
        [
            (Metric::Recovery, None, Statistic::P95, Relation::Less, 120.0),
            (Metric::PeakDepth, None, Statistic::Mean, Relation::LessOrEqual, 51_000.0),
            (Metric::Lost, Some(0), Statistic::Mean, Relation::Equal, 0.0),
        ]
    );

    let model = &scenario.model;
    assert_eq!(
        (model.horizon, model.warmup, model.recovery_hold, model.series_step),
        (seconds(300.0), seconds(5.0), seconds(1.0), seconds(0.5))
    );
    let workers_service = Distribution::Lognormal { mean: 0.008, cv: 0.5 };
    assert_eq!((model.classes[0].name.as_str(), model.classes[0].priority.get()), ("critical-alarm", 1));
    assert_eq!(model.classes[0].payload, Distribution::Deterministic { mean: 512.0 });
    assert_eq!(model.classes[0].service_time, workers_service);
    assert_eq!((model.classes[1].name.as_str(), model.classes[1].priority.get()), ("telemetry", 7));
    assert_eq!(model.classes[1].payload, Distribution::Lognormal { mean: 1024.0, cv: 2.0 });
    assert_eq!(model.classes[1].service_time, Distribution::Erlang { shape: 4, mean: 0.005 });

    let [source] = model.sources.as_slice() else { panic!("one source") };
    assert!(matches!(source.process, ArrivalProcess::Poisson));
    assert_eq!(source.classes, [(0, 0.01), (1, 0.99)]);
    let phases: Vec<_> = source.phases.iter().map(|p| (p.name.as_str(), p.end, p.rate, p.spike)).collect();
    let minute = SimTime::ZERO + seconds(60.0);
    assert_eq!(
        phases,
        [
            ("calm", minute, 6_000.0, false),
            ("spike", minute + seconds(60.0), 20_000.0, true),
            ("after", SimTime::NEVER, 6_000.0, false),
        ]
    );

    let policy = &model.policy.config;
    assert_eq!((policy.recovery(), policy.warning(), policy.critical()), (5_000, 10_000, 50_000));
    assert_eq!((policy.sheds_at(), policy.reopen_at(), policy.enabled()), (37_500, 40_000, true));
    assert_eq!(policy.on_unknown_depth(), OnUnknownDepth::UrgentOnly);
    assert_eq!(policy.default_priority(), Priority::new(7).unwrap());
    assert_eq!(model.policy.observe, Observe::Every(SimDuration::SECOND));
    assert_eq!(model.start, Start { jobs: 100, circuit: State::HalfOpen });
    assert_eq!(
        model.gateway,
        Gateway {
            instances: 4,
            check_latency: seconds(0.003),
            depth_age: seconds(0.25),
            ..Gateway::default()
        }
    );
    assert_eq!(model.queue, Queue { discipline: Discipline::Priority, capacity: Some(1_000_000), queues: 1 });
    assert_eq!(
        model.workers,
        Workers { processes: 5, concurrency: 20, overhead: seconds(0.0015), ..Workers::default() }
    );
    assert_eq!(
        model.redis,
        Redis {
            maxmemory: Some(2 << 30),
            on_full: OnFull::Crash,
            base: 2 << 20,
            memory: MemoryModel::Line { job_overhead: 700.0, payload_factor: 1.25 },
            restart_after: seconds(10.0),
            ..Redis::default()
        }
    );
    let [warning] = scenario.warnings.as_slice() else { panic!("{:?}", scenario.warnings) };
    assert!(warning.contains("reopen_at (40000) is below critical"), "{warning}");
}

#[test]
fn the_least_file_gets_the_defaults() {
    let scenario = good(SMALL, &[]);
    assert_eq!((scenario.name.as_str(), scenario.question.as_str()), ("x", ""));
    assert_eq!((scenario.seed, scenario.replications), (1, 10));
    let model = &scenario.model;
    assert_eq!(model.series_step, seconds(0.2));
    assert_eq!((model.classes[0].name.as_str(), model.classes[0].priority), ("default", Priority::DEFAULT));
    assert_eq!(model.classes[0].payload, Distribution::Deterministic { mean: 256.0 });
    assert_eq!(model.sources[0].classes, [(0, 1.0)]);
    let expected =
        backpressure::Config::builder().observe_every(backpressure::Nanos::from_millis(50)).build();
    assert_eq!(model.policy.config, expected.unwrap());
    assert_eq!(model.policy.observe, Observe::Arrival);
    assert_eq!(model.start, Start { jobs: 0, circuit: State::Closed });
    assert_eq!(model.gateway, Gateway::default());
    assert_eq!(model.queue, Queue::default());
    assert_eq!(model.workers, Workers::default());
    assert_eq!(model.redis, Redis::default());
    let warnings = scenario.warnings.join("\n");
    assert!(warnings.contains("`workers.overhead` is not given"), "{warnings}");
    assert!(
        warnings.contains("the last phase offers 6k/s, but the workers can do at most 125/s"),
        "{warnings}"
    );
}

#[test]
fn the_series_has_some_hundred_points() {
    for (duration, step) in
        [("60s", 0.2), ("5m", 1.0), ("100s", 0.5), ("1h", 10.0), ("10d", 2_000.0), ("1us", 5e-9)]
    {
        let set = format!("duration={duration}");
        assert_eq!(good(SMALL, &[&set]).model.series_step, seconds(step), "{duration}");
    }
}

#[test]
fn settings_know_where_they_come_from() {
    let loaded = read(GOOD, &["policy.critical=60k", "class.critical-alarm.payload=1KiB"]).unwrap();
    let find =
        |path: &str| loaded.settings.iter().find(|s| s.path == path).unwrap_or_else(|| panic!("{path}"));
    assert_eq!(find("policy.critical").origin, Origin::Override { option: "policy.critical=60k".into() });
    assert_eq!(find("policy.critical").value.as_deref(), Some("\"60k\""));
    assert_eq!(find("policy.critical").default.as_deref(), Some("50000"));
    assert_eq!(find("policy.warning").origin, Origin::File { line: 44 });
    assert_eq!(find("class.telemetry.priority").origin, Origin::Default);
    assert_eq!(find("class.telemetry.priority").value.as_deref(), Some("7"));
    assert_eq!(find("class.telemetry.priority").follows, Some("policy.default_priority"));
    assert_eq!(find("class.telemetry.payload.cv").pattern, "class[].payload.cv");
    assert_eq!(find("queue.discipline").kind, Kind::Choice(vec!["fifo", "priority", "lanes"]));
    assert!(find("duration").required);
    assert!(loaded.settings.iter().all(|setting| !setting.doc.is_empty()));
}

#[test]
fn every_default_is_what_it_says() {
    // Writing each default out into the file changes nothing.
    let loaded = read(SMALL, &[]).unwrap();
    let mut set = Vec::new();
    for setting in loaded.settings.iter().filter(|setting| setting.origin == Origin::Default) {
        if let Some(value) = &setting.value {
            set.push(format!("{}={value}", setting.path));
        }
    }
    assert!(set.len() > 20, "{set:?}");
    let set: Vec<&str> = set.iter().map(String::as_str).collect();
    let spelt_out = good(SMALL, &set);
    assert_eq!(format!("{:?}", spelt_out.model), format!("{:?}", loaded.scenario.model));
    assert_eq!(spelt_out.name, loaded.scenario.name);
}

#[test]
fn one_bad_file_as_it_is_shown() {
    let text = r#"# What happens?
duratoin = "60s"
seed = -1
[arrivals]
phases = [
  { name = "calm", for = "10", rate = "6k/s" },
  { name = "spike", rate = "5ms" },
]
[policy]
critcal = 50000
recovery = "20k"
warning = "8k"
[[class]]
name = "alarm"
share = 0.5
[[class]]
name = "alarm"
share = 0.25
[workers]
service_time = { distribution = "lognormal", mean = "8ms" }
"#;
    let shown = read(text, &["workers.processes=0", "queue.displine=fifo"]).unwrap_err().to_string();
    let expected = r#"error: `duratoin` is not a setting of a scenario; did you mean `duration`?
 --> scenarios/x.toml:2:1
  |
2 | duratoin = "60s"
  | ^^^^^^^^ allowed: name, duration, warmup, seed, replications, recovery_hold, slo, expected_misses, report, policy, class, arrivals, queue, start, gateway, workers, database, autoscaler, redis, clients, fault, alerts, sweep, cost, plan

error: `seed`: `-1` is negative
 --> scenarios/x.toml:3:8
  |
3 | seed = -1
  |        ^^ must be a whole number of 0 or more

error: `arrivals.phases.calm.for`: `10` has no unit, but a duration needs one
 --> scenarios/x.toml:6:26
  |
6 |   { name = "calm", for = "10", rate = "6k/s" },
  |                          ^^^^ a duration such as "7.5ms" or "1m30s"; units: ns, us, ms, s, min (m), h, d

error: `arrivals.phases.spike.rate`: `5ms` is a duration, not a rate
 --> scenarios/x.toml:7:28
  |
7 |   { name = "spike", rate = "5ms" },
  |                            ^^^^^ a rate such as "20k/s", "133.5/s" or "12/min"; units: /ms, /s, /min, /h, /d

error: `critcal` is not a setting of `policy`; did you mean `critical`?
  --> scenarios/x.toml:10:1
   |
10 | critcal = 50000
   | ^^^^^^^ allowed: kind, enabled, recovery, warning, critical, shed_at, reopen_at, observe, on_unknown_depth, default_priority

error: `policy.recovery`: recovery must be below warning, but recovery is 20000 and warning is 8000
  --> scenarios/x.toml:11:12
   |
11 | recovery = "20k"
   |            ^^^^^ the rule is recovery < warning < critical

error: `class.1.name`: there is already a class `alarm`
  --> scenarios/x.toml:17:8
   |
17 | name = "alarm"
   |        ^^^^^^^ the first one is in line 14

error: the shares of the classes add up to 0.75, not 1
  --> scenarios/x.toml:18:9
   |
18 | share = 0.25
   |         ^^^^ 0.5 + 0.25 = 0.75

error: `workers.service_time.cv` is missing
  --> scenarios/x.toml:20:16
   |
20 | service_time = { distribution = "lognormal", mean = "8ms" }
   |                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ add `cv`: a number from 0.000001 to 1000

error: `workers.processes`: `0` is below the least allowed, 1
 --> --set workers.processes=0
  |
  | workers.processes=0
  |                   ^ must be a whole number from 1 to 1000000

error: `displine` is not a setting of `queue`; did you mean `discipline`?
 --> --set queue.displine=fifo
  |
  | queue.displine=fifo
  |       ^^^^^^^^ allowed: discipline, capacity, queues, lane

11 mistakes"#;
    assert_eq!(shown, expected, "\n{shown}");
}

#[test]
fn unknown_keys_name_the_nearest() {
    check(
        &but("critical = ", "critcal = "),
        &[
            "`critcal` is not a setting of `policy` with kind = \"spec\"; did you mean `critical`?",
            "45:1",
            "45 | critcal = 50_000",
            "   | ^^^^^^^ allowed: kind, enabled, recovery",
            "1 mistake",
        ],
    );
    check(
        &but("[queue]", "[quue]"),
        &["`quue` is not a setting of a scenario; did you mean `queue`?", "57:2"],
    );
    check(
        &but("seed = 42", "concurrency = 3"),
        &["`concurrency` is not a setting of a scenario; it belongs to `workers`"],
    );
    check(
        &but("spike = true", "spik = true"),
        &["`spik` is not a setting of `arrivals.phases.spike`; did you mean `spike`?"],
    );
    check(
        &but("cv = 0.5", "cv = 0.5, scv = 1"),
        &[
            "`scv` is not a setting of `workers.service_time` with distribution = \"lognormal\"; did you mean `cv`?",
        ],
    );
    check(
        &but("\"lognormal\", mean = \"8ms\"", "\"exponential\", mean = \"8ms\""),
        &["`cv` is not a setting of `workers.service_time`", "allowed: distribution, mean"],
    );
    // A misspelt key is not reported as missing on top.
    check(&SMALL.replace("duration", "durration"), &["did you mean `duration`?", "1 mistake"]);
    check(&SMALL.replace("[workers]", "[worker]"), &["did you mean `workers`?", "1 mistake"]);
}

#[test]
fn types_and_units() {
    check(
        &but("critical = 50_000", "critical = \"5s\""),
        &["`policy.critical`: `5s` is a duration, not a count", "a whole number such as 50000"],
    );
    check(&but("critical = 50_000", "critical = [1]"), &["`policy.critical`: a list is not a count"]);
    check(&but("critical = 50_000", "critical = 1.5"), &["`policy.critical`: `1.5` is not a whole number"]);
    check(&but("\"20k/s\"", "\"5ms\""), &["`arrivals.phases.spike.rate`: `5ms` is a duration, not a rate"]);
    check(
        &but("\"20k/s\"", "20_000"),
        &["the number `20000` has no unit, but a rate needs one", "\"20k/s\""],
    );
    check(
        &but("\"5m\"", "300"),
        &["`duration`: the number `300` has no unit, but a duration needs one", "units: ns, us, ms"],
    );
    check(
        &but("\"5m\"", "\"5 parsecs\""),
        &["`duration`: `parsecs` in `5 parsecs` is not a unit of a duration"],
    );
    check(&but("\"5m\"", "true"), &["`duration`: a boolean is not a duration"]);
    check(&but("\"5m\"", "2026-01-01"), &["`duration`: a date is not a duration"]);
    check(
        &but("\"2GiB\"", "\"2s\""),
        &["`redis.maxmemory`: `2s` is a duration, not a size", "none, or a size such as"],
    );
    check(
        &but("payload = \"512B\"", "payload = 512"),
        &["`class.critical-alarm.payload`: the number `512` has no unit"],
    );
    check(
        &but("enabled = true", "enabled = \"yes\""),
        &["`policy.enabled`: a string is not a boolean", "true or false"],
    );
    check(&but("[policy]", "[[policy]]"), &["`policy`: a list is not a table"]);
    check(&but("[[class]]", "[class]"), &["`class` is there already"]);
    check(
        &SMALL.replace("[workers]", "[class]\nname = \"a\"\n[workers]"),
        &["`class`: a table is not a list of tables", "[[class]]"],
    );
    check(&but("name = \"spike-20k\"", "name = 5"), &["`name`: an integer is not a string"]);
}

#[test]
fn bounds() {
    let set = |option: &str, expected: &[&str]| check_set(GOOD, &[option], expected);
    set("workers.processes=0", &["`workers.processes`: `0` is below the least allowed, 1"]);
    set("workers.processes=-3", &["`workers.processes`: `-3` is negative"]);
    set("workers.processes=1e300", &["`1e300` is above the largest allowed", "from 1 to 1000000"]);
    set(
        "workers.processes=100k",
        &["100000 processes x 20 jobs are 2000000 slots, more than the most allowed"],
    );
    set("workers.processes=99999999999999999999999999999999999999999999", &["is above the largest allowed"]);
    set("duration=-5s", &["`duration`: `-5s` is negative"]);
    set("duration=0s", &["`duration`: must be above zero"]);
    set("duration=nan", &["`duration`: `nan` is not a finite number"]);
    set("duration=inf", &["`duration`: `inf` is not a finite number"]);
    set("duration=1e30s", &["`1e30s` is above the largest allowed, 100 years"]);
    check_set(
        SMALL,
        &["duration=60d", "workers.processes=2000"],
        &[
            "60d and services of up to 8 ms are too long for a simulation of 2000 worker slots",
            "below 52d 3h together",
        ],
    );
    set("warmup=5m", &["`warmup`: 5m is not shorter than `duration`, 5m"]);
    set("replications=0", &["`replications`: `0` is below"]);
    set("seed=18446744073709551616", &["`seed`: `18446744073709551616` is above the largest"]);
    set("arrivals.phases.calm.rate=2G/s", &["1e9 per second"]);
    set("redis.maxmemory=2000TiB", &["1 PiB"]);
    set("redis.maxmemory=1MiB", &["leave no room for jobs above `redis.base`"]);
    set("redis.payload_factor=0", &["`redis.payload_factor`: `0` is below the least allowed"]);
    set(
        "class.telemetry.priority=11",
        &["`class.telemetry.priority`: `11` is above the largest allowed, 10"],
    );
    set("workers.service_time=0s", &["`workers.service_time`: must be above zero"]);
    set("workers.service_time.cv=nan", &["`workers.service_time.cv`: `nan` is not a finite number"]);
    set("class.telemetry.service_time.shape=0", &["`0` is below the least allowed, 1"]);
    set("report.step=1ms", &["300000 points are more than the most allowed, 20000", "from 15 ms to 5m here"]);
    set("report.step=6m", &["`report.step`: longer than `duration`"]);
    set("start.depth=2M", &["2000000 jobs are more than `queue.capacity`, 1000000"]);
    set("name=.hidden", &["`.hidden` cannot be the name of a folder"]);
    set("name=a/b", &["`a/b` cannot be the name of a folder"]);
    set("policy.observe=0s", &["a timer must be above zero"]);
    set("policy.observe=arival", &["`arival` is not known here; did you mean `arrival`?"]);
    set("queue.discipline=lanes", &["`queue.lane` is missing", "add [[queue.lane]]"]);
    set("arrivals.process=poison", &["`poison` is not known here; did you mean `poisson`?"]);
    assert_eq!(good(GOOD, &["seed=18446744073709551615"]).seed, u64::MAX);
}

#[test]
fn policy_rules_are_shown_at_the_settings() {
    check(
        &but("critical = 50_000", "critical = 9000"),
        &[
            "`policy.warning`: warning must be below critical, but warning is 10000 and critical is 9000",
            ":44:11",
            "the rule is recovery < warning < critical",
        ],
    );
    check_set(
        SMALL,
        &["policy.critical=9000"],
        &["`policy.critical`: warning must be below critical", "not given here and so the default: warning"],
    );
    check_set(
        GOOD,
        &["policy.reopen_at=9000"],
        &["reopen_at must be from warning (10000) to critical (50000), but is 9000"],
    );
    check_set(GOOD, &["policy.shed_at=0"], &["shed_at must be a fraction of critical above 0"]);
    check_set(
        GOOD,
        &["policy.shed_at=80"],
        &["`policy.shed_at`: `80` is above the largest allowed, 1 (100%)"],
    );
    check_set(GOOD, &["policy.shed_at=0.1234567"], &["`0.1234567` has more than 6 decimals"]);
    // Disabled is no excuse.
    check_set(GOOD, &["policy.enabled=false", "policy.recovery=20k"], &["recovery must be below warning"]);
    // A threshold that could not be read is not compared.
    check_set(GOOD, &["policy.critical=5s"], &["is a duration, not a count", "1 mistake"]);
    assert_eq!(good(GOOD, &["policy.shed_at=33.3333%"]).model.policy.config.sheds_at(), 16_667);
}

#[test]
fn classes_and_shares() {
    check(
        &but("share = 0.01", "share = 0.1"),
        &["the shares of the classes add up to 1.09, not 1", "0.1 + 0.99 = 1.09"],
    );
    check(&but("share = 0.01\n", ""), &["`class.critical-alarm.share` is missing", "[[class]]"]);
    check(
        &but("\"telemetry\"", "\"critical-alarm\""),
        &["there is already a class `critical-alarm`", "the first one is in line 25"],
    );
    check(&but("\"telemetry\"", "\"a b\""), &["`a b` cannot be a name"]);
    check(&but("name = \"telemetry\"\n", ""), &["`class.1.name` is missing"]);
    // A tenth ten times is not exactly 1.
    let ten: String = (0..10).map(|index| format!("[[class]]\nname = \"c{index}\"\nshare = 0.1\n")).collect();
    assert_eq!(good(&format!("{SMALL}{ten}"), &[]).model.classes.len(), 10);
    // One class needs no share, and one with arrivals of its own has none.
    let own = "[[class]]\nname = \"a\"\n[[class]]\nname = \"b\"\narrivals = { process = \"constant\", rate = \"12/min\" }\n";
    let scenario = good(&format!("{SMALL}{own}"), &[]);
    let sources: Vec<_> =
        scenario.model.sources.iter().map(|s| (s.classes.clone(), s.phases[0].rate)).collect();
    assert_eq!(sources, [(vec![(0, 1.0)], 6_000.0), (vec![(1, 1.0)], 0.2)]);
    check(&format!("{SMALL}{own}share = 0.5\n"), &["a class with arrivals of its own has no share"]);
    let alone = &own[own.rfind("[[class]]").unwrap()..];
    check(&format!("{SMALL}{alone}"), &["`arrivals`: no class uses it"]);
    // Classes with their own service times need none from the workers.
    let own_service =
        "duration = \"1m\"\narrivals = { rate = \"1/s\" }\n[[class]]\nname = \"a\"\nservice_time = \"1s\"\n";
    assert_eq!(
        good(own_service, &[]).model.classes[0].service_time,
        Distribution::Deterministic { mean: 1.0 }
    );
    check(&own_service.replace("service_time = \"1s\"", ""), &["`workers.service_time` is missing"]);
}

#[test]
fn arrivals_and_phases() {
    check(&but("process = \"poisson\"", "rate = \"1/s\""), &["there is a rate as well as phases"]);
    check(&SMALL.replace("rate = \"6k/s\"", ""), &["`arrivals.rate` is missing", "2 | [arrivals]"]);
    check(&SMALL.replace("[arrivals]\nrate = \"6k/s\"", ""), &["`arrivals` is missing"]);
    check(
        &but("for = \"60s\", rate = \"20k/s\"", "rate = \"20k/s\""),
        &["`arrivals.phases.spike.for` is missing", "only the last phase may go without"],
    );
    check(&but("\"60s\"", "\"200s\""), &["the phases last until 6m 40s, but `duration` is 5m"]);
    check(&but("\"60s\"", "\"150s\""), &["the phase `after` would begin at 5m, but `duration` is 5m"]);
    check(
        &but("name = \"after\", ", "name = \"after\", for = \"10s\","),
        &["the phases end at 2m 10s, but `duration` is 5m", "leave out the `for`"],
    );
    check(&but("name = \"after\"", "name = \"spike\""), &["there is already a phase `spike`"]);
    let renewal = SMALL.replace(
        "rate = \"6k/s\"",
        "process = \"renewal\"\ninterarrival = { distribution = \"gamma\", shape = 0.5, mean = \"2ms\" }",
    );
    let scenario = good(&renewal, &[]);
    assert!(matches!(
        scenario.model.sources[0].process,
        ArrivalProcess::Renewal(Distribution::Gamma { shape: 0.5, mean: 0.002 })
    ));
    assert_eq!(scenario.model.sources[0].phases[0].rate, 500.0);
    check_set(&renewal, &["arrivals.rate=1/s"], &["`rate` is not a setting of `arrivals`"]);
    check_set(
        &renewal,
        &["arrivals.interarrival=5/s"],
        &["`5/s` is a rate, not a duration", "a table such as { distribution"],
    );
    check_set(
        SMALL,
        &["arrivals.process=renewal"],
        &[
            "`arrivals.interarrival` is missing",
            "`rate` is not a setting of `arrivals` with process = \"renewal\"",
            "allowed: process, interarrival",
        ],
    );
    check_set(
        SMALL,
        &["arrivals.process=mpp"],
        &[
            "`mpp` is not known here; did you mean `mmpp`?",
            "allowed: poisson, constant, renewal, mmpp, on-off, cron, trace",
        ],
    );
}

#[test]
fn distributions() {
    let service = |written: &str| {
        good(SMALL, &[&format!("workers.service_time={written}")]).model.classes[0].service_time.clone()
    };
    assert_eq!(service("8ms"), Distribution::Deterministic { mean: 0.008 });
    assert_eq!(
        service("{ distribution = 'exponential', mean = '7.5ms' }"),
        Distribution::Exponential { mean: 0.0075 }
    );
    assert_eq!(
        service("{ distribution = 'hyperexponential', mean = '1s', cv = 3 }"),
        Distribution::Hyperexponential { mean: 1.0, cv: 3.0 }
    );
    let refuse = |written: &str, expected: &[&str]| {
        check_set(SMALL, &[&format!("workers.service_time={written}")], expected);
    };
    refuse(
        "{ distribution = 'exponental', mean = '7.5ms' }",
        &["`exponental` is not known here; did you mean `exponential`?", "1 mistake"],
    );
    refuse("{ mean = '7.5ms' }", &["`workers.service_time.distribution` is missing"]);
    refuse("{ distribution = 'lognormal', mean = '7.5ms' }", &["`workers.service_time.cv` is missing"]);
    refuse(
        "{ distribution = 'hyperexponential', mean = '1s', cv = 0.5 }",
        &["`0.5` is below the least allowed, 1"],
    );
    refuse("{ distribution = 'exponential', mean = '1KiB' }", &["`1KiB` is a size, not a duration"]);
    refuse("5", &["the number `5` has no unit"]);
    refuse("true", &["a boolean is not a duration", "a table such as { distribution ="]);
}

#[test]
fn empirical_distributions_come_from_files() {
    let scenario = SMALL.replace("\"8ms\"", "{ distribution = \"empirical\", file = \"times.txt\" }");
    let folder = folder(&[
        ("times.txt", b"# measured\n8ms\n\n 1s # slow\n".as_slice()),
        ("a.toml", scenario.as_bytes()),
    ]);
    let loaded = load_from(&folder, "a.toml").unwrap();
    assert_eq!(
        loaded.scenario.model.classes[0].service_time,
        Distribution::Empirical { values: Arc::from([0.008, 1.0]) }
    );

    std::fs::write(folder.path().join("times.txt"), "8ms\n9\n# ok\n1KiB\n").unwrap();
    let error = load_from(&folder, "a.toml").unwrap_err();
    assert!(error.contains("times.txt:2:1\n  |\n2 | 9\n"), "{error}");
    assert!(error.contains("`1KiB` is a size, not a duration") && error.contains("times.txt:4:1"), "{error}");
    std::fs::write(folder.path().join("times.txt"), "# nothing\n").unwrap();
    assert!(load_from(&folder, "a.toml").unwrap_err().contains("there are no values in"));
    std::fs::rename(folder.path().join("times.txt"), folder.path().join("times.csv")).unwrap();
    let error = load_from(&folder, "a.toml").unwrap_err();
    assert!(error.contains("there is no such file") && error.contains("times.csv"), "{error}");
}

pub(crate) const TWO_CLASSES: &str = r#"duration = "60s"
arrivals = { process = "trace", file = "trace.csv" }
workers = { service_time = "8ms", overhead = "0s" }
[[class]]
name = "alarm"
priority = 1
[[class]]
name = "telemetry"
"#;

#[track_caller]
fn trace(csv: &str) -> Result<Loaded, String> {
    let folder = folder(&[("trace.csv", csv.as_bytes()), ("a.toml", TWO_CLASSES.as_bytes())]);
    load_from(&folder, "a.toml")
}

#[track_caller]
fn check_trace(csv: &str, expected: &[&str]) {
    let error = trace(csv).map(|_| "must be refused").unwrap_err();
    for fragment in expected {
        assert!(error.contains(fragment), "`{fragment}` is not in\n{error}");
    }
}

#[test]
fn traces() {
    let loaded = trace(
        "time_ms,class,service_us\n0,alarm,\n1.5,\"telemetry\",250\n1.5,telemetry,1e3\n70000,alarm,1\n",
    )
    .unwrap();
    let ArrivalProcess::Trace(arrivals) = &loaded.scenario.model.sources[0].process else {
        panic!("a trace")
    };
    let arrival = |ms: f64, class, service: Option<f64>| TracedArrival {
        at: SimTime::ZERO + seconds(ms / 1e3),
        class,
        service: service.map(|us| seconds(us / 1e6)),
    };
    assert_eq!(
        arrivals.as_ref(),
        [
            arrival(0.0, 0, None),
            arrival(1.5, 1, Some(250.0)),
            arrival(1.5, 1, Some(1000.0)),
            arrival(70_000.0, 0, Some(1.0)),
        ]
    );
    assert_eq!(loaded.scenario.model.sources[0].classes, [(0, 0.5), (1, 0.5)]);
    assert!(loaded.scenario.warnings[0].contains("1 of the 4 arrivals come after `duration`"));
    assert_eq!(
        trace("priority,time_s\r\n5,1\r\n1,2\r\n").unwrap().scenario.model.sources[0].classes.len(),
        2
    );

    check_trace(
        "time_us,class\n5,alarm\n3,alarm\n",
        &["trace.csv:3:1", "`3` is earlier than the arrival before it", "times must not decrease"],
    );
    check_trace(
        "time_us,class\n5,alrm\nx,alarm\n6\n",
        &[
            "there is no class `alrm`; did you mean `alarm`?",
            "`x` is not a number",
            "the line has 1 fields, but the header has 2",
            "3 mistakes",
        ],
    );
    check_trace("time_us,priority\n5,3\n", &["no class has the priority `3`"]);
    check_trace("time_us\n5\n", &["no column says which of the 2 classes"]);
    check_trace("class\nalarm\n", &["no column says when the jobs arrive"]);
    check_trace(
        "\u{feff}tme_us,class\n1,alarm\n",
        &[
            "`tme_us` is not a column of a trace; did you mean `time_us`?",
            "1 | \u{feff}tme_us,class\n  |  ^^^^^^ allowed",
        ],
    );
    check_trace("time_us,class,priority\n1,alarm,1\n", &["two columns hold the class"]);
    check_trace("time_us,class\n-1,alarm\n", &["`-1` is not a time from 0 to 100 years"]);
    check_trace("time_us,class\n", &["there are no arrivals in"]);
    check_trace("", &["there are no arrivals in"]);
}

/// RFC 4180, as spreadsheets and databases export it.
#[test]
fn traces_are_csv_as_others_write_it() {
    let check = |csv: &str| {
        let loaded = trace(csv).unwrap();
        let ArrivalProcess::Trace(arrivals) = &loaded.scenario.model.sources[0].process else {
            panic!("a trace")
        };
        let found: Vec<(u64, u16)> = arrivals.iter().map(|arrival| (arrival.at.0, arrival.class)).collect();
        assert_eq!(found, [(1_000, 0), (2_000, 1), (3_000, 0)], "{csv:?}");
    };
    let plain = "time_us,class\n1,\"alarm\"\n2,telemetry\n\"3\",\"alarm\"\n";
    check(plain);
    check(&format!("\u{feff}{}", plain.replace('\n', "\r\n")));
    check(&plain.replace("2,telemetry\n", "\n  \n\"2\" , telemetry \n\n").replace("time_us", "\"time_us\""));
    check(plain.trim_end());

    // No class has such a name, but each is one field, with its commas and quotes.
    check_trace(
        "class,time_us\n\"alarm, red\",1\n\"say \"\"alarm\"\", twice\",2\n",
        &[
            "trace.csv:2:2",
            "there is no class `alarm, red`",
            "trace.csv:3:1",
            "there is no class `say \"alarm\", twice`",
            "2 mistakes",
        ],
    );
    // The place of a mistake is that in the file, blank lines and all.
    check_trace(
        "\u{feff}time_us,class\r\n1,alarm\r\n\r\n2,\"alrm\"\r\n",
        &["trace.csv:4:4", "there is no class `alrm`; did you mean `alarm`?", "4 | 2,\"alrm\""],
    );
    check_trace(
        "time_us,class\n1,\"alarm, \"\"red\"\"\"\n",
        &["trace.csv:2:1", "there is no class `alarm, \"red\"`", "classes: alarm, telemetry"],
    );
    check_trace("time_us,class\n\"1,5\",alarm\n", &["trace.csv:2:2", "`1,5` is not a number"]);
    check_trace(
        "time_us,class\n1,alarm,2\n",
        &["trace.csv:2:1", "the line has 3 fields, but the header has 2"],
    );
    check_trace(
        "time_us,class\n1,alarm\n2,\"alarm\n3,alarm\n4,alarm\n",
        &["trace.csv:3:1", "a quote is not closed", "1 mistake"],
    );
}

#[test]
fn objectives() {
    let slo =
        |expression: &str, expected: &[&str]| check(&but("peak_depth_jobs <= 51000", expression), expected);
    slo(
        "peak_dept_jobs < 5",
        &[
            "`slo`: `peak_dept_jobs` is not a metric; did you mean `peak_depth_jobs`?",
            ":11:40",
            "^^^^^^^^^^^^^^\n",
        ],
    );
    slo(
        "lost_jobs{class=telemetri} == 0",
        &[
            "there is no class `telemetri`; did you mean `telemetry`?",
            ":11:56",
            "classes: critical-alarm, telemetry",
        ],
    );
    slo(
        "peak_depth_jobs{class=telemetry} == 0",
        &["`peak_depth_jobs` is measured for the whole system and the whole run only"],
    );
    slo("lost_jobs = 0", &["expected a comparison, found `=`", "one of < <= > >= == !="]);
    slo("lost_jobs.p99 < 1", &["`p99` is not a statistic; did you mean `p95`?"]);
    slo("recovery_seconds < 5KiB", &["`5KiB` is a size, not a duration"]);
    check(&but("\"peak_depth_jobs <= 51000\"", "5"), &["`slo`: an integer is not a string"]);
    check_set(GOOD, &["slo=7"], &["`slo`: an integer is not a list of strings"]);
    assert_eq!(good(GOOD, &["slo=wait_p99_seconds{class=telemetry}.max <= 250ms"]).slo[0].limit, 0.25);
}

#[test]
fn overrides_change_the_tree_and_are_shown_as_given() {
    let scenario = good(
        GOOD,
        &[
            "policy.critical=60k",
            "class.critical-alarm.payload=2KiB",
            "arrivals.phases.spike.rate=30k/s",
            "arrivals.phases.0.for=30s",
            "gateway.instances=2",
            "workers.service_time=7.5ms",
            "policy.reopen_at=\"60k\"",
            "seed=7",
            "seed=8",
        ],
    );
    assert_eq!(scenario.model.policy.config.critical(), 60_000);
    assert_eq!(scenario.model.classes[0].payload, Distribution::Deterministic { mean: 2048.0 });
    assert_eq!(scenario.model.sources[0].phases[0].end, SimTime::ZERO + seconds(30.0));
    assert_eq!(scenario.model.sources[0].phases[1].rate, 30_000.0);
    assert_eq!(scenario.model.classes[0].service_time, Distribution::Deterministic { mean: 0.0075 });
    assert_eq!(scenario.seed, 8);
    // They may also make a file whole.
    assert_eq!(good("", &["duration=1m", "arrivals.rate=1/s", "workers.service_time=1ms"]).replications, 10);
    let dotted = "[[class]]\nname = \"user.login\"\n";
    let scenario = good(&format!("{SMALL}{dotted}"), &["class.\"user.login\".priority=2"]);
    assert_eq!(scenario.model.classes[0].priority.get(), 2);

    check_set(
        GOOD,
        &["policy.critcal=20k"],
        &[
            "`critcal` is not a setting of `policy` with kind = \"spec\"; did you mean `critical`?",
            "--> --set policy.critcal=20k\n",
            " | policy.critcal=20k\n",
            " |        ^^^^^^^ allowed",
        ],
    );
    check_set(
        GOOD,
        &["polcy.critical=1"],
        &["`polcy` is not a setting of a scenario; did you mean `policy`?"],
    );
    check_set(
        GOOD,
        &["class.alarm.share=0.02"],
        &["`class` has no element `alarm`", "critical-alarm, telemetry, or the numbers 0 to 1"],
    );
    check_set(GOOD, &["class.7.share=0.02"], &["`class` has no element `7`"]);
    check_set(GOOD, &["seed.x=1"], &["`seed` is an integer here, so nothing can be set inside it"]);
    check_set(GOOD, &["policy.critical"], &["there is no `=`"]);
    check_set(GOOD, &["policy..critical=1"], &["`policy..critical` is not a path to a setting"]);
    check_set(GOOD, &["=1"], &["is not a path to a setting"]);
    check_set(GOOD, &["seed="], &["there is no value after the `=`"]);
    check_set(GOOD, &["arrivals.phases=[{"], &["the value is not TOML"]);
    check_set(GOOD, &["a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q=1"], &["deeper than any setting"]);
    check_set(
        GOOD,
        &["arrivals.phases.spike.rate=5ms"],
        &["`5ms` is a duration, not a rate", "--> --set arrivals.phases.spike.rate=5ms"],
    );
}

#[test]
fn the_command_runs_the_same_again() {
    assert_eq!(good(GOOD, &[]).command, "simulate scenarios/x.toml");
    assert_eq!(
        good(GOOD, &["policy.critical=60k", "slo=lost_jobs < 5", "name=it-s", "seed=7"]).command,
        "simulate scenarios/x.toml --set policy.critical=60k --set 'slo=lost_jobs < 5' --set name=it-s --set seed=7"
    );
    let quoted = from_str(GOOD, "my 'best' run.toml", Path::new(""), &[]).unwrap().scenario.command;
    assert_eq!(quoted, r"simulate 'my '\''best'\'' run.toml'");
    let dashed = from_str(GOOD, "-x.toml", Path::new(""), &[]).unwrap().scenario.command;
    assert_eq!(dashed, "simulate ./-x.toml");
    // A shell makes the same words of it.
    let script = format!("simulate() {{ printf '%s\n' \"$@\"; }}; {quoted}");
    let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(output.stdout, b"my 'best' run.toml\n");
}

#[test]
fn several_mistakes_come_in_the_order_of_the_file() {
    let text = but("critical = ", "critcal = ").replace("seed = 42", "seed = \"x\"").replace("\"2GiB\"", "2");
    check_set(
        &text,
        &["queue.foo=1"],
        &["`seed`: `x` is not a count", "`critcal`", "`redis.maxmemory`", "`foo`", "4 mistakes"],
    );
}

#[test]
fn syntax_errors_come_with_the_others() {
    let text = but("seed = 42", "seed = = 42").replace("critical = ", "critcal = ");
    check(&text, &["extra `=`", "8:8", "`critcal` is not a setting", "2 mistakes"]);
    // What a broken header hides is not reported as missing.
    check(&SMALL.replace("[workers]", "[workers"), &["unclosed table, expected `]`", "1 mistake"]);
    check(&but("seed = 42", "seed = 42\nseed = 43"), &["`seed` is there already", "9 | seed = 43"]);
    check(&but("\"spike-20k\"", "spike"), &["the string `spike` must be quoted", "write \"spike\""]);
}

#[test]
fn files_that_cannot_be_read() {
    check("", &["the scenario is empty", "the least it needs: duration"]);
    check("# only a question\n", &["the scenario is empty"]);
    let folder = folder(&[
        ("spike.toml", SMALL.as_bytes()),
        ("latin1.toml", b"duration = \"60s\"\n# caf\xe9\n"),
        ("empty.toml", b""),
        ("big.toml", &vec![b'#'; (16 << 20) + 1]),
    ]);
    let fails = |name: &str, expected: &[&str]| {
        let error = load_from(&folder, name).map(|_| ()).unwrap_err();
        for fragment in expected {
            assert!(error.contains(fragment), "`{fragment}` is not in\n{error}");
        }
    };
    assert_eq!(load_from(&folder, "spike.toml").unwrap().scenario.name, "spike");
    fails("spyke.toml", &["there is no such file", "did you mean `", "spike.toml`?"]);
    fails(
        "other.toml",
        &["there is no such file", "scenarios there: big.toml, empty.toml, latin1.toml, spike.toml"],
    );
    fails("nowhere/x.toml", &["the folder `", "nowhere` does not exist"]);
    fails("", &["it is a folder"]);
    fails("latin1.toml", &["not UTF-8 text: invalid byte at offset 22, in line 2"]);
    fails("empty.toml", &["the scenario is empty"]);
    fails("big.toml", &["larger than 16 MiB"]);
    let missing = load(&PathBuf::from("/no/such/place/x.toml"), &[]).unwrap_err();
    assert!(matches!(missing, ScenarioError::Unreadable { .. }));
}

#[test]
fn any_truncation_is_read_or_refused() {
    for end in (0..=GOOD.len()).filter(|&end| GOOD.is_char_boundary(end)) {
        if let Err(error) = read(&GOOD[..end], &[]) {
            assert!(!error.diagnostics().is_empty());
            assert!(error.to_string().contains("mistake"));
        }
    }
}

#[test]
fn any_changed_byte_is_read_or_refused() {
    for at in 0..GOOD.len() {
        for replacement in ["", "\"", "[", "=", "\n", "9", "-", "é", "\u{0}"] {
            let text = format!("{}{replacement}{}", &GOOD[..at], &GOOD[at + 1..]);
            if let Err(error) = read(&text, &[]) {
                assert!(!error.to_string().is_empty());
            }
        }
    }
}

#[test]
fn hostile_files_are_refused_without_harm() {
    for text in [
        "[".repeat(100_000),
        format!("a = {}", "[".repeat(100_000)),
        format!("a{} = 1", ".a".repeat(100_000)),
        format!("[a{}]\nb = 1", ".a".repeat(100_000)),
        format!("a = {}", "{a=".repeat(100_000)),
        "a=1\n".repeat(20_000),
        "[[class]]\n".repeat(20_000),
        (0..20_000).map(|index| format!("k{index}=1\n")).collect(),
    ] {
        let error = read(&text, &[]).map(|_| ()).unwrap_err();
        assert!(error.to_string().lines().count() < 1_000);
    }
}

#[test]
fn a_day_of_costs_is_in_order_of_its_times() {
    let wrong = [
        "\"08:00 1\", \"06:00 2\"",
        "\"24:00 1\"",
        "\"08:60 1\"",
        "\"08:00\"",
        "\"08:00 -1\"",
        "\"08:00 x\"",
    ];
    for day in wrong {
        check_set(GOOD, &[&format!("cost.day=[{day}]")], &["is no later time of the day", "08:00 1.5"]);
    }
    let day = good(GOOD, &["cost.day=[\"06:00 1\", \"12:00 0.5\"]"]).cost.day;
    let parts: Vec<(f64, f64)> = day.iter().map(|part| (24.0 * part.share, part.factor)).collect();
    assert_eq!(format!("{parts:?}"), "[(6.0, 1.0), (18.0, 0.5)]");
    assert!(good(GOOD, &[]).cost.day.is_empty());
}
