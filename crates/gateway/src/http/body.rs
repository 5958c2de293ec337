//! Reads the body of a request: bounded in kind, length, time, and the bytes of all bodies together.

use std::future::poll_fn;
use std::pin::Pin;

use axum::Json;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use backpressure::Priority;
use serde::Serialize;
use tokio::time::{Instant, timeout_at};
use utoipa::ToSchema;

use super::access;
use super::budget::{Full, Share};
use super::events::with_retry_after;
use super::{media_type, problem};
use crate::app::App;
use crate::event::{self, Format, Mistake, Mistakes};
use crate::metrics::{Dropped, UNREAD};
use crate::refusal::{Refusal, RefusalReason};
use crate::settings::RequestLimits;

/// The mistakes of a body.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Invalid {
    /// `false`.
    pub success: bool,
    /// `invalid`, or `forbidden` for what the token may not do.
    pub error: &'static str,
    /// The first hundred; nothing was enqueued.
    pub mistakes: Vec<Mistake>,
    /// How many more there are.
    pub more_mistakes: usize,
}

/// The answer to a body for which there was no room, so that nothing is known of its events.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Unread {
    /// `false`.
    pub success: bool,
    /// `rejected`.
    pub error: &'static str,
    /// `true`: none of its events was looked at, or is in the queue.
    pub unread: bool,
    /// The state of the circuit.
    #[schema(example = "CLOSED")]
    pub state: &'static str,
    /// `busy`.
    pub reason: &'static str,
    /// When to come back.
    pub retry_after_seconds: u64,
    /// The reason in words.
    pub message: &'static str,
}

/// The events of a request, why its token may not send them now if so, and their share of the bytes in progress.
pub(super) async fn read(
    app: &App,
    request: Request,
) -> Result<(event::Body, Option<Refusal>, Share), Response> {
    let (parts, mut body) = request.into_parts();
    let sender = match access::sender(app, &parts.headers).await {
        Ok(sender) => sender,
        Err(answer) => return Err(answer),
    };
    let mut share = app.body_budget.share();
    let expects = parts.headers.contains_key(header::EXPECT);
    let read = async {
        let format = format(&parts.headers)?;
        let bytes = collect(app, &parts.headers, &mut body, &mut share).await?;
        parse(&parts.headers, &bytes, format, app.settings.limits.batch_events).map_err(Refused::Invalid)
    };
    let admitted = read.await.and_then(|mut body| {
        if let Some(sender) = &sender {
            access::permit(app, sender, &mut body).map_err(Refused::Forbidden)?;
        }
        let is_urgent = |event| app.settings.priority_of_event(event) == Priority::MOST_URGENT;
        let is_urgent = body.events.iter().any(is_urgent);
        share.stay(body.events.len(), is_urgent).map_err(|Full| Refused::Busy)?;
        // Last, since nobody pays for what is refused.
        let refusal = sender.and_then(|sender| access::over_quota(app, &sender, body.events.len()));
        Ok((body, refusal))
    });
    match admitted {
        Ok((body, refusal)) => Ok((body, refusal, share)),
        Err(refused) => {
            drop(share);
            // Who waits for leave to send needs no more than the answer, and who is slow has had its time.
            if !expects && !matches!(refused, Refused::TooSlow | Refused::Broken) {
                drain(&mut body, &app.settings.limits).await;
            }
            Err(refused.answer(app))
        }
    }
}

/// Why a body is not taken.
enum Refused {
    Unsupported(&'static str),
    TooLong,
    TooSlow,
    Broken,
    Busy,
    Invalid(Mistakes),
    Forbidden(Box<Response>),
}

impl Refused {
    fn answer(self, app: &App) -> Response {
        match self {
            Refused::Unsupported(message) => {
                problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
            }
            Refused::TooLong => {
                let message = format!("a body has at most {} bytes", app.settings.limits.body_bytes);
                problem(StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large", message)
            }
            Refused::TooSlow => {
                app.metrics.dropped("events", Dropped::SlowBody).inc();
                problem(StatusCode::REQUEST_TIMEOUT, "timeout", "the body did not come in time")
            }
            Refused::Broken => problem(StatusCode::BAD_REQUEST, "broken", "the body did not come whole"),
            Refused::Busy => busy(app),
            Refused::Forbidden(answer) => *answer,
            Refused::Invalid(Mistakes { told, more }) => {
                let answer =
                    Invalid { success: false, error: "invalid", mistakes: told, more_mistakes: more };
                (StatusCode::BAD_REQUEST, Json(answer)).into_response()
            }
        }
    }
}

fn busy(app: &App) -> Response {
    app.metrics.rejected(UNREAD, RefusalReason::Busy);
    let refusal = app.circuit.refuse(RefusalReason::Busy);
    let seconds = refusal.retry_after_seconds();
    let unread = Unread {
        success: false,
        error: "rejected",
        unread: true,
        state: refusal.state.as_str(),
        reason: refusal.reason.as_str(),
        retry_after_seconds: seconds,
        message: refusal.reason.explanation(),
    };
    with_retry_after((StatusCode::SERVICE_UNAVAILABLE, Json(unread)).into_response(), seconds)
}

fn format(headers: &HeaderMap) -> Result<Format, Refused> {
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(Refused::Unsupported("send the body without a content encoding"));
    }
    match media_type(headers).as_deref() {
        Some("application/json") => Ok(Format::Json),
        Some("application/x-ndjson" | "application/ndjson" | "application/jsonl") => Ok(Format::Lines),
        _ => Err(Refused::Unsupported("send application/json or application/x-ndjson")),
    }
}

fn parse(headers: &HeaderMap, bytes: &[u8], format: Format, most: usize) -> Result<event::Body, Mistakes> {
    let mut body = event::parse(bytes, format, most)?;
    if let Some(key) = headers.get("idempotency-key") {
        body.take_key(key.as_bytes())?;
    }
    Ok(body)
}

/// The bytes of a body. What it announces reserves nothing: only what arrives counts, and has to arrive fast enough.
async fn collect(
    app: &App,
    headers: &HeaderMap,
    body: &mut Body,
    share: &mut Share,
) -> Result<Vec<u8>, Refused> {
    let limits = &app.settings.limits;
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: usize| length > limits.body_bytes) {
        return Err(Refused::TooLong);
    }
    let begun = Instant::now();
    let mut bytes = Vec::new();
    loop {
        let limit = begun + limits.body_time(bytes.len());
        match timeout_at(limit, next(body)).await {
            Err(_) => return Err(Refused::TooSlow),
            Ok(None) => return Ok(bytes),
            Ok(Some(Err(_))) => return Err(Refused::Broken),
            Ok(Some(Ok(more))) => {
                if bytes.len() + more.len() > limits.body_bytes {
                    return Err(Refused::TooLong);
                }
                share.arrive(more.len()).map_err(|Full| Refused::Busy)?;
                bytes.extend_from_slice(&more);
            }
        }
    }
}

/// The next piece of a body; `None` at its end.
async fn next(body: &mut Body) -> Option<Result<Bytes, axum::Error>> {
    loop {
        match poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await? {
            Ok(frame) => match frame.into_data() {
                Ok(data) => return Some(Ok(data)),
                // Trailers say nothing here.
                Err(_) => continue,
            },
            Err(error) => return Some(Err(error)),
        }
    }
}

/// Lets go by what a client still sends. Most clients send a body whole before they look for an answer, and lose the answer if the
/// connection is closed under them.
async fn drain(body: &mut Body, limits: &RequestLimits) {
    let begun = Instant::now();
    let mut drained = 0;
    while drained < LONGEST_DRAIN {
        match timeout_at(begun + limits.body_time(drained), next(body)).await {
            Ok(Some(Ok(bytes))) => drained += bytes.len(),
            _ => return,
        }
    }
}

/// Bytes that are read only to be thrown away.
const LONGEST_DRAIN: usize = 16 << 20;
