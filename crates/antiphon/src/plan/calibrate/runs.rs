//! Runs of `antiphon load`, kept as files.

use std::env;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::CalibrationError;

/// Rounds that are measured in each run.
const ROUNDS: u32 = 7;

/// What is taken from a run's report.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Measured {
    pub(super) clients: u32,
    /// Measured rounds.
    pub(super) rounds: Vec<Round>,
    pub(super) latency_ms: Percentiles,
    pub(super) server_cpu_s: Option<f64>,
    pub(super) client_cpu_s: Option<f64>,
    pub(super) peel_us_per_onion: Option<f64>,
    pub(super) peak_rss_bytes: Option<u64>,
    pub(super) bytes_per_client_up: f64,
    pub(super) bytes_per_client_down: f64,
    pub(super) lost_messages: u64,
}

/// A round of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Round {
    pub(super) latency_ms: Option<f64>,
}

/// Of the rounds.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Percentiles {
    pub(super) p50: f64,
    pub(super) max: f64,
}

impl Measured {
    /// The run in `folder`, which is made if it is not there yet.
    pub(super) fn of(folder: &Path, shards: u16, clients: u32) -> Result<Self, CalibrationError> {
        let path = folder.join(format!("load-{shards}-{clients}.json"));
        if !path.exists() {
            eprintln!("{shards} shards, {clients} clients ...");
            load(&path, shards, clients).map_err(|what| CalibrationError::Run {
                shards,
                clients,
                what,
            })?;
        }
        let text = fs::read_to_string(&path)
            .map_err(|source| CalibrationError::Folder { path: path.clone(), source })?;
        serde_json::from_str(&text).map_err(|source| CalibrationError::Left { path, source })
    }

    /// CPU seconds of the network for one round.
    pub(super) fn server_cpu_per_round(&self) -> Option<f64> {
        self.server_cpu_s.map(|seconds| seconds / self.rounds.len().max(1) as f64)
    }

    /// The same of the harness.
    pub(super) fn client_cpu_per_round(&self) -> Option<f64> {
        self.client_cpu_s.map(|seconds| seconds / self.rounds.len().max(1) as f64)
    }
}

/// Runs this very program in a process of its own, so that nothing is left over from run to run.
fn load(path: &Path, shards: u16, clients: u32) -> Result<(), String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new(program)
        .args(["load", "--local-shards", &shards.to_string(), "--clients", &clients.to_string()])
        .args(["--rounds", &ROUNDS.to_string(), "--json"])
        .arg(path)
        .stdout(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    // Nothing that failed is taken for a result the next time.
    let _ = fs::remove_file(path);
    let said = String::from_utf8_lossy(&output.stderr);
    Err(said.lines().last().unwrap_or("it failed without a word").to_owned())
}
