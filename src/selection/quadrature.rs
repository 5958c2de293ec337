//! Expectations over a chi-squared distribution, and the root of an increasing function.
//!
//! The expectation is a sum over equally spaced points of `s = ln x`. In `s` the density times a smooth
//! function is analytic and vanishes at both ends, and there the plain trapezoidal rule converges
//! exponentially in the number of points (Trefethen & Weideman, "The exponentially convergent trapezoidal
//! rule", SIAM Review 56, 2014). No quantile is needed, and one degree of freedom, where the density itself
//! is infinite at 0, is no special case.

use statrs::function::gamma::ln_gamma;

/// A point and its weight; the weights of all points add up to 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    /// Where.
    pub(super) x: f64,
    /// How much it counts.
    pub(super) weight: f64,
}

/// Points and weights for expectations over a chi-squared distribution: about 60 to 250 of them, for about
/// twelve digits.
pub(super) fn chi_squared(freedom: f64) -> Vec<Node> {
    // The standard deviation of ln x is close to sqrt(2 / freedom); below 2 degrees of freedom the width of
    // the strip in which the integrand is analytic, pi/2, decides instead.
    chi_squared_with_step(freedom, ((2.0 / freedom).sqrt() / 4.0).min(0.25))
}

/// The same with a chosen distance of the points in `ln x`.
pub(super) fn chi_squared_with_step(freedom: f64, step: f64) -> Vec<Node> {
    let half = freedom / 2.0;
    // Less than e^-32 = 1.3e-14 of the distribution lies outside on either side: Laurent & Massart, "Adaptive
    // estimation of a quadratic functional by model selection", Annals of Statistics 28 (2000), lemma 1, and
    // on the left also P(X < x) <= (x/2)^half / Gamma(half + 1), which is the better one of few degrees.
    let tail: f64 = 32.0;
    let spread = 2.0 * (freedom * tail).sqrt();
    let highest = freedom + spread + 2.0 * tail;
    let lowest = (2.0 * ((ln_gamma(half + 1.0) - tail) / half).exp()).max(freedom - spread);

    let count = ((highest.ln() - lowest.ln()) / step).ceil() as u32;
    let logs = (0..=count).map(|i| lowest.ln() + f64::from(i) * step);
    // The density of s = ln x, up to a constant: x^half e^(-x/2), here relative to its mode at x = freedom so
    // that nothing overflows.
    let mut nodes: Vec<Node> = logs
        .map(|s| {
            let x = s.exp();
            Node { x, weight: (half * (s - freedom.ln()) - (x - freedom) / 2.0).exp() }
        })
        .collect();
    let total: f64 = nodes.iter().map(|node| node.weight).sum();
    nodes.iter_mut().for_each(|node| node.weight /= total);
    nodes
}

/// Where an increasing function with `f(0) < 0` becomes positive, by bisection: about 50 evaluations, and
/// none of the traps that flat tails set to faster methods.
pub(super) fn root(f: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while f(high) < 0.0 {
        (low, high) = (high, 2.0 * high);
    }
    while high - low > 1e-12 * high {
        let middle = f64::midpoint(low, high);
        if f(middle) < 0.0 { low = middle } else { high = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_the_chi_squared_distribution() {
        // Mean and variance are f and 2 f, E[1/X] = 1 / (f - 2).
        for freedom in [3.0, 9.0, 19.0, 49.0, 999.0] {
            let nodes = chi_squared(freedom);
            let expect = |f: &dyn Fn(f64) -> f64| -> f64 { nodes.iter().map(|n| n.weight * f(n.x)).sum() };
            check(expect(&|x| x), freedom);
            check(expect(&|x| x * x), freedom * freedom + 2.0 * freedom);
            if freedom > 4.0 {
                check(expect(&|x| 1.0 / x), 1.0 / (freedom - 2.0));
            }
        }
    }

    #[test]
    fn one_degree_of_freedom_is_the_square_of_a_normal() {
        // E[X] = 1, E[X^2] = 3, E[e^-X] = 1 / sqrt(3).
        let nodes = chi_squared(1.0);
        let expect = |f: &dyn Fn(f64) -> f64| -> f64 { nodes.iter().map(|n| n.weight * f(n.x)).sum() };
        check(expect(&|x| x), 1.0);
        check(expect(&|x| x * x), 3.0);
        check(expect(&|x| (-x).exp()), 3f64.sqrt().recip());
    }

    #[test]
    fn root_brackets_and_bisects() {
        check(root(|x| x * x - 2.0), 2f64.sqrt());
        check(root(|x| x - 1e6), 1e6);
        check(root(|x| x - 1e-3), 1e-3);
    }

    #[track_caller]
    fn check(found: f64, expected: f64) {
        assert!((found - expected).abs() <= 1e-9 * expected.abs(), "{found} {expected}");
    }
}
