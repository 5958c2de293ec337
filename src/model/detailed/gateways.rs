//! The gateways as the load balancer and Redis see them: enqueues in flight, and readiness.

use super::{DetailedRun, Event};
use crate::model::Rare;
use crate::model::config::ModelConfig;
use crate::model::probe::Probe;

/// The enqueues in flight and the probes of each gateway.
#[derive(Debug)]
pub(super) struct Gateways {
    limit: Option<u64>,
    in_flight_peak: u64,
    gateways: Vec<GatewayState>,
}

#[derive(Clone, Copy, Debug, Default)]
struct GatewayState {
    in_flight: u64,
    /// Probes in a row with the same answer.
    in_a_row: u32,
    last_passed: bool,
}

impl Gateways {
    pub(super) fn new(config: &ModelConfig) -> Self {
        let fresh = GatewayState { last_passed: true, ..GatewayState::default() };
        Self {
            limit: config.gateway.in_flight_limit,
            in_flight_peak: 0,
            gateways: vec![fresh; config.gateway.instances as usize],
        }
    }

    pub(super) fn enqueue_begins(&mut self, gateway: usize) {
        self.gateways[gateway].in_flight += 1;
        self.in_flight_peak = self.in_flight_peak.max(self.gateways[gateway].in_flight);
    }

    /// An enqueue has succeeded or failed. The jobs at the start came from no gateway.
    pub(super) fn enqueue_ended(&mut self, gateway: u16) {
        let in_flight = &mut self.gateways[usize::from(gateway)].in_flight;
        *in_flight = in_flight.saturating_sub(1);
    }

    pub(super) fn in_flight_peak(&self) -> u64 {
        self.in_flight_peak
    }

    pub(super) fn is_at_limit(&self, gateway: usize) -> bool {
        self.limit.is_some_and(|limit| self.gateways[gateway].in_flight >= limit)
    }
}

/// Asks every gateway whether it is ready: it is not while its circuit is OPEN. Nobody looks at the depth for that, so a circuit
/// that gets no traffic stays as it is.
pub(super) fn probe_readiness<P: Probe>(run: &mut DetailedRun<'_, P>) {
    let Some(readiness) = run.config.gateway.readiness else { return };
    for gateway in 0..run.level.gateways.gateways.len() {
        let passed = !run.circuits.is_open(gateway);
        let state = &mut run.level.gateways.gateways[gateway];
        state.in_a_row = if passed == state.last_passed { state.in_a_row.saturating_add(1) } else { 1 };
        state.last_passed = passed;
        let needed = if passed { readiness.successes } else { readiness.failures };
        if state.in_a_row >= needed {
            run.circuits.set_ready(gateway, passed);
        }
    }
    run.calendar.schedule(run.now + readiness.period, Rare::OfLevel(Event::ReadinessProbe));
}
