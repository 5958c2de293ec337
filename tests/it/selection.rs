//! The probabilities that selection promises, held against a thousand repetitions each.
//!
//! All of it in the slippage configuration, where every candidate is worse than the best by exactly delta: the
//! hardest one that the promise covers. Costs are normal with a deviation of 3 delta. A promise counts as
//! broken only if so few successes would have a probability below [`FALSE_ALARM`] under it; seeds are fixed, so
//! the verdict is the same every time.

use backpressure_sim::engine::stream::stream;
use backpressure_sim::selection::{Gsp, GspSettings, Guarantee, Kn, KnSettings, Selection, Step, rinott};
use rand_distr::{Distribution as _, Normal};

const MACRO_RUNS: u32 = 1000;

/// Probability that one of these tests fails although the procedure keeps exactly its promise, were the seed
/// drawn anew. A promise of 0.95 then needs 927 of 1000.
const FALSE_ALARM: f64 = 1e-3;

const DELTA: f64 = 1.0;
const DEVIATION: f64 = 3.0;

/// Not the first, which wins ties.
const BEST: usize = 3;

#[test]
fn kim_and_nelson_select_correctly() {
    let settings = KnSettings { alpha: 0.05, delta: DELTA, first_stage: 20, batch: 1, most: 100_000 };
    let kn = Kn::new(8, settings);
    let spent = [0.0, 0.5, 0.8].map(|correlation| {
        let name = format!("KN, 8 candidates, correlation {correlation}");
        let costs = Costs { candidates: 8, correlation, gap: DELTA };
        check(&name, 0.95, |run| costs.select(run, |table| kn.step(&|i| &table[i])), |s| s.best == BEST)
    });
    // The variance of a difference is proportional to 1 - correlation, and so are the replications beyond
    // those of the first stage, nearly.
    assert!(spent[1] < 0.6 * spent[0] && spent[2] < 0.4 * spent[0], "common random numbers save: {spent:?}");
}

#[test]
fn larger_batches_keep_the_promise() {
    let settings = KnSettings { alpha: 0.05, delta: DELTA, first_stage: 10, batch: 25, most: 100_000 };
    let kn = Kn::new(8, settings);
    let costs = Costs { candidates: 8, correlation: 0.5, gap: DELTA };
    let select = |run| costs.select(run, |table| kn.step(&|i| &table[i]));
    check("KN, batches of 25, correlation 0.5", 0.95, select, |s| s.best == BEST);
}

#[test]
fn good_selection_procedure_selects_a_good_candidate() {
    let gsp = Gsp::new(20, GSP);
    let costs = Costs { candidates: 20, correlation: 0.0, gap: DELTA };
    let select = |run| costs.select(run, |table| gsp.step(&|i| &table[i]));
    check("GSP, 20 candidates", 0.95, select, |s| s.best == BEST);
}

#[test]
fn the_last_stage_alone_keeps_the_promise_of_rinott() {
    // A screen that never takes anything out leaves the procedure of Rinott.
    let settings = GspSettings { alpha1: 1e-12, alpha2: 0.05, rounds: 0, ..GSP };
    let gsp = Gsp::new(20, settings);
    let costs = Costs { candidates: 20, correlation: 0.0, gap: DELTA };
    let select = |run| costs.select(run, |table| gsp.step(&|i| &table[i]));
    let spent = check("Rinott, 20 candidates", 0.95, select, |s| s.best == BEST);
    // Each takes ceil(h^2 S^2 / delta^2) replications: h^2 sigma^2 / delta^2 on average and half of one more
    // for rounding up. The standard error of the mean of 20 000 of them is h^2 sigma^2 sqrt(2/19) / sqrt(20 000).
    let h = rinott::h(20, 20, 0.95);
    let variance = (h * DEVIATION / DELTA).powi(2);
    let standard_error = 20.0 * variance * (2.0f64 / 19.0 / 20_000.0).sqrt();
    assert!((spent - 20.0 * (variance + 0.5)).abs() < 4.0 * standard_error, "{spent} {variance}");
}

#[test]
fn screening_rarely_loses_the_best() {
    // Means all the same, delta and limit such that no last stage decides: only screening takes out
    // candidates, and each of two with probability alpha1 at most. Slippage is kinder than that, so only here
    // a wrong constant shows.
    let settings =
        GspSettings { alpha1: 0.2, alpha2: 0.05, delta: 1e-6, rounds: 40, batch: 5, most: 1000, ..GSP };
    let gsp = Gsp::new(2, settings);
    let costs = Costs { candidates: 2, correlation: 0.0, gap: 0.0 };
    let select = |run| costs.select(run, |table| gsp.step(&|i| &table[i]));
    let stays = |s: &Selection| s.eliminated.iter().all(|fallen| fallen.candidate != 0);
    check("screening of GSP, 2 candidates", 0.8, select, stays);
}

#[test]
fn a_table_that_grows_by_demand_decides_as_the_whole_one() {
    let kn = Kn::new(8, KnSettings { alpha: 0.05, delta: DELTA, first_stage: 20, batch: 7, most: 10_000 });
    let gsp = Gsp::new(8, GSP);
    let costs = Costs { candidates: 8, correlation: 0.0, gap: DELTA };
    for run in 0..20 {
        let whole = costs.table(run, 2_000);
        let by_demand = |step: &dyn Fn(&[Vec<f64>]) -> Step| {
            let mut table = vec![Vec::new(); 8];
            loop {
                match step(&table) {
                    Step::Done(selection) => {
                        let asked: usize = table.iter().map(Vec::len).sum();
                        assert_eq!(asked as u64, selection.replications, "no more is asked than used");
                        break Step::Done(selection);
                    }
                    Step::Replicate(demand) => {
                        for (i, replications) in demand {
                            assert!(table[i].len() < replications as usize, "demands more than there is");
                            table[i] = whole[i][..replications as usize].to_vec();
                        }
                    }
                }
            }
        };
        assert_eq!(by_demand(&|table| kn.step(&|i| &table[i])), kn.step(&|i| &whole[i]));
        assert_eq!(by_demand(&|table| gsp.step(&|i| &table[i])), gsp.step(&|i| &whole[i]));
    }
}

const GSP: GspSettings = GspSettings {
    alpha1: 0.025,
    alpha2: 0.025,
    delta: DELTA,
    first_stage: 20,
    rounds: 10,
    batch: 10,
    most: 100_000,
};

/// Normal costs; the means of all but [`BEST`] are higher by the gap. Costs of one replication share a part
/// of their noise.
struct Costs {
    candidates: usize,
    correlation: f64,
    gap: f64,
}

impl Costs {
    /// Runs a procedure to its end. The table grows in large steps: what a procedure did not ask for, it
    /// ignores.
    fn select(&self, run: u32, step: impl Fn(&[Vec<f64>]) -> Step) -> Selection {
        let mut replications = 64;
        loop {
            if let Step::Done(selection) = step(&self.table(run, replications)) {
                return selection;
            }
            replications *= 2;
        }
    }

    fn table(&self, run: u32, replications: usize) -> Vec<Vec<f64>> {
        let normal = Normal::new(0.0, DEVIATION).unwrap();
        let noise = |name: String| normal.sample_iter(stream(1, run, &name)).take(replications);
        let common: Vec<f64> = noise("common".into()).collect();
        let (shared, own) = (self.correlation.sqrt(), (1.0 - self.correlation).sqrt());
        (0..self.candidates)
            .map(|i| {
                let mean = if i == BEST { 0.0 } else { self.gap };
                let costs = common.iter().zip(noise(format!("candidate {i}")));
                costs.map(|(common, noise)| mean + shared * common + own * noise).collect()
            })
            .collect()
    }
}

/// Counts how often the selection is as promised, and returns the mean number of replications.
#[track_caller]
fn check(
    name: &str,
    promised: f64,
    select: impl Fn(u32) -> Selection,
    success: impl Fn(&Selection) -> bool,
) -> f64 {
    let mut successes = 0;
    let mut replications = 0;
    for run in 0..MACRO_RUNS {
        let selection = select(run);
        successes += u32::from(success(&selection));
        replications += selection.replications;
        assert!(selection.guarantee != Guarantee::None || !selection.undecided.is_empty());
    }
    let replications = replications as f64 / f64::from(MACRO_RUNS);
    let share = f64::from(successes) / f64::from(MACRO_RUNS);
    println!("{name}: {share} as promised, at least {promised}; {replications} replications in all");
    // One-sided binomial test, the logic of Clopper and Pearson: the promise stands unless its own probability
    // of no more successes than these is below the limit.
    let probability = binomial_cdf(MACRO_RUNS, promised, successes);
    assert!(probability >= FALSE_ALARM, "{name}: {share} contradicts {promised} (p = {probability:e})");
    replications
}

/// P(X <= x) of the binomial distribution, in the failures so that the first term does not underflow.
fn binomial_cdf(n: u32, p: f64, x: u32) -> f64 {
    let q = 1.0 - p;
    let mut term = p.powi(n.cast_signed());
    let mut fewer_failures = 0.0;
    for failures in 0..n - x {
        fewer_failures += term;
        term *= f64::from(n - failures) / f64::from(failures + 1) * q / p;
    }
    (1.0 - fewer_failures).max(0.0)
}

#[test]
fn binomial_by_hand() {
    // P(X <= 1) of two throws of a coin is 3/4.
    assert!((binomial_cdf(2, 0.5, 1) - 0.75).abs() < 1e-15);
    assert!((binomial_cdf(2, 0.5, 2) - 1.0).abs() < 1e-15);
    // 927 of 1000 is where a promise of 0.95 begins to be believed.
    assert!(binomial_cdf(1000, 0.95, 926) < FALSE_ALARM && binomial_cdf(1000, 0.95, 927) >= FALSE_ALARM);
}
