//! Runs of `antiphon load`, one after another.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use antiphon_model::SpeedReport;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::CalibrationError;
use super::grid::GRID;
use super::measured::{Measured, Measurements};

/// Rounds that are measured in each run.
const ROUNDS: u32 = 5;
/// How often a run that fails is tried.
const TRIES: u32 = 2;

/// Of the JSON of `antiphon load`, what is taken from it.
#[derive(Clone, Debug, Deserialize)]
struct Report {
    shards: u32,
    layers: u8,
    noise_per_round: u64,
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

/// The program `antiphon`.
pub(super) struct Toolbox {
    program: PathBuf,
}

impl Toolbox {
    pub(super) fn new(program: PathBuf) -> Self {
        Self { program }
    }

    /// What this machine can do.
    pub(super) fn speed(&self, options: &[&str]) -> Result<SpeedReport, CalibrationError> {
        self.json(&[&["speed"], options].concat()).map_err(CalibrationError::Speed)
    }

    /// Makes the runs of the grid that are missing, keeps each as soon as it is made, and says how it goes.
    /// Returns how many failed.
    pub(super) fn complete(
        &self,
        path: &Path,
        measurements: &mut Measurements,
    ) -> Result<usize, CalibrationError> {
        let missing: Vec<_> = GRID
            .into_iter()
            .map(|(shards, clients, _)| (shards, clients))
            .filter(|&(shards, clients)| measurements.run(shards, clients).is_none())
            .collect();
        if missing.is_empty() {
            return Ok(0);
        }
        let (there, here) = (&measurements.machine.processor, self.speed(&["--quick"])?.processor);
        if *there != here {
            let there = there.clone();
            return Err(CalibrationError::Elsewhere { path: path.to_owned(), there, here });
        }
        let start = Instant::now();
        let all: u32 = missing.iter().map(|point| expected_s(*point)).sum();
        eprintln!(
            "{} of {} runs to make, about {} min; nothing else should run meanwhile",
            missing.len(),
            GRID.len(),
            all.div_ceil(60)
        );
        let (mut done, mut failed) = (0, 0);
        for (number, &(shards, clients)) in (1..).zip(&missing) {
            let what = format!("[{number}/{}] {shards} shards, {clients} clients", missing.len());
            let mut run = self.tried(shards, clients);
            for _ in 1..TRIES {
                if let Err(why) = &run {
                    eprintln!("{what}: {why}; once more");
                    run = self.tried(shards, clients);
                }
            }
            done += expected_s((shards, clients));
            let left = start.elapsed().mul_f64(f64::from(all - done) / f64::from(done));
            match run {
                Ok(run) => {
                    let seconds = run.median_latency_ms * 1e-3;
                    let left = in_minutes(left);
                    eprintln!("{what}: {seconds:.2} s a round; about {left} left");
                    measurements.add(run);
                    measurements.write(path)?;
                }
                Err(why) => {
                    eprintln!("{what}: {why}; given up");
                    failed += 1;
                }
            }
        }
        Ok(failed)
    }

    /// A run, unless it is of no use.
    fn tried(&self, shards: u16, clients: u32) -> Result<Measured, String> {
        let report = self.load(shards, clients)?;
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
            layers: report.layers,
            // All shards add the same, as their operators weigh the same.
            noise_per_shard: (report.noise_per_round / u64::from(report.shards.max(1))) as u32,
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

    /// A run in a process of its own, so that nothing is left over from run to run.
    fn load(&self, shards: u16, clients: u32) -> Result<Report, String> {
        let [shards, clients, rounds] = [shards.into(), clients, ROUNDS].map(|n| n.to_string());
        self.json(&["load", "--local-shards", &shards, "--clients", &clients, "--rounds", &rounds])
    }

    /// What a command says as JSON, or the last line of why it does not.
    fn json<T: DeserializeOwned>(&self, arguments: &[&str]) -> Result<T, String> {
        let output = Command::new(&self.program)
            .args(arguments)
            .args(["--json", "-"])
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("{}: {error}", self.program.display()))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(said.lines().last().unwrap_or("it failed without a word").to_owned());
        }
        serde_json::from_slice(&output.stdout).map_err(|error| error.to_string())
    }
}

/// About how long a run takes on the reference machine: start, links, building, rounds.
fn expected_s((shards, clients): (u16, u32)) -> u32 {
    10 + u32::from(shards) + clients / 350
}

fn in_minutes(left: Duration) -> String {
    let seconds = left.as_secs();
    format!("{}:{:02} min", seconds / 60, seconds % 60)
}
