//! What does the gateway add to an event? 2,000 requests a second on loopback, Redis beside it, in every way of knowing the depth
//! and without the policy; the time is that from the moment at which a request was due until its answer (an open loop, so that a
//! slow answer does not slow the load down).
//!
//! The specification allows the whole emit path 5 ms at the 99th percentile; the last column says whether that holds.
//!
//! ```sh
//! cargo bench -p backpressure-gateway --bench emit            # -- --seconds 30 for a longer look
//! ```

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

#[path = "../tests/it/support.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests use more of it")]
mod support;

use std::time::Duration;

use contract::variables;
use hdrhistogram::Histogram;
use support::{Gateway, Redis, event};
use tokio::time::Instant;

const RATE: u64 = 2_000;
const BUDGET: Duration = Duration::from_millis(5);

#[tokio::main(worker_threads = 1)]
async fn main() {
    let seconds = seconds(8);
    println!("{RATE} requests/s for {seconds} s each, open loop, one Redis, loopback");
    println!("{:<34} {:>9} {:>9} {:>9} {:>9}  p99 < {BUDGET:?}", "", "mean", "p50", "p99", "p99.9");
    let mut baseline = None;
    for (name, mode, enabled) in [
        ("one script, policy off", "atomic", "false"),
        ("atomic", "atomic", "true"),
        ("sampled", "sampled", "true"),
        ("request (the specification's)", "request", "true"),
    ] {
        let redis = Redis::start(&[]);
        let url = redis.url();
        let variables = [
            (variables::REDIS_URL.name, url.as_str()),
            (variables::OPEN_ACCESS.name, "true"),
            (variables::DEPTH_MODE.name, mode),
            (variables::ENABLE_BACKPRESSURE.name, enabled),
            (variables::QUEUE_CRITICAL_THRESHOLD.name, "10000000"),
        ];
        let gateway = Gateway::start(&variables).await;
        drive(&gateway, 1).await;
        let times = drive(&gateway, seconds).await;
        let of = |quantile: f64| Duration::from_micros(times.value_at_quantile(quantile));
        let mean = Duration::from_micros(times.mean() as u64);
        let p99 = of(0.99);
        let beside = baseline.get_or_insert(p99);
        println!(
            "{name:<34} {mean:>9.2?} {:>9.2?} {p99:>9.2?} {:>9.2?}  {} ({:.2} times the first)",
            of(0.5),
            of(0.999),
            if p99 < BUDGET { "yes" } else { "NO" },
            p99.as_secs_f64() / beside.as_secs_f64(),
        );
    }
}

/// Times in microseconds of `seconds` of load.
async fn drive(gateway: &Gateway, seconds: u64) -> Histogram<u64> {
    let mut times = Histogram::new(3).unwrap();
    let begun = Instant::now();
    let mut answers = tokio::task::JoinSet::new();
    let address = gateway.path("/datastreams");
    let client = gateway.client();
    for number in 0..RATE * seconds {
        let due = begun + Duration::from_micros(number * 1_000_000 / RATE);
        tokio::time::sleep_until(due).await;
        let (client, address) = (client.clone(), address.clone());
        answers.spawn(async move {
            let answer = client.post(address).json(&event("telemetry-data", number)).send().await.unwrap();
            assert_eq!(answer.status(), 202);
            answer.bytes().await.unwrap();
            due.elapsed()
        });
        while let Some(time) = answers.try_join_next() {
            times.record(time.unwrap().as_micros() as u64).unwrap();
        }
    }
    while let Some(time) = answers.join_next().await {
        times.record(time.unwrap().as_micros() as u64).unwrap();
    }
    times
}

/// The number after `--seconds`, or `otherwise`.
fn seconds(otherwise: u64) -> u64 {
    let arguments: Vec<String> = std::env::args().collect();
    let given = arguments.iter().position(|argument| argument == "--seconds");
    given.and_then(|place| arguments.get(place + 1)?.parse().ok()).unwrap_or(otherwise)
}
