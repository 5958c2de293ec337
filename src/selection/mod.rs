//! Ranking and selection: which of k candidates has the smallest mean cost, at a stated probability.
//!
//! **Smaller is better everywhere here.** A candidate is an index, a replication of it is one cost, and costs
//! are numbers of any origin: nothing in this module knows what is simulated. Two procedures for costs that
//! are (approximately) normal:
//!
//! | procedure | built for | common random numbers | promise |
//! |---|---|---|---|
//! | [`Kn`] | up to some hundred candidates, compared pair by pair after every batch | yes, they save most of the work | correct selection |
//! | [`Gsp`] | thousands of candidates, a few large rounds | no: assumes independent candidates | good selection |
//!
//! Both are driven in the same way. [`Kn::step`] and [`Gsp::step`] are pure functions of the table of costs:
//! each call replays the procedure from its first stage and returns the next demand or the decision. So
//! the replications may run in parallel, elsewhere and in any order, and resume from a stored
//! table; decisions fall at the ends of rounds only, and nothing depends on timing.
//!
//! ```
//! use backpressure_sim::selection::{Kn, KnSettings, Step};
//!
//! let kn = Kn::new(2, KnSettings { alpha: 0.05, delta: 1.0, first_stage: 10, batch: 5, most: 100 });
//! let mut costs = vec![Vec::new(); 2];
//! let selection = loop {
//!     match kn.step(&|candidate| &costs[candidate]) {
//!         Step::Replicate(demand) => {
//!             for (candidate, replications) in demand {
//!                 let mean = [8.0, 5.0][candidate];
//!                 let cost = |replication: u32| mean + f64::from(replication * 7 % 5);
//!                 costs[candidate] = (0..replications).map(cost).collect::<Vec<f64>>();
//!             }
//!         }
//!         Step::Done(selection) => break selection,
//!     }
//! };
//! assert_eq!(selection.best, 1);
//! ```
//!
//! [`rinott`] has the formulas of the two-stage procedure that ends [`Gsp`]. What the module does not do:
//! choose delta, handle constraints, or rank the losers.

pub mod gsp;
pub mod kn;
mod quadrature;
pub mod rinott;

pub use gsp::{Gsp, GspSettings};
pub use kn::{Kn, KnSettings};

/// What a procedure wants next, or what it decided.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Bring every listed candidate to this many replications in all. Lists, in ascending order, only the
    /// candidates that have fewer; it is never empty.
    Replicate(Vec<(usize, u32)>),
    /// The procedure is over.
    Done(Selection),
}

#[cfg(test)]
impl Step {
    /// What is still to be replicated.
    #[track_caller]
    fn demand(self) -> Vec<(usize, u32)> {
        match self {
            Self::Replicate(demand) => demand,
            Self::Done(selection) => panic!("decided already: {selection:?}"),
        }
    }

    /// What was decided.
    #[track_caller]
    fn done(self) -> Selection {
        match self {
            Self::Done(selection) => selection,
            Self::Replicate(demand) => panic!("still lacks {demand:?}"),
        }
    }
}

/// The decision. Every candidate is in exactly one of `best`, `equal`, `eliminated` and `undecided`.
#[derive(Clone, Debug, PartialEq)]
pub struct Selection {
    /// The survivor with the smallest mean cost; of several, that with the lowest index.
    pub best: usize,
    /// Survivors whose costs were the same as those of `best` in every single replication, ascending.
    pub equal: Vec<usize>,
    /// Candidates found worse, in the order in which they fell.
    pub eliminated: Vec<Elimination>,
    /// Survivors that the limit on replications left open against `best`, ascending.
    pub undecided: Vec<usize>,
    /// What may be said of `best`.
    pub guarantee: Guarantee,
    /// Replications that the procedure demanded, of all candidates together. A table may hold more; they
    /// were not looked at.
    pub replications: u64,
}

/// How a candidate fell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elimination {
    /// The candidate.
    pub candidate: usize,
    /// Replications of it at that moment.
    pub replications: u32,
    /// The candidate that beat it; of several the one with the smallest mean, and one that itself survived
    /// the round if there is any. Pairs have margins of their own, so it may happen that there is none.
    pub by: usize,
}

/// What may be said of the selected candidate, provided that costs are normal and replications independent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Guarantee {
    /// If the best mean is smaller than every other by `delta` or more, it was selected with at least this
    /// probability.
    CorrectSelection {
        /// Nominal probability.
        probability: f64,
        /// Smallest difference worth detecting, in the unit of the cost.
        delta: f64,
    },
    /// Whatever the means, the selected one is less than `delta` above the best with at least this
    /// probability.
    GoodSelection {
        /// Nominal probability.
        probability: f64,
        /// Largest difference that does not matter, in the unit of the cost.
        delta: f64,
    },
    /// The limit on replications stopped the procedure with survivors undecided. Its eliminations stand.
    None,
}

/// The demand for those of the candidates that have fewer replications than needed, if there are any.
fn lacking<'a>(
    candidates: &[usize],
    needed: impl Fn(usize) -> u32,
    costs: &dyn Fn(usize) -> &'a [f64],
) -> Option<Step> {
    let demand: Vec<(usize, u32)> = candidates
        .iter()
        .map(|&candidate| (candidate, needed(candidate)))
        .filter(|&(candidate, replications)| costs(candidate).len() < replications as usize)
        .collect();
    (!demand.is_empty()).then_some(Step::Replicate(demand))
}

/// One round of screening: takes out each survivor i for which some survivor j has
/// `mean_i - mean_j > margin(i, j)`. Margins are not negative, so the smallest mean always stays.
fn screen(
    survivors: &mut Vec<usize>,
    eliminated: &mut Vec<Elimination>,
    mean: impl Fn(usize) -> f64,
    margin: impl Fn(usize, usize) -> f64,
    replications: impl Fn(usize) -> u32,
) {
    let beats = |winner: usize, loser: usize| {
        let gap = mean(loser) - mean(winner);
        // Half of all pairs need no margin, nor has a candidate one against itself.
        gap > 0.0 && gap > margin(loser, winner)
    };
    let (fallen, kept): (Vec<usize>, Vec<usize>) =
        survivors.iter().partition(|&&loser| survivors.iter().any(|&winner| beats(winner, loser)));
    let strongest = |among: &[usize], loser: usize| {
        let winners = among.iter().copied().filter(|&winner| beats(winner, loser));
        winners.min_by(|&a, &b| mean(a).total_cmp(&mean(b)))
    };
    eliminated.extend(fallen.iter().map(|&candidate| {
        Elimination {
            candidate,
            replications: replications(candidate),
            by: strongest(&kept, candidate)
                .or_else(|| strongest(&fallen, candidate))
                .expect("a candidate falls only if another beats it"),
        }
    }));
    *survivors = kept;
}

/// The candidate with the smallest mean; of several, the first.
fn best_of(candidates: &[usize], mean: impl Fn(usize) -> f64) -> usize {
    let smallest = candidates.iter().copied().min_by(|&a, &b| mean(a).total_cmp(&mean(b)));
    smallest.expect("the smallest mean is never eliminated")
}

/// Whether two candidates had the same costs in the same number of replications. Common random numbers make
/// that an ordinary event: a setting without effect on this scenario.
fn identical(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a - b == 0.0)
}

/// The decision when there is no choice.
fn only_candidate(guarantee: Guarantee) -> Step {
    Step::Done(Selection {
        best: 0,
        equal: Vec::new(),
        eliminated: Vec::new(),
        undecided: Vec::new(),
        guarantee,
        replications: 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fallen_candidate_names_a_survivor_that_beat_it() {
        let means = [3.0, 1.0, 2.0, 1.5];
        let mut survivors = vec![0, 1, 2, 3];
        let mut eliminated = Vec::new();
        screen(&mut survivors, &mut eliminated, |i| means[i], |_, _| 0.7, |_| 5);
        assert_eq!(survivors, [1, 3]);
        assert_eq!(
            eliminated,
            [
                Elimination { candidate: 0, replications: 5, by: 1 },
                Elimination { candidate: 2, replications: 5, by: 1 }
            ]
        );
    }

    #[test]
    fn a_candidate_may_be_beaten_only_by_one_that_falls_too() {
        // 1 beats 0, 2 beats 1, but the pair (0, 2) is too noisy to tell.
        let means = [3.0, 2.0, 1.0];
        let margin = |i: usize, j: usize| if i.abs_diff(j) == 2 { 9.0 } else { 0.5 };
        let (mut survivors, mut eliminated) = (vec![0, 1, 2], Vec::new());
        screen(&mut survivors, &mut eliminated, |i| means[i], margin, |_| 5);
        assert_eq!(survivors, [2]);
        assert_eq!(eliminated.iter().map(|fallen| fallen.by).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn equal_means_stay() {
        let (mut survivors, mut eliminated) = (vec![0, 1], Vec::new());
        screen(&mut survivors, &mut eliminated, |_| 1.0, |_, _| 0.0, |_| 5);
        assert_eq!((survivors, eliminated.len()), (vec![0, 1], 0));
    }
}
