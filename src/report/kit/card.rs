//! The summary card: what stands at the top of a page, and as a picture of its own beside it, to be sent to people who read
//! nothing else.
//!
//! What went wrong stands first: refused, lost and waiting jobs before those that were done, and the verdict never alone.

use maud::{Markup, html};

use super::chart::{Chart, Drawn, Table};
use super::number;
use super::palette::Colour;
use super::picture::{Anchor, Font, Picture};
use super::sheet::Sheet;
use super::text::capitalised;
use super::traffic::{self, Tone};
use crate::experiment::summary::SloResult;
use crate::experiment::traffic::{Fates, Part};

/// What a card says.
#[derive(Clone, Debug)]
pub(crate) struct Card {
    pub(crate) title: String,
    pub(crate) tone: Tone,
    /// The verdict with its sign.
    pub(crate) verdict: String,
    /// What must be known before any figure, such as that a run was interrupted.
    pub(crate) remarks: Vec<String>,
    /// What the figures are shares of, or the answer where there are none.
    pub(crate) lead: Vec<String>,
    /// The large figures, what is bad first.
    pub(crate) tiles: Vec<Tile>,
    /// Why it is so.
    pub(crate) why: Vec<String>,
    /// Further facts by name.
    pub(crate) facts: Vec<(&'static str, String)>,
    /// What the figures rest on, and by which digest they are known again.
    pub(crate) basis: String,
}

/// A large figure.
#[derive(Clone, Debug)]
pub(crate) struct Tile {
    pub(crate) figure: String,
    pub(crate) what: &'static str,
    /// Its part of the bar, from 0 to 1; 0 where it is no part of a whole.
    pub(crate) share: f64,
    /// Whether it is something bad that happened.
    pub(crate) is_harm: bool,
}

impl Tile {
    /// What became of the traffic: what was refused and lost first, what was done last.
    pub(crate) fn of(fates: &Fates) -> Vec<Self> {
        let mut parts = traffic::parts(fates);
        if !parts.iter().any(|(name, _)| *name == WAITING) {
            parts.push((WAITING, fates.in_system));
        }
        let (done, mut rest): (Vec<_>, Vec<_>) =
            parts.into_iter().partition(|(name, _)| name.starts_with("done") && !name.ends_with("late"));
        // Refused, lost and waiting are told always.
        rest.sort_by_key(|(name, _)| {
            ["refused", "lost", WAITING].iter().position(|told| told == name).unwrap_or(3)
        });
        let tile = |(what, part): (&'static str, Part)| Self {
            figure: traffic::share(part),
            what,
            share: if part.jobs > 0.0 { part.share } else { 0.0 },
            is_harm: part.jobs > 0.0 && ["refused", "lost", "failed", "done too late"].contains(&what),
        };
        rest.into_iter().chain(done).map(tile).collect()
    }

    /// A figure that is no part of a whole.
    pub(crate) fn alone(figure: String, what: &'static str, is_harm: bool) -> Self {
        Self { figure, what, share: 0.0, is_harm }
    }

    fn colour(&self) -> (Colour, f64) {
        match self.what {
            "refused" => (Colour::Alert, 1.0),
            "lost" => (Colour::Ink, 1.0),
            "failed" => (Colour::Limit, 1.0),
            "done too late" => (Colour::Caution, 1.0),
            WAITING => (Colour::Faint, 0.8),
            _ => (Colour::Main, 0.65),
        }
    }

    /// Its class in the style sheet.
    fn class(&self) -> &'static str {
        match self.what {
            "refused" => "refused",
            "lost" => "lost",
            "failed" => "failed",
            "done too late" => "late",
            WAITING => "waiting",
            _ => "done",
        }
    }
}

impl Card {
    /// How many objectives are met, and how the others are not.
    pub(crate) fn objectives(results: &[SloResult]) -> String {
        if results.is_empty() {
            return "none are set".to_owned();
        }
        let count = |is: &dyn Fn(&SloResult) -> bool| results.iter().filter(|result| is(result)).count();
        let kinds = [
            (count(&|one| !one.pass && one.judged && !one.expected_miss), "missed"),
            (count(&|one| !one.pass && !one.judged), "not judged"),
            (count(&|one| one.pass && one.expected_miss), "met that should be missed"),
            (count(&|one| !one.pass && one.judged && one.expected_miss), "missed as expected"),
            (count(&|one| one.pass && !one.expected_miss), "met"),
        ];
        let told = kinds.iter().filter(|(count, _)| *count > 0).enumerate();
        let told = told.map(|(place, (count, what))| match place {
            0 => format!("{count} of {} {what}", results.len()),
            _ => format!("{count} {what}"),
        });
        told.collect::<Vec<_>>().join(", ")
    }

    /// The parts of the bar, if the tiles are parts of a whole.
    fn parts(&self) -> Vec<&Tile> {
        self.tiles.iter().filter(|tile| tile.share > 0.0).collect()
    }

    /// The card as markup for the top of a page, without the element around it.
    pub(crate) fn markup(&self) -> Markup {
        let parts = self.parts();
        html! {
            h1 { (self.title) } "\n"
            @for remark in &self.remarks { p class="interrupted" { (remark) } "\n" }
            @for sentence in &self.lead { p class="traffic" { (sentence) } "\n" }
            @if !parts.is_empty() {
                div class="parts" aria-hidden="true" {
                    @for tile in &parts {
                        span class=(tile.class()) style={ "flex-grow:" (format!("{:.4}", tile.share * 100.0)) } {}
                    }
                } "\n"
            }
            @if !self.tiles.is_empty() {
                ul class="tiles" { "\n"
                    @for tile in &self.tiles {
                        li class=[tile.is_harm.then_some("harm")] {
                            strong { (tile.figure) } " "
                            span { @if !parts.is_empty() { i class=(tile.class()) {} } (tile.what) }
                        } "\n"
                    }
                } "\n"
            }
            @for sentence in &self.why { p class="why" { (sentence) } "\n" }
            p { span class="badge" { (self.verdict) } } "\n"
            @if !self.facts.is_empty() {
                dl class="facts" { "\n"
                    @for (name, fact) in &self.facts { div { dt { (name) } dd { (fact) } } "\n" }
                } "\n"
            }
        }
    }

    /// The class of the element around it.
    pub(crate) fn class(&self) -> &'static str {
        match self.tone {
            Tone::Neutral => "none",
            Tone::Good => "pass",
            Tone::Caution => "caution",
            Tone::Bad => "fail",
        }
    }

    /// The card as a picture.
    pub(crate) fn picture(&self) -> Chart {
        let told = self.tiles.iter().map(|tile| format!("{} {}", tile.figure, tile.what)).collect::<Vec<_>>();
        Chart {
            name: NAME,
            title: format!("{}: {}", self.title, self.verdict),
            caption: capitalised(&[self.lead.join(" "), told.join(", "), self.why.join(" ")].join(" ")),
            table: Table::default(),
            drawn: Drawn::of(|sheet| self.draw(sheet)),
        }
    }

    fn draw(&self, sheet: &Sheet) -> Picture {
        let mut picture = Picture::on(sheet);
        let mut y = 34.0;
        for line in HEAD.wrapped(&self.title, sheet.width - LEFT - EDGE) {
            picture.label((LEFT, y), line, HEAD, Anchor::Start);
            y += 32.0;
        }
        y = self.draw_lines(&mut picture, y, &self.remarks, Font::TEXT.bold().coloured(Colour::Alert));
        y = self.draw_lines(&mut picture, y, &self.lead, LEAD);
        y = self.draw_parts(&mut picture, y);
        y = self.draw_tiles(&mut picture, y);
        y = self.draw_lines(&mut picture, y, &self.why, Font::TEXT);
        y = self.draw_verdict(&mut picture, y + 6.0);
        for (name, fact) in &self.facts {
            picture.label((LEFT, y), *name, Font::TEXT.coloured(Colour::Faint), Anchor::Start);
            let indent = sheet.pick(190.0, 0.0);
            y += sheet.pick(0.0, LINE);
            for line in Font::TEXT.wrapped(fact, sheet.width - LEFT - indent - EDGE) {
                picture.label((LEFT + indent, y), line, Font::TEXT, Anchor::Start);
                y += LINE;
            }
            y += 3.0;
        }
        let height =
            self.draw_lines(&mut picture, y + 6.0, std::slice::from_ref(&self.basis), Font::SMALL) + 2.0;
        picture.rect((0.0, 0.0), (STRIPE, height), self.colour(), 1.0);
        let corners = [(0.0, 0.0), (sheet.width, 0.0), (sheet.width, height), (0.0, height), (0.0, 0.0)];
        picture.line(corners.to_vec(), Colour::Grid, 2.0);
        picture.end(height)
    }

    fn draw_lines(&self, picture: &mut Picture, mut y: f64, texts: &[String], font: Font) -> f64 {
        for text in texts {
            for line in font.wrapped(text, picture.width - LEFT - EDGE) {
                picture.label((LEFT, y), line, font, Anchor::Start);
                y += font.size * 1.4;
            }
            y += 4.0;
        }
        y
    }

    /// The parts of all traffic beside one another, as wide as their shares, and none invisible.
    fn draw_parts(&self, picture: &mut Picture, y: f64) -> f64 {
        let parts = self.parts();
        if parts.is_empty() {
            return y;
        }
        let whole = picture.width - LEFT - EDGE;
        let free = whole - LEAST * parts.len() as f64;
        let mut x = LEFT;
        for tile in parts {
            let width = LEAST + tile.share * free;
            let (colour, opacity) = tile.colour();
            picture.rect((x, y - 4.0), (x + width, y + 18.0), colour, opacity);
            x += width;
        }
        y + 46.0
    }

    fn draw_tiles(&self, picture: &mut Picture, mut y: f64) -> f64 {
        let has_parts = !self.parts().is_empty();
        let (mut x, mut is_last_row_open) = (LEFT, false);
        for tile in &self.tiles {
            let what_left = if has_parts { SWATCH } else { 0.0 };
            let width =
                FIGURE.width_of(&tile.figure).max(Font::TEXT.width_of(tile.what) + what_left) + TILE_GAP;
            if x > LEFT && x + width > picture.width {
                (x, y) = (LEFT, y + TILE);
            }
            let ink = if tile.is_harm { Colour::Alert } else { Colour::Ink };
            picture.label((x, y), tile.figure.clone(), FIGURE.coloured(ink), Anchor::Start);
            if has_parts {
                let (colour, opacity) = tile.colour();
                picture.rect((x, y + 22.0), (x + 11.0, y + 33.0), colour, opacity);
            }
            picture.label((x + what_left, y + 27.0), tile.what, Font::TEXT, Anchor::Start);
            x += width;
            is_last_row_open = true;
        }
        if is_last_row_open { y + TILE } else { y }
    }

    fn draw_verdict(&self, picture: &mut Picture, y: f64) -> f64 {
        // Letters in the colour of caution could not be read on white.
        let font = if self.tone == Tone::Caution { LEAD } else { LEAD.coloured(self.colour()) };
        let lines = font.wrapped(&self.verdict, picture.width - LEFT - EDGE - 24.0);
        let widest = lines.iter().map(|line| font.width_of(line)).fold(0.0, f64::max);
        let (right, bottom) = (LEFT + widest + 24.0, y + 8.0 + LINE * lines.len() as f64);
        let corners =
            [(LEFT, y - 12.0), (right, y - 12.0), (right, bottom), (LEFT, bottom), (LEFT, y - 12.0)];
        picture.line(corners.to_vec(), self.colour(), 2.0);
        for (row, line) in lines.into_iter().enumerate() {
            picture.label((LEFT + 12.0, y + 8.0 + row as f64 * LINE), line, font, Anchor::Start);
        }
        bottom + 26.0
    }

    fn colour(&self) -> Colour {
        match self.tone {
            Tone::Neutral => Colour::Faint,
            Tone::Good => Colour::Good,
            Tone::Caution => Colour::Caution,
            Tone::Bad => Colour::Alert,
        }
    }
}

/// The sign before a verdict.
pub(crate) fn sign(tone: Tone) -> &'static str {
    match tone {
        Tone::Neutral => "",
        Tone::Good => "✓ ",
        Tone::Caution => "⚠ ",
        Tone::Bad => "✗ ",
    }
}

/// A depth beside the level that it must not reach: `50 034 of critical 50 000`.
pub(crate) fn against(figure: &str, level: Option<(&str, f64)>) -> String {
    match level {
        Some((name, depth)) => format!("{figure} jobs, {name} is {}", number::grouped(depth, 0)),
        None => format!("{figure} jobs, the policy is switched off"),
    }
}

/// Name of the files of the card.
pub(crate) const NAME: &str = "summary";

const WAITING: &str = "still waiting";
const HEAD: Font = Font { size: 27.0, bold: true, colour: Colour::Ink };
const LEAD: Font = Font { size: 18.0, bold: true, colour: Colour::Ink };
const FIGURE: Font = Font { size: 32.0, bold: true, colour: Colour::Ink };
const STRIPE: f64 = 10.0;
const LEFT: f64 = 32.0;
const EDGE: f64 = 24.0;
const LINE: f64 = 22.0;
/// Height of a row of tiles.
const TILE: f64 = 66.0;
const TILE_GAP: f64 = 44.0;
const SWATCH: f64 = 18.0;
/// Width of a part that is next to nothing.
const LEAST: f64 = 3.0;
