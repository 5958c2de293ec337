//! Which axis matters: how far cost, recovery and rejections move when one axis alone leaves the best variant.

use crate::model::metric::{Metric, Unit};
use crate::report::kit::axis::{self, Axis};
use crate::report::kit::chart::{Chart, Drawn, Table};
use crate::report::kit::number;
use crate::report::kit::palette::Colour;
use crate::report::kit::picture::{Anchor, Font, Picture, Point};
use crate::report::kit::plot::{self, Plot};
use crate::report::kit::sheet::Sheet;
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
        drawn: Drawn::of(|sheet| draw(sheet, view, &panels, &title)),
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

fn draw(sheet: &Sheet, view: &View<'_>, panels: &[Panel], title: &str) -> Picture {
    let mut picture = Picture::on(sheet);
    let subtitle = "Range of the mean when one axis alone leaves the best variant.";
    let mut top = plot::heading(&mut picture, sheet, title, subtitle) + 6.0;
    for panel in panels {
        top = draw_panel(&mut picture, sheet, view, panel, top);
    }
    picture.end(top)
}

/// Draws a panel and returns where it ends.
fn draw_panel(picture: &mut Picture, sheet: &Sheet, view: &View<'_>, panel: &Panel, top: f64) -> f64 {
    // On a narrow sheet the name of an axis, and what stands at the ends of its bar, are lines of their own.
    let row_height = ROW + sheet.pick(0.0, 2.0 * LINE);
    let edges = sheet.pick((LEFT, sheet.width - SIDE), (NARROW_EDGE, sheet.width - NARROW_EDGE));
    let highest = axis::reach(panel.bars.iter().map(|bar| bar.high.value), &[]);
    let first = top + PANEL_HEAD;
    let last = first + panel.bars.len() as f64 * row_height;
    let x = Axis::linear(panel.unit, highest);
    let unit = if x.unit.is_empty() { String::new() } else { format!(" ({})", x.unit) };
    let frame = Plot::between(edges, (first, last), x, Axis::share());
    picture.label((12.0, top + 12.0), format!("{}{unit}", panel.title), Font::TEXT.bold(), Anchor::Start);
    frame.vertical_grid(picture, true);
    let shown = |value: f64| match panel.is_cost {
        true => view.amount(value),
        false => number::value(panel.unit, value),
    };
    let font = Font::SMALL.coloured(Colour::Ink);
    let best = frame.x_of(panel.best);
    let line_of_best = |picture: &mut Picture| {
        picture.line(vec![(best, first - 2.0), (best, last)], Colour::Ink, 1.6);
    };
    // Texts stand between the bars of a narrow sheet, and no line may cross them.
    let write = |picture: &mut Picture, at: Point, text: String, anchor: Anchor| {
        if sheet.is_narrow() {
            let width = font.width_of(&text);
            let left = if anchor == Anchor::End { at.0 - width } else { at.0 };
            picture.rect((left - 2.0, at.1 - 8.0), (left + width + 2.0, at.1 + 8.0), Colour::Paper, 1.0);
        }
        picture.label(at, text, font, anchor);
    };
    if sheet.is_narrow() {
        line_of_best(picture);
    }
    for (row, bar) in panel.bars.iter().enumerate() {
        let y = first + row as f64 * row_height + ROW / 2.0 + sheet.pick(0.0, LINE);
        let name_at = (12.0, y - sheet.pick(0.0, LINE));
        let name = font.shortened(&view.axis(bar.axis).path, sheet.pick(LEFT - SIDE - 24.0, sheet.room()));
        write(picture, name_at, name, Anchor::Start);
        let (from, to) = (frame.x_of(bar.low.value), frame.x_of(bar.high.value));
        if bar.range() <= 0.0 {
            let text = if bar.along < 2 { "no other value could be run" } else { "no effect" };
            picture.label((to + 8.0, y), text, Font::SMALL, Anchor::Start);
            continue;
        }
        picture.rect((from, y - ROW * 0.3), (to.max(from + 1.0), y + ROW * 0.3), Colour::Main, 0.75);
        let room = sheet.pick(SIDE - 12.0, sheet.room() / 2.0 - 6.0);
        let label = |end: &End| font.shortened(&format!("{}: {}", end.setting, shown(end.value)), room);
        if sheet.is_narrow() {
            write(picture, (12.0, y + LINE), label(&bar.low), Anchor::Start);
            write(picture, (sheet.width - 12.0, y + LINE), label(&bar.high), Anchor::End);
        } else {
            picture.label((from - 6.0, y), label(&bar.low), font, Anchor::End);
            picture.label((to + 6.0, y), label(&bar.high), font, Anchor::Start);
        }
    }
    if !sheet.is_narrow() {
        line_of_best(picture);
    }
    frame.base_line(picture);
    last + PANEL_FOOT
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
const NARROW_EDGE: f64 = 20.0;
/// Height of a line of text.
const LINE: f64 = 19.0;
