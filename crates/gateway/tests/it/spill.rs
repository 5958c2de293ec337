//! The journal of priority-1 events as operators meet it: a full disk, two gateways on one folder, a flipped bit, a folder that is
//! removed, and the commands that look into it. `src/spill/schedules.rs` has the rest, on a simulated disk.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::{Gateway, Redis, event, within};

const QUEUE: &str = "bull:rule-engine-events:";

async fn spill(gateway: &Gateway) -> Value {
    gateway.get("/metrics/queue").await.1["spill"].clone()
}

async fn drained(gateway: &Gateway) {
    within(Duration::from_secs(10), "the spill is empty", || async { spill(gateway).await["jobs"] == 0 })
        .await;
}

/// Sends priority-1 events until `count` are in the spill.
async fn fill(gateway: &Gateway, count: u64) {
    let batch: Vec<Value> = (0..count).map(|number| event("critical-alarm", number)).collect();
    for part in batch.chunks(500) {
        let (status, answer) = gateway.send(&part.into()).await.unwrap();
        assert_eq!(status, 202, "{answer}");
        assert_eq!(answer["results"][0]["status"], "spilled");
    }
    assert_eq!(spill(gateway).await["jobs"], count);
}

fn in_queue(redis: &Redis) -> u64 {
    redis.ask(&["ZCARD", &format!("{QUEUE}prioritized")]).parse().unwrap()
}

fn folder(gateway: &Gateway) -> PathBuf {
    gateway.dir.path().join("spill")
}

/// The first file of the journal.
fn segment(folder: &Path) -> PathBuf {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "journal")).unwrap()
}

fn command(what: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gateway")).arg("spill").args(what).arg(folder).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A bound of the size of files stands in for a full disk: a write fails after a part of it.
#[tokio::test]
async fn a_disk_that_was_full_loses_nothing_and_drains() {
    let mut redis = Redis::prepare(&[]);
    let url = redis.url();
    let mut gateway = Gateway::start(&[("REDIS_URL", &url), ("REDIS_TIMEOUT_MS", "200")]).await;
    let limit = gateway.process().limit_of_files();
    limit("20000");
    let (mut accepted, mut refused) = (0, 0);
    for number in 0..200 {
        let (status, answer) = gateway.send(&event("critical-alarm", number)).await.unwrap();
        match status {
            202 => accepted += 1,
            _ => {
                assert_eq!((status, &answer["reason"]), (503, &json!("spill_failed")));
                refused += 1;
            }
        }
    }
    assert!(accepted > 50 && refused > 50, "{accepted} {refused}");
    let (_, health) = gateway.get("/health").await;
    let state = &health["services"]["spill"];
    assert_eq!((&state["status"], &state["failing"]), (&json!("degraded"), &json!(true)), "{state}");
    assert!(state["lastError"]["message"].as_str().unwrap().contains("File too large"), "{state}");
    assert!(std::fs::read_dir(folder(&gateway)).unwrap().count() < 6, "no file is left behind");

    limit("unlimited");
    within(Duration::from_secs(5), "it is found out without traffic", || async {
        spill(&gateway).await["failing"] == false
    })
    .await;
    for number in 200..210 {
        assert_eq!(gateway.send(&event("critical-alarm", number)).await.unwrap().0, 202);
    }
    gateway.kill();
    gateway.restart().await;
    redis.restart();
    drained(&gateway).await;
    assert_eq!(in_queue(&redis), accepted + 10);
    within(Duration::from_secs(5), "all is well", || async {
        gateway.get("/health").await.1["status"] == "healthy"
    })
    .await;
}

/// A new release that starts before the old one has stopped, and a second gateway by mistake.
#[tokio::test]
async fn a_folder_has_one_gateway_and_the_next_one_waits_for_it() {
    let mut redis = Redis::prepare(&[]);
    let url = redis.url();
    let mut gateway = Gateway::start(&[("REDIS_URL", &url)]).await;
    fill(&gateway, 20).await;
    let shared = folder(&gateway);
    let second = |wait: &str| {
        Command::new(env!("CARGO_BIN_EXE_gateway"))
            .env_clear()
            .envs([
                ("REDIS_URL", url.as_str()),
                ("HOST", "127.0.0.1"),
                ("PORT", "0"),
                ("ADMIN_HOST", "127.0.0.1"),
                ("ADMIN_PORT", "0"),
                ("SPILL_LOCK_WAIT_MS", wait),
            ])
            .env("SPILL_DIR", &shared)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let refused = second("100").wait_with_output().unwrap();
    let told = text(&refused.stderr);
    assert!(
        refused.status.code() == Some(1) && told.contains("SPILL_DIR") && told.contains("another process"),
        "{told}"
    );
    let owner = gateway.process().id().to_string();
    assert!(told.contains(&owner), "{told}");
    let inspected = command(&["inspect"], &shared);
    assert!(inspected.status.code() == Some(1) && text(&inspected.stderr).contains(&owner));

    let begun = Instant::now();
    let mut waiting = second("20000");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let term = Command::new("kill").args(["-TERM", &waiting.id().to_string()]).status().unwrap();
    assert!(term.success() && waiting.wait().unwrap().success(), "it can be stopped while it waits");
    assert!(begun.elapsed() < Duration::from_secs(5));
    let mut next = second("20000");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(next.try_wait().unwrap().is_none(), "it waits");
    fill_more(&gateway).await;
    gateway.process().signal("TERM");
    gateway.process().end(Duration::from_secs(10)).await;
    redis.restart();
    within(Duration::from_secs(10), "the next one replays all", || async { in_queue(&redis) == 21 }).await;
    assert!(begun.elapsed() < Duration::from_secs(15));
    next.kill().unwrap();
    next.wait().unwrap();
}

async fn fill_more(gateway: &Gateway) {
    assert_eq!(gateway.send(&event("critical-alarm", 99)).await.unwrap().1["status"], "spilled");
}

#[tokio::test]
async fn a_flipped_bit_costs_one_event_and_everybody_is_told() {
    let mut redis = Redis::prepare(&[]);
    let url = redis.url();
    let mut gateway = Gateway::start(&[("REDIS_URL", &url), ("REDIS_TIMEOUT_MS", "200")]).await;
    fill(&gateway, 1000).await;
    gateway.kill();
    let folder = folder(&gateway);
    let journal = segment(&folder);
    let mut bytes = std::fs::read(&journal).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    std::fs::write(&journal, &bytes).unwrap();

    let inspected = command(&["inspect", "--json"], &folder);
    let report: Value = serde_json::from_slice(&inspected.stdout).unwrap();
    assert_eq!(inspected.status.code(), Some(10));
    assert_eq!((&report["jobs"], report["damaged"].as_array().unwrap().len()), (&json!(999), 1), "{report}");
    let place = &report["damaged"][0];
    assert!(
        place["from"].as_u64().unwrap() <= middle as u64 && middle as u64 <= place["to"].as_u64().unwrap()
    );
    assert!(text(&command(&["inspect"], &folder).stdout).contains("jobs 999,"));
    let exported = command(&["export"], &folder);
    let jobs: Vec<Value> =
        text(&exported.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((exported.status.code(), jobs.len()), (Some(0), 999));
    assert_eq!(jobs[0]["name"], "critical-alarm");

    gateway.restart().await;
    let (_, health) = gateway.get("/health").await;
    assert_eq!(health["services"]["spill"]["status"], "degraded");
    assert_eq!(health["services"]["spill"]["damaged"], 1);
    redis.restart();
    drained(&gateway).await;
    assert_eq!(in_queue(&redis), 999);
    within(Duration::from_secs(5), "Redis is back", || async {
        gateway.get("/health").await.1["services"]["redis"]["status"] == "healthy"
    })
    .await;
    let (status, health) = gateway.get("/health").await;
    assert_eq!((status, &health["status"]), (200, &json!("degraded")), "what was damaged waits for people");
    let kept = journal.with_extension("damaged");
    assert_eq!(std::fs::read(&kept).unwrap(), bytes);
    std::fs::remove_file(&kept).unwrap();
    within(Duration::from_secs(5), "people have seen it", || async {
        gateway.get("/health").await.1["status"] == "healthy"
    })
    .await;
}

#[tokio::test]
async fn repaired_a_journal_has_all_that_was_intact() {
    let mut redis = Redis::prepare(&[]);
    let url = redis.url();
    let mut gateway = Gateway::start(&[("REDIS_URL", &url), ("REDIS_TIMEOUT_MS", "200")]).await;
    fill(&gateway, 50).await;
    gateway.kill();
    let folder = folder(&gateway);
    let journal = segment(&folder);
    let mut bytes = std::fs::read(&journal).unwrap();
    bytes[0] ^= 1;
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&journal, &bytes).unwrap();
    let repaired = command(&["repair"], &folder);
    assert_eq!(repaired.status.code(), Some(0), "{}", text(&repaired.stderr));
    assert!(text(&repaired.stdout).starts_with("jobs written anew: 48; damaged places left out: 2,"));
    let kept = journal.with_extension("damaged");
    assert_eq!(std::fs::read(&kept).unwrap(), bytes);
    std::fs::remove_file(kept).unwrap();
    let inspected = command(&["inspect"], &folder);
    assert_eq!(inspected.status.code(), Some(0));
    assert!(text(&inspected.stdout).contains("nothing is damaged"));
    gateway.restart().await;
    redis.restart();
    drained(&gateway).await;
    assert_eq!(in_queue(&redis), 48);
    assert_eq!(command(&["inspect"], Path::new("/nowhere")).status.code(), Some(1));
}

#[tokio::test]
async fn a_folder_that_is_removed_takes_nothing_along() {
    let mut redis = Redis::prepare(&[]);
    let url = redis.url();
    let mut gateway = Gateway::start(&[("REDIS_URL", &url), ("REDIS_TIMEOUT_MS", "200")]).await;
    fill(&gateway, 20).await;
    let folder = folder(&gateway);
    std::fs::remove_dir_all(&folder).unwrap();
    // What is acknowledged now is in a folder that exists, with all that was acknowledged before.
    fill_more(&gateway).await;
    gateway.kill();
    gateway.restart().await;
    assert_eq!(spill(&gateway).await["jobs"], 21);

    // A file in its place: no folder can be made.
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::write(&folder, "in the way").unwrap();
    let (status, answer) = gateway.send(&event("critical-alarm", 100)).await.unwrap();
    assert_eq!((status, &answer["reason"]), (503, &json!("spill_failed")));
    let (_, health) = gateway.get("/health").await;
    assert_eq!(health["services"]["spill"]["failing"], true);
    std::fs::remove_file(&folder).unwrap();
    within(Duration::from_secs(5), "it is made anew without traffic", || async { segment_exists(&folder) })
        .await;
    fill_more(&gateway).await;
    gateway.kill();
    gateway.restart().await;
    redis.restart();
    drained(&gateway).await;
    assert_eq!(in_queue(&redis), 22);
}

fn segment_exists(folder: &Path) -> bool {
    folder.is_dir()
        && std::fs::read_dir(folder)
            .unwrap()
            .any(|entry| entry.unwrap().path().extension().is_some_and(|extension| extension == "journal"))
}
