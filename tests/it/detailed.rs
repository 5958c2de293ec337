//! The detailed level against the plain one, against formulas, and by hand.

use std::path::Path;

use backpressure_sim::model::config::ModelConfig;
use backpressure_sim::model::limits::Limit;
use backpressure_sim::model::metric::Metric;
use backpressure_sim::model::outcome::Outcome;
use backpressure_sim::{model, scenario};

pub(crate) fn config(text: &str, folder: &Path, overrides: &[&str]) -> ModelConfig {
    let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
    let loaded = scenario::from_str(text, "detailed.toml", folder, &overrides);
    loaded.unwrap_or_else(|error| panic!("{text}\n{error}")).scenario.model
}

pub(crate) fn read(text: &str) -> ModelConfig {
    config(text, Path::new("."), &[])
}

/// Constant arrivals and no policy; what else there is says `tables`.
pub(crate) fn constant(duration: &str, arrivals: &str, tables: &str) -> ModelConfig {
    read(&format!(
        "duration = \"{duration}\"\n[arrivals]\nprocess = \"constant\"\n{arrivals}\n[policy]\nenabled = false\n{tables}"
    ))
}

fn clockwork(duration: &str, rate: &str, tables: &str) -> Outcome {
    model::run(&constant(duration, &format!("rate = \"{rate}\""), tables), 1, 0)
}

#[track_caller]
pub(crate) fn near(found: f64, expected: f64, error: f64) {
    assert!((found - expected).abs() <= error, "{found}, expected {expected} +- {error}");
}

/// What both levels know must be the same to the bit.
#[track_caller]
fn levels_agree(config: &ModelConfig, what: &str) {
    for seed in [1, 2] {
        let mut plain = model::run(config, seed, 0);
        let mut detailed = model::run_detailed(config, seed, 0);
        assert!(!plain.details.is_detailed && detailed.details.is_detailed, "{what}");
        detailed.details = Default::default();
        // Only the detailed level counts the lock of a job in service.
        for outcome in [&mut plain, &mut detailed] {
            outcome.redis_peak = 0;
            outcome.series.redis.clear();
        }
        assert_eq!(plain.digest(), detailed.digest(), "{what}, seed {seed}");
    }
}

#[test]
fn both_levels_find_the_same_in_every_mix_of_what_both_know() {
    let disciplines = ["fifo", "priority"];
    let gateways = ["", "instances = 3\ncheck_latency = \"30ms\"", "instances = 2\ndepth_age = \"400ms\""];
    let redis = [
        "",
        "base = \"0B\"\njob_overhead = \"500B\"\npayload_factor = 1.0\nmaxmemory = \"60KB\"\non_full = \"crash\"\nrestart_after = \"2s\"",
        "base = \"0B\"\njob_overhead = \"500B\"\npayload_factor = 1.0\nmaxmemory = \"60KB\"",
    ];
    let observe = ["arrival", "continuous", "250ms"];
    let tops = ["", "warmup = \"3s\"\nstart = { depth = 30, circuit = \"open\" }"];
    for index in 0..54 {
        let discipline = disciplines[index % 2];
        let (gateway, redis, observe) = (gateways[index % 3], redis[index / 3 % 3], observe[index / 9 % 3]);
        let top = tops[index / 27];
        let text = format!(
            "duration = \"20s\"\n{top}\n\
             [arrivals]\nphases = [{{ for = \"5s\", rate = \"20/s\" }}, {{ for = \"5s\", rate = \"150/s\", spike = true }}, {{ rate = \"20/s\" }}]\n\
             [[class]]\nname = \"alarm\"\npriority = 1\nshare = 0.3\n\
             [[class]]\nname = \"batch\"\npriority = 10\nshare = 0.7\npayload = {{ distribution = \"lognormal\", mean = \"2KiB\", cv = 1 }}\n\
             [policy]\nrecovery = 20\nwarning = 40\ncritical = 100\nshed_at = 0.8\nobserve = \"{observe}\"\n\
             [gateway]\n{gateway}\n[queue]\ndiscipline = \"{discipline}\"\n[redis]\n{redis}\n\
             [workers]\nprocesses = 2\nconcurrency = 2\noverhead = \"2ms\"\n\
             service_time = {{ distribution = \"exponential\", mean = \"80ms\" }}\n"
        );
        levels_agree(&read(&text), &text);
    }
}

#[test]
fn both_levels_find_the_same_in_the_scenarios_that_need_no_detail() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut agreed = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        // A day is more than it takes.
        let overrides: &[&str] = if name == "daily-cycle" { &["duration=4h"] } else { &[] };
        let config = config(&text, &folder, overrides);
        let outcome = model::run(&config, 1, 0);
        // When Redis is full, the memory of the jobs in service decides, which only one of them counts.
        if !outcome.details.is_detailed && outcome.limits.at(Limit::RedisFull).is_none() {
            levels_agree(&config, &name);
            agreed += 1;
        }
    }
    assert!(agreed >= 8, "{agreed} scenarios");
}

/// Gunther, "Guerrilla Capacity Planning", 2007, eq. 4.20: n / (1 + sigma (n - 1) + kappa n (n - 1)).
#[test]
fn a_saturated_process_does_what_the_scalability_law_says() {
    for n in [1_u32, 2, 4, 8] {
        let outcome = clockwork(
            "200s",
            "40/s",
            &format!(
                "[workers]\nconcurrency = {n}\ncontention = 0.1\ncoherency = 0.05\nservice_time = \"400ms\"\n"
            ),
        );
        let jobs = f64::from(n);
        let law = jobs / (1.0 + 0.1 * (jobs - 1.0) + 0.05 * jobs * (jobs - 1.0)) / 0.4;
        // The start and the end cost at most one round of all slots each.
        near(outcome.total().completed as f64, law * 200.0, 2.0 * jobs);
    }
}

#[test]
fn a_saturated_slot_does_a_batch_in_overhead_and_marginal_cost() {
    let workers =
        "[workers]\nbatch = 4\nbatch_marginal_cost = 0.25\noverhead = \"300ms\"\nservice_time = \"400ms\"\n";
    let outcome = clockwork("1000s", "100/s", workers);
    // 0.3 + 0.4 (1 + 0.25 x 3) = 1 s for four; the first job has the slot to itself for 0.7 s from 0.01 s on.
    near(outcome.total().completed as f64, 1.0 + 4.0 * 999.0, 0.5);
}

/// The pool is the only server: M/M/3 at 80%, Erlang C gives a probability of waiting of 0.6472 and a mean wait of
/// C / (c mu - lambda) = 1.0787 services of 100 ms (Kleinrock, "Queueing Systems" I, 1975, section 3.5).
#[test]
fn a_pool_of_connections_is_an_mmc_queue() {
    let text = "duration = \"20000s\"\nwarmup = \"100s\"\n[arrivals]\nrate = \"24/s\"\n[policy]\nenabled = false\n\
                [workers]\nconcurrency = 500\nservice_time = { distribution = \"exponential\", mean = \"100ms\" }\n\
                [database]\npool = 3\nshare = 1.0\n";
    let config = read(text);
    let metrics = model::run(&config, 1, 0).metrics(&config);
    let (load, servers) = (2.4_f64, 3.0);
    let tail = load.powi(3) / 6.0 * servers / (servers - load);
    let erlang_c = tail / (1.0 + load + load.powi(2) / 2.0 + tail);
    let sojourn = 0.1 * (1.0 + erlang_c / (servers - load));
    // 480,000 jobs: the relative standard error of the mean is below 1%; a pool of one more or less is off by 40%.
    near(metrics.get(Metric::SojournMean).unwrap(), sojourn, 0.04 * sojourn);
    near(metrics.get(Metric::DatabaseUtilisation).unwrap(), 0.8, 0.01);
}

/// Attempts until the first success or the limit are a truncated geometric variable.
#[test]
fn attempts_fail_independently_until_there_are_too_many() {
    let workers =
        "[workers]\nconcurrency = 1000\nservice_time = \"10ms\"\nfailure_probability = 0.5\nattempts = 3\n";
    let outcome = clockwork("1000s", "100/s", workers);
    let total = outcome.total();
    let jobs = total.completed as f64 + total.failed as f64;
    // Three standard errors of a share of 1/8 over 100,000 jobs, and of the attempts, whose deviation is 0.83.
    near(total.failed as f64 / jobs, 0.125, 0.0032);
    let attempts = (total.completed + total.extras.failed_attempts) as f64 / jobs;
    near(attempts, (1.0 - 0.125) / 0.5, 0.008);
}

#[test]
fn a_crash_of_redis_frees_all_connections() {
    // One connection, three slots: when Redis dies, one holds it and the others queue for it.
    let tables = "[redis]\nbase = \"0B\"\njob_overhead = \"100B\"\npayload_factor = 1.0\nmaxmemory = \"900B\"\n\
                  on_full = \"crash\"\nrestart_after = \"3s\"\n[workers]\nconcurrency = 3\nservice_time = \"5s\"\n\
                  [database]\npool = 1\n[[class]]\nname = \"all\"\npayload = \"100B\"\n";
    let total = clockwork("30s", "1/s", tables).total();
    assert!(
        total.lost > 0 && total.completed > 1,
        "{} completed after {} losses",
        total.completed,
        total.lost
    );
}

#[test]
fn the_death_of_a_process_that_is_dead_changes_nothing() {
    // It would crash about ten times in the time of the fault, and be back a second later each time.
    let tables = "[workers]\nservice_time = \"100ms\"\ncrash_every = \"10s\"\nrestart_after = \"1s\"\n\
                  [[fault]]\nkind = \"worker-loss\"\ncount = 1\nat = \"1s\"\n";
    for seed in 1..6 {
        let text = format!(
            "duration = \"100s\"\n[arrivals]\nprocess = \"constant\"\nrate = \"1/s\"\n[policy]\nenabled = false\n{tables}"
        );
        let outcome = model::run(&read(&text), seed, 0);
        assert_eq!(outcome.total().completed, 0, "seed {seed}");
    }
}

#[test]
fn a_process_that_drains_is_still_there() {
    let tables = "[workers]\nservice_time = \"4s\"\n[[fault]]\nkind = \"worker-restart\"\nat = \"6s\"\n";
    let outcome = clockwork("20s", "1/s", tables);
    // Busy from 1 to 9; the process is there for the 9 s.
    assert_eq!((outcome.busy_area, outcome.slot_area), (8_000_000_000, 9_000_000_000));
}

#[test]
fn the_capacity_counts_enqueues_that_wait_for_their_command() {
    let tables =
        "[queue]\ncapacity = 2\n[workers]\nservice_time = \"100s\"\n[redis.operations]\nenqueue = \"3s\"\n";
    assert_eq!(clockwork("20s", "1/s", tables).total().admitted, 2);
}

#[test]
fn an_answer_of_a_later_second_is_no_inversion() {
    let tables =
        "[gateway]\ncheck_latency = \"1500ms\"\n[clients]\nretries = 1\n[workers]\nservice_time = \"10ms\"\n";
    let outcome = clockwork("20s", "1/s", tables);
    assert_eq!((outcome.inverted, outcome.total().rejected()), (0, 0));
}

#[test]
fn an_evicted_job_whose_worker_dies_gives_back_no_memory_twice() {
    let tables = "[redis]\nbase = \"0B\"\njob_overhead = \"500B\"\npayload_factor = 1.0\nmaxmemory = \"3KB\"\non_full = \"evict\"\n\
                  [workers]\nservice_time = \"5s\"\ncrash_every = \"20s\"\nrestart_after = \"1s\"\nlock = \"1s\"\n\
                  stalled_interval = \"3s\"\nmax_stalled = 0\n";
    for seed in 1..20 {
        let text = format!(
            "duration = \"300s\"\n[arrivals]\nprocess = \"constant\"\nrate = \"1/s\"\n[policy]\nenabled = false\n{tables}"
        );
        let total = model::run(&read(&text), seed, 0).total();
        assert!(total.lost > 100, "{} lost", total.lost);
    }
}
