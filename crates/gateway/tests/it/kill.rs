//! kill -9 of Redis and of the gateway under load, and then the count: every acknowledged event is in the queue or completed,
//! exactly once; none twice.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Gateway, Peer, Redis, within, worker};

const ROUNDS: u64 = 20;
const SENDERS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_or_doubled_over_twenty_kills() {
    let mut redis = Redis::start_durable(&[]);
    let url = redis.url();
    let variables = [
        ("REDIS_URL", url.as_str()),
        ("REDIS_TIMEOUT_MS", "500"),
        ("JOB_KEEP_COMPLETED", "all"),
        ("JOB_KEEP_FAILED", "all"),
    ];
    let mut gateway = Gateway::start(&variables).await;
    let side = json!({ "version": 6, "port": redis.port, "queue": "rule-engine-events", "concurrency": 20, "lockMs": 2000 });
    let _worker = worker(&side);

    // Senders give each event a number of its own and never send one twice.
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap();
    let address = gateway.path("/datastreams");
    let sender = async || {
        let mut acknowledged: Vec<(u64, String, bool)> = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let event_type = if number.is_multiple_of(2) { "critical-alarm" } else { "telemetry-data" };
            let event = json!({ "type": event_type, "data": { "number": number } });
            let answer = match client.post(&address).json(&event).send().await {
                Ok(answer) if answer.status() == 202 => answer.json::<Value>().await,
                _ => {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    continue;
                }
            };
            // An answer that is cut off is no acknowledgement.
            if let Ok(answer) = answer {
                let id = answer["jobId"].as_str().unwrap().to_owned();
                acknowledged.push((number, id, answer["status"] == "spilled"));
            }
        }
        acknowledged
    };
    let killer = async {
        for round in 0..ROUNDS {
            tokio::time::sleep(Duration::from_millis(250 + 37 * round)).await;
            if round.is_multiple_of(2) {
                redis.kill();
                tokio::time::sleep(Duration::from_millis(200)).await;
                redis.restart();
            } else {
                gateway.kill();
                gateway.restart().await;
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        stop.store(true, Ordering::Relaxed);
    };
    let senders = futures_util::future::join_all((0..SENDERS).map(|_| sender()));
    let (acknowledged, ()) = futures_util::future::join(senders, killer).await;
    let acknowledged: Vec<(u64, String, bool)> = acknowledged.into_iter().flatten().collect();

    within(Duration::from_secs(20), "the spill is empty", || async {
        gateway.get("/metrics/queue").await.1["spill"]["jobs"] == 0
    })
    .await;
    // Jobs that the worker held when Redis died come back when their locks are seen to have gone.
    within(Duration::from_secs(60), "all jobs are completed", || async {
        gateway.get("/metrics/queue").await.1["queue"]["totalPending"] == 0
    })
    .await;

    let mut peer = Peer::start(&side);
    let mut found: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for state in ["getCompleted", "getWaiting", "getPrioritized", "getActive", "getDelayed", "getFailed"] {
        for job in peer.ask(&json!([state, 0, -1])).as_array().unwrap() {
            let number = job["data"]["data"]["number"].as_u64().unwrap();
            found.entry(number).or_default().push(job["id"].as_str().unwrap().to_owned());
        }
    }
    let lost: Vec<_> = acknowledged.iter().filter(|(number, _, _)| !found.contains_key(number)).collect();
    let doubled: Vec<_> = found.iter().filter(|(_, ids)| ids.len() > 1).collect();
    let spilled = acknowledged.iter().filter(|(_, _, is_spilled)| *is_spilled).count();
    println!(
        "{ROUNDS} kills: {} events sent, {} acknowledged ({spilled} of them by the spill), {} in Redis, {} lost, {} doubled",
        next.load(Ordering::Relaxed),
        acknowledged.len(),
        found.len(),
        lost.len(),
        doubled.len()
    );
    assert!(lost.is_empty(), "lost: {lost:?}\n{}", gateway.log());
    assert!(doubled.is_empty(), "doubled: {doubled:?}\n{}", gateway.log());
    for (number, id, _) in &acknowledged {
        assert_eq!(found[number], std::slice::from_ref(id), "the id that was told is that of the job");
    }
    assert!(acknowledged.len() > 1000 && spilled > 0, "the rounds must have met a load and an outage");
}
