//! What a configuration costs in a month: what it is made of, and what its rejections and losses cost.

use crate::experiment::replication::Replication;
use crate::model::config::ModelConfig;
use crate::model::metric::Metric;
use crate::scenario::Prices;

const GIB: f64 = 1_073_741_824.0;

impl Prices {
    /// The cost of what is there whatever happens: workers, gateways, memory. No replication costs less.
    pub fn fixed(&self, model: &ModelConfig) -> f64 {
        let memory = model.redis.maxmemory.map_or(0.0, |bytes| bytes as f64 / GIB);
        self.worker * f64::from(model.workers.processes)
            + self.slot * f64::from(model.workers.slots())
            + self.gateway * f64::from(model.gateway.instances)
            + self.redis_gib * memory
    }

    /// The cost with these many jobs rejected and lost in one occurrence.
    pub fn with_jobs(&self, fixed: f64, rejected: f64, lost: f64) -> f64 {
        fixed + self.occurrences * (self.rejected_job * rejected + self.lost_job * lost)
    }

    /// The cost as one replication tells it.
    pub fn of(&self, model: &ModelConfig, replication: &Replication) -> f64 {
        let jobs = |metric| replication.get(metric).unwrap_or(0.0);
        self.with_jobs(self.fixed(model), jobs(Metric::Rejected), jobs(Metric::Lost))
    }

    /// Whether what happens changes the cost.
    pub fn depend_on_jobs(&self) -> bool {
        self.occurrences > 0.0 && (self.rejected_job > 0.0 || self.lost_job > 0.0)
    }
}
