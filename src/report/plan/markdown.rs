//! `plan.md`: each plan on one page, for a pull request or a ticket.

use std::fmt::{Arguments, Write};

use super::view::{Ending, View, share};
use crate::experiment::summary::Verdict;
use crate::model::metric::Metric;
use crate::plan::Choice;
use crate::report::kit::number;
use crate::report::kit::text::{code, markdown};
use crate::report::kit::traffic;

pub(super) fn render(views: &[View<'_>]) -> String {
    let mut page = String::new();
    if views.len() > 1 {
        push(&mut page, format_args!("# {} plans\n\n", views.len()));
        page += &side_by_side(views);
    }
    for view in views {
        page += &plan(view);
    }
    push(&mut page, format_args!("simulate {}\n", env!("CARGO_PKG_VERSION")));
    page
}

fn side_by_side(views: &[View<'_>]) -> String {
    let mut table = String::from(
        "| plan | refused | lost | workers | thresholds | Redis × queues | cost | headroom | recovery p95 | breaks first |\n\
         |---|--:|--:|---|---|---|---|---|---|---|\n",
    );
    for view in views {
        let name = markdown(&view.short_name());
        match &view.plan.choice {
            Some(choice) => {
                push(
                    &mut table,
                    format_args!(
                        "| {name} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
                        traffic::share(choice.findings.summary.traffic.total.refused),
                        traffic::share(choice.findings.summary.traffic.total.lost),
                        View::workers(choice),
                        View::thresholds(choice),
                        View::memory(choice),
                        markdown(&view.short_cost(&choice.cost)),
                        View::headroom(&choice.what_if),
                        View::recovery_p95(&choice.findings.summary),
                        markdown(&View::breaks_first(&choice.what_if)),
                    ),
                );
            }
            None => push(
                &mut table,
                format_args!("| {name} | **no candidate meets the objectives** | | | | | | | | |\n"),
            ),
        }
    }
    table + "\n"
}

fn plan(view: &View<'_>) -> String {
    let mut page = format!("# Plan for {}\n\n", markdown(&view.name()));
    match &view.plan.choice {
        Some(choice) => page += &applied(view, choice),
        None => push(&mut page, format_args!("**{}**\n\n", markdown(&view.why_nothing()))),
    }
    page += &spec(view);
    page += &search(view);
    push(&mut page, format_args!("Reproduce: {}\n\n", code(&view.command())));
    if let Some(choice) = &view.plan.choice {
        let digest = &choice.findings.summary.digest;
        let own = &choice.scenario.command;
        push(&mut page, format_args!("The configuration alone: {}, digest {}\n\n", code(own), code(digest)));
    }
    page
}

fn applied(view: &View<'_>, choice: &Choice) -> String {
    let summary = &choice.findings.summary;
    let what_if = &choice.what_if;
    let mut page = String::new();
    if view.ending() == Ending::Undecided {
        push(&mut page, format_args!("**Undecided:** {}.\n\n", markdown(&view.guarantee(choice))));
    }
    push(
        &mut page,
        format_args!("**{}.** {}\n\n", View::harm(choice), markdown(&View::traffic(choice).join(" "))),
    );
    push(&mut page, format_args!("**Files:** {}\n\n", markdown(&view.proof_sentence(choice))));
    page += "| setting | value | where |\n|---|---|---|\n";
    for setting in view.settings(choice) {
        push(
            &mut page,
            format_args!(
                "| {} | **{}** | {} |\n",
                markdown(&setting.name),
                markdown(&setting.value),
                markdown(&setting.place)
            ),
        );
    }
    let mean = |metric: Metric| number::estimate(metric.unit(), summary.metric(metric));
    page.push('\n');
    let mut item =
        |name: &str, text: &str| push(&mut page, format_args!("- **{name}:** {}\n", markdown(text)));
    item("Cost", &format!("{}.", view.cost(&choice.cost)));
    item(
        "As planned",
        &format!(
            "workers busy {}, {} of jobs refused, recovery {} (95 % of runs), {} replications.",
            mean(Metric::WorkerUtilisation),
            mean(Metric::RejectionProbability),
            View::recovery_p95(summary),
            summary.replications,
        ),
    );
    item("Headroom", &view.headroom_sentence(choice));
    if let Some(part) = View::part_sentence(choice) {
        item("Changes", &part);
    }
    if let Some(capacity) = View::capacity_sentence(choice) {
        item("Capacity", &capacity);
    }
    item("Knee", &view.knee_sentence(choice));
    for (name, factor) in [("At 1.5 times the load", 1.5), ("At 2 times the load", 2.0)] {
        if let Some(load) = View::at_load(what_if, factor) {
            let missed = match load.missed.as_slice() {
                [] => "every objective is met".to_owned(),
                missed => format!("missed: {}", missed.join("; ")),
            };
            item(
                name,
                &format!(
                    "{}; {} refused, {} lost; {missed}.",
                    View::limits(load),
                    share(load.rejected),
                    share(load.lost)
                ),
            );
        }
    }
    item(
        "Time to a full Redis",
        &format!("{}; without the policy: {}.", View::oom(choice), View::oom_unprotected(choice)),
    );
    for loss in &what_if.losses {
        item("Loss of workers", &View::loss_sentence(loss));
    }
    for alarm in &choice.proof.incidents {
        item("Alerts", &View::alarm_sentence(&choice.proof, alarm));
    }
    match View::most_sensitive(what_if) {
        Some(effect) => item("Most sensitive to", &format!("{effect}. Measure that input first.")),
        None => item("Most sensitive to", "no input: 10 % more or less of any changes nothing."),
    }
    for caveat in view.caveats(choice) {
        item("Note", &caveat);
    }
    page + "\n"
}

fn spec(view: &View<'_>) -> String {
    let sentences = view.spec_sentences();
    if sentences.is_empty() {
        return String::new();
    }
    let mut page = String::from("## The specification's own recommendation\n\n");
    for sentence in sentences {
        push(&mut page, format_args!("- {}\n", markdown(&sentence)));
    }
    let passing = view.plan.spec.iter().filter(|verdict| verdict.summary.verdict == Verdict::Pass).count();
    push(&mut page, format_args!("\n{passing} of {} hold here.\n\n", view.plan.spec.len()));
    page
}

fn search(view: &View<'_>) -> String {
    let mut page = String::from("## How sure this is\n\n");
    if let Some(choice) = &view.plan.choice {
        push(
            &mut page,
            format_args!(
                "{} {}.\n\n",
                markdown(&View::criterion_sentence(choice)),
                markdown(&view.guarantee(choice))
            ),
        );
    }
    page += "| stage | left | what happened |\n|---|--:|---|\n";
    for stage in view.stages() {
        let notes: Vec<String> = stage.notes.iter().map(|note| markdown(note)).collect();
        push(
            &mut page,
            format_args!("| {} | {} | {} |\n", stage.name, super::view::plain(stage.left), notes.join("; ")),
        );
    }
    push(&mut page, format_args!("\n{}\n\n", markdown(&view.effort())));
    page
}

fn push(page: &mut String, text: Arguments<'_>) {
    page.write_fmt(text).expect("writing to a string does not fail");
}
