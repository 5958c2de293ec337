//! `circuit_stationary`: the policy before exponential servers, for ever.
//!
//! Two ways to average. Where the circuit forgets its past within a run, a stretch of time after a warm-up.
//! Where it cycles for long with hardly a change, whole cycles from opening to opening, as a stretch of time
//! would be off by up to a cycle: an opening finds exactly `reopen_at` jobs, so cycles are alike and
//! independent, and the ratio of sums is the stationary average (regenerative method).

use backpressure::State;
use backpressure_sim::engine::time::SimTime;
use backpressure_sim::model::Simulation;
use backpressure_sim::model::config::ModelConfig;
use backpressure_sim::model::outcome::Outcome;

use crate::compare::{Pair, Quantity};
use crate::scenario::{self, CLASSES, CircuitRun};
use crate::study::Study;
use crate::table::{Case, Fields};
use crate::watch::{Ledger, Window};

/// How a case is run.
struct Recipe {
    warmup: f64,
    duration: f64,
    depth: u64,
    circuit: &'static str,
    cycles: Option<(u64, u64)>,
    first: usize,
    most: usize,
    quick: bool,
}

/// A quantity and how to get its pair.
type Measure = (Quantity, Box<dyn Fn(&Ledger) -> Pair + Sync>);

pub(crate) fn study(case: &Case) -> Study {
    let params = case.params.clone();
    let recipe = recipe(case);
    let load = CircuitRun {
        load: vec![(0.0, params.below("rates"))],
        spike: false,
        duration: recipe.duration,
        warmup: recipe.warmup,
        depth: recipe.depth,
        circuit: recipe.circuit.to_owned(),
        latency: 0.0,
    };
    let config = scenario::circuit(&params, &load);
    let levels: Vec<f64> = WAIT_LEVELS.iter().map(|(name, _)| case.expected.number(name)).collect();
    let measures: Vec<Measure> =
        case.expected.names().flat_map(|name| measure(&params, &case.expected, name)).collect();
    let (quantities, pairs): (Vec<_>, Vec<_>) = measures.into_iter().unzip();
    let window = match recipe.cycles {
        None => Window::From(SimTime(config.warmup.0)),
        Some((first, last)) => Window::Openings(first, last),
    };
    Study {
        case: case.id.clone(),
        quantities,
        observe: Box::new(move |seed, replication| {
            let mut ledger = Ledger::new(&config, window).with_waits(&levels, 0.0);
            let outcome = Simulation::new(&config, seed, replication, &mut ledger).run();
            assert!(ledger.complete, "the run was too short for its cycles");
            if matches!(window, Window::From(_)) {
                ledger.advance(SimTime(config.horizon.0));
                assert_agreement(&config, &outcome, &ledger);
            }
            pairs.iter().map(|pair| pair(&ledger)).collect()
        }),
        first: recipe.first,
        most: recipe.most,
        quick: recipe.quick,
    }
}

/// The simulator's own estimators say exactly what the probe saw.
fn assert_agreement(config: &ModelConfig, outcome: &Outcome, ledger: &Ledger) {
    assert_eq!(outcome.state_time, ledger.state_time.map(u128::from), "time in each state");
    let area: u128 = (0_u128..).zip(&ledger.depth_time).map(|(depth, &time)| depth * u128::from(time)).sum();
    assert_eq!(outcome.depth_area, area, "integral of the depth");
    let slots = u128::from(config.workers.slots());
    let busy: u128 =
        (0_u128..).zip(&ledger.depth_time).map(|(depth, &time)| depth.min(slots) * u128::from(time)).sum();
    assert_eq!(outcome.busy_area, busy, "integral of the busy slots");
}

/// Warm-ups are many relaxation times of the slowest part: the queue near its capacity, or the way back to
/// CLOSED.
fn recipe(case: &Case) -> Recipe {
    let params = &case.params;
    let reopen_at = params.count("reopen_at");
    let usual = Recipe {
        warmup: 4000.0,
        duration: 44_000.0,
        depth: 0,
        circuit: "CLOSED",
        cycles: None,
        first: 64,
        most: 4096,
        quick: false,
    };
    let (_, name) = case.id.split_once('/').expect("kind/name");
    match name {
        // 9.8 s and 4.9 s a cycle. The first opening is still near the start, the second comes a cycle later.
        "full-spike-20k-reopen-at-critical" | "full-spike-20k-reopen-between" => {
            let period = 3600.0 / case.expected.number("opens_per_hour");
            let (first, last) = (2, 12);
            Recipe {
                warmup: 0.0,
                duration: (period * (last + 1) as f64).ceil(),
                depth: reopen_at - 100,
                circuit: "HALF_OPEN",
                cycles: Some((first, last)),
                first: 64,
                most: 512,
                ..usual
            }
        }
        "med-over-reopen-at-critical" => Recipe {
            warmup: 0.0,
            duration: 10_000.0,
            depth: reopen_at - 10,
            circuit: "HALF_OPEN",
            cycles: Some((2, 62)),
            most: 2048,
            quick: true,
            ..usual
        },
        // Its depth hangs at W, where it moves by a few jobs; a wait takes a second.
        "full-spike-20k-reopen-at-warning" => {
            Recipe { warmup: 3.0, duration: 33.0, depth: reopen_at, circuit: "HALF_OPEN", most: 256, ..usual }
        }
        "full-normal-9500-reopen-at-warning" => {
            Recipe { warmup: 5.0, duration: 45.0, depth: 80, most: 512, ..usual }
        }
        "full-near-capacity-reopen-at-critical" => {
            Recipe { warmup: 150.0, duration: 950.0, depth: 200, most: 64, ..usual }
        }
        // Excursions, hours apart, carry much of the variance of the depth: the standard error is right only
        // once there were many, so the length is fixed to expect 70 of each.
        "med-over-reopen-at-warning" => Recipe {
            warmup: 200.0,
            duration: 11_200.0,
            depth: reopen_at,
            circuit: "HALF_OPEN",
            first: 1024,
            most: 1024,
            ..usual
        },
        "med-pinned-at-shed-reopen-at-warning" => {
            Recipe { warmup: 1000.0, duration: 22_000.0, depth: 400, first: 1024, most: 1024, ..usual }
        }
        "med-barely-over-reopen-at-critical" => {
            Recipe { warmup: 12_000.0, duration: 92_000.0, depth: 280, most: 512, ..usual }
        }
        // Its openings are a month apart.
        "small-p1-only-is-mmc-reopen-at-warning" => {
            Recipe { duration: 404_000.0, most: 128, first: 128, ..usual }
        }
        name if name.contains("over") => Recipe { quick: name.starts_with("small-over"), ..usual },
        _ => usual,
    }
}

const WAIT_LEVELS: [(&str, f64); 3] =
    [("wq_accepted_p50", 0.50), ("wq_accepted_p95", 0.95), ("wq_accepted_p99", 0.99)];

const HOUR: f64 = 3600.0;

/// What a name of `expected` means; a quantile of the depth gives two quantities, most names one.
fn measure(params: &Fields, expected: &Fields, name: &str) -> Vec<Measure> {
    fn one(quantity: Quantity, pair: impl Fn(&Ledger) -> Pair + Sync + 'static) -> Vec<Measure> {
        vec![(quantity, Box::new(pair))]
    }
    if !expected.has(name) {
        return Vec::new(); // the circuit never leaves a state that it never enters
    }
    let exact = expected.number(name);
    if let Some(digits) = name.strip_prefix("depth_p") {
        let level: f64 = format!("0.{digits}").parse().expect("digits of a level");
        let above = move |least: f64| move |ledger: &Ledger| time_at_least(ledger, least);
        let mut both = one(Quantity::tail_at_most(format!("P(n > {name})"), level), above(exact + 1.0));
        both.extend(one(Quantity::tail_at_least(format!("P(n >= {name})"), level), above(exact)));
        return both;
    }
    if let Some(index) = WAIT_LEVELS.iter().position(|(known, _)| *known == name) {
        return one(Quantity::tail(format!("P(X > {name})"), WAIT_LEVELS[index].1), move |ledger| {
            (ledger.waits_above[index] as f64, ledger.started as f64)
        });
    }
    let state = |state: State| {
        one(Quantity::share(name, exact), move |ledger| {
            (ledger.state_time[usize::from(state.code())] as f64 / 1e9, ledger.seconds())
        })
    };
    let at_least = |least: f64| one(Quantity::share(name, exact), move |ledger| time_at_least(ledger, least));
    let rejected = |class: usize| {
        one(Quantity::share(name, exact), move |ledger| {
            (ledger.rejected[class] as f64, ledger.offered[class] as f64)
        })
    };
    let hourly = |count: fn(&Ledger) -> u64| {
        one(Quantity::rate(name, exact), move |ledger| (count(ledger) as f64, ledger.seconds() / HOUR))
    };
    let served = |value: fn(&Ledger) -> f64| {
        one(Quantity::mean(name, exact), move |ledger| (value(ledger), ledger.started as f64))
    };
    let slots = params.number("c");
    let busy = |name: &str, exact: f64| {
        one(Quantity::share(name, exact), move |ledger| {
            (ledger.integral(|depth| depth.min(slots)), ledger.seconds() * slots)
        })
    };
    match name {
        "P_CLOSED" => state(State::Closed),
        "P_HALF_OPEN" => state(State::HalfOpen),
        "P_OPEN" => state(State::Open),
        "mean_depth" => one(Quantity::mean(name, exact).primary(), |ledger| {
            (ledger.integral(|depth| depth), ledger.seconds())
        }),
        "var_depth" => {
            let mean = expected.number("mean_depth");
            one(Quantity::spread(name, exact), move |ledger| {
                (ledger.integral(|depth| (depth - mean).powi(2)), ledger.seconds())
            })
        }
        "mean_waiting" => one(Quantity::mean(name, exact), move |ledger| {
            (ledger.integral(|depth| (depth - slots).max(0.0)), ledger.seconds())
        }),
        "mean_busy" => busy("mean_busy / c", exact / slots),
        "utilization" => busy(name, exact),
        "P_depth_ge_W" => at_least(params.number("W")),
        "P_depth_ge_S" => at_least((params.number("shed_fraction") * params.number("C")).ceil()),
        "P_depth_ge_C" => at_least(params.number("C")),
        "reject_p1" => rejected(0),
        "reject_p5" => rejected(1),
        "reject_p10" => rejected(2),
        "reject_all" => one(Quantity::share(name, exact), |ledger| {
            let sum = |counts: &[u64]| counts[..CLASSES.len()].iter().sum::<u64>() as f64;
            (sum(&ledger.rejected), sum(&ledger.offered))
        }),
        "throughput" => {
            one(Quantity::mean(name, exact), |ledger| (ledger.completed as f64, ledger.seconds()))
        }
        "opens_per_hour" => hourly(|ledger| ledger.opens),
        "opens_from_closed_per_hour" => one(Quantity::rate(name, exact).counting_events(), |ledger| {
            (ledger.opens_from_closed as f64, ledger.seconds() / HOUR)
        }),
        "closes_per_hour" => one(Quantity::rate(name, exact).counting_events(), |ledger| {
            (ledger.closes as f64, ledger.seconds() / HOUR)
        }),
        "mean_open_sojourn" => one(Quantity::spread(name, exact), |ledger| {
            (ledger.state_time[usize::from(State::Open.code())] as f64 / 1e9, ledger.opens as f64)
        }),
        // Upside down, as the number of openings may be small.
        "mean_closed_sojourn" => {
            let quantity = Quantity::rate(format!("1 / {name}"), 1.0 / exact).counting_events();
            one(quantity, |ledger| {
                let closed = ledger.state_time[usize::from(State::Closed.code())] as f64 / 1e9;
                (ledger.opens_from_closed as f64, closed)
            })
        }
        "Wq_accepted" => served(|ledger| ledger.wait_sum),
        "T_accepted" => {
            one(Quantity::mean(name, exact), |ledger| (ledger.sojourn_sum, ledger.completed as f64))
        }
        "p_wait_accepted" => {
            one(Quantity::share(name, exact), |ledger| (ledger.waited as f64, ledger.started as f64))
        }
        other => panic!("the table has a quantity {other} that is not known here"),
    }
}

fn time_at_least(ledger: &Ledger, least: f64) -> Pair {
    (ledger.integral(|depth| f64::from(depth >= least)), ledger.seconds())
}
