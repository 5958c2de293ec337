//! What holds after any sequence of calls: random operations, compared with a model that keeps everything in plain sight.

use std::collections::VecDeque;

use backpressure::event::CAPACITY;
use backpressure::{
    AnyPolicy, Config, Counters, Decision, Depth, Event, Health, KindName, Nanos, OnUnknownDepth, Policy,
    Priority, Reason, Request, State,
};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::graded::rank;
use crate::rules::Rules;

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2000,
        // The same commit always gets the same verdict.
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Every observable thing is what the model says, after every call (P1 to P14).
    #[test]
    fn controller_is_its_model(start in settings(), state in state(), calls in vec(call(), 0..200)) {
        let mut controller = AnyPolicy::starting_in(start.config(), state, Nanos(START));
        let mut model = Model::new(start, state);
        let mut now = START;
        for call in calls {
            now = now.saturating_add_signed(call.step);
            if call.tells_time(&controller) {
                model.advance(now);
            }
            match call.what {
                What::Observe(depth) => {
                    let requests = Priority::ALL.map(|priority| Request::of(priority).with_id(now));
                    let limits = requests.map(|request| controller.admits_below(request));
                    controller.observe(depth, Nanos(now));
                    model.observe(depth);
                    if let Depth::Known(jobs) = depth {
                        for (request, limit) in requests.into_iter().zip(limits) {
                            let admits = controller.gate().admits(request, Nanos(model.now));
                            prop_assert_eq!(admits, jobs < limit || limit == u64::MAX);
                        }
                    }
                }
                What::Decide(request) => {
                    let gate = controller.gate();
                    let decision = controller.decide(request, Nanos(now));
                    let reason = decision.rejection().map(|rejection| rejection.reason);
                    prop_assert_eq!(reason, model.decide(&request));
                    prop_assert_eq!(gate.admits(request, Nanos(model.now)), reason.is_none(), "gate and owner agree");
                }
                What::Reset => {
                    controller.reset(Nanos(now));
                    model.reset();
                }
                What::Reconfigure(settings) => {
                    controller.reconfigure(settings.config(), Nanos(now));
                    model.reconfigure(settings);
                }
                What::Poll => prop_assert_eq!(controller.poll_event(), model.events.pop_front()),
            }
            model.check(&controller)?;
        }
    }

    /// What one priority may do, every more urgent one may do (P17); and a hint is never out of bounds (P15).
    #[test]
    fn urgency_never_hurts(start in settings(), state in state(), id: u64, calls in vec(call(), 0..100)) {
        let mut controller = AnyPolicy::starting_in(start.config(), state, Nanos(START));
        let mut now = START;
        for call in calls {
            now = now.saturating_add_signed(call.step);
            apply(&mut controller, call.what, Nanos(now));
            let mut admitted_so_far = true;
            for priority in Priority::ALL {
                let decision = controller.clone().decide(Request::of(priority).with_id(id), Nanos(now));
                prop_assert!(admitted_so_far || !decision.is_admit(), "{} is admitted after a refusal", priority);
                admitted_so_far = decision.is_admit();
                if let Decision::Reject(rejection) = decision {
                    let config = controller.config();
                    let most = config.retry_after_max().0 / 2 * 3;
                    prop_assert!(rejection.retry_after >= config.retry_after_min());
                    prop_assert!(rejection.retry_after.0 <= most);
                    prop_assert!(rejection.retry_after >= controller.snapshot().retry_after);
                    prop_assert_eq!(rejection.disposition, config.disposition(priority));
                }
            }
        }
    }

    /// The same calls give the same controller, hints and events included.
    #[test]
    fn replay_is_equal(start in settings(), state in state(), calls in vec(call(), 0..100)) {
        let run = || {
            let mut controller = AnyPolicy::starting_in(start.config(), state, Nanos(START));
            let mut now = START;
            let mut decisions = Vec::new();
            for call in &calls {
                now = now.saturating_add_signed(call.step);
                decisions.extend(apply(&mut controller, call.what, Nanos(now)));
            }
            (controller, decisions)
        };
        prop_assert_eq!(run(), run());
    }

    /// Decisions leave no trace in the state: without them the same observations end the same (P1).
    #[test]
    fn deciding_moves_nothing(start in settings(), state in state(), calls in vec(call(), 0..100)) {
        let mut asked = AnyPolicy::starting_in(start.config(), state, Nanos(START));
        let mut unasked = asked.clone();
        let mut now = START;
        for call in calls {
            now = now.saturating_add_signed(call.step.abs());
            apply(&mut asked, call.what, Nanos(now));
            if !matches!(call.what, What::Decide(_)) {
                apply(&mut unasked, call.what, Nanos(now));
            }
            prop_assert_eq!(asked.state(), unasked.state());
            prop_assert_eq!(asked.snapshot().health, unasked.snapshot().health);
            prop_assert_eq!(asked.gate(), unasked.gate());
            prop_assert_eq!(asked.snapshot().since, unasked.snapshot().since);
        }
        let events = |mut controller: AnyPolicy| std::iter::from_fn(move || controller.poll_event()).collect::<Vec<_>>();
        prop_assert_eq!(events(asked), events(unasked));
    }

    /// A clock that jumps back differs from one that stands still by its counter alone (P13).
    #[test]
    fn backward_time_is_no_time(start in settings(), state in state(), calls in vec(call(), 0..100)) {
        let mut jumping = AnyPolicy::starting_in(start.config(), state, Nanos(START));
        let mut standing = jumping.clone();
        let (mut now, mut latest) = (START, START);
        for call in calls {
            now = now.saturating_add_signed(call.step);
            if call.tells_time(&jumping) {
                latest = latest.max(now);
            }
            let with_jumps = apply(&mut jumping, call.what, Nanos(now));
            prop_assert_eq!(with_jumps, apply(&mut standing, call.what, Nanos(latest)));
            let mut snapshot = jumping.snapshot();
            snapshot.clock_backwards = 0;
            prop_assert_eq!(snapshot, standing.snapshot());
            prop_assert_eq!(jumping.gate(), standing.gate());
        }
    }

    /// Whatever happened before, one observation of a drained queue closes the circuit, with no job to decide on (P16).
    #[test]
    fn drained_queue_closes_at_once(start in settings(), state in state(), calls in vec(call(), 0..60)) {
        let mut controller = AnyPolicy::starting_in(start.config(), state, Nanos(START));
        let mut now = START;
        for call in calls {
            now = now.saturating_add_signed(call.step);
            apply(&mut controller, call.what, Nanos(now));
        }
        let due = controller.poll_timeout();
        controller.observe(Depth::Known(controller.config().recovery()), due);
        prop_assert_eq!(controller.state(), State::Closed);
    }

    /// Disabled, the same calls move the circuit in the same way, and every job comes in (P11).
    #[test]
    fn disabled_is_the_same_but_for_the_answer(start in settings(), state in state(), calls in vec(call(), 0..100)) {
        let (enabled, disabled) = (Settings { enabled: true, ..start }, Settings { enabled: false, ..start });
        let mut enabled = AnyPolicy::starting_in(enabled.config(), state, Nanos(START));
        let mut disabled = AnyPolicy::starting_in(disabled.config(), state, Nanos(START));
        let mut now = START;
        for call in calls {
            now = now.saturating_add_signed(call.step);
            if matches!(call.what, What::Reconfigure(_)) {
                continue;
            }
            apply(&mut enabled, call.what, Nanos(now));
            let decision = apply(&mut disabled, call.what, Nanos(now));
            prop_assert!(decision.is_none_or(|decision| decision.is_admit()));
            prop_assert!(disabled.gate().admits(Priority::LEAST_URGENT, Nanos(now)));
            prop_assert_eq!(enabled.state(), disabled.state());
            prop_assert_eq!(enabled.snapshot().health, disabled.snapshot().health);
            let (with, without) = (enabled.snapshot().since_start, disabled.snapshot().since_start);
            prop_assert_eq!(with.rejected_total(), without.would_reject);
            prop_assert_eq!(with.admitted_total() + with.rejected_total(), without.admitted_total());
        }
    }
}

fn apply(controller: &mut AnyPolicy, what: What, now: Nanos) -> Option<Decision> {
    match what {
        What::Observe(depth) => controller.observe(depth, now),
        What::Decide(request) => return Some(controller.decide(request, now)),
        What::Reset => controller.reset(now),
        What::Reconfigure(settings) => controller.reconfigure(settings.config(), now),
        What::Poll => {}
    }
    None
}

/// The policy with nothing cached: every answer is worked out from the rules when it is asked for.
struct Model {
    settings: Settings,
    now: u64,
    backwards: u64,
    state: State,
    since: u64,
    health: Health,
    observed: Option<(Depth, u64)>,
    last_known: Option<u64>,
    events: VecDeque<Event>,
    dropped: u64,
    counters: [Counters; 2],
    resets: u64,
}

impl Model {
    fn new(settings: Settings, state: State) -> Model {
        Model {
            settings,
            now: START,
            backwards: 0,
            state,
            since: START,
            health: Health::Healthy,
            observed: None,
            last_known: None,
            events: VecDeque::new(),
            dropped: 0,
            counters: [Counters::default(); 2],
            resets: 0,
        }
    }

    fn advance(&mut self, now: u64) {
        self.backwards += u64::from(now < self.now);
        self.now = self.now.max(now);
    }

    fn observe(&mut self, depth: Depth) {
        self.observed = Some((depth, self.now));
        self.count(|counters| counters.observations += 1);
        let Depth::Known(jobs) = depth else {
            self.count(|counters| counters.unknown_observations += 1);
            return;
        };
        self.last_known = Some(jobs);
        self.update_health(jobs);
        for to in self.settings.rules.moves(self.state, jobs) {
            self.push(Event::Transition { from: self.state, to, depth: jobs, at: Nanos(self.now) });
            self.count(|counters| counters.openings += u64::from(to == State::Open));
            self.state = to;
            self.since = self.now;
        }
    }

    fn decide(&mut self, request: &Request) -> Option<Reason> {
        let refusal = self.refusal(request);
        let index = request.priority.index();
        match refusal {
            Some(reason) if self.settings.enabled => self.count(|counters| {
                counters.rejected_by_priority[index] += 1;
                counters.rejected_by_reason[reason as usize] += 1;
            }),
            _ => self.count(|counters| {
                counters.admitted_by_priority[index] += 1;
                counters.would_reject += u64::from(refusal.is_some());
            }),
        }
        refusal.filter(|_| self.settings.enabled)
    }

    fn refusal(&self, request: &Request) -> Option<Reason> {
        let priority = request.priority.get();
        let unknown = match self.settings.on_unknown_depth {
            OnUnknownDepth::Reject => Some(Reason::DepthUnknown),
            OnUnknownDepth::UrgentOnly if priority > 1 => Some(Reason::DepthUnknown),
            _ => None,
        };
        match self.observed {
            Some((Depth::Known(_), at))
                if self.settings.valid_for.is_some_and(|span| self.now > at + span) =>
            {
                unknown
            }
            Some((Depth::Known(jobs), _)) => match self.settings.kind {
                KindName::Spec => self.settings.rules.refusal(self.state, jobs, priority),
                KindName::Graded => self.settings.is_cut_off(jobs, request).then_some(Reason::PriorityCut),
            },
            Some((Depth::Unknown, _)) => unknown,
            None if self.settings.valid_for.is_some_and(|span| self.now > START + span) => unknown,
            None => match (self.settings.rules.refusal(self.state, 0, priority), unknown) {
                (by_state, None) => by_state.map(|by_state| self.settings.named(by_state)),
                // Equally strict where an OPEN circuit meets urgent-only: then the state is named.
                (Some(by_state), Some(_))
                    if self.state == State::Open
                        && self.settings.on_unknown_depth == OnUnknownDepth::UrgentOnly =>
                {
                    Some(self.settings.named(by_state))
                }
                (_, unknown) => unknown,
            },
        }
    }

    fn reset(&mut self) {
        self.push(Event::Reset { from: self.state, at: Nanos(self.now) });
        if self.state != State::Closed {
            self.since = self.now;
        }
        self.state = State::Closed;
        self.counters[1] = Counters::default();
        self.resets += 1;
    }

    fn reconfigure(&mut self, settings: Settings) {
        self.settings = settings;
        if let Some(jobs) = self.last_known {
            self.update_health(jobs);
        }
    }

    fn update_health(&mut self, jobs: u64) {
        let to = self.settings.rules.health(jobs);
        if to != self.health {
            self.push(Event::Health { from: self.health, to, depth: jobs, at: Nanos(self.now) });
        }
        self.health = to;
    }

    fn push(&mut self, event: Event) {
        self.events.push_back(event);
        if self.events.len() > CAPACITY {
            self.events.pop_front();
            self.dropped += 1;
        }
    }

    fn count(&mut self, change: impl Fn(&mut Counters)) {
        self.counters.iter_mut().for_each(change);
    }

    fn check(&self, controller: &AnyPolicy) -> Result<(), TestCaseError> {
        let found = controller.snapshot();
        prop_assert_eq!(found.state, self.state);
        prop_assert_eq!(controller.state(), self.state);
        prop_assert_eq!(found.health, self.health);
        prop_assert_eq!(found.since, Nanos(self.since));
        prop_assert_eq!(found.depth, self.observed.map_or(Depth::Unknown, |(depth, _)| depth));
        prop_assert_eq!(found.last_known_depth, self.last_known);
        prop_assert_eq!(found.observed_at, self.observed.map(|(_, at)| Nanos(at)));
        prop_assert_eq!([found.since_start, found.since_reset], self.counters);
        prop_assert_eq!(found.resets, self.resets);
        prop_assert_eq!(found.clock_backwards, self.backwards);
        prop_assert_eq!(found.events_dropped, self.dropped);
        let reasons: u64 = Reason::ALL.iter().map(|&reason| found.since_start.rejected_for(reason)).sum();
        prop_assert_eq!(found.since_start.rejected_total(), reasons, "every rejection has one reason");
        Ok(())
    }
}

#[derive(Clone, Copy, Debug)]
struct Settings {
    rules: Rules,
    kind: KindName,
    enabled: bool,
    on_unknown_depth: OnUnknownDepth,
    /// A multiple of the gate's step less one, and `now` moves in whole steps, so that rounding never shows.
    valid_for: Option<u64>,
}

impl Settings {
    fn config(&self) -> Config {
        let Rules { recovery, warning, critical, reopen_at } = self.rules;
        let builder =
            Config::builder().recovery(recovery).warning(warning).critical(critical).reopen_at(reopen_at);
        let builder = builder.kind(self.kind).enabled(self.enabled).on_unknown_depth(self.on_unknown_depth);
        match self.valid_for {
            Some(span) => builder.depth_valid_for(Nanos(span)).build().expect("in order"),
            None => builder.build().expect("in order"),
        }
    }
}

impl Settings {
    /// Whether the graded rule turns a job away: 9 x (depth - recovery) / (critical - recovery) classes are cut off, from the
    /// end of the line of ranks. Multiplied out, so that nothing is rounded.
    fn is_cut_off(&self, jobs: u64, request: &Request) -> bool {
        let Rules { recovery, critical, .. } = self.rules;
        let above = i128::from(jobs.clamp(recovery, critical) - recovery);
        9 * 1024 * above >= (10 * 1024 - i128::from(rank(request))) * i128::from(critical - recovery)
    }

    /// The name that this kind of policy gives to what a state by itself refuses.
    fn named(&self, by_state: Reason) -> Reason {
        if self.kind == KindName::Spec { by_state } else { Reason::PriorityCut }
    }
}

#[derive(Clone, Copy, Debug)]
struct Call {
    /// How far the clock moves before the call, in nanoseconds; may be negative.
    step: i64,
    what: What,
}

impl Call {
    /// Whether the controller learns the time: not by polling, nor by getting the settings that it has.
    fn tells_time(&self, controller: &AnyPolicy) -> bool {
        match self.what {
            What::Poll => false,
            What::Reconfigure(settings) => settings.config() != *controller.config(),
            _ => true,
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum What {
    Observe(Depth),
    Decide(Request),
    Reset,
    Reconfigure(Settings),
    Poll,
}

fn call() -> impl Strategy<Value = Call> {
    let what = prop_oneof![
        // Small settings make every threshold near to every depth.
        8 => (0..30_u64).prop_map(|jobs| What::Observe(Depth::Known(jobs))),
        1 => Just(What::Observe(Depth::Unknown)),
        1 => any::<u64>().prop_map(|jobs| What::Observe(Depth::Known(jobs >> 3))),
        8 => (1..=10_u8, any::<u64>()).prop_map(|(number, id)| {
            What::Decide(Request::of(Priority::new(number).expect("within 1..=10")).with_id(id))
        }),
        1 => Just(What::Reset),
        1 => settings().prop_map(What::Reconfigure),
        2 => Just(What::Poll),
    ];
    // Mostly forward by up to 50 ms, sometimes not at all, back, or far.
    let steps = prop_oneof![6 => 0..200_i64, 2 => Just(0), 1 => -400..0_i64, 1 => 0..16_000_i64];
    (steps, what).prop_map(|(steps, what)| Call { step: steps * STEP, what })
}

fn settings() -> impl Strategy<Value = Settings> {
    let thresholds = (1..6_u64, 1..6_u64, 1..12_u64, 0..12_u64);
    let choice = prop_oneof![
        Just(OnUnknownDepth::Admit),
        Just(OnUnknownDepth::UrgentOnly),
        Just(OnUnknownDepth::Reject)
    ];
    let valid_for = prop_oneof![Just(None), (1..320_u64).prop_map(|steps| Some(steps * STEP as u64))];
    let kind = prop::sample::select(KindName::ALL);
    (thresholds, kind, prop::bool::weighted(0.8), choice, valid_for).prop_map(
        |((recovery, above_recovery, above_warning, reopen), kind, enabled, on_unknown_depth, valid_for)| {
            let warning = recovery + above_recovery;
            let critical = warning + above_warning;
            let rules = Rules { recovery, warning, critical, reopen_at: (warning + reopen).min(critical) };
            Settings { rules, kind, enabled, on_unknown_depth, valid_for }
        },
    )
}

fn state() -> impl Strategy<Value = State> {
    prop_oneof![Just(State::Closed), Just(State::HalfOpen), Just(State::Open)]
}

/// The gate's time step in nanoseconds.
const STEP: i64 = 262_144;
/// Far enough from zero for the clock to go back.
const START: u64 = 1 << 50;
