//! Plots of latency, by round and by phase.

use antiphon_plot::{Anchor, Area, Canvas, Scale, WIDTH};

use super::Plot;
use crate::latency::{Latencies, Percentiles};
use crate::report::{Outcome, Report, Round};

/// Rounds whose numbers all fit below the axis.
const NAMED: usize = 20;
/// Rounds of which each gets a dot.
const DOTTED: usize = 120;

const AREA: Area = Area { left: 70.0, right: WIDTH - 24.0, top: 62.0, bottom: 310.0 };

/// Latency by round. Long, as a drawing is read in the order in which it is drawn.
pub(super) fn rounds(report: &Report) -> Option<Plot> {
    let rounds = &report.rounds;
    let clients = |round: &Round| round.latency_ms.map(|ms| ms / 1000.0);
    let coordinator = |round: &Round| round.coordinator_latency_ms.map(|ms| ms as f64 / 1000.0);
    let largest = rounds
        .iter()
        .flat_map(|round| [clients(round), coordinator(round)])
        .flatten()
        .fold(0.0, f64::max);
    if rounds.is_empty() {
        return None;
    }
    let mut canvas = Canvas::new(AREA.bottom + 52.0, "latency of each round, in seconds");
    let scale = Scale::to(largest, 5);
    AREA.upright(&mut canvas, &scale, "seconds");
    let x = |position: usize| AREA.x((position as f64 + 0.5) / rounds.len() as f64);
    let mut shown = vec![("s0", "until the last client's replies")];
    if rounds.iter().any(|round| coordinator(round).is_some()) {
        shown.push(("s1", "until the last shard's report"));
        series(&mut canvas, "line s1", "s1", &scale, rounds, coordinator);
    }
    series(&mut canvas, "line s0", "s0", &scale, rounds, clients);
    let failed = |round: &Round| round.outcome != Outcome::Delivered;
    if rounds.iter().any(failed) {
        shown.push(("s3", "not delivered to all"));
    }
    let every = rounds.len().div_ceil(NAMED);
    for (position, round) in rounds.iter().enumerate() {
        if failed(round) {
            canvas.rect("s3", (x(position) - 4.0, AREA.bottom - 4.0), (8.0, 8.0));
        }
        if position.is_multiple_of(every) {
            let below = (x(position), AREA.bottom + 20.0);
            canvas.text("tick", Anchor::Middle, below, &round.round.to_string());
        }
    }
    canvas.text("label", Anchor::End, (AREA.right, AREA.bottom + 40.0), "round");
    canvas.legend((AREA.left, 22.0), &shown);
    let about =
        "From the opening of the round. The clients' figure counts from the coordinator's word \
                 to the moment at which the last client holds its replies."
            .to_owned();
    Some(Plot { name: "latency", title: "Latency of each round", about, svg: canvas.finish() })
}

fn series(
    canvas: &mut Canvas,
    line: &str,
    dot: &str,
    scale: &Scale,
    rounds: &[Round],
    value: impl Fn(&Round) -> Option<f64>,
) {
    let place = |(position, round): (usize, &Round)| {
        let x = AREA.x((position as f64 + 0.5) / rounds.len() as f64);
        Some((x, AREA.y(scale.place(value(round)?))))
    };
    let points: Vec<_> = rounds.iter().enumerate().filter_map(place).collect();
    canvas.polyline(line, &points);
    if rounds.len() <= DOTTED {
        points.iter().for_each(|point| canvas.dot(dot, *point));
    }
}

/// Latency of clients' rounds by quantile.
pub(super) fn distribution(report: &Report) -> Option<Plot> {
    let found = report.client_latency_ms?;
    let latencies = &report.client_latencies;
    let what = "latency of clients by percentile, in seconds";
    let svg = by_quantile(latencies, found, what, "of clients and rounds");
    let about = format!(
        "From the opening of a round to a client's own replies, over {} clients and rounds: {}.",
        latencies.len(),
        in_words(found)
    );
    Some(Plot { name: "distribution", title: "Distribution over clients", about, svg })
}

/// Latency of clients' cells by quantile.
pub(super) fn cells(report: &Report) -> Option<Plot> {
    let beats = report.beats.as_ref()?;
    let found = beats.latency_ms?;
    let what = "latency of cells by percentile, in seconds";
    let svg = by_quantile(&beats.latencies, found, what, "of clients and beats");
    let about = format!(
        "From when all clients' cells of a beat leave to when a client's own are back, over {} clients and beats: {}.",
        beats.latencies.len(),
        in_words(found)
    );
    Some(Plot { name: "cells", title: "Distribution of cells", about, svg })
}

fn in_words(found: Percentiles) -> String {
    format!(
        "half within {:.2} s, 99 % within {:.2} s, all within {:.2} s",
        found.p50 / 1000.0,
        found.p99 / 1000.0,
        found.max / 1000.0
    )
}

/// Latencies by quantile, as HDR histograms are drawn.
fn by_quantile(latencies: &Latencies, found: Percentiles, what: &str, of: &str) -> String {
    let mut canvas = Canvas::new(AREA.bottom + 52.0, what);
    let scale = Scale::to(found.max / 1000.0, 5);
    AREA.upright(&mut canvas, &scale, "seconds");
    // One more nine for each unit to the right, as far as there are latencies for it.
    let nines = (latencies.len() as f64).log10().clamp(1.0, 6.0);
    let names = ["0", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %", "99.9999 %"];
    for (nine, name) in names.iter().enumerate().take_while(|(nine, _)| *nine as f64 <= nines) {
        let x = AREA.x(nine as f64 / nines);
        canvas.line(if nine == 0 { "axis" } else { "grid" }, (x, AREA.top), (x, AREA.bottom));
        canvas.text("tick", Anchor::Middle, (x, AREA.bottom + 20.0), name);
    }
    let half = AREA.x(2_f64.log10() / nines);
    canvas.line("grid", (half, AREA.top), (half, AREA.bottom));
    canvas.text("tick", Anchor::Middle, (half, AREA.bottom + 20.0), "50 %");
    let steps = 240;
    let points: Vec<_> = (0..=steps)
        .map(|step| {
            let along = f64::from(step) / f64::from(steps);
            let quantile = 1.0 - 10_f64.powf(-along * nines);
            let seconds = latencies.quantile_ms(quantile) / 1000.0;
            (AREA.x(along), AREA.y(scale.place(seconds)))
        })
        .collect();
    canvas.polyline("line s0", &points);
    canvas.text("label", Anchor::End, (AREA.right, AREA.bottom + 40.0), of);
    canvas.finish()
}
