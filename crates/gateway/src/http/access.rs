//! Who a request is from, and whether it may do what it asks.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use backpressure::Priority;
use contract::events::OTHER;
use contract::variables::RESET_TOKEN;
use governor::clock::{Clock, DefaultClock};
use subtle::ConstantTimeEq;

use super::body::Invalid;
use super::events::{Rejected, with_retry_after};
use super::problem;
use crate::access::Credential;
use crate::app::App;
use crate::event::{Body, Event, Mistake, Mistakes};
use crate::refusal::{Refusal, RefusalReason};

/// The credential of a request for events; `None` where none is needed.
pub(super) async fn sender(app: &App, headers: &HeaderMap) -> Result<Option<Arc<Credential>>, Response> {
    if app.access.is_open() {
        return Ok(None);
    }
    match bearer(headers).map(|token| app.access.find(token)) {
        Some(Some(credential)) => Ok(Some(credential)),
        other => Err(unauthorized(app, "events", other.is_some()).await),
    }
}

/// Makes the events those of the credential: its organization, one of its priorities, within its quota.
pub(super) fn permit(app: &App, credential: &Credential, body: &mut Body) -> Result<(), Box<Response>> {
    let mut mistakes = Mistakes::default();
    let is_single = body.is_single;
    for (index, event) in body.events.iter_mut().enumerate() {
        let organization = event.organization.get_or_insert_with(|| credential.organization.clone());
        let is_own = *organization == credential.organization;
        let priority = priority_of(app, event);
        let place = |field: &str| if is_single { field.to_owned() } else { format!("[{index}].{field}") };
        if !is_own {
            let found = event.organization.clone().unwrap_or_default();
            let allowed = format!("{:?} for this token", credential.organization);
            mistakes.add(|| Mistake { place: place("organizationId"), found, allowed });
        }
        if !credential.may_use(priority) {
            let allowed = format!("{} for this token", credential.priorities());
            mistakes.add(|| Mistake { place: place("priority"), found: priority.to_string(), allowed });
        }
    }
    if !mistakes.told.is_empty() {
        let Mistakes { told, more } = mistakes;
        let answer = Invalid { success: false, error: "forbidden", mistakes: told, more_mistakes: more };
        return Err(Box::new((StatusCode::FORBIDDEN, Json(answer)).into_response()));
    }
    within_quota(app, credential, &body.events)
}

/// All events of a body, or none.
fn within_quota(app: &App, credential: &Credential, events: &[Event]) -> Result<(), Box<Response>> {
    let Some((quota, limiter)) = credential.quota() else { return Ok(()) };
    let Some(number) = u32::try_from(events.len()).ok().and_then(NonZeroU32::new) else { return Ok(()) };
    let Ok(answer) = limiter.check_n(number) else {
        let message = format!("this token may send at most {} events at once", quota.burst);
        return Err(Box::new(problem(StatusCode::FORBIDDEN, "forbidden", message)));
    };
    let Err(not_until) = answer else { return Ok(()) };
    let retry_after = not_until.wait_time_from(DefaultClock::default().now());
    let refusal = Refusal { reason: RefusalReason::Quota, state: app.circuit.state(), retry_after };
    let class = |event: &Event| {
        let is_known = app.settings.priorities.contains_key(&event.event_type);
        if is_known { event.event_type.clone() } else { OTHER.to_owned() }
    };
    for event in events {
        app.metrics.rejected(&class(event), RefusalReason::Quota);
    }
    let first = &events[0];
    let rejected = Rejected::new(class(first), priority_of(app, first).get(), &refusal);
    let answer = (StatusCode::TOO_MANY_REQUESTS, Json(rejected)).into_response();
    Err(Box::new(with_retry_after(answer, refusal.retry_after_seconds())))
}

pub(super) fn priority_of(app: &App, event: &Event) -> Priority {
    event.priority.unwrap_or(app.settings.priority_of(&event.event_type))
}

/// Whether a request may reset: it has the token or, if none is set, is from this machine and not on behalf of another site.
pub(super) async fn may_reset(
    app: &App,
    from: Option<SocketAddr>,
    headers: &HeaderMap,
) -> Result<(), Response> {
    if let Some(token) = &app.settings.reset_token {
        let given = bearer(headers);
        if given.is_some_and(|given| bool::from(given.ct_eq(token.as_bytes()))) {
            return Ok(());
        }
        return Err(unauthorized(app, "reset", given.is_some()).await);
    }
    // A proxy on this machine forwards for others, and a browser on it sends what any page tells it to: with a host name of the
    // page's owner, or from the page's origin.
    let is_forwarded = headers.contains_key("x-forwarded-for") || headers.contains_key(header::FORWARDED);
    let is_local = from.is_some_and(|address| address.ip().to_canonical().is_loopback());
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let is_for_us = host.is_some_and(is_loopback_name);
    let is_own_page = headers.get(header::ORIGIN).is_none_or(|origin| {
        let origin = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://"));
        origin.is_some() && origin == host
    });
    if is_local && !is_forwarded && is_for_us && is_own_page {
        return Ok(());
    }
    let message = format!("{} is not set, so only this machine itself may reset", RESET_TOKEN.name);
    Err(problem(StatusCode::FORBIDDEN, "forbidden", message))
}

/// Whether the name in a `Host` header means this machine, whatever a name server says.
fn is_loopback_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|own| name.eq_ignore_ascii_case(own))
}

/// Who guesses has to wait for each answer.
async fn unauthorized(app: &App, what: &'static str, is_wrong: bool) -> Response {
    app.metrics.unauthorized(what).inc();
    if is_wrong {
        tokio::time::sleep(PAUSE).await;
    }
    let mut answer = problem(StatusCode::UNAUTHORIZED, "unauthorized", "this needs a bearer token");
    answer.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    answer
}

/// The token of an `Authorization` header (RFC 6750, section 2.1; the scheme in any case, RFC 9110, section 11.1).
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// Before a wrong token is refused.
const PAUSE: Duration = Duration::from_millis(500);
