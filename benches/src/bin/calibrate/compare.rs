//! Runs and their predictions.

use antiphon_model::{MachineFigures, Prediction, Scenario, ScenarioError, SpeedReport, predict};
use serde::Serialize;

use super::fit::Fitted;
use super::grid;
use super::measured::Measured;

/// A run and the network that it was of.
pub(super) struct Run<'a> {
    pub(super) measured: &'a Measured,
    network: Scenario,
}

/// One run, predicted and measured.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Compared {
    pub(super) shards: u16,
    pub(super) clients: u32,
    /// Whether the fit left it out.
    pub(super) judges: bool,
    pub(super) predicted_latency_ms: f64,
    /// The median.
    pub(super) measured_latency_ms: f64,
    /// Predicted over measured.
    pub(super) ratio: f64,
    /// Of all shards, for one round.
    pub(super) predicted_server_cpu_s: f64,
    pub(super) measured_server_cpu_s: Option<f64>,
    /// With the fitted overheads.
    pub(super) fitted_latency_ms: Option<f64>,
    pub(super) predicted_bytes_per_client_up: f64,
    pub(super) measured_bytes_per_client_up: f64,
    pub(super) predicted_bytes_per_client_down: f64,
    pub(super) measured_bytes_per_client_down: f64,
}

/// All runs.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Calibration {
    pub(super) machine: SpeedReport,
    pub(super) runs: Vec<Compared>,
    /// What these runs themselves say that the overheads are, if there are enough of them.
    pub(super) fitted: Option<Fitted>,
}

impl<'a> Run<'a> {
    pub(super) fn of(measured: &'a Measured, machine: &SpeedReport) -> Self {
        let Measured { shards, clients, layers, noise_per_shard, .. } = *measured;
        let network = Scenario::usual(clients.into(), shards.into(), layers, noise_per_shard);
        Self { measured, network: network.on_one_machine(machine.cores as u32) }
    }

    /// Whether the fit leaves it out.
    pub(super) fn judges(&self) -> bool {
        grid::judges(self.measured.shards, self.measured.clients)
    }

    pub(super) fn predict(&self, figures: &MachineFigures) -> Result<Prediction, ScenarioError> {
        predict(&self.network, figures)
    }

    /// CPU seconds of all shards for one round of `round`, without the harness.
    pub(super) fn server_cpu(&self, figures: &MachineFigures, round: &Prediction) -> f64 {
        let harness = f64::from(self.measured.clients) * figures.overheads.harness_us * 1e-6;
        round.cpu_s_per_shard * f64::from(self.measured.shards) - harness
    }

    fn compare(
        &self,
        figures: &MachineFigures,
        fitted: Option<&Fitted>,
    ) -> Result<Compared, ScenarioError> {
        let round = self.predict(figures)?;
        let measured = self.measured;
        let fitted = fitted.map(|fitted| self.predict(&fitted.applied(figures))).transpose()?;
        Ok(Compared {
            shards: measured.shards,
            clients: measured.clients,
            judges: self.judges(),
            predicted_latency_ms: round.latency_ms,
            measured_latency_ms: measured.median_latency_ms,
            ratio: round.latency_ms / measured.median_latency_ms,
            predicted_server_cpu_s: self.server_cpu(figures, &round),
            measured_server_cpu_s: measured.server_cpu_s,
            fitted_latency_ms: fitted.map(|round| round.latency_ms),
            predicted_bytes_per_client_up: round.bytes_per_client_up,
            measured_bytes_per_client_up: measured.bytes_per_client_up,
            predicted_bytes_per_client_down: round.bytes_per_client_down,
            measured_bytes_per_client_down: measured.bytes_per_client_down,
        })
    }
}

impl Compared {
    /// How far the model with the fitted overheads is off, as a ratio.
    pub(super) fn fitted_ratio(&self) -> Option<f64> {
        Some(self.fitted_latency_ms? / self.measured_latency_ms)
    }
}

impl Calibration {
    pub(super) fn new(
        machine: SpeedReport,
        runs: &[Run<'_>],
        fitted: Option<Fitted>,
    ) -> Result<Self, ScenarioError> {
        let figures = machine.figures();
        let runs = runs.iter().map(|run| run.compare(&figures, fitted.as_ref()));
        Ok(Self { runs: runs.collect::<Result<_, _>>()?, machine, fitted })
    }
}
