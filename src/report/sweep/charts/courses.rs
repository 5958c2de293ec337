//! The depth over time of the best few variants, side by side on the same scales.

use crate::experiment::Findings;
use crate::model::metric::{Metric, Unit};
use crate::report::kit::axis::{self, Axis};
use crate::report::kit::chart::{Chart, Drawn, Table};
use crate::report::kit::palette::Colour;
use crate::report::kit::picture::{Anchor, Font, Picture};
use crate::report::kit::plot::{self, Key, Plot};
use crate::report::kit::sheet::Sheet;
use crate::report::run::charts::depth;
use crate::report::run::reading;
use crate::report::sweep::view::View;
use crate::scenario::Scenario;

/// `None` without anything to show.
pub(super) fn chart(view: &View<'_>) -> Option<Chart> {
    let panels: Vec<Panel<'_>> = view
        .sweep
        .best
        .iter()
        .filter_map(|(position, findings)| {
            let scenario = view.grid().variant(view.result(*position).id).ok()?;
            Some(Panel { position: *position, findings, scenario })
        })
        .collect();
    if panels.is_empty() {
        return None;
    }
    let title = match panels.len() {
        1 => "Queue depth of the best variant".to_owned(),
        count => format!("Queue depth of the best {count} variants"),
    };
    Some(Chart {
        name: "courses",
        caption: format!(
            "All on the same scales, the best of the ranking first. {} Dashed lines are the thresholds of the variant; an arrow \
             names those above the plot.",
            match view.sweep.study.replications {
                1 => "The line is the one replication.".to_owned(),
                n => format!("Line and band: median and 5th to 95th percentile over {n} replications."),
            }
        ),
        table: table(view, &panels),
        drawn: Drawn::of(|sheet| draw(sheet, view, &panels, &title)),
        title,
    })
}

struct Panel<'v> {
    position: usize,
    findings: &'v Findings,
    scenario: Scenario,
}

fn draw(sheet: &Sheet, view: &View<'_>, panels: &[Panel<'_>], title: &str) -> Picture {
    let horizon = panels.iter().map(|panel| panel.scenario.model.horizon.as_secs_f64()).fold(0.0, f64::max);
    let depths = || panels.iter().flat_map(|panel| panel.findings.series.depth.p95.iter().copied());
    let limits: Vec<f64> = panels
        .iter()
        .flat_map(|panel| reading::levels(&panel.scenario))
        .map(|level| level.depth as f64)
        .collect();
    // Thresholds far above all depths would flatten them; arrows name those.
    let y = Axis::linear(Unit::Jobs, axis::reach(depths(), &limits));
    let columns = sheet.pick(2, 1);
    let rows = panels.len().div_ceil(columns);
    let mut picture = Picture::on(sheet);
    let entries = keys(view);
    let subtitle = "Jobs waiting and in service.";
    let first_top = plot::head(&mut picture, sheet, title, subtitle, &entries) + PANEL_HEAD;
    let top_of = |row: usize| first_top + row as f64 * (PANEL_HEIGHT + PANEL_GAP);
    let positions: Vec<usize> = panels.iter().map(|panel| panel.position).collect();
    let differing = view.differing(&positions);
    for (index, panel) in panels.iter().enumerate() {
        let (row, column) = (index / columns, index % columns);
        let x = Axis::time(horizon, PANEL_TICKS);
        let mut frame = Plot::on(sheet, top_of(row), PANEL_HEIGHT, x, y.clone());
        if !sheet.is_narrow() {
            frame.left = if column == 0 { FIRST_LEFT } else { SECOND_LEFT };
            frame.right = frame.left + PANEL_WIDTH;
        }
        frame.y.thin();
        frame.join(&mut picture, "time", &rank_and_settings(view, panel, &differing));
        // Numbers stand below a panel that has none under it.
        let is_last = index + columns >= panels.len();
        draw_panel(&mut picture, view, panel, &frame, &differing, is_last);
        if is_last {
            frame.x_unit(&mut picture);
        }
    }
    picture.end(top_of(rows - 1) + PANEL_HEIGHT + plot::FOOT)
}

/// The median, and the range over the replications if there are several.
fn keys(view: &View<'_>) -> Vec<Key<'static>> {
    let many = view.sweep.study.replications > 1;
    let line = Key::Line(if many { "median" } else { "depth" }, Colour::Main, 2.0);
    let range = Key::Area("5–95 % of replications", Colour::Main, BAND);
    std::iter::once(line).chain(many.then_some(range)).collect()
}

fn rank_and_settings(view: &View<'_>, panel: &Panel<'_>, differing: &[usize]) -> String {
    let sign = if view.result(panel.position).passes() { "✓" } else { "✗" };
    format!("{sign} {}. {}", view.rank(panel.position), view.settings(panel.position, differing))
}

fn draw_panel(
    picture: &mut Picture,
    view: &View<'_>,
    panel: &Panel<'_>,
    frame: &Plot,
    differing: &[usize],
    numbers: bool,
) {
    let series = &panel.findings.series;
    frame.horizontal_grid(picture);
    frame.vertical_grid(picture, numbers);
    frame.limits(picture, &depth::limits(&panel.scenario));
    let keys = keys(view);
    if let [_, range] = keys.as_slice() {
        frame.ribbon(picture, *range, &series.seconds, &series.depth.p05, &series.depth.p95);
    }
    frame.curve(picture, keys[0], &series.seconds, series.depth.p50.iter().copied().map(Some));
    frame.base_line(picture);
    let result = view.result(panel.position);
    let title = rank_and_settings(view, panel, differing);
    let room = (PANEL_WIDTH + LABEL_ROOM - 8.0).min(picture.width - frame.left - 8.0);
    let font = Font::TEXT.bold();
    picture.label((frame.left, frame.top - 32.0), font.shortened(&title, room), font, Anchor::Start);
    let facts = format!(
        "{}, recovery {}",
        view.cost_in_words(&result.cost),
        View::estimate(result, Metric::Recovery)
    );
    picture.label(
        (frame.left, frame.top - 13.0),
        Font::SMALL.shortened(&facts, room),
        Font::SMALL,
        Anchor::Start,
    );
}

fn table(view: &View<'_>, panels: &[Panel<'_>]) -> Table {
    let header =
        ["rank", "settings", "peak depth", "mean depth", "open", "recovery"].map(str::to_owned).to_vec();
    let row = |panel: &Panel<'_>| {
        let result = view.result(panel.position);
        vec![
            view.rank(panel.position),
            view.settings(panel.position, &view.varied),
            View::estimate(result, Metric::PeakDepth),
            View::estimate(result, Metric::MeanDepth),
            View::estimate(result, Metric::OpenFraction),
            View::estimate(result, Metric::Recovery),
        ]
    };
    Table { header, rows: panels.iter().map(row).collect(), ..Table::default() }
}

/// Above the first panels, for their names.
const PANEL_HEAD: f64 = 54.0;
const PANEL_TICKS: f64 = 5.0;
const PANEL_HEIGHT: f64 = 130.0;
const PANEL_GAP: f64 = 72.0;
const FIRST_LEFT: f64 = 60.0;
const SECOND_LEFT: f64 = 546.0;
const PANEL_WIDTH: f64 = 292.0;
/// To the right of a panel, for the names of thresholds.
const LABEL_ROOM: f64 = 122.0;
const BAND: f64 = 0.25;
