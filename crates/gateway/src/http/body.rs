//! Reads the body of a request: bounded in length, time and kind.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;

use super::events::{Rejected, with_retry_after};
use super::{media_type, problem};
use crate::app::App;
use crate::event::{self, Format, Mistake, Mistakes};
use crate::refusal::RefusalReason;

/// The mistakes of a body.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Invalid {
    /// `false`.
    pub success: bool,
    /// `invalid`.
    pub error: &'static str,
    /// The first hundred; nothing was enqueued.
    pub mistakes: Vec<Mistake>,
    /// How many more there are.
    pub more_mistakes: usize,
}

/// The events of a request, and their share of the bytes in flight.
pub(super) async fn read(
    app: &App,
    request: Request,
) -> Result<(event::Body, OwnedSemaphorePermit), Response> {
    let (parts, body) = request.into_parts();
    let format = match media_type(&parts.headers).as_deref() {
        Some("application/json") => Format::Json,
        Some("application/x-ndjson" | "application/ndjson" | "application/jsonl") => Format::Lines,
        _ => return Err(unsupported("send application/json or application/x-ndjson")),
    };
    if parts.headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(unsupported("send the body without a content encoding"));
    }
    let (bytes, budget) = read_bytes(app, &parts.headers, body).await?;
    let events = parse(&parts.headers, &bytes, format, app.settings.limits.batch_events);
    events.map(|events| (events, budget)).map_err(invalid)
}

fn parse(headers: &HeaderMap, bytes: &[u8], format: Format, most: usize) -> Result<event::Body, Mistakes> {
    let mut body = event::parse(bytes, format, most)?;
    if let Some(key) = headers.get("idempotency-key") {
        body.take_key(key.as_bytes())?;
    }
    Ok(body)
}

async fn read_bytes(
    app: &App,
    headers: &HeaderMap,
    body: Body,
) -> Result<(Bytes, OwnedSemaphorePermit), Response> {
    let most = app.settings.limits.body_bytes;
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok())
        .unwrap_or(most);
    let too_long = || {
        problem(
            StatusCode::PAYLOAD_TOO_LARGE,
            "payload_too_large",
            format!("a body has at most {most} bytes"),
        )
    };
    if announced > most {
        return Err(too_long());
    }
    let kibibytes = u32::try_from(announced.div_ceil(1024).max(1)).unwrap_or(u32::MAX);
    let Ok(budget) = app.body_budget.clone().try_acquire_many_owned(kibibytes) else {
        app.metrics.rejected("unread", RefusalReason::Busy);
        let refusal = app.circuit.refuse(RefusalReason::Busy);
        let rejected = Rejected::new("unread".to_owned(), backpressure::Priority::DEFAULT.get(), &refusal);
        return Err(with_retry_after(
            (StatusCode::SERVICE_UNAVAILABLE, Json(rejected)).into_response(),
            refusal.retry_after_seconds(),
        ));
    };
    let bytes = axum::body::to_bytes(body, most);
    match tokio::time::timeout(app.settings.limits.request_timeout, bytes).await {
        Ok(Ok(bytes)) => Ok((bytes, budget)),
        // Apart from errors of the connection, a body can only be too long.
        Ok(Err(_)) => Err(too_long()),
        Err(_) => Err(problem(StatusCode::REQUEST_TIMEOUT, "timeout", "the body did not come in time")),
    }
}

fn unsupported(message: &str) -> Response {
    problem(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
}

fn invalid(mistakes: Mistakes) -> Response {
    let Mistakes { told, more } = mistakes;
    let answer = Invalid { success: false, error: "invalid", mistakes: told, more_mistakes: more };
    (StatusCode::BAD_REQUEST, Json(answer)).into_response()
}
