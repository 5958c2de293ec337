//! The metrics of the gateway, under the names of the specification.

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name, with the `_total` of a counter.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// What it counts: `jobs`, `events`, `seconds`, `bytes`; empty for a plain number.
    pub unit: &'static str,
    /// The labels of its series, beside those that Prometheus adds.
    pub labels: &'static [&'static str],
    /// Whose number it is.
    pub scope: Scope,
    /// What it says.
    pub help: &'static str,
}

/// The types of Prometheus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Never falls while the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
}

/// Whose number a metric is, which decides how the series of several gateways become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All gateways tell the same number of the one queue: take the largest, never the sum.
    Queue,
    /// Each gateway has its own.
    Gateway,
}

impl Kind {
    /// As Prometheus writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

impl Scope {
    /// As the JSON of the contract has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Scope::Queue => "queue",
            Scope::Gateway => "gateway",
        }
    }
}

macro_rules! metrics {
    ($( #[doc = $help:literal] $ident:ident = $name:literal, $kind:ident $unit:literal, $scope:ident $(, $labels:expr)?; )*) => {
        $(
            #[doc = $help]
            pub const $ident: Metric = Metric {
                name: $name,
                kind: Kind::$kind,
                unit: $unit,
                labels: { let labels: &'static [&'static str] = &[]; $(let labels = { let _ = labels; $labels };)? labels },
                scope: Scope::$scope,
                help: $help.trim_ascii(),
            };
        )*
        /// All of them.
        pub const ALL: &[Metric] = &[$($ident),*];
    };
}

metrics! {
    /// Number of waiting jobs
    QUEUE_WAITING = "rule_engine_queue_waiting", Gauge "jobs", Queue;
    /// Number of active jobs
    QUEUE_ACTIVE = "rule_engine_queue_active", Gauge "jobs", Queue;
    /// Number of waiting and active jobs
    QUEUE_TOTAL_PENDING = "rule_engine_queue_total_pending", Gauge "jobs", Queue;
    /// Number of delayed jobs
    QUEUE_DELAYED = "rule_engine_queue_delayed", Gauge "jobs", Queue;
    /// Number of failed jobs that are kept
    QUEUE_FAILED = "rule_engine_queue_failed", Gauge "jobs", Queue;
    /// Whether the queue is paused
    QUEUE_PAUSED = "rule_engine_queue_paused", Gauge "", Queue;
    /// Number of jobs completed since the queue exists
    QUEUE_COMPLETED = "rule_engine_queue_completed", Gauge "jobs", Queue;
    /// Number of jobs completed
    QUEUE_COMPLETED_TOTAL = "rule_engine_queue_completed_total", Counter "jobs", Queue;
    /// Pending jobs per critical threshold
    QUEUE_UTILIZATION_RATIO = "rule_engine_queue_utilization_ratio", Gauge "", Queue;
    /// Number of worker processes that serve the queue
    WORKERS = "rule_engine_workers", Gauge "", Queue;
    /// Jobs that one worker does at a time, as configured
    WORKER_CONCURRENCY = "rule_engine_worker_concurrency", Gauge "jobs", Queue;
    /// Whether the policy rejects
    BACKPRESSURE_ENABLED = "rule_engine_backpressure_enabled", Gauge "", Gateway;
    /// Circuit state (0=CLOSED, 1=HALF_OPEN, 2=OPEN)
    CIRCUIT_STATE = "rule_engine_backpressure_circuit_state", Gauge "", Gateway;
    /// The warning threshold, in jobs
    THRESHOLD_WARNING = "rule_engine_backpressure_threshold_warning", Gauge "jobs", Queue;
    /// The critical threshold, in jobs
    THRESHOLD_CRITICAL = "rule_engine_backpressure_threshold_critical", Gauge "jobs", Queue;
    /// The recovery threshold, in jobs
    THRESHOLD_RECOVERY = "rule_engine_backpressure_threshold_recovery", Gauge "jobs", Queue;
    /// Openings of the circuit
    OPENINGS = "rule_engine_backpressure_openings_total", Counter "", Gateway;
    /// Events accepted since the start
    ACCEPTED = "rule_engine_backpressure_accepted_total", Counter "events", Gateway, &["class"];
    /// Events accepted again since the start, by their idempotency keys: they made no further job
    REPEATED = "rule_engine_backpressure_repeated_total", Counter "events", Gateway, &["class"];
    /// Events rejected since the start
    REJECTED = "rule_engine_backpressure_rejected_total", Counter "events", Gateway, &["class", "reason"];
    /// Events sent to the queue, or to the disk for it, and not answered in time since the start
    UNKNOWN = "rule_engine_backpressure_unknown_total", Counter "events", Gateway, &["class"];
    /// Time from the body of a request to the verdicts on its events
    EMIT_SECONDS = "rule_engine_gateway_emit_seconds", Histogram "seconds", Gateway;
    /// Time from the header of a request to its answer
    HTTP_SECONDS = "rule_engine_gateway_http_seconds", Histogram "seconds", Gateway, &["route", "status"];
    /// Requests without a token that may do what they ask
    UNAUTHORIZED = "rule_engine_gateway_unauthorized_total", Counter "", Gateway, &["endpoint"];
    /// Bytes of bodies in progress, with 512 for each event
    INFLIGHT_BYTES = "rule_engine_gateway_inflight_bytes", Gauge "bytes", Gateway;
    /// Open connections
    CONNECTIONS = "rule_engine_gateway_connections", Gauge "", Gateway, &["listener"];
    /// Connections that the gateway ended, by reason: too slow, no header, to make room, no place
    CONNECTIONS_DROPPED = "rule_engine_gateway_connections_dropped_total", Counter "", Gateway, &["listener", "reason"];
    /// Whether the queue answers
    REDIS_UP = "rule_engine_redis_up", Gauge "", Gateway;
    /// Memory of the fullest Redis in use
    REDIS_MEMORY_USED = "rule_engine_redis_memory_used_bytes", Gauge "bytes", Queue;
    /// Its maxmemory; 0 for no limit
    REDIS_MEMORY_MAX = "rule_engine_redis_memory_max_bytes", Gauge "bytes", Queue;
    /// Memory of Redis against its watermarks (0=below, 1=only priority 1 is admitted, 2=priority 1 goes to the spill)
    REDIS_MEMORY_PRESSURE = "rule_engine_redis_memory_pressure", Gauge "", Queue;
    /// Accepted jobs that wait for the queue to take them
    SPILL_JOBS = "rule_engine_spill_jobs", Gauge "jobs", Gateway;
    /// Bytes of the spill on disk
    SPILL_BYTES = "rule_engine_spill_bytes", Gauge "bytes", Gateway;
    /// Age of the first job in the spill; 0 when it is empty
    SPILL_OLDEST = "rule_engine_spill_oldest_seconds", Gauge "seconds", Gateway;
    /// Jobs that the queue has taken from the spill
    SPILL_REPLAYED = "rule_engine_spill_replayed_total", Counter "jobs", Gateway;
    /// Whether the disk of the spill fails
    SPILL_FAILING = "rule_engine_spill_failing", Gauge "", Gateway;
    /// Damaged places found in the spill; the jobs in them are lost
    SPILL_DAMAGED = "rule_engine_spill_damaged_total", Counter "", Gateway;
    /// Damaged files of the spill that are kept for people
    SPILL_DAMAGED_FILES = "rule_engine_spill_damaged_files", Gauge "", Gateway;
    /// Always 1; the label has the version
    BUILD_INFO = "rule_engine_gateway_build_info", Gauge "", Gateway, &["version"];
    /// When the process started, in seconds since 1970
    PROCESS_START = "process_start_time_seconds", Gauge "seconds", Gateway;
    /// Processor time of the process
    PROCESS_CPU = "process_cpu_seconds_total", Counter "seconds", Gateway;
    /// Resident memory of the process
    PROCESS_RESIDENT = "process_resident_memory_bytes", Gauge "bytes", Gateway;
    /// Open file descriptors of the process
    PROCESS_FDS = "process_open_fds", Gauge "", Gateway;
    /// Most file descriptors that it may open
    PROCESS_MAX_FDS = "process_max_fds", Gauge "", Gateway;
}
