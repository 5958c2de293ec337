//! Is a simulated value compatible with the exact one, and would we have noticed if it were not?
//!
//! A quantity is a ratio of two sums over independent replications, such as the jobs that waited over the
//! jobs that were served. Its standard error is that of the ratio estimator (Law, "Simulation Modeling and
//! Analysis", 2015, sec. 9.5.2, with replications for cycles), the test is Student's with n - 1 degrees of
//! freedom, and the family error over all `m` comparisons of a run is 0.1% (Bonferroni). A comparison has
//! power if its standard error is small beside the value; how small is fixed for each sort of quantity. The
//! stopping rule sees standard errors only, never the distance from the exact value.

use statrs::distribution::{ContinuousCDF, DiscreteCDF, Poisson, StudentsT};

/// Probability that a run of a correct simulator shows any failure.
pub(crate) const FAMILY_ERROR: f64 = 0.001;

/// What one replication contributes to a quantity: numerator and denominator.
pub(crate) type Pair = (f64, f64);

/// What is compared.
#[derive(Clone, Debug)]
pub(crate) struct Quantity {
    pub(crate) name: String,
    pub(crate) exact: f64,
    /// Standard error of `exact`, if that is an estimate itself.
    exact_error: f64,
    /// How far `exact` itself may be off.
    slack: f64,
    side: Side,
    /// Largest standard error that still has power.
    power: f64,
    /// Whether the complement is compared: a probability near 1 is a rare event.
    complement: bool,
    /// Whether only many events make a mean normal; without power it is then not tested as one.
    rare: bool,
    /// Whether the numerator counts events that come one by one, so that few of them are Poisson.
    events: bool,
    /// Whether it stands for its case where independent comparisons are needed.
    pub(crate) primary: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Equal,
    AtMost,
    AtLeast,
}

/// Standard errors with power, relative to the value.
const MEAN_POWER: f64 = 0.005;
const TAIL_POWER: f64 = 0.02;
const RARE_POWER: f64 = 0.05;
/// Up to it a probability is one of a rare event.
const RARE: f64 = 0.01;
/// Fewer single events than these are compared by the Poisson law.
const FEW_EVENTS: f64 = 400.0;

impl Quantity {
    fn new(name: impl Into<String>, exact: f64, side: Side, power: f64) -> Self {
        Self {
            name: name.into(),
            exact,
            exact_error: 0.0,
            slack: 0.0,
            side,
            power: power * exact.abs(),
            complement: false,
            rare: false,
            events: false,
            primary: false,
        }
    }

    pub(crate) fn mean(name: impl Into<String>, exact: f64) -> Self {
        Self::new(name, exact, Side::Equal, MEAN_POWER)
    }

    /// A second moment or another mean with a heavy tail.
    pub(crate) fn spread(name: impl Into<String>, exact: f64) -> Self {
        Self::new(name, exact, Side::Equal, TAIL_POWER)
    }

    /// Rare events for each unit of the denominator.
    pub(crate) fn rate(name: impl Into<String>, exact: f64) -> Self {
        Self { rare: true, ..Self::new(name, exact, Side::Equal, RARE_POWER) }
    }

    /// A probability or a share.
    pub(crate) fn share(name: impl Into<String>, exact: f64) -> Self {
        let complement = exact > 1.0 - RARE;
        let compared = if complement { 1.0 - exact } else { exact };
        let rare = compared <= RARE;
        let power = if rare { RARE_POWER } else { MEAN_POWER };
        Self { complement, rare, ..Self::new(name, compared, Side::Equal, power) }
    }

    /// The probability beyond an exact quantile of a continuous law; `level` is that below it.
    pub(crate) fn tail(name: impl Into<String>, level: f64) -> Self {
        Self::new(name, 1.0 - level, Side::Equal, tail_power(level))
    }

    /// The probability beyond a quantile `q` of a law with jumps: P(X > q) <= 1 - level.
    pub(crate) fn tail_at_most(name: impl Into<String>, level: f64) -> Self {
        Self::new(name, 1.0 - level, Side::AtMost, tail_power(level))
    }

    /// The probability of a quantile `q` and beyond: P(X >= q) >= 1 - level.
    pub(crate) fn tail_at_least(name: impl Into<String>, level: f64) -> Self {
        Self::new(name, 1.0 - level, Side::AtLeast, tail_power(level))
    }

    /// The exact value is an estimate with that standard error. Power is then relative to it.
    pub(crate) fn with_error(self, exact_error: f64) -> Self {
        Self { exact_error, power: exact_error / 2.0, ..self }
    }

    /// The exact value may itself be off by so much.
    pub(crate) fn within(self, slack: f64) -> Self {
        Self { slack, ..self }
    }

    /// The same at that moment.
    pub(crate) fn at(self, seconds: f64) -> Self {
        Self { name: format!("t={seconds} {}", self.name), ..self }
    }

    pub(crate) fn counting_events(self) -> Self {
        Self { events: true, ..self }
    }

    pub(crate) fn primary(self) -> Self {
        Self { primary: true, ..self }
    }

    /// The estimate from the pairs of all replications.
    fn estimate(&self, pairs: &[Pair]) -> Estimate {
        let turned = |&(above, below): &Pair| (if self.complement { below - above } else { above }, below);
        let n = pairs.len() as f64;
        let (above, below) =
            pairs.iter().map(turned).fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
        let value = above / below;
        let residuals = pairs.iter().map(turned).map(|(above, below)| (above - value * below).powi(2));
        let error = (residuals.sum::<f64>() / (n - 1.0) / n).sqrt() / (below / n);
        Estimate { value, error, above, below, freedom: n - 1.0 }
    }

    /// Whether so many replications suffice, or no affordable number of them would.
    pub(crate) fn is_settled(&self, pairs: &[Pair], most: usize, ease: f64) -> bool {
        let error = self.estimate(pairs).error;
        let at_most = error * (pairs.len() as f64 / most as f64).sqrt();
        error <= self.power * ease || at_most > self.power * ease || !error.is_finite()
    }

    /// Judges the replications at the error probability `alpha` of this one comparison.
    pub(crate) fn judge(&self, case: &str, pairs: &[Pair], alpha: f64, ease: f64) -> Row {
        let Estimate { value, error, above, below, freedom } = self.estimate(pairs);
        let has_power = error <= self.power * ease && error > 0.0;
        let row = Row {
            case: case.to_owned(),
            quantity: self.name.clone(),
            exact: self.exact,
            simulated: value,
            interval: f64::NAN,
            z: None,
            p: None,
            relative_error: error / self.exact.abs(),
            agreement: Agreement::NotCompared("nothing to observe"),
            primary: false,
            replications: pairs.len(),
        };
        if below <= 0.0 {
            return row;
        }
        if self.exact.abs() < f64::MIN_POSITIVE {
            // Differences of sums may leave a rounding error.
            let agreement = if above.abs() <= 1e-9 * below { Agreement::Pass } else { Agreement::Fail };
            return Row { interval: 0.0, agreement, ..row };
        }
        let are_few = self.events && self.exact * below < FEW_EVENTS;
        if are_few || (self.rare && !has_power) {
            return self.judge_rare(row, above, below, alpha);
        }
        if error <= 0.0 && self.side == Side::Equal && self.slack <= 0.0 {
            // All replications agree: a count that hardly ever differs. Departures by one are Poisson.
            let p = (-(value - self.exact).abs() * below).exp();
            let agreement = if p >= alpha { Agreement::Rare } else { Agreement::Fail };
            return Row { p: Some(p), agreement, ..row };
        }
        let spread = error.hypot(self.exact_error);
        let student = StudentsT::new(0.0, 1.0, freedom).expect("at least two replications");
        let difference = value - self.exact;
        let beyond = match self.side {
            Side::Equal => (difference.abs() - self.slack).max(0.0).copysign(difference),
            Side::AtMost => difference - self.slack,
            Side::AtLeast => -difference - self.slack,
        };
        let z = if beyond.abs() < f64::MIN_POSITIVE { 0.0 } else { beyond / spread };
        let (p, critical) = match self.side {
            Side::Equal => (2.0 * student.cdf(-z.abs()), -student.inverse_cdf(alpha / 2.0)),
            Side::AtMost | Side::AtLeast => (student.cdf(-z), -student.inverse_cdf(alpha)),
        };
        let agreement = match (p >= alpha, has_power) {
            (false, _) => Agreement::Fail,
            (true, true) => Agreement::Pass,
            (true, false) => Agreement::Weak,
        };
        // A one-sided or slackened comparison has no uniform p and no symmetric z.
        let is_plain = self.side == Side::Equal && self.slack <= 0.0;
        let z = is_plain.then_some(z);
        let interval = critical * spread + self.slack;
        Row { interval, z, p: Some(p), agreement, primary: self.primary && is_plain, ..row }
    }

    /// Too few events for a mean to be normal: single events are Poisson; of others it is only known that
    /// there are none where none are expected (Markov's inequality: P(any) <= the mean).
    fn judge_rare(&self, row: Row, above: f64, below: f64, alpha: f64) -> Row {
        let expected = self.exact * below;
        if self.events {
            let p = poisson_p(above.round() as u64, expected);
            let agreement = if p >= alpha { Agreement::Rare } else { Agreement::Fail };
            return Row { p: Some(p), agreement, ..row };
        }
        let agreement = match above > 0.0 {
            true if expected < alpha => Agreement::Fail,
            false if expected < 1e-3 => Agreement::Rare,
            _ => Agreement::NotCompared("fewer than 400 events in an affordable run"),
        };
        Row { agreement, ..row }
    }
}

/// A quantile that is off by 2% changes the probability beyond it by 2% x ln(1 / (1 - level)) where the tail is
/// exponential: by 6% at p95, 9% at p99, 14% at p999. Less than that is asked for.
fn tail_power(level: f64) -> f64 {
    match level {
        ..0.9 => MEAN_POWER,
        ..0.99 => TAIL_POWER,
        ..0.999 => RARE_POWER,
        _ => 2.0 * RARE_POWER,
    }
}

/// Probability of a count at least as far out as this one on its side, twice.
fn poisson_p(count: u64, expected: f64) -> f64 {
    let poisson = Poisson::new(expected).expect("a positive mean");
    let at_most = poisson.cdf(count);
    let at_least = count.checked_sub(1).map_or(1.0, |fewer| poisson.sf(fewer));
    (2.0 * at_most.min(at_least)).min(1.0)
}

struct Estimate {
    value: f64,
    error: f64,
    above: f64,
    below: f64,
    freedom: f64,
}

/// What came of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Agreement {
    Pass,
    /// Compatible, but with a standard error above the one that is asked for.
    Weak,
    /// Compatible with the few events or none that are to be expected.
    Rare,
    Fail,
    NotCompared(&'static str),
}

/// A line of the report.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) case: String,
    pub(crate) quantity: String,
    pub(crate) exact: f64,
    pub(crate) simulated: f64,
    /// How far the two may be apart; NaN where the test is not about a distance.
    pub(crate) interval: f64,
    pub(crate) z: Option<f64>,
    pub(crate) p: Option<f64>,
    /// Standard error over the exact value.
    pub(crate) relative_error: f64,
    pub(crate) agreement: Agreement,
    pub(crate) primary: bool,
    pub(crate) replications: usize,
}

impl Row {
    /// A comparison that is not statistical.
    pub(crate) fn fixed(
        case: &str,
        quantity: impl Into<String>,
        exact: f64,
        simulated: f64,
        tolerance: f64,
    ) -> Self {
        let holds = (simulated - exact).abs() <= tolerance;
        Self {
            case: case.to_owned(),
            quantity: quantity.into(),
            exact,
            simulated,
            interval: tolerance,
            z: None,
            p: None,
            relative_error: f64::NAN,
            agreement: if holds { Agreement::Pass } else { Agreement::Fail },
            primary: false,
            replications: 1,
        }
    }

    /// Something of the table that is not compared, and why.
    pub(crate) fn not_compared(
        case: &str,
        quantity: impl Into<String>,
        exact: f64,
        reason: &'static str,
    ) -> Self {
        Self {
            agreement: Agreement::NotCompared(reason),
            ..Self::fixed(case, quantity, exact, f64::NAN, f64::NAN)
        }
    }
}

/// The p-value of the Kolmogorov-Smirnov test that the values are uniform on [0, 1]: the asymptotic law with
/// Stephens' correction for small samples (Stephens, "EDF statistics for goodness of fit", JASA 69, 1974).
pub(crate) fn uniformity_p(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let distance = sorted.iter().enumerate().fold(0.0_f64, |worst, (rank, value)| {
        let (before, after) = (rank as f64 / n, (rank + 1) as f64 / n);
        worst.max(value - before).max(after - value)
    });
    let scaled = distance * (n.sqrt() + 0.12 + 0.11 / n.sqrt());
    let term = |k: i32| {
        let sign = if k % 2 == 0 { -1.0 } else { 1.0 };
        sign * (-2.0 * f64::from(k * k) * scaled * scaled).exp()
    };
    (2.0 * (1..=100).map(term).sum::<f64>()).clamp(0.0, 1.0)
}
