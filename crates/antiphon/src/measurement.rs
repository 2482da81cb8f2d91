//! Measuring this machine: onions, filters, signatures and a link over loopback.

mod cells;
mod cores;
mod fixture;
mod hybrid;
mod kernels;
mod link;
mod onions;
mod report;
mod small_costs;
mod stopwatch;

use std::io;

use antiphon_model::SpeedReport;
use antiphon_onion::dh::KernelUnavailable;
use antiphon_onion::{BuildError, KeyError, PeelError};
use antiphon_transport::{BindError, DialError};

use stopwatch::Stopwatch;

/// Reason why a machine is not measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MeasurementError {
    /// A key of the measurement is unusable.
    #[error("the measurement's own keys: {0}")]
    Key(#[from] KeyError),
    /// No onions can be built.
    #[error("building onions: {0}")]
    Build(#[from] BuildError),
    /// Onions cannot be peeled.
    #[error("peeling onions: {0}")]
    Peel(#[from] PeelError),
    /// Onions that were built do not open: the figures would be worthless.
    #[error(
        "the kernel {kernel} opened {opened} of {onions} onions: do not use it on this machine"
    )]
    Wrong {
        /// Name of the kernel.
        kernel: &'static str,
        /// Onions that came out whole.
        opened: usize,
        /// Onions that were put in.
        onions: usize,
    },
    /// The kernel that ran before does not any more.
    #[error(transparent)]
    Kernel(#[from] KernelUnavailable),
    /// No link over loopback.
    #[error("no port on the loopback interface: {0}")]
    Bind(#[from] BindError),
    /// The link over the loopback interface could not be opened.
    #[error("no link over the loopback interface: {0}")]
    Dial(#[from] DialError),
    /// A link that broke.
    #[error("the link over the loopback interface was lost")]
    Link,
    /// No threads, no sockets.
    #[error("the system does not give what a measurement needs: {0}")]
    System(#[from] io::Error),
    /// A thread of the measurement panicked.
    #[error("a measuring thread ended unexpectedly: this is a bug, and its log says where")]
    Panicked,
}

/// Measures this machine, roughly if `quick`.
pub(crate) fn measure(quick: bool) -> Result<SpeedReport, MeasurementError> {
    let stopwatch = if quick { Stopwatch::QUICK } else { Stopwatch::THOROUGH };
    let fixture = fixture::Fixture::new()?;
    let kernels = kernels::measure(&stopwatch, &fixture)?;
    let onions = onions::costs(&stopwatch, &fixture)?;
    let hybrid = hybrid::costs(&stopwatch, &fixture)?;
    let small = small_costs::costs(&stopwatch, &fixture);
    let cell_us = cells::cell_us(&stopwatch);
    let all = cores::all_at_once(&stopwatch, &fixture)?;
    let link = link::over_loopback(quick)?;
    Ok(report::report(kernels, &onions, hybrid, cell_us, &small, &all, link))
}
