//! The environment variables of the gateway. Those of the specification keep its names and defaults.
//!
//! One row is one variable: `NAME = default, bounds` and what else there is to say; its doc comment is its meaning in the help text and
//! in the documentation. A new variable is a row here and the line of the gateway's settings that reads it.

use crate::variable::{Bounds, Relation, Sets, Variable};
use Bounds::{Address, AnyOf, Choice, Flag, FolderOrOff, Percent, Priorities, Text, Url, Whole, WholeOr};
use Relation::{Above, AboveOrAtMost, AtLeast, AtMost, Below};
use Sets::{Nothing, Policy, Scenario};

macro_rules! variables {
    ($(
        #[doc = $first:literal] $(#[doc = $next:literal])*
        $name:ident = $default:literal, $bounds:expr $(, $field:ident: $value:expr)*;
    )*) => {
        $(
            #[doc = $first] $(#[doc = $next])*
            pub const $name: Variable = Variable {
                $($field: $value,)*
                ..row(stringify!($name), $default, $bounds, concat!($first $(, $next)*))
            };
        )*
        /// All of them, in the order of the documentation.
        pub const ALL: &[Variable] = &[$($name),*];
    };
}

const fn row(name: &'static str, default: &'static str, bounds: Bounds, meaning: &'static str) -> Variable {
    let meaning = meaning.trim_ascii();
    Variable { name, default, bounds, unit: "", relations: &[], meaning, sets: Nothing, is_secret: false }
}

variables! {
    /// whether the policy rejects anything; the circuit moves and is reported in any case
    ENABLE_BACKPRESSURE = "true", Flag, sets: Policy("enabled");
    /// health becomes `warning`; an open circuit half-opens below it
    QUEUE_WARNING_THRESHOLD = "10000", Whole { least: 1, most: MOST_JOBS }, unit: "jobs", sets: Policy("warning"),
        relations: &[Above("QUEUE_RECOVERY_THRESHOLD"), Below("QUEUE_CRITICAL_THRESHOLD")];
    /// the circuit opens at this depth
    QUEUE_CRITICAL_THRESHOLD = "50000", Whole { least: 1, most: MOST_JOBS }, unit: "jobs", sets: Policy("critical"),
        relations: &[Above("QUEUE_WARNING_THRESHOLD")];
    /// a half-open circuit closes at this depth
    QUEUE_RECOVERY_THRESHOLD = "5000", Whole { least: 1, most: MOST_JOBS }, unit: "jobs", sets: Policy("recovery"),
        relations: &[Below("QUEUE_WARNING_THRESHOLD")];
    /// priority of event types that are in no table
    DEFAULT_EVENT_PRIORITY = "5", Whole { least: 1, most: 10 }, sets: Policy("default_priority");
    /// jobs that one worker does at a time: reported for dashboards, and obeyed by the embedded workers
    RULE_ENGINE_WORKER_CONCURRENCY = "20", Whole { least: 1, most: 10_000 }, unit: "jobs",
        sets: Scenario("workers.concurrency");
    /// kind of policy: a set of priorities for each state, or a cut that moves with the depth
    QUEUE_POLICY = "spec", Choice(&["spec", "graded"]), sets: Policy("kind");
    /// percent of critical from which priorities above 5 are rejected by the policy spec
    QUEUE_SHED_PERCENT = "80", Percent, sets: Policy("shed_at");
    /// a half-open circuit opens again at this depth; critical if not set
    QUEUE_REOPEN_THRESHOLD = "", Whole { least: 1, most: MOST_JOBS }, unit: "jobs", sets: Policy("reopen_at"),
        relations: &[AtLeast("QUEUE_WARNING_THRESHOLD"), AtMost("QUEUE_CRITICAL_THRESHOLD")];
    /// event types beside or instead of those of the specification
    EVENT_PRIORITIES = "", Priorities, sets: Scenario("class.priority");
    /// how the depth is known: checked by the script that enqueues; asked before each enqueue; or sampled
    DEPTH_MODE = "atomic", Choice(&depth_mode::WORDS), sets: Scenario("policy.observe");
    /// how often the depth is read beside that: the age of a sampled depth, and how soon a drained queue closes the circuit
    /// without traffic
    DEPTH_INTERVAL_MS = "50", Whole { least: 1, most: 3_600_000 }, unit: "ms", sets: Policy("observe_every");
    /// age from which a depth counts as unknown
    DEPTH_VALID_MS = "2000", WholeOr { least: 1, most: 3_600_000, word: NEVER }, unit: "ms", sets: Policy("depth_valid_for"),
        relations: &[AtLeast("DEPTH_INTERVAL_MS")];
    /// what is admitted while the depth is unknown
    ON_UNKNOWN_DEPTH = "admit", Choice(&["admit", "urgent-only", "reject"]), sets: Policy("on_unknown_depth");
    /// address to listen on
    HOST = "0.0.0.0", Address;
    /// port to listen on; 0 takes a free one
    PORT = "3000", Whole { least: 0, most: 65_535 };
    /// address of the admin port, for probes, Prometheus and operators: the same endpoints without the one that takes events
    ADMIN_HOST = "0.0.0.0", Address;
    /// the admin port, served by a thread of its own that no load on PORT can starve; 0 takes a free one
    ADMIN_PORT = "3001", Whole { least: 0, most: 65_535 };
    /// the Redis of the queue; needed, unless EMBEDDED_QUEUE is true
    REDIS_URL = "", Url { schemes: &["redis://", "rediss://"], rest: "[[user]:password@]host[:port][/database]" },
        is_secret: true;
    /// whether REDIS_URL is a node of a Redis Cluster
    REDIS_CLUSTER = "false", Flag, sets: Scenario("redis.shards");
    /// longest wait for an answer of Redis, and for a connection
    REDIS_TIMEOUT_MS = "500", Whole { least: 1, most: 60_000 }, unit: "ms";
    /// events sent to one Redis and not answered; further ones wait in the gateway, so that REDIS_TIMEOUT_MS measures Redis
    REDIS_INFLIGHT_EVENTS = "512", Whole { least: 1, most: 65_536 };
    /// bytes of these; a single larger event is sent alone
    REDIS_INFLIGHT_BYTES = "1048576", Whole { least: 1_024, most: 1_073_741_824 }, unit: "bytes";
    /// events that wait to be sent to one Redis, the last eighth of them for requests with 16 events or fewer; beyond it events are
    /// rejected as busy
    REDIS_WAITING_EVENTS = "65536", Whole { least: 64, most: 10_000_000 };
    /// longest time that an event waits to be sent; after it the event is rejected as busy, and never sent
    REDIS_WAIT_MS = "5000", Whole { least: 1, most: 60_000 }, unit: "ms";
    /// the BullMQ queue
    QUEUE_NAME = "rule-engine-events", Text { least: 1, most: 128, without: Some(':') };
    /// the BullMQ key prefix
    QUEUE_PREFIX = "bull", Text { least: 1, most: 128, without: Some(':') };
    /// number of queues to spread jobs over, as one queue lives on one Redis core; from 2 on, or on a cluster, they are named
    /// {QUEUE_NAME-0}, {QUEUE_NAME-1}, ...
    QUEUE_SHARDS = "1", Whole { least: 1, most: 64 }, sets: Scenario("queue.queues");
    /// whether workers take jobs by priority, or in the order of arrival (jobs then are plain ones)
    QUEUE_ORDER = "priority", Choice(&queue_order::WORDS), sets: Scenario("queue.discipline");
    /// how often workers try a job
    JOB_ATTEMPTS = "3", Whole { least: 1, most: 1_000 }, sets: Scenario("workers.attempts");
    /// pause before the next attempt at a job that failed; 0 for none
    JOB_BACKOFF_MS = "0", Whole { least: 0, most: 86_400_000 }, unit: "ms", sets: Scenario("workers.retry_backoff");
    /// whether that pause stays, or doubles with each attempt
    JOB_BACKOFF_KIND = "fixed", Choice(&backoff_kind::WORDS), sets: Scenario("workers.retry_backoff_kind");
    /// completed jobs that Redis keeps; each takes more memory than one that waits
    JOB_KEEP_COMPLETED = "0", WholeOr { least: 0, most: u64::MAX, word: ALL_JOBS }, unit: "jobs",
        sets: Scenario("redis.keep_completed");
    /// failed jobs that Redis keeps
    JOB_KEEP_FAILED = "1000", WholeOr { least: 0, most: u64::MAX, word: ALL_JOBS }, unit: "jobs",
        sets: Scenario("redis.keep_failed");
    /// percent of maxmemory from which only priority 1 is admitted
    MEMORY_WATERMARK_PERCENT = "75", Percent, sets: Scenario("redis.watermark");
    /// percent of maxmemory from which priority 1 goes to the spill; 100 is always allowed
    MEMORY_URGENT_WATERMARK_PERCENT = "90", Percent, sets: Scenario("redis.watermark"),
        relations: &[AboveOrAtMost("MEMORY_WATERMARK_PERCENT")];
    /// whether to start on a Redis that evicts, and so loses jobs silently
    ALLOW_EVICTION = "false", Flag, sets: Scenario("redis.on_full");
    /// journal of accepted priority-1 events that Redis could not take yet
    SPILL_DIR = "spill", FolderOrOff;
    /// bound of that journal; beyond it priority 1 is rejected too
    SPILL_MAX_BYTES = "268435456", Whole { least: 65_536, most: u64::MAX }, unit: "bytes";
    /// how long a starting gateway waits for the one before it to let go of SPILL_DIR; then it does not start
    SPILL_LOCK_WAIT_MS = "30000", Whole { least: 0, most: 600_000 }, unit: "ms";
    /// how long Redis remembers ids of priority-1 jobs that it has not answered: the longest outage after which none is enqueued twice
    SPILL_DEDUPLICATION_SECONDS = "3600", Whole { least: 1, most: 2_592_000 }, unit: "s";
    /// how long an Idempotency-Key, and the id of a job that was sent again, is remembered: repeated in that time it makes no second job
    IDEMPOTENCY_WINDOW_SECONDS = "3600", Whole { least: 1, most: 2_592_000 }, unit: "s",
        relations: &[AtLeast("SPILL_DEDUPLICATION_SECONDS")];
    /// keys remembered, the last eighth of them for priority 1; beyond it events with a new key are rejected
    IDEMPOTENCY_MAX_KEYS = "1000000", Whole { least: 8, most: 1_000_000_000 };
    /// quota of one organization; 0 for none
    ORGANIZATION_EVENTS_PER_SECOND = "0", Whole { least: 0, most: 1_000_000 };
    /// events that an organization may send at once; one second's if not set
    ORGANIZATION_BURST = "", Whole { least: 1, most: 1_000_000 };
    /// what makes the instance not ready
    READINESS_CHECKS = "database,redis,backpressure", AnyOf(&["database", "redis", "backpressure"]),
        sets: Scenario("gateway.readiness");
    /// file of the bearer tokens that may send events, as JSON; read again when it changes, and on SIGHUP
    CREDENTIALS_FILE = "", Text { least: 1, most: 4_096, without: None };
    /// whether anybody may send events with any priority; where ENVIRONMENT is production, HOST is not loopback and there are no
    /// credentials, the gateway does not start without it
    OPEN_ACCESS = "false", Flag;
    /// bearer token of the reset endpoint; without it only loopback may reset
    RESET_TOKEN = "", Text { least: 16, most: usize::MAX, without: None }, is_secret: true;
    /// database server to report on in the health endpoints; only its greeting is read
    DATABASE_URL = "", Url { schemes: &["mysql://", "mariadb://", "postgres://", "postgresql://"], rest: "host[:port]" },
        is_secret: true;
    /// reported by the health endpoint
    ENVIRONMENT = "production", Text { least: 1, most: 128, without: None };
    /// longest body of a request
    MAX_BODY_BYTES = "1048576", Whole { least: 64, most: 67_108_864 }, unit: "bytes";
    /// most events in a request
    MAX_BATCH_EVENTS = "1000", Whole { least: 1, most: 100_000 };
    /// bytes of all bodies in progress, with 512 for each event; beyond it requests are rejected. The last eighth is for priority 1
    MAX_INFLIGHT_BYTES = "33554432", Whole { least: 64, most: 1_000_000_000_000 }, unit: "bytes",
        relations: &[AtLeast("MAX_BODY_BYTES")];
    /// open connections; a further one takes the place of the one that has waited longest for a request
    MAX_CONNECTIONS = "4096", Whole { least: 1, most: 1_000_000 };
    /// the same for the connections of one address, of IPv6 one /64; behind a proxy all clients have its address
    MAX_CONNECTIONS_PER_ADDRESS = "1024", Whole { least: 1, most: 1_000_000 };
    /// longest time for a body to come in
    REQUEST_TIMEOUT_MS = "5000", Whole { least: 1, most: 600_000 }, unit: "ms";
    /// bytes of a body that have to come in each second after the first one; 0 for no such limit
    MIN_BODY_BYTES_PER_SECOND = "1024", Whole { least: 0, most: 1_000_000_000 }, unit: "bytes";
    /// longest time for a header to come in
    HEADER_TIMEOUT_MS = "10000", Whole { least: 1, most: 600_000 }, unit: "ms";
    /// longest time for an answer to be taken
    WRITE_TIMEOUT_MS = "10000", Whole { least: 1, most: 600_000 }, unit: "ms";
    /// longest time between two requests of a connection: more than a load balancer keeps one idle
    KEEP_ALIVE_TIMEOUT_MS = "75000", Whole { least: 1, most: 3_600_000 }, unit: "ms";
    /// time between the signal to end, from which on readiness says 503, and the end of listening: balancers hear of it late
    DRAIN_DELAY_MS = "5000", Whole { least: 0, most: 600_000 }, unit: "ms";
    /// time for open requests to end after that
    SHUTDOWN_TIMEOUT_MS = "25000", Whole { least: 0, most: 600_000 }, unit: "ms";
    /// a queue in memory in place of Redis, emptied by in-process workers and lost with the process, as a demo: gateway --demo
    EMBEDDED_QUEUE = "false", Flag;
    /// in-process workers of that queue
    EMBEDDED_WORKERS = "3", Whole { least: 1, most: 1_000 };
    /// time they take for a job
    EMBEDDED_SERVICE_MS = "8", Whole { least: 0, most: 600_000 }, unit: "ms";
    /// file of NAME=value lines, as plan.env is one: for variables that the environment does not have; read again on SIGHUP
    SETTINGS_FILE = "", Text { least: 1, most: 4_096, without: None };
    /// what is logged; on SIGHUP as SETTINGS_FILE then says
    LOG_LEVEL = "info", Choice(&["error", "warn", "info", "debug", "trace"]);
    /// how it is logged
    LOG_FORMAT = "text", Choice(&["text", "json"]);
}

/// The most jobs that a threshold may be: far beyond any Redis, and far from where sums of shards could overflow.
pub const MOST_JOBS: u64 = 1_000_000_000_000_000;

/// The value of [`DEPTH_VALID_MS`] with which a depth is believed for ever.
pub const NEVER: &str = "never";
/// The value of [`JOB_KEEP_COMPLETED`] and [`JOB_KEEP_FAILED`] with which every job is kept.
pub const ALL_JOBS: &str = "all";

/// The values of [`DEPTH_MODE`].
pub mod depth_mode {
    /// The script that enqueues compares the depth first.
    pub const ATOMIC: &str = "atomic";
    /// The depth is read before each enqueue, as in the specification.
    pub const REQUEST: &str = "request";
    /// The depth is read on a timer.
    pub const SAMPLED: &str = "sampled";
    pub(super) const WORDS: [&str; 3] = [ATOMIC, REQUEST, SAMPLED];
}

/// The values of [`QUEUE_ORDER`].
pub mod queue_order {
    /// Workers take the most urgent job.
    pub const PRIORITY: &str = "priority";
    /// Workers take the oldest job.
    pub const FIFO: &str = "fifo";
    pub(super) const WORDS: [&str; 2] = [PRIORITY, FIFO];
}

/// The values of [`JOB_BACKOFF_KIND`], which are also BullMQ's.
pub mod backoff_kind {
    /// Always the same pause.
    pub const FIXED: &str = "fixed";
    /// Twice the pause with each attempt.
    pub const EXPONENTIAL: &str = "exponential";
    pub(super) const WORDS: [&str; 2] = [FIXED, EXPONENTIAL];
}

/// The variable that sets a field of the policy, by the name that the policy's errors give it.
#[must_use]
pub fn of_policy_field(field: &str) -> Option<&'static Variable> {
    ALL.iter().find(|variable| matches!(variable.sets, Policy(own) if own == field))
}

/// The variable of that name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Variable> {
    ALL.iter().find(|variable| variable.name == name)
}

/// All of them as a table in Markdown, as it stands in the documentation.
#[must_use]
pub fn markdown() -> String {
    let mut text =
        String::from("| variable | default | allowed | meaning | in a scenario |\n|---|---|---|---|---|\n");
    for variable in ALL {
        let Variable { name, default, meaning, sets, .. } = variable;
        let default = if default.is_empty() { "not set".to_owned() } else { format!("`{default}`") };
        let sets = match sets {
            Policy(field) => format!("`policy.{field}`"),
            Scenario(path) => format!("`{path}`"),
            Nothing => String::new(),
        };
        text += &format!("| `{name}` | {default} | {} | {meaning} | {sets} |\n", variable.allowed());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_allowed_and_names_differ() {
        for (index, variable) in ALL.iter().enumerate() {
            assert!(variable.default.is_empty() || variable.accepts(variable.default), "{}", variable.name);
            assert!(ALL[..index].iter().all(|other| other.name != variable.name), "{}", variable.name);
            let is_plain = |c: char| c.is_ascii_uppercase() || c == '_';
            assert!(variable.name.chars().all(is_plain), "{}", variable.name);
        }
    }

    #[test]
    fn relations_are_to_other_variables_of_the_same_unit() {
        for variable in ALL {
            for relation in variable.relations {
                let (Above(other) | AboveOrAtMost(other) | Below(other) | AtLeast(other) | AtMost(other)) =
                    *relation;
                let other = named(other).unwrap_or_else(|| panic!("{}: {other}", variable.name));
                assert_eq!(other.unit, variable.unit, "{} and {}", variable.name, other.name);
            }
        }
    }

    #[test]
    fn a_field_of_the_policy_has_one_variable() {
        for variable in ALL {
            if let Policy(field) = variable.sets {
                assert_eq!(of_policy_field(field), Some(variable), "{field}");
            }
        }
    }
}
