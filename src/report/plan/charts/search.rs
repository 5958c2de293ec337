//! How the search narrowed thousands of candidates down to one: one bar per stage, on a logarithmic scale.

use crate::report::kit::chart::{Chart, Table};
use crate::report::kit::palette::Colour;
use crate::report::kit::picture::{Anchor, Font, Picture};
use crate::report::kit::plot;
use crate::report::plan::view::{Ending, Stage, View, plain};

pub(super) fn chart(view: &View<'_>) -> Chart {
    let title = "How the search went".to_owned();
    let stages = view.stages();
    let row = |stage: &Stage| vec![stage.name.to_owned(), plain(stage.left), stage.notes.join("; ")];
    Chart {
        name: "search",
        caption: format!(
            "Candidates left after each stage; the length of a bar grows with the logarithm of their number, and a stage \
             without any has none. {}",
            view.effort()
        ),
        table: Table::new(&["stage", "left", "what happened"], stages.iter().map(row).collect()),
        picture: draw(view, &stages, &title),
        title,
    }
}

fn draw(view: &View<'_>, stages: &[Stage], title: &str) -> Picture {
    let rows: Vec<usize> = stages.iter().map(|stage| stage.notes.len().min(MOST_NOTES)).collect();
    let heights = rows.iter().map(|notes| BAR + *notes as f64 * NOTE + GAP);
    let mut picture = Picture::new(plot::WIDTH, TOP + heights.sum::<f64>() + 4.0);
    let ending = match (view.ending(), &view.plan.choice) {
        (Ending::Nothing, _) | (_, None) => "No candidate meets the objectives".to_owned(),
        (_, Some(choice)) => sentence(&view.guarantee(choice)),
    };
    plot::heading(&mut picture, title, &Font::SMALL.shortened(&format!("{ending}."), plot::WIDTH - 24.0));
    let most = stages.iter().map(|stage| stage.left).max().unwrap_or(1);
    let length = |left: usize| match left {
        0 => 0.0,
        // One candidate still has a bar.
        left => ((left as f64).ln() + 1.0) / ((most as f64).ln() + 1.0) * (plot::RIGHT - LEFT),
    };
    let mut y = TOP;
    for (stage, notes) in stages.iter().zip(rows) {
        let colour = if stage.name == "chosen" { Colour::Good } else { Colour::Main };
        let end = LEFT + length(stage.left);
        let middle = y + BAR / 2.0;
        picture.label((LEFT - 10.0, middle), stage.name, Font::TEXT, Anchor::End);
        if stage.left > 0 {
            picture.rect((LEFT, y), (end, y + BAR), colour, 0.85);
        } else {
            picture.line(vec![(LEFT, y), (LEFT, y + BAR)], Colour::Alert, 3.0);
        }
        picture.label((end + 8.0, middle), plain(stage.left), Font::TEXT.bold(), Anchor::Start);
        y += BAR;
        for (index, note) in stage.notes.iter().take(notes).enumerate() {
            let hidden = stage.notes.len() - notes;
            let is_last = index + 1 == notes && hidden > 0;
            let text = if is_last { format!("{note}; and {hidden} more") } else { note.clone() };
            let text = Font::SMALL.shortened(&text, plot::WIDTH - LEFT - 12.0);
            picture.label((LEFT, y + NOTE / 2.0 + 2.0), text, Font::SMALL, Anchor::Start);
            y += NOTE;
        }
        y += GAP;
    }
    picture
}

fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

const TOP: f64 = plot::HEADING + 12.0;
const LEFT: f64 = 190.0;
const BAR: f64 = 26.0;
const NOTE: f64 = 18.0;
const GAP: f64 = 16.0;
/// Reasons written below a bar; the table has all.
const MOST_NOTES: usize = 4;
