//! Drawings as SVG: shapes with classes, whose colours come from a style sheet.
//!
//! A page shows a drawing in colours of its own. A drawing that stands alone brings its own, through
//! [`alone`].

mod axis;
mod canvas;

pub(crate) use canvas::escaped;

pub use axis::{Area, Scale};
pub use canvas::{Anchor, Canvas, WIDTH};

/// The colours of drawings that stand alone: those of the page in the light.
const LIGHT: &str = include_str!("../assets/light.css");

/// `drawing`, a finished one, as a document of its own: with a title above it, and its colours.
pub fn alone(title: &str, drawing: &str) -> String {
    canvas::titled(title, drawing, LIGHT)
}
