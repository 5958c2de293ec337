//! The rule in one word: what it keeps of what it was made of, and that threads may share it.

use std::thread;

use backpressure::cut::PARTS;
use backpressure::{
    AnyPolicy, Config, Cut, Depth, Gate, Nanos, OnUnknownDepth, Policy, Priority, Reason, Request,
    SharedGate, State,
};

use crate::graded::rank;

/// The step of a gate's time in nanoseconds.
const STEP: u64 = 262_144;

#[test]
fn gate_keeps_what_it_was_made_of() {
    let times = [0, 1, STEP - 1, STEP, 1 << 40, u64::MAX - 1, u64::MAX];
    for state in State::ALL {
        let parts = (0..=10).flat_map(|class| [class * PARTS, class * PARTS + 1, class * PARTS + 700]);
        for (cut, choice) in
            parts.flat_map(|parts| OnUnknownDepth::ALL.map(|choice| (Cut::of_parts(parts), choice)))
        {
            for holds_until in times.map(Nanos) {
                let gate = Gate::new(cut, choice, state, holds_until);
                assert_eq!(gate.state(), state);
                assert_eq!(gate.cut_at(Nanos::ZERO), cut);
                assert_eq!(gate.cut_at(gate.holds_until()), cut);
                assert!(gate.holds_until() >= holds_until && gate.holds_until().0 - holds_until.0 < STEP);
                if gate.holds_until() < Nanos::MAX {
                    let later = gate.holds_until().plus(Nanos(1));
                    assert!(gate.is_stale(later));
                    assert_eq!(gate.cut_at(later), Cut::when_unknown(choice));
                }
                for (priority, id) in Priority::ALL.into_iter().zip(0..) {
                    let request = Request::of(priority).with_id(id);
                    assert_eq!(gate.admits(request, Nanos::ZERO), rank(&request) < u64::from(cut.parts()));
                }
                assert_eq!(Gate::from_bits(gate.to_bits()), gate);
            }
        }
    }
    assert_eq!(Cut::of_parts(u16::MAX), Cut::EVERYBODY);
    let printed = "Gate { cut: Cut(1024), when_stale: Admit, state: Open, holds_until: Nanos(262143) }";
    let urgent = Cut::through(Priority::MOST_URGENT);
    assert_eq!(format!("{:?}", Gate::new(urgent, OnUnknownDepth::Admit, State::Open, Nanos(5))), printed);
}

#[test]
fn depth_that_is_too_old_counts_as_unknown() {
    let config = |choice| {
        let builder = Config::builder().depth_valid_for(Nanos::from_millis(10)).on_unknown_depth(choice);
        builder.build().unwrap()
    };
    #[track_caller]
    fn check(config: Config, depth: u64, now: u64, priority: Priority, expected: Option<Reason>) {
        let mut controller = AnyPolicy::new(config, Nanos(0));
        controller.observe(Depth::Known(depth), Nanos(0));
        // The second one goes the short way through an observation.
        controller.observe(Depth::Known(depth), Nanos::from_millis(5));
        let gate = controller.gate();
        let reason = controller.decide(priority, Nanos(now)).rejection().map(|rejection| rejection.reason);
        assert_eq!(reason, expected);
        assert_eq!(gate.admits(priority, Nanos(now)), expected.is_none(), "gate and owner agree");
    }
    let (fresh, stale) = (15_000_000, 15_000_000 + STEP);
    let (urgent, usual, batch) = (Priority::MOST_URGENT, Priority::DEFAULT, Priority::LEAST_URGENT);
    check(config(OnUnknownDepth::Admit), 60_000, fresh, usual, Some(Reason::Open));
    check(config(OnUnknownDepth::Admit), 60_000, stale, batch, None);
    check(config(OnUnknownDepth::UrgentOnly), 0, fresh, batch, None);
    check(config(OnUnknownDepth::UrgentOnly), 0, stale, usual, Some(Reason::DepthUnknown));
    check(config(OnUnknownDepth::UrgentOnly), 0, stale, urgent, None);
    check(config(OnUnknownDepth::Reject), 0, stale, urgent, Some(Reason::DepthUnknown));
    check(Config::default(), 60_000, u64::MAX, usual, Some(Reason::Open));
}

#[test]
fn shared_gate_stands_alone_in_its_cache_lines() {
    assert_eq!(align_of::<SharedGate>(), 128);
    assert_eq!(size_of::<SharedGate>(), 128);
    assert_eq!(size_of::<Gate>(), 8);
    assert_eq!(SharedGate::default().load(), Gate::ADMIT_ALL);
}

/// While one owner drives the circuit around, readers only ever see rules of the circuit, and at the end the last one.
#[test]
fn threads_see_only_gates_that_were_published() {
    let mut controller = AnyPolicy::new(Config::default(), Nanos(0));
    let mut gates = vec![controller.gate()];
    let shared = SharedGate::new(controller.gate());
    let mut rounds = Vec::new();
    for depth in [45_000, 50_000, 9_000, 4_000] {
        controller.observe(Depth::Known(depth), Nanos(0));
        gates.push(controller.gate());
        rounds.push(controller.gate());
    }
    let last = *rounds.last().unwrap();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for i in 0..200_000_u64 {
                    let gate = shared.load();
                    assert!(gates.contains(&gate), "{gate:?} was never published");
                    assert!(
                        shared.admits(Priority::MOST_URGENT, Nanos(i)),
                        "priority 1 is admitted by every rule"
                    );
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..50_000 {
                rounds.iter().for_each(|&gate| shared.publish(gate));
            }
        });
    });
    assert_eq!(shared.load(), last);
}
