//! How the search narrowed thousands of candidates down to one: one bar per stage, on a logarithmic scale.

use crate::report::kit::chart::{Chart, Drawn, Table};
use crate::report::kit::palette::Colour;
use crate::report::kit::picture::{Anchor, Font, Picture};
use crate::report::kit::plot;
use crate::report::kit::sheet::{self, Sheet};
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
        drawn: Drawn::of(|sheet| draw(sheet, view, &stages, &title)),
        title,
    }
}

fn draw(sheet: &Sheet, view: &View<'_>, stages: &[Stage], title: &str) -> Picture {
    let rows: Vec<usize> = stages.iter().map(|stage| stage.notes.len().min(MOST_NOTES)).collect();
    let mut picture = Picture::on(sheet);
    // On a narrow sheet the names of stages stand above their bars.
    let edge = sheet.pick(LEFT, sheet::MARGIN);
    let ending = match (view.ending(), &view.plan.choice) {
        (Ending::Nothing, _) | (_, None) => "No candidate meets the objectives".to_owned(),
        (_, Some(choice)) => sentence(&view.guarantee(choice)),
    };
    let top = plot::heading(&mut picture, sheet, title, &format!("{ending}."));
    let most = stages.iter().map(|stage| stage.left).max().unwrap_or(1);
    let length = |left: usize| match left {
        0 => 0.0,
        // One candidate still has a bar.
        left => ((left as f64).ln() + 1.0) / ((most as f64).ln() + 1.0) * (sheet.right - edge),
    };
    let mut y = top + GAP;
    for (stage, notes) in stages.iter().zip(rows) {
        let colour = if stage.name == "chosen" { Colour::Good } else { Colour::Main };
        let end = edge + length(stage.left);
        if sheet.is_narrow() {
            picture.label((edge, y + NOTE / 2.0), stage.name, Font::TEXT, Anchor::Start);
            y += NOTE + 3.0;
        } else {
            picture.label((edge - 10.0, y + BAR / 2.0), stage.name, Font::TEXT, Anchor::End);
        }
        let middle = y + BAR / 2.0;
        if stage.left > 0 {
            picture.rect((edge, y), (end, y + BAR), colour, 0.85);
        } else {
            picture.line(vec![(edge, y), (edge, y + BAR)], Colour::Alert, 3.0);
        }
        picture.label((end + 8.0, middle), plain(stage.left), Font::TEXT.bold(), Anchor::Start);
        y += BAR;
        for (index, note) in stage.notes.iter().take(notes).enumerate() {
            let hidden = stage.notes.len() - notes;
            let is_last = index + 1 == notes && hidden > 0;
            let text = if is_last { format!("{note}; and {hidden} more") } else { note.clone() };
            for line in Font::SMALL.wrapped(&text, sheet.width - edge - sheet::MARGIN) {
                picture.label((edge, y + NOTE / 2.0 + 2.0), line, Font::SMALL, Anchor::Start);
                y += NOTE;
            }
        }
        y += GAP;
    }
    picture.end(y + 4.0)
}

fn sentence(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map(|first| first.to_uppercase().chain(characters).collect()).unwrap_or_default()
}

const LEFT: f64 = 190.0;
const BAR: f64 = 26.0;
const NOTE: f64 = 18.0;
const GAP: f64 = 16.0;
/// Reasons written below a bar; the table has all.
const MOST_NOTES: usize = 4;
