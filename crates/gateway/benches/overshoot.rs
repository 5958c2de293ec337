//! How far does the depth go above critical, in truth and by the model? Clients, each with one request at a time, meet a queue that
//! nobody empties; whoever has read the depth before the others have enqueued is let in. The model is told the rate and the time
//! between reading and landing, which is half of the emit path (two equal round trips), and predicts the overshoot with
//! Poisson arrivals; the atomic mode has none.
//!
//! ```sh
//! cargo bench -p backpressure-gateway --bench overshoot
//! ```

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

#[path = "../tests/it/support.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests use more of it")]
mod support;

use std::process::Command;
use std::time::Duration;

use contract::{metrics, variables};
use serde_json::Value;
use support::{Gateway, Redis, event};
use tokio::time::Instant;

const CRITICAL: u64 = 3_000;
const RUNS: u32 = 5;

#[tokio::main(worker_threads = 1)]
async fn main() {
    println!("critical {CRITICAL}, one gateway, no worker, one Redis on loopback");
    println!(
        "{:<8} {:>8} {:>10} {:>16} {:>30}   model",
        "mode", "clients", "offered/s", "read to landing", "overshoot, each run"
    );
    for mode in ["atomic", "request"] {
        for clients in [50, 500] {
            let mut overshoots = Vec::new();
            let (mut offered, mut landing) = (0.0, Duration::ZERO);
            for _ in 0..RUNS {
                let run = measure(mode, clients).await;
                overshoots.push(run.0.saturating_sub(CRITICAL));
                offered += run.1 / f64::from(RUNS);
                landing += run.2 / RUNS;
            }
            let model = if mode == "request" { predict(offered, landing) } else { "0".to_owned() };
            let overshoots = format!("{overshoots:?}");
            println!("{mode:<8} {clients:>8} {offered:>10.0} {landing:>16.2?} {overshoots:>30}   {model}");
        }
    }
}

/// Highest depth, the rate in truth, and the mean time from the reading of a depth to the landing of its job.
async fn measure(mode: &str, clients: u64) -> (u64, f64, Duration) {
    let redis = Redis::start(&[]);
    let url = redis.url();
    let critical = CRITICAL.to_string();
    let variables = [
        (variables::REDIS_URL.name, url.as_str()),
        (variables::OPEN_ACCESS.name, "true"),
        (variables::DEPTH_MODE.name, mode),
        (variables::QUEUE_RECOVERY_THRESHOLD.name, "100"),
        (variables::QUEUE_WARNING_THRESHOLD.name, "200"),
        (variables::QUEUE_CRITICAL_THRESHOLD.name, critical.as_str()),
    ];
    let gateway = Gateway::start(&variables).await;
    let begun = Instant::now();
    let (client, address) = (gateway.client(), gateway.path("/datastreams"));
    let total = CRITICAL + CRITICAL / 2;
    let each = (0..clients).map(async |number| {
        for turn in 0..total / clients {
            let body = event("telemetry-data", number * total + turn);
            client.post(&address).json(&body).send().await.unwrap().bytes().await.unwrap();
        }
    });
    futures_util::future::join_all(each).await;
    let rate = total as f64 / begun.elapsed().as_secs_f64();
    let text = client.get(gateway.path("/metrics/prometheus")).send().await.unwrap().text().await.unwrap();
    let sample = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok()).unwrap()
    };
    let emit = |part: &str| sample(&format!("{}_{part}", metrics::EMIT_SECONDS.name));
    let emit = emit("sum") / emit("count");
    (sample(metrics::QUEUE_TOTAL_PENDING.name) as u64, rate, Duration::from_secs_f64(emit / 2.0))
}

/// The same, simulated: mean overshoot and half-width of its 95% interval.
fn predict(rate: f64, landing: Duration) -> String {
    let dir = tempfile::tempdir().unwrap();
    let scenario = dir.path().join("overshoot.toml");
    let seconds = CRITICAL as f64 * 1.5 / rate;
    std::fs::write(
        &scenario,
        format!(
            r#"
name = "overshoot"
duration = "{}ms"
replications = 20
[arrivals]
process = "poisson"
rate = "{rate:.3}/s"
[[class]]
name = "telemetry-data"
priority = 5
share = 1.0
[policy]
recovery = 100
warning = 200
critical = {CRITICAL}
[gateway]
instances = 1
check_latency = "{}us"
[workers]
processes = 1
concurrency = 1
overhead = "0s"
service_time = {{ distribution = "deterministic", mean = "1h" }}
"#,
            (seconds * 1e3).round(),
            landing.as_micros(),
        ),
    )
    .unwrap();
    let output = Command::new(env!("CARGO"))
        .args([
            "run",
            "--release",
            "--quiet",
            "--locked",
            "-p",
            "backpressure-sim",
            "--bin",
            "simulate",
            "--",
        ])
        .arg(&scenario)
        .args(["--json", "--quiet", "--output"])
        .arg(dir.path().join("report"))
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{told}"));
    let overshoot = &summary["metrics"]["overshoot_jobs"];
    let number = |name: &str| overshoot[name].as_f64().unwrap();
    format!("{:.1} ± {:.1}", number("mean"), number("half_width"))
}
