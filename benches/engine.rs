//! How much processor time does a simulated job cost, how does it compare with the textbook engine, and does
//! memory depend on the horizon?
//!
//! `cargo bench --bench engine` prints ns per job (median and best of the rounds), jobs a second, the
//! ratio to a plain event-heap engine measured in the same rounds, and the digest of what was simulated. Only ratios
//! of one run mean something on a shared machine. Run as a test (`cargo test --benches`) it is small.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::path::Path;
use std::sync::LazyLock;
use std::time::Instant;

use backpressure_sim::engine::digest::Digest;
use backpressure_sim::engine::stream::stream;
use backpressure_sim::model;
use backpressure_sim::model::config::ModelConfig;
use backpressure_sim::model::outcome::Outcome;
use backpressure_sim::scenario::{self, Scenario};
use rand::RngExt;

fn main() {
    let as_test = !std::env::args().any(|argument| argument == "--bench");
    let (rounds, share) = if as_test { (1, 0.01) } else { (9, 1.0) };
    let mm = |slots: u32, seconds: f64| mmc(slots, seconds * share);
    let spike = load("scenarios/spike-20k.toml", &[]);
    let spike = if as_test { load("scenarios/spike-20k.toml", &short_spike()) } else { spike };

    println!(
        "{:<22} {:>10} {:>9} {:>9} {:>12} {:>9}  digest",
        "case", "jobs", "ns/job", "best", "jobs/s", "vs heap"
    );
    let cases = [("M/M/60 at 0.9", mm(60, 120.0)), ("M/M/2000 at 0.9", mm(2000, 4.0)), ("spike-20k", spike)];
    for (name, scenario) in &cases {
        let yardstick = textbook_case(scenario);
        let mut ours = Vec::new();
        let mut ratios = Vec::new();
        let mut jobs = 0;
        let mut digest = Digest::default();
        for round in 0..rounds {
            let begin = processor_nanos();
            let outcome = model::run(&scenario.model, scenario.seed, round);
            let elapsed = processor_nanos() - begin;
            jobs = outcome.total().offered;
            digest.add(outcome.digest());
            let per_job = elapsed / jobs as f64;
            ours.push(per_job);
            ratios.push(textbook(&yardstick, scenario.seed, round) / per_job);
        }
        let median = median(&mut ours);
        println!(
            "{name:<22} {jobs:>10} {median:>9.1} {:>9.1} {:>12.0} {:>8.1}x  {:016x}",
            ours[0],
            1e9 / median,
            self::median(&mut ratios),
            digest.value()
        );
    }
    price_of_detail(&cases[2].1, rounds);
    if !as_test {
        memory();
    }
}

/// What the level that scenarios pay for only if they use its parts would cost where they do not.
fn price_of_detail(scenario: &Scenario, rounds: u32) {
    let timed = |run: fn(&ModelConfig, u64, u32) -> Outcome, round: u32| {
        let begin = processor_nanos();
        let outcome = run(&scenario.model, scenario.seed, round);
        (processor_nanos() - begin) / outcome.total().offered as f64
    };
    let ratio = |round| timed(model::run_detailed, round) / timed(model::run, round);
    let mut ratios: Vec<f64> = (0..rounds).map(ratio).collect();
    println!("spike-20k in every detail: {:.2} times the plain level", median(&mut ratios));
}

/// A scenario of the repository.
fn load(path: &str, overrides: &[String]) -> Scenario {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    scenario::load(&path, overrides).unwrap_or_else(|error| panic!("{error}")).scenario
}

fn short_spike() -> Vec<String> {
    ["duration=3s", "arrivals.phases.calm.for=1s", "arrivals.phases.spike.for=1s"].map(String::from).to_vec()
}

fn mmc(slots: u32, seconds: f64) -> Scenario {
    let rate = 0.9 * f64::from(slots) / 0.0075;
    let text = format!(
        "duration = \"{seconds}s\"\n[arrivals]\nrate = \"{rate}/s\"\n[policy]\nenabled = false\n[workers]\nconcurrency = {slots}\n\
         service_time = {{ distribution = \"exponential\", mean = \"7.5ms\" }}\n"
    );
    let loaded = scenario::from_str(&text, "mmc.toml", Path::new("."), &[]);
    loaded.unwrap_or_else(|error| panic!("{error}")).scenario
}

/// The yardstick's parameters: slots, mean rate, service rate of a slot, jobs.
struct Textbook {
    slots: usize,
    rate: f64,
    service_rate: f64,
    jobs: u64,
}

/// The M/M/c queue with the same slots, as many jobs, and 0.9 of the load.
fn textbook_case(scenario: &Scenario) -> Textbook {
    let slots = scenario.model.workers.slots();
    let service_rate = 1.0 / scenario.model.classes[0].service_time.mean();
    let jobs = model::run(&scenario.model, scenario.seed, 0).total().offered;
    Textbook { slots: slots as usize, rate: 0.9 * f64::from(slots) * service_rate, service_rate, jobs }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Departure { arrived: u64 },
    Arrival,
}

/// Nanoseconds per job of the engine that a textbook would write: every event in one `BinaryHeap` by time and
/// sequence number, and nothing measured but the mean sojourn.
fn textbook(case: &Textbook, seed: u64, round: u32) -> f64 {
    let mut random = stream(seed, round, "textbook");
    let mut exponential = |rate: f64| (-(1.0 - random.random::<f64>()).ln() / rate * 1e9) as u64;
    let mut calendar = BinaryHeap::new();
    let mut waiting = VecDeque::new();
    let (mut sequence, mut busy, mut arrivals, mut sojourns) = (0u64, 0, 0, 0u128);
    let begin = processor_nanos();
    calendar.push(Reverse((exponential(case.rate), sequence, Event::Arrival)));
    while let Some(Reverse((now, _, event))) = calendar.pop() {
        let start = match event {
            Event::Arrival => {
                arrivals += 1;
                if arrivals < case.jobs {
                    sequence += 1;
                    calendar.push(Reverse((now + exponential(case.rate), sequence, Event::Arrival)));
                }
                if busy == case.slots {
                    waiting.push_back(now);
                    None
                } else {
                    busy += 1;
                    Some(now)
                }
            }
            Event::Departure { arrived } => {
                sojourns += u128::from(now - arrived);
                let next = waiting.pop_front();
                busy -= usize::from(next.is_none());
                next
            }
        };
        if let Some(arrived) = start {
            sequence += 1;
            let departure = now + exponential(case.service_rate);
            calendar.push(Reverse((departure, sequence, Event::Departure { arrived })));
        }
    }
    let elapsed = processor_nanos() - begin;
    std::hint::black_box(sojourns);
    elapsed / case.jobs as f64
}

/// Time that this thread has spent on a processor, from the scheduler's statistics: on a shared machine the
/// wall clock also counts the time of others. Where there are none, the wall clock.
fn processor_nanos() -> f64 {
    static BEGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
    // The statistics are of the last tick, some milliseconds ago; who gives way is accounted at once.
    std::thread::yield_now();
    let statistics = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let on_processor = statistics.and_then(|text| text.split(' ').next()?.parse().ok());
    on_processor.unwrap_or_else(|| BEGIN.elapsed().as_nanos() as f64)
}

/// Peak memory of the process after horizons of one and ten times the length.
fn memory() {
    for seconds in [60.0, 600.0] {
        let scenario = mmc(60, seconds);
        std::hint::black_box(model::run(&scenario.model, 1, 0).total().completed);
        println!("peak memory after M/M/60 over {seconds:>4} s: {}", peak_memory());
    }
    let spike = load("scenarios/spike-20k.toml", &[]);
    std::hint::black_box(model::run(&spike.model, 1, 0).total().completed);
    println!("peak memory after spike-20k: {}", peak_memory());
}

/// The kernel's high-water mark of resident memory.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "unknown on this system".to_owned(), |line| line.trim().to_owned())
}

/// Sorts the values and takes the middle one.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
