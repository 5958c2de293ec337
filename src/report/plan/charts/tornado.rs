//! Effects of each input 10% lower and 10% higher: which inputs to measure more closely.
//!
//! One panel per metric, because units differ; the inputs with the largest effect are on top.

use crate::model::metric::{Metric, Unit};
use crate::plan::Choice;
use crate::plan::what_if::{Effect, Shift};
use crate::report::kit::axis::decimal_step;
use crate::report::kit::chart::{Chart, Table};
use crate::report::kit::number::{self, Scale};
use crate::report::kit::palette::Colour;
use crate::report::kit::picture::{Anchor, Font, Picture};
use crate::report::kit::plot::{self, Key};
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
        picture: draw(&panels, choice, &title),
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

fn draw(panels: &[Panel<'_>], choice: &Choice, title: &str) -> Picture {
    let height = |panel: &Panel<'_>| HEAD + panel.effects.len() as f64 * ROW + FOOT;
    let mut picture = Picture::new(plot::WIDTH, TOP + panels.iter().map(height).sum::<f64>());
    let subtitle = match View::most_sensitive(&choice.what_if) {
        Some(effect) => format!("Most sensitive to {effect}."),
        None => String::new(),
    };
    plot::heading(&mut picture, title, &Font::SMALL.shortened(&subtitle, plot::WIDTH - 24.0));
    plot::key(
        &mut picture,
        plot::HEADING + 12.0,
        &[
            Key::Area("input 10 % lower", Colour::Caution, HOLLOW),
            Key::Area("input 10 % higher", Colour::Main, FULL),
            Key::Line("95 % interval", Colour::Ink, 1.2),
        ],
    );
    let mut y = TOP;
    for panel in panels {
        draw_panel(&mut picture, panel, y);
        y += height(panel);
    }
    picture
}

fn draw_panel(picture: &mut Picture, panel: &Panel<'_>, top: f64) {
    let unit = panel.metric.unit();
    let base = panel.effects[0].base;
    let ends = panel.effects.iter().flat_map(|effect| [effect.lower, effect.higher]);
    let ends: Vec<f64> = ends.flat_map(|shift| <[f64; 2]>::from(shift.ends())).collect();
    let low = ends.iter().copied().fold(0.0, f64::min);
    let high = ends.iter().copied().fold(0.0, f64::max);
    let range = if high > low { high - low } else { 1.0 };
    let x_of = |change: f64| LEFT + (change - low) / range * (RIGHT - LEFT);
    let heading = format!("{} – as planned {}", panel.metric.name(), number::value(unit, base));
    picture.label((12.0, top + 14.0), heading, Font::TEXT.bold(), Anchor::Start);

    let bottom = top + HEAD + panel.effects.len() as f64 * ROW;
    scale(picture, panel, (low, high), &x_of, (top + HEAD - 2.0, bottom + 2.0));
    for (index, effect) in panel.effects.iter().enumerate() {
        let row = top + HEAD + index as f64 * ROW;
        picture.label((NAMES, row + ROW / 2.0), effect.input, Font::TEXT, Anchor::End);
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
            let font = Font { size: 13.0, ..Font::SMALL };
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
}

/// Grid lines at round changes, with the numbers and the unit below.
fn scale(
    picture: &mut Picture,
    panel: &Panel<'_>,
    (low, high): (f64, f64),
    x_of: &impl Fn(f64) -> f64,
    (top, bottom): (f64, f64),
) {
    let Scale { divisor, suffix } = number::scale(panel.metric.unit(), high.max(-low));
    let step = decimal_step((high - low).max(f64::MIN_POSITIVE) / divisor, MOST_TICKS);
    let (first, last) = ((low / divisor / step).ceil() as i64, (high / divisor / step).floor() as i64);
    for tick in first..=last {
        let shown = tick as f64 * step;
        let x = x_of(shown * divisor);
        picture.line(vec![(x, top), (x, bottom)], Colour::Grid, 1.0);
        let sign = if tick > 0 { "+" } else { "" };
        let text = format!("{sign}{}", number::trimmed(shown, 6));
        picture.label((x, bottom + 12.0), text, Font::SMALL, Anchor::Middle);
    }
    let unit = match (suffix.trim(), panel.metric.unit()) {
        ("", Unit::Jobs) => "change (jobs)".to_owned(),
        ("", _) => "change".to_owned(),
        (_, Unit::Fraction) => "change (percentage points)".to_owned(),
        (suffix, _) => format!("change ({suffix})"),
    };
    picture.label(((LEFT + RIGHT) / 2.0, bottom + 30.0), unit, Font::SMALL, Anchor::Middle);
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

const TOP: f64 = plot::HEADING + 30.0;
const HEAD: f64 = 30.0;
const ROW: f64 = 42.0;
const FOOT: f64 = 54.0;
const MOST_TICKS: f64 = 6.0;
const NAMES: f64 = 150.0;
/// Room on both sides for the widest change in words.
const LEFT: f64 = 320.0;
const RIGHT: f64 = 790.0;
const FULL: f64 = 0.85;
const HOLLOW: f64 = 0.3;
const MOST_PANELS: usize = 4;
