#![doc = include_str!("../README.md")]

mod axis;
mod canvas;

pub use axis::{Area, Scale};
pub use canvas::{Anchor, Canvas, WIDTH, escaped};

/// The colours of drawings that stand alone: those of a load test's page in the light.
const LIGHT: &str = include_str!("../assets/light.css");

/// `drawing`, a finished one, as a document of its own: with a title above it, and its colours.
pub fn alone(title: &str, drawing: &str) -> String {
    canvas::titled(title, drawing, LIGHT)
}
