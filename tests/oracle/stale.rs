//! What a latency between reading the depth and enqueueing does to the peak: `stale_overshoot`, a law found
//! by a walk model, and `stale_montecarlo`, another simulation.

use backpressure::State;
use backpressure_sim::engine::time::SimTime;
use backpressure_sim::model::Simulation;
use backpressure_sim::model::config::ModelConfig;

use crate::compare::{Pair, Quantity};
use crate::scenario::{self, CircuitRun};
use crate::study::{Observe, Study};
use crate::table::{Case, Fields};
use crate::watch::{Both, Diary, Ledger, Window};

/// From a little below a threshold to the end of the time OPEN, again and again: first from CLOSED below C,
/// and where the table has it from HALF_OPEN below `reopen_at`.
pub(crate) fn overshoot(case: &Case) -> Vec<Study> {
    let c = case.params.count("C");
    let mut studies = vec![peak_study(case, "overshoot", c, "CLOSED")];
    if case.expected.has("reopen_overshoot_mean") {
        studies.push(peak_study(case, "reopen_overshoot", case.params.count("reopen_at"), "HALF_OPEN"));
    }
    studies
}

fn peak_study(case: &Case, prefix: &'static str, threshold: u64, circuit: &str) -> Study {
    // So far below that the enqueues in flight, none at first, have long become stationary: 1,000 jobs are
    // 0.14 s at 7,000 more a second, against a latency of 3 ms.
    const BELOW: u64 = 1000;
    let rates = case.params.below("rates");
    let run = CircuitRun {
        load: vec![(0.0, rates)],
        spike: false,
        duration: 0.25,
        warmup: 0.0,
        depth: threshold - BELOW,
        circuit: circuit.to_owned(),
        latency: case.params.number("latency"),
    };
    let config = scenario::circuit(&case.params, &run);
    let expected = case.expected.clone();
    let mean = expected.number(&format!("{prefix}_mean"));
    let exact = move |of: &str| expected.number(&format!("{prefix}_{of}"));
    let (sd, accuracy) = (exact("sd"), case.accuracy);
    let mut quantities = vec![
        Quantity::mean(format!("{prefix}_mean"), mean).within(accuracy * mean),
        Quantity::spread(format!("{prefix}_sd, squared"), sd * sd).within(2.0 * accuracy * sd * sd),
    ];
    // The law is within half a job of the truth, as the table's note says, so a quantile within one.
    let mut levels = Vec::new();
    for (name, level) in [("p50", 0.50), ("p95", 0.95), ("p99", 0.99)] {
        quantities.push(Quantity::tail_at_most(format!("P(X > {prefix}_{name} + 1)"), level));
        quantities.push(Quantity::tail_at_least(format!("P(X >= {prefix}_{name} - 1)"), level));
        levels.push(exact(name));
    }
    let observe: Observe = Box::new(move |seed, replication| {
        let diary = keep_diary(&config, seed, replication);
        let peak = *diary.peaks_while_open.first().expect("the circuit opens within the run");
        let over = peak as f64 - threshold as f64;
        let mut pairs = vec![(over, 1.0), ((over - mean).powi(2), 1.0)];
        for level in &levels {
            pairs.push((f64::from(over > level + 1.0), 1.0));
            pairs.push((f64::from(over >= level - 1.0), 1.0));
        }
        pairs
    });
    Study { case: case.id.clone(), quantities, observe, first: 5120, most: 40_960, quick: false }
}

fn keep_diary(config: &ModelConfig, seed: u64, replication: u32) -> Diary {
    let mut diary = Diary::default();
    Simulation::new(config, seed, replication, &mut diary).run();
    diary
}

/// The other simulation followed, replication by replication, with its standard errors.
pub(crate) fn montecarlo(case: &Case) -> Study {
    let params = &case.params;
    // A run that ends at an opening need not go on to its horizon.
    let duration = if params.has("duration") {
        params.number("duration")
    } else {
        (params.number("openings") + 3.0) * case.expected.number("period_mean")
    };
    let run = CircuitRun {
        load: vec![(0.0, params.below("rates"))],
        spike: false,
        duration,
        warmup: 0.0,
        depth: params.count("n0"),
        circuit: "CLOSED".to_owned(),
        latency: params.number("latency"),
    };
    let config = scenario::circuit(params, &run);
    let names: Vec<String> =
        case.expected.names().filter(|name| !name.ends_with("_se")).map(str::to_owned).collect();
    let quantity = |name: &String| {
        let error = case.expected.number(&format!("{name}_se"));
        let quantity = Quantity::mean(name, case.expected.number(name)).with_error(error);
        if name == "overshoot_mean" { quantity.primary() } else { quantity }
    };
    let quantities = names.iter().map(quantity).collect();
    let params = params.clone();
    Study {
        case: case.id.clone(),
        quantities,
        observe: Box::new(move |seed, replication| {
            let run = Run::new(&config, &params, seed, replication);
            names.iter().map(|name| run.pair(&params, name)).collect()
        }),
        first: 256,
        most: 8192,
        quick: true,
    }
}

struct Run {
    diary: Diary,
    /// Over the cycles from the second opening to the last one that counts, if openings end the run.
    cycles: Option<(u64, Ledger)>,
    end: SimTime,
}

impl Run {
    fn new(config: &ModelConfig, params: &Fields, seed: u64, replication: u32) -> Self {
        let openings = params.has("openings").then(|| params.count("openings"));
        let window = openings.map_or(Window::From(SimTime::ZERO), |last| Window::Openings(2, last));
        let mut probe = Both(Diary::default(), Ledger::new(config, window));
        Simulation::new(config, seed, replication, &mut probe).run();
        let Both(diary, ledger) = probe;
        assert!(ledger.complete, "the run is long enough for its openings");
        Self { diary, cycles: openings.map(|last| (last, ledger)), end: SimTime(config.horizon.0) }
    }

    fn pair(&self, params: &Fields, name: &str) -> Pair {
        let cycles = || self.cycles.as_ref().expect("cycles are asked for only where openings are given");
        match name {
            "overshoot_mean" => (self.diary.peaks_while_open[0] as f64 - params.number("C"), 1.0),
            "reopen_overshoot_mean" => {
                let (last, _) = cycles();
                let peaks = &self.diary.peaks_while_open[1..*last as usize - 1];
                let mean = peaks.iter().sum::<u64>() as f64 / peaks.len() as f64;
                (mean - params.number("reopen_at"), 1.0)
            }
            "period_mean" => {
                let (last, ledger) = cycles();
                (ledger.seconds() / (last - 2) as f64, 1.0)
            }
            "open_fraction_mean" => {
                let open = cycles().1.state_time[usize::from(State::Open.code())];
                (open as f64 / 1e9 / cycles().1.seconds(), 1.0)
            }
            "opens_per_hour" => {
                let window = params.number("window");
                let from = self.end.as_secs_f64() - window;
                let openings = self.diary.openings();
                let count = openings.iter().filter(|at| at.as_secs_f64() >= from).count();
                (count as f64 / window * 3600.0, 1.0)
            }
            other => panic!("the table has a quantity {other} that is not known here"),
        }
    }
}
