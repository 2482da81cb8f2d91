//! Horizontal bars made of parts.

use antiphon_plot::{Anchor, Area, Canvas, Scale, WIDTH};

/// One bar: its name, its parts in order as indices into the series, and what stands at its end.
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) parts: Vec<(usize, f64)>,
    pub(super) total: String,
}

/// Bars below each other over a common scale.
pub(super) fn bars(label: &str, series: &[(&str, &str)], bars: &[Bar], unit: &str) -> String {
    let (row, top) = (44.0, 48.0);
    let bottom = top + row * bars.len() as f64;
    let mut canvas = Canvas::new(bottom + 48.0, label);
    let area = Area { left: 150.0, right: WIDTH - 120.0, top, bottom };
    let sum = |bar: &Bar| bar.parts.iter().map(|(_, value)| value).sum::<f64>();
    let scale = Scale::to(bars.iter().map(sum).fold(0.0, f64::max), 5);
    area.along(&mut canvas, &scale, unit);
    canvas.legend((area.left, 22.0), series);
    for (number, bar) in bars.iter().enumerate() {
        let y = area.top + row * number as f64 + 8.0;
        canvas.text("name", Anchor::End, (area.left - 10.0, y + 19.0), &bar.name);
        let mut done = 0.0;
        for &(class, value) in &bar.parts {
            let (from, to) = (area.x(scale.place(done)), area.x(scale.place(done + value)));
            canvas.rect(series[class].0, (from, y), (to - from, row - 16.0));
            done += value;
        }
        let end = area.x(scale.place(done));
        canvas.text("value", Anchor::Start, (end + 8.0, y + 19.0), &bar.total);
    }
    canvas.finish()
}
