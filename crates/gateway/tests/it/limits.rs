//! What clients may not do: too long, too slow, too many, of the wrong kind, beyond their quota.

use std::time::Duration;

use axum::http::{Request, StatusCode};
use backpressure_gateway::launch;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{Gateway, call, event, post, send, settings};

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
        launch::start(settings(&[("ORGANIZATION_EVENTS_PER_SECOND", "1"), ("ORGANIZATION_BURST", "3")]))
            .await;
    let app = app.unwrap();
    let of =
        |organization: &str| json!({ "type": "telemetry-data", "data": 1, "organizationId": organization });
    for _ in 0..3 {
        assert_eq!(send(&app, &of("a")).await.0, StatusCode::ACCEPTED);
    }
    let (status, answer) = send(&app, &of("a")).await;
    assert_eq!((status, &answer["reason"]), (StatusCode::TOO_MANY_REQUESTS, &json!("quota")));
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
    let gateway = Gateway::start(&[("REQUEST_TIMEOUT_MS", "300"), ("KEEP_ALIVE_TIMEOUT_MS", "400")]).await;
    let head = "POST /api/v1/datastreams HTTP/1.1\r\nhost: x\r\n";
    assert_eq!(say(gateway.port, head).await, "", "a header that does not end");
    let slow =
        format!("{head}content-type: application/json\r\ncontent-length: 50\r\nconnection: close\r\n\r\n{{");
    assert!(say(gateway.port, &slow).await.starts_with("HTTP/1.1 408"), "a body that does not end");
    let many = format!("{head}{}\r\n", "x-a: b\r\n".repeat(100));
    assert!(say(gateway.port, &many).await.starts_with("HTTP/1.1 431"), "too many headers");
    let long = format!("{head}x-a: {}\r\n\r\n", "b".repeat(60_000));
    assert!(say(gateway.port, &long).await.starts_with("HTTP/1.1 431"), "too long a header");
}

#[tokio::test]
async fn connections_beyond_their_number_wait_for_a_place() {
    let gateway = Gateway::start(&[("MAX_CONNECTIONS", "2"), ("KEEP_ALIVE_TIMEOUT_MS", "2000")]).await;
    // The one that Gateway::start asked with may still be open, so both places are taken for certain by these.
    let mut idle = Vec::new();
    for _ in 0..2 {
        idle.push(TcpStream::connect(("127.0.0.1", gateway.port)).await.unwrap());
    }
    let request = "GET /api/v1/health/liveness HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let mut waiting = TcpStream::connect(("127.0.0.1", gateway.port)).await.unwrap();
    waiting.write_all(request.as_bytes()).await.unwrap();
    let mut byte = [0];
    let early = tokio::time::timeout(Duration::from_millis(300), waiting.read_exact(&mut byte)).await;
    assert!(early.is_err(), "there was no place for it");
    drop(idle);
    tokio::time::timeout(Duration::from_secs(5), waiting.read_exact(&mut byte))
        .await
        .expect("a place")
        .unwrap();
}

/// Bodies that are being worked on have a bound of their own.
#[tokio::test]
async fn bodies_beyond_the_bytes_in_flight_are_refused_before_they_are_read() {
    let variables =
        [("MAX_BODY_BYTES", "4096"), ("MAX_INFLIGHT_BYTES", "4096"), ("REQUEST_TIMEOUT_MS", "3000")];
    let gateway = Gateway::start(&variables).await;
    let head = "POST /api/v1/datastreams HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 4000\r\n\r\n{";
    let mut slow = TcpStream::connect(("127.0.0.1", gateway.port)).await.unwrap();
    slow.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (status, answer) = gateway.send(&event("telemetry-data", 1)).await.unwrap();
    assert_eq!((status, &answer["reason"]), (503, &json!("busy")));
    drop(slow);
    crate::support::within(Duration::from_secs(5), "there is room again", || async {
        gateway.send(&event("telemetry-data", 1)).await.unwrap().0 == 202
    })
    .await;
}
