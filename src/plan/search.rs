//! The search for the cheapest configuration that meets the objectives.
//!
//! [`Search::decide`] is a deterministic program that reads simulated replications from a [`Table`]. Where one is
//! missing it stops and says which ones it needs; with these in the table it is called again, comes to the same
//! point and goes on. Nothing depends on where or in which order the replications ran.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use super::dormant::Dormant;
use super::forecast::Forecast;
use super::horizon;
use super::table::{Demand, Table};
use super::{Criterion, Fate, Screen, ScreenedObjective, SearchPath, Simulated};
use crate::experiment::replication::{Extent, Replication};
use crate::experiment::summary::{CONFIDENCE, Estimate, estimate_of, judge};
use crate::model::metric::Metric;
use crate::scenario::Scenario;
use crate::scenario::slo::{Relation, Slo, Statistic};
use crate::selection::{Gsp, GspSettings, Guarantee, Kn, KnSettings, Selection, Step};
use crate::stats::interval::Sample;
use crate::study::cost::Monthly;
use crate::study::grid::{Grid, VariantId};
use crate::units::fmt_rate;

/// Candidates, what is asked of them, and what the fluid limit says of each.
#[derive(Clone, Debug)]
pub struct Search {
    slo: Vec<Slo>,
    base: Scenario,
    candidates: Vec<Candidate>,
    excluded: Vec<(String, usize)>,
    /// Candidates whose files were found to miss an objective, and which.
    refused: BTreeMap<VariantId, String>,
}

/// A configuration before it is simulated.
#[derive(Clone, Debug)]
struct Candidate {
    id: VariantId,
    /// What it costs.
    monthly: Monthly,
    /// What the fluid limit says of a run.
    whole: Predictions,
    /// The same of the part of a steady run that shows what the whole does, and how many seconds that is.
    part: Option<(f64, Predictions)>,
    /// How far it is from the scenario's own settings: axes that differ, and how much.
    distance: (u32, f64),
    /// Up to where its levels decide nothing.
    dormant: Option<Dormant>,
    /// That it can never do what keeps coming, if so.
    lasting_overload: Option<String>,
}

/// What the fluid limit says, and what noise may make of it.
#[derive(Clone, Debug)]
struct Predictions {
    /// For each objective.
    objectives: Vec<Option<Predicted>>,
    /// Jobs rejected.
    rejected: Option<Predicted>,
    /// The tie-break metric.
    tie_break: Option<Predicted>,
}

#[derive(Clone, Copy, Debug)]
struct Predicted {
    value: f64,
    noise: f64,
}

/// What the search decided.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The chosen variant; `None` if no candidate meets the objectives.
    pub chosen: Option<Chosen>,
    /// How it came to that.
    pub path: SearchPath,
    /// The simulated candidate that came closest to meeting the objectives, where none meets them.
    pub nearest: Option<VariantId>,
}

/// The choice and how sure it is.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// Its place in the grid.
    pub id: VariantId,
    /// Cost a month, over all replications of it.
    pub cost: Estimate,
    /// What decided among the finalists.
    pub criterion: Criterion,
    /// What may be said of the decision.
    pub guarantee: Guarantee,
    /// Candidates that may be better, or cheaper, but could not be told at the most replications.
    pub undecided: Vec<VariantId>,
}

/// Candidates simulated to measure the forecast's error: half of them all over the grid, half where it matters.
const PILOTS: usize = 12;
/// Discarded candidates that are simulated afterwards.
const AUDITED: usize = 8;
/// Errors beyond those seen that margins allow for.
const SAFETY: f64 = 2.0;
/// Candidates nearest to the objectives by the fluid limit that are simulated in full where none meets them.
const NEAREST: usize = 5;
/// Replications at which hopeless candidates are given up, before all are run.
const FIRST_LOOKS: [u32; 2] = [1, 3];
/// First stage of the selection procedures, which assume about normal costs and estimate their variance.
const FIRST_STAGE: u32 = 10;
/// More candidates than this are selected by the procedure that was made for many.
const MOST_FOR_KN: usize = 100;

impl Search {
    /// Looks at all candidates of a grid, in the current rayon pool.
    pub fn of(grid: &Grid) -> Self {
        let base = grid.scenario().clone();
        let own = grid.own_numbers();
        let (variants, candidates) = grid.variants(|id, scenario| Candidate::of(grid, id, &scenario, &own));
        let (slo, excluded) = (base.slo.clone(), variants.excluded);
        Self { slo, base, candidates, excluded, refused: BTreeMap::new() }
    }

    /// How many candidates there are.
    pub fn candidates(&self) -> usize {
        self.candidates.len()
    }

    /// Why the combinations of the grid that cannot be run cannot.
    pub fn why_none(&self) -> Vec<String> {
        self.excluded.iter().map(|(reason, count)| format!("{count}: {reason}")).collect()
    }

    /// Leaves out a candidate from now on: its files, read back and simulated, miss this objective.
    pub fn refuse(&mut self, id: VariantId, objective: String) {
        self.refused.insert(id, objective);
    }

    /// How many candidates were refused.
    pub fn refused(&self) -> usize {
        self.refused.len()
    }

    /// The decision, or the replications that it takes to come to one.
    pub fn decide(&self, table: &Table) -> Result<Decision, Demand> {
        let pilots = self.pilots();
        let (parts, whole): (Vec<usize>, Vec<usize>) =
            pilots.iter().partition(|&&index| self.candidates[index].part.is_some());
        table.need(&self.ids(&parts), 1, Extent::Part)?;
        table.need(&self.ids(&whole), 1, Extent::Whole)?;
        let mut margins = self.margins(table, &pilots);
        let mut widened = 0;
        loop {
            let (survivors, discarded) = self.screen(&margins);
            let verified = self.verify(table, survivors, &margins)?;
            let chosen = self.select(table, &verified)?;
            let audited = self.audited(table, &discarded, chosen.as_ref(), &margins);
            let ids: Vec<VariantId> = audited.iter().map(|&index| self.candidates[index].id).collect();
            if self.all_fail(table, &ids)? {
                let screen =
                    (!pilots.is_empty() && margins.objectives.iter().any(Option::is_some)).then(|| Screen {
                        pilots: pilots.len(),
                        objectives: self.screened(&margins, &discarded),
                        discarded: discarded.len(),
                        audited: audited.len(),
                        widened,
                    });
                return self.decision(table, &verified, chosen, screen);
            }
            margins.widen();
            widened += 1;
        }
    }

    /// Candidates all over the grid, and those that the forecast sees nearest to an objective's limit.
    fn pilots(&self) -> Vec<usize> {
        let forecast: Vec<usize> = (0..self.candidates.len())
            .filter(|&index| self.candidates[index].whole.objectives.iter().any(Option::is_some))
            .collect();
        let forecast = self.distinct(forecast);
        let spread = PILOTS / 2;
        let mut pilots: Vec<usize> = (0..spread)
            .filter_map(|part| forecast.get((2 * part + 1) * forecast.len() / (2 * spread)))
            .copied()
            .collect();
        let closeness = |index: usize| {
            let excess =
                |(slo, predicted): (&Slo, &Option<Predicted>)| Some(relative(slo, (*predicted)?.value).abs());
            self.slo
                .iter()
                .zip(&self.candidates[index].whole.objectives)
                .filter_map(excess)
                .fold(f64::INFINITY, f64::min)
        };
        let mut by_closeness = forecast;
        by_closeness.sort_by(|&a, &b| closeness(a).total_cmp(&closeness(b)).then(a.cmp(&b)));
        pilots.extend(by_closeness.into_iter().take(PILOTS - spread));
        pilots.sort_unstable();
        pilots.dedup();
        pilots
    }

    /// How much the forecast errs at the pilots, with a factor for what they have not shown.
    fn margins(&self, table: &Table, pilots: &[usize]) -> Margins {
        let worst = |error: &dyn Fn(&Predictions, &Replication) -> Option<f64>| {
            let errors = pilots.iter().filter_map(|&index| {
                let candidate = &self.candidates[index];
                match &candidate.part {
                    Some((_, predictions)) => error(predictions, table.part(candidate.id)?),
                    None => error(&candidate.whole, table.get(candidate.id, 0)?),
                }
            });
            errors.reduce(f64::max).map(|worst| SAFETY * worst)
        };
        let objectives = self.slo.iter().enumerate().map(|(position, slo)| {
            worst(&|predictions, replication| {
                let predicted = predictions.objectives[position]?;
                let simulated = replication.answer(slo)?.least;
                Some(error(predicted, simulated, slo.limit))
            })
        });
        Margins {
            objectives: objectives.collect(),
            rejected: worst(&|predictions, replication| {
                Some(error(predictions.rejected?, replication.get(Metric::Rejected)?, 0.0))
            }),
            tie_break: worst(&|predictions, replication| {
                Some(error(predictions.tie_break?, replication.get(self.base.plan.tie_break)?, 0.0))
            }),
        }
    }

    /// Survivors, and those that miss an objective by more than the margin with its position and by how much.
    fn screen(&self, margins: &Margins) -> (Vec<usize>, Vec<Discarded>) {
        let (mut survivors, mut discarded) = (Vec::new(), Vec::new());
        for (index, candidate) in self.candidates.iter().enumerate() {
            let misses = |position: usize| {
                let (slo, margin) = (&self.slo[position], margins.objectives[position]?);
                let excess = missed_by(slo, candidate.whole.objectives[position]?, margin)?;
                Some(Discarded { index, objective: position, excess })
            };
            match (0..self.slo.len()).find_map(misses) {
                Some(found) => discarded.push(found),
                None => survivors.push(index),
            }
        }
        (survivors, discarded)
    }

    /// Simulates survivors, the cheapest first, until none that is left can be better than what was found.
    fn verify(&self, table: &Table, survivors: Vec<usize>, margins: &Margins) -> Result<Verified, Demand> {
        let mut order = survivors;
        let key = |index: &usize| {
            let candidate = &self.candidates[*index];
            let tie = candidate.whole.tie_break.map_or(0.0, |predicted| predicted.value);
            (self.cost_forecast(candidate), tie)
        };
        order.sort_by(|a, b| {
            let ((cost_a, tie_a), (cost_b, tie_b)) = (key(a), key(b));
            cost_a.total_cmp(&cost_b).then(tie_a.total_cmp(&tie_b)).then_with(|| self.nearer(*a, *b))
        });
        let floors: Vec<f64> =
            order.iter().map(|&index| self.cost_floor(&self.candidates[index], margins)).collect();
        let mut verified = Verified::default();
        let mut incumbent: Option<Merit> = None;
        let mut position = 0;
        while position < order.len() {
            let mut chunk = Vec::new();
            while chunk.len() < self.base.plan.finalists && position < order.len() {
                let (index, floor) = (order[position], floors[position]);
                if chunk.iter().any(|&other| self.levels_of_alike(index, other).is_some()) {
                    // What that one does may be all that need be known of this one: simulating dearer ones in the meantime would
                    // mostly be for nothing.
                    break;
                }
                position += 1;
                if let Some(overload) = &self.candidates[index].lasting_overload {
                    verified.fates.insert(index, Fate::Misses(overload.clone()));
                    verified.overloaded += 1;
                    continue;
                }
                match incumbent {
                    Some(best) if floor > best.cost => verified.too_dear += 1,
                    Some(best) if self.cannot_win_the_tie(index, best, margins) => verified.not_better += 1,
                    _ if self.refusal(index).is_none() && self.is_spared(table, index, &mut verified) => {}
                    Some(best) if self.rivals(&verified, best) >= self.base.plan.finalists => {
                        verified.beyond_finalists += 1;
                    }
                    _ => chunk.push(index),
                }
            }
            let feasible = self.feasible(table, chunk, &mut verified)?;
            for index in feasible {
                let merit = self.merit(table, index);
                if incumbent.is_none_or(|best| merit.beats(best)) {
                    incumbent = Some(merit);
                }
                verified.feasible.push((index, merit));
            }
        }
        Ok(verified)
    }

    /// The objective that the files of a candidate were found to miss, if they were.
    fn refusal(&self, index: usize) -> Option<&String> {
        self.refused.get(&self.candidates[index].id)
    }

    /// The levels of two candidates that cost the same and differ in levels alone; `None` of others.
    fn levels_of_alike(&self, index: usize, other: usize) -> Option<(&Dormant, &Dormant)> {
        let (own, other) = (&self.candidates[index], &self.candidates[other]);
        let levels = own.dormant.as_ref().zip(other.dormant.as_ref());
        levels.filter(|(levels, its)| own.monthly == other.monthly && levels.is_like(its))
    }

    /// Whether a candidate must do the same as one that was simulated; noted, with what became of that one, if so.
    fn is_spared(&self, table: &Table, index: usize, verified: &mut Verified) -> bool {
        let does_the_same = |&other: &usize| {
            let runs = table.known(self.candidates[other].id);
            self.levels_of_alike(index, other).is_some_and(|(levels, its)| levels.does_the_same(its, &runs))
        };
        let Some(other) = verified.tried.iter().copied().find(does_the_same) else { return false };
        verified.does_as(index, other);
        verified.spared += 1;
        true
    }

    /// Those of the chunk that meet every objective; the others are noted with the reason.
    fn feasible(
        &self,
        table: &Table,
        chunk: Vec<usize>,
        verified: &mut Verified,
    ) -> Result<Vec<usize>, Demand> {
        let all = self.base.replications;
        let mut alive = chunk;
        alive.retain(|&index| match self.refusal(index) {
            Some(objective) => {
                verified.fates.insert(index, Fate::Misses(objective.clone()));
                false
            }
            None => true,
        });
        let simulated = alive.clone();
        for look in FIRST_LOOKS.into_iter().filter(|&look| look < all).chain([all]) {
            table.need(&self.ids(&alive), look, Extent::WhileOpen)?;
            alive.retain(|&index| {
                let id = self.candidates[index].id;
                let replications = table.of(id);
                let misses = match table.foregone(id) {
                    Some(foregone) => Some(&self.slo[foregone.objective]),
                    None if look == all => {
                        self.slo.iter().find(|slo| !judge(slo, &replications[..all as usize]).pass)
                    }
                    None => self.slo.iter().find(|slo| fails_for_certain(slo, &replications, all)),
                };
                if let Some(slo) = misses {
                    verified.fates.insert(index, Fate::Misses(slo.expression.clone()));
                }
                misses.is_none()
            });
        }
        self.leave_out_equals(table, &mut alive, verified);
        // A mean is not at its limit's good side for certain before its interval is.
        let mut replications = all;
        let mut open = self.open(table, &alive);
        while !open.is_empty() && replications < self.base.plan.most_replications {
            replications = (2 * replications).min(self.base.plan.most_replications);
            table.need(&self.ids(&open), replications, Extent::Whole)?;
            open = self.open(table, &open);
        }
        for &index in &open {
            let replications = table.of(self.candidates[index].id);
            let slo = self.slo.iter().find(|slo| is_open(slo, &replications));
            verified
                .fates
                .insert(index, Fate::Undecided(slo.map(|slo| slo.expression.clone()).unwrap_or_default()));
        }
        let misses_now = |index: &usize| {
            let replications = table.of(self.candidates[*index].id);
            self.slo.iter().find(|slo| {
                !judge(slo, &replications[..all as usize]).pass || mean_misses(slo, &replications)
            })
        };
        alive.retain(|index| !open.contains(index));
        alive.retain(|index| match misses_now(index) {
            Some(slo) => {
                verified.fates.insert(*index, Fate::Misses(slo.expression.clone()));
                false
            }
            None => true,
        });
        verified.tried.extend(simulated.iter().filter(|index| !verified.same_as.contains_key(index)));
        // What became of a candidate in further replications is open for those that are the same without them.
        for (index, other) in &verified.same_as {
            if let Some(Fate::Misses(missed) | Fate::Undecided(missed)) = verified.fates.get(other)
                && verified.fates.get(index) == Some(&Fate::Equal)
            {
                let missed = missed.clone();
                verified.fates.insert(*index, Fate::Undecided(missed));
            }
        }
        Ok(alive)
    }

    /// Leaves out candidates that cost the same and whose every replication is the same, to the last count, as that of one
    /// that is not out either.
    fn leave_out_equals(&self, table: &Table, alive: &mut Vec<usize>, verified: &mut Verified) {
        let mut kept: Vec<usize> = verified.feasible.iter().map(|(index, _)| *index).collect();
        alive.sort_by(|&a, &b| self.nearer(a, b));
        alive.retain(|&index| {
            let candidate = &self.candidates[index];
            let own = table.digests(candidate.id);
            let is_equal = |&other: &usize| {
                let other = &self.candidates[other];
                other.monthly == candidate.monthly
                    && table.digests(other.id).iter().zip(&own).all(|(a, b)| a == b)
            };
            let equal = kept.iter().copied().find(|other| is_equal(other));
            match equal {
                Some(other) => verified.does_as(index, other),
                None => kept.push(index),
            }
            equal.is_none()
        });
    }

    /// The order of distance from the scenario's own settings.
    fn nearer(&self, a: usize, b: usize) -> Ordering {
        let (far_a, far_b) = (self.candidates[a].distance, self.candidates[b].distance);
        far_a.0.cmp(&far_b.0).then(far_a.1.total_cmp(&far_b.1)).then(a.cmp(&b))
    }

    fn open(&self, table: &Table, indices: &[usize]) -> Vec<usize> {
        let is_open_still = |index: &usize| {
            let replications = table.of(self.candidates[*index].id);
            self.slo.iter().any(|slo| is_open(slo, &replications))
        };
        indices.iter().copied().filter(is_open_still).collect()
    }

    /// Tells the finalists apart, at the stated probability.
    fn select(&self, table: &Table, verified: &Verified) -> Result<Option<Chosen>, Demand> {
        let Some(best_merit) = verified.feasible.iter().map(|(_, merit)| *merit).reduce(Merit::better) else {
            return Ok(None);
        };
        let by_cost = self.costs_vary();
        let mut finalists: Vec<usize> = verified
            .feasible
            .iter()
            .filter(|(_, merit)| by_cost || merit.cost <= best_merit.cost)
            .map(|(index, _)| *index)
            .collect();
        // Of equal ones the procedures keep the first: let that be the one closest to what there is.
        finalists.sort_by(|&a, &b| self.nearer(a, b));
        let criterion = if by_cost { Criterion::Cost } else { Criterion::TieBreak(self.base.plan.tie_break) };
        let value = if by_cost { best_merit.cost } else { best_merit.tie_break };
        let delta = (self.base.plan.indifference * value.abs()).max(f64::MIN_POSITIVE.sqrt());
        let costs: Vec<Vec<f64>> = finalists
            .iter()
            .map(|&index| {
                let replications = table.of(self.candidates[index].id);
                replications.iter().map(|replication| self.criterion_of(index, replication)).collect()
            })
            .collect();
        match self.procedure(finalists.len(), delta, &|finalist| &costs[finalist]) {
            Step::Done(Selection { best, undecided, guarantee, .. }) => {
                let id = |finalist: usize| self.candidates[finalists[finalist]].id;
                let (best, guarantee) = match by_cost {
                    true => cheapest(&costs, best, guarantee).map_err(|(lacking, all)| {
                        Demand::whole(lacking.into_iter().map(|finalist| (id(finalist), all)))
                    })?,
                    false => (best, guarantee),
                };
                let own: Sample = table
                    .of(id(best))
                    .iter()
                    .map(|replication| self.candidates[finalists[best]].monthly.cost(replication))
                    .collect();
                // One that costs more, whatever becomes of it, leaves nothing open.
                let may_be_cheaper =
                    |index: usize| by_cost || self.candidates[index].monthly.least() <= best_merit.cost;
                let open = verified
                    .fates
                    .iter()
                    .filter(|(index, fate)| matches!(fate, Fate::Undecided(_)) && may_be_cheaper(**index));
                let mut undecided: Vec<VariantId> = undecided.into_iter().map(id).collect();
                undecided.extend(open.map(|(&index, _)| self.candidates[index].id));
                Ok(Some(Chosen { id: id(best), cost: estimate_of(&own, 0), criterion, guarantee, undecided }))
            }
            Step::Replicate(demand) => {
                let of = |(finalist, all): (usize, u32)| (self.candidates[finalists[finalist]].id, all);
                Err(Demand::whole(demand.into_iter().map(of)))
            }
        }
    }

    fn procedure<'a>(&self, finalists: usize, delta: f64, costs: &dyn Fn(usize) -> &'a [f64]) -> Step {
        let plan = &self.base.plan;
        let alpha = 1.0 - plan.confidence;
        let first_stage = FIRST_STAGE.max(self.base.replications);
        let most = plan.most_replications.max(first_stage);
        if finalists <= MOST_FOR_KN {
            Kn::new(finalists, KnSettings { alpha, delta, first_stage, batch: 5, most }).step(costs)
        } else {
            let (alpha1, alpha2) = (alpha / 2.0, alpha / 2.0);
            Gsp::new(
                finalists,
                GspSettings { alpha1, alpha2, delta, first_stage, rounds: 10, batch: 10, most },
            )
            .step(costs)
        }
    }

    /// The discarded candidates that came closest to staying, of those that might have been chosen instead.
    fn audited(
        &self,
        table: &Table,
        discarded: &[Discarded],
        chosen: Option<&Chosen>,
        margins: &Margins,
    ) -> Vec<usize> {
        let limit = chosen.map_or(f64::INFINITY, |chosen| {
            let index = self.candidates.iter().position(|candidate| candidate.id == chosen.id);
            self.merit(table, index.expect("the chosen one is a candidate")).cost
        });
        let mut rivals: Vec<&Discarded> = discarded
            .iter()
            .filter(|discarded| self.cost_floor(&self.candidates[discarded.index], margins) <= limit)
            .collect();
        rivals.sort_by(|a, b| a.excess.total_cmp(&b.excess).then(a.index.cmp(&b.index)));
        let mut distinct = self.distinct(rivals.iter().map(|discarded| discarded.index).collect());
        distinct.truncate(AUDITED);
        distinct
    }

    /// The first of each group of candidates whose forecasts are the same: the others would show nothing new.
    fn distinct(&self, indices: Vec<usize>) -> Vec<usize> {
        let mut seen = BTreeSet::new();
        let bits = |predicted: &Option<Predicted>| predicted.map(|predicted| predicted.value.to_bits());
        let is_new = |index: &usize| {
            let candidate = &self.candidates[*index];
            let forecasts = {
                let Predictions { objectives, rejected, tie_break } = &candidate.whole;
                objectives.iter().chain([rejected, tie_break])
            };
            seen.insert(forecasts.map(bits).collect::<Vec<_>>())
        };
        indices.into_iter().filter(is_new).collect()
    }

    /// Whether each of them misses an objective for certain.
    fn all_fail(&self, table: &Table, ids: &[VariantId]) -> Result<bool, Demand> {
        let all = self.base.replications;
        let mut alive = ids.to_vec();
        for look in FIRST_LOOKS.into_iter().filter(|&look| look < all).chain([all]) {
            table.need(&alive, look, Extent::WhileOpen)?;
            alive.retain(|&id| {
                let is_foregone = table.foregone(id).is_some();
                !is_foregone && !self.slo.iter().any(|slo| fails_for_certain(slo, &table.of(id), all))
            });
        }
        alive.retain(|&id| self.slo.iter().all(|slo| judge(slo, &table.of(id)[..all as usize]).pass));
        Ok(alive.is_empty())
    }

    fn screened(&self, margins: &Margins, discarded: &[Discarded]) -> Vec<ScreenedObjective> {
        let objectives = self.slo.iter().zip(&margins.objectives).enumerate();
        let known = objectives.filter_map(|(position, (slo, margin))| Some((position, slo, (*margin)?)));
        known
            .map(|(position, slo, margin)| ScreenedObjective {
                expression: slo.expression.clone(),
                margin,
                discarded: discarded.iter().filter(|discarded| discarded.objective == position).count(),
            })
            .collect()
    }

    fn decision(
        &self,
        table: &Table,
        verified: &Verified,
        chosen: Option<Chosen>,
        screen: Option<Screen>,
    ) -> Result<Decision, Demand> {
        let nearest = match chosen {
            Some(_) => None,
            None => self.nearest(table)?,
        };
        let simulated: Vec<Simulated> = table
            .variants()
            .into_iter()
            .filter_map(|id| self.candidates.binary_search_by_key(&id, |candidate| candidate.id).ok())
            .map(|index| self.simulated(table, index, verified, chosen.as_ref()))
            .collect();
        let path = SearchPath {
            candidates: self.candidates.len(),
            excluded: self.excluded.clone(),
            screen,
            spared: verified.spared,
            overloaded: verified.overloaded,
            too_dear: verified.too_dear,
            not_better: verified.not_better,
            beyond_finalists: verified.beyond_finalists,
            simulated,
            replications: table.len(),
            exhaustive: self.candidates.len() as u64 * u64::from(self.base.replications),
        };
        Ok(Decision { chosen, path, nearest })
    }

    fn simulated(
        &self,
        table: &Table,
        index: usize,
        verified: &Verified,
        chosen: Option<&Chosen>,
    ) -> Simulated {
        let candidate = &self.candidates[index];
        let replications = table.of(candidate.id);
        // What does the same costs the same, however many replications were spared.
        let known = *verified.same_as.get(&index).unwrap_or(&index);
        let (seconds, Merit { cost, tie_break }) = self.merit_as_far(table, known);
        let is_feasible = verified.feasible.iter().any(|(other, _)| *other == index);
        let fate = match (verified.fates.get(&index), chosen) {
            (Some(fate), _) => fate.clone(),
            (None, Some(chosen)) if chosen.id == candidate.id => Fate::Chosen,
            (None, Some(chosen)) if is_feasible => {
                let best = table.of(chosen.id);
                let common = best.len().min(replications.len());
                let same = best.iter().zip(&replications).all(|(a, b)| a.digest == b.digest);
                let own = self.merit_of(candidate, &replications[..common]);
                let its = self.candidates.binary_search_by_key(&chosen.id, |candidate| candidate.id);
                let its = self.merit_of(&self.candidates[its.expect("a candidate")], &best[..common]);
                if chosen.undecided.contains(&candidate.id) {
                    Fate::Open
                } else if same || own == its {
                    Fate::Equal
                } else if own.cost > its.cost && !self.costs_vary() {
                    Fate::Dearer
                } else {
                    Fate::Worse(chosen.id)
                }
            }
            _ => Fate::Probe,
        };
        Simulated {
            id: candidate.id,
            replications: replications.len().max(1) as u32,
            seconds,
            cost,
            tie_break: seconds.is_none().then_some(tie_break),
            fate,
        }
    }

    /// The simulated candidate that misses fewest objectives, and those by least. Of those that were given up or simulated in part
    /// the fluid limit names the nearest, which are then simulated as well.
    fn nearest(&self, table: &Table) -> Result<Option<VariantId>, Demand> {
        let is_whole = |id: VariantId| table.get(id, 0).is_some() && table.foregone(id).is_none();
        let (whole, mut others): (Vec<VariantId>, Vec<VariantId>) =
            table.variants().into_iter().partition(|&id| is_whole(id));
        let miss =
            |slo: &Slo, value: f64| (!slo.relation.holds(value, slo.limit)).then(|| relative(slo, value));
        let of_forecast = |id: VariantId| {
            let predicted = self.candidate(id).map_or(&[][..], |candidate| &candidate.whole.objectives);
            let values = self.slo.iter().zip(predicted);
            Excess::of(values.filter_map(|(slo, predicted)| miss(slo, (*predicted)?.value)))
        };
        others.sort_by(|&a, &b| of_forecast(a).cmp(of_forecast(b)).then(a.cmp(&b)));
        others.truncate(NEAREST);
        table.need(&others, 1, Extent::Whole)?;
        let of_runs = |id: VariantId| {
            let replications = table.of(id);
            let judged = self.slo.iter().map(|slo| (slo, judge(slo, &replications)));
            Excess::of(judged.filter(|(_, judged)| !judged.pass).map(|(slo, judged)| {
                judged.observed.map_or(f64::INFINITY, |observed| relative(slo, observed))
            }))
        };
        Ok(whole.into_iter().chain(others).min_by(|&a, &b| of_runs(a).cmp(of_runs(b)).then(a.cmp(&b))))
    }

    fn candidate(&self, id: VariantId) -> Option<&Candidate> {
        let index = self.candidates.binary_search_by_key(&id, |candidate| candidate.id).ok()?;
        Some(&self.candidates[index])
    }

    fn ids(&self, indices: &[usize]) -> Vec<VariantId> {
        indices.iter().map(|&index| self.candidates[index].id).collect()
    }

    /// Whether the cost of a candidate depends on what happens.
    fn costs_vary(&self) -> bool {
        self.candidates.iter().any(|candidate| candidate.monthly.varies())
    }

    fn cost_forecast(&self, candidate: &Candidate) -> f64 {
        let rejected = candidate.whole.rejected.map_or(0.0, |predicted| predicted.value);
        candidate.monthly.least_with_jobs(rejected, 0.0)
    }

    /// How many candidates were verified at the level of cost of the best; where the cost depends on what happens,
    /// all are rivals.
    fn rivals(&self, verified: &Verified, best: Merit) -> usize {
        let by_cost = self.costs_vary();
        let equal = verified.fates.iter().filter(|(index, fate)| {
            **fate == Fate::Equal && (by_cost || self.candidates[**index].monthly.least() <= best.cost)
        });
        equal.count()
            + verified.feasible.iter().filter(|(_, merit)| by_cost || merit.cost <= best.cost).count()
    }

    /// The least that a candidate can cost, as far as the forecast may err.
    fn cost_floor(&self, candidate: &Candidate, margins: &Margins) -> f64 {
        let rejected = match (candidate.whole.rejected, margins.rejected) {
            (Some(Predicted { value, noise }), Some(margin)) => (value * (1.0 - margin) - noise).max(0.0),
            _ => 0.0,
        };
        candidate.monthly.least_with_jobs(rejected, 0.0)
    }

    /// Whether a candidate of the same cost as the best so far is worse at the tie-break whatever the error.
    fn cannot_win_the_tie(&self, index: usize, best: Merit, margins: &Margins) -> bool {
        let candidate = &self.candidates[index];
        let least = match (candidate.whole.tie_break, margins.tie_break) {
            (Some(Predicted { value, noise }), Some(margin)) => value * (1.0 - margin) - noise,
            _ => return false,
        };
        !self.costs_vary() && least > best.tie_break
    }

    fn merit(&self, table: &Table, index: usize) -> Merit {
        let candidate = &self.candidates[index];
        self.merit_of(candidate, &table.of(candidate.id))
    }

    /// The merit by what was simulated, and how many seconds of the run that is, where it is not all of it.
    fn merit_as_far(&self, table: &Table, index: usize) -> (Option<f64>, Merit) {
        let candidate = &self.candidates[index];
        if let Some(foregone) = table.foregone(candidate.id) {
            return (Some(foregone.at.as_secs_f64()), self.merit(table, index));
        }
        match (&candidate.part, table.part(candidate.id)) {
            (Some((seconds, _)), Some(part)) if table.get(candidate.id, 0).is_none() => {
                (Some(*seconds), self.merit_of(candidate, std::slice::from_ref(part)))
            }
            _ => (None, self.merit(table, index)),
        }
    }

    fn merit_of(&self, candidate: &Candidate, replications: &[Replication]) -> Merit {
        let mean = |value: &dyn Fn(&Replication) -> f64| {
            replications.iter().map(value).collect::<Sample>().mean().unwrap_or(f64::INFINITY)
        };
        Merit {
            cost: mean(&|replication| candidate.monthly.cost(replication)),
            tie_break: mean(&|replication| self.tie_break(replication)),
        }
    }

    fn criterion_of(&self, index: usize, replication: &Replication) -> f64 {
        match self.costs_vary() {
            true => self.candidates[index].monthly.cost(replication),
            false => self.tie_break(replication),
        }
    }

    fn tie_break(&self, replication: &Replication) -> f64 {
        replication.get(self.base.plan.tie_break).unwrap_or(0.0)
    }
}

impl Candidate {
    fn of(grid: &Grid, id: VariantId, scenario: &Scenario, own: &[Option<f64>]) -> Self {
        let model = &scenario.model;
        let part = horizon::shorter(model).map(|part| {
            let mut shorter = scenario.clone();
            shorter.model.horizon = part;
            (part.as_secs_f64(), Predictions::of(&shorter))
        });
        Self {
            id,
            monthly: Monthly::of(scenario),
            whole: Predictions::of(scenario),
            part,
            distance: distance(own, &grid.numbers(id)),
            dormant: Dormant::of(grid.paths(), &grid.values(id), model),
            lasting_overload: lasting_overload(scenario),
        }
    }
}

impl Predictions {
    fn of(scenario: &Scenario) -> Self {
        let model = &scenario.model;
        let forecast = Forecast::of(model);
        let predicted = |metric, class| {
            let forecast = forecast.as_ref()?;
            let value = forecast.get(model, metric, class)?;
            Some(Predicted { value, noise: forecast.noise(model, metric) })
        };
        Self {
            objectives: scenario.slo.iter().map(|slo| predicted(slo.metric()?, slo.class)).collect(),
            rejected: predicted(Metric::Rejected, None),
            tie_break: predicted(scenario.plan.tie_break, None),
        }
    }
}

/// Axes that differ from the scenario's own setting, and by how many factors of e in all.
fn distance(own: &[Option<f64>], numbers: &[Option<f64>]) -> (u32, f64) {
    let pairs = || own.iter().zip(numbers).filter_map(|(own, number)| Some(((*own)?, (*number)?)));
    let differ = pairs().filter(|(own, number)| own.total_cmp(number).is_ne()).count();
    let ratios = pairs()
        .filter(|(own, number)| *own > 0.0 && *number > 0.0)
        .map(|(own, number)| (number / own).ln().abs());
    (differ as u32, ratios.sum())
}

/// What is offered for good, where even all workers that may be there do less, and no objective on all jobs allows what must be
/// refused of it in the long run. In a run of minutes a backlog hides that.
fn lasting_overload(scenario: &Scenario) -> Option<String> {
    let model = &scenario.model;
    let offered = model.last_rate()?;
    let processes = f64::from(model.workers.processes.max(1));
    let most =
        model.autoscaler.as_ref().map_or(processes, |autoscaler| f64::from(autoscaler.max).max(processes));
    let capacity = model.capacity() * most / processes;
    if offered <= capacity {
        return None;
    }
    let refused = 1.0 - capacity / offered;
    let allows = |slo: &Slo| {
        slo.metric() == Some(Metric::RejectionProbability)
            && slo.class.is_none()
            && matches!(slo.relation, Relation::Less | Relation::LessOrEqual)
            && slo.limit >= refused
    };
    let is_allowed = scenario.slo.iter().any(allows);
    (!is_allowed).then(|| {
        format!(
            "what keeps coming: {} for {} of capacity, {:.1}% to refuse or to leave waiting for ever",
            fmt_rate(offered),
            fmt_rate(capacity),
            100.0 * refused
        )
    })
}

/// The finalist whose mean cost is the smallest of all that are listed, with the guarantee that holds for it.
///
/// A procedure gives up finalists on the way, and chance may then leave one with fewer replications and a smaller mean than the
/// one that was selected. Both then get as many replications (the error says which lack how many). If it stays the cheaper one it
/// is the choice: what was selected is within the difference that does not matter, but for this one nothing is guaranteed.
fn cheapest(
    costs: &[Vec<f64>],
    selected: usize,
    guarantee: Guarantee,
) -> Result<(usize, Guarantee), (Vec<usize>, u32)> {
    let mean = |finalist: usize| {
        let costs: Sample = costs[finalist].iter().copied().collect();
        costs.mean().unwrap_or(f64::INFINITY)
    };
    let all = costs[selected].len();
    let cheaper: Vec<usize> = (0..costs.len()).filter(|&finalist| mean(finalist) < mean(selected)).collect();
    let lacking: Vec<usize> =
        cheaper.iter().copied().filter(|&finalist| costs[finalist].len() < all).collect();
    if !lacking.is_empty() {
        return Err((lacking, all as u32));
    }
    let least = cheaper.into_iter().min_by(|&a, &b| mean(a).total_cmp(&mean(b)));
    Ok(least.map_or((selected, guarantee), |finalist| (finalist, Guarantee::None)))
}

/// Relative errors that the forecast is allowed, by objective and for what decides among candidates; `None`
/// where no pilot has a forecast.
#[derive(Clone, Debug)]
struct Margins {
    objectives: Vec<Option<f64>>,
    rejected: Option<f64>,
    tie_break: Option<f64>,
}

impl Margins {
    fn widen(&mut self) {
        let all = self.objectives.iter_mut().chain([&mut self.rejected, &mut self.tie_break]);
        // A margin of nothing doubled would stay.
        all.flatten().for_each(|margin| *margin = (2.0 * *margin).max(0.01));
    }
}

/// A candidate that the screen discarded: the objective it misses, and by how much beyond the margin.
#[derive(Clone, Copy, Debug)]
struct Discarded {
    index: usize,
    objective: usize,
    excess: f64,
}

/// How many objectives a candidate misses, and by how much in all.
#[derive(Clone, Copy, Debug)]
struct Excess {
    missed: usize,
    sum: f64,
}

impl Excess {
    fn of(excesses: impl Iterator<Item = f64>) -> Self {
        excesses.fold(Self { missed: 0, sum: 0.0 }, |Self { missed, sum }, excess| Self {
            missed: missed + 1,
            sum: sum + excess.abs(),
        })
    }

    fn cmp(self, other: Self) -> Ordering {
        self.missed.cmp(&other.missed).then(self.sum.total_cmp(&other.sum))
    }
}

/// The criterion among candidates that meet the objectives; less is better.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Merit {
    cost: f64,
    tie_break: f64,
}

impl Merit {
    fn beats(self, other: Merit) -> bool {
        self.cost.total_cmp(&other.cost).then(self.tie_break.total_cmp(&other.tie_break)).is_lt()
    }

    fn better(self, other: Merit) -> Merit {
        if other.beats(self) { other } else { self }
    }
}

/// What the verification found so far.
#[derive(Clone, Debug, Default)]
struct Verified {
    feasible: Vec<(usize, Merit)>,
    fates: BTreeMap<usize, Fate>,
    /// Candidates that were simulated, and not found to be the same as another one.
    tried: Vec<usize>,
    /// Candidates left out for the one whose every replication is the same.
    same_as: BTreeMap<usize, usize>,
    /// How many of these were not even simulated.
    spared: usize,
    /// How many can never do what keeps coming.
    overloaded: usize,
    too_dear: usize,
    not_better: usize,
    beyond_finalists: usize,
}

impl Verified {
    /// One candidate does what another one did, and shares its fate.
    fn does_as(&mut self, index: usize, other: usize) {
        self.fates.insert(index, self.fates.get(&other).cloned().unwrap_or(Fate::Equal));
        self.same_as.insert(index, other);
    }
}

/// The error of a forecast relative to the larger of what is compared, beyond noise.
fn error(predicted: Predicted, simulated: f64, limit: f64) -> f64 {
    let Predicted { value, noise } = predicted;
    let scale = value.abs().max(simulated.abs()).max(limit.abs());
    if scale > 0.0 { ((value - simulated).abs() - noise).max(0.0) / scale } else { 0.0 }
}

/// By how much a forecast misses an objective beyond margin and noise, relative to the larger of both sides.
fn missed_by(slo: &Slo, predicted: Predicted, margin: f64) -> Option<f64> {
    let Predicted { value, noise } = predicted;
    let scale = value.abs().max(slo.limit.abs());
    let beyond = match slo.relation {
        Relation::Less | Relation::LessOrEqual => value - slo.limit,
        Relation::Greater | Relation::GreaterOrEqual => slo.limit - value,
        // Nothing is negative: being zero is being at most zero.
        Relation::Equal if slo.limit <= 0.0 => value - slo.limit,
        Relation::Equal | Relation::NotEqual => return None,
    };
    let excess = beyond - margin * scale - noise;
    (excess > 0.0).then(|| excess / scale)
}

/// How far a value is from the limit, relative to the larger of both.
fn relative(slo: &Slo, value: f64) -> f64 {
    let scale = value.abs().max(slo.limit.abs());
    if scale > 0.0 { (value - slo.limit) / scale } else { 0.0 }
}

/// Whether no further replication can make the objective hold over `all` of them: its verdict is known without
/// running them. Metrics are never negative.
fn fails_for_certain(slo: &Slo, replications: &[Replication], all: u32) -> bool {
    let values: Vec<f64> =
        replications.iter().take(all as usize).filter_map(|run| Some(run.answer(slo)?.least)).collect();
    let bad = values.iter().filter(|value| !slo.relation.holds(**value, slo.limit)).count();
    let is_upper = matches!(slo.relation, Relation::Less | Relation::LessOrEqual)
        || (slo.relation == Relation::Equal && slo.limit <= 0.0);
    let is_lower = matches!(slo.relation, Relation::Greater | Relation::GreaterOrEqual);
    match slo.statistic {
        Statistic::Max => is_upper && bad > 0,
        Statistic::Min => is_lower && bad > 0,
        // The quantile is the value at this rank; that many must be good.
        Statistic::P95 => {
            is_upper && values.len() == replications.len().min(all as usize) && {
                let rank = (0.95 * f64::from(all)).ceil() as usize;
                bad > all as usize - rank
            }
        }
        Statistic::Mean => {
            is_upper && {
                let sum: f64 = values.iter().sum();
                !slo.relation.holds(sum / f64::from(all), slo.limit) && sum > 0.0
            }
        }
    }
}

/// Whether an objective on a mean holds or not only by chance: the interval has the limit inside.
fn is_open(slo: &Slo, replications: &[Replication]) -> bool {
    match interval(slo, replications) {
        Some((low, high)) => low < slo.limit && slo.limit < high,
        None => false,
    }
}

/// Whether the interval of a mean lies beyond the limit.
fn mean_misses(slo: &Slo, replications: &[Replication]) -> bool {
    interval(slo, replications).is_some_and(|(low, high)| {
        !slo.relation.holds(low, slo.limit) && !slo.relation.holds(high, slo.limit)
    })
}

/// The interval of the mean that an inequality is about.
fn interval(slo: &Slo, replications: &[Replication]) -> Option<(f64, f64)> {
    if slo.statistic != Statistic::Mean || matches!(slo.relation, Relation::Equal | Relation::NotEqual) {
        return None;
    }
    let sample: Sample = replications.iter().filter_map(|run| Some(run.answer(slo)?.least)).collect();
    let (mean, half_width) = (sample.mean()?, sample.half_width(CONFIDENCE)?);
    Some((mean - half_width, mean + half_width))
}
