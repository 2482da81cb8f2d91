//! The curve as a drawing: both axes logarithmic.

use antiphon_plot::{Anchor, Area, Canvas, Scale, WIDTH, alone};

use super::{Curve, Point, Published};

const AREA: Area = Area { left: 70.0, right: WIDTH - 24.0, top: 62.0, bottom: 380.0 };

/// An SVG document. Long, as a drawing is read in the order in which it is drawn.
pub(super) fn draw(curve: &Curve) -> String {
    let along = |users: u64, shards: usize| match curve.over {
        "users" => users as f64,
        _ => shards as f64,
    };
    let ours: Vec<_> = curve
        .points
        .iter()
        .map(|Point { users, shards, round, .. }| (along(*users, *shards), round.latency_ms * 1e-3))
        .collect();
    let karaoke: Vec<_> = curve
        .karaoke
        .iter()
        .map(|Published { users, shards, latency_ms }| (along(*users, *shards), latency_ms * 1e-3))
        .collect();
    let all = || ours.iter().chain(&karaoke);
    let x = Scale::over(all().map(|point| point.0));
    let y = Scale::over(all().map(|point| point.1));
    let at = |&(value, seconds): &(f64, f64)| (AREA.x(x.place(value)), AREA.y(y.place(seconds)));

    let title = format!("Latency against {}", curve.over);
    let mut canvas = Canvas::new(AREA.bottom + 100.0, &title);
    AREA.upright(&mut canvas, &y, "seconds");
    AREA.along(&mut canvas, &x, curve.over);
    let line: Vec<_> = ours.iter().map(at).collect();
    canvas.polyline("line s0", &line);
    line.iter().for_each(|point| canvas.dot("s0", *point));
    let mut legend = vec![("s0", "Antiphon, predicted")];
    for (x, y) in karaoke.iter().map(at) {
        canvas.rect("s3", (x - 4.0, y - 4.0), (8.0, 8.0));
    }
    if !karaoke.is_empty() {
        legend.push(("s3", "Karaoke, as published"));
    }
    canvas.legend((AREA.left, 22.0), &legend);
    for (line, row) in curve.about().lines().zip(0u32..) {
        let at = (8.0, AREA.bottom + 60.0 + 15.0 * f64::from(row));
        canvas.text("tick", Anchor::Start, at, line);
    }
    alone(&title, &canvas.finish())
}
