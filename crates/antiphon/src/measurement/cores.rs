//! All cores at once.

use std::num::NonZeroUsize;
use std::sync::Barrier;
use std::thread;

use super::MeasurementError;
use super::fixture::Fixture;
use super::kernels::peel_us;
use super::stopwatch::Stopwatch;

/// Speed of all cores together.
#[derive(Clone, Copy, Debug)]
pub(super) struct AllCores {
    pub(super) cores: usize,
    /// Microseconds of one core's time to peel an onion while all others peel too.
    pub(super) peel_us: f64,
}

/// Peels on every core at the same time.
pub(super) fn all_at_once(
    stopwatch: &Stopwatch,
    fixture: &Fixture,
) -> Result<AllCores, MeasurementError> {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    // A core that another program takes for a while says nothing about the others.
    let stopwatch = &Stopwatch { repetitions: 3 * stopwatch.repetitions, ..*stopwatch };
    let start = Barrier::new(cores);
    let each: Result<Vec<f64>, MeasurementError> = thread::scope(|scope| {
        let work = || {
            start.wait();
            peel_us(stopwatch, fixture)
        };
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| MeasurementError::Panicked))
            .collect()
    });
    let each = each?;
    Ok(AllCores { cores, peel_us: each.iter().sum::<f64>() / each.len().max(1) as f64 })
}
