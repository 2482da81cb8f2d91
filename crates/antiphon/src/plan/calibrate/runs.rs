//! Runs of `antiphon load`, one after another.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::CalibrationError;
use super::grid::GRID;
use super::measured::{Measured, Measurements};
use crate::output::JsonTarget;
use crate::plan::PlanError;
use crate::speed;

/// Rounds that are measured in each run.
const ROUNDS: u32 = 5;
/// How often a run that fails is tried.
const TRIES: u32 = 2;

/// Of the JSON of `antiphon load`, what is taken from it.
#[derive(Clone, Debug, Deserialize)]
struct Report {
    rounds: Vec<Round>,
    latency_ms: Option<Percentiles>,
    server_cpu_s: Option<f64>,
    client_cpu_s: Option<f64>,
    peel_us_per_onion: Option<f64>,
    peak_rss_bytes: Option<u64>,
    bytes_per_client_up: f64,
    bytes_per_client_down: f64,
    late: u64,
}

/// A round of it.
#[derive(Clone, Debug, Deserialize)]
struct Round {
    outcome: String,
    latency_ms: Option<f64>,
}

/// Of the rounds.
#[derive(Clone, Copy, Debug, Deserialize)]
struct Percentiles {
    p50: f64,
}

/// Makes the runs of the grid that are missing, keeps each as soon as it is made, and says how it goes.
/// Returns how many failed.
pub(super) fn complete(
    path: &Path,
    kept: &JsonTarget,
    measurements: &mut Measurements,
) -> Result<usize, PlanError> {
    let missing: Vec<_> = GRID
        .into_iter()
        .map(|(shards, clients, _)| (shards, clients))
        .filter(|&(shards, clients)| measurements.run(shards, clients).is_none())
        .collect();
    if missing.is_empty() {
        return Ok(0);
    }
    let (there, here) = (&measurements.machine.processor, speed::processor());
    if *there != here {
        let there = there.clone();
        return Err(CalibrationError::Elsewhere { path: path.to_owned(), there, here }.into());
    }
    let start = Instant::now();
    let all: u32 = missing.iter().map(|point| expected_s(*point)).sum();
    crate::output::say(&format!(
        "{} of {} runs to make, about {} min; nothing else should run meanwhile",
        missing.len(),
        GRID.len(),
        all.div_ceil(60)
    ));
    let (mut done, mut failed) = (0, 0);
    for (number, &(shards, clients)) in (1..).zip(&missing) {
        let what = format!("[{number}/{}] {shards} shards, {clients} clients", missing.len());
        let mut run = tried(shards, clients);
        for _ in 1..TRIES {
            if let Err(why) = &run {
                crate::output::say(&format!("{what}: {why}; once more"));
                run = tried(shards, clients);
            }
        }
        done += expected_s((shards, clients));
        let left = start.elapsed().mul_f64(f64::from(all - done) / f64::from(done));
        match run {
            Ok(run) => {
                let seconds = run.median_latency_ms * 1e-3;
                let left = in_minutes(left);
                crate::output::say(&format!("{what}: {seconds:.2} s a round; about {left} left"));
                measurements.add(run);
                kept.write(measurements)?;
            }
            Err(why) => {
                crate::output::say(&format!("{what}: {why}; given up"));
                failed += 1;
            }
        }
    }
    Ok(failed)
}

/// About how long a run takes on the reference machine: start, links, building, rounds.
fn expected_s((shards, clients): (u16, u32)) -> u32 {
    10 + u32::from(shards) + clients / 350
}

fn in_minutes(left: Duration) -> String {
    let seconds = left.as_secs();
    format!("{}:{:02} min", seconds / 60, seconds % 60)
}

/// A run, unless it is of no use.
fn tried(shards: u16, clients: u32) -> Result<Measured, String> {
    let report = load(shards, clients)?;
    let delivered = report.rounds.iter().filter(|round| round.outcome == "delivered").count();
    let Some(Percentiles { p50 }) = report.latency_ms.filter(|_| delivered == ROUNDS as usize)
    else {
        return Err(format!("{delivered} of {ROUNDS} rounds were delivered"));
    };
    if report.late > 0 {
        return Err(format!("clients were late {} times", report.late));
    }
    let each = |seconds: Option<f64>| seconds.map(|seconds| seconds / f64::from(ROUNDS));
    Ok(Measured {
        shards,
        clients,
        latencies_ms: report.rounds.iter().filter_map(|round| round.latency_ms).collect(),
        median_latency_ms: p50,
        server_cpu_s: each(report.server_cpu_s),
        client_cpu_s: each(report.client_cpu_s),
        peel_us_per_onion: report.peel_us_per_onion,
        peak_rss_bytes: report.peak_rss_bytes,
        bytes_per_client_up: report.bytes_per_client_up,
        bytes_per_client_down: report.bytes_per_client_down,
    })
}

/// Runs this very program in a process of its own, so that nothing is left over from run to run.
fn load(shards: u16, clients: u32) -> Result<Report, String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new(program)
        .args(["load", "--local-shards", &shards.to_string(), "--clients", &clients.to_string()])
        .args(["--rounds", &ROUNDS.to_string(), "--json", "-"])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(said.lines().last().unwrap_or("it failed without a word").to_owned());
    }
    serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
}
