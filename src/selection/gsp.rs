//! The good selection procedure, for very many independent candidates and few, large rounds.
//!
//! Ni, Ciocan, Henderson & Hunter, "Efficient ranking and selection in parallel computing environments",
//! Operations Research 65 (2017). Three stages, with S_i the deviation of candidate i in the first:
//!
//! 1. n1 replications of every candidate; one of S_i gets rounds of b_i = ceil(b S_i / mean S).
//! 2. Screening after each round r = 0..=R with n_i = n1 + r b_i. With t_ij(r) = 1 / (S_i^2/n_i + S_j^2/n_j),
//!    i is out if some t_ij(r) (mean_i - mean_j) > eta sqrt((n1 - 1) t_ij(R)).
//! 3. The survivors get the replications of [Rinott](super::rinott), and the smallest mean is taken.
//!
//! The number of rounds and replications does not depend on means, so that all decisions fall at the ends of
//! rounds. Screening protects the best whatever the means; it pays when they are spread, and costs a little
//! more than stage 3 alone when all are close together.

use statrs::distribution::{ChiSquared, ContinuousCDF as _};
use statrs::function::erf::erfc;

use super::{
    Elimination, Guarantee, Selection, Step, best_of, identical, lacking, only_candidate, quadrature, rinott,
    screen,
};

/// What a good selection procedure guarantees, and at which pace.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GspSettings {
    /// Probability that screening loses the best candidate, above 0.
    pub alpha1: f64,
    /// Probability that the last stage selects one that is not good, above 0; `alpha1 + alpha2` is less than
    /// 0.5.
    pub alpha2: f64,
    /// Largest difference of means that does not matter, in the unit of the cost, above 0.
    pub delta: f64,
    /// Replications of every candidate before the first look, n1: 2 or more. Variances are estimated from
    /// these alone, so take 10 or more: below that the constants explode.
    pub first_stage: u32,
    /// Rounds of screening after the one that ends the first stage, R; may be 0.
    pub rounds: u32,
    /// Replications in a round of a candidate of average deviation, b: 1 or more.
    pub batch: u32,
    /// Replications of a candidate that are never exceeded, `first_stage` or more. Screening is valid at any
    /// limit; the last stage leaves those candidates undecided that would need more.
    pub most: u32,
}

/// The procedure: see the head of this module for the method and its source.
///
/// It is proven for independent candidates only, which excludes common random numbers. A candidate without
/// variance in the first stage is taken for a constant, though it is replicated once in each round.
///
/// Time of a step grows with the square of the number of candidates that survive.
#[derive(Clone, Debug)]
pub struct Gsp {
    candidates: usize,
    settings: GspSettings,
    eta: f64,
    h: f64,
}

impl Gsp {
    /// The procedure for that many candidates. It computes two constants by numerical integration,
    /// which takes long enough to do it once.
    ///
    /// # Panics
    ///
    /// If there is no candidate, or a setting is outside of its range.
    #[must_use]
    pub fn new(candidates: usize, settings: GspSettings) -> Self {
        let GspSettings { alpha1, alpha2, delta, first_stage, batch, most, .. } = settings;
        assert!(candidates >= 1, "there is a candidate");
        assert!(
            0.0 < alpha1 && 0.0 < alpha2 && alpha1 + alpha2 < 0.5,
            "alphas {alpha1} and {alpha2} are positive and add up to less than 0.5"
        );
        assert!(0.0 < delta && delta.is_finite(), "delta {delta} is positive");
        assert!(first_stage >= 2, "a variance needs two replications, not {first_stage}");
        assert!(batch >= 1, "a batch has a replication");
        assert!(most >= first_stage, "the limit {most} allows the first stage of {first_stage}");
        let (eta, h) = match candidates {
            1 => (0.0, 0.0),
            _ => (eta(candidates, first_stage, alpha1), rinott::h(candidates, first_stage, 1.0 - alpha2)),
        };
        Self { candidates, settings, eta, h }
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
        let GspSettings { first_stage, rounds, .. } = self.settings;
        let mut survivors: Vec<usize> = (0..self.candidates).collect();
        let mut eliminated = Vec::new();
        if let Some(demand) = lacking(&survivors, |_| first_stage, costs) {
            return demand;
        }
        let pace = self.pace(costs);
        let last: Vec<f64> = pace.iter().map(|pace| pace.variance_of_mean(rounds)).collect();
        for round in 0..=rounds {
            let replications = |i: usize| pace[i].after(round);
            if let Some(demand) = lacking(&survivors, replications, costs) {
                return demand;
            }
            let means = means(self.candidates, &survivors, replications, costs);
            // The condition of the head of this module, solved for the difference of means: with v = 1 / t it
            // stays finite, and right, when neither has a variance.
            let now: Vec<f64> = pace.iter().map(|pace| pace.variance_of_mean(round)).collect();
            let margin = |i: usize, j: usize| match (now[i] + now[j], last[i] + last[j]) {
                (0.0, _) => 0.0,
                (now, last) => self.eta * now * (f64::from(first_stage - 1) / last).sqrt(),
            };
            screen(&mut survivors, &mut eliminated, |i| means[i], margin, replications);

            let seen = |i: usize| &costs(i)[..replications(i) as usize];
            if survivors.iter().all(|&i| identical(seen(i), seen(survivors[0]))) {
                return Step::Done(self.decide(
                    survivors[0],
                    &survivors,
                    eliminated,
                    replications,
                    |_| true,
                    costs,
                ));
            }
        }
        self.last_stage(&survivors, eliminated, &pace, costs)
    }

    /// Stage 3: all that survived screening, with the replications of Rinott.
    fn last_stage<'a>(
        &self,
        survivors: &[usize],
        eliminated: Vec<Elimination>,
        pace: &[Pace],
        costs: &dyn Fn(usize) -> &'a [f64],
    ) -> Step {
        let GspSettings { delta, first_stage, rounds, most, .. } = self.settings;
        let needed = |i: usize| {
            rinott::replications(self.h, pace[i].deviation, delta, first_stage).max(pace[i].after(rounds))
        };
        let replications = |i: usize| needed(i).min(most);
        if let Some(demand) = lacking(survivors, replications, costs) {
            return demand;
        }
        let means = means(self.candidates, survivors, replications, costs);
        let best = best_of(survivors, |i| means[i]);
        // A comparison counts if both sides of it are complete.
        let decided = |i: usize| needed(i) <= most && needed(best) <= most;
        Step::Done(self.decide(best, survivors, eliminated, replications, decided, costs))
    }

    /// The selection with these survivors: a candidate decided against the best has lost to it.
    fn decide<'a>(
        &self,
        best: usize,
        survivors: &[usize],
        mut eliminated: Vec<Elimination>,
        replications: impl Fn(usize) -> u32,
        decided: impl Fn(usize) -> bool,
        costs: &dyn Fn(usize) -> &'a [f64],
    ) -> Selection {
        let seen = |i: usize| &costs(i)[..replications(i) as usize];
        let mut spent: u64 = eliminated.iter().map(|fallen| u64::from(fallen.replications)).sum();
        spent += survivors.iter().map(|&i| u64::from(replications(i))).sum::<u64>();
        let (mut equal, mut undecided) = (Vec::new(), Vec::new());
        for i in survivors.iter().copied().filter(|&i| i != best) {
            if identical(seen(i), seen(best)) {
                equal.push(i);
            } else if decided(i) {
                eliminated.push(Elimination { candidate: i, replications: replications(i), by: best });
            } else {
                undecided.push(i);
            }
        }
        let guarantee = if undecided.is_empty() { self.guarantee() } else { Guarantee::None };
        Selection { best, equal, eliminated, undecided, guarantee, replications: spent }
    }

    fn guarantee(&self) -> Guarantee {
        let GspSettings { alpha1, alpha2, delta, .. } = self.settings;
        Guarantee::GoodSelection { probability: 1.0 - alpha1 - alpha2, delta }
    }

    /// What the first stage says about the deviation of each candidate and so about its rounds.
    fn pace<'a>(&self, costs: &dyn Fn(usize) -> &'a [f64]) -> Vec<Pace> {
        let GspSettings { first_stage, batch, most, .. } = self.settings;
        let deviations: Vec<f64> =
            (0..self.candidates).map(|i| deviation(&costs(i)[..first_stage as usize])).collect();
        let average = deviations.iter().sum::<f64>() / self.candidates as f64;
        let batch_of = |deviation: f64| {
            // At least 1, so that a cost which only seems to be constant can show it.
            if deviation > 0.0 { (f64::from(batch) * deviation / average).ceil() as u32 } else { 1 }
        };
        let pace = |deviation| Pace { deviation, batch: batch_of(deviation), first_stage, most };
        deviations.into_iter().map(pace).collect()
    }
}

/// The constant eta of screening k candidates with n1 replications in the first stage: it solves
/// `E[2 (1 - Phi(eta sqrt(Q)))] = 1 - (1 - alpha1)^(1 / (k - 1))`, Q the smaller of two independent
/// chi-squared variables of n1 - 1 degrees of freedom.
///
/// # Panics
///
/// Of fewer than two candidates or replications, or `alpha1` outside of (0, 1).
#[must_use]
pub fn eta(candidates: usize, first_stage: u32, alpha1: f64) -> f64 {
    assert!(candidates >= 2 && first_stage >= 2, "there is something to compare and a variance");
    assert!(0.0 < alpha1 && alpha1 < 1.0, "alpha1 {alpha1} is a probability");
    let error = -((-alpha1).ln_1p() / (candidates - 1) as f64).exp_m1();
    let freedom = f64::from(first_stage - 1);
    let chi_squared = ChiSquared::new(freedom).expect("the degrees of freedom are positive");
    // The density of the minimum is 2 f(q) P(X > q).
    let minimum: Vec<(f64, f64)> = quadrature::chi_squared(freedom)
        .iter()
        .map(|node| (node.x.sqrt(), 2.0 * node.weight * chi_squared.sf(node.x)))
        .collect();
    let lost = |eta: f64| -> f64 {
        minimum.iter().map(|(root, weight)| weight * erfc(eta * root / std::f64::consts::SQRT_2)).sum()
    };
    quadrature::root(|eta| error - lost(eta))
}

/// How fast one candidate is replicated.
struct Pace {
    /// Standard deviation in the first stage.
    deviation: f64,
    /// Replications in a round.
    batch: u32,
    first_stage: u32,
    most: u32,
}

impl Pace {
    /// Replications in all after that round.
    fn after(&self, round: u32) -> u32 {
        self.batch.saturating_mul(round).saturating_add(self.first_stage).min(self.most)
    }

    /// S^2 / n after that round.
    fn variance_of_mean(&self, round: u32) -> f64 {
        self.deviation * self.deviation / f64::from(self.after(round))
    }
}

/// Mean costs by candidate; 0 of those that are out.
fn means<'a>(
    candidates: usize,
    survivors: &[usize],
    replications: impl Fn(usize) -> u32,
    costs: &dyn Fn(usize) -> &'a [f64],
) -> Vec<f64> {
    let mut means = vec![0.0; candidates];
    for &i in survivors {
        let seen = &costs(i)[..replications(i) as usize];
        means[i] = seen.iter().sum::<f64>() / f64::from(replications(i));
        assert!(means[i].is_finite(), "costs of candidate {i} are finite");
    }
    means
}

/// Sample standard deviation; exactly 0 if all values are the same.
fn deviation(values: &[f64]) -> f64 {
    let from_first = || values.iter().map(|value| value - values[0]);
    let mean = from_first().sum::<f64>() / values.len() as f64;
    let squares: f64 = from_first().map(|d| (d - mean) * (d - mean)).sum();
    (squares / (values.len() - 1) as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_computed_independently() {
        // By composite Gauss-Legendre quadrature in q, 12 panels of 16 points, with another error function.
        check_eta(2, 20, 0.605_765_646);
        check_eta(10, 20, 0.845_307_385);
        check_eta(100, 20, 1.094_356_552);
        check_eta(1000, 50, 0.690_196_732);
    }

    #[test]
    fn eta_of_two_replications_has_a_closed_form() {
        // One degree of freedom: Q is the smaller of two squared normals, so the left side is the probability
        // that a third normal exceeds eta times the smaller of them in size. With eta = 1: that it is not the
        // smallest of three, 2/3.
        let found = eta(2, 2, 2.0 / 3.0);
        assert!((found - 1.0).abs() < 1e-9, "{found}");
    }

    const SETTINGS: GspSettings = GspSettings {
        alpha1: 0.025,
        alpha2: 0.025,
        delta: 1.0,
        first_stage: 4,
        rounds: 2,
        batch: 4,
        most: 1000,
    };

    const NOMINAL: Guarantee = Guarantee::GoodSelection { probability: 0.95, delta: 1.0 };

    #[test]
    fn one_candidate_needs_no_replication() {
        let selection = done(&Gsp::new(1, SETTINGS), &[&[]]);
        assert_eq!((selection.best, selection.replications, selection.guarantee), (0, 0, NOMINAL));
    }

    #[test]
    fn rounds_are_as_long_as_deviations() {
        // Deviations 1 : 3, average 2, so rounds of 2 and 6 with b = 4.
        let gsp = Gsp::new(2, SETTINGS);
        let (calm, wild) = (alternating(0.0, 1.0, 100), alternating(0.0, 3.0, 100));
        assert_eq!(demand(&gsp, &[&[], &[]]), [(0, 4), (1, 4)]);
        assert_eq!(demand(&gsp, &[&calm[..4], &wild[..4]]), [(0, 6), (1, 10)]);
        assert_eq!(demand(&gsp, &[&calm[..6], &wild[..9]]), [(1, 10)]);
        assert_eq!(demand(&gsp, &[&calm[..6], &wild[..10]]), [(0, 8), (1, 16)]);
        // Stage 3: S^2 = 4/3 and 12, times h^2 / delta^2.
        let h = rinott::h(2, 4, 0.975);
        let needed = [4.0 / 3.0, 12.0].map(|variance: f64| (variance * h * h).ceil() as u32);
        assert_eq!(demand(&gsp, &[&calm[..8], &wild[..16]]), [(0, needed[0]), (1, needed[1])]);
    }

    #[test]
    fn screening_takes_out_what_is_far_off() {
        let gsp = Gsp::new(3, SETTINGS);
        let costs = [alternating(50.0, 1.0, 100), alternating(0.0, 1.0, 100), alternating(20.0, 1.0, 100)];
        let selection = done(&gsp, &[&costs[0][..4], &costs[1][..4], &costs[2][..4]]);
        assert_eq!((selection.best, selection.replications, selection.guarantee), (1, 12, NOMINAL));
        let fell = |candidate| Elimination { candidate, replications: 4, by: 1 };
        assert_eq!(selection.eliminated, [fell(0), fell(2)]);
    }

    #[test]
    fn the_margin_is_that_of_the_paper() {
        // At the last round v = 1 / t is the same on both sides: margin eta sqrt((n1 - 1) v), with
        // v = 2 (4/3) / 4 when there are no further rounds.
        let gsp = Gsp::new(2, GspSettings { rounds: 0, ..SETTINGS });
        let margin = eta(2, 4, 0.025) * (3.0 * 2.0 * (4.0 / 3.0) / 4.0f64).sqrt();
        let base = alternating(0.0, 1.0, 4);
        let above = alternating(margin * 1.001, 1.0, 4);
        assert_eq!(done(&gsp, &[&above, &base]).best, 1);
        let below = alternating(margin * 0.999, 1.0, 4);
        assert_eq!(demand(&gsp, &[&below, &base]).len(), 2);
    }

    #[test]
    fn the_last_stage_takes_the_smallest_mean() {
        let gsp = Gsp::new(2, SETTINGS);
        let costs = [alternating(0.5, 1.0, 200), alternating(0.0, 1.0, 200)];
        let selection = done(&gsp, &[&costs[0], &costs[1]]);
        let replications = (4.0 / 3.0 * rinott::h(2, 4, 0.975).powi(2)).ceil() as u32;
        assert_eq!(selection.best, 1);
        assert_eq!(selection.eliminated, [Elimination { candidate: 0, replications, by: 1 }]);
        assert_eq!((selection.replications, selection.guarantee), (2 * u64::from(replications), NOMINAL));
    }

    #[test]
    fn the_limit_leaves_undecided_what_would_need_more() {
        // The calm ones get by with 30 replications, the wild one does not.
        let gsp = Gsp::new(3, GspSettings { delta: 4.0, most: 30, ..SETTINGS });
        let (low, wild) = (alternating(0.0, 1.0, 30), alternating(1.0, 9.0, 30));
        let high = alternating(0.5, 1.0, 30);
        let selection = done(&gsp, &[&wild, &low, &high]);
        assert_eq!((selection.best, &selection.undecided[..]), (1, &[0][..]));
        assert_eq!(selection.eliminated.iter().map(|fallen| fallen.candidate).collect::<Vec<_>>(), [2]);
        assert_eq!(selection.guarantee, Guarantee::None);
        // If the wild one leads, nothing is decided against it.
        let wild = alternating(-1.0, 9.0, 30);
        let selection = done(&gsp, &[&wild, &low, &high]);
        assert_eq!((selection.best, &selection.undecided[..]), (0, &[1, 2][..]));
    }

    #[test]
    fn the_same_costs_are_equal_and_not_undecided() {
        let gsp = Gsp::new(3, SETTINGS);
        let costs = alternating(0.0, 1.0, 4);
        let selection = done(&gsp, &[&costs, &costs, &costs]);
        assert_eq!((selection.best, selection.equal, selection.guarantee), (0, vec![1, 2], NOMINAL));
        assert_eq!(selection.replications, 12);
    }

    #[test]
    fn constants_are_compared_as_they_are() {
        let gsp = Gsp::new(4, SETTINGS);
        let selection = done(&gsp, &[&[2.0; 4], &[0.1; 4], &[3.0; 4], &[0.1; 4]]);
        assert_eq!((selection.best, selection.equal, selection.replications), (1, vec![3], 16));
        assert_eq!(selection.eliminated.len(), 2);
        // One constant among others goes on.
        let noisy = alternating(0.1, 1.0, 4);
        assert_eq!(demand(&Gsp::new(2, SETTINGS), &[&[0.1; 4], &noisy]), [(0, 5), (1, 12)]);
    }

    /// Costs around a mean: `mean + deviation`, `mean - deviation`, and so on.
    fn alternating(mean: f64, deviation: f64, count: usize) -> Vec<f64> {
        [mean + deviation, mean - deviation].into_iter().cycle().take(count).collect()
    }

    #[track_caller]
    fn demand(gsp: &Gsp, costs: &[&[f64]]) -> Vec<(usize, u32)> {
        gsp.step(&|i| costs[i]).demand()
    }

    #[track_caller]
    fn done(gsp: &Gsp, costs: &[&[f64]]) -> Selection {
        gsp.step(&|i| costs[i]).done()
    }

    #[track_caller]
    fn check_eta(candidates: usize, first_stage: u32, expected: f64) {
        let found = eta(candidates, first_stage, 0.025);
        assert!((found - expected).abs() < 1e-8, "{found} {expected}");
    }
}
