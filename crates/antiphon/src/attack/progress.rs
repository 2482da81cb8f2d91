//! Progress of measurements, on standard error, if a person watches it.

use std::cell::Cell;

use antiphon_attack::{AttackError, Measurement, Play, measure_watched};
use indicatif::{ProgressBar, ProgressStyle};

/// Parts of one measurement.
const PARTS: u64 = 1000;

/// A bar. Shows nothing where standard error is no terminal.
pub(super) struct Progress {
    bar: ProgressBar,
    done: Cell<u64>,
}

impl Progress {
    /// For so many measurements.
    pub(super) fn start(measurements: usize) -> Self {
        let bar = ProgressBar::new(measurements as u64 * PARTS);
        if let Ok(style) = ProgressStyle::with_template("{msg:16} [{bar:40}] {percent} % {eta}") {
            bar.set_style(style);
        }
        Self { bar, done: Cell::new(0) }
    }

    /// Measures, and moves the bar on.
    pub(super) fn measure(&self, play: &Play) -> Result<Measurement, AttackError> {
        let before = self.done.get();
        self.bar.set_message(play.strategy.profile().name);
        let bar = &self.bar;
        let measured = measure_watched(play.strategy, &play.options, &|trial, of| {
            bar.set_position(before + PARTS * trial / of.max(1));
        });
        self.done.set(before + PARTS);
        measured
    }

    /// Prints something while the bar is out of the way.
    pub(super) fn beside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
