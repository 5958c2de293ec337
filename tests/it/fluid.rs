//! The fluid solver against the published table of exact answers, against small time steps, and at the
//! edges that the table leaves out.
#![expect(clippy::unwrap_used, reason = "a malformed table may stop the test")]

use std::collections::VecDeque;

use backpressure_sim::fluid::{
    self, Event, EventKind, Fluid, FluidSolution, Level, LimitCycle, PerClass, Pin, Regime, Segment,
    SegmentEnd, Stale, StaleOutcome, System,
};
use serde_json::Value;

/// Relative; absolute where the table says 0. The table is written with 12 digits.
const TOLERANCE: f64 = 1e-11;

#[test]
fn spikes_match_the_table() {
    check_all("fluid_spike", 12, check_spike);
}

#[test]
fn stale_overloads_match_the_table() {
    check_all("stale_fluid", 3, check_stale);
}

#[test]
fn paths_agree_with_small_time_steps() {
    let mut draw = Draw(1);
    let (mut shed, mut warning, mut idle, mut reopened, mut closed) = (0, 0, 0, 0, 0);
    for case in 0..300 {
        let fluid = draw.fluid();
        let outcome = fluid::solve(&fluid);
        check_steps(case, &fluid, &outcome);

        let happens = |kind| usize::from(outcome.events.iter().any(|event| event.kind == kind));
        shed += happens(EventKind::Slides(Pin::Shed));
        warning += happens(EventKind::Slides(Pin::Warning));
        reopened += happens(EventKind::Reopens);
        closed += happens(EventKind::Closes);
        idle += usize::from(outcome.segments.iter().any(|end| end.depth < fluid.system.servers));
    }
    // The draws are worth something only if they visit every mode.
    for (name, visits) in [("S", shed), ("W", warning), ("X", reopened), ("R", closed), ("idle", idle)] {
        assert!(visits >= 20, "{name} was visited by {visits} cases");
    }
}

/// Integrates the same equation with a small step and the circuit's plain rules.
#[track_caller]
fn check_steps(case: usize, fluid: &Fluid, outcome: &FluidSolution) {
    const STEP: f64 = 2e-5;
    let system = &fluid.system;
    let mut state = fluid.initial_state;
    let mut depth = fluid.initial_depth;
    let mut peak = depth;
    let (mut area, mut open_seconds, mut normal, mut batch, mut opens) = (0.0, 0.0, 0.0, 0.0, 0);
    for (segment, end) in fluid.segments.iter().zip(&outcome.segments) {
        for _ in 0..steps(segment.seconds, STEP) {
            let before = state;
            state = observe(system, before, depth);
            opens += u64::from(state == Regime::Open && before != Regime::Open);
            let (admit_normal, admit_batch) = admissions(system, state, depth);
            let rates = &segment.rates;
            let inflow = rates.urgent + admit_normal * rates.normal + admit_batch * rates.batch;
            area += depth * STEP;
            open_seconds += if state == Regime::Open { STEP } else { 0.0 };
            normal += (1.0 - admit_normal) * rates.normal * STEP;
            batch += (1.0 - admit_batch) * rates.batch * STEP;
            depth += (inflow - depth.min(system.servers) * system.service_rate) * STEP;
            peak = peak.max(depth);
        }
        let close = |what: &str, stepped: f64, solved: f64, allowed: f64| {
            let error = (stepped - solved).abs();
            assert!(
                error <= allowed,
                "case {case}, {what} at {}: stepped {stepped}, solved {solved}\n{fluid:#?}",
                end.time
            );
        };
        close("depth", depth, end.depth, 0.3);
        close("depth area", area, end.depth_area, 0.3);
        close("open seconds", open_seconds, end.open_seconds, 0.01);
        close("rejected normal", normal, end.rejected.normal, 0.5);
        close("rejected batch", batch, end.rejected.batch, 0.5);
        // An opening just at the end may fall on either side of it.
        let at_end = |event: &Event| (event.time - end.time).abs() < 0.01;
        if !outcome.events.iter().any(at_end) {
            assert_eq!(opens, end.opens.unwrap_or(opens), "case {case}, opens at {}", end.time);
        }
    }
    let solved = outcome.peak;
    assert!((peak - solved).abs() <= 0.1, "case {case}, peak: stepped {peak}, solved {solved}");
}

#[test]
fn stale_overloads_agree_with_small_time_steps() {
    let mut stale = Stale { system: small(&[]).system, initial_depth: 50.0, rates: OVERLOAD, latency: 0.2 };
    check_stale_steps(&stale);
    // The circuit opens before shedding takes effect.
    stale.latency = 0.8;
    check_stale_steps(&stale);
    stale.latency = 0.0;
    check_stale_steps(&stale);
    stale.latency = 0.3;
    stale.system.reopen_at = 100.0;
    check_stale_steps(&stale);
}

/// Integrates with the admitted jobs on a conveyor that is one latency long.
#[track_caller]
fn check_stale_steps(stale: &Stale) {
    const STEP: f64 = 1e-4;
    let Stale { system, rates, latency, .. } = stale;
    let solved = fluid::stale(stale).unwrap();
    let cycle = solved.cycle.unwrap();

    let total = rates.urgent + rates.normal + rates.batch;
    let mut conveyor: VecDeque<f64> = vec![total; steps(*latency, STEP)].into();
    let (mut state, mut depth) = (Regime::Closed, stale.initial_depth);
    let (mut peak, mut peak_time, mut critical_time) = (0.0, 0.0, None);
    let (mut depth_min, mut depth_max, mut openings) = (f64::INFINITY, 0.0_f64, Vec::new());
    for step in 0..steps(100.0, STEP) {
        let time = f64::from(u32::try_from(step).unwrap()) * STEP;
        let next = observe(system, state, depth);
        if next == Regime::Open && state != Regime::Open {
            critical_time.get_or_insert(time);
            openings.push(time);
        }
        state = next;
        let (normal, batch) = admissions(system, state, depth);
        conveyor.push_back(rates.urgent + normal * rates.normal + batch * rates.batch);
        depth += (conveyor.pop_front().unwrap() - system.servers * system.service_rate) * STEP;
        if depth > peak {
            (peak, peak_time) = (depth, time);
        }
        if openings.len() > 2 {
            (depth_min, depth_max) = (depth_min.min(depth), depth_max.max(depth));
        }
    }
    let period =
        (openings[openings.len() - 1] - openings[1]) / f64::from(u32::try_from(openings.len() - 2).unwrap());
    for (what, stepped, solved, allowed) in [
        ("critical time", critical_time.unwrap(), solved.critical_time, 1e-3),
        ("peak time", peak_time, solved.peak_time, 1e-3),
        ("peak", peak, solved.peak, 0.1),
        ("depth_max", depth_max, cycle.depth_max, 0.1),
        ("depth_min", depth_min, cycle.depth_min, 0.1),
        ("period", period, cycle.period, 2e-3),
    ] {
        let latency = stale.latency;
        assert!(
            (stepped - solved).abs() <= allowed,
            "latency {latency}, {what}: stepped {stepped}, solved {solved}"
        );
    }
}

#[test]
fn initial_state_is_observed_at_time_zero() {
    use EventKind::{Closes, HalfOpens, Opens, Reopens};
    check_first(Regime::Closed, 300.0, &[Opens]);
    check_first(Regime::HalfOpen, 250.0, &[Reopens]);
    check_first(Regime::HalfOpen, 20.0, &[Closes]);
    check_first(Regime::Open, 20.0, &[HalfOpens, Closes]);
    check_first(Regime::Open, 50.0, &[HalfOpens]);
    // Exactly at warning OPEN stays OPEN, and half-opens because the depth falls.
    check_first(Regime::Open, 100.0, &[HalfOpens]);
    check_first(Regime::HalfOpen, 100.0, &[]);
    check_first(Regime::Closed, 240.0, &[]);
}

/// The events at time 0 of a system that drains.
#[track_caller]
fn check_first(initial_state: Regime, initial_depth: f64, expected: &[EventKind]) {
    let outcome = fluid::solve(&Fluid { initial_state, initial_depth, ..small(&[(1.0, CALM)]) });
    let at_zero: Vec<EventKind> =
        outcome.events.iter().filter(|event| event.time <= 0.0).map(|event| event.kind).collect();
    assert_eq!(at_zero, expected);
}

#[test]
fn recovery_counts_from_the_last_segment() {
    let recovery = |segments| fluid::solve(&small(segments)).recovery;
    assert_eq!(recovery(&[(5.0, CALM)]), Some(0.0), "recovered at its start");
    assert_eq!(recovery(&[(5.0, OVERLOAD), (0.5, CALM)]), None, "too short to recover");
    assert_eq!(recovery(&[]), None, "no segment");
    // The spike fills to 10 with idle servers, to 240 at 110/s and to 300 at 50/s, drains to 100 at 70/s
    // and fills again at 50/s; then HALF_OPEN drains to 20 at 50/s.
    let (first_idle, to_warning) =
        (0.1 * (210.0_f64 / 110.0).ln(), 230.0 / 110.0 + 60.0 / 50.0 + 200.0 / 70.0);
    let depth = 100.0 + 50.0 * (6.5 - first_idle - to_warning);
    let found = recovery(&[(6.5, OVERLOAD), (20.0, CALM)]).unwrap();
    assert!((found - (depth - 20.0) / 50.0).abs() < 1e-9, "found {found}");
}

#[test]
fn depth_pinned_at_warning_opens_infinitely_often() {
    let mut fluid = small(&[(20.0, OVERLOAD), (1.0, CALM)]);
    fluid.system.reopen_at = fluid.system.warning;
    let outcome = fluid::solve(&fluid);
    assert_eq!(outcome.segments[0].pinned, Some(Pin::Warning));
    assert_eq!(outcome.segments[1].state, Regime::HalfOpen);
    assert_eq!(outcome.segments[1].opens, None);
    assert_eq!(outcome.limit_cycles, [None, None]);
}

#[test]
fn stale_overload_has_no_answer_outside_its_straight_lines() {
    let solve = |rates, latency| {
        fluid::stale(&Stale { system: small(&[]).system, initial_depth: 10.0, rates, latency })
    };
    assert_eq!(solve(CALM, 0.1), None, "no overload");
    assert_eq!(solve(PerClass { urgent: 120.0, ..OVERLOAD }, 0.1), None, "OPEN cannot drain");
    assert!(solve(OVERLOAD, 1.0).unwrap().cycle.is_some());
    assert_eq!(solve(OVERLOAD, 1.2).unwrap().cycle, None, "100 - 1.2 x 70 jobs is below recovery");
}

#[test]
#[should_panic(expected = "recovery 100 is not below warning 100")]
fn thresholds_out_of_order_are_refused() {
    let mut fluid = small(&[]);
    fluid.system.recovery = 100.0;
    let _ = fluid::solve(&fluid);
}

/// A system of 100 jobs per second, from empty and CLOSED.
fn small(segments: &[(f64, PerClass)]) -> Fluid {
    Fluid {
        system: System {
            recovery: 20.0,
            warning: 100.0,
            critical: 300.0,
            reopen_at: 250.0,
            shed_depth: 240.0,
            servers: 10.0,
            service_rate: 10.0,
        },
        initial_depth: 0.0,
        initial_state: Regime::Closed,
        segments: segments.iter().map(|&(seconds, rates)| Segment { seconds, rates }).collect(),
    }
}

const CALM: PerClass = PerClass { urgent: 10.0, normal: 40.0, batch: 20.0 };
const OVERLOAD: PerClass = PerClass { urgent: 30.0, normal: 120.0, batch: 60.0 };

fn observe(system: &System, state: Regime, depth: f64) -> Regime {
    match state {
        Regime::Closed if depth >= system.critical => Regime::Open,
        Regime::Open if depth < system.warning => observe(system, Regime::HalfOpen, depth),
        Regime::HalfOpen if depth >= system.reopen_at => Regime::Open,
        Regime::HalfOpen if depth <= system.recovery => Regime::Closed,
        state => state,
    }
}

/// The admitted fractions of normal and batch jobs.
fn admissions(system: &System, state: Regime, depth: f64) -> (f64, f64) {
    match state {
        Regime::Closed if depth < system.shed_depth => (1.0, 1.0),
        Regime::Closed | Regime::HalfOpen => (1.0, 0.0),
        Regime::Open => (0.0, 0.0),
    }
}

fn steps(seconds: f64, step: f64) -> usize {
    format!("{:.0}", seconds / step).parse().unwrap()
}

/// A small generator of systems (SplitMix64; Steele, Lea & Flood 2014).
struct Draw(u64);

impl Draw {
    fn fluid(&mut self) -> Fluid {
        let recovery = self.between(5.0, 30.0);
        let warning = recovery + self.between(5.0, 30.0);
        let critical = warning + self.between(30.0, 60.0);
        let reopen_at = if self.one_in(3) { warning } else { self.between(warning + 10.0, critical) };
        let servers = if self.one_in(3) { self.between(1.0, 2.0 * critical) } else { self.between(1.0, 5.0) };
        let capacity = self.between(80.0, 120.0);
        Fluid {
            system: System {
                recovery,
                warning,
                critical,
                reopen_at,
                shed_depth: self.between(0.7, 0.9) * critical,
                servers,
                service_rate: capacity / servers,
            },
            initial_depth: self.between(0.0, 1.2) * critical,
            initial_state: Regime::Closed,
            segments: (0..3).map(|_| self.segment()).collect(),
        }
    }

    fn segment(&mut self) -> Segment {
        let most_urgent = if self.one_in(6) { 150.0 } else { 60.0 };
        let urgent = self.between(0.0, most_urgent);
        Segment {
            seconds: self.between(1.0, 4.0),
            rates: PerClass { urgent, normal: self.between(0.0, 150.0), batch: self.between(0.0, 100.0) },
        }
    }

    fn between(&mut self, low: f64, high: f64) -> f64 {
        let unit = f64::from(u32::try_from(self.next() >> 32).unwrap()) / f64::from(u32::MAX);
        low + (high - low) * unit
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.next().is_multiple_of(n)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
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
        initial_state: Regime::Closed,
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
            let scale = if expected.abs() > 0.0 { expected.abs() } else { 1.0 };
            let error = (found - expected).abs() / scale;
            assert!(error <= TOLERANCE, "{what}: expected {expected}, found {found}, error {error:e}");
        }
        _ => assert_eq!(expected, found, "{what}"),
    }
}

fn spike_field(outcome: &FluidSolution, name: &str) -> Value {
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
            Regime::Closed => "CLOSED",
            Regime::HalfOpen => "HALF_OPEN",
            Regime::Open => "OPEN",
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
