//! Prints the rows and adds them up.

use crate::compare::{Row, Verdict, uniformity_p};

/// Heads the columns of `line`.
pub(crate) fn header() -> String {
    format!(
        "{:<52} {:<28} {:>15} {:>15} {:>11} {:>7} {:>9} {:>8} {:>6}  verdict",
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
    let verdict = match row.verdict {
        Verdict::Pass => "pass".to_owned(),
        Verdict::Weak => "pass (weak)".to_owned(),
        Verdict::Rare => "pass (rare)".to_owned(),
        Verdict::Fail => "FAIL".to_owned(),
        Verdict::NotCompared(reason) => format!("not compared: {reason}"),
    };
    format!(
        "{:<52} {:<28} {:>15} {:>15} {:>11} {:>7} {:>9} {:>8} {:>6}  {verdict}",
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
    let count = |is: fn(&Verdict) -> bool| rows.iter().filter(|row| is(&row.verdict)).count();
    let failed = count(|verdict| *verdict == Verdict::Fail);
    let weak = count(|verdict| *verdict == Verdict::Weak);
    let rare = count(|verdict| *verdict == Verdict::Rare);
    let not_compared = count(|verdict| matches!(verdict, Verdict::NotCompared(_)));
    let passed = rows.len() - failed - not_compared;

    let z: Vec<f64> = rows.iter().filter_map(|row| row.z).collect();
    let far = z.iter().filter(|z| z.abs() > 2.0).count();
    let share = 100.0 * far as f64 / z.len().max(1) as f64;
    println!(
        "\n|z| > 2 in {far} of {} comparisons, {share:.1}% (about 5% are to be expected; those of one case are not independent)",
        z.len()
    );
    let primary: Vec<f64> = rows.iter().filter(|row| row.primary).filter_map(|row| row.p).collect();
    let uniform = uniformity(&primary);
    println!(
        "of those that passed, {weak} are weak (standard error above the one asked for), {rare} rest on few events or none; {not_compared} are not compared"
    );
    println!("{passed} passed, {failed} failed");
    failed == 0 && uniform
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
    let verdict = if p >= LEVEL { "pass" } else { "FAIL" };
    println!(
        "p-values of {} independent cases are uniform (Kolmogorov-Smirnov): p = {p:.3}, {verdict}",
        primary.len()
    );
    p >= LEVEL
}
