//! How many events a second does the gateway take, beside BullMQ's own producer on the same Redis in the same run? Single events and
//! batches of 100, against `add` and `addBulk`, without persistence and with `appendfsync always`. Of the gateway's requests 64 are under
//! way with single events and 8 with batches; of BullMQ's calls one, as one awaits it, and as many as of requests. The client is as
//! thin as it can be, but it shares the machine.
//!
//! ```sh
//! cargo bench -p backpressure-gateway --bench beside_bullmq   # -- --seconds 20 for a longer look
//! ```

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

#[path = "../tests/it/support.rs"]
#[allow(dead_code, unreachable_pub, reason = "the tests use more of it")]
mod support;

use std::process::Command;
use std::time::Duration;

use contract::variables;
use serde_json::{Value, json};
use support::{Gateway, Redis, event};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

const BATCH: u64 = 100;

#[tokio::main(worker_threads = 1)]
async fn main() {
    let seconds = seconds(4);
    println!(
        "{:<36} {:>9} {:>18} {:>7} {:>18} {:>7}",
        "events a second", "gateway", "BullMQ, one call", "ratio", "BullMQ, as many", "ratio"
    );
    for (store, durable) in [("no persistence", false), ("appendfsync always", true)] {
        for (name, size, under_way) in [("single events", 1, 64), ("batches of 100", BATCH, 8)] {
            let start = || if durable { Redis::start_durable(&[]) } else { Redis::start(&[]) };
            let ours = of_gateway(&start(), size, under_way, seconds).await;
            let one = of_bullmq(&start(), size, 1, seconds);
            let many = of_bullmq(&start(), size, under_way, seconds);
            println!(
                "{:<36} {ours:>9.0} {one:>18.0} {:>7.2} {many:>18.0} {:>7.2}",
                format!("{name}, {store}"),
                ours / one,
                ours / many
            );
        }
    }
}

async fn of_gateway(redis: &Redis, size: u64, under_way: usize, seconds: u64) -> f64 {
    let url = redis.url();
    let critical = (variables::QUEUE_CRITICAL_THRESHOLD.name, "100000000");
    let gateway = Gateway::start(&[(variables::REDIS_URL.name, &url), critical]).await;
    let body = match size {
        1 => event("telemetry-data", 1),
        size => Value::from((0..size).map(|number| event("telemetry-data", number)).collect::<Vec<_>>()),
    };
    let body = body.to_string();
    let request = format!(
        "POST /api/v1/datastreams HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let run = async |time: Duration| {
        let begun = Instant::now();
        let counts = (0..under_way).map(|_| send_until(gateway.port, &request, begun + time));
        let requests: u64 = futures_util::future::join_all(counts).await.into_iter().sum();
        (requests * size) as f64 / begun.elapsed().as_secs_f64()
    };
    run(Duration::from_millis(300)).await;
    run(Duration::from_secs(seconds)).await
}

/// Requests that were answered with 202, one after the other on one connection.
async fn send_until(port: u16, request: &str, end: Instant) -> u64 {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let mut answer = Vec::new();
    let mut requests = 0;
    while Instant::now() < end {
        stream.write_all(request.as_bytes()).await.unwrap();
        answer.clear();
        while !is_whole(&answer) {
            assert!(stream.read_buf(&mut answer).await.unwrap() > 0, "the gateway ends the connection");
        }
        assert!(answer.starts_with(b"HTTP/1.1 202"), "{}", String::from_utf8_lossy(&answer));
        requests += 1;
    }
    requests
}

/// Whether a head and as many bytes as it announces are there.
fn is_whole(answer: &[u8]) -> bool {
    let Some(head) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return false };
    let text = String::from_utf8_lossy(&answer[..head]).to_ascii_lowercase();
    let length: usize =
        text.split("content-length: ").nth(1).unwrap().lines().next().unwrap().parse().unwrap();
    answer.len() >= head + 4 + length
}

fn of_bullmq(redis: &Redis, size: u64, under_way: usize, seconds: u64) -> f64 {
    let settings = json!({
        "version": 6, "port": redis.port, "queue": "rule-engine-events",
        "size": size, "inFlight": under_way, "seconds": seconds,
    });
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bullmq/load.mjs");
    let output =
        Command::new("node").arg(script).arg(settings.to_string()).output().expect("node is installed");
    let told = String::from_utf8_lossy(&output.stderr);
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap_or_else(|_| panic!("{told}"))
}

/// The number after `--seconds`, or `otherwise`.
fn seconds(otherwise: u64) -> u64 {
    let arguments: Vec<String> = std::env::args().collect();
    let given = arguments.iter().position(|argument| argument == "--seconds");
    given.and_then(|place| arguments.get(place + 1)?.parse().ok()).unwrap_or(otherwise)
}
