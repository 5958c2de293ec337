//! What happened, kept until somebody asks.
//!
//! The core calls nobody: it writes events into a ring of fixed size, and the caller polls them when it has time. If the
//! caller never does, the ring keeps the latest [`CAPACITY`] events and counts what it lost.

use crate::state::{Health, State};
use crate::time::Nanos;

/// How many events wait to be polled before the oldest is given up.
pub const CAPACITY: usize = 64;

/// Something that happened. Polled in the order in which it happened, through
/// [`Policy::poll_event`](crate::Policy::poll_event).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// The circuit moved. OPEN to CLOSED never happens in one move: it is reported as two, at the same moment.
    Transition {
        /// The state it left.
        from: State,
        /// The state it entered.
        to: State,
        /// The depth that moved it, in jobs.
        depth: u64,
        /// When.
        at: Nanos,
    },
    /// The health of the queue changed.
    Health {
        /// Before.
        from: Health,
        /// After.
        to: Health,
        /// The depth that changed it, in jobs; after new settings, the last known one.
        depth: u64,
        /// When.
        at: Nanos,
    },
    /// Somebody reset the circuit to CLOSED. No [`Event::Transition`] accompanies it.
    Reset {
        /// The state it was in.
        from: State,
        /// When.
        at: Nanos,
    },
}

impl Event {
    /// When it happened.
    #[must_use]
    pub const fn at(&self) -> Nanos {
        match *self {
            Event::Transition { at, .. } | Event::Health { at, .. } | Event::Reset { at, .. } => at,
        }
    }
}

/// The ring. When it is full, the oldest event makes room: what is left is always the unbroken latest history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EventQueue {
    slots: [Event; CAPACITY],
    first: usize,
    len: usize,
    dropped: u64,
}

impl EventQueue {
    pub(crate) const fn new() -> EventQueue {
        let filler = Event::Reset { from: State::Closed, at: Nanos::ZERO };
        EventQueue { slots: [filler; CAPACITY], first: 0, len: 0, dropped: 0 }
    }

    pub(crate) fn push(&mut self, event: Event) {
        if self.len == CAPACITY {
            self.first = (self.first + 1) % CAPACITY;
            self.len -= 1;
            self.dropped += 1;
        }
        self.slots[(self.first + self.len) % CAPACITY] = event;
        self.len += 1;
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        if self.len == 0 {
            return None;
        }
        let event = self.slots[self.first];
        self.first = (self.first + 1) % CAPACITY;
        self.len -= 1;
        Some(event)
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }
}
