//! Where the time of a round goes.

use antiphon_plot::{Anchor, Area, Canvas, Scale, WIDTH};

use super::Plot;
use crate::phases::Phases;
use crate::report::Report;

/// The parts of a column, from the bottom.
const SERIES: [(&str, &str); 6] = [
    ("s0", "wait"),
    ("s1", "receive"),
    ("s2", "peel"),
    ("s3", "shuffle"),
    ("s4", "send"),
    ("s5", "step of its own"),
];

const AREA: Area = Area { left: 70.0, right: WIDTH - 24.0, top: 62.0, bottom: 330.0 };

/// One column for each layer, and one for each step of its own, in the order of the round.
pub(super) fn layers(report: &Report) -> Option<Plot> {
    let round = report.median_round()?;
    let phases = round.phases.as_ref()?;
    let columns = columns(phases);
    let sum = |(_, parts): &(String, Vec<f64>)| parts.iter().sum::<f64>();
    let mut canvas =
        Canvas::new(AREA.bottom + 64.0, "where the time of a round goes, in milliseconds");
    let scale = Scale::to(columns.iter().map(sum).fold(0.0, f64::max), 5);
    AREA.upright(&mut canvas, &scale, "milliseconds");
    let width = (AREA.right - AREA.left) / columns.len() as f64;
    // Steps are named in full where there is room, and layers by their numbers.
    let every = columns.len().div_ceil(30);
    for (position, (name, parts)) in columns.iter().enumerate() {
        let x = AREA.left + width * position as f64;
        let mut done = 0.0;
        for (part, value) in parts.iter().enumerate() {
            let class = if parts.len() == 1 { SERIES[5].0 } else { SERIES[part].0 };
            let (low, high) = (AREA.y(scale.place(done)), AREA.y(scale.place(done + value)));
            canvas.rect(class, (x + 0.15 * width, high), (0.7 * width, low - high));
            done += value;
        }
        let is_step = parts.len() == 1;
        // The last three names are too close for one line.
        let step = usize::from(position + 2 == columns.len());
        if is_step || position.is_multiple_of(every) {
            let below = (x + 0.5 * width, AREA.bottom + 18.0 + 14.0 * step as f64);
            canvas.text("tick", Anchor::Middle, below, name);
        }
    }
    let foot = (AREA.right, AREA.bottom + 52.0);
    canvas.text("label", Anchor::End, foot, "steps and layers, in the order of the round");
    canvas.legend((AREA.left, 22.0), &SERIES);
    let about = format!(
        "Round {}, the median of the delivered ones; each part is that of the median of {} shards. Peeling \
         while bytes still arrive is part of receiving.",
        round.round, phases.shards
    );
    Some(Plot { name: "phases", title: "Where the time goes", about, svg: canvas.finish() })
}

fn columns(phases: &Phases) -> Vec<(String, Vec<f64>)> {
    let step = |name: &str, ms: f64| (name.to_owned(), vec![ms]);
    let mut columns = vec![step("submit", phases.submit.median_ms)];
    let last = phases.layers.len();
    for (position, layer) in phases.layers.iter().enumerate() {
        if position + 1 == last {
            // What comes in at the last layer was opened by the verification.
            columns.push(step("verify", phases.verification.median_ms));
        }
        let parts = [layer.wait, layer.receive, layer.peel, layer.shuffle, layer.send];
        columns.push((layer.layer.to_string(), parts.map(|part| part.median_ms).to_vec()));
    }
    columns.push(step("exchange", phases.exchange.median_ms));
    columns.push(step("replies", phases.replies.median_ms));
    columns
}
