//! The gateways' circuits: the policies of the policy crate, and how long they spent in which state.

use backpressure::{AnyPolicy, Decision, Depth, Nanos, Policy, Request, State};

use super::config::ModelConfig;
use super::probe::Probe;
use crate::engine::time::SimTime;

/// One circuit for each gateway; arrivals take the gateways in turn.
#[derive(Debug)]
pub(crate) struct Circuits {
    circuits: Vec<Circuit>,
    turn: usize,
    config: backpressure::Config,
    enabled: bool,
    measured_from: SimTime,
    not_closed: usize,
    state_time: [u128; 3],
    openings: u64,
    openings_from_closed: u64,
    /// First and last opening of the first circuit after the warm-up, and how many it had.
    first_circuit_openings: Option<(SimTime, SimTime, u64)>,
    first_opening: Option<SimTime>,
}

#[derive(Debug)]
struct Circuit {
    policy: AnyPolicy,
    since: SimTime,
    /// Whether the gateway lives, and whether the load balancer sends it jobs.
    alive: bool,
    ready: bool,
}

/// What the circuits did in a run.
pub(crate) struct CircuitRecord {
    pub(crate) state_time: [u128; 3],
    pub(crate) openings: u64,
    pub(crate) openings_from_closed: u64,
    pub(crate) first_circuit_openings: Option<(SimTime, SimTime, u64)>,
    pub(crate) first_opening: Option<SimTime>,
}

impl Circuits {
    pub(crate) fn new(config: &ModelConfig) -> Self {
        let start = config.start.circuit;
        let circuit = || Circuit {
            policy: AnyPolicy::starting_in(config.policy.config, start, Nanos(0)),
            since: SimTime::ZERO,
            alive: true,
            ready: true,
        };
        let count = config.gateway.instances as usize;
        Self {
            circuits: std::iter::repeat_with(circuit).take(count).collect(),
            turn: 0,
            config: config.policy.config,
            enabled: config.policy.config.enabled(),
            measured_from: SimTime(config.warmup.0),
            not_closed: if start == State::Closed { 0 } else { count },
            state_time: [0; 3],
            openings: 0,
            openings_from_closed: 0,
            first_circuit_openings: None,
            first_opening: None,
        }
    }

    /// The gateway that takes the next arrival.
    #[inline]
    pub(crate) fn next_gateway(&mut self) -> usize {
        let gateway = self.turn;
        self.turn = if gateway + 1 == self.circuits.len() { 0 } else { gateway + 1 };
        gateway
    }

    /// The same among the gateways that are alive and ready; `None` if there is none.
    pub(crate) fn next_available(&mut self) -> Option<usize> {
        for _ in 0..self.circuits.len() {
            let gateway = self.next_gateway();
            if self.circuits[gateway].alive && self.circuits[gateway].ready {
                return Some(gateway);
            }
        }
        None
    }

    /// The load balancer sends a gateway jobs, or does not.
    pub(crate) fn set_ready(&mut self, gateway: usize, ready: bool) {
        self.circuits[gateway].ready = ready;
    }

    pub(crate) fn is_open(&self, gateway: usize) -> bool {
        self.circuits[gateway].policy.state() == State::Open
    }

    /// The gateways that live.
    pub(crate) fn living(&self) -> impl Iterator<Item = usize> {
        (0..self.circuits.len()).filter(|&gateway| self.circuits[gateway].alive)
    }

    /// A gateway dies. When it is back, its circuit remembers nothing.
    pub(crate) fn lose(&mut self, gateway: usize, clock: Nanos, now: SimTime) {
        let state = self.circuits[gateway].policy.state();
        self.leave_state(gateway, state, now);
        self.not_closed -= usize::from(state != State::Closed);
        let policy = AnyPolicy::new(self.config, clock);
        self.circuits[gateway] = Circuit { policy, since: now, alive: false, ready: true };
    }

    /// A dead gateway is back.
    pub(crate) fn restore(&mut self, gateway: usize) {
        self.circuits[gateway].alive = true;
    }

    /// Lets one circuit look at the depth. A disabled policy looks at nothing and stays CLOSED.
    #[inline(always)]
    pub(crate) fn observe(&mut self, gateway: usize, depth: Depth, now: SimTime, probe: &mut impl Probe) {
        self.observe_by(Nanos(now.0), gateway, depth, now, probe);
    }

    /// The same where the gateways' clock says `clock`.
    #[inline(always)]
    pub(crate) fn observe_by(
        &mut self,
        clock: Nanos,
        gateway: usize,
        depth: Depth,
        now: SimTime,
        probe: &mut impl Probe,
    ) {
        if !self.enabled {
            return;
        }
        let policy = &mut self.circuits[gateway].policy;
        let before = policy.state();
        policy.observe(depth, clock);
        let after = policy.state();
        if before != after {
            self.record_moves(gateway, before, after, depth, now, probe);
        }
    }

    /// Lets every circuit look at the depth.
    pub(crate) fn observe_all(&mut self, clock: Nanos, depth: Depth, now: SimTime, probe: &mut impl Probe) {
        for gateway in 0..self.circuits.len() {
            self.observe_by(clock, gateway, depth, now, probe);
        }
    }

    /// Asks for a decision on what was last observed.
    #[inline]
    pub(crate) fn decide(&mut self, gateway: usize, request: Request, clock: Nanos) -> Decision {
        self.circuits[gateway].policy.decide(request, clock)
    }

    #[inline]
    pub(crate) fn all_closed(&self) -> bool {
        self.not_closed == 0
    }

    /// How many circuits are in each state.
    pub(crate) fn states(&self) -> [u32; 3] {
        let mut states = [0; 3];
        for circuit in &self.circuits {
            states[usize::from(circuit.policy.state().code())] += 1;
        }
        states
    }

    /// The state of each gateway's circuit; `None` of one that is dead.
    pub(crate) fn each_state(&self) -> impl Iterator<Item = Option<State>> {
        self.circuits.iter().map(|circuit| circuit.alive.then(|| circuit.policy.state()))
    }

    /// Closes the books at the end of the run.
    pub(crate) fn finish(mut self, now: SimTime) -> CircuitRecord {
        for gateway in 0..self.circuits.len() {
            let state = self.circuits[gateway].policy.state();
            self.leave_state(gateway, state, now);
        }
        CircuitRecord {
            state_time: self.state_time,
            openings: self.openings,
            openings_from_closed: self.openings_from_closed,
            first_circuit_openings: self.first_circuit_openings,
            first_opening: self.first_opening,
        }
    }

    #[cold]
    fn record_moves(
        &mut self,
        gateway: usize,
        before: State,
        after: State,
        depth: Depth,
        now: SimTime,
        probe: &mut impl Probe,
    ) {
        self.leave_state(gateway, before, now);
        self.not_closed += usize::from(before == State::Closed);
        self.not_closed -= usize::from(after == State::Closed);
        if after == State::Open {
            self.openings += 1;
            self.openings_from_closed += u64::from(before == State::Closed);
            self.first_opening.get_or_insert(now);
            if gateway == 0 && now >= self.measured_from {
                let (_, last, count) = self.first_circuit_openings.get_or_insert((now, now, 0));
                *last = now;
                *count += 1;
            }
        }
        let Depth::Known(depth) = depth else {
            unreachable!("an unknown depth moves no circuit");
        };
        if (before, after) == (State::Open, State::Closed) {
            probe.moved(now, gateway, State::Open, State::HalfOpen, depth);
            probe.moved(now, gateway, State::HalfOpen, State::Closed, depth);
        } else {
            probe.moved(now, gateway, before, after, depth);
        }
    }

    fn leave_state(&mut self, gateway: usize, state: State, now: SimTime) {
        let since = self.circuits[gateway].since.max(self.measured_from);
        self.state_time[usize::from(state.code())] += u128::from(now.since(since).0);
        self.circuits[gateway].since = now;
    }
}
