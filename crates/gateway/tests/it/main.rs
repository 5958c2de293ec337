//! The gateway on real parts: redis-server, BullMQ's own workers and queues, kill -9. `tests/run` installs them; without them
//! these tests fail, they are not skipped.
#![allow(clippy::unwrap_used, reason = "in a test it is the assertion")]

mod access;
mod bullmq;
mod cluster;
mod credentials;
mod endpoints;
mod event;
mod faults;
mod kill;
mod limits;
mod metrics;
mod outcomes;
mod overshoot;
mod queue;
mod repeats;
mod settings;
mod spill;
mod support;
