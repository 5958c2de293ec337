//! Shared by the charts of a sweep: the star of the best variant, and the spacing of labels.

use crate::report::kit::palette::Colour;
use crate::report::kit::picture::{Anchor, Font, Picture, Point};
use crate::report::kit::plot::Flow;

/// A five-pointed star that is visible on any colour.
pub(super) fn star(picture: &mut Picture, (x, y): Point, radius: f64) {
    let points: Vec<Point> = (0..10)
        .map(|corner| {
            let angle = std::f64::consts::PI * (f64::from(corner) / 5.0 - 0.5);
            let radius = if corner % 2 == 0 { radius } else { radius * 0.45 };
            (x + radius * angle.cos(), y + radius * angle.sin())
        })
        .collect();
    let outline: Vec<Point> = points.iter().chain(&points[..2]).copied().collect();
    picture.line(outline.clone(), Colour::Paper, 4.0);
    picture.area(points, Colour::Caution, 1.0);
    picture.line(outline, Colour::Ink, 1.2);
}

/// An entry of a key: the colours from a low to a high figure.
pub(super) fn scale(
    picture: &mut Picture,
    flow: &mut Flow,
    (low, high): (&str, &str),
    steps: u8,
    swatch: f64,
) {
    let [low_width, high_width] = [low, high].map(|text| Font::SMALL.width_of(text));
    let colours = f64::from(steps) * swatch;
    let (x, y) = flow.take(low_width + 8.0 + colours + if steps > 1 { 8.0 + high_width } else { 0.0 });
    picture.label((x, y), low, Font::SMALL, Anchor::Start);
    for step in 0..steps {
        let from = x + low_width + 8.0 + f64::from(step) * swatch;
        picture.rect((from, y - 8.0), (from + swatch + 0.5, y + 8.0), Colour::Step(step), 1.0);
    }
    if steps > 1 {
        picture.label((x + low_width + colours + 16.0, y), high, Font::SMALL, Anchor::Start);
    }
}

/// The smallest step at which labels beside one another, each in a place of that width, keep a gap.
pub(super) fn every(labels: &[String], place: f64) -> usize {
    let widest = labels.iter().map(|label| Font::SMALL.width_of(label)).fold(0.0, f64::max);
    every_fitting(widest + 14.0, place, labels.len())
}

/// The smallest of 1, 2, 5 times a power of ten places that has that much room.
pub(super) fn every_fitting(needed: f64, place: f64, count: usize) -> usize {
    let steps = (0..).flat_map(|power| [1, 2, 5].map(|factor| factor * 10_usize.pow(power)));
    let mut fitting = steps.skip_while(|&step| step < count && (step as f64) * place < needed);
    fitting.next().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_thin_out_where_there_is_no_room() {
        assert_eq!(every_fitting(40.0, 50.0, 10), 1);
        assert_eq!(every_fitting(40.0, 25.0, 10), 2);
        assert_eq!(every_fitting(40.0, 3.0, 200), 20);
    }
}
