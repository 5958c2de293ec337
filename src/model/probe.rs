//! Watching a run from outside, job by job. A run without a probe pays nothing for it.

use backpressure::State;

use crate::engine::time::SimTime;

/// Receives the events of a run, in order. All methods do nothing unless overridden.
pub trait Probe {
    /// A job arrived and was let in or not.
    fn arrived(&mut self, _now: SimTime, _class: usize, _admitted: bool) {}
    /// A job that arrived at `arrived` began service.
    fn started(&mut self, _now: SimTime, _arrived: SimTime) {}
    /// A job that arrived at `arrived` was completed.
    fn completed(&mut self, _now: SimTime, _arrived: SimTime) {}
    /// A circuit moved; OPEN to CLOSED is two moves at one time.
    fn moved(&mut self, _now: SimTime, _circuit: usize, _from: State, _to: State, _depth: u64) {}
    /// An event is complete: a job arrived, landed or left, and this is the depth now.
    fn settled(&mut self, _now: SimTime, _depth: u64) {}
}

/// Watches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoProbe;

impl Probe for NoProbe {}

impl<P: Probe> Probe for &mut P {
    fn arrived(&mut self, now: SimTime, class: usize, admitted: bool) {
        (**self).arrived(now, class, admitted);
    }
    fn started(&mut self, now: SimTime, arrived: SimTime) {
        (**self).started(now, arrived);
    }
    fn completed(&mut self, now: SimTime, arrived: SimTime) {
        (**self).completed(now, arrived);
    }
    fn moved(&mut self, now: SimTime, circuit: usize, from: State, to: State, depth: u64) {
        (**self).moved(now, circuit, from, to, depth);
    }
    fn settled(&mut self, now: SimTime, depth: u64) {
        (**self).settled(now, depth);
    }
}
