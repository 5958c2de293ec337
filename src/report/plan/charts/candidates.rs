//! Cost and outcome of the simulated candidates: one lane per outcome, each with a mark of its own
//! shape.

use crate::model::metric::Unit;
use crate::plan::{Criterion, Fate, Simulated};
use crate::report::kit::axis::Axis;
use crate::report::kit::chart::{Chart, Drawn, Table};
use crate::report::kit::number;
use crate::report::kit::palette::Colour;
use crate::report::kit::picture::{Anchor, Font, Picture, Point};
use crate::report::kit::plot::{self, Plot};
use crate::report::kit::sheet::Sheet;
use crate::report::plan::view::{View, plain};

/// `None` if nothing was simulated.
pub(super) fn chart(view: &View<'_>) -> Option<Chart> {
    if !is_drawn(view) {
        return None;
    }
    let title = "Candidates that were simulated".to_owned();
    Some(Chart {
        name: "candidates",
        caption: "One mark per candidate, at its cost; rows are outcomes. Candidates of about the same cost \
                  are stacked."
            .to_owned(),
        table: table(view),
        drawn: Drawn::of(|sheet| draw(sheet, view, &title)),
        title,
    })
}

pub(super) fn is_drawn(view: &View<'_>) -> bool {
    !view.plan.path.simulated.is_empty()
}

/// An outcome and the candidates that had it.
struct Lane<'a> {
    name: String,
    mark: Mark,
    /// Costs, ascending.
    costs: Vec<&'a Simulated>,
}

#[derive(Clone, Copy)]
enum Mark {
    Diamond,
    Dot,
    Ring,
    Triangle,
    Cross,
    Tick,
}

fn lanes<'a>(view: &View<'a>) -> Vec<Lane<'a>> {
    let mut lanes: Vec<(u8, Lane<'a>)> = Vec::new();
    for one in &view.plan.path.simulated {
        let (order, name, mark) = match &one.fate {
            Fate::Chosen => (0, "chosen".to_owned(), Mark::Diamond),
            Fate::Open => (1, "meet the objectives; open whether better".to_owned(), Mark::Triangle),
            Fate::Equal => (2, "meet the objectives; the very same results".to_owned(), Mark::Ring),
            Fate::Worse(_) => (3, "meet the objectives; worse".to_owned(), Mark::Dot),
            Fate::Dearer => (4, "meet the objectives; cost more".to_owned(), Mark::Dot),
            Fate::Undecided(objective) => (5, format!("open whether they meet {objective}"), Mark::Triangle),
            Fate::Misses(objective) => (6, format!("miss {objective}"), Mark::Cross),
            Fate::Probe => (7, "only to measure the fluid limit's error, or audited".to_owned(), Mark::Tick),
        };
        match lanes.iter_mut().find(|(_, lane)| lane.name == name) {
            Some((_, lane)) => lane.costs.push(one),
            None => lanes.push((order, Lane { name, mark, costs: vec![one] })),
        }
    }
    lanes.sort_by_key(|(order, _)| *order);
    let mut lanes: Vec<Lane<'a>> = lanes.into_iter().map(|(_, lane)| lane).collect();
    lanes.iter_mut().for_each(|lane| lane.costs.sort_by(|a, b| a.cost.total_cmp(&b.cost)));
    lanes
}

fn draw(sheet: &Sheet, view: &View<'_>, title: &str) -> Picture {
    let lanes = lanes(view);
    let costs = view.plan.path.simulated.iter().map(|one| one.cost).filter(|cost| cost.is_finite());
    let mut x = Axis::linear(Unit::Count, costs.fold(0.0, f64::max));
    x.unit = view.cost_name();
    let mut picture = Picture::on(sheet);
    let simulated = view.plan.path.simulated.len();
    let subtitle = format!(
        "{} of {} candidates, by cost and outcome.",
        plain(simulated),
        plain(view.plan.path.candidates)
    );
    let first = plot::heading(&mut picture, sheet, title, &subtitle) + 12.0;
    let edges = (sheet.pick(LEFT, 16.0), sheet.width - sheet.pick(LEFT, 16.0));
    let mut frame = Plot::between(edges, (first, first), x, Axis::share());
    let stacks: Vec<Vec<Vec<Point>>> = lanes.iter().map(|lane| stacks(lane, &frame)).collect();
    let heights: Vec<f64> = stacks
        .iter()
        .map(|stacks| {
            let tallest = stacks.iter().map(Vec::len).max().unwrap_or(0);
            LANE_NAME + (tallest as f64 * MARK).clamp(MARK, MOST_LANE) + LANE_GAP
        })
        .collect();
    frame.bottom = first + heights.iter().sum::<f64>();
    frame.vertical_grid(&mut picture, true);
    frame.x_unit(&mut picture);
    let mut top = first;
    for ((lane, stacks), height) in lanes.iter().zip(&stacks).zip(heights) {
        let bottom = top + height - LANE_GAP;
        let name = format!("{} ({})", lane.name, plain(lane.costs.len()));
        let name = Font::SMALL.shortened(&name, frame.right - frame.left);
        picture.rect((frame.left, top), (frame.right, top + LANE_NAME - 1.0), Colour::Paper, 1.0);
        picture.label(
            (frame.left, top + LANE_NAME / 2.0),
            name,
            Font::SMALL.coloured(Colour::Ink),
            Anchor::Start,
        );
        for stack in stacks {
            let room = height - LANE_NAME - LANE_GAP;
            // Stacks that are too high for their lane are compressed.
            let step = (room / stack.len() as f64).min(MARK);
            for (place, (x, _)) in stack.iter().enumerate() {
                let y = bottom - MARK / 2.0 - place as f64 * step;
                mark(&mut picture, (*x, y), lane.mark);
            }
        }
        picture.line(vec![(frame.left, bottom + 2.0), (frame.right, bottom + 2.0)], Colour::Grid, 1.0);
        top += height;
    }
    frame.base_line(&mut picture);
    picture.end(frame.bottom + plot::FOOT)
}

/// Marks that would overlap form a stack.
fn stacks(lane: &Lane<'_>, frame: &Plot) -> Vec<Vec<Point>> {
    let mut stacks: Vec<Vec<Point>> = Vec::new();
    for one in lane.costs.iter().filter(|one| one.cost.is_finite()) {
        let x = frame.x_of(one.cost);
        match stacks.last_mut() {
            Some(stack) if x - stack[0].0 < MARK => stack.push((x, 0.0)),
            _ => stacks.push(vec![(x, 0.0)]),
        }
    }
    stacks
}

fn mark(picture: &mut Picture, at @ (x, y): Point, mark: Mark) {
    const R: f64 = 4.5;
    match mark {
        Mark::Diamond => {
            let r = 1.5 * R;
            picture.area(vec![(x - r, y), (x, y - r), (x + r, y), (x, y + r)], Colour::Good, 1.0);
        }
        Mark::Dot => picture.dot(at, R, Colour::Main, true),
        Mark::Ring => picture.dot(at, R - 0.5, Colour::Main, false),
        Mark::Triangle => {
            picture.area(vec![(x - R, y + R), (x, y - R), (x + R, y + R)], Colour::Caution, 1.0);
        }
        Mark::Cross => cross(picture, at, Colour::Alert),
        Mark::Tick => picture.line(vec![(x, y - R), (x, y + R)], Colour::Faint, 1.6),
    }
}

/// The sign of a miss.
pub(super) fn cross(picture: &mut Picture, (x, y): Point, colour: Colour) {
    for direction in [1.0, -1.0] {
        picture.line(vec![(x - 4.0, y - 4.0 * direction), (x + 4.0, y + 4.0 * direction)], colour, 2.0);
    }
}

fn table(view: &View<'_>) -> Table {
    let tie_break = match view.plan.choice.as_ref().map(|choice| choice.criterion) {
        Some(Criterion::TieBreak(metric)) => metric,
        _ => view.scenario().plan.tie_break,
    };
    let fate = |one: &Simulated| match &one.fate {
        Fate::Chosen => "chosen".to_owned(),
        Fate::Misses(objective) => format!("misses {objective}"),
        Fate::Undecided(objective) => format!("open whether it meets {objective}"),
        Fate::Worse(_) => "worse".to_owned(),
        Fate::Equal => "the very same results".to_owned(),
        Fate::Open => "open whether it is better".to_owned(),
        Fate::Dearer => "costs more".to_owned(),
        Fate::Probe => "probe".to_owned(),
    };
    let outcome = |one: &Simulated| match one.seconds {
        Some(seconds) => format!("{}; {} simulated", fate(one), number::value(Unit::Seconds, seconds)),
        None => fate(one),
    };
    let row = |one: &Simulated| {
        vec![
            view.variant(one.id),
            one.replications.to_string(),
            view.amount(one.cost),
            one.tie_break
                .map_or_else(|| number::MISSING.to_owned(), |value| number::value(tie_break.unit(), value)),
            outcome(one),
        ]
    };
    let simulated = &view.plan.path.simulated;
    let remark = match simulated.len() > MOST_ROWS {
        true => format!("The first {MOST_ROWS} of {}; plan.json has all.", simulated.len()),
        false => String::new(),
    };
    Table {
        remark,
        ..Table::new(
            &["settings", "replications", "cost", tie_break.name(), "outcome"],
            simulated.iter().take(MOST_ROWS).map(row).collect(),
        )
    }
}

const LEFT: f64 = 40.0;
const LANE_NAME: f64 = 22.0;
const LANE_GAP: f64 = 12.0;
/// Room for a mark.
const MARK: f64 = 11.0;
/// A lane is no higher, however many candidates it has.
const MOST_LANE: f64 = 88.0;
const MOST_ROWS: usize = 200;
