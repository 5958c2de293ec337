//! The comparison as Markdown, for a comment on a change.

use super::reading::{Sorted, headline, setting, sign, unjudged, verdict_word};
use crate::compare::{Comparison, Difference, Side};
use crate::experiment::summary::Estimate;
use crate::report::kit::markdown::{code, escaped};
use crate::report::kit::number::{self, bounded};

/// The page: both sides, what differs in the settings, and the differences that matter, the most important first.
pub fn render(comparison: &Comparison) -> String {
    let mut text = format!("## simulate compare\n\n{}\n", escaped(&headline(comparison)));
    text += "\n| | scenario | replications | objectives |\n|---|---|--:|---|\n";
    for (letter, side) in [("A", &comparison.a), ("B", &comparison.b)] {
        text += &format!(
            "| {letter} | {} | {} | {} |\n",
            code(&side.label),
            side.replications,
            escaped(&objectives(side))
        );
    }
    if let Some(settings) = comparison.settings.as_ref().filter(|settings| !settings.is_empty()) {
        text += "\n| setting | A | B |\n|---|---|---|\n";
        for one in settings {
            let value = |value: Option<&String>| code(setting(value));
            text +=
                &format!("| {} | {} | {} |\n", code(&one.path), value(one.a.as_ref()), value(one.b.as_ref()));
        }
    }
    let sorted = Sorted::of(comparison.differences.iter());
    if !sorted.matters.is_empty() {
        text += &table(&sorted.matters);
    }
    for (rows, what) in [(&sorted.chance, "within noise"), (&sorted.same, "the same in A and B")] {
        if !rows.is_empty() {
            let count = rows.len();
            text += &format!("\n<details><summary>{count} {what}</summary>\n{}\n</details>\n", table(rows));
        }
    }
    text
}

fn objectives(side: &Side) -> String {
    let word = verdict_word(side).to_owned();
    unjudged(side).map_or_else(|| word.clone(), |unjudged| format!("{word}; {unjudged}"))
}

fn table(rows: &[&Difference]) -> String {
    let mut text =
        "\n| | metric | A | B | B − A | relative | effect |\n|---|---|--:|--:|--:|--:|---|\n".to_owned();
    for row in rows {
        let mean = |of: &Estimate| bounded(&number::optional(row.unit(), of.mean), of.censored > 0);
        text += &format!(
            "| {} | {} | {} | {} | {} | {} | {} |\n",
            sign(row.effect),
            code(&row.name()),
            mean(&row.a),
            mean(&row.b),
            number::difference(row.unit(), row.difference, row.half_width),
            number::relative(row.relative),
            row.effect.word()
        );
    }
    text
}
