//! Which axis matters: how far cost, recovery and rejections move when one axis alone leaves the best variant.

use crate::model::metric::{Metric, Unit};
use crate::report::kit::axis::{self, Axis};
use crate::report::kit::chart::{Chart, Table};
use crate::report::kit::number;
use crate::report::kit::palette::Colour;
use crate::report::kit::picture::{Anchor, Font, Picture};
use crate::report::kit::plot::{self, Plot};
use crate::report::sweep::view::View;
use crate::study::VariantResult;

pub(super) fn chart(view: &View<'_>) -> Chart {
    let panels = panels(view);
    let title = "What each axis changes".to_owned();
    Chart {
        name: "effects",
        caption: format!(
            "Each bar is the range of a mean when one axis alone takes its other values and all else stays as in the best \
             variant ({}). At its ends stand the value of the axis that leads there and the mean. The vertical line is the best \
             variant. Combinations that were excluded do not count.",
            view.settings(view.best(), &view.varied)
        ),
        table: table(view, &panels),
        picture: draw(view, &panels, &title),
        title,
    }
}

/// One quantity and what the axes do to it, the largest effect first.
struct Panel {
    title: String,
    unit: Unit,
    is_cost: bool,
    best: f64,
    bars: Vec<Bar>,
}

struct Bar {
    axis: usize,
    /// How many variants lie along this axis, the best one among them.
    along: usize,
    low: End,
    high: End,
}

#[derive(Clone)]
struct End {
    value: f64,
    setting: String,
}

impl Bar {
    fn range(&self) -> f64 {
        self.high.value - self.low.value
    }
}

fn panels(view: &View<'_>) -> Vec<Panel> {
    type Of = fn(&VariantResult) -> Option<f64>;
    let quantities: [(String, Unit, bool, Of); 3] = [
        (capitalised(view.cost_name()), Unit::Count, true, |result| result.cost.mean),
        ("Recovery time".to_owned(), Unit::Seconds, false, |result| result.metric(Metric::Recovery).mean),
        ("Refused share of offered jobs".to_owned(), Unit::Fraction, false, |result| {
            result.metric(Metric::RejectionProbability).mean
        }),
    ];
    let panel = |(title, unit, is_cost, of): (String, Unit, bool, Of)| {
        let best = of(view.result(view.best()))?;
        let mut bars: Vec<Bar> = view.varied.iter().filter_map(|&axis| bar(view, axis, of)).collect();
        bars.sort_by(|a, b| b.range().total_cmp(&a.range()).then(a.axis.cmp(&b.axis)));
        Some(Panel { title, unit, is_cost, best, bars })
    };
    quantities.into_iter().filter_map(panel).collect()
}

/// The variants that differ from the best one on that axis alone.
fn bar(view: &View<'_>, axis: usize, of: impl Fn(&VariantResult) -> Option<f64>) -> Option<Bar> {
    let place = view.place(view.best());
    let after: usize = view.grid().axes[axis + 1..].iter().map(|axis| axis.points.len()).product();
    let id = view.result(view.best()).id as usize;
    let first = id - place[axis] * after;
    let ends = (0..view.axis(axis).points.len()).filter_map(|index| {
        let position = view.position((first + index * after) as u32)?;
        let value = of(view.result(position)).filter(|value| value.is_finite())?;
        Some(End { value, setting: view.point(axis, index) })
    });
    let ends: Vec<End> = ends.collect();
    // Of equal values the first one.
    let low = ends.iter().reduce(|a, b| if b.value < a.value { b } else { a })?.clone();
    let high = ends.iter().reduce(|a, b| if b.value > a.value { b } else { a })?.clone();
    Some(Bar { axis, along: ends.len(), low, high })
}

fn draw(view: &View<'_>, panels: &[Panel], title: &str) -> Picture {
    let height = |panel: &Panel| PANEL_HEAD + panel.bars.len() as f64 * ROW + PANEL_FOOT;
    let mut top = plot::HEADING + 6.0;
    let mut picture = Picture::new(plot::WIDTH, top + panels.iter().map(height).sum::<f64>());
    plot::heading(&mut picture, title, "Range of the mean when one axis alone leaves the best variant.");
    for panel in panels {
        draw_panel(&mut picture, view, panel, top);
        top += height(panel);
    }
    picture
}

fn draw_panel(picture: &mut Picture, view: &View<'_>, panel: &Panel, top: f64) {
    let highest = axis::reach(panel.bars.iter().map(|bar| bar.high.value), &[]);
    let (first, last) = (top + PANEL_HEAD, top + PANEL_HEAD + panel.bars.len() as f64 * ROW);
    let x = Axis::linear(panel.unit, highest);
    let unit = if x.unit.is_empty() { String::new() } else { format!(" ({})", x.unit) };
    let frame = Plot { left: LEFT, right: RIGHT, top: first, bottom: last, x, y: Axis::share() };
    picture.label((12.0, top + 12.0), format!("{}{unit}", panel.title), Font::TEXT.bold(), Anchor::Start);
    frame.vertical_grid(picture, true);
    let shown = |value: f64| match panel.is_cost {
        true => view.amount(value),
        false => number::value(panel.unit, value),
    };
    let font = Font::SMALL.coloured(Colour::Ink);
    for (row, bar) in panel.bars.iter().enumerate() {
        let y = first + (row as f64 + 0.5) * ROW;
        let name = font.shortened(&view.axis(bar.axis).path, LEFT - SIDE - 24.0);
        picture.label((12.0, y), name, font, Anchor::Start);
        let (from, to) = (frame.x_of(bar.low.value), frame.x_of(bar.high.value));
        if bar.range() <= 0.0 {
            let text = if bar.along < 2 { "no other value could be run" } else { "no effect" };
            picture.label((to + 8.0, y), text, Font::SMALL, Anchor::Start);
            continue;
        }
        picture.rect((from, y - ROW * 0.3), (to.max(from + 1.0), y + ROW * 0.3), Colour::Main, 0.75);
        let label =
            |end: &End| font.shortened(&format!("{}: {}", end.setting, shown(end.value)), SIDE - 12.0);
        picture.label((from - 6.0, y), label(&bar.low), font, Anchor::End);
        picture.label((to + 6.0, y), label(&bar.high), font, Anchor::Start);
    }
    let best = frame.x_of(panel.best);
    picture.line(vec![(best, first - 2.0), (best, last)], Colour::Ink, 1.6);
    frame.base_line(picture);
}

fn table(view: &View<'_>, panels: &[Panel]) -> Table {
    let rows = panels.iter().flat_map(|panel| {
        let shown = |value: f64| match panel.is_cost {
            true => view.amount(value),
            false => number::value(panel.unit, value),
        };
        panel.bars.iter().map(move |bar| {
            vec![
                panel.title.clone(),
                view.axis(bar.axis).path.clone(),
                format!("{} at {}", shown(bar.low.value), bar.low.setting),
                shown(panel.best),
                format!("{} at {}", shown(bar.high.value), bar.high.setting),
                shown(bar.range()),
            ]
        })
    });
    Table::new(&["quantity", "axis", "lowest", "best variant", "highest", "range"], rows.collect())
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

const ROW: f64 = 28.0;
const PANEL_HEAD: f64 = 30.0;
const PANEL_FOOT: f64 = 48.0;
/// Room for the label at either end of a bar.
const SIDE: f64 = 150.0;
const LEFT: f64 = 340.0;
const RIGHT: f64 = plot::WIDTH - SIDE;
