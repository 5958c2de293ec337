//! A flight simulator for services behind a queue.
//!
//! Jobs arrive at gateways, which admit or reject them by the depth of a queue; workers serve the queue. Will this
//! configuration survive its spike? The simulator answers before production does: it runs the *real* admission
//! policy (the [`backpressure`] crate, the same code that the gateway runs) against simulated arrivals, queue, Redis
//! and workers, many times with different random numbers, and reports each figure with its confidence interval.
//!
//! # The picture
//!
//! ```text
//!   scenario.toml
//!        |  scenario: read and checked; what comes out cannot be invalid
//!        v
//!   +---------------------------- model: one replication -----------------------------+
//!   |                                                                                 |
//!   |   arrivals --> gateway --admit--> waiting line --> workers --> completed        |
//!   |                  |  ^                  |                                        |
//!   |                  |  +---- depth -------+   the policy sees it, perhaps late     |
//!   |               rejected                                                          |
//!   |                                                                                 |
//!   +-------- engine: simulated time, event calendars, named random streams ----------+
//!        |  one Outcome for each replication
//!        v
//!   experiment: replications in parallel, folded in order --> Findings
//!        |
//!        +--> report: terminal, HTML, JSON, CSV
//!        +--> check, compare: is it worse than before? what differs?
//!        +--> study --> plan: many configurations; the cheapest that meets the objectives
//! ```
//!
//! # An example
//!
//! A scenario is TOML, whether it comes from a file or from a program. This one overloads a service for ten seconds:
//!
//! ```
//! use std::path::Path;
//!
//! use backpressure_sim::experiment::{self, Unattended};
//! use backpressure_sim::model::metric::Metric;
//! use backpressure_sim::scenario;
//!
//! let text = r#"
//!     duration = "60s"
//!     replications = 5
//!     slo = ["lost_jobs == 0"]
//!
//!     [arrivals]
//!     phases = [
//!         { name = "calm", for = "10s", rate = "50/s" },
//!         { name = "spike", for = "10s", rate = "300/s", spike = true },
//!         { name = "after", rate = "50/s" },
//!     ]
//!
//!     [policy]
//!     recovery = 50
//!     warning = 100
//!     critical = 500
//!
//!     [workers]
//!     concurrency = 10
//!     overhead = "0s"
//!     service_time = { distribution = "exponential", mean = "100ms" }
//! "#;
//! let loaded = scenario::from_str(text, "spike.toml", Path::new(""), &[])?;
//! let findings = experiment::run(&loaded.scenario, &Unattended).expect("nobody interrupts it");
//!
//! let peak = findings.summary.metric(Metric::PeakDepth);
//! println!("the queue peaks at {:.0} jobs", peak.mean.expect("it has a depth"));
//! // The circuit opens at 500 jobs, so the queue grows no further.
//! assert!(peak.max.is_some_and(|most| most <= 500.0));
//! assert!(findings.summary.metric(Metric::Rejected).min.is_some_and(|least| least > 0.0));
//! # Ok::<(), backpressure_sim::scenario::ScenarioError>(())
//! ```
//!
//! The same scenario, seed and version give the same bytes on any machine and any number of threads. There are more
//! programs in `examples/`: a sweep over one threshold, the simulator against Erlang's formula, and the policy alone.
//!
//! # The rooms
//!
//! From the top to the bottom; a room imports only from floors below its own (`tests/it/floors.rs` checks that).
//!
//! | floor | room | what it does |
//! |---|---|---|
//! | 9 | the `simulate` command | reads arguments, prints results, ends with an exit code |
//! | 8 | [`report`] | turns findings into text, pages, charts, tables and documents |
//! | 7 | [`plan`] | searches the cheapest configuration that meets the objectives |
//! | 6 | [`study`] | runs every configuration of a grid, on one machine or many; finds the limit of a load |
//! | 6 | [`check`] | compares scenarios with their baseline: the gate of continuous integration |
//! | 6 | [`mod@compare`] | shows what differs between two scenarios or results |
//! | 5 | [`experiment`] | runs the replications of a scenario in parallel and summarises them |
//! | 4 | [`scenario`] | reads and checks scenario files, and reports every mistake in them |
//! | 4 | [`alerts`] | evaluates alert rules on a run as Prometheus would |
//! | 3 | [`model`] | simulates one replication: the events and what they do |
//! | 2 | [`stats`] | estimates means, intervals and differences |
//! | 2 | [`import`] | recognises and reads recordings of other tools |
//! | 1 | [`engine`] | keeps simulated time, event calendars and random streams |
//! | 1 | [`units`] | reads and writes durations, rates, sizes and fractions |
//! | 1 | [`memory`] | computes the Redis memory of BullMQ jobs |
//! | 1 | [`fluid`] | solves the fluid limit of a queue behind the circuit: no noise, exact |
//! | 1 | [`selection`] | selects the best of many candidates with a stated probability |
//! | 1 | [`files`] | replaces files as a whole |
//! | 1 | [`text`] | writes plurals and strings of TOML |
//!
//! To read the code, begin with [`model`], where one `match` handles all events, and go on to [`experiment::run`].

pub mod alerts;
pub mod check;
pub mod compare;
pub mod engine;
pub mod experiment;
pub mod files;
pub mod fluid;
pub mod import;
pub mod memory;
pub mod model;
pub mod plan;
pub mod report;
pub mod scenario;
pub mod selection;
pub mod stats;
pub mod study;
pub mod text;
pub mod units;
