//! Drawing in SVG: shapes with classes, text in sans-serif.

use std::fmt::Write as _;

/// The width of every drawing.
pub const WIDTH: f64 = 760.0;

/// Where a text is held.
#[derive(Clone, Copy, Debug)]
pub enum Anchor {
    /// At its start.
    Start,
    /// In its middle.
    Middle,
    /// At its end.
    End,
}

impl Anchor {
    const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Middle => "middle",
            Self::End => "end",
        }
    }
}

/// A drawing that grows.
#[derive(Debug)]
pub struct Canvas {
    shapes: String,
    height: f64,
    label: String,
}

impl Canvas {
    /// An empty drawing of this height; `label` says what it shows to those who cannot see it.
    pub fn new(height: f64, label: &str) -> Self {
        Self { shapes: String::new(), height, label: escaped(label) }
    }

    /// A rectangle, from its upper left corner.
    pub fn rect(&mut self, class: &str, (x, y): (f64, f64), (width, height): (f64, f64)) {
        let (width, height) = (width.max(0.0), height.max(0.0));
        self.push(format_args!(
            r#"<rect class="{class}" x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}"/>"#
        ));
    }

    /// A straight line.
    pub fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        self.push(format_args!(
            r#"<line class="{class}" x1="{:.1}" y1="{:.1}" x2="{:.1}" y2="{:.1}"/>"#,
            from.0, from.1, to.0, to.1
        ));
    }

    /// A line through all `points`.
    pub fn polyline(&mut self, class: &str, points: &[(f64, f64)]) {
        let mut list = String::new();
        for (x, y) in points {
            // Writing to a string does not fail.
            let _ = write!(list, "{x:.1},{y:.1} ");
        }
        self.push(format_args!(r#"<polyline class="{class}" points="{}"/>"#, list.trim_end()));
    }

    /// A dot.
    pub fn dot(&mut self, class: &str, (x, y): (f64, f64)) {
        self.push(format_args!(r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="4"/>"#));
    }

    /// A line of text, held at a point of its base line.
    pub fn text(&mut self, class: &str, anchor: Anchor, (x, y): (f64, f64), text: &str) {
        self.push(format_args!(
            r#"<text class="{class}" text-anchor="{}" x="{x:.1}" y="{y:.1}">{}</text>"#,
            anchor.name(),
            escaped(text)
        ));
    }

    /// Names of series in a row, from `at` on to the right.
    pub fn legend(&mut self, (x, y): (f64, f64), series: &[(&str, &str)]) {
        let mut x = x;
        for (class, name) in series {
            self.rect(class, (x, y - 9.0), (10.0, 10.0));
            self.text("label", Anchor::Start, (x + 15.0, y), name);
            // The widest glyphs of the font are not all that wide.
            x += 33.0 + 7.2 * name.chars().count() as f64;
        }
    }

    fn push(&mut self, shape: std::fmt::Arguments<'_>) {
        // Writing to a string does not fail.
        let _ = self.shapes.write_fmt(shape);
        self.shapes.push('\n');
    }

    /// The drawing as an SVG element.
    pub fn finish(self) -> String {
        let Self { shapes, height, label } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-label=\"{label}\">\n\
             <rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\"/>\n{shapes}</svg>"
        )
    }
}

/// Room for a title above a drawing.
const TITLE: f64 = 36.0;

/// `drawing`, a finished one, with a title above it and a style sheet.
pub(super) fn titled(title: &str, drawing: &str, style: &str) -> String {
    let height = drawing.split("height=\"").nth(1).and_then(|rest| rest.split('"').next());
    let height = height.and_then(|height| height.parse().ok()).unwrap_or(WIDTH) + TITLE;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\">\n<style>\n{style}</style>\n\
         <rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\"/>\n\
         <text class=\"title\" x=\"16\" y=\"28\">{}</text>\n\
         <g transform=\"translate(0 {TITLE})\">\n{drawing}\n</g></svg>\n",
        escaped(title)
    )
}

/// Text as it may stand in XML.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
