//! The simulation engine: time, random streams and the two calendars. It knows nothing of queues or policies.

pub mod calendar;
pub mod digest;
pub mod slots;
pub mod stream;
pub mod time;
