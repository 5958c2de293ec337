//! Twenty rounds each of kill -9, of replaced gateways and of full disks, under load, and then the count: every acknowledged event
//! is in the queue or completed, exactly once; none twice.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::{join, join_all};
use serde_json::{Value, json};

use crate::support::{Gateway, Peer, Redis, within, worker};

const ROUNDS: u64 = 20;
const SENDERS: usize = 8;
/// For events of all kinds to be sent in, between two disturbances.
const CALM: Duration = Duration::from_millis(150);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_or_doubled_over_twenty_kills() {
    let mut redis = Redis::start_durable(&[]);
    let mut gateway = gateway(&redis).await;
    let side = side(&redis);
    let _worker = worker(&side);
    let load = Load::to(&gateway);
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
    };
    let acknowledged = load.during(killer).await;
    judge("kills", &acknowledged, &gateway, &side).await;
}

/// A new gateway starts while the old one still works, takes over its folder when that has drained, and goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_or_doubled_over_twenty_replacements() {
    let mut redis = Redis::start_durable(&[]);
    let mut gateway = gateway(&redis).await;
    let side = side(&redis);
    let _worker = worker(&side);
    let load = Load::to(&gateway);
    let replacer = async {
        for round in 0..ROUNDS {
            tokio::time::sleep(CALM).await;
            // The folder is handed over empty, and with what waits in it. A gateway that starts without Redis waits 2 s for it.
            let is_away = round.is_multiple_of(4);
            if is_away {
                redis.kill();
                tokio::time::sleep(CALM).await;
            }
            gateway.replace().await;
            load.port.store(gateway.port, Ordering::Relaxed);
            if is_away {
                redis.restart();
            }
        }
    };
    let acknowledged = load.during(replacer).await;
    judge("replacements", &acknowledged, &gateway, &side).await;
}

/// Redis is away and the disk full at once, and then both are well again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_or_doubled_over_twenty_full_disks() {
    let mut redis = Redis::start_durable(&[]);
    let mut gateway = gateway(&redis).await;
    let side = side(&redis);
    let _worker = worker(&side);
    let load = Load::to(&gateway);
    let limit = gateway.process().limit_of_files();
    let filler = async {
        for _ in 0..ROUNDS {
            redis.kill();
            tokio::time::sleep(CALM).await;
            limit("8192");
            tokio::time::sleep(CALM).await;
            limit("unlimited");
            redis.restart();
            tokio::time::sleep(CALM).await;
        }
    };
    let acknowledged = load.during(filler).await;
    assert!(load.refused_by_disk.load(Ordering::Relaxed) > 0, "the disk must have been full");
    judge("full disks", &acknowledged, &gateway, &side).await;
}

async fn gateway(redis: &Redis) -> Gateway {
    let url = redis.url();
    let variables = [
        ("REDIS_URL", url.as_str()),
        ("REDIS_TIMEOUT_MS", "500"),
        ("JOB_KEEP_COMPLETED", "all"),
        ("JOB_KEEP_FAILED", "all"),
    ];
    Gateway::start(&variables).await
}

fn side(redis: &Redis) -> Value {
    json!({ "version": 6, "port": redis.port, "queue": "rule-engine-events", "concurrency": 20, "lockMs": 2000 })
}

/// An event that was acknowledged.
#[derive(Debug)]
struct Acknowledged {
    number: u64,
    id: String,
    is_spilled: bool,
}

/// Senders that give each event a number of its own and never send one twice.
struct Load {
    port: AtomicU16,
    next: AtomicU64,
    stop: AtomicBool,
    refused_by_disk: AtomicU64,
    client: reqwest::Client,
}

impl Load {
    fn to(gateway: &Gateway) -> Load {
        Load {
            port: AtomicU16::new(gateway.port),
            next: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            refused_by_disk: AtomicU64::new(0),
            client: reqwest::Client::builder().timeout(Duration::from_secs(10)).build().unwrap(),
        }
    }

    async fn during(&self, disturbance: impl Future<Output = ()>) -> Vec<Acknowledged> {
        let disturbance = async {
            disturbance.await;
            tokio::time::sleep(Duration::from_millis(500)).await;
            self.stop.store(true, Ordering::Relaxed);
        };
        let senders = join_all((0..SENDERS).map(|_| self.send()));
        join(senders, disturbance).await.0.into_iter().flatten().collect()
    }

    async fn send(&self) -> Vec<Acknowledged> {
        let mut acknowledged = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let event_type = if number.is_multiple_of(2) { "critical-alarm" } else { "telemetry-data" };
            let event = json!({ "type": event_type, "data": { "number": number } });
            let address =
                format!("http://127.0.0.1:{}/api/v1/datastreams", self.port.load(Ordering::Relaxed));
            let answer = match self.client.post(&address).json(&event).send().await {
                Ok(answer) if answer.status() == 202 => answer.json::<Value>().await,
                refused => {
                    let refusal = async { refused.ok()?.json::<Value>().await.ok() };
                    if refusal.await.is_some_and(|refusal| refusal["reason"] == "spill_failed") {
                        self.refused_by_disk.fetch_add(1, Ordering::Relaxed);
                    }
                    tokio::time::sleep(Duration::from_millis(2)).await;
                    continue;
                }
            };
            // An answer that is cut off is no acknowledgement.
            if let Ok(answer) = answer {
                let id = answer["jobId"].as_str().unwrap().to_owned();
                acknowledged.push(Acknowledged { number, id, is_spilled: answer["status"] == "spilled" });
            }
        }
        acknowledged
    }
}

async fn judge(what: &str, acknowledged: &[Acknowledged], gateway: &Gateway, side: &Value) {
    within(Duration::from_secs(20), "the spill is empty", || async {
        gateway.get("/metrics/queue").await.1["spill"]["jobs"] == 0
    })
    .await;
    // Jobs that the worker held when Redis died come back when their locks are seen to have gone.
    within(Duration::from_secs(60), "all jobs are completed", || async {
        gateway.get("/metrics/queue").await.1["queue"]["totalPending"] == 0
    })
    .await;
    let mut peer = Peer::start(side);
    let mut found: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for state in ["getCompleted", "getWaiting", "getPrioritized", "getActive", "getDelayed", "getFailed"] {
        for job in peer.ask(&json!([state, 0, -1])).as_array().unwrap() {
            let number = job["data"]["data"]["number"].as_u64().unwrap();
            found.entry(number).or_default().push(job["id"].as_str().unwrap().to_owned());
        }
    }
    let lost: Vec<_> = acknowledged.iter().filter(|event| !found.contains_key(&event.number)).collect();
    let doubled: Vec<_> = found.iter().filter(|(_, ids)| ids.len() > 1).collect();
    let spilled = acknowledged.iter().filter(|event| event.is_spilled).count();
    println!(
        "{ROUNDS} {what}: {} acknowledged ({spilled} of them by the spill), {} in Redis, {} lost, {} doubled",
        acknowledged.len(),
        found.len(),
        lost.len(),
        doubled.len()
    );
    assert!(lost.is_empty(), "lost: {lost:?}\n{}", gateway.log());
    assert!(doubled.is_empty(), "doubled: {doubled:?}\n{}", gateway.log());
    for Acknowledged { number, id, .. } in acknowledged {
        assert_eq!(found[number], std::slice::from_ref(id), "the id that was told is that of the job");
    }
    assert!(acknowledged.len() > 1000 && spilled > 0, "the rounds must have met a load and an outage");
}
