//! The curve as a drawing: both axes logarithmic.

use antiphon_plot::{Anchor, Area, Canvas, Scale, WIDTH, alone};

use super::{Curve, Point, Published};

const AREA: Area = Area { left: 70.0, right: WIDTH - 24.0, top: 62.0, bottom: 380.0 };

/// An SVG document. Long, as a drawing is read in the order in which it is drawn.
pub(super) fn draw(curve: &Curve) -> String {
    let along = |users: u64, shards: usize, delay_ms: f64| match curve.over {
        "users" => users as f64,
        "delay" => delay_ms,
        _ => shards as f64,
    };
    let place = |point: &Point| along(point.users, point.shards, point.delay_ms);
    let ours: Vec<_> =
        curve.points.iter().map(|point| (place(point), point.round.latency_ms * 1e-3)).collect();
    let beat_of = |point: &Point| Some((place(point), point.beat?.latency_ms * 1e-3));
    let beats: Vec<_> = curve.points.iter().filter_map(beat_of).collect();
    let others: Vec<_> =
        curve.others.iter().map(|other| (other.users as f64, other.latency_ms * 1e-3)).collect();
    let karaoke: Vec<_> = curve
        .karaoke
        .iter()
        .map(|Published { users, shards, latency_ms }| {
            (along(*users, *shards, 0.0), latency_ms * 1e-3)
        })
        .collect();
    let all = || ours.iter().chain(&karaoke).chain(&beats).chain(&others);
    let x = Scale::over(all().map(|point| point.0));
    let y = Scale::over(all().map(|point| point.1));
    let at = |&(value, seconds): &(f64, f64)| (AREA.x(x.place(value)), AREA.y(y.place(seconds)));

    let title = format!("Latency against {}", curve.over);
    let mut canvas = Canvas::new(AREA.bottom + 100.0, &title);
    AREA.upright(&mut canvas, &y, "seconds");
    let unit =
        if curve.over == "delay" { "milliseconds from machine to machine" } else { curve.over };
    AREA.along(&mut canvas, &x, unit);
    let mut legend = Vec::new();
    for (class, points, name) in
        [("s0", &ours, "Antiphon, a round, predicted"), ("s1", &beats, "a beat, predicted")]
    {
        if points.is_empty() {
            continue;
        }
        let line: Vec<_> = points.iter().map(at).collect();
        canvas.polyline(&format!("line {class}"), &line);
        line.iter().for_each(|point| canvas.dot(class, *point));
        legend.push((class, name));
    }
    for (x, y) in karaoke.iter().map(at) {
        canvas.rect("s3", (x - 4.0, y - 4.0), (8.0, 8.0));
    }
    if !karaoke.is_empty() {
        legend.push(("s3", "Karaoke, as published"));
    }
    for (other, (x, y)) in curve.others.iter().zip(others.iter().map(at)) {
        canvas.rect("s2", (x - 4.0, y - 4.0), (8.0, 8.0));
        canvas.text("tick", Anchor::Start, (x + 7.0, y + 4.0), other.system);
    }
    if !others.is_empty() {
        legend.push(("s2", "others, as published"));
    }
    canvas.legend((AREA.left, 22.0), &legend);
    for (line, row) in curve.about().lines().zip(0u32..) {
        let at = (8.0, AREA.bottom + 60.0 + 15.0 * f64::from(row));
        canvas.text("tick", Anchor::Start, at, line);
    }
    alone(&title, &canvas.finish())
}
