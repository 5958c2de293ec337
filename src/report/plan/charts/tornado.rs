//! Effects of each input 10% lower and 10% higher: which inputs to measure more closely.
//!
//! One panel per metric, because units differ; the inputs with the largest effect are on top.

use crate::model::metric::{Metric, Unit};
use crate::plan::Choice;
use crate::plan::what_if::{Effect, Shift};
use crate::report::kit::axis::decimal_step;
use crate::report::kit::chart::{Chart, Drawn, Table};
use crate::report::kit::number::{self, Scale};
use crate::report::kit::palette::Colour;
use crate::report::kit::picture::{Anchor, Font, Picture};
use crate::report::kit::plot::{self, Key};
use crate::report::kit::sheet::Sheet;
use crate::report::plan::view::{View, change_in_words};

/// `None` if no input changes anything.
pub(super) fn chart(choice: &Choice) -> Option<Chart> {
    if !is_drawn(choice) {
        return None;
    }
    let title = "Which input the answer depends on".to_owned();
    let panels = panels(choice);
    Some(Chart {
        name: "tornado",
        caption: format!(
            "Change of each metric with one input 10 % lower (hollow bar, above) and 10 % higher (full bar, below), against the \
             plan with the same random numbers; whiskers are 95 % intervals of the paired difference. {}",
            left_out(choice, &panels)
        ),
        table: table(choice),
        drawn: Drawn::of(|sheet| draw(sheet, &panels, choice, &title)),
        title,
    })
}

pub(super) fn is_drawn(choice: &Choice) -> bool {
    !View::effects(&choice.what_if).is_empty()
}

/// The effects on one metric, the largest first.
struct Panel<'a> {
    metric: Metric,
    effects: Vec<&'a Effect>,
}

fn panels(choice: &Choice) -> Vec<Panel<'_>> {
    let mut panels: Vec<Panel<'_>> = Vec::new();
    for effect in View::effects(&choice.what_if) {
        match panels.iter_mut().find(|panel| panel.metric == effect.metric) {
            Some(panel) => panel.effects.push(effect),
            None => panels.push(Panel { metric: effect.metric, effects: vec![effect] }),
        }
    }
    for panel in &mut panels {
        panel.effects.sort_by(|a, b| b.size().total_cmp(&a.size()));
    }
    panels.truncate(MOST_PANELS);
    panels
}

/// Names the metrics that are not drawn, because nothing changes them or there are too many.
fn left_out(choice: &Choice, panels: &[Panel<'_>]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for effect in &choice.what_if.tornado {
        let name = effect.metric.name();
        if panels.iter().all(|panel| panel.metric != effect.metric) && !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() {
        String::new()
    } else {
        format!("Not drawn: {}; the table has all.", names.join(", "))
    }
}

fn draw(sheet: &Sheet, panels: &[Panel<'_>], choice: &Choice, title: &str) -> Picture {
    let mut picture = Picture::on(sheet);
    let subtitle = match View::most_sensitive(&choice.what_if) {
        Some(effect) => format!("Most sensitive to {effect}."),
        None => String::new(),
    };
    let keys = [
        Key::Area("input 10 % lower", Colour::Caution, HOLLOW),
        Key::Area("input 10 % higher", Colour::Main, FULL),
        Key::Line("95 % interval", Colour::Ink, 1.2),
    ];
    let mut y = plot::head(&mut picture, sheet, title, &subtitle, &keys) + 10.0;
    for panel in panels {
        y = draw_panel(&mut picture, sheet, panel, y);
    }
    picture.end(y)
}

/// Draws a panel and returns where it ends.
fn draw_panel(picture: &mut Picture, sheet: &Sheet, panel: &Panel<'_>, top: f64) -> f64 {
    let (left, right) = sheet.pick((LEFT, RIGHT), (NARROW_SIDE, sheet.width - NARROW_SIDE));
    // On a narrow sheet the name of an input stands above its bars.
    let row_height = ROW + sheet.pick(0.0, NAME_ROW);

    let unit = panel.metric.unit();
    let base = panel.effects[0].base;
    let ends = panel.effects.iter().flat_map(|effect| [effect.lower, effect.higher]);
    let ends: Vec<f64> = ends.flat_map(|shift| <[f64; 2]>::from(shift.ends())).collect();
    let low = ends.iter().copied().fold(0.0, f64::min);
    let high = ends.iter().copied().fold(0.0, f64::max);
    let range = if high > low { high - low } else { 1.0 };
    let x_of = |change: f64| left + (change - low) / range * (right - left);
    let heading = format!("{} – as planned {}", panel.metric.name(), number::value(unit, base));
    picture.label((12.0, top + 14.0), heading, Font::TEXT.bold(), Anchor::Start);

    let bottom = top + HEAD + panel.effects.len() as f64 * row_height;
    scale(picture, panel, (low, high), &x_of, (top + HEAD - 2.0, bottom + 2.0), sheet.pick(MOST_TICKS, 3.0));
    let unit_at = (f64::midpoint(left, right), bottom + 30.0);
    picture.label(unit_at, change_unit(panel, low, high), Font::SMALL, Anchor::Middle);
    for (index, effect) in panel.effects.iter().enumerate() {
        let row = top + HEAD + index as f64 * row_height + (row_height - ROW);
        if sheet.is_narrow() {
            picture.label((12.0, row - NAME_ROW / 2.0 + 4.0), effect.input, Font::TEXT, Anchor::Start);
        } else {
            picture.label((NAMES, row + ROW / 2.0), effect.input, Font::TEXT, Anchor::End);
        }
        let half = (ROW - 8.0) / 2.0;
        for (position, shift, colour, opacity) in
            [(0.0, effect.lower, Colour::Caution, HOLLOW), (1.0, effect.higher, Colour::Main, FULL)]
        {
            let (mean, (least, most)) = (shift.mean, shift.ends());
            let upper = row + 4.0 + position * half;
            let (from, to) = (x_of(mean.min(0.0)), x_of(mean.max(0.0)));
            picture.rect((from, upper), (to, upper + half - 1.0), colour, opacity);
            if opacity < FULL {
                let corners = vec![
                    (from, upper),
                    (to, upper),
                    (to, upper + half - 1.0),
                    (from, upper + half - 1.0),
                    (from, upper),
                ];
                picture.line(corners, colour, 1.4);
            }
            let middle = upper + (half - 1.0) / 2.0;
            let (low, high) = (x_of(least), x_of(most));
            if high - low > 1.0 {
                picture.line(vec![(low, middle), (high, middle)], Colour::Ink, 1.2);
                for x in [low, high] {
                    picture.line(vec![(x, middle - 3.0), (x, middle + 3.0)], Colour::Ink, 1.2);
                }
            }
            let text = change_in_words(panel.metric, effect.base, mean);
            let font = sheet.pick(Font { size: 13.0, ..Font::SMALL }, Font::SMALL);
            let (at, anchor) = if mean < 0.0 {
                (low.min(from) - 6.0, Anchor::End)
            } else {
                (high.max(to) + 6.0, Anchor::Start)
            };
            picture.label((at, middle), text, font, anchor);
        }
    }
    // The plan itself, on top of all bars.
    picture.line(vec![(x_of(0.0), top + HEAD - 2.0), (x_of(0.0), bottom + 2.0)], Colour::Ink, 1.6);
    bottom + FOOT
}

/// Grid lines at round changes, with the numbers and the unit below.
fn scale(
    picture: &mut Picture,
    panel: &Panel<'_>,
    (low, high): (f64, f64),
    x_of: &impl Fn(f64) -> f64,
    (top, bottom): (f64, f64),
    most_ticks: f64,
) {
    let Scale { divisor, .. } = number::scale(panel.metric.unit(), high.max(-low));
    let step = decimal_step((high - low).max(f64::MIN_POSITIVE) / divisor, most_ticks);
    let (first, last) = ((low / divisor / step).ceil() as i64, (high / divisor / step).floor() as i64);
    for tick in first..=last {
        let shown = tick as f64 * step;
        let x = x_of(shown * divisor);
        picture.line(vec![(x, top), (x, bottom)], Colour::Grid, 1.0);
        let sign = if tick > 0 { "+" } else { "" };
        let text = format!("{sign}{}", number::trimmed(shown, 6));
        picture.label((x, bottom + 12.0), text, Font::SMALL, Anchor::Middle);
    }
}

/// What a change is measured in.
fn change_unit(panel: &Panel<'_>, low: f64, high: f64) -> String {
    let suffix = number::scale(panel.metric.unit(), high.max(-low)).suffix;
    match (suffix.trim(), panel.metric.unit()) {
        ("", Unit::Jobs) => "change (jobs)".to_owned(),
        ("", _) => "change".to_owned(),
        (_, Unit::Fraction) => "change (percentage points)".to_owned(),
        (suffix, _) => format!("change ({suffix})"),
    }
}

fn table(choice: &Choice) -> Table {
    let row = |effect: &Effect| {
        let unit = effect.metric.unit();
        let change = |Shift { mean, half_width }: Shift| {
            let sign = if mean < 0.0 { "-" } else { "+" };
            let half_width =
                half_width.map_or(String::new(), |half| format!(" ± {}", number::value(unit, half)));
            format!("{sign}{}{half_width}", number::value(unit, mean.abs()))
        };
        vec![
            effect.input.to_owned(),
            effect.metric.name().to_owned(),
            number::value(unit, effect.base),
            change(effect.lower),
            change(effect.higher),
        ]
    };
    Table::new(
        &["input", "metric", "as planned", "10 % lower", "10 % higher"],
        choice.what_if.tornado.iter().map(row).collect(),
    )
}

const HEAD: f64 = 30.0;
const ROW: f64 = 42.0;
const FOOT: f64 = 54.0;
const MOST_TICKS: f64 = 6.0;
const NAMES: f64 = 150.0;
/// Room on both sides for the widest change in words.
const LEFT: f64 = 320.0;
const RIGHT: f64 = 790.0;
/// The same on a narrow sheet.
const NARROW_SIDE: f64 = 122.0;
/// Height of the name of an input above its bars.
const NAME_ROW: f64 = 20.0;
const FULL: f64 = 0.85;
const HOLLOW: f64 = 0.3;
const MOST_PANELS: usize = 4;
