//! The monthly cost of a configuration: its components, and its rejected and lost jobs.

use crate::experiment::replication::Replication;
use crate::model::config::ModelConfig;
use crate::model::metric::Metric;
use crate::scenario::Prices;

const GIB: f64 = 1_073_741_824.0;

impl Prices {
    /// The fixed cost: workers, gateways, memory. No replication costs less.
    pub fn fixed(&self, model: &ModelConfig) -> f64 {
        let memory = model.redis.maxmemory.map_or(0.0, |bytes| bytes as f64 / GIB);
        self.worker * f64::from(model.workers.processes)
            + self.slot * f64::from(model.workers.slots())
            + self.gateway * f64::from(model.gateway.instances)
            + self.redis_gib * memory
    }

    /// The cost with this many jobs rejected and lost per occurrence.
    pub fn with_jobs(&self, fixed: f64, rejected: f64, lost: f64) -> f64 {
        fixed + self.occurrences * (self.rejected_job * rejected + self.lost_job * lost)
    }

    /// The cost by one replication. Processes that an autoscaler adds cost for the time that they exist.
    pub fn of(&self, model: &ModelConfig, replication: &Replication) -> f64 {
        let value = |metric| replication.get(metric).unwrap_or(0.0);
        let scaled = value(Metric::WorkerProcesses) - f64::from(model.workers.processes);
        let price = self.worker + self.slot * f64::from(model.workers.concurrency);
        let fixed = self.fixed(model) + if model.autoscaler.is_some() { scaled * price } else { 0.0 };
        self.with_jobs(fixed, value(Metric::Rejected), value(Metric::Lost))
    }

    /// Whether what happens changes the cost.
    pub fn depend_on_jobs(&self) -> bool {
        self.occurrences > 0.0 && (self.rejected_job > 0.0 || self.lost_job > 0.0)
    }
}
