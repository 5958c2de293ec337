//! The rules of the document, stated a second time as naively as possible, and every small case compared with them.

use backpressure::{
    AnyPolicy, Config, Decision, Depth, Event, Health, Nanos, Policy, Priority, Reason, State,
};

/// The rules once more: no caching, no packing, fractions by cross-multiplication.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) recovery: u64,
    pub(crate) warning: u64,
    pub(crate) critical: u64,
    pub(crate) reopen_at: u64,
}

impl Rules {
    /// The states passed through in one observation, the last one being where the circuit ends.
    pub(crate) fn moves(&self, state: State, depth: u64) -> Vec<State> {
        match state {
            State::Closed if depth >= self.critical => vec![State::Open],
            State::Open if depth <= self.recovery => vec![State::HalfOpen, State::Closed],
            State::Open if depth < self.warning => vec![State::HalfOpen],
            State::HalfOpen if depth >= self.reopen_at => vec![State::Open],
            State::HalfOpen if depth <= self.recovery => vec![State::Closed],
            _ => vec![],
        }
    }

    /// Why a job is rejected; `None` when it is admitted.
    pub(crate) fn refusal(&self, state: State, depth: u64, priority: u8) -> Option<Reason> {
        match state {
            State::Open if priority > 1 => Some(Reason::Open),
            State::HalfOpen if priority > 5 => Some(Reason::HalfOpen),
            State::Closed if 5 * depth >= 4 * self.critical && priority > 5 => Some(Reason::Shed),
            _ => None,
        }
    }

    pub(crate) fn health(&self, depth: u64) -> Health {
        match depth {
            _ if depth >= self.critical => Health::Critical,
            _ if depth >= self.warning => Health::Warning,
            _ => Health::Healthy,
        }
    }

    pub(crate) fn config(&self) -> Config {
        Config::builder()
            .recovery(self.recovery)
            .warning(self.warning)
            .critical(self.critical)
            .reopen_at(self.reopen_at)
            .build()
            .expect("in order")
    }
}

/// Every state, then every three depths one after the other, then every priority.
#[test]
fn every_small_case_follows_the_rules() {
    // With 33 the shedding line, 26.4, is no whole number; with (1, 2, 3) the thresholds leave no room between them.
    for (recovery, warning, critical) in [(1, 2, 3), (2, 4, 8), (3, 7, 33)] {
        for reopen_at in warning..=critical.min(warning + 8) {
            let rules = Rules { recovery, warning, critical, reopen_at };
            check_all(rules, &(0..=critical + 2).collect::<Vec<_>>());
        }
        check_all(
            Rules { recovery, warning, critical, reopen_at: critical },
            &(0..=critical + 2).collect::<Vec<_>>(),
        );
    }
}

/// The production defaults and the documented larger set, around every threshold.
#[test]
fn every_case_around_the_documented_thresholds_follows_the_rules() {
    for (recovery, warning, critical) in [(5_000, 10_000, 50_000), (25_000, 50_000, 200_000)] {
        for reopen_at in [warning, (warning + critical) / 2, critical] {
            let rules = Rules { recovery, warning, critical, reopen_at };
            let around = |threshold: u64| [threshold - 1, threshold, threshold + 1];
            let mut depths: Vec<u64> = [recovery, warning, reopen_at, critical / 5 * 4, critical]
                .into_iter()
                .flat_map(around)
                .collect();
            depths.extend([0, 1, 2 * critical, u64::MAX / 5]);
            check_all(rules, &depths);
        }
    }
}

/// The state diagram in words, as a table: settings 5, 10, 50.
#[test]
fn documented_transitions() {
    use State::{Closed, HalfOpen, Open};
    let rules = |reopen_at| Rules { recovery: 5, warning: 10, critical: 50, reopen_at };
    #[track_caller]
    fn check(rules: Rules, from: State, depth: u64, moves: &[State]) {
        assert_eq!(rules.moves(from, depth), moves, "the restated rules are wrong");
        check_observation(
            &mut AnyPolicy::starting_in(rules.config(), from, Nanos(0)),
            rules,
            depth,
            Nanos(1),
        );
    }
    let default = rules(50);
    check(default, Closed, 49, &[]);
    check(default, Closed, 50, &[Open]);
    check(default, Open, 10, &[]);
    check(default, Open, 9, &[HalfOpen]);
    check(default, Open, 6, &[HalfOpen]);
    check(default, Open, 5, &[HalfOpen, Closed]);
    check(default, Open, 0, &[HalfOpen, Closed]);
    check(default, HalfOpen, 5, &[Closed]);
    check(default, HalfOpen, 6, &[]);
    check(default, HalfOpen, 10, &[]);
    check(default, HalfOpen, 49, &[]);
    check(default, HalfOpen, 50, &[Open]);
    check(rules(10), HalfOpen, 9, &[]);
    check(rules(10), HalfOpen, 10, &[Open]);
    check(rules(23), HalfOpen, 22, &[]);
    check(rules(23), HalfOpen, 23, &[Open]);
    check(rules(10), Closed, 49, &[]);
}

/// The document's table of event types by priority, at the documented depths.
#[test]
fn documented_admissions() {
    #[track_caller]
    fn check(state: State, depth: u64, admitted: &[u8]) {
        let mut controller = AnyPolicy::starting_in(Config::default(), state, Nanos(0));
        controller.observe(Depth::Known(depth), Nanos(0));
        assert_eq!(controller.state(), state);
        let is_admitted =
            |priority: &u8| controller.decide(Priority::new(*priority).unwrap(), Nanos(0)).is_admit();
        assert_eq!((1..=10).filter(is_admitted).collect::<Vec<u8>>(), admitted);
    }
    let everything: Vec<u8> = (1..=10).collect();
    check(State::Closed, 0, &everything);
    check(State::Closed, 10_000, &everything);
    check(State::Closed, 39_999, &everything);
    check(State::Closed, 40_000, &[1, 2, 3, 4, 5]);
    check(State::Closed, 49_999, &[1, 2, 3, 4, 5]);
    check(State::Open, 50_000, &[1]);
    check(State::Open, 10_000, &[1]);
    check(State::HalfOpen, 9_999, &[1, 2, 3, 4, 5]);
    check(State::HalfOpen, 49_999, &[1, 2, 3, 4, 5]);
}

fn check_all(rules: Rules, depths: &[u64]) {
    for from in State::ALL {
        let fresh = AnyPolicy::starting_in(rules.config(), from, Nanos(0));
        for &first in depths {
            let mut after_first = fresh.clone();
            check_observation(&mut after_first, rules, first, Nanos(1));
            check_decisions(&mut after_first.clone(), rules, first, Nanos(1));
            for &second in depths {
                let mut after_second = after_first.clone();
                check_observation(&mut after_second, rules, second, Nanos(2));
                check_decisions(&mut after_second, rules, second, Nanos(2));
            }
        }
    }
}

/// Observes once and compares state, health, time of change and events.
#[track_caller]
fn check_observation(controller: &mut AnyPolicy, rules: Rules, depth: u64, at: Nanos) {
    let (mut from, health, since) =
        (controller.state(), controller.snapshot().health, controller.snapshot().since);
    let moves = rules.moves(from, depth);
    let context = format!("{rules:?}, {from} at a depth of {depth}");

    controller.observe(Depth::Known(depth), at);

    assert_eq!(controller.state(), *moves.last().unwrap_or(&from), "{context}");
    assert_eq!(controller.snapshot().health, rules.health(depth), "{context}");
    assert_eq!(controller.snapshot().since, if moves.is_empty() { since } else { at }, "{context}");
    if controller.snapshot().health != health {
        let to = controller.snapshot().health;
        assert_eq!(controller.poll_event(), Some(Event::Health { from: health, to, depth, at }), "{context}");
    }
    for to in moves {
        assert_eq!(controller.poll_event(), Some(Event::Transition { from, to, depth, at }), "{context}");
        from = to;
    }
    assert_eq!(controller.poll_event(), None, "{context}");
}

/// Decides for every priority, and compares with the rules, with the gate, and with the state before.
#[track_caller]
fn check_decisions(controller: &mut AnyPolicy, rules: Rules, depth: u64, now: Nanos) {
    let (state, gate) = (controller.state(), controller.gate());
    for priority in Priority::ALL {
        let expected = rules.refusal(state, depth, priority.get());
        let reason = match controller.decide(priority, now) {
            Decision::Admit => None,
            Decision::Reject(rejection) => {
                assert_eq!(rejection.state, state);
                Some(rejection.reason)
            }
        };
        assert_eq!(reason, expected, "{rules:?}, {state} at a depth of {depth}, priority {priority}");
        assert_eq!(gate.admits(priority, now), expected.is_none());
        assert_eq!(gate.admits(priority, now), expected.is_none());
    }
    assert_eq!((controller.state(), controller.gate()), (state, gate), "deciding moves nothing");
    assert_eq!(controller.poll_event(), None, "deciding is no event");
}
