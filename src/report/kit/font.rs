//! The font that labels are measured by and PNGs are painted with: DejaVu Sans, which is part of the program.
//!
//! A width is the sum of advances and kerning; ligatures are ignored.

use std::sync::LazyLock;

use skrifa::charmap::Charmap;
use skrifa::instance::{LocationRef, Size};
use skrifa::metrics::GlyphMetrics;
use skrifa::raw::TableProvider;
use skrifa::raw::tables::kern::{Subtable, SubtableKind};
use skrifa::{FontRef, GlyphId, MetadataProvider};

/// Its family name.
#[cfg(feature = "png")]
pub(super) const FAMILY: &str = "DejaVu Sans";
pub(super) const REGULAR: fn() -> &'static [u8] = dejavu::sans::regular;
pub(super) const BOLD: fn() -> &'static [u8] = dejavu::sans::bold;

/// Width of a text in whole pixels; `height` is the line height, from ascender to descender.
pub(super) fn width(text: &str, is_bold: bool, height: f64) -> u32 {
    static FACES: LazyLock<[Face; 2]> = LazyLock::new(|| [REGULAR, BOLD].map(|bytes| Face::of(bytes())));
    let face = &FACES[usize::from(is_bold)];
    let scale = height as f32 / face.height;
    let mut width = 0.0_f32;
    let mut previous = None;
    for character in text.chars() {
        // Missing characters are painted as glyph 0, a box.
        let glyph = face.characters.map(character).unwrap_or_default();
        width += scale * face.advances.advance_width(glyph).unwrap_or(0.0);
        if let Some(previous) = previous {
            width += scale * face.kerning(previous, glyph) as f32;
        }
        previous = Some(glyph);
    }
    width as u32
}

/// The parts of a font needed for measuring, in font units.
struct Face {
    font: FontRef<'static>,
    characters: Charmap<'static>,
    advances: GlyphMetrics<'static>,
    /// From ascender to descender.
    height: f32,
}

impl Face {
    fn of(bytes: &'static [u8]) -> Self {
        let font = FontRef::new(bytes).expect("the bundled font is a valid font");
        let (unscaled, usual) = (Size::unscaled(), LocationRef::default());
        let metrics = font.metrics(unscaled, usual);
        Self {
            characters: font.charmap(),
            advances: font.glyph_metrics(unscaled, usual),
            height: metrics.ascent - metrics.descent,
            font,
        }
    }

    /// Extra distance between two letters; negative if they move closer.
    fn kerning(&self, left: GlyphId, right: GlyphId) -> i32 {
        let Ok(table) = self.font.kern() else { return 0 };
        let horizontal = table.subtables().flatten().filter(Subtable::is_horizontal);
        let pairs = horizontal.filter_map(|table| match table.kind() {
            Ok(SubtableKind::Format0(pairs)) => Some(pairs),
            _ => None,
        });
        pairs.filter_map(|pairs| pairs.kerning(left, right)).next().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_as_wide_as_their_letters() {
        assert_eq!(width("", false, 100.0), 0);
        assert_eq!(width("iiii", false, 100.0), 95);
        assert!(width("peak depth", true, 100.0) > width("peak depth", false, 100.0));
        assert!(width("AV", false, 1000.0) < 2 * width("A", false, 1000.0), "letters that fit are closer");
    }
}
