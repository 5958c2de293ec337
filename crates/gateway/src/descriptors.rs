//! File descriptors: enough for every connection that the settings allow, and for what the gateway needs besides.
//!
//! Without them the first thing to fail under many clients is whatever opens a file next: the journal, or a connection to Redis.

use anyhow::{Context, bail};
use contract::variables::MAX_CONNECTIONS;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::http::admin;
use crate::settings::Settings;
use crate::spill;

/// Raises the soft limit of the process to what the settings need.
///
/// # Errors
/// The hard limit is lower; says what would fit.
pub fn reserve(settings: &Settings) -> anyhow::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let others = others(settings);
    let needed = settings.limits.connections.most as u64 + others;
    if limit.maximum.is_some_and(|hard| hard < needed) {
        let hard = limit.maximum.unwrap_or_default();
        bail!(
            "{}={} needs {needed} file descriptors, and the system allows {hard} (ulimit -Hn): raise that, or set {} to at most {}",
            MAX_CONNECTIONS.name,
            settings.limits.connections.most,
            MAX_CONNECTIONS.name,
            hard.saturating_sub(others)
        );
    }
    if limit.current.is_some_and(|soft| soft < needed) {
        setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum: limit.maximum })
            .context("cannot raise the limit of file descriptors")?;
    }
    Ok(())
}

/// Most that may be open now: the soft limit.
#[must_use]
pub fn most() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// For everything but connections on the port for events.
fn others(settings: &Settings) -> u64 {
    // Two connections to each shard, each of which may be lost and opened again at a time, and may ask another node first.
    let shards = settings.redis.as_ref().map_or(0, |redis| u64::from(redis.shards));
    admin::MOST_CONNECTIONS as u64 + 8 * shards + FILES
}

/// Listeners, the segments of the journal, logs, the database, the runtimes, and connections that are accepted to be refused.
const FILES: u64 = 64 + spill::MOST_FILES as u64;
