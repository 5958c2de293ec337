//! Who a request is from, and whether it may do what it asks.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use contract::variables::RESET_TOKEN;
use governor::clock::{Clock, DefaultClock};
use subtle::ConstantTimeEq;

use super::body::Invalid;
use super::problem;
use crate::access::Credential;
use crate::app::App;
use crate::event::{Body, Mistake, Mistakes};
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

/// Makes the events those of the credential: its organization, one of its priorities, and no more than it may ever send at once.
pub(super) fn permit(app: &App, credential: &Credential, body: &mut Body) -> Result<(), Box<Response>> {
    let mut mistakes = Mistakes::default();
    let is_single = body.is_single;
    for (index, event) in body.events.iter_mut().enumerate() {
        let organization = event.organization.get_or_insert_with(|| credential.organization.clone());
        let is_own = *organization == credential.organization;
        let priority = app.settings.priority_of_event(event);
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
    match credential.quota() {
        Some((quota, _)) if body.events.len() > quota.burst.get() as usize => {
            let message = format!("this token may send at most {} events at once", quota.burst);
            Err(Box::new(problem(StatusCode::FORBIDDEN, "forbidden", message)))
        }
        _ => Ok(()),
    }
}

/// Takes so many events off the quota of the credential: all, or none and a refusal.
pub(super) fn over_quota(app: &App, credential: &Credential, events: usize) -> Option<Refusal> {
    let (_, limiter) = credential.quota()?;
    let not_until = limiter.check_n(NonZeroU32::new(u32::try_from(events).ok()?)?).ok()?.err()?;
    let retry_after = not_until.wait_time_from(DefaultClock::default().now());
    Some(Refusal { reason: RefusalReason::TokenQuota, state: app.circuit.state(), retry_after })
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
