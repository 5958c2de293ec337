//! What an operator applies: files that the tools they are for accept, and pages that say the same.
//!
//! The plans are made up around one small simulation, so that every ending and every odd name has its case.

use std::fs;
use std::path::Path;
use std::process::Command;

use backpressure_sim::engine::time::SimDuration;
use backpressure_sim::experiment::replication::Replication;
use backpressure_sim::experiment::summary::{Estimate, SloResult, Summary};
use backpressure_sim::experiment::{self, Unattended};
use backpressure_sim::model::metric::{Metric, Unit};
use backpressure_sim::plan::proof::{Alarm, Proof, Tested};
use backpressure_sim::plan::spec::SpecVerdict;
use backpressure_sim::plan::what_if::{AfterLoss, AtLoad, Effect, Shift, WhatIf};
use backpressure_sim::plan::{
    Choice, Criterion, Fate, Nearest, Plan, Screen, ScreenedObjective, SearchPath, Simulated,
};
use backpressure_sim::report::{self, Options};
use backpressure_sim::scenario::Scenario;
use backpressure_sim::scenario::slo::Statistic;
use backpressure_sim::selection::Guarantee;
use backpressure_sim::study::grid::{Grid, GridSource};
use serde_json::{Value, json};

use crate::report::check_xml;
use crate::support::without_own_scripts;

const SMALL: &str = r#"
# What do ten workers need?
name = "NAME"
duration = "60s"
replications = 4
slo = ["recovery_seconds.p95 < 20", "rejection_probability{class=telemetry}.max < 30%", "lost_jobs.max == 0"]
[arrivals]
phases = [
    { name = "calm", for = "15s", rate = "500/s" },
    { name = "spike", for = "15s", rate = "2k/s", spike = true },
    { name = "after", rate = "500/s" },
]
[[class]]
name = "telemetry"
priority = 5
share = 1.0
payload = "512B"
[policy]
recovery = 500
warning = 1000
critical = 5000
[workers]
processes = 5
concurrency = 10
overhead = "1ms"
service_time = { distribution = "exponential", mean = "40ms" }
[redis]
maxmemory = "64MiB"
"#;

/// A made-up case.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    prices: &'static [&'static str],
    rate: Option<f64>,
    ending: Ending,
    queues: u32,
}

#[derive(Clone, Copy, PartialEq)]
enum Ending {
    Planned,
    Undecided,
    Nothing,
}

const USUAL: Case = Case { name: "small-spike", prices: &[], rate: None, ending: Ending::Planned, queues: 1 };

/// All that has a meaning in HTML, YAML, Markdown, shells, Prometheus' templates and terminals.
const EVIL: &str =
    "a | \\\"b\\\" <i>`x`</i> {{ .Value }} $(touch pwned) # 'q': *c*\n- y\r\u{85}\u{2028}\u{1b}[31m <script>";

/// A case whose every text is evil, also where a checked scenario would not let it be.
const HOSTILE: Case = Case { name: "hostile", ..USUAL };

fn make_evil(plan: &mut Plan) {
    plan.grid.source.file = format!("{EVIL}.toml");
    let scenario = &mut plan.grid.base.scenario;
    EVIL.clone_into(&mut scenario.name);
    EVIL.clone_into(&mut scenario.cost.currency);
    EVIL.clone_into(&mut scenario.source);
    EVIL.clone_into(&mut scenario.question);
    scenario.command = format!("simulate {EVIL}");
    scenario.warnings.push(EVIL.to_owned());
    plan.path.excluded.push((EVIL.to_owned(), 1));
    plan.path.simulated[0].fate = Fate::Misses(EVIL.to_owned());
    EVIL.clone_into(&mut plan.spec[0].name);
    if let Some(choice) = &mut plan.choice {
        choice.scenario.command = format!("simulate {EVIL}");
        EVIL.clone_into(&mut choice.findings.summary.slo[0].expression);
        choice.what_if.losses[0].missed.push(EVIL.to_owned());
        choice.what_if.loads[6].missed.push(EVIL.to_owned());
    }
    if let Some(nearest) = &mut plan.nearest {
        EVIL.clone_into(&mut nearest.slo[0].expression);
    }
}

fn cases() -> Vec<(&'static str, Vec<Case>)> {
    let priced = Case {
        prices: &["cost.currency=$", "cost.worker=62", "cost.redis_gib=11", "cost.rejected_job=0.0001"],
        ..USUAL
    };
    let fast = Case { rate: Some(20_000.0), queues: 3, ..priced };
    vec![
        ("planned", vec![USUAL]),
        ("priced", vec![priced]),
        ("undecided", vec![Case { ending: Ending::Undecided, ..priced }]),
        ("nothing", vec![Case { ending: Ending::Nothing, ..USUAL }]),
        ("hostile", vec![HOSTILE]),
        ("several", vec![priced, Case { rate: Some(10_000.0), ..priced }, fast]),
        (
            "scenarios",
            vec![USUAL, Case { name: "other", ..USUAL }, Case { ending: Ending::Nothing, ..HOSTILE }],
        ),
    ]
}

fn plans(cases: &[Case]) -> Vec<Plan> {
    let one = |case: &Case| {
        let mut plan = plan(case);
        if case.name == HOSTILE.name {
            make_evil(&mut plan);
        }
        plan
    };
    cases.iter().map(one).collect()
}

fn plan(case: &Case) -> Plan {
    let grid = Grid::of(GridSource {
        file: "small.toml".to_owned(),
        text: SMALL.replace("NAME", case.name),
        overrides: case.prices.iter().map(|&price| price.to_owned()).collect(),
        axes: vec!["workers.processes=2..12".to_owned(), "policy.critical=2k,5k,10k".to_owned()],
        constraints: Vec::new(),
    })
    .unwrap_or_else(|error| panic!("{error:?}"));
    let id = 3 * 4 + 1;
    let scenario = grid.variant(id).unwrap();
    let replications = experiment::run_all(&[&scenario], 4, &Unattended).unwrap().swap_remove(0);
    let spec = [3, 5].map(|processes| SpecVerdict {
        name: format!("{processes} workers x 20"),
        overrides: vec![format!("workers.processes={processes}")],
        summary: Summary::of(&scenario, &replications, false),
        cost: f64::from(processes) * 62.0,
    });
    let mut spec = spec.to_vec();
    spec[0].summary.verdict = backpressure_sim::experiment::summary::Verdict::Fail;
    spec[0].summary.slo[0].pass = false;
    spec[0].summary.slo[0].observed = Some(31.4);
    let chosen = case.ending != Ending::Nothing;
    Plan {
        rate: case.rate,
        peak_rate: case.rate.unwrap_or(2_000.0),
        path: path(case, id),
        choice: chosen.then(|| Choice {
            id,
            overrides: grid.overrides(id),
            findings: experiment::run(&scenario, &Unattended).unwrap(),
            cost: Estimate {
                mean: Some(376.0),
                half_width: Some(2.0),
                min: Some(374.0),
                max: Some(378.0),
                p95: Some(378.0),
                n: 4,
                censored: 0,
            },
            criterion: if case.prices.is_empty() {
                Criterion::TieBreak(Metric::RejectionProbability)
            } else {
                Criterion::Cost
            },
            guarantee: if case.ending == Ending::Undecided {
                Guarantee::None
            } else {
                Guarantee::CorrectSelection {
                    probability: 0.95,
                    delta: if case.prices.is_empty() { 0.00004 } else { 3.75 },
                }
            },
            undecided: if case.ending == Ending::Undecided { vec![14, 17] } else { Vec::new() },
            queues: case.queues,
            what_if: what_if(&scenario.slo[0].expression),
            proof: proof(&scenario, &replications),
            scenario: scenario.clone(),
        }),
        nearest: (!chosen).then(|| Nearest {
            id: 32,
            overrides: grid.overrides(32),
            slo: vec![
                SloResult {
                    expression: scenario.slo[0].expression.clone(),
                    pass: false,
                    observed: Some(23.75),
                    expected_miss: false,
                    judged: true,
                    statistic: Statistic::P95,
                    runs: 4,
                    absent: "no value",
                    limit: 20.0,
                    metric: "recovery_seconds".into(),
                    unit: Unit::Seconds,
                    censored: 0,
                },
                SloResult {
                    expression: scenario.slo[2].expression.clone(),
                    pass: true,
                    observed: Some(0.0),
                    expected_miss: false,
                    judged: true,
                    statistic: Statistic::Max,
                    runs: 4,
                    absent: "no value",
                    limit: 0.0,
                    metric: "lost_jobs".into(),
                    unit: Unit::Jobs,
                    censored: 0,
                },
            ],
        }),
        spec,
        grid,
    }
}

/// Files that do what the plan does, and an incident in which somebody is called in time.
fn proof(scenario: &Scenario, replications: &[Replication]) -> Proof {
    let summary = Summary::of(scenario, replications, false);
    let fates = summary.traffic.total;
    let tested = |name| Tested {
        name,
        slo: summary.slo.clone(),
        fates: fates.clone(),
        cost: 376.0,
        digest: summary.digest.clone(),
    };
    let rules = scenario.model.monitoring.rules.clone();
    let mut fired = vec![None; rules.len()];
    fired[0] = Some(31.5);
    let used_up = Some((44.0, summary.slo[1].expression.clone()));
    let alarm = Alarm {
        name: "1.5 times the load".to_owned(),
        fates: fates.clone(),
        missed: vec![summary.slo[1].expression.clone()],
        used_up,
        fired,
        in_time: Some(true),
    };
    Proof { unreadable: None, manifests: vec![tested("hpa"), tested("keda")], rules, incidents: vec![alarm] }
}

fn path(case: &Case, chosen: u32) -> SearchPath {
    let slo = ["recovery_seconds.p95 < 20", "rejection_probability{class=telemetry}.max < 30%"];
    let one = |id: u32, cost: f64, fate: Fate| Simulated {
        id,
        replications: 4,
        seconds: (id % 8 == 3).then_some(12.5),
        cost,
        tie_break: (id % 8 != 3).then(|| 0.01 * f64::from(id)),
        fate,
    };
    let fate = |id: u32| match (id, case.ending) {
        (id, _) if id < 8 => Fate::Misses(slo[id as usize % 2].to_owned()),
        (id, Ending::Nothing) => Fate::Misses(slo[id as usize % 2].to_owned()),
        (id, _) if id == chosen => Fate::Chosen,
        (14 | 17, Ending::Undecided) => Fate::Open,
        (9, Ending::Undecided) => Fate::Undecided(slo[0].to_owned()),
        (id, _) if id > 24 => Fate::Probe,
        (id, _) if id > 18 => Fate::Dearer,
        (id, _) if id % 5 == 0 => Fate::Equal,
        _ => Fate::Worse(chosen),
    };
    let cost = |id: u32| f64::from(2 + id / 3) * if case.prices.is_empty() { 1.0 } else { 62.0 };
    SearchPath {
        candidates: 10_240,
        excluded: vec![("policy.warning < 0.5 * policy.critical".to_owned(), 2_048)],
        screen: Some(Screen {
            pilots: 12,
            objectives: vec![
                ScreenedObjective { expression: slo[0].to_owned(), margin: 0.042, discarded: 9_000 },
                ScreenedObjective { expression: slo[1].to_owned(), margin: 0.021, discarded: 800 },
            ],
            discarded: 9_800,
            audited: 8,
            widened: 1,
        }),
        spared: 0,
        overloaded: 0,
        too_dear: 380,
        not_better: 20,
        beyond_finalists: 7,
        simulated: (0..33).map(|id| one(id, cost(id), fate(id))).collect(),
        replications: 412,
        exhaustive: 102_400,
    }
}

fn what_if(objective: &str) -> WhatIf {
    let load = |factor: f64, sojourn_p95: f64, rejected: f64| AtLoad {
        factor,
        simulated: SimDuration::from_secs_f64(30.0),
        peak_rate: 2_000.0 * factor,
        missed: if factor > 1.3 { vec![objective.to_owned()] } else { Vec::new() },
        limits: if factor > 1.05 {
            vec![("workers saturated", 15.0 / factor), ("shed level", 20.0 / factor), ("circuit open", 24.0)]
        } else {
            Vec::new()
        },
        utilisation: (0.62 * factor).min(1.0),
        rejected,
        lost: 0.0,
        recovery: (Some(2.0 * factor), factor > 2.2),
        sojourn_p95,
        peak_depth: 4_000.0 * factor,
        redis_peak: 8e6 * factor,
        oom: None,
    };
    let shift = |(mean, half_width)| Shift { mean, half_width: Some(half_width) };
    let effect = |input, metric, base, lower, higher| Effect {
        input,
        metric,
        base,
        lower: shift(lower),
        higher: shift(higher),
    };
    WhatIf {
        part: Some(SimDuration::from_secs_f64(30.0)),
        loads: vec![
            load(0.5, 0.09, 0.0),
            load(0.7, 0.11, 0.0),
            load(0.85, 0.2, 0.0),
            load(1.0, 0.5, 0.004),
            load(1.1, 1.1, 0.02),
            load(1.25, 2.2, 0.05),
            load(1.313, 2.6, 0.08),
            load(1.5, 3.4, 0.16),
            load(2.0, 4.6, 0.31),
            load(2.5, 5.2, 0.45),
        ],
        headroom: Some(1.25),
        knee: Some(0.85),
        losses: vec![
            AfterLoss {
                name: "one worker of 6".to_owned(),
                processes: 5,
                missed: Vec::new(),
                rejected: 0.03,
                lost: 0.0,
                recovery: (Some(4.1), false),
            },
            AfterLoss {
                name: "a zone: 2 workers of 6".to_owned(),
                processes: 4,
                missed: vec![objective.to_owned()],
                rejected: 0.11,
                lost: 0.002,
                recovery: (Some(22.0), true),
            },
        ],
        oom_unprotected: Some(42.0),
        tornado: vec![
            effect("arrival rate", Metric::Recovery, 3.2, (-1.9, 0.2), (4.4, 0.5)),
            effect("service time", Metric::Recovery, 3.2, (-1.4, 0.3), (2.9, 0.4)),
            effect("service time", Metric::RejectionProbability, 0.004, (-0.004, 0.001), (0.021, 0.004)),
            effect("arrival rate", Metric::RejectionProbability, 0.004, (-0.0035, 0.001), (0.018, 0.003)),
            effect("payload size", Metric::Recovery, 3.2, (0.3, 0.4), (0.1, 0.4)),
            effect("payload size", Metric::RejectionProbability, 0.004, (0.0, 0.0), (0.0, 0.0)),
            effect("check latency", Metric::Recovery, 3.2, (0.0, 0.0), (0.0, 0.0)),
        ],
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

/// Writes each case into a folder of its own and hands folder and plans to `look`.
fn for_each_case(look: impl Fn(&str, &Path, &[Plan])) {
    for (name, cases) in cases() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("plan");
        let plans = plans(&cases);
        report::plan::write(&folder, &plans, &Options::default()).unwrap();
        look(name, &folder, &plans);
    }
}

/// The files of that beginning and ending, with their names.
fn files_like(folder: &Path, start: &str, end: &str) -> Vec<String> {
    names_in(folder).into_iter().filter(|name| name.starts_with(start) && name.ends_with(end)).collect()
}

#[test]
fn one_plan_has_its_files_in_the_folder_and_several_have_names() {
    for_each_case(|name, folder, _| {
        let names = names_in(folder);
        let expected: &[&str] = match name {
            "planned" => &[
                "alerts-test.yaml",
                "alerts.yaml",
                "candidates.svg",
                "depth.svg",
                "hpa.yaml",
                "keda.yaml",
                "load.svg",
                "plan.env",
                "plan.json",
                "plan.md",
                "report.html",
                "search.svg",
                "summary.svg",
                "tornado.svg",
            ],
            "nothing" => {
                &["candidates.svg", "plan.json", "plan.md", "report.html", "search.svg", "summary.svg"]
            }
            "several" => {
                for name in ["plan-2k.env", "hpa-10k.yaml", "alerts-20k.yaml", "load-20k.svg", "plan.json"] {
                    assert!(names.contains(&name.to_owned()), "{name} in {names:?}");
                }
                return;
            }
            _ => return,
        };
        assert_eq!(names, expected);
    });
}

#[test]
fn env_file_is_read_alike_by_a_shell_and_by_docker() {
    for_each_case(|name, folder, plans| {
        let files = files_like(folder, "plan", ".env");
        assert_eq!(files.len(), plans.iter().filter(|plan| plan.choice.is_some()).count(), "{name}");
        for file in files {
            let text = read(folder, &file);
            // Docker takes what follows the first `=` as it is, and lines that start with `#` for comments.
            let by_docker: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
            let script = format!("set -eu; set -a; . ./{file}; env");
            let shell = Command::new("sh")
                .args(["-c", &script])
                .current_dir(folder)
                .env_clear()
                .env("PATH", std::env::var("PATH").unwrap())
                .output()
                .unwrap();
            assert!(shell.status.success(), "{name}: {}", String::from_utf8_lossy(&shell.stderr));
            let by_shell = String::from_utf8(shell.stdout).unwrap();
            for line in &by_docker {
                assert!(by_shell.lines().any(|read| read == *line), "{name}: {line} in {by_shell}");
            }
            let variables: Vec<&str> = by_docker.iter().map(|line| line.split('=').next().unwrap()).collect();
            let known = |name: &&str| contract::variables::named(name).is_some();
            assert!(variables.len() > 20 && variables.iter().all(known), "{name}: {variables:?}");
            assert!(!folder.join("pwned").exists());
        }
    });
}

#[test]
fn env_file_has_the_plan_and_its_evidence() {
    let parent = tempfile::tempdir().unwrap();
    let plans = plans(&[USUAL]);
    report::plan::write(parent.path(), &plans, &Options::default()).unwrap();
    let text = read(parent.path(), "plan.env");
    let digest = &plans[0].choice.as_ref().unwrap().findings.summary.digest;
    for line in
        ["QUEUE_CRITICAL_THRESHOLD=5000\n", "QUEUE_WARNING_THRESHOLD=1000\n", digest, "P(correct selection)"]
    {
        assert!(text.contains(line), "{line} in\n{text}");
    }
}

/// Prometheus' own tool reads the rules and runs the tests that come with them.
#[test]
fn promtool_accepts_the_alerts_and_their_tests() {
    for_each_case(|name, folder, plans| {
        let rules: Vec<String> = files_like(folder, "alerts", ".yaml");
        let tests: Vec<&String> = rules.iter().filter(|file| file.starts_with("alerts-test")).collect();
        assert_eq!(tests.len(), plans.iter().filter(|plan| plan.choice.is_some()).count(), "{name}");
        for file in &rules {
            let command = if tests.contains(&file) { "test" } else { "check" };
            let output = promtool(folder, &[command, "rules", file]);
            assert!(output.contains("SUCCESS"), "{name}: promtool {command} rules {file}\n{output}");
            if command == "check" {
                assert!(output.contains("9 rules found"), "{name}: {output}");
            }
        }
    });
}

fn promtool(folder: &Path, arguments: &[&str]) -> String {
    let output =
        Command::new("promtool").args(arguments).current_dir(folder).output().unwrap_or_else(|error| {
            panic!("promtool: {error}; `tests/run` installs it, as does any package of Prometheus")
        });
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn autoscaler_is_one_that_kubernetes_knows() {
    let schema: Value = serde_json::from_str(include_str!("../data/hpa-v2.schema.json")).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    for_each_case(|name, folder, plans| {
        let planned: Vec<&Choice> = plans.iter().filter_map(|plan| plan.choice.as_ref()).collect();
        let files = files_like(folder, "hpa", ".yaml");
        assert_eq!(files.len(), planned.len(), "{name}");
        for file in files {
            let document = yaml(&read(folder, &file));
            let mistakes: Vec<String> =
                schema.iter_errors(&document).map(|error| error.to_string()).collect();
            assert!(mistakes.is_empty(), "{name}: {mistakes:?} in {document:#}");
            let spec = &document["spec"];
            let (min, max) = (&spec["minReplicas"], &spec["maxReplicas"]);
            // 6 x 2 / 1.25 = 9.6
            assert_eq!((min, max), (&json!(6), &json!(10)), "{name}");
            let target = &spec["metrics"][0]["external"]["target"]["averageValue"];
            // The policy rejects from 4000 on: (4000 - 60) / 6 = 656.7 may wait for each; (10 + 656.7 / 2) / 1.1 = 307.6.
            assert_eq!(target, "307", "{name}");
            let scaled = yaml(&read(folder, &file.replace("hpa", "keda")));
            let spec = &scaled["spec"];
            assert_eq!(
                (&spec["minReplicaCount"], &spec["maxReplicaCount"]),
                (&json!(6), &json!(10)),
                "{name}"
            );
            assert_eq!(spec["triggers"][0]["metadata"]["threshold"], "307", "{name}");
            let behavior = &spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"];
            assert_eq!(behavior, &document["spec"]["behavior"], "{name}");
        }
    });
}

/// Reads the part of YAML that the autoscaler's file is written in: maps, lists, whole numbers and strings.
fn yaml(text: &str) -> Value {
    let lines: Vec<(usize, &str)> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty())
        .map(|line| (line.len() - line.trim_start().len(), line.trim_start()))
        .collect();
    let (value, rest) = block(&lines);
    assert!(rest.is_empty(), "left over: {rest:?}");
    value
}

fn block<'a, 't>(lines: &'a [(usize, &'t str)]) -> (Value, &'a [(usize, &'t str)]) {
    let Some(&(indent, first)) = lines.first() else { return (Value::Null, lines) };
    let mut rest = lines;
    if first.starts_with("- ") {
        let mut items = Vec::new();
        while let Some(&(_, line)) =
            rest.first().filter(|(own, line)| *own == indent && line.starts_with("- "))
        {
            // The item's own lines: the rest of this one, and those further right.
            let end = rest[1..].iter().position(|(own, _)| *own <= indent).map_or(rest.len(), |end| end + 1);
            let mut item = vec![(indent + 2, &line[2..])];
            item.extend(&rest[1..end]);
            items.push(block(&item).0);
            rest = &rest[end..];
        }
        return (Value::Array(items), rest);
    }
    let mut map = serde_json::Map::new();
    while let Some(&(_, line)) = rest.first().filter(|(own, line)| *own == indent && !line.starts_with("- "))
    {
        let (key, value) = line.split_once(':').expect("a key");
        rest = &rest[1..];
        let value = match value.trim() {
            "" => {
                let (value, after) = block(rest);
                rest = after;
                value
            }
            scalar => serde_json::from_str(scalar).unwrap_or_else(|_| Value::String(scalar.to_owned())),
        };
        assert!(map.insert(key.to_owned(), value).is_none(), "{key} is there twice");
    }
    (Value::Object(map), rest)
}

#[test]
fn document_has_everything() {
    for_each_case(|name, folder, plans| {
        let text = read(folder, "plan.json");
        assert_eq!(text, report::plan::json(plans).unwrap());
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["schema"], "backpressure-sim/plan/2");
        let mut files: Vec<&str> =
            document["files"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        files.sort_unstable();
        assert_eq!(files, names_in(folder), "{name}");
        for (shown, plan) in document["plans"].as_array().unwrap().iter().zip(plans) {
            assert_eq!(shown["path"]["simulated"].as_array().unwrap().len(), plan.path.simulated.len());
            assert_eq!(shown["path"]["screen"]["objectives"][0]["relative_margin"], 0.042);
            assert_eq!(shown["spec"].as_array().unwrap().len(), 2);
            match &plan.choice {
                Some(choice) => {
                    assert_eq!(shown["choice"]["settings"]["critical_jobs"], 5_000);
                    assert_eq!(shown["choice"]["summary"]["digest"], choice.findings.summary.digest.as_str());
                    assert_eq!(shown["choice"]["what_if"]["loads"].as_array().unwrap().len(), 10);
                    assert_eq!(shown["choice"]["what_if"]["tornado"].as_array().unwrap().len(), 7);
                }
                None => assert_eq!(shown["nearest"]["slo"][0]["observed"], 23.75),
            }
        }
    });
}

#[test]
fn page_is_whole_and_escapes_what_the_scenario_says() {
    for_each_case(|name, folder, _| {
        let page = without_own_scripts(&read(folder, "report.html"));
        let body = &page[page.find("<main>").unwrap()..page.find("</body>").unwrap()];
        check_xml(name, body);
        assert!(!page.contains("<i>`x`"), "{name}");
        assert!(!page.contains("src=") && !page.contains("url("), "{name}");
        assert!(!page.contains("NaN") && !page.contains(" inf ") && !page.contains(">inf"), "{name}");
        let mut ids: Vec<&str> =
            page.split("<figure id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        ids.sort_unstable();
        let count = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), count, "{name}: a figure has an id of its own");
        for file in files_like(folder, "", ".svg") {
            check_xml(&format!("{name}/{file}"), &read(folder, &file));
        }
    });
}

#[test]
fn summary_has_the_answers() {
    let parent = tempfile::tempdir().unwrap();
    report::plan::write(parent.path(), &plans(&[USUAL]), &Options::default()).unwrap();
    let page = read(parent.path(), "plan.md");
    for text in [
        "| worker processes | **6** |",
        "**Headroom:** All objectives are met up to 1.25 times the load",
        "**Knee:**",
        "**At 1.5 times the load:** workers saturated after 10 s",
        "**At 2 times the load:**",
        "without the policy: 42 s",
        "Without one worker of 6",
        "Without a zone: 2 workers of 6",
        "**Most sensitive to:** arrival rate",
        "✗ 3 workers x 20",
        "(observed 31.4 s, largest of ",
        "P(correct selection)",
        "Reproduce: `simulate plan small.toml --grid workers.processes=2..12",
    ] {
        assert!(page.contains(text), "{text} in\n{page}");
    }
    let hostile = plans(&[HOSTILE]);
    report::plan::write(parent.path(), &hostile, &Options::default()).unwrap();
    let page = read(parent.path(), "plan.md");
    assert!(page.contains(r"\<i\>") && !page.contains("\n- y"), "{page}");
}

#[test]
fn nothing_found_says_what_was_missed_and_by_how_much() {
    let parent = tempfile::tempdir().unwrap();
    let plans = plans(&[Case { ending: Ending::Nothing, ..USUAL }]);
    report::plan::write(parent.path(), &plans, &Options::default()).unwrap();
    let said = "it misses recovery_seconds.p95 < 20 (observed 23.8 s, largest of 4 runs)";
    let shown = report::plan::terminal::render(&plans, 200, false);
    assert!(shown.contains("NO PLAN") && shown.contains(said), "{shown}");
    assert!(read(parent.path(), "report.html").contains(&said.replace('<', "&lt;")));
    assert!(read(parent.path(), "plan.md").contains("observed 23.8 s"));
}

#[test]
fn terminal_fits_its_width_and_colours_only_when_asked() {
    // How wide a line must be is up to the names in it.
    for (name, cases) in cases().into_iter().filter(|(name, _)| !["hostile", "scenarios"].contains(name)) {
        let plans = plans(&cases);
        for width in [80, 120, 200] {
            let shown = report::plan::terminal::render(&plans, width, false);
            // Words that are longer than a line stay whole: names of files, commands.
            let too_wide = shown.lines().filter(|line| line.chars().count() > width).filter(|line| {
                let longest_word = line.split_whitespace().map(str::len).max().unwrap_or(0);
                longest_word + 20 < width
            });
            assert_eq!(too_wide.collect::<Vec<_>>(), Vec::<&str>::new(), "{name} at {width}:\n{shown}");
            assert!(!shown.contains('\u{1b}'), "{name}");
        }
        assert!(report::plan::terminal::render(&plans, 100, true).contains('\u{1b}'));
    }
}

#[test]
fn what_is_reached_as_planned_is_not_what_breaks() {
    let mut plans = plans(&[USUAL]);
    plans[0].choice.as_mut().unwrap().what_if.loads[3].limits = vec![("workers saturated", 15.0)];
    let shown = report::plan::terminal::render(&plans, 240, false);
    assert!(shown.contains("shed level at 1.31×"), "{shown}");
}

#[test]
fn undecided_is_said() {
    let plans = plans(&[Case { ending: Ending::Undecided, ..USUAL }]);
    let shown = report::plan::terminal::render(&plans, 240, false);
    assert!(shown.contains("UNDECIDED") && shown.contains("undecided against 2 others"), "{shown}");
}

#[test]
fn a_new_plan_takes_the_place_of_the_old_one_and_of_nothing_else() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("plan");
    let several = plans(&[USUAL, Case { rate: Some(10_000.0), ..USUAL }]);
    report::plan::write(&folder, &several, &Options { png: true, ..Options::default() }).unwrap();
    assert!(folder.join("hpa-10k.yaml").exists() && folder.join("load-10k.png").exists());
    fs::write(folder.join("hpa-mine.yaml"), "mine").unwrap();
    report::plan::write(&folder, &several[..1], &Options::default()).unwrap();
    let mut expected = names_in(&folder);
    expected.retain(|name| !name.contains("10k") && !name.ends_with(".png"));
    assert_eq!(names_in(&folder), expected);
    assert_eq!(read(&folder, "hpa-mine.yaml"), "mine");
    assert_eq!(names_in(parent.path()), ["plan"]);
}

#[test]
fn same_plans_give_the_same_bytes() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for folder in [&one, &other] {
        report::plan::write(folder.path(), &plans(&[USUAL]), &Options::default()).unwrap();
    }
    for name in names_in(one.path()) {
        assert_eq!(read(one.path(), &name), read(other.path(), &name), "{name}");
    }
}

/// Writes every case into the folder that `REPORT_GALLERY` names, for people to look at.
#[test]
#[ignore = "makes pictures for people"]
fn plan_gallery() {
    let folder = std::env::var("REPORT_GALLERY").expect("REPORT_GALLERY names a folder");
    for (name, cases) in cases() {
        let plans = plans(&cases);
        let folder = Path::new(&folder).join(format!("plan-{name}"));
        report::plan::write(&folder, &plans, &Options { png: true, ..Options::default() }).unwrap();
        for width in [80, 140] {
            println!(
                "---- {name} at {width} columns\n{}",
                report::plan::terminal::render(&plans, width, false)
            );
        }
    }
}

/// A plan is not planned before its files are: neither where they miss an objective nor where they cannot be read.
#[test]
fn files_that_miss_an_objective_are_no_plan() {
    let parent = tempfile::tempdir().unwrap();
    let spoiled: [fn(&mut Proof); 3] = [
        |proof| proof.manifests[1].slo[1].pass = false,
        |proof| proof.unreadable = Some("hpa.yaml: there are no metrics".to_owned()),
        |proof| proof.manifests.clear(),
    ];
    for spoil in spoiled {
        let mut plans = plans(&[USUAL]);
        spoil(&mut plans[0].choice.as_mut().unwrap().proof);
        report::plan::write(parent.path(), &plans, &Options::default()).unwrap();
        let shown = report::plan::terminal::render(&plans, 200, false);
        let page = read(parent.path(), "report.html");
        for text in [&shown, &page] {
            assert!(text.contains("FILES MISS THE OBJECTIVES") && !text.contains("PLANNED"), "{text}");
        }
        let document: Value = serde_json::from_str(&read(parent.path(), "plan.json")).unwrap();
        assert_eq!(document["plans"][0]["ending"], "refuted");
        assert_eq!(document["plans"][0]["choice"]["files"]["holds"], false);
    }
}

#[test]
fn the_first_thing_said_is_what_is_refused_and_lost() {
    let parent = tempfile::tempdir().unwrap();
    let plans = plans(&[USUAL]);
    report::plan::write(parent.path(), &plans, &Options::default()).unwrap();
    let shown = report::plan::terminal::render(&plans, 200, false);
    assert!(
        shown.contains("PLANNED  small-spike at 2k/s: ") && shown.contains("% refused, none lost"),
        "{shown}"
    );
    let page = read(parent.path(), "report.html");
    let (harm, cost) =
        (page.find("refused, none lost").unwrap(), page.find("worker processes with").unwrap());
    assert!(harm < cost, "before anything else");
    let flowed = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    for text in [&flowed, &page] {
        assert!(text.contains("read back and simulated with hpa.yaml and with keda.yaml"), "{text}");
        assert!(text.contains("1.5 times the load"), "{text}");
    }
    assert!(shown.contains("CircuitBreakerOpen after 31.5 s; "), "{shown}");
}
