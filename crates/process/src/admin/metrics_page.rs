//! The metrics of this process as Prometheus reads them.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::AdminError;
use crate::metrics::{Program, process};

/// Collects this process's metrics and shows them. Clones show the same.
#[derive(Clone)]
pub struct MetricsPage(PrometheusHandle);

impl MetricsPage {
    /// Collects the metrics of the program's catalogue from now on.
    ///
    /// # Errors
    /// If something collects this process's metrics already.
    pub fn install(program: Program) -> Result<Self, AdminError> {
        let failed = |error: &dyn std::fmt::Display| AdminError::Recorder(error.to_string());
        let mut builder = PrometheusBuilder::new();
        for metric in program.catalogue().filter(|metric| !metric.buckets.is_empty()) {
            builder = builder
                .set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), metric.buckets)
                .map_err(|error| failed(&error))?;
        }
        let page = builder.install_recorder().map(Self).map_err(|error| failed(&error))?;
        program.begin();
        Ok(page)
    }

    /// A page that shows nothing, beside whatever collects this process's metrics.
    #[cfg(test)]
    pub(super) fn empty() -> Self {
        Self(PrometheusBuilder::new().build_recorder().handle())
    }

    /// All metrics, in the text format.
    pub fn render(&self) -> String {
        process::measure();
        self.0.render()
    }

    /// Folds old values together. To be called every few seconds.
    pub(super) fn keep_up(&self) {
        self.0.run_upkeep();
    }
}
