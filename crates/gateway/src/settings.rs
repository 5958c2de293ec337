//! The settings: environment variables, each with its default, what is allowed and what it does in one table.
//!
//! [`TABLE`] is the only list there is. Reading, the help text and the table of the documentation all come from it. A wrong value
//! never stops the reading: all mistakes are reported at once. Nothing below this module sees an environment variable.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use backpressure::{Config, Nanos, OnUnknownDepth, Priority};

use crate::database::DatabaseAddress;

/// One row of the table.
pub struct Setting {
    /// The environment variable.
    pub name: &'static str,
    /// As if somebody had written it; empty for "not set".
    pub default: &'static str,
    /// What may be written.
    pub allowed: &'static str,
    /// What it does.
    pub meaning: &'static str,
}

const fn setting(
    name: &'static str,
    default: &'static str,
    allowed: &'static str,
    meaning: &'static str,
) -> Setting {
    Setting { name, default, allowed, meaning }
}

/// All settings. Those of the specification keep its names and defaults.
#[rustfmt::skip]
pub const TABLE: &[Setting] = &[
    setting("ENABLE_BACKPRESSURE", "true", "true or false", "whether the policy rejects anything; it counts and reports in any case"),
    setting("QUEUE_WARNING_THRESHOLD", "10000", "above recovery, below critical, jobs", "health becomes `warning`; an open circuit half-opens below it"),
    setting("QUEUE_CRITICAL_THRESHOLD", "50000", "above warning, jobs", "the circuit opens at this depth"),
    setting("QUEUE_RECOVERY_THRESHOLD", "5000", "1 or more, below warning, jobs", "a half-open circuit closes at this depth"),
    setting("DEFAULT_EVENT_PRIORITY", "5", "1 to 10", "priority of event types that are in no table"),
    setting("RULE_ENGINE_WORKER_CONCURRENCY", "20", "1 to 10000", "jobs that one worker does at a time: reported for dashboards, and obeyed by the embedded workers"),
    setting("QUEUE_SHED_PERCENT", "80", "1 to 100", "percent of critical from which priorities above 5 are rejected"),
    setting("QUEUE_REOPEN_THRESHOLD", "", "warning to critical, jobs", "a half-open circuit opens again at this depth; critical if not set"),
    setting("EVENT_PRIORITIES", "", "type=priority, separated by commas", "event types beside or instead of `scheduled=1,critical-alarm=1,telemetry-data=5,batch-operation=10`"),
    setting("DEPTH_MODE", "atomic", "atomic, request or sampled", "how the depth is known: checked by the script that enqueues; asked before each enqueue; or sampled"),
    setting("DEPTH_INTERVAL_MS", "50", "1 to 60000", "how often the depth is read beside that: the age of a sampled depth, and how soon a drained queue closes the circuit without traffic"),
    setting("DEPTH_VALID_MS", "2000", "1 to 3600000", "age from which a depth is not believed any more"),
    setting("ON_UNKNOWN_DEPTH", "admit", "admit, urgent-only or reject", "what may come in while the depth is unknown"),
    setting("HOST", "0.0.0.0", "an IP address", "address to listen on"),
    setting("PORT", "3000", "0 to 65535", "port to listen on; 0 takes a free one"),
    setting("REDIS_URL", "", "redis://[[user]:password@]host[:port][/database]", "the Redis of the queue; without it the queue is in memory and in-process workers empty it"),
    setting("REDIS_CLUSTER", "false", "true or false", "whether REDIS_URL is a node of a Redis Cluster"),
    setting("REDIS_TIMEOUT_MS", "500", "1 to 60000", "longest wait for an answer of Redis, and for a connection"),
    setting("QUEUE_NAME", "rule-engine-events", "1 to 128 characters, no ':'", "the BullMQ queue"),
    setting("QUEUE_PREFIX", "bull", "1 to 128 characters, no ':'", "the BullMQ key prefix"),
    setting("QUEUE_SHARDS", "1", "1 to 64", "number of queues to spread jobs over, as one queue lives on one Redis core; from 2 on, or on a cluster, they are named {QUEUE_NAME-0}, {QUEUE_NAME-1}, ..."),
    setting("QUEUE_ORDER", "priority", "priority or fifo", "whether workers take jobs by priority, or in the order of arrival (jobs then are plain ones)"),
    setting("JOB_ATTEMPTS", "3", "1 to 100", "how often workers try a job"),
    setting("JOB_KEEP_COMPLETED", "0", "a number or all", "completed jobs that Redis keeps; each takes more memory than one that waits"),
    setting("JOB_KEEP_FAILED", "1000", "a number or all", "failed jobs that Redis keeps"),
    setting("MEMORY_WATERMARK_PERCENT", "75", "1 to 100", "percent of maxmemory from which only priority 1 comes in"),
    setting("MEMORY_URGENT_WATERMARK_PERCENT", "90", "above MEMORY_WATERMARK_PERCENT, up to 100", "percent of maxmemory from which priority 1 goes to the spill"),
    setting("ALLOW_EVICTION", "false", "true or false", "whether to start on a Redis that evicts, and so loses jobs silently"),
    setting("SPILL_DIR", "spill", "a folder that can be written, or off", "journal of accepted priority-1 events that Redis could not take yet"),
    setting("SPILL_MAX_BYTES", "268435456", "65536 or more", "bound of that journal; beyond it priority 1 is rejected too"),
    setting("SPILL_DEDUPLICATION_SECONDS", "3600", "1 to 2592000", "how long Redis remembers ids of priority-1 jobs: the longest outage after which none is enqueued twice"),
    setting("ORGANIZATION_EVENTS_PER_SECOND", "0", "0 to 1000000", "quota of one organization; 0 for none"),
    setting("ORGANIZATION_BURST", "", "1 to 1000000", "events that an organization may send at once; one second's if not set"),
    setting("READINESS_CHECKS", "database,redis,backpressure", "any of database, redis, backpressure, or none", "what makes the instance not ready"),
    setting("RESET_TOKEN", "", "16 or more characters", "bearer token of the reset endpoint; without it only loopback may reset"),
    setting("DATABASE_URL", "", "mysql:// or postgres://host[:port]", "database server to report on in the health endpoints; only its greeting is read"),
    setting("ENVIRONMENT", "production", "text", "reported by the health endpoint"),
    setting("MAX_BODY_BYTES", "1048576", "64 to 67108864", "longest body of a request"),
    setting("MAX_BATCH_EVENTS", "1000", "1 to 100000", "most events in a request"),
    setting("MAX_INFLIGHT_BYTES", "67108864", "MAX_BODY_BYTES or more", "bytes of all bodies being worked on; beyond it requests are rejected"),
    setting("MAX_CONNECTIONS", "4096", "1 to 1000000", "open connections; further ones wait"),
    setting("REQUEST_TIMEOUT_MS", "5000", "1 to 600000", "longest time for a body to come in"),
    setting("KEEP_ALIVE_TIMEOUT_MS", "75000", "1 to 3600000", "longest time for a header to come in, also on a connection that is kept: more than a load balancer keeps one idle"),
    setting("SHUTDOWN_TIMEOUT_MS", "25000", "0 to 600000", "time for open requests to end after a signal"),
    setting("EMBEDDED_WORKERS", "3", "1 to 1000", "in-process workers when there is no REDIS_URL"),
    setting("EMBEDDED_SERVICE_MS", "8", "0 to 600000", "time they take for a job"),
    setting("LOG_LEVEL", "info", "error, warn, info, debug or trace", "what is logged"),
    setting("LOG_FORMAT", "text", "text or json", "how it is logged"),
];

/// How the depth is known when an event comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DepthMode {
    /// The script that enqueues compares the depth first: no other job can come in between.
    Atomic,
    /// Read before each enqueue, as in the specification: what lands in between overshoots.
    Request,
    /// Read every [`Settings::depth_interval`]: cheapest for Redis, and overshoots the most.
    Sampled,
}

/// How many finished jobs Redis keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The latest so many.
    Latest(u64),
    /// All.
    All,
}

/// What is part of readiness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadinessChecks {
    /// The database answers.
    pub database: bool,
    /// Redis answers.
    pub redis: bool,
    /// The circuit is not OPEN.
    pub backpressure: bool,
}

/// The limit of an organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Sustained events a second.
    pub per_second: NonZeroU32,
    /// At once.
    pub burst: NonZeroU32,
}

/// What the Redis queue needs to know.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisSettings {
    /// `redis://...`; may hold a password.
    pub url: String,
    /// Whether that is a node of a cluster.
    pub cluster: bool,
    /// For answers and connections.
    pub timeout: Duration,
    /// BullMQ's key prefix.
    pub prefix: String,
    /// Number of queues.
    pub shards: u32,
    /// Whether jobs carry their priority.
    pub by_priority: bool,
    /// See [`Keep`].
    pub keep_completed: Keep,
    /// See [`Keep`].
    pub keep_failed: Keep,
    /// How often workers try a job.
    pub attempts: u32,
    /// How long ids of urgent jobs are remembered.
    pub deduplication: Duration,
    /// Whether an evicting Redis is accepted.
    pub allow_eviction: bool,
}

/// Workers of the queue in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmbeddedSettings {
    /// Number of workers.
    pub workers: u32,
    /// Time for a job.
    pub service_time: Duration,
}

/// Bounds on what clients may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one body.
    pub body_bytes: usize,
    /// Events of one body.
    pub batch_events: usize,
    /// Bytes of all bodies at a time.
    pub inflight_bytes: usize,
    /// Connections at a time.
    pub connections: usize,
    /// Time for a body.
    pub request_timeout: Duration,
    /// Time for a header, from the connection or the request before it.
    pub keep_alive_timeout: Duration,
    /// Time to drain.
    pub shutdown_timeout: Duration,
}

/// The bounded journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpillSettings {
    /// Its folder.
    pub dir: PathBuf,
    /// Its bound.
    pub max_bytes: u64,
}

/// Checked settings: nothing in here can be invalid.
#[derive(Clone)]
pub struct Settings {
    /// The policy.
    pub policy: Config,
    /// Event types with a priority of their own.
    pub priorities: BTreeMap<String, Priority>,
    /// Jobs a worker does at a time.
    pub worker_concurrency: u32,
    /// See [`DepthMode`].
    pub depth_mode: DepthMode,
    /// Time between readings.
    pub depth_interval: Duration,
    /// Name of the queue.
    pub queue_name: String,
    /// `None` for the queue in memory.
    pub redis: Option<RedisSettings>,
    /// For the queue in memory.
    pub embedded: EmbeddedSettings,
    /// Millionths of `maxmemory` for everybody and for priority 1.
    pub memory_watermarks_ppm: (u32, u32),
    /// `None` when switched off, or without Redis.
    pub spill: Option<SpillSettings>,
    /// `None` for no quota.
    pub quota: Option<Quota>,
    /// What readiness looks at.
    pub readiness: ReadinessChecks,
    /// Of the reset endpoint.
    pub reset_token: Option<String>,
    /// To report on.
    pub database: Option<DatabaseAddress>,
    /// Reported.
    pub environment: String,
    /// On clients.
    pub limits: Limits,
    /// Where to listen.
    pub listen: SocketAddr,
    /// What to log.
    pub log_level: tracing::Level,
    /// Whether to log JSON.
    pub log_json: bool,
}

/// What is wrong with one setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The environment variable.
    pub name: &'static str,
    /// As found.
    pub value: String,
    /// What may be written instead.
    pub allowed: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: found {:?}, allowed: {}", self.name, self.value, self.allowed)
    }
}

/// All mistakes of the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.0.len() == 1 { "mistake" } else { "mistakes" };
        write!(f, "{} {plural} in the settings", self.0.len())?;
        self.0.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}

impl std::error::Error for Mistakes {}

/// The priorities of the specification.
const SPEC_PRIORITIES: [(&str, Priority); 4] = [
    ("scheduled", Priority::MOST_URGENT),
    ("critical-alarm", Priority::MOST_URGENT),
    ("telemetry-data", Priority::DEFAULT),
    ("batch-operation", Priority::LEAST_URGENT),
];

impl Settings {
    /// Settings from the environment.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn from_env() -> Result<Settings, Mistakes> {
        Settings::read(|name| std::env::var(name).ok())
    }

    /// Settings from wherever `find` finds them. An empty value counts as none.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn read(find: impl Fn(&str) -> Option<String>) -> Result<Settings, Mistakes> {
        let mut reader = Reader { find: &find, mistakes: Vec::new() };
        let depth_interval = reader.milliseconds("DEPTH_INTERVAL_MS", 1, 60_000);
        let policy = read_policy(&mut reader, depth_interval);
        let priorities = read_priorities(&mut reader);
        let readiness = read_readiness(&mut reader);
        let (watermarks, limits) = (read_watermarks(&mut reader), read_limits(&mut reader));
        let quota = read_quota(&mut reader);
        let queue_name = reader.name_part("QUEUE_NAME");
        let redis = read_redis(&mut reader);
        let spill_dir = reader.text("SPILL_DIR");
        let max_bytes: u64 = reader.number("SPILL_MAX_BYTES", 65_536, u64::MAX);
        let spill = (spill_dir != "off" && redis.is_some())
            .then(|| SpillSettings { dir: PathBuf::from(spill_dir), max_bytes });
        let embedded = EmbeddedSettings {
            workers: reader.number("EMBEDDED_WORKERS", 1, 1000),
            service_time: reader.milliseconds("EMBEDDED_SERVICE_MS", 0, 600_000),
        };
        let reset_token = reader.optional("RESET_TOKEN", |text| (text.len() >= 16).then(|| text.to_owned()));
        let database = reader.optional("DATABASE_URL", DatabaseAddress::parse);
        let depth_mode = reader.choice(
            "DEPTH_MODE",
            &[
                ("atomic", DepthMode::Atomic),
                ("request", DepthMode::Request),
                ("sampled", DepthMode::Sampled),
            ],
        );
        let host = reader.parsed("HOST", |text| text.parse::<IpAddr>().ok(), IpAddr::from([0, 0, 0, 0]));
        let port: u16 = reader.number("PORT", 0, 65_535);
        let log_level = reader.choice(
            "LOG_LEVEL",
            &[
                ("info", tracing::Level::INFO),
                ("error", tracing::Level::ERROR),
                ("warn", tracing::Level::WARN),
                ("debug", tracing::Level::DEBUG),
                ("trace", tracing::Level::TRACE),
            ],
        );
        let log_json = reader.choice("LOG_FORMAT", &[("text", false), ("json", true)]);
        let settings = Settings {
            policy,
            priorities,
            worker_concurrency: reader.number("RULE_ENGINE_WORKER_CONCURRENCY", 1, 10_000),
            depth_mode,
            depth_interval,
            queue_name,
            redis,
            embedded,
            memory_watermarks_ppm: watermarks,
            spill,
            quota,
            readiness,
            reset_token,
            database,
            environment: reader.text("ENVIRONMENT"),
            limits,
            listen: SocketAddr::new(host, port),
            log_level,
            log_json,
        };
        if reader.mistakes.is_empty() { Ok(settings) } else { Err(Mistakes(reader.mistakes)) }
    }

    /// The priority of an event type that gives none itself.
    #[must_use]
    pub fn priority_of(&self, event_type: &str) -> Priority {
        self.priorities.get(event_type).copied().unwrap_or(self.policy.default_priority())
    }
}

/// The table in Markdown, as it stands in the documentation.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from("| variable | default | allowed | meaning |\n|---|---|---|---|\n");
    for Setting { name, default, allowed, meaning } in TABLE {
        let default = if default.is_empty() { "not set".to_owned() } else { format!("`{default}`") };
        text.push_str(&format!("| `{name}` | {default} | {allowed} | {meaning} |\n"));
    }
    text
}

/// Finds values and remembers what was wrong with them.
struct Reader<'a> {
    find: &'a dyn Fn(&str) -> Option<String>,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    fn row(name: &str) -> &'static Setting {
        TABLE.iter().find(|setting| setting.name == name).expect("every setting that is read is in the table")
    }

    /// As written, or the default.
    fn text(&self, name: &str) -> String {
        (self.find)(name)
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty())
            .unwrap_or_else(|| Reader::row(name).default.to_owned())
    }

    fn refuse(&mut self, name: &str, allowed: impl Into<String>) {
        let row = Reader::row(name);
        let value = if is_secret(name) { "(not shown)".to_owned() } else { self.text(name) };
        self.mistakes.push(Mistake { name: row.name, value, allowed: allowed.into() });
    }

    fn parsed<T>(&mut self, name: &str, parse: impl Fn(&str) -> Option<T>, otherwise: T) -> T {
        parse(&self.text(name)).unwrap_or_else(|| {
            self.refuse(name, Reader::row(name).allowed);
            otherwise
        })
    }

    fn optional<T>(&mut self, name: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        if self.text(name).is_empty() {
            return None;
        }
        self.parsed(name, |text| parse(text).map(Some), None)
    }

    fn number<T: TryFrom<u64>>(&mut self, name: &str, least: u64, most: u64) -> T {
        let parse = |text: &str| {
            let number = text.parse::<u64>().ok().filter(|number| (least..=most).contains(number))?;
            T::try_from(number).ok()
        };
        let least = T::try_from(least).ok().expect("the least of a range is in the type");
        self.parsed(name, parse, least)
    }

    fn milliseconds(&mut self, name: &str, least: u64, most: u64) -> Duration {
        Duration::from_millis(self.number(name, least, most))
    }

    fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> T {
        let find = |text: &str| choices.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        self.parsed(name, find, choices[0].1)
    }

    fn flag(&mut self, name: &str) -> bool {
        self.choice(name, &[("true", true), ("false", false)])
    }

    fn keep(&mut self, name: &str) -> Keep {
        let parse = |text: &str| match text {
            "all" => Some(Keep::All),
            number => number.parse().ok().map(Keep::Latest),
        };
        self.parsed(name, parse, Keep::All)
    }

    /// Part of a Redis key.
    fn name_part(&mut self, name: &str) -> String {
        let parse = |text: &str| {
            let good = text.len() <= 128 && !text.contains(':') && !text.chars().any(char::is_control);
            good.then(|| text.to_owned())
        };
        self.parsed(name, parse, String::new())
    }
}

/// Whether a value must not be shown.
fn is_secret(name: &str) -> bool {
    matches!(name, "RESET_TOKEN" | "REDIS_URL" | "DATABASE_URL")
}

fn read_policy(reader: &mut Reader<'_>, interval: Duration) -> Config {
    let enabled = reader.flag("ENABLE_BACKPRESSURE");
    let before = reader.mistakes.len();
    let (recovery, warning, critical) = (
        reader.number("QUEUE_RECOVERY_THRESHOLD", 1, MOST_JOBS),
        reader.number("QUEUE_WARNING_THRESHOLD", 1, MOST_JOBS),
        reader.number("QUEUE_CRITICAL_THRESHOLD", 1, MOST_JOBS),
    );
    let reopen_at = reader.optional("QUEUE_REOPEN_THRESHOLD", |text| text.parse::<u64>().ok());
    let shed_percent: u32 = reader.number("QUEUE_SHED_PERCENT", 1, 100);
    let numbers_are_good = reader.mistakes.len() == before;
    let default_priority: u8 = reader.number("DEFAULT_EVENT_PRIORITY", 1, 10);
    let on_unknown = reader.choice(
        "ON_UNKNOWN_DEPTH",
        &[
            ("admit", OnUnknownDepth::Admit),
            ("urgent-only", OnUnknownDepth::UrgentOnly),
            ("reject", OnUnknownDepth::Reject),
        ],
    );
    let valid = Nanos::from_millis(reader.number("DEPTH_VALID_MS", 1, 3_600_000));
    let interval = Nanos(interval.as_nanos() as u64);
    if valid < interval {
        reader.refuse("DEPTH_VALID_MS", "DEPTH_INTERVAL_MS or more");
    }
    let mut builder = Config::builder()
        .enabled(enabled)
        .recovery(recovery)
        .warning(warning)
        .critical(critical)
        .shed_at_ppm(shed_percent * 10_000)
        .default_priority(default_priority)
        .on_unknown_depth(on_unknown)
        .depth_valid_for(valid)
        .observe_every(interval);
    if let Some(depth) = reopen_at {
        builder = builder.reopen_at(depth);
    }
    match builder.build() {
        Ok(config) => config,
        Err(errors) => {
            // Numbers that could not be read have been reported, and the order of what stands in for them says nothing.
            for error in errors.iter().filter(|_| numbers_are_good) {
                let name = match error.field() {
                    "recovery" => "QUEUE_RECOVERY_THRESHOLD",
                    "warning" => "QUEUE_WARNING_THRESHOLD",
                    "critical" => "QUEUE_CRITICAL_THRESHOLD",
                    "reopen_at" => "QUEUE_REOPEN_THRESHOLD",
                    _ => "QUEUE_SHED_PERCENT",
                };
                reader.refuse(name, format!("{} ({error})", Reader::row(name).allowed));
            }
            Config::default()
        }
    }
}

fn read_priorities(reader: &mut Reader<'_>) -> BTreeMap<String, Priority> {
    let mut priorities: BTreeMap<String, Priority> =
        SPEC_PRIORITIES.iter().map(|(name, priority)| ((*name).to_owned(), *priority)).collect();
    let text = reader.text("EVENT_PRIORITIES");
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let parsed = pair.split_once('=').and_then(|(name, number)| {
            let name = Some(name.trim()).filter(|name| !name.is_empty())?;
            Some((name, Priority::new(number.trim().parse().ok()?)?))
        });
        match parsed {
            Some((name, priority)) => drop(priorities.insert(name.to_owned(), priority)),
            None => reader.refuse(
                "EVENT_PRIORITIES",
                format!("type=priority with a priority of 1 to 10, separated by commas; not {pair:?}"),
            ),
        }
    }
    priorities
}

fn read_readiness(reader: &mut Reader<'_>) -> ReadinessChecks {
    let text = reader.text("READINESS_CHECKS");
    let mut checks = ReadinessChecks { database: false, redis: false, backpressure: false };
    for word in text.split(',').map(str::trim) {
        match word {
            "database" => checks.database = true,
            "redis" => checks.redis = true,
            "backpressure" => checks.backpressure = true,
            "none" if text == "none" => {}
            _ => reader.refuse("READINESS_CHECKS", Reader::row("READINESS_CHECKS").allowed),
        }
    }
    checks
}

fn read_watermarks(reader: &mut Reader<'_>) -> (u32, u32) {
    let everybody: u32 = reader.number("MEMORY_WATERMARK_PERCENT", 1, 100);
    let urgent: u32 = reader.number("MEMORY_URGENT_WATERMARK_PERCENT", 1, 100);
    if urgent <= everybody && everybody < 100 {
        reader.refuse("MEMORY_URGENT_WATERMARK_PERCENT", format!("above {everybody}, up to 100"));
    }
    (everybody * 10_000, urgent * 10_000)
}

fn read_limits(reader: &mut Reader<'_>) -> Limits {
    let body_bytes: usize = reader.number("MAX_BODY_BYTES", 64, 67_108_864);
    let inflight_bytes: usize = reader.number("MAX_INFLIGHT_BYTES", 64, 1 << 40);
    if inflight_bytes < body_bytes {
        reader.refuse("MAX_INFLIGHT_BYTES", format!("MAX_BODY_BYTES ({body_bytes}) or more"));
    }
    Limits {
        body_bytes,
        batch_events: reader.number("MAX_BATCH_EVENTS", 1, 100_000),
        inflight_bytes,
        connections: reader.number("MAX_CONNECTIONS", 1, 1_000_000),
        request_timeout: reader.milliseconds("REQUEST_TIMEOUT_MS", 1, 600_000),
        keep_alive_timeout: reader.milliseconds("KEEP_ALIVE_TIMEOUT_MS", 1, 3_600_000),
        shutdown_timeout: reader.milliseconds("SHUTDOWN_TIMEOUT_MS", 0, 600_000),
    }
}

fn read_quota(reader: &mut Reader<'_>) -> Option<Quota> {
    let per_second: u32 = reader.number("ORGANIZATION_EVENTS_PER_SECOND", 0, 1_000_000);
    let burst = reader.optional("ORGANIZATION_BURST", |text| {
        text.parse::<NonZeroU32>().ok().filter(|burst| burst.get() <= 1_000_000)
    });
    let per_second = NonZeroU32::new(per_second)?;
    Some(Quota { per_second, burst: burst.unwrap_or(per_second) })
}

fn read_redis(reader: &mut Reader<'_>) -> Option<RedisSettings> {
    let schemes: &[&str] = if cfg!(feature = "tls") { &["redis://", "rediss://"] } else { &["redis://"] };
    let url = reader.optional("REDIS_URL", |text| {
        let is_known = schemes.iter().any(|scheme| text.starts_with(scheme));
        (is_known && redis::Client::open(text).is_ok()).then(|| text.to_owned())
    });
    let settings = RedisSettings {
        url: url.clone().unwrap_or_default(),
        cluster: reader.flag("REDIS_CLUSTER"),
        timeout: reader.milliseconds("REDIS_TIMEOUT_MS", 1, 60_000),
        prefix: reader.name_part("QUEUE_PREFIX"),
        shards: reader.number("QUEUE_SHARDS", 1, 64),
        by_priority: reader.choice("QUEUE_ORDER", &[("priority", true), ("fifo", false)]),
        keep_completed: reader.keep("JOB_KEEP_COMPLETED"),
        keep_failed: reader.keep("JOB_KEEP_FAILED"),
        attempts: reader.number("JOB_ATTEMPTS", 1, 100),
        deduplication: Duration::from_secs(reader.number("SPILL_DEDUPLICATION_SECONDS", 1, 2_592_000)),
        allow_eviction: reader.flag("ALLOW_EVICTION"),
    };
    url.map(|_| settings)
}

/// Far beyond any Redis, and far from where sums of shards could overflow.
const MOST_JOBS: u64 = 1 << 48;
