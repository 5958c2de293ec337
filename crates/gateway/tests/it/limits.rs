//! What clients may not do: too long, too slow, too many, of the wrong kind, beyond their quota.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use axum::http::{Request, StatusCode};
use backpressure_gateway::launch;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Gateway, Process, Redis, call, event, free_port, post, send, settings, within};

#[tokio::test]
async fn bodies_of_the_wrong_kind_or_length_are_refused() {
    let app = launch::start(settings(&[("MAX_BODY_BYTES", "200"), ("MAX_BATCH_EVENTS", "2")])).await.unwrap();
    let good = event("telemetry-data", 1).to_string();
    let long = json!({ "type": "telemetry-data", "data": "x".repeat(200) }).to_string();
    let three = json!([event("a", 1), event("a", 2), event("a", 3)]).to_string();
    for (media_type, body, expected) in [
        ("application/json", good.as_str(), 202),
        ("Application/JSON; charset=utf-8", good.as_str(), 202),
        ("application/x-ndjson", good.as_str(), 202),
        ("text/plain", good.as_str(), 415),
        ("application/json", long.as_str(), 413),
        ("application/json", three.as_str(), 400),
        ("application/json", "{", 400),
    ] {
        let (status, answer) = call(&app, post(media_type, body.to_owned())).await;
        assert_eq!(status.as_u16(), expected, "{media_type} {body}: {answer}");
    }
    let compressed = Request::post("/api/v1/datastreams")
        .header("content-type", "application/json")
        .header("content-encoding", "gzip")
        .body(good.clone().into())
        .unwrap();
    assert_eq!(call(&app, compressed).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let untyped = Request::post("/api/v1/datastreams").body(good.into()).unwrap();
    assert_eq!(call(&app, untyped).await.0, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let nowhere = Request::get("/api/v2").body("".into()).unwrap();
    assert_eq!(call(&app, nowhere).await.0, StatusCode::NOT_FOUND);
    let get = Request::get("/api/v1/datastreams").body("".into()).unwrap();
    assert_eq!(call(&app, get).await.0, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn an_organization_beyond_its_quota_is_told_so_and_others_are_not() {
    let app =
        launch::start(settings(&[("ORGANIZATION_EVENTS_PER_SECOND", "1"), ("ORGANIZATION_BURST", "600")]))
            .await;
    let app = app.unwrap();
    let of =
        |organization: &str| json!({ "type": "telemetry-data", "data": 1, "organizationId": organization });
    // One more comes in for each second that this takes.
    let (status, answer) = send(&app, &Value::from_iter((0..1000).map(|_| of("a")))).await;
    assert_eq!(status, StatusCode::MULTI_STATUS);
    assert!((600..700).contains(&answer["accepted"].as_u64().unwrap()), "{}", answer["accepted"]);
    assert_eq!(answer["results"][999]["reason"], "quota");
    within(Duration::from_secs(5), "it has nothing left", || async {
        send(&app, &of("a")).await.0 == StatusCode::TOO_MANY_REQUESTS
    })
    .await;
    assert_eq!(send(&app, &of("b")).await.0, StatusCode::ACCEPTED);
    assert_eq!(send(&app, &event("telemetry-data", 1)).await.0, StatusCode::ACCEPTED);
}

/// What a raw connection is answered after `text`; empty if the server closes it.
async fn say(port: u16, text: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer))
        .await
        .expect("it is ended");
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn slow_and_large_heads_and_slow_bodies_are_ended() {
    let gateway = Gateway::start(&[("REQUEST_TIMEOUT_MS", "300"), ("HEADER_TIMEOUT_MS", "400")]).await;
    let head = "POST /api/v1/datastreams HTTP/1.1\r\nhost: x\r\n";
    assert_eq!(say(gateway.port, head).await, "", "a header that does not end");
    assert_eq!(say(gateway.admin_port, head).await, "", "the same on the admin port");
    let dropped = r#"rule_engine_gateway_connections_dropped_total{listener="events",reason="slow_header"} "#;
    assert_eq!(gateway.metric(dropped).await, 1);
    let slow =
        format!("{head}content-type: application/json\r\ncontent-length: 50\r\nconnection: close\r\n\r\n{{");
    assert!(say(gateway.port, &slow).await.starts_with("HTTP/1.1 408"), "a body that does not end");
    let many = format!("{head}{}\r\n", "x-a: b\r\n".repeat(100));
    assert!(say(gateway.port, &many).await.starts_with("HTTP/1.1 431"), "too many headers");
    let long = format!("{head}x-a: {}\r\n\r\n", "b".repeat(60_000));
    assert!(say(gateway.port, &long).await.starts_with("HTTP/1.1 431"), "too long a header");
    assert!(say(gateway.port, "no header\r\n\r\n").await.starts_with("HTTP/1.1 400"));
    let dropped = dropped.replace("slow_header", "bad_header");
    within(Duration::from_secs(3), "three are counted", || async { gateway.metric(&dropped).await == 3 })
        .await;
    let log = async || {
        gateway.log().contains("reason=\"bad_header\"") && gateway.log().contains("reason=\"slow_body\"")
    };
    within(Duration::from_secs(3), "all is logged", log).await;
}

#[tokio::test]
async fn a_kept_connection_may_be_idle_longer_than_a_header_may_take() {
    let gateway = Gateway::start(&[("HEADER_TIMEOUT_MS", "200"), ("KEEP_ALIVE_TIMEOUT_MS", "60000")]).await;
    let mut stream = TcpStream::connect(("127.0.0.1", gateway.port)).await.unwrap();
    let mut answer = [0; 4096];
    for _ in 0..2 {
        stream.write_all(format!("{LIVENESS}\r\n").as_bytes()).await.unwrap();
        let length = stream.read(&mut answer).await.unwrap();
        assert!(answer[..length].starts_with(b"HTTP/1.1 200"));
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    stream.write_all(LIVENESS.as_bytes()).await.unwrap();
    let begun = Instant::now();
    assert_eq!(stream.read(&mut answer).await.unwrap_or(0), 0, "the third header does not end");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

const LIVENESS: &str = "GET /api/v1/health/liveness HTTP/1.1\r\nhost: x\r\n";

#[tokio::test]
async fn a_connection_takes_the_place_of_one_that_waits_and_of_none_that_is_served() {
    let gateway = Gateway::start(&[("MAX_CONNECTIONS", "2"), ("MIN_BODY_BYTES_PER_SECOND", "0")]).await;
    // It is told to go on when its body is asked for, and so is served.
    let serve = async || {
        let head = format!("{}\r\nexpect: 100-continue\r\n\r\n", announce(9).trim_end());
        let mut stream = send_raw(gateway.port, &head).await;
        let mut leave = [0; 25];
        stream.read_exact(&mut leave).await.unwrap();
        assert_eq!(&leave, b"HTTP/1.1 100 Continue\r\n\r\n");
        stream
    };
    let mut first = serve().await;
    let mut idle = send_raw(gateway.port, "").await;
    let last = format!("{LIVENESS}connection: close\r\n\r\n");
    assert!(say(gateway.port, &last).await.starts_with("HTTP/1.1 200"), "in the place of the idle one");
    assert_eq!(idle.read(&mut [0]).await.unwrap_or(0), 0);
    let second = serve().await;
    assert!(say(gateway.port, "").await.starts_with("HTTP/1.1 503"), "both places are taken");
    first.write_all(b"[7,8,9,0]").await.unwrap();
    let mut answer = [0; 12];
    first.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 400");
    drop(second);
    let log = gateway.log();
    within(Duration::from_secs(3), "it is logged", || async { gateway.log().contains("reason=\"refused\"") })
        .await;
    assert!(!log.contains("panicked"), "{log}");
}

/// The bar for each attack: the admin port answers within a second, and a client that behaves is served.
async fn is_well_served(gateway: &Gateway) {
    for path in ["/health/liveness", "/health", "/metrics/prometheus", "/metrics/queue"] {
        let begun = Instant::now();
        let answer = gateway.client().get(gateway.admin_path(path)).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        assert!(begun.elapsed() < Duration::from_secs(1), "{path} took {:?}", begun.elapsed());
    }
    let (status, answer) = gateway.send(&event("critical-alarm", 1)).await.expect("the connection lasts");
    assert_eq!(status, 202, "{answer}");
}

/// As many as there are places, and more.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn slow_headers_shut_nobody_out() {
    let redis = Redis::start(&[]);
    let gateway = Gateway::start(&[("REDIS_URL", &redis.url())]).await;
    let mut slow = Vec::new();
    for number in 0..4200 {
        let mut stream = TcpStream::connect(("127.0.0.1", gateway.port)).await.unwrap();
        let _ = stream.write_all(b"POST /api/v1/datastreams HTTP/1.1\r\nhost").await;
        slow.push(stream);
        if number % 600 == 599 {
            is_well_served(&gateway).await;
        }
    }
    let evicted = r#"rule_engine_gateway_connections_dropped_total{listener="events",reason="evicted"} "#;
    assert!(gateway.metric(evicted).await >= 4200 - 1024);
    within(Duration::from_secs(3), "it is logged", || async { gateway.log().contains("reason=\"evicted\"") })
        .await;
}

#[tokio::test]
async fn the_admin_port_answers_while_redis_hangs() {
    let redis = Redis::start(&[]);
    let gateway = Gateway::start(&[("REDIS_URL", &redis.url()), ("REDIS_TIMEOUT_MS", "20000")]).await;
    redis.signal("STOP");
    for (path, status) in [
        ("/health", 503),
        ("/metrics/prometheus", 200),
        ("/health/readiness", 503),
        ("/health/liveness", 200),
    ] {
        let begun = Instant::now();
        let answer = gateway.client().get(gateway.admin_path(path)).send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        assert!(begun.elapsed() < Duration::from_secs(1), "{path} took {:?}", begun.elapsed());
    }
    let events = gateway.client().post(gateway.admin_path("/datastreams")).json(&event("x", 1)).send().await;
    assert_eq!(events.unwrap().status(), 404, "it takes no events");
    redis.signal("CONT");
    within(Duration::from_secs(5), "it is healthy again", || async {
        gateway.client().get(gateway.admin_path("/health")).send().await.unwrap().status() == 200
    })
    .await;
}

#[tokio::test]
async fn clients_that_never_read_are_dropped() {
    let gateway = Gateway::start(&[("WRITE_TIMEOUT_MS", "700")]).await;
    let request = "GET /api/v1/openapi.json HTTP/1.1\r\nhost: x\r\n\r\n".repeat(600);
    let mut silent = Vec::new();
    for _ in 0..200 {
        let mut stream = TcpStream::connect(("127.0.0.1", gateway.port)).await.unwrap();
        let _ = tokio::time::timeout(Duration::from_millis(5), stream.write_all(request.as_bytes())).await;
        silent.push(stream);
    }
    is_well_served(&gateway).await;
    let dropped = r#"rule_engine_gateway_connections_dropped_total{listener="events",reason="slow_reader"} "#;
    within(Duration::from_secs(10), "all are dropped", || async { gateway.metric(dropped).await == 200 })
        .await;
    is_well_served(&gateway).await;
}

/// A head that announces so many bytes of JSON.
fn announce(bytes: usize) -> String {
    format!(
        "POST /api/v1/datastreams HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {bytes}\r\n\r\n"
    )
}

async fn send_raw(port: u16, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn what_bodies_announce_reserves_nothing_and_slow_ones_are_ended() {
    let gateway = Gateway::start(&[]).await;
    let mut slow = Vec::new();
    for _ in 0..64 {
        slow.push(send_raw(gateway.port, &format!("{}{}", announce(1 << 20), " ".repeat(180))).await);
    }
    is_well_served(&gateway).await;
    assert_eq!(gateway.send(&event("batch-operation", 1)).await.unwrap().0, 202);
    let begun = Instant::now();
    for stream in &mut slow {
        let mut status = [0; 12];
        stream.read_exact(&mut status).await.unwrap();
        assert_eq!(&status, b"HTTP/1.1 408");
    }
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "long before the time for a body: {:?}",
        begun.elapsed()
    );
    let dropped = r#"rule_engine_gateway_connections_dropped_total{listener="events",reason="slow_body"} "#;
    assert_eq!(gateway.metric(dropped).await, 64);
}

#[tokio::test]
async fn when_the_bytes_in_flight_are_used_up_priority_1_has_a_reserve() {
    let variables = [("MAX_BODY_BYTES", "262144"), ("MAX_INFLIGHT_BYTES", "524288")];
    let gateway = Gateway::start(&variables).await;
    let mut large = Vec::new();
    for _ in 0..2 {
        large
            .push(send_raw(gateway.port, &format!("{}{}", announce(256 << 10), " ".repeat(224 << 10))).await);
    }
    within(Duration::from_secs(3), "all but the reserve is used", || async {
        gateway.metric("rule_engine_gateway_inflight_bytes ").await == 448 << 10
    })
    .await;
    let (status, answer) = gateway.send(&event("telemetry-data", 1)).await.unwrap();
    assert_eq!((status, &answer["reason"], &answer["unread"]), (503, &json!("busy"), &json!(true)));
    is_well_served(&gateway).await;
    drop(large);
    within(Duration::from_secs(5), "there is room again", || async {
        gateway.send(&event("telemetry-data", 1)).await.unwrap().0 == 202
    })
    .await;
}

#[tokio::test]
async fn bodies_that_take_long_to_refuse_keep_nobody_waiting() {
    let redis = Redis::start(&[]);
    let gateway = Gateway::start(&[("REDIS_URL", &redis.url())]).await;
    let unknown: String = (0..85_000).map(|n| format!(r#""{n:x}":1,"#)).collect();
    let body = format!("{{{unknown}{}\"data\":1}}", r#""type":1,"#.repeat(60_000 / 4));
    let text = format!("{}{body}", announce(body.len()));
    assert!(body.len() < 1 << 20);
    let attackers: Vec<_> = (0..8)
        .map(|_| {
            let (text, port) = (text.clone(), gateway.port);
            tokio::spawn(async move {
                loop {
                    let mut answer = [0; 12];
                    send_raw(port, &text).await.read_exact(&mut answer).await.unwrap();
                    assert_eq!(&answer, b"HTTP/1.1 400");
                }
            })
        })
        .collect();
    for _ in 0..4 {
        is_well_served(&gateway).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for attacker in attackers {
        assert!(!attacker.is_finished());
        attacker.abort();
    }
}

/// It sends all before it reads, as most clients do.
#[tokio::test]
async fn a_body_that_is_too_long_gets_its_answer_through() {
    let gateway = Gateway::start(&[]).await;
    let length = 6 << 20;
    let mut stream = send_raw(gateway.port, &announce(length)).await;
    stream.write_all(&vec![b' '; length]).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 413");
    let waits = format!("{}\r\n", announce(length).trim_end().to_owned() + "\r\nexpect: 100-continue\r\n");
    send_raw(gateway.port, &waits).await.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 413", "and not leave to send it");
}

/// The shell sets the limits of the process that it becomes.
#[tokio::test]
async fn file_descriptors_are_enough_or_the_gateway_does_not_start() {
    let start = |limits: &str| {
        let text = format!("{limits} && exec \"$0\"");
        let port = free_port().to_string();
        let child = Command::new("sh")
            .args(["-c", &text, env!("CARGO_BIN_EXE_gateway")])
            .env_clear()
            .envs([
                ("EMBEDDED_QUEUE", "true"),
                ("MAX_CONNECTIONS", "1000"),
                ("HOST", "127.0.0.1"),
                ("PORT", &port),
            ])
            .envs([("ADMIN_HOST", "127.0.0.1"), ("ADMIN_PORT", "0"), ("SPILL_DIR", "off")])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        (child, port)
    };
    let (refused, _) = start("ulimit -n 500");
    let output = refused.wait_with_output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.contains("MAX_CONNECTIONS=1000 needs 1384 file descriptors, and the system allows 500"),
        "{told}"
    );
    assert!(told.contains("set MAX_CONNECTIONS to at most 116"), "{told}");

    let (raised, port) = start("ulimit -S -n 100");
    let raised = Process::of(raised);
    let address = format!("127.0.0.1:{port}");
    within(Duration::from_secs(10), "it listens", || async { TcpStream::connect(&address).await.is_ok() })
        .await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", raised.id())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().nth(3), Some("1384"), "{files}");
}

#[tokio::test]
async fn a_request_has_one_host() {
    let gateway = Gateway::start(&[]).await;
    let get =
        |hosts: &str| format!("GET /api/v1/health/liveness HTTP/1.1\r\n{hosts}connection: close\r\n\r\n");
    for (text, status) in [
        (get("host: a\r\n"), "200"),
        (get(""), "400"),
        (get("host: a\r\nhost: b\r\n"), "400"),
        (get("").replace("HTTP/1.1", "HTTP/1.0"), "200"),
    ] {
        for port in [gateway.port, gateway.admin_port] {
            let answer = say(port, &text).await;
            assert_eq!(answer.split(' ').nth(1), Some(status), "{text} {answer}");
            assert!(answer.contains("x-request-id: "), "{answer}");
        }
    }
    let refused = r#"rule_engine_gateway_http_seconds_count{route="/api/v1/health/liveness",status="400"} "#;
    assert_eq!(gateway.metric(refused).await, 4);
}

/// Balancers ask readiness. Until they have heard of the end, they send events.
#[tokio::test]
async fn a_gateway_that_ends_is_not_ready_first_and_then_does_not_listen() {
    let mut gateway = Gateway::start(&[("DRAIN_DELAY_MS", "3000")]).await;
    assert_eq!(gateway.get("/health/readiness").await.0, 200);
    let begun = Instant::now();
    gateway.process().signal("TERM");
    within(Duration::from_secs(3), "it is not ready", || async {
        gateway.get("/health/readiness").await.0 == 503
    })
    .await;
    assert_eq!(gateway.send(&event("telemetry-data", 1)).await.unwrap().0, 202);
    within(Duration::from_secs(10), "it does not listen", || async {
        TcpStream::connect(("127.0.0.1", gateway.port)).await.is_err()
    })
    .await;
    assert!(begun.elapsed() >= Duration::from_secs(3));
    assert_eq!(gateway.process().end(Duration::from_secs(5)).await, Some(0));
}

/// Redis hangs, and so everything that is accepted is kept in memory until it is on disk.
#[tokio::test]
async fn the_most_resident_memory_ever_is_within_its_bound() {
    let redis = Redis::start(&[]);
    let url = redis.url();
    let variables = [("REDIS_URL", url.as_str()), ("MAX_CONNECTIONS", "100"), ("REDIS_TIMEOUT_MS", "3000")];
    let mut gateway = Gateway::start(&variables).await;
    let bound = settings(&variables).memory_bound().0;
    redis.signal("STOP");
    let urgent = |data: &str| format!(r#"{{"type":"critical-alarm","data":"{data}"}}"#);
    let large = urgent(&"x".repeat((1 << 20) - 100));
    let batch = format!("[{}]", vec![urgent("x"); 1000].join(","));
    for body in [large, batch] {
        let text = format!("{}{body}", announce(body.len()));
        let clients = (0..64).map(|_| async {
            let mut stream = send_raw(gateway.port, &text).await;
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).await.unwrap();
            String::from_utf8(answer.to_vec()).unwrap()
        });
        let answers = futures_util::future::join_all(clients).await;
        assert!(answers.iter().any(|answer| answer == "HTTP/1.1 202"), "{answers:?}");
    }
    redis.signal("CONT");
    let most = gateway.process().most_memory();
    assert!(most < bound, "{} of {} MiB", most >> 20, bound >> 20);
}
