//! The comparison of two scenarios for people and programs: terminal, page, charts, JSON and CSV.

use std::path::{Path, PathBuf};

use super::chart::{self, Chart};
use super::folder::Draft;
use super::{PAGE, WriteError, csv};
use crate::compare::{Comparison, Difference, Side, Size};
use crate::experiment::Findings;
use crate::experiment::earlier::Judged;
use crate::experiment::summary::{Estimate, Verdict};
use crate::model::metric::Unit;
use crate::scenario::Scenario;

mod html;
pub mod terminal;

/// A side that was run, for what only its course over time tells.
#[derive(Clone, Copy, Debug)]
pub struct Course<'a> {
    /// What it is called.
    pub label: &'a str,
    /// What was run.
    pub scenario: &'a Scenario,
    /// What that found.
    pub findings: &'a Findings,
}

/// Writes the report into the folder `dir` and returns the path of its page.
///
/// Contents: `report.html`, its charts as `depth.svg` (if both sides were run, which gives `courses`) and
/// `differences.svg`, `comparison.json` and `differences.csv`. As with a run's report, only an earlier
/// comparison in `dir` is replaced, and the folder is complete or as it was.
///
/// # Errors
///
/// If the file system refuses.
pub fn write(
    dir: &Path,
    comparison: &Comparison,
    courses: Option<&[Course<'_>; 2]>,
) -> Result<PathBuf, WriteError> {
    let draft = Draft::beside(dir)?;
    let charts = charts(comparison, courses);
    for chart in &charts {
        draft.write(&format!("{}.svg", chart.name), &chart.svg())?;
    }
    draft.write(PAGE, &html::render(comparison, &charts))?;
    draft.write(COMPARISON, &json(comparison)?)?;
    draft.write(DIFFERENCES, &differences_csv(comparison))?;
    draft.publish(is_ours)?;
    Ok(dir.join(PAGE))
}

/// The comparison as one JSON document with a newline at its end: `comparison.json` and what `--json` prints.
///
/// # Errors
///
/// If a value has no place in JSON.
pub fn json(comparison: &Comparison) -> Result<String, WriteError> {
    let text = serde_json::to_string_pretty(comparison).map_err(WriteError::Json)?;
    Ok(text + "\n")
}

/// The charts in their order.
pub fn charts(comparison: &Comparison, courses: Option<&[Course<'_>; 2]>) -> Vec<Chart> {
    chart::compared(comparison, courses)
}

/// The page.
pub fn page(comparison: &Comparison, charts: &[Chart]) -> String {
    html::render(comparison, charts)
}

/// Whether a file of that name is part of a comparison.
fn is_ours(name: &str) -> bool {
    let is_chart = |stem: &str| [chart::DEPTH, chart::DIFFERENCES].contains(&stem);
    [PAGE, COMPARISON, DIFFERENCES].contains(&name) || name.strip_suffix(".svg").is_some_and(is_chart)
}

/// One row a difference, in the order of the comparison.
fn differences_csv(comparison: &Comparison) -> String {
    let header = "metric,class,unit,a_mean,a_half_width,a_n,a_censored,b_mean,b_half_width,b_n,b_censored,\
                  difference,half_width,relative,p_value,p_adjusted,matters,size,paired,correlation";
    let mut text = format!("{header}\n");
    for row in &comparison.differences {
        let side = |of: &Estimate| {
            [csv::cell(of.mean), csv::cell(of.half_width), of.n.to_string(), of.censored.to_string()]
        };
        let mut cells = vec![
            row.metric.name().to_owned(),
            row.class.clone().unwrap_or_default(),
            unit_name(row.unit()).to_owned(),
        ];
        cells.extend(side(&row.a));
        cells.extend(side(&row.b));
        cells.extend(
            [Some(row.difference), row.half_width, row.relative, row.p_value, row.p_adjusted].map(csv::cell),
        );
        cells.extend([row.matters.to_string(), size_word(row.size).to_owned(), row.paired.to_string()]);
        cells.push(csv::cell(row.correlation));
        text += &csv::record(cells.into_iter());
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

fn size_word(size: Size) -> &'static str {
    match size {
        Size::Same => "same",
        Size::Slight => "slight",
        Size::Moderate => "moderate",
        Size::Large => "large",
    }
}

/// How the differences divide into what matters, what may be chance, and what is the same.
struct Parts<'a> {
    matters: Vec<&'a Difference>,
    chance: Vec<&'a Difference>,
    same: Vec<&'a Difference>,
}

impl<'a> Parts<'a> {
    fn of(differences: impl Iterator<Item = &'a Difference>) -> Self {
        let mut parts = Self { matters: Vec::new(), chance: Vec::new(), same: Vec::new() };
        for difference in differences {
            let part = match difference {
                one if one.matters => &mut parts.matters,
                one if one.is_same() => &mut parts.same,
                _ => &mut parts.chance,
            };
            part.push(difference);
        }
        parts
    }
}

/// What came out, in a sentence or two.
fn headline(comparison: &Comparison) -> String {
    let compared = comparison.differences.len();
    let differ = comparison.differences.iter().filter(|difference| !difference.is_same()).count();
    let figures = match (comparison.matter, differ) {
        (_, 0) => format!("Nothing differs: all {compared} figures are the same."),
        (0, differ) => {
            format!("{differ} of {compared} figures differ, but none by more than chance may explain.")
        }
        (1, _) => format!("1 of {compared} figures differs by more than chance explains."),
        (matter, _) => format!("{matter} of {compared} figures differ by more than chance explains."),
    };
    format!("{figures} {}", verdicts(&comparison.a, &comparison.b))
}

/// How both fare with their objectives.
fn verdicts(a: &Side, b: &Side) -> String {
    let of = |side: &Side| {
        let missed = side.objectives.iter().filter(|objective| !objective.pass).count();
        match (side.objectives.len(), missed) {
            (0, _) => " has no objectives".to_owned(),
            (1, 0) => " meets its objective".to_owned(),
            (1, _) => " misses its objective".to_owned(),
            (all, 0) => format!(" meets all {all} objectives"),
            (all, missed) => format!(" misses {missed} of {all} objectives"),
        }
    };
    match (of(a), of(b)) {
        (of_a, of_b) if of_a != of_b => format!("A{of_a}; B{of_b}."),
        _ if a.objectives.is_empty() => "Neither has objectives.".to_owned(),
        (both, _) => format!("Each{both}."),
    }
}

/// The verdict of a side in one or two words.
fn verdict_word(side: &Side) -> &'static str {
    match (side.objectives.is_empty(), side.verdict) {
        (true, _) => "NO OBJECTIVES",
        (false, Verdict::Pass) => "PASS",
        (false, Verdict::Fail) => "FAIL",
    }
}

/// The objectives of both: those of A in their order, then those that only B has.
fn objectives<'a>(a: &'a Side, b: &'a Side) -> Vec<(&'a str, Option<&'a Judged>, Option<&'a Judged>)> {
    let find = |side: &'a Side, expression: &str| {
        side.objectives.iter().find(|objective| objective.expression == expression)
    };
    let of_a = a.objectives.iter().map(|one| (one.expression.as_str(), Some(one), find(b, &one.expression)));
    let of_b = b.objectives.iter().filter(|one| find(a, &one.expression).is_none());
    of_a.chain(of_b.map(|one| (one.expression.as_str(), None, Some(one)))).collect()
}

/// A setting's value, or that it is absent.
fn setting(value: Option<&String>) -> &str {
    value.map_or("not set", String::as_str)
}

/// What stands before a mean that is only a bound.
fn bound(censored: u32) -> &'static str {
    if censored > 0 { "≥ " } else { "" }
}

const COMPARISON: &str = "comparison.json";
const DIFFERENCES: &str = "differences.csv";
