//! From a given start: `circuit_transient`, the state at given times, and `circuit_recovery`, the law of the
//! time until the circuit is CLOSED with at most R jobs.
//!
//! Every replication is one observation, so probabilities and quantiles are shares of replications.

use backpressure::State;
use backpressure_sim::engine::time::SimTime;
use backpressure_sim::model::Simulation;
use backpressure_sim::model::config::ModelConfig;
use backpressure_sim::model::probe::Probe;

use crate::compare::Quantity;
use crate::scenario::{self, CircuitRun};
use crate::study::Study;
use crate::table::{Case, Fields};
use crate::watch::{Photographer, Snapshot};

/// Seconds and rates of each of `segments`.
pub(crate) fn segments(params: &Fields) -> Vec<(f64, Fields)> {
    let read = |segment: &serde_json::Value| {
        let segment = Fields(segment.clone());
        (segment.number("duration"), segment.below("rates"))
    };
    params.list("segments").iter().map(read).collect()
}

/// A circuit run through `load` from the start that the case gives.
pub(crate) fn run_through(params: &Fields, load: Vec<(f64, Fields)>, duration: f64) -> CircuitRun {
    CircuitRun {
        spike: load.len() > 1,
        load,
        duration,
        warmup: 0.0,
        depth: if params.has("n0") { params.count("n0") } else { 0 },
        circuit: if params.has("s0") { params.word("s0").to_owned() } else { "CLOSED".to_owned() },
        latency: params.number_or("latency", 0.0),
    }
}

/// A number in a snapshot.
type ValueOf = dyn Fn(&Snapshot) -> f64 + Sync;

pub(crate) fn transient(case: &Case) -> Study {
    let load = segments(&case.params);
    let duration = load.iter().map(|(seconds, _)| seconds).sum();
    let config = scenario::circuit(&case.params, &run_through(&case.params, load, duration));
    let rows: Vec<Fields> = case.expected.list("rows").iter().cloned().map(Fields).collect();
    let times: Vec<f64> = rows.iter().map(|row| row.number("t")).collect();
    let mut quantities = Vec::new();
    let mut values: Vec<(usize, Box<ValueOf>)> = Vec::new();
    for (index, row) in rows.iter().enumerate() {
        for name in row.names().filter(|name| *name != "t") {
            let (quantity, value) = measure(row, name);
            let quantity = quantity.at(row.number("t"));
            let is_primary = name == "depth" && index == rows.len() / 2;
            quantities.push(if is_primary { quantity.primary() } else { quantity });
            values.push((index, value));
        }
    }
    let is_full = case.id.contains("full");
    Study {
        case: case.id.clone(),
        quantities,
        observe: Box::new(move |seed, replication| {
            let mut photographer = Photographer::new(&config, &times);
            Simulation::new(&config, seed, replication, &mut photographer).run();
            photographer.catch_up(SimTime(config.horizon.0));
            values.iter().map(|(index, value)| (value(&photographer.snapshots[*index]), 1.0)).collect()
        }),
        first: if is_full { 256 } else { 4096 },
        most: match case.params.count("C") {
            ..500 => 262_144,
            500..50_000 => 32_768,
            _ => 1024,
        },
        quick: case.id.contains("small-spike-reopen"),
    }
}

/// A field of a row and its value in a snapshot.
fn measure(row: &Fields, name: &str) -> (Quantity, Box<ValueOf>) {
    let exact = row.number(name);
    let state = |state: State| -> (Quantity, Box<ValueOf>) {
        let quantity = Quantity::share(name, exact).counting_events();
        (quantity, Box::new(move |snapshot| f64::from(u8::from(snapshot.state == state))))
    };
    let count = |of: fn(&Snapshot) -> f64| -> (Quantity, Box<ValueOf>) {
        // What few replications have is rare, whatever it counts.
        let quantity = if exact < 1.0 { Quantity::rate(name, exact) } else { Quantity::mean(name, exact) };
        (quantity, Box::new(of))
    };
    match name {
        "depth" => (Quantity::mean(name, exact), Box::new(|snapshot| snapshot.depth as f64)),
        "depth_sd" => {
            let mean = row.number("depth");
            let square = move |snapshot: &Snapshot| (snapshot.depth as f64 - mean).powi(2);
            (Quantity::spread("depth_sd, squared", exact * exact), Box::new(square))
        }
        "P_CLOSED" => state(State::Closed),
        "P_HALF_OPEN" => state(State::HalfOpen),
        "P_OPEN" => state(State::Open),
        "cum_rejected_p1" => count(|snapshot| snapshot.rejected[0] as f64),
        "cum_rejected_p5" => count(|snapshot| snapshot.rejected[1] as f64),
        "cum_rejected_p10" => count(|snapshot| snapshot.rejected[2] as f64),
        "cum_opens" => count(|snapshot| snapshot.opens as f64),
        "cum_completed" => count(|snapshot| snapshot.completed as f64),
        "cum_open_seconds" => count(|snapshot| snapshot.open_seconds),
        other => panic!("the table has a quantity {other} that is not known here"),
    }
}

/// The simulator's recovery is the table's `state`; the table's `instant` counts the closing observation
/// itself, and a probe finds it.
pub(crate) fn recovery(case: &Case) -> Study {
    let params = &case.params;
    let mut load = segments(params);
    let spike_end: f64 = load.iter().map(|(seconds, _)| seconds).sum();
    load.push((0.0, params.below("after")));
    // So far beyond the 99th percentile that an exponential tail through it and the 95th leaves 1e-8, and then
    // twice the longest way down in HALF_OPEN, which is rare but slow.
    let [p95, p99] = ["state_t_p95", "state_t_p99"].map(|name| case.expected.number(name));
    let after = params.below("after");
    let drain = params.number("c") * params.number("mu") - after.number("p1") - after.number("p5");
    let way_down = (params.number("C") - params.number("R")) / drain;
    let slack = p99 + (0.01_f64 / 1e-8).ln() * (p99 - p95) / 5.0_f64.ln() + 2.0 * way_down;
    let config = scenario::circuit(params, &run_through(params, load, (spike_end + slack).ceil()));
    let names: Vec<String> = case.expected.names().map(str::to_owned).collect();
    let expected = case.expected.clone();
    let quantities = names.iter().map(|name| recovery_quantity(&expected, name)).collect();
    let is_full = case.id.contains("full");
    Study {
        case: case.id.clone(),
        quantities,
        observe: Box::new(move |seed, replication| {
            let mut watch = InstantRecovery::new(&config, spike_end);
            let outcome = Simulation::new(&config, seed, replication, &mut watch).run();
            let state = outcome.recovery.expect("the run is long enough to recover").as_secs_f64();
            let instant = watch.found.expect("the run is long enough to recover").as_secs_f64() - spike_end;
            let value = |name: &String| {
                let (seconds, of) = match name.split_once('_').expect("definition_quantity") {
                    ("state", of) => (state, of),
                    (_, of) => (instant.max(0.0), of),
                };
                (recovery_value(&expected, name, of, seconds), 1.0)
            };
            names.iter().map(value).collect()
        }),
        first: if is_full { 1024 } else { 8192 },
        most: if is_full { 2048 } else { 131_072 },
        quick: case.id.contains("small-spike-reopen"),
    }
}

fn recovery_quantity(expected: &Fields, name: &str) -> Quantity {
    let exact = expected.number(name);
    let tail = |level: f64| Quantity::tail(format!("P(X > {name})"), level).counting_events();
    match name.split_once('_').expect("definition_quantity").1 {
        "p_already" => Quantity::share(name, exact).counting_events(),
        "mean" if name.starts_with("state") => Quantity::mean(name, exact).primary(),
        "mean" => Quantity::mean(name, exact),
        "sd" => Quantity::spread(format!("{name}, squared"), exact * exact),
        "t_p50" => tail(0.50),
        "t_p95" => tail(0.95),
        "t_p99" => tail(0.99),
        other => panic!("the table has a quantity {other} that is not known here"),
    }
}

fn recovery_value(expected: &Fields, name: &str, of: &str, seconds: f64) -> f64 {
    match of {
        "p_already" => f64::from(u8::from(seconds <= 0.0)),
        "mean" => seconds,
        "sd" => {
            let (definition, _) = name.split_once('_').expect("definition_quantity");
            (seconds - expected.number(&format!("{definition}_mean"))).powi(2)
        }
        _ => f64::from(u8::from(seconds > expected.number(name))),
    }
}

/// The first moment from `from` on at which the circuit is CLOSED with at most R jobs, also if the job that
/// was observed is about to be one more.
struct InstantRecovery {
    from: SimTime,
    recovery: u64,
    state: State,
    depth: u64,
    found: Option<SimTime>,
}

impl InstantRecovery {
    fn new(config: &ModelConfig, from: f64) -> Self {
        Self {
            from: SimTime((from * 1e9).round() as u64),
            recovery: config.policy.config.recovery(),
            state: config.start.circuit,
            depth: config.start.jobs,
            found: None,
        }
    }

    /// Before anything happens at `now`, the system is as it was left: is that recovered at `from`?
    fn look_back(&mut self, now: SimTime) {
        if self.found.is_none() && now >= self.from && self.is_recovered() {
            self.found = Some(self.from);
        }
    }

    fn is_recovered(&self) -> bool {
        self.state == State::Closed && self.depth <= self.recovery
    }
}

impl Probe for InstantRecovery {
    fn moved(&mut self, now: SimTime, _circuit: usize, _from: State, to: State, _depth: u64) {
        self.look_back(now);
        self.state = to;
        if to == State::Closed && now >= self.from {
            self.found.get_or_insert(now);
        }
    }

    fn settled(&mut self, now: SimTime, depth: u64) {
        self.look_back(now);
        self.depth = depth;
        if now >= self.from && self.is_recovered() {
            self.found.get_or_insert(now);
        }
    }
}
