//! The gateways: how many, how slow, and when the load balancer takes one out.

use super::interval::{MOST_TICKS, must_fit};
use super::reader::Section;
use super::setting::MOST_COUNT;
use crate::engine::time::SimDuration;
use crate::model::config::{Gateway, Readiness};

/// Reads `[gateway]`.
pub(super) fn read(mut gateway: Section<'_>, duration: Option<SimDuration>) -> Gateway {
    const READINESS: &[(&str, bool)] = &[("ignore", false), ("circuit", true)];
    let instances =
        gateway.key("instances", "Number of gateways; arrivals go to them in turn.").count(1, 10_000).or("1");
    let check_latency = gateway
        .key("check_latency", "Time between reading the depth and the enqueue reaching Redis.")
        .span()
        .or("0s");
    let depth_age = gateway.key("depth_age", "Age of the depth when it is read.").span().or("0s");
    let in_flight_limit = gateway
        .key("in_flight_limit", "Most enqueues in flight per gateway; further arrivals are rejected.")
        .count(1, MOST_COUNT)
        .optional();
    let follows_circuit = gateway
        .key("readiness", "Whether the load balancer takes a gateway out while its circuit is OPEN.")
        .choice(READINESS)
        .or("ignore");
    // The defaults of Kubernetes, except for the period, which the specification sets.
    let period =
        gateway.key("readiness_period", "Time between two readiness probes.").positive_span().or("5s");
    let failures = gateway
        .key("readiness_failures", "Failed probes in a row that take a gateway out.")
        .count(1, 1_000)
        .or("3");
    let successes = gateway
        .key("readiness_successes", "Passed probes in a row that bring it back.")
        .count(1, 1_000)
        .or("1");
    gateway.close();
    if gateway.has("readiness_period") {
        must_fit(&mut gateway, "readiness_period", period, (duration, "`duration`"), MOST_TICKS);
    }
    let readiness = follows_circuit.then_some(Readiness {
        period,
        failures: failures as u32,
        successes: successes as u32,
    });
    Gateway { instances: instances as u32, check_latency, depth_age, in_flight_limit, readiness }
}
