//! The gateway on real parts: redis-server, BullMQ's own workers and queues, kill -9. `tests/run` installs them; without them
//! these tests fail, they are not skipped.
#![allow(clippy::unwrap_used, reason = "in a test it is the assertion")]

mod bullmq;
mod cluster;
mod endpoints;
mod event;
mod faults;
mod kill;
mod limits;
mod metrics;
mod overshoot;
mod queue;
mod settings;
mod spill;
mod support;
