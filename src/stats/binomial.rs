//! The exact test of a probability: are there more, or fewer, successes than it allows?
//!
//! C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial",
//! Biometrika 26 (1934). Exact for any number of trials, so it is conservative for few of them.

use statrs::distribution::{Binomial, DiscreteCDF};

/// The probability of at most so many successes in that many independent trials.
pub fn at_most(successes: u64, trials: u64, probability: f64) -> f64 {
    if successes >= trials {
        return 1.0;
    }
    binomial(trials, probability).cdf(successes)
}

/// The probability of at least so many successes.
pub fn at_least(successes: u64, trials: u64, probability: f64) -> f64 {
    match successes {
        0 => 1.0,
        _ if successes > trials => 0.0,
        // With the roles of success and failure exchanged, which loses no digits near 1.
        _ => at_most(trials - successes, trials, 1.0 - probability),
    }
}

/// The probability of a success with which at least `needed` of `trials` are successes half of the time.
pub fn median_probability(needed: u64, trials: u64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if at_least(needed, trials, middle) < 0.5 {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

fn binomial(trials: u64, probability: f64) -> Binomial {
    Binomial::new(probability.clamp(0.0, 1.0), trials).expect("a probability is within 0 and 1")
}

/// Halvings of 0 to 1 until nothing is left to halve.
const HALVINGS: u32 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_of_a_fair_coin() {
        // 1 + 10 + 45 of 1024 ways to throw at most two heads in ten.
        assert!((at_most(2, 10, 0.5) - 56.0 / 1024.0).abs() < 1e-12);
        assert!((at_least(8, 10, 0.5) - 56.0 / 1024.0).abs() < 1e-12);
        let certain = [at_least(0, 10, 0.3), at_most(10, 10, 0.3), at_least(11, 10, 0.3)];
        assert_eq!(certain.map(|probability| probability as u32), [1, 1, 0]);
    }

    #[test]
    fn all_of_ten_succeed_half_of_the_time_at_the_tenth_root_of_a_half() {
        assert!((median_probability(10, 10) - 0.5_f64.powf(0.1)).abs() < 1e-12);
        assert!((median_probability(1, 10) - (1.0 - 0.5_f64.powf(0.1))).abs() < 1e-12);
    }
}
