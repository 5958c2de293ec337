//! `differences.csv`: one row per compared figure.

use super::reading::size_word;
use crate::compare::Comparison;
use crate::experiment::summary::Estimate;
use crate::model::metric::Unit;
use crate::report::kit::csv::{cell, record};

/// The table, in the order of the comparison.
pub(super) fn differences(comparison: &Comparison) -> String {
    let header = "metric,class,unit,a_mean,a_half_width,a_n,a_censored,b_mean,b_half_width,b_n,b_censored,\
                  difference,half_width,relative,p_value,p_adjusted,matters,size,effect,paired,correlation";
    let mut text = format!("{header}\n");
    for row in &comparison.differences {
        let side =
            |of: &Estimate| [cell(of.mean), cell(of.half_width), of.n.to_string(), of.censored.to_string()];
        let mut cells = vec![
            row.metric.name().to_owned(),
            row.class.clone().unwrap_or_default(),
            unit_name(row.unit()).to_owned(),
        ];
        cells.extend(side(&row.a));
        cells.extend(side(&row.b));
        cells.extend(
            [Some(row.difference), row.half_width, row.relative, row.p_value, row.p_adjusted].map(cell),
        );
        cells.extend([
            row.matters.to_string(),
            size_word(row.size).to_owned(),
            row.effect.word().to_owned(),
            row.paired.to_string(),
        ]);
        cells.push(cell(row.correlation));
        text += &record(cells.into_iter());
    }
    text
}

fn unit_name(unit: Unit) -> &'static str {
    match unit {
        Unit::Jobs => "jobs",
        Unit::Count => "count",
        Unit::Seconds => "seconds",
        Unit::Bytes => "bytes",
        Unit::Fraction => "fraction",
        Unit::PerSecond => "per_second",
    }
}
