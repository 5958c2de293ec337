//! What surrounds the rules: unknown depth, disabling, reset, new settings, time, events, hints, counters.

use backpressure::event::CAPACITY;
use backpressure::{
    AnyPolicy, Config, ConfigBuilder, Depth, Disposition, Event, Health, KindName, Nanos, OnUnknownDepth,
    Policy, Priority, Reason, State,
};

const MS: u64 = 1_000_000;

#[test]
fn unknown_depth_is_decided_by_the_setting_alone() {
    #[track_caller]
    fn check(choice: OnUnknownDepth, state: State, depth: u64, cut: u8) {
        let config = small().on_unknown_depth(choice).build().unwrap();
        let mut controller = AnyPolicy::starting_in(config, state, Nanos(0));
        controller.observe(Depth::Known(depth), Nanos(1));
        let health = controller.snapshot().health;
        while controller.poll_event().is_some() {}
        controller.observe(Depth::Unknown, Nanos(2));
        assert_eq!(
            (controller.state(), controller.snapshot().health),
            (state, health),
            "unknown moves nothing"
        );
        assert_eq!(controller.poll_event(), None);
        assert_cut(&mut controller, Nanos(2), cut, Some(Reason::DepthUnknown));
        controller.observe(Depth::Known(depth), Nanos(3));
        assert_eq!(controller.state(), state);
    }
    for (state, depth) in [(State::Closed, 0), (State::Closed, 45), (State::HalfOpen, 20), (State::Open, 60)]
    {
        check(OnUnknownDepth::Admit, state, depth, 10);
        check(OnUnknownDepth::UrgentOnly, state, depth, 1);
        check(OnUnknownDepth::Reject, state, depth, 0);
    }
}

#[test]
fn before_the_first_observation_the_stricter_rule_holds() {
    #[track_caller]
    fn check(choice: OnUnknownDepth, state: State, cut: u8, reason: Option<Reason>) {
        let config = small().on_unknown_depth(choice).build().unwrap();
        let mut controller = AnyPolicy::starting_in(config, state, Nanos(0));
        assert_eq!(controller.snapshot().depth, Depth::Unknown);
        assert_eq!(controller.snapshot().health, Health::Healthy);
        assert_cut(&mut controller, Nanos(0), cut, reason);
    }
    check(OnUnknownDepth::Admit, State::Closed, 10, None);
    check(OnUnknownDepth::Admit, State::HalfOpen, 5, Some(Reason::HalfOpen));
    check(OnUnknownDepth::Admit, State::Open, 1, Some(Reason::Open));
    check(OnUnknownDepth::UrgentOnly, State::Closed, 1, Some(Reason::DepthUnknown));
    check(OnUnknownDepth::UrgentOnly, State::Open, 1, Some(Reason::Open));
    check(OnUnknownDepth::Reject, State::Open, 0, Some(Reason::DepthUnknown));
}

#[test]
fn disabled_admits_everything_and_shows_what_it_would_have_done() {
    for choice in OnUnknownDepth::ALL {
        let mut controller =
            AnyPolicy::new(small().enabled(false).on_unknown_depth(choice).build().unwrap(), Nanos(0));
        for depth in [Depth::Known(60), Depth::Unknown] {
            controller.observe(depth, Nanos(1));
            assert_eq!(controller.state(), State::Open);
            assert_cut(&mut controller, Nanos(1), 10, None);
        }
        let counted = controller.snapshot().since_start;
        assert_eq!((counted.admitted_total(), counted.rejected_total()), (20, 0));
        let by_unknown = match choice {
            OnUnknownDepth::UrgentOnly => 9,
            OnUnknownDepth::Reject => 10,
            _ => 0,
        };
        assert_eq!(counted.would_reject, 9 + by_unknown);
        assert!(!controller.snapshot().enabled);
    }
}

#[test]
fn reset_closes_from_any_state_and_keeps_the_counters_since_start() {
    for state in State::ALL {
        let mut controller = AnyPolicy::starting_in(small().build().unwrap(), state, Nanos(0));
        controller.observe(Depth::Known(45), Nanos(1));
        let _ = controller.decide(Priority::LEAST_URGENT, Nanos(1));
        while controller.poll_event().is_some() {}

        controller.reset(Nanos(7));

        assert_eq!(controller.poll_event(), Some(Event::Reset { from: state, at: Nanos(7) }));
        assert_eq!(controller.poll_event(), None);
        let after = controller.snapshot();
        assert_eq!((after.state, after.resets, after.reset_at), (State::Closed, 1, Nanos(7)));
        assert_eq!(after.since, if state == State::Closed { Nanos(0) } else { Nanos(7) });
        assert_eq!(after.since_start.rejected_total(), 1);
        assert_eq!(after.since_reset.rejected_total() + after.since_reset.observations, 0);
        // The depth is still known, so batch work stays out, and a critical depth opens again.
        assert_cut(&mut controller, Nanos(8), 5, Some(Reason::Shed));
        assert_eq!(controller.snapshot().since_reset.rejected_total(), 5);
        controller.observe(Depth::Known(50), Nanos(9));
        assert_eq!(controller.state(), State::Open);
        assert_eq!(controller.snapshot().since_reset.openings, 1);
    }
}

#[test]
fn reset_at_a_depth_just_observed_does_not_hide_it_from_the_next_observation() {
    let mut controller = AnyPolicy::new(small().build().unwrap(), Nanos(0));
    controller.observe(Depth::Known(60), Nanos(1));
    controller.reset(Nanos(2));
    controller.observe(Depth::Known(60), Nanos(3));
    assert_eq!(controller.state(), State::Open);
}

#[test]
fn new_settings_keep_the_state_and_rule_at_once() {
    let mut controller = AnyPolicy::new(small().build().unwrap(), Nanos(0));
    controller.observe(Depth::Known(45), Nanos(1));
    assert_eq!(controller.poll_event(), Some(health(Health::Healthy, Health::Warning, 45, 1)));

    let before = controller.clone();
    controller.reconfigure(small().build().unwrap(), Nanos(2));
    assert_eq!(controller, before, "the same settings are no change");

    controller.reconfigure(small().critical(40).build().unwrap(), Nanos(2));
    assert_eq!(controller.poll_event(), Some(health(Health::Warning, Health::Critical, 45, 2)));
    assert_eq!(controller.state(), State::Closed, "only an observation opens");
    assert_cut(&mut controller, Nanos(2), 5, Some(Reason::Shed));

    controller.observe(Depth::Known(45), Nanos(3));
    assert_eq!(controller.state(), State::Open, "the same depth under new settings");

    controller.reconfigure(Config::default(), Nanos(4));
    assert_eq!(controller.state(), State::Open);
    assert_eq!(controller.snapshot().health, Health::Healthy);
    controller.observe(Depth::Known(45), Nanos(5));
    assert_eq!(controller.state(), State::Closed);
}

#[test]
fn time_going_backwards_is_no_time_and_counted() {
    let mut controller = AnyPolicy::new(small().build().unwrap(), Nanos(100));
    controller.observe(Depth::Known(60), Nanos(40));
    assert_eq!(controller.snapshot().since, Nanos(100));
    controller.observe(Depth::Known(9), Nanos(200));
    let _ = controller.decide(Priority::DEFAULT, Nanos(199));
    controller.reset(Nanos(0));
    controller.reconfigure(Config::default(), Nanos(1));
    let after = controller.snapshot();
    assert_eq!((after.at, after.clock_backwards, after.reset_at), (Nanos(200), 4, Nanos(200)));
    assert_eq!(after.since, Nanos(200));
}

#[test]
fn one_observation_may_close_in_two_reported_moves() {
    let mut controller = AnyPolicy::new(small().build().unwrap(), Nanos(0));
    controller.observe(Depth::Known(50), Nanos(1));
    controller.observe(Depth::Known(5), Nanos(2));
    let step = |from, to, depth, at| Some(Event::Transition { from, to, depth, at: Nanos(at) });
    assert_eq!(controller.poll_event(), Some(health(Health::Healthy, Health::Critical, 50, 1)));
    assert_eq!(controller.poll_event(), step(State::Closed, State::Open, 50, 1));
    assert_eq!(controller.poll_event(), Some(health(Health::Critical, Health::Healthy, 5, 2)));
    assert_eq!(controller.poll_event(), step(State::Open, State::HalfOpen, 5, 2));
    assert_eq!(controller.poll_event(), step(State::HalfOpen, State::Closed, 5, 2));
    assert_eq!(controller.poll_event(), None);
}

#[test]
fn unpolled_events_give_way_to_later_ones() {
    let mut controller = AnyPolicy::new(small().build().unwrap(), Nanos(0));
    let resets = CAPACITY as u64 + 10;
    for i in 0..resets {
        controller.reset(Nanos(i));
    }
    assert_eq!(controller.snapshot().events_dropped, 10);
    let times: Vec<u64> = std::iter::from_fn(|| controller.poll_event()).map(|event| event.at().0).collect();
    assert_eq!(times, (10..resets).collect::<Vec<_>>());
    controller.reset(Nanos(resets));
    assert!(controller.poll_event().is_some() && controller.poll_event().is_none());
    assert_eq!(controller.snapshot().events_dropped, 10);
}

#[test]
fn retry_after_is_the_drain_time_with_jitter() {
    /// Observes `(ms, depth)` in an OPEN circuit of the default settings and compares the hint without jitter.
    #[track_caller]
    fn check(observations: &[(u64, Depth)], expected_ms: u64) {
        let mut controller = AnyPolicy::starting_in(Config::default(), State::Open, Nanos(0));
        for &(at, depth) in observations {
            controller.observe(depth, Nanos(at * MS));
        }
        assert_eq!(controller.snapshot().retry_after, Nanos(expected_ms * MS));
        for _ in 0..100 {
            let rejection = controller.decide(Priority::LEAST_URGENT, Nanos::MAX).rejection().unwrap();
            let hint = rejection.retry_after.0;
            assert!((expected_ms * MS..expected_ms * MS * 3 / 2).contains(&hint), "{hint}");
        }
    }
    let known = Depth::Known;
    check(&[], 1_000);
    check(&[(0, known(55_000))], 120_000); // not measured yet
    check(&[(0, known(55_000)), (100, known(55_000))], 120_000); // nothing drains
    check(&[(0, known(55_000)), (100, known(56_000))], 120_000); // it fills
    check(&[(0, known(55_000)), (100, known(54_000))], 4_900); // 49,000 jobs at 10,000/s
    check(&[(0, known(55_000)), (100, known(54_000)), (150, known(34_000))], 2_900); // the depth of now, the rate of then
    check(&[(0, known(55_000)), (100, known(54_999))], 120_000); // 10/s would take over an hour
    check(&[(0, known(55_000)), (100, known(10_500))], 1_000); // 5,500 jobs at 445,000/s
}

#[test]
fn drain_rates_belong_to_their_state() {
    let mut controller = AnyPolicy::starting_in(Config::default(), State::Open, Nanos(0));
    controller.observe(Depth::Known(20_000), Nanos(0));
    controller.observe(Depth::Known(15_000), Nanos(500 * MS));
    assert_eq!(controller.snapshot().drain_millijobs_per_second, Some(10_000_000));
    controller.observe(Depth::Known(9_999), Nanos(1_000 * MS));
    assert_eq!(controller.state(), State::HalfOpen);
    assert_eq!(controller.snapshot().drain_millijobs_per_second, None);
    controller.observe(Depth::Known(10_699), Nanos(1_100 * MS));
    assert_eq!(controller.snapshot().drain_millijobs_per_second, Some(-7_000_000));
    controller.observe(Depth::Known(50_000), Nanos(1_150 * MS));
    assert_eq!(controller.state(), State::Open);
    let after = controller.snapshot();
    assert_eq!(after.drain_millijobs_per_second, Some(10_002_000), "as measured when it was open before");
    assert_eq!(after.retry_after.as_millis(), 4_499);
}

#[test]
fn drain_windows_begin_anew_when_the_state_moves() {
    let mut controller = AnyPolicy::starting_in(Config::default(), State::Open, Nanos(0));
    for (at, depth, measured) in
        [(0, 20_000, None), (50, 9_999, None), (149, 9_999, None), (150, 9_989, Some(100_000))]
    {
        controller.observe(Depth::Known(depth), Nanos(at * MS));
        assert_eq!(controller.snapshot().drain_millijobs_per_second, measured, "after {at} ms");
    }
}

#[test]
fn instances_with_other_seeds_spread_their_hints() {
    let hints = |seed| {
        let config = Config::builder().jitter_seed(seed).build().unwrap();
        let mut controller = AnyPolicy::starting_in(config, State::Open, Nanos(0));
        let mut hint = || controller.decide(Priority::DEFAULT, Nanos(0)).rejection().unwrap().retry_after;
        [hint(), hint(), hint()]
    };
    assert_eq!(hints(1), hints(1));
    let all: std::collections::BTreeSet<_> = (0..100).flat_map(hints).collect();
    assert_eq!(all.len(), 300);
}

#[test]
fn a_refusal_of_the_callers_own_gets_the_next_hint_and_counts_nothing() {
    let mut controller = AnyPolicy::starting_in(Config::default().with_jitter_seed(7), State::Open, Nanos(0));
    let mut other = controller.clone();
    let own = controller.next_retry_after();
    let rejection = other.decide(Priority::DEFAULT, Nanos(0)).rejection().unwrap();
    assert_eq!(own, rejection.retry_after);
    assert_ne!(controller.next_retry_after(), own);
    assert_eq!(controller.snapshot().since_start.rejected_total(), 0);
}

#[test]
fn rejections_carry_the_disposition_of_their_priority() {
    let config = small()
        .disposition(1..=10, Disposition::Drop)
        .disposition(2..=3, Disposition::DeadLetter)
        .disposition(3..=3, Disposition::Retry)
        .build()
        .unwrap();
    let mut controller = AnyPolicy::starting_in(config, State::Open, Nanos(0));
    let mut of = |priority| {
        let decision = controller.decide(Priority::new(priority).unwrap(), Nanos(0));
        decision.rejection().map(|rejection| rejection.disposition)
    };
    assert_eq!(of(1), None);
    assert_eq!(of(2), Some(Disposition::DeadLetter));
    assert_eq!(of(3), Some(Disposition::Retry));
    assert_eq!(of(4), Some(Disposition::Drop));
}

/// A circuit that nobody sends anything to is still evaluated: the caller observes when `poll_timeout` says so.
#[test]
fn drained_queue_closes_the_circuit_without_traffic() {
    let config = Config::builder().observe_every(Nanos::from_millis(250)).build().unwrap();
    let mut controller = AnyPolicy::new(config, Nanos(3));
    assert_eq!(controller.poll_timeout(), Nanos(3), "the first observation is due at once");
    controller.observe(Depth::Known(50_000), Nanos(3));
    let mut depth = 50_000;
    while controller.state() != State::Closed {
        let now = controller.poll_timeout();
        assert_eq!(now, controller.snapshot().at.plus(Nanos::from_millis(250)));
        depth -= 2_500; // 10,000 jobs per second
        controller.observe(Depth::Known(depth), now);
    }
    assert_eq!(controller.snapshot().since, Nanos(3).plus(Nanos::from_millis(18 * 250)));
    let counted = controller.snapshot().since_start;
    assert_eq!((counted.admitted_total(), counted.rejected_total()), (0, 0));
}

#[test]
fn a_change_of_kind_keeps_the_state_and_the_counters() {
    let mut controller = AnyPolicy::new(small().build().unwrap(), Nanos(0));
    controller.observe(Depth::Known(50), Nanos(1));
    assert_cut(&mut controller, Nanos(1), 1, Some(Reason::Open));
    let before = controller.snapshot();

    controller.reconfigure(small().kind(KindName::Graded).build().unwrap(), Nanos(2));
    let after = controller.snapshot();
    assert_eq!((after.kind, after.state, after.since), (KindName::Graded, State::Open, before.since));
    assert_eq!(after.since_start, before.since_start);
    assert_cut(&mut controller, Nanos(2), 1, Some(Reason::PriorityCut));
    // The circuit is still OPEN, and the cut follows the depth alone.
    controller.observe(Depth::Known(10), Nanos(3));
    assert_eq!(controller.state(), State::Open);
    assert_cut(&mut controller, Nanos(3), 9, Some(Reason::PriorityCut));
}

#[test]
fn levels_are_listed_the_lowest_first() {
    #[track_caller]
    fn check(config: ConfigBuilder, expected: &[(&str, u64)]) {
        let levels = config.build().unwrap().levels();
        let found: Vec<(&str, u64)> = levels.iter().map(|level| (level.name, level.depth)).collect();
        assert_eq!(found, expected);
    }
    check(small(), &[("recovery", 5), ("warning", 10), ("shed", 40), ("critical", 50)]);
    check(small().shed_at_ppm(100_000), &[("recovery", 5), ("shed", 5), ("warning", 10), ("critical", 50)]);
    check(small().kind(KindName::Graded), &[("recovery", 5), ("warning", 10), ("critical", 50)]);
}

#[test]
fn every_reason_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
    assert_eq!(names.len(), Reason::COUNT);
    for (index, reason) in Reason::ALL.iter().enumerate() {
        assert_eq!(*reason as usize, index, "counters are indexed by it");
        assert!(!reason.words().is_empty());
    }
}

fn small() -> ConfigBuilder {
    Config::builder().recovery(5).warning(10).critical(50)
}

fn health(from: Health, to: Health, depth: u64, at: u64) -> Event {
    Event::Health { from, to, depth, at: Nanos(at) }
}

/// Asks for every priority: those up to `cut` are admitted, the others rejected for `reason`; the gate says the same.
#[track_caller]
fn assert_cut(controller: &mut AnyPolicy, now: Nanos, cut: u8, reason: Option<Reason>) {
    for priority in Priority::ALL {
        let expected = reason.filter(|_| priority.get() > cut);
        assert_eq!(priority.get() <= cut, expected.is_none());
        assert_eq!(controller.gate().admits(priority, now), expected.is_none(), "gate, priority {priority}");
        let rejection = controller.decide(priority, now).rejection();
        assert_eq!(rejection.map(|rejection| rejection.reason), expected, "priority {priority}");
    }
}
