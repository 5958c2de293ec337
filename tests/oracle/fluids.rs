//! The simulation beside its deterministic limit: `fluid_spike` and `stale_fluid`.
//!
//! By time t a simulation has left the fluid by about sqrt((lambda + c mu) t) jobs, so it must stay within
//! four of these, and a time within that many jobs over the smallest net rate so far. The worst of several
//! replications counts. Where the fluid is about to pass a threshold when the load changes, replications go
//! different ways, and what comes later is not compared.

use std::collections::VecDeque;

use backpressure::State;
use backpressure_sim::engine::time::{SimDuration, SimTime};
use backpressure_sim::model::Simulation;
use backpressure_sim::model::probe::Probe;
use rayon::prelude::*;
use serde_json::Value;

use crate::compare::Row;
use crate::scenario;
use crate::table::{Case, Fields, number, word};
use crate::transient::{run_through, segments};
use crate::watch::{Both, Diary, Move, Photographer, Snapshot};

const REPLICATIONS: u32 = 20;
/// In units of sqrt((lambda + c mu) t).
const NOISE: f64 = 4.0;

const BRANCHED: &str = "a threshold was near when the load changed: replications go different ways";
const DERIVED: &str =
    "follows from period, fill and drain; its average is in circuit_stationary/full-spike-20k";
const NOISY: &str =
    "without hysteresis noise makes the cycle: the fluid is an order of magnitude; see stale_montecarlo";

/// The load and what it says about the noise.
struct Noise<'a> {
    params: &'a Fields,
    load: Vec<(f64, Fields)>,
    slowest: f64,
}

impl Noise<'_> {
    /// Tolerance in jobs over a time t from the start.
    fn jobs(&self, t: f64) -> f64 {
        let capacity = self.params.number("c") * self.params.number("mu");
        let mut begin = 0.0;
        let mut largest: f64 = 0.0;
        for (seconds, rates) in &self.load {
            if begin < t {
                largest = largest.max(total(rates));
            }
            begin += seconds;
        }
        NOISE * ((largest + capacity) * t).sqrt()
    }

    /// Tolerance in seconds by time t.
    fn seconds(&self, t: f64) -> f64 {
        self.jobs(t) / self.slowest
    }

    /// The fluid passes a depth in that state just before t.
    fn passes(&mut self, t: f64, state: State, depth: f64) {
        let mut end = 0.0;
        let part = self.load.iter().find(|(seconds, _)| {
            end += seconds;
            t <= end + 1e-9
        });
        let (_, rates) = part.or(self.load.last()).expect("there is a load");
        let shed = self.params.number("shed_fraction") * self.params.number("C");
        let normal = if state == State::Open { 0.0 } else { rates.number("p5") };
        let batch = if state == State::Closed && depth <= shed { rates.number("p10") } else { 0.0 };
        let served = depth.min(self.params.number("c")) * self.params.number("mu");
        self.slowest = self.slowest.min((rates.number("p1") + normal + batch - served).abs());
    }
}

fn total(rates: &Fields) -> f64 {
    ["p1", "p5", "p10"].iter().map(|name| rates.number(name)).sum()
}

/// An event of the fluid.
struct Event {
    at: f64,
    kind: Kind,
    what: String,
    depth: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Reaches,
    Moves(State),
    Slides(State),
}

impl Event {
    fn read(entry: &Value) -> Self {
        let what = word(&entry[1]).to_owned();
        let kind = match what.as_str() {
            "CLOSED->OPEN" | "HALF_OPEN->OPEN" => Kind::Moves(State::Open),
            "OPEN->HALF_OPEN" => Kind::Moves(State::HalfOpen),
            "->CLOSED" => Kind::Moves(State::Closed),
            "slide at W" => Kind::Slides(State::HalfOpen),
            "slide at S" => Kind::Slides(State::Closed),
            _ => Kind::Reaches,
        };
        Self { at: number(&entry[0]), kind, what, depth: number(&entry[2]) }
    }
}

/// One replication of a spike.
struct Run {
    diary: Diary,
    ends: Vec<Snapshot>,
    crossings: Crossings,
    recovery: Option<f64>,
}

/// When the depth passes given levels, one after the other.
struct Crossings {
    levels: Vec<Level>,
    times: Vec<f64>,
}

/// A level that the depth is to pass.
#[derive(Clone, Copy)]
struct Level {
    depth: f64,
    rising: bool,
    /// Halfway from the event before, so that noise about the same level is not taken for its return.
    look_from: f64,
}

impl Probe for Crossings {
    fn settled(&mut self, now: SimTime, depth: u64) {
        while let Some(&level) = self.levels.get(self.times.len())
            && now.as_secs_f64() >= level.look_from
            && (if level.rising { depth as f64 >= level.depth } else { depth as f64 <= level.depth })
        {
            self.times.push(now.as_secs_f64());
        }
    }
}

pub(crate) fn spike(case: &Case) -> Vec<Row> {
    let params = &case.params;
    let load = segments(params);
    let duration: f64 = load.iter().map(|(seconds, _)| seconds).sum();
    let config = scenario::circuit(params, &run_through(params, load.clone(), duration));
    let events: Vec<Event> = case.expected.list("events").iter().map(Event::read).collect();
    let ends: Vec<Fields> = case.expected.list("segments").iter().cloned().map(Fields).collect();
    let times: Vec<f64> = ends.iter().map(|end| end.number("t")).collect();
    let levels = levels_of(&events, params.number_or("n0", 0.0));
    let runs: Vec<Run> = (0..REPLICATIONS)
        .into_par_iter()
        .map(|replication| {
            let crossings = Crossings { levels: levels.clone(), times: Vec::new() };
            let photographer = Photographer::new(&config, &times);
            let mut probe = Both(Diary::default(), Both(photographer, crossings));
            let outcome = Simulation::new(&config, 1, replication, &mut probe).run();
            let Both(diary, Both(mut photographer, crossings)) = probe;
            photographer.catch_up(SimTime(config.horizon.0));
            let recovery = outcome.recovery.map(SimDuration::as_secs_f64);
            Run { diary, ends: photographer.snapshots, crossings, recovery }
        })
        .collect();

    let mut noise = Noise { params, load, slowest: f64::INFINITY };
    let branch = branch_of(params, &events, &ends, &noise);
    let mut rows = event_rows(case, &events, &runs, &mut noise, branch);
    for (index, end) in ends.iter().enumerate() {
        let t = end.number("t");
        if t > branch {
            rows.push(Row::not_compared(&case.id, format!("segment end t={t}"), f64::NAN, BRANCHED));
        } else {
            rows.extend(end_rows(case, index, end, &runs, &noise, (t - branch).abs() < 1e-9));
        }
    }
    rows.push(worst(case, "peak", case.expected.number("peak"), noise.jobs(duration), &runs, |run| {
        run.diary.peak as f64
    }));
    let exact = case.expected.number("recovery");
    rows.push(if branch < duration {
        Row::not_compared(&case.id, "recovery", exact, BRANCHED)
    } else {
        worst(case, "recovery", exact, noise.seconds(duration), &runs, |run| run.recovery.unwrap_or(f64::NAN))
    });
    rows.extend(cycle_rows(case, &ends, &runs, &noise));
    rows
}

/// The levels that the fluid reaches.
fn levels_of(events: &[Event], initial: f64) -> Vec<Level> {
    let mut before = (0.0, initial);
    let reached = events.iter().filter(|event| event.kind == Kind::Reaches);
    reached
        .map(|event| {
            let (at, depth) = before;
            before = (event.at, event.depth);
            Level { depth: event.depth, rising: event.depth > depth, look_from: f64::midpoint(at, event.at) }
        })
        .collect()
}

/// The first end of a segment at which noise decides what happens next; never at the last one.
fn branch_of(params: &Fields, events: &[Event], ends: &[Fields], noise: &Noise<'_>) -> f64 {
    let inner = &ends[..ends.len() - 1];
    let is_near = |end: &&Fields| {
        let (t, depth) = (end.number("t"), end.number("depth"));
        if end.word("sliding") != "none" {
            return false; // noise about a threshold is what sliding is
        }
        let thresholds: &[&str] = match end.word("state") {
            "CLOSED" => &["C"],
            "OPEN" => &["W"],
            _ => &["reopen_at", "R"],
        };
        let near_level = thresholds.iter().any(|name| (depth - params.number(name)).abs() <= noise.jobs(t));
        let moved = |event: &&Event| matches!(event.kind, Kind::Moves(_)) && event.at <= t;
        // The circuit has moved so lately that in a replication it may not have yet.
        let lately = events
            .iter()
            .filter(moved)
            .any(|event| (depth - event.depth).abs() <= noise.jobs(t) && t - event.at < 1.0);
        near_level || lately
    };
    inner.iter().find(is_near).map_or(f64::INFINITY, |end| end.number("t"))
}

fn event_rows(case: &Case, events: &[Event], runs: &[Run], noise: &mut Noise<'_>, branch: f64) -> Vec<Row> {
    let mut rows = Vec::new();
    let mut state = State::Closed;
    let mut reached = 0;
    // For each replication, the moves already matched.
    let mut next = vec![0; runs.len()];
    // Without hysteresis noise opens and half-opens it many times about W.
    let flaps = case.params.count("reopen_at") == case.params.count("W");
    for event in events {
        let label = format!("{:.3} {}", event.at, event.what);
        if event.at > branch {
            rows.push(Row::not_compared(&case.id, label, event.at, BRANCHED));
            continue;
        }
        if event.kind == Kind::Reaches {
            noise.passes(event.at, state, event.depth);
        }
        let tolerance = noise.seconds(event.at);
        let found: Vec<f64> = match event.kind {
            Kind::Reaches => {
                reached += 1;
                runs.iter()
                    .map(|run| run.crossings.times.get(reached - 1).copied().unwrap_or(f64::NAN))
                    .collect()
            }
            Kind::Slides(State::Closed) => continue, // its time is that of reaching S
            Kind::Moves(to) | Kind::Slides(to) => {
                let found = runs.iter().zip(&mut next).map(|(run, next)| {
                    let rest = &run.diary.moves[*next..];
                    let skipped = if flaps { rest.iter().position(|entry| entry.to == to) } else { Some(0) };
                    let found = skipped.and_then(|skipped| {
                        *next += skipped + 1;
                        rest.get(skipped).filter(|entry| entry.to == to)
                    });
                    found.map_or(f64::NAN, |entry: &Move| entry.at.as_secs_f64())
                });
                let found = found.collect();
                state = to;
                found
            }
        };
        rows.push(worst_of(case, label, event.at, tolerance, &found));
    }
    rows
}

fn end_rows(
    case: &Case,
    index: usize,
    end: &Fields,
    runs: &[Run],
    noise: &Noise<'_>,
    is_branch: bool,
) -> Vec<Row> {
    let t = end.number("t");
    let names = end.names().filter(|name| !["t", "sliding"].contains(name));
    let row = |name: &str| {
        let label = format!("t={t} {name}");
        let at_end = |value: fn(&Snapshot) -> f64, tolerance: f64| {
            worst(case, label.clone(), end.number(name), tolerance, runs, |run| value(&run.ends[index]))
        };
        match name {
            "depth" => at_end(|end| end.depth as f64, noise.jobs(t)),
            "rejected_p1" => at_end(|end| end.rejected[0] as f64, 0.0),
            "rejected_p5" => at_end(|end| end.rejected[1] as f64, noise.jobs(t)),
            "rejected_p10" => at_end(|end| end.rejected[2] as f64, noise.jobs(t)),
            "open_seconds" => at_end(|end| end.open_seconds, noise.seconds(t)),
            "depth_area" => at_end(|end| end.depth_area, noise.jobs(t) * t),
            "opens" | "state" if is_branch => Row::not_compared(&case.id, label, f64::NAN, BRANCHED),
            "opens" => at_end(|end| end.opens as f64, 0.0),
            "state" if end.word("sliding") == "W" => Row::not_compared(
                &case.id,
                label,
                f64::NAN,
                "a circuit that slides at W is OPEN and HALF_OPEN by turns",
            ),
            "state" => {
                let expected = match end.word("state") {
                    "CLOSED" => State::Closed,
                    "OPEN" => State::Open,
                    _ => State::HalfOpen,
                };
                let found = runs.iter().filter(|run| run.ends[index].state == expected).count();
                Row::fixed(&case.id, label, runs.len() as f64, found as f64, 0.0)
            }
            other => panic!("the table has a field {other} that is not known here"),
        }
    };
    names.map(row).collect()
}

/// The limit cycle of each segment, from opening to opening within it.
fn cycle_rows(case: &Case, ends: &[Fields], runs: &[Run], noise: &Noise<'_>) -> Vec<Row> {
    if !case.expected.has("limit_cycles") {
        return Vec::new();
    }
    let mut rows = Vec::new();
    for (index, cycle) in case.expected.list("limit_cycles").iter().enumerate() {
        if cycle.is_null() {
            continue;
        }
        let cycle = Fields(cycle.clone());
        let begin = if index == 0 { 0.0 } else { ends[index - 1].number("t") };
        let end = ends[index].number("t");
        let cycles: Vec<Cycles> = runs.iter().map(|run| Cycles::of(&run.diary.moves, begin, end)).collect();
        for name in cycle.names() {
            let value: fn(&Cycles) -> f64 = match name {
                "period" => |cycles| cycles.period,
                "drain_seconds" => |cycles| cycles.open,
                "fill_seconds" => |cycles| cycles.period - cycles.open,
                _ => continue,
            };
            let count = cycles.iter().map(|cycles| cycles.count).fold(f64::INFINITY, f64::min);
            let label = format!("t={end} cycle {name}");
            if count < 1.0 {
                rows.push(Row::not_compared(&case.id, label, cycle.number(name), "no whole cycle"));
                continue;
            }
            let found: Vec<f64> = cycles.iter().map(value).collect();
            rows.push(worst_of(case, label, cycle.number(name), noise.seconds(end - begin) / count, &found));
        }
        rows.push(Row::not_compared(&case.id, format!("t={end} cycle, the rest"), f64::NAN, DERIVED));
    }
    rows
}

/// Averages over whole cycles.
struct Cycles {
    count: f64,
    period: f64,
    /// Seconds OPEN of each.
    open: f64,
}

impl Cycles {
    /// From the first reopening within the time on.
    fn of(moves: &[Move], begin: f64, end: f64) -> Self {
        let within = |entry: &&Move| (begin..end).contains(&entry.at.as_secs_f64());
        let moves: Vec<&Move> = moves.iter().filter(within).collect();
        // The first opening is from CLOSED, at another depth.
        let reopens =
            |index: &usize| (moves[*index].from, moves[*index].to) == (State::HalfOpen, State::Open);
        let openings: Vec<usize> = (0..moves.len()).filter(reopens).collect();
        let (Some(&first), Some(&last)) = (openings.first(), openings.last()) else {
            return Self { count: 0.0, period: f64::NAN, open: f64::NAN };
        };
        let count = (openings.len() - 1) as f64;
        let open: u64 = moves[first..=last]
            .windows(2)
            .filter(|pair| pair[0].to == State::Open)
            .map(|pair| pair[1].at.since(pair[0].at).0)
            .sum();
        let length = moves[last].at.since(moves[first].at).as_secs_f64();
        Self { count, period: length / count, open: open as f64 / 1e9 / count }
    }
}

fn worst(
    case: &Case,
    label: impl Into<String>,
    exact: f64,
    tolerance: f64,
    runs: &[Run],
    value: impl Fn(&Run) -> f64,
) -> Row {
    let found: Vec<f64> = runs.iter().map(value).collect();
    worst_of(case, label, exact, tolerance, &found)
}

/// The value that is farthest off; one that is missing is.
fn worst_of(case: &Case, label: impl Into<String>, exact: f64, tolerance: f64, found: &[f64]) -> Row {
    let distance = |value: &f64| if value.is_nan() { f64::INFINITY } else { (value - exact).abs() };
    let worst = found.iter().copied().max_by(|a, b| distance(a).total_cmp(&distance(b)));
    let row = Row::fixed(&case.id, label, exact, worst.expect("there are replications"), tolerance);
    Row { replications: found.len(), ..row }
}

/// What a latency does, seen in one replication.
struct StaleWatch {
    diary: Diary,
    latency: SimDuration,
    /// Arrivals of the jobs admitted within the latency.
    in_flight: VecDeque<SimTime>,
    in_flight_at_openings: Vec<usize>,
    /// When a job was first rejected.
    shedding: Option<SimTime>,
    depth_when_shedding: Option<u64>,
    depth: u64,
    /// While it is OPEN for the first time, and when.
    first_peak: (u64, SimTime),
    /// Since it last opened.
    lowest: u64,
    lowest_of_cycles: Vec<u64>,
    /// Integral of the depth since the second opening, and since when.
    area: f64,
    area_of_cycles: f64,
    last: SimTime,
    openings: usize,
}

impl StaleWatch {
    fn new(latency: f64, depth: u64) -> Self {
        Self {
            diary: Diary::default(),
            latency: SimDuration::from_secs_f64(latency),
            in_flight: VecDeque::new(),
            in_flight_at_openings: Vec::new(),
            shedding: None,
            depth_when_shedding: None,
            depth,
            first_peak: (0, SimTime::ZERO),
            lowest: u64::MAX,
            lowest_of_cycles: Vec::new(),
            area: 0.0,
            area_of_cycles: 0.0,
            last: SimTime::ZERO,
            openings: 0,
        }
    }
}

impl Probe for StaleWatch {
    fn arrived(&mut self, now: SimTime, _class: usize, admitted: bool) {
        if admitted {
            self.in_flight.push_back(now);
        } else {
            self.shedding.get_or_insert(now);
        }
        while self.in_flight.front().is_some_and(|&at| at + self.latency <= now) {
            self.in_flight.pop_front();
        }
    }

    fn moved(&mut self, now: SimTime, circuit: usize, from: State, to: State, depth: u64) {
        self.diary.moved(now, circuit, from, to, depth);
        if to == State::Open {
            while self.in_flight.front().is_some_and(|&at| at + self.latency <= now) {
                self.in_flight.pop_front();
            }
            self.in_flight_at_openings.push(self.in_flight.len());
            self.area += self.depth as f64 * now.since(self.last).as_secs_f64();
            self.last = now;
            self.openings += 1;
            if self.openings > 1 {
                self.lowest_of_cycles.push(self.lowest);
            }
            if self.openings > 2 {
                self.area_of_cycles += self.area;
            }
            self.area = 0.0;
            self.lowest = u64::MAX;
        }
    }

    fn settled(&mut self, now: SimTime, depth: u64) {
        self.diary.settled(now, depth);
        if let Some(shedding) = self.shedding
            && now >= shedding + self.latency
        {
            self.depth_when_shedding.get_or_insert(self.depth);
        }
        self.area += self.depth as f64 * now.since(self.last).as_secs_f64();
        self.last = now;
        self.depth = depth;
        self.lowest = self.lowest.min(depth);
        if self.diary.moves.len() == 1 && depth > self.first_peak.0 {
            self.first_peak = (depth, now);
        }
    }
}

const STALE_SECONDS: f64 = 60.0;

pub(crate) fn stale(case: &Case) -> Vec<Row> {
    let (params, expected) = (&case.params, &case.expected);
    let load = vec![(STALE_SECONDS, params.below("rates"))];
    let config = scenario::circuit(params, &run_through(params, load.clone(), STALE_SECONDS));
    let latency = params.number("latency");
    let watches: Vec<StaleWatch> = (0..REPLICATIONS)
        .into_par_iter()
        .map(|replication| {
            let mut watch = StaleWatch::new(latency, config.start.jobs);
            Simulation::new(&config, 1, replication, &mut watch).run();
            watch
        })
        .collect();
    let rates = params.below("rates");
    let capacity = params.number("c") * params.number("mu");
    let fill = rates.number("p1") + rates.number("p5") - capacity;
    let drain = capacity - rates.number("p1");
    let noise = Noise { params, load, slowest: fill.min(drain) };
    let has_hysteresis = params.count("reopen_at") > params.count("W");
    let [critical, reopen_at] = ["C", "reopen_at"].map(|name| params.number(name));
    let shed = params.number("shed_fraction") * critical;
    let mean = |values: &[u64]| values.iter().sum::<u64>() as f64 / values.len() as f64;
    let cycles = |watch: &StaleWatch| Cycles::of(&watch.diary.moves, 0.0, STALE_SECONDS);
    let count = watches.iter().map(|watch| cycles(watch).count).fold(f64::INFINITY, f64::min);
    let period_error = noise.seconds(STALE_SECONDS) / count;
    let row = |name: &str| {
        let exact = expected.number(name);
        if !has_hysteresis && (name.starts_with("cycle") || name == "opens_per_hour") {
            return Row::not_compared(&case.id, name, exact, NOISY);
        }
        let worst = |tolerance: f64, value: &dyn Fn(&StaleWatch) -> f64| {
            let found: Vec<f64> = watches.iter().map(value).collect();
            worst_of(case, name, exact, tolerance, &found)
        };
        let t_c = expected.number("t_C");
        let within_latency = noise.jobs(latency);
        let peaks = |watch: &StaleWatch| {
            mean(&watch.diary.peaks_while_open[1..watch.diary.peaks_while_open.len() - 1])
        };
        let lows = |watch: &StaleWatch| mean(&watch.lowest_of_cycles);
        match name {
            "t_C" => worst(noise.seconds(t_c), &|watch| watch.diary.openings()[0].as_secs_f64()),
            "t_peak" => worst(noise.seconds(t_c), &|watch| watch.first_peak.1.as_secs_f64()),
            "peak" => worst(within_latency, &|watch| watch.diary.peaks_while_open[0] as f64),
            "overshoot_C_net" => {
                worst(within_latency, &|watch| watch.diary.peaks_while_open[0] as f64 - critical)
            }
            "inflight_at_C" | "overshoot_C_bound" => {
                worst(within_latency, &|watch| watch.in_flight_at_openings[0] as f64)
            }
            "overshoot_X_bound" => worst(within_latency, &|watch| watch.in_flight_at_openings[1] as f64),
            "overshoot_S_net" => worst(within_latency, &|watch| {
                watch.depth_when_shedding.map_or(f64::NAN, |depth| depth as f64 - shed)
            }),
            "cycle_max" => worst(within_latency, &peaks),
            "overshoot_X_net" => worst(within_latency, &|watch| peaks(watch) - reopen_at),
            "cycle_min" => worst(within_latency, &lows),
            "cycle_amplitude" => worst(2.0 * within_latency, &|watch| peaks(watch) - lows(watch)),
            "cycle_period" => worst(period_error, &|watch| cycles(watch).period),
            "opens_per_hour" => {
                let period = 3600.0 / exact;
                worst(exact * period_error / period, &|watch| 3600.0 / cycles(watch).period)
            }
            "open_fraction" => {
                // Of a cycle, or of a time in which the class that OPEN rejects is rejected so often.
                let tolerance = noise.jobs(STALE_SECONDS) / (rates.number("p5") * STALE_SECONDS);
                worst(tolerance, &|watch| cycles(watch).open / cycles(watch).period)
            }
            "cycle_mean_depth" => worst(noise.jobs(expected.number("cycle_period")), &|watch| {
                let openings = watch.diary.openings();
                let length = openings[openings.len() - 1].since(openings[1]).as_secs_f64();
                watch.area_of_cycles / length
            }),
            other => panic!("the table has a quantity {other} that is not known here"),
        }
    };
    expected.names().map(row).collect()
}
