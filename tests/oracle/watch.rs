//! Probes: what the comparisons need and no report shows.
//!
//! A `Ledger` adds up over a window of a run: time at each depth and in each state, moves, jobs, waits. The
//! window is a stretch of time, or whole cycles from opening to opening.

use backpressure::State;
use backpressure_sim::engine::time::SimTime;
use backpressure_sim::model::config::ModelConfig;
use backpressure_sim::model::probe::Probe;

/// Which part of a run counts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Window {
    From(SimTime),
    /// From one move into OPEN, counted from 1, to another.
    Openings(u64, u64),
}

/// Sums over a window.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    window: Window,
    now: SimTime,
    depth: u64,
    state: State,
    openings_so_far: u64,
    wait_levels: Vec<f64>,
    wait_centre: f64,
    is_open: bool,
    /// Whether the window was closed as it should.
    pub(crate) complete: bool,
    /// Nanoseconds at each depth.
    pub(crate) depth_time: Vec<u64>,
    /// Nanoseconds in each state, by its code.
    pub(crate) state_time: [u64; 3],
    pub(crate) opens: u64,
    pub(crate) opens_from_closed: u64,
    pub(crate) closes: u64,
    /// By class.
    pub(crate) offered: Vec<u64>,
    pub(crate) rejected: Vec<u64>,
    pub(crate) completed: u64,
    pub(crate) started: u64,
    pub(crate) waited: u64,
    /// Seconds.
    pub(crate) wait_sum: f64,
    /// Squared distances from `wait_centre`.
    pub(crate) wait_squares: f64,
    /// Waits above each of `wait_levels`.
    pub(crate) waits_above: Vec<u64>,
    /// Seconds from arrival to completion.
    pub(crate) sojourn_sum: f64,
}

impl Ledger {
    pub(crate) fn new(config: &ModelConfig, window: Window) -> Self {
        let classes = config.classes.len();
        Self {
            window,
            now: SimTime::ZERO,
            depth: config.start.jobs,
            state: config.start.circuit,
            openings_so_far: 0,
            wait_levels: Vec::new(),
            wait_centre: 0.0,
            is_open: matches!(window, Window::From(SimTime::ZERO)),
            complete: matches!(window, Window::From(_)),
            depth_time: Vec::new(),
            state_time: [0; 3],
            opens: 0,
            opens_from_closed: 0,
            closes: 0,
            offered: vec![0; classes],
            rejected: vec![0; classes],
            completed: 0,
            started: 0,
            waited: 0,
            wait_sum: 0.0,
            wait_squares: 0.0,
            waits_above: Vec::new(),
            sojourn_sum: 0.0,
        }
    }

    /// Also counts waits above each of the levels, and their squared distances from the centre, in seconds.
    pub(crate) fn with_waits(self, levels: &[f64], centre: f64) -> Self {
        let waits_above = vec![0; levels.len()];
        Self { wait_levels: levels.to_vec(), wait_centre: centre, waits_above, ..self }
    }

    /// Books the time until now.
    pub(crate) fn advance(&mut self, now: SimTime) {
        if let Window::From(from) = self.window
            && !self.is_open
            && now >= from
        {
            self.is_open = true;
            self.now = from;
        }
        if self.is_open {
            let span = now.since(self.now).0;
            let depth = self.depth as usize;
            if depth >= self.depth_time.len() {
                self.depth_time.resize(depth + 1, 0);
            }
            self.depth_time[depth] += span;
            self.state_time[usize::from(self.state.code())] += span;
        }
        self.now = now;
    }

    /// Length of the window in seconds.
    pub(crate) fn seconds(&self) -> f64 {
        self.state_time.iter().sum::<u64>() as f64 / 1e9
    }

    /// Integral over the window of a function of the depth, in seconds times its unit.
    pub(crate) fn integral(&self, of: impl Fn(f64) -> f64) -> f64 {
        let parts = self.depth_time.iter().enumerate().filter(|(_, time)| **time > 0);
        parts.map(|(depth, &time)| of(depth as f64) * time as f64).sum::<f64>() / 1e9
    }
}

impl Probe for Ledger {
    fn arrived(&mut self, now: SimTime, class: usize, admitted: bool) {
        self.advance(now);
        if self.is_open {
            self.offered[class] += 1;
            self.rejected[class] += u64::from(!admitted);
        }
    }

    fn started(&mut self, now: SimTime, arrived: SimTime) {
        self.advance(now);
        if self.is_open {
            let wait = now.since(arrived);
            let seconds = wait.as_secs_f64();
            self.started += 1;
            self.waited += u64::from(wait.0 > 0);
            self.wait_sum += seconds;
            self.wait_squares += (seconds - self.wait_centre).powi(2);
            for (level, above) in self.wait_levels.iter().zip(&mut self.waits_above) {
                *above += u64::from(seconds > *level);
            }
        }
    }

    fn completed(&mut self, now: SimTime, arrived: SimTime) {
        self.advance(now);
        if self.is_open {
            self.completed += 1;
            self.sojourn_sum += now.since(arrived).as_secs_f64();
        }
    }

    fn moved(&mut self, now: SimTime, _circuit: usize, from: State, to: State, _depth: u64) {
        self.advance(now);
        self.state = to;
        if to == State::Open {
            self.openings_so_far += 1;
            if let Window::Openings(first, last) = self.window {
                self.is_open = (first..last).contains(&self.openings_so_far);
                self.complete |= self.openings_so_far == last;
            }
        }
        if self.is_open {
            self.opens += u64::from(to == State::Open);
            self.opens_from_closed += u64::from(to == State::Open && from == State::Closed);
            self.closes += u64::from(to == State::Closed);
        }
    }

    fn settled(&mut self, now: SimTime, depth: u64) {
        self.advance(now);
        self.depth = depth;
    }
}

/// A run as it was at one moment: the state and the counts since the start.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) depth: u64,
    pub(crate) state: State,
    pub(crate) rejected: Vec<u64>,
    pub(crate) opens: u64,
    pub(crate) completed: u64,
    pub(crate) open_seconds: f64,
    /// Integral of the depth.
    pub(crate) depth_area: f64,
}

/// Takes snapshots at given times, in order.
pub(crate) struct Photographer {
    times: Vec<SimTime>,
    ledger: Ledger,
    pub(crate) snapshots: Vec<Snapshot>,
}

impl Photographer {
    pub(crate) fn new(config: &ModelConfig, times: &[f64]) -> Self {
        let at = |seconds: &f64| SimTime((seconds * 1e9).round() as u64);
        Self {
            times: times.iter().map(at).collect(),
            ledger: Ledger::new(config, Window::From(SimTime::ZERO)),
            snapshots: Vec::new(),
        }
    }

    /// Takes what is due before an event at `now`; at the end of the run, the rest.
    pub(crate) fn catch_up(&mut self, now: SimTime) {
        while let Some(&due) = self.times.get(self.snapshots.len())
            && due <= now
        {
            self.ledger.advance(due);
            let ledger = &self.ledger;
            self.snapshots.push(Snapshot {
                depth: ledger.depth,
                state: ledger.state,
                rejected: ledger.rejected.clone(),
                opens: ledger.opens,
                completed: ledger.completed,
                open_seconds: ledger.state_time[usize::from(State::Open.code())] as f64 / 1e9,
                depth_area: ledger.integral(|depth| depth),
            });
        }
    }
}

impl Probe for Photographer {
    fn arrived(&mut self, now: SimTime, class: usize, admitted: bool) {
        self.catch_up(now);
        self.ledger.arrived(now, class, admitted);
    }
    fn completed(&mut self, now: SimTime, arrived: SimTime) {
        self.catch_up(now);
        self.ledger.completed(now, arrived);
    }
    fn moved(&mut self, now: SimTime, circuit: usize, from: State, to: State, depth: u64) {
        self.catch_up(now);
        self.ledger.moved(now, circuit, from, to, depth);
    }
    fn settled(&mut self, now: SimTime, depth: u64) {
        self.catch_up(now);
        self.ledger.settled(now, depth);
    }
}

/// Two probes at once.
impl<A: Probe, B: Probe> Probe for Both<A, B> {
    fn arrived(&mut self, now: SimTime, class: usize, admitted: bool) {
        self.0.arrived(now, class, admitted);
        self.1.arrived(now, class, admitted);
    }
    fn started(&mut self, now: SimTime, arrived: SimTime) {
        self.0.started(now, arrived);
        self.1.started(now, arrived);
    }
    fn completed(&mut self, now: SimTime, arrived: SimTime) {
        self.0.completed(now, arrived);
        self.1.completed(now, arrived);
    }
    fn moved(&mut self, now: SimTime, circuit: usize, from: State, to: State, depth: u64) {
        self.0.moved(now, circuit, from, to, depth);
        self.1.moved(now, circuit, from, to, depth);
    }
    fn settled(&mut self, now: SimTime, depth: u64) {
        self.0.settled(now, depth);
        self.1.settled(now, depth);
    }
}

/// See its `Probe`.
pub(crate) struct Both<A, B>(pub(crate) A, pub(crate) B);

/// Every move of the circuit, and the peak depth from each opening until the circuit leaves OPEN.
#[derive(Clone, Debug, Default)]
pub(crate) struct Diary {
    pub(crate) moves: Vec<Move>,
    pub(crate) peaks_while_open: Vec<u64>,
    pub(crate) peak: u64,
    depth: u64,
    is_open: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Move {
    pub(crate) at: SimTime,
    pub(crate) from: State,
    pub(crate) to: State,
}

impl Diary {
    /// When the circuit opened.
    pub(crate) fn openings(&self) -> Vec<SimTime> {
        self.moves.iter().filter(|entry| entry.to == State::Open).map(|entry| entry.at).collect()
    }
}

impl Probe for Diary {
    fn moved(&mut self, at: SimTime, _circuit: usize, from: State, to: State, _depth: u64) {
        self.moves.push(Move { at, from, to });
        self.is_open = to == State::Open;
        if self.is_open {
            self.peaks_while_open.push(self.depth);
        }
    }

    fn settled(&mut self, _now: SimTime, depth: u64) {
        self.depth = depth;
        self.peak = self.peak.max(depth);
        if self.is_open
            && let Some(peak) = self.peaks_while_open.last_mut()
        {
            *peak = depth.max(*peak);
        }
    }
}
