//! The settings: environment variables, read and checked.
//!
//! [`contract::variables`] lists them with defaults and bounds; the help and the documentation come from the same list. Reading never
//! stops at a wrong value: all mistakes are reported at once. Nothing below this module reads an environment variable.
//!
//! A new variable is a row of that list and a line here. A new kind of policy is a reader in `policy`.

mod policy;
mod reader;
mod unknown;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use backpressure::{Config, Priority};
use contract::events;
use contract::variable::{Variable, priorities};
use contract::variables::{self, backoff_kind, depth_mode, queue_order};

use crate::database::DatabaseAddress;
use crate::event::Event;
use crate::queue::line::LineSettings;
use reader::Reader;
pub use unknown::{Unknown, unknown};

/// How the gateway knows the depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DepthMode {
    /// The script that enqueues compares the depth first: no other job can come in between.
    Atomic,
    /// Read before each enqueue, as in the specification: concurrent enqueues overshoot.
    Request,
    /// Read every [`Settings::depth_interval`]: cheapest for Redis, and overshoots the most.
    Sampled,
}

/// The pause before a job that failed is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobBackoff {
    /// The first pause.
    pub pause: Duration,
    /// Whether it doubles with each attempt.
    pub doubles: bool,
}

/// How many finished jobs Redis keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The latest ones, so many.
    Latest(u64),
    /// All.
    All,
}

/// The checks of the readiness endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadinessChecks {
    /// The database answers.
    pub database: bool,
    /// Redis answers.
    pub redis: bool,
    /// The circuit is not OPEN.
    pub backpressure: bool,
}

/// The quota of an organization.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Sustained events a second.
    pub per_second: NonZeroU32,
    /// Events at once.
    pub burst: NonZeroU32,
}

/// How long and how many keys of clients are remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdempotencySettings {
    /// A repeated key makes no second job for so long.
    pub window: Duration,
    /// Most keys in it.
    pub most_keys: u64,
}

/// Settings of the queue on Redis.
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
    /// `None` for no pause between two attempts.
    pub backoff: Option<JobBackoff>,
    /// How long ids of urgent jobs without an answer are remembered.
    pub deduplication: Duration,
    /// See [`IdempotencySettings`].
    pub idempotency: IdempotencySettings,
    /// What may wait for Redis, and what may be sent to it at a time.
    pub line: LineSettings,
    /// Whether an evicting Redis is accepted.
    pub allow_eviction: bool,
}

/// Settings of the queue in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EmbeddedSettings {
    /// Number of workers.
    pub workers: u32,
    /// Time for a job.
    pub service_time: Duration,
    /// See [`IdempotencySettings`].
    pub idempotency: IdempotencySettings,
}

/// Limits on clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLimits {
    /// Bytes of one body.
    pub body_bytes: usize,
    /// Events of one body.
    pub batch_events: usize,
    /// Bytes of all bodies at a time.
    pub inflight_bytes: usize,
    /// Limits on each connection.
    pub connections: ConnectionLimits,
    /// Time for a body.
    pub request_timeout: Duration,
    /// Bytes of a body that have to come in a second; 0 for no such limit.
    pub body_rate: u32,
    /// Time between the signal to end and the end of listening.
    pub drain_delay: Duration,
    /// Time to drain.
    pub shutdown_timeout: Duration,
}

impl RequestLimits {
    /// How long a body may take of which so many bytes have come.
    #[must_use]
    pub fn body_time(&self, bytes: usize) -> Duration {
        if self.body_rate == 0 {
            return self.request_timeout;
        }
        let by_rate = Duration::from_secs_f64(bytes as f64 / f64::from(self.body_rate));
        self.request_timeout.min(BODY_GRACE + by_rate)
    }
}

/// Time that a body may take whatever its length.
const BODY_GRACE: Duration = Duration::from_secs(1);

/// Limits on connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// At a time.
    pub most: usize,
    /// At a time from one address.
    pub most_per_address: usize,
    /// Time for a header.
    pub header_timeout: Duration,
    /// Time between two requests.
    pub keep_alive_timeout: Duration,
    /// Time for a client to take an answer.
    pub write_timeout: Duration,
}

/// Settings of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpillSettings {
    /// Its folder.
    pub dir: PathBuf,
    /// Its bound.
    pub max_bytes: u64,
    /// How long to wait for another process to let go of the folder.
    pub lock_wait: Duration,
}

/// Valid settings.
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
    /// The queue in memory.
    pub embedded: EmbeddedSettings,
    /// Millionths of `maxmemory`: for all priorities, and for priority 1.
    pub memory_watermarks_ppm: (u32, u32),
    /// `None` when switched off, or without Redis.
    pub spill: Option<SpillSettings>,
    /// `None` for no quota.
    pub quota: Option<Quota>,
    /// What the readiness endpoint checks.
    pub readiness: ReadinessChecks,
    /// The file of credentials; `None` for access without them.
    pub credentials: Option<PathBuf>,
    /// Token of the reset endpoint.
    pub reset_token: Option<String>,
    /// The database to report on.
    pub database: Option<DatabaseAddress>,
    /// Name of the environment, reported by the health endpoint.
    pub environment: String,
    /// Limits on clients.
    pub limits: RequestLimits,
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where to listen for probes, Prometheus and operators.
    pub admin: SocketAddr,
    /// Least severe level that is logged.
    pub log_level: tracing::Level,
    /// Whether to log JSON.
    pub log_json: bool,
}

/// One wrong setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The environment variable.
    pub name: &'static str,
    /// As found.
    pub value: String,
    /// The allowed values.
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

impl Settings {
    /// Settings that `find` looks up by name. An empty value counts as none.
    ///
    /// # Errors
    /// All mistakes.
    pub fn read(find: impl Fn(&str) -> Option<String>) -> Result<Settings, Mistakes> {
        let mut reader = Reader::new(&find);
        let depth_interval = reader.milliseconds(&variables::DEPTH_INTERVAL_MS);
        let policy = policy::read(&mut reader, depth_interval);
        let idempotency = read_idempotency(&mut reader);
        let redis = read_redis(&mut reader, idempotency);
        let settings = Settings {
            policy,
            priorities: read_priorities(&mut reader),
            worker_concurrency: reader.number(&variables::RULE_ENGINE_WORKER_CONCURRENCY),
            depth_mode: read_depth_mode(&mut reader),
            depth_interval,
            queue_name: reader.text(&variables::QUEUE_NAME),
            spill: read_spill(&mut reader).filter(|_| redis.is_some()),
            redis,
            embedded: EmbeddedSettings {
                workers: reader.number(&variables::EMBEDDED_WORKERS),
                service_time: reader.milliseconds(&variables::EMBEDDED_SERVICE_MS),
                idempotency,
            },
            memory_watermarks_ppm: read_watermarks(&mut reader),
            quota: read_quota(&mut reader),
            readiness: read_readiness(&mut reader),
            credentials: reader.optional(&variables::CREDENTIALS_FILE, |text| Some(PathBuf::from(text))),
            reset_token: reader.optional(&variables::RESET_TOKEN, |text| Some(text.to_owned())),
            database: reader.optional(&variables::DATABASE_URL, DatabaseAddress::parse),
            environment: reader.text(&variables::ENVIRONMENT),
            limits: read_limits(&mut reader),
            listen: read_address(&mut reader, &variables::HOST, &variables::PORT),
            admin: read_address(&mut reader, &variables::ADMIN_HOST, &variables::ADMIN_PORT),
            log_level: reader.word(&variables::LOG_LEVEL).parse().expect("the words are those of tracing"),
            log_json: reader.word(&variables::LOG_FORMAT) == "json",
        };
        // Whoever looks up the values has opened it.
        reader.optional(&variables::SETTINGS_FILE, |_| Some(()));
        let is_open = reader.flag(&variables::OPEN_ACCESS);
        if settings.needs_credentials() && !is_open && !reader.is_wrong(&variables::CREDENTIALS_FILE) {
            let [open, host] = [variables::OPEN_ACCESS.name, variables::HOST.name];
            let allowed = format!(
                "a file of credentials, or {open}=true for access without them, or a loopback {host}"
            );
            reader.refuse(&variables::CREDENTIALS_FILE, allowed);
        }
        let (own, admin) = (settings.listen, settings.admin);
        let meet = own.ip() == admin.ip() || own.ip().is_unspecified() || admin.ip().is_unspecified();
        if own.port() == admin.port() && own.port() != 0 && meet {
            reader.refuse(&variables::ADMIN_PORT, format!("another port than {}", variables::PORT.name));
        }
        reader.end().map(|()| settings)
    }

    /// Whatever people call it.
    fn is_production(&self) -> bool {
        ["production", "prod"].iter().any(|name| self.environment.trim().eq_ignore_ascii_case(name))
    }

    /// Whether strangers could send to a production queue. A demo is none.
    fn needs_credentials(&self) -> bool {
        let is_public = !self.listen.ip().to_canonical().is_loopback();
        self.credentials.is_none() && is_public && self.is_production() && self.redis.is_some()
    }

    /// The most bytes of memory that the process keeps resident, and the sum that they are.
    #[must_use]
    pub fn memory_bound(&self) -> (u64, String) {
        let of = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        let mut bound = BASE_BYTES;
        let mut sum = format!("{} MiB", BASE_BYTES >> 20);
        let mut add = |bytes: u64, words: String| {
            bound = bound.saturating_add(bytes);
            sum += &format!(" + {words}");
        };
        add(
            of(self.limits.connections.most) * CONNECTION_BYTES,
            format!("{} KiB x {}", CONNECTION_BYTES >> 10, variables::MAX_CONNECTIONS.name),
        );
        add(
            of(self.limits.inflight_bytes).saturating_mul(COPIES),
            format!("{COPIES} x {}", variables::MAX_INFLIGHT_BYTES.name),
        );
        if self.spill.is_some() {
            add(SPILL_BYTES, format!("{} MiB for the spill", SPILL_BYTES >> 20));
        }
        if let Some(redis) = &self.redis {
            // What was sent outlives the budget of bodies when clients go away.
            let (sent, name) = if redis.line.sent_bytes < self.limits.body_bytes {
                (self.limits.body_bytes, variables::MAX_BODY_BYTES.name)
            } else {
                (redis.line.sent_bytes, variables::REDIS_INFLIGHT_BYTES.name)
            };
            add(
                of(sent)
                    .saturating_mul(COPIES)
                    .saturating_add(SHARD_BYTES)
                    .saturating_mul(redis.shards.into()),
                format!("({} MiB + {COPIES} x {name}) x {}", SHARD_BYTES >> 20, variables::QUEUE_SHARDS.name),
            );
        } else {
            let keys = self.embedded.idempotency.most_keys.saturating_mul(KEY_BYTES);
            add(
                EMBEDDED_BYTES.saturating_add(keys),
                format!(
                    "{} MiB + {KEY_BYTES} x {} for the queue in memory",
                    EMBEDDED_BYTES >> 20,
                    variables::IDEMPOTENCY_MAX_KEYS.name
                ),
            );
        }
        (bound, sum)
    }

    /// The priority of an event type that gives none itself.
    #[must_use]
    pub fn priority_of(&self, event_type: &str) -> Priority {
        self.priorities.get(event_type).copied().unwrap_or(self.policy.default_priority())
    }

    /// The priority of an event, given or by its type.
    #[must_use]
    pub fn priority_of_event(&self, event: &Event) -> Priority {
        event.priority.unwrap_or_else(|| self.priority_of(&event.event_type))
    }
}

/// The program, its stacks and the admin port.
const BASE_BYTES: u64 = 48 << 20;
/// A header, an answer that has not been taken, and what hyper and tokio keep of a connection.
const CONNECTION_BYTES: u64 = 48 << 10;
/// How often the bytes of a body exist at a time: as they came, as data of an event, as a job, in a command to Redis and in its
/// buffer, or in a record of the journal; some of them in blocks that have grown to twice their content. What an event takes beside
/// them while it waits, in the line of its shard too, is less than its share of the budget this often.
const COPIES: u64 = 4;
/// What waits for the disk, in records whose quotes are escaped, and what is replayed, in as many forms as a body.
const SPILL_BYTES: u64 = 64 << 20;
/// Ids that Redis is to forget, and the buffers of two connections.
const SHARD_BYTES: u64 = 4 << 20;
/// A key in memory, in a set and in the order of arrival.
const KEY_BYTES: u64 = 192;
/// The bound of the queue in memory, with what its jobs take beside their data.
const EMBEDDED_BYTES: u64 = 768 << 20;

fn read_address(reader: &mut Reader<'_>, host: &Variable, port: &Variable) -> SocketAddr {
    let host = reader.parsed(host, |text| text.parse().ok(), IpAddr::from([0, 0, 0, 0]));
    SocketAddr::new(host, reader.number(port))
}

fn read_priorities(reader: &mut Reader<'_>) -> BTreeMap<String, Priority> {
    let variable = &variables::EVENT_PRIORITIES;
    let text = reader.written(variable);
    let mut all: BTreeMap<String, Priority> = BTreeMap::new();
    let own = events::ALL.iter().map(|event| Ok((event.name, event.priority)));
    for pair in own.chain(priorities(&text)) {
        match pair {
            Ok((name, priority)) => {
                let priority = Priority::new(priority).expect("the contract has priorities of 1 to 10");
                all.insert(name.to_owned(), priority);
            }
            Err(pair) => reader.refuse(variable, format!("{}; not {pair:?}", variable.allowed())),
        }
    }
    all
}

fn read_depth_mode(reader: &mut Reader<'_>) -> DepthMode {
    match reader.word(&variables::DEPTH_MODE) {
        depth_mode::ATOMIC => DepthMode::Atomic,
        depth_mode::REQUEST => DepthMode::Request,
        _ => DepthMode::Sampled,
    }
}

fn read_readiness(reader: &mut Reader<'_>) -> ReadinessChecks {
    let text = reader.text(&variables::READINESS_CHECKS);
    let has = |check: &str| text.split(',').any(|word| word.trim() == check);
    ReadinessChecks { database: has("database"), redis: has("redis"), backpressure: has("backpressure") }
}

fn read_watermarks(reader: &mut Reader<'_>) -> (u32, u32) {
    let everybody = reader.percent(&variables::MEMORY_WATERMARK_PERCENT);
    let urgent = reader.percent(&variables::MEMORY_URGENT_WATERMARK_PERCENT);
    reader.compare(&variables::MEMORY_URGENT_WATERMARK_PERCENT);
    (everybody, urgent)
}

fn read_limits(reader: &mut Reader<'_>) -> RequestLimits {
    let limits = RequestLimits {
        body_bytes: reader.number(&variables::MAX_BODY_BYTES),
        batch_events: reader.number(&variables::MAX_BATCH_EVENTS),
        inflight_bytes: reader.number(&variables::MAX_INFLIGHT_BYTES),
        connections: ConnectionLimits {
            most: reader.number(&variables::MAX_CONNECTIONS),
            most_per_address: reader.number(&variables::MAX_CONNECTIONS_PER_ADDRESS),
            header_timeout: reader.milliseconds(&variables::HEADER_TIMEOUT_MS),
            keep_alive_timeout: reader.milliseconds(&variables::KEEP_ALIVE_TIMEOUT_MS),
            write_timeout: reader.milliseconds(&variables::WRITE_TIMEOUT_MS),
        },
        request_timeout: reader.milliseconds(&variables::REQUEST_TIMEOUT_MS),
        body_rate: reader.number(&variables::MIN_BODY_BYTES_PER_SECOND),
        drain_delay: reader.milliseconds(&variables::DRAIN_DELAY_MS),
        shutdown_timeout: reader.milliseconds(&variables::SHUTDOWN_TIMEOUT_MS),
    };
    reader.compare(&variables::MAX_INFLIGHT_BYTES);
    limits
}

fn read_quota(reader: &mut Reader<'_>) -> Option<Quota> {
    let per_second = NonZeroU32::new(reader.number(&variables::ORGANIZATION_EVENTS_PER_SECOND));
    let burst = reader.optional(&variables::ORGANIZATION_BURST, |text| text.parse().ok());
    per_second.map(|per_second| Quota { per_second, burst: burst.unwrap_or(per_second) })
}

fn read_spill(reader: &mut Reader<'_>) -> Option<SpillSettings> {
    let dir = reader.text(&variables::SPILL_DIR);
    let max_bytes = reader.number(&variables::SPILL_MAX_BYTES);
    let lock_wait = reader.milliseconds(&variables::SPILL_LOCK_WAIT_MS);
    (dir != "off").then(|| SpillSettings { dir: PathBuf::from(dir), max_bytes, lock_wait })
}

fn read_idempotency(reader: &mut Reader<'_>) -> IdempotencySettings {
    let settings = IdempotencySettings {
        window: Duration::from_secs(reader.number(&variables::IDEMPOTENCY_WINDOW_SECONDS)),
        most_keys: reader.number(&variables::IDEMPOTENCY_MAX_KEYS),
    };
    reader.compare(&variables::IDEMPOTENCY_WINDOW_SECONDS);
    settings
}

fn read_line(reader: &mut Reader<'_>) -> LineSettings {
    LineSettings {
        sent_events: reader.number(&variables::REDIS_INFLIGHT_EVENTS),
        sent_bytes: reader.number(&variables::REDIS_INFLIGHT_BYTES),
        waiting_events: reader.number(&variables::REDIS_WAITING_EVENTS),
        patience: reader.milliseconds(&variables::REDIS_WAIT_MS),
    }
}

fn read_redis(reader: &mut Reader<'_>, idempotency: IdempotencySettings) -> Option<RedisSettings> {
    let url = reader.optional(&variables::REDIS_URL, |text| {
        let is_supported = cfg!(feature = "tls") || !text.starts_with("rediss://");
        (is_supported && redis::Client::open(text).is_ok()).then(|| text.to_owned())
    });
    let settings = RedisSettings {
        url: url.clone().unwrap_or_default(),
        cluster: reader.flag(&variables::REDIS_CLUSTER),
        timeout: reader.milliseconds(&variables::REDIS_TIMEOUT_MS),
        prefix: reader.text(&variables::QUEUE_PREFIX),
        shards: reader.number(&variables::QUEUE_SHARDS),
        by_priority: reader.word(&variables::QUEUE_ORDER) == queue_order::PRIORITY,
        keep_completed: reader.number_or_word(&variables::JOB_KEEP_COMPLETED).map_or(Keep::All, Keep::Latest),
        keep_failed: reader.number_or_word(&variables::JOB_KEEP_FAILED).map_or(Keep::All, Keep::Latest),
        attempts: reader.number(&variables::JOB_ATTEMPTS),
        backoff: read_backoff(reader),
        deduplication: Duration::from_secs(reader.number(&variables::SPILL_DEDUPLICATION_SECONDS)),
        idempotency,
        line: read_line(reader),
        allow_eviction: reader.flag(&variables::ALLOW_EVICTION),
    };
    // Nobody is to lose events to a queue in memory because a URL is missing.
    match (&url, reader.flag(&variables::EMBEDDED_QUEUE)) {
        (None, false) if !reader.is_wrong(&variables::REDIS_URL) => {
            let other =
                format!("{}, or {}=true", variables::REDIS_URL.allowed(), variables::EMBEDDED_QUEUE.name);
            reader.refuse(&variables::REDIS_URL, other);
        }
        (Some(_), true) => {
            reader.refuse(&variables::EMBEDDED_QUEUE, format!("false beside {}", variables::REDIS_URL.name));
        }
        _ => {}
    }
    url.map(|_| settings)
}

fn read_backoff(reader: &mut Reader<'_>) -> Option<JobBackoff> {
    let pause = reader.milliseconds(&variables::JOB_BACKOFF_MS);
    let doubles = reader.word(&variables::JOB_BACKOFF_KIND) == backoff_kind::EXPONENTIAL;
    (pause > Duration::ZERO).then_some(JobBackoff { pause, doubles })
}
