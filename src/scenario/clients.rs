//! The clients: how long they wait, and how they try again.

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
        .key("timeout", "How long a client waits for its answer.")
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
        .key("wait_for", "What the answer says: that the job is in the queue, or that the work is done.")
        .choice(WAIT_FOR)
        .or("acceptance");
    let retries = clients
        .key("retries", "How often a client tries again, after a rejection or a time-out.")
        .count(0, 1_000)
        .or("0");
    let kind = clients
        .key("backoff", "Pause before a retry; the exponential one is uniform from zero up (full jitter).")
        .choice(BACKOFF)
        .or("none");
    let pause = clients.key("pause", "The pause, where it is fixed.").span().or("1s");
    let base = clients
        .key("base", "Longest pause before the first retry, where it is exponential.")
        .span()
        .or("100ms");
    let cap = clients.key("cap", "Longest pause of all, where it is exponential.").span().or("20s");
    let retry_budget = clients
        .key(
            "retry_budget",
            "Retries that all clients together may send, as a fraction of their requests; 500 are saved up at most.",
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
    let backoff = match kind {
        BackoffKind::None => Backoff::Immediate,
        BackoffKind::Fixed => Backoff::Fixed(pause),
        BackoffKind::Exponential => Backoff::Exponential { base, cap },
    };
    // Who neither gives up nor tries again is no more than an arrival.
    (timeout.is_some() || retries > 0).then_some(Clients {
        timeout,
        wait_for,
        retries: retries as u32,
        backoff,
        retry_budget,
        honour_retry_after,
    })
}
