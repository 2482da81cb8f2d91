//! The comparison for people.

use std::fmt::Write as _;

use antiphon_model::Overheads;
use antiphon_plot::{Area, Canvas, Scale, alone};

use super::compare::{Calibration, Compared};

/// As wide as it is high, so that the middle line is a diagonal.
const AREA: Area = Area { left: 70.0, right: 570.0, top: 62.0, bottom: 562.0 };
/// Of the shards of a run.
const SERIES: [&str; 6] = ["s0", "s1", "s2", "s3", "s4", "s5"];

/// A table, and what the runs say of the overheads.
pub(super) fn markdown(calibration: &Calibration) -> String {
    let machine = &calibration.machine;
    let mut text = format!(
        "# Predictions beside runs\n\n\
         Made by `antiphon-calibrate`; every run is `antiphon load --local-shards N --clients U \
         --rounds 5`.\n\n\
         {}, {} cores: peel {:.2} \u{b5}s, build {:.2} \u{b5}s a hop, signature {:.1} \u{b5}s to sign and \
         {:.1} \u{b5}s to check, link {:.2} ns a byte.\n\n",
        machine.processor,
        machine.cores,
        machine.best_peel_us,
        machine.build_us_per_hop,
        machine.sign_us,
        machine.verify_us,
        machine.link_cpu_ns_per_byte,
    );
    text += "| shards | clients | predicted | measured, median | predicted / measured | network's CPU a \
             round: predicted | measured | |\n";
    text += "|---:|---:|---:|---:|---:|---:|---:|---|\n";
    for run in &calibration.runs {
        text += &row(run);
    }
    let worst = |judges: bool| {
        let off = |run: &Compared| (run.ratio - 1.0).abs();
        calibration.runs.iter().filter(|run| run.judges == judges).map(off).fold(0.0, f64::max)
    };
    // Writing to a string does not fail.
    let _ = writeln!(
        text,
        "\nThe furthest prediction is {:.0} % off among the runs that overheads are fitted to, and {:.0} % \
         among those that only judge.",
        100.0 * worst(false),
        100.0 * worst(true),
    );
    if let Some(fitted) = &calibration.fitted {
        let off = |run: &Compared| run.fitted_ratio().map_or(0.0, |ratio| (ratio - 1.0).abs());
        let worst = calibration.runs.iter().map(off).fold(0.0, f64::max);
        let _ = writeln!(
            text,
            "\nFitted to these very runs, the overheads are {:.0} \u{b5}s a batch, {:.0} \u{b5}s a step, \
             {:.0} \u{b5}s a client at its gateway and {:.0} \u{b5}s a client in the harness; with them the \
             furthest is {:.0} % off.",
            fitted.batch_us,
            fitted.step_us,
            fitted.client_us,
            fitted.harness_us,
            100.0 * worst
        );
    }
    text
}

fn row(run: &Compared) -> String {
    let measured =
        run.measured_server_cpu_s.map_or_else(|| "-".to_owned(), |cpu| format!("{cpu:.2} s"));
    format!(
        "| {} | {} | {:.2} s | {:.2} s | {:.2} | {:.2} s | {measured} | {} |\n",
        run.shards,
        run.clients,
        run.predicted_latency_ms * 1e-3,
        run.measured_latency_ms * 1e-3,
        run.ratio,
        run.predicted_server_cpu_s,
        if run.judges { "judges" } else { "" },
    )
}

/// The fitted overheads as `crates/model/src/overheads.in` has them.
pub(super) fn source(calibration: &Calibration) -> String {
    let Some(fitted) = &calibration.fitted else { return String::new() };
    let Overheads { batch_us, step_us, client_us, harness_us, serial_close, client_bytes } =
        fitted.of_reference();
    let worst = |judges: bool| {
        let runs = calibration.runs.iter().filter(|run| run.judges == judges);
        let off = runs.filter_map(Compared::fitted_ratio).map(|ratio| (ratio - 1.0).abs());
        100.0 * off.fold(0.0, f64::max)
    };
    format!(
        "// Made by `antiphon-calibrate DIR --fit`, which says what they mean and how far off\n\
         // predictions are with them: {:.0} % at most where fitted to, {:.0} % in the runs that only judge.\n\
         Overheads {{\n    batch_us: {batch_us:.1},\n    step_us: {step_us:.1},\n    \
         client_us: {client_us:.1},\n    harness_us: {harness_us:.1},\n    \
         serial_close: {serial_close:?},\n    client_bytes: {client_bytes:?},\n}}\n",
        worst(false),
        worst(true),
    )
}

/// Predicted against measured latency; 20 % lie between the broken lines.
pub(super) fn plot(calibration: &Calibration) -> String {
    let runs = &calibration.runs;
    let both = runs
        .iter()
        .flat_map(|run| [run.predicted_latency_ms, run.measured_latency_ms])
        .map(|ms| ms * 1e-3);
    let scale = Scale::over(both);
    let mut canvas =
        Canvas::new(AREA.bottom + 60.0, "predicted against measured latency, in seconds");
    AREA.upright(&mut canvas, &scale, "predicted, seconds; broken lines: 20 % off");
    AREA.along(&mut canvas, &scale, "measured, seconds");
    let at = |measured: f64, predicted: f64| {
        (AREA.x(scale.place(measured)), AREA.y(scale.place(predicted)))
    };
    let (low, high) = scale.ends();
    for (times, class) in [(1.0, "axis"), (0.8, "axis dashed"), (1.2, "axis dashed")] {
        let (from, to) = (low.max(low / times), high.min(high / times));
        canvas.line(class, at(from, from * times), at(to, to * times));
    }
    let mut shards: Vec<_> = runs.iter().map(|run| run.shards).collect();
    shards.dedup();
    let series: Vec<_> = shards
        .iter()
        .zip(SERIES.iter().cycle())
        .map(|(shards, class)| (*class, format!("{shards} shards")))
        .collect();
    for run in runs {
        let place = shards.iter().position(|shards| *shards == run.shards).unwrap_or(0);
        let at = at(run.measured_latency_ms * 1e-3, run.predicted_latency_ms * 1e-3);
        canvas.dot(series[place].0, at);
    }
    let legend: Vec<_> = series.iter().map(|(class, name)| (*class, name.as_str())).collect();
    canvas.legend((AREA.left, 22.0), &legend);
    alone("Predictions beside runs on one machine", &canvas.finish())
}
