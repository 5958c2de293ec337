//! One replication of the service.
pub mod config;
pub mod distribution;
pub mod metric;
