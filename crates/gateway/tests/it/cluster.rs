//! Redis Cluster: three masters, a queue on each of several slots, workers of all of them.

use std::process::Command;
use std::time::Duration;

use backpressure_gateway::launch;
use serde_json::{Value, json};

use crate::support::{Peer, Redis, event, send, settings, within, worker};

fn cluster() -> Vec<Redis> {
    let nodes: Vec<Redis> = (0..3)
        .map(|_| {
            Redis::start(&[
                "--cluster-enabled",
                "yes",
                "--cluster-require-full-coverage",
                "no",
                "--cluster-node-timeout",
                "2000",
                "--cluster-port",
                &crate::support::free_port().to_string(),
            ])
        })
        .collect();
    let addresses = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port));
    let created = Command::new("redis-cli")
        .args(["--cluster", "create"])
        .args(addresses)
        .args(["--cluster-replicas", "0", "--cluster-yes"])
        .output()
        .unwrap();
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stdout));
    for node in &nodes {
        while !node.ask(&["CLUSTER", "INFO"]).contains("cluster_state:ok") {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    nodes
}

#[tokio::test]
async fn jobs_are_spread_over_the_shards_of_a_cluster_and_completed() {
    let nodes = cluster();
    let url = nodes[0].url();
    let app = launch::start(settings(&[
        ("REDIS_URL", &url),
        ("REDIS_CLUSTER", "true"),
        ("QUEUE_SHARDS", "4"),
        ("SPILL_DIR", "off"),
        ("JOB_KEEP_COMPLETED", "all"),
        ("QUEUE_RECOVERY_THRESHOLD", "40"),
        ("QUEUE_WARNING_THRESHOLD", "100"),
        ("QUEUE_CRITICAL_THRESHOLD", "400"),
    ]));
    let app = app.await.unwrap();
    let batch: Vec<Value> = (0..600).map(|number| event("telemetry-data", number)).collect();
    let (status, answer) = send(&app, &Value::from(batch)).await;
    // Each of four shards takes its quarter of the critical depth, and not one more.
    assert_eq!((status, &answer["accepted"]), (207.try_into().unwrap(), &json!(400)));
    assert_eq!(app.queue.depth().await.unwrap(), 400);
    let names: Vec<String> = (0..4).map(|shard| format!("{{rule-engine-events-{shard}}}")).collect();
    let mut workers = Vec::new();
    for name in &names {
        let side = json!({ "version": 6, "port": nodes[1].port, "cluster": true, "queue": name });
        assert_eq!(
            Peer::start(&side).ask(&json!(["getJobCounts", "prioritized"]))["prioritized"],
            100,
            "{name}"
        );
        workers.push(worker(&side));
    }
    within(Duration::from_secs(30), "all are completed", || async {
        app.queue.counts().await.unwrap().completed == 400
    })
    .await;
    within(Duration::from_secs(5), "the workers of all shards are seen", || async {
        app.last_seen.get().workers.is_some_and(|workers| workers.len() == 4)
    })
    .await;
}

/// The node that the settings name dies, and the connection to the master is lost.
#[tokio::test]
async fn another_node_is_asked_when_the_one_of_the_settings_is_gone() {
    let mut nodes = cluster();
    let slot = nodes[0].ask(&["CLUSTER", "KEYSLOT", "bull:{rule-engine-events-0}:wait"]);
    // Each node tells its own slots in the line that says `myself`.
    let owns = |node: &Redis| {
        let told = node.ask(&["CLUSTER", "NODES"]);
        let own = told.lines().find(|line| line.contains("myself")).unwrap();
        let slot: u16 = slot.parse().unwrap();
        own.split(' ').skip(8).any(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            (first.parse().unwrap()..=last.parse().unwrap()).contains(&slot)
        })
    };
    let seed = nodes.iter().position(|node| !owns(node)).unwrap();
    let url = nodes[seed].url();
    let variables = [("REDIS_URL", url.as_str()), ("REDIS_CLUSTER", "true"), ("SPILL_DIR", "off")];
    let app = launch::start(settings(&variables)).await.unwrap();
    assert_eq!(send(&app, &event("telemetry-data", 1)).await.0, 202);
    nodes[seed].kill();
    let owner = nodes.iter().enumerate().find(|(index, node)| *index != seed && owns(node)).unwrap().1;
    owner.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
    within(Duration::from_secs(10), "events are taken again", || async {
        send(&app, &event("telemetry-data", 2)).await.0 == 202
    })
    .await;
}

/// A slot moves to another master while events come in.
#[tokio::test]
async fn the_master_of_a_slot_is_found_again_when_it_has_moved() {
    let nodes = cluster();
    let url = nodes[0].url();
    let app =
        launch::start(settings(&[("REDIS_URL", &url), ("REDIS_CLUSTER", "true"), ("SPILL_DIR", "off")]))
            .await
            .unwrap();
    assert_eq!(send(&app, &event("telemetry-data", 1)).await.0, 202);
    let slot = nodes[0].ask(&["CLUSTER", "KEYSLOT", "bull:{rule-engine-events-0}:wait"]);
    let is_owner = |node: &&Redis| node.ask(&["CLUSTER", "COUNTKEYSINSLOT", &slot]) != "0";
    let from = nodes.iter().find(is_owner).unwrap();
    let to = nodes.iter().find(|node| node.port != from.port).unwrap();
    let id = |node: &Redis| node.ask(&["CLUSTER", "MYID"]);
    to.ask(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &id(from)]);
    from.ask(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id(to)]);
    let keys = from.ask(&["CLUSTER", "GETKEYSINSLOT", &slot, "1000"]);
    let port = to.port.to_string();
    let keys: Vec<&str> = keys.lines().collect();
    from.ask(&[&["MIGRATE", "127.0.0.1", &port, "", "0", "5000", "KEYS"][..], &keys].concat());
    for node in [to, from] {
        node.ask(&["CLUSTER", "SETSLOT", &slot, "NODE", &id(to)]);
    }
    within(Duration::from_secs(10), "events are taken again", || async {
        send(&app, &event("telemetry-data", 2)).await.0 == 202
    })
    .await;
    assert_eq!(app.queue.depth().await.unwrap(), 2);
}
