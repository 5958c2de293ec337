//! What Prometheus is told, under the specification's names.
//!
//! Two kinds: what this process has counted itself, and how the queue stands at the moment of the scrape. The latter is left out
//! when it is not known; a stale number would look like a calm queue.

use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    Encoder, Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry,
    TextEncoder,
};

use crate::refusal::RefusalReason;
use crate::status::Status;

/// The counters of this process.
pub struct Metrics {
    registry: Registry,
    accepted: IntCounterVec,
    rejected: IntCounterVec,
    emit: Histogram,
}

impl Default for Metrics {
    fn default() -> Metrics {
        let accepted = IntCounterVec::new(
            Opts::new("rule_engine_backpressure_accepted_total", "Events accepted since the start"),
            &["class"],
        );
        let rejected = IntCounterVec::new(
            Opts::new("rule_engine_backpressure_rejected_total", "Events rejected since the start"),
            &["class", "reason"],
        );
        let emit = Histogram::with_opts(
            HistogramOpts::new(
                "rule_engine_gateway_emit_seconds",
                "Time from the body of a request to the verdicts on its events",
            )
            .buckets(vec![0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0]),
        );
        let metrics = Metrics {
            registry: Registry::new(),
            accepted: accepted.expect(VALID),
            rejected: rejected.expect(VALID),
            emit: emit.expect(VALID),
        };
        let own: [Box<dyn Collector>; 3] = [
            Box::new(metrics.accepted.clone()),
            Box::new(metrics.rejected.clone()),
            Box::new(metrics.emit.clone()),
        ];
        for collector in own {
            metrics.registry.register(collector).expect(VALID);
        }
        metrics
    }
}

impl Metrics {
    pub(crate) fn accepted(&self, class: &str) {
        self.accepted.with_label_values(&[class]).inc();
    }

    pub(crate) fn rejected(&self, class: &str, reason: RefusalReason) {
        self.rejected.with_label_values(&[class, reason.as_str()]).inc();
    }

    pub(crate) fn emitted_in(&self, time: Duration) {
        self.emit.observe(time.as_secs_f64());
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

/// How things stand, into `scrape`.
fn describe(status: &Status, scrape: &Registry) {
    let gauge = |name: &str, help: &str, value: u64| {
        let gauge = IntGauge::new(name, help).expect(VALID);
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        scrape.register(Box::new(gauge)).expect(VALID);
    };
    if let Some(counts) = &status.counts {
        gauge("rule_engine_queue_waiting", "Number of waiting jobs", counts.waiting());
        gauge("rule_engine_queue_active", "Number of active jobs", counts.active);
        gauge("rule_engine_queue_total_pending", "Number of waiting and active jobs", counts.depth());
        gauge("rule_engine_queue_delayed", "Number of delayed jobs", counts.delayed);
        gauge("rule_engine_queue_failed", "Number of failed jobs that are kept", counts.failed);
        gauge("rule_engine_queue_paused", "Whether the queue is paused", counts.is_paused.into());
        // The specification's name for it does not end as that of a counter must, so it cannot be declared one.
        let help = "Number of jobs completed since the queue exists; never falls";
        gauge("rule_engine_queue_completed", help, counts.completed_total);
        let completed =
            IntCounter::new("rule_engine_queue_completed_total", "Number of jobs completed").expect(VALID);
        completed.inc_by(counts.completed_total);
        scrape.register(Box::new(completed)).expect(VALID);
        let ratio = Gauge::new("rule_engine_queue_utilization_ratio", "Pending jobs per critical threshold");
        let ratio = ratio.expect(VALID);
        ratio.set(counts.depth() as f64 / status.policy.critical() as f64);
        scrape.register(Box::new(ratio)).expect(VALID);
    }
    if let Some(workers) = &status.workers {
        gauge("rule_engine_workers", "Number of worker processes that serve the queue", workers.len() as u64);
    }
    gauge(
        "rule_engine_worker_concurrency",
        "Jobs that one worker does at a time, as configured",
        status.worker_concurrency.into(),
    );
    gauge("rule_engine_backpressure_enabled", "Whether the policy rejects", status.policy.enabled().into());
    gauge(
        "rule_engine_backpressure_circuit_state",
        "Circuit state (0=CLOSED, 1=HALF_OPEN, 2=OPEN)",
        status.circuit.state.code().into(),
    );
    for (name, jobs) in [
        ("warning", status.policy.warning()),
        ("critical", status.policy.critical()),
        ("recovery", status.policy.recovery()),
    ] {
        let help = format!("The {name} threshold, in jobs");
        gauge(&format!("rule_engine_backpressure_threshold_{name}"), &help, jobs);
    }
    gauge("rule_engine_redis_up", "Whether the queue answers", status.counts.is_some().into());
    if let Some(memory) = &status.memory {
        gauge("rule_engine_redis_memory_used_bytes", "Memory of the fullest Redis in use", memory.used);
        gauge("rule_engine_redis_memory_max_bytes", "Its maxmemory; 0 for no limit", memory.max);
    }
    let (jobs, bytes) = status.spill;
    gauge("rule_engine_spill_jobs", "Accepted jobs that wait for the queue to take them", jobs);
    gauge("rule_engine_spill_bytes", "Bytes of the spill on disk", bytes);
    let openings =
        IntCounter::new("rule_engine_backpressure_openings_total", "Openings of the circuit").expect(VALID);
    openings.inc_by(status.circuit.since_start.openings);
    scrape.register(Box::new(openings)).expect(VALID);
}

const VALID: &str = "names and labels of our own are valid, and each is registered once";
