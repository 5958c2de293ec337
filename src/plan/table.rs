//! What a search knows: simulated replications, and which ones it needs next.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::experiment::foregone::Foregone;
use crate::experiment::replication::{Extent, Replication};
use crate::study::grid::VariantId;
use crate::study::journal::Entry;

/// A replication to be simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Of this variant.
    pub variant: VariantId,
    /// Which one.
    pub replication: u32,
    /// How much of it.
    pub extent: Extent,
}

/// Simulated replications by variant, each from the first on.
#[derive(Clone, Debug, Default)]
pub struct Table {
    runs: BTreeMap<VariantId, Vec<Option<Replication>>>,
    parts: BTreeMap<VariantId, Replication>,
}

/// Replications that the search cannot go on without: for each variant how many in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// The variants and how many replications of each.
    pub runs: Vec<(VariantId, u32)>,
    /// How much of them.
    pub extent: Extent,
}

impl Demand {
    /// Whole replications.
    pub(super) fn whole(runs: impl Iterator<Item = (VariantId, u32)>) -> Self {
        Self { runs: runs.collect(), extent: Extent::Whole }
    }
}

impl Table {
    /// Adds a result; one that is there already stays, unless it was given up and this one is whole.
    pub fn add(&mut self, Entry { variant, replication, extent, result }: Entry) {
        if extent == Extent::Part {
            self.parts.entry(variant).or_insert(result);
            return;
        }
        let known = self.runs.entry(variant).or_default();
        if known.len() <= replication as usize {
            known.resize(replication as usize + 1, None);
        }
        let place = &mut known[replication as usize];
        if place.as_ref().is_none_or(|known| known.foregone.is_some() && result.foregone.is_none()) {
            *place = Some(result);
        }
    }

    /// The replications of a demand that are missing. One that was given up answers for all others of its variant, unless whole
    /// ones are asked for.
    pub fn missing(&self, Demand { runs, extent }: &Demand) -> Vec<Task> {
        let lacks = |task: &Task| match extent {
            Extent::Part => !self.parts.contains_key(&task.variant),
            Extent::WhileOpen => {
                self.foregone(task.variant).is_none() && self.get(task.variant, task.replication).is_none()
            }
            Extent::Whole => {
                self.get(task.variant, task.replication).is_none_or(|run| run.foregone.is_some())
            }
        };
        let task = |variant| move |replication| Task { variant, replication, extent: *extent };
        runs.iter().flat_map(|&(variant, all)| (0..all).map(task(variant))).filter(lacks).collect()
    }

    pub(super) fn get(&self, variant: VariantId, replication: u32) -> Option<&Replication> {
        self.runs.get(&variant)?.get(replication as usize)?.as_ref()
    }

    /// The part of a steady run.
    pub(super) fn part(&self, variant: VariantId) -> Option<&Replication> {
        self.parts.get(&variant)
    }

    /// That a replication of the variant was given up, if one was.
    pub(super) fn foregone(&self, variant: VariantId) -> Option<Foregone> {
        self.runs.get(&variant)?.iter().flatten().find_map(|run| run.foregone)
    }

    /// The first replications of a variant, as far as they are there without a gap.
    pub(super) fn known(&self, variant: VariantId) -> impl Iterator<Item = &Replication> + Clone {
        self.runs.get(&variant).into_iter().flatten().map_while(Option::as_ref)
    }

    /// The same, to keep.
    pub(super) fn of(&self, variant: VariantId) -> Vec<Replication> {
        self.known(variant).cloned().collect()
    }

    /// Hashes of the first replications of a variant.
    pub(super) fn digests(&self, variant: VariantId) -> Vec<u64> {
        self.known(variant).map(|run| run.digest).collect()
    }

    /// The variants of which something was simulated.
    pub(super) fn variants(&self) -> Vec<VariantId> {
        let mut all: Vec<VariantId> = self.runs.keys().chain(self.parts.keys()).copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Stops the search unless each of the variants has that many replications.
    pub(super) fn need(
        &self,
        variants: &[VariantId],
        replications: u32,
        extent: Extent,
    ) -> Result<(), Demand> {
        let runs = variants.iter().map(|&variant| (variant, replications)).collect();
        let demand = Demand { runs, extent };
        if self.missing(&demand).is_empty() { Ok(()) } else { Err(demand) }
    }

    /// How many replications there are, whole or not.
    pub(super) fn len(&self) -> u64 {
        (self.runs.values().flatten().flatten().count() + self.parts.len()) as u64
    }
}
