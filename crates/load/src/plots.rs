//! The plots of a report, as SVG. Colours come from the style sheet of whoever shows them.

mod bars;
mod latency;
mod phases;
mod work;

use crate::Report;

/// A plot of the page, with its words.
#[derive(Clone, Debug)]
pub(crate) struct Plot {
    /// The name of its file, without an ending.
    pub(crate) name: &'static str,
    /// Heading of the plot.
    pub(crate) title: &'static str,
    /// Explanation of the plot, in a sentence or two.
    pub(crate) about: String,
    /// The drawing, an SVG document.
    pub(crate) svg: String,
}

/// All plots for which there are figures.
pub(crate) fn all(report: &Report) -> Vec<Plot> {
    [
        latency::rounds(report),
        latency::distribution(report),
        latency::cells(report),
        phases::layers(report),
        work::cpu(report),
        work::bytes(report),
        work::memory(report),
    ]
    .into_iter()
    .flatten()
    .collect()
}
