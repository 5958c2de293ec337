//! The gateways: how many, how slow, and who keeps them in rotation.

use super::reader::Section;
use super::setting::MOST_COUNT;
use crate::model::config::{Gateway, Readiness};

/// Reads `[gateway]`.
pub(super) fn read(mut gateway: Section<'_>) -> Gateway {
    const READINESS: &[(&str, bool)] = &[("ignore", false), ("circuit", true)];
    let instances =
        gateway.key("instances", "How many; arrivals take them in turn.").count(1, 10_000).or("1");
    let check_latency = gateway
        .key("check_latency", "Between reading the depth and the enqueue reaching Redis.")
        .span()
        .or("0s");
    let depth_age = gateway.key("depth_age", "How old the depth is when it is read.").span().or("0s");
    let in_flight_limit = gateway
        .key(
            "in_flight_limit",
            "Most enqueues that a gateway has on their way; arrivals beyond are rejected.",
        )
        .count(1, MOST_COUNT)
        .optional();
    let follows_circuit = gateway
        .key("readiness", "Whether the load balancer takes a gateway out while its circuit is OPEN.")
        .choice(READINESS)
        .or("ignore");
    // The defaults of Kubernetes, but for the period, which is that of the specification.
    let period = gateway
        .key("readiness_period", "Time between two readiness probes of a gateway.")
        .positive_span()
        .or("5s");
    let failures = gateway
        .key("readiness_failures", "Failed probes in a row until a gateway is out.")
        .count(1, 1_000)
        .or("3");
    let successes = gateway
        .key("readiness_successes", "Passed probes in a row until it is back in.")
        .count(1, 1_000)
        .or("1");
    gateway.close();
    let readiness = follows_circuit.then_some(Readiness {
        period,
        failures: failures as u32,
        successes: successes as u32,
    });
    Gateway { instances: instances as u32, check_latency, depth_age, in_flight_limit, readiness }
}
