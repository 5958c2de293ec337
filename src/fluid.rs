//! The fluid limit of a queue behind the circuit: what a spike does when noise is negligible, exactly.
//!
//! With arrival and service rates of order N, depths divided by N follow an ordinary differential equation
//! as N grows (Kurtz 1970, "Solutions of ordinary differential equations as limits of pure jump Markov
//! processes"; Mandelbaum, Massey & Reiman 1998, "Strong approximations for Markovian service networks"):
//!
//! ```text
//! dn/dt = (rate admitted in this state at this depth) - min(n, servers) x service rate
//! ```
//!
//! Between two thresholds that equation is linear, so every crossing time is a formula and nothing here
//! steps through time. A simulation differs from the result by noise of order sqrt(rate x time) jobs.
//!
//! The circuit observes continuously here; priorities enter only as three classes, because admission
//! knows no more of them. What the limit cannot say (flapping rates at a threshold without hysteresis,
//! quantiles) it leaves out.

use std::cmp::Ordering;
use std::ops::Add;

/// Solves the path of the depth and of the circuit through all segments.
///
/// # Panics
///
/// If the system breaks a rule stated at [`System`], or a depth, a rate or a length of time is negative or
/// not finite.
#[must_use]
pub fn solve(fluid: &Fluid) -> FluidSolution {
    fluid.check();
    let mut path = Path::begin(fluid);
    let segments = fluid.segments.iter().map(|segment| path.follow(segment)).collect();
    let limit_cycles =
        fluid.segments.iter().map(|segment| fluid.system.limit_cycle(&segment.rates)).collect();
    FluidSolution { segments, limit_cycles, peak: path.peak, recovery: path.recovery, events: path.events }
}

/// A queue, a circuit before it, and the load it meets.
#[derive(Clone, Debug, PartialEq)]
pub struct Fluid {
    /// The queue and the circuit.
    pub system: System,
    /// Jobs in the system at time 0.
    pub initial_depth: f64,
    /// State of the circuit before it observes the depth at time 0.
    pub initial_state: Regime,
    /// The load, part after part from time 0.
    pub segments: Vec<Segment>,
}

/// The thresholds of the circuit and the capacity behind it.
///
/// The rules: `recovery < warning <= reopen_at <= critical`, `shed_depth <= critical`, and a positive
/// capacity. All depths count jobs waiting and in service.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct System {
    /// HALF_OPEN closes at this depth or below, in jobs.
    pub recovery: f64,
    /// OPEN half-opens below this depth, in jobs.
    pub warning: f64,
    /// CLOSED opens at this depth, in jobs.
    pub critical: f64,
    /// HALF_OPEN opens again at this depth, in jobs. Equal to `warning` there is no hysteresis, and an
    /// overload pins the depth.
    pub reopen_at: f64,
    /// CLOSED sheds batch jobs from this depth on, in jobs.
    pub shed_depth: f64,
    /// Parallel servers. Below this depth some of them idle.
    pub servers: f64,
    /// Jobs per second that one busy server finishes.
    pub service_rate: f64,
}

/// A part of the load with constant rates.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Segment {
    /// Length in seconds.
    pub seconds: f64,
    /// Offered jobs per second.
    pub rates: PerClass,
}

/// One number for each class that admission tells apart.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PerClass {
    /// Priority 1, admitted in every state.
    pub urgent: f64,
    /// Priorities 2 to 5, rejected while OPEN.
    pub normal: f64,
    /// Priorities 6 to 10, rejected unless CLOSED below the shed depth.
    pub batch: f64,
}

/// The state of the circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Regime {
    /// Admits everything; urgent and normal jobs from the shed depth on.
    Closed,
    /// Admits urgent and normal jobs.
    HalfOpen,
    /// Admits urgent jobs.
    Open,
}

/// The solved path.
#[derive(Clone, Debug, PartialEq)]
pub struct FluidSolution {
    /// What happened, in order of time; of several events at one time the cause comes first.
    pub events: Vec<Event>,
    /// The system at the end of each segment.
    pub segments: Vec<SegmentEnd>,
    /// The largest depth, in jobs.
    pub peak: f64,
    /// Seconds from the start of the last segment until the circuit is CLOSED with the depth at or below
    /// `recovery`: 0 if it is so at that start, `None` if it is not so within the segment, or if there is
    /// no segment.
    pub recovery: Option<f64>,
    /// For each segment the cycle that its rates would sustain, whether or not the path enters it.
    pub limit_cycles: Vec<Option<LimitCycle>>,
}

/// Something that happens at one moment of the path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// Seconds since time 0.
    pub time: f64,
    /// What happens.
    pub kind: EventKind,
    /// Jobs in the system at that moment.
    pub depth: f64,
}

/// What happens in an [`Event`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The depth arrives, from either side, at a level that the present state watches.
    Reaches(Level),
    /// CLOSED -> OPEN.
    Opens,
    /// OPEN -> HALF_OPEN.
    HalfOpens,
    /// HALF_OPEN -> OPEN.
    Reopens,
    /// HALF_OPEN -> CLOSED.
    Closes,
    /// The depth stays at a threshold from now on. Leaving it again is no event.
    Slides(Pin),
}

/// A depth with a meaning. CLOSED watches recovery, shed and critical; HALF_OPEN recovery, warning and
/// reopen; OPEN only warning. Of equal levels the last one in these lists is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// [`System::recovery`].
    Recovery,
    /// [`System::warning`].
    Warning,
    /// [`System::shed_depth`].
    Shed,
    /// [`System::reopen_at`].
    Reopen,
    /// [`System::critical`].
    Critical,
}

/// A threshold that holds the depth: just below it the queue grows, just above it the queue drains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    /// CLOSED at the shed depth: part of the batch jobs is shed.
    Shed,
    /// Between HALF_OPEN and OPEN at `warning == reopen_at`, switching infinitely fast: part of the normal
    /// jobs is rejected.
    Warning,
}

/// The system at the end of a segment. Totals count from time 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SegmentEnd {
    /// Seconds since time 0.
    pub time: f64,
    /// Jobs in the system.
    pub depth: f64,
    /// State of the circuit; OPEN stands for both states while pinned at warning.
    pub state: Regime,
    /// The threshold that holds the depth at this moment, if one does.
    pub pinned: Option<Pin>,
    /// Rejected jobs so far.
    pub rejected: PerClass,
    /// Seconds spent OPEN so far; pinned at warning, its share of the time.
    pub open_seconds: f64,
    /// Integral of the depth so far, in job-seconds.
    pub depth_area: f64,
    /// Moves into OPEN so far; `None` once the depth has been pinned at warning, where they are infinite.
    pub opens: Option<u64>,
}

/// The relay limit cycle of a sustained overload: up from `warning` to `reopen_at` in HALF_OPEN, down
/// again in OPEN.
///
/// It exists when HALF_OPEN fills all the way and OPEN drains all the way, with `warning < reopen_at`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LimitCycle {
    /// Seconds from one opening to the next.
    pub period: f64,
    /// Seconds of each cycle in HALF_OPEN.
    pub fill_seconds: f64,
    /// Seconds of each cycle in OPEN.
    pub drain_seconds: f64,
    /// Moves into OPEN per hour.
    pub opens_per_hour: f64,
    /// Fraction of time in HALF_OPEN.
    pub half_open_fraction: f64,
    /// Fraction of time in OPEN.
    pub open_fraction: f64,
    /// Rejected fraction of the offered jobs of each class.
    pub rejected: PerClass,
    /// Rejected fraction of all offered jobs.
    pub rejected_all: f64,
    /// Jobs finished per second.
    pub throughput: f64,
    /// Smallest depth, in jobs.
    pub depth_min: f64,
    /// Largest depth, in jobs.
    pub depth_max: f64,
    /// Time average of the depth, in jobs.
    pub mean_depth: f64,
}

/// Solves a sustained overload with stale depths: each job is judged at its arrival and joins the queue
/// `latency` later, so every decision shows in the depth that much too late.
///
/// `None` unless `urgent < capacity < urgent + normal`, the overload that opens the circuit and that OPEN
/// can drain.
///
/// # Panics
///
/// If the system breaks a rule stated at [`System`], a number is negative or not finite, or the initial
/// depth is above the shed depth.
#[must_use]
pub fn stale(overload: &Stale) -> Option<StaleOutcome> {
    overload.check();
    let Stale { system, initial_depth, rates, latency } = overload;
    let capacity = system.servers * system.service_rate;
    let climb_all = EVERYTHING.inflow(rates) - capacity;
    let climb_shedding = NO_BATCH.inflow(rates) - capacity;
    if climb_shedding <= 0.0 || URGENT_ONLY.inflow(rates) >= capacity {
        return None;
    }

    // Shedding is decided when the depth reads S and takes effect one latency later.
    let shed_time = (system.shed_depth - initial_depth) / climb_all + latency;
    let shed_overshoot = climb_all * latency;
    let to_critical = system.critical - (system.shed_depth + shed_overshoot);
    let critical_time = shed_time + to_critical / if to_critical > 0.0 { climb_shedding } else { climb_all };

    // Whatever was admitted in the last `latency` seconds still arrives; batch jobs only those that were
    // admitted before shedding was decided.
    let batch_seconds = (shed_time - critical_time).max(0.0);
    let in_flight_at_critical = NO_BATCH.inflow(rates) * latency + rates.batch * batch_seconds;
    let critical_overshoot = in_flight_at_critical - capacity * latency;

    Some(StaleOutcome {
        shed_overshoot,
        critical_time,
        in_flight_at_critical,
        critical_overshoot,
        peak_time: critical_time + latency,
        peak: system.critical + critical_overshoot,
        cycle: stale_cycle(system, rates, *latency),
    })
}

/// The relay limit cycle with delay d, for a = urgent + normal - capacity and b = capacity - urgent
/// (Tsypkin 1984, "Relay Control Systems"): HALF_OPEN fills past X by a d, OPEN drains past W by b d.
///
/// The straight lines hold while all servers are busy, the cycle while it does not close.
fn stale_cycle(system: &System, rates: &PerClass, latency: f64) -> Option<StaleCycle> {
    let capacity = system.servers * system.service_rate;
    let fill = NO_BATCH.inflow(rates) - capacity;
    let drain = capacity - URGENT_ONLY.inflow(rates);

    let reopen_overshoot = fill * latency;
    let depth_max = system.reopen_at + reopen_overshoot;
    let depth_min = system.warning - drain * latency;
    if depth_min <= system.recovery || depth_min < system.servers {
        return None;
    }
    // Period (X - W + (a + b) d) (1/a + 1/b); without latency and hysteresis there is no cycle.
    let period = (depth_max - depth_min) * (1.0 / fill + 1.0 / drain);
    (period > 0.0).then(|| StaleCycle {
        reopen_overshoot,
        in_flight_at_reopen: NO_BATCH.inflow(rates) * latency,
        depth_max,
        depth_min,
        mean_depth: f64::midpoint(depth_max, depth_min),
        period,
        open_fraction: fill / (fill + drain),
        opens_per_hour: SECONDS_PER_HOUR / period,
    })
}

/// A sustained overload of a circuit that reads stale depths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stale {
    /// The queue and the circuit.
    pub system: System,
    /// Jobs in the system at time 0, CLOSED, at most the shed depth. The load has been on for a latency
    /// and all servers are busy from then on, even where this is less than `servers`.
    pub initial_depth: f64,
    /// Offered jobs per second, constant.
    pub rates: PerClass,
    /// Seconds between judging a job and its joining the queue.
    pub latency: f64,
}

/// The first opening under a sustained overload with stale depths, and the cycle that follows it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StaleOutcome {
    /// Jobs above the shed depth when shedding takes effect.
    pub shed_overshoot: f64,
    /// Seconds until the circuit first opens.
    pub critical_time: f64,
    /// Jobs admitted but not yet in the queue at that moment: the overshoot if no job finished meanwhile.
    pub in_flight_at_critical: f64,
    /// Jobs above critical at the peak.
    pub critical_overshoot: f64,
    /// Seconds until the depth is largest.
    pub peak_time: f64,
    /// The largest depth, in jobs.
    pub peak: f64,
    /// The cycle that follows; `None` if it would close the circuit or leave servers idle, or if neither
    /// latency nor hysteresis gives it a size.
    pub cycle: Option<StaleCycle>,
}

/// The limit cycle of a sustained overload with stale depths.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StaleCycle {
    /// Jobs above `reopen_at` at the top.
    pub reopen_overshoot: f64,
    /// Jobs admitted but not yet in the queue when the circuit reopens: the overshoot if no job finished
    /// meanwhile.
    pub in_flight_at_reopen: f64,
    /// Largest depth, in jobs.
    pub depth_max: f64,
    /// Smallest depth, in jobs.
    pub depth_min: f64,
    /// Time average of the depth, in jobs.
    pub mean_depth: f64,
    /// Seconds from one opening to the next.
    pub period: f64,
    /// Fraction of time in OPEN.
    pub open_fraction: f64,
    /// Moves into OPEN per hour.
    pub opens_per_hour: f64,
}

/// The system on its way through the segments.
struct Path<'a> {
    system: &'a System,
    time: f64,
    depth: f64,
    state: Regime,
    pinned: Option<Pin>,
    rejected: PerClass,
    open_seconds: f64,
    depth_area: f64,
    opens: Option<u64>,
    peak: f64,
    /// Seconds from the start of the present segment.
    recovery: Option<f64>,
    events: Vec<Event>,
}

impl<'a> Path<'a> {
    fn begin(fluid: &'a Fluid) -> Self {
        let mut path = Path {
            system: &fluid.system,
            time: 0.0,
            depth: fluid.initial_depth,
            state: fluid.initial_state,
            pinned: None,
            rejected: PerClass::default(),
            open_seconds: 0.0,
            depth_area: 0.0,
            opens: Some(0),
            peak: fluid.initial_depth,
            recovery: None,
            events: Vec::new(),
        };
        path.observe();
        path
    }

    /// The circuit's own rules at a depth that may lie beyond its thresholds, as at time 0.
    fn observe(&mut self) {
        let System { recovery, warning, critical, reopen_at, .. } = *self.system;
        if self.state == Regime::Open && self.depth < warning {
            self.enter(Regime::HalfOpen, EventKind::HalfOpens);
        }
        match self.state {
            Regime::Closed if self.depth >= critical => self.enter(Regime::Open, EventKind::Opens),
            Regime::HalfOpen if self.depth >= reopen_at => self.enter(Regime::Open, EventKind::Reopens),
            Regime::HalfOpen if self.depth <= recovery => self.enter(Regime::Closed, EventKind::Closes),
            _ => {}
        }
    }

    /// Goes through one segment, from event to event.
    fn follow(&mut self, segment: &Segment) -> SegmentEnd {
        let (start, end) = (self.time, self.time + segment.seconds);
        self.recovery = None;
        loop {
            let intake = self.settle(&segment.rates);
            if self.recovery.is_none() && self.has_recovered() {
                self.recovery = Some(self.time - start);
            }

            let remaining = (end - self.time).max(0.0);
            let law = match self.pinned {
                Some(_) => Law::Linear { slope: 0.0 },
                None => self.system.law(self.depth, intake.inflow(&segment.rates)),
            };
            let crossing = self
                .system
                .next_mark(self.state, self.depth, law.rises(self.depth))
                .and_then(|mark| Some((mark, law.seconds_between(self.depth, mark.depth)?)))
                .filter(|&(_, seconds)| seconds <= remaining);

            let Some((mark, seconds)) = crossing else {
                let depth = law.depth_after(self.depth, remaining);
                self.advance(remaining, depth, &law, &intake, &segment.rates);
                self.time = end;
                return self.segment_end();
            };
            self.advance(seconds, mark.depth, &law, &intake, &segment.rates);
            self.arrive(mark);
        }
    }

    /// Decides what happens at a threshold that the depth is on: whether it stays there, and whether OPEN
    /// is about to fall below `warning`. Returns the admissions that hold from here.
    fn settle(&mut self, rates: &PerClass) -> Intake {
        let was_pinned = self.pinned.is_some();
        let (intake, pinned) = self.system.intake(self.state, self.depth, rates);
        self.pinned = pinned;

        match pinned {
            Some(pin) if !was_pinned => {
                self.record(EventKind::Slides(pin));
                if pin == Pin::Warning {
                    self.opens = None;
                }
            }
            None if self.half_opens(rates) => {
                self.state = Regime::HalfOpen;
                if !was_pinned {
                    self.record(EventKind::HalfOpens);
                }
                return NO_BATCH;
            }
            _ => {}
        }
        intake
    }

    fn half_opens(&self, rates: &PerClass) -> bool {
        self.state == Regime::Open
            && self.depth <= self.system.warning
            && self.system.drift(self.depth, URGENT_ONLY.inflow(rates)) < 0.0
    }

    fn has_recovered(&self) -> bool {
        self.state == Regime::Closed && self.depth <= self.system.recovery
    }

    /// Adds up a stretch along which neither law nor admissions change.
    fn advance(&mut self, seconds: f64, depth: f64, law: &Law, intake: &Intake, rates: &PerClass) {
        self.rejected.normal += intake.normal_rejected * rates.normal * seconds;
        self.rejected.batch += intake.batch_rejected * rates.batch * seconds;
        self.open_seconds += intake.open * seconds;
        self.depth_area += law.area(self.depth, seconds);
        self.time += seconds;
        self.depth = depth;
        self.peak = self.peak.max(depth);
    }

    fn arrive(&mut self, mark: Mark) {
        let Some(level) = mark.level else { return };
        self.record(EventKind::Reaches(level));
        match (self.state, level) {
            (Regime::Closed, Level::Critical) => self.enter(Regime::Open, EventKind::Opens),
            (Regime::HalfOpen, Level::Reopen) => self.enter(Regime::Open, EventKind::Reopens),
            (Regime::HalfOpen, Level::Recovery) => self.enter(Regime::Closed, EventKind::Closes),
            // OPEN at warning either half-opens or stays there: `settle` decides.
            _ => {}
        }
    }

    fn enter(&mut self, state: Regime, kind: EventKind) {
        self.state = state;
        if state == Regime::Open {
            self.opens = self.opens.map(|opens| opens + 1);
        }
        self.record(kind);
    }

    fn record(&mut self, kind: EventKind) {
        self.events.push(Event { time: self.time, kind, depth: self.depth });
    }

    fn segment_end(&self) -> SegmentEnd {
        SegmentEnd {
            time: self.time,
            depth: self.depth,
            state: self.state,
            pinned: self.pinned,
            rejected: self.rejected,
            open_seconds: self.open_seconds,
            depth_area: self.depth_area,
            opens: self.opens,
        }
    }
}

impl System {
    /// The admissions at a depth, and the threshold that holds it, if one does.
    fn intake(&self, state: Regime, depth: f64, rates: &PerClass) -> (Intake, Option<Pin>) {
        match state {
            Regime::HalfOpen => (NO_BATCH, None),
            Regime::Open if depth <= self.warning && self.reopen_at <= self.warning => {
                self.at_switch(depth, rates, (NO_BATCH, URGENT_ONLY), Pin::Warning)
            }
            Regime::Open => (URGENT_ONLY, None),
            Regime::Closed => match depth.total_cmp(&self.shed_depth) {
                Ordering::Less => (EVERYTHING, None),
                Ordering::Equal => self.at_switch(depth, rates, (EVERYTHING, NO_BATCH), Pin::Shed),
                Ordering::Greater => (NO_BATCH, None),
            },
        }
    }

    /// On a threshold with different admissions below and above it: if both sides lead back to it, the
    /// depth slides along it, with the mixture of the two that has no drift (Filippov 1988, "Differential
    /// Equations with Discontinuous Righthand Sides").
    fn at_switch(
        &self,
        depth: f64,
        rates: &PerClass,
        (below, above): (Intake, Intake),
        pin: Pin,
    ) -> (Intake, Option<Pin>) {
        let up = self.drift(depth, below.inflow(rates));
        let down = -self.drift(depth, above.inflow(rates));
        if up > 0.0 && down > 0.0 {
            // Share w of time above, with (1 - w) up = w down.
            (below.mixed_with(&above, up / (up + down)), Some(pin))
        } else if down > 0.0 {
            (below, None)
        } else {
            (above, None)
        }
    }

    /// dn/dt in jobs per second.
    fn drift(&self, depth: f64, inflow: f64) -> f64 {
        inflow - depth.min(self.servers) * self.service_rate
    }

    /// How the depth moves from here, up to the nearest mark.
    fn law(&self, depth: f64, inflow: f64) -> Law {
        let slope = self.drift(depth, inflow);
        if depth < self.servers || (depth <= self.servers && slope < 0.0) {
            Law::Relaxing { rest: inflow / self.service_rate, rate: self.service_rate }
        } else {
            Law::Linear { slope }
        }
    }

    /// The first depth on the way at which something may change.
    fn next_mark(&self, state: Regime, depth: f64, rises: bool) -> Option<Mark> {
        let level = |level| {
            let depth = match level {
                Level::Recovery => self.recovery,
                Level::Warning => self.warning,
                Level::Shed => self.shed_depth,
                Level::Reopen => self.reopen_at,
                Level::Critical => self.critical,
            };
            Mark { depth, level: Some(level) }
        };
        let watched: &[Level] = match state {
            Regime::Closed => &[Level::Recovery, Level::Shed, Level::Critical],
            Regime::HalfOpen => &[Level::Recovery, Level::Warning, Level::Reopen],
            Regime::Open => &[Level::Warning],
        };
        let distance = |mark: &Mark| if rises { mark.depth - depth } else { depth - mark.depth };
        // The law changes where all servers become busy. Of equal marks the last one wins.
        std::iter::once(Mark { depth: self.servers, level: None })
            .chain(watched.iter().copied().map(level))
            .filter(|mark| distance(mark) > 0.0)
            .reduce(|nearest, mark| if distance(&mark) <= distance(&nearest) { mark } else { nearest })
    }

    /// The cycle warning -> reopen_at -> warning under constant rates.
    fn limit_cycle(&self, rates: &PerClass) -> Option<LimitCycle> {
        if self.reopen_at <= self.warning {
            return None;
        }
        let fill = self.travel(self.warning, self.reopen_at, NO_BATCH.inflow(rates))?;
        let drain = self.travel(self.reopen_at, self.warning, URGENT_ONLY.inflow(rates))?;
        let cycle = fill + drain;
        let open_fraction = drain.seconds / cycle.seconds;
        let intake = NO_BATCH.mixed_with(&URGENT_ONLY, open_fraction);
        // Over a whole cycle the depth does not change, so what is admitted is finished.
        let throughput = intake.inflow(rates);
        Some(LimitCycle {
            period: cycle.seconds,
            fill_seconds: fill.seconds,
            drain_seconds: drain.seconds,
            opens_per_hour: SECONDS_PER_HOUR / cycle.seconds,
            half_open_fraction: fill.seconds / cycle.seconds,
            open_fraction,
            rejected: PerClass { urgent: 0.0, normal: intake.normal_rejected, batch: intake.batch_rejected },
            rejected_all: 1.0 - throughput / EVERYTHING.inflow(rates),
            throughput,
            depth_min: self.warning,
            depth_max: self.reopen_at,
            mean_depth: cycle.area / cycle.seconds,
        })
    }

    /// The way between two depths with a constant inflow, if it leads there at all.
    fn travel(&self, from: f64, to: f64, inflow: f64) -> Option<Leg> {
        if (from < self.servers && self.servers < to) || (to < self.servers && self.servers < from) {
            return Some(self.travel(from, self.servers, inflow)? + self.travel(self.servers, to, inflow)?);
        }
        let law = self.law(from, inflow);
        let seconds = law.seconds_between(from, to)?;
        Some(Leg { seconds, area: law.area(from, seconds) })
    }

    fn check(&self) {
        let System { recovery, warning, critical, reopen_at, shed_depth, servers, service_rate } = *self;
        for depth in [recovery, warning, critical, reopen_at, shed_depth] {
            assert_amount(depth, "threshold");
        }
        assert!(recovery < warning, "recovery {recovery} is not below warning {warning}");
        assert!(warning <= reopen_at, "reopen_at {reopen_at} is below warning {warning}");
        assert!(reopen_at <= critical, "reopen_at {reopen_at} is above critical {critical}");
        assert!(shed_depth <= critical, "shed_depth {shed_depth} is above critical {critical}");
        assert_amount(servers, "number of servers");
        assert_amount(service_rate, "service rate");
        assert!(servers * service_rate > 0.0, "there is no capacity");
    }
}

impl Fluid {
    fn check(&self) {
        self.system.check();
        assert_amount(self.initial_depth, "initial depth");
        for segment in &self.segments {
            assert_amount(segment.seconds, "length of a segment");
            segment.rates.check();
        }
    }
}

impl Stale {
    fn check(&self) {
        self.system.check();
        self.rates.check();
        assert_amount(self.initial_depth, "initial depth");
        assert_amount(self.latency, "latency");
        assert!(self.initial_depth <= self.system.shed_depth, "the initial depth is above the shed depth");
    }
}

impl PerClass {
    fn check(&self) {
        for rate in [self.urgent, self.normal, self.batch] {
            assert_amount(rate, "rate");
        }
    }
}

fn assert_amount(value: f64, name: &str) {
    assert!(value.is_finite() && value >= 0.0, "{name} {value} is negative or not finite");
}

/// What admission does: rejected fractions, and the share of time in OPEN.
#[derive(Clone, Copy)]
struct Intake {
    normal_rejected: f64,
    batch_rejected: f64,
    open: f64,
}

/// CLOSED below the shed depth.
const EVERYTHING: Intake = Intake { normal_rejected: 0.0, batch_rejected: 0.0, open: 0.0 };
/// CLOSED from the shed depth on, and HALF_OPEN.
const NO_BATCH: Intake = Intake { normal_rejected: 0.0, batch_rejected: 1.0, open: 0.0 };
/// OPEN.
const URGENT_ONLY: Intake = Intake { normal_rejected: 1.0, batch_rejected: 1.0, open: 1.0 };

impl Intake {
    /// Admitted jobs per second.
    fn inflow(&self, rates: &PerClass) -> f64 {
        rates.urgent + rates.normal * (1.0 - self.normal_rejected) + rates.batch * (1.0 - self.batch_rejected)
    }

    /// This intake, with the other one for a share of the time.
    fn mixed_with(&self, other: &Intake, share: f64) -> Intake {
        let mix = |mine: f64, theirs: f64| mine * (1.0 - share) + theirs * share;
        Intake {
            normal_rejected: mix(self.normal_rejected, other.normal_rejected),
            batch_rejected: mix(self.batch_rejected, other.batch_rejected),
            open: mix(self.open, other.open),
        }
    }
}

/// The motion of the depth under constant admissions, on one side of the number of servers.
enum Law {
    /// All servers busy: n(t) = n + slope t.
    Linear { slope: f64 },
    /// Some servers idle: n(t) = rest + (n - rest) exp(-rate t).
    Relaxing { rest: f64, rate: f64 },
}

impl Law {
    fn rises(&self, depth: f64) -> bool {
        match *self {
            Law::Linear { slope } => slope > 0.0,
            Law::Relaxing { rest, .. } => rest > depth,
        }
    }

    /// Seconds until the depth, now `from`, is `to`; `None` if that never happens.
    fn seconds_between(&self, from: f64, to: f64) -> Option<f64> {
        let seconds = match *self {
            Law::Linear { slope } => (to - from) / slope,
            // t = ln((from - rest) / (to - rest)) / rate
            Law::Relaxing { rest, rate } => ((from - to) / (to - rest)).ln_1p() / rate,
        };
        (seconds.is_finite() && seconds > 0.0).then_some(seconds)
    }

    fn depth_after(&self, from: f64, seconds: f64) -> f64 {
        match *self {
            Law::Linear { slope } => from + slope * seconds,
            Law::Relaxing { rest, rate } => rest + (from - rest) * (-rate * seconds).exp(),
        }
    }

    /// Integral of the depth over the next `seconds`, in job-seconds.
    fn area(&self, from: f64, seconds: f64) -> f64 {
        match *self {
            Law::Linear { slope } => (from + 0.5 * slope * seconds) * seconds,
            // rest t + (from - rest) (1 - exp(-rate t)) / rate
            Law::Relaxing { rest, rate } => {
                rest * seconds - (from - rest) * (-rate * seconds).exp_m1() / rate
            }
        }
    }
}

/// A depth at which the motion or the circuit may change; without a level it is the number of servers.
#[derive(Clone, Copy)]
struct Mark {
    depth: f64,
    level: Option<Level>,
}

/// A stretch of time and the integral of the depth over it.
#[derive(Clone, Copy)]
struct Leg {
    seconds: f64,
    area: f64,
}

impl Add for Leg {
    type Output = Leg;

    fn add(self, other: Leg) -> Leg {
        Leg { seconds: self.seconds + other.seconds, area: self.area + other.area }
    }
}

const SECONDS_PER_HOUR: f64 = 3600.0;
