//! The planner: the cheapest configuration of a grid that meets the objectives, and how sure that is.
//!
//! ```text
//! Grid --forecast--> candidates --screen--> survivors --verify--> feasible --select--> chosen --proof--> Plan
//!        fluid limit            margins from        all replications    KN or GSP      |     files read back
//!                               simulated pilots                            ^----------+     and simulated
//! ```
//!
//! Ten thousand candidates cost seconds because hardly any is simulated. The fluid limit says within a per cent or
//! so what each would do; what it errs by is measured on pilots that are simulated, and only candidates that miss
//! an objective by more than that are discarded. Those that came closest to staying are simulated afterwards
//! (the audit): if one of them was discarded wrongly, all margins double and the search goes on. Of what is left
//! the cheapest come first; a candidate is given up as soon as its replications so far make it certain that it
//! fails, and the rest are told apart by a procedure that states its probability of correct selection.
//!
//! What is applied are files, so they are put to the test as well: they are read back and simulated, and a candidate whose files
//! miss an objective is left out ([`proof`]).
//!
//! [`mod@search`] is a deterministic program over a table of results: what is missing in the table is the work to
//! do next. So a plan can be interrupted, resumed, and spread over machines round by round.

pub mod axes;
mod dormant;
pub mod forecast;
pub mod horizon;
pub mod incidents;
pub mod limits;
pub mod proof;
pub mod recent;
pub mod rounds;
pub mod scaling;
pub mod search;
pub mod spec;
pub mod table;
pub mod what_if;

use std::ops::ControlFlow;

use crate::experiment::replication::{Extent, Replication, simulate, simulate_while_open};
use crate::experiment::summary::{Estimate, SloResult, judge};
use crate::experiment::{self, Findings, Progress, parallel};
use crate::model::metric::Metric;
use crate::scenario::Scenario;
use crate::selection::Guarantee;
use crate::study::grid::{Grid, VariantId};
use crate::study::journal::Entry;
use proof::{Files, Proof};
use recent::Recent;
use search::{Decision, Search};
use spec::SpecVerdict;
use table::{Table, Task};
use what_if::WhatIf;

/// The plan for one scenario at one rate.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The candidates.
    pub grid: Grid,
    /// The peak rate planned for, in jobs per second, where one was asked for; else the scenario's own.
    pub rate: Option<f64>,
    /// Highest offered rate of the scenario, in jobs per second.
    pub peak_rate: f64,
    /// How the search went.
    pub path: SearchPath,
    /// What it chose; nothing if no candidate meets the objectives.
    pub choice: Option<Choice>,
    /// Where nothing was chosen, the simulated candidate that came closest.
    pub nearest: Option<Nearest>,
    /// What the spec recommends for a rate like this, and what becomes of it.
    pub spec: Vec<SpecVerdict>,
}

/// Renders the files of a plan; empty ones where it has no choice.
pub type Emit<'a> = &'a (dyn Fn(&Plan) -> Files + Sync);

/// So many choices whose files miss an objective are left out; the next one is shown as it is, which says that it misses.
pub const MOST_REFUSED: usize = 5;

impl Plan {
    /// Runs what a decision leaves to be known, in the current rayon pool: the choice with its course over time,
    /// what becomes of it when things change, what becomes of the files that `emit` renders, and what the spec recommends.
    /// `None` if interrupted. What is among the `recent` outcomes of the search is not simulated again.
    pub fn of(
        grid: &Grid,
        rate: Option<f64>,
        decision: Decision,
        emit: Emit<'_>,
        recent: &Recent,
        progress: &impl Progress,
    ) -> Option<Self> {
        let peak_rate = grid.scenario().model.peak_rate();
        // Side by side: neither has work for all threads to its very end.
        let (decided, spec) = parallel::both(
            || Self::decided(grid, rate, decision, emit, recent, progress),
            || spec::verdicts(grid, peak_rate, progress),
        );
        Some(Self { spec: spec?, ..decided? })
    }

    /// All but what the spec recommends.
    fn decided(
        grid: &Grid,
        rate: Option<f64>,
        decision: Decision,
        emit: Emit<'_>,
        recent: &Recent,
        progress: &impl Progress,
    ) -> Option<Self> {
        let choice = match decision.chosen {
            Some(chosen) => Some(Choice::of(grid, chosen, recent, progress)?),
            None => None,
        };
        let nearest = match decision.nearest {
            Some(id) => Some(Nearest::of(grid, id, progress)?),
            None => None,
        };
        let mut plan = Self {
            grid: grid.clone(),
            rate,
            peak_rate: grid.scenario().model.peak_rate(),
            path: decision.path,
            nearest,
            choice,
            spec: Vec::new(),
        };
        let files = emit(&plan);
        if let Some(choice) = &mut plan.choice {
            choice.proof = Proof::of(choice, &files, progress)?;
        }
        Some(plan)
    }

    /// The choice and the objective that its files miss, where the search should go on without it.
    pub fn refuted(&self) -> Option<(VariantId, String)> {
        let choice = self.choice.as_ref()?;
        let (file, missed) = choice.proof.missed()?;
        Some((choice.id, format!("{} (with {file}.yaml)", missed.expression)))
    }
}

/// The candidate that came closest to meeting the objectives where none meets them.
#[derive(Clone, Debug)]
pub struct Nearest {
    /// Its place in the grid.
    pub id: VariantId,
    /// Its `--set` options, besides those of the grid.
    pub overrides: Vec<String>,
    /// Each objective and what came of it.
    pub slo: Vec<SloResult>,
}

impl Nearest {
    fn of(grid: &Grid, id: VariantId, progress: &impl Progress) -> Option<Self> {
        let scenario = grid.variant(id).expect("a variant that was simulated can be read");
        // It may have been given up after a few replications: how far off it is, all of them say.
        let found = experiment::run_all(&[&scenario], scenario.replications, progress)?;
        let slo = scenario.slo.iter().map(|slo| judge(slo, &found[0])).collect();
        Some(Self { id, overrides: grid.overrides(id), slo })
    }
}

impl Choice {
    /// Whether there are several queues of which only one was simulated.
    pub fn is_split(&self) -> bool {
        self.queues > 1 && self.scenario.model.redis.operations.is_none()
    }

    fn of(grid: &Grid, chosen: search::Chosen, recent: &Recent, progress: &impl Progress) -> Option<Self> {
        let overrides = grid.overrides(chosen.id);
        let scenario = grid.variant(chosen.id).expect("a variant that was simulated can be read");
        let known = |replication| recent.take(chosen.id, replication);
        let findings = experiment::run_with(&scenario, known, progress)
            .filter(|findings| !findings.summary.interrupted)?;
        let completed = findings.series.completed.iter().fold(Vec::new(), |mut total: Vec<f64>, class| {
            total.resize(class.len().max(total.len()), 0.0);
            total.iter_mut().zip(class).for_each(|(sum, count)| *sum += count);
            total
        });
        let steps = completed.windows(2).map(|pair| pair[1] - pair[0]);
        let busiest = steps.fold(0.0, f64::max) / findings.series.step_seconds;
        Some(Self {
            id: chosen.id,
            cost: chosen.cost,
            criterion: chosen.criterion,
            guarantee: chosen.guarantee,
            undecided: chosen.undecided,
            queues: match scenario.model.redis.operations {
                Some(_) => scenario.model.queue.queues,
                None => (busiest / scenario.plan.redis_throughput).ceil().max(1.0) as u32,
            },
            what_if: {
                let yardstick = limits::yardstick(grid, &overrides, &findings.replications);
                WhatIf::of(&yardstick, &findings.replications, progress)?
            },
            overrides,
            scenario,
            findings,
            proof: Proof::default(),
        })
    }
}

/// Runs the replications that a search needs next, in the current rayon pool, and hands each over as soon as it
/// is done; `recent` gets their outcomes. False if interrupted.
pub fn run(
    grid: &Grid,
    tasks: &[Task],
    take: impl FnMut(Entry) + Send,
    recent: &Recent,
    progress: &impl Progress,
) -> bool {
    let mut take = take;
    let mut variants: Vec<VariantId> = tasks.iter().map(|task| task.variant).collect();
    variants.dedup();
    let read = |id: &VariantId| grid.variant(*id).expect("a variant that was looked at can be read");
    let scenarios: Vec<Scenario> = variants.iter().map(read).collect();
    parallel::run(
        tasks.len(),
        |task| {
            let position = variants.iter().position(|id| *id == tasks[task].variant);
            replicate(&scenarios[position.expect("it is among them")], tasks[task], recent, progress)
        },
        |task, result| {
            let Task { variant, replication, extent } = tasks[task];
            take(Entry { variant, replication, extent, result });
        },
    )
}

/// As much of a replication as is asked for; `None` if interrupted.
fn replicate(
    scenario: &Scenario,
    Task { variant, replication, extent }: Task,
    recent: &Recent,
    progress: &impl Progress,
) -> Option<Replication> {
    let outcome = match extent {
        Extent::Whole => simulate(scenario, replication, progress)?,
        Extent::WhileOpen => match simulate_while_open(scenario, replication, progress)? {
            ControlFlow::Continue(outcome) => outcome,
            ControlFlow::Break(given_up) => return Some(given_up),
        },
        Extent::Part => {
            let mut part = scenario.clone();
            part.model.horizon = horizon::shorter(&scenario.model).unwrap_or(scenario.model.horizon);
            return Some(Replication::of(&simulate(&part, replication, progress)?, &part.model));
        }
    };
    let found = Replication::of(&outcome, &scenario.model);
    recent.keep(variant, replication, outcome);
    Some(found)
}

/// Searches for a configuration whose files meet the objectives too, in the current rayon pool; each result also goes to
/// `record`. `None` if interrupted.
pub fn plan(
    grid: &Grid,
    rate: Option<f64>,
    search: &mut Search,
    table: &mut Table,
    mut record: impl FnMut(&Entry) + Send,
    emit: Emit<'_>,
    progress: &impl Progress,
) -> Option<Plan> {
    let recent = Recent::default();
    loop {
        let decision = self::search(grid, search, table, &mut record, &recent, progress)?;
        let plan = Plan::of(grid, rate, decision, emit, &recent, progress)?;
        match plan.refuted() {
            Some((id, objective)) if search.refused() < MOST_REFUSED => search.refuse(id, objective),
            _ => return Some(plan),
        }
    }
}

/// Searches until it is decided, in the current rayon pool; each result also goes to `record`. `None` if
/// interrupted.
pub fn search(
    grid: &Grid,
    search: &Search,
    table: &mut Table,
    mut record: impl FnMut(&Entry) + Send,
    recent: &Recent,
    progress: &impl Progress,
) -> Option<Decision> {
    loop {
        match search.decide(table) {
            Ok(decision) => return Some(decision),
            Err(demand) => {
                let tasks = table.missing(&demand);
                let take = |entry: Entry| {
                    record(&entry);
                    table.add(entry);
                };
                if !run(grid, &tasks, take, recent, progress) {
                    return None;
                }
            }
        }
    }
}

/// The configuration that the search chose.
#[derive(Clone, Debug)]
pub struct Choice {
    /// Its place in the grid.
    pub id: VariantId,
    /// Its `--set` options, besides those of the grid.
    pub overrides: Vec<String>,
    /// The scenario with these settings.
    pub scenario: Scenario,
    /// What its replications found, as `simulate` would.
    pub findings: Findings,
    /// Cost a month.
    pub cost: Estimate,
    /// What decided among the finalists.
    pub criterion: Criterion,
    /// What may be said of the decision; holds among the finalists.
    pub guarantee: Guarantee,
    /// Candidates that may be better, or cheaper, but could not be told at the most replications.
    pub undecided: Vec<VariantId>,
    /// Number of queues: those simulated, where the scenario says what Redis' commands cost; else those that the throughput needs
    /// by arithmetic, each on a Redis of its own.
    pub queues: u32,
    /// What becomes of it when things change.
    pub what_if: WhatIf,
    /// What became of its files when they were read back and simulated.
    pub proof: Proof,
}

/// What decides among configurations that meet the objectives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Criterion {
    /// The cost, which depends on what happens: rejections or losses have a price.
    Cost,
    /// The cost is the same; this metric decides, less being better.
    TieBreak(Metric),
}

/// How the search went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SearchPath {
    /// Candidates that can be run.
    pub candidates: usize,
    /// Combinations of the grid that cannot, by reason.
    pub excluded: Vec<(String, usize)>,
    /// What the fluid limit discarded; nothing where it does not apply.
    pub screen: Option<Screen>,
    /// Survivors of the screen that must do the same as one that was simulated: none of the levels in which they differ was
    /// ever reached.
    pub spared: usize,
    /// Survivors that can never do what keeps coming, while no objective allows what must be refused of it for ever.
    pub overloaded: usize,
    /// Survivors of the screen that cost more than the chosen one does, whatever they would do.
    pub too_dear: usize,
    /// Survivors that cost as much, but cannot be better by more than the fluid limit errs.
    pub not_better: usize,
    /// Survivors that cost as much and may be a little better, left out beyond `plan.finalists`.
    pub beyond_finalists: usize,
    /// What became of each candidate that was simulated, in the order of the search.
    pub simulated: Vec<Simulated>,
    /// Replications simulated in all.
    pub replications: u64,
    /// Replications that running every candidate would take.
    pub exhaustive: u64,
}

/// What the fluid limit discarded, and why that is right.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Screen {
    /// Candidates that were simulated to measure how much the limit errs.
    pub pilots: usize,
    /// For each objective that it forecasts: the relative error allowed for, and how many candidates missed it by
    /// more (each counted at the first one it misses).
    pub objectives: Vec<ScreenedObjective>,
    /// Discarded in all.
    pub discarded: usize,
    /// Discarded candidates that were simulated afterwards: those that came closest to staying and would have cost
    /// no more than the chosen one. All of them miss an objective.
    pub audited: usize,
    /// How often the audit found one that should have stayed, so that all margins were doubled.
    pub widened: u32,
}

/// An objective as the fluid limit sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct ScreenedObjective {
    /// As written.
    pub expression: String,
    /// Relative error allowed for.
    pub margin: f64,
    /// Candidates discarded by it.
    pub discarded: usize,
}

/// A candidate that was simulated.
#[derive(Clone, Debug, PartialEq)]
pub struct Simulated {
    /// Its place in the grid.
    pub id: VariantId,
    /// Replications of it.
    pub replications: u32,
    /// Seconds of the run that were simulated, where not all of it was: a pilot of a steady run, or one that was certain to miss
    /// an objective.
    pub seconds: Option<f64>,
    /// Mean cost over them; of a part of a run, the least that it can be.
    pub cost: f64,
    /// Mean of the tie-break metric; `None` of a part of a run.
    pub tie_break: Option<f64>,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a simulated candidate.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// It was chosen.
    Chosen,
    /// It misses this objective.
    Misses(String),
    /// Whether it meets this objective is open at the most replications.
    Undecided(String),
    /// It meets the objectives and is worse than this one.
    Worse(VariantId),
    /// It costs as much as a candidate closer to the scenario's own settings, and every replication that both have
    /// is the same to the last count.
    Equal,
    /// It meets the objectives; whether it is better is open at the most replications.
    Open,
    /// It meets the objectives and costs more.
    Dearer,
    /// It only measured how much the fluid limit errs, or was audited.
    Probe,
}
