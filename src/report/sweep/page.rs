//! The report of a sweep as one page: the verdict first, then the ranking, then the charts.

use super::view::{View, variants};
use crate::model::metric::{Metric, Unit};
use crate::report::kit::chart::{Chart, escape};
use crate::report::kit::html::{TABLE_END, document, figure, push, question, scenario_text, table_start};
use crate::report::kit::number;

pub(super) fn render(view: &View<'_>, charts: &[Chart]) -> String {
    let scenario = view.grid().scenario();
    let mut page = head(view);
    page += &axes(view);
    page += &ranking(view);
    for (title, names) in SECTIONS {
        let shown: Vec<&Chart> = charts.iter().filter(|chart| names.contains(&chart.name)).collect();
        if !shown.is_empty() {
            push(&mut page, format_args!("<section>\n<h2>{title}</h2>\n"));
            page.extend(shown.into_iter().map(figure));
            page += "</section>\n";
        }
    }
    page += &remarks(view);
    page += &scenario_text(scenario);
    push(
        &mut page,
        format_args!(
            "<footer>simulate {} · sweep <code>{}</code></footer>\n",
            env!("CARGO_PKG_VERSION"),
            view.grid().fingerprint()
        ),
    );
    document(&format!("{} – sweep of {}", scenario.name, variants(view.sweep.results.len())), &page)
}

const SECTIONS: [(&str, &[&str]); 4] = [
    ("Over the axes", &["map-recovery", "map-rejection", "map-objective"]),
    ("What is traded for what", &["front"]),
    ("What matters", &["effects"]),
    ("The best over time", &["courses"]),
];

fn head(view: &View<'_>) -> String {
    let scenario = view.grid().scenario();
    let (class, badge) = match (scenario.slo.is_empty(), view.sweep.winner()) {
        (true, _) => ("none", "NO OBJECTIVES".to_owned()),
        (false, Some(_)) => ("pass", format!("✓ {} OF {} PASS", view.passing(), view.sweep.results.len())),
        (false, None) => ("fail", "✗ NONE PASSES".to_owned()),
    };
    let mut html = format!(
        "<header class=\"verdict {class}\">\n<h1>{}: sweep <span class=\"badge\">{badge}</span></h1>\n",
        escape(&scenario.name)
    );
    html += &question(scenario);
    push(&mut html, format_args!("<p class=\"answer\">{}</p>\n", escape(&answer(view))));
    push(&mut html, format_args!("<p>{}. {}</p>\n", escape(&view.passing_sentence()), escape(&view.order())));
    push(
        &mut html,
        format_args!(
            "<p class=\"reproduce\">Reproduce: <code>{}</code><br>Seed {}, {}. The best variant alone: \
             <code>{}</code>, with digest <code>{}</code></p>\n</header>\n",
            escape(&view.grid().command()),
            scenario.seed,
            view.replications(),
            escape(&alone(view, view.best())),
            escape(&view.result(view.best()).digest)
        ),
    );
    html
}

/// The best variant with what it costs and what it does, as a sentence.
fn answer(view: &View<'_>) -> String {
    let best = view.result(view.best());
    let settings: Vec<String> = view
        .values(view.best())
        .iter()
        .zip(&view.grid().axes)
        .map(|(value, axis)| format!("{} = {value}", axis.path))
        .collect();
    let which = if best.passes() { "Best" } else { "Nearest to the objectives" };
    let lost = best.metric(Metric::Lost).mean.filter(|lost| *lost > 0.0);
    let lost = lost.map_or(String::new(), |lost| format!(", {} lost", number::value(Unit::Jobs, lost)));
    format!(
        "{which}: {} – {}, recovery {}, {} of offered jobs rejected{lost}.",
        if settings.is_empty() { "the scenario as it is".to_owned() } else { settings.join(", ") },
        view.cost_in_words(&best.cost),
        View::estimate(best, Metric::Recovery),
        View::estimate(best, Metric::RejectionProbability),
    )
}

/// The command that runs one variant.
fn alone(view: &View<'_>, position: usize) -> String {
    let mut command = view.grid().scenario().command.clone();
    for change in view.grid().overrides(view.result(position).id) {
        command += " --set ";
        command += &crate::scenario::for_shell(&change);
    }
    command
}

fn axes(view: &View<'_>) -> String {
    let mut html = String::from("<section>\n<h2>What was varied</h2>\n");
    html += &table_start(&["setting", "values", "from", "to"]);
    for (index, axis) in view.grid().axes.iter().enumerate() {
        let last = axis.points.len() - 1;
        push(
            &mut html,
            format_args!(
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td></tr>\n",
                escape(&view.title(index)),
                axis.points.len(),
                escape(&view.point(index, 0)),
                escape(&view.point(index, last)),
            ),
        );
    }
    html += TABLE_END;
    let excluded = view.excluded();
    if excluded == 0 {
        push(
            &mut html,
            format_args!(
                "<p>All {} combinations were run.</p>\n",
                number::grouped(view.grid().size() as f64, 0)
            ),
        );
        return html + "</section>\n";
    }
    push(
        &mut html,
        format_args!(
            "<p>{} of {} combinations were excluded:</p>\n<ul>\n",
            number::grouped(excluded as f64, 0),
            number::grouped(view.grid().size() as f64, 0)
        ),
    );
    for (reason, count) in &view.sweep.study.variants.excluded {
        push(&mut html, format_args!("<li>{count}: {}</li>\n", escape(reason)));
    }
    html + "</ul>\n</section>\n"
}

fn ranking(view: &View<'_>) -> String {
    let slo = &view.grid().scenario().slo;
    let mut html = String::from("<section class=\"ranking\">\n<h2>Ranking</h2>\n");
    let mut header = vec!["", "rank"];
    header.extend((0..view.grid().axes.len()).map(|axis| view.name(axis)));
    header.extend([view.cost_name(), "recovery", "rejected"]);
    if view.loses_jobs() {
        header.push("lost jobs");
    }
    header.extend(slo.iter().map(|slo| slo.expression.as_str()));
    header.push("digest");
    html += &table_start(&header);
    for (rank, &position) in view.sweep.ranking.iter().take(MOST_LISTED).enumerate() {
        let result = view.result(position);
        let (class, sign) = if result.passes() { ("met", "✓") } else { ("missed", "✗") };
        push(&mut html, format_args!("<tr class=\"{class}\"><td>{sign}</td><td>{}</td>", rank + 1));
        let mut cells = view.values(position);
        cells.push(view.cost(&result.cost));
        cells.push(View::estimate(result, Metric::Recovery));
        cells.push(View::estimate(result, Metric::RejectionProbability));
        if view.loses_jobs() {
            cells.push(View::estimate(result, Metric::Lost));
        }
        for cell in cells {
            push(&mut html, format_args!("<td>{}</td>", escape(&cell)));
        }
        for (observed, (_, pass)) in view.observed(result).iter().zip(&result.slo) {
            let (class, sign) = if *pass { ("good", "✓") } else { ("bad", "✗") };
            push(&mut html, format_args!("<td class=\"{class}\">{} {sign}</td>", escape(observed)));
        }
        push(&mut html, format_args!("<td><code>{}</code></td></tr>\n", escape(&result.digest)));
    }
    html += TABLE_END;
    let all = view.sweep.results.len();
    let rest = if all > MOST_LISTED {
        format!(
            "The best {MOST_LISTED} of {}; all are in <code>variants.csv</code>, <code>variants.parquet</code> and <code>sweep.json</code>. ",
            number::grouped(all as f64, 0)
        )
    } else {
        String::new()
    };
    push(
        &mut html,
        format_args!(
            "<p class=\"note\">{rest}Means with the half-width of their 95 % interval over {} replications; ≥ marks a recovery \
             that did not always happen within the run. All variants see the same jobs (common random numbers).</p>\n</section>\n",
            view.sweep.study.replications
        ),
    );
    html
}

fn remarks(view: &View<'_>) -> String {
    let warnings = &view.grid().scenario().warnings;
    if warnings.is_empty() {
        return String::new();
    }
    let mut html = String::from("<section>\n<h2>Assumptions and warnings of the scenario</h2>\n<ul>\n");
    for warning in warnings {
        push(&mut html, format_args!("<li>{}</li>\n", escape(warning)));
    }
    html + "</ul>\n</section>\n"
}

const MOST_LISTED: usize = 50;
