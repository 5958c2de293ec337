//! The comparison for a terminal: settings that differ, verdicts, and differences that matter.

use super::reading::{Sorted, headline, objectives, setting, sign, tone, unjudged, verdict_word};
use crate::compare::{Comparison, Difference, Pairing, Side};
use crate::experiment::earlier::Judged;
use crate::experiment::summary::Estimate;
use crate::model::metric::Unit;
use crate::report::kit::columns::{self, Column};
use crate::report::kit::number::{self, bounded};
use crate::report::kit::objective;
use crate::report::kit::terminal::{
    NARROWEST, Paint, columns_of, cut, joined, padded_left, padded_right, wrapped,
};
use crate::report::kit::text::{plural, printable};

/// How much is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// The largest differences that matter.
    Most,
    /// Every metric.
    All,
}

/// The comparison as lines of about `width` columns.
pub fn render(comparison: &Comparison, detail: Detail, width: usize, colour: bool) -> String {
    let paint = Paint { colour };
    let width = width.max(NARROWEST);
    let mut lines: Vec<String> = Vec::new();
    for (letter, side) in [("A", &comparison.a), ("B", &comparison.b)] {
        lines.push(heading(letter, side, paint));
        lines.extend(unjudged(side).map(|unjudged| format!("   ! {unjudged}")));
    }
    lines.extend(settings(comparison, width, paint));
    lines.extend(objective_rows(&comparison.a, &comparison.b, paint));
    lines.extend(differences(comparison, detail, width, paint));
    for remark in &comparison.remarks {
        lines.extend(wrapped(&format!("! {}", printable(remark)), width, "  "));
    }
    lines.extend(wrapped(&headline(comparison), width, ""));
    joined(lines)
}

fn heading(letter: &str, side: &Side, paint: Paint) -> String {
    let replications = plural(side.replications as usize, "replication");
    let word = verdict_word(side);
    let word = match word {
        "PASS" if unjudged(side).is_some() => paint.caution(word),
        "PASS" => paint.good(word),
        "FAIL" => paint.bad(word),
        _ => word.to_owned(),
    };
    format!(
        "{letter}  {}  seed {} · {replications} · digest {} · {word}",
        paint.bold(&printable(&side.label)),
        side.seed,
        printable(&side.digest)
    )
}

fn settings(comparison: &Comparison, width: usize, paint: Paint) -> Vec<String> {
    let Some(settings) = &comparison.settings else { return Vec::new() };
    let mut lines = vec![paint.bold("█ SETTINGS THAT DIFFER")];
    if settings.is_empty() {
        lines.push("  none".to_owned());
    }
    let longest = settings.iter().map(|setting| columns_of(&setting.path)).max().unwrap_or(0).min(width / 2);
    for one in settings {
        let room = width.saturating_sub(longest + 10) / 2;
        let value = |value: Option<&String>| {
            let value = printable(setting(value)).replace('\n', " ");
            cut(&value, room.max(8))
        };
        let path = padded_right(&printable(&one.path), longest);
        lines.push(format!("  {path}  {} → {}", value(one.a.as_ref()), value(one.b.as_ref())));
    }
    lines
}

fn objective_rows(a: &Side, b: &Side, paint: Paint) -> Vec<String> {
    let objectives = objectives(a, b);
    if objectives.is_empty() {
        return Vec::new();
    }
    let sign = |judged: Option<&Judged>| match judged {
        None => "–".to_owned(),
        Some(judged) => paint.tone(objective::sign_of(judged.is_as_meant(), judged.expected_miss)),
    };
    let names: Vec<String> = objectives.iter().map(|(name, ..)| printable(name)).collect();
    let values: Vec<[String; 2]> = objectives.iter().map(|(_, a, b)| [observed(*a), observed(*b)]).collect();
    let first = names.iter().map(|name| columns_of(name) + 2).max().unwrap_or(0).max(14);
    let widest = |side: usize| values.iter().map(|row| columns_of(&row[side])).max().unwrap_or(0).max(1);
    let (wide_a, wide_b) = (widest(0), widest(1));
    let head = format!("{}    {}    {}", padded_right("█ OBJECTIVES", first), padded_left("A", wide_a), {
        padded_left("B", wide_b)
    });
    let mut lines = vec![paint.bold(&head)];
    for ((name, values), (_, a, b)) in names.iter().zip(&values).zip(&objectives) {
        lines.push(format!(
            "{}  {} {}  {} {}",
            padded_right(&format!("  {name}"), first),
            sign(*a),
            padded_left(&values[0], wide_a),
            sign(*b),
            padded_left(&values[1], wide_b)
        ));
    }
    lines
}

fn observed(judged: Option<&Judged>) -> String {
    let Some(judged) = judged else { return String::new() };
    let Some(observed) = judged.observed else { return "no value".to_owned() };
    bounded(&number::value(judged.unit(), observed), judged.censored > 0)
}

fn differences(comparison: &Comparison, detail: Detail, width: usize, paint: Paint) -> Vec<String> {
    let system = Sorted::of(comparison.differences.iter().filter(|one| one.class.is_none()));
    let classes = Sorted::of(comparison.differences.iter().filter(|one| one.class.is_some()));
    let tested = comparison.differences.iter().any(|one| one.p_value.is_some());
    // Without intervals significance is unknown; the largest differences are shown instead.
    let (most_of_system, most_of_classes) = match detail {
        Detail::All => (usize::MAX, usize::MAX),
        Detail::Most => (MOST_OF_SYSTEM, MOST_OF_CLASSES),
    };
    let shown_of = |parts: &Sorted<'_>| if tested { parts.matters.len() } else { parts.chance.len() };
    let pick = |parts: &Sorted<'_>, most: usize| -> Vec<Difference> {
        let main = if tested { &parts.matters } else { &parts.chance };
        let mut rows: Vec<Difference> = main.iter().take(most).map(|&one| one.clone()).collect();
        if detail == Detail::All {
            let rest = if tested { &parts.chance } else { &parts.matters };
            rows.extend(rest.iter().chain(&parts.same).map(|&one| one.clone()));
        }
        rows
    };
    let title = match (detail, tested) {
        (Detail::All, _) => "█ ALL METRICS",
        (Detail::Most, true) => "█ WHAT MATTERS",
        (Detail::Most, false) => "█ WHAT DIFFERS",
    };
    let mut lines = Vec::new();
    let (system_rows, class_rows) = (pick(&system, most_of_system), pick(&classes, most_of_classes));
    if system_rows.is_empty() && class_rows.is_empty() {
        lines.push(paint.bold(title));
        lines.push("  nothing".to_owned());
    }
    if !system_rows.is_empty() {
        lines.extend(table(title, &system_rows, comparison.pairing, width, paint));
    }
    if !class_rows.is_empty() {
        lines.extend(table("█ BY CLASS", &class_rows, comparison.pairing, width, paint));
    }
    if detail == Detail::Most {
        let left_out = shown_of(&system).saturating_sub(most_of_system)
            + shown_of(&classes).saturating_sub(most_of_classes);
        let chance = if tested { system.chance.len() + classes.chance.len() } else { 0 };
        lines.extend(wrapped(&rest(left_out, chance, system.same.len() + classes.same.len()), width, "  "));
    }
    lines
}

/// Counts of what is not shown.
fn rest(smaller: usize, chance: usize, same: usize) -> String {
    let parts: Vec<String> =
        [(smaller, "smaller ones"), (chance, "that may be chance"), (same, "the same in A and B")]
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
    if parts.is_empty() {
        String::new()
    } else {
        format!("Not shown: {}; --all shows them.", parts.join(", "))
    }
}

fn table(title: &str, rows: &[Difference], pairing: Pairing, width: usize, paint: Paint) -> Vec<String> {
    let mean = |of: &Estimate, unit: Unit| bounded(&number::optional(unit, of.mean), of.censored > 0);
    let cells =
        |header: &str, cell: &dyn Fn(&Difference) -> String| Column::new(header, rows.iter().map(cell));
    let mut columns = vec![
        cells("A", &|row| mean(&row.a, row.unit())),
        cells("B", &|row| mean(&row.b, row.unit())),
        cells("B − A", &|row| number::difference(row.unit(), row.difference, row.half_width)),
        cells("relative", &|row| number::relative(row.relative)),
        cells("", &|row| row.effect.word().to_owned()),
    ];
    if pairing != Pairing::Independent {
        columns.push(cells("corr", &|row| number::correlation(row.correlation)));
    }
    let room = width.saturating_sub(columns::width(&columns) + 4).max(18);
    let names: Vec<String> = rows.iter().map(|row| cut(&printable(&row.name()), room)).collect();
    let first = names.iter().map(|name| columns_of(name) + 4).max().unwrap_or(0).max(columns_of(title));
    let head = columns::row(&columns, 0);
    let mut lines = vec![format!("{}{}", paint.bold(&padded_right(title, first)), paint.dim(&head))];
    for (index, (name, row)) in names.iter().zip(rows).enumerate() {
        let name =
            padded_right(&format!("  {} {name}", paint.tone((sign(row.effect), tone(row.effect)))), first);
        lines.push(format!("{name}{}", columns::row(&columns, index + 1)));
    }
    lines
}

const MOST_OF_SYSTEM: usize = 20;
const MOST_OF_CLASSES: usize = 10;
