//! What became of the traffic: every job that was offered is in exactly one part, and the parts add up.
//!
//! Counts are of the whole run, warm-up included, as those of the conservation law. A verdict says whether the objectives
//! hold; this says what happened, and which of it no objective limits.

use serde::Serialize;

use super::named::Named;
use super::replication::Replication;
use crate::engine::time::{SimDuration, SimTime};
use crate::model::config::{ArrivalProcess, ArrivalSource, Curve, ModelConfig};
use crate::model::metric::Metric;
use crate::scenario::Scenario;
use crate::scenario::slo::{Relation, Slo, Statistic};
use crate::stats::interval::Sample;

/// What became of all jobs, means over the replications.
#[derive(Clone, Debug, Serialize)]
pub struct Traffic {
    /// Over all classes.
    pub total: Fates,
    /// By job class.
    pub classes: Named<Fates>,
    /// Traffic that was refused or lost and that no objective limits.
    pub unlimited: Vec<Unlimited>,
    /// The first job that was refused; `None` if none was.
    pub first_refusal: Option<First>,
    /// The first job that was lost; `None` if none was.
    pub first_loss: Option<First>,
    /// What was offered against what can be done.
    pub load: Load,
    /// The faults within the run, in order of their beginning.
    pub faults: Vec<FaultSpan>,
}

/// What became of the jobs of a class or of all. `offered + there_at_start` is the sum of the six parts.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Fates {
    /// Jobs that arrived; with clients their attempts.
    pub offered: f64,
    /// Jobs there at the start.
    pub there_at_start: f64,
    /// Completed while somebody still waited: all, where there are no clients.
    pub completed_in_time: Part,
    /// Completed after the client had stopped waiting.
    pub completed_too_late: Part,
    /// Turned away at arrival.
    pub refused: Part,
    /// Admitted and vanished.
    pub lost: Part,
    /// The last attempt of a worker failed.
    pub failed: Part,
    /// In flight, waiting or in service at the end.
    pub in_system: Part,
    /// What the clients wanted; `None` without clients.
    pub requests: Option<Requests>,
}

/// A number of jobs, and its share of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Part {
    /// How many.
    pub jobs: f64,
    /// Which part of all; 0 of none.
    pub share: f64,
}

/// Requests of clients.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Requests {
    /// All of them, each sent once or more often.
    pub sent: f64,
    /// Given up for good.
    pub given_up: Part,
    /// Answered, or still open at the end.
    pub answered_or_open: Part,
}

/// Traffic that could be anything and the run would pass.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unlimited {
    /// What became of it.
    pub what: Harm,
    /// How much of all traffic.
    #[serde(flatten)]
    pub part: Part,
    /// The job classes concerned that no objective covers.
    pub classes: Vec<String>,
}

/// What should not become of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Harm {
    /// It is turned away.
    Refused,
    /// It vanishes.
    Lost,
    /// Its client gives the request up.
    GivenUp,
}

/// The first time of something.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct First {
    /// Median over the replications in which it happened, in seconds.
    pub seconds: f64,
    /// Replications in which it happened.
    pub replications: u32,
}

/// A fault and its time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FaultSpan {
    /// Its name in the scenario.
    pub name: String,
    /// When it begins, in seconds.
    pub begins_seconds: f64,
    /// When it is over, at the latest the end of the run.
    pub ends_seconds: f64,
}

/// Load and capacity.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Load {
    /// Jobs per second that are done with everything busy, at the start; `None` if nothing bounds them.
    pub capacity_per_second: Option<f64>,
    /// The same with as many workers as the autoscaler may have.
    pub autoscaled_capacity_per_second: Option<f64>,
    /// What bounds the capacity.
    pub bound_by: &'static str,
    /// The highest rate that is offered.
    pub peak_per_second: f64,
    /// When more is offered than can be done; `None` if never in the mean.
    pub overload: Option<Overload>,
}

/// The time in which more is offered than can be done.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Overload {
    /// When it begins, in seconds.
    pub begins_seconds: f64,
    /// How long it lasts altogether, in seconds.
    pub seconds: f64,
    /// Mean rate offered in it.
    pub offered_per_second: f64,
    /// Jobs offered in it beyond the capacity.
    pub excess_jobs: f64,
}

impl Traffic {
    /// What these replications of a scenario say.
    pub fn of(scenario: &Scenario, replications: &[Replication]) -> Self {
        let classes = scenario.model.classes.iter().enumerate();
        let classes = classes
            .map(|(index, class)| (class.name.clone(), Fates::of(scenario, replications, Some(index))));
        let classes = Named(classes.collect());
        let total = Fates::of(scenario, replications, None);
        let unlimited = Harm::ALL.iter().filter_map(|&harm| {
            let concerned: Vec<usize> = uncovered(scenario, harm)
                .into_iter()
                .filter(|&class| classes.0[class].1.part_of(harm).jobs > 0.0)
                .collect();
            let jobs = concerned.iter().map(|&class| classes.0[class].1.part_of(harm).jobs).sum();
            let classes = concerned.iter().map(|&class| classes.0[class].0.clone()).collect();
            (jobs > 0.0).then(|| Unlimited { what: harm, part: Part::of(jobs, total.all_of(harm)), classes })
        });
        Self {
            unlimited: unlimited.collect(),
            first_refusal: First::of(replications.iter().filter_map(|run| run.first_refusal)),
            first_loss: First::of(replications.iter().filter_map(|run| run.first_loss)),
            load: Load::of(&scenario.model),
            faults: faults(&scenario.model),
            classes,
            total,
        }
    }
}

impl Fates {
    fn of(scenario: &Scenario, replications: &[Replication], class: Option<usize>) -> Self {
        let mean = |metric: Metric| {
            let sum: f64 = replications.iter().filter_map(|run| run.metrics(class).get(metric)).sum();
            sum / replications.len() as f64
        };
        let (offered, there_at_start) = (mean(Metric::Offered), mean(Metric::Initial));
        let all = offered + there_at_start;
        let part = |jobs: f64| Part::of(jobs, all);
        let wasted = mean(Metric::Wasted);
        let requests = scenario.model.clients.map(|_| {
            let (sent, given_up) = (mean(Metric::Requests), mean(Metric::Abandoned));
            Requests {
                sent,
                given_up: Part::of(given_up, sent),
                answered_or_open: Part::of(sent - given_up, sent),
            }
        });
        Self {
            offered,
            there_at_start,
            completed_in_time: part(mean(Metric::Completed) - wasted),
            completed_too_late: part(wasted),
            refused: part(mean(Metric::Rejected)),
            lost: part(mean(Metric::Lost)),
            failed: part(mean(Metric::Failed)),
            in_system: part(mean(Metric::InSystem)),
            requests,
        }
    }

    /// All jobs of which the parts are shares.
    pub fn all(&self) -> f64 {
        self.offered + self.there_at_start
    }

    /// All of which those that came to that harm are a share: jobs, or requests of clients.
    fn all_of(&self, harm: Harm) -> f64 {
        match harm {
            Harm::Refused | Harm::Lost => self.all(),
            Harm::GivenUp => self.requests.map_or(0.0, |requests| requests.sent),
        }
    }

    /// How many came to that harm.
    pub fn part_of(&self, harm: Harm) -> Part {
        match harm {
            Harm::Refused => self.refused,
            Harm::Lost => self.lost,
            Harm::GivenUp => self.requests.map_or(Part::default(), |requests| requests.given_up),
        }
    }
}

impl Part {
    fn of(jobs: f64, all: f64) -> Self {
        // The sum of nothing is minus zero, which would be told.
        let jobs = jobs + 0.0;
        Self { jobs, share: if all > 0.0 { jobs / all } else { 0.0 } }
    }
}

impl First {
    fn of(times: impl Iterator<Item = SimTime>) -> Option<Self> {
        let times: Sample = times.map(SimTime::as_secs_f64).collect();
        Some(Self { seconds: times.quantile(0.5)?, replications: times.len() as u32 })
    }
}

impl Harm {
    /// All of them.
    pub const ALL: [Harm; 3] = [Harm::Refused, Harm::Lost, Harm::GivenUp];

    /// In one word.
    pub const fn word(self) -> &'static str {
        match self {
            Harm::Refused => "refused",
            Harm::Lost => "lost",
            Harm::GivenUp => "given up",
        }
    }

    /// What comes to it.
    pub const fn of_what(self) -> &'static str {
        match self {
            Harm::Refused => "refused jobs",
            Harm::Lost => "lost jobs",
            Harm::GivenUp => "requests given up",
        }
    }

    /// An objective that limits it.
    pub const fn proposal(self) -> &'static str {
        match self {
            Harm::Refused => "rejection_probability <= 1%",
            Harm::Lost => "lost_jobs == 0",
            Harm::GivenUp => "abandoned_requests == 0",
        }
    }

    /// Whether an objective bounds it from above.
    fn is_limited_by(self, slo: &Slo) -> bool {
        let is_of_it = match self {
            // A request that is refused is sent again or given up.
            _ if slo.subject.is_error_budget() => true,
            Harm::Refused => match slo.metric() {
                Some(Metric::Rejected | Metric::Abandoned) => true,
                Some(Metric::RejectionProbability) => slo.limit < 1.0,
                _ => false,
            },
            Harm::Lost => slo.metric() == Some(Metric::Lost),
            Harm::GivenUp => slo.metric() == Some(Metric::Abandoned),
        };
        is_of_it
            && slo.statistic != Statistic::Min
            && matches!(slo.relation, Relation::Less | Relation::LessOrEqual | Relation::Equal)
    }

    /// Whether a scenario has anything that may do it.
    fn is_possible(self, model: &ModelConfig) -> bool {
        let has_faults = !model.faults.is_empty();
        match self {
            Harm::Refused => {
                has_faults
                    || model.policy.config.enabled()
                    || model.queue.capacity.is_some()
                    || model.redis.watermark.is_some()
                    || model.gateway.in_flight_limit.is_some()
                    || model.gateway.readiness.is_some()
                    || model.clients.is_some()
            }
            Harm::Lost => has_faults || model.redis.maxmemory.is_some() || model.workers.crashes.is_some(),
            Harm::GivenUp => model.clients.is_some(),
        }
    }
}

/// The classes for which no objective limits that harm.
pub fn uncovered(scenario: &Scenario, harm: Harm) -> Vec<usize> {
    if harm == Harm::GivenUp && !harm.is_possible(&scenario.model) {
        return Vec::new();
    }
    let covers = |class: usize| {
        let of_class = |slo: &&Slo| slo.class.is_none_or(|covered| covered == class);
        scenario.objectives().filter(of_class).any(|slo| harm.is_limited_by(slo))
    };
    (0..scenario.model.classes.len()).filter(|&class| !covers(class)).collect()
}

/// The warning that a run would pass whatever is refused or lost, with the line that changes it.
pub fn unjudged(scenario: &Scenario) -> Option<String> {
    let classes = &scenario.model.classes;
    let missing: Vec<(Harm, Vec<usize>)> = Harm::ALL
        .iter()
        .filter(|harm| harm.is_possible(&scenario.model))
        .map(|&harm| (harm, uncovered(scenario, harm)))
        .filter(|(_, uncovered)| !uncovered.is_empty())
        .collect();
    let is_all = |uncovered: &[usize]| uncovered.len() == classes.len();
    let what: Vec<String> = match &missing[..] {
        [] => return None,
        [(Harm::Refused, of_a), (Harm::Lost, of_b)] if is_all(of_a) && is_all(of_b) => {
            vec!["refused or lost jobs".to_owned()]
        }
        some => some
            .iter()
            .map(|(harm, uncovered)| {
                let names: Vec<&str> = uncovered.iter().map(|&class| classes[class].name.as_str()).collect();
                let of = if is_all(uncovered) { String::new() } else { format!(" of {}", names.join(", ")) };
                format!("{}{of}", harm.of_what())
            })
            .collect(),
    };
    let kept = if scenario.slo.is_empty() { "" } else { "..., " };
    let added: Vec<String> = missing.iter().map(|(harm, _)| format!("\"{}\"", harm.proposal())).collect();
    Some(format!(
        "no objective limits {}: the run passes however many there are. Add to the scenario: slo = [{kept}{}]",
        what.join(" and "),
        added.join(", ")
    ))
}

fn faults(model: &ModelConfig) -> Vec<FaultSpan> {
    let horizon = SimTime(model.horizon.0);
    let within = model.faults.iter().filter(|fault| fault.at < horizon);
    let mut faults: Vec<FaultSpan> = within
        .map(|fault| FaultSpan {
            name: fault.name.clone(),
            begins_seconds: fault.at.as_secs_f64(),
            ends_seconds: fault.end().min(horizon).as_secs_f64(),
        })
        .collect();
    faults.sort_by(|a, b| a.begins_seconds.total_cmp(&b.begins_seconds));
    faults
}

impl Load {
    /// By arithmetic, without a simulation.
    pub fn of(model: &ModelConfig) -> Self {
        let (bound_by, capacity) = model.bottleneck();
        let autoscaled = model.autoscaler.as_ref().map(|autoscaler| {
            let mut most = model.clone();
            most.workers.processes = autoscaler.max.max(model.workers.processes);
            most.capacity()
        });
        let pieces = pieces(model);
        let bursts: f64 = model.sources.iter().map(burst).sum();
        let highest = pieces.iter().map(|piece| piece.rate).fold(0.0, f64::max);
        let finite = |rate: f64| rate.is_finite().then_some(rate);
        Self {
            capacity_per_second: finite(capacity),
            autoscaled_capacity_per_second: autoscaled.and_then(finite),
            bound_by,
            peak_per_second: highest.max(model.peak_rate()) + bursts,
            overload: Overload::of(&pieces, capacity),
        }
    }
}

impl Overload {
    fn of(pieces: &[Piece], capacity: f64) -> Option<Self> {
        let above = || pieces.iter().filter(|piece| piece.rate > capacity * (1.0 + ROUNDING));
        let seconds: f64 = above().map(Piece::seconds).sum();
        let jobs: f64 = above().map(|piece| piece.rate * piece.seconds()).sum();
        above().next().map(|first| Self {
            begins_seconds: first.begin,
            seconds,
            offered_per_second: jobs / seconds,
            excess_jobs: jobs - capacity * seconds,
        })
    }
}

/// A part of the run with the mean rate offered in it.
struct Piece {
    begin: f64,
    end: f64,
    rate: f64,
}

impl Piece {
    fn seconds(&self) -> f64 {
        self.end - self.begin
    }
}

/// The load in parts: one a phase where it does not change, else short ones.
fn pieces(model: &ModelConfig) -> Vec<Piece> {
    let horizon = SimTime(model.horizon.0);
    let cut = |from: SimTime, to: SimTime| {
        let length = u128::from(to.since(from).0);
        (1..=STEPS).map(move |step| SimTime(from.0 + (length * step / STEPS) as u64))
    };
    let mut ends = vec![horizon];
    for source in &model.sources {
        for (begin, phase) in source.phase_spans().filter(|(begin, _)| *begin < horizon) {
            let end = phase.end.min(horizon);
            match phase.curve {
                Curve::Flat => ends.push(end),
                Curve::Ramp(_) | Curve::Cycle { .. } => ends.extend(cut(begin, end)),
            }
        }
        if is_recorded(source) {
            ends.extend(cut(SimTime::ZERO, horizon));
        }
    }
    ends.retain(|end| *end > SimTime::ZERO);
    ends.sort_unstable();
    ends.dedup();
    let mut jobs = vec![0.0; ends.len()];
    let place = |at: SimTime| ends.partition_point(|end| *end <= at);
    for source in &model.sources {
        match &source.process {
            ArrivalProcess::Trace(arrivals) => {
                for arrival in arrivals.iter().filter(|arrival| arrival.at < horizon) {
                    jobs[place(arrival.at)] += 1.0;
                }
            }
            ArrivalProcess::Batches { batches, .. } => {
                for batch in batches.iter().filter(|batch| batch.at < horizon) {
                    // Each part has as many of its jobs as it has of its time.
                    let until = SimTime(batch.at.0.saturating_add(batch.within.0));
                    let (mut begin, mut part) = (batch.at, place(batch.at));
                    while part < ends.len() && begin < until {
                        let end = ends[part].min(until);
                        let share = end.since(begin).as_secs_f64() / batch.within.as_secs_f64();
                        jobs[part] += batch.count as f64 * share;
                        (begin, part) = (end, part + 1);
                    }
                    if batch.within == SimDuration::ZERO {
                        jobs[part] += batch.count as f64;
                    }
                }
            }
            ArrivalProcess::Constant
            | ArrivalProcess::Poisson
            | ArrivalProcess::Renewal(_)
            | ArrivalProcess::Modulated(_) => {
                let mut begin = SimTime::ZERO;
                for (&end, jobs) in ends.iter().zip(&mut jobs) {
                    let phase = source.phase_spans().find(|(_, phase)| phase.end > begin);
                    *jobs += phase.map_or(0.0, |(start, phase)| {
                        let until = |time: SimTime| phase.arrivals_in(start, time.since(start).as_secs_f64());
                        until(end) - until(begin)
                    });
                    begin = end;
                }
            }
        }
    }
    let begins = std::iter::once(SimTime::ZERO).chain(ends.iter().copied());
    let spans = begins.zip(&ends).map(|(begin, end)| (begin.as_secs_f64(), end.as_secs_f64()));
    spans.zip(jobs).map(|((begin, end), jobs)| Piece { begin, end, rate: jobs / (end - begin) }).collect()
}

fn is_recorded(source: &ArrivalSource) -> bool {
    matches!(source.process, ArrivalProcess::Trace(_) | ArrivalProcess::Batches { .. })
}

/// By how much the busiest state of a modulated source is above its mean.
fn burst(source: &ArrivalSource) -> f64 {
    let ArrivalProcess::Modulated(modulation) = &source.process else { return 0.0 };
    let most = modulation.states.iter().map(|state| state.rate).fold(0.0, f64::max);
    (most - modulation.mean_rate()).max(0.0)
}

/// Parts of what changes or is recorded.
const STEPS: u128 = 200;
/// A load of exactly the capacity is no overload.
const ROUNDING: f64 = 1e-9;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overload_is_the_time_above_the_capacity() {
        let piece = |begin: f64, end: f64, rate: f64| Piece { begin, end, rate };
        let pieces = [piece(0.0, 60.0, 5.0), piece(60.0, 150.0, 15.0), piece(150.0, 300.0, 5.0)];
        let expected = Overload {
            begins_seconds: 60.0,
            seconds: 90.0,
            offered_per_second: 15.0,
            excess_jobs: 90.0 * 8.0,
        };
        assert_eq!(Overload::of(&pieces, 7.0), Some(expected));
        assert_eq!(Overload::of(&pieces, 15.0), None);
    }
}
