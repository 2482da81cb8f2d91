//! What was measured, as it is kept.

use std::fs;
use std::io;
use std::path::Path;

use antiphon_model::SpeedReport;
use serde::{Deserialize, Serialize};

use super::CalibrationError;

/// All measurements of one machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Measurements {
    pub(super) machine: SpeedReport,
    pub(super) runs: Vec<Measured>,
}

/// A run of `antiphon load`: of its report, what the model can be compared with. The report's times are
/// sums over its rounds; these are means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Measured {
    pub(super) shards: u16,
    pub(super) clients: u32,
    /// L of its network.
    pub(super) layers: u8,
    /// V of its network.
    pub(super) noise_per_shard: u32,
    /// Of each round, in the order of the rounds.
    pub(super) latencies_ms: Vec<f64>,
    pub(super) median_latency_ms: f64,
    /// Of the network's threads, for a round.
    pub(super) server_cpu_s: Option<f64>,
    /// Of the harness's threads, for a round.
    pub(super) client_cpu_s: Option<f64>,
    pub(super) peel_us_per_onion: Option<f64>,
    pub(super) peak_rss_bytes: Option<u64>,
    pub(super) bytes_per_client_up: f64,
    pub(super) bytes_per_client_down: f64,
}

impl Measurements {
    /// Those in a file, if there is one.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, CalibrationError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(CalibrationError::Folder { path: path.to_owned(), source }),
        };
        serde_json::from_str(&text)
            .map(Some)
            .map_err(|source| CalibrationError::Left { path: path.to_owned(), source })
    }

    /// Keeps them in a file, which has the old ones or the new ones at any time.
    pub(super) fn write(&self, path: &Path) -> Result<(), CalibrationError> {
        let beside = path.with_extension("json.part");
        let written = serde_json::to_string_pretty(self)
            .map_err(io::Error::from)
            .and_then(|text| fs::write(&beside, text + "\n"))
            .and_then(|()| fs::rename(&beside, path));
        written.map_err(|source| CalibrationError::Folder { path: path.to_owned(), source })
    }

    /// A run, if it has been made.
    pub(super) fn run(&self, shards: u16, clients: u32) -> Option<&Measured> {
        self.runs.iter().find(|run| (run.shards, run.clients) == (shards, clients))
    }

    /// Adds a run, in order.
    pub(super) fn add(&mut self, run: Measured) {
        self.runs.push(run);
        self.runs.sort_by_key(|run| (run.shards, run.clients));
    }
}
