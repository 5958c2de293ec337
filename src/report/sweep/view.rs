//! A sweep in words and numbers, shared by page, terminal and charts.

use std::collections::BTreeMap;

use crate::experiment::summary::{Estimate, estimate_of};
use crate::model::metric::{Metric, Unit};
use crate::report::kit::setting::readable;
use crate::report::kit::text::plural;
use crate::report::kit::{cost, number};
use crate::scenario::Prices;
use crate::study::VariantResult;
use crate::study::axis::Axis;
use crate::study::grid::{Grid, VariantId};
use crate::study::sweep::{Sweep, trade};

/// A sweep with precomputed lookups.
pub(crate) struct View<'s> {
    pub(crate) sweep: &'s Sweep,
    /// Indices of the axes that have more than one value.
    pub(crate) varied: Vec<usize>,
    names: Vec<String>,
    front: Vec<bool>,
}

impl<'s> View<'s> {
    pub(crate) fn of(sweep: &'s Sweep) -> Self {
        let axes = &sweep.study.grid.axes;
        let mut front = vec![false; sweep.results.len()];
        for &position in &sweep.front {
            front[position] = true;
        }
        let varied = (0..axes.len()).filter(|&axis| axes[axis].points.len() > 1).collect();
        Self { sweep, varied, names: short_names(axes), front }
    }

    pub(crate) fn grid(&self) -> &'s Grid {
        &self.sweep.study.grid
    }

    pub(crate) fn axis(&self, axis: usize) -> &'s Axis {
        &self.grid().axes[axis]
    }

    /// The shortest unique end of an axis's path: `critical` of `policy.critical`.
    pub(crate) fn name(&self, axis: usize) -> &str {
        &self.names[axis]
    }

    pub(crate) fn result(&self, position: usize) -> &'s VariantResult {
        &self.sweep.results[position]
    }

    /// The position in the results of a variant; `None` of one that was excluded.
    pub(crate) fn position(&self, id: VariantId) -> Option<usize> {
        self.sweep.results.binary_search_by_key(&id, |result| result.id).ok()
    }

    /// Which point of each axis a result has.
    pub(crate) fn place(&self, position: usize) -> Vec<usize> {
        self.grid().place(self.result(position).id)
    }

    /// Position of the best variant, whether it meets every objective or not.
    pub(crate) fn best(&self) -> usize {
        self.sweep.ranking[0]
    }

    /// The place in the ranking: `3`, or `3=` of several that cannot be told apart.
    pub(crate) fn rank(&self, position: usize) -> String {
        let tied = if self.sweep.is_tied(position) { "=" } else { "" };
        format!("{}{tied}", self.sweep.ranks[position])
    }

    pub(crate) fn is_in_front(&self, position: usize) -> bool {
        self.front[position]
    }

    pub(crate) fn passing(&self) -> usize {
        self.sweep.results.iter().filter(|result| result.passes()).count()
    }

    pub(crate) fn excluded(&self) -> usize {
        self.sweep.study.variants.excluded.iter().map(|(_, count)| count).sum()
    }

    /// The readable value of each axis, fractions resolved.
    pub(crate) fn values(&self, position: usize) -> Vec<String> {
        let id = self.result(position).id;
        let (written, numbers) = (self.grid().values(id), self.grid().numbers(id));
        let shown = |((written, number), axis): ((&String, &Option<f64>), &Axis)| match number {
            Some(number) => readable(*number, &axis.kind),
            None => unquoted(written),
        };
        written.iter().zip(&numbers).zip(&self.grid().axes).map(shown).collect()
    }

    /// A readable point of an axis; for an axis of fractions, the fraction.
    pub(crate) fn point(&self, axis: usize, index: usize) -> String {
        let axis = self.axis(axis);
        let point = &axis.points[index];
        match point.number {
            Some(number) if axis.of.is_some() => number::trimmed(number, 6),
            Some(number) => readable(number, &axis.kind),
            None => unquoted(&point.written),
        }
    }

    /// Meaning of the points of an axis.
    pub(crate) fn title(&self, axis: usize) -> String {
        let axis = self.axis(axis);
        match &axis.of {
            Some(of) => format!("{} as a fraction of {of}", axis.path),
            None => axis.path.clone(),
        }
    }

    /// `critical 12.5k, concurrency 40`: the settings of a variant on these axes.
    pub(crate) fn settings(&self, position: usize, axes: &[usize]) -> String {
        let values = self.values(position);
        let parts: Vec<String> =
            axes.iter().map(|&axis| format!("{} {}", self.name(axis), values[axis])).collect();
        if parts.is_empty() { "the scenario as it is".to_owned() } else { parts.join(", ") }
    }

    /// The varied axes on which these variants differ; all varied axes for a single variant.
    pub(crate) fn differing(&self, positions: &[usize]) -> Vec<usize> {
        let places: Vec<Vec<usize>> = positions.iter().map(|&position| self.place(position)).collect();
        let differs = |axis: usize| places.iter().any(|place| place[axis] != places[0][axis]);
        let differing: Vec<usize> = self.varied.iter().copied().filter(|&axis| differs(axis)).collect();
        if differing.is_empty() { self.varied.clone() } else { differing }
    }

    /// A cost as an amount: `$310`, `3`.
    pub(crate) fn amount(&self, amount: f64) -> String {
        cost::amount(self.prices(), amount)
    }

    /// A cost with its half-width.
    pub(crate) fn cost(&self, estimate: &Estimate) -> String {
        cost::estimate(self.prices(), estimate)
    }

    /// What costs are: `cost a month`, or `worker processes` where nothing has a price.
    pub(crate) fn cost_name(&self) -> &'static str {
        cost::name(self.prices())
    }

    /// `$310 a month`, `3 worker processes`.
    pub(crate) fn cost_in_words(&self, estimate: &Estimate) -> String {
        cost::in_words(self.prices(), estimate)
    }

    fn prices(&self) -> &'s Prices {
        &self.grid().scenario().cost
    }

    /// The ranking criteria, as a sentence.
    pub(crate) fn order(&self) -> String {
        let scenario = self.grid().scenario();
        let first = if scenario.slo.is_empty() { "" } else { "the objectives missed, then by " };
        let harm = if scenario.model.clients.is_some() { "given up or lost" } else { "refused or lost" };
        format!(
            "Ranked by {first}the share {harm}, then {}, then {}; {}.",
            self.cost_name(),
            scenario.plan.tie_break.name(),
            match self.sweep.study.replications {
                1 => "a single replication cannot tell differences from chance".to_owned(),
                few @ ..FEW => format!("= is what {few} replications cannot tell apart, which is much"),
                _ => "= is what the replications cannot tell apart".to_owned(),
            }
        )
    }

    /// The share that variants are ranked by where clients send again: what they give up, or what is lost.
    pub(crate) fn given_up(&self, result: &VariantResult) -> Option<String> {
        self.grid().scenario().model.clients?;
        let harm = estimate_of(&result.criteria.harm.iter().copied().collect(), 0);
        Some(number::estimate(Unit::Fraction, &harm))
    }

    /// What a variant refuses: `7.2 % refused`, and with clients what they give up.
    pub(crate) fn harm(&self, result: &VariantResult) -> String {
        let given_up = self
            .given_up(result)
            .map_or_else(String::new, |share| format!("{share} of requests given up or lost, "));
        format!("{given_up}{} refused", View::estimate(result, Metric::RejectionProbability))
    }

    /// The cheapest variant that meets every objective, where it is not the best: its settings and its cost.
    pub(crate) fn cheapest_sentence(&self) -> Option<String> {
        let cheapest = self.sweep.cheapest()?;
        let cost = |position: usize| self.result(position).cost.mean;
        if cost(cheapest) == cost(self.best()) {
            return None;
        }
        let differing = self.differing(&[cheapest, self.best()]);
        Some(format!(
            "The cheapest that meets every objective: {} – {}, {}",
            self.settings(cheapest, &differing),
            self.cost_in_words(&self.result(cheapest).cost),
            self.harm(self.result(cheapest)),
        ))
    }

    /// How many variants meet all objectives, as a sentence without its full stop.
    pub(crate) fn passing_sentence(&self) -> String {
        let all = self.sweep.results.len();
        if self.grid().scenario().slo.is_empty() {
            return format!(
                "No objective was set: the {} are ranked by what they refuse or lose",
                variants(all)
            );
        }
        let every = if self.grid().scenario().slo.len() == 1 { "the objective" } else { "every objective" };
        match self.passing() {
            0 if all == 1 => format!("The variant does not meet {every}"),
            0 => format!("None of the {} meets {every}", variants(all)),
            1 => format!("1 of {} meets {every}", variants(all)),
            passing => format!("{} of {} meet {every}", number::grouped(passing as f64, 0), variants(all)),
        }
    }

    /// `10 replications each`.
    pub(crate) fn replications(&self) -> String {
        plural(self.sweep.study.replications as usize, "replication") + " each"
    }

    /// The share of offered jobs that were rejected or lost.
    pub(crate) fn loss(result: &VariantResult) -> f64 {
        trade(result)[1]
    }

    /// Whether any variant lost a job.
    pub(crate) fn loses_jobs(&self) -> bool {
        self.sweep.results.iter().any(|result| result.metric(Metric::Lost).max.is_some_and(|lost| lost > 0.0))
    }

    /// The mean of a metric with its half-width, marked if it is only a bound.
    pub(crate) fn estimate(result: &VariantResult, metric: Metric) -> String {
        let estimate = result.metric(metric);
        number::bounded(&number::estimate(metric.unit(), estimate), estimate.censored > 0)
    }

    /// What was observed for each objective.
    pub(crate) fn observed(&self, result: &VariantResult) -> Vec<String> {
        let slo = self.grid().scenario().slo.iter();
        slo.zip(&result.slo)
            .map(|(slo, (observed, _))| number::optional(slo.subject.unit(), *observed))
            .collect()
    }
}

/// Fewer replications than this tell little apart: the interval of two is 13 standard errors wide, that of five 3.
const FEW: u32 = 5;

/// `1 variant`, `28 variants`.
pub(crate) fn variants(count: usize) -> String {
    match count {
        1 => "1 variant".to_owned(),
        n => format!("{} variants", number::grouped(n as f64, 0)),
    }
}

fn unquoted(text: &str) -> String {
    text.trim().trim_matches(['"', '\'']).to_owned()
}

/// The shortest end of each path that no other path has.
fn short_names(axes: &[Axis]) -> Vec<String> {
    let ends = |path: &str, parts: usize| -> String {
        let all: Vec<&str> = path.split('.').collect();
        all[all.len().saturating_sub(parts)..].join(".")
    };
    let most = axes.iter().map(|axis| axis.path.split('.').count()).max().unwrap_or(1);
    let mut names: Vec<String> = axes.iter().map(|axis| axis.path.clone()).collect();
    for parts in (1..=most).rev() {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for axis in axes {
            *counts.entry(ends(&axis.path, parts)).or_default() += 1;
        }
        for (name, axis) in names.iter_mut().zip(axes) {
            let end = ends(&axis.path, parts);
            if counts[&end] == 1 {
                *name = end;
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Kind;

    #[test]
    fn names_are_as_short_as_they_can_be_told_apart() {
        let axis = |path: &str| Axis { path: path.into(), kind: Kind::Boolean, of: None, points: Vec::new() };
        let names = short_names(&["policy.critical", "class.a.share", "class.b.share"].map(axis));
        assert_eq!(names, ["critical", "a.share", "b.share"]);
    }
}
