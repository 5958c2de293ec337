//! The general event calendar, for events that are rare.
//!
//! A binary heap ordered by time, and by insertion among events of one time, so that the order of equal
//! times never depends on the heap. What happens millions of times (arrivals, landings, completions) does
//! not go through here: measured against a heap of fat events, keeping these hot sources apart is 2 to 3
//! times faster.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::time::SimTime;

/// Future events of type `E` in order of time.
#[derive(Debug)]
pub struct Calendar<E> {
    heap: BinaryHeap<Reverse<Entry<E>>>,
    next: SimTime,
    scheduled: u64,
}

#[derive(Debug)]
struct Entry<E> {
    time: SimTime,
    sequence: u64,
    event: E,
}

impl<E> Default for Calendar<E> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), next: SimTime::NEVER, scheduled: 0 }
    }
}

impl<E> Calendar<E> {
    /// Enters an event.
    pub fn schedule(&mut self, time: SimTime, event: E) {
        self.heap.push(Reverse(Entry { time, sequence: self.scheduled, event }));
        self.scheduled += 1;
        self.next = self.next.min(time);
    }

    /// Time of the earliest event, `SimTime::NEVER` if there is none.
    #[inline]
    pub fn next_time(&self) -> SimTime {
        self.next
    }

    /// Takes the earliest event out; of several at one time, the one that was entered first.
    pub fn pop(&mut self) -> Option<(SimTime, E)> {
        let Reverse(entry) = self.heap.pop()?;
        self.next = self.heap.peek().map_or(SimTime::NEVER, |Reverse(next)| next.time);
        Some((entry.time, entry.event))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.time, self.sequence).cmp(&(other.time, other.sequence))
    }
}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E> Eq for Entry<E> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_leave_by_time_and_then_by_insertion() {
        let mut calendar = Calendar::default();
        for (time, name) in [(5, 'c'), (3, 'a'), (5, 'd'), (3, 'b'), (9, 'e')] {
            calendar.schedule(SimTime(time), name);
        }
        let mut order = String::new();
        while calendar.next_time() < SimTime::NEVER {
            order.push(calendar.pop().expect("the next time is finite").1);
        }
        assert_eq!(order, "abcde");
        assert!(calendar.pop().is_none());
    }
}
