//! Exact paths: `policy_trace`, the automaton alone, and `sample_path`, a whole simulation of given
//! arrivals. Everything must match value by value.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use backpressure::{AnyPolicy, Config, Decision, Depth, Nanos, Policy, Priority, State};
use backpressure_sim::engine::time::SimTime;
use backpressure_sim::model::Simulation;
use backpressure_sim::model::probe::Probe;
use serde_json::{Value, json};

use crate::compare::Row;
use crate::scenario;
use crate::table::{Case, Fields, list};

/// Runs the automaton of the policy crate through the steps.
pub(crate) fn policy_trace(case: &Case) -> Vec<Row> {
    let mut controller = AnyPolicy::new(config(&case.params), Nanos(0));
    let (mut states, mut admitted) = (Vec::new(), Vec::new());
    for (step, now) in case.params.list("steps").iter().zip(1..) {
        let [depth, priority] = [0, 1].map(|index| whole(&step[index]));
        controller.observe(Depth::Known(depth), Nanos(now));
        states.push(json!(name_of(controller.state())));
        let priority = u8::try_from(priority).ok().and_then(Priority::new).expect("a priority of 1 to 10");
        admitted.push(json!(matches!(controller.decide(priority, Nanos(now)), Decision::Admit)));
    }
    vec![matches(case, "states", &states), matches(case, "admitted", &admitted)]
}

/// Runs the simulation through the arrivals, read from a scenario with a recorded trace.
pub(crate) fn sample_path(case: &Case) -> Vec<Row> {
    let folder = tempfile::tempdir().expect("a folder for the trace");
    let arrivals: Vec<[u64; 3]> =
        case.params.list("arrivals_us").iter().map(|row| [0, 1, 2].map(|index| whole(&row[index]))).collect();
    let mut trace = String::from("time_us,priority,service_us\n");
    for [at, priority, service] in &arrivals {
        let _ = writeln!(trace, "{at},{priority},{service}");
    }
    std::fs::write(folder.path().join("arrivals.csv"), trace).expect("the trace can be written");
    let last =
        case.expected.list("finish_us").iter().filter_map(Value::as_u64).max().expect("a job is finished");
    let end = last.max(arrivals.iter().map(|[at, ..]| *at).max().expect("there are arrivals")) + 1_000_000;
    let model = scenario::traced(&case.params, end as f64 / 1e6, folder.path());

    let mut path = Path::default();
    Simulation::new(&model, 1, 0, &mut path).run();
    let of_each = |found: &BTreeMap<u64, u64>| -> Vec<Value> {
        arrivals.iter().map(|[at, ..]| found.get(at).map_or(Value::Null, |time| json!(time))).collect()
    };
    let admitted: Vec<Value> = path.admitted.into_iter().map(Value::from).collect();
    vec![
        matches(case, "admitted", &admitted),
        matches(case, "start_us", &of_each(&path.start)),
        matches(case, "finish_us", &of_each(&path.finish)),
        matches(case, "circuit_changes", &path.changes),
    ]
}

/// How many values are as expected: all of them, or the row fails.
fn matches(case: &Case, name: &str, found: &[Value]) -> Row {
    let expected = list(case.expected.value(name));
    let equal = expected.iter().zip(found).filter(|(expected, found)| expected == found).count();
    let length = expected.len().max(found.len());
    Row::fixed(&case.id, name, length as f64, equal as f64, 0.0)
}

fn config(params: &Fields) -> Config {
    Config::builder()
        .recovery(params.count("R"))
        .warning(params.count("W"))
        .critical(params.count("C"))
        .reopen_at(params.count("reopen_at"))
        .shed_at_ppm((params.number("shed_fraction") * 1e6).round() as u32)
        .build()
        .expect("the thresholds of the table are in order")
}

fn name_of(state: State) -> &'static str {
    match state {
        State::Closed => "CLOSED",
        State::HalfOpen => "HALF_OPEN",
        State::Open => "OPEN",
    }
}

fn whole(value: &Value) -> u64 {
    value.as_u64().expect("a whole number")
}

/// All that happened, in microseconds; jobs by their arrivals, as no two coincide.
#[derive(Debug, Default)]
struct Path {
    admitted: Vec<bool>,
    start: BTreeMap<u64, u64>,
    finish: BTreeMap<u64, u64>,
    changes: Vec<Value>,
}

impl Probe for Path {
    fn arrived(&mut self, _now: SimTime, _class: usize, admitted: bool) {
        self.admitted.push(admitted);
    }
    fn started(&mut self, now: SimTime, arrived: SimTime) {
        self.start.insert(micros(arrived), micros(now));
    }
    fn completed(&mut self, now: SimTime, arrived: SimTime) {
        self.finish.insert(micros(arrived), micros(now));
    }
    fn moved(&mut self, now: SimTime, _circuit: usize, from: State, to: State, depth: u64) {
        self.changes.push(json!([micros(now), name_of(from), name_of(to), depth]));
    }
}

fn micros(time: SimTime) -> u64 {
    assert_eq!(time.0 % 1000, 0, "all times of a path are whole microseconds");
    time.0 / 1000
}
