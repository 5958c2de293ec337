//! What holds in every scenario: 1,000 of them, drawn across all parts of the model, each as a file that a person could have
//! written. A failure is reduced to the smallest such file, which is printed.

use std::fmt::{self, Write as _};
use std::path::Path;
use std::sync::LazyLock;

use backpressure_sim::experiment::{self, Findings, Unattended};
use backpressure_sim::model::outcome::Outcome;
use backpressure_sim::scenario::Scenario;
use backpressure_sim::{model, scenario};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::RngSeed;
use rayon::ThreadPool;

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1000,
        // The same commit always gets the same verdict.
        rng_seed: RngSeed::Fixed(4),
        failure_persistence: None,
        max_shrink_iters: 2000,
        ..ProptestConfig::default()
    })]

    /// No job is missing (which every run asserts itself), times and shares fit into the run, and one thread finds what three do.
    #[test]
    fn every_scenario_conserves_its_jobs_and_repeats(file in file()) {
        let scenario = read(&file)?;
        let outcome = model::run(&scenario.model, scenario.seed, 0);
        check_identities(&outcome, &scenario)?;
        let [alone, together] = [&POOLS.0, &POOLS.1].map(|pool| findings(pool, &scenario));
        prop_assert_eq!(&alone.summary.digest, &together.summary.digest);
        prop_assert_eq!(alone.replications[0].digest, outcome.digest());
        check_order_of_faults(&outcome, &scenario)?;
    }
}

static POOLS: LazyLock<(ThreadPool, ThreadPool)> = LazyLock::new(|| {
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    (pool(1), pool(3))
});

fn findings(pool: &ThreadPool, scenario: &Scenario) -> Findings {
    pool.install(|| experiment::run(scenario, &Unattended)).expect("nobody interrupts it")
}

fn read(file: &File) -> Result<Scenario, TestCaseError> {
    let loaded = scenario::from_str(&file.0, "random.toml", Path::new("."), &[]);
    loaded.map(|loaded| loaded.scenario).map_err(|error| TestCaseError::fail(error.to_string()))
}

/// In whatever order a file lists its faults, they do the same.
fn check_order_of_faults(outcome: &Outcome, scenario: &Scenario) -> Result<(), TestCaseError> {
    let mut model = scenario.model.clone();
    let count = model.faults.len();
    for turn in 0..count {
        model.faults.rotate_left(1);
        if turn % 2 == 0 {
            model.faults.reverse();
        }
        prop_assert_eq!(model::run(&model, scenario.seed, 0).digest(), outcome.digest());
    }
    Ok(())
}

fn check_identities(outcome: &Outcome, scenario: &Scenario) -> Result<(), TestCaseError> {
    let config = &scenario.model;
    let measured = u128::from((config.horizon - config.warmup).0);
    let circuits = u128::from(config.gateway.instances);
    prop_assert_eq!(outcome.state_time.iter().sum::<u128>(), measured * circuits);
    prop_assert!(outcome.busy_area <= outcome.slot_area);
    prop_assert!(outcome.depth_area <= u128::from(outcome.peak_depth) * measured);
    prop_assert!(outcome.redis_peak >= config.redis.base);
    let total = outcome.total();
    prop_assert!(total.completed_after_warmup <= total.completed);
    prop_assert!(total.wait.count() >= total.sojourn.count());
    let extras = total.extras;
    prop_assert!(extras.wasted <= total.completed);
    prop_assert!(extras.timed_out <= total.offered);
    if config.clients.is_some() {
        prop_assert_eq!(total.offered, extras.requests + extras.retried);
        let served = extras.requests - extras.abandoned - outcome.details.open_requests;
        prop_assert!(served <= total.admitted, "{} served, {} admitted", served, total.admitted);
    } else {
        prop_assert_eq!(
            (extras.requests, extras.retried, extras.timed_out, extras.abandoned, extras.wasted),
            (0, 0, 0, 0, 0)
        );
    }
    Ok(())
}

/// The text of a scenario.
#[derive(Clone)]
struct File(String);

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the scenario\n\n{}\n", self.0)
    }
}

const CLASSES: [(&str, u8); 3] = [("alarm", 1), ("telemetry", 5), ("batch", 10)];

fn file() -> impl Strategy<Value = File> {
    let classes = subsequence(CLASSES.to_vec(), 1..=3);
    let load = (top(), arrivals(), classes, class_settings(), policy());
    let service = (gateway(), queue(), workers(), database(), redis());
    let trouble = (clients(), faults(), autoscaler());
    (load, service, trouble).prop_map(|(load, service, trouble)| {
        let (top, arrivals, classes, class_settings, policy) = load;
        let (gateway, queue, workers, database, redis) = service;
        let (clients, faults, autoscaler) = trouble;
        let mut text = top;
        for (index, (name, priority)) in classes.iter().enumerate() {
            let share = if index == 0 { 1.0 - 0.25 * (classes.len() - 1) as f64 } else { 0.25 };
            let _ = write!(text, "\n[[class]]\nname = \"{name}\"\npriority = {priority}\nshare = {share}\n");
            text += &class_settings[index];
        }
        let names: Vec<&str> = classes.iter().map(|(name, _)| *name).collect();
        for section in [arrivals, policy, gateway, queue.text(&names), workers, database, redis, clients] {
            text += &section;
        }
        text += &faults.concat();
        text += &autoscaler;
        File(text)
    })
}

/// One of the lines, or none of them.
fn maybe(lines: &'static [&'static str]) -> impl Strategy<Value = String> {
    option::of(select(lines)).prop_map(|line| line.map_or(String::new(), |line| format!("{line}\n")))
}

/// A section with all these lines, or without it.
fn section(header: &'static str, lines: Vec<BoxedStrategy<String>>) -> impl Strategy<Value = String> {
    lines.prop_map(move |lines| format!("\n{header}\n{}", lines.concat()))
}

fn optional(strategy: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    option::of(strategy).prop_map(Option::unwrap_or_default)
}

fn top() -> impl Strategy<Value = String> {
    let lines = vec![
        maybe(&["warmup = \"3s\""]).boxed(),
        maybe(&["recovery_hold = \"500ms\""]).boxed(),
        maybe(&["start.depth = 30", "start.circuit = \"open\""]).boxed(),
        (0..100u64).prop_map(|seed| format!("seed = {seed}\n")).boxed(),
    ];
    lines.prop_map(|lines| format!("duration = \"20s\"\nreplications = 2\n{}", lines.concat()))
}

fn arrivals() -> impl Strategy<Value = String> {
    const PROCESSES: &[&str] = &[
        "process = \"constant\"\nrate = \"40/s\"",
        "rate = \"40/s\"",
        "rate = \"90/s\"",
        "phases = [{ for = \"5s\", rate = \"20/s\" }, { for = \"5s\", rate = \"150/s\", spike = true }, { rate = \"20/s\" }]",
        "phases = [{ for = \"8s\", rate = \"5/s\", ramp_to = \"120/s\" }, { rate = \"30/s\" }]",
        "process = \"renewal\"\ninterarrival = { distribution = \"gamma\", shape = 0.5, mean = \"20ms\" }",
        "phases = [{ rate = \"40/s\", cycle = { amplitude = 1.0, period = \"7s\", peak_at = \"3s\" } }]",
        "process = \"on-off\"\nrate = \"150/s\"\non = \"2s\"\noff = { distribution = \"exponential\", mean = \"3s\" }",
        "process = \"cron\"\nschedule = \"*/5 * * * * *\"\njobs = 200\nwithin = \"3s\"",
        "process = \"cron\"\nschedule = \"*/4 * * * * *\"\njobs = 50\nspread = \"even\"",
        "process = \"mmpp\"\nstates = [{ name = \"quiet\", rate = \"10/s\", mean = \"3s\" }, { name = \"burst\", rate = \"200/s\", mean = \"1s\" }]",
    ];
    select(PROCESSES).prop_map(|process| format!("\n[arrivals]\n{process}\n"))
}

fn class_settings() -> impl Strategy<Value = Vec<String>> {
    let one = vec![
        maybe(&["payload = \"2KiB\"", "payload = { distribution = \"lognormal\", mean = \"2KiB\", cv = 1 }"])
            .boxed(),
        maybe(&["service_time = { distribution = \"hyperexponential\", mean = \"60ms\", cv = 2 }"]).boxed(),
        maybe(&["queue_priority = 0", "queue_priority = 7"]).boxed(),
    ];
    proptest::collection::vec(one.prop_map(|lines| lines.concat()), 3)
}

fn policy() -> impl Strategy<Value = String> {
    section(
        "[policy]\nrecovery = 20\nwarning = 40\ncritical = 100",
        vec![
            maybe(&["enabled = false"]).boxed(),
            maybe(&["reopen_at = 40", "reopen_at = 60"]).boxed(),
            maybe(&["shed_at = 0.5", "shed_at = 1.0"]).boxed(),
            maybe(&["observe = \"continuous\"", "observe = \"250ms\""]).boxed(),
            maybe(&["on_unknown_depth = \"urgent-only\"", "on_unknown_depth = \"reject\""]).boxed(),
        ],
    )
}

fn gateway() -> impl Strategy<Value = String> {
    section(
        "[gateway]",
        vec![
            maybe(&["instances = 2", "instances = 3"]).boxed(),
            maybe(&["check_latency = \"5ms\"", "check_latency = \"300ms\""]).boxed(),
            maybe(&["depth_age = \"100ms\"", "depth_age = \"2s\""]).boxed(),
            maybe(&["in_flight_limit = 2", "in_flight_limit = 30"]).boxed(),
            maybe(&["readiness = \"circuit\"\nreadiness_period = \"1s\"\nreadiness_failures = 2"]).boxed(),
        ],
    )
}

/// The queue; lanes have to name the classes.
#[derive(Clone, Debug)]
struct Queue {
    settings: String,
    discipline: &'static str,
}

impl Queue {
    fn text(&self, classes: &[&str]) -> String {
        let mut text = format!("\n[queue]\ndiscipline = \"{}\"\n{}", self.discipline, self.settings);
        if self.discipline == "lanes" {
            for (weight, class) in classes.iter().enumerate() {
                let _ = write!(
                    text,
                    "\n[[queue.lane]]\nname = \"of-{class}\"\nweight = {}\nclasses = [\"{class}\"]\n",
                    weight + 1
                );
            }
        }
        text
    }
}

fn queue() -> impl Strategy<Value = Queue> {
    let settings = vec![
        maybe(&["capacity = 60", "capacity = 200"]).boxed(),
        maybe(&["queues = 2", "queues = 3"]).boxed(),
    ];
    (settings, select(&["fifo", "priority", "lanes"][..]))
        .prop_map(|(settings, discipline)| Queue { settings: settings.concat(), discipline })
}

fn workers() -> impl Strategy<Value = String> {
    section(
        "[workers]",
        vec![
            (1..4u32).prop_map(|count| format!("processes = {count}\n")).boxed(),
            (1..4u32).prop_map(|count| format!("concurrency = {count}\n")).boxed(),
            select(&["\"0s\"", "\"2ms\""][..]).prop_map(|time| format!("overhead = {time}\n")).boxed(),
            select(&["\"60ms\"", "{ distribution = \"exponential\", mean = \"80ms\" }"][..])
                .prop_map(|time| format!("service_time = {time}\n"))
                .boxed(),
            maybe(&["contention = 0.1", "contention = 0.05\ncoherency = 0.02"]).boxed(),
            maybe(&["batch = 3", "batch = 4\nbatch_marginal_cost = 0.3"]).boxed(),
            maybe(&[
                "failure_probability = 0.2",
                "failure_probability = 0.3\nattempts = 3\nretry_backoff = \"500ms\"\nretry_backoff_kind = \"exponential\"",
            ])
            .boxed(),
            maybe(&["crash_every = \"6s\"\nrestart_after = \"1s\""]).boxed(),
            maybe(&["lock = \"2s\"\nstalled_interval = \"2s\"", "lock = \"1s\"\nstalled_interval = \"3s\"\nmax_stalled = 0"])
                .boxed(),
        ],
    )
}

fn database() -> impl Strategy<Value = String> {
    optional(section(
        "[database]",
        vec![maybe(&["pool = 1", "pool = 3"]).boxed(), maybe(&["share = 0.5"]).boxed()],
    ))
}

fn redis() -> impl Strategy<Value = String> {
    let limited = section(
        "[redis]\nbase = \"0B\"\njob_overhead = \"500B\"\npayload_factor = 1.0\nmaxmemory = \"60KB\"",
        vec![
            maybe(&["on_full = \"crash\"\nrestart_after = \"2s\"", "on_full = \"evict\""]).boxed(),
            maybe(&["watermark = 0.75"]).boxed(),
            maybe(&["keep_completed = 5", "keep_completed = \"all\"\nkeep_completed_for = \"2s\""]).boxed(),
            maybe(&["keep_failed = 3"]).boxed(),
            maybe(&["shards = 2"]).boxed(),
            maybe(&["operations = { enqueue = \"2ms\", cycle = \"3ms\", depth = \"1ms\" }"]).boxed(),
        ],
    );
    optional(limited)
}

fn clients() -> impl Strategy<Value = String> {
    optional(section(
        "[clients]",
        vec![
            maybe(&["timeout = \"200ms\"", "timeout = \"3s\""]).boxed(),
            maybe(&["wait_for = \"completion\""]).boxed(),
            maybe(&["retries = 1", "retries = 4"]).boxed(),
            maybe(&[
                "backoff = \"fixed\"\npause = \"100ms\"",
                "backoff = \"exponential\"\nbase = \"50ms\"\ncap = \"2s\"",
            ])
            .boxed(),
            maybe(&["retry_budget = 0.1"]).boxed(),
            maybe(&["honour_retry_after = true"]).boxed(),
        ],
    ))
}

fn faults() -> impl Strategy<Value = Vec<String>> {
    const FAULTS: &[&str] = &[
        "kind = \"worker-loss\"\ncount = 1",
        "kind = \"worker-loss\"\ncount = \"all\"",
        "kind = \"worker-restart\"",
        "kind = \"database-slow\"\nfactor = 5.0",
        "kind = \"redis-outage\"",
        "kind = \"redis-slow\"\nfactor = 10.0",
        "kind = \"redis-failover\"\nlag = \"500ms\"",
        "kind = \"depth-frozen\"",
        "kind = \"depth-missing\"",
        "kind = \"gateway-loss\"\ncount = 1",
        "kind = \"clock-step\"\nstep = \"-5s\"",
        "kind = \"clock-step\"\nstep = \"60s\"",
    ];
    let times = (2..15u32, option::of(1..8u32));
    proptest::collection::vec((select(FAULTS), times), 0..5).prop_map(|drawn| {
        let mut faults = Vec::new();
        for (fault, (at, length)) in drawn {
            let length = length.map_or(String::new(), |seconds| format!("for = \"{seconds}s\"\n"));
            faults.push(format!("\n[[fault]]\n{fault}\nat = \"{at}s\"\n{length}"));
        }
        faults
    })
}

fn autoscaler() -> impl Strategy<Value = String> {
    optional(section(
        "[autoscaler]\nmin = 1\nmax = 6\ntarget = 20\nsync = \"2s\"",
        vec![
            maybe(&["metric_age = \"3s\"", "metric_age = \"0s\""]).boxed(),
            maybe(&["start_up = \"2s\""]).boxed(),
            maybe(&["cpu_percent = 60", "cpu_percent = 5"]).boxed(),
            maybe(&["behavior.scale_down.window = \"4s\""]).boxed(),
        ],
    ))
}
