//! The fully sequential procedure of Kim and Nelson, for costs that may share their random numbers.
//!
//! Kim & Nelson, "A fully sequential procedure for indifference-zone selection in simulation", ACM TOMACS 11
//! (2001). Every pair has a triangle, wide at first and closed in the end, and the one whose mean leaves the
//! triangle of a pair on the bad side is out:
//!
//! ```text
//! mean_i - mean_l
//!   |\
//!   |   \   i is out          W(r) = max(0, delta / 2r (h2 S2 / delta^2 - r))
//!   |      \                  S2: variance of the differences of i and l in the first stage,
//!   |  both   >--- r          which common random numbers make small
//!   |  stay  /                h2 = 2 eta (n0 - 1)
//!   |     /    l is out
//!   |  /
//! ```
//!
//! The paper looks after every replication; here after every batch. That never harms the guarantee: seen at
//! fewer moments, fixed in advance, a random walk leaves on the wrong side less often than the Brownian
//! motion that the bound is for (Jennison, Johnstone & Turnbull, "Asymptotically optimal procedures for
//! sequential adaptive selection of the best of several normal means", 1982).

use super::{Elimination, Guarantee, Selection, Step, best_of, identical, lacking, only_candidate, screen};

/// What a procedure of Kim and Nelson guarantees, and at which pace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KnSettings {
    /// Probability to miss the best candidate that is accepted, above 0 and below 0.5.
    pub alpha: f64,
    /// Smallest difference of means worth detecting, in the unit of the cost, above 0.
    pub delta: f64,
    /// Replications of every candidate before the first look, n0: 2 or more. Variances are estimated from
    /// these alone, so take 10 or more: below that the constant explodes.
    pub first_stage: u32,
    /// Replications of every survivor between two looks, 1 or more.
    pub batch: u32,
    /// Replications of a candidate after which the procedure gives up, `first_stage` or more.
    pub most: u32,
}

/// The procedure: see the head of this module for the method and its source.
///
/// Costs of different candidates in the same replication may depend on each other, and the more alike they
/// are the sooner it ends; costs of different replications must not. A pair that never differed in the first
/// stage has no variance, and so from then on the first difference decides. That costs no guarantee for
/// normal costs, where it cannot happen, but a cost that is nearly always 0 needs a long first stage.
///
/// Time and memory of a step grow with the square of the number of candidates.
#[derive(Clone, Debug)]
pub struct Kn {
    candidates: usize,
    settings: KnSettings,
    /// The squared slope h2 = 2 eta (n0 - 1).
    h2: f64,
}

impl Kn {
    /// The procedure for that many candidates.
    ///
    /// # Panics
    ///
    /// If there is no candidate, or a setting is outside of its range.
    #[must_use]
    pub fn new(candidates: usize, settings: KnSettings) -> Self {
        let KnSettings { alpha, delta, first_stage, batch, most } = settings;
        assert!(candidates >= 1, "there is a candidate");
        assert!(0.0 < alpha && alpha < 0.5, "alpha {alpha} is between 0 and 0.5");
        assert!(0.0 < delta && delta.is_finite(), "delta {delta} is positive");
        assert!(first_stage >= 2, "a variance needs two replications, not {first_stage}");
        assert!(batch >= 1, "a batch has a replication");
        assert!(most >= first_stage, "the limit {most} allows the first stage of {first_stage}");
        let h2 = match candidates {
            1 => 0.0,
            _ => 2.0 * eta(candidates, first_stage, alpha) * f64::from(first_stage - 1),
        };
        Self { candidates, settings, h2 }
    }

    /// Replays the procedure on the costs there are: `costs(i)[r]` is that of candidate i in replication r.
    /// Returns the replications that it lacks, or its decision.
    ///
    /// # Panics
    ///
    /// If a cost is not finite.
    #[must_use]
    pub fn step<'a>(&self, costs: &dyn Fn(usize) -> &'a [f64]) -> Step {
        if self.candidates == 1 {
            return only_candidate(self.guarantee());
        }
        let KnSettings { delta, first_stage, batch, most, .. } = self.settings;
        let mut survivors: Vec<usize> = (0..self.candidates).collect();
        let mut eliminated = Vec::new();
        let mut replications = first_stage;
        if let Some(demand) = lacking(&survivors, |_| replications, costs) {
            return demand;
        }
        let closing = self.closing_times(costs);
        let mut sums = vec![0.0; self.candidates];
        let mut summed = 0;
        loop {
            if let Some(demand) = lacking(&survivors, |_| replications, costs) {
                return demand;
            }
            for &i in &survivors {
                sums[i] =
                    costs(i)[summed..replications as usize].iter().fold(sums[i], |sum, cost| sum + cost);
                assert!(sums[i].is_finite(), "costs of candidate {i} are finite");
            }
            summed = replications as usize;
            let r = f64::from(replications);
            let mean = |i: usize| sums[i] / r;
            let margin = |i: usize, l: usize| (delta / (2.0 * r) * (closing.of(i, l) - r)).max(0.0);
            screen(&mut survivors, &mut eliminated, mean, margin, |_| replications);

            let closed = closing.latest(&survivors) <= r;
            if closed || replications == most {
                let best = best_of(&survivors, mean);
                return Step::Done(self.decide(best, &survivors, eliminated, replications, closed, costs));
            }
            replications = replications.saturating_add(batch).min(most);
        }
    }

    /// The selection with these survivors. If the triangles of all their pairs are closed, then whoever is
    /// left beside the best has the same mean and loses the tie; otherwise it remains undecided.
    fn decide<'a>(
        &self,
        best: usize,
        survivors: &[usize],
        mut eliminated: Vec<Elimination>,
        replications: u32,
        closed: bool,
        costs: &dyn Fn(usize) -> &'a [f64],
    ) -> Selection {
        let seen = |i: usize| &costs(i)[..replications as usize];
        let spent_before: u64 = eliminated.iter().map(|fallen| u64::from(fallen.replications)).sum();
        let others = survivors.iter().copied().filter(|&i| i != best);
        let (equal, mut undecided): (Vec<usize>, Vec<usize>) =
            others.partition(|&i| identical(seen(i), seen(best)));
        if closed {
            let tied = undecided.drain(..);
            eliminated.extend(tied.map(|candidate| Elimination { candidate, replications, by: best }));
        }
        Selection {
            best,
            equal,
            guarantee: if undecided.is_empty() { self.guarantee() } else { Guarantee::None },
            eliminated,
            undecided,
            replications: spent_before + survivors.len() as u64 * u64::from(replications),
        }
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::CorrectSelection { probability: 1.0 - self.settings.alpha, delta: self.settings.delta }
    }

    /// When the triangle of each pair closes: h2 S2 / delta^2 replications.
    fn closing_times<'a>(&self, costs: &dyn Fn(usize) -> &'a [f64]) -> Pairs {
        let first_stage = self.settings.first_stage as usize;
        let mut values = Vec::with_capacity(self.candidates * (self.candidates - 1) / 2);
        for i in 1..self.candidates {
            for l in 0..i {
                let variance = variance_of_differences(&costs(i)[..first_stage], &costs(l)[..first_stage]);
                values.push(self.h2 * variance / (self.settings.delta * self.settings.delta));
            }
        }
        Pairs { values }
    }
}

/// The constant eta = ((2 alpha / (k - 1))^(-2 / (n0 - 1)) - 1) / 2 for k candidates and n0 replications in
/// the first stage: Kim & Nelson (2001) with c = 1, the error shared equally by the k - 1 pairs of the best.
///
/// # Panics
///
/// Of fewer than two candidates or replications.
#[must_use]
pub fn eta(candidates: usize, first_stage: u32, alpha: f64) -> f64 {
    assert!(candidates >= 2 && first_stage >= 2, "there is something to compare and a variance");
    let error = 2.0 * alpha / (candidates - 1) as f64;
    (error.powf(-2.0 / f64::from(first_stage - 1)) - 1.0) / 2.0
}

/// A number for every unordered pair of candidates: (1,0), (2,0), (2,1), (3,0), ...
struct Pairs {
    values: Vec<f64>,
}

impl Pairs {
    fn of(&self, i: usize, l: usize) -> f64 {
        let (high, low) = (i.max(l), i.min(l));
        self.values[high * (high - 1) / 2 + low]
    }

    /// The largest of all pairs of these; 0 of fewer than two.
    fn latest(&self, candidates: &[usize]) -> f64 {
        let pairs = candidates
            .iter()
            .enumerate()
            .flat_map(|(index, &i)| candidates[..index].iter().map(move |&l| self.of(i, l)));
        pairs.fold(0.0, f64::max)
    }
}

/// Sample variance of the differences; exactly 0 if they are all the same.
fn variance_of_differences(a: &[f64], b: &[f64]) -> f64 {
    let first = a[0] - b[0];
    // Relative to the first difference, so that equal differences leave no rounding error.
    let differences = || a.iter().zip(b).map(|(a, b)| a - b - first);
    let mean = differences().sum::<f64>() / a.len() as f64;
    differences().map(|d| (d - mean) * (d - mean)).sum::<f64>() / (a.len() - 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_computed_independently() {
        check_eta(2, 20, 0.137_14);
        check_eta(10, 20, 0.302_93);
        check_eta(100, 20, 0.533_48);
        check_eta(10, 50, 0.100_81);
    }

    /// Three replications, alpha 0.05 and two candidates: eta = (0.1^-1 - 1) / 2 = 4.5, h2 = 18.
    const SETTINGS: KnSettings = KnSettings { alpha: 0.05, delta: 1.0, first_stage: 3, batch: 10, most: 100 };

    const NOMINAL: Guarantee = Guarantee::CorrectSelection { probability: 0.95, delta: 1.0 };

    #[test]
    fn one_candidate_needs_no_replication() {
        let selection = done(&Kn::new(1, SETTINGS), &[&[]]);
        assert_eq!((selection.best, selection.replications, selection.guarantee), (0, 0, NOMINAL));
    }

    #[test]
    fn first_stage_is_asked_of_those_who_lack_it() {
        let kn = Kn::new(3, SETTINGS);
        assert_eq!(demand(&kn, &[&[], &[], &[]]), [(0, 3), (1, 3), (2, 3)]);
        assert_eq!(demand(&kn, &[&[1.0; 2], &[1.0; 9], &[]]), [(0, 3), (2, 3)]);
    }

    #[test]
    fn a_candidate_falls_when_its_mean_leaves_the_triangle() {
        // Differences 1, 2, 0: variance 1, so the triangle closes at 18 replications.
        // W(3) = (18 - 3) / 6 = 2.5, and the means differ by 1. W(13) = 5 / 26 = 0.19.
        let kn = Kn::new(2, SETTINGS);
        let mut costs = [vec![1.0, 2.0, 3.0], vec![2.0, 4.0, 3.0]];
        assert_eq!(demand(&kn, &[&costs[0], &costs[1]]), [(0, 13), (1, 13)]);
        costs[0].extend([5.0; 10]);
        assert_eq!(demand(&kn, &[&costs[0], &costs[1]]), [(1, 13)]);
        costs[1].extend([6.0; 10]);
        let expected = Selection {
            best: 0,
            equal: vec![],
            eliminated: vec![Elimination { candidate: 1, replications: 13, by: 0 }],
            undecided: vec![],
            guarantee: NOMINAL,
            replications: 26,
        };
        assert_eq!(done(&kn, &[&costs[0], &costs[1]]), expected);
        // Costs after the decision are ignored.
        costs[0].extend([99.0; 50]);
        costs[1].extend([0.0; 50]);
        assert_eq!(done(&kn, &[&costs[0], &costs[1]]), expected);
    }

    #[test]
    fn a_smaller_difference_waits_for_the_closed_triangle() {
        // As above, but in the end the sums are 66 and 65.8: open at 13 < 18, closed at 23.
        let kn = Kn::new(2, SETTINGS);
        let first = [vec![1.0, 2.0, 3.0], vec![3.0; 20]].concat();
        let second = [vec![2.0, 4.0, 3.0], vec![2.84; 20]].concat();
        assert_eq!(demand(&kn, &[&first, &second[..13]]), [(1, 23)]);
        let selection = done(&kn, &[&first, &second]);
        assert_eq!(selection.eliminated, [Elimination { candidate: 0, replications: 23, by: 1 }]);
    }

    #[test]
    fn a_tied_mean_loses_to_the_lower_index() {
        let selection =
            done(&Kn::new(2, KnSettings { delta: 10.0, ..SETTINGS }), &[&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]]);
        assert_eq!(selection.best, 0);
        assert_eq!(selection.eliminated, [Elimination { candidate: 1, replications: 3, by: 0 }]);
        assert!(selection.equal.is_empty() && selection.undecided.is_empty());
    }

    #[test]
    fn a_constant_difference_decides_at_the_first_look() {
        let selection = done(&Kn::new(2, SETTINGS), &[&[1.1, 2.3, 3.7], &[1.0, 2.2, 3.6]]);
        assert_eq!((selection.best, selection.replications), (1, 6));
    }

    #[test]
    fn the_same_costs_are_equal_and_not_undecided() {
        let costs: &[f64] = &[0.1, 0.7, 0.2];
        let selection = done(&Kn::new(3, SETTINGS), &[costs, costs, costs]);
        assert_eq!((selection.best, selection.equal, selection.guarantee), (0, vec![1, 2], NOMINAL));
        assert!(selection.eliminated.is_empty() && selection.undecided.is_empty());
    }

    #[test]
    fn twins_go_on_until_their_rival_falls() {
        // eta of three candidates is (0.05^-1 - 1) / 2 = 9.5, h2 = 38; W(3) = 35 / 6, W(13) = 25 / 26.
        let kn = Kn::new(3, SETTINGS);
        let twin = [vec![1.0, 2.0, 3.0], vec![5.0; 10]].concat();
        let rival = [vec![2.0, 4.0, 3.0], vec![7.0; 10]].concat();
        assert_eq!(demand(&kn, &[&rival[..3], &twin, &twin]), [(0, 13)]);
        let selection = done(&kn, &[&rival, &twin, &twin]);
        assert_eq!((selection.best, &selection.equal[..], selection.guarantee), (1, &[2][..], NOMINAL));
        assert_eq!(selection.eliminated, [Elimination { candidate: 0, replications: 13, by: 1 }]);
        assert_eq!(selection.replications, 39);
    }

    #[test]
    fn the_limit_leaves_survivors_undecided() {
        let kn = Kn::new(2, KnSettings { most: 5, ..SETTINGS });
        let costs: [&[f64]; 2] = [&[2.0, 4.0, 3.0, 1.0, 1.0], &[1.0, 2.0, 3.0, 1.0, 1.0]];
        assert_eq!(demand(&kn, &[&costs[0][..3], &costs[1][..3]]), [(0, 5), (1, 5)]);
        let selection = done(&kn, &costs);
        assert_eq!((selection.best, selection.undecided, selection.guarantee), (1, vec![0], Guarantee::None));
        assert_eq!(selection.replications, 10);
    }

    #[test]
    #[should_panic(expected = "finite")]
    fn a_cost_that_is_no_number_is_a_mistake() {
        let _ = Kn::new(2, SETTINGS).step(&|_| &[1.0, f64::NAN, 2.0]);
    }

    #[track_caller]
    fn demand(kn: &Kn, costs: &[&[f64]]) -> Vec<(usize, u32)> {
        kn.step(&|i| costs[i]).demand()
    }

    #[track_caller]
    fn done(kn: &Kn, costs: &[&[f64]]) -> Selection {
        kn.step(&|i| costs[i]).done()
    }

    #[track_caller]
    fn check_eta(candidates: usize, first_stage: u32, expected: f64) {
        let found = eta(candidates, first_stage, 0.05);
        assert!((found - expected).abs() < 0.6e-5, "{found} {expected}");
    }
}
