//! What became of the jobs offered per second: one panel for all and one for each class.
//!
//! In each panel the jobs that were kept, lost and refused are stacked, so that the upper edge is what was offered. A job is lost at its
//! own time: what is lost of the jobs that came in the same span is in the stack, what goes beyond it (a crash takes all
//! that waited) is a mark with its number.
//! Every panel has its own scale: a class with 1 % of the load would be invisible on a common one.

use crate::experiment::Findings;
use crate::experiment::series::Series;
use crate::model::metric::Unit;
use crate::report::kit::axis::{self, Axis};
use crate::report::kit::chart::{Chart, Drawn, Table};
use crate::report::kit::number;
use crate::report::kit::palette::Colour;
use crate::report::kit::picture::{Anchor, Font, Picture};
use crate::report::kit::plot::{self, Key, Plot};
use crate::report::kit::sheet::Sheet;
use crate::report::kit::text::printable;
use crate::scenario::Scenario;

pub(super) fn chart(scenario: &Scenario, findings: &Findings) -> Chart {
    let title = "Jobs offered per second: kept, lost and refused".to_owned();
    Chart {
        name: "rates",
        caption: "Kept (below), lost and refused (on top) add up to what was offered; the line shows what the workers \
                  completed. A vertical mark is a moment at which more was lost than came in: jobs that had waited. Each panel \
                  has its own vertical scale. Mean over the replications."
            .to_owned(),
        table: table(&findings.series),
        drawn: Drawn::of(|sheet| draw(sheet, scenario, &panels(scenario, &findings.series), &title)),
        title,
    }
}

/// The rates of one panel.
struct Panel {
    name: String,
    seconds: Vec<f64>,
    /// Admitted and not lost.
    kept: Vec<f64>,
    admitted: Vec<f64>,
    lost: Vec<f64>,
    /// Spans in which more was lost than admitted: the end of the span and the number of jobs.
    bursts: Vec<(f64, f64)>,
    offered: Vec<f64>,
    completed: Vec<f64>,
}

/// All jobs first; then the classes, if there are several, those beyond `MOST_CLASSES` together.
fn panels(scenario: &Scenario, series: &Series) -> Vec<Panel> {
    let names: Vec<String> = scenario.model.classes.iter().map(|class| printable(&class.name)).collect();
    let panel = |name: String, classes: &[usize]| Panel::of(name, series, classes, MOST_POINTS);
    let all: Vec<usize> = (0..names.len()).collect();
    let mut panels = vec![panel("all classes".to_owned(), &all)];
    match names.len() {
        0 => {}
        1 => names[0].clone_into(&mut panels[0].name),
        count => {
            let alone = if count > MOST_CLASSES { MOST_CLASSES - 1 } else { count };
            panels.extend((0..alone).map(|class| panel(names[class].clone(), &[class])));
            if alone < count {
                panels.push(panel(format!("{} further classes", count - alone), &all[alone..]));
            }
        }
    }
    panels
}

impl Panel {
    /// At most about `most_points` points: where there are more steps than that, rates are over several of them.
    fn of(name: String, series: &Series, classes: &[usize], most_points: usize) -> Self {
        let ends = ends(series.seconds.len(), most_points);
        let rate = |totals: &[Vec<f64>]| {
            let of_classes: Vec<&Vec<f64>> = classes.iter().filter_map(|&class| totals.get(class)).collect();
            per_second(&of_classes, &ends, &series.seconds)
        };
        let (admitted, rejected) = (rate(&series.admitted), rate(&series.rejected));
        let offered =
            admitted.iter().zip(&rejected).map(|(admitted, rejected)| admitted + rejected).collect();
        let seconds: Vec<f64> = ends.iter().map(|&end| series.seconds[end]).collect();
        let lost = rate(&series.lost);
        let kept = admitted.iter().zip(&lost).map(|(admitted, lost)| (admitted - lost).max(0.0)).collect();
        let begins = std::iter::once(0.0).chain(seconds.iter().copied());
        let spans = seconds.iter().zip(begins).zip(lost.iter().zip(&admitted));
        let bursts = spans
            .filter(|(_, (lost, admitted))| **lost > **admitted * BURST)
            .map(|((&end, begin), (lost, _))| (end, lost * (end - begin)))
            .collect();
        Self { name, seconds, kept, admitted, lost, bursts, offered, completed: rate(&series.completed) }
    }
}

/// Where the spans end over which rates are: at every point, or at every so manieth if there are more than `most_points`.
pub(super) fn ends(points: usize, most_points: usize) -> Vec<usize> {
    let stride = points.div_ceil(most_points).max(1);
    (0..points).skip(stride - 1).step_by(stride).collect()
}

/// Jobs per second in the spans that end at the points `ends`, summed over several totals since the start.
pub(super) fn per_second(totals: &[&Vec<f64>], ends: &[usize], seconds: &[f64]) -> Vec<f64> {
    let total = |index: usize| -> f64 { totals.iter().filter_map(|totals| totals.get(index)).sum() };
    let (mut before, mut begin) = (0.0, 0.0);
    let rate = |&end: &usize| {
        let length = seconds[end] - begin;
        let rate = if length > 0.0 { (total(end) - before) / length } else { 0.0 };
        (before, begin) = (total(end), seconds[end]);
        rate
    };
    ends.iter().map(rate).collect()
}

fn draw(sheet: &Sheet, scenario: &Scenario, panels: &[Panel], title: &str) -> Picture {
    let horizon = scenario.model.horizon.as_secs_f64();
    let mut picture = Picture::on(sheet);
    let mut top = plot::head(&mut picture, sheet, title, &subtitle(panels), &KEYS) + NAME_ROOM;
    let mut bottom = top;
    // Below one another, so that one moment stands at one place in all panels, and in all charts of the page.
    for (index, panel) in panels.iter().enumerate() {
        let highest = axis::reach(panel.offered.iter().chain(&panel.completed).copied(), &[]);
        let height = if index == 0 { FIRST_HEIGHT } else { PANEL_HEIGHT };
        let y = Axis::linear(Unit::PerSecond, highest);
        let mut frame = Plot::over_time(sheet, top, height, horizon, y);
        if index > 0 {
            frame.y.thin();
        }
        frame.join(&mut picture, "time", &panel.name);
        draw_panel(&mut picture, &frame, panel, index + 1 == panels.len());
        if index == 0 {
            frame.y_unit(&mut picture);
        }
        if index + 1 == panels.len() {
            frame.x_unit(&mut picture);
        }
        (top, bottom) = (frame.bottom + PANEL_GAP, frame.bottom);
    }
    picture.end(bottom + plot::FOOT)
}

fn subtitle(panels: &[Panel]) -> String {
    match panels[0].seconds.as_slice() {
        [first, second, ..] => format!("Averages over {}.", number::value(Unit::Seconds, second - first)),
        _ => String::new(),
    }
}

fn draw_panel(picture: &mut Picture, frame: &Plot, panel: &Panel, numbers: bool) {
    let zero = vec![0.0; panel.seconds.len()];
    frame.horizontal_grid(picture);
    frame.vertical_grid(picture, numbers);
    let [kept, lost, refused, offered, completed] = KEYS;
    frame.layer(picture, kept, &panel.seconds, &zero, &panel.kept);
    if panel.lost.iter().any(|lost| *lost > 0.0) {
        frame.layer(picture, lost, &panel.seconds, &panel.kept, &panel.admitted);
    }
    frame.layer(picture, refused, &panel.seconds, &panel.admitted, &panel.offered);
    frame.curve(picture, offered, &panel.seconds, panel.offered.iter().copied().map(Some));
    frame.curve(picture, completed, &panel.seconds, panel.completed.iter().copied().map(Some));
    for (index, &(second, jobs)) in panel.bursts.iter().enumerate() {
        let x = frame.x_of(second);
        frame.of_series(picture, "lost", |picture| {
            picture.line(vec![(x, frame.top), (x, frame.bottom)], Colour::Ink, 2.0);
            // The first one has its number; where there are several, the table has the others.
            if index == 0 {
                let text = format!("{} lost", number::short_count(jobs.round()));
                let is_right = x + 8.0 + Font::SMALL.width_of(&text) > frame.right;
                let (place, anchor) =
                    if is_right { (x - 6.0, Anchor::End) } else { (x + 6.0, Anchor::Start) };
                picture.label((place, frame.top + 9.0), text, Font::SMALL.coloured(Colour::Ink), anchor);
            }
        });
    }
    frame.base_line(picture);
    let font = Font::TEXT.bold();
    let name = font.shortened(&panel.name, frame.right - frame.left);
    picture.label((frame.left, frame.top - 13.0), name, font, Anchor::Start);
}

fn table(series: &Series) -> Table {
    let every_class: Vec<usize> = (0..series.offered.len()).collect();
    let all = Panel::of(String::new(), series, &every_class, usize::MAX);
    let header = ["time (s)", "offered/s", "admitted/s", "lost/s", "refused/s", "completed/s"];
    Table::over_time(series, &header, |index| {
        let rate = |rate: f64| number::grouped(rate, 0);
        vec![
            rate(all.offered[index]),
            rate(all.admitted[index]),
            rate(all.lost[index]),
            rate(all.offered[index] - all.admitted[index]),
            rate(all.completed[index]),
        ]
    })
}

const MOST_CLASSES: usize = 12;
const MOST_POINTS: usize = 450;
/// Above a panel, for its name.
const NAME_ROOM: f64 = 30.0;
const FIRST_HEIGHT: f64 = 190.0;
const PANEL_HEIGHT: f64 = 84.0;
const PANEL_GAP: f64 = 36.0;
/// Every panel has the same series.
const KEYS: [Key<'static>; 5] = [
    Key::Area("kept", Colour::Main, FILL),
    Key::Area("lost", Colour::Ink, LOST_FILL),
    Key::Area("refused", Colour::Alert, REFUSED_FILL),
    Key::Line("offered", Colour::Ink, 1.2),
    Key::Line("completed", Colour::Good, 1.8),
];
const FILL: f64 = 0.35;
const REFUSED_FILL: f64 = 0.55;
const LOST_FILL: f64 = 0.75;
/// Losses of jobs in flight may be counted in the span after that of their admission.
const BURST: f64 = 1.5;
