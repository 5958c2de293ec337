//! A sweep in the terminal: how many variants there were, and the best of them.

use std::fmt::Write;

use crate::study::sweep::Sweep;

/// How many variants are listed.
const MOST_LISTED: usize = 10;

/// The text.
pub fn render(sweep: &Sweep) -> String {
    let grid = &sweep.study.grid;
    let mut text = String::new();
    let passing = sweep.results.iter().filter(|result| result.passes()).count();
    let _ = writeln!(text, "{} variants, {passing} meet every objective", sweep.results.len());
    for &position in sweep.ranking.iter().take(MOST_LISTED) {
        let result = &sweep.results[position];
        let sign = if result.passes() { '✓' } else { '✗' };
        let cost = result.cost.mean.unwrap_or(f64::NAN);
        let _ = writeln!(text, "{sign} {} cost {cost}", grid.overrides(result.id).join(" "));
    }
    text
}
