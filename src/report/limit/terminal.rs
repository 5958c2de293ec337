//! A limit for a terminal: the answer, what breaks next and why, the objectives, and the curve as a table.

use super::view::{Sound, View};
use crate::report::kit::columns::{self, Column};
use crate::report::kit::hints;
use crate::report::kit::objective;
use crate::report::kit::terminal::{NARROWEST, Paint, cut, joined, padded_right, wrapped};
use crate::report::kit::text::printable;
use crate::report::kit::traffic;
use crate::study::limit::Limit;

/// The text, as lines of at most `width` columns.
pub fn render(limit: &Limit, width: usize, colour: bool) -> String {
    let view = View::of(limit);
    let (paint, width) = (Paint { colour }, width.max(NARROWEST));
    let mut lines = heading(&view, width, paint);
    lines.extend(answer(&view, width, paint));
    lines.extend(objectives(&view, width, paint));
    lines.extend(curve(&view, width, paint));
    lines.extend(warnings(&view, width, paint));
    lines.extend(hints::lines(&limit.scenario().hints, width, paint));
    joined(lines)
}

fn heading(view: &View<'_>, width: usize, paint: Paint) -> Vec<String> {
    let scenario = view.limit.scenario();
    let name = printable(&scenario.name);
    let facts = format!("{name}  along {} · seed {} · {}", view.name(), scenario.seed, view.effort());
    let mut lines = wrapped(&facts, width - 1, "  ");
    let first = lines[0].trim_start().replacen(&name, &format!("{} ", paint.bold(&name)), 1);
    lines[0] = first;
    lines
}

fn answer(view: &View<'_>, width: usize, paint: Paint) -> Vec<String> {
    let word = view.word();
    let text = format!("{word}  {}", view.headline());
    let mut lines = wrapped(&text, width - 1, "  ");
    let rest = lines[0].trim_start().strip_prefix(word).unwrap_or_default().to_owned();
    let painted = match view.sound() {
        Sound::Good => paint.good(word),
        Sound::Caution => paint.caution(word),
        Sound::Bad => paint.bad(word),
    };
    lines[0] = format!("{painted} {rest}");
    for sentence in view.at_limit() {
        lines.extend(hanging("at it", &sentence, width));
    }
    for (name, text) in
        [("breaks", view.breaks()), ("load", view.why()), ("of", view.basis()), ("do", view.advice())]
    {
        if let Some(text) = text {
            lines.extend(hanging(name, &text, width));
        }
    }
    for remark in view.remarks() {
        lines.extend(hanging("!", &remark, width));
    }
    lines
}

/// `  name      text`, with further lines below the text.
fn hanging(name: &str, text: &str, width: usize) -> Vec<String> {
    let mut lines = wrapped(&printable(text), width, &" ".repeat(LABEL));
    lines[0] = format!("  {}{}", padded_right(name, LABEL - 2), lines[0].trim_start());
    lines
}

/// Each objective at the limit and at the next value, and how far it is met beyond.
fn objectives(view: &View<'_>, width: usize, paint: Paint) -> Vec<String> {
    let Some(bracket) = view.bracket() else { return Vec::new() };
    let (Some(at), Some(next)) = (view.limit.point(bracket.limit), view.limit.point(bracket.next)) else {
        return Vec::new();
    };
    let columns = [
        Column::new(&format!("at {}", view.value(bracket.limit)), at.slo.iter().map(objective::figure)),
        Column::new(&format!("at {}", view.value(bracket.next)), next.slo.iter().map(objective::figure)),
        Column::new("last met at", (0..at.slo.len()).map(|index| view.last_met(index))),
    ];
    let longest = at.slo.iter().map(|result| result.expression.chars().count() + INDENT).max().unwrap_or(0);
    let first = longest.max(TITLE).min(width.saturating_sub(columns::width(&columns)).max(SHORTEST));
    let mut lines = vec![format!(
        "{}{}",
        paint.bold(&padded_right("█ OBJECTIVES", first)),
        paint.dim(&columns::row(&columns, 0))
    )];
    for (index, result) in next.slo.iter().enumerate() {
        let sign = if result.pass { paint.good("✓") } else { paint.bad("✗") };
        let name = cut(&printable(&result.expression), first - INDENT);
        let name = padded_right(&name, first - INDENT);
        lines.push(format!("  {sign} {name}{}", columns::row(&columns, index + 1)));
    }
    lines
}

fn curve(view: &View<'_>, width: usize, paint: Paint) -> Vec<String> {
    let shown = view.shown();
    let has_peak = shown.iter().any(|point| point.peak_rate > 0.0);
    let mut columns = vec![Column::new(view.name(), shown.iter().map(|point| view.value(point.value)))];
    if has_peak {
        columns.push(Column::new("peak", shown.iter().map(|point| traffic::rate(point.peak_rate))));
    }
    let share = |of: fn(&crate::experiment::traffic::Fates) -> crate::experiment::traffic::Part| {
        shown.iter().map(move |point| traffic::share(of(&point.traffic.total))).collect::<Vec<_>>()
    };
    columns.push(Column::new("refused", share(|total| total.refused)));
    columns.push(Column::new("lost", share(|total| total.lost)));
    let missed = shown.iter().map(|point| {
        let missed: Vec<&str> = point.missed().map(|result| result.expression.as_str()).collect();
        missed.join("; ")
    });
    let room = width.saturating_sub(columns::width(&columns) + INDENT + columns::GAP).max(SHORTEST);
    columns.push(Column::text("missed", missed.map(|text| cut(&printable(&text), room))));
    let title = paint.bold("█ CURVE");
    let mut lines = vec![title, format!("   {}", paint.dim(&columns::row(&columns, 0)))];
    for (index, point) in shown.iter().enumerate() {
        let sign = if point.pass { paint.good("✓") } else { paint.bad("✗") };
        lines.push(format!("  {sign}{}", columns::row(&columns, index + 1)));
    }
    lines
}

fn warnings(view: &View<'_>, width: usize, paint: Paint) -> Vec<String> {
    let warnings = &view.limit.scenario().warnings;
    if warnings.is_empty() {
        return Vec::new();
    }
    let lines =
        warnings.iter().flat_map(|warning| wrapped(&format!("! {}", printable(warning)), width, "  "));
    std::iter::once(paint.bold("█ WARNINGS")).chain(lines).collect()
}

const LABEL: usize = 11;
const INDENT: usize = 4;
const TITLE: usize = 14;
const SHORTEST: usize = 16;
