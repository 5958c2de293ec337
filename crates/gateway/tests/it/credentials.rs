//! Who may send what: tokens, their organizations, priorities and quotas, and what changes without a restart.

use std::path::Path;
use std::time::{Duration, Instant};

use axum::http::{Request, StatusCode};
use backpressure_gateway::access::Access;
use backpressure_gateway::app::App;
use backpressure_gateway::launch;
use serde_json::{Value, json};

use crate::support::{Gateway, call, event, settings, within};

const ACME: &str = "correct horse battery staple";
const OTHER: &str = "a token of somebody else";

/// As of `printf %s TOKEN | sha256sum`.
const ACME_SHA256: &str = "c4bbcb1fbec99d65bf59d85c8cb62ee2db963f0fe106f483d9afa73bd4e39a8a";

fn credentials() -> Value {
    json!({ "credentials": [
        { "name": "acme", "organization": "acme", "sha256": ACME_SHA256, "priorities": [5, 2], "eventsPerSecond": 1, "burst": 600 },
        { "name": "all", "organization": "others", "sha256": sha256(OTHER) },
    ] })
}

/// By the tool that the documentation names.
fn sha256(token: &str) -> String {
    let output =
        std::process::Command::new("sh").args(["-c", r#"printf %s "$0" | sha256sum"#, token]).output();
    String::from_utf8(output.unwrap().stdout).unwrap().split(' ').next().unwrap().to_owned()
}

fn write(dir: &Path, credentials: &Value) -> String {
    let file = dir.join("credentials.json");
    std::fs::write(&file, credentials.to_string()).unwrap();
    file.to_str().unwrap().to_owned()
}

async fn send_as(app: &std::sync::Arc<App>, token: Option<&str>, body: &Value) -> (StatusCode, Value) {
    let mut request = Request::post("/api/v1/datastreams").header("content-type", "application/json");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    call(app, request.body(body.to_string().into()).unwrap()).await
}

#[tokio::test]
async fn a_token_is_for_its_organization_and_priorities() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), &credentials());
    let app = launch::start(settings(&[("CREDENTIALS_FILE", &file)])).await.unwrap();
    let of = |organization: &str, priority: u8| json!({ "type": "x", "data": 1, "organizationId": organization, "priority": priority });
    for (token, body, status, told) in [
        (None, event("telemetry-data", 1), 401, "unauthorized"),
        (Some("wrong"), event("telemetry-data", 1), 401, "unauthorized"),
        (Some(ACME), event("telemetry-data", 1), 202, ""),
        (Some(ACME), of("acme", 2), 202, ""),
        (Some(ACME), of("others", 2), 403, "organizationId: others, \"acme\" for this token"),
        (Some(ACME), of("acme", 1), 403, "priority: 1, 2, 5 for this token"),
        (Some(ACME), event("critical-alarm", 1), 403, "priority: 1, 2, 5 for this token"),
        (Some(ACME), json!([of("acme", 5), of("acme", 10)]), 403, "[1].priority: 10, 2, 5 for this token"),
        (Some(OTHER), of("others", 1), 202, ""),
        (
            Some(OTHER),
            json!([{ "type": "x", "data": 1 }, { "data": 1 }]),
            400,
            "[1].type: nothing, a text of 1 to 128 characters, none of them a control character",
        ),
    ] {
        let (found, answer) = send_as(&app, token, &body).await;
        assert_eq!(found.as_u16(), status, "{token:?} {body}: {answer}");
        let mistake = &answer["mistakes"][0];
        let mistake = mistake.as_object().map(|_| {
            let text = |name: &str| mistake[name].as_str().unwrap().to_owned();
            format!("{}: {}, {}", text("place"), text("found"), text("allowed"))
        });
        assert_eq!(
            mistake.as_deref().unwrap_or(if status == 401 { answer["error"].as_str().unwrap() } else { "" }),
            told
        );
    }
}

/// The quotas here give one event back in a second, and what is asked for is far from what is left: a slow machine changes nothing.
#[tokio::test]
async fn a_quota_is_that_of_the_token_and_cannot_be_evaded() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), &credentials());
    let app = launch::start(settings(&[("CREDENTIALS_FILE", &file)])).await.unwrap();
    let events = |number: u64| Value::from_iter((0..number).map(|number| event("telemetry-data", number)));
    assert_eq!(send_as(&app, Some(ACME), &events(601)).await.0, StatusCode::FORBIDDEN, "more than its burst");
    assert_eq!(send_as(&app, Some(ACME), &events(500)).await.0, StatusCode::ACCEPTED);
    let (status, answer) = send_as(&app, Some(ACME), &events(400)).await;
    assert_eq!((status, &answer["rejected"]), (StatusCode::TOO_MANY_REQUESTS, &json!(400)));
    assert_eq!(answer["results"][399]["reason"], "token_quota");
    assert_eq!(answer["results"][399]["message"], "the token has used up its quota");
    // What is read again and has not changed begins with no new burst.
    assert_eq!(app.access.reload(), Ok(2));
    assert_eq!(send_as(&app, Some(ACME), &events(600)).await.0, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(send_as(&app, Some(OTHER), &events(600)).await.0, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn a_repeated_key_is_accepted_again_by_a_token_beyond_its_quota() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), &credentials());
    let app = launch::start(settings(&[("CREDENTIALS_FILE", &file)])).await.unwrap();
    let keyed = |key: u64| json!({ "type": "telemetry-data", "data": 1, "idempotencyKey": key.to_string() });
    let all = Value::from_iter((0..600).map(keyed));
    let (status, first) = send_as(&app, Some(ACME), &all).await;
    assert_eq!(status, StatusCode::ACCEPTED);
    let (status, again) = send_as(&app, Some(ACME), &all).await;
    assert_eq!((status, again), (StatusCode::ACCEPTED, first));
    let mixed = Value::from_iter((300..700).map(keyed));
    let (status, answer) = send_as(&app, Some(ACME), &mixed).await;
    assert_eq!((status, &answer["accepted"]), (StatusCode::MULTI_STATUS, &json!(300)), "{answer}");
}

#[tokio::test]
async fn a_token_pays_nothing_for_what_is_refused_as_busy() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), &credentials());
    // Room for the bytes of a batch, and not for its events.
    let variables =
        [("CREDENTIALS_FILE", file.as_str()), ("MAX_BODY_BYTES", "65536"), ("MAX_INFLIGHT_BYTES", "131072")];
    let app = launch::start(settings(&variables)).await.unwrap();
    let events = |number: u64| Value::from_iter((0..number).map(|number| event("telemetry-data", number)));
    for _ in 0..3 {
        let (status, answer) = send_as(&app, Some(ACME), &events(500)).await;
        assert_eq!((status, &answer["reason"]), (StatusCode::SERVICE_UNAVAILABLE, &json!("busy")));
    }
    for _ in 0..6 {
        assert_eq!(send_as(&app, Some(ACME), &events(100)).await.0, StatusCode::ACCEPTED);
    }
}

#[test]
fn all_mistakes_of_a_file_are_told_and_no_token() {
    let dir = tempfile::tempdir().unwrap();
    let told = |credentials: &Value| {
        let file = write(dir.path(), credentials);
        Access::open(Some(Path::new(&file))).map(|_| ()).unwrap_err()
    };
    let good = &credentials()["credentials"][1];
    let with = |field: &str, value: Value| {
        let mut entry = good.clone();
        entry[field] = value;
        entry
    };
    let problems = told(&json!({ "credentials": [
        good,
        with("name", json!("twin")),
        with("sha256", json!("0123")),
        with("priorities", json!([0])),
        with("priorities", json!([])),
        with("organization", json!("")),
        with("burst", json!(3)),
    ] }));
    let lines: Vec<&str> = problems.lines().skip(1).map(str::trim).collect();
    assert_eq!(
        lines,
        [
            "credentials[1]: name and token must not be those of an earlier one",
            "credentials[2].sha256: 64 hexadecimal digits, as of: printf %s TOKEN | sha256sum",
            "credentials[3].priorities: some of 1 to 10",
            "credentials[4].priorities: some of 1 to 10",
            "credentials[5].organization: 1 to 128 bytes without control characters",
            "credentials[6].burst: only beside eventsPerSecond",
        ]
    );
    assert!(told(&json!({ "credentials": [] })).ends_with("credentials: at least one"));
    assert!(told(&json!({ "credentials": [with("token", json!(OTHER))] })).contains("unknown field `token`"));
    assert!(Access::open(Some(Path::new("/nowhere"))).is_err_and(|told| told.contains("/nowhere")));
}

#[test]
fn a_public_production_gateway_has_credentials_or_says_that_it_has_none() {
    let read = |variables: &[(&str, &str)]| {
        let find =
            |name: &str| variables.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_owned());
        backpressure_gateway::settings::Settings::read(find)
            .map(|_| ())
            .map_err(|mistakes| mistakes.0[0].name)
    };
    let redis = ("REDIS_URL", "redis://localhost");
    assert_eq!(read(&[redis]), Err("CREDENTIALS_FILE"));
    for other in [
        ("OPEN_ACCESS", "true"),
        ("CREDENTIALS_FILE", "file"),
        ("HOST", "127.0.0.1"),
        ("HOST", "::1"),
        ("ENVIRONMENT", "staging"),
    ] {
        assert_eq!(read(&[redis, other]), Ok(()), "{other:?}");
    }
    assert_eq!(read(&[redis, ("OPEN_ACCESS", "yes")]), Err("CREDENTIALS_FILE"));
    assert_eq!(read(&[("EMBEDDED_QUEUE", "true")]), Ok(()), "a demo");
}

#[tokio::test]
async fn tokens_and_log_level_change_without_a_restart_and_other_signals_end_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), &credentials());
    let plan = dir.path().join("plan.env");
    std::fs::write(&plan, "# planned\nLOG_LEVEL=warn\nQUEUE_CRITICAL_THRESHOLD=20000\n").unwrap();
    let variables = [("CREDENTIALS_FILE", file.as_str()), ("SETTINGS_FILE", plan.to_str().unwrap())];
    let mut gateway = Gateway::start(&variables).await;
    let send = async |token: &str| {
        let request = gateway.client().post(gateway.path("/datastreams")).bearer_auth(token);
        request.json(&event("telemetry-data", 1)).send().await.unwrap().status().as_u16()
    };
    assert_eq!((send(ACME).await, send(OTHER).await), (202, 202));
    let summary = gateway.get("/metrics/queue").await.1;
    assert_eq!(summary["backpressure"]["thresholds"]["critical"], 20_000);
    assert!(!gateway.log().contains("listening"), "INFO is not logged: {}", gateway.log());

    write(dir.path(), &json!({ "credentials": [credentials()["credentials"][1]] }));
    std::fs::write(&plan, "LOG_LEVEL=debug\nQUEUE_CRITICAL_THRESHOLD=30000\n").unwrap();
    let id = gateway.process.as_ref().unwrap();
    id.signal("HUP");
    within(Duration::from_secs(5), "the token is gone", || async { send(ACME).await == 401 }).await;
    assert_eq!(send(OTHER).await, 202);
    let log = || gateway.log();
    within(Duration::from_secs(5), "it is told", || async {
        log().contains("waits for the next start variable=\"QUEUE_CRITICAL_THRESHOLD\"")
    })
    .await;

    // A file with a mistake changes nothing.
    std::fs::write(&file, "{").unwrap();
    id.signal("HUP");
    within(Duration::from_secs(5), "it is told", || async { log().contains("stay as they were") }).await;
    assert_eq!(send(OTHER).await, 202);
    id.signal("USR1");
    within(Duration::from_secs(5), "it says how things are", || async {
        log().contains("running circuit=CLOSED")
    })
    .await;
    assert_eq!(send(OTHER).await, 202);

    // 400s are logged now, with the id of the request.
    let request =
        gateway.client().post(gateway.path("/datastreams")).bearer_auth(OTHER).header("x-request-id", "r-17");
    let answer = request.json(&json!({})).send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["x-request-id"].to_str().unwrap()), (400, "r-17"));
    within(Duration::from_secs(5), "it is logged", || async { log().contains("status=400 id=\"r-17\"") })
        .await;
    within(Duration::from_secs(5), "who had no token is logged", || async {
        log().contains("reason=\"unauthorized\"")
    })
    .await;
    assert_eq!(gateway.metric("rule_engine_gateway_unauthorized_total{endpoint=\"events\"}").await, 1);
    let process = gateway.process();
    process.signal("TERM");
    assert_eq!(process.end(Duration::from_secs(10)).await, Some(0));
}

#[tokio::test]
async fn who_guesses_waits_for_each_answer() {
    let dir = tempfile::tempdir().unwrap();
    let file = write(dir.path(), &credentials());
    let app = launch::start(settings(&[("CREDENTIALS_FILE", &file)])).await.unwrap();
    let begun = Instant::now();
    for _ in 0..20 {
        send_as(&app, None, &event("x", 1)).await;
    }
    let without = begun.elapsed();
    assert!(without < Duration::from_secs(10), "twenty times half a second would be more: {without:?}");
    let begun = Instant::now();
    send_as(&app, Some("guess"), &event("x", 1)).await;
    assert!(begun.elapsed() >= Duration::from_millis(500));
}
