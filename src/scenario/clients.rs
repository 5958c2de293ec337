//! The clients: how long they wait, and how they retry.

use super::diagnostic::Code;
use super::log::Mistake;
use super::reader::{Section, quantity_of};
use super::setting::Kind;
use super::tree::Value;
use crate::engine::time::SimDuration;
use crate::model::config::{Backoff, Clients, WaitFor};
use crate::units::Quantity;

#[derive(Clone, Copy)]
enum BackoffKind {
    None,
    Fixed,
    Exponential,
}

/// A setting that another one switches off is told, not refused: sweeps switch them on and off.
fn warn_of_what_has_no_effect(clients: &Section<'_>, kind: BackoffKind, has_timeout: bool, retries: bool) {
    let is_fixed = matches!(kind, BackoffKind::Fixed);
    let is_exponential = matches!(kind, BackoffKind::Exponential);
    let rules: [(&str, bool, &str); 7] = [
        ("wait_for", has_timeout, "without `timeout`: a client waits for ever"),
        ("backoff", retries, "without `retries`"),
        ("retry_budget", retries, "without `retries`"),
        ("honour_retry_after", retries, "without `retries`"),
        ("pause", retries && is_fixed, "without `retries` and `backoff = \"fixed\"`"),
        ("base", retries && is_exponential, "without `retries` and `backoff = \"exponential\"`"),
        ("cap", retries && is_exponential, "without `retries` and `backoff = \"exponential\"`"),
    ];
    for (name, works, why) in rules {
        if clients.has(name) && !works {
            clients.log().warn(format!("`{}` has no effect {why}", clients.path_of(name)));
        }
    }
    if retries && !clients.has("backoff") && !clients.has("honour_retry_after") {
        clients.log().warn(
            "`clients.retries`: without `backoff` a client tries again in the same instant, mostly to the same answer; \
             `backoff = \"exponential\"` is usual",
        );
    }
}

/// Reads `[clients]`.
pub(super) fn read(mut clients: Section<'_>) -> Option<Clients> {
    const WAIT_FOR: &[(&str, WaitFor)] =
        &[("acceptance", WaitFor::Acceptance), ("completion", WaitFor::Completion)];
    const BACKOFF: &[(&str, BackoffKind)] = &[
        ("none", BackoffKind::None),
        ("fixed", BackoffKind::Fixed),
        ("exponential", BackoffKind::Exponential),
    ];
    let timeout = clients
        .key("timeout", "How long a client waits for an answer.")
        .typed(Kind::ChoiceOr(vec!["none"], Quantity::Duration), |item, _| match &item.value {
            Value::Text(text) if text == "none" => Ok(None),
            value => match SimDuration::from_secs_f64(quantity_of(value, Quantity::Duration)?) {
                SimDuration::ZERO => {
                    Err(Mistake::new(Code::OutOfRange, "must be above zero", "no limit is written \"none\""))
                }
                span => Ok(Some(span)),
            },
        })
        .or("none");
    let wait_for = clients
        .key("wait_for", "What clients wait for: that the job is queued, or that its work is done.")
        .choice(WAIT_FOR)
        .or("acceptance");
    let retries =
        clients.key("retries", "Retries of a client after rejections and time-outs.").count(0, 1_000).or("0");
    let kind = clients
        .key("backoff", "Pause before a retry; exponential pauses have full jitter (uniform from zero up).")
        .choice(BACKOFF)
        .or("none");
    let pause = clients.key("pause", "Length of a fixed pause.").span().or("1s");
    let base = clients.key("base", "Longest exponential pause before the first retry.").span().or("100ms");
    let cap = clients.key("cap", "Longest exponential pause before any retry.").span().or("20s");
    let retry_budget = clients
        .key(
            "retry_budget",
            "Retries that all clients together may send, as a fraction of their requests; at most 500 accumulate.",
        )
        .number(0.0, 1_000.0)
        .optional();
    let honour_retry_after = clients
        .key(
            "honour_retry_after",
            "Whether a rejected client waits as long as the gateway's Retry-After says.",
        )
        .boolean()
        .or("false");
    clients.close();
    warn_of_what_has_no_effect(&clients, kind, timeout.is_some(), retries > 0);
    let backoff = match kind {
        BackoffKind::None => Backoff::Immediate,
        BackoffKind::Fixed => Backoff::Fixed(pause),
        BackoffKind::Exponential => Backoff::Exponential { base, cap },
    };
    // A client that never gives up and never retries is just an arrival.
    (timeout.is_some() || retries > 0).then_some(Clients {
        timeout,
        wait_for,
        retries: retries as u32,
        backoff,
        retry_budget,
        honour_retry_after,
    })
}
