//! The metrics of this process as Prometheus reads them.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use super::AdminError;

/// The upper bounds of a histogram's buckets, by the metric's full name.
pub type Buckets = (&'static str, &'static [f64]);

/// Collects this process's metrics and shows them. Clones show the same.
#[derive(Clone)]
pub struct MetricsPage(PrometheusHandle);

impl MetricsPage {
    /// Collects metrics from now on. Histograms have the buckets given for their names; a histogram
    /// without any is shown as a summary.
    ///
    /// # Errors
    /// If something collects this process's metrics already.
    pub fn install(buckets: &[Buckets]) -> Result<Self, AdminError> {
        let failed = |error: &dyn std::fmt::Display| AdminError::Recorder(error.to_string());
        let mut builder = PrometheusBuilder::new();
        for (name, bounds) in buckets {
            builder = builder
                .set_buckets_for_metric(Matcher::Full((*name).to_owned()), bounds)
                .map_err(|error| failed(&error))?;
        }
        builder.install_recorder().map(Self).map_err(|error| failed(&error))
    }

    /// A page that shows nothing, beside whatever collects this process's metrics.
    #[cfg(test)]
    pub(super) fn empty() -> Self {
        Self(PrometheusBuilder::new().build_recorder().handle())
    }

    /// All metrics, in the text format.
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Folds old values together. To be called every few seconds.
    pub(super) fn keep_up(&self) {
        self.0.run_upkeep();
    }
}
