//! The model beside what `antiphon load` measures on this machine.

mod fit;
mod page;
mod runs;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use antiphon_sim::scale::{MachineFigures, predict};
use serde::Serialize;

use super::scale::Machines;
use super::{Figures, PlanArguments, PlanError, network, policy};
use crate::output::{self, JsonTarget};
use crate::speed::{self, SpeedReport};

use fit::Fitted;
use runs::Measured;

/// Shards and clients of every run.
const GRID: [(u16, u32); 12] = [
    (3, 1000),
    (3, 5000),
    (3, 20_000),
    (5, 1000),
    (5, 5000),
    (5, 10_000),
    (5, 20_000),
    (10, 1000),
    (10, 10_000),
    (10, 20_000),
    (20, 1000),
    (20, 20_000),
];

/// Why the model was not compared.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CalibrationError {
    /// The folder.
    #[error("cannot use the folder {path}: {source}")]
    Folder {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The load test did not start, or failed.
    #[error("`antiphon load` for {shards} shards and {clients} clients: {what}")]
    Run {
        /// Of the run.
        shards: u16,
        /// Of the run.
        clients: u32,
        /// What went wrong.
        what: String,
    },
    /// What a run before left cannot be read.
    #[error("{path} is not what was left there before ({source}): delete it, and start again")]
    Left {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

/// One run, predicted and measured.
#[derive(Clone, Debug, Serialize)]
struct Compared {
    shards: u16,
    clients: u32,
    predicted_latency_ms: f64,
    /// The median.
    measured_latency_ms: f64,
    /// Predicted over measured.
    ratio: f64,
    /// Of all shards, for one round.
    predicted_server_cpu_s: f64,
    measured_server_cpu_s: Option<f64>,
    /// With the fitted overheads.
    fitted_latency_ms: f64,
    predicted_bytes_per_client_up: f64,
    predicted_bytes_per_client_down: f64,
    measured: Measured,
}

/// All runs.
#[derive(Clone, Debug, Serialize)]
struct Calibration {
    machine: SpeedReport,
    runs: Vec<Compared>,
    /// What these runs themselves say that the overheads are.
    fitted: Fitted,
}

/// Runs what has not been run yet, compares, and writes `calibration.md`, `.svg` and `.json` to
/// `folder`. Prints the table.
pub(super) fn run(folder: &Path, arguments: &PlanArguments) -> Result<(), PlanError> {
    fs::create_dir_all(folder)
        .map_err(|source| CalibrationError::Folder { path: folder.to_owned(), source })?;
    let machine = machine(&folder.join("speed.json"))?;
    let figures = machine.figures();
    let mut runs = Vec::new();
    for (shards, clients) in GRID {
        let equals = network::of_equals(shards, policy(&arguments.guarantee))?;
        let plan = Figures::of(&equals, 1, None)?;
        let measured = Measured::of(folder, shards, clients)?;
        let here = Machines::this(&machine, None, arguments.scale.interval);
        runs.push(Run { shards, clients, plan, measured, here });
    }
    let fitted = Fitted::of(&runs, &figures)?;
    let compared =
        runs.iter().map(|run| run.compare(&figures, &fitted)).collect::<Result<_, _>>()?;
    let calibration = Calibration { machine, runs: compared, fitted };
    let text = page::markdown(&calibration);
    for (name, content) in
        [("calibration.md", &text), ("calibration.svg", &page::plot(&calibration))]
    {
        let path = folder.join(name);
        fs::write(&path, content).map_err(|source| PlanError::Plot { path, source })?;
    }
    let json = JsonTarget::File(folder.join("calibration.json"));
    json.write(&calibration)?;
    output::deliver(arguments.json.as_ref(), &calibration, &text)?;
    Ok(())
}

/// This machine's figures; those in `path`, if they have been measured before.
fn machine(path: &Path) -> Result<SpeedReport, PlanError> {
    if path.exists() {
        return super::scale::read(path);
    }
    let report = speed::measure(false).map_err(Box::new)?;
    JsonTarget::File(path.to_owned()).write(&report)?;
    Ok(report)
}

/// A run and the network that it was of.
struct Run {
    shards: u16,
    clients: u32,
    plan: Figures,
    measured: Measured,
    here: Machines,
}

impl Run {
    fn predict(
        &self,
        figures: &MachineFigures,
    ) -> Result<antiphon_sim::scale::Prediction, PlanError> {
        Ok(predict(&self.here.scenario(&self.plan, self.clients.into()), figures)?)
    }

    fn compare(&self, figures: &MachineFigures, fitted: &Fitted) -> Result<Compared, PlanError> {
        let round = self.predict(figures)?;
        let measured = self.measured.latency_ms.p50;
        Ok(Compared {
            shards: self.shards,
            clients: self.clients,
            predicted_latency_ms: round.latency_ms,
            measured_latency_ms: measured,
            ratio: round.latency_ms / measured,
            predicted_server_cpu_s: self.server_cpu(figures)?,
            measured_server_cpu_s: self.measured.server_cpu_per_round(),
            fitted_latency_ms: self.predict(&fitted.applied(figures))?.latency_ms,
            predicted_bytes_per_client_up: round.bytes_per_client_up,
            predicted_bytes_per_client_down: round.bytes_per_client_down,
            measured: self.measured.clone(),
        })
    }

    /// CPU seconds of all shards for one round, without the harness.
    fn server_cpu(&self, figures: &MachineFigures) -> Result<f64, PlanError> {
        let mut figures = *figures;
        figures.overheads.harness_us = 0.0;
        Ok(self.predict(&figures)?.cpu_s_per_shard * f64::from(self.shards))
    }
}
