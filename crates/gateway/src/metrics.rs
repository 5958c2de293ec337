//! The metrics, as the contract names them.
//!
//! There are two kinds: counters of this process, and the state of the queue at the moment of the scrape. The latter is left out while
//! it is unknown: a stale number would look like a calm queue.

use std::time::{Duration, SystemTime};

use contract::metrics::{self, Kind, Metric};
use contract::{endpoints, events};
use prometheus::core::Collector;
use prometheus::{
    Counter, Encoder, Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

use crate::refusal::RefusalReason;
use crate::status::Status;
use crate::{descriptors, process};

/// The counters of this process.
pub struct Metrics {
    registry: Registry,
    accepted: IntCounterVec,
    repeated: IntCounterVec,
    rejected: IntCounterVec,
    unknown: IntCounterVec,
    emit: Histogram,
    connections: IntGaugeVec,
    dropped: IntCounterVec,
    http: HistogramVec,
    unauthorized: IntCounterVec,
    inflight: IntGauge,
}

/// Why the gateway ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dropped {
    /// Its header did not come in time.
    SlowHeader,
    /// What came was no header, or too long a one; it was told so.
    BadHeader,
    /// The body of its request did not come in time; it was told so.
    SlowBody,
    /// It did not take an answer in time.
    SlowReader,
    /// It waited for a request, and another one needed its place.
    Evicted,
    /// All places were taken by requests.
    Refused,
}

impl Dropped {
    pub(crate) const ALL: [Dropped; 6] = [
        Dropped::SlowHeader,
        Dropped::BadHeader,
        Dropped::SlowBody,
        Dropped::SlowReader,
        Dropped::Evicted,
        Dropped::Refused,
    ];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Dropped::SlowHeader => "slow_header",
            Dropped::BadHeader => "bad_header",
            Dropped::SlowBody => "slow_body",
            Dropped::SlowReader => "slow_reader",
            Dropped::Evicted => "evicted",
            Dropped::Refused => "refused",
        }
    }
}

/// Any path that is no endpoint, as a label.
pub(crate) const OTHER_ROUTE: &str = "other";
/// What needs a token.
pub(crate) const UNAUTHORIZED_FOR: [&str; 2] = ["events", "reset"];
/// The listeners, as metrics and the log name them.
pub(crate) const LISTENERS: [&str; 2] = ["events", "admin"];

impl Metrics {
    /// Counters of which every series is there from the start, with 0: the increase of one that begins at its first event misses
    /// that event. `classes` are those of events.
    #[must_use]
    pub fn new<'a>(classes: impl Iterator<Item = &'a str>) -> Metrics {
        let by_label = |metric: Metric| {
            assert_eq!(metric.kind, Kind::Counter, "{}", metric.name);
            IntCounterVec::new(Opts::new(metric.name, metric.help), metric.labels).expect(VALID)
        };
        let emit = HistogramOpts::new(metrics::EMIT_SECONDS.name, metrics::EMIT_SECONDS.help)
            .buckets(EMIT_BUCKETS.to_vec());
        let metrics = Metrics {
            registry: Registry::new(),
            accepted: by_label(metrics::ACCEPTED),
            repeated: by_label(metrics::REPEATED),
            rejected: by_label(metrics::REJECTED),
            unknown: by_label(metrics::UNKNOWN),
            emit: Histogram::with_opts(emit).expect(VALID),
            connections: IntGaugeVec::new(
                Opts::new(metrics::CONNECTIONS.name, metrics::CONNECTIONS.help),
                metrics::CONNECTIONS.labels,
            )
            .expect(VALID),
            dropped: by_label(metrics::CONNECTIONS_DROPPED),
            http: HistogramVec::new(
                HistogramOpts::new(metrics::HTTP_SECONDS.name, metrics::HTTP_SECONDS.help)
                    .buckets(HTTP_BUCKETS.to_vec()),
                metrics::HTTP_SECONDS.labels,
            )
            .expect(VALID),
            unauthorized: by_label(metrics::UNAUTHORIZED),
            inflight: IntGauge::new(metrics::INFLIGHT_BYTES.name, metrics::INFLIGHT_BYTES.help).expect(VALID),
        };
        let own: [Box<dyn Collector>; 10] = [
            Box::new(metrics.inflight.clone()),
            Box::new(metrics.http.clone()),
            Box::new(metrics.unauthorized.clone()),
            Box::new(metrics.connections.clone()),
            Box::new(metrics.dropped.clone()),
            Box::new(metrics.accepted.clone()),
            Box::new(metrics.repeated.clone()),
            Box::new(metrics.rejected.clone()),
            Box::new(metrics.unknown.clone()),
            Box::new(metrics.emit.clone()),
        ];
        for collector in own {
            metrics.registry.register(collector).expect(VALID);
        }
        for class in classes.chain([events::OTHER]) {
            metrics.accepted.with_label_values(&[class]);
            metrics.repeated.with_label_values(&[class]);
            metrics.unknown.with_label_values(&[class]);
            for reason in RefusalReason::all() {
                metrics.rejected.with_label_values(&[class, reason.as_str()]);
            }
        }
        metrics.rejected.with_label_values(&[UNREAD, RefusalReason::Busy.as_str()]);
        let routes = endpoints::ALL.iter().map(|endpoint| {
            let statuses: &[&str] = match *endpoint {
                endpoints::EVENTS => &EVENT_STATUSES,
                endpoints::HEALTH | endpoints::READINESS => &["200", "400", "405", "503"],
                endpoints::RESET => &["200", "400", "401", "403", "405"],
                _ => &["200", "400", "405"],
            };
            (endpoint.path, statuses)
        });
        for (route, statuses) in routes.chain([(OTHER_ROUTE, &["400", "404"][..])]) {
            for status in statuses {
                metrics.http.with_label_values(&[route, status]);
            }
        }
        for endpoint in UNAUTHORIZED_FOR {
            metrics.unauthorized(endpoint);
        }
        for listener in LISTENERS {
            metrics.connections(listener);
            for why in Dropped::ALL {
                metrics.dropped(listener, why);
            }
        }
        metrics
    }

    pub(crate) fn accepted(&self, class: &str) {
        self.accepted.with_label_values(&[class]).inc();
    }

    /// An event that was accepted before, so that it made no further job.
    pub(crate) fn repeated(&self, class: &str) {
        self.repeated.with_label_values(&[class]).inc();
    }

    pub(crate) fn rejected(&self, class: &str, reason: RefusalReason) {
        self.rejected.with_label_values(&[class, reason.as_str()]).inc();
    }

    pub(crate) fn unknown(&self, class: &str) {
        self.unknown.with_label_values(&[class]).inc();
    }

    pub(crate) fn emitted_in(&self, time: Duration) {
        self.emit.observe(time.as_secs_f64());
    }

    pub(crate) fn answered(&self, route: &str, status: &str, time: Duration) {
        self.http.with_label_values(&[route, status]).observe(time.as_secs_f64());
    }

    /// The number of requests without the token for an endpoint.
    pub(crate) fn unauthorized(&self, endpoint: &str) -> IntCounter {
        self.unauthorized.with_label_values(&[endpoint])
    }

    /// The bytes of bodies in progress.
    pub(crate) fn inflight(&self) -> IntGauge {
        self.inflight.clone()
    }

    /// The number of open connections of a listener.
    pub(crate) fn connections(&self, listener: &str) -> IntGauge {
        self.connections.with_label_values(&[listener])
    }

    /// The number of connections that a listener ended for a reason.
    pub(crate) fn dropped(&self, listener: &str, why: Dropped) -> IntCounter {
        self.dropped.with_label_values(&[listener, why.as_str()])
    }

    /// All rejections since the start, by class and reason, in the order of their names.
    #[must_use]
    pub fn rejections(&self) -> Vec<(String, String, u64)> {
        let mut all = Vec::new();
        for family in self.rejected.collect() {
            for metric in family.get_metric() {
                let label = |name: &str| {
                    let pair = metric.get_label().iter().find(|pair| pair.name() == name);
                    pair.map(|pair| pair.value().to_owned()).unwrap_or_default()
                };
                all.push((label("class"), label("reason"), metric.get_counter().get_value() as u64));
            }
        }
        all.sort();
        all
    }

    /// Rejections since the start.
    #[must_use]
    pub fn rejected_total(&self) -> u64 {
        self.rejections().iter().map(|(_, _, count)| count).sum()
    }

    /// Everything, in Prometheus' text format 0.0.4.
    #[must_use]
    pub fn render(&self, status: &Status) -> String {
        let scrape = Registry::new();
        describe(status, &scrape);
        let mut families = self.registry.gather();
        families.extend(scrape.gather());
        families.sort_by(|a, b| a.name().cmp(b.name()));
        let mut text = Vec::new();
        TextEncoder::new().encode(&families, &mut text).expect("a vector takes everything");
        String::from_utf8(text).expect("the format is text")
    }
}

/// The present state, into `scrape`.
fn describe(status: &Status, scrape: &Registry) {
    let register = |metric: Metric, kind: Kind, collector: Box<dyn Collector>| {
        assert_eq!(metric.kind, kind, "{}", metric.name);
        scrape.register(collector).expect(VALID);
    };
    let gauge = |metric: Metric, value: u64| {
        let gauge = IntGauge::new(metric.name, metric.help).expect(VALID);
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        register(metric, Kind::Gauge, Box::new(gauge));
    };
    let counter = |metric: Metric, value: u64| {
        let counter = IntCounter::new(metric.name, metric.help).expect(VALID);
        counter.inc_by(value);
        register(metric, Kind::Counter, Box::new(counter));
    };
    let policy = &status.policy;
    if let Some(counts) = &status.counts {
        gauge(metrics::QUEUE_WAITING, counts.waiting());
        gauge(metrics::QUEUE_ACTIVE, counts.active);
        gauge(metrics::QUEUE_TOTAL_PENDING, counts.depth());
        gauge(metrics::QUEUE_DELAYED, counts.delayed);
        gauge(metrics::QUEUE_FAILED, counts.failed);
        gauge(metrics::QUEUE_PAUSED, counts.is_paused.into());
        // The specification's name does not end as that of a counter must, so the same number is there as a counter too.
        gauge(metrics::QUEUE_COMPLETED, counts.completed_total);
        counter(metrics::QUEUE_COMPLETED_TOTAL, counts.completed_total);
        let metric = metrics::QUEUE_UTILIZATION_RATIO;
        let ratio = Gauge::new(metric.name, metric.help).expect(VALID);
        ratio.set(counts.depth() as f64 / policy.critical() as f64);
        register(metric, Kind::Gauge, Box::new(ratio));
    }
    if let Some(workers) = &status.workers {
        gauge(metrics::WORKERS, workers.len() as u64);
    }
    gauge(metrics::WORKER_CONCURRENCY, status.worker_concurrency.into());
    gauge(metrics::BACKPRESSURE_ENABLED, policy.enabled().into());
    gauge(metrics::CIRCUIT_STATE, status.circuit.state.code().into());
    gauge(metrics::THRESHOLD_WARNING, policy.warning());
    gauge(metrics::THRESHOLD_CRITICAL, policy.critical());
    gauge(metrics::THRESHOLD_RECOVERY, policy.recovery());
    counter(metrics::OPENINGS, status.circuit.since_start.openings);
    gauge(metrics::REDIS_UP, status.counts.is_some().into());
    gauge(metrics::REDIS_MEMORY_PRESSURE, status.pressure as u64);
    if let Some(memory) = &status.memory {
        gauge(metrics::REDIS_MEMORY_USED, memory.used);
        gauge(metrics::REDIS_MEMORY_MAX, memory.max);
    }
    let spill = status.spill.clone().unwrap_or_default();
    gauge(metrics::SPILL_JOBS, spill.jobs);
    gauge(metrics::SPILL_BYTES, spill.bytes);
    gauge(metrics::SPILL_OLDEST, spill.oldest_age().as_secs());
    counter(metrics::SPILL_REPLAYED, spill.replayed);
    gauge(metrics::SPILL_FAILING, spill.is_failing.into());
    counter(metrics::SPILL_DAMAGED, spill.damaged);
    gauge(metrics::SPILL_DAMAGED_FILES, spill.damaged_files);
    describe_process(status, scrape);
}

/// This process, into `scrape`, under the names that Prometheus' own clients have.
fn describe_process(status: &Status, scrape: &Registry) {
    let gauge = |metric: Metric, value: Option<f64>| {
        assert_eq!(metric.kind, Kind::Gauge, "{}", metric.name);
        if let Some(value) = value {
            let gauge = Gauge::new(metric.name, metric.help).expect(VALID);
            gauge.set(value);
            scrape.register(Box::new(gauge)).expect(VALID);
        }
    };
    let started = status.started.duration_since(SystemTime::UNIX_EPOCH);
    gauge(metrics::PROCESS_START, started.ok().map(|since| since.as_secs_f64()));
    gauge(metrics::PROCESS_RESIDENT, process::memory_kib("VmRSS").map(|kib| (kib * 1024) as f64));
    gauge(metrics::PROCESS_FDS, process::open_files().map(|files| files as f64));
    gauge(metrics::PROCESS_MAX_FDS, Some(descriptors::most() as f64));
    if let Some(seconds) = process::cpu_seconds() {
        let cpu = Counter::new(metrics::PROCESS_CPU.name, metrics::PROCESS_CPU.help).expect(VALID);
        cpu.inc_by(seconds);
        scrape.register(Box::new(cpu)).expect(VALID);
    }
    let metric = metrics::BUILD_INFO;
    let build = IntGaugeVec::new(Opts::new(metric.name, metric.help), metric.labels).expect(VALID);
    build.with_label_values(&[env!("CARGO_PKG_VERSION")]).set(1);
    scrape.register(Box::new(build)).expect(VALID);
}

/// The class of events that were rejected before they were read.
pub(crate) const UNREAD: &str = "unread";
/// The admin port answers 404.
const EVENT_STATUSES: [&str; 13] =
    ["202", "207", "400", "401", "403", "404", "405", "408", "413", "415", "429", "503", "504"];
const HTTP_BUCKETS: [f64; 9] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 5.0];
const EMIT_BUCKETS: [f64; 13] =
    [0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
const VALID: &str = "names and labels of the contract are valid, and each is registered once";
