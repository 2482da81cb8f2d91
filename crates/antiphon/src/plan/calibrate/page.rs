//! The comparison for people.

use std::fmt::Write as _;

use super::{Calibration, Compared};
use crate::plan::axis::{Axis, short};

const WIDTH: f64 = 620.0;
const HEIGHT: f64 = 470.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = WIDTH - 110.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = HEIGHT - 60.0;
/// Of the shards of a run.
const COLOURS: [&str; 5] = ["#1f6feb", "#d1242f", "#1a7f37", "#9a6700", "#8250df"];

/// A table, and what the runs say of the overheads.
pub(super) fn markdown(calibration: &Calibration) -> String {
    let machine = &calibration.machine;
    let mut text = format!(
        "{}, {} cores; peel {:.2} us, build {:.2} us a hop.\n\n",
        machine.processor, machine.cores, machine.best_peel_us, machine.build_us_per_hop
    );
    text += "| shards | clients | predicted, s | measured (median), s | predicted / measured | \
             network's CPU a round: predicted, s | measured, s |\n";
    text += "|---:|---:|---:|---:|---:|---:|---:|\n";
    for run in &calibration.runs {
        text += &row(run);
    }
    let worst = calibration.runs.iter().map(|run| (run.ratio - 1.0).abs()).fold(0.0, f64::max);
    let fitted = &calibration.fitted;
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "\nThe furthest prediction is {:.0} % off.\n\n\
         Overheads by these runs: {:.0} us a batch, {:.0} us a step, {:.0} us a client at its gateway, \
         {:.0} us a client in the harness.\n",
        100.0 * worst,
        fitted.batch_us,
        fitted.step_us,
        fitted.client_us,
        fitted.harness_us
    );
    text
}

fn row(run: &Compared) -> String {
    let measured =
        run.measured_server_cpu_s.map_or_else(|| "-".to_owned(), |cpu| format!("{cpu:.2}"));
    format!(
        "| {} | {} | {:.2} | {:.2} | {:.2} | {:.2} | {measured} |\n",
        run.shards,
        run.clients,
        run.predicted_latency_ms * 1e-3,
        run.measured_latency_ms * 1e-3,
        run.ratio,
        run.predicted_server_cpu_s,
    )
}

/// Predicted against measured latency; 20 % lie between the broken lines.
pub(super) fn plot(calibration: &Calibration) -> String {
    let runs = &calibration.runs;
    let both = || {
        runs.iter()
            .flat_map(|run| [run.predicted_latency_ms, run.measured_latency_ms])
            .map(|ms| ms * 1e-3)
    };
    let x = Axis::over(both(), (LEFT, RIGHT));
    let y = Axis::over(both(), (BOTTOM, TOP));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n"
    );
    // Writing to a string does not fail.
    let _ = frame(&mut svg, x, y);
    let mut shards: Vec<_> = runs.iter().map(|run| run.shards).collect();
    shards.dedup();
    for run in runs {
        let colour = shards.iter().position(|of| *of == run.shards).unwrap_or(0) % COLOURS.len();
        let _ = writeln!(
            svg,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"{}\"/>",
            x.place(run.measured_latency_ms * 1e-3),
            y.place(run.predicted_latency_ms * 1e-3),
            COLOURS[colour]
        );
    }
    for (number, shards) in shards.iter().enumerate() {
        let at = TOP + 20.0 + 18.0 * number as f64;
        let _ = writeln!(
            svg,
            "<circle cx=\"{}\" cy=\"{at}\" r=\"4\" fill=\"{}\"/>\
             <text x=\"{}\" y=\"{}\">{shards} shards</text>",
            RIGHT + 20.0,
            COLOURS[number % COLOURS.len()],
            RIGHT + 30.0,
            at + 4.0
        );
    }
    svg + "</svg>\n"
}

fn frame(svg: &mut String, x: Axis, y: Axis) -> std::fmt::Result {
    for tick in x.ticks() {
        let (across, up) = (x.place(tick), y.place(tick));
        writeln!(
            svg,
            "<line x1=\"{across:.1}\" y1=\"{TOP}\" x2=\"{across:.1}\" y2=\"{BOTTOM}\" stroke=\"#ddd\"/>\
             <line x1=\"{LEFT}\" y1=\"{up:.1}\" x2=\"{RIGHT}\" y2=\"{up:.1}\" stroke=\"#ddd\"/>\
             <text x=\"{across:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>\
             <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            BOTTOM + 16.0,
            short(tick),
            LEFT - 6.0,
            up + 4.0,
            short(tick)
        )?;
    }
    let (low, high) = x.values;
    for (times, dashes) in [(1.0, "none"), (0.8, "4 4"), (1.2, "4 4")] {
        let (from, to) = (low.max(low / times), high.min(high / times));
        writeln!(
            svg,
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"#888\" \
             stroke-dasharray=\"{dashes}\"/>",
            x.place(from),
            y.place(from * times),
            x.place(to),
            y.place(to * times)
        )?;
    }
    writeln!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">measured, seconds</text>\n\
         <text x=\"{LEFT}\" y=\"{}\">predicted, seconds; broken lines: 20 % off</text>",
        f64::midpoint(LEFT, RIGHT),
        BOTTOM + 36.0,
        TOP - 12.0
    )
}
