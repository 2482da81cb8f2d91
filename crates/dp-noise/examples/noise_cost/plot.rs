//! Two plots side by side, both axes logarithmic, as one SVG.

use std::fmt::Write as _;

/// One plot.
pub(crate) struct Panel {
    /// Above it.
    pub(crate) title: &'static str,
    /// One line a mechanism: (shards, noise).
    pub(crate) lines: Vec<Vec<(f64, f64)>>,
}

const WIDTH: f64 = 400.0;
const HEIGHT: f64 = 330.0;
const MARGIN: f64 = 62.0;
const SHARDS: (f64, f64) = (4.5, 110.0);
const NOISE: (f64, f64) = (1e3, 1e6);
/// Told apart without relying on colour: dashes as well.
const STYLES: [(&str, &str); 4] =
    [("#0b6e4f", ""), ("#5b8c5a", "2 3"), ("#b5651d", "8 4"), ("#7a1f5c", "12 4 2 4")];

/// Draws the panels with one legend below.
pub(crate) fn svg(panels: &[Panel], names: &[&str]) -> String {
    let (width, height) = (panels.len() as f64 * (WIDTH + MARGIN) + 20.0, HEIGHT + 130.0);
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"13\" fill=\"#222\">\n\
         <title>Least noise of each mechanism for the same guarantee</title>\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    for (index, panel) in panels.iter().enumerate() {
        draw(&mut text, panel, MARGIN + index as f64 * (WIDTH + MARGIN));
    }
    let slot = (width - MARGIN) / names.len() as f64;
    for (index, name) in names.iter().enumerate() {
        let (x, y) = (MARGIN + index as f64 * slot, HEIGHT + 105.0);
        line(&mut text, &[(x, y - 4.0), (x + 34.0, y - 4.0)], STYLES[index % STYLES.len()]);
        label(&mut text, x + 40.0, y, "start", name);
    }
    text + "</svg>\n"
}

fn draw(text: &mut String, panel: &Panel, left: f64) {
    let top = 40.0;
    let share = |value: f64, range: (f64, f64)| (value / range.0).ln() / (range.1 / range.0).ln();
    let x = |shards: f64| left + WIDTH * share(shards, SHARDS) - 10.0;
    let y = |noise: f64| top + HEIGHT * (1.0 - share(noise, NOISE));
    label(text, left + WIDTH / 2.0, 24.0, "middle", panel.title);
    let grid = ("#ddd", "");
    for (noise, name) in [(1e3, "1,000"), (1e4, "10,000"), (1e5, "100,000"), (1e6, "1,000,000")] {
        line(text, &[(x(SHARDS.0), y(noise)), (x(SHARDS.1), y(noise))], grid);
        label(text, x(SHARDS.0) - 5.0, y(noise) + 4.0, "end", name);
    }
    for shards in [5.0, 10.0, 20.0, 50.0, 100.0] {
        line(text, &[(x(shards), top), (x(shards), top + HEIGHT)], grid);
        label(text, x(shards), top + HEIGHT + 18.0, "middle", &shards.to_string());
    }
    label(
        text,
        left + WIDTH / 2.0,
        top + HEIGHT + 38.0,
        "middle",
        "shards (noise deposits a round)",
    );
    for (points, style) in panel.lines.iter().zip(STYLES) {
        let points: Vec<_> = points.iter().map(|&(shards, noise)| (x(shards), y(noise))).collect();
        line(text, &points, style);
    }
}

fn line(text: &mut String, points: &[(f64, f64)], (colour, dashes): (&str, &str)) {
    let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" \
         stroke-dasharray=\"{dashes}\"/>",
        points.join(" ")
    );
}

fn label(text: &mut String, x: f64, y: f64, anchor: &str, words: &str) {
    let _ =
        writeln!(text, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>");
}
