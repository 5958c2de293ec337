//! The metrics of a replication: their names, units, directions and meaning, in one table.
//!
//! The names are those of the JSON summary, of `slo` expressions and of every report. They stay: others
//! may be added, none is renamed.

/// What a metric counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// A number of jobs.
    Jobs,
    /// A number of events that are not jobs.
    Count,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Between 0 and 1.
    Fraction,
    /// Jobs per second.
    PerSecond,
}

/// Which way a metric gets worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// More is worse.
    HigherIsWorse,
    /// Less is worse.
    LowerIsWorse,
    /// A change is neither better nor worse: compared and shown, never gated.
    Neutral,
}

/// Which jobs, or which part of the run, a metric is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Population {
    /// The run from its start, the warm-up included.
    Run,
    /// The run after its warm-up.
    Later,
    /// All jobs of the run, those of the warm-up included.
    Jobs,
    /// The jobs that arrive after the warm-up.
    LaterArrivals,
    /// The jobs that arrive after the warm-up and are admitted, whatever becomes of them.
    LaterAdmitted,
}

impl Population {
    /// In the words of the reference page.
    pub const fn words(self) -> &'static str {
        match self {
            Population::Run => "the whole run",
            Population::Later => "the run after the warm-up",
            Population::Jobs => "all jobs",
            Population::LaterArrivals => "jobs that arrive after the warm-up",
            Population::LaterAdmitted => {
                "admitted jobs that arrive after the warm-up, lost and waiting ones included"
            }
        }
    }
}

macro_rules! metrics {
    ($($variant:ident $name:literal $unit:ident $scope:ident $direction:ident $population:ident $doc:literal;)*) => {
        /// One number that every replication yields.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Metric {
            $(#[doc = $doc] $variant,)*
        }

        impl Metric {
            /// All metrics, in the order of reports.
            pub const ALL: &'static [Metric] = &[$(Metric::$variant,)*];
            /// How many metrics there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The name in JSON, CSV and `slo` expressions.
            pub const fn name(self) -> &'static str {
                match self { $(Metric::$variant => $name,)* }
            }

            /// The unit of its values.
            pub const fn unit(self) -> Unit {
                match self { $(Metric::$variant => Unit::$unit,)* }
            }

            /// Which way it gets worse.
            pub const fn direction(self) -> Direction {
                match self { $(Metric::$variant => Direction::$direction,)* }
            }

            /// Which jobs, or which part of the run, a value is of.
            pub const fn population(self) -> Population {
                match self { $(Metric::$variant => Population::$population,)* }
            }

            /// One sentence on what it measures.
            pub const fn meaning(self) -> &'static str {
                match self { $(Metric::$variant => $doc,)* }
            }

            /// Whether it also exists for each job class on its own.
            pub const fn per_class(self) -> bool {
                matches!(match self { $(Metric::$variant => Scope::$scope,)* }, Scope::Class)
            }
        }
    };
}

enum Scope {
    System,
    Class,
}

metrics! {
    MeanDepth "mean_depth_jobs" Jobs System HigherIsWorse Later "Time average of the depth: jobs waiting and in service, after the warm-up.";
    PeakDepth "peak_depth_jobs" Jobs System HigherIsWorse Run "Largest depth of the whole run.";
    // The peak less a constant: 2% of a small overshoot is noise, and the peak is gated.
    Overshoot "overshoot_jobs" Jobs System Neutral Run "How far the peak depth went above the critical threshold.";
    Recovery "recovery_seconds" Seconds System HigherIsWorse Run "From the end of the last spike or fault (without one, from a start with jobs or with a circuit that is not CLOSED) until every circuit is CLOSED and the depth at or below recovery for `recovery_hold`; the horizon where that never happens, and then censored; absent where nothing is disturbed.";
    NormalAgain "normal_again_seconds" Seconds System HigherIsWorse Run "From the same moment until every circuit is CLOSED, for good, and no more jobs wait than in the calm before the first spike or fault: than the 99th percentile of their number, or than there are slots where there was no calm. More may wait for 5% of the time that is left. The horizon and censored where that never happens, or where a job is lost from the first spike or fault on; absent where nothing is disturbed.";
    TimeToShed "time_to_shed_seconds" Seconds System LowerIsWorse Run "From the start until the depth first reaches the shed level of an enabled policy; the horizon and censored if never.";
    TimeToOpen "time_to_open_seconds" Seconds System LowerIsWorse Run "From the start until a circuit first opens; the horizon and censored if never.";
    // What is not open is closed or half-open; a cycle is shorter where there are more openings.
    ClosedFraction "closed_fraction" Fraction System Neutral Later "Share of time in CLOSED, after the warm-up, over all circuits.";
    HalfOpenFraction "half_open_fraction" Fraction System Neutral Later "Share of time in HALF_OPEN, after the warm-up, over all circuits.";
    OpenFraction "open_fraction" Fraction System HigherIsWorse Later "Share of time in OPEN, after the warm-up, over all circuits.";
    CircuitOpenings "circuit_openings" Count System HigherIsWorse Run "Moves into OPEN in the whole run, per circuit.";
    CircuitOpeningsFromClosed "circuit_openings_from_closed" Count System Neutral Run "Moves from CLOSED into OPEN in the whole run, per circuit.";
    CircuitCycle "circuit_cycle_seconds" Seconds System Neutral Later "Mean time from one opening to the next after the warm-up, between the first and the last one; absent with fewer than two.";
    // The load, and what the policy makes of it: rejected is the side of it that hurts.
    Initial "initial_jobs" Jobs Class Neutral Jobs "Jobs there at the start; not offered, but served and counted when they leave.";
    Offered "offered_jobs" Jobs Class Neutral Jobs "Jobs that arrived.";
    Admitted "admitted_jobs" Jobs Class Neutral Jobs "Jobs that the policy and the queue limit let in.";
    Rejected "rejected_jobs" Jobs Class HigherIsWorse Jobs "Jobs turned away at arrival: offered = admitted + rejected.";
    // For which reason a job is rejected is all the same to it.
    RejectedOpen "rejected_open_jobs" Jobs Class Neutral Jobs "Jobs turned away because the circuit was OPEN.";
    RejectedHalfOpen "rejected_half_open_jobs" Jobs Class Neutral Jobs "Jobs turned away because the circuit was HALF_OPEN.";
    RejectedShed "rejected_shed_jobs" Jobs Class Neutral Jobs "Jobs turned away because the depth was at the shed level.";
    RejectedDepthUnknown "rejected_depth_unknown_jobs" Jobs Class Neutral Jobs "Jobs turned away because the depth was unknown.";
    RejectedPriorityCut "rejected_priority_cut_jobs" Jobs Class Neutral Jobs "Jobs turned away because their priority was above the cut of the policy at that depth.";
    RejectedQueueLimit "rejected_queue_limit_jobs" Jobs Class Neutral Jobs "Jobs turned away because the waiting line was at its capacity.";
    RejectedMemory "rejected_memory_jobs" Jobs Class Neutral Jobs "Jobs turned away because Redis memory was above the gateways' watermark.";
    RejectedInFlight "rejected_in_flight_jobs" Jobs Class Neutral Jobs "Jobs turned away because the gateway had as many enqueues on their way as it may.";
    RejectedNoGateway "rejected_no_gateway_jobs" Jobs Class Neutral Jobs "Jobs turned away because no gateway was there or ready.";
    RejectedEnqueue "rejected_enqueue_jobs" Jobs Class Neutral Jobs "Jobs that Redis refused or did not answer, and whose client was told.";
    Completed "completed_jobs" Jobs Class LowerIsWorse Jobs "Jobs that a worker finished.";
    Failed "failed_jobs" Jobs Class HigherIsWorse Jobs "Jobs whose last attempt failed.";
    Lost "lost_jobs" Jobs Class HigherIsWorse Jobs "Admitted jobs that vanished: refused by a full Redis, or in it when it crashed.";
    // A glimpse of one instant; a backlog shows as work not completed.
    InSystem "in_system_jobs" Jobs Class Neutral Jobs "Jobs still in flight, waiting or in service at the horizon: initial + admitted = completed + failed + lost + in system.";
    RejectionProbability "rejection_probability" Fraction Class HigherIsWorse LaterArrivals "Share of the jobs arriving after the warm-up that were rejected.";
    Goodput "goodput_per_second" PerSecond Class LowerIsWorse Later "Jobs completed per second after the warm-up that somebody still waited for: all, where there are no clients.";
    // Retries are load; what they do to it is the amplification.
    Requests "client_requests" Count Class Neutral Jobs "Requests of clients, each sent once or more often: offered jobs = requests + retries.";
    Retried "retried_jobs" Jobs Class Neutral Jobs "Attempts of clients beyond the first.";
    TimedOut "timed_out_jobs" Jobs Class HigherIsWorse Jobs "Attempts that their client gave up waiting for.";
    Abandoned "abandoned_requests" Count Class HigherIsWorse Jobs "Requests that their client gave up for good.";
    Wasted "wasted_jobs" Jobs Class HigherIsWorse Jobs "Jobs completed that nobody waited for any more.";
    Amplification "retry_amplification" Count Class HigherIsWorse Later "Offered jobs over requests of clients, after the warm-up: 1 without retries.";
    FailedAttempts "failed_attempts" Count Class HigherIsWorse Jobs "Attempts of workers that failed, whether or not a later one succeeded.";
    Redelivered "redelivered_jobs" Jobs Class HigherIsWorse Jobs "Jobs found again after the death of their worker, when their lock had run out.";
    WaitMean "wait_mean_seconds" Seconds Class HigherIsWorse LaterAdmitted "Mean time in the waiting line. One that waits at the end counts as long as it has waited, and the mean is a bound where one in a hundred does; with one that was lost before a worker took it, the mean has no end.";
    WaitP50 "wait_p50_seconds" Seconds Class HigherIsWorse LaterAdmitted "Median time in the waiting line: a job lost before a worker took it waits for ever, one that waits at the end at least as long as it has.";
    WaitP95 "wait_p95_seconds" Seconds Class HigherIsWorse LaterAdmitted "95th percentile of the time in the waiting line.";
    WaitP99 "wait_p99_seconds" Seconds Class HigherIsWorse LaterAdmitted "99th percentile of the time in the waiting line.";
    WaitProbability "wait_probability" Fraction Class HigherIsWorse LaterAdmitted "Share of the jobs that had to wait at all; a lost one did.";
    SojournMean "sojourn_mean_seconds" Seconds Class HigherIsWorse LaterAdmitted "Mean time from arrival to completion. One that is there at the end counts as long as it has been, and the mean is a bound where one in a hundred is; with one that was lost or failed for good, the mean has no end.";
    SojournP50 "sojourn_p50_seconds" Seconds Class HigherIsWorse LaterAdmitted "Median time from arrival to completion: a job that is lost or fails for good takes for ever, one that is there at the end at least as long as it has been.";
    SojournP95 "sojourn_p95_seconds" Seconds Class HigherIsWorse LaterAdmitted "95th percentile of the time from arrival to completion.";
    SojournP99 "sojourn_p99_seconds" Seconds Class HigherIsWorse LaterAdmitted "99th percentile of the time from arrival to completion.";
    // More is less headroom, or less waste.
    WorkerUtilisation "worker_utilisation" Fraction System Neutral Later "Busy share of all worker slots, after the warm-up.";
    RedisPeak "redis_peak_bytes" Bytes System HigherIsWorse Run "Largest Redis memory of the whole run.";
    WorkerProcesses "worker_processes" Count System Neutral Later "Worker processes that take jobs, the time average after the warm-up.";
    // A multiple of the peak, which is gated.
    RedisRssPeak "redis_peak_rss_bytes" Bytes System Neutral Run "Largest Redis memory with fragmentation: what the machine must have.";
    RedisUtilisation "redis_utilisation" Fraction System Neutral Later "Share of time that the busiest shard of Redis ran commands, after the warm-up.";
    DatabaseUtilisation "database_utilisation" Fraction System Neutral Later "Busy share of the database connections, after the warm-up.";
    TimeToOom "time_to_oom_seconds" Seconds System LowerIsWorse Run "From the start until Redis first lacks memory for a job; the horizon and censored if never.";
    PriorityInversion "priority_inversion_fraction" Fraction System HigherIsWorse LaterArrivals "Share of the jobs of priority 1 to 5 arriving after the warm-up that were rejected in a second in which a job of priority 8 to 10 was admitted.";
}

impl Metric {
    /// What a person asks first, in this order: what was refused, lost or given up, how long it took to be back, how long jobs
    /// waited, how far queue and memory filled.
    pub const KEY: [Metric; 8] = [
        Metric::RejectionProbability,
        Metric::Lost,
        Metric::Abandoned,
        Metric::Recovery,
        Metric::NormalAgain,
        Metric::WaitP99,
        Metric::PeakDepth,
        Metric::RedisPeak,
    ];

    /// Its place among [`Metric::KEY`]; behind them if it is none.
    pub fn importance(self) -> usize {
        Self::KEY.iter().position(|&key| key == self).unwrap_or(Self::KEY.len())
    }

    /// What it means that no replication has a value.
    pub const fn when_absent(self) -> &'static str {
        match self {
            Metric::Recovery | Metric::NormalAgain => "no spike or fault to recover from",
            _ => "no value",
        }
    }

    /// Whether it is counted for the jobs of a part of the run: what clients and workers do again is not.
    pub const fn is_counted_in_parts(self) -> bool {
        !matches!(
            self,
            Metric::Requests
                | Metric::Retried
                | Metric::TimedOut
                | Metric::Abandoned
                | Metric::Wasted
                | Metric::Amplification
                | Metric::FailedAttempts
                | Metric::Redelivered
        )
    }

    /// The metric of that name.
    pub fn from_name(name: &str) -> Option<Metric> {
        Self::ALL.iter().copied().find(|metric| metric.name() == name)
    }
}

/// The metrics of one replication, or of one job class of it.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(into = "Record", try_from = "Record")]
pub struct Metrics {
    values: [Option<f64>; Metric::COUNT],
    censored: u64,
}

const _: () = assert!(Metric::COUNT <= u64::BITS as usize, "one bit of `censored` for each metric");

impl Default for Metrics {
    fn default() -> Self {
        Self { values: [None; Metric::COUNT], censored: 0 }
    }
}

impl Metrics {
    /// The value, if this replication has one: a percentile of no jobs has none.
    pub fn get(&self, metric: Metric) -> Option<f64> {
        self.values[metric as usize]
    }

    /// Whether the value is only a bound: the thing measured had not happened by the horizon.
    pub fn is_censored(&self, metric: Metric) -> bool {
        self.censored >> (metric as usize) & 1 == 1
    }

    /// Sets a value.
    pub fn set(&mut self, metric: Metric, value: impl Into<Option<f64>>) {
        self.values[metric as usize] = value.into();
    }

    /// Sets a value that may be only a lower bound.
    pub fn set_bounded(&mut self, metric: Metric, value: f64, is_bound: bool) {
        self.set(metric, value);
        if is_bound {
            self.censored |= 1 << (metric as usize);
        }
    }

    /// Sets a time, or the horizon with the mark that it is only a bound.
    pub fn set_or_censor(&mut self, metric: Metric, seconds: Option<f64>, horizon: f64) {
        self.set_bounded(metric, seconds.unwrap_or(horizon), seconds.is_none());
    }
}

/// How metrics are written into files: the values in the order of `Metric::ALL`.
#[derive(serde::Serialize, serde::Deserialize)]
struct Record {
    values: Vec<Option<f64>>,
    censored: u64,
}

impl From<Metrics> for Record {
    fn from(metrics: Metrics) -> Self {
        Self { values: metrics.values.to_vec(), censored: metrics.censored }
    }
}

impl TryFrom<Record> for Metrics {
    type Error = String;

    fn try_from(record: Record) -> Result<Self, String> {
        let found = record.values.len();
        let values = record.values.try_into().map_err(|_| {
            format!("{found} metrics where this version has {}: written by another version", Metric::COUNT)
        })?;
        Ok(Self { values, censored: record.censored })
    }
}
