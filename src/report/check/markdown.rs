//! The check as Markdown, for the summary of a CI job or a comment on a change.

use super::reading::{self, Row};
use crate::check::gate::{Judgement, MetricCheck};
use crate::check::{Check, Ruling, ScenarioCheck};
use crate::report::kit::markdown::{code, escaped};
use crate::report::kit::number;
use crate::report::kit::objective;
use crate::report::kit::text::plural;
use crate::report::kit::traffic::{self, Tone};

/// The page; unchanged metrics are folded.
pub fn render(check: &Check) -> String {
    let sign = match check.verdict {
        Ruling::Pass => "✅",
        Ruling::Inconclusive => "❔",
        Ruling::Fail => "❌",
    };
    let word = reading::verdict_word(check.verdict);
    let unjudged = reading::unjudged(check);
    // A tick beside traffic that was refused or lost, and that no objective limits, would say that all is well.
    let sign = if check.verdict == Ruling::Pass && !unjudged.is_empty() { "⚠️" } else { sign };
    let mut text = format!("## {sign} simulate check: {word}\n\n{}\n", traffic(check));
    text += &format!("\n{}\n", reading::conclusion(check));
    for one in unjudged {
        text += &format!("\n> ⚠️ {}\n", escaped(&one));
    }
    for scenario in &check.scenarios {
        text += &section(scenario);
    }
    text
}

/// What became of the traffic of each scenario.
fn traffic(check: &Check) -> String {
    let mut text =
        "| scenario | offered | done in time | refused | lost | still waiting | given up | why |\n\
                    |---|--:|--:|--:|--:|--:|--:|---|"
            .to_owned();
    for scenario in &check.scenarios {
        let total = &scenario.traffic.total;
        let given_up = total.requests.map_or("–".to_owned(), |requests| traffic::share(requests.given_up));
        text += &format!(
            "\n| {} | {} | {} | {} | {} | {} | {given_up} | {} |",
            escaped(&scenario.name),
            number::grouped(total.offered, 0),
            traffic::share(total.completed_in_time),
            traffic::share(total.refused),
            traffic::share(total.lost),
            traffic::share(total.in_system),
            escaped(&traffic::why(&scenario.traffic, &scenario.limits_reached)),
        );
    }
    text
}

fn section(scenario: &ScenarioCheck) -> String {
    let mut text = format!("\n### {}\n\n{}\n", escaped(&scenario.name), reading::basis(scenario));
    if !scenario.changes.is_empty() {
        text += "\nChanged in the system under test:\n\n";
        for change in &scenario.changes {
            text += &format!("- {}\n", code(&change.to_string()));
        }
    }
    for note in &scenario.notes {
        text += &format!("\n> {}\n", escaped(note));
    }
    if !scenario.objectives.is_empty() {
        text += "\n| | objective | observed |\n|---|---|---|\n";
        for objective in &scenario.objectives {
            let sign = match objective::sign(&objective.current) {
                (sign, Tone::Bad) => format!("**{sign}**"),
                (sign, _) => sign.to_owned(),
            };
            let (expression, observed) = (code(&objective.current.expression), reading::observed(objective));
            text += &format!("| {sign} | {expression} | {observed} |\n");
        }
    }
    let (telling, rest): (Vec<&MetricCheck>, Vec<&MetricCheck>) = reading::shown(scenario, true)
        .into_iter()
        .partition(|comparison| !matches!(comparison.judgement, Judgement::Unchanged | Judgement::NotGated));
    if !telling.is_empty() {
        text += &table(&telling);
    }
    let unchanged = plural(scenario.count(Judgement::Unchanged), "gated metric");
    if scenario.is_identical() {
        return text + &format!("\n{unchanged} unchanged, same digest.\n");
    }
    let neutral = scenario.count(Judgement::NotGated);
    text += &format!("\n<details><summary>{unchanged} unchanged, {neutral} not gated</summary>\n");
    text += &table(&rest);
    text + "\n</details>\n"
}

fn table(rows: &[&MetricCheck]) -> String {
    let mut text = "\n| | metric | baseline | now | difference | 95% interval | limit | |\n\
                    |---|---|--:|--:|--:|--:|--:|---|\n"
        .to_owned();
    for row in rows {
        let Row { name, baseline, current, difference, interval, limit, remark, reservations } = Row::of(row);
        let (sign, name) = (reading::sign(row.judgement), code(&name));
        let remark = if row.judgement == Judgement::Regressed { format!("**{remark}**") } else { remark };
        let remark = [vec![remark], reservations].concat().join("; ");
        text += &format!(
            "| {sign} | {name} | {baseline} | {current} | {difference} | {interval} | {limit} | {remark} |\n"
        );
    }
    text
}
