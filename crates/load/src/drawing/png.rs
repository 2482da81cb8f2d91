//! Drawings as pixels.

use std::sync::{Arc, LazyLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::fontdb::Database;
use resvg::usvg::{Options, Tree};

/// DejaVu Sans, reduced to what drawings say. Its licence is beside it.
const FONT: &[u8] = include_bytes!("../../assets/plot.ttf");
const FONT_FAMILY: &str = "DejaVu Sans";
/// Pixels for each unit of a drawing.
const ENLARGED: f32 = 2.0;

/// That font alone, so that drawings look the same on every machine.
static FONTS: LazyLock<Arc<Database>> = LazyLock::new(|| {
    let mut fonts = Database::new();
    fonts.load_font_data(FONT.to_vec());
    Arc::new(fonts)
});

/// Why a drawing cannot be painted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DrawError(String);

/// Paints an SVG document, such as [`alone`](super::alone) makes, as a PNG.
///
/// # Errors
/// If it is none.
pub fn png(svg: &str) -> Result<Vec<u8>, DrawError> {
    let options = Options {
        font_family: FONT_FAMILY.to_owned(),
        fontdb: Arc::clone(&FONTS),
        ..Options::default()
    };
    let tree = Tree::from_str(svg, &options).map_err(|error| DrawError(error.to_string()))?;
    let size = tree.size();
    let pixels = |length: f32| (length * ENLARGED).ceil() as u32;
    let mut pixmap = Pixmap::new(pixels(size.width()), pixels(size.height()))
        .ok_or_else(|| DrawError("it has no size".to_owned()))?;
    let transform = Transform::from_scale(ENLARGED, ENLARGED);
    resvg::render(&tree, transform, &mut pixmap.as_mut());
    pixmap.encode_png().map_err(|error| DrawError(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drawing::{Canvas, alone};

    #[test]
    fn text_has_its_glyphs_without_the_systems_fonts() {
        assert_eq!(FONTS.faces().next().unwrap().families[0].0, FONT_FAMILY);
        let drawn = |title: &str| png(&alone(title, &Canvas::new(40.0, "").finish())).unwrap();
        assert!(drawn("A title").starts_with(b"\x89PNG"));
        // Glyphs that are missing look all the same.
        let all: Vec<_> = (' '..='~').map(|glyph| drawn(&glyph.to_string())).collect();
        for (number, one) in all.iter().enumerate() {
            assert!(!all[..number].contains(one), "glyph {number} after the blank");
        }
    }

    #[test]
    fn what_is_no_drawing_is_refused() {
        for bad in ["", "<p>", "<svg", "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"0\"/>"] {
            assert!(png(bad).is_err(), "{bad}");
        }
    }
}
