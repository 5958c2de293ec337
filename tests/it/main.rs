//! Behaviour of the whole crate, one module for each part.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::float_cmp, reason = "what is written in a file is read exactly")]

mod arrivals;
mod bounds;
mod check;
mod command;
mod compare;
mod contract;
mod detailed;
mod determinism;
mod exact;
mod examples;
mod faults;
mod floors;
mod fluid;
mod forecast;
mod hints;
mod import;
mod limit;
mod memory;
mod metastable;
mod model;
mod new;
mod objectives;
mod plan;
mod plan_env;
mod plan_files;
mod plan_report;
mod prometheus;
mod random;
mod report;
mod report_parts;
mod scenario;
mod scenarios;
mod schema;
mod selection;
mod spike;
mod support;
mod sweep;
mod traffic;
