//! The check for a terminal: changes of the system, their effects, and the verdict.
//!
//! Only rows worth a look are shown; the rest is counted.

use super::reading::{self, Row};
use crate::check::gate::Judgement;
use crate::check::{Check, OnInconclusive, Ruling, ScenarioCheck};
use crate::report::kit::columns::{self, Column};
use crate::report::kit::objective;
use crate::report::kit::terminal::{NARROWEST, Paint, columns_of, joined, padded_right, wrapped};
use crate::report::kit::text::{plural, printable};
use crate::report::kit::traffic;

/// The check as lines of at most `width` columns, where names allow it; `all` also shows what has not changed.
pub fn render(check: &Check, width: usize, colour: bool, all: bool) -> String {
    let paint = Paint { colour };
    let width = width.max(NARROWEST);
    let mut lines = Vec::new();
    for scenario in &check.scenarios {
        lines.extend(heading(scenario, width, paint));
        lines.extend(objectives(scenario, all, paint));
        lines.extend(metrics(scenario, width, all, paint));
    }
    let unjudged = reading::unjudged(check);
    for one in &unjudged {
        lines.extend(wrapped(&printable(&format!("! {one}")), width, ""));
    }
    let word = reading::verdict_word(check.verdict);
    let word = match (check.verdict, check.on_inconclusive) {
        (Ruling::Pass, _) if unjudged.is_empty() => paint.good(word),
        (Ruling::Pass, _) => paint.caution(word),
        (Ruling::Inconclusive, OnInconclusive::Warn) => paint.bold(word),
        _ => paint.bad(word),
    };
    lines.push(format!("{word}  {}", reading::conclusion(check)));
    joined(lines)
}

fn heading(scenario: &ScenarioCheck, width: usize, paint: Paint) -> Vec<String> {
    let name = paint.bold(&printable(&scenario.name));
    let mut lines = vec![format!("{name}  {}", reading::basis(scenario))];
    for sentence in traffic::sentences(&scenario.traffic) {
        lines.extend(wrapped(&sentence, width, "  "));
    }
    lines.extend(wrapped(&traffic::why(&scenario.traffic, &scenario.limits_reached), width, "  "));
    for change in &scenario.changes {
        lines.extend(wrapped(&printable(&format!("changed  {change}")), width, "  "));
    }
    for note in &scenario.notes {
        lines.extend(wrapped(&printable(&format!("note  {note}")), width, "  "));
    }
    lines
}

fn objectives(scenario: &ScenarioCheck, all: bool, paint: Paint) -> Vec<String> {
    let mut lines = Vec::new();
    let longest = scenario.objectives.iter().map(|o| columns_of(&o.current.expression)).max().unwrap_or(0);
    let mut met = 0;
    for objective in &scenario.objectives {
        if objective.current.pass && !objective.fails() && !all {
            met += 1;
            continue;
        }
        let sign = paint.tone(objective::sign(&objective.current));
        let expression = &objective.current.expression;
        let dots = ".".repeat(longest - columns_of(expression) + 3);
        lines.push(format!("  {sign} {expression} {} {}", paint.dim(&dots), reading::observed(objective)));
    }
    if met > 0 {
        lines.push(format!("  {} {} met", paint.good("✓"), plural(met, "objective")));
    }
    if lines.is_empty() { lines } else { [vec![paint.bold("█ OBJECTIVES")], lines].concat() }
}

fn metrics(scenario: &ScenarioCheck, width: usize, all: bool, paint: Paint) -> Vec<String> {
    let rows = reading::shown(scenario, all);
    let texts: Vec<Row> = rows.iter().map(|row| Row::of(row)).collect();
    let mut columns = vec![
        Column::new("baseline", texts.iter().map(|row| row.baseline.clone())),
        Column::new("now", texts.iter().map(|row| row.current.clone())),
        Column::new("difference", texts.iter().map(|row| row.difference.clone())),
        Column::new("95% interval", texts.iter().map(|row| row.interval.clone())),
        Column::new("limit", texts.iter().map(|row| row.limit.clone())),
    ];
    let title = "█ AGAINST THE BASELINE";
    let names = texts.iter().map(|row| columns_of(&row.name) + 4);
    let first = names.chain([columns_of(title)]).max().unwrap_or(0);
    let remarks = texts.iter().map(|row| columns_of(&row.remark) + 2).max().unwrap_or(0);
    // If not all columns fit, the least informative are dropped.
    for dispensable in ["limit", "baseline", "now", "95% interval"] {
        let used = first + columns::width(&columns) + remarks;
        if used > width {
            columns.retain(|column| column.header() != dispensable);
        }
    }
    let cells = |row: usize| columns::row(&columns, row);
    let head = if rows.is_empty() { String::new() } else { cells(0) };
    let mut lines = vec![format!("{}{}", paint.bold(&padded_right(title, first)), paint.dim(&head))];
    for (index, (row, text)) in rows.iter().zip(&texts).enumerate() {
        let sign = reading::sign(row.judgement);
        let sign = match row.judgement {
            Judgement::Regressed => paint.bad(sign),
            Judgement::Improved | Judgement::Unchanged => paint.good(sign),
            Judgement::Inconclusive => paint.bold(sign),
            Judgement::NotGated => paint.dim(sign),
        };
        let name = padded_right(&text.name, first - 4);
        lines.push(format!("  {sign} {name}{}  {}", cells(index + 1), text.remark));
        for reservation in &text.reservations {
            lines.push(format!("      {reservation}"));
        }
    }
    lines.extend(counts(scenario, all, paint));
    lines
}

/// Counts of what is not shown, on one line.
fn counts(scenario: &ScenarioCheck, all: bool, paint: Paint) -> Option<String> {
    let (unchanged, neutral) = (scenario.count(Judgement::Unchanged), scenario.count(Judgement::NotGated));
    if all || unchanged + neutral == 0 {
        return None;
    }
    let sign = paint.good("✓");
    Some(match scenario.is_identical() {
        true => format!("  {sign} {} unchanged, same digest", plural(unchanged, "gated metric")),
        false => format!(
            "  {sign} {} unchanged, {neutral} not gated; --verbose shows them",
            plural(unchanged, "gated metric")
        ),
    })
}
