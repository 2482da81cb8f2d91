//! The curve as a drawing: both axes logarithmic.

use std::fmt::Write as _;

use super::{Curve, Point, Published};
use crate::plan::axis::{Axis, short};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 460.0;
/// Left, right, top and bottom of what is inside the axes.
const LEFT: f64 = 70.0;
const RIGHT: f64 = WIDTH - 20.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = HEIGHT - 96.0;

/// An SVG document.
pub(super) fn draw(curve: &Curve) -> String {
    let along = |users: u64, shards: usize| match curve.over {
        "users" => users as f64,
        _ => shards as f64,
    };
    let ours: Vec<_> = curve
        .points
        .iter()
        .map(|Point { users, shards, round, .. }| {
            (along(*users, *shards), round.predicted_latency_ms * 1e-3)
        })
        .collect();
    let karaoke: Vec<_> = curve
        .karaoke
        .iter()
        .map(|Published { users, shards, latency_ms }| (along(*users, *shards), latency_ms * 1e-3))
        .collect();
    let all = || ours.iter().chain(&karaoke);
    let x = Axis::over(all().map(|point| point.0), (LEFT, RIGHT));
    let y = Axis::over(all().map(|point| point.1), (BOTTOM, TOP));

    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    // Writing to a string does not fail.
    let _ = axes(&mut svg, curve.over, x, y);
    let at = |&(value, seconds): &(f64, f64)| (x.place(value), y.place(seconds));
    let line: Vec<_> = ours.iter().map(at).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let _ = writeln!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#1f6feb\" stroke-width=\"2\"/>",
        line.join(" ")
    );
    for (x, y) in ours.iter().map(at) {
        let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"#1f6feb\"/>");
    }
    for (x, y) in karaoke.iter().map(at) {
        let _ = writeln!(
            svg,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"8\" height=\"8\" fill=\"#d1242f\"/>",
            x - 4.0,
            y - 4.0
        );
    }
    let _ = legend(&mut svg, curve, !karaoke.is_empty());
    svg + "</svg>\n"
}

fn axes(svg: &mut String, over: &str, x: Axis, y: Axis) -> std::fmt::Result {
    for tick in x.ticks() {
        let at = x.place(tick);
        writeln!(
            svg,
            "<line x1=\"{at:.1}\" y1=\"{TOP}\" x2=\"{at:.1}\" y2=\"{BOTTOM}\" stroke=\"#ddd\"/>\
             <text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            BOTTOM + 16.0,
            short(tick)
        )?;
    }
    for tick in y.ticks() {
        let at = y.place(tick);
        writeln!(
            svg,
            "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{RIGHT}\" y2=\"{at:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 6.0,
            at + 4.0,
            short(tick)
        )?;
    }
    writeln!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{over}</text>\n\
         <text x=\"{LEFT}\" y=\"{}\">latency of a round, seconds</text>",
        f64::midpoint(LEFT, RIGHT),
        BOTTOM + 34.0,
        TOP - 24.0
    )
}

fn legend(svg: &mut String, curve: &Curve, with_karaoke: bool) -> std::fmt::Result {
    writeln!(
        svg,
        "<circle cx=\"{}\" cy=\"{}\" r=\"3\" fill=\"#1f6feb\"/>\
         <text x=\"{}\" y=\"{}\">Antiphon, predicted</text>",
        LEFT + 200.0,
        TOP - 28.0,
        LEFT + 208.0,
        TOP - 24.0
    )?;
    if with_karaoke {
        writeln!(
            svg,
            "<rect x=\"{}\" y=\"{}\" width=\"8\" height=\"8\" fill=\"#d1242f\"/>\
             <text x=\"{}\" y=\"{}\">Karaoke, as published</text>",
            LEFT + 370.0,
            TOP - 32.0,
            LEFT + 382.0,
            TOP - 24.0
        )?;
    }
    for (line, row) in curve.about().lines().zip(0u32..) {
        let at = BOTTOM + 54.0 + 14.0 * f64::from(row);
        let line = line.replace('&', "&amp;").replace('<', "&lt;");
        writeln!(svg, "<text x=\"8\" y=\"{at}\" fill=\"#555\" font-size=\"10\">{line}</text>")?;
    }
    Ok(())
}
