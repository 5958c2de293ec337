//! A sweep for a terminal: what was varied, a table of the best variants, the rest of the Pareto front, the verdict.

use super::view::{View, variants};
use crate::model::metric::{Metric, Unit};
use crate::report::kit::columns::{Column, GAP};
use crate::report::kit::number;
use crate::report::kit::terminal::{NARROWEST, Paint, cut, joined, padded_right, wrapped};
use crate::report::kit::text::printable;
use crate::study::sweep::Sweep;

/// The text, as lines of at most `width` columns.
pub fn render(sweep: &Sweep, width: usize, colour: bool) -> String {
    let view = View::of(sweep);
    let (paint, width) = (Paint { colour }, width.max(NARROWEST));
    let mut lines = heading(&view, width, paint);
    lines.extend(table(&view, width, paint));
    lines.extend(also(&view, width));
    lines.extend(verdict(&view, width, paint));
    joined(lines)
}

fn heading(view: &View<'_>, width: usize, paint: Paint) -> Vec<String> {
    let scenario = view.grid().scenario();
    let name = printable(&scenario.name);
    let facts = format!(
        "{name}  {} · seed {} · {}",
        variants(view.sweep.results.len()),
        scenario.seed,
        view.replications()
    );
    let mut lines = wrapped(&facts, width - 1, "");
    lines[0] = lines[0].replacen(&name, &format!("{} ", paint.bold(&name)), 1);
    for (index, axis) in view.grid().axes.iter().enumerate() {
        let points = axis.points.len();
        let values: Vec<String> = if points <= MOST_VALUES {
            (0..points).map(|point| view.point(index, point)).collect()
        } else {
            vec![format!("{} … {} ({points} values)", view.point(index, 0), view.point(index, points - 1))]
        };
        let text = format!("{} = {}", view.title(index), values.join(", "));
        lines.extend(hanging("varied", &printable(&text), width));
    }
    for (reason, count) in &view.sweep.study.variants.excluded {
        lines.extend(hanging("excluded", &format!("{count}: {}", printable(reason)), width));
    }
    lines
}

/// `  name      text`, with further lines below the text.
fn hanging(name: &str, text: &str, width: usize) -> Vec<String> {
    let mut lines = wrapped(text, width, &" ".repeat(LABEL));
    lines[0] = format!("  {}{}", padded_right(name, LABEL - 2), lines[0].trim_start());
    lines.into_iter().map(|line| cut(&line, width)).collect()
}

/// The best few. Columns that do not fit are dropped from the right, but never the settings.
fn table(view: &View<'_>, width: usize, paint: Paint) -> Vec<String> {
    let listed: Vec<usize> = view.sweep.ranking.iter().take(MOST_LISTED).copied().collect();
    let rows = || listed.iter().map(|&position| (position, view.result(position)));
    let mut columns = vec![Column::new("", listed.iter().map(|&position| view.rank(position)))];
    for &axis in &view.varied {
        let values = rows().map(|(position, _)| view.values(position).swap_remove(axis));
        let is_text = view.axis(axis).points.iter().any(|point| point.number.is_none());
        let column = if is_text { Column::text } else { Column::new };
        columns.push(column(view.name(axis), values.collect::<Vec<_>>()));
    }
    let settings = columns.len();
    columns.push(Column::new(view.cost_name(), rows().map(|(_, result)| view.cost(&result.cost))));
    if rows().any(|(_, result)| view.given_up(result).is_some()) {
        let given_up = rows().map(|(_, result)| view.given_up(result).unwrap_or_default());
        columns.push(Column::new("given up or lost", given_up));
    }
    columns.push(Column::new("recovery", rows().map(|(_, result)| View::estimate(result, Metric::Recovery))));
    let rejected = |result| View::estimate(result, Metric::RejectionProbability);
    columns.push(Column::new("refused", rows().map(|(_, result)| rejected(result))));
    if view.loses_jobs() {
        columns
            .push(Column::new("lost jobs", rows().map(|(_, result)| View::estimate(result, Metric::Lost))));
    }
    for (index, slo) in view.grid().scenario().slo.iter().enumerate() {
        let observed = rows().map(|(_, result)| {
            let sign = if result.slo[index].1 { "✓" } else { "✗" };
            format!("{} {sign}", number::optional(slo.subject.unit(), result.slo[index].0))
        });
        columns.push(Column::new(&slo.expression, observed));
    }
    let fits = |widths: &[usize]| INDENT + widths.iter().map(|width| width + GAP).sum::<usize>() <= width;
    let mut widths: Vec<usize> = columns.iter().map(Column::width).collect();
    while !fits(&widths) && widths.len() > settings + 1 {
        widths.pop();
    }
    // If the settings alone do not fit, the widest are cut first.
    while !fits(&widths) && widths.iter().any(|width| *width > NARROWEST_COLUMN) {
        let widest = (0..widths.len()).rev().max_by_key(|&index| widths[index]).unwrap_or(0);
        widths[widest] -= 1;
    }
    while !fits(&widths) && widths.len() > 2 {
        widths.pop();
    }
    let all = view.sweep.results.len();
    let title = if all > listed.len() {
        format!("█ BEST {} OF {}", listed.len(), number::grouped(all as f64, 0))
    } else {
        "█ RANKING".to_owned()
    };
    let mut lines = vec![paint.bold(&title)];
    for row in 0..=listed.len() {
        let cells: String = columns
            .iter()
            .zip(&widths)
            .map(|(column, width)| format!("{}{}", " ".repeat(GAP), column.cell(row, *width)))
            .collect();
        lines.push(match row {
            0 => format!("   {}", paint.dim(&cells)),
            row if view.result(listed[row - 1]).passes() => format!("  {}{cells}", paint.good("✓")),
            _ => format!("  {}{cells}", paint.bad("✗")),
        });
    }
    lines
}

/// The rest of the Pareto front: variants that cost less or lose less.
fn also(view: &View<'_>, width: usize) -> Vec<String> {
    let others: Vec<usize> =
        view.sweep.front.iter().copied().filter(|&position| position != view.best()).collect();
    if others.is_empty() {
        return Vec::new();
    }
    // Evenly over the front, including both ends.
    let shown = others.len().min(MOST_ALSO);
    let at = |index: usize| if shown == 1 { 0 } else { index * (others.len() - 1) / (shown - 1) };
    let differing = view.differing(&view.sweep.front);
    let parts: Vec<String> = (0..shown)
        .map(|index| {
            let position = others[at(index)];
            let (values, result) = (view.values(position), view.result(position));
            let values: Vec<&str> = differing.iter().map(|&axis| values[axis].as_str()).collect();
            let cost = result.cost.mean.map_or_else(|| number::MISSING.to_owned(), |cost| view.amount(cost));
            let sign = if result.passes() { "" } else { " ✗" };
            let recovery = number::optional(Unit::Seconds, result.metric(Metric::Recovery).mean);
            let loss = number::value(Unit::Fraction, View::loss(result));
            // Kept together where lines break.
            format!("({}): {cost}, {recovery}, {loss}{sign}", values.join(", ")).replace(' ', KEPT)
        })
        .collect();
    let names: Vec<&str> = differing.iter().map(|&axis| view.name(axis)).collect();
    let more =
        if others.len() > shown { format!(" and {} more", others.len() - shown) } else { String::new() };
    let text =
        format!("({}): {}, recovery, loss · {}{more}", names.join(", "), view.cost_name(), parts.join(" · "));
    let lines = wrapped(&format!("also Pareto: {text}"), width, "  ");
    lines.into_iter().map(|line| cut(&line.replace(KEPT, " "), width)).collect()
}

fn verdict(view: &View<'_>, width: usize, paint: Paint) -> Vec<String> {
    let best = view.result(view.best());
    let none_set = view.grid().scenario().slo.is_empty();
    let word = match (none_set, best.passes()) {
        (true, _) => "RANKED",
        (false, true) => "PASS",
        (false, false) => "FAIL",
    };
    let which = if best.passes() { "The best" } else { "The nearest" };
    let cheapest = view.cheapest_sentence().map_or_else(String::new, |cheapest| format!(" {cheapest}."));
    let text = format!(
        "{word}  {}. {which}: {}, {}, {}.{cheapest} {}",
        view.passing_sentence(),
        view.settings(view.best(), &view.varied),
        view.cost_in_words(&best.cost),
        view.harm(best),
        view.order()
    );
    let mut lines = wrapped(&text, width - 1, "");
    let painted = match (none_set, best.passes()) {
        (true, _) => paint.bold(word),
        (false, true) => paint.good(word),
        (false, false) => paint.bad(word),
    };
    lines[0] = format!("{painted} {}", lines[0].strip_prefix(word).unwrap_or_default());
    lines
}

/// Placeholder for a space at which no line may break.
const KEPT: &str = "\u{e000}";
const LABEL: usize = 12;
const INDENT: usize = 3;
const NARROWEST_COLUMN: usize = 5;
const MOST_LISTED: usize = 10;
const MOST_VALUES: usize = 8;
const MOST_ALSO: usize = 4;
