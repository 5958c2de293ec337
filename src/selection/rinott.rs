//! The two-stage procedure of Rinott: how many replications each of k independent candidates needs.
//!
//! Rinott, "On two-stage selection procedures and related probability-inequalities", Communications in
//! Statistics A7 (1978). After a first stage of n0 replications, bring candidate i with sample deviation S_i
//! to N_i = max(n0, ceil((h S_i / delta)^2)) and take the smallest mean: it is good with the probability that
//! h was computed for, whatever the means.
//!
//! Only the formulas are here; [`Gsp`](super::Gsp) ends with this procedure.

use statrs::function::erf::erfc;

use super::quadrature::{self, Node};

/// The constant h for that many candidates, replications in the first stage, and probability of good
/// selection. It solves, with f the density of chi-squared of n0 - 1 degrees of freedom,
///
/// ```text
/// integral { integral Phi( h / sqrt((n0 - 1)(1/x + 1/y)) ) f(x) dx }^(k - 1) f(y) dy = probability
/// ```
///
/// # Panics
///
/// Of fewer than two candidates, fewer than two replications, or a probability outside of (2^(1-k), 1): no
/// procedure is needed to guess.
#[must_use]
pub fn h(candidates: usize, first_stage: u32, probability: f64) -> f64 {
    assert!(candidates >= 2 && first_stage >= 2, "there is something to compare and a variance");
    let rivals = (candidates - 1) as f64;
    assert!((-rivals).exp2() < probability && probability < 1.0, "probability {probability} is possible");
    let nodes = quadrature::chi_squared(f64::from(first_stage - 1));
    quadrature::root(|h| probability_of_good_selection(h, &nodes, rivals, first_stage) - probability)
}

/// N_i: replications in all of a candidate with that deviation in the first stage. `u32::MAX` stands for all
/// that is more.
#[must_use]
pub fn replications(h: f64, deviation: f64, delta: f64, first_stage: u32) -> u32 {
    let needed = (h * deviation / delta).powi(2).ceil() as u32;
    needed.max(first_stage)
}

/// The left side of the equation of [`h`]. In tails, because so close to 1 the power of the complement is
/// all that counts.
fn probability_of_good_selection(h: f64, nodes: &[Node], rivals: f64, first_stage: u32) -> f64 {
    let freedom = f64::from(first_stage - 1);
    let outer = nodes.iter().map(|y| {
        let inner = nodes.iter().map(|x| {
            let z = h / (freedom * (x.x.recip() + y.x.recip())).sqrt();
            x.weight * erfc(z / std::f64::consts::SQRT_2) / 2.0
        });
        y.weight * (rivals * (-inner.sum::<f64>()).ln_1p()).exp()
    });
    outer.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constants_computed_independently() {
        // By composite Gauss-Legendre quadrature in x, 12 panels of 16 points, with another error function.
        check(2, 20, 2.452_473_25);
        check(10, 20, 3.875_276_64);
        check(100, 20, 5.184_012_35);
        check(10, 50, 3.686_758_94);
        check(1000, 50, 5.786_277_99);
    }

    #[test]
    fn a_finer_quadrature_changes_nothing() {
        for (candidates, first_stage) in
            [(2, 2), (1_000_000, 3), (10, 10), (1_000_000, 20), (1_000_000, 1000)]
        {
            let found = h(candidates, first_stage, 0.95);
            let freedom = f64::from(first_stage - 1);
            let step = (2.0 / freedom).sqrt().min(1.0) / 12.0;
            let nodes = quadrature::chi_squared_with_step(freedom, step);
            let rivals = (candidates - 1) as f64;
            let probability = probability_of_good_selection(found, &nodes, rivals, first_stage);
            assert!((probability - 0.95).abs() < 1e-7, "{candidates} {first_stage} {probability}");
        }
    }

    #[test]
    fn two_replications_have_a_closed_form() {
        // With one degree of freedom 1/X and 1/Y are Levy variables, stable of index 1/2: their sum is
        // distributed like 4/X. So P = E[Phi(h |Z| / 2)] = 1/2 + atan(h / 2) / pi with a normal Z.
        let expected = 2.0 * (std::f64::consts::PI * 0.45).tan();
        let found = h(2, 2, 0.95);
        assert!((found - expected).abs() < 1e-7 * expected, "{found} {expected}");
    }

    #[test]
    fn many_replications_approach_known_variances() {
        // h = sqrt(2) z for two candidates and known variances; z(0.95) = 1.644854.
        let found = h(2, 100_001, 0.95);
        assert!((found - 2f64.sqrt() * 1.644_854).abs() < 1e-4, "{found}");
    }

    #[test]
    fn replications_grow_with_the_variance() {
        assert_eq!(replications(3.0, 2.0, 1.0, 10), 36);
        assert_eq!(replications(3.0, 1.0, 1.0, 10), 10);
        assert_eq!(replications(3.0, 0.0, 1.0, 10), 10);
        assert_eq!(replications(3.0, 1e9, 1e-9, 10), u32::MAX);
    }

    #[track_caller]
    fn check(candidates: usize, first_stage: u32, expected: f64) {
        let found = h(candidates, first_stage, 0.95);
        assert!((found - expected).abs() < 1e-8, "{found} {expected}");
    }
}
