//! Plans for a terminal: one row per plan, and how each was chosen.

use super::files::files;
use super::view::{Ending, View};
use crate::model::metric::{Metric, Unit};
use crate::plan::Plan;
use crate::report::kit::columns::{Column, GAP};
use crate::report::kit::hints;
use crate::report::kit::number;
use crate::report::kit::terminal::{NARROWEST, Paint, joined, padded_right, wrapped};
use crate::report::kit::text::one_line;
use crate::report::kit::traffic;

/// The text, as lines of at most `width` columns where names allow it.
pub fn render(plans: &[Plan], width: usize, colour: bool) -> String {
    let paint = Paint { colour };
    let width = width.max(NARROWEST);
    let views = View::all(plans);
    let mut lines = table(&views, width, paint);
    for view in &views {
        lines.extend(story(view, views.len() > 1, width, paint));
    }
    for warning in views.first().map(View::warnings).unwrap_or_default() {
        lines.extend(wrapped(&format!("! {}", one_line(warning)), width, "  "));
    }
    // Rates differ in the load alone, so the hints about the first say what there is to say.
    lines.extend(views.first().map(|view| hints::lines(view.hints(), width, paint)).unwrap_or_default());
    lines.extend(wrapped(&format!("wrote {}", files(&views).join(" ")), width, " "));
    joined(lines)
}

/// One row per plan; columns that do not fit go below as another block.
fn table(views: &[View<'_>], width: usize, paint: Paint) -> Vec<String> {
    let rows: Vec<[String; HEADER.len()]> = views.iter().map(cells).collect();
    let columns: Vec<Column> = HEADER
        .iter()
        .enumerate()
        .map(|(index, header)| {
            let column = if WORDS.contains(header) { Column::text } else { Column::new };
            column(header, rows.iter().map(|row| row[index].clone()).collect::<Vec<_>>())
        })
        .collect();
    let (names, columns) = columns.split_first().expect("there are headers");
    let mut blocks: Vec<Vec<&Column>> = Vec::new();
    let mut used = 0;
    for column in columns {
        if blocks.is_empty() || used + column.width() + GAP > width {
            blocks.push(Vec::new());
            used = 1 + names.width();
        }
        used += column.width() + GAP;
        blocks.last_mut().expect("one was pushed").push(column);
    }
    let mut lines = Vec::new();
    for block in blocks {
        for row in 0..=views.len() {
            let cells = block.iter().map(|column| " ".repeat(GAP) + &column.cell(row, column.width()));
            let line = format!(" {}{}", names.cell(row, names.width()), cells.collect::<String>());
            lines.push(if row == 0 { paint.dim(line.trim_end()) } else { line });
        }
    }
    lines
}

fn cells(view: &View<'_>) -> [String; HEADER.len()] {
    let name = one_line(&view.short_name());
    let Some(choice) = &view.plan.choice else {
        let mut cells = std::array::from_fn(|_| number::MISSING.to_owned());
        cells[0] = name;
        cells[HEADER.len() - 1] = "no candidate meets the objectives".to_owned();
        return cells;
    };
    let summary = &choice.findings.summary;
    let total = &summary.traffic.total;
    [
        name,
        traffic::share(total.refused),
        traffic::share(total.lost),
        View::workers(choice),
        View::thresholds(choice),
        View::memory(choice),
        one_line(&view.short_cost(&choice.cost)),
        number::optional(Unit::Fraction, summary.metric(Metric::WorkerUtilisation).mean),
        View::headroom(&choice.what_if),
        View::recovery_p95(summary),
        View::oom(choice),
        View::oom_unprotected(choice),
        View::breaks_first(&choice.what_if),
    ]
}

fn story(view: &View<'_>, several: bool, width: usize, paint: Paint) -> Vec<String> {
    let mut lines = vec![String::new()];
    let word = match view.ending() {
        Ending::Planned if view.has_unlimited() => paint.caution("PLANNED"),
        Ending::Planned => paint.good("PLANNED"),
        Ending::Undecided => paint.bad("UNDECIDED"),
        Ending::Refuted => paint.bad("FILES MISS THE OBJECTIVES"),
        Ending::Nothing => paint.bad("NO PLAN"),
    };
    let name = one_line(&view.name());
    let harm =
        view.plan.choice.as_ref().map(|choice| format!(": {}", View::harm(choice))).unwrap_or_default();
    lines.push(format!("{word}  {}{harm}", if several { paint.bold(&name) } else { name }));
    let mut say = |label: &str, text: &str| {
        let indent = " ".repeat(LABEL);
        let mut wrapped = wrapped(&one_line(text), width, &indent);
        if let Some(first) = wrapped.first_mut() {
            *first = format!("  {}{}", padded_right(label, LABEL - 2), &first[LABEL.min(first.len())..]);
        }
        lines.append(&mut wrapped);
    };
    if let Some(choice) = &view.plan.choice {
        say("traffic", &View::traffic(choice).join(" "));
        say("files", &view.proof_sentence(choice));
    }
    say("search", &view.path_line());
    match &view.plan.choice {
        Some(choice) => {
            say("decided", &View::criterion_sentence(choice));
            for &id in choice.undecided.iter().take(MOST_UNDECIDED) {
                say("open", &view.variant(id));
            }
            say("headroom", &view.headroom_sentence(choice));
            if let Some(part) = View::part_sentence(choice) {
                say("changes", &part);
            }
            if let Some(knee) = choice.what_if.knee {
                say(
                    "knee",
                    &format!(
                        "the time in the system begins to climb at {} times the load",
                        super::view::times(knee)
                    ),
                );
            }
            if let Some(capacity) = View::capacity_sentence(choice) {
                say("capacity", &capacity);
            }
            if let Some(warning) = choice.scenario.model.recovery_beyond_patience() {
                say("warning", &warning);
            }
            for loss in &choice.what_if.losses {
                say("loss", &View::loss_sentence(loss));
            }
            for alarm in &choice.proof.incidents {
                say("alerts", &View::alarm_sentence(&choice.proof, alarm));
            }
            match View::most_sensitive(&choice.what_if) {
                Some(effect) => say("sensitive", &format!("most to {effect}")),
                None => say("sensitive", "to no input: 10 % more or less of any changes nothing"),
            }
        }
        None => say("nearest", &view.why_nothing()),
    }
    for sentence in view.spec_sentences() {
        say("spec", &sentence);
    }
    say("again", &view.command());
    lines
}

const HEADER: [&str; 13] = [
    "rate",
    "refused",
    "lost",
    "workers",
    "thresholds",
    "redis × queues",
    "cost",
    "util",
    "headroom",
    "recovery p95",
    "time to OOM",
    "unprotected",
    "breaks first",
];
/// The left-aligned columns.
const WORDS: [&str; 2] = ["rate", "breaks first"];
const LABEL: usize = 13;
/// Open candidates that are listed.
const MOST_UNDECIDED: usize = 3;
