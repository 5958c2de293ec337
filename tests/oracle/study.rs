//! A study: the comparisons of one case that rest on the same replications, and the runs behind them.
//!
//! Replications are doubled until every quantity has power, or until no affordable number of them would
//! give it. Only standard errors are looked at. A failure is run once more with fresh seeds and four times
//! the replications, and that decides.

use rayon::prelude::*;

use crate::compare::{Agreement, Pair, Quantity, Row};

/// Runs one replication and returns a pair for each quantity, in their order.
pub(crate) type Observe = Box<dyn Fn(u64, u32) -> Vec<Pair> + Sync>;

pub(crate) struct Study {
    pub(crate) case: String,
    pub(crate) quantities: Vec<Quantity>,
    pub(crate) observe: Observe,
    /// Replications to begin with.
    pub(crate) first: usize,
    /// Most replications that are affordable.
    pub(crate) most: usize,
    /// Whether a few seconds suffice for it.
    pub(crate) quick: bool,
}

/// How much is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Factor on the standard errors that count as power.
    pub(crate) ease: f64,
    /// Divisor of the most replications.
    pub(crate) thrift: usize,
}

impl Effort {
    pub(crate) const FULL: Effort = Effort { ease: 1.0, thrift: 1 };
    pub(crate) const QUICK: Effort = Effort { ease: 4.0, thrift: 16 };
}

/// A rerun has this many times the replications.
const RERUN_FACTOR: usize = 4;

impl Study {
    /// Runs and judges every comparison at `alpha`; a failure leads to a rerun.
    pub(crate) fn run(&self, alpha: f64, effort: Effort) -> Vec<Row> {
        let most = (self.most / effort.thrift).max(self.first);
        let observed = self.replicate(self.seed(0), self.first, most, effort);
        let mut rows = self.judge(&observed, alpha, effort);
        if rows.iter().any(|row| row.agreement == Agreement::Fail) {
            for row in rows.iter().filter(|row| row.agreement == Agreement::Fail) {
                println!("  first run: {}", crate::report::line(row));
            }
            let count = observed.len() * RERUN_FACTOR;
            println!("  again with fresh seeds and {count} replications");
            rows = self.judge(&self.replicate(self.seed(1), count, count, effort), alpha, effort);
        }
        rows
    }

    fn replicate(&self, seed: u64, first: usize, most: usize, effort: Effort) -> Vec<Vec<Pair>> {
        let mut observed = Vec::new();
        let mut target = first;
        loop {
            let range = observed.len() as u32..target as u32;
            observed.par_extend(range.into_par_iter().map(|replication| (self.observe)(seed, replication)));
            let settled = |(index, quantity): (usize, &Quantity)| {
                quantity.is_settled(&column(&observed, index), most, effort.ease)
            };
            if target >= most || self.quantities.iter().enumerate().all(settled) {
                return observed;
            }
            target = most.min(2 * target);
        }
    }

    fn judge(&self, observed: &[Vec<Pair>], alpha: f64, effort: Effort) -> Vec<Row> {
        let judge = |(index, quantity): (usize, &Quantity)| {
            quantity.judge(&self.case, &column(observed, index), alpha, effort.ease)
        };
        self.quantities.iter().enumerate().map(judge).collect()
    }

    /// A seed of its own for each case: the hash FNV-1a of its name.
    fn seed(&self, attempt: u8) -> u64 {
        let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        self.case.bytes().chain([attempt]).fold(0xcbf2_9ce4_8422_2325, fold)
    }
}

fn column(observed: &[Vec<Pair>], index: usize) -> Vec<Pair> {
    observed.iter().map(|pairs| pairs[index]).collect()
}
