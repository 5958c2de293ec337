//! The fluid solver against the published table of exact answers.

use backpressure_sim::fluid::{
    self, Event, EventKind, Fluid, Level, LimitCycle, Outcome, PerClass, Pin, Segment, SegmentEnd, Stale,
    StaleOutcome, State, System,
};
use serde_json::Value;

/// Relative, and absolute for numbers below one.
const TOLERANCE: f64 = 1e-8;

#[test]
fn spikes_match_the_table() {
    check_all("fluid_spike", 12, check_spike);
}

#[test]
fn stale_overloads_match_the_table() {
    check_all("stale_fluid", 3, check_stale);
}

fn check_all(kind: &str, count: usize, check_case: fn(&str, &Value, &Value)) {
    let table: Value = serde_json::from_str(include_str!("../data/oracle-public.json")).unwrap();
    let cases: Vec<&Value> = list(&table["cases"]).iter().filter(|case| case["kind"] == kind).collect();
    assert_eq!(cases.len(), count, "cases of kind {kind}");
    for case in cases {
        check_case(word(&case["id"]), &case["params"], &case["expected"]);
    }
}

fn check_spike(id: &str, params: &Value, expected: &Value) {
    let outcome = fluid::solve(&Fluid {
        system: system(params),
        initial_depth: params["n0"].as_f64().unwrap_or(0.0),
        initial_state: State::Closed,
        segments: list(&params["segments"])
            .iter()
            .map(|segment| Segment { seconds: number(&segment["duration"]), rates: rates(&segment["rates"]) })
            .collect(),
    });
    for name in fields(expected) {
        check(&format!("{id} {name}"), &expected[name], &spike_field(&outcome, name));
    }
}

fn check_stale(id: &str, params: &Value, expected: &Value) {
    let outcome = fluid::stale(&Stale {
        system: system(params),
        initial_depth: number(&params["n0"]),
        rates: rates(&params["rates"]),
        latency: number(&params["latency"]),
    })
    .unwrap();
    for name in fields(expected) {
        check(&format!("{id} {name}"), &expected[name], &stale_field(&outcome, name));
    }
}

/// Compares what the table expects with what was found; of objects only the fields that it names.
#[track_caller]
fn check(what: &str, expected: &Value, found: &Value) {
    match (expected, found) {
        (Value::Array(expected), Value::Array(found)) => {
            assert_eq!(expected.len(), found.len(), "{what}: length");
            for (i, (expected, found)) in expected.iter().zip(found).enumerate() {
                check(&format!("{what}[{i}]"), expected, found);
            }
        }
        (Value::Object(fields), Value::Object(_)) => {
            for (name, expected) in fields {
                check(&format!("{what}.{name}"), expected, &found[name]);
            }
        }
        (Value::Number(_), Value::Number(_)) => {
            let (expected, found) = (number(expected), number(found));
            let error = (found - expected).abs() / expected.abs().max(1.0);
            assert!(error <= TOLERANCE, "{what}: expected {expected}, found {found}, error {error:e}");
        }
        _ => assert_eq!(expected, found, "{what}"),
    }
}

fn spike_field(outcome: &Outcome, name: &str) -> Value {
    match name {
        "events" => outcome.events.iter().map(event).collect(),
        "segments" => outcome.segments.iter().map(segment_end).collect(),
        "limit_cycles" => outcome.limit_cycles.iter().map(limit_cycle).collect(),
        "peak" => outcome.peak.into(),
        "recovery" => outcome.recovery.into(),
        _ => panic!("the table has a field {name} that this test does not know"),
    }
}

fn event(event: &Event) -> Value {
    let what = match event.kind {
        EventKind::Reaches(Level::Recovery) => "depth reaches R",
        EventKind::Reaches(Level::Warning) => "depth reaches W",
        EventKind::Reaches(Level::Shed) => "depth reaches S",
        EventKind::Reaches(Level::Reopen) => "depth reaches X",
        EventKind::Reaches(Level::Critical) => "depth reaches C",
        EventKind::Opens => "CLOSED->OPEN",
        EventKind::HalfOpens => "OPEN->HALF_OPEN",
        EventKind::Reopens => "HALF_OPEN->OPEN",
        EventKind::Closes => "->CLOSED",
        EventKind::Slides(Pin::Shed) => "slide at S",
        EventKind::Slides(Pin::Warning) => "slide at W",
    };
    serde_json::json!([event.time, what, event.depth])
}

fn segment_end(end: &SegmentEnd) -> Value {
    serde_json::json!({
        "t": end.time,
        "depth": end.depth,
        "state": match end.state {
            State::Closed => "CLOSED",
            State::HalfOpen => "HALF_OPEN",
            State::Open => "OPEN",
        },
        "sliding": match end.pinned {
            None => "none",
            Some(Pin::Shed) => "S",
            Some(Pin::Warning) => "W",
        },
        "rejected_p1": end.rejected.urgent,
        "rejected_p5": end.rejected.normal,
        "rejected_p10": end.rejected.batch,
        "open_seconds": end.open_seconds,
        "depth_area": end.depth_area,
        "opens": end.opens,
    })
}

fn limit_cycle(cycle: &Option<LimitCycle>) -> Value {
    let Some(cycle) = cycle else { return Value::Null };
    serde_json::json!({
        "period": cycle.period,
        "fill_seconds": cycle.fill_seconds,
        "drain_seconds": cycle.drain_seconds,
        "opens_per_hour": cycle.opens_per_hour,
        "half_open_fraction": cycle.half_open_fraction,
        "open_fraction": cycle.open_fraction,
        "reject_p1": cycle.rejected.urgent,
        "reject_p5": cycle.rejected.normal,
        "reject_p10": cycle.rejected.batch,
        "reject_all": cycle.rejected_all,
        "throughput": cycle.throughput,
        "depth_min": cycle.depth_min,
        "depth_max": cycle.depth_max,
        "mean_depth": cycle.mean_depth,
    })
}

fn stale_field(outcome: &StaleOutcome, name: &str) -> Value {
    let cycle = outcome.cycle.unwrap();
    let value = match name {
        "inflight_at_C" | "overshoot_C_bound" => outcome.in_flight_at_critical,
        "overshoot_C_net" => outcome.critical_overshoot,
        "overshoot_S_net" => outcome.shed_overshoot,
        "t_C" => outcome.critical_time,
        "t_peak" => outcome.peak_time,
        "peak" => outcome.peak,
        "overshoot_X_net" => cycle.reopen_overshoot,
        "overshoot_X_bound" => cycle.in_flight_at_reopen,
        "cycle_max" => cycle.depth_max,
        "cycle_min" => cycle.depth_min,
        "cycle_amplitude" => cycle.depth_max - cycle.depth_min,
        "cycle_mean_depth" => cycle.mean_depth,
        "cycle_period" => cycle.period,
        "open_fraction" => cycle.open_fraction,
        "opens_per_hour" => cycle.opens_per_hour,
        _ => panic!("the table has a field {name} that this test does not know"),
    };
    value.into()
}

fn system(params: &Value) -> System {
    let critical = number(&params["C"]);
    System {
        recovery: number(&params["R"]),
        warning: number(&params["W"]),
        critical,
        reopen_at: number(&params["reopen_at"]),
        shed_depth: number(&params["shed_fraction"]) * critical,
        servers: number(&params["c"]),
        service_rate: number(&params["mu"]),
    }
}

fn rates(rates: &Value) -> PerClass {
    PerClass { urgent: number(&rates["p1"]), normal: number(&rates["p5"]), batch: number(&rates["p10"]) }
}

fn fields(object: &Value) -> impl Iterator<Item = &str> {
    object.as_object().unwrap().keys().map(String::as_str)
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}
