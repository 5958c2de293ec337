//! The simulation engine: time, random streams, calendars. It knows nothing of queues or policies.

pub mod time;
