//! Metastable failures: a trigger that is over, and a service that stays down because of it.
//!
//! Scenario M1 is a service of 10 jobs/s whose clients wait 4 s and send each request at most four times, a spike of 30/s for
//! 5 s, and a gate that closes at a depth and opens again at another. How many of 16 seeds stayed stuck (goodput below half
//! of the offered rate 175 s to 275 s after the spike) was measured with another simulator; [`TABLE`] is what it found. Its
//! column "no gate, LIFO" is left out: the waiting line of this model has no such discipline.
//!
//! The cell that is farthest off is 60/55 at 6/s, 15 of 16 against 62 of 100 here: p = 0.011 alone, 0.20 among 18 cells. That
//! is no evidence of a difference, and none was looked for in how the two simulators count time-outs and rejections.

use std::path::Path;

use backpressure::{Config, KindName};
use backpressure_sim::experiment::parallel;
use backpressure_sim::model::metric::Metric;
use backpressure_sim::scenario::Scenario;
use backpressure_sim::stats::holm;
use backpressure_sim::{model, scenario};

use crate::support::{command, repository};

/// Critical and recovery threshold.
type Gate = (u32, u32);

/// A gate, or none, and the stuck seeds of 16 at 6/s and at 8/s.
const TABLE: [(Option<Gate>, u64, u64); 9] = [
    (None, 16, 16),
    (Some((32, 16)), 0, 0),
    (Some((80, 40)), 0, 0),
    (Some((160, 40)), 0, 0),
    (Some((160, 50)), 0, 6),
    (Some((160, 60)), 3, 15),
    (Some((160, 80)), 14, 16),
    (Some((60, 55)), 15, 16),
    (Some((44, 42)), 0, 0),
];
const SEEDS: u64 = 16;
const REPLICATIONS: u32 = 100;
/// Probability that a right model fails the comparison with the whole table.
const FAMILY_ERROR: f64 = 0.01;

fn load(file: &str, overrides: &[String]) -> Scenario {
    let path = repository("scenarios").join(file);
    let text = std::fs::read_to_string(&path).expect("a scenario");
    let loaded = scenario::from_str(&text, file, Path::new("."), overrides);
    loaded.unwrap_or_else(|error| panic!("{error}")).scenario
}

fn m1(gate: Option<Gate>, rate: u32) -> Scenario {
    let mut overrides =
        vec![format!("arrivals.phases.calm.rate={rate}/s"), format!("arrivals.phases.after.rate={rate}/s")];
    match gate {
        None => overrides.extend(["policy.enabled=false".into(), "queue.capacity=200".into()]),
        Some((critical, recovery)) => overrides.extend([
            format!("policy.critical={critical}"),
            format!("policy.warning={}", recovery + 1),
            format!("policy.recovery={recovery}"),
            format!("queue.capacity={}", if critical >= 160 { 400 } else { 200 }),
        ]),
    }
    load("metastable-recovery-threshold.toml", &overrides)
}

/// Replications whose goodput after the warm-up is below half of a rate.
fn stuck(scenario: &Scenario, rate: f64, replications: u32) -> u64 {
    let goodput = |task: usize| {
        let outcome = model::run(&scenario.model, scenario.seed, task as u32);
        outcome.metrics(&scenario.model).get(Metric::Goodput)
    };
    let goodputs = parallel::map(replications as usize, goodput).expect("every run has a goodput");
    goodputs.into_iter().filter(|goodput| *goodput < rate / 2.0).count() as u64
}

/// Two-sided p-value of Fisher's exact test for `a` of `n` against `b` of `m`: the probability of all tables with the same
/// margins that are no more likely than this one.
fn fisher(a: u64, n: u64, b: u64, m: u64) -> f64 {
    let ln_factorial = |k: u64| (1..=k).map(|i| (i as f64).ln()).sum::<f64>();
    let ln_choose = |n, k| ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k);
    let hits = a + b;
    let probability = |x| (ln_choose(n, x) + ln_choose(m, hits - x) - ln_choose(n + m, hits)).exp();
    let seen = probability(a) * (1.0 + 1e-9);
    (hits.saturating_sub(m)..=hits.min(n)).map(probability).filter(|p| *p <= seen).sum()
}

#[test]
fn fishers_exact_test_is_that_of_the_lady_tasting_tea() {
    // R: fisher.test(matrix(c(3, 1, 1, 3), 2))$p.value.
    assert!((fisher(3, 4, 1, 4) - 0.485_714_3).abs() < 1e-7);
    assert!((fisher(4, 4, 0, 4) - 0.028_571_4).abs() < 1e-7);
}

#[test]
fn the_recovery_threshold_decides_whether_a_spike_is_for_ever() {
    let cells: Vec<_> =
        TABLE.iter().flat_map(|&(gate, at_6, at_8)| [(gate, 6, at_6), (gate, 8, at_8)]).collect();
    let found: Vec<u64> =
        cells.iter().map(|&(gate, rate, _)| stuck(&m1(gate, rate), f64::from(rate), REPLICATIONS)).collect();
    let p_values: Vec<f64> = cells
        .iter()
        .zip(&found)
        .map(|((_, _, published), &found)| fisher(*published, SEEDS, found, REPLICATIONS.into()))
        .collect();
    let adjusted = holm::adjusted(&p_values);
    for ((&(gate, rate, published), found), (p, adjusted)) in
        cells.iter().zip(&found).zip(p_values.iter().zip(&adjusted))
    {
        println!(
            "{gate:?} at {rate}/s: {published}/16, {found}/{REPLICATIONS}, p {p:.4}, adjusted {adjusted:.3}"
        );
    }
    let at = |gate: Gate, rate| {
        let cell = cells.iter().position(|cell| (cell.0, cell.1) == (Some(gate), rate));
        found[cell.expect("a cell of the table")]
    };
    // The law. With half of 40 jobs never; at 1.25 times them often, at twice nearly always.
    assert_eq!((at((32, 16), 6), at((32, 16), 8)), (0, 0));
    assert!((10..=90).contains(&at((160, 50), 8)));
    assert!(at((160, 80), 6) >= 80 && at((160, 80), 8) >= 95);
    // The critical threshold is irrelevant.
    assert!(fisher(at((80, 40), 8), REPLICATIONS.into(), at((160, 40), 8), REPLICATIONS.into()) > 0.001);
    assert!(adjusted.iter().all(|p| *p > FAMILY_ERROR), "the table is another");
}

/// Huang, Magnusson, Muralikrishna, Estyak, Isaacs, Aghayev, Zhu and Charapko, "Metastable Failures in the Wild", OSDI 2022,
/// artifact of the retry experiment: a trigger of 80% for 10 s is permanent; 9 s, or 78%, or less load, are not.
#[test]
fn ten_seconds_are_for_ever_and_nine_are_not() {
    const SEEDS: u32 = 8;
    let stuck = |overrides: &[&str]| {
        let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
        let scenario = load("metastable-boundary.toml", &overrides);
        stuck(&scenario, scenario.model.peak_rate(), SEEDS)
    };
    assert_eq!(stuck(&[]), u64::from(SEEDS));
    assert_eq!(stuck(&["fault.trigger.for=9s"]), 0);
    assert_eq!(stuck(&["fault.trigger.factor=4.545"]), 0);
    assert_eq!(stuck(&["arrivals.rate=2.8k/s"]), 0);
    assert_eq!(stuck(&["clients.retry_budget=0.1"]), 0);
    // Where the fluid of the same system changes sides, found by bisection; noise moves the boundary by less than that.
    let boundary = |load: f64| {
        let (mut survived, mut fatal) = (0.0, 30.0);
        while fatal - survived > 0.01 {
            let middle = f64::midpoint(survived, fatal);
            if fluid_recovers(load, 5.0, middle) { survived = middle } else { fatal = middle }
        }
        survived
    };
    let exact = boundary(0.375);
    println!("the fluid's boundary is at {exact:.2} s");
    assert!((9.0..10.0).contains(&exact), "{exact}");
    let length = |seconds: f64| format!("fault.trigger.for={}ms", (seconds * 1e3).round());
    assert_eq!(stuck(&[&length(exact - 0.3)]), 0, "{exact}");
    assert_eq!(stuck(&[&length(exact + 0.3)]), u64::from(SEEDS), "{exact}");
}

/// A fluid that is served first come, first served, at rate 1, and at 1 / `factor` during the trigger. Requests come at rate
/// `load`; each is sent again after 3 s without an answer, four times at the most. Whether attempts are answered again in time a
/// minute after the trigger.
fn fluid_recovers(load: f64, factor: f64, trigger: f64) -> bool {
    const STEP: f64 = 0.002;
    const TIMEOUT: usize = (3.0 / STEP) as usize;
    const BEGIN: f64 = 5.0;
    let steps = ((BEGIN + trigger + 60.0) / STEP) as usize;
    let rate_at = |step: usize| {
        let time = step as f64 * STEP;
        if (BEGIN..BEGIN + trigger).contains(&time) { 1.0 / factor } else { 1.0 }
    };
    // Work sent up to each step, and served; an attempt that is sent at a step is answered once as much is served.
    let mut sent = vec![0.0];
    let mut served: Vec<f64> = vec![0.0];
    // Rate of the first, second, ... attempts at each step.
    let mut attempts: Vec<[f64; 5]> = Vec::new();
    let mut last_in_time = 0;
    for step in 0..steps {
        let mut rates = [load, 0.0, 0.0, 0.0, 0.0];
        if let Some(earlier) = step.checked_sub(TIMEOUT) {
            let is_late = served[step] < sent[earlier] - 1e-9;
            if is_late {
                rates[1..].copy_from_slice(&attempts[earlier][..4]);
            } else {
                last_in_time = earlier;
            }
        }
        sent.push(sent[step] + rates.iter().sum::<f64>() * STEP);
        served.push((served[step] + rate_at(step) * STEP).min(sent[step + 1]));
        attempts.push(rates);
    }
    last_in_time + 2 * TIMEOUT > steps
}

/// Bronson et al., HotOS 2021: below the hidden capacity the service returns by itself, above it a trigger is for ever.
#[test]
fn hidden_capacity_is_what_a_service_returns_from() {
    let after_a_long_spike = |gate: Option<Gate>, rate: f64| {
        let mut scenario = m1(gate, 6);
        let phases = &mut scenario.model.sources[0].phases;
        phases[0].rate = rate;
        phases[2].rate = rate;
        scenario
    };
    let ungated = after_a_long_spike(None, 1.0).model.retry_capacity().expect("clients that retry");
    assert!((ungated.advertised - 10.0).abs() < 1e-9 && (ungated.hidden - 2.5).abs() < 1e-9, "{ungated:?}");
    for (load, expected) in [(0.7, 0), (1.3, 32)] {
        let rate = load * ungated.hidden;
        assert_eq!(stuck(&after_a_long_spike(None, rate), rate, 32), expected, "at {rate}/s");
    }
    // A circuit that closes in time hides nothing.
    let gated = after_a_long_spike(Some((32, 16)), 1.0).model.retry_capacity().expect("clients that retry");
    assert_eq!(gated.hidden, gated.advertised);
    assert_eq!(stuck(&after_a_long_spike(Some((32, 16)), 8.0), 8.0, 32), 0);
    let late = after_a_long_spike(Some((160, 80)), 1.0).model.retry_capacity().expect("clients that retry");
    assert_eq!(late.hidden, 2.5);
    // Under `graded` an overload rests as deep as critical, so that is held against the 20 jobs that half of a patience drains.
    let graded = |critical: u64, recovery: u64| {
        let mut model = m1(None, 1).model;
        let thresholds = Config::builder().recovery(recovery).warning(recovery + 1).critical(critical);
        model.policy.config = thresholds.kind(KindName::Graded).build().expect("thresholds in order");
        model.retry_capacity().expect("clients that retry").hidden
    };
    assert_eq!(graded(20, 10), 10.0);
    assert_eq!(graded(32, 16), 2.5);
}

#[test]
fn a_threshold_beyond_patience_is_warned_of() {
    let warning = |gate| m1(Some(gate), 6).model.recovery_beyond_patience();
    assert_eq!(warning((32, 16)), None);
    assert!(warning((160, 80)).is_some_and(|text| text.contains("above what clients wait for")));
}

#[test]
fn a_plan_says_what_is_hidden_and_warns_of_a_threshold_beyond_patience() {
    let folder = tempfile::tempdir().expect("a folder");
    let scenario = repository("scenarios/metastable-recovery-threshold.toml");
    let plan = |recovery: u32, critical: u32| {
        // Limits that everything meets: the plan is about what it says.
        let slo = "slo=[\"rejection_probability <= 99%\", \"lost_jobs == 0\", \"abandoned_requests <= 1M\"]";
        let output = command(folder.path(), &["plan", "-o", "plan", "-n", "2", "--set", slo, "--grid"])
            .arg(format!("policy.recovery={recovery}"))
            .args(["--set", &format!("policy.warning={}", recovery + 1)])
            .args(["--set", &format!("policy.critical={critical}")])
            .arg(&scenario)
            .output()
            .expect("it starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let file = |name: &str| std::fs::read_to_string(folder.path().join("plan").join(name)).expect(name);
        let document: serde_json::Value = serde_json::from_str(&file("plan.json")).expect("JSON");
        let words =
            String::from_utf8(output.stdout).expect("text").split_whitespace().collect::<Vec<_>>().join(" ");
        (words, file("plan.md"), document["plans"][0]["choice"].clone())
    };
    let warning = "is above what clients wait for";
    let (terminal, markdown, chosen) = plan(80, 160);
    assert!(terminal.contains(warning) && terminal.contains("Advertised 10/s, hidden 2.50/s"), "{terminal}");
    assert!(markdown.contains(warning) && markdown.contains("hidden 2.50/s"), "{markdown}");
    assert_eq!(chosen["capacity"]["hidden_per_second"], 2.5, "{chosen}");
    let warned = |chosen: &serde_json::Value| {
        let warnings = chosen["warnings"].as_array().expect("a list").clone();
        warnings.iter().filter(|text| text.as_str().expect("a text").contains(warning)).count()
    };
    assert_eq!(warned(&chosen), 1);
    let (terminal, markdown, chosen) = plan(16, 32);
    assert!(!terminal.contains(warning) && !markdown.contains(warning), "{terminal}");
    assert_eq!(chosen["capacity"]["hidden_per_second"], 10.0);
    assert_eq!(warned(&chosen), 0);
}
