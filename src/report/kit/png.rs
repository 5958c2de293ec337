//! Renders a chart's SVG to PNG with `resvg`, in the font by which labels are measured.
//!
//! System fonts are not used, so the same SVG gives the same bytes on every machine. Only this file uses
//! `resvg`; without the feature `png`, rendering returns an error.

/// Renders the picture `scale` times as large as the SVG's size.
#[cfg(feature = "png")]
pub(super) fn render(svg: &str, scale: f32) -> Result<Vec<u8>, String> {
    use resvg::{tiny_skia, usvg};
    let options = usvg::Options {
        font_family: super::font::FAMILY.to_owned(),
        fontdb: fonts(),
        ..usvg::Options::default()
    };
    let tree = usvg::Tree::from_str(svg, &options).map_err(|error| error.to_string())?;
    let size = tree.size().to_int_size().scale_by(scale).ok_or("the picture has no size")?;
    let mut picture =
        tiny_skia::Pixmap::new(size.width(), size.height()).ok_or("the picture is too large")?;
    resvg::render(&tree, tiny_skia::Transform::from_scale(scale, scale), &mut picture.as_mut());
    picture.encode_png().map_err(|error| error.to_string())
}

#[cfg(feature = "png")]
fn fonts() -> std::sync::Arc<resvg::usvg::fontdb::Database> {
    use std::sync::{Arc, LazyLock};
    static FONTS: LazyLock<Arc<resvg::usvg::fontdb::Database>> = LazyLock::new(|| {
        let mut fonts = resvg::usvg::fontdb::Database::new();
        for bytes in [super::font::REGULAR, super::font::BOLD] {
            fonts.load_font_data(bytes().to_vec());
        }
        Arc::new(fonts)
    });
    FONTS.clone()
}

/// Reports that PNG support was not built.
#[cfg(not(feature = "png"))]
pub(super) fn render(_svg: &str, _scale: f32) -> Result<Vec<u8>, String> {
    Err("this program was built without the feature `png`".to_owned())
}

#[cfg(all(test, feature = "png"))]
mod tests {
    use super::*;
    use resvg::tiny_skia::Pixmap;

    fn painted(text: &str) -> Pixmap {
        let svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"60\" height=\"20\" viewBox=\"0 0 240 80\">\
             <rect width=\"240\" height=\"80\" fill=\"#FFFFFF\"/>\
             <text x=\"8\" y=\"40\" font-family=\"system-ui, Arial, DejaVu Sans\" font-size=\"48\">{text}</text></svg>"
        );
        let png = render(&svg, 2.0).expect("a picture");
        assert_eq!(png, render(&svg, 2.0).expect("the same picture"));
        Pixmap::decode_png(&png).expect("a PNG")
    }

    #[test]
    fn labels_are_painted_with_the_bundled_font() {
        let (blank, picture) = (painted(""), painted("depth"));
        assert_eq!((picture.width(), picture.height()), (120, 40));
        let is_ink = |picture: &Pixmap| picture.pixels().iter().filter(|pixel| pixel.red() < 128).count();
        assert!(is_ink(&blank) == 0 && is_ink(&picture) > 100, "no letter was painted");
    }
}
