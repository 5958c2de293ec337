//! Prints the rows and adds them up.

use std::collections::{BTreeMap, BTreeSet};

use crate::compare::{Agreement, Row, uniformity_p};

/// Heads the columns of `line`.
pub(crate) fn header() -> String {
    format!(
        "{:<52} {:<28} {:>15} {:>15} {:>11} {:>7} {:>9} {:>8} {:>6}  agreement",
        "case", "quantity", "exact", "simulated", "+-", "z", "p", "se/value", "reps"
    )
}

pub(crate) fn line(row: &Row) -> String {
    let optional =
        |value: Option<f64>, digits: usize| value.map_or("-".to_owned(), |value| format!("{value:.digits$}"));
    let number = |value: f64| if value.is_nan() { "-".to_owned() } else { significant(value) };
    let p = row.p.map_or("-".to_owned(), |p| if p < 1e-3 { format!("{p:.1e}") } else { format!("{p:.3}") });
    let relative = if row.relative_error.is_finite() {
        format!("{:.2}%", row.relative_error * 100.0)
    } else {
        "-".to_owned()
    };
    let agreement = match row.agreement {
        Agreement::Pass => "pass".to_owned(),
        Agreement::Weak => "pass (weak)".to_owned(),
        Agreement::Rare => "pass (rare)".to_owned(),
        Agreement::Fail => "FAIL".to_owned(),
        Agreement::NotCompared(reason) => format!("not compared: {reason}"),
    };
    format!(
        "{:<52} {:<28} {:>15} {:>15} {:>11} {:>7} {:>9} {:>8} {:>6}  {agreement}",
        row.case,
        row.quantity,
        number(row.exact),
        number(row.simulated),
        number(row.interval),
        optional(row.z, 2),
        p,
        relative,
        row.replications,
    )
}

fn significant(value: f64) -> String {
    let size = value.abs();
    if size > 0.0 && !(1e-4..1e7).contains(&size) {
        return format!("{value:.4e}");
    }
    let digits = if size > 0.0 { (6 - size.log10().floor() as i32).clamp(0, 9) as usize } else { 0 };
    format!("{value:.digits$}")
}

/// The end of the report. Returns whether all is well.
pub(crate) fn summary(rows: &[Row]) -> bool {
    let mut kinds: BTreeMap<&str, Counts> = BTreeMap::new();
    let mut all = Counts::default();
    for row in rows {
        let (kind, _) = row.case.split_once('/').expect("kind/name");
        kinds.entry(kind).or_default().add(row);
        all.add(row);
    }
    println!(
        "\n{:<20} {:>6} {:>6} {:>6} {:>6} {:>6} {:>13}",
        "kind", "cases", "passed", "weak", "rare", "failed", "not compared"
    );
    for (kind, counts) in kinds.iter().chain([(&"all", &all)]) {
        let Counts { cases, passed, weak, rare, failed, not_compared } = counts;
        println!(
            "{kind:<20} {:>6} {passed:>6} {weak:>6} {rare:>6} {failed:>6} {not_compared:>13}",
            cases.len()
        );
    }
    let Counts { passed, weak, rare, failed, .. } = all;

    let z: Vec<f64> = rows.iter().filter_map(|row| row.z).collect();
    let far = z.iter().filter(|z| z.abs() > 2.0).count();
    let share = 100.0 * far as f64 / z.len().max(1) as f64;
    println!(
        "|z| > 2 in {far} of {} comparisons, {share:.1}% (about 5% are to be expected; those of one case are not \
         independent)",
        z.len()
    );
    let primary: Vec<f64> = rows.iter().filter(|row| row.primary).filter_map(|row| row.p).collect();
    let uniform = uniformity(&primary);
    println!(
        "of those that passed, {weak} are weak (standard error above the one asked for), {rare} rest on few \
         events or none"
    );
    println!("{passed} passed, {failed} failed");
    failed == 0 && uniform
}

/// What came of the rows of a kind.
#[derive(Default)]
struct Counts<'a> {
    cases: BTreeSet<&'a str>,
    passed: usize,
    weak: usize,
    rare: usize,
    failed: usize,
    not_compared: usize,
}

impl<'a> Counts<'a> {
    fn add(&mut self, row: &'a Row) {
        self.cases.insert(&row.case);
        match row.agreement {
            Agreement::Pass => {}
            Agreement::Weak => self.weak += 1,
            Agreement::Rare => self.rare += 1,
            Agreement::Fail => self.failed += 1,
            Agreement::NotCompared(_) => self.not_compared += 1,
        }
        self.passed +=
            usize::from(matches!(row.agreement, Agreement::Pass | Agreement::Weak | Agreement::Rare));
    }
}

/// p-values of a correct simulator are uniform: one of each case, as those of one case are not independent.
fn uniformity(primary: &[f64]) -> bool {
    const FEWEST: usize = 10;
    const LEVEL: f64 = 0.001;
    if primary.len() < FEWEST {
        println!("too few independent p-values to see whether they are uniform: {}", primary.len());
        return true;
    }
    let p = uniformity_p(primary);
    let agreement = if p >= LEVEL { "pass" } else { "FAIL" };
    println!(
        "p-values of {} independent cases are uniform (Kolmogorov-Smirnov): p = {p:.3}, {agreement}",
        primary.len()
    );
    p >= LEVEL
}
